//! Commands that ask an instance something and print the answer.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::{Client, Method};
use crate::cli::print::{say, spinner};
use leadstream::app::local_copy::mirror;
use leadstream::app::query::{Shown, Task};
use leadstream::app::replay;
use leadstream::codec::model::starting_rules;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::records::Defined;
use leadstream::codec::topics::{self, Partitions, inputs_of};
use leadstream::codec::{definition, internal};
use leadstream::config::Config;
use leadstream::domain::units::Partition;
use leadstream::log::Sources;
use leadstream::log::kafka::{self, Appender, Settings, Topics};
use leadstream::log::registry::{Registry, Schemas};
use leadstream::pipeline::InputTopic;
use leadstream::telemetry::metrics::Metrics;

/// Between two looks for new records on Kafka.
const FOLLOW: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub struct TailOptions {
    /// The topic, for example lead.predictions.v1.
    pub topic: String,
    /// Only records of this key, tenant:lead.
    #[arg(long)]
    pub key: Option<String>,
    /// End after this many records.
    #[arg(long)]
    pub limit: Option<u64>,
    /// From the oldest record on, else only what comes from now on.
    #[arg(long)]
    pub from_start: bool,
    /// End at the last record instead of waiting for more.
    #[arg(long)]
    pub until_end: bool,
}

pub async fn tail(config: &Config, options: &TailOptions) -> anyhow::Result<()> {
    if let Some(settings) = config.kafka_settings()? {
        return tokio::task::block_in_place(|| tail_kafka(settings, &schemas(config), options));
    }
    let client = Client::connect(config).await?;
    let TailOptions { topic, key, limit, from_start, until_end } = options;
    let mut query = json!({ "topic": topic, "from_start": from_start, "until_end": until_end });
    if let Some(key) = key {
        query["key"] = key.as_str().into();
    }
    if let Some(limit) = limit {
        query["limit"] = (*limit).into();
    }
    let mut out = std::io::stdout().lock();
    // A reader that has enough (a closed pipe) ends the command.
    client
        .lines("/local/v1/tail", &query, Method::Get, &mut |line| writeln!(out, "{line}").is_ok())
        .await?;
    Ok(client.close()?)
}

/// All records of a topic, as `tail` shows them: by partition, in the order of the log.
pub async fn records(config: &Config, topic: &str) -> anyhow::Result<Vec<Value>> {
    let mut records = Vec::new();
    if let Some(settings) = config.kafka_settings()? {
        let schemas = schemas(config);
        tokio::task::block_in_place(|| {
            records_kafka(settings, topic, &mut Shown::new(&schemas), &mut records)
        })?;
    } else {
        let client = Client::connect(config).await?;
        ready(&client).await?;
        let query = json!({ "topic": topic, "from_start": true, "until_end": true });
        let each = &mut |line: &str| {
            records.extend(serde_json::from_str::<Value>(line));
            true
        };
        client.lines("/local/v1/tail", &query, Method::Get, each).await?;
        client.close()?;
    }
    records.sort_by_key(|record| (record["partition"].as_u64(), record["offset"].as_u64()));
    Ok(records)
}

fn records_kafka(
    settings: Settings,
    name: &str,
    shown: &mut Shown<'_>,
    records: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let name = topics::named(name).map_err(anyhow::Error::msg)?.name;
    let cluster = kafka::open(settings, &topics::ALL)?;
    let reader = Topics::new(&cluster.settings)?;
    for partition in partitions_of(name, cluster.partitions) {
        reader.all(name, partition, &mut |offset, record| {
            records.push(shown.record((partition, offset), &record))
        })?;
    }
    Ok(())
}

pub async fn lead(config: &Config, key: &str) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    ready(&client).await?;
    let lead: Value = client.get("/local/v1/lead", &json!({ "key": key })).await?;
    say(serde_json::to_string_pretty(&lead)?)?;
    Ok(client.close()?)
}

