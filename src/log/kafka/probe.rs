//! What can be asked of a cluster without changing anything in it.

use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind, Read, Result as IoResult, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::codec::topics::STATE;
use crate::log::Error;
use crate::log::kafka::connect::{ClientErrors, reach};
use crate::log::kafka::failed;
use crate::log::kafka::settings::{Settings, make_with};

/// Numbers of requests in Kafka's protocol, and the versions without which nothing is exactly once
/// (KIP-447).
const FETCH: i16 = 1;
const OFFSET_FETCH: (i16, i16) = (9, 7);
const TXN_OFFSET_COMMIT: (i16, i16) = (28, 3);
/// What a broker says of groups soon after its start.
const LOADS: [RDKafkaErrorCode; 2] =
    [RDKafkaErrorCode::CoordinatorLoadInProgress, RDKafkaErrorCode::CoordinatorNotAvailable];
/// Between two tries while it does.
const AGAIN: Duration = Duration::from_millis(50);
/// Bytes of an answer that is believed.
const ANSWER_BYTES_MAX: usize = 1 << 16;

/// A cluster that answered.
pub struct ClusterProbe {
    settings: Settings,
    consumer: BaseConsumer<ClientErrors>,
    wait: Duration,
    /// Its brokers, `host:port`.
    pub brokers: Vec<String>,
    /// Its identity, where it says that.
    pub id: Option<String>,
}

/// How the group stands in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    /// The partition.
    pub partition: u32,
    /// The committed offset.
    pub committed: Option<u64>,
    /// First and next offset of the interactions.
    pub interactions: (u64, u64),
    /// Whether the changelog has records.
    pub has_changelog: bool,
}

impl ClusterProbe {
    /// Asks a cluster who it is.
    ///
    /// # Errors
    /// [`Error::Unreachable`] or [`Error::Refused`] within `wait`, which also bounds every later
    /// question.
    pub fn new(settings: &Settings, wait: Duration) -> Result<Self, Error> {
        let (consumer, metadata) = reach(settings, wait)?;
        let brokers = metadata
            .brokers()
            .iter()
            .map(|broker| format!("{}:{}", broker.host(), broker.port()))
            .collect();
        let id = consumer.client().fetch_cluster_id(wait);
        Ok(Self { settings: settings.clone(), consumer, wait, brokers, id })
    }

    /// State and number of members of the group; `None`: it does not exist.
    ///
    /// # Errors
    /// When the cluster does not answer or does not allow it.
    pub fn group(&self) -> Result<Option<(String, usize)>, Error> {
        let name = self.settings.application_id.as_str();
        let until = Instant::now() + self.wait;
        let list = loop {
            match self.consumer.fetch_group_list(Some(name), self.wait) {
                Err(KafkaError::GroupListFetch(code))
                    if LOADS.contains(&code) && Instant::now() < until =>
                {
                    std::thread::sleep(AGAIN)
                }
                found => {
                    break found.map_err(failed(format!("group {name} cannot be described")))?;
                }
            }
        };
        let found = list.groups().iter().find(|group| group.name() == name);
        Ok(found.map(|group| (group.state().to_owned(), group.members().len())))
    }

    /// How the group stands in each partition.
    ///
    /// # Errors
    /// As [`ClusterProbe::group`].
    pub fn standings(&self, (topic, partitions): (&str, u32)) -> Result<Vec<GroupOffsets>, Error> {
        let Self { settings, .. } = self;
        let (topic, state) = (settings.topic(topic), settings.topic(STATE));
        let group: BaseConsumer<ClientErrors> = make_with(
            &settings.consumer(&settings.application_id),
            "offsets",
            ClientErrors::default(),
        )?;
        let mut list = TopicPartitionList::new();
        (0..partitions).for_each(|partition| {
            list.add_partition(&topic, partition.cast_signed());
        });
        let what = || {
            failed(format!(
                "the committed offsets of group {} cannot be read",
                settings.application_id
            ))
        };
        let committed = group.committed_offsets(list, self.wait).map_err(what())?;
        let mut standings = Vec::new();
        for element in committed.elements() {
            element.error().map_err(what())?;
            let committed = match element.offset() {
                KafkaOffset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            };
            let interactions = self.watermarks(&topic, element.partition())?;
            let (first, next) = self.watermarks(&state, element.partition())?;
            let partition = u32::try_from(element.partition()).unwrap_or(0);
            standings.push(GroupOffsets {
                partition,
                committed,
                interactions,
                has_changelog: next > first,
            });
        }
        Ok(standings)
    }

