//! What an experiment registers: its goal, guardrails, size and end.

use crate::codec::definition::experiment::*;
use crate::codec::definition::{Error, refused};
use crate::codec::interaction::instant;
use crate::domain::experiment::analysis::agents::AGENTS_MIN;
use crate::domain::experiment::plan::{
    Act, Allocation, AllocationRule, Blocks, Measure, Metric, Plan, Role, Shape,
};
use crate::domain::experiment::pre_exposure::{Covariate, Strata};
use crate::domain::experiment::tally::AGENTS_MAX;
use crate::domain::experiment::{Unit, by_agent};
use crate::domain::units::EventTime;

pub(crate) fn plan(
    body: &ExperimentBody,
    arms: &[(String, u32)],
    unit: Unit,
) -> Result<Option<Plan>, Error> {
    let Some(goal) = &body.goal else { return without_goal(body, unit).map(|()| None) };
    let measures = measures(body, goal, unit)?;
    let (planned_units, ends_at) = end(body, unit)?;
    let alpha = body.alpha.unwrap_or(0.05);
    if !(0.0001..=0.2).contains(&alpha) {
        return refused("body.alpha: must be 0.0001 to 0.2");
    }
    let control = body.control.clone().unwrap_or_else(|| arms[0].0.clone());
    if !arms.iter().any(|(arm, weight)| *arm == control && *weight > 0) {
        return refused("body.control: is no arm with a weight");
    }
    let (days_min, equivalence, act) = decided(body.decisions.as_ref())?;
    let allocation = body
        .allocation
        .as_ref()
        .map(|body| allocation(body, (unit, arms.len()), &measures))
        .transpose()?;
    let single = (unit, measures[0].metric);
    let (covariate, strata) = (covariate(body, single)?, strata(body, single)?);
    Ok(Some(Plan {
        measures,
        alpha,
        planned_units,
        ends_at,
        days_min,
        equivalence,
        control,
        act,
        allocation,
        covariate,
        strata,
        agents_max: agents_max(body, (arms.len(), single))?,
        blocks: blocks(body, unit)?,
    }))
}

/// The goal, then guardrails, then other metrics, each once.
fn measures(body: &ExperimentBody, goal: &MeasureBody, unit: Unit) -> Result<Vec<Measure>, Error> {
    let window_hours = body.window_hours;
    if goal.margin.is_some() {
        return refused("body.goal.margin: a goal has none; guardrails have");
    }
    let mut measures = vec![measure("goal", goal, Role::Goal, window_hours)?];
    for (place, guardrail) in body.guardrails.iter().enumerate() {
        let field = format!("guardrails[{place}]");
        let Some(margin) = guardrail.margin.filter(|margin| *margin > 0.0 && *margin < 1.0) else {
            return refused(format!(
                "body.{field}.margin: how much may be lost at most, above 0 and below 1: 0.05 is a \
                    twentieth"
            ));
        };
        measures.push(measure(&field, guardrail, Role::Guardrail { margin }, window_hours)?);
    }
    for (place, metric) in body.metrics.iter().enumerate() {
        measures.push(measure(
            &format!("metrics[{place}]"),
            metric,
            Role::Secondary,
            window_hours,
        )?);
    }
    let mut names: Vec<Metric> = measures.iter().map(|measure| measure.metric).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != measures.len() || names.len() > MEASURES_MAX {
        return refused(
            "body.metrics: each metric is measured once: as goal, guardrail or other metric",
        );
    }
    if unit != Unit::Lead && measures.iter().any(|measure| measure.metric.shape() == Shape::Median)
    {
        return refused(
            "body.metrics: response_time is measured for leads only: leave it out, or use the unit \
                lead",
        );
    }
    Ok(measures)
}

/// Refuses what means nothing where nothing is compared.
pub(crate) fn without_goal(body: &ExperimentBody, unit: Unit) -> Result<(), Error> {
    let more = [
        ("guardrails", !body.guardrails.is_empty()),
        ("metrics", !body.metrics.is_empty()),
        ("alpha", body.alpha.is_some()),
        ("planned_units", body.planned_units.is_some()),
        ("ends_at", body.ends_at.is_some()),
        ("control", body.control.is_some()),
        ("decisions", body.decisions.is_some()),
        ("allocation", body.allocation.is_some()),
        ("covariate", body.covariate.is_some()),
        ("strata", body.strata.is_some()),
        ("agents_max", body.agents_max.is_some()),
        ("block_hours", body.block_hours.is_some()),
        ("washout_hours", body.washout_hours.is_some()),
        ("costs", !body.costs.is_empty()),
    ];
    if unit == Unit::Team {
        return refused(
            "body.goal: of the unit team it is needed: blocks of time are compared by it, once",
        );
    }
    match more.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => refused(format!("body.{field}: means nothing without a goal")),
        None => Ok(()),
    }
}

