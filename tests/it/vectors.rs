//! The statistics against values computed by other implementations, read from a file of cases.
//!
//! `LEADSTREAM_VECTORS` names the file; else `../shared/data/experiments/vectors_public.json` is
//! used where it exists, else the excerpt in `tests/data`, which `tests/data/vectors.py` writes.

mod designs;
mod effects;
mod hashes;
mod sequences;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use leadstream::stats::level::Error;

/// The computed values of a case: an object of the same shape as the expected one.
type Computed = Result<Value, String>;

type Case = fn(&Value) -> Computed;

/// The sections that are checked; each must have a case in every file.
const CHECKED: [(&str, Case); 20] = [
    ("mean_ttest", effects::mean_test),
    ("proportion_ttest", effects::share_test),
    ("ratio_delta", effects::ratio_test),
    ("log_ratio_effect", effects::log_ratio),
    ("cuped", effects::cuped),
    ("post_stratification", effects::strata),
    ("sequential_asymptotic_cs", sequences::asymptotic),
    ("sequential_boundaries", sequences::boundaries),
    ("aipw_asymptotic_cs_stream", sequences::augmented),
    ("multinomial_e_process", sequences::multinomial),
    ("bayes_gaussian_effect", designs::gaussian_belief),
    ("bayes_beta_binomial", designs::beta_belief),
    ("bandit_gaussian", designs::gaussian_bandit),
    ("bandit_beta", designs::beta_bandit),
    ("clustered", designs::clustered),
    ("power", designs::power),
    ("multiplicity", designs::multiplicity),
    ("attribution", designs::attribution),
    ("growthbook_hash", hashes::growthbook),
    ("other_sdk_hash", hashes::others),
];

/// Parts of the data that no command, topic or decision needs, so that nothing computes them: a
/// whole section; `section?key` or `section?key=value`, the cases whose input has the key (not
/// null) or has it with that value; `section.key`, an expected value.
const UNUSED: [&str; 74] = [
    "bounded_mean_cs_stream",
    "cuped_ratio",
    "ipw_effect_cs_stream",
    "msprt_normal",
    "off_policy",
    "quantile",
    "srm",
    "switchback",
    "mean_ttest?difference_type=relative",
    "proportion_ttest?difference_type=relative",
    "ratio_delta?difference_type=relative",
    "cuped?difference_type=relative",
    "post_stratification?difference_type=relative",
    "bayes_gaussian_effect?difference_type=relative",
    "bayes_gaussian_effect?inverse=true",
    "bayes_gaussian_effect?prior_relative",
    "bandit_gaussian?minimise=true",
    "bandit_gaussian?prior",
    "clustered?covariate=true",
    "power?kind=mean_mde",
    "power?kind=mid_experiment_power",
    "sequential_boundaries?v_opt",
    "mean_ttest.p_value_greater",
    "mean_ttest.lower_bound_one_sided",
    "mean_ttest.p_value_less",
    "mean_ttest.upper_bound_one_sided",
    "proportion_ttest.p_value_greater",
    "proportion_ttest.lower_bound_one_sided",
    "proportion_ttest.p_value_less",
    "proportion_ttest.upper_bound_one_sided",
    "proportion_ttest.score_z",
    "proportion_ttest.score_p_value",
    "ratio_delta.p_value_greater",
    "ratio_delta.lower_bound_one_sided",
    "ratio_delta.p_value_less",
    "ratio_delta.upper_bound_one_sided",
    "log_ratio_effect.fixed_ci_lift",
    "cuped.p_value_greater",
    "cuped.lower_bound_one_sided",
    "cuped.p_value_less",
    "cuped.upper_bound_one_sided",
    "cuped.control",
    "cuped.treatment",
    "sequential_asymptotic_cs.p_value_greater",
    "sequential_asymptotic_cs.p_value_less",
    "multinomial_e_process.p_value_running_min",
    "multinomial_e_process.p_value",
    "multinomial_e_process.theta_ci",
    "multinomial_e_process.rate_ratio_ci",
    "bayes_gaussian_effect.posterior_mean",
    "bayes_gaussian_effect.posterior_sd",
    "bayes_gaussian_effect.credible_interval",
    "bayes_gaussian_effect.expected_loss_choose_control",
    "bayes_beta_binomial.expected_loss_choose_control",
    "bayes_beta_binomial.expected_loss_choose_treatment",
    "bayes_beta_binomial.control_ci",
    "bayes_beta_binomial.treatment_ci",
    "bayes_beta_binomial.control_mean",
    "bayes_beta_binomial.treatment_mean",
    "bandit_gaussian.credible_intervals_posterior",
    "clustered.se_cr0",
    "clustered.se_cr1",
    "clustered.dof_cr1",
    "clustered.p_cr0_normal",
    "clustered.p_cr1_t",
    "clustered.icc_anova",
    "clustered.delta_method",
    "clustered.p_greater",
    "power.n_per_arm_clustered",
    "power.clusters_per_arm",
    "multiplicity.bh_adjusted",
    "multiplicity.bh_reject",
    "multiplicity.bonferroni_adjusted",
    "multiplicity.ebh_reject",
];

