//! The goal adjusted by what was known of each lead before its first exposure: the same effect with
//! less chance in it.
//!
//! The coefficient is fitted anew at each look, from all units of both arms so far, over all
//! versions. That it is estimated moves the effect by its own error times the difference of the
//! covariates between the arms. Both shrink with the number of units, so what they come to together
//! is of smaller order than the error of the effect, and the sequence holds as it would with the
//! coefficient known (asymptotically linear estimators: Waudby-Smith et al., arXiv:2103.06476v7).
//! Whether the covariate explains anything decides how much is gained, never whether the bounds
//! hold.

use crate::domain::experiment::tally::Group;
use crate::domain::experiment::versions::{Groups, by_version, together};
use crate::stats::cuped::{log_ratio, means};
use crate::stats::level::{Alpha, Error, Interval};
use crate::stats::log_ratio::{self, lift};
use crate::stats::moments::{Arms, Moments, PairMoments};
use crate::stats::welch::Effect;

/// What the covariate does to the goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjustment {
    /// What is taken off the goal per one of the covariate.
    pub coefficient: f64,
    /// Share of the variance of the effect that is gone; below 0 it is worse than without.
    pub variance_removed: f64,
    /// The relative effect without it.
    pub plain_lift: Option<f64>,
    /// Two-sided p-value of the adjusted difference: valid at one planned look.
    pub fixed_p: f64,
    /// Its interval at one planned look.
    pub fixed: Interval,
}

/// The goal of one arm beside the control, adjusted.
pub(crate) struct Adjusted {
    pub(crate) log_ratio: Option<Effect>,
    pub(crate) difference: Effect,
    pub(crate) adjustment: Adjustment,
}

/// Adjusts the goal of control and treatment; `None` while there is too little to fit.
pub(crate) fn adjusted(groups: &Groups, arms: [&str; 2], alpha: Alpha) -> Option<Adjusted> {
    let arms = moments(groups, arms).ok()?;
    let found = means(&arms, alpha).ok()?;
    let plain = Arms { control: arms.control.first, treatment: arms.treatment.first };
    let before = Effect::between(&plain);
    let share = found.test.effect.standard_error / before.standard_error;
    let adjustment = Adjustment {
        coefficient: found.theta,
        variance_removed: 1.0 - share * share,
        plain_lift: log_ratio::log_ratio(&plain).ok().map(|effect| lift(effect.estimate)),
        fixed_p: found.test.p_value,
        fixed: found.test.interval,
    };
    Some(Adjusted {
        log_ratio: log_ratio(&arms, found.theta).ok(),
        difference: found.test.effect,
        adjustment,
    })
}

/// Goal and covariate of both arms over versions, each of which weighs as many units as both arms
/// have in it.
fn moments(groups: &Groups, arms: [&str; 2]) -> Result<Arms<PairMoments>, Error> {
    let parts = by_version(groups, arms, |group: &Group| group.goal_with_covariate().moments())?;
    let arm = |arm: usize| {
        let of = |of: fn(&PairMoments) -> Moments| {
            together(parts.iter().map(|(share, pairs)| (*share, of(&pairs[arm]))))
        };
        let (first, second) = (of(|pair| pair.first), of(|pair| pair.second));
        let covariance = parts.iter().map(|(share, pairs)| {
            share * share * pairs[arm].covariance / pairs[arm].first.n as f64
        });
        PairMoments { first, second, covariance: covariance.sum::<f64>() * first.n as f64 }
    };
    Ok(Arms { control: arm(0), treatment: arm(1) })
}
