//! Decisions about a lead: pure functions over plain data, listed in reading order; each imports
//! only what stands above it.

pub mod units;
pub mod event;
pub mod lexicon;
pub mod activity;
pub mod contact;
pub mod conversation;
pub mod appointments;
pub mod journey;
pub mod features;
pub mod scoring;
pub mod risk;
pub mod random;
pub mod statistics;
pub mod simulation;
pub mod experiment;
pub mod strategy;
pub mod touches;
pub mod engagement;
pub mod coaching;
pub mod rules;
pub mod audit;
pub mod lead;
