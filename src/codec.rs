//! Bytes to domain and back: events as JSON, models as TOML. The only place that knows wire formats.

pub mod json;
pub mod model;
