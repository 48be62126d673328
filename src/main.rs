//! The `leadstream` command: what a user types, and what is printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use leadstream::codec::{avro, model};
use leadstream::domain::scoring::Target;
use leadstream::domain::units::{LeadKey, Offset, Partition};
use leadstream::pipeline::Memory;
use leadstream::runtime::log::{Embedded, PARTITIONS, Record, now};
use leadstream::runtime::worker::{DEAD_LETTERS, Worker, output_topics};
use leadstream::runtime::{demo, evaluate, ingest, replay};

/// Bad lines printed before only their number is told.
const BAD_LINES_SHOWN: usize = 20;

/// Lead intelligence from a stream of interactions.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the log is kept.
    #[arg(long, global = true, default_value = "data")]
    data_dir: PathBuf,
    /// Print JSON where a program might read it.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Append a file of events (NDJSON, plain or gzip; - for standard input) and take it through the pipeline.
    Ingest {
        /// The file.
        file: String,
    },
    /// Print the records of a topic, one JSON object per line.
    Tail {
        /// The topic, for example lead.predictions.v1.
        topic: String,
        /// Only records of this key, tenant:lead.
        #[arg(long)]
        key: Option<String>,
        /// At most this many records.
        #[arg(long)]
        limit: Option<usize>,
        /// From the oldest record on (as is the default).
        #[arg(long)]
        from_start: bool,
        /// End at the last record (as is the default).
        #[arg(long)]
        until_end: bool,
    },
    /// Show what is known of a lead and why it is scored as it is.
    Lead {
        /// The tenant.
        tenant: String,
        /// The lead.
        lead: String,
    },
    /// Rank whom to contact now.
    Worklist {
        /// The tenant.
        tenant: String,
        /// Only leads of this agent.
        #[arg(long)]
        agent: Option<String>,
    },
    /// Take the log again from its start and compare every output with what is stored.
    Replay,
    /// Measure the predictions on a file whose leads have outcomes, on the last 30 % of its leads.
    Evaluate {
        /// The file.
        file: String,
    },
    /// Run an invented market through the whole pipeline.
    Demo {
        /// Leads in the market.
        #[arg(long, default_value_t = 400)]
        leads: usize,
        /// Hold the predictions against the truth that the generator knows.
        #[arg(long)]
        score: bool,
    },
    /// Print the schemas.
    Schemas,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { data_dir, json, command } = Arguments::parse();
    let open = || Embedded::open(&data_dir).map(Arc::new).with_context(|| format!("cannot open {}", data_dir.display()));
    match command {
        Command::Ingest { file } => ingest_file(&open()?, &file),
        Command::Tail { topic, key, limit, from_start: _, until_end: _ } => {
            tail(&open()?, &topic, key.as_deref(), limit.unwrap_or(usize::MAX))
        }
        Command::Lead { tenant, lead } => show_lead(&open()?, &format!("{tenant}:{lead}")),
        Command::Worklist { tenant, agent } => worklist(&open()?, &tenant, agent.as_deref(), json),
        Command::Replay => replay_log(&open()?),
        Command::Evaluate { file } => evaluate_file(&file),
        Command::Demo { leads, score } => run_demo(leads, score),
        Command::Schemas => {
            avro::all().iter().for_each(|coded| println!("{}\n{}", coded.topic, coded.text));
            Ok(())
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "leadstream", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} ({per_sec})").expect("the template is well formed");
    ProgressBar::new_spinner().with_style(style).with_message(what)
}

fn ingest_file(log: &Arc<Embedded>, file: &str) -> anyhow::Result<()> {
    let mut worker = Worker::open(log.clone())?;
    worker.drain(&mut |_| {})?;
    let bar = spinner("lines");
    let mut bad = 0_usize;
    let mut tell = |line: ingest::BadLine| {
        bad += 1;
        if bad <= BAD_LINES_SHOWN {
            eprintln!("line {}: {}", line.number, line.reason);
        }
    };
    let run = ingest::ingest::<anyhow::Error>(log, file, &mut tell, &mut |lines| {
        bar.set_position(lines);
        Ok(worker.drain(&mut |_| {})?)
    })?;
    bar.finish_and_clear();
    if bad > BAD_LINES_SHOWN {
        eprintln!("and {} more bad lines: leadstream tail {DEAD_LETTERS}", bad - BAD_LINES_SHOWN);
    }
    for (name, times) in worker.unmapped() {
        println!("unmapped CRM stage {name:?}: {times} times");
    }
    println!("{}", worker.counters(run));
    Ok(())
}

