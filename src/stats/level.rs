//! Types that every estimate uses: the error level, an interval, and the errors of invalid inputs.

/// Why a statistic cannot be computed from its inputs.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An input outside of the domain of the formula; NaN is outside of every domain.
    #[error("{name} is {value}, expected {expected}")]
    Outside {
        /// The input.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The domain.
        expected: &'static str,
    },
    /// Not enough observations, arms or clusters.
    #[error("{count} {name} are too few, at least {least} are needed")]
    TooFew {
        /// What is counted.
        name: &'static str,
        /// The count.
        count: u64,
        /// The least count.
        least: u64,
    },
    /// Lists that belong together have different lengths.
    #[error("{left} {name}, expected {right}")]
    Lengths {
        /// The elements of the list.
        name: &'static str,
        /// Its length.
        left: usize,
        /// The length it must have.
        right: usize,
    },
    /// All observations are equal, so there is no scale to judge a difference by.
    #[error("{0} has no variance")]
    NoVariance(&'static str),
    /// A relative effect of a mean that is 0, or a ratio of a denominator that is 0.
    #[error("{0} is zero, so nothing can be relative to it")]
    ZeroBase(&'static str),
    /// A sum no longer fits its integer.
    #[error("the sum of {0} does not fit")]
    Overflow(&'static str),
}

/// Probability of an error that is accepted, above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// Checks a level.
    ///
    /// # Errors
    /// When it is not between 0 and 1, both excluded.
    pub fn new(alpha: f64) -> Result<Self, Error> {
        open_fraction("alpha", alpha).map(Self)
    }

    /// The probability.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// An equal part of the level, for `parts` statements that must hold together (Bonferroni); at
    /// least one part.
    #[must_use]
    pub fn split(self, parts: u32) -> Self {
        Self(self.0 / f64::from(parts.max(1)))
    }
}

/// Two bounds; an infinite one bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
}

impl Interval {
    /// `centre - half ..= centre + half`.
    #[must_use]
    pub fn around(centre: f64, half: f64) -> Self {
        Self { lower: centre - half, upper: centre + half }
    }

    /// Both bounds through an increasing function.
    #[must_use]
    pub fn map(self, increasing: impl Fn(f64) -> f64) -> Self {
        Self { lower: increasing(self.lower), upper: increasing(self.upper) }
    }

    /// Whether a value lies within, the bounds included.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}

/// A number that is neither NaN nor infinite.
///
/// # Errors
/// When it is.
pub fn finite(name: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Outside { name, value, expected: "a finite number" })
    }
}

/// A finite number above 0.
///
/// # Errors
/// When it is not.
pub fn positive(name: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::Outside { name, value, expected: "a number above 0" })
    }
}

/// A finite number of at least 0.
///
/// # Errors
/// When it is not.
pub fn not_negative(name: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(Error::Outside { name, value, expected: "a number of at least 0" })
    }
}

/// A number from 0 to 1.
///
/// # Errors
/// When it is not.
pub fn fraction(name: &'static str, value: f64) -> Result<f64, Error> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Outside { name, value, expected: "a number from 0 to 1" })
    }
}

/// A number above 0 and below 1.
///
/// # Errors
/// When it is not.
pub fn open_fraction(name: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(Error::Outside { name, value, expected: "a number above 0 and below 1" })
    }
}

/// A count of at least `least`.
///
/// # Errors
/// When it is lower.
pub fn at_least(name: &'static str, count: u64, least: u64) -> Result<u64, Error> {
    if count >= least { Ok(count) } else { Err(Error::TooFew { name, count, least }) }
}

/// A list of the length that belongs to another one.
///
/// # Errors
/// When the lengths differ.
pub fn same_length(name: &'static str, left: usize, right: usize) -> Result<(), Error> {
    if left == right { Ok(()) } else { Err(Error::Lengths { name, left, right }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinity_are_refused_everywhere() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(
                finite("x", bad).is_err()
                    && positive("x", bad).is_err()
                    && not_negative("x", bad).is_err()
            );
            assert!(
                fraction("x", bad).is_err()
                    && open_fraction("x", bad).is_err()
                    && Alpha::new(bad).is_err()
            );
        }
        assert!(
            Alpha::new(0.0).is_err() && Alpha::new(1.0).is_err() && positive("x", 0.0).is_err()
        );
        assert!(
            fraction("x", 0.0).is_ok()
                && fraction("x", 1.0).is_ok()
                && not_negative("x", 0.0).is_ok()
        );
        assert_eq!(
            fraction("share", 1.5).unwrap_err().to_string(),
            "share is 1.5, expected a number from 0 to 1"
        );
    }
}
