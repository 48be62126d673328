//! What to coach when nothing may be sold: an opt-out, a complaint, or a question that fair-housing
//! law restricts.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The text of a situation in which nothing is sold.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::OptOut => &OPT_OUT,
        Situation::Complaint => &COMPLAINT,
        _ => &SENSITIVE,
    }
}

const STOP: &[&str] = &[
    "Understood. You will not get further messages from us. Sorry for the disturbance.",
    "Of course. We stop writing to you as of now. Thank you for telling us.",
];

static OPT_OUT: Text = Text {
    label: "Opt-out",
    why: &[
        "The lead asked us to stop. Confirm once in one line, record it for every channel, and \
            send nothing after that.",
    ],
    how: [
        "Be kind and short. Do not ask for a reason and do not offer fewer messages.",
        "Record time, channel and wording of the request, so that it can be shown later.",
        "Stop every sequence, task and campaign for this lead right away.",
        "Ask nothing. If they want something else, they will say so.",
        "Let them leave well: a clean goodbye is the last thing they remember.",
    ],
    say: [STOP, STOP, STOP, STOP, STOP],
};

static COMPLAINT: Text = Text {
    label: "Complaint",
    why: &[
        "The lead is unhappy with us. Own it before you explain it, and sell nothing until it is \
            put right.",
    ],
    how: [
        "Name the feeling and apologise for the effect on them, without a but.",
        "Collect what happened and when, then say what you check and who answers.",
        "Call rather than write, today; one person takes it over.",
        "Ask what would put it right, and let them finish.",
        "Speak as the person responsible; thank them for saying it instead of leaving.",
    ],
    say: [
        &[
            "I am sorry, that must have been frustrating. Thank you for telling me; I take it \
                seriously and look into it myself.",
            "I am sorry that it came to this. You have every reason to be annoyed, and I want to \
                understand what went wrong.",
        ],
        &["I am sorry about this. I go through what happened step by step and come back to you \
                with what I found and what we change."],
        &["I am sorry, this should be put right by a person and not by messages. May I call you \
                today, and at what time?"],
        &[
            "I am sorry about this. What would put it right for you?",
            "I am sorry. Please tell me what went wrong from your side, so that I can fix the \
                right thing. What should happen first?",
        ],
        &["I am sorry, you should not have had to write this. Thank you for saying it instead of \
                just leaving; I take it on personally."],
    ],
};

static SENSITIVE: Text = Text {
    label: "Area question, fair housing",
    why: &["The lead asks about safety, schools or people of an area. Give no opinion: point to \
            public sources and let the lead judge."],
    how: [
        "Respect the question, explain kindly why you do not rate areas, and help to find the \
            source.",
        "Name the public sources: police statistics, school district, city map. Quote no ranking.",
        "Point to the source and go on with what you can show: home, distances, terms.",
        "Ask which distances and features matter; do not ask about household, faith or origin.",
        "Say that you hold to the same rule with everyone; it protects them too.",
    ],
    say: [
        &["I understand that this matters to you. We do not rate areas ourselves, so that \
                everyone is treated alike; the local police and the school district publish \
                current information you can rely on."],
        &["For that, the public sources are the best: police statistics, the school district's \
                own site and the city map. I do not rate areas, and I can add distances and travel \
                times to any address you name."],
        &["I do not rate areas, so please look at the local police and school district sites for \
                that. What I can do is check distances and features for you."],
        &["I do not rate areas, the local police and school district sites have current data. \
                Which distances or features should I check for you?"],
        &["I hold to the same rule with everyone and do not rate areas; police and school \
                district publish current data. Walking the streets at different hours tells you \
                more than my opinion would."],
    ],
};
