//! What stands before an Avro datum and names the schema it was written with.

use std::collections::BTreeMap;
use std::fmt;

use crate::codec::avro::error::Error;

/// First bytes of a single-object encoded value (Avro specification, "Single-object encoding").
pub const MAGIC: [u8; 2] = [0xC3, 0x01];
/// First byte before a registry's 4-byte id (Confluent wire format).
const ID: u8 = 0x00;
/// First byte before a registry's 16-byte GUID (Confluent wire format).
const GUID: u8 = 0x01;
/// Bytes before the datum of a single-object encoded value: the magic and a fingerprint.
pub(crate) const HEADER: usize = 10;

/// Name of a writer's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// CRC-64-AVRO of its canonical form.
    Fingerprint(u64),
    /// A registry's id.
    Id(u32),
    /// A registry's GUID.
    Guid([u8; 16]),
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(fingerprint) => write!(out, "{fingerprint:016x}"),
            Self::Id(id) => write!(out, "{id}"),
            Self::Guid(guid) => write!(out, "{}", uuid::Uuid::from_bytes(*guid)),
        }
    }
}

/// A value taken apart: the name of its writer's schema, and the datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing<'a> {
    /// Single-object encoding.
    Fingerprint(u64, &'a [u8]),
    /// A registry's id.
    Id(u32, &'a [u8]),
    /// A registry's GUID.
    Guid([u8; 16], &'a [u8]),
}

impl<'a> Framing<'a> {
    /// Name of the writer's schema.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::Fingerprint(fingerprint, _) => Key::Fingerprint(fingerprint),
            Self::Id(id, _) => Key::Id(id),
            Self::Guid(guid, _) => Key::Guid(guid),
        }
    }

    /// What follows the name.
    #[must_use]
    pub fn datum(self) -> &'a [u8] {
        match self {
            Self::Fingerprint(_, datum) | Self::Id(_, datum) | Self::Guid(_, datum) => datum,
        }
    }
}

/// Ids that a registry gave to the schemas of own topics; topics without one stay single-object
/// encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames(BTreeMap<&'static str, u32>);

impl Frames {
    /// From ids by topic.
    #[must_use]
    pub fn new(ids: BTreeMap<&'static str, u32>) -> Self {
        Self(ids)
    }

    /// Puts the registry's id in the place of the fingerprint of an own value.
    pub fn put(&self, topic: &str, value: &mut Vec<u8>) {
        if let Some(id) = self.0.get(topic)
            && matches!(frame(value), Ok(Framing::Fingerprint(..)))
        {
            value.splice(..HEADER, [ID].into_iter().chain(id.to_be_bytes()));
        }
    }
}

/// Takes a value apart.
///
/// # Errors
/// [`Error::Magic`] when it is framed in no known way.
pub fn frame(bytes: &[u8]) -> Result<Framing<'_>, Error> {
    let framing = if let Some(rest) = bytes.strip_prefix(&MAGIC) {
        rest.split_first_chunk().map(|(fingerprint, datum)| {
            Framing::Fingerprint(u64::from_le_bytes(*fingerprint), datum)
        })
    } else if let Some(rest) = bytes.strip_prefix(&[ID]) {
        rest.split_first_chunk().map(|(id, datum)| Framing::Id(u32::from_be_bytes(*id), datum))
    } else if let Some(rest) = bytes.strip_prefix(&[GUID]) {
        rest.split_first_chunk().map(|(guid, datum)| Framing::Guid(*guid, datum))
    } else {
        None
    };
    framing.ok_or(Error::Magic)
}

/// The writer's schema as a value names it, for people: `fingerprint 0123456789abcdef`, `id 42` or
/// `guid ...`; `None` where it names none.
#[must_use]
pub fn named_schema(bytes: &[u8]) -> Option<String> {
    Some(match frame(bytes).ok()?.key() {
        Key::Fingerprint(fingerprint) => format!("fingerprint {fingerprint:016x}"),
        Key::Id(id) => format!("id {id}"),
        Key::Guid(guid) => format!("guid {}", uuid::Uuid::from_bytes(guid)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_framing_is_told_apart_and_anything_shorter_is_none() {
        let single = [0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let id = [0, 0, 0, 1, 2, 9];
        let guid = [1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 9];
        assert_eq!(frame(&single), Ok(Framing::Fingerprint(0x0807_0605_0403_0201, &[9])));
        assert_eq!(frame(&id), Ok(Framing::Id(0x102, &[9])));
        assert_eq!(frame(&guid), Ok(Framing::Guid(std::array::from_fn(|place| place as u8), &[9])));
        assert_eq!(named_schema(&single).as_deref(), Some("fingerprint 0807060504030201"));
        assert_eq!(named_schema(&id).as_deref(), Some("id 258"));
        assert_eq!(
            named_schema(&guid).as_deref(),
            Some("guid 00010203-0405-0607-0809-0a0b0c0d0e0f")
        );
        for (value, header) in [(&single[..], 10), (&id[..], 5), (&guid[..], 17)] {
            assert_eq!(frame(value).map(Framing::datum), Ok(&[9][..]));
            for end in 0..header {
                assert_eq!(frame(&value[..end]), Err(Error::Magic), "cut at {end}");
            }
        }
        assert_eq!(frame(b"{}"), Err(Error::Magic));
        assert_eq!(frame(&[0xC3, 2, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Error::Magic));
    }
    #[test]
    fn a_registry_s_id_takes_the_place_of_the_fingerprint_where_the_topic_has_one() {
        let frames = Frames::new([("a", 0x0102_0304)].into());
        let single = [0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let put = |topic: &str, value: &[u8]| {
            let mut value = value.to_vec();
            frames.put(topic, &mut value);
            value
        };
        assert_eq!(put("a", &single), [0, 1, 2, 3, 4, 9, 10]);
        assert_eq!(put("a", &[0, 1, 2, 3, 4, 9, 10]), [0, 1, 2, 3, 4, 9, 10]);
        assert_eq!(put("b", &single), single);
        assert_eq!(put("a", &single[..5]), single[..5]);
    }
}
