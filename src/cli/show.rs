//! Commands that ask an instance something and print the answer.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::client::{Client, Method};
use crate::cli::print::{self, say, spinner};
use leadstream::app::definitions::{Applied, DEFINITION_BYTES_MAX};
use leadstream::app::tail::Tail;
use leadstream::config::Config;

#[derive(Clone, clap::Args)]
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
    let client = Client::connect(config).await?;
    let TailOptions { topic, key, limit, from_start, until_end } = options.clone();
    let mut query = json!(Tail { key, limit, from_start, until_end });
    query["topic"] = topic.into();
    let mut printed = Ok(());
    let each = &mut |line: &str| {
        printed = say(line);
        printed.is_ok()
    };
    client.lines("/local/v1/tail", &query, Method::Get, each).await?;
    printed?;
    Ok(client.close()?)
}

/// Waits until the instance has taken what it found at its start.
pub async fn ready(client: &Client) -> anyhow::Result<()> {
    loop {
        let status: Value = client.get("/local/v1/status", &json!({})).await?;
        match (status["alive"].as_bool(), status["ready"].as_bool()) {
            (Some(true), Some(true)) => return Ok(()),
            (Some(true), _) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            _ => bail!("the worker has stopped: see the log of the instance"),
        }
    }
}

pub async fn apply(config: &Config, file: &Path, json: bool) -> anyhow::Result<()> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() > DEFINITION_BYTES_MAX {
        bail!("{}: a definition has at most {DEFINITION_BYTES_MAX} bytes", file.display());
    }
    let client = Client::connect(config).await?;
    let applied: Applied = client.post("/local/v1/definitions", &json!({}), text).await?;
    tell_applied(&applied, json)?;
    Ok(client.close()?)
}

/// Prints which definition is in the log now.
pub fn tell_applied(applied: &Applied, json: bool) -> Result<(), print::Error> {
    let Applied { key, known } = applied;
    if json {
        return say(json!(applied));
    }
    say(if *known { format!("{key} (was known already)") } else { key.clone() })
}

pub async fn replay(config: &Config, json: bool) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    ready(&client).await?;
    let bar = spinner("records and inputs");
    let mut last = Value::Null;
    let each = &mut |line: &str| {
        last = serde_json::from_str(line).unwrap_or_default();
        bar.set_position(last["done"].as_u64().unwrap_or_else(|| bar.position()));
        true
    };
    client.lines("/local/v1/replay", &json!({}), Method::Post, each).await?;
    bar.finish_and_clear();
    client.close()?;
    let digest = last["digest"].as_str().context("the replay ended without an answer")?;
    if json {
        say(&last)?;
    } else {
        let (inputs, leads, bytes) = (&last["inputs"], &last["leads"], &last["bytes_per_lead"]);
        let (mean, max) = (&bytes["mean"], &bytes["max"]);
        say(format!(
            "digest={digest}\ninputs={inputs} leads={leads} bytes_per_lead: mean {mean}, max {max}"
        ))?;
    }
    match last["difference"].as_str() {
        Some(difference) => bail!("{difference}"),
        None => Ok(()),
    }
}
