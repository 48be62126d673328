//! Finding a point by bisection and integrating a smooth function.

/// Nodes of the Gauss-Legendre rule.
const NODES: usize = 16;

/// The point between `low` and `high` where `before` turns from true to false, to the last bit.
///
/// `before(low)` is assumed true and `before(high)` false; neither is evaluated.
#[must_use]
pub fn bisect(mut low: f64, mut high: f64, before: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return middle;
        }
        if before(middle) { low = middle } else { high = middle }
    }
}

/// Where `decreasing` falls below `value`, searched upwards from `from` in steps that double, then
/// bisected.
///
/// `None` when it has not fallen after 200 doublings.
#[must_use]
pub fn descend(from: f64, step: f64, value: f64, decreasing: impl Fn(f64) -> f64) -> Option<f64> {
    let mut low = from;
    let mut step = step;
    for _ in 0..200 {
        let high = from + step;
        if decreasing(high) < value {
            return Some(bisect(low, high, |point| decreasing(point) >= value));
        }
        low = high;
        step *= 2.0;
    }
    None
}

/// Points and weights of a 16-point Gauss-Legendre rule on each stretch between neighbouring
/// `breaks` (ascending).
///
/// A rule on every stretch is exact for polynomials of degree 31 there.
#[must_use]
pub fn quadrature(breaks: &[f64]) -> Vec<(f64, f64)> {
    let rule = legendre();
    let stretch = |pair: &[f64]| {
        let (middle, half) = (0.5 * (pair[0] + pair[1]), 0.5 * (pair[1] - pair[0]));
        rule.map(|(node, weight)| (middle + half * node, half * weight))
    };
    breaks.windows(2).filter(|pair| pair[1] > pair[0]).flat_map(stretch).collect()
}

/// Nodes on -1..1 and their weights: Newton's method on the Legendre polynomial (DLMF 3.5.19,
/// 18.16.1).
fn legendre() -> [(f64, f64); NODES] {
    let degree = NODES as f64;
    std::array::from_fn(|place| {
        let mut node = libm::cos(std::f64::consts::PI * (place as f64 + 0.75) / (degree + 0.5));
        let mut slope = 1.0;
        for _ in 0..8 {
            let (mut previous, mut value) = (1.0, node);
            for n in 2..=NODES {
                let n = n as f64;
                (previous, value) =
                    (value, ((2.0 * n - 1.0) * node * value - (n - 1.0) * previous) / n);
            }
            slope = degree * (node * value - previous) / (node * node - 1.0);
            node -= value / slope;
        }
        (node, 2.0 / ((1.0 - node * node) * slope * slope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrals_with_a_closed_form_are_met() {
        let integral = |breaks: &[f64], f: fn(f64) -> f64| {
            quadrature(breaks).iter().map(|(x, w)| w * f(*x)).sum::<f64>()
        };
        assert!((integral(&[0.0, 1.0], libm::exp) - (std::f64::consts::E - 1.0)).abs() < 1e-14);
        assert!((integral(&[-1.0, 0.0, 0.0, 2.0], |x| x * x * x) - 3.75).abs() < 1e-14);
        assert!((integral(&[0.0, 1.0, 2.0, 4.0, 8.0, 40.0], |x| libm::exp(-x)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn bisection_finds_the_last_bit() {
        assert!(
            bisect(0.0, 2.0, |x| x * x < 2.0).to_bits().abs_diff(2.0_f64.sqrt().to_bits()) <= 1
        );
        let log = descend(1.0, 1.0, -3.0, |x| -libm::log(x)).unwrap();
        assert!((log - libm::exp(3.0)).abs() < 1e-13 * log);
        assert_eq!(descend(0.0, 1.0, -1.0, |_| 0.0), None);
    }
}
