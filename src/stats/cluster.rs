//! Effects when whole clusters get an arm: agents with their leads, or teams in blocks of time.
//!
//! The regression of the outcome on the arm, with errors that may be related in any way within a
//! cluster: CR2 with Satterthwaite's degrees of freedom (Bell and McCaffrey 2002, as implemented by
//! Pustejovsky and Tipton 2018), which keeps its level with few clusters. The sums of a cluster are
//! enough: the adjustment `(I - H)^(-1/2)` of its residuals acts within the space of the
//! regressors.

use crate::stats::distribution::{student_beyond, student_upper_quantile};
use crate::stats::level::{Alpha, Error, Interval, at_least};
use crate::stats::matrix::{Square, apply, cholesky, dot, eigen, lower_inverse, times, transposed};
use crate::stats::moments::Arms;

/// A direction of a cluster whose `1 - leverage` is at or below this is not estimated, as in the R
/// package clubSandwich.
const OWN_MIN: f64 = 1e-12;

/// Sums of the units of one cluster in one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// Units.
    pub n: f64,
    /// Sum of outcomes.
    pub y: f64,
    /// Sum of squared outcomes.
    pub yy: f64,
}

impl Part {
    /// One unit.
    #[must_use]
    pub fn of(y: f64) -> Self {
        Self { n: 1.0, y, yy: y * y }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { n: self.n + other.n, y: self.y + other.y, yy: self.yy + other.yy }
    }
}

/// A cluster; most have units in one arm only.
pub type Cluster = Arms<Part>;

/// An effect with cluster-robust errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    /// Treatment minus control.
    pub estimate: f64,
    /// Number of clusters.
    pub clusters: u64,
    /// Standard error as if units were independent, for comparison only.
    pub se_independent: f64,
    /// Its p-value.
    pub p_independent: f64,
    /// CR2 standard error, with adjusted residuals: decisions use this one.
    pub se_cr2: f64,
    /// Its degrees of freedom.
    pub dof: f64,
    /// Its p-value.
    pub p_cr2: f64,
    /// Its interval.
    pub interval: Interval,
}

/// The difference of the means per unit.
///
/// # Errors
/// With fewer than two clusters, an empty arm, or without variance between clusters.
pub fn effect(clusters: &[Cluster], alpha: Alpha) -> Result<Robust, Error> {
    let design = |cluster: &Cluster| {
        let (all, treated) = (cluster.control.plus(cluster.treatment), cluster.treatment);
        ([[all.n, treated.n], [treated.n, treated.n]], [all.y, treated.y])
    };
    robust(clusters, design, alpha)
}

/// The difference of the means relative to the control's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relative {
    /// The estimate, a fraction.
    pub estimate: f64,
    /// The fractions that the test of `treatment - (1 + fraction) control` does not refute (Fieller
    /// 1954), with CR2 and its degrees of freedom.
    pub interval: Interval,
}

/// The relative difference of the means per unit.
///
/// # Errors
/// As [`effect`], and when the control does not differ from 0 at this level.
pub fn relative_effect(clusters: &[Cluster], alpha: Alpha) -> Result<Relative, Error> {
    // Without the control's outcomes the effect is the treatment's mean with its own variance;
    // degrees of freedom follow from sizes alone.
    let silent = |cluster: &Cluster| Cluster {
        control: Part { y: 0.0, yy: 0.0, ..cluster.control },
        treatment: cluster.treatment,
    };
    let (both, alone) = (
        effect(clusters, alpha)?,
        effect(&clusters.iter().map(silent).collect::<Vec<_>>(), alpha)?,
    );
    let (treatment, control) = (alone.estimate, alone.estimate - both.estimate);
    let (own, other) = (
        alone.se_cr2 * alone.se_cr2,
        (both.se_cr2 * both.se_cr2 - alone.se_cr2 * alone.se_cr2).max(0.0),
    );
    let t = student_upper_quantile(0.5 * alpha.value(), both.dof);
    let a = control * control - t * t * other;
    if !(control > 0.0 && a > 0.0) {
        return Err(Error::ZeroBase("the control"));
    }
    let (b, c) = (treatment * control, treatment * treatment - t * t * own);
    let root = (b * b - a * c).max(0.0).sqrt();
    let interval = Interval { lower: (b - root) / a - 1.0, upper: (b + root) / a - 1.0 };
    Ok(Relative { estimate: treatment / control - 1.0, interval })
}

