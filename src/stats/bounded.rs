//! Confidence sequences for the mean of values between 0 and 1: valid at every look and every size,
//! without approximation.
//!
//! Values come one at a time, in the order in which they were seen; each sequence keeps a few sums.
//! One-sided bounds at half the level on the values and on what is missing to 1 make an interval.

use crate::stats::boundary::{self, Mixture};
use crate::stats::level::{Alpha, Error, Interval, fraction, positive};

/// Past values as a forecast: what a bet on the next value may know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Values so far.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Sum of squared deviations, each from the regularised mean up to it.
    pub squares: f64,
}

impl Forecast {
    /// Regularised variance of the values so far; a quarter before the first.
    #[must_use]
    pub fn variance(&self) -> f64 {
        (0.25 + self.squares) / (self.count + 1.0)
    }

    /// The bet on the next value that is best for the forecast variance, before any cap
    /// (Waudby-Smith and Ramdas 2024, eq. 15).
    #[must_use]
    pub fn bet(&self, log_inverse_alpha: f64) -> f64 {
        let next = self.count + 1.0;
        (2.0 * log_inverse_alpha / (next * libm::log1p(next) * self.variance())).sqrt()
    }

    /// Takes the next value.
    pub fn observe(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        let mean = ((0.5 + self.sum) / (self.count + 1.0)).min(1.0);
        self.squares += (value - mean) * (value - mean);
    }

    fn mean(&self) -> f64 {
        if self.count == 0.0 { 0.0 } else { (self.sum / self.count).min(1.0) }
    }
}

/// Lower bound on the mean of values of at least 0 whose mean is at most 1, by predictable plug-in
/// empirical Bernstein.
///
/// Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B
/// 2024), theorem 2; for values above 1, as inverse propensity weighting makes them, Waudby-Smith
/// et al. (arXiv:2210.10768).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BernsteinBound {
    log_inverse_alpha: f64,
    cap: f64,
    /// What came before.
    pub forecast: Forecast,
    weights: f64,
    weighted: f64,
    penalty: f64,
}

impl BernsteinBound {
    /// A bound that fails at any time with probability at most `alpha`. Bets are capped at `cap`,
    /// above 0 and below 1.
    ///
    /// # Errors
    /// When the cap is outside of its range.
    pub fn new(alpha: Alpha, cap: f64) -> Result<Self, Error> {
        let cap = crate::stats::level::open_fraction("the cap of bets", cap)?;
        let log_inverse_alpha = -libm::log(alpha.value());
        Ok(Self {
            log_inverse_alpha,
            cap,
            forecast: Forecast::default(),
            weights: 0.0,
            weighted: 0.0,
            penalty: 0.0,
        })
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// When it is negative or not finite.
    pub fn observe(&mut self, value: f64) -> Result<(), Error> {
        let value = crate::stats::level::not_negative("a value", value)?;
        let bet = self.forecast.bet(self.log_inverse_alpha).min(self.cap);
        let deviation = value - self.forecast.mean();
        self.weights += bet;
        self.weighted += bet * value;
        self.penalty += deviation * deviation * (-libm::log1p(-bet) - bet);
        self.forecast.observe(value);
        Ok(())
    }

    /// The bound now; 0 before the first value.
    #[must_use]
    pub fn lower(&self) -> f64 {
        if self.weights == 0.0 {
            0.0
        } else {
            ((self.weighted - self.log_inverse_alpha - self.penalty) / self.weights).max(0.0)
        }
    }
}

/// Lower bound on the mean of values between 0 and 1 by Hoeffding's inequality with predictable
/// bets (their theorem 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoeffdingBound {
    log_inverse_alpha: f64,
    cap: f64,
    count: f64,
    weights: f64,
    weighted: f64,
    penalty: f64,
}

impl HoeffdingBound {
    /// A bound that fails at any time with probability at most `alpha`. Bets are capped at `cap`,
    /// above 0.
    ///
    /// # Errors
    /// When the cap is outside of its range.
    pub fn new(alpha: Alpha, cap: f64) -> Result<Self, Error> {
        let (log_inverse_alpha, cap) =
            (-libm::log(alpha.value()), positive("the cap of bets", cap)?);
        Ok(Self { log_inverse_alpha, cap, count: 0.0, weights: 0.0, weighted: 0.0, penalty: 0.0 })
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// When it is not between 0 and 1.
    pub fn observe(&mut self, value: f64) -> Result<(), Error> {
        let value = fraction("a value", value)?;
        self.count += 1.0;
        let bet = (8.0 * self.log_inverse_alpha / (self.count * libm::log1p(self.count)))
            .sqrt()
            .min(self.cap);
        self.weights += bet;
        self.weighted += bet * value;
        self.penalty += bet * bet / 8.0;
        Ok(())
    }

    /// The bound now; 0 before the first value.
    #[must_use]
    pub fn lower(&self) -> f64 {
        if self.weights == 0.0 {
            0.0
        } else {
            ((self.weighted - self.log_inverse_alpha - self.penalty) / self.weights).max(0.0)
        }
    }
}

/// The sums that conjugate-mixture sequences of a mean need (Howard et al. 2021, theorem 4 and
/// corollary 1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MixtureSums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl MixtureSums {
    /// Takes the next value.
    ///
    /// # Errors
    /// When it is not between 0 and 1.
    pub fn observe(&mut self, value: f64) -> Result<(), Error> {
        let value = fraction("a value", value)?;
        let mean = if self.count == 0.0 { 0.5 } else { self.sum / self.count };
        self.squares += (value - mean) * (value - mean);
        self.count += 1.0;
        self.sum += value;
        Ok(())
    }

