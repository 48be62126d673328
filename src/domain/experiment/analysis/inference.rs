//! What the outcomes of two arms say about one metric: bounds that hold at every look, and beside
//! them what is only displayed.

use crate::domain::experiment::analysis::adjusted::{Adjusted, Adjustment, adjusted};
use crate::domain::experiment::analysis::stratified::{Stratified, stratified};
use crate::domain::experiment::plan::{Measure, Metric, Role, Shape};
use crate::domain::experiment::pre_exposure::{Covariate, Strata};
use crate::domain::experiment::tally::{Group, UNANSWERED, minutes};
use crate::domain::experiment::versions::{Groups, by_version, count, together};
use crate::stats::asymptotic::{Sequence, Tuning, sequence};
use crate::stats::bayes;
use crate::stats::counts::{Conversions, rate_evidence};
use crate::stats::level::{Alpha, Error, Interval};
use crate::stats::log_ratio::{lift, log_ratio};
use crate::stats::moments::{Arms, Moments};
use crate::stats::proportion::{Share, newcombe};
use crate::stats::quantile::{Compared, watched};
use crate::stats::welch::{self, Effect};

/// Bounds on a time that say nothing.
const NOTHING: Interval = Interval { lower: 0.0, upper: f64::INFINITY };

/// Which arms are compared, and how strictly.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair<'a> {
    /// What is compared with.
    pub control: &'a str,
    /// What is tried.
    pub treatment: &'a str,
    /// Share of the treatment among the units of both arms, where the weights never changed.
    pub allocation: Option<f64>,
    /// Level of the two-sided bounds on the goal, and units of both arms at which they are
    /// tightest.
    pub tuning: Tuning,
    /// Level of the bound that shows harm.
    pub harm: Alpha,
    /// What the goal is adjusted by.
    pub covariate: Option<Covariate>,
    /// Within what the goal is compared as well.
    pub strata: Option<Strata>,
}

/// An effect with bounds that hold at every look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    /// The estimate.
    pub estimate: f64,
    /// The bounds.
    pub interval: Interval,
}

impl Bounded {
    /// Estimate and bounds through an increasing function.
    #[must_use]
    pub fn map(self, increasing: impl Fn(f64) -> f64) -> Self {
        Self { estimate: increasing(self.estimate), interval: self.interval.map(increasing) }
    }
}

/// One metric of one arm beside the control.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// What it is for.
    pub role: Role,
    /// The arm that is tried.
    pub arm: String,
    /// Units whose windows have passed.
    pub units: Arms<u64>,
    /// Units with an outcome other than 0.
    pub outcomes: Arms<u64>,
    /// Means; of ratios the ratio.
    pub means: Arms<f64>,
    /// Relative effect; `None` while it is not defined. Of a goal with a covariate it is the
    /// adjusted one, like all that follows.
    pub lift: Option<Bounded>,
    /// Effect in ones of the metric.
    pub difference: Option<Bounded>,
    /// p-value of the relative effect, valid at every look.
    pub p_value: Option<f64>,
    /// That of the goal adjusted for the number of arms, valid at every look as well; `None` for
    /// other metrics.
    pub p_adjusted: Option<f64>,
    /// One-sided lower bound of the relative effect: what it may have lost at most.
    pub one_sided_lower: Option<f64>,
    /// One-sided upper bound at the level of harm: below 0 it is worse.
    pub one_sided_upper: Option<f64>,
    /// Whether both arms have the outcomes that bounds need before they may be acted on.
    pub meets_minimum_sample: bool,
    /// What the covariate did; `None` without one and of other metrics.
    pub adjustment: Option<Adjustment>,
}

/// What is displayed beside a comparison and decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Display {
    /// Logarithm of the evidence of conversions alone against equal rates; of shares under constant
    /// weights.
    pub log_evidence: Option<f64>,
    /// Two-sided p-value of Welch's test: valid at one planned look.
    pub fixed_p: Option<f64>,
    /// Interval of the difference at one planned look: Newcombe's of shares, Welch's of others.
    pub fixed: Option<Interval>,
    /// Probability that the arm is better, under a flat prior of the log ratio.
    pub chance_to_win: Option<f64>,
    /// What choosing the arm loses on average, on the log scale.
    pub expected_loss: Option<f64>,
    /// Of agents: two-sided p-value over all ways in which they could have got their arms; `None`
    /// with more of them than can be counted.
    pub exact_p: Option<f64>,
    /// Of a goal with strata: the difference within them.
    pub stratified: Option<Stratified>,
}

