//! The statistics of experiments: pure functions over plain numbers that replay bit for bit on
//! every machine.
//!
//! No standard library function is used whose last digit depends on the platform: transcendental
//! functions come from `libm`, everything else is exact IEEE arithmetic in a fixed order. Effects,
//! rates and error levels are fractions, never percent; a relative effect is `(treatment - control)
//! / |control|`. What each number means and when it may be acted on is told in
//! `docs/experiments.md`.

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
