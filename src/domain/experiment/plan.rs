//! What is registered before an experiment begins: what is measured, what may not get worse, and
//! when it ends.

use std::collections::BTreeMap;

use crate::domain::experiment::pre_exposure::{Covariate, PreExposure, PreExposureInputs, Strata};
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS};
use crate::stats::log_ratio::{CONVERSIONS_MIN, OUTCOMES_MIN};

/// What is measured of each unit within its attribution window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Share of leads won.
    ConversionRate,
    /// Share of leads with an appointment requested or booked.
    AppointmentRate,
    /// Share of leads that wrote again after the exposure.
    ReplyRate,
    /// Value of what was won, in units of the tenant's currency, up to the cap.
    Revenue,
    /// Messages in both directions after the exposure, up to the cap.
    ConversationLength,
    /// Objections resolved out of those raised.
    ObjectionResolution,
    /// Mean of `engagement_score` over ended coaching sessions.
    EngagementScore,
    /// Mean of `coaching_satisfaction` over ended coaching sessions, and of `rating` over feedback.
    CoachingSatisfaction,
    /// Minutes until we wrote after the message that was exposed; less is better.
    ResponseTime,
}

/// How a metric comes together from the outcomes of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each unit is 0 or 1.
    Share,
    /// Each unit has a number.
    Mean,
    /// Each unit has a sum and what it is divided by; both are summed over units first.
    Ratio,
    /// Each unit has a time, and the middle one is told; who was never answered is behind all
    /// others.
    Median,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 9] = [
        Self::ConversionRate,
        Self::AppointmentRate,
        Self::ReplyRate,
        Self::Revenue,
        Self::ConversationLength,
        Self::ObjectionResolution,
        Self::EngagementScore,
        Self::CoachingSatisfaction,
        Self::ResponseTime,
    ];

    /// The name in definitions and outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConversionRate => "conversion_rate",
            Self::AppointmentRate => "appointment_rate",
            Self::ReplyRate => "reply_rate",
            Self::Revenue => "revenue",
            Self::ConversationLength => "conversation_length",
            Self::ObjectionResolution => "objection_resolution",
            Self::EngagementScore => "engagement_score",
            Self::CoachingSatisfaction => "coaching_satisfaction",
            Self::ResponseTime => "response_time",
        }
    }

    /// The metric of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    /// How it comes together.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::ConversionRate | Self::AppointmentRate | Self::ReplyRate => Shape::Share,
            Self::Revenue | Self::ConversationLength => Shape::Mean,
            Self::ObjectionResolution | Self::EngagementScore | Self::CoachingSatisfaction => {
                Shape::Ratio
            }
            Self::ResponseTime => Shape::Median,
        }
    }

    /// Whether it needs a cap that is set before the data come: a few units could otherwise decide.
    #[must_use]
    pub fn needs_cap(self) -> bool {
        self.shape() == Shape::Mean
    }

    /// Units with an outcome other than 0 that each arm needs before a bound may be acted on.
    #[must_use]
    pub fn outcomes_min(self) -> u64 {
        if self.shape() == Shape::Share { CONVERSIONS_MIN } else { OUTCOMES_MIN }
    }
}

/// What a metric is measured for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// It decides.
    Goal,
    /// It may fall by at most this share, above 0 and below 1.
    Guardrail {
        /// The non-inferiority margin.
        margin: f64,
    },
    /// It is told.
    Secondary,
}

/// A metric as registered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// The metric.
    pub metric: Metric,
    /// What for.
    pub role: Role,
    /// How long after the exposure an outcome counts, hours; at most the window of the experiment.
    pub window_hours: i64,
    /// Largest outcome of a unit, in ones of the metric; of metrics that need a cap.
    pub cap: Option<u32>,
}

/// Who acts on a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is told, and a person acts.
    Advise,
    /// It is put in force through the log.
    Automatic,
}

/// How the weights of a bandit follow from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationRule {
    /// As often as an arm is likely to be the best.
    Thompson,
    /// As often as it is likely to be among the two best.
    TopTwo,
}

