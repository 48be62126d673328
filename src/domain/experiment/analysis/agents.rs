//! Agents, or blocks of a team's time, compared with all their leads, once, at the end that was
//! registered: a function of the tally and the time alone.
//!
//! Leads of one agent or block are alike, so bounds that hold at every look, which need independent
//! units, do not hold here. An effect has errors by agent or block (CR2 with Satterthwaite's
//! degrees of freedom), and of few every way of giving them their arms is counted.

use crate::domain::experiment::analysis::decision::{Decision, Look, RATIO_ALARM, Report, pairs};
use crate::domain::experiment::analysis::inference::{Bounded, Comparison, Display, Pair};
use crate::domain::experiment::analysis::verdicts::{
    Verdict, alarm, best, equivalent, is_kept, promotion, uneven, worse,
};
use crate::domain::experiment::plan::{Measure, Plan, Role, SETTLE_MS, Setup, Shape};
use crate::domain::experiment::tally::{AGENTS_MAX, Agents, Group, Ones, Tally};
use crate::domain::units::{EventTime, HOUR_MS};
use crate::stats::cluster::{Cluster, Part, effect, relative_effect};
use crate::stats::counts::Shares;
use crate::stats::level::Alpha;
use crate::stats::moments::Arms;
use crate::stats::permutation;

/// Agents that each arm needs before its bounds may be acted on: the fewest for which `experiment
/// simulate` checks the errors.
pub const AGENTS_MIN: u64 = 4;

/// What is known at `at`; before the only look nothing is compared.
///
/// `None` while the plan cannot be used, which its definition does not let in.
#[must_use]
pub fn report(
    setup: &Setup<'_>,
    end: EventTime,
    (tally, at): (&Tally, EventTime),
) -> Option<Report> {
    let look = end.plus(setup.window_hours * HOUR_MS + SETTLE_MS);
    let pairs = pairs(setup)?;
    let (count, is_over) = (tally.agents.count(), at >= look);
    let mut days = tally.cohorts.keys().map(|cohort| cohort.day);
    let first = days.next().unwrap_or_default();
    let mut reported = Report {
        decision: Decision { verdict: Verdict::Continue, rule: String::new(), at: at.min(look) },
        comparisons: Vec::new(),
        looks: Vec::new(),
        units: if is_over { count } else { 0 },
        waiting: if is_over { 0 } else { count },
        planned: setup.plan.planned_units,
        days: days.next_back().unwrap_or(first) - first,
        once_at: Some(look),
        sample_ratio: sample_ratio(setup, &tally.agents),
        dropped: Vec::new(),
        worth_of_arms: Vec::new(),
        segments: None,
    };
    if is_over {
        let measures = || setup.plan.measures.iter().enumerate();
        reported.comparisons = pairs
            .iter()
            .flat_map(|pair| measures().map(|of| compare(&tally.agents, pair, of)))
            .collect();
        let goals = reported
            .comparisons
            .iter()
            .map(|(comparison, _)| comparison)
            .filter(|comparison| comparison.role == Role::Goal);
        reported.looks = goals.filter_map(|goal| Look::of(goal, look)).collect();
    }
    let alpha = pairs.first()?.tuning.alpha;
    (reported.decision.verdict, reported.decision.rule) =
        judge(setup.plan, (&reported, &tally.agents), alpha);
    reported.decision.rule.extend(alarm(tally.multi_exposed));
    Some(reported)
}

/// Logarithm of the evidence against the planned shares of the agents. They are few, so the prior
/// expects no shares rather than others: the usual one, made for thousands of leads, would see
/// nothing in forty agents that are all in one arm.
fn sample_ratio(setup: &Setup<'_>, agents: &Agents) -> f64 {
    let arms = setup.versions.values().next().copied().unwrap_or_default();
    let weights: Vec<f64> = arms.iter().map(|(_, weight)| f64::from(*weight)).collect();
    let counts: Vec<u64> = arms
        .iter()
        .map(|(arm, _)| agents.arms.get(arm).map_or(0, |own| own.len() as u64))
        .collect();
    let shares =
        Shares::planned(&weights).and_then(|shares| shares.with_prior(&vec![1.0; weights.len()]));
    shares.and_then(|shares| shares.log_evidence(&counts)).unwrap_or(f64::INFINITY)
}

/// The leads of an agent in one metric. A ratio counts what it is divided by, as if each of it were
/// a lead.
fn part(group: &Group, (place, shape): (usize, Shape)) -> Part {
    let cell = group.cells.get(place).copied().unwrap_or_default();
    let Ones { sum, squares, base } = cell.ones();
    let n = if shape == Shape::Ratio { base } else { group.units as f64 };
    Part { n, y: sum, yy: squares }
}

