//! `dlq`: dead letters counted, shown, and appended again; `resume`: a partition that paused
//! because of them goes on.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::bail;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::client::{Client, Error, Method};
use crate::cli::ingest::{outcome, report};
use crate::cli::print::{note, say};
use crate::cli::table::table;
use leadstream::app::dead_letters::{self, Choice, Fate, Forecast, Group, Letter, List, Sent};
use leadstream::config::Config;
use leadstream::domain::units::{Offset, Partition};

/// Milliseconds of a second, minute, hour and day.
const UNITS: [(char, i64); 4] = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];

#[derive(clap::Subcommand)]
pub enum Command {
    /// Count dead letters by reason and topic, and list the first of them without what is in them.
    List(Listed),
    /// Show one dead letter with its bytes, which may be what a person wrote.
    Show {
        /// The dead letter, as PARTITION/OFFSET.
        place: Place,
    },
    /// Append the bytes of dead letters again as interactions, each once, also when this command is
    /// killed and run again.
    Redrive(Redrive),
}

#[derive(clap::Args)]
pub struct Listed {
    /// Those of a reason.
    #[arg(long)]
    reason: Option<String>,
    /// Those in a partition of the dead letters.
    #[arg(long)]
    partition: Option<u32>,
    /// Those that the log took since a time (2026-11-26T08:00:00Z) or so long ago (90s, 15m, 6h,
    /// 7d).
    #[arg(long)]
    since: Option<Since>,
    /// List at most so many; all are counted.
    #[arg(long, default_value_t = 20)]
    limit: u64,
}

#[derive(clap::Args)]
pub struct Redrive {
    /// Those of a reason.
    #[arg(long)]
    reason: Option<String>,
    /// Those in a partition of the dead letters.
    #[arg(long)]
    partition: Option<u32>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    /// Tell what would be appended and what would come of it; append nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Where a dead letter is.
#[derive(Clone, Copy)]
pub struct Place(Partition, Offset);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = |(partition, offset): (&str, &str)| {
            Some(Self(Partition(partition.parse().ok()?), Offset(offset.parse().ok()?)))
        };
        text.split_once('/')
            .and_then(parsed)
            .ok_or_else(|| "a place is PARTITION/OFFSET, such as 3/17".to_owned())
    }
}

/// Milliseconds since 1970.
#[derive(Clone, Copy)]
struct Since(i64);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = || {
            let (unit, ms) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
            let ago_ms =
                text.trim_end_matches(unit).parse::<u32>().ok().map(i64::from)?.checked_mul(ms)?;
            Some(Timestamp::now().as_millisecond() - ago_ms)
        };
        let at = text.parse().ok().map(Timestamp::as_millisecond).or_else(ago);
        at.map(Self).ok_or_else(|| {
            "a time is such as 2026-11-26T08:00:00Z, or 90s, 15m, 6h, 7d for so long ago".to_owned()
        })
    }
}

pub async fn dlq(config: &Config, command: Command, json: bool) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    let done = match command {
        Command::List(listed) => list(&client, listed, json).await,
        Command::Show { place } => show(&client, place, json).await,
        Command::Redrive(Redrive { reason, partition, limit, dry_run }) => {
            let choice = Choice { reason, partition, limit };
            if dry_run {
                forecast(&client, &choice, json).await
            } else {
                redrive(&client, &choice, json).await
            }
        }
    };
    client.close()?;
    done
}

/// What can be done with a partition.
#[derive(clap::Subcommand)]
pub enum PartitionCommand {
    /// Resume a partition that paused because most of its events were dead-lettered.
    Resume {
        /// The partition.
        #[arg(long)]
        partition: u32,
    },
}

pub async fn partition(
    config: &Config,
    command: PartitionCommand,
    json: bool,
) -> anyhow::Result<()> {
    let PartitionCommand::Resume { partition } = command;
    let client = Client::with_state(config).await?;
    let resumed: Value =
        client.post("/local/v1/resume", &json!({ "partition": partition }), Vec::new()).await?;
    if json { say(resumed) } else { say(format!("partition {partition} resumes")) }?;
    Ok(client.close()?)
}

async fn list(client: &Client, listed: Listed, json: bool) -> anyhow::Result<()> {
    let Listed { reason, partition, since, limit } = listed;
    let mut query = json!(Choice { reason, partition, limit: Some(limit) });
    query["since_ms"] = since.map_or(i64::MIN, |Since(at)| at).into();
    let List { groups, letters } = client.get("/local/v1/dlq", &query).await?;
    if json {
        return Ok(say(json!({ "reasons": groups, "letters": letters }))?);
    }
    let head =
        ["reason", "was in", "letters", "to redrive", "first", "last"].map(str::to_owned).to_vec();
    let row = |group: &Group| {
        let Group { reason, topic, letters, waiting, taken_ms: [first, last] } = group;
        vec![
            reason.clone(),
            topic.clone(),
            letters.to_string(),
            waiting.to_string(),
            time(*first),
            time(*last),
        ]
    };
    say(table(&std::iter::once(head).chain(groups.iter().map(row)).collect::<Vec<_>>()))?;
    if letters.is_empty() {
        return Ok(());
    }
    let head = ["place", "reason", "was at", "attempt", "bytes", "taken", "redrive"]
        .map(str::to_owned)
        .to_vec();
    let row = |letter: &Letter| {
        let Letter { place: (partition, offset), reason, was_at, attempt, taken_ms, bytes, fate } =
            letter;
        let (place, fate) = (format!("{partition}/{offset}"), fate.as_str().to_owned());
        vec![
            place,
            reason.clone(),
            was_at.clone(),
            attempt.to_string(),
            bytes.to_string(),
            time(*taken_ms),
            fate,
        ]
    };
    say("")?;
    Ok(say(table(&std::iter::once(head).chain(letters.iter().map(row)).collect::<Vec<_>>()))?)
}

