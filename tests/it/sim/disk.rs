//! A disk that survives its process, loses what was not flushed, fills up and decays.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::sim::coverage::Random;
use crate::sim::shared::Crash;
use leadstream::domain::units::Partition;
use leadstream::engine::store::{Changes, Disk, Disks, Error};
use leadstream::log::TimeSource;

/// Name of the entry that says up to which changelog offset a partition's rows stand.
const META: &[u8] = b"#";

type StateStore = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is done to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Full,
    CrashBefore,
    CrashAfter,
}

enum Change {
    StateStore(Changes),
    Clear,
}

#[derive(Default)]
struct EmittedVersion {
    durable: BTreeMap<u32, StateStore>,
    current: BTreeMap<u32, StateStore>,
    journal: Vec<(u32, Change)>,
    /// After so many writes.
    trouble: Option<(u64, Trouble)>,
    /// Trouble that came.
    met: Vec<Trouble>,
    /// Offsets at which partitions stood when they were opened.
    opened: Vec<(u32, Option<u64>)>,
}

fn change(rows: &mut BTreeMap<u32, StateStore>, partition: u32, change: &Change) {
    let rows = rows.entry(partition).or_default();
    match change {
        Change::Clear => rows.clear(),
        Change::StateStore(changes) => {
            for (name, bytes) in changes {
                match bytes {
                    Some(bytes) => rows.insert(name.clone(), bytes.clone()),
                    None => rows.remove(name),
                };
            }
        }
    }
}

/// The disk of one instance.
#[derive(Clone, Default)]
pub struct SimDisks(Arc<Mutex<EmittedVersion>>);

struct SimDisk(Arc<Mutex<EmittedVersion>>, u32);

fn lock(written: &Mutex<EmittedVersion>) -> MutexGuard<'_, EmittedVersion> {
    written.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl SimDisks {
    /// The write after so many others does not go well.
    pub fn plan(&self, writes: u64, trouble: Trouble) {
        lock(&self.0).trouble = Some((writes, trouble));
    }

    pub fn heal(&self) {
        lock(&self.0).trouble = None;
    }

    pub fn met(&self) -> Vec<Trouble> {
        std::mem::take(&mut lock(&self.0).met)
    }

    /// Partitions opened since the last question, with the changelog offset at which they stood.
    pub fn opened(&self) -> Vec<(u32, Option<u64>)> {
        std::mem::take(&mut lock(&self.0).opened)
    }

    /// The process is gone, with a part of what it had not flushed; whether anything was lost.
    pub fn lose(&self, random: &mut Random) -> bool {
        let mut written = lock(&self.0);
        let journal = std::mem::take(&mut written.journal);
        let kept = random.below(journal.len() as u64 + 1) as usize;
        let mut rows = written.durable.clone();
        journal[..kept].iter().for_each(|(partition, step)| change(&mut rows, *partition, step));
        written.durable.clone_from(&rows);
        written.current = rows;
        kept < journal.len()
    }

    /// The directory is gone.
    pub fn wipe(&self) {
        let trouble = lock(&self.0).trouble.take();
        *lock(&self.0) = EmittedVersion { trouble, ..EmittedVersion::default() };
    }

    /// Flips a bit of a row; whether there was one.
    pub fn flip(&self, random: &mut Random) -> bool {
        let mut written = lock(&self.0);
        let places: Vec<(u32, Vec<u8>)> = written
            .current
            .iter()
            .flat_map(|(partition, rows)| rows.keys().map(|name| (*partition, name.clone())))
            .collect();
        if places.is_empty() {
            return false;
        }
        let (partition, name) = &places[random.below(places.len() as u64) as usize];
        let bytes = written.current.get_mut(partition).and_then(|rows| rows.get_mut(name)).unwrap();
        let place = random.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << random.below(8);
        written.durable = written.current.clone();
        true
    }

    /// Makes a partition say that it stands at another offset, with a checksum that fits.
    pub fn pretend(&self, partition: u32, next: u64) -> bool {
        let mut written = lock(&self.0);
        let Some(rows) = written.current.get_mut(&partition).filter(|rows| !rows.is_empty()) else {
            return false;
        };
        rows.insert(
            META.to_vec(),
            guarded(
                META,
                &[next.to_le_bytes(), TimeSource::World.now().0.cast_unsigned().to_le_bytes()]
                    .concat(),
            ),
        );
        written.durable = written.current.clone();
        true
    }

    /// Writes rows as the product would, behind its back.
    pub fn smuggle(&self, partition: u32, rows: &[(Vec<u8>, Vec<u8>)]) {
        let mut written = lock(&self.0);
        for (name, bytes) in rows {
            // Before a lead stands when it is due: never.
            let due =
                if name.starts_with(b"L") { i64::MAX.to_le_bytes().to_vec() } else { Vec::new() };
            let changes = Change::StateStore(vec![(
                name.clone(),
                Some(guarded(name, &[due.as_slice(), bytes].concat())),
            )]);
            change(&mut written.current, partition, &changes);
            change(&mut written.durable, partition, &changes);
        }
    }
}

/// A row behind its checksum, as the product stores it.
fn guarded(name: &[u8], row: &[u8]) -> Vec<u8> {
    [crc32fast::hash(&[name, row].concat()).to_le_bytes().as_slice(), row].concat()
}

impl Disks for SimDisks {
    fn partition(&self, partition: Partition) -> Result<Arc<dyn Disk>, Error> {
        let mut written = lock(&self.0);
        let meta = written
            .current
            .get(&partition.0)
            .and_then(|rows| rows.get(META))
            .and_then(|meta| meta.get(4..12));
        let next = meta.map(|next| u64::from_le_bytes(next.try_into().unwrap()));
        written.opened.push((partition.0, next));
        Ok(Arc::new(SimDisk(self.0.clone(), partition.0)))
    }

    fn size_bytes(&self) -> u64 {
        0
    }
}

impl SimDisk {
    fn write(&self, step: Change) -> Result<(), Error> {
        let mut written = lock(&self.0);
        let trouble = match &mut written.trouble {
            Some((0, trouble)) => Some(*trouble),
            Some((writes, _)) => {
                *writes -= 1;
                None
            }
            None => None,
        };
        if let Some(trouble) = trouble {
            written.trouble = None;
            written.met.push(trouble);
        }
        match trouble {
            Some(Trouble::Full) => return Err(Error::Full),
            Some(Trouble::CrashBefore) => resume_unwind(Box::new(Crash)),
            Some(Trouble::CrashAfter) | None => {}
        }
        change(&mut written.current, self.1, &step);
        written.journal.push((self.1, step));
        if trouble.is_some() {
            resume_unwind(Box::new(Crash));
        }
        Ok(())
    }
}

impl Disk for SimDisk {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(lock(&self.0).current.get(&self.1).and_then(|rows| rows.get(name)).cloned())
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        self.write(Change::StateStore(changes))
    }

    fn flush(&self) -> Result<(), Error> {
        let mut written = lock(&self.0);
        written.durable = written.current.clone();
        written.journal.clear();
        Ok(())
    }

    fn clear(&self) -> Result<(), Error> {
        self.write(Change::Clear)
    }

    fn scan(
        &self,
        prefix: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let found: Vec<_> = {
            let written = lock(&self.0);
            let rows = written.current.get(&self.1).into_iter().flatten();
            rows.filter(|(name, _)| name.starts_with(prefix))
                .map(|(name, bytes)| (name.clone(), bytes.clone()))
                .collect()
        };
        found.iter().try_for_each(|(name, bytes)| each(name, bytes))
    }

    /// At once: a run has one thread.
    fn alongside(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
