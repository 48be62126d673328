//! Reading the few words that the coach needs beyond the lexicon, and filling the slots of its
//! texts.

use std::borrow::Cow;

use crate::domain::appointments::Status;
use crate::domain::coaching::Context;
use crate::domain::lexicon::{Fact, FactKind, Topic};

/// Longest fact value that is repeated to the lead, in characters.
const VALUE_CHARS_MAX: usize = 24;

const PROPERTY: &[&str] = &[
    "apartment",
    "apartments",
    "house",
    "houses",
    "home",
    "homes",
    "condo",
    "property",
    "properties",
    "flat",
    "townhouse",
    "bedroom",
    "bedrooms",
    "bath",
    "rent",
    "rental",
    "lease",
    "listing",
    "mortgage",
    "realtor",
];
const SENSITIVE: &[&str] = &[
    "crime",
    "safe",
    "safety",
    "dangerous",
    "school",
    "schools",
    "demographics",
    "ethnic",
    "diverse",
    "church",
    "mosque",
    "synagogue",
    "temple",
];
const SENSITIVE_PHRASES: &[&str] = &[
    "kind of people",
    "type of people",
    "who lives",
    "family friendly",
    "family-friendly",
    "good for kids",
    "rough area",
    "bad area",
];
const ABOUT: &[(&str, &str)] = &[
    ("pets", "the pet rules"),
    ("pet", "the pet rules"),
    ("laundry", "the laundry"),
    ("garage", "the parking"),
    ("parking", "the parking"),
    ("phone", "the phone number"),
    ("address", "the address"),
    ("furnished", "the furnishing"),
    ("deposit", "the deposit"),
    ("utilities", "the utilities"),
    ("hoa", "the association fees"),
    ("lease", "the lease terms"),
    ("website", "the website"),
    ("link", "the link"),
    ("programs", "the programs"),
    ("rate", "the rate"),
    ("taxes", "the taxes"),
    ("restrictions", "the restrictions"),
];
/// Topics of a question about a donation; a home buyer's "percentage" is something else.
const ABOUT_DONATION: &[(&str, &str)] = &[
    ("deductible", "the tax side"),
    ("percent", "the share that reaches the cause"),
    ("percentage", "the share that reaches the cause"),
    ("countries", "the countries"),
];
const DONATION: &[&str] = &[
    "donate",
    "donates",
    "donated",
    "donating",
    "donation",
    "donations",
    "donor",
    "donors",
    "charity",
    "charities",
    "charitable",
    "nonprofit",
    "fundraiser",
    "fundraising",
];
const DONATION_PHRASES: &[&str] = &["the cause", "your cause", "non-profit", "501(c)"];
const DOWN_PAYMENT_PHRASES: &[&str] = &[
    "down payment",
    "downpayment",
    "money down",
    "percent down",
    "percentage down",
    "% down",
    "much down",
];
const SMALL_TALK: &[&str] = &[
    "how are you",
    "how r u",
    "how about you",
    "what about you",
    "and you?",
    "how was your",
    "how is your day",
    "are you from",
    "where are you from",
];

/// The words of a message, lower case.
fn split(message: &str) -> impl Iterator<Item = String> {
    message
        .split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

fn has_word(message: &str, wanted: &[&str]) -> bool {
    split(message).any(|word| wanted.contains(&word.as_str()))
}

fn has_phrase(message: &str, wanted: &[&str]) -> bool {
    let lower = message.to_ascii_lowercase();
    wanted.iter().any(|phrase| lower.contains(phrase))
}

/// Whether the lead is looking for a home: known beforehand, or from this message.
pub(crate) fn property(context: &Context<'_>) -> bool {
    known_property(context)
        || context.says(Topic::Viewing)
        || context.signals.facts.iter().any(of_home)
        || has_word(context.text, PROPERTY)
}

/// Whether the lead was known to be looking for a home before this message.
fn known_property(context: &Context<'_>) -> bool {
    context.property || context.facts.iter().any(of_home)
}

fn of_home(fact: &Fact) -> bool {
    matches!(
        fact.kind,
        FactKind::Bedrooms
            | FactKind::Bathrooms
            | FactKind::Pets
            | FactKind::Furnished
            | FactKind::Area
    )
}

/// Whether the message is about a donation. Leads known to look for a home never are, whatever
/// else their message mentions.
fn donation(context: &Context<'_>) -> bool {
    !known_property(context)
        && (has_word(context.text, DONATION) || has_phrase(context.text, DONATION_PHRASES))
}

/// Whether the message asks how much money to put down on a purchase.
pub(crate) fn down_payment(message: &str) -> bool {
    let share = has_word(message, &["percent", "percentage", "much"]) || message.contains('%');
    has_phrase(message, DOWN_PAYMENT_PHRASES)
        || (share && has_word(message, &["put"]) && has_word(message, &["down"]))
}

/// Whether the message asks about what fair-housing law keeps us from rating.
pub(crate) fn sensitive(message: &str, property: bool) -> bool {
    property && (has_word(message, SENSITIVE) || has_phrase(message, SENSITIVE_PHRASES))
}

/// Whether the message speaks of borrowing.
pub(crate) fn loan(message: &str) -> bool {
    has_word(
        message,
        &[
            "loan",
            "mortgage",
            "lender",
            "bank",
            "credit",
            "financing",
            "preapproved",
            "pre",
            "fha",
            "refinance",
        ],
    )
}

/// Whether the message is about the weather, so to say.
pub(crate) fn small_talk(message: &str) -> bool {
    has_phrase(message, SMALL_TALK)
}

/// Whether the message is a mere hello.
pub(crate) fn greeting(message: &str) -> bool {
    let first = split(message).next().unwrap_or_default();
    let hello = matches!(first.as_str(), "hi" | "hello" | "hey" | "hola" | "howdy")
        || has_phrase(message, &["good morning", "good evening", "good afternoon"]);
    hello && split(message).take(9).count() < 9
}

/// Whether the message names a day or an hour.
pub(crate) fn names_a_time(message: &str) -> bool {
    const TIMES: [&str; 24] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "today",
        "tonight",
        "tomorrow",
        "weekend",
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "pm",
        "noon",
    ];
    let ordinal = |word: &str| {
        ["st", "nd", "rd", "th"]
            .iter()
            .any(|end| word.strip_suffix(end).is_some_and(|digits| digits.parse::<u8>().is_ok()))
    };
    split(message).any(|word| TIMES.contains(&word.as_str()) || ordinal(&word))
}

