//! Which touches conversions are credited to: descriptions of journeys, none of which proves a
//! cause.
//!
//! All methods share out exactly the conversions there were. First, last, linear, by position and
//! by age look at one journey at a time; Markov (Anderl, Becker, von Wangenheim and Schumann 2016)
//! and Shapley (1953) compare journeys with and without a channel. What a strategy causes is told
//! by an experiment alone.

use std::collections::BTreeSet;

use crate::stats::level::{Error, at_least, not_negative, positive};
use crate::stats::matrix::solve;

/// Share of the first and of the last touch by [`Rule::Position`]; the ones between have the rest.
const END_SHARE: f64 = 0.4;

/// Journeys with the same touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journeys {
    /// Channels in the order of their touches, each below the number of channels; at least one.
    pub touches: Vec<usize>,
    /// Journeys that converted.
    pub conversions: u64,
    /// Journeys that did not.
    pub nulls: u64,
}

/// How one journey's conversion is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All to the first touch.
    First,
    /// All to the last touch.
    Last,
    /// Equally to every touch.
    Linear,
    /// Four tenths to the first and to the last, the rest equally between; halves where there are
    /// only two.
    Position,
}

impl Rule {
    /// Share of a touch at `place` of `count`.
    #[must_use]
    pub fn share(self, place: usize, count: usize) -> f64 {
        let (first, last) = (place == 0, place + 1 == count);
        match self {
            Self::First => f64::from(u8::from(first)),
            Self::Last => f64::from(u8::from(last)),
            Self::Linear => 1.0 / count as f64,
            Self::Position => match count {
                1 | 2 => 1.0 / count as f64,
                _ if first || last => END_SHARE,
                _ => (1.0 - 2.0 * END_SHARE) / (count - 2) as f64,
            },
        }
    }
}

/// Conversions credited to each channel by a rule.
///
/// # Errors
/// When a journey has no touch or an unknown channel.
pub fn by_rule(journeys: &[Journeys], channels: usize, rule: Rule) -> Result<Vec<f64>, Error> {
    let mut credits = vec![0.0; channels];
    for journey in journeys {
        check(&journey.touches, channels)?;
        let count = journey.touches.len();
        for (place, channel) in journey.touches.iter().enumerate() {
            credits[*channel] += journey.conversions as f64 * rule.share(place, count);
        }
    }
    Ok(credits)
}

/// A touch of a journey that converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// The channel.
    pub channel: usize,
    /// Hours before the conversion, at least 0.
    pub age_hours: f64,
}

/// Conversions credited by the age of touches: one is worth half as much as another that is a
/// half-life younger.
///
/// # Errors
/// When a journey has no touch or an unknown channel, an age is negative, or the half-life is not
/// above 0.
pub fn by_age(
    journeys: &[Vec<Touch>],
    channels: usize,
    half_life_hours: f64,
) -> Result<Vec<f64>, Error> {
    positive("the half-life", half_life_hours)?;
    let mut credits = vec![0.0; channels];
    for journey in journeys {
        check(&journey.iter().map(|touch| touch.channel).collect::<Vec<_>>(), channels)?;
        journey.iter().try_for_each(|touch| {
            not_negative("the age of a touch", touch.age_hours).map(|_| ())
        })?;
        // Ages from the youngest touch on, so that old journeys do not vanish.
        let youngest = journey.iter().map(|touch| touch.age_hours).fold(f64::INFINITY, f64::min);
        let weight = |touch: &Touch| libm::exp2((youngest - touch.age_hours) / half_life_hours);
        let total: f64 = journey.iter().map(weight).sum();
        for touch in journey {
            credits[touch.channel] += weight(touch) / total;
        }
    }
    Ok(credits)
}

/// Journeys as a chain in which the next touch depends on the last one alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Probability that a journey converts.
    pub conversion: f64,
    /// By channel: the share of conversions that would be lost if every journey ended without one
    /// where it touches the channel.
    pub removal_effects: Vec<f64>,
    /// Conversions credited, in proportion to the effects.
    pub credits: Vec<f64>,
}

