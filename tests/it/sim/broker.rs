//! Apache Kafka as a state machine: logs, transactions, the group. It answers at once; faults and
//! delays are its clients' matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::group::Group;
use leadstream::codec::record::Record;
use leadstream::domain::units::Offset;
use leadstream::log::kafka::Isolation;

/// Milliseconds without a heartbeat after which a member is removed.
pub const SESSION_MS: u64 = 6_000;
/// Age of a transaction that is aborted, milliseconds.
pub const TRANSACTION_MS: u64 = 5_000;
/// Between two looks for such transactions.
const SCAN_MS: u64 = 10_000;

/// What a broker answers instead of doing what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A newer producer has the transactional id.
    Fenced,
    /// The transaction before is still being ended: ask again.
    Concurrent,
    /// There is no such transaction to end.
    InvalidState,
    /// The member speaks of another generation of the group.
    IllegalGeneration,
    /// The group does not know the member.
    UnknownMember,
    /// A round began of which the member has not heard: join again.
    RebalanceInProgress,
    /// An open transaction will move the offset: ask again.
    UnstableOffset,
}

/// A topic's partition.
pub type Place = (&'static str, u32);

/// What stands at an offset.
#[derive(Clone, Debug)]
pub struct Entry {
    pub offset: u64,
    /// `None`: the end of a transaction.
    pub record: Option<Record>,
    /// The transaction, 0 for none.
    pub transaction: u64,
    /// Compaction removed it; kept here for the oracle.
    pub is_removed: bool,
}

/// One partition of a topic.
#[derive(Default)]
pub struct Log {
    pub start: u64,
    pub next: u64,
    pub entries: Vec<Entry>,
    /// First offset of open transactions.
    open: BTreeMap<u64, u64>,
}

impl Log {
    pub fn stable(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.next)
    }

    fn append(&mut self, record: Option<Record>, transaction: u64) -> u64 {
        let offset = self.next;
        self.entries.push(Entry { offset, record, transaction, is_removed: false });
        self.next += 1;
        offset
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    Ongoing,
    /// Decided; markers are being written.
    Prepare(bool),
    Complete(bool),
}

/// A transactional id.
#[derive(Debug)]
pub struct Transactions {
    pub epoch: u32,
    pub state: State,
    /// Number of the transaction that is open or was last.
    pub number: u64,
    places: BTreeSet<Place>,
    has_offsets: bool,
    began_ms: u64,
    timeout_ms: u64,
}

/// Which producer speaks: its transactional id and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: String,
    pub epoch: u32,
}

/// What a member shows with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub generation: i32,
    pub member: u64,
}

/// A request that arrives late.
#[derive(Debug)]
pub struct Late {
    pub at_ms: u64,
    pub identity: Identity,
    pub commit: bool,
}

/// See the module.
pub struct Broker {
    pub now_ms: u64,
    pub logs: BTreeMap<Place, Log>,
    pub transactions: BTreeMap<String, Transactions>,
    pub group: Group,
    pub late: Vec<Late>,
    /// Ends of transactions that are not written yet: when, by whom, where (`None`: the group's
    /// offsets).
    markers: Vec<(u64, String, Option<Place>)>,
    aborted: BTreeSet<u64>,
    transactions_ever: u64,
    scanned_ms: u64,
    pub partitions: u32,
    /// How long the next ends of transactions take to be written.
    pub marker_delay_ms: u64,
}

impl Broker {
    pub fn new(topics: impl Iterator<Item = Place>, partitions: u32) -> Self {
        Self {
            now_ms: 0,
            logs: topics.map(|place| (place, Log::default())).collect(),
            transactions: BTreeMap::new(),
            group: Group::default(),
            late: Vec::new(),
            markers: Vec::new(),
            aborted: BTreeSet::new(),
            transactions_ever: 0,
            scanned_ms: 0,
            partitions,
            marker_delay_ms: 1,
        }
    }

    pub fn log(&self, place: (&str, u32)) -> &Log {
        self.logs.iter().find(|(known, _)| **known == place).map(|(_, log)| log).unwrap()
    }

    fn log_mut(&mut self, place: (&str, u32)) -> &mut Log {
        self.logs.iter_mut().find(|(known, _)| **known == place).map(|(_, log)| log).unwrap()
    }

