//! The goal within strata: said where an arm moves it, for all strata at once, and nowhere else.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::experiments::{
    Arm, START, USUAL, experiment, key, market, rules, same_in_any_order, with,
};
use leadstream::codec::{avro, results};
use leadstream::domain::event::{Channel, EventType, Interaction};
use leadstream::domain::experiment::analysis::decision::{RATIO_ALARM, Report, report};
use leadstream::domain::experiment::analysis::segments::SegmentEffect;
use leadstream::domain::experiment::outcome::Outcome;
use leadstream::domain::experiment::plan::Setup;
use leadstream::domain::experiment::stratum::Stratum;
use leadstream::domain::experiment::tally::{Arms, Cell, Cohort, Group, Tally};
use leadstream::domain::units::{DAY_MS, EventTime};
use leadstream::stats::asymptotic::{Tuning, sequence};
use leadstream::stats::level::Alpha;
use leadstream::stats::log_ratio::{lift, log_ratio};
use leadstream::stats::moments::{self, Moments};

fn body() -> Value {
    with(&[("strata", "channel".into()), ("planned_units", 2_000.into())])
}

fn reported(report: &Report) -> &[SegmentEffect] {
    report.segments.as_deref().unwrap()
}

fn shown(report: &Report) -> Vec<&SegmentEffect> {
    reported(report).iter().filter(|insight| insight.is_shown()).collect()
}

/// The same events, of leads that write in this channel.
fn in_channel(events: Vec<Interaction>, channel: Channel) -> impl Iterator<Item = Interaction> {
    events.into_iter().map(move |event| match event.kind {
        EventType::MessageReceived => Interaction { channel: Some(channel.clone()), ..event },
        _ => event,
    })
}

#[test]
fn an_arm_that_works_in_one_channel_is_told_of_that_channel_and_in_any_order_and_partitioning() {
    let (rules, own) = (rules(&body()), experiment(&body()));
    let usual = Arm { converts: 0.2, ..USUAL };
    let better =
        |arm: &str| if arm == "assertive" { Arm { converts: 0.5, ..USUAL } } else { usual };
    let mut events: Vec<Interaction> =
        in_channel(market(51, 700, &own, better), Channel::Email).collect();
    events.extend(in_channel(market(52, 700, &own, |_| usual), Channel::Sms));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    let metrics = same_in_any_order(&rules, &events, &key());
    let report = metrics.report.as_ref().unwrap();
    let names: Vec<&str> =
        reported(report).iter().map(|insight| insight.stratum.as_str()).collect();
    assert_eq!(names, ["sms", "email", "phone", "chat", "whatsapp", "web", "other"]);
    let [found] = shown(report)[..] else { panic!("{:?}", report.segments) };
    let bounds = found.goal.lift.unwrap().interval;
    assert_eq!((found.stratum.as_str(), found.goal.arm.as_str()), ("email", "assertive"));
    assert!(bounds.lower > 0.0 && bounds.contains(1.5), "{bounds:?}");
    let units = |index: usize| {
        reported(report)[index].goal.units.control + reported(report)[index].goal.units.treatment
    };
    assert_eq!((units(0) + units(1), units(2)), (report.units, 0));
    assert!(
        !reported(report)[2].goal.meets_minimum_sample && reported(report)[2].goal.lift.is_none()
    );

    let record = avro::describe(&results::metrics_record(&metrics).1).unwrap();
    let written = &record["results"]["segments"];
    assert_eq!(written.as_array().unwrap().len(), 7);
    let email = &written[1];
    assert_eq!(
        (email["stratum"].as_str(), email["is_shown"].as_bool()),
        (Some("email"), Some(true))
    );
    assert_eq!(email["lift_lower"].as_f64(), Some(bounds.lower));
    assert_eq!(
        (email["meets_minimum_sample"].as_bool(), written[0]["is_shown"].as_bool()),
        (Some(true), Some(false))
    );
}

/// Units and conversions of both arms in a stratum, within one day.
fn tally(strata: &[(u8, [(u64, u64); 2])]) -> Tally {
    let mut tally = Tally::default();
    for (stratum, arms) in strata {
        for (arm, (units, conversions)) in ["empathetic", "assertive"].into_iter().zip(arms) {
            for number in 0..*units {
                let outcome = Outcome {
                    value: if number < *conversions { 1_000_000 } else { 0 },
                    base: 1_000_000,
                };
                let cells =
                    vec![Cell::of(outcome), Cell::default(), Cell::default(), Cell::default()];
                let group = Group {
                    units: 1,
                    cells,
                    strata: [(*stratum, Stratum::of(outcome))].into(),
                    ..Group::default()
                };
                let mut one = Tally::default();
                let cohort = Cohort { day: START / DAY_MS, version: 1 };
                one.cohorts.insert(cohort, Arc::new(Arms::from([(arm.to_owned(), group)])));
                tally.merge(&one);
            }
        }
    }
    tally
}

