//! Moments of a conversation, and what either side may say at each.

use crate::domain::lexicon::ObjectionKind;

/// Why a lead was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody else won.
    Competitor,
    /// Too dear.
    Price,
    /// Plans changed.
    Postponed,
    /// Nothing suited.
    NoFit,
    /// The bank said no.
    Financing,
    /// Was nearly won; nothing more is said.
    FellThrough,
    /// Never came back; we say the farewell.
    NoResponse,
    /// Asked not to be contacted; nothing more is said.
    OptedOut,
}

impl Reason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Competitor => "competitor",
            Self::Price => "price",
            Self::Postponed => "postponed",
            Self::NoFit => "no_fit",
            Self::Financing => "financing",
            Self::FellThrough => "fell_through",
            Self::NoResponse => "no_response",
            Self::OptedOut => "opted_out",
        }
    }
}

/// A moment of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The first words; the answer asks for the wishes.
    Opening,
    /// We answer what came without words, such as a saved listing or a missed call; the lead says
    /// nothing.
    Welcome,
    /// We follow up on a first call; the lead says nothing.
    Called,
    /// We missed a first call; the lead says nothing.
    CallMissed,
    /// Our first words went unanswered and nothing is known yet; the lead says nothing.
    Knock,
    /// The wishes, as an answer to being asked.
    Needs,
    /// A question of fact.
    Question,
    /// Neither business nor silence.
    SmallTalk,
    /// Liking, before a meeting; the answer proposes one.
    Warm,
    /// A deadline.
    Urgent,
    /// Holding off.
    Hesitant,
    /// The money or the papers are arranged.
    Ready,
    /// Asking to meet on `{day}` at `{hour}`.
    Viewing,
    /// We remind of the meeting; the lead says nothing.
    Reminder,
    /// Moving the meeting to `{day}` at `{hour}`.
    Moved,
    /// Calling the meeting off.
    Cancelled,
    /// After a missed meeting; the answer offers another.
    Missed,
    /// After a meeting that went well; the answer leads to the offer.
    Liked,
    /// After a meeting that went badly.
    Disliked,
    /// Ready to act.
    Offer,
    /// It was accepted.
    Contract,
    /// The deal fell through.
    FellThrough,
    /// Done.
    Won,
    /// Our answer waits for theirs; the lead says nothing.
    Remind,
    /// News of ours into a long silence; the lead says nothing.
    FollowUp,
    /// Back after a silence.
    Comeback,
    /// Stop.
    OptOut,
    /// We have not answered.
    Complaint,
    /// We answer, but late again and again.
    TooSlow,
    /// An objection.
    Objection(ObjectionKind),
    /// An objection is off the table.
    Settled,
    /// An objection stands.
    Unsettled,
    /// A farewell.
    Lost(Reason),
}

/// Words that fit together: any of the lead's may be followed by any of the agent's.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// The lead, first; empty where the agent alone speaks.
    pub lead: &'static [&'static str],
    /// The agent; empty where nothing more is to be said.
    pub agent: &'static [&'static str],
}

/// A [`Talk`], for tables.
#[must_use]
pub const fn talk(lead: &'static [&'static str], agent: &'static [&'static str]) -> Talk {
    Talk { lead, agent }
}
