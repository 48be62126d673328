//! Producers over librdkafka: transactional ones of workers, and plain ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::codec::record::{Batches, Record};
use crate::domain::units::Offset;
use crate::log::kafka::client::{Producer, TransactionError, TransactionErrorKind};
use crate::log::kafka::group::Group;
use crate::log::kafka::librdkafka::{ASKS, CONNECTS, GONE, LOOK, offset_of};
use crate::log::kafka::settings::{Guarantee, Settings};
use crate::log::kafka::{ASK, headers_of};

/// What became of the records of one transaction.
#[derive(Default)]
pub(crate) struct Deliveries {
    /// Next changelog offset by partition.
    changelog: BTreeMap<u32, Offset>,
    failure: Option<KafkaError>,
}

pub(crate) struct Context {
    /// Name of the changelog.
    pub(crate) state: String,
    pub(crate) deliveries: Mutex<Deliveries>,
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
            Ok(message) if message.topic() == self.state => {
                let next = offset_of(message.offset() + 1);
                let partition = u32::try_from(message.partition()).unwrap_or(0);
                let mut deliveries = self.deliveries();
                let known = deliveries.changelog.entry(partition).or_default();
                *known = next.max(*known);
            }
            Ok(_) => {}
            Err((error, message)) => {
                tracing::warn!(topic = message.topic(), %error, "a record was not taken");
                self.deliveries().failure.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// A transactional producer; one without transactions where only at-least-once is promised.
pub struct Transactional {
    pub(crate) settings: Settings,
    pub(crate) group: Arc<Group>,
    pub(crate) producer: BaseProducer<Context>,
    /// Topics of the batch in hand.
    pub(crate) sent: Mutex<BTreeSet<&'static str>>,
}

impl Transactional {
    fn is_exact(&self) -> bool {
        self.settings.guarantee == Guarantee::ExactlyOnce
    }

    /// Asks for what an earlier producer left open to be settled, which [`Producer::init`] waits
    /// for. A coordinator that has to abort something first is asked again only half a second
    /// later: an instance that starts opens its state meanwhile.
    pub(crate) fn ask(&self) {
        if let Err(error) = self.init_within(ASKS) {
            tracing::debug!(error = %error.cause, "transactions of an earlier process are being \
                settled");
        }
    }

    fn init_within(&self, wait: Duration) -> Result<(), TransactionError> {
        if self.is_exact() { Ok(self.producer.init_transactions(wait)?) } else { Ok(()) }
    }

    /// Waits for a first connection: without one librdkafka looks for the coordinator again only
    /// half a second later.
    pub(crate) fn connect(&self) {
        if self.is_exact()
            && let Err(error) = self
                .producer
                .client()
                .fetch_metadata(Some(&self.producer.context().state), CONNECTS)
        {
            tracing::debug!(%error, "transactions are asked for before there is a connection");
        }
    }

    /// Says which topics of the batch are gone: librdkafka waits for them in silence.
    fn look(&self) {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in sent.iter().map(|topic| self.settings.topic(topic)) {
            // Brokers that are away say nothing of topics.
            let Ok(reported) = self.producer.client().fetch_metadata(Some(&topic), GONE) else {
                return;
            };
            if reported.topics().iter().all(|topic| topic.partitions().is_empty()) {
                tracing::error!(
                    topic,
                    "the topic is gone: nothing is committed until it is there again; a command of \
                        leadstream makes it, or see what \
                     `leadstream doctor` says"
                );
            }
        }
    }
}

impl From<KafkaError> for TransactionError {
    fn from(cause: KafkaError) -> Self {
        let kind = match &cause {
            KafkaError::Transaction(error) if error.txn_requires_abort() && !error.is_fatal() => {
                TransactionErrorKind::Abort
            }
            KafkaError::Transaction(error)
                if error.is_retriable() && !error.txn_requires_abort() =>
            {
                TransactionErrorKind::Retriable
            }
            _ => TransactionErrorKind::Fatal,
        };
        Self { kind, cause }
    }
}

impl Producer for Transactional {
    type Member = ConsumerGroupMetadata;

    fn init(&self) -> Result<(), TransactionError> {
        self.init_within(ASK)
    }

    fn begin(&self) -> Result<(), TransactionError> {
        *self.producer.context().deliveries() = Deliveries::default();
        if self.is_exact() { Ok(self.producer.begin_transaction()?) } else { Ok(()) }
    }

    fn send(&self, batches: &Batches) -> Result<(), TransactionError> {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) =
            batches.keys().map(|(topic, _)| *topic).collect();
        send_all(&self.settings, &self.producer, batches).inspect_err(|_| self.look())?;
        Ok(())
    }

    fn drain(&self, patience: Duration) -> Result<BTreeMap<u32, Offset>, TransactionError> {
        drain(&self.producer, Instant::now() + patience).inspect_err(|_| self.look())?;
        let Deliveries { changelog, failure } =
            std::mem::take(&mut *self.producer.context().deliveries());
        match failure {
            Some(cause) => {
                self.look();
                Err(TransactionError { kind: TransactionErrorKind::Abort, cause })
            }
            None => Ok(changelog),
        }
    }

    fn offsets(
        &self,
        topic: &str,
        next: &BTreeMap<u32, Offset>,
        member: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        let topic = self.settings.topic(topic);
        let mut list = TopicPartitionList::new();
        for (partition, offset) in next {
            list.add_partition_offset(&topic, partition.cast_signed(), kafka_offset(*offset))?;
        }
        if !self.is_exact() {
            return Ok(self.group.commit(&list)?);
        }
        Ok(self.producer.send_offsets_to_transaction(&list, member, ASK)?)
    }

    fn commit(&self) -> Result<(), TransactionError> {
        if self.is_exact() { Ok(self.producer.commit_transaction(ASK)?) } else { Ok(()) }
    }

    fn abort(&self) -> Result<(), TransactionError> {
        if self.is_exact() { Ok(self.producer.abort_transaction(ASK)?) } else { Ok(()) }
    }
}

pub(crate) fn kafka_offset(offset: Offset) -> KafkaOffset {
    KafkaOffset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX))
}

pub(crate) fn send_all<C: ProducerContext<DeliveryOpaque = ()>>(
    settings: &Settings,
    producer: &BaseProducer<C>,
    batches: &Batches,
) -> Result<(), KafkaError> {
    batches.iter().try_for_each(|((topic, partition), records)| {
        let topic = settings.topic(topic);
        records.iter().try_for_each(|record| send(producer, (&topic, *partition), record))
    })
}

pub(crate) fn send<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    (topic, partition): (&str, u32),
    record: &Record,
) -> Result<(), KafkaError> {
    let mut created = BaseRecord::<[u8], [u8]>::to(topic)
        .partition(partition.cast_signed())
        .timestamp(record.appended_ms);
    created.key = record.key.as_deref();
    created.payload = record.value.as_deref();
    created.headers = headers_of(record);
    loop {
        match producer.send(created) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                created = back;
                producer.poll(LOOK);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Waits until everything sent is acknowledged. `commit_transaction` would do so too, in slices of
/// 100 ms.
pub(crate) fn drain<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    until: Instant,
) -> Result<(), KafkaError> {
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
