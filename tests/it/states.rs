//! What an instance on Kafka does when something under it is full, gone or expired: it stops or
//! waits, says what to do, and nothing is lost or doubled once that is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{Broker, is_there};
use crate::command::get;
use crate::kafka::{
    Fleet, PARTITIONS, assert_taken, await_some, await_that, events, pause, replays, settings,
};
use crate::peers::address;
use leadstream::codec::interaction;
use leadstream::codec::topics::{self, DEAD_LETTERS, Topic};
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::Partition;
use leadstream::log::kafka::{Settings, Topics, open, remove};

const INTERACTIONS: &str = "lead.interactions.v1";

/// A broker with topics, and a fleet that is not started.
fn place(folder: &Path, more: &'static str) -> Option<(Broker, Fleet)> {
    if !is_there() {
        return None;
    }
    let broker = Broker::start(folder);
    if !broker.is_ours() {
        return None;
    }
    let servers = broker.servers.clone();
    open(Settings { creates_topics: true, ..settings(&servers) }, &topics::ALL).unwrap();
    let fleet = Fleet::new(folder, &servers, more);
    Some((broker, fleet))
}

/// Produces events as somebody else's producer does.
fn produce(broker: &Broker, lines: &[Vec<u8>]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.servers).create().unwrap();
    for line in lines {
        let event = interaction::from_json(line).unwrap();
        let key = event.key.as_str().to_owned();
        let (partition, value) =
            (partition_of(key.as_bytes(), PARTITIONS), interaction::into_avro(event));
        producer
            .send(
                BaseRecord::to(INTERACTIONS)
                    .partition(partition.0.cast_signed())
                    .key(&key)
                    .payload(&value),
            )
            .unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn read(broker: &Broker) -> Topics {
    Topics::new(&settings(&broker.servers)).unwrap()
}

/// How many records a committed reader finds. A broker that has just been asked to lead partitions
/// may not know it yet.
fn records(broker: &Broker, topic: &str) -> usize {
    let topics = read(broker);
    await_some(|| {
        let mut count = 0;
        let all = (0..PARTITIONS).try_for_each(|partition| {
            topics.all(topic, Partition(partition), &mut |_, _| count += 1)
        });
        all.ok().map(|()| count)
    })
}

/// Events of which the first 300 were produced, and taken by the first instance.
fn half_taken(broker: &Broker, fleet: &mut Fleet) -> Vec<Vec<u8>> {
    let lines = events(600);
    produce(broker, &lines[..300]);
    fleet.start(0);
    await_that(|| records(broker, "lead.predictions.v1") == 300);
    lines
}

#[test]
fn a_full_disk_ends_the_instance_with_the_remedy_and_with_room_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some((broker, mut fleet)) = place(folder.path(), "[state]\ncheckpoint_rows = 20") else {
        return;
    };
    let lines = events(6_000);
    // A process that may not make files longer than this gets what a full disk gives: an error from
    // its write.
    let config: PathBuf = fleet.command(0, &["run"]).get_args().nth(1).unwrap().into();
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" --config \"$1\" run";
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "300", "bash", "-c", script, env!("CARGO_BIN_EXE_leadstream")])
        .arg(config)
        .stdin(Stdio::null());
    let said = folder.path().join("full.log");
    let mut child =
        command.stderr(fs::File::create(&said).unwrap()).stdout(Stdio::null()).spawn().unwrap();
    // What could not be written is noticed when more is to be written.
    let mut pieces = lines.chunks(200);
    while child.try_wait().unwrap().is_none() {
        match pieces.next() {
            Some(piece) => produce(&broker, piece),
            None => pause(Duration::from_millis(100)),
        }
    }
    pieces.for_each(|piece| produce(&broker, piece));
    let reported = fs::read_to_string(said).unwrap();
    assert!(!child.wait().unwrap().success(), "{reported}");
    assert!(
        reported.contains(
            "the disk of the state directory is full: make room or name another place with data_dir"
        ),
        "{reported}"
    );

    fleet.start(0);
    await_that(|| records(&broker, "lead.predictions.v1") >= lines.len());
    assert_taken(&read(&broker), lines.len());
    fleet.end(0);
    replays(&fleet);
}

#[test]
fn without_the_topic_of_dead_letters_nothing_is_committed_until_it_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some((broker, mut fleet)) = place(folder.path(), "") else { return };
    let lines = half_taken(&broker, &mut fleet);
    let all = topics::ALL;
    let letters: Vec<Topic> =
        all.iter().filter(|topic| topic.name == DEAD_LETTERS).cloned().collect();
    remove(&settings(&broker.servers), &letters).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.servers).create().unwrap();
    producer
        .send(BaseRecord::to(INTERACTIONS).partition(0).key("none").payload("no event"))
        .unwrap();
    producer.flush(Duration::from_secs(60)).unwrap();
    await_that(|| {
        fleet.log(0).contains(DEAD_LETTERS) && fleet.log(0).contains("the topic is gone")
    });
    let ready = || address(&fleet, 0).map(|(url, _)| get(&format!("{url}/readyz"), None));
    await_that(|| {
        ready().is_some_and(|(status, text)| {
            status == 503 && text.contains("nothing is committed") && text.contains("doctor")
        })
    });
    open(Settings { creates_topics: true, ..settings(&broker.servers) }, &all).unwrap();
    await_that(|| ready().is_some_and(|(status, _)| status == 200));
    fleet.look();
    produce(&broker, &lines[300..]);
    await_that(|| {
        records(&broker, "lead.predictions.v1") >= lines.len()
            && records(&broker, DEAD_LETTERS) >= 1
    });
    fleet.end(0);
    assert_eq!((records(&broker, "lead.predictions.v1"), records(&broker, DEAD_LETTERS)), (600, 1));
    replays(&fleet);
}

#[test]
fn offsets_that_expired_stop_the_instance_with_the_command_that_sets_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some((broker, mut fleet)) = place(folder.path(), "") else { return };
    let lines = half_taken(&broker, &mut fleet);
    fleet.end(0);
    let groups = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    broker.tool(
        groups,
        &["--delete-offsets", "--group", "leadstream", "--topic", &format!("{INTERACTIONS}:2")],
    );
    produce(&broker, &lines[300..]);
    let doctor = fleet.command(0, &["doctor"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&doctor.stdout)
            .contains("partition 2 has no committed offset although its changelog is not empty")
    );

    let output = fleet.command(0, &["run"]).output().unwrap();
    let reported = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let named = reported
        .rfind("kafka-consumer-groups ")
        .map(|at| reported[at..].split_whitespace().skip(1).take(8).collect::<Vec<_>>())
        .unwrap();
    let named: Vec<&str> = named.into_iter().map(|word| word.trim_matches('"')).collect();
    let topic = format!("{INTERACTIONS}:2");
    assert_eq!(
        named[..6],
        ["--group", "leadstream", "--topic", &topic, "--reset-offsets", "--to-offset"],
        "{reported}"
    );
    broker.tool(groups, &named);
    fleet.start(0);
    await_that(|| records(&broker, "lead.predictions.v1") >= lines.len());
    fleet.end(0);
    assert_taken(&read(&broker), lines.len());
    replays(&fleet);
}
