//! How conversions are credited to the touches before them: descriptions of journeys, none of which
//! proves a cause.
//!
//! The credits of every method add up to the conversions. First, last, linear, by position and by
//! age use one journey at a time; Markov (Anderl, Becker, von Wangenheim and Schumann 2016)
//! compares journeys with and without a channel. Only an experiment shows what a strategy causes.

use crate::stats::level::{Error, at_least, not_negative, positive};
use crate::stats::matrix::solve;

/// Share of the first and of the last touch by [`Rule::Position`]; the touches between them share
/// the rest.
const END_SHARE: f64 = 0.4;

/// A rule that divides the credit for one conversion among the touches of its journey.
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
    /// The share of the touch at `place` of `count`.
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

/// A touch of a journey that converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// The channel.
    pub channel: usize,
    /// Hours before the conversion, at least 0.
    pub age_hours: f64,
}

/// Conversions credited by the age of touches: the weight of a touch halves with every half-life.
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
    /// Conversions credited to each channel, in proportion to its removal effect.
    pub credits: Vec<f64>,
}

impl Chain {
    /// The chain of counted steps: a row for each channel and one for the start, each with its
    /// steps to the channels, to a conversion and to an end without one. It needs at least one
    /// conversion, and every journey must end.
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

/// Probability that the chain converts when a removed channel ends every journey.
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

    #[test]
    fn the_chain_of_two_channels_is_met_by_hand() {
        // Start goes to A in 3 of 4 journeys; A goes on to B in 1 of 3, converts in 1 and ends in
        // 1; B converts in 1 of 2. Columns: to A, to B, to a conversion, to none.
        let steps = [vec![0.0, 1.0, 1.0, 1.0], vec![0.0, 0.0, 1.0, 1.0], vec![3.0, 1.0, 0.0, 0.0]];
        let chain = Chain::of(&steps, 2);
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
        let of = |rule: Rule, count: usize| -> Vec<f64> {
            (0..count).map(|place| rule.share(place, count)).collect()
        };
        assert_eq!(of(Rule::First, 4), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(of(Rule::Last, 4), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(of(Rule::Linear, 4), [0.25; 4]);
        assert_eq!((of(Rule::Position, 1), of(Rule::Position, 2)), (vec![1.0], vec![0.5, 0.5]));
        let four = of(Rule::Position, 4);
        assert!((four[0] - 0.4).abs() < 1e-14 && (four[1] - 0.1).abs() < 1e-14, "{four:?}");
        let touch = |channel, age_hours| Touch { channel, age_hours };
        let aged = by_age(&[vec![touch(0, 1e7), touch(1, 1e7 - 10.0)]], 2, 10.0).unwrap();
        assert!((aged[0] - 1.0 / 3.0).abs() < 1e-12 && (aged[1] - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_journey_without_touches_or_with_an_unknown_channel_is_refused() {
        let touch = |channel, age_hours| vec![Touch { channel, age_hours }];
        assert!(by_age(&[touch(2, 1.0)], 2, 10.0).is_err() && by_age(&[vec![]], 2, 10.0).is_err());
        assert!(by_age(&[touch(0, -1.0)], 1, 10.0).is_err() && by_age(&[], 1, 0.0).is_err());
    }

    proptest! {
        #[test]
        fn every_rule_shares_out_exactly_one_conversion(ages in prop::collection::vec(0.0..900.0_f64, 1..17)) {
            for rule in [Rule::First, Rule::Last, Rule::Linear, Rule::Position] {
                let sum: f64 = (0..ages.len()).map(|place| rule.share(place, ages.len())).sum();
                prop_assert!((sum - 1.0).abs() < 1e-12, "{rule:?}: {sum}");
            }
            let journey = ages.iter().enumerate().map(|(channel, age)| Touch { channel, age_hours: *age });
            let credits = by_age(&[journey.collect()], ages.len(), 168.0).unwrap();
            prop_assert!((credits.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{credits:?}");
        }
    }
}
