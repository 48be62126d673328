//! Routes of the commands that look at dead letters and append them again: `/local/v1/dlq`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::dead_letters::{self, Choice, Error, List};
use crate::app::instance::Instance;
use crate::app::query::Shown;
use crate::domain::units::{Offset, Partition};
use crate::http::blocking::{Shared, blocking};
use crate::http::local::stream;
use crate::http::problem::{Problem, failed};

pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new()
        .route("/local/v1/dlq", get(list))
        .route("/local/v1/dlq/letter", get(show))
        .route("/local/v1/dlq/forecast", get(forecast))
        .route("/local/v1/dlq/redrive", post(redrive))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Nothing(..) => Self::new(StatusCode::NOT_FOUND, "no_letter", error.to_string()),
            Error::Busy => Self::new(StatusCode::CONFLICT, "busy", error.to_string()),
            _ => failed(&error),
        }
    }
}

#[derive(Deserialize)]
struct Since {
    since_ms: i64,
}

async fn list(
    State(instance): Shared,
    Query(choice): Query<Choice>,
    Query(Since { since_ms }): Query<Since>,
) -> Result<Json<List>, Problem> {
    blocking(move || Ok(Json(dead_letters::list(&instance.log, &choice, since_ms)?))).await
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
        let place = (Partition(partition), Offset(offset));
        let record = dead_letters::find(&instance.log, place)?;
        Ok(Json(Shown::new(&instance.schemas).letter(place, &record)))
    })
    .await
}

async fn forecast(State(instance): Shared, Query(choice): Query<Choice>) -> Response {
    stream(move |lines| {
        dead_letters::forecast(&instance.log, &choice, &instance.schemas, &mut |forecast| {
            lines.put(&forecast);
        })?;
        lines.put(&json!({ "done": true }));
        Ok(())
    })
}

async fn redrive(State(instance): Shared, Query(choice): Query<Choice>) -> Response {
    stream(move |lines| {
        let redriven = dead_letters::redrive(&instance, &choice, &mut |sent| {
            sent.iter().for_each(|sent| {
                lines.put(sent);
            });
        })?;
        lines.put(&json!({ "records": redriven.lines }));
        Ok(())
    })
}
