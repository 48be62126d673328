//! What the instances of one run share: the broker, the time, the disks, the faults to come and the
//! points that were met.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::broken::Broken;
use crate::sim::broker::{Broker, Shown};
use crate::sim::coverage::{Coverage, Point, Random};
use crate::sim::disk::SimDisks;
use crate::sim::faults::{Call, Fault, Planned};
use leadstream::codec::record::Record;
use leadstream::codec::topics::STATE;
use leadstream::domain::units::{AppendTime, Partition};
use leadstream::log::TimeSource;

/// Time of the log at the start of a run, milliseconds since 1970.
pub const START_MS: i64 = 1_767_225_600_000;
/// How much faster the time of the log runs: a run of a minute covers days of leads.
const FASTER: i64 = 4_000;

/// What unwinds a process that is killed.
pub struct Crash;

/// Who lets the others go on for so many milliseconds while an instance waits.
pub type Others = Box<dyn Fn(usize, u64)>;

/// One run: everything that its instances share.
pub struct Sim {
    pub broker: RefCell<Broker>,
    pub random: RefCell<Random>,
    pub coverage: RefCell<Coverage>,
    pub plan: RefCell<Vec<Planned>>,
    pub broken: Option<Broken>,
    pub others: RefCell<Option<Others>>,
    /// Until then no broker answers.
    pub down_until_ms: Cell<u64>,
    /// Where the time of the log stands still.
    pub frozen_at: Cell<Option<AppendTime>>,
    pub trace: RefCell<Option<Vec<String>>>,
    /// Without a commit for so long, offsets are committed again; no run is as long as this.
    pub renew: Cell<Duration>,
    /// Of each instance.
    pub disks: Vec<SimDisks>,
}

/// What the threads of one process share beside the hub.
#[derive(Default)]
pub struct Process {
    pub number: usize,
    /// Killed; its frames on the stack unwind at their next call.
    pub is_dead: Cell<bool>,
    /// Stopped by a signal.
    pub is_stopped: Cell<bool>,
    /// It stood still inside a transaction past its session.
    pub was_stopped: Cell<bool>,
    /// Time that it believes has not passed, milliseconds.
    pub hidden_ms: Cell<u64>,
    pub shown: RefCell<Option<Shown>>,
    pub owned: RefCell<BTreeSet<Partition>>,
}

impl Sim {
    pub fn new(broker: Broker, instances: usize, seed: u64, broken: Option<Broken>) -> Self {
        Self {
            broker: RefCell::new(broker),
            random: RefCell::new(Random(seed)),
            coverage: RefCell::default(),
            plan: RefCell::default(),
            broken,
            others: RefCell::new(None),
            down_until_ms: Cell::new(0),
            frozen_at: Cell::new(None),
            trace: RefCell::new(None),
            renew: Cell::new(Duration::MAX),
            disks: (0..instances).map(|_| SimDisks::default()).collect(),
        }
    }

    /// Writes changes to an instance's disk that are not committed.
    pub fn apply_early(&self, number: usize, changes: &[(u32, u64, Vec<Record>)]) {
        for (partition, next, records) in changes {
            let rows = records
                .iter()
                .filter_map(|record| Some((record.key.clone()?, record.value.clone()?)));
            let written = TimeSource::World.now().0.cast_unsigned();
            let meta = (b"#".to_vec(), [next.to_le_bytes(), written.to_le_bytes()].concat());
            self.disks[number].smuggle(*partition, &rows.chain([meta]).collect::<Vec<_>>());
        }
    }

    pub fn hit(&self, point: Point) {
        self.tell(|| format!("POINT {point:?}"));
        self.coverage.borrow_mut().hit(point);
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = self.trace.borrow_mut().as_mut() {
            let line = format!("{:>7} ms  {}", self.broker.borrow().now_ms, what());
            trace.push(line);
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.broker.borrow().now_ms
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    pub fn percent(&self, percent: u64) -> bool {
        self.random.borrow_mut().percent(percent)
    }

    pub fn log_time(&self) -> AppendTime {
        let now = AppendTime(START_MS + i64::try_from(self.now_ms()).unwrap() * FASTER);
        self.frozen_at.get().unwrap_or(now)
    }

    /// Lets time pass for everybody but an instance that waits.
    pub fn wait(&self, number: usize, ms: u64) {
        match self.others.borrow().as_ref() {
            Some(others) => others(number, ms),
            None => self.broker.borrow_mut().advance(ms),
        }
    }

    pub fn is_pinned(&self) -> bool {
        self.broker
            .borrow()
            .logs
            .iter()
            .any(|((topic, _), log)| *topic == STATE && log.stable() < log.next)
    }

    pub fn planned(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan.borrow_mut();
        if plan.is_empty() {
            return None;
        }
        let pinned = plan.iter().any(|planned| planned.while_pinned) && self.is_pinned();
        let mut found = None;
        for (place, planned) in plan.iter_mut().enumerate() {
            if planned.call != call || (planned.while_pinned && !pinned) {
                continue;
            }
            if planned.after == 0 && found.is_none() {
                found = Some(place);
            }
            planned.after = planned.after.saturating_sub(1);
        }
        found.map(|place| plan.remove(place).fault)
    }
}
