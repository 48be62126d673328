//! The worker: takes what is new in its inputs and commits outputs, changelog, order and positions
//! together.
//!
//! `step` takes a batch of every partition into overlays and commits them in one transaction; what
//! was not committed is taken again after a restart. Live, it also writes ticks for leads that are
//! due and sends counts of experiments on.

mod dead_letter_breaker;
mod task;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::codec::internal::{InboxEntry, inbox_bytes};
use crate::codec::record::{Batches, Record};
use crate::codec::topics::{INBOX, INTERACTIONS, STATE};
use crate::domain::hash::partition_of;
use crate::domain::units::{LeadKey, Partition};
use crate::engine::store::{Bounds, Error, Shared, Store, Trees, View};
use crate::engine::worker::task::{Task, home};
use crate::log::registry::Schemas;
use crate::log::{Log, Reader};
use crate::pipeline::{Counters, Key, Positions, Row, StateStore};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::restore_progress::Restores;

pub use crate::engine::worker::dead_letter_breaker::{BreakerLimit, BreakerSwitch, PartitionPause};

/// Between two measurements of the state directory.
const MEASURED: Duration = Duration::from_secs(2);

/// How the worker works.
#[derive(Clone)]
pub struct Options {
    /// Interactions of one partition taken before a commit.
    pub commit_records: usize,
    /// Timers fired in one partition before a commit.
    pub commit_timers: usize,
    /// Shortest time between two ticks of a partition.
    pub tick: Duration,
    /// Shortest time between two reports of a partition's experiment counts.
    pub report: Duration,
    /// Longest time without a commit on Kafka: then the same offsets are committed again, before
    /// the brokers let them expire.
    pub renew: Duration,
    /// When a partition pauses because of dead letters.
    pub breaker: BreakerLimit,
    /// Bounds of the state in memory.
    pub bounds: Bounds,
    /// Where schemas of others are found, and how own values are framed.
    pub schemas: Schemas,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit_records: 2_000,
            commit_timers: 1_000,
            tick: Duration::from_secs(1),
            report: Duration::from_secs(1),
            renew: Duration::from_secs(3_600),
            breaker: BreakerLimit::default(),
            bounds: Bounds::default(),
            schemas: Schemas::default(),
        }
    }
}

/// What readers see of all partitions.
#[derive(Default)]
pub struct Views {
    partitions: RwLock<Vec<Arc<Shared>>>,
    gates: RwLock<BTreeMap<Partition, Arc<BreakerSwitch>>>,
    restores: Restores,
}

impl Views {
    fn add(&self, shared: Arc<Shared>, gate: Arc<BreakerSwitch>) {
        let partition = shared.partition();
        self.remove(partition);
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).push(shared);
        self.gates.write().unwrap_or_else(PoisonError::into_inner).insert(partition, gate);
    }

    fn remove(&self, partition: Partition) {
        self.gates.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
        self.partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|shared| shared.partition() != partition);
    }

    pub(crate) fn clear(&self) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.gates.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The partitions that are on their way here.
    #[must_use]
    pub fn restores(&self) -> &Restores {
        &self.restores
    }

    /// The partitions that are here and restored.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Shared>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a partition is here and restored.
    #[must_use]
    pub fn has(&self, partition: Partition) -> bool {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|shared| shared.partition() == partition)
    }

    /// The partitions that are here, each with why it pauses where it does.
    #[must_use]
    pub fn pauses(&self) -> Vec<(Partition, Option<PartitionPause>)> {
        let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates.iter().map(|(partition, gate)| (*partition, gate.pause())).collect()
    }

    /// Lets a partition go on; whether it is here and was paused.
    pub fn resume(&self, partition: Partition) -> bool {
        self.gates
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&partition)
            .is_some_and(|gate| gate.open())
    }

    /// A lead as of the last commit, with the rules and positions of that commit; `None` while its
    /// partition is restored.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn lead(&self, partitions: u32, key: &LeadKey) -> Result<Option<View>, Error> {
        let partition = partition_of(key.as_str().as_bytes(), partitions);
        let shared = self.all().into_iter().find(|shared| shared.partition() == partition);
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

/// The partitions that one thread takes.
pub struct Worker<L: Log> {
    log: L,
    options: Options,
    tasks: BTreeMap<Partition, Task>,
    trees: Trees,
    metrics: Arc<Metrics>,
    /// When offsets were committed last.
    committed: Instant,
    /// When the state directory was last measured.
    measured: Option<Instant>,
}

/// Where the state of a data directory is.
#[must_use]
pub fn state_directory(data: &Path) -> PathBuf {
    data.join("state")
}

impl<L: Log> Worker<L> {
    /// A worker without any partition.
    pub fn new(log: L, trees: Trees, options: Options, metrics: Arc<Metrics>) -> Self {
        Self {
            log,
            options,
            tasks: BTreeMap::new(),
            trees,
            metrics,
            committed: Instant::now(),
            measured: None,
        }
    }

