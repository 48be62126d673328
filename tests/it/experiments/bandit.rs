//! Bandits: weights that follow the data through the log, and conclusions that hold although they
//! do.

use serde_json::{Value, json};

use crate::experiments::arms::{Live, three};
use crate::experiments::{
    Arm, START, USUAL, define, experiment, exposures, measured, none, reported, says,
};
use leadstream::domain::experiment::analysis::decision::Report;
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::units::{DAY_MS, EventTime};
use leadstream::stats::simulation::Limit;

fn body(more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        ("guardrails", json!([])),
        ("allocation", json!({"rule": "thompson", "floor": 0.1, "epoch_days": 2})),
        ("decisions", json!({"act": "advise"})),
        ("planned_units", json!(3_000)),
    ];
    fields.extend_from_slice(more);
    three(&fields)
}

fn weights(live: &Live) -> Vec<Vec<u64>> {
    let of = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["arms"].as_array().unwrap().iter().map(|arm| arm["weight"].as_u64().unwrap()).collect()
    };
    live.definitions
        .iter()
        .filter(|reported| reported.kind == "experiment")
        .map(|reported| of(&reported.body))
        .collect()
}

fn goal<'a>(
    report: &'a Report,
    arm: &str,
) -> &'a leadstream::domain::experiment::analysis::inference::Comparison {
    &report.comparisons.iter().find(|(reported, _)| reported.arm == arm).unwrap().0
}

#[test]
fn the_better_arm_gets_more_units_no_unit_is_moved_and_a_replay_gives_the_same_weights() {
    let does = |_: i64, arm: &str| {
        if arm == "analytical" { Arm { converts: 0.25, ..USUAL } } else { USUAL }
    };
    for rule in ["thompson", "top_two"] {
        let body = body(&[("allocation", json!({"rule": rule, "floor": 0.1, "epoch_days": 2}))]);
        let live = Live::run(&body, (1, 16, 90), does);
        live.check();
        let weights = weights(&live);
        assert!(
            weights.len() >= 3 && weights.iter().flatten().all(|weight| *weight >= 999),
            "{weights:?}"
        );
        let last = weights.last().unwrap();
        let most = if rule == "thompson" { 7_000 } else { 4_300 };
        assert!(last[2] > most && last[2] > last[0].max(last[1]), "{rule}: {weights:?}");
        // What each unit was given is logged with the probability of its epoch.
        let seen = exposures(&live.ran.effects);
        let newest = live.definitions.last().unwrap();
        let of_last: Vec<_> = seen
            .iter()
            .filter(|exposure| exposure.version == newest.version && exposure.arm == "analytical")
            .collect();
        let total: u64 = last.iter().sum();
        assert!(
            !of_last.is_empty()
                && of_last
                    .iter()
                    .all(|exposure| exposure.propensity == last[2] as f64 / total as f64)
        );
        assert!(
            newest.body.contains("epoch") && newest.body.contains("is the best with probability"),
            "{}",
            newest.body
        );
        let again = Live::run(&body, (1, 16, 90), does);
        assert_eq!(
            (&again.definitions, again.reports.last()),
            (&live.definitions, live.reports.last())
        );
    }
}

