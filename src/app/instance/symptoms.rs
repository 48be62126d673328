//! What keeps an instance from taking events: asked of its workers, and watched outside the process.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::app::health::{Condition, Symptom};
use crate::app::instance::Instance;
use crate::codec::topics;
use crate::engine::store::free_bytes;
use crate::log::kafka::{self, Settings, StallKind, TopicCheck};
use crate::log::{Backend, chain};

/// Between two looks at what is outside the process.
const WATCH: Duration = Duration::from_secs(3);
/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(2);
/// A partition that does not go on for this long although there are records.
const STANDS: Duration = Duration::from_secs(10);
/// Free space below which the next commits may fail, bytes.
const FREE_BYTES_MIN: u64 = 100 << 20;
/// Share of the process's descriptors in use from which connections may soon be refused.
const DESCRIPTORS_MAX: f64 = 0.9;

/// Looks at what is outside the process again and again, as long as the instance is there. Nobody
/// waits for this thread: a cluster that does not answer may hold it up.
pub(crate) fn watch(instance: &Arc<Instance>) {
    let instance = Arc::downgrade(instance);
    std::thread::spawn(move || {
        while let Some(symptoms) = look(&instance) {
            if let Some(instance) = instance.upgrade() {
                instance.watched.set(symptoms);
            }
            std::thread::sleep(WATCH);
        }
    });
}

/// What is seen now; `None`: the instance is gone.
fn look(instance: &Weak<Instance>) -> Option<Vec<Symptom>> {
    let (data, settings, partitions) = {
        let instance = instance.upgrade()?;
        let settings = match &instance.log {
            Backend::Kafka(cluster) => Some(cluster.settings.clone()),
            Backend::Embedded(_) => None,
        };
        (instance.config.data_dir.clone(), settings, instance.log.partitions())
    };
    let mut symptoms = Vec::new();
    if let Some(free) = free_bytes(&data).filter(|free| *free < FREE_BYTES_MIN) {
        let seen = format!("{} MiB are free for {}", free >> 20, data.display());
        symptoms.push(Symptom::new(Condition::DiskLow, seen));
    }
    if let Some((open, most)) = descriptors()
        && open as f64 > most as f64 * DESCRIPTORS_MAX
    {
        let seen = format!("{open} of {most} descriptors are in use");
        symptoms.push(Symptom::new(Condition::DescriptorsLow, seen));
    }
    symptoms.extend(settings.into_iter().flat_map(|settings| topics_of(&settings, partitions)));
    Some(symptoms)
}

/// Open file descriptors and their limit; `None` where the system does not say.
fn descriptors() -> Option<(usize, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((open, rustix::process::getrlimit(rustix::process::Resource::Nofile).current?))
}

fn topics_of(settings: &Settings, partitions: u32) -> Vec<Symptom> {
    let TopicCheck { missing, wrong, partitions: found, .. } =
        match kafka::look(settings, &topics::ALL, ASK) {
            Ok(looked) => looked,
            Err(error) => {
                return vec![Symptom::new(Condition::BrokersUnreachable, chain(&error))];
            }
        };
    let changed = |seen: String| Symptom::new(Condition::TopicsChanged, seen);
    let missing = missing
        .iter()
        .map(|topic| changed(format!("topic {} is missing", settings.topic(topic.name))));
    let mut symptoms: Vec<Symptom> = missing.chain(wrong.into_iter().map(changed)).collect();
    if symptoms.is_empty() && found != partitions {
        let seen = format!(
            "the changelog has {found} partitions, this instance began with \
            {partitions}"
        );
        symptoms.push(changed(seen));
    }
    symptoms
}

impl Instance {
    /// What keeps this instance from taking events, and what soon may; nothing: all is well.
    #[must_use]
    pub fn symptoms(&self) -> Vec<Symptom> {
        let mut symptoms = Vec::new();
        let mut add = |condition, seen: String| symptoms.push(Symptom::new(condition, seen));
        if let Some(failure) = self.failure() {
            add(Condition::WorkerStopped, failure);
        } else if !self.is_alive() {
            add(Condition::WorkerStalled, "nothing was done for a minute".to_owned());
        }
        for why in self.failing() {
            add(Condition::CommitsFailing, format!("nothing is committed: {why}"));
        }
        let restores = self.views.restores().all();
        for restoring in &restores {
            add(Condition::Restoring, restoring.to_string());
        }
        if restores.is_empty() && !self.is_caught_up() {
            add(Condition::Restoring, "taking what came before the start".to_owned());
        }
        for (_, pause) in self.views.pauses() {
            if let Some(pause) = pause {
                add(Condition::PartitionPaused, pause.to_string());
            }
        }
        for stall in self.stalls(STANDS) {
            let (partition, seconds) = (stall.partition.0, stall.lasts.as_secs());
            let (at, records) = (stall.at.0, stall.records);
            match stall.kind {
                StallKind::Unreadable => add(
                    Condition::PartitionUnreadable,
                    format!(
                        "partition {partition} gives nothing since {seconds} s: {records} records \
                            from offset {at} on wait"
                    ),
                ),
                StallKind::OpenTransaction => add(
                    Condition::OpenTransaction,
                    format!(
                        "partition {partition}: {records} records stand behind a transaction that \
                            is open at offset {at} since {seconds} s"
                    ),
                ),
            }
        }
        let waiting = self.metrics.registry_waiting_partitions();
        if waiting > 0 {
            add(Condition::RegistryAwaited, format!("{waiting} partitions wait for a schema"));
        }
        symptoms.extend(self.watched.get());
        symptoms
    }
}
