//! The goal compared within kinds of leads: from the log, and on data whose truth is known.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::{
    START, USUAL, define, each_is_refused, experiment, key, market, reported, rules,
    same_in_any_order, with,
};
use leadstream::codec::{avro, results};
use leadstream::domain::event::{Channel, EventType, Interaction};
use leadstream::domain::experiment::analysis::decision::{Report, report};
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::stratum::Stratum;
use leadstream::domain::experiment::tally::{Arms, Cell, Cohort, Group, Tally};
use leadstream::domain::units::{DAY_MS, EventTime};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

const MICRO: f64 = 1e6;

fn body(strata: &str) -> Value {
    with(&[("strata", strata.into())])
}

/// A lead writes in one channel.
fn channel(lead: &str) -> Option<Channel> {
    let number: usize = lead.rsplit('-').next().unwrap().parse().unwrap();
    [Some(Channel::Sms), Some(Channel::Email), Some(Channel::Post), None]
        .into_iter()
        .nth(number % 4)
        .unwrap()
}

#[test]
fn strata_are_counted_as_they_were_at_the_first_exposure_in_any_order_and_partitioning() {
    let (rules, own) = (rules(&body("channel")), experiment(&body("channel")));
    let spoken = |event: Interaction| match event.kind {
        EventType::MessageReceived => {
            Interaction { channel: channel(event.key.lead_id()), ..event }
        }
        _ => event,
    };
    let events: Vec<Interaction> =
        market(41, 600, &own, |_| USUAL).into_iter().map(spoken).collect();
    let metrics = same_in_any_order(&rules, &events, &key());
    let groups = || metrics.tally.cohorts.values().flat_map(|arms| arms.values());
    let units = |stratum: u8| {
        groups().filter_map(|group| group.strata.get(&stratum)).map(|sums| sums.units).sum::<u64>()
    };
    // What has no stratum of its own, and what has no channel, are one.
    assert_eq!([units(0), units(1), units(6)], [150, 150, 300]);
    assert!(groups().all(
        |group| group.strata.values().map(|sums| sums.sum).sum::<i128>() == group.cells[0].sum
    ));
    let report = metrics.report.as_ref().unwrap();
    let stratified = report.comparisons[0].1.stratified.unwrap();
    assert!(
        report.comparisons[1..].iter().all(|(_, display)| display.stratified.is_none()),
        "only the goal"
    );
    // Channels explain nothing here, so it is the plain comparison, nearly.
    let difference = report.comparisons[0].0.difference.unwrap();
    assert!(
        (stratified.difference - difference.estimate).abs() < 0.01,
        "{stratified:?} {difference:?}"
    );
    let record = avro::describe(&results::metrics_record(&metrics).1).unwrap();
    let reported = &record["results"]["comparisons"][0];
    assert_eq!(reported["stratified_lower"].as_f64(), Some(stratified.interval.lower));
    // The stage is one more way: all of these are in the first one.
    let staged = crate::experiments::rules(&body("stage"));
    let mut ran = crate::experiments::Ran::new(1);
    ran.take(&staged, events);
    let metrics = crate::experiments::measured(&ran.report(&staged, 0)).clone();
    let stages = || {
        metrics
            .tally
            .cohorts
            .values()
            .flat_map(|arms| arms.values())
            .flat_map(|group| group.strata.keys())
    };
    assert!(stages().count() > 0 && stages().all(|stage| *stage < 6));
}

/// Two weeks of leads of three kinds, of which the kind explains most of the outcome; one more lead
/// is of a kind of its own.
fn kinds(seed: u64, lift: f64) -> Tally {
    let mut random = Random::new(seed, 43);
    let mut tally = Tally::default();
    let mut add = |day: i64, arm: &str, stratum: u8, ones: f64| {
        let outcome = Outcome { value: (ones * MICRO) as i64, base: MICRO as i64 };
        let strata = [(stratum, Stratum::of(outcome))].into();
        let group = Group { units: 1, cells: vec![Cell::of(outcome)], strata, ..Group::default() };
        let mut one = Tally::default();
        one.cohorts.insert(
            Cohort { day: START / DAY_MS + day, version: 1 },
            Arc::new(Arms::from([(arm.to_owned(), group)])),
        );
        tally.merge(&one);
    };
    for day in 0..14 {
        for _ in 0..60 {
            let (arm, stratum) = (
                if random.chance(0.5) { "assertive" } else { "empathetic" },
                random.below(3) as u8,
            );
            let ones = 10.0
                + 3.0 * f64::from(stratum)
                + random.normal()
                + if arm == "assertive" { lift } else { 0.0 };
            add(day, arm, stratum, ones);
        }
    }
    add(3, "assertive", 6, 10.0);
    tally
}

