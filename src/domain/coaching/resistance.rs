//! Texts for a lead who objects or says not now.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;
use crate::domain::lexicon::ObjectionKind;

/// The texts of an objection or a decline.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::Objection(kind) => objection(kind),
        _ => &DECLINE,
    }
}

fn objection(kind: ObjectionKind) -> &'static Text {
    match kind {
        ObjectionKind::Price => &PRICE,
        ObjectionKind::Financing => &FINANCING,
        ObjectionKind::Timing => &TIMING,
        ObjectionKind::Trust => &TRUST,
        ObjectionKind::Location => &LOCATION,
        ObjectionKind::Condition => &CONDITION,
        ObjectionKind::Competitor => &COMPETITOR,
        ObjectionKind::Authority => &AUTHORITY,
        ObjectionKind::NoNeed => &NO_NEED,
        ObjectionKind::Other => &OTHER,
    }
}

static PRICE: Text = Text {
    label: "Price concern",
    why: &[
        "A concern about {price} is rarely about one number: it can be the total, the timing or \
            the value. Find out which before you give anything away.",
    ],
    how: [
        "Say that worrying about money is normal here, then look at the number together instead \
            of defending it.",
        "Break the number down and put it next to two comparables from your own records.",
        "Offer one short call with one goal: make it work, or rule it out and stop there.",
        "Ask which part is the problem and solve only that one.",
        "Show you'd rather lose the deal than the person: give your honest take on the number.",
    ],
    say: [
        &[
            "I hear you, it's real money and it should feel right. Nobody expects you to stretch \
                past what's comfortable.",
            "I get it, a lot of people feel that way about {price}. You should be able to sleep \
                at night with it.",
        ],
        &[
            "Fair point on {price}. I can break it down and put it next to two similar {options} \
                so you can judge by the numbers.",
            "Let's take a close look at {price}: what's included, what's extra, and how it \
                compares with two similar {options}.",
        ],
        &["Thanks for being upfront about {price}. Can we take ten minutes tomorrow to see if \
            there's a way to make it work, or rule it out?"],
        &[
            "Thanks for telling me. Is it the total, when it's due, or what you get for it that \
                doesn't work?",
            "That makes sense. Which part matters most to you: the total, the timing, or what \
                you get for it?",
        ],
        &["I appreciate you being straight with me. I'd rather find something you're still happy \
            with in five years than talk you into a number."],
    ],
};

static FINANCING: Text = Text {
    label: "Financing or credit concern",
    why: &[
        "Paying for it is the open question, and it's a private one. Make it safe to talk about, \
            and leave rates and approval to a licensed lender.",
    ],
    how: [
        "Say that plenty of people are unsure here. Don't ask for any numbers in writing.",
        "List the steps and documents in order so the money side becomes a checklist.",
        "Offer one short call to sort out only the money question before anything else.",
        "Ask which piece worries them. Don't ask for income or credit score.",
        "Stick with them through the money part, whatever comes of it.",
    ],
    say: [
        &["Thanks for trusting me with that. A lot of people worry about the money side, and \
            it's okay not to have it all figured out."],
        &["Let's turn it into a checklist: money up front, the monthly payment, and the \
            documents a lender would want. Then you'll know where you stand before you decide."],
        &["Let's sort out the money side first and nothing else. Would a ten-minute call \
            tomorrow work, morning or afternoon?"],
        &["It's smart to sort that out early. Which part worries you most: the money up front, \
            the monthly payment, or the paperwork?"],
        &["We can take the money part at your pace, and I'll stick with you through it. It's \
            better to know now than to be surprised later."],
    ],
};

static TIMING: Text = Text {
    label: "Timing concern",
    why: &["The timing is off, not necessarily the idea. Respect that, and find out what has to \
        happen first."],
    how: [
        "Agree that timing matters and take the rush out of it.",
        "Work backward from their own date so they see what can wait and what can't.",
        "Agree on one date to check back in, and leave it alone until then.",
        "Ask what has to happen first on their side.",
        "Offer to stay in touch lightly, and remember the reason they gave.",
    ],
    say: [
        &["That makes sense, timing matters. You set the pace."],
        &["Got it. I can map out the steps backward from whenever works for you, so you can see \
            what can wait and what can't."],
        &["Got it, not now. Is it okay if I check in once, a month from now, and leave you alone \
            until then?"],
        &["No problem. What would need to happen first for this to make sense?"],
        &["Thanks for letting me know. I'll remember what you said, and we can pick it up when \
            the time is right for you."],
    ],
};

