//! Reads an Avro datum into a record of ours, without looking at its schema: the way back of
//! `codec::avro::datum`, right under the same conditions. What a datum may ask for is bounded
//! before, by `codec::avro::walk`.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Why a record cannot be read: it ends early, or has a shape that none of our schemas has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the datum does not fit the record")]
pub struct Unfit;

impl serde::de::Error for Unfit {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads a record that takes the whole datum.
///
/// # Errors
/// [`Unfit`].
pub fn read<'de, T: Deserialize<'de>>(datum: &'de [u8]) -> Result<T, Unfit> {
    let mut direct = Direct { rest: datum };
    let record = T::deserialize(&mut direct)?;
    if direct.rest.is_empty() { Ok(record) } else { Err(Unfit) }
}

struct Direct<'de> {
    rest: &'de [u8],
}

impl<'de> Direct<'de> {
    fn take(&mut self, length: usize) -> Result<&'de [u8], Unfit> {
        let (processed, rest) = self.rest.split_at_checked(length).ok_or(Unfit)?;
        self.rest = rest;
        Ok(processed)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Unfit> {
        let (processed, rest) = self.rest.split_first_chunk().ok_or(Unfit)?;
        self.rest = rest;
        Ok(*processed)
    }

    /// Seven bits a byte, then zigzag.
    fn long(&mut self) -> Result<i64, Unfit> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Unfit)
    }

    fn sized(&mut self) -> Result<&'de [u8], Unfit> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Unfit)?)
    }
}

/// The fields of a record.
struct Fields<'a, 'de> {
    direct: &'a mut Direct<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unfit> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.direct).map(Some)
    }
}

/// The items of an array or a map, in blocks of which the last one is empty.
struct Blocks<'a, 'de> {
    direct: &'a mut Direct<'de>,
    left: u64,
}

impl Blocks<'_, '_> {
    /// Whether there is another item.
    fn advance(&mut self) -> Result<bool, Unfit> {
        if self.left == 0 {
            let count = self.direct.long()?;
            if count < 0 {
                // The size of the block, for who wants to skip it.
                self.direct.long()?;
            }
            self.left = count.unsigned_abs();
            if self.left == 0 {
                return Ok(false);
            }
        }
        self.left -= 1;
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Blocks<'_, 'de> {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unfit> {
        if self.advance()? { seed.deserialize(&mut *self.direct).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Blocks<'_, 'de> {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unfit> {
        if self.advance()? { seed.deserialize(&mut *self.direct).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unfit> {
        seed.deserialize(&mut *self.direct)
    }
}

macro_rules! read {
    ($($name:ident: $direct:ident => $visit:ident($value:expr)),+ $(,)?) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            let $direct = self;
            let value = $value;
            visitor.$visit(value)
        })+
    };
}

impl<'de> Deserializer<'de> for &mut Direct<'de> {
    type Error = Unfit;

    forward_to_deserialize_any! {
        i8 i16 u8 u16 u32 u64 char unit unit_struct tuple tuple_struct enum identifier ignored_any
    }

    read! {
        deserialize_bool: direct => visit_bool(direct.array::<1>()? == [1]),
        deserialize_i32: direct => visit_i32(i32::try_from(direct.long()?).map_err(|_| Unfit)?),
        deserialize_i64: direct => visit_i64(direct.long()?),
        deserialize_f32: direct => visit_f32(f32::from_le_bytes(direct.array()?)),
        deserialize_f64: direct => visit_f64(f64::from_le_bytes(direct.array()?)),
        deserialize_str: direct => visit_borrowed_str(std::str::from_utf8(direct.sized()?).map_err(|_| Unfit)?),
        deserialize_string: direct => visit_borrowed_str(std::str::from_utf8(direct.sized()?).map_err(|_| Unfit)?),
        deserialize_bytes: direct => visit_borrowed_bytes(direct.sized()?),
        deserialize_byte_buf: direct => visit_borrowed_bytes(direct.sized()?),
        deserialize_seq: direct => visit_seq(Blocks { direct, left: 0 }),
        deserialize_map: direct => visit_map(Blocks { direct, left: 0 }),
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unfit> {
        Err(Unfit)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.long()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Unfit),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_seq(Fields { direct: self, left: fields.len() })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::codec::avro::datum;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        flag: bool,
        small: i32,
        large: i64,
        single: f32,
        double: f64,
        text: String,
        bytes: Option<ByteBuf>,
        part: Option<Part>,
        items: Vec<Part>,
        entries: BTreeMap<String, f64>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Part {
        name: Option<String>,
    }

    fn everything(large: i64) -> Everything {
        Everything {
            flag: true,
            small: i32::MIN,
            large,
            single: 0.5,
            double: -1e300,
            text: "\u{e4}".to_owned(),
            bytes: Some(ByteBuf::from([0, 255])),
            part: Some(Part { name: None }),
            items: vec![Part { name: Some("a".to_owned()) }, Part { name: None }],
            entries: BTreeMap::from([("b".to_owned(), 1.0), (String::new(), -0.0)]),
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_part_of_it_is_not() {
        for large in [0, -1, 63, 64, -65, i64::MAX, i64::MIN] {
            let (record, mut bytes) = (everything(large), Vec::new());
            datum::write(&mut bytes, &record).unwrap();
            assert_eq!(read(&bytes), Ok(record));
            (0..bytes.len())
                .for_each(|end| assert_eq!(read::<Everything>(&bytes[..end]), Err(Unfit)));
            bytes.push(0);
            assert_eq!(read::<Everything>(&bytes), Err(Unfit));
        }
    }

    #[test]
    fn blocks_may_be_many_and_may_tell_their_size() {
        assert_eq!(read(&[2, 4, 3, 4, 6, 8, 0]), Ok(vec![2_i64, 3, 4]));
        assert_eq!(read::<Vec<i64>>(&[2, 4]), Err(Unfit));
        assert_eq!(read::<Option<i64>>(&[4, 2]), Err(Unfit));
        assert_eq!(read::<i64>(&[0x80; 11]), Err(Unfit));
        assert_eq!(read::<i32>(&[0x80, 0x80, 0x80, 0x80, 0x10]), Err(Unfit));
        assert_eq!(read::<String>(&[2, 0xff]), Err(Unfit));
        assert_eq!(read::<String>(&[1]), Err(Unfit));
    }
}
