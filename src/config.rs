//! Configuration: where and when, never what. File, then environment (`LEADSTREAM__A__B`), then
//! flags; each key has a default.

pub mod sections;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

use crate::config::sections::{Http, Ingest, Kafka, Log, Logging, SchemaRegistry, State, Worker};
use crate::engine::kafka_loop::Pace;
use crate::engine::store::Bounds;
use crate::engine::worker;
use crate::log::kafka::{self, Settings};
use crate::log::registry::{self, Schemas};
use crate::log::{self, TimeSource};

/// Prefix of environment variables.
const PREFIX: &str = "LEADSTREAM__";

/// Everything that can be configured; the example file in `deploy/` explains each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the log and the state are kept.
    pub data_dir: PathBuf,
    /// The HTTP server.
    pub http: Http,
    /// The embedded log.
    pub log: Log,
    /// Kafka, which takes the place of the embedded log where servers are named.
    pub kafka: Kafka,
    /// The schema registry.
    pub schema_registry: SchemaRegistry,
    /// The worker.
    pub worker: Worker,
    /// The state store.
    pub state: State,
    /// Files that are ingested.
    pub ingest: Ingest,
    /// What the process says of itself.
    pub logging: Logging,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            http: Http::default(),
            log: Log::default(),
            kafka: Kafka::default(),
            schema_registry: SchemaRegistry::default(),
            worker: Worker::default(),
            state: State::default(),
            ingest: Ingest::default(),
            logging: Logging::default(),
        }
    }
}

/// Why a configuration was refused: where it stands, which key, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Error(Vec<String>);

/// Flags that override file and environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// See [`Config::data_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

/// Reads the configuration.
///
/// # Errors
/// [`Error`] with one sentence per wrong key.
pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Config, Error> {
    let defaults = Figment::from(Serialized::defaults(Config::default()));
    let keys = Keys::of(&defaults);
    let mut figment = defaults;
    if let Some(file) = file {
        if file.is_dir() {
            return Err(Error(vec![format!(
                "{}: is a directory: name the configuration file in it",
                file.display()
            )]));
        }
        if !file.is_file() {
            return Err(Error(vec![format!("{}: no such file", file.display())]));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(Env::prefixed(PREFIX).split("__"));
    let mut misspelled = Vec::new();
    for (name, value) in std::env::vars() {
        if let Some(key) = name.strip_prefix(PREFIX) {
            // What is meant as text is taken as it stands: a password may look like a number.
            let path = key.to_lowercase().replace("__", ".");
            if keys.texts.contains(&path) {
                figment = figment.merge((path, value));
            }
        } else if let Some(right) = keys.meant(&name) {
            misspelled.push(format!("{name}: is not read: call it {right}"));
        }
    }
    if !misspelled.is_empty() {
        return Err(Error(misspelled));
    }
    let figment = figment.merge(Serialized::defaults(flags));
    let config: Config = figment
        .extract()
        .map_err(|errors| Error(errors.into_iter().map(|error| sentence(&error)).collect()))?;
    let wrong = config.out_of_range();
    if wrong.is_empty() { Ok(config) } else { Err(Error(wrong)) }
}

/// Every key that there is, as a path with dots.
struct Keys {
    all: Vec<String>,
    /// Those whose value is text.
    texts: BTreeSet<String>,
}

impl Keys {
    fn of(defaults: &Figment) -> Self {
        let mut keys = Self { all: Vec::new(), texts: BTreeSet::new() };
        if let Ok(root) = defaults.extract::<Dict>() {
            keys.add("", &root);
        }
        keys
    }

    fn add(&mut self, above: &str, keys: &Dict) {
        for (name, value) in keys {
            let path = format!("{above}{name}");
            match value {
                Value::Dict(_, below) => self.add(&format!("{path}."), below),
                _ => self.all.push(path.clone()),
            }
            if value.as_str().is_some() {
                self.texts.insert(path);
            }
        }
    }

    /// How a variable would have to be called that lacks underscores.
    fn meant(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("LEADSTREAM_")?.to_lowercase();
        let key = self.all.iter().find(|key| key.replace('.', "_") == name)?;
        Some(format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()))
    }
}

/// Where, which key, and what to do about it.
fn sentence(error: &figment::Error) -> String {
    let source =
        error.metadata.as_ref().map_or_else(String::new, |metadata| match &metadata.source {
            Some(figment::Source::File(path)) => format!("{}: ", path.display()),
            _ => format!("{}: ", metadata.name),
        });
    let mut path = error.path.clone();
    match &error.kind {
        Kind::UnknownField(name, expected) => {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            let near = expected.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name))
            });
            let hint = near.map_or_else(String::new, |near| {
                let parent = path[..path.len() - 1]
                    .iter()
                    .map(|part| format!("{part}."))
                    .collect::<String>();
                format!("; the nearest known key is {parent}{near}")
            });
            format!("{source}unknown key {}{hint}", path.join("."))
        }
        // What was found may be a secret that stands in the wrong place.
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("{source}{}: must be {expected}", path.join("."))
        }
        // A parser shows the line that it does not understand, between what is wrong and where.
        Kind::Message(text) if text.contains('|') => {
            let plain =
                text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
            format!("{source}{}", plain.collect::<Vec<_>>().join(": "))
        }
        other => format!("{source}{}: {other}", path.join(".")),
    }
}

