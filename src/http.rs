//! The HTTP server: health and metrics for everybody, the commands' own routes for whoever holds
//! the instance's token, and questions of other instances.

mod problem;
mod blocking;
mod connections;
mod peer;
mod local;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app::address::{Address, address_file};
use crate::app::instance::Instance;
use crate::http::blocking::{Shared, blocking};
use crate::http::connections::serve;
use crate::http::problem::Problem;
use crate::log::inode;

/// A server; dropping it ends it and removes its address file.
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The data directory whose address file names this server.
    announced: Option<PathBuf>,
    stop: Option<oneshot::Sender<()>>,
}

/// Who can find a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Other commands, through the address file; listens where the configuration says.
    Announced,
    /// This process alone; listens on a free port of the loopback address.
    Private,
}

impl Server {
    /// Starts to serve an instance on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on or the address file cannot be written.
    pub async fn start(instance: Arc<Instance>, reach: Reach) -> std::io::Result<Self> {
        let listen = match reach {
            Reach::Announced => instance.config.http.listen.clone(),
            Reach::Private => "127.0.0.1:0".to_owned(),
        };
        let listener = TcpListener::bind(&listen).await?;
        let address = Address {
            url: url(listener.local_addr()?),
            token: uuid::Uuid::new_v4().simple().to_string(),
            directory: inode(&instance.config.data_dir).unwrap_or_default(),
        };
        let announced = (reach == Reach::Announced).then(|| instance.config.data_dir.clone());
        if let Some(data) = &announced {
            write_private(&address_file(data), &serde_json::to_vec(&address)?)?;
        }
        if reach == Reach::Announced {
            let advertised = &instance.config.http.advertised;
            let url = if advertised.is_empty() {
                address.url.clone()
            } else {
                advertised.trim_end_matches('/').to_owned()
            };
            instance.announce(url).map_err(std::io::Error::other)?;
        }
        let (stop, stopped) = oneshot::channel();
        let connections_max = instance.config.http.connections_max;
        let app = router(instance, &address.token);
        tokio::spawn(serve(listener, app, connections_max, stopped));
        Ok(Self { address, announced, stop: Some(stop) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(data) = &self.announced
            && Address::read(data).is_some_and(|address| address.token == self.address.token)
            && let Err(error) = std::fs::remove_file(address_file(data))
        {
            tracing::warn!(%error, "the address file could not be removed");
        }
        self.stop.take().map(|stop| stop.send(()));
    }
}

/// An unspecified address is reached on the loopback one.
fn url(address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else {
        address.ip().to_string()
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{}", address.port())
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let draft = path.with_extension("draft");
    if draft.exists() {
        std::fs::remove_file(&draft)?;
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?
        .write_all(bytes)?;
    std::fs::rename(draft, path)
}

fn router(instance: Arc<Instance>, token: &str) -> Router {
    let shown = |token: &str| from_fn_with_state(Arc::new(format!("Bearer {token}")), authorize);
    let mut guarded = local::routes().route_layer(shown(token));
    let peers = &instance.config.http.peer_token;
    if !peers.is_empty() {
        guarded = guarded.merge(peer::routes().route_layer(shown(peers)));
    }
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(guarded)
        .layer(from_fn_with_state(instance.clone(), measure))
        .with_state(instance)
}

/// Lets only the holder of the token in.
async fn authorize(State(expected): State<Arc<String>>, request: Request, next: Next) -> Response {
    let shown =
        request.headers().get(AUTHORIZATION).map_or(b"".as_slice(), |value| value.as_bytes());
    // Takes the same time wherever the first difference is.
    if shown.ct_eq(expected.as_bytes()).into() {
        next.run(request).await
    } else {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a bearer token is needed")
            .into_response()
    }
}

async fn measure(State(instance): State<Arc<Instance>>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    instance.metrics.request(&route, response.status().as_u16(), began.elapsed());
    response
}

async fn live(State(instance): State<Arc<Instance>>) -> Response {
    if instance.is_alive() {
        "alive\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the worker has stopped\n").into_response()
    }
}

async fn ready(State(instance): State<Arc<Instance>>) -> Response {
    let symptoms = instance.symptoms();
    let lines: String = symptoms.iter().map(|symptom| format!("{symptom}\n")).collect();
    if symptoms.iter().any(|symptom| symptom.condition.is_blocking()) {
        (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
    } else {
        format!("ready\n{lines}").into_response()
    }
}

async fn metrics(State(instance): Shared) -> Result<Response, Problem> {
    let text = blocking(move || Ok(instance.metrics_text()?)).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
