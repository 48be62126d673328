//! What people say who buy a home, and what their agents answer; doubts are in `sales_doubts`,
//! visits and offers in `sales_visits`.

use crate::dev::market::talk::{Moment, Talk, talk};
use crate::dev::market::{sales_doubts, sales_visits};

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
        Moment::Viewing => sales_visits::VIEWING,
        Moment::Reminder => sales_visits::REMINDER,
        Moment::Moved => sales_visits::MOVED,
        Moment::Cancelled => sales_visits::CANCELLED,
        Moment::Missed => sales_visits::MISSED,
        Moment::Liked => sales_visits::LIKED,
        Moment::Disliked => sales_visits::DISLIKED,
        Moment::Offer => sales_visits::OFFER,
        Moment::Contract => sales_visits::CONTRACT,
        Moment::FellThrough => sales_visits::FELL_THROUGH,
        Moment::Won => sales_visits::WON,
        Moment::Remind => REMIND,
        Moment::FollowUp => FOLLOW_UP,
        Moment::Comeback => COMEBACK,
        Moment::OptOut => OPT_OUT,
        Moment::Complaint => COMPLAINT,
        Moment::TooSlow => TOO_SLOW,
        Moment::Settled => SETTLED,
        Moment::Unsettled => UNSETTLED,
        Moment::Objection(kind) => sales_doubts::objection(kind),
        Moment::Lost(reason) => sales_doubts::farewell(reason),
    }
}

