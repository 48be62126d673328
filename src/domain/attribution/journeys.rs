//! Journeys that ended, summed up so that conversions can be shared out over the touches before
//! them; merged in any order.
//!
//! Every number is an exact integer: credits are counted in parts of a conversion that all shares
//! are multiples of. Credits are descriptions, never causes, see
//! [`crate::stats::attribution`].

use std::collections::BTreeMap;

use crate::domain::journey::Outcome;
use crate::stats::attribution::{Chain, Rule, Touch, by_age};

/// Newest touches of a journey that share in its credit. Chosen: a lead is rarely coached more
/// often before it ends.
pub const TOUCHES_MAX: usize = 16;
/// Parts of one conversion: five times the least common multiple of 1 to 16, so that every share of
/// up to 16 touches is whole.
const PARTS: u64 = 5 * 720_720;
/// A touch is worth half of one that is a week younger. Chosen: coaching is for the coming days.
const HALF_LIFE_HOURS: f64 = 168.0;
/// The state of a journey before its first touch; no strategy has this name.
const START: &str = "";

/// Parts of conversions credited to one strategy, by each rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credits {
    /// Journeys that converted and have a touch of it.
    pub journeys: u64,
    /// See [`Rule::First`].
    pub first: u64,
    /// See [`Rule::Last`].
    pub last: u64,
    /// See [`Rule::Linear`].
    pub linear: u64,
    /// See [`Rule::Position`].
    pub position: u64,
    /// See [`by_age`].
    pub age: u64,
    /// Equally to each different strategy: Shapley's value (1953), when a set of strategies is worth
    /// the conversions of journeys that touch no other.
    pub shapley: u64,
}

/// Where journeys went from one touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// To a touch of this strategy.
    pub next: BTreeMap<String, u64>,
    /// To a conversion.
    pub conversions: u64,
    /// To an end without one.
    pub nulls: u64,
}

/// Journeys that ended, by what they touched. Merging is associative and commutative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journeys {
    /// Journeys with a touch that converted.
    pub conversions: u64,
    /// Journeys with a touch that were lost.
    pub nulls: u64,
    /// Conversions without a touch before them: nothing is credited.
    pub untouched: u64,
    /// Journeys with more touches than share in the credit.
    pub cut: u64,
    /// Credits by strategy.
    pub credits: BTreeMap<String, Credits>,
    /// Steps by the strategy they go from; the start has no name.
    pub steps: BTreeMap<String, Steps>,
}

/// What each strategy is credited, in conversions.
#[derive(Clone, Debug, PartialEq)]
pub struct Credited {
    /// The strategy.
    pub strategy: String,
    /// The parts by rule.
    pub parts: Credits,
    /// Conversions by what a chain of touches loses without it; `None` without a conversion.
    pub markov: Option<f64>,
}

/// Parts as conversions.
#[must_use]
pub fn conversions(parts: u64) -> f64 {
    parts as f64 / PARTS as f64
}

impl Journeys {
    /// One journey: its touches in the order of their times, each with its age at the end, hours.
    #[must_use]
    pub fn of(touches: &[(&str, f64)], outcome: Outcome) -> Self {
        let is_won = outcome == Outcome::Won;
        let (cut, path) = touches.split_at(touches.len().saturating_sub(TOUCHES_MAX));
        if path.is_empty() {
            return Self { untouched: u64::from(is_won), ..Self::default() };
        }
        let mut journey = Self {
            conversions: u64::from(is_won),
            nulls: u64::from(!is_won),
            cut: u64::from(!cut.is_empty()),
            ..Self::default()
        };
        journey.walk(path);
        if is_won {
            journey.credit(path);
        }
        journey
    }

    fn walk(&mut self, path: &[(&str, f64)]) {
        let mut state = START;
        for (strategy, _) in path {
            *self
                .steps
                .entry(state.to_owned())
                .or_default()
                .next
                .entry((*strategy).to_owned())
                .or_default() += 1;
            state = strategy;
        }
        let end = self.steps.entry(state.to_owned()).or_default();
        (end.conversions, end.nulls) = (end.conversions + self.conversions, end.nulls + self.nulls);
    }

