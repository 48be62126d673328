//! The statistics of experiments: pure functions over plain numbers. The same inputs give the same
//! bits on every machine.
//!
//! Transcendental functions come from `libm`, because the last digit of the standard library's
//! depends on the platform; everything else is exact IEEE arithmetic in a fixed order. Effects,
//! rates and error levels are fractions, never percent; a relative effect is `(treatment - control)
//! / |control|`. `docs/reference/experiment-results.md` explains each number and when you may act on it.

pub mod random;
pub mod level;
pub mod numeric;
pub mod matrix;
pub mod special;
pub mod distribution;
pub mod moments;
pub mod welch;
pub mod proportion;
pub mod asymptotic;
pub mod log_ratio;
pub mod cuped;
pub mod strata;
pub mod boundary;
pub mod quantile;
pub mod weighted;
pub mod grouped;
pub mod counts;
pub mod ranking;
pub mod bayes;
pub mod bandit;
pub mod multiplicity;
pub mod cluster;
pub mod permutation;
pub mod power;
pub mod design;
pub mod attribution;
pub mod simulation;
