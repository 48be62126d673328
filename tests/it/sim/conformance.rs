//! One script for the simulated broker and for Apache Kafka: where they differ, the simulator is
//! wrong.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};

use crate::broker::{Broker as Kafka, is_there};
use crate::sim::broken::Broken;
use crate::sim::broker::{Broker, Shown};
use crate::sim::client::SimClient;
use crate::sim::instance::Instance;
use crate::sim::producer::SimProducer;
use crate::sim::reads::SimReads;
use crate::sim::shared::{START_MS, Sim};
use crate::sim::world::{Stage, cluster, places};
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::topics::{self, STATE};
use leadstream::domain::units::{Offset, Partition};
use leadstream::log::kafka::{
    self, Client, Cluster, Consumers, Group, Guarantee, Isolation, Librdkafka, PartitionAssignment,
    Polled, Producer, Reads, Settings, TransactionErrorKind,
};

const INTERACTIONS: &str = "lead.interactions.v1";
const OUTPUT: &str = "lead.predictions.v1";
const PARTITIONS: u32 = 6;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the script runs on.
trait Subject {
    type Client: Client;

    /// Another member joins the group, and all have their shares.
    fn join(&mut self);
    fn client(&self, member: usize) -> &Self::Client;
    fn owned(&self, member: usize) -> Vec<Partition>;
    fn reads(&self) -> <Self::Client as Client>::Reads;
    /// What somebody shows who is no member: generation -1.
    fn stranger(&self) -> <Self::Client as Client>::Member;
    /// Asks for the committed offset of a partition, and commits the transaction that will move it
    /// only after a while.
    fn committed_while(
        &self,
        partition: Partition,
        producer: &<Self::Client as Client>::Producer,
    ) -> Option<Offset>;
    /// The log cleaner has its turn, where it does not come by itself.
    fn compact(&self, place: (&'static str, u32));
}

type ProducerOf<S> = <<S as Subject>::Client as Client>::Producer;

/// The script, with two eyes on one cluster.
struct Script<'a, S: Subject> {
    subject: &'a mut S,
    reads: <S::Client as Client>::Reads,
}

fn record(key: &str, value: &str) -> Record {
    Record {
        key: Some(key.into()),
        value: Some(value.into()),
        reason: None,
        appended_ms: START_MS,
        ingest_run: 0,
        origin: None,
    }
}

impl<S: Subject> Script<'_, S> {
    fn await_that(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = self.reads.time() + PATIENCE;
        while !holds(self) {
            assert!(self.reads.time() < until, "{what}");
            self.reads.pause(Duration::from_millis(20));
        }
    }

    fn ends(&self, (topic, partition): (&str, u32)) -> (u64, u64) {
        let end = |isolation| {
            self.reads.watermarks((topic, Partition(partition)), isolation).unwrap().1.0
        };
        (end(Isolation::Committed), end(Isolation::Uncommitted))
    }

    /// Waits until a partition ends at an offset for everybody.
    fn await_end(&self, place: (&str, u32), end: u64) {
        self.await_that(&format!("{place:?} ends at {end}"), |script| {
            script.ends(place) == (end, end)
        });
    }

    /// What a committed reader sees.
    fn seen(&self, (topic, partition): (&str, u32)) -> Vec<(u64, String)> {
        let (place, until) = ((topic, Partition(partition)), self.reads.time() + PATIENCE);
        self.reads.go_to(place, Offset(0)).unwrap();
        let mut seen = Vec::new();
        loop {
            match self.reads.poll(place).unwrap() {
                Polled::Record(offset, record) => {
                    seen.push((offset.0, String::from_utf8(record.value.unwrap()).unwrap()))
                }
                Polled::End => break,
                Polled::Nothing => assert!(self.reads.time() < until, "{place:?} gives nothing"),
            }
        }
        self.reads.leave().unwrap();
        seen
    }

    fn assert_seen(&self, place: (&str, u32), expected: &[(u64, &str)]) {
        let expected: Vec<(u64, String)> =
            expected.iter().map(|(offset, value)| (*offset, (*value).to_owned())).collect();
        assert_eq!(self.seen(place), expected, "{place:?}");
    }

    /// A new producer of a member, once the transaction before it has ended.
    fn producer(&self, member: usize) -> ProducerOf<S> {
        self.producer_of(member, 0)
    }

    fn producer_of(&self, member: usize, turn: usize) -> ProducerOf<S> {
        let producer = self.subject.client(member).producer(turn).unwrap();
        let is_ready = |_: &Self| match producer.init() {
            Ok(()) => true,
            Err(transaction_error) if transaction_error.kind == TransactionErrorKind::Retriable => {
                false
            }
            Err(transaction_error) => panic!("{transaction_error:?}"),
        };
        self.await_that("a producer is ready", is_ready);
        producer
    }

