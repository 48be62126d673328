//! The embedded log: topics as ordered rows of record batches in one redb file, for one machine.
//!
//! An append or a commit is one redb transaction, durable before it returns: after a kill, all of it is there or none.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::domain::units::{AppendTime, Offset, Partition};

/// Topic, partition, first offset of the batch -> batch.
const BATCHES: TableDefinition<(&str, u32, u64), &[u8]> = TableDefinition::new("batches");
/// Topic, partition -> next offset.
const ENDS: TableDefinition<(&str, u32), u64> = TableDefinition::new("ends");
/// Partition -> next interaction to take.
const POSITIONS: TableDefinition<u32, u64> = TableDefinition::new("positions");
/// Source -> how far it was appended, JSON.
const SOURCES: TableDefinition<&str, &[u8]> = TableDefinition::new("sources");
/// Partitions of a new data directory.
pub const PARTITIONS: u32 = 4;
/// Memory that redb may use for its cache.
const CACHE_BYTES: usize = 64 << 20;

/// One record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `tenant:lead`, where known.
    pub key: Option<String>,
    /// `None`: tombstone.
    pub value: Option<Vec<u8>>,
    /// Why it is no event (inputs) or what became of it (dead letters).
    pub reason: Option<String>,
    /// When the log took it, milliseconds.
    pub appended_ms: i64,
    /// The ingest run that brought it; 0: none.
    pub source: u32,
}

/// Why the log cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("the data directory is in use by another leadstream process")]
    InUse,
    /// redb failed.
    #[error("the log file cannot be used")]
    Storage(#[source] Box<redb::Error>),
    /// A batch does not match its checksum.
    #[error("{topic} partition {partition} offset {offset}: batch is damaged")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// First offset of the batch.
        offset: u64,
    },
    /// The directory cannot be made.
    #[error("the data directory cannot be made")]
    Directory(#[from] std::io::Error),
}

fn storage(error: impl Into<redb::Error>) -> Error {
    Error::Storage(Box::new(error.into()))
}

/// Records by topic and partition.
pub type Batches = BTreeMap<(String, u32), Vec<Record>>;

/// The log of one data directory.
pub struct Embedded {
    database: Database,
}

impl Embedded {
    /// Opens or makes the log.
    ///
    /// # Errors
    /// [`Error::InUse`], or when the file cannot be made or read.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(directory)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(directory.join("log.redb")).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse,
            other => storage(other),
        })?;
        let transaction = database.begin_write().map_err(storage)?;
        transaction.open_table(BATCHES).map_err(storage)?;
        transaction.open_table(ENDS).map_err(storage)?;
        transaction.open_table(POSITIONS).map_err(storage)?;
        transaction.open_table(SOURCES).map_err(storage)?;
        transaction.commit().map_err(storage)?;
        Ok(Self { database })
    }

    /// Appends batches with the position of their source and the positions of partitions, all or nothing.
    ///
    /// # Errors
    /// When redb fails; nothing was written then.
    pub fn commit(&self, batches: &Batches, positions: &BTreeMap<u32, Offset>, source: Option<(&str, &[u8])>) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(storage)?;
        {
            let mut rows = transaction.open_table(BATCHES).map_err(storage)?;
            let mut ends = transaction.open_table(ENDS).map_err(storage)?;
            for ((topic, partition), records) in batches.iter().filter(|(_, records)| !records.is_empty()) {
                let place = (topic.as_str(), *partition);
                let first = ends.get(place).map_err(storage)?.map_or(0, |end| end.value());
                rows.insert((place.0, place.1, first), encode(records).as_slice()).map_err(storage)?;
                ends.insert(place, first + records.len() as u64).map_err(storage)?;
            }
            let mut table = transaction.open_table(POSITIONS).map_err(storage)?;
            for (partition, position) in positions {
                table.insert(partition, position.0).map_err(storage)?;
            }
            if let Some((name, state)) = source {
                transaction.open_table(SOURCES).map_err(storage)?.insert(name, state).map_err(storage)?;
            }
        }
        transaction.commit().map_err(storage)
    }

    /// Next offset of a topic's partition.
    ///
    /// # Errors
    /// When redb fails.
    pub fn end(&self, topic: &str, partition: Partition) -> Result<Offset, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(ENDS).map_err(storage)?;
        Ok(Offset(table.get((topic, partition.0)).map_err(storage)?.map_or(0, |end| end.value())))
    }

    /// Next interaction to take of a partition.
    ///
    /// # Errors
    /// When redb fails.
    pub fn position(&self, partition: Partition) -> Result<Offset, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(POSITIONS).map_err(storage)?;
        Ok(Offset(table.get(partition.0).map_err(storage)?.map_or(0, |position| position.value())))
    }

    /// What was stored with the last append of a source.
    ///
    /// # Errors
    /// When redb fails.
    pub fn source(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(SOURCES).map_err(storage)?;
        Ok(table.get(name).map_err(storage)?.map(|state| state.value().to_vec()))
    }

    /// What was stored for every source.
    ///
    /// # Errors
    /// When redb fails.
    pub fn sources(&self) -> Result<Vec<Vec<u8>>, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(SOURCES).map_err(storage)?;
        let rows = table.iter().map_err(storage)?;
        rows.map(|row| row.map(|(_, state)| state.value().to_vec()).map_err(storage)).collect()
    }

    /// One batch from `from` on: at most the rest of the batch that holds it. Empty at the end.
    ///
    /// # Errors
    /// [`Error::Damaged`] or when redb fails.
    pub fn read(&self, topic: &str, partition: Partition, from: Offset) -> Result<Vec<Record>, Error> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(BATCHES).map_err(storage)?;
        let start = (topic, partition.0, 0);
        let mut before = table.range(start..=(topic, partition.0, from.0)).map_err(storage)?;
        let Some(row) = before.next_back().transpose().map_err(storage)? else { return Ok(Vec::new()) };
        let first = row.0.value().2;
        let damaged = || Error::Damaged { topic: topic.to_owned(), partition: partition.0, offset: first };
        let mut records = decode(row.1.value()).ok_or_else(damaged)?;
        let skip = usize::try_from(from.0 - first).expect("offsets of a batch fit memory").min(records.len());
        records.drain(..skip);
        Ok(records)
    }
}

