//! The log cleaner of the embedded log: compaction and retention, now and then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::app::instance::Instance;
use crate::codec::topics::{self, Cleanup, inputs_of, output_topics};
use crate::domain::units::{Offset, Partition};
use crate::log::{self, Embedded, Reader, chain};
use crate::pipeline::InputTopic;

impl Instance {
    /// Compacts and retains now and then.
    pub(crate) fn keep_up(&self, log: &Embedded) {
        let pause = Duration::from_secs(60 * u64::from(self.config.log.cleanup_interval_minutes));
        loop {
            let until = std::time::Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::park_timeout(left);
            }
            if let Err(error) = self.clean(log) {
                tracing::error!(error = chain(&error), "the log could not be cleaned");
            }
        }
    }

    /// One pass of compaction and retention over all topics.
    ///
    /// # Errors
    /// When the log fails.
    fn clean(&self, log: &Embedded) -> Result<(), log::Error> {
        let days = i64::from(self.config.log.retention_days);
        let before_ms = log.now().0 - days * 24 * 60 * 60 * 1_000;
        for (topic, partition) in log.topics()? {
            let done = if is_compacted(&topic) {
                log.compact(&topic, partition)?
            } else if days > 0 {
                log.retain(&topic, partition, (before_ms, needed_from(log, &topic, partition)?))?
            } else {
                continue;
            };
            tracing::debug!(
                topic,
                partition = partition.0,
                removed = done.removed,
                kept = done.kept,
                "the log was cleaned"
            );
        }
        Ok(())
    }
}

/// The first offset that the worker still has to read.
fn needed_from(log: &Embedded, topic: &str, partition: Partition) -> Result<Offset, log::Error> {
    let snapshot = log.snapshot()?;
    if output_topics().any(|output| output == topic) {
        return snapshot.end(topic, partition);
    }
    let positions = snapshot.positions(partition)?;
    let source =
        InputTopic::ALL.into_iter().find(|source| inputs_of(*source, partition).0 == topic);
    Ok(source.map_or(snapshot.end(topic, partition)?, |source| positions.next[source as usize]))
}

/// Whether the log keeps only the newest record of a key in a topic.
fn is_compacted(name: &str) -> bool {
    topics::ALL.iter().any(|topic| topic.name == name && topic.cleanup == Cleanup::Compact)
}
