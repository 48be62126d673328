//! Definitions: everything that changes a decision, as a person writes it (JSON) and as it is
//! checked before it counts.

mod experiment;
mod policy;
mod allocation_update;

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use crate::codec::definition::allocation_update::allocation_update;
pub use crate::codec::definition::policy::conclusion;
use crate::codec::{interaction, model};
use crate::domain::contact::{QuietHours, zone};
use crate::domain::experiment::BUCKETS;
use crate::domain::journey::stage_map::{StageMap, normal_name};
use crate::domain::journey::{Meaning, Stage};
use crate::domain::lexicon::{Entry, Lexicon, ObjectionKind, Topic};
use crate::domain::rules::{Body, Definition, Settings, Thresholds};
use crate::domain::strategy::Strategy;
use crate::domain::units::{HOUR_MS, MINUTE_MS, Tenant};

/// Bytes of one definition's body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Ids of one lead that may be remembered.
const DEDUPE_IDS_MAX: usize = 4_096;
/// Kinds of definitions.
pub const KINDS: [&str; 7] =
    ["experiment", "model", "thresholds", "lexicon", "stages", "settings", "policy"];

/// Why a definition was refused: which field, what is wrong, what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

fn refused<T>(sentence: impl Into<String>) -> Result<T, Error> {
    Err(Error(sentence.into()))
}

/// Letters by which a name may differ from a built-in strategy and still be taken for a slip.
const SLIP_LETTERS: usize = 2;

/// Refuses a name of a strategy that is nearly a built-in one: it would be another strategy, with
/// texts of its own, and nobody would notice.
pub(crate) fn strategy(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > 64 || name.trim() != name {
        return refused(format!("{field}: must have 1 to 64 bytes, without blanks around them"));
    }
    if Strategy::WORDS.contains(&name) {
        return Ok(());
    }
    let letters: String = name
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let near =
        Strategy::WORDS.iter().find(|known| strsim::osa_distance(known, &letters) <= SLIP_LETTERS);
    match near {
        Some(near) => refused(format!(
            "{field}: {name:?} is no built-in strategy: did you mean {near:?}? A strategy of your \
                own needs a name that is not nearly one of {}",
            Strategy::WORDS.join(", ")
        )),
        None => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenant: Option<String>,
    kind: String,
    name: String,
    version: u32,
    effective_at: String,
    body: serde_json::Value,
}

/// Reads a definition as a person writes it: a JSON object with `tenant` (absent: all tenants),
/// `kind`, `name`, `version`,
/// `effective_at` (RFC 3339) and `body`.
///
/// # Errors
/// [`Error`] naming the field.
pub fn from_json(text: &[u8]) -> Result<(Definition, Body), Error> {
    let file: File = read(text, "definition")?;
    let tenant = file
        .tenant
        .as_deref()
        .map(Tenant::new)
        .transpose()
        .map_err(|error| Error(format!("tenant: {error}")))?;
    let effective_at = interaction::instant("effective_at", &file.effective_at)
        .map_err(|error| Error(error.sentence))?;
    let body = file.body.to_string();
    let definition = Definition {
        tenant,
        kind: file.kind,
        name: file.name,
        version: file.version,
        effective_at,
        body,
    };
    let body = body_of(&definition)?;
    Ok((definition, body))
}

/// Checks a definition and reads its body.
///
/// # Errors
/// [`Error`] naming the field.
pub fn body_of(definition: &Definition) -> Result<Body, Error> {
    let Definition { tenant, kind, name, version, body, .. } = definition;
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        return refused("name: must have 1 to 128 bytes without control characters");
    }
    if *version == 0 {
        return refused("version: must be 1 or more");
    }
    if body.len() > BODY_BYTES_MAX {
        return refused(format!(
            "body: has {} bytes, at most {BODY_BYTES_MAX} are taken",
            body.len()
        ));
    }
    let text = body.as_bytes();
    Ok(match kind.as_str() {
        "experiment" => {
            Body::Experiment(experiment::experiment(tenant.as_ref(), (name, *version), text)?)
        }
        "model" => Body::Model(Arc::new(model(text)?)),
        "thresholds" => Body::Thresholds(thresholds(read(text, "body")?)?),
        "lexicon" => Body::Lexicon(Arc::new(lexicon(read(text, "body")?)?)),
        "stages" => Body::Stages(Arc::new(stages(read(text, "body")?)?)),
        "policy" => Body::Policy(policy::policy(text)?),
        "settings" => Body::Settings(settings(&read(text, "body")?)?),
        other => return refused(format!("kind: {other:?} is none of {}", KINDS.join(", "))),
    })
}

fn stages_of(names: &[String]) -> Result<Vec<Stage>, Error> {
    names
        .iter()
        .map(|name| {
            Stage::parse(name).ok_or_else(|| Error(format!("body.stages: {name:?} is no stage")))
        })
        .collect()
}

