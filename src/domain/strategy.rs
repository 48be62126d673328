//! The coaching strategy: an experiment's arm where one applies, else the default policy.

use crate::domain::event::vocabulary;
use crate::domain::journey::Stage;
use crate::domain::lexicon::{ObjectionKind, Signals, Topic};

vocabulary! {
    /// How the agent is coached to speak. Tenants can add their own.
    Strategy {
        /// Names the feeling first.
        Empathetic = "empathetic",
        /// Brings numbers and comparisons.
        Analytical = "analytical",
        /// Proposes one clear next step.
        Assertive = "assertive",
        /// Diagnoses with a question.
        Consultative = "consultative",
        /// Builds on the past and the long term.
        Relationship = "relationship",
    }
}

/// Where the strategy came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The default policy.
    Policy,
    /// An arm of an experiment.
    Experiment {
        /// The experiment.
        experiment: String,
        /// The arm.
        arm: String,
    },
}

/// The chosen strategy and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// Where it came from.
    pub source: Source,
    /// Why, in words.
    pub reason: String,
}

/// What the default policy looks at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Stage of the journey.
    pub stage: Stage,
    /// Churn risk, 0..=1.
    pub churn_risk: f64,
    /// Buying urgency, 0..=1.
    pub buying_urgency: f64,
    /// Appointment readiness, 0..=1.
    pub appointment_readiness: f64,
    /// Running sentiment of the lead, -1..=1; `None` before the first message.
    pub sentiment: Option<f32>,
    /// Signals of the message in hand.
    pub signals: Option<&'a Signals>,
    /// Objections not resolved.
    pub open_objections: &'a [ObjectionKind],
    /// Missed appointments.
    pub no_shows: u32,
    /// Days since the lead was first seen.
    pub age_days: f64,
}

/// The default policy: the first rule that holds, in the order written here.
#[must_use]
pub fn policy(situation: &Situation<'_>) -> Choice {
    let (strategy, reason) = rule(situation);
    Choice { strategy, source: Source::Policy, reason: reason.to_owned() }
}

fn rule(situation: &Situation<'_>) -> (Strategy, &'static str) {
    let says = |topic: Topic| {
        situation.signals.is_some_and(|signals| signals.intensity[topic as usize] >= 0.5)
    };
    let open =
        |kinds: &[ObjectionKind]| situation.open_objections.iter().any(|kind| kinds.contains(kind));
    if says(Topic::Complaint) || situation.sentiment.is_some_and(|mood| mood <= -0.3) {
        return (Strategy::Empathetic, "the lead is unhappy: hear it out before anything else");
    }
    if open(&[ObjectionKind::Trust, ObjectionKind::Authority]) || situation.no_shows > 0 {
        return (
            Strategy::Empathetic,
            "doubt or another decision maker stands in the way: understand it first",
        );
    }
    if says(Topic::Price)
        || says(Topic::Financing)
        || open(&[ObjectionKind::Price, ObjectionKind::Financing])
    {
        return (Strategy::Analytical, "money is the question: answer with numbers");
    }
    if says(Topic::Commitment) || situation.buying_urgency >= 0.5 {
        return (Strategy::Assertive, "the lead is close to acting: propose one clear step");
    }
    if situation.stage >= Stage::Intent
        && situation.appointment_readiness >= 0.4
        && !says(Topic::Hesitation)
    {
        return (Strategy::Assertive, "ready to meet: offer a time");
    }
    if situation.churn_risk >= 0.6 && situation.age_days >= 7.0 {
        return (
            Strategy::Relationship,
            "an older lead is drifting away: come back to what was shared",
        );
    }
    match situation.stage {
        Stage::Awareness | Stage::Purchase => {
            (Strategy::Relationship, "first and last steps are won on trust")
        }
        Stage::Interest | Stage::Consideration => {
            (Strategy::Consultative, "still looking: find out what matters")
        }
        Stage::Intent => (Strategy::Consultative, "clear the open questions before the next step"),
        Stage::Evaluation => (Strategy::Analytical, "weighing options: compare them side by side"),
    }
}
