//! What people are shown of leads: one lead with its reasons, the worklist of a tenant, and records
//! as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::codec::record::Record;
use crate::codec::{avro, hex};
use crate::domain::lead::Lead;
use crate::domain::rules::InForce;
use crate::domain::scoring::{Score, Target};
use crate::domain::units::{EventTime, LeadKey, Offset, Partition, Tenant};
use crate::engine::store::Error;
use crate::engine::worker::Views;
use crate::log::registry::Schemas;
use crate::pipeline::{Key, Row};

/// How long a schema is waited for before a value is shown without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadView {
    /// `tenant:lead`.
    pub key: String,
    /// Events that were taken.
    pub events: u32,
    /// Time of the newest, milliseconds since 1970.
    pub last_event_ms: i64,
    /// Stage of the journey.
    pub stage: String,
    /// Belief in each stage, in their order.
    pub stage_probabilities: Vec<f32>,
    /// `won` or `lost`.
    pub outcome: Option<String>,
    /// The agent who owns the lead.
    pub owner: Option<String>,
    /// `name@version` of the model behind the predictions.
    pub model: String,
    /// The six by name.
    pub predictions: BTreeMap<String, PredictionView>,
    /// What to do next.
    pub next_action: NextActionView,
    /// Facts that the lead gave, by kind.
    pub facts: BTreeMap<String, String>,
    /// Objections not resolved.
    pub open_objections: Vec<String>,
    /// Rules of the alerts that stand.
    pub alerts: Vec<String>,
}

/// One prediction and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionView {
    /// 0 to 1.
    pub probability: f64,
    /// Share of the model's features that are known, 0 to 1.
    pub data_completeness: f64,
    /// What the probability is of.
    pub label: String,
    /// Log odds of a lead of whom nothing is known.
    pub intercept: f64,
    /// The contributions that count most.
    pub why: Vec<ContributionView>,
}

/// What one feature adds to a prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContributionView {
    /// The feature.
    pub feature: String,
    /// Its value; `None`: not known.
    pub value: Option<f32>,
    /// What it adds, log odds.
    pub log_odds: f32,
}

/// What to do next, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextActionView {
    /// What.
    pub action: String,
    /// On which channel; `None`: none may be used, or nothing is to be done.
    pub channel: Option<String>,
    /// Not before, milliseconds since 1970.
    pub at_ms: i64,
    /// Why.
    pub reason: String,
}

/// A lead with its predictions and why.
#[must_use]
pub fn lead(key: &LeadKey, lead: &Lead, rules: &InForce<'_>) -> LeadView {
    let at = lead.activity.last.unwrap_or_default();
    let scores = lead.scores(rules, at);
    let next = lead.next(rules, &scores, at);
    let prediction = |target: Target| {
        let card = &rules.model.cards[target.index()];
        (target.as_str().to_owned(), prediction(&scores[target.index()], &card.label))
    };
    let facts = lead.conversation.facts.iter();
    LeadView {
        key: key.as_str().to_owned(),
        events: lead.activity.events,
        last_event_ms: at.0,
        stage: lead.journey.stage.as_str().to_owned(),
        stage_probabilities: lead.journey.belief.to_vec(),
        outcome: lead.journey.outcome.map(|outcome| outcome.as_str().to_owned()),
        owner: lead.contact.owner.clone(),
        model: rules.model.id.to_string(),
        predictions: Target::ALL.into_iter().map(prediction).collect(),
        next_action: NextActionView {
            action: next.action.as_str().to_owned(),
            channel: next.channel.map(|channel| channel.as_str().to_owned()),
            at_ms: next.at.0,
            reason: next.reason,
        },
        facts: facts.map(|fact| (fact.kind.as_str().to_owned(), fact.value.clone())).collect(),
        open_objections: lead
            .conversation
            .open
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
        alerts: lead
            .risk
            .standing
            .iter()
            .map(|standing| standing.rule.as_str().to_owned())
            .collect(),
    }
}

fn prediction(score: &Score, label: &str) -> PredictionView {
    let why = score.contributions.iter().map(|share| ContributionView {
        feature: share.feature.as_str().to_owned(),
        value: share.value,
        log_odds: share.log_odds,
    });
    PredictionView {
        probability: score.probability,
        data_completeness: score.data_completeness,
        label: label.to_owned(),
        intercept: score.intercept,
        why: why.collect(),
    }
}

