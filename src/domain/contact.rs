//! Who may be reached, where and when: consent, do-not-disturb, owner, timezone, habits of a lead.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::domain::activity::touch;
use crate::domain::event::{Channel, Direction, EventType, Interaction};
use crate::domain::lexicon::{Signals, Topic};
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS};

/// Buckets of three hours in which a lead's own touches are counted.
pub const HOUR_BUCKETS: usize = 8;
/// At most this many channels are kept per lead.
const CHANNELS_MAX: usize = 12;

/// What is known of one channel of a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// The channel.
    pub channel: Channel,
    /// Consent as last stated; `None` when never stated.
    pub consent: Option<bool>,
    /// Touches by the lead on it.
    pub inbound: u32,
}

/// The rolling contact facts of one lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contact {
    /// Do not disturb: no channel may be used.
    pub do_not_disturb: bool,
    /// Channels with consent or use, at most twelve, in order of appearance.
    pub reach: Vec<Reach>,
    /// IANA timezone, where an attribute named a valid one.
    pub timezone: Option<String>,
    /// The agent who owns the lead.
    pub owner: Option<String>,
    /// How often the owner changed.
    pub owner_changes: u32,
    /// Touches by the lead per three local hours, halved when one is full.
    pub hours: [u8; HOUR_BUCKETS],
}

/// Hours of a local day in which nobody is contacted, from `from` to `to`, across midnight when
/// `from > to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// First quiet hour, 0..=23.
    pub from: i8,
    /// First hour that is not quiet, 0..=23; equal to `from`: no quiet hours.
    pub to: i8,
}

impl QuietHours {
    /// Whether a local hour is quiet.
    #[must_use]
    pub fn contains(self, hour: i8) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&hour)
        } else {
            hour >= self.from || hour < self.to
        }
    }
}

/// The timezone of an IANA name from the database in the binary (the machine's may differ); `None`
/// when unknown.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZoneDatabase::bundled().get(name).ok() }
}

/// Local hour of `at`, 0..=23.
#[must_use]
pub fn local_hour(at: EventTime, zone: &TimeZone) -> i8 {
    let local_ms = at.0.saturating_add(offset_ms(at, zone));
    i8::try_from(local_ms.rem_euclid(DAY_MS) / HOUR_MS).expect("an hour of a day is below 24")
}

fn offset_ms(at: EventTime, zone: &TimeZone) -> i64 {
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return 0 };
    i64::from(zone.to_offset(instant).seconds()) * 1_000
}

/// The first moment not before `at` outside the quiet hours of `zone`.
#[must_use]
pub fn waking(at: EventTime, zone: &TimeZone, quiet: QuietHours) -> EventTime {
    let mut moment = at;
    // Two passes: the offset may change (daylight saving) between `at` and the end of the quiet
    // hours.
    for _ in 0..2 {
        let hour = local_hour(moment, zone);
        if !quiet.contains(hour) {
            return moment;
        }
        let wait_hours = (i64::from(quiet.to) - i64::from(hour)).rem_euclid(24);
        let into_hour = (moment.0.saturating_add(offset_ms(moment, zone))).rem_euclid(HOUR_MS);
        moment = moment.plus(wait_hours * HOUR_MS - into_hour);
    }
    // A clock that was put forward can leave the moment an hour early: step out hour by hour.
    while quiet.contains(local_hour(moment, zone)) {
        moment = moment.plus(HOUR_MS);
    }
    moment
}

impl Contact {
    /// Takes what an event says about reaching the lead. `tenant_zone` counts where the lead has no
    /// timezone.
    pub fn apply(
        &mut self,
        event: &Interaction,
        signals: Option<&Signals>,
        tenant_zone: &TimeZone,
    ) {
        for (name, consent) in &event.consent {
            if let Some(reach) = self.reach_of(&Channel::parse(name)) {
                reach.consent = Some(*consent);
            }
        }
        if let Some(name) = event.attributes.get("timezone").filter(|name| zone(name).is_some()) {
            self.timezone = Some(name.clone());
        }
        if event.kind == EventType::ContactDndChanged {
            self.do_not_disturb = event
                .attributes
                .get("dnd")
                .is_none_or(|word| matches!(word.as_str(), "true" | "on" | "1"));
        }
        self.take_owner(event);
        if touch(event) == Some(Direction::Inbound) {
            self.count_touch(event, tenant_zone);
        }
        if signals.is_some_and(|signals| signals.intensity[Topic::Stop as usize] >= 0.5)
            && event.kind == EventType::MessageReceived
        {
            self.opt_out(event.channel.as_ref());
        }
    }

    fn opt_out(&mut self, channel: Option<&Channel>) {
        match channel.and_then(|channel| self.reach_of(channel)) {
            Some(reach) => reach.consent = Some(false),
            None => self.do_not_disturb = true,
        }
    }