/// Conversions credited by what the chain loses without a channel.
///
/// # Errors
/// When a journey has no touch or an unknown channel, or without a conversion.
pub fn markov(journeys: &[Journeys], channels: usize) -> Result<Chain, Error> {
    let conversions: u64 = journeys.iter().map(|journey| journey.conversions).sum();
    at_least("conversions", conversions, 1)?;
    // The state after the channels is the start; the column after the channels is the conversion,
    // the one after that none.
    let mut steps = vec![vec![0.0; channels + 2]; channels + 1];
    for journey in journeys {
        check(&journey.touches, channels)?;
        let count = (journey.conversions + journey.nulls) as f64;
        let mut state = channels;
        for channel in &journey.touches {
            steps[state][*channel] += count;
            state = *channel;
        }
        steps[state][channels] += journey.conversions as f64;
        steps[state][channels + 1] += journey.nulls as f64;
    }
    Ok(Chain::of(&steps, conversions))
}

impl Chain {
    /// The chain with these numbers of steps: a row for each channel and one for the start, each
    /// with its steps to the channels, to a conversion and to none. At least one conversion is
    /// needed, and every journey ends.
    #[must_use]
    pub fn of(steps: &[Vec<f64>], conversions: u64) -> Self {
        let channels = steps.len() - 1;
        let conversion = converted(steps, channels, None);
        let removal_effects: Vec<f64> = (0..channels)
            .map(|channel| 1.0 - converted(steps, channels, Some(channel)) / conversion)
            .collect();
        let total: f64 = removal_effects.iter().sum();
        let credits =
            removal_effects.iter().map(|effect| conversions as f64 * effect / total).collect();
        Self { conversion, removal_effects, credits }
    }
}

/// Probability that a chain with these numbers of steps converts, when a removed channel ends it.
fn converted(steps: &[Vec<f64>], channels: usize, removed: Option<usize>) -> f64 {
    let mut equations = Vec::with_capacity(steps.len());
    let mut right = Vec::with_capacity(steps.len());
    for (state, row) in steps.iter().enumerate() {
        let total: f64 = row.iter().sum();
        let probability = |target: usize| {
            if total == 0.0 || Some(state) == removed { 0.0 } else { row[target] / total }
        };
        let to = |target: usize| if target == channels { 0.0 } else { probability(target) };
        equations.push(
            (0..=channels)
                .map(|target| f64::from(u8::from(target == state)) - to(target))
                .collect(),
        );
        right.push(probability(channels));
    }
    let chances = solve(equations, right).expect("every journey ends, so the chain does");
    chances[channels]
}

/// Shapley's value of each channel, when a set of channels is worth the conversions of journeys
/// that touch no other: each such journey is shared out equally among the different channels it
/// touches.
///
/// # Errors
/// When a journey has no touch or an unknown channel.
pub fn shapley(journeys: &[Journeys], channels: usize) -> Result<Vec<f64>, Error> {
    let mut credits = vec![0.0; channels];
    for journey in journeys {
        check(&journey.touches, channels)?;
        let touched: BTreeSet<usize> = journey.touches.iter().copied().collect();
        for channel in &touched {
            credits[*channel] += journey.conversions as f64 / touched.len() as f64;
        }
    }
    Ok(credits)
}

