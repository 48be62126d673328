//! Counts and results of experiments as records of `experiment.metrics.v1`.

use serde::Serialize;

use crate::codec::avro;
use crate::codec::internal::{WireCounts, arms};
use crate::domain::attribution::journeys::{Credited, Journeys, conversions};
use crate::domain::experiment::analysis::bandit::PolicyValue;
use crate::domain::experiment::analysis::business::NetBenefit;
use crate::domain::experiment::analysis::decision::{Dropped, Look, Report};
use crate::domain::experiment::analysis::inference::{Bounded, Comparison, Display};
use crate::domain::experiment::analysis::segments::SegmentEffect;
use crate::domain::experiment::analysis::verdicts::Verdict;
use crate::domain::experiment::plan::Role;
use crate::domain::experiment::{ExperimentKey, Metrics};
use crate::stats::level::Interval;

#[derive(Serialize)]
#[serde(rename = "ExperimentMetrics")]
struct WireMetrics<'a> {
    tenant_id: &'a str,
    experiment: &'a str,
    version: i32,
    at: i64,
    arms: Vec<WireCounts>,
    multi_exposed_units: Option<i64>,
    results: Option<WireResults<'a>>,
    attribution: Option<WireAttribution>,
}

#[derive(Serialize)]
#[serde(rename = "Attribution")]
struct WireAttribution {
    conversions: i64,
    nulls: i64,
    untouched_conversions: i64,
    cut_journeys: i64,
    credits: Vec<WireCredit>,
}

#[derive(Serialize)]
#[serde(rename = "Credit")]
struct WireCredit {
    strategy: String,
    converted_journeys: i64,
    first: f64,
    last: f64,
    linear: f64,
    position: f64,
    time_decay: f64,
    markov: Option<f64>,
    shapley: f64,
}

#[derive(Serialize)]
#[serde(rename = "ExperimentResults")]
struct WireResults<'a> {
    decision: &'static str,
    promoted: Option<&'a str>,
    rule: &'a str,
    decided_at: i64,
    looked_at_once_at: Option<i64>,
    units: i64,
    waiting_units: i64,
    planned_units: i64,
    full_days: i64,
    units_per_week: Option<f64>,
    sample_ratio_log_evidence: Option<f64>,
    comparisons: Vec<WireComparison<'a>>,
    looks: Vec<WireLook<'a>>,
    dropped: Option<Vec<WireDropped<'a>>>,
    arm_values: Option<Vec<WireArmValue<'a>>>,
    net_benefits: Option<Vec<WireNet<'a>>>,
    segments: Option<Vec<WireSegmentEffect<'a>>>,
}

#[derive(Serialize)]
#[serde(rename = "SegmentEffect")]
struct WireSegmentEffect<'a> {
    stratum: &'a str,
    metric: &'static str,
    arm: &'a str,
    control_units: i64,
    units: i64,
    control_outcomes: i64,
    outcomes: i64,
    lift: Option<f64>,
    lift_lower: Option<f64>,
    lift_upper: Option<f64>,
    meets_minimum_sample: bool,
    is_shown: bool,
}

#[derive(Serialize)]
#[serde(rename = "NetBenefit")]
struct WireNet<'a> {
    metric: &'static str,
    arm: &'a str,
    conversion_minor: Option<i64>,
    cost_once_minor: i64,
    cost_weekly_minor: Option<i64>,
    weekly_minor: Option<i64>,
    weekly_lower_minor: Option<i64>,
    weekly_upper_minor: Option<i64>,
    first_year_minor: Option<i64>,
    first_year_lower_minor: Option<i64>,
    first_year_upper_minor: Option<i64>,
    payback_weeks: Option<f64>,
    payback_soonest_weeks: Option<f64>,
    payback_latest_weeks: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename = "ArmValue")]
struct WireArmValue<'a> {
    arm: &'a str,
    effective_units: f64,
    mean: Option<f64>,
    mean_lower: Option<f64>,
    mean_upper: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename = "Dropped")]
