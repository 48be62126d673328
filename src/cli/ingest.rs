//! `ingest`: a file into a running instance, resumed where a killed run stopped.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tokio::sync::watch;

use crate::cli::client::{Client, Method};
use crate::cli::print::{self, note, say, spinner};
use leadstream::app::ingest::{
    self, BadLine, Found, Lines, Outcome, Piece, Progress, UNREAD_MAX, Unread,
};
use leadstream::codec::topics::{DEAD_LETTERS, LATE};
use leadstream::config::Config;

/// Bad lines printed before only their number is told.
const BAD_LINES_SHOWN: usize = 20;
/// With a rate lines are sent this far ahead.
const MOMENT: Duration = Duration::from_millis(20);
/// Bytes of lines sent at once, unless a single line is longer.
const SEND_BYTES: usize = 4 << 20;
/// How shells call a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
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

pub async fn ingest(config: &Config, options: &Options, json: bool) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    let reported = send_and_tell(&client, config, (options, json)).await;
    client.close()?;
    reported
}

/// How a source is appended.
struct Source<'a> {
    client: &'a Client,
    name: String,
}

impl Source<'_> {
    async fn begin(&self, fresh: bool) -> anyhow::Result<Progress> {
        let query = json!({ "name": self.name, "fresh": fresh });
        Ok(self.client.post("/local/v1/ingest/begin", &query, Vec::new()).await?)
    }

    async fn append(&self, piece: &Piece, lines: Vec<u8>) -> anyhow::Result<Found> {
        let mut query = json!(piece);
        query["name"] = self.name.as_str().into();
        Ok(self.client.post("/local/v1/ingest/append", &query, lines).await?)
    }
}

