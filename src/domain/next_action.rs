//! What to do next for a lead, on which channel and when, and the lead's profile in words.
//!
//! Never a channel without consent, never anybody who asked for quiet, never inside the quiet hours
//! of the lead.

use jiff::tz::TimeZone;

use crate::domain::activity::Activity;
use crate::domain::appointments::{Appointments, Status};
use crate::domain::contact::{Contact, QuietHours, waking};
use crate::domain::conversation::Conversation;
use crate::domain::event::Channel;
use crate::domain::journey::{Journey, Outcome, Stage};
use crate::domain::lexicon::Topic;
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS, LeadKey, span};

/// A probability from here on counts as likely in the rules below (chosen).
const LIKELY: f64 = 0.5;
/// From here on we stop following up and nurture instead (chosen: five touches without a word).
const UNANSWERED_MAX: u32 = 5;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Answer the lead, who waits.
    Answer,
    /// Clear an objection.
    ResolveObjection,
    /// Propose a visit or meeting.
    ProposeViewing,
    /// Confirm the appointment ahead.
    ConfirmAppointment,
    /// Follow up.
    FollowUp,
    /// Send suitable offers.
    SendListings,
    /// Find out what the lead needs.
    Qualify,
    /// Win back a lead that drifts away.
    ReEngage,
    /// Stay in touch now and then.
    Nurture,
    /// Bring the deal to its close.
    Close,
    /// Do nothing.
    Wait,
}

impl Action {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::ResolveObjection => "resolve_objection",
            Self::ProposeViewing => "propose_viewing",
            Self::ConfirmAppointment => "confirm_appointment",
            Self::FollowUp => "follow_up",
            Self::SendListings => "send_listings",
            Self::Qualify => "qualify",
            Self::ReEngage => "re_engage",
            Self::Nurture => "nurture",
            Self::Close => "close",
            Self::Wait => "wait",
        }
    }
}

/// The recommended next action.
#[derive(Clone, Debug, PartialEq)]
pub struct NextAction {
    /// What.
    pub action: Action,
    /// How; `None`: no channel may be used.
    pub channel: Option<Channel>,
    /// Not before; never in quiet hours.
    pub at: EventTime,
    /// Why, in words.
    pub reason: String,
}

/// One thing known of a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// What kind of thing, for example `bedrooms` or `open_objection`.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// 0..=1.
    pub confidence: f64,
    /// Where it came from: `message`, `crm`, `behaviour`.
    pub source: String,
    /// When it was seen.
    pub at: EventTime,
}

/// A lead at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The lead.
    pub key: LeadKey,
    /// Event time of the change.
    pub at: EventTime,
    /// Stage of the journey.
    pub stage: Stage,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// 0..=100: engagement receptivity and activity of the week, half each.
    pub engagement_score: f64,
    /// The permitted channel used most.
    pub preferred_channel: Option<Channel>,
    /// Local hours 0..=23 in which the lead is usually active.
    pub preferred_hours: Vec<u8>,
    /// IANA timezone.
    pub timezone: Option<String>,
    /// The agent who owns the lead.
    pub owner: Option<String>,
    /// Objections not resolved.
    pub open_objections: Vec<String>,
    /// What is known.
    pub signals: Vec<Signal>,
    /// What to do next.
    pub next: NextAction,
    /// What stands out, in words.
    pub insights: Vec<String>,
}

/// The parts of a lead that engagement looks at.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Rhythm.
    pub activity: &'a Activity,
    /// Stage.
    pub journey: &'a Journey,
    /// Consent, timezone.
    pub contact: &'a Contact,
    /// Words.
    pub conversation: &'a Conversation,
    /// Appointments.
    pub appointments: &'a Appointments,
    /// Probabilities in the order of [`crate::domain::scoring::Target::ALL`].
    pub probabilities: &'a [f64; 6],
    /// Timezone of the tenant.
    pub zone: &'a TimeZone,
    /// Quiet hours of the tenant.
    pub quiet: QuietHours,
}

/// The next action at `now`: the first rule that holds, in the order written here.
#[must_use]
pub fn next_action(lead: &Sources<'_>, now: EventTime) -> NextAction {
    let channel = lead.contact.preferred_channel().cloned();
    let (action, wait_ms, reason) = match blocked(lead, channel.as_ref()) {
        Some(reason) => (Action::Wait, 0, reason.to_owned()),
        None => rule(lead, now),
    };
    let at = waking(now.plus(wait_ms.max(0)), &lead.contact.zone(lead.zone), lead.quiet);
    NextAction { action, channel: channel.filter(|_| action != Action::Wait), at, reason }
}

