//! `ingest`: a file into a running instance, resumed where a killed run stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::print::{say, spinner};
use leadstream::app::ingest::{self, BadLine, Lines, Progress};
use leadstream::codec::rows;
use leadstream::codec::topics::{self, DEAD_LETTERS};
use leadstream::config::Config;
use leadstream::log::kafka::{self, Appender, Followed};
use leadstream::pipeline::{self, Key, Row};

/// Bad lines printed before only their number is told.
const BAD_LINES_SHOWN: usize = 20;
/// With a rate lines are sent this far ahead.
const MOMENT: Duration = Duration::from_millis(20);
/// Bytes of lines sent at once, unless a single line is longer.
const SEND_BYTES: usize = 4 << 20;
/// How long a follower sleeps at the end of its file, and between looks at the worker.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub struct Options {
    /// The file.
    pub file: String,
    /// Wait for more at the end of the file, until interrupted.
    #[arg(long)]
    pub follow: bool,
    /// Lines per second at most.
    #[arg(long)]
    pub rate: Option<u32>,
}

#[derive(Deserialize)]
struct Counters {
    received: u64,
    advanced: u64,
    duplicate: u64,
    late: u64,
    dead_lettered: u64,
    /// Why nothing more is taken for now.
    paused: Option<String>,
}

#[derive(Deserialize)]
struct Appended {
    bad: Vec<BadLine>,
}

pub async fn ingest(config: &Config, options: &Options) -> anyhow::Result<()> {
    if let Some(settings) = config.kafka_settings()? {
        let cluster = kafka::open(settings, &topics::ALL)?;
        let place = Place::Kafka(Box::new(Appender::new(&cluster, &source_name(&options.file))?));
        return send_and_tell(&place, config, options).await;
    }
    let place = Place::Instance(Client::connect(config).await?);
    let reported = send_and_tell(&place, config, options).await;
    if let Place::Instance(client) = place {
        client.close()?;
    }
    reported
}

/// Where lines go: through an instance into its data directory, or straight to Kafka.
pub enum Place {
    /// An instance.
    Instance(Client),
    /// Kafka.
    Kafka(Box<Appender>),
}

impl Place {
    async fn begin(&self, name: &str, fresh: bool) -> anyhow::Result<Progress> {
        match self {
            Self::Instance(client) => Ok(client
                .post(
                    "/local/v1/ingest/begin",
                    &json!({ "name": name, "fresh": fresh }),
                    Vec::new(),
                )
                .await?),
            Self::Kafka(appender) => {
                Ok(tokio::task::block_in_place(|| ingest::begin(appender.as_ref(), name, fresh))?)
            }
        }
    }

    async fn append(
        &self,
        name: &str,
        (before, after): (u64, &Progress),
        lines: Vec<u8>,
    ) -> anyhow::Result<Vec<BadLine>> {
        match self {
            Self::Instance(client) => {
                let Progress { run, lines: until, crc, finished } = after;
                let query = json!({ "name": name, "before": before, "run": run, "lines": until, "crc": crc, "finished": finished });
                let Appended { bad } =
                    client.post("/local/v1/ingest/append", &query, lines).await?;
                Ok(bad)
            }
            Self::Kafka(appender) => Ok(tokio::task::block_in_place(|| {
                ingest::append(appender.as_ref(), name, (before, after), &lines)
            })?),
        }
    }

    async fn counters(&self, run: u32, followed: &mut Followed) -> anyhow::Result<Counters> {
        match self {
            Self::Instance(client) => {
                Ok(client.get("/local/v1/ingest/counters", &json!({ "run": run })).await?)
            }
            Self::Kafka(appender) => {
                let mut whole = pipeline::Counters::default();
                for bytes in tokio::task::block_in_place(|| appender.follow(followed))? {
                    whole.merge(
                        &Row::into_counters(rows::row(&Key::Counters(run), &bytes)?)
                            .unwrap_or_default(),
                    );
                }
                let pipeline::Counters { advanced, duplicate, late, dead_lettered } = whole;
                Ok(Counters {
                    received: whole.received(),
                    advanced,
                    duplicate,
                    late,
                    dead_lettered,
                    paused: None,
                })
            }
        }
    }
}

