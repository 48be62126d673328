//! Tests and intervals that hold at every look.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::{Computed, read, text};
use leadstream::stats::asymptotic::{self, Tuning};
use leadstream::stats::boundary::{self, BetaBinomial};
use leadstream::stats::counts::{self, Conversions, Shares};
use leadstream::stats::level::{Alpha, Error, Interval};
use leadstream::stats::numeric::bisect;
use leadstream::stats::weighted::{Augmented, Draw};
use leadstream::stats::welch::Effect;

pub fn asymptotic(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        point_estimate: f64,
        standard_error: f64,
        n_total: u64,
        alpha: f64,
        tuning_n_star: f64,
        /// Where the estimate came from.
        #[serde(rename = "source")]
        _source: Value,
    }
    let input: Input = read(input)?;
    let tuning =
        Tuning { alpha: Alpha::new(input.alpha).map_err(text)?, planned: input.tuning_n_star };
    let effect = Effect { estimate: input.point_estimate, standard_error: input.standard_error };
    let sequence = asymptotic::sequence(effect, input.n_total, tuning).map_err(text)?;
    let half = |interval: Interval| 0.5 * (interval.upper - interval.lower);
    Ok(json!({
        "rho_two_sided": tuning.rho(),
        "halfwidth_two_sided": half(sequence.interval),
        "ci_lower": sequence.interval.lower,
        "ci_upper": sequence.interval.upper,
        "p_value": sequence.p_value,
        "rho_one_sided": tuning.rho_one_sided(),
        "halfwidth_one_sided": half(sequence.one_sided),
        "lower_bound_one_sided": sequence.one_sided.lower,
        "upper_bound_one_sided": sequence.one_sided.upper,
    }))
}

/// The confidence sequence of a probability: the values whose beta-binomial mixture stays below
/// `1 / alpha`.
pub fn boundaries(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bernoulli {
        successes: u64,
        trials: u64,
        alpha: f64,
        t_opt: f64,
        alpha_opt: f64,
    }
    let case: Bernoulli = read(&input["bernoulli"])?;
    let n = case.trials as f64;
    let share = case.successes as f64 / n;
    let alpha_planned = Alpha::new(case.alpha_opt).map_err(text)?;
    let is_excluded = |p: f64| {
        let variance = p * (1.0 - p);
        let tuning = boundary::Tuning { v_planned: variance * case.t_opt, alpha_planned };
        BetaBinomial::new(tuning, p, 1.0 - p).map_or(true, |mixture| {
            mixture.log_value((share - p) * n, variance * n) > -case.alpha.ln()
        })
    };
    let lower = if share == 0.0 { 0.0 } else { bisect(0.0, share, is_excluded) };
    let upper = if share == 1.0 { 1.0 } else { bisect(share, 1.0, |p| !is_excluded(p)) };
    Ok(json!({"bernoulli_ci": [lower, upper]}))
}

pub fn augmented(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        arm: Vec<usize>,
        propensity: Vec<Vec<f64>>,
        outcome: Vec<f64>,
        alpha: f64,
        alpha_per_comparison: f64,
        tuning_n_star: f64,
        checkpoints: Vec<usize>,
    }
    let case: Input = read(input)?;
    let arms = case.propensity.first().map_or(0, Vec::len);
    let computed = || -> Result<Value, Error> {
        let alpha = Alpha::new(case.alpha)?.split(u32::try_from(arms - 1).unwrap());
        assert!((alpha.value() - case.alpha_per_comparison).abs() < 1e-12);
        let mut augmented = Augmented::new(arms)?;
        let mut text: Vec<BTreeMap<&str, Vec<f64>>> = vec![BTreeMap::new(); arms];
        for (place, arm) in case.arm.iter().enumerate() {
            augmented.observe(
                Draw { arm: *arm, outcome: case.outcome[place] },
                &case.propensity[place],
            )?;
            if case.checkpoints.contains(&(place + 1)) {
                for (arm, text) in text.iter_mut().enumerate().skip(1) {
                    let tuning = Tuning { alpha, planned: case.tuning_n_star };
                    let width = asymptotic::half_width((place + 1) as f64, tuning)?;
                    let effect = augmented.effect(arm)?;
                    let interval = Interval::around(effect.estimate, width * effect.standard_error);
                    for (name, value) in [
                        ("estimate", effect.estimate),
                        ("standard_error", effect.standard_error),
                        ("lower", interval.lower),
                        ("upper", interval.upper),
                        ("ess_arm", augmented.effective_size(arm)),
                        ("ess_control", augmented.effective_size(0)),
                    ] {
                        text.entry(name).or_default().push(value);
                    }
                }
            }
        }
        let effect = |arm: usize| crate::vectors::joined([json!({"arm": arm}), json!(text[arm])]);
        Ok(json!({"effects_vs_arm0": (1..arms).map(effect).collect::<Vec<Value>>()}))
    };
    computed().map_err(text)
}

pub fn multinomial(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stream {
        labels: Vec<usize>,
        theta0: Vec<f64>,
        dirichlet_prior: Vec<f64>,
        checkpoints: Vec<usize>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ratio {
        treatment_conversions: u64,
        control_conversions: u64,
        treatment_allocation: f64,
        beta_prior: (f64, f64),
        #[serde(rename = "alpha")]
        _alpha: f64,
    }
    if let Some(case) = input.get("rate_ratio") {
        let case: Ratio = read(case)?;
        let conversions = Conversions {
            treatment: case.treatment_conversions,
            control: case.control_conversions,
            allocation: case.treatment_allocation,
            prior: case.beta_prior,
        };
        let evidence = counts::rate_evidence(conversions).map_err(text)?;
        return Ok(json!({"log_e_value": evidence}));
    }
    let case: Stream = read(input)?;
    let computed = || -> Result<Value, Error> {
        let shares = Shares::planned(&case.theta0)?.with_prior(&case.dirichlet_prior)?;
        let mut counts = vec![0; case.theta0.len()];
        let (mut seen, mut evidence) = (Vec::new(), Vec::new());
        for (place, label) in case.labels.iter().enumerate() {
            counts[*label] += 1;
            if case.checkpoints.contains(&(place + 1)) {
                seen.push(counts.clone());
                evidence.push(shares.log_evidence(&counts)?);
            }
        }
        Ok(json!({"counts": seen, "log_e_value": evidence}))
    };
    computed().map_err(text)
}
