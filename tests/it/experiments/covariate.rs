//! The goal adjusted by what was known of each lead before its first exposure: from the log, and on
//! data whose truth is known.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::{
    Ran, START, USUAL, define, each_is_refused, event, experiment, key, market, reported, rules,
    same_in_any_order, says, with, won,
};
use leadstream::codec::{avro, results, rows};
use leadstream::domain::event::{EventType, Interaction};
use leadstream::domain::experiment::Experiment;
use leadstream::domain::experiment::analysis::decision::{Report, report};
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::pre_exposure::Covariate;
use leadstream::domain::experiment::tally::{Arms, Cell, Cohort, Covaried, Group, Tally};
use leadstream::domain::features::Feature;
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS, MINUTE_MS};
use leadstream::pipeline::{Effect, Key, Row};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

const MICRO: f64 = 1e6;

fn body(covariate: &str) -> Value {
    with(&[("covariate", covariate.into())])
}

/// The market of all experiments, in which leads saved listings more than a day before they wrote,
/// and more of them after it.
fn saving_market(seed: u64, leads: usize, own: &Experiment) -> (Vec<Interaction>, i64) {
    let mut events = market(seed, leads, own, |_| USUAL);
    let mut random = Random::new(seed, 21);
    let (mut seen, mut before, mut saves) = (std::collections::BTreeSet::new(), 0, Vec::new());
    for asked in events.iter().filter(|event| event.kind == EventType::MessageReceived) {
        if seen.insert(asked.key.clone()) {
            let (count, lead) = (random.below(4) as i64, asked.key.lead_id());
            before += count;
            let saved = |at: i64| event(lead, asked.occurred_at.0 + at, EventType::ListingSaved);
            saves.extend((0..count).map(|index| saved(-30 * HOUR_MS - index * MINUTE_MS)));
            saves.push(saved(25 * HOUR_MS));
        }
    }
    events.extend(saves);
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    (events, before)
}

#[test]
fn what_was_known_before_the_first_exposure_is_kept_in_any_order_after_it_and_any_partitioning() {
    let (rules, own) = (rules(&body("saves")), experiment(&body("saves")));
    assert_eq!(own.plan.as_ref().unwrap().covariate, Some(Covariate::Feature(Feature::Saves)));
    let (events, before) = saving_market(31, 600, &own);
    let metrics = same_in_any_order(&rules, &events, &key());
    let sums: i128 = metrics
        .tally
        .cohorts
        .values()
        .flat_map(|arms| arms.values())
        .map(|group| group.covaried.sum)
        .sum();
    assert_eq!(
        sums,
        i128::from(before) * 1_000_000,
        "what was saved after the first exposure does not count"
    );
    let goal = &metrics.report.as_ref().unwrap().comparisons[0].0;
    let adjustment = goal.adjustment.unwrap();
    assert!(
        adjustment.variance_removed.abs() < 0.05 && adjustment.coefficient.abs() < 0.1,
        "it explains nothing: {adjustment:?}"
    );
    assert!(
        metrics.report.as_ref().unwrap().comparisons[1..]
            .iter()
            .all(|(other, _)| other.adjustment.is_none()),
        "only the goal"
    );
    let record = avro::describe(&results::metrics_record(&metrics).1).unwrap();
    let reported = &record["results"]["comparisons"][0];
    assert_eq!(
        (reported["variance_removed"].as_f64(), reported["lift"].as_f64()),
        (Some(adjustment.variance_removed), goal.lift.map(|lift| lift.estimate))
    );
}

#[test]
fn a_prediction_may_be_the_covariate_and_is_that_of_the_first_exposure() {
    let rules = rules(&body("conversion_likelihood"));
    let mut ran = Ran::new(1);
    let at = START + DAY_MS;
    ran.take(
        &rules,
        [
            says("a", at),
            says("a", at + HOUR_MS),
            won("a", at + 2 * HOUR_MS, 100),
            says("a", at + 3 * HOUR_MS),
        ],
    );
    let predicted: Vec<f64> = ran
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Prediction(prediction) => Some(prediction.scores[0].probability),
            _ => None,
        })
        .collect();
    let lead = ran.partitions[0].lead(&says("a", at).key).unwrap();
    assert_eq!(
        lead.enrollments.list[0].before.covariate,
        Some((predicted[0] * MICRO).round() as i64)
    );
    assert!((predicted[3] - predicted[0]).abs() > 1e-3, "{predicted:?}");
    // It is kept with the lead.
    let (name, row) = (Key::Lead(says("a", at).key), Row::Lead(Box::new(lead.clone())));
    assert_eq!(rows::row(&name, &rows::row_bytes(&row)), Ok(row));
}

