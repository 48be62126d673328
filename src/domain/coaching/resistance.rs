//! What to coach when the lead objects or says not now.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;
use crate::domain::lexicon::ObjectionKind;

/// The text of an objection or a decline.
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
    label: "Price worry",
    why: &[
        "A worry about {price} is rarely about one number: it may be the total, the timing or the \
            value. Find out which before you give anything away.",
    ],
    how: [
        "Say that money worries are normal here, then look at the figure together instead of \
            defending it.",
        "Split the figure into its parts and set it beside two comparable ones from your own \
            records.",
        "Offer one short talk with one aim: bring it within reach, or rule it out and stop there.",
        "Ask which part is the obstacle and solve only that one.",
        "Show that you would rather lose the deal than the person; give your honest view of the \
            figure.",
    ],
    say: [
        &[
            "I hear you: it is real money, and it should feel right. Nobody here expects you to \
                stretch beyond what is comfortable.",
            "That is an honest worry, and a common one. It should never cost you a good night's \
                sleep.",
        ],
        &[
            "Fair point on {price}. I can split the figure into its parts and set it beside two \
                comparable {options}, so that you judge by numbers.",
            "Let us test {price} properly: what is in it, what comes on top, and how it compares \
                with two similar {options}.",
        ],
        &["Thank you for being direct about {price}. Can we take ten minutes tomorrow to see \
                what would bring it within reach, or rule it out?"],
        &[
            "Thank you for saying it openly. Is it the total, when it falls due, or what you get \
                for it that does not fit?",
            "Understood. Which part weighs most for you: the whole sum, the timing, or the value \
                behind it?",
        ],
        &["I value that you tell me this straight. I would rather find something you are still \
                glad about in five years than talk you into a number."],
    ],
};

static FINANCING: Text = Text {
    label: "Money or credit worry",
    why: &[
        "Paying for it is the open point, and it is a private one. Make it safe to talk about; \
            leave rates and approval to a licensed lender.",
    ],
    how: [
        "Say that many people are unsure here; ask for no figures in writing.",
        "List the steps and papers of the money side in order, so that it becomes a checklist.",
        "Offer one short call to settle only the money question before anything else.",
        "Ask which piece is unclear; do not ask for income or score.",
        "Be the person who stays with them through the money part, whatever comes out of it.",
    ],
    say: [
        &["Thank you for trusting me with that. The money side worries many people, and there is \
                no shame in not having it settled."],
        &["Let us turn it into a list: what can be paid now, what comes monthly, and which \
                papers a lender would want to see. Then you know where you stand before you \
                decide."],
        &["Let us clear the money side first and nothing else. Would a ten-minute call tomorrow \
                suit you, morning or afternoon?"],
        &["That is a sensible thing to settle early. Which piece is least clear for you: the \
                amount up front, the monthly side, or the paperwork?"],
        &["We can take the money part at your pace, and I stay with you through it. It is better \
                to know now than to be surprised later."],
    ],
};

static TIMING: Text = Text {
    label: "Timing worry",
    why: &[
        "The moment is wrong, not necessarily the idea. Respect it, and learn what would have to \
            happen first.",
    ],
    how: [
        "Agree that timing matters and take the hurry out of it.",
        "Lay out the steps backwards from the lead's own date, so that waiting has a clear \
            meaning.",
        "Agree one date to speak again and leave it alone until then.",
        "Ask what has to happen first in the lead's life.",
        "Offer to stay in touch lightly and remember the reason they gave.",
    ],
    say: [
        &["That makes sense, timing matters as much as the choice itself. You set the pace, not \
                me."],
        &["Understood. I can write down the steps backwards from the moment that suits you, so \
                that you see what can wait and what cannot."],
        &["Understood, not now. Shall I check in once, a month from now, and leave you in peace \
                until then?"],
        &["That is fine. What would have to fall into place first for this to make sense?"],
        &["Thank you for telling me. I will keep in mind what you said, and we pick it up when \
                your life has room for it."],
    ],
};

