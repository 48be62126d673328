//! The sentences and names of the market, read once from the files in `sentences/` that are
//! compiled in; `sentences/README.md` explains how to edit them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};

use crate::dev::market::talk::{Moment, Reason, Talk, leaked};
use crate::domain::lexicon::ObjectionKind;

/// Buyers of homes and their agents.
pub static SALES: LazyLock<Sentences> =
    LazyLock::new(|| compiled_in(include_str!("sentences/sales.toml")));
/// Renters of apartments and their agents.
pub static RENTALS: LazyLock<Sentences> =
    LazyLock::new(|| compiled_in(include_str!("sentences/rentals.toml")));
/// Borrowers for homes and their loan officers.
pub static LENDING: LazyLock<Sentences> =
    LazyLock::new(|| compiled_in(include_str!("sentences/lending.toml")));
/// Names and sentences that all businesses share.
pub static COMMON: LazyLock<Common> = LazyLock::new(|| {
    toml::from_str(include_str!("sentences/common.toml"))
        .expect("a test reads every file that is compiled in")
});

/// Why a file of sentences is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML of this shape: a section is missing or unknown, or a sentence has an escape.
    #[error("sentences are not valid TOML")]
    Format(#[from] toml::de::Error),
    /// An objection or loss reason without talks of its own that names no other one that has some.
    #[error("{section}.{name} has no talks")]
    Missing {
        /// `objection` or `lost`.
        section: &'static str,
        /// The objection or loss reason.
        name: &'static str,
    },
    /// No objection or loss reason has this name, or it has talks and borrows those of another.
    #[error("{section}.{name} is unknown or defined twice")]
    Unexpected {
        /// `objection` or `lost`.
        section: &'static str,
        /// The name found.
        name: String,
    },
}

/// What leads and agents of one business say, by moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentences {
    opening: Vec<Talk>,
    welcome: Vec<Talk>,
    called: Vec<Talk>,
    call_missed: Vec<Talk>,
    knock: Vec<Talk>,
    needs: Vec<Talk>,
    question: Vec<Talk>,
    small_talk: Vec<Talk>,
    warm: Vec<Talk>,
    urgent: Vec<Talk>,
    hesitant: Vec<Talk>,
    ready: Vec<Talk>,
    viewing: Vec<Talk>,
    reminder: Vec<Talk>,
    moved: Vec<Talk>,
    cancelled: Vec<Talk>,
    missed: Vec<Talk>,
    liked: Vec<Talk>,
    disliked: Vec<Talk>,
    offer: Vec<Talk>,
    contract: Vec<Talk>,
    fell_through: Vec<Talk>,
    won: Vec<Talk>,
    remind: Vec<Talk>,
    follow_up: Vec<Talk>,
    comeback: Vec<Talk>,
    opt_out: Vec<Talk>,
    complaint: Vec<Talk>,
    too_slow: Vec<Talk>,
    settled: Vec<Talk>,
    unsettled: Vec<Talk>,
    objection: BTreeMap<String, Vec<Talk>>,
    lost: BTreeMap<String, Vec<Talk>>,
    #[serde(default)]
    same_as: SameAs,
}

/// Objections and loss reasons that use the talks of another one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SameAs {
    objection: BTreeMap<String, String>,
    lost: BTreeMap<String, String>,
}

/// Names and sentences that all businesses share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// First names of leads.
    #[serde(deserialize_with = "leaked")]
    pub names: Vec<&'static str>,
    /// The people with whom leads decide.
    #[serde(deserialize_with = "leaked")]
    pub partners: Vec<&'static str>,
    /// Streets of homes.
    #[serde(deserialize_with = "leaked")]
    pub streets: Vec<&'static str>,
    /// Interest rates, in percent.
    #[serde(deserialize_with = "leaked")]
    pub rates: Vec<&'static str>,
    /// Lenders.
    #[serde(deserialize_with = "leaked")]
    pub lenders: Vec<&'static str>,
    /// Numbers of weeks.
    #[serde(deserialize_with = "leaked")]
    pub weeks: Vec<&'static str>,
    /// How a lead begins its answer to a reminder.
    #[serde(deserialize_with = "leaked")]
    pub excuses: Vec<&'static str>,
    /// How an agent that takes over a lead introduces itself.
    #[serde(deserialize_with = "leaked_line")]
    pub hand_over: &'static str,
}

fn leaked_line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    Ok(String::deserialize(deserializer)?.leak())
}

