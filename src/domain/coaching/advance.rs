//! Texts for a lead who moves forward.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The texts of a step forward.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::Commitment => &COMMITMENT,
        Situation::Viewing => &VIEWING,
        Situation::Dated => &DATED,
        Situation::Facts => &FACTS,
        _ => &INTEREST,
    }
}

/// The texts for a lead who writes about a booked appointment.
pub(crate) static BOOKED: Text = Text {
    label: "Appointment booked",
    why: &["They already have an appointment{when}. Don't offer another one: confirm it, prepare \
        for it and make it easy to show up."],
    how: [
        "Make it easy to show up: say questions are welcome before and during.",
        "Send a short list of what to look at and what to bring.",
        "Confirm the appointment in one line and say what you'll get done there.",
        "Ask what they want to find out, and prepare exactly that.",
        "Say you're looking forward to it, and mention something they told you.",
    ],
    say: [
        &["You're all set for our appointment{when}, and there's nothing you need to prepare. \
            Bring any questions you have."],
        &["Our appointment{when} is all set. I'll have a short checklist ready so you can go \
            through it point by point."],
        &["Confirmed, our appointment{when} is all set. If anything changes, just let me know \
            the day before."],
        &["Our appointment{when} is all set. What do you most want to find out there?"],
        &["We're still on for our appointment{when}, and I'm looking forward to it! I'll come \
            prepared with what you've told me."],
    ],
};

/// The texts for a lead who writes about an appointment that was requested but has no time yet.
pub(crate) static REQUESTED: Text = Text {
    label: "Appointment needs a time",
    why: &[
        "They asked for an appointment and it has no time yet. Don't ask again whether they want \
            one: settle when, in as few messages as possible.",
    ],
    how: [
        "Fit it to their day and say it can be moved.",
        "Say what you'll check there, so it's worth their time.",
        "Get two times from them and confirm one.",
        "Ask what makes a time good or bad for them.",
        "Set it up the way that has worked for them so far, and be there yourself if you can.",
    ],
    say: [
        &["I've got your request and I'll work around your schedule. We can always move it if \
            something comes up."],
        &["I've got your request. I'll list what's worth checking so it's worth your time."],
        &["I've got your request, we just need a time. What are two times this week that work \
            for you?"],
        &["I've got your request. What should I know about your week so I can find a good time?"],
        &["I've got your request, and I'm looking forward to meeting you! I'll work around your \
            schedule."],
    ],
};

static COMMITMENT: Text = Text {
    label: "Ready to go ahead",
    why: &["They said yes. Stop selling: confirm what you agreed on, name the very next step and \
        make it easy."],
    how: [
        "Notice that this is a big step and let them enjoy it.",
        "Put what you agreed on in writing, point by point, so nothing is unclear.",
        "Name one next step with a time, and who does it.",
        "Ask whether anything is still open before you move on.",
        "Thank them for their trust, and say you'll be around after the deal.",
    ],
    say: [
        &[
            "That's great news! We'll take the rest one thing at a time.",
            "That's wonderful! If any questions come up along the way, just ask.",
        ],
        &[
            "Great! I'll put what we agreed on in writing so you can check every number before \
                anything is final.",
            "Sounds good! Before we move ahead, I'll send you a summary of the numbers and steps \
                to look over.",
        ],
        &[
            "Great, let's get going! I'll send you the next step in writing.",
            "Perfect! I'll get everything ready on my end to keep it simple for you.",
        ],
        &[
            "Great, thank you! Before we move ahead, is there anything you'd still like cleared \
                up?",
            "Glad to hear it! What made up your mind? I want to make sure we get that part right.",
        ],
        &[
            "Thank you for trusting me with this, I don't take it lightly.",
            "That means a lot, thank you! I'll be with you every step of the way.",
        ],
    ],
};

static VIEWING: Text = Text {
    label: "Wants a {visit}",
    why: &["They want to see the real thing. Set a day and time while they're ready, and keep \
        everything else short."],
    how: [
        "Keep it light: a {visit} doesn't commit them to anything.",
        "Set the time, and add what's worth checking there.",
        "Offer two choices for a time and confirm the one they pick.",
        "Ask what they want to find out there, and prepare that.",
        "Do it yourself if you can: people remember who was there.",
    ],
    say: [
        &[
            "I'd be happy to set up a {visit}, and it doesn't commit you to anything.",
            "Sure! A {visit} is the best way to get a feel for it, and it's fine if it turns out \
                not to be for you.",
        ],
        &[
            "Sure! I'll send you a short checklist for the {visit}, so you can compare it with \
                other {options} afterward.",
            "Happy to set that up! I'll send the key numbers ahead of time, so you can focus on \
                what you can't see on paper.",
        ],
        &["Sure, let's set up the {visit}.", "Absolutely, let's get the {visit} on the calendar."],
        &[
            "Sure! When works for you, and what do you most want to find out at the {visit}?",
            "Happy to set up the {visit}! When works for you, and what should I have ready?",
        ],
        &[
            "Great, I'd love to {show}! I'll set up the {visit} with what you've told me in mind.",
            "Absolutely! I'll try to be there myself, so you have one person to ask.",
        ],
    ],
};

