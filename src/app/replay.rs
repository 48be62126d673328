//! Takes all inputs again from the start in their recorded order and compares outputs and states
//! with what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::app::instance::Instance;
use crate::app::local_copy::mirror;
use crate::codec::avro::{self, Writers};
use crate::codec::internal::{self, Switch};
use crate::codec::model::starting_rules;
use crate::codec::record::{Batches, Record};
use crate::codec::records::{self, coded, emit, letter};
use crate::codec::topics::{
    self, DEAD_LETTERS, LATE, METRICS, ORDER, PROFILES, STATE, inputs_of, output_topics,
};
use crate::codec::{hex, rows};
use crate::domain::rules::Rules;
use crate::domain::units::{Offset, Partition};
use crate::engine::store::{self};
use crate::log::registry::{self, Schemas};
use crate::log::{Backend, Error as LogError, Reader, Snapshot};
use crate::pipeline::{Counters, Effect, Input, InputTopic, Key, Memory, Row, StateStore};

/// How long a schema is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replay found.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// SHA-256 over the outputs by topic and partition in order, then the rows by partition and
    /// key.
    pub digest: String,
    /// The first output or row that differs from what is stored.
    pub difference: Option<String>,
    /// Inputs that were taken.
    pub inputs: u64,
    /// Bytes of every lead's row, ascending.
    pub lead_bytes: Vec<usize>,
}

/// Why a replay cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log or a changelog row cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The start of an input was retained away.
    #[error(
        "{topic} partition {partition} starts at offset {start}: what came before was removed by \
            retention, so a replay from the start is not possible"
    )]
    Retained {
        /// The input.
        topic: &'static str,
        /// The partition.
        partition: u32,
        /// Its first offset.
        start: u64,
    },
    /// The order topic does not fit the inputs.
    #[error("leadstream.order.v1 partition {0} does not fit the inputs")]
    Order(u32),
    /// An input names a schema of a registry that does not answer.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Topics of Kafka are read one after the other, so nothing may be written meanwhile.
    #[error(
        "on Kafka a replay reads one topic after the other: stop all instances, then run the same \
            command again"
    )]
    AtWork,
    /// The local copy of Kafka's topics cannot be removed.
    #[error("the copy of the topics in {0} cannot be removed")]
    Copy(PathBuf, #[source] std::io::Error),
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::Store(error.into())
    }
}

