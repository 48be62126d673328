//! What to coach in light moments: a greeting, thanks, a word in passing.

use crate::domain::coaching::situation::Situation;
use crate::domain::coaching::text::Text;

/// The text of a light moment.
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
        "The lead says thank you, perhaps goodbye. Answer warmly and briefly; a long message now \
            would undo the good end.",
        "A thank-you is a good moment to stop. Leave it warm, and leave no work for the lead.",
    ],
    how: [
        "Return the thanks sincerely, nothing more.",
        "Leave the facts in one place to come back to.",
        "Say in one line what happens next and who does it.",
        "Ask one light thing at most; silence is fine too.",
        "Leave a personal note that will be remembered.",
    ],
    say: [
        &[
            "You are very welcome. It was good to hear from you.",
            "With pleasure, and thank you for your kind words.",
        ],
        &[
            "You are welcome. What we have gathered so far stays on file, so you can pick it up at \
                any time.",
            "With pleasure. I keep the details together, so that they are at hand when you need \
                them.",
        ],
        &[
            "You are welcome. I keep my side moving, and you hear from me only when there is \
                something to tell.",
            "With pleasure. What is open on my side, I take care of.",
        ],
        &[
            "You are welcome. Was there anything that stayed unclear?",
            "With pleasure. Is there anything I could have explained better?",
        ],
        &[
            "You are welcome, I enjoyed our conversation. I am here for you later on too.",
            "With pleasure. I am glad that we are in touch, whatever comes of it.",
        ],
    ],
};

static GREETING: Text = Text {
    label: "Hello",
    why: &[
        "The lead opens the conversation. Be a person first: greet, say who you are, and make the \
            first step small.",
    ],
    how: [
        "Be warm and leave room; people tell more when they are not asked much.",
        "Say briefly what you can look up or compare for them.",
        "Greet, then offer one small step with a time.",
        "Greet, then ask one open question about why they came.",
        "Introduce yourself by name and stay on the personal note for a moment.",
    ],
    say: [
        &[
            "Hello, it is good to hear from you. Tell me as much or as little as you like.",
            "Hello, and welcome. There are no wrong questions here.",
        ],
        &[
            "Hello, thank you for writing. I can look things up and compare them for you, with the \
                facts on the table.",
            "Hello, good to hear from you. If you like to compare before you decide, you are in \
                the right place.",
        ],
        &[
            "Hello, thank you for writing. Let us get you one step further.",
            "Hello, good that you write. Let us start with one simple step.",
        ],
        &[
            "Hello, good to hear from you. What brings you here?",
            "Hello, and thank you for writing. What would make this a useful conversation for you?",
        ],
        &[
            "Hello, nice to meet you. I am a person, not a form, so feel free to just talk.",
            "Hello, it is nice to hear from you. I like to know the people I work with, so no need \
                to be formal.",
        ],
    ],
};

static OTHER: Text = Text {
    label: "Message to answer",
    why: &[
        "The message carries no clear wish. Show that you read it, take up one point of it, and \
            keep the reply short.",
        "Nothing is asked here. Respond to what was said, and give a reason to go on.",
    ],
    how: [
        "Reflect the mood of the message in half a sentence.",
        "Sum up where things stand in one line, so that both look at the same picture.",
        "Move it one step: say what you do next and propose a time.",
        "Ask one open question that is easy to answer.",
        "Take up something personal they said and stay with it for a moment.",
    ],
    say: [
        &[
            "Thank you for telling me, I am glad to have you in the conversation.",
            "Thank you for your message. I like to hear how you see it.",
        ],
        &[
            "Thank you. Let me sum up what is clear so far and what is still open, so that we look \
                at the same picture.",
            "Thanks, noted. I keep a short list of what is settled and what is not.",
        ],
        &[
            "Thank you, noted. Let us take the next step.",
            "Thanks, that is clear. Then let us go on.",
        ],
        &[
            "Thank you. What matters most to you in this?",
            "Thanks for that. What would you like to know next?",
        ],
        &[
            "Thank you for sharing that, I like to know who I am talking with.",
            "Thank you. It is good to get to know each other a little.",
        ],
    ],
};
