//! Avro values of every topic: written single-object encoded, read from any writer whose schema is
//! known, and shown to people.

mod error;
mod framing;
mod plain;
mod canonical;
mod shape;
mod walk;
mod writers;
mod datum;
mod direct;

use std::cell::RefCell;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::ResolvedSchema;
use apache_avro::types::Value;
#[cfg(debug_assertions)]
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::codec::avro::error::Error;
pub use crate::codec::avro::framing::{Frames, Framing, Key, MAGIC, frame, named_schema};
pub use crate::codec::avro::writers::Writers;

use crate::codec::avro::framing::HEADER;
use crate::codec::avro::walk::{ALLOCATION_BYTES_MAX, check};
use crate::codec::avro::writers::Writer;

/// A topic's schema, compiled in with all its released versions.
pub struct TopicSchema {
    /// Name of the topic.
    pub topic: &'static str,
    /// The schema as written.
    pub text: &'static str,
    schema: Schema,
    header: [u8; HEADER],
    own: Writer,
    /// Released versions that lay out bytes differently.
    older: Vec<Writer>,
}

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident, $topic:literal, [$($version:literal),+]) => {
        $(#[$doc])*
        pub static $name: LazyLock<TopicSchema> = LazyLock::new(|| {
            let versions = [$(include_str!(concat!("../../schemas/versions/", $topic, "/", $version, ".avsc"))),+];
            TopicSchema::new($topic, include_str!(concat!("../../schemas/", $topic, ".avsc")), &versions)
        });
    };
}

coded!(
    /// Interactions.
    INTERACTIONS, "lead.interactions.v1", [1]
);
coded!(
    /// Predictions.
    PREDICTIONS, "lead.predictions.v1", [1]
);
coded!(
    /// Alerts.
    ALERTS, "lead.alerts.v1", [1]
);
coded!(
    /// Prompts.
    PROMPTS, "coaching.prompts.v1", [1]
);
coded!(
    /// Exposures.
    EXPOSURES, "experiment.exposures.v1", [1]
);
coded!(
    /// Profiles.
    PROFILES, "lead.profiles.v1", [1]
);
coded!(
    /// Definitions.
    DEFINITIONS, "leadstream.definitions.v1", [1]
);
coded!(
    /// What comes back to a partition from inside.
    INBOX, "leadstream.inbox.v1", [1]
);
coded!(
    /// Switches between a partition's inputs.
    ORDER, "leadstream.order.v1", [1]
);
coded!(
    /// Counts and results of experiments.
    METRICS, "experiment.metrics.v1", [1]
);

/// Every schema that is compiled in.
#[must_use]
pub fn all() -> [&'static TopicSchema; 10] {
    [
        &INTERACTIONS,
        &PREDICTIONS,
        &ALERTS,
        &PROMPTS,
        &EXPOSURES,
        &PROFILES,
        &METRICS,
        &DEFINITIONS,
        &INBOX,
        &ORDER,
    ]
}

/// Schemas of what others write and read; those of the other topics are nobody else's concern.
#[must_use]
pub fn published() -> [&'static TopicSchema; 7] {
    [&INTERACTIONS, &PREDICTIONS, &ALERTS, &PROMPTS, &EXPOSURES, &PROFILES, &METRICS]
}

