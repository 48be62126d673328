//! The body of an experiment's definition.

mod plan;

use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::codec::definition::experiment::plan::plan;
use crate::codec::definition::{Error, read, refused, stages_of, strategy};
use crate::codec::hex;
use crate::domain::experiment::analysis::business::{Cost, Costs};
use crate::domain::experiment::plan::{Metric, Plan};
use crate::domain::experiment::{BUCKETS, Condition, Experiment, Layer, State, Unit};
use crate::domain::features::Feature;
use crate::domain::journey::stage_map::normal_name;
use crate::domain::units::Tenant;

/// Full days that every experiment runs before a decision other than a roll back: a week, since its
/// days differ.
const DAYS_MIN: i64 = 7;
/// Metrics of one experiment.
const MEASURES_MAX: usize = 8;
/// Bytes of the reason for a version.
const REASON_BYTES_MAX: usize = 2_000;
/// Smallest floor of a bandit: a unit of an arm that rare counts a hundredfold.
const FLOOR_MIN: f64 = 0.01;
/// Longest epoch of a bandit, days.
const EPOCH_DAYS_MAX: i64 = 90;
/// Longest block of the unit team, hours: four weeks.
const BLOCK_MAX: i64 = 24 * 28;
/// Largest cost, minor units: sums of them stay exact.
const COST_MAX: u64 = 1_000_000_000_000;
/// Longest window, hours: a year.
const WINDOW_MAX: i64 = 24 * 365;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentBody {
    unit: String,
    salt: String,
    arms: Vec<Arm>,
    #[serde(default = "everybody")]
    traffic_allocation: u32,
    #[serde(default)]
    stages: Vec<String>,
    #[serde(default)]
    target: Vec<Target>,
    layer: Option<LayerBody>,
    window_hours: i64,
    state: Option<String>,
    revises: Option<u32>,
    goal: Option<MeasureBody>,
    #[serde(default)]
    guardrails: Vec<MeasureBody>,
    #[serde(default)]
    metrics: Vec<MeasureBody>,
    alpha: Option<f64>,
    planned_units: Option<u64>,
    ends_at: Option<String>,
    control: Option<String>,
    decisions: Option<DecisionsBody>,
    allocation: Option<AllocationBody>,
    covariate: Option<String>,
    strata: Option<String>,
    agents_max: Option<u32>,
    block_hours: Option<i64>,
    washout_hours: Option<i64>,
    #[serde(default)]
    costs: Vec<CostBody>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    strategy: String,
    weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    feature: String,
    at_least: Option<f32>,
    below: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerBody {
    name: String,
    from: u32,
    to: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureBody {
    metric: String,
    margin: Option<f64>,
    window_hours: Option<i64>,
    cap: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionsBody {
    days_min: Option<i64>,
    equivalence: Option<f64>,
    act: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllocationBody {
    rule: String,
    floor: f64,
    epoch_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CostBody {
    arm: String,
    #[serde(default)]
    once_minor: u64,
    #[serde(default)]
    per_unit_minor: u64,
    #[serde(default)]
    per_week_minor: u64,
}

fn everybody() -> u32 {
    BUCKETS
}

pub(crate) fn experiment(
    tenant: Option<&Tenant>,
    (name, version): (&str, u32),
    text: &[u8],
) -> Result<Experiment, Error> {
    let Some(tenant) = tenant else {
        return refused("tenant: an experiment belongs to one tenant");
    };
    let body: ExperimentBody = read(text, "body")?;
    let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.as_str() == body.unit) else {
        return refused(format!(
            "body.unit: {:?} is none of {}",
            body.unit,
            Unit::ALL.map(Unit::as_str).join(", ")
        ));
    };
    let arms = arms(&body.arms)?;
    if body.traffic_allocation > BUCKETS || !(1..=WINDOW_MAX).contains(&body.window_hours) {
        return refused("body: traffic_allocation must be 0 to 10,000 and window_hours 1 to 8,760");
    }
    if body.revises.is_some_and(|base_version| base_version == 0 || base_version >= version) {
        return refused(
            "body.revises: names an earlier version, the one that began the experiment",
        );
    }
    if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        return refused(format!("body.reason: at most {REASON_BYTES_MAX} bytes are taken"));
    }
    let plan = plan(&body, &arms, unit)?;
    let costs = costs(&body.costs, &arms, (unit, plan.as_ref()))?;
    Ok(Experiment {
        tenant: tenant.clone(),
        name: name.to_owned(),
        version,
        config_sha256: hex(&Sha256::digest(text)),
        unit,
        salt: body.salt,
        arms,
        traffic_allocation: body.traffic_allocation,
        stages: stages_of(&body.stages)?,
        target: body.target.into_iter().enumerate().map(condition).collect::<Result<_, _>>()?,
        layer: body.layer.map(layer).transpose()?,
        window_hours: body.window_hours,
        state: state(body.state.as_deref())?,
        base_version: body.revises.unwrap_or(version),
        source: String::from_utf8_lossy(text).into(),
        plan: plan.map(Arc::new),
        costs,
    })
}

fn costs(
    list: &[CostBody],
    arms: &[(String, u32)],
    (unit, plan): (Unit, Option<&Plan>),
) -> Result<Costs, Error> {
    let Some(plan) = plan.filter(|_| !list.is_empty()) else { return Ok(Costs::new()) };
    if unit != Unit::Lead {
        return refused(
            "body.costs: what an arm is worth a week is told of the unit lead alone: leave it out",
        );
    }
    if !plan
        .measures
        .iter()
        .any(|measure| matches!(measure.metric, Metric::ConversionRate | Metric::Revenue))
    {
        return refused(
            "body.costs: need conversion_rate or revenue among the metrics, to be set against",
        );
    }
    let mut costs = Costs::new();
    for (place, body) in list.iter().enumerate() {
        let CostBody { once_minor, per_unit_minor, per_week_minor, .. } = *body;
        if !arms.iter().any(|(arm, _)| *arm == body.arm) {
            return refused(format!(
                "body.costs[{place}].arm: {:?} is no arm of this experiment",
                body.arm
            ));
        }
        if body.arm == plan.control && once_minor > 0 {
            return refused(format!(
                "body.costs[{place}].once_minor: the control is there already: leave it out"
            ));
        }
        if [once_minor, per_unit_minor, per_week_minor].iter().any(|cost| *cost > COST_MAX) {
            return refused(format!(
                "body.costs[{place}]: each cost is 0 to {COST_MAX} minor units"
            ));
        }
        if costs
            .insert(body.arm.clone(), Cost { once_minor, per_unit_minor, per_week_minor })
            .is_some()
        {
            return refused(format!(
                "body.costs[{place}].arm: {:?} has its costs already: name each arm once",
                body.arm
            ));
        }
    }
    Ok(costs)
}

fn arms(arms: &[Arm]) -> Result<Vec<(String, u32)>, Error> {
    let total: u64 = arms.iter().map(|arm| u64::from(arm.weight)).sum();
    if !(2..=16).contains(&arms.len()) || total == 0 || total > 1_000_000 {
        return refused(
            "body.arms: 2 to 16 arms with weights that sum to 1 to 1,000,000 are needed",
        );
    }
    for (place, arm) in arms.iter().enumerate() {
        strategy(&format!("body.arms[{place}].strategy"), &arm.strategy)?;
    }
    let mut names: Vec<_> = arms.iter().map(|arm| normal_name(&arm.strategy)).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != arms.len() {
        return refused(
            "body.arms: each strategy needs its own name: two are the same but for case, blanks or \
                signs",
        );
    }
    Ok(arms.iter().map(|arm| (arm.strategy.clone(), arm.weight)).collect())
}

fn state(state: Option<&str>) -> Result<State, Error> {
    let Some(name) = state else { return Ok(State::Running) };
    State::parse(name).map_or_else(
        || {
            let names = State::ALL.map(State::as_str).join(", ");
            refused(format!("body.state: {name:?} is none of {names}"))
        },
        Ok,
    )
}

fn condition((place, target): (usize, Target)) -> Result<Condition, Error> {
    let Target { feature, at_least, below } = target;
    let Some(feature) = Feature::parse(&feature) else {
        return refused(format!(
            "body.target[{place}].feature: {feature:?} is no feature: docs/reference/definitions.md says \
                where they are listed"
        ));
    };
    if at_least.is_none() && below.is_none() {
        return refused(format!("body.target[{place}]: at_least, below or both are needed"));
    }
    Ok(Condition { feature, at_least, below })
}

fn layer(body: LayerBody) -> Result<Layer, Error> {
    let LayerBody { name, from, to } = body;
    if name.is_empty() || name.len() > 64 || from >= to || to > BUCKETS {
        return refused(
            "body.layer: a name of 1 to 64 bytes and a range from .. to within 0 to 10,000 are \
                needed",
        );
    }
    Ok(Layer { name, from, to })
}
