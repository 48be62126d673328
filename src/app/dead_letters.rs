//! Dead letters: what there is of them, and appending their bytes again, each at most once.
//!
//! How far they were appended again is stored in the transaction that appends them, so that a
//! redrive that is killed goes on where it was. It is kept per reason, because one reason may be
//! mended while another waits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::ingest::next_run;
use crate::codec::interaction::EVENT_BYTES_MAX;
use crate::codec::record::{Batches, Origin, Record, reason_word};
use crate::codec::records::{event, input};
use crate::codec::topics::inputs_of;
use crate::domain::hash::partition_of;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::registry::{self, Schemas};
use crate::log::{self, Sources};
use crate::pipeline::{Input, InputTopic};

/// Name under which it is stored how far dead letters were appended again.
pub const SOURCE: &str = "dlq redrive";
/// How often a record is appended again at most: what fails so often needs another remedy.
pub const ATTEMPTS_MAX: u32 = 5;
/// Dead letters appended in one transaction.
const PIECE_LETTERS: usize = 500;
/// Bytes of their values after which a transaction ends early.
const PIECE_BYTES: usize = 4 << 20;
/// How long a schema is waited for that a dead letter names.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
}

/// Hands the dead letters of a partition that lie within a range of offsets to a function.
pub type Letters<'a> = dyn Fn(
        Partition,
        (Offset, Offset),
        &mut dyn FnMut(Offset, Record) -> Result<(), Error>,
    ) -> Result<(), Error>
    + 'a;

/// A whole partition.
const ALL: (Offset, Offset) = (Offset(0), Offset(u64::MAX));

