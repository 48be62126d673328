//! Where the threads meet: which partitions are owned since when, and what was fetched of them.
//!
//! Ownership and buffers stand under one lock. An owned partition has an epoch; it changes whenever
//! the partition goes and comes back, so that a commit can see that a partition has left since its
//! batch was begun, which Kafka itself would not notice: it checks the generation of the group, not
//! who owns what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::codec::record::Record;
use crate::domain::units::{Offset, Partition};
use crate::pipeline::{InputTopic, Positions};

/// Records handed out at once.
const READ_MAX: usize = 1_000;

/// An input of a partition.
pub type InputPartition = (InputTopic, Partition);

/// Fetched records of one input, kept until their positions are committed.
struct Buffer {
    records: VecDeque<(Offset, Record)>,
    /// When each of them came.
    came: VecDeque<Instant>,
    /// Behind the last record fetched.
    next: Offset,
    /// Which assignment of the fetching thread asks for it first: what comes from an older one is
    /// not meant for it.
    version: u64,
}

/// How the fetching client stands in a partition of the interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// The offset that it asks for next.
    pub(crate) next: Offset,
    /// Behind the last record that is committed.
    pub(crate) stable: Offset,
    /// Behind the last record.
    pub(crate) high: Offset,
    /// Records that it has and nobody took.
    pub(crate) queued: u64,
}

/// A partition of the interactions that does not go on although there are records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The partition.
    pub partition: Partition,
    /// Why.
    pub kind: StallKind,
    /// Where it stands.
    pub at: Offset,
    /// Records behind that.
    pub records: u64,
    /// Since when.
    pub lasts: Duration,
}

/// Why a partition does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StallKind {
    /// The client gets nothing, as of a batch that it cannot read.
    Unreadable,
    /// A producer's transaction is open.
    OpenTransaction,
}

/// Which of an instance's workers takes which partitions: those whose number leaves `number` when
/// divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSlot {
    /// Counted from 0.
    pub number: u32,
    /// How many workers there are.
    pub of: u32,
}

impl WorkerSlot {
    /// Everything.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    fn has(self, partition: Partition) -> bool {
        partition.0 % self.of == self.number
    }
}

/// Partitions that came and those that go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebalance {
    /// Now owned.
    pub assigned: Vec<Partition>,
    /// To be given up, or gone already.
    pub revoked: Vec<Partition>,
}

#[derive(Default)]
struct State {
    owned: BTreeMap<Partition, u64>,
    epochs: u64,
    /// What the worker has in hand.
    held: BTreeMap<Partition, u64>,
    /// Owned until the worker has given them up.
    revoked: BTreeSet<Partition>,
    buffers: BTreeMap<InputPartition, Buffer>,
    /// What is not fetched yet of the interactions.
    ahead: BTreeMap<Partition, Ahead>,
    /// Where partitions stand, and since when.
    stands: BTreeMap<(Partition, StallKind), (Offset, Instant)>,
    /// Inputs of which no more is fetched for now.
    paused: BTreeSet<InputPartition>,
    /// How long interactions were here until their transaction began, by partition, until somebody
    /// asks.
    handled: BTreeMap<Partition, Vec<Duration>>,
    version: u64,
    /// Counts everything that a waiting worker wants to hear of.
    news: u64,
    has_joined: bool,
    failure: Option<String>,
}

impl State {
    fn holds(&self, partitions: &[Partition]) -> bool {
        partitions.iter().any(|partition| self.held.contains_key(partition))
    }
}

/// See the module.
#[derive(Default)]
pub struct PartitionAssignment {
    state: Mutex<State>,
    changed: Condvar,
}

