//! What the counts of an experiment show: comparisons, decisions, bandit weights, net benefit.

pub mod adjusted;
pub mod stratified;
pub mod inference;
pub mod segments;
pub mod bandit;
pub mod verdicts;
pub mod decision;
pub mod agents;
pub mod allocation;
pub mod business;
