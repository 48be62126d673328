//! Dead letters on both logs: listed, shown, appended again once, and a flood of them that stops
//! its partition.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::broker::{self, Broker};
use crate::kafka::{Fleet, PARTITIONS, await_that, settings};
use leadstream::app::dead_letters::{
    ATTEMPTS_MAX, Choice, Error, Fate, Forecast, Letters, List, Redrive, Redriven, forecast, list,
    redrive_as,
};
use leadstream::app::replay::replay;
use leadstream::app::sources::OpenSources;
use leadstream::codec::interaction;
use leadstream::codec::model::starting_rules;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::topics::DEAD_LETTERS;
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::{AppendTime, HOUR_MS, Offset, Partition};
use leadstream::engine::worker::{BreakerLimit, Options, Views, Worker};
use leadstream::log::kafka::Topics;
use leadstream::log::registry::Schemas;
use leadstream::log::{
    Backend, Embedded, Error as LogError, Options as LogOptions, Reader, Sources, TimeSource,
};
use leadstream::telemetry::metrics::Metrics;

const START: i64 = 1_767_225_600_000;
const INTERACTIONS: &str = "lead.interactions.v1";

/// A data directory whose clock the test moves, with a worker.
struct Directory {
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    log: Arc<Embedded>,
}

fn line(lead: &str, number: usize, at: i64) -> String {
    format!(
        r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"page.viewed","tenant_id":"acme","lead_id":"{lead}","occurred_at":{at},"received_at":{at},"source_system":"crm"}}"#
    )
}

fn record(key: Option<&[u8]>, value: &[u8], source: u32) -> Record {
    let key = key.map(<[u8]>::to_vec);
    Record {
        key,
        value: Some(value.to_vec()),
        reason: None,
        appended_ms: START,
        ingest_run: source,
        origin: None,
    }
}

impl Directory {
    fn new(partitions: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let options = LogOptions {
            partitions,
            time: TimeSource::Moved(clock.clone()),
            ..LogOptions::default()
        };
        let log = Arc::new(Embedded::open(folder.path(), &options).unwrap());
        Self { folder, clock, log }
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn worker(&self, options: Options, views: &Views) -> Worker<Arc<Embedded>> {
        Worker::open(self.log.clone(), &self.state(), options, Arc::new(Metrics::new()), views)
            .unwrap()
    }

    fn take(&self) {
        let options =
            Options { breaker: BreakerLimit { ratio_max: 1.0, window: 1 }, ..Options::default() };
        self.worker(options, &Views::default()).settle().unwrap();
    }

    fn append(&self, partition: u32, records: Vec<Record>) {
        self.log.append(&Batches::from([((INTERACTIONS, partition), records)]), None).unwrap();
    }

    fn records(&self, topic: &str) -> Vec<(Partition, Record)> {
        let snapshot = self.log.snapshot().unwrap();
        let mut found = Vec::new();
        for partition in (0..snapshot.partitions()).map(Partition) {
            let range = (Offset(0), snapshot.end(topic, partition).unwrap());
            let each = &mut |_, record| {
                found.push((partition, record));
                Ok::<(), LogError>(())
            };
            snapshot.each((topic, partition), range, each).unwrap();
        }
        found
    }

    fn backend(&self) -> Backend {
        Backend::Embedded(self.log.clone())
    }

    /// Redrives with a log that may fail.
    fn redrive_as(&self, log: &dyn Sources, choice: &Choice) -> Result<Redriven, Error> {
        let (backend, schemas) = (self.backend(), Schemas::default());
        let sources = OpenSources::new(backend.clone());
        let (letters, new_run) = (Letters::now(&backend)?, &|| sources.new_run());
        let what = Redrive { letters: &letters, choice, schemas: &schemas, new_run };
        redrive_as(log, &what, &mut |_| {})
    }

    fn redrive(&self, choice: &Choice) -> Redriven {
        self.redrive_as(&self.log, choice).unwrap()
    }

    /// How many dead letters of which reason would come to what.
    fn forecast(&self, choice: &Choice) -> BTreeMap<(String, Fate, Option<String>), u64> {
        let mut found = BTreeMap::new();
        let count = &mut |Forecast { reason, fate, again, .. }| {
            *found.entry((reason, fate, again)).or_default() += 1;
        };
        forecast(&self.backend(), choice, &Schemas::default(), count).unwrap();
        found
    }

    fn stored(&self) -> Redriven {
        Letters::now(&self.backend()).unwrap().redriven().unwrap()
    }

    fn replays(&self) {
        assert_eq!(
            replay(
                &self.log.snapshot().unwrap(),
                &starting_rules(),
                &Schemas::default(),
                &mut |_| {}
            )
            .unwrap()
            .difference,
            None
        );
    }
}

/// A log that fails at one of its appends, before or after it happened.
struct Failing<'a> {
    log: &'a Arc<Embedded>,
    left: Cell<usize>,
    happens: bool,
}

