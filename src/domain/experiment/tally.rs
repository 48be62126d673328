//! Counts of an experiment that can be merged in any order: by arm, and by the day on which units
//! were first exposed.
//!
//! Every number is an exact integer. What a unit counted before is taken back when its outcome
//! changes, so a tally is a function of the units in it, whatever the order, the repetition and the
//! partitioning of the events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::attribution::journeys::Journeys;
use crate::domain::experiment::by_agent::ByAgent;
use crate::domain::experiment::outcome::Outcome;
use crate::domain::experiment::stratum::{Stratum, sums};
use crate::domain::units::MINUTE_MS;
use crate::stats::moments::{PairSums, Sums};

/// Days by which units are told apart; earlier ones are counted with the oldest of these.
const DAYS_MAX: i64 = 400;
/// Agents of an experiment that are told apart. Chosen: twice what `experiment simulate` checks;
/// eight metrics of them, at most some 40 bytes each, take a small part of a record of the log.
pub const AGENTS_MAX: u64 = 200;

sums! {
    Counts { exposed_units, exposures, replies, appointments, conversions, losses, revenue_minor }
    Cell { nonzero, sum, squares, base, base_squares, products }
    Covaried { sum, squares, products }
}

/// Counts of one arm; merging adds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leads exposed for the first time.
    pub exposed_units: u64,
    /// Uses of the strategy.
    pub exposures: u64,
    /// Messages of exposed leads within the window.
    pub replies: u64,
    /// Exposed leads with an appointment within the window.
    pub appointments: u64,
    /// Exposed leads won within the window.
    pub conversions: u64,
    /// Exposed leads lost within the window.
    pub losses: u64,
    /// Value of the conversions, minor units.
    pub revenue_minor: i64,
}

/// Units first exposed on one day under one version of the definition, which sets the weights of
/// the arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cohort {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Version of the definition.
    pub version: u32,
}

/// Sums of one metric over units. Merging adds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Units whose outcome is not 0.
    pub nonzero: u64,
    /// Sum of the outcomes, millionths.
    pub sum: i128,
    /// Sum of their squares, millionths of millionths.
    pub squares: i128,
    /// Sum of what ratios are divided by, millionths.
    pub base: i128,
    /// Sum of its squares.
    pub base_squares: i128,
    /// Sum of the products of both.
    pub products: i128,
}

/// Sums of a [`Cell`] in ones of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ones {
    /// Of the outcomes.
    pub sum: f64,
    /// Of their squares.
    pub squares: f64,
    /// Of what ratios are divided by.
    pub base: f64,
}

impl Cell {
    /// One unit.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        let (value, base) = (i128::from(outcome.value), i128::from(outcome.base));
        Self {
            nonzero: u64::from(value != 0),
            sum: value,
            squares: value * value,
            base,
            base_squares: base * base,
            products: value * base,
        }
    }

    /// The sums in ones of the metric.
    #[must_use]
    pub fn ones(&self) -> Ones {
        const MICRO: f64 = 1e6;
        Ones {
            sum: self.sum as f64 / MICRO,
            squares: self.squares as f64 / (MICRO * MICRO),
            base: self.base as f64 / MICRO,
        }
    }

    /// The sums of so many units as statistics take them.
    #[must_use]
    pub fn sums(&self, n: u64) -> PairSums {
        PairSums {
            first: Sums { n, sum: self.sum, sum_squares: self.squares },
            second: Sums { n, sum: self.base, sum_squares: self.base_squares },
            sum_products: self.products,
        }
    }
}

/// Sums of what was known of units before their first exposure, where the goal is adjusted by it.
/// Merging adds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covaried {
    /// Sum of the covariate, millionths.
    pub sum: i128,
    /// Sum of its squares, millionths of millionths.
    pub squares: i128,
    /// Sum of its products with the outcome in the goal.
    pub products: i128,
}

impl Covaried {
    /// One unit.
    #[must_use]
    pub fn of(covariate: i64, outcome: Outcome) -> Self {
        let (known, value) = (i128::from(covariate), i128::from(outcome.value));
        Self { sum: known, squares: known * known, products: known * value }
    }
}

