//! The situation of a message: what the agent has to respond to.

use crate::domain::appointments::Status;
use crate::domain::coaching::{Context, words};
use crate::domain::lexicon::{FactKind, ObjectionKind, Topic};

/// What the message is about. The order of the variants is the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Asks us to stop messaging.
    OptOut,
    /// Is unhappy with us.
    Complaint,
    /// Asks about the safety, the schools or the people of an area.
    Sensitive,
    /// Objects.
    Objection(ObjectionKind),
    /// Says no for now.
    Decline,
    /// Agrees to go ahead.
    Commitment,
    /// Writes about a booked appointment.
    Booked,
    /// Writes about an appointment that was requested and has no time yet.
    Requested,
    /// Wants a visit or a meeting.
    Viewing,
    /// Wants a visit or a meeting and names when.
    Dated,
    /// Mentions the price or the amount.
    Price,
    /// Mentions a loan or a down payment.
    Financing,
    /// Mentions a deadline or a move-in date.
    Timeline,
    /// Asks what is available.
    Availability,
    /// Likes it.
    Interest,
    /// Names requirements.
    Facts,
    /// Thanks us.
    Thanks,
    /// Greets us.
    Greeting,
    /// Asks something else.
    Question,
    /// Anything else.
    Other,
}

/// Situations whose replies end in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Fix a problem; sell nothing.
    Repair,
    /// Take the pressure off.
    Resistance,
    /// Leave the door open.
    Decline,
    /// Confirm an appointment or set its time.
    Settled,
    /// Answer a question.
    Inform,
    /// Take a step forward.
    Advance,
    /// Keep it light.
    Light,
    /// Let a good ending stand.
    Thanks,
}

impl Situation {
    /// The group of the situation.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::OptOut | Self::Complaint | Self::Sensitive => Group::Repair,
            Self::Objection(_) => Group::Resistance,
            Self::Decline => Group::Decline,
            Self::Booked | Self::Requested => Group::Settled,
            Self::Price
            | Self::Financing
            | Self::Timeline
            | Self::Availability
            | Self::Question => Group::Inform,
            Self::Commitment | Self::Viewing | Self::Dated | Self::Interest | Self::Facts => {
                Group::Advance
            }
            Self::Greeting | Self::Other => Group::Light,
            Self::Thanks => Group::Thanks,
        }
    }
}

/// The situation of a message: the first one that applies, in the order of [`Situation`].
///
/// A message that thanks or greets and also asks something is a question, so every question gets
/// an answer.
pub(crate) fn of(context: &Context<'_>) -> Situation {
    let message = context.text;
    let said = |topic: Topic| context.says(topic);
    let property = words::property(context);
    if said(Topic::Stop) {
        return Situation::OptOut;
    }
    if said(Topic::Complaint) {
        return Situation::Complaint;
    }
    if words::sensitive(message, property) {
        return Situation::Sensitive;
    }
    if let Some(kind) = objection(context) {
        return Situation::Objection(if property || words::loan(message) {
            kind
        } else {
            unloaned(kind)
        });
    }
    if said(Topic::Hesitation) || declines(context) {
        return Situation::Decline;
    }
    if said(Topic::Commitment) {
        return Situation::Commitment;
    }
    if said(Topic::Viewing) || accepts_viewing(context) {
        return viewing(context);
    }
    informed(context, property)
}

fn informed(context: &Context<'_>, property: bool) -> Situation {
    let message = context.text;
    let said = |topic: Topic| context.says(topic);
    let asks = said(Topic::Question) && !words::small_talk(message);
    if words::down_payment(message) {
        return Situation::Financing;
    }
    if asks && words::asked_about(context).is_some() {
        return Situation::Question;
    }
    if said(Topic::Price) && (asks || !states_budget(context)) {
        return Situation::Price;
    }
    if said(Topic::Financing) || said(Topic::PreApproval) {
        return if property || words::loan(message) {
            Situation::Financing
        } else {
            Situation::Price
        };
    }
    let ordered = [
        (said(Topic::Timeline), Situation::Timeline),
        (said(Topic::Availability), Situation::Availability),
        (said(Topic::Interest) && !asks, Situation::Interest),
        (!context.signals.facts.is_empty(), Situation::Facts),
        (said(Topic::Thanks) && !asks, Situation::Thanks),
        (words::greeting(message), Situation::Greeting),
        (asks, Situation::Question),
        (context.first && !words::small_talk(message), Situation::Greeting),
    ];
    ordered
        .into_iter()
        .find(|(holds, _)| *holds)
        .map_or(Situation::Other, |(_, situation)| situation)
}

/// Whether the lead names its budget: a requirement, not a question about the price.
fn states_budget(context: &Context<'_>) -> bool {
    context.signals.facts.iter().any(|fact| fact.kind == FactKind::Budget)
}

fn objection(context: &Context<'_>) -> Option<ObjectionKind> {
    let named = &context.signals.objections;
    // "Rates are too high" is also listed as "too high", a price.
    let financing = named.iter().find(|kind| **kind == ObjectionKind::Financing);
    financing
        .or(named.first())
        .copied()
        .or_else(|| context.says(Topic::Competitor).then_some(ObjectionKind::Competitor))
        .or_else(|| context.says(Topic::Objection).then_some(ObjectionKind::Other))
}

/// Without a loan, a financing objection is an objection to the price.
fn unloaned(kind: ObjectionKind) -> ObjectionKind {
    if kind == ObjectionKind::Financing { ObjectionKind::Price } else { kind }
}

fn declines(context: &Context<'_>) -> bool {
    context.asked_visit && words::starts_with_no(context.text) && !words::names_a_time(context.text)
}

fn accepts_viewing(context: &Context<'_>) -> bool {
    context.asked_visit && words::starts_with_yes(context.text)
}

fn viewing(context: &Context<'_>) -> Situation {
    match context.appointments.status {
        Status::Booked if !context.over() => Situation::Booked,
        _ if words::names_a_time(context.text) => Situation::Dated,
        Status::Requested => Situation::Requested,
        Status::Booked | Status::None | Status::Attended | Status::NoShow | Status::Cancelled => {
            Situation::Viewing
        }
    }
}