/// Compares computed records with the stored ones of the same places.
struct Comparison<'a> {
    snapshot: &'a Snapshot,
    next: BTreeMap<(&'static str, u32), Offset>,
    digests: BTreeMap<(&'static str, u32), Sha256>,
    difference: Option<String>,
    lead_bytes: Vec<usize>,
}

impl Comparison<'_> {
    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.difference.get_or_insert_with(what);
    }

    fn compare(&mut self, batches: Batches) -> Result<(), Error> {
        for ((topic, partition), records) in batches {
            if topic == inputs_of(InputTopic::Definitions, Partition(0)).0 {
                self.defined(&records)?;
                continue;
            }
            let mut next = match self.next.get(&(topic, partition)) {
                Some(next) => *next,
                None => Offset(0),
            };
            let start = self.snapshot.start(topic, Partition(partition))?;
            let mut stored = Vec::new();
            for record in &records {
                if stored.is_empty() {
                    stored = self.snapshot.read(topic, Partition(partition), next)?;
                    stored.reverse();
                }
                // Outputs may be retained away or compacted; those that are there must be the same.
                let other = stored.pop_if(|(offset, _)| *offset == next).map(|(_, record)| record);
                let missing_is_fine = next < start || topic == METRICS || topic == PROFILES;
                let same =
                    other.as_ref().map_or(missing_is_fine, |other| same(topic, other, record));
                if !same {
                    self.differs(|| {
                        format!(
                            "{topic} partition {partition} offset {}: the stored record is not \
                            what the inputs give",
                            next.0
                        )
                    });
                }
                next.0 += 1;
                digest_record(self.digests.entry((topic, partition)).or_default(), topic, record);
            }
            self.next.insert((topic, partition), next);
        }
        Ok(())
    }

    /// Definitions come from people as well: those that the inputs give have to be among them.
    fn defined(&mut self, records: &[Record]) -> Result<(), Error> {
        let (topic, partition) = inputs_of(InputTopic::Definitions, Partition(0));
        let end = self.snapshot.end(topic, partition)?;
        for record in records {
            let mut found = false;
            self.snapshot.each::<Error>(
                (topic, partition),
                (Offset(0), end),
                &mut |_, other| {
                    found |= same(topic, &other, record);
                    Ok(())
                },
            )?;
            if !found {
                self.differs(|| {
                    format!("{topic}: a definition that the inputs give is not stored")
                });
            }
        }
        Ok(())
    }

    /// Stored outputs beyond the computed ones are a difference too.
    fn finish(&mut self) -> Result<(), Error> {
        for topic in output_topics() {
            for partition in 0..self.snapshot.partitions() {
                let computed = self.next.get(&(topic, partition)).copied().unwrap_or_default().0;
                let stored = self.snapshot.end(topic, Partition(partition))?.0;
                if stored != computed {
                    self.differs(|| {
                        format!(
                            "{topic} partition {partition}: {stored} records are \
                        stored, the inputs give {computed}"
                        )
                    });
                }
            }
        }
        Ok(())
    }

    /// Rows of a partition as the changelog has them against those computed; all of them go into
    /// the digest.
    fn rows(
        &mut self,
        partition: Partition,
        memory: &Memory,
        states: &mut Sha256,
    ) -> Result<(), Error> {
        let mut stored: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        let end = self.snapshot.end(STATE, partition)?;
        self.snapshot.each::<Error>(
            (STATE, partition),
            (Offset(0), end),
            &mut |offset, record| {
                let (key, row) = store::changed(partition, offset, &record)?;
                // Positions are where commits ended, which the inputs do not tell.
                if key == Key::Positions {
                    return Ok(());
                }
                match row {
                    Some(_) => stored.insert(key, record.value.unwrap_or_default()),
                    None => stored.remove(&key),
                };
                Ok(())
            },
        )?;
        for (key, row) in memory.rows() {
            let bytes = rows::row_bytes(&row);
            if stored.remove(&key).as_ref() != Some(&bytes) {
                self.differs(|| {
                    format!(
                        "{STATE} partition {}: row {} is not what the inputs give",
                        partition.0,
                        rows::key_text(&key)
                    )
                });
            }
            if matches!(key, Key::Lead(_)) {
                self.lead_bytes.push(bytes.len());
            }
            states.update(rows::key_text(&key));
            states.update((bytes.len() as u64).to_le_bytes());
            states.update(&bytes);
        }
        if let Some(key) = stored.keys().next() {
            self.differs(|| {
                format!(
                    "{STATE} partition {}: the inputs give no row {}",
                    partition.0,
                    rows::key_text(key)
                )
            });
        }
        Ok(())
    }
}

fn same(topic: &str, stored: &Record, computed: &Record) -> bool {
    (&stored.key, datum(topic, stored), &stored.reason)
        == (&computed.key, datum(topic, computed), &computed.reason)
}

/// What a value says, however it is framed: that follows from the registry, not from the inputs.
/// What is kept of an input is all of it.
fn datum<'a>(topic: &str, record: &'a Record) -> Option<&'a [u8]> {
    let value = record.value.as_deref()?;
    let is_kept = [DEAD_LETTERS, LATE].contains(&topic);
    Some(avro::frame(value).ok().filter(|_| !is_kept).map_or(value, |framing| framing.datum()))
}

fn digest_record(digest: &mut Sha256, topic: &str, record: &Record) {
    for part in
        [record.key.as_deref(), datum(topic, record), record.reason.as_deref().map(str::as_bytes)]
    {
        digest.update((part.map_or(0, |part| part.len() as u64 + 1)).to_le_bytes());
        digest.update(part.unwrap_or_default());
    }
}

