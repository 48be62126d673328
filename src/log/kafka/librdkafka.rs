//! Kafka through librdkafka.

pub(crate) mod producer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::BaseProducer;
use rdkafka::{Statistics, TopicPartitionList};

use crate::codec::record::{Batches, Record};
use crate::codec::topics::STATE;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::kafka::assignment::{Ahead, InputPartition, PartitionAssignment};
use crate::log::kafka::client::{Client, Inputs, Polled, Reads};
use crate::log::kafka::group::Group;
use crate::log::kafka::librdkafka::producer::{
    Context, Transactional, drain, kafka_offset, send_all,
};
use crate::log::kafka::settings::{Guarantee, Isolation, Settings};
use crate::log::kafka::{ASK, Reports, failed, record_of};
use crate::log::{Error, TimeSource};
use crate::pipeline::InputTopic;

/// How long a client waits for its first connection where it would go on without, only more slowly.
const CONNECTS: Duration = Duration::from_secs(1);
/// How long a question is waited for whose answer is needed later.
const ASKS: Duration = Duration::from_millis(1);
/// Between two looks at what is still on its way.
const LOOK: Duration = Duration::from_micros(200);
/// How long one poll waits for a record of an input.
const POLL: Duration = Duration::from_millis(20);
/// How long a broker may take to say whether a topic is gone.
const GONE: Duration = Duration::from_secs(1);
/// Milliseconds between two looks at how much is not fetched yet.
const BEHIND_MS: &str = "1000";
/// How long one poll waits for a record outside the group.
const READ: Duration = Duration::from_millis(100);

/// Two consumers outside the group: one that sees what is committed, one that sees everything.
pub struct Consumers {
    settings: Settings,
    committed: BaseConsumer,
    everything: BaseConsumer,
    since: Instant,
}

impl Consumers {
    /// Makes both.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let [committed, everything] =
            [("restore", Isolation::Committed), ("ends", Isolation::Uncommitted)];
        Ok(Self {
            settings: settings.clone(),
            committed: settings.reader(committed.0, committed.1)?,
            everything: settings.reader(everything.0, everything.1)?,
            since: Instant::now(),
        })
    }
}

impl Reads for Consumers {
    fn watermarks(
        &self,
        (topic, partition): (&str, Partition),
        isolation: Isolation,
    ) -> Result<(Offset, Offset), Error> {
        let consumer = match isolation {
            Isolation::Committed => &self.committed,
            Isolation::Uncommitted => &self.everything,
        };
        let topic = self.settings.topic(topic);
        let found = consumer.fetch_watermarks(&topic, partition.0.cast_signed(), ASK);
        let (low, high) = found.map_err(failed(format!("cannot read the offsets of {topic}")))?;
        Ok((offset_of(low), offset_of(high)))
    }

    fn go_to(&self, (topic, partition): (&str, Partition), from: Offset) -> Result<(), Error> {
        let topic = self.settings.topic(topic);
        let what = || failed(format!("{topic} partition {} cannot be read", partition.0));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition.0.cast_signed(), kafka_offset(from))
            .map_err(what())?;
        self.committed.assign(&list).map_err(what())
    }

    fn poll(&self, (topic, partition): (&str, Partition)) -> Result<Polled, Error> {
        match self.committed.poll(READ) {
            Some(Ok(message)) => {
                Ok(Polled::Record(offset_of(message.offset()), record_of(&message)))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Polled::End),
            Some(Err(
                error @ KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset),
            )) => Err(failed(format!("{topic} partition {} does not begin there", partition.0))(
                error,
            )),
            Some(Err(error)) => {
                tracing::debug!(%error, "the restoring client reports");
                Ok(Polled::Nothing)
            }
            None => Ok(Polled::Nothing),
        }
    }

    fn leave(&self) -> Result<(), Error> {
        self.committed.unassign().map_err(failed("the restoring client cannot be stopped"))
    }

    fn time(&self) -> Duration {
        self.since.elapsed()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn quiet(&self) {
        while self.committed.poll(Duration::ZERO).is_some()
            || self.everything.poll(Duration::ZERO).is_some()
        {}
    }
}

/// Hears how many records of the interactions are not fetched yet.
struct Behind {
    assignment: Arc<PartitionAssignment>,
    topic: String,
}

impl ClientContext for Behind {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.get(&self.topic).map(|topic| &topic.partitions);
        for (partition, found) in partitions.into_iter().flatten() {
            let Ok(partition) = u32::try_from(*partition) else { continue };
            let ahead = Ahead {
                next: offset_of(found.next_offset),
                stable: offset_of(found.ls_offset),
                high: offset_of(found.hi_offset),
                queued: offset_of(found.fetchq_cnt).0,
            };
            self.assignment.ahead(Partition(partition), ahead);
        }
    }
}

impl ConsumerContext for Behind {}

/// The consumer of the inputs.
pub(crate) struct InputConsumer {
    consumer: BaseConsumer<Behind>,
    topics: [String; 3],
    reports: Reports,
}

impl InputConsumer {
    /// `topics` are those of the inputs in the order of [`InputTopic::ALL`].
    pub(crate) fn new(
        settings: &Settings,
        assignment: &Arc<PartitionAssignment>,
        topics: [&str; 3],
    ) -> Result<Self, Error> {
        let topics = topics.map(|topic| settings.topic(topic));
        let mut config =
            settings.consumer(&format!("{}-fetch-{}", settings.application_id, settings.instance));
        config.set("statistics.interval.ms", BEHIND_MS);
        let consumer = config.create_with_context(Behind {
            assignment: assignment.clone(),
            topic: topics[0].clone(),
        });
        let consumer = consumer.map_err(failed("the Kafka client that fetches cannot be made"))?;
        Ok(Self { consumer, topics, reports: Reports::of("fetch") })
    }

