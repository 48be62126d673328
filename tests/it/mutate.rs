//! Files that went wrong, through the real binary: the counters must be those predicted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leadstream::domain::units::{Offset, Partition};
use leadstream::runtime::demo::Market;
use leadstream::runtime::ingest::Lines;
use leadstream::runtime::log::{Embedded, Error as LogError, Options};
use leadstream::runtime::mutate::{Kind, Mutated, malformed, mutate};

use crate::command::output;

const KINDS: [Kind; 5] = [Kind::Duplicates, Kind::Shuffle, Kind::Late, Kind::Truncate, Kind::All];

/// Ingests the lines into a directory; the last line of what is told.
fn ingested(folder: &Path, mutated: &Mutated) -> String {
    let file = folder.join("mutated.ndjson");
    let text: Vec<u8> = mutated.lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
    fs::write(&file, text).unwrap();
    let data = folder.join("data");
    output(&data, &["ingest", file.to_str().unwrap()]).lines().last().unwrap().to_owned()
}

#[test]
fn a_mutated_market_is_counted_as_predicted() {
    let start = 1_767_225_600_000;
    let deliveries = Market::new(5, 150, start).until(start + 40 * 86_400_000);
    let lines: Vec<_> = deliveries.into_iter().map(|delivery| delivery.line).collect();
    for (kind, seed) in KINDS.into_iter().zip(1..) {
        let folder = tempfile::tempdir().unwrap();
        let mutated = mutate(lines.clone(), kind, seed);
        assert_eq!(ingested(folder.path(), &mutated), mutated.expected.to_string(), "{kind:?} {seed}");
    }
}

#[test]
fn mutated_public_files_are_counted_as_predicted() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    if !events.is_dir() {
        eprintln!("not run: the public event files are not beside the project");
        return;
    }
    for (name, seed) in ["bpi2012", "sgd_homes", "persuasion"].into_iter().zip(11..) {
        let mut file = Lines::open(events.join(format!("{name}.ndjson.gz")).to_str().unwrap()).unwrap();
        let lines: Vec<_> = std::iter::from_fn(|| file.next_line().unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mutated = mutate(lines, Kind::All, seed);
        let expected = mutated.expected;
        // The dialogues last hours, so nothing of them can be a day late.
        assert!(expected.duplicate > 0 && (name != "bpi2012" || expected.late > 0) && expected.dead_lettered > 0, "{name}: {expected}");
        assert_eq!(ingested(folder.path(), &mutated), expected.to_string(), "{name}");
    }
}

#[test]
fn ten_thousand_malformed_lines_are_accounted_for_and_kept_with_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let made = malformed::malformed(3, 10_000);
    let expected = made.expected;
    assert!(expected.advanced > 500 && expected.duplicate > 50 && expected.late > 50 && expected.dead_lettered > 5_000, "{expected}");
    assert_eq!(ingested(folder.path(), &made), expected.to_string());

    let mut sent: BTreeMap<&[u8], usize> = BTreeMap::new();
    made.lines.iter().for_each(|line| *sent.entry(line).or_default() += 1);
    let log = Embedded::open(&folder.path().join("data"), &Options::default()).unwrap();
    let snapshot = log.snapshot().unwrap();
    let (topic, mut letters) = ("lead.dead-letters.v1", 0);
    for partition in (0..log.partitions()).map(Partition) {
        let end = snapshot.end(topic, partition).unwrap();
        snapshot
            .each::<LogError>((topic, partition), (Offset(0), end), &mut |_, record| {
                let reason = record.reason.unwrap();
                assert!(reason.contains(": "), "{reason}");
                let value = record.value.unwrap();
                // An event from the future was decoded before it was refused: it is kept as the record that it became.
                if !reason.starts_with("future_timestamp") {
                    let left = sent.get_mut(value.as_slice()).unwrap_or_else(|| panic!("{reason}: bytes that were never sent"));
                    *left = left.checked_sub(1).unwrap();
                }
                letters += 1;
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(letters, expected.dead_lettered);
}
