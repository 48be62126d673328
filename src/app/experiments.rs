//! What is registered of experiments, what came of them, whether it was done as registered, and
//! their changes of state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::definitions::{self, Applied, apply};
use crate::app::query::Shown;
use crate::app::sources::OpenSources;
use crate::codec::model::starting_rules;
use crate::codec::records::definition;
use crate::codec::shown;
use crate::codec::topics::{DEFINITIONS, EXPOSURES, METRICS};
use crate::domain::audit::Audit;
use crate::domain::experiment::{Experiment, State};
use crate::domain::rules::{Body, Definition, Rules};
use crate::domain::units::Partition;
use crate::log::registry::Schemas;
use crate::log::{self, Backend};

/// Why something cannot be said or done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such experiment.
    #[error("{} has no experiment {}", .0.tenant, .0.experiment)]
    Unknown(Name),
    /// Nothing was counted for it.
    #[error("nothing was counted for experiment {} of {} yet", .0.experiment, .0.tenant)]
    Uncounted(Name),
    /// The state it would get is the one it has.
    #[error("{experiment} is {state} since version {version}")]
    Unchanged {
        /// The experiment.
        experiment: String,
        /// Its state.
        state: &'static str,
        /// Its newest version.
        version: u32,
    },
    /// Nothing starts again that has ended.
    #[error(
        "{0} has concluded and enrolls no more leads: to run it again, apply a new experiment (a \
            version without revises)"
    )]
    Over(String),
    /// A change may not come before the version that it changes.
    #[error("version {version} takes effect at {since}: give a later time with --at")]
    TooEarly {
        /// The newest version.
        version: u32,
        /// When it takes effect.
        since: Timestamp,
    },
    /// The next version is not applied.
    #[error(transparent)]
    Apply(#[from] definitions::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
}

/// An experiment of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The tenant.
    pub tenant: String,
    /// The experiment.
    pub experiment: String,
}

impl Name {
    fn is_of(&self, experiment: &Experiment) -> bool {
        experiment.tenant.as_str() == self.tenant && experiment.name == self.experiment
    }
}

/// All definitions that are in force, in the order of the log.
struct Registered {
    experiments: Vec<(Definition, Experiment)>,
    rules: Rules,
}

impl Registered {
    fn read(log: &Backend) -> Result<Self, log::Error> {
        let (mut experiments, mut rules) = (Vec::new(), starting_rules());
        log.committed()?.all::<log::Error>((DEFINITIONS, Partition(0)), &mut |_, record| {
            let Ok((definition, body)) = definition(&record) else { return Ok(()) };
            let experiment = match &body {
                Body::Experiment(experiment) => Some(experiment.clone()),
                _ => None,
            };
            if rules.define(&definition, body).is_ok() {
                experiments.extend(experiment.map(|experiment| (definition, experiment)));
            }
            Ok(())
        })?;
        Ok(Self { experiments, rules })
    }

    fn versions(&self, name: &Name) -> Result<Vec<&(Definition, Experiment)>, Error> {
        let versions: Vec<_> =
            self.experiments.iter().filter(|(_, experiment)| name.is_of(experiment)).collect();
        if versions.is_empty() { Err(Error::Unknown(name.clone())) } else { Ok(versions) }
    }

    fn state(&self, experiment: &Experiment) -> &'static str {
        if self.rules.is_concluded(&experiment.key()) {
            "concluded"
        } else {
            experiment.state.as_str()
        }
    }
}

/// The newest counts and results by `tenant:experiment`, of the keys that are meant; under
/// `tenant:` stands what the tenant's conversions are credited to.
///
/// # Errors
/// When the log cannot be read.
pub fn newest(
    log: &Backend,
    schemas: &Schemas,
    is_meant: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, Value>, log::Error> {
    let committed = log.committed()?;
    let mut records = BTreeMap::new();
    for partition in (0..log.partitions()).map(Partition) {
        committed.all::<log::Error>((METRICS, partition), &mut |_, record| {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            if let Some(key) = key.filter(|key| is_meant(key)) {
                records.insert(key.to_owned(), record.value.unwrap_or_default());
            }
            Ok(())
        })?;
    }
    let mut shown = Shown::new(schemas);
    Ok(records.into_iter().map(|(key, value)| (key, shown.value(&value))).collect())
}

/// An experiment with its state and decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The tenant.
    pub tenant: String,
    /// The experiment.
    pub experiment: String,
    /// Its newest version.
    pub version: u32,
    /// State of that version, or `concluded`.
    pub state: String,
    /// What gets an arm: `lead`, `agent` or `team`.
    pub unit: String,
    /// The metric that decides; `None`: it compares nothing.
    pub goal: Option<String>,
    /// Units that were exposed.
    pub units: u64,
    /// The decision so far.
    pub decision: Option<String>,
}

