//! Reads outside the group and reads of the inputs, over the simulated broker.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::sim::broken::Broken;
use crate::sim::client::{SimClient, failed};
use crate::sim::faults::Call;
use crate::sim::shared::Sim;
use leadstream::codec::record::Record;
use leadstream::codec::topics::inputs_of;
use leadstream::domain::units::{Offset, Partition};
use leadstream::log::Error;
use leadstream::log::kafka::{InputPartition, Inputs, Isolation, Polled, Reads};
use leadstream::pipeline::InputTopic;

/// Reads outside the group.
pub struct SimReads {
    pub client: SimClient,
    from: Cell<u64>,
}

impl SimReads {
    pub fn new(client: &SimClient) -> Self {
        Self { client: client.clone(), from: Cell::new(0) }
    }
}

impl Reads for SimReads {
    fn watermarks(
        &self,
        (topic, partition): (&str, Partition),
        isolation: Isolation,
    ) -> Result<(Offset, Offset), Error> {
        self.client.ask(Call::Read)?;
        let isolation = match self.client.sim.broken {
            Some(Broken::StableEnd) => Isolation::Committed,
            Some(Broken::CopiedEarly) if self.client.is_keeper => Isolation::Uncommitted,
            _ => isolation,
        };
        let (start, next) =
            self.client.sim.broker.borrow().watermarks((topic, partition.0), isolation);
        Ok((Offset(start), Offset(next)))
    }

    fn go_to(&self, _place: (&str, Partition), from: Offset) -> Result<(), Error> {
        self.from.set(from.0);
        Ok(())
    }

    fn poll(&self, (topic, partition): (&str, Partition)) -> Result<Polled, Error> {
        self.client.ask(Call::Read)?;
        if self.client.sim.percent(5) {
            self.client.wait(100);
            return Ok(Polled::Nothing);
        }
        let sim = &self.client.sim;
        let is_wrong = sim.broken == Some(Broken::AbortedRead)
            || sim.broken == Some(Broken::CopiedEarly) && self.client.is_keeper;
        let isolation = if is_wrong { Isolation::Uncommitted } else { Isolation::Committed };
        let broker = sim.broker.borrow();
        let log = broker.log((topic, partition.0));
        if self.from.get() < log.start || self.from.get() > log.next {
            return Err(failed("the partition does not begin there"));
        }
        Ok(match broker.fetch((topic, partition.0), self.from.get(), isolation) {
            Some(entry) => {
                self.from.set(entry.offset + 1);
                Polled::Record(Offset(entry.offset), entry.record.clone().unwrap())
            }
            None => Polled::End,
        })
    }

    fn leave(&self) -> Result<(), Error> {
        Ok(())
    }

    fn time(&self) -> Duration {
        Duration::from_millis(self.client.sim.now_ms() - self.client.process.hidden_ms.get())
    }

    fn pause(&self, time: Duration) {
        self.client.wait(u64::try_from(time.as_millis()).unwrap());
    }

    fn quiet(&self) {}
}

/// Reads inputs; no fault but silence, since what it hands over is checked by the hub.
pub struct SimInputs {
    pub sim: Rc<Sim>,
    next: BTreeMap<InputPartition, u64>,
    paused: BTreeSet<InputPartition>,
}

impl SimInputs {
    pub fn new(sim: &Rc<Sim>) -> Self {
        Self { sim: sim.clone(), next: BTreeMap::new(), paused: BTreeSet::new() }
    }
}

impl Inputs for SimInputs {
    fn add(&mut self, places: &[(InputPartition, Offset)]) -> Result<(), Error> {
        for (place, offset) in places {
            assert!(self.next.insert(*place, offset.0).is_none(), "{place:?} is read already");
        }
        Ok(())
    }

    fn remove(&mut self, places: &[InputPartition]) -> Result<(), Error> {
        for place in places {
            assert!(self.next.remove(place).is_some(), "{place:?} is not read");
            self.paused.remove(place);
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<(InputPartition, Offset, Record)>, Error> {
        if self.sim.now_ms() < self.sim.down_until_ms.get() {
            return Ok(None);
        }
        let broker = self.sim.broker.borrow();
        let mut ready = Vec::new();
        for ((source, partition), from) in
            self.next.iter().filter(|(place, _)| !self.paused.contains(place))
        {
            let (topic, place) = inputs_of(*source, *partition);
            if *from < broker.log((topic, place.0)).start && *source != InputTopic::Definitions {
                return Err(Error::Offsets(
                    "an input starts behind its committed offset".to_owned(),
                ));
            }
            if let Some(entry) = broker.fetch((topic, place.0), *from, Isolation::Committed) {
                ready.push(((*source, *partition), entry));
            }
        }
        if ready.is_empty() {
            return Ok(None);
        }
        let (place, entry) = ready[self.sim.random.borrow_mut().below(ready.len() as u64) as usize];
        self.next.insert(place, entry.offset + 1);
        Ok(Some((place, Offset(entry.offset), entry.record.clone().unwrap())))
    }

    fn pause(&mut self, place: InputPartition) -> Result<(), Error> {
        self.paused.insert(place);
        Ok(())
    }

    fn resume(&mut self, places: &[InputPartition]) -> Result<(), Error> {
        self.paused.retain(|place| !places.contains(place));
        Ok(())
    }
}
