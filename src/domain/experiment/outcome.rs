//! What a lead did, kept as marks for as long as a window may still count it, and what that comes
//! to for one exposed unit.
//!
//! The outcome of a unit is a function of its marks, so it does not depend on the order in which
//! events arrived.

use crate::domain::event::{EventType, Interaction};
use crate::domain::experiment::plan::{Measure, Metric};
use crate::domain::journey;
use crate::domain::units::{EventTime, HOUR_MS};

/// Marks kept per lead; messages beyond it are not counted.
const MARKS_MAX: usize = 128;
/// Room for marks other than messages beyond that.
const MARKS_RESERVED: usize = 32;
/// Millionths in one.
const MICRO: i64 = 1_000_000;
/// Largest magnitude of an outcome, millionths: a billion.
const MICRO_MAX: i64 = 1_000_000_000 * MICRO;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// The lead wrote.
    Received,
    /// We wrote.
    Sent,
    /// An appointment was requested or booked.
    Appointment,
    /// The lead was won, for so many minor units.
    Won(i64),
    /// The lead was lost.
    Lost,
    /// An objection was raised.
    Raised,
    /// An objection was resolved.
    Resolved,
    /// A coaching session ended with this engagement score, millionths.
    Engagement(i64),
    /// A coaching session or prompt was rated so, millionths.
    Satisfaction(i64),
    /// An agent of another arm had the lead: of the experiment with this number, see
    /// [`crate::domain::experiment::enrollments::Enrollment::number`].
    Handed(u32),
}

/// Something a lead did that an experiment may count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeEvent {
    /// When.
    pub at: EventTime,
    /// What.
    pub kind: OutcomeKind,
}

/// What a lead did lately, by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutcomeEvents(pub Vec<OutcomeEvent>);

/// The outcome of a unit in one metric, both parts in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The number, or the sum of a ratio.
    pub value: i64,
    /// One, or what the sum of a ratio is divided by.
    pub base: i64,
}

/// What an event says, in the order in which it counts.
fn said(event: &Interaction, ended: Option<journey::Outcome>) -> Vec<OutcomeKind> {
    let measure = |name: &str| {
        event
            .measures
            .get(name)
            .map(|value| (value * MICRO as f64).round())
            .filter(|value| value.abs() <= MICRO_MAX as f64)
    };
    let mut said = Vec::new();
    match event.kind {
        EventType::MessageReceived => said.push(OutcomeKind::Received),
        EventType::MessageSent => said.push(OutcomeKind::Sent),
        EventType::AppointmentBooked | EventType::AppointmentRequested => {
            said.push(OutcomeKind::Appointment)
        }
        EventType::ObjectionRaised => said.push(OutcomeKind::Raised),
        EventType::ObjectionResolved => said.push(OutcomeKind::Resolved),
        EventType::CoachingSessionEnded => {
            said.extend(
                measure("engagement_score").map(|value| OutcomeKind::Engagement(value as i64)),
            );
            said.extend(
                measure("coaching_satisfaction")
                    .map(|value| OutcomeKind::Satisfaction(value as i64)),
            );
        }
        EventType::CoachingFeedback => {
            said.extend(measure("rating").map(|value| OutcomeKind::Satisfaction(value as i64)))
        }
        _ => {}
    }
    let value = || event.opportunity.as_ref().and_then(|deal| deal.value_minor).unwrap_or(0);
    said.extend(ended.map(|ended| {
        if ended == journey::Outcome::Won { OutcomeKind::Won(value()) } else { OutcomeKind::Lost }
    }));
    said
}

impl OutcomeEvents {
    /// Keeps what an event says, and that it hands the lead to another arm of these experiments.
    pub fn keep(
        &mut self,
        event: &Interaction,
        ended: Option<journey::Outcome>,
        handed: impl Iterator<Item = u32>,
    ) {
        for kind in said(event, ended).into_iter().chain(handed.map(OutcomeKind::Handed)) {
            let is_many =
                matches!(kind, OutcomeKind::Received | OutcomeKind::Sent | OutcomeKind::Handed(_));
            let room = if is_many { MARKS_MAX } else { MARKS_MAX + MARKS_RESERVED };
            if self.0.len() < room {
                let mark = OutcomeEvent { at: event.occurred_at, kind };
                self.0.insert(self.0.partition_point(|other| *other < mark), mark);
            }
        }
    }

