//! Experiments whose truth is known: how often the statistics reject where nothing differs, and
//! where something does.
//!
//! Each scenario is run many times from its own seed. It promises a number of rejections that is
//! not exceeded, or that is reached. For comparison, a test made for one look is watched as well.

pub mod watched;
pub mod agents;
pub mod adaptive;
pub mod adjusted;
pub mod segments;

use crate::stats::level::{Alpha, Error};
use crate::stats::random::Random;
use crate::stats::simulation::adjusted::{Adjusted, Known};
use crate::stats::simulation::segments::Segments;
use crate::stats::simulation::watched::{Metric, Watched};
use crate::stats::special::beta_tails;

/// Runs for which limits are stated as shares; with fewer they follow from the binomial
/// distribution.
pub const RUNS_STATED: u64 = 2_000;
/// Probability that a count of fewer runs is outside of its limit by chance.
const BY_CHANCE: f64 = 0.001;
/// Units of one run, in all arms together; the number that sequences are tuned to.
pub const UNITS: u64 = 20_000;
/// The level of all tests but the sample ratio's.
const LEVEL: f64 = 0.05;
/// The level of the sample ratio alarm: an evidence of 1,000.
const RATIO_LEVEL: f64 = 0.001;

/// The promised limit of the number of rejections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Errors: of probability `rate` at most; the share in [`RUNS_STATED`] runs at most `stated`.
    AtMost {
        /// The level.
        rate: f64,
        /// The largest share.
        stated: f64,
    },
    /// Discoveries, or the errors of a method that is not to be used: at least this share.
    AtLeast(f64),
}

impl Limit {
    /// The largest or smallest number of rejections in `runs` runs.
    #[must_use]
    pub fn rejections(self, runs: u64) -> u64 {
        // P(X >= k) for X of `runs` trials of probability p is I_p(k, runs - k + 1).
        let reached = |k: u64, p: f64| {
            if k == 0 { 1.0 } else { beta_tails(k as f64, (runs - k + 1) as f64, p, 1.0 - p).lower }
        };
        match self {
            Self::AtMost { stated, .. } if runs >= RUNS_STATED => {
                (stated * runs as f64 + 1e-9) as u64
            }
            Self::AtMost { rate, .. } => {
                (0..runs).find(|k| reached(k + 1, rate) <= BY_CHANCE).unwrap_or(runs)
            }
            Self::AtLeast(rate) if runs >= RUNS_STATED => (rate * runs as f64 - 1e-9).ceil() as u64,
            Self::AtLeast(rate) => {
                (0..=runs).rev().find(|k| 1.0 - reached(*k, rate) <= BY_CHANCE).unwrap_or(0)
            }
        }
    }

    /// Whether a number of rejections keeps the promise.
    #[must_use]
    pub fn holds(self, rejections: u64, runs: u64) -> bool {
        match self {
            Self::AtMost { .. } => rejections <= self.rejections(runs),
            Self::AtLeast(_) => rejections >= self.rejections(runs),
        }
    }
}

/// A question that each run answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The test and how it is used.
    pub name: String,
    /// The promise.
    pub limit: Limit,
}

/// One kind of experiment with its questions.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Questions, in the order of the answers of [`Scenario::run`].
    pub questions: Vec<Question>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Watched(Watched),
    Agents(usize),
    Bandit,
    SampleRatio { share: f64 },
    Adjusted(Adjusted),
    Segments(Segments),
}

impl Scenario {
    fn new(kind: Kind, questions: Vec<(String, Limit)>) -> Self {
        Self {
            questions: questions
                .into_iter()
                .map(|(name, limit)| Question { name, limit })
                .collect(),
            kind,
        }
    }

    /// One run: for each question whether it rejected. Equal random numbers give equal answers.
    ///
    /// # Errors
    /// Only when a statistic refuses its input, which is an error of the scenario.
    pub fn run(&self, random: &mut Random) -> Result<Vec<bool>, Error> {
        let level = Alpha::new(LEVEL)?;
        Ok(match self.kind {
            Kind::Watched(watched) => watched.run(random, level)?.to_vec(),
            Kind::Agents(agents) => agents::run(agents, random, level)?.to_vec(),
            Kind::Adjusted(adjusted) => adjusted.run(random, level)?.to_vec(),
            Kind::Segments(segments) => segments.run(random, level)?.to_vec(),
            Kind::Bandit => vec![adaptive::bandit(random, level)?],
            Kind::SampleRatio { share } => {
                vec![adaptive::sample_ratio(share, random, Alpha::new(RATIO_LEVEL)?)?]
            }
        })
    }
}

