//! The number of units an experiment needs and the power it has.

use crate::stats::distribution::{normal_above, normal_below, normal_upper_quantile};
use crate::stats::level::{Error, finite, fraction, not_negative, open_fraction, positive};

/// A difference between two arms that an experiment looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The difference, not 0.
    pub difference: f64,
    /// Its variance with one unit in each arm.
    pub variance: f64,
}

impl Change {
    /// Of two proportions: that of the control, and the treatment's relative to it (Fleiss, Levin
    /// and Paik 2003, section 4.2, unpooled).
    ///
    /// # Errors
    /// When a proportion is not between 0 and 1 or both are equal.
    pub fn of_proportions(baseline: f64, lift: f64) -> Result<Self, Error> {
        let control = open_fraction("the baseline", baseline)?;
        let treatment = open_fraction(
            "the share of the treatment",
            control * (1.0 + finite("the lift", lift)?),
        )?;
        let difference = treatment - control;
        positive("the difference of the shares", difference.abs())?;
        let variance = control * (1.0 - control) + treatment * (1.0 - treatment);
        Ok(Self { difference, variance })
    }

    /// Units per arm for an interval that reaches `critical` standard errors to each side, before
    /// rounding up.
    ///
    /// # Errors
    /// When the power is not between 0 and 1.
    pub fn units(&self, critical: f64, power: f64) -> Result<f64, Error> {
        let distance = critical + normal_upper_quantile(1.0 - open_fraction("the power", power)?);
        Ok(distance * distance * self.variance / (self.difference * self.difference))
    }

    /// The difference in standard errors with this many independent units per arm.
    ///
    /// # Errors
    /// Without units.
    pub fn z(&self, units_per_arm: f64) -> Result<f64, Error> {
        Ok(self.difference / (self.variance / positive("the units per arm", units_per_arm)?).sqrt())
    }
}

/// Probability that a normal variable with mean `z` and deviation 1 is further from 0 than
/// `critical`: the power of a two-sided test.
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
    /// The factor by which clusters raise the number of units needed (Eldridge, Ashby and Kerry
    /// 2006).
    ///
    /// # Errors
    /// When a number is outside of its range.
    pub fn design_effect(&self) -> Result<f64, Error> {
        let icc = fraction("the intraclass correlation", self.intraclass_correlation)?;
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::distribution::normal_critical;

    #[test]
    fn textbook_sizes_are_met() {
        // Fleiss, Levin and Paik 2003, formula 4.14 without continuity: .60 against .70 at 5 % and
        // 80 %: 356 - 3 by pooling = 353.2.
        let change = Change::of_proportions(0.6, 1.0 / 6.0).unwrap();
        assert!((change.units(normal_critical(0.05), 0.8).unwrap() - 353.2).abs() < 0.1);
        // A standardised difference of 1/2 at 80 % needs 62.8 per arm by the normal distribution.
        let change = Change { difference: 1.0, variance: 8.0 };
        assert!((change.units(normal_critical(0.05), 0.8).unwrap() - 62.8).abs() < 0.05);
    }

    #[test]
    fn clusters_cost_more_units() {
        let agents =
            Clustering { intraclass_correlation: 0.05, size_mean: 21.0, size_variation: 0.0 };
        assert_eq!(agents.design_effect(), Ok(2.0));
        assert_eq!(Clustering { size_mean: 1.0, ..agents }.design_effect(), Ok(1.0));
        assert!(Clustering { size_mean: 0.5, ..agents }.design_effect().is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(Change::of_proportions(0.6, 0.7).is_err(), "a proportion above 1");
        assert!(Change::of_proportions(0.6, 0.0).is_err(), "no difference");
        let change = Change::of_proportions(0.6, 0.1).unwrap();
        assert!(change.units(1.96, 1.0).is_err() && change.z(0.0).is_err());
    }

    proptest! {
        #[test]
        fn the_units_asked_for_give_the_power_asked_for(baseline in 0.01..0.5_f64, lift in 0.05..0.9_f64, power in 0.6..0.95_f64) {
            let change = Change::of_proportions(baseline, lift).unwrap();
            let critical = normal_critical(0.05);
            let reached = |units: f64| beyond(change.z(units).unwrap(), critical);
            let units = change.units(critical, power).unwrap();
            prop_assert!(reached(units.ceil()) >= power - 1e-12);
            prop_assert!(units < 3.0 || reached(units.ceil() - 2.0) < power + 1e-4);
        }
    }
}
