//! The rows of one partition: what a batch changes, what is committed, and the sled tree behind
//! both.
//!
//! A row is looked for in the overlay (not committed), then among the dirty rows (committed, not
//! yet in sled), then in a bounded cache, then in sled. Sled is a cache of the changelog: what it
//! holds never runs ahead of what is committed, and a row that cannot be trusted means that the
//! whole directory is thrown away and read from the changelog again.

mod tree;
mod cache;
mod shared;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lru::DefaultHasher;

use crate::codec::record::Record;
use crate::codec::rows;
use crate::codec::topics::STATE;
use crate::domain::experiment::ExperimentKey;
use crate::domain::lead::Lead;
use crate::domain::rules::Rules;
use crate::domain::units::{EventTime, LeadKey, Offset, Partition, Tenant};
use crate::engine::store::cache::Cache;
use crate::engine::store::tree::due_of;
use crate::log::{CommitError, Reader, TimeSource};
use crate::pipeline::{Key, Positions, Row, StateStore, Timers};
use crate::telemetry::restore_progress::RestoreProgress;

pub use crate::engine::store::shared::{Shared, View};
pub use crate::engine::store::tree::{Changes, Disk, Disks, Trees};

/// Changed rows; `None`: it was removed.
pub(crate) type Changed = HashMap<Key, Option<Row>, DefaultHasher>;

/// Why rows cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Sled failed or holds a row that does not match its checksum: throw the directory away and
    /// restore.
    #[error("the state directory is damaged")]
    Cache,
    /// Sled found no room: what is on disk is as it was, and throwing it away would not help for
    /// long.
    #[error(
        "the disk of the state directory is full: make room or name another place with data_dir, \
            then start again; nothing is lost, \
         because the changelog has everything"
    )]
    Full,
    /// The changelog holds a row that this release cannot read.
    #[error("changelog partition {partition} offset {offset}: {cause}")]
    Changelog {
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// Why.
        cause: rows::Error,
    },
    /// A worker's thread panicked.
    #[error("a worker panicked")]
    Panicked,
    /// The commit did not happen, or nobody knows.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crate::log::Error),
}

/// Bytes that can still be written where a path is or would be; `None` where nobody tells.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|path| path.exists())?;
    let space = rustix::fs::statvfs(there).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// How many times as many rows are gathered for sled while a partition is restored. Chosen: it
/// takes rows that lie near each other faster.
const RESTORED_AT_ONCE: usize = 4;

/// Bounds of the state in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Rows of one partition kept decoded in memory.
    pub cached_rows: usize,
    /// Committed rows that wait for sled before they are written to it.
    pub checkpoint_rows: usize,
    /// Memory in which sled keeps pages of all partitions, bytes. Chosen: with a twentieth of the
    /// pages of a million leads sled takes twice the time, and more memory besides, because pages
    /// that are thrown out are freed late.
    pub pages_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { cached_rows: 50_000, checkpoint_rows: 10_000, pages_bytes: 1 << 30 }
    }
}

/// The worker's side of a partition.
pub struct Store {
    shared: Arc<Shared>,
    overlay: BTreeMap<Key, Option<Row>>,
    /// Who is due when; `None` until somebody takes inputs.
    due: Option<Timers>,
    /// Changes of the due times that the batch in hand made: lead, before, after.
    moved: Vec<(LeadKey, Option<EventTime>, Option<EventTime>)>,
}

/// Where a row was taken from to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The rows that the batch in hand changed; it is missing there meanwhile.
    Overlay,
    /// The committed rows that sled has too; it is missing there meanwhile.
    Clean,
    /// The committed rows that wait for sled: a copy.
    Copy,
}

