//! Produce-to-committed latency on the embedded log: an open loop appends events at a fixed rate,
//! whatever comes back.
//!
//! `cargo bench --bench latency -- [events per second] [seconds]`. The latency of an event runs
//! from the moment it was due to be produced until the commit that holds its prediction is durable,
//! so a stall counts for all events behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leadstream::app::instance::Instance;
use leadstream::codec::interaction;
use leadstream::codec::record::{Batches, Record};
use leadstream::config::Config;
use leadstream::domain::units::{Offset, Partition};
use leadstream::log::{Backend, Embedded, Reader, TimeSource};

const LEADS: u64 = 10_000;
const OUTPUT: &str = "lead.predictions.v1";

fn record(number: u64, now_ms: i64) -> Record {
    let lead = number.wrapping_mul(2_654_435_761) % LEADS;
    let (kind, text) = if number.is_multiple_of(4) {
        ("message.received", r#","content":{"text":"What is the rent?"}"#)
    } else {
        ("page.viewed", "")
    };
    let line = format!(
        r#"{{"event_id":"00000000-0000-5000-8000-{number:012}","event_type":"{kind}","tenant_id":"acme","lead_id":"lead-{lead}","occurred_at":{now_ms},"received_at":{now_ms},"source_system":"bench"{text}}}"#
    );
    let event = interaction::from_json(line.as_bytes()).expect("the events are well formed");
    Record {
        key: Some(event.key.as_str().into()),
        value: Some(interaction::to_avro(&event)),
        reason: None,
        appended_ms: now_ms,
        ingest_run: 0,
        origin: None,
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (rate, seconds) =
        (numbers.first().copied().unwrap_or(2_000), numbers.get(1).copied().unwrap_or(20));
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let config = Config { data_dir: folder.path().into(), ..Config::default() };
    let running =
        Instance::start(config, TimeSource::World).expect("an empty directory can be opened");
    let instance = running.instance().clone();
    let total = rate * seconds;
    let began = Instant::now();
    let due = move |number: u64| began + Duration::from_nanos(number * 1_000_000_000 / rate);

    let log = embedded(&instance).clone();
    let producer = std::thread::spawn(move || {
        let mut produced = 0;
        while produced < total {
            if let Some(wait) = due(produced).checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            let now_ms = log.now().0;
            let mut batches = Batches::new();
            while produced < total && due(produced) <= Instant::now() {
                let record = record(produced, now_ms);
                let partition = log.partition_of(record.key.as_deref().unwrap_or_default()).0;
                batches.entry(("lead.interactions.v1", partition)).or_default().push(record);
                produced += 1;
            }
            log.append(&batches, None).expect("the log takes appends");
        }
    });
    let mut latencies = watch(&instance, total, &due);
    producer.join().expect("the producer ends");
    latencies.sort_unstable();
    let at = |share: f64| {
        latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0
    };
    println!(
        "{} events at {rate}/s for {seconds} s: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 \
            {:.2} ms, max {:.2} ms",
        latencies.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn embedded(instance: &Instance) -> &Arc<Embedded> {
    match &instance.log {
        Backend::Embedded(log) => log,
        Backend::Kafka(_) => panic!("the bench runs on the embedded log"),
    }
}

/// Looks at every commit, as soon as it is there, for the predictions in it.
fn watch(instance: &Arc<Instance>, total: u64, due: &impl Fn(u64) -> Instant) -> Vec<Duration> {
    let mut next = vec![
        Offset(0);
        embedded(instance).snapshot().expect("a log has snapshots").partitions()
            as usize
    ];
    let mut latencies = Vec::new();
    while latencies.len() < total as usize {
        let writes = embedded(instance).writes();
        let snapshot = embedded(instance).snapshot().expect("a log has snapshots");
        let seen = Instant::now();
        for (partition, next) in (0..).map(Partition).zip(&mut next) {
            let end = snapshot.end(OUTPUT, partition).expect("a log knows its ends");
            let from = *next;
            snapshot
                .each::<leadstream::log::Error>(
                    (OUTPUT, partition),
                    (from, end),
                    &mut |_, record| {
                        latencies.push(seen.saturating_duration_since(due(number_of(&record))));
                        Ok(())
                    },
                )
                .expect("predictions are read back");
            *next = end;
        }
        embedded(instance)
            .await_write(Duration::from_millis(100), |now| now.commits != writes.commits);
    }
    latencies
}

/// The event's number, from its id at the start of the prediction.
fn number_of(record: &Record) -> u64 {
    let value = leadstream::codec::avro::describe(record.value.as_deref().unwrap_or_default())
        .expect("predictions are Avro");
    value["event_id"]
        .as_str()
        .and_then(|id| id.rsplit('-').next())
        .and_then(|digits| digits.parse().ok())
        .expect("ids are numbered")
}
