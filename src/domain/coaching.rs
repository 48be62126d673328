//! The local coach: at once, for every inbound message, what the agent should know and could answer.
//!
//! The first situation that the message shows decides what to do; the strategy decides how; the stage decides where to.
//! A prompt quotes the message, states nothing that was not said, and asks for nothing that is known.

use crate::domain::conversation::Conversation;
use crate::domain::journey::Stage;
use crate::domain::lexicon::{FactKind, ObjectionKind, Signals, Topic};
use crate::domain::strategy::Strategy;
use crate::domain::units::{EventId, EventTime, LeadKey};

/// Bytes of the message quoted in a prompt.
const QUOTE_BYTES_MAX: usize = 120;

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
    /// The message.
    pub text: &'a str,
    /// What it says.
    pub signals: &'a Signals,
    /// What was said before.
    pub conversation: &'a Conversation,
    /// Stage of the journey.
    pub stage: Stage,
    /// The strategy to use.
    pub strategy: &'a Strategy,
    /// Whether an appointment is requested or booked.
    pub appointment_ahead: bool,
}

/// What a prompt says, without whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What this is about.
    pub headline: String,
    /// What to do and why.
    pub guidance: Vec<String>,
    /// A reply ready to be edited and sent.
    pub reply: String,
    /// What the lead said, quoted.
    pub quote: String,
}

/// What the message shows, in the order in which it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Situation {
    OptOut,
    Complaint,
    Objection(ObjectionKind),
    Hesitation,
    Commitment,
    Viewing,
    Money,
    Timing,
    Question,
    Interest,
    Thanks,
    Talk,
}

/// The advice for one message.
#[must_use]
pub fn advise(context: &Context<'_>) -> Advice {
    let situation = situation(context.signals);
    let (headline, goal, opening) = content(situation);
    if situation == Situation::OptOut {
        let guidance = vec![goal.to_owned(), "Do not send anything after the confirmation.".to_owned()];
        return Advice { headline: headline.to_owned(), guidance, reply: opening.to_owned(), quote: quote(context.text) };
    }
    let step = next_step(context, situation);
    Advice {
        headline: format!("{headline} ({} stage)", context.stage.as_str()),
        guidance: vec![goal.to_owned(), manner(context.strategy).to_owned(), direction(context.stage).to_owned()],
        reply: format!("{opening} {} {step}", phrase(context.strategy)),
        quote: quote(context.text),
    }
}

fn situation(signals: &Signals) -> Situation {
    let says = |topic: Topic| signals.of(topic) >= 0.5;
    if says(Topic::Stop) {
        return Situation::OptOut;
    }
    if says(Topic::Complaint) {
        return Situation::Complaint;
    }
    if let Some(kind) = signals.objections.first() {
        return Situation::Objection(*kind);
    }
    let order = [
        (says(Topic::Hesitation), Situation::Hesitation),
        (says(Topic::Commitment), Situation::Commitment),
        (says(Topic::Viewing), Situation::Viewing),
        (says(Topic::Price) || says(Topic::Financing) || says(Topic::PreApproval), Situation::Money),
        (says(Topic::Timeline), Situation::Timing),
        (says(Topic::Question) || says(Topic::Availability), Situation::Question),
        (says(Topic::Interest), Situation::Interest),
        (says(Topic::Thanks), Situation::Thanks),
    ];
    order.into_iter().find(|(holds, _)| *holds).map_or(Situation::Talk, |(_, situation)| situation)
}

