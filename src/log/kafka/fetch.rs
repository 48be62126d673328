//! Fetches the inputs of owned partitions into the hub, from the offsets at which their state
//! stands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::domain::units::Offset;
use crate::log::Error;
use crate::log::kafka::assignment::{InputPartition, PartitionAssignment};
use crate::log::kafka::client::Inputs;
use crate::log::kafka::librdkafka::InputConsumer;
use crate::log::kafka::settings::Settings;
use crate::pipeline::InputTopic;

/// A fetching thread; dropping it ends it.
pub struct Fetch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is fetched for a hub.
pub struct Fetching<I: Inputs> {
    inputs: I,
    assignment: Arc<PartitionAssignment>,
    buffer_records: usize,
    version: u64,
    fetched: BTreeSet<InputPartition>,
    paused: BTreeSet<InputPartition>,
}

impl Fetch {
    /// Starts. `topics` are those of the inputs in the order of [`InputTopic::ALL`].
    ///
    /// # Errors
    /// When the consumer cannot be made.
    pub fn start(
        settings: &Settings,
        assignment: &Arc<PartitionAssignment>,
        topics: [&str; 3],
    ) -> Result<Self, Error> {
        let inputs = InputConsumer::new(settings, assignment, topics)?;
        let (assignment, buffer_records) = (assignment.clone(), settings.buffer_records);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            inputs.find_brokers();
            let mut fetching = Fetching::new(inputs, &assignment, buffer_records);
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = fetching.turn() {
                    return fetching.assignment.fail(error.to_string());
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the fetching thread panicked");
        }
    }
}

impl<I: Inputs> Fetching<I> {
    /// For a hub that takes so many records of an input before it is paused.
    pub fn new(inputs: I, assignment: &Arc<PartitionAssignment>, buffer_records: usize) -> Self {
        Self {
            inputs,
            assignment: assignment.clone(),
            buffer_records,
            version: 0,
            fetched: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    /// Does what the hub wants and hands it the next record, if one comes soon; says whether one
    /// came.
    ///
    /// # Errors
    /// When an input does not begin as early as it is wanted.
    pub fn turn(&mut self) -> Result<bool, Error> {
        self.assign()?;
        self.resume()?;
        let Some((place, offset, record)) = self.inputs.poll()? else { return Ok(false) };
        let waiting = self.assignment.push(self.version, place, offset, record);
        if waiting >= self.buffer_records
            && place.0 != InputTopic::Definitions
            && !self.paused.contains(&place)
        {
            self.inputs.pause(place)?;
            self.paused.insert(place);
            self.assignment.paused(&self.paused);
        }
        Ok(true)
    }

    /// Fetches what the hub wants now; inputs that stay are not disturbed.
    fn assign(&mut self) -> Result<(), Error> {
        let Some((version, wanted)) = self.assignment.wanted(self.version) else { return Ok(()) };
        let goes_on = |place: &InputPartition| matches!(wanted.get(place), Some(None));
        let gone: Vec<InputPartition> =
            self.fetched.iter().copied().filter(|place| !goes_on(place)).collect();
        let new: Vec<(InputPartition, Offset)> =
            wanted.iter().filter_map(|(place, from)| Some((*place, (*from)?))).collect();
        if !gone.is_empty() {
            self.inputs.remove(&gone)?;
        }
        if !new.is_empty() {
            self.inputs.add(&new)?;
        }
        self.paused.retain(goes_on);
        self.assignment.paused(&self.paused);
        self.fetched = wanted.into_keys().collect();
        self.version = version;
        Ok(())
    }

    /// Goes on with buffers that have drained.
    fn resume(&mut self) -> Result<(), Error> {
        let drained = |place: &InputPartition| {
            self.assignment.waiting(place.0, place.1) <= self.buffer_records / 2
        };
        let drained: Vec<InputPartition> = self.paused.iter().copied().filter(drained).collect();
        if !drained.is_empty() {
            self.inputs.resume(&drained)?;
            self.paused.retain(|place| !drained.contains(place));
            self.assignment.paused(&self.paused);
        }
        Ok(())
    }
}
