//! What became of a lead's appointments.

use crate::domain::event::{EventType, Interaction};
use crate::domain::units::EventTime;

/// The rolling appointment history of one lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appointments {
    /// Requested or booked so far.
    pub asked: u32,
    /// Attended so far.
    pub kept: u32,
    /// Missed or cancelled so far.
    pub missed: u32,
    /// Missed without a word so far.
    pub no_shows: u32,
    /// Where the newest appointment stands.
    pub status: Status,
    /// Its start, where the attribute `starts_at` named it.
    pub starts_at: Option<EventTime>,
    /// Time of the newest appointment event.
    pub changed_at: Option<EventTime>,
}

/// Where the newest appointment stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// There was none.
    #[default]
    None,
    /// Asked for, not yet booked.
    Requested,
    /// Booked or moved.
    Booked,
    /// Taken place.
    Attended,
    /// Missed.
    NoShow,
    /// Called off.
    Cancelled,
}

impl Appointments {
    /// Counts one advanced event; what stands follows the newest by event time.
    pub fn apply(&mut self, event: &Interaction) {
        let (status, counter) = match event.kind {
            EventType::AppointmentRequested => (Status::Requested, Some(&mut self.asked)),
            EventType::AppointmentBooked => (Status::Booked, Some(&mut self.asked)),
            EventType::AppointmentChanged => (Status::Booked, None),
            EventType::AppointmentAttended => (Status::Attended, Some(&mut self.kept)),
            EventType::AppointmentCancelled => (Status::Cancelled, Some(&mut self.missed)),
            EventType::AppointmentNoShow => (Status::NoShow, Some(&mut self.missed)),
            _ => return,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        if status == Status::NoShow {
            self.no_shows = self.no_shows.saturating_add(1);
        }
        if self.changed_at.is_none_or(|newest| event.occurred_at >= newest) {
            self.status = status;
            self.changed_at = Some(event.occurred_at);
            self.starts_at = starts_at(event);
        }
    }

    /// Whether one is requested or booked and has not taken place.
    #[must_use]
    pub fn ahead(&self) -> bool {
        matches!(self.status, Status::Requested | Status::Booked)
    }
}

fn starts_at(event: &Interaction) -> Option<EventTime> {
    let text = event.attributes.get("starts_at")?;
    text.parse::<jiff::Timestamp>().ok().map(|instant| EventTime(instant.as_millisecond()))
}
