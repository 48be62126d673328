//! Whether units were shared out as planned, at one look: the chi-square test, and units where none
//! may be.
//!
//! At every look use the evidence of [`crate::stats::counts::Shares`].

use crate::stats::distribution::chi_square_above;
use crate::stats::level::{Error, at_least, not_negative, same_length};

/// Result of the check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatio {
    /// Pearson's statistic over the arms that have a weight.
    pub chi_square: f64,
    /// Degrees of freedom: those arms less one.
    pub dof: u64,
    /// Probability of a statistic as large while units are shared out as planned.
    pub p_value: f64,
    /// Units in arms without a weight: an alarm of its own whenever it is above 0.
    pub leaked: u64,
}

/// Compares the number of units of each arm with its weight.
///
/// # Errors
/// With fewer than two arms that have a weight, or a weight that is negative or not finite.
pub fn check(counts: &[u64], weights: &[f64]) -> Result<SampleRatio, Error> {
    same_length("weights", weights.len(), counts.len())?;
    weights.iter().try_for_each(|weight| not_negative("a weight", *weight).map(|_| ()))?;
    let arms = || counts.iter().zip(weights);
    let leaked = arms().filter(|(_, weight)| **weight == 0.0).map(|(count, _)| count).sum();
    let planned: Vec<(f64, f64)> = arms()
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(count, weight)| (*count as f64, *weight))
        .collect();
    let dof = at_least("arms with a weight", planned.len() as u64, 2)? - 1;
    let units: f64 = planned.iter().map(|(count, _)| count).sum();
    let total: f64 = planned.iter().map(|(_, weight)| weight).sum();
    let part = |(count, weight): &(f64, f64)| {
        let expected = weight / total * units;
        if expected == 0.0 { 0.0 } else { (count - expected) * (count - expected) / expected }
    };
    let chi_square = planned.iter().map(part).sum();
    Ok(SampleRatio { chi_square, dof, p_value: chi_square_above(chi_square, dof as f64), leaked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mendels_peas_fit_and_a_leak_is_told() {
        // Mendel 1866: 315, 108, 101 and 32 peas expected as 9 : 3 : 3 : 1; chi-square 0.470 with 3
        // degrees of freedom.
        let peas = check(&[315, 108, 101, 32], &[9.0, 3.0, 3.0, 1.0]).unwrap();
        assert!(
            (peas.chi_square - 0.470).abs() < 5e-4
                && peas.dof == 3
                && (peas.p_value - 0.9254).abs() < 5e-5,
            "{peas:?}"
        );
        let leaked = check(&[50, 50, 1], &[1.0, 1.0, 0.0]).unwrap();
        assert_eq!(
            (leaked.chi_square, leaked.dof, leaked.leaked, leaked.p_value),
            (0.0, 1, 1, 1.0)
        );
    }

    #[test]
    fn nothing_to_compare_is_refused() {
        assert!(
            check(&[5, 5], &[1.0, 0.0]).is_err()
                && check(&[5], &[1.0, 1.0]).is_err()
                && check(&[5, 5], &[f64::NAN, 1.0]).is_err()
        );
        assert_eq!(check(&[0, 0], &[1.0, 1.0]).unwrap().p_value, 1.0);
    }
}
