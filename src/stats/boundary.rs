//! Boundaries that a sum of deviations crosses at any time with probability at most alpha: mixtures
//! and stitching.
//!
//! Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences" (Annals of Statistics 2021), propositions 5 to 9 and theorem 1. `v` is the intrinsic
//! time: the accumulated variance. Mixtures are tuned to be tight near `v_planned` for a level
//! `alpha_planned`.

use crate::stats::distribution::normal_below;
use crate::stats::level::{Alpha, Error, Interval, at_least, positive};
use crate::stats::numeric::bisect;
use crate::stats::special::{Tails, beta_tails, gamma_tails, log_beta, log_gamma, zeta};

/// Where a mixture is to be tight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Intrinsic time; above 0.
    pub v_planned: f64,
    /// Level; below one half for a one-sided mixture.
    pub alpha_planned: Alpha,
}

impl Tuning {
    /// The parameter rho of a two-sided mixture (their eq. 26 and section 3.5).
    ///
    /// # Errors
    /// When the planned time is not above 0.
    fn rho(self) -> Result<f64, Error> {
        rho(self.v_planned, self.alpha_planned.value())
    }

    fn rho_one_sided(self) -> Result<f64, Error> {
        rho(self.v_planned, 2.0 * self.alpha_planned.value())
    }
}

fn rho(v: f64, alpha: f64) -> Result<f64, Error> {
    if alpha >= 1.0 {
        return Err(Error::Outside {
            name: "the planned alpha",
            value: 0.5 * alpha,
            expected: "below one half",
        });
    }
    let log = -2.0 * libm::log(alpha);
    Ok(positive("the planned intrinsic time", v)? / (log + libm::log1p(log)))
}

/// A supermartingale averaged over many betting rates: while the null holds its value at `(sum, v)`
/// exceeds `1 / alpha` at any time with probability at most alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixture {
    /// Sub-Gaussian sums in both directions.
    Normal {
        /// Tuned parameter.
        rho: f64,
    },
    /// Sub-Gaussian sums upwards only.
    HalfNormal {
        /// Tuned parameter.
        rho: f64,
    },
    /// Sub-exponential sums with scale `c`.
    GammaExponential {
        /// Tuned parameter.
        rho: f64,
        /// Scale: largest step.
        c: f64,
    },
    /// Sub-Poisson sums with scale `c`.
    GammaPoisson {
        /// Tuned parameter.
        rho: f64,
        /// Scale: largest step.
        c: f64,
    },
    /// Sums of steps of either `-g` or `h`, in both directions or upwards only.
    BetaBinomial {
        /// Tuned parameter.
        r: f64,
        /// Largest step down.
        g: f64,
        /// Largest step up.
        h: f64,
        /// `h / (g + h)` upwards only, 1 for both directions.
        upto: f64,
    },
}

impl Mixture {
    /// Both directions, sub-Gaussian.
    ///
    /// # Errors
    /// When the tuning cannot be used.
    pub fn normal(tuning: Tuning) -> Result<Self, Error> {
        Ok(Self::Normal { rho: tuning.rho()? })
    }

    /// Upwards, sub-Gaussian.
    ///
    /// # Errors
    /// When the tuning cannot be used.
    pub fn half_normal(tuning: Tuning) -> Result<Self, Error> {
        Ok(Self::HalfNormal { rho: tuning.rho_one_sided()? })
    }

    /// Upwards, sub-exponential: what variances estimated on the way need.
    ///
    /// # Errors
    /// When the tuning cannot be used or `c` is not above 0.
    pub fn gamma_exponential(tuning: Tuning, c: f64) -> Result<Self, Error> {
        Ok(Self::GammaExponential { rho: tuning.rho_one_sided()?, c: positive("the scale", c)? })
    }