/// Leads come one by one, so an experiment ends when so many were in it. Agents are the same all
/// along: they are compared at a time.
pub(crate) fn end(body: &ExperimentBody, unit: Unit) -> Result<(u64, Option<EventTime>), Error> {
    let planned =
        |least: u64, most: u64| body.planned_units.filter(|units| (least..=most).contains(units));
    match (unit, &body.ends_at) {
        (Unit::Lead, Some(_)) => {
            refused("body.ends_at: an experiment by lead ends at its planned_units: leave it out")
        }
        (Unit::Lead, None) => match planned(100, 100_000_000) {
            Some(units) => Ok((units, None)),
            None => refused(
                "body.planned_units: units in all arms at which it ends, 100 to 100,000,000: \
                    `leadstream experiment design` finds it",
            ),
        },
        (Unit::Agent | Unit::Team, ends_at) => {
            let (of, how) = if unit == Unit::Agent {
                ("agents", "`leadstream experiment design --agents` says how many")
            } else {
                ("blocks", "from effective_at to ends_at")
            };
            let Some(agents) = planned(2 * AGENTS_MIN, AGENTS_MAX) else {
                let least = 2 * AGENTS_MIN;
                return refused(format!(
                    "body.planned_units: {of} in all arms, {least} to {AGENTS_MAX}: {how}"
                ));
            };
            let Some(end) = ends_at else {
                return refused(format!(
                    "body.ends_at: when the last lead is let in, like 2026-03-01T00:00:00Z: {of} \
                        are compared once, after that"
                ));
            };
            let end = instant("body.ends_at", end).map_err(|error| Error(error.sentence))?;
            Ok((agents, Some(end)))
        }
    }
}

pub(crate) fn allocation(
    body: &AllocationBody,
    (unit, arms): (Unit, usize),
    measures: &[Measure],
) -> Result<Allocation, Error> {
    if unit != Unit::Lead {
        return refused(
            "body.allocation: weights never change for agents and blocks, which are compared once: \
                leave it out",
        );
    }
    let rule = match body.rule.as_str() {
        "thompson" => AllocationRule::Thompson,
        "top_two" => AllocationRule::TopTwo,
        other => {
            return refused(format!(
                "body.allocation.rule: {other:?} is neither thompson nor top_two; without \
                    allocation weights are fixed"
            ));
        }
    };
    if !(body.floor >= FLOOR_MIN && body.floor <= 1.0 / arms as f64) {
        return refused(format!(
            "body.allocation.floor: the smallest share of an arm, {FLOOR_MIN} to one over the \
                number of arms"
        ));
    }
    if !(1..=EPOCH_DAYS_MAX).contains(&body.epoch_days) {
        return refused(format!("body.allocation.epoch_days: must be 1 to {EPOCH_DAYS_MAX}"));
    }
    match measures
        .iter()
        .find(|measure| matches!(measure.metric.shape(), Shape::Ratio | Shape::Median))
    {
        Some(whole) => refused(format!(
            "body.allocation: {} has one value for all leads together, and a bandit weighs single \
                leads: leave it out",
            whole.metric.as_str()
        )),
        None => Ok(Allocation { rule, floor: body.floor, epoch_days: body.epoch_days }),
    }
}

pub(crate) fn blocks(body: &ExperimentBody, unit: Unit) -> Result<Option<Blocks>, Error> {
    let Some(hours) = body.block_hours else {
        return match (unit, body.washout_hours) {
            (Unit::Team, _) => {
                refused("body.block_hours: how long the whole team has one arm, 1 to 672 hours")
            }
            (_, Some(_)) => {
                refused("body.washout_hours: is of blocks of the unit team: leave it out")
            }
            (_, None) => Ok(None),
        };
    };
    if unit != Unit::Team {
        return refused("body.block_hours: is of the unit team: leave it out");
    }
    let washout_hours = body.washout_hours.unwrap_or(0);
    if !(1..=BLOCK_MAX).contains(&hours) || !(0..hours).contains(&washout_hours) {
        return refused(format!(
            "body: block_hours must be 1 to {BLOCK_MAX}, and washout_hours 0 to less than that"
        ));
    }
    Ok(Some(Blocks { hours, washout_hours }))
}

pub(crate) fn covariate(
    body: &ExperimentBody,
    single: (Unit, Metric),
) -> Result<Option<Covariate>, Error> {
    let Some(name) = &body.covariate else { return Ok(None) };
    let Some(covariate) = Covariate::parse(name) else {
        return refused(format!(
            "body.covariate: {name:?} is no feature and no prediction: docs/reference/definitions.md says \
                where they are listed"
        ));
    };
    single_leads("covariate", body, single)?;
    Ok(Some(covariate))
}

