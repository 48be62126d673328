//! Files that went wrong, through the real binary: the counters must be those predicted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::output;
use leadstream::app::ingest::Lines;
use leadstream::codec::interaction;
use leadstream::dev::market::Market;
use leadstream::dev::mutate::{Kind, Mutated, malformed, mutate, predict};
use leadstream::domain::units::{DAY_MS, HOUR_MS, MINUTE_MS, Offset, Partition};
use leadstream::log::{Embedded, Error as LogError, Options, Reader, TimeSource};

const KINDS: [Kind; 5] = [Kind::Duplicates, Kind::Shuffle, Kind::Late, Kind::Truncate, Kind::All];
const START_MS: i64 = 1_767_225_600_000;

fn text(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// Ingests the lines into a directory; the last line of what is told.
fn ingested(folder: &Path, lines: &[Vec<u8>]) -> String {
    let file = folder.join("mutated.ndjson");
    fs::write(&file, text(lines)).unwrap();
    let data = folder.join("data");
    output(&data, &["ingest", file.to_str().unwrap()]).lines().last().unwrap().to_owned()
}

/// Mutates lines in one way; the counters must be those predicted.
fn counted_as_predicted(lines: &[Vec<u8>], kind: Kind, seed: u64) -> Mutated {
    let folder = tempfile::tempdir().unwrap();
    let mutated = mutate(lines.to_vec(), kind, seed, TimeSource::World.now().0);
    assert_eq!(
        ingested(folder.path(), &mutated.lines),
        mutated.expected.to_string(),
        "{kind:?} {seed}"
    );
    mutated
}

fn market() -> Vec<Vec<u8>> {
    let deliveries = Market::new(5, 150, START_MS).until(START_MS + 40 * DAY_MS);
    deliveries.into_iter().map(|delivery| delivery.line).collect()
}

#[test]
fn a_market_as_it_is_and_mutated_is_counted_as_predicted() {
    let lines = market();
    let folder = tempfile::tempdir().unwrap();
    let expected = predict(&lines, TimeSource::World.now().0);
    assert!(
        expected.duplicate > 0 && expected.late > 0 && expected.dead_lettered > 0,
        "{expected}"
    );
    assert_eq!(ingested(folder.path(), &lines), expected.to_string());
    for (kind, seed) in KINDS.into_iter().zip(1..) {
        counted_as_predicted(&lines, kind, seed);
    }
}

/// Leads on a grid of minutes or hours, several events at a time, so that a day behind is met
/// exactly; the first has far more events in a day than ids are kept, and some leads are erased.
fn grid() -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut add = |number: usize, lead: usize, at_ms: i64| {
        let id =
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("grid/{number}").as_bytes());
        let kind = if lead % 5 == 4 && number.is_multiple_of(97) {
            "contact.erased"
        } else {
            "page.viewed"
        };
        let times =
            format!(r#""occurred_at":{at_ms},"received_at":{at_ms},"source_system":"grid""#);
        let line = format!(
            r#"{{"event_id":"{id}","event_type":"{kind}","tenant_id":"acme","lead_id":"lead-{lead}",{times}}}"#
        );
        lines.push((at_ms, line.into_bytes()));
    };
    (0..2_000).for_each(|number| add(number, 0, START_MS + number as i64 / 3 * 5 * MINUTE_MS));
    (0..6_000).for_each(|number| {
        add(10_000 + number, 1 + number % 40, START_MS + number as i64 / 100 * 6 * HOUR_MS)
    });
    lines.sort_by_key(|(at_ms, _)| *at_ms);
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn a_grid_of_moments_with_a_busy_lead_and_erased_ones_is_counted_as_predicted() {
    let lines = grid();
    for kind in KINDS {
        for seed in 21..23 {
            let Mutated { expected, .. } = counted_as_predicted(&lines, kind, seed);
            assert!(expected.advanced > 7_000, "{kind:?} {seed}: {expected}");
        }
    }
}

#[test]
fn mutated_public_files_are_counted_as_predicted() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    if !events.is_dir() {
        eprintln!("not run: the public event files are not beside the project");
        return;
    }
    for (name, kinds) in
        [("bpi2012", &KINDS[4..]), ("sgd_homes", &KINDS[..]), ("persuasion", &KINDS[..])]
    {
        let mut file =
            Lines::open(events.join(format!("{name}.ndjson.gz")).to_str().unwrap()).unwrap();
        let lines: Vec<_> = std::iter::from_fn(|| file.next_line().unwrap()).collect();
        for (kind, seed) in kinds.iter().zip(11..) {
            let Mutated { expected, .. } = counted_as_predicted(&lines, *kind, seed);
            // The dialogues last hours, so nothing of them can be a day late.
            let all = expected.duplicate > 0
                && (name != "bpi2012" || expected.late > 0)
                && expected.dead_lettered > 0;
            assert!(*kind != Kind::All || all, "{name}: {expected}");
            assert!(
                *kind != Kind::Shuffle || expected.advanced == lines.len() as u64,
                "{name}: {expected}"
            );
        }
    }
}