    /// Opens the state of all partitions and brings it to what is committed. State that cannot be
    /// trusted is thrown away and restored once.
    ///
    /// # Errors
    /// When the log cannot be read or the state directory cannot be made.
    pub fn open(
        log: L,
        directory: &Path,
        options: Options,
        metrics: Arc<Metrics>,
        views: &Views,
    ) -> Result<Self, Error> {
        let trees = Trees::open(directory, log.identity(), options.bounds.pages_bytes)?;
        let mut worker = Self::new(log, trees, options, metrics);
        let add_all = |worker: &mut Self| {
            (0..worker.log.partitions())
                .map(Partition)
                .try_for_each(|partition| worker.add(partition, None, views).map(drop))?;
            while worker.is_waiting() {
                worker.load_timers()?;
            }
            Ok(())
        };
        match add_all(&mut worker) {
            Err(Error::Cache) => {
                tracing::warn!(
                    "a row in the state directory does not match its checksum: restoring it from \
                        the changelog"
                );
                let Self { log, options, tasks, trees, metrics, .. } = worker;
                drop((tasks, trees));
                Trees::wipe(directory)?;
                let trees = Trees::open(directory, log.identity(), options.bounds.pages_bytes)?;
                worker = Self::new(log, trees, options, metrics);
                add_all(&mut worker)?;
            }
            other => other?,
        }
        Ok(worker)
    }

    /// Takes over a partition: brings its state, or the copy that was `kept` of it, to what is
    /// committed. [`Worker::load_timers`] follows.
    ///
    /// # Errors
    /// [`Error::Cache`] when the state directory cannot be trusted, or when the log cannot be read.
    pub fn add(
        &mut self,
        partition: Partition,
        kept: Option<Store>,
        views: &Views,
    ) -> Result<Restored, Error> {
        let reader = self.log.reader()?;
        let mut watch = views.restores.begin(partition);
        let place = (partition, self.log.partitions());
        let task = Task::restore(
            (&self.trees, kept),
            &reader,
            place,
            &self.options,
            (&self.metrics, &mut watch),
        )?;
        views.add(task.store.shared().clone(), task.breaker.gate().clone());
        self.tasks.insert(partition, task);
        Ok(Restored { records: watch.records(), records_per_second: watch.records_per_second() })
    }