pub(crate) fn strata(
    body: &ExperimentBody,
    single: (Unit, Metric),
) -> Result<Option<Strata>, Error> {
    let Some(name) = &body.strata else { return Ok(None) };
    let Some(strata) = Strata::ALL.into_iter().find(|strata| strata.as_str() == name) else {
        return refused(format!(
            "body.strata: {name:?} is none of {}",
            Strata::ALL.map(Strata::as_str).join(", ")
        ));
    };
    single_leads("strata", body, single)?;
    Ok(Some(strata))
}

pub(crate) fn agents_max(
    body: &ExperimentBody,
    (arms, single): (usize, (Unit, Metric)),
) -> Result<Option<u32>, Error> {
    let Some(most) = body.agents_max else { return Ok(None) };
    single_leads("agents_max", body, single)?;
    let bound = by_agent::AGENTS_MAX
        .min(by_agent::CELLS_MAX / u32::try_from(arms).expect("there are sixteen arms at most"));
    if !(2..=bound).contains(&most) {
        return refused(format!(
            "body.agents_max: for how many agents segment effects are reported at most, with \
                {arms} arms 2 to {bound}"
        ));
    }
    Ok(Some(most))
}

/// Refuses what is kept of single leads where they are not compared one by one.
pub(crate) fn single_leads(
    field: &str,
    body: &ExperimentBody,
    (unit, goal): (Unit, Metric),
) -> Result<(), Error> {
    if unit != Unit::Lead {
        return refused(format!(
            "body.{field}: is of single leads, and here they are compared together: leave it out, \
                or use the unit lead"
        ));
    }
    if body.allocation.is_some() {
        return refused(format!(
            "body.{field}: arms of a bandit are compared by the weights of each day: leave it out, \
                or allocation"
        ));
    }
    if !matches!(goal.shape(), Shape::Share | Shape::Mean) {
        return refused(format!(
            "body.{field}: {} has one value for all leads together: leave {field} out, or choose another goal",
            goal.as_str()
        ));
    }
    Ok(())
}

pub(crate) fn measure(
    field: &str,
    body: &MeasureBody,
    role: Role,
    window_hours: i64,
) -> Result<Measure, Error> {
    let Some(metric) = Metric::parse(&body.metric) else {
        return refused(format!(
            "body.{field}.metric: {:?} is none of {}",
            body.metric,
            Metric::ALL.map(Metric::as_str).join(", ")
        ));
    };
    if metric.shape() == Shape::Median && role != Role::Secondary {
        return refused(format!(
            "body.{field}.metric: {} is reported and decides nothing: name it under metrics",
            body.metric
        ));
    }
    if role == Role::Secondary && body.margin.is_some() {
        return refused(format!("body.{field}.margin: only guardrails have one"));
    }
    if body.cap.is_some() != metric.needs_cap() || body.cap == Some(0) {
        let sentence = if metric.needs_cap() {
            "the largest outcome of a unit has to be set beforehand, 1 or more"
        } else {
            "this metric has none"
        };
        return refused(format!("body.{field}.cap: {sentence}"));
    }
    let own = body.window_hours.unwrap_or(window_hours);
    if !(1..=window_hours).contains(&own) {
        return refused(format!(
            "body.{field}.window_hours: must be 1 to the window of the experiment, {window_hours}"
        ));
    }
    Ok(Measure { metric, role, window_hours: own, cap: body.cap })
}

pub(crate) fn decided(body: Option<&DecisionsBody>) -> Result<(i64, Option<f64>, Act), Error> {
    let Some(body) = body else { return Ok((DAYS_MIN, None, Act::Advise)) };
    let days_min = body.days_min.unwrap_or(DAYS_MIN);
    if !(DAYS_MIN..=365).contains(&days_min) {
        return refused(format!("body.decisions.days_min: must be {DAYS_MIN} to 365"));
    }
    if body.equivalence.is_some_and(|most| !(most > 0.0 && most < 1.0)) {
        return refused(
            "body.decisions.equivalence: a relative effect that is no difference, above 0 and \
                below 1: 0.03 is 3 %",
        );
    }
    let act = match body.act.as_deref() {
        None | Some("advise") => Act::Advise,
        Some("automatic") => Act::Automatic,
        Some(other) => {
            return refused(format!(
                "body.decisions.act: {other:?} is neither advise nor automatic"
            ));
        }
    };
    Ok((days_min, body.equivalence, act))
}
