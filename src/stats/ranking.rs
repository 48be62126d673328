//! Exact probabilities that each of several uncertain means is the highest, or the second highest,
//! by quadrature.

use crate::stats::distribution::{normal_above, normal_below, normal_density};
use crate::stats::level::{Error, at_least, finite, positive};
use crate::stats::numeric::{descend, quadrature};
use crate::stats::proportion::Share;
use crate::stats::special::{beta_tails, log_beta_density};

/// Distances from the mode, in standard deviations of a normal distribution, between which
/// densities are integrated piece by piece.
const STEPS: [f64; 12] = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.75, 4.5, 5.5, 6.5, 7.75, 9.0];

/// A normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub sd: f64,
}

/// A beta distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Successes, with those of the prior; above 0.
    pub a: f64,
    /// Failures, with those of the prior; above 0.
    pub b: f64,
}

impl Beta {
    /// After these trials.
    ///
    /// # Errors
    /// When a parameter is not above 0, without trials, or with more successes than trials.
    pub fn after(self, share: Share) -> Result<Self, Error> {
        self.check()?;
        share.fraction()?;
        Ok(Self {
            a: self.a + share.successes as f64,
            b: self.b + (share.trials - share.successes) as f64,
        })
    }

    fn check(self) -> Result<(), Error> {
        positive("the first parameter of beta", self.a)?;
        positive("the second parameter of beta", self.b).map(|_| ())
    }
}

/// Probabilities of the first two ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Probability that each is the highest; they add up to 1.
    pub best: Vec<f64>,
    /// Probability that each is the second highest.
    pub second: Vec<f64>,
}

/// One distribution at one point.
struct At {
    density: f64,
    below: f64,
    above: f64,
}

/// Ranking of independent normal means.
///
/// # Errors
/// With fewer than two, or when one has no deviation.
pub fn normal_ranking(means: &[Normal]) -> Result<Ranking, Error> {
    at_least("arms", means.len() as u64, 2)?;
    for Normal { mean, sd } in means {
        finite("a mean", *mean)?;
        positive("a deviation", *sd)?;
    }
    let breaks = |normal: &Normal| {
        STEPS
            .iter()
            .flat_map(|step| [normal.mean - step * normal.sd, normal.mean + step * normal.sd])
            .collect()
    };
    let at = |normal: &Normal, x: f64| {
        let z = (x - normal.mean) / normal.sd;
        At {
            density: normal_density(z) / normal.sd,
            below: normal_below(z),
            above: normal_above(z),
        }
    };
    Ok(ranking(means, breaks, at))
}

/// Ranking of independent beta-distributed shares, integrated over their logits, where the
/// densities are smooth.
///
/// # Errors
/// With fewer than two, or when a parameter is not above 0.
pub fn beta_ranking(shares: &[Beta]) -> Result<Ranking, Error> {
    at_least("arms", shares.len() as u64, 2)?;
    shares.iter().try_for_each(|share| share.check())?;
    let logistic = |logit: f64| (1.0 / (1.0 + libm::exp(-logit)), 1.0 / (1.0 + libm::exp(logit)));
    let log_density = |share: &Beta, logit: f64| {
        let (x, y) = logistic(logit);
        if x > 0.0 && y > 0.0 {
            log_beta_density(share.a, share.b, x, y)
        } else {
            f64::NEG_INFINITY
        }
    };
    let breaks = |share: &Beta| {
        let (mode, width) = (libm::log(share.a / share.b), (1.0 / share.a + 1.0 / share.b).sqrt());
        let highest = log_density(share, mode);
        let reach = |step: &f64| {
            // Where the density has fallen as far as a normal one at that many deviations.
            let value = highest - 0.5 * step * step;
            let side = |sign: f64| {
                descend(0.0, width, value, |away| log_density(share, mode + sign * away))
                    .map(|away| mode + sign * away)
            };
            [side(-1.0), side(1.0)]
        };
        STEPS.iter().flat_map(reach).flatten().collect()
    };
    let at = |share: &Beta, logit: f64| {
        let (x, y) = logistic(logit);
        let tails = beta_tails(share.a, share.b, x, y);
        At { density: libm::exp(log_density(share, logit)), below: tails.lower, above: tails.upper }
    };
    Ok(ranking(shares, breaks, at))
}