impl Sources for Failing<'_> {
    fn source(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.log.source(name)
    }

    fn append_from(&self, batches: &Batches, source: (&str, &[u8])) -> Result<(), LogError> {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        if left > 0 || self.happens {
            self.log.append_from(batches, source)?;
        }
        if left > 0 { Ok(()) } else { Err(LogError::Offsets("killed".to_owned())) }
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn now(&self) -> AppendTime {
        self.log.now()
    }
}

#[test]
fn each_dead_letter_is_appended_again_once_wherever_a_redrive_is_killed() {
    for (append, happens) in (0..7).flat_map(|append| [(append, false), (append, true)]) {
        let directory = Directory::new(2);
        // More than one transaction each, and another reason among them.
        for partition in 0..2 {
            let bad = |number| {
                record(Some(b"\xff\x00key"), format!("bytes {partition} {number}").as_bytes(), 0)
            };
            let mut records: Vec<Record> = (0..1_200).map(bad).collect();
            records.insert(
                600,
                Record {
                    reason: Some("bad_json: it is none".to_owned()),
                    ingest_run: 1,
                    ..record(None, b"{", 0)
                },
            );
            directory.append(partition, records);
        }
        directory.take();
        let choice = Choice { reason: Some("bad_magic".to_owned()), ..Choice::default() };
        let failing = Failing { log: &directory.log, left: Cell::new(append), happens };
        let killed = directory.redrive_as(&failing, &choice);
        assert_eq!(killed.is_err(), append < 7, "six pieces, and the end");
        let run = directory.stored().run.number;
        let done = directory.redrive(&choice);
        assert!(
            done.lines == 2_400 || (append, happens, done.lines) == (6, true, 0),
            "{append} {happens}: {}",
            done.lines
        );
        assert!(run == 0 || done.lines == 0 || run == done.run.number);
        let mut times: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (partition, record) in directory.records(INTERACTIONS) {
            *times.entry(record.value.unwrap()).or_default() += 1;
            if let Some(origin) = record.origin {
                assert_eq!((record.key.as_deref(), origin.attempt), (Some(&b"\xff\x00key"[..]), 1));
                assert_eq!(partition, directory.log.partition_of(b"\xff\x00key"));
            }
        }
        assert_eq!(times.remove(&b"{"[..]), Some(2));
        assert!(times.len() == 2_400 && times.values().all(|times| *times == 2));
        // The other reason can still be appended again, and once.
        for expected in [2, 0] {
            assert_eq!(directory.redrive(&Choice::default()).lines, expected);
        }
        directory.take();
        directory.replays();
    }
}