    /// Begins a transaction and writes to it; gives the ends of the changelog.
    fn write(
        &self,
        producer: &ProducerOf<S>,
        place: (&'static str, u32),
        records: &[Record],
    ) -> BTreeMap<u32, Offset> {
        producer.begin().unwrap();
        producer.send(&Batches::from([(place, records.to_vec())])).unwrap();
        producer.drain(PATIENCE).unwrap()
    }

    fn committed(&self, partition: u32) -> Option<u64> {
        self.subject.client(0).committed(Partition(partition)).unwrap().map(|offset| offset.0)
    }

    /// What is aborted takes offsets, as does the end of a transaction; one without records takes
    /// none.
    fn aborted_records_are_not_seen(&self) {
        let (producer, place) = (self.producer(0), (OUTPUT, 0));
        self.write(&producer, place, &[record("k", "aborted")]);
        producer.abort().unwrap();
        self.await_end(place, 2);
        self.assert_seen(place, &[]);
        self.write(&producer, place, &[record("k", "a"), record("k", "b")]);
        producer.commit().unwrap();
        self.await_end(place, 5);
        producer.begin().unwrap();
        producer.commit().unwrap();
        self.assert_seen(place, &[(2, "a"), (3, "b")]);
        self.await_end(place, 5);
    }

    /// A committed reader sees nothing behind the first record of an open transaction.
    fn an_open_transaction_holds_back_what_is_committed_behind_it(&self) {
        let (open, behind, place) = (self.producer(0), self.producer(1), (OUTPUT, 1));
        self.write(&open, place, &[record("k", "open")]);
        self.write(&behind, place, &[record("k", "behind")]);
        behind.commit().unwrap();
        self.await_that("the second is committed", |script| script.ends(place) == (0, 3));
        self.assert_seen(place, &[]);
        open.commit().unwrap();
        self.await_end(place, 4);
        self.assert_seen(place, &[(0, "open"), (1, "behind")]);
    }

    /// A newer producer of the same id aborts what the older one left, which can do nothing more.
    fn a_newer_producer_ends_the_transaction_of_the_older_one(&self) {
        let (old, place) = (self.producer(0), (OUTPUT, 2));
        self.write(&old, place, &[record("k", "old")]);
        let new = self.producer(0);
        self.await_end(place, 2);
        assert_eq!(old.commit().unwrap_err().kind, TransactionErrorKind::Fatal);
        self.write(&new, place, &[record("k", "new")]);
        new.commit().unwrap();
        self.await_end(place, 4);
        self.assert_seen(place, &[(2, "new")]);
    }

    /// Who shows no generation is not checked.
    fn a_stranger_moves_offsets(&self) {
        let producer = self.producer(0);
        self.write(&producer, (OUTPUT, 3), &[record("k", "v")]);
        producer
            .offsets(INTERACTIONS, &BTreeMap::from([(3, Offset(7))]), &self.subject.stranger())
            .unwrap();
        producer.commit().unwrap();
        assert_eq!(self.committed(3), Some(7));
    }

    /// An offset that an open transaction will move is not given before that has ended.
    fn pending_offsets_are_waited_for(&self) {
        let producer = self.producer(0);
        let send = |offset| {
            self.write(&producer, (OUTPUT, 4), &[record("k", "v")]);
            let member = self.subject.client(0).member().unwrap();
            producer
                .offsets(INTERACTIONS, &BTreeMap::from([(4, Offset(offset))]), &member)
                .unwrap();
        };
        send(5);
        assert_eq!(self.subject.committed_while(Partition(4), &producer), Some(Offset(5)));
        send(9);
        producer.abort().unwrap();
        assert_eq!(self.committed(4), Some(5));
        assert_eq!(self.committed(5), None);
    }

    /// Of two transactions that are open at once, the offset that was added last counts, whichever
    /// ends last: producers that take turns rely on it.
    fn the_offset_that_was_added_last_counts(&self) {
        let [first, second] = [(0, 21), (1, 22)].map(|(turn, offset)| {
            let producer = self.producer_of(0, turn);
            self.write(&producer, (OUTPUT, 4), &[record("k", "v")]);
            let member = self.subject.client(0).member().unwrap();
            producer
                .offsets(INTERACTIONS, &BTreeMap::from([(4, Offset(offset))]), &member)
                .unwrap();
            producer
        });
        second.commit().unwrap();
        first.commit().unwrap();
        assert_eq!(self.committed(4), Some(22));
    }

    /// A member of an older generation is refused. One of this generation may commit a partition
    /// that is no longer its own: Kafka does not look at that.
    fn a_partition_that_has_moved_is_committed_by_whoever_knows_the_generation(&mut self) {
        let producer = self.producer(0);
        let before = self.subject.client(0).member().unwrap();
        self.subject.join();
        let moved = self.subject.owned(2)[0];
        let next = BTreeMap::from([(moved.0, Offset(11))]);
        let place = (OUTPUT, moved.0);
        self.write(&producer, place, &[record("k", "v")]);
        assert_eq!(
            producer.offsets(INTERACTIONS, &next, &before).unwrap_err().kind,
            TransactionErrorKind::Abort
        );
        producer.abort().unwrap();
        assert_ne!(self.committed(moved.0), Some(11));
        // It hears of the last generation a little later than the others have their shares.
        self.await_that("the generation is known", |script| {
            script.write(&producer, place, &[record("k", "v")]);
            let member = script.subject.client(0).member().unwrap();
            let is_taken = producer.offsets(INTERACTIONS, &next, &member).is_ok();
            if is_taken {
                producer.commit().unwrap()
            } else {
                producer.abort().unwrap()
            }
            is_taken
        });
        assert_eq!(self.committed(moved.0), Some(11));
    }

    fn run(&mut self) {
        // What takes the broker long is begun first and looked at last.
        self.subject.join();
        let state = (STATE, 0);
        let producer = self.producer(0);
        assert_eq!(
            self.write(&producer, state, &[record("a", "old"), record("b", "only")]),
            BTreeMap::from([(0, Offset(2))])
        );
        producer.commit().unwrap();
        assert_eq!(
            self.write(&producer, state, &[record("a", "new")]),
            BTreeMap::from([(0, Offset(4))])
        );
        producer.commit().unwrap();
        self.write(&producer, state, &[record("b", "aborted")]);
        producer.abort().unwrap();
        self.await_end(state, 7);
        self.assert_seen(state, &[(0, "old"), (1, "only"), (3, "new")]);

        self.subject.join();
        let hanging = self.producer(1);
        self.write(&hanging, (OUTPUT, 5), &[record("k", "hangs")]);
        self.a_newer_producer_ends_the_transaction_of_the_older_one();
        self.aborted_records_are_not_seen();
        self.a_stranger_moves_offsets();
        self.pending_offsets_are_waited_for();
        self.the_offset_that_was_added_last_counts();

        // The broker has aborted what was open for too long, and its producer is at its end.
        self.await_end((OUTPUT, 5), 2);
        self.assert_seen((OUTPUT, 5), &[]);
        assert_eq!(hanging.commit().unwrap_err().kind, TransactionErrorKind::Fatal);
        self.an_open_transaction_holds_back_what_is_committed_behind_it();
        self.a_partition_that_has_moved_is_committed_by_whoever_knows_the_generation();

        // Offsets stay when a record before them is removed, and reading from a removed one goes on
        // behind it.
        self.subject.compact(state);
        self.await_that("the changelog is compacted", |script| script.seen(state).len() == 2);
        self.assert_seen(state, &[(1, "only"), (3, "new")]);
        assert_eq!(self.ends(state), (7, 7));
        assert_eq!(
            self.reads.watermarks((STATE, Partition(0)), Isolation::Uncommitted).unwrap().0,
            Offset(0)
        );
    }
}

fn check(subject: &mut impl Subject) {
    let reads = subject.reads();
    Script { subject, reads }.run();
}

struct Simulated {
    sim: Rc<Sim>,
    stage: Stage,
    members: Rc<RefCell<Vec<Rc<Instance>>>>,
    clients: Vec<SimClient>,
}

impl Simulated {
    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let broker = Broker::new(places(PARTITIONS).into_iter(), PARTITIONS);
        let (sim, members) = (
            Rc::new(Sim::new(broker, 3, seed, broken)),
            Rc::new(RefCell::new(Vec::<Rc<Instance>>::new())),
        );
        let (passing, polled) = (Rc::downgrade(&sim), members.clone());
        sim.others.replace(Some(Box::new(move |_, ms| {
            for piece in (0..ms).step_by(50) {
                passing.upgrade().unwrap().broker.borrow_mut().advance(50.min(ms - piece));
                polled.borrow().iter().for_each(|member| member.poll_group());
            }
        })));
        Self { sim, stage: Stage::new(), members, clients: Vec::new() }
    }
}

