//! `schemas`: prints the compiled-in schemas, or registers those that others read or write.

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::print::say;
use leadstream::codec::avro;
use leadstream::config::Config;
use leadstream::log::registry::{self, Outcome, Registration};

#[derive(clap::Subcommand)]
pub enum Action {
    /// Register the schemas that others read or write, each as the subject TOPIC-value with
    /// compatibility FULL_TRANSITIVE.
    Register,
}

pub async fn schemas(config: &Config, action: Option<Action>, json: bool) -> anyhow::Result<()> {
    match action {
        None if json => Ok(avro::all().iter().try_for_each(|coded| {
            let schema: Value = serde_json::from_str(coded.text).unwrap_or_default();
            say(json!({ "topic": coded.topic, "schema": schema }))
        })?),
        None => Ok(avro::all()
            .iter()
            .try_for_each(|coded| say(format!("{}\n{}", coded.topic, coded.text)))?),
        Some(Action::Register) => register(config, json).await,
    }
}

async fn register(config: &Config, json: bool) -> anyhow::Result<()> {
    let settings = config
        .registry_settings()
        .context("schema_registry.url is not set: there is no registry to register with")?;
    let registrations = registry::register(&settings).await?;
    let width =
        registrations.iter().map(|registration| registration.subject.len()).max().unwrap_or(0);
    if !json {
        say(format!("{:<width$}  {:>8}  {:>7}  outcome", "subject", "id", "version"))?;
    }
    for Registration { subject, registered, outcome } in &registrations {
        let (id, version) = (
            registered.as_ref().map(|found| found.id),
            registered.as_ref().map(|found| found.version),
        );
        let (outcome, message) = match outcome {
            Outcome::New => ("new", None),
            Outcome::Known => ("known", None),
            Outcome::Refused(message) => ("refused", Some(message)),
        };
        if json {
            say(
                json!({ "subject": subject, "id": id, "version": version, "outcome": outcome, "message": message }),
            )?;
        } else {
            let number = |number: Option<u32>| {
                number.map_or_else(|| "-".to_owned(), |number| number.to_string())
            };
            let message = message.map_or_else(String::new, |message| format!(": {message}"));
            say(format!(
                "{subject:<width$}  {:>8}  {:>7}  {outcome}{message}",
                number(id),
                number(version)
            ))?;
        }
    }
    let refused = registrations
        .iter()
        .filter(|registration| matches!(registration.outcome, Outcome::Refused(_)))
        .count();
    if refused > 0 {
        bail!("the registry refused {refused} of {} schemas", registrations.len());
    }
    Ok(())
}
