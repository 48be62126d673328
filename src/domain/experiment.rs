//! Which arm a unit gets, what was exposed, and mergeable counts of what followed.
//!
//! Assignment is a pure function of the definition in force and the unit: murmur3 x86_32 over the UTF-8 bytes (NFC) of
//! `salt:experiment:unit`, mapped to integer weights by `(hash * total) >> 32` (flagd's rule, without modulo bias).

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use crate::domain::event::{EventType, Interaction};
use crate::domain::journey::{Outcome, Stage};
use crate::domain::units::{EventId, EventTime, HOUR_MS, LeadKey, Tenant};

/// At most this many experiments are remembered per lead; the oldest is forgotten first.
const REMEMBERED_MAX: usize = 4;

/// What is assigned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Each lead by itself.
    Lead,
    /// All leads of an agent together.
    Agent,
}

impl Unit {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Agent => "agent",
        }
    }
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
    pub coverage: u32,
    /// Stages it applies to; empty: all.
    pub stages: Vec<Stage>,
    /// How long after the exposure an outcome counts, hours.
    pub window_hours: i64,
    /// Whether new units are let in; a stopped one keeps counting outcomes only.
    pub running: bool,
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

/// MurmurHash3 x86_32 (Austin Appleby, public domain reference `MurmurHash3.cpp`).
#[must_use]
pub fn murmur3(data: &[u8], seed: u32) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = seed;
    let (blocks, tail) = data.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ mix(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        hash ^= mix(last);
    }
    hash ^= u32::try_from(data.len() & 0xffff_ffff).expect("masked to 32 bits");
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Where a text falls among `total` places. The same name typed on two systems may differ in how its accents are composed: it is composed
/// here (NFC, Unicode Standard Annex 15) before it is hashed.
fn bucket(text: &str, total: u32) -> u32 {
    let hash = if text.is_ascii() { murmur3(text.as_bytes(), 0) } else { murmur3(text.nfc().collect::<String>().as_bytes(), 0) };
    let scaled = (u64::from(hash) * u64::from(total)) >> 32;
    u32::try_from(scaled).expect("below the total, which is 32 bits")
}

impl Experiment {
    /// The arm of a unit; `None` when the unit is not let in or the stage is not targeted.
    #[must_use]
    pub fn assign(&self, unit: &str, stage: Stage) -> Option<Assignment> {
        let targeted = self.stages.is_empty() || self.stages.contains(&stage);
        let total: u32 = self.arms.iter().map(|(_, weight)| weight).sum();
        // The gate has its own salt, so that changing the coverage never moves a unit between arms.
        let admitted = bucket(&format!("{}:gate:{}:{unit}", self.salt, self.name), 10_000) < self.coverage;
        if !(self.running && targeted && admitted && total > 0) {
            return None;
        }
        let bucket = bucket(&format!("{}:{}:{unit}", self.salt, self.name), total);
        let mut reached = 0;
        let (arm, weight) = self.arms.iter().find(|(_, weight)| {
            reached += weight;
            bucket < reached
        })?;
        Some(Assignment { arm: arm.clone(), bucket, propensity: f64::from(*weight) / f64::from(total) })
    }
}

/// A lead's place in an experiment, kept so that it stays in its arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The experiment.
    pub experiment: String,
    /// Version of the definition that assigned it.
    pub version: u32,
    /// The arm.
    pub arm: String,
    /// See [`Assignment::bucket`].
    pub bucket: u32,
    /// See [`Assignment::propensity`].
    pub propensity: f64,
    /// First exposure.
    pub exposed_at: EventTime,
    /// Outcomes after this no longer count.
    pub until: EventTime,
    /// An appointment was counted.
    pub appointment: bool,
    /// A win or loss was counted.
    pub ended: bool,
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
}

/// Counts of one arm; merging adds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leads exposed for the first time.
    pub exposed_units: u64,
    /// Uses of the strategy.
    pub exposures: u64,
    /// Messages of exposed leads within the window.
    pub replies: u64,
    /// Exposed leads with an appointment within the window.
    pub appointments: u64,
    /// Exposed leads won within the window.
    pub conversions: u64,
    /// Exposed leads lost within the window.
    pub losses: u64,
    /// Value of the conversions, minor units.
    pub revenue_minor: i64,
}

impl Counts {
    fn merge(&mut self, other: &Self) {
        self.exposed_units += other.exposed_units;
        self.exposures += other.exposures;
        self.replies += other.replies;
        self.appointments += other.appointments;
        self.conversions += other.conversions;
        self.losses += other.losses;
        self.revenue_minor = self.revenue_minor.saturating_add(other.revenue_minor);
    }
}

/// Counts of an experiment by arm. Merging is associative and commutative; the empty tally is neutral.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts by arm.
    pub arms: BTreeMap<String, Counts>,
}

impl Tally {
    /// A tally of one arm.
    #[must_use]
    pub fn of(arm: &str, counts: Counts) -> Self {
        Self { arms: BTreeMap::from([(arm.to_owned(), counts)]) }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        for (arm, counts) in &other.arms {
            self.arms.entry(arm.clone()).or_default().merge(counts);
        }
    }
}

