//! Restores on Apache Kafka, and copies of partitions that are kept beside their owner: the owner
//! is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{Broker, is_there};
use crate::command::get;
use crate::kafka::{
    Fleet, PARTITIONS, assert_taken, await_that, cluster, events, ids_by_lead, number, replays,
    send, settings,
};
use crate::peers::{address, ask, own};
use leadstream::codec::model::starting_rules;
use leadstream::codec::topics::STATE;
use leadstream::codec::{interaction, rows};
use leadstream::dev::mutate::predict;
use leadstream::domain::hash::partition_of;
use leadstream::domain::units::{AppendTime, LeadKey, Partition};
use leadstream::log::TimeSource;
use leadstream::log::kafka::Topics;
use leadstream::pipeline::{Input, Key, Memory, Row};

/// How far the copies of an instance are behind, by partition.
fn behind(fleet: &Fleet, instance: usize) -> BTreeMap<u32, u64> {
    let Some((url, _)) = address(fleet, instance) else { return BTreeMap::new() };
    let (_, metrics) = get(&format!("{url}/metrics"), None);
    let of = |line: &str| {
        let (partition, value) =
            line.strip_prefix("leadstream_standby_lag_records{partition=\"")?.split_once("\"} ")?;
        Some((partition.parse().unwrap(), value.parse().unwrap()))
    };
    metrics.lines().filter_map(of).collect()
}

