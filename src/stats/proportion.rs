//! The interval of the difference of two proportions, which also holds for rare events.

use crate::stats::distribution::normal_critical;
use crate::stats::level::{Alpha, Error, Interval};
use crate::stats::moments::{Arms, share};

/// Successes out of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of units.
    pub trials: u64,
    /// Units that converted; at most `trials`.
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
    fn an_arm_without_trials_has_no_interval() {
        assert!(newcombe(&arms((0, 0), (10, 3)), Alpha::new(0.05).unwrap()).is_err());
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
        }
    }
}