/// Outcomes of leads over two weeks, of whose variance the covariate explains a share; `lift` is
/// what the arm adds.
fn explained(seed: u64, share: f64, lift: f64) -> Tally {
    let mut random = Random::new(seed, 23);
    let mut tally = Tally::default();
    for day in 0..14 {
        let mut arms = Arms::new();
        for _ in 0..120 {
            let arm = if random.chance(0.5) { "assertive" } else { "empathetic" };
            let known = random.normal();
            let noise = share.sqrt() * known + (1.0 - share).sqrt() * random.normal();
            let ones = 10.0 + 2.8 * noise + if arm == "assertive" { 10.0 * lift } else { 0.0 };
            let outcome = Outcome { value: (ones * MICRO) as i64, base: MICRO as i64 };
            let covaried = Covaried::of((known * MICRO) as i64, outcome);
            let group =
                Group { units: 1, cells: vec![Cell::of(outcome)], covaried, ..Group::default() };
            arms.entry(arm.to_owned()).or_default().merge(&group);
        }
        tally.cohorts.insert(Cohort { day: START / DAY_MS + day, version: 1 }, Arc::new(arms));
    }
    tally
}

/// What is decided of the same outcomes, with the covariate or without.
fn decided(tally: &Tally, is_adjusted: bool) -> Report {
    let mut body = with(&[
        ("goal", json!({"metric": "conversation_length", "cap": 100})),
        ("guardrails", json!([])),
        ("metrics", json!([])),
        ("planned_units", json!(1_680)),
    ]);
    if is_adjusted {
        body["covariate"] = "saves".into();
    }
    let own = experiment(&body);
    let setup = Setup {
        plan: own.plan.as_deref().unwrap(),
        window_hours: 72,
        versions: [(1, own.arms.as_slice())].into(),
    };
    report(&setup, tally, EventTime(START + 40 * DAY_MS)).unwrap()
}

#[test]
fn an_adjusted_goal_that_is_watched_errs_as_rarely_as_it_says() {
    let runs = 400;
    let most = Limit::AtMost { rate: 0.05, stated: 0.073 }.rejections(runs);
    for share in [0.0, 0.5, 0.8] {
        let (mut erred, mut retract) = (0, 0.0);
        for seed in 0..runs {
            let reported = decided(&explained(seed, share, 0.0), true);
            erred += u64::from(reported.looks.iter().any(|look| !look.interval.contains(0.0)));
            retract += reported.comparisons[0].0.adjustment.unwrap().variance_removed / runs as f64;
        }
        println!(
            "equal arms, covariate explains {share}: {erred} of {runs} err at some look, at most \
                {most}; removed {retract:.3}"
        );
        assert!(erred <= most, "{share}: {erred} of {runs}, at most {most}");
        assert!((retract - share).abs() < 0.02, "{share}: {retract}");
    }
}

#[test]
fn a_covariate_that_explains_a_half_finds_what_would_stay_open_without_it() {
    let runs = 100;
    let (mut with_it, mut without) = (0, 0);
    for seed in 1_000..1_000 + runs {
        let tally = explained(seed, 0.5, 0.035);
        let is_found = |reported: &Report| {
            u64::from(reported.decision.verdict == Verdict::Promote("assertive".to_owned()))
        };
        let (adjusted, plain) = (decided(&tally, true), decided(&tally, false));
        with_it += is_found(&adjusted);
        without += is_found(&plain);
        // The effect is the same, and so is the one without the covariate that stands beside it.
        let (goal, other) = (&adjusted.comparisons[0].0, &plain.comparisons[0].0);
        if adjusted.decision.at == plain.decision.at {
            assert_eq!(goal.adjustment.unwrap().plain_lift, other.lift.map(|lift| lift.estimate));
            assert_eq!((other.adjustment, goal.means), (None, other.means));
        }
    }
    let most = Limit::AtMost { rate: 0.55, stated: 0.55 }.rejections(runs);
    let least = Limit::AtLeast(0.8).rejections(runs);
    println!("a lift of .035: {with_it} of {runs} promoted with the covariate, {without} without");
    assert!(
        with_it >= least && without <= most,
        "{with_it}, at least {least}; {without}, at most {most}"
    );
}