/// Partitions that an instance took over, with the records that it read for each, and whether it
/// had a copy.
fn taken_over(log: &str) -> Vec<(u32, u64, bool)> {
    let field = |line: &str, name: &str| -> String {
        let rest = &line[line.find(&format!(" {name}=")).unwrap() + name.len() + 2..];
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let processed = |line: &str| {
        (
            field(line, "partition").parse().unwrap(),
            field(line, "records").parse().unwrap(),
            field(line, "is_warm") == "true",
        )
    };
    log.lines().filter(|line| line.contains("took over partition")).map(processed).collect()
}

fn changelog_records(topics: &Topics, partition: u32) -> u64 {
    let mut records = 0;
    topics.all(STATE, Partition(partition), &mut |_, _| records += 1).unwrap();
    records
}

#[test]
fn who_keeps_a_copy_answers_while_the_owner_is_dead_and_takes_over_with_the_rest_of_the_changelog_alone()
 {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let folder = folder.path().to_owned();
    let mut fleet = Fleet::new(&folder, &broker.servers, "num_standby_replicas = 1");
    let lines = events(9_000);
    let (most, rest) = lines.split_at(8_200);
    let files = ["most.ndjson", "rest.ndjson"].map(|name| folder.join(name));
    fs::write(&files[0], most.join(&b'\n')).unwrap();
    fs::write(&files[1], rest.join(&b'\n')).unwrap();
    // The third keeps no copies, and knows who does.
    (0..2).for_each(|instance| fleet.start(instance));
    fleet.more = "";
    fleet.start(2);
    assert_eq!(
        send(fleet.command(9, &["ingest", files[0].to_str().unwrap()])),
        predict(most, TimeSource::World.now().0).to_string()
    );

    let topics = Topics::new(&settings(&fleet.servers)).unwrap();
    let all = ids_by_lead(&topics, "lead.interactions.v1");
    let leads: BTreeMap<u32, String> = all
        .keys()
        .map(|lead| (partition_of(lead.as_bytes(), PARTITIONS).0, lead.clone()))
        .collect();
    await_that(|| {
        (0..3).all(|instance| own(&fleet, instance, &leads).len() == PARTITIONS as usize / 3)
    });
    let of_victim = own(&fleet, 1, &leads);
    let is_up = |instance: usize, of: &BTreeSet<u32>| {
        let behind = behind(&fleet, instance);
        of.iter().all(|partition| behind.get(partition) == Some(&0))
    };
    await_that(|| is_up(0, &of_victim) && is_up(1, &own(&fleet, 0, &leads)));
    assert!(behind(&fleet, 2).is_empty());
    let long: BTreeMap<u32, u64> = of_victim
        .iter()
        .map(|partition| (*partition, changelog_records(&topics, *partition)))
        .collect();

    // While events arrive, so that there is something behind the copies.
    let sending = fleet.command(9, &["ingest", files[1].to_str().unwrap(), "--rate", "100"]);
    let sender = std::thread::spawn(move || send(sending));
    let begun = || {
        ids_by_lead(&topics, "lead.predictions.v1").values().map(Vec::len).sum::<usize>()
            > most.len() + 100
    };
    await_that(begun);
    fleet.kill(1);
    for partition in &of_victim {
        let lead = &leads[partition];
        for instance in [0, 2] {
            let (status, answer) = ask(&fleet, instance, lead);
            let as_of = &answer["as_of"];
            assert_eq!(
                (status, &as_of["state"], &as_of["partition"]),
                (200, &"standby".into(), &(*partition).into()),
                "{answer}"
            );
            assert!(answer["events"].as_u64().unwrap() >= all[lead].len() as u64, "{answer}");
            assert!(
                as_of["offset"].as_u64().unwrap() > 0
                    && as_of["lag"].is_u64()
                    && as_of["changelog_lag"].is_u64(),
                "{answer}"
            );
        }
    }
    await_that(|| {
        own(&fleet, 0, &leads).len() + own(&fleet, 2, &leads).len() == PARTITIONS as usize
    });
    for partition in &of_victim {
        let (_, answer) = ask(&fleet, 2, &leads[partition]);
        assert_eq!(answer["as_of"]["state"], "active", "{answer}");
    }
    assert_eq!(sender.join().unwrap(), predict(rest, TimeSource::World.now().0).to_string());
    let warm: Vec<(u32, u64, bool)> = taken_over(&fleet.log(0))
        .into_iter()
        .filter(|(partition, ..)| of_victim.contains(partition))
        .collect();
    let (partition, records, is_warm) = *warm.last().unwrap();
    println!("partition {partition}: {records} records read of {}", long[&partition]);
    assert!(
        is_warm && records * 5 < long[&partition],
        "{records} records read of {}",
        long[&partition]
    );

    fleet.start(1);
    await_that(|| own(&fleet, 1, &leads).len() == PARTITIONS as usize / 3);
    fleet.look();
    assert_taken(&topics, lines.len());
    (0..3).for_each(|instance| fleet.end(instance));
    replays(&fleet);
}

/// A row as one event leaves it.
fn row() -> Vec<u8> {
    let event = interaction::from_json(&events(1)[0]).unwrap();
    let appended = AppendTime(event.occurred_at.0);
    let mut memory = Memory::default();
    memory.run(
        &starting_rules(),
        &Input::Interaction { event: Box::new(event), appended },
        &mut Vec::new(),
    );
    let lead = memory.rows().map(|(_, row)| row).find(|row| matches!(row, Row::Lead(_)));
    rows::row_bytes(&lead.unwrap())
}

#[test]
fn a_restore_counts_every_row_and_is_forgotten_with_its_end() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    drop(cluster(&broker, "rows"));
    let (count, value) = (number("LEADSTREAM_RESTORE_ROWS", 3_000), row());
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &broker.servers)
        .set("queue.buffering.max.messages", "10000000")
        .set("linger.ms", "50");
    let producer: BaseProducer = config.create().unwrap();
    for lead in 0..count {
        let key = LeadKey::parse(&format!("acme:lead-{lead}")).unwrap();
        let (partition, name) =
            (partition_of(key.as_str().as_bytes(), PARTITIONS), rows::key_text(&Key::Lead(key)));
        producer
            .send(
                BaseRecord::to(STATE)
                    .partition(partition.0.cast_signed())
                    .key(&name)
                    .payload(&value),
            )
            .unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();

    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let began = Instant::now();
    fleet.start(0);
    let mut seen = Vec::new();
    let mut is_ready = || {
        let Some((url, _)) = address(&fleet, 0) else { return false };
        let (status, text) = get(&format!("{url}/readyz"), None);
        seen.push(text);
        status == 200
    };
    while !is_ready() {
        assert!(began.elapsed() < Duration::from_secs(600), "{}", fleet.log(0));
    }
    let took = began.elapsed();
    let processed = taken_over(&fleet.log(0));
    assert_eq!(processed.len(), PARTITIONS as usize);
    assert_eq!(processed.iter().map(|(_, records, _)| *records).sum::<u64>(), count as u64);
    let (_, metrics) = get(&format!("{}/metrics", address(&fleet, 0).unwrap().0), None);
    assert!(
        metrics.contains(&format!("leadstream_restored_rows_total {count}"))
            && !metrics.contains("leadstream_restore_"),
        "{metrics}"
    );
    let reported = seen.iter().rfind(|text| text.contains(" % of "));
    println!(
        "{count} rows of {} bytes restored, {took:?} from start to ready; /readyz said: \
            {reported:?}",
        value.len()
    );
    fleet
        .log(0)
        .lines()
        .filter(|line| line.contains("partition=0 "))
        .for_each(|line| println!("{line}"));
    fleet.end(0);
}
