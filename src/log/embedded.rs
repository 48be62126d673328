//! The embedded log: topics as ordered rows of record batches in one redb file, for one machine.
//!
//! An append or a commit is one redb transaction, durable before it returns: after a kill, all of
//! it is there or none.

mod cleaner;
mod file;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use redb::{
    Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
};

use crate::codec::record::{Batches, Record};
use crate::codec::topics::STATE;
use crate::domain::hash::partition_of;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::embedded::file::{create, lock};
use crate::log::{CommitError, Error, Log, Options, Reader, Sources, TimeSource, batch};
use crate::pipeline::{InputTopic, Positions};

pub use crate::log::embedded::cleaner::Cleaned;
pub use crate::log::embedded::file::inode;

/// Topic, partition, first offset of the batch -> batch.
const BATCHES: TableDefinition<(&str, u32, u64), &[u8]> = TableDefinition::new("batches");
/// Topic, partition -> next offset.
const ENDS: TableDefinition<(&str, u32), u64> = TableDefinition::new("ends");
/// Topic, partition -> first offset that was not retained away.
const STARTS: TableDefinition<(&str, u32), u64> = TableDefinition::new("starts");
/// Partition -> next interaction, inbox entry and definition to take, and which of the three was
/// taken last.
const POSITIONS: TableDefinition<u32, (u64, u64, u64, u8)> = TableDefinition::new("positions");
/// Beside which of the three: its next record has begun.
const BEGUN: u8 = 0x80;
/// Source -> how far it was appended, JSON.
const SOURCES: TableDefinition<&str, &[u8]> = TableDefinition::new("sources");
/// What holds for the whole directory, by name: format, number of partitions, identity.
const DIRECTORY: TableDefinition<&str, u64> = TableDefinition::new("directory");
/// Records of one batch that is imported.
const RECORDS_PER_BATCH: usize = 1_000;
/// Format of the tables above.
const FORMAT: u64 = 3;

pub(crate) fn storage(error: impl Into<redb::Error>) -> Error {
    Error::Storage(Box::new(error.into()))
}

/// How often a log was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Appends by sources.
    pub appends: u64,
    /// Commits of the worker.
    pub commits: u64,
}

/// The log of one data directory.
pub struct Embedded {
    database: Database,
    /// Held as long as the log is open, whatever becomes of its file.
    _lock: File,
    /// Device and inode of the file.
    inode: (u64, u64),
    file: PathBuf,
    partitions: u32,
    identity: u64,
    time: TimeSource,
    writes: Mutex<Writes>,
    written: Condvar,
}

