//! leadstream: lead interaction events in; predictions, alerts, coaching and experiment results
//! out, exactly once.
//!
//! ```text
//! bytes -> codec (decode) -> pipeline::take -> pipeline::step -> effects -> codec (encode) -> one Commit
//!                                                  |
//!                lead -> journey -> features -> scoring -> alerts -> strategy -> coaching
//! ```
//!
//! `take` turns one input of a partition into turns of single leads: due timers first, then the
//! event. `step` decides one turn and is the only place where a lead changes. Neither reads a
//! clock, the environment or the network. The engine around them reads inputs from a log, holds the
//! rows of each partition, and commits outputs, rows and positions together.
//!
//! Modules in reading order; each imports only modules above it, at every depth (a test checks
//! this).

pub mod stats;
pub mod domain;
pub mod pipeline;
pub mod codec;
pub mod learn;
#[cfg(feature = "runtime")]
pub mod telemetry;
#[cfg(feature = "runtime")]
pub mod log;
#[cfg(feature = "runtime")]
pub mod engine;
#[cfg(feature = "runtime")]
pub mod config;
#[cfg(feature = "runtime")]
pub mod app;
#[cfg(feature = "runtime")]
pub mod http;
#[cfg(feature = "runtime")]
pub mod dev;
