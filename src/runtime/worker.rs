//! The worker: takes what is new in its inputs and commits outputs, changelog, order and positions together.
//!
//! `step` takes a batch of every partition into overlays and commits them in one transaction; what was not committed is
//! taken again after a restart. Live, it also writes ticks for leads that are due and sends counts of experiments on.

mod inputs;
mod task;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::codec::internal::{InboxEntry, inbox_bytes};
use crate::codec::model;
use crate::domain::lexicon::Lexicon;
use crate::domain::rules::Rules;
use crate::domain::units::{LeadKey, Offset, Partition};
use crate::pipeline::{Counters, Key, Row};
use crate::runtime::log::{Batches, Embedded, Record};
use crate::runtime::metrics::Metrics;
use crate::runtime::store::{Bounds, Error, STATE, Shared, Trees, View};
use crate::runtime::worker::task::Task;

pub use crate::runtime::worker::inputs::{DEAD_LETTERS, LATE, definition, emit, inbox, input, inputs_of, output_topics};

/// How the worker works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Interactions of one partition taken before a commit.
    pub commit_records: usize,
    /// Timers fired in one partition before a commit.
    pub commit_timers: usize,
    /// Shortest time between two ticks of a partition.
    pub tick: Duration,
    /// Shortest time between two reports of a partition's experiment counts.
    pub report: Duration,
    /// Bounds of the state in memory.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit_records: 2_000,
            commit_timers: 1_000,
            tick: Duration::from_secs(1),
            report: Duration::from_secs(1),
            bounds: Bounds::default(),
        }
    }
}

/// The rules before any definition.
#[must_use]
pub fn rules() -> Rules {
    Rules::new(Arc::new(model::starting()), Arc::new(Lexicon::english()))
}

/// What readers see of all partitions.
#[derive(Default)]
pub struct Views {
    partitions: RwLock<Vec<Arc<Shared>>>,
}

impl Views {
    fn set(&self, partitions: Vec<Arc<Shared>>) {
        *self.partitions.write().unwrap_or_else(PoisonError::into_inner) = partitions;
    }

    pub(crate) fn clear(&self) {
        self.set(Vec::new());
    }

    /// The partitions, by number; empty while they are being restored.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Shared>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A lead as of the last commit, with the rules and positions of that commit; `None` while its partition is restored.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn lead(&self, log: &Embedded, key: &LeadKey) -> Result<Option<View>, Error> {
        let partition = log.partition_of(key.as_str().as_bytes());
        let shared = self.all().get(partition.0 as usize).cloned();
        shared.map(|shared| shared.view(&Key::Lead(key.clone()))).transpose()
    }

    /// How the records of one ingest run came out so far.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn counters(&self, run: u32) -> Result<Counters, Error> {
        let mut whole = Counters::default();
        for shared in self.all() {
            if let Some(Row::Counters(counters)) = shared.view(&Key::Counters(run))?.row {
                whole.merge(&counters);
            }
        }
        Ok(whole)
    }
}

/// All partitions of a data directory.
pub struct Worker {
    log: Arc<Embedded>,
    options: Options,
    tasks: Vec<Task>,
    trees: Trees,
    metrics: Arc<Metrics>,
}

/// Where the state of a data directory is.
#[must_use]
pub fn state_directory(data: &Path) -> PathBuf {
    data.join("state")
}

impl Worker {
    /// Opens the state and brings it to what is committed. State that cannot be trusted is thrown away and restored once.
    ///
    /// # Errors
    /// When the log cannot be read or the state directory cannot be made.
    pub fn open(log: Arc<Embedded>, directory: &Path, options: Options, metrics: Arc<Metrics>, views: &Views) -> Result<Self, Error> {
        let trees = Trees::open(directory, log.identity())?;
        let (trees, tasks) = match tasks(&log, &trees, options, &metrics) {
            Err(Error::Cache) => {
                tracing::warn!("a row in the state directory does not match its checksum: restoring it from the changelog");
                let trees = trees.renew()?;
                let tasks = tasks(&log, &trees, options, &metrics)?;
                (trees, tasks)
            }
            other => (trees, other?),
        };
        views.set(tasks.iter().map(|task| task.store.shared().clone()).collect());
        Ok(Self { log, options, tasks, trees, metrics })
    }