impl Embedded {
    /// Opens or makes the log.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Format`], or when the file cannot be made or read.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, Error> {
        std::fs::create_dir_all(directory)?;
        let lock = lock(directory)?;
        let file = directory.join("log.redb");
        let is_there = std::fs::metadata(&file).is_ok_and(|file| file.len() > 0);
        if !is_there {
            create(directory, &file)?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(options.cache_bytes);
        let database = builder.open(&file).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse,
            other => storage(other),
        })?;
        let identity = uuid::Uuid::new_v4().as_u64_pair().0;
        let (partitions, identity) = prepare(&database, options.partitions, identity)?;
        Ok(Self {
            database,
            _lock: lock,
            inode: inode(&file)?,
            file,
            partitions,
            identity,
            time: options.time.clone(),
            writes: Mutex::default(),
            written: Condvar::new(),
        })
    }

    /// Looks at the log of a data directory without changing anything: whether its file can be
    /// read, and the newest batch of each topic's partition. Gives the number of partitions;
    /// `None`: there is no log yet.
    ///
    /// # Errors
    /// What [`Embedded::open`] would give, or [`Error::Damaged`].
    pub fn check(directory: &Path) -> Result<Option<u32>, Error> {
        let file = directory.join("log.redb");
        if !std::fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
            let has_state = directory.join("state").exists();
            return if has_state { Err(Error::Missing(file)) } else { Ok(None) };
        }
        // Held until the end, so that nobody begins meanwhile.
        let _lock = directory.join("lock").exists().then(|| lock(directory)).transpose()?;
        let database = ReadOnlyDatabase::open(&file).map_err(storage)?;
        let transaction = database.begin_read().map_err(storage)?;
        let directory = transaction.open_table(DIRECTORY).map_err(storage)?;
        let number = |name: &str| -> Result<Option<u64>, Error> {
            Ok(directory.get(name).map_err(storage)?.map(|number| number.value()))
        };
        match number("format")? {
            Some(FORMAT) => {}
            found => {
                return Err(Error::Format { found: found.unwrap_or_default(), read: FORMAT });
            }
        }
        let partitions = number("partitions")?.and_then(|number| u32::try_from(number).ok());
        let snapshot = Snapshot { transaction, partitions: partitions.unwrap_or(1) };
        let ends = snapshot.transaction.open_table(ENDS).map_err(storage)?;
        for row in ends.iter().map_err(storage)? {
            let (place, end) = row.map_err(storage)?;
            let ((topic, partition), end) = (place.value(), end.value());
            snapshot.read(topic, Partition(partition), Offset(end.saturating_sub(1)))?;
        }
        Ok(Some(snapshot.partitions))
    }

    /// Number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Drawn when the directory was made: what was derived from another log does not carry it.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// The time that an append would carry now.
    #[must_use]
    pub fn now(&self) -> AppendTime {
        self.time.now()
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition_of(&self, key: &[u8]) -> Partition {
        partition_of(key, self.partitions)
    }

    /// Appends records of a source and remembers how far the source is, all or nothing; wakes who
    /// waits.
    ///
    /// # Errors
    /// When redb fails; nothing was written then.
    pub fn append(&self, batches: &Batches, source: Option<(&str, &[u8])>) -> Result<(), Error> {
        self.write(batches, &BTreeMap::new(), source)?;
        self.tell(|writes| writes.appends += 1);
        Ok(())
    }

    /// Commits outputs, changelog, order and positions, all or nothing.
    ///
    /// # Errors
    /// When redb fails; nothing was written then.
    pub fn commit(
        &self,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
    ) -> Result<(), Error> {
        self.write(batches, positions, None)?;
        self.tell(|writes| writes.commits += 1);
        Ok(())
    }

    /// Takes over records of another log with their offsets, which ascend beyond those that are
    /// there.
    ///
    /// # Errors
    /// When redb fails.
    pub fn import(
        &self,
        (topic, partition): (&str, Partition),
        records: &[(Offset, Record)],
    ) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(storage)?;
        {
            let mut rows = transaction.open_table(BATCHES).map_err(storage)?;
            let mut ends = transaction.open_table(ENDS).map_err(storage)?;
            for piece in records.chunks(RECORDS_PER_BATCH) {
                let (Some((first, _)), Some((last, _))) = (piece.first(), piece.last()) else {
                    continue;
                };
                let numbered = piece.iter().map(|(offset, record)| (offset.0 - first.0, record));
                rows.insert((topic, partition.0, first.0), batch::encode(numbered).as_slice())
                    .map_err(storage)?;
                ends.insert((topic, partition.0), last.0 + 1).map_err(storage)?;
            }
        }
        transaction.commit().map_err(storage)
    }

    fn write(
        &self,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
        source: Option<(&str, &[u8])>,
    ) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(storage)?;
        {
            let mut rows = transaction.open_table(BATCHES).map_err(storage)?;
            let mut ends = transaction.open_table(ENDS).map_err(storage)?;
            for ((topic, partition), records) in
                batches.iter().filter(|(_, records)| !records.is_empty())
            {
                let place = (*topic, *partition);
                let first = ends.get(place).map_err(storage)?.map_or(0, |end| end.value());
                let numbered =
                    records.iter().enumerate().map(|(place, record)| (place as u64, record));
                rows.insert((place.0, place.1, first), batch::encode(numbered).as_slice())
                    .map_err(storage)?;
                ends.insert(place, first + records.len() as u64).map_err(storage)?;
            }
            let mut table = transaction.open_table(POSITIONS).map_err(storage)?;
            for (
                partition,
                Positions { next: [interactions, inbox, definitions], current, has_begun },
            ) in positions
            {
                let current = *current as u8 | if *has_begun { BEGUN } else { 0 };
                table
                    .insert(partition, (interactions.0, inbox.0, definitions.0, current))
                    .map_err(storage)?;
            }
            if let Some((name, state)) = source {
                transaction
                    .open_table(SOURCES)
                    .map_err(storage)?
                    .insert(name, state)
                    .map_err(storage)?;
            }
        }
        transaction.commit().map_err(storage)
    }

    fn tell(&self, change: impl FnOnce(&mut Writes)) {
        change(&mut self.writes.lock().unwrap_or_else(PoisonError::into_inner));
        self.written.notify_all();
    }

    /// How often the log was written since it was opened.
    #[must_use]
    pub fn writes(&self) -> Writes {
        *self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `enough` holds of the writes, or for `wait`.
    pub fn await_write(&self, wait: Duration, enough: impl Fn(Writes) -> bool) {
        let guard = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let _woken = self.written.wait_timeout_while(guard, wait, |writes| !enough(*writes));
    }

    /// Wakes who waits for an append.
    pub fn wake(&self) {
        self.tell(|writes| writes.appends += 1);
    }

    /// Whether the file that is open is the one at its path.
    ///
    /// # Errors
    /// [`Error::Replaced`].
    pub fn is_in_place(&self) -> Result<(), Error> {
        match inode(&self.file) {
            Ok(inode) if inode == self.inode => Ok(()),
            _ => Err(Error::Replaced(self.file.clone())),
        }
    }

    /// Bytes of the log file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    /// The log as it is now, whatever is written later.
    ///
    /// # Errors
    /// When redb fails.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot {
            transaction: self.database.begin_read().map_err(storage)?,
            partitions: self.partitions,
        })
    }
}

