//! Signals of a message: topic intensities, sentiment, objections and a few facts, from a phrase
//! table.
//!
//! A phrase matches on word boundaries only. A negation within three words before it, in the same
//! clause, disables it and inverts the sentiment of a word. Only the first [`TEXT_BYTES_MAX`]
//! bytes of a text are read.

mod english;
mod facts;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::domain::lexicon::english::{MOOD, NEGATIONS, OBJECTIONS, TOPICS};

/// The first bytes of a message, which are the only ones read.
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Number of words after a negation that it applies to.
const NEGATION_WORDS: usize = 3;

/// Topic of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The price or the cost.
    Price,
    /// A loan or another way to pay.
    Financing,
    /// Loan approval before the purchase.
    PreApproval,
    /// A visit or a meeting.
    Viewing,
    /// A deadline or a move-in date.
    Timeline,
    /// Availability and features of the offer.
    Availability,
    /// The lead likes it.
    Interest,
    /// The lead is ready to act.
    Commitment,
    /// An objection.
    Objection,
    /// Another agent, lender or website.
    Competitor,
    /// The lead wants to wait.
    Hesitation,
    /// Thanks.
    Thanks,
    /// An opt-out.
    Stop,
    /// A complaint about us.
    Complaint,
    /// A question.
    Question,
}

impl Topic {
    /// Number of topics.
    pub const COUNT: usize = 15;
    /// All topics, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Price,
        Self::Financing,
        Self::PreApproval,
        Self::Viewing,
        Self::Timeline,
        Self::Availability,
        Self::Interest,
        Self::Commitment,
        Self::Objection,
        Self::Competitor,
        Self::Hesitation,
        Self::Thanks,
        Self::Stop,
        Self::Complaint,
        Self::Question,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Financing => "financing",
            Self::PreApproval => "pre_approval",
            Self::Viewing => "viewing",
            Self::Timeline => "timeline",
            Self::Availability => "availability",
            Self::Interest => "interest",
            Self::Commitment => "commitment",
            Self::Objection => "objection",
            Self::Competitor => "competitor",
            Self::Hesitation => "hesitation",
            Self::Thanks => "thanks",
            Self::Stop => "stop",
            Self::Complaint => "complaint",
            Self::Question => "question",
        }
    }
}

/// Subject of an objection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectionKind {
    /// Too expensive.
    Price,
    /// Cannot get or afford a loan.
    Financing,
    /// Wrong time.
    Timing,
    /// Does not trust us.
    Trust,
    /// Wrong location.
    Location,
    /// Wrong size or condition.
    Condition,
    /// Has another agent or offer.
    Competitor,
    /// Another person decides too.
    Authority,
    /// Does not need it.
    NoNeed,
    /// Something else.
    Other,
}

impl ObjectionKind {
    /// All kinds, in order.
    pub const ALL: [Self; 10] = [
        Self::Price,
        Self::Financing,
        Self::Timing,
        Self::Trust,
        Self::Location,
        Self::Condition,
        Self::Competitor,
        Self::Authority,
        Self::NoNeed,
        Self::Other,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Financing => "financing",
            Self::Timing => "timing",
            Self::Trust => "trust",
            Self::Location => "location",
            Self::Condition => "condition",
            Self::Competitor => "competitor",
            Self::Authority => "authority",
            Self::NoNeed => "no_need",
            Self::Other => "other",
        }
    }

    /// The kind of a name; [`ObjectionKind::Other`] for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Other)
    }
}

/// Subject of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKind {
    /// Number of bedrooms.
    Bedrooms,
    /// Number of bathrooms.
    Bathrooms,
    /// Highest price or rent.
    Budget,
    /// Location.
    Area,
    /// Pets that move in.
    Pets,
    /// Furnished or not.
    Furnished,
    /// Latest move-in date.
    MoveBy,
}

impl FactKind {
    /// All kinds, in order.
    pub const ALL: [Self; 7] = [
        Self::Bedrooms,
        Self::Bathrooms,
        Self::Budget,
        Self::Area,
        Self::Pets,
        Self::Furnished,
        Self::MoveBy,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bedrooms => "bedrooms",
            Self::Bathrooms => "bathrooms",
            Self::Budget => "budget",
            Self::Area => "area",
            Self::Pets => "pets",
            Self::Furnished => "furnished",
            Self::MoveBy => "move_by",
        }
    }
}

