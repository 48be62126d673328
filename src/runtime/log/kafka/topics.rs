//! The topics: made where they are missing, else held against what they have to be.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::runtime::log::Error;
use crate::runtime::log::kafka::client::Isolation;
use crate::runtime::log::kafka::settings::{INPUT_BYTES_MAX, RECORD_BYTES_MAX, Settings, make};
use crate::runtime::log::kafka::{ASK, failed};

/// A topic as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// One partition, else as many as the interactions have.
    pub is_single: bool,
    /// Only the newest record of a key is kept.
    pub is_compacted: bool,
    /// Records carry the broker's time: what is too far ahead of it is refused.
    pub is_input: bool,
}

impl Wanted {
    /// Its partitions where the interactions have so many.
    #[must_use]
    pub fn partitions(&self, of_interactions: u32) -> u32 {
        if self.is_single { 1 } else { of_interactions }
    }
}

/// How long a new topic may take until it is seen.
const APPEARS: Duration = Duration::from_secs(10);

/// Makes what is missing and checks the rest; gives the number of partitions. All topics but the single ones have the
/// partitions of the first, which is read where it exists.
///
/// # Errors
/// [`Error::Topics`] with a line per topic that is not as it has to be, or when the cluster does not answer.
pub fn prepare(settings: &Settings, topics: &[Wanted]) -> Result<u32, Error> {
    let reader = settings.reader("topics", Isolation::Committed)?;
    let found = |name: &str| -> Result<Option<u32>, Error> {
        let metadata = reader.fetch_metadata(Some(&settings.topic(name)), ASK);
        let what = format!(
            "no answer from {}: check kafka.bootstrap_servers, and listeners and credentials of the brokers",
            settings.bootstrap_servers
        );
        let metadata = metadata.map_err(failed(what))?;
        let count = metadata.topics().first().map_or(0, |topic| if topic.error().is_some() { 0 } else { topic.partitions().len() });
        Ok(u32::try_from(count).ok().filter(|count| *count > 0))
    };
    let Some(first) = topics.first() else { return Ok(settings.partitions) };
    let partitions = found(first.name)?.unwrap_or(settings.partitions);
    let count_of = |topic: &Wanted| topic.partitions(partitions);
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for topic in topics {
        match found(topic.name)? {
            None => missing.push(topic),
            Some(count) if count != count_of(topic) => {
                wrong.push(format!("topic {}: it has {count} partitions, wanted are {}", settings.topic(topic.name), count_of(topic)));
            }
            Some(_) => {}
        }
    }
    if !settings.creates_topics {
        wrong.extend(missing.iter().map(|topic| {
            let policy = if topic.is_compacted { "compact" } else { "delete" };
            let name = settings.topic(topic.name);
            format!("topic {name} is missing: make it with {} partitions and cleanup.policy={policy}", count_of(topic))
        }));
    }
    wrong.extend(settings_of(settings, topics.iter().filter(|topic| !missing.contains(topic)))?);
    if !wrong.is_empty() {
        return Err(Error::Topics(wrong));
    }
    create(settings, &missing.iter().map(|topic| (*topic, count_of(topic))).collect::<Vec<_>>())?;
    let until = Instant::now() + APPEARS;
    for topic in missing {
        while found(topic.name)? != Some(count_of(topic)) {
            if Instant::now() >= until {
                return Err(Error::Topics(vec![format!("topic {} was made and is not seen", settings.topic(topic.name))]));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(partitions)
}

/// What of the settings is not as it has to be. An input takes less than other topics, because a dead letter is longer than what it
/// keeps.
fn settings_of<'a>(settings: &Settings, topics: impl Iterator<Item = &'a Wanted>) -> Result<Vec<String>, Error> {
    let topics: Vec<&Wanted> = topics.collect();
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = topics.iter().map(|topic| settings.topic(topic.name)).collect();
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let described = administer(settings, async |admin, options| admin.describe_configs(&resources, options).await)?;
    let mut wrong = Vec::new();
    for ((topic, name), described) in topics.iter().zip(&names).zip(described) {
        let resource = described.map_err(|code| failed(format!("topic {name} cannot be described"))(KafkaError::AdminOp(code)))?;
        let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
        let wanted = if topic.is_compacted { "compact" } else { "delete" };
        if policy != wanted {
            wrong.push(format!("topic {name}: cleanup.policy is {policy}, wanted is {wanted}"));
        }
        let is_wrong = |bytes: usize| if topic.is_input { bytes > INPUT_BYTES_MAX } else { bytes < RECORD_BYTES_MAX };
        let bytes = resource.get("max.message.bytes").and_then(|entry| entry.value.as_ref()?.parse::<usize>().ok());
        if let Some(found) = bytes.filter(|bytes| is_wrong(*bytes)) {
            let wanted = if topic.is_input { format!("at most {INPUT_BYTES_MAX}") } else { format!("{RECORD_BYTES_MAX} or more") };
            wrong.push(format!("topic {name}: max.message.bytes is {found}, wanted are {wanted}"));
        }
    }
    Ok(wrong)
}

fn create(settings: &Settings, topics: &[(&Wanted, u32)]) -> Result<(), Error> {
    if topics.is_empty() {
        return Ok(());
    }
    let (record_bytes, input_bytes) = (RECORD_BYTES_MAX.to_string(), INPUT_BYTES_MAX.to_string());
    let week = (7 * 24 * 60 * 60 * 1_000).to_string();
    let names: Vec<String> = topics.iter().map(|(topic, _)| settings.topic(topic.name)).collect();
    let made: Vec<_> = topics
        .iter()
        .zip(&names)
        .map(|((topic, partitions), name)| {
            let count = i32::try_from(*partitions).unwrap_or(i32::MAX);
            let made = NewTopic::new(name, count, TopicReplication::Fixed(settings.replication));
            let in_sync = if settings.replication >= 3 { "2" } else { "1" };
            let made = made.set("max.message.bytes", if topic.is_input { &input_bytes } else { &record_bytes });
            let made = made.set("min.insync.replicas", in_sync).set("unclean.leader.election.enable", "false");
            let made = if topic.is_input { made.set("message.timestamp.type", "LogAppendTime") } else { made };
            if topic.is_compacted {
                made.set("cleanup.policy", "compact").set("delete.retention.ms", &week)
            } else {
                made.set("cleanup.policy", "delete")
            }
        })
        .collect();
    let results = administer(settings, async |admin, options| admin.create_topics(&made, options).await)?;
    for result in results {
        match result {
            // Another instance was faster.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(failed(format!("topic {name} cannot be made"))(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// Removes topics with all they hold.
///
/// # Errors
/// When the cluster does not remove them.
pub fn remove(settings: &Settings, topics: &[Wanted]) -> Result<(), Error> {
    let names: Vec<String> = topics.iter().map(|topic| settings.topic(topic.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = administer(settings, async |admin, options| admin.delete_topics(&names, options).await)?;
    for result in results {
        result.map_err(|(name, code)| failed(format!("topic {name} cannot be removed"))(KafkaError::AdminOp(code)))?;
    }
    Ok(())
}

/// Runs one request of an administrator on a thread of its own, so that it may be called from anywhere.
fn administer<T: Send>(
    settings: &Settings,
    ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> Result<T, KafkaError> + Send,
) -> Result<T, Error> {
    let admin: AdminClient<DefaultClientContext> = make(&settings.client(), "topics")?;
    let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            Ok(runtime.block_on(ask(&admin, &options)))
        });
        let answered: std::io::Result<Result<T, KafkaError>> = asking.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        answered?.map_err(failed("the cluster refuses to look at or make topics"))
    })
}
