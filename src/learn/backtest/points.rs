//! The baseline of the predictions: points per kind of event, halved every week, fitted by logistic
//! regression.

use crate::domain::activity::decay;
use crate::domain::scoring::logistic;
use crate::learn::backtest::{Labelled, Row};

/// Points halve in this time, hours.
const HALF_LIFE_HOURS: f64 = 168.0;
/// Passes over the rows.
const PASSES: usize = 15;
/// First step of a weight (AdaGrad; Duchi, Hazan and Singer 2011).
const STEP: f64 = 0.3;

/// Points per kind of event.
pub(crate) struct Points {
    base: f64,
    points: Vec<f64>,
}

impl Points {
    /// Fits points to labelled rows.
    pub(crate) fn fit(rows: Vec<Labelled<'_>>) -> Self {
        let kinds = rows.iter().flat_map(|row| row.rows).map(|row| row.kind + 1).max().unwrap_or(0);
        let examples: Vec<_> =
            rows.iter().map(|row| (counts(row.rows, row.place), row.label)).collect();
        let mut fitted = Self { base: 0.0, points: vec![0.0; kinds] };
        let (mut base_sum, mut sums) = (1e-6, vec![1e-6; kinds]);
        for pass in 0..PASSES {
            for place in 0..examples.len() {
                // Neighbouring rows belong to one lead: a stride mixes them, the same way every
                // time.
                let (counts, label) = &examples[(place * 7_919 + pass) % examples.len()];
                let error = logistic(fitted.sum(counts)) - f64::from(u8::from(*label));
                let step = |gradient: f64, sum: &mut f64| {
                    *sum += gradient * gradient;
                    STEP * gradient / sum.sqrt()
                };
                fitted.base -= step(error, &mut base_sum);
                for (kind, count) in counts {
                    fitted.points[*kind] -= step(error * count, &mut sums[*kind]);
                }
            }
        }
        fitted
    }

    fn sum(&self, counts: &[(usize, f64)]) -> f64 {
        self.base
            + counts
                .iter()
                .filter_map(|(kind, count)| self.points.get(*kind).map(|points| points * count))
                .sum::<f64>()
    }

    /// The points of a lead at one of its rows.
    pub(crate) fn score(&self, rows: &[Row], place: usize) -> f64 {
        self.sum(&counts(rows, place))
    }
}

/// Decayed counts per kind at a row, of that row and those before it.
fn counts(rows: &[Row], place: usize) -> Vec<(usize, f64)> {
    let now = rows[place].at;
    let mut counts: Vec<(usize, f64)> = Vec::new();
    for row in &rows[..=place] {
        let weight = decay(now.since(row.at).max(0), HALF_LIFE_HOURS);
        match counts.iter_mut().find(|(kind, _)| *kind == row.kind) {
            Some((_, count)) => *count += weight,
            None => counts.push((row.kind, weight)),
        }
    }
    counts
}
