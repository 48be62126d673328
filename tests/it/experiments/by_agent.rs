//! The goal over the leads of each agent: said where an arm moves it, for all agents at once, and
//! of none where there are too many.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::multi_exposed::handed;
use crate::experiments::{
    DAYS, Ran, START, define, each_is_refused, experiment, exposures, key, measured, reported,
    rules, same_in_any_order, says, with, won,
};
use leadstream::codec::{avro, results, rows};
use leadstream::domain::event::{Channel, Interaction};
use leadstream::domain::experiment::analysis::decision::{Report, report};
use leadstream::domain::experiment::analysis::segments::SegmentEffect;
use leadstream::domain::experiment::by_agent::{self, ByAgent, CELLS_MAX, Period};
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::stratum::Stratum;
use leadstream::domain::experiment::tally::{Arms, Cell, Cohort, Group};
use leadstream::domain::experiment::{Experiment, Tally};
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS};
use leadstream::pipeline::{PartitionReport, Row};
use leadstream::stats::asymptotic::{Tuning, sequence};
use leadstream::stats::level::Alpha;
use leadstream::stats::log_ratio::{lift, log_ratio};
use leadstream::stats::moments::{self, Moments};
use leadstream::stats::random::Random;

fn body(agents_max: u32) -> Value {
    with(&[
        ("agents_max", agents_max.into()),
        ("planned_units", 2_000.into()),
        ("guardrails", json!([])),
        ("metrics", json!([])),
    ])
}

fn shown(report: &Report) -> Vec<&SegmentEffect> {
    report.segments.as_ref().unwrap().iter().filter(|insight| insight.is_shown()).collect()
}

