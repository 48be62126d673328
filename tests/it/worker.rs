//! The worker on a real log: commit groupings and restarts, definitions, experiments, ticks,
//! upkeep.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::Value;

use leadstream::app::ingest::Lines;
use leadstream::app::replay::replay;
use leadstream::codec::avro::{self, Writers};
use leadstream::codec::internal::definition_bytes;
use leadstream::codec::model::starting_rules;
use leadstream::codec::record::{Batches, Record};
use leadstream::codec::records::{emit, input};
use leadstream::codec::topics::output_topics;
use leadstream::codec::{definition, interaction};
use leadstream::domain::rules::Body;
use leadstream::domain::units::{DAY_MS, HOUR_MS, MINUTE_MS, Offset, Partition};
use leadstream::engine::worker::{Options, Views, Worker};
use leadstream::log::registry::Schemas;
use leadstream::log::{Embedded, Error as LogError, Options as LogOptions, Reader, TimeSource};
use leadstream::pipeline::{InputTopic, Memory};
use leadstream::telemetry::metrics::Metrics;

const START: i64 = 1_767_225_600_000;

/// Rows by name.
type RowBytes = BTreeMap<String, Vec<u8>>;

/// A data directory whose clock the test moves.
struct Directory {
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    log: Arc<Embedded>,
    number: u32,
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
        Self { folder, clock, log, number: 0 }
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn open(&self, options: Options) -> Worker<Arc<Embedded>> {
        Worker::open(
            self.log.clone(),
            &self.state(),
            options,
            Arc::new(Metrics::new()),
            &Views::default(),
        )
        .unwrap()
    }

    /// Appends an event at a time after the start; the log takes it at the later of that time and
    /// its clock.
    fn event(&mut self, key: &str, at: i64, kind: &str, more: &str) {
        let (tenant, lead) = key.split_once(':').unwrap();
        self.number += 1;
        let (time, number) = (START + at, self.number);
        self.clock.fetch_max(time, Ordering::Relaxed);
        let line = format!(
            r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"{kind}","tenant_id":"{tenant}","lead_id":"{lead}","occurred_at":{time},"received_at":{time},"source_system":"crm"{more}}}"#
        );
        let event = interaction::from_json(line.as_bytes()).unwrap();
        let record = Record {
            key: Some(key.into()),
            value: Some(interaction::to_avro(&event)),
            reason: None,
            appended_ms: self.log.now().0,
            ingest_run: 0,
            origin: None,
        };
        let partition = self.log.partition_of(key.as_bytes()).0;
        self.log
            .append(&Batches::from([(("lead.interactions.v1", partition), vec![record])]), None)
            .unwrap();
    }

    fn says(&mut self, key: &str, at: i64, text: &str) {
        let more = format!(
            r#","channel":"sms","direction":"inbound","agent_id":"ann","content":{{"text":"{text}"}}"#
        );
        self.event(key, at, "message.received", &more);
    }

    fn define(&self, text: &str) {
        let (definition, _) = definition::from_json(text.as_bytes()).unwrap();
        let record = Record {
            key: None,
            value: Some(definition_bytes(&definition)),
            reason: None,
            appended_ms: self.log.now().0,
            ingest_run: 0,
            origin: None,
        };
        self.log
            .append(&Batches::from([(("leadstream.definitions.v1", 0), vec![record])]), None)
            .unwrap();
    }

    fn records(&self, topic: &str, partition: u32) -> Vec<Record> {
        let snapshot = self.log.snapshot().unwrap();
        let mut records = Vec::new();
        let end = snapshot.end(topic, Partition(partition)).unwrap();
        snapshot
            .each::<LogError>((topic, Partition(partition)), (Offset(0), end), &mut |_, record| {
                records.push(record);
                Ok(())
            })
            .unwrap();
        records
    }

    fn values(&self, topic: &str) -> Vec<Value> {
        let records =
            (0..self.log.partitions()).flat_map(|partition| self.records(topic, partition));
        records.map(|record| avro::describe(&record.value.unwrap()).unwrap()).collect()
    }

    /// Everything that was put out, and every row as the changelog last set it.
    fn outcome(&self) -> (Vec<Vec<Record>>, Vec<RowBytes>) {
        let partitions = 0..self.log.partitions();
        let outputs = output_topics()
            .flat_map(|topic| partitions.clone().map(move |partition| (topic, partition)));
        let rows = |partition| {
            let changes = self.records("leadstream.state.v1", partition).into_iter();
            changes
                .map(|record| {
                    (String::from_utf8(record.key.unwrap()).unwrap(), record.value.unwrap())
                })
                .collect()
        };
        (
            outputs.map(|(topic, partition)| self.records(topic, partition)).collect(),
            partitions.clone().map(rows).collect(),
        )
    }

    fn replays(&self) -> String {
        let report = replay(
            &self.log.snapshot().unwrap(),
            &starting_rules(),
            &Schemas::default(),
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(report.difference, None);
        report.digest
    }
}

