//! The words of people who doubt about a loan, or leave.

use crate::dev::market::talk::{Reason, Talk, talk};
use crate::domain::lexicon::ObjectionKind;

/// An objection and what the loan officer answers.
#[must_use]
pub fn objection(kind: ObjectionKind) -> &'static [Talk] {
    match kind {
        ObjectionKind::Price | ObjectionKind::NoNeed | ObjectionKind::Other => PRICE,
        ObjectionKind::Financing | ObjectionKind::Condition => FINANCING,
        ObjectionKind::Timing | ObjectionKind::Location => TIMING,
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
        Reason::Postponed | Reason::NoFit => LOST_POSTPONED,
        Reason::Financing => LOST_FINANCING,
        Reason::NoResponse | Reason::OptedOut | Reason::FellThrough => LOST_NO_RESPONSE,
    }
}

const PRICE: &[Talk] = &[
    talk(
        &["{rate} is too high.", "{payment} a month is over our budget."],
        &[
            "I hear you. A point would bring it down, or a 7 year fixed. I'll put both next to it.",
            "What monthly payment would feel comfortable? I'll work backwards from there.",
        ],
    ),
    talk(
        &["The fees are a bit steep compared to what I read online."],
        &[
            "Fair. Let's go line by line, some of those aren't mine and can be shopped.",
            "I can trade most of my fee for a slightly higher rate. Let me show you both.",
        ],
    ),
];
const FINANCING: &[Talk] = &[
    talk(
        &["I have bad credit, 610 last time I checked."],
        &[
            "That's workable. Paying one card below 30% often adds 20 points within a month, I'll \
                show you which.",
            "610 is enough for FHA. Let's see what it would look like.",
        ],
    ),
    talk(
        &["We don't have much for a down payment."],
        &[
            "There are programs from 3% down. Let's see which one you fit.",
            "The state has a grant for that, up to $10,000. I'll check whether you qualify.",
        ],
    ),
    talk(
        &["My loan was denied elsewhere last year."],
        &[
            "What was the reason they gave? Often it's fixed by now.",
            "That happens more than you'd think. Send me the letter and I'll tell you straight \
                whether I see it differently.",
        ],
    ),
];
const TIMING: &[Talk] = &[
    talk(
        &["It's not a good time, my {partner} just changed jobs."],
        &[
            "Understood. A new job in the same field is usually no obstacle, after one pay stub we \
                can start.",
            "That's fine. We can do the first step now and wait for the pay stub.",
        ],
    ),
    talk(
        &["Too soon for us, we haven't found a house."],
        &[
            "Actually that's the best moment. The letter is free and sellers will ask for it.",
            "No rush. I'd still get the letter ready, it holds for 90 days.",
        ],
    ),
];
const TRUST: &[Talk] = &[
    talk(
        &["How do I know the rate won't change at closing?"],
        &[
            "Once it's locked it's in writing, I'll send the lock confirmation the same hour.",
            "Good question. The lock agreement says so on page one, I'll mark it for you.",
        ],
    ),
    talk(
        &["Is this legit? I've never heard of you guys."],
        &[
            "Healthy question. You'll find our license on the NMLS site, and you're welcome to \
                visit the office.",
            "We're local and small. Look us up on NMLS, and I'm happy to give you two references.",
        ],
    ),
    talk(
        &["I don't trust online lenders with my SSN."],
        &[
            "Understandable. No need for it yet, I can quote you without a credit pull.",
            "Then don't send it. You can bring it to the office when we get that far.",
        ],
    ),
];
const COMPETITOR: &[Talk] = &[
    talk(
        &["{lender} offered me an eighth less.", "We have a quote from another lender already."],
        &[
            "Send me their estimate and I'll tell you honestly which is better. Sometimes it's \
                theirs.",
            "Good, you should have two. Look at section A and the points, that's where they \
                differ.",
        ],
    ),
    talk(
        &["Another bank waives the appraisal fee."],
        &[
            "Nice perk. Compare the APR too, it has to come from somewhere.",
            "I can't waive it, but I can credit it at closing. Let me ask.",
        ],
    ),
];
const AUTHORITY: &[Talk] = &[
    talk(
        &["I need to talk to my {partner} first."],
        &[
            "Of course. A short call with both of you, maybe this week?",
            "Sure. I'll put the facts on one page you can both look at.",
        ],
    ),
    talk(
        &["My {partner} has to sign too and is traveling."],
        &[
            "No problem, it can be signed from a phone anywhere.",
            "That's fine, we can start with yours and add the second signature later.",
        ],
    ),
];
const LOST_COMPETITOR: &[Talk] = &[talk(
    &[
        "We went with another lender, sorry.",
        "Signed with another bank yesterday. Thanks for your time.",
    ],
    &["Thanks for telling me, {name}. If the closing wobbles, call me.", "All the best with it!"],
)];
const LOST_PRICE: &[Talk] = &[talk(
    &[
        "The payment is more than we can do. We're staying put.",
        "Rates are too high for us, we'll keep renting.",
    ],
    &["I understand. I'll let you know if they come down.", "A sound decision, {name}. Take care."],
)];
const LOST_POSTPONED: &[Talk] = &[talk(
    &[
        "We decided to wait until next year.",
        "Not buying for now after all, thanks.",
        "Plans changed, we don't need the loan anymore.",
    ],
    &[
        "Thanks for letting me know. Your file stays here.",
        "Understood, {name}. Good luck with everything.",
    ],
)];
const LOST_FINANCING: &[Talk] = &[talk(
    &["So it's a no then. Ok. Thanks for trying.", "We can't get the down payment together."],
    &[
        "I'm sorry, {name}. Let's set a plan for six months from now.",
        "I understand. The door is open whenever you're ready.",
    ],
)];
const LOST_NO_RESPONSE: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, I haven't heard back so I'll close the file for now. Write any time.",
        "I'll leave you in peace, {name}. Your quote can be refreshed whenever you like.",
    ],
)];
