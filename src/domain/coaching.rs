//! The local coach: advice and a suggested reply for every inbound message, without a network call.
//!
//! The first situation that applies to the message (an opt-out before a complaint before an
//! objection, down to small talk) selects the texts; the strategy selects the tone, the stage the
//! advice and the closing line. The event's id selects among equal phrasings, so an event always
//! gets the same prompt. A reply states only known facts, asks only for unknown ones, and proposes
//! no visit to a lead that declined one or has one.

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
/// From this probability on, the guidance mentions a score (chosen).
const LIKELY: f64 = 0.6;
/// After this much silence, the reply welcomes the lead back (chosen: a week).
const RETURN_MS: i64 = 7 * DAY_MS;

/// A coaching prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Derived from the id of the event.
    pub prompt_id: EventId,
    /// The event of the message that it answers.
    pub event_id: EventId,
    /// The lead.
    pub key: LeadKey,
    /// Event time of the message.
    pub at: EventTime,
    /// The agent that owns the lead.
    pub agent_id: Option<String>,
    /// The conversation.
    pub conversation_id: Option<String>,
    /// 0 for the local coach. A higher number replaces a lower one.
    pub seq: u32,
    /// Stage of the journey.
    pub stage: Stage,
    /// The strategy used.
    pub strategy: Strategy,
    /// The situation and the approach.
    pub headline: String,
    /// What to do and why.
    pub guidance: Vec<String>,
    /// A reply that the agent can edit and send.
    pub reply: String,
    /// The start of the message.
    pub quote: String,
}

/// Input of the coach.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Id of the message's event; selects among equal phrasings.
    pub event_id: EventId,
    /// Event time of the message.
    pub at: EventTime,
    /// The message.
    pub text: &'a str,
    /// Topics, objections and facts of the message.
    pub signals: &'a Signals,
    /// Stage of the journey after this message.
    pub stage: Stage,
    /// How the journey ended; `None` while it is open.
    pub outcome: Option<Outcome>,
    /// The strategy to use.
    pub strategy: &'a Strategy,
    /// Probabilities in the order of [`Target::ALL`].
    pub probabilities: [f64; 6],
    /// The lead's requirements.
    pub facts: &'a [Fact],
    /// Unresolved objections, oldest first.
    pub open_objections: &'a [ObjectionKind],
    /// The lead's appointments.
    pub appointments: &'a Appointments,
    /// The lead's timezone, used for the time of an appointment.
    pub timezone: &'a TimeZone,
    /// Whether the lead declined in this message or the one before.
    pub declined: bool,
    /// Time since the lead's previous message, milliseconds; `None` if this is the first.
    pub quiet_ms: Option<i64>,
    /// Messages of ours without an answer before this message.
    pub unanswered: u32,
    /// Whether this is the lead's first message.
    pub first: bool,
    /// Whether our last message proposed a visit.
    pub asked_visit: bool,
    /// Whether the lead is known to look for a home, for example because it viewed a listing.
    pub property: bool,
}

/// The texts of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The situation and the approach, at most 90 characters.
    pub headline: String,
    /// What to do and why, three lines of at most 280 characters.
    pub guidance: Vec<String>,
    /// A reply that the agent can edit and send, at most 480 characters.
    pub reply: String,
    /// The start of the message, at most 120 bytes.
    pub quote: String,
}

impl Context<'_> {
    /// Whether the booked appointment had begun when the message was sent.
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
        (Situation::OptOut, _) => format!("{label}: confirm once, then stop all messages"),
        (_, Some(Outcome::Won)) => format!("{label}, after the deal: {tack}"),
        (_, Some(Outcome::Lost)) => format!("{label}, lost lead is back: {tack}"),
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
                "{} stage, same rule as any other: no deal is worth texting someone who opted out.",
                capitalized(context.stage)
            )
        }
        (_, Some(Outcome::Won)) => {
            format!("{} stage, and already won: help, don't sell.", capitalized(context.stage))
        }
        (_, Some(Outcome::Lost)) => {
            format!(
                "{} stage, and lost before: be glad they wrote and let them set the pace.",
                capitalized(context.stage)
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

/// The most important thing beyond the message that the agent should keep in mind.
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
        return Some("They already have an appointment: don't offer another one.".to_owned());
    }
    if let (Some(kind), true) = (context.open_objections.last(), group != Group::Resistance) {
        return Some(format!(
            "Still open: {}. Come back to it before the next step.",
            open_objection(*kind)
        ));
    }
    if context.declined && group != Group::Decline {
        return Some(
            "They turned down a visit: let them be the one to bring it up again.".to_owned(),
        );
    }
    if let Some(risk) = likely(Target::ChurnRisk) {
        return Some(format!(
            "{}% risk of losing this lead: reply soon and keep it easy.",
            percent(risk)
        ));
    }
    if let (Some(urgency), false) = (likely(Target::BuyingUrgency), group == Group::Decline) {
        return Some(format!("Urgency is {}%: answer this one first today.", percent(urgency)));
    }
    if let (Some(doubt), false) = (likely(Target::ObjectionProbability), group == Group::Resistance)
    {
        return Some(format!(
            "An objection is likely next ({}%): leave room for it.",
            percent(doubt)
        ));
    }
    rhythm(context)
}

