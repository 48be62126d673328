//! Laws of the pipeline, over short stories told as events.

use std::sync::Arc;

use leadstream::codec::{interaction, model};
use leadstream::domain::alerts::{Change, Rule};
use leadstream::domain::lexicon::Lexicon;
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{AppendTime, DAY_MS, HOUR_MS};
use leadstream::pipeline::{Effect, Input, Memory, Outcome};

const START: i64 = 1_767_225_600_000;

fn rules() -> Rules {
    Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english()))
}

/// An event of lead `lead`, `at` milliseconds after the start; `more` is further JSON fields.
fn event(number: u32, lead: &str, at: i64, kind: &str, more: &str) -> Input {
    let time = START + at;
    let id = format!("00000000-0000-5000-8000-{number:012}");
    let line = format!(
        r#"{{"event_id":"{id}","event_type":"{kind}","tenant_id":"acme","lead_id":"{lead}","occurred_at":{time},"received_at":{time},"source_system":"crm"{more}}}"#
    );
    Input::Interaction {
        event: Box::new(interaction::from_json(line.as_bytes()).unwrap()),
        appended: AppendTime(time),
    }
}

fn said(number: u32, lead: &str, at: i64, text: &str) -> Input {
    event(
        number,
        lead,
        at,
        "message.received",
        &format!(
            r#","channel":"sms","direction":"inbound","agent_id":"ann","content":{{"text":"{text}"}}"#
        ),
    )
}

fn story() -> Vec<Input> {
    vec![
        event(1, "a", 0, "contact.created", r#","channel":"web""#),
        said(2, "a", HOUR_MS, "Can we see it Saturday?"),
        event(3, "b", HOUR_MS, "form.submitted", r#","channel":"web""#),
        event(4, "a", 2 * HOUR_MS, "appointment.booked", r#","channel":"sms""#),
        said(5, "b", 3 * HOUR_MS, "That's above our budget"),
        event(
            6,
            "b",
            4 * HOUR_MS,
            "message.sent",
            r#","channel":"sms","direction":"outbound","content":{"text":"I understand"}"#,
        ),
        event(7, "a", 3 * DAY_MS, "appointment.attended", ""),
        event(8, "c", 20 * DAY_MS, "page.viewed", ""),
        event(
            9,
            "a",
            30 * DAY_MS,
            "lead.converted",
            r#","pipeline":{"status":"won","value_minor":100}"#,
        ),
    ]
}

fn run(inputs: &[Input]) -> (Memory, Vec<Effect>, Vec<Outcome>) {
    let rules = rules();
    let mut rows = Memory::default();
    let mut effects = Vec::new();
    let outcomes = inputs.iter().map(|input| rows.run(&rules, input, &mut effects)).collect();
    (rows, effects, outcomes)
}

#[test]
fn every_advanced_event_has_exactly_one_prediction_within_bounds() {
    let (_, effects, outcomes) = run(&story());
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Advanced));
    let predictions: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Prediction(prediction) => Some(prediction),
            _ => None,
        })
        .collect();
    assert_eq!(predictions.len(), story().len());
    for prediction in predictions {
        for score in &prediction.scores {
            assert!(
                (0.0..=1.0).contains(&score.probability)
                    && (0.0..=1.0).contains(&score.data_completeness)
            );
        }
        let sum: f64 = prediction.journey.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

#[test]
fn every_decision_has_a_record_that_its_schema_reads() {
    use leadstream::codec::{avro, outputs};
    let (_, effects, _) = run(&story());
    let mut topics = std::collections::BTreeSet::new();
    for effect in &effects {
        let output = outputs::output(effect).unwrap();
        let value = avro::describe(&output.value.unwrap()).unwrap();
        assert_eq!(format!("acme:{}", value["lead_id"].as_str().unwrap()), output.key);
        topics.insert(output.topic);
    }
    assert_eq!(
        topics.into_iter().collect::<Vec<_>>(),
        ["coaching.prompts.v1", "lead.alerts.v1", "lead.predictions.v1", "lead.profiles.v1"]
    );
}

#[test]
fn redelivery_changes_nothing() {
    let (once, effects, _) = run(&story());
    for again in 0..story().len() {
        let mut inputs = story();
        inputs.insert(again + 1, inputs[again].clone());
        let (twice, repeated, outcomes) = run(&inputs);
        assert_eq!(
            (outcomes[again + 1], &twice, &repeated),
            (Outcome::Duplicate, &once, &effects),
            "event {again}"
        );
    }
}

#[test]
fn the_file_again_advances_nothing() {
    let mut inputs = story();
    inputs.extend(story());
    let (rows, _, outcomes) = run(&inputs);
    assert!(
        outcomes[story().len()..]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Duplicate | Outcome::Late))
    );
    assert_eq!(rows, run(&story()).0);
}