struct WireDropped<'a> {
    arm: &'a str,
    rule: &'a str,
    at: i64,
}

#[derive(Serialize)]
#[serde(rename = "Comparison")]
struct WireComparison<'a> {
    metric: &'static str,
    role: &'static str,
    margin: Option<f64>,
    arm: &'a str,
    control_units: i64,
    units: i64,
    control_outcomes: i64,
    outcomes: i64,
    control_mean: f64,
    mean: f64,
    meets_minimum_sample: bool,
    lift: Option<f64>,
    lift_lower: Option<f64>,
    lift_upper: Option<f64>,
    p_value: Option<f64>,
    one_sided_lower: Option<f64>,
    one_sided_upper: Option<f64>,
    difference: Option<f64>,
    difference_lower: Option<f64>,
    difference_upper: Option<f64>,
    weekly: Option<f64>,
    weekly_lower: Option<f64>,
    weekly_upper: Option<f64>,
    log_evidence: Option<f64>,
    fixed_p_value: Option<f64>,
    fixed_lower: Option<f64>,
    fixed_upper: Option<f64>,
    chance_to_win: Option<f64>,
    expected_loss: Option<f64>,
    exact_p_value: Option<f64>,
    p_adjusted: Option<f64>,
    covariate_coefficient: Option<f64>,
    variance_removed: Option<f64>,
    unadjusted_lift: Option<f64>,
    adjusted_p_value: Option<f64>,
    adjusted_lower: Option<f64>,
    adjusted_upper: Option<f64>,
    stratified_difference: Option<f64>,
    stratified_p_value: Option<f64>,
    stratified_lower: Option<f64>,
    stratified_upper: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename = "Look")]
struct WireLook<'a> {
    at: i64,
    arm: &'a str,
    units: i64,
    lift: f64,
    lift_lower: f64,
    lift_upper: Option<f64>,
}

fn long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn lower(interval: Option<Interval>) -> Option<f64> {
    interval.and_then(|interval| finite(interval.lower))
}

fn upper(interval: Option<Interval>) -> Option<f64> {
    interval.and_then(|interval| finite(interval.upper))
}

fn comparison<'a>(
    report: &Report,
    (comparison, display): &'a (Comparison, Display),
) -> WireComparison<'a> {
    let (role, margin) = match comparison.role {
        Role::Goal => ("goal", None),
        Role::Guardrail { margin } => ("guardrail", Some(margin)),
        Role::Secondary => ("secondary", None),
    };
    let (lift, difference, worth) =
        (comparison.lift, comparison.difference, report.worth(comparison));
    let (adjustment, stratified) = (comparison.adjustment.as_ref(), display.stratified);
    WireComparison {
        metric: comparison.metric.as_str(),
        role,
        margin,
        arm: &comparison.arm,
        control_units: long(comparison.units.control),
        units: long(comparison.units.treatment),
        control_outcomes: long(comparison.outcomes.control),
        outcomes: long(comparison.outcomes.treatment),
        control_mean: comparison.means.control,
        mean: comparison.means.treatment,
        meets_minimum_sample: comparison.meets_minimum_sample,
        lift: lift.and_then(|lift| finite(lift.estimate)),
        lift_lower: lower(lift.map(|lift| lift.interval)),
        lift_upper: upper(lift.map(|lift| lift.interval)),
        p_value: comparison.p_value,
        one_sided_lower: comparison.one_sided_lower.and_then(finite),
        one_sided_upper: comparison.one_sided_upper.and_then(finite),
        difference: difference.and_then(|difference| finite(difference.estimate)),
        difference_lower: lower(difference.map(|difference| difference.interval)),
        difference_upper: upper(difference.map(|difference| difference.interval)),
        weekly: worth.map(|worth| worth.estimate),
        weekly_lower: lower(worth.map(|worth| worth.interval)),
        weekly_upper: upper(worth.map(|worth| worth.interval)),
        log_evidence: display.log_evidence.and_then(finite),
        fixed_p_value: display.fixed_p,
        fixed_lower: lower(display.fixed),
        fixed_upper: upper(display.fixed),
        chance_to_win: display.chance_to_win,
        expected_loss: display.expected_loss.and_then(finite),
        exact_p_value: display.exact_p,
        p_adjusted: comparison.p_adjusted,
        covariate_coefficient: adjustment.and_then(|reported| finite(reported.coefficient)),
        variance_removed: adjustment.and_then(|reported| finite(reported.variance_removed)),
        unadjusted_lift: adjustment.and_then(|reported| reported.plain_lift),
        adjusted_p_value: adjustment.map(|reported| reported.fixed_p),
        adjusted_lower: lower(adjustment.map(|reported| reported.fixed)),
        adjusted_upper: upper(adjustment.map(|reported| reported.fixed)),
        stratified_difference: stratified.map(|reported| reported.difference),
        stratified_p_value: stratified.map(|reported| reported.p_value),
        stratified_lower: lower(stratified.map(|reported| reported.interval)),
        stratified_upper: upper(stratified.map(|reported| reported.interval)),
    }
}

