//! Experiments of more than two arms while they run: what is dropped, promoted and weighed anew,
//! through the pipeline and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::{
    Arm, Ran, START, USUAL, experiment, exposures, market, measured, rules, says, with, won,
};
use leadstream::codec::definition::{allocation_update, body_of, conclusion};
use leadstream::domain::audit::Audit;
use leadstream::domain::event::Interaction;
use leadstream::domain::experiment::analysis::decision::{Report, report};
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::tally::{Cell, Cohort, Group, Tally};
use leadstream::domain::rules::{Definition, Rules};
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS};
use leadstream::pipeline::Effect;
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

const MICRO: i64 = 1_000_000;

pub(crate) fn three(more: &[(&str, Value)]) -> Value {
    let arms =
        ["empathetic", "assertive", "analytical"].map(|arm| json!({"strategy": arm, "weight": 1}));
    let mut fields =
        vec![("arms", json!(arms)), ("metrics", json!([])), ("planned_units", json!(6_000))];
    fields.extend_from_slice(more);
    with(&fields)
}

/// A market in which what a lead does depends on the arm that it was given, while definitions come
/// back through the log.
pub(crate) struct Live {
    pub(crate) rules: Rules,
    pub(crate) ran: Ran,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) reports: Vec<Report>,
    /// Everything that was taken, in order.
    log: Vec<Interaction>,
}

impl Live {
    /// So many new leads a day; each writes once, and twice more in the week after.
    pub(crate) fn run(
        body: &Value,
        (seed, days, leads): (u64, i64, usize),
        arm: impl Fn(i64, &str) -> Arm,
    ) -> Self {
        let mut live = Self {
            rules: rules(body),
            ran: Ran::new(3),
            definitions: Vec::new(),
            reports: Vec::new(),
            log: Vec::new(),
        };
        let mut random = Random::new(seed, 11);
        let mut waiting: BTreeMap<i64, Vec<Interaction>> = BTreeMap::new();
        for day in 0..days {
            let begin = START + day * DAY_MS;
            for number in 0..leads {
                let at = begin + HOUR_MS + number as i64 * (20 * HOUR_MS) / leads as i64;
                let lead = format!("s{seed}-{day}-{number}");
                live.take(says(&lead, at));
                let given = exposures(&live.ran.effects)
                    .pop()
                    .filter(|exposure| exposure.key.lead_id() == lead)
                    .map(|exposure| exposure.arm.clone());
                let does = given.map_or(USUAL, |given| arm(day, &given));
                let mut later = |event: Interaction| {
                    waiting.entry((event.occurred_at.0 - START) / DAY_MS).or_default().push(event)
                };
                if random.chance(does.replies) {
                    later(says(&lead, at + 25 * HOUR_MS));
                }
                if random.chance(does.converts) {
                    later(won(&lead, at + 30 * HOUR_MS, 100_000));
                }
                later(says(&lead, at + 6 * DAY_MS));
            }
            for event in waiting.remove(&day).unwrap_or_default() {
                live.take(event);
            }
            live.look(day);
        }
        live
    }

    fn take(&mut self, event: Interaction) {
        self.log.push(event.clone());
        self.ran.take(&self.rules, [event]);
    }

    /// All partitions report, and what follows is read by all of them.
    pub(crate) fn look(&mut self, seed: i64) {
        let effects = self.ran.report(&self.rules, seed as u64);
        for effect in &effects {
            let definition = match effect {
                Effect::Conclusion(concluded) => conclusion(concluded),
                Effect::AllocationUpdate(reweighted) => allocation_update(reweighted),
                _ => continue,
            };
            // A report of each partition may conclude until the first conclusion was read.
            if !self
                .definitions
                .iter()
                .any(|known| (&known.kind, known.version) == (&definition.kind, definition.version))
            {
                self.rules.define(&definition, body_of(&definition).unwrap()).unwrap();
                self.definitions.push(definition);
            }
        }
        self.reports.extend(effects.iter().rev().find_map(|effect| match effect {
            Effect::ExperimentMetrics(metrics) => metrics.report.as_deref().cloned(),
            _ => None,
        }));
    }

    /// No unit was ever in two arms, and every assignment is what its version gives.
    pub(crate) fn check(&self) {
        let mut audit = Audit::default();
        exposures(&self.ran.effects)
            .into_iter()
            .for_each(|exposure| audit.take(&self.rules, "0/0", exposure));
        assert_eq!((audit.multi_exposed, audit.wrong), (0, 0), "{:?}", audit.reported);
    }
}