/// One partition under replay.
struct Replayed<'a> {
    partition: Partition,
    schemas: &'a Schemas,
    /// Interactions whose schema was not known when they were taken.
    unknown: BTreeSet<Offset>,
    rules: Rules,
    memory: Memory,
    counted: BTreeMap<u32, Counters>,
    next: [Offset; 3],
}

impl Replayed<'_> {
    /// Takes one input up to an offset.
    fn take_until(
        &mut self,
        source: InputTopic,
        until: Offset,
        comparison: &mut Comparison<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let from = self.next[source as usize];
        let place = inputs_of(source, self.partition);
        comparison.snapshot.start(place.0, place.1).map_err(Error::from).and_then(|start| {
            let (topic, partition) = (place.0, place.1.0);
            if from < start && from < until {
                Err(Error::Retained { topic, partition, start: start.0 })
            } else {
                Ok(())
            }
        })?;
        let snapshot = comparison.snapshot;
        let mut batches = Batches::new();
        snapshot.each::<Error>(place, (from, until), &mut |offset, record| {
            self.take((source, offset, &record), snapshot.partitions(), &mut batches)?;
            progress(1);
            // Compared in pieces, so that a long stretch does not pile up in memory.
            if batches.values().map(Vec::len).sum::<usize>() >= 10_000 {
                comparison.compare(std::mem::take(&mut batches))?;
            }
            Ok(())
        })?;
        comparison.compare(batches)?;
        self.next[source as usize] = until;
        Ok(())
    }

    fn take(
        &mut self,
        (source, offset, record): (InputTopic, Offset, &Record),
        partitions: u32,
        batches: &mut Batches,
    ) -> Result<(), Error> {
        let mut effects: Vec<Effect> = Vec::new();
        match source {
            InputTopic::Definitions => match records::define(&mut self.rules, record) {
                Ok(()) => {}
                Err(reason) if self.partition == Partition(0) => {
                    batches.entry((DEAD_LETTERS, 0)).or_default().push(letter(
                        reason,
                        (source, self.partition, offset),
                        record,
                    ));
                }
                Err(_) => {}
            },
            InputTopic::Inbox => {
                self.memory.run(&self.rules, &records::inbox(record).0, &mut effects);
            }
            InputTopic::Interactions => {
                let input = self.input((offset, record), partitions)?;
                let outcome = self.memory.run(&self.rules, &input, &mut effects);
                self.counted.entry(record.ingest_run).or_default().count(outcome);
            }
        }
        emit(self.partition, (source, offset, record), &mut effects, batches);
        Ok(())
    }

    /// An interaction with the schemas that were known when it was taken.
    fn input(&self, (offset, record): (Offset, &Record), partitions: u32) -> Result<Input, Error> {
        let place = (self.partition, partitions);
        if self.unknown.contains(&offset) {
            return Ok(records::input(record, place, &Writers::new()));
        }
        Ok(self.schemas.read_within(PATIENCE, coded(record), |writers| {
            records::input(record, place, writers)
        })?)
    }
}

/// Interactions that are dead letters because the registry did not know their schema then; it may
/// by now.
fn unknown(snapshot: &Snapshot, partition: Partition) -> Result<BTreeSet<Offset>, Error> {
    let mut offsets = BTreeSet::new();
    let (start, end) =
        (snapshot.start(DEAD_LETTERS, partition)?, snapshot.end(DEAD_LETTERS, partition)?);
    snapshot.each::<Error>((DEAD_LETTERS, partition), (start, end), &mut |_, letter| {
        let is_unknown = letter.reason.is_some_and(|reason| reason.starts_with("unknown_schema"));
        let place = letter.origin.filter(|origin| {
            is_unknown && origin.topic == inputs_of(InputTopic::Interactions, partition).0
        });
        offsets.extend(place.map(|origin| Offset(origin.offset)));
        Ok(())
    })?;
    Ok(offsets)
}