fn capitalized(stage: Stage) -> String {
    let name = stage.as_str();
    name.chars()
        .take(1)
        .map(|letter| letter.to_ascii_uppercase())
        .chain(name.chars().skip(1))
        .collect()
}

fn open_objection(kind: ObjectionKind) -> &'static str {
    match kind {
        ObjectionKind::Price => "their concern about the price",
        ObjectionKind::Financing => "their concern about financing",
        ObjectionKind::Timing => "their concern about timing",
        ObjectionKind::Trust => "their doubts about us",
        ObjectionKind::Location => "their concern about the location",
        ObjectionKind::Condition => "their concern about the condition",
        ObjectionKind::Competitor => "their other option",
        ObjectionKind::Authority => "the other person who decides",
        ObjectionKind::NoNeed => "whether they need it",
        ObjectionKind::Other => "an earlier concern",
    }
}

fn rhythm(context: &Context<'_>) -> Option<String> {
    if context.unanswered >= 3 {
        return Some(format!(
            "First reply after {} unanswered messages: send one message, not two.",
            context.unanswered
        ));
    }
    let quiet = context.quiet_ms.filter(|quiet| *quiet >= RETURN_MS)?;
    Some(format!("They're back after {} days: be glad, and don't ask why.", quiet / DAY_MS))
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
        || core.starts_with("Hi")
    {
        return None;
    }
    let again =
        context.quiet_ms.is_some_and(|quiet| quiet >= RETURN_MS) && !core.contains("to hear");
    match (context.first, again) {
        (true, _) => Some("Hi there!"),
        (false, true) => Some("Good to hear from you again!"),
        (false, false) => None,
    }
}

