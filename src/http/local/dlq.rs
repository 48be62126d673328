//! Routes of the commands that look at dead letters and append them again: `/local/v1/dlq`.

use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::dead_letters::{self, Choice, Error, List, Redriven};
use crate::app::instance::Instance;
use crate::app::query;
use crate::codec::record::Record;
use crate::codec::topics::DEAD_LETTERS;
use crate::domain::units::{Offset, Partition};
use crate::http::blocking::{Shared, blocking};
use crate::http::local::stream;
use crate::http::problem::{Problem, failed};
use crate::log::{Reader, Snapshot, chain};

pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new()
        .route("/local/v1/dlq", get(list))
        .route("/local/v1/dlq/letter", get(show))
        .route("/local/v1/dlq/forecast", get(forecast))
        .route("/local/v1/dlq/redrive", post(redrive))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        failed(&error)
    }
}

type Each<'a> = &'a mut dyn FnMut(Offset, Record) -> Result<(), Error>;

fn letters(
    snapshot: &Snapshot,
) -> impl Fn(Partition, (Offset, Offset), Each<'_>) -> Result<(), Error> {
    move |partition, (from, until), each| {
        let until = until.min(snapshot.end(DEAD_LETTERS, partition)?);
        snapshot.each((DEAD_LETTERS, partition), (from, until), each)
    }
}

fn redriven(snapshot: &Snapshot) -> Result<Redriven, Problem> {
    Ok(Redriven::read(snapshot.source(dead_letters::SOURCE)?.as_deref())?)
}

#[derive(Deserialize)]
struct Listed {
    reason: Option<String>,
    partition: Option<u32>,
    limit: Option<u64>,
    since_ms: i64,
}

async fn list(State(instance): Shared, Query(query): Query<Listed>) -> Result<Json<List>, Problem> {
    blocking(move || {
        let Listed { reason, partition, limit, since_ms } = query;
        let snapshot = instance.log.embedded()?.snapshot()?;
        let chosen = (&Choice { reason, partition, limit }, since_ms);
        Ok(Json(dead_letters::list(
            &letters(&snapshot),
            snapshot.partitions(),
            &redriven(&snapshot)?,
            chosen,
        )?))
    })
    .await
}

#[derive(Deserialize)]
struct Place {
    partition: u32,
    offset: u64,
}

async fn show(
    State(instance): Shared,
    Query(Place { partition, offset }): Query<Place>,
) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let snapshot = instance.log.embedded()?.snapshot()?;
        let place = (Partition(partition), Offset(offset));
        let missing =
            || Problem::new(StatusCode::NOT_FOUND, "no_letter", dead_letters::nothing_at(place));
        let record = dead_letters::find(&letters(&snapshot), place)?.ok_or_else(missing)?;
        Ok(Json(query::Shown::new(&instance.schemas).letter(place, &record)))
    })
    .await
}

async fn forecast(State(instance): Shared, Query(choice): Query<Choice>) -> Response {
    stream(move |lines| {
        let snapshot = instance.log.embedded()?.snapshot()?;
        let chosen = (&redriven(&snapshot)?, &choice);
        let done = dead_letters::forecast(
            &letters(&snapshot),
            snapshot.partitions(),
            chosen,
            &instance.schemas,
            &mut |forecast| {
                lines.put(&json!(forecast));
            },
        );
        lines.put(&match done {
            Ok(()) => json!({ "done": true }),
            Err(error) => json!({ "error": chain(&error) }),
        });
        Ok(())
    })
}

async fn redrive(State(instance): Shared, Query(choice): Query<Choice>) -> Response {
    stream(move |lines| {
        let _alone = instance.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let log = instance.log.embedded()?;
        let snapshot = log.snapshot()?;
        let done = dead_letters::redrive(
            log.as_ref(),
            &letters(&snapshot),
            &choice,
            &instance.schemas,
            &mut |sent| {
                sent.iter().for_each(|sent| {
                    lines.put(&json!(sent));
                });
            },
        );
        lines.put(&match done {
            Ok(Redriven { run, lines, .. }) => json!({ "run": run, "records": lines }),
            Err(error) => json!({ "error": chain(&error) }),
        });
        Ok(())
    })
}
