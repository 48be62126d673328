//! Connections: a bound on how many there are at once, and a time in which each has to ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

/// How long a connection may take for the head of its next request; then it is closed, so that
/// those that say nothing make room.
const HEAD: Duration = Duration::from_secs(10);
/// How long requests under way may take once the server is to end.
const ENDS: Duration = Duration::from_secs(5);
/// After a connection could not be accepted, mostly because descriptors are used up.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves at most so many connections at once, until `stopped` speaks or is dropped; more of them
/// wait until one ends.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    connections_max: usize,
    mut stopped: oneshot::Receiver<()>,
) {
    let permits = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    let mut is_full = false;
    loop {
        if permits.available_permits() == 0 && !std::mem::replace(&mut is_full, true) {
            tracing::warn!(
                connections_max,
                "all connections are in use, more wait: close idle clients, or raise \
                    http.connections_max and the limit of open files"
            );
        }
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = &mut stopped => break,
        };
        is_full &= permits.available_permits() == 0;
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    // Whoever still reads an answer may end it, for a while.
    tokio::time::timeout(ENDS, graceful.shutdown()).await.ok();
}
