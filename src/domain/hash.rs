//! Hashes that other programs must agree with: murmur2 as Kafka's clients place keys, murmur3 as
//! experiments assign units.

use crate::domain::units::Partition;

/// The partition of a key: Java's murmur2 as Kafka's default partitioner maps it, so that both logs
/// agree.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> Partition {
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
    Partition((hash & 0x7fff_ffff) % partitions)
}

/// MurmurHash3 x86_32 (Austin Appleby, public domain reference `MurmurHash3.cpp`).
#[must_use]
pub fn murmur3(data: &[u8], seed: u32) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = seed;
    let (blocks, tail) = data.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ mix(u32::from_le_bytes(*block)))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        hash ^= mix(last);
    }
    hash ^= u32::try_from(data.len() & 0xffff_ffff).expect("masked to 32 bits");
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_java_sends_them() {
        // Kafka's UtilsTest.testMurmur2: "21" -> -973932308, "foobar" -> -790332482; masked to 31
        // bits, modulo 4.
        let partition = |hash: i32| Partition((hash as u32 & 0x7fff_ffff) % 4);
        assert_eq!(partition_of(b"21", 4), partition(-973_932_308));
        assert_eq!(partition_of(b"foobar", 4), partition(-790_332_482));
        assert_eq!(partition_of(b"a-little-bit-long-string", 4), partition(-985_981_536));
    }

    #[test]
    fn murmur3_gives_the_published_values() {
        // Verification values of the reference implementation (aappleby/smhasher, as used by flagd
        // and Unleash tests).
        for (text, seed, hash) in [
            ("", 0, 0),
            ("", 1, 0x514e_28b7),
            ("test", 0, 0xba6b_d213),
            ("Hello, world!", 0, 0xc036_3e43),
            ("aaaa", 0x9747_b28c, 0x5a97_808a),
            ("abc", 0, 0xb3dd_93fa),
        ] {
            assert_eq!(murmur3(text.as_bytes(), seed), hash, "{text:?} {seed}");
        }
    }
}
