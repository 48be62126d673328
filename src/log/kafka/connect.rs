//! Reaches the cluster, or says why not: brokers that refuse this user or whose certificate is not
//! trusted are told from silence.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::log::Error;
use crate::log::kafka::settings::{Settings, make_with};

/// How long one try takes at most, so that a refusal is seen soon.
const TRY: Duration = Duration::from_millis(500);

/// What a client reports by itself.
#[derive(Default)]
pub(crate) struct ClientErrors {
    failure: Mutex<Option<String>>,
}

impl ClientErrors {
    /// The last failure that it reported.
    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for ClientErrors {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        tracing::debug!(message, "librdkafka reports");
        if (level as i32) <= RDKafkaLogLevel::Error as i32 {
            // What stands before says which thread it was.
            let plain = message.split_once("]: ").map_or(message, |(_, plain)| plain);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(plain.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka reports");
    }
}

impl ConsumerContext for ClientErrors {}

/// A consumer outside the group that was answered by a broker, and what is known of the cluster
/// then.
///
/// # Errors
/// [`Error::Unreachable`] after `wait`, [`Error::Refused`] as soon as that is known.
pub(crate) fn reach(
    settings: &Settings,
    wait: Duration,
) -> Result<(BaseConsumer<ClientErrors>, Metadata), Error> {
    let mut config =
        settings.consumer(&format!("{}-reach-{}", settings.application_id, settings.instance));
    config.set("enable.partition.eof", "true");
    let consumer: BaseConsumer<ClientErrors> =
        make_with(&config, "reach", ClientErrors::default())?;
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let answer = consumer.fetch_metadata(None, left.min(TRY));
        let servers = &settings.bootstrap_servers;
        let errors = || {
            consumer.context().failure().map_or_else(String::new, |failure| format!(": {failure}"))
        };
        let silent = match answer {
            Ok(metadata) => return Ok((consumer, metadata)),
            Err(error) => error,
        };
        while let Some(reported) = consumer.poll(Duration::ZERO) {
            let kind = match reported {
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::Authentication)) => {
                    "check sasl.mechanism, sasl.username and sasl.password in kafka.properties, \
                        and that the brokers know this user"
                }
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::SSL)) => {
                    "check ssl.ca.location in kafka.properties and the names in the brokers' \
                        certificates"
                }
                _ => continue,
            };
            return Err(Error::Refused(format!("{servers} refuses{}: {kind}", errors())));
        }
        if Instant::now() >= until {
            let errors = Some(errors())
                .filter(|errors| !errors.is_empty())
                .unwrap_or_else(|| format!(": {silent}"));
            return Err(Error::Unreachable(format!(
                "no answer from {servers}{errors}: check kafka.bootstrap_servers, that the brokers \
                    run, and security.protocol in \
                 kafka.properties"
            )));
        }
    }
}
