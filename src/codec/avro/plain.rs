//! A schema text of unknown origin, read within bounds and reduced to what decides how bytes are
//! laid out.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use crate::codec::avro::error::Error;

/// Bytes of a schema text.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// JSON values of a schema text that are looked at, and the weight of what is kept of them. Chosen:
/// a record of a thousand fields weighs about 4,000, and the library takes less than 8 MiB for a
/// schema of this weight (test `hostile_values_and_schemas_stay_within_their_memory`).
const WEIGHT_MAX: usize = 16_384;
/// A name weighs one more for so many bytes.
const NAME_BYTES: usize = 64;
/// Attributes that decide how bytes are laid out; documentation, aliases, defaults and everything
/// unknown do not.
const ATTRIBUTES: [&str; 9] =
    ["type", "name", "namespace", "fields", "items", "values", "symbols", "size", "logicalType"];
/// Logical types that change what a number means. The others (decimal, uuid, duration) are read as
/// the type they annotate.
const TIMES: [&str; 9] = [
    "date",
    "time-millis",
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "timestamp-nanos",
    "local-timestamp-millis",
    "local-timestamp-micros",
    "local-timestamp-nanos",
];

/// The reduced schema and its weight: values kept, each counted once more for every record around
/// it, because the parser keeps a copy of every record it meets.
///
/// # Errors
/// [`Error::Refused`] when it is larger than the bounds or not shaped like a schema.
pub fn reduce(text: &str) -> Result<(Value, usize), Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(refused(format!(
            "the schema has {} bytes, at most {TEXT_BYTES_MAX} are taken",
            text.len()
        )));
    }
    let mut left = WEIGHT_MAX;
    let mut source = serde_json::Deserializer::from_str(text);
    let whole = Load { left: &mut left }
        .deserialize(&mut source)
        .and_then(|whole| source.end().map(|()| whole));
    let whole =
        whole.map_err(|error| refused(format!("the schema is not JSON as expected: {error}")))?;
    let mut reducer = Reducer { left: WEIGHT_MAX };
    let plain = reducer.schema(&whole, 1)?;
    Ok((plain, WEIGHT_MAX - reducer.left))
}

/// A refusal with its sentence.
pub fn refused(sentence: impl Into<String>) -> Error {
    Error::Refused(sentence.into())
}

/// Reads the attributes that matter, and no more than a number of values.
struct Load<'a> {
    left: &'a mut usize,
}

