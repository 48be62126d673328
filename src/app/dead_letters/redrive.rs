//! Appending the bytes of dead letters again, and what would come of that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::dead_letters::{Choice, Error, Fate, Letters, Redriven, SOURCE};
use crate::app::instance::Instance;
use crate::app::sources::Run;
use crate::codec::record::{Batches, Origin, Record, reason_word};
use crate::codec::records::{event, input};
use crate::codec::topics::inputs_of;
use crate::domain::hash::partition_of;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::log::registry::Schemas;
use crate::log::{self, Backend, Sources};
use crate::pipeline::{Input, InputTopic};

/// Dead letters appended in one transaction.
const PIECE_LETTERS: usize = 500;
/// Bytes of their values after which a transaction ends early.
const PIECE_BYTES: usize = 4 << 20;
/// How long a schema is waited for that a dead letter names.
const PATIENCE: Duration = Duration::from_secs(10);

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
    log: &Backend,
    choice: &Choice,
    schemas: &Schemas,
    each: &mut dyn FnMut(Forecast),
) -> Result<(), Error> {
    let letters = Letters::now(log)?;
    let (redriven, partitions) = (letters.redriven()?, letters.partitions());
    let mut left = choice.limit();
    for partition in choice.partitions(partitions) {
        letters.each(partition, &mut |offset, letter| {
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
            let run = (redriven.run.number.max(1), AppendTime(0));
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
/// do, under its number.
///
/// # Errors
/// [`Error::Busy`]. When the log fails or a schema does not come: the same call goes on where this
/// one was.
pub fn redrive(
    instance: &Instance,
    choice: &Choice,
    sent: &mut dyn FnMut(&[Sent]),
) -> Result<Redriven, Error> {
    let sources = &instance.sources;
    let done = sources.try_alone(SOURCE, |log| {
        let letters = Letters::now(&instance.log)?;
        let new_run = &|| sources.new_run();
        redrive_as(
            log,
            &Redrive { letters: &letters, choice, schemas: &instance.schemas, new_run },
            sent,
        )
    });
    if done.is_some() {
        sources.close(SOURCE);
    }
    done.ok_or(Error::Busy)?
}

/// What is appended again, and with what.
pub struct Redrive<'a> {
    /// The dead letters that are there.
    pub letters: &'a Letters,
    /// Those that are meant.
    pub choice: &'a Choice,
    /// Schemas of others.
    pub schemas: &'a Schemas,
    /// Gives the number of a new run.
    pub new_run: &'a dyn Fn() -> Result<Run, log::Error>,
}

/// As [`redrive`], with a log that nobody else appends to as this source.
///
/// # Errors
/// When the log fails or a schema does not come.
pub fn redrive_as(
    log: &dyn Sources,
    Redrive { letters, choice, schemas, new_run }: &Redrive<'_>,
    sent: &mut dyn FnMut(&[Sent]),
) -> Result<Redriven, Error> {
    let mut redriven = Redriven::read(log.source(SOURCE)?.as_deref())?;
    if redriven.run.number == 0 || redriven.finished {
        redriven = Redriven { run: new_run()?, lines: 0, finished: false, ..redriven };
    }
    let now = log.now();
    let mut left = choice.limit();
    for partition in choice.partitions(log.partitions()) {
        let mut piece = Piece::default();
        letters.each(partition, &mut |offset, letter| {
            let place = (partition, offset);
            if left == 0 || !choice.holds(&letter) || redriven.fate(place, &letter) != Fate::Again {
                return Ok(());
            }
            left -= 1;
            let (letter, record) = appended_again(
                place,
                letter,
                (redriven.run.number, now),
                (log.partitions(), schemas),
            )?;
            redriven.mark(&letter);
            piece.push(letter, record);
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
    fn push(&mut self, sent: Sent, record: Record) {
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
        log: &dyn Sources,
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
