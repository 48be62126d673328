//! Public event files, where they lie beside the project; without them these tests say so and pass.

use std::path::{Path, PathBuf};

use crate::command::output;

/// Files with the number of events in each.
const FILES: [(&str, u64); 3] =
    [("bpi2012", 111_864), ("sgd_homes", 18_435), ("persuasion", 15_871)];

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/events");
    if !folder.is_dir() {
        eprintln!("not run: the public event files are not beside the project");
    }
    folder.is_dir().then_some(folder)
}

#[test]
fn every_event_of_the_public_files_advances_once_and_a_replay_agrees() {
    let Some(folder) = folder() else { return };
    let data = tempfile::tempdir().unwrap();
    for again in [false, true] {
        for (name, events) in FILES {
            let reported = output(
                data.path(),
                &["ingest", folder.join(format!("{name}.ndjson.gz")).to_str().unwrap()],
            );
            let last = reported.lines().last().unwrap();
            let advanced = if again { 0 } else { events };
            assert!(
                last.starts_with(&format!("received={events} advanced={advanced} ")),
                "{name}: {last}"
            );
            assert!(
                last.ends_with(" dead_lettered=0") && (again || last.contains("late=0")),
                "{name}: {last}"
            );
        }
    }
    assert!(output(data.path(), &["replay"]).starts_with("digest="));
}
