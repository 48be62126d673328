//! One worker's way into the log: its reader, and its transactions.
//!
//! A commit begins a transaction, produces everything, waits for all acknowledgements, looks
//! whether every partition is still owned, sends the offsets of all of them with the group's
//! metadata, and ends the transaction. After an answer that leaves open what happened, the producer
//! is not used again: a new one with the same id settles what the old one left.
//!
//! Two producers take turns. A commit is answered before its markers are written, and until then a
//! transaction of the same id has to wait: librdkafka asks again only after 20 ms. The offsets of
//! the later transaction count even where its markers come first, because the coordinator keeps
//! those that were added last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::codec::record::{Batches, Record};
use crate::codec::topics::STATE;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::kafka::assignment::PartitionAssignment;
use crate::log::kafka::client::{Client, Producer, Reads, TransactionError, TransactionErrorKind};
use crate::log::kafka::group::Group;
use crate::log::kafka::librdkafka::producer::Transactional;
use crate::log::kafka::librdkafka::{Consumers, Librdkafka};
use crate::log::kafka::read::Topics;
use crate::log::kafka::settings::RETRY_BACKOFF_MS;
use crate::log::kafka::{Cluster, failed};
use crate::log::{CommitError, Error, Log, Reader};
use crate::pipeline::{InputTopic, Positions};

/// Attempts of a call that says it may be repeated.
const ATTEMPTS_MAX: u32 = 50;
/// A commit that took less was sent once: librdkafka repeats a request after `retry.backoff.ms`, of
/// which it takes off a fifth at most.
const REPEATED_AFTER: Duration = Duration::from_millis(RETRY_BACKOFF_MS * 4 / 5);
/// Between two questions whether the transactions of this instance are settled.
const SETTLING: Duration = Duration::from_millis(100);

/// See the module.
pub struct TransactionalLog<C: Client = Librdkafka> {
    cluster: Arc<Cluster>,
    assignment: Arc<PartitionAssignment>,
    client: Arc<C>,
    changelog: Arc<Topics<C::Reads>>,
    topics: [&'static str; 3],
    turns: Mutex<Turns<C::Producer>>,
}

/// The producers, of which one at a time has a transaction.
struct Turns<P> {
    producers: [Option<P>; 2],
    /// Producers that were asked to settle what this instance left open, until that is waited for.
    asked: [Option<P>; 2],
    next: usize,
}

/// What a lane reads.
pub struct KafkaReader<C: Client> {
    cluster: Arc<Cluster>,
    assignment: Arc<PartitionAssignment>,
    client: Arc<C>,
    changelog: Arc<Topics<C::Reads>>,
    topics: [&'static str; 3],
}

impl TransactionalLog {
    /// The lane of one worker of an instance. `topics` are those of the inputs in the order of
    /// [`InputTopic::ALL`]. What the last process left open begins to be settled.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(
        cluster: &Arc<Cluster>,
        assignment: &Arc<PartitionAssignment>,
        (group, worker): (&Arc<Group>, u32),
        topics: [&'static str; 3],
    ) -> Result<Self, Error> {
        let settings = &cluster.settings;
        let transactional = Self::over(
            cluster,
            assignment,
            (Librdkafka::new(settings, group, worker)?, Consumers::new(settings)?),
            topics,
        );
        let asked = [transactional.client.producer(0)?, transactional.client.producer(1)?];
        asked.iter().for_each(Transactional::ask);
        transactional.turns().asked = asked.map(Some);
        Ok(transactional)
    }
}

impl<C: Client> TransactionalLog<C> {
    /// A lane over the clients of an instance.
    pub fn over(
        cluster: &Arc<Cluster>,
        assignment: &Arc<PartitionAssignment>,
        (client, reads): (C, C::Reads),
        topics: [&'static str; 3],
    ) -> Self {
        Self {
            cluster: cluster.clone(),
            assignment: assignment.clone(),
            client: Arc::new(client),
            changelog: Arc::new(Topics::over(&cluster.settings, reads)),
            topics,
            turns: Mutex::new(Turns { producers: [None, None], asked: [None, None], next: 0 }),
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<C::Producer>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time that never goes back.
    pub(crate) fn time(&self) -> Duration {
        self.changelog.reads().time()
    }

    /// Whether a partition can be restored without waiting for a transaction of its last owner, for
    /// who has waited since then.
    pub(crate) fn is_settled(&self, partition: Partition, since: Duration) -> Result<bool, Error> {
        self.changelog.is_settled(STATE, partition, self.time().saturating_sub(since))
    }

    /// Makes a new producer ready: what the one before it under the same id left open is aborted or
    /// committed by it.
    fn ready(&self, producer: C::Producer) -> Result<C::Producer, Error> {
        let what = || failed("the transactions of this instance cannot be settled");
        for _ in 0..ATTEMPTS_MAX {
            match producer.init() {
                Ok(()) => return Ok(producer),
                Err(TransactionError { kind: TransactionErrorKind::Retriable, cause }) => {
                    tracing::warn!(error = %cause, "waiting for the transaction coordinator");
                    self.changelog.reads().pause(SETTLING);
                }
                Err(TransactionError { cause, .. }) => return Err(what()(cause)),
            }
        }
        Err(what()(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)))
    }

    /// Ends of the changelog, and whether the request that committed may have been sent more than
    /// once: then one of them may still be on its way and would end the next transaction of this
    /// producer too (confluentinc/librdkafka#5423).
    fn transact(
        &self,
        producer: &C::Producer,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
    ) -> Result<(BTreeMap<u32, Offset>, bool), Failure> {
        producer.begin()?;
        producer.send(batches)?;
        let ends = producer.drain(self.patience())?;
        let owned = self
            .assignment
            .if_owned(positions.keys().map(|partition| Partition(*partition)), || {
                self.client.member()
            });
        let member = match owned {
            Ok(Some(member)) => member,
            Ok(None) => return Err(Failure::Abort("this instance is in no group".to_owned())),
            Err(partition) => {
                return Err(Failure::Abort(format!(
                    "partition {} has left meanwhile",
                    partition.0
                )));
            }
        };
        let next = positions
            .iter()
            .map(|(partition, positions)| {
                (*partition, positions.next[InputTopic::Interactions as usize])
            })
            .collect();
        self.again(|| producer.offsets(self.topics[0], &next, &member))?;
        let began = self.changelog.reads().time();
        self.again(|| producer.commit())?;
        let is_spent = self.changelog.reads().time() - began >= REPEATED_AFTER;
        Ok((ends, is_spent))
    }

    /// After so long the broker has aborted the transaction, or soon does.
    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.cluster.settings.transaction_timeout_ms))
    }