/// `X'X` and `X'y` of a cluster; the second regressor is the arm.
type Design<const N: usize> = (Square<N>, [f64; N]);

fn robust<const N: usize>(
    clusters: &[Cluster],
    design: impl Fn(&Cluster) -> Design<N>,
    alpha: Alpha,
) -> Result<Robust, Error> {
    let whole = |cluster: &&Cluster| cluster.control.n + cluster.treatment.n > 0.0;
    let used: Vec<&Cluster> = clusters.iter().filter(whole).collect();
    let count = at_least("clusters", used.len() as u64, 2)?;
    let all = used
        .iter()
        .fold(Part::default(), |sum, cluster| sum.plus(cluster.control).plus(cluster.treatment));
    let designs: Vec<Design<N>> = used.iter().map(|cluster| design(cluster)).collect();
    let mut products = [[0.0; N]; N];
    let mut moments = [0.0; N];
    for (xx, xy) in &designs {
        (0..N).for_each(|row| (0..N).for_each(|column| products[row][column] += xx[row][column]));
        (0..N).for_each(|row| moments[row] += xy[row]);
    }
    // With the factor L of X'X its inverse is K'K for K = L^-1.
    let factor = lower_inverse(&cholesky(&products).ok_or(Error::NoVariance("a regressor"))?);
    let inverse = times(&transposed(&factor), &factor);
    let beta = apply(&inverse, &moments);
    let units = all.n;
    let parameters = N as f64;
    if units <= parameters {
        return Err(Error::TooFew { name: "units", count: units as u64, least: N as u64 + 1 });
    }
    let errors = Errors::of(&designs, &factor, &inverse, &beta);
    let residual = (all.yy - dot(&beta, &moments)).max(0.0) / (units - parameters);
    let se_independent = (residual * inverse[1][1]).sqrt();
    let (se_cr2, dof) = (errors.adjusted.sqrt(), errors.dof);
    let estimate = beta[1];
    if !(se_cr2 > 0.0 && dof > 0.0 && (estimate / se_cr2).is_finite()) {
        return Err(Error::NoVariance("the outcome between clusters"));
    }
    Ok(Robust {
        estimate,
        clusters: count,
        se_independent,
        p_independent: student_beyond(estimate / se_independent, units - parameters),
        se_cr2,
        dof,
        p_cr2: student_beyond(estimate / se_cr2, dof),
        interval: Interval::around(
            estimate,
            student_upper_quantile(0.5 * alpha.value(), dof) * se_cr2,
        ),
    })
}

/// Variances of the effect.
struct Errors {
    adjusted: f64,
    dof: f64,
}

impl Errors {
    fn of<const N: usize>(
        designs: &[Design<N>],
        factor: &Square<N>,
        inverse: &Square<N>,
        beta: &[f64; N],
    ) -> Self {
        // Row of the inverse that belongs to the arm: the effect is its product with X'y.
        let arm = inverse[1];
        let mut adjusted = 0.0;
        let (mut own_sum, mut own_squares, mut crossed) = (0.0, 0.0, 0.0);
        let mut outer = [[0.0; N]; N];
        for (xx, xy) in designs {
            let fitted = apply(xx, beta);
            let score: [f64; N] = std::array::from_fn(|place| xy[place] - fitted[place]);
            let scale = Scale::of(xx, factor);
            let (root, whole) = (scale.root(xx, factor), scale.whole(xx, factor));
            let adjusted_score = dot(&arm, &score) + dot(&apply(&transposed(&root), &arm), &score);
            adjusted += adjusted_score * adjusted_score;
            // Satterthwaite's moments under independent units: w_gh = [g = h] a - q_g' M q_h.
            let direct = apply(xx, &arm);
            let rooted = apply(&root, &direct);
            let q: [f64; N] = std::array::from_fn(|place| direct[place] + rooted[place]);
            let a = dot(&arm, &direct) + dot(&arm, &apply(&whole, &direct));
            let shared = dot(&q, &apply(inverse, &q));
            own_sum += a - shared;
            own_squares += a * a;
            crossed += a * shared;
            (0..N)
                .for_each(|row| (0..N).for_each(|column| outer[row][column] += q[row] * q[column]));
        }
        let mixed = times(inverse, &outer);
        let trace: f64 = (0..N)
            .map(|row| (0..N).map(|column| mixed[row][column] * mixed[column][row]).sum::<f64>())
            .sum();
        Self { adjusted, dof: own_sum * own_sum / (own_squares - 2.0 * crossed + trace) }
    }
}