fn read<T: DeserializeOwned>(text: &[u8], part: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(text))
        .map_err(|error| Error(format!("{part}.{error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelBody {
    toml: String,
}

fn model(text: &[u8]) -> Result<crate::domain::scoring::Model, Error> {
    let body: ModelBody = read(text, "body")?;
    model::parse(&body.toml).map_err(|error| Error(format!("body.toml: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ThresholdsBody {
    lateness_hours: f64,
    max_future_skew_minutes: f64,
    dedupe_ids: usize,
    churn_alert_threshold: f64,
    churn_alert_clear: f64,
    answer_minutes: i64,
}

impl Default for ThresholdsBody {
    fn default() -> Self {
        let Thresholds {
            lateness_ms,
            max_future_skew_ms,
            dedupe_ids,
            churn_alert_threshold,
            churn_alert_clear,
            answer_minutes,
        } = Thresholds::default();
        let (lateness_hours, max_future_skew_minutes) =
            (lateness_ms as f64 / HOUR_MS as f64, max_future_skew_ms as f64 / MINUTE_MS as f64);
        Self {
            lateness_hours,
            max_future_skew_minutes,
            dedupe_ids,
            churn_alert_threshold,
            churn_alert_clear,
            answer_minutes,
        }
    }
}

fn thresholds(body: ThresholdsBody) -> Result<Thresholds, Error> {
    if !(0.0..=24.0 * 366.0).contains(&body.lateness_hours)
        || !(0.0..=24.0 * 60.0).contains(&body.max_future_skew_minutes)
    {
        return refused(
            "body: lateness_hours must be 0 to 8,784 and max_future_skew_minutes 0 to 1,440",
        );
    }
    if !(1..=DEDUPE_IDS_MAX).contains(&body.dedupe_ids)
        || !(1..=60 * 24 * 30).contains(&body.answer_minutes)
    {
        return refused(format!(
            "body: dedupe_ids must be 1 to {DEDUPE_IDS_MAX} and answer_minutes 1 to 43,200"
        ));
    }
    if !(0.0 < body.churn_alert_clear
        && body.churn_alert_clear <= body.churn_alert_threshold
        && body.churn_alert_threshold < 1.0)
    {
        return refused("body: 0 < churn_alert_clear <= churn_alert_threshold < 1 is needed");
    }
    Ok(Thresholds {
        lateness_ms: (body.lateness_hours * HOUR_MS as f64) as i64,
        max_future_skew_ms: (body.max_future_skew_minutes * MINUTE_MS as f64) as i64,
        dedupe_ids: body.dedupe_ids,
        churn_alert_threshold: body.churn_alert_threshold,
        churn_alert_clear: body.churn_alert_clear,
        answer_minutes: body.answer_minutes,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LexiconBody {
    entries: Vec<LexiconEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LexiconEntry {
    phrase: String,
    topic: String,
    weight: f32,
    objection: Option<String>,
}

fn lexicon(body: LexiconBody) -> Result<Lexicon, Error> {
    if body.entries.len() > 10_000 {
        return refused("body.entries: at most 10,000 are taken");
    }
    let entries = body.entries.into_iter().enumerate().map(|(place, entry)| {
        let topic = Topic::ALL.into_iter().find(|topic| topic.as_str() == entry.topic);
        let topic = topic.ok_or_else(|| {
            Error(format!(
                "body.entries[{place}].topic: {:?} is no \
            topic",
                entry.topic
            ))
        })?;
        if !(0.0..=1.0).contains(&entry.weight)
            || entry.phrase.trim().is_empty()
            || entry.phrase.len() > 200
        {
            return refused(format!(
                "body.entries[{place}]: a phrase of 1 to 200 bytes and a weight \
                of 0 to 1 are needed"
            ));
        }
        let phrase = entry.phrase.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Ok(Entry {
            phrase,
            topic,
            weight: entry.weight,
            objection: entry.objection.as_deref().map(ObjectionKind::parse),
        })
    });
    Ok(Lexicon::english().with(&entries.collect::<Result<Vec<_>, _>>()?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StagesBody {
    names: std::collections::BTreeMap<String, String>,
}

fn stages(body: StagesBody) -> Result<StageMap, Error> {
    let meaning = |(name, word): (String, String)| {
        let meaning = match word.as_str() {
            "won" => Some(Meaning::Won),
            "lost" => Some(Meaning::Lost),
            "neutral" => Some(Meaning::Neutral),
            stage => Stage::parse(stage).map(Meaning::Stage),
        };
        let meaning = meaning.ok_or_else(|| {
            Error(format!("body.names.{name}: {word:?} is no stage, and not won, lost or neutral"))
        })?;
        Ok((normal_name(&name), meaning))
    };
    Ok(StageMap { own: body.names.into_iter().map(meaning).collect::<Result<_, Error>>()? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    timezone: Option<String>,
    quiet_from: Option<i8>,
    quiet_to: Option<i8>,
    daily_cap: Option<usize>,
    holdout: Option<u32>,
}

fn settings(body: &SettingsBody) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    if let Some(name) = &body.timezone {
        settings.timezone = zone(name)
            .ok_or_else(|| Error(format!("body.timezone: {name:?} is no IANA timezone")))?;
    }
    let hours = QuietHours {
        from: body.quiet_from.unwrap_or(settings.quiet.from),
        to: body.quiet_to.unwrap_or(settings.quiet.to),
    };
    if !(0..24).contains(&hours.from) || !(0..24).contains(&hours.to) {
        return refused("body: quiet_from and quiet_to must be hours 0 to 23");
    }
    settings.quiet = hours;
    settings.holdout = body.holdout.unwrap_or(0);
    if settings.holdout > BUCKETS {
        return refused("body.holdout: is out of 10,000: 500 is 5 %");
    }
    settings.daily_cap = body.daily_cap.unwrap_or(settings.daily_cap);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(kind: &str, body: &str) -> String {
        format!(
            r#"{{"tenant":"acme","kind":"{kind}","name":"n","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{body}}}"#
        )
    }

    #[test]
    fn every_kind_is_read() {
        let toml = serde_json::to_string(model::STARTING).unwrap();
        for (kind, body) in [
            (
                "experiment",
                r#"{"unit":"lead","salt":"s","arms":[{"strategy":"assertive","weight":1},{"strategy":"own","weight":3}],"window_hours":24}"#,
            ),
            ("model", &format!(r#"{{"toml":{toml}}}"#)),
            ("thresholds", r#"{"lateness_hours":48}"#),
            ("lexicon", r#"{"entries":[{"phrase":"Tiny  House","topic":"interest","weight":1}]}"#),
            ("stages", r#"{"names":{"Stufe 1":"interest","Ende":"lost"}}"#),
            ("settings", r#"{"timezone":"Europe/Amsterdam","quiet_from":20,"holdout":500}"#),
            (
                "policy",
                r#"{"strategy":"assertive","stages":["intent"],"concludes":{"experiment":"tone","version":2},"reason":"tried"}"#,
            ),
        ] {
            let (read, body) = from_json(definition(kind, body).as_bytes()).unwrap();
            assert_eq!((read.kind.as_str(), read.version), (kind, 1));
            match body {
                Body::Experiment(experiment) => {
                    assert_eq!((experiment.traffic_allocation, experiment.arms[1].1), (10_000, 3))
                }
                Body::Thresholds(thresholds) => {
                    assert_eq!(
                        thresholds,
                        Thresholds { lateness_ms: 48 * HOUR_MS, ..Thresholds::default() }
                    );
                }
                Body::Lexicon(lexicon) => {
                    assert!(lexicon.read("a tiny house!").of(Topic::Interest) > 0.9)
                }
                Body::Stages(stages) => assert_eq!(stages.meaning("ENDE"), Some(Meaning::Lost)),
                Body::Settings(settings) => assert_eq!(
                    (settings.quiet, settings.holdout),
                    (QuietHours { from: 20, to: 8 }, 500)
                ),
                Body::Policy(policy) => {
                    assert_eq!(
                        (policy.stages, policy.concludes),
                        (vec![Stage::Intent], Some(("tone".to_owned(), 2)))
                    );
                }
                Body::Model(model) => assert_eq!(*model, crate::codec::model::starting()),
            }
        }
    }

    #[test]
    fn a_refused_definition_names_its_field() {
        let arms = r#""arms":[{"strategy":"a","weight":1},{"strategy":"b","weight":1}]"#;
        let cases = [
            (definition("experiments", "{}"), "kind"),
            (definition("thresholds", r#"{"latenes_hours":1}"#), "latenes_hours"),
            (definition("thresholds", r#"{"churn_alert_threshold":0.2}"#), "churn_alert_clear"),
            (definition("settings", r#"{"timezone":"Mars"}"#), "timezone"),
            (definition("stages", r#"{"names":{"x":"y"}}"#), "names.x"),
            (
                definition("lexicon", r#"{"entries":[{"phrase":"x","topic":"y","weight":1}]}"#),
                "entries[0].topic",
            ),
            (definition("model", r#"{"toml":"x"}"#), "toml"),
            (
                definition(
                    "experiment",
                    &format!(r#"{{"unit":"team","salt":"s","window_hours":1,{arms}}}"#),
                ),
                "unit",
            ),
            (
                definition(
                    "experiment",
                    r#"{"unit":"lead","salt":"s","window_hours":1,"arms":[]}"#,
                ),
                "arms",
            ),
            (definition("settings", r#"{"holdout":10001}"#), "holdout"),
            (definition("policy", "{}"), "strategy"),
            (definition("policy", r#"{"strategy":"rules","stages":["x"]}"#), "stages"),
            (definition("settings", "{}").replace("2026-01-01T00:00:00Z", "soon"), "effective_at"),
            (definition("settings", "{}").replace("\"version\":1", "\"version\":0"), "version"),
            (definition("settings", "{}").replace("acme", "a cme"), "tenant"),
        ];
        for (text, names) in cases {
            let error = from_json(text.as_bytes()).err().map(|error| error.to_string());
            assert!(error.as_ref().is_some_and(|error| error.contains(names)), "{text}: {error:?}");
        }
    }
}