    /// Repeats a call that may be repeated, for as long as the transaction can live.
    fn again(
        &self,
        call: impl Fn() -> Result<(), TransactionError>,
    ) -> Result<(), TransactionError> {
        let until = self.changelog.reads().time() + self.patience();
        for _ in 1..ATTEMPTS_MAX {
            match call() {
                Err(TransactionError { kind: TransactionErrorKind::Retriable, cause })
                    if self.changelog.reads().time() < until =>
                {
                    tracing::warn!(error = %cause, "a call of the transaction is repeated");
                }
                outcome => return outcome,
            }
        }
        call()
    }
}

/// What to do about a transaction that did not go through.
enum Failure {
    Abort(String),
    Unknown(String),
}

impl From<TransactionError> for Failure {
    fn from(transaction_error: TransactionError) -> Self {
        let cause = transaction_error.cause.to_string();
        match transaction_error.kind {
            TransactionErrorKind::Abort => Self::Abort(cause),
            TransactionErrorKind::Retriable | TransactionErrorKind::Fatal => Self::Unknown(cause),
        }
    }
}

impl<C: Client> Log for TransactionalLog<C> {
    type Reader = KafkaReader<C>;
    const POSITIONS_ARE_ROWS: bool = true;

    fn reader(&self) -> Result<KafkaReader<C>, Error> {
        self.changelog.reads().quiet();
        self.client.quiet();
        let (cluster, assignment) = (self.cluster.clone(), self.assignment.clone());
        Ok(KafkaReader {
            cluster,
            assignment,
            client: self.client.clone(),
            changelog: self.changelog.clone(),
            topics: self.topics,
        })
    }

    fn put(&self, batches: &Batches) -> Result<(), Error> {
        self.client.append(batches)
    }

