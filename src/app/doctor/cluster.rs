//! Checks of a Kafka cluster: brokers, topics, rights, the consumer group, clocks.

use std::io::ErrorKind;

use rdkafka::types::RDKafkaErrorCode;

use crate::app::doctor::{ASK, Finding, Grade, failed, fine};
use crate::codec::topics::{self, STATE, inputs_of};
use crate::domain::units::Partition;
use crate::log::kafka::{self, ClusterProbe, GroupOffsets, Settings, TopicCheck};
use crate::log::{Error, TimeSource, chain};
use crate::pipeline::InputTopic;

/// How far the brokers may be ahead of this machine, milliseconds.
const AHEAD_MS: i64 = 2_000;

/// What a broker answers where this user may not.
const REFUSALS: [RDKafkaErrorCode; 3] = [
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::ClusterAuthorizationFailed,
];

pub(crate) fn is_plain(settings: &Settings) -> bool {
    !settings
        .properties
        .get("security.protocol")
        .is_some_and(|protocol| protocol.to_lowercase().contains("ssl"))
}

pub(crate) fn broker(name: &str, server: &str, is_plain: bool) -> Vec<Finding> {
    let connection = match kafka::connect(server, ASK) {
        Ok(connection) => connection,
        Err(error) => {
            return failed(
                name,
                error.to_string(),
                "start it, or correct kafka.bootstrap_servers, name resolution or firewall",
            );
        }
    };
    if !is_plain {
        return fine(name, "takes connections; its release is not asked for over TLS");
    }
    match kafka::release(connection, ASK) {
        Ok(release) => fine(name, format!("takes connections, speaks as {release} does")),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            failed(name, error.to_string(), "upgrade the brokers")
        }
        Err(_) => {
            let found = "takes connections, does not answer in Kafka's protocol";
            failed(
                name,
                found,
                "see that the port is the listener meant, and whether kafka.properties lacks \
                    security.protocol = SSL",
            )
        }
    }
}

pub(crate) fn cluster(settings: &Settings, name: &'static str) -> Vec<Finding> {
    let survey = match ClusterProbe::new(settings, ASK) {
        Ok(survey) => survey,
        // It says by itself what to do.
        Err(error) => return failed(name, chain(&error), "then run doctor again"),
    };
    let found = format!(
        "{} of {} brokers",
        survey.id.as_deref().unwrap_or("without a name"),
        survey.brokers.len()
    );
    let brokers = i32::try_from(survey.brokers.len()).unwrap_or(i32::MAX);
    if brokers < settings.replication_factor {
        let remedy = format!(
            "topics with {} copies cannot be made: add brokers, or lower kafka.replication_factor",
            settings.replication_factor
        );
        return vec![Finding::new(name, Grade::Fail, found, remedy)];
    }
    fine(name, found)
}

/// What to say where a question got no answer.
pub(crate) fn unanswered(name: &str, error: &Error) -> Vec<Finding> {
    match error {
        Error::Unreachable(_) | Error::Refused(_) => {
            failed(name, "the cluster is not reached", "do what is said of the cluster")
        }
        Error::Kafka { cause, .. }
            if cause.rdkafka_error_code().is_some_and(|code| REFUSALS.contains(&code)) =>
        {
            failed(name, chain(error), "allow this user READ and DESCRIBE on it with kafka-acls")
        }
        other => failed(
            name,
            chain(other),
            "do what is said of cluster and topics, then run doctor again",
        ),
    }
}

pub(crate) fn look(settings: &Settings, name: &'static str) -> Vec<Finding> {
    let all = topics::ALL;
    let asked = ClusterProbe::new(settings, ASK).and_then(|_| kafka::look(settings, &all, ASK));
    let TopicCheck { partitions, missing, wrong, thin, .. } = match asked {
        Ok(looked) => looked,
        Err(error) => return unanswered(name, &error),
    };
    let mut findings = Vec::new();
    let names: Vec<String> = missing.iter().map(|topic| settings.topic(topic.name)).collect();
    if !names.is_empty() && settings.creates_topics {
        findings.push(Finding::new(
            name,
            Grade::Warn,
            format!("missing: {}", names.join(", ")),
            "`leadstream run` makes them",
        ));
    } else if !names.is_empty() {
        let remedy =
            "make them as docs/reference/topics.md says, or set kafka.create_topics = true";
        findings.push(Finding::new(
            name,
            Grade::Fail,
            format!("missing: {}", names.join(", ")),
            remedy,
        ));
    }
    let remedy = "correct it with kafka-topics, kafka-configs or kafka-acls; partitions cannot be \
        changed once there is state";
    findings.extend(wrong.into_iter().map(|line| Finding::new(name, Grade::Fail, line, remedy)));
    let remedy = "reassign it with kafka-reassign-partitions, or lower kafka.replication_factor";
    findings.extend(thin.into_iter().map(|line| Finding::new(name, Grade::Warn, line, remedy)));
    if findings.is_empty() {
        return fine(name, format!("{} as they have to be, {partitions} partitions", all.len()));
    }
    findings
}

