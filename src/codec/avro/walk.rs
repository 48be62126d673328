//! Whether bytes are one value of a schema and cheap enough to decode: checked before anything is
//! allocated for them.

use crate::codec::avro::error::Error;
use crate::codec::avro::shape::{Index, Shape, Shapes};

/// What decoding one value may take, by the estimate below.
pub const ALLOCATION_BYTES_MAX: usize = 8 << 20;
/// Bytes that one value (item, entry, field or branch) takes at most while it is decoded, resolved
/// to another schema and made a record: its entry in a table that doubles, a copy of that for a
/// union, its place in the result. Chosen above what was measured (test
/// `hostile_values_and_schemas_stay_within_their_memory` in `tests/it/avro.rs`).
const VALUE_BYTES: usize = 640;
/// Copies of a text that exist at once at most: as decoded, as copied for a union, in the result,
/// and one more.
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
    /// Goes past one value. The depth of the shapes bounds the recursion, the estimate the number
    /// of values.
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
                let symbol =
                    usize::try_from(self.long()?).ok().and_then(|place| symbols.get(place));
                let bytes = *symbol.ok_or_else(|| self.wrong("an enum has no such symbol"))?;
                self.charge(bytes.saturating_mul(TEXT_COPIES))
            }
            Shape::Array(item) => self.blocks(*item, false),
            Shape::Map(value) => self.blocks(*value, true),
            Shape::Union(branches) => {
                let branch =
                    usize::try_from(self.long()?).ok().and_then(|place| branches.get(place));
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
        let (processed, rest) =
            self.rest.split_first_chunk().ok_or_else(|| self.wrong("the value is cut short"))?;
        self.rest = rest;
        Ok(*processed)
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let (processed, rest) =
            self.rest.split_at_checked(size).ok_or_else(|| self.wrong("the value is cut short"))?;
        self.rest = rest;
        Ok(processed)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Error::Datum(format!("decoding it would take more than {ALLOCATION_BYTES_MAX} bytes"))
        })?;
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::Datum(format!(
            "{what} (before byte {} of {})",
            self.length - self.rest.len(),
            self.length
        ))
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;

    use super::*;

    fn reported(schema: &str, datum: &[u8]) -> Option<String> {
        let shapes = Shapes::of(&Schema::parse_str(schema).unwrap()).unwrap();
        check(&shapes, datum).err().map(|error| error.to_string())
    }

    #[track_caller]
    fn fine(schema: &str, datum: &[u8]) {
        assert_eq!(reported(schema, datum), None, "{schema} {datum:?}");
    }

    #[track_caller]
    fn wrong(schema: &str, datum: &[u8], names: &str) {
        let reported = reported(schema, datum);
        assert!(
            reported.as_ref().is_some_and(|reported| reported.contains(names)),
            "{schema} {datum:?}: {reported:?}, not {names}"
        );
    }

    const NUMBERS: &str = r#"{"type":"array","items":"int"}"#;
    const NULLS: &str = r#"{"type":"array","items":"null"}"#;
    const NOTHING: &str = r#"{"type":"array","items":{"type":"record","name":"R","fields":[
        {"name":"a","type":"null"},{"name":"b","type":{"type":"fixed","name":"F","size":0}}]}}"#;

    #[test]
    fn each_kind_of_value_takes_its_bytes_and_no_others() {
        fine("\"null\"", &[]);
        fine("\"boolean\"", &[1]);
        wrong("\"boolean\"", &[2], "neither 0 nor 1");
        fine("\"int\"", &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
        wrong("\"int\"", &[0x80, 0x80, 0x80, 0x80, 0x10], "32 bits");
        fine("\"long\"", &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
        wrong("\"long\"", &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "64 bits");
        wrong("\"long\"", &[0x80; 11], "64 bits");
        fine("\"double\"", &[0; 8]);
        wrong("\"float\"", &[0; 8], "4 bytes after the end");
        fine("\"string\"", &[4, 0xC3, 0xA4]);
        wrong("\"string\"", &[4, 0xC3, 0x28], "UTF-8");
        fine("\"bytes\"", &[4, 0xC3, 0x28]);
        wrong("\"bytes\"", &[1], "negative");
        wrong(
            "\"string\"",
            &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 65],
            "cut short",
        );
        fine(r#"["null","int"]"#, &[2, 6]);
        wrong(r#"["null","int"]"#, &[4, 6], "no such branch");
        wrong(r#"["null","int"]"#, &[1], "no such branch");
        let letters = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
        fine(letters, &[2]);
        wrong(letters, &[4], "no such symbol");
    }

    #[test]
    fn blocks_may_state_their_size_and_must_keep_to_it() {
        fine(NUMBERS, &[4, 2, 4, 2, 6, 0]);
        fine(NUMBERS, &[3, 4, 2, 4, 0]);
        wrong(NUMBERS, &[3, 2, 2, 4, 0], "size it states");
        wrong(NUMBERS, &[3, 1, 2, 4, 0], "negative");
        wrong(
            NUMBERS,
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0, 2],
            "cut short",
        );
        wrong(NUMBERS, &[4, 2], "cut short");
        fine(r#"{"type":"map","values":"null"}"#, &[2, 2, 65, 0]);
        wrong(r#"{"type":"map","values":"null"}"#, &[2, 2, 0xFF, 0], "UTF-8");
    }

    #[test]
    fn five_bytes_cannot_ask_for_millions_of_items() {
        let five_million = [0x80, 0xAD, 0xE2, 0x04, 0];
        wrong(NULLS, &five_million, "no bytes");
        wrong(NOTHING, &five_million, "no bytes");
        fine(NULLS, &[0]);
        wrong(r#"{"type":"map","values":"null"}"#, &five_million, "cut short");
    }

    #[test]
    fn what_would_take_too_much_memory_is_refused_however_few_bytes_it_has() {
        let long = [&[0xFE, 0xFF, 0xFF, 0x01][..], &vec![b'a'; (1 << 21) - 1]].concat();
        wrong("\"string\"", &long, "more than 8388608 bytes");
        let half = [&[0xFE, 0xFF, 0x7F][..], &vec![b'a'; (1 << 20) - 1]].concat();
        fine("\"string\"", &half);
        let many = [&[0x80, 0x80, 0x02][..], &vec![0; 1 << 14], &[0]].concat();
        wrong(NUMBERS, &many, "more than 8388608 bytes");

        let mut doubling = r#"{"type":"record","name":"L0","fields":[]}"#.to_owned();
        for level in 1..32 {
            let below = level - 1;
            doubling = format!(
                r#"{{"type":"record","name":"L{level}","fields":[{{"name":"a","type":{doubling}}},{{"name":"b","type":"L{below}"}}]}}"#
            );
        }
        wrong(&doubling, &[], "more than 8388608 bytes");
        let name = "n".repeat(60_000);
        let named = format!(
            r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"boolean"}}]}}}}"#
        );
        wrong(&named, &[&[0x80, 0x01][..], &[0; 64], &[0]].concat(), "more than 8388608 bytes");
    }
}
