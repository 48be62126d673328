//! What a run must have come to: the plain driver in memory over the committed inputs in their
//! recorded order.

use std::collections::BTreeMap;

use crate::sim::broker::Broker;
use leadstream::codec::avro::Writers;
use leadstream::codec::model::starting_rules;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::records::{self, emit, letter};
use leadstream::codec::topics::{DEAD_LETTERS, LATE, STATE, inputs_of, output_topics};
use leadstream::codec::{internal, rows};
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{Offset, Partition};
use leadstream::pipeline::{Counters, Effect, InputTopic, Key, Memory, Positions, Row};

const ORDER: &str = "leadstream.order.v1";

/// Rows by name.
pub type RowBytes = BTreeMap<String, Vec<u8>>;

/// What is committed as the rows of a partition, positions apart.
pub fn committed_rows(broker: &Broker, partition: u32) -> (RowBytes, Positions) {
    let mut found = RowBytes::new();
    for (_, record) in broker.all((STATE, partition)) {
        let name = String::from_utf8(record.key.clone().unwrap()).unwrap();
        match &record.value {
            Some(value) => found.insert(name, value.clone()),
            None => found.remove(&name),
        };
    }
    let positions = found.remove(&rows::key_text(&Key::Positions));
    let row = positions.map(|bytes| rows::row(&Key::Positions, &bytes).unwrap());
    let mut positions = row.and_then(Row::into_positions).unwrap_or_default();
    positions.next[InputTopic::Interactions as usize] =
        Offset(broker.group.offsets.get(&partition).copied().unwrap_or(0));
    (found, positions)
}

/// Whether every input of a partition was taken.
pub fn is_taken(broker: &Broker, partition: u32) -> bool {
    let positions = committed_rows(broker, partition).1;
    InputTopic::ALL.into_iter().all(|source| {
        let (topic, place) = inputs_of(source, Partition(partition));
        broker
            .all((topic, place.0))
            .last()
            .is_none_or(|(last, _)| last < positions.next[source as usize])
    })
}

/// One partition, taken once more.
struct Retaken<'a> {
    broker: &'a Broker,
    partition: Partition,
    partitions: u32,
    rules: Rules,
    memory: Memory,
    counted: BTreeMap<u32, Counters>,
    next: [Offset; 3],
    batches: Batches,
}

impl Retaken<'_> {
    fn take_until(&mut self, source: InputTopic, until: Offset) {
        let from = self.next[source as usize];
        let (topic, place) = inputs_of(source, self.partition);
        let broker = self.broker;
        for (offset, record) in
            broker.all((topic, place.0)).filter(|(offset, _)| (from..until).contains(offset))
        {
            self.take(source, offset, record);
        }
        self.next[source as usize] = until;
    }

    fn take(&mut self, source: InputTopic, offset: Offset, record: &Record) {
        let mut effects: Vec<Effect> = Vec::new();
        match source {
            InputTopic::Definitions => match records::define(&mut self.rules, record) {
                Ok(()) => {}
                Err(reason) if self.partition == Partition(0) => {
                    let letter = letter(reason, (source, self.partition, offset), record);
                    self.batches.entry((DEAD_LETTERS, 0)).or_default().push(letter);
                }
                Err(_) => {}
            },
            InputTopic::Inbox => {
                self.memory.run(&self.rules, &records::inbox(record).0, &mut effects);
            }
            InputTopic::Interactions => {
                let input =
                    records::input(record, (self.partition, self.partitions), &Writers::new());
                let outcome = self.memory.run(&self.rules, &input, &mut effects);
                self.counted.entry(record.ingest_run).or_default().count(outcome);
            }
        }
        emit(self.partition, (source, offset, record), &mut effects, &mut self.batches);
    }
}

fn describe(record: &Record) -> String {
    record
        .value
        .as_deref()
        .and_then(|value| leadstream::codec::avro::describe(value).ok())
        .map_or_else(|| format!("{:?}", record.key), |value| value.to_string())
}

fn is_same(stored: &Record, computed: &Record) -> bool {
    // Timers that used up a batch's budget fire in the time of the input that found them, or of the
    // next one.
    let is_timed = stored.reason.is_none() || stored.appended_ms == computed.appended_ms;
    is_timed
        && (&stored.key, &stored.value, &stored.reason, &stored.origin)
            == (&computed.key, &computed.value, &computed.reason, &computed.origin)
}

