//! Instances on Apache Kafka, one by one and as a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::broker::{Broker, is_there};
use leadstream::app::ingest::Progress;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::topics::{self, SOURCES, STATE, inputs_of};
use leadstream::codec::{avro, interaction};
use leadstream::dev::market::Market;
use leadstream::dev::mutate::predict;
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::{DAY_MS, Offset, Partition};
use leadstream::log::kafka::{
    self, Cluster, Group, Guarantee, PartitionAssignment, Settings, Topics, TransactionalLog,
    WorkerSlot,
};
use leadstream::log::{CommitError, Log, TimeSource};
use leadstream::pipeline::{InputTopic, Positions};

const START_MS: i64 = 1_767_225_600_000;
pub const PARTITIONS: u32 = 12;
/// What instances show each other.
pub const PEERS: &str = "among-peers";
/// Instances that a test has at once.
const INSTANCES_MAX: usize = 4;
pub const PREDICTIONS: &str = "lead.predictions.v1";
/// How long everything may take after the last disturbance.
pub const SETTLES: Duration = Duration::from_secs(300);

pub fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

pub fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A fleet of instances on one broker.
pub struct Fleet {
    pub folder: PathBuf,
    pub servers: String,
    /// An instance that finds the broker elsewhere.
    pub apart: Option<(usize, String)>,
    /// How long transactions may be open.
    pub transaction_timeout_ms: u32,
    /// Further lines of the configuration's part on Kafka.
    pub more: &'static str,
    pub running: BTreeMap<usize, Child>,
}

impl Fleet {
    /// Nobody runs yet.
    pub fn new(folder: &Path, servers: &str, more: &'static str) -> Self {
        Self {
            folder: folder.to_owned(),
            servers: servers.to_owned(),
            apart: None,
            transaction_timeout_ms: 5_000,
            more,
            running: BTreeMap::new(),
        }
    }

