//! Weights of a bandit: posteriors of the arms' means, and how often each arm is drawn next.
//!
//! Thompson sampling draws an arm with the probability that it is the best; top-two with the
//! probability that it is among the two best, which identifies the best arm faster (Russo, "Simple
//! Bayesian algorithms for best-arm identification", 2020). The probabilities are exact, so the
//! same data give the same weights on every machine.

use crate::stats::level::{Error, at_least, fraction, positive};
use crate::stats::moments::Moments;
use crate::stats::ranking::{Normal, Ranking};

/// Posterior of a mean from its data alone.
///
/// # Errors
/// Without data or variance.
pub fn posterior(moments: &Moments) -> Result<Normal, Error> {
    let sd = moments.variance_of_mean().sqrt();
    if moments.n > 0 && sd > 0.0 {
        Ok(Normal { mean: moments.mean, sd })
    } else {
        Err(Error::NoVariance("an arm"))
    }
}

/// Probability that each arm is one of the two best, halved so that they add up to 1.
#[must_use]
pub fn top_two(ranking: &Ranking) -> Vec<f64> {
    ranking.best.iter().zip(&ranking.second).map(|(best, second)| 0.5 * (best + second)).collect()
}

/// Probabilities of drawing each arm: in proportion to its merit, and never below `floor`; equal
/// where the floor leaves nothing.
///
/// # Errors
/// Without arms, or when the floor or a merit is outside of 0 to 1, or no arm has any.
pub fn weights(merits: &[f64], floor: f64) -> Result<Vec<f64>, Error> {
    let arms = at_least("arms", merits.len() as u64, 1)? as f64;
    let floor = fraction("the floor", floor)?;
    for merit in merits {
        crate::stats::level::not_negative("a merit", *merit)?;
    }
    let total = positive("the sum of merits", merits.iter().sum())?;
    let rest = 1.0 - arms * floor;
    if rest <= 0.0 {
        return Ok(vec![1.0 / arms; merits.len()]);
    }
    Ok(merits.iter().map(|merit| floor + rest * merit / total).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arm_without_variance_has_no_posterior() {
        let moments = Moments { n: 4, mean: 1.0, variance: 0.0 };
        assert_eq!(posterior(&moments), Err(Error::NoVariance("an arm")));
        let varied = posterior(&Moments { variance: 4.0, ..moments });
        assert_eq!(varied, Ok(Normal { mean: 1.0, sd: 1.0 }));
    }

    proptest! {
        #[test]
        fn weights_add_up_and_keep_the_floor(merits in prop::collection::vec(0.0..1.0_f64, 2..8), floor in 0.0..0.3_f64) {
            prop_assume!(merits.iter().sum::<f64>() > 0.0);
            let weights = weights(&merits, floor).unwrap();
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let least = floor.min(1.0 / merits.len() as f64);
            prop_assert!(weights.iter().all(|weight| *weight >= least - 1e-15));
        }
    }

    #[test]
    fn merits_outside_of_their_range_are_refused() {
        assert!(
            weights(&[], 0.1).is_err()
                && weights(&[0.0, 0.0], 0.1).is_err()
                && weights(&[f64::NAN, 1.0], 0.1).is_err()
        );
        assert!(weights(&[0.5, 0.5], f64::NAN).is_err());
    }
}
