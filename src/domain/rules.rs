//! Everything in force for a decision: models, experiments, thresholds, lexicons, stage names,
//! tenant settings.
//!
//! A definition is an immutable version with an effective event time. In force is what was read so
//! far and is effective at the event's time: among those of the tenant, else of all tenants, the
//! newest effective one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::contact::QuietHours;
use crate::domain::experiment::tally::AGENTS_MAX;
use crate::domain::experiment::{Experiment, ExperimentKey};
use crate::domain::journey::Stage;
use crate::domain::journey::stage_map::StageMap;
use crate::domain::lexicon::Lexicon;
use crate::domain::scoring::Model;
use crate::domain::strategy::Strategy;
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS, Tenant};

/// Strategies beside the built-in ones that a tenant's touches are told apart by; further ones are
/// counted as [`OTHER`].
const NAMES_MAX: usize = 16;
/// The name under which they are counted.
const OTHER: &str = "other";

/// One definition record, body not yet read.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Whose; `None`: all tenants.
    pub tenant: Option<Tenant>,
    /// `experiment`, `model`, `thresholds`, `lexicon`, `stages`, `settings` or `policy`.
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
    /// A default strategy, or the end of an experiment.
    Policy(Policy),
}

/// What holds where no experiment gives an arm, and which experiment it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The strategy; `None`: it stays what it was.
    pub strategy: Option<DefaultPolicy>,
    /// Stages it holds for; empty: all.
    pub stages: Vec<Stage>,
    /// The experiment that is over: its name and the version that began it.
    pub concludes: Option<(String, u32)>,
    /// Why, in words.
    pub reason: String,
}

impl Policy {
    fn ends(&self, experiment: &str, base_version: u32) -> bool {
        self.concludes
            .as_ref()
            .is_some_and(|(name, version)| (name.as_str(), *version) == (experiment, base_version))
    }
}

/// What the default policy becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// The rules of [`crate::domain::strategy::policy`].
    Rules,
    /// One strategy.
    Strategy(String),
}

/// Why a definition cannot stand beside those that are there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// Bounds and levels of decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Events older than the lead's newest by more than this are late, milliseconds.
    pub lateness_ms: i64,
    /// Events further ahead of the log's append time are dead-lettered, milliseconds.
    pub max_future_skew_ms: i64,
    /// Ids kept per lead to recognise duplicates.
    pub dedupe_ids: usize,
    /// A warning is raised at this churn risk, 0..=1; see [`crate::domain::alerts`].
    pub churn_alert_threshold: f64,
    /// And cleared below this one.
    pub churn_alert_clear: f64,
    /// A lead that waits longer than this for an answer is a warning, minutes.
    pub answer_minutes: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            lateness_ms: DAY_MS,
            max_future_skew_ms: HOUR_MS,
            dedupe_ids: 256,
            churn_alert_threshold: 0.7,
            churn_alert_clear: 0.5,
            answer_minutes: 60,
        }
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
    /// Share of units that get the default policy whatever experiments there are, of 10,000.
    pub holdout: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timezone: TimeZone::UTC,
            quiet: QuietHours { from: 21, to: 8 },
            daily_cap: 20,
            holdout: 0,
        }
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

impl<T> Version<T> {
    fn holds(&self, tenant: &Tenant, at: EventTime) -> bool {
        self.effective_at <= at && self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    fn is_in(&self, list: &[Self]) -> bool {
        list.iter().any(|other| {
            (&other.tenant, &other.name, other.version) == (&self.tenant, &self.name, self.version)
        })
    }
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
        let holding = self.list.iter().filter(|version| version.holds(tenant, at));
        holding
            .max_by_key(|version| (version.tenant.is_some(), version.effective_at, version.version))
            .map_or(&self.initial, |version| &version.rule)
    }

