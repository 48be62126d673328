//! The goal within each stratum and the leads of each agent: where an arm raises or lowers it, with
//! bounds that hold at every look for all of them and all arms at once.
//!
//! Each stratum and agent of each arm has its own sequence at an equal part of the level, over all
//! that there can be, so by the union bound the probability that any of these intervals is ever
//! wrong is at most the level of the plan.

use crate::domain::experiment::analysis::inference::{Comparison, Pair, compare};
use crate::domain::experiment::by_agent::{ByAgent, Own, Period};
use crate::domain::experiment::plan::Plan;
use crate::domain::experiment::pre_exposure::Strata;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::{Cell, Group};
use crate::domain::experiment::versions::Groups;
use crate::stats::asymptotic::Tuning;

/// The goal of one arm beside the control within one stratum, or the leads of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentEffect {
    /// The stratum; of an agent `agent:` and the id.
    pub stratum: String,
    /// The goal there.
    pub goal: Comparison,
}

impl SegmentEffect {
    /// Whether it may be said: the bounds may be acted on and leave out 0.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.goal.meets_minimum_sample
            && self.goal.lift.is_some_and(|lift| !lift.interval.contains(0.0))
    }
}

/// The goal within each registered stratum.
#[must_use]
pub fn by_stratum(groups: &Groups, (plan, pairs): (&Plan, &[Pair<'_>])) -> Vec<SegmentEffect> {
    let strata = (0_u8..).zip(plan.strata.into_iter().flat_map(Strata::names));
    let named: Vec<_> =
        strata.map(|(number, stratum)| (stratum.to_owned(), of_stratum(groups, number))).collect();
    within_each(&named, (plan, pairs))
}

/// The goal of the leads of each agent, of the stretches that are over.
#[must_use]
pub fn by_agent(
    agents: &ByAgent,
    (plan, pairs): (&Plan, &[Pair<'_>]),
    is_over: &dyn Fn(Period) -> bool,
) -> Vec<SegmentEffect> {
    let named: Vec<_> = agents
        .agents
        .iter()
        .map(|(agent, own)| (format!("agent:{agent}"), of_agent(own, is_over)))
        .collect();
    within_each(&named, (plan, pairs))
}

/// The goal of each arm within these groups, each at an equal part of the level.
fn within_each(
    named: &[(String, Groups)],
    (plan, pairs): (&Plan, &[Pair<'_>]),
) -> Vec<SegmentEffect> {
    let mut reported = Vec::new();
    for pair in pairs {
        let within = within(pair, plan.cells());
        let goal = |groups| plan.measures.first().map(|goal| compare(groups, &within, (0, goal)));
        reported.extend(named.iter().filter_map(|(stratum, groups)| {
            Some(SegmentEffect { stratum: stratum.clone(), goal: goal(groups)? })
        }));
    }
    reported
}

/// The pair at the part of the level of one of so many cells.
fn within<'a>(pair: &Pair<'a>, cells: u32) -> Pair<'a> {
    let tuning = Tuning {
        alpha: pair.tuning.alpha.split(cells),
        planned: pair.tuning.planned / f64::from(cells),
    };
    Pair { tuning, harm: pair.harm.split(cells), covariate: None, strata: None, ..pair.clone() }
}

/// The same groups, of which only the goal of one stratum is left.
fn of_stratum(groups: &Groups, number: u8) -> Groups {
    let sums = |group: &Group| goal_alone(group.strata.get(&number).copied().unwrap_or_default());
    groups
        .iter()
        .map(|(version, arms)| {
            (*version, arms.iter().map(|(arm, group)| (arm.clone(), sums(group))).collect())
        })
        .collect()
}

fn of_agent(own: &Own, is_over: &dyn Fn(Period) -> bool) -> Groups {
    let mut groups = Groups::new();
    for (arm, stretches) in own {
        for (stretch, sums) in stretches.iter().filter(|(stretch, _)| is_over(**stretch)) {
            groups
                .entry(stretch.version)
                .or_default()
                .entry(arm.clone())
                .or_default()
                .merge(&goal_alone(*sums));
        }
    }
    groups
}

fn goal_alone(Stratum { units, nonzero, sum, squares }: Stratum) -> Group {
    Group {
        units,
        cells: vec![Cell { nonzero, sum, squares, ..Cell::default() }],
        ..Group::default()
    }
}
