//! One process of the product in a simulation: its loop, its fetching, its membership, and its end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::sim::broken::Broken;
use crate::sim::broker::{Code, Shown};
use crate::sim::client::SimClient;
use crate::sim::coverage::Point;
use crate::sim::reads::{SimInputs, SimReads};
use crate::sim::shared::{Crash, Process, Sim};
use leadstream::codec::topics::inputs_of;
use leadstream::domain::units::Partition;
use leadstream::engine::kafka_loop::{MemberLoop, Pace, Wait, WorkerEvents};
use leadstream::engine::standby::Keeper;
use leadstream::engine::store::{Bounds, Error, Trees};
use leadstream::engine::worker::{Options, Worker};
use leadstream::log::kafka::{
    Cluster, Fetching, PartitionAssignment, Topics, TransactionalLog, WorkerSlot,
};
use leadstream::pipeline::InputTopic;

/// How long the group waits for a worker to give up partitions, milliseconds.
const GIVE_UP_MS: u64 = 10_000;
/// Records of an input that may wait in memory.
pub const BUFFER_RECORDS: usize = 12;

/// Where a member of the group stands.
#[derive(Default)]
struct Membership {
    id: Option<u64>,
    generation: i32,
    is_joining: bool,
    /// Taken back, to be given up until then.
    revoked: Option<(Vec<Partition>, u64)>,
    /// Given once the others are gone.
    given: Vec<Partition>,
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    Killed,
    Failed(Error),
}

/// See the module.
pub struct Instance {
    sim: Rc<Sim>,
    pub process: Rc<Process>,
    pub assignment: Arc<PartitionAssignment>,
    share: RefCell<MemberLoop<'static, SimClient>>,
    fetching: RefCell<Fetching<SimInputs>>,
    reported: &'static WorkerEvents<'static>,
    keeper: RefCell<Keeper<'static, SimReads>>,
    /// Partitions of which it keeps copies.
    wanted: RefCell<BTreeSet<Partition>>,
    member: RefCell<Membership>,
    wakes_ms: Cell<u64>,
    seen: Cell<Option<u64>>,
    /// Gone, and the hub has not heard it yet.
    untold: RefCell<Vec<Partition>>,
}

