//! Routes of the commands that talk to a running instance: `/local/v1/...`.

mod dlq;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::app::ingest::{self, LINE_BYTES_MAX, Progress};
use crate::app::instance::Instance;
use crate::app::{query, replay};
use crate::codec::model::starting_rules;
use crate::codec::record::{Batches, Record};
use crate::codec::records::Defined;
use crate::codec::topics::{self, inputs_of};
use crate::codec::{definition, internal};
use crate::domain::units::{Offset, Partition};
use crate::engine::store;
use crate::http::blocking::{Shared, blocking};
use crate::http::peer;
use crate::http::problem::{Problem, bad, failed};
use crate::log::Reader;
use crate::pipeline::{InputTopic, Key, Row};

/// Bytes of lines in one append.
const APPEND_BYTES_MAX: usize = LINE_BYTES_MAX + (16 << 20);
/// Lines of an answer that wait for a slow client.
const LINES_WAITING: usize = 256;
/// How long a follower sleeps when nothing is written.
const FOLLOW: Duration = Duration::from_millis(500);

pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new()
        .route("/local/v1/ingest/begin", post(begin))
        .route(
            "/local/v1/ingest/append",
            post(append).layer(DefaultBodyLimit::max(APPEND_BYTES_MAX)),
        )
        .route("/local/v1/ingest/counters", get(counters))
        .route("/local/v1/tail", get(tail))
        .route("/local/v1/lead", get(peer::lead))
        .route("/local/v1/worklist", get(peer::worklist))
        .route("/local/v1/definitions", post(define))
        .route("/local/v1/replay", post(replay_all))
        .route("/local/v1/resume", post(resume))
        .route("/local/v1/status", get(status))
        .merge(dlq::routes())
}

impl From<ingest::Error> for Problem {
    fn from(error: ingest::Error) -> Self {
        match error {
            ingest::Error::Moved { .. } => {
                Self::new(StatusCode::CONFLICT, "moved", error.to_string())
            }
            other => failed(&other),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        failed(&error)
    }
}

impl From<crate::log::Error> for Problem {
    fn from(error: crate::log::Error) -> Self {
        failed(&error)
    }
}

#[derive(Deserialize)]
struct Begin {
    name: String,
    fresh: bool,
}

async fn begin(
    State(instance): Shared,
    Query(query): Query<Begin>,
) -> Result<Json<Progress>, Problem> {
    blocking(move || {
        let _alone = instance.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Json(ingest::begin(instance.log.embedded()?.as_ref(), &query.name, query.fresh)?))
    })
    .await
}

#[derive(Deserialize)]
struct Append {
    name: String,
    before: u64,
    run: u32,
    lines: u64,
    crc: u32,
    finished: bool,
}

async fn append(
    State(instance): Shared,
    Query(query): Query<Append>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Append { name, before, run, lines, crc, finished } = query;
    let bad = blocking(move || {
        let after = Progress { run, lines, crc, finished };
        let _alone = instance.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ingest::append(instance.log.embedded()?.as_ref(), &name, (before, &after), &body)?)
    });
    Ok(Json(json!({ "bad": bad.await? })))
}

#[derive(Deserialize)]
struct Run {
    run: u32,
}

async fn counters(
    State(instance): Shared,
    Query(query): Query<Run>,
) -> Result<Json<Value>, Problem> {
    if let Some(failure) = instance.failure() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopped", failure));
    }
    let paused = instance
        .views
        .pauses()
        .into_iter()
        .find_map(|(_, pause)| pause)
        .map(|pause| pause.to_string());
    let counters = blocking(move || Ok(instance.views.counters(query.run)?)).await?;
    Ok(Json(json!({
        "received": counters.received(),
        "advanced": counters.advanced,
        "duplicate": counters.duplicate,
        "late": counters.late,
        "dead_lettered": counters.dead_lettered,
        "paused": paused,
    })))
}

async fn define(State(instance): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let (definition, body) = definition::from_json(&body).map_err(|error| bad(&error))?;
    blocking(move || {
        let key = internal::definition_key(&definition);
        let (topic, partition) = inputs_of(InputTopic::Definitions, Partition(0));
        let snapshot = instance.log.embedded()?.snapshot()?;
        let value = internal::definition_bytes(&definition);
        let mut defined = Defined::new(&key, starting_rules());
        snapshot.each::<Problem>(
            (topic, partition),
            (Offset(0), snapshot.end(topic, partition)?),
            &mut |_, record| {
                defined.take(record);
                Ok(())
            },
        )?;
        if defined
            .is_known(&value)
            .map_err(|sentence| Problem::new(StatusCode::CONFLICT, "version_exists", sentence))?
        {
            return Ok(Json(json!({ "key": key, "known": true })));
        }
        defined.allows(&definition, body).map_err(|error| bad(&error))?;
        let record = Record {
            key: Some(key.clone().into()),
            value: Some(value),
            reason: None,
            appended_ms: instance.log.embedded()?.now().0,
            ingest_run: 0,
            origin: None,
        };
        instance
            .log
            .embedded()?
            .append(&Batches::from([((topic, partition.0), vec![record])]), None)?;
        Ok(Json(json!({ "key": key, "known": false })))
    })
    .await
}

