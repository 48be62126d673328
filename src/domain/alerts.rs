//! Early warnings with hysteresis, also for leads that say nothing: raised and cleared by events
//! and by timers.
//!
//! Three rules. `slipping_away`: at a daily look, an open lead that said nothing for half a day has
//! a churn risk of at least the raise level: it is silent, or stuck where it stands; cleared by a
//! touch of the lead, an outcome, or the risk falling below the clear level. `unanswered_lead`: the
//! lead has waited for our answer longer than allowed; cleared by our answer. `no_show`: an
//! appointment was missed; cleared by a new one. An alert's id derives from lead, rule and the time
//! it was raised for, so a second firing of the same is harmless.

use crate::domain::activity::Activity;
use crate::domain::appointments::{Appointments, Status};
use crate::domain::journey::Journey;
use crate::domain::scoring::{Contribution, Score};
use crate::domain::units::{DAY_MS, EventId, EventTime, HOUR_MS, LeadKey, MINUTE_MS, span};

/// A lead is not slipping away within this time of its last touch.
const QUIET_MIN_MS: i64 = 12 * HOUR_MS;
/// How often an open lead is looked at, counted from its first event.
const LOOK_MS: i64 = DAY_MS;
/// A lead idle this long is not looked at again.
const IDLE_MAX_MS: i64 = 60 * DAY_MS;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The lead is about to be lost.
    SlippingAway,
    /// The lead waits for our answer.
    UnansweredLead,
    /// The lead missed an appointment.
    NoShow,
}

impl Rule {
    /// All rules, in order.
    pub const ALL: [Self; 3] = [Self::SlippingAway, Self::UnansweredLead, Self::NoShow];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlippingAway => "slipping_away",
            Self::UnansweredLead => "unanswered_lead",
            Self::NoShow => "no_show",
        }
    }
}

/// What happened to a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was raised.
    Raised,
    /// It no longer holds.
    Cleared,
}

impl Change {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

/// A warning, raised or cleared.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The same for raised and cleared.
    pub alert_id: EventId,
    /// The lead.
    pub key: LeadKey,
    /// What about.
    pub rule: Rule,
    /// What happened.
    pub change: Change,
    /// When it was raised.
    pub raised_at: EventTime,
    /// When this happened.
    pub at: EventTime,
    /// The agent who owns the lead.
    pub owner: Option<String>,
    /// 0..=1.
    pub churn_risk: f64,
    /// In words.
    pub reason: String,
    /// What the risk rests on.
    pub evidence: Vec<Contribution>,
}

/// A warning that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedAlert {
    /// What about.
    pub rule: Rule,
    /// When it was raised.
    pub raised_at: EventTime,
}

/// The warnings of one lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// Those that stand, by rule.
    pub standing: Vec<RaisedAlert>,
    /// When the lead is looked at next; `None`: only at its next event.
    pub due: Option<EventTime>,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The lead.
    pub key: &'a LeadKey,
    /// Rhythm.
    pub activity: &'a Activity,
    /// Outcome.
    pub journey: &'a Journey,
    /// Appointments.
    pub appointments: &'a Appointments,
    /// The owner.
    pub owner: Option<&'a str>,
    /// The churn prediction at this time.
    pub churn: &'a Score,
    /// Raise and clear levels of the churn risk.
    pub levels: (f64, f64),
    /// How long a lead may wait for us, minutes.
    pub answer_minutes: i64,
}

/// Which rules hold: `Some(true)` raises, `Some(false)` clears, `None` leaves it.
fn holds(lead: &Sources<'_>, rule: Rule, now: EventTime) -> Option<bool> {
    if lead.journey.outcome.is_some() {
        return Some(false);
    }
    let idle_ms = lead.activity.last.map_or(0, |last| now.since(last));
    let quiet_ms = lead.activity.last_inbound.map_or(i64::MAX, |last| now.since(last));
    let risk = lead.churn.probability;
    match rule {
        // At a timer alone: at an event somebody is at work on the lead anyway.
        Rule::SlippingAway if idle_ms > 0 && quiet_ms >= QUIET_MIN_MS && risk >= lead.levels.0 => {
            Some(true)
        }
        Rule::SlippingAway if risk < lead.levels.1 || quiet_ms <= 0 => Some(false),
        Rule::SlippingAway => None,
        Rule::UnansweredLead => Some(
            lead.activity
                .waiting_since
                .is_some_and(|since| now.since(since) >= lead.answer_minutes * MINUTE_MS),
        ),
        Rule::NoShow => Some(lead.appointments.status == Status::NoShow),
    }
}