    pub fn command(&self, instance: usize, arguments: &[&str]) -> Command {
        let config = self.folder.join(format!("{instance}.toml"));
        let servers = self
            .apart
            .as_ref()
            .filter(|(apart, _)| *apart == instance)
            .map_or(&self.servers, |(_, servers)| servers);
        let text = format!(
            "data_dir = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\npeer_token = \"{PEERS}\"\n[logging]\nlevel = \"info\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
             replication_factor = 1\npartitions = {PARTITIONS}\nsession_timeout_ms = \
             6000\ntransaction_timeout_ms = {}\n{}\n",
            self.folder.join(instance.to_string()).display(),
            servers,
            self.transaction_timeout_ms,
            self.more
        );
        fs::write(&config, text).unwrap();
        let binary = env!("CARGO_BIN_EXE_leadstream");
        let mut command = Command::new(if arguments == ["run"] { binary } else { "timeout" });
        if arguments != ["run"] {
            command.args(["--signal=KILL", "900", binary]);
        }
        command.arg("--config").arg(config).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn start(&mut self, instance: usize) {
        let reported = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{instance}.log")))
            .unwrap();
        let child = self
            .command(instance, &["run"])
            .stdout(Stdio::null())
            .stderr(reported)
            .spawn()
            .unwrap();
        self.running.insert(instance, child);
    }

    pub fn signal(&self, instance: usize, name: &str) {
        let id = self.running[&instance].id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub fn kill(&mut self, instance: usize) {
        let mut child = self.running.remove(&instance).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends an instance in order.
    pub fn end(&mut self, instance: usize) {
        self.signal(instance, "-TERM");
        let mut child = self.running.remove(&instance).unwrap();
        let status = child.wait().unwrap();
        assert!(
            status.success(),
            "instance {instance} ended with {status}: {}",
            self.log(instance)
        );
    }

    /// None may have ended by itself.
    pub fn look(&mut self) {
        let ended = self.running.iter_mut().find_map(|(instance, child)| {
            child.try_wait().unwrap().map(|status| (*instance, status))
        });
        if let Some((instance, status)) = ended {
            panic!("instance {instance} ended with {status}: {}", self.log(instance));
        }
    }

    /// Waits for something; none may end meanwhile.
    pub fn await_that(&mut self, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + SETTLES;
        while !holds(self) {
            self.look();
            assert!(Instant::now() < until, "{}", self.logs());
            pause(Duration::from_millis(20));
        }
    }

    pub fn log(&self, instance: usize) -> String {
        fs::read_to_string(self.folder.join(format!("{instance}.log"))).unwrap_or_default()
    }

    /// What all have told, those that ended too.
    pub fn logs(&self) -> String {
        (0..INSTANCES_MAX).map(|instance| self.log(instance)).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

pub fn settings(servers: &str) -> Settings {
    Settings {
        bootstrap_servers: servers.to_owned(),
        application_id: "verifier".to_owned(),
        instance: "verifier".to_owned(),
        is_static: false,
        partitions: PARTITIONS,
        replication_factor: 1,
        creates_topics: false,
        session_timeout_ms: 6_000,
        transaction_timeout_ms: 5_000,
        connect_timeout_ms: 10_000,
        buffer_records: 1_000,
        num_threads: 1,
        num_standby_replicas: 0,
        standby_records_per_second: 20_000,
        topic_prefix: String::new(),
        guarantee: Guarantee::ExactlyOnce,
        properties: BTreeMap::new(),
    }
}

/// What is read of each value of a topic, by lead in the order of the topic, as a committed reader
/// sees it.
fn by_lead<T>(topics: &Topics, topic: &str, of: impl Fn(&Value) -> T) -> BTreeMap<String, Vec<T>> {
    let mut leads: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for partition in (0..PARTITIONS).map(Partition) {
        let each = &mut |_, record: Record| {
            let value = avro::describe(record.value.as_deref().unwrap()).unwrap();
            leads
                .entry(String::from_utf8(record.key.unwrap()).unwrap())
                .or_default()
                .push(of(&value));
        };
        topics.all(topic, partition, each).unwrap();
    }
    leads
}

fn id(value: &Value) -> String {
    value["event_id"].as_str().unwrap().to_owned()
}

/// Event ids by lead in the order of a topic, as a committed reader sees them.
pub fn ids_by_lead(topics: &Topics, topic: &str) -> BTreeMap<String, Vec<String>> {
    by_lead(topics, topic, id)
}

/// One prediction for each event that was sent, in the order of its lead, and no other; and where a
/// prediction says how many messages its lead has sent, it is as many as there are among the lead's
/// events up to then: no event was lost or applied twice to the state either.
pub fn assert_taken(read: &Topics, events: usize) {
    let sent = by_lead(read, "lead.interactions.v1", |event| {
        (id(event), event["event_type"].as_str().unwrap().to_owned())
    });
    let processed = by_lead(read, PREDICTIONS, |prediction| {
        let reasons =
            prediction["engagement_receptivity"]["contributions"].as_array().into_iter().flatten();
        let messages = reasons.clone().find(|reason| reason["feature"] == "messages_in_total");
        (id(prediction), messages.map(|reason| reason["value"].as_f64().unwrap()))
    });
    let mut compared = 0;
    for (lead, sent) in &sent {
        let processed = processed.get(lead).map_or(&[][..], Vec::as_slice);
        let first = (0..sent.len().max(processed.len())).find(|place| {
            sent.get(*place).map(|(id, _)| id) != processed.get(*place).map(|(id, _)| id)
        });
        assert_eq!(first, None, "{lead}: {} sent, {} taken", sent.len(), processed.len());
        let mut messages = 0.0;
        for ((id, kind), (_, said)) in sent.iter().zip(processed) {
            match kind.as_str() {
                "message.received" => messages += 1.0,
                // Nothing of the lead is kept.
                "contact.erased" => messages = 0.0,
                _ => {}
            }
            assert!(
                said.is_none_or(|said| said == messages),
                "{lead} {id}: {messages} messages, the prediction says {said:?}"
            );
            compared += usize::from(said.is_some());
        }
    }
    assert!(compared > 0, "no prediction says how many messages its lead has sent");
    assert_eq!((sent.len(), sent.values().map(Vec::len).sum::<usize>()), (processed.len(), events));
}

/// A replay of everything agrees; no instance may be running.
pub fn replays(fleet: &Fleet) {
    let replayed = fleet.command(9, &["replay"]).output().unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
}

/// Unique events in time, so that each one must be advanced exactly once.
pub fn events(count: usize) -> Vec<Vec<u8>> {
    let now_ms = TimeSource::World.now().0;
    let mut fresh: Vec<Vec<u8>> = Vec::new();
    let (mut ids, mut newest) = (BTreeSet::new(), BTreeMap::new());
    for line in Market::new(7, count / 12, START_MS)
        .until(START_MS + 90 * DAY_MS)
        .into_iter()
        .map(|delivery| delivery.line)
    {
        let Ok(event) = interaction::from_json(&line) else { continue };
        let newest: &mut i64 = newest.entry(event.key.clone()).or_insert(event.occurred_at.0);
        *newest = event.occurred_at.0.max(*newest);
        if event.occurred_at.0 < now_ms
            && *newest - event.occurred_at.0 < DAY_MS / 2
            && ids.insert(event.event_id.0)
        {
            fresh.push(line);
        }
    }
    fresh.truncate(count);
    assert_eq!(predict(&fresh, now_ms).advanced, fresh.len() as u64);
    fresh
}

/// The cluster of a broker, with its topics.
pub fn cluster(broker: &Broker, application_id: &str) -> Arc<Cluster> {
    let settings = Settings {
        application_id: application_id.to_owned(),
        creates_topics: true,
        ..settings(&broker.servers)
    };
    kafka::open(settings, &topics::ALL).unwrap()
}

fn record(value: &str) -> Record {
    Record {
        key: Some("t:l".into()),
        value: Some(value.as_bytes().to_vec()),
        reason: None,
        appended_ms: START_MS,
        ingest_run: 0,
        origin: None,
    }
}

/// Values that a committed reader finds in a topic's partition.
fn values(topics: &Topics, topic: &str, partition: Partition) -> Vec<String> {
    let mut values = Vec::new();
    topics
        .all(topic, partition, &mut |_, record| {
            values.push(String::from_utf8(record.value.unwrap()).unwrap())
        })
        .unwrap();
    values
}

#[test]
fn a_commit_that_holds_a_partition_which_has_moved_is_aborted() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let cluster = cluster(&broker, "moved");
    let inputs = InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0);
    let (assignment, other) =
        (Arc::new(PartitionAssignment::default()), Arc::new(PartitionAssignment::default()));
    let group = Arc::new(Group::join(&cluster.settings, &assignment, inputs[0]).unwrap());
    await_that(|| assignment.owned().len() == PARTITIONS as usize);
    let transactional = TransactionalLog::new(&cluster, &assignment, (&group, 0), inputs).unwrap();
    let all: Vec<Partition> = assignment.moves(WorkerSlot::WHOLE).assigned;
    all.iter().for_each(|partition| assert!(assignment.processed(*partition).is_some()));
    let batches = |value: &str| {
        Batches::from_iter(
            all.iter().map(|partition| ((PREDICTIONS, partition.0), vec![record(value)])),
        )
    };
    let positions = || all.iter().map(|partition| (partition.0, Positions::default())).collect();
    transactional.commit(&batches("before"), &positions()).unwrap();

    // The worker is slow: it neither gives up nor commits until the group has given half of its
    // partitions away.
    let _second = Group::join(&cluster.settings, &other, inputs[0]).unwrap();
    await_that(|| other.owned().len() == PARTITIONS as usize / 2);
    assert!(matches!(
        transactional.commit(&batches("moved"), &positions()),
        Err(CommitError::Aborted(_))
    ));
    let read = Topics::new(&cluster.settings).unwrap();
    all.iter().for_each(|partition| assert_eq!(values(&read, PREDICTIONS, *partition), ["before"]));

    // With what it still owns it goes on.
    assignment.released(&assignment.moves(WorkerSlot::WHOLE).revoked);
    let kept: BTreeMap<u32, Positions> =
        assignment.owned().iter().map(|partition| (partition.0, Positions::default())).collect();
    let batch =
        kept.keys().map(|partition| ((PREDICTIONS, *partition), vec![record("after")])).collect();
    transactional.commit(&batch, &kept).unwrap();
    kept.keys().for_each(|partition| {
        assert_eq!(values(&read, PREDICTIONS, Partition(*partition)), ["before", "after"])
    });
}

#[test]
fn the_end_of_a_changelog_waits_for_an_open_transaction_before_it() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let cluster = cluster(&broker, "hanging");
    let producer = |id: &str| -> BaseProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &broker.servers)
            .set("transactional.id", id)
            .set("transaction.timeout.ms", "60000");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Duration::from_secs(20)).unwrap();
        producer.begin_transaction().unwrap();
        producer
    };
    let send = |producer: &BaseProducer, value: &str| {
        producer.send(BaseRecord::to(STATE).partition(0).key("P").payload(value)).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    };
    let hanging = producer("hanging");
    send(&hanging, "hangs");
    let done = producer("done");
    send(&done, "committed behind it");
    done.commit_transaction(Duration::from_secs(20)).unwrap();

    let read = Topics::new(&cluster.settings).unwrap();
    let (tell, reported) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| tell.send(read.end(STATE, Partition(0)).unwrap()).unwrap());
        assert!(
            reported.recv_timeout(Duration::from_secs(2)).is_err(),
            "an end was given while a transaction before it was open"
        );
        hanging.abort_transaction(Duration::from_secs(20)).unwrap();
        // Behind both records; markers that were not written yet when it was asked are not counted.
        assert!(reported.recv_timeout(SETTLES).unwrap() >= Offset(2));
    });
    assert_eq!(values(&read, STATE, Partition(0)), ["committed behind it"]);
}

