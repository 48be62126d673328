//! The effect of a bandit's arms, draw by draw: the arm of each outcome was drawn with a logged
//! probability that may change with every draw.
//!
//! Inverse propensity weighting augmented by a forecast from the past (arXiv:2103.06476v7, section
//! 3), valid when the probabilities follow the data.

use crate::stats::level::{Error, at_least, finite, same_length};
use crate::stats::welch::Effect;

/// Effective sample size that an arm needs before its effect may be acted on. Specified.
pub const EFFECTIVE_SIZE_MIN: f64 = 100.0;
/// Conversions that an arm needs as well. Specified.
pub const CONVERSIONS_MIN: u64 = 15;

/// One draw of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The arm, counted from 0, the control.
    pub arm: usize,
    /// The outcome.
    pub outcome: f64,
}

fn propensity(propensities: &[f64], arm: usize) -> Result<f64, Error> {
    let outside =
        Error::Outside { name: "the arm", value: arm as f64, expected: "one of the arms" };
    let value = *propensities.get(arm).ok_or(outside)?;
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err(Error::Outside { name: "a propensity", value, expected: "above 0 and at most 1" })
    }
}

fn check(draw: Draw, propensities: &[f64], arms: usize) -> Result<f64, Error> {
    same_length("propensities", propensities.len(), arms)?;
    propensity(propensities, draw.arm)
}

/// Effects of arms against the control from augmented inverse propensity weighting.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmented {
    draws: u64,
    arms: Vec<Past>,
}

/// Sums of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Past {
    count: f64,
    outcomes: f64,
    inverse: f64,
    inverse_squares: f64,
    /// Sums of the difference of scores from the control.
    difference: f64,
    difference_squares: f64,
}

impl Past {
    fn forecast(&self) -> f64 {
        (self.outcomes + 0.5) / (self.count + 1.0)
    }
}

impl Augmented {
    /// An empty sequence of `arms` arms, at least two.
    ///
    /// # Errors
    /// With fewer.
    pub fn new(arms: usize) -> Result<Self, Error> {
        at_least("arms", arms as u64, 2)?;
        Ok(Self { draws: 0, arms: vec![Past::default(); arms] })
    }

    /// Adds a draw with the probabilities of all arms in it.
    ///
    /// # Errors
    /// When the arm or its probability is not possible or the outcome is not finite.
    pub fn observe(&mut self, draw: Draw, propensities: &[f64]) -> Result<(), Error> {
        let propensity = check(draw, propensities, self.arms.len())?;
        let outcome = finite("the outcome", draw.outcome)?;
        let score = |arm: usize, past: &Past| {
            let forecast = past.forecast();
            if arm == draw.arm { forecast + (outcome - forecast) / propensity } else { forecast }
        };
        let control = score(0, &self.arms[0]);
        for (arm, past) in self.arms.iter_mut().enumerate() {
            let difference = score(arm, past) - control;
            past.difference += difference;
            past.difference_squares += difference * difference;
        }
        let drawn = &mut self.arms[draw.arm];
        drawn.count += 1.0;
        drawn.outcomes += outcome;
        drawn.inverse += 1.0 / propensity;
        drawn.inverse_squares += 1.0 / (propensity * propensity);
        self.draws += 1;
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

    /// Mean outcome of an arm minus that of the control.
    ///
    /// # Errors
    /// For the control and unknown arms, and before the scores vary.
    pub fn effect(&self, arm: usize) -> Result<Effect, Error> {
        let outside = Error::Outside {
            name: "the arm",
            value: arm as f64,
            expected: "an arm other than the control",
        };
        let past = self.arms.get(arm).filter(|_| arm > 0).ok_or(outside)?;
        let n = at_least("draws", self.draws, 1)? as f64;
        let estimate = past.difference / n;
        let variance = past.difference_squares / n - estimate * estimate;
        let standard_error = (variance.max(0.0) / n).sqrt();
        if standard_error > 0.0 {
            Ok(Effect { estimate, standard_error })
        } else {
            Err(Error::NoVariance("the effect"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arms in turn with unequal probabilities; the treatment wins three times in four, the control
    /// one in four.
    fn draws() -> impl Iterator<Item = (Draw, [f64; 2])> {
        (0..4_000_usize).map(|turn| {
            let arm = usize::from(turn % 10 < 3);
            let outcome = f64::from(u8::from((turn / 10) % 4 < if arm == 1 { 3 } else { 1 }));
            (Draw { arm, outcome }, [0.7, 0.3])
        })
    }

    #[test]
    fn the_effect_is_found() {
        let mut augmented = Augmented::new(2).unwrap();
        for (draw, propensities) in draws() {
            augmented.observe(draw, &propensities).unwrap();
        }
        let effect = augmented.effect(1).unwrap();
        assert!((effect.estimate - 0.5).abs() < 2.0 * effect.standard_error, "{effect:?}");
        assert!(effect.standard_error < 0.03, "{effect:?}");
        assert!((augmented.effective_size(1) - 1_200.0).abs() < 1e-6, "equal weights count fully");
    }

    #[test]
    fn impossible_draws_are_refused() {
        let mut augmented = Augmented::new(2).unwrap();
        let draw = |arm, outcome| Draw { arm, outcome };
        for (draw, propensities) in [
            (draw(2, 0.5), vec![0.5, 0.5]),
            (draw(1, f64::NAN), vec![0.5, 0.5]),
            (draw(1, 0.5), vec![1.0, 0.0]),
            (draw(1, 0.5), vec![0.5, f64::NAN]),
            (draw(1, 0.5), vec![1.0]),
        ] {
            assert!(augmented.observe(draw, &propensities).is_err());
        }
        assert!(
            augmented.effect(0).is_err()
                && augmented.effect(1).is_err()
                && augmented.effect(9).is_err()
        );
        assert_eq!(augmented.effective_size(1), 0.0);
    }
}