const OPENING: &[Talk] = &[
    talk(
        &[
            "Hi, is {street} still available?",
            "Hello, I saw {street} online. Is it still on the market?",
            "Can you send me more info on {street}? The photos only show the living room.",
            "Hi, I'd like some details on the {beds} bedroom on {street}.",
            "Is {street} the one with the new roof? Could I get the disclosures?",
            "We drove past {street} yesterday and saw your sign. What can you tell me about it?",
            "Saw {street} on my lunch break and can't stop thinking about it. Is it taken?",
        ],
        &[
            "Hi {name}, {agent} here. Yes, {street} is available, listed at {price}. What are you \
                looking for: how many bedrooms, and is {area} a must?",
            "Thanks for getting in touch, {name}. It's available at {price}. So I can point you to \
                the right homes: how many bedrooms and what budget?",
            "Hi {name}! It's still on the market at {price}. I'm sending you the full sheet. What \
                matters most to you in the next place?",
        ],
    ),
    talk(
        &[
            "hey, what's the asking price on {street}? the site says call for price",
            "What is {street} going for? I couldn't find it anywhere.",
        ],
        &[
            "Hi {name}, this is {agent}. They're asking {price}. Is that in the range you had in \
                mind, and how many bedrooms do you need?",
            "Hi {name}, {price}, and it's been there for {days} days. What are you looking for in \
                general, so I know if there's a better match?",
        ],
    ),
    talk(
        &[
            "Hi there, we're starting to look in {area} and your name came up. Do you have time \
                this week?",
            "Good morning. My {partner} and I are relocating to {area} for work and need a place.",
            "Hello, a friend bought through you last year. We're thinking about {area} too.",
            "We're renting in {area} and would like to buy something nearby. Where do we start?",
        ],
        &[
            "Hello {name}, this is {agent}, thank you for reaching out! A few came on this week \
                around {area}. How many bedrooms do you need, and what budget feels right?",
            "Hi {name}, happy to help. Before I send a list, what matters most: space, commute, a \
                yard, or price?",
            "Hi {name}! {area} is my home turf. Tell me a bit about what you need and I'll have a \
                first list for you today.",
        ],
    ),
];
const WELCOME: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} here. I saw you were looking at {street}. What are you looking for, so \
            I can point you to the right homes?",
        "Hi {name}, this is {agent}. You asked about homes in {area}. How many bedrooms and what \
            budget should I look for?",
        "Hello {name}, {agent} from the {area} office. Got your request about {street}, it's \
            available at {price}. Is that about what you had in mind?",
    ],
)];
const CALLED: &[Talk] = &[talk(
    &[],
    &[
        "Good talking to you, {name}. As promised, here's {street}. How many bedrooms and what \
            budget should I search for?",
        "Thanks for calling, {name}! {agent} here, this is my direct number. Text me what you need \
            and I'll start looking.",
    ],
)];
const CALL_MISSED: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} here, sorry I missed your call. Was it about {street}? Tell me what \
            you're looking for and I'll help.",
        "Hi {name}, this is {agent}, I just saw that you called. What can I look up for you?",
    ],
)];
const KNOCK: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} again. Just making sure my message reached you.",
        "Hi {name}, is it still a home in {area} you're after? Two words are enough and I'll do \
            the rest.",
        "{name}, would a quick call be easier than texting? I'm around today.",
        "Hi {name}, in case it helps: I can send you what's new in {area} once a week, nothing \
            else.",
        "Hi {name}, are you still thinking about {street}? If you've moved on, that's fine too.",
    ],
)];
const NEEDS: &[Talk] = &[
    talk(
        &[
            "{beds} bedrooms at least, in {area} if possible. Our budget is {budget}.",
            "We'd like {beds} bedrooms, two baths, and somewhere to park. Ideally under {budget}.",
            "Something under {budget} with a yard for the dog. {beds} bedrooms is fine.",
            "Mostly a shorter commute. {area} or close by, {beds} bedrooms, quiet street.",
            "Schools matter most to us. {beds} bedrooms, {area}, up to {budget}.",
            "First place for us so nothing fancy. {beds} bedrooms and our budget is {budget}",
        ],
        &[
            "That helps a lot. {street} fits most of that at {price}. I'll send you that one and \
                two more tonight.",
            "Got it. I have three in {area} that match. {street} is the strongest, sending it over \
                now.",
            "Understood. I've set up a search so you get new ones the hour they list. Have a look \
                at {street} first.",
        ],
    ),
    talk(
        &["My mom is moving in with us so we need {beds} bedrooms and one on the ground floor. \
                Up to {budget}."],
        &[
            "Good to know, that rules out most of the split levels. {street} would do it at \
                {price}, I'll send the floor plan.",
            "Thanks {name}, that helps. {street} has a bedroom and full bath downstairs. Sending \
                it now.",
        ],
    ),
    talk(
        &["I work from home so I need one extra room for an office. Budget is {budget} or so"],
        &[
            "Got it. {street} has a small room off the living room that would do, {price}. Sending \
                the floor plan.",
            "Thanks {name}, that helps. {street} has exactly that, and fiber. I'll send it with \
                one more for comparison.",
        ],
    ),
];
const QUESTION: &[Talk] = &[
    talk(
        &["How much are the HOA fees?", "Is there an HOA on that one?"],
        &[
            "HOA is {fee} a month, water and snow removal included.",
            "It's {fee} a month. I'll send you the budget and the last two meeting minutes, they \
                look healthy.",
        ],
    ),
    talk(
        &["What are the property taxes like on that one?", "Do you know the taxes for {street}?"],
        &[
            "They were {tax} last year. I can pull the history if you want to see the trend.",
            "{tax} for last year, and there's no reassessment pending.",
        ],
    ),
    talk(
        &["Is there parking, and is it included?", "We have two cars. Is there parking?"],
        &[
            "Yes, one space behind the house, included. Street parking is easy there too.",
            "There's a garage for one, and the driveway takes a second car.",
        ],
    ),
    talk(
        &[
            "How old is the furnace? And has the basement ever flooded?",
            "Any water in the basement?",
        ],
        &[
            "Furnace is from 2018. No flooding disclosed, and there's a sump pump. I'll send you \
                the disclosure packet.",
            "Nothing disclosed. I'd still have the inspector look at it, and I'll send you the \
                disclosures tonight.",
        ],
    ),
    talk(
        &["How many square feet is it without the basement?", "What's the actual square footage?"],
        &[
            "About {sqft} above ground. The basement adds a good 400 more.",
            "{sqft} by the county record, not counting the basement.",
        ],
    ),
    talk(
        &["Do you know why they're selling?", "Why is it for sale again?"],
        &[
            "Job transfer. They'd like a quick close more than the last dollar.",
            "They're moving closer to their daughter and have already bought there.",
        ],
    ),
    talk(
        &["How long has it been on the market?", "Has it been sitting for long?"],
        &[
            "{days} days, with one price change so far.",
            "{days} days. A first buyer lost the financing, nothing to do with the house.",
        ],
    ),
    talk(
        &["Does the washer and dryer stay?", "Which appliances come with it?"],
        &[
            "Everything in the kitchen stays, and I can write the washer and dryer into an offer.",
            "Fridge, stove and dishwasher stay. The rest is up for discussion.",
        ],
    ),
    talk(
        &["What's the school district for {street}?", "Which elementary would the kids go to?"],
        &[
            "By the map it's the {area} district. Please check the boundary with the district \
                itself, they redraw it now and then.",
            "I'll send you the district's own lookup page, that's the reliable source.",
        ],
    ),
    talk(
        &[
            "What would the monthly payment be with 10% down?",
            "Roughly what would we pay per month?",
        ],
        &[
            "At {price} with 10% down it's around {payment} a month before taxes and insurance.",
            "Around {payment} plus taxes and insurance. A lender can give you the exact figure in \
                ten minutes.",
        ],
    ),
    talk(
        &["Have there been any other offers?", "Is anyone else looking at it?"],
        &[
            "One that fell short. The sellers would rather have a clean offer than a high one.",
            "Two showings this week that I know of, no offer so far.",
        ],
    ),
];
const SMALL_TALK: &[Talk] = &[
    talk(
        &[
            "Sorry, was at my kid's game. Will look at it tonight.",
            "Hectic day at work, I'll read this properly later.",
        ],
        &[
            "No rush, {name}. Hope it was a good one!",
            "Of course. It'll be there when you have a minute.",
        ],
    ),
    talk(
        &[
            "Ha, the dog in the photos looks just like ours",
            "That mint green bathroom made my day, so 70s",
        ],
        &[
            "Ha! I'll make sure to mention it to the owners.",
            "Right? There's more charm like that in person.",
        ],
    ),
    talk(
        &["Hope you're staying dry over there!", "Did you survive the storm?"],
        &[
            "Barely! Thanks for asking. Talk soon, {name}.",
            "All good here, a few branches down. Hope you're fine as well!",
        ],
    ),
    talk(
        &["Thank you, that's really helpful.", "Great, thanks for the quick info!"],
        &["Any time, {name}.", "You're welcome! Just text me whenever something comes to mind."],
    ),
];
const WARM: &[Talk] = &[
    talk(
        &[
            "Oh I love the kitchen in that one",
            "{street} looks great, that's pretty much what we pictured.",
            "My {partner} really likes {street} too. The yard sold us.",
            "Ok {street} I like. Light, big windows, close to the train.",
            "We walked the block on the weekend, felt right. We're interested.",
            "Wow, that's a lot of house for {price}. Looks great.",
        ],
        &[
            "I had a feeling you'd like it. Want me to get you in before the weekend crowd?",
            "Great to hear! It's even better in person. Which day would work for a quick look?",
            "So glad. There are two other parties asking, so I'd see it soon. Shall I look at \
                times?",
        ],
    ),
    talk(
        &[
            "Thanks for these! {street} looks perfect for us.",
            "Out of the ones you sent {street} is the winner.",
        ],
        &[
            "My favorite as well. When could you both come and see it?",
            "Good choice. I'll pull the comps so you know what's fair. Would you like to walk \
                through it this week?",
        ],
    ),
];
const URGENT: &[Talk] = &[
    talk(
        &[
            "Our lease ends in {weeks} weeks so we need to move in by then.",
            "I start the new job next month, so sooner is better.",
            "We'd want to move as soon as possible, honestly.",
            "Landlord is selling, we have to be out by the end of next month.",
        ],
        &[
            "That's doable if we move this week. Let's line up two or three to see and have your \
                lender letter ready.",
            "Thanks for telling me. I'll only send you homes that can close in time.",
            "Okay, tight but fine. I'll ask the sellers of {street} about an early closing and get \
                back to you.",
        ],
    ),
    talk(
        &["We sold our place and close in {weeks} weeks. We need something right away."],
        &[
            "Congratulations on the sale! Then {street} first, they can close fast. I'll also ask \
                about a short rent-back on yours.",
            "Good problem to have. A rent-back of 30 days would take the pressure off, I'll draft \
                the wording.",
        ],
    ),
    talk(
        &["Baby is due in {weeks} weeks, we'd like to be settled before that!"],
        &[
            "How exciting, congratulations! Then only homes you can move straight into. {street} \
                is one of them.",
            "Congratulations to you both! We'll make it work, I'll line things up so you only come \
                out once.",
        ],
    ),
];
const HESITANT: &[Talk] = &[
    talk(
        &[
            "We're not in a hurry, just seeing what's out there for now.",
            "I want to look around a bit more first.",
            "Not right now, work is crazy. Maybe later this year.",
            "Can I get back to you after the holidays?",
        ],
        &[
            "No pressure at all. I'll keep an eye out and only write when something really fits.",
            "Makes sense. I'll check in in a couple of weeks, and you can text me any time.",
            "Sure. I'll leave the search running so you see what comes up.",
        ],
    ),
    talk(
        &[
            "Let me think about it and I'll get back to you.",
            "Hmm not sure. It's nice but I don't feel it.",
            "It's okay I guess. Nothing about it jumps out.",
        ],
        &[
            "Of course. What would have to be different for one to feel right?",
            "Fair enough, {name}. Take your time, I'll send one or two that are a little \
                different.",
        ],
    ),
    talk(
        &[
            "idk, we keep going back and forth on buying vs renting another year",
            "Honestly not sure yet whether buying makes sense for us.",
        ],
        &[
            "Totally fair. Would it help to compare rent and buy side by side with your numbers?",
            "Good question to ask. I'll send you the math for both, no sales pitch.",
        ],
    ),
];
const READY: &[Talk] = &[
    talk(
        &[
            "Good news, we got pre-approved for {budget}!",
            "We're pre-approved up to {budget}, I can send you the letter.",
            "Got the pre-approval back. {rate} with 10% down, not bad.",
            "The loan officer says we're pre approved. What's the next step?",
        ],
        &[
            "That's great news, congratulations! Send me the letter and we're ready when the right \
                one shows up.",
            "Excellent. That puts you ahead of half the buyers out there. Let's get into {street} \
                soon.",
            "Well done, {name}. With that in hand sellers will take us seriously.",
        ],
    ),
    talk(
        &["Talked to {lender} today. Pre-approval letter should come tomorrow."],
        &[
            "Perfect timing. Forward it to me when it's there and I'll keep it on file.",
            "Nice, {lender} is quick. I'll adjust your search to the number on the letter.",
        ],
    ),
];
const REMIND: &[Talk] = &[talk(
    &[],
    &[
        "Hey {name}, {agent} here. Did you get a chance to look at what I sent?",
        "Hi {name}, just checking in. Any thoughts on {street}?",
        "Hi {name}, did my last message reach you? No rush.",
        "Tried you by phone earlier, {name}. What's the best time to reach you?",
        "Hi {name}, anything I can clear up about {street}?",
    ],
)];
const FOLLOW_UP: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, just checking in. Are you still looking in {area}?",
        "A new {beds} bedroom came on in {area} this morning. Want me to hold a slot?",
        "Hi {name}, the sellers on {street} would look at {low} now. Worth another look?",
        "No rush at all. Should I keep sending homes or take a break for a bit?",
        "There's an open house near {street} this weekend. I'd be glad to see you there.",
        "Rates moved down a little this week. Happy to rerun your numbers if it helps.",
        "Hi {name}, I walked through a {beds} bedroom in {area} today and thought of you. Want \
            pictures?",
        "Hi {name}, {agent} here. How's the search going?",
    ],
)];
const COMEBACK: &[Talk] = &[
    talk(
        &["Hi {agent}, sorry I went quiet. We're back to looking. Is {street} gone?"],
        &[
            "Welcome back, {name}! No apology needed. It's still there at {price}, and two new \
                ones came on.",
            "Great to hear from you! {street} is still at {price}. Shall we start with that one?",
        ],
    ),
    talk(
        &[
            "Hello again! Things calmed down here. What do you have in {area}?",
            "Hey, sorry for the silence, was traveling. Still interested.",
            "Hi, we're ready to pick this up again. Did anything under {budget} come on?",
            "ok we're back at it. tell me what's new",
        ],
        &[
            "Hi {name}, good timing. I'll go by your old wish list unless you tell me otherwise.",
            "Good to hear from you! Two new ones since we talked, sending them now.",
        ],
    ),
];
const OPT_OUT: &[Talk] = &[talk(
    &[
        "STOP",
        "Please stop texting me.",
        "Take me off your list, thanks.",
        "Unsubscribe",
        "Please don't contact me anymore, I get calls from five agents a day.",
    ],
    &[],
)];
const COMPLAINT: &[Talk] = &[talk(
    &[
        "I asked two days ago and nobody called me back.",
        "Still waiting on an answer to my last message...",
        "Second time I'm asking. Is anyone there?",
        "Honestly a bit frustrated. I expected to hear from you by now.",
    ],
    &[
        "You're right, {name}, and I'm sorry. I have your answers here and I'm free to call \
            whenever suits you.",
        "That's on me, I apologize. Here's everything you asked for, and my direct line so it \
            doesn't happen again.",
        "I understand the frustration. I dropped the ball, let me make it right today.",
    ],
)];
const TOO_SLOW: &[Talk] = &[talk(
    &[
        "To be honest it takes a day or more to hear back from you each time. In this market that \
            doesn't work for us.",
        "By the time I get an answer the good ones are gone. We need someone faster.",
        "I appreciate your help but every reply takes forever. It's frustrating.",
    ],
    &[
        "You're right, {name}, and I'm sorry. I understand if you've lost patience.",
        "That's fair and I apologize. If you give me another chance you'll have my direct line.",
    ],
)];
const SETTLED: &[Talk] = &[talk(
    &[
        "Ok, that makes sense. Thanks for explaining.",
        "Oh good, that makes a big difference.",
        "Alright, I feel better about it now.",
        "Fair point. Let's keep going then.",
        "Ok. Talked about it at home and we're fine with that.",
    ],
    &[
        "Glad that helped!",
        "Any time. That's what I'm here for.",
        "Good. I'll line up the next step and text you.",
    ],
)];
const UNSETTLED: &[Talk] = &[talk(
    &[
        "I hear you, but it's still a problem for us.",
        "Hmm. That doesn't really solve it.",
        "I don't know, we keep coming back to that.",
        "Maybe, but I'm not convinced.",
    ],
    &[
        "Understood. I won't push. Let me look for something without that problem.",
        "Thanks for being honest. Let me ask around and come back with a real alternative.",
        "Okay. Sleep on it, and tell me if I should look elsewhere.",
    ],
)];