/// Whether each part of a filter is a level, or a module with one.
fn is_filter(text: &str) -> bool {
    let level = |word: &str| {
        ["error", "warn", "info", "debug", "trace", "off"].contains(&word.to_lowercase().as_str())
    };
    text.split(',').all(|part| level(part.rsplit('=').next().unwrap_or_default().trim()))
}

impl Config {
    #[expect(clippy::too_many_lines, reason = "a list of checks, one for each key")]
    fn out_of_range(&self) -> Vec<String> {
        let (worker, kafka) = (&self.worker, &self.kafka);
        let mut wrong = Vec::new();
        let mut check = |holds: bool, sentence: &str| {
            if !holds {
                wrong.push(sentence.to_owned());
            }
        };
        check(
            is_filter(&self.logging.level),
            "logging.level: must be error, warn, info, debug, trace or off, also by module such as \
                leadstream::engine=debug, with commas between them",
        );
        check(!self.data_dir.as_os_str().is_empty(), "data_dir: must not be empty");
        check((1..=1_024).contains(&self.log.partitions), "log.partitions: must be 1 to 1024");
        check((1..=65_536).contains(&self.log.cache_mib), "log.cache_mib: must be 1 to 65536");
        check(
            (1..=100_000).contains(&worker.commit_records),
            "worker.commit_records: must be 1 to 100000",
        );
        check(
            (1..=100_000).contains(&worker.commit_timers),
            "worker.commit_timers: must be 1 to 100000",
        );
        check(
            (1..=1_000).contains(&worker.commit_interval_ms_min),
            "worker.commit_interval_ms_min: must be 1 to 1000",
        );
        check(
            (worker.commit_interval_ms_min..=10_000).contains(&worker.commit_interval_ms_max),
            "worker.commit_interval_ms_max: must be worker.commit_interval_ms_min to 10000",
        );
        check((1..=1_024).contains(&kafka.partitions), "kafka.partitions: must be 1 to 1024");
        check(
            (1..=10).contains(&kafka.replication_factor),
            "kafka.replication_factor: must be 1 to 10",
        );
        check(
            (1_000..=1_800_000).contains(&kafka.session_timeout_ms),
            "kafka.session_timeout_ms: must be 1000 to 1800000",
        );
        check(
            (1..=60_000).contains(&self.http.peer_timeout_ms),
            "http.peer_timeout_ms: must be 1 to 60000",
        );
        check(
            (8..=100_000).contains(&self.http.connections_max),
            "http.connections_max: must be 8 to 100000",
        );
        check(
            kafka.startup_timeout_ms <= 86_400_000,
            "kafka.startup_timeout_ms: must be 0 to 86400000",
        );
        check(
            (1_000..=900_000).contains(&kafka.transaction_timeout_ms),
            "kafka.transaction_timeout_ms: must be 1000 to 900000",
        );
        check(
            (100..=86_400_000).contains(&kafka.idle_offset_commit_interval_ms),
            "kafka.idle_offset_commit_interval_ms: must be 100 to 86400000",
        );
        check(
            (100..=600_000).contains(&kafka.connect_timeout_ms),
            "kafka.connect_timeout_ms: must be 100 to 600000",
        );
        check((1..=256).contains(&kafka.num_threads), "kafka.num_threads: must be 1 to 256");
        check(kafka.num_standby_replicas <= 100, "kafka.num_standby_replicas: must be 0 to 100");
        check(
            (100..=10_000_000).contains(&kafka.standby_records_per_second),
            "kafka.standby_records_per_second: must be 100 to 10000000",
        );
        check(
            (100..=1_000_000).contains(&kafka.buffer_records),
            "kafka.buffer_records: must be 100 to 1000000",
        );
        let registry = &self.schema_registry;
        check(
            registry.url.is_empty() || registry::is_address(&registry.url),
            "schema_registry.url: must be http://host:port or https://host with the path of the \
                API, and without a name and password",
        );
        check(
            (100..=30_000).contains(&registry.timeout_ms),
            "schema_registry.timeout_ms: must be 100 to 30000",
        );
        check(
            (1..=10_000).contains(&registry.cached_ids),
            "schema_registry.cached_ids: must be 1 to 10000",
        );
        check(
            (10..=60_000).contains(&worker.punctuate_interval_ms),
            "worker.punctuate_interval_ms: must be 10 to 60000",
        );
        check((10..=600_000).contains(&worker.report_ms), "worker.report_ms: must be 10 to 600000");
        check(
            (0.0..=1.0).contains(&worker.dead_letter_ratio_max),
            "worker.dead_letter_ratio_max: must be 0 to 1",
        );
        check(
            (1..=100_000).contains(&worker.dead_letter_window),
            "worker.dead_letter_window: must be 1 to 100000",
        );
        check(
            (1..=10_000_000).contains(&self.state.cached_rows),
            "state.cached_rows: must be 1 to 10000000",
        );
        check(
            (1..=1_000_000).contains(&self.state.checkpoint_rows),
            "state.checkpoint_rows: must be 1 to 1000000",
        );
        check(
            (16..=1_048_576).contains(&self.state.cache_mib),
            "state.cache_mib: must be 16 to 1048576",
        );
        check(
            (1..=100_000).contains(&self.ingest.lines_per_append),
            "ingest.lines_per_append: must be 1 to 100000",
        );
        check(
            matches!(self.logging.format.as_str(), "json" | "text"),
            "logging.format: must be json or text",
        );
        check(
            self.http.listen.parse::<std::net::SocketAddr>().is_ok(),
            "http.listen: must be an address with a port, such as 127.0.0.1:8080",
        );
        wrong
    }

