//! Files into the log: lines of NDJSON, plain or gzip, become records with the position of their
//! file in one append.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::time::Duration;

use flate2::bufread::GzDecoder;
use serde::{Deserialize, Serialize};

use crate::app::instance::Instance;
use crate::app::sources::{OpenSources, Run};
use crate::codec::interaction::{self, EVENT_BYTES_MAX};
use crate::codec::names;
use crate::codec::record::{Batches, Record};
use crate::codec::rows;
use crate::codec::topics::{STATE, inputs_of};
use crate::domain::event::{Channel, EventType, Interaction};
use crate::domain::hash::partition_of;
use crate::domain::units::{AppendTime, Offset, Partition};
use crate::engine::store;
use crate::log::{self, Backend, Committed, Sources};
use crate::pipeline::{Counters, Input, InputTopic, Key, Row};

/// A line is kept whole up to this size; a longer one ends the ingest, so that nothing is cut.
pub const LINE_BYTES_MAX: usize = 64 << 20;
/// Between two looks at the counts of a run.
const FOLLOW: Duration = Duration::from_millis(100);

/// How far a source was appended, stored with its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: Run,
    /// Lines appended.
    pub lines: u64,
    /// CRC-32 of those lines, to see that the file is the same.
    pub crc: u32,
    /// All of the file is appended, and what came of it was reported.
    pub finished: bool,
}

/// Why a file cannot be ingested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A line is too long to be kept.
    #[error(
        "{path}: line {line} has more than {LINE_BYTES_MAX} bytes: split or remove it, then ingest \
            again"
    )]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: u64,
    },
    /// Somebody else appended to the same source.
    #[error("{name} is at line {stored} already: another ingest of it is under way")]
    Moved {
        /// The source.
        name: String,
        /// Lines appended.
        stored: u64,
    },
    /// No run of this name was begun.
    #[error("no ingest of {0} was begun")]
    Unknown(String),
    /// Nobody takes what was appended.
    #[error("the worker has stopped: {0}")]
    Stopped(String),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Counts cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What was found in lines that were appended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Those that are no events.
    pub bad: Vec<BadLine>,
    /// Words that nothing reads, at most [`UNREAD_MAX`].
    pub unread: Vec<Unread>,
}

/// A word that nothing reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The field.
    pub field: String,
    /// Its value.
    pub word: String,
    /// How many events have it.
    pub events: u64,
    /// What is probably meant.
    pub meant: Option<String>,
}

/// How many different unread words are counted.
pub const UNREAD_MAX: usize = 20;

impl Found {
    /// Notes words of an event that nothing reads.
    fn note(&mut self, event: &Interaction) {
        if let EventType::Other(word) = &event.kind {
            self.count("event_type", word, || names::meant_event_type(word));
        }
        if let Some(Channel::Other(word)) = &event.channel {
            self.count("channel", word, || names::nearest(word, Channel::WORDS.iter().copied()));
        }
    }

    fn count(&mut self, field: &str, word: &str, meant: impl FnOnce() -> Option<&'static str>) {
        let is_it = |unread: &&mut Unread| unread.field == field && unread.word == word;
        if let Some(unread) = self.unread.iter_mut().find(is_it) {
            unread.events += 1;
        } else if self.unread.len() < UNREAD_MAX {
            self.unread.push(Unread {
                field: field.to_owned(),
                word: word.to_owned(),
                events: 1,
                meant: meant().map(str::to_owned),
            });
        }
    }
}

/// A line that is no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadLine {
    /// Counted from 1.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// The lines of a file, without their ends.
pub struct Lines {
    path: String,
    reader: Box<dyn BufRead + Send>,
    partial: Vec<u8>,
    read: u64,
}

