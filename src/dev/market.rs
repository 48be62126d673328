//! A small invented market: leads with hidden intent, conversations, visits, wins, losses, silence
//! and bad records.
//!
//! The generator knows how likely each lead is to convert, so that predictions can be compared
//! with the truth. A seed decides everything: chance is [`crate::stats::random`]; [`sentences`] are
//! read from files and filled with [`words`]; people and places are in [`office`]; a lead's life is
//! planned in [`script`], played in [`play`] and written as lines in [`event`]; [`simulation`] lets
//! leads arrive and puts lines in order.

mod calendar;
mod talk;
mod sentences;
mod words;
mod office;
mod event;
mod lead;
mod habits;
mod play;
mod script;
mod simulation;

pub use crate::dev::market::simulation::Market;
pub use crate::pipeline::Outcome as Fate;

use crate::domain::journey::Outcome;

/// A line for the log, and when it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// One line of NDJSON without its line end, or a malformed line.
    pub line: Vec<u8>,
    /// The outcome when the pipeline processes every delivery of the market in order.
    pub fate: Fate,
}

/// What the generator knows of a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The tenant.
    pub tenant: String,
    /// The lead.
    pub lead_id: String,
    /// The agent it is first assigned to.
    pub agent_id: String,
    /// When it appears, milliseconds since 1970.
    pub appeared_ms: i64,
    /// Probability to convert when served as leads of this market usually are.
    pub p_convert: f64,
    /// Probability to answer a message of ours without being reminded.
    pub p_answer: f64,
    /// Probability that a message is an objection.
    pub p_objection: f64,
    /// Probability to come as far as asking for an appointment when served as usual.
    pub p_appointment: f64,
    /// How it ends, and when (milliseconds since 1970); `None`: it falls silent.
    pub end: Option<(Outcome, i64)>,
}