#[test]
fn what_fails_again_is_a_dead_letter_with_one_attempt_more_until_it_is_left_alone() {
    let directory = Directory::new(1);
    let long = record(None, &vec![b'x'; 1 << 21], 0);
    directory
        .log
        .append(
            &Batches::from([(("leadstream.definitions.v1", 0), vec![record(None, b"{", 0)])]),
            None,
        )
        .unwrap();
    directory.append(0, vec![record(Some(b"acme:ann"), b"never an event", 0), long]);
    directory.take();
    for attempt in 1..=ATTEMPTS_MAX {
        let done = directory.redrive(&Choice::default());
        assert_eq!((done.lines, done.run.number), (1, attempt));
        directory.take();
        let (_, newest) = directory.records(DEAD_LETTERS).pop().unwrap();
        assert_eq!(
            (newest.origin.unwrap().attempt, newest.value.as_deref()),
            (attempt, Some(&b"never an event"[..]))
        );
    }
    let done = directory.redrive(&Choice::default());
    assert_eq!(done.lines, 0);
    let mut found: Vec<_> = directory
        .forecast(&Choice::default())
        .into_iter()
        .map(|((_, fate, _), letters)| (fate, letters))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            (Fate::Done, 1),
            (Fate::Done, 4),
            (Fate::Exhausted, 1),
            (Fate::TooLong, 1),
            (Fate::Internal, 1)
        ]
    );
    directory.replays();
}

#[test]
fn what_is_an_event_now_is_taken_as_one_and_its_run_counts_it() {
    let directory = Directory::new(3);
    // Ahead of the log; without a key where its producer gave none; under a wrong partition.
    let event = interaction::from_json(line("ann", 1, START + 2 * HOUR_MS).as_bytes()).unwrap();
    let (own, value) = (directory.log.partition_of(b"acme:ann"), interaction::into_avro(event));
    let other = (own.0 + 1) % 3;
    directory.append(own.0, vec![record(Some(b"acme:ann"), &value, 0)]);
    let bob =
        interaction::into_avro(interaction::from_json(line("ann", 2, START).as_bytes()).unwrap());
    directory.append(
        other,
        vec![record(None, &bob, 0), record(None, line("ann", 3, START).as_bytes(), 0)],
    );
    directory.take();
    assert_eq!(directory.records(DEAD_LETTERS).len(), 3);
    let listed = |choice, since_ms| list(&directory.backend(), &choice, since_ms).unwrap();
    let List { groups, letters } = listed(Choice { limit: Some(2), ..Choice::default() }, i64::MIN);
    assert_eq!(letters.len(), 2, "no more are listed, all are counted");
    let reported: Vec<_> = groups
        .iter()
        .map(|group| (group.reason.as_str(), group.topic.as_str(), group.letters, group.waiting))
        .collect();
    let of = |reason| (reason, INTERACTIONS, 1, 1);
    assert_eq!(reported, [of("bad_magic"), of("future_timestamp"), of("misrouted")]);
    assert_eq!(groups[1].taken_ms, [START; 2]);
    assert_eq!(listed(Choice::default(), START + 1), List::default());
    let placed = listed(Choice { partition: Some(own.0), ..Choice::default() }, START).letters;
    assert_eq!(
        placed.iter().map(|letter| (letter.place, letter.reason.as_str())).collect::<Vec<_>>(),
        [((own.0, 0), "future_timestamp")]
    );

    let forecasts = directory.forecast(&Choice::default());
    assert!(
        forecasts
            .iter()
            .all(|((_, fate, again), letters)| (*fate, again, *letters) == (Fate::Again, &None, 1))
    );
    let limited = Choice { limit: Some(2), ..Choice::default() };
    assert_eq!(directory.forecast(&limited).len(), 2);

    directory.clock.store(START + 2 * HOUR_MS, Ordering::Relaxed);
    assert_eq!(directory.redrive(&limited).lines, 2);
    assert_eq!(directory.redrive(&Choice::default()).lines, 1);
    let views = Views::default();
    directory.worker(Options::default(), &views).settle().unwrap();
    assert_eq!(views.counters(1).unwrap().advanced + views.counters(2).unwrap().advanced, 3);
    assert_eq!(directory.records(DEAD_LETTERS).len(), 3);
    directory.replays();
}

