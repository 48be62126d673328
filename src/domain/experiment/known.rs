//! What is known of a lead before its first exposure: whatever happened until then, no arm has moved it.

use crate::domain::features::{Feature, Features};
use crate::domain::scoring::Target;

/// Millionths in one.
const MICRO: f64 = 1e6;
/// Largest magnitude of a covariate, ones: that of an outcome.
const ONES_MAX: f64 = 1e9;

/// A number known before the first exposure that explains a part of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covariate {
    /// A feature; 0 where it is missing.
    Feature(Feature),
    /// A prediction, as a probability.
    Prediction(Target),
}

impl Covariate {
    /// The covariate of a name: a feature or a prediction.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let prediction = || Target::ALL.into_iter().find(|target| target.as_str() == name).map(Self::Prediction);
        Feature::parse(name).map(Self::Feature).or_else(prediction)
    }

    /// Its value, millionths; at most a billion ones in magnitude.
    #[must_use]
    pub fn micro(self, features: &Features, probabilities: &[f64; 6]) -> i64 {
        let ones = match self {
            Self::Feature(feature) => features.value(feature).map_or(0.0, f64::from),
            Self::Prediction(target) => probabilities[target.index()],
        };
        (ones.clamp(-ONES_MAX, ONES_MAX) * MICRO).round() as i64
    }
}

/// What was known of a lead when it was first exposed; it never changes after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The covariate, millionths; `None`: none is registered.
    pub covariate: Option<i64>,
}
