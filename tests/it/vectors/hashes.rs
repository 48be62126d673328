//! How other systems hash units, so that an experiment that moves here from them can be audited.
//!
//! Only murmur3 and the integer mapping are the product's own; the rest is what the others do,
//! written here from their documents.

use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::vectors::{Computed, read};
use leadstream::domain::hash::murmur3;

fn fnv1a32(symbols: impl IntoIterator<Item = u32>) -> u32 {
    symbols.into_iter().fold(0x811c_9dc5, |hash, symbol| (hash ^ symbol).wrapping_mul(0x0100_0193))
}

/// What a text is a sequence of.
#[derive(Clone, Copy)]
enum Symbols {
    Bytes,
    Utf16,
    CodePoints,
}

impl Symbols {
    fn hash(self, text: &str) -> u32 {
        match self {
            Self::Bytes => fnv1a32(text.bytes().map(u32::from)),
            Self::Utf16 => fnv1a32(text.encode_utf16().map(u32::from)),
            Self::CodePoints => fnv1a32(text.chars().map(u32::from)),
        }
    }

    /// The place of a unit between 0 and 1; `None` for a version that does not exist.
    fn place(self, seed: &str, value: &str, version: i64) -> Option<f64> {
        match version {
            1 => Some(f64::from(self.hash(&format!("{value}{seed}")) % 1_000) / 1_000.0),
            2 => Some(
                f64::from(self.hash(&self.hash(&format!("{seed}{value}")).to_string()) % 10_000)
                    / 10_000.0,
            ),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Namespace {
    id: String,
    start: f64,
    end: f64,
}

pub fn growthbook(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Input {
        Hash {
            seed: String,
            value: String,
            version: i64,
            #[serde(rename = "ascii")]
            _ascii: bool,
        },
        BucketRanges {
            num_variations: usize,
            coverage: Option<f64>,
            weights: Option<Vec<f64>>,
        },
        ChooseVariation {
            n: f64,
            ranges: Vec<(f64, f64)>,
        },
        InNamespace {
            value: String,
            namespace: Namespace,
        },
    }
    Ok(match read(input)? {
        Input::Hash { seed, value, version, .. } => json!({
            "js_value": Symbols::Utf16.place(&seed, &value, version),
            "utf8_value": Symbols::Bytes.place(&seed, &value, version),
            "codepoint_value": Symbols::CodePoints.place(&seed, &value, version),
            "fnv1a32_utf8_seed_value": Symbols::Bytes.hash(&format!("{seed}{value}")),
        }),
        Input::BucketRanges { num_variations, coverage, weights } => {
            json!({"ranges": ranges(num_variations, coverage, weights)})
        }
        Input::ChooseVariation { n, ranges } => {
            let found = ranges.iter().position(|(start, end)| n >= *start && n < *end);
            json!({"variation": found.map_or(-1, |place| i64::try_from(place).unwrap())})
        }
        Input::InNamespace { value, namespace } => {
            let place = Symbols::Utf16.place(&format!("__{}", namespace.id), &value, 1).unwrap();
            json!({"in_namespace": place >= namespace.start && place < namespace.end})
        }
    })
}

/// Weights that do not fit the variations or do not add up to about 1 are taken as equal.
fn ranges(variations: usize, coverage: Option<f64>, weights: Option<Vec<f64>>) -> Vec<(f64, f64)> {
    let coverage = coverage.unwrap_or(1.0).clamp(0.0, 1.0);
    let fits = |weights: &Vec<f64>| {
        weights.len() == variations && (0.99..=1.01).contains(&weights.iter().sum::<f64>())
    };
    let weights = weights.filter(fits).unwrap_or_else(|| vec![1.0 / variations as f64; variations]);
    let mut start = 0.0;
    let range = |weight: f64| {
        let range = (start, start + coverage * weight);
        start += weight;
        range
    };
    weights.into_iter().map(range).collect()
}

pub fn others(input: &Value) -> Computed {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        key: String,
        unit: String,
        salt: String,
        integer_weights: Vec<u64>,
    }
    let Input { key, unit, salt, integer_weights } = read(input)?;
    let seeded = |text: String, seed| u64::from(murmur3(text.as_bytes(), seed));
    let own = seeded(format!("{key}{unit}"), 0);
    let bucket = (own * integer_weights.iter().sum::<u64>()) >> 32;
    let mut reached = 0;
    let variant = integer_weights.iter().position(|weight| {
        reached += weight;
        bucket < reached
    });
    let sha1 = Sha1::digest(format!("{key}.{salt}.{unit}"));
    let digits = u64::from_be_bytes(sha1[..8].try_into().unwrap()) >> 4;
    let md5 = Md5::digest(format!("{salt}-{unit}"));
    let sha256 = Sha256::digest(format!("{salt}.{unit}"));
    Ok(json!({
        "murmur3_32_seed0_unit": seeded(unit.clone(), 0),
        "murmur3_32_seed1_unit_key": seeded(format!("{unit}{key}"), 1),
        "flagd_murmur3_key_unit": own,
        "flagd_integer_bucket": bucket,
        "flagd_variant_index": variant,
        "unleash_rollout_1_100": seeded(format!("{key}:{unit}"), 0) % 100 + 1,
        "unleash_variant_1_1000": seeded(format!("{key}:{unit}"), 86_028_157) % 1_000 + 1,
        "optimizely_bucket_0_9999": (seeded(format!("{unit}{key}"), 1) * 10_000) >> 32,
        "launchdarkly_sha1_int": digits.to_string(),
        "planout_sha1_int": digits.to_string(),
        "launchdarkly_bucket": digits as f64 / 0x0fff_ffff_ffff_ffff_u64 as f64,
        "eppo_md5_shard_10000": u32::from_be_bytes(md5[..4].try_into().unwrap()) % 10_000,
        "statsig_sha256_bucket_10000": u64::from_be_bytes(sha256[..8].try_into().unwrap()) % 10_000,
    }))
}
