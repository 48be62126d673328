//! How each stored type is written: primitives first, then one field list per struct.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::activity::{Activity, Count};
use crate::domain::appointments::{Appointments, Status};
use crate::domain::contact::{Contact, Reach};
use crate::domain::conversation::Conversation;
use crate::domain::event::Channel;
use crate::domain::experiment::known::Before;
use crate::domain::experiment::outcome::{Did, Mark, Marks};
use crate::domain::experiment::tally::{Agents, Cell, Cohort, Covaried, Group, Stratum};
use crate::domain::experiment::{Counts, Place, Places, Tally};
use crate::domain::journey::{Journey, Outcome, Stage};
use crate::domain::lead::Lead;
use crate::domain::lexicon::{Fact, FactKind, ObjectionKind};
use crate::domain::risk::{Risk, Rule, Standing};
use crate::domain::units::{EventTime, Offset};
use crate::pipeline::{Clock, Counters, Positions, Source, Trial, Unmapped, Written};

/// Entries that one list may claim to have before any is read.
const ENTRIES_MAX: u64 = 1 << 20;

/// A value that can be part of a row.
pub(crate) trait Stored: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes the value from the front; `None` when the bytes are no such value.
    fn get(input: &mut &[u8]) -> Option<Self>;
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*bytes)
}

/// LEB128 of the unsigned one, and of the signed one in zigzag.
macro_rules! varint {
    ($unsigned:ty, $signed:ty) => {
        impl Stored for $unsigned {
            fn put(&self, out: &mut Vec<u8>) {
                let mut rest = *self;
                while rest >= 0x80 {
                    out.push((rest & 0x7f) as u8 | 0x80);
                    rest >>= 7;
                }
                out.push(rest as u8);
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                let mut value: Self = 0;
                for shift in (0..Self::BITS).step_by(7) {
                    let [byte] = take::<1>(input)?;
                    value |= Self::from(byte & 0x7f).checked_shl(shift)?;
                    if byte < 0x80 {
                        return Some(value);
                    }
                }
                None
            }
        }

        impl Stored for $signed {
            fn put(&self, out: &mut Vec<u8>) {
                (((*self << 1) ^ (*self >> (Self::BITS - 1))) as $unsigned).put(out);
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                let zigzag = <$unsigned>::get(input)?;
                Some((zigzag >> 1) as Self ^ -((zigzag & 1) as Self))
            }
        }
    };
}

varint!(u64, i64);
varint!(u128, i128);

impl Stored for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        u64::get(input)?.try_into().ok()
    }
}

impl Stored for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take::<1>(input).map(|[byte]| byte)
    }
}

impl Stored for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        match take::<1>(input)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Stored for f32 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_le_bytes)
    }
}

impl Stored for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_le_bytes)
    }
}

impl Stored for EventTime {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        i64::get(input).map(Self)
    }
}

impl Stored for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u64::get(input)?).ok()?;
        let (text, rest) = input.split_at_checked(length)?;
        *input = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

impl Stored for Channel {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        String::get(input).map(|word| Self::parse(&word))
    }
}

impl<T: Stored> Stored for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        T::get(input).map(Self::new)
    }
}

impl<T: Stored> Stored for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        T::get(input).map(Self::new)
    }
}

impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        if bool::get(input)? { T::get(input).map(Some) } else { Some(None) }
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|entry| entry.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let length = u64::get(input).filter(|length| *length <= ENTRIES_MAX)?;
        (0..length).map(|_| T::get(input)).collect()
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some((A::get(input)?, B::get(input)?))
    }
}

impl<K: Stored + Ord, V: Stored> Stored for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let length = u64::get(input).filter(|length| *length <= ENTRIES_MAX)?;
        (0..length).map(|_| <(K, V)>::get(input)).collect()
    }
}

/// A bit per number that is not 0, then those numbers: most intensities and counts of a lead are 0.
impl<const N: usize> Stored for [f32; N] {
    fn put(&self, out: &mut Vec<u8>) {
        let present = self.iter().enumerate().filter(|(_, value)| value.to_bits() != 0);
        present.clone().fold(0_u64, |bits, (place, _)| bits | 1 << place).put(out);
        present.for_each(|(_, value)| value.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let bits = u64::get(input).filter(|bits| N >= 64 || *bits < 1 << N)?;
        let mut values = [0.0; N];
        for (place, value) in values.iter_mut().enumerate() {
            if bits & (1 << place) != 0 {
                *value = f32::get(input)?;
            }
        }
        Some(values)
    }
}

impl<const N: usize> Stored for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input)
    }
}

/// A family that never occurred is one byte.
impl<const N: usize> Stored for [Count; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for Count { total, last, decayed } in self {
            total.put(out);
            if *total > 0 {
                last.put(out);
                decayed.put(out);
            }
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let mut counts = std::array::from_fn(|_| Count::default());
        for count in &mut counts {
            count.total = Stored::get(input)?;
            if count.total > 0 {
                count.last = Stored::get(input)?;
                count.decayed = Stored::get(input)?;
            }
        }
        Some(counts)
    }
}

/// An id seen: its time and the folded id, which is random and thus not shortened.
struct Seen(EventTime, u64);

impl Stored for Seen {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        out.extend_from_slice(&self.1.to_le_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some(Self(Stored::get(input)?, take(input).map(u64::from_le_bytes)?))
    }
}

impl Stored for [Offset; 3] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|offset| offset.0.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some([Offset(Stored::get(input)?), Offset(Stored::get(input)?), Offset(Stored::get(input)?)])
    }
}

