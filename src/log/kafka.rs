//! Apache Kafka as the log: who owns what, what is fetched, the changelog, and one transaction per
//! commit.
//!
//! Three clients with one job each. `group` is a member of the consumer group and learns which
//! partitions are owned; it fetches nothing. `fetch` reads the inputs of owned partitions from
//! explicit offsets. `transactional` has the transactional producer of one worker. They meet in the
//! `assignment`, under one lock. What they decide does not depend on librdkafka: under them lies
//! `client`, with librdkafka behind it, or a broker that a test simulates.

pub(crate) mod settings;
mod assignment;
mod client;
mod connect;
mod group;
mod librdkafka;
mod fetch;
mod read;
mod appender;
mod transactions;
mod probe;
mod topics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use crate::codec::avro;
use crate::codec::record::{Origin, Record};
use crate::codec::topics::Topic;
use crate::log::Error;

pub use crate::log::kafka::appender::Appender;
pub use crate::log::kafka::assignment::{
    InputPartition, PartitionAssignment, Rebalance, Stall, StallKind, WorkerSlot,
};
pub use crate::log::kafka::client::{
    Client, Inputs, Polled, Producer, Reads, TransactionError, TransactionErrorKind,
};
pub use crate::log::kafka::fetch::{Fetch, Fetching};
pub use crate::log::kafka::group::Group;
pub use crate::log::kafka::librdkafka::producer::Transactional;
pub(crate) use crate::log::kafka::librdkafka::producer::{drain, send};
pub use crate::log::kafka::librdkafka::{Consumers, Librdkafka};
pub use crate::log::kafka::probe::{ClusterProbe, GroupOffsets, connect, release};
pub use crate::log::kafka::read::{Tail, Topics};
pub use crate::log::kafka::settings::{Guarantee, Isolation, Settings, masked};
pub use crate::log::kafka::topics::{Strictness, TopicCheck, look, remove};
pub use crate::log::kafka::transactions::{KafkaReader, TransactionalLog};

/// What headers say of a record, in this order: why it is no event, in one word; what there is to
/// say about that; where a dead letter, a late record or one that was appended again stood before;
/// how often it had been appended again; when the log had taken it there, milliseconds since 1970;
/// the run of `ingest` or `dlq redrive` that brought it.
const HEADERS: [&str; 8] = [
    "leadstream-reason",
    "leadstream-error",
    "leadstream-topic",
    "leadstream-partition",
    "leadstream-offset",
    "leadstream-attempt",
    "leadstream-timestamp",
    "leadstream-ingest-run",
];
/// Header with the schema that the value of a dead letter or late record names; for people, the
/// value has it too.
const SCHEMA: &str = "leadstream-schema";
/// How long one question to a broker may take.
const ASK: Duration = Duration::from_secs(10);
/// How long a report of a client is not repeated.
const REPEATED: Duration = Duration::from_secs(10);

/// What is known of a cluster once its topics are there.
pub struct Cluster {
    /// How it is reached.
    pub settings: Settings,
    /// Partitions of the inputs and of all that lies beside them.
    pub partitions: u32,
    /// Of this cluster and application.
    pub identity: u64,
}

/// What a client reports again and again is logged once in a while.
pub(crate) struct Reports {
    client: &'static str,
    last: Option<(KafkaError, Instant)>,
}

impl Reports {
    pub(crate) fn of(client: &'static str) -> Self {
        Self { client, last: None }
    }

    pub(crate) fn take(&mut self, error: KafkaError) {
        if !self.last.as_ref().is_some_and(|(last, at)| *last == error && at.elapsed() < REPEATED) {
            tracing::warn!(client = self.client, %error, "the client reports");
            self.last = Some((error, Instant::now()));
        }
    }
}

pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(KafkaError) -> Error {
    let what = what.into();
    move |cause| Error::Kafka { what, cause: Box::new(cause) }
}

/// A record as it was fetched.
fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let mut values = [const { None }; HEADERS.len()];
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        if let Some(place) = HEADERS.iter().position(|name| *name == header.key) {
            values[place] = header.value.map(|value| String::from_utf8_lossy(value).into_owned());
        }
    }
    let [reason, error, topic, partition, offset, attempt, timestamp, ingest_run] = values;
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    let small = |text| number(text).and_then(|number| u32::try_from(number).ok());
    let place = topic.zip(small(partition)).zip(number(offset));
    let attempt = small(attempt).unwrap_or(0);
    let origin =
        place.map(|((topic, partition), offset)| Origin { topic, partition, offset, attempt });
    // Only of what was kept: an input is as old as the log says.
    let kept_ms = timestamp
        .filter(|_| reason.is_some() && origin.is_some())
        .and_then(|text| text.parse().ok());
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        reason: reason.map(|reason| {
            error.map_or_else(|| reason.clone(), |error| format!("{reason}: {error}"))
        }),
        appended_ms: kept_ms.or(message.timestamp().to_millis()).unwrap_or(0),
        ingest_run: small(ingest_run).unwrap_or(0),
        origin,
    }
}

/// The headers of a record, where it has any.
fn headers_of(record: &Record) -> Option<OwnedHeaders> {
    let Record { reason, origin, ingest_run, .. } = record;
    if reason.is_none() && origin.is_none() && *ingest_run == 0 {
        return None;
    }
    let (word, error) =
        reason.as_deref().map_or((None, None), |reason| match reason.split_once(": ") {
            Some((word, error)) => (Some(word.to_owned()), Some(error.to_owned())),
            None => (Some(reason.to_owned()), None),
        });
    let of_origin = |part: &dyn Fn(&Origin) -> String| origin.as_ref().map(part);
    let was_kept = reason.is_some() && origin.is_some();
    let values = [
        word,
        error,
        of_origin(&|origin| origin.topic.clone()),
        of_origin(&|origin| origin.partition.to_string()),
        of_origin(&|origin| origin.offset.to_string()),
        of_origin(&|origin| origin.attempt.to_string()),
        was_kept.then(|| record.appended_ms.to_string()),
        (*ingest_run != 0).then(|| ingest_run.to_string()),
    ];
    let schema = record.value.as_deref().filter(|_| was_kept).and_then(avro::named_schema);
    let all = HEADERS.into_iter().zip(values).chain([(SCHEMA, schema)]);
    Some(all.fold(OwnedHeaders::new(), |headers, (key, value)| match &value {
        Some(value) => headers.insert(Header { key, value: Some(value) }),
        None => headers,
    }))
}

/// Makes sure of the topics and says what cluster it is.
///
/// # Errors
/// When the cluster cannot be reached, or a topic is not as it has to be.
pub fn open(settings: Settings, topics: &[Topic]) -> Result<Arc<Cluster>, Error> {
    open_for(settings, topics, Strictness::Processing)
}

/// As [`open`], for an instance or for a command.
///
/// # Errors
/// As [`open`].
pub fn open_for(
    settings: Settings,
    topics: &[Topic],
    strictness: Strictness,
) -> Result<Arc<Cluster>, Error> {
    let wait = Duration::from_millis(u64::from(settings.connect_timeout_ms));
    let (partitions, cluster) = topics::prepare(&settings, topics, wait, strictness)?;
    let id = cluster.unwrap_or_default();
    let name = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        format!("{id}/{}", settings.application_id).as_bytes(),
    );
    Ok(Arc::new(Cluster { settings, partitions, identity: name.as_u64_pair().0 }))
}
