//! The shape of the coach's texts, and the parts that situations share: headline endings, stage
//! advice and closing lines.

use crate::domain::coaching::situation::Group;
use crate::domain::journey::{Outcome, Stage};
use crate::domain::strategy::Strategy;

/// Texts of one situation. Arrays of five are in the order of [`tone`]; `words` fills the slots in
/// braces.
pub(crate) struct Text {
    /// Start of the headline, at most 32 characters.
    pub label: &'static str,
    /// What is going on and what to do about it; variants.
    pub why: &'static [&'static str],
    /// How to do it with each strategy.
    pub how: [&'static str; 5],
    /// Reply variants, one or two sentences each. Where the closing line may ask a question, only
    /// the consultative reply asks one.
    pub say: [&'static [&'static str]; 5],
}

/// Index of a strategy in the arrays of five. A tenant's own strategy uses the consultative texts.
pub(crate) fn tone(strategy: &Strategy) -> usize {
    match strategy {
        Strategy::Empathetic => 0,
        Strategy::Analytical => 1,
        Strategy::Assertive => 2,
        Strategy::Consultative | Strategy::Other(_) => CONSULTATIVE,
        Strategy::Relationship => 4,
    }
}

/// Index of the consultative texts. Their reply already asks a question, so their closing line
/// never does.
pub(crate) const CONSULTATIVE: usize = 3;

/// The stage within a headline.
pub(crate) fn moment(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "early on",
        Stage::Interest => "looking around",
        Stage::Consideration => "comparing",
        Stage::Intent => "close to acting",
        Stage::Evaluation => "deciding",
        Stage::Purchase => "closing",
    }
}

/// End of the headline, at most 38 characters, by tone.
pub(crate) fn tack(group: Group) -> [&'static str; 5] {
    match group {
        Group::Repair => [
            "acknowledge it, don't sell",
            "get the facts straight",
            "one person handles it",
            "let them finish",
            "own it personally",
        ],
        Group::Resistance => [
            "acknowledge the concern first",
            "put numbers on it",
            "settle this one point",
            "find out what's behind it",
            "person first, deal second",
        ],
        Group::Decline => [
            "accept it, no guilt",
            "leave a summary, ask nothing",
            "step back, their move",
            "one easy question",
            "leave on good terms",
        ],
        Group::Settled => [
            "make it easy to show up",
            "prepare a checklist",
            "settle it in one line",
            "ask what to prepare",
            "say you're looking forward to it",
        ],
        Group::Inform => [
            "welcome it, then check",
            "answer with exact numbers",
            "answer, then offer a next step",
            "answer, then ask one thing",
            "answer like you would a friend",
        ],
        Group::Advance => [
            "enjoy it with them, don't rush",
            "back it up with facts",
            "one next step with a time",
            "ask one question to narrow it down",
            "tie it to what you know about them",
        ],
        Group::Light => [
            "match their mood",
            "sum up where things stand",
            "offer one small step",
            "ask one open question",
            "be a person first",
        ],
        Group::Thanks => [
            "thank them back, keep it short",
            "keep the facts handy",
            "say what happens next",
            "one light question",
            "add a personal note",
        ],
    }
}

/// Advice for the agent in this stage.
pub(crate) fn stage_advice(group: Group, stage: Stage) -> &'static str {
    let [careful, forward] = match stage {
        Stage::Awareness => [
            "Awareness stage: they barely know us, so how you handle this is the first impression.",
            "Awareness stage: aim for one more reply, not a decision.",
        ],
        Stage::Interest => [
            "Interest stage: they're just looking, so keep it light and easy to answer.",
            "Interest stage: learn one must-have, then show a few options that fit it.",
        ],
        Stage::Consideration => [
            "Consideration stage: they're comparing, so treat this as one item on their list.",
            "Consideration stage: help them get down to two and see how those two differ.",
        ],
        Stage::Intent => [
            "Intent stage: they were about to act, so back up half a step and clear only this \
                obstacle.",
            "Intent stage: agree on one concrete next step and put it in writing.",
        ],
        Stage::Evaluation => [
            "Evaluation stage: open points are holding up the decision, so treat this one as the \
                deciding one.",
            "Evaluation stage: list what's still holding them back and clear it point by point.",
        ],
        Stage::Purchase => [
            "Purchase stage: it's almost done, so handle this in person before any more paperwork.",
            "Purchase stage: name the next open item, who's doing it and by when.",
        ],
    };
    match group {
        Group::Repair | Group::Resistance | Group::Decline => careful,
        Group::Settled | Group::Inform | Group::Advance | Group::Light | Group::Thanks => forward,
    }
}

/// Closing line after an objection. It takes the pressure off and never asks.
pub(crate) fn calm(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "You don't have to decide anything right now.",
        Stage::Interest => "No pressure either way.",
        Stage::Consideration => "No rush, take your time comparing.",
        Stage::Intent => "And we can change the plan anytime.",
        Stage::Evaluation => "There's no need to decide until you're comfortable.",
        Stage::Purchase => "You don't have to sign anything while this is open.",
    }
}

