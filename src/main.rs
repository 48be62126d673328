//! The `leadstream` command: what a user types.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};

use leadstream::config::{self, Config, Flags};

/// Many small rows and records live from one commit to the next; librdkafka's memory comes from it
/// too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Lead intelligence from a stream of interactions.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the log and the state are kept.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// A configuration file (TOML); every key is explained in deploy/config.example.toml.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Print JSON, also of errors.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What a newcomer needs, for whoever types the name alone.
const FIRST_STEPS: &str = "\
leadstream turns lead interactions into predictions, alerts and coaching.

  leadstream demo                   watch an invented market, live
  leadstream ingest events.ndjson   process a file of your own events
  leadstream worklist TENANT        see whom to contact now, and why
  leadstream lead TENANT LEAD       see what is known of one lead
  leadstream run                    keep running: HTTP, metrics, Apache Kafka

All commands: leadstream --help";

#[derive(Subcommand)]
enum Command {
    /// Run until told to stop: take what is appended, answer over HTTP, serve metrics.
    Run,
    /// Run an invented market, live, in a directory that is removed afterwards unless --data-dir
    /// names one.
    Demo(cli::demo::Options),
    /// Append a file of events (NDJSON, plain or gzip; - for standard input) and take it through
    /// the pipeline.
    Ingest(cli::ingest::Options),
    /// Print the records of a topic, one JSON object per line; waits for new ones.
    Tail(cli::show::TailOptions),
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
    /// Count, show and append again what could not be used.
    #[command(subcommand)]
    Dlq(cli::dlq::Command),
    /// Show or resume partitions that paused because most of their events were dead-lettered.
    #[command(subcommand)]
    Partition(cli::dlq::PartitionCommand),
    /// Apply a definition: a new version of an experiment, model, threshold, lexicon, stage map or
    /// setting.
    Apply {
        /// A JSON file; see docs/reference/definitions.md.
        file: PathBuf,
    },
    /// Take the log again from its start and compare every output and row with what is stored.
    Replay,
    /// Measure the predictions on a file of events with known outcomes (the last 30 % of its
    /// leads).
    Backtest {
        /// The file.
        file: String,
    },
    /// Design experiments, see what their statistics promise, and what came of those that run.
    #[command(subcommand)]
    Experiment(cli::experiment::Command),
    /// Explain the words that leadstream reads: event types, channels, stages, strategies, metrics,
    /// features.
    Explain(cli::explain::Options),
    /// Look at everything that an instance depends on, and say what to do; changes nothing.
    Doctor,
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the schemas, or register them.
    Schemas {
        #[command(subcommand)]
        action: Option<cli::schemas::Action>,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the configuration and print it with every default; secrets are masked.
    Check,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    cli::print::end(&run(arguments).await, json)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { data_dir, config, json, command } = arguments;
    let Some(command) = command else { return Ok(cli::print::say(FIRST_STEPS)?) };
    if json && matches!(command, Command::Run | Command::Demo(_) | Command::Completions { .. }) {
        bail!("--json: this command has no JSON: leave it out");
    }
    let named = data_dir.is_some();
    let loaded = config::load(config.as_deref(), &Flags { data_dir });
    if let (Err(error), Command::Doctor) = (&loaded, &command) {
        return cli::doctor::unreadable(error, json);
    }
    let config = loaded?;
    start_logging(&config)?;
    match command {
        Command::Run => cli::run::run(config).await,
        Command::Demo(options) => cli::demo::demo(config, named, &options).await,
        Command::Ingest(options) => cli::ingest::ingest(&config, &options, json).await,
        Command::Tail(options) => cli::show::tail(&config, &options).await,
        Command::Lead { tenant, lead } => cli::lead::lead(&config, &tenant, &lead, json).await,
        Command::Worklist { tenant, agent } => {
            cli::lead::worklist(&config, (&tenant, agent.as_deref()), json).await
        }
        Command::Dlq(command) => cli::dlq::dlq(&config, command, json).await,
        Command::Partition(command) => cli::dlq::partition(&config, command, json).await,
        Command::Apply { file } => cli::show::apply(&config, &file, json).await,
        Command::Replay => cli::show::replay(&config, json).await,
        Command::Backtest { file } => cli::backtest::backtest(&file, json),
        Command::Experiment(command) => cli::experiment::experiment(&config, &command, json).await,
        Command::Explain(options) => cli::explain::explain(&options, json),
        Command::Doctor => cli::doctor::doctor(&config, json),
        Command::Config(ConfigCommand::Check) if json => {
            Ok(cli::print::say(serde_json::json!(config.masked()))?)
        }
        Command::Config(ConfigCommand::Check) => Ok(cli::print::say(
            toml::to_string(&config.masked())
                .context("the configuration cannot be written as TOML")?,
        )?),
        Command::Schemas { action } => cli::schemas::schemas(&config, action, json).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "leadstream", &mut script);
            Ok(cli::print::say(String::from_utf8_lossy(&script).trim_end())?)
        }
    }
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.logging.level)
        .context("logging.level is no filter")?;
    // Where standard error is closed or full, nothing is logged and everything goes on.
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    if config.logging.format == "json" {
        logging.json().init()
    } else {
        logging.init()
    }
    Ok(())
}
