//! Apache Kafka as the log: who owns what, what is fetched, the changelog, and one transaction per commit.
//!
//! Three clients with one job each. `group` is a member of the consumer group and learns which partitions are owned; it
//! fetches nothing. `fetch` reads the inputs of owned partitions from explicit offsets. `lane` has the transactional
//! producer of one worker. They meet in the `hub`, under one lock. What they decide does not depend on librdkafka: under them
//! lies `client`, with librdkafka behind it, or a broker that a test simulates.

mod appender;
mod client;
mod fetch;
mod group;
mod hub;
mod lane;
mod librdkafka;
mod read;
mod settings;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use crate::runtime::log::{Error, Origin, Record};

pub use crate::runtime::log::kafka::appender::{Appender, Followed, SOURCES};
pub use crate::runtime::log::kafka::client::{Client, Inputs, Isolation, Polled, Producer, Reads, Refusal, Remedy};
pub use crate::runtime::log::kafka::fetch::{Fetch, Fetching};
pub use crate::runtime::log::kafka::group::Group;
pub use crate::runtime::log::kafka::hub::{Hub, Moves, Place};
pub use crate::runtime::log::kafka::lane::{KafkaReader, Lane};
pub use crate::runtime::log::kafka::librdkafka::{Consumers, Librdkafka, Transactional};
pub use crate::runtime::log::kafka::read::Topics;
pub use crate::runtime::log::kafka::settings::{Settings, masked};
pub use crate::runtime::log::kafka::topics::Wanted;

/// Header with the reason of a record that is no event.
const REASON: &str = "leadstream-reason";
/// Headers with the topic, partition and offset where a dead letter or late record was first.
const ORIGIN: [&str; 3] = ["leadstream-topic", "leadstream-partition", "leadstream-offset"];
/// Header with the number of the ingest run that brought a record.
const SOURCE: &str = "leadstream-source";
/// How long one question to a broker may take.
const ASK: Duration = Duration::from_secs(10);

/// What is known of a cluster once its topics are there.
pub struct Cluster {
    /// How it is reached.
    pub settings: Settings,
    /// Partitions of the inputs and of all that lies beside them.
    pub partitions: u32,
    /// Of this cluster and application.
    pub identity: u64,
}

fn failed(what: impl Into<String>) -> impl FnOnce(KafkaError) -> Error {
    let what = what.into();
    move |cause| Error::Kafka { what, cause: Box::new(cause) }
}

/// A record as it was fetched.
fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let (mut reason, mut source, mut origin) = (None, 0, [None, None, None]);
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        let text = header.value.map(String::from_utf8_lossy);
        match header.key {
            REASON => reason = text.map(|text| text.into_owned()),
            SOURCE => source = text.and_then(|text| text.parse().ok()).unwrap_or(0),
            other => {
                if let Some(place) = ORIGIN.iter().position(|name| *name == other) {
                    origin[place] = text.map(|text| text.into_owned());
                }
            }
        }
    }
    let origin = match origin {
        [Some(topic), Some(partition), Some(offset)] => {
            partition.parse().ok().zip(offset.parse().ok()).map(|(partition, offset)| Origin { topic, partition, offset })
        }
        _ => None,
    };
    Record {
        key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
        value: message.payload().map(<[u8]>::to_vec),
        reason,
        appended_ms: message.timestamp().to_millis().unwrap_or(0),
        source,
        origin,
    }
}

/// The headers of a record, where it has any.
fn headers_of(record: &Record) -> Option<OwnedHeaders> {
    if record.reason.is_none() && record.source == 0 {
        return None;
    }
    let mut headers = OwnedHeaders::new();
    if let Some(reason) = &record.reason {
        headers = headers.insert(Header { key: REASON, value: Some(reason) });
    }
    if let Some(Origin { topic, partition, offset }) = &record.origin {
        let values = [topic.clone(), partition.to_string(), offset.to_string()];
        for (key, value) in ORIGIN.iter().zip(&values) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
    }
    if record.source != 0 {
        headers = headers.insert(Header { key: SOURCE, value: Some(&record.source.to_string()) });
    }
    Some(headers)
}

/// Makes sure of the topics and says what cluster it is.
///
/// # Errors
/// When the cluster cannot be reached, or a topic is not as it has to be.
pub fn open(settings: Settings, topics: &[Wanted]) -> Result<Arc<Cluster>, Error> {
    let partitions = topics::prepare(&settings, topics)?;
    let consumer = settings.reader("leadstream-open", Isolation::Committed)?;
    let id = consumer.client().fetch_cluster_id(ASK).unwrap_or_default();
    let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("{id}/{}", settings.application).as_bytes());
    Ok(Arc::new(Cluster { settings, partitions, identity: name.as_u64_pair().0 }))
}