    /// Upwards, sub-Poisson.
    ///
    /// # Errors
    /// When the tuning cannot be used or `c` is not above 0.
    pub fn gamma_poisson(tuning: Tuning, c: f64) -> Result<Self, Error> {
        Ok(Self::GammaPoisson { rho: tuning.rho_one_sided()?, c: positive("the scale", c)? })
    }

    /// Both directions, steps between `-g` and `h`.
    ///
    /// # Errors
    /// When the tuning cannot be used or a step is not above 0.
    pub fn beta_binomial(tuning: Tuning, g: f64, h: f64) -> Result<Self, Error> {
        Self::stepping(tuning.rho()?, g, h, 1.0)
    }

    /// Upwards, steps between `-g` and `h`.
    ///
    /// # Errors
    /// When the tuning cannot be used or a step is not above 0.
    pub fn half_beta_binomial(tuning: Tuning, g: f64, h: f64) -> Result<Self, Error> {
        Self::stepping(tuning.rho_one_sided()?, g, h, h / (g + h))
    }

    fn stepping(rho: f64, g: f64, h: f64, upto: f64) -> Result<Self, Error> {
        let product = positive("the step down", g)? * positive("the step up", h)?;
        Ok(Self::BetaBinomial { r: (rho - product).max(1e-3 * product), g, h, upto })
    }

    /// Logarithm of the mixture at a sum of deviations and an intrinsic time of at least 0.
    #[must_use]
    pub fn log_value(&self, sum: f64, v: f64) -> f64 {
        match *self {
            Self::Normal { rho } => 0.5 * libm::log(rho / (v + rho)) + 0.5 * sum * sum / (v + rho),
            Self::HalfNormal { rho } => {
                let scale = v + rho;
                0.5 * libm::log(4.0 * rho / scale)
                    + 0.5 * sum * sum / scale
                    + libm::log(normal_below(sum / scale.sqrt()))
            }
            Self::GammaExponential { rho, c } => {
                let square = c * c;
                let (start, shape, rate) =
                    (rho / square, (v + rho) / square, (c * sum + v + rho) / square);
                let ratio = libm::log(gamma_tails(shape, rate).lower)
                    - libm::log(gamma_tails(start, start).lower);
                gamma_start(start) + log_gamma(shape) + ratio - shape * libm::log(rate) + rate
                    - start
            }
            Self::GammaPoisson { rho, c } => {
                let square = c * c;
                let (start, rate, shape) =
                    (rho / square, (v + rho) / square, sum / c + (v + rho) / square);
                let ratio = libm::log(gamma_tails(shape, rate).upper)
                    - libm::log(gamma_tails(start, start).upper);
                gamma_start(start) + log_gamma(shape) + ratio - shape * libm::log(rate) + rate
                    - start
            }
            Self::BetaBinomial { r, g, h, upto } => {
                let whole = g + h;
                let (down, up) = ((v - g * sum) / (g * whole), (v + h * sum) / (h * whole));
                let (start_down, start_up) = (r / (g * whole), r / (h * whole));
                let base = v / (g * h) * libm::log(whole) - up * libm::log(g) - down * libm::log(h);
                base + log_beta_below(start_down + down, start_up + up, upto)
                    - log_beta_below(start_down, start_up, upto)
            }
        }
    }

    /// The boundary: the least sum at which the mixture reaches `1 / alpha` at intrinsic time `v`.
    ///
    /// # Errors
    /// When `v` is not above 0.
    pub fn boundary(&self, v: f64, alpha: Alpha) -> Result<f64, Error> {
        positive("the intrinsic time", v)?;
        let threshold = -libm::log(alpha.value());
        if let Self::Normal { rho } = *self {
            return Ok(((v + rho) * (libm::log1p(v / rho) + 2.0 * threshold)).sqrt());
        }
        let below = |sum: f64| self.log_value(sum, v) < threshold;
        if let Self::BetaBinomial { g, .. } = *self {
            // All steps up is the most there can be.
            let most = v / g;
            return Ok(if below(most) { most } else { bisect(0.0, most, below) });
        }
        let mut high = v.max(1.0);
        while below(high) {
            high *= 2.0;
        }
        Ok(bisect(0.0, high, below))
    }
}

