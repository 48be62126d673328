//! The shape of the coach's texts, and the words around them: headline tack, stage advice and
//! closing lines.

use crate::domain::coaching::situation::Group;
use crate::domain::journey::{Outcome, Stage};
use crate::domain::strategy::Strategy;

/// Texts of one situation; arrays of five are in the order of [`tone`]. Slots in braces are filled
/// by `words`.
pub(crate) struct Text {
    /// Start of the headline, at most 32 characters.
    pub label: &'static str,
    /// What goes on and what to do; variants.
    pub why: &'static [&'static str],
    /// How, in this strategy.
    pub how: [&'static str; 5],
    /// What to say: one or two sentences per variant. Where the closing line may ask, only the
    /// consultative one asks.
    pub say: [&'static [&'static str]; 5],
}

/// Place of a strategy in the arrays of five; a tenant's own strategy speaks consultatively.
pub(crate) fn tone(strategy: &Strategy) -> usize {
    match strategy {
        Strategy::Empathetic => 0,
        Strategy::Analytical => 1,
        Strategy::Assertive => 2,
        Strategy::Consultative | Strategy::Other(_) => CONSULTATIVE,
        Strategy::Relationship => 4,
    }
}

/// Place of the consultative tone: its reply holds a question already, so its closing line never
/// asks.
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
            "acknowledge, sell nothing",
            "get the facts straight",
            "one person takes it over",
            "let the lead finish",
            "own it personally",
        ],
        Group::Resistance => [
            "name the worry first",
            "put it in numbers",
            "settle this one point",
            "ask what is behind it",
            "put the person before the deal",
        ],
        Group::Decline => [
            "accept it without guilt",
            "leave a summary, no question",
            "hold off, their move",
            "one light question",
            "part as friends",
        ],
        Group::Settled => [
            "make it easy to come",
            "prepare the points to check",
            "settle it in one line",
            "ask what to prepare",
            "look forward to it",
        ],
        Group::Inform => [
            "welcome it, then check",
            "answer with exact figures",
            "answer, then one step with a time",
            "answer, then ask one thing",
            "answer as you would a friend",
        ],
        Group::Advance => [
            "share the moment, no rush",
            "back it with facts",
            "one step, with a time",
            "ask the one thing that narrows it",
            "link it to what you know of them",
        ],
        Group::Light => [
            "meet the mood",
            "sum up where it stands",
            "offer one small step",
            "ask one open question",
            "be a person first",
        ],
        Group::Thanks => [
            "return it sincerely",
            "leave the facts at hand",
            "say what happens next",
            "one light question",
            "leave a personal note",
        ],
    }
}

/// What the stage asks of the agent.
pub(crate) fn stage_advice(group: Group, stage: Stage) -> &'static str {
    let [careful, forward] = match stage {
        Stage::Awareness => [
            "Stage awareness: they hardly know us, so how this is handled is the first impression.",
            "Stage awareness: aim for one more exchange, not for a decision.",
        ],
        Stage::Interest => [
            "Stage interest: they only look around, so keep it light and cost them no effort.",
            "Stage interest: learn one criterion and show a few options that meet it.",
        ],
        Stage::Consideration => [
            "Stage consideration: they compare, so treat this as one of the points on their list.",
            "Stage consideration: help to cut the list to two and say how they differ.",
        ],
        Stage::Intent => [
            "Stage intent: they were about to act, so go back half a step and remove this obstacle \
                only.",
            "Stage intent: agree on the one concrete step that comes next and write it down.",
        ],
        Stage::Evaluation => [
            "Stage evaluation: the decision hangs on open points, so treat this one as the \
                deciding one.",
            "Stage evaluation: list what still speaks against it and clear it point by point.",
        ],
        Stage::Purchase => [
            "Stage purchase: everything is nearly done, so handle it in person and before any \
                paperwork.",
            "Stage purchase: name the next open point, who does it and by when.",
        ],
    };
    match group {
        Group::Repair | Group::Resistance | Group::Decline => careful,
        Group::Settled | Group::Inform | Group::Advance | Group::Light | Group::Thanks => forward,
    }
}

/// Closing statement after an objection: it takes the pressure off and never asks.
pub(crate) fn calm(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "There is nothing to decide at this point.",
        Stage::Interest => "Looking around costs nothing and binds you to nothing.",
        Stage::Consideration => "Then you can weigh it against your other options on equal terms.",
        Stage::Intent => {
            "If it does not hold up, we change the plan before you spend more time on it."
        }
        Stage::Evaluation => "It is better to settle this now than to decide with an open doubt.",
        Stage::Purchase => "Nothing needs to be signed while this is open.",
    }
}

/// Closing statement after a decline: the door stays open and nothing is asked.
pub(crate) fn open_door(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "If it becomes useful one day, a short message is enough.",
        Stage::Interest => "If you want to look again later, just write.",
        Stage::Consideration => "If you want to compare again later, just write.",
        Stage::Intent => "If the moment comes, we go on from where we are.",
        Stage::Evaluation => "Take the time your decision needs.",
        Stage::Purchase => "Nothing moves forward without your word.",
    }
}