    /// Forgets what neither a window nor a message that comes late can still count.
    pub fn forget(&mut self, counts: impl Fn(EventTime) -> bool) {
        self.0.retain(|mark| counts(mark.at));
    }

    /// What was done from the exposure on for so many hours. The message that was answered with the
    /// exposure is no reply to it.
    pub fn within(
        &self,
        exposed_at: EventTime,
        hours: i64,
    ) -> impl Iterator<Item = OutcomeKind> + '_ {
        let until = exposed_at.plus(hours.saturating_mul(HOUR_MS));
        let counts = move |mark: &&OutcomeEvent| match mark.kind {
            OutcomeKind::Received | OutcomeKind::Sent | OutcomeKind::Handed(_) => {
                mark.at > exposed_at && mark.at <= until
            }
            _ => mark.at >= exposed_at && mark.at <= until,
        };
        self.0.iter().filter(counts).map(|mark| mark.kind)
    }

    /// How long a unit waited for our answer to the message that was exposed; `None`: longer than
    /// the window.
    #[must_use]
    pub fn wait_ms(&self, exposed_at: EventTime, hours: i64) -> Option<i64> {
        let until = exposed_at.plus(hours.saturating_mul(HOUR_MS));
        let answers = |mark: &&OutcomeEvent| {
            mark.kind == OutcomeKind::Sent && mark.at > exposed_at && mark.at <= until
        };
        self.0.iter().find(answers).map(|mark| mark.at.since(exposed_at))
    }

    /// The outcome of a unit exposed at a time; of a median whether there is one.
    #[must_use]
    pub fn outcome(&self, exposed_at: EventTime, measure: &Measure) -> Outcome {
        let kind = || self.within(exposed_at, measure.window_hours);
        let share = |is: fn(&OutcomeKind) -> bool| Outcome {
            value: if kind().any(|kind| is(&kind)) { MICRO } else { 0 },
            base: MICRO,
        };
        let cap = measure
            .cap
            .map_or(MICRO_MAX, |cap| i64::from(cap).saturating_mul(MICRO).min(MICRO_MAX));
        let count = |is: fn(&OutcomeKind) -> bool| (kind().filter(is).count() as i64) * MICRO;
        match measure.metric {
            Metric::ConversionRate => share(|kind| matches!(kind, OutcomeKind::Won(_))),
            Metric::AppointmentRate => share(|kind| *kind == OutcomeKind::Appointment),
            Metric::ReplyRate => share(|kind| *kind == OutcomeKind::Received),
            Metric::ResponseTime => share(|kind| *kind == OutcomeKind::Sent),
            Metric::Revenue => Outcome {
                value: revenue_minor(kind()).saturating_mul(MICRO / 100).clamp(-cap, cap),
                base: MICRO,
            },
            Metric::ConversationLength => Outcome {
                value: count(|kind| matches!(kind, OutcomeKind::Received | OutcomeKind::Sent))
                    .min(cap),
                base: MICRO,
            },
            Metric::ObjectionResolution => {
                let raised = count(|kind| *kind == OutcomeKind::Raised);
                Outcome {
                    value: count(|kind| *kind == OutcomeKind::Resolved).min(raised),
                    base: raised,
                }
            }
            Metric::EngagementScore => mean(kind().filter_map(|kind| {
                if let OutcomeKind::Engagement(value) = kind { Some(value) } else { None }
            })),
            Metric::CoachingSatisfaction => mean(kind().filter_map(|kind| {
                if let OutcomeKind::Satisfaction(value) = kind { Some(value) } else { None }
            })),
        }
    }
}

fn mean(values: impl Iterator<Item = i64>) -> Outcome {
    values.fold(Outcome::default(), |sum, value| Outcome {
        value: sum.value.saturating_add(value).clamp(-MICRO_MAX, MICRO_MAX),
        base: sum.base + MICRO,
    })
}

/// The highest value of what was won, minor units: a win that is told twice, by the deal and by the
/// lead, counts once.
pub fn revenue_minor(kind: impl Iterator<Item = OutcomeKind>) -> i64 {
    kind.filter_map(|kind| if let OutcomeKind::Won(value) = kind { Some(value) } else { None })
        .max()
        .unwrap_or(0)
}