impl TopicSchema {
    fn new(topic: &'static str, text: &'static str, versions: &[&str]) -> Self {
        apache_avro::util::max_allocation_bytes(ALLOCATION_BYTES_MAX);
        let read = |text: &str| Writer::read(text).expect("compiled-in schemas are read by a test");
        let schema = Schema::parse_str(text).expect("compiled-in schemas are read by a test");
        let own = read(text);
        let older = versions
            .iter()
            .map(|text| read(text))
            .filter(|version| !version.writes_like(&own))
            .collect();
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&MAGIC);
        header[2..].copy_from_slice(&own.fingerprint.to_le_bytes());
        Self { topic, text, schema, header, own, older }
    }

    /// Encodes a wire record.
    pub(crate) fn encode(&self, record: &impl Serialize) -> Vec<u8> {
        // Grown once per thread; what is given away has its exact size.
        thread_local!(static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        let bytes = SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.extend_from_slice(&self.header);
            datum::write(scratch, record)
                .expect("wire records have the shapes of a schema: tested");
            scratch.clone()
        });
        #[cfg(debug_assertions)]
        {
            let mut along_schema = Vec::new();
            let writer = GenericDatumWriter::builder(&self.schema)
                .validate(false)
                .build()
                .expect("the schema has no references");
            writer
                .write_ser(&mut along_schema, record)
                .expect("wire records match their schema: tested");
            assert_eq!(
                bytes.get(HEADER..),
                Some(along_schema.as_slice()),
                "{}: fields are not in the order of the schema",
                self.topic
            );
        }
        bytes
    }

    /// Decodes a wire record of any released version.
    pub(crate) fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        decode_with(&Writers::new(), self, bytes)
    }

    /// The released version with a fingerprint.
    fn version(&self, key: Key) -> Option<&Writer> {
        let versions = std::iter::once(&self.own).chain(&self.older);
        versions.into_iter().find(|version| key == Key::Fingerprint(version.fingerprint))
    }

    fn resolved<T: DeserializeOwned>(&self, writer: &Writer, datum: &[u8]) -> Result<T, Error> {
        let reader =
            GenericDatumReader::builder(&writer.schema).reader_schema(&self.schema).build();
        let value = reader
            .and_then(|reader| reader.read_value(&mut &*datum))
            .map_err(|_| self.unresolved(writer, datum))?;
        apache_avro::from_value(&value).map_err(|_| misfit())
    }

    /// Names the first field that a foreign value cannot give. The library's own message would
    /// repeat what the value says.
    fn unresolved(&self, writer: &Writer, mut datum: &[u8]) -> Error {
        let value = GenericDatumReader::builder(&writer.schema)
            .build()
            .and_then(|reader| reader.read_value(&mut datum));
        let (Ok(Value::Record(values)), Schema::Record(record)) = (value, &self.schema) else {
            return Error::Datum("the writer's schema is no record".to_owned());
        };
        let names = ResolvedSchema::try_from(&self.schema).expect("the schema has no references");
        let cause = record.fields.iter().find_map(|field| {
            let value =
                values.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value.clone());
            match value {
                Some(value) => {
                    value.resolve_with_names(&field.schema, names.get_names()).is_err().then(|| {
                        format!("the writer's type of {} cannot be read as the topic's", field.name)
                    })
                }
                None => field
                    .default
                    .is_none()
                    .then(|| format!("the writer has no field {}", field.name)),
            }
        });
        Error::Datum(
            cause.unwrap_or_else(|| {
                "the writer's schema does not resolve to the topic's".to_owned()
            }),
        )
    }
}

/// Decodes a value of a topic from whoever wrote it: the topic's own released versions are known,
/// all others are looked up.
///
/// # Errors
/// [`Error::Schema`] when the writer's schema is not known, which a registry may change; the others
/// are final.
pub fn decode_with<T: DeserializeOwned>(
    writers: &Writers,
    reader: &TopicSchema,
    bytes: &[u8],
) -> Result<T, Error> {
    let framing = frame(bytes)?;
    let writer = reader.version(framing.key()).map_or_else(|| writers.find(framing.key()), Ok)?;
    check(&writer.shapes, framing.datum())?;
    if writer.writes_like(&reader.own) {
        direct::read(framing.datum()).map_err(|_| misfit())
    } else {
        reader.resolved(writer, framing.datum())
    }
}

/// CRC-64-AVRO of a schema's canonical form, by which single-object encoded values name it.
///
/// # Errors
/// [`Error::Refused`] when the text is no schema, or one beyond the bounds.
pub fn fingerprint(text: &str) -> Result<u64, Error> {
    Writer::read(text).map(|writer| writer.fingerprint)
}

/// The library's own messages repeat the schema and what the value says.
fn misfit() -> Error {
    Error::Datum("the value does not fit the topic's record".to_owned())
}

/// The value as JSON, by the compiled-in schema its fingerprint names.
///
/// # Errors
/// [`Error`] when the bytes are of no known schema or broken.
pub fn describe(bytes: &[u8]) -> Result<serde_json::Value, Error> {
    describe_with(&Writers::new(), bytes)
}