    /// Asks which brokers have the inputs, before any is read: of a topic that it does not know
    /// librdkafka asks by itself only within a second.
    pub(crate) fn find_brokers(&self) {
        let asked = self
            .topics
            .iter()
            .try_for_each(|topic| self.consumer.fetch_metadata(Some(topic), CONNECTS).map(drop));
        if let Err(error) = asked {
            tracing::debug!(%error, "the brokers of the inputs are looked for when these are read");
        }
    }

    fn list(&self, places: &[InputPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (source, partition) in places {
            list.add_partition(&self.topics[*source as usize], partition.0.cast_signed());
        }
        list
    }
}

impl Inputs for InputConsumer {
    fn add(&mut self, places: &[(InputPartition, Offset)]) -> Result<(), Error> {
        let what = || failed("the inputs cannot be fetched");
        let mut list = TopicPartitionList::new();
        for ((source, partition), offset) in places {
            let topic = &self.topics[*source as usize];
            list.add_partition_offset(topic, partition.0.cast_signed(), kafka_offset(*offset))
                .map_err(what())?;
        }
        self.consumer.incremental_assign(&list).map_err(what())
    }

    fn remove(&mut self, places: &[InputPartition]) -> Result<(), Error> {
        self.consumer
            .incremental_unassign(&self.list(places))
            .map_err(failed("fetching cannot be ended"))
    }

    fn poll(&mut self) -> Result<Option<(InputPartition, Offset, Record)>, Error> {
        match self.consumer.poll(POLL) {
            None => Ok(None),
            Some(Ok(message)) => {
                let source = InputTopic::ALL
                    .into_iter()
                    .find(|source| self.topics[*source as usize] == message.topic());
                let (Some(source), Ok(partition)) = (source, u32::try_from(message.partition()))
                else {
                    return Ok(None);
                };
                Ok(Some((
                    (source, Partition(partition)),
                    offset_of(message.offset()),
                    record_of(&message),
                )))
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                let why = "an input starts behind its committed offset: start this instance again. \
                    If it stood still while others went \
                           on, nothing is lost; if retention removed what nobody took, its next \
                           start names the command that goes on \
                           without it";
                Err(Error::Offsets(why.to_owned()))
            }
            Some(Err(error)) => {
                self.reports.take(error);
                Ok(None)
            }
        }
    }

    fn pause(&mut self, place: InputPartition) -> Result<(), Error> {
        self.consumer.pause(&self.list(&[place])).map_err(failed("fetching cannot be paused"))
    }

    fn resume(&mut self, places: &[InputPartition]) -> Result<(), Error> {
        self.consumer.resume(&self.list(places)).map_err(failed("fetching cannot be resumed"))
    }
}

/// Kafka as one member of the group reaches it.
pub struct Librdkafka {
    settings: Settings,
    group: Arc<Group>,
    /// Number of the worker, which is part of its transactional ids.
    worker: u32,
    /// For what is appended outside transactions.
    appender: BaseProducer,
}

impl Librdkafka {
    /// For a member.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(settings: &Settings, group: &Arc<Group>, worker: u32) -> Result<Self, Error> {
        let mut config = settings.client();
        config.set("enable.idempotence", "true").set("linger.ms", "1");
        let appender =
            config.create().map_err(failed("the Kafka client that appends cannot be made"))?;
        Ok(Self { settings: settings.clone(), group: group.clone(), worker, appender })
    }
}

impl Client for Librdkafka {
    type Member = ConsumerGroupMetadata;
    type Producer = Transactional;
    type Reads = Consumers;

    fn producer(&self, turn: usize) -> Result<Transactional, Error> {
        let settings = &self.settings;
        let config = match settings.guarantee {
            Guarantee::ExactlyOnce => {
                settings.transactional(&format!("{}-{}-{turn}", settings.instance, self.worker))
            }
            Guarantee::AtLeastOnce => settings.producer(),
        };
        let context = Context { state: settings.topic(STATE), deliveries: Mutex::default() };
        let producer = config
            .create_with_context(context)
            .map_err(failed("the transactional Kafka client cannot be made"))?;
        let created = Transactional {
            settings: settings.clone(),
            group: self.group.clone(),
            producer,
            sent: Mutex::default(),
        };
        created.connect();
        Ok(created)
    }

    fn append(&self, batches: &Batches) -> Result<(), Error> {
        let what = || failed("records cannot be appended");
        send_all(&self.settings, &self.appender, batches).map_err(what())?;
        drain(&self.appender, Instant::now() + ASK).map_err(what())
    }

    fn committed(&self, partition: Partition) -> Result<Option<Offset>, Error> {
        self.group.offset(partition)
    }

    fn member(&self) -> Option<ConsumerGroupMetadata> {
        self.group.metadata()
    }

    fn now(&self) -> AppendTime {
        TimeSource::World.now()
    }

    fn quiet(&self) {
        self.appender.poll(Duration::ZERO);
    }
}

/// An offset that librdkafka gives; none is negative where one is known.
fn offset_of(offset: i64) -> Offset {
    Offset(u64::try_from(offset).unwrap_or(0))
}
