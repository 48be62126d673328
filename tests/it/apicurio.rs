//! Kafka with a real schema registry: Apicurio of its own on a free port of the loopback address,
//! stopped with the test.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::broker::{self, Broker, free_port};
use leadstream::codec::interaction::{from_json, to_avro};
use leadstream::codec::{avro, hex};
use leadstream::domain::hash::partition_of;

/// How long it may take to start.
const STARTS: Duration = Duration::from_secs(120);

/// A running registry, which keeps its schemas in memory.
pub struct Apicurio {
    /// Where the API begins.
    pub url: String,
    process: Child,
}

/// Where `make kafka` unpacks it.
fn home() -> PathBuf {
    let home = env::var_os("LEADSTREAM_REGISTRY_HOME");
    home.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka/registry"),
        PathBuf::from,
    )
}

/// Whether tests with a registry can run; says what to do where they cannot, and fails where they
/// must.
pub fn is_there() -> bool {
    let there = home().is_dir();
    if !there {
        let sentence = "the schema registry is not there: `make kafka` fetches it (it needs Java \
            17 and Maven)";
        assert!(env::var_os("CI").is_none(), "{sentence}");
        eprintln!("NOT RUN: {sentence}");
    }
    there
}

impl Apicurio {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let jar = fs::read_dir(home()).unwrap().map(|entry| entry.unwrap().path());
        let jar =
            jar.into_iter().find(|path| path.to_string_lossy().ends_with("-runner.jar")).unwrap();
        let port = free_port();
        let mut command = Command::new("java");
        command.args(["-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]).arg(jar);
        command
            .env("QUARKUS_HTTP_PORT", port.to_string())
            .env("QUARKUS_HTTP_HOST", "127.0.0.1")
            .current_dir(home());
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { url: format!("http://127.0.0.1:{port}/apis/ccompat/v7"), process };
        let until = Instant::now() + STARTS;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the registry does not start");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        registry
    }

    /// From now on it takes connections and answers nothing, until told to go on.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// It answers again.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.process.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Apicurio {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

const PARTITIONS: u32 = 6;
const INTERACTIONS: &str = "lead.interactions.v1";
/// How long what must happen may take.
const COMES: Duration = Duration::from_secs(120);

/// Status and body of a request.
fn http(method: &str, url: &str, body: Option<&Value>) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), url);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

impl Apicurio {
    /// Registers a schema; its id.
    fn register(&self, topic: &str, schema: &str) -> u32 {
        let url = format!("{}/subjects/{topic}-value/versions", self.url);
        let (status, text) = http("POST", &url, Some(&json!({ "schema": schema })));
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["id"].as_u64().unwrap() as u32
    }
}

/// The binary on a broker and a registry.
struct Place {
    folder: tempfile::TempDir,
    broker: Broker,
    registry: Apicurio,
    producer: BaseProducer,
}