/// All scenarios.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a list of scenarios")]
pub fn scenarios() -> Vec<Scenario> {
    let error = |stated| Limit::AtMost { rate: LEVEL, stated };
    let conversion = |rate| Metric::Conversion { rate };
    let mut all = Vec::new();
    for (name, metric) in [
        ("conversion .02", conversion(0.02)),
        ("conversion .10", conversion(0.1)),
        ("conversion .30", conversion(0.3)),
        ("normal score", Metric::Score),
        ("revenue, mostly 0", Metric::Revenue),
    ] {
        let sequence = (format!("A/A {name}: sequence, every look"), error(0.0655));
        let fixed = (format!("A/A {name}: t-test, every look"), Limit::AtLeast(0.35));
        all.push(Scenario::new(
            Kind::Watched(Watched { metric, lift: 0.0 }),
            vec![sequence, fixed],
        ));
    }
    for (name, rate, lift, power) in
        [(".10 to .12", 0.1, 0.2, 0.93), (".02 to .026", 0.02, 0.3, 0.46)]
    {
        let found = (format!("conversion {name}: found by {UNITS} units"), Limit::AtLeast(power));
        all.push(Scenario::new(
            Kind::Watched(Watched { metric: conversion(rate), lift }),
            vec![found],
        ));
    }
    for agents in [8, 12, 20, 40, 100] {
        let robust = (format!("A/A of {agents} agents: CR2"), error(0.063));
        let naive =
            (format!("A/A of {agents} agents: as if leads were independent"), Limit::AtLeast(0.2));
        all.push(Scenario::new(Kind::Agents(agents), vec![robust, naive]));
    }
    all.push(Scenario::new(
        Kind::Bandit,
        vec![("A/A bandit of 5 arms: any arm, every look".to_owned(), error(0.065))],
    ));
    let alarm = Limit::AtMost { rate: RATIO_LEVEL, stated: 0.004 };
    all.push(Scenario::new(
        Kind::SampleRatio { share: 0.5 },
        vec![("sample ratio 50/50: alarm, every look".to_owned(), alarm)],
    ));
    let uneven = (format!("sample ratio 52/48: alarm by {UNITS} units"), Limit::AtLeast(0.85));
    all.push(Scenario::new(Kind::SampleRatio { share: 0.52 }, vec![uneven]));
    for (name, known) in [
        ("score, half of it known", Known::Half),
        ("conversion .10, its chance known", Known::Chance),
    ] {
        let questions = vec![
            (format!("A/A adjusted {name}: sequence, every look"), error(0.0655)),
            (format!("A/A adjusted {name}: without adjusting"), error(0.0655)),
        ];
        all.push(Scenario::new(Kind::Adjusted(Adjusted { known, lift: 0.0 }), questions));
    }
    let questions = vec![
        (format!("adjusted score 10 to 10.16: found by {UNITS} units"), Limit::AtLeast(0.88)),
        (
            "adjusted score 10 to 10.16: without adjusting".to_owned(),
            Limit::AtMost { rate: 0.65, stated: 0.65 },
        ),
    ];
    all.push(Scenario::new(
        Kind::Adjusted(Adjusted { known: Known::Half, lift: 0.016 }),
        questions,
    ));
    // With a rate of .3 bounds may be acted on early, so that a level that is not shared out shows.
    for (name, strata, equal, rate, lift) in
        [("six stages", 6, 0.1, ".16", 0.6), ("20 agents", 20, 0.3, ".24", 1.4)]
    {
        let question =
            (format!("A/A segments by {name}: anything said, every look"), error(0.0655));
        all.push(Scenario::new(
            Kind::Segments(Segments { strata, rate: equal, lift: 0.0 }),
            vec![question],
        ));
        let questions = vec![
            (
                format!("segments, one of {name} .10 to {rate}: anything said of the others"),
                error(0.0655),
            ),
            (
                format!("segments, one of {name} .10 to {rate}: found by {UNITS} units"),
                Limit::AtLeast(0.93),
            ),
        ];
        all.push(Scenario::new(Kind::Segments(Segments { strata, rate: 0.1, lift }), questions));
    }
    all
}

/// The random numbers of one run of one scenario.
#[must_use]
pub fn stream(seed: u64, scenario: usize, run: u64) -> Random {
    Random::new(seed, (scenario as u64) << 32 | run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_binomial_distribution_meet_those_that_are_stated() {
        // At one in a thousand: 131 of 2,000 at 5 %, 8 of 2,000 at 0.1 %, just below the number
        // from which shares are stated.
        let at_most = |rate, stated| Limit::AtMost { rate, stated };
        assert_eq!(
            (at_most(0.05, 0.0655).rejections(2_000), at_most(0.001, 0.004).rejections(2_000)),
            (131, 8)
        );
        assert_eq!(
            (at_most(0.05, 0.0).rejections(1_999), at_most(0.001, 0.0).rejections(1_999)),
            (131, 8)
        );
        assert_eq!(Limit::AtLeast(0.93).rejections(2_000), 1_860);
        // P(X <= 83) = .0008 and P(X <= 84) = .0023 of 100 trials at .93.
        assert_eq!(Limit::AtLeast(0.93).rejections(100), 84);
        assert_eq!((at_most(0.05, 0.0).rejections(1), Limit::AtLeast(0.9).rejections(1)), (1, 0));
        assert!(at_most(0.05, 0.1).holds(200, 2_000) && !at_most(0.05, 0.1).holds(201, 2_000));
        assert!(Limit::AtLeast(0.5).holds(1_000, 2_000) && !Limit::AtLeast(0.5).holds(999, 2_000));
    }

    #[test]
    fn a_stream_gives_the_same_answers_again() {
        for (place, scenario) in scenarios().iter().enumerate() {
            let answers = |seed| scenario.run(&mut stream(seed, place, 3)).unwrap();
            assert_eq!(answers(7), answers(7));
            assert!(answers(7).len() >= scenario.questions.len(), "{scenario:?}");
        }
    }
}
