//! Every topic: its name, schema, partitions, cleanup and role. The one place where a topic is
//! named.

use std::fmt;
use std::sync::LazyLock;

use crate::codec::avro::{self, TopicSchema};
use crate::domain::units::Partition;
use crate::pipeline::InputTopic;

/// Lead interaction events.
pub const INTERACTIONS: &str = "lead.interactions.v1";
/// What comes back to a partition from inside.
pub const INBOX: &str = "leadstream.inbox.v1";
/// Everything that changes a decision.
pub const DEFINITIONS: &str = "leadstream.definitions.v1";
/// Switches between the inputs of a partition.
pub const ORDER: &str = "leadstream.order.v1";
/// The changelog: rows of the state store.
pub const STATE: &str = "leadstream.state.v1";
/// How far each source that appends has come.
pub const SOURCES: &str = "leadstream.sources.v1";
/// Where the instances of a consumer group are reached.
pub const INSTANCES: &str = "leadstream.instances.v1";
/// Predictions.
pub const PREDICTIONS: &str = "lead.predictions.v1";
/// Profiles.
pub const PROFILES: &str = "lead.profiles.v1";
/// Alerts, raised and cleared.
pub const ALERTS: &str = "lead.alerts.v1";
/// Coaching prompts.
pub const PROMPTS: &str = "coaching.prompts.v1";
/// Exposures of units to arms.
pub const EXPOSURES: &str = "experiment.exposures.v1";
/// Results and decisions of experiments.
pub const METRICS: &str = "experiment.metrics.v1";
/// Input that cannot be used.
pub const DEAD_LETTERS: &str = "lead.dead-letters.v1";
/// Events beyond the allowed lateness.
pub const LATE: &str = "lead.late.v1";

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// As many as the interactions.
    Many,
    /// One.
    One,
}

/// What a log may remove from a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Old records.
    Delete,
    /// All but the newest record of a key.
    Compact,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read by the worker. Its records carry the broker's time.
    Input,
    /// Kept by leadstream for itself.
    Internal,
    /// Written for others.
    Output,
}

/// A topic.
#[derive(Clone, Copy)]
pub struct Topic {
    /// Its name; a prefix of the configuration stands before it on Kafka.
    pub name: &'static str,
    /// Schema of its values; `None` where they are rows, JSON or bytes of others.
    pub schema: Option<&'static LazyLock<TopicSchema>>,
    /// How many partitions it has.
    pub partitions: Partitions,
    /// What may be removed from it.
    pub cleanup: Cleanup,
    /// What it is for.
    pub role: Role,
}

impl fmt::Debug for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

impl Topic {
    /// Partitions of the topic where the interactions have `of_interactions`.
    #[must_use]
    pub fn partition_count(&self, of_interactions: u32) -> u32 {
        match self.partitions {
            Partitions::Many => of_interactions,
            Partitions::One => 1,
        }
    }

    /// The name of its cleanup policy on Kafka.
    #[must_use]
    pub fn cleanup_policy(&self) -> &'static str {
        match self.cleanup {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
        }
    }

    /// Whether the worker reads it.
    #[must_use]
    pub fn is_input(&self) -> bool {
        self.role == Role::Input
    }

    const fn one(self) -> Self {
        Self { partitions: Partitions::One, ..self }
    }

    const fn compacted(self) -> Self {
        Self { cleanup: Cleanup::Compact, ..self }
    }
}

const fn topic(
    role: Role,
    name: &'static str,
    schema: Option<&'static LazyLock<TopicSchema>>,
) -> Topic {
    Topic { name, schema, partitions: Partitions::Many, cleanup: Cleanup::Delete, role }
}

/// All topics, the interactions first.
pub static ALL: [Topic; 15] = [
    topic(Role::Input, INTERACTIONS, Some(&avro::INTERACTIONS)),
    topic(Role::Input, INBOX, Some(&avro::INBOX)),
    topic(Role::Input, DEFINITIONS, Some(&avro::DEFINITIONS)).one().compacted(),
    topic(Role::Internal, ORDER, Some(&avro::ORDER)),
    topic(Role::Internal, STATE, None).compacted(),
    topic(Role::Internal, SOURCES, None).one().compacted(),
    topic(Role::Internal, INSTANCES, None).one().compacted(),
    topic(Role::Output, PREDICTIONS, Some(&avro::PREDICTIONS)),
    topic(Role::Output, ALERTS, Some(&avro::ALERTS)),
    topic(Role::Output, PROMPTS, Some(&avro::PROMPTS)),
    topic(Role::Output, EXPOSURES, Some(&avro::EXPOSURES)),
    topic(Role::Output, PROFILES, Some(&avro::PROFILES)).compacted(),
    topic(Role::Output, METRICS, Some(&avro::METRICS)).compacted(),
    topic(Role::Output, DEAD_LETTERS, None),
    topic(Role::Output, LATE, None),
];

/// The topic of a name.
///
/// # Errors
/// A sentence that lists the topics there are.
pub fn named(name: &str) -> Result<&'static Topic, String> {
    let mut names: Vec<_> = ALL.iter().map(|topic| topic.name).collect();
    names.sort_unstable();
    ALL.iter()
        .find(|topic| topic.name == name)
        .ok_or_else(|| format!("no topic {name}: the topics are {}", names.join(", ")))
}

/// Topics that the worker writes for others.
pub fn output_topics() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|topic| topic.role == Role::Output).map(|topic| topic.name)
}

/// Where an input of a partition is read.
#[must_use]
pub fn inputs_of(source: InputTopic, partition: Partition) -> (&'static str, Partition) {
    match source {
        InputTopic::Interactions => (INTERACTIONS, partition),
        InputTopic::Inbox => (INBOX, partition),
        InputTopic::Definitions => (DEFINITIONS, Partition(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_belongs_to_the_topic_it_is_named_after() {
        let with_schema = ALL.iter().filter_map(|topic| Some((topic.name, topic.schema?.topic)));
        let with_schema: Vec<_> = with_schema.collect();
        assert_eq!(with_schema.len(), avro::all().len());
        assert!(with_schema.iter().all(|(name, of_schema)| name == of_schema), "{with_schema:?}");
    }

    #[test]
    fn a_topic_that_is_not_there_is_answered_with_those_that_are() {
        assert_eq!(named(LATE).unwrap().cleanup_policy(), "delete");
        assert!(named("lead.prediction.v1").unwrap_err().contains("lead.predictions.v1"));
    }
}
