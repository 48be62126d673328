//! Word checks that the coach needs beyond the lexicon, and the values of the slots in its texts.

use std::borrow::Cow;

use crate::domain::appointments::Status;
use crate::domain::coaching::Context;
use crate::domain::lexicon::{Fact, FactKind, Topic};

/// Longest fact value that a reply repeats, in characters.
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
    "unit",
    "studio",
    "duplex",
    "landlord",
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
const PRICE: &[&str] =
    &["price", "prices", "priced", "budget", "expensive", "cheaper", "afford", "steep"];
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
const LOCATION: &[&str] =
    &["area", "areas", "neighborhood", "neighborhoods", "neighbors", "street", "block", "town"];
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
    ("pets", "the pet policy"),
    ("pet", "the pet policy"),
    ("laundry", "laundry"),
    ("garage", "parking"),
    ("parking", "parking"),
    ("phone", "the phone number"),
    ("address", "the address"),
    ("furnished", "the furniture"),
    ("deposit", "the deposit"),
    ("utilities", "utilities"),
    ("hoa", "the HOA fees"),
    ("lease", "the lease terms"),
    ("website", "the website"),
    ("link", "the link"),
    ("programs", "the programs"),
    ("rate", "the rate"),
    ("taxes", "taxes"),
    ("restrictions", "the restrictions"),
];
/// Topics of a question about a donation; a home buyer's "percentage" is something else.
const ABOUT_DONATION: &[(&str, &str)] = &[
    ("deductible", "the tax deduction"),
    ("percent", "the share that goes to the cause"),
    ("percentage", "the share that goes to the cause"),
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
const GREETINGS: &[&str] =
    &["good morning", "good evening", "good afternoon", "who is this", "who's this", "who are you"];
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

/// The words of a message in lower case.
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
            | FactKind::MoveBy
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

/// Whether the message asks about something that Fair Housing law does not let an agent rate.
pub(crate) fn sensitive(message: &str, property: bool) -> bool {
    (property || has_word(message, LOCATION))
        && (has_word(message, SENSITIVE) || has_phrase(message, SENSITIVE_PHRASES))
}

/// Whether the message mentions borrowing.
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
            "rate",
            "rates",
            "apr",
        ],
    )
}

/// Whether the message is small talk.
pub(crate) fn small_talk(message: &str) -> bool {
    has_phrase(message, SMALL_TALK)
}

/// Whether the message is only a greeting, or asks who we are.
pub(crate) fn greeting(message: &str) -> bool {
    let first = split(message).next().unwrap_or_default();
    let hello = matches!(first.as_str(), "hi" | "hello" | "hey" | "hola" | "howdy")
        || has_phrase(message, GREETINGS);
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

/// The topic of the question, in words for a reply.
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

/// The value of a slot.
fn value(slot: &str, context: &Context<'_>) -> Cow<'static, str> {
    let pick =
        |home: &'static str, neutral: &'static str| if property(context) { home } else { neutral };
    match slot {
        "visit" => pick("showing", "meeting"),
        "show" => pick("show you the place", "meet with you"),
        "meet" if context.may_propose_visit() => pick("showing", "quick call"),
        "meet" => "quick call",
        "options" => pick("homes", "options"),
        "option" => pick("home", "option"),
        "price" if has_word(context.text, &["rent"]) => "the rent",
        "price" if has_word(context.text, PRICE) => "the price",
        "price" => pick("the price", "the amount"),
        "points" if donation(context) => "amount, timing and what it funds",
        "points" => pick("total cost, size and timing", "cost, terms and timing"),
        "about" => asked_about(context).unwrap_or("that"),
        "asked" => asked_about(context).unwrap_or("a specific point"),
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

/// The question that narrows the search most and whose answer is not known yet.
fn ask(context: &Context<'_>, property: bool) -> &'static str {
    let new = &context.signals.facts;
    let known = |kind: FactKind| context.facts.iter().chain(new).any(|fact| fact.kind == kind);
    if !property {
        return "What matters most to you here?";
    }
    let questions = [
        (FactKind::Area, "What area are you looking in?"),
        (FactKind::Bedrooms, "How many bedrooms do you need?"),
        (FactKind::Budget, "What budget should I stay within?"),
        (FactKind::MoveBy, "When would you like to move in?"),
    ];
    questions
        .into_iter()
        .find(|(kind, _)| !known(*kind))
        .map_or("Is anything an automatic dealbreaker for you?", |(_, question)| question)
}

fn noted(context: &Context<'_>) -> String {
    let facts = &context.signals.facts;
    let words: Vec<String> = facts.iter().filter_map(fact_words).take(3).collect();
    if words.is_empty() { "your must-haves".to_owned() } else { words.join(", ") }
}

/// A fact in words; `None` when its value is not short plain text.
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
        FactKind::Budget => format!("a {value} budget"),
        FactKind::Furnished if value == "yes" => "furnished".to_owned(),
        FactKind::Furnished if value == "no" => "unfurnished".to_owned(),
        FactKind::Pets if value.ends_with('s') => value.to_owned(),
        FactKind::Pets if ["dog", "cat", "puppy", "kitten"].contains(&value) => {
            format!("a {value}")
        }
        FactKind::MoveBy => format!("moving by {value}"),
        FactKind::Pets | FactKind::Furnished => {
            format!("{} {value}", kind.as_str().replace('_', " "))
        }
    }
}
