//! The sections of the configuration with their defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::store::Bounds;
use crate::engine::worker;
use crate::log::kafka::Guarantee;
use crate::log::{self};

/// See [`crate::config::Config::http`].
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
    /// Connections at once; more wait.
    pub connections_max: usize,
}

/// See [`crate::config::Config::log`].
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
    pub cleanup_interval_minutes: u32,
}

/// See [`crate::config::Config::kafka`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port,...`; empty: the embedded log.
    pub bootstrap_servers: String,
    /// Consumer group, and first part of transactional ids.
    pub application_id: String,
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
    pub replication_factor: u32,
    /// Silence after which the group gives a member's partitions away, milliseconds.
    pub session_timeout_ms: u32,
    /// Age at which the broker aborts a transaction, milliseconds.
    pub transaction_timeout_ms: u32,
    /// Longest time between two commits of offsets, milliseconds: idle partitions commit theirs
    /// again.
    pub idle_offset_commit_interval_ms: u64,
    /// How long one try to reach the cluster may take, milliseconds.
    pub connect_timeout_ms: u32,
    /// How long `run` waits at its start for a cluster that does not answer, milliseconds; 0: it
    /// ends at once.
    pub startup_timeout_ms: u64,
    /// Records of one input of one partition that may wait in memory.
    pub buffer_records: usize,
    /// Threads that take partitions, each with transactions of its own.
    pub num_threads: u32,
    /// Instances that keep a warm copy of each partition beside the one that has it; 0: none.
    pub num_standby_replicas: u32,
    /// Records of the changelog that an instance reads for its copies in a second at most.
    pub standby_records_per_second: u32,
    /// Before the name of every topic.
    pub topic_prefix: String,
    /// `exactly_once`, or `at_least_once`, with which outputs may come twice after a failure.
    pub guarantee: Guarantee,
    /// Properties of librdkafka, passed on as they are, such as `"security.protocol" = "SASL_SSL"`.
    pub properties: BTreeMap<String, String>,
}

/// See [`crate::config::Config::schema_registry`].
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

/// See [`crate::config::Config::worker`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Interactions of one partition taken before a commit.
    pub commit_records: usize,
    /// Timers fired in one partition before a commit.
    pub commit_timers: usize,
    /// Milliseconds between two commits on Kafka at least.
    pub commit_interval_ms_min: u64,
    /// What that may grow to while commits are expensive.
    pub commit_interval_ms_max: u64,
    /// Milliseconds between two ticks of a partition.
    pub punctuate_interval_ms: u64,
    /// Milliseconds between two reports of experiment counts.
    pub report_ms: u64,
    /// Share of dead letters among the newest interactions of a partition beyond which it pauses;
    /// 1: never.
    pub dead_letter_ratio_max: f64,
    /// How many interactions that looks at.
    pub dead_letter_window: usize,
}

/// See [`crate::config::Config::state`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Rows of one partition kept in memory.
    pub cached_rows: usize,
    /// Committed rows of one partition that may wait before they are written to the state
    /// directory.
    pub checkpoint_rows: usize,
    /// Memory in which pages of the state directory are kept, MiB, of all partitions together.
    pub cache_mib: u64,
}

/// See [`crate::config::Config::ingest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Lines appended in one transaction.
    pub lines_per_append: usize,
}

/// See [`crate::config::Config::logging`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `leadstream=debug`.
    pub level: String,
    /// `json` or `text`.
    pub format: String,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            advertised: String::new(),
            peer_token: String::new(),
            peer_timeout_ms: 2_000,
            connections_max: 512,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        let log::Options { partitions, cache_bytes, .. } = log::Options::default();
        Self {
            partitions,
            cache_mib: cache_bytes >> 20,
            retention_days: 0,
            cleanup_interval_minutes: 10,
        }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            application_id: "leadstream".into(),
            instance: String::new(),
            static_membership: false,
            create_topics: true,
            partitions: 12,
            replication_factor: 3,
            session_timeout_ms: 10_000,
            transaction_timeout_ms: 10_000,
            idle_offset_commit_interval_ms: millis(worker::Options::default().renew),
            connect_timeout_ms: 8_000,
            startup_timeout_ms: 300_000,
            buffer_records: 10_000,
            num_threads: 1,
            num_standby_replicas: 0,
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
        let worker::Options { commit_records, commit_timers, tick, report, breaker, .. } =
            worker::Options::default();
        Self {
            commit_records,
            commit_timers,
            commit_interval_ms_min: 3,
            commit_interval_ms_max: 100,
            punctuate_interval_ms: millis(tick),
            report_ms: millis(report),
            dead_letter_ratio_max: breaker.ratio_max,
            dead_letter_window: breaker.window,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        let Bounds { cached_rows, checkpoint_rows, pages_bytes } = Bounds::default();
        Self { cached_rows, checkpoint_rows, cache_mib: pages_bytes >> 20 }
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

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
