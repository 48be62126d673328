//! Sums that can be merged in any order, and the means and variances that follow from them.
//!
//! Values are whole millionths and every sum is an exact integer, so the same observations give the
//! same bytes whatever the order and partitioning. Floating point begins at [`Sums::moments`] and
//! [`PairSums::moments`].

use crate::stats::level::{Error, at_least, finite, not_negative};

/// Millionths in one.
const SCALE: f64 = 1e6;
/// Largest magnitude of a value: a billion.
const UNITS_MAX: f64 = 1e9;
/// Largest sum of squares; a quarter of what fits leaves room for the products that variances need.
const SQUARES_MAX: i128 = i128::MAX / 4;

/// A value in millionths, at most a billion ones in magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micro(i64);

impl Micro {
    /// The nearest millionth.
    ///
    /// # Errors
    /// When the value is NaN or above a billion in magnitude.
    pub fn new(value: f64) -> Result<Self, Error> {
        if value.abs() <= UNITS_MAX {
            return Ok(Self((value * SCALE).round() as i64));
        }
        Err(Error::Outside { name: "a value", value, expected: "at most a billion in magnitude" })
    }

    /// The value in ones.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0 as f64 / SCALE
    }
}

/// Count, sum and sum of squares of one metric in one arm. Merging adds them; the default is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Observations.
    pub n: u64,
    /// Their sum, millionths.
    pub sum: i128,
    /// The sum of their squares, millionths of millionths.
    pub sum_squares: i128,
}

impl Sums {
    /// One observation.
    #[must_use]
    pub fn of(value: Micro) -> Self {
        let value = i128::from(value.0);
        Self { n: 1, sum: value, sum_squares: value * value }
    }

    /// The sum of both.
    ///
    /// # Errors
    /// When a sum no longer fits: above 42 million of the largest values.
    pub fn merged(self, other: Self) -> Result<Self, Error> {
        Ok(Self {
            n: self.n.checked_add(other.n).ok_or(Error::Overflow("counts"))?,
            sum: self.sum.checked_add(other.sum).ok_or(Error::Overflow("values"))?,
            sum_squares: self
                .sum_squares
                .checked_add(other.sum_squares)
                .filter(|sum| *sum <= SQUARES_MAX)
                .ok_or(Error::Overflow("squares"))?,
        })
    }

    /// Mean and sample variance.
    ///
    /// # Errors
    /// With fewer than two observations.
    pub fn moments(&self) -> Result<Moments, Error> {
        at_least("observations", self.n, 2)?;
        let centre = Centre::of(self.n, self.sum);
        let variance = centre.products(centre, self.sum_squares).max(0.0)
            / (self.n as f64 - 1.0)
            / (SCALE * SCALE);
        Ok(Moments { n: self.n, mean: centre.mean(), variance })
    }
}

/// Sums of two metrics of the same units and of their product. Merging adds them; the default is
/// empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairSums {
    /// The first metric: numerator, or outcome.
    pub first: Sums,
    /// The second metric: denominator, or covariate.
    pub second: Sums,
    /// The sum of products, millionths of millionths.
    pub sum_products: i128,
}

impl PairSums {
    /// One unit.
    #[must_use]
    pub fn of(first: Micro, second: Micro) -> Self {
        Self {
            first: Sums::of(first),
            second: Sums::of(second),
            sum_products: i128::from(first.0) * i128::from(second.0),
        }
    }

    /// The sum of both.
    ///
    /// # Errors
    /// When a sum no longer fits.
    pub fn merged(self, other: Self) -> Result<Self, Error> {
        Ok(Self {
            first: self.first.merged(other.first)?,
            second: self.second.merged(other.second)?,
            sum_products: self
                .sum_products
                .checked_add(other.sum_products)
                .ok_or(Error::Overflow("products"))?,
        })
    }

    /// Means, sample variances and sample covariance.
    ///
    /// # Errors
    /// With fewer than two units.
    pub fn moments(&self) -> Result<PairMoments, Error> {
        let n = self.first.n;
        let (first, second) = (self.first.moments()?, self.second.moments()?);
        let (left, right) = (Centre::of(n, self.first.sum), Centre::of(n, self.second.sum));
        let covariance =
            left.products(right, self.sum_products) / (n as f64 - 1.0) / (SCALE * SCALE);
        Ok(PairMoments { first, second, covariance })
    }
}