/// The largest distance between a computed and an expected number: the larger of a fraction of the
/// expected one and an absolute distance.
#[derive(Clone, Copy)]
struct Tolerance {
    relative: f64,
    absolute: f64,
}

#[derive(Default)]
struct Report {
    checked: u64,
    unused: u64,
    /// Sections with a value that was checked.
    sections: BTreeSet<String>,
    /// Entries of [`UNUSED`] that are in the file.
    found: BTreeSet<&'static str>,
    outside: Vec<String>,
}

impl Report {
    /// Compares what is expected, leaf by leaf; null expects nothing.
    fn compare(
        &mut self,
        place: &str,
        expected: &Value,
        got: Option<&Value>,
        tolerance: Tolerance,
    ) {
        match (expected, got) {
            (Value::Null, _) => {}
            (Value::Object(expected), Some(Value::Object(got))) => {
                for (key, value) in expected {
                    self.compare(&format!("{place}.{key}"), value, got.get(key), tolerance);
                }
            }
            (Value::Array(expected), Some(Value::Array(got))) if expected.len() == got.len() => {
                for (index, value) in expected.iter().enumerate() {
                    self.compare(&format!("{place}[{index}]"), value, got.get(index), tolerance);
                }
            }
            (leaf, got) => {
                self.checked += leaves(leaf);
                if !got.is_some_and(|got| agrees(leaf, got, tolerance)) {
                    self.outside.push(format!(
                        "{place}: expected {leaf}, got {}",
                        got.unwrap_or(&Value::Null)
                    ));
                }
            }
        }
    }
}

fn agrees(expected: &Value, got: &Value, tolerance: Tolerance) -> bool {
    match (expected.as_f64(), got.as_f64()) {
        (Some(expected), Some(got)) => {
            (got - expected).abs() <= (tolerance.relative * expected.abs()).max(tolerance.absolute)
        }
        _ => expected == got,
    }
}

/// The number of values in an expected value; null expects nothing.
fn leaves(expected: &Value) -> u64 {
    match expected {
        Value::Null => 0,
        Value::Array(values) => values.iter().map(leaves).sum(),
        Value::Object(values) => values.values().map(leaves).sum(),
        _ => 1,
    }
}

impl Report {
    /// The entries of [`UNUSED`] for a section that leave a case out.
    fn leaves_out(&mut self, section: &str, input: &Value) -> bool {
        let mut is_left_out = false;
        for entry in UNUSED {
            let (name, condition) = entry.split_once('?').unwrap_or((entry, ""));
            let (key, wanted) = condition.split_once('=').unwrap_or((condition, ""));
            if name != section || (!condition.is_empty() && input.get(key).is_none()) {
                continue;
            }
            self.found.insert(entry);
            let value = &input[key];
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            is_left_out |= condition.is_empty()
                || (wanted.is_empty() && !value.is_null())
                || (!wanted.is_empty() && text == wanted);
        }
        is_left_out
    }

    /// The expected values without those that are unused.
    fn used(&mut self, section: &str, expected: &Value) -> Value {
        let mut used = expected.clone();
        for entry in UNUSED {
            if let Some((name, key)) = entry.split_once('.')
                && name == section
                && let Some(value) = used.as_object_mut().and_then(|used| used.remove(key))
            {
                self.found.insert(entry);
                self.unused += leaves(&value);
            }
        }
        used
    }