/// Every experiment by tenant and name; with `all` also those that are archived.
///
/// # Errors
/// When the log cannot be read.
pub fn list(
    log: &Backend,
    schemas: &Schemas,
    tenant: Option<&str>,
    all: bool,
) -> Result<Vec<Listed>, Error> {
    let registered = Registered::read(log)?;
    let results = newest(log, schemas, &|_| true)?;
    let mut experiments: BTreeMap<(&str, &str), &(Definition, Experiment)> = BTreeMap::new();
    for version in &registered.experiments {
        let (definition, experiment) = version;
        let place =
            experiments.entry((experiment.tenant.as_str(), &experiment.name)).or_insert(version);
        if (definition.effective_at, definition.version) >= (place.0.effective_at, place.0.version)
        {
            *place = version;
        }
    }
    let is_meant = |experiment: &Experiment| {
        tenant.is_none_or(|tenant| tenant == experiment.tenant.as_str())
            && (all || experiment.state != State::Archived)
    };
    let listed = experiments.into_values().filter(|(_, experiment)| is_meant(experiment));
    Ok(listed
        .map(|(_, experiment)| {
            let (tenant, name) = (experiment.tenant.as_str(), &experiment.name);
            let counts = results
                .get(&format!("{tenant}:{name}"))
                .filter(|counts| counts["version"] == experiment.base_version)
                .unwrap_or(&Value::Null);
            let arms = counts["arms"].as_array().into_iter().flatten();
            let goal = experiment.plan.as_ref().and_then(|plan| plan.measures.first());
            Listed {
                tenant: tenant.to_owned(),
                experiment: name.clone(),
                version: experiment.version,
                state: registered.state(experiment).to_owned(),
                unit: experiment.unit.as_str().to_owned(),
                goal: goal.map(|measure| measure.metric.as_str().to_owned()),
                units: arms.filter_map(|arm| arm["exposed_units"].as_u64()).sum(),
                decision: counts["results"]["decision"].as_str().map(str::to_owned),
            }
        })
        .collect())
}

/// One version of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: u32,
    /// The version that it revises, or itself.
    pub began: u32,
    /// Its state.
    pub state: String,
    /// Whether the experiment has concluded.
    pub concluded: bool,
    /// From which event time on, milliseconds since 1970.
    pub effective_at: i64,
    /// What exposures name of it.
    pub config_sha256: String,
    /// What was registered.
    pub body: Value,
}

/// Every version of an experiment, in the order of the log.
///
/// # Errors
/// [`Error::Unknown`], or when the log cannot be read.
pub fn versions(log: &Backend, name: &Name) -> Result<Vec<Version>, Error> {
    let registered = Registered::read(log)?;
    let version = |(definition, experiment): &(Definition, Experiment)| Version {
        version: definition.version,
        began: experiment.base_version,
        state: experiment.state.as_str().to_owned(),
        concluded: registered.rules.is_concluded(&experiment.key()),
        effective_at: definition.effective_at.0,
        config_sha256: experiment.config_sha256.clone(),
        body: body(definition),
    };
    Ok(registered.versions(name)?.into_iter().map(version).collect())
}

/// What is in force was read as JSON before.
fn body(definition: &Definition) -> Value {
    serde_json::from_str(&definition.body).unwrap_or_default()
}

/// The newest counts and results of an experiment.
///
/// # Errors
/// [`Error::Uncounted`], or when the log cannot be read.
pub fn results(log: &Backend, schemas: &Schemas, name: &Name) -> Result<Value, Error> {
    let key = format!("{}:{}", name.tenant, name.experiment);
    let found = newest(log, schemas, &|other| other == key)?.remove(&key);
    found.ok_or_else(|| Error::Uncounted(name.clone()))
}