/// Units by bucket, see [`bucket`].
pub type Waits = BTreeMap<u8, u64>;

/// The bucket of those who were never answered.
pub const UNANSWERED: u8 = u8::MAX;

/// The bucket of a time: eight to each doubling of a minute more than it, so that a bucket is at
/// most an eighth wide. A year is in the 160th.
#[must_use]
pub fn bucket(wait_ms: Option<i64>) -> u8 {
    let Some(minutes) =
        wait_ms.map(|wait| wait.max(0).unsigned_abs() / MINUTE_MS.unsigned_abs() + 1)
    else {
        return UNANSWERED;
    };
    let doublings = u64::from(minutes.ilog2());
    let part = ((minutes << 3) >> doublings) & 7;
    u8::try_from(doublings * 8 + part).unwrap_or(UNANSWERED - 1).min(UNANSWERED - 1)
}

/// The shortest time of a bucket, minutes; infinite for those who were never answered.
#[must_use]
pub fn minutes(bucket: u8) -> f64 {
    let (doublings, part) = (i32::from(bucket / 8), f64::from(bucket % 8));
    if bucket == UNANSWERED {
        f64::INFINITY
    } else {
        libm::ldexp(1.0 + part / 8.0, doublings) - 1.0
    }
}

/// Units of one cohort in one arm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub units: u64,
    /// Their outcomes, in the order of the plan's measures.
    pub cells: Vec<Cell>,
    /// How long they waited for an answer, where that is measured: units by the bucket of their
    /// time.
    pub waits: Waits,
    /// Their covariate, where one is registered.
    pub covaried: Covaried,
    /// Their goal by stratum, where strata are registered; one that is empty is not there.
    pub strata: BTreeMap<u8, Stratum>,
}

impl Group {
    /// Sums of the goal and the covariate as statistics take them.
    #[must_use]
    pub fn goal_with_covariate(&self) -> PairSums {
        let first = self.cells.first().copied().unwrap_or_default().sums(self.units).first;
        let Covaried { sum, squares, products } = self.covaried;
        PairSums {
            first,
            second: Sums { n: self.units, sum, sum_squares: squares },
            sum_products: products,
        }
    }

    /// Adds other units.
    pub fn merge(&mut self, other: &Self) {
        self.units = self.units.wrapping_add(other.units);
        self.cells.resize(self.cells.len().max(other.cells.len()), Cell::default());
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, other)| cell.merge(other));
        self.covaried.merge(&other.covaried);
        other
            .strata
            .iter()
            .for_each(|(stratum, sums)| self.strata.entry(*stratum).or_default().merge(sums));
        self.strata.retain(|_, sums| *sums != Stratum::default());
        for (bucket, units) in &other.waits {
            let place = self.waits.entry(*bucket).or_default();
            *place = place.wrapping_add(*units);
        }
    }

    fn retract(&mut self, other: &Self) {
        self.units = self.units.wrapping_sub(other.units);
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, other)| cell.retract(other));
        self.covaried.retract(&other.covaried);
        other
            .strata
            .iter()
            .for_each(|(stratum, sums)| self.strata.entry(*stratum).or_default().retract(sums));
        self.strata.retain(|_, sums| *sums != Stratum::default());
        for (bucket, units) in &other.waits {
            let place = self.waits.entry(*bucket).or_default();
            *place = place.wrapping_sub(*units);
        }
        self.waits.retain(|_, units| *units > 0);
    }

    /// Whether everything was taken back. Of a unit whose window has passed only its presence is
    /// taken back and added again.
    fn is_nothing(&self) -> bool {
        let known = self.covaried != Covaried::default() || !self.strata.is_empty();
        self.units == 0
            && self.waits.is_empty()
            && !known
            && self.cells.iter().all(|cell| *cell == Cell::default())
    }
}

/// Units of one cohort, by arm.
pub type Arms = BTreeMap<String, Group>;