fn source_name(file: &str) -> String {
    let path = Path::new(file).canonicalize();
    path.map_or_else(|_| file.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Sends the file and tells how all of it came out. Before that the run has not ended: the same
/// command goes on with it.
async fn send_and_tell(place: &Place, config: &Config, options: &Options) -> anyhow::Result<()> {
    let name = source_name(&options.file);
    let progress = send(place, config, (&name, options)).await?;
    let waited = outcome(place, (progress.run, progress.lines)).await;
    say(waited.with_context(|| {
        let next = if options.file == "-" {
            "do not send them again"
        } else {
            "run the same command again to see what comes of them"
        };
        format!("all {} lines are appended: {next}", progress.lines)
    })?)?;
    if !options.follow {
        let ended = Progress { finished: true, ..progress };
        // What came of the lines is told, and the next call would only tell it again.
        if let Err(error) = place.append(&name, (ended.lines, &ended), Vec::new()).await {
            eprintln!(
                "that this was told could not be stored, so the next call tells it again: {error:#}"
            );
        }
    }
    Ok(())
}

/// Waits until so many records of a run are taken; gives the line that says how they came out.
pub async fn outcome(place: &Place, (run, records): (u32, u64)) -> anyhow::Result<String> {
    let mut followed = Followed::new(rows::key_text(&Key::Counters(run)));
    let bar = spinner("taken");
    let counters = loop {
        let counters = place.counters(run, &mut followed).await?;
        bar.set_position(counters.received);
        if counters.received >= records {
            break counters;
        }
        if let Some(why) = counters.paused {
            bail!("{records} records are appended, {} of them are taken: {why}", counters.received);
        }
        tokio::time::sleep(PAUSE * 5).await;
    };
    let Counters { received, advanced, duplicate, late, dead_lettered, paused: _ } = counters;
    Ok(format!(
        "received={received} advanced={advanced} duplicate={duplicate} late={late} \
            dead_lettered={dead_lettered}"
    ))
}

/// Where the file stands, and its lines from there on.
async fn begin(place: &Place, name: &str, file: &str) -> anyhow::Result<(Progress, Lines)> {
    // Standard input cannot be read twice, so it is never compared with what came before.
    let stored = place.begin(name, file == "-").await?;
    let mut lines = Lines::open(file)?;
    let mut hasher = crc32fast::Hasher::new();
    for _ in 0..stored.lines {
        match lines.next_line()? {
            Some(line) => hasher.update(&line),
            None => break,
        }
    }
    if hasher.finalize() == stored.crc {
        return Ok((stored, lines));
    }
    Ok((place.begin(name, true).await?, Lines::open(file)?))
}

async fn send(
    place: &Place,
    config: &Config,
    (name, options): (&str, &Options),
) -> anyhow::Result<Progress> {
    let (mut progress, mut lines) = begin(place, name, &options.file).await?;
    let mut hasher = crc32fast::Hasher::new_with_initial(progress.crc);
    let (bar, began, resumed) = (spinner("lines"), Instant::now(), progress.lines);
    let (mut bad, mut is_read) = (0, false);
    while !is_read {
        let before = progress.lines;
        let mut body = Vec::new();
        // What is due in the next moment, and all that an append which took longer has delayed.
        let due = |rate: u32| ((began.elapsed() + MOMENT).as_secs_f64() * f64::from(rate)) as u64;
        let piece = options
            .rate
            .map_or(u64::MAX, |rate| (due(rate) + resumed).saturating_sub(before).max(1));
        while progress.lines - before < piece.min(config.ingest.lines_per_append as u64)
            && body.len() < SEND_BYTES
        {
            let line = if options.follow { lines.next_whole()? } else { lines.next_line()? };
            let Some(line) = line else {
                is_read = !options.follow;
                break;
            };
            progress.lines += 1;
            hasher.update(&line);
            body.extend_from_slice(&line);
            body.push(b'\n');
        }
        if !body.is_empty() {
            progress.crc = hasher.clone().finalize();
            let answer = place.append(name, (before, &progress), body).await;
            let found = answer.context("run the same command again: it goes on where it was")?;
            tell(&found, &mut bad);
            bar.set_position(progress.lines);
        } else if options.follow && interrupted(PAUSE * 10).await {
            break;
        }
        if let Some(rate) = options.rate {
            let due = began
                + Duration::from_secs_f64(
                    (progress.lines - resumed) as f64 / f64::from(rate.max(1)),
                );
            tokio::time::sleep_until(due.into()).await;
        }
    }
    bar.finish_and_clear();
    if bad > BAD_LINES_SHOWN {
        eprintln!(
            "and {} more bad lines: leadstream tail {DEAD_LETTERS} --from-start --until-end",
            bad - BAD_LINES_SHOWN
        );
    }
    Ok(progress)
}

/// Waits a moment; `true` when the user asked to stop.
async fn interrupted(wait: Duration) -> bool {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => true,
        () = tokio::time::sleep(wait) => false,
    }
}

fn tell(found: &[BadLine], bad: &mut usize) {
    for line in found {
        *bad += 1;
        if *bad <= BAD_LINES_SHOWN {
            eprintln!("line {}: {}", line.number, line.reason);
        }
    }
}