/// Whom to contact now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// `tenant:lead`.
    pub key: String,
    /// The agent who owns the lead.
    pub agent: Option<String>,
    /// What is at stake, 0 to 1.5: a likely deal that is likely to slip away.
    pub priority: f64,
    /// What to do.
    pub action: String,
    /// On which channel.
    pub channel: String,
    /// Not before, milliseconds since 1970.
    pub due_ms: i64,
    /// Why.
    pub reason: String,
    /// A message ready to be edited and sent.
    pub draft: String,
}

/// The open leads of a tenant that may be contacted, by what is at stake, at most the daily cap per
/// agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Worklist {
    /// Them.
    pub tasks: Vec<Task>,
    /// The cap.
    pub cap: usize,
    /// Partitions whose leads were looked at.
    pub partitions: BTreeSet<u32>,
    /// Time of the tenant's newest event in them, milliseconds since 1970; `None`: there was none.
    pub as_of_ms: Option<i64>,
}

impl Worklist {
    /// With what other partitions have. Of a lead that both have, as while its partition moves, one
    /// task is kept.
    pub fn merge(&mut self, other: Self) {
        self.tasks.extend(other.tasks);
        self.cap = self.cap.max(other.cap);
        self.partitions.extend(other.partitions);
        self.as_of_ms = self.as_of_ms.max(other.as_of_ms);
        self.cut();
    }

    fn cut(&mut self) {
        self.tasks
            .sort_by(|a, b| b.priority.total_cmp(&a.priority).then_with(|| a.key.cmp(&b.key)));
        let mut shown: BTreeMap<Option<String>, usize> = BTreeMap::new();
        let (mut keys, cap) = (BTreeSet::new(), self.cap);
        self.tasks.retain(|task| {
            if !keys.insert(task.key.clone()) {
                return false;
            }
            let count = shown.entry(task.agent.clone()).or_default();
            *count += 1;
            *count <= cap
        });
    }
}

/// Tasks that are gathered before those beyond the cap are dropped.
const TASKS_GATHERED_MAX: usize = 10_000;

/// The worklist of the partitions that are here.
///
/// # Errors
/// [`Error::Cache`].
pub fn worklist(views: &Views, tenant: &Tenant, agent: Option<&str>) -> Result<Worklist, Error> {
    let mut list = Worklist::default();
    for shared in views.all() {
        list.partitions.insert(shared.partition().0);
        let clock = shared.view(&Key::Clock(tenant.clone()))?;
        let Some(Row::Clock(clock)) = clock.row.clone() else { continue };
        let rules = shared.view(&Key::Clock(tenant.clone()))?.rules;
        let rules = rules.in_force(tenant, clock.at);
        list.cap = rules.settings.daily_cap;
        list.as_of_ms = list.as_of_ms.max(Some(clock.at.0));
        shared.scan(&format!("L{tenant}:"), &mut |key, row| {
            if let (Key::Lead(key), Row::Lead(lead)) = (key, row) {
                let mine = agent.is_none_or(|agent| lead.contact.owner.as_deref() == Some(agent));
                if mine && lead.journey.outcome.is_none() {
                    list.tasks.extend(task(&key, &lead, (&rules, clock.at)));
                    // Whoever is beyond the cap now stays so.
                    if list.tasks.len() >= TASKS_GATHERED_MAX {
                        list.cut();
                    }
                }
            }
        })?;
    }
    list.cut();
    Ok(list)
}

fn task(key: &LeadKey, lead: &Lead, (rules, at): (&InForce<'_>, EventTime)) -> Option<Task> {
    let scores = lead.scores(rules, at);
    let next = lead.next(rules, &scores, at);
    let (channel, draft) = (next.channel.as_ref()?.as_str().to_owned(), lead.draft(&next));
    let [conversion, churn, ..] = &scores;
    Some(Task {
        key: key.as_str().to_owned(),
        agent: lead.contact.owner.clone(),
        priority: conversion.probability * (0.5 + churn.probability),
        action: next.action.as_str().to_owned(),
        channel,
        due_ms: next.at.0,
        reason: next.reason,
        draft,
    })
}

/// Stage names of CRMs that no definition maps, by tenant, with how often they came; of the
/// partitions that are here.
///
/// # Errors
/// [`Error::Cache`].
pub fn unmapped_stages(views: &Views) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Error> {
    let mut unmapped: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for shared in views.all() {
        shared.scan("U", &mut |key, row| {
            if let (Key::Unmapped(tenant), Row::Unmapped(names)) = (key, row) {
                let of_tenant = unmapped.entry(tenant.as_str().to_owned()).or_default();
                for (name, times) in names.names {
                    *of_tenant.entry(name).or_default() += times;
                }
            }
        })?;
    }
    Ok(unmapped)
}

/// Records for people.
pub struct Shown<'a> {
    schemas: &'a Schemas,
    patience: Duration,
}