/// Leads of each agent, by arm and agent, of experiments that compare agents. Merging adds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// The sums; shared, because a tally is copied for each event.
    pub arms: BTreeMap<String, BTreeMap<String, Arc<Group>>>,
    /// There were more agents than are kept apart: none is, and that stays so whatever is merged.
    /// Agents that are left out would bias what the others say.
    pub is_full: bool,
}

impl Agents {
    /// Leads of one agent.
    #[must_use]
    pub fn of(arm: &str, agent: &str, group: Group) -> Self {
        let own = BTreeMap::from([(agent.to_owned(), Arc::new(group))]);
        Self { arms: BTreeMap::from([(arm.to_owned(), own)]), is_full: false }
    }

    /// Agents of all arms.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.arms.values().map(|agents| agents.len() as u64).sum()
    }

    fn merge(&mut self, other: &Self) {
        for (arm, agents) in &other.arms {
            let place = self.arms.entry(arm.clone()).or_default();
            agents.iter().for_each(|(agent, group)| {
                Arc::make_mut(place.entry(agent.clone()).or_default()).merge(group)
            });
        }
        self.is_full |= other.is_full || self.count() > AGENTS_MAX;
        if self.is_full {
            self.arms.clear();
        }
    }

    fn retract(&mut self, other: &Self) {
        for (arm, agents) in other.arms.iter().filter(|_| !self.is_full) {
            let place = self.arms.entry(arm.clone()).or_default();
            for (agent, group) in agents {
                let left = Arc::make_mut(place.entry(agent.clone()).or_default());
                left.retract(group);
                if left.is_nothing() {
                    place.remove(agent);
                }
            }
            if place.is_empty() {
                self.arms.remove(arm);
            }
        }
    }
}

/// Counts of an experiment. Merging is associative and commutative; the empty tally is neutral.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts by arm.
    pub arms: BTreeMap<String, Counts>,
    /// Units that were seen in two arms; nothing else is counted of them but their exposures.
    pub multi_exposed: u64,
    /// Outcomes by cohort and arm, of experiments with a plan. Shared, because a tally is copied
    /// for each event and an event touches one cohort.
    pub cohorts: BTreeMap<Cohort, Arc<Arms>>,
    /// The same units by agent, where agents are compared.
    pub agents: Agents,
    /// The goal of single leads by agent, where insights by agent are registered.
    pub by_agent: ByAgent,
    /// Journeys that ended, under [`crate::domain::experiment::ExperimentKey::attribution`] alone.
    pub journeys: Arc<Journeys>,
}

impl Tally {
    /// A tally of one arm.
    #[must_use]
    pub fn of(arm: &str, counts: Counts) -> Self {
        Self { arms: BTreeMap::from([(arm.to_owned(), counts)]), ..Self::default() }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        self.multi_exposed = self.multi_exposed.wrapping_add(other.multi_exposed);
        self.agents.merge(&other.agents);
        self.by_agent.merge(&other.by_agent);
        if *other.journeys != Journeys::default() {
            Arc::make_mut(&mut self.journeys).merge(&other.journeys);
        }
        for (arm, counts) in &other.arms {
            self.arms.entry(arm.clone()).or_default().merge(counts);
        }
        for (cohort, arms) in &other.cohorts {
            let place = Arc::make_mut(self.cohorts.entry(*cohort).or_default());
            arms.iter().for_each(|(arm, group)| place.entry(arm.clone()).or_default().merge(group));
        }
        self.fold();
    }

    /// Takes back what was added before. A cohort that was counted with the oldest days is found
    /// there.
    pub fn retract(&mut self, other: &Self) {
        self.multi_exposed = self.multi_exposed.wrapping_sub(other.multi_exposed);
        self.agents.retract(&other.agents);
        self.by_agent.retract(&other.by_agent);
        if *other.journeys != Journeys::default() {
            Arc::make_mut(&mut self.journeys).retract(&other.journeys);
        }
        for (arm, counts) in &other.arms {
            self.arms.entry(arm.clone()).or_default().retract(counts);
        }
        let oldest = self.oldest_day();
        for (cohort, arms) in &other.cohorts {
            let cohort = Cohort { day: cohort.day.max(oldest), ..*cohort };
            let place = Arc::make_mut(self.cohorts.entry(cohort).or_default());
            for (arm, group) in arms.iter() {
                let left = place.entry(arm.clone()).or_default();
                left.retract(group);
                if left.is_nothing() {
                    place.remove(arm);
                }
            }
            if place.is_empty() {
                self.cohorts.remove(&cohort);
            }
        }
    }

