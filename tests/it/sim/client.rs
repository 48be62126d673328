//! The simulated broker under the product's seam: each call may fail, crash, take long, or have its
//! effect without an answer.

use std::panic::resume_unwind;
use std::rc::Rc;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::sim::broken::Broken;
use crate::sim::broker::{Broker, Code, SESSION_MS, Shown, State};
use crate::sim::coverage::Point;
use crate::sim::faults::{Call, Fault};
use crate::sim::producer::SimProducer;
use crate::sim::reads::SimReads;
use crate::sim::shared::{Crash, Process, Sim};
use leadstream::codec::record::Batches;
use leadstream::domain::units::{AppendTime, Offset, Partition};
use leadstream::log::Error;
use leadstream::log::kafka::{Client, TransactionError, TransactionErrorKind};

/// How long one question to a broker may take, milliseconds.
pub const ASK_MS: u64 = 10_000;

fn timed_out() -> KafkaError {
    KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)
}

pub fn transaction_error(kind: TransactionErrorKind, code: RDKafkaErrorCode) -> TransactionError {
    TransactionError { kind, cause: KafkaError::Global(code) }
}

pub fn failed(what: &str) -> Error {
    Error::Kafka { what: what.to_owned(), cause: Box::new(timed_out()) }
}

/// What librdkafka makes of an answer.
pub fn refused(code: Code) -> TransactionError {
    match code {
        Code::Fenced => transaction_error(TransactionErrorKind::Fatal, RDKafkaErrorCode::Fenced),
        Code::InvalidState => transaction_error(
            TransactionErrorKind::Fatal,
            RDKafkaErrorCode::InvalidTransactionalState,
        ),
        Code::IllegalGeneration => {
            transaction_error(TransactionErrorKind::Abort, RDKafkaErrorCode::IllegalGeneration)
        }
        Code::UnknownMember => {
            transaction_error(TransactionErrorKind::Abort, RDKafkaErrorCode::UnknownMemberId)
        }
        Code::Concurrent | Code::UnstableOffset | Code::RebalanceInProgress => transaction_error(
            TransactionErrorKind::Retriable,
            RDKafkaErrorCode::ConcurrentTransactions,
        ),
    }
}

/// One instance's way to the simulated broker.
#[derive(Clone)]
pub struct SimClient {
    pub sim: Rc<Sim>,
    pub process: Rc<Process>,
    pub id: String,
    /// Another thread of the process: its worker goes on while this one waits.
    pub is_keeper: bool,
}

impl SimClient {
    pub fn die_if_killed(&self) {
        if self.process.is_dead.get() {
            resume_unwind(Box::new(Crash));
        }
    }

    pub fn wait(&self, ms: u64) {
        self.sim.wait(if self.is_keeper { usize::MAX } else { self.process.number }, ms);
        self.die_if_killed();
    }

    /// Waits inside a commit that is sent again.
    pub fn linger(&self, ms: u64) {
        let before = self.sim.now_ms();
        self.wait(ms);
        if self.sim.broken == Some(Broken::SpentProducer) {
            self.process.hidden_ms.set(self.process.hidden_ms.get() + self.sim.now_ms() - before);
        }
    }

    /// Nothing of it goes on for so long.
    pub fn stand_still(&self, ms: u64) {
        let generation = self.sim.broker.borrow().group.generation;
        let has_records = self.state() == Some(State::Ongoing);
        self.process.is_stopped.set(true);
        self.wait(ms);
        self.process.is_stopped.set(false);
        let moved = self.sim.broker.borrow().group.generation != generation;
        self.process.was_stopped.set(moved && has_records && ms > SESSION_MS);
    }

    /// Kills the process here.
    pub fn crash(&self) -> ! {
        self.process.is_dead.set(true);
        resume_unwind(Box::new(Crash))
    }

    fn state(&self) -> Option<State> {
        self.sim.broker.borrow().transactions.get(&self.id).map(|state| state.state)
    }

