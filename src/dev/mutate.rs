//! Files that go wrong on purpose, with what must be counted: mutations of a real file, and
//! malformed lines.
//!
//! What is counted is predicted by a small model of the rules (duplicate before late, ids kept a
//! day and at most 256 per lead, nothing from before an erasure), written apart from the pipeline,
//! so that a test can hold one against the other.

pub mod malformed;

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::interaction;
use crate::domain::event::EventType;
use crate::domain::units::{DAY_MS, HOUR_MS};
use crate::pipeline::Counters;
use crate::stats::random::Random;

/// Behind a lead's newest event by more than this is late, milliseconds.
const LATENESS_MS: i64 = DAY_MS;
/// Ahead of the log by more than this is a dead letter, milliseconds.
const FUTURE_MS: i64 = HOUR_MS;
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

/// Mutates lines that will be ingested at `now_ms`; the same seed gives the same file.
#[must_use]
pub fn mutate(lines: Vec<Vec<u8>>, kind: Kind, seed: u64, now_ms: i64) -> Mutated {
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
    let expected = predict(&lines, now_ms);
    Mutated { lines, expected }
}

/// Delivers some lines later than they happened. Lines without a time stay behind the one before
/// them, and what came behind its lead's newest event already comes no earlier.
fn delay(lines: Vec<Vec<u8>>, (shuffle, late): (bool, bool), random: &mut Random) -> Vec<Vec<u8>> {
    let mut delivered = Vec::with_capacity(lines.len());
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let mut last = (i64::MIN, false);
    for line in lines {
        let delay_ms = match random.below(100) {
            // The longest delay that is still in time, and none at all behind events of the same
            // moment.
            0 if shuffle => Some(LATENESS_MS),
            1 if shuffle => Some(0),
            2..=7 if shuffle => Some((random.bits() % LATENESS_MS as u64) as i64),
            8 if late => Some(LATENESS_MS + 1),
            9 | 10 if late => Some(LATENESS_MS + HOUR_MS * (1 + random.below(72) as i64)),
            _ => None,
        };
        if let Some(Event { lead, at_ms, .. }) = Event::read(&line) {
            let newest = newest.entry(lead).or_insert(at_ms);
            *newest = at_ms.max(*newest);
            last = (
                delay_ms.map_or(*newest, |delay_ms| at_ms.saturating_add(delay_ms).max(*newest)),
                delay_ms.is_some(),
            );
        }
        delivered.push((last, line));
    }
    // Of one moment, what was delayed comes last: behind the event that makes the delay exactly
    // that long.
    delivered.sort_by_key(|(at, _)| *at);
    delivered.into_iter().map(|(_, line)| line).collect()
}

/// Delivers some lines again: most of them soon, some anywhere behind.
fn repeat(lines: Vec<Vec<u8>>, random: &mut Random) -> Vec<Vec<u8>> {
    let mut again: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..lines.len() {
        if random.is_once_in(40) {
            let behind =
                if random.is_once_in(4) { random.below(lines.len()) } else { random.below(50) };
            again.entry((place + behind).min(lines.len() - 1)).or_default().push(place);
        }
    }
    let repeated = |place: usize| {
        again.get(&place).into_iter().flatten().map(|earlier| lines[*earlier].clone())
    };
    lines
        .iter()
        .enumerate()
        .flat_map(|(place, line)| std::iter::once(line.clone()).chain(repeated(place)))
        .collect()
}

/// What the model needs of a line.
struct Event {
    lead: String,
    id: [u8; 16],
    at_ms: i64,
    erases: bool,
}

impl Event {
    /// `None` where the line is no event.
    fn read(line: &[u8]) -> Option<Self> {
        let event = interaction::from_json(line).ok()?;
        let (lead, erases) =
            (event.key.as_str().to_owned(), event.kind == EventType::ContactErased);
        Some(Self { lead, id: event.event_id.0, at_ms: event.occurred_at.0, erases })
    }
}

/// What is remembered of one lead.
#[derive(Default)]
struct Known {
    newest_ms: Option<i64>,
    floor_ms: Option<i64>,
    ids: BTreeSet<(i64, [u8; 16])>,
}

/// What must be counted when the lines come in this order and the log takes them at `now_ms`.
#[must_use]
pub fn predict(lines: &[Vec<u8>], now_ms: i64) -> Counters {
    let mut counters = Counters::default();
    let mut leads: BTreeMap<String, Known> = BTreeMap::new();
    for line in lines {
        let Some(event) = Event::read(line).filter(|event| event.at_ms - now_ms <= FUTURE_MS)
        else {
            counters.dead_lettered += 1;
            continue;
        };
        let known = leads.entry(event.lead.clone()).or_default();
        if known.ids.iter().any(|(_, id)| *id == event.id) {
            counters.duplicate += 1;
        } else if known.newest_ms.is_some_and(|newest| newest - event.at_ms > LATENESS_MS)
            || Some(event.at_ms) <= known.floor_ms
        {
            counters.late += 1;
        } else {
            counters.advanced += 1;
            known.learn(&event);
        }
    }
    counters
}