    fn credit(&mut self, path: &[(&str, f64)]) {
        let ages = by_parts(path);
        for (place, (strategy, _)) in path.iter().enumerate() {
            let share = |rule: Rule| (rule.share(place, path.len()) * PARTS as f64).round() as u64;
            let own = self.credits.entry((*strategy).to_owned()).or_default();
            own.journeys = 1;
            own.first += share(Rule::First);
            own.last += share(Rule::Last);
            own.linear += share(Rule::Linear);
            own.position += share(Rule::Position);
            own.age += ages.get(place).copied().unwrap_or_default();
        }
        let different = self.credits.len() as u64;
        self.credits.values_mut().for_each(|own| own.shapley = PARTS / different);
    }

    /// Adds other journeys.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, u64::wrapping_add);
    }

    /// Takes back what was added before.
    pub fn retract(&mut self, other: &Self) {
        self.combine(other, u64::wrapping_sub);
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self { conversions, nulls, untouched, cut, credits, steps } = other;
        let put = |own: &mut u64, other: &u64| *own = with(*own, *other);
        put(&mut self.conversions, conversions);
        put(&mut self.nulls, nulls);
        put(&mut self.untouched, untouched);
        put(&mut self.cut, cut);
        for (strategy, other) in credits {
            let own = self.credits.entry(strategy.clone()).or_default();
            let Credits { journeys, first, last, linear, position, age, shapley } = other;
            put(&mut own.journeys, journeys);
            put(&mut own.first, first);
            put(&mut own.last, last);
            put(&mut own.linear, linear);
            put(&mut own.position, position);
            put(&mut own.age, age);
            put(&mut own.shapley, shapley);
        }
        for (state, other) in steps {
            let own = self.steps.entry(state.clone()).or_default();
            put(&mut own.conversions, &other.conversions);
            put(&mut own.nulls, &other.nulls);
            other.next.iter().for_each(|(strategy, count)| {
                put(own.next.entry(strategy.clone()).or_default(), count)
            });
            own.next.retain(|_, count| *count > 0);
        }
        self.credits.retain(|_, own| *own != Credits::default());
        self.steps.retain(|_, own| *own != Steps::default());
    }

    /// What each strategy that was touched is credited, by name.
    #[must_use]
    pub fn credited(&self) -> Vec<Credited> {
        let names: Vec<&String> = self.steps.keys().filter(|name| *name != START).collect();
        let markov = (self.conversions > 0).then(|| self.chain(&names).credits);
        let reported = names.into_iter().enumerate().map(|(place, strategy)| Credited {
            strategy: strategy.clone(),
            parts: self.credits.get(strategy).copied().unwrap_or_default(),
            markov: markov.as_ref().and_then(|credits| credits.get(place)).copied(),
        });
        reported.collect()
    }

    fn chain(&self, names: &[&String]) -> Chain {
        let row = |state: &str| -> Vec<f64> {
            let steps = self.steps.get(state).cloned().unwrap_or_default();
            let to =
                names.iter().map(|name| steps.next.get(*name).copied().unwrap_or_default() as f64);
            to.chain([steps.conversions as f64, steps.nulls as f64]).collect()
        };
        let steps: Vec<Vec<f64>> = names.iter().map(|name| row(name)).chain([row(START)]).collect();
        Chain::of(&steps, self.conversions)
    }
}

