//! Which situation a message puts the agent in.

use crate::domain::appointments::Status;
use crate::domain::coaching::{Context, words};
use crate::domain::lexicon::{ObjectionKind, Topic};

/// What the message is about, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Asks us to stop.
    OptOut,
    /// Is unhappy with us.
    Complaint,
    /// Asks about safety, schools or people of an area.
    Sensitive,
    /// Objects.
    Objection(ObjectionKind),
    /// Says no for now.
    Decline,
    /// Says yes.
    Commitment,
    /// Writes about the appointment that is booked.
    Booked,
    /// Writes about the appointment that is asked for.
    Requested,
    /// Wants a visit or a meeting.
    Viewing,
    /// Wants a visit or a meeting and names when.
    Dated,
    /// Talks about the price or the amount.
    Price,
    /// Talks about paying for it.
    Financing,
    /// Talks about time.
    Timeline,
    /// Asks what there is.
    Availability,
    /// Likes it.
    Interest,
    /// Tells what is needed.
    Facts,
    /// Says thanks or goodbye.
    Thanks,
    /// Says hello.
    Greeting,
    /// Asks something else.
    Question,
    /// Anything else.
    Other,
}

/// Situations that share the manner in which the reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Nothing is sold.
    Repair,
    /// Pressure is taken off.
    Resistance,
    /// The door is left open.
    Decline,
    /// An appointment is confirmed or fixed.
    Settled,
    /// Something is answered.
    Inform,
    /// A step is taken.
    Advance,
    /// A moment is kept light.
    Light,
    /// A good end is left alone.
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

/// The situation of a message: the first that holds, in the order of [`Situation`].
///
/// A thank-you or hello that also asks something is a question, so that no question stays
/// unanswered.
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
    if said(Topic::Price) {
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

fn objection(context: &Context<'_>) -> Option<ObjectionKind> {
    let named = context.signals.objections.first().copied();
    named
        .or_else(|| context.says(Topic::Competitor).then_some(ObjectionKind::Competitor))
        .or_else(|| context.says(Topic::Objection).then_some(ObjectionKind::Other))
}

/// A worry about paying, of somebody who borrows nothing, is a worry about the amount.
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
        Status::Requested => Situation::Requested,
        _ if words::names_a_time(context.text) => Situation::Dated,
        Status::Booked | Status::None | Status::Attended | Status::NoShow | Status::Cancelled => {
            Situation::Viewing
        }
    }
}
