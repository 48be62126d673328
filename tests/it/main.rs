//! Integration tests: one binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::too_many_lines, reason = "a test tells one story from begin to end")]

mod architecture;
mod avro;
#[cfg(feature = "dev")]
mod apicurio;
#[cfg(feature = "dev")]
mod proxy;
#[cfg(feature = "dev")]
mod broker;
#[cfg(feature = "dev")]
mod chaos;
#[cfg(feature = "dev")]
mod command;
#[cfg(feature = "dev")]
mod data;
#[cfg(feature = "dev")]
mod dlq;
#[cfg(feature = "dev")]
mod doctor;
#[cfg(feature = "dev")]
mod kafka;
#[cfg(feature = "dev")]
mod producers;
#[cfg(feature = "dev")]
mod secure;
#[cfg(feature = "dev")]
mod states;
#[cfg(feature = "dev")]
mod faults;
#[cfg(feature = "dev")]
mod peers;
#[cfg(feature = "dev")]
mod standby;
#[cfg(feature = "dev")]
mod mutate;
mod pipeline;
mod properties;
mod vectors;
mod simulation;
mod experiments;
mod scenarios;
#[cfg(feature = "dev")]
mod registry;
#[cfg(feature = "dev")]
mod runtime;
#[cfg(feature = "dev")]
mod worker;
#[cfg(feature = "dev")]
mod server;
#[cfg(feature = "dev")]
mod abuse;
#[cfg(feature = "dev")]
mod health;
#[cfg(feature = "dev")]
mod sim;