/// Parts of one conversion by the age of its touches; what rounding leaves goes to the last one.
fn by_parts(path: &[(&str, f64)]) -> Vec<u64> {
    let touches = path
        .iter()
        .enumerate()
        // A stored row may hold an end before its touch: that touch is as young as can be.
        .map(|(channel, (_, age_hours))| Touch { channel, age_hours: age_hours.max(0.0) })
        .collect();
    // An error is left where there is no touch, which leaves nothing to share out.
    let shares = by_age(&[touches], path.len(), HALF_LIFE_HOURS).unwrap_or_default();
    let mut parts: Vec<u64> = shares.iter().map(|share| (share * PARTS as f64) as u64).collect();
    let rest = PARTS - parts.iter().sum::<u64>().min(PARTS);
    parts.iter_mut().last().into_iter().for_each(|last| *last += rest);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Path = (Vec<(u8, f64)>, bool);

    fn paths() -> impl proptest::strategy::Strategy<Value = Vec<Path>> {
        let one = (prop::collection::vec((0..4_u8, 0.0..900.0_f64), 0..20), any::<bool>());
        prop::collection::vec(one, 1..12)
    }

    fn of((touches, is_won): &Path) -> Journeys {
        let mut ages: Vec<f64> = touches.iter().map(|(_, age)| *age).collect();
        ages.sort_by(|left, right| right.total_cmp(left));
        let named: Vec<(&str, f64)> = touches
            .iter()
            .zip(ages)
            .map(|((name, _), age)| (["a", "b", "c", "d"][usize::from(*name)], age))
            .collect();
        Journeys::of(&named, if *is_won { Outcome::Won } else { Outcome::Lost })
    }

    fn merged<'a>(parts: impl Iterator<Item = &'a Journeys>) -> Journeys {
        parts.fold(Journeys::default(), |mut sum, part| {
            sum.merge(part);
            sum
        })
    }

    proptest! {
        #[test]
        fn journeys_merge_in_any_order_are_taken_back_without_a_trace_and_share_out_exactly_their_conversions(paths in paths()) {
            let parts: Vec<Journeys> = paths.iter().map(of).collect();
            let mut whole = merged(parts.iter());
            prop_assert_eq!(&merged(parts.iter().rev()), &whole);
            let sum = |of: fn(&Credits) -> u64| whole.credits.values().map(of).sum::<u64>();
            for parts in [sum(|own| own.first), sum(|own| own.last), sum(|own| own.linear), sum(|own| own.position), sum(|own| own.age), sum(|own| own.shapley)] {
                prop_assert!(parts == whole.conversions * PARTS, "{parts}: {whole:?}");
            }
            whole.retract(&parts[0]);
            prop_assert_eq!(merged(parts[1..].iter()), whole);
        }

        #[test]
        fn credits_are_those_of_the_methods_that_see_every_journey(paths in paths()) {
            let whole = merged(paths.iter().map(of).collect::<Vec<_>>().iter());
            let seen: Vec<(Vec<usize>, bool)> = paths.iter().filter(|(touches, _)| !touches.is_empty()).map(|(touches, is_won)| {
                let newest = &touches[touches.len().saturating_sub(TOUCHES_MAX)..];
                (newest.iter().map(|(name, _)| usize::from(*name)).collect(), *is_won)
            }).collect();
            let (linear, position) = (by_rule(&seen, Rule::Linear), by_rule(&seen, Rule::Position));
            let (shapley, markov) = (shapley(&seen), markov(&seen));
            let near = |reported: f64, expected: f64| (reported - expected).abs() < 1e-9;
            for reported in whole.credited() {
                let place = usize::from(reported.strategy.as_bytes()[0] - b'a');
                prop_assert!(near(conversions(reported.parts.linear), linear[place]) && near(conversions(reported.parts.position), position[place]));
                prop_assert!(near(conversions(reported.parts.shapley), shapley[place]));
                prop_assert_eq!(reported.markov.is_some(), markov.is_some());
                prop_assert!(reported.markov.zip(markov.as_ref()).is_none_or(|(reported, chain)| near(reported, chain.credits[place])));
            }
        }
    }

    fn by_rule(seen: &[(Vec<usize>, bool)], rule: Rule) -> [f64; 4] {
        let mut credits = [0.0; 4];
        for (touches, _) in seen.iter().filter(|(_, is_won)| *is_won) {
            for (place, channel) in touches.iter().enumerate() {
                credits[*channel] += rule.share(place, touches.len());
            }
        }
        credits
    }

    /// Shapley's value by its definition: the mean gain of a channel over all orders.
    fn shapley(seen: &[(Vec<usize>, bool)]) -> [f64; 4] {
        let worth = |set: usize| {
            let within = |touches: &[usize]| touches.iter().all(|channel| set >> channel & 1 == 1);
            seen.iter().filter(|(touches, is_won)| *is_won && within(touches)).count() as f64
        };
        // Of 4 channels a set of s comes before a given one in s! (3 - s)! of 4! orders.
        let orders = [6.0, 2.0, 2.0, 6.0].map(|orders| orders / 24.0);
        std::array::from_fn(|channel| {
            let without = (0..16_usize).filter(|set| set >> channel & 1 == 0);
            let gain = |set: usize| worth(set | 1 << channel) - worth(set);
            without.map(|set| orders[set.count_ones() as usize] * gain(set)).sum()
        })
    }

    /// The chain of all journeys; `None` without a conversion.
    fn markov(seen: &[(Vec<usize>, bool)]) -> Option<Chain> {
        let mut steps = vec![vec![0.0; 6]; 5];
        for (touches, is_won) in seen {
            let last = touches.iter().fold(4, |state, channel| {
                steps[state][*channel] += 1.0;
                *channel
            });
            steps[last][if *is_won { 4 } else { 5 }] += 1.0;
        }
        let conversions = seen.iter().filter(|(_, is_won)| *is_won).count() as u64;
        (conversions > 0).then(|| Chain::of(&steps, conversions))
    }
}
