//! Looks at everything that an instance depends on, changes nothing, and says what to do about what
//! it finds.
//!
//! Every check runs, on a thread of its own, also where everything is down; what has not answered
//! in time is told as that.

mod cluster;

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::app::address::Address;
use crate::app::doctor::cluster::{access, broker, clock, cluster, group, is_plain, look};
use crate::config::Config;
use crate::engine::store::free_bytes;
use crate::engine::worker::state_directory;
use crate::log::kafka::Settings;
use crate::log::{Embedded, Error, chain, registry};

/// How long all checks may take together.
const ALL: Duration = Duration::from_millis(4_500);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(2);
/// Free space below which the log or the state may soon be full, bytes.
const FREE_BYTES: [u64; 2] = [100 << 20, 1 << 30];
/// librdkafka before this one lost assignments in a cooperative rebalance.
const LIBRDKAFKA_MIN: i32 = 0x020a_0000;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it has to be.
    Ok,
    /// It works, and should be looked at.
    Warn,
    /// An instance cannot work so.
    Fail,
}

impl Grade {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it came out.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        check: impl Into<String>,
        grade: Grade,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check: check.into(), grade, found: found.into(), remedy: remedy.into() }
    }
}

fn fine(check: &str, found: impl Into<String>) -> Vec<Finding> {
    vec![Finding::new(check, Grade::Ok, found, "")]
}

fn failed(check: &str, found: impl Into<String>, remedy: &str) -> Vec<Finding> {
    vec![Finding::new(check, Grade::Fail, found, remedy)]
}

type Check = (String, Box<dyn FnOnce() -> Vec<Finding> + Send>);

/// What is asked of a cluster, and under which name.
type Question = fn(&Settings, &'static str) -> Vec<Finding>;

/// Runs every check and gives what they found, in the order in which they are told.
#[must_use]
pub fn examine(config: &Config) -> Vec<Finding> {
    let checks = checks(config);
    let names: Vec<String> = checks.iter().map(|(name, _)| name.clone()).collect();
    let (tell, reported) = channel();
    for (place, (_, check)) in checks.into_iter().enumerate() {
        let tell = tell.clone();
        // Nobody listens to one that comes too late.
        std::thread::spawn(move || tell.send((place, check())).ok());
    }
    drop(tell);
    let mut found: Vec<Option<Vec<Finding>>> = vec![None; names.len()];
    let until = Instant::now() + ALL;
    while let Ok((place, findings)) =
        reported.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        found[place] = Some(findings);
    }
    let silent = |name: &String| {
        failed(
            name,
            format!("no answer within {ALL:?}"),
            "look at what stands above, then run doctor again",
        )
    };
    names
        .iter()
        .zip(found)
        .flat_map(|(name, findings)| findings.unwrap_or_else(|| silent(name)))
        .collect()
}

fn checks(config: &Config) -> Vec<Check> {
    let data = config.data_dir.clone();
    let state = state_directory(&data);
    let mut checks: Vec<Check> = Vec::new();
    let mut add = |name: &str, check: Box<dyn FnOnce() -> Vec<Finding> + Send>| {
        checks.push((name.to_owned(), check))
    };
    let path = state.clone();
    add("state directory", Box::new(move || directory(&path)));
    add("free space", Box::new(move || space(&state)));
    if config.kafka.bootstrap_servers.is_empty() {
        let data = data.clone();
        add("log", Box::new(move || embedded(&data)));
    }
    add("instance", Box::new(move || instance(&data)));
    let named = Some(config.kafka.instance.clone()).filter(|name| !name.is_empty());
    if let Some(settings) = config.kafka_settings_as(named.unwrap_or_else(|| "doctor".to_owned())) {
        add("librdkafka", Box::new(library));
        for server in settings.bootstrap_servers.split(',').map(str::trim) {
            let (name, server, is_plain) =
                (format!("broker {server}"), server.to_owned(), is_plain(&settings));
            add(&name.clone(), Box::new(move || broker(&name, &server, is_plain)));
        }
        let asked: [(&str, Question); 5] = [
            ("cluster", cluster),
            ("topics", look),
            ("access", access),
            ("group", group),
            ("clock", clock),
        ];
        for (name, ask) in asked {
            let settings = settings.clone();
            add(name, Box::new(move || ask(&settings, name)));
        }
    }
    let registry = config.registry_settings();
    add("schema registry", Box::new(move || schemas(registry)));
    checks
}