    /// The crash point at which the process is.
    pub fn crashed_at(&self, call: Call, is_late: bool) {
        let broker = self.sim.broker.borrow();
        let transactions = broker.transactions.get(&self.id);
        let state = transactions.map_or(State::Empty, |state| state.state);
        let has_pending = transactions.is_some_and(|state| broker.has_pending(state.number));
        drop(broker);
        let point = match (call, state) {
            (Call::Commit, State::Prepare(true)) if is_late => Point::D,
            (Call::Commit, State::Ongoing) if is_late => Point::D,
            (Call::Commit, State::Prepare(true) | State::Complete(true)) if !is_late => Point::E,
            (
                Call::Read | Call::Committed,
                State::Empty | State::Complete(_) | State::Prepare(_),
            ) if self.sim.is_pinned() => Point::P,
            (_, State::Ongoing) if has_pending => Point::C,
            (_, State::Ongoing) => Point::B,
            _ => Point::A,
        };
        self.sim.hit(point);
    }

    /// What happens at a step: others go on, the process is slow, or it is killed before it; else
    /// what the step has to mind.
    pub fn enter(&self, call: Call) -> Option<Fault> {
        self.die_if_killed();
        if self.sim.percent(12) {
            let ms = 1 + self.sim.below(60);
            self.wait(ms);
        }
        // A request of it that is under way still arrives in the middle of its next transaction.
        let late_in_ms = self.sim.broker.borrow().late_in_ms(&self.id);
        if let Some(ms) = late_in_ms.filter(|_| call == Call::Produce && self.sim.percent(50)) {
            self.wait(ms);
        }
        while self.sim.now_ms() < self.sim.down_until_ms.get() {
            self.wait(200);
        }
        let fault = self.sim.planned(call)?;
        self.sim.tell(|| format!("instance {} {call:?}: {fault:?}", self.process.number));
        match fault {
            Fault::CrashBefore => {
                self.crashed_at(call, false);
                self.crash();
            }
            Fault::Slow(ms) => {
                self.wait(ms);
                None
            }
            Fault::Kick(ms) => {
                if let Some(shown) = self.member() {
                    self.sim.broker.borrow_mut().leave(shown.member);
                }
                self.wait(ms);
                None
            }
            Fault::Stop(ms) => {
                self.stand_still(ms);
                None
            }
            other => Some(other),
        }
    }

    /// Reads and other questions fail as a whole.
    pub fn ask(&self, call: Call) -> Result<(), Error> {
        match self.enter(call) {
            None => Ok(()),
            Some(Fault::CrashAfter) => {
                self.crashed_at(call, false);
                self.crash();
            }
            Some(_) => Err(failed("the simulated broker does not answer")),
        }
    }

    /// Asks until the transaction before has ended, as librdkafka does.
    pub fn until_ended<T>(
        &self,
        mut call: impl FnMut(&mut Broker) -> Result<T, Code>,
    ) -> Result<T, TransactionError> {
        let until = self.sim.now_ms() + ASK_MS;
        loop {
            let outcome = call(&mut self.sim.broker.borrow_mut());
            match outcome {
                Err(Code::Concurrent) if self.sim.now_ms() < until => self.wait(20),
                other => return other.map_err(refused),
            }
        }
    }
}

impl Client for SimClient {
    type Member = Shown;
    type Producer = SimProducer;
    type Reads = SimReads;

    fn producer(&self, turn: usize) -> Result<SimProducer, Error> {
        self.die_if_killed();
        Ok(SimProducer::new(self, turn))
    }

    fn append(&self, batches: &Batches) -> Result<(), Error> {
        self.ask(Call::Append)?;
        let mut broker = self.sim.broker.borrow_mut();
        batches.iter().for_each(|(place, records)| broker.append(*place, records));
        Ok(())
    }

    fn committed(&self, partition: Partition) -> Result<Option<Offset>, Error> {
        self.ask(Call::Committed)?;
        let until = self.sim.now_ms() + ASK_MS * 3;
        loop {
            let found = self.sim.broker.borrow().committed(partition.0);
            match found {
                Ok(offset) => return Ok(offset.map(Offset)),
                Err(_) if self.sim.now_ms() < until => self.wait(50),
                Err(_) => return Err(failed("the committed offset is not stable")),
            }
        }
    }

    fn member(&self) -> Option<Shown> {
        self.process.shown.borrow().clone()
    }

    fn now(&self) -> AppendTime {
        self.sim.log_time()
    }

    fn quiet(&self) {
        self.process.was_stopped.set(false);
        if self.enter(Call::Turn) == Some(Fault::CrashAfter) {
            self.crashed_at(Call::Turn, false);
            self.crash();
        }
    }
}
