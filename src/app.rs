//! What an instance can be asked to do: one function per use case, on either log. Commands, HTTP
//! and the dashboard call these and nothing below.

pub mod address;
pub mod sources;
pub mod health;
pub mod instance;
pub mod query;
pub mod ingest;
pub mod tail;
pub mod definitions;
pub mod experiments;
pub mod dead_letters;
pub mod local_copy;
pub mod replay;
pub mod doctor;
