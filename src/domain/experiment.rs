//! Which arm a unit gets, what was exposed, and what is registered, counted, concluded and done
//! about it.
//!
//! Assignment is a pure function of the definition in force and the unit: murmur3 x86_32 over the
//! UTF-8 bytes (NFC) of
//! `salt:experiment:unit`, mapped to integer weights by `(hash * total) >> 32` (flagd's rule,
//! without modulo bias).

pub mod pre_exposure;
pub mod plan;
pub mod outcome;
pub mod stratum;
pub mod by_agent;
pub mod tally;
pub mod enrollments;
pub mod versions;
pub mod analysis;

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::domain::experiment::analysis::business::{Costs, NetBenefit};
use crate::domain::experiment::analysis::decision::Report;
use crate::domain::experiment::plan::Plan;
use crate::domain::features::{Feature, Features};
use crate::domain::hash::murmur3;
use crate::domain::journey::Stage;
use crate::domain::units::{EventId, EventTime, LeadKey, Tenant};

pub use crate::domain::experiment::enrollments::{Enrollment, Enrollments};
pub use crate::domain::experiment::tally::{Counts, Tally, Update};

/// Places of a layer and of a holdout.
pub const BUCKETS: u32 = 10_000;

/// What is assigned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Each lead by itself.
    Lead,
    /// All leads of an agent together.
    Agent,
    /// All leads that the whole team first hears of in a block of time together.
    Team,
}

impl Unit {
    /// All units.
    pub const ALL: [Self; 3] = [Self::Lead, Self::Agent, Self::Team];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Agent => "agent",
            Self::Team => "team",
        }
    }
}

/// Where an experiment stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Written down; nobody is let in.
    Draft,
    /// New units are let in.
    Running,
    /// No new units; those that are in keep their arm.
    Paused,
    /// Nobody gets an arm any more; outcomes are counted until their windows have passed.
    Stopped,
    /// As stopped, and no longer listed.
    Archived,
}

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 5] =
        [Self::Draft, Self::Running, Self::Paused, Self::Stopped, Self::Archived];

    /// The name in definitions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Archived => "archived",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether units that are in keep their arm.
    #[must_use]
    pub fn keeps(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A range of the places of a layer. A unit has one place per layer, so it is in at most one
/// experiment of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// First place, 0 to 9,999.
    pub from: u32,
    /// The place behind the last, up to 10,000.
    pub to: u32,
}

/// A unit is let in only while a feature of the lead is known and within these bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The feature.
    pub feature: Feature,
    /// Its lowest value; `None`: any.
    pub at_least: Option<f32>,
    /// It is below this; `None`: any.
    pub below: Option<f32>,
}

/// An experiment on coaching strategies, as its definition says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Whose.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Version of the definition.
    pub version: u32,
    /// SHA-256 of the definition's body, hexadecimal.
    pub config_sha256: String,
    /// What is assigned as one.
    pub unit: Unit,
    /// Separates it from other experiments.
    pub salt: String,
    /// Strategies and their integer weights, in the order of the definition; the sum is above 0.
    pub arms: Vec<(String, u32)>,
    /// Share of units let in, of 10,000.
    pub traffic_allocation: u32,
    /// Stages it applies to; empty: all.
    pub stages: Vec<Stage>,
    /// Conditions on features; all must hold.
    pub target: Vec<Condition>,
    /// Which part of which layer it has.
    pub layer: Option<Layer>,
    /// How long after the exposure an outcome counts, hours.
    pub window_hours: i64,
    /// Where it stands.
    pub state: State,
    /// The version that began it: this one, or the one that this one continues.
    pub base_version: u32,
    /// The body as it was written: a version that only has other weights is written from it.
    pub source: Arc<str>,
    /// What was registered; `None`: exposures and outcomes are counted and nothing is concluded.
    pub plan: Option<Arc<Plan>>,
    /// What arms cost; prices change, so a version that continues may have others, and nothing is
    /// decided by them.
    pub costs: Costs,
}

/// An arm given to a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The arm: name of a strategy.
    pub arm: String,
    /// `(hash * total weight) >> 32`.
    pub bucket: u32,
    /// Probability that the unit gets this arm, given that it is let in.
    pub propensity: f64,
}

/// Where a text falls among `total` places. The same name typed on two systems may differ in how
/// its accents are composed: it is composed here (NFC, Unicode Standard Annex 15) before it is
/// hashed.
fn bucket(text: &str, total: u32) -> u32 {
    let hash = if text.is_ascii() {
        murmur3(text.as_bytes(), 0)
    } else {
        murmur3(text.nfc().collect::<String>().as_bytes(), 0)
    };
    let scaled = (u64::from(hash) * u64::from(total)) >> 32;
    u32::try_from(scaled).expect("below the total, which is 32 bits")
}

