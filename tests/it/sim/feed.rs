//! What arrives during a run: interactions good and bad, from plain and transactional producers,
//! and definitions.

use std::collections::BTreeMap;

use crate::sim::broker::Identity;
use crate::sim::shared::Sim;
use leadstream::codec::internal::{definition_bytes, definition_key};
use leadstream::codec::record::Record;
use leadstream::codec::{definition, interaction};
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::{DAY_MS, HOUR_MS};

const INTERACTIONS: &str = "lead.interactions.v1";
const DEFINITIONS: &str = "leadstream.definitions.v1";
const LEADS: u64 = 7;

const EXPERIMENT: &str = r#"{"tenant":"acme","kind":"experiment","name":"tone","version":1,"effective_at":"2026-01-01T00:00:00Z",
    "body":{"unit":"lead","salt":"s","arms":[{"strategy":"assertive","weight":1},{"strategy":"empathetic","weight":1}],"window_hours":240}}"#;

/// See the module.
pub struct Feed {
    partitions: u32,
    left: u64,
    number: u64,
    sent: Vec<(u32, Record)>,
    producer: Option<Identity>,
    /// Versions of the thresholds so far.
    thresholds: u64,
}

fn record(key: impl Into<Vec<u8>>, value: Vec<u8>, appended_ms: i64) -> Record {
    Record {
        key: Some(key.into()),
        value: Some(value),
        reason: None,
        appended_ms,
        ingest_run: 0,
        origin: None,
    }
}

impl Feed {
    pub fn new(partitions: u32, events: u64) -> Self {
        Self {
            partitions,
            left: events,
            number: 0,
            sent: Vec::new(),
            producer: None,
            thresholds: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    fn define(&self, sim: &Sim, text: &str) {
        let (definition, _) = definition::from_json(text.as_bytes()).unwrap();
        let record =
            record(definition_key(&definition), definition_bytes(&definition), sim.log_time().0);
        sim.broker.borrow_mut().append((DEFINITIONS, 0), &[record]);
    }

    /// What stands in the log before anything else.
    pub fn begin(&self, sim: &Sim) {
        self.define(sim, EXPERIMENT);
    }

    fn event(&mut self, sim: &Sim) -> (u32, Record) {
        self.number += 1;
        let (number, now) = (self.number, sim.log_time().0);
        let lead = format!("lead-{}", sim.below(LEADS));
        let at = match sim.below(100) {
            0..7 => now - 2 * DAY_MS - sim.below(1_000) as i64,
            7..9 => now + 3 * HOUR_MS,
            _ => now - sim.below(HOUR_MS as u64) as i64,
        };
        let (kind, more) = match sim.below(6) {
            0 => ("page.viewed", ""),
            1 => ("message.sent", r#","channel":"sms","content":{"text":"I understand"}"#),
            2 => (
                "message.received",
                r#","channel":"sms","direction":"inbound","agent_id":"ann","content":{"text":"That's above our budget"}"#,
            ),
            3 => ("lead.converted", r#","pipeline":{"status":"won","value_minor":100}"#),
            _ => (
                "message.received",
                r#","channel":"sms","direction":"inbound","agent_id":"ann","content":{"text":"Can we see it Saturday?"}"#,
            ),
        };
        let line = format!(
            r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"{kind}","tenant_id":"acme","lead_id":"{lead}","occurred_at":{at},"received_at":{at},"source_system":"crm"{more}}}"#
        );
        let key = format!("acme:{lead}");
        let partition = partition_of(key.as_bytes(), self.partitions).0;
        // A line that was ingested is kept as it is and belongs to a run.
        let (value, source) = if sim.percent(30) {
            (line.into_bytes(), 1)
        } else {
            (interaction::into_avro(interaction::from_json(line.as_bytes()).unwrap()), 0)
        };
        (partition, Record { ingest_run: source, ..record(key, value, now) })
    }

    fn next(&mut self, sim: &Sim) -> (u32, Record) {
        let now = sim.log_time().0;
        match sim.below(100) {
            0..10 if !self.sent.is_empty() => {
                let (partition, again) =
                    self.sent[sim.below(self.sent.len() as u64) as usize].clone();
                (partition, Record { appended_ms: now, ..again })
            }
            10..16 => (
                sim.below(u64::from(self.partitions)) as u32,
                record("poison", b"no event".to_vec(), now),
            ),
            16..19 => {
                let (partition, wrong) = self.event(sim);
                ((partition + 1) % self.partitions, wrong)
            }
            _ => {
                let (partition, event) = self.event(sim);
                self.sent.push((partition, event.clone()));
                (partition, event)
            }
        }
    }

    /// Appends some records.
    pub fn append(&mut self, sim: &Sim) {
        let count = (1 + sim.below(7)).min(self.left);
        self.left -= count;
        let mut records: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for _ in 0..count {
            let (partition, record) = self.next(sim);
            records.entry(partition).or_default().push(record);
        }
        if sim.percent(15) {
            self.thresholds += 1;
            let body = format!(
                r#"{{"lateness_hours":{},"answer_minutes":{}}}"#,
                24 + sim.below(20),
                30 + sim.below(90)
            );
            let text = format!(
                r#"{{"kind":"thresholds","name":"t","version":{},"effective_at":"2026-01-01T{:02}:00:00Z","body":{body}}}"#,
                self.thresholds,
                self.thresholds % 24
            );
            self.define(sim, &text);
        }
        if sim.percent(3) {
            let broken = record("broken", b"no definition".to_vec(), sim.log_time().0);
            sim.broker.borrow_mut().append((DEFINITIONS, 0), &[broken]);
        }
        if sim.percent(60) {
            let mut broker = sim.broker.borrow_mut();
            records.iter().for_each(|(partition, records)| {
                broker.append((INTERACTIONS, *partition), records)
            });
            return;
        }
        self.transact(sim, &records);
    }

    /// In a transaction, which may be aborted: then the same records come once more.
    fn transact(&mut self, sim: &Sim, records: &BTreeMap<u32, Vec<Record>>) {
        let is_aborted = sim.percent(30);
        let mut broker = sim.broker.borrow_mut();
        let identity = match self.producer.clone() {
            Some(identity) => identity,
            None => broker.init("ingest", 60_000).unwrap(),
        };
        self.producer = Some(identity.clone());
        let send = |broker: &mut crate::sim::broker::Broker| {
            let is_begun = broker
                .add_places(&identity, records.keys().map(|partition| (INTERACTIONS, *partition)))
                .is_ok();
            is_begun
                && records.iter().all(|(partition, records)| {
                    broker.produce(&identity, (INTERACTIONS, *partition), records).is_ok()
                })
        };
        if is_aborted && send(&mut broker) {
            broker.end(&identity, false).unwrap();
        }
        if send(&mut broker) {
            broker.end(&identity, true).unwrap();
        } else {
            // The end of the transaction before is still being written: as a plain producer would.
            records.iter().for_each(|(partition, records)| {
                broker.append((INTERACTIONS, *partition), records)
            });
        }
    }
}
