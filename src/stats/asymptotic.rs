//! Confidence sequences for an effect that is asymptotically normal: intervals that hold at every
//! look at once.
//!
//! Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
//! asymptotic confidence sequences" (arXiv:2103.06476v7): two-sided eq. 9, tuning eq. 161,
//! one-sided eq. 134 and 155. They are tightest near `planned` observations and hold approximately
//! from a few dozen non-zero outcomes per arm on, which callers must wait for.

use crate::stats::level::{Alpha, Error, Interval, at_least, positive};
use crate::stats::welch::Effect;

/// The tuning of a sequence, chosen before the first outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// The level.
    pub alpha: Alpha,
    /// Number of units in both arms at which the sequence is tightest; above 0.
    pub planned: f64,
}

impl Tuning {
    /// The parameter of the two-sided mixture.
    #[must_use]
    pub fn rho(&self) -> f64 {
        tuned(self.alpha.value(), self.planned)
    }

    /// The parameter of the one-sided mixture. It needs a level below one half.
    #[must_use]
    pub fn rho_one_sided(&self) -> f64 {
        tuned(2.0 * self.alpha.value(), self.planned)
    }
}

/// A sequence after `n` units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence {
    /// The two-sided interval.
    pub interval: Interval,
    /// Two-sided p-value, valid at every look.
    pub p_value: f64,
    /// One-sided bounds, each valid alone: the lower one against a loss, the upper one against a
    /// gain.
    pub one_sided: Interval,
}

/// The sequence at an effect estimated from `n` units in all arms together.
///
/// # Errors
/// Without units or variance, or when the tuning cannot be used: `planned` not above 0 or alpha of
/// one half or more.
pub fn sequence(effect: Effect, n: u64, tuning: Tuning) -> Result<Sequence, Error> {
    let n = at_least("units", n, 1)? as f64;
    positive("the planned number of units", tuning.planned)?;
    let alpha = tuning.alpha.value();
    if alpha >= 0.5 {
        return Err(Error::Outside { name: "alpha", value: alpha, expected: "below one half" });
    }
    let Effect { estimate, standard_error } = effect;
    if !(standard_error > 0.0 && (estimate / standard_error).is_finite()) {
        return Err(Error::NoVariance("the effect"));
    }
    let two_sided = Mixture::new(n, tuning.rho());
    let one_sided = Mixture::new(n, tuning.rho_one_sided());
    let half_width = standard_error * two_sided.factor(libm::log(two_sided.scale.sqrt() / alpha));
    let half_width_one_sided =
        standard_error * one_sided.factor(libm::log1p(one_sided.scale.sqrt() / (2.0 * alpha)));
    let z = estimate / standard_error;
    Ok(Sequence {
        interval: Interval::around(estimate, half_width),
        p_value: (two_sided.scale.sqrt() * libm::exp(-two_sided.evidence(z))).min(1.0),
        one_sided: Interval::around(estimate, half_width_one_sided),
    })
}

/// Half the two-sided width in standard errors after `n` units.
///
/// # Errors
/// As [`sequence`].
pub fn half_width(n: f64, tuning: Tuning) -> Result<f64, Error> {
    positive("the number of units", n)?;
    positive("the planned number of units", tuning.planned)?;
    let mixture = Mixture::new(n, tuning.rho());
    Ok(mixture.factor(libm::log(mixture.scale.sqrt() / tuning.alpha.value())))
}

fn tuned(alpha: f64, planned: f64) -> f64 {
    let log = -2.0 * libm::log(alpha);
    ((log + libm::log1p(log)) / planned).sqrt()
}

/// A normal mixture after `n` units.
struct Mixture {
    /// `n rho^2`
    information: f64,
    /// `n rho^2 + 1`
    scale: f64,
}

impl Mixture {
    fn new(n: f64, rho: f64) -> Self {
        let information = n * rho * rho;
        Self { information, scale: information + 1.0 }
    }

    /// Half width in standard errors for the logarithm in the formula.
    fn factor(&self, log: f64) -> f64 {
        (2.0 * self.scale / self.information * log).sqrt()
    }

    fn evidence(&self, z: f64) -> f64 {
        0.5 * self.information * z * z / self.scale
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tuning(alpha: f64, planned: f64) -> Tuning {
        Tuning { alpha: Alpha::new(alpha).unwrap(), planned }
    }

    #[test]
    fn the_sequence_is_tightest_near_the_planned_number() {
        // On the scale of one unit the boundary is half width times sqrt(n) standard errors, over
        // n.
        let width = |n: f64| half_width(n, tuning(0.05, 5_000.0)).unwrap();
        assert!(width(5_000.0) < width(500.0) && width(5_000.0) < width(50_000.0));
        assert!(width(5_000.0) > 1.96, "never tighter than a fixed interval");
    }

    #[test]
    fn an_effect_without_width_is_refused() {
        let effect = Effect { estimate: 0.1, standard_error: 0.0 };
        assert_eq!(sequence(effect, 10, tuning(0.05, 100.0)), Err(Error::NoVariance("the effect")));
        let effect = Effect { estimate: f64::NAN, standard_error: 1.0 };
        assert!(sequence(effect, 10, tuning(0.05, 100.0)).is_err());
        let effect = Effect { estimate: 0.1, standard_error: 1.0 };
        assert!(sequence(effect, 0, tuning(0.05, 100.0)).is_err());
        assert!(
            sequence(effect, 10, tuning(0.05, 0.0)).is_err()
                && sequence(effect, 10, tuning(0.6, 10.0)).is_err()
        );
    }

    proptest! {
        #[test]
        fn intervals_nest_in_alpha_mirror_under_swapping_and_agree_with_p_values(
            estimate in -2.0..2.0_f64, standard_error in 0.01..1.0_f64, n in 1..200_000_u64, planned in 10.0..1e5_f64,
        ) {
            let effect = Effect { estimate, standard_error };
            let at = |alpha| sequence(effect, n, tuning(alpha, planned)).unwrap();
            let (narrow, wide) = (at(0.1), at(0.01));
            prop_assert!(wide.interval.lower < narrow.interval.lower && wide.one_sided.lower < narrow.one_sided.lower);
            let mirrored = sequence(Effect { estimate: -estimate, standard_error }, n, tuning(0.1, planned)).unwrap();
            prop_assert_eq!(narrow.p_value, mirrored.p_value);
            prop_assert_eq!(narrow.one_sided.lower, -mirrored.one_sided.upper);
            prop_assert_eq!(narrow.interval.lower, -mirrored.interval.upper);
            prop_assert_eq!(narrow.p_value < 0.1, !narrow.interval.contains(0.0));
        }
    }
}