    fn commit(
        &self,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
    ) -> Result<BTreeMap<u32, Offset>, CommitError> {
        self.assignment.begins(positions);
        let Turns { producers, next, .. } = &mut *self.turns();
        let turn = std::mem::replace(next, 1 - *next);
        let place = &mut producers[turn];
        let producer = match place.take() {
            Some(producer) => producer,
            None => self.ready(self.client.producer(turn)?)?,
        };
        match self.transact(&producer, batches, positions) {
            Ok((ends, is_spent)) => {
                self.assignment.committed(positions);
                if is_spent {
                    tracing::info!(
                        "a commit took so long that it may have been sent twice: this producer is \
                            replaced"
                    );
                } else {
                    *place = Some(producer);
                }
                Ok(ends)
            }
            Err(Failure::Abort(why)) => match self.again(|| producer.abort()) {
                Ok(()) => {
                    *place = Some(producer);
                    Err(CommitError::Aborted(why))
                }
                Err(transaction_error) => Err(CommitError::InDoubt(format!(
                    "{why}; and it cannot be aborted: {}",
                    transaction_error.cause
                ))),
            },
            Err(Failure::Unknown(why)) => Err(CommitError::InDoubt(why)),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        let Turns { producers, asked, .. } = &mut *self.turns();
        *producers = [None, None];
        for (turn, asked) in std::mem::take(asked).into_iter().enumerate() {
            let producer = asked.map_or_else(|| self.client.producer(turn), Ok)?;
            producers[turn] = Some(self.ready(producer)?);
        }
        Ok(())
    }

    fn identity(&self) -> u64 {
        self.cluster.identity
    }

    fn partitions(&self) -> u32 {
        self.cluster.partitions
    }

    fn now(&self) -> AppendTime {
        self.client.now()
    }
}

impl<C: Client> KafkaReader<C> {
    /// The command that sets the group's offset of a partition of the interactions.
    fn reset(&self, partition: Partition, to: &str) -> String {
        let settings = &self.cluster.settings;
        let (group, topic) = (&settings.application_id, settings.topic(self.topics[0]));
        format!(
            "kafka-consumer-groups --group {group} --topic {topic}:{} --reset-offsets {to} \
                --execute",
            partition.0
        )
    }

    fn source(&self, topic: &str) -> Option<InputTopic> {
        InputTopic::ALL.into_iter().find(|source| self.topics[*source as usize] == topic)
    }
}

impl<C: Client> Reader for KafkaReader<C> {
    fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        self.changelog.start(topic, partition)
    }

    /// Of an input: behind what was fetched; markers of transactions at its end are never fetched.
    fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        match self.source(topic) {
            Some(source) => Ok(self.assignment.end(source, partition)),
            None => self.changelog.end(topic, partition),
        }
    }

    fn read(
        &self,
        topic: &str,
        partition: Partition,
        from: Offset,
    ) -> Result<Vec<(Offset, Record)>, Error> {
        Ok(self
            .source(topic)
            .map_or_else(Vec::new, |source| self.assignment.read(source, partition, from)))
    }

    fn positions(&self, partition: Partition, row: Option<Positions>) -> Result<Positions, Error> {
        let committed = self.client.committed(partition)?;
        let mut positions = row.unwrap_or_default();
        let start = self.changelog.start(self.topics[0], partition)?;
        let next = match (committed, row) {
            (Some(next), _) => next,
            (None, None) => start,
            (None, Some(row)) => {
                return Err(Error::Offsets(format!(
                    "the group has no committed offset of {} partition {} although its changelog \
                        is not empty: the offset expired or the \
                     group was deleted. Nothing is taken until it is set again: {}",
                    self.topics[0],
                    partition.0,
                    self.reset(partition, &format!("--to-offset {}", row.next[0].0)),
                )));
            }
        };
        if next < start {
            return Err(Error::Offsets(format!(
                "{} partition {} begins at offset {}, but was taken only up to {}: retention \
                    removed what was not taken yet. To go on \
                 without it: {}",
                self.topics[0],
                partition.0,
                start.0,
                next.0,
                self.reset(partition, "--to-earliest"),
            )));
        }
        if let Some(row) = row.filter(|row| row.next[0] != next) {
            let (reached, topic) = (row.next[0], self.topics[0]);
            if next > reached && next > start {
                return Err(Error::Offsets(format!(
                    "the group's offset of {topic} partition {} was moved to {}, but its state was \
                        taken up to {}: {} records would be skipped. To take them: {}",
                    partition.0,
                    next.0,
                    reached.0,
                    next.0 - reached.0,
                    self.reset(partition, &format!("--to-offset {}", reached.0)),
                )));
            }
            tracing::warn!(
                topic,
                partition = partition.0,
                from = next.0,
                reached = reached.0,
                "the group's offset was moved back: records up to where the state was taken are \
                    taken again, as duplicates or late"
            );
        }
        positions.next[InputTopic::Interactions as usize] = next;
        // A commit of which nobody knew may have happened: what it took still fills the buffers,
        // and a full one is not fetched for.
        self.assignment.committed(&BTreeMap::from([(partition.0, positions)]));
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