    /// Interval by the gamma-exponential mixture of empirical variance, tight near the accumulated
    /// variance `v_planned`.
    ///
    /// Each bound has a quarter of alpha, as the reference implementation halves it twice; so it is
    /// a little wide.
    ///
    /// # Errors
    /// When the planned variance is not above 0.
    pub fn bernstein(&self, v_planned: f64, alpha: Alpha) -> Result<Interval, Error> {
        let alpha_planned = alpha.split(4);
        let mixture =
            Mixture::gamma_exponential(boundary::Tuning { v_planned, alpha_planned }, 1.0)?;
        // Without any variance yet nothing is known.
        if self.squares == 0.0 {
            return Ok(Interval { lower: 0.0, upper: 1.0 });
        }
        Ok(self.within(mixture.boundary(self.squares, alpha_planned)?))
    }

    /// Interval by the two-sided normal mixture of the largest variance, tight near `planned`
    /// values.
    ///
    /// # Errors
    /// When the planned number is not above 0.
    pub fn hoeffding(&self, planned: f64, alpha: Alpha) -> Result<Interval, Error> {
        let mixture =
            Mixture::normal(boundary::Tuning { v_planned: 0.25 * planned, alpha_planned: alpha })?;
        if self.count == 0.0 {
            return Ok(Interval { lower: 0.0, upper: 1.0 });
        }
        Ok(self.within(mixture.boundary(0.25 * self.count, alpha)?))
    }

    fn within(&self, boundary: f64) -> Interval {
        let interval = Interval::around(self.sum / self.count, boundary / self.count);
        Interval { lower: interval.lower.max(0.0), upper: interval.upper.min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(alpha: f64) -> Alpha {
        Alpha::new(alpha).unwrap()
    }

    fn bernstein(values: &[f64], alpha: f64) -> f64 {
        let mut bound = BernsteinBound::new(level(alpha), 0.5).unwrap();
        values.iter().for_each(|value| bound.observe(*value).unwrap());
        bound.lower()
    }

    fn hoeffding(values: &[f64], alpha: f64) -> f64 {
        let mut bound = HoeffdingBound::new(level(alpha), 1.0).unwrap();
        values.iter().for_each(|value| bound.observe(*value).unwrap());
        bound.lower()
    }

    fn mixtures(values: &[f64]) -> MixtureSums {
        let mut sums = MixtureSums::default();
        values.iter().for_each(|value| sums.observe(*value).unwrap());
        sums
    }

    #[test]
    fn a_small_variance_is_rewarded() {
        let values = vec![0.5; 2_000];
        assert!(bernstein(&values, 0.05) > 0.49, "{}", bernstein(&values, 0.05));
        assert!(hoeffding(&values, 0.05) < 0.46);
    }

    #[test]
    fn values_out_of_range_are_refused_and_nothing_is_known_before_the_first() {
        for bad in [f64::NAN, -0.1] {
            assert!(BernsteinBound::new(level(0.05), 0.5).unwrap().observe(bad).is_err());
            assert!(
                HoeffdingBound::new(level(0.05), 1.0).unwrap().observe(bad).is_err()
                    && MixtureSums::default().observe(bad).is_err()
            );
        }
        assert!(HoeffdingBound::new(level(0.05), 1.0).unwrap().observe(1.1).is_err());
        assert!(
            BernsteinBound::new(level(0.05), 1.0).is_err(),
            "a bet of everything can lose everything"
        );
        let none = Interval { lower: 0.0, upper: 1.0 };
        assert_eq!(mixtures(&[]).bernstein(10.0, level(0.05)), Ok(none));
        assert_eq!(mixtures(&[0.5, 0.5]).bernstein(10.0, level(0.05)), Ok(none), "no variance yet");
        assert_eq!(mixtures(&[]).hoeffding(10.0, level(0.05)), Ok(none));
        assert_eq!((bernstein(&[], 0.05), hoeffding(&[], 0.05)), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn bounds_nest_in_alpha_and_mirror(values in prop::collection::vec(0.0..=1.0_f64, 1..120)) {
            prop_assert!(bernstein(&values, 0.01) <= bernstein(&values, 0.1));
            prop_assert!(hoeffding(&values, 0.01) <= hoeffding(&values, 0.1));
            let missing: Vec<f64> = values.iter().map(|value| 1.0 - value).collect();
            for (one, other, wide) in [
                (mixtures(&values).bernstein(5.0, level(0.1)).unwrap(), mixtures(&missing).bernstein(5.0, level(0.1)).unwrap(), mixtures(&values).bernstein(5.0, level(0.01)).unwrap()),
                (mixtures(&values).hoeffding(50.0, level(0.1)).unwrap(), mixtures(&missing).hoeffding(50.0, level(0.1)).unwrap(), mixtures(&values).hoeffding(50.0, level(0.01)).unwrap()),
            ] {
                prop_assert!((one.lower + other.upper - 1.0).abs() < 1e-9 && (one.upper + other.lower - 1.0).abs() < 1e-9);
                prop_assert!(wide.lower <= one.lower && one.upper <= wide.upper);
            }
        }
    }
}
