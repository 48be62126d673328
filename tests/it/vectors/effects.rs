//! Effects of one look: means, shares, ratios, regression-adjusted and stratified means, quantiles.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::{Computed, joined, read, told};
use leadstream::stats::asymptotic::Tuning;
use leadstream::stats::cuped::{self, RatioMoments};
use leadstream::stats::level::{Alpha, Error, Interval};
use leadstream::stats::moments::{Arms, Moments, PairMoments};
use leadstream::stats::proportion::{self, Share};
use leadstream::stats::quantile::{self, Compared, Quantile};
use leadstream::stats::welch::{self, Scale, Test};
use leadstream::stats::{log_ratio, strata};

/// Sums of one arm, or successes of one.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Arm {
    Sums { n: u64, sum: f64, sum_squares: f64 },
    Share { n: u64, successes: u64 },
}

impl Arm {
    pub fn moments(&self) -> Result<Moments, Error> {
        match *self {
            Self::Sums { n, sum, sum_squares } => Moments::of_sums(n, sum, sum_squares),
            Self::Share { n, successes } => Moments::of_share(n, successes),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    Absolute,
    Relative,
}

impl Difference {
    pub fn scale(self) -> Scale {
        match self {
            Self::Absolute => Scale::Absolute,
            Self::Relative => Scale::Relative,
        }
    }
}

pub fn pair(interval: Interval) -> Value {
    json!([interval.lower, interval.upper])
}

fn tested(test: &Test) -> Value {
    json!({
        "point_estimate": test.effect.estimate,
        "standard_error": test.effect.standard_error,
        "dof": test.dof,
        "statistic": test.statistic,
        "p_value": test.p_value,
        "ci_lower": test.interval.lower,
        "ci_upper": test.interval.upper,
        "p_value_greater": test.p_greater,
        "lower_bound_one_sided": test.one_sided.lower,
        "p_value_less": test.p_less,
        "upper_bound_one_sided": test.one_sided.upper,
    })
}

fn described(arms: &Arms<Moments>) -> Value {
    let of = |moments: Moments| json!({"mean": moments.mean, "variance": moments.variance});
    json!({"control": of(arms.control), "treatment": of(arms.treatment)})
}

pub fn mean_test(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Arm,
        treatment: Arm,
        alpha: f64,
        difference_type: Difference,
    }
    let Input { control, treatment, alpha, difference_type } = read(input)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(told)?;
    let test = welch::test(&arms, difference_type.scale(), Alpha::new(alpha).map_err(told)?)
        .map_err(told)?;
    Ok(joined([tested(&test), described(&arms)]))
}

pub fn share_test(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Successes,
        treatment: Successes,
        alpha: f64,
        difference_type: Difference,
    }
    let Input { control, treatment, alpha, difference_type } = read(input)?;
    let alpha = Alpha::new(alpha).map_err(told)?;
    let shares = Arms { control: control.share(), treatment: treatment.share() };
    let mut parts = Vec::new();
    let arms = shares.try_map(Share::moments).map_err(told)?;
    // Each part is left out where it has no value, so that only what is expected can fail.
    parts.extend(welch::test(&arms, difference_type.scale(), alpha).ok().map(|test| tested(&test)));
    parts.extend(
        proportion::newcombe(&shares, alpha)
            .ok()
            .map(|interval| json!({"newcombe_ci": pair(interval)})),
    );
    parts.extend(
        proportion::score(&shares)
            .ok()
            .map(|score| json!({"score_z": score.z, "score_p_value": score.p_value})),
    );
    parts.extend(proportion::risk_ratio(&shares).ok().map(|ratio| json!({"risk_ratio": ratio})));
    parts.extend(
        proportion::katz(&shares, alpha)
            .ok()
            .map(|interval| json!({"katz_log_ci": pair(interval)})),
    );
    Ok(joined(parts))
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Successes {
    n: u64,
    successes: u64,
}

impl Successes {
    pub fn share(self) -> Share {
        Share { trials: self.n, successes: self.successes }
    }
}

pub fn ratio_test(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ratio {
        n: u64,
        num_sum: f64,
        num_sum_squares: f64,
        den_sum: f64,
        den_sum_squares: f64,
        num_den_sum_of_products: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Ratio,
        treatment: Ratio,
        alpha: f64,
        difference_type: Difference,
    }
    let Input { control, treatment, alpha, difference_type } = read(input)?;
    let of = |arm: &Ratio| {
        let numerator = Moments::of_sums(arm.n, arm.num_sum, arm.num_sum_squares)?;
        let denominator = Moments::of_sums(arm.n, arm.den_sum, arm.den_sum_squares)?;
        PairMoments::of_sum_products(numerator, denominator, arm.num_den_sum_of_products)?.ratio()
    };
    let arms = Arms { control, treatment }.try_map(of).map_err(told)?;
    let test = welch::test(&arms, difference_type.scale(), Alpha::new(alpha).map_err(told)?)
        .map_err(told)?;
    Ok(joined([tested(&test), described(&arms)]))
}

pub fn log_ratio(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        kind: Kind,
        control: Arm,
        treatment: Arm,
        alpha: f64,
        tuning_n_star: f64,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Mean,
        Proportion,
    }
    let Input { kind: Kind::Mean | Kind::Proportion, control, treatment, alpha, tuning_n_star } =
        read(input)?;
    let alpha = Alpha::new(alpha).map_err(told)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(told)?;
    let effect = log_ratio::log_ratio(&arms).map_err(told)?;
    let sequence = log_ratio::log_ratio_sequence(&arms, Tuning { alpha, planned: tuning_n_star })
        .map_err(told)?;
    Ok(json!({
        "log_ratio": effect.estimate,
        "standard_error": effect.standard_error,
        "relative_lift": log_ratio::lift(effect.estimate),
        "fixed_ci_lift": pair(log_ratio::fixed_interval(effect, alpha)),
        "sequential_ci_lift": pair(sequence.interval.map(log_ratio::lift)),
        "sequential_p_value": sequence.p_value,
    }))
}