/// The newest counts and results of a tenant's experiments, or of one of them, that report segment
/// effects.
///
/// # Errors
/// When the log cannot be read.
pub fn segments(
    log: &Backend,
    schemas: &Schemas,
    tenant: &str,
    experiment: Option<&str>,
) -> Result<Vec<Value>, Error> {
    let is_meant = |key: &str| {
        let name = key.strip_prefix(tenant).and_then(|rest| rest.strip_prefix(':'));
        name.is_some_and(|name| match experiment {
            Some(experiment) => name == experiment,
            None => !name.is_empty(),
        })
    };
    let mut all: Vec<Value> = newest(log, schemas, &is_meant)?.into_values().collect();
    all.retain(|reported| reported["results"]["segments"].is_array());
    Ok(all)
}

/// What a tenant's conversions are credited to; `None`: no coached lead was won or lost yet.
///
/// # Errors
/// When the log cannot be read.
pub fn attribution(log: &Backend, schemas: &Schemas, tenant: &str) -> Result<Option<Value>, Error> {
    let key = format!("{tenant}:");
    Ok(newest(log, schemas, &|other| other == key)?.remove(&key))
}

/// A change of an experiment's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The experiment.
    #[serde(flatten)]
    pub name: Name,
    /// The state it gets: `running`, `paused`, `stopped` or `archived`.
    pub state: String,
    /// From which event time on; now, if not given.
    pub at: Option<Timestamp>,
    /// Why, kept with the version.
    pub reason: Option<String>,
}

/// Applies the next version of an experiment, which differs from the newest in its state.
///
/// # Errors
/// [`Error`].
pub fn change(
    log: &Backend,
    sources: &OpenSources,
    StateChange { name, state, at, reason }: &StateChange,
) -> Result<Applied, Error> {
    let registered = Registered::read(log)?;
    let versions = registered.versions(name)?;
    let newest = versions.into_iter().max_by_key(|(definition, _)| definition.version);
    let Some((definition, experiment)) = newest else {
        return Err(Error::Unknown(name.clone()));
    };
    let version = definition.version;
    if experiment.state.as_str() == state {
        let (experiment, state) = (name.experiment.clone(), experiment.state.as_str());
        return Err(Error::Unchanged { experiment, state, version });
    }
    if registered.rules.is_concluded(&experiment.key())
        && [State::Running, State::Paused].iter().any(|begun| begun.as_str() == state)
    {
        return Err(Error::Over(name.experiment.clone()));
    }
    let at = at.unwrap_or_else(Timestamp::now);
    if at.as_millisecond() < definition.effective_at.0 {
        let since = Timestamp::from_millisecond(definition.effective_at.0).unwrap_or_default();
        return Err(Error::TooEarly { version, since });
    }
    let mut body = body(definition);
    body["state"] = state.as_str().into();
    body["revises"] = experiment.base_version.into();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("reason");
    }
    if let Some(reason) = reason {
        body["reason"] = reason.as_str().into();
    }
    let next = json!({
        "tenant": name.tenant, "kind": definition.kind, "name": name.experiment,
        "version": version + 1, "effective_at": at.to_string(), "body": body,
    });
    Ok(apply(log, sources, next.to_string().as_bytes())?)
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// Exposures looked at.
    pub exposures: u64,
    /// Units seen.
    pub units: u64,
    /// Units that were exposed to more than one arm.
    pub crossed: u64,
    /// Exposures without a chain.
    pub unsealed: u64,
    /// Everything that is not as the definitions and the chain say.
    pub wrong: u64,
    /// The first of those in words.
    pub findings: Vec<String>,
}

/// Recomputes every assignment from the log.
///
/// # Errors
/// When the log cannot be read.
pub fn audit(log: &Backend, schemas: &Schemas) -> Result<Audited, Error> {
    let rules = Registered::read(log)?.rules;
    let (mut audit, mut unsealed) = (Audit::default(), 0);
    let (committed, mut shown) = (log.committed()?, Shown::new(schemas));
    for partition in (0..log.partitions()).map(Partition) {
        committed.all::<log::Error>((EXPOSURES, partition), &mut |offset, record| {
            let place = format!("{}/{}", partition.0, offset.0);
            let record = shown.record((partition, offset), &record);
            match shown::exposure(&record["key"], &record["value"]) {
                Ok(Some(exposure)) => audit.take(&rules, &place, &exposure),
                Ok(None) => unsealed += 1,
                Err(reason) => audit.find(&place, reason),
            }
            Ok(())
        })?;
    }
    let Audit { exposures, units, multi_exposed, wrong, reported, .. } = audit;
    Ok(Audited { exposures, units, crossed: multi_exposed, unsealed, wrong, findings: reported })
}
