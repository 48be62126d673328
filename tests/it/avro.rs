//! Schemas: their rules and their versions. Values: whatever bytes and schemas say, an error at
//! most, within a bound of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde_json::{Value, json};

use leadstream::codec::avro::{self, Error, Key, Writers, all, describe};
use leadstream::codec::interaction::{from_avro, from_avro_with, from_json, to_avro};
use leadstream::codec::internal;
use leadstream::domain::event::Interaction;

const PRIMITIVES: [&str; 7] = ["string", "bytes", "boolean", "int", "long", "float", "double"];

/// Fingerprint of every released version, its bytes in reverse, as computed by fastavro 1.13: a
/// released version is never edited.
const RELEASED: [(&str, usize, u64); 10] = [
    ("coaching.prompts.v1", 1, 0xd7ea_3668_3c20_586d),
    ("experiment.exposures.v1", 1, 0x4dda_6e2f_8713_26b3),
    ("experiment.metrics.v1", 1, 0xeec9_b4cb_21e1_c750),
    ("lead.alerts.v1", 1, 0x5b1d_4697_673a_fe55),
    ("lead.interactions.v1", 1, 0x912e_2aa7_0763_ef8a),
    ("lead.predictions.v1", 1, 0xc661_442d_3737_f063),
    ("lead.profiles.v1", 1, 0x6e7d_7281_822a_caf2),
    ("leadstream.definitions.v1", 1, 0x7f0c_0793_24a8_2bb8),
    ("leadstream.inbox.v1", 1, 0x1042_ceae_c6c0_2168),
    ("leadstream.order.v1", 1, 0x26d5_77d8_11b2_1063),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    std::fs::read_dir(folder).unwrap().map(name).collect()
}

/// Released versions of a topic, the first first.
fn versions(topic: &str) -> Vec<String> {
    let folder = folder().join("versions").join(topic);
    let count = names(&folder).len();
    (1..=count)
        .map(|version| std::fs::read_to_string(folder.join(format!("{version}.avsc"))).unwrap())
        .collect()
}

/// What a schema does that the rules of change forbid. `defined`: names of records that are
/// complete.
fn broken_rules(
    place: &str,
    schema: &Value,
    defined: &mut BTreeSet<String>,
    broken: &mut Vec<String>,
) {
    let kind = schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or("none");
    match kind {
        "record" => {
            if schema["doc"].as_str().is_none_or(str::is_empty)
                || schema["namespace"] != "com.leadstream"
            {
                broken.push(format!("{place}: a record without doc or namespace"));
            }
            for field in schema["fields"].as_array().unwrap() {
                broken_field(
                    &format!("{place}.{}", field["name"].as_str().unwrap()),
                    field,
                    defined,
                    broken,
                );
            }
            defined.insert(format!("com.leadstream.{}", schema["name"].as_str().unwrap()));
        }
        "array" => broken_rules(place, &schema["items"], defined, broken),
        "map" => broken_rules(place, &schema["values"], defined, broken),
        "long" if schema["logicalType"] == "timestamp-millis" => {}
        _ if schema.is_string() && (PRIMITIVES.contains(&kind) || defined.contains(kind)) => {}
        _ => broken.push(format!("{place}: {schema} is not allowed")),
    }
}

fn broken_field(
    place: &str,
    field: &Value,
    defined: &mut BTreeSet<String>,
    broken: &mut Vec<String>,
) {
    let (name, nullable) = (field["name"].as_str().unwrap(), field["type"].is_array());
    let kind = if nullable { &field["type"][1] } else { &field["type"] };
    if nullable && (field["type"].as_array().unwrap().len() != 2 || field["type"][0] != "null") {
        broken.push(format!("{place}: a union other than [null, T]"));
    }
    if nullable != field.get("default").is_some_and(Value::is_null)
        || field.get("default").is_some_and(|value| !value.is_null())
    {
        broken.push(format!("{place}: a default that is not null, or none where null may stand"));
    }
    if field["doc"].as_str().is_none_or(str::is_empty) {
        broken.push(format!("{place}: no doc"));
    }
    if (name == "at" || name.ends_with("_at")) != (kind["logicalType"] == "timestamp-millis") {
        broken.push(format!("{place}: a time is called at or _at and is timestamp-millis"));
    }
    if name.ends_with("_minor") && kind != "long" {
        broken.push(format!("{place}: money is a long"));
    }
    broken_rules(place, kind, defined, broken);
}

