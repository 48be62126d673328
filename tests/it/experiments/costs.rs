//! Recorded costs: taken off what an arm earns, in the tenant's own values, and asked by no rule.

use serde_json::{Value, json};

use crate::experiments::{
    Arm, DAYS, Ran, START, USUAL, body, define, experiment, market, measured, reported, says, with,
};
use leadstream::codec::avro::describe;
use leadstream::codec::results::metrics_record;
use leadstream::domain::experiment::Metrics;
use leadstream::domain::experiment::analysis::business::{NetBenefit, WEEKS_PER_YEAR};
use leadstream::domain::experiment::plan::Metric;
use leadstream::domain::units::DAY_MS;

fn costs() -> Value {
    json!([
        {"arm": "assertive", "once_minor": 10_000_000, "per_unit_minor": 1_000, "per_week_minor": 500_000},
        {"arm": "empathetic", "per_unit_minor": 400},
    ])
}

/// What a market in which one arm converts twice as often comes to under a definition.
fn ran(body: &Value, leads: usize) -> Metrics {
    let rules = crate::experiments::rules(body);
    let better = |arm: &str| Arm { converts: if arm == "assertive" { 0.4 } else { 0.2 }, ..USUAL };
    let mut ran = Ran::new(2);
    ran.take(&rules, market(2, leads, &experiment(body), better));
    measured(&ran.report(&rules, 0)).clone()
}

fn net(metrics: &Metrics, metric: Metric) -> &NetBenefit {
    metrics.net_benefits.iter().find(|net| net.metric == metric).unwrap()
}

#[test]
fn costs_are_taken_off_what_an_arm_earns_in_the_tenants_own_values_and_change_no_decision() {
    let metrics = ran(&with(&[("costs", costs())]), 4_000);
    let report = metrics.report.as_ref().unwrap();
    let pace = report.units_per_week().unwrap();
    let cost = 600.0 * pace + 500_000.0;
    let worth = |index: usize| report.worth(&report.comparisons[index].0).unwrap();
    let near = |reported: f64, expected: f64| {
        assert!((reported / expected - 1.0).abs() < 1e-9, "{reported} {expected}")
    };

    let (won, value) = metrics
        .tally
        .arms
        .values()
        .fold((0, 0), |sum, arm| (sum.0 + arm.conversions, sum.1 + arm.revenue_minor));
    let each = value as f64 / won as f64;
    let conversions = net(&metrics, Metric::ConversionRate);
    assert_eq!((conversions.arm.as_str(), conversions.value_minor), ("assertive", Some(each)));
    near(conversions.cost_weekly_minor.unwrap(), cost);
    let weekly = conversions.weekly.unwrap();
    for (reported, worth) in [
        (weekly.estimate, worth(0).estimate),
        (weekly.interval.lower, worth(0).interval.lower),
        (weekly.interval.upper, worth(0).interval.upper),
    ] {
        near(reported, worth * each - cost);
    }
    near(
        conversions.first_year().unwrap().interval.lower,
        weekly.interval.lower * WEEKS_PER_YEAR - 1e7,
    );
    near(conversions.payback().unwrap().soonest.unwrap(), 1e7 / weekly.interval.upper);

    let revenue = net(&metrics, Metric::Revenue);
    assert_eq!(revenue.value_minor, None);
    near(revenue.weekly.unwrap().estimate, worth(3).estimate * 100.0 - cost);

    let record = describe(&metrics_record(&metrics).1).unwrap();
    let reported = &record["results"]["net_benefits"][0];
    assert_eq!(reported["weekly_minor"], weekly.estimate.round() as i64);
    assert_eq!(
        (&reported["cost_once_minor"], &reported["payback_weeks"]),
        (&10_000_000.into(), &(1e7 / weekly.estimate).into())
    );

    // Without costs everything else is the same.
    let plain = ran(&body(), 4_000);
    assert_eq!(
        (&plain.report, &plain.tally, plain.net_benefits.len()),
        (&metrics.report, &metrics.tally, 0)
    );
    assert!(describe(&metrics_record(&plain).1).unwrap()["results"]["net_benefits"].is_null());
}

