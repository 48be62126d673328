//! Evidence that a sum of bounded deviations is not centred on 0, valid at every look.
//!
//! Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences" (Annals of Statistics 2021), proposition 7: the two-sided beta-binomial mixture. `v`
//! is the intrinsic time: the accumulated variance. A mixture is tuned to be tight near `v_planned`
//! at a level `alpha_planned`.

use crate::stats::level::{Alpha, Error, positive};
use crate::stats::special::log_beta;

/// Where a mixture is to be tight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Intrinsic time; above 0.
    pub v_planned: f64,
    /// Level.
    pub alpha_planned: Alpha,
}

impl Tuning {
    /// The parameter rho (their eq. 26 and section 3.5).
    fn rho(self) -> Result<f64, Error> {
        let log = -2.0 * libm::log(self.alpha_planned.value());
        Ok(positive("the planned intrinsic time", self.v_planned)? / (log + libm::log1p(log)))
    }
}

/// A supermartingale averaged over many betting rates, for sums of steps of either `-g` or `h`:
/// while the null holds, its value at `(sum, v)` exceeds `1 / alpha` at any time with probability
/// at most alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaBinomial {
    /// Tuned parameter.
    r: f64,
    /// Largest step down.
    g: f64,
    /// Largest step up.
    h: f64,
}

impl BetaBinomial {
    /// For steps between `-g` and `h`.
    ///
    /// # Errors
    /// When the planned time or a step is not above 0.
    pub fn new(tuning: Tuning, g: f64, h: f64) -> Result<Self, Error> {
        let product = positive("the step down", g)? * positive("the step up", h)?;
        Ok(Self { r: (tuning.rho()? - product).max(1e-3 * product), g, h })
    }

    /// Logarithm of the mixture at a sum of deviations and an intrinsic time of at least 0.
    #[must_use]
    pub fn log_value(&self, sum: f64, v: f64) -> f64 {
        let Self { r, g, h } = *self;
        let whole = g + h;
        let (down, up) = ((v - g * sum) / (g * whole), (v + h * sum) / (h * whole));
        let (start_down, start_up) = (r / (g * whole), r / (h * whole));
        let base = v / (g * h) * libm::log(whole) - up * libm::log(g) - down * libm::log(h);
        base + log_beta(start_down + down, start_up + up) - log_beta(start_down, start_up)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mixture(v_planned: f64, g: f64) -> BetaBinomial {
        let alpha_planned = Alpha::new(0.025).unwrap();
        BetaBinomial::new(Tuning { v_planned, alpha_planned }, g, 1.0 - g).unwrap()
    }

    #[test]
    fn a_mixture_starts_at_one_and_is_a_martingale_of_fair_steps() {
        // Steps of -g with probability h / (g + h) and of h otherwise; g h is the variance.
        let (g, h) = (0.4, 0.6);
        let mixture = mixture(40.0, g);
        assert!(mixture.log_value(0.0, 0.0).abs() < 1e-12);
        for (sum, v) in [(0.0, 0.0), (0.2, 0.24), (1.8, 0.72)] {
            let next = |step: f64| libm::exp(mixture.log_value(sum + step, v + g * h));
            let mean = h / (g + h) * next(-g) + g / (g + h) * next(h);
            assert!(
                (mean / libm::exp(mixture.log_value(sum, v)) - 1.0).abs() < 1e-12,
                "{mixture:?} at {sum} {v}"
            );
        }
    }

    #[test]
    fn a_tuning_outside_of_its_range_is_refused() {
        let alpha_planned = Alpha::new(0.1).unwrap();
        let of = |v_planned, g| BetaBinomial::new(Tuning { v_planned, alpha_planned }, g, 0.5);
        assert!(of(0.0, 0.5).is_err() && of(f64::NAN, 0.5).is_err() && of(1.0, 0.0).is_err());
    }

    proptest! {
        #[test]
        fn both_directions_mirror(sum in -20.0..20.0_f64, v_planned in 0.5..500.0_f64, g in 0.05..0.95_f64) {
            let v = 40.0;
            let (one, other) = (mixture(v_planned, g), mixture(v_planned, 1.0 - g));
            prop_assume!(v > g * sum && v > (g - 1.0) * sum);
            prop_assert!((one.log_value(sum, v) - other.log_value(-sum, v)).abs() < 1e-9);
        }
    }
}