/// Closing statement after thanks.
pub(crate) fn rest(stage: Stage) -> &'static str {
    match stage {
        Stage::Awareness => "If a question comes up, just write.",
        Stage::Interest => "If you would like to see more, just say so.",
        Stage::Consideration => "If you want something compared, just send it to me.",
        Stage::Intent => "When you are ready for the next step, I am one message away.",
        Stage::Evaluation => "If an open point comes to mind, send it to me as it is.",
        Stage::Purchase => "If anything in the last steps is unclear, just ask me.",
    }
}

/// Closing line for a lead who already ended, by tone.
pub(crate) fn ended(outcome: Outcome) -> [&'static str; 5] {
    match outcome {
        Outcome::Won => [
            "I hope it feels as good as it should.",
            "Keep the documents at hand, and send me any point that does not add up.",
            "If anything is open, tell me and it comes first on my list.",
            "Your answer helps me to look after you well.",
            "It stays a pleasure to be your contact.",
        ],
        Outcome::Lost => [
            "No expectations from my side, it is simply good to hear from you.",
            "I can bring you up to date with the facts whenever you want them.",
            "If you want to pick it up again, one word is enough.",
            "Then I know whether and how I can be useful this time.",
            "The door was never closed.",
        ],
    }
}

/// Closing line that moves one step on, by tone. It proposes no visit except through `{meet}`.
pub(crate) fn step(stage: Stage) -> [&'static str; 5] {
    match stage {
        Stage::Awareness => [
            "If you like, I simply tell you how this works, with no obligation.",
            "I can send you a one-page overview to start with, facts only.",
            "Can we talk for ten minutes tomorrow, morning or afternoon?",
            "Then I know where to start.",
            "There is no hurry, we can get to know each other first.",
        ],
        Stage::Interest => [
            "Shall I put together a small selection that you can look at in peace?",
            "Shall I set three {options} side by side on {points}?",
            "Shall I send you the two best {options} tomorrow, morning or evening?",
            "Then I can narrow it to what is worth your time.",
            "I only send you what I would pick in your place.",
        ],
        Stage::Consideration => [
            "Which of the {options} gave you the best feeling so far?",
            "Shall I set your top two {options} side by side, with what speaks for and against \
                each?",
            "Shall we cut the list to two {options} in a short call tomorrow?",
            "Then we compare only what counts for you.",
            "Sleep on it, and tell me how it looks the next day.",
        ],
        Stage::Intent => [
            "What would you need to feel ready for the next step?",
            "Shall I send you a checklist of what is to be settled before the next step?",
            "What suits you better for a {meet}, a weekday evening or the weekend?",
            "Then I prepare the next step around that.",
            "Whenever you are ready, we take the next step together.",
        ],
        Stage::Evaluation => [
            "Is there anything that does not feel right yet?",
            "Shall I list what speaks for and against on one page before you decide?",
            "Can we settle the last open points by phone tomorrow, morning or afternoon?",
            "Then we know what your decision hangs on.",
            "If you want an honest second opinion before you decide, you have mine.",
        ],
        Stage::Purchase => [
            "Is there any part of the last steps that worries you?",
            "Shall I send you the list of the remaining steps, with who does what?",
            "Can we go through the remaining steps tomorrow, morning or afternoon?",
            "Then I arrange the remaining steps accordingly.",
            "When it is all done, I am still the one you can call.",
        ],
    }
}

/// Closing line for a lead who wants a visit, by tone.
pub(crate) const FIX_A_TIME: [&str; 5] = [
    "Which day would be comfortable for you?",
    "Which two times suit you, so that I can match them with the calendar?",
    "What suits you better, a weekday evening or the weekend?",
    "Then I arrange it around that.",
    "When would you like to come?",
];

/// Closing line for a lead who named a time: nothing is asked.
pub(crate) fn dated(stage: Stage) -> [&'static str; 5] {
    let line = match stage {
        Stage::Awareness => "You hear from me shortly.",
        Stage::Interest => "You hear from me shortly, with everything you need to be there.",
        Stage::Consideration => "You get the confirmation shortly, so that you can plan around it.",
        Stage::Intent => "As soon as it is confirmed, everything else is on me.",
        Stage::Evaluation => "Then you can decide with everything seen.",
        Stage::Purchase => "I bring what is still open with me.",
    };
    [line; 5]
}

/// Closing line after a missed appointment, by tone.
pub(crate) const AFTER_NO_SHOW: [&str; 5] = [
    "And do not worry about the appointment we missed, such things happen.",
    "The appointment we missed can be made up for; the notes for it are still here.",
    "We missed each other last time, so would another day suit you better?",
    "And the appointment we missed is no problem, we can do without or find another.",
    "We missed each other last time, and it would be nice to make up for it some day.",
];
