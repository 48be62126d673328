//! Routes of the commands about experiments: `/local/v1/experiments`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::app::definitions::Applied;
use crate::app::experiments::{self, Audited, Error, Listed, Name, StateChange, Version};
use crate::app::instance::Instance;
use crate::http::blocking::{Shared, blocking};
use crate::http::problem::{Problem, failed};

pub(crate) fn routes() -> Router<Arc<Instance>> {
    Router::new()
        .route("/local/v1/experiments", get(list))
        .route("/local/v1/experiments/versions", get(versions))
        .route("/local/v1/experiments/state", post(change))
        .route("/local/v1/experiments/results", get(results))
        .route("/local/v1/experiments/segments", get(segments))
        .route("/local/v1/experiments/attribution", get(attribution))
        .route("/local/v1/experiments/audit", get(audit))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match error {
            Error::Unknown(_) => (StatusCode::NOT_FOUND, "unknown_experiment"),
            Error::Uncounted(_) => (StatusCode::NOT_FOUND, "not_counted"),
            Error::Unchanged { .. } => (StatusCode::CONFLICT, "unchanged"),
            Error::Over(_) => (StatusCode::CONFLICT, "concluded"),
            Error::TooEarly { .. } => (StatusCode::BAD_REQUEST, "too_early"),
            Error::Apply(error) => return error.into(),
            Error::Log(error) => return failed(&error),
        };
        Self::new(status, code, error.to_string())
    }
}

#[derive(Deserialize)]
struct Which {
    tenant: Option<String>,
    #[serde(default)]
    all: bool,
}

async fn list(
    State(instance): Shared,
    Query(Which { tenant, all }): Query<Which>,
) -> Result<Json<Vec<Listed>>, Problem> {
    blocking(move || {
        let Instance { log, schemas, .. } = instance.as_ref();
        Ok(Json(experiments::list(log, schemas, tenant.as_deref(), all)?))
    })
    .await
}

async fn versions(
    State(instance): Shared,
    Query(name): Query<Name>,
) -> Result<Json<Vec<Version>>, Problem> {
    blocking(move || Ok(Json(experiments::versions(&instance.log, &name)?))).await
}

async fn change(
    State(instance): Shared,
    Json(change): Json<StateChange>,
) -> Result<Json<Applied>, Problem> {
    blocking(move || Ok(Json(experiments::change(&instance.log, &instance.sources, &change)?)))
        .await
}

async fn results(
    State(instance): Shared,
    Query(name): Query<Name>,
) -> Result<Json<Value>, Problem> {
    blocking(move || Ok(Json(experiments::results(&instance.log, &instance.schemas, &name)?))).await
}

#[derive(Deserialize)]
struct OfTenant {
    tenant: String,
    experiment: Option<String>,
}

async fn segments(
    State(instance): Shared,
    Query(OfTenant { tenant, experiment }): Query<OfTenant>,
) -> Result<Json<Vec<Value>>, Problem> {
    blocking(move || {
        let Instance { log, schemas, .. } = instance.as_ref();
        Ok(Json(experiments::segments(log, schemas, &tenant, experiment.as_deref())?))
    })
    .await
}

async fn attribution(
    State(instance): Shared,
    Query(OfTenant { tenant, .. }): Query<OfTenant>,
) -> Result<Json<Option<Value>>, Problem> {
    blocking(move || Ok(Json(experiments::attribution(&instance.log, &instance.schemas, &tenant)?)))
        .await
}

async fn audit(State(instance): Shared) -> Result<Json<Audited>, Problem> {
    blocking(move || Ok(Json(experiments::audit(&instance.log, &instance.schemas)?))).await
}