/// A requirement that the lead stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its subject.
    pub kind: FactKind,
    /// Its value, at most 40 bytes.
    pub value: String,
}

/// Signals of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// 0..=1 by [`Topic`].
    pub intensity: [f32; Topic::COUNT],
    /// -1..=1.
    pub sentiment: f32,
    /// Kinds of objections without duplicates, in order of appearance.
    pub objections: Vec<ObjectionKind>,
    /// Facts, in order of appearance.
    pub facts: Vec<Fact>,
}

impl Signals {
    /// Intensity of a topic, 0..=1.
    #[must_use]
    pub fn of(&self, topic: Topic) -> f32 {
        self.intensity[topic as usize]
    }
}

/// A phrase and its meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Lowercase words separated by single spaces.
    pub phrase: String,
    /// Its topic.
    pub topic: Topic,
    /// 0..=1; 0 disables the phrase.
    pub weight: f32,
    /// The subject, for [`Topic::Objection`].
    pub objection: Option<ObjectionKind>,
}

/// A compiled phrase table.
#[derive(Clone, Debug)]
pub struct Lexicon {
    entries: Vec<Entry>,
    automaton: AhoCorasick,
}

impl Lexicon {
    /// The English table.
    #[must_use]
    pub fn english() -> Self {
        let topics = TOPICS.iter().flat_map(|(topic, weight, phrases)| {
            phrases.iter().map(move |phrase| Entry {
                phrase: (*phrase).to_owned(),
                topic: *topic,
                weight: *weight,
                objection: None,
            })
        });
        let objections = OBJECTIONS.iter().flat_map(|(kind, phrases)| {
            phrases.iter().map(move |phrase| Entry {
                phrase: (*phrase).to_owned(),
                topic: Topic::Objection,
                weight: 0.9,
                objection: Some(*kind),
            })
        });
        Self::compile(topics.chain(objections).collect())
    }

    /// This table with a tenant's entries, which replace entries of the same phrase.
    #[must_use]
    pub fn with(&self, own: &[Entry]) -> Self {
        let kept = self
            .entries
            .iter()
            .filter(|entry| own.iter().all(|other| other.phrase != entry.phrase));
        Self::compile(
            kept.chain(own.iter().filter(|entry| !entry.phrase.is_empty())).cloned().collect(),
        )
    }

    fn compile(entries: Vec<Entry>) -> Self {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(entries.iter().map(|entry| entry.phrase.as_str()))
            .expect("a phrase table is far below the automaton's limits");
        Self { entries, automaton }
    }

    /// Reads a message.
    #[must_use]
    pub fn read(&self, text: &str) -> Signals {
        let written = bounded(text);
        let text = normal(written);
        let mut signals = Signals::default();
        for found in self.automaton.find_overlapping_iter(&text) {
            let entry = &self.entries[found.pattern().as_usize()];
            // A negation does not disable refusals or phrases that contain one ("not right now").
            let own = matches!(entry.topic, Topic::Hesitation | Topic::Stop | Topic::Complaint)
                || entry.phrase.split(' ').any(|word| NEGATIONS.contains(&word));
            if on_word_borders(&text, found.start(), found.end())
                && (own || !negated(&text[..found.start()]))
            {
                signals.note(entry);
            }
        }
        if text.trim_matches(|letter: char| !letter.is_alphanumeric()) == "stop" {
            signals.intensity[Topic::Stop as usize] = 1.0;
        }
        if text.contains('?') {
            signals.intensity[Topic::Question as usize] = 1.0;
        }
        signals.settle(&text);
        signals.facts = facts::read(written);
        signals
    }
}

impl Signals {
    fn note(&mut self, entry: &Entry) {
        let intensity = &mut self.intensity[entry.topic as usize];
        *intensity = intensity.max(entry.weight);
        if let Some(kind) = entry.objection.filter(|kind| !self.objections.contains(kind)) {
            self.objections.push(kind);
        }
    }

    /// Applies the rules for the whole message: a refusal clears the topics that it refuses.
    fn settle(&mut self, text: &str) {
        if self.of(Topic::Hesitation) > 0.0 || self.objections.contains(&ObjectionKind::NoNeed) {
            for topic in [Topic::Viewing, Topic::Commitment, Topic::Interest] {
                self.intensity[topic as usize] = 0.0;
            }
        }
        self.sentiment = sentiment(text);
    }
}