/// Why it was raised or cleared, with numbers of the lead's state alone.
fn words(lead: &Sources<'_>, rule: Rule, change: Change, now: EventTime) -> String {
    let risk = format!("churn risk {:.0} %", lead.churn.probability * 100.0);
    match (rule, change) {
        (_, Change::Cleared) if lead.journey.outcome.is_some() => {
            "the lead has come to its end".to_owned()
        }
        (Rule::SlippingAway, Change::Raised) => {
            let silent = lead.activity.last_inbound.map_or_else(
                || "the lead has not written or called so far".to_owned(),
                |last| format!("no word from the lead for {}", span(now.since(last))),
            );
            let stuck = lead.journey.entered_at.map_or(0, |entered| now.since(entered));
            format!("{silent}, {} in {}, {risk}", span(stuck), lead.journey.stage.as_str())
        }
        (Rule::SlippingAway, Change::Cleared) if lead.activity.last_inbound == Some(now) => {
            "the lead is back".to_owned()
        }
        (Rule::SlippingAway, Change::Cleared) => format!("{risk} again"),
        (Rule::UnansweredLead, Change::Raised) => {
            let waits = lead.activity.waiting_since.map_or(0, |since| now.since(since));
            format!("the lead has waited {} for an answer", span(waits))
        }
        (Rule::UnansweredLead, Change::Cleared) => "answered".to_owned(),
        (Rule::NoShow, Change::Raised) => "missed an appointment".to_owned(),
        (Rule::NoShow, Change::Cleared) => {
            "there is a new appointment, or it took place".to_owned()
        }
    }
}

impl Risk {
    /// Raises and clears warnings at `now`, and sets when to look next.
    #[must_use]
    pub fn look(&mut self, lead: &Sources<'_>, now: EventTime) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for rule in Rule::ALL {
            let standing = self.standing.iter().position(|standing| standing.rule == rule);
            match (holds(lead, rule, now), standing) {
                (Some(true), None) => {
                    self.standing.push(RaisedAlert { rule, raised_at: now });
                    alerts.push(alert(
                        lead,
                        RaisedAlert { rule, raised_at: now },
                        Change::Raised,
                        now,
                    ));
                }
                (Some(false), Some(place)) => {
                    alerts.push(alert(lead, self.standing.remove(place), Change::Cleared, now))
                }
                _ => {}
            }
        }
        self.due = self.next_look(lead, now);
        alerts
    }

    /// The next time at which a rule could hold without an event. An earlier due time that stands
    /// is kept: looking once too early costs less than moving the timer with every event.
    fn next_look(&self, lead: &Sources<'_>, now: EventTime) -> Option<EventTime> {
        let last = lead.activity.last?;
        if lead.journey.outcome.is_some() || now.since(last) >= IDLE_MAX_MS {
            return None;
        }
        let raised = |rule: Rule| self.standing.iter().any(|standing| standing.rule == rule);
        let first = lead.activity.first.unwrap_or(last);
        let look = first.plus((now.since(first) / LOOK_MS + 1) * LOOK_MS);
        let answer = lead
            .activity
            .waiting_since
            .filter(|_| !raised(Rule::UnansweredLead))
            .map(|since| since.plus(lead.answer_minutes * MINUTE_MS));
        let needed = answer.filter(|due| *due > now).map_or(look, |due| due.min(look));
        Some(self.due.filter(|due| *due > now).map_or(needed, |due| due.min(needed)))
    }
}

fn alert(lead: &Sources<'_>, standing: RaisedAlert, change: Change, now: EventTime) -> Alert {
    let RaisedAlert { rule, raised_at } = standing;
    Alert {
        alert_id: EventId::named(&format!(
            "{}/{}/{}",
            lead.key.as_str(),
            rule.as_str(),
            raised_at.0
        )),
        key: lead.key.clone(),
        rule,
        change,
        raised_at,
        at: now,
        owner: lead.owner.map(str::to_owned),
        churn_risk: lead.churn.probability,
        reason: words(lead, rule, change, now),
        evidence: lead.churn.contributions.to_vec(),
    }
}