/// Headline, what to achieve, and how a reply opens.
fn content(situation: Situation) -> (&'static str, &'static str, &'static str) {
    match situation {
        Situation::OptOut => (
            "Opt-out: confirm and stop",
            "Confirm in one sentence and stop all contact on this channel.",
            "Understood, I will not contact you here again. You can reach me any time if that changes.",
        ),
        Situation::Complaint => (
            "Unhappy: repair first",
            "Own the problem before anything else; no selling until it is settled.",
            "I am sorry about this, and I want to put it right.",
        ),
        Situation::Objection(kind) => objection(kind),
        Situation::Hesitation => (
            "Wants time: keep the door open",
            "Respect the pause and find out what would make the decision easier.",
            "Of course, take the time you need.",
        ),
        Situation::Commitment => {
            ("Ready to act: make it easy", "Confirm the decision and name the one thing that comes next.", "Great, let us get this done.")
        }
        Situation::Viewing => {
            ("Asks for a visit", "Fix day and time in this message; a visit without a time rarely happens.", "Happy to arrange that.")
        }
        Situation::Money => (
            "Asks about money",
            "Answer the figure that was asked for; if you do not have it, say when you will.",
            "Good that you ask about the numbers.",
        ),
        Situation::Timing => (
            "Has a date in mind",
            "Work back from the date that was named and check that it can be met.",
            "Thanks for telling me about the timing.",
        ),
        Situation::Question => (
            "Asked a question: answer it first",
            "Answer exactly what was asked before you ask anything back.",
            "Good question, let me answer that directly.",
        ),
        Situation::Interest => {
            ("Likes it: turn it into a step", "Find out what appeals and tie the next step to it.", "Glad to hear that.")
        }
        Situation::Thanks => {
            ("Closing words: leave a next contact", "Thank briefly and agree on when you will hear from each other.", "You are welcome.")
        }
        Situation::Talk => ("Building the conversation", "Show that you read the message, then move one step.", "Thanks for your message."),
    }
}

fn objection(kind: ObjectionKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ObjectionKind::Price => (
            "Objection: price",
            "Find out what it is compared with before you defend the price.",
            "I understand that the price has to fit.",
        ),
        ObjectionKind::Financing => {
            ("Objection: financing", "Separate what can be paid per month from what can be borrowed.", "Financing is a fair concern.")
        }
        ObjectionKind::Timing => {
            ("Objection: timing", "Ask what has to happen first, and offer to return then.", "Timing matters, I understand.")
        }
        ObjectionKind::Trust => {
            ("Objection: trust", "Offer proof that can be checked without you.", "It is right to check whom you deal with.")
        }
        ObjectionKind::Location => (
            "Objection: location",
            "Ask which places have to be within reach, and by what means.",
            "Thanks for being clear about the location.",
        ),
        ObjectionKind::Condition => {
            ("Objection: condition", "Ask which point decides, and whether it could be changed.", "Thanks for being frank about that.")
        }
        ObjectionKind::Competitor => (
            "Objection: works with somebody else",
            "Respect the agreement; ask what would be worth a second opinion.",
            "Good that you have somebody at your side.",
        ),
        ObjectionKind::Authority => (
            "Objection: somebody else decides too",
            "Bring the other person in instead of working around them.",
            "It makes sense to decide this together.",
        ),
        ObjectionKind::NoNeed => {
            ("Objection: no need", "Accept it; ask once whether something changed, then leave it.", "Thanks for telling me plainly.")
        }
        ObjectionKind::Other => {
            ("Objection", "Repeat the concern in your own words and ask whether you got it right.", "I hear your concern.")
        }
    }
}

/// How to do it, by strategy.
fn manner(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Empathetic => "Empathetic: name the feeling you read in the message before you give information.",
        Strategy::Analytical => "Analytical: give figures you can show and compare at most two options.",
        Strategy::Assertive => "Assertive: propose one clear step with a time, and ask for a yes or no.",
        Strategy::Relationship => "Relationship: tie in with what the lead told you about itself, and think beyond this deal.",
        Strategy::Consultative | Strategy::Other(_) => "Consultative: ask one question that shows what matters most.",
    }
}

fn phrase(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Empathetic => "I can see that this is not a small decision.",
        Strategy::Analytical => "I will put the figures side by side so that you can compare them.",
        Strategy::Assertive => "I suggest we settle the next step now.",
        Strategy::Relationship => "I would like this to be right for you in the long run, not only today.",
        Strategy::Consultative | Strategy::Other(_) => "To help you well, I would like to understand what matters most to you.",
    }
}

