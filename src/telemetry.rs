//! What an instance reports about itself.

pub mod restore_progress;
pub mod metrics;
