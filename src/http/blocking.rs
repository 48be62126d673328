//! Handlers that read the log or the state run away from the threads that serve.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::instance::Instance;
use crate::http::problem::Problem;

/// What handlers share.
pub(crate) type Shared = State<Arc<Instance>>;

/// Runs what blocks away from the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let panicked = |_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the request failed inside: see the log",
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(panicked)?
}
