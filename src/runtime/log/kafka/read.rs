//! Reads a topic's partition from an offset to its end, once every transaction before that end has ended.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::domain::units::{Offset, Partition};
use crate::runtime::log::kafka::settings::{Isolation, Settings};
use crate::runtime::log::kafka::{failed, record_of, watermarks};
use crate::runtime::log::{Error, Record};

/// Between two looks at the last stable offset.
const LOOK: Duration = Duration::from_millis(20);
/// No record for this long is an error.
const SILENCE: Duration = Duration::from_secs(30);

/// Two consumers outside the group: one that sees what is committed, one that sees everything.
pub struct Topics {
    committed: BaseConsumer,
    everything: BaseConsumer,
    patience: Duration,
}

impl Topics {
    /// Makes both.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            committed: settings.reader("restore", Isolation::Committed)?,
            everything: settings.reader("ends", Isolation::Uncommitted)?,
            // The broker looks for transactions to abort every ten seconds.
            patience: Duration::from_millis(u64::from(settings.transaction_timeout_ms)) * 2 + Duration::from_secs(20),
        })
    }

    /// Throws away what the clients reported while nobody read: while brokers are away that piles up.
    pub(crate) fn quiet(&self) {
        while self.committed.poll(Duration::ZERO).is_some() || self.everything.poll(Duration::ZERO).is_some() {}
    }

    /// Hands every record that is committed now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(&self, topic: &str, partition: Partition, each: &mut dyn FnMut(Offset, Record)) -> Result<(), Error> {
        let range = (self.start(topic, partition)?, self.end(topic, partition)?);
        self.each::<Error>((topic, partition), range, &mut |offset, record| {
            each(offset, record);
            Ok(())
        })
    }

    /// First offset that is still there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        Ok(Offset(watermarks(&self.everything, topic, partition.0.cast_signed())?.0))
    }

    /// Next offset, once no transaction before it is open. What a committed reader calls the end may lie before records that
    /// are committed already, while an older transaction hangs: so the end is what an uncommitted reader sees.
    ///
    /// # Errors
    /// When it cannot be read, or when a transaction does not end.
    pub fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        let (_, end) = watermarks(&self.everything, topic, partition.0.cast_signed())?;
        let until = Instant::now() + self.patience;
        loop {
            let (_, stable) = watermarks(&self.committed, topic, partition.0.cast_signed())?;
            if stable >= end {
                return Ok(Offset(end));
            }
            if Instant::now() >= until {
                let why = format!(
                    "{topic} partition {} has an open transaction at offset {stable} that does not end: find it with \
                     kafka-transactions find-hanging and abort it",
                    partition.0
                );
                return Err(Error::Offsets(why));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Hands every committed record from `from` up to `end`, which [`Topics::end`] gave.
    ///
    /// # Errors
    /// When it cannot be read, or what `each` gives.
    pub fn each<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        (from, end): (Offset, Offset),
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        if from >= end {
            return Ok(());
        }
        let what = || failed(format!("{topic} partition {} cannot be read", partition.0));
        let mut list = TopicPartitionList::new();
        let offset = KafkaOffset::Offset(i64::try_from(from.0).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, partition.0.cast_signed(), offset).map_err(what())?;
        self.committed.assign(&list).map_err(what())?;
        let outcome = self.drain((topic, partition), end, each);
        self.committed.unassign().map_err(what())?;
        outcome
    }

    fn drain<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        end: Offset,
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut heard = Instant::now();
        loop {
            match self.committed.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let offset = Offset(u64::try_from(message.offset()).unwrap_or(0));
                    if offset >= end {
                        return Ok(());
                    }
                    each(offset, record_of(&message))?;
                }
                // The end was stable before the assignment, so this is behind it; offsets alone cannot tell, because what
                // ends a transaction takes offsets too.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error @ KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::AutoOffsetReset))) => {
                    return Err(failed(format!("{topic} partition {} does not begin there", partition.0))(error).into());
                }
                Some(Err(error)) => tracing::debug!(%error, "the restoring client reports"),
                None => {}
            }
            if heard.elapsed() > SILENCE {
                return Err(Error::Offsets(format!("{topic} partition {} gives no record for {SILENCE:?}", partition.0)).into());
            }
        }
    }
}
