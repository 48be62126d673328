//! A transactional producer over the simulated broker, with librdkafka's rules on what may be
//! called when.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::sim::broken::Broken;
use crate::sim::broker::{Code, Identity, Late, Place, Shown, State, TRANSACTION_MS};
use crate::sim::client::{ASK_MS, SimClient, refused, transaction_error};
use crate::sim::coverage::Point;
use crate::sim::faults::{Call, Fault};
use crate::sim::shared::Sim;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::topics::{DEAD_LETTERS, STATE};
use leadstream::domain::units::Offset;
use leadstream::log::kafka::{Producer, TransactionError, TransactionErrorKind};

/// The product lets librdkafka send a request again after this at the earliest, milliseconds.
pub const RESENT_MS: u64 = 200;

/// Where librdkafka's side of a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    Open,
    HasToAbort,
    Fatal,
}

/// A producer of an instance.
pub struct SimProducer {
    client: SimClient,
    identity: RefCell<Option<Identity>>,
    phase: Cell<Phase>,
    queued: RefCell<Vec<(Place, Vec<Record>)>>,
    /// Something was sent in the open transaction.
    is_used: Cell<bool>,
    has_drained: Cell<bool>,
    has_offsets: Cell<bool>,
    has_letters: Cell<bool>,
}

impl SimProducer {
    pub fn new(client: &SimClient, turn: usize) -> Self {
        Self {
            client: SimClient { id: format!("{}-{turn}", client.id), ..client.clone() },
            identity: RefCell::new(None),
            phase: Cell::new(Phase::Fatal),
            queued: RefCell::default(),
            is_used: Cell::new(false),
            has_drained: Cell::new(false),
            has_offsets: Cell::new(false),
            has_letters: Cell::new(false),
        }
    }

    fn sim(&self) -> &Sim {
        &self.client.sim
    }

    fn identity(&self) -> Identity {
        self.identity.borrow().clone().unwrap()
    }

    /// Remembers what a refusal means for the calls after it.
    fn note<T>(&self, outcome: Result<T, TransactionError>) -> Result<T, TransactionError> {
        if let Err(transaction_error) = &outcome {
            match transaction_error.kind {
                TransactionErrorKind::Retriable => {}
                TransactionErrorKind::Abort => self.phase.set(Phase::HasToAbort),
                TransactionErrorKind::Fatal => self.phase.set(Phase::Fatal),
            }
            if self.client.process.was_stopped.take() {
                self.sim().hit(Point::O);
            }
            self.sim().tell(|| {
                format!("instance {} refused: {transaction_error:?}", self.client.process.number)
            });
        }
        outcome
    }

    fn is_in(&self, phase: Phase) -> Result<(), TransactionError> {
        if self.phase.get() == phase {
            Ok(())
        } else {
            Err(transaction_error(TransactionErrorKind::Fatal, RDKafkaErrorCode::State))
        }
    }

    /// Carries out a request that has one effect.
    fn request(
        &self,
        call: Call,
        effect: &dyn Fn(&Self) -> Result<(), TransactionError>,
    ) -> Result<(), TransactionError> {
        match self.client.enter(call) {
            None => effect(self),
            Some(Fault::CrashAfter) => {
                effect(self).ok();
                self.client.crashed_at(call, false);
                self.client.crash();
            }
            Some(Fault::Lose(kind)) => {
                effect(self).ok();
                Err(transaction_error(kind, RDKafkaErrorCode::OperationTimedOut))
            }
            Some(Fault::Refuse(kind)) => {
                Err(transaction_error(kind, RDKafkaErrorCode::OperationTimedOut))
            }
            Some(other) => unreachable!("{other:?} is no fault of {call:?}"),
        }
    }

    fn produce(&self, place: Place, records: &[Record]) -> Result<u64, TransactionError> {
        let call = if place.0 == DEAD_LETTERS { Call::DeadLetter } else { Call::Produce };
        let next = Cell::new(0);
        self.request(call, &|producer| {
            let identity = producer.identity();
            let outcome = producer.sim().broker.borrow_mut().produce(&identity, place, records);
            // The broker's word on one record: what it means for the transaction is seen when that
            // is ended.
            let kind = |code| {
                if code == Code::InvalidState {
                    TransactionErrorKind::Abort
                } else {
                    refused(code).kind
                }
            };
            next.set(
                outcome.map_err(|code| TransactionError { kind: kind(code), ..refused(code) })?,
            );
            Ok(())
        })?;
        Ok(next.get())
    }

