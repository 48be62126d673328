//! What follows from the outcomes at each look, by rules that were registered before: a function of
//! the tally and the time alone.
//!
//! A look is the end of a day whose units have all had their windows, and a day more for what comes
//! late. All looks are walked through again at every report, so the same units give the same
//! decision whatever the order in which partitions reported.

use std::collections::BTreeMap;

use crate::domain::experiment::analysis::bandit::{BanditEstimator, PolicyValue};
use crate::domain::experiment::analysis::inference::{
    Bounded, Comparison, Display, Pair, compare, display,
};
use crate::domain::experiment::analysis::segments::{SegmentEffect, by_agent, by_stratum};
use crate::domain::experiment::analysis::verdicts::{
    Verdict, alarm, best, equivalent, is_kept, promotion, uneven, worse,
};
use crate::domain::experiment::by_agent::{ByAgent, Period};
use crate::domain::experiment::plan::{Measure, Plan, Role, Setup, Shape};
use crate::domain::experiment::tally::{Cohort, Tally};
use crate::domain::experiment::versions::{Groups, count};
use crate::domain::units::{DAY_MS, EventTime};
use crate::stats::asymptotic::Tuning;
use crate::stats::counts::Shares;
use crate::stats::level::{Alpha, Interval};
use crate::stats::multiplicity::holm;

/// Logarithm of the evidence at which an uneven sample ratio stops all other conclusions: 1,000.
/// Specified.
pub const RATIO_ALARM: f64 = 6.907_755_278_982_137;

/// A verdict with its rule in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule and the numbers it saw.
    pub rule: String,
    /// The moment of the look, event time.
    pub at: EventTime,
}

/// The goal at one look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The moment.
    pub at: EventTime,
    /// The arm that is tried.
    pub arm: String,
    /// Units of both arms.
    pub units: u64,
    /// Relative effect.
    pub estimate: f64,
    /// Its bounds.
    pub interval: Interval,
}

impl Look {
    /// The goal of an arm; `None` while there is no effect.
    #[must_use]
    pub fn of(goal: &Comparison, at: EventTime) -> Option<Self> {
        let units = goal.units.control + goal.units.treatment;
        goal.lift.map(|lift| Self {
            at,
            arm: goal.arm.clone(),
            units,
            estimate: lift.estimate,
            interval: lift.interval,
        })
    }
}

/// An arm that was shown to be worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// The arm.
    pub arm: String,
    /// What fell, and by how much.
    pub rule: String,
    /// The moment of the look.
    pub at: EventTime,
}

/// All that is known of an experiment at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The first verdict that ended it, or what the newest look says.
    pub decision: Decision,
    /// Each measure of each arm at the look of the decision, or the newest.
    pub comparisons: Vec<(Comparison, Display)>,
    /// The goal at every look until then.
    pub looks: Vec<Look>,
    /// Units whose windows have passed.
    pub units: u64,
    /// Units whose windows have not.
    pub waiting: u64,
    /// Units at which it ends.
    pub planned: u64,
    /// Full days of exposures at the look.
    pub days: i64,
    /// The moment of the only look, where agents are compared.
    pub once_at: Option<EventTime>,
    /// Largest logarithm of the evidence against the planned sample ratio; infinite where an arm
    /// without weight has a unit.
    pub sample_ratio: f64,
    /// Arms shown to be worse by then, in the order in which that was seen; the others go on.
    pub dropped: Vec<Dropped>,
    /// What always giving each arm is worth, of a bandit.
    pub worth_of_arms: Vec<PolicyValue>,
    /// The goal within each stratum at the same look, and of each agent in the stretches that are
    /// over; none where units are not shared out as planned. `None`: none are registered.
    pub segments: Option<Vec<SegmentEffect>>,
}

impl Report {
    fn before_any_look(setup: &Setup<'_>, at: EventTime) -> Self {
        let rule = "no window has passed yet".to_owned();
        Self {
            decision: Decision { verdict: Verdict::Continue, rule, at },
            comparisons: Vec::new(),
            looks: Vec::new(),
            units: 0,
            waiting: 0,
            planned: setup.plan.planned_units,
            days: 0,
            once_at: None,
            sample_ratio: 0.0,
            dropped: Vec::new(),
            worth_of_arms: Vec::new(),
            segments: (setup.plan.cells() > 0).then(Vec::new),
        }
    }

