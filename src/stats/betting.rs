//! The mean of values between 0 and 1 by betting against each candidate: the tightest sequence, at
//! the price of a grid.
//!
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B
//! 2024), theorem 3: hedged capital.

use crate::stats::bounded::Forecast;
use crate::stats::level::{Alpha, Error, Interval, fraction};

/// Cells of the grid of candidates; their bounds differ by a thousandth.
const CELLS: u32 = 1_000;

/// Capital of two players who bet on the mean being above and below a candidate, each starting with
/// one half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capital {
    /// The candidate, from 0 to 1.
    pub mean: f64,
    log_above: f64,
    log_below: f64,
}

impl Capital {
    fn new(mean: f64) -> Self {
        let half = -std::f64::consts::LN_2;
        Self { mean, log_above: half, log_below: half }
    }

    fn bet(&mut self, bet: f64, value: f64) {
        let gain = value - self.mean;
        // A bet never risks more than half of the capital.
        self.log_above += libm::log1p(bet.min(0.5 / self.mean) * gain);
        self.log_below += libm::log1p(-bet.min(0.5 / (1.0 - self.mean)) * gain);
    }

    /// Logarithm of the richer player's capital: if the mean is the candidate it exceeds `ln(1 /
    /// alpha)` at any time with probability at most alpha.
    #[must_use]
    pub fn log_wealth(&self) -> f64 {
        self.log_above.max(self.log_below)
    }
}

/// Bets against any list of candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Bets {
    log_inverse: f64,
    alpha: Alpha,
    forecast: Forecast,
    /// Capital against each candidate.
    pub capitals: Vec<Capital>,
}

impl Bets {
    /// Bets sized for a two-sided sequence at `alpha`, against these candidates.
    ///
    /// # Errors
    /// When a candidate is not between 0 and 1.
    pub fn against(candidates: &[f64], alpha: Alpha) -> Result<Self, Error> {
        let capitals = candidates
            .iter()
            .map(|mean| fraction("a candidate", *mean).map(Capital::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            log_inverse: -libm::log(alpha.split(2).value()),
            alpha,
            forecast: Forecast::default(),
            capitals,
        })
    }

    /// Bets against every thousandth from 0 to 1.
    #[must_use]
    pub fn on_grid(alpha: Alpha) -> Self {
        let capitals =
            (0..=CELLS).map(|cell| Capital::new(f64::from(cell) / f64::from(CELLS))).collect();
        Self {
            log_inverse: -libm::log(alpha.split(2).value()),
            alpha,
            forecast: Forecast::default(),
            capitals,
        }
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// When it is not between 0 and 1.
    pub fn observe(&mut self, value: f64) -> Result<(), Error> {
        let value = fraction("a value", value)?;
        let bet = self.forecast.bet(self.log_inverse);
        self.capitals.iter_mut().for_each(|capital| capital.bet(bet, value));
        self.forecast.observe(value);
        Ok(())
    }

    /// The candidates that are not refuted, widened by one cell on each side so that none between
    /// them is left out.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let threshold = -libm::log(self.alpha.value());
        let kept = |capital: &&Capital| capital.log_wealth() < threshold;
        let cell = 1.0 / f64::from(CELLS);
        let lower =
            self.capitals.iter().find(kept).map_or(0.0, |capital| (capital.mean - cell).max(0.0));
        let upper = self
            .capitals
            .iter()
            .rev()
            .find(kept)
            .map_or(1.0, |capital| (capital.mean + cell).min(1.0));
        Interval { lower, upper }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_truth_stays_and_the_far_goes() {
        let mut bets = Bets::on_grid(Alpha::new(0.05).unwrap());
        for turn in 0..1_000 {
            bets.observe(f64::from(u8::from(turn % 10 == 0))).unwrap();
        }
        let interval = bets.interval();
        assert!(
            interval.contains(0.1) && interval.lower > 0.05 && interval.upper < 0.15,
            "{interval:?}"
        );
        assert!(bets.observe(f64::NAN).is_err() && bets.observe(1.5).is_err());
        assert!(Bets::against(&[1.5], Alpha::new(0.05).unwrap()).is_err());
    }

    #[test]
    fn a_fair_bet_leaves_the_expected_capital_unchanged() {
        // Against the true mean of a coin each player's capital is a martingale: exact over both
        // outcomes.
        let mut bets = Bets::against(&[0.3], Alpha::new(0.05).unwrap()).unwrap();
        for value in [1.0, 0.0, 0.0, 1.0, 0.0] {
            let after = |value: f64| {
                let mut next = bets.clone();
                next.observe(value).unwrap();
                (libm::exp(next.capitals[0].log_above), libm::exp(next.capitals[0].log_below))
            };
            let (win, loss, now) = (after(1.0), after(0.0), bets.capitals[0]);
            assert!((0.3 * win.0 + 0.7 * loss.0 - libm::exp(now.log_above)).abs() < 1e-14);
            assert!((0.3 * win.1 + 0.7 * loss.1 - libm::exp(now.log_below)).abs() < 1e-14);
            bets.observe(value).unwrap();
        }
    }

    proptest! {
        #[test]
        fn the_sequence_mirrors(values in prop::collection::vec(0.0..=1.0_f64, 1..12)) {
            let interval = |of: fn(f64) -> f64| {
                let mut bets = Bets::on_grid(Alpha::new(0.05).unwrap());
                values.iter().for_each(|value| bets.observe(of(*value)).unwrap());
                bets.interval()
            };
            let (one, other) = (interval(|value| value), interval(|value| 1.0 - value));
            prop_assert!((one.lower + other.upper - 1.0).abs() < 1.1e-3 && (one.upper + other.lower - 1.0).abs() < 1.1e-3);
        }
    }
}