/// An interaction of a lead, or bytes that are none.
fn mixed(number: usize, is_event: bool) -> Record {
    let event = || {
        interaction::into_avro(
            interaction::from_json(line("ann", number, START).as_bytes()).unwrap(),
        )
    };
    record(Some(b"acme:ann"), &if is_event { event() } else { b"none".to_vec() }, 0)
}

#[test]
fn a_flood_of_dead_letters_stops_its_partition_alone_and_nothing_is_lost_or_decided_otherwise() {
    let fill = |directory: &Directory| {
        let own = directory.log.partition_of(b"acme:ann");
        directory.append(
            own.0,
            (0..600).map(|number| mixed(number, !(100..=500).contains(&number))).collect(),
        );
        let other = interaction::into_avro(
            interaction::from_json(line("bob", 1_000, START).as_bytes()).unwrap(),
        );
        let place = directory.log.partition_of(b"acme:bob");
        assert_ne!(place, own);
        directory.append(place.0, vec![record(Some(b"acme:bob"), &other, 0)]);
        own
    };
    let outputs = |directory: &Directory| {
        [INTERACTIONS, "lead.predictions.v1", DEAD_LETTERS].map(|topic| directory.records(topic))
    };
    let whole = Directory::new(4);
    fill(&whole);
    whole.take();

    for commit_records in [7, 60, 2_000] {
        let directory = Directory::new(4);
        let own = fill(&directory);
        let views = Views::default();
        let options = Options {
            commit_records,
            breaker: BreakerLimit { ratio_max: 0.5, window: 50 },
            ..Options::default()
        };
        let mut worker = directory.worker(options, &views);
        while worker.step().unwrap() > 0 {}
        let paused = |views: &Views| {
            views.pauses().into_iter().filter_map(|(_, pause)| pause).collect::<Vec<_>>()
        };
        let [pause] = &paused(&views)[..] else { panic!("{:?}", views.pauses()) };
        assert_eq!(
            (pause.partition, pause.dead_lettered, pause.of, pause.reason.as_str()),
            (own, 26, 50, "bad_magic")
        );
        assert_eq!(directory.records(DEAD_LETTERS).len(), 26, "no more were committed");
        let predicted = directory.records("lead.predictions.v1");
        assert_eq!(
            predicted.iter().filter(|(_, record)| record.has_key("acme:bob")).count(),
            1,
            "the others go on"
        );
        worker.chores().unwrap();
        assert!(directory.records("leadstream.inbox.v1").is_empty(), "no ticks pile up");
        assert!(!views.resume(Partition((own.0 + 1) % 4)));

        // Each time it is let on, it takes a window more before it can pause again.
        let mut resumed = 0;
        while views.resume(own) {
            resumed += 1;
            while worker.step().unwrap() > 0 {}
        }
        assert_eq!((resumed, paused(&views).len()), (8, 0));
        drop(worker);
        assert!(outputs(&directory) == outputs(&whole));
        directory.replays();
    }
}

#[test]
fn an_aborted_batch_does_not_count_towards_a_flood() {
    let directory = Directory::new(1);
    directory.append(0, (0..40).map(|number| mixed(number, number >= 30)).collect());
    let views = Views::default();
    let options = Options {
        commit_records: 25,
        breaker: BreakerLimit { ratio_max: 0.5, window: 100 },
        ..Options::default()
    };
    let mut worker = directory.worker(options, &views);
    worker.step().unwrap();
    worker.roll_back();
    while worker.step().unwrap() > 0 {}
    assert!(views.pauses().iter().all(|(_, pause)| pause.is_none()));
}

