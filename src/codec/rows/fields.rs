//! How each type of the domain is stored: one field list per struct.

use crate::codec::rows::stored::{Stored, take};
use crate::domain::activity::{Activity, Count};
use crate::domain::alerts::{RaisedAlert, Risk, Rule};
use crate::domain::appointments::{Appointments, Status};
use crate::domain::attribution::journeys::{Credits, Journeys, Steps};
use crate::domain::attribution::touches::{End, Touch, Touches};
use crate::domain::contact::{Contact, Reach};
use crate::domain::conversation::Conversation;
use crate::domain::experiment::by_agent::{ByAgent, Period};
use crate::domain::experiment::outcome::{OutcomeEvent, OutcomeEvents, OutcomeKind};
use crate::domain::experiment::pre_exposure::PreExposure;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::{Agents, Cell, Cohort, Covaried, Group};
use crate::domain::experiment::{Counts, Enrollment, Enrollments, Tally};
use crate::domain::journey::{Journey, Outcome, Stage};
use crate::domain::lead::Lead;
use crate::domain::lexicon::{Fact, FactKind, ObjectionKind};
use crate::domain::strategy::Strategy;
use crate::domain::units::{EventTime, Offset};
use crate::pipeline::{
    Clock, Counters, EmittedVersion, ExperimentReport, InputTopic, PartitionReport, Positions,
    Unmapped,
};

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
        Some([
            Offset(Stored::get(input)?),
            Offset(Stored::get(input)?),
            Offset(Stored::get(input)?),
        ])
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
    RaisedAlert { rule, raised_at }
    Risk { standing, due }
    Enrollment { experiment, base_version, version, arm, bucket, propensity, exposed_at, until, exposures, chain, agent, before }
    PreExposure { covariate, stratum, agent }
    OutcomeEvent { at, kind }
    Enrollments { list, outcome_events }
    Counts { exposed_units, exposures, replies, appointments, conversions, losses, revenue_minor }
    Cohort { day, version }
    Cell { nonzero, sum, squares, base, base_squares, products }
    Covaried { sum, squares, products }
    Stratum { units, nonzero, sum, squares }
    Group { units, cells, waits, covaried, strata }
    Agents { arms, is_full }
    Period { number, version }
    ByAgent { agents, newest, is_full }
    Credits { journeys, first, last, linear, position, age, shapley }
    Steps { next, conversions, nulls }
    Journeys { conversions, nulls, untouched, cut, credits, steps }
    Tally { arms, multi_exposed, cohorts, agents, by_agent, journeys }
    Touch { at, strategy }
    End { at, outcome }
    Touches { list, ends, ended }
    PartitionReport { at, tally }
    ExperimentReport { sources }
    EmittedVersion { version, epoch }
    Clock { at, live }
    Counters { advanced, duplicate, late, dead_lettered }
    Unmapped { names, others }
}

/// A built-in strategy by its place; 255, then the name of another one. New built-in ones go to the
/// end.
impl Stored for Strategy {
    fn put(&self, out: &mut Vec<u8>) {
        let place = Self::WORDS.iter().position(|word| *word == self.as_str());
        (place.unwrap_or(usize::from(u8::MAX)) as u64).put(out);
        if place.is_none() {
            self.as_str().to_owned().put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        match usize::try_from(u64::get(input)?).ok()? {
            place if place == usize::from(u8::MAX) => String::get(input).map(Self::Other),
            place => Self::WORDS.get(place).map(|word| Self::parse(word)),
        }
    }
}

/// An input whose next record has begun is counted behind all that have not.
impl Stored for Positions {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { next, current, has_begun } = self;
        next.put(out);
        let place = *current as usize + if *has_begun { InputTopic::ALL.len() } else { 0 };
        (place as u64).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let next = Stored::get(input)?;
        let place = usize::try_from(u64::get(input)?).ok()?;
        let has_begun = place >= InputTopic::ALL.len();
        let current =
            *InputTopic::ALL.get(if has_begun { place - InputTopic::ALL.len() } else { place })?;
        Some(Self { next, current, has_begun })
    }
}

impl Stored for OutcomeEvents {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Stored::get(input).map(Self)
    }
}

/// The kind, then the value of kinds that have one.
impl Stored for OutcomeKind {
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
        let Self {
            seen,
            floor,
            erased_at,
            activity,
            journey,
            contact,
            conversation,
            appointments,
            risk,
            enrollments,
            touches,
            profile_mark,
        } = self;
        seen.iter().map(|(at, id)| Seen(*at, *id)).collect::<Vec<_>>().put(out);
        floor.put(out);
        erased_at.put(out);
        activity.put(out);
        journey.put(out);
        contact.put(out);
        conversation.put(out);
        appointments.put(out);
        risk.put(out);
        enrollments.put(out);
        touches.put(out);
        profile_mark.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some(Self {
            seen: Vec::<Seen>::get(input)?.into_iter().map(|Seen(at, id)| (at, id)).collect(),
            floor: Stored::get(input)?,
            erased_at: Stored::get(input)?,
            activity: Stored::get(input)?,
            journey: Stored::get(input)?,
            contact: Stored::get(input)?,
            conversation: Stored::get(input)?,
            appointments: Stored::get(input)?,
            risk: Stored::get(input)?,
            enrollments: Stored::get(input)?,
            touches: Stored::get(input)?,
            profile_mark: Stored::get(input)?,
        })
    }
}
