//! The topics: made where they are missing, else held against what they have to be.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use crate::codec::topics::{Cleanup, STATE, Topic};
use crate::log::Error;
use crate::log::kafka::connect::{ClientErrors, reach};
use crate::log::kafka::settings::{
    INPUT_BYTES_MAX, Isolation, RECORD_BYTES_MAX, Settings, make_with,
};
use crate::log::kafka::{ASK, failed};

/// How long a new topic may take until it is seen.
const APPEARS: Duration = Duration::from_secs(10);

/// The topics as they are.
#[derive(Clone, Debug, Default)]
pub struct TopicCheck {
    /// How the cluster names itself; none of an old one.
    pub cluster: Option<String>,
    /// Partitions of the interactions and of all that lies beside them: as many as the first topic
    /// has, where it exists.
    pub partitions: u32,
    /// Those that are missing.
    pub missing: Vec<Topic>,
    /// A line for each topic and setting that is not as it has to be.
    pub wrong: Vec<String>,
    /// A line for each topic with fewer copies than are configured: it works, and survives less.
    pub thin: Vec<String>,
}

/// Who looks at topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// An instance: every topic has to be as it has to be.
    Processing,
    /// A command: what is wrong is said, and everything else works.
    Reading,
}

/// Makes what is missing and checks the rest; gives the number of partitions and the cluster's
/// name. All topics but the single ones have the partitions of the first, which is read where it
/// exists.
///
/// # Errors
/// [`Error::Topics`] with a line per topic that is not as it has to be, or when the cluster does
/// not answer in `wait`.
pub fn prepare(
    settings: &Settings,
    topics: &[Topic],
    wait: Duration,
    strictness: Strictness,
) -> Result<(u32, Option<String>), Error> {
    let TopicCheck { cluster, partitions, missing, mut wrong, .. } = look(settings, topics, wait)?;
    if strictness == Strictness::Reading {
        wrong.drain(..).for_each(|line| tracing::warn!(line, "a topic is not as it has to be"));
    }
    if !settings.creates_topics {
        wrong.extend(missing.iter().map(|topic| {
            let policy = topic.cleanup_policy();
            let (name, count) = (settings.topic(topic.name), topic.partition_count(partitions));
            format!(
                "topic {name} is missing: make it with {count} partitions and \
                cleanup.policy={policy}"
            )
        }));
    }
    if !wrong.is_empty() {
        return Err(Error::Topics(wrong));
    }
    if missing.is_empty() {
        return Ok((partitions, cluster));
    }
    create(
        settings,
        &missing.iter().map(|topic| (topic, topic.partition_count(partitions))).collect::<Vec<_>>(),
    )?;
    let until = Instant::now() + APPEARS;
    loop {
        let seen = look(settings, topics, ASK)?;
        let is_right = seen.wrong.is_empty() || strictness == Strictness::Reading;
        if seen.missing.is_empty() && is_right {
            await_leaders(settings, &missing, partitions, until)?;
            return Ok((partitions, cluster));
        }
        if Instant::now() >= until {
            let unseen = seen.missing.iter().map(|topic| {
                format!("topic {} was made and is not seen", settings.topic(topic.name))
            });
            return Err(Error::Topics(unseen.chain(seen.wrong).collect()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the partitions of topics that were just made can be read: a broker may list them
/// before it leads them.
fn await_leaders(
    settings: &Settings,
    topics: &[Topic],
    partitions: u32,
    until: Instant,
) -> Result<(), Error> {
    let reader = settings.reader("made", Isolation::Uncommitted)?;
    for topic in topics {
        let name = settings.topic(topic.name);
        for partition in 0..topic.partition_count(partitions) {
            while let Err(error) = reader.fetch_watermarks(&name, partition.cast_signed(), ASK) {
                if !is_being_made(&error) || Instant::now() >= until {
                    return Err(failed(format!("topic {name} was made and cannot be read"))(error));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}

/// What a broker answers while it does not know a topic yet, or nobody leads it.
fn is_being_made(error: &KafkaError) -> bool {
    let new = [
        RDKafkaErrorCode::UnknownTopicOrPartition,
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::LeaderNotAvailable,
        RDKafkaErrorCode::NotLeaderForPartition,
    ];
    error.rdkafka_error_code().is_some_and(|code| new.contains(&code))
}

/// Looks at the topics and changes nothing; each question may take `wait`.
///
/// # Errors
/// When the cluster does not answer.
pub fn look(settings: &Settings, topics: &[Topic], wait: Duration) -> Result<TopicCheck, Error> {
    let (reader, all) = reach(settings, wait)?;
    let cluster = reader.client().fetch_cluster_id(wait);
    let mut looked =
        TopicCheck { cluster, partitions: settings.partitions, ..TopicCheck::default() };
    // What was made with the state does not change; inputs may have got partitions since.
    let count = |topic: &Topic| {
        let name = settings.topic(topic.name);
        let listed = all.topics().iter().find(|reported| reported.name() == name)?;
        u32::try_from(listed.partitions().len()).ok().filter(|count| *count > 0)
    };
    let changelog = topics.iter().find(|topic| topic.name == STATE).and_then(count);
    if let Some(partitions) = changelog {
        looked.partitions = partitions;
    }
    let mut there = Vec::new();
    for (place, topic) in topics.iter().enumerate() {
        let name = settings.topic(topic.name);
        let listed = all.topics().iter().find(|reported| reported.name() == name);
        // One that this user may not describe is left out unless it is asked for.
        let ask = || {
            reader
                .fetch_metadata(Some(&name), wait)
                .map_err(failed(format!("topic {name} cannot be described")))
        };
        let asked = if listed.is_none() { Some(ask()?) } else { None };
        let reported = listed.or_else(|| asked.as_ref()?.topics().first());
        if let Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) =
            reported.and_then(MetadataTopic::error)
        {
            looked
                .wrong
                .push(format!("topic {name}: this user may not describe it: allow it DESCRIBE"));
            continue;
        }
        let Some(first) = reported
            .filter(|reported| reported.error().is_none())
            .and_then(|reported| reported.partitions().first())
        else {
            looked.missing.push(*topic);
            continue;
        };
        let partitions = u32::try_from(reported.map_or(0, |reported| reported.partitions().len()))
            .unwrap_or(u32::MAX);
        if place == 0 && changelog.is_none() {
            looked.partitions = partitions;
        }
        let wanted = topic.partition_count(looked.partitions);
        if partitions != wanted {
            looked
                .wrong
                .push(format!("topic {name}: it has {partitions} partitions, wanted are {wanted}"));
        }
        there.push((topic, first.replicas().len()));
    }
    settings_of(settings, (&there, wait), &mut looked)?;
    Ok(looked)
}

/// What of the settings is not as it has to be. An input takes less than other topics, because a
/// dead letter is longer than what it keeps.
fn settings_of(
    settings: &Settings,
    (topics, wait): (&[(&Topic, usize)], Duration),
    looked: &mut TopicCheck,
) -> Result<(), Error> {
    if topics.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = topics.iter().map(|(topic, _)| settings.topic(topic.name)).collect();
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let described = administer(settings, wait, async |admin, options| {
        admin.describe_configs(&resources, options).await
    })?;
    for (((topic, copies), name), described) in topics.iter().zip(&names).zip(described) {
        let resource = described.map_err(|code| {
            failed(format!("topic {name} cannot be described"))(KafkaError::AdminOp(code))
        })?;
        let setting = |setting: &str| {
            resource.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default()
        };
        let policy = setting("cleanup.policy");
        let wanted = topic.cleanup_policy();
        if policy != wanted {
            looked
                .wrong
                .push(format!("topic {name}: cleanup.policy is {policy}, wanted is {wanted}"));
        }
        let is_wrong = |bytes: usize| {
            if topic.is_input() { bytes > INPUT_BYTES_MAX } else { bytes < RECORD_BYTES_MAX }
        };
        if let Some(found) =
            setting("max.message.bytes").parse::<usize>().ok().filter(|bytes| is_wrong(*bytes))
        {
            let wanted = if topic.is_input() {
                format!("at most {INPUT_BYTES_MAX}")
            } else {
                format!("{RECORD_BYTES_MAX} or more")
            };
            looked
                .wrong
                .push(format!("topic {name}: max.message.bytes is {found}, wanted are {wanted}"));
        }
        if let Some(found) =
            setting("min.insync.replicas").parse::<usize>().ok().filter(|found| found > copies)
        {
            looked.wrong.push(format!(
                "topic {name}: min.insync.replicas is {found}, wanted are at \
                most its {copies} copies"
            ));
        }
        if usize::try_from(settings.replication_factor).is_ok_and(|wanted| *copies < wanted) {
            looked.thin.push(format!(
                "topic {name}: it has {copies} copies, wanted are {}",
                settings.replication_factor
            ));
        }
    }
    Ok(())
}

fn create(settings: &Settings, topics: &[(&Topic, u32)]) -> Result<(), Error> {
    let (record_bytes, input_bytes) = (RECORD_BYTES_MAX.to_string(), INPUT_BYTES_MAX.to_string());
    let week = (7 * 24 * 60 * 60 * 1_000).to_string();
    let names: Vec<String> = topics.iter().map(|(topic, _)| settings.topic(topic.name)).collect();
    let created: Vec<_> = topics
        .iter()
        .zip(&names)
        .map(|((topic, partitions), name)| {
            let count = i32::try_from(*partitions).unwrap_or(i32::MAX);
            let created =
                NewTopic::new(name, count, TopicReplication::Fixed(settings.replication_factor));
            let in_sync = if settings.replication_factor >= 3 { "2" } else { "1" };
            let created = created.set(
                "max.message.bytes",
                if topic.is_input() { &input_bytes } else { &record_bytes },
            );
            let created = created
                .set("min.insync.replicas", in_sync)
                .set("unclean.leader.election.enable", "false");
            let created = if topic.is_input() {
                created.set("message.timestamp.type", "LogAppendTime")
            } else {
                created
            };
            if topic.cleanup == Cleanup::Compact {
                created.set("cleanup.policy", "compact").set("delete.retention.ms", &week)
            } else {
                created.set("cleanup.policy", "delete")
            }
        })
        .collect();
    let results = administer(settings, ASK, async |admin, options| {
        admin.create_topics(&created, options).await
    })?;
    for result in results {
        match result {
            // Another instance was faster.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(failed(format!("topic {name} cannot be made"))(KafkaError::AdminOp(
                    code,
                )));
            }
        }
    }
    Ok(())
}

/// Removes topics with all they hold.
///
/// # Errors
/// When the cluster does not remove them.
pub fn remove(settings: &Settings, topics: &[Topic]) -> Result<(), Error> {
    let names: Vec<String> = topics.iter().map(|topic| settings.topic(topic.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = administer(settings, ASK, async |admin, options| {
        admin.delete_topics(&names, options).await
    })?;
    for result in results {
        result.map_err(|(name, code)| {
            failed(format!("topic {name} cannot be removed"))(KafkaError::AdminOp(code))
        })?;
    }
    Ok(())
}

/// Runs one request of an administrator on a thread of its own, so that it may be called from
/// anywhere.
fn administer<T: Send>(
    settings: &Settings,
    wait: Duration,
    ask: impl AsyncFnOnce(&AdminClient<ClientErrors>, &AdminOptions) -> Result<T, KafkaError> + Send,
) -> Result<T, Error> {
    let admin: AdminClient<ClientErrors> =
        make_with(&settings.client(), "topics", ClientErrors::default())?;
    let options = AdminOptions::new().request_timeout(Some(wait)).operation_timeout(Some(wait));
    let answered: std::io::Result<Result<T, KafkaError>> = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            Ok(runtime.block_on(ask(&admin, &options)))
        });
        asking.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
    });
    // It ends within a tenth of a second, which nobody has to wait for.
    std::thread::spawn(|| drop(admin));
    answered?.map_err(failed("the cluster refuses to look at or make topics"))
}
