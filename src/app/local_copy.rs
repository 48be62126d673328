//! A copy of Kafka's topics as an embedded log, on which a replay can be made.
//!
//! Inputs keep their offsets, because the recorded order names them; what follows from them is
//! counted from 0, because on Kafka the ends of transactions take offsets too.

use std::path::Path;
use std::sync::Arc;

use crate::codec::record::Record;
use crate::codec::rows;
use crate::codec::topics::{STATE, Topic, inputs_of};
use crate::domain::units::{Offset, Partition};
use crate::log::kafka::{Cluster, Group, Topics};
use crate::log::{Embedded, Error, Options};
use crate::pipeline::{InputTopic, Key, Row};

/// Records that are copied in one transaction.
const PIECE_RECORDS: usize = 10_000;

/// Copies everything that is committed into a new directory; `progress` hears how many records were
/// copied each time. No instance may be at work meanwhile: the topics are read one after the other.
///
/// # Errors
/// When Kafka does not answer, or the directory is in use.
pub fn mirror(
    cluster: &Arc<Cluster>,
    topics: &[Topic],
    directory: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Embedded, Error> {
    let log = Embedded::open(
        directory,
        &Options { partitions: cluster.partitions, ..Options::default() },
    )?;
    let reader = Topics::new(&cluster.settings)?;
    let inputs = InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0);
    for topic in topics {
        let keeps_offsets = inputs.contains(&topic.name);
        for partition in (0..topic.partition_count(cluster.partitions)).map(Partition) {
            let mut row = None;
            let mut records: Vec<(Offset, Record)> = Vec::new();
            let mut dense = Offset(0);
            let place = (topic.name, partition);
            let range = (reader.start(topic.name, partition)?, reader.end(topic.name, partition)?);
            reader.each::<Error>(place, range, &mut |offset, record| {
                if topic.name == STATE && record.has_key(&rows::key_text(&Key::Positions)) {
                    row.clone_from(&record.value);
                }
                records.push((if keeps_offsets { offset } else { dense }, record));
                dense.0 += 1;
                progress(1);
                if records.len() >= PIECE_RECORDS {
                    log.import(place, &std::mem::take(&mut records))?;
                }
                Ok(())
            })?;
            log.import(place, &records)?;
            if topic.name == STATE {
                let row = row
                    .and_then(|bytes| rows::row(&Key::Positions, &bytes).ok())
                    .and_then(Row::into_positions);
                let mut positions = row.unwrap_or_default();
                if let Some(next) = Group::committed(&cluster.settings, inputs[0], partition)? {
                    positions.next[InputTopic::Interactions as usize] = next;
                }
                log.commit(
                    &crate::codec::record::Batches::new(),
                    &[(partition.0, positions)].into(),
                )?;
            }
        }
    }
    Ok(log)
}