static TRUST: Text = Text {
    label: "Trust concern",
    why: &[
        "They aren't sure they can trust us. Arguing makes it worse; being open and giving them \
            something to check makes it better.",
    ],
    how: [
        "Say the doubt is fair, and don't get defensive.",
        "Name sources they can check without you: license lookup, public records, reviews, \
            documents.",
        "Offer one thing to verify first and hold everything else until that's done.",
        "Ask what they'd need to see to feel comfortable, and listen.",
        "Say who you are and how you work: people trust a person, not a brochure.",
    ],
    say: [
        &["You're right to be careful, and no offense taken. Take whatever time you need to be \
            sure."],
        &["Fair question. The best answer is something you can check without me, so let me point \
            you to public records and documents."],
        &["I'm glad you asked. Let's hold off on everything else until you've checked us out. \
            Want me to send you where to look this afternoon?"],
        &[
            "I appreciate you saying so. What would you need to see to feel comfortable?",
            "That's fair. Was there something specific that gave you doubts?",
        ],
        &["I get it, you don't know me yet. Ask me anything, even the awkward stuff, and judge \
            me by my answers."],
    ],
};

static LOCATION: Text = Text {
    label: "Location concern",
    why: &["The location doesn't work yet. Stick to distances and daily drives, which you can \
        measure; say nothing about who lives there."],
    how: [
        "Accept that the location has to feel right, and don't talk it up.",
        "Compare drive times and distances to the places they name.",
        "Drop this one and offer one clear change to the search.",
        "Ask which daily trip matters most, and measure from there.",
        "Use what they told you before to widen or narrow the map.",
    ],
    say: [
        &["That's good to know. The location has to feel right every day, and you shouldn't have \
            to talk yourself into this one."],
        &["Got it. Send me the two or three places you go most, and I can compare drive times \
            for each {option}."],
        &["Okay, let's take this one off the list. Want me to update the search tomorrow morning \
            with what you just told me?"],
        &["Thanks, that helps. Which daily trip do you most want to keep short?"],
        &["Thanks, I'll keep that in mind with everything I send you. Knowing what doesn't work \
            helps just as much."],
    ],
};

static CONDITION: Text = Text {
    label: "Condition concern",
    why: &["Something about the condition or the details bothers them. Facts and an inspection \
        settle that, reassurance doesn't."],
    how: [
        "Take the concern seriously, and never call it minor.",
        "List what's known, what isn't, and who can check it.",
        "Get the open point checked first, and say when you'll report back.",
        "Ask what would rule it out, so you check that first.",
        "Give your honest view, even where it hurts the deal.",
    ],
    say: [
        &["You're right to look closely. It should be something you feel good about, not \
            something you talk yourself into."],
        &["Let's go through it point by point: what's documented, what isn't, and who can \
            inspect it. Then you can put a number on each one."],
        &["Let's get that checked before anything else. Is it okay if I get back to you tomorrow \
            afternoon with what I find out?"],
        &["Thanks for pointing that out. Is it a dealbreaker for you?"],
        &["I appreciate the honest take. I'd rather hear about every flaw now than have you find \
            it later."],
    ],
};

static COMPETITOR: Text = Text {
    label: "Has another option",
    why: &["They have another option. Never knock it: help them compare fairly. If they already \
        signed with another agent, wish them well and stop there."],
    how: [
        "Be glad they have a choice, and take the pressure off.",
        "Compare on the same few points: total, terms, timing, what's included.",
        "If they're still deciding, ask for one short call before they do, and say what it's for.",
        "Ask whether they're still deciding, and take the answer at face value.",
        "If they're still deciding, offer a second pair of eyes, even if they go with the other \
            one.",
    ],
    say: [
        &["It's good to have a choice, even if that makes it harder. Please don't feel like you \
            owe us anything."],
        &["If you're still comparing, put both on the same four lines: total, terms, timing and \
            what's included. I can fill in ours."],
        &["Thanks for telling me. If you've already signed, I won't get in the way. If not, can \
            we compare the two for ten minutes tomorrow?"],
        &["Thanks for being open about it. Are you still deciding, or is it settled?"],
        &["Thanks for letting me know. If you're still deciding, I'm happy to look at both with \
            you, even if theirs turns out better."],
    ],
};