    /// Lets time pass: late requests arrive, ends of transactions are written, what is too old is
    /// ended.
    pub fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        let now = self.now_ms;
        let due: Vec<Late> = self.late.extract_if(.., |late| late.at_ms <= now).collect();
        for late in due {
            self.end(&late.identity, late.commit).ok();
        }
        self.write_markers(|at| at <= now);
        if now >= self.scanned_ms + SCAN_MS {
            self.scanned_ms = now;
            let old = |state: &Transactions| {
                state.state == State::Ongoing && now - state.began_ms > state.timeout_ms
            };
            let old: Vec<String> = self
                .transactions
                .iter()
                .filter(|(_, state)| old(state))
                .map(|(id, _)| id.clone())
                .collect();
            for id in old {
                self.transactions.get_mut(&id).unwrap().epoch += 1;
                self.prepare(&id, false);
            }
        }
        let gone: Vec<u64> = self
            .group
            .members
            .iter()
            .filter(|(_, member)| member.heard_ms + SESSION_MS < now)
            .map(|(id, _)| *id)
            .collect();
        gone.into_iter().for_each(|member| self.leave(member));
    }

    fn write_markers(&mut self, is_due: impl Fn(u64) -> bool) {
        let due: Vec<_> = self.markers.extract_if(.., |(at, ..)| is_due(*at)).collect();
        for (_, id, place) in due {
            let state = self.transactions.get_mut(&id).unwrap();
            let (number, State::Prepare(commit)) = (state.number, state.state) else {
                unreachable!("markers are of what was decided")
            };
            match place {
                Some(place) => {
                    state.places.remove(&place);
                    let log = self.log_mut(place);
                    log.append(None, number);
                    log.open.remove(&number);
                }
                None => {
                    state.has_offsets = false;
                    let (added, pending) = self.group.pending.remove(&number).unwrap_or_default();
                    for (partition, offset) in pending.into_iter().filter(|_| commit) {
                        let newest = self.group.added.entry(partition).or_default();
                        if added > *newest {
                            *newest = added;
                            self.group.offsets.insert(partition, offset);
                        }
                    }
                }
            }
            let state = self.transactions.get_mut(&id).unwrap();
            if state.places.is_empty() && !state.has_offsets {
                state.state = State::Complete(commit);
            }
        }
    }

    fn prepare(&mut self, id: &str, commit: bool) {
        let state = self.transactions.get_mut(id).unwrap();
        state.state = State::Prepare(commit);
        if !commit {
            self.aborted.insert(state.number);
        }
        let offsets = state.has_offsets.then_some(None);
        for place in state.places.iter().copied().map(Some).chain(offsets) {
            // Partitions hear of it one after the other.
            let at = self.now_ms + self.marker_delay_ms * (1 + self.markers.len() as u64 % 3);
            self.markers.push((at, id.to_owned(), place));
        }
        if state.places.is_empty() && !state.has_offsets {
            state.state = State::Complete(commit);
        }
    }

    /// InitProducerId: a new epoch, once what the one before left open has ended.
    pub fn init(&mut self, id: &str, timeout_ms: u64) -> Result<Identity, Code> {
        let state = self.transactions.entry(id.to_owned()).or_insert_with(|| Transactions {
            epoch: 0,
            state: State::Empty,
            number: 0,
            places: BTreeSet::new(),
            has_offsets: false,
            began_ms: 0,
            timeout_ms,
        });
        state.timeout_ms = timeout_ms;
        match state.state {
            State::Prepare(_) => Err(Code::Concurrent),
            State::Ongoing => {
                state.epoch += 1;
                self.prepare(id, false);
                Err(Code::Concurrent)
            }
            State::Empty | State::Complete(_) => {
                state.epoch += 1;
                state.state = State::Empty;
                Ok(Identity { id: id.to_owned(), epoch: state.epoch })
            }
        }
    }

    /// Checks the epoch and begins a transaction where none is open.
    fn take_part(&mut self, identity: &Identity) -> Result<&mut Transactions, Code> {
        let (now, fresh) = (self.now_ms, self.transactions_ever + 1);
        let state = self
            .transactions
            .get_mut(&identity.id)
            .filter(|state| state.epoch == identity.epoch)
            .ok_or(Code::Fenced)?;
        match state.state {
            State::Prepare(_) => return Err(Code::Concurrent),
            State::Ongoing => {}
            State::Empty | State::Complete(_) => {
                (state.state, state.began_ms, state.number) = (State::Ongoing, now, fresh);
                self.transactions_ever = fresh;
            }
        }
        Ok(state)
    }

    /// AddPartitionsToTxn.
    pub fn add_places(
        &mut self,
        identity: &Identity,
        places: impl Iterator<Item = Place>,
    ) -> Result<(), Code> {
        self.take_part(identity)?.places.extend(places);
        Ok(())
    }

    /// Produce, to a partition that is part of the open transaction; gives the next offset.
    pub fn produce(
        &mut self,
        identity: &Identity,
        place: Place,
        records: &[Record],
    ) -> Result<u64, Code> {
        let state = self
            .transactions
            .get(&identity.id)
            .filter(|state| state.epoch == identity.epoch)
            .ok_or(Code::Fenced)?;
        if state.state != State::Ongoing || !state.places.contains(&place) {
            return Err(Code::InvalidState);
        }
        let number = state.number;
        let log = self.log_mut(place);
        log.open.entry(number).or_insert(log.next);
        for record in records {
            log.append(Some(record.clone()), number);
        }
        Ok(log.next)
    }

    /// Produce outside a transaction.
    pub fn append(&mut self, place: (&str, u32), records: &[Record]) {
        let log = self.log_mut(place);
        for record in records {
            log.append(Some(record.clone()), 0);
        }
    }

    /// AddOffsetsToTxn and TxnOffsetCommit. Who shows no generation is not checked, and nobody is
    /// asked who owns what.
    pub fn send_offsets(
        &mut self,
        identity: &Identity,
        next: &BTreeMap<u32, Offset>,
        shown: &Shown,
    ) -> Result<(), Code> {
        let state = self.take_part(identity)?;
        state.has_offsets = true;
        let number = state.number;
        if shown.generation >= 0 {
            if !self.group.members.contains_key(&shown.member) {
                return Err(Code::UnknownMember);
            }
            if self.group.generation != shown.generation {
                return Err(Code::IllegalGeneration);
            }
        }
        self.group.added_ever += 1;
        let pending = self.group.pending.entry(number).or_default();
        pending.0 = self.group.added_ever;
        pending.1.extend(next.iter().map(|(partition, offset)| (*partition, offset.0)));
        Ok(())
    }

    /// EndTxn.
    pub fn end(&mut self, identity: &Identity, commit: bool) -> Result<(), Code> {
        let state = self
            .transactions
            .get_mut(&identity.id)
            .filter(|state| state.epoch == identity.epoch)
            .ok_or(Code::Fenced)?;
        match state.state {
            State::Ongoing => {
                self.prepare(&identity.id, commit);
                Ok(())
            }
            State::Prepare(decided) if decided == commit => Err(Code::Concurrent),
            State::Complete(decided) if decided == commit => Ok(()),
            State::Empty | State::Prepare(_) | State::Complete(_) => Err(Code::InvalidState),
        }
    }

    /// OffsetFetch with require_stable.
    pub fn committed(&self, partition: u32) -> Result<Option<u64>, Code> {
        if self.group.pending.values().any(|(_, pending)| pending.contains_key(&partition)) {
            return Err(Code::UnstableOffset);
        }
        Ok(self.group.offsets.get(&partition).copied())
    }

    /// Whether a transaction that is not decided or not ended holds offsets.
    pub fn has_pending(&self, number: u64) -> bool {
        self.group.pending.contains_key(&number)
    }

    pub fn watermarks(&self, place: (&str, u32), isolation: Isolation) -> (u64, u64) {
        let log = self.log(place);
        (log.start, if isolation == Isolation::Committed { log.stable() } else { log.next })
    }

    /// The first record from an offset on that an isolation level sees, and where to read on; what
    /// is behind the end it sees is not there.
    pub fn fetch(&self, place: (&str, u32), from: u64, isolation: Isolation) -> Option<&Entry> {
        let log = self.log(place);
        let end = self.watermarks(place, isolation).1;
        let first = log.entries.partition_point(|entry| entry.offset < from);
        let is_hidden = |entry: &Entry| {
            isolation == Isolation::Committed && self.aborted.contains(&entry.transaction)
        };
        let mut entries = log.entries[first..].iter().take_while(|entry| entry.offset < end);
        entries.find(|entry| entry.record.is_some() && !entry.is_removed && !is_hidden(entry))
    }

    /// Every record that is committed, also those that compaction or retention removed since.
    pub fn all(&self, place: (&str, u32)) -> impl Iterator<Item = (Offset, &Record)> {
        let log = self.log(place);
        let stable = log.stable();
        let seen = move |entry: &&Entry| {
            entry.offset < stable && !self.aborted.contains(&entry.transaction)
        };
        log.entries
            .iter()
            .filter(seen)
            .filter_map(|entry| Some((Offset(entry.offset), entry.record.as_ref()?)))
    }

    /// The log cleaner: of each key the last committed record stays, of what was aborted nothing;
    /// never behind an open transaction, and the last entry always stays.
    pub fn compact(&mut self, place: Place) {
        let aborted = &self.aborted;
        let log = self.logs.get_mut(&place).unwrap();
        let (stable, last) = (log.stable(), log.next.saturating_sub(1));
        let mut newest = BTreeSet::new();
        for entry in log.entries.iter_mut().rev().filter(|entry| entry.offset < stable) {
            let Some(record) = &entry.record else { continue };
            let is_newest =
                !aborted.contains(&entry.transaction) && newest.insert(record.key.clone());
            entry.is_removed |= !is_newest && entry.offset != last;
        }
    }

    /// Removes what is before an offset.
    pub fn delete_before(&mut self, place: Place, offset: u64) {
        let log = self.logs.get_mut(&place).unwrap();
        log.start = log.start.max(offset.min(log.stable()));
    }

    /// When the next request of a transactional id arrives that is under way.
    pub fn late_in_ms(&self, id: &str) -> Option<u64> {
        self.late
            .iter()
            .filter(|late| late.identity.id == id)
            .map(|late| late.at_ms.saturating_sub(self.now_ms))
            .min()
    }

    /// Whether everything that was asked for has been done.
    pub fn is_quiet(&self) -> bool {
        let is_open =
            |state: &Transactions| matches!(state.state, State::Ongoing | State::Prepare(_));
        self.late.is_empty()
            && self.markers.is_empty()
            && !self.group.is_preparing
            && !self.transactions.values().any(is_open)
    }

    /// Number of members.
    pub fn members(&self) -> usize {
        self.group.members.len()
    }

    /// Where all logs end.
    pub fn ends(&self) -> u64 {
        self.logs.values().map(|log| log.next).sum()
    }
}
