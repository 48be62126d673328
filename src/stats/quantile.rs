//! Quantiles compared: at one look from estimates with their intervals, at every look from the
//! values themselves.

use crate::stats::boundary::{Mixture, Tuning};
use crate::stats::distribution::normal_critical;
use crate::stats::level::{Alpha, Error, at_least, finite, open_fraction, positive};
use crate::stats::moments::{Arms, Moments};
use crate::stats::numeric::least;

/// Least variance that is believed of at least a hundred values; many equal ones would give 0.
const VARIANCE_MIN: f64 = 1e-5;
/// From how many values on the least variance applies.
const VARIANCE_MIN_FROM: u64 = 100;

/// A sample quantile with the sample quantiles at the ends of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Values.
    pub n: u64,
    /// The size for which the ends were taken, at most `n`; their distance is scaled from it.
    pub n_ends: u64,
    /// The sample quantile.
    pub estimate: f64,
    /// The sample quantile at the lower end.
    pub lower: f64,
    /// The sample quantile at the upper end.
    pub upper: f64,
}

impl Quantile {
    /// The quantile as if it were a mean, so that [`crate::stats::welch::test`]
    /// compares it (independent values; Lee and Mykland-Zhang's outer confidence interval, as
    /// GrowthBook's quantile metrics have it).
    ///
    /// # Errors
    /// With fewer than two values, values that are not finite, or no variance.
    pub fn moments(&self) -> Result<Moments, Error> {
        let n = at_least("values", self.n, 2)? as f64;
        let width = finite("the upper end", self.upper)? - finite("the lower end", self.lower)?;
        let deviation = width / (2.0 * normal_critical(0.05));
        let variance = self.n_ends as f64 / n * (n - 1.0) * deviation * deviation;
        let variance =
            if self.n >= VARIANCE_MIN_FROM { variance.max(VARIANCE_MIN) } else { variance };
        if variance > 0.0 {
            Ok(Moments { n: self.n, mean: finite("the quantile", self.estimate)?, variance })
        } else {
            Err(Error::NoVariance("the quantile"))
        }
    }
}

/// Which quantile is compared, and where the comparison is to be tight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The share of values below it, above 0 and below 1.
    pub share: f64,
    /// Number of values per arm at which the test is to be tightest.
    pub planned: f64,
    /// The level it is tuned for.
    pub alpha_planned: Alpha,
}

/// Two-sided p-value of "both arms have the same quantile", valid at every look.
///
/// Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
/// best-arm identification" (Bernoulli 2022), section 5: the least product, over all values the
/// common quantile could have, of the two arms' evidence against it.
///
/// # Errors
/// With an empty arm, a value that is NaN, or when the comparison cannot be tuned.
pub fn always_valid_p(arms: &Arms<Vec<f64>>, compared: Compared) -> Result<f64, Error> {
    let share = open_fraction("the share", compared.share)?;
    let spread = share * (1.0 - share);
    let v_planned = spread * positive("the planned number of values", compared.planned)?;
    let mixture = Mixture::beta_binomial(
        Tuning { v_planned, alpha_planned: compared.alpha_planned },
        share,
        1.0 - share,
    )?;
    let evidence = arms.try_map(|values| Evidence::of(values, share, mixture))?;
    let (first, second) = if evidence.control.flat.1 <= evidence.treatment.flat.1 {
        (evidence.control, evidence.treatment)
    } else {
        (evidence.treatment, evidence.control)
    };
    // Towards `second` its own evidence falls only at its own values, that of `first` rises at
    // once: nowhere else is a least sum.
    let (from, to) = (first.flat.1, second.flat.0);
    let between = second.sorted.iter().copied().filter(|value| (from..=to).contains(value));
    let sum = |value: f64| first.at(value) + second.at(value);
    let weakest = between.chain([from, to]).map(sum).fold(f64::INFINITY, f64::min);
    Ok(libm::exp(-weakest).min(1.0))
}

/// A quantile with bounds that hold at every look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watched {
    /// Place of the sample quantile among the values.
    pub estimate: usize,
    /// Place of the lowest value that the quantile may be.
    pub lower: usize,
    /// Place of the highest.
    pub upper: usize,
}

