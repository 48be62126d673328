//! Lines that producers get wrong, each with what must become of it.

use serde_json::{Value, json};

use crate::codec::interaction::EVENT_BYTES_MAX;
use crate::dev::mutate::Mutated;
use crate::domain::units::DAY_MS;
use crate::pipeline::Counters;
use crate::stats::random::Random;

/// 1 January 2026, UTC.
const START_MS: i64 = 1_767_225_600_000;
/// Every so many lines come the huge ones, from the eleventh line on: a file of ten thousand stays
/// near 40 MB.
const HUGE_EVERY: usize = 5_000;
/// Without any of them a line is no event.
const REQUIRED: &[&str] = &[
    "event_id",
    "event_type",
    "tenant_id",
    "lead_id",
    "occurred_at",
    "received_at",
    "source_system",
];

/// Values that make an event useless.
const WRONG: &[(&str, &[u8])] = &[
    ("event_id", b"\"\""),
    ("event_id", b"\"not-a-uuid\""),
    ("event_id", b"\"00000000-0000-5000-8000-00000000000\""),
    ("event_id", b"\"g0000000-0000-5000-8000-000000000000\""),
    ("event_type", b"\"\""),
    ("source_system", b"\"\""),
    ("source_system", b"null"),
    ("tenant_id", b"\"\""),
    ("tenant_id", b"\"a tenant / with spaces\""),
    ("tenant_id", b"\"m\xc3\xbcller\""),
    ("tenant_id", b"\"acme\\n\""),
    ("tenant_id", b"\"acme:\""),
    ("lead_id", b"\"\""),
    ("lead_id", b"\"tab\\there\""),
    ("lead_id", b"\"tab\there\""),
    ("lead_id", b"\"nul\\u0000\""),
    ("lead_id", b"\"nul\x00\""),
    ("lead_id", b"\"next line\\u0085\""),
    ("lead_id", b"\"half \\ud800 a pair\""),
    ("lead_id", b"\"\xff\xfe\""),
    ("lead_id", b"\"overlong \xc0\x80\""),
    ("lead_id", b"\"surrogate \xed\xa0\x80\""),
    ("occurred_at", b"4102444800000"),
    ("occurred_at", b"\"2100-01-01T00:00:00Z\""),
    ("occurred_at", b"7289654400000"),
    ("occurred_at", b"9223372036854775807"),
    ("occurred_at", b"9223372036854775808"),
    ("occurred_at", b"-1"),
    ("occurred_at", b"1767225600000.5"),
    ("occurred_at", b"1.7672256e12"),
    ("occurred_at", b"\"1767225600000\""),
    ("occurred_at", b"\"2026-01-01\""),
    ("occurred_at", b"\"2026-01-01T12:00:00\""),
    ("occurred_at", b"\"2026-02-30T12:00:00Z\""),
    ("occurred_at", b"NaN"),
    ("received_at", b"\"\""),
    ("received_at", b"\"yesterday\""),
    ("received_at", b"\"1969-12-31T23:59:59Z\""),
    ("received_at", b"\"2201-01-01T00:00:00Z\""),
    ("direction", b"\"sideways\""),
    ("consent", b"{\"sms\":\"yes\"}"),
    ("attributes", b"{\"a\":1}"),
    ("measures", b"{\"x\":\"1\"}"),
    ("measures", b"{\"x\":1e999}"),
    ("measures", b"{\"x\":-1e999}"),
    ("measures", b"{\"x\":NaN}"),
    ("measures", b"{\"x\":-Infinity}"),
    ("content", b"\"hello\""),
    ("content", b"{\"text\":5}"),
    ("content", b"{\"text\":\"\xff\"}"),
    ("content", b"{\"attachments\":2147483648}"),
    ("pipeline", b"{\"value_minor\":1.5}"),
    ("content", b"[\"hello\",null,null,null,null]"),
    ("listing", b"[]"),
    ("pipeline", b"[]"),
    ("unheard_of", b"\"\xff\""),
    ("unheard_of", b"{\"a\":}"),
    ("unheard_of", b"1,"),
];

/// Lines that are nothing like an event.
const NOTHING: &[&[u8]] = &[
    b"",
    b" \t",
    b"\0",
    b"null",
    b"true",
    b"17",
    b"NaN",
    b"\"event\"",
    b"{}",
    b"[]",
    br#"["00000000-0000-5000-8000-000000000000","page.viewed","acme","l-1",0,0,"crm",null,null,null,null,null,null,null,null,null,null,null,null,null,null]"#,
    b"{",
    b"}",
    b"{]",
    b"{,}",
    b"{'a':1}",
    b"//",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe{\0}\0",
];