fn insight(insight: &SegmentEffect) -> WireSegmentEffect<'_> {
    let SegmentEffect { stratum, goal } = insight;
    WireSegmentEffect {
        stratum,
        metric: goal.metric.as_str(),
        arm: &goal.arm,
        control_units: long(goal.units.control),
        units: long(goal.units.treatment),
        control_outcomes: long(goal.outcomes.control),
        outcomes: long(goal.outcomes.treatment),
        lift: goal.lift.and_then(|lift| finite(lift.estimate)),
        lift_lower: lower(goal.lift.map(|lift| lift.interval)),
        lift_upper: upper(goal.lift.map(|lift| lift.interval)),
        meets_minimum_sample: goal.meets_minimum_sample,
        is_shown: insight.is_shown(),
    }
}

fn look(look: &Look) -> WireLook<'_> {
    WireLook {
        at: look.at.0,
        arm: &look.arm,
        units: long(look.units),
        lift: look.estimate,
        lift_lower: look.interval.lower,
        lift_upper: finite(look.interval.upper),
    }
}

fn dropped(Dropped { arm, rule, at }: &Dropped) -> WireDropped<'_> {
    WireDropped { arm, rule, at: at.0 }
}

fn arm_values(PolicyValue { arm, value, effective_size }: &PolicyValue) -> WireArmValue<'_> {
    let interval = value.map(|value| value.interval);
    WireArmValue {
        arm,
        effective_units: *effective_size,
        mean: value.and_then(|value| finite(value.estimate)),
        mean_lower: lower(interval),
        mean_upper: upper(interval),
    }
}

fn net(net: &NetBenefit) -> WireNet<'_> {
    let minor = |value: f64| value.round() as i64;
    let (weekly, year, payback) = (net.weekly, net.first_year(), net.payback());
    let estimate = |reported: Option<Bounded>| reported.map(|reported| minor(reported.estimate));
    let lower = |reported: Option<Bounded>| reported.map(|reported| minor(reported.interval.lower));
    let upper = |reported: Option<Bounded>| reported.map(|reported| minor(reported.interval.upper));
    WireNet {
        metric: net.metric.as_str(),
        arm: &net.arm,
        conversion_minor: net.value_minor.map(minor),
        cost_once_minor: long(net.once_minor),
        cost_weekly_minor: net.cost_weekly_minor.map(minor),
        weekly_minor: estimate(weekly),
        weekly_lower_minor: lower(weekly),
        weekly_upper_minor: upper(weekly),
        first_year_minor: estimate(year),
        first_year_lower_minor: lower(year),
        first_year_upper_minor: upper(year),
        payback_weeks: payback.and_then(|reported| reported.estimate),
        payback_soonest_weeks: payback.and_then(|reported| reported.soonest),
        payback_latest_weeks: payback.and_then(|reported| reported.latest),
    }
}

