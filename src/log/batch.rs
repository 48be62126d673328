//! Records of one topic and partition as the bytes of a batch, guarded by a checksum.

use crate::codec::record::{Origin, Record};
use crate::domain::units::Offset;

/// CRC-32, then per record its offset behind the batch's first, four optional parts, append time
/// and source.
pub(crate) fn encode<'a>(records: impl Iterator<Item = (u64, &'a Record)>) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for (behind, record) in records {
        bytes.extend_from_slice(
            &u32::try_from(behind)
                .expect("batches are bounded far below 4 Gi records")
                .to_le_bytes(),
        );
        put(&mut bytes, record.key.as_deref());
        put(&mut bytes, record.value.as_deref());
        put(&mut bytes, record.reason.as_deref().map(str::as_bytes));
        put(
            &mut bytes,
            record.origin.as_ref().map(Origin::to_string).as_deref().map(str::as_bytes),
        );
        bytes.extend_from_slice(&record.appended_ms.to_le_bytes());
        bytes.extend_from_slice(&record.ingest_run.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Length plus one, or 0 for `None`; then the bytes.
fn put(body: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let length = bytes.map_or(0, |bytes| {
        u32::try_from(bytes.len() + 1).expect("records are bounded far below 4 GiB")
    });
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(bytes.unwrap_or_default());
}

/// The records of a batch with their offsets; `None` when the bytes do not match their checksum.
pub(crate) fn decode(first: u64, bytes: &[u8]) -> Option<Vec<(Offset, Record)>> {
    let (crc, mut body) = bytes.split_first_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut records = Vec::new();
    while !body.is_empty() {
        let (behind, rest) = body.split_first_chunk::<4>()?;
        body = rest;
        let key = take(&mut body)?;
        let value = take(&mut body)?;
        let reason = take(&mut body)?.map(String::from_utf8).transpose().ok()?;
        let origin = match take(&mut body)? {
            Some(text) => Some(Origin::parse(std::str::from_utf8(&text).ok()?)?),
            None => None,
        };
        let (appended, rest) = body.split_first_chunk::<8>()?;
        let (ingest_run, rest) = rest.split_first_chunk::<4>()?;
        body = rest;
        let record = Record {
            key,
            value,
            reason,
            appended_ms: i64::from_le_bytes(*appended),
            ingest_run: u32::from_le_bytes(*ingest_run),
            origin,
        };
        records.push((Offset(first + u64::from(u32::from_le_bytes(*behind))), record));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_with_its_gaps_and_every_flipped_bit_is_seen() {
        let record = Record {
            key: Some("t:l".into()),
            value: Some(Vec::new()),
            reason: None,
            appended_ms: 7,
            ingest_run: 3,
            origin: None,
        };
        let records = [
            (0, record.clone()),
            (
                3,
                Record {
                    key: None,
                    value: None,
                    reason: Some("x".into()),
                    origin: Origin::parse("a/1/2"),
                    ..record.clone()
                },
            ),
            (
                4,
                Record {
                    key: Some(vec![0xff, 0]),
                    origin: Origin::parse("a/1/2#3"),
                    ..record.clone()
                },
            ),
            (9, record),
        ];
        let bytes = encode(records.iter().map(|(behind, record)| (*behind, record)));
        let expected: Vec<_> =
            records.iter().map(|(behind, record)| (Offset(100 + behind), record.clone())).collect();
        assert_eq!(decode(100, &bytes), Some(expected));
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert_eq!(decode(100, &flipped), None, "byte {place}");
        }
    }
}