/// Mean and variance of both arms over all versions.
fn moments(
    groups: &Groups,
    arms: [&str; 2],
    (place, shape): (usize, Shape),
) -> Result<[Moments; 2], Error> {
    let of = |group: &Group| -> Result<Moments, Error> {
        let sums = group.cells.get(place).copied().unwrap_or_default().sums(group.units);
        match shape {
            Shape::Share | Shape::Mean => sums.first.moments(),
            Shape::Ratio => sums.moments()?.ratio(),
            Shape::Median => Err(Error::NoVariance("a median")),
        }
    };
    let parts = by_version(groups, arms, of)?;
    Ok([0, 1].map(|arm| together(parts.iter().map(|(share, both)| (*share, both[arm])))))
}

fn arms(
    groups: &Groups,
    pair: &Pair<'_>,
    (place, measure): (usize, &Measure),
) -> Result<Arms<Moments>, Error> {
    let [control, treatment] =
        moments(groups, [pair.control, pair.treatment], (place, measure.metric.shape()))?;
    Ok(Arms { control, treatment })
}

/// One metric of one arm beside the control.
#[must_use]
pub fn compare(
    groups: &Groups,
    pair: &Pair<'_>,
    (place, measure): (usize, &Measure),
) -> Comparison {
    let both = |of: &dyn Fn(&Group) -> u64| Arms {
        control: count(groups, pair.control, of),
        treatment: count(groups, pair.treatment, of),
    };
    let outcomes = both(&|group| group.cells.get(place).map_or(0, |cell| cell.nonzero));
    let units = both(&|group| group.units);
    if measure.metric.shape() == Shape::Median {
        return compare_medians(medians(groups, pair), pair, measure, (units, outcomes));
    }
    let moments = arms(groups, pair, (place, measure));
    let means = moments.as_ref().map_or(Arms { control: 0.0, treatment: 0.0 }, |moments| Arms {
        control: moments.control.mean,
        treatment: moments.treatment.mean,
    });
    let n = units.control + units.treatment;
    let adjusted = of_goal(groups, pair, measure);
    let effect = moments.as_ref().ok().and_then(|moments| relative(adjusted.as_ref(), moments));
    let at = |effect: Option<Effect>, tuning: Tuning| -> Option<Sequence> {
        sequence(effect?, n, tuning).ok()
    };
    let watched = at(effect, pair.tuning);
    let harm = at(effect, Tuning { alpha: pair.harm, ..pair.tuning });
    let plain = || moments.as_ref().ok().map(Effect::between);
    let absolute = adjusted.as_ref().map(|adjusted| adjusted.difference).or_else(plain);
    let bounded = |effect: Option<Effect>, sequence: Option<Sequence>| {
        Some(Bounded { estimate: effect?.estimate, interval: sequence?.interval })
    };
    let least = measure.metric.outcomes_min();
    Comparison {
        metric: measure.metric,
        role: measure.role,
        arm: pair.treatment.to_owned(),
        units,
        outcomes,
        means,
        lift: bounded(effect, watched).map(|reported| reported.map(lift)),
        difference: bounded(absolute, at(absolute, pair.tuning)),
        p_value: watched.map(|sequence| sequence.p_value),
        p_adjusted: None,
        one_sided_lower: watched.map(|sequence| lift(sequence.one_sided.lower)),
        one_sided_upper: harm.map(|sequence| lift(sequence.one_sided.upper)),
        meets_minimum_sample: outcomes.control >= least && outcomes.treatment >= least,
        adjustment: adjusted.map(|adjusted| adjusted.adjustment),
    }
}

/// The goal adjusted by its covariate; other metrics are told as they are.
fn of_goal(groups: &Groups, pair: &Pair<'_>, measure: &Measure) -> Option<Adjusted> {
    if pair.covariate.is_none() || measure.role != Role::Goal {
        return None;
    }
    adjusted(groups, [pair.control, pair.treatment], pair.tuning.alpha)
}

/// The effect as a log ratio: the adjusted one where there is one.
fn relative(adjusted: Option<&Adjusted>, moments: &Arms<Moments>) -> Option<Effect> {
    adjusted.map_or_else(|| log_ratio(moments).ok(), |adjusted| adjusted.log_ratio)
}

