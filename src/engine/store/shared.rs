//! What readers see of a partition, as of one commit.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::rules::Rules;
use crate::domain::units::Partition;
use crate::engine::store::Error;
use crate::engine::store::cache::Cache;
use crate::pipeline::{Key, Positions, Row};

/// How often a reader tries to read a row of one commit without holding the worker up. Chosen: a
/// commit takes longer than a read.
const VIEW_TRIES: usize = 3;

/// What readers see of a partition: a row with the positions and rules of its commit, or all rows
/// of a kind.
pub struct Shared {
    pub(crate) partition: Partition,
    pub(crate) cache: Mutex<Cache>,
}

/// Rows, rules and positions as of one commit.
pub struct View {
    /// The row asked for.
    pub row: Option<Row>,
    /// Rules that were read.
    pub rules: Arc<Rules>,
    /// How far the inputs were taken.
    pub positions: Positions,
}

impl Shared {
    pub(crate) fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row as of the last commit.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn view(&self, key: &Key) -> Result<View, Error> {
        for _ in 0..VIEW_TRIES {
            let (view, tree) = {
                let mut cache = self.cache();
                let (rules, positions) = (cache.rules.clone(), cache.positions);
                if let Some(row) = cache.held(key) {
                    return Ok(View { row, rules, positions });
                }
                (View { row: None, rules, positions }, cache.tree().clone())
            };
            // Sled is read without the lock, so that a slow disk holds up no commit.
            let row = tree.load(key)?;
            if self.cache().positions == view.positions {
                return Ok(View { row, ..view });
            }
        }
        let mut cache = self.cache();
        Ok(View { row: cache.load(key)?, rules: cache.rules.clone(), positions: cache.positions })
    }

    /// All rows whose key text begins with `prefix`, handed one by one, as of the last commit or,
    /// where the worker goes on meanwhile, a later one: a long scan does not hold the worker up.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn scan(&self, prefix: &str, each: &mut dyn FnMut(Key, Row)) -> Result<View, Error> {
        let (view, tree, captured) = {
            let cache = self.cache();
            let (tree, captured) = cache.capture(prefix);
            (
                View { row: None, rules: cache.rules.clone(), positions: cache.positions },
                tree,
                captured,
            )
        };
        tree.scan(prefix, &mut |key, row| {
            if !captured.contains_key(&key) {
                each(key, row);
            }
        })?;
        captured
            .into_iter()
            .filter_map(|(key, row)| Some((key, row?)))
            .for_each(|(key, row)| each(key, row));
        Ok(view)
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Rows that wait for sled, and rows cached.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        self.cache().sizes()
    }
}
