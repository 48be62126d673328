//! Rows in sled, each behind a checksum; any doubt is an error, and whoever gets it throws the
//! directory away.

use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::codec::rows;
use crate::domain::units::{AppendTime, DAY_MS, EventTime, LeadKey, Offset, Partition};
use crate::engine::store::{Changed, Error};
use crate::log::TimeSource;
use crate::pipeline::{Key, Row};

/// Rows written at once: one at a time costs more, and sled frees memory only between writes.
const ROWS_PER_WRITE: usize = 1_000;
/// What a write says where no more can be written.
const NO_ROOM: [ErrorKind; 3] =
    [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
/// Name of the entry that says what the tree stands for; no row key begins like it.
const META: &[u8] = b"#";
/// What stands before a lead that is never due.
const NEVER: i64 = i64::MAX;
/// A tree that was written longer ago is not gone on with, milliseconds: a day less than the
/// changelog keeps what removes a row.
const TOMBSTONES_KEPT_MS: i64 = 6 * DAY_MS;
/// How rows are laid out here; a directory with another layout is made anew.
const LAYOUT: u8 = 3;

/// Changes of rows as bytes; `None` removes one.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;
/// Takes the name and the bytes of a row.
pub type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Error>;

/// The bytes of one partition's rows: in sled, or on a disk that a test makes fail.
pub trait Disk: Send + Sync {
    /// The bytes of a row.
    ///
    /// # Errors
    /// [`Error::Cache`].
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Changes rows, all or none.
    ///
    /// # Errors
    /// [`Error::Cache`].
    fn apply(&self, changes: Changes) -> Result<(), Error>;

    /// Makes what was changed durable.
    ///
    /// # Errors
    /// [`Error::Cache`].
    fn flush(&self) -> Result<(), Error>;

    /// Removes all rows.
    ///
    /// # Errors
    /// [`Error::Cache`].
    fn clear(&self) -> Result<(), Error>;

    /// Hands every row whose name begins with `prefix`.
    ///
    /// # Errors
    /// [`Error::Cache`], or what `each` gives.
    fn scan(&self, prefix: &[u8], each: Each<'_>) -> Result<(), Error>;

    /// Runs a job that writes here beside whoever asks.
    fn alongside(&self, job: Box<dyn FnOnce() + Send>);
}

/// Where the disks of all partitions of one log are.
pub trait Disks: Send + Sync {
    /// That of a partition.
    ///
    /// # Errors
    /// [`Error::Cache`].
    fn partition(&self, partition: Partition) -> Result<Arc<dyn Disk>, Error>;

    /// Bytes taken.
    fn size_bytes(&self) -> u64;
}

/// Sled panics where its files make no sense, so every call is guarded.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Error::Cache)?.map_err(|error| match error {
        sled::Error::Io(cause) if NO_ROOM.contains(&cause.kind()) => Error::Full,
        _ => Error::Cache,
    })
}

impl Disks for sled::Db {
    fn partition(&self, partition: Partition) -> Result<Arc<dyn Disk>, Error> {
        let tree = guarded(|| self.open_tree(format!("p{}", partition.0)))?;
        Ok(Arc::new(tree))
    }

    fn size_bytes(&self) -> u64 {
        guarded(|| self.size_on_disk()).unwrap_or(0)
    }
}

impl Disk for sled::Tree {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(guarded(|| self.get(name))?.map(|bytes| bytes.to_vec()))
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (name, bytes) in changes {
            match bytes {
                Some(bytes) => batch.insert(name, bytes),
                None => batch.remove(name),
            }
        }
        guarded(|| self.apply_batch(batch))?;
        // A read between writes lets sled free what the batch replaced; without it memory grows for
        // ever.
        guarded(|| self.get(META))?;
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        guarded(|| self.flush())?;
        Ok(())
    }

    fn clear(&self) -> Result<(), Error> {
        guarded(|| self.clear())
    }

    fn scan(&self, prefix: &[u8], each: Each<'_>) -> Result<(), Error> {
        guarded(|| Ok(self.scan_prefix(prefix)))?;
        let mut entries = self.scan_prefix(prefix);
        while let Some((name, bytes)) = guarded(|| entries.next().transpose())? {
            each(&name, &bytes)?;
        }
        Ok(())
    }

    fn alongside(&self, job: Box<dyn FnOnce() + Send>) {
        std::thread::spawn(job);
    }
}

/// The state directory of one log.
#[derive(Clone)]
pub struct Trees {
    disks: Arc<dyn Disks>,
}