/// A record as one line: values of known schemas as JSON, others as text with their bytes in hexadecimal where needed.
fn line(partition: u32, offset: u64, record: &Record) -> serde_json::Value {
    let value = record.value.as_deref().map(|bytes| {
        avro::describe(bytes).unwrap_or_else(|_| match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::Value::from(text),
            Err(_) => serde_json::json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
        })
    });
    let mut line = serde_json::json!({ "key": record.key, "partition": partition, "offset": offset, "value": value });
    if let Some(reason) = &record.reason {
        line["reason"] = reason.as_str().into();
    }
    line
}

fn tail(log: &Arc<Embedded>, topic: &str, key: Option<&str>, mut limit: usize) -> anyhow::Result<()> {
    let names: Vec<_> = [avro::INTERACTIONS.topic].into_iter().chain(output_topics()).collect();
    if !names.contains(&topic) {
        bail!("no topic {topic}: there are {}", names.join(", "));
    }
    for partition in (0..PARTITIONS).map(Partition) {
        let (mut next, end) = (Offset(0), log.end(topic, partition)?);
        while next < end && limit > 0 {
            for record in log.read(topic, partition, next)? {
                if limit > 0 && key.is_none_or(|key| record.key.as_deref() == Some(key)) {
                    println!("{}", line(partition.0, next.0, &record));
                    limit -= 1;
                }
                next.0 += 1;
            }
        }
    }
    Ok(())
}

fn show_lead(log: &Arc<Embedded>, key: &str) -> anyhow::Result<()> {
    let key = LeadKey::parse(key)?;
    let worker = Worker::open(log.clone())?;
    let lead = worker.lead(&key);
    let lead = lead.with_context(|| format!("no lead {} is known", key.as_str()))?;
    let at = lead.activity.last.unwrap_or_default();
    let rules = worker.rules().in_force(key.tenant(), at);
    let scores = lead.scores(&rules, at);
    let next = lead.next(&rules, &scores, at);
    let scored = |target: Target| {
        let score = &scores[target.index()];
        let why: Vec<_> = score
            .contributions
            .iter()
            .map(|share| serde_json::json!({ "feature": share.feature.as_str(), "value": share.value, "log_odds": share.log_odds }))
            .collect();
        let label = &rules.model.cards[target.index()].label;
        (
            target.as_str().to_owned(),
            serde_json::json!({ "probability": score.probability, "confidence": score.confidence, "label": label, "base_log_odds": score.base_log_odds, "why": why }),
        )
    };
    let view = serde_json::json!({
        "key": key.as_str(),
        "events": lead.activity.events,
        "stage": lead.journey.stage.as_str(),
        "stage_probabilities": lead.journey.belief,
        "outcome": lead.journey.outcome.map(|outcome| outcome.as_str()),
        "owner": lead.contact.owner,
        "predictions": Target::ALL.into_iter().map(scored).collect::<BTreeMap<_, _>>(),
        "next_action": { "action": next.action.as_str(), "channel": next.channel.map(|channel| channel.as_str().to_owned()), "at_ms": next.at.0, "reason": next.reason },
        "facts": lead.conversation.facts.iter().map(|fact| (fact.kind.as_str(), fact.value.as_str())).collect::<BTreeMap<_, _>>(),
        "warnings": lead.risk.standing.iter().map(|standing| standing.rule.as_str()).collect::<Vec<_>>(),
    });
    println!("{}", serde_json::to_string_pretty(&view)?);
    Ok(())
}

fn worklist(log: &Arc<Embedded>, tenant: &str, agent: Option<&str>, json: bool) -> anyhow::Result<()> {
    let worker = Worker::open(log.clone())?;
    let mut rows = Vec::new();
    for Memory { leads, clocks, .. } in worker.rows() {
        let mine = leads.iter().filter(|(key, lead)| {
            key.tenant().as_str() == tenant && agent.is_none_or(|agent| lead.contact.owner.as_deref() == Some(agent))
        });
        for (key, lead) in mine.filter(|(_, lead)| lead.journey.outcome.is_none()) {
            let at = clocks.get(key.tenant()).copied().unwrap_or_default();
            let rules = worker.rules().in_force(key.tenant(), at);
            let scores = lead.scores(&rules, at);
            let next = lead.next(&rules, &scores, at);
            let [conversion, churn, ..] = &scores;
            // What is at stake: a likely deal that is likely to slip away.
            rows.push((
                conversion.probability * (0.5 + churn.probability),
                rules.settings.daily_cap,
                key.clone(),
                lead.contact.owner.clone(),
                next,
            ));
        }
    }
    rows.retain(|(.., next)| next.channel.is_some());
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.2.cmp(&b.2)));
    let mut shown: BTreeMap<Option<String>, usize> = BTreeMap::new();
    rows.retain(|(_, cap, _, owner, _)| {
        let count = shown.entry(owner.clone()).or_default();
        *count += 1;
        *count <= *cap
    });
    for (stake, _, key, owner, next) in rows {
        let channel = next.channel.map_or_else(String::new, |channel| channel.as_str().to_owned());
        let owner = owner.unwrap_or_default();
        if json {
            println!(
                "{}",
                serde_json::json!({ "key": key.as_str(), "agent": owner, "stake": stake, "action": next.action.as_str(), "channel": channel, "at_ms": next.at.0, "reason": next.reason })
            );
        } else {
            println!("{stake:.2}  {:<24} {owner:<10} {:<18} {channel:<6} {}", key.lead_id(), next.action.as_str(), next.reason);
        }
    }
    Ok(())
}

