//! Configuration: where and when, never what. File, then environment (`LEADSTREAM__A__B`), then
//! flags; each key has a default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::runtime::log::kafka::{self, Guarantee, Settings};
use crate::runtime::log::{self, TimeSource};
use crate::runtime::registry::{self, Schemas};
use crate::runtime::share::Pace;
use crate::runtime::store::Bounds;
use crate::runtime::worker;

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

/// See [`Config::http`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port; port 0: any free one.
    pub listen: String,
    /// Where other instances reach this one, such as `http://host:8080`; empty: where it listens.
    pub advertised: String,
    /// What instances show each other when they pass a query on, the same in all; empty: no query
    /// is passed on.
    pub peer_token: String,
    /// How long another instance may take for an answer, milliseconds.
    pub peer_timeout_ms: u64,
}

/// See [`Config::log`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Partitions of a new directory, 1 to 1,024.
    pub partitions: u32,
    /// Memory for the log's cache, MiB.
    pub cache_mib: usize,
    /// Days that inputs and outputs are kept; 0: for ever.
    pub retention_days: u32,
    /// Minutes between two passes of compaction and retention; 0: never.
    pub upkeep_minutes: u32,
}

/// See [`Config::kafka`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port,...`; empty: the embedded log.
    pub bootstrap_servers: String,
    /// Consumer group, and first part of transactional ids.
    pub application: String,
    /// Name of this instance, the same after a restart; empty: drawn once and kept in the data
    /// directory.
    pub instance: String,
    /// Static membership: a restart keeps the partitions, leaving takes a session timeout.
    pub static_membership: bool,
    /// Topics that are missing are made.
    pub create_topics: bool,
    /// Partitions of topics that are made.
    pub partitions: u32,
    /// Copies of topics that are made.
    pub replication: u32,
    /// Silence after which the group gives a member's partitions away, milliseconds.
    pub session_timeout_ms: u32,
    /// Age at which the broker aborts a transaction, milliseconds.
    pub transaction_timeout_ms: u32,
    /// Longest time between two commits of offsets, milliseconds: idle partitions commit theirs
    /// again.
    pub renew_offsets_ms: u64,
    /// How long one try to reach the cluster may take, milliseconds.
    pub reach_timeout_ms: u32,
    /// How long `run` waits at its start for a cluster that does not answer, milliseconds; 0: it
    /// ends at once.
    pub start_wait_ms: u64,
    /// Records of one input of one partition that may wait in memory.
    pub buffer_records: usize,
    /// Threads that take partitions, each with transactions of its own.
    pub workers: u32,
    /// Instances that keep a warm copy of each partition beside the one that has it; 0: none.
    pub standbys: u32,
    /// Records of the changelog that an instance reads for its copies in a second at most.
    pub standby_records_per_second: u32,
    /// Before the name of every topic.
    pub topic_prefix: String,
    /// `exactly_once`, or `at_least_once`, with which outputs may come twice after a failure.
    pub guarantee: Guarantee,
    /// Properties of librdkafka, passed on as they are, such as `"security.protocol" = "SASL_SSL"`.
    pub properties: BTreeMap<String, String>,
}

/// See [`Config::schema_registry`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaRegistry {
    /// Where Confluent's API begins; empty: no registry.
    pub url: String,
    /// For basic authentication; empty: none.
    pub username: String,
    /// Its password.
    pub password: String,
    /// How long one request may take, milliseconds.
    pub timeout_ms: u64,
    /// Schemas of others kept in memory.
    pub cached_ids: usize,
}

/// See [`Config::worker`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Interactions of one partition taken before a commit.
    pub commit_records: usize,
    /// Timers fired in one partition before a commit.
    pub commit_timers: usize,
    /// Milliseconds between two commits on Kafka at least.
    pub commit_ms: u64,
    /// What that may grow to while commits are expensive.
    pub commit_ms_max: u64,
    /// Milliseconds between two ticks of a partition.
    pub tick_ms: u64,
    /// Milliseconds between two reports of experiment counts.
    pub report_ms: u64,
    /// Share of dead letters among the newest interactions of a partition beyond which it pauses;
    /// 1: never.
    pub dead_letter_share_max: f64,
    /// How many interactions that looks at.
    pub dead_letter_window: usize,
}

/// See [`Config::state`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Rows of one partition kept in memory.
    pub cached_rows: usize,
    /// Committed rows of one partition that may wait before they are written to the state
    /// directory.
    pub checkpoint_rows: usize,
    /// Memory in which pages of the state directory are kept, MiB, of all partitions together.
    pub pages_mib: u64,
}

/// See [`Config::ingest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Lines appended in one transaction.
    pub lines_per_append: usize,
}

