//! What experiments are built of: beliefs, bandits, sample ratios, clusters, other policies, sizes,
//! credits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::effects::{Arm, Difference, Successes, pair};
use crate::vectors::{Computed, joined, read, told};
use leadstream::stats::asymptotic::Tuning;
use leadstream::stats::attribution::{self, Journeys, Rule, Touch};
use leadstream::stats::bayes::{self, Better};
use leadstream::stats::cluster::{self, Cluster, Part};
use leadstream::stats::distribution::{chi_square_above, normal_critical};
use leadstream::stats::level::{Alpha, Error, Interval};
use leadstream::stats::moments::{Arms, Moments};
use leadstream::stats::off_policy::{self, Logged};
use leadstream::stats::power::{self, Clustering, MeanPlan, SharePlan};
use leadstream::stats::ranking::{Beta, Normal, beta_ranking};
use leadstream::stats::switchback::{Event, Schedule};
use leadstream::stats::welch::{self, Effect, Scale};
use leadstream::stats::{bandit, multiplicity, permutation, sample_ratio};

pub fn gaussian_belief(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Prior {
        mean: f64,
        sd: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Arm,
        treatment: Arm,
        alpha: f64,
        difference_type: Difference,
        inverse: bool,
        prior_relative: Option<Prior>,
    }
    let Input { control, treatment, alpha, difference_type, inverse, prior_relative } =
        read(input)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(told)?;
    let scale = difference_type.scale();
    let prior = prior_relative.map(|Prior { mean, sd }| {
        let relative = Normal { mean, sd };
        if scale == Scale::Absolute {
            bayes::absolute_prior(relative, arms.control.mean)
        } else {
            relative
        }
    });
    let better = if inverse { Better::Lower } else { Better::Higher };
    let belief =
        || bayes::effect(welch::Effect::between(&arms, scale)?, prior, better, Alpha::new(alpha)?);
    let belief = belief().map_err(told)?;
    Ok(json!({
        "posterior_mean": belief.posterior.mean,
        "posterior_sd": belief.posterior.sd,
        "chance_to_beat_control": belief.chance_to_win,
        "credible_interval": pair(belief.interval),
        "expected_loss_choose_control": belief.loss_control,
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
        alpha: f64,
    }
    let Input { control, treatment, prior, alpha } = read(input)?;
    let arms = Arms { control: control.share(), treatment: treatment.share() };
    let belief =
        bayes::shares(&arms, prior.beta(), Alpha::new(alpha).map_err(told)?).map_err(told)?;
    Ok(json!({
        "p_treatment_beats_control": belief.chance_to_win,
        "expected_loss_choose_control": belief.loss_control,
        "expected_loss_choose_treatment": belief.loss_treatment,
        "control_ci": pair(belief.interval.control),
        "treatment_ci": pair(belief.interval.treatment),
        "control_mean": belief.posterior.control.mean(),
        "treatment_mean": belief.posterior.treatment.mean(),
    }))
}

pub fn sample_ratio(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        counts: Vec<u64>,
        weights: Vec<f64>,
    }
    let Input { counts, weights } = read(input)?;
    let result = sample_ratio::check(&counts, &weights).map_err(told)?;
    Ok(json!({
        "chi2": result.chi_square,
        "dof": result.dof,
        "p_value": result.p_value,
        "leaked_into_zero_weight": result.leaked,
        // Another implementation counts arms without a weight among the degrees of freedom.
        "gbstats_p_value": chi_square_above(result.chi_square, counts.len() as f64 - 1.0),
    }))
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
    struct Prior {
        mean: f64,
        variance: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        arms: Vec<Seen>,
        prior: Option<Prior>,
        min_weight: f64,
        minimise: bool,
        alpha: f64,
    }
    let Input { arms, prior, min_weight, minimise, alpha } = read(input)?;
    let prior = prior.map(|prior| Normal { mean: prior.mean, sd: prior.variance.sqrt() });
    let computed = || -> Result<Value, Error> {
        let of = |seen: &Seen| {
            bandit::posterior(
                &Moments { n: seen.n, mean: seen.mean, variance: seen.variance },
                prior,
            )
        };
        let posteriors = arms.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let ranking =
            bandit::ranking(&posteriors, if minimise { Better::Lower } else { Better::Higher })?;
        let top_two = bandit::top_two(&ranking);
        let critical = normal_critical(Alpha::new(alpha)?.value());
        let interval = |normal: &Normal| pair(Interval::around(normal.mean, critical * normal.sd));
        Ok(json!({
            "posterior_mean": posteriors.iter().map(|normal| normal.mean).collect::<Vec<_>>(),
            "posterior_variance": posteriors.iter().map(|normal| normal.sd * normal.sd).collect::<Vec<_>>(),
            "credible_intervals_posterior": posteriors.iter().map(interval).collect::<Vec<_>>(),
            "best_arm_probability": ranking.best,
            "top_two_probability": top_two,
            "weights_thompson": bandit::weights(&ranking.best, min_weight)?,
            "weights_top_two": bandit::weights(&top_two, min_weight)?,
        }))
    };
    computed().map_err(told)
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
    computed().map_err(told)
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
    let result = permutation::test(&clusters).map_err(told)?;
    Ok(json!({
        "statistic": result.difference,
        "n_assignments": result.choices,
        "p_two_sided": result.p_value,
        "p_greater": result.p_greater,
    }))
}

pub fn clustered(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        cluster: String,
        treatment: u8,
        y: f64,
        #[serde(default)]
        covariate: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct StateStore {
        rows: Vec<Row>,
        alpha: f64,
        covariate: bool,
    }
    if let Some(totals) = input.get("randomization_test") {
        return permuted(totals);
    }
    let StateStore { rows, alpha, covariate } = read(input)?;
    let mut clusters: BTreeMap<String, Cluster> = BTreeMap::new();
    for row in rows {
        let empty = Cluster { control: Part::default(), treatment: Part::default() };
        let cluster = clusters.entry(row.cluster).or_insert(empty);
        let part = if row.treatment == 1 { &mut cluster.treatment } else { &mut cluster.control };
        *part = part.plus(Part::of(row.y, row.covariate));
    }
    let clusters: Vec<Cluster> = clusters.into_values().collect();
    let computed = || -> Result<Value, Error> {
        let alpha = Alpha::new(alpha)?;
        let robust = if covariate {
            cluster::adjusted_effect(&clusters, alpha)?
        } else {
            cluster::effect(&clusters, alpha)?
        };
        let by_regression = json!({
            "estimate": robust.estimate,
            "se_ols": robust.se_independent,
            "se_cr0": robust.se_cr0,
            "se_cr1": robust.se_cr1,
            "se_cr2": robust.se_cr2,
            "dof_cr1": robust.clusters - 1,
            "dof_satterthwaite": robust.dof,
            "p_naive_ols": robust.p_independent,
            "p_cr0_normal": robust.p_cr0,
            "p_cr1_t": robust.p_cr1,
            "p_cr2_satterthwaite": robust.p_cr2,
            "ci95_cr2": pair(robust.interval),
            "icc_anova": cluster::intraclass_correlation(&clusters)?,
            "n_clusters": robust.clusters,
        });
        // Arms of one cluster each have no variance of a ratio; what is expected then is left out.
        let by_ratio = cluster::ratio_moments(&clusters)
            .and_then(|arms| welch::test(&arms, Scale::Absolute, alpha));
        let by_ratio = by_ratio.ok().map(|test| {
            let (estimate, standard_error) = (test.effect.estimate, test.effect.standard_error);
            json!({"delta_method": {"estimate": estimate, "standard_error": standard_error, "dof_welch": test.dof}})
        });
        Ok(joined([Some(by_regression), by_ratio].into_iter().flatten()))
    };
    computed().map_err(told)
}

pub fn switchback(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Seen {
        unit: String,
        t: u64,
        y: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        block_seconds: u64,
        washout_seconds: u64,
        assignment: BTreeMap<String, Vec<u8>>,
        events: Vec<Seen>,
    }
    let Input { block_seconds, washout_seconds, assignment, events } = read(input)?;
    let teams: Vec<&String> = assignment.keys().collect();
    let treated =
        assignment.values().map(|blocks| blocks.iter().map(|arm| *arm == 1).collect()).collect();
    let event = |seen: &Seen| {
        let team = teams.iter().position(|team| **team == seen.unit).ok_or("an unknown team")?;
        Ok::<_, String>(Event { team, at_seconds: seen.t, outcome: seen.y })
    };
    let events = events.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let computed = || -> Result<Value, Error> {
        let blocks = Schedule { block_seconds, washout_seconds, treated }.blocks(&events)?;
        let robust = cluster::effect(&blocks.clusters, Alpha::new(0.05)?)?;
        Ok(json!({
            "n_events_kept": blocks.events,
            "n_blocks": robust.clusters,
            "estimate": robust.estimate,
            "se_cr1": robust.se_cr1,
            "se_cr2": robust.se_cr2,
            "dof_satterthwaite": robust.dof,
            "p_cr2": robust.p_cr2,
        }))
    };
    computed().map_err(told)
}

pub fn off_policy(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        action: usize,
        reward: f64,
        logging_probs: Vec<f64>,
        target_probs: Vec<f64>,
        q_hat: Vec<f64>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        rows: Vec<Row>,
        clip: f64,
    }
    let Input { rows, clip } = read(input)?;
    let mut draws = Vec::new();
    for Row { action, reward, logging_probs, target_probs, q_hat } in &rows {
        draws.push(Logged {
            arm: *action,
            reward: *reward,
            logged: logging_probs,
            target: target_probs,
            forecast: q_hat,
        });
    }
    let evaluation = off_policy::evaluate(&draws, clip).map_err(told)?;
    let value = |effect: Effect| json!({"value": effect.estimate, "se": effect.standard_error});
    Ok(json!({
        "ips": value(evaluation.weighted),
        "clipped_ips": value(evaluation.clipped),
        "snips": value(evaluation.normalised),
        "dm": value(evaluation.forecast),
        "dr": value(evaluation.doubly_robust),
        "ess_kish": evaluation.effective_size,
        "max_weight": evaluation.weight_max,
        "mean_weight": evaluation.weight_mean,
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
        MeanMde {
            mean: f64,
            sd: f64,
            n_per_arm: u64,
            alpha: f64,
            power: f64,
        },
        MidExperimentPower {
            standard_error: f64,
            n_total: u64,
            target_mde: f64,
            alpha: f64,
            tuning_n_star: f64,
            scaling_factors: Vec<f64>,
        },
        ClusterDesignEffect {
            icc: f64,
            mean_cluster_size: f64,
            cv_cluster_size: f64,
            n_per_arm_individual: u64,
        },
    }
    let computed = |input| -> Result<Value, Error> {
        Ok(match input {
            Input::ProportionSampleSize { baseline, relative_lift, alpha, power } => {
                let plan = SharePlan { baseline, lift: relative_lift, alpha: Alpha::new(alpha)? };
                let real = plan.units_per_arm(power)?;
                let units = real.ceil() as u64;
                json!({"n_per_arm_real": real, "n_per_arm": units, "power_at_n": plan.power(units)?})
            }
            Input::MeanMde { mean, sd, n_per_arm, alpha, power } => {
                let plan =
                    MeanPlan { mean, sd, units_per_arm: n_per_arm, alpha: Alpha::new(alpha)? };
                json!({"mde_absolute": plan.detectable_difference(power)?, "mde_relative_delta_method": plan.detectable_lift(power)?})
            }
            Input::MidExperimentPower {
                standard_error,
                n_total,
                target_mde,
                alpha,
                tuning_n_star,
                scaling_factors,
            } => {
                let tuning = Tuning { alpha: Alpha::new(alpha)?, planned: tuning_n_star };
                let effect = Effect { estimate: target_mde, standard_error };
                let outlooks = scaling_factors
                    .iter()
                    .map(|growth| power::outlook(effect, n_total, *growth, tuning));
                let outlooks = outlooks.collect::<Result<Vec<_>, _>>()?;
                json!({
                    "power_fixed": outlooks.iter().map(|outlook| outlook.fixed).collect::<Vec<_>>(),
                    "power_sequential_peek_once": outlooks.iter().map(|outlook| outlook.watched).collect::<Vec<_>>(),
                })
            }
            Input::ClusterDesignEffect {
                icc,
                mean_cluster_size,
                cv_cluster_size,
                n_per_arm_individual,
            } => {
                let clustering = Clustering {
                    intraclass_correlation: icc,
                    size_mean: mean_cluster_size,
                    size_variation: cv_cluster_size,
                };
                let (units, clusters) = clustering.per_arm(n_per_arm_individual)?;
                json!({"design_effect": clustering.design_effect()?, "n_per_arm_clustered": units, "clusters_per_arm": clusters})
            }
        })
    };
    computed(read(input)?).map_err(told)
}

pub fn multiplicity(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        p_values: Vec<f64>,
        e_values: Vec<f64>,
        alpha: f64,
    }
    let Input { p_values, e_values, alpha } = read(input)?;
    let rejected = |adjusted: &[f64]| adjusted.iter().map(|p| *p <= alpha).collect::<Vec<_>>();
    let computed = || -> Result<Value, Error> {
        let (holm, bh) =
            (multiplicity::holm(&p_values)?, multiplicity::benjamini_hochberg(&p_values)?);
        Ok(json!({
            "holm_reject": rejected(&holm),
            "holm_adjusted": holm,
            "bh_reject": rejected(&bh),
            "bh_adjusted": bh,
            "bonferroni_adjusted": multiplicity::bonferroni(&p_values)?,
            "ebh_reject": multiplicity::by_e_values(&e_values, Alpha::new(alpha)?)?,
        }))
    };
    computed().map_err(told)
}

pub fn attribution(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Path {
        path: Vec<String>,
        conversions: u64,
        nulls: u64,
    }
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
    let count = channels.len();
    let place =
        |name: &String| channels.iter().position(|channel| channel == name).unwrap_or(count);
    let credited = |credits: Vec<f64>| -> Value {
        channels.iter().cloned().zip(credits.into_iter().map(Value::from)).collect()
    };
    let history = |path: &Path| Journeys {
        touches: path.path.iter().map(place).collect(),
        conversions: path.conversions,
        nulls: path.nulls,
    };
    let journeys: Vec<Journeys> = paths.iter().map(history).collect();
    let touches = |journey: &Journey| -> Vec<Touch> {
        let aged = journey.path.iter().zip(&journey.hours_before_conversion);
        aged.map(|(name, age_hours)| Touch { channel: place(name), age_hours: *age_hours })
            .collect()
    };
    let aged: Vec<Vec<Touch>> = time_decay.journeys.iter().map(touches).collect();
    let computed = || -> Result<Value, Error> {
        let by_rule = |rule| attribution::by_rule(&journeys, count, rule).map(credited);
        let chain = attribution::markov(&journeys, count)?;
        Ok(json!({
            "total_conversions": journeys.iter().map(|journey| journey.conversions).sum::<u64>(),
            "first_touch": by_rule(Rule::First)?,
            "last_touch": by_rule(Rule::Last)?,
            "linear": by_rule(Rule::Linear)?,
            "position_40_20_40": by_rule(Rule::Position)?,
            "time_decay": credited(attribution::by_age(&aged, count, time_decay.half_life_hours)?),
            "markov_conversion_probability": chain.conversion,
            "markov_removal_effect": credited(chain.removal_effects),
            "markov": credited(chain.credits),
            "shapley": credited(attribution::shapley(&journeys, count)?),
        }))
    };
    computed().map_err(told)
}
