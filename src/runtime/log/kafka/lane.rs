//! One worker's way into the log: its reader, and its transactions.
//!
//! A commit begins a transaction, produces everything, waits for all acknowledgements, looks whether every partition is still
//! owned, sends the offsets of all of them with the group's metadata, and ends the transaction. After an answer that leaves
//! open what happened, the producer is not used again: a new one with the same id settles what the old one left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::domain::units::{AppendTime, Offset, Partition};
use crate::pipeline::{Positions, Source};
use crate::runtime::log::kafka::group::Group;
use crate::runtime::log::kafka::hub::Hub;
use crate::runtime::log::kafka::read::Topics;
use crate::runtime::log::kafka::{ASK, Cluster, failed, headers_of};
use crate::runtime::log::{Batches, CommitError, Error, Log, Reader, Record, STATE, TimeSource};

/// Between two looks at what is still on its way.
const LOOK: Duration = Duration::from_micros(200);
/// Attempts of a call that says it may be repeated.
const ATTEMPTS_MAX: u32 = 50;

/// What became of the records of one transaction.
#[derive(Default)]
struct Deliveries {
    /// Next changelog offset by partition.
    changelog: BTreeMap<u32, Offset>,
    failure: Option<String>,
}

#[derive(Default)]
struct Context {
    deliveries: Mutex<Deliveries>,
}

impl Context {
    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) if message.topic() == STATE => {
                let next = Offset(u64::try_from(message.offset() + 1).unwrap_or(0));
                let partition = u32::try_from(message.partition()).unwrap_or(0);
                let mut deliveries = self.deliveries();
                let known = deliveries.changelog.entry(partition).or_default();
                *known = next.max(*known);
            }
            Ok(_) => {}
            Err((error, message)) => {
                self.deliveries().failure.get_or_insert_with(|| format!("{}: {error}", message.topic()));
            }
        }
    }
}

type Transactional = BaseProducer<Context>;

/// See the module.
pub struct Lane {
    cluster: Arc<Cluster>,
    hub: Arc<Hub>,
    group: Arc<Group>,
    changelog: Arc<Topics>,
    topics: [&'static str; 3],
    /// Ends what is open with each new producer.
    producer: Mutex<Option<Transactional>>,
    /// For what is appended outside commits.
    appender: BaseProducer,
}

/// What a lane reads.
pub struct KafkaReader {
    hub: Arc<Hub>,
    group: Arc<Group>,
    changelog: Arc<Topics>,
    topics: [&'static str; 3],
}

impl Lane {
    /// A lane of a cluster. `topics` are those of the inputs in the order of [`Source::ALL`].
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(cluster: &Arc<Cluster>, hub: &Arc<Hub>, group: &Arc<Group>, topics: [&'static str; 3]) -> Result<Self, Error> {
        let mut config = cluster.settings.client();
        config.set("enable.idempotence", "true").set("linger.ms", "1");
        let appender = config.create().map_err(failed("the Kafka client that appends cannot be made"))?;
        Ok(Self {
            cluster: cluster.clone(),
            hub: hub.clone(),
            group: group.clone(),
            changelog: Arc::new(Topics::new(&cluster.settings)?),
            topics,
            producer: Mutex::new(None),
            appender,
        })
    }

    fn producer(&self) -> MutexGuard<'_, Option<Transactional>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new producer under the same id: what the one before left open is aborted or committed by it.
    fn renew(&self) -> Result<Transactional, Error> {
        let settings = &self.cluster.settings;
        let mut config = settings.client();
        config.set("transactional.id", format!("{}-{}", settings.application, settings.instance));
        config.set("transaction.timeout.ms", settings.transaction_timeout_ms.to_string());
        config.set("message.timeout.ms", settings.transaction_timeout_ms.to_string());
        config.set("linger.ms", "1").set("compression.type", "lz4");
        config.set("queue.buffering.max.messages", "1000000");
        let producer: Transactional =
            config.create_with_context(Context::default()).map_err(failed("the transactional Kafka client cannot be made"))?;
        let what = || failed("the transactions of this instance cannot be settled");
        for _ in 0..ATTEMPTS_MAX {
            match producer.init_transactions(ASK) {
                Ok(()) => return Ok(producer),
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    tracing::warn!(%error, "waiting for the transaction coordinator");
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(what()(error)),
            }
        }
        Err(what()(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)))
    }