static TRUST: Text = Text {
    label: "Doubt about us",
    why: &[
        "The lead is not sure we can be trusted. Arguments make it worse; openness and something \
            to check make it better.",
    ],
    how: [
        "Say that the doubt is reasonable and do not defend yourself.",
        "Name sources that the lead can check without you: registers, reports, reviews, documents.",
        "Offer one thing to verify first and hold everything else until that is done.",
        "Ask what would have to be true for them to feel safe, and listen.",
        "Say who you are and how you work; trust grows with a person, not a brochure.",
    ],
    say: [
        &["It is right to be careful, and I am not offended. Take the time you need to be sure."],
        &["A fair question. The best answer is something you can check without me, so let me \
                point you to public records and documents on it."],
        &["Good that you ask. Let us do nothing else until you have checked us; shall I send you \
                where to look this afternoon?"],
        &[
            "I appreciate the frankness. What would you need to see to feel comfortable?",
            "That is reasonable. Was there something in particular that made you doubt?",
        ],
        &["I understand, you do not know me yet. Ask me anything, also the awkward questions, \
                and judge me by how I answer."],
    ],
};

static LOCATION: Text = Text {
    label: "Location doubt",
    why: &[
        "The place does not fit yet. Talk about distances and daily routes, which can be measured; \
            leave out any view on who lives there.",
    ],
    how: [
        "Accept that a place has to feel right and do not talk it up.",
        "Compare travel times and distances to the places the lead names.",
        "Drop the wrong place and offer one clear change to the search.",
        "Ask which daily route matters most, and measure from there.",
        "Use what they told you before to widen or narrow the map.",
    ],
    say: [
        &["That is good to know: a place has to feel right every single day. We do not need to \
                talk you into this one."],
        &["Understood. Tell me the two or three places you travel to most, and I can set the \
                distances of each {option} side by side."],
        &["Then let us take this one off the list. Shall I change the search tomorrow morning \
                with what you just told me?"],
        &["Thank you, that helps. Which daily journey should be short for you?"],
        &["Thank you, I keep that in mind for everything I show you from now on. Every no makes \
                the picture clearer."],
    ],
};

static CONDITION: Text = Text {
    label: "Doubt about the condition",
    why: &["Something about the condition or the details bothers the lead. Facts and inspection \
            settle it, reassurance does not."],
    how: [
        "Take the concern seriously; never call it a small thing.",
        "List the points with what is known, what is not, and who can check it.",
        "Get the open point checked first and settle when you will report back.",
        "Ask which point would rule it out, so that you check that one first.",
        "Give your own honest view, also where it speaks against the deal.",
    ],
    say: [
        &["You are right to look closely. It should be something you feel good about, not \
                something you talk yourself into."],
        &["Let us go through it point by point: what is documented, what is not, and who can \
                inspect it. Then you can put a value on each point."],
        &["Let us get that point checked before anything else. Shall I come back to you tomorrow \
                afternoon with what I could find out?"],
        &["Thank you for pointing it out. Is there one thing among these that would rule it out \
                for you?"],
        &["Thank you for the frank view. I would rather hear about every flaw now than have you \
                find it later."],
    ],
};

static COMPETITOR: Text = Text {
    label: "Another offer in play",
    why: &[
        "The lead has another option. Never run it down: help them compare fairly and you stay the \
            one they trust.",
    ],
    how: [
        "Congratulate them on having a choice and take the pressure away.",
        "Compare on the same few points: total, terms, timing, what is included.",
        "Ask for one short talk before they decide, and say what it is for.",
        "Ask what the other one does better, and take the answer at face value.",
        "Offer a second pair of eyes, even if they choose the other one.",
    ],
    say: [
        &["It is good to have a choice, even if it makes deciding harder. Please do not feel you \
                owe us anything."],
        &["Good that you compare. Put both on the same four lines: total, terms, timing and what \
                is included; I can fill in ours."],
        &["Thank you for telling me. Can we compare the two for ten minutes tomorrow, before you \
                decide?"],
        &["Thank you for being open. What does the other one do better for you?"],
        &["Thank you for telling me. If it helps, I look at the other one with you honestly, \
                even if it turns out to be the better choice."],
    ],
};

