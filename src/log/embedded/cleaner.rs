//! What keeps the log small: compaction of keyed topics and retention of the others, a bounded
//! piece at a time.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable};

use crate::codec::record::Record;
use crate::domain::units::{Offset, Partition};
use crate::log::embedded::{BATCHES, ENDS, STARTS, storage};
use crate::log::{Embedded, Error, Reader, batch};

/// Bytes rewritten or removed in one transaction, so that a commit never waits long behind upkeep.
const PIECE_BYTES: usize = 4 << 20;
/// Records of one compacted batch.
const BATCH_RECORDS: usize = 2_000;

/// What an upkeep pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Records removed.
    pub removed: u64,
    /// Records looked at and kept.
    pub kept: u64,
}

impl Embedded {
    /// Keeps the last record of every key of a topic's partition; offsets stay what they were.
    /// Tombstones are kept.
    ///
    /// # Errors
    /// When redb fails; what was rewritten until then stays valid.
    pub fn compact(&self, topic: &str, partition: Partition) -> Result<Cleaned, Error> {
        let snapshot = self.snapshot()?;
        let end = snapshot.end(topic, partition)?;
        let mut newest: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        snapshot.each::<Error>((topic, partition), (Offset(0), end), &mut |offset, record| {
            newest.insert(record.key.unwrap_or_default(), offset.0);
            Ok(())
        })?;
        drop(snapshot);
        let mut done = Cleaned::default();
        let mut from = 0;
        while from < end.0 {
            from = self.compact_piece((topic, partition), (from, end.0), &newest, &mut done)?;
        }
        Ok(done)
    }

    /// Rewrites batches from `from` on into one without their superseded records; gives where to go
    /// on.
    fn compact_piece(
        &self,
        (topic, partition): (&str, Partition),
        (from, end): (u64, u64),
        newest: &BTreeMap<Vec<u8>, u64>,
        done: &mut Cleaned,
    ) -> Result<u64, Error> {
        let transaction = self.database.begin_write().map_err(storage)?;
        let mut next = end;
        {
            let mut table = transaction.open_table(BATCHES).map_err(storage)?;
            let mut kept: Vec<(Offset, Record)> = Vec::new();
            let (mut read, mut firsts) = (0, Vec::new());
            for row in table
                .range((topic, partition.0, from)..(topic, partition.0, end))
                .map_err(storage)?
            {
                let (key, bytes) = row.map_err(storage)?;
                let first = key.value().2;
                if read > 0
                    && (read + bytes.value().len() > PIECE_BYTES || kept.len() >= BATCH_RECORDS)
                {
                    next = first;
                    break;
                }
                read += bytes.value().len();
                firsts.push(first);
                let damaged = || Error::Damaged {
                    topic: topic.to_owned(),
                    partition: partition.0,
                    offset: first,
                };
                let records = batch::decode(first, bytes.value()).ok_or_else(damaged)?;
                let before = records.len();
                let last = |(offset, record): &(Offset, Record)| {
                    newest
                        .get(record.key.as_deref().unwrap_or_default())
                        .is_none_or(|newest| *newest <= offset.0)
                };
                let count = kept.len();
                kept.extend(records.into_iter().filter(last));
                done.kept += (kept.len() - count) as u64;
                done.removed += (before - (kept.len() - count)) as u64;
            }
            for first in &firsts {
                table.remove((topic, partition.0, *first)).map_err(storage)?;
            }
            if let Some((first, _)) = kept.first() {
                let base = first.0;
                let bytes =
                    batch::encode(kept.iter().map(|(offset, record)| (offset.0 - base, record)));
                table.insert((topic, partition.0, base), bytes.as_slice()).map_err(storage)?;
            }
        }
        transaction.commit().map_err(storage)?;
        Ok(next)
    }

    /// Removes whole batches from the start of a topic's partition whose newest record is older
    /// than `before_ms`, and not beyond `until`: what a reader still needs stays.
    ///
    /// # Errors
    /// When redb fails.
    pub fn retain(
        &self,
        topic: &str,
        partition: Partition,
        (before_ms, until): (i64, Offset),
    ) -> Result<Cleaned, Error> {
        let mut done = Cleaned::default();
        loop {
            let transaction = self.database.begin_write().map_err(storage)?;
            let (mut read, mut removed) = (0, 0);
            {
                let mut table = transaction.open_table(BATCHES).map_err(storage)?;
                let mut firsts = Vec::new();
                let mut start = None;
                for row in table
                    .range((topic, partition.0, 0)..(topic, partition.0, until.0))
                    .map_err(storage)?
                {
                    let (key, bytes) = row.map_err(storage)?;
                    let first = key.value().2;
                    let damaged = || Error::Damaged {
                        topic: topic.to_owned(),
                        partition: partition.0,
                        offset: first,
                    };
                    let records = batch::decode(first, bytes.value()).ok_or_else(damaged)?;
                    let (last, newest) =
                        records.iter().fold((first, i64::MIN), |(_, newest), (offset, record)| {
                            (offset.0, newest.max(record.appended_ms))
                        });
                    read += bytes.value().len();
                    if newest >= before_ms || last >= until.0 || read > PIECE_BYTES {
                        break;
                    }
                    removed += records.len() as u64;
                    firsts.push(first);
                    start = Some(last + 1);
                }
                for first in firsts {
                    table.remove((topic, partition.0, first)).map_err(storage)?;
                }
                if let Some(start) = start {
                    transaction
                        .open_table(STARTS)
                        .map_err(storage)?
                        .insert((topic, partition.0), start)
                        .map_err(storage)?;
                }
            }
            transaction.commit().map_err(storage)?;
            done.removed += removed;
            if removed == 0 {
                return Ok(done);
            }
        }
    }

