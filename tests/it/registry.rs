//! The schema registry: what its answers mean, who waits for them, and how own values are framed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use leadstream::app::replay::replay;
use leadstream::codec::avro::{self, Key};
use leadstream::codec::interaction::{from_avro_with, from_json, to_avro};
use leadstream::codec::model::starting_rules;
use leadstream::codec::record::{Batches, Record};
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::{Offset, Partition};
use leadstream::engine::worker::{Options, Views, Worker};
use leadstream::log::registry::{Error, Found, Registry, Schemas, Settings, frames};
use leadstream::log::{Embedded, Error as LogError, Options as LogOptions, Reader};
use leadstream::telemetry::metrics::Metrics;

const START_MS: i64 = 1_767_225_600_000;
const INTERACTIONS: &str = "lead.interactions.v1";
/// How long an answer that is certain to come may take.
const COMES: Duration = Duration::from_secs(60);

/// What a place of the invented registry answers.
#[derive(Clone)]
enum Reply {
    Says(u16, String),
    Hangs,
    NeverEnds,
}

#[derive(Default)]
struct Places {
    replies: BTreeMap<String, Reply>,
    asked: Vec<String>,
    /// What was shown last to be let in.
    shown: Option<String>,
}

/// A registry that answers as it is told.
struct Invented {
    url: String,
    places: Arc<Mutex<Places>>,
    _runtime: tokio::runtime::Runtime,
}

async fn answer(
    State(places): State<Arc<Mutex<Places>>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let reply = {
        let mut places = places.lock().unwrap();
        places.asked.push(uri.path().to_owned());
        places.shown = headers.get(AUTHORIZATION).map(|shown| shown.to_str().unwrap().to_owned());
        places.replies.get(uri.path()).cloned()
    };
    match reply {
        Some(Reply::Says(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Some(Reply::Hangs) => std::future::pending().await,
        Some(Reply::NeverEnds) => {
            let pieces =
                std::iter::repeat_with(|| Ok::<_, std::convert::Infallible>(" ".repeat(1 << 16)));
            Body::from_stream(tokio_stream::iter(pieces)).into_response()
        }
        None => (StatusCode::NOT_FOUND, r#"{"error_code":40403,"message":"Schema not found"}"#)
            .into_response(),
    }
}

impl Invented {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let places = Arc::new(Mutex::new(Places::default()));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(places.clone());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, places, _runtime: runtime }
    }

    fn reply(&self, path: &str, reply: Reply) {
        self.places.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// Has the interactions' schema under an id.
    fn knows(&self, id: u32) {
        self.reply(&format!("/schemas/ids/{id}"), says(avro::INTERACTIONS.text));
    }

    fn asked(&self, path: &str) -> usize {
        self.places.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }

    fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            username: String::new(),
            password: String::new(),
            timeout: Duration::from_millis(300),
            cached_ids: 16,
        }
    }

    fn registry(&self) -> Registry {
        Registry::start(&self.settings(), Arc::new(Metrics::new()))
    }

    fn schemas(&self) -> Schemas {
        Schemas::new(Some(Arc::new(self.registry())))
    }
}

fn says(schema: &str) -> Reply {
    Reply::Says(200, serde_json::json!({ "schema": schema }).to_string())
}

fn line(lead: &str, id: u32) -> String {
    format!(
        r#"{{"event_id":"00000000-0000-5000-8000-{id:012}","event_type":"page.viewed","tenant_id":"acme","lead_id":"{lead}","occurred_at":{START_MS},"received_at":{START_MS},"source_system":"crm"}}"#
    )
}

/// An event as a producer with a registry writes it.
fn framed(lead: &str, event: u32, id: u32) -> Vec<u8> {
    let single = to_avro(&from_json(line(lead, event).as_bytes()).unwrap());
    [&[0], &id.to_be_bytes()[..], &single[10..]].concat()
}

/// The key of an event, or why it is none, once the registry has answered.
fn decoded(schemas: &Schemas, value: &[u8]) -> Result<String, &'static str> {
    let event =
        schemas.read_within(COMES, value, |writers| from_avro_with(writers, value)).unwrap();
    event.map(|event| event.key.as_str().to_owned()).map_err(|error| error.code)
}

