//! Rows in sled, each behind a checksum; any doubt is an error, and whoever gets it throws the directory away.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::codec::rows;
use crate::domain::units::{Offset, Partition};
use crate::pipeline::{Key, Row};
use crate::runtime::store::Error;

/// Memory that sled may use for its cache.
const SLED_CACHE_BYTES: u64 = 64 << 20;
/// Rows written at once: one at a time costs more, and sled frees memory only between writes.
const ROWS_PER_WRITE: usize = 1_000;
/// Name of the entry that says what the tree stands for; no row key begins like it.
const META: &[u8] = b"#";

/// Sled panics where its files make no sense, so every call is guarded.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Error::Cache)?.map_err(|_| Error::Cache)
}

/// The state directory of one log.
pub struct Trees {
    database: sled::Db,
    identity: u64,
    directory: PathBuf,
}

impl Trees {
    /// Opens or makes the directory. One that cannot be opened, or belongs to another log, is made anew.
    ///
    /// # Errors
    /// [`Error::Cache`] when it cannot be made.
    pub fn open(directory: &Path, identity: u64) -> Result<Self, Error> {
        Self::try_open(directory, identity).or_else(|_| {
            tracing::warn!("state directory cannot be used: restoring it from the changelog");
            Self::wipe(directory)?;
            Self::try_open(directory, identity)
        })
    }

    fn try_open(directory: &Path, identity: u64) -> Result<Self, Error> {
        // sled refuses to open beside a snapshot that a kill left half written.
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".generating") {
                std::fs::remove_file(entry.path()).map_err(|_| Error::Cache)?;
            }
        }
        let config = sled::Config::new().path(directory).cache_capacity(SLED_CACHE_BYTES).flush_every_ms(None);
        let database = guarded(|| config.open())?;
        let owner = guarded(|| database.get(META))?;
        match owner {
            Some(owner) if owner.as_ref() != identity.to_le_bytes() => return Err(Error::Cache),
            Some(_) => {}
            None => {
                guarded(|| database.insert(META, identity.to_le_bytes().as_slice()))?;
            }
        }
        Ok(Self { database, identity, directory: directory.to_owned() })
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

    /// Throws away what is there and starts empty.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn renew(self) -> Result<Self, Error> {
        let Self { database, identity, directory } = self;
        drop(database);
        Self::wipe(&directory)?;
        Self::try_open(&directory, identity)
    }

    pub(crate) fn partition(&self, partition: Partition) -> Result<Tree, Error> {
        let name = format!("p{}", partition.0);
        Ok(Tree { rows: guarded(|| self.database.open_tree(name))? })
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        guarded(|| self.database.size_on_disk()).unwrap_or(0)
    }
}

/// The rows of one partition.
#[derive(Clone)]
pub(crate) struct Tree {
    rows: sled::Tree,
}

impl Tree {
    /// The changelog offset up to which the tree holds every row; `None` for a new tree.
    pub(crate) fn next(&self) -> Option<Offset> {
        let meta = guarded(|| self.rows.get(META)).ok()??;
        let (sum, body) = meta.split_first_chunk::<4>()?;
        let next = body.try_into().ok().filter(|_| u32::from_le_bytes(*sum) == checksum(META, body))?;
        Some(Offset(u64::from_le_bytes(next)))
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        guarded(|| self.rows.clear())
    }

    pub(crate) fn load(&self, key: &Key) -> Result<Option<Row>, Error> {
        let text = rows::key_text(key);
        let found = guarded(|| self.rows.get(&text))?;
        found.map(|bytes| row(key, text.as_bytes(), &bytes)).transpose()
    }

    /// Writes rows, then the changelog offset they stand for, then makes both durable: a kill in between costs a longer
    /// restore, because changelog records are applied again from the older offset.
    pub(crate) fn write(&self, changes: &BTreeMap<Key, Option<Row>>, next: Offset) -> Result<(), Error> {
        let entries: Vec<_> = changes.iter().collect();
        for piece in entries.chunks(ROWS_PER_WRITE) {
            let mut batch = sled::Batch::default();
            for (key, row) in piece {
                let text = rows::key_text(key);
                match row {
                    Some(row) => batch.insert(text.as_bytes(), guard(text.as_bytes(), &rows::row_bytes(row))),
                    None => batch.remove(text.as_bytes()),
                }
            }
            guarded(|| self.rows.apply_batch(batch))?;
            // A read between writes lets sled free what the batch replaced; without it memory grows for ever.
            guarded(|| self.rows.get(META))?;
        }
        guarded(|| self.rows.insert(META, guard(META, &next.0.to_le_bytes())))?;
        guarded(|| self.rows.flush())?;
        Ok(())
    }

    pub(crate) fn scan(&self, prefix: &str, each: &mut dyn FnMut(Key, Row)) -> Result<(), Error> {
        guarded(|| Ok(self.rows.scan_prefix(prefix)))?;
        let mut entries = self.rows.scan_prefix(prefix);
        while let Some((text, bytes)) = guarded(|| entries.next().transpose())? {
            let key = std::str::from_utf8(&text).ok().and_then(|text| rows::key(text).ok()).ok_or(Error::Cache)?;
            let row = row(&key, &text, &bytes)?;
            each(key, row);
        }
        Ok(())
    }
}

/// Checksum over name and row, then the row.
fn guard(name: &[u8], row: &[u8]) -> Vec<u8> {
    [checksum(name, row).to_le_bytes().as_slice(), row].concat()
}

fn checksum(name: &[u8], row: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name);
    hasher.update(row);
    hasher.finalize()
}

fn row(key: &Key, name: &[u8], bytes: &[u8]) -> Result<Row, Error> {
    let (sum, body) = bytes.split_first_chunk::<4>().ok_or(Error::Cache)?;
    if u32::from_le_bytes(*sum) != checksum(name, body) {
        return Err(Error::Cache);
    }
    rows::row(key, body).map_err(|_| Error::Cache)
}
