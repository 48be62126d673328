//! `experiment list`, `show`, `start` to `archive`, `results` and `audit`: what is registered, what
//! came of it, and whether it was done as registered.

mod tables;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::experiments::tables::{
    adjusted, arm_values, arms, comparisons, date, money, percent, plot, segment_rows, worth,
};
use crate::cli::json::say_json;
use crate::cli::print::say;
use crate::cli::show::{ready, tell_applied};
use crate::cli::table::table;
use leadstream::app::experiments::{Audited, Listed, Name, StateChange, Version};
use leadstream::config::Config;
use leadstream::domain::attribution::journeys::TOUCHES_MAX;
use leadstream::domain::experiment::State;

#[derive(clap::Args)]
pub struct Which {
    /// The tenant.
    tenant: String,
    /// The experiment.
    experiment: String,
}

impl Which {
    fn name(&self) -> Name {
        Name { tenant: self.tenant.clone(), experiment: self.experiment.clone() }
    }
}

#[derive(clap::Args)]
pub struct Segments {
    /// The tenant.
    tenant: String,
    /// The experiment; without it all of the tenant's.
    experiment: Option<String>,
}

#[derive(clap::Args)]
pub struct ListOptions {
    /// Only of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Also what is archived.
    #[arg(long)]
    all: bool,
}

#[derive(clap::Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// From which time of events on, such as 2026-11-26T08:00:00Z; now, if not given.
    #[arg(long)]
    at: Option<jiff::Timestamp>,
    /// Why, in words that are kept with the version.
    #[arg(long)]
    reason: Option<String>,
}

/// Asks an instance that took everything it found.
async fn ask<T: serde::de::DeserializeOwned>(
    config: &Config,
    what: &str,
    query: &impl serde::Serialize,
) -> anyhow::Result<T> {
    let client = Client::connect(config).await?;
    ready(&client).await?;
    let answer = client.get(&format!("/local/v1/experiments{what}"), query).await?;
    client.close()?;
    Ok(answer)
}

pub async fn list(config: &Config, options: &ListOptions, json: bool) -> anyhow::Result<()> {
    let mut query = json!({ "all": options.all });
    if let Some(tenant) = &options.tenant {
        query["tenant"] = tenant.as_str().into();
    }
    let listed: Vec<Listed> = ask(config, "", &query).await?;
    if json {
        return Ok(say_json(json!(listed))?);
    }
    let heads = ["tenant", "experiment", "version", "state", "unit", "goal", "units", "decision"];
    let row = |listed: Listed| {
        let Listed { tenant, experiment, version, state, unit, goal, units, decision } = listed;
        let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        let (goal, decision) = (or_none(goal), or_none(decision));
        vec![
            tenant,
            experiment,
            version.to_string(),
            state,
            unit,
            goal,
            units.to_string(),
            decision,
        ]
    };
    let heads = std::iter::once(heads.map(str::to_owned).to_vec());
    Ok(say(table(&heads.chain(listed.into_iter().map(row)).collect::<Vec<_>>()))?)
}

/// Defines the next version of an experiment, which differs from the newest in its state.
pub async fn change(
    config: &Config,
    Update { which, at, reason }: &Update,
    state: State,
    json: bool,
) -> anyhow::Result<()> {
    let state = state.as_str().to_owned();
    let change = StateChange { name: which.name(), state, at: *at, reason: reason.clone() };
    let client = Client::connect(config).await?;
    let applied = client.send_json("/local/v1/experiments/state", &change).await?;
    tell_applied(&applied, json)?;
    Ok(client.close()?)
}

pub async fn show(config: &Config, which: &Which, json: bool) -> anyhow::Result<()> {
    let versions: Vec<Version> = ask(config, "/versions", &which.name()).await?;
    for reported in versions {
        if json {
            say(json!(reported))?;
            continue;
        }
        let Version { version, began, state, concluded, effective_at, body, .. } = reported;
        let base_version = if began == version {
            "begins it".to_owned()
        } else {
            format!("revises version {began}")
        };
        let over = if concluded { ", concluded" } else { "" };
        say(format!(
            "version {version}, from {}, {base_version}, {state}{over}",
            date(effective_at)
        ))?;
        say(format!("{}\n", serde_json::to_string_pretty(&body)?))?;
    }
    Ok(())
}

