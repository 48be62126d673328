//! Schemas of foreign writers: learnt from a registry, kept within bounds, none trusted.

use std::num::NonZeroUsize;
use std::sync::Arc;

use apache_avro::Schema;
use lru::LruCache;
use sha2::{Digest, Sha256};

use crate::codec::avro::canonical;
use crate::codec::avro::error::Error;
use crate::codec::avro::framing::Key;
use crate::codec::avro::plain::{reduce, refused};
use crate::codec::avro::shape::Shapes;

/// Schemas kept at once. Chosen: more than the versions of a topic, few enough to search and to
/// hold.
const SCHEMAS_MAX: usize = 256;
/// Weight of all schemas kept at once: eight of the heaviest that are taken.
const WEIGHT_MAX: usize = 1 << 17;

/// The schema a value was written with.
pub(crate) struct Writer {
    /// Reduced to what decides how bytes are laid out.
    pub(crate) schema: Schema,
    /// How it lays out bytes.
    pub(crate) shapes: Shapes,
    /// CRC-64-AVRO of its canonical form.
    pub(crate) fingerprint: u64,
    /// Digest of the canonical form and of what its numbers mean: the fingerprint tells neither
    /// milliseconds from microseconds nor, where someone means harm, one schema from another.
    layout: [u8; 32],
    weight: usize,
}

impl Writer {
    /// Reads a schema of unknown origin.
    ///
    /// # Errors
    /// [`Error::Refused`] when it breaks a bound or is no schema.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let (plain, weight) = reduce(text)?;
        // The library's message repeats names of the schema at any length.
        let schema = Schema::parse(&plain).map_err(|_| refused("the text is no Avro schema"))?;
        let shapes = Shapes::of(&schema)?;
        let form = canonical::form(&schema);
        let layout = Sha256::digest(format!("{form}{:?}", shapes.numbers())).into();
        let fingerprint = canonical::fingerprint(&form);
        Ok(Self { schema, shapes, fingerprint, layout, weight })
    }

    /// Whether both write the same bytes with the same meaning.
    pub(crate) fn writes_like(&self, other: &Self) -> bool {
        self.layout == other.layout
    }
}

/// Schemas of foreign writers by name, shared with whoever decodes. Refusals are kept too, so that
/// nobody asks for them again with every record.
pub struct Writers {
    /// The one used least lately is the first to go.
    known: LruCache<Key, Result<Arc<Writer>, Error>>,
    weight: usize,
}

impl Default for Writers {
    fn default() -> Self {
        Self::new()
    }
}

impl Writers {
    /// None known.
    #[must_use]
    pub fn new() -> Self {
        Self::of_at_most(SCHEMAS_MAX)
    }

    /// None known; at most `schemas` are kept.
    #[must_use]
    pub fn of_at_most(schemas: usize) -> Self {
        let most = NonZeroUsize::new(schemas).unwrap_or(NonZeroUsize::MIN);
        Self { known: LruCache::new(most), weight: 0 }
    }

    /// This one schema, or its refusal, alone: what decoding a value needs, without the lock that
    /// guards all of them.
    #[must_use]
    pub fn only(&self, key: Key) -> Self {
        let mut only = Self::of_at_most(1);
        if let Some(writer) = self.known.peek(&key) {
            only.known.put(key, writer.clone());
        }
        only
    }

    /// Learns a schema; past the bounds those used least lately are forgotten and read as
    /// [`Error::Schema`] again.
    ///
    /// # Errors
    /// [`Error::Refused`], which is kept as the answer for this name.
    pub fn add(&mut self, key: Key, text: &str) -> Result<(), Error> {
        let writer = Writer::read(text).and_then(|writer| match key {
            Key::Fingerprint(fingerprint) if fingerprint != writer.fingerprint => {
                Err(refused("the schema has another fingerprint than the one it was asked for by"))
            }
            Key::Fingerprint(_) | Key::Id(_) | Key::Guid(_) => Ok(writer),
        });
        let reported = writer.as_ref().map(|_| ()).map_err(Clone::clone);
        self.keep(key, writer.map(Arc::new));
        reported
    }

