//! The whole product on one screen: an input becomes turns of single leads, a turn becomes effects.
//!
//! In: one input of one partition in recorded order. Out: effects in the order they were decided,
//! and one outcome. Due leads come first, by due time and lead, then the event. Nothing here reads
//! a clock.

mod rows;
mod experiment_report;
mod allocation_update;
mod memory;

use crate::domain::event::Interaction;
use crate::domain::experiment::analysis::agents;
use crate::domain::experiment::analysis::business::net_benefits;
use crate::domain::experiment::analysis::decision::{self};
use crate::domain::experiment::analysis::verdicts::Verdict;
use crate::domain::experiment::plan::Act;
use crate::domain::experiment::{ExperimentKey, Metrics, Tally};
use crate::domain::lead::{Admission, Lead};
use crate::domain::rules::{DefaultPolicy, InForce, Policy, Rules};
use crate::domain::units::{AppendTime, EventTime, LeadKey, Partition, Tenant};

pub use crate::domain::effect::{AllocationUpdate, Conclusion, Effect};
pub use crate::pipeline::experiment_report::{ExperimentReport, PartitionReport, last_report};
pub use crate::pipeline::memory::Memory;
pub use crate::pipeline::rows::{
    Clock, Counters, EmittedVersion, InputTopic, Key, Positions, Row, StateStore, Timers, Unmapped,
};

/// Version of the decisions made here: states and outputs repeat byte for byte only under the same
/// one.
pub const STEP_VERSION: u32 = 2;

/// One input of a partition.
#[derive(Clone, Debug)]
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
    /// The clock of the world, for tenants whose events come live.
    Tick {
        /// The time.
        at: AppendTime,
    },
    /// All counts of an experiment in one partition so far.
    PartitionReport {
        /// The experiment.
        experiment: ExperimentKey,
        /// The partition that counted.
        source: Partition,
        /// Newest event time of the tenant there.
        at: EventTime,
        /// The counts.
        tally: Tally,
    },
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
    /// No interaction: a tick or counts.
    Internal,
}

/// Whether an input was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was, with this outcome.
    Done(Outcome),
    /// Timers used up the budget: commit, then take the same input again.
    Paused,
}

/// One turn of a lead.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// An event of the lead.
    Event(&'a Interaction),
    /// The lead's timer is due at this time, although no event arrived.
    Due(EventTime),
}

/// Decides one turn of a lead: the only place where a lead changes.
///
/// # Errors
/// The admission of an event that is a duplicate or too late; the lead is as it was.
pub fn step(
    rules: &InForce<'_>,
    key: &LeadKey,
    lead: &mut Lead,
    turn: Turn<'_>,
) -> Result<Vec<Effect>, Admission> {
    let mut effects = Vec::new();
    match turn {
        Turn::Event(event) => match lead.admit(event, rules.thresholds.lateness_ms) {
            Admission::Fresh => lead.apply(rules, event, &mut effects),
            refused => return Err(refused),
        },
        Turn::Due(at) => lead.due(rules, key, at, &mut effects),
    }
    Ok(effects)
}

/// Takes one input.
///
/// # Errors
/// When a row cannot be loaded; nothing of the input may then be committed.
pub fn take<R: StateStore>(
    rules: &Rules,
    rows: &mut R,
    input: &Input,
    budget: &mut usize,
    effects: &mut Vec<Effect>,
) -> Result<Taken, R::Error> {
    match input {
        Input::Interaction { event, appended } => {
            interaction(rules, rows, (event, *appended), budget, effects)
        }
        Input::Undecodable(reason) => {
            effects.push(Effect::DeadLetter(reason.clone()));
            Ok(Taken::Done(Outcome::DeadLettered))
        }
        Input::Tick { at } => tick(rules, rows, EventTime(at.0), budget, effects),
        Input::PartitionReport { experiment, source, at, tally } => {
            let report = PartitionReport { at: *at, tally: tally.clone() };
            if let Some(metrics) = experiment_report::take(rows, experiment, (*source, report))? {
                let metrics = measure(rules, metrics);
                let concluded = conclude(rules, &metrics);
                let reweighted = allocation_update::reweight(rules, rows, &metrics)?;
                effects.push(Effect::ExperimentMetrics(Box::new(metrics)));
                effects
                    .extend(concluded.map(|conclusion| Effect::Conclusion(Box::new(conclusion))));
                effects.extend(reweighted.map(|update| Effect::AllocationUpdate(Box::new(update))));
            }
            Ok(Taken::Done(Outcome::Internal))
        }
    }
}

/// Adds what follows from the counts, where it was registered what is to be looked at.
#[must_use]
pub fn measure(rules: &Rules, mut metrics: Metrics) -> Metrics {
    let key = &metrics.experiment;
    if let Some((first, plan)) = rules
        .experiment(&key.tenant, &key.name, key.version)
        .and_then(|first| Some((first, first.plan.as_ref()?)))
    {
        let setup = allocation_update::setup(rules, key, metrics.at, (plan, first.window_hours));
        let report = match plan.ends_at {
            None => decision::report(&setup, &metrics.tally, metrics.at),
            Some(end) => agents::report(&setup, end, (&metrics.tally, metrics.at)),
        };
        if let Some((newest, report)) = rules.versions(key, metrics.at).last().zip(report.as_ref())
        {
            metrics.net_benefits =
                net_benefits(report, &metrics.tally, (plan.control.as_str(), &newest.costs));
        }
        metrics.report = report.map(Box::new);
    }
    metrics
}