fn compare_medians(
    medians: Option<Arms<Bounded>>,
    pair: &Pair<'_>,
    measure: &Measure,
    (units, outcomes): (Arms<u64>, Arms<u64>),
) -> Comparison {
    let least = measure.metric.outcomes_min();
    let effect = |of: fn(f64, f64) -> f64| {
        let Arms { control: c, treatment: t } = medians?;
        let interval = Interval {
            lower: of(t.interval.lower, c.interval.upper),
            upper: of(t.interval.upper, c.interval.lower),
        };
        let estimate = of(t.estimate, c.estimate);
        // Where half of both arms was never answered there is nothing to compare.
        let is_told =
            [estimate, interval.lower, interval.upper].iter().all(|value| !value.is_nan());
        is_told.then_some(Bounded { estimate, interval })
    };
    Comparison {
        metric: measure.metric,
        role: measure.role,
        arm: pair.treatment.to_owned(),
        units,
        outcomes,
        means: medians.map_or(Arms { control: 0.0, treatment: 0.0 }, |reported| Arms {
            control: reported.control.estimate,
            treatment: reported.treatment.estimate,
        }),
        lift: effect(|t, c| t / c - 1.0),
        difference: effect(|t, c| t - c),
        p_value: None,
        p_adjusted: None,
        one_sided_lower: None,
        one_sided_upper: None,
        meets_minimum_sample: outcomes.control >= least && outcomes.treatment >= least,
        adjustment: None,
    }
}

/// The median of both arms, minutes, with bounds that hold at every look; after a change of weights
/// without them, because versions differ.
fn medians(groups: &Groups, pair: &Pair<'_>) -> Option<Arms<Bounded>> {
    let tuning = pair.tuning;
    // Each arm has two bounds of its own, all four hold together.
    let alpha = tuning.alpha.split(2);
    let of = |arm: &str| -> Option<Bounded> {
        // A median may also be where nobody's time was so far.
        let mut units = [0_u64; UNANSWERED as usize + 1];
        for group in groups.values().filter_map(|version| version.get(arm)) {
            group.waits.iter().for_each(|(bucket, count)| units[usize::from(*bucket)] += count);
        }
        let compared = Compared { share: 0.5, planned: tuning.planned / 2.0, alpha_planned: alpha };
        let found = watched(&units, compared, alpha).ok()?;
        let at = |place: usize| minutes(u8::try_from(place).unwrap_or(UNANSWERED));
        let interval = if groups.len() == 1 {
            Interval { lower: at(found.lower), upper: at(found.upper + 1) }
        } else {
            NOTHING
        };
        Some(Bounded { estimate: at(found.estimate), interval })
    };
    Some(Arms { control: of(pair.control)?, treatment: of(pair.treatment)? })
}

/// What is displayed beside a comparison.
#[must_use]
pub fn display(groups: &Groups, pair: &Pair<'_>, (place, measure): (usize, &Measure)) -> Display {
    let Ok(moments) = arms(groups, pair, (place, measure)) else { return Display::default() };
    let alpha = pair.tuning.alpha;
    let successes = |arm: &str| {
        count(groups, arm, |group| group.cells.get(place).map_or(0, |cell| cell.nonzero))
    };
    let is_share = measure.metric.shape() == Shape::Share;
    let share = |arm: &str| Share {
        trials: count(groups, arm, |group| group.units),
        successes: successes(arm),
    };
    let test = welch::test(&moments, alpha).ok();
    let fixed = if is_share && groups.len() == 1 {
        newcombe(&Arms { control: share(pair.control), treatment: share(pair.treatment) }, alpha)
            .ok()
    } else {
        test.map(|test| test.interval)
    };
    let conversions = pair.allocation.filter(|_| is_share).map(|allocation| Conversions {
        treatment: successes(pair.treatment),
        control: successes(pair.control),
        allocation,
        prior: (1.0, 1.0),
    });
    let effect = relative(of_goal(groups, pair, measure).as_ref(), &moments);
    let belief = effect.and_then(|effect| bayes::effect(effect).ok());
    let has_strata = pair.strata.is_some() && measure.role == Role::Goal;
    let stratified = if has_strata {
        stratified(groups, [pair.control, pair.treatment], alpha).ok()
    } else {
        None
    };
    Display {
        log_evidence: conversions.and_then(|conversions| rate_evidence(conversions).ok()),
        fixed_p: test.map(|test| test.p_value),
        fixed,
        chance_to_win: belief.map(|belief| belief.chance_to_win),
        expected_loss: belief.map(|belief| belief.loss_treatment),
        exact_p: None,
        stratified,
    }
}