/// An instance, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Place {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (broker, registry) = (Broker::start(folder.path()), Apicurio::start());
        let producer =
            ClientConfig::new().set("bootstrap.servers", &broker.servers).create().unwrap();
        Self { folder, broker, registry, producer }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let config = self.folder.path().join("leadstream.toml");
        let text = format!(
            "data_dir = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[kafka]\nbootstrap_servers = \"{}\"\nreplication_factor = 1\n\
             partitions = {PARTITIONS}\n[schema_registry]\nurl = \"{}/\"\ntimeout_ms = 3000\n",
            self.data().display(),
            self.broker.servers,
            self.registry.url
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
        command.arg("--config").arg(config).args(arguments).stdin(Stdio::null());
        command
    }

    fn reported(&self, arguments: &[&str]) -> (bool, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn run(&self) -> Running {
        let reported = fs::File::create(self.folder.path().join("log")).unwrap();
        Running(self.command(&["run"]).stdout(Stdio::null()).stderr(reported).spawn().unwrap())
    }

    fn produce(&self, lead: &str, value: &[u8]) {
        let key = format!("acme:{lead}");
        let partition = partition_of(key.as_bytes(), PARTITIONS).0.cast_signed();
        self.producer
            .send(BaseRecord::to(INTERACTIONS).partition(partition).key(&key).payload(value))
            .unwrap();
        self.producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// Records of a topic as `tail` shows them.
    fn tail(&self, topic: &str) -> Vec<Value> {
        let (fine, text, error) = self.reported(&["tail", topic, "--from-start", "--until-end"]);
        assert!(fine, "{error}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The first value of a topic that a committed reader meets.
    fn first(&self, topic: &str) -> Vec<u8> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.broker.servers)
            .set("group.id", "first")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let until = Instant::now() + COMES;
        loop {
            assert!(Instant::now() < until, "{topic} is empty");
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                return message.payload().unwrap().to_vec();
            }
        }
    }

    /// How many predictions each event has.
    fn predicted(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for record in self.tail("lead.predictions.v1") {
            *counted
                .entry(record["value"]["event_id"].as_str().unwrap_or("unreadable").to_owned())
                .or_default() += 1;
        }
        counted
    }

    /// What the running instance says.
    fn says(&self, path: &str) -> (u16, String) {
        let address: Value =
            serde_json::from_slice(&fs::read(self.data().join("address.json")).unwrap()).unwrap();
        http("GET", &format!("{}{path}", address["url"].as_str().unwrap()), None)
    }

    fn await_that(&self, what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + COMES;
        while !holds() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "{what} does not happen: {log}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

fn event_id(number: u32) -> String {
    format!("00000000-0000-5000-8000-{number:012}")
}

/// An event, single-object encoded.
fn single(lead: &str, number: u32) -> Vec<u8> {
    single_at(1_767_225_600_000, lead, number)
}

fn single_at(at: i64, lead: &str, number: u32) -> Vec<u8> {
    let line = format!(
        r#"{{"event_id":"{}","event_type":"page.viewed","tenant_id":"acme","lead_id":"{lead}","occurred_at":{at},"received_at":{at},"source_system":"crm"}}"#,
        event_id(number)
    );
    to_avro(&from_json(line.as_bytes()).unwrap())
}

/// An event as a producer with a registry writes it, with the fields that its schema has behind
/// ours.
fn framed(lead: &str, number: u32, (id, behind): (u32, &[u8])) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], &single(lead, number)[10..], behind].concat()
}

