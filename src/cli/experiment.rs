//! `experiment`: whether a design can answer its question, whether the statistics keep what they
//! promise, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::experiments;
use crate::cli::print::say;
use crate::cli::table::table;
use leadstream::config::Config;
use leadstream::domain::experiment::State;
use leadstream::stats::design::{Agents, Design, Goal, Metric, Plan};
use leadstream::stats::level::{Alpha, Error};
use leadstream::stats::random::Random;
use leadstream::stats::simulation::{Limit, Scenario, scenarios, stream};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Say how many leads or agents and weeks an experiment needs; fails when it could not answer
    /// in time.
    Design(DesignOptions),
    /// List experiments with their state and decision.
    List(experiments::ListOptions),
    /// Print every version of an experiment.
    Show(experiments::Which),
    /// Let units in: defines the next version, which differs in its state alone.
    Start(experiments::Update),
    /// Let nobody new in; who is in keeps the arm.
    Pause(experiments::Update),
    /// Give nobody an arm any more; outcomes are counted until all windows have passed.
    Stop(experiments::Update),
    /// Stop, and list it no longer.
    Archive(experiments::Update),
    /// Print what came of an experiment: metrics, bounds, decision, and the goal over time.
    Results(experiments::Which),
    /// Print segment effects: in which stages or channels, or with which agents, an arm raises or
    /// lowers the goal; the bounds hold for all segments at every look.
    Segments(experiments::Segments),
    /// Share out a tenant's conversions over the coaching strategies before them; a credit is no
    /// cause.
    Attribution {
        /// The tenant.
        tenant: String,
    },
    /// Recompute every assignment from the log; fails when an exposure was changed, lost or given
    /// to another arm.
    Audit,
    /// Run experiments whose truth is known and count how often the statistics reject; fails when a
    /// promise is broken.
    Simulate(SimulateOptions),
}

#[derive(clap::Args)]
pub struct DesignOptions {
    /// Rate of the goal without the experiment, a fraction: 0.02 is 2 %.
    #[arg(long, required_unless_present = "mean", conflicts_with = "mean")]
    rate: Option<f64>,
    /// In place of a rate: mean of the goal over all leads without the experiment, for instance
    /// revenue per lead.
    #[arg(long, requires = "sd")]
    mean: Option<f64>,
    /// Its standard deviation over all leads.
    #[arg(long, requires = "mean")]
    sd: Option<f64>,
    /// The change that would matter, relative to the rate or mean: 0.2 is a fifth more.
    #[arg(long)]
    lift: f64,
    /// New leads per week that would be in it, in both arms together.
    #[arg(long)]
    leads_per_week: f64,
    /// How long you would wait, weeks.
    #[arg(long, default_value_t = 26.0)]
    weeks_max: f64,
    /// Probability of an error where nothing differs.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Probability of finding the change where it is there.
    #[arg(long, default_value_t = 0.8)]
    power: f64,
    /// How many agents there are, when an agent's leads all get the same arm.
    #[arg(long)]
    agents: Option<u64>,
    /// Share of the variance that lies between agents.
    #[arg(long, default_value_t = 0.05, requires = "agents")]
    icc: f64,
    /// Standard deviation of leads per agent over its mean.
    #[arg(long, default_value_t = 0.5, requires = "agents")]
    size_variation: f64,
    /// Another metric and its rate that might answer sooner, for instance reply=0.3; more than one
    /// may be given.
    #[arg(long = "or", value_name = "METRIC=RATE", value_parser = metric)]
    others: Vec<(String, f64)>,
}