    fn transact(&self, producer: &Transactional, batches: &Batches, positions: &BTreeMap<u32, Positions>) -> Result<(), KafkaFailure> {
        *producer.context().deliveries() = Deliveries::default();
        producer.begin_transaction()?;
        send_all(producer, batches)?;
        let until = Instant::now() + Duration::from_millis(u64::from(self.cluster.settings.transaction_timeout_ms));
        drain(producer, until)?;
        if let Some(failure) = producer.context().deliveries().failure.take() {
            return Err(KafkaFailure::Abort(failure));
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, positions) in positions {
            let next = positions.next[Source::Interactions as usize];
            let offset = KafkaOffset::Offset(i64::try_from(next.0).unwrap_or(i64::MAX));
            offsets.add_partition_offset(self.topics[0], partition.cast_signed(), offset)?;
        }
        let owned = self.hub.if_owned(positions.keys().map(|partition| Partition(*partition)), || self.group.metadata());
        let metadata = match owned {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Err(KafkaFailure::Abort("this instance is in no group".to_owned())),
            Err(partition) => return Err(KafkaFailure::Abort(format!("partition {} has left meanwhile", partition.0))),
        };
        again(|| producer.send_offsets_to_transaction(&offsets, &metadata, ASK))?;
        again(|| producer.commit_transaction(ASK))?;
        Ok(())
    }
}

/// What to do about a transaction that did not go through.
enum KafkaFailure {
    Abort(String),
    Unknown(String),
}

impl From<KafkaError> for KafkaFailure {
    fn from(error: KafkaError) -> Self {
        match &error {
            KafkaError::Transaction(inner) if inner.txn_requires_abort() && !inner.is_fatal() => Self::Abort(error.to_string()),
            _ => Self::Unknown(error.to_string()),
        }
    }
}

/// Repeats a call that may be repeated.
fn again(call: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let mut outcome = call();
    for _ in 0..ATTEMPTS_MAX {
        match &outcome {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && !error.txn_requires_abort() => outcome = call(),
            _ => break,
        }
    }
    outcome
}

pub(crate) fn send_all<C: ProducerContext<DeliveryOpaque = ()>>(producer: &BaseProducer<C>, batches: &Batches) -> Result<(), KafkaError> {
    batches
        .iter()
        .try_for_each(|((topic, partition), records)| records.iter().try_for_each(|record| send(producer, (topic, *partition), record)))
}

pub(crate) fn send<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    (topic, partition): (&str, u32),
    record: &Record,
) -> Result<(), KafkaError> {
    let mut made = BaseRecord::<[u8], [u8]>::to(topic).partition(partition.cast_signed()).timestamp(record.appended_ms);
    made.key = record.key.as_deref().map(str::as_bytes);
    made.payload = record.value.as_deref();
    made.headers = headers_of(record);
    loop {
        match producer.send(made) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                made = back;
                producer.poll(LOOK);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Waits until everything sent is acknowledged. `commit_transaction` would do so too, in slices of 100 ms.
pub(crate) fn drain<C: ProducerContext<DeliveryOpaque = ()>>(producer: &BaseProducer<C>, until: Instant) -> Result<(), KafkaError> {
    loop {
        producer.poll(Duration::ZERO);
        if producer.in_flight_count() == 0 {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
        }
        std::thread::sleep(LOOK);
    }
}

impl Log for Lane {
    type Reader = KafkaReader;
    const POSITIONS_ARE_ROWS: bool = true;

    fn reader(&self) -> Result<KafkaReader, Error> {
        self.changelog.quiet();
        self.appender.poll(Duration::ZERO);
        let (hub, group, changelog) = (self.hub.clone(), self.group.clone(), self.changelog.clone());
        Ok(KafkaReader { hub, group, changelog, topics: self.topics })
    }

    fn put(&self, batches: &Batches) -> Result<(), Error> {
        let what = || failed("records cannot be appended");
        send_all(&self.appender, batches).map_err(what())?;
        drain(&self.appender, Instant::now() + ASK).map_err(what())
    }

    fn commit(&self, batches: &Batches, positions: &BTreeMap<u32, Positions>) -> Result<BTreeMap<u32, Offset>, CommitError> {
        let mut place = self.producer();
        let producer = match place.take() {
            Some(producer) => producer,
            None => self.renew()?,
        };
        match self.transact(&producer, batches, positions) {
            Ok(()) => {
                self.hub.committed(positions);
                let ends = std::mem::take(&mut producer.context().deliveries().changelog);
                *place = Some(producer);
                Ok(ends)
            }
            Err(KafkaFailure::Abort(why)) => match again(|| producer.abort_transaction(ASK)) {
                Ok(()) => {
                    *place = Some(producer);
                    Err(CommitError::Aborted(why))
                }
                Err(error) => Err(CommitError::InDoubt(format!("{why}; and it cannot be aborted: {error}"))),
            },
            Err(KafkaFailure::Unknown(why)) => Err(CommitError::InDoubt(why)),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        *self.producer() = None;
        let renewed = self.renew()?;
        *self.producer() = Some(renewed);
        Ok(())
    }

    fn identity(&self) -> u64 {
        self.cluster.identity
    }

    fn partitions(&self) -> u32 {
        self.cluster.partitions
    }

    fn now(&self) -> AppendTime {
        TimeSource::World.now()
    }
}

impl KafkaReader {
    fn source(&self, topic: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| self.topics[*source as usize] == topic)
    }
}

impl Reader for KafkaReader {
    fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        self.changelog.start(topic, partition)
    }

    /// Of an input: behind what was fetched; markers of transactions at its end are never fetched.
    fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        match self.source(topic) {
            Some(source) => Ok(self.hub.end(source, partition)),
            None => self.changelog.end(topic, partition),
        }
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset) -> Result<Vec<(Offset, Record)>, Error> {
        Ok(self.source(topic).map_or_else(Vec::new, |source| self.hub.read(source, partition, from)))
    }

    fn positions(&self, partition: Partition, row: Option<Positions>) -> Result<Positions, Error> {
        let committed = self.group.offset(partition)?;
        let mut positions = row.unwrap_or_default();
        let start = self.changelog.start(self.topics[0], partition)?;
        let next = match (committed, row) {
            (Some(next), _) => next,
            (None, None) => start,
            (None, Some(row)) => {
                return Err(Error::Offsets(format!(
                    "the group has no committed offset of {topic} partition {partition} although its changelog is not empty: the \
                     offset expired or the group was deleted. Nothing is taken until it is set again: kafka-consumer-groups --group \
                     GROUP --topic {topic}:{partition} --reset-offsets --to-offset {next} --execute",
                    topic = self.topics[0],
                    partition = partition.0,
                    next = row.next[0].0,
                )));
            }
        };
        if next < start {
            return Err(Error::Offsets(format!(
                "{} partition {} begins at offset {}, but was taken only up to {}: retention removed what was not taken yet. To go on \
                 without it, move the group's offset with kafka-consumer-groups --reset-offsets --to-earliest",
                self.topics[0], partition.0, start.0, next.0
            )));
        }
        positions.next[Source::Interactions as usize] = next;
        Ok(positions)
    }

    fn each<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        range: (Offset, Offset),
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        self.changelog.each((topic, partition), range, each)
    }
}