/// Closing line after a decline. It leaves the door open and never asks.
pub(crate) fn open_door(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "If you ever need anything, just send me a message.",
        Stage::Interest => "If you want to look again later, just let me know.",
        Stage::Consideration => "If you want to compare again later, just let me know.",
        Stage::Intent => "Whenever the time's right, we can pick up where we left off.",
        Stage::Evaluation => "Take all the time you need to decide.",
        Stage::Purchase => "Nothing moves forward without your okay.",
    }
}

/// Closing line after thanks, or about an appointment.
pub(crate) fn rest(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "If you have any questions, just ask.",
        Stage::Interest => "If there's anything else you'd like to know, just ask.",
        Stage::Consideration => "If you want me to compare anything, just send it over.",
        Stage::Intent => "If you need anything in the meantime, I'm one message away.",
        Stage::Evaluation => "If any open questions come to mind, send them my way.",
        Stage::Purchase => "If anything about the last steps is unclear, just ask.",
    }
}

/// Closing line for a lead whose journey has ended, by tone.
pub(crate) fn ended(outcome: Outcome) -> [&'static str; 5] {
    match outcome {
        Outcome::Won => [
            "I hope everything's going well.",
            "Keep your documents handy, and send me anything that doesn't add up.",
            "If anything's still open, tell me and I'll get right on it.",
            "That'll help me take good care of you.",
            "You can always reach out to me.",
        ],
        Outcome::Lost => [
            "No expectations on my end.",
            "I'm happy to catch you up on the details whenever you want.",
            "If you'd like to pick this back up, just say the word.",
            "That'll tell me how I can help this time.",
            "The door's always open.",
        ],
    }
}

/// Closing line that offers a next step, by tone. It proposes a visit only through `{meet}`.
pub(crate) fn step(stage: Stage) -> [&'static str; 5] {
    match stage {
        Stage::Awareness => [
            "I'm happy to walk you through how it all works, no obligation.",
            "I can also send you a quick one-page overview.",
            "Do you have ten minutes to talk tomorrow, morning or afternoon?",
            "That'll help me know where to start.",
            "No rush on my end, we can take it one step at a time.",
        ],
        Stage::Interest => [
            "Want me to put together a few {options} you can look through on your own time?",
            "Want me to compare three {options} side by side on {points}?",
            "Should I send you the two best {options} tomorrow morning, or is evening better?",
            "That'll help me narrow it down for you.",
            "I'll only send you {options} I'd look at myself.",
        ],
        Stage::Consideration => [
            "Which of the {options} feels best so far?",
            "Want me to put your top two {options} side by side, pros and cons?",
            "Want to get on a quick call tomorrow and narrow it down to two {options}?",
            "That way we only compare what counts.",
            "Take your time comparing, and ask me anything along the way.",
        ],
        Stage::Intent => [
            "What would you need to feel ready for the next step?",
            "Want me to send a checklist of what's left before the next step?",
            "What works better for a {meet}, a weekday evening or the weekend?",
            "That'll help me plan the next step.",
            "Whenever you're ready for the next step, I'm here.",
        ],
        Stage::Evaluation => [
            "Is there anything that doesn't feel right yet?",
            "Want me to put the pros and cons on one page before you decide?",
            "Can we go over the last open questions by phone tomorrow, morning or afternoon?",
            "Then we can focus on what matters most for your decision.",
            "If you want an honest second opinion before you decide, just ask.",
        ],
        Stage::Purchase => [
            "Is there anything about the last few steps that worries you?",
            "Want me to send a list of what's left and who's handling each step?",
            "Can we run through what's left tomorrow, morning or afternoon?",
            "That'll help me get the last steps right.",
            "And I'll still be around after it's all done.",
        ],
    }
}

/// Closing line for a lead who wants a visit, by tone.
pub(crate) const FIX_A_TIME: [&str; 5] = [
    "What day works best for you?",
    "What are two times that work for you? I'll check them against the calendar.",
    "What works better, a weekday evening or the weekend?",
    "I'll set it up around that.",
    "When would be a good time for you?",
];

/// Closing line for a lead who named a time. It never asks.
pub(crate) fn dated(stage: Stage) -> [&'static str; 5] {
    let line = match stage {
        Stage::Awareness => "Talk to you soon!",
        Stage::Interest => "The confirmation will have everything you need.",
        Stage::Consideration => "If that time doesn't work, I'll let you know right away.",
        Stage::Intent => "I'll take care of the rest.",
        Stage::Evaluation => "That way you'll have the full picture before you decide.",
        Stage::Purchase => "We can go over whatever's still open then, too.",
    };
    [line; 5]
}

/// Closing line after a missed appointment, by tone.
pub(crate) const AFTER_NO_SHOW: [&str; 5] = [
    "And don't worry about the appointment we missed, it happens.",
    "We can also reschedule the appointment we missed whenever you like.",
    "We missed each other last time. Would another day work better?",
    "And no worries about the missed appointment, we can skip it or find another time.",
    "Sorry we missed each other last time, I'm happy to find another day.",
];
