//! The goal over the leads of each agent, by stretches of days of which old ones are counted
//! together.
//!
//! A lead counts for the agent who had it when it was first exposed. Every number is an exact
//! integer, and which agents and how new a stretch there were is never taken back, so the sums do
//! not depend on order, repetition or partitioning.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::experiment::stratum::Stratum;
use crate::domain::units::EventTime;

/// Agents of an experiment that are told apart at most. Chosen: more would leave too small a part
/// of the level to each.
pub const AGENTS_MAX: u32 = 50;
/// Agents times arms. Chosen: sums of as many take some 42 KB in a record of the log
/// (`sums_of_as_many_agents_as_may_be_fit_into_a_record`).
pub const CELLS_MAX: u32 = 250;
/// Stretches that are kept apart. With as many the windows of the oldest are over when the newest
/// begins (`the_windows_of_the_oldest_stretch_are_over_when_the_newest_begins`).
const STRETCHES: i64 = 7;
/// Shortest stretch: a week, since its days differ.
const DAYS_MIN: i64 = 7;

/// Units first exposed within one stretch of days under one version of the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Stretches since 1970-01-01, UTC.
    pub number: i64,
    /// Version of the definition.
    pub version: u32,
}

/// Leads of one agent by arm and stretch.
pub type Own = BTreeMap<String, BTreeMap<Period, Stratum>>;

/// Leads by agent, of experiments with insights by agent. Merging adds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByAgent {
    /// The sums by agent; shared, because a tally is copied for each event. Who has none left
    /// stays, to be counted among the agents.
    pub agents: BTreeMap<String, Arc<Own>>,
    /// The newest stretch with an exposure; `None` before any.
    pub newest: Option<i64>,
    /// There were more agents than are kept: no sums are, and that stays so whatever is merged.
    pub is_full: bool,
}

impl ByAgent {
    /// A lead of an agent, or with `None` for its arm and goal that there was one which does not
    /// count.
    #[must_use]
    pub fn of(agent: &str, stretch: Period, lead: Option<(&str, Stratum)>) -> Self {
        let own: Own = lead
            .map(|(arm, sums)| (arm.to_owned(), BTreeMap::from([(stretch, sums)])))
            .into_iter()
            .collect();
        Self {
            agents: BTreeMap::from([(agent.to_owned(), Arc::new(own))]),
            newest: Some(stretch.number),
            is_full: false,
        }
    }

    /// Whether there were more agents than so many.
    #[must_use]
    pub fn exceeds(&self, most: u32) -> bool {
        self.is_full || self.agents.len() > most as usize
    }

    /// Adds other leads.
    pub(crate) fn merge(&mut self, other: &Self) {
        let newest = self.newest.max(other.newest);
        self.is_full |= other.is_full;
        if newest != self.newest {
            self.newest = newest;
            self.fold();
        }
        for (agent, own) in other.agents.iter().filter(|_| !self.is_full) {
            let place = Arc::make_mut(self.agents.entry(agent.clone()).or_default());
            for (arm, stretches) in own.iter() {
                let place = place.entry(arm.clone()).or_default();
                stretches.iter().for_each(|(stretch, sums)| {
                    place.entry(kept(*stretch, newest)).or_default().merge(sums)
                });
            }
        }
        self.is_full = self.exceeds(AGENTS_MAX);
        if self.is_full {
            self.agents.clear();
        }
    }

    /// Takes back what was added before. A stretch that was counted with the oldest is found there.
    pub(crate) fn retract(&mut self, other: &Self) {
        for (agent, own) in other.agents.iter().filter(|_| !self.is_full) {
            let place = Arc::make_mut(self.agents.entry(agent.clone()).or_default());
            for (arm, stretches) in own.iter() {
                let left = place.entry(arm.clone()).or_default();
                stretches.iter().for_each(|(stretch, sums)| {
                    left.entry(kept(*stretch, self.newest)).or_default().retract(sums)
                });
                left.retain(|_, sums| *sums != Stratum::default());
            }
            place.retain(|_, stretches| !stretches.is_empty());
        }
    }

