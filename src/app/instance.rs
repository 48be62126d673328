//! A running leadstream: the log, the workers' threads, the cleaner, and what readers see.

mod cleaning;
mod measure;
mod symptoms;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::health::Watched;
use crate::app::instance::symptoms::watch;
use crate::app::sources::OpenSources;
use crate::codec::topics;
use crate::config::Config;
use crate::domain::units::Partition;
use crate::engine::cluster::peers::{Advertised, Peers};
use crate::engine::kafka_loop::{self, WorkerEvents};
use crate::engine::standby::Standbys;
use crate::engine::store::{Error, Trees};
use crate::engine::worker::{self, Views, Worker, state_directory};
use crate::log::kafka::{self, PartitionAssignment, Settings, Stall, Strictness};
use crate::log::registry::{self, Registry, Schemas};
use crate::log::{self, Backend, Embedded, TimeSource, chain};
use crate::telemetry::metrics::Metrics;

/// How often damaged state is restored before the instance gives up.
const RESTORES_MAX: u32 = 3;
/// A worker that does not move for this long is not alive.
const STALLED: Duration = Duration::from_secs(60);
/// Between two looks whether the log's file is still where it was.
const IN_PLACE: Duration = Duration::from_secs(1);
/// Between two questions for the ids of own schemas while the registry cannot be reached.
const REGISTRY: Duration = Duration::from_secs(1);
/// What one worker tells of itself.
struct Beat {
    /// When it moved last, milliseconds since the instance began.
    beat_ms: AtomicU64,
    /// It took everything once since the start.
    caught_up: AtomicBool,
    /// Why it commits nothing.
    failing: Mutex<Option<String>>,
}

impl Beat {
    fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }
}

/// A running leadstream on one data directory.
pub struct Instance {
    /// The log.
    pub log: Backend,
    /// What readers see.
    pub views: Views,
    /// On Kafka: copies of partitions that other instances have.
    pub standbys: Standbys,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where schemas of others are found.
    pub schemas: Schemas,
    /// The configuration.
    pub config: Config,
    /// Who appends beside the workers.
    pub sources: OpenSources,
    began: Instant,
    stop: AtomicBool,
    workers: Vec<Beat>,
    /// What the workers on Kafka have in hand.
    assignment: Mutex<Arc<PartitionAssignment>>,
    /// On Kafka: where the others are.
    peers: OnceLock<Peers>,
    restores: AtomicU32,
    failure: Mutex<Option<String>>,
    pub(crate) watched: Watched,
}

/// The threads of an instance; dropping it stops them and writes the state.
pub struct Running {
    instance: Arc<Instance>,
    threads: Vec<JoinHandle<()>>,
}