    fn oldest_day(&self) -> i64 {
        self.cohorts.last_key_value().map_or(i64::MIN, |(newest, _)| newest.day - DAYS_MAX + 1)
    }

    fn fold(&mut self) {
        let oldest = self.oldest_day();
        while let Some((cohort, arms)) =
            self.cohorts.first_key_value().filter(|(cohort, _)| cohort.day < oldest)
        {
            let (cohort, arms) = (*cohort, arms.clone());
            self.cohorts.remove(&cohort);
            let place =
                Arc::make_mut(self.cohorts.entry(Cohort { day: oldest, ..cohort }).or_default());
            arms.iter().for_each(|(arm, group)| place.entry(arm.clone()).or_default().merge(group));
        }
    }
}

/// What an event changes in the counts of one experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// What its unit counted before.
    pub retract: Tally,
    /// What it counts now.
    pub add: Tally,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One unit of an arm, exposed on a day under a version, with an outcome.
    fn unit((arm, day, version, value): (u8, i64, u32, i64)) -> Tally {
        let arm = format!("arm-{arm}");
        let mut tally =
            Tally::of(&arm, Counts { exposed_units: 1, revenue_minor: value, ..Counts::default() });
        let waits = Waits::from([(bucket(Some(value)), 1)]);
        let outcome = Outcome { value, base: 1_000_000 };
        let group = Group {
            units: 1,
            cells: vec![Cell::of(outcome)],
            waits,
            covaried: Covaried::of(value / 3 - 7, outcome),
            strata: [((value & 7) as u8, Stratum::of(outcome))].into(),
        };
        tally.cohorts.insert(Cohort { day, version }, Arc::new(Arms::from([(arm, group)])));
        tally
    }

    fn merged(parts: &[Tally]) -> Tally {
        parts.iter().fold(Tally::default(), |mut sum, part| {
            sum.merge(part);
            sum
        })
    }

    proptest! {
        #[test]
        fn merging_is_free_of_order_and_grouping_also_over_more_days_than_are_kept(
            units in prop::collection::vec((0..3_u8, -900..900_i64, 1..3_u32, -9_000_000..9_000_000_i64), 1..40), cut in any::<prop::sample::Index>(),
        ) {
            let parts: Vec<Tally> = units.into_iter().map(unit).collect();
            let cut = cut.index(parts.len());
            let (left, right) = (merged(&parts[..cut]), merged(&parts[cut..]));
            let whole = merged(&parts);
            prop_assert_eq!(&merged(&[right, left]), &whole);
            let days: Vec<i64> = whole.cohorts.keys().map(|cohort| cohort.day).collect();
            prop_assert!(days[days.len() - 1] - days[0] < DAYS_MAX);
            prop_assert_eq!(whole.cohorts.values().flat_map(|arms| arms.values()).map(|group| group.units).sum::<u64>(), parts.len() as u64);
        }

        #[test]
        fn what_is_taken_back_was_never_there(
            units in prop::collection::vec((0..3_u8, 0..300_i64, 1..3_u32, -9_000_000..9_000_000_i64), 2..40), processed in any::<prop::sample::Index>(),
        ) {
            let mut parts: Vec<Tally> = units.into_iter().map(unit).collect();
            let mut whole = merged(&parts);
            let processed = parts.remove(processed.index(parts.len()));
            whole.retract(&processed);
            let left = merged(&parts);
            prop_assert_eq!(&whole.cohorts, &left.cohorts);
            prop_assert!(left.arms.iter().all(|(arm, counts)| whole.arms.get(arm) == Some(counts)));
        }
    }
}