impl Trees {
    /// Opens or makes the directory, with so many bytes of memory for pages of it. One that cannot
    /// be opened, or belongs to another log, is made anew.
    ///
    /// # Errors
    /// [`Error::Full`], or [`Error::Cache`] when it cannot be made.
    pub fn open(directory: &Path, identity: u64, pages_bytes: u64) -> Result<Self, Error> {
        // sled refuses to open beside a snapshot that a kill left half written; its log tells the
        // same, only slower.
        Self::remove(directory, ".generating")?;
        let opened = Self::try_open(directory, identity, pages_bytes).or_else(|_| {
            Self::remove(directory, "snap.")?;
            Self::try_open(directory, identity, pages_bytes)
        });
        opened.or_else(|error| {
            if matches!(error, Error::Full) {
                return Err(error);
            }
            tracing::warn!("state directory cannot be used: restoring it from the changelog");
            Self::wipe(directory)?;
            Self::try_open(directory, identity, pages_bytes)
        })
    }

    fn try_open(directory: &Path, identity: u64, pages_bytes: u64) -> Result<Self, Error> {
        let config =
            sled::Config::new().path(directory).cache_capacity(pages_bytes).flush_every_ms(None);
        let database = guarded(|| config.open())?;
        let owner = [identity.to_le_bytes().as_slice(), &[LAYOUT]].concat();
        match guarded(|| database.get(META))? {
            Some(found) if *found != *owner => return Err(Error::Cache),
            Some(_) => {}
            None => {
                guarded(|| database.insert(META, owner))?;
            }
        }
        Ok(Self::on(database))
    }

    /// Removes the files whose names have a part.
    fn remove(directory: &Path, part: &str) -> Result<(), Error> {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(part) {
                std::fs::remove_file(entry.path()).map_err(|_| Error::Cache)?;
            }
        }
        Ok(())
    }

    /// Throws the directory away.
    ///
    /// # Errors
    /// [`Error::Cache`] when it cannot be removed.
    pub fn wipe(directory: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Cache),
            _ => Ok(()),
        }
    }

    /// What some disks hold.
    pub fn on(disks: impl Disks + 'static) -> Self {
        Self { disks: Arc::new(disks) }
    }

    pub(crate) fn partition(&self, partition: Partition) -> Result<Tree, Error> {
        Ok(Tree { rows: self.disks.partition(partition)? })
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.disks.size_bytes()
    }
}

/// The rows of one partition.
#[derive(Clone)]
pub(crate) struct Tree {
    rows: Arc<dyn Disk>,
}

impl Tree {
    /// The changelog offset up to which the tree holds every row; `None` for a new tree.
    pub(crate) fn next(&self) -> Option<Offset> {
        self.stands().map(|(next, _)| next)
    }

    /// Whether the tree and the changelog behind it give every row: what removes a row is itself
    /// removed from the changelog in the end.
    pub(crate) fn is_usable(&self, there: &RangeInclusive<Offset>, now: AppendTime) -> bool {
        self.stands().is_some_and(|(next, written)| {
            there.contains(&next)
                && (next == *there.end() || now.0.saturating_sub(written.0) <= TOMBSTONES_KEPT_MS)
        })
    }

    /// Up to which changelog offset it holds every row, and when that was written.
    fn stands(&self) -> Option<(Offset, AppendTime)> {
        let meta = self.rows.get(META).ok()??;
        let (next, written) = unguard(META, &meta).ok()?.split_first_chunk::<8>()?;
        Some((
            Offset(u64::from_le_bytes(*next)),
            AppendTime(i64::from_le_bytes(written.try_into().ok()?)),
        ))
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        self.rows.clear()
    }

    pub(crate) fn load(&self, key: &Key) -> Result<Option<Row>, Error> {
        let text = rows::key_text(key);
        let found = self.rows.get(text.as_bytes())?;
        found.map(|bytes| row(key, text.as_bytes(), &bytes)).transpose()
    }

    /// Writes rows and the changelog offset they stand for beside whoever asks; `done` hears how it
    /// went.
    pub(crate) fn write_beside(
        &self,
        changes: Arc<Changed>,
        next: Offset,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let tree = self.clone();
        self.rows.alongside(Box::new(move || {
            let outcome = tree.write(&changes, next);
            drop(changes);
            done(outcome);
        }));
    }