impl Store {
    /// Reads what sled holds, then the changelog behind it.
    ///
    /// # Errors
    /// [`Error::Cache`] when sled cannot be trusted, or when the changelog cannot be read.
    pub fn restore(
        trees: &Trees,
        reader: &impl Reader,
        (partition, bounds): (Partition, Bounds),
        rules: Arc<Rules>,
        restored: &mut dyn FnMut(RestoreProgress),
    ) -> Result<Self, Error> {
        let there = reader.start(STATE, partition)?..=reader.end(STATE, partition)?;
        let many = Bounds {
            checkpoint_rows: bounds.checkpoint_rows.saturating_mul(RESTORED_AT_ONCE),
            ..bounds
        };
        let mut store = Self::open(trees, (partition, many), &there, rules)?;
        store.catch_up(reader, restored)?;
        store.bound(bounds);
        Ok(store)
    }

    /// What sled holds, which stands somewhere in `there`, the offsets of the changelog; else
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn open(
        trees: &Trees,
        (partition, bounds): (Partition, Bounds),
        there: &RangeInclusive<Offset>,
        rules: Arc<Rules>,
    ) -> Result<Self, Error> {
        let tree = trees.partition(partition)?;
        if !tree.is_usable(there, TimeSource::World.now()) {
            tree.clear()?;
        }
        let cache = Mutex::new(Cache::new(tree, bounds, rules));
        Ok(Self {
            shared: Arc::new(Shared { partition, cache }),
            overlay: BTreeMap::new(),
            due: None,
            moved: Vec::new(),
        })
    }

    /// Whether it is known who is due when.
    pub(crate) fn knows_due(&self) -> bool {
        self.due.is_some()
    }

    /// Learns who is due when, which whoever takes inputs has to know: from the rows that wait for
    /// sled, and from those in sled.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn load_timers(&mut self) -> Result<(), Error> {
        if self.due.is_some() {
            return Ok(());
        }
        let (tree, waiting) = self.shared.cache().capture("L");
        let mut leads = Vec::new();
        tree.due(&mut |lead, at| {
            if !waiting.contains_key(&Key::Lead(lead.clone())) {
                leads.push((lead, at));
            }
        })?;
        let waiting = waiting.iter().filter_map(|(key, row)| {
            let Key::Lead(lead) = key else { return None };
            Some((lead.clone(), due_of(row.as_ref())?))
        });
        self.due = Some(leads.into_iter().chain(waiting).collect());
        Ok(())
    }

    /// Reads the changelog behind what is known; `restored` hears of each record; gives the next
    /// offset.
    ///
    /// # Errors
    /// As [`Store::restore`].
    pub fn catch_up(
        &mut self,
        reader: &impl Reader,
        restored: &mut dyn FnMut(RestoreProgress),
    ) -> Result<Offset, Error> {
        let partition = self.shared.partition;
        let (from, end) = (self.next(), reader.end(STATE, partition)?);
        reader.each::<Error>((STATE, partition), (from, end), &mut |offset, record| {
            self.apply(offset, &record)?;
            restored(RestoreProgress { from, next: Offset(offset.0 + 1), end });
            Ok(())
        })?;
        self.reach(end)?;
        Ok(end)
    }

    /// The changelog offset up to which all rows are known.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.shared.cache().next()
    }

    /// Takes over a committed record of the changelog: the next one.
    ///
    /// # Errors
    /// [`Error::Cache`], [`Error::Full`] or [`Error::Changelog`].
    pub fn apply(&mut self, offset: Offset, record: &Record) -> Result<(), Error> {
        let (key, row) = changed(self.shared.partition, offset, record)?;
        let mut cache = self.shared.cache();
        if let (Key::Lead(lead), Some(due)) = (&key, &mut self.due) {
            let before = cache.load(&key)?;
            due.reschedule(lead, due_of(before.as_ref()), due_of(row.as_ref()));
        }
        cache.publish(BTreeMap::from([(key, row)]), Offset(offset.0 + 1))
    }

    /// Every record before `end` was taken over.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub fn reach(&mut self, end: Offset) -> Result<(), Error> {
        let mut cache = self.shared.cache();
        if cache.next() < end { cache.publish(BTreeMap::new(), end) } else { Ok(()) }
    }

    /// Bounds the memory anew.
    pub fn bound(&mut self, bounds: Bounds) {
        self.shared.cache().bound(bounds);
    }

    /// Moves the timer of a lead, until the batch in hand is dropped.
    fn reschedule(&mut self, key: &LeadKey, before: Option<EventTime>, after: Option<EventTime>) {
        self.due.iter_mut().for_each(|due| due.reschedule(key, before, after));
        self.moved.push((key.clone(), before, after));
    }

    fn known_due(&self) -> &Timers {
        self.due.as_ref().expect("who is due is learnt before inputs are taken")
    }

    /// Drops what the batch in hand changed.
    pub fn roll_back(&mut self) {
        self.overlay.clear();
        for (key, before, after) in self.moved.drain(..).rev() {
            self.due.iter_mut().for_each(|due| due.reschedule(&key, after, before));
        }
    }

    /// Takes no inputs for now, and forgets what only they need: the batch in hand and who is due.
    pub fn rest(&mut self) {
        self.overlay.clear();
        self.moved.clear();
        self.due = None;
    }

    /// What readers share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Changelog records of what the batch changed: the last value of each row, in the order of the
    /// keys.
    #[must_use]
    pub fn changes(&self, appended_ms: i64) -> Vec<Record> {
        let record = |(key, row): (&Key, &Option<Row>)| Record {
            key: Some(rows::key_text(key).into()),
            value: row.as_ref().map(rows::row_bytes),
            reason: None,
            appended_ms,
            ingest_run: 0,
            origin: None,
        };
        self.overlay.iter().map(record).collect()
    }

    /// Makes the batch visible once it is committed. `changelog_next` is the end of the changelog
    /// where the batch changed it.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn publish(
        &mut self,
        changelog_next: Option<Offset>,
        positions: Positions,
        rules: &Arc<Rules>,
    ) -> Result<(), Error> {
        let mut cache = self.shared.cache();
        cache.positions = positions;
        cache.rules = rules.clone();
        self.moved.clear();
        let next = changelog_next.unwrap_or(cache.next());
        cache.publish(std::mem::take(&mut self.overlay), next)
    }

    /// Tells readers how far the inputs were taken and under which rules.
    pub fn tell(&self, positions: Positions, rules: &Arc<Rules>) {
        let mut cache = self.shared.cache();
        (cache.positions, cache.rules) = (positions, rules.clone());
    }

    /// Experiments that the batch in hand counted for.
    pub fn tallies_changed(&self) -> impl Iterator<Item = ExperimentKey> {
        self.overlay.keys().filter_map(|key| {
            if let Key::Tally(experiment) = key { Some(experiment.clone()) } else { None }
        })
    }

    /// Whether the batch in hand changed anything.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// Writes all committed rows to sled.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.shared.cache().checkpoint()
    }
}