impl Instance {
    /// Opens the log and starts the workers.
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub fn start(config: Config, time: TimeSource) -> Result<Running, log::Error> {
        let log = match config.kafka_settings()? {
            Some(settings) => Backend::Kafka(kafka::open(settings, &topics::ALL)?),
            None => Backend::Embedded(Arc::new(Embedded::open(
                &config.data_dir,
                &config.log_options(time),
            )?)),
        };
        let workers = match &log {
            Backend::Kafka(cluster) => cluster.settings.num_threads,
            Backend::Embedded(_) => 1,
        };
        let instance = Arc::new(Self::new(config, log, workers));
        let mut threads = Vec::new();
        let worker = instance.clone();
        threads.push(std::thread::spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| worker.work())).is_err() {
                worker.fail("the worker panicked: standard error has the place");
            }
        }));
        if let (Backend::Embedded(log), 1..) =
            (&instance.log, instance.config.log.cleanup_interval_minutes)
        {
            let (cleaner, log) = (instance.clone(), log.clone());
            threads.push(std::thread::spawn(move || cleaner.keep_up(&log)));
        }
        watch(&instance);
        Ok(Running { instance, threads })
    }

    /// An instance on Kafka that takes nothing and is no member of the group: it reads and appends
    /// for a command.
    ///
    /// # Errors
    /// When the cluster cannot be reached, or a topic is not as it has to be.
    pub fn reader(config: Config, settings: Settings) -> Result<Running, log::Error> {
        let log = kafka::open_for(settings, &topics::ALL, Strictness::Reading)?;
        let log = Backend::Kafka(log);
        Ok(Running { instance: Arc::new(Self::new(config, log, 0)), threads: Vec::new() })
    }

    fn new(config: Config, log: Backend, workers: u32) -> Self {
        let metrics = Arc::new(Metrics::new());
        let registry = config
            .registry_settings()
            .map(|settings| Arc::new(Registry::start(&settings, metrics.clone())));
        let beat = |_| Beat {
            beat_ms: AtomicU64::new(0),
            caught_up: AtomicBool::new(false),
            failing: Mutex::default(),
        };
        Self {
            sources: OpenSources::new(log.clone()),
            log,
            views: Views::default(),
            standbys: Standbys::default(),
            metrics,
            schemas: Schemas::new(registry),
            config,
            began: Instant::now(),
            stop: AtomicBool::new(false),
            workers: (0..workers).map(beat).collect(),
            assignment: Mutex::default(),
            peers: OnceLock::new(),
            restores: AtomicU32::new(0),
            failure: Mutex::new(None),
            watched: Watched::default(),
        }
    }

    /// Whether it takes interactions.
    #[must_use]
    pub fn processes(&self) -> bool {
        !self.workers.is_empty()
    }

    /// On Kafka: tells the other instances where this one is, from now on.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn announce(self: &Arc<Self>, url: String) -> Result<(), log::Error> {
        let Backend::Kafka(cluster) = &self.log else { return Ok(()) };
        let weak = Arc::downgrade(self);
        let keeps = cluster.settings.num_standby_replicas > 0;
        let advertised = move || {
            let Some(instance) = weak.upgrade() else { return Advertised::default() };
            let mut partitions: Vec<u32> =
                instance.views.all().iter().map(|shared| shared.partition().0).collect();
            partitions.sort_unstable();
            Advertised {
                partitions,
                standbys: keeps.then(|| instance.standbys.behind().into_keys().collect()),
            }
        };
        let peers = Peers::start(&cluster.settings, url, advertised)?;
        // Whoever announces twice is announced already.
        self.peers.set(peers).ok();
        Ok(())
    }

    /// Where the instance is that has a partition, when that is another one.
    #[must_use]
    pub fn owner(&self, partition: Partition) -> Option<String> {
        self.peers.get().and_then(|peers| peers.owner(partition))
    }

    /// Where other instances are that have partitions.
    #[must_use]
    pub fn others(&self) -> BTreeSet<String> {
        self.peers.get().map_or_else(BTreeSet::new, Peers::others)
    }

    /// Where other instances are that have a copy of a partition.
    #[must_use]
    pub fn copies(&self, partition: Partition) -> Vec<String> {
        self.peers.get().map_or_else(Vec::new, |peers| peers.standbys(partition))
    }

    /// Works until told to stop; restores damaged state, ends at any other error.
    fn work(&self) {
        let directory = state_directory(&self.config.data_dir);
        let options = match self.framed() {
            Ok(Some(schemas)) => worker::Options { schemas, ..self.config.worker_options() },
            Ok(None) => return,
            Err(error) => return self.fail(&chain(&error)),
        };
        loop {
            let outcome = self.work_on(&directory, options.clone());
            self.views.clear();
            match outcome {
                Ok(()) => return,
                Err(Error::Cache)
                    if self.restores.fetch_add(1, Ordering::Relaxed) < RESTORES_MAX =>
                {
                    tracing::warn!("state is damaged: restoring it from the changelog");
                    if Trees::wipe(&directory).is_err() {
                        return self.fail("the state directory is damaged and cannot be removed");
                    }
                }
                Err(error) => return self.fail(&chain(&error)),
            }
        }
    }

    /// Where schemas are found, with the ids of own ones; a registry that cannot be reached is
    /// waited for. `None`: told to stop.
    fn framed(&self) -> Result<Option<Schemas>, registry::Error> {
        let Some(settings) = self.config.registry_settings() else {
            return Ok(Some(self.schemas.clone()));
        };
        let mut is_told = false;
        while !self.stop.load(Ordering::Relaxed) {
            (0..).zip(&self.workers).for_each(|(worker, _)| self.beat(worker));
            match registry::frames(&settings) {
                Ok(frames) => return Ok(Some(self.schemas.clone().framed(frames))),
                Err(error) if error.may_pass() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            error = chain(&error),
                            "waiting for the schema registry before anything is taken"
                        );
                    }
                    std::thread::park_timeout(REGISTRY);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn work_on(&self, directory: &Path, options: worker::Options) -> Result<(), Error> {
        match &self.log {
            Backend::Embedded(log) => self.work_embedded(log, directory, options),
            Backend::Kafka(cluster) => {
                let assignment = Arc::new(PartitionAssignment::default());
                *self.assignment.lock().unwrap_or_else(PoisonError::into_inner) =
                    assignment.clone();
                let copies = cluster.settings.num_standby_replicas as usize;
                let reported = WorkerEvents {
                    stop: &self.stop,
                    beat: &|worker| self.beat(worker),
                    caught_up: &|worker| self.caught_up(worker),
                    fails: &|worker, why| self.fails(worker, why),
                    views: &self.views,
                    metrics: &self.metrics,
                    standbys: &self.standbys,
                    wanted: &|| {
                        self.peers.get().map_or_else(BTreeSet::new, |peers| peers.to_keep(copies))
                    },
                };
                kafka_loop::work(
                    (cluster, &assignment),
                    directory,
                    (options, self.config.pace()),
                    &reported,
                )
            }
        }
    }

    fn work_embedded(
        &self,
        log: &Arc<Embedded>,
        directory: &Path,
        options: worker::Options,
    ) -> Result<(), Error> {
        let mut worker =
            Worker::open(log.clone(), directory, options, self.metrics.clone(), &self.views)?;
        let mut looked = Instant::now();
        loop {
            let seen = log.writes().appends;
            self.beat(0);
            if looked.elapsed() >= IN_PLACE {
                log.is_in_place()?;
                looked = Instant::now();
            }
            if worker.step()? > 0 {
                worker.chores()?;
                continue;
            }
            let is_waiting = worker.is_waiting();
            if !is_waiting {
                self.caught_up(0);
            }
            if self.stop.load(Ordering::Relaxed) {
                worker.settle()?;
                return worker.checkpoint();
            }
            worker.chores()?;
            let tick = Duration::from_millis(self.config.worker.punctuate_interval_ms);
            log.await_write(
                if is_waiting { tick.min(kafka_loop::REGISTRY) } else { tick },
                |writes| writes.appends > seen,
            );
        }
    }

    /// Milliseconds since the instance began, whatever becomes of the world's clock.
    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A worker moves.
    fn beat(&self, worker: u32) {
        if let Some(worker) = self.workers.get(worker as usize) {
            worker.beat_ms.store(self.uptime_ms(), Ordering::Relaxed);
        }
    }

    /// A worker took everything once.
    fn caught_up(&self, worker: u32) {
        if let Some(worker) = self.workers.get(worker as usize) {
            worker.caught_up.store(true, Ordering::Relaxed);
        }
    }

    /// A worker commits nothing, or does again.
    fn fails(&self, worker: u32, why: Option<String>) {
        if let Some(worker) = self.workers.get(worker as usize) {
            *worker.failing.lock().unwrap_or_else(PoisonError::into_inner) = why;
        }
    }

    /// Why workers commit nothing for now although they try.
    #[must_use]
    pub fn failing(&self) -> Vec<String> {
        let why =
            |worker: &Beat| worker.failing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.workers.iter().filter_map(why).collect()
    }

    fn fail(&self, why: &str) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| why.to_owned());
        self.wake();
        tracing::error!(why, "the worker has stopped");
    }

    /// Lets a partition go on; whether it is here and was paused.
    pub fn resume(&self, partition: Partition) -> bool {
        let has_resumed = self.views.resume(partition);
        self.wake();
        has_resumed
    }

    /// Wakes who waits for the log.
    fn wake(&self) {
        if let Backend::Embedded(log) = &self.log {
            log.wake();
        }
    }

    /// Why the worker ended, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the worker moves: false once it failed or stood still for a minute. One that
    /// restores reads records.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let (now_ms, stalled_ms) = (self.uptime_ms(), STALLED.as_millis() as u64);
        let moves = |worker: &Beat| {
            now_ms.saturating_sub(worker.beat_ms.load(Ordering::Relaxed)) < stalled_ms
        };
        self.failure().is_none()
            && (self.workers.iter().all(moves) || self.views.restores().moved_within(STALLED))
    }

    /// Whether everything was restored and taken once since the start.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.workers.iter().all(Beat::is_caught_up)
    }

    /// Whether nothing keeps it from taking events.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.symptoms().iter().any(|symptom| symptom.condition.is_blocking())
    }

    /// Partitions of Kafka that have not gone on for longer than this although there are records.
    pub(crate) fn stalls(&self, longer_than: Duration) -> Vec<Stall> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner).stalls(longer_than)
    }
}

impl Running {
    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Takes what is there, writes the state and ends.
    ///
    /// # Errors
    /// Why the worker failed.
    pub fn stop(mut self) -> Result<(), String> {
        self.end();
        self.instance.failure().map_or(Ok(()), Err)
    }

    fn end(&mut self) {
        if let Some(peers) = self.instance.peers.get() {
            peers.leave();
        }
        self.instance.stop.store(true, Ordering::Relaxed);
        self.instance.wake();
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                self.instance.fail("a thread panicked");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