#[test]
fn commands_work_on_kafka_and_what_cannot_be_used_keeps_its_bytes_and_its_place() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let reported = |fleet: &Fleet, arguments: &[&str]| {
        let output = fleet.command(0, arguments).output().unwrap();
        let fine = output.status.success();
        (fine, String::from_utf8(if fine { output.stdout } else { output.stderr }).unwrap())
    };
    let (fine, text) = reported(&fleet, &["lead", "acme", "ann"]);
    assert!(!fine && text.contains("start `leadstream run`"), "{text}");

    let line = |lead: &str, id: u32| {
        format!(
            r#"{{"event_id":"00000000-0000-5000-8000-{id:012}","event_type":"page.viewed","tenant_id":"acme","lead_id":"{lead}","occurred_at":{START_MS},"received_at":{START_MS},"source_system":"crm"}}"#
        )
    };
    let file = folder.path().join("events.ndjson");
    fs::write(
        &file,
        [line("ann", 1), line("ann", 1), "{nothing".to_owned(), line("bob", 2)].join("\n"),
    )
    .unwrap();
    let ingest = ["ingest", file.to_str().unwrap()];
    // Nobody takes what it appends: it ends before it can say what came of it, and goes on with
    // that when it is called again.
    let mut waiting =
        fleet.command(0, &ingest).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let read = Topics::new(&settings(&broker.servers)).unwrap();
    let progress = || {
        serde_json::from_slice::<Progress>(
            &read.newest((SOURCES, Partition(0)), &file.to_string_lossy()).ok()??,
        )
        .ok()
    };
    await_that(|| progress().is_some_and(|progress| progress.lines == 4));
    assert!(Command::new("kill").arg(waiting.id().to_string()).status().unwrap().success());
    assert!(!waiting.wait().unwrap().success());
    fleet.start(0);
    assert_eq!(
        reported(&fleet, &ingest).1.lines().last(),
        Some("received=4 advanced=2 duplicate=1 late=0 dead_lettered=1")
    );
    let definition = folder.path().join("settings.json");
    let body = r#"{"kind":"settings","name":"main","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{"timezone":"Europe/Berlin"}}"#;
    fs::write(&definition, body).unwrap();
    let define = ["apply", definition.to_str().unwrap()];
    assert_eq!(reported(&fleet, &define), (true, "*:settings:main:1\n".to_owned()));
    assert_eq!(
        reported(&fleet, &define),
        (true, "*:settings:main:1 (was known already)\n".to_owned())
    );

    // A producer with another partitioner.
    let event = interaction::from_json(line("carl", 3).as_bytes()).unwrap();
    let wrong = (partition_of(b"acme:carl", PARTITIONS).0 + 1) % PARTITIONS;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.servers).create().unwrap();
    let value = interaction::into_avro(event);
    producer
        .send(
            BaseRecord::to("lead.interactions.v1")
                .partition(wrong.cast_signed())
                .key("acme:carl")
                .payload(&value),
        )
        .unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    // Nearly as long as a broker takes by default: as a dead letter it carries headers too.
    let poison = "x".repeat(1_040_000);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.servers)
        .set("message.max.bytes", "1048000")
        .create()
        .unwrap();
    producer
        .send(BaseRecord::to("lead.interactions.v1").partition(0).key("poison").payload(&poison))
        .unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    let letters = || {
        let (fine, text) =
            reported(&fleet, &["tail", "lead.dead-letters.v1", "--from-start", "--until-end"]);
        assert!(fine, "{text}");
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    await_that(|| letters().len() == 3);
    let letters = letters();
    let of = |reason: &str| {
        letters
            .iter()
            .find(|letter| letter["reason"].as_str().unwrap().starts_with(reason))
            .unwrap()
    };
    assert_eq!(of("bad_json")["value"], "{nothing");
    assert_eq!(of("misrouted")["value"]["lead_id"], "carl");
    assert_eq!(
        (of("bad_magic")["value"].as_str(), of("bad_magic")["key"].as_str()),
        (Some(&*poison), Some("poison"))
    );
    let origin = of("misrouted")["origin"].as_str().unwrap();
    assert!(origin.starts_with(&format!("lead.interactions.v1/{wrong}/")), "{origin}");
    let (fine, text) = reported(&fleet, &["lead", "acme", "ann"]);
    assert!(fine && text.contains("conversion likelihood"), "{text}");
    let (fine, text) = reported(&fleet, &["replay"]);
    assert!(!fine && text.contains("stop all instances"), "{text}");
    let (fine, text) = reported(&fleet, &["experiment", "list"]);
    assert!(fine && text.starts_with("tenant  experiment"), "{text}");
    fleet.end(0);
    let (fine, text) = reported(&fleet, &["replay"]);
    assert!(fine, "{text}");
}

