//! Tools around the product: an invented market, mutated and malformed input, benchmarks.

pub mod market;
#[cfg(feature = "dev")]
pub mod mutate;
#[cfg(feature = "dev")]
pub mod bench;