#[test]
fn a_bandit_is_concluded_on_by_the_probabilities_of_its_arms_and_shows_no_test_of_fixed_weights() {
    // Conversions treble in the second half, while the better arm has most of the units: means that
    // leave the probabilities out are wrong.
    let rate = |day: i64, arm: &str| {
        (if day < 8 { 0.1 } else { 0.3 }) + if arm == "analytical" { 0.2 } else { 0.0 }
    };
    let late = body(&[("decisions", json!({"days_min": 14}))]);
    let live = Live::run(&late, (2, 22, 120), |day, arm| Arm { converts: rate(day, arm), ..USUAL });
    live.check();
    let report = live.reports.last().unwrap();
    let (better, equal) = (goal(report, "analytical"), goal(report, "assertive"));
    let difference = better.difference.unwrap();
    assert!(
        difference.interval.contains(0.2)
            && difference.interval.lower > 0.0
            && better.meets_minimum_sample,
        "{better:?}"
    );
    assert!(
        (difference.estimate - 0.2).abs() < 0.06
            && equal.difference.unwrap().interval.contains(0.0),
        "{difference:?} {equal:?}"
    );
    assert_eq!(
        report.decision.verdict,
        Verdict::Promote("analytical".to_owned()),
        "{}",
        report.decision.rule
    );
    assert!(report.comparisons.iter().all(|(_, display)| *display
        == leadstream::domain::experiment::analysis::inference::Display::default()));
    // The value of always giving an arm is the mean over days of its rate, whatever share of the
    // units it had on each.
    assert_eq!(
        report.worth_of_arms.iter().map(|worth| worth.arm.as_str()).collect::<Vec<_>>(),
        ["empathetic", "assertive", "analytical"]
    );
    let days = report.units as f64 / 120.0;
    let expected = (8.0 * 0.3 + (days - 8.0) * 0.5) / days;
    let value = report.worth_of_arms[2].value.unwrap();
    assert!(
        value.interval.contains(expected) && (value.estimate - expected).abs() < 0.05,
        "{value:?} {expected}"
    );
    let first = live.reports.iter().find(|report| report.units > 0).unwrap();
    assert!(
        first
            .worth_of_arms
            .iter()
            .all(|worth| worth.value.is_none() && worth.effective_size < 100.0),
        "not yet known"
    );
}

#[test]
fn equal_arms_of_a_bandit_are_rarely_told_apart() {
    let runs = 12;
    let mut rejected = 0;
    for run in 0..runs {
        let live = Live::run(&body(&[]), (100 + run, 14, 60), |day, _| Arm {
            converts: if day < 6 { 0.15 } else { 0.35 },
            ..USUAL
        });
        let differs = |report: &Report| {
            report.comparisons.iter().any(|(reported, _)| {
                reported.meets_minimum_sample
                    && !reported.lift.is_some_and(|lift| lift.interval.contains(0.0))
            })
        };
        rejected += u64::from(live.reports.iter().any(differs));
    }
    let most = Limit::AtMost { rate: 0.05, stated: 0.065 }.rejections(runs);
    assert!(rejected <= most, "{rejected} of {runs}, at most {most}");
}

#[test]
fn an_arm_of_a_bandit_that_is_worse_is_withdrawn_and_gets_no_weight_again() {
    let acts = body(&[
        ("decisions", json!({"act": "automatic"})),
        ("guardrails", json!([{"metric": "reply_rate", "margin": 0.5}])),
    ]);
    let live = Live::run(&acts, (4, 16, 90), |_, arm| {
        if arm == "assertive" { Arm { replies: 0.1, ..USUAL } } else { USUAL }
    });
    live.check();
    let weights = weights(&live);
    let from = weights.iter().position(|weights| weights[1] == 0).expect("it is dropped");
    assert!(
        weights[from..].iter().all(|weights| weights[1] == 0 && weights[0] > 0 && weights[2] > 0),
        "{weights:?}"
    );
    assert!(weights.len() > from + 1, "and the others are weighed on: {weights:?}");
}

