//! The words of people who doubt about a home, or leave.

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
            "{price} is too high for us, sorry.",
            "That's above our budget. We said {budget} max.",
            "Nice but too expensive for what it is.",
        ],
        &[
            "I hear you. It's been listed a while, so {low} isn't out of reach. And I have two \
                others closer to {budget}.",
            "Let's look at it monthly: about {payment}. If that's too much, I'll lower the search \
                and see what's there.",
        ],
    ),
    talk(
        &[
            "{price} for {beds} bedrooms? Seems a bit steep.",
            "The one on the next block sold for {low}. Why would we pay {price}?",
        ],
        &[
            "Fair question. That one needed a roof. I'll send you three recent sales so you can \
                judge for yourself.",
            "I'd negotiate too. {low} is a reasonable place to start and the sales nearby back it \
                up.",
        ],
    ),
];
const FINANCING: &[Talk] = &[
    talk(
        &["Rates are too high right now, {rate} would kill us."],
        &[
            "Sellers are paying for rate buydowns right now. On this one it would save you around \
                {fee} a month.",
            "I get it. Some buyers take a shorter fixed period and refinance later. A lender can \
                show you both.",
        ],
    ),
    talk(
        &[
            "I have bad credit from a divorce, not sure anyone will lend to us.",
            "Bank said we couldn't get approved with my student loan.",
        ],
        &[
            "That's more fixable than it feels. I can connect you with someone who does this every \
                day, no cost.",
            "You're not alone there. Different lenders count that very differently. A ten minute \
                call would tell you where you stand.",
        ],
    ),
    talk(
        &["We don't have 20% for a down payment."],
        &[
            "You don't need it. There are programs from 3.5% down, our lender can tell you in one \
                call which fit.",
            "Most of my first-time buyers don't. Let's see what 5% would look like monthly.",
        ],
    ),
];
const TIMING: &[Talk] = &[
    talk(
        &[
            "It's a bad time for us, my {partner} is between jobs.",
            "With the wedding coming up it's not a good time.",
        ],
        &[
            "Understood. Shall we plan backwards from your date so you don't have to rush later?",
            "That makes sense. I'll keep you posted quietly and you tell me when it's time.",
        ],
    ),
    talk(
        &["We're not ready yet, our lease runs another {weeks} months."],
        &[
            "That makes sense. We could ask for a longer closing, many sellers are open to it.",
            "{weeks} months goes fast. Landlords often let you out early if they find someone, I \
                can help with that.",
        ],
    ),
    talk(
        &["It's too soon, we haven't even listed our place."],
        &[
            "No problem. Let's use the time to get your own place ready, I can come by and give \
                you a value.",
            "We can make an offer that depends on your sale. Not every seller takes it, but these \
                might.",
        ],
    ),
];
const LOCATION: &[Talk] = &[talk(
    &[
        "{area} is too far from my office, it'd be {minutes} minutes each way.",
        "I like the house but it's the wrong area for us.",
        "That's a long commute with the bridge.",
        "Too far from the kids' school.",
    ],
    &[
        "Got it. If I find the same house closer in, what could it cost at most?",
        "Thanks, that narrows it down. I'll redraw the map tonight.",
        "Good to know. Try the drive once at rush hour before you rule it out, many are surprised.",
    ],
)];
const CONDITION: &[Talk] = &[
    talk(
        &["It needs too much work for us. The bathroom alone..."],
        &[
            "I see that. My contractor priced a bathroom like that at about $14,000, we can ask \
                the sellers to credit it.",
            "Understood. I can look for one that's done, it'll be a bit smaller for the same \
                money.",
        ],
    ),
    talk(
        &["It's too small, we'd outgrow it in a year."],
        &[
            "Good to think ahead. The attic is permitted for another bedroom, or I can show you a \
                bigger one for about the same.",
            "Then let's add a bedroom to the search. There are two in {area} near {budget}.",
        ],
    ),
    talk(
        &["The house is too old, I'd worry about the wiring."],
        &[
            "The wiring was redone in 2016, I'll send the permit. And with an inspection clause \
                you can walk away if anything is off.",
            "A fair worry. I'd bring an electrician to the inspection, I know a good one.",
        ],
    ),
    talk(
        &["We can hear the highway from the yard. Too noisy."],
        &[
            "You're right, you notice it outside. Indoors the windows are triple pane. Try it at \
                rush hour, then decide?",
            "That won't change, so I'd rather show you one further in.",
        ],
    ),
];
const TRUST: &[Talk] = &[
    talk(
        &["How do I know the flood thing is really fixed?"],
        &[
            "Fair question. I'll send you the invoice and the contractor's number, call him \
                without me.",
            "Have your own inspector look at exactly that. If it isn't, you walk.",
        ],
    ),
    talk(
        &["No offense but we had a bad experience with an agent before."],
        &[
            "Sorry that happened to you. I work for you alone, and everything I tell you, you'll \
                have in writing.",
            "None taken. Tell me what went wrong and I'll tell you how I handle it.",
        ],
    ),
    talk(
        &["Is this legit? The price looks too good."],
        &[
            "I'd ask too. It's an estate sale and they want it done this month. You can look me up \
                on the state license site.",
            "Healthy question. I'll send you the title report so you can see who owns it.",
        ],
    ),
    talk(
        &["I don't trust listing photos anymore."],
        &[
            "Can't blame you. I can do a live video walk-through when I'm there, no edits.",
            "Ha, same. I'll take a few with my phone, closets included.",
        ],
    ),
];
const COMPETITOR: &[Talk] = &[
    talk(
        &[
            "Another agent said she'd do it for 1% less.",
            "My cousin's friend has a license and would give us a better deal.",
        ],
        &[
            "Thanks for being open. I'd ask how many offers they got accepted in {area} this year, \
                and then compare us on that.",
            "Could be! Ask what's included. I handle the inspection, the lender and the title \
                company for you until the keys.",
        ],
    ),
    talk(
        &["We're also talking to another agent, just so you know."],
        &[
            "That's fine, you should compare. Give me this one house to show you how I work, no \
                strings.",
            "Thanks for telling me. Then I'd better be good!",
        ],
    ),
    talk(
        &["Why wouldn't I just use Zillow and call the listing agent?"],
        &[
            "You can, of course. The listing agent works for the seller though, and I'd be working \
                for you.",
            "You could. I'd just want someone on your side of the table when it comes to the \
                inspection.",
        ],
    ),
];
const AUTHORITY: &[Talk] = &[
    talk(
        &[
            "I need to talk to my {partner} before we go further.",
            "Let me ask my {partner}, I can't decide this alone.",
            "My {partner} has to see it first and is away until next week.",
        ],
        &[
            "Of course, it's a decision for both of you. Would a short video help, so you can \
                watch it together?",
            "Makes sense. Shall we find a time when you can both be there?",
        ],
    ),
    talk(
        &["My parents are helping with the down payment so they want a say."],
        &[
            "Sure. I'll put the facts on one page you can pass on.",
            "That's kind of them. Bring them along, I'm happy to answer their questions too.",
        ],
    ),
];
const LOST_COMPETITOR: &[Talk] = &[
    talk(
        &["Hi, we signed with another agent. Thanks for your help though."],
        &[
            "Thanks for telling me, {name}. I'm here if anything changes.",
            "I appreciate you letting me know. All the best!",
        ],
    ),
    talk(
        &[
            "We already found a place through a friend, so you can close our file.",
            "Just a heads up, we went with a new build. Thanks!",
        ],
        &[
            "Happy you found it! All the best with the move.",
            "Congratulations, {name}! Enjoy the new place.",
        ],
    ),
];
const LOST_PRICE: &[Talk] = &[talk(
    &[
        "We ran the numbers again and can't afford it. We'll keep renting.",
        "It's all out of our price range. We're giving up for now.",
        "Prices in {area} are just too high for us. Thanks anyway.",
    ],
    &[
        "I understand, {name}. If prices move I'll let you know, only if you'd like that.",
        "That's a sound decision. Good luck, and stay in touch.",
    ],
)];
const LOST_POSTPONED: &[Talk] = &[talk(
    &[
        "We decided to wait until next year.",
        "Job situation changed, so we're no longer looking.",
        "Renewed our lease for another year, so not for now.",
    ],
    &[
        "Thanks for letting me know. I'll check in next year, have a good one!",
        "Understood, {name}. The door's always open.",
    ],
)];
const LOST_NO_FIT: &[Talk] = &[talk(
    &[
        "We've decided to look in a different town, so we won't need you to keep searching.",
        "Nothing we've seen is quite it, so we'll stop here. Thank you for your time.",
        "I don't think we'll find what we need around {area}. We're not interested anymore, \
            thanks.",
    ],
    &[
        "Thanks for being straight with me, {name}. I hope you find the right one.",
        "Understood. If you ever look around {area} again, you have my number.",
    ],
)];
const LOST_FINANCING: &[Talk] = &[talk(
    &[
        "The bank said no, so that's that.",
        "Our loan was denied. We have to put this on hold.",
        "Couldn't get approved for enough. Thanks for trying.",
    ],
    &[
        "I'm sorry to hear that, {name}. A lender I know specializes in second tries, just say the \
            word.",
        "That's hard. Let's talk again whenever you're ready.",
    ],
)];
const LOST_NO_RESPONSE: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, I haven't heard back so I'll close your file for now. Write any time and I'll \
            pick it right up.",
        "I'll stop here so I don't clutter your phone, {name}. All the best with the search!",
    ],
)];
