//! How far restores are: what metrics, the log, `/readyz`, a progress bar and other instances are
//! told of partitions that read their changelog.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::units::{Offset, Partition};

/// Between two lines of the log about one restore.
const TOLD: Duration = Duration::from_secs(5);

/// A stretch of the changelog, and how far it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreProgress {
    /// Where reading began.
    pub from: Offset,
    /// Behind the last record read.
    pub next: Offset,
    /// Where it ends.
    pub end: Offset,
}

impl RestoreProgress {
    /// Offsets that were read. Ends of transactions and what compaction removed take offsets too.
    #[must_use]
    pub fn read(self) -> u64 {
        self.next.0.saturating_sub(self.from.0)
    }

    /// Offsets from its begin to its end.
    #[must_use]
    pub fn whole(self) -> u64 {
        self.end.0.saturating_sub(self.from.0)
    }

    /// Whole percent that were read.
    #[must_use]
    pub fn percent(self) -> u64 {
        (self.read() * 100).checked_div(self.whole()).unwrap_or(100)
    }
}

/// A partition that reads its changelog.
#[derive(Clone, Copy, Debug)]
pub struct PartitionRestore {
    /// The partition.
    pub partition: Partition,
    /// What is read.
    pub stretch: RestoreProgress,
    /// Records that were there.
    pub records: u64,
    began: Instant,
    moved: Instant,
}

impl PartitionRestore {
    /// Seconds until the rest is read if it goes on as it went so far; `None` before the first
    /// record.
    #[must_use]
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.stretch.whole().saturating_sub(self.stretch.read());
        let so_far = (self.moved - self.began).as_secs_f64();
        (self.stretch.read() > 0).then(|| so_far * left as f64 / self.stretch.read() as f64)
    }
}

impl fmt::Display for PartitionRestore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, stretch, .. } = self;
        if stretch.whole() == 0 {
            return write!(out, "partition {}: looks for the end of its changelog", partition.0);
        }
        write!(
            out,
            "partition {}: {} % of {} records",
            partition.0,
            stretch.percent(),
            stretch.whole()
        )?;
        match self.seconds_left() {
            Some(seconds) => write!(out, ", {seconds:.0} s left"),
            None => Ok(()),
        }
    }
}

/// The restores under way in a process, at most one for each partition.
#[derive(Debug, Default)]
pub struct Restores {
    under_way: Mutex<BTreeMap<Partition, PartitionRestore>>,
}

impl Restores {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, PartitionRestore>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A restore begins; it ends when what is given back is dropped.
    pub fn begin(&self, partition: Partition) -> Watch<'_> {
        let now = Instant::now();
        let stretch = RestoreProgress { from: Offset(0), next: Offset(0), end: Offset(0) };
        let restoring = PartitionRestore { partition, stretch, records: 0, began: now, moved: now };
        self.lock().insert(partition, restoring);
        Watch { restores: self, restoring, reported: now }
    }

    /// Those under way, by partition.
    #[must_use]
    pub fn all(&self) -> Vec<PartitionRestore> {
        self.lock().values().copied().collect()
    }

    /// That of a partition.
    #[must_use]
    pub fn of(&self, partition: Partition) -> Option<PartitionRestore> {
        self.lock().get(&partition).copied()
    }

    /// Whether one of them read a record within so long.
    #[must_use]
    pub fn moved_within(&self, time: Duration) -> bool {
        self.lock().values().any(|restoring| restoring.moved.elapsed() < time)
    }
}

/// One restore.
pub struct Watch<'a> {
    restores: &'a Restores,
    restoring: PartitionRestore,
    reported: Instant,
}

impl Watch<'_> {
    /// A record was read.
    pub fn read(&mut self, stretch: RestoreProgress) {
        let now = Instant::now();
        let restoring = &mut self.restoring;
        (restoring.stretch, restoring.moved) = (stretch, now);
        restoring.records += 1;
        self.restores.lock().insert(restoring.partition, *restoring);
        if now - self.reported >= TOLD {
            self.reported = now;
            let seconds_left = restoring.seconds_left().unwrap_or_default().ceil();
            let (partition, rate) = (restoring.partition.0, self.records_per_second());
            tracing::info!(
                partition,
                percent = stretch.percent(),
                records_per_second = rate,
                seconds_left,
                "restoring partition"
            );
        }
    }

    /// Records read so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.restoring.records
    }

    /// Records read in a second so far.
    #[must_use]
    pub fn records_per_second(&self) -> u64 {
        let seconds = self.restoring.began.elapsed().as_secs_f64();
        (self.restoring.records as f64 / seconds.max(f64::EPSILON)) as u64
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.restores.lock().remove(&self.restoring.partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_told_while_it_reads_and_forgotten_with_its_end() {
        let restores = Restores::default();
        let mut watch = restores.begin(Partition(3));
        let found = restores.of(Partition(3)).unwrap();
        assert_eq!(
            (found.seconds_left(), found.to_string()),
            (None, "partition 3: looks for the end of its changelog".to_owned())
        );
        let until =
            |next| RestoreProgress { from: Offset(100), next: Offset(next), end: Offset(500) };
        (101..=200).for_each(|next| watch.read(until(next)));
        let found = restores.of(Partition(3)).unwrap();
        assert_eq!(
            (found.stretch.read(), found.stretch.whole(), found.stretch.percent(), found.records),
            (100, 400, 25, 100)
        );
        assert!(found.to_string().starts_with("partition 3: 25 % of 400 records, "), "{found}");
        let so_far = (found.moved - found.began).as_secs_f64();
        assert!((found.seconds_left().unwrap() - 3.0 * so_far).abs() < 1e-9);
        assert!(
            restores.moved_within(Duration::from_secs(3_600))
                && !restores.moved_within(Duration::ZERO)
        );
        drop(watch);
        assert!(restores.all().is_empty() && !restores.moved_within(Duration::from_secs(3_600)));
    }

    #[test]
    fn an_empty_stretch_is_read() {
        assert_eq!(
            RestoreProgress { from: Offset(7), next: Offset(7), end: Offset(7) }.percent(),
            100
        );
    }
}
