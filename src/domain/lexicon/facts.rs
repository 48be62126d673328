//! Requirements that a lead states in a message; precision matters more than recall, so ambiguous
//! words yield no fact.

use crate::domain::lexicon::{Fact, FactKind};

/// Longest value of a fact, bytes.
const VALUE_BYTES_MAX: usize = 40;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const ANIMALS: [&str; 6] = ["dog", "dogs", "cat", "cats", "puppy", "kitten"];

/// A word as written and in lowercase.
struct Word<'a> {
    written: &'a str,
    lower: String,
    /// Whether punctuation follows it.
    ends: bool,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '$' | '\'');
    let word = |raw: &'_ str| -> Option<(usize, usize)> {
        let (last, letter) = raw.char_indices().rev().find(|(_, letter)| inside(*letter))?;
        Some((raw.find(inside)?, last + letter.len_utf8()))
    };
    let found = text
        .split_whitespace()
        .filter_map(|raw| word(raw).map(|(start, end)| (&raw[start..end], end < raw.len())));
    found
        .map(|(written, ends)| Word { written, lower: written.to_ascii_lowercase(), ends })
        .collect()
}

/// The facts of a message, at most one per kind, in order of appearance.
pub(crate) fn read(text: &str) -> Vec<Fact> {
    let words = words(text);
    let mut facts: Vec<Fact> = Vec::new();
    let mut add = |kind: FactKind, value: Option<String>| {
        let fits = value.filter(|value| (1..=VALUE_BYTES_MAX).contains(&value.len()));
        if let Some(value) = fits.filter(|_| facts.iter().all(|fact: &Fact| fact.kind != kind)) {
            facts.push(Fact { kind, value });
        }
    };
    for place in 0..words.len() {
        let word = |ahead: usize| words.get(place + ahead).map_or("", |word| word.lower.as_str());
        match word(1) {
            "bedroom" | "bedrooms" | "beds" => add(FactKind::Bedrooms, number(word(0))),
            "bed" if !words[place].ends => add(FactKind::Bedrooms, number(word(0))),
            "bathroom" | "bathrooms" | "bath" | "baths" => {
                add(FactKind::Bathrooms, number(word(0)))
            }
            _ => {}
        }
        add(FactKind::Budget, budget(&words, place));
        add(FactKind::Area, area(&words, place));
        add(FactKind::Pets, pets(&words, place));
        add(FactKind::MoveBy, move_by(&words, place));
    }
    if !text.contains('?') {
        let says = |wanted: &str| words.iter().any(|word| word.lower == wanted);
        add(
            FactKind::Furnished,
            if says("unfurnished") {
                Some("no".into())
            } else {
                says("furnished").then(|| "yes".into())
            },
        );
    }
    facts
}

fn number(word: &str) -> Option<String> {
    const WORDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
    let spelled = WORDS.iter().position(|known| *known == word).map(|place| place + 1);
    let digits = || (word.len() <= 2).then(|| word.parse().ok()).flatten();
    spelled
        .or_else(digits)
        .filter(|number| (1..=12).contains(number))
        .map(|number| number.to_string())
}

/// "under $3,000", "budget is $450k", "up to $2000".
fn budget(words: &[Word<'_>], place: usize) -> Option<String> {
    let amount = words[place]
        .lower
        .trim_end_matches(|letter: char| !letter.is_ascii_digit() && letter != 'k');
    let money = amount.starts_with('$')
        && amount.len() > 2
        && amount[1..].chars().all(|letter| letter.is_ascii_digit() || ",.k".contains(letter));
    let before = |back: usize| {
        place
            .checked_sub(back)
            .and_then(|place| words.get(place))
            .map_or("", |word| word.lower.as_str())
    };
    let bounded = matches!(
        (before(2), before(1)),
        (_, "under" | "below")
            | ("up", "to")
            | ("less" | "more", "than")
            | ("budget", "is" | "of")
            | ("maximum", "of")
    );
    (money && bounded).then(|| amount.to_owned())
}

/// "in San Jose", "near Oakland": capitalized names, never a month or a day.
fn area(words: &[Word<'_>], place: usize) -> Option<String> {
    if !matches!(words[place].lower.as_str(), "in" | "near" | "around") || words[place].ends {
        return None;
    }
    let mut name = Vec::new();
    for word in &words[place + 1..] {
        let proper = word.written.chars().next().is_some_and(char::is_uppercase)
            && word.written.chars().skip(1).all(char::is_lowercase);
        let calendar = MONTHS.contains(&word.lower.as_str()) || DAYS.contains(&word.lower.as_str());
        if !proper || calendar || word.written.len() < 3 {
            break;
        }
        name.push(word.written);
        if word.ends {
            break;
        }
    }
    (!name.is_empty()).then(|| name.join(" "))
}

/// "I have a dog", "we have two cats", "my dog".
fn pets(words: &[Word<'_>], place: usize) -> Option<String> {
    let word = |place: usize| words.get(place).map_or("", |word| word.lower.as_str());
    let own = match word(place) {
        "my" | "our" => place + 1,
        "have" if matches!(word(place.wrapping_sub(1)), "i" | "we") => place + 2,
        _ => return None,
    };
    ANIMALS.contains(&word(own)).then(|| word(own).to_owned())
}

/// "move in by March", "lease ends next month", "by the end of June".
fn move_by(words: &[Word<'_>], place: usize) -> Option<String> {
    let word = |place: usize| words.get(place).map_or("", |word| word.lower.as_str());
    let when = match (word(place), word(place + 1)) {
        ("next", "month") => "next month".to_owned(),
        ("by" | "in" | "before", month) if MONTHS.contains(&month) => capital(month),
        _ => return None,
    };
    // A date alone may be the date of a visit, so the message must also mention a move or a lease.
    let moves = words.iter().any(|word| {
        matches!(word.lower.as_str(), "move" | "moving" | "lease" | "relocate" | "relocating")
    });
    moves.then_some(when)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_taken_only_where_they_are_plain() {
        let cases: [(&str, &[(FactKind, &str)]); 14] = [
            (
                "I need a 2 bedroom apartment with one bath",
                &[(FactKind::Bedrooms, "2"), (FactKind::Bathrooms, "1")],
            ),
            ("something under $3,000 a month", &[(FactKind::Budget, "$3,000")]),
            ("our budget is $450k.", &[(FactKind::Budget, "$450k")]),
            ("It costs $450,000", &[]),
            ("How many bedrooms?", &[]),
            (
                "I want an apartment in South San Francisco.",
                &[(FactKind::Area, "South San Francisco")],
            ),
            ("in March or in Oakland, California", &[(FactKind::Area, "Oakland")]),
            ("I need a compact car in san jose", &[]),
            ("We have two cats and my dog", &[(FactKind::Pets, "cats")]),
            ("Are pets allowed?", &[]),
            ("We have to move in by march", &[(FactKind::MoveBy, "March")]),
            ("a visit in March", &[]),
            ("Our lease ends next month", &[(FactKind::MoveBy, "next month")]),
            ("I want it furnished", &[(FactKind::Furnished, "yes")]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> =
                read(text).into_iter().map(|fact| (fact.kind, fact.value)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in [
            "",
            "$",
            "in",
            "é in Éa\u{301} $é",
            "\u{1f600} in \u{1f600}",
            "by by by next",
            "have dog",
        ] {
            assert!(read(text).iter().all(|fact| fact.value.len() <= VALUE_BYTES_MAX), "{text}");
        }
    }
}