pub fn cuped(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        n: u64,
        post_sum: f64,
        post_sum_squares: f64,
        pre_sum: f64,
        pre_sum_squares: f64,
        post_pre_sum_of_products: f64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: Pair,
        treatment: Pair,
        alpha: f64,
        difference_type: Difference,
    }
    let Input { control, treatment, alpha, difference_type } = read(input)?;
    let of = |arm: &Pair| {
        let post = Moments::of_sums(arm.n, arm.post_sum, arm.post_sum_squares)?;
        let pre = Moments::of_sums(arm.n, arm.pre_sum, arm.pre_sum_squares)?;
        PairMoments::of_sum_products(post, pre, arm.post_pre_sum_of_products)
    };
    let arms = Arms { control, treatment }.try_map(of).map_err(told)?;
    let adjusted = cuped::means(&arms, difference_type.scale(), Alpha::new(alpha).map_err(told)?)
        .map_err(told)?;
    let arm = |after: Moments, before: PairMoments| json!({"adjusted_mean": after.mean, "adjusted_variance": after.variance, "unadjusted_mean": before.first.mean});
    let means = json!({
        "theta": adjusted.theta,
        "control": arm(adjusted.arms.control, arms.control),
        "treatment": arm(adjusted.arms.treatment, arms.treatment),
    });
    Ok(joined([tested(&adjusted.test), means]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioArm {
    n: u64,
    num_post: RatioSums,
    den_post: RatioSums,
    num_pre: RatioSums,
    den_pre: RatioSums,
    sum_products: RatioProducts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioSums {
    n: u64,
    sum: f64,
    sum_squares: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioProducts {
    num_post_num_pre: f64,
    den_post_den_pre: f64,
    num_pre_den_pre: f64,
    num_post_den_post: f64,
    num_post_den_pre: f64,
    num_pre_den_post: f64,
}

impl RatioArm {
    fn moments(&self) -> Result<RatioMoments, Error> {
        let of = |sums: &RatioSums| Moments::of_sums(sums.n, sums.sum, sums.sum_squares);
        let parts =
            [of(&self.num_post)?, of(&self.den_post)?, of(&self.num_pre)?, of(&self.den_pre)?];
        let mut covariances = [[0.0; 4]; 4];
        for (place, part) in parts.iter().enumerate() {
            assert_eq!(part.n, self.n);
            covariances[place][place] = part.variance;
        }
        let products = &self.sum_products;
        for (left, right, product) in [
            (0, 1, products.num_post_den_post),
            (0, 2, products.num_post_num_pre),
            (0, 3, products.num_post_den_pre),
            (1, 2, products.num_pre_den_post),
            (1, 3, products.den_post_den_pre),
            (2, 3, products.num_pre_den_pre),
        ] {
            let covariance =
                PairMoments::of_sum_products(parts[left], parts[right], product)?.covariance;
            covariances[left][right] = covariance;
            covariances[right][left] = covariance;
        }
        Ok(RatioMoments { parts, covariances })
    }
}

pub fn cuped_ratio(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        control: RatioArm,
        treatment: RatioArm,
        alpha: f64,
        difference_type: Difference,
    }
    let Input { control, treatment, alpha, difference_type } = read(input)?;
    let arms = Arms { control, treatment }.try_map(RatioArm::moments).map_err(told)?;
    let adjusted = cuped::ratios(&arms, difference_type.scale(), Alpha::new(alpha).map_err(told)?)
        .map_err(told)?;
    Ok(joined([tested(&adjusted.test), json!({"theta": adjusted.theta})]))
}

pub fn strata(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stratum {
        control: Arm,
        treatment: Arm,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        strata: Vec<Stratum>,
        difference_type: Difference,
        #[serde(rename = "alpha")]
        _alpha: f64,
    }
    let Input { strata, difference_type, .. } = read(input)?;
    let of = |stratum: &Stratum| {
        Arms { control: stratum.control, treatment: stratum.treatment }.try_map(Arm::moments)
    };
    let arms = strata.iter().map(of).collect::<Result<Vec<_>, _>>().map_err(told)?;
    let effect = strata::effect(&arms, difference_type.scale()).map_err(told)?;
    Ok(json!({"point_estimate": effect.estimate, "standard_error": effect.standard_error}))
}

pub fn quantile(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Estimated {
        n: u64,
        n_star: u64,
        #[serde(rename = "nu")]
        _share: f64,
        quantile_hat: f64,
        quantile_lower: f64,
        quantile_upper: f64,
    }
    #[derive(Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Input {
        GbstatsQuantileEvent {
            control: Estimated,
            treatment: Estimated,
            alpha: f64,
            difference_type: Difference,
        },
        ConfseqQuantileAb {
            control: Vec<f64>,
            treatment: Vec<f64>,
            quantile: f64,
            t_opt: f64,
            alpha_opt: f64,
        },
    }
    match read(input)? {
        Input::GbstatsQuantileEvent { control, treatment, alpha, difference_type } => {
            let of = |arm: &Estimated| {
                let (estimate, lower, upper) =
                    (arm.quantile_hat, arm.quantile_lower, arm.quantile_upper);
                Quantile { n: arm.n, n_ends: arm.n_star, estimate, lower, upper }.moments()
            };
            let arms = Arms { control, treatment }.try_map(of).map_err(told)?;
            let test =
                welch::test(&arms, difference_type.scale(), Alpha::new(alpha).map_err(told)?)
                    .map_err(told)?;
            Ok(tested(&test))
        }
        Input::ConfseqQuantileAb { control, treatment, quantile, t_opt, alpha_opt } => {
            let compared = Compared {
                share: quantile,
                planned: t_opt,
                alpha_planned: Alpha::new(alpha_opt).map_err(told)?,
            };
            let p_value =
                quantile::always_valid_p(&Arms { control, treatment }, compared).map_err(told)?;
            Ok(json!({"p_value_always_valid": p_value}))
        }
    }
}
