//! Policies: a default strategy, or the end of an experiment, as a person or a decision writes it.

use serde::{Deserialize, Serialize};

use crate::codec::definition::{Error, read, refused, stages_of, strategy};
use crate::domain::rules::{DefaultPolicy, Definition, Policy};
use crate::pipeline::Conclusion;

/// The word for the built-in rules.
const RULES: &str = "rules";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concludes: Option<Concludes>,
    #[serde(default)]
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Concludes {
    experiment: String,
    version: u32,
}

pub(crate) fn policy(text: &[u8]) -> Result<Policy, Error> {
    let body: PolicyBody = read(text, "body")?;
    if body.strategy.is_none() && body.concludes.is_none() {
        return refused(
            "body: a strategy (rules for the built-in ones), or the experiment that it concludes, \
                is needed",
        );
    }
    if let Some(name) = body.strategy.as_ref().filter(|name| *name != RULES) {
        strategy("body.strategy", name)?;
    }
    Ok(Policy {
        strategy: body.strategy.map(|name| {
            if name == RULES { DefaultPolicy::Rules } else { DefaultPolicy::Strategy(name) }
        }),
        stages: stages_of(&body.stages)?,
        concludes: body.concludes.map(|concluded| (concluded.experiment, concluded.version)),
        reason: body.reason,
    })
}

/// The definition that puts the end of an experiment in force: named after the experiment, of the
/// version that began it.
#[must_use]
pub fn conclusion(conclusion: &Conclusion) -> Definition {
    let Conclusion { experiment, policy, at } = conclusion;
    let strategy = policy.strategy.as_ref().map(|manner| match manner {
        DefaultPolicy::Rules => RULES.to_owned(),
        DefaultPolicy::Strategy(name) => name.clone(),
    });
    let concludes =
        policy.concludes.clone().map(|(experiment, version)| Concludes { experiment, version });
    let stages = policy.stages.iter().map(|stage| stage.as_str().to_owned()).collect();
    let body = PolicyBody { strategy, stages, concludes, reason: policy.reason.clone() };
    Definition {
        tenant: Some(experiment.tenant.clone()),
        kind: "policy".to_owned(),
        name: experiment.name.clone(),
        version: experiment.version,
        effective_at: *at,
        body: serde_json::to_string(&body).expect("a policy is plain text and numbers"),
    }
}