    fn take_owner(&mut self, event: &Interaction) {
        if let Some(agent) =
            event.agent_id.as_ref().filter(|agent| Some(*agent) != self.owner.as_ref())
        {
            if self.owner.is_some() {
                self.owner_changes = self.owner_changes.saturating_add(1);
            }
            self.owner = Some(agent.clone());
        }
    }

    fn count_touch(&mut self, event: &Interaction, tenant_zone: &TimeZone) {
        if let Some(reach) = event.channel.as_ref().and_then(|channel| self.reach_of(channel)) {
            reach.inbound = reach.inbound.saturating_add(1);
        }
        let own = self.timezone.as_deref().and_then(zone);
        let bucket =
            local_hour(event.occurred_at, own.as_ref().unwrap_or(tenant_zone)) as usize / 3;
        if self.hours[bucket] == u8::MAX {
            self.hours.iter_mut().for_each(|count| *count /= 2);
        }
        self.hours[bucket] += 1;
    }

    fn reach_of(&mut self, channel: &Channel) -> Option<&mut Reach> {
        let place = self.reach.iter().position(|reach| reach.channel == *channel).or_else(|| {
            (self.reach.len() < CHANNELS_MAX).then(|| {
                self.reach.push(Reach { channel: channel.clone(), consent: None, inbound: 0 });
                self.reach.len() - 1
            })
        });
        place.and_then(|place| self.reach.get_mut(place))
    }

    /// Whether a channel may be used: consent was given, or never refused and the lead uses it to
    /// reach us.
    #[must_use]
    pub fn may_use(&self, channel: &Channel) -> bool {
        let known = self.reach.iter().find(|reach| reach.channel == *channel);
        !self.do_not_disturb
            && known.is_some_and(|reach| reach.consent.unwrap_or(reach.inbound > 0))
    }

    /// The permitted channel that the lead uses most; among equals the one that appeared first.
    #[must_use]
    pub fn preferred_channel(&self) -> Option<&Channel> {
        let speakable = |channel: &Channel| !matches!(channel, Channel::Web | Channel::Other(_));
        let permitted = self
            .reach
            .iter()
            .filter(|reach| self.may_use(&reach.channel) && speakable(&reach.channel));
        permitted
            .fold(None, |best: Option<&Reach>, next| {
                if best.is_none_or(|best| next.inbound > best.inbound) { Some(next) } else { best }
            })
            .map(|reach| &reach.channel)
    }

    /// The lead's timezone, else the tenant's.
    #[must_use]
    pub fn zone(&self, tenant_zone: &TimeZone) -> TimeZone {
        self.timezone.as_deref().and_then(zone).unwrap_or_else(|| tenant_zone.clone())
    }

    /// Local hours in which most touches of the lead fell: the fullest bucket of three, and those
    /// at least half as full.
    #[must_use]
    pub fn preferred_hours(&self) -> Vec<u8> {
        let most = self.hours.iter().copied().max().unwrap_or(0);
        let busy = |bucket: &usize| {
            let count = self.hours[*bucket];
            // A count has eight bits, so twice of it may not.
            count > 0 && u16::from(count) * 2 >= u16::from(most)
        };
        (0..HOUR_BUCKETS)
            .filter(busy)
            .flat_map(|bucket| (0..3).map(move |hour| (bucket * 3 + hour) as u8))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: QuietHours = QuietHours { from: 21, to: 8 };

    fn utc(hour: i64, minute: i64) -> EventTime {
        EventTime(1_767_225_600_000 + hour * HOUR_MS + minute * 60_000)
    }

    #[test]
    fn hours_of_a_lead_who_writes_a_lot_are_those_with_most_of_its_touches() {
        for most in [1, 127, 128, u8::MAX] {
            let hours = [0, most, most.div_ceil(2), most / 2 - most / 3, 0, 0, 0, 0];
            let contact = Contact { hours, ..Contact::default() };
            assert_eq!(contact.preferred_hours(), [3, 4, 5, 6, 7, 8], "{most}");
        }
    }

    #[test]
    fn nothing_is_due_inside_quiet_hours() {
        let newyork = zone("America/New_York").unwrap();
        assert_eq!(waking(utc(23, 30), &TimeZone::UTC, QUIET), utc(32, 0));
        assert_eq!(waking(utc(12, 0), &TimeZone::UTC, QUIET), utc(12, 0));
        assert_eq!(waking(utc(7, 15), &newyork, QUIET), utc(13, 0));
        for name in ["Asia/Kolkata", "America/St_Johns", "Europe/Amsterdam", "Australia/Lord_Howe"]
        {
            let zone = zone(name).unwrap();
            for step in 0..(24 * 366 * 2) {
                let moment = waking(utc(0, 0).plus(step * HOUR_MS / 2 + 7), &zone, QUIET);
                assert!(!QUIET.contains(local_hour(moment, &zone)), "{name} {step}");
            }
        }
    }
}