    /// Units a week so far, in all arms; `None` before a full day and of agents, who are the same
    /// every week.
    #[must_use]
    pub fn units_per_week(&self) -> Option<f64> {
        (self.days > 0 && self.once_at.is_none())
            .then(|| self.units as f64 / (self.days + 1) as f64 * 7.0)
    }

    /// What an arm is worth a week if every unit got it, in ones of the metric, at the pace of
    /// units so far. `None`: not yet known, because the bounds may not be acted on or units are not
    /// shared out as planned, or not a thing that adds up over units.
    #[must_use]
    pub fn worth(&self, comparison: &Comparison) -> Option<Bounded> {
        let pace = self.units_per_week().filter(|_| self.sample_ratio < RATIO_ALARM)?;
        let adds_up = comparison.meets_minimum_sample
            && matches!(comparison.metric.shape(), Shape::Share | Shape::Mean);
        let difference = comparison.difference.filter(|_| adds_up)?;
        Some(difference.map(|worth| worth * pace))
    }

    /// Whether an arm was shown to be worse.
    #[must_use]
    pub fn has_dropped(&self, arm: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped.arm == arm)
    }

    /// Adds the goal of the leads of each agent at `at`, or that there are too many agents. Leads
    /// of one stretch are told together, so this does not end with the look of the decision.
    fn tell_agents(
        &mut self,
        setup: &Setup<'_>,
        pairs: &[Pair<'_>],
        (agents, at, sample_ratio): (&ByAgent, EventTime, f64),
    ) {
        let (Some(most), Some(reported)) = (setup.plan.agents_max, &mut self.segments) else {
            return;
        };
        if agents.exceeds(most) {
            self.decision.rule.push_str(&format!(
                "; more than {most} agents had leads: no segment effects by agent"
            ));
        } else if sample_ratio < RATIO_ALARM {
            let is_over = |stretch: Period| setup.look(stretch.last_day(setup.window_hours)) <= at;
            reported.extend(by_agent(agents, (setup.plan, pairs), &is_over));
        }
    }

    /// Notes the arms whose goal or guardrail is shown to have fallen, unless nothing can be
    /// concluded. The level of harm is shared out evenly over arms and metrics, so that all of
    /// these are right at all looks together.
    fn drop_worse(&mut self, compared: &[Comparison], at: EventTime) {
        for comparison in compared.iter().filter(|_| self.sample_ratio < RATIO_ALARM) {
            if let Some(rule) = worse(comparison)
                && !self.has_dropped(&comparison.arm)
            {
                self.dropped.push(Dropped { arm: comparison.arm.clone(), rule, at });
            }
        }
    }
}

/// Adjusts the p-values of the goal for the number of arms (Holm). Each p-value holds at all looks
/// at once, and Holm's argument is a union over the arms that do not differ, so the adjusted ones
/// hold at all looks at once as well. An arm whose bounds may not be acted on yet is no evidence.
fn adjust(compared: &mut [Comparison]) {
    let goals: Vec<usize> = compared
        .iter()
        .enumerate()
        .filter(|(_, reported)| reported.role == Role::Goal)
        .map(|(place, _)| place)
        .collect();
    let p = |place: &usize| {
        compared
            .get(*place)
            .filter(|reported| reported.meets_minimum_sample)
            .and_then(|reported| reported.p_value)
            .unwrap_or(1.0)
    };
    let adjusted = holm(&goals.iter().map(p).collect::<Vec<_>>()).unwrap_or_default();
    for (place, adjusted) in goals.into_iter().zip(adjusted) {
        compared[place].p_adjusted = Some(adjusted);
    }
}

