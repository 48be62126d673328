//! Six predictions as additive scorecards: each term adds log-odds points for the bin that a
//! feature falls in.
//!
//! `log odds = base + sum of points`, `probability = 1 / (1 + exp(-log odds))`. A trained model
//! fills the same shape.

use std::sync::Arc;

use crate::domain::features::{Feature, Features};

/// Contributions shown with a score, largest first.
const TOP: usize = 4;
/// Events after which half of the confidence is reached that the amount of history can give
/// (chosen).
const HALF_CONFIDENT_EVENTS: f64 = 4.0;

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Wins within the horizon.
    ConversionLikelihood,
    /// Is lost or goes silent within the horizon.
    ChurnRisk,
    /// Answers our outbound within the horizon.
    EngagementReceptivity,
    /// The next message of the lead carries an objection.
    ObjectionProbability,
    /// An appointment is requested or booked within two inbound turns or a day.
    AppointmentReadiness,
    /// Wins within a week.
    BuyingUrgency,
}

impl Target {
    /// All targets, in the order of every array of six.
    pub const ALL: [Self; 6] = [
        Self::ConversionLikelihood,
        Self::ChurnRisk,
        Self::EngagementReceptivity,
        Self::ObjectionProbability,
        Self::AppointmentReadiness,
        Self::BuyingUrgency,
    ];

    /// The name everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConversionLikelihood => "conversion_likelihood",
            Self::ChurnRisk => "churn_risk",
            Self::EngagementReceptivity => "engagement_receptivity",
            Self::ObjectionProbability => "objection_probability",
            Self::AppointmentReadiness => "appointment_readiness",
            Self::BuyingUrgency => "buying_urgency",
        }
    }

    /// Place in [`Target::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A whole model: one scorecard per target.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `name@version`.
    pub id: Arc<str>,
    /// Cards in the order of [`Target::ALL`].
    pub cards: [Card; 6],
}

/// One scorecard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// What the probability is of: which event within what horizon.
    pub label: String,
    /// The horizon, hours from the event.
    pub horizon_hours: f64,
    /// Log odds of a lead of whom nothing is known.
    pub intercept: f64,
    /// Why the base is what it is.
    pub intercept_reason: String,
    /// The terms.
    pub terms: Vec<Term>,
}

/// Points of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The feature.
    pub feature: Feature,
    /// Ascending cut points; a value falls in the bin numbered by how many cut points it reaches.
    pub below: Vec<f32>,
    /// Log-odds points per bin, one more than there are cut points.
    pub points: Vec<f32>,
    /// Points where the value is missing.
    pub missing: f32,
    /// How far apart its bins are: what knowing the feature can change.
    pub spread: f32,
    /// Why, for a sales manager.
    pub reason: String,
}

impl Term {
    fn points(&self, value: Option<f32>) -> f32 {
        match value {
            Some(value) => self.points[self.below.iter().take_while(|cut| value >= **cut).count()],
            None => self.missing,
        }
    }
}

/// Share of a score that one feature brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// The feature.
    pub feature: Feature,
    /// Its value, in the unit of its name; `None` when missing.
    pub value: Option<f32>,
    /// Points it added.
    pub log_odds: f32,
}

/// The largest contributions of a score by absolute size, largest first, at most four, none of
/// zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Top {
    list: [Contribution; TOP],
    count: usize,
}

impl Top {
    const EMPTY: Self = Self {
        list: [Contribution { feature: Feature::Stage, value: None, log_odds: 0.0 }; TOP],
        count: 0,
    };

    /// Puts a contribution in its place; the smallest goes when there is no room.
    fn insert(&mut self, share: Contribution) {
        let place = self
            .iter()
            .position(|other| share.log_odds.abs() > other.log_odds.abs())
            .unwrap_or(self.count);
        if place < TOP && share.log_odds != 0.0 {
            self.list.copy_within(place..TOP - 1, place + 1);
            self.list[place] = share;
            self.count = (self.count + 1).min(TOP);
        }
    }
}

impl std::ops::Deref for Top {
    type Target = [Contribution];

    fn deref(&self) -> &[Contribution] {
        &self.list[..self.count]
    }
}

/// One prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// 0..=1.
    pub probability: f64,
    /// 0..=1: share of the card's weight whose features are known, times `n / (n + 4)` for `n`
    /// events.
    pub data_completeness: f64,
    /// Log odds before any term.
    pub intercept: f64,
    /// Base and all terms.
    pub log_odds: f64,
    /// What it rests on most.
    pub contributions: Top,
}

/// `1 / (1 + exp(-log_odds))`.
#[must_use]
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

/// Scores all six targets; `events` is how many events the lead has.
#[must_use]
pub fn predict(model: &Model, features: &Features, events: u32) -> [Score; 6] {
    let history = f64::from(events) / (f64::from(events) + HALF_CONFIDENT_EVENTS);
    std::array::from_fn(|target| score(&model.cards[target], features, history))
}

fn score(card: &Card, features: &Features, history: f64) -> Score {
    let mut log_odds = card.intercept;
    let (mut known, mut all) = (0.0, 0.0);
    let mut contributions = Top::EMPTY;
    for term in &card.terms {
        let value = features.value(term.feature);
        let points = term.points(value);
        log_odds += f64::from(points);
        let spread = f64::from(term.spread);
        all += spread;
        known += if value.is_some() { spread } else { 0.0 };
        contributions.insert(Contribution { feature: term.feature, value, log_odds: points });
    }
    Score {
        probability: logistic(log_odds),
        data_completeness: if all > 0.0 { history * known / all } else { 0.0 },
        intercept: card.intercept,
        log_odds,
        contributions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_contributions_stay_in_order() {
        let mut top = Top::EMPTY;
        for log_odds in [0.5, 0.0, -0.9, 0.1, 0.5, -2.0, 0.3, 0.05] {
            top.insert(Contribution { feature: Feature::Stage, value: None, log_odds });
        }
        assert_eq!(
            top.iter().map(|share| share.log_odds).collect::<Vec<_>>(),
            [-2.0, -0.9, 0.5, 0.5]
        );
    }
}
