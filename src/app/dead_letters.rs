//! Dead letters: what there is of them, and appending their bytes again, each at most once.
//!
//! How far they were appended again is stored in the transaction that appends them, so that a
//! redrive that is killed goes on where it was. It is kept per reason, because one reason may be
//! mended while another waits.

mod redrive;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::app::sources::Run;
use crate::codec::interaction::EVENT_BYTES_MAX;
use crate::codec::record::Record;
use crate::codec::topics::{DEAD_LETTERS, inputs_of};
use crate::domain::units::{Offset, Partition};
use crate::log::{self, Backend, Committed, registry};
use crate::pipeline::InputTopic;

pub use crate::app::dead_letters::redrive::{
    Forecast, Redrive, Sent, forecast, redrive, redrive_as,
};

/// Name under which it is stored how far dead letters were appended again.
pub const SOURCE: &str = "dlq redrive";
/// How often a record is appended again at most: what fails so often needs another remedy.
pub const ATTEMPTS_MAX: u32 = 5;

/// Why dead letters cannot be appended again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was stored is not what this release stores.
    #[error("how far dead letters were appended again cannot be read: another release wrote it")]
    Stored(#[source] serde_json::Error),
    /// A schema that a dead letter names did not come.
    #[error(
        "a dead letter names a schema of the registry: start the registry, then run the same \
            command again"
    )]
    Registry(#[from] registry::Error),
    /// No dead letter is where one was asked for.
    #[error("no dead letter is at {}/{}: `leadstream dlq list` has the places", .0.0, .1.0)]
    Nothing(Partition, Offset),
    /// Two at once would append the same.
    #[error("another redrive is under way on this instance: wait until it has ended")]
    Busy,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
}

/// The dead letters that are there at one moment, in each partition up to its end then.
pub struct Letters {
    committed: Committed,
    ends: Vec<Offset>,
}

impl Letters {
    /// Those that are there now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn now(log: &Backend) -> Result<Self, Error> {
        let committed = log.committed()?;
        let ends = (0..log.partitions())
            .map(|partition| committed.end(DEAD_LETTERS, Partition(partition)))
            .collect::<Result<_, _>>()?;
        Ok(Self { committed, ends })
    }

    fn partitions(&self) -> u32 {
        u32::try_from(self.ends.len()).expect("partitions were counted in 32 bits")
    }

    /// Hands those of a partition, in order.
    fn each(
        &self,
        partition: Partition,
        each: &mut dyn FnMut(Offset, Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(end) = self.ends.get(partition.0 as usize) else { return Ok(()) };
        self.committed.each((DEAD_LETTERS, partition), (Offset(0), *end), each)
    }

    /// How far dead letters were appended again.
    ///
    /// # Errors
    /// [`Error::Stored`], or when the log cannot be read.
    pub fn redriven(&self) -> Result<Redriven, Error> {
        Redriven::read(self.committed.source(SOURCE)?.as_deref())
    }
}

/// Which dead letters are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Only those of this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only those in this partition of the dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl Choice {
    fn holds(&self, record: &Record) -> bool {
        self.reason.as_deref().is_none_or(|reason| reason == record.reason_word())
    }

    fn limit(&self) -> u64 {
        self.limit.unwrap_or(u64::MAX)
    }

    fn partitions(&self, of: u32) -> impl Iterator<Item = Partition> {
        let wanted = self.partition;
        (0..of)
            .filter(move |partition| wanted.is_none_or(|wanted| wanted == *partition))
            .map(Partition)
    }
}

/// What a dead letter can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is appended again.
    Again,
    /// It was appended again before.
    Done,
    /// It was appended again [`ATTEMPTS_MAX`] times and failed each time.
    Exhausted,
    /// It is longer than any event may be.
    TooLong,
    /// It is no interaction but a definition or an entry of an inbox.
    Internal,
}

impl Fate {
    /// In a word or two.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Again => "possible",
            Self::Done => "done",
            Self::Exhausted => "failed too often",
            Self::TooLong => "too long",
            Self::Internal => "no interaction",
        }
    }
}

/// How far dead letters were appended again, stored as a source beside those of ingested files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// The run under way, or the last.
    pub run: Run,
    /// Dead letters appended by this run.
    pub lines: u64,
    finished: bool,
    /// By reason and partition, the offset behind the last that was appended again.
    next: BTreeMap<String, BTreeMap<u32, u64>>,
}

impl Redriven {
    /// Reads what was stored; nothing yet: none was appended again.
    ///
    /// # Errors
    /// [`Error::Stored`].
    pub fn read(stored: Option<&[u8]>) -> Result<Self, Error> {
        stored.map_or_else(
            || Ok(Self::default()),
            |bytes| serde_json::from_slice(bytes).map_err(Error::Stored),
        )
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and names are JSON")
    }

