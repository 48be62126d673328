//! The real binary on the embedded log: whole files, killed runs, bad input, and replays that must
//! notice a change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::command::{leadstream, output};
use leadstream::app::replay::replay;
use leadstream::codec::model::{self, starting_rules};
use leadstream::codec::record::{Batches, Record};
use leadstream::dev::market;
use leadstream::domain::lexicon::Lexicon;
use leadstream::domain::rules::Rules;
use leadstream::domain::units::{Offset, Partition};
use leadstream::log::registry::Schemas;
use leadstream::log::{Embedded, Options, Reader};

const NOW_MS: i64 = 1_767_225_600_000;

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap()
}

/// The first two months of an invented market in which so many leads arrive per month.
fn write_market(path: &Path, leads: usize) -> usize {
    let deliveries = market::Market::new(3, leads, NOW_MS - 60 * 86_400_000).until(NOW_MS);
    let text: Vec<u8> = deliveries
        .iter()
        .flat_map(|delivery| delivery.line.iter().copied().chain([b'\n']))
        .collect();
    fs::write(path, text).unwrap();
    deliveries.len()
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("market.ndjson");
    let lines = write_market(&events, 900);
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let file = events.to_str().unwrap();
    let expected = output(&whole, &["ingest", file]);
    assert!(last_line(&expected).starts_with(&format!("received={lines} ")), "{expected}");

    // The moment of each kill is drawn from a fixed seed; where in a commit it falls is up to the
    // machine.
    let (_open, never) = mpsc::channel::<()>();
    let mut seed = 11_u64;
    // The file lasts for 30 runs of 0.4 s, far longer than they take on a busy machine too, so that
    // no run ends before its kill.
    let rate = (lines * 10 / (30 * 4)).to_string();
    for _ in 0..30 {
        let mut child = leadstream(&killed, &["ingest", "--rate", &rate, file])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let _timed_out = never.recv_timeout(Duration::from_millis(5 + (seed >> 33) % 120));
        assert!(child.try_wait().unwrap().is_none(), "a run ended before its kill");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let replayed = output(&killed, &["replay"]);
    assert!(replayed.starts_with("digest="));
    let resumed = output(&killed, &["ingest", file]);
    assert!(last_line(&resumed).starts_with(&format!("received={lines} ")), "{resumed}");
    for topic in [
        "lead.predictions.v1",
        "lead.alerts.v1",
        "coaching.prompts.v1",
        "lead.profiles.v1",
        "lead.late.v1",
        "lead.dead-letters.v1",
    ] {
        let records = |data: &Path| output(data, &["tail", topic, "--from-start", "--until-end"]);
        assert!(records(&killed) == records(&whole), "{topic}");
    }
    let digest = output(&killed, &["replay"]);
    assert_eq!(digest.lines().next().unwrap().len(), "digest=".len() + 64);
}

#[test]
fn a_finished_file_is_read_again_and_advances_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("market.ndjson");
    let lines = write_market(&events, 60);
    let data = folder.path().join("data");
    let file = events.to_str().unwrap();
    output(&data, &["ingest", file]);
    let digest = output(&data, &["tail", "lead.predictions.v1", "--from-start", "--until-end"]);
    let again = output(&data, &["ingest", file]);
    assert!(last_line(&again).starts_with(&format!("received={lines} advanced=0 ")), "{again}");
    assert_eq!(
        output(&data, &["tail", "lead.predictions.v1", "--from-start", "--until-end"]),
        digest
    );
}

