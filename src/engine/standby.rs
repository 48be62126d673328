//! Warm copies of partitions that other instances have: each reads the changelog of its partition
//! as far as it is committed, so that an instance that takes the partition over reads only the
//! rest.
//!
//! A partition's tree is in one hand at a time: a worker's, or the keeper's. They meet in
//! [`Standbys`]; a worker that takes a partition gets the copy as it stands, and catches up from
//! there as it would from the state directory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codec::model::starting_rules;
use crate::codec::records::define;
use crate::codec::topics::{STATE, inputs_of};
use crate::domain::rules::Rules;
use crate::domain::units::{Offset, Partition};
use crate::engine::store::{Bounds, Error, Shared, Store, Trees};
use crate::log::chain;
use crate::log::kafka::{Isolation, Reads, Tail, Topics};
use crate::pipeline::{InputTopic, Key, Row, StateStore};
use crate::telemetry::metrics::Metrics;

/// Rows of one copy kept decoded in memory. Chosen: nothing is decided on them, so few are asked
/// for twice.
const CACHED_ROWS: usize = 1_000;
/// Records of one partition that are read before the next one has its turn.
const TURN_RECORDS: u64 = 20_000;
/// Records between two looks at the rate.
const PACED_RECORDS: u64 = 100;
/// A copy that is not wanted any more is kept so long: while a partition moves, who is to keep it
/// changes for a moment.
const LINGER: Duration = Duration::from_secs(30);
/// Between two looks at what is new. Chosen: each asks the brokers for two offsets of each
/// partition.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// A copy.
struct Kept {
    /// No other copy had this number.
    number: u64,
    store: Store,
    /// When it was wanted last, on the keeper's clock; `None`: it was not asked for yet.
    wanted: Option<Duration>,
    rules: Arc<Rules>,
    /// Definitions up to here are in the rules; `None`: none were read.
    defined: Option<Offset>,
    /// What the last look found; `None`: there was none.
    looked: Option<Checked>,
}

#[derive(Clone, Copy)]
struct Checked {
    behind: u64,
    interactions: Offset,
}

enum InputPartition {
    /// A worker has the partition.
    Taken,
    /// The copy is opened or written.
    Busy,
    Kept(Box<Kept>),
    /// The changelog holds what this release cannot read.
    Refused,
}

/// How a copy stands.
pub struct StandbyView {
    /// Its rows.
    pub shared: Arc<Shared>,
    /// Committed records of the changelog that it had not read when it looked last; ends of
    /// transactions count too.
    pub behind: u64,
    /// Behind the last committed interaction of the partition, as of then.
    pub interactions: Offset,
}

/// The copies of an instance, and which trees its workers have.
#[derive(Default)]
pub struct Standbys {
    is_on: AtomicBool,
    slots: Mutex<(u64, BTreeMap<Partition, InputPartition>)>,
    freed: Condvar,
}

impl Standbys {
    /// Whether copies are kept; else what a worker gives up is not.
    pub fn turn_on(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<Partition, InputPartition>)> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes a partition: its copy, if there is one. Waits while that is opened or
    /// written.
    pub fn take(&self, partition: Partition) -> Option<Store> {
        let is_busy = |slots: &mut (u64, BTreeMap<Partition, InputPartition>)| {
            matches!(slots.1.get(&partition), Some(InputPartition::Busy))
        };
        let mut slots =
            self.freed.wait_while(self.lock(), is_busy).unwrap_or_else(PoisonError::into_inner);
        match slots.1.insert(partition, InputPartition::Taken) {
            Some(InputPartition::Kept(kept)) => Some(kept.store),
            _ => None,
        }
    }

    /// A worker gave a partition up: with what it knows of it, where that may become a copy.
    pub fn give(&self, partition: Partition, store: Option<Store>) {
        match store.filter(|_| self.is_on.load(Ordering::Relaxed)) {
            Some(mut store) => {
                store.rest();
                self.keep(partition, store);
            }
            None => drop(self.lock().1.remove(&partition)),
        }
    }

    fn keep(&self, partition: Partition, store: Store) {
        let mut slots = self.lock();
        slots.0 += 1;
        let kept = Kept {
            number: slots.0,
            store,
            wanted: None,
            rules: Arc::new(starting_rules()),
            defined: None,
            looked: None,
        };
        slots.1.insert(partition, InputPartition::Kept(Box::new(kept)));
        drop(slots);
        self.freed.notify_all();
    }

    fn leave(&self, partition: Partition, place: Option<InputPartition>) {
        let mut slots = self.lock();
        let before = match place {
            Some(place) => slots.1.insert(partition, place),
            None => slots.1.remove(&partition),
        };
        drop(slots);
        self.freed.notify_all();
        // A copy waits for what it is writing, which nobody else has to wait for.
        drop(before);
    }

    /// Forgets everything: the workers have ended, or the state directory is to be thrown away.
    pub fn clear(&self) {
        let slots = std::mem::take(&mut self.lock().1);
        self.freed.notify_all();
        drop(slots);
    }