impl Lines {
    /// Opens a file, `-` for standard input; gzip is seen by its first bytes.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn open(path: &str) -> Result<Self, Error> {
        let opened = || -> std::io::Result<Box<dyn BufRead + Send>> {
            let raw: Box<dyn Read + Send> =
                if path == "-" { Box::new(stdin()) } else { Box::new(File::open(path)?) };
            let mut reader = BufReader::with_capacity(1 << 16, raw);
            let gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
            Ok(if gzip {
                let members = Members { current: Some(GzDecoder::new(reader)) };
                Box::new(BufReader::with_capacity(1 << 16, members))
            } else {
                Box::new(reader)
            })
        };
        let reader = opened().map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        Ok(Self { path: path.to_owned(), reader, partial: Vec::new(), read: 0 })
    }

    /// The next line that has an end; `None` where the file ends for now.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Line`].
    pub fn next_whole(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.partial.len()) as u64;
        let mut bounded = self.reader.by_ref().take(room);
        bounded
            .read_until(b'\n', &mut self.partial)
            .map_err(|cause| Error::Read { path: self.path.clone(), cause })?;
        if self.partial.pop_if(|byte| *byte == b'\n').is_some() {
            self.read += 1;
            return Ok(Some(std::mem::take(&mut self.partial)));
        }
        if self.partial.len() > LINE_BYTES_MAX {
            return Err(Error::Line { path: self.path.clone(), line: self.read + 1 });
        }
        Ok(None)
    }

    /// The next line, at the end of the file also one without an end.
    ///
    /// # Errors
    /// As [`Lines::next_whole`].
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let line = self.next_whole()?;
        Ok(line.or_else(|| (!self.partial.is_empty()).then(|| std::mem::take(&mut self.partial))))
    }
}

/// The members of a gzip file one after the other, with blocks of zeros behind each, as tapes and
/// some object stores add them.
struct Members<R> {
    /// `None`: all were read.
    current: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some(member) = &mut self.current {
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let Some(mut rest) = self.current.take().map(GzDecoder::into_inner) else { break };
            loop {
                let bytes = rest.fill_buf()?;
                let (zeros, whole) =
                    (bytes.iter().take_while(|byte| **byte == 0).count(), bytes.len());
                rest.consume(zeros);
                if whole == 0 {
                    break;
                }
                if zeros < whole {
                    self.current = Some(GzDecoder::new(rest));
                    break;
                }
            }
        }
        Ok(0)
    }
}

/// The events of a file as inputs, without the log; lines that are no events are undecodable
/// inputs.
///
/// # Errors
/// When the file cannot be opened; each item tells a later read error.
pub fn inputs(path: &str) -> Result<impl Iterator<Item = Result<Input, Error>>, Error> {
    let mut lines = Lines::open(path)?;
    Ok(std::iter::from_fn(move || lines.next_line().transpose()).map(|line| {
        Ok(match interaction::from_json(&line?) {
            Ok(event) => Input::Interaction {
                appended: AppendTime(event.occurred_at.0),
                event: Box::new(event),
            },
            Err(error) => Input::Undecodable(error.to_string()),
        })
    }))
}

fn record(line: &[u8], (number, run, appended_ms): (u64, u32, i64), found: &mut Found) -> Record {
    let created = |key, value, reason| Record {
        key,
        value: Some(value),
        reason,
        appended_ms,
        ingest_run: run,
        origin: None,
    };
    match interaction::from_json(line) {
        Ok(event) => {
            found.note(&event);
            // Ahead of the log it may become a dead letter, and those keep their bytes.
            let ahead = event.occurred_at.0 > appended_ms;
            let key = Some(event.key.as_str().into());
            let value = Some(event).filter(|_| !ahead).map(interaction::into_avro);
            created(
                key,
                value
                    .filter(|value| value.len() <= EVENT_BYTES_MAX)
                    .unwrap_or_else(|| line.to_vec()),
                None,
            )
        }
        Err(error) => {
            found.bad.push(BadLine { number, reason: error.to_string() });
            created(None, line.to_vec(), Some(format!("{error} (line {number})")))
        }
    }
}

/// Where a source stands; with `fresh`, or when its last run has finished, a new run.
///
/// # Errors
/// When the log fails.
pub fn begin(sources: &OpenSources, name: &str, fresh: bool) -> Result<Progress, Error> {
    // Whoever ingests the same source in another process is ended by this.
    sources.close(name);
    sources.alone(name, |log| {
        let stored =
            stored(log, name)?.filter(|stored| !fresh && !stored.finished && stored.lines > 0);
        if let Some(stored) = stored {
            return Ok(stored);
        }
        let progress = Progress { run: sources.new_run()?, ..Progress::default() };
        log.append_from(&Batches::new(), (name, &progress.bytes()))?;
        Ok(progress)
    })
}

