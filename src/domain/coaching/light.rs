//! Texts for light moments: a greeting, thanks, a casual message.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The texts of a light moment.
pub(crate) fn text(situation: Situation) -> &'static Text {
    match situation {
        Situation::Thanks => &THANKS,
        Situation::Greeting => &GREETING,
        _ => &OTHER,
    }
}

static THANKS: Text = Text {
    label: "Thanks",
    why: &[
        "They're saying thanks, maybe goodbye. Answer warmly and keep it short: a long message \
            now spoils a good ending.",
        "A thank-you is a good place to stop. End warmly and leave them nothing to do.",
    ],
    how: [
        "Thank them back and mean it. Nothing more.",
        "Keep the facts in one place they can come back to.",
        "Say in one line what happens next and who does it.",
        "Ask one light question at most; no question is fine too.",
        "Leave a personal note they'll remember.",
    ],
    say: [
        &["You're very welcome! It was good hearing from you.", "Of course, I'm happy to help!"],
        &[
            "You're welcome! Everything we have so far stays on file, so you can pick it up \
                anytime.",
            "Happy to help! I'll keep the details together so they're handy when you need them.",
        ],
        &[
            "You're welcome! I'll keep things moving on my end and only reach out when there's \
                news.",
            "You bet! I'll take care of what's open on my end.",
        ],
        &[
            "You're welcome! Was anything unclear?",
            "Happy to help! Is there anything I could explain better?",
        ],
        &[
            "You're welcome, I enjoyed talking with you! I'm here down the road, too.",
            "My pleasure! I'm glad we're in touch, whatever you end up doing.",
        ],
    ],
};

static GREETING: Text = Text {
    label: "Greeting",
    why: &[
        "They're starting the conversation. Be a person first: say hi, say who you are, and keep \
            the first step small.",
    ],
    how: [
        "Be warm and leave room: people open up more when you ask less.",
        "Say briefly what you can look up or compare for them.",
        "Say hi, then offer one small step with a time.",
        "Say hi, then ask one open question about what brought them here.",
        "Introduce yourself by name and stay personal for a moment.",
    ],
    say: [
        &[
            "Hi, it's good to hear from you! Tell me as much or as little as you like.",
            "Hi, glad you wrote! Ask me anything, there are no wrong questions here.",
        ],
        &[
            "Hi, thanks for reaching out! I can look things up and compare them for you, numbers \
                included.",
            "Hi, good to hear from you! If you like to compare before you decide, I can help \
                with that.",
        ],
        &[
            "Hi, thanks for reaching out! Let's get you one step closer.",
            "Hi, glad you reached out! Let's start with one simple step.",
        ],
        &[
            "Hi, good to hear from you! What can I help you with?",
            "Hi, thanks for reaching out! What are you hoping to get done?",
        ],
        &[
            "Hi, it's nice to hear from you! No need to be formal with me, just ask.",
            "Hi, good to hear from you! I like getting to know the people I work with.",
        ],
    ],
};

static OTHER: Text = Text {
    label: "General message",
    why: &[
        "There's no clear request in this message. Show you read it, pick up one point, and keep \
            the reply short.",
        "They didn't ask for anything. Respond to what they wrote, and give them a reason to \
            keep talking.",
    ],
    how: [
        "Match the mood of the message in half a sentence.",
        "Sum up where things stand in one line so you're both on the same page.",
        "Move it one step: say what you'll do next and suggest a time.",
        "Ask one open question that's easy to answer.",
        "Pick up something personal they wrote and stay with it for a moment.",
    ],
    say: [
        &[
            "Thanks for letting me know, I appreciate it.",
            "Thanks for the message, I appreciate you writing.",
        ],
        &[
            "Thanks! Let me sum up what's settled and what's still open, so we're on the same \
                page.",
            "Got it, thanks. I'll keep a short list of what's settled and what isn't.",
        ],
        &[
            "Got it, thanks. Let's take the next step.",
            "Thanks for the message. Let's keep it moving.",
        ],
        &[
            "Thanks! What matters most to you here?",
            "Thanks for that. What would you like to know next?",
        ],
        &[
            "Thanks for sharing that, I like knowing who I'm talking with.",
            "Thanks for the note, I'm glad we're in touch.",
        ],
    ],
};
