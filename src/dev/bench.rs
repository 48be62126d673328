//! Measures a cluster for who has to size one: CPU per event of the whole job beside a raw loop,
//! and produce-to-committed latency.
//!
//! Every job is a process of its own, so that its CPU time is its own; this one makes the events
//! and waits. Jobs take turns within one run on one cluster, in topics of their own that are
//! removed afterwards.

mod load;
mod subject;
mod latency;
pub mod raw;
mod restart;
mod throughput;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::BaseProducer;
use serde::{Deserialize, Serialize};

use crate::app::address::address_file;
use crate::codec::record::Record;
use crate::codec::topics::{self, INTERACTIONS, PREDICTIONS, Partitions};
use crate::config::Config;
use crate::dev::bench::subject::Subject;
use crate::domain::hash::partition_of;
use crate::domain::units::Partition;
use crate::log::kafka::{self, Cluster, Guarantee, Topics};
use crate::log::{self};

pub use crate::dev::bench::latency::Latency;
pub use crate::dev::bench::load::Spread;
pub use crate::dev::bench::restart::Restart;
pub use crate::dev::bench::throughput::Throughput;

/// How long one call may take.
const ASK: Duration = Duration::from_secs(30);
/// How long a job may take for what it was given.
const TAKES: Duration = Duration::from_secs(600);
/// Between two looks at how far a job is.
const LOOK: Duration = Duration::from_millis(20);

/// Why a benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Kafka failed.
    #[error("Kafka refuses or does not answer")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The system failed.
    #[error("a file or process cannot be used")]
    Io(#[from] std::io::Error),
    /// A job ended, or is too slow.
    #[error(
        "the measured process has failed: {0}; see its log in the bench folder of the data \
            directory"
    )]
    Ended(String),
    /// No Kafka is configured.
    #[error("kafka.bootstrap_servers is empty: name a cluster")]
    NoCluster,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The whole job as it is run.
    ExactlyOnce,
    /// The same without transactions.
    AtLeastOnce,
    /// The raw loop.
    Raw,
}

impl Mode {
    /// The name in a report and in names of topics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly-once",
            Self::AtLeastOnce => "at-least-once",
            Self::Raw => "raw",
        }
    }
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Leads that are there before.
    pub leads: usize,
    /// Events of one round.
    pub events: usize,
    /// Rounds of each job.
    pub rounds: usize,
    /// Events per second of the latency part.
    pub rates: Vec<u64>,
    /// How long each of its runs takes.
    pub seconds: u64,
}

/// What the raw loop copies, handed to its process in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Script {
    /// Prefix of the topics to copy.
    pub prefix: String,
    /// First offsets to copy, by topic and partition.
    pub from: BTreeMap<String, Vec<u64>>,
    /// Where to end: the job that is copied goes on in the latency part.
    pub until: BTreeMap<String, Vec<u64>>,
    /// Events that those records belong to, by partition.
    pub events: Vec<u64>,
}

/// A job with its topics.
struct Job {
    cluster: std::sync::Arc<Cluster>,
    config: PathBuf,
    folder: PathBuf,
    /// Tells how far its group is.
    group: BaseConsumer,
    /// Interactions that were sent to it, by partition.
    sent: Vec<u64>,
}

/// One run of the benchmark.
pub struct Bench {
    folder: PathBuf,
    producer: BaseProducer,
    jobs: BTreeMap<Mode, Job>,
}

