//! What to coach when the lead moves forward.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The text of a step forward.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::Commitment => &COMMITMENT,
        Situation::Viewing => &VIEWING,
        Situation::Dated => &DATED,
        Situation::Facts => &FACTS,
        _ => &INTEREST,
    }
}

/// The text for a lead who writes about the appointment that is booked.
pub(crate) static BOOKED: Text = Text {
    label: "Appointment stands",
    why: &[
        "There is an appointment already{when}. Do not offer another: confirm it, prepare it and \
            make it easy to come.",
    ],
    how: [
        "Make coming easy: say that questions are welcome before and during.",
        "Send a short list of what to look at and what to bring.",
        "Confirm the appointment in one line and say what will be settled there.",
        "Ask what the lead wants to find out there, and prepare exactly that.",
        "Say that you look forward to it, and mention what they told you.",
    ],
    say: [
        &["Our appointment{when} stands, and there is nothing you need to prepare. Bring every \
                question, there are no wrong ones."],
        &["Our appointment{when} stands. I prepare a short list of the points to check, so that \
                you can score each one on the spot."],
        &["Our appointment{when} stands. Please tell me by the evening before if anything has to \
                change."],
        &["Our appointment{when} stands. What do you most want to find out there?"],
        &["Our appointment{when} stands, and I look forward to seeing you. I have what you told \
                me so far in mind and prepare for that."],
    ],
};

/// The text for a lead who writes about an appointment that is asked for and not fixed.
pub(crate) static REQUESTED: Text = Text {
    label: "Appointment to be fixed",
    why: &[
        "An appointment is asked for and not fixed yet. Do not ask again whether: settle when, in \
            as few messages as possible.",
    ],
    how: [
        "Fit it to the lead's day and say that it can be moved.",
        "Name what will be checked there, so that the time is well spent.",
        "Collect two times from the lead and confirm one of them.",
        "Ask what makes a time good or bad for them.",
        "Arrange it the way that suited them so far, and say that you will be there in person.",
    ],
    say: [
        &["Your request for an appointment is with me, and we fit it around your day. It can be \
                moved at any time if life gets in the way."],
        &["Your request is with me. I prepare the points worth checking, so that the time is \
                well spent."],
        &["Your request is with me, and only the time is open. Which two times this week suit \
                you, so that I can confirm one?"],
        &["Your request is with me. What should I know about your week to find a good time?"],
        &["Your request is with me, and I am glad that we will meet. I arrange it around you."],
    ],
};

static COMMITMENT: Text = Text {
    label: "Ready to go ahead",
    why: &[
        "The lead says yes. Stop selling: confirm what was agreed, name the very next step and \
            make it easy.",
    ],
    how: [
        "Notice that this is a big step and let them enjoy it.",
        "Repeat what was agreed in writing, point by point, so that no question stays.",
        "Name one next step with a time, and who does it.",
        "Ask whether anything is still open before you move on.",
        "Thank them for the trust and say that you stay after the deal.",
    ],
    say: [
        &[
            "That is lovely to hear, and a big step too. We take the rest one thing at a time.",
            "I am glad for you. It is normal if a question or two still comes up, just ask.",
        ],
        &[
            "Great. I put what we agreed in writing, point by point, so that you can check every \
                figure before anything is final.",
            "Thank you. Before we go on, you get a summary with all figures and steps to check \
                against your own notes.",
        ],
        &[
            "Great, then let us move. I send you the next step in writing.",
            "Wonderful. I prepare everything on my side, so that it stays simple for you.",
        ],
        &[
            "Great, thank you. Before we go on, is there anything you would still like to have \
                clear?",
            "I am glad to hear it. What made you decide, so that I make sure exactly that comes \
                true in the details?",
        ],
        &[
            "Thank you for your trust, I do not take it lightly. I stay your contact afterwards \
                too, not only until it is done.",
            "Thank you, that means a lot to me. I stay with you through the next steps and after \
                them.",
        ],
    ],
};

static VIEWING: Text = Text {
    label: "Wants a {visit}",
    why: &[
        "The lead wants to meet the real thing. Fix day and time while the wish is fresh; keep \
            everything else short.",
    ],
    how: [
        "Make it feel light: a {visit} binds nobody.",
        "Fix the time, and add the points worth checking there.",
        "Offer two ways to a time and confirm the one they choose.",
        "Ask what they want to find out there, and prepare that.",
        "Do it yourself if you can; people remember who showed them round.",
    ],
    say: [
        &[
            "I am glad you would like a {visit}, and it does not commit you to anything.",
            "Gladly. A {visit} is the best way to get a feeling for it, and a no afterwards is \
                perfectly fine.",
        ],
        &[
            "Gladly. For the {visit} I prepare a list of the points to check, so that you can \
                compare it with other {options} afterwards.",
            "Happy to arrange it. You get the key figures beforehand, so that on the spot you can \
                look at what paper does not show.",
        ],
        &[
            "Gladly, let us fix the {visit}.",
            "Good, then let us get the {visit} into the calendar.",
        ],
        &[
            "Gladly. Which two times suit you, and what would you most like to find out at the \
                {visit}?",
            "Happy to arrange the {visit}. When does it suit you, and what should I prepare?",
        ],
        &[
            "Gladly, I look forward to meeting you. I arrange the {visit} with what you told me in \
                mind.",
            "With pleasure. I will try to be there myself, so that you have one person to ask.",
        ],
    ],
};

