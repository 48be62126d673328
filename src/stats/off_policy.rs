//! What another policy would have earned, from draws whose probabilities were logged.
//!
//! Inverse propensity scores (Horvitz and Thompson 1952), the same with clipped or normalised
//! weights (Swaminathan and Joachims, NeurIPS 2015), the forecasts alone, and both together: doubly
//! robust (Dudik, Langford and Li, ICML 2011). Valid at one look, for propensities that did not
//! follow these rewards.

use crate::stats::level::{Error, at_least, finite, fraction, positive, same_length};
use crate::stats::weighted::EFFECTIVE_SIZE_MIN;
use crate::stats::welch::Effect;

/// One logged draw of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logged<'a> {
    /// The arm drawn.
    pub arm: usize,
    /// What came of it.
    pub reward: f64,
    /// Probabilities of all arms when it was drawn.
    pub logged: &'a [f64],
    /// Probabilities that the policy in question gives them.
    pub target: &'a [f64],
    /// Forecast reward of each, made without this reward.
    pub forecast: &'a [f64],
}

/// Mean reward of the policy in question by each method, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Weighted rewards.
    pub weighted: Effect,
    /// The same with weights cut off: less variance, biased downwards for rewards above 0.
    pub clipped: Effect,
    /// Weighted rewards over the sum of weights: stays within the rewards.
    pub normalised: Effect,
    /// Forecasts alone: as good as they are.
    pub forecast: Effect,
    /// Forecasts corrected by weighted errors: right when either the forecasts or the propensities
    /// are.
    pub doubly_robust: Effect,
    /// Kish's effective sample size of the weights.
    pub effective_size: f64,
    /// The largest weight.
    pub weight_max: f64,
    /// The mean weight, near 1 where logging and policy share their arms.
    pub weight_mean: f64,
}

impl Evaluation {
    /// The doubly robust value, where enough draws stand behind it.
    #[must_use]
    pub fn trusted(&self) -> Option<Effect> {
        (self.effective_size >= EFFECTIVE_SIZE_MIN).then_some(self.doubly_robust)
    }
}

/// Evaluates a policy; weights are cut off at `clip`.
///
/// # Errors
/// With fewer than two draws, a drawn arm without propensity, numbers outside of their ranges, or
/// when the policy never draws what was drawn.
pub fn evaluate(draws: &[Logged], clip: f64) -> Result<Evaluation, Error> {
    at_least("draws", draws.len() as u64, 2)?;
    positive("the clip", clip)?;
    let scores = draws.iter().map(Score::of).collect::<Result<Vec<_>, _>>()?;
    let n = scores.len() as f64;
    let weights: f64 = scores.iter().map(|score| score.weight).sum();
    let squares: f64 = scores.iter().map(|score| score.weight * score.weight).sum();
    positive("the sum of weights", weights)?;
    let normalised = scores.iter().map(|score| score.weight * score.reward).sum::<f64>() / weights;
    let far = |score: &Score| {
        score.weight * score.weight * (score.reward - normalised) * (score.reward - normalised)
    };
    Ok(Evaluation {
        weighted: mean(&scores, |score| score.weight * score.reward),
        clipped: mean(&scores, |score| score.weight.min(clip) * score.reward),
        normalised: Effect {
            estimate: normalised,
            standard_error: scores.iter().map(far).sum::<f64>().sqrt() / weights,
        },
        forecast: mean(&scores, |score| score.forecast),
        doubly_robust: mean(&scores, |score| {
            score.forecast + score.weight * (score.reward - score.forecast_drawn)
        }),
        effective_size: weights * weights / squares,
        weight_max: scores.iter().map(|score| score.weight).fold(0.0, f64::max),
        weight_mean: weights / n,
    })
}

/// What one draw says.
struct Score {
    weight: f64,
    reward: f64,
    /// Forecast of the policy.
    forecast: f64,
    /// Forecast of the arm drawn.
    forecast_drawn: f64,
}

