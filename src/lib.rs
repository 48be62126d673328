//! leadstream: lead interaction events in; predictions, warnings, coaching and experiment exposures out.
//!
//! ```text
//! bytes -> codec -> pipeline::take -> pipeline::step -> domain::lead -> effects -> codec -> one commit
//! ```
//! Modules in reading order; each imports only what stands above it.

pub mod codec;
pub mod domain;
pub mod pipeline;
#[cfg(feature = "runtime")]
pub mod runtime;