static AUTHORITY: Text = Text {
    label: "Someone else decides too",
    why: &[
        "Another person has a say. Help the lead to explain it to them; never go around either of \
            them.",
    ],
    how: [
        "Respect that they decide together and take away the feeling of being in between.",
        "Write one page with the key points that the lead can pass on.",
        "Offer one short talk with everyone who decides.",
        "Ask what the other person will want to know first.",
        "Invite the other person as a guest, not as a hurdle.",
    ],
    say: [
        &["Of course, this is something to decide together. There is no rush from my side."],
        &["That makes sense. I can put the key points on one page, with the open ones marked, so \
                that you can pass them on."],
        &["Good idea to decide together. Would a short call with both of you tomorrow evening \
                help, or another evening?"],
        &["Of course. What do you think the other person will want to know first?"],
        &["Of course, please talk it over. Whoever decides with you is welcome to ask me \
                anything directly."],
    ],
};

static NO_NEED: Text = Text {
    label: "Sees no need",
    why: &[
        "The lead sees no reason to go on. Believe it, and leave one good memory; pushing costs \
            you the next conversation.",
    ],
    how: [
        "Thank them for the honest answer and take the pressure away.",
        "Leave one useful piece of information that costs nothing, then stop.",
        "Ask once whether to close the file, and do it if they say so.",
        "Ask one question about what changed, with an easy way out.",
        "Part as friends: the next reason may come in a year.",
    ],
    say: [
        &["Thank you for the honest answer, that is completely fine. I do not want to take up \
                your time."],
        &["Understood. If it ever comes up again, a short comparison of your options is the \
                place to start, and I am glad to put one together then."],
        &["Understood. Shall I close your file this week, so that nobody bothers you?"],
        &["That is fine. If I may ask just once: has something changed, or was it never quite \
                the right thing?"],
        &["That is completely fine, and thank you for the conversation. If things look different \
                one day, you know where to find me."],
    ],
};

static OTHER: Text = Text {
    label: "Concern raised",
    why: &[
        "There is a concern that is not fully spoken yet. Hear all of it before you answer any of \
            it.",
    ],
    how: [
        "Repeat the concern in the lead's words, without a but.",
        "Sort it into what can be checked and what is a matter of taste, then check.",
        "Settle this one point first, with a time to talk.",
        "Ask the lead to say a little more, and do not answer yet.",
        "Thank them for the frankness; it is a sign that they still care.",
    ],
    say: [
        &[
            "Thank you for saying that. I can see why it gives you pause.",
            "I understand why that bothers you, and I am glad you said it.",
        ],
        &["Thank you, that is a point worth checking. Let me separate what can be verified from \
                what is a matter of taste, and look up the first part."],
        &["Thank you for raising it. Can we settle just this point in ten minutes tomorrow, \
                morning or afternoon?"],
        &["Thank you for raising it. Could you tell me a little more about what is behind it?"],
        &["Thank you for being frank with me. That helps me far more than a polite yes."],
    ],
};

static DECLINE: Text = Text {
    label: "Not now",
    why: &[
        "The lead said no for now. Accept it in full: a no that is respected often comes back as a \
            yes.",
        "This is a no to the step, not to you. Take it at its word and propose nothing further in \
            this message.",
    ],
    how: [
        "Take the guilt out of it; nobody should have to defend a no.",
        "Leave a short factual summary to come back to, and nothing to answer.",
        "Confirm that you hold off, and that the next move is theirs. Nothing else.",
        "Ask one light question about what was missing, with an easy way out.",
        "Close warmly and note what you learned for next time.",
    ],
    say: [
        &[
            "No problem at all, and thank you for letting me know. You do not need to explain.",
            "That is completely fine. It is good to say no when it does not feel right.",
        ],
        &[
            "Understood. I keep what we have so far in one short summary, so that you can pick it \
                up where we stopped.",
            "Noted. The details stay on file, so nothing has to be gathered twice if you come back \
                to it.",
        ],
        &[
            "Understood, then I hold off and take no further step. The next move is yours.",
            "Clear, thank you. I leave it there, and you tell me if and when we go on.",
        ],
        &[
            "That is fine, thank you for telling me. If you like to share it: was something \
                missing, or is it simply not the moment?",
            "No problem. Only if you feel like answering: what would have made it more useful for \
                you?",
        ],
        &[
            "No problem at all, it was good to talk with you. I remember what you told me, should \
                you ever come back to it.",
            "That is fine, and thank you for your time. I would be glad to hear from you again, \
                whenever that is.",
        ],
    ],
};
