//! The whole product on one screen: an input becomes turns of single leads, a turn becomes effects.
//!
//! In: one input of one partition in recorded order. Out: effects in the order they were decided, and one outcome.
//! Due leads come first, by due time and lead, then the event. Nothing here reads a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::domain::event::Interaction;
use crate::domain::experiment::{ExperimentKey, Tally};
use crate::domain::lead::{Decision, Lead, Verdict};
use crate::domain::rules::Rules;
use crate::domain::units::{AppendTime, EventTime, LeadKey, Tenant};

/// One input of a partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An interaction and when the log took it.
    Interaction {
        /// The event.
        event: Box<Interaction>,
        /// When the log took it.
        appended: AppendTime,
    },
    /// Bytes that are no interaction; the reason is what the dead letter says.
    Undecodable(String),
}

/// What follows from an input. The worker adds the raw bytes to dead letters and late records.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Something was decided about a lead.
    Decided(Decision),
    /// The input cannot be used.
    DeadLetter(String),
    /// The input came too late.
    Late,
}

/// What an input came to: exactly one per input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied.
    Advanced,
    /// Seen before.
    Duplicate,
    /// Beyond the allowed lateness.
    Late,
    /// Unusable.
    DeadLettered,
}

/// Whether an input was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was, with this outcome.
    Done(Outcome),
    /// Timers used up the budget: commit, then take the same input again.
    Paused,
}

/// The rows of a partition that a step reads and writes.
pub trait Rows {
    /// Why a row cannot be loaded.
    type Error;

    /// A lead; `None` when it is new.
    ///
    /// # Errors
    /// When the store fails.
    fn lead(&mut self, key: &LeadKey) -> Result<Option<Lead>, Self::Error>;

    /// Stores a lead and moves its timer.
    fn save(&mut self, key: &LeadKey, lead: Lead);

    /// The clock of a tenant: its newest event time in this partition.
    fn clock(&self, tenant: &Tenant) -> Option<EventTime>;

    /// Moves the clock of a tenant.
    fn set_clock(&mut self, tenant: &Tenant, at: EventTime);

    /// The first lead of a tenant that is due at or before `until`.
    fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)>;

    /// Adds to the counts of an experiment.
    fn count(&mut self, experiment: &ExperimentKey, tally: &Tally);
}

/// Takes one input.
///
/// # Errors
/// When a row cannot be loaded; nothing of the input may then be committed.
pub fn take<R: Rows>(rules: &Rules, rows: &mut R, input: &Input, budget: &mut usize, effects: &mut Vec<Effect>) -> Result<Taken, R::Error> {
    let (event, appended) = match input {
        Input::Interaction { event, appended } => (event.as_ref(), *appended),
        Input::Undecodable(reason) => {
            effects.push(Effect::DeadLetter(reason.clone()));
            return Ok(Taken::Done(Outcome::DeadLettered));
        }
    };
    let tenant = event.key.tenant();
    let in_force = rules.in_force(tenant, event.occurred_at);
    let ahead_ms = event.occurred_at.0.saturating_sub(appended.0);
    if ahead_ms > in_force.thresholds.future_ms {
        let reason = format!(
            "future_timestamp: occurred_at is {} s ahead of the log, at most {} s is allowed: check the producer's clock",
            ahead_ms / 1_000,
            in_force.thresholds.future_ms / 1_000
        );
        effects.push(Effect::DeadLetter(reason));
        return Ok(Taken::Done(Outcome::DeadLettered));
    }
    let clock = rows.clock(tenant).map_or(event.occurred_at, |clock| clock.max(event.occurred_at));
    while let Some((due, key)) = rows.first_due(tenant, clock) {
        if *budget == 0 {
            return Ok(Taken::Paused);
        }
        *budget -= 1;
        fire(rules, rows, &key, due, effects)?;
    }
    rows.set_clock(tenant, clock);
    let mut lead = rows.lead(&event.key)?.unwrap_or_default();
    let outcome = match lead.admit(event, in_force.thresholds.lateness_ms) {
        Verdict::Duplicate => return Ok(Taken::Done(Outcome::Duplicate)),
        Verdict::Late => {
            effects.push(Effect::Late);
            return Ok(Taken::Done(Outcome::Late));
        }
        Verdict::Fresh => Outcome::Advanced,
    };
    let mut decisions = Vec::new();
    lead.apply(&in_force, event, &mut decisions);
    rows.save(&event.key, lead);
    settle(rows, decisions, effects);
    Ok(Taken::Done(outcome))
}

/// Looks at one lead that is due.
fn fire<R: Rows>(rules: &Rules, rows: &mut R, key: &LeadKey, due: EventTime, effects: &mut Vec<Effect>) -> Result<(), R::Error> {
    let in_force = rules.in_force(key.tenant(), due);
    let mut lead = rows.lead(key)?.unwrap_or_default();
    let mut decisions = Vec::new();
    lead.due(&in_force, key, due, &mut decisions);
    rows.save(key, lead);
    settle(rows, decisions, effects);
    Ok(())
}

fn settle<R: Rows>(rows: &mut R, decisions: Vec<Decision>, effects: &mut Vec<Effect>) {
    for decision in decisions {
        match decision {
            Decision::Count(experiment, tally) => rows.count(&experiment, &tally),
            other => effects.push(Effect::Decided(other)),
        }
    }
}

/// All rows of a partition in memory: the driver of tests, of `replay`, and of the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Leads.
    pub leads: BTreeMap<LeadKey, Lead>,
    /// Clocks by tenant.
    pub clocks: BTreeMap<Tenant, EventTime>,
    /// Counts by experiment.
    pub tallies: BTreeMap<ExperimentKey, Tally>,
    due: BTreeMap<Tenant, BTreeSet<(EventTime, LeadKey)>>,
}

impl Rows for Memory {
    type Error = Infallible;

    fn lead(&mut self, key: &LeadKey) -> Result<Option<Lead>, Infallible> {
        Ok(self.leads.get(key).cloned())
    }

    fn save(&mut self, key: &LeadKey, lead: Lead) {
        let due = lead.risk.due;
        let before = self.leads.insert(key.clone(), lead).and_then(|lead| lead.risk.due);
        if before != due {
            let index = self.due.entry(key.tenant().clone()).or_default();
            before.map(|at| index.remove(&(at, key.clone())));
            due.map(|at| index.insert((at, key.clone())));
        }
    }

    fn clock(&self, tenant: &Tenant) -> Option<EventTime> {
        self.clocks.get(tenant).copied()
    }

    fn set_clock(&mut self, tenant: &Tenant, at: EventTime) {
        self.clocks.insert(tenant.clone(), at);
    }

    fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)> {
        self.due.get(tenant)?.first().filter(|(due, _)| *due <= until).cloned()
    }

    fn count(&mut self, experiment: &ExperimentKey, tally: &Tally) {
        self.tallies.entry(experiment.clone()).or_default().merge(tally);
    }
}

impl Memory {
    /// Takes one input to its end.
    pub fn run(&mut self, rules: &Rules, input: &Input, effects: &mut Vec<Effect>) -> Outcome {
        loop {
            let mut budget = usize::MAX;
            match take(rules, self, input, &mut budget, effects) {
                Ok(Taken::Done(outcome)) => return outcome,
                Ok(Taken::Paused) => {}
            }
        }
    }
}
