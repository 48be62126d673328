//! Everything that can keep an instance from taking events: the one list behind `/readyz`, the
//! metric, the doctor's row, the alert and the runbook.

use std::sync::{Mutex, PoisonError};

/// Something that can stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The worker has ended.
    WorkerStopped,
    /// The worker has not moved for a minute.
    WorkerStalled,
    /// The same commit failed more than once.
    CommitsFailing,
    /// State is on its way here.
    Restoring,
    /// Most events of a partition were dead-lettered.
    PartitionPaused,
    /// Records of a partition cannot be read.
    PartitionUnreadable,
    /// A producer's transaction on the interactions is open.
    OpenTransaction,
    /// Partitions wait for the schema registry.
    RegistryAwaited,
    /// The brokers do not answer.
    BrokersUnreachable,
    /// A topic is missing or not as it has to be.
    TopicsChanged,
    /// The disk of the data directory is nearly full.
    DiskLow,
    /// The process has few descriptors left.
    DescriptorsLow,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::WorkerStopped,
        Self::WorkerStalled,
        Self::CommitsFailing,
        Self::Restoring,
        Self::PartitionPaused,
        Self::PartitionUnreadable,
        Self::OpenTransaction,
        Self::RegistryAwaited,
        Self::BrokersUnreachable,
        Self::TopicsChanged,
        Self::DiskLow,
        Self::DescriptorsLow,
    ];

    /// Its name in metrics, alerts and the runbook.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkerStopped => "worker_stopped",
            Self::WorkerStalled => "worker_stalled",
            Self::CommitsFailing => "commits_failing",
            Self::Restoring => "restoring",
            Self::PartitionPaused => "partition_paused",
            Self::PartitionUnreadable => "partition_unreadable",
            Self::OpenTransaction => "open_transaction",
            Self::RegistryAwaited => "registry_awaited",
            Self::BrokersUnreachable => "brokers_unreachable",
            Self::TopicsChanged => "topics_changed",
            Self::DiskLow => "disk_low",
            Self::DescriptorsLow => "descriptors_low",
        }
    }

    /// Whether the instance is not ready while it holds; the others are only said.
    #[must_use]
    pub fn is_blocking(self) -> bool {
        !matches!(self, Self::DiskLow | Self::DescriptorsLow | Self::RegistryAwaited)
    }

    /// What to do.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::WorkerStopped => {
                "do what the last ERROR of the log says, then start the instance again"
            }
            Self::WorkerStalled => {
                "look at CPU and disk of this machine, then restart the instance"
            }
            Self::CommitsFailing => "look at the brokers; `leadstream doctor` says what it finds",
            Self::Restoring => "wait: the line says how far it is",
            Self::PartitionPaused => {
                "`leadstream dlq list`, mend the producer, then `leadstream partition resume`"
            }
            Self::PartitionUnreadable => {
                "look at the batch at that offset with kafka-dump-log, and at its producer's codec"
            }
            Self::OpenTransaction => {
                "find the producer with `kafka-transactions find-hanging`, then end or abort it"
            }
            Self::RegistryAwaited => "start the schema registry",
            Self::BrokersUnreachable => "start the brokers, or mend the network to them",
            Self::TopicsChanged => "make the topic as docs/reference/topics.md says",
            Self::DiskLow => "make room, or name another place with data_dir",
            Self::DescriptorsLow => {
                "raise the limit of open files (ulimit -n), or close connections"
            }
        }
    }
}

/// A condition that holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    /// Which.
    pub condition: Condition,
    /// What was seen, with partition, offset or name.
    pub seen: String,
}

impl Symptom {
    pub(crate) fn new(condition: Condition, seen: impl Into<String>) -> Self {
        Self { condition, seen: seen.into() }
    }
}

impl std::fmt::Display for Symptom {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { condition, seen } = self;
        write!(out, "{}: {seen}; {}", condition.as_str(), condition.remedy())
    }
}

/// What was seen last outside the process.
#[derive(Default)]
pub(crate) struct Watched(Mutex<Vec<Symptom>>);

impl Watched {
    pub(crate) fn set(&self, symptoms: Vec<Symptom>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = symptoms;
    }

    pub(crate) fn get(&self) -> Vec<Symptom> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