#[derive(clap::Args)]
pub struct SimulateOptions {
    /// How often each scenario is run.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// The same seed gives the same counts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn experiment(config: &Config, command: &Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::List(options) => experiments::list(config, options, json).await,
        Command::Show(which) => experiments::show(config, which, json).await,
        Command::Start(options) => experiments::change(config, options, State::Running, json).await,
        Command::Pause(options) => experiments::change(config, options, State::Paused, json).await,
        Command::Stop(options) => experiments::change(config, options, State::Stopped, json).await,
        Command::Archive(options) => {
            experiments::change(config, options, State::Archived, json).await
        }
        Command::Results(which) => experiments::results(config, which, json).await,
        Command::Segments(options) => experiments::segments(config, options, json).await,
        Command::Attribution { tenant } => experiments::attribution(config, tenant, json).await,
        Command::Audit => experiments::audit(config, json).await,
        Command::Design(options) => tokio::task::block_in_place(|| design(options, json)),
        Command::Simulate(options) => tokio::task::block_in_place(|| simulate(options, json)),
    }
}

fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, rate) = text.split_once('=').ok_or("expected METRIC=RATE")?;
    let rate = rate.parse().map_err(|_| format!("{rate} is no number"))?;
    Ok((name.to_owned(), rate))
}

fn design(options: &DesignOptions, json: bool) -> anyhow::Result<()> {
    let metric = match (options.rate, options.mean, options.sd) {
        (Some(rate), ..) => Metric::Share(rate),
        (None, Some(mean), Some(sd)) => Metric::Mean { mean, sd },
        (None, ..) => bail!("--rate, or --mean and --sd, are needed"),
    };
    let goal = Goal { metric, lift: options.lift, alpha: Alpha::new(options.alpha)? };
    let (intraclass_correlation, size_variation) = (options.icc, options.size_variation);
    let agents =
        options.agents.map(|count| Agents { count, intraclass_correlation, size_variation });
    let plan = Plan {
        goal,
        power: options.power,
        leads_per_week: options.leads_per_week,
        weeks_max: options.weeks_max,
        agents,
    };
    let found = plan.design()?;
    let sooner = sooner(&plan, &found, &options.others)?;
    if json {
        say(described(&found, &sooner))?;
    } else {
        print_design(&plan, &found, &sooner)?;
    }
    if !found.is_feasible {
        bail!(
            "refused: within {} weeks this design finds the change with probability {:.2} only",
            plan.weeks_max,
            found.power_in_time
        );
    }
    Ok(())
}

/// Other metrics that would be done before the goal, with the weeks that they take, the quickest
/// first.
fn sooner(
    plan: &Plan,
    found: &Design,
    others: &[(String, f64)],
) -> anyhow::Result<Vec<(String, f64)>> {
    let mut sooner = Vec::new();
    for (name, rate) in others {
        let goal = Goal { metric: Metric::Share(*rate), ..plan.goal };
        let design = Plan { goal, ..*plan }
            .design()
            .with_context(|| format!("{name} cannot be planned with"))?;
        sooner.extend(
            design
                .weeks
                .filter(|weeks| found.weeks.is_none_or(|goal| *weeks < goal))
                .map(|weeks| (name.clone(), weeks)),
        );
    }
    sooner.sort_by(|left, right| left.1.total_cmp(&right.1));
    Ok(sooner)
}

fn described(found: &Design, sooner: &[(String, f64)]) -> serde_json::Value {
    json!({
        "feasible": found.is_feasible,
        "leads_per_arm_once": found.leads_per_arm_once,
        "leads_per_arm": found.leads_per_arm,
        "weeks": found.weeks,
        "power_in_time": found.power_in_time,
        "lift_in_time": found.lift_in_time,
        "agents_needed": found.agents_needed,
        "sooner": sooner.iter().map(|(metric, weeks)| json!({"metric": metric, "weeks": weeks})).collect::<Vec<_>>(),
    })
}