/// Walks through all looks that are possible at `at`.
///
/// `None` while the plan cannot be used, which its definition does not let in.
#[must_use]
pub fn report(setup: &Setup<'_>, tally: &Tally, at: EventTime) -> Option<Report> {
    let pairs = pairs(setup)?;
    let ratios = ratios(setup, tally);
    let mut days: Vec<i64> = tally.cohorts.keys().map(|cohort| cohort.day).collect();
    days.dedup();
    let first = days.first().copied().unwrap_or_default();
    let all: u64 =
        tally.cohorts.values().flat_map(|arms| arms.values()).map(|group| group.units).sum();
    let mut reported = Report::before_any_look(setup, at);
    (reported.waiting, reported.sample_ratio) = (all, ratio_at(&ratios, at));
    let mut groups = Groups::new();
    let mut adaptive = BanditEstimator::of(setup);
    let mut ready = days
        .into_iter()
        .map(|day| (day, setup.look(day)))
        .take_while(|(_, look)| *look <= at)
        .peekable();
    while let Some((day, look)) = ready.next() {
        observe(&mut groups, &mut adaptive, (setup, tally), day);
        reported.units = groups.values().flat_map(BTreeMap::values).map(|group| group.units).sum();
        reported.waiting = all - reported.units;
        reported.days = day - first;
        reported.sample_ratio = ratio_at(&ratios, look);
        let compared = |pair, of| {
            let plain = compare(&groups, pair, of);
            match &adaptive {
                Some(adaptive) => adaptive.compared(plain, pair, of),
                None => plain,
            }
        };
        let mut compared: Vec<Comparison> = pairs
            .iter()
            .flat_map(|pair| measured(setup.plan).map(|of| compared(pair, of)))
            .collect();
        adjust(&mut compared);
        reported.drop_worse(&compared, look);
        let goals = compared.iter().filter(|comparison| comparison.role == Role::Goal);
        reported.looks.extend(goals.filter_map(|goal| Look::of(goal, look)));
        let (verdict, rule) = judge(setup.plan, &compared, &reported);
        reported.decision = Decision { verdict, rule, at: look };
        // What holds at one planned look under fixed weights is not shown for a bandit.
        let fixed = |pair, of| {
            if adaptive.is_some() { Display::default() } else { display(&groups, pair, of) }
        };
        let shown = pairs.iter().flat_map(|pair| measured(setup.plan).map(|of| fixed(pair, of)));
        if reported.decision.verdict != Verdict::Continue || ready.peek().is_none() {
            reported.comparisons = compared.into_iter().zip(shown).collect();
            if reported.sample_ratio < RATIO_ALARM {
                reported
                    .segments
                    .iter_mut()
                    .for_each(|reported| *reported = by_stratum(&groups, (setup.plan, &pairs)));
            }
            let outcomes = |arm: &str| {
                count(&groups, arm, |group| group.cells.first().map_or(0, |goal| goal.nonzero))
            };
            reported.worth_of_arms =
                adaptive.as_ref().map_or_else(Vec::new, |adaptive| adaptive.worth(setup, outcomes));
            break;
        }
    }
    reported.decision.rule.extend(alarm(tally.multi_exposed));
    reported.tell_agents(setup, &pairs, (&tally.by_agent, at, ratio_at(&ratios, at)));
    Some(reported)
}

/// Adds the units that were first exposed on a day.
fn observe(
    groups: &mut Groups,
    adaptive: &mut Option<BanditEstimator>,
    (setup, tally): (&Setup<'_>, &Tally),
    day: i64,
) {
    let of_day = Cohort { day, version: 0 }..=Cohort { day, version: u32::MAX };
    for (cohort, arms) in tally.cohorts.range(of_day) {
        let own = groups.entry(cohort.version).or_default();
        arms.iter().for_each(|(arm, group)| own.entry(arm.clone()).or_default().merge(group));
        if let (Some(adaptive), Some(weights)) =
            (adaptive.as_mut(), setup.versions.get(&cohort.version))
        {
            adaptive.observe(weights, arms);
        }
    }
}

fn measured(plan: &Plan) -> impl Iterator<Item = (usize, &Measure)> {
    plan.measures.iter().enumerate()
}

/// Each arm beside the control, at its part of the level.
#[must_use]
pub fn pairs<'a>(setup: &Setup<'a>) -> Option<Vec<Pair<'a>>> {
    let plan = setup.plan;
    let weights = *setup.versions.values().next()?;
    let weight = |arm: &str| {
        weights.iter().find(|(name, _)| name == arm).map_or(0.0, |(_, weight)| f64::from(*weight))
    };
    let total: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let control = weight(&plan.control);
    let others: Vec<&(String, u32)> =
        weights.iter().filter(|(arm, _)| *arm != plan.control).collect();
    let (arms, guardrails) = (
        u32::try_from(others.len()).ok()?,
        plan.measures.iter().filter(|of| matches!(of.role, Role::Guardrail { .. })),
    );
    let alpha = Alpha::new(plan.alpha).ok()?.split(arms);
    let harm = alpha.split(1 + u32::try_from(guardrails.count()).ok()?);
    let pair = |(treatment, own): &'a (String, u32)| {
        let both = control + f64::from(*own);
        let share = f64::from(*own) / both;
        Pair {
            control: &plan.control,
            treatment,
            allocation: Some(share)
                .filter(|share| setup.versions.len() == 1 && *share > 0.0 && *share < 1.0),
            // A bandit's scores are of all units, whichever arm they had.
            tuning: Tuning {
                alpha,
                planned: plan.planned_units as f64
                    * if plan.allocation.is_some() { 1.0 } else { both / total },
            },
            harm,
            covariate: plan.covariate,
            strata: plan.strata,
        }
    };
    Some(others.into_iter().map(pair).collect())
}