#[test]
fn a_group_that_was_deleted_or_a_topic_that_is_wrong_stops_with_the_remedy_and_nothing_is_lost() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    if !broker.is_ours() {
        return;
    }
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let lines = events(600);
    let file = folder.path().join("events.ndjson");
    let ingest = |fleet: &Fleet, lines: &[Vec<u8>]| {
        fs::write(&file, lines.join(&b'\n')).unwrap();
        let reported = fleet.command(9, &["ingest", file.to_str().unwrap()]).output().unwrap();
        assert!(reported.status.success());
        String::from_utf8(reported.stdout).unwrap().lines().last().unwrap().to_owned()
    };
    fleet.start(0);
    assert_eq!(
        ingest(&fleet, &lines[..300]),
        predict(&lines[..300], TimeSource::World.now().0).to_string()
    );
    fleet.end(0);

    let groups = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    broker.tool(groups, &["--group", "leadstream", "--delete"]);
    fleet.start(0);
    let mut child = fleet.running.remove(&0).unwrap();
    assert!(!child.wait().unwrap().success());
    let reported = fleet.log(0);
    let partitions = reported.matches("--reset-offsets").count();
    assert!(partitions >= 1, "{reported}");
    // The command that it names, for each partition in turn.
    for _ in 0..PARTITIONS {
        let reported = fleet.log(0);
        let place = reported.rfind("--topic ").unwrap();
        let words: Vec<&str> = reported[place..].split_whitespace().take(6).collect();
        assert_eq!(
            (words[2], words[3], words[5].trim_end_matches('"')),
            ("--reset-offsets", "--to-offset", "--execute"),
            "{words:?}"
        );
        broker.tool(
            groups,
            &[
                "--group",
                "leadstream",
                "--topic",
                words[1],
                "--reset-offsets",
                "--to-offset",
                words[4],
                "--execute",
            ],
        );
        let processed = |fleet: &Fleet| fleet.log(0).matches("took over partition").count();
        let before = processed(&fleet);
        fleet.start(0);
        let until = Instant::now() + SETTLES;
        let mut has_ended = false;
        while !has_ended && processed(&fleet) < before + PARTITIONS as usize {
            assert!(Instant::now() < until, "{}", fleet.log(0));
            pause(Duration::from_millis(50));
            has_ended = fleet.running.get_mut(&0).unwrap().try_wait().unwrap().is_some();
        }
        if !has_ended {
            break;
        }
        fleet.running.remove(&0);
    }
    fleet.look();
    // What was taken before the group was deleted is known still.
    let reported = ingest(&fleet, &lines);
    assert!(
        reported.starts_with("received=600 advanced=300 ")
            && reported.ends_with(" dead_lettered=0"),
        "{reported}"
    );
    fleet.end(0);
    replays(&fleet);

    broker.tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--alter", "--topic", "lead.alerts.v1", "--partitions", "13"],
    );
    let reported = fleet.command(0, &["run"]).output().unwrap();
    let reported = String::from_utf8(reported.stderr).unwrap();
    assert!(
        reported.contains("topic lead.alerts.v1: it has 13 partitions, wanted are 12"),
        "{reported}"
    );
}

pub fn await_that(holds: impl Fn() -> bool) {
    await_some(|| holds().then_some(()));
}

/// What is there at last.
pub fn await_some<T>(found: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + SETTLES;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until);
        pause(Duration::from_millis(20));
    }
}

/// Sends the file, again and again while the broker is away; gives the last line.
pub fn send(mut command: Command) -> String {
    let until = Instant::now() + Duration::from_secs(3_600);
    loop {
        let output = command.output().unwrap();
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&output.stderr));
        pause(Duration::from_millis(200));
    }
}
