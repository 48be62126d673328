//! Scenario files: one event per line, with the effects of leadstream below it.
//!
//! `LEADSTREAM_BLESS=1 cargo test --test it scenarios` rewrites the files with the current effects;
//! read the diff before you commit it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use leadstream::codec::interaction;
use leadstream::domain::alerts::Change;
use leadstream::domain::units::{AppendTime, DAY_MS, HOUR_MS, MINUTE_MS};
use leadstream::pipeline::{Effect, Input, Memory, Outcome};

/// Monday, 5 January 2026, 00:00 UTC: day 1.
const START: i64 = 1_767_571_200_000;

/// `day 3 09:30` in milliseconds; the rest of the line.
fn moment(line: &str) -> (i64, &str) {
    let mut words = line.strip_prefix("day ").unwrap().splitn(3, ' ');
    let day: i64 = words.next().unwrap().parse().unwrap();
    let (hour, minute) = words.next().unwrap().split_once(':').unwrap();
    let (hour, minute): (i64, i64) = (hour.parse().unwrap(), minute.parse().unwrap());
    (
        START + (day - 1) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS,
        words.next().unwrap_or("").trim(),
    )
}

/// `name=value` or `name="a value"` pairs.
fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        found.push((name.trim().to_owned(), value.to_owned()));
        text = rest;
    }
    assert!(text.trim().is_empty(), "{text:?} is no name=value");
    found
}

/// The event of a line and its append time.
fn event(line: &str, number: usize) -> (Value, i64) {
    let (at, rest) = moment(line);
    let (who, what) = rest.split_once("  ").unwrap();
    let mut event = json!({
        "event_id": format!("00000000-0000-5000-8000-{number:012}"),
        "tenant_id": "acme",
        "occurred_at": at,
        "received_at": at,
        "source_system": "crm",
    });
    let mut processed = at;
    if let Some(text) = what.trim().strip_prefix("says ") {
        let outbound = who.contains(" to ");
        event["event_type"] = if outbound { "message.sent" } else { "message.received" }.into();
        event["channel"] = "sms".into();
        event["content"] = json!({ "text": text.trim_matches('"') });
    } else {
        let (kind, more) = what.trim().split_once(' ').unwrap_or((what.trim(), ""));
        event["event_type"] = kind.into();
        for (name, value) in pairs(more) {
            match name.split_once('.') {
                Some(("consent", channel)) => event["consent"][channel] = (value == "true").into(),
                Some((map, key)) => event[map][key] = value.into(),
                None => match name.as_str() {
                    "agent" => event["agent_id"] = value.into(),
                    "listing" => event["listing"] = json!({ "listing_id": value }),
                    "stage" => event["pipeline"]["stage_id"] = value.into(),
                    "status" => event["pipeline"]["status"] = value.into(),
                    "value" => {
                        event["pipeline"]["value_minor"] = value.parse::<i64>().unwrap().into()
                    }
                    "taken" => processed = moment(&value).0,
                    _ => event[name] = value.into(),
                },
            }
        }
    }
    let (agent, lead) =
        who.split_once(" to ").map_or((None, who), |(agent, lead)| (Some(agent), lead));
    event["lead_id"] = lead.into();
    if let Some(agent) = agent {
        event["agent_id"] = agent.into();
    }
    (event, processed)
}

