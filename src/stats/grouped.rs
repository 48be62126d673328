//! The augmented sequence of a bandit from sums: draws with the same probabilities form one group,
//! in any order.
//!
//! As [`crate::stats::weighted::Augmented`] (arXiv:2103.06476v7, section 3), but the
//! forecasts of a group are made from the groups before it. They and the probabilities are set by
//! the past, so every score still has the mean of its arm, and what merges over partitions without
//! loss is enough: number, sum and sum of squares of each arm in each group.

use crate::stats::level::{Error, at_least, finite, same_length};
use crate::stats::welch::Effect;

/// Draws of one arm in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drawn {
    /// Number of draws.
    pub n: u64,
    /// Sum of their outcomes.
    pub sum: f64,
    /// Sum of the squares.
    pub squares: f64,
}

/// Scores of each arm so far; the control is the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    arms: Vec<Past>,
}

/// Sums of one arm, and of the control in the same groups: a group in which an arm has no weight
/// does not count for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Past {
    count: f64,
    outcomes: f64,
    inverse: f64,
    inverse_squares: f64,
    draws: u64,
    own: f64,
    own_squares: f64,
    control: f64,
    control_squares: f64,
    products: f64,
}

/// Errors of the forecast of one arm in one group, weighted by the inverse of its probability:
/// their sum and that of their squares.
#[derive(Clone, Copy)]
struct Errors {
    forecast: f64,
    sum: f64,
    squares: f64,
}

impl Past {
    fn errors(&self, drawn: &Drawn, propensity: f64) -> Errors {
        let forecast = (self.outcomes + 0.5) / (self.count + 1.0);
        if drawn.n == 0 {
            return Errors { forecast, sum: 0.0, squares: 0.0 };
        }
        let n = drawn.n as f64;
        let squares =
            (drawn.squares - 2.0 * forecast * drawn.sum + n * forecast * forecast).max(0.0);
        Errors {
            forecast,
            sum: (drawn.sum - n * forecast) / propensity,
            squares: squares / (propensity * propensity),
        }
    }

    fn means(&self) -> Result<(f64, [f64; 2]), Error> {
        let n = at_least("draws", self.draws, 1)? as f64;
        Ok((n, [self.own / n, self.control / n]))
    }
}

fn effect(estimate: f64, variance: f64, n: f64) -> Result<Effect, Error> {
    let standard_error = (variance.max(0.0) / n).sqrt();
    if standard_error > 0.0 {
        Ok(Effect { estimate, standard_error })
    } else {
        Err(Error::NoVariance("the effect"))
    }
}

impl Grouped {
    /// An empty sequence of `arms` arms, at least two.
    ///
    /// # Errors
    /// With fewer.
    pub fn new(arms: usize) -> Result<Self, Error> {
        at_least("arms", arms as u64, 2)?;
        Ok(Self { arms: vec![Past::default(); arms] })
    }

    /// Adds the next group with the probabilities of all arms in it.
    ///
    /// # Errors
    /// When an arm without a probability was drawn, the control has none, or an outcome is not
    /// finite.
    pub fn observe(&mut self, drawn: &[Drawn], propensities: &[f64]) -> Result<(), Error> {
        same_length("arms", drawn.len(), self.arms.len())?;
        same_length("propensities", propensities.len(), self.arms.len())?;
        for (place, (drawn, propensity)) in drawn.iter().zip(propensities).enumerate() {
            finite("a sum", drawn.sum + drawn.squares)?;
            let is_needed = place == 0 || drawn.n > 0;
            if !(0.0..=1.0).contains(propensity) || is_needed && *propensity == 0.0 {
                return Err(Error::Outside {
                    name: "a propensity",
                    value: *propensity,
                    expected: "above 0 and at most 1",
                });
            }
        }
        let draws: u64 = drawn.iter().map(|drawn| drawn.n).sum();
        let n = draws as f64;
        let errors: Vec<Errors> = (self.arms.iter().zip(drawn))
            .zip(propensities)
            .map(|((past, drawn), of)| past.errors(drawn, *of))
            .collect();
        let control = errors[0];
        // An arm's score is its forecast, and for the drawn arm also the weighted error.
        let sum = |of: Errors| n * of.forecast + of.sum;
        let squares =
            |of: Errors| n * of.forecast * of.forecast + 2.0 * of.forecast * of.sum + of.squares;
        for ((past, own), (drawn, propensity)) in
            self.arms.iter_mut().zip(&errors).zip(drawn.iter().zip(propensities))
        {
            if *propensity == 0.0 {
                continue;
            }
            past.draws += draws;
            past.own += sum(*own);
            past.own_squares += squares(*own);
            past.control += sum(control);
            past.control_squares += squares(control);
            past.products += n * own.forecast * control.forecast
                + own.forecast * control.sum
                + control.forecast * own.sum;
            past.count += drawn.n as f64;
            past.outcomes += drawn.sum;
            past.inverse += drawn.n as f64 / propensity;
            past.inverse_squares += drawn.n as f64 / (propensity * propensity);
        }
        Ok(())
    }