impl Bench {
    /// Makes the topics of every job.
    ///
    /// # Errors
    /// When the cluster cannot be used.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let settings = config.kafka_settings()?.ok_or(Error::NoCluster)?;
        let run = uuid::Uuid::new_v4().simple().to_string();
        let folder = config.data_dir.join("bench");
        std::fs::create_dir_all(&folder)?;
        let mut producer = settings.client();
        producer
            .set("linger.ms", "1")
            .set("queue.buffering.max.messages", "2000000")
            .set("queue.buffering.max.kbytes", "2000000");
        let mut bench = Self { folder, producer: producer.create()?, jobs: BTreeMap::new() };
        for mode in [Mode::ExactlyOnce, Mode::AtLeastOnce, Mode::Raw] {
            let job = bench.job(config, mode, &run[..8])?;
            bench.jobs.insert(mode, job);
        }
        Ok(bench)
    }

    fn job(&self, config: &Config, mode: Mode, run: &str) -> Result<Job, Error> {
        let mut own = config.clone();
        own.data_dir = self.folder.join(mode.as_str());
        own.http.listen = "127.0.0.1:0".to_owned();
        let name = format!("bench-{run}-{}", mode.as_str());
        own.kafka.topic_prefix = format!("{name}.");
        own.kafka.application_id = name;
        own.kafka.create_topics = true;
        own.kafka.session_timeout_ms = 45_000;
        // One that was killed is replaced at once instead of after its session.
        own.kafka.static_membership = true;
        own.kafka.guarantee =
            if mode == Mode::AtLeastOnce { Guarantee::AtLeastOnce } else { Guarantee::ExactlyOnce };
        if own.data_dir.exists() {
            std::fs::remove_dir_all(&own.data_dir)?;
        }
        std::fs::create_dir_all(&own.data_dir)?;
        let file = self.folder.join(format!("{}.toml", mode.as_str()));
        std::fs::write(&file, toml::to_string(&own).map_err(std::io::Error::other)?)?;
        let settings = own.kafka_settings()?.ok_or(Error::NoCluster)?;
        let cluster = kafka::open(settings, &topics::ALL)?;
        let group = cluster.settings.consumer(&cluster.settings.application_id).create()?;
        let sent = vec![0; cluster.partitions as usize];
        Ok(Job { cluster, config: file, folder: own.data_dir, group, sent })
    }

    /// Removes the topics and files of this run.
    ///
    /// # Errors
    /// When the cluster does not remove them.
    pub fn close(self) -> Result<(), Error> {
        for job in self.jobs.values() {
            kafka::remove(&job.cluster.settings, &topics::ALL)?;
        }
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }

    fn job_of(&self, mode: Mode) -> Result<&Job, Error> {
        self.jobs
            .get(&mode)
            .ok_or_else(|| Error::Ended(format!("there is no job {}", mode.as_str())))
    }

    /// Sends events to a job without waiting for the job.
    fn send(&mut self, mode: Mode, records: &[Record]) -> Result<(), Error> {
        let Some(job) = self.jobs.get_mut(&mode) else { return Ok(()) };
        let topic = job.cluster.settings.topic(INTERACTIONS);
        for record in records {
            let partition =
                partition_of(record.key.as_deref().unwrap_or_default(), job.cluster.partitions);
            kafka::send(&self.producer, (&topic, partition.0), record)?;
            if let Some(sent) = job.sent.get_mut(partition.0 as usize) {
                *sent += 1;
            }
        }
        kafka::drain(&self.producer, Instant::now() + TAKES)?;
        Ok(())
    }
}

impl Job {
    fn start(&self, script: Option<&Script>) -> Result<Subject, Error> {
        let mut subject = self.start_only(script)?;
        subject.await_ready()?;
        if script.is_none() {
            subject.await_restored(TAKES)?;
        }
        Ok(subject)
    }

    /// Starts it and does not wait until it is ready.
    fn start_only(&self, script: Option<&Script>) -> Result<Subject, Error> {
        let config = self.config.to_string_lossy().into_owned();
        let log = self.folder.with_extension("log");
        let (ready, file) = (self.folder.join("ready"), self.folder.join("script.json"));
        match script {
            None => Subject::start(&["--config", &config, "run"], address_file(&self.folder), &log),
            Some(script) => {
                if ready.exists() {
                    std::fs::remove_file(&ready)?;
                }
                std::fs::write(&file, serde_json::to_vec(script).map_err(std::io::Error::other)?)?;
                let (file, ready_text) =
                    (file.to_string_lossy().into_owned(), ready.to_string_lossy().into_owned());
                Subject::start_raw(
                    &["--config", &config, "bench", "raw", &file, &ready_text],
                    ready,
                    &log,
                )
            }
        }
    }

    /// Waits until everything sent is taken, and says how long that took.
    fn await_taken(&self, subject: &mut Subject) -> Result<Duration, Error> {
        let began = Instant::now();
        let topic = self.cluster.settings.topic(INTERACTIONS);
        loop {
            let mut list = TopicPartitionList::new();
            for partition in 0..self.cluster.partitions {
                list.add_partition(&topic, partition.cast_signed());
            }
            let committed = self.group.committed_offsets(list, ASK)?;
            let is_taken = |place: usize, sent: u64| {
                let element =
                    committed.find_partition(&topic, i32::try_from(place).unwrap_or(i32::MAX));
                let next = element.and_then(|element| element.offset().to_raw()).unwrap_or(0);
                u64::try_from(next).unwrap_or(0) >= sent
            };
            if self.sent.iter().enumerate().all(|(place, sent)| is_taken(place, *sent)) {
                return Ok(began.elapsed());
            }
            subject.look()?;
            if began.elapsed() > TAKES {
                return Err(Error::Ended(format!("not everything is taken after {TAKES:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Where its written topics end now.
    fn ends(&self) -> Result<BTreeMap<String, Vec<u64>>, Error> {
        let reader = Topics::new(&self.cluster.settings)?;
        let mut ends = BTreeMap::new();
        for topic in topics::ALL
            .iter()
            .filter(|topic| !topic.is_input() && topic.partitions == Partitions::Many)
        {
            let offsets = (0..self.cluster.partitions)
                .map(|partition| Ok(reader.end(topic.name, Partition(partition))?.0));
            ends.insert(topic.name.to_owned(), offsets.collect::<Result<_, Error>>()?);
        }
        Ok(ends)
    }
}

/// The raw loop of a script, in this process, until it is killed.
///
/// # Errors
/// When Kafka fails.
pub fn raw_loop(config: &Config, script: &Script, ready: &std::path::Path) -> Result<(), Error> {
    let settings = config.kafka_settings()?.ok_or(Error::NoCluster)?;
    raw::run(&settings, script, config.pace(), ready)
}

/// The middle of some numbers, 0 where there are none.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}
