//! What is known of a lead before its first exposure: whatever happened until then, no arm has
//! moved it.

use crate::domain::event::Channel;
use crate::domain::features::{Feature, Features};
use crate::domain::journey::Stage;
use crate::domain::scoring::Target;

/// Millionths in one.
const MICRO: f64 = 1e6;
/// Largest magnitude of a covariate, ones: that of an outcome.
const ONES_MAX: f64 = 1e9;

/// A lead at its first exposure.
#[derive(Clone, Copy, Debug)]
pub struct PreExposureInputs<'a> {
    /// The channel of the message that was exposed.
    pub channel: Option<&'a Channel>,
    /// All features.
    pub features: &'a Features,
    /// Predictions, in the order of [`Target::ALL`].
    pub probabilities: &'a [f64; 6],
    /// Who has the lead.
    pub agent: Option<&'a str>,
}

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
        let prediction =
            || Target::ALL.into_iter().find(|target| target.as_str() == name).map(Self::Prediction);
        Feature::parse(name).map(Self::Feature).or_else(prediction)
    }

    /// Its value, millionths; at most a billion ones in magnitude.
    #[must_use]
    pub fn micro(self, seen: &PreExposureInputs<'_>) -> i64 {
        let ones = match self {
            Self::Feature(feature) => seen.features.value(feature).map_or(0.0, f64::from),
            Self::Prediction(target) => seen.probabilities[target.index()],
        };
        (ones.clamp(-ONES_MAX, ONES_MAX) * MICRO).round() as i64
    }
}

/// Kinds of leads, known before the first exposure, within which arms are compared. At most eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strata {
    /// The shown stage.
    Stage,
    /// The channel of the message that was exposed.
    Channel,
}

impl Strata {
    /// All ways to tell leads apart.
    pub const ALL: [Self; 2] = [Self::Stage, Self::Channel];
    /// Channels of their own; all others are one stratum.
    const CHANNELS: [Channel; 6] = [
        Channel::Sms,
        Channel::Email,
        Channel::Phone,
        Channel::Chat,
        Channel::Whatsapp,
        Channel::Web,
    ];

    /// The name in definitions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Channel => "channel",
        }
    }

    /// The names of all strata, by their numbers.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Stage => Stage::ALL.iter().map(|stage| stage.as_str()).collect(),
            Self::Channel => Self::CHANNELS.iter().map(Channel::as_str).chain(["other"]).collect(),
        }
    }

    /// The stratum of a lead, 0 to 6.
    #[must_use]
    pub fn of(self, seen: &PreExposureInputs<'_>) -> u8 {
        match self {
            Self::Stage => seen.features.value(Feature::Stage).map_or(0, |stage| stage as u8),
            Self::Channel => {
                let known = Self::CHANNELS.iter().position(|known| seen.channel == Some(known));
                u8::try_from(known.unwrap_or(Self::CHANNELS.len())).expect("there are six channels")
            }
        }
    }
}

/// What was known of a lead when it was first exposed; it never changes after that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreExposure {
    /// The covariate, millionths; `None`: none is registered.
    pub covariate: Option<i64>,
    /// The stratum, see [`Strata::of`]; `None`: none are registered.
    pub stratum: Option<u8>,
    /// Who had it; `None`: nobody, or insights by agent are not registered.
    pub agent: Option<String>,
}
