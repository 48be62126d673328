//! Kafka when answers get lost, with several workers, with a prefix of topics, and what lag says of
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::broker::{Broker, is_there};
use crate::kafka::{
    Fleet, PARTITIONS, assert_taken, await_that, cluster, events, pause, send, settings,
};
use crate::proxy::{Fault, reused};
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::topics::inputs_of;
use leadstream::dev::mutate::predict;
use leadstream::domain::units::{Offset, Partition};
use leadstream::log::kafka::{
    Appender, Fetch, Group, PartitionAssignment, Settings, Topics, TransactionalLog,
};
use leadstream::log::{Log, Reader, Sources};
use leadstream::pipeline::{InputTopic, Positions};

const START_MS: i64 = 1_767_225_600_000;

#[test]
fn requests_that_end_transactions_may_be_lost_unanswered_or_late() {
    if !is_there() || std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (broker, proxy) = Broker::start_behind(folder.path());
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let lines = events(3_000);
    let expected = predict(&lines, START_MS * 2).to_string();
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    fleet.start(0);
    // Later than the transaction can live: the broker has aborted it by then.
    let late = Fault::Delayed(Duration::from_secs(7));
    let faults = [Fault::AnswerLost, Fault::RequestLost, late];
    proxy.harm(faults.iter().flat_map(|fault| [Some(*fault), None, None, None]));
    let sending = fleet.command(9, &["ingest", file.to_str().unwrap(), "--rate", "200"]);
    let sender = std::thread::spawn(move || send(sending));
    let until = Instant::now() + Duration::from_secs(240);
    while !sender.is_finished() {
        fleet.look();
        assert!(Instant::now() < until, "not everything is taken: {}", fleet.log(0));
        pause(Duration::from_millis(100));
    }
    assert_eq!(sender.join().unwrap(), expected);
    assert!(proxy.await_harmed(faults.len(), Duration::from_secs(1)), "{:?}", proxy.seen());
    assert_eq!(
        reused(&proxy.seen()),
        [],
        "a transaction began under an epoch whose last request may still arrive"
    );
    assert_taken(&Topics::new(&settings(&fleet.servers)).unwrap(), lines.len());
    fleet.end(0);
}

#[test]
fn an_instance_that_starts_before_its_cluster_waits_for_it() {
    if !is_there() || std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path());
    broker.kill();
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    fleet.start(0);
    await_that(|| fleet.log(0).contains("the cluster is waited for"));
    fleet.look();
    broker.run();
    let lines = events(300);
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    assert_eq!(
        send(fleet.command(9, &["ingest", file.to_str().unwrap()])),
        predict(&lines, START_MS * 2).to_string()
    );
    fleet.end(0);

    // Who does not want to wait is told at once, and an end in order is one while it waits.
    broker.kill();
    fleet.more = "startup_timeout_ms = 0";
    let output = fleet.command(1, &["run"]).output().unwrap();
    assert!(
        !output.status.success()
            && String::from_utf8_lossy(&output.stderr).contains("no answer from"),
        "{output:?}"
    );
    fleet.more = "";
    fleet.start(2);
    await_that(|| fleet.log(2).contains("the cluster is waited for"));
    fleet.end(2);
}

#[test]
fn several_workers_share_the_partitions_of_an_instance_under_prefixed_names() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let more = "num_threads = 3\ntopic_prefix = \"sales.\"";
    let mut fleet = Fleet::new(folder.path(), &broker.servers, more);
    let lines = events(3_000);
    let expected = predict(&lines, START_MS * 2).to_string();
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    fleet.start(0);
    fleet.start(1);
    assert_eq!(send(fleet.command(9, &["ingest", file.to_str().unwrap()])), expected);
    let prefixed = Settings { topic_prefix: "sales.".to_owned(), ..settings(&fleet.servers) };
    assert_taken(&Topics::new(&prefixed).unwrap(), lines.len());
    let names = broker.tool("org.apache.kafka.tools.TopicCommand", &["--list"]);
    let others: Vec<&str> = names
        .lines()
        .filter(|name| !name.starts_with("__") && !name.starts_with("sales."))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    let producers = broker.tool("org.apache.kafka.tools.TransactionsCommand", &["list"]);
    for (worker, turn) in (0..3).flat_map(|worker| [(worker, 0), (worker, 1)]) {
        assert!(
            producers.lines().any(|line| line.contains(&format!("-{worker}-{turn} "))),
            "{producers}"
        );
    }
    fleet.end(0);
    fleet.end(1);
}

#[test]
fn lag_is_zero_at_the_end_although_transactions_end_behind_the_last_record() {
    if !is_there() {
        return;
    }
    const EACH: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let cluster = cluster(&broker, "behind");
    let inputs = InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0);
    let appender = Appender::new(&cluster, "lag").unwrap();
    let record = |number: u64| Record {
        key: Some(b"t:l".to_vec()),
        value: Some(number.to_string().into_bytes()),
        reason: None,
        appended_ms: START_MS,
        ingest_run: 0,
        origin: None,
    };
    for batch in 0..20 {
        let records = (0..EACH).map(|number| record(batch * EACH + number)).collect();
        appender.append_from(&Batches::from([((inputs[0], 0), records)]), ("lag", b"")).unwrap();
    }
    // Fewer fit into memory than there are, so most are counted where they stand.
    let assignment = Arc::new(PartitionAssignment::default());
    let group = Arc::new(Group::join(&cluster.settings, &assignment, inputs[0]).unwrap());
    await_that(|| assignment.owned().len() == PARTITIONS as usize);
    let few = Settings { buffer_records: 300, ..cluster.settings.clone() };
    let _fetch = Fetch::start(&few, &assignment, inputs).unwrap();
    let transactional = TransactionalLog::new(&cluster, &assignment, (&group, 0), inputs).unwrap();
    assert!(assignment.processed(Partition(0)).is_some());
    assignment.fetch(Partition(0), &Positions::default());
    let is_about = |records: u64| {
        assignment.lag().get(&0).is_some_and(|lag| (records..=records + 20).contains(lag))
    };
    await_that(|| is_about(20 * EACH));
    let mut next = Offset(0);
    let mut processed = 0;
    while processed < 20 * EACH {
        let records = transactional.reader().unwrap().read(inputs[0], Partition(0), next).unwrap();
        let Some((last, _)) = records.last() else {
            pause(Duration::from_millis(5));
            continue;
        };
        processed += records.len() as u64;
        next = Offset(last.0 + 1);
        let positions = Positions { next: [next, Offset(0), Offset(0)], ..Positions::default() };
        transactional.commit(&Batches::new(), &BTreeMap::from([(0, positions)])).unwrap();
        if processed < 10 * EACH {
            await_that(|| is_about(20 * EACH - processed));
        }
    }
    await_that(|| assignment.lag() == BTreeMap::from([(0, 0)]));
    assignment.released(&[Partition(0)]);
    assert_eq!(assignment.lag(), BTreeMap::new());
}
