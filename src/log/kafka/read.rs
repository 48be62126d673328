//! Reads a topic's partition from an offset to its end, once every transaction before that end has
//! ended.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::codec::record::Record;
use crate::domain::units::{Offset, Partition};
use crate::log::Error;
use crate::log::kafka::client::{Polled, Reads};
use crate::log::kafka::librdkafka::Consumers;
use crate::log::kafka::settings::{Isolation, Settings};

/// Between two looks at the last stable offset.
const LOOK: Duration = Duration::from_millis(20);
/// No record for this long is an error.
const SILENCE: Duration = Duration::from_secs(30);
/// No record for this long ends a look at what is new, which is repeated anyway.
const HUSH: Duration = Duration::from_secs(1);

/// Topics, outside the group.
pub struct Topics<R: Reads = Consumers> {
    reads: R,
    patience: Duration,
}

/// How far a look at a topic's partition came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Up to here every transaction had ended.
    pub stable: Offset,
    /// Whether everything that was committed before it was handed.
    pub is_whole: bool,
}

impl Topics {
    /// Topics of a cluster.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self::over(settings, Consumers::new(settings)?))
    }
}

impl<R: Reads> Topics<R> {
    /// Topics as somebody reads them.
    pub fn over(settings: &Settings, reads: R) -> Self {
        // The broker looks for transactions to abort every ten seconds.
        let patience = Duration::from_millis(u64::from(settings.transaction_timeout_ms)) * 2
            + Duration::from_secs(20);
        Self { reads, patience }
    }

    /// How they are read.
    pub(crate) fn reads(&self) -> &R {
        &self.reads
    }

    /// Hands every record that is committed now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(
        &self,
        topic: &str,
        partition: Partition,
        each: &mut dyn FnMut(Offset, Record),
    ) -> Result<(), Error> {
        let range = (self.start(topic, partition)?, self.end(topic, partition)?);
        self.each::<Error>((topic, partition), range, &mut |offset, record| {
            each(offset, record);
            Ok(())
        })
    }

    /// The newest committed value under a key; `None`: there is none, or it was removed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest(
        &self,
        (topic, partition): (&str, Partition),
        key: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut found = None;
        self.all(topic, partition, &mut |_, record| {
            if record.has_key(key) {
                found = record.value;
            }
        })?;
        Ok(found)
    }

    /// First offset that is still there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        Ok(self.reads.watermarks((topic, partition), Isolation::Uncommitted)?.0)
    }

    /// Next offset, once no transaction before it is open. What a committed reader calls the end
    /// may lie before records that are committed already, while an older transaction hangs: so the
    /// end is what an uncommitted reader sees.
    ///
    /// # Errors
    /// When it cannot be read, or when a transaction does not end.
    pub fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        let (_, end) = self.reads.watermarks((topic, partition), Isolation::Uncommitted)?;
        let until = self.reads.time() + self.patience;
        while let Some(stable) = self.open((topic, partition), end)? {
            if self.reads.time() >= until {
                return Err(hangs((topic, partition), stable));
            }
            self.reads.pause(LOOK);
        }
        Ok(end)
    }

    /// Whether every transaction before the end has ended, for who has `waited` for that and does
    /// something else meanwhile.
    ///
    /// # Errors
    /// As [`Topics::end`].
    pub fn is_settled(
        &self,
        topic: &str,
        partition: Partition,
        waited: Duration,
    ) -> Result<bool, Error> {
        let (_, end) = self.reads.watermarks((topic, partition), Isolation::Uncommitted)?;
        match self.open((topic, partition), end)? {
            Some(stable) if waited >= self.patience => Err(hangs((topic, partition), stable)),
            open => Ok(open.is_none()),
        }
    }

    /// Where the first transaction before an offset is that has not ended.
    fn open(
        &self,
        (topic, partition): (&str, Partition),
        end: Offset,
    ) -> Result<Option<Offset>, Error> {
        let stable = self.stable(topic, partition)?;
        Ok((stable < end).then_some(stable))
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
        self.reads.go_to((topic, partition), from)?;
        let outcome = self.drain((topic, partition), end, each);
        self.reads.leave()?;
        outcome
    }

    /// Hands committed records from an offset on, as far as no transaction is open, until `each`
    /// breaks off. Waits for nobody.
    ///
    /// # Errors
    /// When it cannot be read, or what `each` gives.
    pub fn tail<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        from: Offset,
        each: &mut dyn FnMut(Offset, Record) -> Result<ControlFlow<()>, E>,
    ) -> Result<Tail, E> {
        let stable = self.stable(topic, partition)?;
        if from >= stable {
            return Ok(Tail { stable, is_whole: true });
        }
        self.reads.go_to((topic, partition), from)?;
        let outcome = self.look_on((topic, partition), stable, each);
        self.reads.leave()?;
        Ok(Tail { stable, is_whole: outcome? })
    }

    /// Up to where every transaction has ended now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stable(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        Ok(self.reads.watermarks((topic, partition), Isolation::Committed)?.1)
    }

    fn look_on<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        stable: Offset,
        each: &mut dyn FnMut(Offset, Record) -> Result<ControlFlow<()>, E>,
    ) -> Result<bool, E> {
        let mut received = self.reads.time();
        loop {
            match self.reads.poll((topic, partition))? {
                Polled::Record(offset, _) if offset >= stable => return Ok(true),
                Polled::Record(offset, record) => {
                    received = self.reads.time();
                    if each(offset, record)?.is_break() {
                        return Ok(false);
                    }
                }
                Polled::End => return Ok(true),
                Polled::Nothing if self.reads.time() - received > HUSH => return Ok(false),
                Polled::Nothing => {}
            }
        }
    }

    fn drain<E: From<Error>>(
        &self,
        (topic, partition): (&str, Partition),
        end: Offset,
        each: &mut dyn FnMut(Offset, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut received = self.reads.time();
        loop {
            match self.reads.poll((topic, partition))? {
                Polled::Record(offset, _) if offset >= end => return Ok(()),
                Polled::Record(offset, record) => {
                    received = self.reads.time();
                    each(offset, record)?;
                }
                // The end was stable before reading began, so this is behind it; offsets alone
                // cannot tell, because what ends a transaction takes offsets too.
                Polled::End => return Ok(()),
                Polled::Nothing => {}
            }
            if self.reads.time() - received > SILENCE {
                return Err(Error::Stuck(format!(
                    "{topic} partition {} gives no record for {SILENCE:?}",
                    partition.0
                ))
                .into());
            }
        }
    }
}

fn hangs((topic, partition): (&str, Partition), stable: Offset) -> Error {
    Error::Stuck(format!(
        "{topic} partition {} has an open transaction at offset {} that does not end: find it with \
            kafka-transactions find-hanging and \
         abort it",
        partition.0, stable.0
    ))
}
