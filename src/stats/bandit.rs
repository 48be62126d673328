//! How often each arm is to be drawn next: posteriors of the arms' means and the weights that
//! follow.
//!
//! Thompson sampling draws an arm as often as it is likely to be the best; top-two as often as it
//! is likely to be among the two best, which learns faster which one is (Russo, "Simple Bayesian
//! algorithms for best-arm identification", 2020). The probabilities are exact, so the same data
//! give the same weights on every machine.

use crate::stats::bayes::Better;
use crate::stats::level::{Error, at_least, fraction, positive};
use crate::stats::moments::Moments;
use crate::stats::ranking::{Normal, Ranking, normal_ranking};

/// Posterior of a mean from its data and a normal prior; `None` is flat.
///
/// # Errors
/// Without data and prior: when neither has a precision.
pub fn posterior(moments: &Moments, prior: Option<Normal>) -> Result<Normal, Error> {
    let sd = moments.variance_of_mean().sqrt();
    let data = (moments.n > 0 && sd > 0.0).then_some(Normal { mean: moments.mean, sd });
    match (data, prior) {
        (Some(data), Some(prior)) => {
            positive("the prior deviation", prior.sd)?;
            Ok(data.combined(prior))
        }
        (Some(normal), None) | (None, Some(normal)) => Ok(normal),
        (None, None) => Err(Error::NoVariance("an arm")),
    }
}

/// The ranking of arms by posterior mean, from the best.
///
/// # Errors
/// As [`normal_ranking`].
pub fn ranking(posteriors: &[Normal], better: Better) -> Result<Ranking, Error> {
    match better {
        Better::Higher => normal_ranking(posteriors),
        Better::Lower => {
            let mirrored: Vec<Normal> = posteriors
                .iter()
                .map(|normal| Normal { mean: -normal.mean, sd: normal.sd })
                .collect();
            normal_ranking(&mirrored)
        }
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
    fn an_arm_without_variance_needs_a_prior() {
        let moments = Moments { n: 5, mean: 1.0, variance: 0.0 };
        assert_eq!(posterior(&moments, None), Err(Error::NoVariance("an arm")));
        let prior = Normal { mean: 2.0, sd: 1.0 };
        assert_eq!(posterior(&moments, Some(prior)), Ok(prior));
        let even = posterior(&Moments { n: 4, mean: 1.0, variance: 4.0 }, Some(prior)).unwrap();
        assert!((even.mean - 1.5).abs() < 1e-15 && (even.sd - 0.5_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn fewer_is_better_turns_the_order() {
        let normals = [
            Normal { mean: 1.0, sd: 1.0 },
            Normal { mean: 2.0, sd: 1.0 },
            Normal { mean: 3.0, sd: 1.0 },
        ];
        let (up, down) =
            (ranking(&normals, Better::Higher).unwrap(), ranking(&normals, Better::Lower).unwrap());
        assert!(up.best[2] > up.best[1] && down.best[0] > down.best[1]);
        assert!((up.best[2] - down.best[0]).abs() < 1e-12);
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
    fn merits_must_be_merits() {
        assert!(
            weights(&[], 0.1).is_err()
                && weights(&[0.0, 0.0], 0.1).is_err()
                && weights(&[f64::NAN, 1.0], 0.1).is_err()
        );
        assert!(weights(&[0.5, 0.5], f64::NAN).is_err());
    }
}
