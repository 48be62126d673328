//! The promises of `experiment simulate`, with fewer runs and the limits that the binomial
//! distribution gives for them.

use leadstream::stats::simulation::{Scenario, scenarios, stream};

const SEED: u64 = 20_261_126;

/// Runs the scenarios whose first question begins so, and says which promise is broken.
fn check(prefix: &str, runs: u64) {
    let all = scenarios();
    let chosen: Vec<(usize, &Scenario)> = all
        .iter()
        .enumerate()
        .filter(|(_, scenario)| scenario.questions[0].name.starts_with(prefix))
        .collect();
    assert!(!chosen.is_empty(), "no scenario begins with {prefix}");
    let mut broken = Vec::new();
    for (place, scenario) in chosen {
        let mut rejections = vec![0; scenario.questions.len()];
        for run in 0..runs {
            let answers = scenario.run(&mut stream(SEED, place, run)).unwrap();
            rejections
                .iter_mut()
                .zip(answers)
                .for_each(|(count, rejected)| *count += u64::from(rejected));
        }
        for (question, count) in scenario.questions.iter().zip(rejections) {
            println!(
                "{}: {count} of {runs}, limit {}",
                question.name,
                question.limit.rejections(runs)
            );
            if !question.limit.holds(count, runs) {
                broken.push(format!("{}: {count} of {runs}", question.name));
            }
        }
    }
    assert!(broken.is_empty(), "seed {SEED}: {broken:#?}");
}

#[test]
fn a_sequence_that_is_watched_errs_as_rarely_as_it_says_and_a_watched_t_test_does_not() {
    check("A/A conversion", 120);
    check("A/A normal", 120);
    check("A/A revenue", 120);
}

#[test]
fn an_effect_that_is_there_is_found() {
    check("conversion", 200);
}

#[test]
fn an_adjusted_sequence_errs_as_rarely_and_finds_more() {
    check("A/A adjusted", 120);
    check("adjusted", 120);
}

#[test]
fn insights_by_stage_and_by_agent_err_as_rarely_as_one_of_them_may_and_find_what_is_there() {
    check("A/A insights", 200);
    check("segments", 200);
}

#[test]
fn agents_are_compared_as_agents() {
    check("A/A of", 2_000);
}

#[test]
fn a_bandit_of_equal_arms_finds_no_best_one() {
    check("A/A bandit", 120);
}

#[test]
fn an_uneven_sample_ratio_is_told_and_an_even_one_is_not() {
    check("sample ratio", 200);
}
