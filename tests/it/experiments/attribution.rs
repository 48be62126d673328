//! Conversions shared out over the strategies before them: bounded, free of order, and told as what
//! they are.

use std::sync::Arc;

use serde_json::json;

use crate::experiments::{
    DAYS, Ran, START, define, event, key, measured, midnight, none, same_in_any_order, says, won,
};
use leadstream::codec::avro::describe;
use leadstream::codec::results::metrics_record;
use leadstream::domain::attribution::journeys::{Journeys, conversions};
use leadstream::domain::event::{EventType, Interaction};
use leadstream::domain::experiment::{ExperimentKey, Metrics};
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS, MINUTE_MS};
use leadstream::pipeline::{Key, Row};
use leadstream::stats::random::Random;

fn of_tenant() -> ExperimentKey {
    ExperimentKey::attribution(&key().tenant)
}

/// Each day has a strategy of its own for everybody, so that a touch is known by its time.
fn daily(strategies: &[&str]) -> Rules {
    let mut rules = none();
    for (day, strategy) in (0..).zip(strategies) {
        let text = json!({"tenant": "acme", "kind": "policy", "name": "p", "version": day + 1,
            "effective_at": midnight(START + day * DAY_MS), "body": {"strategy": strategy, "reason": "test"}});
        define(&mut rules, &text.to_string()).unwrap();
    }
    rules
}

fn lost(lead: &str, at: i64) -> Interaction {
    event(lead, at, EventType::LeadLost)
}

fn journeys(rules: &Rules, events: impl IntoIterator<Item = Interaction>) -> Arc<Journeys> {
    let mut ran = Ran::new(1);
    ran.take(rules, events);
    measured(&ran.report_of(rules, &of_tenant(), 0)).tally.journeys.clone()
}

/// Leads that write on several days, of which some are won, some lost, some both, and some told
/// twice.
fn market() -> Vec<Interaction> {
    let mut random = Random::new(5, 9);
    let mut events = Vec::new();
    for number in 0..250 {
        let lead = format!("m{number}");
        let begins =
            START + MINUTE_MS + (random.unit() * (DAYS as f64 - 4.0) * DAY_MS as f64) as i64;
        let mut at = || begins + (random.unit() * 4.0 * DAY_MS as f64) as i64;
        events.extend((0..1 + number % 5).map(|_| says(&lead, at())));
        if number % 3 != 0 {
            events.push(won(&lead, at(), 100));
        }
        if number % 4 != 1 {
            events.push(lost(&lead, at()));
        }
        if number % 7 == 0 {
            events.push(won(&lead, at(), 100));
        }
    }
    // The clock of the tenant goes on.
    events.push(says("m0", START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    events
}

#[test]
fn credits_are_the_same_bytes_after_duplicates_any_order_within_lateness_and_any_partitioning() {
    let strategies = [
        "empathetic",
        "own-1",
        "assertive",
        "own-2",
        "consultative",
        "analytical",
        "relationship",
        "own-1",
        "empathetic",
    ];
    let rules = daily(&[&strategies[..], &strategies[..]].concat());
    let Metrics { tally, report, .. } = same_in_any_order(&rules, &market(), &of_tenant());
    let journeys = &tally.journeys;
    assert!(
        journeys.conversions > 80
            && journeys.nulls > 40
            && journeys.untouched > 5
            && journeys.credits.len() == 7,
        "{journeys:?}"
    );
    assert!(report.is_none() && tally.arms.is_empty());
}

#[test]
fn a_journey_is_what_was_touched_since_the_end_before_and_an_end_told_again_is_none() {
    let rules = daily(&["empathetic", "assertive", "consultative"]);
    let at = |day: i64, hour: i64| START + day * DAY_MS + hour * HOUR_MS;
    let reported = journeys(
        &rules,
        [
            says("a", at(0, 1)),
            says("a", at(1, 1)),
            lost("a", at(1, 2)),
            says("a", at(2, 1)),
            won("a", at(2, 2), 5),
            says("a", at(5, 1)),
            won("a", at(5, 2), 5),
            // After the end, and of another lead without one.
            says("a", at(6, 1)),
            says("b", at(0, 2)),
            won("c", at(3, 1), 5),
        ],
    );
    assert_eq!(
        (reported.conversions, reported.nulls, reported.untouched, reported.cut),
        (1, 1, 1, 0)
    );
    let names: Vec<&str> = reported.credits.keys().map(String::as_str).collect();
    assert_eq!(names, ["consultative"], "the conversion is credited to what came after the loss");
    assert!((conversions(reported.credits["consultative"].linear) - 1.0).abs() < 1e-12);
}

#[test]
fn of_many_touches_the_newest_count_and_of_many_names_the_first_that_were_defined_and_both_are_told()
 {
    let names: Vec<String> = (0..20).map(|number| format!("own-{number:02}")).collect();
    let rules = daily(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let daily: Vec<Interaction> =
        (0..20).map(|day| says("a", START + day * DAY_MS + HOUR_MS)).collect();
    let mut ran = Ran::new(1);
    ran.take(&rules, daily.iter().cloned());
    let Some(Row::Lead(lead)) = ran.partitions[0]
        .rows()
        .find_map(|(name, row)| matches!(name, Key::Lead(_)).then_some(row))
    else {
        panic!("no lead")
    };
    assert!(lead.touches.list.len() <= 19, "what cannot share in a credit any more is forgotten");
    let reported = journeys(&rules, daily.into_iter().chain([won("a", START + 20 * DAY_MS, 5)]));
    assert_eq!((reported.conversions, reported.cut), (1, 1));
    // The first four of twenty touches are cut; the last four have names beyond the sixteen that
    // are told apart.
    assert_eq!((reported.credits.len(), reported.credits.contains_key("own-03")), (13, false));
    assert!((conversions(reported.credits["other"].linear) - 0.25).abs() < 1e-12, "{reported:?}");
}

#[test]
fn a_record_tells_credits_of_every_rule_and_an_experiment_has_none() {
    let rules = daily(&["empathetic", "assertive"]);
    let mut ran = Ran::new(2);
    let of = |lead: &str| {
        [
            says(lead, START + HOUR_MS),
            says(lead, START + DAY_MS + HOUR_MS),
            won(lead, START + 2 * DAY_MS, 5),
        ]
    };
    ran.take(&rules, ["a", "b", "c"].iter().flat_map(|lead| of(lead)));
    ran.take(&rules, [says("d", START + HOUR_MS), lost("d", START + 2 * HOUR_MS)]);
    let effects = ran.report_of(&rules, &of_tenant(), 0);
    let (name, value) = metrics_record(measured(&effects));
    let reported = describe(&value).unwrap();
    assert_eq!(
        (name.as_str(), &reported["experiment"], &reported["attribution"]["conversions"]),
        ("acme:", &"".into(), &3.into())
    );
    let credit = &reported["attribution"]["credits"][0];
    assert_eq!(
        (&credit["strategy"], &credit["first"], &credit["last"], &credit["linear"]),
        (&"assertive".into(), &0.0.into(), &3.0.into(), &1.5.into())
    );
    // Without either nobody converts: the chain shares the three out equally.
    assert!((credit["markov"].as_f64().unwrap() - 1.5).abs() < 1e-9);
    let at = EventTime(START);
    let plain = Metrics {
        experiment: key(),
        at,
        tally: Default::default(),
        report: None,
        net_benefits: Vec::new(),
    };
    assert!(describe(&metrics_record(&plain).1).unwrap()["attribution"].is_null());
}
