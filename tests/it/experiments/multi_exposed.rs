//! Units that were seen in two arms of one experiment: left out of what is measured, counted, and
//! told as an alarm.

use serde_json::{Value, json};

use crate::experiments::{
    Arm, DAYS, Ran, START, body, define, event, experiment, key, market, measured, reported,
    same_in_any_order, says, with, won,
};
use leadstream::domain::event::{EventType, Interaction};
use leadstream::domain::experiment::pre_exposure::PreExposure;
use leadstream::domain::experiment::{
    Enrollment, Enrollments, Experiment, ExperimentKey, Metrics, Tally,
};
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{DAY_MS, EventTime, HOUR_MS};
use leadstream::stats::random::Random;

/// The experiment, and on a day the same again with nearly all units in the other arm.
fn begun_anew(day: i64) -> Rules {
    let mut rules = crate::experiments::rules(&body());
    define(&mut rules, &reported(2, day, &other_weights())).unwrap();
    rules
}

fn other_weights() -> Value {
    with(&[(
        "arms",
        json!([{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 9}]),
    )])
}

fn second() -> ExperimentKey {
    ExperimentKey { version: 2, ..key() }
}

/// Leads that two versions give these arms.
fn leads<'a>(
    versions: &'a [Experiment; 2],
    arms: [&'a str; 2],
) -> impl Iterator<Item = String> + 'a {
    let is = move |lead: &String| {
        versions.iter().zip(arms).all(|(version, arm)| version.assign(lead).unwrap().arm == arm)
    };
    (0..1_000).map(|number| format!("lead-{number}")).filter(is)
}

fn units(tally: &Tally) -> (u64, u64, u64) {
    let groups =
        tally.cohorts.values().flat_map(|arms| arms.values()).map(|group| group.units).sum();
    (groups, tally.arms.values().map(|counts| counts.exposed_units).sum(), tally.multi_exposed)
}

#[test]
fn a_unit_in_two_arms_is_taken_back_counted_as_crossed_and_alarmed() {
    let (rules, versions) = (begun_anew(2), [experiment(&body()), experiment(&other_weights())]);
    let mut moved = leads(&versions, ["empathetic", "assertive"]);
    let (multi_exposed, late) = (moved.next().unwrap(), moved.next().unwrap());
    let kept = leads(&versions, ["assertive", "assertive"]).next().unwrap();
    let before = START + DAY_MS;
    let mut ran = Ran::new(1);
    ran.take(
        &rules,
        [
            says(&multi_exposed, before),
            won(&multi_exposed, before + HOUR_MS, 5_000),
            says(&kept, before),
            says(&late, before),
        ],
    );
    let metrics = measured(&ran.report(&rules, 0)).clone();
    assert_eq!(
        (units(&metrics.tally), metrics.tally.arms["empathetic"].conversions),
        ((3, 3, 0), 1)
    );
    // The second message of one lead comes after its window.
    ran.take(
        &rules,
        [
            says(&multi_exposed, before + 2 * DAY_MS),
            says(&kept, before + 2 * DAY_MS),
            says(&late, before + 4 * DAY_MS),
        ],
    );
    ran.take(&rules, [event("other", START + 9 * DAY_MS, EventType::PageViewed)]);
    let effects = ran.report(&rules, 0);
    let Metrics { tally, report, .. } = measured(&effects).clone();
    let counts = tally.arms["empathetic"];
    assert_eq!(
        (units(&tally), counts.conversions, counts.revenue_minor, counts.exposures),
        ((2, 2, 1), 0, 0, 2)
    );
    let rule = report.unwrap().decision.rule;
    assert!(
        rule.ends_with(
            "; alarm: 1 unit was seen in two arms and left out of all numbers but the exposures"
        ),
        "{rule}"
    );
    let (_, record) = leadstream::codec::results::metrics_record(measured(&effects));
    assert_eq!(leadstream::codec::avro::describe(&record).unwrap()["multi_exposed_units"], 1);
    let anew = measured(&ran.report_of(&rules, &second(), 0)).tally.clone();
    assert_eq!(units(&anew), (2, 2, 1), "it is crossed in both");
}

pub(crate) fn handed(lead: &str, agent: &str, at: i64) -> Interaction {
    Interaction { agent_id: Some(agent.to_owned()), ..event(lead, at, EventType::TaskCompleted) }
}

fn by_agent() -> Value {
    let arms =
        json!([{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 1}]);
    json!({"unit": "agent", "salt": "1", "arms": arms, "window_hours": 72})
}