/// `a ln a - ln Gamma(a)`: the start of a gamma mixture.
fn gamma_start(a: f64) -> f64 {
    a * libm::log(a) - log_gamma(a)
}

/// Logarithm of the incomplete beta function.
fn log_beta_below(a: f64, b: f64, upto: f64) -> f64 {
    if upto == 1.0 {
        return log_beta(a, b);
    }
    let Tails { lower, .. } = beta_tails(a, b, upto, 1.0 - upto);
    libm::log(lower) + log_beta(a, b)
}

/// How a stitched boundary is put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stitching {
    /// Intrinsic time from which on it is tight; above 0.
    pub v_min: f64,
    /// Scale of the sub-gamma tail; 0 for sub-Gaussian sums.
    pub c: f64,
    /// How crossing probability is shared among epochs; above 1.
    pub s: f64,
    /// Ratio of the ends of an epoch; above 1.
    pub eta: f64,
}

/// The polynomially stitched boundary at intrinsic time `v` (their eq. 10), of order `sqrt(v ln ln
/// v)`.
///
/// # Errors
/// When the stitching or `v` is outside of its range.
pub fn stitched(stitching: Stitching, v: f64, alpha: Alpha) -> Result<f64, Error> {
    let Stitching { v_min, c, s, eta } = stitching;
    positive("the least intrinsic time", v_min)?;
    positive("the exponent of stitching above 1", s - 1.0)?;
    positive("the ratio of epochs above 1", eta - 1.0)?;
    let v = positive("the intrinsic time", v)?.max(v_min);
    let fourth = eta.sqrt().sqrt();
    let k1 = (fourth + 1.0 / fourth) * std::f64::consts::FRAC_1_SQRT_2;
    let k2 = 0.5 * (eta.sqrt() + 1.0);
    let log_eta = libm::log(eta);
    let epochs =
        s * libm::log(libm::log(eta * v / v_min)) + libm::log(zeta(s)) - s * libm::log(log_eta);
    let length = epochs - libm::log(alpha.value());
    let linear = k2 * c * length;
    Ok((k1 * k1 * v * length + linear * linear).sqrt() + linear)
}

