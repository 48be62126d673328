//! `bench kafka`: what the configured cluster and this machine make of events, beside a loop that
//! only copies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::print::{say, spinner};
use leadstream::config::Config;
use leadstream::dev::bench::{self, Bench, Latency, Mode, Plan, Restart, Script, Spread};

/// Runs of each latency figure.
const RUNS: usize = 5;

#[derive(clap::Subcommand)]
pub enum Benchmark {
    /// Measure a Kafka cluster, in topics of its own that are removed afterwards.
    Kafka(Options),
    /// The raw loop, a process of its own.
    #[command(hide = true)]
    Raw {
        /// What to copy.
        script: PathBuf,
        /// Made once it is ready.
        ready: PathBuf,
    },
}

#[derive(clap::Args)]
pub struct Options {
    /// Leads that are there before.
    #[arg(long, default_value_t = 100_000)]
    leads: usize,
    /// Events of one round; 0: no throughput beyond one short round that the raw loop copies.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Rounds of each job.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events per second of the latency part, several separated by commas; 0: no latency part.
    #[arg(long, value_delimiter = ',', default_value = "200,1000,2000")]
    rates: Vec<u64>,
    /// How long each run of the latency part takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Kill the job and start it again, with and without its state.
    #[arg(long)]
    restart: bool,
}

pub fn bench(config: &Config, benchmark: &Benchmark) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::Kafka(options) => kafka(config, options),
        Benchmark::Raw { script, ready } => raw(config, script, ready),
    }
}

fn raw(config: &Config, script: &Path, ready: &Path) -> anyhow::Result<()> {
    let script: Script = serde_json::from_slice(&std::fs::read(script)?)?;
    Ok(bench::raw_loop(config, &script, ready)?)
}

fn kafka(config: &Config, options: &Options) -> anyhow::Result<()> {
    let Options { leads, events, rounds, seconds, .. } = *options;
    let rates = options.rates.iter().copied().filter(|rate| *rate > 0).collect();
    let plan = Plan {
        leads: leads.max(1),
        events: events.max(1_000),
        rounds: rounds.max(1),
        rates,
        seconds: seconds.max(1),
    };
    let mut bench = Bench::open(config)?;
    let bar = spinner("events");
    let outcome = measure(&mut bench, (&plan, options.restart), &bar);
    bar.finish_and_clear();
    bench.close()?;
    outcome
}

fn measure(
    bench: &mut Bench,
    (plan, restarts): (&Plan, bool),
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut reported = |events| bar.inc(events);
    bench.warm(plan, &mut reported)?;
    say(format!(
        "{} leads, rounds of {} events; CPU of the measured process alone, all its threads",
        plan.leads, plan.events
    ))?;
    let mut script = None;
    for spread in [Spread::Zipf, Spread::Uniform] {
        let (results, created) = bench.throughput(plan, spread, &mut reported)?;
        let exactly = results.get(&Mode::ExactlyOnce).map_or(0.0, bench::Throughput::median);
        for (mode, result) in &results {
            let rounds: Vec<String> =
                result.per_cpu_second.iter().map(|rate| format!("{rate:.0}")).collect();
            let wall: Vec<String> =
                result.per_second.iter().map(|rate| format!("{rate:.0}")).collect();
            say(format!(
                "{:<8} {:<13} {:>8.0} events per CPU second (rounds {}; per second {}), \
                    exactly-once has {:.2} of it",
                spread.as_str(),
                mode.as_str(),
                result.median(),
                rounds.join(" "),
                wall.join(" "),
                exactly / result.median().max(1.0)
            ))?;
        }
        script = Some(created);
    }
    if restarts {
        let Restart { killed, restored, read } = bench.restart(plan)?;
        let reported = |what: &str, (took, records): (Duration, u64)| {
            say(format!(
                "{what} {:.2} s, {records} records of the changelog read",
                took.as_secs_f64()
            ))
        };
        reported("killed and started again: first committed output after", killed)?;
        reported("started without its state: ready after", restored)?;
        reported("the changelog read by a plain consumer:", read)?;
    }
    let Some(script) = script else { return Ok(()) };
    for rate in &plan.rates {
        let modes = [Some(Mode::ExactlyOnce), Some(Mode::Raw), None];
        let mut runs = [const { Vec::new() }; 3];
        for _ in 0..RUNS {
            for (mode, runs) in modes.iter().zip(&mut runs) {
                runs.push(bench.latency(*mode, &script, (plan, *rate))?);
                bar.inc(rate * plan.seconds);
            }
        }
        for (mode, runs) in modes.iter().zip(&runs) {
            let reported = |name: &str, runs: &[Latency]| {
                let Latency { p50, p90, p99 } = Latency::median(runs);
                say(format!(
                    "{rate:>5}/s {name:<13} p50 {p50:>7.2} ms, p90 {p90:>7.2} ms, p99 {p99:>7.2} \
                        ms (medians of {RUNS} runs)"
                ))
            };
            reported(
                mode.map_or("broker alone", Mode::as_str),
                &runs.iter().map(|run| run.latency).collect::<Vec<_>>(),
            )?;
            let inside: Vec<Latency> = runs.iter().filter_map(|run| run.inside).collect();
            if !inside.is_empty() {
                reported("  of it inside", &inside)?;
            }
        }
    }
    Ok(())
}
