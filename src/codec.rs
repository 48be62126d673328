//! Bytes to domain and back: events as JSON and Avro, outputs as Avro, models as TOML. The only
//! place that knows wire formats.

pub mod record;
pub mod avro;
pub mod interaction;
pub mod model;
pub mod definition;
pub mod rows;
pub mod internal;
pub mod results;
pub mod shown;
pub mod outputs;
pub mod topics;
pub mod records;
pub mod names;

/// Bytes in lower case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
