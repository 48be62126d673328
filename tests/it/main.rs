//! Integration tests: one binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod avro;
#[cfg(feature = "runtime")]
mod apicurio;
#[cfg(feature = "runtime")]
mod proxy;
#[cfg(feature = "runtime")]
mod broker;
#[cfg(feature = "runtime")]
mod chaos;
#[cfg(feature = "runtime")]
mod command;
#[cfg(feature = "runtime")]
mod data;
#[cfg(feature = "runtime")]
mod dlq;
#[cfg(feature = "runtime")]
mod doctor;
#[cfg(feature = "runtime")]
mod kafka;
#[cfg(feature = "runtime")]
mod secure;
#[cfg(feature = "runtime")]
mod states;
#[cfg(feature = "runtime")]
mod faults;
#[cfg(feature = "runtime")]
mod peers;
#[cfg(feature = "runtime")]
mod standby;
#[cfg(feature = "runtime")]
mod mutate;
mod pipeline;
mod properties;
mod vectors;
mod simulation;
mod experiments;
mod scenarios;
#[cfg(feature = "runtime")]
mod registry;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
mod worker;
#[cfg(feature = "runtime")]
mod server;
#[cfg(feature = "runtime")]
mod sim;
