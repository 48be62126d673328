//! The statistics against values computed by other implementations, read from a file of cases.
//!
//! `LEADSTREAM_VECTORS` names the file; else `../shared/data/experiments/vectors_public.json` is
//! taken where it exists.

mod designs;
mod effects;
mod hashes;
mod sequences;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use leadstream::stats::level::Error;

/// What a case gives: an object of the same shape as what is expected of it.
type Computed = Result<Value, String>;

/// Computes one case; `None` for a section that is not covered.
fn compute(section: &str, input: &Value) -> Option<Computed> {
    let case: fn(&Value) -> Computed = match section {
        "mean_ttest" => effects::mean_test,
        "proportion_ttest" => effects::share_test,
        "ratio_delta" => effects::ratio_test,
        "log_ratio_effect" => effects::log_ratio,
        "cuped" => effects::cuped,
        "cuped_ratio" => effects::cuped_ratio,
        "post_stratification" => effects::strata,
        "quantile" => effects::quantile,
        "sequential_asymptotic_cs" => sequences::asymptotic,
        "sequential_boundaries" => sequences::boundaries,
        "bounded_mean_cs_stream" => sequences::bounded,
        "ipw_effect_cs_stream" => sequences::weighted,
        "aipw_asymptotic_cs_stream" => sequences::augmented,
        "multinomial_e_process" => sequences::multinomial,
        "msprt_normal" => sequences::mixture,
        "bayes_gaussian_effect" => designs::gaussian_belief,
        "bayes_beta_binomial" => designs::beta_belief,
        "srm" => designs::sample_ratio,
        "bandit_gaussian" => designs::gaussian_bandit,
        "bandit_beta" => designs::beta_bandit,
        "clustered" => designs::clustered,
        "switchback" => designs::switchback,
        "off_policy" => designs::off_policy,
        "power" => designs::power,
        "multiplicity" => designs::multiplicity,
        "attribution" => designs::attribution,
        "growthbook_hash" => hashes::growthbook,
        "other_sdk_hash" => hashes::others,
        _ => return None,
    };
    Some(case(input))
}

/// How far a number may be from the expected one: the larger of a share of it and an absolute
/// distance.
#[derive(Clone, Copy)]
struct Tolerance {
    relative: f64,
    absolute: f64,
}

#[derive(Default)]
struct Report {
    checked: u64,
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
                    // The confidence sequence is given on a grid of 1001 means.
                    let grid = Tolerance { relative: 0.0, absolute: 1e-3 };
                    let tolerance = if key == "betting_cs_grid1001" { grid } else { tolerance };
                    self.compare(&format!("{place}.{key}"), value, got.get(key), tolerance);
                }
            }
            (Value::Array(expected), Some(Value::Array(got))) if expected.len() == got.len() => {
                for (index, value) in expected.iter().enumerate() {
                    self.compare(&format!("{place}[{index}]"), value, got.get(index), tolerance);
                }
            }
            (leaf, got) => {
                self.checked += 1;
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

fn check(file: &Value) -> Report {
    let mut report = Report::default();
    for (name, section) in file["sections"].as_object().unwrap() {
        let number = |key: &str| section["tolerance"][key].as_f64().unwrap();
        let tolerance = Tolerance { relative: number("rel"), absolute: number("abs") };
        for case in section["cases"].as_array().unwrap() {
            let place = case["id"].as_str().unwrap();
            match compute(name, &case["input"]) {
                Some(Ok(got)) => report.compare(place, &case["expected"], Some(&got), tolerance),
                Some(Err(error)) => {
                    report.compare(place, &case["expected"], None, tolerance);
                    report.outside.push(format!("{place}: {error}"));
                }
                None => report.outside.push(format!("{place}: no section {name} is covered")),
            }
        }
    }
    report
}

/// The cases to check and whether they were asked for by name.
fn file() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LEADSTREAM_VECTORS") {
        return Some(named.into());
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/experiments/vectors_public.json");
    shared.exists().then_some(shared)
}

#[test]
fn every_value_of_other_implementations_is_met_within_its_tolerance() {
    let Some(path) = file() else {
        eprintln!("NOT RUN: no file of cases, set LEADSTREAM_VECTORS");
        return;
    };
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let report = check(&serde_json::from_str(&text).unwrap());
    println!("checked={} outside={}", report.checked, report.outside.len());
    assert!(report.checked > 0, "{} holds no case", path.display());
    assert!(
        report.outside.is_empty(),
        "checked={} outside={}\n{}",
        report.checked,
        report.outside.len(),
        report.outside.join("\n")
    );
}

#[test]
fn a_wrong_value_an_unknown_section_and_a_missing_key_are_outside() {
    let case = |section: &str, expected: Value| {
        let input = serde_json::json!({"control": {"n": 10, "successes": 2}, "treatment": {"n": 10, "successes": 4}, "alpha": 0.05, "difference_type": "absolute"});
        let case = serde_json::json!({"id": "x", "input": input, "expected": expected});
        check(&serde_json::json!({"sections": {section: {"tolerance": {"rel": 1e-8, "abs": 1e-10}, "cases": [case]}}})).outside.len()
    };
    assert_eq!(
        case("proportion_ttest", serde_json::json!({"point_estimate": 0.2, "risk_ratio": null})),
        0
    );
    assert_eq!(case("proportion_ttest", serde_json::json!({"point_estimate": 0.2000001})), 1);
    assert_eq!(case("proportion_ttest", serde_json::json!({"point_estimate": 0.2, "new": 1.0})), 1);
    assert_eq!(case("unheard_of", serde_json::json!({"point_estimate": 0.2})), 1);
}

/// Reads an input; a key that is not known is an error, so that nothing of a case is ignored.
fn read<'a, T: serde::Deserialize<'a>>(input: &'a Value) -> Result<T, String> {
    T::deserialize(input).map_err(|error| error.to_string())
}

fn told(error: Error) -> String {
    error.to_string()
}

/// An object of several, later keys over earlier ones.
fn joined(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}
