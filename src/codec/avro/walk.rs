//! Whether bytes are one value of a schema and cheap enough to decode: checked before anything is allocated for them.

use crate::codec::avro::error::Error;
use crate::codec::avro::shape::{Index, Shape, Shapes};

/// What decoding one value may take, by the estimate below.
pub const ALLOCATION_BYTES_MAX: usize = 8 << 20;
/// Bytes that one value (item, entry, field or branch) takes at most while it is decoded, resolved to another schema and made
/// a record: its entry in a table that doubles, a copy of that for a union, its place in the result. Chosen above what was
/// measured (test `hostile_values_and_schemas_stay_within_their_memory` in `tests/it/avro.rs`).
const VALUE_BYTES: usize = 640;
/// Copies of a text that exist at once at most: as decoded, as copied for a union, in the result, and one more.
const TEXT_COPIES: usize = 4;
/// Bytes of a 64-bit number at seven bits a byte.
const VARINT_BYTES_MAX: u32 = 10;

/// Whether the bytes are one value of the schema, nothing more, and cheap enough to decode.
///
/// # Errors
/// [`Error::Datum`] with what is wrong and where, without what the bytes say.
pub fn check(shapes: &Shapes, datum: &[u8]) -> Result<(), Error> {
    let mut walk = Walk { shapes, rest: datum, length: datum.len(), left: ALLOCATION_BYTES_MAX };
    walk.value(shapes.root())?;
    match walk.rest.len() {
        0 => Ok(()),
        more => Err(Error::Datum(format!("{more} bytes after the end"))),
    }
}

struct Walk<'a> {
    shapes: &'a Shapes,
    rest: &'a [u8],
    length: usize,
    /// Bytes of the estimate that are not used up.
    left: usize,
}

impl<'a> Walk<'a> {
    /// Goes past one value. The depth of the shapes bounds the recursion, the estimate the number of values.
    fn value(&mut self, index: Index) -> Result<(), Error> {
        self.charge(VALUE_BYTES)?;
        let shapes = self.shapes;
        match &shapes.node(index).shape {
            Shape::Null => Ok(()),
            Shape::Boolean => match self.take(1)? {
                [0 | 1] => Ok(()),
                _ => Err(self.wrong("a boolean is neither 0 nor 1")),
            },
            Shape::Int(_) => match i32::try_from(self.long()?) {
                Ok(_) => Ok(()),
                Err(_) => Err(self.wrong("an int has more than 32 bits")),
            },
            Shape::Long(_) => self.long().map(drop),
            Shape::Fixed(size) => self.text(*size).map(drop),
            Shape::Bytes => self.sized().map(drop),
            Shape::String => self.string(),
            Shape::Enum(symbols) => {
                let symbol = usize::try_from(self.long()?).ok().and_then(|place| symbols.get(place));
                let bytes = *symbol.ok_or_else(|| self.wrong("an enum has no such symbol"))?;
                self.charge(bytes.saturating_mul(TEXT_COPIES))
            }
            Shape::Array(item) => self.blocks(*item, false),
            Shape::Map(value) => self.blocks(*value, true),
            Shape::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok().and_then(|place| branches.get(place));
                let branch = *branch.ok_or_else(|| self.wrong("a union has no such branch"))?;
                self.value(branch)
            }
            Shape::Record(fields) => fields.iter().try_for_each(|(field, name_bytes)| {
                self.charge(name_bytes.saturating_mul(TEXT_COPIES))?;
                self.value(*field)
            }),
        }
    }

    /// Goes past the blocks of an array or a map.
    fn blocks(&mut self, part: Index, keyed: bool) -> Result<(), Error> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let stated = if count < 0 { Some(self.size()?) } else { None };
            // Five bytes could otherwise ask for millions of items.
            if !keyed && self.shapes.node(part).weightless {
                return Err(self.wrong("an array repeats an item that has no bytes"));
            }
            let before = self.rest.len();
            for _ in 0..count.unsigned_abs() {
                if keyed {
                    self.string()?;
                }
                self.value(part)?;
            }
            if stated.is_some_and(|size| size != before - self.rest.len()) {
                return Err(self.wrong("a block does not have the size it states"));
            }
        }
    }

    fn string(&mut self) -> Result<(), Error> {
        match std::str::from_utf8(self.sized()?) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.wrong("a text is not UTF-8")),
        }
    }

    fn sized(&mut self) -> Result<&'a [u8], Error> {
        let size = self.size()?;
        self.text(size)
    }

    fn text(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let text = self.take(size)?;
        self.charge(size.saturating_mul(TEXT_COPIES))?;
        Ok(text)
    }

    fn size(&mut self) -> Result<usize, Error> {
        usize::try_from(self.long()?).map_err(|_| self.wrong("a length is negative"))
    }

    /// A zigzag varint.
    fn long(&mut self) -> Result<i64, Error> {
        let mut bits = 0_u64;
        for place in 0..VARINT_BYTES_MAX {
            let [byte] = self.take_array()?;
            let part = u64::from(byte & 0x7F);
            if (part << (7 * place)) >> (7 * place) != part {
                break;
            }
            bits |= part << (7 * place);
            if byte & 0x80 == 0 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(self.wrong("a number has more than 64 bits"))
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong("the value is cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or_else(|| self.wrong("the value is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| Error::Datum(format!("decoding it would take more than {ALLOCATION_BYTES_MAX} bytes")))?;
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::Datum(format!("{what} (before byte {} of {})", self.length - self.rest.len(), self.length))
    }
}