/// What ends an experiment that acts by itself and was not ended before.
fn conclude(rules: &Rules, metrics: &Metrics) -> Option<Conclusion> {
    let key = &metrics.experiment;
    let newest = rules.versions(key, metrics.at).last()?;
    let decision = &metrics.report.as_ref()?.decision;
    let is_over = decision.verdict != Verdict::Continue
        && newest.plan.as_ref().is_some_and(|plan| plan.act == Act::Automatic);
    if !is_over || rules.is_concluded(key) {
        return None;
    }
    let strategy = if let Verdict::Promote(arm) = &decision.verdict {
        Some(DefaultPolicy::Strategy(arm.clone()))
    } else {
        None
    };
    let policy = Policy {
        strategy,
        stages: newest.stages.clone(),
        concludes: Some((key.name.clone(), key.version)),
        reason: format!(
            "experiment {}: {}, {}",
            key.name,
            decision.verdict.as_str(),
            decision.rule
        ),
    };
    Some(Conclusion { experiment: key.clone(), policy, at: metrics.at })
}

fn interaction<R: StateStore>(
    rules: &Rules,
    rows: &mut R,
    (event, appended): (&Interaction, AppendTime),
    budget: &mut usize,
    effects: &mut Vec<Effect>,
) -> Result<Taken, R::Error> {
    let tenant = event.key.tenant();
    let in_force = rules.in_force(tenant, event.occurred_at);
    let ahead_ms = event.occurred_at.0.saturating_sub(appended.0);
    if ahead_ms > in_force.thresholds.max_future_skew_ms {
        let reason = format!(
            "future_timestamp: occurred_at is {} s ahead of the log, at most {} s is allowed: \
                check the producer's clock",
            ahead_ms / 1_000,
            in_force.thresholds.max_future_skew_ms / 1_000
        );
        effects.push(Effect::DeadLetter(reason));
        return Ok(Taken::Done(Outcome::DeadLettered));
    }
    let clock = clock(rows, tenant)?;
    let at = clock.map_or(event.occurred_at, |clock| clock.at.max(event.occurred_at));
    if !fire_due(rules, rows, (tenant, at), budget, effects)? {
        return Ok(Taken::Paused);
    }
    // A tenant whose events are older than the allowed lateness when they arrive is filling up its
    // past.
    let live = -ahead_ms <= in_force.thresholds.lateness_ms;
    if clock != Some(Clock { at, live }) {
        rows.save(Key::Clock(tenant.clone()), Some(Row::Clock(Clock { at, live })));
    }
    let turn = Turn::Event(event);
    let admitted = rows.update(&event.key, |lead| step(&in_force, &event.key, lead, turn))?;
    let outcome = match admitted {
        Ok(decided) => {
            settle(rows, tenant, decided, effects)?;
            Outcome::Advanced
        }
        Err(Admission::Late) => {
            effects.push(Effect::Late);
            Outcome::Late
        }
        Err(_) => Outcome::Duplicate,
    };
    Ok(Taken::Done(outcome))
}

/// Moves the clocks of tenants that are live and have somebody due.
fn tick<R: StateStore>(
    rules: &Rules,
    rows: &mut R,
    at: EventTime,
    budget: &mut usize,
    effects: &mut Vec<Effect>,
) -> Result<Taken, R::Error> {
    for tenant in rows.tenants_due(at) {
        let Some(clock) = clock(rows, &tenant)?.filter(|clock| clock.live && clock.at < at) else {
            continue;
        };
        if !fire_due(rules, rows, (&tenant, at), budget, effects)? {
            return Ok(Taken::Paused);
        }
        rows.save(Key::Clock(tenant), Some(Row::Clock(Clock { at, ..clock })));
    }
    Ok(Taken::Done(Outcome::Internal))
}

/// Looks at the leads of a tenant that are due until a time; `false` when the budget ended first.
fn fire_due<R: StateStore>(
    rules: &Rules,
    rows: &mut R,
    (tenant, until): (&Tenant, EventTime),
    budget: &mut usize,
    effects: &mut Vec<Effect>,
) -> Result<bool, R::Error> {
    while let Some((due, key)) = rows.first_due(tenant, until) {
        if *budget == 0 {
            return Ok(false);
        }
        *budget -= 1;
        let in_force = rules.in_force(tenant, due);
        let decided = rows.update(&key, |lead| step(&in_force, &key, lead, Turn::Due(due)))?;
        settle(rows, tenant, decided.unwrap_or_default(), effects)?;
    }
    Ok(true)
}

fn clock<R: StateStore>(rows: &mut R, tenant: &Tenant) -> Result<Option<Clock>, R::Error> {
    Ok(rows.load(&Key::Clock(tenant.clone()))?.and_then(Row::into_clock))
}

/// Applies counts to rows of the partition and passes the other effects on.
fn settle<R: StateStore>(
    rows: &mut R,
    tenant: &Tenant,
    decided: Vec<Effect>,
    effects: &mut Vec<Effect>,
) -> Result<(), R::Error> {
    for effect in decided {
        match effect {
            Effect::Count(experiment, update) => {
                let key = Key::Tally(experiment);
                let mut tally = rows.load(&key)?.and_then(Row::into_tally).unwrap_or_default();
                tally.retract(&update.retract);
                tally.merge(&update.add);
                rows.save(key, Some(Row::Tally(tally)));
            }
            Effect::Unmapped(name) => {
                let key = Key::Unmapped(tenant.clone());
                let mut unmapped =
                    rows.load(&key)?.and_then(Row::into_unmapped).unwrap_or_default();
                unmapped.count(&name);
                rows.save(key, Some(Row::Unmapped(unmapped)));
            }
            other => effects.push(other),
        }
    }
    Ok(())
}