#[test]
fn every_bad_line_is_a_dead_letter_with_its_bytes_and_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("bad.ndjson");
    let good = r#"{"event_id":"57bb7c06-fde5-5816-9d6a-7a124d6f1afa","event_type":"fax.received","tenant_id":"acme","lead_id":"l","occurred_at":1767225780000,"received_at":1767225780000,"source_system":"crm"}"#;
    let future = good.replace("1767225780000", "4102444800000").replace("57bb7c06", "57bb7c07");
    let bad: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"".to_vec(),
        b"\0\0".to_vec(),
        b"\xff\xfe{".to_vec(),
        good.replace("acme", "a cme").into_bytes(),
        vec![b'x'; 2 << 20],
    ];
    let mut text = [good.as_bytes(), b"\n", future.as_bytes(), b"\n"].concat();
    bad.iter().for_each(|line| text.extend(line.iter().copied().chain([b'\n'])));
    fs::write(&events, text).unwrap();
    let data = folder.path().join("data");
    let reported = output(&data, &["ingest", events.to_str().unwrap()]);
    assert_eq!(last_line(&reported), "received=8 advanced=1 duplicate=0 late=0 dead_lettered=7");
    let log = open(&data);
    let letters: Vec<_> = (0..log.partitions())
        .flat_map(|partition| read_all(&log, "lead.dead-letters.v1", partition))
        .collect();
    for line in &bad {
        assert!(letters.iter().any(|letter| letter.value.as_ref() == Some(line)
            && letter.reason.as_ref().is_some_and(|reason| !reason.is_empty())));
    }
}

fn open(data: &Path) -> Embedded {
    Embedded::open(data, &Options::default()).unwrap()
}

fn read_all(log: &Embedded, topic: &str, partition: u32) -> Vec<Record> {
    let snapshot = log.snapshot().unwrap();
    let mut records = Vec::new();
    let end = snapshot.end(topic, Partition(partition)).unwrap();
    snapshot
        .each::<leadstream::log::Error>(
            (topic, Partition(partition)),
            (Offset(0), end),
            &mut |_, record| {
                records.push(record);
                Ok(())
            },
        )
        .unwrap();
    records
}

fn difference(log: &Embedded) -> Option<String> {
    replay(&log.snapshot().unwrap(), &starting_rules(), &Schemas::default(), &mut |_| {})
        .unwrap()
        .difference
}

/// A copy of a log with one record of a topic changed.
fn changed(
    original: &Embedded,
    folder: &Path,
    topic: &str,
    change: impl FnOnce(&mut Record),
) -> Embedded {
    let copy = open(folder);
    let mut batches = Batches::new();
    let mut positions = BTreeMap::new();
    for (topic, partition) in original.topics().unwrap() {
        let topic = topics().find(|known| **known == topic).unwrap();
        batches.insert((*topic, partition.0), read_all(original, topic, partition.0));
        positions.insert(partition.0, original.snapshot().unwrap().positions(partition).unwrap());
    }
    let (_, records) = batches
        .iter_mut()
        .find(|((name, _), records)| *name == topic && records.len() > 3)
        .unwrap();
    change(records.get_mut(3).unwrap());
    copy.commit(&batches, &positions).unwrap();
    copy
}

fn topics() -> impl Iterator<Item = &'static &'static str> {
    const TOPICS: [&str; 11] = [
        "lead.interactions.v1",
        "leadstream.inbox.v1",
        "experiment.metrics.v1",
        "lead.predictions.v1",
        "lead.alerts.v1",
        "coaching.prompts.v1",
        "lead.profiles.v1",
        "lead.late.v1",
        "lead.dead-letters.v1",
        "leadstream.state.v1",
        "leadstream.order.v1",
    ];
    TOPICS.iter()
}