fn check(touches: &[usize], channels: usize) -> Result<(), Error> {
    at_least("touches", touches.len() as u64, 1)?;
    match touches.iter().find(|channel| **channel >= channels) {
        Some(channel) => Err(Error::Outside {
            name: "a channel",
            value: *channel as f64,
            expected: "below the number of channels",
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn journey(touches: &[usize], conversions: u64, nulls: u64) -> Journeys {
        Journeys { touches: touches.to_vec(), conversions, nulls }
    }

    #[test]
    fn the_chain_of_two_channels_is_met_by_hand() {
        // Start goes to A in 3 of 4 journeys; A goes on to B in 1 of 3, converts in 1 and ends in
        // 1; B converts in 1 of 2.
        let journeys = [journey(&[0], 1, 1), journey(&[0, 1], 1, 0), journey(&[1], 0, 1)];
        let chain = markov(&journeys, 2).unwrap();
        let close = |left: f64, right: f64| (left - right).abs() < 1e-14;
        // 3/4 (1/3 + 1/3 * 1/2) + 1/4 * 1/2 = 1/2; without A 1/8, without B 1/4.
        assert!(
            close(chain.conversion, 0.5)
                && close(chain.removal_effects[0], 0.75)
                && close(chain.removal_effects[1], 0.5),
            "{chain:?}"
        );
        assert!(close(chain.credits[0], 1.2) && close(chain.credits[1], 0.8), "{chain:?}");
    }

    #[test]
    fn rules_share_out_one_journey_as_they_say() {
        let of = |rule, touches: &[usize]| by_rule(&[journey(touches, 10, 5)], 4, rule).unwrap();
        assert_eq!(of(Rule::First, &[0, 1, 2, 3]), [10.0, 0.0, 0.0, 0.0]);
        assert_eq!(of(Rule::Last, &[0, 1, 2, 3]), [0.0, 0.0, 0.0, 10.0]);
        assert_eq!(of(Rule::Linear, &[0, 0, 2, 3]), [5.0, 0.0, 2.5, 2.5]);
        assert_eq!(of(Rule::Position, &[0, 1]), [5.0, 5.0, 0.0, 0.0]);
        assert_eq!(of(Rule::Position, &[2]), [0.0, 0.0, 10.0, 0.0]);
        assert!((of(Rule::Position, &[0, 1, 2, 3])[1] - 1.0).abs() < 1e-14);
        let touch = |channel, age_hours| Touch { channel, age_hours };
        let aged = by_age(&[vec![touch(0, 1e7), touch(1, 1e7 - 10.0)]], 2, 10.0).unwrap();
        assert!((aged[0] - 1.0 / 3.0).abs() < 1e-12 && (aged[1] - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_journey_is_refused() {
        let unknown = [journey(&[2], 1, 0)];
        assert!(
            by_rule(&unknown, 2, Rule::Last).is_err()
                && markov(&unknown, 2).is_err()
                && shapley(&unknown, 2).is_err()
        );
        assert!(
            shapley(&[journey(&[], 1, 0)], 2).is_err()
                && markov(&[journey(&[0], 0, 9)], 2).is_err()
        );
        assert!(
            by_age(&[vec![Touch { channel: 0, age_hours: -1.0 }]], 1, 10.0).is_err()
                && by_age(&[], 1, 0.0).is_err()
        );
    }

    fn histories() -> impl Strategy<Value = Vec<Journeys>> {
        let one = (prop::collection::vec(0..4_usize, 1..6), 0..9_u64, 0..9_u64);
        prop::collection::vec(one, 1..8).prop_map(|all| {
            all.into_iter().map(|(touches, won, lost)| journey(&touches, won, lost)).collect()
        })
    }

    proptest! {
        #[test]
        fn every_method_shares_out_exactly_the_conversions(journeys in histories()) {
            let conversions: u64 = journeys.iter().map(|journey| journey.conversions).sum();
            let mut credits: Vec<Vec<f64>> =
                [Rule::First, Rule::Last, Rule::Linear, Rule::Position].iter().map(|rule| by_rule(&journeys, 4, *rule).unwrap()).collect();
            credits.push(shapley(&journeys, 4).unwrap());
            if conversions > 0 {
                credits.push(markov(&journeys, 4).unwrap().credits);
            }
            for credits in credits {
                prop_assert!((credits.iter().sum::<f64>() - conversions as f64).abs() < 1e-9, "{credits:?}");
                prop_assert!(credits.iter().all(|credit| *credit >= -1e-12));
            }
        }

        #[test]
        fn shapleys_value_is_the_mean_gain_over_all_orders(journeys in histories()) {
            let worth = |set: usize| -> f64 {
                journeys.iter().filter(|journey| journey.touches.iter().all(|channel| set >> channel & 1 == 1)).map(|journey| journey.conversions as f64).sum()
            };
            // Of 4 channels a set of s comes before a given one in s! (3 - s)! of 4! orders.
            let orders = [6.0, 2.0, 2.0, 6.0].map(|orders| orders / 24.0);
            for (channel, value) in shapley(&journeys, 4).unwrap().into_iter().enumerate() {
                let without = (0..16_usize).filter(|set| set >> channel & 1 == 0);
                let gain: f64 = without.map(|set| orders[set.count_ones() as usize] * (worth(set | 1 << channel) - worth(set))).sum();
                prop_assert!((gain - value).abs() < 1e-9, "{gain} {value}");
            }
        }
    }
}