/// The largest evidence against the planned shares so far, after each day of exposures.
fn ratios(setup: &Setup<'_>, tally: &Tally) -> Vec<(EventTime, f64)> {
    let mut counts: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    let (mut largest, mut leaked, mut path) = (0.0_f64, false, Vec::new());
    for (cohort, arms) in &tally.cohorts {
        let Some(weights) = setup.versions.get(&cohort.version) else { continue };
        let counts = counts.entry(cohort.version).or_insert_with(|| vec![0; weights.len()]);
        for (arm, group) in arms.iter() {
            match weights.iter().position(|(name, _)| name == arm) {
                Some(place) => counts[place] += group.units,
                None => leaked = true,
            }
        }
        path.push((cohort.day, cohort.version, counts.clone()));
    }
    let mut newest: BTreeMap<u32, f64> = BTreeMap::new();
    let mut reported = Vec::new();
    for (place, (day, version, counts)) in path.iter().enumerate() {
        let weights: Vec<f64> =
            setup.versions[version].iter().map(|(_, weight)| f64::from(*weight)).collect();
        let evidence = Shares::planned(&weights)
            .and_then(|shares| shares.log_evidence(counts))
            .unwrap_or(f64::INFINITY);
        newest.insert(*version, if leaked { f64::INFINITY } else { evidence });
        // Versions that share a day are looked at together.
        if path.get(place + 1).is_none_or(|(next, ..)| next != day) {
            largest = largest.max(newest.values().sum());
            reported.push((EventTime((day + 1) * DAY_MS), largest));
        }
    }
    reported
}

fn ratio_at(ratios: &[(EventTime, f64)], at: EventTime) -> f64 {
    ratios.iter().take_while(|(day, _)| *day <= at).last().map_or(0.0, |(_, evidence)| *evidence)
}

/// The first rule that holds, in the order written here.
fn judge(plan: &Plan, compared: &[Comparison], reported: &Report) -> (Verdict, String) {
    if reported.sample_ratio >= RATIO_ALARM {
        return (Verdict::SampleRatio, uneven(reported.sample_ratio));
    }
    let goals = compared.iter().filter(|comparison| comparison.role == Role::Goal);
    let arms: Vec<&Comparison> = goals.filter(|goal| !reported.has_dropped(&goal.arm)).collect();
    if arms.is_empty() {
        return (
            Verdict::RollBack,
            reported
                .dropped
                .iter()
                .map(|dropped| dropped.rule.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        );
    }
    if reported.days < plan.days_min {
        return (Verdict::Continue, format!("{} of {} full days", reported.days, plan.days_min));
    }
    let is_better = |goal: &&Comparison| {
        let above = goal.lift.is_some_and(|lift| lift.estimate > 0.0)
            && goal.p_adjusted.is_some_and(|p| p <= plan.alpha);
        above && compared.iter().filter(|comparison| comparison.arm == goal.arm).all(is_kept)
    };
    if let Some(best) = best(arms.iter().copied().filter(is_better)) {
        return (
            Verdict::Promote(best.arm.clone()),
            promotion(best, reported.dropped.len() + arms.len()),
        );
    }
    if let Some(concluded) = equivalent(plan, arms.iter().copied()) {
        return concluded;
    }
    if reported.units >= plan.planned_units {
        return (
            Verdict::Futile,
            format!(
                "{} of {} planned units, and nothing is shown: the control stays",
                reported.units, plan.planned_units
            ),
        );
    }
    (Verdict::Continue, format!("{} of {} planned units", reported.units, plan.planned_units))
}
