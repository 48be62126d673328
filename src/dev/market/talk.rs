//! Moments of a conversation, and what either side may say at each.

use serde::{Deserialize, Deserializer};

use crate::domain::lexicon::ObjectionKind;

/// Why a lead was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody else won.
    Competitor,
    /// Too expensive.
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
    /// Reasons with a farewell; after the other two nothing is said.
    pub const SPOKEN: [Self; 6] = [
        Self::Competitor,
        Self::Price,
        Self::Postponed,
        Self::NoFit,
        Self::Financing,
        Self::NoResponse,
    ];

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
    /// The first message; the answer asks for the needs.
    Opening,
    /// We answer a form without a message; the lead says nothing.
    Welcome,
    /// We follow up on a first call; the lead says nothing.
    Called,
    /// We missed a first call; the lead says nothing.
    CallMissed,
    /// Our first message was not answered and the needs are unknown; the lead says nothing.
    Knock,
    /// The needs, as an answer to the question for them.
    Needs,
    /// A question of fact.
    Question,
    /// Small talk.
    SmallTalk,
    /// Interest, before a meeting; the answer proposes one.
    Warm,
    /// A deadline.
    Urgent,
    /// The lead wants to wait.
    Hesitant,
    /// Money or papers are arranged.
    Ready,
    /// Asking to meet on `{day}` at `{hour}`.
    Viewing,
    /// We remind of the meeting; the lead says nothing.
    Reminder,
    /// Moving the meeting to `{day}` at `{hour}`.
    Moved,
    /// Cancelling the meeting.
    Cancelled,
    /// After a missed meeting; the answer offers another.
    Missed,
    /// After a meeting that went well; the answer leads to the offer.
    Liked,
    /// After a meeting that went badly.
    Disliked,
    /// Ready to act.
    Offer,
    /// The offer or application was accepted.
    Contract,
    /// The deal fell through.
    FellThrough,
    /// The deal is done.
    Won,
    /// We remind of an answer that is missing; the lead says nothing.
    Remind,
    /// News after a long silence; the lead says nothing.
    FollowUp,
    /// The lead writes again after a silence.
    Comeback,
    /// The lead asks not to be contacted.
    OptOut,
    /// The lead complains that it got no answer.
    Complaint,
    /// The lead leaves because our answers come late.
    TooSlow,
    /// An objection.
    Objection(ObjectionKind),
    /// The answer settled an objection.
    Settled,
    /// The answer did not settle an objection.
    Unsettled,
    /// A farewell.
    Lost(Reason),
}

/// Sentences that fit together: any of the agent's may answer any of the lead's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Talk {
    /// The lead, first; empty where only the agent writes.
    #[serde(deserialize_with = "leaked")]
    pub lead: Vec<&'static str>,
    /// The agent; empty where there is no answer.
    #[serde(deserialize_with = "leaked")]
    pub agent: Vec<&'static str>,
}

/// Sentences live as long as the program: the files are read once.
pub(crate) fn leaked<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<&'static str>, D::Error> {
    let lines = Vec::<String>::deserialize(deserializer)?;
    Ok(lines.into_iter().map(|line| &*line.leak()).collect())
}
