//! A run: instances, a broker, disks and an operator, moved step by step by one seed; the same seed
//! is the same run.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::sim::broken::Broken;
use crate::sim::broker::Broker;
use crate::sim::coverage::{Coverage, Point, Random};
use crate::sim::disk::Trouble;
use crate::sim::faults::plan;
use crate::sim::feed::Feed;
use crate::sim::instance::{End, Instance};
use crate::sim::oracle;
use crate::sim::shared::Sim;
use leadstream::codec::rows;
use leadstream::codec::topics::{self, STATE, Topic};
use leadstream::domain::units::Partition;
use leadstream::engine::kafka_loop::WorkerEvents;
use leadstream::engine::standby::Standbys;
use leadstream::engine::store::{Error, Shared};
use leadstream::engine::worker::Views;
use leadstream::log::kafka::{Cluster, Guarantee, Settings};
use leadstream::pipeline::Key;
use leadstream::telemetry::metrics::Metrics;

const INSTANCES: usize = 3;
/// First letters of the names of rows, positions apart.
const KINDS: [&str; 8] = ["L", "C", "T", "R", "E", "W", "N", "U"];
/// Processes inside the waits of others; deeper ones only let time pass.
const DEPTH_MAX: u32 = 3;
/// How the failure of a run begins that went wrong itself.
pub const PANICKED: &str = "panicked: ";
/// Steps in which everything must have been taken once nothing is disturbed any more.
const SETTLES: u32 = 4_000;
/// Turns in which a copy must have come up then.
const COMES_UP: u32 = 12;

/// What outlives a run: readers' views, one for each instance.
pub struct Stage {
    reported: Vec<&'static WorkerEvents<'static>>,
}

impl Stage {
    /// Leaked, because the loops of the instances borrow it; one for each thread that simulates.
    pub fn new() -> Self {
        let metrics: &'static Arc<Metrics> = Box::leak(Box::new(Arc::new(Metrics::new())));
        let reported = || {
            let views: &'static Views = Box::leak(Box::default());
            let stop: &'static AtomicBool = Box::leak(Box::default());
            let standbys: &'static Standbys = Box::leak(Box::default());
            let wanted = &BTreeSet::new;
            &*Box::leak(Box::new(WorkerEvents {
                stop,
                beat: &|_| {},
                caught_up: &|_| {},
                fails: &|_, _| {},
                views,
                metrics,
                standbys,
                wanted,
            }))
        };
        Self { reported: (0..INSTANCES).map(|_| reported()).collect() }
    }

    pub fn reported(&self, number: usize) -> &'static WorkerEvents<'static> {
        self.reported[number]
    }
}

/// A place for an instance: between two processes it is empty.
#[derive(Default)]
struct Slot {
    instance: RefCell<Option<Rc<Instance>>>,
    /// When the next process starts; `None`: not before the run calms down.
    starts_ms: Cell<Option<u64>>,
}

/// See the module.
struct World {
    sim: Rc<Sim>,
    cluster: Arc<Cluster>,
    reported: Vec<&'static WorkerEvents<'static>>,
    slots: Vec<Slot>,
    feed: RefCell<Feed>,
    partitions: u32,
    /// Who had a partition last.
    holders: RefCell<BTreeMap<u32, usize>>,
    depth: Cell<u32>,
    is_calm: Cell<bool>,
    failure: RefCell<Option<String>>,
}

pub fn cluster(partitions: u32) -> Arc<Cluster> {
    let settings = Settings {
        bootstrap_servers: String::new(),
        application_id: "simulated".to_owned(),
        instance: String::new(),
        is_static: false,
        partitions,
        replication_factor: 1,
        creates_topics: false,
        session_timeout_ms: 6_000,
        transaction_timeout_ms: 5_000,
        connect_timeout_ms: 1_000,
        buffer_records: 12,
        num_threads: 1,
        num_standby_replicas: 0,
        standby_records_per_second: 20_000,
        topic_prefix: String::new(),
        guarantee: Guarantee::ExactlyOnce,
        properties: BTreeMap::new(),
    };
    Arc::new(Cluster { settings, partitions, identity: 7 })
}

