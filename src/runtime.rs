//! Everything that waits: the log, the state, the worker, and the server through which commands
//! reach them.

pub mod log;
pub mod metrics;
pub mod restore;
pub mod store;
pub mod registry;
pub mod worker;
pub mod standby;
pub mod mirror;
pub mod share;
pub mod replay;
pub mod ingest;
pub mod dlq;
pub mod views;
pub mod config;
pub mod instance;
pub mod http;
pub mod client;
pub mod doctor;
pub mod evaluate;
pub mod demo;
pub mod bench;
pub mod mutate;
