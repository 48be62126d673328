//! How the cluster is reached: what each client is told, and what is shown of it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};

use crate::log::Error;
use crate::log::kafka::failed;

/// Bytes of one record with its key and headers.
pub(crate) const RECORD_BYTES_MAX: usize = 4 << 20;
/// Bytes of one record of an input: what is kept of it as a dead letter has headers too.
pub(crate) const INPUT_BYTES_MAX: usize = RECORD_BYTES_MAX - (64 << 10);
/// Milliseconds after which a request that got no answer is sent again. Chosen: far above what a
/// commit takes, so that a slow one is told from one that was sent twice.
pub(crate) const RETRY_BACKOFF_MS: u64 = 250;
/// Parts of the name of a property, also of a misspelt one, whose value is not shown.
const SECRET: [&str; 4] = ["pass", "secret", "pem", "oauthbearer"];

/// How a cluster is reached and how this instance behaves in it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port,...`.
    pub bootstrap_servers: String,
    /// Consumer group, and first part of transactional ids.
    pub application_id: String,
    /// This instance: the same after a restart, so that a transaction it left open is ended at
    /// once.
    pub instance: String,
    /// A restarted instance takes its partitions back without a rebalance; leaving then takes a
    /// session timeout.
    pub is_static: bool,
    /// Partitions of topics that are made.
    pub partitions: u32,
    /// Copies of topics that are made.
    pub replication_factor: i32,
    /// Topics that are missing are made.
    pub creates_topics: bool,
    /// Silence after which the group gives a member's partitions away, milliseconds.
    pub session_timeout_ms: u32,
    /// Age at which the broker aborts a transaction, milliseconds.
    pub transaction_timeout_ms: u32,
    /// How long one try to reach the cluster may take, milliseconds.
    pub connect_timeout_ms: u32,
    /// Records of one input of one partition that may wait in memory.
    pub buffer_records: usize,
    /// Workers of an instance, each with its partitions and transactions.
    pub num_threads: u32,
    /// Instances that keep a copy of each partition beside the one that has it.
    pub num_standby_replicas: u32,
    /// Records of the changelog that an instance reads for its copies in a second at most.
    pub standby_records_per_second: u32,
    /// Before the name of every topic.
    pub topic_prefix: String,
    /// What a commit promises.
    pub guarantee: Guarantee,
    /// Passed on to librdkafka as they are.
    pub properties: BTreeMap<String, String>,
}

/// What a commit promises after a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Outputs, state and offsets change together or not at all.
    #[default]
    ExactlyOnce,
    /// Outputs may come twice; no transactions are made.
    AtLeastOnce,
}

impl Settings {
    /// The name that a topic has in the cluster.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix)
    }

    /// What every client is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string());
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config.set("group.id", group).set("isolation.level", "read_committed");
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        config.set("fetch.wait.max.ms", "5");
        config
    }

    /// A producer that writes each record once, in order.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", self.transaction_timeout_ms.to_string());
        config
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "1000000");
        config
    }

    /// The same with transactions of an id of this application.
    pub(crate) fn transactional(&self, id: &str) -> ClientConfig {
        let mut config = self.producer();
        config.set("transactional.id", format!("{}-{id}", self.application_id));
        config.set("transaction.timeout.ms", self.transaction_timeout_ms.to_string());
        config.set("retry.backoff.ms", RETRY_BACKOFF_MS.to_string());
        config
    }

    /// A consumer outside the group, which tells where partitions end.
    pub(crate) fn reader(&self, name: &str, isolation: Isolation) -> Result<BaseConsumer, Error> {
        let mut config =
            self.consumer(&format!("{}-{name}-{}", self.application_id, self.instance));
        if isolation == Isolation::Uncommitted {
            config.set("isolation.level", "read_uncommitted");
        }
        config.set("enable.partition.eof", "true");
        make(&config, name)
    }
}

/// What a consumer sees of open and aborted transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing.
    Committed,
    /// Everything.
    Uncommitted,
}

/// Properties with secrets masked.
#[must_use]
pub fn masked(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_secret = |name: &str| SECRET.iter().any(|word| name.contains(word));
    properties
        .iter()
        .map(|(name, value)| (name.clone(), if is_secret(name) { "***" } else { value }.to_owned()))
        .collect()
}

/// Makes a client.
pub(crate) fn make<T: FromClientConfig>(config: &ClientConfig, name: &str) -> Result<T, Error> {
    config.create().map_err(refused(name))
}

/// Makes a client with a context of its own.
pub(crate) fn make_with<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    name: &str,
    context: C,
) -> Result<T, Error> {
    config.create_with_context(context).map_err(refused(name))
}

/// A property that is refused is named; its value may be a secret.
pub(crate) fn refused(name: &str) -> impl FnOnce(KafkaError) -> Error {
    let failed = failed(format!("the Kafka client {name} cannot be made: check kafka.properties"));
    move |cause| {
        failed(match cause {
            KafkaError::ClientConfig(code, sentence, property, _) => {
                KafkaError::ClientConfig(code, sentence, property, "***".to_owned())
            }
            other => other,
        })
    }
}
