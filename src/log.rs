//! The log: what the worker reads and commits, over Apache Kafka or embedded in the process.

mod batch;
mod embedded;
pub mod kafka;
pub mod registry;
mod backend;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::codec::record::{Batches, Record};
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::pipeline::Positions;

pub use crate::log::backend::{Backend, Committed};
pub use crate::log::embedded::{Cleaned, Embedded, Snapshot, Writes, inode};

/// What the client reports while brokers are away.
const PASSING: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
];

/// Why the log cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("the data directory is in use by another leadstream process")]
    InUse,
    /// Its file is gone or empty, and its state is not.
    #[error(
        "{} is missing or empty although its state is there: put the file back from a backup, or \
            remove the state directory beside it to begin with an empty log",
        .0.display()
    )]
    Missing(PathBuf),
    /// Its file was removed or replaced while it was open.
    #[error(
        "{} was removed or replaced while the instance ran: what was appended since is lost with \
            it; put the right file back, then start again",
        .0.display()
    )]
    Replaced(PathBuf),
    /// redb failed.
    #[error("the log file cannot be used")]
    Storage(#[source] Box<redb::Error>),
    /// A batch does not match its checksum.
    #[error("{topic} partition {partition} offset {offset}: batch is damaged")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// First offset of the batch.
        offset: u64,
    },
    /// Written by another release.
    #[error("the log has format {found}, this release reads format {read}")]
    Format {
        /// Format of the log.
        found: u64,
        /// Format that is read.
        read: u64,
    },
    /// Kafka refused or did not answer.
    #[error("{what}")]
    Kafka {
        /// What could not be done.
        what: String,
        /// Why.
        #[source]
        cause: Box<rdkafka::error::KafkaError>,
    },
    /// The cluster does not answer; the text names the remedy.
    #[error("{0}")]
    Unreachable(String),
    /// The brokers refuse this client, or it refuses them; the text names the remedy.
    #[error("{0}")]
    Refused(String),
    /// Offsets are not where they have to be; the text names the remedy.
    #[error("{0}")]
    Offsets(String),
    /// A transaction of somebody does not end, or a broker gives nothing: it is waited for. The
    /// text names the remedy.
    #[error("{0}")]
    Stuck(String),
    /// Topics are not as they have to be; each line names topic, setting, found and wanted.
    #[error("{}", .0.join("; "))]
    Topics(Vec<String>),
    /// Kafka takes no record as long as this.
    #[error(
        "a line has {bytes} bytes and Kafka takes at most {most}: split or remove it, then ingest \
            again"
    )]
    RecordSize {
        /// Bytes of the record's value.
        bytes: usize,
        /// How many may be.
        most: usize,
    },
    /// The directory cannot be made.
    #[error("the data directory cannot be made")]
    Directory(#[from] std::io::Error),
}

impl Error {
    /// Whether the same may work a little later without anybody doing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Kafka { cause, .. } => {
                // The client names no code of a request of an administrator.
                let code = match cause.as_ref() {
                    KafkaError::AdminOp(code) => Some(*code),
                    other => other.rdkafka_error_code(),
                };
                code.is_some_and(|code| PASSING.contains(&code))
            }
            _ => false,
        }
    }
}

/// Where append times come from.
#[derive(Clone, Debug)]
pub enum TimeSource {
    /// The clock of this machine.
    World,
    /// A clock that somebody else moves, milliseconds since 1970: an invented market runs faster
    /// than the world.
    Moved(Arc<AtomicI64>),
}

impl TimeSource {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> AppendTime {
        match self {
            Self::World => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                AppendTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Moved(at) => AppendTime(at.load(Ordering::Relaxed)),
        }
    }
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Partitions of a new directory, 1 to 1,024; an old one keeps its own.
    pub partitions: u32,
    /// Memory that redb may use for its cache, bytes.
    pub cache_bytes: usize,
    /// Where append times come from.
    pub time: TimeSource,
}

impl Default for Options {
    fn default() -> Self {
        Self { partitions: 4, cache_bytes: 64 << 20, time: TimeSource::World }
    }
}

/// What a worker reads of a log: inputs as far as they are committed, and the changelog.
pub trait Reader {
    /// First offset of a topic's partition that is still there.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error>;

    /// Next offset of a topic's partition, once every transaction before it has ended.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error>;

    /// Records from an offset on, as many as come at once; empty at the end.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn read(
        &self,
        topic: &str,
        partition: Partition,
        from: Offset,
    ) -> Result<Vec<(Offset, Record)>, Error>;

    /// How far a partition took its inputs; `row` is what the partition keeps of that itself.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn positions(&self, partition: Partition, row: Option<Positions>) -> Result<Positions, Error>;

    /// Hands every record from `from` up to `end`, in order.
    ///
    /// # Errors
    /// As [`Reader::read`], or what `each` gives.
    fn each<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        (from, end): (Offset, Offset),
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = from;
        while next < end {
            let records = self.read(topic, partition, next)?;
            let Some((last, _)) = records.last() else { return Ok(()) };
            next = Offset(last.0 + 1);
            for (offset, record) in records.into_iter().take_while(|(offset, _)| *offset < end) {
                each(offset, record)?;
            }
        }
        Ok(())
    }
}

/// Where sources append their records, each with how far it is.
pub trait Sources {
    /// What was stored with the last append of a source.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Appends records of a source and remembers how far the source is, all or nothing.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn append_from(&self, batches: &Batches, source: (&str, &[u8])) -> Result<(), Error>;

    /// Number of partitions.
    fn partitions(&self) -> u32;

    /// The time that an append carries now.
    fn now(&self) -> AppendTime;
}

/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It was taken back: take the same inputs again.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// Nobody knows whether it happened: settle it, then read what is committed.
    #[error("it is not known whether the transaction was committed: {0}")]
    InDoubt(String),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] Error),
}

/// What a worker needs of a log.
pub trait Log {
    /// Its reader.
    type Reader: Reader;

    /// Whether positions of inbox and definitions are rows of the partition, committed with its
    /// other rows.
    const POSITIONS_ARE_ROWS: bool;

    /// The log as it is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn reader(&self) -> Result<Self::Reader, Error>;

    /// Appends records outside any commit.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn put(&self, batches: &Batches) -> Result<(), Error>;

    /// Commits outputs, changelog, order and positions of all tasks, all or nothing; gives the ends
    /// of the changelog.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was written then, or nobody knows yet.
    fn commit(
        &self,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
    ) -> Result<BTreeMap<u32, Offset>, CommitError>;

    /// Settles a commit of which nobody knows whether it happened.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn settle(&self) -> Result<(), Error>;

    /// Drawn when the log was made: what was derived from another log does not carry it.
    fn identity(&self) -> u64;

    /// Number of partitions.
    fn partitions(&self) -> u32;

    /// The time that an append would carry now.
    fn now(&self) -> AppendTime;
}

/// An error with its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_goes_away_while_topics_are_checked_is_waited_for() {
        let failed = |cause| Error::Kafka { what: "topics".to_owned(), cause: Box::new(cause) };
        let gone = RDKafkaErrorCode::BrokerTransportFailure;
        assert!(failed(KafkaError::AdminOp(gone)).may_pass());
        assert!(failed(KafkaError::MetadataFetch(gone)).may_pass());
        let refused = RDKafkaErrorCode::TopicAuthorizationFailed;
        assert!(!failed(KafkaError::AdminOp(refused)).may_pass());
    }
}