#[test]
fn what_is_late_or_ahead_of_the_log_is_not_applied() {
    let late = event(90, "a", 28 * DAY_MS, "page.viewed", "");
    let mut ahead = event(91, "a", 0, "page.viewed", "");
    if let Input::Interaction { appended, .. } = &mut ahead {
        appended.0 -= HOUR_MS + 1;
    }
    let mut inputs = story();
    inputs.extend([late, ahead, Input::Undecodable("bad_json: x".into())]);
    let (rows, effects, outcomes) = run(&inputs);
    assert_eq!(outcomes[9..], [Outcome::Late, Outcome::DeadLettered, Outcome::DeadLettered]);
    assert_eq!(rows, run(&story()).0);
    assert!(
        matches!(&effects[effects.len() - 3..], [Effect::Late, Effect::DeadLetter(future), Effect::DeadLetter(_)] if future.starts_with("future_timestamp"))
    );
}

#[test]
fn an_event_is_late_only_when_it_is_more_than_a_day_behind() {
    let newest = event(1, "a", 5 * DAY_MS, "page.viewed", "");
    let behind = |number, by| event(number, "a", 5 * DAY_MS - by, "page.viewed", "");
    let (.., outcomes) = run(&[newest, behind(2, DAY_MS), behind(3, DAY_MS + 1)]);
    assert_eq!(outcomes, [Outcome::Advanced, Outcome::Advanced, Outcome::Late]);
}

#[test]
fn ids_that_share_bytes_are_told_apart() {
    let of = |id: &str| match event(1, "a", 0, "page.viewed", "") {
        Input::Interaction { mut event, appended } => {
            event.event_id.0 = *id.parse::<uuid::Uuid>().unwrap().as_bytes();
            Input::Interaction { event, appended }
        }
        other => other,
    };
    let ids = [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-0001-0000-000000000001",
        "00000000-0000-0001-0000-000000000002",
        "00000000-0000-0002-0000-000000000001",
        "00000000-0000-0002-0000-000000000002",
    ];
    let (_, _, outcomes) = run(&ids.map(of));
    assert_eq!(outcomes, [Outcome::Advanced; 6]);
}

#[test]
fn a_timer_budget_pauses_and_changes_nothing() {
    let rules = rules();
    let mut rows = Memory::default();
    let mut effects = Vec::new();
    let mut pauses = 0;
    for input in story() {
        loop {
            let mut budget = 1;
            match leadstream::pipeline::take(&rules, &mut rows, &input, &mut budget, &mut effects) {
                Ok(leadstream::pipeline::Taken::Done(_)) => break,
                Ok(leadstream::pipeline::Taken::Paused) => pauses += 1,
            }
        }
    }
    let (whole, expected, _) = run(&story());
    assert!(pauses > 0);
    assert_eq!((rows, effects), (whole, expected));
}

#[test]
fn a_lead_that_says_nothing_raises_a_warning_without_an_event_of_its_own() {
    let (_, effects, _) = run(&story());
    let alerts: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Alert(alert) => {
                Some((alert.key.lead_id().to_owned(), alert.rule, alert.change))
            }
            _ => None,
        })
        .collect();
    assert!(alerts.contains(&("b".into(), Rule::SlippingAway, Change::Raised)), "{alerts:?}");
    let raised = |(lead, rule, change): &&(String, Rule, Change)| {
        lead == "b" && *rule == Rule::SlippingAway && *change == Change::Raised
    };
    assert_eq!(alerts.iter().filter(raised).count(), 1);
}

#[test]
fn every_message_of_a_lead_gets_a_prompt_that_quotes_it() {
    let (_, effects, _) = run(&story());
    let quotes: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Prompt(prompt) => Some(prompt.quote.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(quotes, ["Can we see it Saturday?", "That's above our budget"]);
}

#[test]
fn no_channel_is_recommended_without_consent() {
    let dnd = event(1, "a", 0, "contact.dnd_changed", r#","attributes":{"dnd":"true"}"#);
    let (_, effects, _) = run(&[
        dnd,
        said(2, "a", HOUR_MS, "hello"),
        said(3, "b", HOUR_MS, "STOP"),
        said(4, "d", HOUR_MS, "hello"),
    ]);
    let channels: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Prediction(prediction) => {
                Some(prediction.next.channel.as_ref().map(|channel| channel.as_str().to_owned()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(channels, [None, None, None, Some("sms".to_owned())]);
    for effect in &effects {
        if let Effect::Profile(key, Some(profile)) = effect {
            assert_eq!(profile.preferred_channel.is_some(), key.lead_id() == "d", "{profile:?}");
        }
    }
}
