//! The words that leadstream reads, by kind, with what each means: for `explain`, for words that
//! nothing reads, and for the reference.

use crate::domain::event::EventType;
use crate::domain::experiment::plan::Metric;
use crate::domain::features::Feature;
use crate::domain::journey::Stage;

/// A word and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// What it means; empty: its name says it.
    pub meaning: &'static str,
}

/// The words of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, in the plural.
    pub name: &'static str,
    /// Where these words stand, and what becomes of others.
    pub about: &'static str,
    /// Them.
    pub words: Vec<Word>,
}

const EVENT_TYPES: [(&str, &str); 36] = [
    ("contact.created", "a contact came into being, with consent, owner and attributes"),
    ("contact.updated", "consent, owner or attributes of a contact changed"),
    ("contact.tagged", "a tag was set"),
    ("contact.dnd_changed", "do-not-disturb: attribute dnd is true or false"),
    ("contact.erased", "the contact's data must be forgotten"),
    ("message.received", "the lead wrote: content.text, channel"),
    ("message.sent", "we wrote"),
    ("email.opened", "the lead opened an email"),
    ("email.clicked", "the lead followed a link of an email"),
    ("email.bounced", "an email did not arrive"),
    ("call.completed", "a call: direction, duration_seconds"),
    ("call.missed", "a call that nobody took"),
    ("voicemail.left", "a message on an answering machine"),
    ("form.submitted", "a form of the website, with content.text"),
    ("page.viewed", "a page of the website"),
    ("listing.viewed", "an offer was looked at, with price_minor"),
    ("listing.saved", "an offer was saved"),
    ("search.performed", "the lead searched"),
    ("openhouse.visited", "the lead came to an open house"),
    ("appointment.requested", "the lead asks for an appointment"),
    ("appointment.booked", "an appointment has a time: appointment.starts_at"),
    ("appointment.changed", "it has another time"),
    ("appointment.cancelled", "it does not take place"),
    ("appointment.attended", "the lead came"),
    ("appointment.no_show", "the lead did not come"),
    ("opportunity.stage_changed", "a deal is in another stage: opportunity.stage_id"),
    ("opportunity.status_changed", "a deal is open, won or lost: opportunity.status"),
    ("objection.raised", "somebody noted an objection"),
    ("objection.resolved", "it is cleared"),
    ("consent.changed", "consent per channel: consent"),
    ("coaching.session_ended", "an agent has ended a coached conversation"),
    ("coaching.feedback", "an agent rates a prompt"),
    ("task.scheduled", "a task is planned"),
    ("task.completed", "it is done"),
    ("lead.converted", "the lead is won: a deal was made"),
    ("lead.lost", "the lead is lost"),
];

const CHANNELS: [(&str, &str); 8] = [
    ("sms", "text message"),
    ("email", ""),
    ("phone", "call"),
    ("chat", "chat on the website"),
    ("whatsapp", ""),
    ("web", "page views and forms; nobody is contacted on it"),
    ("in_person", "visit or meeting"),
    ("post", "letter"),
];

const STRATEGIES: [(&str, &str); 5] = [
    ("empathetic", "names the feeling first"),
    ("analytical", "brings numbers and comparisons"),
    ("assertive", "proposes one clear next step"),
    ("consultative", "diagnoses with a question"),
    ("relationship", "builds on the past and the long term"),
];

fn words(words: &[(&'static str, &'static str)]) -> Vec<Word> {
    words.iter().map(|(name, meaning)| Word { name, meaning }).collect()
}

fn plain(names: impl Iterator<Item = &'static str>) -> Vec<Word> {
    names.map(|name| Word { name, meaning: "" }).collect()
}

/// All kinds.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "event types",
            about: "`event_type` of an event. Another type is kept and counts as an event of the \
                lead; nothing else follows from it.",
            words: words(&EVENT_TYPES),
        },
        Kind {
            name: "channels",
            about: "`channel` of an event, and the keys of `consent`. Another channel is kept; \
                nobody is contacted on it.",
            words: words(&CHANNELS),
        },
        Kind {
            name: "stages",
            about: "Stages of the journey: `stages` of experiments and policies, and what a \
                `stages` definition maps the CRM's own stages to.",
            words: plain(Stage::ALL.into_iter().map(Stage::as_str)),
        },
        Kind {
            name: "strategies",
            about: "Coaching strategies: arms of experiments, and `strategy` of policies. Another \
                name is a strategy of your own with the consultative texts.",
            words: words(&STRATEGIES),
        },
        Kind {
            name: "metrics",
            about: "Goals, guardrails and other metrics of experiments.",
            words: plain(Metric::ALL.into_iter().map(Metric::as_str)),
        },
        Kind {
            name: "features",
            about: "Features of a lead: terms of models, and `target` of experiments.",
            words: plain(Feature::ALL.iter().map(|feature| feature.as_str())),
        },
    ]
}

/// The word of a list that looks most like one that is not in it; `None`: none looks like it.
#[must_use]
pub fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Chosen: `deal.won` is like no event type, `lead.convert` is like `lead.converted`.
    const ALIKE: f64 = 0.85;
    let word = word.to_lowercase();
    let alike = |known: &'a str| (strsim::jaro_winkler(&word, known), known);
    let best = words.map(alike).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, known)| known)
}

/// The event type that somebody means with a word that is none: one that looks like it, or that
/// other systems call so.
#[must_use]
pub fn meant_event_type(word: &str) -> Option<&'static str> {
    const CALLED: [(&str, &str); 8] = [
        ("deal.won", "lead.converted"),
        ("deal.lost", "lead.lost"),
        ("opportunity.won", "lead.converted"),
        ("opportunity.lost", "lead.lost"),
        ("appointment.completed", "appointment.attended"),
        ("lead.created", "contact.created"),
        ("sms.received", "message.received"),
        ("email.received", "message.received"),
    ];
    let called = CALLED.iter().find(|(name, _)| *name == word).map(|(_, known)| *known);
    called.or_else(|| nearest(word, EventType::WORDS.iter().copied()))
}

/// The reference page of all words, Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = "# Names\n\nThe words that leadstream reads. `leadstream explain` prints them; \
        this page is what `leadstream explain --markdown` prints.\n"
        .to_owned();
    for Kind { name, about, words } in kinds() {
        page.push_str(&format!("\n## {}{}\n\n{about}\n\n", name[..1].to_uppercase(), &name[1..]));
        if words.iter().all(|word| word.meaning.is_empty()) {
            words.iter().for_each(|word| page.push_str(&format!("- `{}`\n", word.name)));
        } else {
            page.push_str("| name | meaning |\n|---|---|\n");
            for Word { name, meaning } in words {
                page.push_str(&format!("| `{name}` | {meaning} |\n"));
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Channel;
    use crate::domain::strategy::Strategy;

    #[test]
    fn every_word_that_is_read_is_explained_and_no_other() {
        let explained = |words: &[(&'static str, &str)]| -> Vec<&'static str> {
            words.iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(explained(&EVENT_TYPES), EventType::WORDS);
        assert_eq!(explained(&CHANNELS), Channel::WORDS);
        assert_eq!(explained(&STRATEGIES), Strategy::WORDS);
    }

    #[test]
    fn a_word_that_is_none_leads_to_the_one_that_is_meant() {
        for (word, meant) in [
            ("deal.won", Some("lead.converted")),
            ("message.recieved", Some("message.received")),
            ("Appointment.Booked", Some("appointment.booked")),
            ("zzz", None),
        ] {
            assert_eq!(meant_event_type(word), meant, "{word}");
        }
    }
}
