//! Instances killed, stopped, added and removed while events arrive; the broker crashes too. What
//! comes out is what comes out without.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, TopicPartitionList};
use serde_json::Value;

use crate::broker::{Broker, is_there};
use crate::command::{leadstream, output};
use crate::kafka::{
    Fleet, PARTITIONS, PREDICTIONS, SETTLES, assert_taken, await_that, events, number, pause,
    replays, send, settings,
};
use crate::proxy::{ADD_OFFSETS_TO_TXN, PRODUCE, Proxy};
use leadstream::dev::mutate::predict;
use leadstream::log::TimeSource;
use leadstream::log::kafka::Topics;

/// An experiment on the leads of the market.
const EXPERIMENT: &str = r#"{"tenant": "demo-realty", "kind": "experiment", "name": "tone", "version": 1, "effective_at": "2026-01-01T00:00:00Z",
    "body": {"unit": "lead", "salt": "1", "arms": [{"strategy": "empathetic", "weight": 1}, {"strategy": "assertive", "weight": 1}],
    "window_hours": 72, "goal": {"metric": "reply_rate"}, "guardrails": [{"metric": "appointment_rate", "margin": 0.5}],
    "metrics": [{"metric": "conversation_length", "cap": 50}, {"metric": "response_time"}], "planned_units": 2000}}"#;

/// A number below `bound`, from a seed that it moves on (xorshift64).
fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed % bound as u64) as usize
}

/// A fleet, and what is done to it.
struct Stage {
    fleet: Fleet,
    broker: Broker,
    /// Stands between the broker and the instance [`APART`]; a cluster of somebody else has none.
    proxy: Option<Proxy>,
    seed: u64,
}

/// How long events are sent for each round of chaos: no less than it takes, or what is done last
/// finds nothing to harm.
const CHAOS_SECONDS: usize = 10;

/// The instance that finds the broker behind a proxy.
const APART: usize = 0;

impl Stage {
    /// Three instances and a broker that may be killed; nobody runs yet. Transactions may be open
    /// for longer than the group waits for a member, so that one can be left open by an instance
    /// whose partitions others have.
    fn new(folder: &Path) -> Self {
        let (broker, behind) = Broker::start_to_crash(folder);
        let (apart, proxy) = behind.map(|(servers, proxy)| ((APART, servers), proxy)).unzip();
        let mut fleet = Fleet::new(folder, &broker.servers, "");
        (fleet.apart, fleet.transaction_timeout_ms) = (apart, 30_000);
        Self { fleet, broker, proxy, seed: 0x9e37_79b9_7f4a_7c15 }
    }

    fn random(&mut self, bound_ms: usize) -> Duration {
        Duration::from_millis(draw(&mut self.seed, bound_ms) as u64)
    }

    /// What is done in one round, and its name.
    fn disturb(&mut self, round: usize) -> &'static str {
        let running: Vec<usize> = self.fleet.running.keys().copied().collect();
        let victim = running[draw(&mut self.seed, running.len())];
        let name = match round % 6 {
            0 | 2 | 4 => {
                self.fleet.kill(victim);
                pause(self.random(1_500));
                self.fleet.start(victim);
                "killed"
            }
            1 if round % 12 == 1 && self.proxy.is_some() => {
                self.stop_within_a_transaction();
                "stopped, and the others ended in turn"
            }
            1 => {
                self.fleet.signal(victim, "-STOP");
                pause(Duration::from_millis(7_500));
                self.fleet.signal(victim, "-CONT");
                "stopped"
            }
            3 => {
                self.fleet.end(victim);
                pause(Duration::from_millis(500));
                self.fleet.start(victim);
                "ended"
            }
            _ if self.broker.is_ours() => {
                self.broker.crash();
                "broker killed"
            }
            _ => "nothing",
        };
        pause(Duration::from_millis(500) + self.random(2_500));
        name
    }

    /// Stops an instance whose transaction is in the log and has not ended, until its partitions
    /// were taken over twice: from then on what was committed of them stands behind that open
    /// transaction, where a committed reader does not see it.
    fn stop_within_a_transaction(&mut self) {
        let proxy = self.proxy.as_ref().expect("there is a proxy");
        hold_next(proxy, ADD_OFFSETS_TO_TXN, &mut self.fleet);
        self.fleet.signal(APART, "-STOP");
        pause(Duration::from_secs(10));
        let heirs: Vec<usize> =
            self.fleet.running.keys().copied().filter(|instance| *instance != APART).collect();
        for heir in heirs {
            self.fleet.end(heir);
            pause(Duration::from_secs(2));
            self.fleet.start(heir);
            pause(Duration::from_secs(2));
        }
        proxy.let_go();
        self.fleet.signal(APART, "-CONT");
    }

    /// Starts an instance while another one waits for the broker in the middle of a transaction,
    /// for longer than the group waits for it: what it must give away is taken on by others before
    /// its transaction goes on.
    fn start_meanwhile(&mut self, instance: usize) {
        let Some(proxy) = &self.proxy else { return self.fleet.start(instance) };
        // Meanwhile events gather for the transaction that is meant: some of each partition.
        proxy.hold(PRODUCE);
        pause(Duration::from_secs(2));
        hold_next(proxy, PRODUCE, &mut self.fleet);
        self.fleet.start(instance);
        pause(HELD);
        proxy.let_go();
    }
}