/// Whoever opens the tree next must not meet a checkpoint that is still being written.
impl Drop for Store {
    fn drop(&mut self) {
        self.shared.cache().abandon();
    }
}

/// The row that a changelog record sets or ends.
///
/// # Errors
/// [`Error::Changelog`].
pub fn changed(
    partition: Partition,
    offset: Offset,
    record: &Record,
) -> Result<(Key, Option<Row>), Error> {
    let wrong = |cause| Error::Changelog { partition: partition.0, offset: offset.0, cause };
    let key = rows::key(record.key.as_deref().unwrap_or_default()).map_err(wrong)?;
    let row =
        record.value.as_deref().map(|bytes| rows::row(&key, bytes)).transpose().map_err(wrong)?;
    Ok((key, row))
}

impl StateStore for Store {
    type Error = Error;

    fn load(&mut self, key: &Key) -> Result<Option<Row>, Error> {
        match self.overlay.get(key) {
            Some(row) => Ok(row.clone()),
            None => self.shared.cache().load(key),
        }
    }

    fn update<T, E>(
        &mut self,
        key: &LeadKey,
        change: impl FnOnce(&mut Lead) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error> {
        let name = Key::Lead(key.clone());
        // The lead itself is changed where nobody else needs it, instead of a copy.
        let (row, origin) = match self.overlay.get_mut(&name) {
            Some(row) => (row.take(), Origin::Overlay),
            None => self.shared.cache().lend(&name)?,
        };
        let was_there = row.is_some();
        let mut lead = row.and_then(Row::into_lead).unwrap_or_default();
        let before = lead.risk.due;
        let changed = change(&mut lead);
        let after = lead.risk.due;
        if changed.is_ok() {
            if after != before {
                self.reschedule(key, before, after);
            }
            self.save(name, Some(Row::Lead(lead)));
            return Ok(changed);
        }
        let row = was_there.then_some(Row::Lead(lead));
        match origin {
            Origin::Overlay => self.save(name, row),
            Origin::Clean => self.shared.cache().keep(name, row),
            Origin::Copy => {}
        }
        Ok(changed)
    }

    fn save(&mut self, key: Key, row: Option<Row>) {
        self.overlay.insert(key, row);
    }

    fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)> {
        self.known_due().first(tenant, until)
    }

