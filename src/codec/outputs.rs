//! Decisions as records of their topics.

use serde::Serialize;

use crate::codec::avro::{self, TopicSchema};
use crate::codec::hex;
use crate::domain::alerts::Alert;
use crate::domain::coaching::Prompt;
use crate::domain::effect::{Effect, LeadPrediction};
use crate::domain::experiment::Exposure;
use crate::domain::next_action::{NextAction, Profile, Signal};
use crate::domain::scoring::{Contribution, Score};
use crate::domain::strategy::Source;
use crate::domain::units::LeadKey;

/// A record for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The topic.
    pub topic: &'static str,
    /// `tenant:lead`.
    pub key: String,
    /// Encoded value; `None`: tombstone.
    pub value: Option<Vec<u8>>,
}

/// The record of a decision about a lead; `None` for every other effect.
#[must_use]
pub fn output(effect: &Effect) -> Option<Output> {
    let record = |coded: &TopicSchema, key: &LeadKey, value: Vec<u8>| {
        Some(Output { topic: coded.topic, key: key.as_str().to_owned(), value: Some(value) })
    };
    match effect {
        Effect::Prediction(prediction) => record(
            &avro::PREDICTIONS,
            &prediction.key,
            avro::PREDICTIONS.encode(&WirePrediction::from(prediction.as_ref())),
        ),
        Effect::Alert(alert) => {
            record(&avro::ALERTS, &alert.key, avro::ALERTS.encode(&WireAlert::from(alert.as_ref())))
        }
        Effect::Prompt(prompt) => record(
            &avro::PROMPTS,
            &prompt.key,
            avro::PROMPTS.encode(&WirePrompt::from(prompt.as_ref())),
        ),
        Effect::Exposure(exposure) => record(
            &avro::EXPOSURES,
            &exposure.key,
            avro::EXPOSURES.encode(&WireExposure::from(exposure.as_ref())),
        ),
        Effect::Profile(key, Some(profile)) => record(
            &avro::PROFILES,
            key,
            avro::PROFILES.encode(&WireProfile::from(profile.as_ref())),
        ),
        Effect::Profile(key, None) => {
            Some(Output { topic: avro::PROFILES.topic, key: key.as_str().to_owned(), value: None })
        }
        Effect::Count(..)
        | Effect::Unmapped(_)
        | Effect::ExperimentMetrics(_)
        | Effect::Conclusion(_)
        | Effect::AllocationUpdate(_)
        | Effect::DeadLetter(_)
        | Effect::Late => None,
    }
}

#[derive(Serialize)]
#[serde(rename = "Contribution")]
struct WireContribution {
    feature: &'static str,
    value: Option<f32>,
    log_odds: f32,
}

fn contributions(list: &[Contribution]) -> Vec<WireContribution> {
    list.iter()
        .map(|share| WireContribution {
            feature: share.feature.as_str(),
            value: share.value,
            log_odds: share.log_odds,
        })
        .collect()
}

#[derive(Serialize)]
#[serde(rename = "Score")]
struct WireScore {
    probability: f64,
    data_completeness: f64,
    intercept: f64,
    log_odds: f64,
    contributions: Vec<WireContribution>,
}

impl From<&Score> for WireScore {
    fn from(score: &Score) -> Self {
        Self {
            probability: score.probability,
            data_completeness: score.data_completeness,
            intercept: score.intercept,
            log_odds: score.log_odds,
            contributions: contributions(&score.contributions),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "NextAction")]
struct WireNext<'a> {
    action: &'static str,
    channel: Option<&'a str>,
    at: i64,
    reason: &'a str,
}

impl<'a> From<&'a NextAction> for WireNext<'a> {
    fn from(next: &'a NextAction) -> Self {
        Self {
            action: next.action.as_str(),
            channel: next.channel.as_ref().map(|channel| channel.as_str()),
            at: next.at.0,
            reason: &next.reason,
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "LeadPrediction")]
struct WirePrediction<'a> {
    event_id: String,
    tenant_id: &'a str,
    lead_id: &'a str,
    occurred_at: i64,
    event_type: &'a str,
    agent_id: Option<&'a str>,
    model: &'a str,
    stage: &'static str,
    stage_probabilities: &'a [f64],
    stage_entered_at: i64,
    expected_next_stage: Option<&'static str>,
    outcome: Option<&'static str>,
    conversion_likelihood: WireScore,
    churn_risk: WireScore,
    engagement_receptivity: WireScore,
    objection_probability: WireScore,
    appointment_readiness: WireScore,
    buying_urgency: WireScore,
    strategy: &'a str,
    strategy_source: &'static str,
    experiment: Option<&'a str>,
    strategy_reason: &'a str,
    next_action: WireNext<'a>,
}

impl<'a> From<&'a LeadPrediction> for WirePrediction<'a> {
    fn from(prediction: &'a LeadPrediction) -> Self {
        let [conversion, churn, receptivity, objection, readiness, urgency] = &prediction.scores;
        let (source, experiment) = match &prediction.choice.source {
            Source::Policy => ("policy", None),
            Source::Experiment { experiment, .. } => ("experiment", Some(experiment.as_str())),
        };
        Self {
            event_id: prediction.event_id.to_string(),
            tenant_id: prediction.key.tenant().as_str(),
            lead_id: prediction.key.lead_id(),
            occurred_at: prediction.at.0,
            event_type: prediction.kind.as_str(),
            agent_id: prediction.agent_id.as_deref(),
            model: &prediction.model,
            stage: prediction.journey.stage.as_str(),
            stage_probabilities: &prediction.journey.probabilities,
            stage_entered_at: prediction.journey.entered_at.0,
            expected_next_stage: prediction.journey.expected_next.map(|stage| stage.as_str()),
            outcome: prediction.outcome.map(|outcome| outcome.as_str()),
            conversion_likelihood: conversion.into(),
            churn_risk: churn.into(),
            engagement_receptivity: receptivity.into(),
            objection_probability: objection.into(),
            appointment_readiness: readiness.into(),
            buying_urgency: urgency.into(),
            strategy: prediction.choice.strategy.as_str(),
            strategy_source: source,
            experiment,
            strategy_reason: &prediction.choice.reason,
            next_action: (&prediction.next).into(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "RiskAlert")]
struct WireAlert<'a> {
    alert_id: String,
    tenant_id: &'a str,
    lead_id: &'a str,
    rule: &'static str,
    change: &'static str,
    raised_at: i64,
    at: i64,
    owner: Option<&'a str>,
    churn_risk: f64,
    reason: &'a str,
    evidence: Vec<WireContribution>,
}