/// Whether what is read may be read. Writing cannot be asked for without writing.
pub(crate) fn access(settings: &Settings, name: &'static str) -> Vec<Finding> {
    let survey = match ClusterProbe::new(settings, ASK) {
        Ok(survey) => survey,
        Err(error) => return unanswered(name, &error),
    };
    let read =
        InputTopic::ALL.map(|source| inputs_of(source, Partition(0)).0).into_iter().chain([STATE]);
    let reported = |topic| {
        survey.access_error(topic).map(|access_error| {
            format!("topic {} cannot be read: {access_error}", settings.topic(topic))
        })
    };
    let refused: Vec<String> = read.filter_map(reported).collect();
    if refused.is_empty() {
        return fine(
            name,
            "inputs and changelog can be read; writing is not tried, because it would write",
        );
    }
    let remedy = "allow this user READ and DESCRIBE on it with kafka-acls";
    refused.into_iter().map(|line| Finding::new(name, Grade::Fail, line, remedy)).collect()
}

/// A cluster, and how many partitions the inputs have there; `None`: they or the changelog do not
/// exist yet.
pub(crate) fn surveyed(settings: &Settings) -> Result<(ClusterProbe, Option<u32>), Error> {
    let survey = ClusterProbe::new(settings, ASK)?;
    let (interactions, _) = inputs_of(InputTopic::Interactions, Partition(0));
    let both: Vec<_> = topics::ALL
        .iter()
        .filter(|topic| [interactions, STATE].contains(&topic.name))
        .copied()
        .collect();
    let looked = kafka::look(settings, &both, ASK)?;
    Ok((survey, looked.missing.is_empty().then_some(looked.partitions)))
}

pub(crate) fn group(settings: &Settings, name: &'static str) -> Vec<Finding> {
    let (topic, _) = inputs_of(InputTopic::Interactions, Partition(0));
    let asked = surveyed(settings).and_then(|(survey, partitions)| {
        let standings = partitions
            .map_or(Ok(Vec::new()), |partitions| survey.standings((topic, partitions)))?;
        Ok((survey.group()?, standings))
    });
    let (state, standings) = match asked {
        Ok(asked) => asked,
        Err(error) => return unanswered(name, &error),
    };
    let (group, topic) = (&settings.application_id, settings.topic(topic));
    let findings: Vec<Finding> =
        standings.iter().filter_map(|standing| stands(name, (group, &topic), standing)).collect();
    if !findings.is_empty() {
        return findings;
    }
    let (state, members) = state.unwrap_or_else(|| ("not there yet".to_owned(), 0));
    let processed = standings.iter().filter(|standing| standing.committed.is_some()).count();
    let found = format!(
        "{group}: {state}, {members} members, offsets of {processed} of {} partitions",
        standings.len()
    );
    let wanted = settings.num_standby_replicas as usize + 1;
    if (1..wanted).contains(&members) {
        let remedy = format!(
            "kafka.num_standby_replicas = {} wants {wanted} instances: start more, or lower it",
            settings.num_standby_replicas
        );
        return vec![Finding::new(name, Grade::Warn, found, remedy)];
    }
    fine(name, found)
}

pub(crate) fn stands(
    name: &str,
    (group, topic): (&str, &str),
    standing: &GroupOffsets,
) -> Option<Finding> {
    let GroupOffsets { partition, committed, interactions: (first, _), has_changelog } = *standing;
    let reset = format!(
        "kafka-consumer-groups --group {group} --topic {topic}:{partition} --reset-offsets"
    );
    match committed {
        None if has_changelog => {
            let found = format!(
                "{topic} partition {partition} has no committed offset although its changelog is \
                    not empty"
            );
            let remedy = format!(
                "start an instance: it stops and names the offset for {reset} --to-offset OFFSET \
                    --execute"
            );
            Some(Finding::new(name, Grade::Fail, found, remedy))
        }
        Some(next) if next < first => {
            let found = format!(
                "{topic} partition {partition} was taken up to {next} and begins at {first}: \
                    retention removed the rest"
            );
            Some(Finding::new(
                name,
                Grade::Fail,
                found,
                format!("to go on without it: {reset} --to-earliest --execute"),
            ))
        }
        _ => None,
    }
}

/// Compares this machine's clock with the times that the brokers gave to records: one that is
/// behind them is seen.
pub(crate) fn clock(settings: &Settings, name: &'static str) -> Vec<Finding> {
    let (topic, _) = inputs_of(InputTopic::Interactions, Partition(0));
    let asked = surveyed(settings).and_then(|(survey, partitions)| {
        let now_ms = TimeSource::World.now().0;
        partitions.map_or(Ok(false), |partitions| {
            survey.is_ahead_of((topic, partitions), now_ms + AHEAD_MS)
        })
    });
    let topic = settings.topic(topic);
    match asked {
        Ok(false) => fine(
            name,
            format!("no record of {topic} is ahead of it by more than {} s", AHEAD_MS / 1_000),
        ),
        Ok(true) => {
            let found =
                format!("records of {topic} are ahead of it by more than {} s", AHEAD_MS / 1_000);
            failed(name, found, "set the clocks of this machine and of the brokers by NTP")
        }
        Err(error) => unanswered(name, &error),
    }
}
