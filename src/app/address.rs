//! Where a running instance is found: a file in its data directory that only its owner can read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a running instance is found and the token that its commands show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// For example `http://127.0.0.1:8080`.
    pub url: String,
    /// Shown as a bearer token.
    pub token: String,
}

/// The address file of a data directory.
#[must_use]
pub fn address_file(data: &Path) -> PathBuf {
    data.join("address.json")
}