/// Mean and variance of one metric in one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Units.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Their sample variance (divided by `n - 1`).
    pub variance: f64,
}

impl Moments {
    /// From a sum and a sum of squares, as other systems report them.
    ///
    /// # Errors
    /// With fewer than two observations, a number that is not finite, or squares too small for the
    /// sum.
    pub fn of_sums(n: u64, sum: f64, sum_squares: f64) -> Result<Self, Error> {
        at_least("observations", n, 2)?;
        let (count, sum) = (n as f64, finite("the sum", sum)?);
        let spread = finite("the sum of squares", sum_squares)? - sum * sum / count;
        // Rounding of equal observations can leave a sum of squares a little too small.
        let spread = if spread.abs() <= 1e-12 * sum_squares.abs() { 0.0 } else { spread };
        Ok(Self {
            n,
            mean: sum / count,
            variance: not_negative("the sum of squared deviations", spread)? / (count - 1.0),
        })
    }

    /// Variance of the mean.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        self.variance / self.n as f64
    }
}

/// Moments of two metrics of the same units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairMoments {
    /// The first metric: numerator, or outcome.
    pub first: Moments,
    /// The second metric: denominator, or covariate.
    pub second: Moments,
    /// Their sample covariance.
    pub covariance: f64,
}

impl PairMoments {
    /// From the moments of both and the sum of their products.
    ///
    /// # Errors
    /// When the counts differ or the sum is not finite.
    pub fn of_sum_products(
        first: Moments,
        second: Moments,
        sum_products: f64,
    ) -> Result<Self, Error> {
        let n = at_least("observations of the second metric", second.n, first.n)? as f64;
        at_least("observations of the first metric", first.n, second.n)?;
        let covariance = (finite("the sum of products", sum_products)?
            - n * first.mean * second.mean)
            / (n - 1.0);
        Ok(Self { first, second, covariance })
    }

    /// The ratio of the means with its variance per unit, by the delta method (Deng, Knoblich and
    /// Lu, KDD 2018, eq. 4).
    ///
    /// # Errors
    /// When the mean of the second metric is 0.
    pub fn ratio(&self) -> Result<Moments, Error> {
        let (m, d) = (self.first, self.second);
        if d.mean == 0.0 {
            return Err(Error::ZeroBase("the denominator"));
        }
        let ratio = m.mean / d.mean;
        let variance = (m.variance - 2.0 * ratio * self.covariance + ratio * ratio * d.variance)
            / (d.mean * d.mean);
        Ok(Moments { n: m.n, mean: ratio, variance: variance.max(0.0) })
    }
}

/// Control and treatment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arms<T> {
    /// The arm that the treatment is compared with.
    pub control: T,
    /// The arm under test.
    pub treatment: T,
}

impl<T> Arms<T> {
    /// Applies a function to both arms.
    ///
    /// # Errors
    /// The first error of either.
    pub fn try_map<U>(&self, of: impl Fn(&T) -> Result<U, Error>) -> Result<Arms<U>, Error> {
        Ok(Arms { control: of(&self.control)?, treatment: of(&self.treatment)? })
    }
}

/// Successes out of trials, as a fraction.
///
/// # Errors
/// Without trials or with more successes than trials.
pub fn share(n: u64, successes: u64) -> Result<f64, Error> {
    at_least("trials", n, 1)?;
    if successes > n {
        return Err(Error::Outside {
            name: "the number of successes",
            value: successes as f64,
            expected: "at most the number of trials",
        });
    }
    Ok(successes as f64 / n as f64)
}

/// The whole millionth at or below a mean, and the remainder of the sum: exact.
#[derive(Clone, Copy)]
struct Centre {
    n: i128,
    whole: i128,
    rest: i128,
}

impl Centre {
    fn of(n: u64, sum: i128) -> Self {
        let n = i128::from(n);
        Self { n, whole: sum.div_euclid(n), rest: sum.rem_euclid(n) }
    }

    fn mean(self) -> f64 {
        (self.whole as f64 + self.rest as f64 / self.n as f64) / SCALE
    }