    fn end(&self, commit: bool) -> Result<(), TransactionError> {
        if !self.is_used.get() {
            return Ok(());
        }
        let identity = self.identity();
        self.client.until_ended(|broker| broker.end(&identity, commit))
    }

    pub fn late_commit(&self, ms: u64) {
        let mut broker = self.sim().broker.borrow_mut();
        let at_ms = broker.now_ms + ms;
        let late = Late { at_ms, identity: self.identity(), commit: true };
        broker.late.push(late);
    }

    /// A commit under way when the process is stopped.
    fn creep(&self, ms: u64) -> Result<(), TransactionError> {
        let number = self.sim().broker.borrow().transactions[&self.client.id].number;
        let owned = self.client.process.owned.borrow().clone();
        self.late_commit(ms);
        self.client.stand_still(ms + 1);
        let broker = self.sim().broker.borrow();
        let state = &broker.transactions[&self.client.id];
        let happened = state.number == number
            && matches!(state.state, State::Prepare(true) | State::Complete(true));
        let lost = self
            .client
            .process
            .shown
            .borrow()
            .as_ref()
            .is_some_and(|shown| broker.is_outdated(shown));
        drop(broker);
        if happened && lost && !owned.is_empty() {
            self.sim().hit(Point::O2);
        }
        self.end(true)
    }

    fn has_moved_but_would_be_taken(&self) -> bool {
        let broker = self.sim().broker.borrow();
        self.has_drained.get()
            && !self.has_offsets.get()
            && self.phase.get() == Phase::Open
            && self
                .client
                .process
                .shown
                .borrow()
                .as_ref()
                .is_some_and(|shown| !broker.is_outdated(shown))
    }
}

impl Producer for SimProducer {
    type Member = Shown;

    fn init(&self) -> Result<(), TransactionError> {
        self.request(Call::Init, &|producer| {
            let (id, broken) = (&producer.client.id, producer.sim().broken);
            let known =
                producer.sim().broker.borrow().transactions.get(id).map(|state| state.epoch);
            let identity = match known {
                Some(epoch) if broken == Some(Broken::SameProducer) => {
                    Identity { id: id.clone(), epoch }
                }
                _ => {
                    producer.sim().broker.borrow_mut().init(id, TRANSACTION_MS).map_err(refused)?
                }
            };
            producer.identity.replace(Some(identity));
            producer.phase.set(Phase::Ready);
            Ok(())
        })
    }

    fn begin(&self) -> Result<(), TransactionError> {
        self.is_in(Phase::Ready)?;
        self.phase.set(Phase::Open);
        [&self.is_used, &self.has_drained, &self.has_offsets, &self.has_letters]
            .into_iter()
            .for_each(|flag| flag.set(false));
        Ok(())
    }

    fn send(&self, batches: &Batches) -> Result<(), TransactionError> {
        self.is_in(Phase::Open)?;
        let queued = batches.iter().filter(|(_, records)| !records.is_empty());
        self.queued.replace(queued.map(|(place, records)| (*place, records.clone())).collect());
        Ok(())
    }

    fn drain(&self, _patience: Duration) -> Result<BTreeMap<u32, Offset>, TransactionError> {
        self.is_in(Phase::Open)?;
        let mut ends = BTreeMap::new();
        let mut early = Vec::new();
        let queued = self.queued.take();
        if !queued.is_empty() {
            self.is_used.set(true);
            let (identity, places) = (self.identity(), || queued.iter().map(|(place, _)| *place));
            self.note(self.client.until_ended(|broker| broker.add_places(&identity, places())))?;
        }
        for (place, records) in queued {
            let next = match self.produce(place, &records) {
                Ok(next) => next,
                Err(transaction_error) => {
                    if place.0 == DEAD_LETTERS {
                        self.has_letters.set(true);
                    }
                    self.sim().hit(Point::L);
                    // However a record fails, the client that waits for it only hears that it did.
                    let is_fatal = transaction_error.kind == TransactionErrorKind::Fatal;
                    let reported = self.note(Err(TransactionError {
                        kind: TransactionErrorKind::Abort,
                        ..transaction_error
                    }));
                    if is_fatal {
                        self.phase.set(Phase::Fatal);
                    }
                    return reported;
                }
            };
            if place.0 == STATE {
                ends.insert(place.1, Offset(next));
                early.push((place.1, next, records));
            }
        }
        if self.sim().broken == Some(Broken::AppliedEarly) {
            self.sim().apply_early(self.client.process.number, &early);
        }
        self.has_drained.set(true);
        Ok(ends)
    }

