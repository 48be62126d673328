//! Files into the log: NDJSON, plain or gzip, resumed where a killed run stopped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::codec::{avro, interaction};
use crate::domain::units::AppendTime;
use crate::pipeline::Input;
use crate::runtime::log::{Batches, Embedded, Record, now, partition_of};

/// Lines appended in one transaction.
const LINES_PER_APPEND: usize = 2_000;
/// A line longer than this is cut off from memory and refused; its first bytes go to the dead letters.
const LINE_BYTES_MAX: usize = 4 << 20;

/// How far a source was appended, stored with its records.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// Number of the run; its records carry it.
    run: u32,
    /// Lines appended.
    lines: u64,
    /// CRC-32 of those lines, to see that the file is the same.
    crc: u32,
    /// The end of the file was reached.
    finished: bool,
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
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crate::runtime::log::Error),
}

/// A line that is no event.
#[derive(Debug)]
pub struct BadLine {
    /// Counted from 1.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// Opens a file, `-` for standard input; gzip is seen by its first bytes.
fn open(path: &str) -> std::io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read> = if path == "-" { Box::new(stdin()) } else { Box::new(File::open(path)?) };
    let mut reader = BufReader::with_capacity(1 << 16, raw);
    let gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))) } else { Box::new(reader) })
}

/// The next line without its end; `None` at the end of the file.
fn next_line(reader: &mut dyn BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = reader.take(LINE_BYTES_MAX as u64);
    if bounded.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(line));
    }
    // Longer than the bound (or the last line without an end): the rest of it is skipped.
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (used, done) = end.map_or((buffer.len(), buffer.is_empty()), |place| (place + 1, true));
        reader.consume(used);
        if done {
            return Ok(Some(line));
        }
    }
}

/// The events of a file as inputs, without the log; lines that are no events are undecodable inputs.
///
/// # Errors
/// When the file cannot be opened; a later read error ends the inputs.
pub fn inputs(path: &str) -> Result<impl Iterator<Item = Input>, Error> {
    let mut reader = open(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    let next = move || next_line(reader.as_mut()).ok().flatten();
    Ok(std::iter::from_fn(next).map(|line| match interaction::from_json(&line) {
        Ok(event) => Input::Interaction { appended: now().max(AppendTime(event.occurred_at.0)), event: Box::new(event) },
        Err(error) => Input::Undecodable(error.to_string()),
    }))
}

fn record(line: Vec<u8>, number: u64, run: u32, bad: &mut dyn FnMut(BadLine)) -> Record {
    let appended_ms = now().0;
    match interaction::from_json(&line) {
        Ok(event) => Record {
            key: Some(event.key.as_str().to_owned()),
            value: Some(interaction::to_avro(&event)),
            reason: None,
            appended_ms,
            source: run,
        },
        Err(error) => {
            let reason = format!("{error} (line {number})");
            bad(BadLine { number, reason: reason.clone() });
            Record { key: None, value: Some(line), reason: Some(reason), appended_ms, source: run }
        }
    }
}

/// Where a source stands: the stored progress if the file still begins with the lines it counts, else a new run.
fn resume(log: &Embedded, name: &str, reader: &mut dyn BufRead) -> Result<(Progress, bool), Error> {
    let read = |cause| Error::Read { path: name.to_owned(), cause };
    let stored: Progress = log.source(name)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let runs = log.sources()?.into_iter().filter_map(|state| serde_json::from_slice::<Progress>(&state).ok()).map(|progress| progress.run);
    let fresh = Progress { run: runs.max().unwrap_or(0) + 1, ..Progress::default() };
    if stored.finished || stored.lines == 0 {
        return Ok((fresh, true));
    }
    let mut hasher = crc32fast::Hasher::new();
    for _ in 0..stored.lines {
        match next_line(reader).map_err(read)? {
            Some(line) => hasher.update(&line),
            None => return Ok((fresh, false)),
        }
    }
    if hasher.finalize() == stored.crc { Ok((stored, true)) } else { Ok((fresh, false)) }
}

/// Appends a file; gives the run whose counters tell how it came out. `drain` is called after each append.
///
/// # Errors
/// When the file cannot be read or the log fails; a later run goes on from the last append.
pub fn ingest<E: From<Error>>(
    log: &Embedded,
    path: &str,
    bad: &mut dyn FnMut(BadLine),
    drain: &mut dyn FnMut(u64) -> Result<(), E>,
) -> Result<u32, E> {
    let read = |cause| Error::Read { path: path.to_owned(), cause };
    let name = Path::new(path).canonicalize().map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned());
    let mut reader = open(path).map_err(read)?;
    let (mut progress, in_place) = resume(log, &name, reader.as_mut())?;
    if !in_place {
        reader = open(path).map_err(read)?;
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(progress.crc);
    while !progress.finished {
        let mut batches = Batches::new();
        for _ in 0..LINES_PER_APPEND {
            let Some(line) = next_line(reader.as_mut()).map_err(read)? else {
                progress.finished = true;
                break;
            };
            progress.lines += 1;
            hasher.update(&line);
            let record = record(line, progress.lines, progress.run, bad);
            let key = record.key.as_deref().map_or(record.value.as_deref().unwrap_or_default(), str::as_bytes);
            batches.entry((avro::INTERACTIONS.topic.to_owned(), partition_of(key).0)).or_default().push(record);
        }
        progress.crc = hasher.clone().finalize();
        let state = serde_json::to_vec(&progress).expect("plain numbers are JSON");
        log.commit(&batches, &Default::default(), Some((&name, &state))).map_err(Error::Log)?;
        drain(progress.lines)?;
    }
    Ok(progress.run)
}
