//! `lead` and `worklist`: what is known of a lead, why, and what to do next, for people.

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::json::say_json;
use crate::cli::print::{note, say};
use crate::cli::show::ready;
use crate::cli::table::table;
use leadstream::app::query::{LeadView, NextActionView, PredictionView, Task};
use leadstream::config::Config;

/// Upper bounds of the words for a probability that was not calibrated on a tenant's outcomes; from
/// the last one on it is very high.
const BANDS: [(f64, &str); 4] =
    [(0.15, "very low"), (0.35, "low"), (0.65, "medium"), (0.85, "high")];
/// Features named for each direction.
const FEATURES_SHOWN: usize = 3;

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    lead: LeadView,
    as_of: Value,
}

pub async fn lead(config: &Config, tenant: &str, lead: &str, json: bool) -> anyhow::Result<()> {
    let client = Client::with_state(config).await?;
    ready(&client).await?;
    let key = format!("{tenant}:{lead}");
    let answer: Value = client.get("/local/v1/lead", &json!({ "key": key })).await?;
    if json {
        say_json(answer)?;
    } else {
        let Answer { lead, as_of } = serde_json::from_value(answer)?;
        say(page(&lead, tenant, &as_of))?;
    }
    Ok(client.close()?)
}

fn page(lead: &LeadView, tenant: &str, as_of: &Value) -> String {
    let LeadView { key, events, last_event_ms, stage, outcome, owner, .. } = lead;
    let owner =
        owner.as_ref().map_or_else(|| ", no owner".to_owned(), |owner| format!(", {owner}"));
    let outcome = outcome.as_ref().map_or_else(String::new, |outcome| format!(", {outcome}"));
    let mut lines = vec![
        format!("{key}{owner}"),
        format!("Stage: {stage}{outcome}. {events} events, the last at {}.", time(*last_event_ms)),
        format!("Next: {}", next(&lead.next_action)),
    ];
    let facts = lead.facts.iter().map(|(kind, value)| format!("{} {value}", words(kind)));
    let lists = [
        ("Known", facts.collect::<Vec<_>>()),
        ("Open objections", lead.open_objections.iter().map(|name| words(name)).collect()),
        ("Alerts", lead.alerts.iter().map(|name| words(name)).collect()),
    ];
    let filled = lists.iter().filter(|(_, list)| !list.is_empty());
    lines.extend(filled.map(|(name, list)| format!("{name}: {}", list.join(", "))));
    let heads = ["prediction", "estimate", "data", "raised by", "lowered by"].map(str::to_owned);
    let rows = lead.predictions.iter().map(|(name, prediction)| row(name, prediction));
    let rows: Vec<_> = std::iter::once(heads.to_vec()).chain(rows).collect();
    lines.extend([
        String::new(),
        table(&rows),
        String::new(),
        format!(
            "Estimates come from model {}, which is not calibrated on {tenant}'s outcomes: use them \
                to rank leads. `--json` prints the numbers.",
            lead.model
        ),
    ]);
    if as_of["state"] == "standby" {
        let behind = &as_of["changelog_lag"];
        lines.push(format!("From a standby copy, {behind} changelog records behind."));
    } else if let Some(lag) = as_of["lag"].as_u64().filter(|lag| *lag > 0) {
        lines.push(format!("{lag} interactions of this partition are not processed yet."));
    }
    lines.join("\n")
}

fn next(NextActionView { action, channel, at_ms, reason }: &NextActionView) -> String {
    match channel {
        Some(channel) => {
            format!("{} by {channel}, not before {}: {reason}.", words(action), time(*at_ms))
        }
        None => format!("nothing: {reason}."),
    }
}

fn row(name: &str, prediction: &PredictionView) -> Vec<String> {
    let band = BANDS.iter().find(|(bound, _)| prediction.probability < *bound);
    let named = |is_raising: bool| {
        let mut why: Vec<_> = prediction.why.iter().collect();
        why.retain(|why| (why.log_odds > 0.0) == is_raising && why.log_odds.abs() >= 0.01);
        why.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
        let names: Vec<_> =
            why.iter().take(FEATURES_SHOWN).map(|why| words(&why.feature)).collect();
        names.join(", ")
    };
    vec![
        words(name),
        band.map_or("very high", |(_, word)| word).to_owned(),
        format!("{:.0} %", prediction.data_completeness * 100.0),
        named(true),
        named(false),
    ]
}

/// A name of the wire as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A time for people, to the minute.
fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| at_ms.to_string(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[derive(Deserialize)]
struct Listed {
    tasks: Vec<Task>,
    as_of_ms: Option<i64>,
    missing_partitions: Vec<u32>,
}

pub async fn worklist(
    config: &Config,
    (tenant, agent): (&str, Option<&str>),
    json: bool,
) -> anyhow::Result<()> {
    let client = Client::with_state(config).await?;
    ready(&client).await?;
    let mut query = json!({ "tenant": tenant });
    if let Some(agent) = agent {
        query["agent"] = agent.into();
    }
    let answer: Value = client.get("/local/v1/worklist", &query).await?;
    if json {
        say_json(answer)?;
        return Ok(client.close()?);
    }
    let Listed { tasks, as_of_ms, missing_partitions } = serde_json::from_value(answer)?;
    client.close()?;
    let Some(as_of_ms) = as_of_ms else { bail!("no event of {tenant} was processed yet") };
    if !missing_partitions.is_empty() {
        let missing: Vec<String> = missing_partitions.iter().map(u32::to_string).collect();
        note(format!(
            "without the leads of partitions {}, which did not answer",
            missing.join(", ")
        ));
    }
    if tasks.is_empty() {
        say(format!("Nobody is to be contacted now, as of {}.", time(as_of_ms)))?;
        return Ok(());
    }
    let heads = ["", "lead", "owner", "do", "by", "not before", "why"].map(str::to_owned).to_vec();
    let row = |(place, task): (usize, &Task)| {
        let lead = task.key.split_once(':').map_or(task.key.as_str(), |(_, lead)| lead);
        let owner = task.agent.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            place.to_string(),
            lead.to_owned(),
            owner,
            words(&task.action),
            task.channel.clone(),
            time(task.due_ms),
            task.reason.clone(),
        ]
    };
    let rows = std::iter::once(heads).chain((1..).zip(&tasks).map(row)).collect::<Vec<_>>();
    say(table(&rows))?;
    let drafts: Vec<_> = (1..)
        .zip(&tasks)
        .filter(|(_, task)| !task.draft.is_empty())
        .map(|(place, task): (usize, _)| format!("{place}  {}", task.draft))
        .collect();
    if !drafts.is_empty() {
        say(format!("\nDrafts to edit and send:\n{}", drafts.join("\n")))?;
    }
    Ok(say(format!("\nAs of {}, the time of {tenant}'s newest event.", time(as_of_ms)))?)
}