pub async fn results(config: &Config, which: &Which, json: bool) -> anyhow::Result<()> {
    let reported: Value = ask(config, "/results", &which.name()).await?;
    if json {
        return Ok(say_json(reported)?);
    }
    say(format!(
        "{}, version {}: exposures until {}\n",
        which.experiment,
        reported["version"],
        date(reported["at"].as_i64().unwrap_or(0))
    ))?;
    say(table(&arms(&reported)))?;
    if let Some(multi_exposed) =
        reported["multi_exposed_units"].as_i64().filter(|multi_exposed| *multi_exposed > 0)
    {
        say(format!(
            "\nalert: {multi_exposed} units were exposed to two arms; only their exposures are \
                counted"
        ))?;
    }
    let results = &reported["results"];
    if results.is_null() {
        return Ok(say("\nThis experiment has no goal, so it concludes nothing.")?);
    }
    concluded(results)
}

/// Prints the decision, the comparisons behind it, and what they are worth.
fn concluded(results: &Value) -> anyhow::Result<()> {
    let number = |field: &str| results[field].as_i64().unwrap_or(0);
    let decision = results["decision"].as_str().unwrap_or_default();
    say(format!(
        "\n{decision}: {} (look of {})",
        results["rule"].as_str().unwrap_or_default(),
        date(number("decided_at"))
    ))?;
    let (units, waiting, planned, days) =
        (number("units"), number("waiting_units"), number("planned_units"), number("full_days"));
    match results["looked_at_once_at"].as_i64() {
        Some(look) => say(format!(
            "{} of {planned} planned agents or periods, compared once, on {}; {days} full days\n",
            units + waiting,
            date(look)
        ))?,
        None => say(format!(
            "{units} of {planned} planned units have completed their window, {waiting} have not; \
                {days} full days\n"
        ))?,
    }
    say(table(&comparisons(results)))?;
    adjusted(results).iter().try_for_each(say)?;
    let arm_values = arm_values(results);
    if arm_values.len() > 1 {
        say(format!(
            "\nmean of the goal if every lead got the arm, doubly robust, bounds that hold at \
                every look\n{}",
            table(&arm_values)
        ))?;
    }
    for dropped in results["dropped"].as_array().into_iter().flatten() {
        say(format!(
            "dropped: {} (look of {})",
            dropped["rule"].as_str().unwrap_or_default(),
            date(dropped["at"].as_i64().unwrap_or(0))
        ))?;
    }
    worth_of(results)?;
    let plot = plot(results["looks"].as_array().map_or(&[], Vec::as_slice));
    if !plot.is_empty() {
        let bounds = if results["looked_at_once_at"].is_null() {
            "bounds that hold at every look"
        } else {
            "bounds of the only look"
        };
        say(format!("\nrelative effect on the goal, {bounds}\n{}", plot.join("\n")))?;
    }
    Ok(())
}

/// Prints what each arm is worth, in units of the goal and in money.
fn worth_of(results: &Value) -> anyhow::Result<()> {
    let worth = worth(results);
    if worth.len() > 1 && results["looked_at_once_at"].is_null() {
        say(format!(
            "\nGain per week if every lead got the arm, at the {:.0} leads a week seen so far\n{}",
            results["units_per_week"].as_f64().unwrap_or(0.0),
            table(&worth)
        ))?;
    }
    let money = money(results);
    if money.len() > 1 {
        say(format!(
            "\nIn money, net of costs, at the mean value of this tenant's own conversions\n{}",
            table(&money)
        ))?;
    }
    Ok(())
}