#[test]
fn an_arm_that_is_worse_is_dropped_by_itself_and_the_better_of_the_others_is_promoted() {
    let does = |_: i64, arm: &str| match arm {
        "assertive" => Arm { replies: 0.15, ..USUAL },
        "analytical" => Arm { converts: 0.35, ..USUAL },
        _ => USUAL,
    };
    let live = Live::run(&three(&[]), (1, 18, 150), does);
    live.check();
    let kinds: Vec<_> = live
        .definitions
        .iter()
        .map(|definition| (definition.kind.as_str(), definition.version))
        .collect();
    assert_eq!(kinds, [("experiment", 2), ("policy", 1)]);
    let dropped: Value = serde_json::from_str(&live.definitions[0].body).unwrap();
    assert_eq!(
        dropped["arms"],
        json!([{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 0}, {"strategy": "analytical", "weight": 1}])
    );
    assert!(
        dropped["revises"] == 1
            && dropped["reason"].as_str().unwrap().starts_with("assertive is worse: reply_rate"),
        "{dropped}"
    );
    // From then on nobody is coached so, neither new leads nor those that had the arm.
    let seen = exposures(&live.ran.effects);
    let from = live.definitions[0].effective_at;
    let had: BTreeSet<_> = seen
        .iter()
        .filter(|exposure| exposure.arm == "assertive")
        .map(|exposure| exposure.key.lead_id())
        .collect();
    assert!(
        had.len() > 100
            && seen
                .iter()
                .all(|exposure| exposure.at < from || !had.contains(exposure.key.lead_id()))
    );
    assert!(
        live.log.iter().any(|event| event.occurred_at > from && had.contains(event.key.lead_id())),
        "they go on writing"
    );
    let last = live.reports.last().unwrap();
    assert_eq!(
        last.decision.verdict,
        Verdict::Promote("analytical".to_owned()),
        "{}",
        last.decision.rule
    );
    assert_eq!(
        last.dropped.iter().map(|dropped| dropped.arm.as_str()).collect::<Vec<_>>(),
        ["assertive"]
    );
    assert!(last.decision.rule.contains("adjusted for 2 arms"), "{}", last.decision.rule);
    // Both versions are one experiment, whose units of both are compared.
    let (goal, _) = last.comparisons.iter().find(|(goal, _)| goal.arm == "analytical").unwrap();
    assert!(goal.units.treatment > 300 && goal.units.control > 300, "{goal:?}");
}

#[test]
fn with_advice_an_arm_that_is_worse_is_told_and_goes_on() {
    let does =
        |_: i64, arm: &str| if arm == "assertive" { Arm { replies: 0.15, ..USUAL } } else { USUAL };
    let live = Live::run(&three(&[("decisions", json!({"act": "advise"}))]), (2, 12, 150), does);
    let last = live.reports.last().unwrap();
    assert!(
        live.definitions.is_empty()
            && last.has_dropped("assertive")
            && last.decision.verdict == Verdict::Continue,
        "{last:#?}"
    );
}

/// Units of each arm over ten days: conversions and replies.
fn tally(arms: &[(&str, u64, u64, u64)]) -> Tally {
    let mut tally = Tally::default();
    for day in 0..10 {
        let share = |count: u64| count / 10 + u64::from(count % 10 > day as u64);
        let mut groups = BTreeMap::new();
        for (arm, units, conversions, replies) in arms {
            let cell = |count: u64| {
                let one = Cell::of(Outcome { value: MICRO, base: MICRO });
                let n = i128::from(share(*units));
                Cell {
                    nonzero: count,
                    sum: one.sum * i128::from(count),
                    squares: one.squares * i128::from(count),
                    base: one.base * n,
                    base_squares: one.base_squares * n,
                    products: one.products * i128::from(count),
                }
            };
            groups.insert(
                (*arm).to_owned(),
                Group {
                    units: share(*units),
                    cells: vec![cell(share(*conversions)), cell(share(*replies))],
                    ..Group::default()
                },
            );
        }
        let first = START / DAY_MS;
        tally.cohorts.insert(Cohort { day: first + day, version: 1 }, Arc::new(groups));
    }
    tally
}

fn judged(arms: &[(&str, u64, u64, u64)]) -> Report {
    let own = experiment(&three(&[]));
    let setup = Setup {
        plan: own.plan.as_ref().unwrap(),
        window_hours: own.window_hours,
        versions: BTreeMap::from([(1, own.arms.as_slice())]),
    };
    report(&setup, &tally(arms), EventTime(START + 30 * DAY_MS)).unwrap()
}