#[test]
fn what_an_arm_earns_is_not_yet_known_while_its_bounds_may_not_be_acted_on_or_units_are_not_shared_out_as_planned()
 {
    let few = ran(&with(&[("costs", costs())]), 200);
    assert!(!few.report.as_ref().unwrap().comparisons[0].0.meets_minimum_sample);
    let reported = net(&few, Metric::ConversionRate);
    assert_eq!((reported.weekly, reported.first_year(), reported.payback()), (None, None, None));
    assert!(reported.cost_weekly_minor.is_some());

    // Units come in by other weights than the ones that are registered.
    let given = with(&[
        ("costs", costs()),
        (
            "arms",
            json!([{"strategy": "empathetic", "weight": 6}, {"strategy": "assertive", "weight": 7}]),
        ),
    ]);
    let (rules, registered) = (
        crate::experiments::rules(&given),
        crate::experiments::rules(&with(&[("costs", costs())])),
    );
    let mut ran = Ran::new(1);
    ran.take(&rules, market(3, 6_000, &experiment(&given), |_| Arm { converts: 0.3, ..USUAL }));
    let metrics = measured(&ran.report(&registered, 0)).clone();
    let report = metrics.report.as_ref().unwrap();
    let goal = &report.comparisons[0].0;
    assert!(
        goal.meets_minimum_sample && goal.difference.is_some() && report.units_per_week().is_some(),
        "{goal:?}"
    );
    assert_eq!((report.decision.verdict.as_str(), report.worth(goal)), ("sample_ratio", None));
    assert_eq!(net(&metrics, Metric::ConversionRate).weekly, None);
    let record = describe(&metrics_record(&metrics).1).unwrap();
    assert!(record["results"]["comparisons"][0]["weekly"].is_null());
}

#[test]
fn costs_may_change_in_a_version_that_continues_and_hold_from_then_on() {
    let mut rules = crate::experiments::rules(&with(&[("costs", costs())]));
    let dearer = json!([{"arm": "assertive", "per_week_minor": 7}]);
    define(&mut rules, &reported(2, 4, &with(&[("revises", 1.into()), ("costs", dearer)])))
        .unwrap();
    let mut ran = Ran::new(1);
    let cost = |ran: &mut Ran| measured(&ran.report(&rules, 0)).net_benefits[0].cost_weekly_minor;
    ran.take(
        &rules,
        (0..40).map(|lead| says(&format!("lead-{lead}"), START + lead * 2 * DAY_MS / 40)),
    );
    ran.take(&rules, [says("later", START + 7 * DAY_MS)]);
    assert_eq!(cost(&mut ran), Some(7.0));
    let mut before = Ran::new(1);
    let rules = crate::experiments::rules(&with(&[("costs", costs())]));
    before.take(
        &rules,
        (0..40).map(|lead| says(&format!("lead-{lead}"), START + lead * 2 * DAY_MS / 40)),
    );
    before.take(&rules, [says("later", START + DAYS * DAY_MS)]);
    let metrics = measured(&before.report(&rules, 0)).clone();
    assert_eq!(
        metrics.net_benefits[0].cost_weekly_minor,
        Some(600.0 * metrics.report.unwrap().units_per_week().unwrap() + 500_000.0)
    );
}

#[test]
fn costs_that_cannot_be_set_against_anything_are_refused_with_their_field() {
    let cost = |more: Value| with(&[("costs", json!([more]))]);
    let twice = json!([{"arm": "assertive"}, {"arm": "assertive", "once_minor": 1}]);
    let agents = with(&[
        ("unit", "agent".into()),
        ("planned_units", 20.into()),
        ("ends_at", "2026-01-21T00:00:00Z".into()),
        ("costs", costs()),
    ]);
    let replies = json!({"unit": "lead", "salt": "1", "arms": body()["arms"], "window_hours": 72, "goal": {"metric": "reply_rate"},
        "planned_units": 4_000, "costs": costs()});
    let mut aimless = replies.clone();
    ["goal", "planned_units"].iter().for_each(|field| aimless[*field] = Value::Null);
    let cases = [
        (
            cost(json!({"arm": "rude", "once_minor": 1})),
            "body.costs[0].arm: \"rude\" is no arm of this experiment",
        ),
        (
            cost(json!({"arm": "empathetic", "once_minor": 1})),
            "body.costs[0].once_minor: the control is there already",
        ),
        (
            cost(json!({"arm": "assertive", "once_minor": 1_000_000_000_001_u64})),
            "body.costs[0]: each cost is 0 to 1000000000000",
        ),
        (
            cost(json!({"arm": "assertive", "once_minor": -1})),
            "body.costs[0].once_minor: invalid value: integer `-1`",
        ),
        (cost(json!({"arm": "assertive", "once": 1})), "unknown field `once`"),
        (with(&[("costs", twice)]), "body.costs[1].arm: \"assertive\" has its costs already"),
        (agents, "body.costs: what an arm is worth a week is told of the unit lead alone"),
        (replies, "body.costs: need conversion_rate or revenue"),
        (aimless, "body.costs: means nothing without a goal"),
    ];
    for (body, names) in cases {
        let refused =
            define(&mut crate::experiments::none(), &reported(1, 0, &body)).expect_err(names);
        assert!(refused.contains(names), "{refused}: {names}");
    }
}