/// Where to, by stage.
fn direction(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "Goal now: earn a second message.",
        Stage::Interest => "Goal now: learn the two or three things that decide.",
        Stage::Consideration => "Goal now: narrow it down to what really fits.",
        Stage::Intent => "Goal now: fix a meeting or the papers for it.",
        Stage::Evaluation => "Goal now: clear the last open point of the decision.",
        Stage::Purchase => "Goal now: keep the closing on its dates.",
    }
}

/// The question or step that ends a reply: never for what is known, never a visit that was declined or is arranged.
fn next_step(context: &Context<'_>, situation: Situation) -> &'static str {
    if matches!(situation, Situation::Hesitation | Situation::Thanks)
        || matches!(situation, Situation::Objection(ObjectionKind::NoNeed | ObjectionKind::Competitor))
    {
        return "When would be a good time to get in touch again?";
    }
    if situation == Situation::Complaint {
        return "What would help you most right now?";
    }
    if context.appointment_ahead {
        return "I will confirm our appointment; is there anything you want prepared for it?";
    }
    if situation == Situation::Viewing {
        return "Which day and time suit you best?";
    }
    let knows = |kind: FactKind| {
        let known = context.conversation.facts.iter().chain(&context.signals.facts);
        known.into_iter().any(|fact| fact.kind == kind)
    };
    match context.stage {
        Stage::Awareness | Stage::Interest if situation == Situation::Money && !knows(FactKind::Budget) => {
            "Is there a range you want to stay within?"
        }
        Stage::Awareness | Stage::Interest => "What is most important to you in this?",
        Stage::Consideration => "Which of your points matters most, so that I can narrow it down?",
        Stage::Intent => "Shall we set a time to go through it together?",
        Stage::Evaluation => "Which point is still open for you?",
        Stage::Purchase => "Shall I send you the list of what is left to do?",
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lexicon::Lexicon;

    fn advice(text: &str, stage: Stage, strategy: &Strategy, appointment_ahead: bool) -> Advice {
        let signals = Lexicon::english().read(text);
        advise(&Context { text, signals: &signals, conversation: &Conversation::default(), stage, strategy, appointment_ahead })
    }

    #[test]
    fn advice_differs_by_stage_and_by_strategy_and_quotes_the_message() {
        let strategies = Strategy::WORDS.iter().map(|word| Strategy::parse(word)).collect::<Vec<_>>();
        for text in ["That's above our budget", "Can we see it Saturday?", "hello", "What is the rent?", "ok thanks"] {
            let mut seen = Vec::new();
            for stage in Stage::ALL {
                for strategy in &strategies {
                    let advice = advice(text, stage, strategy, false);
                    assert!(text.contains(&advice.quote) && !advice.quote.is_empty());
                    assert!(advice.headline.len() <= 90 && advice.reply.len() <= 480);
                    assert!(!seen.contains(&advice), "{text} {stage:?} {strategy:?}");
                    seen.push(advice);
                }
            }
        }
    }

    #[test]
    fn no_visit_is_proposed_to_who_declined_or_has_one_and_nothing_is_sold_after_an_opt_out() {
        let declined = advice("No, not right now", Stage::Intent, &Strategy::Assertive, false);
        assert!(!declined.reply.contains("set a time"), "{}", declined.reply);
        let booked = advice("Can we visit?", Stage::Intent, &Strategy::Assertive, true);
        assert!(booked.reply.contains("confirm our appointment") && !booked.reply.contains("Which day"));
        let stopped = advice("STOP", Stage::Purchase, &Strategy::Assertive, false);
        assert!(!stopped.reply.contains('?'));
        assert_eq!(stopped.guidance.len(), 2);
    }

    #[test]
    fn a_huge_message_is_quoted_within_bounds() {
        let text = "\u{1f600} word ".repeat(100_000);
        assert!(advice(&text, Stage::Interest, &Strategy::Empathetic, false).quote.len() <= QUOTE_BYTES_MAX);
    }
}
