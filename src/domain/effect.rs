//! What follows from an input, as plain data: decisions about leads, results of experiments, and
//! inputs that cannot be applied.

use std::sync::Arc;

use crate::domain::alerts::Alert;
use crate::domain::coaching::Prompt;
use crate::domain::event::EventType;
use crate::domain::experiment::{ExperimentKey, Exposure, Metrics, Update};
use crate::domain::journey::{Outcome, View};
use crate::domain::next_action::{NextAction, Profile};
use crate::domain::rules::Policy;
use crate::domain::scoring::Score;
use crate::domain::strategy::Choice;
use crate::domain::units::{EventId, EventTime, LeadKey};

/// What follows from an input. [`Effect::Count`] and [`Effect::Unmapped`] change rows of the
/// partition and leave no record of their own.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The prediction of an event.
    Prediction(Box<LeadPrediction>),
    /// An alert was raised or cleared.
    Alert(Box<Alert>),
    /// A coaching prompt.
    Prompt(Box<Prompt>),
    /// An arm of an experiment was used.
    Exposure(Box<Exposure>),
    /// The profile changed; `None`: the lead was erased.
    Profile(LeadKey, Option<Box<Profile>>),
    /// The counts of an experiment in this partition change.
    Count(ExperimentKey, Box<Update>),
    /// A stage name of the CRM that no map knows.
    Unmapped(String),
    /// The counts of an experiment over all partitions changed.
    ExperimentMetrics(Box<Metrics>),
    /// An automatic experiment ended: a definition for all partitions.
    Conclusion(Box<Conclusion>),
    /// An experiment continues with other weights: a definition for all partitions.
    AllocationUpdate(Box<AllocationUpdate>),
    /// The input cannot be used; why.
    DeadLetter(String),
    /// The input is beyond the allowed lateness.
    Late,
}

impl Effect {
    /// Why the input cannot be used, where it is that.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        if let Self::DeadLetter(reason) = self { Some(reason) } else { None }
    }
}

/// The prediction record of one advanced event.
#[derive(Clone, Debug, PartialEq)]
pub struct LeadPrediction {
    /// The event.
    pub event_id: EventId,
    /// The lead.
    pub key: LeadKey,
    /// Event time.
    pub at: EventTime,
    /// Kind of the event.
    pub kind: EventType,
    /// The agent who owns the lead.
    pub agent_id: Option<String>,
    /// `name@version` of the model.
    pub model: Arc<str>,
    /// Stage and where it goes.
    pub journey: View,
    /// How the lead ended.
    pub outcome: Option<Outcome>,
    /// In the order of [`crate::domain::scoring::Target::ALL`].
    pub scores: [Score; 6],
    /// The strategy.
    pub choice: Choice,
    /// What to do next.
    pub next: NextAction,
}

/// The end of an experiment, to be put in force through the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// What holds from now on.
    pub policy: Policy,
    /// From this event time on.
    pub at: EventTime,
}

/// A version that continues an experiment with other weights, to be put in force through the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocationUpdate {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// The body of the version in force, which it is written from.
    pub source: Arc<str>,
    /// The version that it becomes.
    pub version: u32,
    /// Arms and weights.
    pub arms: Vec<(String, u32)>,
    /// Why.
    pub reason: String,
    /// From this event time on.
    pub at: EventTime,
}
