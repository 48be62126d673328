//! Everything in force for a decision: models, experiments, thresholds, lexicons, stage names, tenant settings.
//!
//! A definition is an immutable version with an effective event time. In force is what was read so far and is effective
//! at the event's time: among those of the tenant, else of all tenants, the newest effective one.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::contact::QuietHours;
use crate::domain::experiment::Experiment;
use crate::domain::journey::StageMap;
use crate::domain::lexicon::Lexicon;
use crate::domain::scoring::Model;
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS, Tenant};

/// One definition record, body not yet read.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Whose; `None`: all tenants.
    pub tenant: Option<Tenant>,
    /// `experiment`, `model`, `thresholds`, `lexicon`, `stages` or `settings`.
    pub kind: String,
    /// Its name within the kind.
    pub name: String,
    /// Counted from 1; a version never changes.
    pub version: u32,
    /// In force for events from this time on.
    pub effective_at: EventTime,
    /// JSON, by kind.
    pub body: String,
}

/// A definition body after reading.
#[derive(Clone, Debug)]
pub enum Body {
    /// An experiment.
    Experiment(Experiment),
    /// A model.
    Model(Arc<Model>),
    /// Thresholds.
    Thresholds(Thresholds),
    /// A lexicon.
    Lexicon(Arc<Lexicon>),
    /// Names of CRM stages.
    Stages(Arc<StageMap>),
    /// Settings of a tenant.
    Settings(Settings),
}

/// Bounds and levels of decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Events older than the lead's newest by more than this are late, milliseconds.
    pub lateness_ms: i64,
    /// Events further ahead of the log's append time are dead-lettered, milliseconds.
    pub future_ms: i64,
    /// Ids kept per lead to recognise duplicates.
    pub dedupe_ids: usize,
    /// A warning is raised at this churn risk, 0..=1; see [`crate::domain::risk`].
    pub warn_raise: f64,
    /// And cleared below this one.
    pub warn_clear: f64,
    /// A lead that waits longer than this for an answer is a warning, minutes.
    pub answer_minutes: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { lateness_ms: DAY_MS, future_ms: HOUR_MS, dedupe_ids: 256, warn_raise: 0.7, warn_clear: 0.5, answer_minutes: 60 }
    }
}

/// How a tenant works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Timezone of leads that have none of their own.
    pub timezone: TimeZone,
    /// When nobody is contacted, in the lead's timezone.
    pub quiet: QuietHours,
    /// Leads shown to one agent per worklist and day.
    pub daily_cap: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timezone: TimeZone::UTC, quiet: QuietHours { from: 21, to: 8 }, daily_cap: 20 }
    }
}

/// One version of a rule.
#[derive(Clone, Debug)]
struct Version<T> {
    tenant: Option<Tenant>,
    name: String,
    version: u32,
    effective_at: EventTime,
    rule: T,
}

/// Versions of one kind with the default that is in force before any.
#[derive(Clone, Debug)]
struct Versions<T> {
    initial: T,
    list: Vec<Version<T>>,
}

impl<T> Versions<T> {
    fn new(initial: T) -> Self {
        Self { initial, list: Vec::new() }
    }

    fn in_force(&self, tenant: &Tenant, at: EventTime) -> &T {
        let effective = self.list.iter().filter(|version| version.effective_at <= at);
        let ranked = effective.filter(|version| version.tenant.as_ref().is_none_or(|own| own == tenant));
        ranked
            .max_by_key(|version| (version.tenant.is_some(), version.effective_at, version.version))
            .map_or(&self.initial, |version| &version.rule)
    }

    fn insert(&mut self, version: Version<T>) {
        let same = |other: &Version<T>| (&other.tenant, &other.name, other.version) == (&version.tenant, &version.name, version.version);
        if !self.list.iter().any(same) {
            self.list.push(version);
        }
    }
}

