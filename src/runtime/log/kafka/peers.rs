//! Who has which partitions: every instance says so in a compacted topic, under its name, and reads what the others say.

use std::collections::BTreeMap;
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
use crate::runtime::log::Error;
use crate::runtime::log::kafka::client::Isolation;
use crate::runtime::log::kafka::settings::{Settings, make};
use crate::runtime::log::kafka::{Reports, failed};

/// Where instances say what they have, compacted.
pub const INSTANCES: &str = "leadstream.instances.v1";
/// Between two looks at what this instance has.
const LOOK: Duration = Duration::from_millis(100);
/// What has not changed is said again, for those who keep records only for a while.
const AGAIN: Duration = Duration::from_secs(600);
/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What an instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    url: String,
    partitions: Vec<u32>,
}

type Known = Arc<RwLock<BTreeMap<String, (i64, Said)>>>;

/// The instances of an application as the topic tells.
pub struct Peers {
    own: String,
    known: Known,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Peers {
    /// Says from now on where this instance is and what `owned` gives, and listens to the others.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn start(settings: &Settings, url: String, owned: impl Fn() -> Vec<u32> + Send + 'static) -> Result<Self, Error> {
        let consumer = settings.reader("peers", Isolation::Uncommitted)?;
        let mut list = TopicPartitionList::new();
        let topic = settings.topic(INSTANCES);
        let what = || failed("what other instances say cannot be read");
        list.add_partition_offset(&topic, 0, Offset::Beginning).map_err(what())?;
        consumer.assign(&list).map_err(what())?;
        let producer: BaseProducer = make(&settings.producer(), "peers")?;
        let (known, stop) = (Known::default(), Arc::new(AtomicBool::new(false)));
        let mut speaker = Speaker { producer, topic, own: settings.instance.clone(), url, said: None };
        let (heard, stopped) = (known.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut reports = Reports::of("peers");
            while !stopped.load(Ordering::Relaxed) {
                speaker.say(owned());
                listen(&consumer, &heard, &mut reports);
            }
            speaker.leave();
        });
        Ok(Self { own: settings.instance.clone(), known, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Where the instance is that said last that it has a partition; `None` where that is this one, or nobody.
    #[must_use]
    pub fn owner(&self, partition: Partition) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let has = known.iter().filter(|(_, (_, said))| said.partitions.contains(&partition.0));
        let (name, (_, said)) = has.max_by_key(|(_, (offset, _))| *offset)?;
        (*name != self.own).then(|| said.url.clone())
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
    said: Option<(Vec<u32>, Instant)>,
}

impl Speaker {
    fn say(&mut self, partitions: Vec<u32>) {
        self.producer.poll(Duration::ZERO);
        if self.said.as_ref().is_some_and(|(said, at)| *said == partitions && at.elapsed() < AGAIN) {
            return;
        }
        let said = Said { url: self.url.clone(), partitions };
        let bytes = serde_json::to_vec(&said).expect("strings and numbers are JSON");
        match self.producer.send(BaseRecord::to(&self.topic).partition(0).key(&self.own).payload(&bytes)) {
            Ok(()) => self.said = Some((said.partitions, Instant::now())),
            Err((error, _)) => tracing::warn!(%error, "other instances are not told what this one has"),
        }
    }

    fn leave(&self) {
        let last = self.producer.send(BaseRecord::<str, [u8]>::to(&self.topic).partition(0).key(&self.own));
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
                Some(said) => known.insert(name, (message.offset(), said)),
                None => known.remove(&name),
            };
        }
    }
}