    /// First and next offset of a partition.
    fn watermarks(&self, topic: &str, partition: i32) -> Result<(u64, u64), Error> {
        let found = self.consumer.fetch_watermarks(topic, partition, self.wait);
        let (low, high) = found.map_err(failed(format!("cannot read the offsets of {topic}")))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// Why the end of a topic cannot be fetched; `None`: it can, or there is no such topic.
    pub fn access_error(&self, topic: &str) -> Option<String> {
        let topic = self.settings.topic(topic);
        match self.consumer.fetch_metadata(Some(&topic), self.wait) {
            Ok(metadata) if metadata.topics().iter().any(is_refused) => {
                return Some("this user may not describe it".to_owned());
            }
            Ok(metadata) if metadata.topics().iter().all(|topic| topic.partitions().is_empty()) => {
                return None;
            }
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        let mut list = TopicPartitionList::new();
        let outcome = list
            .add_partition_offset(&topic, 0, KafkaOffset::End)
            .and_then(|()| self.consumer.assign(&list))
            .err()
            .or_else(|| self.first_failure());
        // What cannot be unassigned is assigned anew by the next question.
        self.consumer.unassign().ok();
        outcome.map(|error| error.to_string())
    }

    /// The failure that the assigned partition reports before its end.
    fn first_failure(&self) -> Option<KafkaError> {
        let until = Instant::now() + self.wait;
        while Instant::now() < until {
            match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return None,
                Some(Err(
                    error @ KafkaError::MessageConsumption(
                        RDKafkaErrorCode::TopicAuthorizationFailed,
                    ),
                )) => return Some(error),
                Some(Err(_)) | None => {}
            }
        }
        Some(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }

    /// Whether a topic has records whose time is later than a moment, milliseconds since 1970.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn is_ahead_of(&self, (topic, partitions): (&str, u32), at_ms: i64) -> Result<bool, Error> {
        let topic = self.settings.topic(topic);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            let added = list.add_partition_offset(
                &topic,
                partition.cast_signed(),
                KafkaOffset::Offset(at_ms),
            );
            added.map_err(failed("a moment is no offset"))?;
        }
        let found = self
            .consumer
            .offsets_for_times(list, self.wait)
            .map_err(failed(format!("the times of {topic} cannot be read")))?;
        Ok(found
            .elements()
            .iter()
            .any(|element| matches!(element.offset(), KafkaOffset::Offset(_))))
    }
}

fn is_refused(topic: &MetadataTopic) -> bool {
    topic.error() == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
}

/// Whether somebody takes connections at `host:port`.
///
/// # Errors
/// Why not.
pub fn connect(address: &str, wait: Duration) -> IoResult<TcpStream> {
    let places: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let mut outcome = Err(IoError::new(ErrorKind::NotFound, "the name has no address"));
    for place in places {
        outcome = TcpStream::connect_timeout(&place, wait);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// What a broker says that it speaks, over a connection that is not encrypted: the oldest release
/// that fits.
///
/// # Errors
/// [`ErrorKind::Unsupported`] with what is missing where nothing can be exactly once; else when it
/// does not answer.
pub fn release(mut connection: TcpStream, wait: Duration) -> IoResult<&'static str> {
    connection.set_read_timeout(Some(wait))?;
    // ApiVersions (18) in version 0: length, request, version, correlation, and a client without a
    // name.
    connection.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])?;
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(10..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(IoError::new(ErrorKind::InvalidData, "the answer is not that of a broker"));
    }
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer)?;
    // Correlation, error, count, then number, oldest and newest version of each request.
    let number = |bytes: &[u8]| i16::from_be_bytes([bytes[0], bytes[1]]);
    let versions: BTreeMap<i16, (i16, i16)> = answer[10..]
        .chunks_exact(6)
        .map(|entry| (number(entry), (number(&entry[2..]), number(&entry[4..]))))
        .collect();
    let newest = |request: i16| versions.get(&request).map_or(-1, |(_, newest)| *newest);
    if [OFFSET_FETCH, TXN_OFFSET_COMMIT]
        .iter()
        .any(|(request, version)| newest(*request) < *version)
    {
        return Err(IoError::new(
            ErrorKind::Unsupported,
            "it is older than 2.5, without which nothing is exactly once",
        ));
    }
    Ok(match versions.get(&FETCH) {
        Some((4.., _)) => "4.0 or newer",
        Some((_, 13..)) => "3.1 or newer",
        _ => "2.5 or newer",
    })
}