/// Confidence sequence of a probability from its successes so far: the means whose two-sided
/// beta-binomial mixture stays below
/// `1 / alpha`. Tuned to be tight near `planned` trials.
///
/// # Errors
/// Without trials, with more successes than trials, or when the tuning cannot be used.
pub fn probability_sequence(
    trials: u64,
    successes: u64,
    alpha: Alpha,
    planned: (f64, Alpha),
) -> Result<Interval, Error> {
    let n = at_least("trials", trials, 1)? as f64;
    let share = crate::stats::moments::share(trials, successes)?;
    positive("the planned number of trials", planned.0)?;
    let threshold = -libm::log(alpha.value());
    let excluded = |p: f64| {
        let variance = p * (1.0 - p);
        let tuning = Tuning { v_planned: variance * planned.0, alpha_planned: planned.1 };
        Mixture::beta_binomial(tuning, p, 1.0 - p)
            .map_or(true, |mixture| mixture.log_value((share - p) * n, variance * n) > threshold)
    };
    let lower = if successes == 0 { 0.0 } else { bisect(0.0, share, excluded) };
    let upper = if successes == trials { 1.0 } else { bisect(share, 1.0, |p| !excluded(p)) };
    Ok(Interval { lower, upper })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(alpha: f64) -> Alpha {
        Alpha::new(alpha).unwrap()
    }

    fn mixtures(v_planned: f64) -> Vec<Mixture> {
        let tuning = Tuning { v_planned, alpha_planned: level(0.025) };
        vec![
            Mixture::normal(tuning).unwrap(),
            Mixture::half_normal(tuning).unwrap(),
            Mixture::gamma_exponential(tuning, 0.7).unwrap(),
            Mixture::gamma_poisson(tuning, 0.7).unwrap(),
            Mixture::half_beta_binomial(tuning, 0.4, 0.6).unwrap(),
            Mixture::beta_binomial(tuning, 0.4, 0.6).unwrap(),
        ]
    }

    #[test]
    fn a_mixture_starts_at_one() {
        for mixture in mixtures(40.0) {
            assert!(
                mixture.log_value(0.0, 0.0).abs() < 1e-12,
                "{mixture:?}: {}",
                mixture.log_value(0.0, 0.0)
            );
        }
    }

    #[test]
    fn a_beta_binomial_mixture_is_a_martingale_of_fair_steps() {
        // Steps of -g with probability h / (g + h) and of h otherwise; g h is the variance.
        let (g, h) = (0.4, 0.6);
        for mixture in mixtures(40.0).into_iter().skip(4) {
            for (sum, v) in [(0.0, 0.0), (0.2, 0.24), (1.8, 0.72)] {
                let next = |step: f64| libm::exp(mixture.log_value(sum + step, v + g * h));
                let mean = h / (g + h) * next(-g) + g / (g + h) * next(h);
                assert!(
                    (mean / libm::exp(mixture.log_value(sum, v)) - 1.0).abs() < 1e-12,
                    "{mixture:?} at {sum} {v}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_tuned_is_refused() {
        let tuning = |v_planned, alpha| Tuning { v_planned, alpha_planned: level(alpha) };
        assert!(
            Mixture::normal(tuning(0.0, 0.1)).is_err()
                && Mixture::normal(tuning(f64::NAN, 0.1)).is_err()
        );
        assert!(
            Mixture::half_normal(tuning(1.0, 0.5)).is_err()
                && Mixture::gamma_poisson(tuning(1.0, 0.1), 0.0).is_err()
        );
        assert!(mixtures(1.0)[1].boundary(0.0, level(0.05)).is_err());
        assert!(
            stitched(Stitching { v_min: 1.0, c: 0.0, s: 1.0, eta: 2.0 }, 3.0, level(0.05)).is_err()
        );
        assert!(probability_sequence(0, 0, level(0.05), (100.0, level(0.05))).is_err());
    }

    proptest! {
        #[test]
        fn boundaries_nest_in_alpha_and_are_where_the_mixture_reaches_its_threshold(v in 0.5..5_000.0_f64, v_planned in 0.5..500.0_f64) {
            for mixture in mixtures(v_planned) {
                let (near, far) = (mixture.boundary(v, level(0.1)).unwrap(), mixture.boundary(v, level(0.01)).unwrap());
                prop_assert!(near <= far, "{mixture:?}");
                if !matches!(mixture, Mixture::BetaBinomial { .. }) || near < v / 0.4 {
                    prop_assert!((mixture.log_value(near, v) + libm::log(0.1)).abs() < 1e-6, "{mixture:?}");
                }
            }
            let stitching = Stitching { v_min: v_planned, c: 0.5, s: 1.4, eta: 2.0 };
            prop_assert!(stitched(stitching, v, level(0.1)).unwrap() < stitched(stitching, v, level(0.01)).unwrap());
        }

        #[test]
        fn a_probability_lies_in_its_sequence_which_mirrors(trials in 1..3_000_u64, part in 0.0..=1.0_f64) {
            let successes = (trials as f64 * part) as u64;
            let planned = (500.0, level(0.05));
            let one = probability_sequence(trials, successes, level(0.05), planned).unwrap();
            let other = probability_sequence(trials, trials - successes, level(0.05), planned).unwrap();
            let share = successes as f64 / trials as f64;
            prop_assert!(0.0 <= one.lower && one.lower <= share && share <= one.upper && one.upper <= 1.0);
            prop_assert!((one.lower + other.upper - 1.0).abs() < 1e-9, "{one:?} {other:?}");
        }
    }
}