    /// Sum of products of the deviations from both means: exact but for the last subtraction, of
    /// less than a millionth each.
    fn products(self, other: Self, raw: i128) -> f64 {
        // sum (x - a)(y - b) = sum xy - a sum y - b (sum x - n a), where a and b are whole and sum
        // x - n a is the rest of x.
        let other_sum = other.whole * other.n + other.rest;
        let shifted = raw - self.whole * other_sum - other.whole * self.rest;
        shifted as f64 - self.rest as f64 * (other.rest as f64 / self.n as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(values: &[f64]) -> Sums {
        values.iter().fold(Sums::default(), |sums, value| {
            sums.merged(Sums::of(Micro::new(*value).unwrap())).unwrap()
        })
    }

    #[test]
    fn a_variance_far_from_zero_keeps_all_its_digits() {
        // NIST StRD NumAcc4: 1001 values around 10,000,000.2, standard deviation exactly 0.1.
        let values: Vec<f64> =
            (0..1001)
                .map(|place| {
                    if place == 0 {
                        10_000_000.2
                    } else {
                        10_000_000.1 + 0.2 * f64::from(place % 2)
                    }
                })
                .collect();
        let moments = sums(&values).moments().unwrap();
        assert!((moments.mean - 10_000_000.2).abs() < 1e-8, "{}", moments.mean);
        assert!((moments.variance.sqrt() - 0.1).abs() < 1e-15, "{}", moments.variance.sqrt());
        assert!(sums(&[0.1; 7]).moments().unwrap().variance == 0.0);
    }

    #[test]
    fn values_outside_of_their_range_are_refused() {
        assert!(Micro::new(f64::NAN).is_err() && Micro::new(-1.1e9).is_err());
        assert_eq!(
            Sums::default().moments().unwrap_err().to_string(),
            "0 observations are too few, at least 2 are needed"
        );
        let full = Sums { n: 1, sum: 0, sum_squares: SQUARES_MAX };
        assert_eq!(full.merged(Sums::of(Micro(1))), Err(Error::Overflow("squares")));
        assert!(share(0, 0).is_err() && share(3, 4).is_err());
        assert!(Moments::of_sums(10, 100.0, 1.0).is_err(), "squares too small");
    }

    proptest! {
        #[test]
        fn any_order_and_partitioning_gives_the_same_sums(values in prop::collection::vec((-1e9..1e9_f64, -1e6..1e6_f64), 3..60), cut in 0..60_usize) {
            let one = |(x, y): &(f64, f64)| PairSums::of(Micro::new(*x).unwrap(), Micro::new(*y).unwrap());
            let all = |values: &[(f64, f64)]| values.iter().map(one).fold(PairSums::default(), |a, b| a.merged(b).unwrap());
            let cut = cut % values.len();
            let merged = all(&values[cut..]).merged(all(&values[..cut])).unwrap();
            prop_assert_eq!(merged, all(&values));
            let (left, middle, right) = (one(&values[0]), one(&values[1]), one(&values[2]));
            prop_assert_eq!(left.merged(middle).unwrap().merged(right), middle.merged(right).unwrap().merged(left));
        }

        #[test]
        fn moments_agree_with_two_passes_over_the_values(values in prop::collection::vec((-1e4..1e4_f64, -1e4..1e4_f64), 2..50)) {
            let rounded: Vec<(Micro, Micro)> = values.iter().map(|(x, y)| (Micro::new(*x).unwrap(), Micro::new(*y).unwrap())).collect();
            let n = rounded.len() as f64;
            let mean = |of: &dyn Fn(&(Micro, Micro)) -> f64| rounded.iter().map(of).sum::<f64>() / n;
            let (mx, my) = (mean(&|pair| pair.0.value()), mean(&|pair| pair.1.value()));
            let covariance = rounded.iter().map(|(x, y)| (x.value() - mx) * (y.value() - my)).sum::<f64>() / (n - 1.0);
            let variance = rounded.iter().map(|(x, _)| (x.value() - mx) * (x.value() - mx)).sum::<f64>() / (n - 1.0);
            let sums = rounded.iter().fold(PairSums::default(), |sums, (x, y)| sums.merged(PairSums::of(*x, *y)).unwrap());
            let moments = sums.moments().unwrap();
            prop_assert!((moments.first.mean - mx).abs() < 1e-9);
            prop_assert!((moments.first.variance - variance).abs() <= 1e-12 * variance + 1e-9);
            prop_assert!((moments.covariance - covariance).abs() < 1e-6);
        }
    }
}
