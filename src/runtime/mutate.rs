//! Files that go wrong on purpose, with what must be counted: mutations of a real file, and malformed lines.
//!
//! What is counted is predicted by a small model of the rules (duplicate before late, ids kept a day and at most 256 per
//! lead), written apart from the pipeline, so that a test can hold one against the other.

pub mod malformed;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::units::{DAY_MS, HOUR_MS};
use crate::pipeline::Counters;
use crate::runtime::random::Random;

/// Behind a lead's newest event by more than this is late, milliseconds.
const LATENESS_MS: i64 = DAY_MS;
/// Ids kept per lead.
const IDS_MAX: usize = 256;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines come again, soon or much later.
    Duplicates,
    /// Lines come up to a day late: still in time.
    Shuffle,
    /// Lines come more than a day late.
    Late,
    /// Lines are cut.
    Truncate,
    /// All of it.
    All,
}

/// Lines and what must be counted when they are ingested into an empty directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutated {
    /// Without their ends.
    pub lines: Vec<Vec<u8>>,
    /// The prediction.
    pub expected: Counters,
}

/// Mutates lines; the same seed gives the same file.
#[must_use]
pub fn mutate(lines: Vec<Vec<u8>>, kind: Kind, seed: u64) -> Mutated {
    let mut random = Random::new(seed, 0);
    let does = |other: Kind| kind == other || kind == Kind::All;
    let mut lines = lines;
    if does(Kind::Shuffle) || does(Kind::Late) {
        lines = delay(lines, (does(Kind::Shuffle), does(Kind::Late)), &mut random);
    }
    if does(Kind::Duplicates) {
        lines = repeat(lines, &mut random);
    }
    if does(Kind::Truncate) {
        for line in lines.iter_mut().filter(|line| line.len() > 2) {
            if random.is_once_in(200) {
                let end = 1 + random.below(line.len() - 1);
                line.truncate(end);
            }
        }
    }
    let expected = predict(&lines);
    Mutated { lines, expected }
}

/// Delivers some lines later than they happened. Lines without a time stay behind the one before them.
fn delay(lines: Vec<Vec<u8>>, (shuffle, late): (bool, bool), random: &mut Random) -> Vec<Vec<u8>> {
    let mut delivered = Vec::with_capacity(lines.len());
    let mut last_ms = i64::MIN;
    for line in lines {
        let delay_ms = match random.below(100) {
            // The longest delay that is still in time, and one that leaves events of the same moment in between.
            0 if shuffle => LATENESS_MS,
            1 if shuffle => 0,
            2..=7 if shuffle => (random.next() % LATENESS_MS as u64) as i64,
            8 if late => LATENESS_MS + 1,
            9 | 10 if late => LATENESS_MS + HOUR_MS * (1 + random.below(72) as i64),
            _ => 0,
        };
        let at_ms = Event::read(&line).map_or(last_ms, |event| event.at_ms);
        last_ms = at_ms;
        delivered.push((at_ms.saturating_add(delay_ms), line));
    }
    delivered.sort_by_key(|(at_ms, _)| *at_ms);
    delivered.into_iter().map(|(_, line)| line).collect()
}

/// Delivers some lines again: most of them soon, some anywhere behind.
fn repeat(lines: Vec<Vec<u8>>, random: &mut Random) -> Vec<Vec<u8>> {
    let mut again: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..lines.len() {
        if random.is_once_in(40) {
            let behind = if random.is_once_in(4) { random.below(lines.len()) } else { random.below(50) };
            again.entry((place + behind).min(lines.len() - 1)).or_default().push(place);
        }
    }
    let repeated = |place: usize| again.get(&place).into_iter().flatten().map(|earlier| lines[*earlier].clone());
    lines.iter().enumerate().flat_map(|(place, line)| std::iter::once(line.clone()).chain(repeated(place))).collect()
}

/// What the model needs of a line.
struct Event {
    lead: (String, String),
    id: String,
    at_ms: i64,
}

