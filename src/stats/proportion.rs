//! Two shares compared: the pooled score test and intervals that also hold for rare events.

use crate::stats::distribution::{normal_above, normal_critical};
use crate::stats::level::{Alpha, Error, Interval};
use crate::stats::moments::{Arms, Moments, share};

/// Successes out of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Units that could.
    pub trials: u64,
    /// Units that did; at most `trials`.
    pub successes: u64,
}

impl Share {
    /// The fraction.
    ///
    /// # Errors
    /// Without trials or with more successes than trials.
    pub fn fraction(&self) -> Result<f64, Error> {
        share(self.trials, self.successes)
    }

    /// Mean `p` and variance `p (1 - p)`.
    ///
    /// # Errors
    /// As [`Share::fraction`].
    pub fn moments(&self) -> Result<Moments, Error> {
        Moments::of_share(self.trials, self.successes)
    }
}

/// The score test of equal shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Standard normal if the shares are equal; positive where the treatment's is higher.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
}

/// Difference of two shares over its standard error under the pooled share.
///
/// # Errors
/// When nobody or everybody succeeded in both arms.
pub fn score(arms: &Arms<Share>) -> Result<Score, Error> {
    let (control, treatment) = (arms.control, arms.treatment);
    let difference = treatment.fraction()? - control.fraction()?;
    let pooled = (control.successes + treatment.successes) as f64
        / (control.trials + treatment.trials) as f64;
    let variance =
        pooled * (1.0 - pooled) * (1.0 / control.trials as f64 + 1.0 / treatment.trials as f64);
    if variance <= 0.0 {
        return Err(Error::NoVariance("the share"));
    }
    let z = difference / variance.sqrt();
    Ok(Score { z, p_value: 2.0 * normal_above(z.abs()) })
}

/// Wilson's score interval of one share (Wilson 1927).
///
/// # Errors
/// As [`Share::fraction`].
pub fn wilson(share: Share, alpha: Alpha) -> Result<Interval, Error> {
    let (p, n) = (share.fraction()?, share.trials as f64);
    let z = normal_critical(alpha.value());
    let (square, scale) = (z * z, 1.0 / (1.0 + z * z / n));
    let half = scale * z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    Ok(Interval::around(scale * (p + square / (2.0 * n)), half))
}

/// Interval of the difference of two shares (Newcombe 1998, method 10): Wilson's limits combined as
/// a square and add.
///
/// # Errors
/// As [`Share::fraction`].
pub fn newcombe(arms: &Arms<Share>, alpha: Alpha) -> Result<Interval, Error> {
    let (p_c, p_t) = (arms.control.fraction()?, arms.treatment.fraction()?);
    let (c, t) = (wilson(arms.control, alpha)?, wilson(arms.treatment, alpha)?);
    let root = |a: f64, b: f64| (a * a + b * b).sqrt();
    let difference = p_t - p_c;
    Ok(Interval {
        lower: difference - root(p_t - t.lower, c.upper - p_c),
        upper: difference + root(t.upper - p_t, p_c - c.lower),
    })
}

/// The ratio of two shares.
///
/// # Errors
/// When nobody succeeded in the control.
pub fn risk_ratio(arms: &Arms<Share>) -> Result<f64, Error> {
    let base = arms.control.fraction()?;
    if base == 0.0 {
        Err(Error::ZeroBase("the share of the control"))
    } else {
        Ok(arms.treatment.fraction()? / base)
    }
}

/// Interval of the ratio of two shares on the log scale (Katz et al. 1978, method C).
///
/// # Errors
/// When nobody succeeded in an arm.
pub fn katz(arms: &Arms<Share>, alpha: Alpha) -> Result<Interval, Error> {
    let ratio = risk_ratio(arms)?;
    if ratio == 0.0 {
        return Err(Error::ZeroBase("the share of the treatment"));
    }
    let part = |share: Share| 1.0 / share.successes as f64 - 1.0 / share.trials as f64;
    let half = normal_critical(alpha.value()) * (part(arms.control) + part(arms.treatment)).sqrt();
    Ok(Interval { lower: ratio * libm::exp(-half), upper: ratio * libm::exp(half) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arms(control: (u64, u64), treatment: (u64, u64)) -> Arms<Share> {
        let of = |(trials, successes)| Share { trials, successes };
        Arms { control: of(control), treatment: of(treatment) }
    }

    #[test]
    fn newcombes_own_examples_are_met() {
        // Newcombe 1998, table II, method 10, at 95 %: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/20 and
        // 0/10 - 0/20.
        let alpha = Alpha::new(0.05).unwrap();
        for (treatment, control, lower, upper) in [
            ((70, 56), (80, 48), 0.0524, 0.3339),
            ((10, 9), (10, 3), 0.1705, 0.8090),
            ((10, 10), (20, 0), 0.6791, 1.0),
            ((10, 0), (20, 0), -0.1611, 0.2775),
        ] {
            let interval = newcombe(&arms(control, treatment), alpha).unwrap();
            assert!(
                (interval.lower - lower).abs() < 6e-5 && (interval.upper - upper).abs() < 6e-5,
                "{interval:?}"
            );
        }
    }

    #[test]
    fn nobody_or_everybody_is_refused_where_the_formula_has_no_value() {
        let alpha = Alpha::new(0.05).unwrap();
        assert!(score(&arms((10, 0), (10, 0))).is_err() && score(&arms((10, 10), (9, 9))).is_err());
        assert!(
            katz(&arms((10, 0), (10, 3)), alpha).is_err()
                && katz(&arms((10, 3), (10, 0)), alpha).is_err()
        );
        assert_eq!(risk_ratio(&arms((10, 5), (10, 0))), Ok(0.0));
        assert!(newcombe(&arms((0, 0), (10, 3)), alpha).is_err());
    }

    proptest! {
        #[test]
        fn swapping_the_arms_mirrors_the_intervals(n in (1..900_u64, 1..900_u64), part in (0.0..1.0_f64, 0.0..1.0_f64)) {
            let alpha = Alpha::new(0.1).unwrap();
            let of = |n: u64, part: f64| (n, (n as f64 * part) as u64);
            let (a, b) = (of(n.0, part.0), of(n.1, part.1));
            let (one, other) = (newcombe(&arms(a, b), alpha).unwrap(), newcombe(&arms(b, a), alpha).unwrap());
            prop_assert!((one.lower + other.upper).abs() < 1e-12 && (one.upper + other.lower).abs() < 1e-12);
            prop_assert!(one.lower >= -1.0 - 1e-12 && one.upper <= 1.0 + 1e-12);
            if let (Ok(one), Ok(other)) = (katz(&arms(a, b), alpha), katz(&arms(b, a), alpha)) {
                prop_assert!((one.lower * other.upper - 1.0).abs() < 1e-12);
            }
        }
    }
}