/// Whether the message opens with a no.
pub(crate) fn starts_with_no(message: &str) -> bool {
    let mut words = split(message);
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    matches!(first.as_str(), "no" | "nope" | "nah" | "not")
        && !matches!(second.as_str(), "problem" | "problems" | "worries" | "wonder")
}

/// Whether the message opens with a yes.
pub(crate) fn starts_with_yes(message: &str) -> bool {
    split(message).next().is_some_and(|first| {
        matches!(
            first.as_str(),
            "yes" | "yeah" | "yep" | "yup" | "sure" | "ok" | "okay" | "absolutely" | "definitely"
        )
    })
}

/// What the lead asks about, in words for a reply.
pub(crate) fn asked_about(context: &Context<'_>) -> Option<&'static str> {
    let own = if donation(context) { ABOUT_DONATION } else { &[] };
    split(context.text).find_map(|word| {
        let topic = own.iter().chain(ABOUT).find(|(asked, _)| *asked == word);
        topic.map(|(_, about)| *about)
    })
}

/// Fills the slots of a template.
pub(crate) fn fill(template: &str, context: &Context<'_>) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (slot, after) = behind.split_once('}').unwrap_or((behind, ""));
        filled.push_str(before);
        filled.push_str(&value(slot, context));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// What stands in a slot.
fn value(slot: &str, context: &Context<'_>) -> Cow<'static, str> {
    let pick =
        |home: &'static str, neutral: &'static str| if property(context) { home } else { neutral };
    match slot {
        "visit" => pick("viewing", "meeting"),
        "meet" if context.may_propose_visit() => pick("viewing", "short call"),
        "meet" => "short call",
        "options" => pick("homes", "options"),
        "option" => pick("home", "option"),
        "price" => pick("the price", "the amount"),
        "points" if donation(context) => "cost, terms and what it achieves",
        "points" => pick("total cost, size and date", "cost, terms and timing"),
        "about" => asked_about(context).unwrap_or("that"),
        "asked" => asked_about(context).unwrap_or("something specific"),
        "ask" => ask(context, property(context)),
        "when" => return when(context).into(),
        _ => return noted(context).into(),
    }
    .into()
}

fn when(context: &Context<'_>) -> String {
    let start =
        context.appointments.starts_at.filter(|_| context.appointments.status == Status::Booked);
    let local = start.and_then(|start| jiff::Timestamp::from_millisecond(start.0).ok());
    let local = local.map(|instant| context.timezone.to_datetime(instant));
    local
        .map_or_else(String::new, |start| start.strftime(" on %A, %B %-d at %-I:%M %p").to_string())
}

/// The one question that narrows most and whose answer is not known.
fn ask(context: &Context<'_>, property: bool) -> &'static str {
    let told = &context.signals.facts;
    let known = |kind: FactKind| context.facts.iter().chain(told).any(|fact| fact.kind == kind);
    if !property {
        return "What matters most to you in this?";
    }
    let questions = [
        (FactKind::Area, "Which area should it be in?"),
        (FactKind::Bedrooms, "How many bedrooms do you need?"),
        (FactKind::Budget, "Which budget should I keep to?"),
        (FactKind::MoveBy, "When would you like to move in?"),
    ];
    questions
        .into_iter()
        .find(|(kind, _)| !known(*kind))
        .map_or("Is there anything that would rule a home out at once?", |(_, question)| question)
}

fn noted(context: &Context<'_>) -> String {
    let facts = &context.signals.facts;
    let words: Vec<String> = facts.iter().filter_map(fact_words).take(3).collect();
    if words.is_empty() { "your wishes".to_owned() } else { words.join(", ") }
}

/// A fact in words; `None` when its value is no plain short text.
pub(crate) fn fact_words(fact: &Fact) -> Option<String> {
    let value = fact.value.trim();
    let plain = !value.is_empty()
        && value.chars().count() <= VALUE_CHARS_MAX
        && value.chars().all(|letter| letter.is_alphanumeric() || " .,'$€£%+-/".contains(letter));
    plain.then(|| describe(fact.kind, value))
}

fn describe(kind: FactKind, value: &str) -> String {
    let count = |one: &str, many: &str| {
        if value == "1" { format!("1 {one}") } else { format!("{value} {many}") }
    };
    match kind {
        FactKind::Bedrooms => count("bedroom", "bedrooms"),
        FactKind::Bathrooms => count("bathroom", "bathrooms"),
        FactKind::Area => value.to_owned(),
        other => format!("{} {value}", other.as_str().replace('_', " ")),
    }
}
