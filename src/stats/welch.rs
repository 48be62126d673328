//! Difference of two means and its fixed-horizon t-test with unequal variances.
//!
//! Valid at one look that was planned before the data came; under peeking use
//! [`crate::stats::asymptotic`].

use crate::stats::distribution::{student_beyond, student_upper_quantile};
use crate::stats::level::{Alpha, Error, Interval, at_least};
use crate::stats::moments::{Arms, Moments};

/// An estimated effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Effect {
    /// Difference of two means, treatment minus control.
    #[must_use]
    pub fn between(arms: &Arms<Moments>) -> Self {
        let (control, treatment) = (arms.control, arms.treatment);
        let variance = control.variance_of_mean() + treatment.variance_of_mean();
        Self { estimate: treatment.mean - control.mean, standard_error: variance.sqrt() }
    }
}

/// Result of a t-test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// What was tested.
    pub effect: Effect,
    /// Degrees of freedom.
    pub dof: f64,
    /// Estimate over standard error.
    pub statistic: f64,
    /// Probability of an estimate at least as far from 0 on either side, if there is no effect.
    pub p_value: f64,
    /// Two-sided interval.
    pub interval: Interval,
}

/// Welch's test of two means (Welch 1947; degrees of freedom by Satterthwaite 1946 from the
/// variances of the arms).
///
/// # Errors
/// With fewer than two units in an arm or without variance.
pub fn test(arms: &Arms<Moments>, alpha: Alpha) -> Result<Test, Error> {
    of_effect(Effect::between(arms), dof(arms)?, alpha)
}

/// The t-test of an effect whose standard error has `dof` degrees of freedom.
///
/// # Errors
/// When the standard error is 0 or the effect is not finite.
pub fn of_effect(effect: Effect, dof: f64, alpha: Alpha) -> Result<Test, Error> {
    let Effect { estimate, standard_error } = effect;
    let statistic = estimate / standard_error;
    if !(standard_error > 0.0 && statistic.is_finite() && dof > 0.0) {
        return Err(Error::NoVariance("the effect"));
    }
    let half = student_upper_quantile(0.5 * alpha.value(), dof) * standard_error;
    Ok(Test {
        effect,
        dof,
        statistic,
        p_value: student_beyond(statistic, dof),
        interval: Interval::around(estimate, half),
    })
}

/// Degrees of freedom of the difference of two means.
///
/// # Errors
/// With fewer than two units in an arm or without variance in both.
pub fn dof(arms: &Arms<Moments>) -> Result<f64, Error> {
    let part = |moments: &Moments| -> Result<(f64, f64), Error> {
        let degrees = at_least("observations", moments.n, 2)? as f64 - 1.0;
        let variance = moments.variance_of_mean();
        Ok((variance, variance * variance / degrees))
    };
    let (control, treatment) = (part(&arms.control)?, part(&arms.treatment)?);
    let sum = control.0 + treatment.0;
    if sum > 0.0 {
        Ok(sum * sum / (control.1 + treatment.1))
    } else {
        Err(Error::NoVariance("the metric"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arms(control: (u64, f64, f64), treatment: (u64, f64, f64)) -> Arms<Moments> {
        let of = |(n, mean, variance)| Moments { n, mean, variance };
        Arms { control: of(control), treatment: of(treatment) }
    }

    #[test]
    fn the_published_example_is_met() {
        // NIST/SEMATECH e-Handbook 1.3.5.3 (AUTO83B): 249 American and 79 Japanese cars, t =
        // 12.94627 with unequal variances.
        let cars =
            arms((79, 30.481_01, 6.107_71 * 6.107_71), (249, 20.144_58, 6.414_70 * 6.414_70));
        let test = test(&cars, Alpha::new(0.05).unwrap()).unwrap();
        assert!((test.statistic + 12.946_27).abs() < 1e-4, "{test:?}");
        assert!((test.dof - 136.87).abs() < 0.01, "{test:?}");
        assert!(test.p_value > 0.0 && test.p_value < 1e-20, "a far tail is not 0");
    }

    #[test]
    fn without_variance_there_is_no_test() {
        let alpha = Alpha::new(0.05).unwrap();
        assert_eq!(
            test(&arms((9, 1.0, 0.0), (9, 2.0, 0.0)), alpha),
            Err(Error::NoVariance("the metric"))
        );
        assert!(test(&arms((1, 0.0, 1.0), (9, 2.0, 1.0)), alpha).is_err());
        assert!(
            test(&arms((9, 0.0, 0.0), (9, 2.0, 1.0)), alpha).is_ok(),
            "one arm may be constant"
        );
    }

    proptest! {
        #[test]
        fn swapping_the_arms_mirrors_the_test_and_a_smaller_alpha_gives_a_wider_interval(
            n in (2..5000_u64, 2..5000_u64), mean in (-5.0..5.0_f64, -5.0..5.0_f64), variance in (0.01..9.0_f64, 0.01..9.0_f64),
        ) {
            let (a, b) = ((n.0, mean.0, variance.0), (n.1, mean.1, variance.1));
            let level = |alpha| Alpha::new(alpha).unwrap();
            let one = test(&arms(a, b), level(0.05)).unwrap();
            let other = test(&arms(b, a), level(0.05)).unwrap();
            prop_assert_eq!(one.p_value, other.p_value);
            prop_assert!((one.interval.lower + other.interval.upper).abs() < 1e-12);
            let wider = test(&arms(a, b), level(0.01)).unwrap();
            prop_assert!(wider.interval.lower < one.interval.lower && one.interval.upper < wider.interval.upper);
            prop_assert_eq!(one.p_value < 0.05, !one.interval.contains(0.0));
        }
    }
}