static DATED: Text = Text {
    label: "Names a time for a {visit}",
    why: &[
        "The lead wants to come and says when. Check that time now and confirm it in one line; \
            asking for another costs the {visit}.",
    ],
    how: [
        "Show that the day they chose is welcome, and that it can be moved.",
        "Confirm the time, and add the points worth checking there.",
        "Check the calendar before you answer, so that the answer is a yes.",
        "Confirm first, then ask what they want to find out there.",
        "Say that you will be there yourself if you can.",
    ],
    say: [
        &[
            "Gladly, thank you for saying when it suits you. I check that time right away, and it \
                can be moved if something comes up.",
            "I am glad that you would like a {visit}. I see to it that your time works, and there \
                is no obligation at all.",
        ],
        &[
            "Thank you, that is clear. I check that time and send you the confirmation with a \
                short list of points worth looking at.",
            "Noted. You get the confirmation in writing, with the key figures to read beforehand.",
        ],
        &[
            "Good, I check that time now and confirm it to you in one line.",
            "Good, I put that into the calendar and confirm it as soon as it stands.",
        ],
        &[
            "Gladly, I check that time and confirm it. What would you most like to find out at the \
                {visit}?",
            "Noted, I confirm that time as soon as it stands. What should I prepare for you?",
        ],
        &[
            "With pleasure, I look forward to it. I check that time and come back to you myself.",
            "Lovely, I arrange it for that time and will try to be there in person.",
        ],
    ],
};

static INTEREST: Text = Text {
    label: "Interest shown",
    why: &[
        "The lead likes what they see. Build on what they like, in their words; do not add five \
            other things.",
        "Interest is warm now. Find what it is about and take one small step with it.",
    ],
    how: [
        "Share the joy briefly and let them say more.",
        "Give two or three solid facts that back the liking, from your records.",
        "Propose one next step with a time while the interest is fresh.",
        "Ask what they like most; it tells you what to look for.",
        "Link it to what they told you before.",
    ],
    say: [
        &[
            "I am glad this speaks to you. Take a moment with it, there is no hurry.",
            "That is nice to hear. It is a good feeling when something fits.",
        ],
        &[
            "Good to hear. I put the key facts together for you, with the points that speak \
                against it as well.",
            "Glad that it looks right. Let me add the facts that matter, so that the good feeling \
                rests on something solid.",
        ],
        &[
            "Great to hear. Then let us take the next step while it is fresh.",
            "Good, that sounds like a match worth a closer look.",
        ],
        &[
            "I am glad to hear that. What do you like most about it?",
            "Good to hear. What made this one stand out for you?",
        ],
        &[
            "That makes me happy to hear. It tells me a bit more about what suits you, and I keep \
                it in mind.",
            "Lovely. It helps me to know what you like, for now and for later.",
        ],
    ],
};

static FACTS: Text = Text {
    label: "Lead tells what is needed",
    why: &[
        "The lead gave details ({noted}). Show that you noted them, never ask for them again, and \
            act on them.",
    ],
    how: [
        "Say back what you heard, so that they feel understood.",
        "Turn the details into criteria, and sort must from nice to have.",
        "Confirm the details and go straight to the next step with a time.",
        "Confirm, then ask the one missing thing that narrows most.",
        "Note the details for good, and say that they will not have to repeat them.",
    ],
    say: [
        &[
            "Thank you, that helps me picture what you need ({noted}).",
            "Thank you for telling me: {noted}. I want to be sure that I find what really suits \
                you.",
        ],
        &[
            "Noted: {noted}. I measure every one of the {options} against that and show you where \
                each fits and where it does not.",
            "Thank you, I have: {noted}. I sort the {options} by how many of your points they \
                meet.",
        ],
        &[
            "Got it: {noted}. I start with exactly that.",
            "Noted: {noted}. That is enough to begin.",
        ],
        &["Thank you, noted: {noted}. {ask}", "Good, that is clear: {noted}. {ask}"],
        &[
            "Thank you, I have noted it ({noted}) and you will not have to tell me twice.",
            "Thanks for sharing that ({noted}). I keep it with what I know about your wishes.",
        ],
    ],
};