    /// Takes one batch of every partition and commits it; gives how many inputs were taken, 0 when there was nothing.
    ///
    /// # Errors
    /// When the log or the state fails: open again, which takes what was not committed once more.
    pub fn step(&mut self) -> Result<u64, Error> {
        let snapshot = self.log.snapshot()?;
        let mut batches = Batches::new();
        let mut taken = 0;
        for task in &mut self.tasks {
            taken += task.take_batch(&snapshot, self.options, &mut batches, &self.metrics)?;
        }
        drop(snapshot);
        if taken == 0 {
            return Ok(0);
        }
        let began = Instant::now();
        let now = self.log.now();
        for task in &self.tasks {
            batches.insert((STATE, task.partition.0), task.store.changes(now.0));
        }
        let positions = self.tasks.iter().map(|task| (task.partition.0, task.positions)).collect();
        self.log.commit(&batches, &positions)?;
        for task in &mut self.tasks {
            let changed = batches.get(&(STATE, task.partition.0)).map_or(0, Vec::len);
            task.changelog_next = Offset(task.changelog_next.0 + changed as u64);
            task.publish()?;
        }
        self.metrics.committed(&batches, began.elapsed());
        self.metrics.end_to_end(now, self.tasks.iter_mut().flat_map(|task| task.times.drain(..)));
        Ok(taken)
    }

    /// Writes ticks for live leads that are due and reports counts of experiments, at most as often as the options say.
    ///
    /// # Errors
    /// When the log or the state fails.
    pub fn chores(&mut self) -> Result<(), Error> {
        let (tick, report) = (self.options.tick, self.options.report);
        let mut batches = Batches::new();
        let now = self.log.now();
        for task in &mut self.tasks {
            if task.ticked.is_none_or(|at| at.elapsed() >= tick) && task.is_somebody_due(now)? {
                task.ticked = Some(Instant::now());
                let after = self.log.snapshot()?.end(inputs::INTERACTIONS, task.partition)?;
                put(&mut batches, task.partition, &InboxEntry::Tick { at: now, after }, now.0);
            }
            if task.reported.is_none_or(|at| at.elapsed() >= report) {
                task.report(&self.log, &mut batches)?;
            }
        }
        if batches.is_empty() { Ok(()) } else { Ok(self.log.append(&batches, None)?) }
    }

    /// Takes everything there is, reports every count, and takes what follows from that.
    ///
    /// # Errors
    /// As [`Worker::step`].
    pub fn settle(&mut self) -> Result<(), Error> {
        loop {
            while self.step()? > 0 {}
            let mut batches = Batches::new();
            for task in &mut self.tasks {
                task.report(&self.log, &mut batches)?;
            }
            if batches.is_empty() {
                return Ok(());
            }
            self.log.append(&batches, None)?;
        }
    }

    /// Writes all committed rows to sled.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.tasks.iter().try_for_each(|task| task.store.checkpoint())
    }

    /// Bytes of the state directory.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.trees.size_bytes()
    }
}

/// Appends an inbox entry to the batches.
fn put(batches: &mut Batches, partition: Partition, entry: &InboxEntry, appended_ms: i64) {
    let record = Record { key: None, value: Some(inbox_bytes(entry)), reason: None, appended_ms, source: 0 };
    batches.entry((inputs::INBOX, partition.0)).or_default().push(record);
}

fn tasks(log: &Embedded, trees: &Trees, options: Options, metrics: &Metrics) -> Result<Vec<Task>, Error> {
    let snapshot = log.snapshot()?;
    (0..snapshot.partitions()).map(|partition| Task::restore(trees, &snapshot, Partition(partition), options, metrics)).collect()
}
