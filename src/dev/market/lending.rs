//! What people say who borrow for a home, and what their loan officers answer; doubts and farewells
//! are in `lending_doubts`.

use crate::dev::market::lending_doubts;
use crate::dev::market::talk::{Moment, Talk, talk};

/// What may be said at a moment.
#[must_use]
pub fn talks(moment: Moment) -> &'static [Talk] {
    match moment {
        Moment::Opening => OPENING,
        Moment::Welcome => WELCOME,
        Moment::Called => CALLED,
        Moment::CallMissed => CALL_MISSED,
        Moment::Knock => KNOCK,
        Moment::Needs => NEEDS,
        Moment::Question => QUESTION,
        Moment::SmallTalk => SMALL_TALK,
        Moment::Warm => WARM,
        Moment::Urgent => URGENT,
        Moment::Hesitant => HESITANT,
        Moment::Ready => READY,
        Moment::Viewing => VIEWING,
        Moment::Reminder => REMINDER,
        Moment::Moved => MOVED,
        Moment::Cancelled => CANCELLED,
        Moment::Missed => MISSED,
        Moment::Liked => LIKED,
        Moment::Disliked => DISLIKED,
        Moment::Offer => OFFER,
        Moment::Contract => CONTRACT,
        Moment::FellThrough => FELL_THROUGH,
        Moment::Won => WON,
        Moment::Remind => REMIND,
        Moment::FollowUp => FOLLOW_UP,
        Moment::Comeback => COMEBACK,
        Moment::OptOut => OPT_OUT,
        Moment::Complaint => COMPLAINT,
        Moment::TooSlow => TOO_SLOW,
        Moment::Settled => SETTLED,
        Moment::Unsettled => UNSETTLED,
        Moment::Objection(kind) => lending_doubts::objection(kind),
        Moment::Lost(reason) => lending_doubts::farewell(reason),
    }
}