/// Whether a unit gets the default policy whatever experiments there are; `share` of 10,000 do.
#[must_use]
pub fn is_held_out(tenant: &Tenant, unit: &str, share: u32) -> bool {
    share > 0 && bucket(&format!("{tenant}:holdout:{unit}"), BUCKETS) < share
}

impl Experiment {
    /// The arm of a unit; `None` when the unit is not let in.
    #[must_use]
    pub fn assign(&self, unit: &str) -> Option<Assignment> {
        // The gate has its own salt, so that changing the coverage never moves a unit between arms.
        let admitted = || {
            bucket(&format!("{}:gate:{}:{unit}", self.salt, self.name), BUCKETS)
                < self.traffic_allocation
        };
        let owned = |layer: &Layer| {
            (layer.from..layer.to)
                .contains(&bucket(&format!("{}:layer:{}:{unit}", self.tenant, layer.name), BUCKETS))
        };
        if self.state != State::Running || !self.layer.as_ref().is_none_or(owned) || !admitted() {
            return None;
        }
        self.arm_of(unit)
    }

    /// The arm that its hash gives a unit, whether or not it is let in; `None` without any weight.
    #[must_use]
    pub fn arm_of(&self, unit: &str) -> Option<Assignment> {
        let total: u32 = self.arms.iter().map(|(_, weight)| weight).sum();
        let bucket = bucket(&format!("{}:{}:{unit}", self.salt, self.name), total);
        let mut reached = 0;
        let (arm, weight) = self.arms.iter().find(|(_, weight)| {
            reached += weight;
            bucket < reached
        })?;
        Some(Assignment {
            arm: arm.clone(),
            bucket,
            propensity: f64::from(*weight) / f64::from(total),
        })
    }

    /// Whether a lead that is not in it is meant.
    #[must_use]
    pub fn targets(&self, stage: Stage, features: &Features) -> bool {
        let holds = |condition: &Condition| {
            features.value(condition.feature).is_some_and(|value| {
                condition.at_least.is_none_or(|least| value >= least)
                    && condition.below.is_none_or(|bound| value < bound)
            })
        };
        (self.stages.is_empty() || self.stages.contains(&stage)) && self.target.iter().all(holds)
    }

    /// Whether it lets anybody in at a time.
    #[must_use]
    pub fn lasts(&self, at: EventTime) -> bool {
        self.plan.as_ref().and_then(|plan| plan.ends_at).is_none_or(|end| at < end)
    }

    /// Whether an arm gives its strategy: without a weight it is withdrawn, also from the units
    /// that have it.
    #[must_use]
    pub fn gives(&self, arm: &str) -> bool {
        self.arms.iter().any(|(name, weight)| name == arm && *weight > 0)
    }

    /// Its name over all versions that continue it.
    #[must_use]
    pub fn key(&self) -> ExperimentKey {
        ExperimentKey {
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            version: self.base_version,
        }
    }

    /// What may not differ from the version that is continued, by field; `None`: it may be
    /// continued so.
    #[must_use]
    pub fn differs(&self, first: &Self) -> Option<&'static str> {
        let names =
            |arms: &[(String, u32)]| arms.iter().map(|(arm, _)| arm.clone()).collect::<Vec<_>>();
        let known = |of: &Self| {
            of.plan
                .as_ref()
                .map_or((None, None, None), |plan| (plan.covariate, plan.strata, plan.agents_max))
        };
        let fields = [
            ("unit", self.unit == first.unit),
            ("salt", self.salt == first.salt),
            (
                "arms",
                names(&self.arms) == names(&first.arms)
                    && (self.unit == Unit::Lead || self.arms == first.arms),
            ),
            ("layer", self.layer == first.layer),
            ("window_hours", self.window_hours == first.window_hours),
            ("covariate", known(self).0 == known(first).0),
            ("strata", known(self).1 == known(first).1),
            ("agents_max", known(self).2 == known(first).2),
            ("goal, guardrails, metrics or decisions", self.plan == first.plan),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }

    /// Whether two experiments claim a place of one layer.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let both = self.layer.as_ref().zip(other.layer.as_ref());
        let alive = self.state.keeps()
            && other.state.keeps()
            && self.tenant == other.tenant
            && self.name != other.name;
        alive
            && both.is_some_and(|(own, other)| {
                own.name == other.name && own.from < other.to && other.from < own.to
            })
    }
}

/// One use of an arm's strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    /// Derived from the event and the experiment.
    pub exposure_id: EventId,
    /// The event whose prompt used the strategy.
    pub event_id: EventId,
    /// The lead.
    pub key: LeadKey,
    /// When.
    pub at: EventTime,
    /// The experiment.
    pub experiment: String,
    /// Version of the definition.
    pub version: u32,
    /// What is assigned as one.
    pub unit: Unit,
    /// The unit.
    pub unit_id: String,
    /// The arm.
    pub arm: String,
    /// See [`Assignment::bucket`].
    pub bucket: u32,
    /// See [`Assignment::propensity`].
    pub propensity: f64,
    /// SHA-256 of the definition's body.
    pub config_sha256: String,
    /// `assigned` or `sticky`.
    pub reason: String,
    /// See [`Exposure::sealed`]: a changed or missing exposure breaks the chain of its unit.
    pub chain: [u8; 16],
}