    /// Effective sample size of an arm (Kish): draws of it, less where their weights differ.
    #[must_use]
    pub fn effective_size(&self, arm: usize) -> f64 {
        let kish = |past: &Past| {
            if past.count == 0.0 { 0.0 } else { past.inverse * past.inverse / past.inverse_squares }
        };
        self.arms.get(arm).map_or(0.0, kish)
    }

    /// Draws of all arms in the groups in which an arm had a probability.
    #[must_use]
    pub fn draws(&self, arm: usize) -> u64 {
        self.arms.get(arm).map_or(0, |past| past.draws)
    }

    fn past(&self, arm: usize) -> Result<&Past, Error> {
        self.arms.get(arm).ok_or(Error::Outside {
            name: "the arm",
            value: arm as f64,
            expected: "one of the arms",
        })
    }

    /// Mean outcome if every draw had been of this arm: the doubly robust value of the policy that
    /// always draws it.
    ///
    /// # Errors
    /// For unknown arms, and before the scores vary.
    pub fn value(&self, arm: usize) -> Result<Effect, Error> {
        let past = self.past(arm)?;
        let (n, [own, _]) = past.means()?;
        effect(own, past.own_squares / n - own * own, n)
    }

    /// Mean outcome of the arm minus that of the control.
    ///
    /// # Errors
    /// As [`Grouped::value`].
    pub fn difference(&self, arm: usize) -> Result<Effect, Error> {
        let past = self.past(arm)?;
        let (n, [own, control]) = past.means()?;
        let squares = (past.own_squares - 2.0 * past.products + past.control_squares) / n;
        effect(own - control, squares - (own - control) * (own - control), n)
    }

