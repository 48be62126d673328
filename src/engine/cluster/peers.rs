//! Who has which partitions: every instance says so in a compacted topic, under its name, and reads
//! what the others say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::domain::units::Partition;
use crate::engine::cluster::placement::kept_by;
use crate::log::Error;
use crate::log::kafka::settings::{Isolation, Settings, make};
use crate::log::kafka::{Reports, failed};

/// Where instances say what they have, compacted.
pub const INSTANCES: &str = "leadstream.instances.v1";
/// Between two looks at what this instance has.
const LOOK: Duration = Duration::from_millis(100);
/// What has not changed is said again, for those who keep records only for a while.
const AGAIN: Duration = Duration::from_secs(600);
/// The same where copies are kept, so that the others see who is there.
const SIGN: Duration = Duration::from_secs(10);
/// Who has not said anything for this long keeps no copies: three signs, and some time for the last
/// of them.
const GONE: Duration = Duration::from_secs(35);
/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What an instance has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Had {
    /// Partitions that it has restored.
    pub partitions: Vec<u32>,
    /// Partitions of which it has a copy; `None`: it keeps none.
    #[serde(default)]
    pub standbys: Option<Vec<u32>>,
}

/// What an instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    url: String,
    #[serde(flatten)]
    had: Had,
}

/// The newest word of an instance.
struct Heard {
    offset: i64,
    at: Instant,
    said: Said,
}

type Known = Arc<RwLock<BTreeMap<String, Heard>>>;

/// The instances of an application as the topic tells.
pub struct Peers {
    own: String,
    known: Known,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Peers {
    /// Says from now on where this instance is and what `had` gives, and listens to the others.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn start(
        settings: &Settings,
        url: String,
        had: impl Fn() -> Had + Send + 'static,
    ) -> Result<Self, Error> {
        let consumer = settings.reader("peers", Isolation::Uncommitted)?;
        let mut list = TopicPartitionList::new();
        let topic = settings.topic(INSTANCES);
        let what = || failed("what other instances say cannot be read");
        list.add_partition_offset(&topic, 0, Offset::Beginning).map_err(what())?;
        consumer.assign(&list).map_err(what())?;
        let producer: BaseProducer = make(&settings.producer(), "peers")?;
        let (known, stop) = (Known::default(), Arc::new(AtomicBool::new(false)));
        let mut speaker =
            Speaker { producer, topic, own: settings.instance.clone(), url, said: None };
        let (heard, stopped) = (known.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut reports = Reports::of("peers");
            while !stopped.load(Ordering::Relaxed) {
                speaker.say(had());
                listen(&consumer, &heard, &mut reports);
            }
            speaker.leave();
        });
        Ok(Self { own: settings.instance.clone(), known, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Where the instance is that said last that it has a partition; `None` where that is this one,
    /// or nobody.
    #[must_use]
    pub fn owner(&self, partition: Partition) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let has =
            known.iter().filter(|(_, heard)| heard.said.had.partitions.contains(&partition.0));
        let (name, heard) = has.max_by_key(|(_, heard)| heard.offset)?;
        (*name != self.own).then(|| heard.said.url.clone())
    }

    /// Where the other instances are that have partitions.
    #[must_use]
    pub fn others(&self) -> BTreeSet<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = known
            .iter()
            .filter(|(name, heard)| **name != self.own && !heard.said.had.partitions.is_empty());
        others.map(|(_, heard)| heard.said.url.clone()).collect()
    }

    /// Where the other instances are that have a copy of a partition, those that spoke last first.
    #[must_use]
    pub fn standbys(&self, partition: Partition) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = known.iter().filter(|(name, _)| **name != self.own).map(|(_, heard)| heard);
        let mut found: Vec<&Heard> = others
            .filter(|heard| {
                heard.said.had.standbys.as_ref().is_some_and(|kept| kept.contains(&partition.0))
            })
            .collect();
        found.sort_by_key(|heard| std::cmp::Reverse(heard.offset));
        found.into_iter().map(|heard| heard.said.url.clone()).collect()
    }

    /// Partitions of which this instance is to keep a copy, where each partition has so many.
    #[must_use]
    pub fn to_keep(&self, copies: usize) -> BTreeSet<Partition> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let keeps = |heard: &Heard| heard.said.had.standbys.is_some() && heard.at.elapsed() < GONE;
        let candidates =
            known.iter().filter(|(_, heard)| keeps(heard)).map(|(name, _)| name.as_str()).collect();
        let mut owners: BTreeMap<u32, (i64, &str)> = BTreeMap::new();
        for (name, heard) in known.iter() {
            for partition in &heard.said.had.partitions {
                let newest = owners.entry(*partition).or_insert((heard.offset, name));
                *newest = (*newest).max((heard.offset, name));
            }
        }
        let owners = owners.into_iter().map(|(partition, (_, name))| (partition, name)).collect();
        kept_by(&self.own, &candidates, &owners, copies).into_iter().map(Partition).collect()
    }

    /// Says that this instance has gone.
    pub fn leave(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that talks to other instances panicked");
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.leave();
    }
}

struct Speaker {
    producer: BaseProducer,
    topic: String,
    own: String,
    url: String,
    said: Option<(Had, Instant)>,
}

impl Speaker {
    fn say(&mut self, had: Had) {
        self.producer.poll(Duration::ZERO);
        let again = if had.standbys.is_some() { SIGN } else { AGAIN };
        if self.said.as_ref().is_some_and(|(said, at)| *said == had && at.elapsed() < again) {
            return;
        }
        let said = Said { url: self.url.clone(), had };
        let bytes = serde_json::to_vec(&said).expect("strings and numbers are JSON");
        match self
            .producer
            .send(BaseRecord::to(&self.topic).partition(0).key(&self.own).payload(&bytes))
        {
            Ok(()) => self.said = Some((said.had, Instant::now())),
            Err((error, _)) => {
                tracing::warn!(%error, "other instances are not told what this one has")
            }
        }
    }

    fn leave(&self) {
        let last = self
            .producer
            .send(BaseRecord::<str, [u8]>::to(&self.topic).partition(0).key(&self.own));
        if last.is_err() || self.producer.flush(LAST_WORD).is_err() {
            tracing::warn!("other instances are not told that this one has gone");
        }
    }
}

fn listen(consumer: &BaseConsumer, known: &Known, reports: &mut Reports) {
    match consumer.poll(LOOK) {
        None | Some(Err(KafkaError::PartitionEOF(_))) => {}
        Some(Err(error)) => reports.take(error),
        Some(Ok(message)) => {
            let name = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            let said = message.payload().and_then(|bytes| serde_json::from_slice(bytes).ok());
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            match said {
                Some(said) => {
                    known.insert(name, Heard { offset: message.offset(), at: Instant::now(), said })
                }
                None => known.remove(&name),
            };
        }
    }
}