    fn tenants_due(&self, until: EventTime) -> Vec<Tenant> {
        self.known_due().tenants(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_that_is_updated_is_stored_and_one_that_is_refused_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let trees = Trees::open(folder.path(), 1, 1 << 20).unwrap();
        let rules = crate::codec::model::starting_rules();
        let place = (Partition(0), Bounds::default());
        let mut store =
            Store::open(&trees, place, &(Offset(0)..=Offset(0)), Arc::new(rules)).unwrap();
        store.load_timers().unwrap();
        let [known, unknown] =
            ["acme:known", "acme:unknown"].map(|key| LeadKey::parse(key).unwrap());
        let key = Key::Lead(known.clone());
        let lead = |events: u32| {
            let mut lead = Box::<Lead>::default();
            lead.activity.events = events;
            lead
        };
        let events = |store: &mut Store| {
            store.load(&key).unwrap().and_then(Row::into_lead).map(|lead| lead.activity.events)
        };
        let publish = |store: &mut Store, next: u64| {
            let rules = store.shared.cache().rules.clone();
            store.publish(Some(Offset(next)), Positions::default(), &rules).unwrap();
        };
        // Sets the number of events, or refuses; either way gives the number before.
        let set = |store: &mut Store, key: &LeadKey, events: Result<u32, u32>| {
            let change = |lead: &mut Lead| {
                let before = lead.activity.events;
                events.map_err(|_| before).map(|events| {
                    lead.activity.events = events;
                    before
                })
            };
            store.update(key, change).unwrap()
        };
        store.save(key.clone(), Some(Row::Lead(lead(1))));
        publish(&mut store, 1);
        for is_in_sled in [false, true] {
            if is_in_sled {
                store.checkpoint().unwrap();
            }
            // Refused; updated, and the batch dropped.
            assert_eq!(set(&mut store, &known, Err(1)), Err(1));
            assert!(!store.is_changed());
            assert_eq!(events(&mut store), Some(1));
            assert_eq!(set(&mut store, &known, Ok(7)), Ok(1));
            store.roll_back();
            assert_eq!(events(&mut store), Some(1));
        }
        // Updated twice in a batch, and refused in between.
        assert_eq!(set(&mut store, &known, Ok(3)), Ok(1));
        assert_eq!(set(&mut store, &known, Err(3)), Err(3));
        assert_eq!(set(&mut store, &known, Ok(2)), Ok(3));
        assert_eq!((events(&mut store), store.changes(0).len()), (Some(2), 1));
        assert_eq!(
            store.shared.view(&key).unwrap().row,
            Some(Row::Lead(lead(1))),
            "readers see what is committed"
        );
        publish(&mut store, 2);
        assert_eq!(events(&mut store), Some(2));
        // A refused event of an unknown lead leaves no row.
        assert_eq!(set(&mut store, &unknown, Err(0)), Err(0));
        assert!(!store.is_changed() && store.load(&Key::Lead(unknown)).unwrap().is_none());
        // Erased in the batch, then refused.
        store.save(key.clone(), None);
        assert_eq!(set(&mut store, &known, Err(0)), Err(0));
        assert_eq!(
            store.changes(0).iter().map(|record| record.value.is_some()).collect::<Vec<_>>(),
            [false]
        );
    }
}
