//! Early warnings with hysteresis, also for leads that say nothing: raised and cleared by events and by timers.
//!
//! Three rules. `going_silent`: an open lead whose churn risk reaches the raise level while it is idle; cleared by an
//! inbound touch, an outcome, or the risk falling below the clear level. `unanswered_lead`: the lead has waited for our
//! answer longer than allowed; cleared by our answer. `no_show`: an appointment was missed; cleared by a new one.
//! An alert's id derives from lead, rule and the time it was raised for, so a second firing of the same is harmless.

use crate::domain::activity::Activity;
use crate::domain::appointments::{Appointments, Status};
use crate::domain::journey::Journey;
use crate::domain::scoring::{Contribution, Score};
use crate::domain::units::{DAY_MS, EventId, EventTime, HOUR_MS, LeadKey, MINUTE_MS};

/// A lead is not going silent before it was idle this long.
const IDLE_MIN_MS: i64 = DAY_MS;
/// How often the silence of an open lead is looked at.
const CHECK_MS: i64 = DAY_MS;
/// A lead idle this long is not looked at again.
const IDLE_MAX_MS: i64 = 60 * DAY_MS;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The lead is about to be lost in silence.
    GoingSilent,
    /// The lead waits for our answer.
    UnansweredLead,
    /// The lead missed an appointment.
    NoShow,
}

impl Rule {
    /// All rules, in order.
    pub const ALL: [Self; 3] = [Self::GoingSilent, Self::UnansweredLead, Self::NoShow];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GoingSilent => "going_silent",
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
pub struct Standing {
    /// What about.
    pub rule: Rule,
    /// When it was raised.
    pub raised_at: EventTime,
}

/// The warnings of one lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// Those that stand, by rule.
    pub standing: Vec<Standing>,
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
    let risk = lead.churn.probability;
    match rule {
        Rule::GoingSilent if idle_ms >= IDLE_MIN_MS && risk >= lead.levels.0 => Some(true),
        Rule::GoingSilent if risk < lead.levels.1 || (idle_ms == 0 && lead.activity.unanswered == 0) => Some(false),
        Rule::GoingSilent => None,
        Rule::UnansweredLead => Some(lead.activity.waiting_since.is_some_and(|since| now.since(since) >= lead.answer_minutes * MINUTE_MS)),
        Rule::NoShow => Some(lead.appointments.status == Status::NoShow),
    }
}

fn words(lead: &Sources<'_>, rule: Rule, now: EventTime) -> String {
    let hours = |then: Option<EventTime>| then.map_or(0, |then| now.since(then).max(0) / HOUR_MS);
    match rule {
        Rule::GoingSilent => {
            format!("silent for {} h at a churn risk of {:.0} %", hours(lead.activity.last), lead.churn.probability * 100.0)
        }
        Rule::UnansweredLead => format!("waits for an answer for {} h", hours(lead.activity.waiting_since)),
        Rule::NoShow => "missed an appointment".to_owned(),
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
                    self.standing.push(Standing { rule, raised_at: now });
                    alerts.push(alert(lead, Standing { rule, raised_at: now }, Change::Raised, now));
                }
                (Some(false), Some(place)) => alerts.push(alert(lead, self.standing.remove(place), Change::Cleared, now)),
                _ => {}
            }
        }
        self.due = self.next_look(lead, now);
        alerts
    }

    /// The next time at which a rule could hold without an event. An earlier due time that stands is kept: looking
    /// once too early costs less than moving the timer with every event.
    fn next_look(&self, lead: &Sources<'_>, now: EventTime) -> Option<EventTime> {
        let last = lead.activity.last?;
        if lead.journey.outcome.is_some() || now.since(last) >= IDLE_MAX_MS {
            return None;
        }
        let raised = |rule: Rule| self.standing.iter().any(|standing| standing.rule == rule);
        let silence = (!raised(Rule::GoingSilent)).then(|| last.plus(IDLE_MIN_MS).max(now.plus(CHECK_MS.min(IDLE_MIN_MS))));
        let answer =
            lead.activity.waiting_since.filter(|_| !raised(Rule::UnansweredLead)).map(|since| since.plus(lead.answer_minutes * MINUTE_MS));
        let needed = [silence, answer].into_iter().flatten().filter(|due| *due > now).min()?;
        Some(self.due.filter(|due| *due > now).map_or(needed, |due| due.min(needed)))
    }
}

fn alert(lead: &Sources<'_>, standing: Standing, change: Change, now: EventTime) -> Alert {
    let Standing { rule, raised_at } = standing;
    Alert {
        alert_id: EventId::named(&format!("{}/{}/{}", lead.key.as_str(), rule.as_str(), raised_at.0)),
        key: lead.key.clone(),
        rule,
        change,
        raised_at,
        at: now,
        owner: lead.owner.map(str::to_owned),
        churn_risk: lead.churn.probability,
        reason: words(lead, rule, now),
        evidence: lead.churn.contributions.to_vec(),
    }
}
