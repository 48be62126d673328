//! The local coach: at once, for every inbound message, what the agent should know and could
//! answer.
//!
//! The first situation that the message shows (an opt-out before a complaint before an objection,
//! down to small talk) picks the text; the strategy gives it its manner, the stage its advice and
//! its closing line. Phrasings vary by the event's id, so the same event always gets the same
//! prompt. Nothing is stated that was not said, nothing asked that is known, no visit proposed to
//! who declined or has one.

mod words;
mod situation;
mod text;
mod repair;
mod resistance;
mod inform;
mod advance;
mod light;
mod draft;

use jiff::tz::TimeZone;

use crate::domain::appointments::{Appointments, Status};
use crate::domain::coaching::situation::{Group, Situation};
use crate::domain::coaching::text::Text;
use crate::domain::hash::murmur3;
use crate::domain::journey::{Outcome, Stage};
use crate::domain::lexicon::{Fact, ObjectionKind, Signals, Topic};
use crate::domain::scoring::Target;
use crate::domain::strategy::Strategy;
use crate::domain::units::{DAY_MS, EventId, EventTime, LeadKey};

pub use crate::domain::coaching::draft::{Known, draft};

/// Longest headline, characters.
const HEADLINE_CHARS_MAX: usize = 90;
/// Longest suggested reply, characters.
const REPLY_CHARS_MAX: usize = 480;
/// Longest line of guidance, characters.
const GUIDANCE_CHARS_MAX: usize = 280;
/// Bytes of the message quoted in a prompt.
const QUOTE_BYTES_MAX: usize = 120;
/// A probability from here on is worth a word to the agent (chosen).
const LIKELY: f64 = 0.6;
/// A lead silent for this long is greeted as one that came back (chosen: a week).
const RETURN_MS: i64 = 7 * DAY_MS;

/// A coaching prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Derived from the event.
    pub prompt_id: EventId,
    /// The message it answers.
    pub event_id: EventId,
    /// The lead.
    pub key: LeadKey,
    /// Event time of the message.
    pub at: EventTime,
    /// The agent.
    pub agent_id: Option<String>,
    /// The conversation.
    pub conversation_id: Option<String>,
    /// 0: the local coach. The highest wins.
    pub seq: u32,
    /// Stage of the journey.
    pub stage: Stage,
    /// The strategy used.
    pub strategy: Strategy,
    /// What this is about.
    pub headline: String,
    /// What to do and why.
    pub guidance: Vec<String>,
    /// A reply ready to be edited and sent.
    pub reply: String,
    /// What the lead said, quoted.
    pub quote: String,
}

/// What the coach sees.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Id of the message's event: picks among equal phrasings.
    pub event_id: EventId,
    /// When it was said.
    pub at: EventTime,
    /// The message.
    pub text: &'a str,
    /// What it says.
    pub signals: &'a Signals,
    /// Stage of the journey, the message counted in.
    pub stage: Stage,
    /// How the lead ended, if it did.
    pub outcome: Option<Outcome>,
    /// The strategy to use.
    pub strategy: &'a Strategy,
    /// Probabilities in the order of [`Target::ALL`].
    pub probabilities: [f64; 6],
    /// What the lead told of its wishes.
    pub facts: &'a [Fact],
    /// Objections not resolved, oldest first.
    pub open_objections: &'a [ObjectionKind],
    /// The lead's appointments.
    pub appointments: &'a Appointments,
    /// The lead's timezone, in which an appointment is named.
    pub timezone: &'a TimeZone,
    /// Whether the lead said no for now in this message or the one before.
    pub declined: bool,
    /// Since the lead's touch before this message, milliseconds; `None` when there was none.
    pub quiet_ms: Option<i64>,
    /// Touches of ours that had stayed unanswered before this message.
    pub unanswered: u32,
    /// Whether this is the lead's first message.
    pub first: bool,
    /// Whether our last message proposed a visit.
    pub asked_visit: bool,
    /// Whether the lead is known to be about a home, for example from a listing that it viewed.
    pub property: bool,
}