fn stored(log: &dyn Sources, name: &str) -> Result<Option<Progress>, log::Error> {
    Ok(log.source(name)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

impl Progress {
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain numbers are JSON")
    }
}

/// Lines that are appended, and how far the source is with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Number of the run.
    pub run: u32,
    /// Lines of the source before these.
    pub before: u64,
    /// Lines of the source with these.
    pub lines: u64,
    /// CRC-32 of all of them.
    pub crc: u32,
    /// The run ends: all is appended, and what came of it was reported.
    pub finished: bool,
}

/// Appends lines of a source, each ended by a newline, and its progress behind them; gives what was
/// found in them. That a run has finished may be said twice.
///
/// # Errors
/// [`Error::Moved`] when the source does not stand where the lines begin, or when the log fails.
pub fn append(
    sources: &OpenSources,
    name: &str,
    piece: &Piece,
    lines: &[u8],
) -> Result<Found, Error> {
    let found = sources.alone(name, |log| append_as(log, name, piece, lines))?;
    if piece.finished {
        sources.close(name);
    }
    Ok(found)
}

fn append_as(log: &dyn Sources, name: &str, piece: &Piece, lines: &[u8]) -> Result<Found, Error> {
    let stored = stored(log, name)?.unwrap_or_default();
    let Piece { run, before, lines: count, crc, finished } = *piece;
    let after = Progress { lines: count, crc, finished, ..stored.clone() };
    if lines.is_empty() && stored.run.number == run && stored == after {
        return Ok(Found::default());
    }
    if (stored.run.number, stored.lines, stored.finished) != (run, before, false) {
        return Err(Error::Moved { name: name.to_owned(), stored: stored.lines });
    }
    let mut found = Found::default();
    let mut batches = Batches::new();
    let appended_ms = log.now().0;
    for (place, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let record = record(line, (before + place as u64 + 1, run, appended_ms), &mut found);
        let key = record.key.as_deref().unwrap_or(line);
        let (topic, partition) =
            inputs_of(InputTopic::Interactions, partition_of(key, log.partitions()));
        batches.entry((topic, partition.0)).or_default().push(record);
    }
    log.append_from(&batches, (name, &after.bytes()))?;
    Ok(found)
}

/// How the records of a run came out so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Records that were taken.
    pub received: u64,
    /// Those that changed a lead.
    pub advanced: u64,
    /// Those that were known already.
    pub duplicate: u64,
    /// Those beyond the allowed lateness.
    pub late: u64,
    /// Those that could not be used.
    pub dead_lettered: u64,
    /// Why nothing more is taken for now.
    pub paused: Option<String>,
}

#[derive(Deserialize)]
struct OfRun {
    run: Run,
}

/// Hands how the records of a source's newest run came out, again and again, until `each` has
/// enough.
///
/// # Errors
/// When nothing was begun under the name, the worker has stopped, or the log fails.
pub fn follow(
    instance: &Instance,
    name: &str,
    each: &mut dyn FnMut(Outcome) -> bool,
) -> Result<(), Error> {
    let log = &instance.log;
    let mut committed = log.committed()?;
    let unknown = || Error::Unknown(name.to_owned());
    let stored = committed.source(name)?.ok_or_else(unknown)?;
    let OfRun { run } = serde_json::from_slice(&stored).map_err(|_| unknown())?;
    let mut changelog = Changelog::of(&run);
    loop {
        let since = log.writes();
        if let Some(failure) = instance.failure() {
            return Err(Error::Stopped(failure));
        }
        let counters = match log {
            Backend::Embedded(_) => instance.views.counters(run.number)?,
            Backend::Kafka(_) => changelog.counters(&committed)?,
        };
        let pauses = instance.views.pauses();
        let paused = pauses.into_iter().find_map(|(_, pause)| pause).map(|why| why.to_string());
        let Counters { advanced, duplicate, late, dead_lettered } = counters;
        let received = counters.received();
        let so_far = Outcome { received, advanced, duplicate, late, dead_lettered, paused };
        if !each(so_far) {
            return Ok(());
        }
        log.await_write(since, FOLLOW);
        committed.renew(log)?;
    }
}