    /// What a dead letter can become.
    #[must_use]
    pub fn fate(&self, (partition, offset): (Partition, Offset), record: &Record) -> Fate {
        let (interactions, _) = inputs_of(InputTopic::Interactions, partition);
        let next = self.next.get(record.reason_word()).and_then(|next| next.get(&partition.0));
        match &record.origin {
            Some(origin) if origin.topic != interactions => Fate::Internal,
            Some(origin) if origin.attempt >= ATTEMPTS_MAX => Fate::Exhausted,
            _ if record.value.as_ref().is_some_and(|value| value.len() > EVENT_BYTES_MAX) => {
                Fate::TooLong
            }
            _ if next.is_some_and(|next| offset.0 < *next) => Fate::Done,
            _ => Fate::Again,
        }
    }

    fn mark(&mut self, Sent { place: (partition, offset), reason, .. }: &Sent) {
        self.lines += 1;
        self.next.entry(reason.clone()).or_default().insert(*partition, offset + 1);
    }
}

/// Dead letters of one reason and topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The reason.
    pub reason: String,
    /// Where they stood.
    pub topic: String,
    /// How many there are.
    pub letters: u64,
    /// How many of them can be appended again.
    pub waiting: u64,
    /// When the log had taken the oldest and the newest, milliseconds since 1970.
    pub taken_ms: [i64; 2],
}

/// A dead letter without anything of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its partition and offset.
    pub place: (u32, u64),
    /// Its reason.
    pub reason: String,
    /// Where it stood, as topic/partition/offset.
    pub was_at: String,
    /// How often it had been appended again.
    pub attempt: u32,
    /// When the log had taken it there, milliseconds since 1970.
    pub taken_ms: i64,
    /// Length of its value.
    pub bytes: usize,
    /// What it can become.
    pub fate: Fate,
}

/// Dead letters counted, and some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// All that were chosen, by reason and topic.
    pub groups: Vec<Group>,
    /// The first of them in each partition's order, as many as were asked for.
    pub letters: Vec<Letter>,
}

/// Counts the chosen dead letters that the log took since a moment (milliseconds since 1970), and
/// lists the first of them.
///
/// # Errors
/// When the log cannot be read.
pub fn list(log: &Backend, choice: &Choice, since_ms: i64) -> Result<List, Error> {
    let letters = Letters::now(log)?;
    let redriven = letters.redriven()?;
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let mut listed = Vec::new();
    for partition in choice.partitions(letters.partitions()) {
        letters.each(partition, &mut |offset, record| {
            if !choice.holds(&record) || record.appended_ms < since_ms {
                return Ok(());
            }
            let fate = redriven.fate((partition, offset), &record);
            let topic = record.origin.as_ref().map_or("", |origin| &origin.topic);
            let (reason, topic, at) =
                (record.reason_word().to_owned(), topic.to_owned(), record.appended_ms);
            let empty = || Group {
                reason: reason.clone(),
                topic: topic.clone(),
                letters: 0,
                waiting: 0,
                taken_ms: [at; 2],
            };
            let group = groups.entry((reason.clone(), topic.clone())).or_insert_with(empty);
            group.letters += 1;
            group.waiting += u64::from(fate == Fate::Again);
            group.taken_ms = [at.min(group.taken_ms[0]), at.max(group.taken_ms[1])];
            if (listed.len() as u64) < choice.limit() {
                listed.push(Letter {
                    place: (partition.0, offset.0),
                    reason,
                    was_at: record.origin.as_ref().map(ToString::to_string).unwrap_or_default(),
                    attempt: record.origin.as_ref().map_or(0, |origin| origin.attempt),
                    taken_ms: at,
                    bytes: record.value.as_ref().map_or(0, Vec::len),
                    fate,
                });
            }
            Ok(())
        })?;
    }
    Ok(List { groups: groups.into_values().collect(), letters: listed })
}

/// The dead letter at a place.
///
/// # Errors
/// [`Error::Nothing`], or when the log cannot be read.
pub fn find(log: &Backend, (partition, offset): (Partition, Offset)) -> Result<Record, Error> {
    let Letters { committed, ends } = Letters::now(log)?;
    let end = ends.get(partition.0 as usize).copied().unwrap_or_default();
    let mut found = None;
    let range = (offset, end.min(Offset(offset.0.saturating_add(1))));
    committed.each::<Error>((DEAD_LETTERS, partition), range, &mut |at, record| {
        found = (at == offset).then_some(record);
        Ok(())
    })?;
    found.ok_or(Error::Nothing(partition, offset))
}
