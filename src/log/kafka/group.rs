//! Membership in the consumer group: learns which partitions this instance owns, and fetches
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata,
};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::domain::units::{Offset, Partition};
use crate::log::Error;
use crate::log::kafka::assignment::PartitionAssignment;
use crate::log::kafka::settings::{Settings, make};
use crate::log::kafka::{ASK, Reports, failed};

/// How long the group waits for a commit that is under way when partitions are taken back.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often the member looks whether it is to leave.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Context {
    assignment: Arc<PartitionAssignment>,
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let listed: Vec<Partition> = partitions
            .elements()
            .iter()
            .filter_map(|element| u32::try_from(element.partition()).ok())
            .map(Partition)
            .collect();
        let outcome = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Somewhere, and paused: another consumer fetches, from where the state stands.
            let assigned = partitions
                .set_all_offsets(KafkaOffset::Offset(0))
                .and_then(|()| consumer.incremental_assign(partitions))
                .and_then(|()| consumer.pause(partitions));
            self.assignment.assigned(&listed);
            assigned
        } else {
            if consumer.assignment_lost() {
                self.assignment.lost(&listed);
            } else {
                self.assignment.revoked(&listed, GIVE_UP);
            }
            consumer.incremental_unassign(partitions)
        };
        tracing::info!(?code, partitions = ?listed, "partitions moved");
        if let Err(error) = outcome {
            self.assignment.fail(format!("the group's partitions cannot be taken over: {error}"));
        }
    }
}

/// A member of the group; dropping it leaves.
pub struct Group {
    consumer: Arc<BaseConsumer<Context>>,
    topic: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Group {
    /// Joins.
    ///
    /// # Errors
    /// When the consumer cannot be made.
    pub fn join(
        settings: &Settings,
        assignment: &Arc<PartitionAssignment>,
        topic: &str,
    ) -> Result<Self, Error> {
        let mut config = settings.consumer(&settings.application_id);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("session.timeout.ms", settings.session_timeout_ms.to_string());
        config.set("heartbeat.interval.ms", (settings.session_timeout_ms / 4).max(100).to_string());
        if settings.is_static {
            config.set("group.instance.id", &settings.instance);
        }
        let consumer = config.create_with_context(Context { assignment: assignment.clone() });
        let consumer: Arc<BaseConsumer<Context>> =
            Arc::new(consumer.map_err(failed("the Kafka client of the group cannot be made"))?);
        let topic = settings.topic(topic);
        consumer.subscribe(&[&topic]).map_err(failed(format!("cannot subscribe to {topic}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (member, stopped, reported) = (consumer.clone(), stop.clone(), assignment.clone());
        let thread = std::thread::spawn(move || {
            let mut reports = Reports::of("group");
            while !stopped.load(Ordering::Relaxed) {
                match member.poll(LOOK) {
                    None | Some(Ok(_)) => {}
                    Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                        return reported.fail(format!(
                            "the consumer group does not let this instance go on: {code}"
                        ));
                    }
                    Some(Err(error)) => reports.take(error),
                }
            }
        });
        Ok(Self { consumer, topic, stop, thread: Some(thread) })
    }

    /// Commits offsets outside any transaction.
    pub(crate) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), KafkaError> {
        self.consumer.commit(offsets, CommitMode::Sync)
    }

    /// Who this member is, which a transaction shows.
    pub(crate) fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// The committed offset of a partition, once no transaction that would move it is open; `None`:
    /// never committed.
    pub(crate) fn offset(&self, partition: Partition) -> Result<Option<Offset>, Error> {
        offset(self.consumer.as_ref(), &self.topic, partition)
    }

    /// The same for somebody who is no member.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn committed(
        settings: &Settings,
        topic: &str,
        partition: Partition,
    ) -> Result<Option<Offset>, Error> {
        let consumer: BaseConsumer = make(&settings.consumer(&settings.application_id), "offsets")?;
        offset(&consumer, &settings.topic(topic), partition)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the group's thread panicked");
        }
    }
}

fn offset<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: Partition,
) -> Result<Option<Offset>, Error> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition.0.cast_signed());
    let what =
        || failed(format!("cannot read the committed offset of {topic} partition {}", partition.0));
    let list = consumer.committed_offsets(list, ASK * 3).map_err(what())?;
    let found = list.elements().first().map(|element| (element.error(), element.offset()));
    match found {
        Some((Ok(()), KafkaOffset::Offset(offset))) => {
            Ok(Some(Offset(u64::try_from(offset).unwrap_or(0))))
        }
        Some((Err(error), _)) => Err(what()(error)),
        _ => Ok(None),
    }
}
