//! A share of Kafka's partitions: takes what the group gives, gives back what it asks for, and
//! commits in between.
//!
//! Partitions move only between two steps, so a step never holds a partition that is being given
//! up; one that is lost in the middle of a step is seen when its commit asks who owns what, and the
//! batch is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::codec::topics::inputs_of;
use crate::domain::units::Partition;
use crate::engine::standby::{self, Keeper, Standbys};
use crate::engine::store::{Bounds, Error, Trees};
use crate::engine::worker::{Options, Restored, Views, Worker};
use crate::log::kafka::{
    Client, Cluster, Fetch, Group, Librdkafka, PartitionAssignment, Rebalance, Topics,
    TransactionalLog, WorkerSlot,
};
use crate::log::{self, CommitError, chain};
use crate::pipeline::InputTopic;
use crate::telemetry::metrics::Metrics;

/// First and longest wait after a commit that did not happen.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// Turns in a row that may fail before the instance gives up: some six minutes.
const FAILURES_MAX: u32 = 200;

/// How often the last owner's transaction is looked at. Chosen: it costs two requests.
const HELD_UP: Duration = Duration::from_millis(100);

/// Turns in a row that fail before others are told. Chosen: one may fail whenever partitions move.
const FAILURES_TOLD: u32 = 2;

/// How soon what keeps copies hears that it is to end.
const STOPS: Duration = Duration::from_millis(100);

/// How often a partition that waits for the schema registry looks whether it has answered. Chosen:
/// as often as commits are made.
pub(crate) const REGISTRY: Duration = Duration::from_millis(10);

/// How often commits are made.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Shortest time between two commits.
    pub shortest: Duration,
    /// What that may grow to while commits are expensive.
    pub longest: Duration,
}

impl Pace {
    /// The time between two commits after one that took so long: longer while commits take more
    /// than nine tenths of it, so that brokers that are slow get larger batches instead of more of
    /// them.
    #[must_use]
    pub fn next(self, interval: Duration, took: Duration) -> Duration {
        if took > interval * 9 / 10 {
            (interval * 3 / 2).min(self.longest)
        } else {
            (interval * 9 / 10).max(self.shortest)
        }
    }
}

/// What the threads of a share tell their instance.
pub struct WorkerEvents<'a> {
    /// End after the step under way.
    pub stop: &'a AtomicBool,
    /// Called by each worker, with its number, once in each turn.
    pub beat: &'a (dyn Fn(u32) + Sync),
    /// The share of the group was restored, and a worker has taken what was fetched for it.
    pub caught_up: &'a (dyn Fn(u32) + Sync),
    /// Told by each worker, with its number, why it commits nothing, and `None` once it does again.
    pub fails: &'a (dyn Fn(u32, Option<String>) + Sync),
    /// What readers see.
    pub views: &'a Views,
    /// The metrics.
    pub metrics: &'a Arc<Metrics>,
    /// Copies of partitions that others have.
    pub standbys: &'a Standbys,
    /// Partitions of which copies are to be kept.
    pub wanted: &'a (dyn Fn() -> BTreeSet<Partition> + Sync),
}

/// The loop of one worker of a share, turn by turn.
pub struct MemberLoop<'a, C: Client = Librdkafka> {
    assignment: Arc<PartitionAssignment>,
    part: WorkerSlot,
    worker: Worker<TransactionalLog<C>>,
    reported: &'a WorkerEvents<'a>,
    interval: Duration,
    pace: Pace,
    failures: u32,
    /// Partitions that wait for a transaction of their last owner: since when, and when that was
    /// looked at last.
    held_up: BTreeMap<Partition, (Duration, Duration)>,
    /// Nobody knows yet whether the last batch was committed, also of the process before this one:
    /// learn it first.
    in_doubt: bool,
}