impl Subject for Simulated {
    type Client = SimClient;

    fn join(&mut self) {
        let number = self.clients.len();
        let member = Rc::new(Instance::start(
            &self.sim,
            number,
            &cluster(PARTITIONS),
            self.stage.reported(number),
        ));
        let (sim, process, id) =
            (self.sim.clone(), member.process.clone(), format!("instance-{number}"));
        self.clients.push(SimClient { sim, process, id, is_keeper: false });
        self.members.borrow_mut().push(member);
        let share = PARTITIONS as usize / self.clients.len();
        let until = self.sim.now_ms() + 60_000;
        while !self.members.borrow().iter().all(|member| member.assignment.owned().len() == share) {
            assert!(self.sim.now_ms() < until, "everybody has a share");
            self.sim.wait(number, 50);
        }
    }

    fn client(&self, member: usize) -> &SimClient {
        &self.clients[member]
    }

    fn owned(&self, member: usize) -> Vec<Partition> {
        self.members.borrow()[member].assignment.owned()
    }

    fn reads(&self) -> SimReads {
        let nobody = SimClient {
            sim: self.sim.clone(),
            process: Rc::default(),
            id: "nobody".to_owned(),
            is_keeper: false,
        };
        SimReads::new(&nobody)
    }

    fn stranger(&self) -> Shown {
        Shown { generation: -1, member: 0 }
    }