    fn case(&mut self, section: &str, case: &Value, tolerance: Tolerance) {
        let place = case["id"].as_str().unwrap();
        let (input, expected) = (&case["input"], &case["expected"]);
        if self.leaves_out(section, input) {
            self.unused += leaves(expected);
            return;
        }
        let Some((_, compute)) = CHECKED.iter().find(|(name, _)| *name == section) else {
            self.outside.push(format!(
                "{place}: section {section} is neither checked nor listed as unused"
            ));
            return;
        };
        let used = self.used(section, expected);
        match compute(input) {
            Ok(got) => self.compare(place, &used, Some(&got), tolerance),
            Err(error) => {
                self.compare(place, &used, None, tolerance);
                self.outside.push(format!("{place}: {error}"));
            }
        }
        self.sections.insert(section.to_owned());
    }
}

fn check(file: &Value) -> Report {
    let mut report = Report::default();
    for (name, section) in file["sections"].as_object().unwrap() {
        let number = |key: &str| section["tolerance"][key].as_f64().unwrap();
        let tolerance = Tolerance { relative: number("rel"), absolute: number("abs") };
        for case in section["cases"].as_array().unwrap() {
            report.case(name, case, tolerance);
        }
    }
    report
}

fn excerpt() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors.json")
}

/// The file of cases.
fn file() -> PathBuf {
    if let Some(named) = std::env::var_os("LEADSTREAM_VECTORS") {
        return named.into();
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/experiments/vectors_public.json");
    if shared.exists() { shared } else { excerpt() }
}

fn checked(path: &Path) -> Report {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let report = check(&serde_json::from_str(&text).unwrap());
    let (checked, unused, outside) = (report.checked, report.unused, &report.outside);
    let counts = format!("checked={checked} unused={unused} outside={}", outside.len());
    println!("{counts} data={}", path.display());
    assert!(outside.is_empty(), "{counts}\n{}", outside.join("\n"));
    for (section, _) in CHECKED {
        assert!(report.sections.contains(section), "{}: no case of {section}", path.display());
    }
    report
}

#[test]
fn every_value_of_other_implementations_is_met_within_its_tolerance() {
    let path = file();
    let report = checked(&path);
    if path != excerpt() {
        let gone: Vec<&str> =
            UNUSED.into_iter().filter(|entry| !report.found.contains(entry)).collect();
        assert!(gone.is_empty(), "listed as unused, but not in {}: {gone:?}", path.display());
    }
}

#[test]
fn the_excerpt_in_the_tree_is_met_where_the_full_data_is_absent() {
    checked(&excerpt());
}

#[test]
fn a_wrong_value_an_unknown_section_and_a_missing_key_are_outside() {
    let case = |section: &str, expected: Value| {
        let input = serde_json::json!({"control": {"n": 10, "successes": 2}, "treatment": {"n": 10, "successes": 4}, "alpha": 0.05, "difference_type": "absolute"});
        let case = serde_json::json!({"id": "x", "input": input, "expected": expected});
        check(&serde_json::json!({"sections": {section: {"tolerance": {"rel": 1e-8, "abs": 1e-10}, "cases": [case]}}})).outside.len()
    };
    assert_eq!(
        case("proportion_ttest", serde_json::json!({"point_estimate": 0.2, "dof": null})),
        0
    );
    assert_eq!(case("proportion_ttest", serde_json::json!({"point_estimate": 0.2000001})), 1);
    assert_eq!(case("proportion_ttest", serde_json::json!({"point_estimate": 0.2, "new": 1.0})), 1);
    assert_eq!(case("unknown", serde_json::json!({"point_estimate": 0.2})), 1);
}

/// Reads an input; an unknown key is an error, so that no part of a case is ignored.
fn read<'a, T: serde::Deserialize<'a>>(input: &'a Value) -> Result<T, String> {
    T::deserialize(input).map_err(|error| error.to_string())
}

fn text(error: Error) -> String {
    error.to_string()
}

/// Objects merged into one; later keys replace earlier ones.
fn joined(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}