/// Joins the group and works until told to stop.
///
/// # Errors
/// When the state directory cannot be trusted, or when Kafka fails for longer than is waited.
pub fn work(
    (cluster, assignment): (&Arc<Cluster>, &Arc<PartitionAssignment>),
    directory: &Path,
    (options, pace): (Options, Pace),
    reported: &WorkerEvents<'_>,
) -> Result<(), Error> {
    let topics = InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0);
    let group = Arc::new(Group::join(&cluster.settings, assignment, topics[0])?);
    let _fetch = Fetch::start(&cluster.settings, assignment, topics)?;
    let of = cluster.settings.num_threads;
    // What the last process left open is settled while the state is opened.
    let (transactional, trees) = std::thread::scope(|scope| {
        let transactional = scope.spawn(|| {
            (0..of)
                .map(|number| TransactionalLog::new(cluster, assignment, (&group, number), topics))
                .collect::<Result<Vec<_>, _>>()
        });
        let trees = Trees::open(directory, cluster.identity, options.bounds.pages_bytes);
        (transactional.join(), trees)
    });
    let (transactional, trees) = (transactional.map_err(|_| Error::Panicked)??, trees?);
    let ended = AtomicBool::new(false);
    let work_on = |(number, transactional)| {
        let worker =
            Worker::new(transactional, trees.clone(), options.clone(), reported.metrics.clone());
        let mut share =
            MemberLoop::new(assignment, worker, pace, reported).part(WorkerSlot { number, of });
        let outcome = share.run(options.tick, &ended);
        // One that fails ends the others. Whoever asks for partitions from here on need not wait:
        // nothing more is committed.
        ended.store(true, Ordering::Relaxed);
        assignment.ended(share.part);
        outcome.and_then(|()| share.checkpoint())
    };
    let keeps = cluster.settings.num_standby_replicas > 0;
    reported.standbys.turn_on(keeps);
    let keep_up = || {
        let outcome = keep(cluster, &trees, options.bounds, (reported, &ended));
        ended.store(true, Ordering::Relaxed);
        outcome
    };
    let outcome = std::thread::scope(|scope| {
        let keeper = keeps.then(|| scope.spawn(keep_up));
        let workers: Vec<_> = (0..of)
            .zip(transactional)
            .map(|worker| {
                let work_on = &work_on;
                scope.spawn(move || work_on(worker))
            })
            .collect();
        let threads = workers.into_iter().chain(keeper);
        threads
            .map(|thread| thread.join().unwrap_or(Err(Error::Panicked)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    });
    reported.standbys.clear();
    outcome
}

/// Keeps copies of partitions that others have, beside the workers.
fn keep(
    cluster: &Cluster,
    trees: &Trees,
    bounds: Bounds,
    (reported, ended): (&WorkerEvents<'_>, &AtomicBool),
) -> Result<(), Error> {
    let topics = Topics::new(&cluster.settings)?;
    let rate = cluster.settings.standby_records_per_second;
    let mut keeper =
        Keeper::new(reported.standbys, (topics, trees.clone()), (bounds, rate), reported.metrics);
    let is_over = || reported.stop.load(Ordering::Relaxed) || ended.load(Ordering::Relaxed);
    while !is_over() {
        keeper.turn(&(reported.wanted)(), &is_over)?;
        let until = Instant::now() + standby::LOOK;
        while !is_over() && Instant::now() < until {
            std::thread::sleep(STOPS);
        }
    }
    reported.standbys.put_all_away()
}

/// What is waited for before the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Something new in the hub, counted from here.
    News(u64),
    /// So much time.
    Time(Duration),
}

impl<'a, C: Client> MemberLoop<'a, C> {
    /// A share whose worker has no partition yet.
    pub fn new(
        assignment: &Arc<PartitionAssignment>,
        worker: Worker<TransactionalLog<C>>,
        pace: Pace,
        reported: &'a WorkerEvents<'a>,
    ) -> Self {
        Self {
            assignment: assignment.clone(),
            part: WorkerSlot::WHOLE,
            worker,
            reported,
            interval: pace.shortest,
            pace,
            failures: 0,
            held_up: BTreeMap::new(),
            in_doubt: true,
        }
    }

    /// The same for some of the partitions.
    #[must_use]
    pub fn part(self, part: WorkerSlot) -> Self {
        Self { part, ..self }
    }

    fn run(&mut self, tick: Duration, ended: &AtomicBool) -> Result<(), Error> {
        while !self.reported.stop.load(Ordering::Relaxed) && !ended.load(Ordering::Relaxed) {
            match self.round()? {
                Wait::News(seen) => self.assignment.wait(seen, Instant::now() + tick),
                Wait::Time(time) => std::thread::sleep(time),
            }
        }
        Ok(())
    }

    /// One turn with its chores, and what is to be waited for before the next one.
    ///
    /// # Errors
    /// When the share cannot go on.
    pub fn round(&mut self) -> Result<Wait, Error> {
        (self.reported.beat)(self.part.number);
        if let Some(why) = self.assignment.failure() {
            return Err(log::Error::Offsets(why).into());
        }
        let seen = self.assignment.news();
        let began = Instant::now();
        match self.turn() {
            Ok(0) => {
                (self.reported.fails)(self.part.number, None);
                let is_waiting = self.worker.is_waiting() || !self.held_up.is_empty();
                if self.assignment.is_settled() && !is_waiting {
                    (self.reported.caught_up)(self.part.number);
                }
                self.chores()?;
                Ok(if is_waiting { Wait::Time(REGISTRY) } else { Wait::News(seen) })
            }
            Ok(_) => {
                self.failures = 0;
                (self.reported.fails)(self.part.number, None);
                self.reported.metrics.handled(&self.assignment.handled(self.part));
                self.chores()?;
                Ok(Wait::Time(self.rest(began)))
            }
            Err(error) => self.again(error).map(Wait::Time),
        }
    }

    /// Writes everything committed to the state directory.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.worker.checkpoint()
    }

    /// Learns what is in doubt, which ends what this instance left open; follows what moved; takes
    /// a batch.
    fn turn(&mut self) -> Result<u64, Error> {
        if self.in_doubt {
            self.worker.learn()?;
            self.in_doubt = false;
        }
        self.follow(&self.assignment.moves(self.part))?;
        self.worker.step()
    }

    /// Gives up and takes over what moved.
    fn follow(&mut self, moves: &Rebalance) -> Result<(), Error> {
        if !moves.revoked.is_empty() {
            let left = self.worker.remove(&moves.revoked, self.reported.views);
            self.assignment.released(&moves.revoked);
            for revoked in left {
                let store = revoked.written()?;
                self.reported.standbys.give(store.shared().partition(), Some(store));
            }
        }
        self.held_up.retain(|partition, _| moves.assigned.contains(partition));
        for partition in &moves.assigned {
            if self.is_held_up(*partition)? {
                continue;
            }
            if self.assignment.processed(*partition).is_none() {
                continue;
            }
            let began = Instant::now();
            let kept = self.reported.standbys.take(*partition);
            let is_warm = kept.is_some();
            let restored = match self.worker.add(*partition, kept, self.reported.views) {
                Ok(restored) => restored,
                Err(error) => {
                    self.reported.standbys.give(*partition, None);
                    self.assignment.released(&[*partition]);
                    return Err(error);
                }
            };
            if let Some(positions) = self.worker.positions(*partition) {
                self.assignment.fetch(*partition, &positions);
            }
            let Restored { records, records_per_second } = restored;
            tracing::info!(partition = partition.0, took = ?began.elapsed(), records, records_per_second, is_warm, "took over partition");
            (self.reported.beat)(self.part.number);
        }
        self.worker.load_timers()
    }

    /// Whether the last owner of a partition left a transaction that has not ended: the other
    /// partitions go on meanwhile.
    fn is_held_up(&mut self, partition: Partition) -> Result<bool, Error> {
        let now = self.worker.log().time();
        let known = self.held_up.get(&partition).copied();
        if known.is_some_and(|(_, looked)| now - looked < HELD_UP) {
            return Ok(true);
        }
        let since = known.map_or(now, |(since, _)| since);
        self.held_up.remove(&partition);
        let is_held_up = !self.worker.log().is_settled(partition, since)?;
        if is_held_up {
            self.held_up.insert(partition, (since, now));
        }
        Ok(is_held_up)
    }

    /// Ticks and reports; a broker that does not take them now is asked again later.
    fn chores(&mut self) -> Result<(), Error> {
        match self.worker.chores() {
            Err(Error::Log(error)) => {
                tracing::warn!(%error, "ticks wait");
                Ok(())
            }
            other => other,
        }
    }

    /// How long records may gather until the next commit is due.
    fn rest(&mut self, began: Instant) -> Duration {
        let took = began.elapsed();
        self.interval = self.pace.next(self.interval, took);
        self.interval.saturating_sub(took)
    }

    /// Goes back to what is committed after a turn that failed because of Kafka, which may come
    /// back; gives how long to wait.
    fn again(&mut self, error: Error) -> Result<Duration, Error> {
        self.failures += 1;
        if self.failures > FAILURES_MAX {
            return Err(error);
        }
        match &error {
            // What does not end may be of the process before this one, which a new producer ends.
            Error::Commit(CommitError::InDoubt(_)) | Error::Log(log::Error::Stuck(_)) => {
                self.in_doubt = true
            }
            Error::Commit(_) | Error::Log(log::Error::Kafka { .. }) => {}
            _ => return Err(error),
        }
        tracing::warn!(
            error = chain(&error),
            failures = self.failures,
            "the batch in hand is dropped"
        );
        if self.failures >= FAILURES_TOLD {
            (self.reported.fails)(self.part.number, Some(chain(&error)));
        }
        self.worker.roll_back();
        let (shortest, longest) = BACKOFF;
        Ok((shortest * 2_u32.saturating_pow(self.failures.min(8) - 1)).min(longest))
    }
}
