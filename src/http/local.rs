//! Routes of the commands that talk to a running instance: `/local/v1/...`.

mod dlq;
mod experiments;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::app::definitions::{self, Applied, DEFINITION_BYTES_MAX};
use crate::app::ingest::{self, Found, LINE_BYTES_MAX, Piece, Progress};
use crate::app::instance::Instance;
use crate::app::tail::{Tail, tail};
use crate::app::{query, replay};
use crate::codec::topics;
use crate::domain::units::Partition;
use crate::engine::store;
use crate::http::blocking::{Shared, blocking};
use crate::http::peer;
use crate::http::problem::{Problem, bad, failed};

/// Bytes of lines in one append.
const APPEND_BYTES_MAX: usize = LINE_BYTES_MAX + (16 << 20);
/// Lines of an answer that wait for a slow client.
const LINES_WAITING: usize = 256;

pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new()
        .route("/local/v1/ingest/begin", post(begin))
        .route(
            "/local/v1/ingest/append",
            post(append).layer(DefaultBodyLimit::max(APPEND_BYTES_MAX)),
        )
        .route("/local/v1/ingest/outcome", get(outcome))
        .route("/local/v1/tail", get(tail_topic))
        .route("/local/v1/lead", get(peer::lead))
        .route("/local/v1/worklist", get(peer::worklist))
        .route(
            "/local/v1/definitions",
            post(apply).layer(DefaultBodyLimit::max(DEFINITION_BYTES_MAX)),
        )
        .route("/local/v1/replay", post(replay_all))
        .route("/local/v1/resume", post(resume))
        .route("/local/v1/status", get(status))
        .merge(dlq::routes())
        .merge(experiments::routes())
}

impl From<ingest::Error> for Problem {
    fn from(error: ingest::Error) -> Self {
        let (status, code) = match &error {
            ingest::Error::Moved { .. } => (StatusCode::CONFLICT, "moved"),
            ingest::Error::Unknown(_) => (StatusCode::NOT_FOUND, "unknown_source"),
            ingest::Error::Stopped(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
            _ => return failed(&error),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<definitions::Error> for Problem {
    fn from(error: definitions::Error) -> Self {
        match &error {
            definitions::Error::Invalid(_) | definitions::Error::Refused(_) => bad(&error),
            definitions::Error::Exists(_) => {
                Self::new(StatusCode::CONFLICT, "version_exists", error.to_string())
            }
            definitions::Error::Log(_) => failed(&error),
        }
    }
}

impl From<replay::Error> for Problem {
    fn from(error: replay::Error) -> Self {
        failed(&error)
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
    Query(Begin { name, fresh }): Query<Begin>,
) -> Result<Json<Progress>, Problem> {
    blocking(move || Ok(Json(ingest::begin(&instance.sources, &name, fresh)?))).await
}

#[derive(Deserialize)]
struct OfSource {
    name: String,
}

async fn append(
    State(instance): Shared,
    Query(OfSource { name }): Query<OfSource>,
    Query(piece): Query<Piece>,
    body: Bytes,
) -> Result<Json<Found>, Problem> {
    blocking(move || Ok(Json(ingest::append(&instance.sources, &name, &piece, &body)?))).await
}

async fn outcome(
    State(instance): Shared,
    Query(OfSource { name }): Query<OfSource>,
) -> Result<Response, Problem> {
    Ok(stream(move |lines| {
        Ok(ingest::follow(&instance, &name, &mut |outcome| lines.put(&json!(outcome)))?)
    }))
}

async fn apply(State(instance): Shared, body: Bytes) -> Result<Json<Applied>, Problem> {
    blocking(move || Ok(Json(definitions::apply(&instance.log, &instance.sources, &body)?))).await
}

async fn status(State(instance): Shared) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let alive = instance.is_alive();
        Ok(Json(json!({
            "alive": alive,
            "ready": instance.is_ready(),
            "lag": instance.lag()?,
            "unmapped_stages": query::unmapped_stages(&instance.views)?,
        })))
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
    if !instance.resume(Partition(partition)) {
        let sentence = format!(
            "partition {partition} is not paused on this instance: /readyz of each instance names \
                what is"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "not_paused", sentence));
    }
    Ok(Json(json!({ "partition": partition })))
}

/// An answer of lines that a thread writes while the client reads; the last is `{"error": ...}`
/// where it ends early.
fn stream(write: impl FnOnce(&Lines) -> Result<(), Problem> + Send + 'static) -> Response {
    let (sender, receiver) = channel::<Result<Bytes, std::io::Error>>(LINES_WAITING);
    tokio::task::spawn_blocking(move || {
        let lines = Lines(&sender);
        if let Err(problem) = write(&lines) {
            // A client that is gone needs no reason.
            lines.put(&json!({ "error": problem.message }));
        }
    });
    Body::from_stream(ReceiverStream::new(receiver)).into_response()
}

struct Lines<'a>(&'a Sender<Result<Bytes, std::io::Error>>);

impl Lines<'_> {
    /// `false` once the client is gone.
    fn put(&self, value: &impl Serialize) -> bool {
        let line = serde_json::to_string(value).expect("names and numbers are JSON");
        self.0.blocking_send(Ok(format!("{line}\n").into())).is_ok()
    }

    /// Says that there is nothing new for now; `false` once the client is gone.
    fn beat(&self) -> bool {
        match self.0.try_send(Ok("\n".into())) {
            Ok(()) | Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[derive(Deserialize)]
struct OfTopic {
    topic: String,
}

async fn tail_topic(
    State(instance): Shared,
    Query(OfTopic { topic }): Query<OfTopic>,
    Query(options): Query<Tail>,
) -> Result<Response, Problem> {
    let topic = topics::named(&topic)
        .map_err(|sentence| Problem::new(StatusCode::NOT_FOUND, "unknown_topic", sentence))?;
    Ok(stream(move |lines| {
        let each = &mut |record: Option<Value>| match record {
            Some(record) => lines.put(&record),
            None => lines.beat(),
        };
        Ok(tail(&instance.log, topic, &options, &instance.schemas, each)?)
    }))
}

async fn replay_all(State(instance): Shared) -> Response {
    stream(move |lines| {
        let (mut done, mut reported) = (0_u64, 0);
        let report = replay::replay_all(&instance, &mut |more| {
            done += more;
            if done - reported >= 5_000 {
                reported = done;
                lines.put(&json!({ "done": done }));
            }
        });
        let replay::Report { digest, difference, inputs, lead_bytes } = report?;
        let leads = lead_bytes.len();
        let mean = lead_bytes.iter().sum::<usize>() / leads.max(1);
        let max = lead_bytes.last().copied().unwrap_or(0);
        lines.put(&json!({
            "digest": digest, "difference": difference, "inputs": inputs, "leads": leads,
            "bytes_per_lead": { "mean": mean, "max": max },
        }));
        Ok(())
    })
}