    /// Every topic and partition that has records.
    ///
    /// # Errors
    /// When redb fails.
    pub fn topics(&self) -> Result<Vec<(String, Partition)>, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(ENDS).map_err(storage)?;
        let rows = table.iter().map_err(storage)?;
        rows.map(|row| {
            row.map(|(key, _)| (key.value().0.to_owned(), Partition(key.value().1)))
                .map_err(storage)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::record::Batches;
    use crate::log::Options;

    fn put(log: &Embedded, records: &[(&str, Option<&str>, i64)]) {
        let record = |(key, value, at): &(&str, Option<&str>, i64)| Record {
            key: Some((*key).into()),
            value: value.map(|value| value.as_bytes().to_vec()),
            reason: None,
            appended_ms: *at,
            ingest_run: 0,
            origin: None,
        };
        log.append(&Batches::from([(("t", 0), records.iter().map(record).collect())]), None)
            .unwrap();
    }

    fn all(log: &Embedded) -> Vec<(u64, String, Option<String>)> {
        let snapshot = log.snapshot().unwrap();
        let mut found = Vec::new();
        let end = snapshot.end("t", Partition(0)).unwrap();
        snapshot
            .each::<Error>(("t", Partition(0)), (Offset(0), end), &mut |offset, record| {
                found.push((
                    offset.0,
                    String::from_utf8(record.key.unwrap()).unwrap(),
                    record.value.map(|value| String::from_utf8(value).unwrap()),
                ));
                Ok(())
            })
            .unwrap();
        found
    }

    #[test]
    fn compaction_keeps_the_last_record_of_every_key_at_its_offset() {
        let folder = tempfile::tempdir().unwrap();
        let log = Embedded::open(folder.path(), &Options::default()).unwrap();
        put(&log, &[("a", Some("1"), 0), ("b", Some("1"), 0), ("a", Some("2"), 0)]);
        put(&log, &[("c", Some("1"), 0), ("b", None, 0)]);
        put(&log, &[("a", Some("3"), 0)]);
        let expected = [
            (3, "c".into(), Some("1".into())),
            (4, "b".into(), None),
            (5, "a".into(), Some("3".into())),
        ];
        assert_eq!(log.compact("t", Partition(0)).unwrap(), Cleaned { removed: 3, kept: 3 });
        assert_eq!(all(&log), expected);
        assert_eq!(log.compact("t", Partition(0)).unwrap(), Cleaned { removed: 0, kept: 3 });
        put(&log, &[("c", Some("2"), 0)]);
        assert_eq!(log.compact("t", Partition(0)).unwrap().removed, 1);
        assert_eq!(all(&log).last(), Some(&(6, "c".into(), Some("2".into()))));
        assert_eq!(log.snapshot().unwrap().end("t", Partition(0)).unwrap(), Offset(7));
    }

    #[test]
    fn retention_removes_old_batches_from_the_start_and_never_what_was_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let log = Embedded::open(folder.path(), &Options::default()).unwrap();
        put(&log, &[("a", Some("1"), 10), ("b", Some("1"), 20)]);
        put(&log, &[("a", Some("2"), 30)]);
        put(&log, &[("a", Some("3"), 40)]);
        assert_eq!(log.retain("t", Partition(0), (20, Offset(4))).unwrap().removed, 0);
        assert_eq!(log.retain("t", Partition(0), (35, Offset(2))).unwrap().removed, 2);
        assert_eq!(log.snapshot().unwrap().start("t", Partition(0)).unwrap(), Offset(2));
        assert_eq!(log.retain("t", Partition(0), (1_000, Offset(3))).unwrap().removed, 1);
        assert_eq!(all(&log).into_iter().map(|(offset, ..)| offset).collect::<Vec<_>>(), [3]);
        assert_eq!(log.snapshot().unwrap().end("t", Partition(0)).unwrap(), Offset(4));
    }
}