/// All rules read so far.
#[derive(Clone, Debug)]
pub struct Rules {
    models: Versions<Arc<Model>>,
    thresholds: Versions<Thresholds>,
    lexicons: Versions<Arc<Lexicon>>,
    stages: Versions<Arc<StageMap>>,
    settings: Versions<Settings>,
    experiments: Vec<Version<Experiment>>,
}

/// What holds for one tenant at one time.
#[derive(Clone, Debug)]
pub struct InForce<'a> {
    /// The model.
    pub model: &'a Model,
    /// Thresholds.
    pub thresholds: &'a Thresholds,
    /// The lexicon.
    pub lexicon: &'a Lexicon,
    /// CRM stage names.
    pub stages: &'a StageMap,
    /// The tenant's settings.
    pub settings: &'a Settings,
    /// The tenant's experiments, each in its newest effective version, by name.
    pub experiments: Vec<&'a Experiment>,
}

impl Rules {
    /// The rules before any definition.
    #[must_use]
    pub fn new(model: Arc<Model>, lexicon: Arc<Lexicon>) -> Self {
        Self {
            models: Versions::new(model),
            thresholds: Versions::new(Thresholds::default()),
            lexicons: Versions::new(lexicon),
            stages: Versions::new(Arc::new(StageMap::default())),
            settings: Versions::new(Settings::default()),
            experiments: Vec::new(),
        }
    }

    /// Adds a definition; a version that is there already changes nothing.
    pub fn define(&mut self, definition: &Definition, body: Body) {
        let Definition { tenant, name, version, effective_at, .. } = definition.clone();
        macro_rules! insert {
            ($versions:expr, $rule:expr) => {
                $versions.insert(Version { tenant, name, version, effective_at, rule: $rule })
            };
        }
        match body {
            Body::Model(model) => insert!(self.models, model),
            Body::Thresholds(thresholds) => insert!(self.thresholds, thresholds),
            Body::Lexicon(lexicon) => insert!(self.lexicons, lexicon),
            Body::Stages(stages) => insert!(self.stages, stages),
            Body::Settings(settings) => insert!(self.settings, settings),
            Body::Experiment(experiment) => {
                let known = self.experiments.iter().any(|other| (&other.tenant, &other.name, other.version) == (&tenant, &name, version));
                if !known {
                    self.experiments.push(Version { tenant, name, version, effective_at, rule: experiment });
                    self.experiments.sort_by(|a, b| (&a.name, a.effective_at, a.version).cmp(&(&b.name, b.effective_at, b.version)));
                }
            }
        }
    }

    /// What holds for a tenant at `at`.
    #[must_use]
    pub fn in_force(&self, tenant: &Tenant, at: EventTime) -> InForce<'_> {
        let mut experiments: Vec<&Experiment> = Vec::new();
        for version in self.experiments.iter().filter(|version| version.tenant.as_ref() == Some(tenant) && version.effective_at <= at) {
            if experiments.last().is_some_and(|last| last.name == version.name) {
                experiments.pop();
            }
            experiments.push(&version.rule);
        }
        InForce {
            model: self.models.in_force(tenant, at),
            thresholds: self.thresholds.in_force(tenant, at),
            lexicon: self.lexicons.in_force(tenant, at),
            stages: self.stages.in_force(tenant, at),
            settings: self.settings.in_force(tenant, at),
            experiments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_effective_version_of_the_tenant_wins() {
        let (acme, other) = (Tenant::new("acme").unwrap(), Tenant::new("other").unwrap());
        let mut versions = Versions::new(0);
        let mut add = |tenant: Option<&Tenant>, version, at, rule| {
            versions.insert(Version { tenant: tenant.cloned(), name: "x".into(), version, effective_at: EventTime(at), rule });
        };
        add(None, 1, 10, 1);
        add(Some(&acme), 2, 20, 2);
        add(Some(&acme), 3, 30, 3);
        add(Some(&acme), 3, 0, 99);
        let at = |tenant, at| *versions.in_force(tenant, EventTime(at));
        assert_eq!([at(&acme, 9), at(&acme, 10), at(&acme, 25), at(&acme, 30), at(&other, 40)], [0, 1, 2, 3, 1]);
    }
}
