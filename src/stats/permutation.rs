//! The exact test for few clusters: the observed difference compared with that of every possible
//! assignment of the clusters to the arms.
//!
//! The test assumes nothing about the outcomes (Fisher 1935): if the arm has no effect, each choice
//! of as many treated clusters was equally likely to give the observed difference. Three and three
//! clusters are too few to reject at 5 % on both sides: their p-value is at least 0.1.

use crate::stats::cluster::Cluster;
use crate::stats::level::{Error, at_least};

/// Most ways of choosing the treated clusters that are counted; 24 clusters have 2,704,156.
const CHOICES_MAX: u64 = 3_000_000;
/// Most clusters: a choice of them is a bit set.
const CLUSTERS_MAX: usize = 63;
/// Differences closer than this share of the observed one are equal: the order of addition moves
/// the last digits.
const TIE: f64 = 1e-12;

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permuted {
    /// Outcome per unit of the treated clusters together, minus that of the others.
    pub difference: f64,
    /// Ways of choosing the treated clusters.
    pub choices: u64,
    /// Share of them with a difference at least as far from 0.
    pub p_value: f64,
}

/// Compares the observed difference with those of all choices. A cluster is treated when it has
/// units of the treatment.
///
/// # Errors
/// Without a cluster of either arm, when a cluster has units of both or of none, or with more
/// choices than can be counted.
pub fn test(clusters: &[Cluster]) -> Result<Permuted, Error> {
    if clusters.len() > CLUSTERS_MAX {
        return Err(too_many(clusters.len()));
    }
    let mut totals = Vec::with_capacity(clusters.len());
    let (mut observed, mut treated) = (0_u64, 0_u64);
    for (place, cluster) in clusters.iter().enumerate() {
        let arms = [cluster.control, cluster.treatment].iter().filter(|part| part.n > 0.0).count();
        if arms != 1 {
            return Err(Error::Outside {
                name: "the number of arms in a cluster",
                value: arms as f64,
                expected: "1",
            });
        }
        if cluster.treatment.n > 0.0 {
            observed |= 1 << place;
            treated += 1;
        }
        let all = cluster.control.plus(cluster.treatment);
        totals.push((all.n, all.y));
    }
    at_least("treated clusters", treated, 1)?;
    at_least("clusters of the control", clusters.len() as u64 - treated, 1)?;
    let choices = choices(clusters.len(), treated)?;
    let difference = difference(&totals, observed);
    let near = TIE * difference.abs();
    let mut far = 0_u64;
    let mut chosen = (1_u64 << treated) - 1;
    for _ in 0..choices {
        let other = self::difference(&totals, chosen);
        far += u64::from(other.abs() >= difference.abs() - near);
        chosen = next_choice(chosen);
    }
    Ok(Permuted { difference, choices, p_value: far as f64 / choices as f64 })
}

/// Ways of choosing `chosen` of `all`.
fn choices(all: usize, chosen: u64) -> Result<u64, Error> {
    let clusters = all as u64;
    let mut ways = 1_u64;
    for place in 0..chosen.min(clusters - chosen) {
        ways = ways * (clusters - place) / (place + 1);
        if ways > CHOICES_MAX {
            return Err(too_many(all));
        }
    }
    Ok(ways)
}

fn too_many(clusters: usize) -> Error {
    Error::Outside {
        name: "the number of clusters",
        value: clusters as f64,
        expected: "few enough to count every choice",
    }
}

/// The next larger number with as many bits set (Gosper's hack).
fn next_choice(chosen: u64) -> u64 {
    let lowest = chosen & chosen.wrapping_neg();
    let ripple = chosen.wrapping_add(lowest);
    ripple | (((chosen ^ ripple) >> 2) / lowest)
}

fn difference(totals: &[(f64, f64)], treated: u64) -> f64 {
    let mut sums = [(0.0, 0.0); 2];
    for (place, (n, y)) in totals.iter().enumerate() {
        let sum = &mut sums[usize::from(treated >> place & 1 == 1)];
        *sum = (sum.0 + n, sum.1 + y);
    }
    sums[1].1 / sums[1].0 - sums[0].1 / sums[0].0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::cluster::Part;

    fn clusters(control: &[f64], treatment: &[f64]) -> Vec<Cluster> {
        let none = Part::default();
        let control = control.iter().map(|y| Cluster { control: Part::of(*y), treatment: none });
        control
            .chain(treatment.iter().map(|y| Cluster { control: none, treatment: Part::of(*y) }))
            .collect()
    }

    #[test]
    fn the_extreme_choice_of_three_and_three_is_one_in_twenty() {
        let result = test(&clusters(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0])).unwrap();
        assert_eq!((result.difference, result.choices, result.p_value), (3.0, 20, 0.1));
        let equal = test(&clusters(&[1.0; 4], &[1.0; 4])).unwrap();
        assert_eq!((equal.choices, equal.p_value), (70, 1.0));
    }

    #[test]
    fn ranks_give_the_exact_table_of_wilcoxon() {
        // Five and five with a rank sum of 38, which is U = 2: one-sided p = 4/252 = .0159 in the
        // tables of Mann and Whitney 1947, and as much on the other side.
        let result =
            test(&clusters(&[1.0, 2.0, 3.0, 4.0, 7.0], &[5.0, 6.0, 8.0, 9.0, 10.0])).unwrap();
        assert_eq!(result.choices, 252);
        assert_eq!(result.p_value, 8.0 / 252.0);
    }

    #[test]
    fn clusters_without_an_exact_test_are_refused() {
        assert!(test(&clusters(&[1.0], &[])).is_err() && test(&clusters(&[], &[1.0])).is_err());
        let both = Cluster { control: Part::of(1.0), treatment: Part::of(1.0) };
        assert!(test(&[both, both]).is_err());
        assert!(
            test(&clusters(&[1.0; 20], &[2.0; 20])).is_err(),
            "more choices than can be counted"
        );
        assert!(test(&clusters(&[1.0; 100], &[2.0])).is_err());
    }
}
