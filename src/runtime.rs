//! Everything that waits: the log, the worker and the commands.

pub mod demo;
pub mod ingest;
pub mod log;
pub mod replay;
pub mod worker;
