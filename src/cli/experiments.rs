//! `experiment list`, `show`, `start` to `archive`, `results` and `audit`: what is registered, what
//! came of it, and whether it was done as registered.

mod tables;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::experiments::tables::{
    adjusted, arm_values, arms, comparisons, date, money, percent, plot, segment_rows, worth,
};
use crate::cli::print::say;
use crate::cli::show::{apply_text, records};
use crate::cli::table::table;
use leadstream::codec::definition::body_of;
use leadstream::codec::model::starting_rules;
use leadstream::codec::shown;
use leadstream::codec::topics::{DEFINITIONS, EXPOSURES, METRICS};
use leadstream::config::Config;
use leadstream::domain::attribution::journeys::TOUCHES_MAX;
use leadstream::domain::audit::Audit;
use leadstream::domain::experiment::{Experiment, State};
use leadstream::domain::rules::{Body, Definition, Rules};

#[derive(clap::Args)]
pub struct Which {
    /// The tenant.
    tenant: String,
    /// The experiment.
    experiment: String,
}

impl Which {
    fn is(&self, (_, experiment): &(Definition, Experiment)) -> bool {
        experiment.tenant.as_str() == self.tenant && experiment.name == self.experiment
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

/// Every version of every experiment, in the order of the log, and the rules that all definitions
/// give.
async fn defined(config: &Config) -> anyhow::Result<(Vec<(Definition, Experiment)>, Rules)> {
    let (mut experiments, mut rules) = (Vec::new(), starting_rules());
    for record in records(config, DEFINITIONS).await? {
        let Ok(definition) = shown::definition(&record["value"]) else { continue };
        let Ok(body) = body_of(&definition) else { continue };
        let experiment =
            if let Body::Experiment(experiment) = &body { Some(experiment.clone()) } else { None };
        if rules.define(&definition, body).is_ok() {
            experiments.extend(experiment.map(|experiment| (definition, experiment)));
        }
    }
    Ok((experiments, rules))
}

/// The newest counts and results by `tenant:experiment`.
async fn newest(config: &Config) -> anyhow::Result<BTreeMap<String, Value>> {
    let records = records(config, METRICS).await?;
    Ok(records
        .into_iter()
        .filter_map(|mut record| Some((record["key"].as_str()?.to_owned(), record["value"].take())))
        .collect())
}

pub async fn list(config: &Config, options: &ListOptions, json: bool) -> anyhow::Result<()> {
    let (all, rules) = defined(config).await?;
    let results = newest(config).await?;
    let mut experiments: BTreeMap<(&str, &str), &(Definition, Experiment)> = BTreeMap::new();
    for reported in &all {
        let (definition, experiment) = reported;
        let place =
            experiments.entry((experiment.tenant.as_str(), &experiment.name)).or_insert(reported);
        if (definition.effective_at, definition.version) >= (place.0.effective_at, place.0.version)
        {
            *place = reported;
        }
    }
    let wanted = |experiment: &Experiment| {
        options.tenant.as_deref().is_none_or(|tenant| tenant == experiment.tenant.as_str())
            && (options.all || experiment.state != State::Archived)
    };
    let mut rows = vec![
        ["tenant", "experiment", "version", "state", "unit", "goal", "units", "decision"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for ((tenant, name), (_, experiment)) in
        experiments.into_iter().filter(|(_, (_, experiment))| wanted(experiment))
    {
        let counts = results
            .get(&format!("{tenant}:{name}"))
            .filter(|counts| counts["version"] == experiment.base_version)
            .unwrap_or(&Value::Null);
        let units: u64 = counts["arms"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|arm| arm["exposed_units"].as_u64())
            .sum();
        let state = if rules.is_concluded(&experiment.key()) {
            "concluded"
        } else {
            experiment.state.as_str()
        };
        let goal = experiment
            .plan
            .as_ref()
            .and_then(|plan| plan.measures.first())
            .map_or("-", |measure| measure.metric.as_str());
        let decision = counts["results"]["decision"].as_str().unwrap_or("-");
        let cells = [
            tenant,
            name,
            &experiment.version.to_string(),
            state,
            experiment.unit.as_str(),
            goal,
            &units.to_string(),
            decision,
        ];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    if json {
        let names = rows[0].clone();
        let rows = rows.iter().skip(1).map(|row| {
            names.iter().cloned().zip(row.iter().map(|cell| Value::from(cell.as_str())))
        });
        return Ok(say(Value::from(
            rows.map(Iterator::collect::<serde_json::Map<_, _>>).collect::<Vec<_>>(),
        ))?);
    }
    Ok(say(table(&rows))?)
}

/// Defines the next version of an experiment, which differs from the newest in its state.
pub async fn change(
    config: &Config,
    Update { which, at, reason }: &Update,
    state: State,
) -> anyhow::Result<()> {
    let (all, _) = defined(config).await?;
    let newest = all
        .iter()
        .filter(|reported| which.is(reported))
        .max_by_key(|(definition, _)| definition.version);
    let Some((definition, experiment)) = newest else {
        bail!("{} has no experiment {}", which.tenant, which.experiment)
    };
    if experiment.state == state {
        bail!("{} is {} since version {}", which.experiment, state.as_str(), definition.version);
    }
    let at = at.unwrap_or_else(jiff::Timestamp::now);
    if at.as_millisecond() < definition.effective_at.0 {
        let since = jiff::Timestamp::from_millisecond(definition.effective_at.0)?;
        bail!(
            "version {} takes effect at {since}: give a later time with --at",
            definition.version
        );
    }
    let mut body: serde_json::Map<String, Value> = serde_json::from_str(&definition.body)?;
    // What `state` was called before.
    body.remove("running");
    body.remove("reason");
    body.extend([
        ("state".to_owned(), state.as_str().into()),
        ("revises".to_owned(), experiment.base_version.into()),
    ]);
    body.extend(reason.iter().map(|reason| ("reason".to_owned(), reason.as_str().into())));
    let next = json!({
        "tenant": which.tenant, "kind": definition.kind, "name": which.experiment, "version": definition.version + 1,
        "effective_at": at.to_string(), "body": body,
    });
    apply_text(config, serde_json::to_vec(&next)?).await
}

pub async fn show(config: &Config, which: &Which, json: bool) -> anyhow::Result<()> {
    let (all, rules) = defined(config).await?;
    let versions: Vec<_> = all.iter().filter(|reported| which.is(reported)).collect();
    if versions.is_empty() {
        bail!("{} has no experiment {}", which.tenant, which.experiment);
    }
    for (definition, experiment) in versions {
        let body: Value = serde_json::from_str(&definition.body)?;
        let concluded = rules.is_concluded(&experiment.key());
        if json {
            let reported = json!({"version": definition.version, "began": experiment.base_version, "state": experiment.state.as_str(), "concluded": concluded,
                "effective_at": definition.effective_at.0, "config_sha256": experiment.config_sha256, "body": body});
            say(reported)?;
            continue;
        }
        let (version, from) = (definition.version, date(definition.effective_at.0));
        let base_version = if experiment.base_version == version {
            "begins it".to_owned()
        } else {
            format!("revises version {}", experiment.base_version)
        };
        let over = if concluded { ", concluded" } else { "" };
        say(format!(
            "version {version}, from {from}, {base_version}, {}{over}",
            experiment.state.as_str()
        ))?;
        say(format!("{}\n", serde_json::to_string_pretty(&body)?))?;
    }
    Ok(())
}

pub async fn results(config: &Config, which: &Which, json: bool) -> anyhow::Result<()> {
    let mut newest = newest(config).await?;
    let Which { tenant, experiment } = which;
    let reported = newest.remove(&format!("{tenant}:{experiment}"));
    let reported = reported.with_context(|| {
        format!("nothing was counted for experiment {experiment} of {tenant} yet")
    })?;
    if json {
        return Ok(say(reported)?);
    }
    say(format!(
        "{experiment}, version {}: exposures until {}\n",
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
    let wanted = |key: &str| match experiment {
        Some(experiment) => key == format!("{tenant}:{experiment}"),
        None => key.strip_prefix(&format!("{tenant}:")).is_some_and(|name| !name.is_empty()),
    };
    let mut all = newest(config).await?;
    all.retain(|key, reported| wanted(key) && reported["results"]["segments"].is_array());
    let text =
        |reported: &Value, field: &str| reported[field].as_str().unwrap_or_default().to_owned();
    if json {
        let one = |mut reported: Value| json!({"experiment": text(&reported, "experiment"), "segments": reported["results"]["segments"].take()});
        return Ok(say(Value::from(all.into_values().map(one).collect::<Vec<_>>()))?);
    }
    if all.is_empty() {
        bail!(
            "{tenant} has no segment effects yet: an experiment reports them when it registers \
                `strata` or \
                `agents_max` and its windows have passed"
        );
    }
    for reported in all.values() {
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
    let reported = newest(config).await?.remove(&format!("{tenant}:"));
    let reported = reported
        .with_context(|| format!("no lead of {tenant} that was coached was won or lost yet"))?;
    let mut credited = reported["attribution"].clone();
    if json {
        credited["note"] = CAUTION.into();
        return Ok(say(credited)?);
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
    let (_, rules) = defined(config).await?;
    let mut audit = Audit::default();
    let mut unsealed = 0_u64;
    for record in records(config, EXPOSURES).await? {
        let place = format!("{}/{}", record["partition"], record["offset"]);
        match shown::exposure(&record["key"], &record["value"]) {
            Ok(Some(exposure)) => audit.take(&rules, &place, &exposure),
            Ok(None) => unsealed += 1,
            Err(reason) => audit.find(&place, reason),
        }
    }
    let Audit { exposures, units, multi_exposed, wrong, reported, .. } = audit;
    if json {
        say(
            json!({"exposures": exposures, "units": units, "crossed": multi_exposed, "unsealed": unsealed, "wrong": wrong, "told": reported}),
        )?;
    } else {
        reported.iter().try_for_each(say)?;
        say(format!(
            "exposures={exposures} units={units} crossed={multi_exposed} unsealed={unsealed} \
                wrong={wrong}"
        ))?;
    }
    if wrong > 0 {
        bail!("{wrong} exposures are not as the definitions and their chain say");
    }
    Ok(())
}
