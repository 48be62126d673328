//! Which strategies a lead was coached with before it ended: kept as long as its end may still
//! count them.
//!
//! What is counted is a function of the touches and ends alone, so it does not depend on the order
//! in which events arrive. The strategy of a touch is the one that was used, which for the built-in
//! rules follows what was known then.

use crate::domain::attribution::journeys::{Journeys, TOUCHES_MAX};
use crate::domain::journey::Outcome;
use crate::domain::strategy::Strategy;
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS};

/// Touches that may still change the order of others are kept up to here; further ones are not
/// counted.
const KEPT_MAX: usize = 96;
/// A touch longer ago than this before the end has no share. Chosen: a quarter.
const WINDOW_MS: i64 = 90 * DAY_MS;
/// The same end told again within this time is no other one: by the deal, and by the lead. Chosen:
/// a month.
const SAME_END_MS: i64 = 30 * DAY_MS;

/// A message of the lead that was answered with this strategy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    /// When.
    pub at: EventTime,
    /// With what.
    pub strategy: Strategy,
}

/// An end of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// When.
    pub at: EventTime,
    /// How.
    pub outcome: Outcome,
}

impl End {
    fn repeats(&self, last: Option<Self>) -> bool {
        last.is_some_and(|last| {
            last.outcome == self.outcome && self.at.since(last.at) < SAME_END_MS
        })
    }
}

/// Touches and ends of one lead, each in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touches {
    /// Touches since the newest end that is settled.
    pub list: Vec<Touch>,
    /// Ends that what comes late may still change.
    pub ends: Vec<End>,
    /// The newest end that is settled, as long as it may be told again.
    pub ended: Option<End>,
}

impl Touches {
    /// Notes that the lead was coached.
    pub fn touch(&mut self, at: EventTime, strategy: Strategy) {
        if self.list.len() < KEPT_MAX {
            insert(&mut self.list, Touch { at, strategy });
        }
    }

    /// Notes that the lead ended.
    pub fn end(&mut self, at: EventTime, outcome: Outcome) {
        if self.ends.len() < KEPT_MAX {
            insert(&mut self.ends, End { at, outcome });
        }
    }

    /// The journeys of all ends that are not settled: each has the touches since the end before it.
    #[must_use]
    pub fn journeys(&self) -> Journeys {
        let (mut whole, mut last) = (Journeys::default(), self.ended);
        for end in &self.ends {
            if end.repeats(last) {
                continue;
            }
            let is_own = |touch: &&Touch| {
                touch.at <= end.at
                    && end.at.since(touch.at) <= WINDOW_MS
                    && last.is_none_or(|last| touch.at > last.at)
            };
            let named = |touch: &'_ Touch| end.at.since(touch.at) as f64 / HOUR_MS as f64;
            let path: Vec<(&str, f64)> = self
                .list
                .iter()
                .filter(is_own)
                .map(|touch| (touch.strategy.as_str(), named(touch)))
                .collect();
            whole.merge(&Journeys::of(&path, end.outcome));
            last = Some(*end);
        }
        whole
    }

    /// Forgets what neither an end nor an event that comes late can still count; `newest` is the
    /// lead's newest event time.
    pub fn forget(&mut self, newest: EventTime, lateness_ms: i64) {
        let is_settled = |at: EventTime| newest.since(at) > lateness_ms;
        while let Some(end) = self.ends.first().copied().filter(|end| is_settled(end.at)) {
            self.ends.remove(0);
            if !end.repeats(self.ended) {
                self.list.retain(|touch| touch.at > end.at);
                self.ended = Some(end);
            }
        }
        self.ended = self.ended.filter(|end| newest.since(end.at) <= SAME_END_MS + lateness_ms);
        self.list.retain(|touch| newest.since(touch.at) <= WINDOW_MS + lateness_ms);
        // One more than share in the credit, so that it is known when some do not.
        let settled = self.list.partition_point(|touch| is_settled(touch.at));
        self.list.drain(..settled.saturating_sub(TOUCHES_MAX + 1));
    }
}

fn insert<T: Ord>(list: &mut Vec<T>, entry: T) {
    list.insert(list.partition_point(|other| *other < entry), entry);
}
