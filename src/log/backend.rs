//! The log that an instance works on, for whatever reads or appends beside its workers.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::record::Record;
use crate::codec::topics::SOURCES;
use crate::domain::units::{Offset, Partition};
use crate::log::kafka::{Appender, Cluster, Topics};
use crate::log::{Embedded, Error, Reader, Snapshot, Sources, Writes};

/// On Kafka nobody tells of new records: between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// The log of an instance.
#[derive(Clone)]
pub enum Backend {
    /// In the data directory.
    Embedded(Arc<Embedded>),
    /// On Kafka.
    Kafka(Arc<Cluster>),
}

impl Backend {
    /// Number of partitions of the interactions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        match self {
            Self::Embedded(log) => log.partitions(),
            Self::Kafka(cluster) => cluster.partitions,
        }
    }

    /// What is committed now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn committed(&self) -> Result<Committed, Error> {
        Ok(match self {
            Self::Embedded(log) => Committed::Embedded(log.snapshot()?),
            Self::Kafka(cluster) => Committed::Kafka(Topics::new(&cluster.settings)?),
        })
    }

    /// Where records of a source are appended. On Kafka this ends every other appender of the same
    /// source, in whichever process.
    ///
    /// # Errors
    /// When the log cannot be reached.
    pub fn appender(&self, source: &str) -> Result<Box<dyn Sources + Send>, Error> {
        Ok(match self {
            Self::Embedded(log) => Box::new(log.clone()),
            Self::Kafka(cluster) => Box::new(Appender::new(cluster, source)?),
        })
    }

    /// A mark to wait from.
    #[must_use]
    pub fn writes(&self) -> Writes {
        match self {
            Self::Embedded(log) => log.writes(),
            Self::Kafka(_) => Writes::default(),
        }
    }

    /// Waits until something was written since the mark, or for `wait`; on Kafka for a moment.
    pub fn await_write(&self, since: Writes, wait: Duration) {
        match self {
            Self::Embedded(log) => log.await_write(wait, |now| now != since),
            Self::Kafka(_) => std::thread::sleep(LOOK.min(wait)),
        }
    }
}

/// Committed records: on the embedded log as they were when this was made, on Kafka as they are
/// when they are asked for.
pub enum Committed {
    /// Of the embedded log.
    Embedded(Snapshot),
    /// Of Kafka.
    Kafka(Topics),
}

impl Committed {
    /// Goes on to what is committed now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn renew(&mut self, log: &Backend) -> Result<(), Error> {
        if let (Self::Embedded(snapshot), Backend::Embedded(log)) = (self, log) {
            *snapshot = log.snapshot()?;
        }
        Ok(())
    }

    /// First offset that is still there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        match self {
            Self::Embedded(snapshot) => snapshot.start(topic, partition),
            Self::Kafka(topics) => topics.start(topic, partition),
        }
    }

    /// Next offset, once no transaction before it is open.
    ///
    /// # Errors
    /// When the log cannot be read, or when a transaction does not end.
    pub fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        match self {
            Self::Embedded(snapshot) => snapshot.end(topic, partition),
            Self::Kafka(topics) => topics.end(topic, partition),
        }
    }

    /// Hands every record from `from`, or the first that is still there, up to `end`, in order.
    ///
    /// # Errors
    /// When the log cannot be read, or what `each` gives.
    pub fn each<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        (from, end): (Offset, Offset),
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let from = from.max(self.start(topic, partition)?);
        match self {
            Self::Embedded(snapshot) => snapshot.each((topic, partition), (from, end), each),
            Self::Kafka(topics) => topics.each((topic, partition), (from, end), each),
        }
    }

    /// Hands every record that is there, in order.
    ///
    /// # Errors
    /// As [`Committed::each`].
    pub fn all<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = self.end(topic, partition)?;
        self.each((topic, partition), (Offset(0), end), each)
    }

    /// What a source stored with its last append, without ending who appends as it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Embedded(snapshot) => snapshot.source(name),
            Self::Kafka(topics) => topics.newest((SOURCES, Partition(0)), name),
        }
    }
}
