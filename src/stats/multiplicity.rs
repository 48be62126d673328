//! Several hypotheses at once: adjusted p-values, and rejection by e-values.

use crate::stats::level::{Alpha, Error, fraction};

/// Checked p-values and the order from the smallest up.
fn ascending(p_values: &[f64]) -> Result<Vec<usize>, Error> {
    p_values.iter().try_for_each(|p| fraction("a p-value", *p).map(|_| ()))?;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    Ok(order)
}

/// Bonferroni's adjusted p-values, in the order given: rejecting those of at most alpha keeps any
/// false rejection below alpha.
///
/// # Errors
/// When a p-value is not between 0 and 1.
pub fn bonferroni(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    ascending(p_values)?;
    Ok(p_values.iter().map(|p| (p * p_values.len() as f64).min(1.0)).collect())
}

/// Holm's adjusted p-values (Holm 1979): as Bonferroni's, never larger.
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

/// Benjamini and Hochberg's adjusted p-values (1995): rejecting those of at most alpha keeps the
/// expected share of false ones among all rejections below alpha, for independent tests.
///
/// # Errors
/// When a p-value is not between 0 and 1.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    let count = p_values.len() as f64;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (rank, place) in ascending(p_values)?.into_iter().enumerate().rev() {
        // Dividing first leaves the largest p-value exactly as it is.
        smallest = smallest.min(p_values[place] * (count / (rank + 1) as f64));
        adjusted[place] = smallest;
    }
    Ok(adjusted)
}

/// Which hypotheses are rejected by their e-values with a false discovery rate of at most alpha,
/// however they depend on each other (Wang and Ramdas, "False discovery rate control with
/// e-values", JRSS B 2022).
///
/// # Errors
/// When an e-value is negative or NaN; an infinite one is evidence enough.
pub fn by_e_values(e_values: &[f64], alpha: Alpha) -> Result<Vec<bool>, Error> {
    if let Some(value) = e_values.iter().find(|value| value.is_nan() || **value < 0.0) {
        return Err(Error::Outside {
            name: "an e-value",
            value: *value,
            expected: "a number of at least 0",
        });
    }
    let mut descending = e_values.to_vec();
    descending.sort_by(|left, right| right.total_cmp(left));
    let count = e_values.len() as f64;
    let enough =
        |(rank, value): &(usize, &f64)| **value >= count / (alpha.value() * (*rank + 1) as f64);
    let least = descending.iter().enumerate().rfind(enough).map_or(f64::NAN, |(_, value)| *value);
    Ok(e_values.iter().map(|value| *value >= least).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_example_is_met() {
        // Benjamini and Hochberg 1995, section 4.1: of 15 p-values Bonferroni rejects 3 at 0.05 and
        // their procedure 4.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        let rejected = |adjusted: Vec<f64>| adjusted.iter().filter(|p| **p <= 0.05).count();
        assert_eq!(
            (
                rejected(bonferroni(&p).unwrap()),
                rejected(holm(&p).unwrap()),
                rejected(benjamini_hochberg(&p).unwrap())
            ),
            (3, 3, 4)
        );
    }

    #[test]
    fn what_is_no_probability_or_evidence_is_refused() {
        assert!(
            holm(&[0.1, f64::NAN]).is_err()
                && bonferroni(&[-0.1]).is_err()
                && benjamini_hochberg(&[1.1]).is_err()
        );
        let level = Alpha::new(0.05).unwrap();
        assert!(by_e_values(&[f64::NAN], level).is_err() && by_e_values(&[-1.0], level).is_err());
        assert_eq!(by_e_values(&[f64::INFINITY, 0.0], level), Ok(vec![true, false]));
        assert_eq!(by_e_values(&[], level), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_the_order_and_bonferroni_is_the_largest(p in prop::collection::vec(0.0..=1.0_f64, 1..20)) {
            let (bonferroni, holm, bh) = (bonferroni(&p).unwrap(), holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
            for left in 0..p.len() {
                prop_assert!(p[left] <= bh[left] + 1e-15 && bh[left] <= holm[left] && holm[left] <= bonferroni[left]);
                for right in 0..p.len() {
                    prop_assert!(p[left] > p[right] || (holm[left] <= holm[right] && bh[left] <= bh[right]));
                }
            }
        }
    }
}