    /// Counts stretches that are too old with the oldest that is kept.
    fn fold(&mut self) {
        let newest = self.newest;
        let is_old = |stretches: &BTreeMap<Period, Stratum>| {
            stretches.keys().any(|stretch| kept(*stretch, newest) != *stretch)
        };
        for own in self.agents.values_mut().filter(|own| own.values().any(is_old)) {
            for stretches in Arc::make_mut(own).values_mut() {
                for (stretch, sums) in std::mem::take(stretches) {
                    stretches.entry(kept(stretch, newest)).or_default().merge(&sums);
                }
            }
        }
    }
}

impl Period {
    /// That of an exposure under a version.
    #[must_use]
    pub fn of(exposed_at: EventTime, version: u32, window_hours: i64) -> Self {
        Self { number: exposed_at.day().div_euclid(days(window_hours)), version }
    }

    /// Its last day, in days since 1970-01-01, UTC.
    #[must_use]
    pub fn last_day(self, window_hours: i64) -> i64 {
        (self.number + 1) * days(window_hours) - 1
    }
}

/// Days of a stretch: a quarter of the window, at least a week.
fn days(window_hours: i64) -> i64 {
    (window_hours + 95).div_euclid(96).max(DAYS_MIN)
}

/// The stretch with which one is counted.
fn kept(stretch: Period, newest: Option<i64>) -> Period {
    Period {
        number: newest.map_or(stretch.number, |newest| stretch.number.max(newest - STRETCHES + 1)),
        ..stretch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::experiment::outcome::Outcome;

    fn lead((agent, number, version, value): (u8, i64, u32, i64)) -> ByAgent {
        let lead = (value % 3 != 0).then(|| {
            (
                if value % 2 == 0 { "a" } else { "b" },
                Stratum::of(Outcome { value, base: 1_000_000 }),
            )
        });
        ByAgent::of(&format!("agent-{agent}"), Period { number, version }, lead)
    }

    fn merged(parts: &[ByAgent]) -> ByAgent {
        parts.iter().fold(ByAgent::default(), |mut sum, part| {
            sum.merge(part);
            sum
        })
    }

    fn leads(agents: u8) -> impl Strategy<Value = Vec<(u8, i64, u32, i64)>> {
        prop::collection::vec((0..agents, -9..9_i64, 1..3_u32, -9_000_000..9_000_000_i64), 1..80)
    }

    proptest! {
        #[test]
        fn merging_is_free_of_order_and_grouping_also_over_more_stretches_than_are_kept(units in leads(60), cut in any::<prop::sample::Index>()) {
            let parts: Vec<ByAgent> = units.into_iter().map(lead).collect();
            let cut = cut.index(parts.len());
            let (left, right) = (merged(&parts[..cut]), merged(&parts[cut..]));
            let whole = merged(&parts);
            prop_assert_eq!(&merged(&[right, left]), &whole);
            let numbers = whole.agents.values().flat_map(|own| own.values()).flat_map(|own| own.keys()).map(|stretch| stretch.number);
            prop_assert!(numbers.into_iter().all(|number| number > whole.newest.unwrap() - STRETCHES && number <= whole.newest.unwrap()));
        }

        #[test]
        fn of_a_lead_that_is_taken_back_only_its_agent_and_stretch_stay(units in leads(30), processed in any::<prop::sample::Index>()) {
            let processed = processed.index(units.len());
            let mut whole = merged(&units.iter().copied().map(lead).collect::<Vec<_>>());
            let (agent, number, version, _) = units[processed];
            // What is 0 in thirds is a lead that does not count.
            let left = |place: usize| if place == processed { lead((agent, number, version, 0)) } else { lead(units[place]) };
            whole.retract(&lead(units[processed]));
            prop_assert_eq!(whole, merged(&(0..units.len()).map(left).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn the_windows_of_the_oldest_stretch_are_over_when_the_newest_begins() {
        for window_hours in 1..=24 * 365 {
            let oldest = Period { number: 100 - STRETCHES + 1, version: 1 };
            // The day, its windows, and a day for what comes late.
            let look_hours = (oldest.last_day(window_hours) + 1) * 24 + window_hours + 24;
            assert!(look_hours <= 100 * days(window_hours) * 24, "{window_hours}");
        }
    }
}