#[test]
fn the_weights_of_an_epoch_come_from_what_was_known_when_it_ended_and_are_worked_out_once() {
    use leadstream::domain::experiment::analysis::allocation::{arm_probabilities, epochs};
    use leadstream::domain::experiment::plan::Setup;
    let does = |_: i64, arm: &str| {
        if arm == "analytical" { Arm { converts: 0.4, ..USUAL } } else { USUAL }
    };
    let mut live = Live::run(&body(&[]), (5, 12, 60), does);
    let own = experiment(&body(&[]));
    let plan = own.plan.as_ref().unwrap();
    let setup =
        Setup { plan, window_hours: own.window_hours, versions: [(1, own.arms.as_slice())].into() };
    live.ran.take(&live.rules, [says("one more", START + 12 * DAY_MS)]);
    let tally = measured(&live.ran.report(&live.rules, 9)).tally.clone();
    let allocation = plan.allocation.as_ref().unwrap();
    assert_eq!(
        [0, 1, 2, 11].map(|day| epochs(allocation, &tally, EventTime(START + day * DAY_MS))),
        [0, 0, 1, 5]
    );
    // Nothing is known before the windows of the first days have passed: equal weights.
    assert!(
        arm_probabilities(&setup, &tally, &own.arms, 1)
            .unwrap()
            .iter()
            .all(|chance| chance.weight == 3_333)
    );
    let known = arm_probabilities(&setup, &tally, &own.arms, 4).unwrap();
    let mut shorter = tally.clone();
    shorter.cohorts.retain(|cohort, _| setup.look(cohort.day) <= EventTime(START + 8 * DAY_MS));
    assert!(
        shorter != tally
            && arm_probabilities(&setup, &shorter, &own.arms, 4).unwrap() == known
            && known[2].best > 0.9,
        "{known:?}"
    );
    assert!((known.iter().map(|chance| chance.best).sum::<f64>() - 1.0).abs() < 1e-9);
    // Another report within the epoch writes nothing.
    let before = live.definitions.len();
    live.look(10);
    live.look(11);
    assert_eq!(live.definitions.len(), before);
}

#[test]
fn a_refusal_of_an_allocation_names_the_field() {
    let cases = [
        (json!({"rule": "greedy", "floor": 0.1, "epoch_days": 2}), "body.allocation.rule"),
        (json!({"rule": "thompson", "floor": 0.34, "epoch_days": 2}), "body.allocation.floor"),
        (json!({"rule": "thompson", "floor": 0.001, "epoch_days": 2}), "body.allocation.floor"),
        (json!({"rule": "thompson", "floor": 0.1, "epoch_days": 0}), "body.allocation.epoch_days"),
        (json!({"rule": "thompson", "floor": 0.1}), "epoch_days"),
    ];
    let mut rules = none();
    for (allocation, names) in cases {
        let text = reported(1, 0, &body(&[("allocation", allocation)]));
        let refused = define(&mut rules, &text).expect_err(&text);
        assert!(refused.contains(names), "{refused}");
    }
    for metric in ["engagement_score", "response_time"] {
        let whole = body(&[("metrics", json!([{"metric": metric}]))]);
        let refused = define(&mut rules, &reported(1, 0, &whole)).unwrap_err();
        assert!(
            refused.starts_with(&format!(
                "body.allocation: {metric} has one value for all leads together"
            )),
            "{refused}"
        );
    }
    let agents = body(&[
        ("unit", json!("agent")),
        ("planned_units", json!(20)),
        ("ends_at", json!("2026-01-20T00:00:00Z")),
    ]);
    let refused = define(&mut rules, &reported(1, 0, &agents)).unwrap_err();
    assert!(refused.starts_with("body.allocation: weights never change for agents"), "{refused}");
    let mut without = body(&[("goal", Value::Null)]);
    for field in ["guardrails", "metrics", "planned_units", "decisions"] {
        without.as_object_mut().unwrap().remove(field);
    }
    let refused = define(&mut rules, &reported(1, 0, &without)).unwrap_err();
    assert_eq!(refused, "body.allocation: means nothing without a goal");
    // What was registered may not change: a bandit stays one.
    define(&mut rules, &reported(1, 0, &body(&[]))).unwrap();
    let other = body(&[
        ("revises", json!(1)),
        ("allocation", json!({"rule": "thompson", "floor": 0.2, "epoch_days": 2})),
    ]);
    assert!(
        define(&mut rules, &reported(2, 1, &other))
            .unwrap_err()
            .contains("was registered with version 1")
    );
}
