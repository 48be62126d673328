//! Decisions about a lead: pure functions over plain data, listed in reading order; each imports only what stands above it.

pub mod activity;
pub mod appointments;
pub mod coaching;
pub mod contact;
pub mod conversation;
pub mod engagement;
pub mod event;
pub mod experiment;
pub mod features;
pub mod journey;
pub mod lead;
pub mod lexicon;
pub mod risk;
pub mod rules;
pub mod scoring;
pub mod strategy;
pub mod units;
