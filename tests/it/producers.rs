//! Who writes to Kafka beside the workers: clients of others, and commands at the same time.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::broker::{Broker, is_there, java};
use crate::kafka::{Fleet, await_that, cluster};
use leadstream::app::sources::OpenSources;
use leadstream::log::Backend;

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