/// Which of ascending values the quantile is, from how many units have each, also those that none
/// has: those against which the evidence of [`always_valid_p`] stays below the level's.
///
/// # Errors
/// Without units, or when the bounds cannot be tuned.
pub fn watched(units: &[u64], compared: Compared, alpha: Alpha) -> Result<Watched, Error> {
    let share = open_fraction("the share", compared.share)?;
    let n = at_least("units", units.iter().sum(), 1)? as f64;
    let spread = share * (1.0 - share);
    let v_planned = spread * positive("the planned number of values", compared.planned)?;
    let mixture = Mixture::beta_binomial(
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

/// Log evidence of one arm against each value of the quantile.
struct Evidence {
    sorted: Vec<f64>,
    share: f64,
    mixture: Mixture,
    /// The share of values below at which the evidence is least.
    least_at: f64,
    /// Between these values the evidence is least.
    flat: (f64, f64),
}

impl Evidence {
    fn of(values: &[f64], share: f64, mixture: Mixture) -> Result<Self, Error> {
        at_least("values", values.len() as u64, 1)?;
        if let Some(value) = values.iter().find(|value| value.is_nan()) {
            return Err(Error::Outside { name: "a value", value: *value, expected: "a number" });
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut evidence = Self { sorted, share, mixture, least_at: share, flat: (0.0, 0.0) };
        evidence.least_at = least(0.0, 1.0, |below| evidence.with(below));
        let place = evidence.least_at * evidence.sorted.len() as f64;
        let nth =
            |place: f64| evidence.sorted[(place as usize).clamp(1, evidence.sorted.len()) - 1];
        evidence.flat = (nth(place.ceil()), nth(place.floor() + 1.0));
        Ok(evidence)
    }

    fn with(&self, below: f64) -> f64 {
        let n = self.sorted.len() as f64;
        self.mixture.log_value((below - self.share) * n, self.share * (1.0 - self.share) * n)
    }

    fn at(&self, value: f64) -> f64 {
        let n = self.sorted.len() as f64;
        if value < self.flat.0 {
            self.with(self.sorted.partition_point(|other| *other <= value) as f64 / n)
        } else if value > self.flat.1 {
            self.with(self.sorted.partition_point(|other| *other < value) as f64 / n)
        } else {
            self.with(self.least_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compared(share: f64) -> Compared {
        Compared { share, planned: 100.0, alpha_planned: Alpha::new(0.05).unwrap() }
    }

    #[test]
    fn a_shift_is_found_and_equal_arms_are_not_told_apart() {
        let arm = |shift: f64| {
            (0..300).map(|unit| f64::from(unit * 37 % 300) + shift).collect::<Vec<f64>>()
        };
        let p = |shift: f64| {
            always_valid_p(&Arms { control: arm(0.0), treatment: arm(shift) }, compared(0.5))
                .unwrap()
        };
        assert_eq!(p(0.0), 1.0);
        assert!(p(150.0) < 1e-6 && p(400.0) < p(150.0));
    }

    #[test]
    fn what_has_no_quantile_is_refused() {
        let arms = |control: Vec<f64>| Arms { control, treatment: vec![1.0, 2.0] };
        assert!(always_valid_p(&arms(vec![]), compared(0.5)).is_err());
        assert!(always_valid_p(&arms(vec![f64::NAN]), compared(0.5)).is_err());
        assert!(always_valid_p(&arms(vec![1.0]), compared(1.0)).is_err());
        let quantile = |n, lower| Quantile { n, n_ends: n, estimate: 1.0, lower, upper: 1.0 };
        assert!(quantile(50, 1.0).moments().is_err() && quantile(1, 0.0).moments().is_err());
        assert_eq!(quantile(100, 1.0).moments().unwrap().variance, VARIANCE_MIN);
    }

    proptest! {
        #[test]
        fn swapping_the_arms_and_moving_both_change_nothing(
            control in prop::collection::vec(-50..50_i32, 1..60), treatment in prop::collection::vec(-50..50_i32, 1..60), share in 0.05..0.95_f64,
        ) {
            let of = |values: &[i32], shift: i32| values.iter().map(|value| f64::from(value + shift)).collect::<Vec<f64>>();
            let p = always_valid_p(&Arms { control: of(&control, 0), treatment: of(&treatment, 0) }, compared(share)).unwrap();
            let swapped = always_valid_p(&Arms { control: of(&treatment, 0), treatment: of(&control, 0) }, compared(share)).unwrap();
            let moved = always_valid_p(&Arms { control: of(&control, 9), treatment: of(&treatment, 9) }, compared(share)).unwrap();
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!((p - swapped).abs() < 1e-9 && (p - moved).abs() < 1e-9);
        }
    }
}