fn decided(tally: &Tally) -> Report {
    let own = experiment(&with(&[
        ("goal", json!({"metric": "conversation_length", "cap": 100})),
        ("guardrails", json!([])),
        ("metrics", json!([])),
        ("planned_units", json!(1_000)),
        ("strata", "channel".into()),
    ]));
    let setup = Setup {
        plan: own.plan.as_deref().unwrap(),
        window_hours: 72,
        versions: [(1, own.arms.as_slice())].into(),
    };
    report(&setup, tally, EventTime(START + 40 * DAY_MS)).unwrap()
}

#[test]
fn within_kinds_that_explain_the_outcome_the_interval_is_narrower_and_errs_as_rarely_as_it_says() {
    let runs = 400;
    let (mut erred, mut narrower) = (0, 0.0);
    for seed in 0..runs {
        let report = decided(&kinds(seed, 0.0));
        let display = &report.comparisons[0].1;
        let (stratified, plain) = (display.stratified.unwrap(), display.fixed.unwrap());
        erred += u64::from(!stratified.interval.contains(0.0));
        assert_eq!(stratified.p_value < 0.05, !stratified.interval.contains(0.0));
        narrower += (stratified.interval.upper - stratified.interval.lower)
            / (plain.upper - plain.lower)
            / runs as f64;
    }
    let most = Limit::AtMost { rate: 0.05, stated: 0.073 }.rejections(runs);
    let least = Limit::AtLeast(0.05).rejections(runs);
    println!(
        "equal arms, strata explain six sevenths: {erred} of {runs} err, {least} to {most}; width \
            {narrower:.3}"
    );
    assert!((least..=most).contains(&erred), "{erred} of {runs}, {least} to {most}");
    // The kinds have a variance of 6 beside 1 within them.
    assert!((narrower - (1.0_f64 / 7.0).sqrt()).abs() < 0.02, "{narrower}");
    let found = decided(&kinds(9, 0.3)).comparisons[0].1.stratified.unwrap();
    assert!(found.interval.lower > 0.0 && found.interval.contains(0.3), "{found:?}");
}

#[test]
fn what_strata_say_decides_nothing() {
    let mut plain = kinds(9, 0.3);
    for arms in plain.cohorts.values_mut() {
        Arc::make_mut(arms).values_mut().for_each(|group| group.strata.clear());
    }
    let (with_strata, without) = (decided(&kinds(9, 0.3)), decided(&plain));
    assert_eq!(without.comparisons[0].1.stratified, None);
    assert_eq!((with_strata.decision, with_strata.looks), (without.decision, without.looks));
    assert_eq!(with_strata.comparisons[0].0, without.comparisons[0].0);
}

#[test]
fn strata_that_cannot_be_used_are_refused_with_their_field() {
    let more = |field: &str, value: Value| {
        let mut body = body("stage");
        body[field] = value;
        reported(1, 0, &body)
    };
    let cases = [
        (more("strata", "luck".into()), "body.strata: \"luck\" is none of stage, channel"),
        (
            more("allocation", json!({"rule": "thompson", "floor": 0.1, "epoch_days": 7})),
            "body.strata: arms of a bandit",
        ),
        (
            more("goal", json!({"metric": "coaching_satisfaction"})),
            "body.strata: coaching_satisfaction has one value for all leads together",
        ),
    ];
    each_is_refused(&cases);
    let mut rules = rules(&body("stage"));
    let other = with(&[("revises", 1.into()), ("strata", "channel".into())]);
    assert!(
        define(&mut rules, &reported(2, 1, &other))
            .unwrap_err()
            .starts_with("body.strata: was registered with version 1")
    );
}