#[test]
fn a_replay_notices_one_output_one_row_one_event_and_one_weight_that_differ() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("market.ndjson");
    write_market(&events, 40);
    let data = folder.path().join("data");
    output(&data, &["ingest", events.to_str().unwrap()]);
    let original = open(&data);
    assert_eq!(difference(&original), None);
    assert_eq!(
        difference(&changed(&original, &folder.path().join("same"), "lead.predictions.v1", |_| {})),
        None
    );
    let flip = |record: &mut Record| *record.value.as_mut().unwrap().last_mut().unwrap() ^= 1;
    for (number, (topic, names)) in [
        ("lead.predictions.v1", "lead.predictions.v1 partition "),
        ("leadstream.state.v1", "leadstream.state.v1 partition "),
        ("lead.interactions.v1", " partition "),
    ]
    .into_iter()
    .enumerate()
    {
        let copy =
            changed(
                &original,
                &folder.path().join(number.to_string()),
                topic,
                |record| match topic {
                    "lead.interactions.v1" => record.appended_ms = 0,
                    // A row that is replaced later is not looked at: change what the row ends as.
                    "leadstream.state.v1" => {
                        *record = Record { key: Some("Nobody".into()), ..record.clone() }
                    }
                    _ => flip(record),
                },
            );
        let found =
            replay(&copy.snapshot().unwrap(), &starting_rules(), &Schemas::default(), &mut |_| {});
        let reported = match found {
            Ok(report) => report.difference.unwrap(),
            Err(error) => format!("{topic} partition {error}"),
        };
        assert!(reported.contains(names), "{topic}: {reported}");
    }
    let heavier = model::STARTING.replacen("points = [-1.75,", "points = [-1.74,", 1);
    let other = Rules::new(Arc::new(model::parse(&heavier).unwrap()), Arc::new(Lexicon::english()));
    assert!(
        replay(&original.snapshot().unwrap(), &other, &Schemas::default(), &mut |_| {})
            .unwrap()
            .difference
            .is_some()
    );

    let extra = read_all(&original, "lead.alerts.v1", 1).pop().unwrap();
    original
        .commit(&Batches::from([(("lead.alerts.v1", 1), vec![extra])]), &BTreeMap::new())
        .unwrap();
    drop(original);
    let failed = leadstream(&data, &["replay"]).output().unwrap();
    assert!(
        !failed.status.success()
            && String::from_utf8_lossy(&failed.stderr).contains("lead.alerts.v1 partition 1")
    );
}

#[test]
fn a_state_directory_deleted_cut_or_flipped_is_rebuilt_to_the_same_digest() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("market.ndjson");
    write_market(&events, 80);
    let data = folder.path().join("data");
    output(&data, &["ingest", events.to_str().unwrap()]);
    let digest = || output(&data, &["replay"]).lines().next().unwrap().to_owned();
    let before = digest();
    let leads = || {
        let list = output(&data, &["worklist", "demo-realty", "--json"]);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert!(!list["tasks"].as_array().unwrap().is_empty());
        list
    };
    let expected = leads();
    let state = data.join("state");
    let files = || -> Vec<_> {
        let mut found: Vec<_> =
            walk(&state).into_iter().filter(|path| fs::metadata(path).unwrap().len() > 0).collect();
        found.sort();
        found
    };
    let damages: [&dyn Fn(); 4] = [
        &|| fs::remove_dir_all(&state).unwrap(),
        &|| {
            files().iter().for_each(|path| {
                fs::write(
                    path,
                    &fs::read(path).unwrap()[..fs::metadata(path).unwrap().len() as usize / 2],
                )
                .unwrap()
            })
        },
        &|| {
            for path in files() {
                let mut bytes = fs::read(&path).unwrap();
                (0..bytes.len()).step_by(97).for_each(|place| bytes[place] ^= 0x10);
                fs::write(path, bytes).unwrap();
            }
        },
        &|| fs::write(files().last().unwrap(), b"nonsense").unwrap(),
    ];
    for damage in damages {
        damage();
        assert_eq!(leads(), expected);
        assert_eq!(digest(), before);
    }
    let again = output(&data, &["ingest", events.to_str().unwrap()]);
    assert!(last_line(&again).contains(" advanced=0 "), "{again}");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_demo_shows_predictions_alerts_and_coaching() {
    let folder = tempfile::tempdir().unwrap();
    let reported = output(folder.path(), &["demo", "--leads", "60", "--seconds", "2", "--score"]);
    assert!(reported.contains("AUC"));
}

#[test]
fn unknown_names_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let failed = |arguments: &[&str]| {
        let output = leadstream(folder.path(), arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failed(&["tail", "lead.prediction", "--until-end"]).contains("lead.predictions.v1"));
    assert!(failed(&["lead", "acme", "nobody"]).contains("acme:nobody"));
    assert!(failed(&["ingest", "no-such-file"]).contains("no-such-file"));
}