static AUTHORITY: Text = Text {
    label: "Someone else decides too",
    why: &[
        "Someone else has a say. Help the lead explain it to them, and never go around either of \
            them.",
    ],
    how: [
        "Respect that they decide together, and don't put the lead in the middle.",
        "Put the key points on one page that's easy to pass along.",
        "Offer one short call with everyone who decides.",
        "Ask what the other person will want to know first.",
        "Treat the other person as a guest, not a hurdle.",
    ],
    say: [
        &["Of course, that's something to decide together. I'm happy to wait."],
        &["Makes sense. I can put the key points on one page, open questions included, so it's \
            easy to pass along."],
        &["Good idea to decide together. Would a quick call with everyone tomorrow evening help, \
            or is another time better?"],
        &["Of course. What do you think they'll want to know first?"],
        &["Sure, talk it over. Anyone who's deciding with you is welcome to ask me directly."],
    ],
};

static NO_NEED: Text = Text {
    label: "No need right now",
    why: &[
        "They see no reason to go on. Believe it and leave on a good note: pushing now costs you \
            the next conversation.",
    ],
    how: [
        "Thank them for being honest and take the pressure off.",
        "Leave one useful offer they don't have to answer, then stop.",
        "Ask once whether to close the file, and close it if they say yes.",
        "Ask one question about what changed, with an easy out.",
        "Part on good terms: they may have a reason to come back in a year.",
    ],
    say: [
        &["Thanks for being honest, that's completely fine. I don't want to take up your time."],
        &["Understood. If it ever comes up again, I'm happy to put together a short comparison \
            for you then."],
        &["Understood. Should I close out your file this week so nobody bothers you?"],
        &["That's fine. Just so I know, did something change, or was it never quite the right \
            fit?"],
        &["That's totally fine, and thanks for talking with me. If things change, you know where \
            to find me."],
    ],
};

static OTHER: Text = Text {
    label: "Concern raised",
    why: &[
        "There's a concern they haven't fully spelled out. Hear all of it before you answer any \
            of it.",
    ],
    how: [
        "Repeat the concern in their words, without a \"but\".",
        "Sort it into what you can check and what's a matter of taste, then check.",
        "Settle this one point first, and suggest a time to talk.",
        "Ask them to say a little more, and don't answer yet.",
        "Thank them for being straight with you: it means they still care.",
    ],
    say: [
        &[
            "Thanks for saying that. I can see why it gives you pause.",
            "I understand why that bothers you, and I'm glad you said it.",
        ],
        &["Thanks, that's worth checking. Let me separate what we can verify from what's a \
            matter of taste, and look into the first part."],
        &["Thanks for bringing it up. Can we sort out just this one point in ten minutes \
            tomorrow, morning or afternoon?"],
        &["Thanks for bringing that up. Could you tell me a little more about it?"],
        &["Thanks for being straight with me. That helps me a lot more than a polite yes."],
    ],
};

static DECLINE: Text = Text {
    label: "Not now",
    why: &[
        "They said no for now. Accept it completely: a no you respect often comes back as a yes.",
        "This is a no to the step, not to you. Take it at face value and don't propose anything \
            else in this message.",
    ],
    how: [
        "Take the guilt out of it: nobody should have to defend a no.",
        "Leave a short summary to come back to, and nothing to answer.",
        "Confirm you're holding off and the next move is theirs. Nothing else.",
        "Ask one light question about what was missing, with an easy out.",
        "Close warmly, and note what you learned for next time.",
    ],
    say: [
        &[
            "No problem at all, thanks for letting me know. You don't need to explain.",
            "That's completely fine, no explanation needed.",
        ],
        &[
            "Understood. I'll keep a short summary of what we have so you can pick up where you \
                left off.",
            "Got it. Your details stay on file, so you won't have to start over if you come back.",
        ],
        &[
            "Understood, I'll hold off. The next move is yours.",
            "Got it, thanks. I'll leave it there, and you tell me if you want to go on.",
        ],
        &[
            "That's fine, thanks for telling me. If you don't mind me asking, was something \
                missing or is it just not the right time?",
            "No problem. Only if you feel like answering, what would have made this more useful \
                for you?",
        ],
        &[
            "No problem at all, I enjoyed talking with you. I'll remember what you told me if \
                you ever come back to it.",
            "That's fine, and thanks for your time. I'd be glad to hear from you again, whenever \
                that is.",
        ],
    ],
};
