//! `demo`: an invented market, taken live by an instance of its own, on a clock that runs faster
//! than the world's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::cli::print::say;
use leadstream::app::ingest::{self, Piece, Progress};
use leadstream::app::instance::Instance;
use leadstream::codec::avro;
use leadstream::codec::topics::{ALERTS, PREDICTIONS, PROMPTS};
use leadstream::config::Config;
use leadstream::dev::market::{Delivery, Market};
use leadstream::domain::scoring::Target;
use leadstream::domain::units::{HOUR_MS, LeadKey, Offset, Partition};
use leadstream::http::{Reach, Server};
use leadstream::learn::backtest;
use leadstream::log::{self, TimeSource};
use leadstream::pipeline::Row;

/// Days of the market that are played before it goes live.
const PAST_DAYS: i64 = 45;
/// How often the market moves.
const STEP: Duration = Duration::from_millis(100);
/// The source under which its deliveries are appended.
const SOURCE: &str = "demo";

#[derive(clap::Args)]
pub struct Options {
    /// Leads that arrive per 30 days of the market.
    #[arg(long, default_value_t = 400)]
    pub leads: usize,
    /// Stop after this many seconds, else when interrupted.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Seconds of the market per second of the world.
    #[arg(long, default_value_t = 3_600)]
    pub speed: u32,
    /// At the end, hold the predictions against the truth that the generator knows.
    #[arg(long)]
    pub score: bool,
}

pub async fn demo(mut config: Config, named: bool, options: &Options) -> anyhow::Result<()> {
    if named {
        return play(config, options).await;
    }
    let folder = std::env::temp_dir().join(format!("leadstream-demo-{}", std::process::id()));
    config.data_dir = folder.clone();
    let result = play(config, options).await;
    std::fs::remove_dir_all(&folder).context("cannot remove the demo's directory")?;
    result
}

/// The market, the clock it lives by, and how far it was appended.
struct Stage {
    instance: Arc<Instance>,
    clock: Arc<AtomicI64>,
    market: Market,
    progress: Progress,
}

impl Stage {
    /// Moves the market's clock and appends what was delivered until then.
    fn play_until(&mut self, at_ms: i64) -> anyhow::Result<()> {
        self.clock.store(at_ms, Ordering::Relaxed);
        let deliveries = self.market.until(at_ms);
        if deliveries.is_empty() {
            return Ok(());
        }
        let lines: Vec<u8> = deliveries
            .iter()
            .flat_map(|Delivery { line, .. }| line.iter().copied().chain([b'\n']))
            .collect();
        let before = self.progress.lines;
        self.progress.lines += deliveries.len() as u64;
        let Progress { run, lines: count, crc, finished } = &self.progress;
        let piece =
            Piece { run: run.number, before, lines: *count, crc: *crc, finished: *finished };
        ingest::append(&self.instance.sources, SOURCE, &piece, &lines)?;
        Ok(())
    }
}

async fn play(mut config: Config, options: &Options) -> anyhow::Result<()> {
    // Nobody outside reads what comes of an invented market.
    config.schema_registry.url.clear();
    if std::net::TcpListener::bind(&config.http.listen).is_err() {
        config.http.listen = "127.0.0.1:0".to_owned();
    }
    let start_ms = TimeSource::World.now().0;
    let past_ms = start_ms - PAST_DAYS * 24 * HOUR_MS;
    let clock = Arc::new(AtomicI64::new(past_ms));
    let running =
        Instance::start(config, TimeSource::Moved(clock.clone())).context("cannot start")?;
    let instance = running.instance().clone();
    let server =
        Server::start(instance.clone(), Reach::Announced).await.context("cannot listen")?;
    say(format!("health and metrics: {0}/livez {0}/readyz {0}/metrics", server.address.url))?;
    say(format!(
        "ask from another shell: leadstream --data-dir {} worklist demo-realty",
        instance.config.data_dir.display()
    ))?;
    let progress = ingest::begin(&instance.sources, SOURCE, true)?;
    let mut stage =
        Stage { instance, clock, market: Market::new(1, options.leads, past_ms), progress };
    for hour in 1..=PAST_DAYS * 24 {
        stage.play_until(past_ms + hour * HOUR_MS)?;
    }
    say(format!(
        "the last {PAST_DAYS} days of the market are in; from here on it runs at {} times the \
            speed of the world",
        options.speed
    ))?;
    live(&mut stage, options, start_ms).await?;
    if options.score {
        score(&stage)?;
    }
    drop(server);
    tokio::task::spawn_blocking(move || running.stop()).await?.map_err(anyhow::Error::msg)
}

