//! Several hypotheses at once: adjusted p-values.

use crate::stats::level::{Error, fraction};

/// Checked p-values and the order from the smallest up.
fn ascending(p_values: &[f64]) -> Result<Vec<usize>, Error> {
    p_values.iter().try_for_each(|p| fraction("a p-value", *p).map(|_| ()))?;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    Ok(order)
}

/// Holm's adjusted p-values (Holm 1979), in the order given: rejecting those of at most alpha keeps
/// the probability of any false rejection at or below alpha.
///
/// # Errors
/// When a p-value is not between 0 and 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, place) in ascending(p_values)?.into_iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[place]).min(1.0);
        adjusted[place] = largest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_example_is_met() {
        // The 15 p-values of Benjamini and Hochberg 1995, section 4.1, of which Bonferroni's and
        // Holm's procedures reject 3 at 0.05.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        assert_eq!(holm(&p).unwrap().iter().filter(|p| **p <= 0.05).count(), 3);
    }

    #[test]
    fn a_number_that_is_no_probability_is_refused() {
        assert!(holm(&[0.1, f64::NAN]).is_err() && holm(&[-0.1]).is_err() && holm(&[1.1]).is_err());
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_the_order_and_never_exceed_bonferronis(p in prop::collection::vec(0.0..=1.0_f64, 1..20)) {
            let holm = holm(&p).unwrap();
            for left in 0..p.len() {
                let bonferroni = (p[left] * p.len() as f64).min(1.0);
                prop_assert!(p[left] <= holm[left] && holm[left] <= bonferroni);
                for right in 0..p.len() {
                    prop_assert!(p[left] > p[right] || holm[left] <= holm[right]);
                }
            }
        }
    }
}
