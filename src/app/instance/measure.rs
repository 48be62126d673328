//! What is measured of an instance when somebody asks: lag, sizes, conditions.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use crate::app::health::Condition;
use crate::app::instance::Instance;
use crate::codec::topics::inputs_of;
use crate::domain::units::Partition;
use crate::log::{self, Backend, Reader};
use crate::pipeline::InputTopic;

impl Instance {
    /// Unprocessed interactions by partition of this instance; sets the metric as well.
    ///
    /// # Errors
    /// When the log fails.
    pub fn lag(&self) -> Result<BTreeMap<u32, u64>, log::Error> {
        let lag = match &self.log {
            Backend::Kafka(_) => {
                self.assignment.lock().unwrap_or_else(PoisonError::into_inner).lag()
            }
            Backend::Embedded(log) => {
                let snapshot = log.snapshot()?;
                let of = |partition| {
                    let (topic, place) = inputs_of(InputTopic::Interactions, Partition(partition));
                    let processed =
                        snapshot.positions(place)?.next[InputTopic::Interactions as usize];
                    Ok((partition, snapshot.end(topic, place)?.0.saturating_sub(processed.0)))
                };
                (0..snapshot.partitions()).map(of).collect::<Result<_, log::Error>>()?
            }
        };
        self.metrics.lag(&lag);
        Ok(lag)
    }

    /// The metrics as Prometheus reads them, those that are measured on demand included.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn metrics_text(&self) -> Result<String, log::Error> {
        let metrics = &self.metrics;
        self.lag()?;
        if let Backend::Embedded(log) = &self.log {
            metrics.log_size(log.size_bytes());
        }
        metrics.waiting_rows(self.views.all().iter().map(|shared| shared.sizes().0).sum());
        let symptoms = self.symptoms();
        metrics.ready(!symptoms.iter().any(|symptom| symptom.condition.is_blocking()));
        metrics.conditions(Condition::ALL.map(|condition| {
            let holds = symptoms.iter().any(|symptom| symptom.condition == condition);
            (condition.as_str(), holds)
        }));
        metrics.restoring(&self.views.restores().all());
        metrics.behind(&self.standbys.behind());
        let pauses = self.views.pauses().into_iter();
        metrics.paused(pauses.map(|(partition, pause)| (partition.0, pause.is_some())));
        Ok(metrics.text())
    }
}
