//! Takes the input log again from its start and compares every output with what is stored, without touching it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::units::{Offset, Partition};
use crate::pipeline::Memory;
use crate::runtime::log::{Batches, Embedded, Error, PARTITIONS, Record};
use crate::runtime::worker::{emit, input, output_topics, rules, taken};

/// What a replay found.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// SHA-256 over the outputs by topic and partition in order, then the states by partition and lead.
    pub digest: String,
    /// The first output that differs from what is stored.
    pub difference: Option<String>,
}

/// Compares computed records with the stored ones of the same places.
struct Comparison<'a> {
    log: &'a Embedded,
    next: BTreeMap<(String, u32), u64>,
    digests: BTreeMap<(String, u32), Sha256>,
    difference: Option<String>,
}

impl Comparison<'_> {
    fn compare(&mut self, batches: Batches) -> Result<(), Error> {
        for ((topic, partition), records) in batches {
            let next = self.next.entry((topic.clone(), partition)).or_default();
            let digest = self.digests.entry((topic.clone(), partition)).or_default();
            let mut stored: Vec<Record> = Vec::new();
            for record in &records {
                if stored.is_empty() {
                    stored = self.log.read(&topic, Partition(partition), Offset(*next))?;
                    stored.reverse();
                }
                let same = stored
                    .pop()
                    .is_some_and(|other| (&other.key, &other.value, &other.reason) == (&record.key, &record.value, &record.reason));
                if !same && self.difference.is_none() {
                    self.difference =
                        Some(format!("{topic} partition {partition} offset {next}: the stored record is not what the inputs give"));
                }
                *next += 1;
                for part in [record.key.as_deref().map(str::as_bytes), record.value.as_deref(), record.reason.as_deref().map(str::as_bytes)]
                {
                    digest.update((part.map_or(0, |part| part.len() as u64 + 1)).to_le_bytes());
                    digest.update(part.unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// Stored outputs beyond the computed ones are a difference too.
    fn finish(&mut self) -> Result<(), Error> {
        for topic in output_topics() {
            for partition in 0..PARTITIONS {
                let computed = self.next.get(&(topic.to_owned(), partition)).copied().unwrap_or(0);
                let stored = self.log.end(topic, Partition(partition))?.0;
                if stored != computed && self.difference.is_none() {
                    self.difference =
                        Some(format!("{topic} partition {partition}: {stored} records are stored, the inputs give {computed}"));
                }
            }
        }
        Ok(())
    }
}

/// Replays the whole log; `progress` hears how many inputs were taken.
///
/// # Errors
/// When the log cannot be read.
pub fn replay(log: &Embedded, progress: &mut dyn FnMut(u64)) -> Result<Report, Error> {
    let rules = rules();
    let mut comparison = Comparison { log, next: BTreeMap::new(), digests: BTreeMap::new(), difference: None };
    let mut states = Sha256::new();
    for partition in (0..PARTITIONS).map(Partition) {
        let mut rows = Memory::default();
        taken(log, partition, &mut |records| {
            let mut batches = Batches::new();
            for record in records {
                let mut effects = Vec::new();
                rows.run(&rules, &input(record), &mut effects);
                emit(partition, record, &mut effects, &mut batches);
            }
            progress(records.len() as u64);
            comparison.compare(batches)
        })?;
        // Debug text is one to one with the state: every field, floats in their shortest exact form.
        rows.leads.iter().for_each(|(key, lead)| states.update(format!("{key:?} {lead:?}\n")));
    }
    comparison.finish()?;
    let mut whole = Sha256::new();
    for ((topic, partition), digest) in comparison.digests {
        whole.update(format!("{topic}/{partition}\n"));
        whole.update(digest.finalize());
    }
    whole.update(states.finalize());
    let digest = whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Report { digest, difference: comparison.difference })
}