/// Which dead letters are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Only those of this reason.
    pub reason: Option<String>,
    /// Only those in this partition of the dead letters.
    pub partition: Option<u32>,
    /// At most so many.
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
    /// Number of the run under way or the last; its records carry it.
    pub run: u32,
    /// Dead letters appended by this run.
    pub lines: u64,
    crc: u32,
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
pub fn list(
    letters: &Letters<'_>,
    partitions: u32,
    redriven: &Redriven,
    (choice, since_ms): (&Choice, i64),
) -> Result<List, Error> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let mut listed = Vec::new();
    for partition in choice.partitions(partitions) {
        letters(partition, ALL, &mut |offset, record| {
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

/// The dead letter at a place; `None`: there is none.
///
/// # Errors
/// When the log cannot be read.
pub fn find(
    letters: &Letters<'_>,
    (partition, offset): (Partition, Offset),
) -> Result<Option<Record>, Error> {
    let mut found = None;
    letters(partition, (offset, Offset(offset.0.saturating_add(1))), &mut |_, record| {
        found = Some(record);
        Ok(())
    })?;
    Ok(found)
}

/// What to say where no dead letter is.
#[must_use]
pub fn nothing_at((partition, offset): (Partition, Offset)) -> String {
    format!(
        "no dead letter is at {}/{}: `leadstream dlq list` has the places",
        partition.0, offset.0
    )
}

/// A dead letter that is appended again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its partition and offset among the dead letters.
    pub place: (u32, u64),
    /// Its reason.
    pub reason: String,
    /// The partition of the interactions that it goes to.
    pub partition: u32,
    /// How often it has been appended again with this.
    pub attempt: u32,
}

/// What would come of one dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// What would be appended; `None`: nothing.
    pub sent: Option<Sent>,
    /// The reason it has.
    pub reason: String,
    /// Whether it would be appended again.
    pub fate: Fate,
    /// The reason that decoding it now gives; `None`: it is an event, which may still be known,
    /// late or ahead of the log.
    pub again: Option<String>,
}

/// Does all that [`redrive`] does but append, and decodes what would be appended with today's code
/// and schemas.
///
/// # Errors
/// When the log cannot be read, or a schema does not come.
pub fn forecast(
    letters: &Letters<'_>,
    partitions: u32,
    (redriven, choice): (&Redriven, &Choice),
    schemas: &Schemas,
    each: &mut dyn FnMut(Forecast),
) -> Result<(), Error> {
    let mut left = choice.limit();
    for partition in choice.partitions(partitions) {
        letters(partition, ALL, &mut |offset, letter| {
            let fate = redriven.fate((partition, offset), &letter);
            if !choice.holds(&letter) || (fate == Fate::Again && left == 0) {
                return Ok(());
            }
            let reason = letter.reason_word().to_owned();
            if fate != Fate::Again {
                each(Forecast { sent: None, reason, fate, again: None });
                return Ok(());
            }
            left -= 1;
            // Some number of a run: what has one may be a line of JSON.
            let run = (redriven.run.max(1), AppendTime(0));
            let (sent, record) =
                appended_again((partition, offset), letter, run, (partitions, schemas))?;
            let place = (Partition(sent.partition), partitions);
            let value = record.value.as_deref().unwrap_or_default();
            let again = match schemas
                .read_within(PATIENCE, value, |writers| input(&record, place, writers))?
            {
                Input::Undecodable(sentence) => Some(reason_word(&sentence).to_owned()),
                _ => None,
            };
            each(Forecast { sent: Some(sent), reason, fate, again });
            Ok(())
        })?;
    }
    Ok(())
}

/// Appends the chosen dead letters again, each once whatever happens; `sent` hears what was
/// appended, after it was. Gives what the run stands at: its records come out as those of an ingest
/// do, under its number. Only one may be under way.
///
/// # Errors
/// When the log fails or a schema does not come: the same call goes on where this one was.
pub fn redrive(
    log: &impl Sources,
    letters: &Letters<'_>,
    choice: &Choice,
    schemas: &Schemas,
    sent: &mut dyn FnMut(&[Sent]),
) -> Result<Redriven, Error> {
    let mut redriven = Redriven::read(log.source(SOURCE)?.as_deref())?;
    if redriven.run == 0 || redriven.finished {
        redriven = Redriven { run: next_run(log)?, lines: 0, finished: false, ..redriven };
    }
    let now = log.now();
    let mut left = choice.limit();
    for partition in choice.partitions(log.partitions()) {
        let mut piece = Piece::default();
        letters(partition, ALL, &mut |offset, letter| {
            let place = (partition, offset);
            if left == 0 || !choice.holds(&letter) || redriven.fate(place, &letter) != Fate::Again {
                return Ok(());
            }
            left -= 1;
            let appended =
                appended_again(place, letter, (redriven.run, now), (log.partitions(), schemas))?;
            redriven.mark(&appended.0);
            piece.push(appended);
            if piece.is_full() { piece.append(log, &redriven, sent) } else { Ok(()) }
        })?;
        piece.append(log, &redriven, sent)?;
    }
    if redriven.lines > 0 {
        redriven.finished = true;
        log.append_from(&Batches::new(), (SOURCE, &redriven.bytes()))?;
    }
    Ok(redriven)
}

/// What is appended in one transaction.
#[derive(Default)]
struct Piece {
    batches: Batches,
    sent: Vec<Sent>,
    bytes: usize,
}

impl Piece {
    fn push(&mut self, (sent, record): (Sent, Record)) {
        self.bytes += record.value.as_ref().map_or(0, Vec::len);
        let (topic, partition) = inputs_of(InputTopic::Interactions, Partition(sent.partition));
        self.batches.entry((topic, partition.0)).or_default().push(record);
        self.sent.push(sent);
    }

    fn is_full(&self) -> bool {
        self.sent.len() >= PIECE_LETTERS || self.bytes >= PIECE_BYTES
    }

    fn append(
        &mut self,
        log: &impl Sources,
        redriven: &Redriven,
        reported: &mut dyn FnMut(&[Sent]),
    ) -> Result<(), Error> {
        let Self { batches, sent, .. } = std::mem::take(self);
        if !sent.is_empty() {
            log.append_from(&batches, (SOURCE, &redriven.bytes()))?;
            reported(&sent);
        }
        Ok(())
    }
}

/// A dead letter as the interaction that it was: its bytes under its key, where that key belongs.
/// One that had no key, such as a line that was no event, gets that of its event where it is one
/// now.
fn appended_again(
    (partition, offset): (Partition, Offset),
    letter: Record,
    (run, now): (u32, AppendTime),
    (partitions, schemas): (u32, &Schemas),
) -> Result<(Sent, Record), Error> {
    let reason = letter.reason_word().to_owned();
    let origin = letter.origin.map(|origin| Origin { attempt: origin.attempt + 1, ..origin });
    let mut record = Record { reason: None, ingest_run: run, appended_ms: now.0, origin, ..letter };
    if record.key.is_none() {
        let value = record.value.as_deref().unwrap_or_default();
        let event = schemas.read_within(PATIENCE, value, |writers| event(&record, writers))?;
        record.key = event.ok().map(|event| event.key.as_str().into());
    }
    let bytes = record.key.as_ref().or(record.value.as_ref());
    let target = partition_of(bytes.map_or(&[], Vec::as_slice), partitions);
    let attempt = record.origin.as_ref().map_or(0, |origin| origin.attempt);
    Ok((Sent { place: (partition.0, offset.0), reason, partition: target.0, attempt }, record))
}
