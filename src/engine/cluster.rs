//! Which instance of a consumer group owns a partition or keeps a standby of it.

mod placement;
pub mod peers;