fn rules_broken_by(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    broken_rules("", &serde_json::from_str(text).unwrap(), &mut BTreeSet::new(), &mut broken);
    broken
}

/// The fields of every record by record and name, nested types by name alone.
fn fields(schema: &Value, found: &mut BTreeMap<(String, String), Value>) -> Value {
    match schema {
        Value::Array(branches) => branches.iter().map(|branch| fields(branch, found)).collect(),
        Value::Object(map) if map["type"] == "record" => {
            let record = schema["name"].as_str().unwrap();
            for field in schema["fields"].as_array().unwrap() {
                let kind = fields(&field["type"], found);
                found.insert((record.to_owned(), field["name"].as_str().unwrap().to_owned()), kind);
            }
            json!(format!("com.leadstream.{record}"))
        }
        Value::Object(map) => {
            let kept = map.iter().filter(|(attribute, _)| *attribute != "doc");
            kept.map(|(attribute, value)| {
                (
                    attribute.clone(),
                    if value.is_object() { fields(value, found) } else { value.clone() },
                )
            })
            .collect()
        }
        name => name.clone(),
    }
}

/// What keeps two versions from reading each other, or breaks the stricter rules of
/// `schemas/README.md`.
fn incompatible(older: &str, newer: &str) -> Option<String> {
    let flat = |text: &str| {
        let mut found = BTreeMap::new();
        let root = fields(&serde_json::from_str(text).unwrap(), &mut found);
        (root, found)
    };
    let ((old_root, old), (new_root, new)) = (flat(older), flat(newer));
    if old_root != new_root {
        return Some(format!("{old_root} became {new_root}"));
    }
    if let Some((place, _)) = old.iter().find(|(place, kind)| new.get(place) != Some(kind)) {
        return Some(format!("{place:?} was removed, renamed or changed"));
    }
    let records: BTreeSet<_> = old.keys().map(|(record, _)| record).collect();
    let added =
        new.iter().filter(|(place, _)| !old.contains_key(place) && records.contains(&place.0));
    if let Some((place, _)) = added.into_iter().find(|(_, kind)| kind[0] != "null") {
        return Some(format!("{place:?} was added and may not be null"));
    }
    let (older, newer) = (Schema::parse_str(older).unwrap(), Schema::parse_str(newer).unwrap());
    match SchemaCompatibility::mutual_read(&older, &newer) {
        Ok(Compatibility::Full) => None,
        other => Some(format!("the library says {other:?}")),
    }
}

#[test]
fn every_schema_has_docs_and_obeys_the_field_rules() {
    let topics: BTreeSet<String> =
        all().iter().map(|coded| format!("{}.avsc", coded.topic)).collect();
    let other = ["README.md", "versions"].map(str::to_owned);
    assert_eq!(names(&folder()), topics.into_iter().chain(other).collect());
    for coded in all() {
        assert_eq!(rules_broken_by(coded.text), Vec::<String>::new(), "{}", coded.topic);
    }
}

