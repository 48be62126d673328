//! The worker: takes what is new in the interactions, commits outputs and positions together.
//!
//! The state of the leads is rebuilt at start by taking the log again from its beginning, without its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{avro, interaction, model, outputs};
use crate::domain::lead::{Decision, Lead};
use crate::domain::lexicon::Lexicon;
use crate::domain::rules::Rules;
use crate::domain::units::{AppendTime, LeadKey, Offset, Partition};
use crate::pipeline::{Effect, Input, Memory, Outcome};
use crate::runtime::log::{Batches, Embedded, Error, PARTITIONS, Record, partition_of};

/// Records taken before a commit.
const COMMIT_RECORDS: usize = 5_000;
/// Dead letters.
pub const DEAD_LETTERS: &str = "lead.dead-letters.v1";
/// Late records.
pub const LATE: &str = "lead.late.v1";

/// How inputs came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Applied.
    pub advanced: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Too late.
    pub late: u64,
    /// Unusable.
    pub dead_lettered: u64,
}

impl Counters {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Advanced => &mut self.advanced,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Late => &mut self.late,
            Outcome::DeadLettered => &mut self.dead_lettered,
        } += 1;
    }

    /// All inputs.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.advanced + self.duplicate + self.late + self.dead_lettered
    }
}

impl std::fmt::Display for Counters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { advanced, duplicate, late, dead_lettered } = self;
        write!(out, "received={} advanced={advanced} duplicate={duplicate} late={late} dead_lettered={dead_lettered}", self.received())
    }
}

/// The rules before any definition.
#[must_use]
pub fn rules() -> Rules {
    Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english()))
}

/// One record of the log as an input.
#[must_use]
pub fn input(record: &Record) -> Input {
    if let Some(reason) = &record.reason {
        return Input::Undecodable(reason.clone());
    }
    match interaction::from_avro(record.value.as_deref().unwrap_or_default()) {
        Ok(event) => Input::Interaction { event: Box::new(event), appended: AppendTime(record.appended_ms) },
        Err(error) => Input::Undecodable(error.to_string()),
    }
}

/// The records that the effects of one input become, in order.
pub fn emit(partition: Partition, record: &Record, effects: &mut Vec<Effect>, batches: &mut Batches) {
    let mut put = |topic: &str, record: Record| batches.entry((topic.to_owned(), partition.0)).or_default().push(record);
    for effect in effects.drain(..) {
        match effect {
            Effect::Decided(decision) => {
                if let Some(output) = outputs::output(&decision) {
                    put(
                        output.topic,
                        Record { key: Some(output.key), value: output.value, reason: None, appended_ms: record.appended_ms, source: 0 },
                    );
                }
            }
            Effect::DeadLetter(reason) => put(DEAD_LETTERS, Record { reason: Some(reason), ..record.clone() }),
            Effect::Late => put(LATE, Record { reason: Some("late".to_owned()), ..record.clone() }),
        }
    }
}

/// Every interaction of a partition that was taken and committed, batch by batch from the start; gives the position.
///
/// # Errors
/// When the log cannot be read or `batch` fails.
pub fn taken(log: &Embedded, partition: Partition, batch: &mut dyn FnMut(&[Record]) -> Result<(), Error>) -> Result<Offset, Error> {
    let end = log.position(partition)?;
    let mut next = Offset(0);
    while next < end {
        let mut records = log.read(avro::INTERACTIONS.topic, partition, next)?;
        records.truncate(usize::try_from(end.0 - next.0).unwrap_or(usize::MAX));
        next = Offset(next.0 + records.len() as u64);
        batch(&records)?;
    }
    Ok(end)
}

/// Topics that the worker writes.
pub fn output_topics() -> impl Iterator<Item = &'static str> {
    let coded = avro::all().into_iter().map(|coded| coded.topic).filter(|topic| *topic != avro::INTERACTIONS.topic);
    coded.chain([DEAD_LETTERS, LATE])
}

/// All partitions of a data directory.
pub struct Worker {
    log: Arc<Embedded>,
    rules: Rules,
    partitions: BTreeMap<u32, Memory>,
    positions: BTreeMap<u32, Offset>,
    by_source: BTreeMap<u32, Counters>,
    unmapped: BTreeMap<String, u64>,
}

impl Worker {
    /// Rebuilds the state up to the committed positions.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open(log: Arc<Embedded>) -> Result<Self, Error> {
        let mut worker = Self {
            log,
            rules: rules(),
            partitions: BTreeMap::new(),
            positions: BTreeMap::new(),
            by_source: BTreeMap::new(),
            unmapped: BTreeMap::new(),
        };
        let log = worker.log.clone();
        for partition in 0..PARTITIONS {
            let end = taken(&log, Partition(partition), &mut |records| {
                records.iter().for_each(|record| worker.take(partition, record, &mut Vec::new()));
                Ok(())
            })?;
            worker.positions.insert(partition, end);
        }
        Ok(worker)
    }

    fn take(&mut self, partition: u32, record: &Record, effects: &mut Vec<Effect>) {
        let outcome = self.partitions.entry(partition).or_default().run(&self.rules, &input(record), effects);
        self.by_source.entry(record.source).or_default().count(outcome);
        for effect in effects.iter() {
            if let Effect::Decided(Decision::Unmapped(name)) = effect {
                *self.unmapped.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// Takes everything that is new and commits it; `progress` hears how many records each commit took.
    ///
    /// # Errors
    /// When the log fails; what was not committed is taken again at the next start.
    pub fn drain(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        loop {
            let mut batches = Batches::new();
            let mut taken = 0;
            for partition in 0..PARTITIONS {
                let position = self.positions.get(&partition).copied().unwrap_or_default();
                let mut records = self.log.read(avro::INTERACTIONS.topic, Partition(partition), position)?;
                records.truncate(COMMIT_RECORDS);
                for record in &records {
                    let mut effects = Vec::new();
                    self.take(partition, record, &mut effects);
                    emit(Partition(partition), record, &mut effects, &mut batches);
                }
                taken += records.len() as u64;
                self.positions.insert(partition, Offset(position.0 + records.len() as u64));
            }
            if taken == 0 {
                return Ok(());
            }
            self.log.commit(&batches, &self.positions, None)?;
            progress(taken);
        }
    }

    /// How the records of one ingest run came out.
    #[must_use]
    pub fn counters(&self, source: u32) -> Counters {
        self.by_source.get(&source).copied().unwrap_or_default()
    }

    /// A lead.
    #[must_use]
    pub fn lead(&self, key: &LeadKey) -> Option<&Lead> {
        self.partitions.get(&partition_of(key.as_str().as_bytes()).0)?.leads.get(key)
    }

    /// The rows of every partition.
    pub fn rows(&self) -> impl Iterator<Item = &Memory> {
        self.partitions.values()
    }

    /// Rules in use.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// CRM stage names that no map knows, with how often they came.
    #[must_use]
    pub fn unmapped(&self) -> &BTreeMap<String, u64> {
        &self.unmapped
    }
}
