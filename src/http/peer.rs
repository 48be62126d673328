//! Questions that other instances answer too: one lead, by the instance that has it, or where that
//! does not answer by one that has a copy; and the worklist of a tenant, by all of them.

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
use tokio::task::JoinSet;

use crate::app::instance::Instance;
use crate::app::query::{self, Worklist};
use crate::domain::hash::partition_of;
use crate::domain::units::{LeadKey, Partition, Tenant};
use crate::engine::store::View;
use crate::http::blocking::{Shared, blocking};
use crate::http::problem::{Problem, bad};
use crate::pipeline::{InputTopic, Key, Row};

/// Where other instances ask for a lead.
const LEAD: &str = "/peer/v1/lead";
/// Where they ask for a worklist.
const WORKLIST: &str = "/peer/v1/worklist";
/// How many instances with a copy are asked when the owner does not answer. Chosen: each may take
/// `http.peer_timeout_ms`.
const COPIES_ASKED_MAX: usize = 2;
/// How many instances are asked for one worklist. Chosen: more than any partition number needs; the
/// partitions of others are named.
const INSTANCES_ASKED_MAX: usize = 256;
/// Bytes of an answer that is believed.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Routes for other instances, which show the token that all have.
pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new().route(LEAD, get(own)).route(WORKLIST, get(own_worklist))
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
pub(crate) async fn lead(
    State(instance): Shared,
    Query(query): Query<OfLead>,
) -> Result<Response, Problem> {
    let (key, partition) = query.place(&instance)?;
    let first = match instance.owner(partition) {
        Some(url) if !instance.views.has(partition) => {
            pass_on(&instance, (&url, partition), &query).await.into_response()
        }
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
    let answer = if is_copy {
        standby(instance, key, partition).await
    } else {
        active(instance, key, partition).await
    };
    Ok(Json(answer?))
}

/// From the partition itself.
async fn active(
    instance: Arc<Instance>,
    key: LeadKey,
    partition: Partition,
) -> Result<Value, Problem> {
    blocking(move || {
        let view = instance
            .views
            .lead(instance.log.partitions(), &key)?
            .ok_or_else(|| restoring(&instance, partition))?;
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
async fn standby(
    instance: Arc<Instance>,
    key: LeadKey,
    partition: Partition,
) -> Result<Value, Problem> {
    blocking(move || {
        let standing =
            instance.standbys.of(partition).ok_or_else(|| restoring(&instance, partition))?;
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
    view.positions.next[InputTopic::Interactions as usize].0
}

fn show(key: &LeadKey, view: View, as_of: Value) -> Result<Value, Problem> {
    let Some(lead) = view.row.and_then(Row::into_lead) else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_lead",
            format!("no lead {} is known", key.as_str()),
        )
        .telling(as_of));
    };
    let rules = view.rules.in_force(key.tenant(), lead.activity.last.unwrap_or_default());
    let mut shown = json!(query::lead(key, &lead, &rules));
    shown["as_of"] = as_of;
    Ok(shown)
}

/// Says that a partition is on its way here, and how far it is.
fn restoring(instance: &Instance, partition: Partition) -> Problem {
    let under_way = instance.views.restores().of(partition);
    let (mut as_of, reported) =
        (json!({ "partition": partition.0, "state": "restoring" }), "try again in a moment");
    let sentence = match under_way {
        Some(restoring) => {
            as_of["read"] = restoring.stretch.read().into();
            as_of["whole"] = restoring.stretch.whole().into();
            as_of["seconds_left"] = restoring.seconds_left().map(f64::ceil).into();
            format!("{restoring}: {reported}")
        }
        None => format!("partition {} is being restored: {reported}", partition.0),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "restoring", sentence).telling(as_of)
}

async fn pass_on(
    instance: &Instance,
    (url, partition): (&str, Partition),
    query: &OfLead,
) -> Result<Response, Problem> {
    let away = |why: String| {
        let sentence = format!("partition {} is on {url}: {why}", partition.0);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "elsewhere", sentence)
    };
    let (status, body) = ask(instance, &format!("{url}{LEAD}"), query).await.map_err(away)?;
    Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
}

/// Asks another instance; why it gave no answer.
async fn ask(
    instance: &Instance,
    url: &str,
    query: &impl Serialize,
) -> Result<(StatusCode, Vec<u8>), String> {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().no_proxy().build().unwrap_or_default());
    let http = &instance.config.http;
    if http.peer_token.is_empty() {
        return Err(
            "ask there, or set http.peer_token in all instances so that they pass questions on"
                .to_owned(),
        );
    }
    let request = CLIENT.get(url).query(query).bearer_auth(&http.peer_token);
    let silent = |error: reqwest::Error| {
        if error.is_timeout() { "it takes too long to answer" } else { "it does not answer" }
            .to_owned()
    };
    let mut response = request
        .timeout(Duration::from_millis(http.peer_timeout_ms))
        .send()
        .await
        .map_err(silent)?;
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err("it has another http.peer_token".to_owned());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| "its answer broke off")? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok((status, body))
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OfTenant {
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

/// The worklist of all partitions, with those that did not answer.
pub(crate) async fn worklist(
    State(instance): Shared,
    Query(query): Query<OfTenant>,
) -> Result<Json<Value>, Problem> {
    let mut whole = of_own(instance.clone(), query.clone()).await?;
    let mut asked = JoinSet::new();
    for url in instance.others().into_iter().take(INSTANCES_ASKED_MAX) {
        let (instance, query) = (instance.clone(), query.clone());
        asked.spawn(async move {
            let answer = ask(&instance, &format!("{url}{WORKLIST}"), &query).await;
            let answer = answer.and_then(|(_, body)| {
                serde_json::from_slice::<Worklist>(&body)
                    .map_err(|_| "it has no such answer".to_owned())
            });
            answer.inspect_err(|why| {
                tracing::warn!(url, why, "a worklist is without the leads of another instance")
            })
        });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok(Ok(list)) = answer {
            whole.merge(list);
        }
    }
    let missing: Vec<u32> = (0..instance.log.partitions())
        .filter(|partition| !whole.partitions.contains(partition))
        .collect();
    let Worklist { tasks, as_of_ms, .. } = whole;
    Ok(Json(json!({ "tasks": tasks, "as_of_ms": as_of_ms, "missing_partitions": missing })))
}

async fn own_worklist(
    State(instance): Shared,
    Query(query): Query<OfTenant>,
) -> Result<Json<Worklist>, Problem> {
    Ok(Json(of_own(instance, query).await?))
}

async fn of_own(instance: Arc<Instance>, query: OfTenant) -> Result<Worklist, Problem> {
    let tenant = Tenant::new(&query.tenant).map_err(|error| bad(&error))?;
    blocking(move || Ok(query::worklist(&instance.views, &tenant, query.agent.as_deref())?)).await
}