/// The closing line. It asks only if the text before it does not.
fn closing(context: &Context<'_>, situation: Situation) -> Option<&'static str> {
    let tone = text::tone(context.strategy);
    match (situation.group(), context.outcome) {
        (Group::Repair, _) => None,
        (Group::Decline, _) => Some(text::open_door(context.stage)),
        (_, Some(outcome)) => Some(text::ended(outcome)[tone]),
        // An objection that ends the search gets no further word.
        (Group::Resistance, None) if settled(situation) => None,
        (Group::Resistance, None) => Some(text::calm(context.stage)),
        (Group::Settled | Group::Thanks, None) => Some(text::rest(context.stage)),
        (Group::Inform | Group::Advance, None) => Some(forward(context, situation)[tone]),
        // Small talk needs no next step while an appointment is ahead.
        (Group::Light, None) if missed(context) => Some(text::AFTER_NO_SHOW[tone]),
        (Group::Light, None) => {
            (!context.appointments.ahead()).then(|| text::step(context.stage)[tone])
        }
    }
}

fn forward(context: &Context<'_>, situation: Situation) -> [&'static str; 5] {
    let booked = context.appointments.status == Status::Booked;
    match situation {
        Situation::Viewing => text::FIX_A_TIME,
        Situation::Dated => text::dated(context.stage),
        _ if booked && !context.over() => ["And we're still on for our appointment{when}."; 5],
        _ if missed(context) => text::AFTER_NO_SHOW,
        Situation::Commitment => text::step(Stage::Purchase),
        _ => text::step(context.stage),
    }
}

fn settled(situation: Situation) -> bool {
    matches!(situation, Situation::Objection(ObjectionKind::NoNeed | ObjectionKind::Competitor))
}

fn missed(context: &Context<'_>) -> bool {
    context.appointments.status == Status::NoShow && !context.declined
}

/// One of the variants, selected by the event's id.
fn vary(context: &Context<'_>, usage: &str, variants: &'static [&'static str]) -> &'static str {
    let seed = usage.bytes().fold(0, |seed, byte| seed << 8 | u32::from(byte));
    let choice = murmur3(&context.event_id.0, seed) as usize % variants.len().max(1);
    variants.get(choice).copied().unwrap_or_default()
}

/// The longest prefix of at most `chars` characters that ends at a word, or a hard cut if no word
/// ends there.
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

/// The texts of a situation.
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

    /// What else the coach knows about the lead.
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
    fn replies_of_one_strategy_start_differently() {
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
    fn a_lead_that_declined_or_has_an_appointment_gets_no_visit_proposed_and_an_opt_out_no_offer() {
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
                for word in ["showing", "visit", "two times", "weekend", "meet", "show you"] {
                    assert!(!declined.reply.contains(word), "{}", declined.reply);
                }
                assert!(
                    stands.reply.contains("ur appointment on Friday, January 9 at 4:00 PM")
                        && !stands.reply.contains("two times"),
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
    fn replies_do_not_ask_for_known_facts() {
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
                    !reply.contains("What area") && !reply.contains("How many bedrooms"),
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
                        !["cause", "deduction", "funds"].iter().any(|word| said.contains(word)),
                        "{message}: {said}"
                    );
                }
                let said = text_of(&advice(BUYER[0], Stage::Consideration, strategy, &known));
                assert!(said.starts_with("Financing"), "{said}");
                let lower = "How much would they come down on the price?";
                let said = text_of(&advice(lower, Stage::Consideration, strategy, &known));
                assert!(said.starts_with("Question about"), "{said}");
            }
            let donor = "What percentage of my donation reaches the children?";
            let said = text_of(&advice(donor, Stage::Interest, strategy, &Known::default()));
            assert!(said.contains("the share that goes to the cause"), "{said}");
            let home = Known { property: true, ..Known::default() };
            let said = text_of(&advice(donor, Stage::Interest, strategy, &home));
            assert!(!said.contains("cause"), "{said}");
        }
    }

    #[test]
    fn a_budget_is_noted_and_a_time_for_a_requested_appointment_is_not_asked_for_again() {
        let requested = Appointments { status: Status::Requested, ..Appointments::default() };
        let requested = Known { appointments: requested, ..Known::default() };
        for strategy in &strategies() {
            let stated = "Our budget is $450k and we need 3 bedrooms";
            let stated = advice(stated, Stage::Interest, strategy, &Known::default());
            assert!(stated.reply.contains("a $450k budget, 3 bedrooms"), "{}", stated.reply);
            assert!(!stated.reply.contains("budget should"), "{}", stated.reply);
            let timed = "Can we see it Saturday?";
            let timed = advice(timed, Stage::Interest, strategy, &requested);
            assert!(timed.reply.contains("that time"), "{}", timed.reply);
            assert!(!timed.reply.contains("two times"), "{}", timed.reply);
        }
    }

    #[test]
    fn a_question_about_the_safety_of_an_area_gets_no_opinion() {
        for message in ["Is the area safe?", "Are the schools in that neighborhood any good?"] {
            for strategy in &strategies() {
                let reply = advice(message, Stage::Interest, strategy, &Known::default()).reply;
                assert!(reply.contains("Fair Housing"), "{reply}");
            }
        }
    }

    #[test]
    fn high_rates_are_a_financing_concern_and_who_is_this_gets_an_introduction() {
        let known = Known::default();
        let headline =
            |text: &str| advice(text, Stage::Interest, &Strategy::Consultative, &known).headline;
        assert!(headline("rates are too high for us").starts_with("Financing"));
        assert!(headline("that's too high").starts_with("Price"));
        assert!(headline("Who is this?").starts_with("Greeting"));
    }

    #[test]
    fn a_lead_that_missed_its_appointment_and_apologizes_is_reassured() {
        let missed = Appointments { status: Status::NoShow, ..Appointments::default() };
        let missed = Known { appointments: missed, ..Known::default() };
        for strategy in &strategies() {
            let advice = advice("So sorry, I was stuck at work", Stage::Intent, strategy, &missed);
            assert!(advice.reply.contains("missed"), "{}", advice.reply);
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