impl Load<'_> {
    fn count<E: serde::de::Error>(&mut self, value: Value) -> Result<Value, E> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Load<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Load<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a schema")
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<Value, E> {
        self.count(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<Value, E> {
        self.count(value.into())
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<Value, E> {
        self.count(value.into())
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<Value, E> {
        self.count(value.into())
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<Value, E> {
        self.count(value.into())
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.count(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.count::<A::Error>(Value::Null)?;
        let mut list = Vec::new();
        while let Some(value) = entries.next_element_seed(Load { left: self.left })? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.count::<A::Error>(Value::Null)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !ATTRIBUTES.contains(&key.as_str()) {
                entries.next_value::<IgnoredAny>()?;
            } else if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key} is given twice")));
            } else {
                map.insert(key, entries.next_value_seed(Load { left: self.left })?);
            }
        }
        Ok(Value::Object(map))
    }
}

/// Rebuilds a schema from the attributes each kind of it has.
struct Reducer {
    left: usize,
}

impl Reducer {
    /// `copies`: how often the parser will hold what is added now.
    fn schema(&mut self, value: &Value, copies: usize) -> Result<Value, Error> {
        match value {
            Value::String(name) => self.text(name, copies),
            Value::Array(branches) => {
                self.weigh(1, copies)?;
                branches.iter().map(|branch| self.schema(branch, copies)).collect()
            }
            Value::Object(map) => self.complex(map, copies),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(refused("a type is neither a name nor an object nor a list"))
            }
        }
    }

    fn complex(&mut self, map: &Map<String, Value>, copies: usize) -> Result<Value, Error> {
        self.weigh(1, copies)?;
        let time =
            map.get("logicalType").and_then(Value::as_str).filter(|name| TIMES.contains(name));
        let kind = match (map.get("type"), time) {
            (Some(Value::String(kind)), _) => kind.as_str(),
            (Some(nested), None) => return self.schema(nested, copies),
            (Some(_), Some(_)) => {
                return Err(refused(
                    "a logical type of time annotates something that is no number",
                ));
            }
            (None, _) => return Err(refused("an object has no type")),
        };
        let mut plain = Map::new();
        plain.insert("type".to_owned(), self.text(kind, copies)?);
        match kind {
            "record" | "enum" | "fixed" => self.named(kind, map, &mut plain, copies)?,
            "array" => {
                plain.insert("items".to_owned(), self.schema(required(map, "items")?, copies)?);
            }
            "map" => {
                plain.insert("values".to_owned(), self.schema(required(map, "values")?, copies)?);
            }
            _ => {
                if let Some(time) = time {
                    plain.insert("logicalType".to_owned(), time.into());
                }
            }
        }
        Ok(Value::Object(plain))
    }

    fn named(
        &mut self,
        kind: &str,
        map: &Map<String, Value>,
        plain: &mut Map<String, Value>,
        copies: usize,
    ) -> Result<(), Error> {
        for attribute in ["name", "namespace"] {
            if let Some(name) = map.get(attribute).and_then(Value::as_str) {
                plain.insert(attribute.to_owned(), self.text(name, copies + 1)?);
            }
        }
        match kind {
            "record" => {
                let fields = list(map, "fields")?.iter().map(|field| self.field(field, copies + 1));
                plain.insert("fields".to_owned(), fields.collect::<Result<_, _>>()?);
            }
            "enum" => {
                let symbols = list(map, "symbols")?.iter();
                let symbols = symbols.map(|symbol| {
                    self.text(
                        symbol.as_str().ok_or_else(|| refused("a symbol is no text"))?,
                        copies + 1,
                    )
                });
                plain.insert("symbols".to_owned(), symbols.collect::<Result<_, _>>()?);
            }
            _ => {
                let size =
                    required(map, "size")?.as_u64().and_then(|size| u32::try_from(size).ok());
                plain.insert(
                    "size".to_owned(),
                    size.ok_or_else(|| refused("a size is no number of bytes"))?.into(),
                );
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Value, copies: usize) -> Result<Value, Error> {
        let field = field.as_object().ok_or_else(|| refused("a field is no object"))?;
        let name = required(field, "name")?
            .as_str()
            .ok_or_else(|| refused("a field's name is no text"))?;
        let mut plain = Map::new();
        plain.insert("name".to_owned(), self.text(name, copies)?);
        plain.insert("type".to_owned(), self.schema(required(field, "type")?, copies)?);
        Ok(Value::Object(plain))
    }

    fn text(&mut self, text: &str, copies: usize) -> Result<Value, Error> {
        self.weigh(1 + text.len() / NAME_BYTES, copies)?;
        Ok(text.into())
    }

    fn weigh(&mut self, weight: usize, copies: usize) -> Result<(), Error> {
        let left = weight.checked_mul(copies).and_then(|weight| self.left.checked_sub(weight));
        self.left = left
            .ok_or_else(|| refused(format!("the schema weighs more than {WEIGHT_MAX} values")))?;
        Ok(())
    }
}

fn required<'a>(map: &'a Map<String, Value>, attribute: &str) -> Result<&'a Value, Error> {
    map.get(attribute).ok_or_else(|| refused(format!("an object has no {attribute}")))
}

fn list<'a>(map: &'a Map<String, Value>, attribute: &str) -> Result<&'a Vec<Value>, Error> {
    required(map, attribute)?.as_array().ok_or_else(|| refused(format!("{attribute} is no list")))
}