/// Leads of agents who get them half a day before they write; one in five has none, and one in four
/// gets another one before it writes again.
fn market(
    seed: u64,
    (agents, leads): (usize, usize),
    own: &Experiment,
    rate: impl Fn(usize, &str) -> f64,
) -> Vec<Interaction> {
    let mut random = Random::new(seed, 13);
    let mut events = Vec::new();
    for number in 0..leads {
        let (lead, agent) = (format!("s{seed}-{number}"), number % agents);
        let at = START + 12 * HOUR_MS + number as i64 * (DAYS - 1) * DAY_MS / leads as i64;
        let is_owned = number % 5 != 4;
        if is_owned {
            events.push(handed(&lead, &format!("agent-{agent}"), at - 11 * HOUR_MS));
        }
        events.push(Interaction { channel: Some(Channel::Sms), ..says(&lead, at) });
        if is_owned && random.is_once_in(4) {
            events.extend([
                handed(&lead, "agent-0", at + 12 * HOUR_MS),
                says(&lead, at + 24 * HOUR_MS),
            ]);
        }
        if random.chance(rate(agent, &own.assign(&lead).unwrap().arm)) {
            events.push(won(&lead, at + 30 * HOUR_MS, 100_000));
        }
    }
    events.push(says("last", START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    events
}

/// An arm that works with the leads of one agent alone.
fn with_one(agent: usize, arm: &str) -> f64 {
    if agent == 2 && arm == "assertive" { 0.7 } else { 0.25 }
}

#[test]
fn an_arm_that_works_with_the_leads_of_one_agent_is_told_of_that_agent_and_in_any_order_and_partitioning()
 {
    let body = body(4);
    let (rules, own) = (rules(&body), experiment(&body));
    let metrics = same_in_any_order(&rules, &market(61, (3, 1_500), &own, with_one), &key());
    let report = metrics.report.as_ref().unwrap();
    let segments = report.segments.as_ref().unwrap();
    let names: Vec<&str> = segments.iter().map(|insight| insight.stratum.as_str()).collect();
    assert_eq!(names, ["agent:agent-0", "agent:agent-1", "agent:agent-2"]);
    let [found] = shown(report)[..] else { panic!("{segments:?}") };
    assert_eq!((found.stratum.as_str(), found.goal.arm.as_str()), ("agent:agent-2", "assertive"));
    assert!(found.goal.lift.unwrap().interval.contains(1.8), "{found:?}");
    // Each lead is its first agent's; those of nobody, and the one that only moves the clock, are
    // left out.
    let units: Vec<u64> = segments
        .iter()
        .map(|insight| insight.goal.units.control + insight.goal.units.treatment)
        .collect();
    assert_eq!(units, [400, 400, 400]);
    let record = avro::describe(&results::metrics_record(&metrics).1).unwrap();
    let written = &record["results"]["segments"][2];
    assert_eq!(
        (written["stratum"].as_str(), written["is_shown"].as_bool()),
        (Some("agent:agent-2"), Some(true))
    );
    assert_eq!(written["lift_lower"].as_f64(), Some(found.goal.lift.unwrap().interval.lower));
}

#[test]
fn what_agents_say_decides_nothing_and_exposes_nobody_otherwise() {
    let plain = || {
        let mut plain = body(4);
        plain.as_object_mut().unwrap().remove("agents_max");
        plain
    };
    let own = experiment(&plain());
    let run = |body: &Value| {
        let rules = rules(body);
        let mut ran = Ran::new(2);
        ran.take(&rules, market(61, (3, 1_500), &own, with_one));
        let given: Vec<_> = exposures(&ran.effects)
            .iter()
            .map(|given| (given.exposure_id, given.arm.clone(), given.bucket))
            .collect();
        (given, *measured(&ran.report(&rules, 0)).report.clone().unwrap())
    };
    let ((given, report), (given_without, without)) = (run(&body(4)), run(&plain()));
    assert!(given == given_without && shown(&report).len() == 1 && without.segments.is_none());
    assert_eq!(Report { segments: None, ..report }, without);
}

#[test]
fn with_more_agents_than_were_registered_none_is_told_apart_and_that_is_said_in_any_order_and_partitioning()
 {
    let most = |most: u32| with(&[("agents_max", most.into()), ("strata", "channel".into())]);
    let own = experiment(&most(2));
    let events = market(62, (3, 300), &own, with_one);
    let metrics = same_in_any_order(&rules(&most(2)), &events, &key());
    let report = metrics.report.as_ref().unwrap();
    assert!(
        report
            .decision
            .rule
            .ends_with("; more than 2 agents had leads: no segment effects by agent"),
        "{}",
        report.decision.rule
    );
    // Channels are told all the same.
    let segments = report.segments.as_ref().unwrap();
    assert!(
        segments.len() == 7 && segments.iter().all(|insight| !insight.stratum.starts_with("agent"))
    );
    let all = same_in_any_order(&rules(&most(3)), &events, &key()).report.unwrap();
    assert!(all.segments.unwrap().len() == 10 && !all.decision.rule.contains("agents"));
    // And more than are kept at all, although no partition has so many.
    let events = market(63, (70, 300), &own, with_one);
    let metrics = same_in_any_order(&rules(&most(50)), &events, &key());
    assert!(
        metrics.tally.by_agent.is_full
            && metrics.report.unwrap().decision.rule.contains("; more than 50 agents had leads")
    );
}

/// An experiment, and two days later the same again with other weights.
fn begun_anew() -> Rules {
    let mut rules = rules(&body(20));
    let other = with(&[(
        "arms",
        json!([{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 9}]),
    )]);
    define(&mut rules, &reported(2, 2, &other)).unwrap();
    rules
}

#[test]
fn the_agent_of_a_lead_that_does_not_count_is_counted_whichever_exposure_is_heard_first() {
    let rules = begun_anew();
    let ran = |events: Vec<Interaction>| {
        let mut ran = Ran::new(1);
        ran.take(&rules, events);
        measured(&ran.report(&rules, 0)).tally.clone()
    };
    let (before, anew) = (START + 40 * HOUR_MS, START + 50 * HOUR_MS);
    let mut multi_exposed = 0;
    for lead in (0..20).map(|number| format!("lead-{number}")) {
        let own = || handed(&lead, "agent-1", START + 39 * HOUR_MS);
        let sorted = ran(vec![own(), says(&lead, before), says(&lead, anew)]);
        let late = ran(vec![own(), says(&lead, anew), says(&lead, before)]);
        multi_exposed += sorted.multi_exposed;
        assert_eq!((sorted.by_agent.agents.len(), &sorted.by_agent), (1, &late.by_agent), "{lead}");
    }
    assert!(multi_exposed > 3, "{multi_exposed}");
}

#[test]
fn a_first_exposure_that_comes_late_moves_a_lead_and_leaves_the_stretch_known() {
    let rules = rules(&body(20));
    let ran = |events: Vec<Interaction>| {
        let mut ran = Ran::new(1);
        ran.take(&rules, events);
        measured(&ran.report(&rules, 0)).tally.by_agent.clone()
    };
    let (before, after) = (START + 7 * DAY_MS - HOUR_MS, START + 7 * DAY_MS + HOUR_MS);
    let own = || handed("a", "agent-1", START + 7 * DAY_MS - 2 * HOUR_MS);
    let sorted = ran(vec![own(), says("a", before), says("a", after)]);
    assert_eq!(sorted, ran(vec![own(), says("a", after), says("a", before)]));
    let first = Period::of(EventTime(before), 1, 72);
    assert_eq!(sorted.newest, Some(first.number + 1));
    assert!(sorted.agents["agent-1"].values().all(|stretches| stretches.keys().eq([&first])));
}

/// Units and conversions of both arms that an agent had in a stretch under a version.
type Had<'a> = (&'a str, i64, u32, [(u64, u64); 2]);

fn tally(had: &[Had<'_>]) -> Tally {
    let mut tally = Tally::default();
    for (agent, week, version, arms) in had {
        for (arm, (units, conversions)) in ["empathetic", "assertive"].into_iter().zip(arms) {
            for number in 0..*units {
                let outcome = Outcome {
                    value: if number < *conversions { 1_000_000 } else { 0 },
                    base: 1_000_000,
                };
                let strata = [(2, Stratum::of(outcome))].into();
                let group =
                    Group { units: 1, cells: vec![Cell::of(outcome)], strata, ..Group::default() };
                let at = EventTime(START + week * 7 * DAY_MS);
                let lead = Some((arm, Stratum::of(outcome)));
                let mut one = Tally {
                    by_agent: ByAgent::of(agent, Period::of(at, *version, 72), lead),
                    ..Tally::default()
                };
                one.cohorts.insert(
                    Cohort { day: at.day(), version: *version },
                    Arc::new(Arms::from([(arm.to_owned(), group)])),
                );
                tally.merge(&one);
            }
        }
    }
    tally
}

fn concluded(body: &Value, tally: &Tally, day: i64) -> Report {
    let (own, other) =
        (experiment(body), [("empathetic".to_owned(), 1), ("assertive".to_owned(), 9)]);
    let versions =
        [(1, own.arms.as_slice()), (2, other.as_slice())].into_iter().filter(|(version, _)| {
            *version == 1 || tally.cohorts.keys().any(|cohort| cohort.version == 2)
        });
    let setup = Setup {
        plan: own.plan.as_deref().unwrap(),
        window_hours: 72,
        versions: versions.collect(),
    };
    report(&setup, tally, EventTime(START + day * DAY_MS)).unwrap()
}

#[test]
fn each_agent_has_its_part_of_the_level_of_all_that_were_registered_and_of_strata_beside_them() {
    let own = [(400, 60), (400, 90)];
    let tally = tally(&[("agent-1", 0, 1, own), ("agent-2", 0, 1, [(200, 20), (200, 20)])]);
    let all = &[("strata", json!("channel"))];
    for (more, cells, index) in [(&[][..], 20, 0), (all, 27, 7)] {
        let mut body = body(20);
        more.iter().for_each(|(field, value)| body[*field] = value.clone());
        let reported = concluded(&body, &tally, 40).segments.unwrap();
        let alpha = Alpha::new(0.05 / f64::from(cells)).unwrap();
        let moments =
            |(units, sum): (u64, u64)| Moments::of_sums(units, sum as f64, sum as f64).unwrap();
        let effect =
            log_ratio(&moments::Arms { control: moments(own[0]), treatment: moments(own[1]) })
                .unwrap();
        let expected = sequence(effect, 800, Tuning { alpha, planned: 2_000.0 / f64::from(cells) })
            .unwrap()
            .interval
            .map(lift);
        let interval = reported[index].goal.lift.unwrap().interval;
        assert!(
            (interval.lower - expected.lower).abs() < 1e-9
                && (interval.upper - expected.upper).abs() < 1e-9,
            "{interval:?} {expected:?}"
        );
        assert_eq!(
            (
                reported[index].stratum.as_str(),
                reported[index].goal.meets_minimum_sample,
                reported.len()
            ),
            ("agent:agent-1", true, index + 2)
        );
        assert!(!reported[index + 1].goal.meets_minimum_sample, "30 conversions of both arms");
    }
}

#[test]
fn leads_of_a_stretch_are_told_when_all_its_windows_are_over_also_after_the_decision() {
    let tally = tally(&[
        ("agent-1", 0, 1, [(300, 30), (300, 90)]),
        ("agent-1", 2, 1, [(200, 40), (200, 40)]),
    ]);
    let units = |day: i64| {
        let reported = concluded(&body(20), &tally, day);
        let units = reported.segments.unwrap()[0].goal.units;
        (units.control + units.treatment, reported.units)
    };
    // Leads came on the first day of the first and of the third week; windows take three days, and
    // a day is left for what comes late.
    assert_eq!(
        [10, 11, 20, 24, 25].map(units),
        [(0, 600), (600, 600), (600, 1_000), (600, 1_000), (1_000, 1_000)]
    );
    // Nothing is told of a first arm that won what the other lost: both stretches are told
    // together.
    assert_eq!(shown(&concluded(&body(20), &tally, 11)).len(), 1);
}

#[test]
fn an_agents_leads_are_compared_within_each_version_of_the_weights() {
    // Equal arms in both versions, of which the second has good weeks and nine in ten of one arm.
    let tally = tally(&[
        ("agent-1", 0, 1, [(200, 40), (200, 40)]),
        ("agent-1", 1, 2, [(60, 36), (540, 324)]),
    ]);
    let reported = concluded(&body(20), &tally, 40).segments.unwrap();
    let estimate = reported[0].goal.lift.unwrap().estimate;
    assert!(reported[0].goal.meets_minimum_sample && estimate.abs() < 1e-9, "{estimate}");
}

#[test]
fn nothing_is_said_of_agents_where_units_are_not_shared_out_as_planned() {
    let uneven = tally(&[("agent-1", 0, 1, [(300, 30), (450, 135)])]);
    assert_eq!(concluded(&body(20), &uneven, 40).segments, Some(Vec::new()));
}

#[test]
fn sums_of_as_many_agents_as_may_be_fit_into_a_record() {
    let mut tally = Tally::default();
    let (agents, arms) = (by_agent::AGENTS_MAX, CELLS_MAX / by_agent::AGENTS_MAX);
    for agent in 0..agents {
        for (arm, number) in (0..arms).flat_map(|arm| (0..30).map(move |number| (arm, number))) {
            // Sums of a hundred leads with some thousands each.
            let sums = Stratum {
                units: 100,
                nonzero: 90,
                sum: 500_000_000_000,
                squares: 25_000_000_000_000_000_000_000,
            };
            let (agent, arm) =
                (format!("0190c2a8-1111-7000-8000-{agent:012}"), format!("strategy-{arm}"));
            let of = ByAgent::of(&agent, Period { number, version: 1 }, Some((arm.as_str(), sums)));
            tally.merge(&Tally { by_agent: of, ..Tally::default() });
        }
    }
    let bytes =
        rows::row_bytes(&Row::PartitionReport(PartitionReport { at: EventTime(START), tally }))
            .len();
    println!("{agents} agents of {arms} arms: {bytes} bytes");
    assert!(bytes < 100 << 10, "{bytes}");
}

#[test]
fn agents_that_cannot_be_told_apart_are_refused_with_their_field() {
    let more = |field: &str, value: Value| {
        let mut body = body(20);
        body[field] = value;
        reported(1, 0, &body)
    };
    let arms: Vec<Value> =
        (0..10).map(|arm| json!({"strategy": format!("arm-{arm}"), "weight": 1})).collect();
    let cases = [
        (
            more("agents_max", 1.into()),
            "body.agents_max: for how many agents segment effects are reported at most, with 2 arms 2 to 50",
        ),
        (
            more("agents_max", 51.into()),
            "body.agents_max: for how many agents segment effects are reported at most, with 2 arms 2 to 50",
        ),
        (more("arms", arms.into()).replace("20,", "26,"), "with 10 arms 2 to 25"),
        (more("agents_max", "all".into()), "body.agents_max"),
        (
            more("unit", "agent".into()).replace(
                "\"planned_units\":2000",
                "\"planned_units\":20,\"ends_at\":\"2026-01-21T00:00:00Z\"",
            ),
            "body.agents_max: is of single leads",
        ),
        (
            more("allocation", json!({"rule": "thompson", "floor": 0.1, "epoch_days": 7})),
            "body.agents_max: arms of a bandit",
        ),
        (
            more("goal", json!({"metric": "coaching_satisfaction"})),
            "body.agents_max: coaching_satisfaction has one value for all leads together",
        ),
        (
            reported(
                1,
                0,
                &json!({"unit": "lead", "salt": "1", "arms": body(2)["arms"], "window_hours": 72, "agents_max": 5}),
            ),
            "body.agents_max: means nothing without a goal",
        ),
    ];
    each_is_refused(&cases);
    let mut rules = rules(&body(20));
    let mut other = body(21);
    other["revises"] = 1.into();
    assert!(
        define(&mut rules, &reported(2, 1, &other))
            .unwrap_err()
            .starts_with("body.agents_max: was registered with version 1")
    );
}