impl Event {
    /// `None` where the line is no event.
    fn read(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let text = |field: &str| value[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text("source_system").and(text("event_type"))?;
        let at_ms = match &value["occurred_at"] {
            Value::String(text) => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
            number => number.as_i64()?,
        };
        Some(Self { lead: (text("tenant_id")?, text("lead_id")?), id: text("event_id")?, at_ms })
    }
}

/// What is remembered of one lead.
#[derive(Default)]
struct Known {
    newest_ms: Option<i64>,
    floor_ms: Option<i64>,
    ids: BTreeSet<(i64, String)>,
}

/// What must be counted when the lines come in this order.
#[must_use]
pub fn predict(lines: &[Vec<u8>]) -> Counters {
    let mut counters = Counters::default();
    let mut leads: BTreeMap<(String, String), Known> = BTreeMap::new();
    for line in lines {
        let Some(Event { lead, id, at_ms }) = Event::read(line) else {
            counters.dead_lettered += 1;
            continue;
        };
        let known = leads.entry(lead).or_default();
        if known.ids.iter().any(|(_, other)| *other == id) {
            counters.duplicate += 1;
        } else if known.newest_ms.is_some_and(|newest| newest - at_ms > LATENESS_MS) || known.floor_ms.is_some_and(|floor| at_ms <= floor) {
            counters.late += 1;
        } else {
            counters.advanced += 1;
            let newest = known.newest_ms.map_or(at_ms, |newest| newest.max(at_ms));
            known.newest_ms = Some(newest);
            known.ids.insert((at_ms, id));
            known.ids.retain(|(at_ms, _)| newest - at_ms <= LATENESS_MS);
            while known.ids.len() > IDS_MAX {
                let evicted = known.ids.pop_first().map(|(at_ms, _)| at_ms);
                known.floor_ms = known.floor_ms.max(evicted);
            }
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, at_ms: i64) -> Vec<u8> {
        format!(r#"{{"event_id":"{number}","event_type":"e","tenant_id":"t","lead_id":"l","occurred_at":{at_ms},"source_system":"s"}}"#)
            .into_bytes()
    }

    #[test]
    fn the_model_knows_duplicates_the_boundary_of_lateness_and_the_floor() {
        let counted = |lines: &[Vec<u8>]| {
            let Counters { advanced, duplicate, late, dead_lettered } = predict(lines);
            (advanced, duplicate, late, dead_lettered)
        };
        assert_eq!(counted(&[line(1, 0), line(1, 0), line(2, DAY_MS), line(3, 0)]), (3, 1, 0, 0));
        assert_eq!(counted(&[line(1, 0), line(2, DAY_MS + 1), line(3, 0), line(1, 0), b"{".to_vec()]), (2, 0, 2, 1));
        // 257 ids in one day: the oldest is forgotten, and what is not newer than it counts as late from then on.
        let many: Vec<_> = (0..257).map(|number| line(number, number as i64)).chain([line(0, 0), line(999, 0), line(998, 1)]).collect();
        assert_eq!(counted(&many), (258, 0, 2, 0));
    }

    #[test]
    fn every_kind_does_what_it_says_and_the_same_seed_the_same() {
        let lines: Vec<_> = (0..5_000).map(|number| line(number, number as i64 * HOUR_MS / 4)).collect();
        let of = |kind| mutate(lines.clone(), kind, 7).expected;
        assert_eq!(mutate(lines.clone(), Kind::All, 7), mutate(lines.clone(), Kind::All, 7));
        assert_eq!(of(Kind::Shuffle), Counters { advanced: 5_000, ..Counters::default() });
        let (duplicates, late, truncated) = (of(Kind::Duplicates), of(Kind::Late), of(Kind::Truncate));
        assert!(duplicates.duplicate > 0 && duplicates.late > 0 && duplicates.advanced == 5_000);
        assert!(late.late > 0 && late.advanced + late.late == 5_000);
        assert!(truncated.dead_lettered > 0 && truncated.advanced + truncated.dead_lettered == 5_000);
    }
}
