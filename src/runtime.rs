//! Everything that waits: the log, the worker and the commands.

pub mod log;
pub mod worker;
pub mod ingest;
pub mod replay;
pub mod evaluate;
pub mod demo;