/// See [`Config::logging`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `leadstream=debug`.
    pub level: String,
    /// `json` or `text`.
    pub format: String,
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

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            advertised: String::new(),
            peer_token: String::new(),
            peer_timeout_ms: 2_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        let log::Options { partitions, cache_bytes, .. } = log::Options::default();
        Self { partitions, cache_mib: cache_bytes >> 20, retention_days: 0, upkeep_minutes: 10 }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            application: "leadstream".into(),
            instance: String::new(),
            static_membership: false,
            create_topics: true,
            partitions: 12,
            replication: 3,
            session_timeout_ms: 10_000,
            transaction_timeout_ms: 10_000,
            renew_offsets_ms: millis(worker::Options::default().renew),
            reach_timeout_ms: 8_000,
            start_wait_ms: 300_000,
            buffer_records: 10_000,
            workers: 1,
            standbys: 0,
            standby_records_per_second: 20_000,
            topic_prefix: String::new(),
            guarantee: Guarantee::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
            url: String::new(),
            username: String::new(),
            password: String::new(),
            timeout_ms: 5_000,
            cached_ids: 256,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        let worker::Options { commit_records, commit_timers, tick, report, flood, .. } =
            worker::Options::default();
        Self {
            commit_records,
            commit_timers,
            commit_ms: 3,
            commit_ms_max: 100,
            tick_ms: millis(tick),
            report_ms: millis(report),
            dead_letter_share_max: flood.share_max,
            dead_letter_window: flood.window,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        let Bounds { cached_rows, checkpoint_rows, pages_bytes } = Bounds::default();
        Self { cached_rows, checkpoint_rows, pages_mib: pages_bytes >> 20 }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { lines_per_append: 2_000 }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "warn".into(), format: "text".into() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(Error(vec![format!("{}: no such file", file.display())]));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    let figment =
        figment.merge(Env::prefixed(PREFIX).split("__")).merge(Serialized::defaults(flags));
    let config: Config = figment
        .extract()
        .map_err(|errors| Error(errors.into_iter().map(|error| sentence(&error)).collect()))?;
    let wrong = config.out_of_range();
    if wrong.is_empty() { Ok(config) } else { Err(Error(wrong)) }
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

impl Config {
    fn out_of_range(&self) -> Vec<String> {
        let (worker, kafka) = (&self.worker, &self.kafka);
        let mut wrong = Vec::new();
        let mut check = |holds: bool, sentence: &str| {
            if !holds {
                wrong.push(sentence.to_owned());
            }
        };
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
        check((1..=1_000).contains(&worker.commit_ms), "worker.commit_ms: must be 1 to 1000");
        check(
            (worker.commit_ms..=10_000).contains(&worker.commit_ms_max),
            "worker.commit_ms_max: must be worker.commit_ms to 10000",
        );
        check((1..=1_024).contains(&kafka.partitions), "kafka.partitions: must be 1 to 1024");
        check((1..=10).contains(&kafka.replication), "kafka.replication: must be 1 to 10");
        check(
            (1_000..=1_800_000).contains(&kafka.session_timeout_ms),
            "kafka.session_timeout_ms: must be 1000 to 1800000",
        );
        check(
            (1..=60_000).contains(&self.http.peer_timeout_ms),
            "http.peer_timeout_ms: must be 1 to 60000",
        );
        check(kafka.start_wait_ms <= 86_400_000, "kafka.start_wait_ms: must be 0 to 86400000");
        check(
            (1_000..=900_000).contains(&kafka.transaction_timeout_ms),
            "kafka.transaction_timeout_ms: must be 1000 to 900000",
        );
        check(
            (100..=86_400_000).contains(&kafka.renew_offsets_ms),
            "kafka.renew_offsets_ms: must be 100 to 86400000",
        );
        check(
            (100..=600_000).contains(&kafka.reach_timeout_ms),
            "kafka.reach_timeout_ms: must be 100 to 600000",
        );
        check((1..=256).contains(&kafka.workers), "kafka.workers: must be 1 to 256");
        check(kafka.standbys <= 100, "kafka.standbys: must be 0 to 100");
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
        check((10..=60_000).contains(&worker.tick_ms), "worker.tick_ms: must be 10 to 60000");
        check((10..=600_000).contains(&worker.report_ms), "worker.report_ms: must be 10 to 600000");
        check(
            (0.0..=1.0).contains(&worker.dead_letter_share_max),
            "worker.dead_letter_share_max: must be 0 to 1",
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
            (16..=1_048_576).contains(&self.state.pages_mib),
            "state.pages_mib: must be 16 to 1048576",
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
            application: kafka.application,
            instance,
            is_static: kafka.static_membership,
            partitions: kafka.partitions,
            replication: kafka.replication.cast_signed(),
            creates_topics: kafka.create_topics,
            session_timeout_ms: kafka.session_timeout_ms,
            transaction_timeout_ms: kafka.transaction_timeout_ms,
            reach_timeout_ms: kafka.reach_timeout_ms,
            buffer_records: kafka.buffer_records,
            workers: kafka.workers,
            standbys: kafka.standbys,
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
            [self.worker.commit_ms, self.worker.commit_ms_max].map(Duration::from_millis);
        Pace { shortest, longest }
    }

    /// The worker's part.
    #[must_use]
    pub fn worker_options(&self) -> worker::Options {
        let State { cached_rows, checkpoint_rows, pages_mib } = self.state;
        worker::Options {
            commit_records: self.worker.commit_records,
            commit_timers: self.worker.commit_timers,
            tick: Duration::from_millis(self.worker.tick_ms),
            report: Duration::from_millis(self.worker.report_ms),
            renew: Duration::from_millis(self.kafka.renew_offsets_ms),
            flood: worker::Limit {
                share_max: self.worker.dead_letter_share_max,
                window: self.worker.dead_letter_window,
            },
            bounds: Bounds { cached_rows, checkpoint_rows, pages_bytes: pages_mib << 20 },
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
        let text = include_str!("../../deploy/config.example.toml");
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
