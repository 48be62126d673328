//! The posterior of a normal effect under a flat prior: displayed alongside the decision, never its
//! ground when an experiment is watched.

use crate::stats::distribution::{normal_below, normal_density};
use crate::stats::level::{Error, finite, positive};
use crate::stats::welch::Effect;

/// The posterior of a normal effect, where more is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// Probability that the treatment is better.
    pub chance_to_win: f64,
    /// Expected loss of choosing the treatment, in units of the effect.
    pub loss_treatment: f64,
}

/// The posterior after an estimated effect.
///
/// # Errors
/// When the estimate is not finite or its standard error is not above 0.
pub fn effect(effect: Effect) -> Result<Belief, Error> {
    let mean = finite("the estimate", effect.estimate)?;
    let sd = positive("the standard error", effect.standard_error)?;
    let z = mean / sd;
    let loss_treatment = sd * normal_density(z) - mean * normal_below(-z);
    Ok(Belief { chance_to_win: normal_below(z), loss_treatment })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(estimate: f64, standard_error: f64) -> Result<Belief, Error> {
        effect(Effect { estimate, standard_error })
    }

    #[test]
    fn no_effect_is_an_even_chance_and_an_estimate_without_error_is_refused() {
        let even = of(0.0, 2.0).unwrap();
        // The expected loss is that of half a normal distribution: sd / sqrt(2 pi).
        assert!((even.chance_to_win - 0.5).abs() < 1e-15);
        assert!((even.loss_treatment - 2.0 / (2.0 * std::f64::consts::PI).sqrt()).abs() < 1e-15);
        assert!(of(0.1, 0.0).is_err() && of(f64::NAN, 1.0).is_err());
    }

    proptest! {
        #[test]
        fn directions_mirror_and_losses_differ_by_the_effect(estimate in -3.0..3.0_f64, standard_error in 0.1..2.0_f64) {
            let (one, other) = (of(estimate, standard_error).unwrap(), of(-estimate, standard_error).unwrap());
            prop_assert!((one.chance_to_win + other.chance_to_win - 1.0).abs() < 1e-15);
            prop_assert!((other.loss_treatment - one.loss_treatment - estimate).abs() < 1e-12);
        }
    }
}
