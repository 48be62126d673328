//! `doctor`: every check is told whatever is down, what is wrong is named with its remedy, and no
//! secret is.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::apicurio::{self, Apicurio};
use crate::broker::{self, Broker, free_port};
use crate::kafka::{Fleet, await_that};

/// 5 s is what it may take by itself; a machine that is busy with other tests starts it late.
const ENDS: Duration = Duration::from_secs(15);
const CHECKS: [&str; 9] = [
    "state directory",
    "free space",
    "instance",
    "librdkafka",
    "cluster",
    "topics",
    "access",
    "group",
    "clock",
];

fn rows(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(rows: &'a [Value], check: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["check"] == check).collect()
}

fn grades(rows: &[Value], grade: &str) -> Vec<String> {
    rows.iter()
        .filter(|row| row["grade"] == grade)
        .map(|row| format!("{}: {}", row["check"], row["found"]))
        .collect()
}

#[test]
fn every_check_is_told_soon_when_everything_is_down_and_no_secret_is() {
    let folder = tempfile::tempdir().unwrap();
    // One broker refuses, one takes connections and says nothing, so does the registry; the data
    // directory lies behind a file.
    let (silent, registry) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (closed, silent) = (
        format!("127.0.0.1:{}", free_port()),
        silent.local_addr().map(|at| at.to_string()).unwrap(),
    );
    fs::write(folder.path().join("file"), "").unwrap();
    let config = folder.path().join("leadstream.toml");
    let text = format!(
        "data_dir = \"{}\"\n[kafka]\nbootstrap_servers = \"{closed},{silent}\"\n[kafka.properties]\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\"sasl.username\" = \"ann\"\n\"sasl.password\" = \"open-sesame\"\n\
         [schema_registry]\nurl = \"http://{}\"\nusername = \"ann\"\npassword = \"shibboleth\"\n[logging]\nlevel = \"debug\"\n",
        folder.path().join("file/data").display(),
        registry.local_addr().unwrap()
    );
    fs::write(&config, text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
        command.arg("--config").arg(&config).args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    let began = Instant::now();
    let (json, table) = (run(&["--json", "doctor"]), run(&["doctor"]));
    assert!(began.elapsed() < ENDS * 2);
    assert!(!json.status.success() && !table.status.success());
    let rows = rows(&json);
    let brokers = [format!("broker {closed}"), format!("broker {silent}")];
    let all = CHECKS
        .iter()
        .copied()
        .chain(["configuration", "schema registry"])
        .chain(brokers.iter().map(String::as_str));
    for check in all {
        let found = of(&rows, check);
        assert!(!found.is_empty(), "{check}: {rows:?}");
        assert!(String::from_utf8_lossy(&table.stdout).contains(check));
        let is_red = !["configuration", "free space", "instance", "librdkafka"].contains(&check);
        assert!(found.iter().all(|row| (row["grade"] == "fail") == is_red), "{check}: {found:?}");
    }
    assert!(rows.iter().all(|row| row["grade"] == "ok" || row["remedy"] != ""), "{rows:?}");
    let shown = run(&["config", "check"]);
    for output in [&json, &table, &shown] {
        let reported = [&output.stdout[..], &output.stderr[..]].concat();
        let reported = String::from_utf8_lossy(&reported);
        assert!(
            !reported.contains("open-sesame") && !reported.contains("shibboleth"),
            "{reported}"
        );
    }
    assert!(!folder.path().join("file/data").exists());
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("leadstream.toml");
    fs::write(&config, "[kafka]\nbootstrap_server = \"b:9092\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
    let output = command
        .arg("--config")
        .arg(&config)
        .args(["--json", "doctor"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        of(&rows(&output), "configuration")[0]["found"]
            .as_str()
            .unwrap()
            .contains("kafka.bootstrap_servers")
    );
}

#[test]
fn without_kafka_the_machine_alone_is_looked_at_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = crate::command::leadstream(&data, &["--json", "doctor"]).output().unwrap();
    let rows = rows(&output);
    let checks: Vec<&str> = rows.iter().map(|row| row["check"].as_str().unwrap()).collect();
    assert_eq!(
        checks,
        ["configuration", "state directory", "free space", "log", "instance", "schema registry"]
    );
    assert_eq!(of(&rows, "state directory")[0]["grade"], "ok");
    assert!(!data.exists());
}

#[test]
fn a_cluster_that_is_as_it_has_to_be_is_green_and_one_wrong_setting_is_red() {
    if !broker::is_there() || !apicurio::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (broker, registry) = (Broker::start(folder.path()), Apicurio::start());
    if !broker.is_ours() {
        return;
    }
    let more = format!("[schema_registry]\nurl = \"{}\"", registry.url);
    let mut fleet = Fleet::new(folder.path(), &broker.servers, more.leak());
    let doctor = |fleet: &Fleet| {
        let output = fleet.command(0, &["--json", "doctor"]).output().unwrap();
        (output.status.success(), rows(&output))
    };
    // A cluster on which nothing was made yet: only the schemas have to be registered by somebody.
    let (fine, found) = doctor(&fleet);
    assert!(!fine);
    assert_eq!(grades(&found, "fail").len(), 1, "{found:?}");
    assert_eq!(of(&found, "schema registry")[0]["remedy"], "run `leadstream schemas register`");
    assert!(of(&found, "topics")[0]["grade"] == "warn", "{found:?}");

    assert!(fleet.command(9, &["schemas", "register"]).output().unwrap().status.success());
    fleet.start(0);
    await_that(|| {
        of(&doctor(&fleet).1, "instance")[0]["found"].as_str().unwrap().ends_with("is ready")
    });
    let (fine, found) = doctor(&fleet);
    let but_space: Vec<String> =
        grades(&found, "warn").into_iter().filter(|row| !row.contains("free space")).collect();
    assert!(fine && but_space.is_empty(), "{found:?}");
    assert!(CHECKS.iter().all(|check| of(&found, check).len() == 1), "{found:?}");
    assert!(of(&found, "group")[0]["found"].as_str().unwrap().contains("1 members"), "{found:?}");
    let speaks = of(&found, &format!("broker {}", broker.servers))[0]["found"].as_str().unwrap();
    assert!(speaks.ends_with("speaks as 4.0 or newer does"), "{speaks}");

    let alter = [
        "--alter",
        "--entity-type",
        "topics",
        "--entity-name",
        "leadstream.state.v1",
        "--add-config",
        "cleanup.policy=delete",
    ];
    broker.tool("kafka.admin.ConfigCommand", &alter);
    let (fine, found) = doctor(&fleet);
    let wrong = "topic leadstream.state.v1: cleanup.policy is delete, wanted is compact";
    assert!(grades(&found, "fail").contains(&format!("\"topics\": \"{wrong}\"")), "{found:?}");
    assert!(!fine);
    // The running instance notices it as well.
    await_that(|| {
        let found = of(&doctor(&fleet).1, "instance")[0]["found"].as_str().unwrap().to_owned();
        found.contains("is not ready: topics_changed") && found.contains(wrong)
    });
}