impl Score {
    fn of(draw: &Logged) -> Result<Self, Error> {
        let arms = draw.logged.len();
        same_length("probabilities of the policy", draw.target.len(), arms)?;
        same_length("forecasts", draw.forecast.len(), arms)?;
        draw.target
            .iter()
            .try_for_each(|target| fraction("a probability of the policy", *target).map(|_| ()))?;
        draw.forecast
            .iter()
            .try_for_each(|forecast| finite("a forecast", *forecast).map(|_| ()))?;
        let outside =
            Error::Outside { name: "the arm", value: draw.arm as f64, expected: "one of the arms" };
        let logged = *draw.logged.get(draw.arm).ok_or(outside)?;
        if !(logged > 0.0 && logged <= 1.0) {
            return Err(Error::Outside {
                name: "a propensity",
                value: logged,
                expected: "above 0 and at most 1",
            });
        }
        Ok(Self {
            weight: draw.target[draw.arm] / logged,
            reward: finite("a reward", draw.reward)?,
            forecast: draw
                .target
                .iter()
                .zip(draw.forecast)
                .map(|(target, forecast)| target * forecast)
                .sum(),
            forecast_drawn: draw.forecast[draw.arm],
        })
    }
}

/// Mean and its standard error from the sample variance.
fn mean(scores: &[Score], value: impl Fn(&Score) -> f64) -> Effect {
    let n = scores.len() as f64;
    let mean = scores.iter().map(&value).sum::<f64>() / n;
    let squares: f64 =
        scores.iter().map(|score| (value(score) - mean) * (value(score) - mean)).sum();
    Effect { estimate: mean, standard_error: (squares / (n - 1.0) / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(arm: usize, reward: f64) -> Logged<'static> {
        Logged { arm, reward, logged: &[0.25, 0.75], target: &[0.5, 0.5], forecast: &[0.5, 0.1] }
    }

    #[test]
    fn the_logging_policy_is_worth_the_mean_reward() {
        let same = |arm, reward| Logged { target: &[0.25, 0.75], ..draw(arm, reward) };
        let evaluation =
            evaluate(&[same(0, 1.0), same(1, 0.0), same(1, 1.0), same(1, 0.0)], 10.0).unwrap();
        let se = (1.0_f64 / 3.0 / 4.0).sqrt();
        for value in [evaluation.weighted, evaluation.clipped] {
            assert!(
                (value.estimate - 0.5).abs() < 1e-15 && (value.standard_error - se).abs() < 1e-15,
                "{value:?}"
            );
        }
        assert_eq!(
            (evaluation.normalised.estimate, evaluation.effective_size, evaluation.weight_max),
            (0.5, 4.0, 1.0)
        );
    }

    #[test]
    fn forecasts_that_are_right_leave_the_doubly_robust_value_without_error() {
        let exact = |arm: usize| draw(arm, [0.5, 0.1][arm]);
        let evaluation = evaluate(&[exact(0), exact(1), exact(1)], 10.0).unwrap();
        assert_eq!(
            (evaluation.doubly_robust.estimate, evaluation.doubly_robust.standard_error),
            (0.3, 0.0)
        );
        assert!(evaluation.weighted.standard_error > 0.1);
    }

    #[test]
    fn a_value_of_few_effective_draws_is_not_trusted() {
        let few: Vec<Logged> = (0..90).map(|index| draw(index % 2, 1.0)).collect();
        let many: Vec<Logged> = (0..400).map(|index| draw(index % 2, 1.0)).collect();
        assert_eq!(evaluate(&few, 10.0).unwrap().trusted(), None);
        let many = evaluate(&many, 10.0).unwrap();
        assert_eq!(many.trusted(), Some(many.doubly_robust));
    }

    #[test]
    fn what_was_never_possible_is_refused() {
        let never = Logged { logged: &[0.0, 1.0], ..draw(0, 1.0) };
        assert!(
            evaluate(&[never, never], 10.0).is_err() && evaluate(&[draw(0, 1.0)], 10.0).is_err()
        );
        assert!(
            evaluate(&[draw(2, 1.0), draw(0, 1.0)], 10.0).is_err()
                && evaluate(&[draw(0, f64::NAN), draw(0, 1.0)], 10.0).is_err()
        );
        let unused = Logged { target: &[0.0, 1.0], ..draw(0, 1.0) };
        assert!(
            evaluate(&[unused, unused], 10.0).is_err()
                && evaluate(&[draw(0, 1.0), draw(1, 0.0)], 0.0).is_err()
        );
    }
}