    /// Learns who is due when in partitions that were added. That reads all their rows, so it is
    /// done for one partition for each core at a time: those before it take their events meanwhile.
    ///
    /// # Errors
    /// [`Error::Cache`] when the state directory cannot be trusted.
    pub fn load_timers(&mut self) -> Result<(), Error> {
        let mut left: Vec<&mut Store> = self
            .tasks
            .values_mut()
            .map(|task| &mut task.store)
            .filter(|store| !store.knows_due())
            .collect();
        // Each turn asks, and mostly there is nobody new.
        if left.is_empty() {
            return Ok(());
        }
        left.truncate(std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        std::thread::scope(|scope| {
            let running: Vec<_> =
                left.into_iter().map(|store| scope.spawn(|| store.load_timers())).collect();
            running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(Error::Panicked)))
        })
    }

    /// Where it reads and writes.
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Gives partitions up. Once others may take them, what is committed of them is to be written
    /// to the state directory, so that they come back faster.
    pub fn remove(&mut self, partitions: &[Partition], views: &Views) -> Vec<Leaving> {
        partitions.iter().for_each(|partition| views.remove(*partition));
        partitions
            .iter()
            .filter_map(|partition| self.tasks.remove(partition))
            .map(|task| Leaving(task.store))
            .collect()
    }

    /// How far a partition that is here took its inputs.
    #[must_use]
    pub fn positions(&self, partition: Partition) -> Option<Positions> {
        self.tasks.get(&partition).map(|task| task.positions)
    }

    /// Takes one batch of every partition and commits it; gives how many inputs were taken, 0 when
    /// there was nothing. Every commit has the offsets of all partitions; when there was nothing
    /// for long, they are committed alone.
    ///
    /// # Errors
    /// When the commit did not happen: then [`Worker::roll_back`] or [`Worker::learn`]. When the
    /// log or the state fails: open again, which takes what was not committed once more.
    pub fn step(&mut self) -> Result<u64, Error> {
        let reader = self.log.reader()?;
        let mut batches = Batches::new();
        let mut processed = 0;
        for task in self.tasks.values_mut().filter(|task| task.store.knows_due()) {
            processed += task.take_batch(&reader, &self.options, &mut batches, &self.metrics)?;
        }
        drop(reader);
        self.metrics.registry_waiting(self.tasks.values().filter(|task| task.is_waiting()).count());
        let is_due = L::POSITIONS_ARE_ROWS
            && !self.tasks.is_empty()
            && self.committed.elapsed() >= self.options.renew;
        if processed == 0 && !is_due {
            return Ok(0);
        }
        let began = Instant::now();
        let now = self.log.now();
        for task in self.tasks.values_mut() {
            if L::POSITIONS_ARE_ROWS && task.has_moved() {
                task.store.save(Key::Positions, Some(Row::Positions(task.positions)));
            }
            batches.insert((STATE, task.partition.0), task.store.changes(now.0));
        }
        self.options.schemas.frame(&mut batches);
        let positions =
            self.tasks.values().map(|task| (task.partition.0, task.positions)).collect();
        let ends = self.log.commit(&batches, &positions)?;
        self.committed = Instant::now();
        for task in self.tasks.values_mut() {
            task.publish(ends.get(&task.partition.0).copied(), &self.metrics)?;
        }
        self.metrics.committed(&batches, began.elapsed());
        self.metrics.end_to_end(now, self.tasks.values_mut().flat_map(|task| task.times.drain(..)));
        Ok(processed)
    }

    /// Whether a partition waits for the schema registry, or to know who is due.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.tasks.values().any(|task| task.is_waiting() || !task.store.knows_due())
    }

    /// Drops the batch in hand, because its transaction was aborted.
    pub fn roll_back(&mut self) {
        self.tasks.values_mut().for_each(Task::roll_back);
    }

    /// Learns whether the batch in hand was committed, and takes it over or drops it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn learn(&mut self) -> Result<(), Error> {
        self.log.settle()?;
        let reader = self.log.reader()?;
        self.tasks.values_mut().try_for_each(|task| task.settle(&reader, &self.metrics))
    }

    /// Finds out which counts of partitions that were taken over are to be reported. Those are not
    /// which the experiment's own partition has, where it is here; elsewhere that is not known, and
    /// a report that says nothing new changes nothing.
    fn know_reported(&mut self) -> Result<(), Error> {
        let partitions = self.log.partitions();
        let restored: Vec<_> = self.tasks.values_mut().flat_map(Task::take_restored).collect();
        for (source, experiment) in restored {
            let own = self.tasks.get_mut(&home(&experiment, partitions));
            let received_reports =
                own.map(|task| task.last_report(&experiment, source)).transpose()?.flatten();
            if let Some(task) = self.tasks.get_mut(&source) {
                task.go_on(experiment, received_reports)?;
            }
        }
        Ok(())
    }

    /// Writes ticks for live leads that are due and reports counts of experiments, at most as often
    /// as the options say.
    ///
    /// # Errors
    /// When the log or the state fails.
    pub fn chores(&mut self) -> Result<(), Error> {
        self.know_reported()?;
        if self.measured.is_none_or(|at| at.elapsed() >= MEASURED) {
            self.measured = Some(Instant::now());
            self.metrics.state_size(self.trees.size_bytes());
        }
        let (tick, report) = (self.options.tick, self.options.report);
        let mut batches = Batches::new();
        let now = self.log.now();
        for task in self.tasks.values_mut() {
            // A tick is taken only behind the interactions before it: while those wait, one after
            // the other would pile up.
            let takes = task.breaker.is_open() && !task.is_waiting() && task.store.knows_due();
            if takes
                && task.ticked.is_none_or(|at| at.elapsed() >= tick)
                && task.is_somebody_due(now)?
            {
                task.ticked = Some(Instant::now());
                let after = self.log.reader()?.end(INTERACTIONS, task.partition)?;
                put(&mut batches, task.partition, &InboxEntry::Tick { at: now, after }, now.0);
            }
            if task.reported.is_none_or(|at| at.elapsed() >= report) {
                task.report(&self.log, &mut batches)?;
            }
        }
        if batches.is_empty() { Ok(()) } else { Ok(self.log.put(&batches)?) }
    }

    /// Takes everything there is, reports every count, and takes what follows from that.
    ///
    /// # Errors
    /// As [`Worker::step`].
    pub fn settle(&mut self) -> Result<(), Error> {
        loop {
            while self.step()? > 0 {}
            self.know_reported()?;
            let mut batches = Batches::new();
            for task in self.tasks.values_mut() {
                task.report(&self.log, &mut batches)?;
            }
            if batches.is_empty() {
                return Ok(());
            }
            self.log.put(&batches)?;
        }
    }

    /// Writes all committed rows to sled.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.tasks.values().try_for_each(|task| task.store.checkpoint())
    }
}

/// Appends an inbox entry to the batches.
fn put(batches: &mut Batches, partition: Partition, entry: &InboxEntry, appended_ms: i64) {
    let record = Record {
        key: None,
        value: Some(inbox_bytes(entry)),
        reason: None,
        appended_ms,
        ingest_run: 0,
        origin: None,
    };
    batches.entry((INBOX, partition.0)).or_default().push(record);
}

/// What bringing a partition to what is committed took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Records read from the changelog.
    pub records: u64,
    /// How many that were in a second.
    pub records_per_second: u64,
}

/// A partition that was given up: its committed rows, not yet all in the state directory.
pub struct Leaving(Store);

impl Leaving {
    /// Writes them; gives what may become a copy.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn written(self) -> Result<Store, Error> {
        self.0.checkpoint()?;
        Ok(self.0)
    }
}
