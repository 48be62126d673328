//! The file of the log and the lock of its data directory.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use redb::Database;

use crate::log::Error;
use crate::log::embedded::storage;

/// Device and inode of a file or directory: another one has others.
///
/// # Errors
/// When it is not there.
pub fn inode(file: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(file).map(|file| (file.dev(), file.ino()))
}

/// Lets one process at a time into a data directory.
pub(crate) fn lock(directory: &Path) -> Result<File, Error> {
    let lock =
        File::options().create(true).truncate(false).write(true).open(directory.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes an empty log, all of it or none: whoever is killed meanwhile leaves no half file.
pub(crate) fn create(directory: &Path, file: &Path) -> Result<(), Error> {
    if directory.join("state").exists() {
        return Err(Error::Missing(file.to_owned()));
    }
    let draft = directory.join("log.redb.new");
    if draft.exists() {
        std::fs::remove_file(&draft)?;
    }
    drop(Database::create(&draft).map_err(storage)?);
    std::fs::rename(&draft, file)?;
    Ok(File::open(directory)?.sync_all()?)
}
