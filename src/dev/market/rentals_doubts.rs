//! The words of people who doubt about an apartment, or leave.

use crate::dev::market::talk::{Reason, Talk, talk};
use crate::domain::lexicon::ObjectionKind;

/// An objection and what the agent answers.
#[must_use]
pub fn objection(kind: ObjectionKind) -> &'static [Talk] {
    match kind {
        ObjectionKind::Price => PRICE,
        ObjectionKind::Financing => FINANCING,
        ObjectionKind::Timing => TIMING,
        ObjectionKind::Location => LOCATION,
        ObjectionKind::Condition | ObjectionKind::NoNeed | ObjectionKind::Other => CONDITION,
        ObjectionKind::Trust => TRUST,
        ObjectionKind::Competitor => COMPETITOR,
        ObjectionKind::Authority => AUTHORITY,
    }
}

/// A farewell.
#[must_use]
pub fn farewell(reason: Reason) -> &'static [Talk] {
    match reason {
        Reason::Competitor => LOST_COMPETITOR,
        Reason::Price => LOST_PRICE,
        Reason::Postponed => LOST_POSTPONED,
        Reason::NoFit => LOST_NO_FIT,
        Reason::Financing => LOST_FINANCING,
        Reason::NoResponse | Reason::OptedOut | Reason::FellThrough => LOST_NO_RESPONSE,
    }
}

const PRICE: &[Talk] = &[
    talk(
        &[
            "{price} is too high for me.",
            "That's over my budget, I can do {budget} at most.",
            "A bit steep for a {beds} bedroom in {area}.",
        ],
        &[
            "I hear you. With the free weeks it comes down to {low} over the year. Would that \
                work?",
            "Understood. There's a smaller one on the second floor for {low}. Want to see it?",
        ],
    ),
    talk(
        &[
            "The rent is ok but the fees are too much money on top.",
            "The place across the street is cheaper.",
        ],
        &[
            "Let me see if we can waive the admin fee, I'll ask my manager.",
            "Compare what's included: water, trash and the gym are in ours. I'll send you a side \
                by side.",
        ],
    ),
];
const FINANCING: &[Talk] = &[talk(
    &[
        "I have bad credit from student loans, will that be a problem?",
        "I just started my job, I only have one pay stub.",
    ],
    &[
        "Often not. A cosigner or a bigger deposit solves it most of the time.",
        "An offer letter is enough for us. Send it with the application.",
    ],
)];
const TIMING: &[Talk] = &[talk(
    &[
        "It's too soon for me, my lease runs another {weeks} weeks.",
        "Not a good time, I haven't given notice yet.",
    ],
    &[
        "We can hold it up to three weeks from the day you sign.",
        "No problem, I'll ask when the next one opens up. There's usually one each month.",
    ],
)];
const LOCATION: &[Talk] = &[talk(
    &[
        "It's too far from campus.",
        "That's a long commute, {minutes} minutes with two buses.",
        "Wrong area for me, I work on the other side of town.",
    ],
    &[
        "The express stops two blocks away, I'd try the ride once.",
        "Got it. We manage two buildings closer in, I'll check what's free there.",
    ],
)];
const CONDITION: &[Talk] = &[talk(
    &[
        "It's too small for two people.",
        "The bathroom looks run down in the pictures.",
        "A bar downstairs? Too noisy for us.",
    ],
    &[
        "Good point, there's another unit in the back of the building that's bigger and quieter.",
        "That's fair. They're repainting and redoing the bath before move-in, I'll send photos.",
    ],
)];
const TRUST: &[Talk] = &[talk(
    &[
        "Is this legit? I've seen so many fake ads.",
        "Sounds like a scam to pay an application fee before I've seen it.",
        "How do I know I get my deposit back?",
    ],
    &[
        "I get it. Come by the office, look at the unit, and pay nothing before that.",
        "Good question. It's in the lease in plain words, and we do a video of the unit on day one \
            so there's no argument later.",
    ],
)];
const COMPETITOR: &[Talk] = &[talk(
    &[
        "Another building offers six weeks free.",
        "I'm also talking to another agent who has something in {area}.",
    ],
    &[
        "That's a good deal. Check whether the rent is higher afterwards. Ours stays the same for \
            two years.",
        "Sure, compare! I'll hold yours until tomorrow evening.",
    ],
)];
const AUTHORITY: &[Talk] = &[talk(
    &[
        "I need to talk to my {partner} first.",
        "My roommate has to see it too.",
        "I have to ask my parents, they'd cosign.",
    ],
    &[
        "Of course. I can do a video call from the apartment so everyone can see it.",
        "Makes sense. Send me their email and I'll include them.",
    ],
)];
const LOST_COMPETITOR: &[Talk] = &[talk(
    &[
        "Hi, I already found another apartment. Thanks!",
        "We signed with another building yesterday, thank you though.",
        "Got something closer to work. Thanks for your time!",
    ],
    &[
        "Congrats, {name}! If you need us next year, you know where I am.",
        "Thanks for telling me, enjoy the new place!",
    ],
)];
const LOST_PRICE: &[Talk] = &[talk(
    &[
        "Sorry, it's out of my budget after all. I'll get a roommate instead.",
        "I can't afford it with the deposit on top. Thanks anyway.",
    ],
    &[
        "I understand, {name}. If a smaller one opens up I'll tell you, if you like.",
        "No problem, good luck!",
    ],
)];
const LOST_POSTPONED: &[Talk] = &[talk(
    &[
        "I renewed my lease, so I'm no longer looking.",
        "My start date moved to next year, so I don't need it now.",
    ],
    &["Thanks for the update. Talk next year!", "Understood, {name}. Have a good one."],
)];
const LOST_NO_FIT: &[Talk] = &[talk(
    &[
        "Thanks but I'm not interested, it's just not for me.",
        "I'll pass on this one and look in another part of town. Thank you!",
    ],
    &["All good, thanks for letting me know.", "Understood, {name}. Best of luck!"],
)];
const LOST_FINANCING: &[Talk] = &[talk(
    &[
        "I couldn't get approved, so I'll stay with family for now.",
        "No cosigner, so I guess that's it. Thanks for trying.",
    ],
    &[
        "I'm sorry, {name}. Reach out in a few months and we'll try again.",
        "Sorry to hear that. Take care, {name}.",
    ],
)];
const LOST_NO_RESPONSE: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, I'll take you off the list for {street} for now. Text me if you're still \
            looking!",
        "I'll stop bugging you, {name}. Good luck with the search!",
    ],
)];