/// How long an instance may take to its next transaction: it may have just been killed, its
/// partitions still with another one.
const REACHED: Duration = Duration::from_secs(60);

/// Holds a request of the next transaction back.
fn hold_next(proxy: &Proxy, api: i16, fleet: &mut Fleet) {
    proxy.hold_next(api);
    let until = Instant::now() + REACHED;
    while !proxy.await_held(Duration::from_millis(100)) {
        fleet.look();
        assert!(Instant::now() < until, "no transaction came as far");
    }
}

/// How long requests are held back while partitions move: the group waits ten seconds for a commit,
/// and others need some to take over.
const HELD: Duration = Duration::from_secs(14);

/// What an experiment came to: the newest record of its metrics; nothing before there is one. How
/// far the clocks had gone is left out: a partition whose counts did not change says so once a day,
/// and looks are at the ends of days.
fn results(command: &mut Command) -> Value {
    let output =
        command.args(["--json", "experiment", "results", "demo-realty", "tone"]).output().unwrap();
    let mut reported: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    reported.as_object_mut().and_then(|reported| reported.remove("at"));
    reported
}

/// The same events in one process on the embedded log, which nothing disturbs.
fn undisturbed(folder: &Path, (definition, events): (&str, &str)) -> Value {
    let data = folder.join("undisturbed");
    output(&data, &["apply", definition]);
    output(&data, &["ingest", events]);
    results(&mut leadstream(&data, &[]))
}

/// Three instances, events sent at a steady rate for about as long as `disturb` is called, once for
/// every round; then everything is taken exactly once in order, an experiment comes to what it
/// comes to without disturbance, and a replay agrees. Gives what the instances told.
fn survive(
    (rounds, seconds, rate): (usize, usize, usize),
    mut disturb: impl FnMut(&mut Stage, usize) -> &'static str,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let lines = events(rounds * seconds * rate);
    let expected = predict(&lines, TimeSource::World.now().0).to_string();
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    let definition = folder.path().join("experiment.json");
    fs::write(&definition, EXPERIMENT).unwrap();
    let (rate, file, definition) =
        (rate.to_string(), file.to_str().unwrap().to_owned(), definition.to_str().unwrap());
    let counted = undisturbed(folder.path(), (definition, &file));
    assert!(
        counted["results"]["comparisons"].as_array().is_some_and(|reported| !reported.is_empty()),
        "nothing was compared: {counted}"
    );
    assert_eq!(
        send(stage.fleet.command(9, &["apply", definition])),
        "demo-realty:experiment:tone:1"
    );

    (0..3).for_each(|instance| stage.fleet.start(instance));
    let share = PARTITIONS as usize / 3;
    stage.fleet.await_that(|fleet| {
        (0..3).all(|instance| fleet.log(instance).matches("took over partition").count() >= share)
    });
    let sent = Instant::now() + Duration::from_secs((rounds * seconds) as u64);
    let sending = stage.fleet.command(9, &["ingest", &file, "--rate", &rate]);
    let sender = std::thread::spawn(move || send(sending));
    let all_seen = Arc::new(AtomicBool::new(false));
    let (servers, until) = (stage.fleet.servers.clone(), all_seen.clone());
    let watcher = std::thread::spawn(move || waits(&servers, &until));
    let mut disturbed = Vec::new();
    for round in 0..rounds {
        let at = TimeSource::World.now().0;
        disturbed.push((at, disturb(&mut stage, round)));
        stage.fleet.look();
    }
    let Stage { mut fleet, broker, .. } = stage;
    // What was done may have taken longer than sending.
    let until = sent.max(Instant::now()) + SETTLES;
    while !sender.is_finished() {
        fleet.look();
        if Instant::now() >= until {
            let hanging = broker.tool(
                "org.apache.kafka.tools.TransactionsCommand",
                &["find-hanging", "--broker-id", "1"],
            );
            panic!("not everything is taken; transactions that hang: {hanging}; {}", fleet.logs());
        }
        pause(Duration::from_millis(100));
    }
    assert_eq!(sender.join().unwrap(), expected);
    all_seen.store(true, Ordering::Relaxed);
    let waits = watcher.join().unwrap();

    assert_taken(&Topics::new(&settings(&fleet.servers)).unwrap(), lines.len());
    await_that(|| results(&mut fleet.command(9, &[])) == counted);
    let instances: Vec<usize> = fleet.running.keys().copied().collect();
    instances.iter().for_each(|instance| fleet.end(*instance));
    replays(&fleet);
    report(&fleet, lines.len(), waits, &disturbed);
    fleet.logs()
}

