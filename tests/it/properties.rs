//! Laws that hold for every sequence of events, tried on random ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use leadstream::codec::{interaction, model, rows};
use leadstream::domain::event::EventType;
use leadstream::domain::experiment::tally::{Cell, Cohort, Group};
use leadstream::domain::experiment::{Counts, Tally};
use leadstream::domain::lexicon::Lexicon;
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{AppendTime, HOUR_MS, LeadKey};
use leadstream::pipeline::{Effect, Input, Key, Memory, Outcome, Row};

const START: i64 = 1_767_225_600_000;

fn rules() -> Rules {
    Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english()))
}

/// One event: lead, hours since the one before (it may go back), kind, text, stage name.
#[derive(Clone, Debug)]
struct Told {
    lead: u8,
    step_hours: f64,
    kind: usize,
    text: String,
    stage: Option<String>,
}

fn reported() -> impl Strategy<Value = Told> {
    let texts = prop_oneof![
        Just("Can we see it Saturday? I have 3 bedrooms in mind under $500,000".to_owned()),
        Just("not right now, that's too expensive".to_owned()),
        Just("STOP".to_owned()),
        any::<String>(),
    ];
    let stages = prop::option::of(prop_oneof![
        Just("New".to_owned()),
        Just("offer_sent".to_owned()),
        Just("Closed Lost".to_owned()),
        "[A-Za-z ]{1,80}"
    ]);
    (0..3_u8, -30.0..200.0_f64, 0..EventType::WORDS.len(), texts, stages).prop_map(
        |(lead, step_hours, kind, text, stage)| Told { lead, step_hours, kind, text, stage },
    )
}

fn inputs(story: &[Told]) -> Vec<Input> {
    let mut at = START;
    let event = |(number, reported): (usize, &Told)| {
        at += (reported.step_hours * HOUR_MS as f64) as i64;
        let text = json!({
            "event_id": format!("00000000-0000-5000-8000-{number:012}"),
            "event_type": EventType::WORDS[reported.kind],
            "tenant_id": "acme",
            "lead_id": format!("lead-{}", reported.lead),
            "occurred_at": at,
            "received_at": at,
            "source_system": "crm",
            "channel": "sms",
            "agent_id": format!("agent-{}", reported.kind % 3),
            "content": { "text": reported.text },
            "pipeline": { "stage_id": reported.stage, "value_minor": 5 },
            "measures": { "call_seconds": 60.5 },
            "attributes": { "timezone": "Asia/Kolkata" },
        });
        let event = interaction::from_json(text.to_string().as_bytes()).unwrap();
        Input::Interaction { event: Box::new(event), appended: AppendTime(at) }
    };
    story.iter().enumerate().map(event).collect()
}

