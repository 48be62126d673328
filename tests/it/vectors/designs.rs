//! The parts of experiments: posteriors, bandits, clusters, sizes, credits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::effects::{Arm, Difference, Successes, pair};
use crate::vectors::{Computed, read, text};
use leadstream::domain::attribution::journeys::{Credits, Journeys, conversions};
use leadstream::domain::journey::Outcome;
use leadstream::stats::attribution::{self, Chain, Touch};
use leadstream::stats::cluster::{self, Cluster, Part};
use leadstream::stats::distribution::normal_critical;
use leadstream::stats::level::{Alpha, Error};
use leadstream::stats::moments::{Arms, Moments};
use leadstream::stats::power::{Change, Clustering, beyond};
use leadstream::stats::ranking::{Beta, beta_ranking, normal_ranking};
use leadstream::stats::welch::Effect;
use leadstream::stats::{bandit, bayes, multiplicity, permutation};

pub fn gaussian_belief(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Arm,
        treatment: Arm,
        #[serde(rename = "alpha")]
        _alpha: f64,
        difference_type: Difference,
        #[serde(rename = "inverse")]
        _inverse: bool,
        #[serde(rename = "prior_relative")]
        _prior: Value,
    }
    let Input { control, treatment, difference_type: Difference::Absolute, .. } = read(input)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(text)?;
    let belief = bayes::effect(Effect::between(&arms)).map_err(text)?;
    Ok(json!({
        "chance_to_beat_control": belief.chance_to_win,
        "expected_loss_choose_treatment": belief.loss_treatment,
    }))
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct BetaPrior {
    alpha: f64,
    beta: f64,
}

impl BetaPrior {
    fn beta(self) -> Beta {
        Beta { a: self.alpha, b: self.beta }
    }
}

pub fn beta_belief(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Successes,
        treatment: Successes,
        prior: BetaPrior,
        #[serde(rename = "alpha")]
        _alpha: f64,
    }
    let Input { control, treatment, prior, .. } = read(input)?;
    let after = |arm: Successes| prior.beta().after(arm.share());
    let ranking = || beta_ranking(&[after(treatment)?, after(control)?]);
    Ok(json!({"p_treatment_beats_control": ranking().map_err(text)?.best[0]}))
}

pub fn gaussian_bandit(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Seen {
        n: u64,
        mean: f64,
        variance: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        arms: Vec<Seen>,
        #[serde(rename = "prior")]
        _prior: Value,
        min_weight: f64,
        #[serde(rename = "minimise")]
        _minimise: bool,
        #[serde(rename = "alpha")]
        _alpha: f64,
    }
    let Input { arms, min_weight, .. } = read(input)?;
    let computed = || -> Result<Value, Error> {
        let of = |seen: &Seen| {
            bandit::posterior(&Moments { n: seen.n, mean: seen.mean, variance: seen.variance })
        };
        let posteriors = arms.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let ranking = normal_ranking(&posteriors)?;
        let top_two = bandit::top_two(&ranking);
        Ok(json!({
            "posterior_mean": posteriors.iter().map(|normal| normal.mean).collect::<Vec<_>>(),
            "posterior_variance": posteriors.iter().map(|normal| normal.sd * normal.sd).collect::<Vec<_>>(),
            "best_arm_probability": ranking.best,
            "top_two_probability": top_two,
            "weights_thompson": bandit::weights(&ranking.best, min_weight)?,
            "weights_top_two": bandit::weights(&top_two, min_weight)?,
        }))
    };
    computed().map_err(text)
}

pub fn beta_bandit(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        arms: Vec<Successes>,
        prior: BetaPrior,
        min_weight: f64,
    }
    let Input { arms, prior, min_weight } = read(input)?;
    let computed = || -> Result<Value, Error> {
        let posteriors = arms
            .iter()
            .map(|arm| prior.beta().after(arm.share()))
            .collect::<Result<Vec<_>, _>>()?;
        let best = beta_ranking(&posteriors)?.best;
        Ok(
            json!({"weights_thompson": bandit::weights(&best, min_weight)?, "best_arm_probability": best}),
        )
    };
    computed().map_err(text)
}

