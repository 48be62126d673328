//! The product on a simulated broker: seeded runs with crashes and faults at every step, against
//! the driver in memory.
//!
//! `LEADSTREAM_SIM_SEEDS` says how many runs, `LEADSTREAM_SIM_SEED` repeats one of them and tells
//! what happened in it.

mod broken;
mod broker;
mod client;
mod conformance;
mod coverage;
mod disk;
mod faults;
mod feed;
mod group;
mod instance;
mod oracle;
mod producer;
mod reads;
mod shared;
mod world;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::sim::broken::Broken;
use crate::sim::broker::Broker;
use crate::sim::coverage::{Coverage, Point};
use crate::sim::faults::{Call, Fault, Planned};
use crate::sim::instance::{BUFFER_RECORDS, Instance};
use crate::sim::shared::{START_MS, Sim};
use crate::sim::world::{PANICKED, Stage, cluster, places, run};
use leadstream::codec::record::Record;
use leadstream::log::kafka::TransactionErrorKind;

/// Runs without `LEADSTREAM_SIM_SEEDS`.
const SEEDS: u64 = 500;
/// Within so many runs each way to be wrong has to be noticed; the rarest was in 49 of 10,000.
const NOTICED: u64 = 3000;

/// Seeds whose runs went wrong, with what was wrong.
type Failures = Vec<(u64, String)>;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs seeds on two threads, until `is_enough`; what they met, and the failures.
fn simulate(
    seeds: u64,
    broken: Option<Broken>,
    is_enough: fn(&Failures) -> bool,
) -> (Coverage, Failures) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((Coverage::default(), Failures::new()));
    let work = || {
        let stage = Stage::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let outcome = run(seed, &stage, broken, false);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.0.merge(&outcome.coverage);
            found.1.extend(outcome.failure.map(|failure| (seed, failure)));
            if is_enough(&found.1) {
                return;
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let (coverage, mut failures) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort();
    (coverage, failures)
}

#[test]
fn every_crash_and_fault_of_the_commit_sequence_leaves_what_the_driver_in_memory_gives() {
    if let Some(seed) = number("LEADSTREAM_SIM_SEED") {
        let outcome = run(seed, &Stage::new(), None, true);
        outcome.trace.iter().for_each(|line| eprintln!("{line}"));
        assert_eq!(outcome.failure, None);
        return;
    }
    let seeds = number("LEADSTREAM_SIM_SEEDS").unwrap_or(SEEDS);
    let (coverage, failures) = simulate(seeds, None, |_| false);
    println!("{seeds} seeds, {} differ\n{coverage}", failures.len());
    failures.iter().for_each(|(seed, why)| println!("LEADSTREAM_SIM_SEED={seed}: {why}"));
    assert_eq!(failures.first(), None);
    let least = (seeds / 200).max(1);
    let rare: Vec<Point> = Point::ALL
        .into_iter()
        .map(|(point, _)| point)
        .filter(|point| coverage.count(*point) < least)
        .collect();
    assert!(rare.is_empty(), "met less than {least} times: {rare:?}");
}

#[test]
fn every_way_to_be_wrong_is_noticed_by_the_simulator() {
    for broken in Broken::ALL {
        let (_, failures) = simulate(NOTICED, Some(broken), |failures| !failures.is_empty());
        let Some((seed, why)) = failures.first() else {
            panic!("{broken:?} is not noticed within {NOTICED} seeds")
        };
        assert!(!why.starts_with(PANICKED), "{broken:?}: seed {seed}: {why}");
        println!("{broken:?}: seed {seed}: {why}");
    }
}

#[test]
fn an_instance_without_events_commits_its_offsets_again() {
    for renew in [Duration::MAX, Duration::ZERO] {
        let sim = Rc::new(Sim::new(Broker::new(places(3).into_iter(), 3), 1, 1, None));
        sim.renew.set(renew);
        let instance = Instance::start(&sim, 0, &cluster(3), Stage::new().reported(0));
        let turns = |count| {
            for _ in 0..count {
                sim.broker.borrow_mut().advance(100);
                instance.poll_group();
                instance.round().unwrap();
            }
        };
        turns(200);
        assert!(instance.assignment.is_settled());
        // As if the brokers had let them expire.
        sim.broker.borrow_mut().group.offsets.clear();
        turns(200);
        let wanted = if renew.is_zero() {
            BTreeMap::from([(0, 0), (1, 0), (2, 0)])
        } else {
            BTreeMap::new()
        };
        assert_eq!(sim.broker.borrow().group.offsets, wanted);
    }
}

#[test]
fn a_commit_in_doubt_that_happened_makes_room_for_what_is_fetched_next() {
    let sim = Rc::new(Sim::new(Broker::new(places(1).into_iter(), 1), 1, 1, None));
    let instance = Instance::start(&sim, 0, &cluster(1), Stage::new().reported(0));
    let no_event = Record {
        key: None,
        value: None,
        reason: None,
        appended_ms: START_MS,
        ingest_run: 0,
        origin: None,
    };
    let records = vec![no_event; BUFFER_RECORDS * 2];
    sim.broker.borrow_mut().append(("lead.interactions.v1", 0), &records);
    // No commit is ever answered, and all of them happen.
    let lost = Planned {
        call: Call::Commit,
        after: 0,
        fault: Fault::Lose(TransactionErrorKind::Fatal),
        while_pinned: false,
    };
    sim.plan.replace(vec![lost; records.len()]);
    for _ in 0..2_000 {
        sim.broker.borrow_mut().advance(100);
        instance.poll_group();
        instance.fetch(5);
        instance.round().unwrap();
    }
    assert_eq!(sim.broker.borrow().group.offsets.get(&0), Some(&(records.len() as u64)));
}
