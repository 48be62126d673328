//! How good the predictions and warnings were: each event's scores against what the same file later
//! tells of the lead.
//!
//! A row is an event of a lead that is undecided then and decided by the end of the file. Only the
//! last 30 % of the leads by their first event are measured; the starting model was fitted to the
//! first 70 % of one of the public files, and the baselines are fitted to the first 70 % of the
//! file at hand.

mod points;
mod warnings;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::codec::model::starting_rules;
use crate::domain::alerts::{Change, Rule};
use crate::domain::event::EventType;
use crate::domain::journey::Outcome;
use crate::domain::scoring::Target;
use crate::domain::units::{DAY_MS, EventTime, LeadKey};
use crate::learn::backtest::points::Points;
use crate::pipeline::{Effect, Input, Memory};

pub use crate::learn::backtest::warnings::Warnings;

/// Share of the leads, by first event, that is not measured.
const FITTED_SHARE: f64 = 0.7;
/// Bins of equal size for the calibration error.
const CALIBRATION_BINS: usize = 15;

/// One event of a lead.
struct Row {
    at: EventTime,
    /// What happened, with the CRM's stage name: a number per name.
    kind: usize,
    probabilities: [f64; 6],
    undecided: bool,
    inbound: bool,
    unanswered: bool,
}

/// All that a file tells of one lead.
#[derive(Default)]
struct Story {
    rows: Vec<Row>,
    end: Option<(EventTime, Outcome)>,
    /// When a warning of slipping away was raised.
    warned: Vec<EventTime>,
}

/// How one prediction did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// The prediction.
    #[serde(serialize_with = "name")]
    pub target: Target,
    /// Rows.
    pub rows: usize,
    /// Share of rows whose label is true.
    pub base_rate: f64,
    /// Area under the ROC curve; `None` when all labels are equal.
    pub auc: Option<f64>,
    /// The same of decayed points: a classic lead score, fitted to the leads that are not measured.
    pub points_auc: Option<f64>,
    /// Mean log loss, nats.
    pub log_loss: f64,
    /// Expected calibration error over 15 bins of equal size.
    pub calibration_error: f64,
}

fn name<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(target.as_str())
}

/// What was measured on a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of the predictions that the file can label.
    pub predictions: Vec<Measure>,
    /// Of the warnings; `None` when nobody was lost after a day.
    pub warnings: Option<Warnings>,
}

/// Takes events through the pipeline and measures what their outcomes can label.
#[must_use]
pub fn backtest(inputs: impl Iterator<Item = Input>) -> Report {
    let (stories, end) = stories(inputs);
    let mut ordered: Vec<&Story> = stories.values().collect();
    ordered.sort_by_key(|story| story.rows.first().map(|row| row.at));
    let warnings = warnings::measure(&ordered[split(ordered.len())..], end);
    ordered.retain(|story| story.end.is_some());
    let (fitted, measured) = ordered.split_at(split(ordered.len()));
    let targets = [
        Target::ConversionLikelihood,
        Target::ChurnRisk,
        Target::EngagementReceptivity,
        Target::BuyingUrgency,
    ];
    let predictions = targets.into_iter().filter_map(|target| {
        let points = Points::fit(labelled(target, fitted));
        measure(target, labelled(target, measured), &points)
    });
    Report { predictions: predictions.collect(), warnings }
}

fn split(leads: usize) -> usize {
    (leads as f64 * FITTED_SHARE) as usize
}

/// The stories of all leads, and the newest event time of the file.
fn stories(inputs: impl Iterator<Item = Input>) -> (BTreeMap<LeadKey, Story>, EventTime) {
    let rules = starting_rules();
    let mut memory = Memory::default();
    let mut stories: BTreeMap<LeadKey, Story> = BTreeMap::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let (mut effects, mut newest) = (Vec::new(), EventTime::default());
    for input in inputs {
        memory.run(&rules, &input, &mut effects);
        let kind = kind(&input);
        for effect in effects.drain(..) {
            match effect {
                Effect::Prediction(prediction) => {
                    newest = newest.max(prediction.at);
                    let next = kinds.len();
                    let kind = *kinds.entry(kind.clone()).or_insert(next);
                    let unanswered = memory
                        .lead(&prediction.key)
                        .is_some_and(|lead| lead.activity.unanswered > 0);
                    let story = stories.entry(prediction.key.clone()).or_default();
                    if let (None, Some(outcome)) = (story.end, prediction.outcome) {
                        story.end = Some((prediction.at, outcome));
                    }
                    story.rows.push(Row {
                        at: prediction.at,
                        kind,
                        probabilities: std::array::from_fn(|target| {
                            prediction.scores[target].probability
                        }),
                        undecided: prediction.outcome.is_none(),
                        inbound: prediction.kind == EventType::MessageReceived,
                        unanswered,
                    });
                }
                Effect::Alert(alert)
                    if (alert.rule, alert.change) == (Rule::SlippingAway, Change::Raised) =>
                {
                    stories.entry(alert.key.clone()).or_default().warned.push(alert.at);
                }
                _ => {}
            }
        }
    }
    (stories, newest)
}

