//! The parsing canonical form of a schema and its fingerprint (Avro specification, "Parsing
//! Canonical Form for Schemas").
//!
//! Written out here because the library's own form keeps `{"type":"long"}` where the specification
//! asks for `"long"` under a logical type, so that no other implementation would find the same
//! fingerprint for a schema with a time in it.

use std::collections::BTreeSet;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::schema::{DecimalSchema, FixedSchema, InnerDecimalSchema, Name, UuidSchema};
use sha2::Digest;

/// The canonical form of a schema whose names are all complete, as the parser leaves them.
#[must_use]
pub fn form(schema: &Schema) -> String {
    let mut form = String::with_capacity(4_096);
    write(schema, &mut form, &mut BTreeSet::new());
    form
}

/// CRC-64-AVRO of a canonical form.
#[must_use]
pub fn fingerprint(form: &str) -> u64 {
    Rabin::digest(form.as_bytes()).iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn write(schema: &Schema, out: &mut String, defined: &mut BTreeSet<String>) {
    match schema {
        Schema::Null => out.push_str("\"null\""),
        Schema::Boolean => out.push_str("\"boolean\""),
        Schema::Int | Schema::Date | Schema::TimeMillis => out.push_str("\"int\""),
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => out.push_str("\"long\""),
        Schema::Float => out.push_str("\"float\""),
        Schema::Double => out.push_str("\"double\""),
        Schema::Bytes
        | Schema::BigDecimal
        | Schema::Uuid(UuidSchema::Bytes)
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }) => {
            out.push_str("\"bytes\"")
        }
        Schema::String | Schema::Uuid(UuidSchema::String) => out.push_str("\"string\""),
        Schema::Array(array) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            write(&array.items, out, defined);
            out.push('}');
        }
        Schema::Map(map) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            write(&map.types, out, defined);
            out.push('}');
        }
        Schema::Union(union) => {
            out.push('[');
            separated(union.variants(), out, |branch, out| write(branch, out, defined));
            out.push(']');
        }
        Schema::Ref { name } => quote(&name.fullname(None), out),
        Schema::Record(record) => named(&record.name, "record", out, defined, |out, defined| {
            out.push_str(",\"fields\":[");
            separated(&record.fields, out, |field, out| {
                out.push_str("{\"name\":");
                quote(&field.name, out);
                out.push_str(",\"type\":");
                write(&field.schema, out, defined);
                out.push('}');
            });
            out.push(']');
        }),
        Schema::Enum(symbols) => named(&symbols.name, "enum", out, defined, |out, _| {
            out.push_str(",\"symbols\":[");
            separated(&symbols.symbols, out, |symbol, out| quote(symbol, out));
            out.push(']');
        }),
        Schema::Fixed(fixed)
        | Schema::Duration(fixed)
        | Schema::Uuid(UuidSchema::Fixed(fixed))
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => {
            sized(fixed, out, defined)
        }
    }
}

fn sized(fixed: &FixedSchema, out: &mut String, defined: &mut BTreeSet<String>) {
    named(&fixed.name, "fixed", out, defined, |out, _| {
        out.push_str(",\"size\":");
        out.push_str(&fixed.size.to_string());
    });
}

/// A named type is written out once, then called by its full name.
fn named(
    name: &Name,
    kind: &str,
    out: &mut String,
    defined: &mut BTreeSet<String>,
    body: impl FnOnce(&mut String, &mut BTreeSet<String>),
) {
    let name = name.fullname(None);
    if !defined.insert(name.clone()) {
        return quote(&name, out);
    }
    out.push_str("{\"name\":");
    quote(&name, out);
    out.push_str(",\"type\":");
    quote(kind, out);
    body(out, defined);
    out.push('}');
}

fn separated<T>(list: &[T], out: &mut String, mut one: impl FnMut(&T, &mut String)) {
    for (place, entry) in list.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        one(entry, out);
    }
}

/// Names and symbols are letters, digits, `_` and `.` alone, so nothing needs escaping.
fn quote(name: &str, out: &mut String) {
    out.push('"');
    out.push_str(name);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, u64) {
        let form = form(&Schema::parse_str(text).unwrap());
        let fingerprint = fingerprint(&form);
        (form, fingerprint)
    }

    #[test]
    fn fingerprints_are_those_of_the_specification() {
        // The specification's own test cases (share/test/data/schema-tests.txt).
        assert_eq!(of("\"null\"").1, 7_195_948_357_588_979_594);
        assert_eq!(of("\"int\"").1, 8_247_732_601_305_521_295);
        assert_eq!(of(r#"{"type":"int","logicalType":"date"}"#).1, 8_247_732_601_305_521_295);
        // Form and fingerprint by fastavro 1.13, bytes in reverse.
        let text = r#"{"type":"record","name":"a.b.Outer","doc":"x","aliases":["old"],"fields":[
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"default":0},
            {"name":"f","type":{"type":"fixed","name":"F","size":3}},
            {"name":"g","type":["null","F"]},
            {"name":"e","type":{"type":"enum","name":"E","namespace":"c","symbols":["X","Y"],"default":"X"}},
            {"name":"m","type":{"type":"map","values":{"type":"array","items":{"type":"string","avro.java.string":"String"}}}},
            {"name":"i","type":{"type":"record","name":"In","fields":[]}},
            {"name":"j","type":"a.b.In"}]}"#;
        let form = concat!(
            r#"{"name":"a.b.Outer","type":"record","fields":[{"name":"at","type":"long"},"#,
            r#"{"name":"f","type":{"name":"a.b.F","type":"fixed","size":3}},{"name":"g","type":["null","a.b.F"]},"#,
            r#"{"name":"e","type":{"name":"c.E","type":"enum","symbols":["X","Y"]}},"#,
            r#"{"name":"m","type":{"type":"map","values":{"type":"array","items":"string"}}},"#,
            r#"{"name":"i","type":{"name":"a.b.In","type":"record","fields":[]}},{"name":"j","type":"a.b.In"}]}"#
        );
        assert_eq!(of(text), (form.to_owned(), 0x2d22_9af4_ae9c_b97e_u64.swap_bytes()));
    }
}
