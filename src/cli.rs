//! The commands: each calls a use case of an instance and prints the result.

pub mod print;
pub mod json;
pub mod table;
pub mod client;
pub mod run;
pub mod demo;
pub mod ingest;
pub mod show;
pub mod lead;
pub mod explain;
pub mod dlq;
pub mod doctor;
pub mod schemas;
pub mod backtest;
pub mod experiments;
pub mod experiment;
