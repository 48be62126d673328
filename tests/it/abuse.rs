//! Commands where something is wrong around them: standard output and error, files, ports, the
//! environment. What was asked is done, or the exit code and a sentence say that it is not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::command::{leadstream, output};
use crate::server::{Instance, eventually, messages, signal};
use leadstream::app::address::{Address, address_file};
use leadstream::log::inode;

/// The sentence with which a command failed.
fn failure(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn fails(data: &Path, arguments: &[&str]) -> String {
    failure(&leadstream(data, arguments).output().unwrap())
}

/// A device on which every write fails as on a full disk.
fn full() -> Stdio {
    fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_definition_that_is_too_long_is_refused_and_not_lost_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("long.json"));
    let body = "x".repeat(10_000_000);
    fs::write(&file, format!(r#"{{"kind":"settings","name":"s","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{{"timezone":"{body}"}}}}"#)).unwrap();
    assert!(fails(&data, &["apply", file.to_str().unwrap()]).contains("at most 2097152 bytes"));
}

#[test]
fn only_a_closed_pipe_ends_a_command_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = messages(&folder.path().join("events.ndjson"), "ann", 200);
    output(&data, &["ingest", &file]);
    let tail = ["tail", "lead.predictions.v1", "--from-start", "--until-end"];
    for arguments in [&tail[..], &["completions", "bash"], &["--json", "schemas"]] {
        let refused = leadstream(&data, arguments).stdout(full()).output().unwrap();
        let text = failure(&refused);
        assert!(text.contains("cannot write to standard output: No space left"), "{text}");
        let mut child = leadstream(&data, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && text.is_empty(), "{arguments:?}: {text}");
    }
}

#[test]
fn an_instance_whose_log_lines_nobody_takes_works_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let level = [("LEADSTREAM__LOGGING__LEVEL", "debug")];
    let instance = Instance::start_with(&data, &level, full());
    let file = messages(&folder.path().join("events.ndjson"), "ann", 20);
    assert!(output(&data, &["ingest", &file]).starts_with("received=20 advanced=20 "));
    assert_eq!(instance.get("/livez", None).0, 200);
}

#[test]
fn an_address_where_nothing_answers_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let address = |directory| Address { url: url.clone(), token: "t".to_owned(), directory };
    let file = address_file(&data);
    let write = |address: &Address| fs::write(&file, serde_json::to_vec(address).unwrap()).unwrap();
    write(&address(inode(&data).unwrap()));
    let text = fails(&data, &["worklist", "acme"]);
    assert!(text.contains(&url) && text.contains(file.to_str().unwrap()), "{text}");
    // That of another directory means nothing here.
    write(&address((0, 0)));
    assert!(fails(&data, &["worklist", "acme"]).contains("no event of acme"));
}

#[test]
fn a_copy_of_a_running_directory_does_not_answer_for_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let instance = Instance::start(&data);
    assert!(Command::new("cp").arg("-a").args([&data, &copy]).status().unwrap().success());
    fs::write(copy.join("log.redb"), "no log at all").unwrap();
    let text = fails(&copy, &["replay"]);
    assert!(text.contains("the log file cannot be used: "), "{text}");
    let text = String::from_utf8(leadstream(&copy, &["doctor"]).output().unwrap().stdout).unwrap();
    let row = text.lines().find(|line| line.contains("  log  ")).unwrap();
    assert!(row.contains("FAIL") && row.contains("the log file cannot be used"), "{text}");
    assert!(output(&data, &["doctor"]).contains("an instance has it open"));
    drop(instance);
}

#[test]
fn a_log_that_goes_away_is_noticed_under_an_instance_and_before_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut instance = Instance::start(&data);
    let file = data.join("log.redb");
    fs::rename(&file, folder.path().join("moved")).unwrap();
    let status = eventually("the end of the instance", || instance.child.try_wait().unwrap());
    assert!(!status.success());
    for command in [&["run"][..], &["worklist", "acme"]] {
        let text = fails(&data, command);
        assert!(text.contains("is missing or empty although its state is there"), "{text}");
    }
    let rows = String::from_utf8(leadstream(&data, &["doctor"]).output().unwrap().stdout).unwrap();
    assert!(rows.contains("is missing or empty"), "{rows}");
    fs::rename(folder.path().join("moved"), &file).unwrap();
    output(&data, &["replay"]);
}

