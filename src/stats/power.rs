//! How many units an experiment needs, what it can detect, and what its chances are half-way.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::distribution::{
    normal_above, normal_below, normal_critical, normal_upper_quantile,
};
use crate::stats::level::{Alpha, Error, at_least, finite, not_negative, open_fraction, positive};
use crate::stats::welch::Effect;

/// A difference between two arms to be told apart from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The difference, not 0.
    pub difference: f64,
    /// Its variance with one unit in each arm.
    pub variance: f64,
}

impl Change {
    /// Units per arm for an interval that reaches `critical` standard errors to each side, before
    /// rounding up.
    ///
    /// # Errors
    /// When the power is not between 0 and 1.
    pub fn units(&self, critical: f64, power: f64) -> Result<f64, Error> {
        let distance = critical + normal_upper_quantile(1.0 - open_fraction("the power", power)?);
        Ok(distance * distance * self.variance / (self.difference * self.difference))
    }

    /// The difference in standard errors with so many independent units per arm.
    ///
    /// # Errors
    /// Without units.
    pub fn z(&self, units_per_arm: f64) -> Result<f64, Error> {
        Ok(self.difference / (self.variance / positive("the units per arm", units_per_arm)?).sqrt())
    }
}

/// Two shares to be told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharePlan {
    /// Share of the control.
    pub baseline: f64,
    /// Effect relative to it, as a fraction.
    pub lift: f64,
    /// Two-sided level.
    pub alpha: Alpha,
}

impl SharePlan {
    /// Difference of the shares and the variance of it with one unit per arm.
    ///
    /// # Errors
    /// When a share is not between 0 and 1 or both are equal.
    pub fn change(&self) -> Result<Change, Error> {
        let control = open_fraction("the baseline", self.baseline)?;
        let treatment = open_fraction(
            "the share of the treatment",
            control * (1.0 + finite("the lift", self.lift)?),
        )?;
        let difference = treatment - control;
        positive("the difference of the shares", difference.abs())?;
        Ok(Change {
            difference,
            variance: control * (1.0 - control) + treatment * (1.0 - treatment),
        })
    }

    /// Units per arm for a test at one look, before rounding up (Fleiss, Levin and Paik 2003,
    /// section 4.2, unpooled).
    ///
    /// # Errors
    /// When a share is not between 0 and 1, both are equal, or the power is not between 0 and 1.
    pub fn units_per_arm(&self, power: f64) -> Result<f64, Error> {
        self.change()?.units(normal_critical(self.alpha.value()), power)
    }

    /// Power of a two-sided test at one look with so many units per arm.
    ///
    /// # Errors
    /// As [`SharePlan::units_per_arm`], and without units.
    pub fn power(&self, units_per_arm: u64) -> Result<f64, Error> {
        Ok(beyond(self.change()?.z(units_per_arm as f64)?, normal_critical(self.alpha.value())))
    }
}

/// A mean in two arms of equal size and spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanPlan {
    /// Mean of the control, not 0 for a relative effect.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// Units in each arm.
    pub units_per_arm: u64,
    /// Two-sided level.
    pub alpha: Alpha,
}

impl MeanPlan {
    fn distance(&self, power: f64) -> Result<f64, Error> {
        Ok(normal_critical(self.alpha.value())
            + normal_upper_quantile(1.0 - open_fraction("the power", power)?))
    }

    /// Smallest difference that is detected with this power.
    ///
    /// # Errors
    /// When the power is not between 0 and 1, or without units or spread.
    pub fn detectable_difference(&self, power: f64) -> Result<f64, Error> {
        let n = at_least("units per arm", self.units_per_arm, 1)? as f64;
        Ok(self.distance(power)? * positive("the deviation", self.sd)? * (2.0 / n).sqrt())
    }

    /// Smallest increase relative to the mean that is detected with this power. The variance of a
    /// relative effect grows with the effect (delta method), so it solves a quadratic equation;
    /// `None` when no increase is large enough.
    ///
    /// # Errors
    /// As [`MeanPlan::detectable_difference`], and when the mean is 0.
    pub fn detectable_lift(&self, power: f64) -> Result<Option<f64>, Error> {
        let n = at_least("units per arm", self.units_per_arm, 1)? as f64;
        let base = positive("the magnitude of the mean", self.mean.abs())?;
        let scale = self.distance(power)? * positive("the deviation", self.sd)? / base;
        let k = scale * scale / n;
        Ok((k < 1.0).then(|| (k + (2.0 * k - k * k).sqrt()) / (1.0 - k)))
    }
}

/// The chances of an effect that is looked for in data still growing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Power of a test at the one look at the end.
    pub fixed: f64,
    /// Power of the confidence sequence if it were looked at only then: more when it is watched on
    /// the way.
    pub watched: f64,
}

/// Power for a true effect of `effect.estimate` whose standard error is known from `n` units, after
/// `growth` times as many more.
///
/// # Errors
/// Without a standard error, units or planned units, or when the growth is negative.
pub fn outlook(effect: Effect, n: u64, growth: f64, tuning: Tuning) -> Result<Outlook, Error> {
    let grown = 1.0 + not_negative("the growth", growth)?;
    let se = positive("the standard error", effect.standard_error)? / grown.sqrt();
    let z = finite("the effect", effect.estimate)? / se;
    let width = half_width(at_least("units", n, 1)? as f64 * grown, tuning)?;
    Ok(Outlook {
        fixed: beyond(z, normal_critical(tuning.alpha.value())),
        watched: beyond(z, width),
    })
}

