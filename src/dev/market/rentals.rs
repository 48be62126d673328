//! What people say who rent an apartment, and what their agents answer; doubts and farewells are in
//! `rentals_doubts`.

use crate::dev::market::rentals_doubts;
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
        Moment::Objection(kind) => rentals_doubts::objection(kind),
        Moment::Lost(reason) => rentals_doubts::farewell(reason),
    }
}

const OPENING: &[Talk] = &[
    talk(
        &[
            "Hi! Is the {beds} bedroom at {street} still available?",
            "Hey is {street} still up for rent?",
            "Hello, I'm interested in the apartment at {street}. When could I move in?",
            "Hi, can I get more info on the {beds} bed at {street}?",
            "Hi, I came across {street} on my way home. Is the unit with the balcony free?",
        ],
        &[
            "Hi {name}, {agent} here. Yes, it's available at {price} a month. When would you like \
                to move in, and who's moving with you?",
            "Hi {name}! It's open, {price} a month, one year lease. What's your move-in date and \
                do you have any pets?",
            "Hello {name}, thanks for writing! Still available. Tell me your move-in date and your \
                budget and I'll see what fits best.",
        ],
    ),
    talk(
        &[
            "How much is the rent at {street}? The ad doesn't say.",
            "what's the rent on the {beds} bed at {street}",
        ],
        &[
            "Hi {name}, the rent is {price} with water and trash included. When are you looking to \
                move?",
            "It's {price} a month, {name}. What's your move-in date, and is that about your \
                budget?",
        ],
    ),
    talk(
        &[
            "Moving to {area} in {weeks} weeks and looking for a {beds} bedroom. What do you have?",
            "Hi, I'm starting a job near {area} and need an apartment. Can you help?",
        ],
        &[
            "Hi {name}, this is {agent}. Welcome to {area}! What's your budget, and is there \
                anything you can't live without?",
            "Happy to help, {name}. I have a few coming up. What's your monthly budget and move-in \
                date?",
        ],
    ),
];
const WELCOME: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} here. You asked about {street}, it's {price} a month. When would you \
            like to move in?",
        "Hi {name}, thanks for your request. {street} is still open. What's your move-in date and \
            budget?",
        "Hello {name}, this is {agent} from the leasing office. I saw you looking at {street}, may \
            I ask what you need?",
    ],
)];
const CALLED: &[Talk] = &[talk(
    &[],
    &[
        "Thanks for calling, {name}! {street} is {price} a month. Text me your move-in date and \
            budget and I'll check the rest.",
        "Good talking to you, {name}. {agent} here, so you have my number. When would you need the \
            place?",
    ],
)];
const CALL_MISSED: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, {agent} from the leasing office, sorry I missed your call. Which apartment was \
            it, and when do you need it?",
        "Hi {name}, I saw you called about {street}. It's {price} a month and still open. What's \
            your move-in date?",
    ],
)];
const KNOCK: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, did you see my message about {street}? Happy to answer anything.",
        "Hey {name}, {agent} here. When would you need the apartment?",
        "Hi {name}, {street} has had a few requests. Should I keep you on the list?",
        "{name}, if {street} isn't right, tell me your move-in date and I'll check what else opens \
            up.",
    ],
)];
const NEEDS: &[Talk] = &[talk(
    &[
        "Just me and a cat. Move-in around the 1st, and my budget is {budget}.",
        "My {partner} and I, no pets. We need a {beds} bedroom under {budget}",
        "Sometime next month. {beds} bedroom, in-unit laundry if possible, up to {budget}.",
        "We're two nurses on night shift, so quiet is key. Budget is {budget} or so.",
        "Beginning of next month, and I need a parking spot. Under {budget} would be great.",
        "Something near the train in {area}. {beds} bedroom, my budget is {budget}.",
    ],
    &[
        "Thanks, that helps. {street} at {price} fits that best. Floor plan and video are on their \
            way.",
        "Got it! Have a look at {street}, I'm sending you the link. It won't last the week.",
        "Perfect, I have two that match. {street} is my favorite of them at {price}.",
    ],
)];
const QUESTION: &[Talk] = &[
    talk(
        &["Are pets ok? I have a 40 pound dog.", "Do you allow cats?"],
        &[
            "Yes, up to two pets, and it's $35 a month for each.",
            "They're fine here! One time fee of $250, no breed list.",
        ],
    ),
    talk(
        &["Is parking included?", "What does parking cost?"],
        &[
            "Street parking is free, and a garage spot is $120 a month.",
            "One spot in the lot comes with the lease.",
        ],
    ),
    talk(
        &["What's the deposit?", "How much do I need up front?"],
        &[
            "One month's rent, and it goes down to half with good credit. Plus the first month.",
            "First month and a deposit of one month. No last month, no broker fee.",
        ],
    ),
    talk(
        &["Is there laundry in the unit?", "Where's the laundry?"],
        &[
            "In-unit, stacked washer and dryer in the hall closet.",
            "Shared, in the basement, and there's an app to see what's free.",
        ],
    ),
    talk(
        &["Which utilities are included?", "About what do utilities run?"],
        &[
            "Water and trash are included. Electric and internet are on you, most people pay \
                around $90.",
            "Heat and water are in the rent. Electric is about $50 in a one bedroom.",
        ],
    ),
    talk(
        &["Is it furnished?", "Does it come with any furniture?"],
        &[
            "It comes empty except for the kitchen. I can ask about a furnished one down the hall.",
            "Unfurnished, but the last tenants would leave the bed frame if you want it.",
        ],
    ),
    talk(
        &["Is a shorter lease possible? I need 6 months.", "Do you do month to month?"],
        &[
            "We do 9 months at a bit more, about $75 on top.",
            "12 months is the standard. After that it's month to month.",
        ],
    ),
    talk(
        &["How many square feet is it?", "Would a queen bed and a desk fit in the bedroom?"],
        &[
            "{sqft} square feet. The bedroom is 12 by 13, so a queen and a desk both fit.",
            "It's {sqft} square feet with a big bedroom. I'll send you the floor plan with \
                measurements.",
        ],
    ),
    talk(
        &["What credit score do you need?", "Do you need a cosigner? I'm just out of school."],
        &[
            "650 or better, or a cosigner. Income should be about three times the rent.",
            "With an offer letter you're fine, otherwise a cosigner works.",
        ],
    ),
];
const SMALL_TALK: &[Talk] = &[
    talk(
        &["Sorry for the late reply, exam week!", "Sorry, double shift yesterday."],
        &["No worries, {name}. Hope it went well!", "All good, take your time."],
    ),
    talk(
        &["That rooftop photo with the dog made me laugh"],
        &["Ha, that's the neighbor's dog. Unofficial mascot of the building."],
    ),
    talk(
        &["lol the shower curtain in picture 4"],
        &[
            "I know, I know. It won't be there when you move in!",
            "Ha! I'll have new pictures taken.",
        ],
    ),
    talk(
        &["Thanks so much for the quick answer!", "Great, thanks!"],
        &["Any time!", "You're welcome, {name}. Text me if anything else comes up."],
    ),
];
const WARM: &[Talk] = &[talk(
    &[
        "Love it. The light in that living room!",
        "That's exactly what I was looking for, and the rent works for me.",
        "{street} looks perfect, and I could walk to work.",
        "Oh nice, that one has a balcony. I'm interested.",
        "My {partner} likes it a lot too.",
        "Looks great and it's closer than I thought.",
    ],
    &[
        "Great! Want to come see it this week?",
        "So glad. I have a few slots left for tours, which day suits you?",
        "Good taste! It's even brighter in person. When could you come by?",
    ],
)];
const URGENT: &[Talk] = &[talk(
    &[
        "I need to move in by the end of the month, is that doable?",
        "My lease is up in {weeks} weeks so this is getting urgent.",
        "I'm staying with a friend right now, so as soon as possible.",
        "I start work next week and have nothing yet!",
    ],
    &[
        "Totally doable. If you apply this week you'd have the keys in time.",
        "Okay, then let's go fast. {street} is empty, you could move in three days after approval.",
        "Understood. I'll put you first in line for {street}.",
    ],
)];
const HESITANT: &[Talk] = &[talk(
    &[
        "I'm still looking at a few others, will let you know.",
        "Not sure yet, might stay where I am.",
        "Let me think about it over the weekend.",
        "Not right now, my roommate hasn't decided.",
        "maybe later, kind of overwhelmed with all the options",
    ],
    &[
        "Of course! Just so you know, it usually goes within a week or two.",
        "No problem. I'll let you know before someone else takes it.",
        "Sure. If it helps, tell me what the others have that this one doesn't.",
    ],
)];
const READY: &[Talk] = &[talk(
    &[
        "I have my pay stubs and ID ready if you need them.",
        "My employer can confirm my income, who should they call?",
        "Uploaded the pay stubs to the portal already.",
    ],
    &[
        "Wonderful, that'll make the application quick.",
        "Great, then approval usually takes one day.",
        "Thanks {name}, I see everything I need.",
    ],
)];
const VIEWING: &[Talk] = &[talk(
    &[
        "Can I see the apartment on {day}, {hour}?",
        "Could I come by for a tour {day} around {hour}?",
        "I'd love to visit. {day} at {hour} would work for me",
        "is {day} {hour} ok for a showing?",
        "Could my {partner} and I see the place {day} at {hour}?",
    ],
    &[
        "{day} at {hour} is yours. Ring at the leasing office, ground floor.",
        "Booked for {day} {hour}! Bring a photo ID.",
        "Sounds good, {day} {hour}. I'll meet you at the entrance of {street}.",
        "You're set for {day} at {hour}, {name}.",
    ],
)];
const REMINDER: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, looking forward to showing you the apartment {day} at {hour}!",
        "Quick reminder of your tour: {day} {hour}, {street}.",
    ],
)];
const MOVED: &[Talk] = &[talk(
    &[
        "Sorry, got called in to work. Is {day} {hour} possible instead?",
        "Can we move the tour to {day} at {hour}?",
        "My train is cancelled :( could we do {day}, {hour}?",
    ],
    &["Sure, {day} {hour}.", "No problem! Moved to {day} at {hour}."],
)];
const CANCELLED: &[Talk] = &[talk(
    &[
        "I need to cancel the tour, sorry.",
        "Please cancel, my roommate backed out.",
        "Hi, cancelling {day}. It's a bit too far from campus for me.",
    ],
    &[
        "Thanks for letting me know. Should I keep you posted on others?",
        "Okay, cancelled. Good luck with the search, {name}!",
    ],
)];
const MISSED: &[Talk] = &[talk(
    &[
        "I'm so sorry, I overslept after my night shift.",
        "omg I totally forgot the tour. Sorry!!",
        "Sorry, bus never came and I had no battery.",
    ],
    &[
        "Happens to the best of us. Want to try again?",
        "No worries, {name}. It's still available if you'd like another time.",
    ],
)];
const LIKED: &[Talk] = &[talk(
    &[
        "Thanks for the tour, I really like it!",
        "I can already see my plants on that balcony. What do I need to apply?",
        "It's even nicer than the pictures.",
        "We both liked it, and the neighbors seem friendly.",
    ],
    &[
        "So glad! The application is online and takes about 15 minutes. Want the link?",
        "Yay! I can hold it for 24 hours while you apply.",
        "Great to hear. One other person is thinking about it, so don't wait too long.",
    ],
)];
const DISLIKED: &[Talk] = &[talk(
    &[
        "Thank you, but the bedroom is too small for my desk.",
        "It was too noisy for me with the bar downstairs.",
        "The kitchen is run down compared to the photos, so no.",
        "Nice place but I didn't love the basement windows.",
    ],
    &[
        "Thanks for being honest! I have one on the third floor without that problem.",
        "I understand. I'll look for something that fits better.",
        "Fair enough. Let me check what opens up next month.",
    ],
)];
const OFFER: &[Talk] = &[talk(
    &[
        "I'll take it! Where do I apply?",
        "Ok let's do it, please send me the application.",
        "We'd like to apply for {street}.",
        "Ready to sign if it's still there. What are the next steps?",
    ],
    &[
        "Yay! Here's the link, the fee is $45 and you'll hear from us within a day.",
        "Wonderful. Fill in the application and upload two pay stubs, I'll take care of the rest.",
        "Great, I've taken it off the site for 24 hours so you can apply in peace.",
    ],
)];
const CONTRACT: &[Talk] = &[
    talk(
        &[
            "Got the approval email, so happy! What's next?",
            "Approved, great! When do I sign the lease?",
        ],
        &[
            "Congratulations! The lease is in your inbox, sign it online and pay the deposit, and \
                the place is yours.",
            "You can sign from your phone today. Keys are ready on your move-in day from 9.",
        ],
    ),
    talk(
        &[
            "The lease looks good. One thing, can the move-in be on a Saturday?",
            "Reading the lease now. Can I move in on a weekend?",
        ],
        &[
            "Yes, we do Saturdays until noon. Sign whenever you're ready.",
            "Saturdays are fine, just book the elevator. The rest is ready for your signature.",
        ],
    ),
];
const FELL_THROUGH: &[Talk] = &[
    talk(
        &["So I got denied because of my credit? I have steady income."],
        &[
            "I'm sorry, {name}. With a cosigner I could resubmit it the same day.",
            "I'm sorry. The screening company decides that. They'll send you the report and you \
                can dispute it.",
        ],
    ),
    talk(
        &["My roommate just dropped out so I can't sign. I'm really sorry."],
        &[
            "I'm sorry to hear that. If you find someone else I'll gladly pick it up again.",
            "Oh no. Would a smaller one on your own be an option?",
        ],
    ),
];
const WON: &[Talk] = &[talk(
    &[
        "Got the keys, thank you {agent}!",
        "Moved in today. Thanks for all your help!",
        "Lease signed and deposit paid. See you on move-in day, thank you!",
    ],
    &[
        "Welcome home, {name}!",
        "So happy to have you here. Maintenance is on the app, everything else is me.",
        "Enjoy the new place! The coffee shop on the corner is great.",
    ],
)];
const REMIND: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, any questions about {street}?",
        "Hey {name}, {agent} here. Still interested in {street}?",
        "Hi {name}, just checking that you saw my last message!",
        "Tried you by phone earlier, {name}. When can I reach you?",
    ],
)];
const FOLLOW_UP: &[Talk] = &[talk(
    &[],
    &[
        "Hi {name}, are you still looking for a place in {area}?",
        "Hi {name}, {street} is still open and the first two weeks are free this month.",
        "A {beds} bedroom just opened up near {street}, same size, a bit cheaper. Interested?",
        "Hey {name}, {agent} here. Did you find a place yet?",
        "We have open tours this weekend from 10 to 2, just walk in!",
        "Should I keep your spot on the list, {name}?",
    ],
)];
const COMEBACK: &[Talk] = &[talk(
    &[
        "Hi {agent}, my other place fell through. Is {street} still free?",
        "Hey, sorry for disappearing. Still looking after all!",
        "Hello again, are there any {beds} bedrooms left?",
        "hi, is that free month thing still on?",
    ],
    &[
        "Welcome back! Yes, and I have one more that just opened up.",
        "Hi {name}, good timing, one is free again.",
        "Good to hear from you! I'll check with the same budget as before.",
    ],
)];
const OPT_OUT: &[Talk] = &[talk(
    &[
        "STOP",
        "Stop texting me please, I already found a place.",
        "Unsubscribe me",
        "Remove me from your list.",
    ],
    &[],
)];
const COMPLAINT: &[Talk] = &[talk(
    &[
        "No answer for two days. Is this number real?",
        "Nobody called me back about my question.",
        "Still waiting to hear back from you...",
        "Hello? I asked two days ago.",
    ],
    &[
        "I'm so sorry, {name}. We had someone out sick. I'm on it now.",
        "You're right, that's too long. Here's my direct number, I'll take care of you myself.",
        "My apologies, {name}. I have your message in front of me and will answer everything \
            today.",
    ],
)];
const TOO_SLOW: &[Talk] = &[talk(
    &[
        "Every answer takes a day, I can't plan a move like that.",
        "I've lost two places while waiting for replies. Sorry but that's too slow for me.",
        "It's kind of frustrating how long it takes to hear from you.",
    ],
    &[
        "I'm sorry, {name}, you deserve better than that. I'm here now if you still need us.",
        "You're right, we've been slow. My apologies, {name}.",
    ],
)];
const SETTLED: &[Talk] = &[talk(
    &[
        "Ok cool, that works for me.",
        "Good to know, thanks!",
        "Alright, I can live with that.",
        "Oh ok, that's better than I thought.",
    ],
    &["Great!", "Perfect. Anything else, just ask.", "Glad we could sort that out."],
)];
const UNSETTLED: &[Talk] = &[talk(
    &[
        "Hmm, it's still not quite right for me.",
        "I get it but that doesn't really help me.",
        "Not sure that changes anything for me.",
    ],
    &[
        "Understood. I'll let you know if something changes.",
        "Okay, thanks for being upfront. I'll keep my eyes open for you.",
    ],
)];