#[test]
fn a_lead_that_moves_to_an_agent_of_the_other_arm_within_its_window_is_crossed() {
    let (rules, own) = (crate::experiments::rules(&by_agent()), experiment(&by_agent()));
    let of = |arm: &'static str, enrollment: usize| {
        let mut agents = (0..)
            .map(|number| format!("agent-{number}"))
            .filter(|agent| own.assign(agent).unwrap().arm == arm);
        agents.nth(enrollment).unwrap()
    };
    let agents = [of("empathetic", 0), of("empathetic", 1), of("assertive", 0)];
    let mut ran = Ran::new(1);
    for (lead, agent, hours) in
        [("a", &agents[1], 20), ("b", &agents[2], 20), ("c", &agents[2], 73), ("d", &agents[2], -1)]
    {
        let hand_over = handed(lead, agent, START + (4 + hours) * HOUR_MS);
        let mut events = vec![
            handed(lead, &agents[0], START + HOUR_MS),
            says(lead, START + 4 * HOUR_MS),
            hand_over,
        ];
        events.sort_by_key(|event| event.occurred_at);
        ran.take(&rules, events);
    }
    let tally = measured(&ran.report(&rules, 0)).tally.clone();
    assert_eq!(
        (
            tally.arms["empathetic"].exposed_units,
            tally.arms["assertive"].exposed_units,
            tally.multi_exposed
        ),
        (2, 1, 1)
    );
}

#[test]
fn what_is_crossed_does_not_depend_on_order_repetition_and_partitioning() {
    let own = experiment(&body());
    let events = market(1, 600, &own, |_| Arm { converts: 0.3, replies: 0.9, books: 0.3 });
    for key in [key(), second()] {
        let metrics = same_in_any_order(&begun_anew(10), &events, &key);
        assert!(
            metrics.tally.multi_exposed > 5 && units(&metrics.tally).0 > 100,
            "{:?}",
            units(&metrics.tally)
        );
    }
    let rules = crate::experiments::rules(&by_agent());
    let mut random = Random::new(9, 1);
    let mut events = Vec::new();
    for number in 0..300 {
        let (lead, at) = (format!("lead-{number}"), START + DAY_MS + number * 10 * HOUR_MS / 6);
        let mut agent = || format!("agent-{}", random.below(12));
        events.extend([
            handed(&lead, &agent(), at),
            says(&lead, at + 11 * HOUR_MS),
            handed(&lead, &agent(), at + 22 * HOUR_MS),
        ]);
        events.extend([says(&lead, at + 30 * HOUR_MS), won(&lead, at + 70 * HOUR_MS, 100)]);
    }
    events.push(says("last", START + (DAYS + 6) * DAY_MS));
    events.sort_by_key(|event| (event.occurred_at, event.event_id));
    let tally = same_in_any_order(&rules, &events, &key()).tally;
    assert!(tally.multi_exposed > 100 && units(&tally).1 > 100, "{:?}", units(&tally));
}

#[test]
fn a_place_is_not_forgotten_while_its_experiment_runs_or_crosses_another() {
    let named = |name: &str, base_version: u32| Experiment {
        name: name.to_owned(),
        base_version,
        ..experiment(&body())
    };
    let all: Vec<Experiment> = (0..8).map(|number| named(&format!("x{number}"), 1)).collect();
    let running: Vec<&Experiment> = all.iter().collect();
    let enrollment = |experiment: &Experiment, arm: &str, at: i64| Enrollment {
        arm: arm.to_owned(),
        ..Enrollment::new(
            experiment,
            ("a", experiment.arm_of("a").unwrap()),
            EventTime(at),
            PreExposure::default(),
        )
    };
    let mut enrollments = Enrollments::default();
    all.iter().for_each(|experiment| {
        enrollments.enroll(enrollment(experiment, "assertive", START), &running)
    });
    let later = EventTime(START + 9 * DAY_MS);
    assert!(!enrollments.has_room(later, &running) && enrollments.has_room(later, &running[1..]));
    assert!(!enrollments.has_room(EventTime(START + DAY_MS), &[]), "windows are open");
    enrollments.enroll(enrollment(&named("new", 1), "assertive", later.0), &running);
    assert!(enrollments.list.len() == 8 && enrollments.find("new", 1).is_none());
    enrollments.enroll(enrollment(&named("new", 1), "assertive", later.0), &running[1..]);
    assert!(
        enrollments.list.len() == 8
            && enrollments.find("new", 1).is_some()
            && enrollments.find("x0", 1).is_none()
    );

    let mut enrollments = Enrollments::default();
    let (first, anew) = (named("x", 1), named("x", 2));
    enrollments.enroll(enrollment(&first, "assertive", START), &[]);
    enrollments.enroll(enrollment(&anew, "empathetic", START + DAY_MS), &[]);
    all[..6].iter().for_each(|experiment| {
        enrollments.enroll(enrollment(experiment, "assertive", START + 8 * DAY_MS), &[])
    });
    assert!(
        !enrollments.has_room(later, &[]),
        "what crosses another one stays, or the other would be counted again"
    );
}