/// What happened, with the CRM's stage name where there is one.
fn kind(input: &Input) -> String {
    let Input::Interaction { event, .. } = input else { return String::new() };
    let stage = event.opportunity.as_ref().and_then(|deal| deal.stage_id.as_deref()).unwrap_or("");
    format!("{} {stage}", event.kind.as_str())
}

/// A row's story up to it and what became of it.
struct Labelled<'a> {
    rows: &'a [Row],
    place: usize,
    label: bool,
}

/// The rows that a target is about, with their labels.
fn labelled<'a>(target: Target, stories: &[&'a Story]) -> Vec<Labelled<'a>> {
    let mut found = Vec::new();
    for story in stories {
        let Some((end, outcome)) = story.end else { continue };
        for (place, row) in story.rows.iter().enumerate().filter(|(_, row)| row.undecided) {
            let left_ms = end.since(row.at);
            let label = match target {
                Target::ConversionLikelihood => outcome == Outcome::Won && left_ms <= 90 * DAY_MS,
                Target::ChurnRisk => outcome == Outcome::Lost && left_ms <= 90 * DAY_MS,
                Target::BuyingUrgency => outcome == Outcome::Won && left_ms <= 7 * DAY_MS,
                Target::EngagementReceptivity if !row.unanswered => continue,
                Target::EngagementReceptivity => story.rows[place + 1..]
                    .iter()
                    .find(|later| later.inbound && later.at > row.at)
                    .is_some_and(|later| later.at.since(row.at) <= 7 * DAY_MS),
                Target::ObjectionProbability | Target::AppointmentReadiness => continue,
            };
            found.push(Labelled { rows: &story.rows, place, label });
        }
    }
    found
}

fn measure(target: Target, rows: Vec<Labelled<'_>>, points: &Points) -> Option<Measure> {
    if rows.is_empty() {
        return None;
    }
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| (row.rows[row.place].probabilities[target.index()], row.label))
        .collect();
    let scored: Vec<_> =
        rows.iter().map(|row| (points.score(row.rows, row.place), row.label)).collect();
    let count = pairs.len() as f64;
    let loss = |(probability, label): &(f64, bool)| {
        -libm::log(if *label { *probability } else { 1.0 - probability }.max(1e-12))
    };
    Some(Measure {
        target,
        rows: pairs.len(),
        base_rate: pairs.iter().filter(|(_, label)| *label).count() as f64 / count,
        auc: auc(&pairs),
        points_auc: auc(&scored),
        log_loss: pairs.iter().map(loss).sum::<f64>() / count,
        calibration_error: calibration_error(&pairs),
    })
}

/// Area under the ROC curve by ranks (Mann and Whitney 1947), ties counted half; `None` unless both
/// labels occur.
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
    let distance = |bin: &[(f64, bool)]| {
        bin.iter()
            .map(|(probability, label)| probability - f64::from(u8::from(*label)))
            .sum::<f64>()
            .abs()
    };
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
    fn labels_that_mean_nothing_give_an_auc_of_one_half() {
        let mix = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as f64;
        let pairs: Vec<_> = (0..20_000)
            .map(|number| (mix(number), (mix(number + 1_000_003) as u64).is_multiple_of(3)))
            .collect();
        // Five standard deviations of the Mann-Whitney statistic: sqrt(1 / (12 n m / (n + m + 1)))
        // is about .0042.
        assert!((auc(&pairs).unwrap() - 0.5).abs() < 0.021);
    }

    #[test]
    fn calibration_is_perfect_only_where_rates_match() {
        let pairs: Vec<(f64, bool)> = (0..1_500).map(|row| (0.25, row % 4 == 0)).collect();
        assert!(calibration_error(&pairs) < 1e-9);
        let off: Vec<(f64, bool)> = pairs.iter().map(|(_, label)| (0.5, *label)).collect();
        assert!((calibration_error(&off) - 0.25).abs() < 1e-9);
    }
}