    /// How the copy of a partition stands, once it was brought up.
    #[must_use]
    pub fn of(&self, partition: Partition) -> Option<StandbyView> {
        match self.lock().1.get(&partition) {
            Some(InputPartition::Kept(kept)) => {
                let Checked { behind, interactions } = kept.looked?;
                Some(StandbyView { shared: kept.store.shared().clone(), behind, interactions })
            }
            _ => None,
        }
    }

    /// How far each copy that was brought up is behind, by partition.
    #[must_use]
    pub fn behind(&self) -> BTreeMap<u32, u64> {
        let behind = |(partition, place): (&Partition, &InputPartition)| match place {
            InputPartition::Kept(kept) => Some((partition.0, kept.looked?.behind)),
            _ => None,
        };
        self.lock().1.iter().filter_map(behind).collect()
    }

    /// Numbers of the copies that there are.
    fn kept(&self) -> Vec<(Partition, u64)> {
        let number = |(partition, place): (&Partition, &InputPartition)| match place {
            InputPartition::Kept(kept) => Some((*partition, kept.number)),
            _ => None,
        };
        self.lock().1.iter().filter_map(number).collect()
    }

    /// Does something with a copy, where it is still that one.
    fn with<T>(
        &self,
        (partition, number): (Partition, u64),
        work: impl FnOnce(&mut Kept) -> T,
    ) -> Option<T> {
        match self.lock().1.get_mut(&partition) {
            Some(InputPartition::Kept(kept)) if kept.number == number => Some(work(kept)),
            _ => None,
        }
    }

    /// Writes a copy to the state directory and lets go of it, where it is still that one.
    fn put_away(&self, (partition, number): (Partition, u64)) -> Result<(), Error> {
        let mut slots = self.lock();
        let Some(InputPartition::Kept(kept)) = slots.1.get(&partition) else { return Ok(()) };
        if kept.number != number {
            return Ok(());
        }
        let Some(InputPartition::Kept(kept)) = slots.1.insert(partition, InputPartition::Busy)
        else {
            return Ok(());
        };
        drop(slots);
        let written = kept.store.checkpoint();
        drop(kept);
        self.leave(partition, None);
        written
    }

    /// Writes all copies to the state directory and lets go of them.
    ///
    /// # Errors
    /// [`Error::Cache`] or [`Error::Full`].
    pub fn put_all_away(&self) -> Result<(), Error> {
        self.kept().into_iter().try_for_each(|copy| self.put_away(copy))
    }
}

/// Reads for the copies of an instance.
pub struct Keeper<'a, R: Reads> {
    standbys: &'a Standbys,
    topics: Topics<R>,
    trees: Trees,
    bounds: Bounds,
    records_per_second: u32,
    metrics: Arc<Metrics>,
    /// The log was told that something cannot be read.
    is_told: bool,
}

impl<'a, R: Reads> Keeper<'a, R> {
    /// Reads so many records in a second at most.
    pub fn new(
        standbys: &'a Standbys,
        (topics, trees): (Topics<R>, Trees),
        (bounds, records_per_second): (Bounds, u32),
        metrics: &Arc<Metrics>,
    ) -> Self {
        let bounds = Bounds { cached_rows: CACHED_ROWS.min(bounds.cached_rows), ..bounds };
        Self {
            standbys,
            topics,
            trees,
            bounds,
            records_per_second,
            metrics: metrics.clone(),
            is_told: false,
        }
    }

    /// Opens copies of what is wanted, lets go of what is not wanted any more, and reads what is
    /// new of each, until `is_over`. What cannot be read now is tried again by the next turn.
    ///
    /// # Errors
    /// [`Error::Cache`] or [`Error::Full`].
    pub fn turn(
        &mut self,
        wanted: &BTreeSet<Partition>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.let_go(wanted)?;
        let mut outcomes: Vec<(Partition, Result<(), Error>)> = Vec::new();
        for partition in wanted.iter().take_while(|_| !is_over()) {
            outcomes.push((*partition, self.open(*partition)));
        }
        for copy in self.standbys.kept() {
            if is_over() {
                break;
            }
            outcomes.push((copy.0, self.follow(copy, is_over)));
        }
        let mut is_told = false;
        for (partition, outcome) in outcomes {
            match outcome {
                Err(error @ Error::Changelog { .. }) => {
                    tracing::warn!(
                        partition = partition.0,
                        error = chain(&error),
                        "no copy is kept of this partition"
                    );
                    self.standbys.leave(partition, Some(InputPartition::Refused));
                }
                Err(Error::Log(error)) => {
                    if !self.is_told && !is_told {
                        tracing::warn!(
                            partition = partition.0,
                            error = chain(&error),
                            "the copy of a partition is not brought up"
                        );
                    }
                    is_told = true;
                }
                other => other?,
            }
        }
        self.is_told = is_told;
        Ok(())
    }

