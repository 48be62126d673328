//! Evidence from counts alone, valid at every look: whether units were shared out as planned, and
//! whether one arm converts more.
//!
//! Lindon and Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022): a
//! Dirichlet mixture over the shares. The counts are all that is needed, so it merges over
//! partitions without loss.

use crate::stats::level::{Alpha, Error, Interval, open_fraction, positive, same_length};
use crate::stats::numeric::bisect;
use crate::stats::special::{log_beta, log_gamma};

/// Sum of the prior of a test against planned shares: as strong as this many units.
const PRIOR_UNITS: f64 = 100.0;

/// What counts are tested against.
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

/// The p-value of the largest log evidence seen so far.
#[must_use]
pub fn p_value(log_evidence_max: f64) -> f64 {
    libm::exp(-log_evidence_max).min(1.0)
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

/// Whether the arms convert at the same rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRatio {
    /// Logarithm of the evidence against equal rates.
    pub log_evidence: f64,
    /// Its p-value, valid at every look.
    pub p_value: f64,
    /// Bounds on the treatment's share of conversions.
    pub share: Interval,
    /// Bounds on the rate of the treatment over that of the control; the upper one is infinite
    /// where nothing bounds it.
    pub ratio: Interval,
}

/// Compares the rates at which two arms convert from the arm of each conversion alone: a second
/// witness beside the means.
///
/// # Errors
/// When the allocation or the prior is outside of its range.
pub fn rate_ratio(conversions: Conversions, alpha: Alpha) -> Result<RateRatio, Error> {
    let allocation = open_fraction("the allocation", conversions.allocation)?;
    let (a, b) = (
        positive("the prior of the treatment", conversions.prior.0)?,
        positive("the prior of the control", conversions.prior.1)?,
    );
    let (treatment, control) = (conversions.treatment as f64, conversions.control as f64);
    let mixed = log_beta(a + treatment, b + control) - log_beta(a, b);
    // A count of 0 has no part in the likelihood, whatever the share.
    let part = |count: f64, share: f64| if count == 0.0 { 0.0 } else { count * libm::log(share) };
    let log_evidence = |share: f64| mixed - part(treatment, share) - part(control, 1.0 - share);
    let threshold = -libm::log(alpha.value());
    let refuted = |share: f64| log_evidence(share) >= threshold;
    let total = treatment + control;
    let centre = if total == 0.0 { allocation } else { treatment / total };
    let lower = if conversions.treatment == 0 { 0.0 } else { bisect(0.0, centre, refuted) };
    let upper =
        if conversions.control == 0 { 1.0 } else { bisect(centre, 1.0, |share| !refuted(share)) };
    let share = Interval { lower, upper };
    let evidence = log_evidence(allocation);
    let ratio = share.map(|share| share / (1.0 - share) * ((1.0 - allocation) / allocation));
    Ok(RateRatio { log_evidence: evidence, p_value: p_value(evidence), share, ratio })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(alpha: f64) -> Alpha {
        Alpha::new(alpha).unwrap()
    }

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
        assert_eq!(p_value(f64::INFINITY), 0.0);
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
    fn no_conversion_bounds_nothing() {
        let conversions = |treatment, control| Conversions {
            treatment,
            control,
            allocation: 0.5,
            prior: (1.0, 1.0),
        };
        let none = rate_ratio(conversions(0, 0), level(0.05)).unwrap();
        assert_eq!(
            (none.share, none.ratio.upper, none.p_value),
            (Interval { lower: 0.0, upper: 1.0 }, f64::INFINITY, 1.0)
        );
        let only = rate_ratio(conversions(30, 0), level(0.05)).unwrap();
        assert!(only.ratio.lower > 1.0 && only.ratio.upper == f64::INFINITY && only.p_value < 1e-6);
        assert!(
            rate_ratio(Conversions { allocation: 1.0, ..conversions(1, 1) }, level(0.05)).is_err()
        );
    }

    proptest! {
        #[test]
        fn intervals_nest_mirror_and_agree_with_the_evidence(treatment in 0..400_u64, control in 0..400_u64, allocation in 0.05..0.95_f64) {
            let conversions = Conversions { treatment, control, allocation, prior: (1.0, 1.0) };
            let swapped = Conversions { treatment: control, control: treatment, allocation: 1.0 - allocation, prior: (1.0, 1.0) };
            let (narrow, wide) = (rate_ratio(conversions, level(0.1)).unwrap(), rate_ratio(conversions, level(0.01)).unwrap());
            let other = rate_ratio(swapped, level(0.1)).unwrap();
            prop_assert!(wide.share.lower <= narrow.share.lower && narrow.share.upper <= wide.share.upper);
            prop_assert!((narrow.share.lower + other.share.upper - 1.0).abs() < 1e-12 && (narrow.log_evidence - other.log_evidence).abs() < 1e-9);
            prop_assert_eq!(narrow.p_value > 0.1, narrow.ratio.contains(1.0));
        }
    }
}
