//! Rows of a partition as bytes: names and values as the changelog and the state store keep them.
//!
//! The first byte of a value is its format. One field list per struct drives both directions, and a
//! field that the list lacks does not compile. Integers are LEB128 variable-length, signed ones
//! zigzag; floats are 4 or 8 bytes, little endian.

mod stored;
mod fields;

use crate::codec::rows::stored::Stored;
use crate::domain::experiment::ExperimentKey;
use crate::domain::units::{LeadKey, Tenant};
use crate::pipeline::{Key, Row};

/// The format that is written. Every released one keeps its decoder and its fixture.
const FORMAT: u8 = 1;

/// Why bytes are no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the name of a row.
    #[error("text is no row key")]
    Key,
    /// Written by a newer release.
    #[error("row format {0} is not known to this release")]
    Format(u8),
    /// Cut or changed.
    #[error("row is damaged")]
    Damaged,
}

/// A row's name as text: a letter for its kind, then its parts; names sort by kind.
#[must_use]
pub fn key_text(key: &Key) -> String {
    let experiment = |key: &ExperimentKey| format!("{}:{}:{}", key.tenant, key.version, key.name);
    match key {
        Key::Lead(lead) => format!("L{}", lead.as_str()),
        Key::Clock(tenant) => format!("C{tenant}"),
        Key::Tally(key) => format!("T{}", experiment(key)),
        Key::ExperimentReport(key) => format!("R{}", experiment(key)),
        Key::PartitionReport(key, source) => format!("E{source}:{}", experiment(key)),
        Key::EmittedVersion(key) => format!("W{}", experiment(key)),
        Key::Counters(source) => format!("N{source}"),
        Key::Unmapped(tenant) => format!("U{tenant}"),
        Key::Positions => "P".to_owned(),
    }
}

/// The row that a text names.
///
/// # Errors
/// [`Error::Key`].
pub fn key(text: &[u8]) -> Result<Key, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::Key)?;
    let rest = text.get(1..).ok_or(Error::Key)?;
    let tenant = || Tenant::new(rest).map_err(|_| Error::Key);
    Ok(match text.as_bytes().first() {
        Some(b'L') => Key::Lead(LeadKey::parse(rest).map_err(|_| Error::Key)?),
        Some(b'C') => Key::Clock(tenant()?),
        Some(b'U') => Key::Unmapped(tenant()?),
        Some(b'T') => Key::Tally(experiment(rest)?),
        Some(b'R') => Key::ExperimentReport(experiment(rest)?),
        Some(b'E') => {
            let (source, key) = rest.split_once(':').ok_or(Error::Key)?;
            Key::PartitionReport(experiment(key)?, source.parse().map_err(|_| Error::Key)?)
        }
        Some(b'W') => Key::EmittedVersion(experiment(rest)?),
        Some(b'P') if rest.is_empty() => Key::Positions,
        Some(b'N') => Key::Counters(rest.parse().map_err(|_| Error::Key)?),
        _ => return Err(Error::Key),
    })
}

fn experiment(text: &str) -> Result<ExperimentKey, Error> {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().ok_or(Error::Key);
    let tenant = Tenant::new(part()?).map_err(|_| Error::Key)?;
    let version = part()?.parse().map_err(|_| Error::Key)?;
    Ok(ExperimentKey { tenant, version, name: part()?.to_owned() })
}

/// The bytes of a row.
#[must_use]
pub fn row_bytes(row: &Row) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(FORMAT);
    match row {
        Row::Lead(lead) => lead.put(&mut out),
        Row::Clock(clock) => clock.put(&mut out),
        Row::Tally(tally) => tally.put(&mut out),
        Row::ExperimentReport(trial) => trial.put(&mut out),
        Row::PartitionReport(report) => report.put(&mut out),
        Row::EmittedVersion(written) => written.put(&mut out),
        Row::Counters(counters) => counters.put(&mut out),
        Row::Unmapped(unmapped) => unmapped.put(&mut out),
        Row::Positions(positions) => positions.put(&mut out),
    }
    out
}

