//! What a lead did and how often: decayed counts per event family, gaps, sessions and response
//! latencies, O(1) per event.
//!
//! Free of arrival order (up to rounding): the decayed counts, totals and last times. Following
//! arrival order: gaps, sessions, the unanswered run and the latencies, which a late event leaves
//! alone.

use crate::domain::event::{Direction, EventType, Interaction};
use crate::domain::units::{EventTime, HOUR_MS, MINUTE_MS, SECOND_MS};

/// Half-lives of the decayed counts in hours: an hour, a day, a week, a month.
pub const HALF_LIVES_HOURS: [f64; 4] = [1.0, 24.0, 168.0, 720.0];
/// Position of the day and week half-life in [`HALF_LIVES_HOURS`].
pub const DAY: usize = 1;
/// See [`DAY`].
pub const WEEK: usize = 2;
/// A pause this long ends a session (the web analytics convention).
const SESSION_GAP_MS: i64 = 30 * MINUTE_MS;
/// Weight of the newest value in an exponentially weighted mean; 0.2 remembers about the last ten.
const EW_WEIGHT: f32 = 0.2;

/// Groups of event kinds that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Messages from the lead.
    MessageIn,
    /// Messages to the lead.
    MessageOut,
    /// Opened, clicked or bounced email.
    Email,
    /// Completed calls.
    Call,
    /// Missed calls and voicemail.
    CallMissed,
    /// Submitted forms.
    Form,
    /// Page views and searches.
    Web,
    /// Listing views, saves and open houses.
    Listing,
    /// Everything about appointments.
    Appointment,
    /// Moves of the CRM deal.
    Opportunity,
    /// Objections raised and resolved.
    Objection,
    /// Tasks of the agent.
    Task,
}

impl Family {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// The family of an event kind; `None` for administration (contacts, consent, coaching) and
    /// unknown kinds.
    #[must_use]
    pub fn of(kind: &EventType) -> Option<Self> {
        use EventType as E;
        Some(match kind {
            E::MessageReceived => Self::MessageIn,
            E::MessageSent => Self::MessageOut,
            E::EmailOpened | E::EmailClicked | E::EmailBounced => Self::Email,
            E::CallCompleted => Self::Call,
            E::CallMissed | E::VoicemailLeft => Self::CallMissed,
            E::FormSubmitted => Self::Form,
            E::PageViewed | E::SearchPerformed => Self::Web,
            E::ListingViewed | E::ListingSaved | E::OpenhouseVisited => Self::Listing,
            E::AppointmentRequested
            | E::AppointmentBooked
            | E::AppointmentChanged
            | E::AppointmentCancelled
            | E::AppointmentAttended
            | E::AppointmentNoShow => Self::Appointment,
            E::OpportunityStageChanged
            | E::OpportunityStatusChanged
            | E::LeadConverted
            | E::LeadLost => Self::Opportunity,
            E::ObjectionRaised | E::ObjectionResolved => Self::Objection,
            E::TaskScheduled | E::TaskCompleted => Self::Task,
            E::ContactCreated
            | E::ContactUpdated
            | E::ContactTagged
            | E::ContactDndChanged
            | E::ContactErased
            | E::ConsentChanged
            | E::CoachingSessionEnded
            | E::CoachingFeedback
            | E::Other(_) => return None,
        })
    }
}

/// Count of one family: a total and four exponentially decayed counts, each valid at `last`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    /// All events so far.
    pub total: u32,
    /// Time of the newest event; `None` while `total` is 0.
    pub last: Option<EventTime>,
    /// Sum of `2^(-age / half-life)` over the events, at `last`.
    pub decayed: [f32; 4],
}

impl Count {
    /// Counts an event at `at`, which may be older than the newest one.
    pub fn record(&mut self, at: EventTime) {
        let newest = self.last.map_or(at, |last| last.max(at));
        let aged = self.last.map_or(0, |last| newest.since(last));
        let late = newest.since(at);
        for (value, half_life) in self.decayed.iter_mut().zip(HALF_LIVES_HOURS) {
            *value = (f64::from(*value) * decay(aged, half_life) + decay(late, half_life)) as f32;
        }
        self.last = Some(newest);
        self.total = self.total.saturating_add(1);
    }

    /// The decayed count of one half-life at `now`.
    #[must_use]
    pub fn at(&self, now: EventTime, half_life: usize) -> f64 {
        match self.last {
            Some(last) => {
                f64::from(self.decayed[half_life])
                    * decay(now.since(last).max(0), HALF_LIVES_HOURS[half_life])
            }
            None => 0.0,
        }
    }
}

/// `2^(-age / half-life)`, in 0..=1.
#[must_use]
pub fn decay(age_ms: i64, half_life_hours: f64) -> f64 {
    if age_ms == 0 {
        1.0
    } else {
        libm::exp2(-(age_ms as f64) / (half_life_hours * HOUR_MS as f64))
    }
}

/// Moves an exponentially weighted mean towards `value`; the first value is taken as it is.
pub fn blend(mean: &mut Option<f32>, value: f64) {
    let value = value as f32;
    *mean = Some(mean.map_or(value, |mean| mean + EW_WEIGHT * (value - mean)));
}

