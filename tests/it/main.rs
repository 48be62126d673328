//! Integration tests: one binary, one module per subject.

mod architecture;
#[cfg(feature = "runtime")]
mod data;
mod pipeline;
#[cfg(feature = "runtime")]
mod runtime;
