//! The relative effect on the log scale, where it is nearest to normal. Decisions use this effect.

use crate::stats::level::Error;
use crate::stats::moments::{Arms, Moments};
use crate::stats::welch::Effect;

/// Conversions that each arm needs before a sequence may be acted on: with fewer, the log ratio is
/// not near normal. Specified.
pub const CONVERSIONS_MIN: u64 = 30;
/// The same for metrics with heavy tails, such as revenue: outcomes other than 0 of each arm.
/// Specified.
pub const OUTCOMES_MIN: u64 = 100;

/// `ln(treatment / control)` with its standard error by the delta method.
///
/// # Errors
/// When a mean is not above 0 or both variances are 0.
pub fn log_ratio(arms: &Arms<Moments>) -> Result<Effect, Error> {
    let part = |moments: &Moments| {
        if moments.mean > 0.0 && moments.mean.is_finite() {
            return Ok(moments.variance_of_mean() / (moments.mean * moments.mean));
        }
        Err(Error::Outside { name: "a mean", value: moments.mean, expected: "above 0 for a ratio" })
    };
    let parts = arms.try_map(part)?;
    let standard_error = (parts.control + parts.treatment).sqrt();
    let estimate = libm::log(arms.treatment.mean / arms.control.mean);
    if standard_error > 0.0 {
        Ok(Effect { estimate, standard_error })
    } else {
        Err(Error::NoVariance("the metric"))
    }
}

/// A log ratio as a relative effect: 0.05 is five hundredths more.
#[must_use]
pub fn lift(log_ratio: f64) -> f64 {
    libm::expm1(log_ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubling_and_a_halving_are_equally_far_from_no_effect() {
        let moments = |mean| Moments { n: 100, mean, variance: mean * mean };
        let up = log_ratio(&Arms { control: moments(1.0), treatment: moments(2.0) }).unwrap();
        let down = log_ratio(&Arms { control: moments(2.0), treatment: moments(1.0) }).unwrap();
        assert_eq!((up.estimate, up.standard_error), (-down.estimate, down.standard_error));
        assert!(
            (lift(up.estimate) - 1.0).abs() < 1e-15
                && (up.standard_error - 0.02_f64.sqrt()).abs() < 1e-15
        );
    }

    #[test]
    fn a_mean_that_is_not_above_zero_has_no_ratio() {
        let moments = |mean| Moments { n: 100, mean, variance: 1.0 };
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(log_ratio(&Arms { control: moments(bad), treatment: moments(1.0) }).is_err());
            assert!(log_ratio(&Arms { control: moments(1.0), treatment: moments(bad) }).is_err());
        }
    }
}
