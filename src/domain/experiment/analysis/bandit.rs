//! What a bandit's outcomes say: its weights follow the data, so arms are compared by the
//! probability with which each unit got its arm.

use crate::domain::experiment::analysis::inference::{Bounded, Comparison, Pair};
use crate::domain::experiment::plan::{Measure, Setup, Shape};
use crate::domain::experiment::tally::{Arms, Group, Ones};
use crate::stats::asymptotic::{Sequence, Tuning, sequence};
use crate::stats::grouped::{Drawn, Grouped};
use crate::stats::level::{Alpha, Error};
use crate::stats::log_ratio::{OUTCOMES_MIN, lift};
use crate::stats::moments;
use crate::stats::weighted::{CONVERSIONS_MIN, EFFECTIVE_SIZE_MIN};
use crate::stats::welch::Effect;

/// Outcomes of a bandit's units, cohort by cohort: the units of one day and version shared their
/// probabilities.
pub(crate) struct BanditEstimator<'a> {
    /// The control first.
    arms: Vec<&'a str>,
    /// By measure of the plan.
    measures: Vec<Grouped>,
}

/// What always giving one arm is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyValue {
    /// The arm.
    pub arm: String,
    /// Mean of the goal if every unit got it, with bounds that hold at every look for all arms
    /// together; `None` while it is not known.
    pub value: Option<Bounded>,
    /// Effective number of its units.
    pub effective_size: f64,
}

impl<'a> BanditEstimator<'a> {
    /// `None` where the plan allots by fixed weights.
    pub(crate) fn of(setup: &Setup<'a>) -> Option<Self> {
        setup.plan.allocation.as_ref()?;
        let weights = *setup.versions.values().next()?;
        let others =
            weights.iter().map(|(arm, _)| arm.as_str()).filter(|arm| *arm != setup.plan.control);
        let arms: Vec<&str> = std::iter::once(setup.plan.control.as_str()).chain(others).collect();
        let grouped = Grouped::new(arms.len()).ok()?;
        Some(Self { measures: vec![grouped; setup.plan.measures.len()], arms })
    }

    /// Takes the next cohort, which came in under the weights of its version. One that does not fit
    /// its weights is left to the sample ratio.
    pub(crate) fn observe(&mut self, weights: &[(String, u32)], cohort: &Arms) {
        let total: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let weight = |arm: &&str| {
            weights
                .iter()
                .find(|(name, _)| name == arm)
                .map_or(0.0, |(_, weight)| f64::from(*weight) / total)
        };
        let propensities: Vec<f64> = self.arms.iter().map(weight).collect();
        for (place, measure) in self.measures.iter_mut().enumerate() {
            let drawn = |group: &Group| {
                let Ones { sum, squares, .. } =
                    group.cells.get(place).copied().unwrap_or_default().ones();
                Drawn { n: group.units, sum, squares }
            };
            let drawn: Vec<Drawn> = self
                .arms
                .iter()
                .map(|arm| cohort.get(*arm).map_or(Drawn::default(), drawn))
                .collect();
            measure.observe(&drawn, &propensities).unwrap_or_default();
        }
    }

    /// The comparison with bounds that hold although the weights followed the data.
    pub(crate) fn compared(
        &self,
        counted: Comparison,
        pair: &Pair<'_>,
        (place, measure): (usize, &Measure),
    ) -> Comparison {
        let (Some(grouped), Some(arm)) = (self.measures.get(place), self.place(pair.treatment))
        else {
            return counted;
        };
        let tuning = pair.tuning;
        let at = |effect: Option<Effect>, tuning: Tuning| -> Option<Sequence> {
            sequence(effect?, grouped.draws(arm), tuning).ok()
        };
        let (ratio, difference) = (grouped.log_ratio(arm).ok(), grouped.difference(arm).ok());
        let bounded = |effect: Option<Effect>, found: Option<Sequence>| {
            Some(Bounded { estimate: effect?.estimate, interval: found?.interval })
        };
        let (watched, harm) = (at(ratio, tuning), at(ratio, Tuning { alpha: pair.harm, ..tuning }));
        let mean = |arm: usize| grouped.value(arm).map_or(0.0, |value| value.estimate);
        Comparison {
            means: moments::Arms { control: mean(0), treatment: mean(arm) },
            lift: bounded(ratio, watched).map(|reported| reported.map(lift)),
            difference: bounded(difference, at(difference, tuning)),
            p_value: watched.map(|found| found.p_value),
            one_sided_lower: watched.map(|found| lift(found.one_sided.lower)),
            one_sided_upper: harm.map(|found| lift(found.one_sided.upper)),
            meets_minimum_sample: meets_minimum_sample(
                grouped,
                arm,
                measure,
                counted.outcomes.treatment,
            ) && meets_minimum_sample(
                grouped,
                0,
                measure,
                counted.outcomes.control,
            ),
            ..counted
        }
    }

    /// What always giving each arm is worth in the goal; the level is shared over the arms.
    pub(crate) fn worth(
        &self,
        setup: &Setup<'_>,
        outcomes: impl Fn(&str) -> u64,
    ) -> Vec<PolicyValue> {
        let (Some(goal), Some(grouped)) = (setup.plan.measures.first(), self.measures.first())
        else {
            return Vec::new();
        };
        let bounded = |arm: usize| -> Result<Bounded, Error> {
            let alpha = Alpha::new(setup.plan.alpha)?
                .split(u32::try_from(self.arms.len()).unwrap_or(u32::MAX));
            let value = grouped.value(arm)?;
            let found = sequence(
                value,
                grouped.draws(arm),
                Tuning { alpha, planned: setup.plan.planned_units as f64 },
            )?;
            Ok(Bounded { estimate: value.estimate, interval: found.interval })
        };
        let reported = self.arms.iter().enumerate().map(|(arm, name)| PolicyValue {
            arm: (*name).to_owned(),
            value: bounded(arm)
                .ok()
                .filter(|_| meets_minimum_sample(grouped, arm, goal, outcomes(name))),
            effective_size: grouped.effective_size(arm),
        });
        reported.collect()
    }

    fn place(&self, arm: &str) -> Option<usize> {
        self.arms.iter().position(|own| *own == arm)
    }
}

/// Whether enough stands behind an arm: the effective size, and outcomes other than 0.
fn meets_minimum_sample(grouped: &Grouped, arm: usize, measure: &Measure, outcomes: u64) -> bool {
    let least = if measure.metric.shape() == Shape::Share { CONVERSIONS_MIN } else { OUTCOMES_MIN };
    grouped.effective_size(arm) >= EFFECTIVE_SIZE_MIN && outcomes >= least
}
