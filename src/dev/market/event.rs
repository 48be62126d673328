//! One event of a lead before and after it becomes a line, and all that can happen to the line on
//! its way.

use serde_json::{Map, Value};

use crate::dev::market::Delivery;
use crate::dev::market::calendar::written;
use crate::domain::event::EventType;
use crate::domain::units::{DAY_MS, EventId, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::pipeline::Outcome;
use crate::stats::random::Random;

/// Share of events that are delivered twice.
const TWICE: f64 = 0.01;
/// Share that arrives after later ones.
const DISORDERED: f64 = 0.02;
/// Share whose line is broken.
const BROKEN: f64 = 0.005;
/// Share followed by a record of days ago; not every lead is old enough for one.
const STRAGGLED: f64 = 0.0075;
/// No line takes longer; below the 24 hours within which the pipeline takes disorder and knows
/// duplicates.
const DELAY_MS_MAX: i64 = 20 * HOUR_MS;

/// Something that happened to a lead.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// The system that saw it.
    pub source_system: &'static str,
    /// The fields that not every event has.
    pub fields: Map<String, Value>,
}

/// Turns the events of one lead into lines.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Chance of what happens to lines.
    pub random: Random,
    /// Distinguishes the ids of markets.
    pub seed: u64,
    /// The tenant.
    pub tenant: &'static str,
    /// The lead.
    pub lead_id: String,
    /// Events so far.
    pub count: u32,
    /// Time of the first event.
    pub first_ms: Option<i64>,
}

impl Sender {
    /// The deliveries of an event; no other event of this lead may lie before it.
    ///
    /// The fates hold because a lead's events come in order, at most [`DELAY_MS_MAX`] late, and a
    /// straggler follows an event that was delivered at once and is more than a day younger.
    pub fn send(&mut self, event: &Event) -> Vec<Delivery> {
        let first_ms = *self.first_ms.get_or_insert(event.at_ms);
        let at_ms = event.at_ms;
        // An erasure is the last event of a lead and is delivered unchanged.
        let draw = if event.kind == EventType::ContactErased { 1.0 } else { self.random.unit() };
        let delay_ms = |random: &mut Random| {
            (random.around(40.0, 1.5) * MINUTE_MS as f64) as i64 % DELAY_MS_MAX + 2 * SECOND_MS
        };
        let thresholds = [
            TWICE,
            TWICE + DISORDERED,
            TWICE + DISORDERED + BROKEN,
            TWICE + DISORDERED + BROKEN + STRAGGLED,
        ];
        match thresholds.iter().position(|threshold| draw < *threshold) {
            Some(0) => {
                let line = self.line(event, at_ms);
                let again_ms = at_ms + delay_ms(&mut self.random);
                let once = Delivery { at_ms, line: line.clone(), fate: Outcome::Advanced };
                vec![once, Delivery { at_ms: again_ms, line, fate: Outcome::Duplicate }]
            }
            Some(1) => {
                let late_ms = at_ms + delay_ms(&mut self.random);
                vec![Delivery {
                    at_ms: late_ms,
                    line: self.line(event, late_ms),
                    fate: Outcome::Advanced,
                }]
            }
            Some(2) => {
                let whole = self.line(event, at_ms);
                let broken = Delivery {
                    at_ms,
                    line: broken(whole.clone(), &mut self.random),
                    fate: Outcome::DeadLettered,
                };
                // Half of the senders notice the refusal and send the event again as it should be.
                let again = Delivery {
                    at_ms: at_ms + 30 * SECOND_MS,
                    line: whole,
                    fate: Outcome::Advanced,
                };
                if self.random.chance(0.5) { vec![broken, again] } else { vec![broken] }
            }
            Some(3) if at_ms - first_ms > 26 * HOUR_MS => {
                let line = self.line(event, at_ms);
                let age_ms =
                    (DAY_MS + HOUR_MS + self.random.wait_ms(DAY_MS as f64)).min(at_ms - first_ms);
                let straggler = straggler(at_ms - age_ms, &mut self.random);
                let after_ms = at_ms + 2 * SECOND_MS;
                let late = Delivery {
                    at_ms: after_ms,
                    line: self.line(&straggler, after_ms),
                    fate: Outcome::Late,
                };
                vec![Delivery { at_ms, line, fate: Outcome::Advanced }, late]
            }
            _ => vec![Delivery { at_ms, line: self.line(event, at_ms), fate: Outcome::Advanced }],
        }
    }

    fn line(&mut self, event: &Event, received_ms: i64) -> Vec<u8> {
        self.count += 1;
        let Self { seed, tenant, lead_id, count, .. } = self;
        let id = EventId::named(&format!("demo/{seed}/{tenant}/{lead_id}/{count}"));
        let mut fields = event.fields.clone();
        fields.insert("event_id".to_owned(), id.to_string().into());
        fields.insert("event_type".to_owned(), event.kind.as_str().into());
        fields.insert("tenant_id".to_owned(), (*tenant).into());
        fields.insert("lead_id".to_owned(), lead_id.as_str().into());
        fields.insert("occurred_at".to_owned(), written(event.at_ms).into());
        fields.insert("received_at".to_owned(), written(received_ms).into());
        fields.insert("source_system".to_owned(), event.source_system.into());
        serde_json::to_vec(&fields).expect("names and plain values are JSON")
    }
}

/// An event that a tracker or a telephone system reports days later.
fn straggler(at_ms: i64, random: &mut Random) -> Event {
    let (kind, source_system, channel) = match random.below(3) {
        0 => (EventType::PageViewed, "website", "web"),
        1 => (EventType::EmailOpened, "mailer", "email"),
        _ => (EventType::CallMissed, "dialer", "phone"),
    };
    let mut fields = Map::new();
    fields.insert("channel".to_owned(), channel.into());
    if kind == EventType::CallMissed {
        fields.insert("direction".to_owned(), "outbound".into());
    }
    Event { kind, at_ms, source_system, fields }
}

/// A line that is no event: cut off, without a field, with a field of another type, or not UTF-8.
fn broken(mut line: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => line.truncate(line.len() / 4 + random.below(line.len() / 2)),
        1 => line = replaced(line, r#""source_system":"#, r#""source":"#),
        2 => line = replaced(line, r#""lead_id":"#, r#""lead_id":40,"lead":"#),
        _ => {
            // Every line has this field, and its text is read.
            let name = br#""tenant_id":""#;
            let place =
                line.windows(name.len()).position(|window| window == name).unwrap_or_default();
            line.insert(place + name.len(), 0xff);
        }
    }
    line
}

fn replaced(line: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(line).expect("lines are made from text").replacen(from, to, 1).into_bytes()
}