/// The rows of every partition as they must be.
///
/// # Errors
/// The first difference of an output, a row or a count.
pub fn check(broker: &Broker, partitions: u32) -> Result<Vec<RowBytes>, String> {
    (0..partitions).map(|partition| check_partition(broker, partition, partitions)).collect()
}

fn check_partition(broker: &Broker, partition: u32, partitions: u32) -> Result<RowBytes, String> {
    let (stored, positions) = committed_rows(broker, partition);
    let mut retaken = Retaken {
        broker,
        partition: Partition(partition),
        partitions,
        rules: starting_rules(),
        memory: Memory::default(),
        counted: BTreeMap::new(),
        next: [Offset(0); 3],
        batches: Batches::new(),
    };
    let mut current = InputTopic::Interactions;
    for (_, record) in broker.all((ORDER, partition)) {
        let switch = internal::switch(record.value.as_deref().unwrap()).unwrap();
        retaken.take_until(current, switch.next[current as usize]);
        if retaken.next != switch.next {
            return Err(format!(
                "{ORDER} partition {partition} says {:?} at {:?}",
                switch.next, retaken.next
            ));
        }
        current =
            InputTopic::ALL.into_iter().find(|source| source.as_str() == switch.input).unwrap();
    }
    retaken.take_until(current, positions.next[current as usize]);
    if retaken.next != positions.next {
        return Err(format!(
            "partition {partition} stands at {:?}, its order ends at {:?}",
            positions.next, retaken.next
        ));
    }
    for topic in output_topics() {
        let computed = retaken.batches.get(&(topic, partition)).map_or(&[][..], Vec::as_slice);
        let put_out: Vec<&Record> =
            broker.all((topic, partition)).map(|(_, record)| record).collect();
        let first = (0..computed.len().max(put_out.len())).find(|place| {
            match (put_out.get(*place), computed.get(*place)) {
                (Some(stored), Some(computed)) => !is_same(stored, computed),
                _ => true,
            }
        });
        if let Some(place) = first {
            let (has, wants) = (put_out.len(), computed.len());
            let tell = |record: Option<&&Record>| {
                record.map(|record| {
                    (
                        describe(record),
                        record.appended_ms,
                        record.reason.clone(),
                        record.origin.clone(),
                    )
                })
            };
            let (there, computed) = (tell(put_out.get(place)), tell(computed.get(place).as_ref()));
            return Err(format!(
                "{topic} partition {partition}: record {place} is {there:?}, from the inputs \
                    follows {computed:?}; {has} were put out, {wants} follow"
            ));
        }
    }
    count(broker, partition, &retaken.counted)?;
    for (source, counters) in std::mem::take(&mut retaken.counted) {
        use leadstream::pipeline::StateStore;
        retaken.memory.save(Key::Counters(source), Some(Row::Counters(counters)));
    }
    let computed: RowBytes = retaken
        .memory
        .rows()
        .map(|(key, row)| (rows::key_text(&key), rows::row_bytes(&row)))
        .collect();
    differ(&stored, &computed)
        .map_or(Ok(()), |row| Err(format!("{STATE} partition {partition}: row {row} differs")))?;
    Ok(computed)
}

/// Received = advanced + duplicate + late + dead-lettered, and every one of them is where it
/// belongs.
fn count(broker: &Broker, partition: u32, counted: &BTreeMap<u32, Counters>) -> Result<(), String> {
    let mut whole = Counters::default();
    counted.values().for_each(|counters| whole.merge(counters));
    let (topic, _) = inputs_of(InputTopic::Interactions, Partition(partition));
    let of_interactions =
        |record: &Record| record.origin.as_ref().is_some_and(|origin| origin.topic == topic);
    let records = |topic| broker.all((topic, partition)).map(|(_, record)| record);
    let letters = records(DEAD_LETTERS).filter(|record| of_interactions(record)).count();
    let found = (
        records(topic).count(),
        records("lead.predictions.v1").count(),
        records(LATE).count(),
        letters,
    );
    let wanted = (whole.received(), whole.advanced, whole.late, whole.dead_lettered);
    let found = (found.0 as u64, found.1 as u64, found.2 as u64, found.3 as u64);
    if found == wanted {
        Ok(())
    } else {
        Err(format!("partition {partition}: counted {wanted:?}, found {found:?}"))
    }
}

/// Name of the first row that differs.
pub fn differ(stored: &RowBytes, computed: &RowBytes) -> Option<String> {
    let names = stored.keys().chain(computed.keys());
    names.into_iter().find(|name| stored.get(*name) != computed.get(*name)).cloned()
}
