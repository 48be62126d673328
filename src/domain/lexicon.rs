//! What a message says: intensities per topic, sentiment, objections and a few facts, from a
//! documented phrase table.
//!
//! A phrase counts on word borders only. A negation within three words before it, in the same
//! clause, turns it off (and turns a positive word's sentiment round). Only the first
//! [`TEXT_BYTES_MAX`] bytes of a text are read.

mod english;
mod facts;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::domain::lexicon::english::{MOOD, NEGATIONS, OBJECTIONS, TOPICS};

/// Bytes of a message that are read.
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Words that a negation reaches forward.
const NEGATION_WORDS: usize = 3;

/// What a message can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What it costs.
    Price,
    /// How to pay for it.
    Financing,
    /// Approval of a loan before the purchase.
    PreApproval,
    /// Visiting or meeting.
    Viewing,
    /// When.
    Timeline,
    /// Facts about what is offered.
    Availability,
    /// Likes it.
    Interest,
    /// Is ready to act.
    Commitment,
    /// Speaks against it.
    Objection,
    /// Deals with somebody else.
    Competitor,
    /// Wants to wait.
    Hesitation,
    /// Thanks.
    Thanks,
    /// Opts out.
    Stop,
    /// Is unhappy with us.
    Complaint,
    /// Asks something.
    Question,
}

impl Topic {
    /// How many there are.
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

/// What an objection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectionKind {
    /// Too dear.
    Price,
    /// Cannot be paid.
    Financing,
    /// Wrong time.
    Timing,
    /// Does not trust.
    Trust,
    /// Wrong place.
    Location,
    /// Wrong state.
    Condition,
    /// Somebody else has it.
    Competitor,
    /// Somebody else decides.
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

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKind {
    /// How many bedrooms.
    Bedrooms,
    /// How many bathrooms.
    Bathrooms,
    /// What it may cost.
    Budget,
    /// Where it should be.
    Area,
    /// Which animals come along.
    Pets,
    /// Whether it should be furnished.
    Furnished,
    /// When the move should be.
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

/// Something a lead said about its wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub kind: FactKind,
    /// Its value, at most 40 bytes.
    pub value: String,
}

/// What one message says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// 0..=1 by [`Topic`].
    pub intensity: [f32; Topic::COUNT],
    /// -1..=1.
    pub sentiment: f32,
    /// Kinds of objections, each once, in order of appearance.
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

/// A phrase and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Lower-case words separated by single blanks.
    pub phrase: String,
    /// Its topic.
    pub topic: Topic,
    /// 0..=1; 0 silences the phrase.
    pub weight: f32,
    /// For [`Topic::Objection`]: what about.
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

    /// This table with a tenant's entries, which replace those of the same phrase.
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
            // Phrases that carry their own negation ("not right now") and refusals stand as they
            // are.
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

    /// What depends on the whole message: a refusal or a pause outweighs the topic it refuses.
    fn settle(&mut self, text: &str) {
        if self.of(Topic::Hesitation) > 0.0 || self.objections.contains(&ObjectionKind::NoNeed) {
            for topic in [Topic::Viewing, Topic::Commitment, Topic::Interest] {
                self.intensity[topic as usize] = 0.0;
            }
        }
        self.sentiment = sentiment(text);
    }
}

/// The start of a text that is read.
fn bounded(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    &text[..end]
}

/// Lower case, straight apostrophes.
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

/// Whether one of the last words before a phrase, in the same clause, is a negation.
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