/// The rolling activity of one lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// Counts by [`Family`].
    pub families: [Count; Family::COUNT],
    /// All advanced events.
    pub events: u32,
    /// Time of the oldest event seen.
    pub first: Option<EventTime>,
    /// Time of the newest event seen.
    pub last: Option<EventTime>,
    /// Hours between the two newest events, as they arrived.
    pub gap_hours: Option<f32>,
    /// Exponentially weighted mean of the gaps, hours.
    pub gap_mean_hours: Option<f32>,
    /// Sessions: runs of events without a pause of 30 minutes.
    pub sessions: u32,
    /// Newest touch by the lead.
    pub last_inbound: Option<EventTime>,
    /// Newest touch by us.
    pub last_outbound: Option<EventTime>,
    /// Touches by us since the lead's last one.
    pub unanswered: u32,
    /// When the oldest touch of the lead that asks for an answer and has none came.
    pub waiting_since: Option<EventTime>,
    /// How long the lead takes to answer, exponentially weighted, minutes.
    pub lead_latency_minutes: Option<f32>,
    /// How long we take to answer, exponentially weighted, minutes.
    pub agent_latency_minutes: Option<f32>,
    /// Length of calls, exponentially weighted, seconds.
    pub call_seconds: Option<f32>,
    /// Tasks scheduled and not yet completed.
    pub open_tasks: u32,
    /// Listings saved.
    pub saves: u32,
    /// Newest price looked at, minor units.
    pub price_minor: Option<i64>,
}

/// Who moved, for events that are a touch between lead and agent.
#[must_use]
pub fn touch(event: &Interaction) -> Option<Direction> {
    use EventType as E;
    match event.kind {
        E::MessageReceived
        | E::FormSubmitted
        | E::EmailClicked
        | E::AppointmentRequested
        | E::AppointmentBooked
        | E::OpenhouseVisited => Some(Direction::Inbound),
        E::MessageSent | E::VoicemailLeft => Some(Direction::Outbound),
        E::CallCompleted | E::CallMissed => Some(event.direction.unwrap_or(Direction::Outbound)),
        _ => None,
    }
}

impl Activity {
    /// Counts one advanced event.
    pub fn apply(&mut self, event: &Interaction) {
        let at = event.occurred_at;
        let in_order = self.last.is_none_or(|last| at >= last);
        if let Some(family) = Family::of(&event.kind) {
            self.families[family as usize].record(at);
        }
        if in_order {
            self.advance(event);
        }
        self.events = self.events.saturating_add(1);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        match event.kind {
            EventType::TaskScheduled => self.open_tasks = self.open_tasks.saturating_add(1),
            EventType::TaskCompleted => self.open_tasks = self.open_tasks.saturating_sub(1),
            EventType::ListingSaved => self.saves = self.saves.saturating_add(1),
            _ => {}
        }
        if let Some(price) = event.listing.as_ref().and_then(|listing| listing.price_minor) {
            self.price_minor = Some(price);
        }
        if let Some(seconds) = event.measures.get("call_seconds") {
            blend(&mut self.call_seconds, *seconds);
        }
    }

    /// What follows arrival order: gaps, sessions, who waits for whom.
    fn advance(&mut self, event: &Interaction) {
        let at = event.occurred_at;
        let gap_ms = self.last.map(|last| at.since(last));
        if let Some(gap_ms) = gap_ms {
            let hours = gap_ms as f64 / HOUR_MS as f64;
            self.gap_hours = Some(hours as f32);
            blend(&mut self.gap_mean_hours, hours);
        }
        if gap_ms.is_none_or(|gap| gap >= SESSION_GAP_MS) {
            self.sessions = self.sessions.saturating_add(1);
        }
        match touch(event) {
            Some(Direction::Inbound) => {
                if let (Some(asked), true) = (self.last_outbound, self.unanswered > 0) {
                    blend(&mut self.lead_latency_minutes, minutes(at.since(asked)));
                }
                match event.kind {
                    EventType::MessageReceived
                    | EventType::FormSubmitted
                    | EventType::AppointmentRequested
                    | EventType::CallMissed => {
                        self.waiting_since = self.waiting_since.or(Some(at));
                    }
                    // Both sides agreed or spoke: nobody waits any more.
                    EventType::AppointmentBooked | EventType::CallCompleted => {
                        self.waiting_since = None
                    }
                    _ => {}
                }
                self.unanswered = 0;
                self.last_inbound = Some(at);
            }
            Some(Direction::Outbound) => {
                if let Some(asked) = self.waiting_since.take() {
                    blend(&mut self.agent_latency_minutes, minutes(at.since(asked)));
                }
                self.unanswered = self.unanswered.saturating_add(1);
                self.last_outbound = Some(at);
            }
            None => {}
        }
    }

    /// The count of one family.
    #[must_use]
    pub fn family(&self, family: Family) -> &Count {
        &self.families[family as usize]
    }
}

fn minutes(millis: i64) -> f64 {
    millis as f64 / (60 * SECOND_MS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: i64) -> EventTime {
        EventTime(hours * HOUR_MS)
    }

    #[test]
    fn a_count_halves_each_half_life() {
        let mut count = Count::default();
        count.record(hours(0));
        assert!((count.at(hours(24), DAY) - 0.5).abs() < 1e-6);
        assert!((count.at(hours(48), DAY) - 0.25).abs() < 1e-6);
        count.record(hours(24));
        assert!((count.at(hours(24), DAY) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn decayed_counts_do_not_depend_on_the_order_of_events() {
        let times = [5, 1, 9, 9, 3, 0, 7].map(hours);
        let mut sorted = times;
        sorted.sort();
        let count = |times: &[EventTime]| {
            let mut count = Count::default();
            times.iter().for_each(|at| count.record(*at));
            count
        };
        let (one, other) = (count(&times), count(&sorted));
        assert_eq!((one.total, one.last), (other.total, other.last));
        for half_life in 0..4 {
            assert!((one.at(hours(10), half_life) - other.at(hours(10), half_life)).abs() < 1e-5);
        }
    }
}