/// Values that are odd and still fine.
const ODD: &[(&str, &[u8])] = &[
    ("event_type", b"\"fax/\xf0\x9f\x93\xa0\""),
    ("channel", b"null"),
    ("agent_id", b"\"\""),
    ("content", b"{\"text\":\"nul \\u0000, a pair \\ud83d\\ude00\"}"),
    ("measures", b"{\"most\":1.7976931348623157e308,\"least\":5e-324,\"none\":-0.0}"),
    ("attributes", b"{\"twice\":\"a\",\"twice\":\"b\"}"),
    ("unheard_of", b"[1,{\"deep\":null}]"),
    ("unheard_of", b"{\"x\":1e999}"),
    ("received_at", b"0"),
    ("received_at", b"\"2026-01-01T12:00:00.123456789+14:00\""),
];

/// A well-formed event of a lead of its own, of a type that nobody knows.
fn unknown_type(number: usize) -> Value {
    let at = START_MS + number as i64 * 1_000;
    json!({
        "event_id": id(0, number),
        "event_type": "fax.received",
        "tenant_id": "acme",
        "lead_id": format!("lead-{number}"),
        "occurred_at": at,
        "received_at": at,
        "source_system": "crm",
    })
}

fn id(place: usize, number: usize) -> String {
    format!("{place:08x}-abcd-5000-8000-{number:012}")
}

fn whole(number: usize) -> Vec<u8> {
    unknown_type(number).to_string().into_bytes()
}

/// An event with one field set.
fn with(number: usize, field: &str, value: impl Into<Value>) -> Vec<u8> {
    let mut event = unknown_type(number);
    event[field] = value.into();
    event.to_string().into_bytes()
}

/// An event with one field set to bytes that need not be JSON.
fn with_raw(number: usize, (field, raw): (&str, &[u8])) -> Vec<u8> {
    let text = String::from_utf8_lossy(&with(number, field, "@")).into_owned();
    match text.split_once("\"@\"") {
        Some((before, behind)) => [before.as_bytes(), raw, behind.as_bytes()].concat(),
        None => text.into_bytes(),
    }
}

/// An event without a field.
fn without(number: usize, field: &str) -> Vec<u8> {
    let mut event = unknown_type(number);
    if let Some(fields) = event.as_object_mut() {
        fields.remove(field);
    }
    event.to_string().into_bytes()
}

/// An event whose line has so many bytes.
fn padded(number: usize, bytes: usize) -> Vec<u8> {
    let empty = with(number, "unheard_of", "").len();
    with(number, "unheard_of", "x".repeat(bytes.saturating_sub(empty)))
}

