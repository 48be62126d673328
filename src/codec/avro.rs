//! Avro single-object encoding of every topic, and generic reading of it for people.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A single decode never allocates more than this at once.
const ALLOCATION_BYTES_MAX: usize = 8 << 20;
/// First bytes of a single-object encoded value (Avro specification, "Single-object encoding").
const MAGIC: [u8; 2] = [0xC3, 0x01];
const HEADER: usize = 10;

/// A topic's schema, compiled in.
pub struct Coded {
    /// Name of the topic.
    pub topic: &'static str,
    /// The schema as written.
    pub text: &'static str,
    schema: Schema,
    header: [u8; HEADER],
}

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident, $topic:literal) => {
        $(#[$doc])*
        pub static $name: LazyLock<Coded> = LazyLock::new(|| Coded::new($topic, include_str!(concat!("../../schemas/", $topic, ".avsc"))));
    };
}

coded!(
    /// Interactions.
    INTERACTIONS, "lead.interactions.v1"
);
coded!(
    /// Predictions.
    PREDICTIONS, "lead.predictions.v1"
);
coded!(
    /// Alerts.
    ALERTS, "lead.alerts.v1"
);
coded!(
    /// Prompts.
    PROMPTS, "coaching.prompts.v1"
);
coded!(
    /// Exposures.
    EXPOSURES, "experiment.exposures.v1"
);
coded!(
    /// Profiles.
    PROFILES, "lead.profiles.v1"
);
coded!(
    /// Definitions.
    DEFINITIONS, "leadstream.definitions.v1"
);
coded!(
    /// Inbox entries.
    INBOX, "leadstream.inbox.v1"
);
coded!(
    /// Switches between inputs.
    ORDER, "leadstream.order.v1"
);
coded!(
    /// Counts of experiments.
    METRICS, "experiment.metrics.v1"
);

/// All schemas.
#[must_use]
pub fn all() -> [&'static Coded; 10] {
    [&INTERACTIONS, &PREDICTIONS, &ALERTS, &PROMPTS, &EXPOSURES, &PROFILES, &METRICS, &DEFINITIONS, &INBOX, &ORDER]
}

/// Why bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not single-object encoded.
    #[error("bad_magic: value does not start with C3 01 and a schema fingerprint")]
    Magic,
    /// Of another schema.
    #[error("unknown_schema: no schema with this fingerprint is known here")]
    Schema,
    /// Not a datum of the schema.
    #[error("bad_datum: {0}")]
    Datum(String),
}

impl Coded {
    fn new(topic: &'static str, text: &'static str) -> Self {
        apache_avro::util::max_allocation_bytes(ALLOCATION_BYTES_MAX);
        let schema = Schema::parse_str(text).expect("compiled-in schemas are read by a test");
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&MAGIC);
        header[2..].copy_from_slice(&schema.fingerprint::<Rabin>().bytes);
        Self { topic, text, schema, header }
    }

    /// Encodes a wire record.
    pub(crate) fn encode(&self, record: &impl Serialize) -> Vec<u8> {
        let writer = GenericDatumWriter::builder(&self.schema).validate(false).build().expect("the schema has no references");
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&self.header);
        writer.write_ser(&mut bytes, record).expect("wire records match their schema: tested");
        bytes
    }

    /// Decodes a wire record.
    pub(crate) fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        let mut datum = datum(bytes, self)?;
        let reader = GenericDatumReader::builder(&self.schema).build().expect("the schema has no references");
        let record = reader.read_deser(&mut datum).map_err(|error| broken(&error))?;
        if datum.is_empty() { Ok(record) } else { Err(Error::Datum(format!("{} bytes after the end", datum.len()))) }
    }
}

/// The cause alone: the library's messages begin with the whole schema.
fn broken(error: &apache_avro::Error) -> Error {
    let text = error.to_string();
    Error::Datum(text.rsplit("): ").next().unwrap_or(&text).to_owned())
}

fn datum<'a>(bytes: &'a [u8], coded: &Coded) -> Result<&'a [u8], Error> {
    if !bytes.starts_with(&MAGIC) || bytes.len() < HEADER {
        return Err(Error::Magic);
    }
    bytes.strip_prefix(coded.header.as_slice()).ok_or(Error::Schema)
}

/// The value as JSON, by the schema its fingerprint names.
///
/// # Errors
/// [`Error`] when the bytes are of no known schema or broken.
pub fn describe(bytes: &[u8]) -> Result<serde_json::Value, Error> {
    let known = all().into_iter().find_map(|coded| datum(bytes, coded).ok().map(|datum| (coded, datum)));
    let (coded, mut datum) = known.ok_or(Error::Schema)?;
    let reader = GenericDatumReader::builder(&coded.schema).build().expect("the schema has no references");
    let value = reader.read_value(&mut datum).map_err(|error| broken(&error))?;
    serde_json::Value::try_from(value).map_err(|error| broken(&error))
}
