//! A version that revises an experiment with other weights, as a decision writes it.

use serde_json::{Map, Value, json};

use crate::domain::rules::Definition;
use crate::pipeline::AllocationUpdate;

/// The definition that puts new weights in force: the body of the version before it but for arms,
/// `revises` and the reason.
#[must_use]
pub fn allocation_update(update: &AllocationUpdate) -> Definition {
    let AllocationUpdate { experiment, source, version, arms, reason, at } = update;
    let mut body: Map<String, Value> =
        serde_json::from_str(source).expect("the body of a version was read before");
    body.insert(
        "arms".to_owned(),
        arms.iter()
            .map(|(strategy, weight)| json!({"strategy": strategy, "weight": weight}))
            .collect(),
    );
    body.insert("revises".to_owned(), experiment.version.into());
    body.insert("reason".to_owned(), reason.as_str().into());
    Definition {
        tenant: Some(experiment.tenant.clone()),
        kind: "experiment".to_owned(),
        name: experiment.name.clone(),
        version: *version,
        effective_at: *at,
        body: Value::Object(body).to_string(),
    }
}
