//! A running instance: its address file, health, metrics, commands that talk to it at the same
//! time, and its end.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command::{get, leadstream, output};

/// Looks again until something holds; the limit only turns a hang into a failure.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("{what} did not happen within 30 s");
}

pub struct Instance {
    pub child: Child,
    url: String,
    token: String,
}

impl Instance {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[], Stdio::inherit())
    }

    pub fn start_with(data: &Path, environment: &[(&str, &str)], errors: Stdio) -> Self {
        // A killed instance leaves its file, which the next one replaces.
        let file = data.join("address.json");
        let before = fs::read(&file).unwrap_or_default();
        let child = leadstream(data, &["run"])
            .env("LEADSTREAM__HTTP__LISTEN", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let written = || fs::read(&file).ok().filter(|text| *text != before);
        let address: Value =
            eventually("the address file", || serde_json::from_slice(&written()?).ok());
        let text = |field: &str| address[field].as_str().unwrap().to_owned();
        let instance = Self { child, url: text("url"), token: text("token") };
        eventually("readiness", || (instance.get("/readyz", None).0 == 200).then_some(()));
        instance
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        get(&format!("{}{path}", self.url), token)
    }

    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

/// Sends a signal through the shell, which every machine has.
pub fn signal(child: &Child, name: &str) {
    let sent =
        Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status().unwrap();
    assert!(sent.success());
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A child that has ended cannot be killed again.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

/// A file of one lead's messages.
pub fn messages(path: &Path, lead: &str, count: usize) -> String {
    let mut file = fs::File::create(path).unwrap();
    for number in 0..count {
        let id =
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("{lead}/{number}").as_bytes());
        let at = 1_767_225_600_000 + number as i64 * 60_000;
        writeln!(
            file,
            r#"{{"event_id":"{id}","event_type":"message.received","tenant_id":"acme","lead_id":"{lead}","occurred_at":{at},"received_at":{at},"source_system":"crm","channel":"sms","direction":"inbound","pipeline":{{"stage_id":"Stufe 7"}},"content":{{"text":"What is the rent?"}}}}"#
        )
        .unwrap();
    }
    path.to_str().unwrap().to_owned()
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
    line.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
}

#[test]
fn commands_reach_a_running_instance_at_the_same_time_and_metrics_tell_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let instance = Instance::start(&data);
    assert_eq!(instance.get("/livez", None).0, 200);

    let mut follower = leadstream(&data, &["tail", "lead.predictions.v1", "--limit", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let files: Vec<_> = (0..4)
        .map(|lead| {
            messages(&folder.path().join(format!("{lead}.ndjson")), &format!("lead-{lead}"), 300)
        })
        .collect();
    // The follower may not be listening yet: it sees what comes after it asked, so events come
    // until it has enough.
    let ingests: Vec<_> = files
        .iter()
        .map(|file| leadstream(&data, &["ingest", file]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    for ingest in ingests {
        let reported = String::from_utf8(ingest.wait_with_output().unwrap().stdout).unwrap();
        assert!(
            reported.ends_with("received=300 advanced=300 duplicate=0 late=0 dead_lettered=0\n"),
            "{reported}"
        );
    }
    let mut more = 4;
    eventually("two predictions for the follower", || {
        let file = messages(&folder.path().join("more.ndjson"), &format!("lead-{more}"), 1);
        more += 1;
        output(&data, &["ingest", &file]);
        follower.try_wait().unwrap().map(|status| assert!(status.success()))
    });
    let seen = String::from_utf8(follower.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(seen.lines().count(), 2);

    let (status, text) = instance.get("/metrics", None);
    assert_eq!(status, 200);
    let count =
        |name: &str| metric(&text, &format!("leadstream_interactions_total{{outcome=\"{name}\"}}"));
    assert_eq!(count("advanced"), 1_200.0 + f64::from(more - 4));
    assert_eq!(count("late") + count("dead_lettered"), 0.0);
    assert!(text.contains("leadstream_lag_records{partition=\"0\"} 0"), "{text}");
    let lead: Value =
        serde_json::from_str(&output(&data, &["lead", "acme", "lead-2", "--json"])).unwrap();
    assert_eq!(lead["events"], 300);
    let page = output(&data, &["lead", "acme", "lead-2"]);
    assert!(
        page.starts_with("acme:lead-2, no owner\nStage: ")
            && page.contains("\nNext: ")
            && page.contains("\nconversion likelihood  ")
            && page.contains("not calibrated on acme's outcomes"),
        "{page}"
    );
    let tasks = usize::try_from(more).unwrap().min(20);
    let list: Value =
        serde_json::from_str(&output(&data, &["worklist", "acme", "--json"])).unwrap();
    assert_eq!(list["tasks"].as_array().unwrap().len(), tasks);
    let page = output(&data, &["worklist", "acme"]);
    let place = tasks.to_string();
    assert!(tasks == 0 || page.lines().any(|line| line.starts_with(&place)), "{page}");
    assert!(page.contains("As of 2026-"), "{page}");
    assert!(output(&data, &["replay"]).starts_with("digest="));
}

#[test]
fn the_commands_routes_need_the_token_and_unmapped_stage_names_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let instance = Instance::start(&data);
    output(&data, &["ingest", &messages(&folder.path().join("a.ndjson"), "a", 3)]);
    for token in [None, Some("guess"), Some("")] {
        let (status, text) = instance.get("/local/v1/status", token);
        assert_eq!(status, 401, "{text}");
        assert!(!text.contains("Stufe"));
    }
    let (status, text) = instance.get("/local/v1/status", Some(&instance.token));
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["unmapped_stages"]["acme"]["Stufe 7"]), (200, &Value::from(3)));
    assert_eq!(instance.get("/local/v1/lead?key=acme%3Anobody", Some(&instance.token)).0, 404);
    assert_eq!(instance.get("/local/v1/lead?key=acme", Some(&instance.token)).0, 400);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(data.join("address.json")).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_definition_is_put_in_force_once_and_a_version_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _instance = Instance::start(&data);
    let file = folder.path().join("stages.json");
    let write = |names: &str| {
        let text = format!(
            r#"{{"tenant":"acme","kind":"stages","name":"crm","version":1,"effective_at":"2026-01-01T00:00:00Z","body":{{"names":{names}}}}}"#
        );
        fs::write(&file, text).unwrap();
    };
    let define = || leadstream(&data, &["apply", file.to_str().unwrap()]).output().unwrap();
    write(r#"{"Stufe 7":"evaluation"}"#);
    assert_eq!(String::from_utf8(define().stdout).unwrap(), "acme:stages:crm:1\n");
    assert!(String::from_utf8(define().stdout).unwrap().contains("known"));
    write(r#"{"Stufe 7":"intent"}"#);
    assert!(String::from_utf8(define().stderr).unwrap().contains("next version"));
    write(r#"{"Stufe 7":"nowhere"}"#);
    assert!(String::from_utf8(define().stderr).unwrap().contains("names.Stufe 7"));
    output(&data, &["ingest", &messages(&folder.path().join("a.ndjson"), "a", 1)]);
    let lead: Value =
        serde_json::from_str(&output(&data, &["lead", "acme", "a", "--json"])).unwrap();
    assert_eq!(lead["stage"], "evaluation");
}

#[test]
fn an_instance_ends_cleanly_when_told_and_a_killed_one_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut instance = Instance::start(&data);
    output(&data, &["ingest", &messages(&folder.path().join("a.ndjson"), "a", 30)]);
    let refused = leadstream(&data, &["run"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("in use"),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
    instance.signal("TERM");
    assert!(instance.child.wait().unwrap().success());
    assert!(!data.join("address.json").exists());

    let mut killed = Instance::start(&data);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(data.join("address.json").exists());
    let lead: Value =
        serde_json::from_str(&output(&data, &["lead", "acme", "a", "--json"])).unwrap();
    assert_eq!(lead["events"], 30);
    let again = Instance::start(&data);
    assert_eq!(again.get("/livez", None).0, 200);
}

#[test]
fn a_followed_file_is_taken_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let instance = Instance::start(&data);
    let path = folder.path().join("grows.ndjson");
    let text = fs::read(messages(&path, "a", 20)).unwrap();
    let half = text.len() / 2;
    fs::write(&path, &text[..half]).unwrap();
    let mut ingest =
        leadstream(&data, &["ingest", "--follow", "--rate", "500", path.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let advanced = || {
        metric(
            &instance.get("/metrics", None).1,
            "leadstream_interactions_total{outcome=\"advanced\"}",
        )
    };
    let whole_lines = text[..half].iter().filter(|byte| **byte == b'\n').count() as f64;
    eventually("the whole lines of the first half", || (advanced() == whole_lines).then_some(()));
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&text[half..]).unwrap();
    eventually("the rest", || (advanced() == 20.0).then_some(()));
    signal(&ingest, "INT");
    assert!(ingest.wait().unwrap().success());
}

#[test]
fn an_experiment_is_listed_shown_told_of_and_audited() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let define = |version: u32, more: &str| {
        let path = folder.path().join(format!("{version}.json"));
        let text = format!(
            r#"{{"tenant":"acme","kind":"experiment","name":"tone","version":{version},"effective_at":"2026-01-0{version}T00:00:00Z","body":{{
            "unit":"lead","salt":"s","window_hours":24,"arms":[{{"strategy":"empathetic","weight":1}},{{"strategy":"assertive","weight":1}}],
            "goal":{{"metric":"reply_rate"}},"planned_units":100{more}}}}}"#
        );
        fs::write(&path, text).unwrap();
        leadstream(&data, &["apply", path.to_str().unwrap()]).output().unwrap()
    };
    assert!(define(1, r#","agents_max":2"#).status.success());
    let refused = define(2, r#","agents_max":2,"revises":1,"alpha":0.1"#);
    let reported = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && reported.contains("was registered with version 1"),
        "{reported}"
    );
    assert!(define(2, r#","agents_max":2,"revises":1,"traffic_allocation":9000"#).status.success());
    let day_ms = 86_400_000_i64;
    let mut lines = String::new();
    for number in 0..120_i64 {
        let at = 1_767_225_600_000 + number * day_ms / 10;
        for (again, at) in
            [at, at + day_ms / 24].into_iter().take(1 + usize::from(number % 3 > 0)).enumerate()
        {
            lines += &format!(
                r#"{{"event_id":"00000000-0000-5000-8000-{:012}","event_type":"message.received","tenant_id":"acme","lead_id":"l-{number}","occurred_at":{at},"received_at":{at},"source_system":"crm","channel":"sms","agent_id":"a-{}","content":{{"text":"hi"}}}}"#,
                number * 2 + again as i64,
                number % 2
            );
            lines.push('\n');
        }
    }
    let path = folder.path().join("events.ndjson");
    fs::write(&path, lines).unwrap();
    output(&data, &["ingest", path.to_str().unwrap()]);

    let list = output(&data, &["experiment", "list"]);
    let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["acme", "tone", "2", "running", "lead", "reply_rate"], "{list}");
    assert!(row[6].parse::<u64>().unwrap() > 90 && row[7] == "continue", "{list}");
    let listed: Value =
        serde_json::from_str(&output(&data, &["--json", "experiment", "list", "--tenant", "acme"]))
            .unwrap();
    assert_eq!((&listed[0]["experiment"], listed.as_array().unwrap().len()), (&"tone".into(), 1));
    assert_eq!(output(&data, &["experiment", "list", "--tenant", "other"]).lines().count(), 1);
    let shown = output(&data, &["experiment", "show", "acme", "tone"]);
    assert!(
        shown.contains("version 1, from 2026-01-01, begins it, running")
            && shown.contains("version 2, from 2026-01-02, revises version 1")
    );
    assert!(
        !leadstream(&data, &["experiment", "show", "acme", "tune"])
            .output()
            .unwrap()
            .status
            .success()
    );

    let results = output(&data, &["experiment", "results", "acme", "tone"]);
    let reported: Value =
        serde_json::from_str(&output(&data, &["--json", "experiment", "results", "acme", "tone"]))
            .unwrap();
    let looks = reported["results"]["looks"].as_array().unwrap().len();
    assert!(
        looks >= 5
            && results
                .lines()
                .filter(|line| line.starts_with("2026-01-") && line.contains('o'))
                .count()
                == looks,
        "{results}"
    );
    assert!(results.contains("continue:") && results.contains("reply_rate  goal"), "{results}");
    let insights = output(&data, &["experiment", "segments", "acme"]);
    assert!(insights.lines().nth(1) == Some("No segment shows an effect yet."), "{insights}");
    // Of the first week, whose windows are over: leads of both arms.
    let rows = insights
        .lines()
        .filter(|line| line.starts_with("agent:"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let leads: Vec<u64> =
        rows.map(|row| row[2].parse::<u64>().unwrap() + row[3].parse::<u64>().unwrap()).collect();
    assert!(leads.len() == 2 && (60..=70).contains(&(leads[0] + leads[1])), "{insights}");
    let audit = output(&data, &["experiment", "audit"]);
    let units = row[6];
    assert!(
        audit.starts_with("exposures=")
            && audit.contains(&format!("units={units} crossed=0 unsealed=0 wrong=0")),
        "{audit}"
    );
}

#[test]
fn the_life_of_an_experiment_goes_on_by_versions_that_differ_in_the_state_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (data, path) = (folder.path().join("data"), folder.path().join("file"));
    let definition = r#"{"tenant":"acme","kind":"experiment","name":"tone","version":1,"effective_at":"2026-01-02T00:00:00Z","body":{"unit":"lead",
        "salt":"1","arms":[{"strategy":"empathetic","weight":1},{"strategy":"assertive","weight":1}],"window_hours":72,"state":"draft"}}"#;
    fs::write(&path, definition).unwrap();
    output(&data, &["apply", path.to_str().unwrap()]);
    let change = |arguments: &[&str]| {
        leadstream(&data, &[&["experiment"], arguments].concat()).output().unwrap()
    };
    let state = |options: &[&str]| {
        let listed: Value = serde_json::from_str(&output(
            &data,
            &[&["--json", "experiment", "list"], options].concat(),
        ))
        .unwrap();
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {}", row["version"], row["state"]))
            .collect::<Vec<_>>()
    };
    let refused = |arguments: &[&str], why: &str| {
        let output = change(arguments);
        let reported = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && reported.contains(why), "{reported}");
    };
    refused(
        &["start", "acme", "tone", "--at", "2026-01-01T12:00:00Z"],
        "version 1 takes effect at 2026-01-02T00:00:00Z: give a later time",
    );
    refused(&["pause", "acme", "tune"], "acme has no experiment tune");
    let exposed = || {
        output(&data, &["experiment", "audit"])
            .split_whitespace()
            .find_map(|word| word.strip_prefix("units=")?.parse::<u64>().ok())
    };
    let come = |day: i64, leads: std::ops::Range<i64>| {
        let line = |number: i64| {
            let at = 1_767_225_600_000 + day * 86_400_000;
            format!(
                r#"{{"event_id":"00000000-0000-5000-9000-{number:012}","event_type":"message.received","tenant_id":"acme","lead_id":"n-{number}","occurred_at":{at},"received_at":{at},"source_system":"crm","channel":"sms","content":{{"text":"hi"}}}}"#
            )
        };
        fs::write(&path, leads.map(line).collect::<Vec<_>>().join("\n")).unwrap();
        output(&data, &["ingest", path.to_str().unwrap()]);
    };
    come(3, 0..30);
    assert_eq!(exposed(), Some(0), "a draft lets nobody in");
    assert!(change(&["start", "acme", "tone", "--at", "2026-01-05T00:00:00Z"]).status.success());
    refused(&["start", "acme", "tone"], "tone is running since version 2");
    come(5, 30..60);
    let before = exposed().unwrap();
    assert!(before > 20, "{before}");
    assert!(
        change(&["pause", "acme", "tone", "--at", "2026-01-07T00:00:00Z", "--reason", "holidays"])
            .status
            .success()
    );
    assert_eq!(state(&[]), [r#"3 "paused""#]);
    let shown = output(&data, &["experiment", "show", "acme", "tone"]);
    assert!(
        shown.contains("version 3, from 2026-01-07, revises version 1, paused")
            && shown.contains("holidays"),
        "{shown}"
    );
    come(8, 60..90);
    assert_eq!(exposed(), Some(before), "nobody new is let in while it pauses");
    assert!(change(&["start", "acme", "tone", "--at", "2026-01-09T00:00:00Z"]).status.success());
    come(10, 90..120);
    assert!(exposed().unwrap() > before + 20, "leads are let in again");
    assert!(change(&["stop", "acme", "tone", "--at", "2026-01-17T00:00:00Z"]).status.success());
    assert!(change(&["archive", "acme", "tone"]).status.success());
    assert_eq!((state(&[]).len(), state(&["--all"])), (0, vec![r#"6 "archived""#.to_owned()]));
}
