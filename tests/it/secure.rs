//! Kafka behind passwords and certificates: each way in works, and what is refused is told soon,
//! clearly and without a secret.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::broker::{Broker, STRANGER, certificate, is_there};
use crate::kafka::{Fleet, PARTITIONS};

const USER: (&str, &str) = ("leadstream", "open-sesame");
/// 10 s is what a refusal may take by itself; a machine that is busy with other tests starts the
/// command late.
const ENDS: Duration = Duration::from_secs(20);

/// A fleet that is told to speak a protocol as a user who trusts a certificate.
fn fleet(
    folder: &Path,
    (servers, protocol): (&str, &str),
    (user, password): (&str, &str),
    trusted: &Path,
) -> Fleet {
    let mut more = format!(
        "[kafka.properties]\n\"security.protocol\" = \"{protocol}\"\n\"broker.address.family\" = \"v4\"\n"
    );
    if protocol.starts_with("SASL") {
        more += "\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n";
        more += &format!("\"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"{password}\"\n");
    }
    if protocol.ends_with("SSL") {
        more += &format!("\"ssl.ca.location\" = \"{}\"\n", trusted.display());
    }
    fs::create_dir_all(folder).unwrap();
    Fleet::new(folder, servers, more.leak())
}

/// What a command says, with all that its log may hold.
fn run(fleet: &Fleet, arguments: &[&str]) -> (bool, String) {
    let output =
        fleet.command(0, arguments).env("LEADSTREAM__LOGGING__LEVEL", "debug").output().unwrap();
    (output.status.success(), reported(&output))
}

fn reported(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn each_listener_is_used_and_what_it_refuses_is_told_with_the_remedy_and_without_a_secret() {
    if !is_there() || std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_broker, secured) = Broker::start_secured(folder.path(), USER.0, USER.1);
    let foreign = certificate(folder.path(), "foreign", None);
    let mut all = String::new();
    for (number, (protocol, servers)) in secured.servers.iter().enumerate() {
        let mut fleet =
            fleet(&folder.path().join(protocol), (servers, protocol), USER, &secured.authority);
        fleet.start(0);
        let event = format!(
            r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"page.viewed","tenant_id":"acme","lead_id":"ann","occurred_at":1767225600000,"received_at":1767225600000,"source_system":"crm"}}"#
        );
        let file = fleet.folder.join("events.ndjson");
        fs::write(&file, event).unwrap();
        let (_, ingested) = run(&fleet, &["ingest", file.to_str().unwrap()]);
        assert!(
            ingested.contains("received=1 advanced=1"),
            "{protocol}: {ingested} {}",
            fleet.log(0)
        );
        let ((is_fine, doctor), (_, check)) =
            (run(&fleet, &["doctor"]), run(&fleet, &["config", "check"]));
        assert!(is_fine, "{doctor}");
        assert!(
            !protocol.starts_with("SASL") || check.contains("\"sasl.password\" = \"***\""),
            "{check}"
        );
        fleet.end(0);
        all += &(ingested + &doctor + &check + &fleet.log(0));
    }

    let (password, trust) =
        ("check sasl.mechanism, sasl.username and sasl.password", "check ssl.ca.location");
    let refused = [
        ("SASL_PLAINTEXT", (USER.0, "guessed-wrong"), &secured.authority, password),
        ("SASL_SSL", ("nobody", "guessed-wrong"), &secured.authority, password),
        ("SSL", USER, &foreign, trust),
        ("SASL_SSL", USER, &foreign, trust),
    ];
    for (number, (protocol, user, trusted, remedy)) in refused.into_iter().enumerate() {
        let fleet = fleet(
            &folder.path().join(number.to_string()),
            (&secured.servers[protocol], protocol),
            user,
            trusted,
        );
        for command in ["run", "doctor"] {
            let began = Instant::now();
            let (is_fine, text) = run(&fleet, &[command]);
            assert!(
                !is_fine && began.elapsed() < ENDS,
                "{protocol} {command}: {:?}",
                began.elapsed()
            );
            assert!(text.contains(remedy), "{protocol} {command}: {text}");
            all += &text;
        }
    }
    // Who speaks the wrong protocol is not answered, and hears which key that may be.
    let plain =
        fleet(&folder.path().join("plain"), (&secured.servers["SSL"], "PLAINTEXT"), USER, &foreign);
    let (is_fine, text) = run(&plain, &["dlq", "list"]);
    assert!(!is_fine && text.contains("security.protocol"), "{text}");
    for secret in [USER.1, "guessed-wrong"] {
        assert!(!all.contains(secret), "a secret is told");
    }
}

#[test]
fn a_user_who_may_do_nothing_is_told_what_to_allow() {
    if !is_there() || std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (broker, secured) = Broker::start_secured(folder.path(), USER.0, USER.1);
    let settings = crate::kafka::settings(&broker.servers);
    let created = leadstream::log::kafka::Settings { creates_topics: true, ..settings };
    assert_eq!(
        leadstream::log::kafka::open(created, &leadstream::codec::topics::ALL).unwrap().partitions,
        PARTITIONS
    );
    let protocol = "SASL_PLAINTEXT";
    let fleet = fleet(
        &folder.path().join("stranger"),
        (&secured.servers[protocol], protocol),
        STRANGER,
        &secured.authority,
    );
    let (is_fine, text) = run(&fleet, &["doctor"]);
    assert!(
        !is_fine
            && text.contains(
                "topic lead.interactions.v1: this user may not describe it: allow it DESCRIBE"
            ),
        "{text}"
    );
    assert!(
        text.contains("topic leadstream.state.v1 cannot be read") && text.contains("kafka-acls"),
        "{text}"
    );
    let (is_fine, text) = run(&fleet, &["run"]);
    assert!(!is_fine && text.contains("may not describe it"), "{text}");
}
