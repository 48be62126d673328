//! Texts for a lead who wants to know something.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The texts of a question.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::Price => &PRICE,
        Situation::Financing => &FINANCING,
        Situation::Timeline => &TIMELINE,
        Situation::Availability => &AVAILABILITY,
        _ => &QUESTION,
    }
}

static PRICE: Text = Text {
    label: "Question about {price}",
    why: &["They brought up {price}. Give the exact number and everything it includes, from your \
        records. No ranges from memory."],
    how: [
        "Say you're glad they asked early, so talking money doesn't feel like a test.",
        "Give the total, what it includes and what's extra, in three short lines.",
        "Send the number first, then suggest one next step with a time.",
        "Along with the number, ask what they're comparing it to.",
        "Be as open about extra costs as you'd be with a friend.",
    ],
    say: [
        &[
            "I'm happy to go over {price} with you anytime. Let me confirm the exact number \
                first so I get it right.",
            "I'm glad you brought up {price}. Let me double-check the exact number before I \
                quote you anything.",
        ],
        &[
            "On {price}, you should see three numbers: the base, what's included, and what's \
                extra. Let me confirm all three in writing.",
            "Let me break down {price} for you: base, extras and total, all in writing.",
        ],
        &[
            "Let me confirm the exact number and send it to you in writing.",
            "I'll get you a firm number in writing as soon as I've confirmed it.",
        ],
        &[
            "Let me confirm the exact number for you. What would make it a good value in your \
                eyes?",
            "Let me check the number for you. What are you comparing it to?",
        ],
        &[
            "I'll give you the straight number, extras included, even if it's not in our favor. \
                Let me confirm it first.",
            "I'm glad we can talk openly about {price}. Let me get you the full number, extras \
                included, so there are no surprises.",
        ],
    ],
};

static FINANCING: Text = Text {
    label: "Financing",
    why: &["They're thinking about how to pay for it, which is a serious step. Explain how it \
        works, and leave rates, down payment and approval to a licensed lender."],
    how: [
        "Take the fear out of the money part: it's a process, not a test.",
        "Lay out the steps and documents in order, without quoting a rate.",
        "Offer one short call about the money side, with a time.",
        "Ask what else is unclear about the money side. Don't ask for income or credit score.",
        "Offer to introduce people you trust, at least two so they can choose.",
    ],
    say: [
        &["The money side can feel like a lot, but it gets easier step by step. A licensed \
            lender can give you exact numbers when you need them."],
        &["Let me list what's settled on the money side and what's still open: total budget, \
            documents, loan offers. A licensed lender can give you firm numbers on rate, down \
            payment and monthly payment."],
        &["Let's get the money side squared away first so the rest is easy. A licensed lender \
            can give you firm numbers."],
        &["It's smart to look at this early, and a licensed lender can give you exact numbers. \
            What else do you want to get clear on about financing?"],
        &["We can go through the money part together at your pace. If it helps, I can give you \
            more than one lender to talk to, so the choice is yours."],
    ],
};

static TIMELINE: Text = Text {
    label: "Timing",
    why: &[
        "They gave a date or asked about one. The whole plan hangs on it: write it down and work \
            backward from it.",
    ],
    how: [
        "Think about what the date means for them before you start planning.",
        "Work backward from the date: three or four steps, each with a deadline.",
        "Lock in the first step now, with a day.",
        "Ask how firm the date is and what depends on it.",
        "Remember the reason behind the date and come back to it.",
    ],
    say: [
        &[
            "Thanks, that helps. Deadlines can be stressful, so let's keep the steps small.",
            "You don't have to plan it all yourself. Let me see what's possible, and we'll take \
                it step by step.",
        ],
        &[
            "Let's work backward from your date: what has to be decided, checked and signed, and \
                by when. I can put that in a short list.",
            "Let me map out the steps with a deadline for each, so you can see right away if the \
                timing works.",
        ],
        &[
            "Then let's get the first step done this week. Everything after that gets easier.",
            "Okay, let's work with that timing and lock in the first step now.",
        ],
        &[
            "Thanks, I've noted the timing. How firm is it?",
            "Let me see what's possible. What happens if it takes a few weeks longer?",
        ],
        &["Thanks, I'll keep that timing in mind with everything I send you. It has to work for \
            your life, not just the calendar."],
    ],
};

static AVAILABILITY: Text = Text {
    label: "Availability question",
    why: &[
        "They want to know what's available. Check before you answer: one wrong yes costs more \
            trust than a slower answer.",
    ],
    how: [
        "Acknowledge that searching is tiring, and take one task off their hands.",
        "Answer with a short list on the same few points so it's easy to compare.",
        "Check, answer, and suggest one next step with a time.",
        "Ask the one thing that narrows the search most.",
        "Use what they told you before, and send only what you'd show a friend.",
    ],
    say: [
        &[
            "I know searching takes a lot out of you, so let me check on this one for you.",
            "Thanks for asking! Let me check first so you don't get your hopes up for nothing.",
        ],
        &[
            "Let me check what's available right now and send you the facts in one short list.",
            "I'll check what's current and send you the facts, good and bad.",
        ],
        &[
            "Let me check now and get back to you with a clear answer.",
            "I'll look it up now and send you a straight answer.",
        ],
        &["Let me check on that for you. {ask}", "I'll look into it now. {ask}"],
        &[
            "Let me check and tell you straight what I find.",
            "Let me look into it, and I'll keep what you need in mind.",
        ],
    ],
};

static QUESTION: Text = Text {
    label: "Question to answer",
    why: &[
        "They asked about {asked}. Answer exactly that first, from a source you can name, then \
            take one small step.",
        "A question is an open door: answer it first and fully, before anything on your own list.",
    ],
    how: [
        "Welcome the question so they'll ask the next one, too.",
        "Give the fact and where it comes from, and say what you don't know.",
        "Answer in one line, then suggest one next step with a time.",
        "Answer, then ask how much this point matters to them.",
        "Answer personally, and add one thing they didn't ask but would want to know.",
    ],
    say: [
        &[
            "Good question, and feel free to ask me anything. Let me check {about} so you get an \
                answer you can count on.",
            "Thanks for asking! Let me check {about} so I'm not guessing.",
        ],
        &[
            "Let me look into {about} and send you the answer with the source. If I can't \
                confirm something, I'll say so.",
            "I'll check {about} in the records first and tell you what's confirmed and what's \
                still open.",
        ],
        &[
            "Let me check {about} and get you a clear answer.",
            "I'll check {about} now and get right back to you.",
        ],
        &[
            "Let me check {about} for you. How much does that matter for your decision?",
            "I'll look into {about}. Is there anything else you'd like me to check while I'm at \
                it?",
        ],
        &[
            "Thanks for asking me. I'll check {about} and tell you straight, even if it's not \
                the answer you were hoping for.",
            "I'm glad you asked! Let me find out about {about} and tell you what I'd want to \
                know in your shoes.",
        ],
    ],
};