#[test]
fn the_commands_list_show_forecast_and_redrive() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("events.ndjson");
    std::fs::write(
        &file,
        [&b"{nothing"[..], b"\n\xff\xfe", b"\n", line("ann", 1, START).as_bytes()].concat(),
    )
    .unwrap();
    let output = |arguments: &[&str]| crate::command::output(&data, arguments);
    output(&["ingest", file.to_str().unwrap()]);
    let reported = output(&["dlq", "list"]);
    assert!(
        reported.starts_with("reason") && reported.contains("bad_json  lead.interactions.v1  2"),
        "{reported}"
    );
    let listed: Value =
        serde_json::from_str(&output(&["dlq", "list", "--since", "1h", "--json"])).unwrap();
    assert_eq!(
        (&listed["reasons"][0]["letters"], &listed["reasons"][0]["waiting"]),
        (&2.into(), &2.into())
    );
    let places: Vec<String> = listed["letters"].as_array().unwrap().iter().map(place).collect();
    let shown: Vec<String> = places.iter().map(|place| output(&["dlq", "show", place])).collect();
    let shown_of = |part: &str| {
        shown.iter().find(|text| text.contains(part)).unwrap_or_else(|| panic!("{shown:?}"))
    };
    assert!(shown_of("{nothing\n").contains("was_at   lead.interactions.v1/"), "{shown:?}");
    let binary = places
        .iter()
        .find(|place| output(&["dlq", "show", place]) == *shown_of(r#"{"hex":"fffe"}"#))
        .unwrap();
    let one: Value = serde_json::from_str(&output(&["--json", "dlq", "show", binary])).unwrap();
    assert_eq!(
        (one["place"].as_str(), one["reason"].as_str(), one["attempt"].as_u64()),
        (Some(&**binary), Some("bad_json"), Some(0))
    );
    // What people wrote is in what is shown, and there alone.
    let all = output(&["dlq", "list"]) + &output(&["dlq", "redrive", "--dry-run"]);
    assert!(!all.contains("{nothing") && !all.contains("fffe"), "{all}");
    let forecast = output(&["dlq", "redrive", "--dry-run"]);
    assert_eq!(
        forecast.lines().filter(|line| line.starts_with("would append ")).count(),
        2,
        "{forecast}"
    );
    assert_eq!(
        forecast.lines().last(),
        Some("2 of bad_json would be appended and fail again: bad_json")
    );
    let sent = output(&["dlq", "redrive", "--limit", "1"]);
    let lines: Vec<&str> = sent.lines().collect();
    assert!(
        lines[0].starts_with(&format!("appended {} bad_json to partition ", places[0]))
            && lines[0].ends_with("attempt 1"),
        "{sent}"
    );
    assert_eq!(lines[1..], ["received=1 advanced=0 duplicate=0 late=0 dead_lettered=1"]);
    assert_eq!(output(&["dlq", "redrive", "--reason", "other"]), "nothing to append again\n");
    let missing = crate::command::leadstream(&data, &["dlq", "show", "0/99"]).output().unwrap();
    assert!(
        !missing.status.success()
            && String::from_utf8_lossy(&missing.stderr).contains("no dead letter is at 0/99")
    );
}

fn place(letter: &Value) -> String {
    format!("{}/{}", letter["place"][0], letter["place"][1])
}

#[test]
fn on_kafka_dead_letters_go_back_with_their_bytes_once_and_what_was_an_event_already_counts_once() {
    if !broker::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let run = |fleet: &Fleet, arguments: &[&str]| {
        let output = fleet.command(9, arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    fleet.start(0);
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, line("ann", 1, START)).unwrap();
    assert!(run(&fleet, &["ingest", file.to_str().unwrap()]).contains("advanced=1"));

    // A known event and a new one where their producer's partitioner sent them, and bytes that are
    // no event and no text.
    let own = partition_of(b"acme:ann", PARTITIONS).0;
    let other = (own + 1) % PARTITIONS;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.servers).create().unwrap();
    let events = [1, 2].map(|number| {
        interaction::into_avro(
            interaction::from_json(line("ann", number, START).as_bytes()).unwrap(),
        )
    });
    let values = [&events[0][..], &events[1][..], b"\x02\xffbytes"];
    let keys: [&[u8]; 3] = [b"acme:ann", b"acme:ann", b"k\xfe"];
    for (key, value) in keys.iter().zip(values) {
        producer
            .send(
                BaseRecord::to(INTERACTIONS)
                    .partition(other.cast_signed())
                    .key(*key)
                    .payload(value),
            )
            .unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let listed = |fleet: &Fleet| {
        serde_json::from_str::<Value>(&run(fleet, &["--json", "dlq", "list"])).unwrap()
    };
    await_that(|| listed(&fleet)["letters"].as_array().unwrap().len() == 3);
    let reasons: Vec<(String, u64)> = listed(&fleet)["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (group["reason"].as_str().unwrap().to_owned(), group["waiting"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(reasons, [("bad_magic".to_owned(), 1), ("misrouted".to_owned(), 2)]);
    let letters: Vec<Value> = listed(&fleet)["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| {
            serde_json::from_str(&run(&fleet, &["--json", "dlq", "show", &place(letter)])).unwrap()
        })
        .collect();
    assert_eq!(
        (&letters[0]["decoded"]["lead_id"], &letters[2]["value"]["hex"], &letters[2]["key"]["hex"]),
        (&"ann".into(), &"02ff6279746573".into(), &"6bfe".into())
    );

    let before = sent(&broker);
    let forecast = run(&fleet, &["dlq", "redrive", "--dry-run"]);
    assert_eq!(
        forecast.lines().filter(|line| line.starts_with("would append ")).count(),
        3,
        "{forecast}"
    );
    assert!(
        forecast.contains("1 of bad_magic would be appended and fail again: bad_json"),
        "{forecast}"
    );
    assert_eq!(sent(&broker), before, "nothing was sent");

    let reported = run(&fleet, &["dlq", "redrive"]);
    let lines: Vec<&str> = reported.lines().collect();
    assert_eq!(
        lines.last(),
        Some(&"received=3 advanced=1 duplicate=1 late=0 dead_lettered=1"),
        "{reported}"
    );
    assert_eq!(
        lines.iter().filter(|line| line.starts_with(&format!("appended {other}/"))).count(),
        3,
        "{reported}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with(&format!("misrouted to partition {own}, attempt 1"))),
        "{reported}"
    );
    let again: Vec<_> =
        sent(&broker).into_iter().filter(|(_, record)| record.origin.is_some()).collect();
    let found: BTreeSet<(Vec<u8>, Vec<u8>)> = again
        .iter()
        .map(|(_, record)| (record.key.clone().unwrap(), record.value.clone().unwrap()))
        .collect();
    assert_eq!(
        found,
        keys.iter().zip(values).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    );
    assert!(again.iter().all(|(place, record)| {
        let origin = record.origin.as_ref().unwrap();
        (origin.topic.as_str(), origin.partition, origin.attempt) == (INTERACTIONS, other, 1)
            && *place == partition_of(record.key.as_ref().unwrap(), PARTITIONS)
    }));
    // Again: only what failed again, with one attempt more.
    let reported = run(&fleet, &["dlq", "redrive"]);
    assert!(
        reported.lines().count() == 2
            && reported.contains("bad_json")
            && reported.contains("attempt 2"),
        "{reported}"
    );
    fleet.end(0);
    run(&fleet, &["replay"]);
}

/// The interactions that are on a broker, with their partitions.
fn sent(broker: &Broker) -> Vec<(Partition, Record)> {
    let topics = Topics::new(&settings(&broker.servers)).unwrap();
    let mut found = Vec::new();
    for partition in (0..PARTITIONS).map(Partition) {
        topics
            .all(INTERACTIONS, partition, &mut |_, record| found.push((partition, record)))
            .unwrap();
    }
    found
}
