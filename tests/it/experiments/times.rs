//! How long leads wait for an answer: the middle time of each arm, with bounds that hold at every
//! look.

use serde_json::{Value, json};

use crate::experiments::{
    USUAL, define, event, experiment, key, market, none, reported, rules, same_in_any_order, with,
};
use leadstream::domain::event::EventType;
use leadstream::domain::experiment::plan::Metric;
use leadstream::domain::experiment::tally::{UNANSWERED, bucket, minutes};
use leadstream::domain::units::{HOUR_MS, MINUTE_MS};
use leadstream::stats::level::Alpha;
use leadstream::stats::quantile::{Compared, watched};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

fn body() -> Value {
    with(&[("metrics", json!([{"metric": "response_time", "window_hours": 48}]))])
}

#[test]
fn waits_are_told_by_their_median_in_any_order_and_partitioning() {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let mut events = market(8, 800, &own, |_| USUAL);
    let mut random = Random::new(8, 8);
    let mut seen = std::collections::BTreeSet::new();
    let mut answers = Vec::new();
    for asked in events.iter().filter(|event| event.kind == EventType::MessageReceived) {
        let lead = asked.key.lead_id();
        // One lead in ten is never answered, one in ten after the window.
        if !seen.insert(lead.to_owned()) || random.is_once_in(10) {
            continue;
        }
        let usual = if own.assign(lead).unwrap().arm == "assertive" { 60.0 } else { 120.0 };
        let wait =
            if random.is_once_in(10) { 49.0 * 60.0 } else { usual * random.between(0.5, 1.5) };
        let answered = asked.occurred_at.0 + (wait * MINUTE_MS as f64) as i64;
        answers.extend(
            [answered, answered + HOUR_MS].map(|at| event(lead, at, EventType::MessageSent)),
        );
    }
    events.extend(answers);
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    let report = same_in_any_order(&rules, &events, &key()).report.unwrap();
    let (reported, _) = report
        .comparisons
        .iter()
        .find(|(reported, _)| reported.metric == Metric::ResponseTime)
        .unwrap();
    // A fifth waits longer than anybody else, so the middle one is at five eighths of those who are
    // answered.
    let (control, treatment) = (120.0 * 1.125, 60.0 * 1.125);
    assert!(
        (reported.means.control / control - 1.0).abs() < 0.15
            && (reported.means.treatment / treatment - 1.0).abs() < 0.15,
        "{reported:?}"
    );
    assert!(
        reported.units.control - reported.outcomes.control > 40 && reported.meets_minimum_sample,
        "{reported:?}"
    );
    let (lift, difference) = (reported.lift.unwrap(), reported.difference.unwrap());
    assert!(
        lift.interval.contains(-0.5)
            && lift.interval.upper < -0.2
            && difference.interval.contains(treatment - control),
        "{reported:?}"
    );
    assert_eq!(
        (reported.one_sided_lower, reported.one_sided_upper, report.worth(reported)),
        (None, None, None),
        "it decides nothing"
    );
}

#[test]
fn a_bucket_is_at_most_an_eighth_wide_and_those_never_answered_are_behind_all() {
    for minute in 0..525_600_i64 {
        let (at, time) = (bucket(Some(minute * MINUTE_MS)), minute as f64);
        assert!(minutes(at) <= time && time < minutes(at + 1) && at < UNANSWERED, "{minute}");
        assert!(
            minutes(at + 1) - minutes(at) <= (1.0 + minutes(at)) / 8.0
                || minutes(at + 1) - minutes(at) <= 1.0
        );
    }
    assert!(
        bucket(None) == UNANSWERED
            && bucket(Some(i64::MAX)) < UNANSWERED
            && minutes(UNANSWERED).is_infinite()
    );
}

#[test]
fn bounds_of_a_median_that_is_watched_err_as_rarely_as_they_say() {
    let (alpha, runs) = (Alpha::new(0.1).unwrap(), 200);
    let (mut misses, mut narrow) = (0, 0);
    for run in 0..runs {
        let mut random = Random::new(run, 5);
        let mut units = [0_u64; 101];
        let mut missed = false;
        for _ in 0..600 {
            units[random.below(101)] += 1;
            let found = watched(
                &units,
                Compared { share: 0.5, planned: 600.0, alpha_planned: alpha },
                alpha,
            )
            .unwrap();
            missed |= !(found.lower..=found.upper).contains(&50);
        }
        let found =
            watched(&units, Compared { share: 0.5, planned: 600.0, alpha_planned: alpha }, alpha)
                .unwrap();
        narrow += u64::from(found.upper - found.lower < 20);
        misses += u64::from(missed);
    }
    assert!(
        misses <= Limit::AtMost { rate: 0.1, stated: 0.1 }.rejections(runs) && narrow == runs,
        "{misses} missed, {narrow} narrow"
    );
}

#[test]
fn a_time_decides_nothing_and_is_not_measured_for_agents() {
    let refused =
        |more: &[(&str, Value)]| define(&mut none(), &reported(1, 0, &with(more))).unwrap_err();
    let goal = refused(&[("goal", json!({"metric": "response_time"}))]);
    assert!(
        goal.starts_with("body.goal.metric: response_time is reported and decides nothing"),
        "{goal}"
    );
    let guardrail = refused(&[("guardrails", json!([{"metric": "response_time", "margin": 0.1}]))]);
    assert!(guardrail.starts_with("body.guardrails[0].metric: response_time"), "{guardrail}");
    let metrics = json!([{"metric": "response_time"}]);
    let agents = refused(&[
        ("metrics", metrics),
        ("unit", "agent".into()),
        ("planned_units", 20.into()),
        ("ends_at", "2026-01-21T00:00:00Z".into()),
    ]);
    assert!(
        agents.starts_with("body.metrics: response_time is measured for leads only"),
        "{agents}"
    );
}