#[derive(Deserialize)]
struct Listed {
    tasks: Vec<Task>,
    missing_partitions: Vec<u32>,
}

pub async fn worklist(
    config: &Config,
    (tenant, agent): (&str, Option<&str>),
    json: bool,
) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    ready(&client).await?;
    let mut query = json!({ "tenant": tenant });
    if let Some(agent) = agent {
        query["agent"] = agent.into();
    }
    let list: Listed = client.get("/local/v1/worklist", &query).await?;
    if !list.missing_partitions.is_empty() {
        let missing: Vec<String> = list.missing_partitions.iter().map(u32::to_string).collect();
        eprintln!("without the leads of partitions {}, which did not answer", missing.join(", "));
    }
    for task in list.tasks {
        if json {
            say(serde_json::to_string(&task)?)?;
        } else {
            let lead = task.key.split_once(':').map_or(task.key.as_str(), |(_, lead)| lead);
            let agent = task.agent.as_deref().unwrap_or("-");
            say(format!(
                "{:.2}  {lead:<24} {agent:<12} {:<18} {:<6} {}",
                task.priority, task.action, task.channel, task.reason
            ))?;
            if !task.draft.is_empty() {
                say(format!("      {}", task.draft))?;
            }
        }
    }
    Ok(client.close()?)
}

/// Waits until the instance has taken what it found at its start.
async fn ready(client: &Client) -> anyhow::Result<()> {
    loop {
        let status: Value = client.get("/local/v1/status", &json!({})).await?;
        match (status["alive"].as_bool(), status["ready"].as_bool()) {
            (Some(true), Some(true)) => return Ok(()),
            (Some(true), _) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            _ => bail!("the worker has stopped: see the log of the instance"),
        }
    }
}

pub async fn apply(config: &Config, file: &Path) -> anyhow::Result<()> {
    apply_text(
        config,
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
    )
    .await
}

/// Puts the definition of a text in the log, unless it is there.
pub async fn apply_text(config: &Config, text: Vec<u8>) -> anyhow::Result<()> {
    if let Some(settings) = config.kafka_settings()? {
        return tokio::task::block_in_place(|| apply_kafka(settings, &text));
    }
    let client = Client::connect(config).await?;
    let answer: Value = client.post("/local/v1/definitions", &json!({}), text).await?;
    let known = if answer["known"] == true { " (was known already)" } else { "" };
    say(format!("{}{known}", answer["key"].as_str().unwrap_or_default()))?;
    Ok(client.close()?)
}

pub async fn replay(config: &Config) -> anyhow::Result<()> {
    if let Some(settings) = config.kafka_settings()? {
        return tokio::task::block_in_place(|| replay_kafka(config, settings));
    }
    let client = Client::connect(config).await?;
    ready(&client).await?;
    let bar = spinner("inputs");
    let mut last = Value::Null;
    let each = &mut |line: &str| {
        last = serde_json::from_str(line).unwrap_or_default();
        bar.set_position(last["taken"].as_u64().unwrap_or(0));
        true
    };
    client.lines("/local/v1/replay", &json!({}), Method::Post, each).await?;
    bar.finish_and_clear();
    client.close()?;
    if let Some(error) = last["error"].as_str() {
        bail!("{error}");
    }
    say(format!(
        "digest={}",
        last["digest"].as_str().context("the replay ended without an answer")?
    ))?;
    let bytes = &last["bytes_per_lead"];
    say(format!(
        "inputs={} leads={} bytes_per_lead: mean {}, max {}",
        last["taken"], last["leads"], bytes["mean"], bytes["max"]
    ))?;
    match last["difference"].as_str() {
        Some(difference) => bail!("{difference}"),
        None => Ok(()),
    }
}

/// The schemas of a registry, for a command that reads without an instance.
pub fn schemas(config: &Config) -> Schemas {
    let metrics = Arc::new(Metrics::new());
    Schemas::new(
        config.registry_settings().map(|settings| Arc::new(Registry::start(&settings, metrics))),
    )
}