/// Enums by their place in a fixed order; new variants go to the end of it.
macro_rules! by_place {
    ($($name:ident: $order:expr),+ $(,)?) => {
        $(impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let place = $order.iter().position(|known| known == self).expect("the order lists every variant");
                (place as u64).put(out);
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                $order.get(usize::try_from(u64::get(input)?).ok()?).copied()
            }
        })+
    };
}

by_place! {
    Stage: Stage::ALL,
    ObjectionKind: ObjectionKind::ALL,
    FactKind: FactKind::ALL,
    Rule: Rule::ALL,
    Outcome: [Outcome::Won, Outcome::Lost],
    Status: [Status::None, Status::Requested, Status::Booked, Status::Attended, Status::NoShow, Status::Cancelled],
}

/// Field lists. Destructuring makes a field that is not listed a compile error.
macro_rules! fields {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        $(impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.put(out);)+
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                $(let $field = Stored::get(input)?;)+
                Some(Self { $($field),+ })
            }
        })+
    };
}

fields! {
    Activity {
        families, events, first, last, gap_hours, gap_mean_hours, sessions, last_inbound, last_outbound, unanswered, waiting_since,
        lead_latency_minutes, agent_latency_minutes, call_seconds, open_tasks, saves, price_minor,
    }
    Journey { belief, stage, entered_at, moves, regressions, furthest, previous_hours, regressed_at, calls, outcome }
    Reach { channel, consent, inbound }
    Contact { do_not_disturb, reach, timezone, owner, owner_changes, hours }
    Fact { kind, value }
    Conversation { said, decayed, at, asked_viewing, sentiment, facts, open, open_count }
    Appointments { asked, kept, missed, no_shows, status, starts_at, changed_at }
    Standing { rule, raised_at }
    Risk { standing, due }
    Place { experiment, began, version, arm, bucket, propensity, exposed_at, until, exposures, chain, agent, before }
    Before { covariate, stratum }
    Mark { at, did }
    Places { list, marks }
    Counts { exposed_units, exposures, replies, appointments, conversions, losses, revenue_minor }
    Cohort { day, version }
    Cell { nonzero, sum, squares, base, base_squares, products }
    Covaried { sum, squares, products }
    Stratum { units, sum, squares }
    Group { units, cells, waits, covaried, strata }
    Agents { arms, is_full }
    Tally { arms, crossed, cohorts, agents }
    Trial { sources }
    Written { version, epoch }
    Clock { at, live }
    Counters { advanced, duplicate, late, dead_lettered }
    Unmapped { names, others }
}

/// An input whose next record has begun is counted behind all that have not.
impl Stored for Positions {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { next, current, has_begun } = self;
        next.put(out);
        let place = *current as usize + if *has_begun { Source::ALL.len() } else { 0 };
        (place as u64).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let next = Stored::get(input)?;
        let place = usize::try_from(u64::get(input)?).ok()?;
        let has_begun = place >= Source::ALL.len();
        let current = *Source::ALL.get(if has_begun { place - Source::ALL.len() } else { place })?;
        Some(Self { next, current, has_begun })
    }
}

impl Stored for Marks {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Stored::get(input).map(Self)
    }
}

/// The kind, then the value of kinds that have one.
impl Stored for Did {
    fn put(&self, out: &mut Vec<u8>) {
        let (kind, value) = match self {
            Self::Received => (0_u8, None),
            Self::Sent => (1, None),
            Self::Appointment => (2, None),
            Self::Won(value) => (3, Some(*value)),
            Self::Lost => (4, None),
            Self::Raised => (5, None),
            Self::Resolved => (6, None),
            Self::Engagement(value) => (7, Some(*value)),
            Self::Satisfaction(value) => (8, Some(*value)),
            Self::Handed(place) => (9, Some(i64::from(*place))),
        };
        kind.put(out);
        value.into_iter().for_each(|value| value.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some(match u8::get(input)? {
            0 => Self::Received,
            1 => Self::Sent,
            2 => Self::Appointment,
            3 => Self::Won(Stored::get(input)?),
            4 => Self::Lost,
            5 => Self::Raised,
            6 => Self::Resolved,
            7 => Self::Engagement(Stored::get(input)?),
            8 => Self::Satisfaction(Stored::get(input)?),
            9 => Self::Handed(i64::get(input)?.try_into().ok()?),
            _ => return None,
        })
    }
}

impl Stored for Lead {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { seen, floor, erased_at, activity, journey, contact, conversation, appointments, risk, places, profile_mark } = self;
        seen.iter().map(|(at, id)| Seen(*at, *id)).collect::<Vec<_>>().put(out);
        floor.put(out);
        erased_at.put(out);
        activity.put(out);
        journey.put(out);
        contact.put(out);
        conversation.put(out);
        appointments.put(out);
        risk.put(out);
        places.put(out);
        profile_mark.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        lead(input, Places::get)
    }
}

/// A lead whose places are read so.
pub(crate) fn lead(input: &mut &[u8], places: impl Fn(&mut &[u8]) -> Option<Places>) -> Option<Lead> {
    Some(Lead {
        seen: Vec::<Seen>::get(input)?.into_iter().map(|Seen(at, id)| (at, id)).collect(),
        floor: Stored::get(input)?,
        erased_at: Stored::get(input)?,
        activity: Stored::get(input)?,
        journey: Stored::get(input)?,
        contact: Stored::get(input)?,
        conversation: Stored::get(input)?,
        appointments: Stored::get(input)?,
        risk: Stored::get(input)?,
        places: places(input)?,
        profile_mark: Stored::get(input)?,
    })
}
