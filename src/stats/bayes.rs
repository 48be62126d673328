//! What one may believe of an effect: shown beside the decision, never the ground of it under
//! peeking.

use crate::stats::distribution::{
    beta_lower_quantile, beta_upper_quantile, normal_below, normal_critical, normal_density,
};
use crate::stats::level::{Alpha, Error, Interval, finite, positive};
use crate::stats::moments::Arms;
use crate::stats::proportion::Share;
use crate::stats::ranking::{Beta, Normal, beta_ranking};
use crate::stats::welch::Effect;

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What is believed of a normal effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// The posterior distribution of the effect.
    pub posterior: Normal,
    /// Probability that the treatment is better.
    pub chance_to_win: f64,
    /// Equal-tailed interval of the posterior.
    pub interval: Interval,
    /// What is lost on average by staying with the control, in units of the effect.
    pub loss_control: f64,
    /// What is lost on average by choosing the treatment.
    pub loss_treatment: f64,
}

/// Combines an estimated effect with a normal prior of it; `None` is flat.
///
/// # Errors
/// When the standard error or the prior's deviation is not above 0.
pub fn effect(
    effect: Effect,
    prior: Option<Normal>,
    better: Better,
    alpha: Alpha,
) -> Result<Belief, Error> {
    let data = Normal {
        mean: finite("the estimate", effect.estimate)?,
        sd: positive("the standard error", effect.standard_error)?,
    };
    let posterior = match prior {
        None => data,
        Some(prior) => data.combined(Normal {
            mean: finite("the prior mean", prior.mean)?,
            sd: positive("the prior deviation", prior.sd)?,
        }),
    };
    let Normal { mean, sd } = posterior;
    let z = mean / sd;
    let gain = sd * normal_density(z) + mean * normal_below(z);
    let loss = sd * normal_density(z) - mean * normal_below(-z);
    let (chance_to_win, loss_control, loss_treatment) = match better {
        Better::Higher => (normal_below(z), gain, loss),
        Better::Lower => (normal_below(-z), loss, gain),
    };
    let interval = Interval::around(mean, normal_critical(alpha.value()) * sd);
    Ok(Belief { posterior, chance_to_win, interval, loss_control, loss_treatment })
}

/// A prior of the relative effect on the scale of the control's mean, for absolute effects.
#[must_use]
pub fn absolute_prior(relative: Normal, control_mean: f64) -> Normal {
    Normal { mean: relative.mean * control_mean.abs(), sd: relative.sd * control_mean.abs() }
}

/// What is believed of two shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareBelief {
    /// Posterior of each arm.
    pub posterior: Arms<Beta>,
    /// Equal-tailed interval of each arm.
    pub interval: Arms<Interval>,
    /// Probability that the treatment's share is higher.
    pub chance_to_win: f64,
    /// What is lost on average by staying with the control, as a fraction.
    pub loss_control: f64,
    /// What is lost on average by choosing the treatment.
    pub loss_treatment: f64,
}

/// Exact beta-binomial posteriors from a common prior.
///
/// # Errors
/// When the prior is not above 0, without trials, or with more successes than trials.
pub fn shares(arms: &Arms<Share>, prior: Beta, alpha: Alpha) -> Result<ShareBelief, Error> {
    let posterior = arms.try_map(|share| prior.after(*share))?;
    let half = 0.5 * alpha.value();
    let bounds = |beta: &Beta| {
        Ok(Interval {
            lower: beta_lower_quantile(half, beta.a, beta.b),
            upper: beta_upper_quantile(half, beta.a, beta.b),
        })
    };
    // P(left > right), exact up to the quadrature.
    let beats = |left: Beta, right: Beta| -> Result<f64, Error> {
        Ok(beta_ranking(&[left, right])?.best[0])
    };
    let (c, t) = (posterior.control, posterior.treatment);
    // E[max(C - T, 0)] = E[C] P(C' > T) - E[T] P(C > T'), where a prime has one success more.
    let loss = |chosen: Beta, other: Beta| -> Result<f64, Error> {
        Ok((other.mean() * beats(other.more(), chosen)?
            - chosen.mean() * beats(other, chosen.more())?)
        .max(0.0))
    };
    Ok(ShareBelief {
        posterior,
        interval: posterior.try_map(bounds)?,
        chance_to_win: beats(t, c)?,
        loss_control: loss(c, t)?,
        loss_treatment: loss(t, c)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level() -> Alpha {
        Alpha::new(0.05).unwrap()
    }

    #[test]
    fn uniform_priors_without_data_are_even_and_lose_a_sixth() {
        let prior = Beta { a: 1.0, b: 1.0 };
        let none = Share { trials: 1, successes: 0 };
        // One failure each: Beta(1, 2) twice. E max(C - T, 0) = half of E|C - T| = 2/15 for Beta(1,
        // 2).
        let belief = shares(&Arms { control: none, treatment: none }, prior, level()).unwrap();
        assert!((belief.chance_to_win - 0.5).abs() < 1e-14);
        assert!(
            (belief.loss_control - 2.0 / 15.0).abs() < 1e-13
                && (belief.loss_treatment - 2.0 / 15.0).abs() < 1e-13,
            "{belief:?}"
        );
    }

    #[test]
    fn impossible_beliefs_are_refused() {
        let estimate = Effect { estimate: 0.1, standard_error: 0.0 };
        assert!(effect(estimate, None, Better::Higher, level()).is_err());
        let estimate = Effect { estimate: 0.1, standard_error: 1.0 };
        assert!(
            effect(estimate, Some(Normal { mean: 0.0, sd: 0.0 }), Better::Higher, level()).is_err()
        );
        let share = Share { trials: 1, successes: 2 };
        assert!(
            shares(&Arms { control: share, treatment: share }, Beta { a: 1.0, b: 1.0 }, level())
                .is_err()
        );
        let share = Share { trials: 2, successes: 2 };
        assert!(
            shares(&Arms { control: share, treatment: share }, Beta { a: 0.0, b: 1.0 }, level())
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn losses_differ_by_the_effect_and_directions_mirror(estimate in -3.0..3.0_f64, standard_error in 0.1..2.0_f64) {
            let one = effect(Effect { estimate, standard_error }, None, Better::Higher, level()).unwrap();
            let other = effect(Effect { estimate: -estimate, standard_error }, None, Better::Lower, level()).unwrap();
            prop_assert!((one.loss_control - one.loss_treatment - estimate).abs() < 1e-12);
            prop_assert!((one.chance_to_win - other.chance_to_win).abs() < 1e-15 && (one.loss_control - other.loss_control).abs() < 1e-12);
        }

        #[test]
        fn losses_of_shares_differ_by_the_means(n in (1..400_u64, 1..400_u64), part in (0.0..1.0_f64, 0.0..1.0_f64)) {
            let of = |trials: u64, part: f64| Share { trials, successes: (trials as f64 * part) as u64 };
            let arms = Arms { control: of(n.0, part.0), treatment: of(n.1, part.1) };
            let belief = shares(&arms, Beta { a: 1.0, b: 1.0 }, level()).unwrap();
            let difference = belief.posterior.treatment.mean() - belief.posterior.control.mean();
            prop_assert!((belief.loss_control - belief.loss_treatment - difference).abs() < 1e-11);
        }
    }
}