fn source_name(file: &str) -> String {
    let path = Path::new(file).canonicalize();
    path.map_or_else(|_| file.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Sends the file and tells how all of it came out. Before that the run has not ended: the same
/// command goes on with it.
async fn send_and_tell(
    client: &Client,
    config: &Config,
    (options, json): (&Options, bool),
) -> anyhow::Result<()> {
    let source = Source { client, name: source_name(&options.file) };
    let Sent { progress, broken } = send(&source, config, options).await?;
    let waited = outcome(client, &source.name, progress.lines).await;
    let outcome = waited.with_context(|| {
        let next = if options.file == "-" {
            "do not send them again"
        } else {
            "run the same command again to see what comes of them"
        };
        format!("all {} lines are appended: {next}", progress.lines)
    })?;
    report(&outcome, json)?;
    if let Some(broken) = broken {
        let lines = progress.lines;
        return Err(broken).with_context(|| {
            format!(
                "the file cannot be read after line {lines}; the {lines} lines before are taken: \
                    mend the file, then run the same command again, which goes on behind them"
            )
        });
    }
    if !options.follow {
        let Progress { run, lines, crc, .. } = progress;
        let ended = Piece { run: run.number, before: lines, lines, crc, finished: true };
        // What came of the lines is told, and the next call would only tell it again.
        if let Err(error) = source.append(&ended, Vec::new()).await {
            note(format!(
                "that this was told could not be stored, so the next call tells it again: {error:#}"
            ));
        }
    }
    Ok(())
}

/// Prints how records came out, and where to look for those that changed nothing.
pub fn report(outcome: &Outcome, json: bool) -> Result<(), print::Error> {
    if json {
        return say(json!(outcome));
    }
    let Outcome { received, advanced, duplicate, late, dead_lettered, paused: _ } = outcome;
    if *late > 0 {
        note(format!("late records: leadstream tail {LATE} --from-start --until-end"));
    }
    if *dead_lettered > 0 {
        note("dead letters and their reasons: leadstream dlq list");
    }
    say(format!(
        "received={received} advanced={advanced} duplicate={duplicate} late={late} \
            dead_lettered={dead_lettered}"
    ))
}

/// Waits until this number of records of a source's run was processed; gives their outcomes.
pub async fn outcome(client: &Client, name: &str, records: u64) -> anyhow::Result<Outcome> {
    let bar = spinner("taken");
    let mut newest = None;
    let each = &mut |line: &str| {
        newest = serde_json::from_str::<Outcome>(line).ok();
        newest.as_ref().is_some_and(|outcome| {
            bar.set_position(outcome.received);
            outcome.received < records && outcome.paused.is_none()
        })
    };
    client.lines("/local/v1/ingest/outcome", &json!({ "name": name }), Method::Get, each).await?;
    bar.finish_and_clear();
    let outcome = newest.context("the instance ended before its answer did")?;
    let received = outcome.received;
    match &outcome.paused {
        _ if received >= records => Ok(outcome),
        Some(why) => bail!("{records} records are appended, {received} of them are taken: {why}"),
        None => bail!("the instance ended before its answer did"),
    }
}

/// Where the file stands, and its lines from there on.
async fn begin(source: &Source<'_>, file: &str) -> anyhow::Result<(Progress, Lines)> {
    let mut lines = Lines::open(file)?;
    // Standard input cannot be read twice, so it is never compared with what came before.
    let stored = source.begin(file == "-").await?;
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
    Ok((source.begin(true).await?, Lines::open(file)?))
}

/// How far a file was appended.
struct Sent {
    progress: Progress,
    /// Why the rest cannot be read.
    broken: Option<ingest::Error>,
}

async fn send(source: &Source<'_>, config: &Config, options: &Options) -> anyhow::Result<Sent> {
    let interrupt = options.follow.then(Interrupt::watch);
    let (mut progress, mut lines) = begin(source, &options.file).await?;
    let mut broken = None;
    let mut hasher = crc32fast::Hasher::new_with_initial(progress.crc);
    let (bar, began, resumed) = (spinner("lines"), Instant::now(), progress.lines);
    let (mut report, mut is_read) = (LineReport::default(), false);
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
            let line = if options.follow { lines.next_whole() } else { lines.next_line() };
            let line = match line {
                Ok(Some(line)) => line,
                Ok(None) => {
                    is_read = !options.follow;
                    break;
                }
                Err(error) => {
                    (is_read, broken) = (true, Some(error));
                    break;
                }
            };
            progress.lines += 1;
            hasher.update(&line);
            body.extend_from_slice(&line);
            body.push(b'\n');
        }
        if !body.is_empty() {
            progress.crc = hasher.clone().finalize();
            let Progress { run, lines, crc, .. } = &progress;
            let piece =
                Piece { run: run.number, before, lines: *lines, crc: *crc, finished: false };
            let answer = source.append(&piece, body).await;
            let found = answer.context("run the same command again: it goes on where it was")?;
            report.add(found);
            bar.set_position(progress.lines);
        } else if let Some(interrupt) = &interrupt {
            interrupt.wait(PAUSE * 10).await;
        }
        if interrupt.as_ref().is_some_and(Interrupt::is_asked) {
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
    report.end();
    Ok(Sent { progress, broken })
}

/// Whether the user asked a follower to stop. Asked a second time, the command ends at once.
struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    fn watch() -> Self {
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                ask.send_replace(true);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED);
            }
        });
        Self(asked)
    }

    fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits a moment, or until it is asked.
    async fn wait(&self, moment: Duration) {
        let mut asked = self.0.clone();
        // Whoever does not ask in time asks later.
        tokio::time::timeout(moment, asked.wait_for(|asked| *asked)).await.ok();
    }
}

/// What was reported about lines so far.
#[derive(Default)]
struct LineReport {
    bad: usize,
    unread: BTreeMap<(String, String), Unread>,
}

impl LineReport {
    /// Says which lines are no events, and keeps which words nothing reads.
    fn add(&mut self, Found { bad, unread }: Found) {
        for BadLine { number, reason } in bad {
            self.bad += 1;
            if self.bad <= BAD_LINES_SHOWN {
                note(format!("line {number}: {reason}"));
            }
        }
        for unread in unread {
            let place = (unread.field.clone(), unread.word.clone());
            let known = self.unread.entry(place).or_insert(Unread { events: 0, ..unread.clone() });
            known.events += unread.events;
        }
    }

    /// Says what is left to say.
    fn end(self) {
        if self.bad > BAD_LINES_SHOWN {
            note(format!(
                "and {} more bad lines: leadstream tail {DEAD_LETTERS} --from-start --until-end",
                self.bad - BAD_LINES_SHOWN
            ));
        }
        for Unread { field, word, events, meant } in self.unread.into_values().take(UNREAD_MAX) {
            let meant = meant.map_or_else(
                || "`leadstream explain` lists those that are read".to_owned(),
                |meant| format!("did you mean {meant}?"),
            );
            note(format!(
                "{events} events have the {field} {word:?}, which nothing reads: {meant}"
            ));
        }
    }
}
