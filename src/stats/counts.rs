//! Evidence from counts alone, valid at every look: whether units were assigned in the planned
//! ratio, and whether one arm converts more.
//!
//! Lindon and Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022): a
//! Dirichlet mixture over the shares. The counts are all that is needed, so it merges over
//! partitions without loss.

use crate::stats::level::{Error, open_fraction, positive, same_length};
use crate::stats::special::{log_beta, log_gamma};

/// Sum of the prior of a test against planned shares: as strong as this many units.
const PRIOR_UNITS: f64 = 100.0;

/// The planned ratio that counts are tested against, with the prior of the test.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    planned: Vec<f64>,
    prior: Vec<f64>,
}

impl Shares {
    /// Planned shares from weights of any sum, with a prior around them.
    ///
    /// # Errors
    /// When a weight is negative or not finite or all are 0.
    pub fn planned(weights: &[f64]) -> Result<Self, Error> {
        for weight in weights {
            crate::stats::level::not_negative("a weight", *weight)?;
        }
        let total = positive("the sum of weights", weights.iter().sum())?;
        let planned: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        let prior = planned.iter().map(|share| PRIOR_UNITS * share).collect();
        Ok(Self { planned, prior })
    }

    /// The same with another Dirichlet prior; that of an arm without a share is not used.
    ///
    /// # Errors
    /// When there is not one number above 0 for each arm that has a share.
    pub fn with_prior(self, prior: &[f64]) -> Result<Self, Error> {
        same_length("parts of the prior", prior.len(), self.planned.len())?;
        for (prior, share) in prior.iter().zip(&self.planned) {
            if *share > 0.0 {
                positive("a part of the prior", *prior)?;
            }
        }
        Ok(Self { planned: self.planned, prior: prior.to_vec() })
    }

    /// Logarithm of the evidence against the planned shares: exceeds `ln(1 / alpha)` at any time
    /// with probability at most alpha while they hold. Infinite when an arm without a share has a
    /// count.
    ///
    /// # Errors
    /// When there is not one count per arm.
    pub fn log_evidence(&self, counts: &[u64]) -> Result<f64, Error> {
        same_length("counts", counts.len(), self.planned.len())?;
        let arms =
            || counts.iter().map(|count| *count as f64).zip(self.planned.iter().zip(&self.prior));
        if arms().any(|(count, (share, _))| *share == 0.0 && count > 0.0) {
            return Ok(f64::INFINITY);
        }
        let used = || arms().filter(|(_, (share, _))| **share > 0.0);
        let (units, prior): (f64, f64) = used()
            .fold((0.0, 0.0), |(units, sum), (count, (_, prior))| (units + count, sum + prior));
        let part = |(count, (share, prior)): (f64, (&f64, &f64))| {
            log_gamma(prior + count) - log_gamma(*prior) - count * libm::log(*share)
        };
        Ok(log_gamma(prior) - log_gamma(prior + units) + used().map(part).sum::<f64>())
    }
}

/// Conversions of two arms that share exposure in a known proportion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversions {
    /// Conversions of the treatment.
    pub treatment: u64,
    /// Conversions of the control.
    pub control: u64,
    /// The treatment's share of exposed units, above 0 and below 1.
    pub allocation: f64,
    /// Beta prior of the treatment's share of conversions: its parameters for treatment and
    /// control, above 0.
    pub prior: (f64, f64),
}

/// Logarithm of the evidence against equal conversion rates, from the arm of each conversion alone:
/// a second witness alongside the means. It exceeds `ln(1 / alpha)` at any time with probability at
/// most alpha while the rates are equal.
///
/// # Errors
/// When the allocation or the prior is outside of its range.
pub fn rate_evidence(conversions: Conversions) -> Result<f64, Error> {
    let allocation = open_fraction("the allocation", conversions.allocation)?;
    let (a, b) = (
        positive("the prior of the treatment", conversions.prior.0)?,
        positive("the prior of the control", conversions.prior.1)?,
    );
    let (treatment, control) = (conversions.treatment as f64, conversions.control as f64);
    let mixed = log_beta(a + treatment, b + control) - log_beta(a, b);
    Ok(mixed - treatment * libm::log(allocation) - control * libm::log(1.0 - allocation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evidence_is_a_martingale_of_the_planned_shares() {
        let shares = Shares::planned(&[2.0, 1.0, 1.0]).unwrap();
        for counts in [[0, 0, 0], [5, 1, 2], [40, 3, 30]] {
            let next = |arm: usize| {
                let mut counts = counts;
                counts[arm] += 1;
                libm::exp(shares.log_evidence(&counts).unwrap())
            };
            let mean = 0.5 * next(0) + 0.25 * next(1) + 0.25 * next(2);
            assert!((mean / libm::exp(shares.log_evidence(&counts).unwrap()) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_unit_in_an_arm_without_weight_is_evidence_enough() {
        let shares = Shares::planned(&[1.0, 1.0, 0.0]).unwrap();
        assert_eq!(shares.log_evidence(&[10, 10, 1]), Ok(f64::INFINITY));
        let two = Shares::planned(&[1.0, 1.0]).unwrap();
        assert_eq!(shares.log_evidence(&[70, 40, 0]), two.log_evidence(&[70, 40]));
        assert!(
            shares.clone().with_prior(&[1.0, 1.0, 0.0]).is_ok()
                && shares.with_prior(&[1.0, 0.0, 1.0]).is_err()
        );
        assert!(
            Shares::planned(&[0.0]).is_err()
                && Shares::planned(&[f64::NAN, 1.0]).is_err()
                && two.log_evidence(&[1]).is_err()
        );
    }

    #[test]
    fn no_conversion_is_no_evidence_and_one_arm_alone_is() {
        let conversions = |treatment, control| Conversions {
            treatment,
            control,
            allocation: 0.5,
            prior: (1.0, 1.0),
        };
        assert_eq!(rate_evidence(conversions(0, 0)), Ok(0.0));
        assert!(rate_evidence(conversions(30, 0)).unwrap() > libm::log(1e6));
        assert!(rate_evidence(Conversions { allocation: 1.0, ..conversions(1, 1) }).is_err());
    }

    proptest! {
        #[test]
        fn evidence_mirrors_when_the_arms_are_swapped(treatment in 0..400_u64, control in 0..400_u64, allocation in 0.05..0.95_f64) {
            let conversions = Conversions { treatment, control, allocation, prior: (1.0, 1.0) };
            let swapped = Conversions { treatment: control, control: treatment, allocation: 1.0 - allocation, prior: (1.0, 1.0) };
            prop_assert!((rate_evidence(conversions).unwrap() - rate_evidence(swapped).unwrap()).abs() < 1e-9);
        }
    }
}
