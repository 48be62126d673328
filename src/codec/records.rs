//! Records of the log as inputs of the pipeline, and effects as records.

use crate::codec::avro::{self, Writers};
use crate::codec::definition::{allocation_update, body_of, conclusion};
use crate::codec::internal::{self, InboxEntry};
use crate::codec::record::{Batches, Origin, Record};
use crate::codec::topics::{DEAD_LETTERS, DEFINITIONS, LATE, inputs_of};
use crate::codec::{interaction, outputs, results};
use crate::domain::event::Interaction;
use crate::domain::hash::partition_of;
use crate::domain::rules::{Body, Definition, Refusal, Rules};
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::pipeline::{Effect, Input, InputTopic};

/// Bytes of a reason that are kept: names of fields and types may come from a foreign schema.
const REASON_BYTES_MAX: usize = 500;
/// What of an interaction may name the schema of its writer: nothing where it is known to be no
/// event.
#[must_use]
pub fn coded(record: &Record) -> &[u8] {
    record.value.as_deref().filter(|_| record.reason.is_none()).unwrap_or_default()
}

/// The event of a record of the interactions. A line that was ingested, or appended again, may have
/// been kept as it is.
///
/// # Errors
/// Why it is none.
pub fn event(record: &Record, writers: &Writers) -> Result<Interaction, interaction::Error> {
    let value = record.value.as_deref().unwrap_or_default();
    let is_line = record.ingest_run != 0 && avro::frame(value).is_err();
    if is_line {
        interaction::from_json(value)
    } else {
        interaction::from_avro_with(writers, value)
    }
}

/// One record of the interactions as an input of one of so many partitions.
#[must_use]
pub fn input(
    record: &Record,
    (partition, partitions): (Partition, u32),
    writers: &Writers,
) -> Input {
    if let Some(reason) = &record.reason {
        return Input::Undecodable(reason.clone());
    }
    match event(record, writers) {
        // Two partitions must never both own a lead.
        Ok(event) if partition_of(event.key.as_str().as_bytes(), partitions) != partition => {
            Input::Undecodable(format!(
                "misrouted: the key of this event belongs to partition {}: set the producer's key \
                    to tenant_id:lead_id and its \
             partitioner to murmur2",
                partition_of(event.key.as_str().as_bytes(), partitions).0
            ))
        }
        Ok(event) => {
            Input::Interaction { event: Box::new(event), appended: AppendTime(record.appended_ms) }
        }
        Err(error) => Input::Undecodable(error.to_string()),
    }
}

/// One record of the inbox as an input, and the interaction offset that has to be reached before it
/// is taken.
#[must_use]
pub fn inbox(record: &Record) -> (Input, Offset) {
    match internal::inbox(record.value.as_deref().unwrap_or_default()) {
        Ok(InboxEntry::Tick { at, after }) => (Input::Tick { at }, after),
        Ok(InboxEntry::PartitionReport { experiment, source, at, tally }) => {
            (Input::PartitionReport { experiment, source, at, tally }, Offset(0))
        }
        Err(error) => (Input::Undecodable(format!("inbox: {error}")), Offset(0)),
    }
}

/// One record of the definitions with its body.
///
/// # Errors
/// Why it cannot be used.
pub fn definition(record: &Record) -> Result<(Definition, Body), String> {
    let definition = internal::definition(record.value.as_deref().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    let body = body_of(&definition).map_err(|error| format!("invalid_definition: {error}"))?;
    Ok((definition, body))
}

/// Puts one record of the definitions in force.
///
/// # Errors
/// Why it cannot be used.
pub fn define(rules: &mut Rules, record: &Record) -> Result<(), String> {
    let (definition, body) = definition(record)?;
    rules.define(&definition, body).map_err(|error| format!("invalid_definition: {error}"))
}

/// What is defined, gathered record by record to see whether one definition more may be added.
pub struct Defined<'a> {
    key: &'a str,
    stored: Option<Vec<u8>>,
    rules: Rules,
}

impl<'a> Defined<'a> {
    /// Nothing yet; `key` is that of the definition to add, `rules` hold without any.
    #[must_use]
    pub fn new(key: &'a str, rules: Rules) -> Self {
        Self { key, stored: None, rules }
    }

    /// Takes the next record of the definitions.
    pub fn take(&mut self, record: Record) {
        // What cannot be used was told of when it was taken.
        drop(define(&mut self.rules, &record));
        if record.has_key(self.key) {
            self.stored = record.value;
        }
    }

    /// Whether exactly this value is stored already under the key.
    ///
    /// # Errors
    /// A sentence where another one is: versions never change.
    pub fn is_known(&self, value: &[u8]) -> Result<bool, String> {
        match &self.stored {
            Some(stored) if stored == value => Ok(true),
            Some(_) => Err(format!(
                "{} is defined already and a version never changes: use the next version",
                self.key
            )),
            None => Ok(false),
        }
    }

    /// Whether a definition may stand beside what is there.
    ///
    /// # Errors
    /// Why not.
    pub fn allows(mut self, definition: &Definition, body: Body) -> Result<(), Refusal> {
        self.rules.define(definition, body)
    }
}

/// The records that the effects of one input become, in order.
pub fn emit(
    partition: Partition,
    (source, offset, record): (InputTopic, Offset, &Record),
    effects: &mut Vec<Effect>,
    batches: &mut Batches,
) {
    let mut put = |topic: &'static str, record: Record| {
        let place = if topic == DEFINITIONS { 0 } else { partition.0 };
        batches.entry((topic, place)).or_default().push(record);
    };
    let created = |key: String, value| Record {
        key: Some(key.into()),
        value,
        reason: None,
        appended_ms: record.appended_ms,
        ingest_run: 0,
        origin: None,
    };
    let defined = |definition: &Definition| {
        created(internal::definition_key(definition), Some(internal::definition_bytes(definition)))
    };
    let kept = |reason| letter(reason, (source, partition, offset), record);
    for effect in effects.drain(..) {
        match effect {
            Effect::ExperimentMetrics(metrics) => {
                let (key, value) = results::metrics_record(&metrics);
                put(avro::METRICS.topic, created(key, Some(value)));
            }
            Effect::Conclusion(concluded) => put(DEFINITIONS, defined(&conclusion(&concluded))),
            Effect::AllocationUpdate(update) => {
                put(DEFINITIONS, defined(&allocation_update(&update)))
            }
            Effect::DeadLetter(reason) => put(DEAD_LETTERS, kept(reason)),
            Effect::Late => put(LATE, kept("late".to_owned())),
            decision => {
                if let Some(output) = outputs::output(&decision) {
                    put(output.topic, created(output.key, output.value));
                }
            }
        }
    }
}

/// An input as a dead letter or late record: its bytes, with why and where it stood.
#[must_use]
pub fn letter(
    mut reason: String,
    (source, partition, offset): (InputTopic, Partition, Offset),
    record: &Record,
) -> Record {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    let (topic, partition) = inputs_of(source, partition);
    let attempt = record.origin.as_ref().map_or(0, |origin| origin.attempt);
    let origin =
        Origin { topic: topic.to_owned(), partition: partition.0, offset: offset.0, attempt };
    Record { reason: Some(reason), origin: Some(origin), ..record.clone() }
}
