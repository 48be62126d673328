//! Fetches the inputs of owned partitions into the hub, from the offsets at which their state stands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::domain::units::{Offset, Partition};
use crate::pipeline::Source;
use crate::runtime::log::Error;
use crate::runtime::log::kafka::hub::{Hub, Place};
use crate::runtime::log::kafka::settings::{Settings, make};
use crate::runtime::log::kafka::{failed, record_of};

/// How long the thread waits for a record before it looks what else it is to do.
const LOOK: Duration = Duration::from_millis(20);

/// A fetching thread; dropping it ends it.
pub struct Fetch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Fetching {
    consumer: BaseConsumer,
    hub: Arc<Hub>,
    topics: [String; 3],
    buffer_records: usize,
    version: u64,
    paused: BTreeSet<Place>,
}

impl Fetch {
    /// Starts. `topics` are those of the inputs in the order of [`Source::ALL`].
    ///
    /// # Errors
    /// When the consumer cannot be made.
    pub fn start(settings: &Settings, hub: &Arc<Hub>, topics: [String; 3]) -> Result<Self, Error> {
        let config = settings.consumer(&format!("{}-fetch-{}", settings.application, settings.instance));
        let consumer = make(&config, "fetch")?;
        let (hub, buffer_records) = (hub.clone(), settings.buffer_records);
        let mut fetching = Fetching { consumer, hub, topics, buffer_records, version: 0, paused: BTreeSet::new() };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = fetching.turn() {
                    return fetching.hub.fail(error.to_string());
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the fetching thread panicked");
        }
    }
}

impl Fetching {
    fn turn(&mut self) -> Result<(), Error> {
        self.assign().map_err(failed("the inputs cannot be fetched"))?;
        self.resume().map_err(failed("fetching cannot be resumed"))?;
        match self.consumer.poll(LOOK) {
            None => Ok(()),
            Some(Ok(message)) => {
                let source = Source::ALL.into_iter().find(|source| self.topics[*source as usize] == message.topic());
                let (Some(source), Ok(partition)) = (source, u32::try_from(message.partition())) else { return Ok(()) };
                let (place, offset) = ((source, Partition(partition)), Offset(u64::try_from(message.offset()).unwrap_or(0)));
                let waiting = self.hub.push(self.version, place, offset, record_of(&message));
                if waiting >= self.buffer_records && source != Source::Definitions && !self.paused.contains(&place) {
                    self.consumer.pause(&self.list([place])).map_err(failed("fetching cannot be paused"))?;
                    self.paused.insert(place);
                }
                Ok(())
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                let why = "an input starts behind its committed offset: retention removed what was not taken yet; move the group's \
                           offset to the start with kafka-consumer-groups --reset-offsets to go on without it";
                Err(Error::Offsets(why.to_owned()))
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the fetching client reports");
                Ok(())
            }
        }
    }

    fn list(&self, places: impl IntoIterator<Item = Place>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (source, partition) in places {
            list.add_partition(&self.topics[source as usize], partition.0.cast_signed());
        }
        list
    }

    /// Fetches what the hub wants now.
    fn assign(&mut self) -> KafkaResult<()> {
        let Some((version, wanted)) = self.hub.wanted(self.version) else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        for ((source, partition), offset) in wanted {
            let offset = KafkaOffset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.topics[source as usize], partition.0.cast_signed(), offset)?;
        }
        self.consumer.assign(&list)?;
        self.paused.clear();
        self.version = version;
        Ok(())
    }

    /// Goes on with buffers that have drained.
    fn resume(&mut self) -> KafkaResult<()> {
        let drained = |place: &Place| self.hub.waiting(place.0, place.1) <= self.buffer_records / 2;
        let drained: Vec<Place> = self.paused.iter().copied().filter(drained).collect();
        if !drained.is_empty() {
            self.consumer.resume(&self.list(drained.iter().copied()))?;
            self.paused.retain(|place| !drained.contains(place));
        }
        Ok(())
    }
}