fn ranking<T>(arms: &[T], breaks: impl Fn(&T) -> Vec<f64>, at: impl Fn(&T, f64) -> At) -> Ranking {
    let mut points: Vec<f64> = arms.iter().flat_map(breaks).collect();
    points.sort_by(f64::total_cmp);
    let (mut best, mut second) = (vec![0.0; arms.len()], vec![0.0; arms.len()]);
    for (point, weight) in quadrature(&points) {
        let values: Vec<At> = arms.iter().map(|arm| at(arm, point)).collect();
        for (arm, own) in values.iter().enumerate() {
            // Probabilities that none and that exactly one of the others is above.
            let mut none = 1.0;
            let mut one = 0.0;
            for (_, other) in values.iter().enumerate().filter(|(other, _)| *other != arm) {
                one = one * other.below + none * other.above;
                none *= other.below;
            }
            best[arm] += weight * own.density * none;
            second[arm] += weight * own.density * one;
        }
    }
    Ranking { best, second }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_normal_means_have_a_closed_form() {
        for (left, right) in
            [((0.0, 1.0), (1.0, 2.0)), ((5.0, 1e-3), (5.0, 10.0)), ((0.0, 1.0), (6.0, 0.01))]
        {
            let means = [left, right].map(|(mean, sd)| Normal { mean, sd });
            let ranking = normal_ranking(&means).unwrap();
            let z = (left.0 - right.0) / libm::sqrt(left.1 * left.1 + right.1 * right.1);
            assert!(
                (ranking.best[0] - normal_below(z)).abs() < 1e-13,
                "{ranking:?} {}",
                normal_below(z)
            );
            assert!((ranking.best[0] - ranking.second[1]).abs() < 1e-13);
        }
    }

    #[test]
    fn integer_betas_have_a_closed_form() {
        // P(X > Y) for X ~ Beta(a, b), Y ~ Beta(c, d): a sum of beta functions over i < a (Evan
        // Miller's formula).
        use crate::stats::special::log_beta;
        for (x, y) in [
            ((3.0, 8.0), (5.0, 6.0)),
            ((1.0, 1.0), (1.0, 1.0)),
            ((40.0, 1_000.0), (25.0, 900.0)),
            ((1.0, 300.0), (1.0, 2.0)),
        ] {
            let (a, b, c, d) = (x.0, x.1, y.0, y.1);
            let term = |i: f64| {
                libm::exp(
                    log_beta(c + i, d + b)
                        - libm::log(b + i)
                        - log_beta(1.0 + i, b)
                        - log_beta(c, d),
                )
            };
            let exact: f64 = (0..a as u32).map(|i| term(f64::from(i))).sum();
            let ranking = beta_ranking(&[Beta { a, b }, Beta { a: c, b: d }]).unwrap();
            assert!((ranking.best[0] - exact).abs() < 1e-11, "{ranking:?} {exact}");
        }
    }

    #[test]
    fn parameters_outside_of_their_range_are_refused() {
        let normal = |sd| Normal { mean: 0.0, sd };
        assert!(
            normal_ranking(&[normal(1.0)]).is_err()
                && normal_ranking(&[normal(1.0), normal(0.0)]).is_err()
        );
        assert!(normal_ranking(&[normal(1.0), Normal { mean: f64::NAN, sd: 1.0 }]).is_err());
        assert!(beta_ranking(&[Beta { a: 1.0, b: 0.0 }, Beta { a: 1.0, b: 1.0 }]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_probabilities_of_each_rank_add_up_to_one(normals in prop::collection::vec((-3.0..3.0_f64, 0.01..3.0_f64), 2..6), betas in prop::collection::vec((0.4..60.0_f64, 0.4..60.0_f64), 2..5)) {
            let normals: Vec<Normal> = normals.into_iter().map(|(mean, sd)| Normal { mean, sd }).collect();
            let betas: Vec<Beta> = betas.into_iter().map(|(a, b)| Beta { a, b }).collect();
            for ranking in [normal_ranking(&normals).unwrap(), beta_ranking(&betas).unwrap()] {
                prop_assert!((ranking.best.iter().sum::<f64>() - 1.0).abs() < 1e-10, "{ranking:?}");
                prop_assert!((ranking.second.iter().sum::<f64>() - 1.0).abs() < 1e-10, "{ranking:?}");
            }
        }
    }
}