/// Every dead letter with how often it came; each must have a reason.
fn dead_letters(data: &Path) -> BTreeMap<Vec<u8>, usize> {
    let log = Embedded::open(data, &Options::default()).unwrap();
    let snapshot = log.snapshot().unwrap();
    let (topic, mut letters) = ("lead.dead-letters.v1", BTreeMap::new());
    for partition in (0..log.partitions()).map(Partition) {
        let end = snapshot.end(topic, partition).unwrap();
        snapshot
            .each::<LogError>((topic, partition), (Offset(0), end), &mut |_, record| {
                let reason = record.reason.unwrap();
                assert!(reason.contains(": "), "{reason}");
                *letters.entry(record.value.unwrap()).or_default() += 1;
                Ok(())
            })
            .unwrap();
    }
    letters
}

#[test]
fn ten_thousand_malformed_lines_are_accounted_for_and_kept_with_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let created = malformed::malformed(3, 10_000);
    let expected = created.expected;
    assert!(
        expected.advanced > 500
            && expected.duplicate > 50
            && expected.late > 50
            && expected.dead_lettered > 5_000,
        "{expected}"
    );
    assert_eq!(ingested(folder.path(), &created.lines), expected.to_string());

    let now_ms = TimeSource::World.now().0;
    let mut sent: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for line in created.lines {
        if interaction::from_json(&line).map_or(true, |event| event.occurred_at.0 > now_ms + DAY_MS)
        {
            *sent.entry(line).or_default() += 1;
        }
    }
    let letters = dead_letters(&folder.path().join("data"));
    assert_eq!(letters.values().sum::<usize>() as u64, expected.dead_lettered);
    let differs = sent.iter().find(|(bytes, count)| letters.get(*bytes) != Some(count));
    let differs = differs.map(|(bytes, count)| {
        (String::from_utf8_lossy(bytes).chars().take(200).collect::<String>(), count)
    });
    assert!(letters == sent, "{differs:?}");
}

#[test]
fn the_commands_write_the_file_and_tell_what_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lines = market();
    let file = folder.path().join("market.ndjson");
    fs::write(&file, text(&lines)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream-dev"));
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success());
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let mutated = mutate(lines, Kind::Late, 9, TimeSource::World.now().0);
    let reported = run(&["mutate", file.to_str().unwrap(), "--seed", "9", "--kind", "late"]);
    assert!(
        reported == (text(&mutated.lines), format!("{}\n", mutated.expected)),
        "{}",
        reported.1
    );
    let created = malformed::malformed(9, 300);
    let reported = run(&["malformed", "--seed", "9", "--lines", "300"]);
    assert!(
        reported == (text(&created.lines), format!("{}\n", created.expected)),
        "{}",
        reported.1
    );
}