/// The value as JSON, by the schema it names: one that is compiled in, or one of those known.
///
/// # Errors
/// As [`describe`].
pub fn describe_with(writers: &Writers, bytes: &[u8]) -> Result<serde_json::Value, Error> {
    let framing = frame(bytes)?;
    let own = all().into_iter().find_map(|coded| coded.version(framing.key()));
    let writer = own.map_or_else(|| writers.find(framing.key()), Ok)?;
    check(&writer.shapes, framing.datum())?;
    let reader =
        GenericDatumReader::builder(&writer.schema).build().expect("the schema has no references");
    let value = reader.read_value(&mut framing.datum()).map_err(|_| misfit())?;
    serde_json::Value::try_from(value).map_err(|_| misfit())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    const FIRST: &str = r#"{"type":"record","name":"Thing","fields":[
        {"name":"name","type":"string"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"part","type":["null",{"type":"record","name":"Part","fields":[{"name":"size","type":"int"}]}],"default":null}]}"#;
    const SECOND: &str = r#"{"type":"record","name":"Thing","doc":"Newer.","fields":[
        {"name":"name","type":"string"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"part","type":["null",{"type":"record","name":"Part","fields":[
            {"name":"size","type":"int"},{"name":"colour","type":["null","string"],"default":null}]}],"default":null},
        {"name":"note","type":["null","string"],"default":null}]}"#;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Thing")]
    struct First {
        name: String,
        at: i64,
        part: Option<FirstPart>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Part")]
    struct FirstPart {
        size: i32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Thing")]
    struct Second {
        name: String,
        at: i64,
        part: Option<SecondPart>,
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Part")]
    struct SecondPart {
        size: i32,
        colour: Option<String>,
    }

    fn registered(value: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, 9], &value[HEADER..]].concat()
    }

    #[test]
    fn a_version_reads_what_the_one_before_and_the_one_after_it_wrote() {
        let (old, new) = (
            TopicSchema::new("things", FIRST, &[FIRST]),
            TopicSchema::new("things", SECOND, &[FIRST, SECOND]),
        );
        let first = First { name: "a".to_owned(), at: 5, part: Some(FirstPart { size: 3 }) };
        let lifted = Second {
            name: "a".to_owned(),
            at: 5,
            part: Some(SecondPart { size: 3, colour: None }),
            note: None,
        };
        let colour = Some("red".to_owned());
        let second = Second {
            part: Some(SecondPart { size: 3, colour }),
            note: Some("b".to_owned()),
            name: "a".to_owned(),
            at: 5,
        };

        assert_eq!(new.decode::<Second>(&old.encode(&first)), Ok(lifted));
        assert_eq!(new.decode::<Second>(&new.encode(&second)).as_ref(), Ok(&second));
        assert_eq!(old.decode::<First>(&new.encode(&second)), Err(Error::Schema));
        let mut writers = Writers::new();
        let framed = registered(&new.encode(&second));
        assert_eq!(decode_with::<First>(&writers, &old, &framed), Err(Error::Schema));
        writers.add(Key::Id(9), SECOND).unwrap();
        assert_eq!(decode_with::<First>(&writers, &old, &framed).as_ref(), Ok(&first));
        writers.add(Key::Fingerprint(new.own.fingerprint), SECOND).unwrap();
        assert_eq!(decode_with::<First>(&writers, &old, &new.encode(&second)).as_ref(), Ok(&first));
    }

    #[test]
    fn a_registered_schema_of_equal_layout_takes_the_direct_way_but_other_units_of_time_are_refused()
     {
        let coded = TopicSchema::new("things", FIRST, &[FIRST]);
        let first = First { name: "a".to_owned(), at: 5, part: None };
        let framed = registered(&coded.encode(&first));
        let mut writers = Writers::new();
        let java =
            FIRST.replacen("\"string\"", r#"{"type":"string","avro.java.string":"String"}"#, 1);
        writers.add(Key::Id(9), &java).unwrap();
        assert!(writers.find(Key::Id(9)).unwrap().writes_like(&coded.own));
        assert_eq!(decode_with::<First>(&writers, &coded, &framed), Ok(first));

        writers.add(Key::Id(9), &FIRST.replace("millis", "micros")).unwrap();
        assert_eq!(writers.find(Key::Id(9)).unwrap().fingerprint, coded.own.fingerprint);
        let error = decode_with::<First>(&writers, &coded, &framed).unwrap_err();
        assert_eq!(
            error,
            Error::Datum("the writer's type of at cannot be read as the topic's".to_owned())
        );
        writers.add(Key::Id(9), &FIRST.replace("\"at\"", "\"when\"")).unwrap();
        let error = decode_with::<First>(&writers, &coded, &framed).unwrap_err();
        assert_eq!(error, Error::Datum("the writer has no field at".to_owned()));
    }

    #[test]
    fn annotations_that_do_not_change_bytes_are_read_as_the_type_they_annotate() {
        let coded = TopicSchema::new("things", FIRST, &[FIRST]);
        let first =
            First { name: "d1e60a52-1e4b-4b51-8fd6-5a5f4be0b9c3".to_owned(), at: 5, part: None };
        let mut writers = Writers::new();
        writers
            .add(
                Key::Id(9),
                &FIRST.replacen("\"string\"", r#"{"type":"string","logicalType":"uuid"}"#, 1),
            )
            .unwrap();
        assert_eq!(
            decode_with::<First>(&writers, &coded, &registered(&coded.encode(&first))),
            Ok(first)
        );
    }

    #[test]
    fn an_error_never_repeats_what_a_value_says() {
        let coded = TopicSchema::new("things", FIRST, &[FIRST]);
        let mut writers = Writers::new();
        writers
            .add(
                Key::Id(9),
                &FIRST.replacen(
                    r#"{"type":"long","logicalType":"timestamp-millis"}"#,
                    "\"string\"",
                    1,
                ),
            )
            .unwrap();
        let value = [&[0, 0, 0, 0, 9, 2, b'a', 22][..], b"call me 555", &[0]].concat();
        let error = decode_with::<First>(&writers, &coded, &value).unwrap_err();
        assert_eq!(
            error,
            Error::Datum("the writer's type of at cannot be read as the topic's".to_owned())
        );
    }
}