static DATED: Text = Text {
    label: "Named a time for a {visit}",
    why: &[
        "They want to come and said when. Check that time now and confirm it in one line; asking \
            for a different one can cost you the {visit}.",
    ],
    how: [
        "Show that the time they picked is welcome, and that it can be moved.",
        "Confirm the time, and add what's worth checking there.",
        "Check the calendar before you answer, so the answer is a yes.",
        "Confirm first, then ask what they want to find out there.",
        "Say you'll be there yourself if you can.",
    ],
    say: [
        &[
            "Great, I'll confirm that time in a few minutes. We can always move it if something \
                comes up.",
            "Great, I'd love to {show}! I'll confirm that time in a few minutes.",
        ],
        &[
            "Thanks, that's clear. I'll confirm that time in a few minutes and send a short list \
                of what's worth a look.",
            "Got it. I'll check that time and send you a confirmation with the key numbers to \
                read beforehand.",
        ],
        &[
            "Sounds good. I'll check that time now and confirm in a few minutes.",
            "Great, I'll check that time and let you know as soon as it's confirmed.",
        ],
        &[
            "Great, I'll confirm that time in a few minutes. What do you most want to find out \
                at the {visit}?",
            "Got it, I'll confirm that time in a few minutes. What should I have ready for you?",
        ],
        &[
            "Great, I'm looking forward to it! I'll check that time and get right back to you.",
            "Great, I'd love to {show}! I'll confirm that time shortly and try to be there in \
                person.",
        ],
    ],
};

static INTEREST: Text = Text {
    label: "Shows interest",
    why: &[
        "They like what they see. Build on that, in their words, and don't add five other things.",
        "They're interested right now. Find out what it is they like and take one small step \
            with it.",
    ],
    how: [
        "Be happy with them for a moment and let them say more.",
        "Give two or three solid facts from your records that back it up.",
        "Suggest one next step with a time while they're interested.",
        "Ask what they like most; it tells you what to look for.",
        "Tie it to something they told you before.",
    ],
    say: [
        &[
            "I'm so glad you like it! Take your time with it, there's no rush.",
            "That's great to hear! It's a nice feeling when something fits.",
        ],
        &[
            "Great to hear! I'll put together the key facts for you, including the downsides.",
            "Glad it looks good! Let me add the facts that matter, so you can see if it holds up \
                on paper.",
        ],
        &["Great to hear! Let's keep it moving.", "Great, that sounds like a good match."],
        &[
            "Glad to hear that! What do you like most about it?",
            "Great to hear! What stood out to you?",
        ],
        &[
            "Love to hear that! It helps me get a better feel for what works for you.",
            "That's great! It helps me to know what you like, now and down the road.",
        ],
    ],
};

static FACTS: Text = Text {
    label: "Shared what they need",
    why: &["They gave you details ({noted}). Show you wrote them down, never ask for them again, \
        and act on them."],
    how: [
        "Repeat what you heard so they feel understood.",
        "Turn the details into criteria, and separate must-haves from nice-to-haves.",
        "Confirm the details and go straight to the next step with a time.",
        "Confirm, then ask the one missing thing that narrows it down most.",
        "Save the details, and say they won't have to repeat them.",
    ],
    say: [
        &[
            "Thanks, that really helps me picture what you need ({noted}).",
            "Thanks for telling me ({noted}). I want to find something that really works for you.",
        ],
        &[
            "Got it: {noted}. I'll check the {options} against that and tell you where each one \
                fits and where it doesn't.",
            "Thanks, noted: {noted}. I'll rank the {options} by how many of your points they meet.",
        ],
        &[
            "Got it: {noted}. I'll start with that.",
            "Perfect, noted: {noted}. That's enough to get started.",
        ],
        &["Thanks, got it: {noted}. {ask}", "Great, that's clear: {noted}. {ask}"],
        &[
            "Thanks, I've written that down ({noted}), so you won't have to tell me twice.",
            "Thanks for sharing that ({noted}). I'll keep it in mind.",
        ],
    ],
};
