//! Appends records of a source and how far the source is, in one transaction; a second appender of
//! the same source ends the first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer};

use crate::codec::record::{Batches, Record};
use crate::codec::topics::SOURCES;
use crate::domain::units::{AppendTime, Partition};
use crate::log::kafka::librdkafka::producer::{drain, send, send_all};
use crate::log::kafka::read::Topics;
use crate::log::kafka::settings::INPUT_BYTES_MAX;
use crate::log::kafka::{ASK, Cluster, failed};
use crate::log::{Error, Sources, TimeSource};

/// Bytes of a value that is appended; key and headers come on top.
const VALUE_BYTES_MAX: usize = INPUT_BYTES_MAX - (64 << 10);

/// See the module.
pub struct Appender {
    cluster: Arc<Cluster>,
    producer: BaseProducer,
    topics: Topics,
    /// What it committed last. Whoever takes the source over fences this producer, so nothing newer
    /// can stand in the topic.
    written: Mutex<Option<(String, Vec<u8>)>>,
}

impl Appender {
    /// An appender of a source; what an earlier one left open is aborted.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn new(cluster: &Arc<Cluster>, source: &str) -> Result<Self, Error> {
        let settings = &cluster.settings;
        let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, source.as_bytes()).simple();
        let mut config = settings.client();
        config.set("transactional.id", format!("{}-source-{name}", settings.application_id));
        config.set("transaction.timeout.ms", settings.transaction_timeout_ms.to_string());
        config.set("linger.ms", "5").set("compression.type", "lz4");
        let producer: BaseProducer =
            config.create().map_err(failed("the Kafka client of a source cannot be made"))?;
        producer
            .init_transactions(ASK * 3)
            .map_err(failed("the transactions of this source cannot be settled"))?;
        Ok(Self {
            cluster: cluster.clone(),
            producer,
            topics: Topics::new(settings)?,
            written: Mutex::default(),
        })
    }

    fn transact(
        &self,
        batches: &Batches,
        progress: &Record,
    ) -> Result<(), rdkafka::error::KafkaError> {
        self.producer.begin_transaction()?;
        let settings = &self.cluster.settings;
        send_all(settings, &self.producer, batches)?;
        send(&self.producer, (&settings.topic(SOURCES), 0), progress)?;
        let patience =
            Duration::from_millis(u64::from(self.cluster.settings.transaction_timeout_ms));
        drain(&self.producer, Instant::now() + patience)?;
        self.producer.commit_transaction(ASK)
    }
}

impl Sources for Appender {
    fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some((_, state)) = self
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .filter(|(of, _)| of == name)
        {
            return Ok(Some(state.clone()));
        }
        self.topics.newest((SOURCES, Partition(0)), name)
    }

    fn append_from(&self, batches: &Batches, (name, state): (&str, &[u8])) -> Result<(), Error> {
        let progress = Record {
            key: Some(name.into()),
            value: Some(state.to_vec()),
            reason: None,
            appended_ms: self.now().0,
            ingest_run: 0,
            origin: None,
        };
        let longest = batches
            .values()
            .flatten()
            .map(|record| record.value.as_ref().map_or(0, Vec::len))
            .max();
        if let Some(bytes) = longest.filter(|bytes| *bytes > VALUE_BYTES_MAX) {
            return Err(Error::RecordSize { bytes, most: VALUE_BYTES_MAX });
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written = None;
        self.transact(batches, &progress).map_err(failed(
            "the records were not appended, or it is not known: run the same command again",
        ))?;
        *written = Some((name.to_owned(), state.to_vec()));
        Ok(())
    }

    fn partitions(&self) -> u32 {
        self.cluster.partitions
    }

    fn now(&self) -> AppendTime {
        TimeSource::World.now()
    }
}