async fn live(stage: &mut Stage, options: &Options, start_ms: i64) -> anyhow::Result<()> {
    let (began, mut reported) = (Instant::now(), 0);
    let mut news = News::new(&stage.instance);
    loop {
        let elapsed = began.elapsed();
        let market_ms = i64::try_from(elapsed.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_mul(i64::from(options.speed));
        stage.play_until(start_ms.saturating_add(market_ms))?;
        if elapsed.as_secs() > reported || reported == 0 {
            reported = elapsed.as_secs().max(1);
            summary(stage, &mut news)?;
        }
        if options.seconds.is_some_and(|seconds| elapsed.as_secs() >= seconds) {
            return Ok(());
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(STEP) => {}
        }
    }
}

/// Follows the newest records of a topic.
struct News {
    topics: [(&'static str, Vec<Offset>); 2],
}

impl News {
    fn new(instance: &Instance) -> Self {
        Self {
            topics: [ALERTS, PROMPTS]
                .map(|topic| (topic, vec![Offset(0); instance.log.partitions() as usize])),
        }
    }

    /// The newest record of each topic since the last look.
    fn newest(&mut self, instance: &Instance) -> Result<[Option<Value>; 2], log::Error> {
        let committed = instance.log.committed()?;
        let mut found = [None, None];
        for ((topic, next), found) in self.topics.iter_mut().zip(&mut found) {
            let mut newest: Option<Vec<u8>> = None;
            for (partition, next) in (0..).map(Partition).zip(next) {
                let end = committed.end(topic, partition)?;
                committed.each::<log::Error>(
                    (topic, partition),
                    (*next, end),
                    &mut |_, record| {
                        if record.value.is_some() {
                            newest = record.value;
                        }
                        Ok(())
                    },
                )?;
                *next = end;
            }
            *found = newest.and_then(|value| avro::describe(&value).ok());
        }
        Ok(found)
    }
}

/// One line of counts, and the newest warning and prompt under it.
fn summary(stage: &Stage, news: &mut News) -> anyhow::Result<()> {
    let Stage { instance, clock, progress, .. } = stage;
    let counters = instance.views.counters(progress.run.number)?;
    let committed = instance.log.committed()?;
    let count = |topic: &str| -> Result<u64, log::Error> {
        (0..instance.log.partitions())
            .map(|partition| Ok(committed.end(topic, Partition(partition))?.0))
            .sum()
    };
    say(format!(
        "{}  {counters}  predictions={} warnings={} prompts={}",
        minute(clock.load(Ordering::Relaxed)),
        count(PREDICTIONS)?,
        count(ALERTS)?,
        count(PROMPTS)?
    ))?;
    let [alert, prompt] = news.newest(instance)?;
    let text = |value: &Value, field: &str| {
        value[field].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    if let Some(alert) = alert {
        say(format!(
            "    {} {} {}: {}",
            text(&alert, "lead_id"),
            text(&alert, "rule"),
            text(&alert, "change"),
            text(&alert, "reason")
        ))?;
    }
    if let Some(prompt) = prompt {
        say(format!("    {} says \"{}\"", text(&prompt, "lead_id"), text(&prompt, "quote")))?;
        say(format!("      {}: \"{}\"", text(&prompt, "headline"), text(&prompt, "reply")))?;
    }
    Ok(())
}

/// `2026-01-31T12:00` of a time in milliseconds.
fn minute(at_ms: i64) -> String {
    let text = jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| String::new(), |instant| instant.to_string());
    text.chars().take(16).collect()
}

/// Holds the predictions of open leads against what the generator knows of them.
fn score(stage: &Stage) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for truth in stage.market.truth() {
        let key = LeadKey::parse(&format!("{}:{}", truth.tenant, truth.lead_id))?;
        let Some(view) = stage.instance.views.lead(stage.instance.log.partitions(), &key)? else {
            continue;
        };
        let lead = view.row.and_then(Row::into_lead).filter(|lead| lead.journey.outcome.is_none());
        if let Some(lead) = lead {
            let at = lead.activity.last.unwrap_or_default();
            let scores = lead.scores(&view.rules.in_force(key.tenant(), at), at);
            pairs.push((scores[Target::ConversionLikelihood.index()].probability, truth.p_convert));
        }
    }
    let likely: Vec<_> = pairs.iter().map(|(score, truth)| (*score, *truth >= 0.3)).collect();
    let count = pairs.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
    say(format!(
        "conversion_likelihood of {} open leads against their hidden probability:",
        pairs.len()
    ))?;
    say(format!(
        "  AUC for a hidden probability of .3 or more {:.3}",
        backtest::auc(&likely).unwrap_or(f64::NAN)
    ))?;
    say(format!(
        "  mean prediction {:.3}, mean hidden probability {:.3}",
        mean(|pair| pair.0),
        mean(|pair| pair.1)
    ))?;
    Ok(())
}
