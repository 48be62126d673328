//! Means adjusted for a covariate that was known before the exposure: a narrower interval of the
//! same effect.
//!
//! Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by
//! utilizing pre-experiment data" (WSDM 2013).

use crate::stats::level::{Alpha, Error};
use crate::stats::moments::{Arms, Moments, PairMoments};
use crate::stats::welch::{Effect, Test, test};

/// An adjusted comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjusted {
    /// The coefficient of the covariate; 0 adjusts nothing.
    pub theta: f64,
    /// The test of the adjusted means.
    pub test: Test,
}

/// Coefficient of the outcome (first) on the covariate (second), over both arms together.
///
/// 0 where the covariate does not vary.
#[must_use]
pub fn theta(arms: &Arms<PairMoments>) -> f64 {
    let (c, t) = (&arms.control, &arms.treatment);
    let (n_c, n_t) = (c.first.n as f64, t.first.n as f64);
    // Within the arms plus between them: pooled sums about the common means.
    let between = n_c * n_t / (n_c + n_t);
    let (first, second) = (t.first.mean - c.first.mean, t.second.mean - c.second.mean);
    let covariance =
        (n_c - 1.0) * c.covariance + (n_t - 1.0) * t.covariance + between * first * second;
    let variance = (n_c - 1.0) * c.second.variance
        + (n_t - 1.0) * t.second.variance
        + between * second * second;
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// Compares adjusted means; each pair is the outcome and the covariate of the same units.
///
/// # Errors
/// As [`crate::stats::welch::test`].
pub fn means(arms: &Arms<PairMoments>, alpha: Alpha) -> Result<Adjusted, Error> {
    let theta = theta(arms);
    let adjusted = |pair: &PairMoments| {
        let variance = pair.first.variance + theta * theta * pair.second.variance
            - 2.0 * theta * pair.covariance;
        let mean = pair.first.mean - theta * pair.second.mean;
        Ok(Moments { n: pair.first.n, mean, variance: variance.max(0.0) })
    };
    let after = arms.try_map(adjusted)?;
    Ok(Adjusted { theta, test: test(&after, alpha)? })
}

/// `ln(treatment / control)` of the means that both arms would have at the common mean of the
/// covariate, with a coefficient of [`theta`]; its standard error by the delta method.
///
/// # Errors
/// When an adjusted mean is not above 0 or nothing varies.
pub fn log_ratio(arms: &Arms<PairMoments>, theta: f64) -> Result<Effect, Error> {
    let (n_c, n_t) = (arms.control.first.n as f64, arms.treatment.first.n as f64);
    let gap = arms.treatment.second.mean - arms.control.second.mean;
    let share = n_t / (n_c + n_t);
    let mean = Arms {
        control: arms.control.first.mean + theta * share * gap,
        treatment: arms.treatment.first.mean - theta * (1.0 - share) * gap,
    };
    let least = mean.control.min(mean.treatment);
    if !(least > 0.0 && least.is_finite()) {
        return Err(Error::Outside {
            name: "an adjusted mean",
            value: least,
            expected: "above 0 for a ratio",
        });
    }
    // Both means move with the gap, so the estimate falls by this much per one that the treatment
    // had more before.
    let slope = theta * ((1.0 - share) / mean.treatment + share / mean.control);
    let part = |pair: &PairMoments, mean: f64| {
        let variance = pair.first.variance / (mean * mean) - 2.0 * slope * pair.covariance / mean
            + slope * slope * pair.second.variance;
        variance.max(0.0) / pair.first.n as f64
    };
    let standard_error =
        (part(&arms.control, mean.control) + part(&arms.treatment, mean.treatment)).sqrt();
    let estimate = libm::log(mean.treatment / mean.control);
    if standard_error > 0.0 {
        Ok(Effect { estimate, standard_error })
    } else {
        Err(Error::NoVariance("the metric"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::moments::{Micro, PairSums};

    fn pairs(values: &[(f64, f64)]) -> PairMoments {
        let one =
            |(x, y): &(f64, f64)| PairSums::of(Micro::new(*x).unwrap(), Micro::new(*y).unwrap());
        values
            .iter()
            .map(one)
            .fold(PairSums::default(), |a, b| a.merged(b).unwrap())
            .moments()
            .unwrap()
    }

    fn level() -> Alpha {
        Alpha::new(0.05).unwrap()
    }

    #[test]
    fn a_covariate_that_explains_everything_leaves_only_the_effect() {
        let before: Vec<f64> = (0..40).map(|unit| f64::from(unit * 7 % 13)).collect();
        let noise = |unit: usize| if unit % 4 < 2 { 1e-3 } else { -1e-3 };
        let arm = |from: usize, effect: f64| {
            let values: Vec<(f64, f64)> = (from..from + 20)
                .map(|unit| (2.0 * before[unit] + effect + noise(unit), before[unit]))
                .collect();
            pairs(&values)
        };
        let arms = Arms { control: arm(0, 0.0), treatment: arm(20, 0.5) };
        let adjusted = means(&arms, level()).unwrap();
        assert!((adjusted.theta - 2.0).abs() < 0.05, "{adjusted:?}");
        let plain =
            test(&Arms { control: arms.control.first, treatment: arms.treatment.first }, level())
                .unwrap();
        assert!(adjusted.test.effect.standard_error < plain.effect.standard_error / 20.0);
    }

    #[test]
    fn a_log_ratio_at_equal_means_is_as_far_from_nothing_as_the_difference() {
        let arm = |from: u32, effect: f64| {
            let value = |unit: u32| {
                (
                    f64::from(unit * 7 % 13) + f64::from(unit * 5 % 3) + 50.0 + effect,
                    f64::from(unit * 7 % 13),
                )
            };
            pairs(&(from..from + 200).map(value).collect::<Vec<_>>())
        };
        let arms = Arms { control: arm(0, 0.0), treatment: arm(205, 0.01) };
        let difference = means(&arms, level()).unwrap();
        let ratio = log_ratio(&arms, difference.theta).unwrap();
        // Near equal means of 56 to 58 a log ratio is the difference over them.
        let base = arms.control.first.mean;
        assert!(
            (ratio.estimate * base - difference.test.effect.estimate).abs() < 1e-3,
            "{ratio:?} {difference:?}"
        );
        assert!(
            (ratio.standard_error * base / difference.test.effect.standard_error - 1.0).abs()
                < 1e-2
        );
        let plain = Arms { control: arms.control.first, treatment: arms.treatment.first };
        assert_eq!(
            log_ratio(&arms, 0.0).unwrap(),
            crate::stats::log_ratio::log_ratio(&plain).unwrap()
        );
        assert!(log_ratio(&arms, 1e6).is_err(), "no mean is left");
    }

    #[test]
    fn a_constant_covariate_adjusts_nothing() {
        let arm = |shift: f64| pairs(&[(1.0 + shift, 3.0), (2.0 + shift, 3.0), (4.0 + shift, 3.0)]);
        let arms = Arms { control: arm(0.0), treatment: arm(1.0) };
        let adjusted = means(&arms, level()).unwrap();
        assert_eq!(adjusted.theta, 0.0);
        assert_eq!(
            adjusted.test,
            test(&Arms { control: arms.control.first, treatment: arms.treatment.first }, level())
                .unwrap()
        );
    }

    proptest! {
        #[test]
        fn theta_is_the_least_squares_slope_of_all_units(
            values in prop::collection::vec((-50.0..50.0_f64, -50.0..50.0_f64), 6..40), cut in 2..4_usize,
        ) {
            let all = pairs(&values);
            let arms = Arms { control: pairs(&values[..cut]), treatment: pairs(&values[cut..]) };
            prop_assume!(all.second.variance > 1.0);
            prop_assert!((theta(&arms) - all.covariance / all.second.variance).abs() < 1e-6);
        }
    }
}