/// The first [`TEXT_BYTES_MAX`] bytes of a text, cut at a character.
fn bounded(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    &text[..end]
}

/// The text in lowercase with straight apostrophes.
fn normal(text: &str) -> String {
    text.chars()
        .map(|letter| if letter == '\u{2019}' { '\'' } else { letter.to_ascii_lowercase() })
        .collect()
}

fn on_word_borders(text: &str, start: usize, end: usize) -> bool {
    let inside = |letter: char| letter.is_alphanumeric() || letter == '\'';
    !text[..start].chars().next_back().is_some_and(inside)
        && !text[end..].chars().next().is_some_and(inside)
}

/// Whether a negation is among the last words before a phrase, in the same clause.
fn negated(before: &str) -> bool {
    let clause = before.rsplit([',', '.', ';', '!', '?', '\n']).next().unwrap_or("");
    let clause = clause.rsplit(" but ").next().unwrap_or(clause);
    clause.split_whitespace().rev().take(NEGATION_WORDS).any(|word| NEGATIONS.contains(&word))
}

fn sentiment(text: &str) -> f32 {
    let mut sum = 0.0;
    let mut place = 0;
    for word in text.split(|letter: char| !(letter.is_alphanumeric() || letter == '\'')) {
        if let Ok(found) = MOOD.binary_search_by(|(known, _)| (*known).cmp(word)) {
            let mood = &MOOD[found].1;
            sum += if negated(&text[..place]) { -mood } else { *mood };
        }
        place = (place + word.len() + 1).min(text.len());
        while !text.is_char_boundary(place) {
            place += 1;
        }
    }
    f32::clamp(sum, -1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_the_day_are_understood() {
        let lexicon = Lexicon::english();
        let cases: &[(&str, &[Topic], &[Topic])] = &[
            ("Can we see it Saturday?", &[Topic::Viewing, Topic::Question], &[Topic::Objection]),
            ("That\u{2019}s above our budget", &[Topic::Objection, Topic::Price], &[]),
            ("It's not too expensive", &[], &[Topic::Objection, Topic::Price]),
            ("No, not right now. I don't want to visit.", &[Topic::Hesitation], &[Topic::Viewing]),
            ("I'm not interested", &[Topic::Objection], &[Topic::Interest]),
            ("STOP", &[Topic::Stop], &[]),
            ("please stop by on Saturday", &[], &[Topic::Stop]),
            ("Please don't contact me again", &[Topic::Stop], &[]),
            ("my husband has to look at it first", &[Topic::Objection], &[]),
            ("We already signed with another agent", &[Topic::Objection, Topic::Competitor], &[]),
            (
                "rates are too high right now, what's your APR?",
                &[Topic::Financing, Topic::Objection, Topic::Question],
                &[],
            ),
            ("Let's do it, send me the contract", &[Topic::Commitment], &[]),
            ("nobody called me back, this is ridiculous", &[Topic::Complaint], &[]),
            ("Thanks, that works for me", &[Topic::Thanks, Topic::Interest], &[]),
            ("tourism detour", &[], &[Topic::Viewing]),
        ];
        for (text, present, absent) in cases {
            let signals = lexicon.read(text);
            present.iter().for_each(|topic| {
                assert!(signals.of(*topic) >= 0.5, "{text}: {topic:?} missing in {signals:?}")
            });
            absent.iter().for_each(|topic| {
                assert!(signals.of(*topic) == 0.0, "{text}: {topic:?} in {signals:?}")
            });
        }
    }

    #[test]
    fn the_table_of_moods_is_sorted_so_that_words_are_found() {
        assert!(MOOD.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn a_tenant_adds_and_silences_phrases_and_any_text_is_survived() {
        let own = [
            Entry {
                phrase: "houseboat".into(),
                topic: Topic::Interest,
                weight: 1.0,
                objection: None,
            },
            Entry { phrase: "visit".into(), topic: Topic::Viewing, weight: 0.0, objection: None },
        ];
        let lexicon = Lexicon::english().with(&own);
        assert!(lexicon.read("a houseboat!").of(Topic::Interest) > 0.9);
        assert!(lexicon.read("a visit").of(Topic::Viewing) == 0.0);
        for text in ["", "\0\0", "\u{202e}\u{1f600}visit\u{1f600}", &"é'".repeat(500_000)] {
            let signals = lexicon.read(text);
            assert!(signals.intensity.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}
