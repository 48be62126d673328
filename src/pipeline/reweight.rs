//! New weights of an experiment that goes on: what follows from its counts is written as a version that continues it.

use std::sync::Arc;

use crate::domain::experiment::decision::Verdict;
use crate::domain::experiment::plan::Act;
use crate::domain::experiment::{ExperimentKey, Metrics};
use crate::domain::rules::Rules;
use crate::domain::units::EventTime;
use crate::pipeline::{Key, Row, Rows};

/// A version that continues an experiment with other weights, to be put in force through the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Reweighting {
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

/// The weights that follow from the counts, where they are others than those in force.
///
/// What was written is noted in a row: until it was read again it is not written twice, and never under a version that somebody else took.
///
/// # Errors
/// When a row cannot be loaded.
pub(crate) fn reweight<R: Rows>(rules: &Rules, rows: &mut R, metrics: &Metrics) -> Result<Option<Reweighting>, R::Error> {
    let key = &metrics.experiment;
    let in_force = rules.in_force(&key.tenant, metrics.at);
    let newest = in_force.experiments.iter().find(|experiment| experiment.key() == *key);
    let (Some(newest), Some(report)) = (newest, metrics.report.as_ref()) else { return Ok(None) };
    let acts = newest.plan.as_ref().is_some_and(|plan| plan.act == Act::Automatic);
    let dropped: Vec<_> = report.dropped.iter().filter(|dropped| acts && newest.gives(&dropped.arm)).collect();
    if dropped.is_empty() || rules.is_concluded(key) || report.decision.verdict != Verdict::Continue {
        return Ok(None);
    }
    let row = Key::Written(key.clone());
    let written = rows.load(&row)?.and_then(Row::into_written).unwrap_or(0);
    let known = rules.version_max(&key.tenant, &key.name);
    if written > known {
        return Ok(None);
    }
    let weight = |(arm, weight): &(String, u32)| (arm.clone(), if report.has_dropped(arm) { 0 } else { *weight });
    let version = known + 1;
    rows.save(row, Some(Row::Written(version)));
    Ok(Some(Reweighting {
        experiment: key.clone(),
        source: newest.source.clone(),
        version,
        arms: newest.arms.iter().map(weight).collect(),
        reason: dropped.iter().map(|dropped| dropped.rule.as_str()).collect::<Vec<_>>().join("; "),
        at: metrics.at,
    }))
}