#[test]
fn promotion_is_judged_by_p_values_adjusted_for_the_arms() {
    let goal = |report: &Report, arm: &str| {
        report.comparisons.iter().find(|(goal, _)| goal.arm == arm).unwrap().0.clone()
    };
    // Better by as much as one arm alone would need, and not enough for one of two.
    let alone = judged(&[
        ("empathetic", 1_500, 150, 750),
        ("assertive", 1_500, 150, 750),
        ("analytical", 1_500, 207, 750),
    ]);
    let found = goal(&alone, "analytical");
    assert!(
        (0.025..0.05).contains(&found.p_value.unwrap()) && found.p_adjusted.unwrap() > 0.05,
        "{found:?}"
    );
    assert_eq!(alone.decision.verdict, Verdict::Continue);
    // The other arm is shown to differ: the whole level is left for this one.
    let both = judged(&[
        ("empathetic", 1_500, 150, 750),
        ("assertive", 1_500, 60, 750),
        ("analytical", 1_500, 207, 750),
    ]);
    let found = goal(&both, "analytical");
    assert_eq!(found.p_adjusted, found.p_value);
    assert!(
        both.has_dropped("assertive")
            && both.decision.verdict == Verdict::Promote("analytical".to_owned()),
        "{both:#?}"
    );
    // Of two better arms the one that is better by more.
    let two = judged(&[
        ("empathetic", 1_500, 150, 750),
        ("assertive", 1_500, 300, 750),
        ("analytical", 1_500, 260, 750),
    ]);
    assert_eq!(two.decision.verdict, Verdict::Promote("assertive".to_owned()));
    // When none is left the experiment is rolled back, and says why of each.
    let none = judged(&[
        ("empathetic", 1_500, 300, 750),
        ("assertive", 1_500, 60, 750),
        ("analytical", 1_500, 150, 300),
    ]);
    assert_eq!((none.decision.verdict, none.dropped.len()), (Verdict::RollBack, 2));
    assert!(
        none.decision.rule.contains("assertive is worse: conversion_rate")
            && none.decision.rule.contains("analytical is worse: reply_rate"),
        "{}",
        none.decision.rule
    );
}

#[test]
fn equal_arms_are_rarely_dropped_or_promoted() {
    let runs = 24;
    let body = three(&[("planned_units", json!(900))]);
    let (rules, own) = (rules(&body), experiment(&body));
    let (mut dropped, mut promoted) = (0, 0);
    for run in 0..runs {
        let mut ran = Ran::new(1);
        ran.take(&rules, market(5_000 + run, 900, &own, |_| USUAL));
        let effects = ran.report(&rules, 0);
        let report = measured(&effects).report.as_ref().unwrap();
        dropped += u64::from(!report.dropped.is_empty());
        promoted += u64::from(matches!(report.decision.verdict, Verdict::Promote(_)));
    }
    let most = Limit::AtMost { rate: 0.05, stated: 0.073 }.rejections(runs);
    assert!(
        dropped <= most && promoted <= most,
        "{dropped} dropped, {promoted} promoted, at most {most} of each"
    );
}

#[test]
fn new_weights_are_written_once_whatever_is_reported_before_they_are_read() {
    let does =
        |_: i64, arm: &str| if arm == "assertive" { Arm { replies: 0.2, ..USUAL } } else { USUAL };
    let live = Live::run(&three(&[("decisions", json!({"act": "advise"}))]), (3, 12, 150), does);
    let acting = rules(&three(&[]));
    let mut ran = live.ran;
    ran.trial = leadstream::pipeline::Memory::default();
    let written = |effects: Vec<Effect>| {
        let version = |effect: &Effect| {
            if let Effect::AllocationUpdate(written) = effect {
                Some(written.version)
            } else {
                None
            }
        };
        effects.iter().filter_map(version).collect::<Vec<_>>()
    };
    assert_eq!(written(ran.report(&acting, 1)), [2]);
    ran.take(&acting, [says("more", START + 18 * DAY_MS)]);
    assert_eq!(written(ran.report(&acting, 2)), [0_u32; 0]);
    // Somebody else was there first with that version: the next one is written.
    let mut processed = acting.clone();
    let other = three(&[("revises", json!(1)), ("traffic_allocation", json!(9_000))]);
    crate::experiments::define(&mut processed, &crate::experiments::reported(2, 3, &other))
        .unwrap();
    ran.take(&processed, [says("again", START + 19 * DAY_MS)]);
    assert_eq!(written(ran.report(&processed, 3)), [3]);
}
