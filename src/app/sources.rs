//! Who appends: each source by one at a time, on either log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use serde::{Deserialize, Serialize};

use crate::codec::record::Batches;
use crate::codec::topics::STATE;
use crate::domain::units::Partition;
use crate::log::kafka::Topics;
use crate::log::{Backend, Error, Sources};

/// Sources from which on those that nobody uses are closed. Chosen: each has a client of Kafka with
/// threads of its own.
const OPEN_MAX: usize = 32;
/// The source that gives runs their numbers; no file has this name.
const RUNS: &str = "leadstream/runs/";
/// How often a number is asked for while others take theirs.
const ATTEMPTS_MAX: usize = 8;

/// One run of `ingest` or `dlq redrive`: its records carry its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// From 1 on; no other run has it. 0: none.
    pub number: u32,
    /// On Kafka, by partition, where the changelog ended before the run began: how its records came
    /// out stands behind that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changelog: Vec<u64>,
}

type Slot = Arc<Mutex<Option<Box<dyn Sources + Send>>>>;

/// The sources of an instance.
pub struct OpenSources {
    log: Backend,
    open: Mutex<BTreeMap<String, Slot>>,
}

impl OpenSources {
    /// None yet.
    #[must_use]
    pub fn new(log: Backend) -> Self {
        Self { log, open: Mutex::default() }
    }

    fn slot(&self, name: &str) -> Slot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX && !open.contains_key(name) {
            // Nobody gets a slot but here, so what nobody has now nobody uses.
            open.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        open.entry(name.to_owned()).or_default().clone()
    }

    /// Does something as a source, once nobody else of this instance does.
    ///
    /// # Errors
    /// When the log cannot be reached, or what `work` gives.
    pub fn alone<T, E: From<Error>>(
        &self,
        name: &str,
        work: impl FnOnce(&dyn Sources) -> Result<T, E>,
    ) -> Result<T, E> {
        let slot = self.slot(name);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_as(name, &mut slot, work)
    }

    /// As [`OpenSources::alone`]; `None`: somebody else does something as this source.
    pub fn try_alone<T, E: From<Error>>(
        &self,
        name: &str,
        work: impl FnOnce(&dyn Sources) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let slot = self.slot(name);
        let mut slot = match slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.work_as(name, &mut slot, work))
    }

    fn work_as<T, E: From<Error>>(
        &self,
        name: &str,
        slot: &mut Option<Box<dyn Sources + Send>>,
        work: impl FnOnce(&dyn Sources) -> Result<T, E>,
    ) -> Result<T, E> {
        let appender = match slot.take() {
            Some(appender) => appender,
            None => self.log.appender(name)?,
        };
        // One that failed may have been ended by another process: it is not kept.
        let done = work(appender.as_ref())?;
        *slot = Some(appender);
        Ok(done)
    }

    /// Closes a source that is done, or that begins anew, once nobody does something as it.
    pub fn close(&self, name: &str) {
        *self.slot(name).lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The number of a run that nobody else has, whichever process asks.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn new_run(&self) -> Result<Run, Error> {
        let mut attempt = 1;
        loop {
            let taken = self.alone(RUNS, |log| {
                let stored = log.source(RUNS)?;
                let last = stored.and_then(|last| String::from_utf8(last).ok()?.parse().ok());
                let number = last.unwrap_or(0_u32) + 1;
                log.append_from(&Batches::new(), (RUNS, number.to_string().as_bytes()))?;
                Ok::<_, Error>(number)
            });
            self.close(RUNS);
            match taken {
                Ok(number) => return Ok(Run { number, changelog: self.changelog()? }),
                // On Kafka another process that took a number at the same time ended this one's
                // transaction.
                Err(Error::Kafka { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the changelog ends now, on Kafka.
    fn changelog(&self) -> Result<Vec<u64>, Error> {
        let Backend::Kafka(cluster) = &self.log else { return Ok(Vec::new()) };
        let topics = Topics::new(&cluster.settings)?;
        let end = |partition| Ok(topics.stable(STATE, Partition(partition))?.0);
        (0..cluster.partitions).map(end).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::log::{Embedded, Options};

    #[test]
    fn a_source_that_takes_its_time_holds_up_no_other_and_each_run_gets_its_own_number() {
        let folder = tempfile::tempdir().unwrap();
        let log = Embedded::open(folder.path(), &Options::default()).unwrap();
        let sources = &OpenSources::new(Backend::Embedded(Arc::new(log)));
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let busy = || sources.try_alone("redrive", |_| Ok::<_, Error>(()));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let slow = sources.alone("redrive", |_| {
                    begun.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    Ok::<_, Error>(())
                });
                slow.unwrap();
            });
            has_begun.recv().unwrap();
            assert!(busy().is_none() && busy().is_none());
            let append = |log: &dyn Sources| log.append_from(&Batches::new(), ("file", b"1"));
            sources.alone("file", append).unwrap();
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| sources.new_run().unwrap())).collect();
            let numbers: BTreeSet<u32> =
                runs.into_iter().map(|run| run.join().unwrap().number).collect();
            assert_eq!(numbers, (1..=8).collect());
            go_on.send(()).unwrap();
        });
        assert!(busy().is_some());
    }
}