/// The counts of a run in the changelog of Kafka, where each instance has those of its partitions.
struct Changelog {
    key: String,
    run: u32,
    /// By partition, where to read on, and the newest counts.
    partitions: Vec<(Offset, Counters)>,
}

impl Changelog {
    fn of(run: &Run) -> Self {
        let from = |offset: &u64| (Offset(*offset), Counters::default());
        Self {
            key: rows::key_text(&Key::Counters(run.number)),
            run: run.number,
            partitions: run.changelog.iter().map(from).collect(),
        }
    }

    fn counters(&mut self, committed: &Committed) -> Result<Counters, Error> {
        let mut whole = Counters::default();
        for (partition, (next, newest)) in (0..).map(Partition).zip(&mut self.partitions) {
            let end = committed.end(STATE, partition)?;
            committed.each::<log::Error>((STATE, partition), (*next, end), &mut |_, record| {
                if record.has_key(&self.key) {
                    let row =
                        rows::row(&Key::Counters(self.run), &record.value.unwrap_or_default());
                    *newest = row.ok().and_then(Row::into_counters).unwrap_or_default();
                }
                Ok(())
            })?;
            *next = end;
            whole.merge(newest);
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_whole_also_when_they_are_written_in_pieces() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut lines = Lines::open(file.path().to_str().unwrap()).unwrap();
        assert_eq!(lines.next_whole().unwrap(), None);
        file.write_all(b"ab").unwrap();
        assert_eq!(lines.next_whole().unwrap(), None);
        file.write_all(b"c\r\n\nrest").unwrap();
        assert_eq!(lines.next_whole().unwrap().as_deref(), Some(b"abc\r".as_slice()));
        assert_eq!(lines.next_whole().unwrap().as_deref(), Some(b"".as_slice()));
        assert_eq!(lines.next_whole().unwrap(), None);
        assert_eq!(lines.next_line().unwrap().as_deref(), Some(b"rest".as_slice()));
        assert_eq!(lines.next_line().unwrap(), None);
    }

    #[test]
    fn a_line_beyond_the_bound_is_refused_by_number_and_not_cut() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"first\n").unwrap();
        file.write_all(&vec![b'x'; LINE_BYTES_MAX + 1]).unwrap();
        let mut lines = Lines::open(file.path().to_str().unwrap()).unwrap();
        assert_eq!(lines.next_line().unwrap().as_deref(), Some(b"first".as_slice()));
        assert!(matches!(lines.next_line(), Err(Error::Line { line: 2, .. })));
    }

    #[test]
    fn an_archive_of_members_with_zeros_behind_them_is_read_to_its_end() {
        let member = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let zeros = vec![0; 100_000];
        let file = tempfile::NamedTempFile::new().unwrap();
        let parts =
            [member(b"a\nb"), zeros.clone(), member(b"c\n"), member(b""), member(b"d"), zeros];
        std::fs::write(file.path(), parts.concat()).unwrap();
        let mut lines = Lines::open(file.path().to_str().unwrap()).unwrap();
        let read: Vec<_> = std::iter::from_fn(|| lines.next_line().unwrap()).collect();
        assert_eq!(read, [b"a".to_vec(), b"bc".to_vec(), b"d".to_vec()]);
        std::fs::write(file.path(), [member(b"a\n"), b"junk".to_vec()].concat()).unwrap();
        let mut lines = Lines::open(file.path().to_str().unwrap()).unwrap();
        assert_eq!(lines.next_line().unwrap().as_deref(), Some(&b"a"[..]));
        assert!(lines.next_line().is_err());
    }

    #[test]
    fn a_broken_archive_is_an_error_where_it_breaks() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..2_000).for_each(|number| {
            writeln!(packed, "line {number} {}", number * 7_919 % 1_000).unwrap()
        });
        let bytes = packed.finish().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes[..bytes.len() / 2]).unwrap();
        let outcomes: Vec<_> = inputs(file.path().to_str().unwrap())
            .unwrap()
            .take(2_001)
            .map(|input| input.is_ok())
            .collect();
        let broken = outcomes.iter().position(|fine| !fine).unwrap();
        assert!(broken > 0 && broken < 2_000);
    }
}