/// An event of the most bytes a line may have; numbers of one digit make it longer still as a
/// record.
fn denser(number: usize) -> Vec<u8> {
    let mut event = unknown_type(number);
    event["measures"] = (0..256)
        .map(|number| (number.to_string(), Value::from(1)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    event["content"] = json!({ "text": "" });
    let empty = event.to_string().len();
    event["content"]["text"] = "x".repeat(EVENT_BYTES_MAX - empty).into();
    event.to_string().into_bytes()
}

/// A map of so many entries.
fn entries(count: usize) -> Value {
    (0..count)
        .map(|number| (number.to_string(), Value::from("x")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Arrays in each other, closed again.
fn nested(depth: usize) -> Vec<u8> {
    ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes()
}

fn pick<T: Copy>(table: &[T], random: &mut Random) -> Option<T> {
    table.get(random.below(table.len())).copied()
}

/// So many lines of every kind of malformed input, and what must be counted. The first begins with
/// a byte order mark.
#[must_use]
pub fn malformed(seed: u64, lines: usize) -> Mutated {
    let mut random = Random::new(seed, 0);
    let mut created = Mutated { lines: Vec::with_capacity(lines), expected: Counters::default() };
    while created.lines.len() < lines {
        let number = created.lines.len();
        let draw = random.below(20);
        match (number % HUGE_EVERY, draw) {
            (0, _) => created.refuse([b"\xef\xbb\xbf".as_slice(), &whole(number)].concat()),
            (place @ 10..=17, _) => created.huge(place, number),
            (_, 0..=1) => created.accept(whole(number)),
            (_, 2..=4) => created.accept(odd(number, &mut random)),
            (_, 5) if number + 1 < lines => created.twice(number, &mut random),
            (_, 6) if number + 1 < lines => created.behind(number, &mut random),
            _ => {
                let end: &[u8] = if random.is_once_in(4) { b"\r" } else { b"" };
                created.refuse([broken(number, &mut random).as_slice(), end].concat());
            }
        }
    }
    created
}

/// A line that must be taken.
fn odd(number: usize, random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => [whole(number).as_slice(), b"\r"].concat(),
        1 => [b" \t".as_slice(), &whole(number), b" \r"].concat(),
        2 => with(number, "lead_id", format!("{number:0>200}")),
        3 => with(number, "tenant_id", format!("{number:x>64}")),
        4 => with(number, "lead_id", format!("m\u{fc}ller:{number}")),
        5 => with(number, "event_type", "x".repeat(128)),
        6 => with(number, "attributes", entries(256)),
        7 => with_raw(number, ("unheard_of", &nested(1 + random.below(2_000)))),
        _ => pick(ODD, random).map_or_else(|| whole(number), |odd| with_raw(number, odd)),
    }
}

/// A line that must be a dead letter.
fn broken(number: usize, random: &mut Random) -> Vec<u8> {
    let field = pick(REQUIRED, random).unwrap_or_default();
    match random.below(24) {
        0 | 1 => without(number, field),
        2 => with(number, field, Value::Null),
        3 => with(number, field, json!([1, true])),
        4 => {
            let value = &unknown_type(number)[field];
            with_raw(number, (field, format!("{value},\"{field}\":{value}").as_bytes()))
        }
        5 => with(number, "lead_id", "x".repeat(201)),
        6 => with(number, "tenant_id", "x".repeat(65)),
        7 => with(number, "event_type", "x".repeat(129)),
        8 => with(number, "agent_id", "x".repeat(1_025)),
        9 => with(number, "attributes", entries(257)),
        10 => with_raw(number, ("content", &nested(1 + random.below(2_000)))),
        11 => "[".repeat(1 + random.below(2_000)).into_bytes(),
        12 => vec![0; random.below(50)],
        13 => [b"\xef\xbb\xbf".as_slice(), &whole(number)].concat(),
        14 => [whole(number).as_slice(), b" trailing"].concat(),
        15 => [whole(number), whole(number)].concat(),
        16 => (0..1 + random.below(300))
            .map(|_| random.bits() as u8)
            .filter(|byte| *byte != b'\n')
            .collect(),
        17 | 18 => pick(NOTHING, random).unwrap_or_default().to_vec(),
        19 => {
            let mut cut = whole(number);
            cut.truncate(random.below(cut.len()));
            cut
        }
        _ => pick(WRONG, random).map_or_else(Vec::new, |wrong| with_raw(number, wrong)),
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

    /// A line near a bound of size.
    fn huge(&mut self, place: usize, number: usize) {
        match place {
            10 => self.refuse(with(number, "content", json!({ "text": "x".repeat(3 << 20) }))),
            11 => self.accept(with(number, "content", json!({ "text": "x".repeat(900 << 10) }))),
            12 => self.refuse(vec![b'y'; (4 << 20) + 1]),
            13 => self.refuse(padded(number, 5 << 20)),
            14 => self.accept(padded(number, EVENT_BYTES_MAX)),
            15 => self.refuse(padded(number, EVENT_BYTES_MAX + 1)),
            16 => self.accept(denser(number)),
            _ => self.refuse(with(number, "consent", "x".repeat(900 << 10))),
        }
    }

    /// An event, then the same again, the id perhaps in another of its spellings.
    fn twice(&mut self, number: usize, random: &mut Random) {
        self.accept(with(number, "event_type", "message.received"));
        let spelled = id(0, number);
        let spelled = match random.below(5) {
            0 => spelled.to_uppercase(),
            1 => spelled.replace('-', ""),
            2 => format!("{{{spelled}}}"),
            3 => format!("urn:uuid:{spelled}"),
            _ => spelled,
        };
        self.put(with(number, "event_id", spelled), |counters| &mut counters.duplicate);
    }

    /// An event, then an older one of the same lead: exactly a day older is in time, a millisecond
    /// more is not.
    fn behind(&mut self, number: usize, random: &mut Random) {
        self.accept(whole(number));
        let behind_ms = [DAY_MS, DAY_MS + 1, 2 * DAY_MS][random.below(3)];
        let mut older = unknown_type(number);
        older["event_id"] = id(1, number).into();
        older["occurred_at"] = (START_MS + number as i64 * 1_000 - behind_ms).into();
        let older = older.to_string().into_bytes();
        if behind_ms > DAY_MS {
            self.put(older, |counters| &mut counters.late)
        } else {
            self.accept(older)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dense_line_is_within_the_bound_and_its_record_is_not() {
        let line = denser(1);
        let record = crate::codec::interaction::into_avro(
            crate::codec::interaction::from_json(&line).unwrap(),
        );
        assert!(
            line.len() == EVENT_BYTES_MAX && record.len() > EVENT_BYTES_MAX,
            "{} {}",
            line.len(),
            record.len()
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_lines_and_none_holds_a_line_end() {
        let created = malformed(3, 1_000);
        assert_eq!((created.lines.len(), created.expected.received()), (1_000, 1_000));
        assert!(created == malformed(3, 1_000) && created.lines != malformed(4, 1_000).lines);
        assert!(created.lines.iter().all(|line| !line.contains(&b'\n')));
        let longest = created.lines.iter().map(Vec::len).max();
        assert!(longest > Some(4 << 20), "{longest:?}");
    }
}