#[test]
fn a_schema_is_asked_for_once_and_what_the_registry_does_not_have_is_unknown() {
    let invented = Invented::start();
    invented.knows(7);
    let registry = invented.registry();
    let schemas = Schemas::new(Some(Arc::new(registry)));
    for event in 0..3 {
        assert_eq!(decoded(&schemas, &framed("ann", event, 7)), Ok("acme:ann".to_owned()));
        assert_eq!(decoded(&schemas, &framed("ann", event, 8)), Err("unknown_schema"));
    }
    assert_eq!((invented.asked("/schemas/ids/7"), invented.asked("/schemas/ids/8")), (1, 1));
    // No registry gives such an id, so none is asked.
    assert_eq!(decoded(&schemas, &framed("ann", 9, u32::MAX)), Err("unknown_schema"));
    assert_eq!(invented.places.lock().unwrap().asked.len(), 2);
    assert_eq!(decoded(&Schemas::default(), &framed("ann", 9, 7)), Err("unknown_schema"));
}

#[test]
fn a_schema_is_found_by_its_guid_where_the_registry_has_those() {
    let invented = Invented::start();
    let single = to_avro(&from_json(line("ann", 1).as_bytes()).unwrap());
    let value = |last: u8| [&[1], &[0; 15][..], &[last], &single[10..]].concat();
    let path = |last: u8| format!("/schemas/guids/00000000-0000-0000-0000-0000000000{last:02x}");
    invented.reply(&path(1), says(avro::INTERACTIONS.text));
    // As registries without GUIDs answer: the address means nothing to them, others do.
    invented.reply(&path(2), Reply::Says(404, String::new()));
    let schemas = invented.schemas();
    assert_eq!(decoded(&schemas, &value(1)), Ok("acme:ann".to_owned()));
    assert!(schemas.read_within(Duration::from_millis(300), &value(2), |_| ()).is_err());
    invented.reply("/schemas/types", Reply::Says(200, r#"["AVRO"]"#.to_owned()));
    assert_eq!(decoded(&schemas, &value(2)), Err("unknown_schema"));
}

#[test]
fn whatever_is_not_the_word_of_a_registry_is_waited_for_and_asked_again() {
    let invented = Invented::start();
    let replies = [
        Reply::Says(500, r#"{"error_code":50001,"message":"store"}"#.to_owned()),
        Reply::Says(429, String::new()),
        Reply::Says(401, r#"{"error_code":40101,"message":"who?"}"#.to_owned()),
        // Of a proxy, and of a registry that stands at another address.
        Reply::Says(404, "<html>not here</html>".to_owned()),
        Reply::Says(404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned()),
        Reply::Says(200, "<html>please log in</html>".to_owned()),
        Reply::Says(200, r#"{"id":3}"#.to_owned()),
        Reply::Hangs,
    ];
    for (id, reply) in (1..).zip(replies) {
        let path = format!("/schemas/ids/{id}");
        invented.reply(&path, reply);
        let schemas = invented.schemas();
        let value = framed("ann", 1, id);
        let until = Instant::now() + COMES;
        while invented.asked(&path) < 2 {
            let error =
                schemas.read_within(Duration::from_millis(300), &value, |_| ()).unwrap_err();
            assert!(matches!(&error, Error::Silent(_)), "{error}");
            assert!(Instant::now() < until, "{path} was not asked again");
        }
        assert_eq!(schemas.read(&value, |_| ()), Err(Key::Id(id)));
        invented.knows(id);
        assert_eq!(decoded(&schemas, &value), Ok("acme:ann".to_owned()));
    }
    // Nobody is there at all.
    let nowhere = Settings {
        url: format!("http://127.0.0.1:{}", crate::broker::free_port()),
        ..invented.settings()
    };
    let registry = Registry::start(&nowhere, Arc::new(Metrics::new()));
    assert_eq!(registry.find(Key::Id(1)), Found::Waiting);
}

#[test]
fn an_answer_beyond_the_bounds_is_refused_for_good() {
    let invented = Invented::start();
    invented.reply("/schemas/ids/1", Reply::NeverEnds);
    invented.reply("/schemas/ids/2", says(&" ".repeat(300 << 10)));
    invented.reply("/schemas/ids/3", says("syntax = \"proto3\";"));
    let schemas = invented.schemas();
    for id in 1..=3 {
        let value = framed("ann", 1, id);
        assert_eq!(decoded(&schemas, &value), Err("bad_schema"));
        assert_eq!(decoded(&schemas, &value), Err("bad_schema"));
        assert_eq!(invented.asked(&format!("/schemas/ids/{id}")), 1);
    }
}

#[test]
fn a_name_and_its_password_are_shown_where_they_are_configured() {
    let invented = Invented::start();
    invented.knows(1);
    assert!(decoded(&invented.schemas(), &framed("ann", 1, 1)).is_ok());
    assert_eq!(invented.places.lock().unwrap().shown, None);
    let settings = Settings {
        username: "Aladdin".to_owned(),
        password: "open sesame".to_owned(),
        ..invented.settings()
    };
    let schemas =
        Schemas::new(Some(Arc::new(Registry::start(&settings, Arc::new(Metrics::new())))));
    assert!(decoded(&schemas, &framed("ann", 1, 1)).is_ok());
    // RFC 7617, section 2.
    assert_eq!(
        invented.places.lock().unwrap().shown.as_deref(),
        Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
}

#[test]
fn waits_between_questions_grow() {
    let invented = Invented::start();
    invented.reply("/schemas/ids/1", Reply::Says(500, String::new()));
    let (registry, began) = (invented.registry(), Instant::now());
    while invented.asked("/schemas/ids/1") < 5 {
        assert_eq!(registry.find(Key::Id(1)), Found::Waiting);
        assert!(began.elapsed() < COMES);
        std::thread::park_timeout(Duration::from_millis(1));
    }
    // At 0, 0.1, 0.3, 0.7 and 1.5 seconds at the earliest.
    assert!(began.elapsed() >= Duration::from_millis(1_500));
}

/// A log in a directory of its own, with a worker's options.
struct Place {
    folder: tempfile::TempDir,
    log: Arc<Embedded>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(
            Embedded::open(folder.path(), &LogOptions { partitions: 2, ..LogOptions::default() })
                .unwrap(),
        );
        Self { folder, log }
    }

    fn append(&self, lead: &str, value: Vec<u8>) {
        let key = format!("acme:{lead}");
        let partition = partition_of(key.as_bytes(), 2).0;
        let appended_ms = START_MS;
        let record = Record {
            key: Some(key.into_bytes()),
            value: Some(value),
            reason: None,
            appended_ms,
            ingest_run: 0,
            origin: None,
        };
        self.log.append(&Batches::from([((INTERACTIONS, partition), vec![record])]), None).unwrap();
    }

    fn worker(&self, schemas: &Schemas) -> Worker<Arc<Embedded>> {
        let options = Options { schemas: schemas.clone(), ..Options::default() };
        let state: &Path = &self.folder.path().join("state");
        Worker::open(self.log.clone(), state, options, Arc::new(Metrics::new()), &Views::default())
            .unwrap()
    }

    fn records(&self, topic: &str) -> Vec<Record> {
        let snapshot = self.log.snapshot().unwrap();
        let mut records = Vec::new();
        for partition in (0..2).map(Partition) {
            let range = (Offset(0), snapshot.end(topic, partition).unwrap());
            let each = &mut |_, record| {
                records.push(record);
                Ok(())
            };
            snapshot.each::<LogError>((topic, partition), range, each).unwrap();
        }
        records
    }

    fn predicted(&self, schemas: &Schemas) -> BTreeSet<String> {
        let records = self.records("lead.predictions.v1");
        let id = |record: &Record| {
            let value = record.value.as_deref().unwrap();
            let value = schemas
                .read_within(COMES, value, |writers| avro::describe_with(writers, value))
                .unwrap()
                .unwrap();
            value["event_id"].as_str().unwrap()[24..].trim_start_matches('0').to_owned()
        };
        let ids: BTreeSet<String> = records.iter().map(id).collect();
        assert_eq!(ids.len(), records.len(), "an event has two predictions");
        ids
    }

    fn replays(&self, schemas: &Schemas) -> String {
        let report =
            replay(&self.log.snapshot().unwrap(), &starting_rules(), schemas, &mut |_| {}).unwrap();
        assert_eq!(report.difference, None);
        report.digest
    }
}

/// Takes everything, once the registry has answered.
fn settle(worker: &mut Worker<Arc<Embedded>>) {
    let until = Instant::now() + COMES;
    worker.settle().unwrap();
    while worker.is_waiting() {
        assert!(Instant::now() < until);
        std::thread::park_timeout(Duration::from_millis(1));
        worker.settle().unwrap();
    }
}

/// Leads of both partitions.
fn leads() -> [String; 2] {
    [0, 1].map(|partition| {
        let names = (0..).map(|number| format!("lead-{number}"));
        names
            .into_iter()
            .find(|lead| partition_of(format!("acme:{lead}").as_bytes(), 2) == Partition(partition))
            .unwrap()
    })
}

fn names(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_partition_waits_for_the_registry_while_the_others_go_on_and_then_takes_everything_once() {
    let invented = Invented::start();
    invented.knows(1);
    invented.reply("/schemas/ids/2", Reply::Hangs);
    let (place, schemas, [waits, goes_on]) = (Place::new(), invented.schemas(), leads());
    decoded(&schemas, &framed(&waits, 1, 1)).unwrap();
    place.append(&waits, framed(&waits, 1, 1));
    place.append(&waits, framed(&waits, 2, 2));
    place.append(&waits, framed(&waits, 3, 1));
    place.append(&goes_on, framed(&goes_on, 4, 1));
    place.append(&goes_on, to_avro(&from_json(line(&goes_on, 5).as_bytes()).unwrap()));
    let mut worker = place.worker(&schemas);
    worker.settle().unwrap();
    assert!(worker.is_waiting());
    assert_eq!(place.predicted(&schemas), names(&["1", "4", "5"]));

    place.append(&goes_on, framed(&goes_on, 6, 1));
    worker.settle().unwrap();
    assert_eq!(place.predicted(&schemas), names(&["1", "4", "5", "6"]));
    assert!(place.records("lead.dead-letters.v1").is_empty());

    invented.knows(2);
    settle(&mut worker);
    assert_eq!(place.predicted(&schemas), names(&["1", "2", "3", "4", "5", "6"]));
    assert!(place.records("lead.dead-letters.v1").is_empty());
    place.replays(&schemas);
}

#[test]
fn what_the_registry_did_not_know_is_a_dead_letter_with_its_bytes_and_a_replay_agrees_also_when_it_knows_it_later()
 {
    let invented = Invented::start();
    invented.knows(1);
    let (place, [lead, _]) = (Place::new(), leads());
    let strange = framed(&lead, 2, 2);
    place.append(&lead, framed(&lead, 1, 1));
    place.append(&lead, strange.clone());
    let schemas = invented.schemas();
    settle(&mut place.worker(&schemas));
    assert_eq!(place.predicted(&schemas), names(&["1"]));
    let letters = place.records("lead.dead-letters.v1");
    assert_eq!(
        letters.iter().map(|letter| letter.value.clone().unwrap()).collect::<Vec<_>>(),
        [strange]
    );
    assert!(letters[0].reason.as_deref().unwrap().starts_with("unknown_schema"), "{letters:?}");

    let digest = place.replays(&schemas);
    invented.knows(2);
    assert_eq!(place.replays(&invented.schemas()), digest);
}

#[test]
fn outputs_carry_the_registry_s_ids_and_the_digest_does_not_depend_on_them() {
    let invented = Invented::start();
    for (id, coded) in (50..).zip(avro::published()) {
        let missing = frames(&invented.settings()).unwrap_err().to_string();
        assert!(
            missing.contains(coded.topic) && missing.contains("leadstream schemas register"),
            "{missing}"
        );
        let registered =
            serde_json::json!({ "subject": "s", "id": id, "version": 1, "schema": coded.text });
        invented.reply(
            &format!("/subjects/{}-value", coded.topic),
            Reply::Says(200, registered.to_string()),
        );
        invented.reply(&format!("/schemas/ids/{id}"), says(coded.text));
    }
    let with = invented.schemas().framed(frames(&invented.settings()).unwrap());
    let digests = [&with, &Schemas::default()].map(|schemas| {
        let (place, leads) = (Place::new(), leads());
        for (event, lead) in (1..).zip(leads.iter().cycle().take(10)) {
            place.append(lead, to_avro(&from_json(line(lead, event).as_bytes()).unwrap()));
        }
        place.worker(schemas).settle().unwrap();
        let first = |topic: &str| place.records(topic)[0].value.as_deref().unwrap()[..5].to_vec();
        let is_framed = first("lead.predictions.v1") == [0, 0, 0, 0, 51]
            && first("lead.profiles.v1") == [0, 0, 0, 0, 55];
        assert_eq!(place.predicted(&with).len(), 10);
        (is_framed, place.replays(schemas))
    });
    assert_eq!((digests[0].0, digests[1].0), (true, false));
    assert_eq!(digests[0].1, digests[1].1);
}
