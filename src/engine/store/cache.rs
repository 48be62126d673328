//! Committed rows in memory: those that wait for sled, and a bounded number of those that sled has.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use lru::LruCache;

use crate::codec::rows;
use crate::domain::rules::Rules;
use crate::domain::units::Offset;
use crate::engine::store::tree::Tree;
use crate::engine::store::{Bounds, Changed, Error, Origin};
use crate::pipeline::{Key, Positions, Row};

/// How many checkpoints the worker may be ahead of sled.
const BEHIND_MAX: usize = 4;

/// Rows that a thread writes to sled, and where it says how that went.
struct Applying {
    rows: Arc<Changed>,
    done: Receiver<Result<(), Error>>,
}

/// The committed rows of one partition: dirty ones, those on their way to sled, and clean ones.
pub(crate) struct Cache {
    tree: Tree,
    dirty: Changed,
    applying: Option<Applying>,
    clean: LruCache<Key, Option<Row>>,
    checkpoint_rows: usize,
    next: Offset,
    /// Rules that were read.
    pub(crate) rules: Arc<Rules>,
    /// How far the inputs were taken.
    pub(crate) positions: Positions,
}

impl Cache {
    pub(crate) fn new(tree: Tree, bounds: Bounds, rules: Arc<Rules>) -> Self {
        let clean =
            LruCache::new(NonZeroUsize::new(bounds.cached_rows).unwrap_or(NonZeroUsize::MIN));
        let next = tree.next().unwrap_or_default();
        let (dirty, positions) = (Changed::default(), Positions::default());
        Self {
            tree,
            dirty,
            applying: None,
            clean,
            checkpoint_rows: bounds.checkpoint_rows,
            next,
            rules,
            positions,
        }
    }

    /// The changelog offset up to which all rows are known.
    pub(crate) fn next(&self) -> Offset {
        self.next
    }

    /// The tree behind the rows in memory.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// A row that memory holds; `None`: sled has to be asked.
    pub(crate) fn held(&mut self, key: &Key) -> Option<Option<Row>> {
        if let Some(row) = self.waiting(key) {
            return Some(row.clone());
        }
        self.clean.get(key).cloned()
    }

    pub(crate) fn load(&mut self, key: &Key) -> Result<Option<Row>, Error> {
        if let Some(row) = self.held(key) {
            return Ok(row);
        }
        let row = self.tree.load(key)?;
        self.clean.put(key.clone(), row.clone());
        Ok(row)
    }

    /// A row that is about to be changed. One that sled has too is missing here until it is
    /// committed or given back.
    pub(crate) fn lend(&mut self, key: &Key) -> Result<(Option<Row>, Origin), Error> {
        if let Some(row) = self.waiting(key) {
            return Ok((row.clone(), Origin::Copy));
        }
        let row = self.clean.pop(key).map_or_else(|| self.tree.load(key), Ok)?;
        Ok((row, Origin::Clean))
    }

    /// Takes back a row that sled has.
    pub(crate) fn keep(&mut self, key: Key, row: Option<Row>) {
        self.clean.put(key, row);
    }

    /// A row that waits for sled.
    fn waiting(&self, key: &Key) -> Option<&Option<Row>> {
        self.dirty.get(key).or_else(|| self.applying.as_ref()?.rows.get(key))
    }

    /// Takes over committed rows; `next` is the end of the changelog with them.
    pub(crate) fn publish(
        &mut self,
        rows: BTreeMap<Key, Option<Row>>,
        next: Offset,
    ) -> Result<(), Error> {
        for (key, row) in rows {
            self.clean.pop(&key);
            self.dirty.insert(key, row);
        }
        self.next = next;
        if self.dirty.len() < self.checkpoint_rows {
            return Ok(());
        }
        // One checkpoint at a time; a worker that is far ahead of sled waits for it.
        match self.applying.as_ref().map(|applying| applying.done.try_recv()) {
            Some(Err(TryRecvError::Empty))
                if self.dirty.len() < self.checkpoint_rows * BEHIND_MAX =>
            {
                return Ok(());
            }
            Some(Err(_)) => self.finish()?,
            Some(Ok(outcome)) => self.applied(outcome)?,
            None => {}
        }
        self.begin();
        Ok(())
    }

    /// Writes all dirty rows and waits until sled has them.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Error> {
        self.finish()?;
        self.begin();
        self.finish()
    }

    /// Keeps so much in memory from now on.
    pub(crate) fn bound(&mut self, bounds: Bounds) {
        self.clean.resize(NonZeroUsize::new(bounds.cached_rows).unwrap_or(NonZeroUsize::MIN));
        self.checkpoint_rows = bounds.checkpoint_rows;
    }

    /// Waits for the checkpoint under way, however it goes; what is dirty is dropped.
    pub(crate) fn abandon(&mut self) {
        // A writer that panicked has dropped its sender.
        self.applying.take().map(|applying| applying.done.recv().ok());
    }

    /// Hands the dirty rows to whoever writes them with the changelog position they stand for.
    fn begin(&mut self) {
        let rows = Arc::new(std::mem::take(&mut self.dirty));
        let (tell, done) = channel();
        // A receiver that is gone is a partition that was given up: nobody waits for the answer.
        self.tree.write_beside(rows.clone(), self.next, move |outcome| drop(tell.send(outcome)));
        self.applying = Some(Applying { rows, done });
    }

    /// Waits for the checkpoint under way.
    fn finish(&mut self) -> Result<(), Error> {
        match self.applying.as_ref().map(|applying| applying.done.recv()) {
            Some(outcome) => self.applied(outcome.unwrap_or(Err(Error::Cache))),
            None => Ok(()),
        }
    }

    fn applied(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        outcome?;
        // Whoever wrote them has let go of them.
        let rows = self.applying.take().map(|applying| Arc::unwrap_or_clone(applying.rows));
        for (key, row) in
            rows.into_iter().flatten().filter(|(key, _)| !self.dirty.contains_key(key))
        {
            self.clean.put(key, row);
        }
        Ok(())
    }

    /// What memory holds of the rows whose key text begins with `prefix`, and the tree that has the
    /// others: enough to go through all of them without holding the cache.
    pub(crate) fn capture(&self, prefix: &str) -> (Tree, BTreeMap<Key, Option<Row>>) {
        let applying = self.applying.iter().flat_map(|applying| applying.rows.iter());
        let wanted =
            applying.chain(&self.dirty).filter(|(key, _)| rows::key_text(key).starts_with(prefix));
        (self.tree.clone(), wanted.map(|(key, row)| (key.clone(), row.clone())).collect())
    }

    pub(crate) fn sizes(&self) -> (usize, usize) {
        let applying = self.applying.as_ref().map_or(0, |applying| applying.rows.len());
        (self.dirty.len() + applying, self.clean.len())
    }
}