/// Name of one experiment of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentKey {
    /// Whose.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Version of the definition.
    pub version: u32,
}

/// Counts of an experiment over all partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// Newest event time among the partitions that reported.
    pub at: EventTime,
    /// The merged counts.
    pub tally: Tally,
}

/// The places of one lead in experiments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places(pub Vec<Place>);

impl Places {
    /// Counts the outcomes that an event brings to the experiments this lead was exposed to.
    #[must_use]
    pub fn outcomes(&mut self, event: &Interaction, outcome: Option<Outcome>) -> Vec<(String, u32, Tally)> {
        let at = event.occurred_at;
        let value = event.opportunity.as_ref().and_then(|deal| deal.value_minor).unwrap_or(0);
        let open = self.0.iter_mut().filter(|place| at >= place.exposed_at && at <= place.until);
        open.filter_map(|place| {
            let counts = place.count(&event.kind, outcome, value);
            (counts != Counts::default()).then(|| (place.experiment.clone(), place.version, Tally::of(&place.arm, counts)))
        })
        .collect()
    }

    /// The place in an experiment.
    #[must_use]
    pub fn find(&self, experiment: &str, version: u32) -> Option<&Place> {
        self.0.iter().find(|place| place.experiment == experiment && place.version == version)
    }

    /// Notes the first exposure to an arm.
    pub fn enter(&mut self, experiment: &Experiment, assignment: Assignment, at: EventTime) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.remove(0);
        }
        self.0.push(Place {
            experiment: experiment.name.clone(),
            version: experiment.version,
            arm: assignment.arm,
            bucket: assignment.bucket,
            propensity: assignment.propensity,
            exposed_at: at,
            until: at.plus(experiment.window_hours.saturating_mul(HOUR_MS)),
            appointment: false,
            ended: false,
        });
    }
}

impl Place {
    fn count(&mut self, kind: &EventType, outcome: Option<Outcome>, value_minor: i64) -> Counts {
        let mut counts = Counts::default();
        match kind {
            EventType::MessageReceived => counts.replies = 1,
            EventType::AppointmentBooked | EventType::AppointmentRequested if !self.appointment => {
                self.appointment = true;
                counts.appointments = 1;
            }
            _ => {}
        }
        match outcome {
            Some(Outcome::Won) if !self.ended => {
                counts.conversions = 1;
                counts.revenue_minor = value_minor;
            }
            Some(Outcome::Lost) if !self.ended => counts.losses = 1,
            _ => {}
        }
        self.ended |= outcome.is_some();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(arms: &[(&str, u32)], coverage: u32) -> Experiment {
        Experiment {
            tenant: Tenant::new("acme").unwrap(),
            name: "tone".into(),
            version: 1,
            config_sha256: String::new(),
            unit: Unit::Lead,
            salt: "s1".into(),
            arms: arms.iter().map(|(arm, weight)| ((*arm).to_owned(), *weight)).collect(),
            coverage,
            stages: Vec::new(),
            window_hours: 24,
            running: true,
        }
    }

    #[test]
    fn murmur3_gives_the_published_values() {
        // Verification values of the reference implementation (aappleby/smhasher, as used by flagd and Unleash tests).
        for (text, seed, hash) in [
            ("", 0, 0),
            ("", 1, 0x514e_28b7),
            ("test", 0, 0xba6b_d213),
            ("Hello, world!", 0, 0xc036_3e43),
            ("aaaa", 0x9747_b28c, 0x5a97_808a),
            ("abc", 0, 0xb3dd_93fa),
        ] {
            assert_eq!(murmur3(text.as_bytes(), seed), hash, "{text:?} {seed}");
        }
    }

    #[test]
    fn a_million_units_spread_by_weight_independently_of_other_experiments_and_coverage_never_moves_one() {
        const UNITS: i32 = 1_000_000;
        let arms = [("empathetic", 1), ("assertive", 3)];
        let (half, full) = (experiment(&arms, 5_000), experiment(&arms, 10_000));
        let other = Experiment { name: "length".into(), ..experiment(&arms, 10_000) };
        let (mut assertive, mut both, mut admitted, mut admitted_assertive) = (0, 0, 0, 0);
        for unit in 0..UNITS {
            let unit = format!("lead-{unit}");
            let all = full.assign(&unit, Stage::Awareness).unwrap();
            let is_assertive = i32::from(all.arm == "assertive");
            assertive += is_assertive;
            both += i32::from(is_assertive == 1 && other.assign(&unit, Stage::Awareness).unwrap().arm == "assertive");
            if let Some(some) = half.assign(&unit, Stage::Awareness) {
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
        let of = |unit: &str| experiment.assign(unit, Stage::Awareness).unwrap();
        for (composed, apart) in [("Zo\u{eb}", "Zoe\u{308}"), ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"), ("s\u{e9}ance", "se\u{301}ance")] {
            assert_eq!(of(composed), of(apart));
        }
        assert_ne!(of("Zo\u{eb}"), of("Zoe"));
    }

    #[test]
    fn merging_tallies_is_commutative_and_associative_with_the_empty_one_neutral() {
        let tally = |arm: &str, exposures| Tally::of(arm, Counts { exposures, revenue_minor: exposures as i64 * 100, ..Counts::default() });
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
