//! The `leadstream-dev` command: benchmarks and broken input, for people who change or evaluate
//! leadstream.

mod bench;
mod mutate;
#[path = "../../cli/print.rs"]
mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use leadstream::config::{self, Flags};

/// librdkafka's memory comes from it too, as in the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Benchmarks and broken input for leadstream.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// A configuration file (TOML), as `leadstream` takes it.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Benchmark a Kafka cluster and this machine.
    Bench {
        /// What to measure.
        #[command(subcommand)]
        what: bench::Benchmark,
    },
    /// Break a file of events, and predict what `ingest` will count.
    Mutate(mutate::Options),
    /// Write a file of malformed lines, and predict what `ingest` will count.
    Malformed {
        /// The same seed gives the same file.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many lines.
        #[arg(long, default_value_t = 10_000)]
        lines: usize,
    },
}

fn main() -> ExitCode {
    print::end(&run(), false)
}

fn run() -> anyhow::Result<()> {
    let Arguments { config, command } = Arguments::parse();
    match command {
        Command::Bench { what } => {
            let config = config::load(config.as_deref(), &Flags { data_dir: None })?;
            bench::bench(&config, &what)
        }
        Command::Mutate(options) => mutate::mutate(&options),
        Command::Malformed { seed, lines } => mutate::malformed(seed, lines),
    }
}
