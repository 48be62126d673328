//! The sentences and tests behind a decision: which arm is worse, best or equivalent.

use crate::domain::experiment::analysis::inference::Comparison;
use crate::domain::experiment::plan::{Plan, Role};

/// What a look comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing yet.
    Continue,
    /// Units are not shared out as planned: nothing can be concluded.
    SampleRatio,
    /// No arm is left that is not shown to be worse.
    RollBack,
    /// This arm is better, and no guardrail fell below its margin.
    Promote(String),
    /// No arm differs by more than was registered as a difference.
    Equivalent,
    /// The planned units are reached and nothing is shown: the control stays.
    Futile,
}

impl Verdict {
    /// The name in outputs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::SampleRatio => "sample_ratio",
            Self::RollBack => "roll_back",
            Self::Promote(_) => "promote",
            Self::Equivalent => "equivalent",
            Self::Futile => "futile",
        }
    }
}

/// What is said of units in two arms: they are left out, and nobody meant them to be there.
#[must_use]
pub fn alarm(multi_exposed: u64) -> Option<String> {
    let units = if multi_exposed == 1 { "unit was" } else { "units were" };
    (multi_exposed > 0).then(|| {
        format!(
            "; alarm: {multi_exposed} {units} seen in two arms and left out of all \
        numbers but the exposures"
        )
    })
}

/// What is said of units that are not shared out as planned.
#[must_use]
pub fn uneven(sample_ratio: f64) -> String {
    let odds = if sample_ratio.is_finite() {
        format!("{:.0} to 1", libm::exp(sample_ratio))
    } else {
        "certain".to_owned()
    };
    format!(
        "units are not shared out as planned (evidence {odds}): find out why before anything else"
    )
}

/// A share in words.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// How an arm is shown to be worse by its goal or a guardrail; `None` while it is not.
#[must_use]
pub fn worse(comparison: &Comparison) -> Option<String> {
    let is_judged = comparison.meets_minimum_sample && comparison.role != Role::Secondary;
    let most = comparison.one_sided_upper.filter(|most| is_judged && *most < 0.0)?;
    Some(format!(
        "{} is worse: {} changed by {} at most",
        comparison.arm,
        comparison.metric.as_str(),
        percent(most)
    ))
}

/// Whether this is no guardrail that may have fallen by its margin or more.
#[must_use]
pub fn is_kept(comparison: &Comparison) -> bool {
    match comparison.role {
        Role::Guardrail { margin } => {
            comparison.meets_minimum_sample
                && comparison.one_sided_lower.is_some_and(|least| least > -margin)
        }
        Role::Goal | Role::Secondary => true,
    }
}

/// The goal with the largest effect as seen.
pub fn best<'a>(goals: impl Iterator<Item = &'a Comparison>) -> Option<&'a Comparison> {
    let estimate = |goal: &Comparison| goal.lift.map_or(f64::NEG_INFINITY, |lift| lift.estimate);
    goals.max_by(|a, b| estimate(a).total_cmp(&estimate(b)))
}

/// What follows where the bounds of every goal are within the registered equivalence.
pub fn equivalent<'a>(
    plan: &Plan,
    mut goals: impl Iterator<Item = &'a Comparison>,
) -> Option<(Verdict, String)> {
    let bound = plan.equivalence?;
    let is_within = |goal: &Comparison| {
        goal.lift.is_some_and(|lift| -bound < lift.interval.lower && lift.interval.upper < bound)
    };
    let rule = || format!("no arm differs by {} or more", percent(bound));
    goals
        .all(|goal| goal.meets_minimum_sample && is_within(goal))
        .then(|| (Verdict::Equivalent, rule()))
}

/// Why an arm is promoted. With several arms the bounds on each, which hold for all of them
/// together, may still reach 0.
#[must_use]
pub fn promotion(best: &Comparison, arms: usize) -> String {
    let (metric, least) = (best.metric.as_str(), best.lift.map_or(0.0, |lift| lift.interval.lower));
    if arms == 1 {
        return format!(
            "{metric} rose by {} at least and no guardrail fell below its margin",
            percent(least)
        );
    }
    let (seen, p) = (best.lift.map_or(0.0, |lift| lift.estimate), best.p_adjusted.unwrap_or(1.0));
    format!(
        "{metric} rose by {} as seen and {} at least, p-value {p:.4} adjusted for {arms} arms, and \
            no guardrail fell below its margin",
        percent(seen),
        percent(least.max(0.0))
    )
}