    fn committed_while(&self, partition: Partition, producer: &SimProducer) -> Option<Offset> {
        producer.late_commit(500);
        let found = self.clients[0].committed(partition).unwrap();
        producer.commit().unwrap();
        found
    }

    fn compact(&self, place: (&'static str, u32)) {
        self.sim.broker.borrow_mut().compact(place);
    }
}

struct Real {
    kafka: Kafka,
    cluster: Arc<Cluster>,
    members: Vec<(Arc<PartitionAssignment>, Librdkafka)>,
}

impl Real {
    fn new(folder: &std::path::Path) -> Self {
        let kafka = Kafka::start(folder);
        let settings = Settings {
            bootstrap_servers: kafka.servers.clone(),
            application_id: "conformance".to_owned(),
            topic_prefix: "conformance.".to_owned(),
            creates_topics: true,
            guarantee: Guarantee::ExactlyOnce,
            ..cluster(PARTITIONS).settings.clone()
        };
        let cluster = kafka::open(settings, &topics::ALL).unwrap();
        let (topic, soon) =
            (cluster.settings.topic(STATE), "segment.ms=1,min.cleanable.dirty.ratio=0.001");
        let arguments =
            ["--alter", "--entity-type", "topics", "--entity-name", &topic, "--add-config", soon];
        kafka.tool("kafka.admin.ConfigCommand", &arguments);
        Self { kafka, cluster, members: Vec::new() }
    }
}

impl Subject for Real {
    type Client = Librdkafka;

    fn join(&mut self) {
        let number = self.members.len();
        let settings =
            Settings { instance: format!("member-{number}"), ..self.cluster.settings.clone() };
        let assignment = Arc::new(PartitionAssignment::default());
        let group = Arc::new(Group::join(&settings, &assignment, INTERACTIONS).unwrap());
        self.members.push((assignment, Librdkafka::new(&settings, &group, 0).unwrap()));
        let share = PARTITIONS as usize / self.members.len();
        crate::kafka::await_that(|| {
            self.members.iter().all(|(assignment, _)| assignment.owned().len() == share)
        });
    }

    fn client(&self, member: usize) -> &Librdkafka {
        &self.members[member].1
    }

    fn owned(&self, member: usize) -> Vec<Partition> {
        self.members[member].0.owned()
    }

    fn reads(&self) -> Consumers {
        Consumers::new(&self.cluster.settings).unwrap()
    }

    fn stranger(&self) -> ConsumerGroupMetadata {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka.servers)
            .set("group.id", &self.cluster.settings.application_id);
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.group_metadata().unwrap()
    }

    fn committed_while(&self, partition: Partition, producer: &ProducerOf<Self>) -> Option<Offset> {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                crate::kafka::pause(Duration::from_millis(500));
                producer.commit().unwrap();
            });
            self.client(0).committed(partition).unwrap()
        })
    }

    fn compact(&self, _place: (&'static str, u32)) {}
}

#[test]
fn the_simulated_broker_does_what_the_script_says() {
    (0..50).for_each(|seed| check(&mut Simulated::new(seed, None)));
}

#[test]
fn one_that_does_something_else_fails_the_script() {
    for broken in [
        Broken::NoOffsets,
        Broken::StableEnd,
        Broken::AbortedRead,
        Broken::SameProducer,
        Broken::Unfenced,
    ] {
        let outcome = catch_unwind(|| check(&mut Simulated::new(0, Some(broken))));
        assert!(outcome.is_err(), "{broken:?} is not noticed");
    }
}

#[test]
fn apache_kafka_does_what_the_script_says() {
    if is_there() {
        let folder = tempfile::tempdir().unwrap();
        check(&mut Real::new(folder.path()));
    }
}