fn results<'a>(report: &'a Report, net_benefits: &'a [NetBenefit]) -> WireResults<'a> {
    WireResults {
        decision: report.decision.verdict.as_str(),
        promoted: if let Verdict::Promote(arm) = &report.decision.verdict {
            Some(arm)
        } else {
            None
        },
        rule: &report.decision.rule,
        decided_at: report.decision.at.0,
        looked_at_once_at: report.once_at.map(|at| at.0),
        units: long(report.units),
        waiting_units: long(report.waiting),
        planned_units: long(report.planned),
        full_days: report.days,
        units_per_week: report.units_per_week(),
        sample_ratio_log_evidence: finite(report.sample_ratio),
        comparisons: report
            .comparisons
            .iter()
            .map(|reported| comparison(report, reported))
            .collect(),
        looks: report.looks.iter().map(look).collect(),
        dropped: Some(report.dropped.iter().map(dropped).collect()),
        arm_values: Some(report.worth_of_arms.iter().map(arm_values).collect())
            .filter(|reported: &Vec<_>| !reported.is_empty()),
        net_benefits: Some(net_benefits.iter().map(net).collect())
            .filter(|reported: &Vec<_>| !reported.is_empty()),
        segments: report.segments.as_ref().map(|reported| reported.iter().map(insight).collect()),
    }
}

fn credit(Credited { strategy, parts, markov }: Credited) -> WireCredit {
    WireCredit {
        strategy,
        converted_journeys: long(parts.journeys),
        first: conversions(parts.first),
        last: conversions(parts.last),
        linear: conversions(parts.linear),
        position: conversions(parts.position),
        time_decay: conversions(parts.age),
        markov,
        shapley: conversions(parts.shapley),
    }
}

fn attribution(journeys: &Journeys) -> WireAttribution {
    WireAttribution {
        conversions: long(journeys.conversions),
        nulls: long(journeys.nulls),
        untouched_conversions: long(journeys.untouched),
        cut_journeys: long(journeys.cut),
        credits: journeys.credited().into_iter().map(credit).collect(),
    }
}

/// Key and value of `experiment.metrics.v1`.
#[must_use]
pub fn metrics_record(metrics: &Metrics) -> (String, Vec<u8>) {
    let ExperimentKey { tenant, name, version } = &metrics.experiment;
    let value = avro::METRICS.encode(&WireMetrics {
        tenant_id: tenant.as_str(),
        experiment: name,
        version: i32::try_from(*version).unwrap_or(i32::MAX),
        at: metrics.at.0,
        arms: arms(&metrics.tally),
        multi_exposed_units: Some(long(metrics.tally.multi_exposed)),
        results: metrics.report.as_deref().map(|report| results(report, &metrics.net_benefits)),
        attribution: (metrics.experiment == ExperimentKey::attribution(tenant))
            .then(|| attribution(&metrics.tally.journeys)),
    });
    (format!("{tenant}:{name}"), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::experiment::{Counts, Tally};
    use crate::domain::units::{EventTime, Tenant};

    #[test]
    fn counts_without_results_are_a_record() {
        let tally =
            Tally::of("assertive", Counts { exposures: 3, revenue_minor: -7, ..Counts::default() });
        let experiment =
            ExperimentKey { tenant: Tenant::new("acme").unwrap(), name: "tone".into(), version: 2 };
        let (key, value) = metrics_record(&Metrics {
            experiment,
            at: EventTime(4),
            tally,
            report: None,
            net_benefits: Vec::new(),
        });
        let shown = avro::describe(&value).unwrap();
        assert_eq!((key.as_str(), shown["arms"][0]["exposures"].as_i64()), ("acme:tone", Some(3)));
    }
}
