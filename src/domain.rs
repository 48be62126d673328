//! Decisions about a lead: pure functions over plain data, listed in reading order; each imports
//! only what stands above it.

pub mod units;
pub mod hash;
pub mod event;
pub mod lexicon;
pub mod activity;
pub mod contact;
pub mod conversation;
pub mod appointments;
pub mod journey;
pub mod features;
pub mod scoring;
pub mod alerts;
pub mod strategy;
pub mod attribution;
pub mod experiment;
pub mod next_action;
pub mod coaching;
pub mod rules;
pub mod audit;
pub mod effect;
pub mod lead;
