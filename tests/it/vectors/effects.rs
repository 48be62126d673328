//! Effects at one look: means, proportions, ratios, regression-adjusted and stratified means.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::vectors::{Computed, joined, read, text};
use leadstream::stats::asymptotic::{Tuning, sequence};
use leadstream::stats::level::{Alpha, Error, Interval};
use leadstream::stats::moments::{Arms, Moments, PairMoments};
use leadstream::stats::proportion::{self, Share};
use leadstream::stats::welch::{self, Test};
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
            Self::Share { n, successes } => moments(Share { trials: n, successes }),
        }
    }
}

/// Mean `p` and variance `p (1 - p)`, as other systems compare proportions.
fn moments(share: Share) -> Result<Moments, Error> {
    let mean = share.fraction()?;
    Ok(Moments { n: share.trials, mean, variance: mean * (1.0 - mean) })
}

/// The scale of an effect. Only differences are computed; relative effects are among the unused.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    Absolute,
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
    let Input { control, treatment, alpha, difference_type: Difference::Absolute } = read(input)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(text)?;
    let test = welch::test(&arms, Alpha::new(alpha).map_err(text)?).map_err(text)?;
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
    let Input { control, treatment, alpha, difference_type: Difference::Absolute } = read(input)?;
    let alpha = Alpha::new(alpha).map_err(text)?;
    let shares = Arms { control: control.share(), treatment: treatment.share() };
    let arms = shares.try_map(|share| moments(*share)).map_err(text)?;
    let test = welch::test(&arms, alpha).map_err(text)?;
    let newcombe = proportion::newcombe(&shares, alpha).map_err(text)?;
    Ok(joined([tested(&test), json!({"newcombe_ci": pair(newcombe)})]))
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
    let Input { control, treatment, alpha, difference_type: Difference::Absolute } = read(input)?;
    let of = |arm: &Ratio| {
        let numerator = Moments::of_sums(arm.n, arm.num_sum, arm.num_sum_squares)?;
        let denominator = Moments::of_sums(arm.n, arm.den_sum, arm.den_sum_squares)?;
        PairMoments::of_sum_products(numerator, denominator, arm.num_den_sum_of_products)?.ratio()
    };
    let arms = Arms { control, treatment }.try_map(of).map_err(text)?;
    let test = welch::test(&arms, Alpha::new(alpha).map_err(text)?).map_err(text)?;
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
    let alpha = Alpha::new(alpha).map_err(text)?;
    let arms = Arms { control, treatment }.try_map(Arm::moments).map_err(text)?;
    let effect = log_ratio::log_ratio(&arms).map_err(text)?;
    let units = arms.control.n + arms.treatment.n;
    let sequence =
        sequence(effect, units, Tuning { alpha, planned: tuning_n_star }).map_err(text)?;
    Ok(json!({
        "log_ratio": effect.estimate,
        "standard_error": effect.standard_error,
        "relative_lift": log_ratio::lift(effect.estimate),
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
    let Input { control, treatment, alpha, difference_type: Difference::Absolute } = read(input)?;
    let of = |arm: &Pair| {
        let post = Moments::of_sums(arm.n, arm.post_sum, arm.post_sum_squares)?;
        let pre = Moments::of_sums(arm.n, arm.pre_sum, arm.pre_sum_squares)?;
        PairMoments::of_sum_products(post, pre, arm.post_pre_sum_of_products)
    };
    let arms = Arms { control, treatment }.try_map(of).map_err(text)?;
    let adjusted =
        leadstream::stats::cuped::means(&arms, Alpha::new(alpha).map_err(text)?).map_err(text)?;
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
    let Input { strata, difference_type: Difference::Absolute, .. } = read(input)?;
    let of = |stratum: &Stratum| {
        Arms { control: stratum.control, treatment: stratum.treatment }.try_map(Arm::moments)
    };
    let arms = strata.iter().map(of).collect::<Result<Vec<_>, _>>().map_err(text)?;
    let effect = strata::effect(&arms).map_err(text)?;
    Ok(json!({"point_estimate": effect.estimate, "standard_error": effect.standard_error}))
}