async fn status(State(instance): Shared) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let mut unmapped = serde_json::Map::new();
        for shared in instance.views.all() {
            shared.scan("U", &mut |key, row| {
                if let (Key::Unmapped(tenant), Row::Unmapped(names)) = (key, row) {
                    let of_tenant = unmapped.entry(tenant.as_str()).or_insert_with(|| json!({}));
                    for (name, times) in names.names {
                        of_tenant[&name] = (of_tenant[&name].as_u64().unwrap_or(0) + times).into();
                    }
                }
            })?;
        }
        let alive = instance.is_alive();
        Ok(Json(json!({ "alive": alive, "ready": instance.is_ready(), "lag": instance.lag()?, "unmapped_stages": unmapped })))
    })
    .await
}

#[derive(Deserialize)]
struct OfPartition {
    partition: u32,
}

async fn resume(
    State(instance): Shared,
    Query(query): Query<OfPartition>,
) -> Result<Json<Value>, Problem> {
    let OfPartition { partition } = query;
    if !instance.views.resume(Partition(partition)) {
        let sentence = format!(
            "partition {partition} is not paused on this instance: /readyz of each instance names \
                what is"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "not_paused", sentence));
    }
    instance.wake();
    Ok(Json(json!({ "partition": partition })))
}

/// An answer of lines that a thread writes while the client reads.
fn stream(write: impl FnOnce(&Lines) -> Result<(), Problem> + Send + 'static) -> Response {
    let (sender, receiver) = channel::<Result<Bytes, std::io::Error>>(LINES_WAITING);
    tokio::task::spawn_blocking(move || {
        if let Err(problem) = write(&Lines(&sender)) {
            // A client that is gone needs no reason.
            sender.blocking_send(Err(std::io::Error::other(problem.message))).ok();
        }
    });
    Body::from_stream(ReceiverStream::new(receiver)).into_response()
}

struct Lines<'a>(&'a Sender<Result<Bytes, std::io::Error>>);

impl Lines<'_> {
    /// `false` once the client is gone.
    fn put(&self, value: &Value) -> bool {
        self.0.blocking_send(Ok(format!("{value}\n").into())).is_ok()
    }

    fn is_open(&self) -> bool {
        !self.0.is_closed()
    }
}

#[derive(Deserialize)]
struct Tail {
    topic: String,
    key: Option<String>,
    limit: Option<u64>,
    from_start: bool,
    until_end: bool,
}

async fn tail(State(instance): Shared, Query(query): Query<Tail>) -> Result<Response, Problem> {
    let topic = topics::named(&query.topic)
        .map(|topic| topic.name)
        .map_err(|sentence| Problem::new(StatusCode::NOT_FOUND, "unknown_topic", sentence))?;
    Ok(stream(move |lines| tail_topic(&instance, topic, &query, lines)))
}

fn tail_topic(
    instance: &Instance,
    topic: &'static str,
    query: &Tail,
    lines: &Lines<'_>,
) -> Result<(), Problem> {
    let first = instance.log.embedded()?.snapshot()?;
    let partitions = (0..first.partitions()).map(Partition);
    let start =
        |partition| if query.from_start { Ok(Offset(0)) } else { first.end(topic, partition) };
    let mut next = partitions.map(start).collect::<Result<Vec<_>, _>>()?;
    drop(first);
    let mut left = query.limit.unwrap_or(u64::MAX);
    let mut shown = query::Shown::new(&instance.schemas);
    while left > 0 && lines.is_open() {
        let writes = instance.log.embedded()?.writes();
        let snapshot = instance.log.embedded()?.snapshot()?;
        for (partition, next) in (0..).map(Partition).zip(&mut next) {
            let end = snapshot.end(topic, partition)?;
            while *next < end && left > 0 {
                let records = snapshot.read(topic, partition, *next)?;
                let Some((last, _)) = records.last() else { break };
                *next = Offset(last.0 + 1);
                for (offset, record) in records {
                    let wanted = query.key.as_deref().is_none_or(|key| record.has_key(key));
                    if wanted && left > 0 {
                        left -= 1;
                        if !lines.put(&shown.record((partition, offset), &record)) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        if query.until_end {
            return Ok(());
        }
        drop(snapshot);
        instance.log.embedded()?.await_write(FOLLOW, |now| now != writes);
    }
    Ok(())
}

async fn replay_all(State(instance): Shared) -> Response {
    stream(move |lines| {
        let snapshot = instance.log.embedded()?.snapshot()?;
        let mut processed = 0_u64;
        let report =
            replay::replay(&snapshot, &starting_rules(), &instance.schemas, &mut |inputs| {
                processed += inputs;
                if processed.is_multiple_of(5_000) {
                    lines.put(&json!({ "taken": processed }));
                }
            });
        lines.put(&match report {
            Ok(report) => {
                let leads = report.lead_bytes.len();
                let mean = report.lead_bytes.iter().sum::<usize>() / leads.max(1);
                let most = report.lead_bytes.last().copied().unwrap_or(0);
                json!({
                    "taken": processed, "digest": report.digest, "difference": report.difference,
                    "leads": leads, "bytes_per_lead": { "mean": mean, "max": most },
                })
            }
            Err(error) => json!({ "taken": processed, "error": error.to_string() }),
        });
        Ok(())
    })
}