/// An effect as a line of text.
fn reported(effect: &Effect, lead: &str) -> Option<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    match effect {
        Effect::Prediction(prediction) => {
            let [conversion, churn, receptivity, objection, readiness, urgency] =
                &prediction.scores;
            let next = &prediction.next;
            let channel = next.channel.as_ref().map_or("no channel", |channel| channel.as_str());
            let minutes = (next.at.0 - START) / MINUTE_MS;
            Some(format!(
                "{} stage; converts {}, churns {}, answers {}, objects {}, ready to meet {}, buys \
                    this week {}\n    {} speaks {}; next {} by {channel}, day {} {:02}:{:02}: {}",
                prediction.journey.stage.as_str(),
                percent(conversion.probability),
                percent(churn.probability),
                percent(receptivity.probability),
                percent(objection.probability),
                percent(readiness.probability),
                percent(urgency.probability),
                prediction.agent_id.as_deref().unwrap_or("nobody"),
                prediction.choice.strategy.as_str(),
                next.action.as_str(),
                minutes / 1_440 + 1,
                minutes / 60 % 24,
                minutes % 60,
                next.reason,
            ))
        }
        Effect::Alert(alert) => {
            let change = if alert.change == Change::Raised { "warning" } else { "warning cleared" };
            let minutes = (alert.at.0 - START) / MINUTE_MS;
            let whose = if alert.key.lead_id() == lead {
                String::new()
            } else {
                format!(" of {}", alert.key.lead_id())
            };
            let (day, hour, minute) = (minutes / 1_440 + 1, minutes / 60 % 24, minutes % 60);
            Some(format!(
                "{change}{whose}, day {day} {hour:02}:{minute:02}: {}, {}",
                alert.rule.as_str(),
                alert.reason
            ))
        }
        Effect::Prompt(prompt) => Some(format!(
            "coach: {}\n      {}\n      \"{}\"",
            prompt.headline,
            prompt.guidance.join(" "),
            prompt.reply
        )),
        Effect::Exposure(_)
        | Effect::Profile(..)
        | Effect::Count(..)
        | Effect::Unmapped(_)
        | Effect::ExperimentMetrics(_)
        | Effect::Conclusion(_)
        | Effect::AllocationUpdate(_) => None,
        Effect::DeadLetter(reason) => Some(format!("dead letter: {reason}")),
        Effect::Late => Some("late".to_owned()),
    }
}

/// The scenario with its effects.
fn tell(story: &str) -> String {
    let rules = leadstream::domain::rules::Rules::new(
        std::sync::Arc::new(leadstream::codec::model::starting()),
        std::sync::Arc::new(leadstream::domain::lexicon::Lexicon::english()),
    );
    let (mut memory, mut before, mut out) = (Memory::default(), None, String::new());
    for (number, line) in story.lines().enumerate().filter(|(_, line)| !line.starts_with("    ")) {
        writeln!(out, "{line}").unwrap();
        let input = match line {
            "again" => before.clone().unwrap(),
            day if day.starts_with("day ") => {
                let (event, processed) = event(day, number);
                let lead = event["lead_id"].as_str().unwrap().to_owned();
                let event = interaction::from_json(event.to_string().as_bytes()).unwrap();
                (
                    lead,
                    Input::Interaction { event: Box::new(event), appended: AppendTime(processed) },
                )
            }
            _ => continue,
        };
        let (lead, input) = before.insert(input);
        let mut effects = Vec::new();
        let outcome = memory.run(&rules, input, &mut effects);
        if outcome == Outcome::Duplicate {
            writeln!(out, "    duplicate").unwrap();
        }
        effects
            .iter()
            .filter_map(|effect| reported(effect, lead))
            .for_each(|text| writeln!(out, "    {text}").unwrap());
    }
    out
}

#[test]
fn every_story_is_told_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut stories = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // Event ids are line numbers, so they must not depend on the effects in the file.
        let bare: String = text
            .lines()
            .filter(|line| !line.starts_with("    "))
            .map(|line| format!("{line}\n"))
            .collect();
        let reported = tell(&bare);
        if std::env::var_os("LEADSTREAM_BLESS").is_some() {
            fs::write(&path, &reported).unwrap();
        } else {
            let differs = reported.lines().zip(text.lines()).find(|(now, file)| now != file);
            assert!(reported == text, "{}: now and in the file: {differs:#?}", path.display());
        }
        stories += 1;
    }
    assert!(stories >= 5);
}
