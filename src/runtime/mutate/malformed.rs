//! Lines that producers get wrong, each with what must become of it.

use serde_json::{Value, json};

use crate::pipeline::Counters;
use crate::runtime::mutate::Mutated;
use crate::runtime::random::Random;

/// 1 January 2026, UTC.
const START_MS: i64 = 1_767_225_600_000;

/// A well-formed event of a lead of its own, of a type that nobody knows.
fn unknown_type(number: usize) -> Value {
    let at = START_MS + number as i64 * 1_000;
    json!({
        "event_id": format!("00000000-0000-5000-8000-{number:012}"),
        "event_type": "fax.received",
        "tenant_id": "acme",
        "lead_id": format!("lead-{number}"),
        "occurred_at": at,
        "received_at": at,
        "source_system": "crm",
    })
}

/// An event with one field set.
fn with(number: usize, field: &str, value: Value) -> Vec<u8> {
    let mut event = unknown_type(number);
    event[field] = value;
    event.to_string().into_bytes()
}

/// An event without a field.
fn without(number: usize, field: &str) -> Vec<u8> {
    let mut event = unknown_type(number);
    if let Some(fields) = event.as_object_mut() {
        fields.remove(field);
    }
    event.to_string().into_bytes()
}

/// So many lines of every kind of malformed input, and what must be counted.
#[must_use]
pub fn malformed(seed: u64, lines: usize) -> Mutated {
    let mut random = Random::new(seed, 0);
    let mut made = Mutated { lines: Vec::with_capacity(lines), expected: Counters::default() };
    while made.lines.len() < lines {
        let number = made.lines.len();
        let draw = random.below(40);
        match draw {
            0..=3 => made.accept(unknown_type(number).to_string().into_bytes()),
            4 => made.accept([unknown_type(number).to_string().as_bytes(), b"\r"].concat()),
            5 => made.accept(with(number, "unheard_of", json!([1, { "deep": null }]))),
            6 if number + 1 < lines => {
                let line = with(number, "event_type", "message.received".into());
                made.accept(line.clone());
                made.put(line, |counters| &mut counters.duplicate);
            }
            7 if number + 1 < lines => {
                made.accept(unknown_type(number).to_string().into_bytes());
                let mut late = unknown_type(number);
                late["event_id"] = format!("00000001-0000-5000-8000-{number:012}").into();
                late["occurred_at"] = (START_MS - 2 * 86_400_000).into();
                made.put(late.to_string().into_bytes(), |counters| &mut counters.late);
            }
            other => made.refuse(broken(other, number, &mut random)),
        }
    }
    made
}

/// A line that must be a dead letter.
fn broken(draw: usize, number: usize, random: &mut Random) -> Vec<u8> {
    let required = ["event_id", "event_type", "tenant_id", "lead_id", "occurred_at", "received_at", "source_system"];
    let whole = unknown_type(number).to_string().into_bytes();
    match draw {
        8..=11 => without(number, required[random.below(required.len())]),
        12..=15 => with(number, required[random.below(required.len())], json!([1, true])),
        16 => with(number, "occurred_at", 4_102_444_800_000_i64.into()),
        17 => with(number, "occurred_at", "2100-01-01T00:00:00Z".into()),
        18 => with(number, "occurred_at", i64::MAX.into()),
        19 => with(number, "received_at", "yesterday".into()),
        20 => with(number, "event_id", "not-a-uuid".into()),
        21 => with(number, "tenant_id", "a tenant / with spaces".into()),
        22 => with(number, "lead_id", "".into()),
        23 => with(number, "lead_id", "tab\there".into()),
        24 => with(number, "lead_id", "x".repeat(201).into()),
        25 => with(number, "direction", "sideways".into()),
        26 => with(number, "content", json!({ "text": 5 })),
        27 => with(number, "agent_id", "x".repeat(2_000).into()),
        28 => [b"\xef\xbb\xbf", whole.as_slice()].concat(),
        29 => [whole.as_slice(), b" trailing"].concat(),
        30 => String::from_utf8_lossy(&whole).replacen('{', "{\"lead_id\":\"twice\",", 1).into_bytes(),
        31 => String::from_utf8_lossy(&whole).replacen('{', "{\"measures\":{\"x\":1e999},", 1).into_bytes(),
        32 => String::from_utf8_lossy(&whole).replacen("lead-", "\u{0}lead-", 1).into_bytes(),
        33 => whole.iter().map(|byte| if *byte == b'-' { 0xff } else { *byte }).collect(),
        34 => vec![0; random.below(50)],
        35 => "[".repeat(1 + random.below(2_000)).into_bytes(),
        36 if number.is_multiple_of(50) => with(number, "content", json!({ "text": "x".repeat((1 + random.below(3)) << 20) })),
        37 if number.is_multiple_of(500) => vec![b'y'; 5 << 20],
        38 => b"null".to_vec(),
        _ => whole[..1 + random.below(whole.len() - 1)].to_vec(),
    }
}

impl Mutated {
    fn put(&mut self, line: Vec<u8>, of: impl FnOnce(&mut Counters) -> &mut u64) {
        self.lines.push(line);
        *of(&mut self.expected) += 1;
    }

    fn accept(&mut self, line: Vec<u8>) {
        self.put(line, |counters| &mut counters.advanced);
    }

    fn refuse(&mut self, line: Vec<u8>) {
        self.put(line, |counters| &mut counters.dead_lettered);
    }
}
