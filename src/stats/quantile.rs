//! Bounds on a quantile that hold at every look, from the number of units at each value.

use crate::stats::boundary::{BetaBinomial, Tuning};
use crate::stats::level::{Alpha, Error, at_least, open_fraction, positive};

/// A quantile and the number of values at which its bounds are tightest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The share of values below it, above 0 and below 1.
    pub share: f64,
    /// Number of values per arm at which the test is to be tightest.
    pub planned: f64,
    /// The level it is tuned for.
    pub alpha_planned: Alpha,
}

/// A quantile with bounds that hold at every look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watched {
    /// Index of the sample quantile among the values.
    pub estimate: usize,
    /// Index of the lowest value within the bounds.
    pub lower: usize,
    /// Index of the highest value within the bounds.
    pub upper: usize,
}

/// Bounds of the quantile among ascending values, from the number of units at each value, which may
/// be 0: the values against which the evidence stays below `1 / alpha` at every look (Howard and
/// Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
/// identification", Bernoulli 2022).
///
/// # Errors
/// Without units, or when the bounds cannot be tuned.
pub fn watched(units: &[u64], compared: Compared, alpha: Alpha) -> Result<Watched, Error> {
    let share = open_fraction("the share", compared.share)?;
    let n = at_least("units", units.iter().sum(), 1)? as f64;
    let spread = share * (1.0 - share);
    let v_planned = spread * positive("the planned number of values", compared.planned)?;
    let mixture = BetaBinomial::new(
        Tuning { v_planned, alpha_planned: compared.alpha_planned },
        share,
        1.0 - share,
    )?;
    let threshold = -libm::log(alpha.value());
    let is_refuted = |below: f64| mixture.log_value((below - share) * n, spread * n) >= threshold;
    let mut reached = 0_u64;
    let mut found = Watched { estimate: units.len() - 1, lower: units.len() - 1, upper: 0 };
    for (place, count) in units.iter().enumerate() {
        let (under, until) = (reached as f64 / n, (reached + count) as f64 / n);
        reached += count;
        if until >= share {
            found.estimate = found.estimate.min(place);
        }
        if until >= share || !is_refuted(until) {
            found.lower = found.lower.min(place);
        }
        if under <= share || !is_refuted(under) {
            found.upper = place;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compared(share: f64) -> Compared {
        Compared { share, planned: 100.0, alpha_planned: level() }
    }

    fn level() -> Alpha {
        Alpha::new(0.05).unwrap()
    }

    #[test]
    fn bounds_close_in_on_the_median() {
        let few = watched(&[1; 41], compared(0.5), level()).unwrap();
        let many = watched(&[100; 41], compared(0.5), level()).unwrap();
        assert_eq!((few.estimate, many.estimate), (20, 20));
        assert!(few.lower < many.lower && many.upper < few.upper, "{few:?} {many:?}");
        assert!(many.lower >= 18 && many.upper <= 22, "{many:?}");
    }

    #[test]
    fn without_units_or_with_a_quantile_at_the_end_there_are_no_bounds() {
        assert!(watched(&[], compared(0.5), level()).is_err());
        assert!(watched(&[0, 0], compared(0.5), level()).is_err());
        assert!(watched(&[1, 1], compared(1.0), level()).is_err());
    }

    proptest! {
        #[test]
        fn the_estimate_lies_within_its_bounds_which_nest_in_alpha(
            units in prop::collection::vec(0..30_u64, 1..30), share in 0.05..0.95_f64,
        ) {
            prop_assume!(units.iter().sum::<u64>() > 0);
            let narrow = watched(&units, compared(share), Alpha::new(0.2).unwrap()).unwrap();
            let wide = watched(&units, compared(share), Alpha::new(0.01).unwrap()).unwrap();
            prop_assert!(narrow.lower <= narrow.estimate && narrow.estimate <= narrow.upper);
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        }
    }
}