impl Sentences {
    /// Reads a file of sentences.
    ///
    /// # Errors
    /// When it is not TOML of this shape, or an objection or loss reason has no talks.
    pub fn read(text: &str) -> Result<Self, Error> {
        let read: Self = toml::from_str(text)?;
        let objections = ObjectionKind::ALL.map(ObjectionKind::as_str);
        check("objection", &objections, &read.objection, &read.same_as.objection)?;
        let reasons = Reason::SPOKEN.map(Reason::as_str);
        check("lost", &reasons, &read.lost, &read.same_as.lost)?;
        Ok(read)
    }

    /// What may be said at a moment.
    #[must_use]
    pub fn talks(&self, moment: Moment) -> &[Talk] {
        match moment {
            Moment::Opening => &self.opening,
            Moment::Welcome => &self.welcome,
            Moment::Called => &self.called,
            Moment::CallMissed => &self.call_missed,
            Moment::Knock => &self.knock,
            Moment::Needs => &self.needs,
            Moment::Question => &self.question,
            Moment::SmallTalk => &self.small_talk,
            Moment::Warm => &self.warm,
            Moment::Urgent => &self.urgent,
            Moment::Hesitant => &self.hesitant,
            Moment::Ready => &self.ready,
            Moment::Viewing => &self.viewing,
            Moment::Reminder => &self.reminder,
            Moment::Moved => &self.moved,
            Moment::Cancelled => &self.cancelled,
            Moment::Missed => &self.missed,
            Moment::Liked => &self.liked,
            Moment::Disliked => &self.disliked,
            Moment::Offer => &self.offer,
            Moment::Contract => &self.contract,
            Moment::FellThrough => &self.fell_through,
            Moment::Won => &self.won,
            Moment::Remind => &self.remind,
            Moment::FollowUp => &self.follow_up,
            Moment::Comeback => &self.comeback,
            Moment::OptOut => &self.opt_out,
            Moment::Complaint => &self.complaint,
            Moment::TooSlow => &self.too_slow,
            Moment::Settled => &self.settled,
            Moment::Unsettled => &self.unsettled,
            Moment::Objection(kind) => {
                named(&self.objection, &self.same_as.objection, kind.as_str())
            }
            Moment::Lost(reason) => {
                // Nothing is said after the other reasons; any farewell may stand in.
                let spoken = Reason::SPOKEN.contains(&reason);
                let reason = if spoken { reason } else { Reason::NoResponse };
                named(&self.lost, &self.same_as.lost, reason.as_str())
            }
        }
    }
}

fn compiled_in(text: &str) -> Sentences {
    Sentences::read(text).expect("a test reads every file that is compiled in")
}

/// The talks under a name, or under the name whose talks it shares.
fn named<'a>(
    talks: &'a BTreeMap<String, Vec<Talk>>,
    same_as: &BTreeMap<String, String>,
    name: &str,
) -> &'a [Talk] {
    let own = same_as.get(name).map_or(name, String::as_str);
    talks.get(own).map_or(&[], Vec::as_slice)
}

/// Whether each of `names` has talks, and nothing else has.
fn check(
    section: &'static str,
    names: &[&'static str],
    talks: &BTreeMap<String, Vec<Talk>>,
    same_as: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let known = |name: &str| names.contains(&name);
    let unknown = talks.keys().find(|name| !known(name));
    let twice = same_as.keys().find(|name| !known(name) || talks.contains_key(*name));
    if let Some(name) = unknown.or(twice) {
        return Err(Error::Unexpected { section, name: name.clone() });
    }
    match names.iter().find(|name| named(talks, same_as, name).is_empty()) {
        Some(name) => Err(Error::Missing { section, name }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(from: &str, to: &str) -> String {
        let text = include_str!("sentences/rentals.toml");
        assert!(text.contains(from), "{from}");
        match Sentences::read(&text.replace(from, to)) {
            Err(Error::Format(error)) => error.message().to_owned(),
            Err(error) => error.to_string(),
            Ok(_) => panic!("{from} instead of {to} is taken"),
        }
    }

    #[test]
    fn a_file_with_a_missing_or_unknown_section_is_refused() {
        let cases = [
            ("[[small_talk]]", "[[weather]]", "unknown field `weather`"),
            (
                "[[objection.price]]",
                "[[objection.prices]]",
                "objection.prices is unknown or defined twice",
            ),
            ("other = \"condition\"", "other = \"conditions\"", "objection.other has no talks"),
            (
                "other = \"condition\"",
                "price = \"condition\"",
                "objection.price is unknown or defined twice",
            ),
            ("lead = []", "leads = []", "unknown field `leads`"),
        ];
        for (from, to, expected) in cases {
            let found = refused(from, to);
            assert!(found.starts_with(expected), "{to}: {found}");
        }
    }
}
