//! How a command reaches an instance: one that runs with the same data directory, or one that this
//! process runs for as long as the command lasts.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use leadstream::app::address::{Address, address_file};
use leadstream::app::instance::{Instance, Running};
use leadstream::config::Config;
use leadstream::http::{Reach, Server};
use leadstream::log::{self, TimeSource};

/// How long an instance may take to say that it is there.
const PROBE: Duration = Duration::from_secs(5);
/// How long an answer may stand still. Chosen: an audit reads a whole topic before it answers.
const SILENCE: Duration = Duration::from_secs(120);

/// Why a command cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The instance refused.
    #[error("{message}")]
    Refused {
        /// Stable code.
        code: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// On Kafka a command does not join the group to answer one question about state.
    #[error("no instance runs on {0}: start `leadstream run` with the same configuration")]
    NotRunning(String),
    /// The instance does not answer.
    #[error("the instance does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// Something is where the instance was, and does not answer.
    #[error(
        "{url} does not answer within {} s: if that is no leadstream any more, remove {}; if it is, \
            look at its log or restart it",
        PROBE.as_secs(),
        .file.display()
    )]
    Silent {
        /// Where it is, or was.
        url: String,
        /// The address file that says so.
        file: PathBuf,
    },
    /// An answer of lines ended early.
    #[error("{0}")]
    Ended(String),
    /// A server for this command cannot be started.
    #[error("no server can be started for this command")]
    Server(#[from] std::io::Error),
    /// The log cannot be opened.
    #[error("cannot open the log")]
    Log(#[from] log::Error),
    /// The instance of this command ended with a failure.
    #[error("the worker has stopped: {0}")]
    Worker(String),
}

/// A connection to an instance.
pub struct Client {
    http: reqwest::Client,
    address: Address,
    own: Option<(Server, Running)>,
}

impl Client {
    /// Finds the running instance of the data directory, else runs one in this process until
    /// [`Client::close`]. On Kafka that one takes nothing, so it has no state of leads.
    ///
    /// # Errors
    /// When neither is possible.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        match Self::running(config).await? {
            Some(client) => Ok(client),
            None => Self::start(config.clone()).await,
        }
    }

    /// As [`Client::connect`], for what only an instance with state can answer or do.
    ///
    /// # Errors
    /// [`Error::NotRunning`] where on Kafka none runs here.
    pub async fn with_state(config: &Config) -> Result<Self, Error> {
        match Self::running(config).await? {
            Some(client) => Ok(client),
            None if config.kafka_settings()?.is_some() => {
                Err(Error::NotRunning(config.data_dir.display().to_string()))
            }
            None => Self::start(config.clone()).await,
        }
    }

    /// The instance that runs with the data directory and answers; a file left by a killed one does
    /// not count.
    async fn running(config: &Config) -> Result<Option<Self>, Error> {
        let Some(address) = Address::read(&config.data_dir) else { return Ok(None) };
        let http = http()?;
        let asked = http
            .get(format!("{}/local/v1/status", address.url))
            .bearer_auth(&address.token)
            .timeout(PROBE)
            .send();
        match asked.await {
            Ok(answer) if answer.status().is_success() => {
                Ok(Some(Self { http, address, own: None }))
            }
            Err(error) if error.is_timeout() => {
                Err(Error::Silent { url: address.url, file: address_file(&config.data_dir) })
            }
            _ => Ok(None),
        }
    }

    /// An instance of this process.
    async fn start(mut config: Config) -> Result<Self, Error> {
        let running = match config.kafka_settings()? {
            Some(settings) => tokio::task::block_in_place(|| Instance::reader(config, settings))?,
            None => {
                // Nobody could tell an instance to go on that lasts as long as one command.
                config.worker.dead_letter_ratio_max = 1.0;
                Instance::start(config, TimeSource::World)?
            }
        };
        let server = Server::start(running.instance().clone(), Reach::Private).await?;
        Ok(Self { http: http()?, address: server.address.clone(), own: Some((server, running)) })
    }

    /// The answer to a GET as JSON.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Unreachable`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, Error> {
        Ok(self.send(self.http.get(self.url(path)).query(query)).await?.json().await?)
    }

    /// The answer to a POST as JSON.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Unreachable`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
        body: Vec<u8>,
    ) -> Result<T, Error> {
        Ok(self.send(self.http.post(self.url(path)).query(query).body(body)).await?.json().await?)
    }

    /// The answer to a POST of JSON as JSON.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Unreachable`].
    pub async fn send_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        Ok(self.send(self.http.post(self.url(path)).json(body)).await?.json().await?)
    }

    /// Hands every line of an answer to `each` until it says no more.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`], or [`Error::Ended`] where the last line says that
    /// the answer ended early.
    pub async fn lines(
        &self,
        path: &str,
        query: &impl Serialize,
        post: Method,
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        let request = match post {
            Method::Get => self.http.get(self.url(path)),
            Method::Post => self.http.post(self.url(path)),
        };
        let mut response = self.send(request.query(query)).await?;
        let mut waiting = Vec::new();
        while let Some(piece) = response.chunk().await? {
            waiting.extend_from_slice(&piece);
            let whole = waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let rest = waiting.split_off(whole);
            for line in String::from_utf8_lossy(&waiting).lines() {
                // An empty one says that the instance is still there.
                if line.is_empty() {
                    continue;
                }
                if let Some(why) = early_end(line) {
                    return Err(Error::Ended(why));
                }
                if !each(line) {
                    return Ok(());
                }
            }
            waiting = rest;
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.bearer_auth(&self.address.token).send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        let text = |field: &str| body["error"][field].as_str().map(str::to_owned);
        Err(Error::Refused {
            code: text("code").unwrap_or_else(|| status.to_string()),
            message: text("message").unwrap_or_else(|| format!("the instance answered {status}")),
        })
    }

    /// Ends what was started for this client, with everything taken and the state written.
    ///
    /// # Errors
    /// [`Error::Worker`].
    pub fn close(self) -> Result<(), Error> {
        match self.own {
            Some((server, running)) => {
                drop(server);
                running.stop().map_err(Error::Worker)
            }
            None => Ok(()),
        }
    }
}

/// How a stream of lines is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Starts something.
    Post,
}

/// Why an answer of lines ended early, where this line says so.
fn early_end(line: &str) -> Option<String> {
    let line: Value =
        line.starts_with(r#"{"error":"#).then(|| serde_json::from_str(line).ok())??;
    line["error"].as_str().map(str::to_owned)
}

fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().connect_timeout(PROBE).read_timeout(SILENCE).build()
}
