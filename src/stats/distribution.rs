//! Normal and Student distributions: tails and quantiles, accurate far out.
//!
//! A p-value is twice an upper tail, never `1 - cdf`: that would be 0 beyond eight standard errors.

use crate::stats::numeric::descend;
use crate::stats::special::beta_tails;

const SQRT_2PI: f64 = 2.506_628_274_631_000_2;

/// Density of the standard normal distribution.
#[must_use]
pub fn normal_density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / SQRT_2PI
}

/// Probability that a standard normal variable is at most `x`.
#[must_use]
pub fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Probability that a standard normal variable is above `x`.
#[must_use]
pub fn normal_above(x: f64) -> f64 {
    normal_below(-x)
}

/// The point that a standard normal variable exceeds with probability `tail`; infinite at 0 and 1.
#[must_use]
pub fn normal_upper_quantile(tail: f64) -> f64 {
    if tail > 0.5 {
        return -normal_upper_quantile(1.0 - tail);
    }
    if tail <= 0.0 {
        return f64::INFINITY;
    }
    // Abramowitz and Stegun 26.2.23, within 4.5e-4; each step of Halley's method triples the
    // digits.
    let t = (-2.0 * libm::log(tail)).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut x = t - numerator / denominator;
    for _ in 0..3 {
        let density = normal_density(x);
        if density > 0.0 {
            let error = (normal_above(x) - tail) / density;
            x += error / (1.0 - 0.5 * x * error);
        }
    }
    x
}

/// The two-sided critical value: `z` with `P(|Z| > z) = alpha`.
#[must_use]
pub fn normal_critical(alpha: f64) -> f64 {
    normal_upper_quantile(0.5 * alpha)
}

/// Probability that Student's t with `dof > 0` degrees of freedom is above `t`.
#[must_use]
pub fn student_above(t: f64, dof: f64) -> f64 {
    let square = t * t;
    let tails = beta_tails(0.5 * dof, 0.5, dof / (dof + square), square / (dof + square));
    if t > 0.0 { 0.5 * tails.lower } else { 0.5 * tails.upper + 0.5 }
}

/// Probability that Student's |t| is above `|t|`: the two-sided p-value.
#[must_use]
pub fn student_beyond(t: f64, dof: f64) -> f64 {
    2.0 * student_above(t.abs(), dof)
}

/// The point that Student's t exceeds with probability `tail`, from above 0 to 0.5.
#[must_use]
pub fn student_upper_quantile(tail: f64, dof: f64) -> f64 {
    // The normal quantile is below; where the tail is 0 even for the largest number the quantile is
    // infinite.
    descend(0.0, normal_upper_quantile(tail).max(1.0), tail, |t| student_above(t, dof))
        .unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(got: f64, want: f64, relative: f64) -> bool {
        (got - want).abs() <= relative * want.abs()
    }

    /// Values of mpmath 1.4 with 25 to 40 digits.
    #[test]
    fn tails_and_quantiles_keep_their_digits_far_out() {
        for (z, above) in [
            (0.5, 0.3085375387259869),
            (3.0, 0.0013498980316300946),
            (8.3, 5.205569744890254e-17),
            (20.0, 2.7536241186062337e-89),
            (37.0, 5.725571222524577e-300),
        ] {
            assert!(near(normal_above(z), above, 2e-13), "{z}: {}", normal_above(z));
        }
        for (tail, z) in [
            (0.4, 0.2533471031357997),
            (0.025, 1.9599639845400543),
            (0.001, 3.0902323061678136),
            (1e-10, 6.361340902404057),
            (1e-100, 21.273453560965326),
            (1e-300, 37.0470962993612),
        ] {
            assert!(
                near(normal_upper_quantile(tail), z, 4e-16),
                "{tail}: {}",
                normal_upper_quantile(tail)
            );
        }
        for (t, dof, above) in [
            (0.3, 1.0, 0.40722642092225764),
            (2.5, 7.3, 0.019825117332800235),
            (12.0, 30.0, 2.790092707599628e-13),
            (40.0, 5.0, 9.205981085886477e-08),
            (8.5, 100_000.0, 9.607441830435266e-18),
            (-1.7, 12.5, 0.943070508163106),
            (39.0, 1_909.4, 1.6419869556260224e-245),
            (1e-9, 4.0, 0.49999999962499997),
        ] {
            assert!(
                near(student_above(t, dof), above, 2e-12),
                "{t} {dof}: {}",
                student_above(t, dof)
            );
        }
        for (tail, dof, t) in [
            (0.025, 5.4, 2.5143520149856013),
            (0.005, 772.35, 2.582209839302847),
            (1e-6, 3.0, 103.29946778041935),
            (0.25, 1.0, 1.0),
            (0.05, 1e7, 1.6448537793284017),
        ] {
            assert!(
                near(student_upper_quantile(tail, dof), t, 1e-12),
                "{tail} {dof}: {}",
                student_upper_quantile(tail, dof)
            );
        }
    }

    #[test]
    fn a_probability_of_zero_has_an_infinite_quantile() {
        assert_eq!(normal_upper_quantile(0.0), f64::INFINITY);
        assert_eq!(normal_upper_quantile(1.0), f64::NEG_INFINITY);
        assert_eq!(student_upper_quantile(0.0, 3.0), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn quantiles_undo_tails(tail in 1e-12..0.5_f64, dof in 0.6..1e6_f64) {
            prop_assert!(near(normal_above(normal_upper_quantile(tail)), tail, 1e-12));
            prop_assert!(near(student_above(student_upper_quantile(tail, dof), dof), tail, 1e-11));
        }
    }
}
