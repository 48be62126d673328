//! `demo`: an invented market, taken live by an instance of its own.

use std::path::Path;

use anyhow::Context;
use leadstream::domain::scoring::Target;
use leadstream::runtime::client::{Client, Method};
use leadstream::runtime::config::Config;
use leadstream::runtime::log::TimeSource;
use leadstream::runtime::{demo, evaluate};
use serde_json::{Value, json};

use crate::cli::ingest;

#[derive(clap::Args)]
pub struct Options {
    /// Leads in the market.
    #[arg(long, default_value_t = 400)]
    pub leads: usize,
    /// Hold the predictions against the truth that the generator knows.
    #[arg(long)]
    pub score: bool,
}

pub async fn demo(mut config: Config, named: bool, options: &Options) -> anyhow::Result<()> {
    if named {
        return demo_in(&config, options).await;
    }
    config.data_dir = std::env::temp_dir().join(format!("leadstream-demo-{}", std::process::id()));
    let result = demo_in(&config, options).await;
    std::fs::remove_dir_all(&config.data_dir).context("cannot remove the demo's directory")?;
    result
}

async fn demo_in(config: &Config, options: &Options) -> anyhow::Result<()> {
    let client = Client::connect(config).await?;
    let market = demo::market(1, options.leads, 45, TimeSource::World.now().0);
    let events = config.data_dir.join("market.ndjson");
    write(&events, &market)?;
    let file = ingest::Options { file: events.to_string_lossy().into_owned(), follow: false, rate: None };
    println!("{}", ingest::send_and_wait(&client, config, &file).await?);
    let print = &mut |line: &str| {
        println!("{line}");
        true
    };
    let query = json!({ "topic": "coaching.prompts.v1", "from_start": true, "until_end": true, "limit": 3 });
    client.lines("/local/v1/tail", &query, Method::Get, print).await?;
    if options.score {
        let mut pairs = Vec::new();
        for truth in &market.truth {
            let lead: Result<Value, _> = client.get("/local/v1/lead", &json!({ "key": format!("demo-realty:{}", truth.lead_id) })).await;
            if let Some(lead) = lead.ok().filter(|lead| lead["outcome"].is_null()) {
                let score = lead["predictions"][Target::ConversionLikelihood.as_str()]["probability"].as_f64();
                pairs.extend(score.map(|score| (score, truth.p_convert >= 0.3)));
            }
        }
        println!("AUC {:.3}", evaluate::auc(&pairs).unwrap_or(f64::NAN));
    }
    Ok(client.close()?)
}

fn write(path: &Path, market: &demo::Market) -> std::io::Result<()> {
    let text: Vec<u8> = market.deliveries.iter().flat_map(|delivery| delivery.line.iter().copied().chain([b'\n'])).collect();
    std::fs::write(path, text)
}