/// What a prompt says, without whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What this is about and the way to take, at most 90 characters.
    pub headline: String,
    /// What to do and why, three lines of at most 280 characters.
    pub guidance: Vec<String>,
    /// A reply ready to be edited and sent, at most 480 characters.
    pub reply: String,
    /// What the lead said, quoted, at most 120 bytes.
    pub quote: String,
}

impl Context<'_> {
    /// Whether the appointment booked has begun by the time of the message.
    fn over(&self) -> bool {
        self.appointments.starts_at.is_some_and(|start| start <= self.at)
    }

    fn may_propose_visit(&self) -> bool {
        !self.declined && !self.appointments.ahead() && self.outcome.is_none()
    }

    fn says(&self, topic: Topic) -> bool {
        self.signals.of(topic) >= 0.5
    }
}

/// The advice for one message.
#[must_use]
pub fn advise(context: &Context<'_>) -> Advice {
    let situation = situation::of(context);
    Advice {
        headline: headline(context, situation),
        guidance: guidance(context, situation),
        reply: reply(context, situation),
        quote: quote(context.text),
    }
}

fn headline(context: &Context<'_>, situation: Situation) -> String {
    let label = words::fill(text_of(situation).label, context);
    let tack = text::tack(situation.group())[text::tone(context.strategy)];
    let headline = match (situation, context.outcome) {
        (Situation::OptOut, _) => format!("{label}: confirm once, then stop every message"),
        (_, Some(Outcome::Won)) => format!("{label}, after the deal: {tack}"),
        (_, Some(Outcome::Lost)) => format!("{label}, a lost lead writes: {tack}"),
        (_, None) => format!("{label}, {}: {tack}", text::moment(context.stage)),
    };
    shorten(&headline, HEADLINE_CHARS_MAX).to_owned()
}

fn guidance(context: &Context<'_>, situation: Situation) -> Vec<String> {
    let texts = text_of(situation);
    let why = words::fill(vary(context, "why", texts.why), context);
    let how = words::fill(texts.how[text::tone(context.strategy)], context);
    let advice = match (situation, context.outcome) {
        (Situation::OptOut, _) => {
            format!(
                "In stage {} as in any other: no deal is worth a message that was refused.",
                context.stage.as_str()
            )
        }
        (_, Some(Outcome::Won)) => {
            format!("The lead is won (stage {}): serve, do not sell.", context.stage.as_str())
        }
        (_, Some(Outcome::Lost)) => {
            format!(
                "The lead was lost (stage {}): be glad of the message and let the lead set the \
                    pace.",
                context.stage.as_str()
            )
        }
        (_, None) => text::stage_advice(situation.group(), context.stage).to_owned(),
    };
    let last = match note(context, situation) {
        Some(note) => format!("{advice} {note}"),
        None => advice,
    };
    [why, how, last].iter().map(|line| shorten(line, GUIDANCE_CHARS_MAX).to_owned()).collect()
}

/// The one thing beyond the message that the agent should have in mind now.
fn note(context: &Context<'_>, situation: Situation) -> Option<String> {
    let likely = |target: Target| {
        Some(context.probabilities[target.index()]).filter(|probability| *probability >= LIKELY)
    };
    let percent = |probability: f64| libm::round(probability.clamp(0.0, 1.0) * 100.0);
    let group = situation.group();
    if group == Group::Repair {
        return None;
    }
    if context.appointments.ahead() && group != Group::Settled {
        return Some("An appointment is pending: do not offer another one.".to_owned());
    }
    if let (Some(kind), true) = (context.open_objections.last(), group != Group::Resistance) {
        return Some(format!(
            "Still open: the {} objection; come back to it before the next step.",
            kind.as_str().replace('_', " ")
        ));
    }
    if context.declined && group != Group::Decline {
        return Some("A visit was declined: wait until the lead brings it up.".to_owned());
    }
    if let Some(risk) = likely(Target::ChurnRisk) {
        return Some(format!(
            "Risk of losing this lead: {} %. Answer soon and keep it easy.",
            percent(risk)
        ));
    }
    if let (Some(urgency), false) = (likely(Target::BuyingUrgency), group == Group::Decline) {
        return Some(format!(
            "Urgency is {} %: answer before anything else today.",
            percent(urgency)
        ));
    }
    if let (Some(doubt), false) = (likely(Target::ObjectionProbability), group == Group::Resistance)
    {
        return Some(format!(
            "An objection is likely next ({} %): leave room for it.",
            percent(doubt)
        ));
    }
    rhythm(context)
}

