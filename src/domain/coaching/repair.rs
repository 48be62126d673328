//! Texts for situations in which nothing may be sold: an opt-out, a complaint, or a question that
//! Fair Housing law restricts.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The texts of such a situation.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::OptOut => &OPT_OUT,
        Situation::Complaint => &COMPLAINT,
        _ => &SENSITIVE,
    }
}

const STOP: &[&str] = &[
    "You won't get any more texts from us. Thanks for letting us know.",
    "You're unsubscribed and won't get any more messages from us. Thanks for letting us know.",
];

static OPT_OUT: Text = Text {
    label: "Opt-out",
    why: &["They asked us to stop. Confirm once, in one line, log it for every channel, and send \
        nothing after that."],
    how: [
        "Keep it kind and short. Don't ask why, and don't offer fewer messages instead.",
        "Log the time, channel and exact wording of the request so we can prove it later.",
        "Stop every sequence, task and campaign for this lead right away.",
        "Ask nothing. If they want something else, they'll say so.",
        "Let them leave on good terms: a clean goodbye is what they'll remember.",
    ],
    say: [STOP, STOP, STOP, STOP, STOP],
};

static COMPLAINT: Text = Text {
    label: "Complaint",
    why: &["They're unhappy with us. Own it before you explain it, and don't sell anything until \
        it's fixed."],
    how: [
        "Name the frustration and apologize for what it cost them. No \"but\".",
        "Pin down what happened and when, then say what you'll check and who will answer.",
        "Call instead of writing, today, and have one person see it through.",
        "Ask what would make it right, and let them finish.",
        "Speak as the person responsible, and thank them for telling you instead of leaving.",
    ],
    say: [
        &[
            "I'm sorry, that must have been frustrating. Thanks for telling me, I'll look into \
                it myself.",
            "I'm really sorry about this. You have every right to be upset, and I want to \
                understand what went wrong.",
        ],
        &["I'm sorry about this. I'll go through what happened step by step and get back to you \
            with what I find and what we'll change."],
        &["I'm sorry. This deserves a real conversation, not more messages. When's a good time \
            to call you today?"],
        &[
            "I'm sorry about this. What would make it right for you?",
            "I'm sorry. I'd like to hear your side so I fix the right thing. What should happen \
                first?",
        ],
        &["I'm sorry you had to write this. Thanks for telling me instead of just leaving, I'll \
            take care of it personally."],
    ],
};

static SENSITIVE: Text = Text {
    label: "Fair Housing question",
    why: &[
        "They're asking about safety, schools or the people in an area. Don't give an opinion: \
            point to public sources and let them judge.",
    ],
    how: [
        "Respect the question, explain kindly why you don't rate areas, and help them find the \
            source.",
        "Name the public sources: city, police, school district. Don't quote rankings.",
        "Point to the source, then get back to what you can speak to: the home, distances, terms.",
        "Ask which distances and features matter. Don't ask about household, faith or background.",
        "Say you follow the same rule with everyone.",
    ],
    say: [
        &["I understand this matters to you. Because of Fair Housing rules I can't rate \
            neighborhoods, but the city, police and school district websites have current \
            information."],
        &["Fair Housing rules don't let me rate neighborhoods. The city, police and school \
            district websites have current data, and I can add distances and drive times to any \
            address you send me."],
        &["I can't give opinions on neighborhoods because of Fair Housing rules, so please check \
            the city, police and school district websites. I'm happy to check distances and \
            features for you."],
        &["I can't rate neighborhoods because of Fair Housing rules, but the city, police and \
            school district websites have current data. Which distances or features should I \
            check for you?"],
        &["I follow the same Fair Housing rules with everyone, so I don't rate neighborhoods. \
            The city, police and school district websites have current data, and driving by at \
            different times of day will tell you more than I could."],
    ],
};
