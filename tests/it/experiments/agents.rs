//! Experiments in which all leads of an agent get its arm: compared once, at the end, as agents.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::multi_exposed::handed;
use crate::experiments::{
    DAYS, Ran, START, concluded, experiment, exposures, key, measured, rules, same_in_any_order,
    says, with, won,
};
use leadstream::domain::event::Interaction;
use leadstream::domain::experiment::analysis::agents;
use leadstream::domain::experiment::analysis::decision::Report;
use leadstream::domain::experiment::analysis::verdicts::Verdict;
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::tally::{AGENTS_MAX, Agents, Cell, Cohort, Group};
use leadstream::domain::experiment::{Experiment, Tally};
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::Limit;

fn body() -> Value {
    let guardrails = json!([{"metric": "reply_rate", "margin": 0.3}]);
    with(&[
        ("unit", "agent".into()),
        ("planned_units", 24.into()),
        ("ends_at", "2026-01-21T00:00:00Z".into()),
        ("guardrails", guardrails),
    ])
}

/// Leads of agents that differ in how often they convert; `arm` is what their arm makes of a rate.
fn market(
    seed: u64,
    (agents, leads): (usize, usize),
    experiment: &Experiment,
    arm: impl Fn(&str, f64) -> f64,
) -> Vec<Interaction> {
    let mut random = Random::new(seed, 11);
    let mut events = Vec::new();
    let rates: Vec<f64> = (0..agents).map(|_| random.between(0.1, 0.3)).collect();
    for number in 0..agents * leads {
        let (agent, lead) =
            (format!("agent-{seed}-{}", number % agents), format!("s{seed}-{number}"));
        let at =
            START + 12 * HOUR_MS + number as i64 * (DAYS - 1) * DAY_MS / (agents * leads) as i64;
        let rate = arm(&experiment.assign(&agent).unwrap().arm, rates[number % agents]);
        events.extend([handed(&lead, &agent, at - 11 * HOUR_MS), says(&lead, at)]);
        if random.chance(0.7) {
            events.push(says(&lead, at + 20 * HOUR_MS));
        }
        if random.chance(rate) {
            events.push(won(&lead, at + 30 * HOUR_MS, 100_000));
        }
    }
    events.push(says("last", START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    events
}

/// What is decided, and whether an arm is shipped where the experiment ends.
pub(crate) fn decided(body: &Value, events: Vec<Interaction>) -> (Report, Option<bool>) {
    let rules = rules(body);
    let mut ran = Ran::new(2);
    ran.take(&rules, events);
    let effects = ran.report(&rules, 0);
    (
        *measured(&effects).report.clone().unwrap(),
        concluded(&effects).map(|conclusion| conclusion.policy.strategy.is_some()),
    )
}

fn doubled(arm: &str, rate: f64) -> f64 {
    if arm == "assertive" { 2.0 * rate } else { rate }
}

#[test]
fn agents_are_compared_once_after_the_end_and_a_better_arm_is_promoted() {
    let own = experiment(&body());
    let events = market(1, (24, 40), &own, doubled);
    // Before the end of all windows nothing is compared, however clear it is.
    let look = START + 24 * DAY_MS;
    let before: Vec<Interaction> =
        events.iter().filter(|event| event.occurred_at.0 < look).cloned().collect();
    let (report, ships) = decided(&body(), before);
    assert_eq!(
        (report.decision.verdict, report.units, report.waiting, ships),
        (Verdict::Continue, 0, 24, None)
    );
    assert!(
        report.comparisons.is_empty()
            && report.looks.is_empty()
            && report.decision.rule.starts_with("agents are compared once")
    );
    let (report, ships) = decided(&body(), events);
    assert_eq!(
        (report.decision.verdict.clone(), ships),
        (Verdict::Promote("assertive".to_owned()), Some(true)),
        "{report:#?}"
    );
    assert_eq!(
        (report.units, report.waiting, report.decision.at.0, report.once_at.unwrap().0),
        (24, 0, look, look)
    );
    let (goal, display) = &report.comparisons[0];
    assert_eq!(
        (goal.units.control + goal.units.treatment, report.looks.len(), report.worth(goal)),
        (24, 1, None)
    );
    assert!(goal.lift.unwrap().interval.contains(1.0) && display.exact_p.unwrap() < 0.01);
    // The next day says the same: there is no second look.
    let mut later = market(1, (24, 40), &own, doubled);
    later.push(says("later", START + (DAYS + 9) * DAY_MS));
    assert_eq!(decided(&body(), later).0, report);
}

#[test]
fn what_agents_do_not_show_is_not_shipped() {
    let own = experiment(&body());
    let verdict = |more: &[(&str, Value)], events: Vec<Interaction>| {
        let mut body = body();
        more.iter().for_each(|(field, value)| body[*field] = value.clone());
        decided(&body, events).0.decision
    };
    let equal = || market(2, (24, 40), &own, |_, rate| rate);
    let futile = verdict(&[], equal());
    assert_eq!(
        (futile.verdict, futile.rule.as_str()),
        (Verdict::Futile, "nothing is shown by 24 of 24 planned agents: the control stays")
    );
    let wide = json!({"equivalence": 0.95});
    assert_eq!(verdict(&[("decisions", wide)], equal()).verdict, Verdict::Equivalent);
    // With fewer than thirty conversions of an arm the bounds may not be acted on.
    assert_eq!(
        verdict(&[], market(3, (24, 40), &own, |arm, rate| doubled(arm, rate) / 6.0)).verdict,
        Verdict::Futile
    );
    let worse = |arm: &str, rate: f64| if arm == "assertive" { 0.3 * rate } else { rate };
    assert_eq!(verdict(&[], market(4, (24, 80), &own, worse)).verdict, Verdict::RollBack);
    // Five agents are too few for their arms, however many leads they have.
    let few = market(1, (5, 200), &own, doubled);
    assert_eq!(verdict(&[], few).verdict, Verdict::Futile);
    // And twenty agents that all got one arm were not drawn by its weight.
    let mut events = market(5, (40, 20), &own, doubled);
    let is_other = |event: &Interaction| {
        event.agent_id.as_ref().is_some_and(|agent| own.assign(agent).unwrap().arm == "empathetic")
    };
    let others: std::collections::BTreeSet<_> =
        events.iter().filter(|event| is_other(event)).map(|event| event.key.clone()).collect();
    events.retain(|event| !others.contains(&event.key));
    assert_eq!(verdict(&[], events).verdict, Verdict::SampleRatio);
}

#[test]
fn equal_arms_of_unlike_agents_are_rarely_told_apart() {
    let own = experiment(&body());
    let unlike = |_: &str, rate: f64| if rate > 0.2 { 0.6 } else { 0.05 };
    let (mut ended, runs) = (0, 40);
    for seed in 0..runs {
        let (report, _) = decided(&body(), market(100 + seed, (16, 20), &own, unlike));
        ended += u64::from(!matches!(report.decision.verdict, Verdict::Futile));
    }
    let errors_max = Limit::AtMost { rate: 0.1, stated: 0.1 }.rejections(runs);
    assert!(ended <= errors_max, "{ended} of {runs}, at most {errors_max}");
}

#[test]
fn nobody_is_let_in_after_the_end() {
    let (rules, end) = (rules(&body()), START + 20 * DAY_MS);
    let mut ran = Ran::new(1);
    let leads = ["before", "after", "late"];
    ran.take(&rules, leads.map(|lead| handed(lead, "agent-1", START)));
    ran.take(
        &rules,
        [
            says("before", end - 1),
            says("after", end),
            says("before", end + HOUR_MS),
            says("late", end),
            says("late", end - 1),
        ],
    );
    let exposed: Vec<_> =
        exposures(&ran.effects).iter().map(|exposure| exposure.key.lead_id().to_owned()).collect();
    assert_eq!(exposed, ["before", "before", "late"]);
}

#[test]
fn sums_of_agents_do_not_depend_on_order_repetition_and_partitioning() {
    let own = experiment(&body());
    let mut events = market(6, (24, 20), &own, doubled);
    // One lead in four is handed to the next agent within its window.
    let moved: Vec<Interaction> =
        events.iter().filter(|event| event.agent_id.is_some()).step_by(4).cloned().collect();
    events.extend(moved.iter().enumerate().map(|(index, event)| {
        handed(
            event.key.lead_id(),
            &format!("agent-6-{}", index % 24),
            event.occurred_at.0 + 24 * HOUR_MS,
        )
    }));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    let metrics = same_in_any_order(&rules(&body()), &events, &key());
    let report = metrics.report.unwrap();
    assert!(
        report.units == 24
            && metrics.tally.multi_exposed > 20
            && report.comparisons[0].0.lift.is_some(),
        "{report:#?}"
    );
    let units: u64 = metrics
        .tally
        .agents
        .arms
        .values()
        .flat_map(|own| own.values())
        .map(|group| group.units)
        .sum();
    assert_eq!(units + metrics.tally.multi_exposed, 24 * 20);
}

#[test]
fn with_more_agents_than_are_kept_apart_nothing_is_concluded_in_any_order() {
    let tally = |agent: u64| Tally {
        agents: Agents::of(
            "assertive",
            &format!("agent-{agent}"),
            Group { units: 1, ..Group::default() },
        ),
        ..Tally::default()
    };
    let merged = |agents: &mut dyn Iterator<Item = u64>| {
        agents.fold(Tally::default(), |mut sum, agent| {
            sum.merge(&tally(agent));
            sum
        })
    };
    assert_eq!(merged(&mut (0..AGENTS_MAX)).agents.count(), AGENTS_MAX);
    let full = merged(&mut (0..=AGENTS_MAX));
    assert!(full.agents.is_full && full == merged(&mut (0..=AGENTS_MAX).rev()));
    let mut halves = merged(&mut (0..150));
    halves.merge(&merged(&mut (150..300)));
    halves.retract(&tally(7));
    assert_eq!(halves, full);
    let mut few = merged(&mut (0..3));
    few.merge(&full);
    assert_eq!(few, full);
    let own = experiment(&body());
    let (report, _) = decided(&body(), market(7, (210, 2), &own, doubled));
    assert_eq!(report.decision.verdict, Verdict::Futile);
    assert!(
        report.decision.rule.starts_with("more than 200 agents had leads"),
        "{}",
        report.decision.rule
    );
}

/// What is decided of agents with a hundred leads each, of which so many convert.
fn verdict_of(control: &[u64], treatment: &[u64]) -> (Report, f64) {
    let own = experiment(&with(&[
        ("unit", "agent".into()),
        ("planned_units", 8.into()),
        ("ends_at", "2026-01-21T00:00:00Z".into()),
        ("guardrails", json!([])),
        ("metrics", json!([])),
    ]));
    let mut tally = Tally::default();
    for (arm, agents) in [("empathetic", control), ("assertive", treatment)] {
        for (agent, converted) in agents.iter().enumerate() {
            for lead in 0..100 {
                let cells = vec![Cell::of(Outcome {
                    value: if lead < *converted { 1_000_000 } else { 0 },
                    base: 1_000_000,
                })];
                let group = Group { units: 1, cells, ..Group::default() };
                let mut one = Tally {
                    agents: Agents::of(arm, &format!("{arm}-{agent}"), group.clone()),
                    ..Tally::default()
                };
                let cohort = Cohort { day: START / DAY_MS + lead as i64 / 10, version: 1 };
                one.cohorts.insert(cohort, Arc::new([(arm.to_owned(), group)].into()));
                tally.merge(&one);
            }
        }
    }
    let plan = own.plan.as_deref().unwrap();
    let setup = Setup { plan, window_hours: 72, versions: [(1, own.arms.as_slice())].into() };
    let report =
        agents::report(&setup, plan.ends_at.unwrap(), (&tally, EventTime(START + 30 * DAY_MS)))
            .unwrap();
    let exact_p = report.comparisons[0].1.exact_p.unwrap();
    (report, exact_p)
}

#[test]
fn the_exact_test_and_the_least_number_of_agents_stop_what_errors_by_agent_would_ship() {
    let (clear, exact_p) = verdict_of(&[20, 21, 20, 22], &[40, 39, 41, 42]);
    assert_eq!(
        (clear.decision.verdict, exact_p),
        (Verdict::Promote("assertive".to_owned()), 2.0 / 70.0)
    );
    // One agent of each arm is as the other arm: four of seventy ways are as far apart.
    let (mixed, exact_p) = verdict_of(&[20, 20, 20, 30], &[29, 40, 41, 42]);
    assert!(mixed.comparisons[0].0.p_value.unwrap() < 0.02 && mixed.looks[0].interval.lower > 0.0);
    assert_eq!((mixed.decision.verdict, exact_p), (Verdict::Futile, 4.0 / 70.0));
    // Three agents are too few, although both tests are sure.
    let (few, exact_p) = verdict_of(&[20, 21, 22], &[40, 39, 41, 42, 40]);
    assert!(few.looks[0].interval.lower > 0.0 && exact_p < 0.05);
    assert_eq!(few.decision.verdict, Verdict::Futile);
}
