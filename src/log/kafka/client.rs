//! What is asked of Kafka: the seam under the decisions of this module, over librdkafka or over a
//! broker that a test simulates.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::error::KafkaError;

use crate::codec::record::{Batches, Record};
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::Error;
use crate::log::kafka::assignment::InputPartition;
use crate::log::kafka::settings::Isolation;

/// What came of waiting for a record.
#[derive(Debug)]
pub enum Polled {
    /// A record.
    Record(Offset, Record),
    /// There is none behind the last one now.
    End,
    /// Nothing, yet.
    Nothing,
}

/// Reads topics outside the group.
pub trait Reads {
    /// First and next offset of a topic's partition, as far as the isolation level sees.
    ///
    /// # Errors
    /// When the cluster does not answer.
    fn watermarks(
        &self,
        place: (&str, Partition),
        isolation: Isolation,
    ) -> Result<(Offset, Offset), Error>;

    /// Reads committed records of a topic's partition from an offset on, until the next call of
    /// [`Reads::leave`].
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn go_to(&self, place: (&str, Partition), from: Offset) -> Result<(), Error>;

    /// Waits a little for the next record.
    ///
    /// # Errors
    /// When the topic's partition does not begin that early.
    fn poll(&self, place: (&str, Partition)) -> Result<Polled, Error>;

    /// Ends what [`Reads::go_to`] began.
    ///
    /// # Errors
    /// As [`Reads::go_to`].
    fn leave(&self) -> Result<(), Error>;

    /// Time that has passed since some moment.
    fn time(&self) -> Duration;

    /// Waits.
    fn pause(&self, time: Duration);

    /// Throws away what was reported while nobody read: while brokers are away that piles up.
    fn quiet(&self);
}

/// Reads inputs from the offsets that it is told.
pub trait Inputs {
    /// Reads these too, each from an offset on; none of them is read yet.
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn add(&mut self, places: &[(InputPartition, Offset)]) -> Result<(), Error>;

    /// Reads these no more.
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn remove(&mut self, places: &[InputPartition]) -> Result<(), Error>;

    /// Waits a little for the next record.
    ///
    /// # Errors
    /// When an input does not begin as early as it was asked for.
    fn poll(&mut self) -> Result<Option<(InputPartition, Offset, Record)>, Error>;

    /// Reads no more of an input for now.
    ///
    /// # Errors
    /// When it is not read.
    fn pause(&mut self, place: InputPartition) -> Result<(), Error>;

    /// Reads on.
    ///
    /// # Errors
    /// When they are not read.
    fn resume(&mut self, places: &[InputPartition]) -> Result<(), Error>;
}

/// What may be done after a call of a transaction that did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionErrorKind {
    /// Call it again.
    Retriable,
    /// Abort the transaction.
    Abort,
    /// Nothing with this producer: it is at its end, or it is not known what happened.
    Fatal,
}

/// Why a call of a transaction did not go through.
#[derive(Debug)]
pub struct TransactionError {
    /// What may be done.
    pub kind: TransactionErrorKind,
    /// Why.
    pub cause: KafkaError,
}

/// The transactions of one transactional id, as long as no newer producer has it.
pub trait Producer {
    /// Who the member of the group is, which a transaction shows.
    type Member;

    /// Aborts or commits what an earlier producer left open, and keeps it from going on.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn init(&self) -> Result<(), TransactionError>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn begin(&self) -> Result<(), TransactionError>;

    /// Sends records, without waiting for the brokers.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn send(&self, batches: &Batches) -> Result<(), TransactionError>;

    /// Waits until all that was sent is acknowledged; gives the next offsets of the changelog by
    /// partition.
    ///
    /// # Errors
    /// [`TransactionError`]; to be aborted when a record was not taken.
    fn drain(&self, patience: Duration) -> Result<BTreeMap<u32, Offset>, TransactionError>;

    /// Adds offsets of a topic's partitions, which the group has committed once the transaction is.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn offsets(
        &self,
        topic: &str,
        next: &BTreeMap<u32, Offset>,
        member: &Self::Member,
    ) -> Result<(), TransactionError>;

    /// Commits.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn commit(&self) -> Result<(), TransactionError>;

    /// Aborts.
    ///
    /// # Errors
    /// [`TransactionError`].
    fn abort(&self) -> Result<(), TransactionError>;
}

/// Kafka as one instance, a member of the group, reaches it.
pub trait Client {
    /// See [`Producer::Member`].
    type Member;
    /// Its transactions.
    type Producer: Producer<Member = Self::Member>;
    /// Its reads outside the group.
    type Reads: Reads;

    /// A new producer of one of this instance's two transactional ids, which begins with
    /// [`Producer::init`].
    ///
    /// # Errors
    /// When it cannot be made.
    fn producer(&self, turn: usize) -> Result<Self::Producer, Error>;

    /// Appends records outside any transaction.
    ///
    /// # Errors
    /// When not all are known to be written.
    fn append(&self, batches: &Batches) -> Result<(), Error>;

    /// The committed offset of a partition of the topic that the group shares, once no transaction
    /// that would move it is open;
    /// `None`: never committed.
    ///
    /// # Errors
    /// When the cluster does not answer, or such a transaction does not end.
    fn committed(&self, partition: Partition) -> Result<Option<Offset>, Error>;

    /// Who this member is now; `None` outside the group.
    fn member(&self) -> Option<Self::Member>;

    /// The time that an append would carry.
    fn now(&self) -> AppendTime;

    /// Throws away what was reported while nobody appended.
    fn quiet(&self);
}
