//! Why bytes, or the schema they were written with, cannot be read.

/// Why bytes cannot be read. None of them repeats what the bytes say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither framing.
    #[error(
        "bad_magic: value starts neither with C3 01 and a schema fingerprint nor with 00 or 01 and \
            a registry's schema id"
    )]
    Magic,
    /// Of a schema that is not known here; whoever can ask a registry may learn it.
    #[error("unknown_schema: no schema with this fingerprint or id is known here")]
    Schema,
    /// Of a schema that is known, and refused.
    #[error("bad_schema: {0}")]
    Refused(String),
    /// Not a datum of the schema, or not one that the topic's schema can take.
    #[error("bad_datum: {0}")]
    Datum(String),
}