impl<'a> From<&'a Alert> for WireAlert<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            alert_id: alert.alert_id.to_string(),
            tenant_id: alert.key.tenant().as_str(),
            lead_id: alert.key.lead_id(),
            rule: alert.rule.as_str(),
            change: alert.change.as_str(),
            raised_at: alert.raised_at.0,
            at: alert.at.0,
            owner: alert.owner.as_deref(),
            churn_risk: alert.churn_risk,
            reason: &alert.reason,
            evidence: contributions(&alert.evidence),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "CoachingPrompt")]
struct WirePrompt<'a> {
    prompt_id: String,
    event_id: String,
    tenant_id: &'a str,
    lead_id: &'a str,
    at: i64,
    agent_id: Option<&'a str>,
    conversation_id: Option<&'a str>,
    seq: i32,
    stage: &'static str,
    strategy: &'a str,
    headline: &'a str,
    guidance: &'a [String],
    reply: &'a str,
    quote: &'a str,
}

impl<'a> From<&'a Prompt> for WirePrompt<'a> {
    fn from(prompt: &'a Prompt) -> Self {
        Self {
            prompt_id: prompt.prompt_id.to_string(),
            event_id: prompt.event_id.to_string(),
            tenant_id: prompt.key.tenant().as_str(),
            lead_id: prompt.key.lead_id(),
            at: prompt.at.0,
            agent_id: prompt.agent_id.as_deref(),
            conversation_id: prompt.conversation_id.as_deref(),
            seq: i32::try_from(prompt.seq).unwrap_or(i32::MAX),
            stage: prompt.stage.as_str(),
            strategy: prompt.strategy.as_str(),
            headline: &prompt.headline,
            guidance: &prompt.guidance,
            reply: &prompt.reply,
            quote: &prompt.quote,
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "ExperimentExposure")]
struct WireExposure<'a> {
    exposure_id: String,
    event_id: String,
    tenant_id: &'a str,
    lead_id: &'a str,
    at: i64,
    experiment: &'a str,
    version: i32,
    unit: &'static str,
    unit_id: &'a str,
    arm: &'a str,
    bucket: i64,
    propensity: f64,
    config_sha256: &'a str,
    reason: &'a str,
    chain: Option<String>,
}

impl<'a> From<&'a Exposure> for WireExposure<'a> {
    fn from(exposure: &'a Exposure) -> Self {
        Self {
            exposure_id: exposure.exposure_id.to_string(),
            event_id: exposure.event_id.to_string(),
            tenant_id: exposure.key.tenant().as_str(),
            lead_id: exposure.key.lead_id(),
            at: exposure.at.0,
            experiment: &exposure.experiment,
            version: i32::try_from(exposure.version).unwrap_or(i32::MAX),
            unit: exposure.unit.as_str(),
            unit_id: &exposure.unit_id,
            arm: &exposure.arm,
            bucket: i64::from(exposure.bucket),
            propensity: exposure.propensity,
            config_sha256: &exposure.config_sha256,
            reason: &exposure.reason,
            chain: Some(hex(&exposure.chain)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "Signal")]
struct WireSignal<'a> {
    kind: &'a str,
    value: &'a str,
    confidence: f64,
    source: &'a str,
    at: i64,
}

impl<'a> From<&'a Signal> for WireSignal<'a> {
    fn from(signal: &'a Signal) -> Self {
        Self {
            kind: &signal.kind,
            value: &signal.value,
            confidence: signal.confidence,
            source: &signal.source,
            at: signal.at.0,
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "LeadProfile")]
struct WireProfile<'a> {
    tenant_id: &'a str,
    lead_id: &'a str,
    at: i64,
    stage: &'static str,
    outcome: Option<&'static str>,
    engagement_score: f64,
    preferred_channel: Option<&'a str>,
    preferred_hours: Vec<i32>,
    timezone: Option<&'a str>,
    owner: Option<&'a str>,
    open_objections: &'a [String],
    signals: Vec<WireSignal<'a>>,
    next_action: WireNext<'a>,
    insights: &'a [String],
}

impl<'a> From<&'a Profile> for WireProfile<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            tenant_id: profile.key.tenant().as_str(),
            lead_id: profile.key.lead_id(),
            at: profile.at.0,
            stage: profile.stage.as_str(),
            outcome: profile.outcome.map(|outcome| outcome.as_str()),
            engagement_score: profile.engagement_score,
            preferred_channel: profile.preferred_channel.as_ref().map(|channel| channel.as_str()),
            preferred_hours: profile.preferred_hours.iter().map(|hour| i32::from(*hour)).collect(),
            timezone: profile.timezone.as_deref(),
            owner: profile.owner.as_deref(),
            open_objections: &profile.open_objections,
            signals: profile.signals.iter().map(Into::into).collect(),
            next_action: (&profile.next).into(),
            insights: &profile.insights,
        }
    }
}
