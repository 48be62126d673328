//! Models as TOML: what is checked before a model may score.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::domain::features::Feature;
use crate::domain::lexicon::Lexicon;
use crate::domain::rules::Rules;
use crate::domain::scoring::{Card, Model, Target, Term};

/// The model compiled into the binary.
pub const STARTING: &str = include_str!("starting_model.toml");

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML of this shape.
    #[error("model is not valid TOML")]
    Format(#[from] toml::de::Error),
    /// A prediction is missing or unknown.
    #[error("model has no scorecard or more than one for {0}")]
    Prediction(String),
    /// A feature is unknown.
    #[error("{prediction}: unknown feature {feature}")]
    Feature {
        /// The scorecard.
        prediction: String,
        /// The name found.
        feature: String,
    },
    /// Cut points and points do not fit, or a number is not finite.
    #[error(
        "{prediction}: term {feature} needs ascending cut points, one more points than cut points, \
            and finite numbers"
    )]
    Term {
        /// The scorecard.
        prediction: String,
        /// The feature.
        feature: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    prediction: Vec<Prediction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prediction {
    name: String,
    label: String,
    horizon_hours: f64,
    intercept: f64,
    intercept_reason: String,
    #[serde(default)]
    term: Vec<TermEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermEntry {
    feature: String,
    below: Vec<f32>,
    points: Vec<f32>,
    missing: f32,
    reason: String,
}

/// The model compiled into the binary, read.
///
/// # Panics
/// Never: a test reads it.
#[must_use]
pub fn starting() -> Model {
    parse(STARTING).expect("the compiled-in model is read by a test")
}

/// Reads and checks a model.
///
/// # Errors
/// [`Error`] naming what is wrong.
pub fn parse(text: &str) -> Result<Model, Error> {
    let file: File = toml::from_str(text)?;
    let mut cards: [Option<Card>; 6] = std::array::from_fn(|_| None);
    for prediction in file.prediction {
        let target = Target::ALL.into_iter().find(|target| target.as_str() == prediction.name);
        let slot = target.map(|target| &mut cards[target.index()]).filter(|slot| slot.is_none());
        let slot = slot.ok_or_else(|| Error::Prediction(prediction.name.clone()))?;
        *slot = Some(card(prediction)?);
    }
    let missing = Target::ALL.into_iter().find(|target| cards[target.index()].is_none());
    if let Some(target) = missing {
        return Err(Error::Prediction(target.as_str().to_owned()));
    }
    Ok(Model {
        id: format!("{}@{}", file.name, file.version).into(),
        cards: cards.map(Option::unwrap_or_default),
    })
}

fn card(prediction: Prediction) -> Result<Card, Error> {
    let terms = prediction
        .term
        .into_iter()
        .map(|entry| term(&prediction.name, entry))
        .collect::<Result<_, _>>()?;
    Ok(Card {
        label: prediction.label,
        horizon_hours: prediction.horizon_hours,
        intercept: prediction.intercept,
        intercept_reason: prediction.intercept_reason,
        terms,
    })
}

fn term(prediction: &str, entry: TermEntry) -> Result<Term, Error> {
    let feature = Feature::parse(&entry.feature).ok_or_else(|| Error::Feature {
        prediction: prediction.to_owned(),
        feature: entry.feature.clone(),
    })?;
    let finite = entry
        .below
        .iter()
        .chain(&entry.points)
        .chain([&entry.missing])
        .all(|number| number.is_finite());
    let ascending = entry.below.is_sorted_by(|a, b| a < b);
    if !(finite && ascending && entry.points.len() == entry.below.len() + 1) {
        return Err(Error::Term { prediction: prediction.to_owned(), feature: entry.feature });
    }
    let (low, high) = entry
        .points
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), next| (low.min(*next), high.max(*next)));
    let TermEntry { below, points, missing, reason, .. } = entry;
    Ok(Term { feature, below, points, missing, spread: high - low, reason })
}

/// The rules before any definition.
#[must_use]
pub fn starting_rules() -> Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Rules::new(Arc::new(starting()), Arc::new(Lexicon::english())));
    RULES.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_model_is_complete_and_every_term_says_why() {
        let model = starting();
        assert_eq!(&*model.id, "starting@1");
        for card in &model.cards {
            assert!(
                !card.label.is_empty()
                    && card.horizon_hours > 0.0
                    && !card.terms.is_empty()
                    && card.terms.len() <= 12
            );
            assert!(card.terms.iter().all(|term| !term.reason.is_empty()));
        }
    }

    #[test]
    fn a_wrong_model_is_refused_by_name() {
        let wrong = STARTING.replacen("furthest_stage", "furthest_stag", 1);
        assert!(
            matches!(parse(&wrong), Err(Error::Feature { feature, .. }) if feature == "furthest_stag")
        );
        let wrong = STARTING.replacen("churn_risk", "churn", 1);
        assert!(matches!(parse(&wrong), Err(Error::Prediction(name)) if name == "churn"));
        let wrong = STARTING.replacen("missing = 0.00", "missing = nan", 1);
        assert!(matches!(parse(&wrong), Err(Error::Term { .. })));
    }
}