    /// Writes rows, then the changelog offset they stand for, then makes both durable: a kill in
    /// between costs a longer restore, because changelog records are applied again from the older
    /// offset.
    fn write(&self, changes: &Changed, next: Offset) -> Result<(), Error> {
        let mut entries: Vec<_> = changes.iter().collect();
        // Rows that lie near each other are written faster.
        entries.sort_unstable_by_key(|(key, _)| *key);
        for piece in entries.chunks(ROWS_PER_WRITE) {
            let change = |(key, row): &(&Key, &Option<Row>)| {
                let name = rows::key_text(key).into_bytes();
                let bytes = row.as_ref().map(|row| stored(&name, row));
                (name, bytes)
            };
            self.rows.apply(piece.iter().map(change).collect())?;
        }
        self.stand(next, TimeSource::World.now())?;
        self.rows.flush()
    }

    fn stand(&self, next: Offset, written: AppendTime) -> Result<(), Error> {
        let body = [next.0.to_le_bytes(), written.0.to_le_bytes()].concat();
        self.rows.apply(vec![(META.to_vec(), Some(guard(META, &[&body])))])
    }

    /// When each lead is due that is due at all, without decoding the leads.
    pub(crate) fn due(&self, each: &mut dyn FnMut(LeadKey, EventTime)) -> Result<(), Error> {
        // Rows come in the order of their names, so the leads of a tenant share its name.
        let mut tenant = None;
        self.rows.scan(b"L", &mut |name, bytes| {
            let (due, _) = split_due(unguard(name, bytes)?)?;
            if due != NEVER {
                let text = std::str::from_utf8(&name[1..]).map_err(|_| Error::Cache)?;
                let lead =
                    LeadKey::parse_beside(text, tenant.as_ref()).map_err(|_| Error::Cache)?;
                tenant = Some(lead.tenant().clone());
                each(lead, EventTime(due));
            }
            Ok(())
        })
    }

    pub(crate) fn scan(&self, prefix: &str, each: &mut dyn FnMut(Key, Row)) -> Result<(), Error> {
        self.rows.scan(prefix.as_bytes(), &mut |text, bytes| {
            let key = rows::key(text).map_err(|_| Error::Cache)?;
            let row = row(&key, text, bytes)?;
            each(key, row);
            Ok(())
        })
    }
}

/// A row as it is kept here, behind its checksum: before a lead stands when it is due, so that this
/// can be read without the lead.
fn stored(name: &[u8], row: &Row) -> Vec<u8> {
    let bytes = rows::row_bytes(row);
    match row {
        Row::Lead(_) => {
            guard(name, &[&due_of(Some(row)).map_or(NEVER, |due| due.0).to_le_bytes(), &bytes])
        }
        _ => guard(name, &[&bytes]),
    }
}

/// When a lead is due, and the lead.
fn split_due(bytes: &[u8]) -> Result<(i64, &[u8]), Error> {
    let (due, lead) = bytes.split_first_chunk().ok_or(Error::Cache)?;
    Ok((i64::from_le_bytes(*due), lead))
}

/// When the lead of a row is due.
pub(crate) fn due_of(row: Option<&Row>) -> Option<EventTime> {
    match row {
        Some(Row::Lead(lead)) => lead.risk.due,
        _ => None,
    }
}

/// Checksum over name and row, then the parts of the row.
fn guard(name: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(&checksum(name, parts).to_le_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

fn checksum(name: &[u8], parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// What stands behind a checksum that is right.
fn unguard<'a>(name: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], Error> {
    let (sum, body) = bytes.split_first_chunk::<4>().ok_or(Error::Cache)?;
    if u32::from_le_bytes(*sum) == checksum(name, &[body]) { Ok(body) } else { Err(Error::Cache) }
}

fn row(key: &Key, name: &[u8], bytes: &[u8]) -> Result<Row, Error> {
    let stored = unguard(name, bytes)?;
    let bytes = if let Key::Lead(_) = key { split_due(stored)?.1 } else { stored };
    rows::row(key, bytes).map_err(|_| Error::Cache)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::Bounds;

    #[test]
    fn a_tree_that_was_written_before_tombstones_were_removed_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Trees::open(folder.path(), 1, Bounds::default().pages_bytes)
            .unwrap()
            .partition(Partition(0))
            .unwrap();
        let now = AppendTime(1_800_000_000_000);
        let behind = |end: u64| tree.is_usable(&(Offset(3)..=Offset(end)), now);
        assert!(!behind(9));
        tree.stand(Offset(5), AppendTime(now.0 - TOMBSTONES_KEPT_MS)).unwrap();
        assert_eq!((tree.next(), behind(9), behind(4)), (Some(Offset(5)), true, false));
        tree.stand(Offset(5), AppendTime(now.0 - TOMBSTONES_KEPT_MS - 1)).unwrap();
        assert_eq!((behind(9), behind(5)), (false, true));
    }
}