/// The schema of the interactions with one more field, which may be left out.
fn extended(name: &str) -> String {
    let mut schema: Value = serde_json::from_str(avro::INTERACTIONS.text).unwrap();
    schema["fields"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": name, "type": ["null", "string"], "default": null }));
    schema.to_string()
}

#[test]
fn own_schemas_are_registered_once_and_what_is_incompatible_is_refused() {
    if !broker::is_there() || !is_there() {
        return;
    }
    let place = Place::start();
    let (fine, _, error) = place.reported(&["run"]);
    assert!(
        !fine
            && error.contains("leadstream schemas register")
            && error.contains("lead.predictions.v1"),
        "{error}"
    );
    place.registry.register("lead.alerts.v1", "\"string\"");
    let outcomes = |reported: &(bool, String, String)| {
        let lines = reported.1.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let reported = place.reported(&["schemas", "register", "--json"]);
    assert!(!reported.0 && reported.2.contains("refused 1 of 7"), "{reported:?}");
    assert_eq!(outcomes(&reported), ["new", "new", "refused", "new", "new", "new", "new"]);
    assert!(reported.1.contains("ncompatible"), "{reported:?}");
    let (status, text) =
        http("DELETE", &format!("{}/subjects/lead.alerts.v1-value", place.registry.url), None);
    assert_eq!(status, 200, "{text}");
    let reported = place.reported(&["schemas", "register", "--json"]);
    assert_eq!(
        (reported.0, outcomes(&reported)),
        (
            true,
            ["known", "known", "new", "known", "known", "known", "known"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    let (fine, table, error) = place.reported(&["schemas", "register"]);
    assert!(fine, "{error}");
    assert_eq!(table.lines().filter(|line| line.ends_with("known")).count(), 7, "{table}");
    assert_eq!(
        table.lines().map(str::len).collect::<std::collections::BTreeSet<_>>().len(),
        2,
        "{table}"
    );

    // From now on the registry refuses whoever would break the topic's readers.
    let mut schema: Value = serde_json::from_str(avro::PREDICTIONS.text).unwrap();
    schema["fields"].as_array_mut().unwrap().push(json!({ "name": "needed", "type": "string" }));
    let url = format!("{}/subjects/lead.predictions.v1-value/versions", place.registry.url);
    let (status, text) = http("POST", &url, Some(&json!({ "schema": schema.to_string() })));
    assert_eq!(status, 409, "{text}");
}

#[test]
fn values_of_registered_schemas_are_taken_exactly_once_also_when_the_registry_is_away_meanwhile() {
    if !broker::is_there() || !is_there() {
        return;
    }
    let place = Place::start();
    let (fine, table, error) = place.reported(&["schemas", "register"]);
    assert!(fine, "{error}");
    let line = table.lines().find(|line| line.starts_with("lead.predictions.v1-value")).unwrap();
    let predictions: u32 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let known = (place.registry.register(INTERACTIONS, &extended("note")), &[0][..]);
    let later = (place.registry.register(INTERACTIONS, &extended("remark")), &[0][..]);
    assert_ne!(known.0, later.0);
    let [waits, goes_on] = [0, 1].map(|partition| {
        let mut names = (0..).map(|number| format!("lead-{number}"));
        names
            .find(|lead| partition_of(format!("acme:{lead}").as_bytes(), PARTITIONS).0 == partition)
            .unwrap()
    });

    let mut instance = place.run();
    place.await_that("the instance is ready", || {
        place.data().join("address.json").exists() && place.says("/readyz").0 == 200
    });
    place.produce(&waits, &framed(&waits, 1, known));
    let strange = framed(&waits, 2, (999_999, &[]));
    place.produce(&waits, &strange);
    place.produce(&goes_on, &single(&goes_on, 3));
    place.await_that("a known schema is read", || place.predicted().len() == 2);
    place.await_that("an unknown schema is a dead letter", || {
        place.tail("lead.dead-letters.v1").len() == 1
    });
    let letter = &place.tail("lead.dead-letters.v1")[0];
    assert!(letter["reason"].as_str().unwrap().starts_with("unknown_schema"), "{letter}");
    assert_eq!(letter["value"]["hex"], hex(&strange));

    place.registry.hang();
    place.produce(&waits, &framed(&waits, 4, later));
    place.produce(&waits, &framed(&waits, 5, known));
    place.produce(&goes_on, &framed(&goes_on, 6, known));
    let waiting = || {
        place
            .says("/metrics")
            .1
            .lines()
            .any(|line| line == "leadstream_registry_waiting_partitions 1")
    };
    place.await_that("a partition waits", waiting);
    let counted = || {
        place
            .says("/metrics")
            .1
            .lines()
            .any(|line| line == "leadstream_interactions_total{outcome=\"advanced\"} 3")
    };
    place.await_that("the other partition goes on", counted);
    assert_eq!(place.says("/livez").0, 200);
    place.registry.go_on();
    place.await_that("everything is taken", || place.predicted().len() == 5);
    let once: BTreeMap<String, usize> = [1, 3, 4, 5, 6].map(|number| (event_id(number), 1)).into();
    assert_eq!(place.predicted(), once);
    assert_eq!(place.tail("lead.dead-letters.v1").len(), 1);

    assert_eq!(
        place.first("lead.predictions.v1")[..5],
        [&[0], &predictions.to_be_bytes()[..]].concat()
    );
    let reported =
        Command::new("kill").args(["-TERM", &instance.0.id().to_string()]).status().unwrap();
    assert!(reported.success() && instance.0.wait().is_ok());
    let (fine, _, error) = place.reported(&["replay"]);
    assert!(fine, "{error}");
}

/// Feeds a program; it must succeed.
fn feed(mut command: Command, input: &[u8]) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Standard output of a program that must succeed; `None` where it is not installed.
fn output(mut command: Command) -> Option<String> {
    let Ok(Output { status, stdout, stderr }) = command.stdin(Stdio::null()).output() else {
        return None;
    };
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Some(String::from_utf8_lossy(&stdout).into_owned())
}

/// What Java's own producer sends, which reads lines: at the start of 1970 every byte of such an
/// event is a character.
fn produce_with_java(place: &Place, id: u32, leads: &[String]) {
    let line = |(number, lead): (u32, &String)| {
        let key = format!("acme:{lead}|").into_bytes();
        [&key[..], &[0], &id.to_be_bytes(), &single_at(0, lead, number)[10..], b"\n"].concat()
    };
    let lines: Vec<u8> = (100..).zip(leads).flat_map(line).collect();
    assert!(
        lines.is_ascii()
            && !lines.contains(&b'\r')
            && lines.split(|byte| *byte == b'\n').count() == leads.len() + 1
    );
    let mut arguments = vec!["--bootstrap-server", &place.broker.servers, "--topic", INTERACTIONS];
    arguments.extend([
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=|",
    ]);
    feed(broker::java("org.apache.kafka.tools.ConsoleProducer", &arguments), &lines);
}

#[test]
fn programs_of_others_write_events_and_read_predictions_with_the_registry() {
    if !broker::is_there() || !is_there() {
        return;
    }
    let place = Place::start();
    let (fine, table, error) = place.reported(&["schemas", "register"]);
    assert!(fine, "{error}");
    let id = |topic: &str| -> u32 {
        let line = table.lines().find(|line| line.starts_with(topic)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let _instance = place.run();
    place.await_that("the instance is ready", || {
        place.data().join("address.json").exists() && place.says("/readyz").0 == 200
    });

    // Java's default partitioner: an event on another partition than its key's would be a dead
    // letter.
    let leads: Vec<String> = (10..30).map(|number| format!("java-{number}")).collect();
    produce_with_java(&place, id(INTERACTIONS), &leads);
    let mut expected = leads.len();
    let python = env::var("LEADSTREAM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_client = Command::new(&python)
        .args(["-c", "import confluent_kafka.schema_registry.avro"])
        .stderr(Stdio::null())
        .status();
    let has_client = has_client.is_ok_and(|status| status.success());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/interop.py");
    let client = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command
            .arg(&script)
            .arg(arguments[0])
            .args([&place.broker.servers, &place.registry.url])
            .args(&arguments[1..]);
        output(command).unwrap()
    };
    if has_client {
        for number in 0..4 {
            client(&["produce", &format!("python-{number}"), &event_id(200 + number)]);
            expected += 1;
        }
    } else {
        eprintln!(
            "NOT RUN: {python} has no confluent-kafka: pip install \
                'confluent-kafka[avro,schemaregistry]'"
        );
    }
    place.await_that("every event is scored", || place.predicted().len() == expected);
    assert_eq!(place.tail("lead.dead-letters.v1"), Vec::<Value>::new());

    let count = expected.to_string();
    let is_each_there =
        |text: &str| leads.iter().all(|lead| text.contains(&format!("acme:{lead}")));
    let mut arguments = vec![
        "--topic",
        "lead.predictions.v1",
        "--from-beginning",
        "--isolation-level",
        "read_committed",
    ];
    arguments.extend([
        "--max-messages",
        &count,
        "--timeout-ms",
        "60000",
        "--formatter-property",
        "print.key=true",
    ]);
    arguments.extend([
        "--formatter-property",
        "value.deserializer=org.apache.kafka.common.serialization.BytesDeserializer",
    ]);
    let text = place.broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
    let frame: String = [&[0], &id("lead.predictions.v1").to_be_bytes()[..]]
        .concat()
        .iter()
        .map(|byte| format!("\\x{byte:02X}"))
        .collect();
    assert!(is_each_there(&text), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(&frame)).count(), expected, "{text}");
    if has_client {
        let text = client(&["consume", &count]);
        assert!(is_each_there(&text) && text.lines().count() == expected, "{text}");
    }
    let mut kcat = Command::new("kcat");
    kcat.args([
        "-b",
        &place.broker.servers,
        "-C",
        "-t",
        "lead.predictions.v1",
        "-o",
        "beginning",
        "-e",
        "-q",
        "-f",
        "%k %S\\n",
    ]);
    match output(kcat) {
        Some(text) => assert!(is_each_there(&text) && text.lines().count() == expected, "{text}"),
        None => eprintln!("NOT RUN: kcat is not installed (Debian: kafkacat)"),
    }
}