fn whole(n: f64, y: f64, treated: bool) -> Cluster {
    let (none, part) = (Part::default(), Part { n, y, ..Part::default() });
    if treated {
        Cluster { control: none, treatment: part }
    } else {
        Cluster { control: part, treatment: none }
    }
}

fn permuted(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Totals {
        cluster_totals: Vec<f64>,
        cluster_sizes: Vec<f64>,
        treatment: Vec<u8>,
    }
    let Totals { cluster_totals, cluster_sizes, treatment } = read(input)?;
    let parts = cluster_sizes.iter().zip(&cluster_totals).zip(&treatment);
    let clusters: Vec<Cluster> =
        parts.map(|((n, y), treated)| whole(*n, *y, *treated == 1)).collect();
    let result = permutation::test(&clusters).map_err(text)?;
    Ok(json!({
        "statistic": result.difference,
        "n_assignments": result.choices,
        "p_two_sided": result.p_value,
    }))
}

pub fn clustered(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        cluster: String,
        treatment: u8,
        y: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rows {
        rows: Vec<Row>,
        alpha: f64,
        #[serde(rename = "covariate")]
        _covariate: bool,
    }
    if let Some(totals) = input.get("randomization_test") {
        return permuted(totals);
    }
    let Rows { rows, alpha, .. } = read(input)?;
    let mut clusters: BTreeMap<String, Cluster> = BTreeMap::new();
    for row in rows {
        let empty = Cluster { control: Part::default(), treatment: Part::default() };
        let cluster = clusters.entry(row.cluster).or_insert(empty);
        let part = if row.treatment == 1 { &mut cluster.treatment } else { &mut cluster.control };
        *part = part.plus(Part::of(row.y));
    }
    let clusters: Vec<Cluster> = clusters.into_values().collect();
    let robust = Alpha::new(alpha).and_then(|alpha| cluster::effect(&clusters, alpha));
    let robust = robust.map_err(text)?;
    Ok(json!({
        "estimate": robust.estimate,
        "se_ols": robust.se_independent,
        "se_cr2": robust.se_cr2,
        "dof_satterthwaite": robust.dof,
        "p_naive_ols": robust.p_independent,
        "p_cr2_satterthwaite": robust.p_cr2,
        "ci95_cr2": pair(robust.interval),
        "n_clusters": robust.clusters,
    }))
}

pub fn power(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Input {
        ProportionSampleSize {
            baseline: f64,
            relative_lift: f64,
            alpha: f64,
            power: f64,
        },
        ClusterDesignEffect {
            icc: f64,
            mean_cluster_size: f64,
            cv_cluster_size: f64,
            #[serde(rename = "n_per_arm_individual")]
            _units: u64,
        },
    }
    let computed = |input| -> Result<Value, Error> {
        Ok(match input {
            Input::ProportionSampleSize { baseline, relative_lift, alpha, power } => {
                let change = Change::of_proportions(baseline, relative_lift)?;
                let critical = normal_critical(Alpha::new(alpha)?.value());
                let real = change.units(critical, power)?;
                let reached = beyond(change.z(real.ceil())?, critical);
                json!({"n_per_arm_real": real, "n_per_arm": real.ceil() as u64, "power_at_n": reached})
            }
            Input::ClusterDesignEffect { icc, mean_cluster_size, cv_cluster_size, .. } => {
                let clustering = Clustering {
                    intraclass_correlation: icc,
                    size_mean: mean_cluster_size,
                    size_variation: cv_cluster_size,
                };
                json!({"design_effect": clustering.design_effect()?})
            }
        })
    };
    computed(read(input)?).map_err(text)
}