/// All topics with their partitions.
pub fn places(partitions: u32) -> Vec<(&'static str, u32)> {
    let of = |topic: Topic| {
        (0..topic.partition_count(partitions)).map(move |partition| (topic.name, partition))
    };
    topics::ALL.iter().copied().flat_map(of).collect()
}

impl World {
    fn new(seed: u64, stage: &Stage, broken: Option<Broken>) -> Rc<Self> {
        let mut random = Random(seed);
        let partitions = 2 + random.below(3) as u32;
        let broker = Broker::new(places(partitions).into_iter(), partitions);
        let sim = Rc::new(Sim::new(broker, INSTANCES, random.next(), broken));
        let world = Rc::new(Self {
            sim: sim.clone(),
            cluster: cluster(partitions),
            reported: stage.reported.clone(),
            slots: (0..INSTANCES).map(|_| Slot::default()).collect(),
            feed: RefCell::new(Feed::new(partitions, 20 + random.below(50))),
            partitions,
            holders: RefCell::default(),
            depth: Cell::new(0),
            is_calm: Cell::new(false),
            failure: RefCell::new(None),
        });
        sim.plan.replace(plan(&mut random));
        if random.percent(30) {
            let trouble = random.pick(&[Trouble::Full, Trouble::CrashBefore, Trouble::CrashAfter]);
            sim.disks[random.below(INSTANCES as u64) as usize].plan(random.below(12), trouble);
        }
        // The first two from the start, the third in the middle of it.
        world.slots.iter().take(2).for_each(|slot| slot.starts_ms.set(Some(0)));
        world.slots[2].starts_ms.set(random.percent(70).then(|| random.below(8_000)));
        let others = Rc::downgrade(&world);
        sim.others.replace(Some(Box::new(move |number, ms| {
            if let Some(world) = others.upgrade() {
                world.meanwhile(number, ms);
            }
        })));
        world
    }

    fn live(&self) -> Vec<Rc<Instance>> {
        self.slots.iter().filter_map(|slot| slot.instance.borrow().clone()).collect()
    }

    /// Time passes while an instance waits; the others go on.
    fn meanwhile(&self, number: usize, ms: u64) {
        let is_shallow = self.depth.get() < DEPTH_MAX;
        self.depth.set(self.depth.get() + 1);
        let pieces = (ms / 50).clamp(1, 24);
        for piece in 0..pieces {
            let passes = ms / pieces + u64::from(piece == 0) * (ms % pieces);
            self.pass(passes);
            if is_shallow {
                self.act(Some(number));
            }
        }
        self.depth.set(self.depth.get() - 1);
    }

    fn pass(&self, ms: u64) {
        self.sim.broker.borrow_mut().advance(ms);
        for instance in self.live() {
            if ms > 100 || self.sim.percent(50) {
                instance.poll_group();
            }
        }
    }

    /// Somebody does something.
    fn act(&self, but: Option<usize>) {
        let number = self.sim.below(INSTANCES as u64) as usize;
        let slot = &self.slots[number];
        if slot.starts_ms.get().is_some_and(|at| at <= self.sim.now_ms())
            && slot.instance.borrow().is_none()
        {
            self.start(number);
        }
        let instance = slot.instance.borrow().clone();
        match instance {
            Some(instance) if self.sim.percent(50) => drop(instance.fetch(1 + self.sim.below(10))),
            Some(instance) if self.sim.percent(30) => self.keep(&instance),
            Some(instance) if but != Some(number) => drop(self.round(&instance)),
            _ => {}
        }
        if self.is_calm.get() {
            return;
        }
        match self.sim.below(100) {
            0..12 if !self.feed.borrow().is_done() => self.feed.borrow_mut().append(&self.sim),
            12 => self.compact(),
            13 => self.leave(number),
            14 if self.sim.percent(40) => self.kill(number),
            15 if self.sim.percent(20) => {
                self.sim.down_until_ms.set(self.sim.now_ms() + self.sim.below(2_000))
            }
            17 => self.live().iter().for_each(|instance| instance.want()),
            16 => {
                self.sim.broker.borrow_mut().marker_delay_ms =
                    1 + self.sim.below(self.sim.below(800) + 1)
            }
            _ => {}
        }
    }

