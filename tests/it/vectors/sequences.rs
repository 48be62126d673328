//! Tests and intervals that hold at every look.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::effects::pair;
use crate::vectors::{Computed, read, told};
use leadstream::stats::asymptotic::{self, Tuning};
use leadstream::stats::betting::Bets;
use leadstream::stats::boundary::{self, Mixture, Stitching};
use leadstream::stats::bounded::{BernsteinBound, HoeffdingBound, MixtureSums};
use leadstream::stats::counts::{self, Conversions, Shares};
use leadstream::stats::level::{Alpha, Error, Interval};
use leadstream::stats::msprt;
use leadstream::stats::weighted::{Augmented, Draw, WeightedMeans};
use leadstream::stats::welch::Effect;

/// Two columns of bounds.
#[derive(Default)]
struct Columns {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Columns {
    fn push(&mut self, interval: Interval) {
        self.lower.push(interval.lower);
        self.upper.push(interval.upper);
    }

    fn told(&self) -> Value {
        json!({"lower": self.lower, "upper": self.upper})
    }
}

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
        Tuning { alpha: Alpha::new(input.alpha).map_err(told)?, planned: input.tuning_n_star };
    let effect = Effect { estimate: input.point_estimate, standard_error: input.standard_error };
    let sequence = asymptotic::sequence(effect, input.n_total, tuning).map_err(told)?;
    Ok(json!({
        "rho_two_sided": tuning.rho(),
        "halfwidth_two_sided": sequence.half_width,
        "ci_lower": sequence.interval.lower,
        "ci_upper": sequence.interval.upper,
        "p_value": sequence.p_value,
        "rho_one_sided": tuning.rho_one_sided(),
        "halfwidth_one_sided": sequence.half_width_one_sided,
        "lower_bound_one_sided": sequence.one_sided.lower,
        "upper_bound_one_sided": sequence.one_sided.upper,
        "p_value_greater": sequence.p_greater,
        "p_value_less": sequence.p_less,
    }))
}