pub fn multiplicity(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        p_values: Vec<f64>,
        #[serde(rename = "e_values")]
        _e_values: Value,
        alpha: f64,
    }
    let Input { p_values, alpha, .. } = read(input)?;
    let holm = multiplicity::holm(&p_values).map_err(text)?;
    let rejected: Vec<bool> = holm.iter().map(|p| *p <= alpha).collect();
    Ok(json!({"holm_reject": rejected, "holm_adjusted": holm}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    path: Vec<String>,
    conversions: u64,
    nulls: u64,
}

pub fn attribution(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Journey {
        path: Vec<String>,
        hours_before_conversion: Vec<f64>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Decay {
        journeys: Vec<Journey>,
        half_life_hours: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        channels: Vec<String>,
        paths: Vec<Path>,
        time_decay: Decay,
    }
    let Input { channels, paths, time_decay } = read(input)?;
    let whole = merged(&paths);
    /// What the rules credit a channel with, and what Markov's chain does.
    type Credit = (Credits, Option<f64>);
    let credited: BTreeMap<String, Credit> = whole
        .credited()
        .into_iter()
        .map(|credited| (credited.strategy, (credited.parts, credited.markov)))
        .collect();
    let credits = |of: &dyn Fn(&Credit) -> f64| -> Value {
        let of = |channel: &String| credited.get(channel).map_or(0.0, of);
        channels.iter().map(|channel| (channel.clone(), json!(of(channel)))).collect()
    };
    let parts = |of: fn(&Credits) -> u64| credits(&|credited| conversions(of(&credited.0)));
    let named = |values: Vec<f64>| -> Value {
        channels.iter().cloned().zip(values.into_iter().map(Value::from)).collect()
    };
    let place = |name: &String| channels.iter().position(|channel| channel == name);
    let touches = |journey: &Journey| -> Option<Vec<Touch>> {
        let aged = journey.path.iter().zip(&journey.hours_before_conversion);
        aged.map(|(name, age_hours)| Some(Touch { channel: place(name)?, age_hours: *age_hours }))
            .collect()
    };
    let aged: Option<Vec<Vec<Touch>>> = time_decay.journeys.iter().map(touches).collect();
    let aged = aged.ok_or("an unknown channel")?;
    let by_age = attribution::by_age(&aged, channels.len(), time_decay.half_life_hours);
    let chain = chain(&channels, &paths).ok_or("an unknown channel")?;
    Ok(json!({
        "total_conversions": whole.conversions,
        "first_touch": parts(|credits| credits.first),
        "last_touch": parts(|credits| credits.last),
        "linear": parts(|credits| credits.linear),
        "position_40_20_40": parts(|credits| credits.position),
        "time_decay": named(by_age.map_err(text)?),
        "markov_conversion_probability": chain.conversion,
        "markov_removal_effect": named(chain.removal_effects),
        "markov": credits(&|credited| credited.1.unwrap_or_default()),
        "shapley": parts(|credits| credits.shapley),
    }))
}

/// All journeys as the product sums them up; the ages of touches do not matter for what is read.
fn merged(paths: &[Path]) -> Journeys {
    let mut whole = Journeys::default();
    for path in paths {
        let touches: Vec<(&str, f64)> = path.path.iter().map(|name| (name.as_str(), 0.0)).collect();
        for (count, outcome) in [(path.conversions, Outcome::Won), (path.nulls, Outcome::Lost)] {
            let one = Journeys::of(&touches, outcome);
            (0..count).for_each(|_| whole.merge(&one));
        }
    }
    whole
}

/// The chain of all journeys, whose numbers of steps the product does not show.
fn chain(channels: &[String], paths: &[Path]) -> Option<Chain> {
    let start = channels.len();
    let mut steps = vec![vec![0.0; start + 2]; start + 1];
    for path in paths {
        let mut state = start;
        for name in &path.path {
            let next = channels.iter().position(|channel| channel == name)?;
            steps[state][next] += (path.conversions + path.nulls) as f64;
            state = next;
        }
        steps[state][start] += path.conversions as f64;
        steps[state][start + 1] += path.nulls as f64;
    }
    Some(Chain::of(&steps, paths.iter().map(|path| path.conversions).sum()))
}
