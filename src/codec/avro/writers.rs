//! Schemas of foreign writers: learnt from a registry, kept within bounds, none trusted.

use std::collections::{BTreeMap, VecDeque};

use apache_avro::Schema;

use crate::codec::avro::canonical;
use crate::codec::avro::error::Error;
use crate::codec::avro::framing::Key;
use crate::codec::avro::plain::{reduce, refused};
use crate::codec::avro::shape::Shapes;

/// Schemas kept at once. Chosen: more than the versions of a topic, few enough to search and to hold.
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
        let fingerprint = canonical::fingerprint(&schema);
        Ok(Self { schema, shapes, fingerprint, weight })
    }

    /// Whether both write the same bytes with the same meaning. Fingerprints alone do not tell milliseconds from microseconds.
    pub(crate) fn writes_like(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.shapes == other.shapes
    }
}

/// Schemas of foreign writers by name. Refusals are kept too, so that nobody asks for them again with every record.
#[derive(Default)]
pub struct Writers {
    known: BTreeMap<Key, Result<Writer, Error>>,
    /// The one added first is the first to go.
    order: VecDeque<Key>,
    weight: usize,
}

impl Writers {
    /// None known.
    #[must_use]
    pub const fn new() -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), weight: 0 }
    }

    /// Learns a schema; past the bounds the oldest are forgotten and read as [`Error::Schema`] again.
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
        let told = writer.as_ref().map(|_| ()).map_err(Clone::clone);
        self.forget(key);
        self.weight += weight(&writer);
        self.known.insert(key, writer);
        self.order.push_back(key);
        while self.order.len() > SCHEMAS_MAX || self.weight > WEIGHT_MAX {
            let Some(oldest) = self.order.front().copied() else { break };
            self.forget(oldest);
        }
        told
    }

    /// Schemas and refusals kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn find(&self, key: Key) -> Result<&Writer, Error> {
        self.known.get(&key).ok_or(Error::Schema)?.as_ref().map_err(Clone::clone)
    }

    fn forget(&mut self, key: Key) {
        if let Some(writer) = self.known.remove(&key) {
            self.weight -= weight(&writer);
            self.order.retain(|other| *other != key);
        }
    }
}

/// A refusal weighs little.
fn weight(writer: &Result<Writer, Error>) -> usize {
    writer.as_ref().map_or(1, |writer| writer.weight)
}
