//! The mixture sequential probability ratio test of a normal effect.
//!
//! Johari, Koomen, Pekelis and Walsh, "Always valid inference: continuous monitoring of A/B tests"
//! (Operations Research 2022), eq. 8: the effect is mixed over a normal distribution around 0.

use crate::stats::level::{Alpha, Error, finite, positive};

/// The test at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioTest {
    /// Logarithm of the likelihood ratio of the mixture to no effect.
    pub log_ratio: f64,
    /// Its p-value; over several looks the least one counts.
    pub p_value: f64,
    /// Half the width of the interval around the estimate that holds at every look.
    pub half_width: f64,
}

/// Tests an estimate with the given variance against a mixture of effects of variance `mixing`.
///
/// # Errors
/// When the estimate is not finite or a variance is not above 0.
pub fn test(estimate: f64, variance: f64, mixing: f64, alpha: Alpha) -> Result<RatioTest, Error> {
    let estimate = finite("the estimate", estimate)?;
    let variance = positive("the variance of the estimate", variance)?;
    let mixing = positive("the variance of the mixture", mixing)?;
    let sum = variance + mixing;
    let log_ratio =
        0.5 * libm::log(variance / sum) + mixing * estimate * estimate / (2.0 * variance * sum);
    let half_width = (variance * sum / mixing
        * (libm::log(sum / variance) - 2.0 * libm::log(alpha.value())))
    .sqrt();
    Ok(RatioTest { log_ratio, p_value: libm::exp(-log_ratio).min(1.0), half_width })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_interval_ends_where_the_test_rejects(variance in 1e-6..1.0_f64, mixing in 1e-6..1.0_f64, alpha in 0.001..0.5_f64) {
            let level = Alpha::new(alpha).unwrap();
            let half = test(0.0, variance, mixing, level).unwrap().half_width;
            prop_assert!((test(half, variance, mixing, level).unwrap().p_value / alpha - 1.0).abs() < 1e-9);
            prop_assert!(test(-half * 1.001, variance, mixing, level).unwrap().p_value < alpha);
        }
    }

    #[test]
    fn variances_must_be_above_zero() {
        let level = Alpha::new(0.05).unwrap();
        assert!(
            test(0.1, 0.0, 1.0, level).is_err()
                && test(0.1, 1.0, f64::NAN, level).is_err()
                && test(f64::NAN, 1.0, 1.0, level).is_err()
        );
    }
}