    /// Learns that a schema cannot be taken, and why.
    pub fn refuse(&mut self, key: Key, cause: &str) {
        self.keep(key, Err(refused(cause)));
    }

    /// Whether a schema, or its refusal, is kept; it is now the one used last.
    pub fn touch(&mut self, key: Key) -> bool {
        self.known.get(&key).is_some()
    }

    /// Schemas and refusals kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn find(&self, key: Key) -> Result<&Writer, Error> {
        self.known.peek(&key).ok_or(Error::Schema)?.as_deref().map_err(Clone::clone)
    }

    fn keep(&mut self, key: Key, writer: Result<Arc<Writer>, Error>) {
        self.weight += weight(&writer);
        // What stood under the name, or the one used least lately where all places are taken.
        if let Some((_, gone)) = self.known.push(key, writer) {
            self.weight -= weight(&gone);
        }
        while self.weight > WEIGHT_MAX {
            let Some((_, gone)) = self.known.pop_lru() else { break };
            self.weight -= weight(&gone);
        }
    }
}

/// A refusal weighs little.
fn weight(writer: &Result<Arc<Writer>, Error>) -> usize {
    writer.as_ref().map_or(1, |writer| writer.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list of schemas")]
    fn a_hostile_schema_is_refused_and_the_refusal_is_kept() {
        let nested = |depth: usize| {
            format!(
                "{}\"int\"{}",
                r#"{"type":"array","items":"#.repeat(depth - 1),
                "}".repeat(depth - 1)
            )
        };
        let named = |count: usize| {
            let one = |number| {
                format!(
                    r#"{{"name":"f{number}","type":{{"type":"fixed","name":"F{number}","size":1}}}}"#
                )
            };
            record(&(0..count).map(one).collect::<Vec<_>>().join(","))
        };
        let wide = |count: usize| {
            record(
                &(0..count)
                    .map(|number| format!(r#"{{"name":"f{number}","type":"int"}}"#))
                    .collect::<Vec<_>>()
                    .join(","),
            )
        };
        let through_names = r#"{"type":"record","name":"A","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[
            {"name":"a","type":["null",{"type":"map","values":{"type":"array","items":"A"}}]}]}}]}"#;
        let hostile = [
            ("recursive", record(r#"{"name":"next","type":["null","R"]}"#)),
            ("recursive", through_names.to_owned()),
            ("more than 32 deep", nested(33)),
            ("recursion limit", "[".repeat(100_000)),
            ("has 262145 bytes", " ".repeat((256 << 10) + 1)),
            ("more than 256 named", named(256)),
            ("weighs more than", wide(5_000)),
            ("too many values", format!("[{}\"int\"]", "\"int\",".repeat(20_000))),
            (
                "weighs more than",
                nested_records(20).replacen(
                    "\"n\",\"type\":\"int\"",
                    &format!("\"{}\",\"type\":\"int\"", "n".repeat(60_000)),
                    1,
                ),
            ),
            ("no Avro schema", record(r#"{"name":"a-b","type":"int"}"#)),
            ("no Avro schema", record(r#"{"name":"a","type":"Unknown"}"#)),
            ("not JSON", record("")[..20].to_owned()),
            ("given twice", r#"{"type":"int","type":"long"}"#.to_owned()),
            ("no fields", r#"{"type":"record","name":"R"}"#.to_owned()),
            ("no list", r#"{"type":"record","name":"R","fields":7}"#.to_owned()),
            ("no number of bytes", r#"{"type":"fixed","name":"F","size":-1}"#.to_owned()),
            ("no number of bytes", r#"{"type":"fixed","name":"F","size":99999999999}"#.to_owned()),
            ("neither a name", "[1]".to_owned()),
            (
                "annotates something",
                r#"{"type":{"type":"long"},"logicalType":"timestamp-micros"}"#.to_owned(),
            ),
        ];
        let mut writers = Writers::new();
        for (names, text) in hostile {
            let error = writers.add(Key::Id(1), &text).unwrap_err();
            assert!(
                matches!(&error, Error::Refused(cause) if cause.contains(names) && cause.len() < 200),
                "{names}: {error}"
            );
            assert_eq!(writers.find(Key::Id(1)).err(), Some(error));
        }
        for text in [nested(32), named(255), wide(2_000), record("")] {
            assert_eq!(writers.add(Key::Id(1), &text), Ok(()));
        }
        let other = writers.add(Key::Fingerprint(5), "\"int\"").unwrap_err();
        assert!(other.to_string().contains("another fingerprint"));
        assert_eq!(writers.add(Key::Fingerprint(8_247_732_601_305_521_295), "\"int\""), Ok(()));
    }

    /// A record within a record, so many deep.
    fn nested_records(depth: usize) -> String {
        let open = |level: usize| {
            format!(r#"{{"type":"record","name":"N{level}","fields":[{{"name":"n","type":"#)
        };
        format!("{}\"int\"{}", (0..depth).map(open).collect::<String>(), "}]}".repeat(depth))
    }

    #[test]
    fn names_that_double_at_every_level_are_counted_at_their_full_depth() {
        let twice = |level: usize| {
            let (name, below) = (format!("L{level}"), level - 1);
            format!(
                r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":#}},{{"name":"b","type":"L{below}"}}]}}"#
            )
        };
        let mut text = r#"{"type":"record","name":"L0","fields":[]}"#.to_owned();
        for level in 1..32 {
            text = twice(level).replacen('#', &text, 1);
        }
        assert!(Writer::read(&text).is_ok());
        assert!(
            matches!(Writer::read(&twice(32).replacen('#', &text, 1)), Err(Error::Refused(cause)) if cause.contains("32 deep"))
        );
    }

    #[test]
    fn a_name_is_as_deep_where_it_is_used_as_where_it_is_defined() {
        let arrays = |depth: usize| {
            format!("{}\"N0\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth))
        };
        let used = |depth: usize| {
            record(&format!(
                r#"{{"name":"a","type":{}}},{{"name":"b","type":{}}}"#,
                nested_records(20),
                arrays(depth)
            ))
        };
        assert!(Writer::read(&used(10)).is_ok());
        assert!(
            matches!(Writer::read(&used(11)), Err(Error::Refused(cause)) if cause.contains("32 deep"))
        );
    }

    #[test]
    fn the_oldest_schemas_go_when_there_are_too_many_or_they_weigh_too_much() {
        let mut writers = Writers::new();
        for id in 0..=256 {
            writers.add(Key::Id(id), "\"int\"").unwrap();
            writers.add(Key::Id(id), "\"int\"").unwrap();
        }
        assert_eq!(
            (writers.len(), writers.find(Key::Id(0)).err(), writers.find(Key::Id(1)).err()),
            (256, Some(Error::Schema), None)
        );
        let heavy = record(
            &(0..2_000)
                .map(|number| format!(r#"{{"name":"f{number}","type":"int"}}"#))
                .collect::<Vec<_>>()
                .join(","),
        );
        for id in 1_000..1_100 {
            writers.add(Key::Id(id), &heavy).unwrap();
        }
        assert!(writers.len() < 30 && writers.weight <= WEIGHT_MAX, "{}", writers.len());
        assert_eq!(
            (writers.find(Key::Id(1_099)).err(), writers.find(Key::Id(1_000)).err()),
            (None, Some(Error::Schema))
        );
    }
    #[test]
    fn what_was_used_last_is_the_last_to_go_and_a_refusal_is_kept_like_a_schema() {
        let mut writers = Writers::of_at_most(2);
        writers.add(Key::Id(1), "\"int\"").unwrap();
        writers.refuse(Key::Id(2), "too long");
        assert!(writers.touch(Key::Id(1)) && !writers.touch(Key::Id(3)));
        writers.add(Key::Id(3), "\"int\"").unwrap();
        assert_eq!(
            (writers.touch(Key::Id(1)), writers.touch(Key::Id(2)), writers.touch(Key::Id(3))),
            (true, false, true)
        );
        writers.refuse(Key::Id(1), "too long");
        assert_eq!(writers.find(Key::Id(1)).err(), Some(refused("too long")));
    }
}