fn compare(
    agents: &Agents,
    pair: &Pair<'_>,
    (place, measure): (usize, &Measure),
) -> (Comparison, Display) {
    let own = |arm: &str| agents.arms.get(arm).into_iter().flat_map(|own| own.values());
    let of = (place, measure.metric.shape());
    let none = Part::default();
    let control =
        own(pair.control).map(|group| Cluster { control: part(group, of), treatment: none });
    let treatment =
        own(pair.treatment).map(|group| Cluster { control: none, treatment: part(group, of) });
    let clusters: Vec<Cluster> =
        control.chain(treatment).filter(|both| both.control.n + both.treatment.n > 0.0).collect();
    let both = |of: &dyn Fn(&str) -> u64| Arms {
        control: of(pair.control),
        treatment: of(pair.treatment),
    };
    let outcomes = both(&|arm| {
        own(arm).map(|group| group.cells.get(place).map_or(0, |cell| cell.nonzero)).sum()
    });
    let counted = Arms {
        control: clusters.iter().filter(|both| both.control.n > 0.0).count() as u64,
        treatment: clusters.iter().filter(|both| both.treatment.n > 0.0).count() as u64,
    };
    let mean = |of: fn(&Cluster) -> Part| {
        let all = clusters.iter().map(of).fold(none, Part::plus);
        if all.n > 0.0 { all.y / all.n } else { 0.0 }
    };
    let alpha = pair.tuning.alpha;
    let robust = effect(&clusters, alpha).ok();
    let lift = relative_effect(&clusters, alpha)
        .ok()
        .map(|reported| Bounded { estimate: reported.estimate, interval: reported.interval });
    let one_sided = |alpha: Alpha| {
        Alpha::new(2.0 * alpha.value()).and_then(|twice| relative_effect(&clusters, twice)).ok()
    };
    let least = measure.metric.outcomes_min();
    let comparison = Comparison {
        metric: measure.metric,
        role: measure.role,
        arm: pair.treatment.to_owned(),
        units: both(&|arm| own(arm).count() as u64),
        outcomes,
        means: Arms { control: mean(|both| both.control), treatment: mean(|both| both.treatment) },
        lift,
        difference: robust
            .map(|robust| Bounded { estimate: robust.estimate, interval: robust.interval }),
        p_value: robust.map(|robust| robust.p_cr2),
        p_adjusted: None,
        one_sided_lower: one_sided(alpha).map(|reported| reported.interval.lower),
        one_sided_upper: one_sided(pair.harm).map(|reported| reported.interval.upper),
        meets_minimum_sample: [outcomes.control, outcomes.treatment]
            .iter()
            .all(|count| *count >= least)
            && [counted.control, counted.treatment].iter().all(|count| *count >= AGENTS_MIN),
        adjustment: None,
    };
    let exact_p = permutation::test(&clusters).ok().map(|permuted| permuted.p_value);
    (comparison, Display { exact_p, ..Display::default() })
}

/// What keeps agents or blocks (`of`) from being compared, by the first rule that holds.
fn not_compared(
    plan: &Plan,
    (reported, agents): (&Report, &Agents),
    of: &str,
) -> Option<(Verdict, String)> {
    let is_over = reported.once_at.is_some_and(|look| reported.decision.at >= look);
    if agents.is_full {
        let rule = format!(
            "more than {AGENTS_MAX} {of} had leads, which are too many to compare: compare leads \
                instead; the control stays"
        );
        return Some((if is_over { Verdict::Futile } else { Verdict::Continue }, rule));
    }
    if !is_over {
        let rule = format!(
            "{of} are compared once, after the end: leads of one are alike, and bounds that hold \
                at every look need independent units"
        );
        return Some((Verdict::Continue, rule));
    }
    if reported.sample_ratio >= RATIO_ALARM {
        return Some((Verdict::SampleRatio, uneven(reported.sample_ratio)));
    }
    (reported.days < plan.days_min).then(|| {
        let (days, least) = (reported.days, plan.days_min);
        (Verdict::Futile, format!("{days} of {least} full days until the end: the control stays"))
    })
}

/// The first rule that holds, in the order written here. After the only look nothing stays open.
fn judge(plan: &Plan, (reported, agents): (&Report, &Agents), alpha: Alpha) -> (Verdict, String) {
    let of = if plan.blocks.is_some() { "blocks" } else { "agents" };
    if let Some(reason) = not_compared(plan, (reported, agents), of) {
        return reason;
    }
    let of_arm = |arm: &str| {
        reported
            .comparisons
            .iter()
            .filter(move |(comparison, _)| comparison.arm == arm)
            .collect::<Vec<_>>()
    };
    let is_shown = |display: &Display| display.exact_p.is_none_or(|p| p <= alpha.value());
    let harm = |arm: &str| {
        of_arm(arm)
            .iter()
            .filter(|(_, display)| is_shown(display))
            .find_map(|(comparison, _)| worse(comparison))
    };
    let goals: Vec<&(Comparison, Display)> = reported
        .comparisons
        .iter()
        .filter(|(comparison, _)| comparison.role == Role::Goal)
        .collect();
    let harms: Vec<Option<String>> = goals.iter().map(|(goal, _)| harm(&goal.arm)).collect();
    if let Some(Some(rule)) = harms.first()
        && harms.iter().all(Option::is_some)
    {
        return (Verdict::RollBack, rule.clone());
    }
    let is_better = |(goal, display): &(Comparison, Display)| {
        let above = goal.meets_minimum_sample
            && goal.lift.is_some_and(|lift| lift.interval.lower > 0.0)
            && is_shown(display);
        above && of_arm(&goal.arm).iter().all(|(comparison, _)| is_kept(comparison))
    };
    let better = goals.iter().zip(&harms).filter(|(goal, harm)| harm.is_none() && is_better(goal));
    if let Some(best) = best(better.map(|((goal, _), _)| goal)) {
        return (Verdict::Promote(best.arm.clone()), promotion(best, 1));
    }
    if let Some(concluded) = equivalent(plan, goals.iter().map(|(goal, _)| goal)) {
        return concluded;
    }
    let rule = format!(
        "nothing is shown by {} of {} planned {of}: the control stays",
        reported.units, reported.planned
    );
    (Verdict::Futile, rule)
}