/// A time for people, to the second.
fn time(at_ms: i64) -> String {
    Timestamp::from_second(at_ms.div_euclid(1_000))
        .map_or_else(|_| at_ms.to_string(), |time| time.to_string())
}

async fn show(client: &Client, Place(partition, offset): Place, json: bool) -> anyhow::Result<()> {
    let place = json!({ "partition": partition.0, "offset": offset.0 });
    let letter: Value = client.get("/local/v1/dlq/letter", &place).await?;
    note("what follows is as its producer sent it and may be personal data: do not pass it on");
    Ok(if json { say(letter) } else { say(page(&letter)) }?)
}

/// A dead letter for people: what is said of it, then its bytes.
fn page(letter: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = [
        "place", "reason", "error", "was_at", "attempt", "schema", "run", "key", "bytes", "decoded",
    ];
    let lines = fields
        .iter()
        .filter(|field| !letter[**field].is_null())
        .map(|field| format!("{field:<8} {}\n", plain(&letter[*field])));
    let processed = letter["taken_ms"].as_i64().map(|at| format!("taken    {}\n", time(at)));
    lines.chain(processed).chain([plain(&letter["value"])]).collect()
}

async fn forecast(client: &Client, choice: &Choice, json: bool) -> anyhow::Result<()> {
    let mut counts = BTreeMap::new();
    let mut reported = Ok(());
    let mut each = |forecast: Forecast| {
        if let (Some(sent), Ok(())) = (&forecast.sent, &reported) {
            reported = if json {
                say(json!(forecast))
            } else {
                say(format!("would append {}", line(sent)))
            };
        }
        *counts.entry((forecast.reason, forecast.fate, forecast.again)).or_insert(0_u64) += 1;
    };
    answer(client, ("/local/v1/dlq/forecast", Method::Get), choice, &mut each).await?;
    reported?;
    for ((reason, fate, again), letters) in counts {
        if json {
            say(json!({ "reason": reason, "letters": letters, "fate": fate, "again": again }))?;
        } else {
            say(format!("{letters} of {reason} {}", becomes(fate, again.as_deref())))?;
        }
    }
    Ok(())
}

fn becomes(fate: Fate, again: Option<&str>) -> String {
    match (fate, again) {
        (Fate::Again, None) => {
            "would be appended; they are events now, unless known, late or ahead of the log"
                .to_owned()
        }
        (Fate::Again, Some(again)) => format!("would be appended and fail again: {again}"),
        (Fate::Done, _) => "were appended before".to_owned(),
        (Fate::Exhausted, _) => {
            format!("have failed {} times and are left", dead_letters::ATTEMPTS_MAX + 1)
        }
        (Fate::TooLong, _) => "are longer than an event may be and are left".to_owned(),
        (Fate::Internal, _) => "were no interactions and are left".to_owned(),
    }
}

fn line(Sent { place: (from, offset), reason, partition, attempt }: &Sent) -> String {
    format!("{from}/{offset} {reason} to partition {partition}, attempt {attempt}")
}

/// Hands what an instance answers, line by line, to `each`; gives the last line, which says that
/// the answer is whole.
async fn answer<T: DeserializeOwned>(
    client: &Client,
    (path, method): (&str, Method),
    choice: &Choice,
    each: &mut impl FnMut(T),
) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    let read = &mut |line: &str| {
        last = serde_json::from_str(line).unwrap_or_default();
        serde_json::from_str(line).map(&mut *each).ok();
        true
    };
    match client.lines(path, choice, method, read).await {
        Err(Error::Ended(why)) => {
            bail!("{why}: run the same command again, it goes on where it was")
        }
        answered => answered?,
    }
    if last["done"] == true || last["records"].is_u64() {
        return Ok(last);
    }
    bail!(
        "the instance ended before its answer did: run the same command again, it goes on where it \
            was"
    )
}

async fn redrive(client: &Client, choice: &Choice, json: bool) -> anyhow::Result<()> {
    let mut reported = Ok(());
    let mut each = |sent: Sent| {
        if reported.is_ok() {
            reported =
                if json { say(json!(sent)) } else { say(format!("appended {}", line(&sent))) };
        }
    };
    let last = answer(client, ("/local/v1/dlq/redrive", Method::Post), choice, &mut each).await?;
    reported?;
    let records = last["records"].as_u64().unwrap_or(0);
    if records == 0 {
        return Ok(say("nothing to append again")?);
    }
    Ok(report(&outcome(client, dead_letters::SOURCE, records).await?, json)?)
}