#[test]
fn after_a_change_of_weights_each_version_is_adjusted_within_itself() {
    // In the second week all outcomes are twice as high and most units are in the arm: neither
    // makes an effect.
    let mut tally = Tally::default();
    let mut random = Random::new(5, 29);
    for (version, share, level) in [(1, 0.5, 10.0), (2, 0.9, 20.0)] {
        let mut arms = Arms::new();
        for _ in 0..4_000 {
            let arm = if random.chance(share) { "assertive" } else { "empathetic" };
            let known = random.normal() + level;
            let outcome = Outcome {
                value: ((level + known + random.normal()) * MICRO) as i64,
                base: MICRO as i64,
            };
            let covaried = Covaried::of((known * MICRO) as i64, outcome);
            arms.entry(arm.to_owned()).or_default().merge(&Group {
                units: 1,
                cells: vec![Cell::of(outcome)],
                covaried,
                ..Group::default()
            });
        }
        tally
            .cohorts
            .insert(Cohort { day: START / DAY_MS + i64::from(version), version }, Arc::new(arms));
    }
    let own = experiment(&with(&[
        ("goal", json!({"metric": "conversation_length", "cap": 100})),
        ("guardrails", json!([])),
        ("metrics", json!([])),
        ("planned_units", json!(8_000)),
        ("covariate", "saves".into()),
    ]));
    let weights = [("empathetic".to_owned(), 1), ("assertive".to_owned(), 9)];
    let versions = [(1, own.arms.as_slice()), (2, weights.as_slice())].into();
    let setup = Setup { plan: own.plan.as_deref().unwrap(), window_hours: 72, versions };
    let reported = report(&setup, &tally, EventTime(START + 40 * DAY_MS)).unwrap();
    let goal = &reported.comparisons[0].0;
    let (lift, adjustment) = (goal.lift.unwrap(), goal.adjustment.unwrap());
    assert!(lift.interval.contains(0.0) && lift.interval.upper < 0.01, "{lift:?}");
    assert!(
        (0.4..0.6).contains(&adjustment.variance_removed)
            && (0.9..1.1).contains(&adjustment.coefficient),
        "{adjustment:?}"
    );
}

#[test]
fn a_covariate_that_cannot_be_used_is_refused_with_its_field() {
    let more = |fields: &[(&str, Value)]| {
        let mut body = body("saves");
        fields.iter().for_each(|(field, value)| body[*field] = value.clone());
        reported(1, 0, &body)
    };
    let by_agent = [
        ("unit", "agent".into()),
        ("planned_units", 20.into()),
        ("ends_at", json!("2026-01-21T00:00:00Z")),
    ];
    let bandit = json!({"rule": "thompson", "floor": 0.1, "epoch_days": 7});
    let cases = [
        (
            more(&[("covariate", "luck".into())]),
            "body.covariate: \"luck\" is no feature and no prediction",
        ),
        (more(&by_agent), "body.covariate: is of single leads"),
        (more(&[("allocation", bandit)]), "body.covariate: arms of a bandit"),
        (
            more(&[("goal", json!({"metric": "engagement_score"}))]),
            "body.covariate: engagement_score has one value for all leads together",
        ),
        (
            more(&[
                ("goal", Value::Null),
                ("guardrails", json!([])),
                ("metrics", json!([])),
                ("planned_units", Value::Null),
                ("decisions", Value::Null),
            ]),
            "body.covariate: means nothing without a goal",
        ),
    ];
    each_is_refused(&cases);
    // It is registered with the first version.
    let mut rules = rules(&body("saves"));
    let other = with(&[("revises", 1.into()), ("covariate", "sessions".into())]);
    assert!(
        define(&mut rules, &reported(2, 1, &other))
            .unwrap_err()
            .starts_with("body.covariate: was registered with version 1")
    );
    define(
        &mut rules,
        &reported(2, 1, &with(&[("revises", 1.into()), ("covariate", "saves".into())])),
    )
    .unwrap();
}
