//! What a client reads when a request fails: a stable code and a safe sentence.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::log::chain;

/// The answer to a request that failed.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    pub(crate) message: String,
    as_of: Option<Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), as_of: None }
    }

    /// With how far what was asked for is.
    pub(crate) fn telling(self, as_of: Value) -> Self {
        Self { as_of: Some(as_of), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": { "code": self.code, "message": self.message } });
        if let Some(as_of) = self.as_of {
            body["as_of"] = as_of;
        }
        (self.status, axum::Json(body)).into_response()
    }
}

/// A failure inside; the log has it too.
pub(crate) fn failed(error: &dyn std::error::Error) -> Problem {
    let why = chain(error);
    tracing::error!(error = why, "a request failed");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why)
}

/// A request that cannot be understood.
pub(crate) fn bad(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string())
}
