//! Credit for conversions, shared out over the coaching strategies that a lead met before.

pub mod journeys;
pub mod touches;
