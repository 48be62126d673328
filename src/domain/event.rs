//! One interaction with a lead, as every stage sees it, and the families its kinds fall into.

use std::collections::BTreeMap;

use crate::domain::units::{EventId, EventTime, LeadKey};

/// One lead interaction event: the record of `lead.interactions.v1` after checking.
#[derive(Clone, Debug, PartialEq)]
pub struct Interaction {
    /// Identity of the delivery.
    pub event_id: EventId,
    /// What happened.
    pub kind: EventType,
    /// Whose lead.
    pub key: LeadKey,
    /// When it happened.
    pub occurred_at: EventTime,
    /// When the producer received it.
    pub received_at: EventTime,
    /// The system that delivered it, for example `gohighlevel`.
    pub source_system: String,
    /// The source's own name of the event.
    pub source_event_type: Option<String>,
    /// The source's own id of the delivery.
    pub source_delivery_id: Option<String>,
    /// The channel; open vocabulary.
    pub channel: Option<Channel>,
    /// Who spoke to whom; `None` when neither.
    pub direction: Option<Direction>,
    /// The agent concerned.
    pub agent_id: Option<String>,
    /// The conversation it belongs to.
    pub conversation_id: Option<String>,
    /// The web session it belongs to.
    pub session_id: Option<String>,
    /// The campaign that brought it.
    pub campaign: Option<String>,
    /// The CRM deal it concerns.
    pub opportunity: Option<Opportunity>,
    /// The listing it concerns.
    pub listing: Option<Listing>,
    /// What was said.
    pub content: Option<Content>,
    /// Consent per channel name, where the event tells it.
    pub consent: BTreeMap<String, bool>,
    /// Named measures, each finite; units are part of the name (`call_seconds`).
    pub measures: BTreeMap<String, f64>,
    /// Named attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Interaction {
    /// What was said, in clear.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.content.as_ref()?.text.as_deref()
    }
}

/// The CRM's deal, wire name `pipeline`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opportunity {
    /// Id of the deal.
    pub opportunity_id: Option<String>,
    /// Id of the CRM pipeline it runs through.
    pub pipeline_id: Option<String>,
    /// The CRM's own stage name.
    pub stage_id: Option<String>,
    /// `open`, `won`, `lost`, `abandoned` or the CRM's own word.
    pub status: Option<String>,
    /// Value in minor units of `currency`.
    pub value_minor: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
}

/// A listing that was viewed, saved or talked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Id of the listing.
    pub listing_id: Option<String>,
    /// Price in minor units of `currency`.
    pub price_minor: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// For example `condo`.
    pub property_type: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
}

/// What was said, in clear or encrypted by the producer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Text in clear.
    pub text: Option<String>,
    /// Encrypted text; never read here.
    pub ciphertext: Option<Vec<u8>>,
    /// Key of the encrypted text.
    pub key_id: Option<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Number of attachments.
    pub attachments: Option<i32>,
}

/// Who spoke to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The lead to us.
    Inbound,
    /// We to the lead.
    Outbound,
}

/// Declares an open vocabulary: known words as variants, any other word kept in `Other`.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* #[doc = concat!("`", $word, "`")] $variant,)+
            /// A word outside the known vocabulary, kept as it came.
            Other(String),
        }

        impl $name {
            /// Every known word, in declaration order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The variant of a word.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                match word { $($word => Self::$variant,)+ other => Self::Other(other.to_owned()) }
            }

            /// The word of the variant.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)+ Self::Other(word) => word }
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// What happened.
    EventType {
        ContactCreated = "contact.created",
        ContactUpdated = "contact.updated",
        ContactTagged = "contact.tagged",
        ContactDndChanged = "contact.dnd_changed",
        ContactErased = "contact.erased",
        MessageReceived = "message.received",
        MessageSent = "message.sent",
        EmailOpened = "email.opened",
        EmailClicked = "email.clicked",
        EmailBounced = "email.bounced",
        CallCompleted = "call.completed",
        CallMissed = "call.missed",
        VoicemailLeft = "voicemail.left",
        FormSubmitted = "form.submitted",
        PageViewed = "page.viewed",
        ListingViewed = "listing.viewed",
        ListingSaved = "listing.saved",
        SearchPerformed = "search.performed",
        OpenhouseVisited = "openhouse.visited",
        AppointmentRequested = "appointment.requested",
        AppointmentBooked = "appointment.booked",
        AppointmentChanged = "appointment.changed",
        AppointmentCancelled = "appointment.cancelled",
        AppointmentAttended = "appointment.attended",
        AppointmentNoShow = "appointment.no_show",
        OpportunityStageChanged = "opportunity.stage_changed",
        OpportunityStatusChanged = "opportunity.status_changed",
        ObjectionRaised = "objection.raised",
        ObjectionResolved = "objection.resolved",
        ConsentChanged = "consent.changed",
        CoachingSessionEnded = "coaching.session_ended",
        CoachingFeedback = "coaching.feedback",
        TaskScheduled = "task.scheduled",
        TaskCompleted = "task.completed",
        LeadConverted = "lead.converted",
        LeadLost = "lead.lost",
    }
}

vocabulary! {
    /// How it travelled.
    Channel {
        Sms = "sms",
        Email = "email",
        Phone = "phone",
        Chat = "chat",
        Whatsapp = "whatsapp",
        Web = "web",
        InPerson = "in_person",
        Post = "post",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_word_survives_a_round_trip_and_an_unknown_one_is_kept() {
        for word in EventType::WORDS.iter().chain(Channel::WORDS) {
            let known =
                EventType::parse(word).as_str() == *word && Channel::parse(word).as_str() == *word;
            assert!(known, "{word}");
        }
        assert!(
            EventType::WORDS
                .iter()
                .all(|word| !matches!(EventType::parse(word), EventType::Other(_)))
        );
        assert_eq!(EventType::parse("fax.received"), EventType::Other("fax.received".into()));
    }
}
