//! Experiments in which the whole team changes between the arms in blocks of time: compared once,
//! at the end, as blocks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::experiments::agents::decided;
use crate::experiments::{
    DAYS, Ran, START, define, each_is_refused, experiment, exposures, key, measured, reported,
    rules, same_in_any_order, says, with, won,
};
use leadstream::domain::audit::Audit;
use leadstream::domain::event::Interaction;
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::experiment::{Experiment, is_held_out};
use leadstream::domain::units::{DAY_MS, HOUR_MS, Tenant};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

const BLOCK: i64 = 12 * HOUR_MS;
const WASHOUT: i64 = 3 * HOUR_MS;

fn body() -> Value {
    with(&[
        ("unit", "team".into()),
        ("block_hours", 12.into()),
        ("washout_hours", 3.into()),
        ("planned_units", 40.into()),
        ("ends_at", "2026-01-21T00:00:00Z".into()),
        ("guardrails", json!([])),
        ("metrics", json!([])),
    ])
}

fn block(at: i64) -> String {
    at.div_euclid(BLOCK).to_string()
}

fn arm_of(own: &Experiment, at: i64) -> String {
    own.assign(&block(at)).unwrap().arm
}

/// Leads that each ask once; how often they convert is a function of the arm and of a number of
/// their block between 0 and 1. In the washout they meet what the block before left.
fn market(
    seed: u64,
    leads: usize,
    own: &Experiment,
    rate: impl Fn(&str, f64) -> f64,
) -> Vec<Interaction> {
    let mut random = Random::new(seed, 51);
    let unlike: Vec<f64> = (0..=2 * DAYS).map(|_| random.unit()).collect();
    let mut events = Vec::new();
    for number in 0..leads {
        let (lead, at) = (
            format!("s{seed}-{number}"),
            START + number as i64 * (DAYS * DAY_MS) / leads as i64 + 1,
        );
        let met = if at.rem_euclid(BLOCK) < WASHOUT { at - BLOCK } else { at };
        events.push(says(&lead, at));
        if random.chance(rate(&arm_of(own, met), unlike[((at - START) / BLOCK) as usize])) {
            events.push(won(&lead, at + 30 * HOUR_MS, 100_000));
        }
    }
    events.push(says("last", START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    events
}

fn doubled(arm: &str, _: f64) -> f64 {
    if arm == "assertive" { 0.4 } else { 0.2 }
}

#[test]
fn all_leads_of_a_block_get_its_arm_and_those_in_its_washout_do_not_count_in_any_order_and_partitioning()
 {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let events = market(1, 1_600, &own, doubled);
    let metrics = same_in_any_order(&rules, &events, &key());
    let counted: u64 = metrics
        .tally
        .agents
        .arms
        .values()
        .flat_map(|own| own.values())
        .map(|group| group.units)
        .sum();
    let behind = |at: i64| at.rem_euclid(BLOCK) >= WASHOUT;
    let asked = events
        .iter()
        .filter(|event| event.kind.as_str() == "message.received" && event.key.lead_id() != "last");
    assert_eq!(counted, asked.filter(|event| behind(event.occurred_at.0)).count() as u64);
    let (uses, units) = metrics
        .tally
        .arms
        .values()
        .fold((0, 0), |sum, arm| (sum.0 + arm.exposures, sum.1 + arm.exposed_units));
    assert_eq!((uses, units, metrics.tally.multi_exposed), (1_600, counted, 0));
    let mut ran = Ran::new(1);
    ran.take(&rules, events);
    let seen = exposures(&ran.effects);
    let mut arms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut audit = Audit::default();
    for exposure in seen {
        assert_eq!(
            (exposure.unit.as_str(), exposure.unit_id.clone()),
            ("team", block(exposure.at.0))
        );
        arms.entry(&exposure.unit_id).or_default().insert(&exposure.arm);
        audit.take(&rules, "0/0", exposure);
    }
    let of = |arm: &str| arms.values().filter(|own| own.contains(arm)).count();
    assert!(
        arms.len() == 40
            && arms.values().all(|own| own.len() == 1)
            && of("assertive") > 10
            && of("empathetic") > 10,
        "{arms:?}"
    );
    assert_eq!((audit.wrong, audit.multi_exposed), (0, 0), "{:?}", audit.reported);
}

#[test]
fn blocks_are_compared_once_after_the_end_and_a_better_arm_is_promoted() {
    let own = experiment(&body());
    let events = market(2, 3_000, &own, doubled);
    let look = START + 24 * DAY_MS;
    let before: Vec<Interaction> =
        events.iter().filter(|event| event.occurred_at.0 < look).cloned().collect();
    let (report, ships) = decided(&body(), before);
    assert_eq!(
        (report.decision.verdict, report.units, report.waiting, ships),
        (Verdict::Continue, 0, 40, None)
    );
    assert!(
        report.comparisons.is_empty()
            && report.decision.rule.starts_with("blocks are compared once"),
        "{}",
        report.decision.rule
    );
    let (report, ships) = decided(&body(), events);
    assert_eq!(
        (report.decision.verdict.clone(), ships),
        (Verdict::Promote("assertive".to_owned()), Some(true)),
        "{report:#?}"
    );
    let (goal, _) = &report.comparisons[0];
    assert_eq!(
        (goal.units.control + goal.units.treatment, report.looks.len(), report.decision.at.0),
        (40, 1, look)
    );
    assert!(
        goal.lift.unwrap().interval.contains(1.0),
        "what the block before left is not in it: {goal:?}"
    );
    let (futile, _) = decided(&body(), market(3, 2_000, &own, |_, _| 0.2));
    assert_eq!(futile.decision.verdict, Verdict::Futile);
    assert_eq!(
        futile.decision.rule,
        "nothing is shown by 40 of 40 planned blocks: the control stays"
    );
}

#[test]
fn without_a_washout_what_the_block_before_left_dilutes_the_effect() {
    let own = experiment(&body());
    let mut without = body();
    without["washout_hours"] = 0.into();
    let (mut kept, mut diluted) = (0.0, 0.0);
    for seed in 20..30 {
        let events = market(seed, 3_000, &own, doubled);
        let difference = |body: &Value| {
            decided(body, events.clone()).0.comparisons[0].0.difference.unwrap().estimate / 10.0
        };
        kept += difference(&body());
        diluted += difference(&without);
    }
    // A quarter of the leads comes in the washout, and half of the blocks follow one of the other
    // arm.
    assert!(
        (0.185..0.215).contains(&kept) && diluted < 0.19 && kept - diluted > 0.015,
        "{kept} {diluted}"
    );
}

#[test]
fn equal_arms_in_unlike_blocks_are_rarely_told_apart() {
    let own = experiment(&body());
    let unlike = |_: &str, of_block: f64| if of_block > 0.5 { 0.6 } else { 0.1 };
    let (mut erred, runs) = (0, 40);
    for seed in 100..100 + runs {
        let (report, _) = decided(&body(), market(seed, 1_600, &own, unlike));
        erred += u64::from(!report.looks[0].interval.contains(0.0));
    }
    let most = Limit::AtMost { rate: 0.05, stated: 0.073 }.rejections(runs);
    println!("equal arms, unlike blocks: {erred} of {runs} err, at most {most}");
    assert!(erred <= most, "{erred} of {runs}, at most {most}");
}

#[test]
fn a_lead_stays_in_its_block_and_counts_only_where_its_first_exposure_is_in_it() {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let middle = START + 5 * BLOCK + 6 * HOUR_MS;
    let mut ran = Ran::new(1);
    ran.take(&rules, [says("a", middle), says("a", middle + BLOCK), says("b", middle + HOUR_MS)]);
    let units = |ran: &mut Ran| {
        let metrics = measured(&ran.report(&rules, 0)).clone();
        metrics
            .tally
            .agents
            .arms
            .values()
            .flat_map(|own| own.values())
            .map(|group| group.units)
            .sum::<u64>()
    };
    assert_eq!(units(&mut ran), 2);
    let own_block = (block(middle), arm_of(&own, middle));
    assert!(
        exposures(&ran.effects)
            .iter()
            .all(|exposure| (exposure.unit_id.clone(), exposure.arm.clone()) == own_block),
        "also a block later"
    );
    // A message that comes late was the first: in the block before, whose arm the lead never had.
    ran.take(&rules, [says("b", middle - 8 * HOUR_MS)]);
    assert_eq!(units(&mut ran), 1);
    ran.take(&rules, [says("a", middle - 4 * HOUR_MS)]);
    assert_eq!(units(&mut ran), 0, "in the washout of its own block");
}

#[test]
fn of_a_team_it_is_leads_that_are_held_out() {
    let mut rules = rules(&body());
    let settings = r#"{"tenant":"acme","kind":"settings","name":"s","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{"holdout":2500}}"#;
    define(&mut rules, settings).unwrap();
    let mut ran = Ran::new(1);
    ran.take(
        &rules,
        (0..400).map(|number| says(&format!("lead-{number}"), START + 4 * HOUR_MS + number)),
    );
    let seen: BTreeSet<_> =
        exposures(&ran.effects).iter().map(|exposure| exposure.key.lead_id().to_owned()).collect();
    let tenant = Tenant::new("acme").unwrap();
    assert!(
        (0..400)
            .map(|number| format!("lead-{number}"))
            .all(|lead| seen.contains(&lead) != is_held_out(&tenant, &lead, 2_500))
    );
    assert!((250..350).contains(&seen.len()));
}

#[test]
fn a_team_that_cannot_be_compared_is_refused_with_its_field() {
    let more = |fields: &[(&str, Value)]| {
        let mut body = body();
        fields.iter().for_each(|(field, value)| body[*field] = value.clone());
        reported(1, 0, &body)
    };
    let cases = [
        (
            more(&[("block_hours", Value::Null), ("washout_hours", Value::Null)]),
            "body.block_hours: how long",
        ),
        (more(&[("block_hours", 700.into())]), "body: block_hours must be 1 to 672"),
        (more(&[("washout_hours", 12.into())]), "washout_hours 0 to less than that"),
        (
            more(&[("block_hours", 2.into()), ("washout_hours", 1.into())]),
            "body.block_hours: makes 240 blocks until ends_at, and at most 200",
        ),
        (more(&[("planned_units", 4.into())]), "body.planned_units: blocks in all arms, 8 to 200"),
        (more(&[("ends_at", Value::Null)]), "body.ends_at: when the last lead is let in"),
        (
            more(&[
                ("unit", "lead".into()),
                ("ends_at", Value::Null),
                ("planned_units", 400.into()),
            ]),
            "body.block_hours: is of the unit team",
        ),
        (with_washout(), "body.washout_hours: is of blocks"),
        (more(&[("metrics", json!([{"metric": "response_time"}]))]), "body.metrics: response_time"),
        (more(&[("covariate", "saves".into())]), "body.covariate: is of single leads"),
        (
            more(&[("allocation", json!({"rule": "thompson", "floor": 0.1, "epoch_days": 7}))]),
            "body.allocation: weights never change",
        ),
        (
            more(&[
                ("goal", Value::Null),
                ("planned_units", Value::Null),
                ("ends_at", Value::Null),
                ("decisions", Value::Null),
            ]),
            "body.goal: of the unit team it is needed",
        ),
        (more(&[("unit", "crowd".into())]), "body.unit: \"crowd\" is none of lead, agent, team"),
    ];
    each_is_refused(&cases);
    // As of agents, weights never change, and blocks are registered with the first version.
    let mut rules = rules(&body());
    let next = |field: &str, value: Value| {
        let mut body = body();
        (body["revises"], body[field]) = (1.into(), value);
        reported(2, 1, &body)
    };
    let weights =
        json!([{"strategy": "empathetic", "weight": 2}, {"strategy": "assertive", "weight": 1}]);
    assert!(
        define(&mut rules, &next("arms", weights))
            .unwrap_err()
            .starts_with("body.arms: was registered")
    );
    assert!(
        define(&mut rules, &next("block_hours", 24.into()))
            .unwrap_err()
            .contains("was registered with version 1")
    );
}

fn with_washout() -> String {
    reported(1, 0, &with(&[("washout_hours", 1.into())]))
}