/// A bandit: at the end of each epoch new units get other weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allocation {
    /// How.
    pub rule: AllocationRule,
    /// Smallest share of an arm, above 0 and at most one over the number of arms.
    pub floor: f64,
    /// Days of an epoch.
    pub epoch_days: i64,
}

/// Blocks of time, counted from 1970-01-01, UTC. In each the whole team has one arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Length of a block.
    pub hours: i64,
    /// How long after the start of a block leads that come in do not count: what they meet is still
    /// the block before.
    pub washout_hours: i64,
}

impl Blocks {
    /// The block of a time.
    #[must_use]
    pub fn block(self, at: EventTime) -> String {
        at.0.div_euclid(self.hours * HOUR_MS).to_string()
    }

    /// Whether a lead that got the arm of a block counts, given its first exposure: within that
    /// block and behind the washout.
    #[must_use]
    pub fn counts(self, block: &str, exposed_at: EventTime) -> bool {
        self.block(exposed_at) == block
            && exposed_at.0.rem_euclid(self.hours * HOUR_MS) >= self.washout_hours * HOUR_MS
    }

    /// Blocks that begin within a time.
    #[must_use]
    pub fn within(self, from: EventTime, to: EventTime) -> u64 {
        let block = |at: i64| at.div_euclid(self.hours * HOUR_MS);
        (block(to.0 - 1) - block(from.0) + 1).unsigned_abs()
    }
}

/// Everything registered before the first exposure.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The goal first, then guardrails, then what is only told.
    pub measures: Vec<Measure>,
    /// Probability of an error that is accepted, for the goal over all arms and looks.
    pub alpha: f64,
    /// Units in all arms at which the experiment ends without a decision; of agents and blocks how
    /// many are planned with.
    pub planned_units: u64,
    /// From then on nobody is let in, and once all windows have passed agents or blocks are
    /// compared, once; `None`: the unit is the lead.
    pub ends_at: Option<EventTime>,
    /// Full days before a decision other than a roll back.
    pub days_min: i64,
    /// Effects within this distance of 0 on either side are no difference; `None`: equivalence is
    /// not looked for.
    pub equivalence: Option<f64>,
    /// The arm that others are compared with.
    pub control: String,
    /// Who acts.
    pub act: Act,
    /// Weights that follow the data; `None`: they stay as they are defined.
    pub allocation: Option<Allocation>,
    /// What the goal is adjusted by; `None`: it is told as it is.
    pub covariate: Option<Covariate>,
    /// Kinds of leads within which the goal is compared as well; `None`: it is not.
    pub strata: Option<Strata>,
    /// Within the leads of how many agents at most the goal is compared as well; `None`: of none.
    pub agents_max: Option<u32>,
    /// Of the unit team, which is compared block by block; `None`: of leads and agents.
    pub blocks: Option<Blocks>,
}

impl Plan {
    /// What is to be kept of a lead that is exposed for the first time.
    #[must_use]
    pub fn before(&self, seen: &PreExposureInputs<'_>) -> PreExposure {
        PreExposure {
            covariate: self.covariate.map(|covariate| covariate.micro(seen)),
            stratum: self.strata.map(|strata| strata.of(seen)),
            agent: self.agents_max.and(seen.agent).map(str::to_owned),
        }
    }

    /// Within how many strata and agents each arm may be compared.
    #[must_use]
    pub fn cells(&self) -> u32 {
        let strata = self.strata.map_or(0, |strata| {
            u32::try_from(strata.names().len()).expect("there are seven strata at most")
        });
        strata + self.agents_max.unwrap_or(0)
    }
}

/// How long after its last window a day is left alone for what comes late: the default of the
/// allowed lateness.
pub const SETTLE_MS: i64 = DAY_MS;
/// What an experiment is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup<'a> {
    /// What was registered.
    pub plan: &'a Plan,
    /// Window of the experiment, hours.
    pub window_hours: i64,
    /// Arms and weights of each version.
    pub versions: BTreeMap<u32, &'a [(String, u32)]>,
}

impl Setup<'_> {
    /// When a day is looked at: its windows have passed, and what comes late.
    #[must_use]
    pub fn look(&self, day: i64) -> EventTime {
        EventTime((day + 1) * DAY_MS).plus(self.window_hours * HOUR_MS + SETTLE_MS)
    }
}