/// Name of one experiment of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentKey {
    /// Whose.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Version of the definition that began it.
    pub version: u32,
}

impl ExperimentKey {
    /// Under which the journeys of all leads of a tenant are counted: no experiment has this name,
    /// and versions begin at 1.
    #[must_use]
    pub fn attribution(tenant: &Tenant) -> Self {
        Self { tenant: tenant.clone(), name: String::new(), version: 0 }
    }
}

/// Counts of an experiment over all partitions, and what follows from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// Newest event time among the partitions that reported.
    pub at: EventTime,
    /// The merged counts.
    pub tally: Tally,
    /// What follows; `None` for an experiment without a plan, or whose definition is not known.
    pub report: Option<Box<Report>>,
    /// What arms are worth once their costs are taken off; empty where none are recorded.
    pub net_benefits: Vec<NetBenefit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(arms: &[(&str, u32)], traffic_allocation: u32) -> Experiment {
        Experiment {
            tenant: Tenant::new("acme").unwrap(),
            name: "tone".into(),
            version: 1,
            config_sha256: String::new(),
            unit: Unit::Lead,
            salt: "s1".into(),
            arms: arms.iter().map(|(arm, weight)| ((*arm).to_owned(), *weight)).collect(),
            traffic_allocation,
            stages: Vec::new(),
            target: Vec::new(),
            layer: None,
            window_hours: 24,
            state: State::Running,
            base_version: 1,
            source: "".into(),
            plan: None,
            costs: Costs::new(),
        }
    }

    #[test]
    fn a_million_units_spread_by_weight_independently_of_other_experiments_and_coverage_never_moves_one()
     {
        const UNITS: i32 = 1_000_000;
        let arms = [("empathetic", 1), ("assertive", 3)];
        let (half, full) = (experiment(&arms, 5_000), experiment(&arms, 10_000));
        let other = Experiment { name: "length".into(), ..experiment(&arms, 10_000) };
        let (mut assertive, mut both, mut admitted, mut admitted_assertive) = (0, 0, 0, 0);
        for unit in 0..UNITS {
            let unit = format!("lead-{unit}");
            let all = full.assign(&unit).unwrap();
            let is_assertive = i32::from(all.arm == "assertive");
            assertive += is_assertive;
            both += i32::from(is_assertive == 1 && other.assign(&unit).unwrap().arm == "assertive");
            if let Some(some) = half.assign(&unit) {
                admitted += 1;
                admitted_assertive += is_assertive;
                assert_eq!(some, all);
            }
        }
        // Five standard deviations of a binomial count around its mean.
        let is_near = |count: i32, share: f64| {
            let mean = f64::from(UNITS) * share;
            (f64::from(count) - mean).abs() < 5.0 * (mean * (1.0 - share)).sqrt()
        };
        assert!(is_near(assertive, 0.75), "{assertive}");
        assert!(is_near(both, 0.75 * 0.75), "{both}");
        assert!(is_near(admitted, 0.5), "{admitted}");
        assert!(is_near(admitted_assertive, 0.5 * 0.75), "{admitted_assertive}");
    }

    #[test]
    fn a_unit_gets_the_same_arm_however_its_accents_are_composed() {
        let arms: Vec<String> = (0..64).map(|arm| arm.to_string()).collect();
        let arms: Vec<(&str, u32)> = arms.iter().map(|arm| (arm.as_str(), 1)).collect();
        let experiment = experiment(&arms, 10_000);
        let of = |unit: &str| experiment.assign(unit).unwrap();
        for (composed, apart) in [
            ("Zo\u{eb}", "Zoe\u{308}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            ("s\u{e9}ance", "se\u{301}ance"),
        ] {
            assert_eq!(of(composed), of(apart));
        }
        assert_ne!(of("Zo\u{eb}"), of("Zoe"));
    }

    #[test]
    fn merging_tallies_is_commutative_and_associative_with_the_empty_one_neutral() {
        let tally = |arm: &str, exposures| {
            Tally::of(
                arm,
                Counts { exposures, revenue_minor: exposures as i64 * 100, ..Counts::default() },
            )
        };
        let (a, b, c) = (tally("x", 1), tally("y", 2), tally("x", 4));
        let merged = |list: &[&Tally]| {
            let mut sum = Tally::default();
            list.iter().for_each(|tally| sum.merge(tally));
            sum
        };
        assert_eq!(merged(&[&a, &b, &c]), merged(&[&c, &b, &a]));
        assert_eq!(merged(&[&merged(&[&a, &b]), &c]), merged(&[&a, &merged(&[&b, &c])]));
        assert_eq!(merged(&[&Tally::default(), &a]), a);
    }
}