    fn start(&self, number: usize) {
        let slot = &self.slots[number];
        slot.starts_ms.set(None);
        let instance = Instance::start(&self.sim, number, &self.cluster, self.reported[number]);
        slot.instance.replace(Some(Rc::new(instance)));
    }

    /// One round of an instance, and what follows from its end.
    fn round(&self, instance: &Rc<Instance>) -> bool {
        let number = instance.process.number;
        let copies = self.reported[number].standbys.behind();
        let outcome = instance.round();
        copies
            .keys()
            .filter(|partition| instance.assignment.holds(&[Partition(**partition)]))
            .for_each(|_| self.sim.hit(Point::Q2));
        let disk = &self.sim.disks[number];
        for (partition, next) in disk.opened() {
            let before = self.holders.borrow_mut().insert(partition, number);
            let end = self.sim.broker.borrow().log((STATE, partition)).next;
            if next.is_some_and(|next| (1..end).contains(&next))
                && before.is_some_and(|before| before != number)
            {
                self.sim.hit(Point::Q);
            }
        }
        for trouble in disk.met() {
            self.sim.hit(if trouble == Trouble::Full { Point::S } else { Point::F });
        }
        match outcome {
            Ok(has_taken) => has_taken,
            Err(end) => {
                self.ended(instance, &end);
                true
            }
        }
    }

    /// One turn of what keeps copies in an instance, and what follows from its end.
    fn keep(&self, instance: &Rc<Instance>) {
        if let Err(end) = instance.keep() {
            self.ended(instance, &end);
        }
    }

    fn ended(&self, instance: &Rc<Instance>, end: &End) {
        // Already replaced where the operator killed it.
        let number = instance.process.number;
        let is_there = self.slots[number]
            .instance
            .borrow()
            .as_ref()
            .is_some_and(|now| Rc::ptr_eq(now, instance));
        match end {
            End::Killed if is_there => self.died(number),
            End::Failed(error) if is_there => self.failed(instance, error),
            _ => {}
        }
    }

    /// A process is gone: its disk keeps what it keeps, and another process follows at some time.
    fn died(&self, number: usize) {
        self.sim.tell(|| format!("instance {number} died"));
        self.slots[number].instance.replace(None);
        let disk = &self.sim.disks[number];
        if disk.lose(&mut self.sim.random.borrow_mut()) {
            self.sim.hit(Point::G);
        }
        match self.sim.below(100) {
            0..4 => {
                disk.wipe();
                self.sim.hit(Point::H);
            }
            4..12 if disk.flip(&mut self.sim.random.borrow_mut()) => self.sim.hit(Point::H),
            12..18 => {
                let partition = self.sim.below(u64::from(self.partitions)) as u32;
                let end = self.sim.broker.borrow().log((STATE, partition)).next;
                // Further than the run can ever come: it has to be seen when the partition is
                // opened, whenever that is.
                if disk.pretend(partition, end + 1_000_000) {
                    self.sim.hit(Point::I);
                }
            }
            _ => {}
        }
        let longest = if self.sim.percent(50) { 500 } else { 20_000 };
        self.slots[number].starts_ms.set(Some(self.sim.now_ms() + self.sim.below(longest)));
    }

    /// A process whose loop has ended with an error: what `run` and its operator do then.
    fn failed(&self, instance: &Rc<Instance>, error: &Error) {
        let number = instance.process.number;
        self.sim.tell(|| format!("instance {number} ended: {error}"));
        instance.process.is_dead.set(true);
        instance.leave();
        self.slots[number].instance.replace(None);
        self.slots[number].starts_ms.set(Some(self.sim.now_ms() + self.sim.below(300)));
        let text = error.to_string();
        match error {
            Error::Cache => self.sim.disks[number].wipe(),
            // Somebody makes room.
            Error::Full => {}
            _ if text.contains("--to-offset") => self.repair(&text),
            // Of a process that stood still while others took what retention then removed: it
            // fetches before it hears that it lost it.
            _ if text.contains("starts behind its committed offset") => {}
            Error::Log(leadstream::log::Error::Kafka { .. }) | Error::Commit(_) => {}
            _ => drop(
                self.failure.borrow_mut().get_or_insert(format!("instance {number} ended: {text}")),
            ),
        }
    }

