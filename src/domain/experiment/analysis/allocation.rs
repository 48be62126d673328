//! New weights of a bandit: how likely each arm is to be the best, given what was known when an
//! epoch ended.
//!
//! The probabilities are integrated, not drawn, so nothing is left to chance: the same experiment,
//! epoch and outcomes give the same weights.

use crate::domain::experiment::plan::{Allocation, AllocationRule, Setup, Shape};
use crate::domain::experiment::tally::{Group, Tally};
use crate::domain::units::{DAY_MS, EventTime};
use crate::stats::bandit::{posterior, top_two, weights};
use crate::stats::level::Error;
use crate::stats::proportion::Share;
use crate::stats::ranking::{Beta, Ranking, beta_ranking, normal_ranking};

/// What weights of a bandit add up to, nearly: each is rounded to a ten-thousandth and at least
/// one.
const WEIGHTS: f64 = 10_000.0;

/// How likely an arm is to be the best, given the outcomes until a time.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmProbability {
    /// The arm.
    pub arm: String,
    /// Probability that it is the best.
    pub best: f64,
    /// The weight that follows.
    pub weight: u32,
}

/// Epochs that have ended at a time, counted from the first day with an exposure.
#[must_use]
pub fn epochs(allocation: &Allocation, tally: &Tally, at: EventTime) -> i64 {
    let first = tally.cohorts.keys().next().map_or(at.day(), |cohort| cohort.day);
    (at.day() - first).div_euclid(allocation.epoch_days).max(0)
}

/// The chances of the arms that give something in the version in force, from the units whose
/// windows had passed when an epoch ended.
/// `None` while outcomes have no variance to judge by.
#[must_use]
pub fn arm_probabilities(
    setup: &Setup<'_>,
    tally: &Tally,
    arms: &[(String, u32)],
    epoch: i64,
) -> Option<Vec<ArmProbability>> {
    let allocation = setup.plan.allocation.as_ref()?;
    let first = tally.cohorts.keys().next()?.day;
    let ended = EventTime((first + epoch * allocation.epoch_days) * DAY_MS);
    let giving: Vec<&str> =
        arms.iter().filter(|(_, weight)| *weight > 0).map(|(arm, _)| arm.as_str()).collect();
    let mut groups = vec![Group::default(); giving.len()];
    for (_, of_day) in tally.cohorts.iter().filter(|(cohort, _)| setup.look(cohort.day) <= ended) {
        let own = giving
            .iter()
            .zip(&mut groups)
            .filter_map(|(arm, group)| Some((of_day.get(*arm)?, group)));
        own.for_each(|(other, group)| group.merge(other));
    }
    let ranking = ranked(setup, &groups).ok()?;
    let merits = if allocation.rule == AllocationRule::Thompson {
        ranking.best.clone()
    } else {
        top_two(&ranking)
    };
    let shares = weights(&merits, allocation.floor).ok()?;
    let reported = giving.iter().zip(ranking.best.iter().zip(shares));
    let chance = |(arm, (best, share)): (&&str, (&f64, f64))| ArmProbability {
        arm: (*arm).to_owned(),
        best: *best,
        weight: ((share * WEIGHTS).round() as u32).max(1),
    };
    Some(reported.map(chance).collect())
}

/// Posteriors of the goal, pooled over epochs: shares from an even prior, means from their data
/// alone.
fn ranked(setup: &Setup<'_>, groups: &[Group]) -> Result<Ranking, Error> {
    let shape = setup.plan.measures.first().map(|goal| goal.metric.shape());
    let goal = |group: &Group| group.cells.first().copied().unwrap_or_default();
    if shape == Some(Shape::Share) {
        let even = Beta { a: 1.0, b: 1.0 };
        let after = |group: &Group| {
            if group.units == 0 {
                Ok(even)
            } else {
                even.after(Share { trials: group.units, successes: goal(group).nonzero })
            }
        };
        return beta_ranking(&groups.iter().map(after).collect::<Result<Vec<_>, _>>()?);
    }
    let mean = |group: &Group| posterior(&goal(group).sums(group.units).first.moments()?);
    normal_ranking(&groups.iter().map(mean).collect::<Result<Vec<_>, _>>()?)
}