fn replay_log(log: &Arc<Embedded>) -> anyhow::Result<()> {
    let bar = spinner("inputs");
    let report = replay::replay(log, &mut |count| bar.inc(count))?;
    bar.finish_and_clear();
    println!("digest={}", report.digest);
    match report.difference {
        Some(difference) => bail!("{difference}"),
        None => Ok(()),
    }
}

fn evaluate_file(file: &str) -> anyhow::Result<()> {
    let bar = spinner("events");
    let measures = evaluate::evaluate(ingest::inputs(file)?.inspect(|_| bar.inc(1)));
    bar.finish_and_clear();
    println!("{:<24} {:>7} {:>6} {:>6} {:>8} {:>6}", "prediction", "rows", "base", "AUC", "log loss", "ECE");
    for measure in measures {
        let auc = measure.auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
        let evaluate::Measure { rows, base_rate, log_loss, calibration_error, .. } = measure;
        println!("{:<24} {rows:>7} {base_rate:>6.3} {auc:>6} {log_loss:>8.4} {calibration_error:>6.4}", measure.target.as_str());
    }
    Ok(())
}

fn run_demo(leads: usize, score: bool) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("leadstream-demo-{}", std::process::id()));
    let result = demo_in(&folder, leads, score);
    std::fs::remove_dir_all(&folder).context("cannot remove the demo's directory")?;
    result
}

fn demo_in(folder: &Path, leads: usize, score: bool) -> anyhow::Result<()> {
    let log = Arc::new(Embedded::open(folder)?);
    let market = demo::market(1, leads, 45, now().0);
    let events = folder.join("market.ndjson");
    let text: Vec<u8> = market.deliveries.iter().flat_map(|delivery| delivery.line.iter().copied().chain([b'\n'])).collect();
    std::fs::write(&events, text)?;
    println!("model {}: {} leads, {} deliveries", model::starting().id, leads, market.deliveries.len());
    ingest_file(&log, &events.to_string_lossy())?;
    for coded in avro::all().iter().filter(|coded| coded.topic != avro::INTERACTIONS.topic) {
        let ends: u64 =
            (0..PARTITIONS).map(|partition| log.end(coded.topic, Partition(partition)).map(|end| end.0)).sum::<Result<_, _>>()?;
        println!("{:<26} {ends}", coded.topic);
    }
    println!("\nthe last prompt:");
    tail(&log, "coaching.prompts.v1", None, 1)?;
    println!("\nwhom to contact now:");
    worklist(&log, "demo-realty", Some("agent-03"), false)?;
    if score {
        let worker = Worker::open(log.clone())?;
        let mut pairs = Vec::new();
        for truth in &market.truth {
            let key = LeadKey::parse(&format!("demo-realty:{}", truth.lead_id))?;
            let lead = worker.lead(&key);
            if let Some(lead) = lead.filter(|lead| lead.journey.outcome.is_none()) {
                let at = lead.activity.last.unwrap_or_default();
                let scores = lead.scores(&worker.rules().in_force(key.tenant(), at), at);
                pairs.push((scores[Target::ConversionLikelihood.index()].probability, truth.p_convert >= 0.3));
            }
        }
        let mean = pairs.iter().map(|(score, _)| score).sum::<f64>() / pairs.len().max(1) as f64;
        println!(
            "\nopen leads {}: AUC of conversion_likelihood against a hidden probability of .3 or more {:.3}, mean prediction {mean:.3}",
            pairs.len(),
            evaluate::auc(&pairs).unwrap_or(f64::NAN)
        );
    }
    Ok(())
}