/// The row of bytes, of the kind that the key names.
///
/// # Errors
/// [`Error::Format`] or [`Error::Damaged`].
pub fn row(key: &Key, bytes: &[u8]) -> Result<Row, Error> {
    let (format, mut input) = bytes.split_first().ok_or(Error::Damaged)?;
    if *format != FORMAT {
        return Err(Error::Format(*format));
    }
    let input = &mut input;
    let row = match key {
        Key::Lead(_) => Stored::get(input).map(Row::Lead),
        Key::Clock(_) => Stored::get(input).map(Row::Clock),
        Key::Tally(_) => Stored::get(input).map(Row::Tally),
        Key::ExperimentReport(_) => Stored::get(input).map(Row::ExperimentReport),
        Key::PartitionReport(..) => Stored::get(input).map(Row::PartitionReport),
        Key::EmittedVersion(_) => Stored::get(input).map(Row::EmittedVersion),
        Key::Counters(_) => Stored::get(input).map(Row::Counters),
        Key::Unmapped(_) => Stored::get(input).map(Row::Unmapped),
        Key::Positions => Stored::get(input).map(Row::Positions),
    };
    row.filter(|_| input.is_empty()).ok_or(Error::Damaged)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::experiment::{Counts, Tally};
    use crate::domain::units::{EventTime, Offset};
    use crate::pipeline::{
        Clock, Counters, EmittedVersion, ExperimentReport, InputTopic, PartitionReport, Positions,
        Unmapped,
    };

    fn experiment_key() -> ExperimentKey {
        ExperimentKey {
            tenant: Tenant::new("acme").unwrap(),
            name: "tone: of voice".into(),
            version: 3,
        }
    }

    fn small_rows() -> Vec<(Key, Row)> {
        let tenant = Tenant::new("acme").unwrap();
        let current = InputTopic::Inbox;
        let tally =
            Tally::of("assertive", Counts { exposures: 3, revenue_minor: -7, ..Counts::default() });
        vec![
            (Key::Clock(tenant.clone()), Row::Clock(Clock { at: EventTime(-5), live: true })),
            (
                Key::Positions,
                Row::Positions(Positions {
                    next: [Offset(7), Offset(1 << 40), Offset(0)],
                    current,
                    has_begun: true,
                }),
            ),
            (Key::Tally(experiment_key()), Row::Tally(tally.clone())),
            (
                Key::ExperimentReport(experiment_key()),
                Row::ExperimentReport(ExperimentReport { sources: BTreeSet::from([2, 300]) }),
            ),
            (
                Key::PartitionReport(experiment_key(), 2),
                Row::PartitionReport(PartitionReport { at: EventTime(9), tally }),
            ),
            (
                Key::EmittedVersion(experiment_key()),
                Row::EmittedVersion(EmittedVersion { version: 300, epoch: 4 }),
            ),
            (Key::Counters(7), Row::Counters(Counters { advanced: 300, ..Counters::default() })),
            (
                Key::Unmapped(tenant),
                Row::Unmapped(Unmapped {
                    names: BTreeMap::from([("Stufe 1".into(), 2)]),
                    others: 1,
                }),
            ),
            (Key::Lead(LeadKey::parse("acme:x:y").unwrap()), Row::Lead(Box::default())),
        ]
    }

    #[test]
    fn every_kind_of_row_survives_and_a_cut_one_is_seen() {
        for (name, value) in small_rows() {
            let bytes = row_bytes(&value);
            assert_eq!(key(key_text(&name).as_bytes()), Ok(name.clone()));
            assert_eq!(row(&name, &bytes), Ok(value));
            for end in 0..bytes.len() {
                assert!(row(&name, &bytes[..end]).is_err(), "{name:?} cut at {end}");
            }
            assert_eq!(row(&name, &[bytes.as_slice(), b"x"].concat()), Err(Error::Damaged));
        }
    }

    #[test]
    fn an_unknown_format_and_an_unknown_name_are_told_apart_from_damage() {
        let name = Key::Lead(LeadKey::parse("acme:x").unwrap());
        assert_eq!(row(&name, &[9, 1, 2]), Err(Error::Format(9)));
        assert_eq!(row(&name, &[]), Err(Error::Damaged));
        for text in
            ["", "X", "Lacme", "C a", "Tacme", "Tacme:x:y", "Eacme:1:y", "E7", "N-1", "\u{e9}"]
        {
            assert_eq!(key(text.as_bytes()), Err(Error::Key), "{text:?}");
        }
    }
}