#[test]
fn the_environment_is_taken_as_it_stands_and_a_name_that_is_nearly_right_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, value: &str| {
        let mut command = leadstream(folder.path(), &["--json", "config", "check"]);
        command.env(name, value).output().unwrap()
    };
    for value in ["123456", "true", "\"quoted\"", " blanks ", "[1]"] {
        let shown: Value =
            serde_json::from_slice(&check("LEADSTREAM__KAFKA__TOPIC_PREFIX", value).stdout)
                .unwrap();
        assert_eq!(shown["kafka"]["topic_prefix"], value);
    }
    let shown: Value =
        serde_json::from_slice(&check("LEADSTREAM__LOG__PARTITIONS", "7").stdout).unwrap();
    assert_eq!(shown["log"]["partitions"], 7);
    for (name, value, says) in [
        ("LEADSTREAM_LOG_PARTITIONS", "7", "call it LEADSTREAM__LOG__PARTITIONS"),
        ("LEADSTREAM__LOGGING__LEVEL", "verbose", "logging.level: must be error, warn, info"),
        ("LEADSTREAM__LOGGING__LEVEL", "info,leadstream=loud", "logging.level: must be"),
    ] {
        let text = failure(&check(name, value));
        let error: Value = serde_json::from_str(&text).unwrap();
        assert!(error["error"].as_str().unwrap().contains(says), "{text}");
    }
    let folder = folder.path().to_str().unwrap();
    let text = fails(Path::new(folder), &["--config", folder, "config", "check"]);
    assert!(text.contains("is a directory"), "{text}");

    for command in [&["--json", "run"][..], &["--json", "completions", "bash"]] {
        assert!(fails(Path::new(folder), command).contains("has no JSON"));
    }
}

#[test]
fn of_a_damaged_archive_everything_before_the_damage_is_taken_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let plain = messages(&folder.path().join("events.ndjson"), "ann", 3_000);
    let file = folder.path().join("events.ndjson.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(&plain).unwrap()).unwrap();
    let whole = packed.finish().unwrap();
    fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap();
    let ingest = ["--json", "ingest", file.to_str().unwrap()];
    let cut = leadstream(&data, &ingest).output().unwrap();
    let text = failure(&cut);
    let counted: Value = serde_json::from_slice(&cut.stdout).unwrap();
    let read = counted["received"].as_u64().unwrap();
    assert!((1_000..3_000).contains(&read) && counted["advanced"] == read, "{counted}");
    assert!(text.contains(&format!("cannot be read after line {read}")), "{text}");
    fs::write(&file, &whole).unwrap();
    let counted: Value = serde_json::from_str(&output(&data, &ingest)).unwrap();
    assert_eq!((&counted["received"], &counted["advanced"]), (&3_000.into(), &3_000.into()));
}

#[test]
fn a_follower_that_was_idle_ends_at_the_first_interrupt_with_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _instance = Instance::start(&data);
    let path = folder.path().join("events.ndjson");
    let file = messages(&path, "ann", 3);
    let mut child = leadstream(&data, &["ingest", &file, "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let events = || output(&data, &["lead", "acme", "ann", "--json"]);
    let taken = |count: u64| {
        let lead = leadstream(&data, &["lead", "acme", "ann", "--json"]).output().unwrap();
        let lead: Value = serde_json::from_slice(&lead.stdout).unwrap_or_default();
        (lead["events"] == count).then_some(())
    };
    eventually("the first events", || taken(3));
    // It has been idle, and works again.
    let more = fs::read_to_string(messages(&folder.path().join("more.ndjson"), "ann", 5)).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    more.lines().skip(3).for_each(|line| writeln!(file, "{line}").unwrap());
    eventually("those that came later", || taken(5));
    signal(&child, "INT");
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(text.starts_with("received=5 advanced=5 "), "{text} {}", events());
}

#[test]
fn words_that_nothing_reads_are_named_and_all_that_are_read_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = messages(&folder.path().join("events.ndjson"), "ann", 4);
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replacen("message.received", "deal.won", 2).replacen("\"sms\"", "\"smss\"", 1);
    fs::write(&file, text).unwrap();
    let ingested = leadstream(&data, &["ingest", &file]).output().unwrap();
    let text = String::from_utf8(ingested.stderr).unwrap();
    assert!(ingested.status.success(), "{text}");
    let deals = "2 events have the event_type \"deal.won\", which nothing reads: did you mean \
        lead.converted?";
    let channel = "1 events have the channel \"smss\", which nothing reads: did you mean sms?";
    assert!(text.contains(deals) && text.contains(channel), "{text}");
    let page = output(&data, &["explain", "--markdown"]);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/names.md");
    assert_eq!(page, fs::read_to_string(kept).unwrap(), "`leadstream explain --markdown` has it");
    assert!(output(&data, &["explain", "lead.lost"]).contains("event types: "));
    assert!(fails(&data, &["explain", "lead.converd"]).contains("did you mean lead.converted?"));
}

#[test]
fn connections_that_say_nothing_make_room_for_those_that_ask() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let few = [("LEADSTREAM__HTTP__CONNECTIONS_MAX", "8")];
    let instance = Instance::start_with(&data, &few, Stdio::inherit());
    let address = Address::read(&data).unwrap().url;
    let place = address.strip_prefix("http://").unwrap();
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(place).unwrap()).collect();
    // Each of them is closed after a while, without having asked for anything.
    eventually("an answer", || (instance.get("/livez", None).0 == 200).then_some(()));
    drop(silent);
}
