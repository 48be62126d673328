//! The engine: a worker takes the inputs of its partitions, holds their rows in a state store, and
//! commits; on Kafka, members of a consumer group share the partitions.

pub mod store;
pub mod worker;
pub mod standby;
pub mod cluster;
pub mod kafka_loop;
