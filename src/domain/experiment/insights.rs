//! The goal within each stratum: where an arm raises or lowers it, with bounds that hold at every look for all strata and arms at once.
//!
//! Each stratum of each arm has its own sequence at an equal part of the level, over all strata that there can be, so by the union bound
//! the probability that any of these intervals is ever wrong is at most the level of the plan.

use crate::domain::experiment::inference::{Comparison, Pair, compare};
use crate::domain::experiment::plan::Measure;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::{Cell, Group};
use crate::domain::experiment::versions::Groups;
use crate::domain::statistics::asymptotic::Tuning;

/// The goal of one arm beside the control within one stratum.
#[derive(Clone, Debug, PartialEq)]
pub struct Insight {
    /// The stratum.
    pub stratum: &'static str,
    /// The goal there.
    pub goal: Comparison,
}

impl Insight {
    /// Whether it may be said: the bounds may be acted on and leave out 0.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.goal.is_open && self.goal.lift.is_some_and(|lift| !lift.interval.contains(0.0))
    }
}

/// The goal within each registered stratum.
#[must_use]
pub fn insights(groups: &Groups, pair: &Pair<'_>, goal: &Measure) -> Vec<Insight> {
    let Some(strata) = pair.strata else { return Vec::new() };
    let names = strata.names();
    let cells = u32::try_from(names.len()).expect("there are seven strata at most");
    let tuning = Tuning { alpha: pair.tuning.alpha.split(cells), planned: pair.tuning.planned / f64::from(cells) };
    let within = Pair { tuning, harm: pair.harm.split(cells), covariate: None, strata: None, ..pair.clone() };
    let insight = |(number, stratum): (u8, &&'static str)| Insight { stratum, goal: compare(&of(groups, number), &within, (0, goal)) };
    (0_u8..).zip(&names).map(insight).collect()
}

/// The same groups, of which only the goal of one stratum is left.
fn of(groups: &Groups, number: u8) -> Groups {
    let group = |group: &Group| {
        let Stratum { units, nonzero, sum, squares } = group.strata.get(&number).copied().unwrap_or_default();
        Group { units, cells: vec![Cell { nonzero, sum, squares, ..Cell::default() }], ..Group::default() }
    };
    groups.iter().map(|(version, arms)| (*version, arms.iter().map(|(arm, of)| (arm.clone(), group(of))).collect())).collect()
}