    /// Kafka's part; `None`: the embedded log.
    ///
    /// # Errors
    /// When the name of the instance cannot be kept in the data directory.
    pub fn kafka_settings(&self) -> std::io::Result<Option<Settings>> {
        if self.kafka.bootstrap_servers.is_empty() {
            return Ok(None);
        }
        let instance = if self.kafka.instance.is_empty() {
            self.instance_name()?
        } else {
            self.kafka.instance.clone()
        };
        Ok(self.kafka_settings_as(instance))
    }

    /// The same under a name that is not kept.
    #[must_use]
    pub fn kafka_settings_as(&self, instance: String) -> Option<Settings> {
        let kafka = self.kafka.clone();
        (!kafka.bootstrap_servers.is_empty()).then_some(Settings {
            bootstrap_servers: kafka.bootstrap_servers,
            application_id: kafka.application_id,
            instance,
            is_static: kafka.static_membership,
            partitions: kafka.partitions,
            replication_factor: kafka.replication_factor.cast_signed(),
            creates_topics: kafka.create_topics,
            session_timeout_ms: kafka.session_timeout_ms,
            transaction_timeout_ms: kafka.transaction_timeout_ms,
            connect_timeout_ms: kafka.connect_timeout_ms,
            buffer_records: kafka.buffer_records,
            num_threads: kafka.num_threads,
            num_standby_replicas: kafka.num_standby_replicas,
            standby_records_per_second: kafka.standby_records_per_second,
            topic_prefix: kafka.topic_prefix,
            guarantee: kafka.guarantee,
            properties: kafka.properties,
        })
    }