/// Replays the whole log of an instance; one on Kafka from a copy in the data directory, which is
/// removed afterwards. `progress` hears how many records were copied and inputs were taken.
///
/// # Errors
/// [`Error`].
pub fn replay_all(instance: &Instance, progress: &mut dyn FnMut(u64)) -> Result<Report, Error> {
    let rules = starting_rules();
    let cluster = match &instance.log {
        Backend::Embedded(log) => {
            return replay(&log.snapshot()?, &rules, &instance.schemas, progress);
        }
        Backend::Kafka(_) if instance.processes() => return Err(Error::AtWork),
        Backend::Kafka(cluster) => cluster,
    };
    let folder = instance.config.data_dir.join("mirror");
    let remove = |folder: &Path| match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Copy(folder.to_owned(), error))
        }
        _ => Ok(()),
    };
    remove(&folder)?;
    let copy = mirror(cluster, &topics::ALL, &folder, progress)?;
    let report = replay(&copy.snapshot()?, &rules, &instance.schemas, progress);
    drop(copy);
    remove(&folder)?;
    report
}

/// Replays the whole log under `rules` before any definition, with `schemas` for what others wrote;
/// `progress` hears how many inputs were taken.
///
/// # Errors
/// [`Error`].
pub fn replay(
    snapshot: &Snapshot,
    rules: &Rules,
    schemas: &Schemas,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, Error> {
    let mut comparison = Comparison {
        snapshot,
        next: BTreeMap::new(),
        digests: BTreeMap::new(),
        difference: None,
        lead_bytes: Vec::new(),
    };
    let mut inputs = 0;
    let progress = &mut |taken| {
        inputs += taken;
        progress(taken);
    };
    let mut states = Sha256::new();
    for partition in (0..snapshot.partitions()).map(Partition) {
        let mut replayed = Replayed {
            partition,
            schemas,
            unknown: unknown(snapshot, partition)?,
            rules: rules.clone(),
            memory: Memory::default(),
            counted: BTreeMap::new(),
            next: [Offset(0); 3],
        };
        let mut current = InputTopic::Interactions;
        for Switch { input, next, .. } in switches(snapshot, partition)? {
            replayed.take_until(current, next[current as usize], &mut comparison, progress)?;
            if replayed.next != next {
                return Err(Error::Order(partition.0));
            }
            current = InputTopic::ALL
                .into_iter()
                .find(|source| source.as_str() == input)
                .ok_or(Error::Order(partition.0))?;
        }
        let end = snapshot.positions(partition)?;
        replayed.take_until(current, end.next[current as usize], &mut comparison, progress)?;
        if replayed.next != end.next {
            return Err(Error::Order(partition.0));
        }
        for (source, counters) in std::mem::take(&mut replayed.counted) {
            replayed.memory.save(Key::Counters(source), Some(Row::Counters(counters)));
        }
        comparison.rows(partition, &replayed.memory, &mut states)?;
    }
    comparison.finish()?;
    let mut whole = Sha256::new();
    for ((topic, partition), digest) in comparison.digests {
        whole.update(format!("{topic}/{partition}\n"));
        whole.update(digest.finalize());
    }
    whole.update(states.finalize());
    let digest = hex(&whole.finalize());
    comparison.lead_bytes.sort_unstable();
    let Comparison { difference, lead_bytes, .. } = comparison;
    Ok(Report { digest, difference, inputs, lead_bytes })
}

fn switches(snapshot: &Snapshot, partition: Partition) -> Result<Vec<Switch>, Error> {
    let (topic, start) = (ORDER, snapshot.start(ORDER, partition)?);
    if start > Offset(0) {
        return Err(Error::Retained { topic, partition: partition.0, start: start.0 });
    }
    let mut switches = Vec::new();
    snapshot.each::<Error>(
        (topic, partition),
        (Offset(0), snapshot.end(topic, partition)?),
        &mut |_, record| {
            let value = record.value.unwrap_or_default();
            switches.push(internal::switch(&value).map_err(|_| Error::Order(partition.0))?);
            Ok(())
        },
    )?;
    Ok(switches)
}
