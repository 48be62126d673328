//! `run`: an instance until a signal ends it or its worker fails.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::print::say;
use leadstream::app::instance::{Instance, Running};
use leadstream::config::Config;
use leadstream::http::{Reach, Server};
use leadstream::log::{self, TimeSource};

/// How often the instance is asked whether it still works.
const LOOK: Duration = Duration::from_secs(1);
/// How often the progress of restores is drawn.
const DRAW: Duration = Duration::from_millis(200);

pub async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything else, so that an end in order is one from the first moment on.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let starting = async { start(config).await.context("cannot start") };
    let running = tokio::select! {
        running = starting => running?,
        _ = terminated.recv() => return Ok(()),
        _ = interrupted.recv() => return Ok(()),
    };
    let instance = running.instance().clone();
    let listen = instance.config.http.listen.clone();
    let server = Server::start(instance.clone(), Reach::Announced)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    say(format!("leadstream runs on {}: /livez /readyz /metrics", server.address.url))?;
    let failed = async {
        // After a stop of the whole process the worker moves again at once: a second look decides.
        let mut looks = 0;
        while looks < 2 && instance.failure().is_none() {
            tokio::time::sleep(LOOK).await;
            looks = if instance.is_alive() { 0 } else { looks + 1 };
        }
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = draw(&instance) => {}
        () = failed => bail!("{}", instance.failure().unwrap_or_else(|| "the worker stood still \
            for a minute".to_owned())),
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

/// Draws how far the restores under way are, on a terminal alone; never ends.
async fn draw(instance: &Instance) {
    let mut drawn: Option<ProgressBar> = None;
    loop {
        tokio::time::sleep(DRAW).await;
        let restores = instance.views.restores().all();
        if restores.is_empty() {
            drawn.take().into_iter().for_each(|bar| bar.finish_and_clear());
            continue;
        }
        let bar = drawn.get_or_insert_with(restoring);
        bar.set_length(restores.iter().map(|restoring| restoring.stretch.whole()).sum());
        bar.set_position(restores.iter().map(|restoring| restoring.stretch.read()).sum());
        let partitions: Vec<String> =
            restores.iter().map(|restoring| restoring.partition.0.to_string()).collect();
        bar.set_message(partitions.join(", "));
    }
}

/// Starts an instance; a cluster that does not answer is waited for.
async fn start(config: Config) -> Result<Running, log::Error> {
    let until = Instant::now() + Duration::from_millis(config.kafka.startup_timeout_ms);
    loop {
        let own = config.clone();
        let started =
            tokio::task::spawn_blocking(move || Instance::start(own, TimeSource::World)).await;
        match started.map_err(std::io::Error::other)? {
            Err(error) if error.may_pass() && Instant::now() < until => {
                tracing::warn!(%error, "the cluster is waited for");
                tokio::time::sleep(LOOK).await;
            }
            outcome => return outcome,
        }
    }
}

/// A bar on standard error for partitions that are restored.
fn restoring() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "restoring partition {msg} {wide_bar} {human_pos} of {human_len} ({per_sec}, {eta} left)",
    );
    ProgressBar::new(0).with_style(style.expect("the template is well formed"))
}