fn rhythm(context: &Context<'_>) -> Option<String> {
    if context.unanswered >= 3 {
        return Some(format!(
            "They answer after {} messages without reply: one message now, not two.",
            context.unanswered
        ));
    }
    let quiet = context.quiet_ms.filter(|quiet| *quiet >= RETURN_MS)?;
    Some(format!("They were silent for {} days: be glad, and do not ask why.", quiet / DAY_MS))
}

fn reply(context: &Context<'_>, situation: Situation) -> String {
    let core = vary(context, "say", text_of(situation).say[text::tone(context.strategy)]);
    let core = words::fill(core, context);
    let opening = opening(context, situation, &core);
    let closing = closing(context, situation).map(|line| words::fill(line, context));
    let parts: Vec<&str> =
        [opening, Some(core.as_str()), closing.as_deref()].into_iter().flatten().collect();
    shorten(&parts.join(" "), REPLY_CHARS_MAX).to_owned()
}

fn opening(context: &Context<'_>, situation: Situation, core: &str) -> Option<&'static str> {
    if matches!(situation.group(), Group::Repair | Group::Decline | Group::Thanks)
        || core.starts_with("Hello")
    {
        return None;
    }
    let again =
        context.quiet_ms.is_some_and(|quiet| quiet >= RETURN_MS) && !core.contains("to hear");
    match (context.first, again) {
        (true, _) => Some("Hello, nice to meet you."),
        (false, true) => Some("It is good to hear from you again."),
        (false, false) => None,
    }
}

/// The closing line; it asks only where the text before it does not.
fn closing(context: &Context<'_>, situation: Situation) -> Option<&'static str> {
    let tone = text::tone(context.strategy);
    match (situation.group(), context.outcome) {
        (Group::Repair, _) => None,
        (Group::Decline, _) => Some(text::open_door(context.stage)),
        (_, Some(outcome)) => Some(text::ended(outcome)[tone]),
        (Group::Resistance, None) => Some(text::calm(context.stage)),
        (Group::Settled | Group::Thanks, None) => Some(text::rest(context.stage)),
        (Group::Inform | Group::Advance, None) => Some(forward(context, situation)[tone]),
        // Between small words an appointment that stands is not worth another one.
        (Group::Light, None) => {
            (!context.appointments.ahead()).then(|| text::step(context.stage)[tone])
        }
    }
}

fn forward(context: &Context<'_>, situation: Situation) -> [&'static str; 5] {
    let appointment = context.appointments.status;
    match situation {
        Situation::Viewing => text::FIX_A_TIME,
        Situation::Dated => text::dated(context.stage),
        _ if appointment == Status::Booked && !context.over() => {
            ["And our appointment{when} stands."; 5]
        }
        _ if appointment == Status::NoShow && !context.declined => text::AFTER_NO_SHOW,
        _ => text::step(context.stage),
    }
}

/// One of the variants, chosen by the event's id.
fn vary(context: &Context<'_>, usage: &str, variants: &'static [&'static str]) -> &'static str {
    let seed = usage.bytes().fold(0, |seed, byte| seed << 8 | u32::from(byte));
    let choice = murmur3(&context.event_id.0, seed) as usize % variants.len().max(1);
    variants.get(choice).copied().unwrap_or_default()
}

/// The longest start of at most `chars` characters that ends at a word, or the hard cut when there
/// is no word end.
fn shorten(text: &str, chars: usize) -> &str {
    let Some((cut, _)) = text.char_indices().nth(chars) else { return text };
    let (head, tail) = text.split_at(cut);
    if tail.starts_with(char::is_whitespace) {
        return head.trim_end();
    }
    head.rfind(char::is_whitespace).map_or(head, |end| head.split_at(end).0.trim_end())
}

/// The start of the message, cut at a word.
fn quote(text: &str) -> String {
    let text = text.trim();
    if text.len() <= QUOTE_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=QUOTE_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let cut = &text[..end];
    cut.rfind(char::is_whitespace).map_or(cut, |blank| &cut[..blank]).trim_end().to_owned()
}

/// The text of a situation.
fn text_of(situation: Situation) -> &'static Text {
    match situation.group() {
        Group::Repair => repair::text(situation),
        Group::Resistance | Group::Decline => resistance::text(situation),
        Group::Settled if situation == Situation::Booked => &advance::BOOKED,
        Group::Settled => &advance::REQUESTED,
        Group::Inform => inform::text(situation),
        Group::Advance => advance::text(situation),
        Group::Light | Group::Thanks => light::text(situation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lexicon::{FactKind, Lexicon};

    /// What else is known of the lead.
    #[derive(Default)]
    struct Known {
        facts: Vec<Fact>,
        appointments: Appointments,
        property: bool,
    }

    fn advice(text: &str, stage: Stage, strategy: &Strategy, known: &Known) -> Advice {
        let signals = Lexicon::english().read(text);
        advise(&Context {
            event_id: EventId::named(text),
            at: EventTime(0),
            text,
            signals: &signals,
            stage,
            outcome: None,
            strategy,
            probabilities: [0.3; 6],
            facts: &known.facts,
            open_objections: &[],
            appointments: &known.appointments,
            timezone: &TimeZone::UTC,
            declined: signals.of(Topic::Hesitation) >= 0.5,
            quiet_ms: None,
            unanswered: 0,
            first: false,
            asked_visit: false,
            property: known.property,
        })
    }

    fn strategies() -> Vec<Strategy> {
        Strategy::WORDS.iter().map(|word| Strategy::parse(word)).collect()
    }

    const MESSAGES: [&str; 22] = [
        "That's above our budget",
        "rates are too high for us",
        "not ready yet",
        "is this a scam?",
        "it is too far from work",
        "too small for us",
        "We already signed with another agent",
        "I have to ask my wife",
        "not interested",
        "No, not right now",
        "Let's do it, send me the contract",
        "Can we see it Saturday?",
        "What is the price?",
        "What would be the monthly payment of the loan?",
        "We need to move by March",
        "Is it still available?",
        "I love it",
        "We look for 3 bedrooms in San Jose",
        "ok thanks",
        "hello",
        "Are pets allowed?",
        "hm",
    ];

    #[test]
    fn advice_differs_by_stage_and_strategy_quotes_the_message_and_fits() {
        for text in MESSAGES {
            let mut seen = Vec::new();
            for stage in Stage::ALL {
                for strategy in &strategies() {
                    let advice = advice(text, stage, strategy, &Known::default());
                    assert!(text.contains(&advice.quote) && !advice.quote.is_empty());
                    assert!(
                        advice.headline.chars().count() <= HEADLINE_CHARS_MAX
                            && advice.reply.chars().count() <= REPLY_CHARS_MAX
                    );
                    assert!(
                        advice
                            .guidance
                            .iter()
                            .all(|line| line.chars().count() <= GUIDANCE_CHARS_MAX
                                && !line.is_empty())
                    );
                    assert!(
                        !advice.reply.contains('{') && !advice.headline.contains('{'),
                        "{advice:?}"
                    );
                    assert!(
                        advice.reply.matches('?').count() <= 1,
                        "{text} {strategy:?}: {}",
                        advice.reply
                    );
                    assert!(!seen.contains(&advice), "{text} {stage:?} {strategy:?}");
                    seen.push(advice);
                }
            }
        }
    }

    #[test]
    fn replies_of_one_strategy_do_not_share_their_words() {
        for strategy in &strategies() {
            let mut starts: Vec<_> = MESSAGES
                .iter()
                .map(|text| {
                    advice(text, Stage::Consideration, strategy, &Known::default())
                        .reply
                        .chars()
                        .take(40)
                        .collect::<String>()
                })
                .collect();
            starts.sort();
            starts.dedup();
            assert!(starts.len() >= MESSAGES.len() - 4, "{strategy:?}: {starts:#?}");
        }
    }

    #[test]
    fn no_visit_is_proposed_to_who_declined_or_has_one_and_nothing_is_sold_after_an_opt_out() {
        let appointments = Appointments {
            status: Status::Booked,
            starts_at: Some(EventTime(1_767_974_400_000)),
            ..Appointments::default()
        };
        let booked = Known { appointments, ..Known::default() };
        for strategy in &strategies() {
            for stage in Stage::ALL {
                let declined = advice(
                    "No, not right now",
                    stage,
                    strategy,
                    &Known { property: true, ..Known::default() },
                );
                let stands = advice("Can we visit?", stage, strategy, &booked);
                for word in ["viewing", "visit", "Which two times", "weekend", "meet"] {
                    assert!(!declined.reply.contains(word), "{}", declined.reply);
                }
                assert!(
                    stands.reply.contains("on Friday, January 9 at 4:00 PM stands")
                        && !stands.reply.contains("Which two times"),
                    "{}",
                    stands.reply
                );
                let stopped = advice("STOP", stage, strategy, &Known::default());
                assert!(
                    !stopped.reply.contains('?') && stopped.reply.len() < 120,
                    "{}",
                    stopped.reply
                );
            }
        }
    }

    #[test]
    fn what_is_known_is_not_asked_again() {
        let facts = vec![
            Fact { kind: FactKind::Area, value: "San Jose".into() },
            Fact { kind: FactKind::Bedrooms, value: "3".into() },
        ];
        let known = Known { facts, ..Known::default() };
        for strategy in &strategies() {
            for stage in Stage::ALL {
                let reply =
                    advice("Is an apartment still available?", stage, strategy, &known).reply;
                assert!(
                    !reply.contains("Which area") && !reply.contains("How many bedrooms"),
                    "{reply}"
                );
            }
        }
    }

    #[test]
    fn a_question_about_a_percentage_is_about_a_cause_only_when_it_mentions_a_donation() {
        const BUYER: [&str; 5] = [
            "What percentage do I need to put down?",
            "What percent down do you need?",
            "Is the inspection tax deductible?",
            "What percentage is the commission?",
            "Do you have programs for first time buyers?",
        ];
        let text_of = |advice: &Advice| {
            format!("{} {} {}", advice.headline, advice.guidance.join(" "), advice.reply)
        };
        for strategy in &strategies() {
            for property in [true, false] {
                let known = Known { property, ..Known::default() };
                for message in BUYER {
                    let said = text_of(&advice(message, Stage::Consideration, strategy, &known));
                    assert!(
                        !["cause", "tax side", "achieves"].iter().any(|word| said.contains(word)),
                        "{message}: {said}"
                    );
                }
                let said = text_of(&advice(BUYER[0], Stage::Consideration, strategy, &known));
                assert!(said.starts_with("Paying for it"), "{said}");
                let lower = "How much would they come down on the price?";
                let said = text_of(&advice(lower, Stage::Consideration, strategy, &known));
                assert!(said.starts_with("Question about"), "{said}");
            }
            let donor = "What percentage of my donation reaches the children?";
            let said = text_of(&advice(donor, Stage::Interest, strategy, &Known::default()));
            assert!(said.contains("the share that reaches the cause"), "{said}");
            let home = Known { property: true, ..Known::default() };
            let said = text_of(&advice(donor, Stage::Interest, strategy, &home));
            assert!(!said.contains("cause"), "{said}");
        }
    }

    #[test]
    fn a_huge_message_is_quoted_within_bounds() {
        let text = "\u{1f600} word ".repeat(100_000);
        assert!(
            advice(&text, Stage::Interest, &Strategy::Empathetic, &Known::default()).quote.len()
                <= QUOTE_BYTES_MAX
        );
    }
}