impl PartitionAssignment {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.news += 1;
        drop(state);
        self.changed.notify_all();
        result
    }

    /// The group gave partitions to this instance, perhaps none.
    pub fn assigned(&self, partitions: &[Partition]) {
        self.change(|state| {
            state.has_joined = true;
            for partition in partitions {
                state.epochs += 1;
                state.owned.insert(*partition, state.epochs);
                state.revoked.remove(partition);
            }
        });
    }

    /// The group takes partitions back; returns once the worker gave them up, or after `wait`.
    pub(crate) fn revoked(&self, partitions: &[Partition], wait: Duration) {
        self.asked_back(partitions);
        let held = |state: &mut State| state.holds(partitions);
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), wait, held)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        if timeout.timed_out() {
            tracing::warn!(?partitions, "partitions were taken back before their commit had ended");
        }
        self.lost(partitions);
    }

    /// The worker is to give partitions up.
    pub fn asked_back(&self, partitions: &[Partition]) {
        self.change(|state| state.revoked.extend(partitions));
    }

    /// Whether the worker has any of these in hand and may still commit it.
    #[must_use]
    pub fn holds(&self, partitions: &[Partition]) -> bool {
        self.lock().holds(partitions)
    }

    /// Partitions are gone: what is in hand of them must not be committed.
    pub fn lost(&self, partitions: &[Partition]) {
        self.change(|state| {
            for partition in partitions {
                state.owned.remove(partition);
                state.revoked.remove(partition);
            }
        });
    }

    /// What a worker has to give up, and what it may take.
    pub fn moves(&self, part: WorkerSlot) -> Rebalance {
        let state = self.lock();
        let other =
            |partition: &&Partition| state.owned.get(partition) != state.held.get(partition);
        let revoked = |partition: &&Partition| state.revoked.contains(partition);
        let own = |partition: &&Partition| part.has(**partition);
        Rebalance {
            assigned: state
                .owned
                .keys()
                .filter(own)
                .filter(|partition| other(partition) && !revoked(partition))
                .copied()
                .collect(),
            revoked: state
                .held
                .keys()
                .filter(own)
                .filter(|partition| other(partition) || revoked(partition))
                .copied()
                .collect(),
        }
    }

    /// The worker gave partitions up.
    pub fn released(&self, partitions: &[Partition]) {
        self.change(|state| {
            for partition in partitions {
                state.held.remove(partition);
                state.ahead.remove(partition);
                state.stands.retain(|(of, _), _| of != partition);
                state.handled.remove(partition);
                state.buffers.retain(|(source, of), _| {
                    of != partition || *source == InputTopic::Definitions
                });
            }
            state.version += 1;
        });
    }

    /// The worker takes a partition in hand; its epoch, or `None` when it has left again.
    pub fn processed(&self, partition: Partition) -> Option<u64> {
        self.change(|state| {
            let epoch = state.owned.get(&partition).copied()?;
            state.held.insert(partition, epoch);
            Some(epoch)
        })
    }

    /// Fetch the inputs of a partition from its positions on.
    pub fn fetch(&self, partition: Partition, positions: &Positions) {
        self.change(|state| {
            state.version += 1;
            let version = state.version;
            for source in [InputTopic::Interactions, InputTopic::Inbox] {
                let next = positions.next[source as usize];
                state.buffers.insert(
                    (source, partition),
                    Buffer { records: VecDeque::new(), came: VecDeque::new(), next, version },
                );
            }
            let definitions = Buffer {
                records: VecDeque::new(),
                came: VecDeque::new(),
                next: Offset(0),
                version,
            };
            state.buffers.entry((InputTopic::Definitions, Partition(0))).or_insert(definitions);
        });
    }

    /// What to fetch, when that is not what `applied` asked for: each input with where it begins,
    /// if it begins anew.
    pub(crate) fn wanted(
        &self,
        applied: u64,
    ) -> Option<(u64, BTreeMap<InputPartition, Option<Offset>>)> {
        let state = self.lock();
        let from = |buffer: &Buffer| (buffer.version > applied).then_some(buffer.next);
        let wanted =
            || state.buffers.iter().map(|(place, buffer)| (*place, from(buffer))).collect();
        (state.version != applied).then(|| (state.version, wanted()))
    }

    /// Takes a fetched record; gives how many wait in its buffer.
    pub(crate) fn push(
        &self,
        version: u64,
        place: InputPartition,
        offset: Offset,
        record: Record,
    ) -> usize {
        self.change(|state| {
            let Some(buffer) = state.buffers.get_mut(&place) else { return 0 };
            if buffer.version <= version && offset >= buffer.next {
                buffer.records.push_back((offset, record));
                buffer.came.push_back(Instant::now());
                buffer.next = Offset(offset.0 + 1);
            }
            buffer.records.len()
        })
    }

    /// How many records wait in a buffer.
    pub(crate) fn waiting(&self, source: InputTopic, partition: Partition) -> usize {
        self.lock().buffers.get(&(source, partition)).map_or(0, |buffer| buffer.records.len())
    }

    /// Fetched records from an offset on.
    pub(crate) fn read(
        &self,
        source: InputTopic,
        partition: Partition,
        from: Offset,
    ) -> Vec<(Offset, Record)> {
        let state = self.lock();
        let Some(buffer) = state.buffers.get(&(source, partition)) else { return Vec::new() };
        let first = buffer.records.partition_point(|(offset, _)| *offset < from);
        buffer.records.range(first..).take(READ_MAX).cloned().collect()
    }

    /// Behind the last record fetched.
    pub(crate) fn end(&self, source: InputTopic, partition: Partition) -> Offset {
        self.lock().buffers.get(&(source, partition)).map_or(Offset(0), |buffer| buffer.next)
    }

    /// A transaction with interactions up to these positions begins.
    pub(crate) fn begins(&self, positions: &BTreeMap<u32, Positions>) {
        let now = Instant::now();
        let mut state = self.lock();
        for (partition, positions) in positions {
            let partition = Partition(*partition);
            let Some(buffer) = state.buffers.get(&(InputTopic::Interactions, partition)) else {
                continue;
            };
            let processed = buffer.records.partition_point(|(offset, _)| {
                *offset < positions.next[InputTopic::Interactions as usize]
            });
            let ages = buffer.came.range(..processed).map(|came| now - *came).collect();
            // Those of a transaction that nobody asked about are given up: they are counted again
            // when it is repeated.
            state.handled.insert(partition, ages);
        }
    }

    /// How long interactions of a worker's partitions were here, fetched and decided on, until the
    /// last transaction with them began.
    pub(crate) fn handled(&self, part: WorkerSlot) -> Vec<Duration> {
        let mut state = self.lock();
        let own = state.handled.iter_mut().filter(|(partition, _)| part.has(**partition));
        own.flat_map(|(_, ages)| std::mem::take(ages)).collect()
    }

    /// What was committed need not be kept. Definitions are few and partitions come to them at
    /// different times.
    pub(crate) fn committed(&self, positions: &BTreeMap<u32, Positions>) {
        let mut state = self.lock();
        for (partition, positions) in positions {
            for source in [InputTopic::Interactions, InputTopic::Inbox] {
                if let Some(buffer) = state.buffers.get_mut(&(source, Partition(*partition))) {
                    let done = buffer
                        .records
                        .partition_point(|(offset, _)| *offset < positions.next[source as usize]);
                    buffer.records.drain(..done);
                    buffer.came.drain(..done);
                }
            }
        }
    }

    /// How the fetching client stands in the interactions of a partition.
    pub(crate) fn ahead(&self, partition: Partition, ahead: Ahead) {
        let mut state = self.lock();
        state.ahead.insert(partition, ahead);
        let Ahead { next, stable, high, queued } = ahead;
        let is_paused = state.paused.contains(&(InputTopic::Interactions, partition));
        let stands = [
            (StallKind::Unreadable, next, next < stable && queued == 0 && !is_paused),
            (StallKind::OpenTransaction, stable, stable < high),
        ];
        for (kind, at, stands) in stands {
            let place = (partition, kind);
            if !stands {
                state.stands.remove(&place);
            } else if state.stands.get(&place).is_none_or(|(known, _)| *known != at) {
                state.stands.insert(place, (at, Instant::now()));
            }
        }
    }

    /// Partitions in hand that have not gone on for longer than this although there are records.
    #[must_use]
    pub fn stalls(&self, longer_than: Duration) -> Vec<Stall> {
        let state = self.lock();
        let stall =
            |(&(partition, kind), &(at, since)): (&(Partition, StallKind), &(Offset, Instant))| {
                let ahead = state.ahead.get(&partition)?;
                let until = if kind == StallKind::Unreadable { ahead.stable } else { ahead.high };
                let (records, lasts) = (until.0.saturating_sub(at.0), since.elapsed());
                let is_held = state.held.contains_key(&partition);
                (is_held && lasts > longer_than).then_some(Stall {
                    partition,
                    kind,
                    at,
                    records,
                    lasts,
                })
            };
        state.stands.iter().filter_map(stall).collect()
    }

    /// Of these inputs no more is fetched for now.
    pub(crate) fn paused(&self, places: &BTreeSet<InputPartition>) {
        self.lock().paused.clone_from(places);
    }

    /// Interactions that are not committed yet, by partition in hand: those in memory, and those
    /// that are not fetched, as of a moment ago. A client that fetches goes past the ends of
    /// transactions, so at the end of the log none is counted; of one that is paused they are
    /// counted with the records between them.
    #[must_use]
    pub fn lag(&self) -> BTreeMap<u32, u64> {
        let state = self.lock();
        let of = |partition: &Partition| {
            let place = (InputTopic::Interactions, *partition);
            let (fetched, next) = state
                .buffers
                .get(&place)
                .map_or((0, Offset(0)), |buffer| (buffer.records.len() as u64, buffer.next));
            let unfetched = state.ahead.get(partition).map_or(0, |ahead| {
                if state.paused.contains(&place) {
                    ahead.stable.0.saturating_sub(next.0)
                } else {
                    ahead.queued + ahead.stable.0.saturating_sub(ahead.next.0)
                }
            });
            (partition.0, fetched + unfetched)
        };
        state.held.keys().map(of).collect()
    }

    /// Runs `then` under the lock when the worker still owns what it has in hand; else names what
    /// has left.
    pub(crate) fn if_owned<T>(
        &self,
        partitions: impl Iterator<Item = Partition>,
        then: impl FnOnce() -> T,
    ) -> Result<T, Partition> {
        let state = self.lock();
        for partition in partitions {
            let epoch = state.held.get(&partition);
            if epoch.is_none() || state.owned.get(&partition) != epoch {
                return Err(partition);
            }
        }
        Ok(then())
    }

    /// How many changes there were so far.
    pub fn news(&self) -> u64 {
        self.lock().news
    }

    /// Waits until there is something new since `seen`, or until `until`.
    pub fn wait(&self, seen: u64, until: Instant) {
        let wait = until.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(self.lock(), wait, |state| state.news == seen));
    }

    /// A worker takes nothing any more.
    pub fn ended(&self, part: WorkerSlot) {
        self.change(|state| state.held.retain(|partition, _| !part.has(*partition)));
    }

    /// One of the threads cannot go on.
    pub fn fail(&self, why: String) {
        self.change(|state| state.failure.get_or_insert(why).len());
    }

    /// Why one of the threads cannot go on.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Whether the group has given this instance its share, and the worker has it in hand.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let state = self.lock();
        state.has_joined && state.owned == state.held
    }

    /// Partitions owned.
    #[must_use]
    pub fn owned(&self) -> Vec<Partition> {
        self.lock().owned.keys().copied().collect()
    }
}