/// Whether a directory, or where it would be made, can be written.
fn directory(state: &Path) -> Vec<Finding> {
    let name = "state directory";
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(&path);
    let trial = there.join(format!("leadstream-doctor-{}", std::process::id()));
    let wrote = std::fs::write(&trial, b"x").and_then(|()| std::fs::remove_file(&trial));
    match wrote {
        Ok(()) if there == path => fine(name, format!("{} can be written", path.display())),
        Ok(()) => fine(name, format!("{} can be made", path.display())),
        Err(error) => failed(
            name,
            format!("{}: {error}", there.display()),
            "make it writable, or name another place with data_dir",
        ),
    }
}

fn space(state: &Path) -> Vec<Finding> {
    let name = "free space";
    let Some(free) = free_bytes(state) else {
        return vec![Finding::new(
            name,
            Grade::Warn,
            "cannot be told",
            "see that the data directory can be made",
        )];
    };
    let [least, enough] = FREE_BYTES;
    let found = format!("{} MiB for {}", free >> 20, state.display());
    let remedy = "make room, or name another place with data_dir";
    match free {
        _ if free < least => failed(name, found, remedy),
        _ if free < enough => vec![Finding::new(name, Grade::Warn, found, remedy)],
        _ => fine(name, found),
    }
}

/// The embedded log.
fn embedded(data: &Path) -> Vec<Finding> {
    let name = "log";
    match Embedded::check(data) {
        Ok(None) => fine(name, "none yet: the first command makes it"),
        Ok(Some(partitions)) => fine(name, format!("can be read, {partitions} partitions")),
        Err(Error::InUse) => fine(name, "an instance has it open"),
        Err(error) => {
            let remedy =
                "put log.redb back from a backup; docs/how-to/respond-to-alerts.md has the steps";
            failed(name, chain(&error), remedy)
        }
    }
}

/// The instance that runs on the data directory, as it says itself.
fn instance(data: &Path) -> Vec<Finding> {
    let name = "instance";
    let Some(address) = Address::read(data) else {
        return fine(name, "none runs on this data directory");
    };
    let asked = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(ASK).build()?;
            let answer = client.get(format!("{}/readyz", address.url)).send().await?;
            let is_ready = answer.status().is_success();
            Ok::<_, reqwest::Error>((is_ready, answer.text().await?))
        })
    });
    match asked {
        Ok(Ok((true, _))) => fine(name, format!("{} is ready", address.url)),
        Ok(Ok((false, why))) => {
            failed(name, format!("{} is not ready: {}", address.url, why.trim()), "do what it says")
        }
        Ok(Err(_)) => {
            let found = format!("none answers at {}, where one was", address.url);
            vec![Finding::new(name, Grade::Warn, found, "start it again with `leadstream run`")]
        }
        Err(error) => failed(name, error.to_string(), "free memory or threads of this machine"),
    }
}

fn library() -> Vec<Finding> {
    let (number, version) = rdkafka::util::get_rdkafka_version();
    if number >= LIBRDKAFKA_MIN {
        fine("librdkafka", version)
    } else {
        failed(
            "librdkafka",
            version,
            "build with 2.10 or newer: older ones lose partitions in a rebalance",
        )
    }
}

fn schemas(settings: Option<registry::Settings>) -> Vec<Finding> {
    let name = "schema registry";
    let Some(settings) = settings else {
        return fine(name, "none is configured: values are single-object encoded");
    };
    let url = settings.url.clone();
    let standings = match registry::survey(&registry::Settings {
        timeout: settings.timeout.min(ASK),
        ..settings
    }) {
        Ok(standings) => standings,
        Err(error) => {
            return failed(
                name,
                chain(&error),
                "start it, or correct schema_registry.url, username and password",
            );
        }
    };
    let of = |wanted: registry::Subject| -> String {
        let subjects = standings
            .iter()
            .filter(|(_, standing)| *standing == wanted)
            .map(|(subject, _)| subject.as_str());
        subjects.collect::<Vec<_>>().join(", ")
    };
    let reported = [
        (
            registry::Subject::Refused,
            Grade::Fail,
            "takes no schema of ours as",
            "compare `leadstream schemas` with what the subject has",
        ),
        (
            registry::Subject::Missing,
            Grade::Fail,
            "does not have",
            "run `leadstream schemas register`",
        ),
        (
            registry::Subject::Loose,
            Grade::Warn,
            "asks for less than full compatibility of",
            "run `leadstream schemas register`",
        ),
    ];
    let findings: Vec<Finding> = reported
        .into_iter()
        .map(|(standing, grade, what, remedy)| (of(standing), grade, what, remedy))
        .filter(|(subjects, ..)| !subjects.is_empty())
        .map(|(subjects, grade, what, remedy)| {
            Finding::new(name, grade, format!("{url} {what} {subjects}"), remedy)
        })
        .collect();
    if findings.is_empty() {
        fine(name, format!("{url} has all {} schemas", standings.len()))
    } else {
        findings
    }
}