    fn offsets(
        &self,
        _topic: &str,
        next: &BTreeMap<u32, Offset>,
        member: &Shown,
    ) -> Result<(), TransactionError> {
        self.is_in(Phase::Open)?;
        self.has_offsets.set(true);
        if self.sim().broken == Some(Broken::NoOffsets) {
            return Ok(());
        }
        let unknown = Shown { generation: -1, member: 0 };
        let shown = if self.sim().broken == Some(Broken::Unfenced) { &unknown } else { member };
        let outcome = self.request(Call::Offsets, &|producer| {
            let identity = producer.identity();
            producer.is_used.set(true);
            producer.client.until_ended(|broker| broker.send_offsets(&identity, next, shown))
        });
        if outcome
            .as_ref()
            .is_err_and(|transaction_error| transaction_error.kind == TransactionErrorKind::Abort)
        {
            self.sim().hit(Point::L);
        }
        self.note(outcome)
    }

    fn commit(&self) -> Result<(), TransactionError> {
        self.is_in(Phase::Open)?;
        let fault = self.client.enter(Call::Commit);
        let outcome = match fault {
            None => self.end(true),
            Some(Fault::CrashAfter) => {
                self.end(true).ok();
                self.client.crashed_at(Call::Commit, false);
                self.client.crash();
            }
            Some(Fault::CrashAndLate(ms)) => {
                match ms {
                    0 => drop(self.end(true)),
                    ms => self.late_commit(ms),
                }
                self.client.crashed_at(Call::Commit, true);
                self.client.crash();
            }
            Some(Fault::Lose(kind)) => {
                self.end(true).ok();
                Err(transaction_error(kind, RDKafkaErrorCode::OperationTimedOut))
            }
            Some(Fault::Repeated(ms)) => {
                self.late_commit(ms);
                self.client.linger(RESENT_MS);
                self.end(true)
            }
            Some(Fault::Late(kind, ms)) => {
                self.late_commit(ms);
                if kind == TransactionErrorKind::Retriable {
                    // librdkafka says so only after the whole time for a call.
                    self.client.wait(ASK_MS);
                }
                Err(transaction_error(kind, RDKafkaErrorCode::OperationTimedOut))
            }
            Some(Fault::StopAndLate(ms)) => self.creep(ms),
            Some(Fault::Refuse(kind)) => {
                Err(transaction_error(kind, RDKafkaErrorCode::OperationTimedOut))
            }
            Some(other) => unreachable!("{other:?} is no fault of a commit"),
        };
        let outcome = outcome.map_err(|transaction_error| match transaction_error.kind {
            TransactionErrorKind::Fatal if self.sim().broken == Some(Broken::DoubtIsAbort) => {
                TransactionError { kind: TransactionErrorKind::Abort, ..transaction_error }
            }
            _ => transaction_error,
        });
        match &outcome {
            Ok(()) => self.phase.set(Phase::Ready),
            Err(TransactionError {
                kind: TransactionErrorKind::Fatal,
                cause: KafkaError::Global(RDKafkaErrorCode::Fenced),
            }) => self.sim().hit(Point::J),
            Err(TransactionError { kind: TransactionErrorKind::Fatal, .. }) => {
                self.sim().hit(Point::K)
            }
            Err(_) => {}
        }
        self.note(outcome)
    }

    fn abort(&self) -> Result<(), TransactionError> {
        if self.has_moved_but_would_be_taken() {
            self.sim().hit(Point::U);
        }
        if self.has_drained.get()
            && !self.has_offsets.get()
            && self.client.process.was_stopped.take()
        {
            self.sim().hit(Point::O);
        }
        if self.phase.get() == Phase::Fatal {
            return Err(transaction_error(TransactionErrorKind::Fatal, RDKafkaErrorCode::State));
        }
        let outcome = self.request(Call::Abort, &|producer| match producer.end(false) {
            // It was committed: whoever takes a doubt for an abort believes that nothing was.
            Err(_) if producer.sim().broken == Some(Broken::DoubtIsAbort) => Ok(()),
            other => other,
        });
        if outcome.is_ok() {
            if self.has_letters.get() {
                self.sim().hit(Point::R);
            }
            self.phase.set(Phase::Ready);
        }
        self.note(outcome)
    }
}