/// Partitions that a topic has.
fn partitions_of(name: &str, partitions: u32) -> impl Iterator<Item = Partition> {
    let is_single =
        topics::ALL.iter().any(|topic| topic.name == name && topic.partitions == Partitions::One);
    (0..if is_single { 1 } else { partitions }).map(Partition)
}

/// Prints records as a committed reader of Kafka sees them.
fn tail_kafka(settings: Settings, schemas: &Schemas, options: &TailOptions) -> anyhow::Result<()> {
    let name = topics::named(&options.topic).map_err(anyhow::Error::msg)?.name;
    let cluster = kafka::open(settings, &topics::ALL)?;
    let reader = Topics::new(&cluster.settings)?;
    let places: Vec<Partition> = partitions_of(name, cluster.partitions).collect();
    let first = |partition: &Partition| {
        if options.from_start {
            reader.start(name, *partition)
        } else {
            reader.end(name, *partition)
        }
    };
    let mut next = places.iter().map(first).collect::<Result<Vec<_>, _>>()?;
    let mut left = options.limit.unwrap_or(u64::MAX);
    let (mut shown, mut out) = (Shown::new(schemas), std::io::stdout().lock());
    loop {
        for (partition, next) in places.iter().zip(&mut next) {
            let end = reader.end(name, *partition)?;
            reader.each::<anyhow::Error>(
                (name, *partition),
                (*next, end),
                &mut |offset, record| {
                    if left > 0 && (options.key.as_deref().is_none_or(|key| record.has_key(key))) {
                        left -= 1;
                        writeln!(out, "{}", shown.record((*partition, offset), &record))?;
                    }
                    Ok(())
                },
            )?;
            *next = end;
        }
        if options.until_end || left == 0 {
            return Ok(());
        }
        std::thread::sleep(FOLLOW);
    }
}

/// Puts a definition on Kafka, unless it is there.
fn apply_kafka(settings: Settings, text: &[u8]) -> anyhow::Result<()> {
    let (definition, body) = definition::from_json(text)?;
    let cluster = kafka::open(settings, &topics::ALL)?;
    let (key, value) =
        (internal::definition_key(&definition), internal::definition_bytes(&definition));
    let (name, partition) = inputs_of(InputTopic::Definitions, Partition(0));
    let mut defined = Defined::new(&key, starting_rules());
    Topics::new(&cluster.settings)?.all(name, partition, &mut |_, record| defined.take(record))?;
    if defined.is_known(&value).map_err(anyhow::Error::msg)? {
        return Ok(say(format!("{key} (was known already)"))?);
    }
    defined.allows(&definition, body)?;
    let appender = Appender::new(&cluster, "define")?;
    let record = Record {
        key: Some(key.clone().into()),
        value: Some(value),
        reason: None,
        appended_ms: appender.now().0,
        ingest_run: 0,
        origin: None,
    };
    appender
        .append_from(&Batches::from([((name, partition.0), vec![record])]), ("define", b"{}"))?;
    Ok(say(key)?)
}

/// Copies the topics into the data directory, replays the copy and removes it.
fn replay_kafka(config: &Config, settings: Settings) -> anyhow::Result<()> {
    let cluster = kafka::open(settings, &topics::ALL)?;
    let folder = config.data_dir.join("mirror");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let bar = spinner("records and inputs");
    let mirrored = mirror(&cluster, &topics::ALL, &folder, &mut |records| bar.inc(records))?;
    let report = replay::replay(
        &mirrored.snapshot()?,
        &starting_rules(),
        &schemas(config),
        &mut |inputs| bar.inc(inputs),
    )?;
    bar.finish_and_clear();
    drop(mirrored);
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("cannot remove {}", folder.display()))?;
    say(format!("digest={}", report.digest))?;
    say(format!("leads={}", report.lead_bytes.len()))?;
    report.difference.map_or(Ok(()), |difference| bail!("{difference}"))
}