/// Makes the tables; gives the number of partitions and the identity that hold.
fn prepare(database: &Database, partitions: u32, identity: u64) -> Result<(u32, u64), Error> {
    let transaction = database.begin_write().map_err(storage)?;
    transaction.open_table(BATCHES).map_err(storage)?;
    transaction.open_table(ENDS).map_err(storage)?;
    transaction.open_table(STARTS).map_err(storage)?;
    transaction.open_table(SOURCES).map_err(storage)?;
    let kept = {
        let mut directory = transaction.open_table(DIRECTORY).map_err(storage)?;
        let known = directory.get("format").map_err(storage)?.map(|format| format.value());
        if let Some(format) = known.filter(|format| *format != FORMAT) {
            return Err(Error::Format { found: format, read: FORMAT });
        }
        let mut keep = |name: &str, value: u64| -> Result<u64, Error> {
            if let Some(kept) = directory.get(name).map_err(storage)?.map(|kept| kept.value()) {
                return Ok(kept);
            }
            directory.insert(name, value).map_err(storage)?;
            Ok(value)
        };
        keep("format", FORMAT)?;
        let partitions = keep("partitions", u64::from(partitions.clamp(1, 1_024)))?;
        (u32::try_from(partitions).unwrap_or(1), keep("identity", identity)?)
    };
    transaction.open_table(POSITIONS).map_err(storage)?;
    transaction.commit().map_err(storage)?;
    Ok(kept)
}

/// The log at one moment.
pub struct Snapshot {
    transaction: ReadTransaction,
    partitions: u32,
}

impl Snapshot {
    /// Number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// How far a partition took its inputs.
    ///
    /// # Errors
    /// When redb fails.
    pub fn positions(&self, partition: Partition) -> Result<Positions, Error> {
        let table = self.transaction.open_table(POSITIONS).map_err(storage)?;
        let row = table.get(partition.0).map_err(storage)?.map(|row| row.value());
        Ok(row.map_or_else(Positions::default, |(interactions, inbox, definitions, current)| {
            Positions {
                next: [Offset(interactions), Offset(inbox), Offset(definitions)],
                current: InputTopic::ALL
                    .get(usize::from(current & !BEGUN))
                    .copied()
                    .unwrap_or_default(),
                has_begun: current & BEGUN != 0,
            }
        }))
    }

    /// What was stored with the last append of a source.
    ///
    /// # Errors
    /// When redb fails.
    pub fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let table = self.transaction.open_table(SOURCES).map_err(storage)?;
        Ok(table.get(name).map_err(storage)?.map(|state| state.value().to_vec()))
    }
}

impl Sources for Arc<Embedded> {
    fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.snapshot()?.source(name)
    }

    fn append_from(&self, batches: &Batches, source: (&str, &[u8])) -> Result<(), Error> {
        self.append(batches, Some(source))
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn now(&self) -> AppendTime {
        self.time.now()
    }
}

impl Reader for Snapshot {
    fn start(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        let table = self.transaction.open_table(STARTS).map_err(storage)?;
        Ok(Offset(
            table.get((topic, partition.0)).map_err(storage)?.map_or(0, |start| start.value()),
        ))
    }

    fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        let table = self.transaction.open_table(ENDS).map_err(storage)?;
        Ok(Offset(table.get((topic, partition.0)).map_err(storage)?.map_or(0, |end| end.value())))
    }

    /// Records of one batch: those left of the batch that holds `from`, else the next batch.
    fn read(
        &self,
        topic: &str,
        partition: Partition,
        from: Offset,
    ) -> Result<Vec<(Offset, Record)>, Error> {
        let table = self.transaction.open_table(BATCHES).map_err(storage)?;
        let place = |offset: u64| (topic, partition.0, offset);
        let holding = table
            .range(place(0)..=place(from.0))
            .map_err(storage)?
            .next_back()
            .transpose()
            .map_err(storage)?;
        let first = holding.map_or(0, |(key, _)| key.value().2);
        for row in table.range(place(first)..=place(u64::MAX)).map_err(storage)? {
            let (key, bytes) = row.map_err(storage)?;
            let first = key.value().2;
            let damaged = || Error::Damaged {
                topic: topic.to_owned(),
                partition: partition.0,
                offset: first,
            };
            let mut records = batch::decode(first, bytes.value()).ok_or_else(damaged)?;
            records.retain(|(offset, _)| *offset >= from);
            if !records.is_empty() {
                return Ok(records);
            }
        }
        Ok(Vec::new())
    }

    fn positions(&self, partition: Partition, _row: Option<Positions>) -> Result<Positions, Error> {
        self.positions(partition)
    }
}

