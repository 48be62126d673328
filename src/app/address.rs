//! Where a running instance is found: a file in its data directory that only its owner can read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::inode;

/// Where a running instance is found and the token that its commands show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// For example `http://127.0.0.1:8080`.
    pub url: String,
    /// Shown as a bearer token.
    pub token: String,
    /// The data directory: its device and inode, so that a copy of the directory does not lead to
    /// the instance of the original.
    pub directory: (u64, u64),
}

impl Address {
    /// The address of the instance that runs on a data directory, or that was killed on it.
    #[must_use]
    pub fn read(data: &Path) -> Option<Self> {
        let text = std::fs::read(address_file(data)).ok()?;
        let address: Self = serde_json::from_slice(&text).ok()?;
        (inode(data).ok()? == address.directory).then_some(address)
    }
}

/// The address file of a data directory.
#[must_use]
pub fn address_file(data: &Path) -> PathBuf {
    data.join("address.json")
}