/// Probability that a normal variable of deviation 1 around `z` is further from 0 than `critical`.
#[must_use]
pub fn beyond(z: f64, critical: f64) -> f64 {
    normal_below(z - critical) + normal_above(z + critical)
}

/// Units that come in clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustering {
    /// Share of the variance between clusters, 0 to 1.
    pub intraclass_correlation: f64,
    /// Mean units per cluster, at least 1.
    pub size_mean: f64,
    /// Standard deviation of their number over its mean.
    pub size_variation: f64,
}

impl Clustering {
    /// How many times as many units are needed as without clusters (Eldridge, Ashby and Kerry
    /// 2006).
    ///
    /// # Errors
    /// When a number is outside of its range.
    pub fn design_effect(&self) -> Result<f64, Error> {
        let icc = crate::stats::level::fraction(
            "the intraclass correlation",
            self.intraclass_correlation,
        )?;
        let variation = not_negative("the variation of cluster sizes", self.size_variation)?;
        let size = finite("the mean cluster size", self.size_mean)?;
        if size < 1.0 {
            return Err(Error::Outside {
                name: "the mean cluster size",
                value: size,
                expected: "at least 1",
            });
        }
        Ok(1.0 + ((1.0 + variation * variation) * size - 1.0) * icc)
    }

    /// Units and clusters per arm where `units` independent ones would do; rounded up.
    ///
    /// # Errors
    /// As [`Clustering::design_effect`].
    pub fn per_arm(&self, units: u64) -> Result<(u64, u64), Error> {
        let units = (units as f64 * self.design_effect()?).ceil();
        Ok((units as u64, (units / self.size_mean).ceil() as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level() -> Alpha {
        Alpha::new(0.05).unwrap()
    }

    #[test]
    fn textbook_sizes_are_met() {
        // Fleiss, Levin and Paik 2003, formula 4.14 without continuity: .60 against .70 at 5 % and
        // 80 %: 356 - 3 by pooling = 353.2.
        let plan = SharePlan { baseline: 0.6, lift: 1.0 / 6.0, alpha: level() };
        assert!((plan.units_per_arm(0.8).unwrap() - 353.2).abs() < 0.1);
        // A standardised difference of 1/2 at 80 % needs 62.8 per arm by the normal distribution.
        let plan = MeanPlan { mean: 1.0, sd: 2.0, units_per_arm: 63, alpha: level() };
        assert!((plan.detectable_difference(0.8).unwrap() - 0.998_27).abs() < 1e-4);
    }

    #[test]
    fn clusters_cost_more_units() {
        let agents =
            Clustering { intraclass_correlation: 0.05, size_mean: 21.0, size_variation: 0.0 };
        assert_eq!(agents.per_arm(100), Ok((200, 10)));
        let single = Clustering { size_mean: 1.0, ..agents };
        assert_eq!(single.per_arm(100), Ok((100, 100)));
    }

    #[test]
    fn a_lift_that_no_sample_shows_and_numbers_out_of_range_are_told() {
        let plan = MeanPlan { mean: 0.01, sd: 10.0, units_per_arm: 10, alpha: level() };
        assert_eq!(plan.detectable_lift(0.8), Ok(None));
        assert!(
            MeanPlan { mean: 0.0, ..plan }.detectable_lift(0.8).is_err()
                && plan.detectable_lift(1.0).is_err()
        );
        let share = SharePlan { baseline: 0.6, lift: 0.7, alpha: level() };
        assert!(share.units_per_arm(0.8).is_err(), "a share above 1");
        assert!(SharePlan { lift: 0.0, ..share }.units_per_arm(0.8).is_err());
        let effect = Effect { estimate: 0.1, standard_error: 0.05 };
        assert!(outlook(effect, 100, -0.5, Tuning { alpha: level(), planned: 100.0 }).is_err());
        assert!(
            Clustering { intraclass_correlation: 0.1, size_mean: 0.5, size_variation: 0.0 }
                .design_effect()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn the_units_asked_for_give_the_power_asked_for(baseline in 0.01..0.5_f64, lift in 0.05..0.9_f64, power in 0.6..0.95_f64) {
            let plan = SharePlan { baseline, lift, alpha: level() };
            let units = plan.units_per_arm(power).unwrap().ceil() as u64;
            prop_assert!(plan.power(units).unwrap() >= power - 1e-12);
            prop_assert!(units < 3 || plan.power(units - 2).unwrap() < power + 1e-4);
        }

        #[test]
        fn the_detectable_lift_has_the_power_asked_for(sd in 0.1..5.0_f64, n in 500..50_000_u64) {
            let lift = MeanPlan { mean: 2.0, sd, units_per_arm: n, alpha: level() }.detectable_lift(0.8).unwrap().unwrap();
            let se = ((1.0 + (1.0 + lift) * (1.0 + lift)) * sd * sd / 4.0 / n as f64).sqrt();
            prop_assert!((beyond(lift / se, normal_critical(0.05)) - 0.8).abs() < 1e-5);
        }
    }
}