fn print_design(plan: &Plan, found: &Design, sooner: &[(String, f64)]) -> anyhow::Result<()> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let enough = |value: Option<String>| {
        value.unwrap_or_else(|| "never: the agents are too few, however long one waits".to_owned())
    };
    let way = if plan.agents.is_some() {
        "leads per arm, agents compared once"
    } else {
        "leads per arm, watched"
    };
    let mut rows = vec![
        row("leads per arm, independent, looked at once", found.leads_per_arm_once.to_string()),
        row(way, enough(found.leads_per_arm.map(|leads| leads.to_string()))),
        row("weeks at this rate", enough(found.weeks.map(|weeks| format!("{weeks:.1}")))),
        row(
            &format!("power within {} weeks", plan.weeks_max),
            format!("{:.2}", found.power_in_time),
        ),
    ];
    let lift = found
        .lift_in_time
        .map_or_else(|| "none, not even tenfold".to_owned(), |lift| format!("{lift:.3}"));
    rows.push(row(&format!("smallest lift found within {} weeks", plan.weeks_max), lift));
    if plan.agents.is_some() {
        let agents = found
            .agents_needed
            .map_or_else(|| "more than a million".to_owned(), |agents| agents.to_string());
        rows.push(row(&format!("agents needed for {} weeks", plan.weeks_max), agents));
    }
    for (metric, weeks) in sooner {
        rows.push(row(&format!("weeks for the same lift of {metric}"), format!("{weeks:.1}")));
    }
    Ok(say(table(&rows))?)
}

fn simulate(options: &SimulateOptions, json: bool) -> anyhow::Result<()> {
    let SimulateOptions { runs, seed } = *options;
    let all = scenarios();
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} runs, {eta} left")
        .expect("the template is well formed");
    let bar = ProgressBar::new(all.len() as u64 * runs).with_style(style);
    let mut rows =
        vec![["scenario", "runs", "rejections", "limit", "verdict"].map(str::to_owned).to_vec()];
    let (mut reported, mut broken) = (Vec::new(), 0);
    for (place, scenario) in all.iter().enumerate() {
        let rejections = rejections(scenario, &bar, |run| stream(seed, place, run), runs)?;
        for (question, count) in scenario.questions.iter().zip(rejections) {
            let limit = question.limit.rejections(runs);
            let sign =
                if matches!(question.limit, Limit::AtMost { .. }) { "at most" } else { "at least" };
            let kept = question.limit.holds(count, runs);
            broken += usize::from(!kept);
            let verdict = if kept { "kept" } else { "broken" };
            rows.push(vec![
                question.name.clone(),
                runs.to_string(),
                count.to_string(),
                format!("{sign} {limit}"),
                verdict.to_owned(),
            ]);
            reported.push(
                json!({"scenario": question.name, "runs": runs, "rejections": count, "limit": format!("{sign} {limit}"), "kept": kept}),
            );
        }
    }
    bar.finish_and_clear();
    if json {
        say(json!({"seed": seed, "promises": reported}))?;
    } else {
        say(table(&rows))?;
        say(format!(
            "\nseed {seed}: run r of scenario s draws from stream s * 2^32 + r of it, both counted \
                from 0"
        ))?;
    }
    if broken > 0 {
        bail!("{broken} promises were broken with seed {seed}");
    }
    Ok(())
}

/// Rejections of each question, counted by as many threads as there are processors.
fn rejections(
    scenario: &Scenario,
    bar: &ProgressBar,
    stream: impl Fn(u64) -> Random + Sync,
    runs: u64,
) -> Result<Vec<u64>, Error> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut counts = vec![0; scenario.questions.len()];
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return Ok(counts);
            }
            let answers = scenario.run(&mut stream(run))?;
            counts
                .iter_mut()
                .zip(answers)
                .for_each(|(count, rejected)| *count += u64::from(rejected));
            bar.inc(1);
        }
    };
    let threads = thread::available_parallelism().map_or(1, |count| count.get());
    let parts: Vec<Result<Vec<u64>, Error>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    let mut sum = vec![0; scenario.questions.len()];
    for part in parts {
        sum.iter_mut().zip(part?).for_each(|(sum, count)| *sum += count);
    }
    Ok(sum)
}