impl<'a> Shown<'a> {
    /// With the schemas of a registry, as long as it answers.
    #[must_use]
    pub fn new(schemas: &'a Schemas) -> Self {
        Self { schemas, patience: PATIENCE }
    }

    /// Values of known schemas as JSON, others as text, or as hexadecimal where they are no text.
    pub fn record(&mut self, place: (Partition, Offset), record: &Record) -> Value {
        let value = record.value.as_deref().map(|bytes| self.value(bytes));
        line(place, record, value)
    }

    /// A dead letter: what is said of it, its bytes as text or as hexadecimal, and what they are by
    /// a schema that is known.
    pub fn letter(&mut self, (partition, offset): (Partition, Offset), record: &Record) -> Value {
        let reason = record.reason.as_deref().unwrap_or_default();
        let value = record.value.as_deref().unwrap_or_default();
        json!({
            "place": format!("{}/{}", partition.0, offset.0),
            "reason": record.reason_word(),
            "error": reason.split_once(": ").map(|(_, sentence)| sentence),
            "was_at": record.origin.as_ref().map(|origin| format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)),
            "attempt": record.origin.as_ref().map(|origin| origin.attempt),
            "taken_ms": record.appended_ms,
            "schema": avro::named_schema(value),
            "run": (record.ingest_run != 0).then_some(record.ingest_run),
            "key": record.key.as_deref().map(text),
            "bytes": value.len(),
            "value": text(value),
            "decoded": self.described(value),
        })
    }

    /// A value by its schema, or as text, or as hexadecimal where it is no text.
    pub fn value(&mut self, bytes: &[u8]) -> Value {
        self.described(bytes).unwrap_or_else(|| text(bytes))
    }

    fn described(&mut self, bytes: &[u8]) -> Option<Value> {
        match self
            .schemas
            .read_within(self.patience, bytes, |writers| avro::describe_with(writers, bytes))
        {
            Ok(described) => described.ok(),
            Err(error) => {
                tracing::warn!(%error, "values are shown without the schemas that are not here");
                self.patience = Duration::ZERO;
                None
            }
        }
    }
}

fn line((partition, offset): (Partition, Offset), record: &Record, value: Option<Value>) -> Value {
    let mut line = json!({ "key": record.key.as_deref().map(text), "partition": partition.0, "offset": offset.0, "value": value });
    if let Some(reason) = &record.reason {
        line["reason"] = reason.as_str().into();
    }
    if let Some(origin) = &record.origin {
        line["origin"] = origin.to_string().into();
    }
    line
}

/// Bytes as text, or as hexadecimal where they are none.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(cap: usize, partition: u32, tasks: &[(&str, &str, f64)]) -> Worklist {
        let task = |(key, agent, priority): &(&str, &str, f64)| Task {
            key: (*key).to_owned(),
            agent: Some((*agent).to_owned()),
            priority: *priority,
            action: String::new(),
            channel: String::new(),
            due_ms: 0,
            reason: String::new(),
            draft: String::new(),
        };
        Worklist {
            tasks: tasks.iter().map(task).collect(),
            cap,
            partitions: BTreeSet::from([partition]),
            as_of_ms: Some(i64::from(partition)),
        }
    }

    #[test]
    fn merged_worklists_keep_the_most_at_stake_within_the_cap_of_each_agent_and_each_lead_once() {
        let parts = [
            list(2, 0, &[("t:a", "ann", 0.9), ("t:b", "ann", 0.3)]),
            list(2, 1, &[("t:c", "ann", 0.5), ("t:d", "bob", 0.1)]),
            list(2, 1, &[("t:c", "ann", 0.4)]),
            Worklist::default(),
        ];
        let merged = |order: [usize; 4]| {
            let mut whole = Worklist::default();
            order.into_iter().for_each(|place| whole.merge(parts[place].clone()));
            whole
        };
        let whole = merged([0, 1, 2, 3]);
        let keys: Vec<&str> = whole.tasks.iter().map(|task| task.key.as_str()).collect();
        assert_eq!(
            (keys, whole.partitions.clone()),
            (vec!["t:a", "t:c", "t:d"], BTreeSet::from([0, 1]))
        );
        assert_eq!(merged([3, 2, 1, 0]), whole);
    }
}
