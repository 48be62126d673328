//! Tools around the product: an invented market, mutated and malformed input, benchmarks.

pub mod market;
pub mod mutate;
pub mod bench;
