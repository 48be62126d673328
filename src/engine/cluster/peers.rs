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

use crate::codec::topics::INSTANCES;
use crate::domain::units::Partition;
use crate::engine::cluster::placement::kept_by;
use crate::log::Error;
use crate::log::kafka::settings::{Isolation, Settings, make};
use crate::log::kafka::{Reports, failed};
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
pub struct Advertised {
    /// Partitions that it has restored.
    pub partitions: Vec<u32>,
    /// Partitions of which it has a copy; `None`: it keeps none.
    #[serde(default)]
    pub standbys: Option<Vec<u32>>,
}

/// What an instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Advertisement {
    url: String,
    #[serde(flatten)]
    advertised: Advertised,
}

/// The newest word of an instance.
struct PeerState {
    offset: i64,
    at: Instant,
    advertisement: Advertisement,
}

type Known = Arc<RwLock<BTreeMap<String, PeerState>>>;

/// The instances of an application as the topic tells.
pub struct Peers {
    own: String,
    known: Known,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Peers {
    /// Says from now on where this instance is and what `advertised` gives, and listens to the
    /// others.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn start(
        settings: &Settings,
        url: String,
        advertised: impl Fn() -> Advertised + Send + 'static,
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
            Speaker { producer, topic, own: settings.instance.clone(), url, advertisement: None };
        let (received_reports, stopped) = (known.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut reports = Reports::of("peers");
            while !stopped.load(Ordering::Relaxed) {
                speaker.say(advertised());
                listen(&consumer, &received_reports, &mut reports);
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
        let has = known.iter().filter(|(_, received_reports)| {
            received_reports.advertisement.advertised.partitions.contains(&partition.0)
        });
        let (name, received_reports) =
            has.max_by_key(|(_, received_reports)| received_reports.offset)?;
        (*name != self.own).then(|| received_reports.advertisement.url.clone())
    }

    /// Where the other instances are that have partitions.
    #[must_use]
    pub fn others(&self) -> BTreeSet<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = known.iter().filter(|(name, received_reports)| {
            **name != self.own && !received_reports.advertisement.advertised.partitions.is_empty()
        });
        others.map(|(_, received_reports)| received_reports.advertisement.url.clone()).collect()
    }

    /// Where the other instances are that have a copy of a partition, those that spoke last first.
    #[must_use]
    pub fn standbys(&self, partition: Partition) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = known
            .iter()
            .filter(|(name, _)| **name != self.own)
            .map(|(_, received_reports)| received_reports);
        let mut found: Vec<&PeerState> = others
            .filter(|received_reports| {
                received_reports
                    .advertisement
                    .advertised
                    .standbys
                    .as_ref()
                    .is_some_and(|kept| kept.contains(&partition.0))
            })
            .collect();
        found.sort_by_key(|received_reports| std::cmp::Reverse(received_reports.offset));
        found
            .into_iter()
            .map(|received_reports| received_reports.advertisement.url.clone())
            .collect()
    }

    /// Partitions of which this instance is to keep a copy, where each partition has so many.
    #[must_use]
    pub fn to_keep(&self, copies: usize) -> BTreeSet<Partition> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let keeps = |received_reports: &PeerState| {
            received_reports.advertisement.advertised.standbys.is_some()
                && received_reports.at.elapsed() < GONE
        };
        let candidates = known
            .iter()
            .filter(|(_, received_reports)| keeps(received_reports))
            .map(|(name, _)| name.as_str())
            .collect();
        let mut owners: BTreeMap<u32, (i64, &str)> = BTreeMap::new();
        for (name, received_reports) in known.iter() {
            for partition in &received_reports.advertisement.advertised.partitions {
                let newest = owners.entry(*partition).or_insert((received_reports.offset, name));
                *newest = (*newest).max((received_reports.offset, name));
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
    advertisement: Option<(Advertised, Instant)>,
}

impl Speaker {
    fn say(&mut self, advertised: Advertised) {
        self.producer.poll(Duration::ZERO);
        let again = if advertised.standbys.is_some() { SIGN } else { AGAIN };
        if self
            .advertisement
            .as_ref()
            .is_some_and(|(advertisement, at)| *advertisement == advertised && at.elapsed() < again)
        {
            return;
        }
        let advertisement = Advertisement { url: self.url.clone(), advertised };
        let bytes = serde_json::to_vec(&advertisement).expect("strings and numbers are JSON");
        match self
            .producer
            .send(BaseRecord::to(&self.topic).partition(0).key(&self.own).payload(&bytes))
        {
            Ok(()) => self.advertisement = Some((advertisement.advertised, Instant::now())),
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
            let advertisement =
                message.payload().and_then(|bytes| serde_json::from_slice(bytes).ok());
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            match advertisement {
                Some(advertisement) => known.insert(
                    name,
                    PeerState { offset: message.offset(), at: Instant::now(), advertisement },
                ),
                None => known.remove(&name),
            };
        }
    }
}
