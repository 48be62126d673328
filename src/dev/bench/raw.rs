//! The loop to compare with: reads the interactions and writes, exactly once, the records that the
//! whole job wrote for them.
//!
//! It decides nothing and keeps no state: what it costs is what librdkafka and the transactions
//! cost. The records are read from the topics of a job that took the same events before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::codec::topics::INTERACTIONS;
use crate::dev::bench::{Error, Script};
use crate::domain::units::{Offset, Partition};
use crate::engine::kafka_loop::Pace;
use crate::log::kafka::{Settings, Topics};

/// How long one call may take.
const ASK: Duration = Duration::from_secs(30);

/// Key and value of a record.
type EmittedVersion = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The records of one partition of one topic, and how many of them were written.
struct Copy {
    topic: String,
    partition: u32,
    records: Vec<EmittedVersion>,
    written: usize,
}

/// Runs until the process is ended; says that it is ready by making a file.
///
/// # Errors
/// When Kafka fails.
pub fn run(settings: &Settings, script: &Script, pace: Pace, ready: &Path) -> Result<(), Error> {
    let input = settings.topic(INTERACTIONS);
    let mut copies = read(settings, script)?;
    // A static member: the next round takes its place at once, although this process is killed.
    let mut member = settings.consumer(&settings.application_id);
    member.set("auto.offset.reset", "earliest").set("group.instance.id", "raw");
    let consumer: BaseConsumer = member.create()?;
    consumer.subscribe(&[&input])?;
    let producer: BaseProducer = settings.transactional("raw").create()?;
    producer.init_transactions(ASK)?;
    std::fs::write(ready, "")?;
    let mut interval = pace.shortest;
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    let mut processed = vec![0_u64; script.events.len()];
    loop {
        let began = Instant::now();
        next.clear();
        while began.elapsed() < interval {
            match consumer.poll(interval.saturating_sub(began.elapsed())) {
                Some(Ok(message)) => {
                    next.insert(message.partition(), message.offset() + 1);
                    if let Some(count) = usize::try_from(message.partition())
                        .ok()
                        .and_then(|place| processed.get_mut(place))
                    {
                        *count += 1;
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        if next.is_empty() {
            continue;
        }
        let committing = Instant::now();
        producer.begin_transaction()?;
        for copy in &mut copies {
            let place = copy.partition as usize;
            let of = script.events.get(place).copied().unwrap_or(0).max(1);
            let due = (copy.records.len() as u64 * processed.get(place).copied().unwrap_or(0) / of)
                as usize;
            send(&producer, copy, due)?;
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_micros(200));
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in &next {
            offsets.add_partition_offset(&input, *partition, KafkaOffset::Offset(*offset))?;
        }
        if let Some(group) = consumer.group_metadata() {
            producer.send_offsets_to_transaction(&offsets, &group, ASK)?;
        }
        producer.commit_transaction(ASK)?;
        interval = pace.next(interval, committing.elapsed());
    }
}

/// Writes records up to a count; behind the last one it begins again.
fn send(producer: &BaseProducer, copy: &mut Copy, due: usize) -> Result<(), Error> {
    let at = copy.written % copy.records.len().max(1);
    let more = copy.records.iter().cycle().skip(at).take(due.saturating_sub(copy.written));
    for (key, value) in more {
        let mut record =
            BaseRecord::<[u8], [u8]>::to(&copy.topic).partition(copy.partition.cast_signed());
        record.key = key.as_deref();
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _)| error)?;
    }
    copy.written = due.max(copy.written);
    producer.poll(Duration::ZERO);
    Ok(())
}

fn read(settings: &Settings, script: &Script) -> Result<Vec<Copy>, Error> {
    let reader =
        Topics::new(&Settings { topic_prefix: script.prefix.clone(), ..settings.clone() })?;
    let mut copies = Vec::new();
    for ((topic, from), until) in script.from.iter().zip(script.until.values()) {
        for ((partition, from), until) in (0..).zip(from).zip(until) {
            let mut records = Vec::new();
            let place = (topic.as_str(), Partition(partition));
            reader.each::<Error>(place, (Offset(*from), Offset(*until)), &mut |_, record| {
                records.push((record.key, record.value));
                Ok(())
            })?;
            copies.push(Copy { topic: settings.topic(topic), partition, records, written: 0 });
        }
    }
    Ok(copies)
}
