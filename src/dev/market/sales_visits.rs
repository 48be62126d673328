//! The words of people who visit homes, bid for one and move in.

use crate::dev::market::talk::{Talk, talk};

/// Asking to see a home.
pub const VIEWING: &[Talk] = &[talk(
    &[
        "Can we see it {day} around {hour}?",
        "Could we schedule a tour for {day}? Around {hour} works.",
        "We'd love to take a look at it. {day} at {hour}?",
        "Is a showing possible on {day}? I'm free at {hour}.",
        "My {partner} is off on {day}. Can you get us in at {hour}?",
        "I'd like to see the place in person before deciding. {day}, {hour}?",
    ],
    &[
        "{day} at {hour} works. I'll meet you out front at {street}.",
        "Done, you're in for {day} at {hour}. I'll send a calendar invite with the address.",
        "Booked: {street}, {day} {hour}. Bring comfy shoes, there are stairs!",
        "Just confirmed with the listing agent, {day} {hour} it is. See you there, {name}.",
    ],
)];

/// Before a visit.
pub const REMINDER: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, see you {day} at {hour}, {street}. Park on the right hand side.",
        "Reminder: {street}, {day} {hour}. Text me if anything comes up!",
    ],
)];

/// Another time.
pub const MOVED: &[Talk] = &[talk(
    &[
        "Sorry, something came up at work. Can we do {day} at {hour} instead?",
        "Kid is sick. Could we move it to {day}, {hour}?",
        "Any chance we push the showing to {day} {hour}?",
        "I mixed up my calendar, so sorry. Would {day} at {hour} still work?",
    ],
    &[
        "No problem, moved to {day} at {hour}.",
        "Sure thing. {day} {hour}, same address. Hope all is well!",
        "Of course, {name}. I've let the sellers know: {day}, {hour}.",
    ],
)];

/// No visit.
pub const CANCELLED: &[Talk] = &[talk(
    &[
        "We have to cancel the viewing, sorry. It's just not a good time.",
        "I think we'll skip this one. After looking at the map it's too far out.",
        "Please cancel {day}. We want to think about it first.",
        "Hi, we won't make it and honestly we're having second thoughts.",
    ],
    &[
        "Thanks for letting me know. Shall I keep looking in {area}, or pause for now?",
        "Understood, I've cancelled it. What gave you pause, if you don't mind my asking?",
        "No worries at all. I'll check back next week unless you'd rather I didn't.",
    ],
)];

/// After a visit that was missed.
pub const MISSED: &[Talk] = &[talk(
    &[
        "So sorry I missed you, the day got away from me.",
        "Oh no, that was today?? I had it down for tomorrow. My apologies.",
        "Sorry, stuck at work and my phone died.",
        "Apologies for not showing up. Things are complicated right now.",
    ],
    &[
        "It happens, {name}. Would you like another time, or is this not the right moment?",
        "No harm done. The house is still open, just say when.",
    ],
)];

/// After a visit that pleased.
pub const LIKED: &[Talk] = &[talk(
    &[
        "Thanks for showing us around! We both loved it.",
        "We can't stop talking about the back porch. What did the other people say?",
        "That was the best one so far by a mile.",
        "Really happy we came. It's bigger than it looks in the photos.",
        "We measured the couch and it fits. That's a sign, right? :)",
    ],
    &[
        "It was a pleasure. If you can see yourselves there, let's talk numbers while it's quiet.",
        "So happy to hear it! The comps say {low} to {price} is fair. Want me to walk you through \
            them?",
        "I thought so too. The sellers want a quick close, which helps us. Shall I draft something \
            for you to look at?",
    ],
)];

/// After one that did not.
pub const DISLIKED: &[Talk] = &[talk(
    &[
        "Thanks for the tour, but it's too small for us in person.",
        "Honestly the photos were kind. It needs too much work.",
        "Nice house, wrong street. The traffic was loud the whole time.",
        "It's a no from us on this one. The basement smelled damp.",
        "We liked the area, not the house. Low ceilings and no storage.",
    ],
    &[
        "Really useful, thank you for being straight with me. I'll cross off anything like that \
            and send two that are different.",
        "Fair enough, better to know now. There's one two streets over without that problem, I'll \
            send it.",
        "Got it, thanks {name}. I'll keep that in mind for the next ones.",
    ],
)];

/// Ready to offer.
pub const OFFER: &[Talk] = &[
    talk(
        &[
            "Ok we talked it over. We want to make an offer on {street}.",
            "We're ready to make an offer before the weekend. What do you need from us?",
        ],
        &[
            "Exciting! I'd go in at {low} with a 5 day inspection window. I'll send it for \
                signature this afternoon.",
            "Great. Send me the lender letter and I'll have the offer in front of them tonight.",
        ],
    ),
    talk(
        &[
            "What would you offer? We were thinking {low}.",
            "Let's do it. Can we go in at {low} and keep the inspection?",
        ],
        &[
            "{low} with a short closing is a strong offer. Paperwork is coming now.",
            "That's a fair number. I'll write it up at {low}, inspection included.",
        ],
    ),
    talk(
        &["If we offer {price}, would they leave the washer and dryer?"],
        &[
            "I'll put it in the offer, I doubt they'd refuse at full price.",
            "At asking price they will. Writing it up now.",
        ],
    ),
];

/// Accepted.
pub const CONTRACT: &[Talk] = &[
    talk(
        &[
            "They accepted?! Amazing. What happens now?",
            "Signed everything. What comes next?",
            "Wow ok. My {partner} is crying lol. What's next?",
        ],
        &[
            "Congratulations! Inspection first, then appraisal. I'll send you a timeline with \
                every date on it.",
            "You're under contract! Inspection this week, appraisal after that. I'll be there for \
                both.",
        ],
    ),
    talk(
        &["So happy! When do we wire the deposit?", "It's signed! How does the deposit work?"],
        &[
            "Earnest money is due in 3 days. Call the title company before wiring, never trust an \
                email.",
            "Within 3 days, to the title company. Get the account number from them by phone. And \
                congratulations!",
        ],
    ),
];

/// Not to be.
pub const FELL_THROUGH: &[Talk] = &[
    talk(
        &[
            "The inspection report scares us. We're backing out.",
            "The appraisal came in low and we can't cover the gap.",
        ],
        &[
            "Understood. Better now than after closing. I'll handle the paperwork and get your \
                deposit released.",
            "I asked the sellers again and they won't move. I'm sorry, {name}, I know how much you \
                wanted it.",
        ],
    ),
    talk(
        &["Our loan was denied this morning. I don't know what to say."],
        &[
            "I'm so sorry. Let's take a breath and talk tomorrow about whether there's another \
                way.",
            "Oh no. I'll get your deposit back first, and then let's hear what a second lender \
                says.",
        ],
    ),
    talk(
        &["They took another offer? That's really disappointing."],
        &["I know, {name}, it stings. You did everything right. I'll keep my eyes open for you."],
    ),
];

/// Keys.
pub const WON: &[Talk] = &[talk(
    &[
        "We have the keys! Thank you for everything, {agent}.",
        "All signed. Couldn't have done it without you, thanks so much.",
        "Closed this morning! My {partner} is already painting.",
        "Thank you thank you. I'll send my sister your way, she's looking too.",
    ],
    &[
        "Congratulations, {name}! Welcome home. Enjoy every minute.",
        "It was a joy working with you. Call me any time you need a plumber or a recommendation!",
        "So happy for you. I'll drop off something for the new kitchen.",
    ],
)];