/// What is known of the goal within strata and by agent: sentences that hold together, and the
/// numbers of each.
pub async fn segments(config: &Config, options: &Segments, json: bool) -> anyhow::Result<()> {
    let Segments { tenant, experiment } = options;
    let mut query = json!({ "tenant": tenant });
    if let Some(experiment) = experiment {
        query["experiment"] = experiment.as_str().into();
    }
    let all: Vec<Value> = ask(config, "/segments", &query).await?;
    let text =
        |reported: &Value, field: &str| reported[field].as_str().unwrap_or_default().to_owned();
    if json {
        let one = |mut reported: Value| json!({"experiment": text(&reported, "experiment"), "segments": reported["results"]["segments"].take()});
        return Ok(say_json(Value::from(all.into_iter().map(one).collect::<Vec<_>>()))?);
    }
    if all.is_empty() {
        bail!(
            "{tenant} has no segment effects yet: an experiment reports them when it registers \
                `strata` or \
                `agents_max` and its windows have passed"
        );
    }
    for reported in &all {
        let segments: Vec<&Value> =
            reported["results"]["segments"].as_array().into_iter().flatten().collect();
        let rule = text(&reported["results"], "rule");
        say(format!(
            "{}, until {}: {rule}",
            text(reported, "experiment"),
            date(reported["at"].as_i64().unwrap_or(0))
        ))?;
        let shown: Vec<&&Value> =
            segments.iter().filter(|reported| reported["is_shown"] == true).collect();
        for reported in &shown {
            let verb = if reported["lift"].as_f64().is_some_and(|lift| lift > 0.0) {
                "raises"
            } else {
                "lowers"
            };
            let (arm, metric, stratum) =
                (text(reported, "arm"), text(reported, "metric"), text(reported, "stratum"));
            let place = if stratum.starts_with("agent:") { "with the leads of" } else { "in" };
            say(format!(
                "{arm} {verb} {metric} {place} {stratum}: {} to {}",
                percent(&reported["lift_lower"]),
                percent(&reported["lift_upper"])
            ))?;
        }
        if shown.is_empty() {
            say("No segment shows an effect yet.")?;
        }
        say(format!(
            "{}\nAll of these bounds hold together, at every look.\n",
            table(&segment_rows(&segments))
        ))?;
    }
    Ok(())
}

/// What conversions of a tenant are credited to. A credit is no cause, which is said with it.
pub async fn attribution(config: &Config, tenant: &str, json: bool) -> anyhow::Result<()> {
    const CAUTION: &str = "credits share out the conversions that were; they are no causes: only \
        an experiment shows one";
    let reported: Option<Value> = ask(config, "/attribution", &json!({ "tenant": tenant })).await?;
    let reported = reported
        .with_context(|| format!("no lead of {tenant} that was coached was won or lost yet"))?;
    let mut credited = reported["attribution"].clone();
    if json {
        credited["note"] = CAUTION.into();
        return Ok(say_json(credited)?);
    }
    let number = |field: &str| credited[field].as_i64().unwrap_or(0);
    let (won, lost, untouched, cut) = (
        number("conversions"),
        number("nulls"),
        number("untouched_conversions"),
        number("cut_journeys"),
    );
    say(format!(
        "{tenant}: {won} coached leads won and {lost} lost until {}; {CAUTION}",
        date(reported["at"].as_i64().unwrap_or(0))
    ))?;
    say(format!(
        "won without coaching, credited to nothing: {untouched}; with more than {TOUCHES_MAX} \
            touches, of which the newest count: {cut}\n"
    ))?;
    let fields = ["first", "last", "linear", "position", "time_decay", "markov", "shapley"];
    let heads = ["strategy", "leads won with it"].into_iter().chain(fields);
    let mut rows = vec![heads.map(str::to_owned).collect::<Vec<_>>()];
    for credit in credited["credits"].as_array().into_iter().flatten() {
        let cell = |field: &str| {
            credit[field].as_f64().map_or_else(|| "-".to_owned(), |credit| format!("{credit:.2}"))
        };
        let head = [
            credit["strategy"].as_str().unwrap_or_default().to_owned(),
            credit["converted_journeys"].to_string(),
        ];
        rows.push(head.into_iter().chain(fields.map(cell)).collect());
    }
    Ok(say(table(&rows))?)
}

pub async fn audit(config: &Config, json: bool) -> anyhow::Result<()> {
    let audited: Audited = ask(config, "/audit", &json!({})).await?;
    let Audited { exposures, units, crossed, unsealed, wrong, findings } = &audited;
    if json {
        say(json!(audited))?;
    } else {
        findings.iter().try_for_each(say)?;
        say(format!(
            "exposures={exposures} units={units} crossed={crossed} unsealed={unsealed} \
                wrong={wrong}"
        ))?;
    }
    if *wrong > 0 {
        bail!("{wrong} exposures are not as the definitions and their chain say");
    }
    Ok(())
}