impl Instance {
    pub fn start(
        sim: &Rc<Sim>,
        number: usize,
        cluster: &Arc<Cluster>,
        reported: &'static WorkerEvents<'static>,
    ) -> Self {
        let process = Rc::new(Process { number, ..Process::default() });
        let assignment = Arc::new(PartitionAssignment::default());
        let client = SimClient {
            sim: sim.clone(),
            process: process.clone(),
            id: format!("instance-{number}"),
            is_keeper: false,
        };
        let alongside = SimClient { is_keeper: true, ..client.clone() };
        let topics = InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0);
        let reads = SimReads::new(&client);
        let transactional = TransactionalLog::over(cluster, &assignment, (client, reads), topics);
        let bounds = Bounds {
            cached_rows: 1 + sim.below(8) as usize,
            checkpoint_rows: 1 + sim.below(24) as usize,
            ..Bounds::default()
        };
        let options = Options {
            commit_records: 1 + sim.below(12) as usize,
            commit_timers: 1 + sim.below(6) as usize,
            tick: Duration::ZERO,
            report: Duration::ZERO,
            renew: sim.renew.get(),
            bounds,
            ..Options::default()
        };
        let copied = Topics::over(&cluster.settings, SimReads::new(&alongside));
        let rate = cluster.settings.standby_records_per_second;
        reported.standbys.clear();
        reported.standbys.turn_on(true);
        let trees = Trees::on(sim.disks[number].clone());
        let keeper = RefCell::new(Keeper::new(
            reported.standbys,
            (copied, trees),
            (bounds, rate),
            reported.metrics,
        ));
        let worker = Worker::new(
            transactional,
            Trees::on(sim.disks[number].clone()),
            options,
            reported.metrics.clone(),
        );
        let pace =
            Pace { shortest: Duration::from_millis(10), longest: Duration::from_millis(100) };
        let share = RefCell::new(MemberLoop::new(&assignment, worker, pace, reported));
        let fetching =
            RefCell::new(Fetching::new(SimInputs::new(sim), &assignment, BUFFER_RECORDS));
        sim.tell(|| format!("instance {number} starts"));
        let (wakes_ms, seen) = (Cell::new(0), Cell::new(None));
        let (sim, member, untold) = (sim.clone(), RefCell::default(), RefCell::default());
        let wanted = RefCell::default();
        let instance = Self {
            sim,
            process,
            assignment,
            share,
            fetching,
            reported,
            keeper,
            wanted,
            member,
            wakes_ms,
            seen,
            untold,
        };
        instance.want();
        instance
    }

    pub fn is_busy(&self) -> bool {
        self.share.try_borrow_mut().is_err()
    }

    /// One round of the worker's thread, where it does not wait; how the process ended, if it did.
    pub fn round(&self) -> Result<bool, End> {
        let Ok(mut share) = self.share.try_borrow_mut() else { return Ok(false) };
        let untold = self.untold.take();
        if !untold.is_empty() {
            self.assignment.lost(&untold);
        }
        let is_news = self.seen.get().is_none_or(|seen| seen != self.assignment.news());
        if self.process.is_stopped.get()
            || self.sim.now_ms() < self.wakes_ms.get() && !(is_news && self.seen.get().is_some())
        {
            return Ok(false);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| share.round()));
        match outcome {
            Err(panic) if panic.is::<Crash>() => {
                self.process.is_dead.set(true);
                Err(End::Killed)
            }
            Err(panic) => resume_unwind(panic),
            Ok(Err(error)) => Err(End::Failed(error)),
            Ok(Ok(Wait::News(seen))) => {
                self.seen.set(Some(seen));
                self.wakes_ms.set(self.sim.now_ms() + 200);
                Ok(false)
            }
            Ok(Ok(Wait::Time(time))) => {
                self.seen.set(None);
                // How long a turn took is not the same in every run.
                let ms = time.as_millis() as u64;
                self.wakes_ms.set(self.sim.now_ms() + if ms > 100 { ms } else { 10 });
                Ok(true)
            }
        }
    }

    /// Draws anew of which partitions copies are kept.
    pub fn want(&self) {
        let partitions = self.sim.broker.borrow().partitions;
        let wanted: BTreeSet<Partition> =
            (0..partitions).map(Partition).filter(|_| self.sim.percent(60)).collect();
        self.sim.tell(|| format!("instance {} keeps copies of {wanted:?}", self.process.number));
        self.wanted.replace(wanted);
    }

    /// A turn of the thread that keeps copies; how the process ended, if it did.
    pub fn keep(&self) -> Result<(), End> {
        let Ok(mut keeper) = self.keeper.try_borrow_mut() else { return Ok(()) };
        if self.process.is_stopped.get() {
            return Ok(());
        }
        let wanted = self.wanted.borrow().clone();
        match catch_unwind(AssertUnwindSafe(|| keeper.turn(&wanted, &|| false))) {
            Err(panic) if panic.is::<Crash>() => {
                self.process.is_dead.set(true);
                Err(End::Killed)
            }
            Err(panic) => resume_unwind(panic),
            Ok(outcome) => outcome.map_err(End::Failed),
        }
    }

    /// Some turns of the fetching thread; whether a record came.
    pub fn fetch(&self, turns: u64) -> bool {
        let Ok(mut fetching) = self.fetching.try_borrow_mut() else { return false };
        if self.process.is_stopped.get() {
            return false;
        }
        for turn in 0..turns {
            match fetching.turn() {
                Ok(true) => {}
                Ok(false) => return turn > 0,
                Err(error) => {
                    self.assignment.fail(error.to_string());
                    return false;
                }
            }
        }
        true
    }

    fn show(&self, member: &Membership) {
        let shown = member.id.map(|id| Shown { generation: member.generation, member: id });
        self.process.shown.replace(shown);
    }

    /// The group's thread: heartbeats, joins, and what a rebalance gives and takes.
    pub fn poll_group(&self) {
        let Ok(mut member) = self.member.try_borrow_mut() else { return };
        if self.process.is_stopped.get() || self.sim.now_ms() < self.sim.down_until_ms.get() {
            return;
        }
        let Some(id) = member.id else { return self.join(&mut member) };
        if member.is_joining {
            let synced = self.sim.broker.borrow().sync(id);
            match synced {
                Err(Code::RebalanceInProgress) => self.join(&mut member),
                Err(_) => self.lose(&mut member),
                Ok(None) => drop(self.sim.broker.borrow_mut().heartbeat(id, member.generation)),
                Ok(Some((generation, assigned))) => {
                    member.is_joining = false;
                    member.generation = generation;
                    self.show(&member);
                    self.take_over(&mut member, &assigned);
                }
            }
            return;
        }
        let received_reports = self.sim.broker.borrow_mut().heartbeat(id, member.generation);
        match received_reports {
            Err(_) => return self.lose(&mut member),
            Ok(true) if member.revoked.is_none() => return self.join(&mut member),
            Ok(_) => {}
        }
        self.give_up(&mut member);
    }

    fn join(&self, member: &mut Membership) {
        let owned = self.process.owned.borrow().clone();
        member.id = Some(self.sim.broker.borrow_mut().join(member.id, &owned));
        member.is_joining = true;
        self.show(member);
    }

    /// The group does not know this member any more.
    fn lose(&self, member: &mut Membership) {
        let lost: Vec<Partition> = self.process.owned.take().into_iter().collect();
        self.sim.tell(|| format!("instance {} lost {lost:?}", self.process.number));
        self.tell_lost(&lost);
        if !lost.is_empty() {
            self.sim.hit(Point::N);
        }
        *member = Membership::default();
        self.show(member);
    }

    fn tell_lost(&self, lost: &[Partition]) {
        // Who does not look at ownership goes on with what it has in hand until its turn has ended.
        if self.sim.broken == Some(Broken::NotOwned) && self.is_busy() {
            self.untold.borrow_mut().extend(lost);
        } else {
            self.assignment.lost(lost);
        }
    }

    fn take_over(&self, member: &mut Membership, assigned: &BTreeSet<Partition>) {
        let owned = self.process.owned.borrow();
        let revoked: Vec<Partition> = owned.difference(assigned).copied().collect();
        member.given = assigned.difference(&owned).copied().collect();
        drop(owned);
        if revoked.is_empty() {
            return self.receive(member);
        }
        self.sim.tell(|| format!("instance {} is asked for {revoked:?}", self.process.number));
        self.assignment.asked_back(&revoked);
        member.revoked = Some((revoked, self.sim.now_ms() + GIVE_UP_MS));
    }

    fn receive(&self, member: &mut Membership) {
        let given = std::mem::take(&mut member.given);
        self.process.owned.borrow_mut().extend(&given);
        self.sim.tell(|| format!("instance {} is given {given:?}", self.process.number));
        self.assignment.assigned(&given);
    }

    /// Ends the revocation once the worker gave up, or after a while, and joins again.
    fn give_up(&self, member: &mut Membership) {
        let Some((revoked, until)) = member.revoked.clone() else { return };
        let holds = self.assignment.holds(&revoked);
        if holds && self.sim.now_ms() < until {
            return;
        }
        if !holds {
            self.sim.hit(Point::M);
        }
        self.sim.tell(|| {
            format!(
                "instance {} gives up {revoked:?}{}",
                self.process.number,
                if holds { " late" } else { "" }
            )
        });
        self.tell_lost(&revoked);
        self.process.owned.borrow_mut().retain(|partition| !revoked.contains(partition));
        member.revoked = None;
        self.receive(member);
        self.join(member);
    }

    /// Ends in order, where no turn is under way.
    pub fn end(&self) -> Result<(), Error> {
        self.process.is_dead.set(true);
        self.sim.tell(|| format!("instance {} ends in order", self.process.number));
        self.assignment.ended(WorkerSlot::WHOLE);
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.share.borrow().checkpoint()?;
            self.reported.standbys.put_all_away()
        }));
        match written {
            Ok(outcome) => {
                self.leave();
                outcome
            }
            Err(panic) if panic.is::<Crash>() => Ok(()),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Leaves the group, as a process does that ends by itself.
    pub fn leave(&self) {
        if let Some(id) = self.member.borrow().id {
            self.sim.broker.borrow_mut().leave(id);
        }
    }
}