fn concluded(body: &Value, tally: &Tally) -> Report {
    let own = experiment(body);
    let setup = Setup {
        plan: own.plan.as_deref().unwrap(),
        window_hours: 72,
        versions: [(1, own.arms.as_slice())].into(),
    };
    report(&setup, tally, EventTime(START + 40 * DAY_MS)).unwrap()
}

#[test]
fn each_stratum_has_its_part_of_the_level() {
    let all =
        concluded(&body(), &tally(&[(1, [(400, 60), (400, 90)]), (6, [(200, 40), (200, 29)])]));
    let alpha = Alpha::new(0.05 / 7.0).unwrap();
    for (index, arms) in [(1, [(400, 60), (400, 90)]), (6, [(200, 40), (200, 29)])] {
        let moments =
            |(units, sum): (u64, u64)| Moments::of_sums(units, sum as f64, sum as f64).unwrap();
        let effect =
            log_ratio(&moments::Arms { control: moments(arms[0]), treatment: moments(arms[1]) })
                .unwrap();
        let expected =
            sequence(effect, arms[0].0 + arms[1].0, Tuning { alpha, planned: 2_000.0 / 7.0 })
                .unwrap()
                .interval
                .map(lift);
        let interval = reported(&all)[index].goal.lift.unwrap().interval;
        assert!(
            (interval.lower - expected.lower).abs() < 1e-9
                && (interval.upper - expected.upper).abs() < 1e-9,
            "{interval:?} {expected:?}"
        );
        assert_eq!(
            reported(&all)[index].goal.outcomes,
            moments::Arms { control: arms[0].1, treatment: arms[1].1 }
        );
    }
    assert_eq!(
        [1, 6].map(|index: usize| reported(&all)[index].goal.meets_minimum_sample),
        [true, false],
        "30 conversions of both arms"
    );
}

#[test]
fn nothing_is_said_of_strata_where_units_are_not_shared_out_as_planned() {
    let even = [(0, [(300, 30), (300, 90)])];
    assert_eq!(shown(&concluded(&body(), &tally(&even))).len(), 1);
    let uneven = concluded(&body(), &tally(&[(0, [(300, 30), (450, 135)])]));
    assert!(uneven.sample_ratio >= RATIO_ALARM && reported(&uneven).is_empty());
    assert!(concluded(&with(&[("planned_units", 2_000.into())]), &tally(&even)).segments.is_none());
}

#[test]
fn of_a_mean_a_stratum_needs_a_hundred_outcomes_other_than_0() {
    let mean = with(&[
        ("goal", json!({"metric": "conversation_length", "cap": 100})),
        ("strata", "channel".into()),
    ]);
    let all =
        concluded(&mean, &tally(&[(0, [(400, 99), (400, 250)]), (2, [(400, 100), (400, 250)])]));
    assert_eq!([0, 2].map(|index: usize| reported(&all)[index].goal.outcomes.control), [99, 100]);
    let [found] = shown(&all)[..] else { panic!("{:?}", all.segments) };
    assert!(
        found.stratum == "phone" && found.goal.lift.unwrap().interval.contains(1.5),
        "{found:?}"
    );
    assert!(
        reported(&all)[0].goal.lift.unwrap().interval.lower > 0.0
            && !reported(&all)[0].goal.meets_minimum_sample
    );
}

#[test]
fn an_arm_that_brings_more_revenue_in_one_channel_is_told_of_that_channel() {
    let body = with(&[
        ("strata", "channel".into()),
        ("goal", json!({"metric": "revenue", "cap": 20_000})),
        ("metrics", json!([])),
        ("planned_units", 2_000.into()),
        ("decisions", json!({"days_min": 19})),
    ]);
    let (rules, own) = (rules(&body), experiment(&body));
    let usual = Arm { converts: 0.4, ..USUAL };
    let better =
        |arm: &str| if arm == "assertive" { Arm { converts: 0.8, ..USUAL } } else { usual };
    let mut events: Vec<Interaction> =
        in_channel(market(53, 700, &own, better), Channel::Email).collect();
    events.extend(in_channel(market(54, 700, &own, |_| usual), Channel::Sms));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    let metrics = same_in_any_order(&rules, &events, &key());
    let report = metrics.report.as_ref().unwrap();
    let [found] = shown(report)[..] else { panic!("{:?}", report.segments) };
    assert_eq!((found.stratum.as_str(), found.goal.metric.as_str()), ("email", "revenue"));
    assert!(found.goal.lift.unwrap().interval.contains(1.0), "{found:?}");
    let outcomes = |index: usize| reported(report)[index].goal.outcomes;
    let all = report.comparisons[0].0.outcomes;
    assert_eq!(outcomes(0).control + outcomes(1).control, all.control);
}