/// When each event was appended, and how long it took from there to where a committed reader sees
/// its prediction, milliseconds.
fn waits(servers: &str, all_seen: &AtomicBool) -> Vec<(i64, i64)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("group.id", "waits")
        .set("isolation.level", "read_committed");
    config
        .set("fetch.wait.max.ms", "5")
        .set("topic.metadata.refresh.interval.ms", "1000")
        .set("reconnect.backoff.max.ms", "200")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut places = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        places
            .add_partition_offset(PREDICTIONS, partition.cast_signed(), rdkafka::Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&places).unwrap();
    let mut waits = Vec::new();
    while !all_seen.load(Ordering::Relaxed) {
        // What a broker that is gone answers is no record.
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let at = record.timestamp().to_millis().unwrap();
        waits.push((at, TimeSource::World.now().0 - at));
    }
    waits
}

#[test]
fn every_event_is_taken_exactly_once_while_instances_and_the_broker_die() {
    if is_there() {
        survive(
            (
                number("LEADSTREAM_CHAOS_ROUNDS", 6),
                CHAOS_SECONDS,
                number("LEADSTREAM_CHAOS_RATE", 200),
            ),
            Stage::disturb,
        );
    }
}

#[test]
fn every_event_is_taken_exactly_once_while_instances_come_and_go() {
    if is_there() {
        let seconds = number("LEADSTREAM_MOVES_SECONDS", 3);
        let mut is_held = false;
        // The fourth comes, and one of the first three goes and comes back.
        let reported =
            survive((number("LEADSTREAM_MOVES_ROUNDS", 4), seconds.max(6), 60), |stage, round| {
                let began = Instant::now();
                let instance = if round % 4 < 2 { 3 } else { round / 4 % 3 };
                let is_running = stage.fleet.running.contains_key(&instance);
                let name = if is_running {
                    stage.fleet.end(instance);
                    "ended"
                } else if instance == 3 {
                    is_held = stage.proxy.is_some();
                    stage.start_meanwhile(instance);
                    "started while another one waits"
                } else {
                    stage.fleet.start(instance);
                    "started"
                };
                pause(Duration::from_secs(seconds as u64).saturating_sub(began.elapsed()));
                name
            });
        let is_late = reported.contains("partitions were taken back before their commit had ended");
        assert_eq!(is_late, is_held, "what was held back was not what had to be given away");
    }
}

/// Tells what the run met, and how long events waited that were appended from each disturbance to
/// the next.
fn report(fleet: &Fleet, events: usize, waits: Vec<(i64, i64)>, disturbed: &[(i64, &str)]) {
    let logs = fleet.logs();
    let count = |what: &str| logs.matches(what).count();
    println!(
        "events={events} seen={} took_over={} aborted={} in_doubt={} state_restored={}",
        waits.len(),
        count("took over partition"),
        count("the transaction was aborted"),
        count("it is not known whether"),
        count("state directory cannot be used"),
    );
    let mut by_name: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (at, wait) in waits {
        let last = disturbed.partition_point(|(began, _)| *began <= at);
        let name = last.checked_sub(1).map_or("start", |place| disturbed[place].1);
        by_name.entry(name).or_default().push(wait);
    }
    for (name, waits) in &mut by_name {
        waits.sort_unstable();
        let at = |share: usize| waits[(waits.len() - 1) * share / 100];
        println!(
            "{name}: events={} p50={}ms p90={}ms p99={}ms max={}ms",
            waits.len(),
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }
}