    /// Notes what is wanted, and lets go of what has not been for a while.
    fn let_go(&self, wanted: &BTreeSet<Partition>) -> Result<(), Error> {
        let now = self.topics.reads().time();
        for copy in self.standbys.kept() {
            let is_old = self.standbys.with(copy, |kept| {
                if wanted.contains(&copy.0) || kept.wanted.is_none() {
                    kept.wanted = Some(now);
                    kept.store.bound(self.bounds);
                }
                kept.wanted.is_some_and(|wanted| now > wanted + LINGER)
            });
            if is_old == Some(true) {
                tracing::info!(
                    partition = copy.0.0,
                    "the copy of a partition is only kept on disk from now on"
                );
                self.standbys.put_away(copy)?;
            }
        }
        Ok(())
    }

    /// Opens what the state directory holds of a partition that nobody has in hand.
    fn open(&self, partition: Partition) -> Result<(), Error> {
        if self.standbys.lock().1.contains_key(&partition) {
            return Ok(());
        }
        let (start, end) =
            self.topics.reads().watermarks((STATE, partition), Isolation::Uncommitted)?;
        let mut slots = self.standbys.lock();
        if slots.1.contains_key(&partition) {
            return Ok(());
        }
        slots.1.insert(partition, InputPartition::Busy);
        drop(slots);
        match Store::open(
            &self.trees,
            (partition, self.bounds),
            &(start..=end),
            Arc::new(starting_rules()),
        ) {
            Ok(store) => {
                tracing::info!(
                    partition = partition.0,
                    next = store.next().0,
                    end = end.0,
                    "keeping a copy of a partition"
                );
                self.standbys.keep(partition, store);
                Ok(())
            }
            Err(error) => {
                self.standbys.leave(partition, None);
                Err(error)
            }
        }
    }

    /// Reads what is new for a copy.
    fn follow(&self, copy: (Partition, u64), is_over: &dyn Fn() -> bool) -> Result<(), Error> {
        let place = (STATE, copy.0);
        let Some(from) = self.standbys.with(copy, |kept| kept.store.next()) else {
            return Ok(());
        };
        let (start, end) = self.topics.reads().watermarks(place, Isolation::Uncommitted)?;
        if !(start..=end).contains(&from) {
            // The changelog is another one: what is there of it is opened anew by the next turn,
            // and thrown away.
            return self.standbys.put_away(copy);
        }
        let (began, mut processed) = (self.topics.reads().time(), 0);
        let tail = self.topics.tail::<Error>(place, from, &mut |offset, record| {
            let Some(applied) = self.standbys.with(copy, |kept| kept.store.apply(offset, &record))
            else {
                return Ok(ControlFlow::Break(()));
            };
            applied?;
            processed += 1;
            self.metrics.stood_by(1);
            if processed % PACED_RECORDS == 0 {
                self.rest(began, processed);
            }
            Ok(if processed >= TURN_RECORDS || is_over() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        self.rest(began, processed);
        self.tell(copy, tail)
    }

    /// Waits until so many records may have been read since then.
    fn rest(&self, began: Duration, processed: u64) {
        let due =
            began + Duration::from_secs_f64(processed as f64 / f64::from(self.records_per_second));
        let left = due.saturating_sub(self.topics.reads().time());
        if !left.is_zero() {
            self.topics.reads().pause(left);
        }
    }

    /// Tells readers how far a copy is, and under which rules it stands.
    fn tell(&self, copy: (Partition, u64), tail: Tail) -> Result<(), Error> {
        let found = self.standbys.with(copy, |kept| {
            if tail.is_whole {
                kept.store.reach(tail.stable)?;
            }
            let positions =
                kept.store.load(&Key::Positions)?.and_then(Row::into_positions).unwrap_or_default();
            Ok::<_, Error>((positions, kept.defined))
        });
        let Some((positions, defined)) = found.transpose()? else { return Ok(()) };
        let until = positions.next[InputTopic::Definitions as usize];
        let rules =
            if defined == Some(until) { None } else { Some(Arc::new(self.rules_until(until)?)) };
        let (topic, place) = inputs_of(InputTopic::Interactions, copy.0);
        let interactions = self.topics.stable(topic, place)?;
        self.standbys.with(copy, |kept| {
            if let Some(rules) = rules {
                (kept.rules, kept.defined) = (rules, Some(until));
            }
            kept.store.tell(positions, &kept.rules);
            kept.looked = Some(Checked {
                behind: tail.stable.0.saturating_sub(kept.store.next().0),
                interactions,
            });
        });
        Ok(())
    }

    fn rules_until(&self, until: Offset) -> Result<Rules, Error> {
        let mut rules = starting_rules();
        let place = inputs_of(InputTopic::Definitions, Partition(0));
        self.topics.each::<Error>(place, (Offset(0), until), &mut |_, record| {
            // What cannot be used was told of when it was taken.
            drop(define(&mut rules, &record));
            Ok(())
        })?;
        Ok(rules)
    }
}