    fn insert(&mut self, version: Version<T>) {
        if !version.is_in(&self.list) {
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
    policies: Vec<Version<Policy>>,
    /// Strategies beside the built-in ones by whose definitions named them, each with its place
    /// among all, in the order of the log.
    named: BTreeMap<Option<Tenant>, Vec<(usize, String)>>,
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
    /// The tenant's experiments that give arms, each in its newest effective version, by name.
    pub experiments: Vec<&'a Experiment>,
    rules: &'a Rules,
    tenant: &'a Tenant,
    at: EventTime,
}

impl<'a> InForce<'a> {
    /// A version of an experiment of the tenant, whether or not it still runs.
    #[must_use]
    pub fn version(&self, experiment: &str, version: u32) -> Option<&'a Experiment> {
        self.rules.experiment(self.tenant, experiment, version)
    }

    /// The strategy under which a touch is counted: the built-in ones and the first that
    /// definitions of the tenant named, by the order of the log, which is the same in every
    /// partition.
    #[must_use]
    pub fn attribution_label(&self, strategy: &Strategy) -> Strategy {
        let Strategy::Other(name) = strategy else { return strategy.clone() };
        let whose = [None, Some(self.tenant.clone())];
        let own = || whose.iter().filter_map(|whose| self.rules.named.get(whose)).flatten();
        let first = own().filter(|(_, known)| known == name).map(|(place, _)| *place).min();
        let is_first = first
            .is_some_and(|first| own().filter(|(place, _)| *place < first).count() < NAMES_MAX);
        if is_first { strategy.clone() } else { Strategy::Other(OTHER.to_owned()) }
    }

    /// The default policy of a stage, and why; `None`: the built-in rules.
    #[must_use]
    pub fn policy(&self, stage: Stage) -> Option<(&'a str, &'a str)> {
        let own = self.rules.policies.iter().filter(|version| version.holds(self.tenant, self.at));
        let reported = own.filter(|version| {
            version.rule.stages.is_empty() || version.rule.stages.contains(&stage)
        });
        let reported = reported.filter(|version| version.rule.strategy.is_some());
        let newest = reported.max_by_key(|version| {
            (version.tenant.is_some(), version.effective_at, &version.name, version.version)
        })?;
        match newest.rule.strategy.as_ref()? {
            DefaultPolicy::Rules => None,
            DefaultPolicy::Strategy(strategy) => Some((strategy, &newest.rule.reason)),
        }
    }
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
            policies: Vec::new(),
            named: BTreeMap::new(),
        }
    }

    fn name(&mut self, tenant: Option<&Tenant>, strategy: &str) {
        if !matches!(Strategy::parse(strategy), Strategy::Other(_)) {
            return;
        }
        let place = self.named.values().map(Vec::len).sum();
        let own = self.named.entry(tenant.cloned()).or_default();
        if !own.iter().any(|(_, known)| known == strategy) {
            own.push((place, strategy.to_owned()));
        }
    }

    /// Adds a definition; a version that is there already changes nothing.
    ///
    /// # Errors
    /// [`Refusal`] when an experiment continues another one than it may, or claims places of a
    /// layer that another one has.
    pub fn define(&mut self, definition: &Definition, body: Body) -> Result<(), Refusal> {
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
            Body::Policy(policy) => {
                let policy = Version { tenant, name, version, effective_at, rule: policy };
                if !policy.is_in(&self.policies) {
                    if let (Some(tenant), Some((experiment, version))) =
                        (&policy.tenant, &policy.rule.concludes)
                        && self.experiment(tenant, experiment, *version).is_none()
                    {
                        return Err(Refusal(format!(
                            "body.concludes: version {version} of experiment {experiment} of \
                                {tenant} is not there: `leadstream experiment list` has those that \
                                are"
                        )));
                    }
                    if let Some(DefaultPolicy::Strategy(strategy)) = &policy.rule.strategy {
                        self.name(policy.tenant.as_ref(), strategy);
                    }
                    self.policies.push(policy);
                }
            }
            Body::Experiment(experiment) => {
                let experiment = Version { tenant, name, version, effective_at, rule: experiment };
                if !experiment.is_in(&self.experiments) {
                    self.check(&experiment.rule, effective_at)?;
                    experiment
                        .rule
                        .arms
                        .iter()
                        .for_each(|(arm, _)| self.name(experiment.tenant.as_ref(), arm));
                    self.experiments.push(experiment);
                    self.experiments.sort_by(|a, b| {
                        (&a.name, a.effective_at, a.version).cmp(&(
                            &b.name,
                            b.effective_at,
                            b.version,
                        ))
                    });
                }
            }
        }
        Ok(())
    }

    fn check(&self, experiment: &Experiment, effective_at: EventTime) -> Result<(), Refusal> {
        let Experiment { tenant, name, version, base_version, .. } = experiment;
        if base_version != version {
            let Some(first) = self.experiment(tenant, name, *base_version) else {
                return Err(Refusal(format!(
                    "body.revises: version {base_version} of {name} is not there: apply it first"
                )));
            };
            if first.base_version != *base_version {
                let base_version = first.base_version;
                return Err(Refusal(format!(
                    "body.revises: name the version that began it, {base_version}"
                )));
            }
            if let Some(field) = experiment.differs(first) {
                return Err(Refusal(format!(
                    "body.{field}: was registered with version {base_version} and may not change \
                        in a version that revises it: leave out revises to begin a new experiment"
                )));
            }
        }
        let plan = experiment.plan.as_ref().filter(|_| base_version == version);
        if let Some((end, days)) = plan.and_then(|plan| Some((plan.ends_at?, plan.days_min)))
            && end < effective_at.plus(days * DAY_MS)
        {
            return Err(Refusal(format!(
                "body.ends_at: must be at least {days} days after effective_at"
            )));
        }
        if let Some((end, blocks)) = plan.and_then(|plan| plan.ends_at.zip(plan.blocks))
            && blocks.within(effective_at, end) > AGENTS_MAX
        {
            let count = blocks.within(effective_at, end);
            return Err(Refusal(format!(
                "body.block_hours: makes {count} blocks until ends_at, and at most {AGENTS_MAX} \
                    are told apart: take longer blocks"
            )));
        }
        // Only the newest version of each other experiment counts: sorted by name, then time.
        let newest = self
            .experiments
            .chunk_by(|a, b| (&a.tenant, &a.name) == (&b.tenant, &b.name))
            .filter_map(<[_]>::last);
        match newest.map(|other| &other.rule).find(|other| experiment.overlaps(other)) {
            Some(other) => Err(Refusal(format!(
                "body.layer: {} has places of it already: choose a range beside it, or stop it \
                    first",
                other.name
            ))),
            None => Ok(()),
        }
    }

    /// A version of an experiment.
    #[must_use]
    pub fn experiment(&self, tenant: &Tenant, name: &str, version: u32) -> Option<&Experiment> {
        let found = self.experiments.iter().find(|known| {
            known.rule.tenant == *tenant && known.name == name && known.version == version
        });
        found.map(|known| &known.rule)
    }

    /// Every version of an experiment that is effective at `at`, by version.
    pub fn versions(
        &self,
        experiment: &ExperimentKey,
        at: EventTime,
    ) -> impl Iterator<Item = &Experiment> {
        let own = self
            .experiments
            .iter()
            .filter(move |known| known.effective_at <= at)
            .map(|known| &known.rule);
        own.filter(|known| {
            known.tenant == experiment.tenant
                && known.name == experiment.name
                && known.base_version == experiment.version
        })
    }

    /// The highest version of a name that was read, effective or not yet; 0 without any.
    #[must_use]
    pub fn version_max(&self, tenant: &Tenant, name: &str) -> u32 {
        let own = self
            .experiments
            .iter()
            .filter(|known| known.rule.tenant == *tenant && known.name == name);
        own.map(|known| known.version).max().unwrap_or(0)
    }

    /// Whether a policy ends an experiment, effective or not yet.
    #[must_use]
    pub fn is_concluded(&self, experiment: &ExperimentKey) -> bool {
        let mut own = self
            .policies
            .iter()
            .filter(|policy| policy.tenant.as_ref() == Some(&experiment.tenant));
        own.any(|policy| policy.rule.ends(&experiment.name, experiment.version))
    }

    /// What holds for a tenant at `at`.
    #[must_use]
    pub fn in_force<'a>(&'a self, tenant: &'a Tenant, at: EventTime) -> InForce<'a> {
        let mut experiments: Vec<&Experiment> = Vec::new();
        for version in self
            .experiments
            .iter()
            .filter(|version| version.tenant.as_ref() == Some(tenant) && version.effective_at <= at)
        {
            if experiments.last().is_some_and(|last| last.name == version.name) {
                experiments.pop();
            }
            experiments.push(&version.rule);
        }
        let over = |experiment: &&Experiment| {
            let mut holding = self.policies.iter().filter(|policy| policy.holds(tenant, at));
            holding.any(|policy| policy.rule.ends(&experiment.name, experiment.base_version))
        };
        experiments.retain(|experiment| experiment.state.keeps() && !over(experiment));
        InForce {
            model: self.models.in_force(tenant, at),
            thresholds: self.thresholds.in_force(tenant, at),
            lexicon: self.lexicons.in_force(tenant, at),
            stages: self.stages.in_force(tenant, at),
            settings: self.settings.in_force(tenant, at),
            experiments,
            rules: self,
            tenant,
            at,
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
            versions.insert(Version {
                tenant: tenant.cloned(),
                name: "x".into(),
                version,
                effective_at: EventTime(at),
                rule,
            });
        };
        add(None, 1, 10, 1);
        add(Some(&acme), 2, 20, 2);
        add(Some(&acme), 3, 30, 3);
        add(Some(&acme), 3, 0, 99);
        let at = |tenant, at| *versions.in_force(tenant, EventTime(at));
        assert_eq!(
            [at(&acme, 9), at(&acme, 10), at(&acme, 25), at(&acme, 30), at(&other, 40)],
            [0, 1, 2, 3, 1]
        );
    }
}