impl Log for Arc<Embedded> {
    type Reader = Snapshot;
    const POSITIONS_ARE_ROWS: bool = false;

    fn reader(&self) -> Result<Snapshot, Error> {
        self.snapshot()
    }

    fn put(&self, batches: &Batches) -> Result<(), Error> {
        self.append(batches, None)
    }

    fn commit(
        &self,
        batches: &Batches,
        positions: &BTreeMap<u32, Positions>,
    ) -> Result<BTreeMap<u32, Offset>, CommitError> {
        Embedded::commit(self, batches, positions)?;
        let snapshot = self.snapshot()?;
        Ok(positions
            .keys()
            .map(|partition| Ok((*partition, snapshot.end(STATE, Partition(*partition))?)))
            .collect::<Result<_, Error>>()?)
    }

    fn settle(&self) -> Result<(), Error> {
        Ok(())
    }

    fn identity(&self) -> u64 {
        self.identity
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn now(&self) -> AppendTime {
        self.time.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Record {
        Record {
            key: Some("t:l".into()),
            value: Some(value.to_vec()),
            reason: None,
            appended_ms: 7,
            ingest_run: 3,
            origin: None,
        }
    }

    #[test]
    fn a_log_that_is_gone_is_no_new_log_and_nobody_else_gets_in_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Embedded::open(folder.path(), &Options::default());
        // What a process left that was killed while it made the log.
        std::fs::write(folder.path().join("log.redb.new"), b"half").unwrap();
        let log = open().unwrap();
        let file = folder.path().join("log.redb");
        log.is_in_place().unwrap();
        std::fs::rename(&file, folder.path().join("moved")).unwrap();
        assert!(matches!(log.is_in_place(), Err(Error::Replaced(replaced)) if replaced == file));
        assert!(matches!(open(), Err(Error::InUse)), "although its file is gone");
        drop(log);
        std::fs::create_dir(folder.path().join("state")).unwrap();
        assert!(matches!(open(), Err(Error::Missing(missing)) if missing == file));
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(open(), Err(Error::Missing(missing)) if missing == file));
        std::fs::remove_dir(folder.path().join("state")).unwrap();
        assert_eq!(open().unwrap().partitions(), Options::default().partitions);
    }

    #[test]
    fn appended_records_are_read_back_from_any_offset_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { partitions: 3, ..Options::default() };
        let log = Embedded::open(folder.path(), &options).unwrap();
        assert!(matches!(Embedded::open(folder.path(), &options), Err(Error::InUse)));
        let batch = |values: &[&[u8]]| {
            Batches::from([(("a", 1), values.iter().map(|value| record(value)).collect())])
        };
        let positions = Positions {
            next: [Offset(2), Offset(0), Offset(5)],
            current: InputTopic::Definitions,
            has_begun: true,
        };
        log.append(&batch(&[b"0", b"1"]), Some(("file", b"s1"))).unwrap();
        log.commit(&batch(&[b"2"]), &BTreeMap::from([(1, positions)])).unwrap();
        let identity = log.identity();
        drop(log);
        let log = Embedded::open(folder.path(), &Options::default()).unwrap();
        assert_eq!((log.partitions(), log.identity()), (3, identity));
        let snapshot = log.snapshot().unwrap();
        let values = |from| {
            let records = snapshot.read("a", Partition(1), Offset(from)).unwrap();
            records
                .into_iter()
                .map(|(offset, record)| (offset.0, record.value.unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (values(0), values(1), values(2), values(3)),
            (
                vec![(0, b"0".to_vec()), (1, b"1".to_vec())],
                vec![(1, b"1".to_vec())],
                vec![(2, b"2".to_vec())],
                vec![]
            )
        );
        let mut all = Vec::new();
        snapshot
            .each::<Error>(("a", Partition(1)), (Offset(0), Offset(3)), &mut |offset, _| {
                all.push(offset.0);
                Ok(())
            })
            .unwrap();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(
            (snapshot.end("a", Partition(1)).unwrap(), snapshot.end("a", Partition(0)).unwrap()),
            (Offset(3), Offset(0))
        );
        assert_eq!(
            (snapshot.positions(Partition(1)).unwrap(), snapshot.source("file").unwrap()),
            (positions, Some(b"s1".to_vec()))
        );
    }
}