fn run(inputs: &[Input]) -> (Memory, Vec<Effect>, Vec<Outcome>) {
    let (rules, mut memory, mut effects) = (rules(), Memory::default(), Vec::new());
    let outcomes = inputs.iter().map(|input| memory.run(&rules, input, &mut effects)).collect();
    (memory, effects, outcomes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn probabilities_and_beliefs_stay_within_bounds(story in vec(reported(), 1..40)) {
        let (_, effects, outcomes) = run(&inputs(&story));
        let mut predictions = 0;
        for effect in &effects {
            let Effect::Prediction(prediction) = effect else { continue };
            predictions += 1;
            for score in &prediction.scores {
                prop_assert!((0.0..=1.0).contains(&score.probability) && (0.0..=1.0).contains(&score.data_completeness), "{score:?}");
            }
            prop_assert!((prediction.journey.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-4);
            prop_assert!(prediction.next.reason.len() <= 200);
        }
        prop_assert_eq!(predictions, outcomes.iter().filter(|outcome| **outcome == Outcome::Advanced).count());
    }

    #[test]
    fn what_is_delivered_again_at_once_or_at_the_end_changes_nothing(story in vec(reported(), 1..30), again in vec(any::<prop::sample::Index>(), 1..5)) {
        // One lead: a timer that is due in the past of its tenant's clock fires with whatever input
        // comes next.
        let story: Vec<_> = story.into_iter().map(|reported| Told { lead: 0, ..reported }).collect();
        let once = inputs(&story);
        let mut twice = once.clone();
        for index in &again {
            let place = index.index(once.len());
            twice.push(once[place].clone());
        }
        let place = again[0].index(once.len());
        twice.insert(place + 1, once[place].clone());
        let ((expected, effects, _), (found, repeated, outcomes)) = (run(&once), run(&twice));
        // What the first delivery found late is late again and told again; nothing else may be told
        // or kept.
        let reported = |effects: &[Effect]| effects.iter().filter(|effect| **effect != Effect::Late).cloned().collect::<Vec<_>>();
        prop_assert!(reported(&effects) == reported(&repeated));
        prop_assert!(expected == found);
        prop_assert!(outcomes[once.len() + 1..].iter().all(|outcome| matches!(outcome, Outcome::Duplicate | Outcome::Late)));
    }

    #[test]
    fn every_row_survives_its_bytes(story in vec(reported(), 1..40)) {
        let (memory, ..) = run(&inputs(&story));
        for (key, row) in memory.rows() {
            let bytes = rows::row_bytes(&row);
            prop_assert!(rows::row(&key, &bytes).unwrap() == row);
            prop_assert_eq!(rows::key(rows::key_text(&key).as_bytes()).unwrap(), key);
        }
    }

    #[test]
    fn totals_last_times_and_decayed_counts_do_not_depend_on_the_order_of_arrival(story in vec(reported(), 1..20), seed in any::<u64>()) {
        // One lead, within the allowed lateness, told in another order.
        let close: Vec<_> = story.into_iter().map(|reported| Told { lead: 0, step_hours: reported.step_hours.abs() / 200.0, ..reported }).collect();
        let sorted = inputs(&close);
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|input| match input {
            Input::Interaction { event, .. } => u64::from_be_bytes(event.event_id.0[8..].try_into().unwrap()).wrapping_mul(seed | 1),
            _ => 0,
        });
        // All of them are appended when the last one happened, so that none lies in the future.
        let appended = |inputs: Vec<Input>| -> Vec<Input> {
            let late = |input| match input {
                Input::Interaction { event, .. } => Input::Interaction { event, appended: AppendTime(START + 24 * HOUR_MS) },
                other => other,
            };
            inputs.into_iter().map(late).collect()
        };
        let key = LeadKey::parse("acme:lead-0").unwrap();
        let ((one, ..), (other, ..)) = (run(&appended(sorted)), run(&appended(shuffled)));
        let (Some(one), Some(other)) = (one.lead(&key), other.lead(&key)) else { return Ok(()) };
        // An erased lead forgets what came before the erasure arrived.
        prop_assume!(one.erased_at.is_none());
        prop_assert_eq!((one.activity.events, one.activity.first, one.activity.last), (other.activity.events, other.activity.first, other.activity.last));
        for (a, b) in one.activity.families.iter().zip(&other.activity.families) {
            prop_assert_eq!((a.total, a.last), (b.total, b.last));
            prop_assert!(a.decayed.iter().zip(b.decayed).all(|(a, b)| (a - b).abs() <= 1e-3 * (1.0 + a.abs())));
        }
    }

    #[test]
    fn merging_tallies_is_free_of_order_and_grouping(parts in vec((0..3_u8, 0..1_000_u64, -500..500_i64), 0..12), split in any::<prop::sample::Index>()) {
        let tally = |(arm, count, revenue_minor): &(u8, u64, i64)| {
            Tally::of(&format!("arm-{arm}"), Counts { exposures: *count, replies: count / 2, revenue_minor: *revenue_minor, ..Counts::default() })
        };
        let merged = |parts: &[(u8, u64, i64)]| {
            let mut sum = Tally::default();
            parts.iter().for_each(|part| sum.merge(&tally(part)));
            sum
        };
        let place = if parts.is_empty() { 0 } else { split.index(parts.len()) };
        let mut grouped = merged(&parts[place..]);
        grouped.merge(&merged(&parts[..place]));
        prop_assert_eq!(grouped, merged(&parts));
    }
}

/// A lead of a sales day: forty events over three weeks, some of each kind, and two channels.
fn steady_lead() -> Row {
    let kinds = [
        "message.received",
        "message.sent",
        "page.viewed",
        "listing.viewed",
        "call.completed",
        "email.opened",
        "appointment.booked",
    ];
    let story: Vec<_> = (0..40)
        .map(|number| Told {
            lead: 0,
            step_hours: 13.0,
            kind: EventType::WORDS
                .iter()
                .position(|word| *word == kinds[number % kinds.len()])
                .unwrap(),
            text: "We look for 3 bedrooms".to_owned(),
            stage: None,
        })
        .collect();
    let (memory, ..) = run(&inputs(&story));
    let lead = memory.rows().find(|(key, _)| matches!(key, Key::Lead(_))).map(|(_, row)| row);
    lead.unwrap()
}

#[test]
fn a_steady_lead_takes_at_most_600_bytes() {
    let bytes = rows::row_bytes(&steady_lead()).len();
    assert!(bytes <= 600, "{bytes}");
}

#[test]
fn rows_are_stored_as_the_fixtures_say() {
    // Bytes that an earlier build wrote: a change of them needs a new format.
    let lead = steady_lead();
    let mut tally =
        Tally::of("assertive", Counts { exposures: 3, revenue_minor: -7, ..Counts::default() });
    let cohort = Cohort { day: 20_454, version: 2 };
    let cell = Cell { nonzero: 2, sum: 2_000_000, squares: 2_000_000_000_000, ..Cell::default() };
    let group = Group { units: 3, cells: vec![cell], ..Group::default() };
    tally.cohorts.insert(cohort, BTreeMap::from([("assertive".to_owned(), group)]).into());
    for (name, row, fixture) in [
        ("lead", lead, include_str!("../fixtures/lead.row.1.hex")),
        ("tally", Row::Tally(tally), include_str!("../fixtures/tally.row.1.hex")),
    ] {
        let hex: String = rows::row_bytes(&row).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, fixture.trim(), "{name}");
    }
}