/// CRC-32, then per record its three optional parts, append time and source.
fn encode(records: &[Record]) -> Vec<u8> {
    let mut body = Vec::with_capacity(records.len() * 256);
    for record in records {
        put(&mut body, record.key.as_deref().map(str::as_bytes));
        put(&mut body, record.value.as_deref());
        put(&mut body, record.reason.as_deref().map(str::as_bytes));
        body.extend_from_slice(&record.appended_ms.to_le_bytes());
        body.extend_from_slice(&record.source.to_le_bytes());
    }
    let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes
}

/// Length plus one, or 0 for `None`; then the bytes.
fn put(body: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let length = bytes.map_or(0, |bytes| u32::try_from(bytes.len() + 1).expect("records are bounded far below 4 GiB"));
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(bytes.unwrap_or_default());
}

fn decode(bytes: &[u8]) -> Option<Vec<Record>> {
    let (crc, mut body) = bytes.split_first_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut records = Vec::new();
    while !body.is_empty() {
        let key = take(&mut body)?.map(String::from_utf8).transpose().ok()?;
        let value = take(&mut body)?;
        let reason = take(&mut body)?.map(String::from_utf8).transpose().ok()?;
        let (appended, rest) = body.split_first_chunk::<8>()?;
        let (source, rest) = rest.split_first_chunk::<4>()?;
        body = rest;
        records.push(Record { key, value, reason, appended_ms: i64::from_le_bytes(*appended), source: u32::from_le_bytes(*source) });
    }
    Some(records)
}

fn take(body: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let bytes = rest.get(..length.saturating_sub(1))?;
    *body = &rest[bytes.len()..];
    Some((length > 0).then(|| bytes.to_vec()))
}

/// The partition of a key: Java's murmur2 as Kafka's default partitioner maps it, so that both logs agree.
#[must_use]
pub fn partition_of(key: &[u8]) -> Partition {
    const MIX: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).expect("keys are far below 4 GiB");
    let mut hash = 0x9747_b28c ^ length;
    let (blocks, tail) = key.as_chunks::<4>();
    for block in blocks {
        let word = u32::from_le_bytes(*block).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ (word ^ (word >> 24)).wrapping_mul(MIX);
    }
    if !tail.is_empty() {
        hash ^= tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^= hash >> 15;
    Partition((hash & 0x7fff_ffff) % PARTITIONS)
}

/// Now, as append time.
#[must_use]
pub fn now() -> AppendTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    AppendTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Record {
        Record { key: Some("t:l".into()), value: Some(value.to_vec()), reason: None, appended_ms: 7, source: 3 }
    }

    #[test]
    fn a_batch_survives_and_every_flipped_bit_is_seen() {
        let records = vec![record(b""), Record { key: None, value: None, reason: Some("x".into()), ..record(b"") }, record(&[0, 255])];
        let bytes = encode(&records);
        assert_eq!(decode(&bytes), Some(records));
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert_eq!(decode(&flipped), None, "byte {place}");
        }
    }

    #[test]
    fn appended_records_are_read_back_from_any_offset_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let log = Embedded::open(folder.path()).unwrap();
        assert!(matches!(Embedded::open(folder.path()), Err(Error::InUse)));
        let batch = |values: &[&[u8]]| Batches::from([(("a".to_owned(), 1), values.iter().map(|value| record(value)).collect())]);
        log.commit(&batch(&[b"0", b"1"]), &BTreeMap::new(), Some(("file", b"s1"))).unwrap();
        log.commit(&batch(&[b"2"]), &BTreeMap::from([(1, Offset(2))]), None).unwrap();
        drop(log);
        let log = Embedded::open(folder.path()).unwrap();
        let values =
            |from| log.read("a", Partition(1), Offset(from)).unwrap().into_iter().map(|record| record.value.unwrap()).collect::<Vec<_>>();
        assert_eq!(
            (values(0), values(1), values(2), values(3)),
            (vec![b"0".to_vec(), b"1".to_vec()], vec![b"1".to_vec()], vec![b"2".to_vec()], vec![])
        );
        assert_eq!((log.end("a", Partition(1)).unwrap(), log.end("a", Partition(0)).unwrap()), (Offset(3), Offset(0)));
        assert_eq!((log.position(Partition(1)).unwrap(), log.source("file").unwrap()), (Offset(2), Some(b"s1".to_vec())));
    }

    #[test]
    fn keys_go_where_java_sends_them() {
        // Kafka's UtilsTest.testMurmur2: "21" -> -973932308, "foobar" -> -790332482; masked to 31 bits, modulo 4.
        let partition = |hash: i32| Partition((hash as u32 & 0x7fff_ffff) % PARTITIONS);
        assert_eq!(partition_of(b"21"), partition(-973_932_308));
        assert_eq!(partition_of(b"foobar"), partition(-790_332_482));
        assert_eq!(partition_of(b"a-little-bit-long-string"), partition(-985_981_536));
    }
}
