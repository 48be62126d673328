//! A question about any lead, asked of any instance on Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::broker::{Broker, is_there};
use crate::command::get;
use crate::kafka::{Fleet, PARTITIONS, PEERS, await_that, events, ids_by_lead, send, settings};
use leadstream::dev::mutate::predict;
use leadstream::domain::hash::partition_of;
use leadstream::log::kafka::Topics;

pub fn address(fleet: &Fleet, instance: usize) -> Option<(String, String)> {
    let text = fs::read(fleet.folder.join(instance.to_string()).join("address.json")).ok()?;
    let address: Value = serde_json::from_slice(&text).ok()?;
    Some((address["url"].as_str()?.to_owned(), address["token"].as_str()?.to_owned()))
}

/// What an instance says of a lead.
pub fn ask(fleet: &Fleet, instance: usize, lead: &str) -> (u16, Value) {
    let Some((url, token)) = address(fleet, instance) else { return (0, Value::Null) };
    let (status, body) = get(&format!("{url}/local/v1/lead?key={lead}"), Some(&token));
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// Partitions that an instance answers for by itself.
pub fn own(fleet: &Fleet, instance: usize, leads: &BTreeMap<u32, String>) -> BTreeSet<u32> {
    let Some((url, _)) = address(fleet, instance) else { return BTreeSet::new() };
    let has = |lead: &String| get(&format!("{url}/peer/v1/lead?key={lead}"), Some(PEERS)).0 == 200;
    leads.iter().filter(|(_, lead)| has(lead)).map(|(partition, _)| *partition).collect()
}

#[test]
fn any_instance_answers_for_any_lead_and_says_how_fresh_that_is() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut fleet = Fleet::new(folder.path(), &broker.servers, "");
    let lines = events(600);
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    (0..2).for_each(|instance| fleet.start(instance));
    assert_eq!(
        send(fleet.command(9, &["ingest", file.to_str().unwrap()])),
        predict(&lines, i64::MAX / 2).to_string()
    );

    let topics = Topics::new(&settings(&fleet.servers)).unwrap();
    let all = ids_by_lead(&topics, "lead.interactions.v1");
    let leads: BTreeMap<u32, String> = all
        .keys()
        .map(|lead| (partition_of(lead.as_bytes(), PARTITIONS).0, lead.clone()))
        .collect();
    assert_eq!(leads.len(), PARTITIONS as usize);
    await_that(|| {
        [0, 1]
            .iter()
            .all(|instance| own(&fleet, *instance, &leads).len() == PARTITIONS as usize / 2)
    });
    for (partition, lead) in &leads {
        await_that(|| ask(&fleet, 0, lead).0 == 200 && ask(&fleet, 1, lead).0 == 200);
        let (first, second) = (ask(&fleet, 0, lead).1, ask(&fleet, 1, lead).1);
        assert_eq!(first, second);
        assert_eq!(first["key"], lead.as_str());
        assert_eq!(first["events"], all[lead].len());
        let as_of = &first["as_of"];
        assert_eq!(
            (&as_of["partition"], &as_of["lag"], &as_of["state"]),
            (&(*partition).into(), &0.into(), &"active".into())
        );
        assert!(as_of["offset"].as_u64().unwrap() >= all[lead].len() as u64);
    }
    // A worklist is of all leads, whoever is asked; who does not answer is named.
    let tenant = leads[&0].split_once(':').unwrap().0.to_owned();
    let list = |fleet: &Fleet, instance: usize| {
        let (url, token) = address(fleet, instance).unwrap();
        let (status, body) = get(&format!("{url}/local/v1/worklist?tenant={tenant}"), Some(&token));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let (first, second) = (list(&fleet, 0), list(&fleet, 1));
    assert!(
        first["missing_partitions"].as_array().unwrap().is_empty() && first == second,
        "{first} {second}"
    );
    let keys = first["tasks"].as_array().unwrap().iter().map(|task| task["key"].as_str().unwrap());
    let partitions: BTreeSet<u32> =
        keys.map(|key| partition_of(key.as_bytes(), PARTITIONS).0).collect();
    assert!(
        own(&fleet, 0, &leads).intersection(&partitions).count() > 0
            && own(&fleet, 1, &leads).intersection(&partitions).count() > 0
    );
    // Nobody else may ask that way, and a lead that nobody knows is unknown everywhere.
    let (url, token) = address(&fleet, 0).unwrap();
    let lead = &leads[&0];
    assert_eq!(
        [None, Some("other"), Some(token.as_str())].map(|token| get(
            &format!("{url}/peer/v1/lead?key={lead}"),
            token
        )
        .0),
        [401; 3]
    );
    let stranger = |partition: u32| {
        (0..)
            .map(|number| format!("t:{number}"))
            .find(|key| partition_of(key.as_bytes(), PARTITIONS).0 == partition)
            .unwrap()
    };
    (0..PARTITIONS).for_each(|partition| assert_eq!(ask(&fleet, 0, &stranger(partition)).0, 404));

    // While one is gone and nobody has its partitions yet the other says where they were; then it
    // has them itself.
    let gone = own(&fleet, 1, &leads);
    fleet.kill(1);
    let partial = list(&fleet, 0);
    let missing = partial["missing_partitions"].as_array().unwrap();
    assert!(
        missing.iter().all(|partition| gone.contains(&(partition.as_u64().unwrap() as u32))),
        "{partial}"
    );
    assert!(
        missing.len() == gone.len()
            || own(&fleet, 0, &leads).len() > PARTITIONS as usize - gone.len(),
        "{partial}"
    );
    let lead = &leads[gone.first().unwrap()];
    let (status, answer) = ask(&fleet, 0, lead);
    assert!(status == 200 || answer["error"]["code"] == "elsewhere", "{status} {answer}");
    await_that(|| own(&fleet, 0, &leads).len() == PARTITIONS as usize);
    leads.values().for_each(|lead| assert_eq!(ask(&fleet, 0, lead).0, 200));
    fleet.end(0);
}