impl Known {
    fn learn(&mut self, event: &Event) {
        let newest = self.newest_ms.map_or(event.at_ms, |newest| newest.max(event.at_ms));
        self.newest_ms = Some(newest);
        self.ids.insert((event.at_ms, event.id));
        self.ids.retain(|(at_ms, _)| newest - at_ms <= LATENESS_MS);
        while self.ids.len() > IDS_MAX {
            let oldest = self.ids.first().map(|(at_ms, _)| *at_ms);
            self.ids.retain(|(at_ms, _)| Some(*at_ms) != oldest);
            self.floor_ms = self.floor_ms.max(oldest);
        }
        if event.erases {
            (self.newest_ms, self.floor_ms) = (Some(event.at_ms), Some(event.at_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, at_ms: i64) -> Vec<u8> {
        event(number, at_ms, "e")
    }

    fn event(number: usize, at_ms: i64, kind: &str) -> Vec<u8> {
        let id = format!("00000000-0000-5000-8000-{number:012}");
        let times = format!(r#""occurred_at":{at_ms},"received_at":{at_ms}"#);
        format!(r#"{{"event_id":"{id}","event_type":"{kind}","tenant_id":"t","lead_id":"l",{times},"source_system":"s"}}"#).into_bytes()
    }

    fn counted(lines: &[Vec<u8>]) -> (u64, u64, u64, u64) {
        let Counters { advanced, duplicate, late, dead_lettered } = predict(lines, 300 * DAY_MS);
        (advanced, duplicate, late, dead_lettered)
    }

    #[test]
    fn the_model_knows_duplicates_the_boundaries_the_floor_and_erasure() {
        assert_eq!(counted(&[line(1, 0), line(1, 0), line(2, DAY_MS), line(3, 0)]), (3, 1, 0, 0));
        assert_eq!(
            counted(&[line(1, 0), line(2, DAY_MS + 1), line(3, 0), line(1, 0), b"{".to_vec()]),
            (2, 0, 2, 1)
        );
        // 257 ids in one day: the oldest is forgotten, and what is not newer than it counts as late
        // from then on.
        let many: Vec<_> = (0..257)
            .map(|number| line(number, number as i64))
            .chain([line(0, 0), line(999, 0), line(998, 1)])
            .collect();
        assert_eq!(counted(&many), (258, 0, 2, 0));
        let now_ms = 300 * DAY_MS;
        assert_eq!(
            counted(&[line(1, now_ms + HOUR_MS), line(2, now_ms + HOUR_MS + 1)]),
            (1, 0, 0, 1)
        );
        // The erasure came late itself: what is known again begins at its time, ids from before it
        // stay known.
        let erased = [
            line(1, 10),
            line(2, 20),
            event(3, 15, "contact.erased"),
            line(4, 15),
            line(2, 20),
            line(5, 16),
            line(6, DAY_MS + 16),
        ];
        assert_eq!(counted(&erased), (5, 1, 1, 0));
    }

    #[test]
    fn every_kind_does_what_it_says_and_the_same_seed_the_same() {
        let lines: Vec<_> =
            (0..5_000).map(|number| line(number, number as i64 * HOUR_MS / 4)).collect();
        let mutated = |kind| mutate(lines.clone(), kind, 7, 300 * DAY_MS);
        let of = |kind| mutated(kind).expected;
        assert_eq!(mutated(Kind::All), mutated(Kind::All));
        assert_eq!(of(Kind::Shuffle), Counters { advanced: 5_000, ..Counters::default() });
        let (duplicates, late, truncated) =
            (of(Kind::Duplicates), of(Kind::Late), of(Kind::Truncate));
        assert!(duplicates.duplicate > 0 && duplicates.late > 0 && duplicates.advanced == 5_000);
        assert!(late.late > 0 && late.advanced + late.late == 5_000);
        assert!(
            truncated.dead_lettered > 0 && truncated.advanced + truncated.dead_lettered == 5_000
        );
    }

    #[test]
    fn a_shuffled_file_has_events_exactly_a_day_behind_and_none_further() {
        let lines: Vec<_> =
            (0..5_000).map(|number| line(number, number as i64 * HOUR_MS / 4)).collect();
        let (mut newest_ms, mut behind_ms) = (0, Vec::new());
        for line in mutate(lines, Kind::Shuffle, 7, 300 * DAY_MS).lines {
            let at_ms = Event::read(&line).unwrap().at_ms;
            newest_ms = at_ms.max(newest_ms);
            behind_ms.push(newest_ms - at_ms);
        }
        assert_eq!(behind_ms.iter().max(), Some(&DAY_MS));
        assert!(behind_ms.iter().filter(|behind_ms| **behind_ms == DAY_MS).count() > 10);
    }
}