const OPENING: &[Talk] = &[
    talk(
        &["Hi, what's your rate on a 30 year fixed today?", "What are 30 year rates at right now?"],
        &[
            "Hi {name}, {agent} here. Today it's around {rate} with no points. To give you your \
                own number: price, down payment and a rough credit score?",
            "Hello {name}! {rate} for a strong file today. Ten minutes and three questions get you \
                an honest quote: price, down payment, credit score?",
        ],
    ),
    talk(
        &[
            "Hello, I'd like to know what it takes to get pre-approved.",
            "My realtor gave me your name. I need a mortgage for a place in {area}.",
            "Hi, first time buyer here and no idea where to start with a loan.",
        ],
        &[
            "Thanks for reaching out, {name}. It depends on a few things. What price range, and \
                how much would you put down?",
            "Hi {name}, {agent} here. Happy to help! To give you a real number: purchase price, \
                down payment, and a rough credit score?",
            "Hello {name}! It's less work than it sounds. What price are you looking at, and \
                roughly what's your credit score?",
        ],
    ),
    talk(
        &[
            "We're looking at a house for {price}. Can you tell us what we'd qualify for?",
            "Found a place in {area} for {price}. What would a loan cost me?",
        ],
        &[
            "Hi {name}, {agent} here, nice! Two more numbers and I can tell you: how much down, \
                and roughly what credit score?",
            "Thanks for reaching out, {name}. At {price} it mostly depends on the down payment and \
                your score. What are those, about?",
        ],
    ),
];
const WELCOME: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} here. You asked for a quote on our site. What price range are you \
            looking at, and how much would you put down?",
        "Hi {name}, thanks for using our calculator. Want me to turn that into a real quote? I'd \
            need the price and a rough credit score.",
    ],
)];
const CALLED: &[Talk] = &[talk(
    &[],
    &[
        "Good talking to you, {name}. {agent} here, so you have my number. Send me price, down \
            payment and score and I'll run it.",
        "Thanks for calling, {name}. As promised: what I need is the price, the down payment and a \
            rough credit score.",
    ],
)];
const CALL_MISSED: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} here, sorry I missed your call. What price range are you looking at?",
        "Hi {name}, I saw that you called. Is it about a purchase or a refinance, and roughly what \
            amount?",
    ],
)];
const KNOCK: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} again. Three numbers and you'll have a quote today: price, down \
            payment, score.",
        "Hi {name}, would a five minute call be easier? No credit check needed.",
        "{name}, just making sure my message got through. Are you still looking at financing?",
        "Hi {name}, if you already have a lender, I'm glad to give you a second opinion on the \
            estimate.",
    ],
)];
const NEEDS: &[Talk] = &[talk(
    &[
        "Around {price}, 10% down, credit score about 720.",
        "{budget} tops. I can put down $40,000, score is 690 I think",
        "Price is {price} and we have 20%. Both of us are salaried.",
        "I'm self-employed, two years of returns. Looking at {budget}.",
        "We'd buy for about {price} in {area}. VA if possible, no down payment.",
    ],
    &[
        "Thanks, that's all I need for now. I'll send two options side by side today.",
        "That's a solid starting point. Expect roughly {payment} a month before taxes, details to \
            follow.",
        "Good. I'll run it both ways, fixed and with a point, and send you the numbers.",
    ],
)];
const QUESTION: &[Talk] = &[
    talk(
        &["What are the closing costs going to be?", "How much cash do I need at closing?"],
        &[
            "Plan for 2 to 3% of the loan plus your down payment. I'll itemize every line so there \
                are no surprises.",
            "About 2.5% all in. You'll see each fee on the estimate.",
        ],
    ),
    talk(
        &["Is the {rate} APR or just the rate?"],
        &[
            "That's the rate. With fees the APR comes out a bit higher, both are on the estimate.",
            "Just the rate. APR is next to it on page 3 of the estimate.",
        ],
    ),
    talk(
        &["Can my parents' gift count toward the down payment?"],
        &[
            "Yes, with a short gift letter. I'll send you the template.",
            "It can, all of it. They sign one page and show the transfer.",
        ],
    ),
    talk(
        &["Do you do FHA loans?", "Would FHA be better for me?"],
        &[
            "We do, and VA as well. Let me show you FHA next to conventional.",
            "It depends on the score. Above 700 conventional usually wins, I'll send both.",
        ],
    ),
    talk(
        &["Is there a penalty if I pay it off early?"],
        &[
            "None. Pay as much as you like, whenever you like.",
            "No penalty. I can show you what one extra payment a year does.",
        ],
    ),
    talk(
        &["How long is the rate lock good for?"],
        &[
            "45 days, and I can extend it once if the closing slips.",
            "It holds for 45 days, that covers a normal closing.",
        ],
    ),
    talk(
        &["When should I lock the rate?"],
        &[
            "Once you have an address. It's free and holds for 45 days.",
            "As soon as your offer is accepted. Until then I watch it for you.",
        ],
    ),
    talk(
        &["Does checking my rate hurt my credit?", "Is it a hard credit pull?"],
        &[
            "For the quote it's a soft pull, nothing shows. The hard one comes with the \
                application.",
            "Not for this. And several lenders within two weeks count as one.",
        ],
    ),
    talk(
        &["What would the monthly payment be with taxes?", "How much a month would that be?"],
        &[
            "About {payment} for the loan, and I'd add {fee} for taxes and insurance.",
            "Roughly {payment} before taxes and insurance.",
        ],
    ),
];
const SMALL_TALK: &[Talk] = &[
    talk(
        &["Sorry, tax season, I'm swamped.", "Sorry for the delay, we had family over."],
        &["No problem, {name}. I'll be here.", "Understood! Whenever you get a minute."],
    ),
    talk(
        &["I read three articles about points and now know less than before"],
        &[
            "Ha, that's the usual effect. I'll put it on half a page for you.",
            "You and everyone. Five minutes by phone and it's clear, promise.",
        ],
    ),
    talk(
        &["Thank you for explaining, much appreciated.", "Thanks, very clear."],
        &["You're welcome, {name}.", "Any time, that's what I'm here for."],
    ),
];
const WARM: &[Talk] = &[talk(
    &[
        "That payment works for me.",
        "Oh nice, that's lower than I thought. Thanks!",
        "Looks good, and I appreciate that you spelled out the fees.",
        "Sounds great, what do you need from me?",
        "We're interested in the second option.",
    ],
    &[
        "Glad to hear it. Shall we go through it by phone so you know every number?",
        "Great. A short call and we can get the application started. When would suit you?",
        "Good choice. Let's find twenty minutes to go over the details.",
    ],
)];
const URGENT: &[Talk] = &[talk(
    &[
        "Our offer got accepted, we have to close in {weeks} weeks!",
        "I need a letter this week, there's another buyer.",
        "My rate lock with {lender} expires next week so this has to move.",
        "As soon as possible please, the sellers are pushing.",
    ],
    &[
        "We can do that. Get me the documents today and underwriting looks at it first thing.",
        "Understood, you'll have what you need in time. I'll put my name on it.",
        "Okay, then we start right now. Check your email for the link.",
    ],
)];
const HESITANT: &[Talk] = &[
    talk(
        &[
            "I'm not sure, maybe rates drop in the spring.",
            "Not right now, we'd rather wait for rates to come down.",
        ],
        &[
            "They might. Want me to show what waiting six months would cost or save?",
            "Sure. I'll watch the rate for you and text when it moves.",
        ],
    ),
    talk(
        &[
            "Let me think about it.",
            "Not right now, I'm only comparing for the moment.",
            "Need to look at our finances first, will get back to you",
        ],
        &[
            "Of course, take your time. The quote is good for a week and I can rerun it any day.",
            "Makes sense, {name}. I'm here when you have questions.",
        ],
    ),
];
const READY: &[Talk] = &[talk(
    &[
        "Uploaded the pay stubs and the W-2s.",
        "I've sent everything on the list for the pre-approval. Anything missing?",
        "Just signed the credit check form for the pre-approval.",
    ],
    &[
        "All here, thank you! You're pre-approved up to {budget}, the letter is in your inbox.",
        "Perfect, nothing missing. Pre-approval for {budget} is done, congratulations.",
    ],
)];
const VIEWING: &[Talk] = &[talk(
    &[
        "Could we talk by phone? {day} at {hour} would suit me.",
        "Can I book a call for {day}, {hour}?",
        "I'd rather visit the office. Is {day} {hour} possible?",
        "Let's schedule a call. {day} around {hour}?",
    ],
    &[
        "{day} at {hour} is yours. I'll have the numbers ready.",
        "Booked for {day} {hour}. Have your last two pay stubs handy.",
        "Works for me, {name}. {day} at {hour} it is.",
    ],
)];
const REMINDER: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, we're on for {day} at {hour}. Have your questions ready!",
        "Reminder of our appointment {day} {hour}, {name}. Twenty minutes should do.",
    ],
)];
const MOVED: &[Talk] = &[talk(
    &[
        "Sorry, can we do {day} {hour} instead?",
        "Stuck in meetings. Could we push it to {day}, {hour}?",
    ],
    &["No problem, {day} {hour}.", "Sure, I've moved it to {day} at {hour}."],
)];
const CANCELLED: &[Talk] = &[talk(
    &[
        "I have to cancel our appointment, we're not ready yet.",
        "Please cancel {day}, we want to think about it.",
        "Need to cancel, something came up. I'll get back to you.",
    ],
    &[
        "Understood. I'll check back next week unless you'd rather I didn't.",
        "Thanks for letting me know. The quote stays open until Friday.",
    ],
)];
const MISSED: &[Talk] = &[talk(
    &["So sorry I missed our call, I was driving.", "Sorry, forgot all about it. Crazy week."],
    &["No worries. Would another day be better?", "It happens! Text me when you have ten minutes."],
)];
const LIKED: &[Talk] = &[talk(
    &[
        "Thanks for your time today, that cleared up a lot.",
        "Appreciate you walking me through it. I feel good about this.",
        "That was really helpful, thank you.",
    ],
    &[
        "My pleasure. The next step is the application link I just sent.",
        "Glad to hear it. As soon as you apply I can lock the rate.",
    ],
)];
const DISLIKED: &[Talk] = &[talk(
    &[
        "After our talk I'm more confused about the fees, honestly.",
        "Thanks for your time but those closing costs are a lot higher than I expected.",
    ],
    &[
        "Sorry about that. I'll put every fee on one page with a plain explanation.",
        "Fair. Let me see which of those I can take off or roll in.",
    ],
)];
const OFFER: &[Talk] = &[
    talk(
        &[
            "Got the loan estimate. Can you lock {rate}?",
            "We want to go ahead with the 30 year at {rate}.",
        ],
        &[
            "Locking it now. You'll get the disclosures to sign within the hour.",
            "Done. I'll order the appraisal as soon as you sign.",
        ],
    ),
    talk(
        &[
            "Let's do it. Where do I sign the application?",
            "Ok, we're going with you. Send me the application please.",
        ],
        &[
            "Great, the application is in your inbox, 20 minutes and you're done.",
            "Wonderful, {name}. The link is on its way and I'm here if a question is unclear.",
        ],
    ),
];
const CONTRACT: &[Talk] = &[talk(
    &[
        "We got the conditional approval, yay! What's left?",
        "Appraisal came in fine. When do we close?",
    ],
    &[
        "Just the insurance binder and one updated statement, then we can set the closing date.",
        "Nearly there: final sign-off from underwriting, then clear to close.",
    ],
)];
const FELL_THROUGH: &[Talk] = &[
    talk(
        &["So underwriting said no because of the new job?"],
        &[
            "Yes, they want 30 days of pay stubs. I'm sorry, {name}. We can resubmit after that if \
                you wish.",
            "I'm afraid so. I argued the case twice. In a month it looks different.",
        ],
    ),
    talk(
        &["The house didn't appraise and the sellers won't budge."],
        &[
            "I'm sorry, {name}. Your documents stay valid for 60 days if you find another one.",
            "That hurts. Your approval still stands for another house, let's use it.",
        ],
    ),
];
const WON: &[Talk] = &[talk(
    &[
        "Funded! Thank you so much {agent}.",
        "We closed today, thanks for making it painless.",
        "All done, keys in hand. Thank you!",
    ],
    &[
        "Congratulations, {name}! Enjoy your new home.",
        "So happy for you. Call me any time rates drop.",
    ],
)];
const REMIND: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, did you have a chance to look at the numbers?",
        "Just checking in, {name}. Any questions so far?",
        "Hi {name}, {agent} here. Did my last message reach you?",
        "Tried you by phone earlier, {name}. What time works best?",
    ],
)];
const FOLLOW_UP: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, we have a new program with less down. Want to see what it does for you?",
        "Hi {name}, rates came down an eighth this morning. Want an updated quote?",
        "{name}, {agent} here. Is there anything holding you back that I can clear up?",
        "Just checking in, {name}. Are you still looking for a place in {area}?",
        "Happy to answer any questions on the quote. A quick text is fine.",
        "Hi {name}, your quote runs out this week. Shall I refresh it?",
    ],
)];
const COMEBACK: &[Talk] = &[talk(
    &[
        "Hi, sorry for the silence. Is that {rate} still available?",
        "We found a house! Can we pick up where we left off?",
        "Hey {agent}, back from travel. Still interested in the pre-approval.",
    ],
    &[
        "Welcome back! Let me rerun the numbers, two minutes.",
        "Great timing, {name}. Your file is still here, we only need to refresh one statement.",
    ],
)];
const OPT_OUT: &[Talk] = &[talk(
    &[
        "STOP",
        "Please stop calling me, I get ten of these a day.",
        "Remove me from your list.",
        "unsubscribe",
    ],
    &[],
)];
const COMPLAINT: &[Talk] = &[talk(
    &[
        "I wrote two days ago and never heard back.",
        "Nobody called me back, so I'm asking again.",
        "Still waiting for an answer...",
    ],
    &[
        "I'm sorry, {name}, that shouldn't happen. I have everything in front of me now.",
        "You're right, my apologies. You'll have it within the hour, and here's my direct line.",
    ],
)];
const TOO_SLOW: &[Talk] = &[talk(
    &[
        "Rates move every day and I wait a day for each answer. I need someone faster.",
        "With our closing date I can't wait this long for every reply.",
    ],
    &[
        "I'm sorry, {name}. You're right, and I understand if you look elsewhere.",
        "That's fair. My apologies, {name}, I should have been quicker.",
    ],
)];
const SETTLED: &[Talk] = &[talk(
    &[
        "Ok that explains it, thanks.",
        "Good, I can live with that.",
        "Alright, thanks for being upfront.",
    ],
    &["Any time.", "Great. I'll prepare the next step."],
)];
const UNSETTLED: &[Talk] = &[talk(
    &[
        "Hmm, I'm still not comfortable with that.",
        "I see, but it doesn't change the math for us.",
        "Not convinced, to be honest.",
    ],
    &[
        "Understood. Let me see if another program fits better.",
        "Okay, thank you for telling me. I'll think about what else I can do.",
    ],
)];
