//! How good the predictions were: each event's scores against what the same file later tells of the lead.
//!
//! A row is an event of a lead that is undecided then and decided by the end of the file. Only the last 30 % of the leads
//! by their first event are measured; the starting model was fitted to the first 70 % of one of the public files.

use std::collections::BTreeMap;

use crate::domain::event::EventType;
use crate::domain::journey::Outcome;
use crate::domain::lead::Decision;
use crate::domain::scoring::Target;
use crate::domain::units::{DAY_MS, EventTime, LeadKey};
use crate::pipeline::{Effect, Input, Memory};
use crate::runtime::worker::rules;

/// Share of the leads, by first event, that is not measured.
const FITTED_SHARE: f64 = 0.7;
/// Bins of equal size for the calibration error.
const CALIBRATION_BINS: usize = 15;

/// One event of a lead.
struct Row {
    at: EventTime,
    probabilities: [f64; 6],
    undecided: bool,
    inbound: bool,
    unanswered: bool,
}

/// How one prediction did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// The prediction.
    pub target: Target,
    /// Rows.
    pub rows: usize,
    /// Share of rows whose label is true.
    pub base_rate: f64,
    /// Area under the ROC curve; `None` when all labels are equal.
    pub auc: Option<f64>,
    /// Mean log loss, nats.
    pub log_loss: f64,
    /// Expected calibration error over 15 bins of equal size.
    pub calibration_error: f64,
}

/// Takes events through the pipeline and measures the predictions that their outcomes can label.
#[must_use]
pub fn evaluate(inputs: impl Iterator<Item = Input>) -> Vec<Measure> {
    let rules = rules();
    let mut memory = Memory::default();
    let mut leads: BTreeMap<LeadKey, Vec<Row>> = BTreeMap::new();
    let mut ends: BTreeMap<LeadKey, (EventTime, Outcome)> = BTreeMap::new();
    let mut effects = Vec::new();
    for input in inputs {
        memory.run(&rules, &input, &mut effects);
        for effect in effects.drain(..) {
            let Effect::Decided(Decision::Prediction(prediction)) = effect else { continue };
            if let Some(outcome) = prediction.outcome {
                ends.entry(prediction.key.clone()).or_insert((prediction.at, outcome));
            }
            let unanswered = memory.lead(&prediction.key).is_some_and(|lead| lead.activity.unanswered > 0);
            leads.entry(prediction.key.clone()).or_default().push(Row {
                at: prediction.at,
                probabilities: std::array::from_fn(|target| prediction.scores[target].probability),
                undecided: prediction.outcome.is_none(),
                inbound: prediction.kind == EventType::MessageReceived,
                unanswered,
            });
        }
    }
    let mut decided: Vec<_> = leads.iter().filter_map(|(key, rows)| ends.get(key).map(|end| (rows, *end))).collect();
    decided.sort_by_key(|(rows, _)| rows.first().map(|row| row.at));
    let skip = (decided.len() as f64 * FITTED_SHARE) as usize;
    let measured = &decided[skip..];
    let targets = [Target::ConversionLikelihood, Target::ChurnRisk, Target::EngagementReceptivity, Target::BuyingUrgency];
    targets.into_iter().filter_map(|target| measure(target, &pairs(target, measured))).collect()
}

/// Probability and label of every row that the target is about.
fn pairs(target: Target, leads: &[(&Vec<Row>, (EventTime, Outcome))]) -> Vec<(f64, bool)> {
    let mut pairs = Vec::new();
    for (rows, (end, outcome)) in leads {
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.undecided) {
            let left_ms = end.since(row.at);
            let label = match target {
                Target::ConversionLikelihood => *outcome == Outcome::Won && left_ms <= 90 * DAY_MS,
                Target::ChurnRisk => *outcome == Outcome::Lost && left_ms <= 90 * DAY_MS,
                Target::BuyingUrgency => *outcome == Outcome::Won && left_ms <= 7 * DAY_MS,
                Target::EngagementReceptivity if !row.unanswered => continue,
                Target::EngagementReceptivity => rows[place + 1..]
                    .iter()
                    .find(|later| later.inbound && later.at > row.at)
                    .is_some_and(|later| later.at.since(row.at) <= 7 * DAY_MS),
                Target::ObjectionProbability | Target::AppointmentReadiness => continue,
            };
            pairs.push((row.probabilities[target.index()], label));
        }
    }
    pairs
}

fn measure(target: Target, pairs: &[(f64, bool)]) -> Option<Measure> {
    if pairs.is_empty() {
        return None;
    }
    let count = pairs.len() as f64;
    let loss = |(probability, label): &(f64, bool)| -libm::log(if *label { *probability } else { 1.0 - probability }.max(1e-12));
    Some(Measure {
        target,
        rows: pairs.len(),
        base_rate: pairs.iter().filter(|(_, label)| *label).count() as f64 / count,
        auc: auc(pairs),
        log_loss: pairs.iter().map(loss).sum::<f64>() / count,
        calibration_error: calibration_error(pairs),
    })
}

/// Area under the ROC curve by ranks (Mann and Whitney 1947), ties counted half; `None` unless both labels occur.
#[must_use]
pub fn auc(pairs: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut beaten) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let won = ties.iter().filter(|(_, label)| *label).count() as f64;
        let lost = ties.len() as f64 - won;
        beaten += won * (below + lost / 2.0);
        below += lost;
    }
    let won = pairs.len() as f64 - below;
    (won > 0.0 && below > 0.0).then(|| beaten / (won * below))
}

/// Mean distance between mean prediction and label rate over bins of equal size.
fn calibration_error(pairs: &[(f64, bool)]) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = sorted.len().div_ceil(CALIBRATION_BINS);
    let distance =
        |bin: &[(f64, bool)]| bin.iter().map(|(probability, label)| probability - f64::from(u8::from(*label))).sum::<f64>().abs();
    sorted.chunks(size).map(distance).sum::<f64>() / sorted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_ordered_pairs() {
        assert_eq!(auc(&[(0.9, true), (0.1, false), (0.5, true), (0.5, false)]), Some(0.875));
        assert_eq!(auc(&[(0.9, true)]), None);
    }

    #[test]
    fn calibration_is_perfect_only_where_rates_match() {
        let pairs: Vec<(f64, bool)> = (0..1_500).map(|row| (0.25, row % 4 == 0)).collect();
        assert!(calibration_error(&pairs) < 1e-9);
        let off: Vec<(f64, bool)> = pairs.iter().map(|(_, label)| (0.5, *label)).collect();
        assert!((calibration_error(&off) - 0.25).abs() < 1e-9);
    }
}