pub fn boundaries(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Poly {
        v_min: f64,
        s: f64,
        eta: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Families {
        v: f64,
        alpha: f64,
        v_opt: f64,
        alpha_opt: f64,
        c: f64,
        g: f64,
        h: f64,
        s: f64,
        poly: Poly,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bernoulli {
        successes: u64,
        trials: u64,
        alpha: f64,
        t_opt: f64,
        alpha_opt: f64,
    }
    if let Some(case) = input.get("bernoulli") {
        let case: Bernoulli = read(case)?;
        let interval = || -> Result<Interval, Error> {
            boundary::probability_sequence(
                case.trials,
                case.successes,
                Alpha::new(case.alpha)?,
                (case.t_opt, Alpha::new(case.alpha_opt)?),
            )
        };
        return Ok(json!({"bernoulli_ci": pair(interval().map_err(told)?)}));
    }
    let case: Families = read(input)?;
    let computed = || -> Result<Value, Error> {
        let (alpha, alpha_planned) = (Alpha::new(case.alpha)?, Alpha::new(case.alpha_opt)?);
        let tuning = boundary::Tuning { v_planned: case.v_opt, alpha_planned };
        let (normal, half) = (Mixture::normal(tuning)?, Mixture::half_normal(tuning)?);
        let exponential = Mixture::gamma_exponential(tuning, case.c)?;
        // The scale of the stitched boundary is that of the gamma families, or 0 where it is not
        // given.
        let stitching =
            Stitching { v_min: case.poly.v_min, c: case.c, s: case.poly.s, eta: case.poly.eta };
        Ok(json!({
            "normal_two_sided": normal.boundary(case.v, alpha)?,
            "normal_one_sided": half.boundary(case.v, alpha)?,
            "gamma_exponential": exponential.boundary(case.v, alpha)?,
            "gamma_poisson": Mixture::gamma_poisson(tuning, case.c)?.boundary(case.v, alpha)?,
            "beta_binomial_one_sided": Mixture::half_beta_binomial(tuning, case.g, case.h)?.boundary(case.v, alpha)?,
            "poly_stitching": boundary::stitched(stitching, case.v, alpha)?,
            "normal_log_mixture_two_sided": normal.log_value(case.s, case.v),
            "normal_log_mixture_one_sided": half.log_value(case.s, case.v),
            "gamma_exponential_log_mixture": exponential.log_value(case.s, case.v),
        }))
    };
    computed().map_err(told)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounded {
    #[serde(rename = "name")]
    _name: String,
    x: Vec<f64>,
    alpha: f64,
    checkpoints: Vec<usize>,
    eb_truncation: f64,
    hoeffding_truncation: f64,
    conjmix_v_opt: f64,
    conjmix_hoeffding_t_opt: f64,
    betting_null_means: Vec<f64>,
}

pub fn bounded(input: &Value) -> Computed {
    let case: Bounded = read(input)?;
    stream(&case).map_err(told)
}

fn stream(case: &Bounded) -> Result<Value, Error> {
    let alpha = Alpha::new(case.alpha)?;
    let bernstein = BernsteinBound::new(alpha.split(2), case.eb_truncation)?;
    let hoeffding = HoeffdingBound::new(alpha.split(2), case.hoeffding_truncation)?;
    let mut bounds = (bernstein, bernstein, hoeffding, hoeffding, MixtureSums::default());
    let (mut bets, mut grid) =
        (Bets::against(&case.betting_null_means, alpha)?, Bets::on_grid(alpha));
    let mut running = Interval { lower: 0.0, upper: 1.0 };
    let mut columns: [Columns; 6] = Default::default();
    let mut wealth: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (place, value) in case.x.iter().enumerate() {
        bounds.0.observe(*value)?;
        bounds.1.observe(1.0 - value)?;
        bounds.2.observe(*value)?;
        bounds.3.observe(1.0 - value)?;
        bounds.4.observe(*value)?;
        bets.observe(*value)?;
        grid.observe(*value)?;
        let now = Interval { lower: bounds.0.lower(), upper: 1.0 - bounds.1.lower() };
        running =
            Interval { lower: running.lower.max(now.lower), upper: running.upper.min(now.upper) };
        if case.checkpoints.contains(&(place + 1)) {
            columns[0].push(now);
            columns[1].push(running);
            columns[2].push(Interval { lower: bounds.2.lower(), upper: 1.0 - bounds.3.lower() });
            columns[3].push(bounds.4.bernstein(case.conjmix_v_opt, alpha)?);
            columns[4].push(bounds.4.hoeffding(case.conjmix_hoeffding_t_opt, alpha)?);
            columns[5].push(grid.interval());
            for capital in &bets.capitals {
                wealth.entry(capital.mean.to_string()).or_default().push(capital.log_wealth());
            }
        }
    }
    Ok(json!({
        "empirical_bernstein": columns[0].told(),
        "empirical_bernstein_running": columns[1].told(),
        "hoeffding": columns[2].told(),
        "conjugate_mixture_eb": columns[3].told(),
        "conjugate_mixture_hoeffding": columns[4].told(),
        "betting_cs_grid1001": columns[5].told(),
        "betting_log_wealth": wealth,
    }))
}

pub fn weighted(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        arm: Vec<usize>,
        propensity: Vec<Vec<f64>>,
        outcome: Vec<f64>,
        #[serde(rename = "alpha")]
        _alpha: f64,
        alpha_per_one_sided_bound: f64,
        eb_truncation: f64,
        checkpoints: Vec<usize>,
    }
    let case: Input = read(input)?;
    let arms = case.propensity.first().map_or(0, Vec::len);
    let computed = || -> Result<Value, Error> {
        let mut means = WeightedMeans::new(
            arms,
            Alpha::new(case.alpha_per_one_sided_bound)?,
            case.eb_truncation,
        )?;
        let mut estimates = vec![Vec::new(); arms];
        let (mut bounds, mut effects): (Vec<Columns>, Vec<Columns>) =
            (0..arms).map(|_| Default::default()).unzip();
        for (place, arm) in case.arm.iter().enumerate() {
            means.observe(
                Draw { arm: *arm, outcome: case.outcome[place] },
                &case.propensity[place],
            )?;
            if case.checkpoints.contains(&(place + 1)) {
                for arm in 0..arms {
                    estimates[arm].push(means.estimate(arm));
                    bounds[arm].push(means.interval(arm));
                    effects[arm].push(means.effect(arm));
                }
            }
        }
        let arm = |arm: usize| json!({"ipw_mean": estimates[arm], "lower": bounds[arm].lower, "upper": bounds[arm].upper});
        let effect = |arm: usize| json!({"arm": arm, "lower": effects[arm].lower, "upper": effects[arm].upper});
        let (all, treatments): (Vec<Value>, Vec<Value>) =
            ((0..arms).map(arm).collect(), (1..arms).map(effect).collect());
        Ok(json!({"arms": all, "effects_vs_arm0": treatments}))
    };
    computed().map_err(told)
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
        let mut told: Vec<BTreeMap<&str, Vec<f64>>> = vec![BTreeMap::new(); arms];
        for (place, arm) in case.arm.iter().enumerate() {
            augmented.observe(
                Draw { arm: *arm, outcome: case.outcome[place] },
                &case.propensity[place],
            )?;
            if case.checkpoints.contains(&(place + 1)) {
                for (arm, told) in told.iter_mut().enumerate().skip(1) {
                    let effect =
                        augmented.effect(arm, Tuning { alpha, planned: case.tuning_n_star })?;
                    for (name, value) in [
                        ("estimate", effect.estimate),
                        ("standard_error", effect.standard_error),
                        ("lower", effect.interval.lower),
                        ("upper", effect.interval.upper),
                        ("ess_arm", augmented.effective_size(arm)),
                        ("ess_control", augmented.effective_size(0)),
                    ] {
                        told.entry(name).or_default().push(value);
                    }
                }
            }
        }
        let effect = |arm: usize| crate::vectors::joined([json!({"arm": arm}), json!(told[arm])]);
        Ok(json!({"effects_vs_arm0": (1..arms).map(effect).collect::<Vec<Value>>()}))
    };
    computed().map_err(told)
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
        alpha: f64,
    }
    if let Some(case) = input.get("rate_ratio") {
        let case: Ratio = read(case)?;
        let conversions = Conversions {
            treatment: case.treatment_conversions,
            control: case.control_conversions,
            allocation: case.treatment_allocation,
            prior: case.beta_prior,
        };
        let ratio =
            counts::rate_ratio(conversions, Alpha::new(case.alpha).map_err(told)?).map_err(told)?;
        return Ok(json!({
            "log_e_value": ratio.log_evidence,
            "p_value": ratio.p_value,
            "theta_ci": pair(ratio.share),
            "rate_ratio_ci": pair(ratio.ratio),
        }));
    }
    let case: Stream = read(input)?;
    let computed = || -> Result<Value, Error> {
        let shares = Shares::planned(&case.theta0)?.with_prior(&case.dirichlet_prior)?;
        let mut counts = vec![0; case.theta0.len()];
        let mut strongest = f64::NEG_INFINITY;
        let (mut seen, mut evidence, mut p_values) = (Vec::new(), Vec::new(), Vec::new());
        for (place, label) in case.labels.iter().enumerate() {
            counts[*label] += 1;
            let now = shares.log_evidence(&counts)?;
            strongest = strongest.max(now);
            if case.checkpoints.contains(&(place + 1)) {
                seen.push(counts.clone());
                evidence.push(now);
                p_values.push(counts::p_value(strongest));
            }
        }
        Ok(json!({"counts": seen, "log_e_value": evidence, "p_value_running_min": p_values}))
    };
    computed().map_err(told)
}

pub fn mixture(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        point_estimate: f64,
        variance_of_estimate: f64,
        mixing_variance: f64,
        alpha: f64,
    }
    let case: Input = read(input)?;
    let alpha = Alpha::new(case.alpha).map_err(told)?;
    let test =
        msprt::test(case.point_estimate, case.variance_of_estimate, case.mixing_variance, alpha)
            .map_err(told)?;
    Ok(json!({"log_lr": test.log_ratio, "p_value": test.p_value, "halfwidth": test.half_width}))
}