const EXPERIMENT: &str = r#"{"tenant":"acme","kind":"experiment","name":"tone","version":1,"effective_at":"2026-01-01T00:00:00Z",
    "body":{"unit":"lead","salt":"s","arms":[{"strategy":"assertive","weight":1},{"strategy":"empathetic","weight":1}],"window_hours":240}}"#;

/// Twelve leads in four partitions, with timers that fire in between and an experiment in force.
fn story(directory: &mut Directory) {
    directory.define(EXPERIMENT);
    for day in 0..6 {
        for lead in 0..12_i64 {
            let (key, at) = (format!("acme:lead-{lead}"), day * 2 * DAY_MS + lead * HOUR_MS);
            match (day + lead) % 4 {
                0 => directory.says(&key, at, "Can we see it Saturday?"),
                1 => directory.event(&key, at, "page.viewed", ""),
                2 => directory.says(&key, at, "That's above our budget"),
                _ => directory.event(
                    &key,
                    at,
                    "message.sent",
                    r#","channel":"sms","content":{"text":"I understand"}"#,
                ),
            }
        }
    }
    directory.event(
        "acme:lead-3",
        12 * DAY_MS,
        "lead.converted",
        r#","pipeline":{"status":"won","value_minor":100}"#,
    );
}

fn options(commit_records: usize, commit_timers: usize) -> Options {
    Options {
        commit_records,
        commit_timers,
        tick: Duration::ZERO,
        report: Duration::ZERO,
        ..Options::default()
    }
}

#[test]
fn any_commit_grouping_and_a_restart_after_every_commit_give_the_same_outputs_and_rows() {
    let mut whole = Directory::new(4);
    story(&mut whole);
    while whole.open(options(10_000, 10_000)).step().unwrap() > 0 {}
    let expected = whole.outcome();
    assert!(expected.0.iter().map(Vec::len).sum::<usize>() > 200);
    for (commit_records, commit_timers, keep_state) in
        [(1, 1, true), (1, 1, false), (3, 2, true), (7, 1_000, false)]
    {
        let mut pieces = Directory::new(4);
        story(&mut pieces);
        loop {
            let mut worker = pieces.open(options(commit_records, commit_timers));
            if worker.step().unwrap() == 0 {
                break;
            }
            if keep_state {
                worker.checkpoint().unwrap();
                drop(worker);
            } else {
                drop(worker);
                std::fs::remove_dir_all(pieces.state()).unwrap();
            }
        }
        assert!(
            pieces.outcome() == expected,
            "{commit_records} records and {commit_timers} timers a commit, state kept: {keep_state}"
        );
        assert_eq!(pieces.replays(), whole.replays());
    }
}

