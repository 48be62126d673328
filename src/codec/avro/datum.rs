//! Writes a record of ours as an Avro datum, without looking at its schema (Avro 1.12, Binary
//! Encoding).
//!
//! This is right for records whose fields stand in the order of their schema and whose unions are
//! all `[null, T]`, which holds for every schema here; debug builds, and so all tests, compare each
//! value with what the library writes along the schema.

use std::fmt;

use serde::ser::{
    self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer,
};

/// Why a record cannot be written: it has a shape that none of our schemas has.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit(&'static str);

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in a wire record", self.0)
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("a value that refuses itself")
    }
}

/// Appends the datum of a record.
///
/// # Errors
/// [`Unfit`].
pub fn write(bytes: &mut Vec<u8>, record: &impl Serialize) -> Result<(), Unfit> {
    record.serialize(Datum(bytes))
}

struct Datum<'a>(&'a mut Vec<u8>);

impl Datum<'_> {
    /// Zigzag, then seven bits a byte.
    fn long(&mut self, number: i64) {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.0.extend_from_slice(bytes);
    }
}

/// The items of an array or a map: one block with their number, then the empty block.
struct Items<'a> {
    datum: Datum<'a>,
    is_empty: bool,
}

impl<'a> Items<'a> {
    fn begin(mut datum: Datum<'a>, length: Option<usize>) -> Result<Self, Unfit> {
        let length = length.ok_or(Unfit("a list of unknown length"))?;
        if length > 0 {
            datum.long(length as i64);
        }
        Ok(Self { datum, is_empty: length == 0 })
    }

    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        if self.is_empty {
            return Err(Unfit("a list that is longer than it says"));
        }
        value.serialize(Datum(self.datum.0))
    }

    fn finish(mut self) {
        self.datum.long(0);
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.put(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish();
        Ok(())
    }
}

impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        self.put(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.put(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish();
        Ok(())
    }
}

impl SerializeStruct for Datum<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        value.serialize(Datum(self.0))
    }

    fn end(self) -> Result<(), Unfit> {
        Ok(())
    }
}

/// Shapes that no schema here has.
macro_rules! unfit {
    ($($name:ident($($of:ty),*) -> $answer:ty),+ $(,)?) => {
        $(fn $name(self, $(_: $of),*) -> Result<$answer, Unfit> {
            Err(Unfit(stringify!($name)))
        })+
    };
}

impl<'a> Serializer for Datum<'a> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Impossible<(), Unfit>;
    type SerializeTupleStruct = Impossible<(), Unfit>;
    type SerializeTupleVariant = Impossible<(), Unfit>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Unfit>;

    unfit! {
        serialize_i8(i8) -> (), serialize_i16(i16) -> (), serialize_u8(u8) -> (), serialize_u16(u16) -> (), serialize_u32(u32) -> (),
        serialize_u64(u64) -> (), serialize_char(char) -> (), serialize_unit() -> (), serialize_unit_struct(&'static str) -> (),
        serialize_unit_variant(&'static str, u32, &'static str) -> (), serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant,
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        self.0.push(u8::from(value));
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unfit> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(mut self, value: i64) -> Result<(), Unfit> {
        self.long(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unfit> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unfit> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_str(mut self, value: &str) -> Result<(), Unfit> {
        self.sized(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), Unfit> {
        self.sized(value);
        Ok(())
    }

    fn serialize_none(mut self) -> Result<(), Unfit> {
        self.long(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Unfit> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unfit> {
        Err(Unfit("serialize_newtype_variant"))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'a>, Unfit> {
        Items::begin(self, length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Items<'a>, Unfit> {
        Items::begin(self, length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unfit> {
        Ok(self)
    }
}
