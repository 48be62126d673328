//! Who writes to Kafka beside the workers: clients of others, and commands at the same time.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::broker::{Broker, is_there, java};
use crate::command::get;
use crate::kafka::{Fleet, PARTITIONS, await_that, cluster, events};
use leadstream::app::address::Address;
use leadstream::app::sources::OpenSources;
use leadstream::domain::units::Partition;
use leadstream::log::Backend;
use leadstream::log::kafka::Topics;

/// Records of one codec.
const EACH: usize = 4;

#[test]
fn batches_of_every_codec_of_the_java_client_are_read() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    // Makes the topics.
    let letters = |fleet: &Fleet| {
        let output = fleet.command(0, &["--json", "dlq", "list"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let groups = list["reasons"].as_array().unwrap().iter();
        groups.map(|group| group["letters"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(letters(&fleet), 0);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let topic = ["--topic", "lead.interactions.v1", "--compression-codec", codec];
        let servers = ["--bootstrap-server", &broker.servers];
        let mut producer = java(
            "org.apache.kafka.tools.ConsoleProducer",
            &[topic, [servers[0], servers[1], "--batch-size", "16384"]].concat(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
        let lines = format!("no event, by {codec}\n").repeat(EACH);
        producer.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(producer.wait().unwrap().success(), "{codec}");
    }
    fleet.start(0);
    await_that(|| letters(&fleet) == (codecs.len() * EACH) as u64);
    fleet.end(0);
}

#[test]
fn runs_that_begin_at_the_same_time_in_several_processes_get_numbers_of_their_own() {
    if !is_there() {
        return;
    }
    const PROCESSES: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let cluster = cluster(&broker, "runs");
    // Each has producers of its own, as a process has.
    let sources: Vec<_> =
        (0..PROCESSES).map(|_| OpenSources::new(Backend::Kafka(cluster.clone()))).collect();
    let numbers: Vec<u32> = std::thread::scope(|scope| {
        let runs = sources.iter().map(|sources| scope.spawn(|| sources.new_run().unwrap().number));
        runs.collect::<Vec<_>>().into_iter().map(|run| run.join().unwrap()).collect()
    });
    let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
    assert_eq!(distinct, (1..=PROCESSES as u32).collect(), "{numbers:?}");
    assert_eq!(sources[0].new_run().unwrap().number, PROCESSES as u32 + 1);
}

#[test]
fn an_open_transaction_of_somebody_else_and_partitions_that_were_added_turn_an_instance_red() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    if !broker.is_ours() {
        return;
    }
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    fleet.start(0);
    let ready = || {
        let Some(address) = Address::read(&folder.path().join("0")) else {
            return (0, String::new());
        };
        get(&format!("{}/readyz", address.url), None)
    };
    await_that(|| ready().0 == 200);
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.servers)
        .set("transactional.id", "somebody-else")
        .create()
        .unwrap();
    other.init_transactions(Duration::from_secs(20)).unwrap();
    other.begin_transaction().unwrap();
    for _ in 0..20 {
        let record = BaseRecord::to("lead.interactions.v1").partition(3).key("k").payload("v");
        other.send(record).unwrap();
    }
    other.flush(Duration::from_secs(20)).unwrap();
    await_that(|| {
        let (status, text) = ready();
        status == 503 && text.contains("open_transaction: partition 3: 20 records stand behind")
    });
    other.abort_transaction(Duration::from_secs(20)).unwrap();
    await_that(|| ready().0 == 200);
    let topics = "org.apache.kafka.tools.TopicCommand";
    broker.tool(topics, &["--alter", "--topic", "lead.interactions.v1", "--partitions", "14"]);
    let says = "topic lead.interactions.v1: it has 14 partitions, wanted are 12";
    await_that(|| {
        let (status, text) = ready();
        status == 503 && text.contains(says) && text.matches("topics_changed").count() == 1
    });
    // Commands that read go on, an instance does not start.
    let list = fleet.command(1, &["dlq", "list"]).output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let refused = fleet.command(1, &["run"]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains(says), "{text}");
    fleet.end(0);
}

#[test]
fn a_group_offset_that_was_moved_forward_stops_an_instance_before_anything_is_skipped() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    if !broker.is_ours() {
        return;
    }
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    fleet.start(0);
    let file = folder.path().join("events.ndjson");
    let lines: Vec<Vec<u8>> = events(300);
    let ingest = |fleet: &Fleet, lines: &[Vec<u8>]| {
        fs::write(&file, lines.join(&b'\n')).unwrap();
        fleet.command(9, &["--json", "ingest", file.to_str().unwrap()])
    };
    assert!(ingest(&fleet, &lines[..200]).output().unwrap().status.success());
    fleet.end(0);
    // Events come while nobody runs, and somebody skips them.
    let mut waiting = ingest(&fleet, &lines).stdout(Stdio::null()).spawn().unwrap();
    let group = |to: &str| {
        let all = ["--group", "leadstream", "--topic", "lead.interactions.v1", "--reset-offsets"];
        broker.tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            &[&all[..], &[to, "--execute"]].concat(),
        )
    };
    let cluster = cluster(&broker, "looks");
    let read = Topics::new(&cluster.settings).unwrap();
    let count = || {
        let end = |partition| read.end("lead.interactions.v1", Partition(partition)).unwrap().0;
        (0..PARTITIONS).map(end).sum::<u64>()
    };
    await_that(|| count() >= 500);
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    group("--to-latest");
    let refused = fleet.command(0, &["run"]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{text}");
    assert!(
        text.contains("records would be skipped. To take them: kafka-consumer-groups"),
        "{text}"
    );
}