#[test]
fn a_definition_waits_while_the_timers_of_one_input_take_several_commits() {
    let mut directory = Directory::new(1);
    for lead in 0..4 {
        directory.says(&format!("acme:lead-{lead}"), lead * 60_000, "Can we see it Saturday?");
    }
    directory.event("acme:other", DAY_MS, "page.viewed", "");
    // Every commit is followed by a restart.
    while directory.records("lead.alerts.v1", 0).is_empty() {
        assert_eq!(directory.open(options(1, 1)).step().unwrap(), 1);
    }
    let body = r#"{"answer_minutes":90}"#;
    directory.define(&format!(r#"{{"kind":"thresholds","name":"t","version":1,"effective_at":"2025-01-01T00:00:00Z","body":{body}}}"#));
    while directory.open(options(1, 1)).step().unwrap() > 0 {}
    assert!(directory.records("lead.alerts.v1", 0).len() >= 4);
    directory.replays();
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[test]
fn a_public_file_taken_with_a_hundred_restarts_gives_what_one_run_gives() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events/persuasion.ndjson.gz");
    if !file.is_file() {
        eprintln!("not run: the public event files are not beside the project");
        return;
    }
    let mut lines = Lines::open(file.to_str().unwrap()).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| lines.next_line().unwrap())
        .map(|line| interaction::from_json(&line).unwrap())
        .collect();
    let run = |cuts: &[usize]| {
        let directory = Directory::new(3);
        directory.clock.store(1_900_000_000_000, Ordering::Relaxed);
        let mut from = 0;
        for cut in cuts {
            let mut batches = Batches::new();
            for event in &events[from..*cut] {
                let key = event.key.as_str().to_owned();
                let partition = directory.log.partition_of(key.as_bytes()).0;
                let value = Some(interaction::to_avro(event));
                let record = Record {
                    key: Some(key.into()),
                    value,
                    reason: None,
                    appended_ms: 1_900_000_000_000,
                    ingest_run: 1,
                    origin: None,
                };
                batches.entry(("lead.interactions.v1", partition)).or_default().push(record);
            }
            from = *cut;
            directory.log.append(&batches, None).unwrap();
            let mut worker = directory.open(options(97, 50));
            while worker.step().unwrap() > 0 {}
            // What is not written to the state directory has to come from the changelog.
            if from % 2 == 0 {
                worker.checkpoint().unwrap();
            }
        }
        directory
    };
    let mut state = 17;
    let mut cuts: Vec<_> = (0..100)
        .map(|_| random(&mut state) as usize % events.len())
        .chain([events.len()])
        .collect();
    cuts.sort_unstable();
    let (whole, pieces) = (run(&[events.len()]), run(&cuts));
    assert!(whole.outcome() == pieces.outcome());
    assert_eq!(whole.replays(), pieces.replays());
}

#[test]
fn the_worker_puts_out_what_the_driver_in_memory_does() {
    let mut directory = Directory::new(2);
    story(&mut directory);
    while directory.open(options(5, 5)).step().unwrap() > 0 {}
    for partition in 0..2 {
        let (mut memory, mut rules, mut batches) =
            (Memory::default(), starting_rules(), Batches::new());
        let (definition, body) = definition::from_json(EXPERIMENT.as_bytes()).unwrap();
        rules.define(&definition, body).unwrap();
        for (offset, record) in
            (0..).map(Offset).zip(directory.records("lead.interactions.v1", partition))
        {
            let mut effects = Vec::new();
            memory.run(
                &rules,
                &input(&record, (Partition(partition), 2), &Writers::new()),
                &mut effects,
            );
            emit(
                Partition(partition),
                (InputTopic::Interactions, offset, &record),
                &mut effects,
                &mut batches,
            );
        }
        assert!(batches.len() >= 5);
        for ((topic, _), expected) in batches {
            assert_eq!(directory.records(topic, partition), expected, "{topic}");
        }
    }
}

#[test]
fn an_experiment_exposes_who_is_coached_and_its_counts_come_together_from_all_partitions() {
    let mut directory = Directory::new(4);
    story(&mut directory);
    let mut worker = directory.open(options(100, 1_000));
    worker.settle().unwrap();
    let exposures = directory.values("experiment.exposures.v1");
    assert_eq!(exposures.len(), directory.values("coaching.prompts.v1").len());
    let mut places: BTreeMap<String, Value> = BTreeMap::new();
    for exposure in &exposures {
        let (arm, bucket) =
            (exposure["arm"].as_str().unwrap(), exposure["bucket"].as_u64().unwrap());
        assert_eq!(
            (arm, &exposure["propensity"]),
            (if bucket == 0 { "assertive" } else { "empathetic" }, &Value::from(0.5))
        );
        let lead = exposure["lead_id"].as_str().unwrap().to_owned();
        let place = Value::from(vec![Value::from(arm), bucket.into()]);
        assert_eq!(places.entry(lead).or_insert(place.clone()), &place);
    }
    let metrics = directory.values("experiment.metrics.v1");
    let last = metrics.last().unwrap();
    let sum = |field: &str| {
        last["arms"].as_array().unwrap().iter().map(|arm| arm[field].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(
        (sum("exposures"), sum("exposed_units")),
        (exposures.len() as u64, places.len() as u64)
    );
    assert_eq!((sum("conversions"), sum("revenue_minor")), (1, 100));
    // After a restart, also without its state, the same counts are not reported again, and what
    // changed since is.
    let inbox = |directory: &Directory| {
        (0..4)
            .map(|partition| directory.records("leadstream.inbox.v1", partition).len())
            .sum::<usize>()
    };
    let reported = inbox(&directory);
    assert!(reported >= 4);
    drop(worker);
    directory.open(options(100, 1_000)).settle().unwrap();
    std::fs::remove_dir_all(directory.state()).unwrap();
    directory.open(options(100, 1_000)).settle().unwrap();
    assert_eq!(
        (directory.values("experiment.metrics.v1").len(), inbox(&directory)),
        (metrics.len(), reported)
    );
    directory.says("acme:lead-0", 12 * DAY_MS + HOUR_MS, "Can we see it Saturday?");
    let mut worker = directory.open(options(100, 1_000));
    while worker.step().unwrap() > 0 {}
    drop(worker);
    directory.open(options(100, 1_000)).settle().unwrap();
    assert!(
        inbox(&directory) > reported
            && directory.values("experiment.metrics.v1").len() > metrics.len()
    );
    directory.replays();
}

#[test]
fn a_decision_is_taken_in_one_partition_and_holds_in_all_of_them_through_the_log() {
    const DECIDED: &str = r#"{"tenant":"acme","kind":"experiment","name":"tone","version":1,"effective_at":"2026-01-01T00:00:00Z",
        "body":{"unit":"lead","salt":"s","arms":[{"strategy":"empathetic","weight":1},{"strategy":"assertive","weight":1}],"window_hours":24,
        "goal":{"metric":"conversion_rate"},"planned_units":400,"decisions":{"act":"automatic"}}}"#;
    let Body::Experiment(experiment) = definition::from_json(DECIDED.as_bytes()).unwrap().1 else {
        panic!("no experiment")
    };
    let mut directory = Directory::new(4);
    directory.define(DECIDED);
    for number in 0..360 {
        let (lead, at) = (format!("lead-{number}"), number * 30 * MINUTE_MS);
        directory.says(&format!("acme:{lead}"), at, "Can we see it Saturday?");
        let wins = if experiment.assign(&lead).unwrap().arm == "assertive" { 4 } else { 2 };
        if number % 5 < wins {
            directory.event(
                &format!("acme:{lead}"),
                at + HOUR_MS,
                "lead.converted",
                r#","pipeline":{"status":"won","value_minor":100}"#,
            );
        }
    }
    directory.open(options(50, 1_000)).settle().unwrap();
    let decided = |directory: &Directory| {
        directory.values("experiment.metrics.v1").last().unwrap()["results"]["decision"].clone()
    };
    assert_eq!(
        (decided(&directory), directory.records("leadstream.definitions.v1", 0).len()),
        ("continue".into(), 1)
    );
    // Nothing is counted any more, but days pass and windows with them.
    directory.event("acme:other", 14 * DAY_MS, "page.viewed", "");
    directory.open(options(50, 1_000)).settle().unwrap();
    assert_eq!(decided(&directory), "promote");
    let definitions = directory.values("leadstream.definitions.v1");
    assert_eq!(
        (definitions.len(), &definitions[1]["kind"], &definitions[1]["name"]),
        (2, &"policy".into(), &"tone".into())
    );
    let exposed = directory.values("experiment.exposures.v1").len();
    for lead in 0..8 {
        directory.says(&format!("acme:new-{lead}"), 15 * DAY_MS, "Can we see it Saturday?");
    }
    directory.open(options(50, 1_000)).settle().unwrap();
    let predictions = directory.values("lead.predictions.v1");
    let new: Vec<_> = predictions
        .iter()
        .filter(|reported| reported["lead_id"].as_str().unwrap().starts_with("new"))
        .collect();
    assert!(
        new.len() == 8
            && new.iter().all(|reported| (&reported["strategy"], &reported["strategy_source"])
                == (&"assertive".into(), &"policy".into()))
    );
    assert_eq!(
        (
            directory.values("experiment.exposures.v1").len(),
            directory.records("leadstream.definitions.v1", 0).len()
        ),
        (exposed, 2)
    );
    directory.replays();
}

#[test]
fn weights_of_a_bandit_are_written_through_the_log_once_per_epoch_and_a_replay_writes_the_same() {
    const BANDIT: &str = r#"{"tenant":"acme","kind":"experiment","name":"tone","version":1,"effective_at":"2026-01-01T00:00:00Z",
        "body":{"unit":"lead","salt":"s","arms":[{"strategy":"empathetic","weight":1},{"strategy":"assertive","weight":1}],"window_hours":24,
        "goal":{"metric":"conversion_rate"},"planned_units":4000,"allocation":{"rule":"thompson","floor":0.1,"epoch_days":1}}}"#;
    let Body::Experiment(experiment) = definition::from_json(BANDIT.as_bytes()).unwrap().1 else {
        panic!("no experiment")
    };
    let mut directory = Directory::new(4);
    directory.define(BANDIT);
    for day in 0..6 {
        for number in 0..48 {
            let (lead, at) =
                (format!("lead-{day}-{number}"), day * DAY_MS + number * 30 * MINUTE_MS);
            directory.says(&format!("acme:{lead}"), at, "Can we see it Saturday?");
            if number % 5 < if experiment.assign(&lead).unwrap().arm == "assertive" { 4 } else { 2 }
            {
                directory.event(
                    &format!("acme:{lead}"),
                    at + HOUR_MS,
                    "lead.converted",
                    r#","pipeline":{"status":"won","value_minor":100}"#,
                );
            }
        }
        directory.open(options(50, 1_000)).settle().unwrap();
    }
    let definitions = directory.values("leadstream.definitions.v1");
    let versions: Vec<i64> =
        definitions.iter().map(|reported| reported["version"].as_i64().unwrap()).collect();
    assert!(
        versions.len() >= 3 && versions == (1..=versions.len() as i64).collect::<Vec<_>>(),
        "{versions:?}"
    );
    let newest: Value =
        serde_json::from_str(definitions.last().unwrap()["body"].as_str().unwrap()).unwrap();
    assert!(
        newest["arms"][1]["weight"].as_i64() > newest["arms"][0]["weight"].as_i64(),
        "{newest}"
    );
    let of_newest = directory
        .values("experiment.exposures.v1")
        .iter()
        .filter(|reported| reported["version"] == *versions.last().unwrap())
        .count();
    assert!(of_newest > 0 && directory.records("lead.dead-letters.v1", 0).is_empty());
    directory.replays();
}

#[test]
fn a_definition_holds_from_its_effective_time_and_a_bad_one_is_a_dead_letter() {
    let mut directory = Directory::new(2);
    let late = "lead.late.v1";
    directory.event("acme:a", 0, "page.viewed", "");
    directory.event("acme:a", 3 * DAY_MS, "page.viewed", "");
    directory.event("acme:a", DAY_MS, "page.viewed", "");
    directory.define(r#"{"kind":"thresholds","name":"t","version":1,"effective_at":"2026-01-02T12:00:00Z","body":{"lateness_hours":72}}"#);
    let mut worker = directory.open(options(100, 100));
    while worker.step().unwrap() > 0 {}
    assert_eq!(directory.values(late).len(), 1);
    // Two days late: allowed where the definition is effective at the event's time, and not before.
    directory.event("acme:a", 2 * DAY_MS, "page.viewed", "");
    directory.event("acme:a", DAY_MS + 5, "page.viewed", "");
    let broken = Record {
        key: None,
        value: Some(b"no definition".to_vec()),
        reason: None,
        appended_ms: 7,
        ingest_run: 0,
        origin: None,
    };
    directory
        .log
        .append(&Batches::from([(("leadstream.definitions.v1", 0), vec![broken])]), None)
        .unwrap();
    while worker.step().unwrap() > 0 {}
    assert_eq!(directory.values(late).len(), 2);
    let letters = directory.records("lead.dead-letters.v1", 0);
    assert_eq!(
        letters.iter().map(|letter| letter.value.as_deref().unwrap()).collect::<Vec<_>>(),
        [b"no definition"]
    );
    directory.replays();
}

#[test]
fn a_tick_warns_of_live_leads_that_say_nothing_and_leaves_a_backfill_alone() {
    let mut directory = Directory::new(1);
    // Live: taken when it happened. A backfill: taken years after.
    directory.says("live:a", 0, "Can we see it Saturday?");
    directory.clock.store(START + MINUTE_MS, Ordering::Relaxed);
    directory.says("past:b", -400 * DAY_MS, "Can we see it Saturday?");
    let mut worker = directory.open(options(100, 100));
    while worker.step().unwrap() > 0 {}
    worker.chores().unwrap();
    assert!(directory.records("leadstream.inbox.v1", 0).is_empty(), "nobody is due yet");
    directory.clock.store(START + 2 * HOUR_MS, Ordering::Relaxed);
    worker.chores().unwrap();
    while worker.step().unwrap() > 0 {}
    let alerts = directory.values("lead.alerts.v1");
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        (alerts[0]["tenant_id"].as_str(), alerts[0]["rule"].as_str()),
        (Some("live"), Some("unanswered_lead"))
    );
    // The clock of the tenant moved: nothing is due until the next look at the lead.
    worker.chores().unwrap();
    assert_eq!(directory.records("leadstream.inbox.v1", 0).len(), 1);
    assert_eq!(worker.step().unwrap(), 0);
    directory.replays();
}

#[test]
fn a_tick_waits_for_the_interactions_that_were_there_before_it() {
    let mut directory = Directory::new(1);
    directory.says("live:a", 0, "hello");
    let mut worker = directory.open(options(1, 100));
    while worker.step().unwrap() > 0 {}
    directory.clock.store(START + 2 * HOUR_MS, Ordering::Relaxed);
    // Our answers are in the log when the tick is written, but not taken yet: the lead does not
    // wait any more.
    for minute in 5..9 {
        directory.event(
            "live:a",
            minute * MINUTE_MS,
            "message.sent",
            r#","channel":"sms","content":{"text":"Hi"}"#,
        );
    }
    worker.chores().unwrap();
    assert_eq!(directory.records("leadstream.inbox.v1", 0).len(), 1);
    while worker.step().unwrap() > 0 {}
    assert!(
        directory.values("lead.alerts.v1").iter().all(|alert| alert["rule"] != "unanswered_lead")
    );
    directory.replays();
}

#[test]
fn compaction_of_the_changelog_changes_no_restored_state_and_no_replay() {
    let mut directory = Directory::new(2);
    story(&mut directory);
    let mut worker = directory.open(options(5, 100));
    worker.settle().unwrap();
    drop(worker);
    let (digest, before) = (directory.replays(), directory.records("leadstream.state.v1", 0).len());
    for partition in 0..2 {
        for topic in ["leadstream.state.v1", "lead.profiles.v1", "experiment.metrics.v1"] {
            directory.log.compact(topic, Partition(partition)).unwrap();
        }
    }
    assert!(directory.records("leadstream.state.v1", 0).len() < before);
    assert_eq!(directory.replays(), digest);
    std::fs::remove_dir_all(directory.state()).unwrap();
    directory.says("acme:lead-1", 12 * DAY_MS, "Let's do it");
    directory.open(options(5, 100)).settle().unwrap();
    directory.replays();
}

#[test]
fn a_replay_refuses_a_log_whose_start_was_retained_away() {
    let mut directory = Directory::new(1);
    story(&mut directory);
    directory.open(options(5, 100)).settle().unwrap();
    let removed = directory
        .log
        .retain("lead.interactions.v1", Partition(0), (START + DAY_MS, Offset(u64::MAX)))
        .unwrap()
        .removed;
    assert!(removed > 0);
    let error = replay(
        &directory.log.snapshot().unwrap(),
        &starting_rules(),
        &Schemas::default(),
        &mut |_| {},
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("lead.interactions.v1 partition 0") && error.contains("retention"),
        "{error}"
    );
    // The state does not need what was removed.
    std::fs::remove_dir_all(directory.state()).unwrap();
    directory.says("acme:lead-1", 12 * DAY_MS, "Let's do it");
    assert!(directory.open(options(5, 100)).step().unwrap() > 0);
}

#[test]
fn state_of_another_directory_is_not_used() {
    let mut one = Directory::new(1);
    // A lead that the other directory has not seen: nothing of its changelog replaces the row.
    one.says("acme:lead-99", 0, "STOP");
    let mut worker = one.open(options(100, 100));
    worker.settle().unwrap();
    worker.checkpoint().unwrap();
    drop(worker);
    let mut other = Directory::new(1);
    story(&mut other);
    other.open(options(100, 100)).settle().unwrap();
    std::fs::remove_dir_all(other.state()).unwrap();
    copy(&one.state(), &other.state());
    other.says("acme:lead-99", 11 * DAY_MS, "hello");
    other.open(options(100, 100)).settle().unwrap();
    other.replays();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target)
        } else {
            std::fs::copy(&entry, &target).map(|_| ()).unwrap()
        }
    }
}
