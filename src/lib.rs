//! leadstream: lead interaction events in; predictions, warnings, coaching and experiment exposures
//! out.
//!
//! ```text
//! bytes -> codec -> pipeline::take -> pipeline::step -> domain::lead -> effects -> codec -> one commit
//! ```
//! Modules in reading order; each imports only what stands above it.

pub mod domain;
pub mod pipeline;
pub mod codec;
#[cfg(feature = "runtime")]
pub mod runtime;
