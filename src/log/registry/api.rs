//! The calls of a schema registry's HTTP API, Confluent's as others speak it too.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::codec::avro::Key;

/// Bytes of an answer. Chosen: the longest schema that is taken (256 KiB), with every character of
/// it escaped as JSON does.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Characters of the registry's own words that are repeated.
const MESSAGE_CHARS_MAX: usize = 500;
/// What every subject keeps: each version reads, and is read by, all others.
pub(crate) const COMPATIBILITY: &str = "FULL_TRANSITIVE";
/// Largest id that a registry gives: its ids are Java's `int`.
const ID_MAX: u32 = i32::MAX.cast_unsigned();

/// How a registry is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its API begins, without a slash at the end.
    pub url: String,
    /// For basic authentication; empty: none.
    pub username: String,
    /// Its password.
    pub password: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Schemas kept in memory.
    pub cached_ids: usize,
}

/// Why a registry gives no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or not in time.
    #[error("the schema registry at {url} cannot be reached")]
    Unreachable {
        /// Where its API begins.
        url: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// It answers something else.
    #[error("the schema registry at {url} answers {status} to {path}: {message}")]
    Answer {
        /// Where its API begins.
        url: String,
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: StatusCode,
        /// Code of the API, where the answer is one of it.
        code: Option<u32>,
        /// What it says.
        message: String,
    },
    /// It answers with success, and with nothing that a registry would say.
    #[error("what answers at {url}{path} is no schema registry: check schema_registry.url")]
    Strange {
        /// Where its API begins.
        url: String,
        /// What was asked.
        path: String,
    },
    /// It says so much that no schema can be in it.
    #[error("the schema registry's answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// It did not answer in time.
    #[error("the schema registry was waited for: {0}")]
    Silent(String),
    /// Own schemas are not registered.
    #[error("the schema registry does not have the schemas of {}: run `leadstream schemas \
        register`", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// No thread or client can be made.
    #[error("the client of the schema registry cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the same request may be answered later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Strange { .. } => true,
            Self::Answer { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
            Self::TooLong | Self::Silent(_) | Self::Missing(_) | Self::Client(_) => false,
        }
    }

    /// Whether the registry itself says that it does not have what was asked for. Something before
    /// it that answers 404, or an address at which there is no registry, does not know.
    fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Answer { status: StatusCode::NOT_FOUND, code: Some(40_400..=40_499), .. }
        )
    }
}

/// A schema as a subject has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Its id, on the whole registry.
    pub id: u32,
    /// Its version, within the subject.
    pub version: u32,
}

/// Whether a registry can be there.
#[must_use]
pub fn is_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && is_plain
    })
}

/// A client on one tokio runtime.
pub(crate) struct Api {
    settings: Settings,
    http: Client,
}

impl Api {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let http = Client::builder().no_proxy().timeout(settings.timeout).build();
        Ok(Self {
            settings: settings.clone(),
            http: http.map_err(|cause| Error::Client(cause.into()))?,
        })
    }

    /// The text of a writer's schema; `None`: the registry definitely has none of that name.
    pub(crate) async fn schema(&self, key: Key) -> Result<Option<String>, Error> {
        let path = match key {
            Key::Id(0..=ID_MAX) => format!("/schemas/ids/{key}"),
            Key::Guid(_) => format!("/schemas/guids/{key}"),
            Key::Id(_) | Key::Fingerprint(_) => return Ok(None),
        };
        match self.ask(Method::GET, &path, None).await {
            Ok(answer) => Ok(Some(self.field(&path, &answer, "schema")?.to_owned())),
            Err(error) if error.is_unknown() => Ok(None),
            // A registry without GUIDs does not know this address, but others of its own.
            Err(Error::Answer { status: StatusCode::NOT_FOUND, .. })
                if matches!(key, Key::Guid(_)) =>
            {
                self.ask(Method::GET, "/schemas/types", None).await.map(|_| None)
            }
            Err(error) => Err(error),
        }
    }

    /// What a subject calls a schema; `None`: it does not have it.
    pub(crate) async fn find(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Option<Registered>, Error> {
        let path = format!("/subjects/{subject}");
        match self.ask(Method::POST, &path, Some(json!({ "schema": schema }))).await {
            Ok(answer) => match Registered::deserialize(&answer) {
                Ok(registered) => Ok(Some(registered)),
                Err(_) => Err(self.strange(&path)),
            },
            Err(error) if error.is_unknown() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The compatibility that a subject keeps; `None`: the registry's default.
    pub(crate) async fn compatibility(&self, subject: &str) -> Result<Option<String>, Error> {
        let path = format!("/config/{subject}");
        match self.ask(Method::GET, &path, None).await {
            Ok(answer) => Ok(Some(self.field(&path, &answer, "compatibilityLevel")?.to_owned())),
            Err(error) if error.is_unknown() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a subject would take a schema as its next version.
    pub(crate) async fn would_take(&self, subject: &str, schema: &str) -> Result<bool, Error> {
        let path = format!("/compatibility/subjects/{subject}/versions/latest");
        match self.ask(Method::POST, &path, Some(json!({ "schema": schema }))).await {
            Ok(answer) => answer["is_compatible"].as_bool().ok_or_else(|| self.strange(&path)),
            // A subject without a version takes any.
            Err(error) if error.is_unknown() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// From now on a subject takes only schemas that read and are read by all its versions.
    pub(crate) async fn require_compatibility(&self, subject: &str) -> Result<(), Error> {
        let body = json!({ "compatibility": COMPATIBILITY });
        self.ask(Method::PUT, &format!("/config/{subject}"), Some(body)).await.map(|_| ())
    }

    /// Adds a version to a subject.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> Result<(), Error> {
        self.ask(
            Method::POST,
            &format!("/subjects/{subject}/versions"),
            Some(json!({ "schema": schema })),
        )
        .await
        .map(|_| ())
    }

    /// Asks and reads no more of the answer than can be one.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let unreachable = |cause: reqwest::Error| Error::Unreachable {
            url: self.settings.url.clone(),
            cause: cause.without_url(),
        };
        let mut response = self.request(method, path, body).send().await.map_err(unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(if status.is_success() {
                    Error::TooLong
                } else {
                    self.answer(path, status, (None, ""))
                });
            }
        }
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            Some(answer) => {
                let code = answer["error_code"].as_u64().and_then(|code| u32::try_from(code).ok());
                Err(self.answer(
                    path,
                    status,
                    (code, answer["message"].as_str().unwrap_or_default()),
                ))
            }
            None if status.is_success() => Err(self.strange(path)),
            None => Err(self.answer(path, status, (None, ""))),
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<Value>) -> RequestBuilder {
        let Settings { url, username, password, .. } = &self.settings;
        let mut request = self.http.request(method, format!("{url}{path}"));
        if !username.is_empty() {
            request = request.basic_auth(username, Some(password));
        }
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    fn field<'a>(&self, path: &str, answer: &'a Value, name: &str) -> Result<&'a str, Error> {
        answer[name].as_str().ok_or_else(|| self.strange(path))
    }

    fn strange(&self, path: &str) -> Error {
        Error::Strange { url: self.settings.url.clone(), path: path.to_owned() }
    }

    fn answer(
        &self,
        path: &str,
        status: StatusCode,
        (code, message): (Option<u32>, &str),
    ) -> Error {
        let message = if message.is_empty() {
            "these are not the words of a schema registry: check schema_registry.url"
        } else {
            message
        };
        let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
        Error::Answer {
            url: self.settings.url.clone(),
            path: path.to_owned(),
            status,
            code,
            message,
        }
    }
}