    /// `ln(arm / control)` by the delta method.
    ///
    /// # Errors
    /// As [`Grouped::value`], and when a mean is not above 0.
    pub fn log_ratio(&self, arm: usize) -> Result<Effect, Error> {
        let past = self.past(arm)?;
        let (n, [own, control]) = past.means()?;
        if own.min(control) <= 0.0 {
            return Err(Error::Outside {
                name: "a mean",
                value: own.min(control),
                expected: "above 0 for a ratio",
            });
        }
        // Variance of the difference of both scores, each over its mean.
        let variance = (past.own_squares / (own * own) - 2.0 * past.products / (own * control)
            + past.control_squares / (control * control))
            / n;
        effect(libm::log(own / control), variance, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;
    use crate::stats::weighted::{Augmented, Draw};

    fn one(arm: usize, outcome: f64) -> [Drawn; 3] {
        let mut drawn = [Drawn::default(); 3];
        drawn[arm] = Drawn { n: 1, sum: outcome, squares: outcome * outcome };
        drawn
    }

    /// Draws under probabilities that change every hundred.
    fn draws() -> Vec<(usize, f64, [f64; 3])> {
        let mut random = Random::new(1, 1);
        let draw = |turn: usize| {
            let weights = [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.34, 0.33, 0.33]][turn / 100 % 3];
            let unit = random.unit();
            let arm =
                usize::from(unit >= weights[0]) + usize::from(unit >= weights[0] + weights[1]);
            (arm, f64::from(u8::from(random.chance([0.3, 0.4, 0.5][arm]))), weights)
        };
        (0..3_000).map(draw).collect()
    }

    #[test]
    fn groups_of_one_draw_are_the_sequence_of_draws() {
        let (mut augmented, mut grouped) = (Augmented::new(3).unwrap(), Grouped::new(3).unwrap());
        for (arm, outcome, weights) in draws() {
            augmented.observe(Draw { arm, outcome }, &weights).unwrap();
            grouped.observe(&one(arm, outcome), &weights).unwrap();
        }
        for arm in 1..3 {
            let (expected, found) =
                (augmented.effect(arm).unwrap(), grouped.difference(arm).unwrap());
            assert!(
                (expected.estimate - found.estimate).abs() < 1e-10
                    && (expected.standard_error - found.standard_error).abs() < 1e-10
            );
            assert!((augmented.effective_size(arm) - grouped.effective_size(arm)).abs() < 1e-6);
        }
    }

    #[test]
    fn a_value_is_the_doubly_robust_one_of_the_policy_that_always_draws_the_arm() {
        let all = draws();
        let mut grouped = Grouped::new(3).unwrap();
        let mut forecasts = Vec::new();
        for group in all.chunks(100) {
            let mut drawn = [Drawn::default(); 3];
            for (arm, outcome, _) in group {
                let Drawn { n, sum, squares } = drawn[*arm];
                drawn[*arm] =
                    Drawn { n: n + 1, sum: sum + outcome, squares: squares + outcome * outcome };
            }
            let forecast: Vec<f64> = grouped
                .arms
                .iter()
                .map(|past| (past.outcomes + 0.5) / (past.count + 1.0))
                .collect();
            forecasts.extend(group.iter().map(|_| forecast.clone()));
            grouped.observe(&drawn, &group[0].2).unwrap();
        }
        // The doubly robust score of a draw (Dudik, Langford and Li, ICML 2011), for the policy
        // that always draws the last arm.
        let scores: Vec<f64> = (all.iter().zip(&forecasts))
            .map(|((arm, outcome, weights), forecast)| {
                let error = if *arm == 2 { (outcome - forecast[2]) / weights[2] } else { 0.0 };
                forecast[2] + error
            })
            .collect();
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let variance =
            scores.iter().map(|score| (score - mean) * (score - mean)).sum::<f64>() / (n - 1.0);
        let found = grouped.value(2).unwrap();
        assert!((found.estimate - mean).abs() < 1e-10, "{mean} {found:?}");
        // The one divides by n - 1, the other by n.
        assert!(((variance / n).sqrt() / found.standard_error - 1.0).abs() < 1e-3);
        // Both scales agree where the effect is small compared with its error; here ln(.5 / .3).
        let ratio = grouped.log_ratio(2).unwrap();
        assert!((ratio.estimate - libm::log(0.5 / 0.3)).abs() < 4.0 * ratio.standard_error);
    }

    #[test]
    fn an_arm_without_weight_is_compared_only_where_it_had_one() {
        let mut grouped = Grouped::new(2).unwrap();
        let group = |control: u64, arm: u64, n: u64| {
            let of = |won: u64| Drawn { n, sum: won as f64, squares: won as f64 };
            [of(control), if n == 0 { Drawn::default() } else { of(arm) }]
        };
        grouped.observe(&group(10, 30, 100), &[0.5, 0.5]).unwrap();
        let before = grouped.difference(1).unwrap();
        let alone = [Drawn { n: 900, sum: 800.0, squares: 800.0 }, Drawn::default()];
        grouped.observe(&alone, &[1.0, 0.0]).unwrap();
        assert_eq!(
            (grouped.difference(1).unwrap(), grouped.draws(1), grouped.draws(0)),
            (before, 200, 1_100)
        );
        let leaked =
            [Drawn { n: 1, sum: 0.0, squares: 0.0 }, Drawn { n: 1, sum: 0.0, squares: 0.0 }];
        assert!(
            grouped.observe(&leaked, &[1.0, 0.0]).is_err()
                && grouped.observe(&leaked, &[0.0, 1.0]).is_err()
        );
        assert!(
            grouped.observe(&leaked, &[0.5]).is_err()
                && Grouped::new(1).is_err()
                && grouped.value(7).is_err()
        );
    }
}
