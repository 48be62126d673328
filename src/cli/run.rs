//! `run`: an instance until a signal ends it or its worker fails.

use std::time::Duration;

use anyhow::{Context, bail};
use leadstream::runtime::config::Config;
use leadstream::runtime::http::{Reach, Server};
use leadstream::runtime::instance::Instance;
use leadstream::runtime::log::TimeSource;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::say;

/// How often the instance is asked whether it still works.
const LOOK: Duration = Duration::from_secs(1);

pub async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything else, so that an end in order is one from the first moment on.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let running = Instance::start(config, TimeSource::World).context("cannot start")?;
    let instance = running.instance().clone();
    let listen = instance.config.http.listen.clone();
    let server = Server::start(instance.clone(), Reach::Announced).await.with_context(|| format!("cannot listen on {listen}"))?;
    say(format!("leadstream runs on {}: /livez /readyz /metrics", server.address.url))?;
    let failed = async {
        while instance.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = failed => bail!("{}", instance.failure().unwrap_or_else(|| "the worker stood still for a minute".to_owned())),
    }
    drop(server);
    let again = async {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    tokio::select! {
        outcome = tokio::task::spawn_blocking(move || running.stop()) => outcome?.map_err(anyhow::Error::msg),
        // Asked a second time: what is not committed is taken again at the next start.
        () = again => std::process::exit(1),
    }
}