fn blocked(lead: &Sources<'_>, channel: Option<&Channel>) -> Option<&'static str> {
    if lead.contact.do_not_disturb {
        return Some("do not disturb is set");
    }
    if lead.journey.outcome == Some(Outcome::Lost) {
        return Some("the lead is lost");
    }
    if channel.is_none() {
        return Some("no channel with consent: ask for it at the next contact the lead makes");
    }
    None
}

fn rule(lead: &Sources<'_>, now: EventTime) -> (Action, i64, String) {
    let [_, churn_risk, _, _, readiness, _] = *lead.probabilities;
    let unanswered = lead.activity.unanswered;
    if lead.journey.outcome == Some(Outcome::Won) {
        return (Action::Nurture, 30 * DAY_MS, "won: stay in touch and ask for a referral".into());
    }
    if let Some(waiting) = lead.activity.waiting_since {
        let waits = span(now.since(waiting));
        return match lead.conversation.open.last() {
            Some(kind) => (
                Action::ResolveObjection,
                0,
                format!(
                    "the lead has waited {waits} for an answer to an objection: {}",
                    kind.as_str()
                ),
            ),
            None => (Action::Answer, 0, format!("the lead has waited {waits} for an answer")),
        };
    }
    if lead.appointments.ahead() {
        return confirm(lead, now);
    }
    if lead.journey.stage == Stage::Purchase {
        return (
            Action::Close,
            DAY_MS,
            "in closing: name the next open point and who does it".into(),
        );
    }
    if unanswered >= UNANSWERED_MAX {
        return (
            Action::Nurture,
            14 * DAY_MS,
            format!("{unanswered} touches without an answer: give it time"),
        );
    }
    let declined = lead.conversation.said[Topic::Hesitation as usize] >= 0.5;
    if let (Some(kind), false) = (lead.conversation.open.last(), declined) {
        return (
            Action::ResolveObjection,
            DAY_MS,
            format!("an objection stands open: {}", kind.as_str()),
        );
    }
    if readiness >= 0.4 && !declined && lead.journey.stage >= Stage::Consideration {
        return (
            Action::ProposeViewing,
            HOUR_MS,
            format!("appointment readiness is {:.0} %", readiness * 100.0),
        );
    }
    if churn_risk >= LIKELY && unanswered > 0 {
        return (Action::ReEngage, DAY_MS, format!("churn risk is {:.0} %", churn_risk * 100.0));
    }
    cadence(lead, unanswered)
}

fn confirm(lead: &Sources<'_>, now: EventTime) -> (Action, i64, String) {
    let start =
        lead.appointments.starts_at.map(|start| start.since(now) - DAY_MS).filter(|wait| *wait > 0);
    let what = if lead.appointments.status == Status::Booked {
        "the appointment ahead"
    } else {
        "the requested appointment"
    };
    (Action::ConfirmAppointment, start.unwrap_or(0), format!("confirm {what} and what to bring"))
}

/// Follow-up rhythm by stage, stretched by every touch without an answer.
fn cadence(lead: &Sources<'_>, unanswered: u32) -> (Action, i64, String) {
    let days = match lead.journey.stage {
        Stage::Evaluation | Stage::Intent | Stage::Purchase => 1,
        Stage::Consideration => 2,
        Stage::Interest => 3,
        Stage::Awareness => 5,
    } * i64::from(1 + unanswered);
    let (action, why) = match lead.journey.stage {
        Stage::Awareness | Stage::Interest if lead.conversation.facts.is_empty() => {
            (Action::Qualify, "little is known of what the lead needs")
        }
        Stage::Awareness | Stage::Interest => {
            (Action::SendListings, "wishes are known: show what fits")
        }
        _ => (Action::FollowUp, "keep the thread warm"),
    };
    (
        action,
        days * DAY_MS,
        format!("{why}; {} stage, every {days} d at this silence", lead.journey.stage.as_str()),
    )
}

/// Changes when something in a profile changes that a reader would act on; the day of the next
/// contact counts, not its minute.
#[must_use]
pub fn profile_mark(lead: &Sources<'_>, next: &NextAction) -> u32 {
    let mut mark = crc32fast::Hasher::new();
    mark.update(&[
        lead.journey.stage as u8,
        lead.journey.outcome.map_or(0, |outcome| 1 + outcome as u8),
        next.action as u8,
    ]);
    mark.update(&(next.at.0 / DAY_MS).to_le_bytes());
    mark.update(next.channel.as_ref().map_or("", |channel| channel.as_str()).as_bytes());
    mark.update(lead.contact.owner.as_deref().unwrap_or("").as_bytes());
    mark.update(lead.contact.timezone.as_deref().unwrap_or("").as_bytes());
    lead.conversation.open.iter().for_each(|kind| mark.update(kind.as_str().as_bytes()));
    lead.conversation.facts.iter().for_each(|fact| mark.update(fact.value.as_bytes()));
    mark.update(&[(engagement_score(lead) / 10.0) as u8]);
    mark.finalize()
}

/// 0..=100: half from the receptivity prediction, half from how much happened in the last week.
fn engagement_score(lead: &Sources<'_>) -> f64 {
    use crate::domain::activity::{Family, WEEK};
    let now = lead.activity.last.unwrap_or_default();
    let own = [
        Family::MessageIn,
        Family::Form,
        Family::Web,
        Family::Listing,
        Family::Appointment,
        Family::Email,
    ];
    let touches: f64 = own.iter().map(|family| lead.activity.family(*family).at(now, WEEK)).sum();
    50.0 * lead.probabilities[2] + 50.0 * touches / (touches + 5.0)
}

/// The profile at `now`.
#[must_use]
pub fn profile(key: &LeadKey, lead: &Sources<'_>, next: NextAction, now: EventTime) -> Profile {
    Profile {
        key: key.clone(),
        at: now,
        stage: lead.journey.stage,
        outcome: lead.journey.outcome,
        engagement_score: engagement_score(lead),
        preferred_channel: lead.contact.preferred_channel().cloned(),
        preferred_hours: lead.contact.preferred_hours(),
        timezone: lead.contact.timezone.clone(),
        owner: lead.contact.owner.clone(),
        open_objections: lead
            .conversation
            .open
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
        signals: signals(lead, now),
        next,
        insights: insights(lead, now),
    }
}

fn signals(lead: &Sources<'_>, now: EventTime) -> Vec<Signal> {
    let heard_at = lead.conversation.at.unwrap_or(now);
    let signal = |kind: &str, value: &str, confidence: f64, source: &str, at| Signal {
        kind: kind.to_owned(),
        value: value.to_owned(),
        confidence,
        source: source.to_owned(),
        at,
    };
    let facts = lead
        .conversation
        .facts
        .iter()
        .map(|fact| signal(fact.kind.as_str(), &fact.value, 0.9, "message", heard_at));
    let topics = [
        Topic::Viewing,
        Topic::Price,
        Topic::Financing,
        Topic::PreApproval,
        Topic::Timeline,
        Topic::Commitment,
        Topic::Hesitation,
    ];
    let said = topics.into_iter().filter_map(|topic| {
        let recent = lead.conversation.topic(topic, now);
        (recent >= 0.25)
            .then(|| signal("topic", topic.as_str(), recent.min(1.0), "message", heard_at))
    });
    let price = lead.activity.price_minor.map(|price| {
        signal(
            "price_looked_at_minor",
            &price.to_string(),
            1.0,
            "behaviour",
            lead.activity.last.unwrap_or(now),
        )
    });
    facts.chain(said).chain(price).collect()
}

fn insights(lead: &Sources<'_>, now: EventTime) -> Vec<String> {
    let mut words = Vec::new();
    let stage_days =
        lead.journey.entered_at.map_or(0, |entered| now.since(entered).max(0) / DAY_MS);
    words.push(format!(
        "In {} for {stage_days} d, likely next: {}.",
        lead.journey.stage.as_str(),
        lead.journey.view(now).expected_next.map_or("nothing, it is closed", Stage::as_str)
    ));
    if let Some(minutes) = lead.activity.lead_latency_minutes {
        words.push(format!("Answers after {minutes:.0} min on average."));
    }
    if lead.activity.unanswered > 1 {
        words.push(format!("{} touches of ours are unanswered.", lead.activity.unanswered));
    }
    if lead.journey.regressions > 0 {
        words.push(format!("Went back a stage {} times.", lead.journey.regressions));
    }
    if lead.appointments.no_shows > 0 {
        words.push(format!("Missed {} appointments.", lead.appointments.no_shows));
    }
    if lead.activity.saves > 0 {
        words.push(format!("Saved {} listings.", lead.activity.saves));
    }
    if lead.contact.owner_changes > 0 {
        words.push(format!("Changed hands {} times.", lead.contact.owner_changes));
    }
    words
}