/// Eigenvalues of the leverage of one cluster and their directions.
struct Scale<const N: usize> {
    leverages: [f64; N],
    directions: Square<N>,
}

impl<const N: usize> Scale<N> {
    fn of(xx: &Square<N>, factor: &Square<N>) -> Self {
        let (leverages, directions) = eigen(&times(&times(factor, xx), &transposed(factor)));
        Self { leverages, directions }
    }

    /// The term that the adjustment adds: `X'A = (I + root) X'` for `A = (I - H)^(-1/2)`.
    fn root(&self, xx: &Square<N>, factor: &Square<N>) -> Square<N> {
        self.added(xx, factor, |own| 1.0 / own.sqrt())
    }

    /// The same for `A^2`.
    fn whole(&self, xx: &Square<N>, factor: &Square<N>) -> Square<N> {
        self.added(xx, factor, |own| 1.0 / own)
    }

    fn added(&self, xx: &Square<N>, factor: &Square<N>, of: impl Fn(f64) -> f64) -> Square<N> {
        // f(I - H) = I + Y (sum over directions of (f(1 - s) - 1) / s) Y' with Y = X K'; a
        // direction without leverage adds nothing.
        let weight = |leverage: f64| {
            let own = 1.0 - leverage;
            if leverage <= OWN_MIN {
                0.0
            } else {
                (if own > OWN_MIN { of(own) } else { 0.0 } - 1.0) / leverage
            }
        };
        let weights = self.leverages.map(weight);
        let inner: Square<N> = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                (0..N)
                    .map(|k| self.directions[row][k] * weights[k] * self.directions[column][k])
                    .sum()
            })
        });
        times(&times(xx, &transposed(factor)), &times(&inner, factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(control_scale: f64) -> Vec<Cluster> {
        let none = Part::default();
        let agent = |outcomes: &[f64], scale: f64| {
            outcomes.iter().fold(none, |sum, y| sum.plus(Part::of(scale * y)))
        };
        let control = [[1.0, 2.0, 4.0], [2.0, 3.0, 3.0], [5.0, 1.0, 2.0], [2.0, 2.0, 1.0]];
        let treatment = [[4.0, 3.0, 4.0], [5.0, 3.0, 2.0], [3.0, 6.0, 4.0], [4.0, 5.0, 5.0]];
        let control = control
            .iter()
            .map(|outcomes| Cluster { control: agent(outcomes, control_scale), treatment: none });
        control
            .chain(
                treatment
                    .iter()
                    .map(|outcomes| Cluster { control: none, treatment: agent(outcomes, 1.0) }),
            )
            .collect()
    }

    #[test]
    fn a_relative_bound_is_where_the_scaled_control_is_just_significant() {
        let alpha = Alpha::new(0.05).unwrap();
        let relative = relative_effect(&clusters(1.0), alpha).unwrap();
        assert!((relative.estimate - (48.0 / 28.0 - 1.0)).abs() < 1e-12);
        assert!(relative.interval.lower > 0.0 && relative.interval.contains(relative.estimate));
        for bound in [relative.interval.lower, relative.interval.upper] {
            let p = effect(&clusters(1.0 + bound), alpha).unwrap().p_cr2;
            assert!((p - 0.05).abs() < 1e-9, "{bound}: {p}");
        }
        assert!(relative_effect(&clusters(0.0), alpha).is_err(), "a control of 0 is no base");
    }
}
