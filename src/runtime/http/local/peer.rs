//! One lead, answered by the instance that has it: here, or passed on to where it is; where that does not answer, by one that has a copy.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::units::{LeadKey, Partition};
use crate::pipeline::{Key, Row, Source};
use crate::runtime::http::Problem;
use crate::runtime::http::local::{Shared, bad, blocking};
use crate::runtime::instance::Instance;
use crate::runtime::log::partition_of;
use crate::runtime::store::View;
use crate::runtime::views;

/// Where other instances ask.
const PEER: &str = "/peer/v1/lead";
/// How many instances with a copy are asked when the owner does not answer. Chosen: each may take `http.peer_timeout_ms`.
const COPIES_ASKED_MAX: usize = 2;

/// Routes for other instances, which show the token that all have.
pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new().route(PEER, get(own))
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OfLead {
    key: String,
    /// Asks for what a copy of the partition knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    standby: bool,
}

impl OfLead {
    fn place(&self, instance: &Instance) -> Result<(LeadKey, Partition), Problem> {
        let key = LeadKey::parse(&self.key).map_err(|error| bad(&error))?;
        let partition = partition_of(key.as_str().as_bytes(), instance.log.partitions());
        Ok((key, partition))
    }
}

/// Answers for any lead.
pub(crate) async fn lead(State(instance): Shared, Query(query): Query<OfLead>) -> Result<Response, Problem> {
    let (key, partition) = query.place(&instance)?;
    let first = match instance.owner(partition) {
        Some(url) if !instance.views.has(partition) => pass_on(&instance, (&url, partition), &query).await.into_response(),
        _ => active(instance.clone(), key.clone(), partition).await.map(Json).into_response(),
    };
    if first.status() != StatusCode::SERVICE_UNAVAILABLE {
        return Ok(first);
    }
    if instance.standbys.of(partition).is_some() {
        return Ok(standby(instance, key, partition).await.map(Json).into_response());
    }
    let query = OfLead { standby: true, ..query };
    for url in instance.copies(partition).into_iter().take(COPIES_ASKED_MAX) {
        match pass_on(&instance, (&url, partition), &query).await {
            Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => return Ok(answer),
            _ => {}
        }
    }
    Ok(first)
}

/// Answers for leads that are here, or whose copy is.
async fn own(State(instance): Shared, Query(query): Query<OfLead>) -> Result<Json<Value>, Problem> {
    let (key, partition) = query.place(&instance)?;
    let is_copy = query.standby && !instance.views.has(partition);
    let answer = if is_copy { standby(instance, key, partition).await } else { active(instance, key, partition).await };
    Ok(Json(answer?))
}

/// From the partition itself.
async fn active(instance: Arc<Instance>, key: LeadKey, partition: Partition) -> Result<Value, Problem> {
    blocking(move || {
        let view = instance.views.lead(instance.log.partitions(), &key)?.ok_or_else(|| restoring(&instance, partition))?;
        let as_of = json!({
            "partition": partition.0,
            "offset": offset(&view),
            "lag": instance.lag()?.get(&partition.0),
            "state": "active",
        });
        show(&key, view, as_of)
    })
    .await
}

/// From the copy of a partition.
async fn standby(instance: Arc<Instance>, key: LeadKey, partition: Partition) -> Result<Value, Problem> {
    blocking(move || {
        let standing = instance.standbys.of(partition).ok_or_else(|| restoring(&instance, partition))?;
        let view = standing.shared.view(&Key::Lead(key.clone()))?;
        let offset = offset(&view);
        let as_of = json!({
            "partition": partition.0,
            "offset": offset,
            "lag": standing.interactions.0.saturating_sub(offset),
            "changelog_lag": standing.behind,
            "state": "standby",
        });
        show(&key, view, as_of)
    })
    .await
}

/// Up to where the interactions are taken.
fn offset(view: &View) -> u64 {
    view.positions.next[Source::Interactions as usize].0
}

fn show(key: &LeadKey, view: View, as_of: Value) -> Result<Value, Problem> {
    let Some(lead) = view.row.and_then(Row::into_lead) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_lead", format!("no lead {} is known", key.as_str())).telling(as_of));
    };
    let rules = view.rules.in_force(key.tenant(), lead.activity.last.unwrap_or_default());
    let mut shown = views::lead(key, &lead, &rules);
    shown["as_of"] = as_of;
    Ok(shown)
}

/// Says that a partition is on its way here, and how far it is.
fn restoring(instance: &Instance, partition: Partition) -> Problem {
    let under_way = instance.views.restores().of(partition);
    let (mut as_of, told) = (json!({ "partition": partition.0, "state": "restoring" }), "try again in a moment");
    let sentence = match under_way {
        Some(restoring) => {
            as_of["read"] = restoring.stretch.read().into();
            as_of["whole"] = restoring.stretch.whole().into();
            as_of["seconds_left"] = restoring.seconds_left().map(f64::ceil).into();
            format!("{restoring}: {told}")
        }
        None => format!("partition {} is being restored: {told}", partition.0),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "restoring", sentence).telling(as_of)
}

async fn pass_on(instance: &Instance, (url, partition): (&str, Partition), query: &OfLead) -> Result<Response, Problem> {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| reqwest::Client::builder().no_proxy().build().unwrap_or_default());
    let http = &instance.config.http;
    let away = |why: &str| {
        let sentence = format!("partition {} is on {url}: {why}", partition.0);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "elsewhere", sentence)
    };
    if http.peer_token.is_empty() {
        return Err(away("ask there, or set http.peer_token in all instances so that they pass questions on"));
    }
    let request = CLIENT.get(format!("{url}{PEER}")).query(query).bearer_auth(&http.peer_token);
    let asked = request.timeout(Duration::from_millis(http.peer_timeout_ms)).send().await;
    let response = asked.map_err(|error| away(if error.is_timeout() { "it takes too long to answer" } else { "it does not answer" }))?;
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err(away("it has another http.peer_token"));
    }
    let body = response.bytes().await.map_err(|_| away("its answer broke off"))?;
    Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
}