    /// The same with secrets masked, to be shown.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        shown.kafka.properties = kafka::masked(&self.kafka.properties);
        if !shown.http.peer_token.is_empty() {
            shown.http.peer_token = "***".to_owned();
        }
        if !shown.schema_registry.password.is_empty() {
            shown.schema_registry.password = "***".to_owned();
        }
        shown
    }

    /// The schema registry's part; `None`: no registry.
    #[must_use]
    pub fn registry_settings(&self) -> Option<registry::Settings> {
        let SchemaRegistry { url, username, password, timeout_ms, cached_ids } =
            self.schema_registry.clone();
        let (url, timeout) =
            (url.trim_end_matches('/').to_owned(), Duration::from_millis(timeout_ms));
        (!url.is_empty()).then_some(registry::Settings {
            url,
            username,
            password,
            timeout,
            cached_ids,
        })
    }

    /// The name that was drawn when the data directory was made.
    fn instance_name(&self) -> std::io::Result<String> {
        let file = self.data_dir.join("instance");
        std::fs::create_dir_all(&self.data_dir)?;
        if let Ok(name) = std::fs::read_to_string(&file)
            && !name.trim().is_empty()
        {
            return Ok(name.trim().to_owned());
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        std::fs::write(&file, &name)?;
        Ok(name)
    }

    /// The log's part.
    #[must_use]
    pub fn log_options(&self, time: TimeSource) -> log::Options {
        log::Options {
            partitions: self.log.partitions,
            cache_bytes: self.log.cache_mib << 20,
            time,
        }
    }

    /// How often a worker commits on Kafka.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let [shortest, longest] =
            [self.worker.commit_interval_ms_min, self.worker.commit_interval_ms_max]
                .map(Duration::from_millis);
        Pace { shortest, longest }
    }

    /// The worker's part.
    #[must_use]
    pub fn worker_options(&self) -> worker::Options {
        let State { cached_rows, checkpoint_rows, cache_mib } = self.state;
        worker::Options {
            commit_records: self.worker.commit_records,
            commit_timers: self.worker.commit_timers,
            tick: Duration::from_millis(self.worker.punctuate_interval_ms),
            report: Duration::from_millis(self.worker.report_ms),
            renew: Duration::from_millis(self.kafka.idle_offset_commit_interval_ms),
            breaker: worker::BreakerLimit {
                ratio_max: self.worker.dead_letter_ratio_max,
                window: self.worker.dead_letter_window,
            },
            bounds: Bounds { cached_rows, checkpoint_rows, pages_bytes: cache_mib << 20 },
            schemas: Schemas::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leadstream.toml");
        std::fs::write(&file, text).unwrap();
        load(Some(&file), &Flags::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_file_names_every_key_with_its_default() {
        let text = include_str!("../deploy/config.example.toml");
        assert_eq!(read(text).unwrap(), Config::default());
        let example: toml::Table = text.parse().unwrap();
        let defaults: toml::Table = toml::to_string(&Config::default()).unwrap().parse().unwrap();
        assert_eq!(example, defaults);
        let explained = text
            .lines()
            .zip(text.lines().skip(1))
            .filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'));
        for (before, line) in explained {
            assert!(before.starts_with("# "), "{line} is not explained");
        }
    }

    #[test]
    fn an_unknown_key_names_file_path_and_nearest_key() {
        let error = read("[worker]\ncommit_record = 5\n").unwrap_err();
        for part in ["leadstream.toml", "worker.commit_record", "worker.commit_records"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(read("[log]\npartitions = 0\n").unwrap_err().contains("log.partitions"));
        assert!(read("[log]\npartitions = \"many\"\n").unwrap_err().contains("log.partitions"));
        assert!(read("[http]\nlisten = \"here\"\n").unwrap_err().contains("http.listen"));
        assert!(
            load(Some(Path::new("no-such.toml")), &Flags::default())
                .unwrap_err()
                .to_string()
                .contains("no-such.toml")
        );
    }

    #[test]
    fn the_registry_s_password_is_not_shown_and_cannot_stand_in_its_address() {
        let config = read(
            "[schema_registry]\nurl = \"https://r/api/\"\nusername = \"u\"\npassword \
            = \"geheim\"\n",
        )
        .unwrap();
        assert!(!toml::to_string(&config.masked()).unwrap().contains("geheim"));
        assert!(config.registry_settings().is_some_and(
            |settings| settings.url == "https://r/api" && settings.password == "geheim"
        ));
        for url in ["r:8081", "ftp://r", "http://u:geheim@r", "http://", "http://r/?a=b"] {
            let error = read(&format!("[schema_registry]\nurl = \"{url}\"\n")).unwrap_err();
            assert!(error.contains("schema_registry.url") && !error.contains("geheim"), "{error}");
        }
        assert!(read("").unwrap().registry_settings().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_without_the_secrets_in_it() {
        for text in [
            "[kafka.properties]\n\"sasl.password\" = geheim\n",
            "[schema_registry]\npassword = [\"geheim\"]\n",
            "[kafka]\nproperties = \"geheim\"\n",
            "[log]\npartitions = \"geheim\"\n",
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("leadstream.toml") && !error.contains("geheim"), "{error}");
        }
        assert!(read("[log]\n[log]\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn flags_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "data_dir = \"a\"\n[log]\npartitions = 7\n").unwrap();
        let config = load(Some(&file), &Flags { data_dir: Some("b".into()) }).unwrap();
        assert_eq!((config.data_dir, config.log.partitions), ("b".into(), 7));
    }
}