    /// The operator does what the message says.
    fn repair(&self, text: &str) {
        let number = |before: &str| -> u64 {
            let rest = &text[text.rfind(before).unwrap() + before.len()..];
            rest[..rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())]
                .parse()
                .unwrap()
        };
        let (partition, offset) = (number("lead.interactions.v1:"), number("--to-offset "));
        self.sim.broker.borrow_mut().group.offsets.entry(partition as u32).or_insert(offset);
        self.sim.hit(Point::T);
    }

    fn compact(&self) {
        let partition = self.sim.below(u64::from(self.partitions)) as u32;
        let mut broker = self.sim.broker.borrow_mut();
        [STATE, "lead.profiles.v1", "experiment.metrics.v1"]
            .into_iter()
            .for_each(|topic| broker.compact((topic, partition)));
        // Inputs that were taken long ago are removed too.
        let processed = broker.group.offsets.get(&partition).copied().unwrap_or(0);
        if broker.committed(partition).is_ok() {
            broker.delete_before(("lead.interactions.v1", partition), processed.saturating_sub(10));
        }
    }

    /// An instance is ended in order, to come back later.
    fn leave(&self, number: usize) {
        let slot = &self.slots[number];
        let Some(instance) = slot.instance.borrow().clone().filter(|instance| !instance.is_busy())
        else {
            return;
        };
        slot.instance.replace(None);
        if matches!(instance.end(), Err(Error::Cache)) {
            self.sim.disks[number].wipe();
        }
        self.sim.disks[number].met().iter().for_each(|trouble| {
            self.sim.hit(if *trouble == Trouble::Full { Point::S } else { Point::F });
        });
        slot.starts_ms.set(Some(self.sim.now_ms() + self.sim.below(4_000)));
    }

    /// An instance is killed from outside, wherever it is.
    fn kill(&self, number: usize) {
        let Some(instance) = self.slots[number].instance.borrow().clone() else { return };
        instance.process.is_dead.set(true);
        if !instance.is_busy() {
            self.sim.hit(Point::A);
        }
        self.died(number);
    }

    /// Everybody is killed, and meanwhile the group is deleted.
    fn delete_group(&self) {
        (0..INSTANCES).for_each(|number| self.kill(number));
        for _ in 0..40 {
            self.pass(1_000);
        }
        let mut broker = self.sim.broker.borrow_mut();
        assert!(broker.members() == 0 && broker.is_quiet(), "somebody is there");
        broker.group.offsets.clear();
    }

    /// Nothing is disturbed any more; everything has to be taken.
    fn settle(&self) -> Result<(), String> {
        self.is_calm.set(true);
        self.sim.plan.borrow_mut().clear();
        self.sim.disks.iter().for_each(|disk| disk.heal());
        self.sim.broker.borrow_mut().marker_delay_ms = 1;
        self.sim.frozen_at.set(Some(self.sim.log_time()));
        let mut quiet = 0;
        for _ in 0..SETTLES {
            self.pass(120);
            let ends = self.sim.broker.borrow().ends();
            for (number, slot) in self.slots.iter().enumerate() {
                if slot.instance.borrow().is_none() {
                    self.start(number);
                }
                let instance = slot.instance.borrow().clone();
                if let Some(instance) = instance {
                    instance.fetch(30);
                    self.round(&instance);
                    self.keep(&instance);
                }
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let broker = self.sim.broker.borrow();
            let held: usize = self
                .live()
                .iter()
                .filter(|instance| instance.assignment.is_settled())
                .map(|instance| instance.assignment.owned().len())
                .sum();
            let is_quiet =
                broker.is_quiet() && broker.ends() == ends && held == self.partitions as usize;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > 4
                && (0..self.partitions).all(|partition| oracle::is_taken(&broker, partition))
            {
                return Ok(());
            }
        }
        let broker = self.sim.broker.borrow();
        let left = (0..self.partitions).filter(|partition| !oracle::is_taken(&broker, *partition));
        Err(format!("not everything is taken: partitions {:?} wait", left.collect::<Vec<_>>()))
    }

    /// What the instances have in memory and on disk is what the oracle says.
    /// An instance that cannot read its disk begins anew: then there is nothing to compare yet.
    fn compare(&self) -> Result<bool, String> {
        let expected = oracle::check(&self.sim.broker.borrow(), self.partitions)?;
        let mut held = 0;
        for instance in self.live() {
            let number = instance.process.number;
            for shared in self.reported[number].views.all() {
                let partition = shared.partition();
                if !instance.assignment.owned().contains(&partition) {
                    continue;
                }
                held += 1;
                let Some(rows) = self.rows_of(&instance, &shared) else { return Ok(false) };
                if let Some(row) = oracle::differ(&rows, &expected[partition.0 as usize]) {
                    return Err(format!(
                        "instance {number} has another row {row} of partition {} than follows from \
                            the inputs",
                        partition.0
                    ));
                }
            }
        }
        for instance in self.live() {
            if !self.compare_copies(&instance, &expected)? {
                return Ok(false);
            }
        }
        if held == self.partitions {
            Ok(true)
        } else {
            Err(format!("{held} of {} partitions are held", self.partitions))
        }
    }

    /// All rows of a partition; `None`: the disk cannot be read, and the instance begins anew.
    fn rows_of(&self, instance: &Rc<Instance>, shared: &Shared) -> Option<oracle::RowBytes> {
        let mut rows = oracle::RowBytes::new();
        let each =
            &mut |key: Key, row| drop(rows.insert(rows::key_text(&key), rows::row_bytes(&row)));
        let outcome = KINDS.into_iter().try_for_each(|kind| shared.scan(kind, each).map(drop));
        outcome.inspect_err(|error| self.failed(instance, error)).ok().map(|()| rows)
    }

    /// What copies hold, once they are brought up, is the same; `false` where a disk cannot be
    /// read.
    fn compare_copies(
        &self,
        instance: &Rc<Instance>,
        expected: &[oracle::RowBytes],
    ) -> Result<bool, String> {
        let number = instance.process.number;
        let standbys = self.reported[number].standbys;
        for _ in 0..COMES_UP {
            self.keep(instance);
            if self.slots[number].instance.borrow().is_none() {
                return Ok(false);
            }
        }
        for (partition, behind) in standbys.behind() {
            if behind > 0 {
                return Err(format!(
                    "instance {number}: the copy of partition {partition} stays {behind} records \
                        behind"
                ));
            }
            let Some(standing) = standbys.of(Partition(partition)) else { continue };
            let Some(rows) = self.rows_of(instance, &standing.shared) else { return Ok(false) };
            if let Some(row) = oracle::differ(&rows, &expected[partition as usize]) {
                return Err(format!(
                    "instance {number} has another row {row} in its copy of partition {partition} \
                        than is committed"
                ));
            }
        }
        Ok(true)
    }

    fn run(&self) -> Result<(), String> {
        self.feed.borrow().begin(&self.sim);
        let deletes_group = self.sim.percent(5);
        let steps = 150 + self.sim.below(150);
        for step in 0..steps {
            let ms =
                if self.sim.percent(10) { self.sim.below(600) } else { 5 + self.sim.below(40) };
            self.pass(ms);
            self.act(None);
            if deletes_group && step == steps / 2 {
                self.delete_group();
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
        }
        while !self.feed.borrow().is_done() {
            self.feed.borrow_mut().append(&self.sim);
        }
        for _ in 0..=INSTANCES {
            self.settle()?;
            if self.compare()? {
                return Ok(());
            }
        }
        Err("the disks stay damaged".to_owned())
    }
}

/// What a run met, and what was wrong.
pub struct Outcome {
    pub coverage: Coverage,
    pub failure: Option<String>,
    pub trace: Vec<String>,
}

/// Runs one seed.
pub fn run(seed: u64, stage: &Stage, broken: Option<Broken>, is_traced: bool) -> Outcome {
    let world = World::new(seed, stage, broken);
    if is_traced {
        world.sim.trace.replace(Some(Vec::new()));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = outcome
        .unwrap_or_else(|panic| Err(format!("{PANICKED}{:?}", panic.downcast_ref::<String>())))
        .err();
    // The instances hold the run and the run holds them.
    world.slots.iter().for_each(|slot| drop(slot.instance.take()));
    let coverage = world.sim.coverage.borrow().clone();
    let trace = world.sim.trace.take().unwrap_or_default();
    Outcome { coverage, failure, trace }
}
