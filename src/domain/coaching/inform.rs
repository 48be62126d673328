//! What to coach when the lead wants to know something.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The text of a wish to know.
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
    why: &[
        "The lead talks about {price}. Give the exact figure with everything it includes, from \
            your records; no ranges from memory.",
    ],
    how: [
        "Say that it is good to ask early, so that the figure does not feel like a test.",
        "Give the total, what it includes and what comes on top, in three short lines.",
        "Send the figure first, then propose one next step with a time.",
        "With the figure, ask what it has to be measured against.",
        "Be as open about extra costs as you would be with a friend.",
    ],
    say: [
        &[
            "Good that you bring it up, talking about {price} should be easy between us. Let me \
                confirm the exact figure, so that you get it right rather than fast.",
            "Thank you for being open about {price}. Let me check the exact figure before I say a \
                number that turns out wrong.",
        ],
        &[
            "On {price}, you should see three numbers: the total, what is included, and what comes \
                on top. Let me confirm all three in writing.",
            "Let me send you {price} broken down: the base figure, the extras, and the total to \
                compare with your other {options}.",
        ],
        &[
            "Let me confirm the exact figure and send it to you in writing.",
            "You get a clear figure from me in writing, as soon as I have it confirmed.",
        ],
        &[
            "Let me confirm the exact figure for you. So that I put it in the right light, what \
                would make it good value in your eyes?",
            "Let me check the figure. What should I compare it with, so that it means something to \
                you?",
        ],
        &[
            "You get the honest figure from me, extras included, also where it is not to our \
                advantage. Let me confirm it first.",
            "I like that we talk about {price} early. Let me confirm the full figure, extras \
                included, so that there are no surprises between us.",
        ],
    ],
};

static FINANCING: Text = Text {
    label: "Paying for it",
    why: &["The lead thinks about how to pay. That is a serious step; explain the path and leave \
            rates and approval to a licensed lender."],
    how: [
        "Take the fear out of the money part; it is a process, not an exam.",
        "Lay out the steps and papers in order, without quoting a rate.",
        "Offer one short call on the money part with a time.",
        "Ask where in the process they are, if you do not know it yet.",
        "Offer an introduction to people you know to be careful, at least two so that they choose.",
    ],
    say: [
        &["The money part can feel heavy at first, and it gets lighter step by step. You do not \
                have to have all the answers now."],
        &["Here is the order: what you want to spend in all, the papers a lender would want to \
                see, then the comparison of at least two offers. A licensed lender can give you \
                binding figures."],
        &["Let us put the money side in order first, so that everything after it is easy."],
        &["Good that you look at this early. Which part would you like to have clear first: the \
                amount up front, the monthly side, or the paperwork?"],
        &["We can go through this together at your pace. If it helps, I can name more than one \
                lender, so that the choice stays with you."],
    ],
};

static TIMELINE: Text = Text {
    label: "Timing",
    why: &[
        "The lead gave a time or asks for one. A date is the backbone of the plan: note it and \
            work backwards from it.",
    ],
    how: [
        "Notice what the date means for the lead's life before you plan.",
        "Work backwards from the date: three or four steps, each with a latest day.",
        "Fix the first step of the plan now, with a day.",
        "Ask how firm the date is and what hangs on it.",
        "Remember the reason behind the date and come back to it.",
    ],
    say: [
        &[
            "Thank you, that helps. A date like that can be a relief or a burden, so let us keep \
                the steps small.",
            "Good to know, and no need to carry the planning alone. We take it step by step.",
        ],
        &[
            "Let us count backwards from your date: what has to be decided, checked and signed, \
                and by when. I can put that in a short list.",
            "Let me set out the steps with a latest day for each, so that you see at once whether \
                the timing holds.",
        ],
        &[
            "Then the first step should happen this week. Everything after it gets easier.",
            "Good, we have a date to work with. Let us fix the first step now.",
        ],
        &[
            "Thank you, I have noted the timing. How firm is it, and what hangs on it for you?",
            "Good to know. What would happen if it took a few weeks longer?",
        ],
        &["Thank you, I keep the timing in mind in everything I send you. I also want it to fit \
                the rest of your life, not only the calendar."],
    ],
};

static AVAILABILITY: Text = Text {
    label: "Is it available",
    why: &[
        "The lead wants to know what there is. Check before you answer: one wrong yes costs more \
            trust than a late answer.",
    ],
    how: [
        "Acknowledge that searching is tiring, and take one task off them.",
        "Answer with a short list on the same few points, so that it can be compared.",
        "Check, answer, and name one next step with a time.",
        "Ask the one thing that narrows the search most.",
        "Use what they told you before, and send only what you would show a friend.",
    ],
    say: [
        &[
            "Searching can be tiring, so let me take this part off you. I check what is really \
                available before I raise your hopes.",
            "Thank you for asking. Let me check first, so that you do not set your heart on \
                something that is gone.",
        ],
        &[
            "Let me check what is available now and set it out on the same few points: {points}. \
                Then you can compare at a glance.",
            "I will check the current list and note for each of the {options} where it fits and \
                where it does not.",
        ],
        &[
            "Let me check that now and come back with a clear yes or no.",
            "I check what is available and answer with a short list, nothing that does not fit.",
        ],
        &["Let me check what is available. {ask}", "I am looking into it. {ask}"],
        &[
            "Let me check, and I only pass on what I would show a friend with your wishes.",
            "I look into it with what you told me in mind, rather than sending you everything \
                there is.",
        ],
    ],
};

static QUESTION: Text = Text {
    label: "Open question",
    why: &[
        "The lead asked about {asked}. Answer exactly that first, from a source you can name; then \
            move one small step.",
        "A question is an open door: answer it first and fully, before anything of yours.",
    ],
    how: [
        "Welcome the question, so that the next one comes too.",
        "Answer with the fact and where it comes from; mark what you do not know.",
        "Answer in one line, then propose one next step with a time.",
        "Answer, then ask what makes this point important.",
        "Answer personally and add one thing they did not ask but would want to know.",
    ],
    say: [
        &[
            "Good that you ask, please ask everything that is on your mind. Let me check {about} \
                properly, so that you can rely on the answer.",
            "Thank you for asking. I want you to feel sure about {about}, so let me check instead \
                of guessing.",
        ],
        &[
            "Let me look up {about} at the source and send you the answer with where it comes \
                from. Anything I cannot confirm, I will mark as open.",
            "I check {about} in the records first. You get what is confirmed and what is still \
                open, separately.",
        ],
        &[
            "Let me check {about} and come back to you with a clear answer.",
            "I check {about} now and answer in one line.",
        ],
        &[
            "Let me check {about} for you. What makes this point important in your decision?",
            "I am looking into {about}. Is there anything else I should check in the same go?",
        ],
        &[
            "Thank you for asking me. I check {about} and tell you honestly, also if the answer is \
                not the one you hope for.",
            "I am glad you ask. Let me find out about {about} and tell you what I would want to \
                know in your place.",
        ],
    ],
};