#[test]
fn what_breaks_a_field_rule_is_noticed() {
    let text = all()[0].text;
    let doc = "\"doc\": \"UUID; the same delivery always has the same.\"";
    let id = |kind: &str| text.replacen("\"type\": \"string\"", &format!("\"type\": {kind}"), 1);
    let cases = [
        (id(r#"{"type":"enum","name":"E","symbols":["A"]}"#), "is not allowed"),
        (id(r#"{"type":"fixed","name":"F","size":3}"#), "is not allowed"),
        (id(r#""LeadInteraction""#), "is not allowed"),
        (id(r#""com.leadstream.LeadInteraction""#), "is not allowed"),
        (id(r#"{"type":"long","logicalType":"timestamp-micros"}"#), "is not allowed"),
        (id(r#"["string","null"]"#), "a union other"),
        (id(r#"["null","string"]"#), "a default that"),
        (id(r#"["null","string","int"]"#), "a union other"),
        (text.replacen(doc, "\"doc\": \"\"", 1), "no doc"),
        (text.replacen(doc, "\"default\": \"\"", 1), "no doc"),
        (text.replacen("\"doc\": \"One interaction with a lead.\",", "", 1), "without doc"),
        (text.replacen("\"event_id\"", "\"told_at\"", 1), "a time is called"),
        (text.replacen("\"occurred_at\"", "\"occurred\"", 1), "a time is called"),
        (text.replacen("\"event_id\"", "\"fee_minor\"", 1), "money"),
    ];
    for (text, names) in cases {
        assert!(
            rules_broken_by(&text).iter().any(|broken| broken.contains(names)),
            "{names}: {:?}",
            rules_broken_by(&text)
        );
    }
}

#[test]
fn every_released_version_is_compiled_in_and_reads_every_other() {
    let topics: BTreeSet<String> = all().iter().map(|coded| coded.topic.to_owned()).collect();
    assert_eq!(names(&folder().join("versions")), topics);
    for coded in all() {
        let versions = versions(coded.topic);
        assert_eq!(
            versions.last().map(String::as_str),
            Some(coded.text),
            "{}: the newest version is not released",
            coded.topic
        );
        for (place, newer) in versions.iter().enumerate() {
            let header =
                [&[0xC3, 1][..], &avro::fingerprint(newer).unwrap().to_le_bytes()].concat();
            assert!(
                matches!(describe(&header), Err(Error::Datum(_))),
                "{} {} is not compiled in",
                coded.topic,
                place + 1
            );
            for older in &versions[..place] {
                assert_eq!(incompatible(older, newer), None, "{}", coded.topic);
            }
        }
    }
}

#[test]
fn no_released_version_was_edited_and_others_compute_the_same_fingerprints() {
    let released = all().into_iter().flat_map(|coded| {
        (1..).zip(versions(coded.topic)).map(|(version, text)| (coded.topic, version, text))
    });
    let computed: BTreeSet<_> = released
        .map(|(topic, version, text)| {
            (topic, version, avro::fingerprint(&text).unwrap().swap_bytes())
        })
        .collect();
    assert_eq!(computed, RELEASED.into());
}

#[test]
fn a_version_that_could_not_read_another_is_noticed() {
    let text = all()[0].text;
    let nullable = "\"type\": [\n    \"null\",\n    \"string\"\n   ],";
    let field = |field: &str| text.replacen("\"fields\": [", &format!("\"fields\": [{field},"), 1);
    let id = text.split_once("\"fields\": [").unwrap().1.split_once("},").unwrap().0;
    assert!(text.contains(nullable));
    let compatible = [
        text.to_owned(),
        field(r#"{"name":"extra","type":["null","string"],"default":null}"#),
        field(
            r#"{"name":"extra","type":["null",{"type":"record","name":"Extra","fields":[{"name":"size","type":"int"}]}],"default":null}"#,
        ),
        text.replacen("\"doc\": \"When it happened.\"", "\"doc\": \"The moment.\"", 1),
    ];
    let broken = [
        text.replacen(&format!("{id}}},"), "", 1),
        text.replacen("\"name\": \"event_id\"", "\"name\": \"id\"", 1),
        text.replacen("\"name\": \"agent_id\"", "\"name\": \"agent\"", 1),
        text.replacen("\"name\": \"event_id\"", "\"name\": \"id\", \"aliases\": [\"event_id\"]", 1),
        text.replacen("\"type\": \"string\"", "\"type\": \"bytes\"", 1),
        text.replacen("\"type\": \"string\"", "\"type\": \"int\"", 1),
        text.replacen(
            "\"type\": \"string\"",
            r#""type": {"type":"enum","name":"E","symbols":["A"]}"#,
            1,
        ),
        text.replacen("timestamp-millis", "timestamp-micros", 1),
        text.replacen("\"int\"", "\"long\"", 1),
        text.replacen("\"values\": \"double\"", "\"values\": \"float\"", 1),
        text.replacen(nullable, "\"type\": \"string\",", 1),
        text.replacen("\"name\": \"LeadInteraction\"", "\"name\": \"Interaction\"", 1),
        text.replacen("\"name\": \"currency\"", "\"name\": \"money\"", 1),
        field(r#"{"name":"extra","type":"string"}"#),
        field(r#"{"name":"extra","type":"string","default":""}"#),
        field(r#"{"name":"extra","type":["null","string"]}"#),
        field(r#"{"name":"extra","type":{"type":"enum","name":"E","symbols":["A"]}}"#),
    ];
    for other in compatible {
        assert_eq!(incompatible(text, &other), None, "{other}");
    }
    for other in broken {
        assert_ne!(other, text);
        assert!(incompatible(text, &other).is_some(), "{other}");
    }
}

const LINE: &str = r#"{"event_id":"57bb7c06-fde5-5816-9d6a-7a124d6f1afa","event_type":"message.received","tenant_id":"acme","lead_id":"l-1","occurred_at":"2026-01-01T00:03:00.000Z","received_at":1767225780000,"source_system":"crm","channel":"sms","direction":"inbound","content":{"text":"is it still free?"},"consent":{"sms":true},"measures":{"x":1.5},"attributes":{"a":"b","c":"d"},"pipeline":{"stage_id":"New","value_minor":-1}}"#;
/// Bytes of a single-object header.
const HEADER: usize = 10;

fn event() -> Interaction {
    from_json(LINE.as_bytes()).unwrap()
}

/// A writer's schema that has one more field than ours.
fn schema_with(kind: &str) -> String {
    let text = all()[0].text;
    let (fields, end) = text.rsplit_once("\n ]").unwrap();
    format!("{fields},\n{{\"name\":\"extra\",\"type\":{kind}}}\n ]{end}")
}

/// An event as its writer's schema says, under a registry's id.
fn registered(event: &Interaction, id: u32, extra: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), &to_avro(event)[HEADER..], extra].concat()
}

fn writers(id: u32, kind: &str) -> Writers {
    let mut writers = Writers::new();
    writers.add(Key::Id(id), &schema_with(kind)).unwrap();
    writers
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn both_framings_carry_events_of_our_schema_and_of_a_newer_one() {
    let mut known_writers = writers(7, r#"["null","string"]"#);
    known_writers.add(Key::Guid([7; 16]), all()[0].text).unwrap();
    let newer = registered(&event(), 7, &[2, 4, b'h', b'i']);
    let guid = [&[1][..], &[7; 16], &to_avro(&event())[HEADER..]].concat();
    for value in [&newer, &guid, &to_avro(&event())] {
        assert_eq!(from_avro_with(&known_writers, value), Ok(event()));
    }
    assert_eq!(
        from_avro_with(&known_writers, &registered(&event(), 8, &[])).unwrap_err().code,
        "unknown_schema"
    );
    assert_eq!(from_avro(&guid).unwrap_err().code, "unknown_schema");
    assert_eq!(from_avro(b"{}").unwrap_err().code, "bad_magic");
    known_writers.add(Key::Id(8), "[[").unwrap_err();
    assert_eq!(
        from_avro_with(&known_writers, &registered(&event(), 8, &[])).unwrap_err().code,
        "bad_schema"
    );
}

#[test]
fn a_value_that_is_cut_or_has_one_wrong_bit_is_an_error_or_another_value() {
    let writers =
        writers(7, r#"{"type":"map","values":["null","long",{"type":"array","items":"double"}]}"#);
    let extra = [4, 2, b'a', 2, 6, 2, b'b', 4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for value in [to_avro(&event()), registered(&event(), 7, &extra)] {
        assert_eq!(from_avro_with(&writers, &value), Ok(event()));
        for end in 0..value.len() {
            assert!(from_avro_with(&writers, &value[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..8 * value.len() {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _must_not_panic = (from_avro_with(&writers, &flipped), describe(&flipped));
        }
        assert_eq!(
            from_avro_with(&writers, &[&value[..], &[0]].concat()).unwrap_err().code,
            "bad_datum"
        );
    }
}

#[test]
fn random_bytes_and_random_changes_are_an_error_or_a_value() {
    let writers =
        writers(7, r#"{"type":"array","items":["null","string",{"type":"map","values":"bytes"}]}"#);
    let mut random = Random(42);
    let templates: Vec<Vec<u8>> = all()
        .iter()
        .map(|coded| {
            [&[0xC3, 1][..], &avro::fingerprint(coded.text).unwrap().to_le_bytes()].concat()
        })
        .chain([
            registered(&event(), 7, &[0])[..5].to_vec(),
            registered(&event(), 7, &[2, 2, 2, 65, 0]),
            to_avro(&event()),
        ])
        .collect();
    let mut values = 0;
    for _ in 0..100_000 {
        let mut bytes = templates[random.below(templates.len())].clone();
        for _ in 0..random.below(4) {
            let place = HEADER + random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte = random.next() as u8;
            }
        }
        // Small bytes are more often lengths and branches that make sense.
        bytes.extend((0..random.below(64)).map(|place| {
            if place % 3 == 0 { random.next() as u8 } else { (random.next() % 4) as u8 }
        }));
        values += usize::from(from_avro_with(&writers, &bytes).is_ok());
        let _must_not_panic =
            (internal::definition(&bytes), internal::inbox(&bytes), internal::switch(&bytes));
        let _must_not_panic = describe(&bytes);
    }
    assert!(values > 0);
}

#[test]
fn random_changes_of_a_schema_are_refused_or_read() {
    let mut random = Random(43);
    let words = [
        "[", "]", "{", "}", "\"", ",", "null", "record", "array", "map", "enum", "fixed",
        "Pipeline", "int", "\\u0000", "1e9",
    ];
    let value = registered(&event(), 7, &[]);
    let mut read = 0;
    for _ in 0..3_000 {
        let mut text = all()[random.below(all().len())].text.to_owned();
        for _ in 0..=random.below(3) {
            let start = random.below(text.len());
            let end = (start + random.below(12)).min(text.len());
            text.replace_range(start..end, words[random.below(words.len())]);
        }
        let mut writers = Writers::new();
        read += usize::from(writers.add(Key::Id(7), &text).is_ok());
        let _must_not_panic = from_avro_with(&writers, &value);
    }
    assert!(read > 0);
}

/// Set in the process that measures itself.
const MEASURES: &str = "LEADSTREAM_TEST_MEASURES_MEMORY";
/// What decoding may take by its own estimate, and what the allocator may add to that.
const GROWTH_KIB_MAX: u64 = (8 + 2) << 10;

/// Address space of this process in KiB: now, and at its largest.
fn address_space() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    };
    (line("VmSize:"), line("VmPeak:"))
}

fn zigzag(number: usize) -> Vec<u8> {
    let (mut bits, mut bytes) = (number as u64 * 2, Vec::new());
    while bits > 0x7F {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
    bytes
}

/// A block of `count` equal items.
fn block(count: usize, item: &[u8]) -> Vec<u8> {
    [zigzag(count), item.repeat(count), vec![0]].concat()
}

fn record_of(fields: usize, kind: &str) -> String {
    let fields: Vec<_> =
        (0..fields).map(|field| format!(r#"{{"name":"f{field}","type":{kind}}}"#)).collect();
    format!(r#"{{"type":"record","name":"Wide","fields":[{}]}}"#, fields.join(","))
}

fn nested_records(depth: usize, innermost: &str) -> String {
    let open = |level: usize| {
        format!(r#"{{"type":"record","name":"N{level}","fields":[{{"name":"n","type":"#)
    };
    format!("{}{innermost}{}", (0..depth).map(open).collect::<String>(), "}]}".repeat(depth))
}

/// Records whose two fields are of the record below, so many times.
fn doubling(depth: usize) -> String {
    (1..depth).fold(r#"{"type":"record","name":"L0","fields":[{"name":"a","type":"boolean"}]}"#.to_owned(), |below, level| {
        let name = level - 1;
        format!(r#"{{"type":"record","name":"L{level}","fields":[{{"name":"a","type":{below}}},{{"name":"b","type":"L{name}"}}]}}"#)
    })
}

/// The type of an extra field, its bytes, and the code of the answer.
fn hostile_extras() -> Vec<(String, Vec<u8>, &'static str)> {
    let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    let map = r#"{"type":"map","values":"boolean"}"#.to_owned();
    let keys = |count: usize| {
        let entries =
            (0..count).flat_map(|key| [&[10][..], format!("{key:05}").as_bytes(), &[1]].concat());
        [zigzag(count), entries.collect(), vec![0]].concat()
    };
    let huge = zigzag(i64::MAX as usize / 2);
    let cases = [
        (array("\"null\""), vec![0x80, 0xAD, 0xE2, 0x04, 0], "bad_datum"),
        (array(&record_of(1, "\"null\"")), vec![0x80, 0xAD, 0xE2, 0x04, 0], "bad_datum"),
        (array("\"long\""), huge.clone(), "bad_datum"),
        (map.clone(), huge.clone(), "bad_datum"),
        ("\"string\"".to_owned(), huge.clone(), "bad_datum"),
        ("\"bytes\"".to_owned(), [zigzag(7 << 20), vec![0; 100]].concat(), "bad_datum"),
        (doubling(30), vec![1; 1 << 19], "bad_datum"),
        (array(&map), block(100_000, &[2, 2, 65, 1, 0]), "bad_datum"),
        // As much as is taken of each kind.
        (array("\"boolean\""), block(13_000, &[1]), ""),
        (array("\"string\""), block(12_900, &[0]), ""),
        (array(&array("\"boolean\"")), block(6_500, &[2, 1, 0]), ""),
        (array(&map), block(6_400, &[2, 2, 65, 1, 0]), ""),
        (array(&record_of(20, r#"["null","string"]"#)), block(300, &[0; 20]), ""),
        (record_of(2_500, "\"boolean\""), vec![1; 2_500], ""),
        (array(&nested_records(20, "\"boolean\"")), block(600, &[1]), ""),
        (doubling(13), vec![1; 1 << 12], ""),
        (map, keys(12_000), ""),
        ("\"bytes\"".to_owned(), [zigzag(1_000_000), vec![7; 1_000_000]].concat(), ""),
    ];
    cases.into()
}

/// Schemas, and whether they are taken.
fn hostile_schemas() -> [(String, bool); 8] {
    let symbols: String = (0..8_000).map(|number| format!("\"S{number}\",")).collect();
    let fixed: String = (0..250)
        .map(|number| format!(r#"{{"type":"fixed","name":"F{number}","size":1}},"#))
        .collect();
    [
        (nested_records(10, &record_of(650, "\"int\"")), true),
        (
            nested_records(30, "\"int\"").replace("\"n\"", &format!("\"{}\"", "n".repeat(1_500))),
            true,
        ),
        (format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}"A"]}}"#), true),
        (format!("[{fixed}\"int\"]"), true),
        (format!(r#"{{"type":"int","doc":"{}"}}"#, "d".repeat(200_000)), true),
        (format!(r#"{{"type":"int","aliases":[{}0]}}"#, "0,".repeat(100_000)), true),
        (format!("[{}\"int\"]", r#"{"type":0},"#.repeat(20_000)), false),
        (nested_records(10, &record_of(2_000, "\"int\"")), false),
    ]
}

/// Reads every hostile schema and value, and looks at the address space after each.
fn measure() {
    let (mut long, mut wide) = (event(), event());
    long.content.as_mut().unwrap().text = Some("a".repeat(1_040_000));
    wide.attributes = (0..6_400).map(|key| (format!("{key:05}"), "value".to_owned())).collect();
    let (ours, newer) = (all()[0].text.to_owned(), schema_with(r#"["null","string"]"#));
    let extras = hostile_extras()
        .into_iter()
        .map(|(kind, extra, code)| (schema_with(&kind), registered(&event(), 7, &extra), code));
    let cases: Vec<_> = extras
        .chain([
            (newer.clone(), registered(&long, 7, &[0]), ""),
            (newer, registered(&wide, 7, &[0]), "invalid_field"),
            (ours.clone(), registered(&long, 7, &[]), ""),
            (ours, registered(&wide, 7, &[]), "invalid_field"),
        ])
        .collect();
    let schemas = hostile_schemas();
    from_avro(&to_avro(&event())).unwrap();

    let (start, _) = address_space();
    let within = |what: &str| {
        let growth = address_space().1 - start;
        println!("{growth} KiB after {}", &what[what.len() - 60..]);
        assert!(
            growth <= GROWTH_KIB_MAX,
            "{growth} KiB were taken at {}",
            &what[what.len() - 60..]
        );
    };
    for (schema, value, code) in &cases {
        let mut writers = Writers::new();
        writers.add(Key::Id(7), schema).unwrap();
        let answer = from_avro_with(&writers, value).map_or_else(|error| error.code, |_| "");
        assert_eq!(answer, *code, "{}", &schema[schema.len() - 60..]);
        within(schema);
    }
    for (schema, processed) in &schemas {
        assert_eq!(
            Writers::new().add(Key::Id(7), schema).is_ok(),
            *processed,
            "{}",
            &schema[schema.len() - 60..]
        );
        within(schema);
    }
    let control: Vec<_> = (0_u64..1 << 17).map(|number| Box::new([number; 8])).collect();
    assert!(
        address_space().1 - start >= 8 << 10 && *control[1] == [1; 8],
        "8 MiB were taken and not seen"
    );
}

#[test]
fn hostile_values_and_schemas_stay_within_their_memory() {
    if !Path::new("/proc/self/status").exists() {
        return eprintln!("not run: this system does not say how much memory a process has");
    }
    if std::env::var_os(MEASURES).is_some() {
        return measure();
    }
    // A process of its own, alone in its memory; without the bounds it would ask for more than the
    // machine has.
    let child = Command::new("sh")
        .args(["-c", "ulimit -v 1048576 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "avro::hostile_values_and_schemas_stay_within_their_memory",
            "--test-threads=1",
            "--nocapture",
        ])
        .envs([
            (MEASURES, "1"),
            ("MALLOC_ARENA_MAX", "1"),
            ("MALLOC_MMAP_THRESHOLD_", "65536"),
            ("MALLOC_TOP_PAD_", "0"),
        ])
        .output()
        .unwrap();
    let reported = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && reported.contains("1 passed"),
        "{reported}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}
