//! What sentences are filled with: people, homes and sums that stay the same throughout a lead's
//! life.

use crate::dev::market::sentences::{COMMON, LENDING, RENTALS, SALES};
use crate::dev::market::talk::{Moment, Talk};
use crate::stats::random::Random;

/// What an office deals in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Business {
    /// Homes for sale.
    Sales,
    /// Apartments for rent.
    Rentals,
    /// Mortgages.
    Lending,
}

impl Business {
    /// What may be said at a moment.
    #[must_use]
    pub fn talks(self, moment: Moment) -> &'static [Talk] {
        match self {
            Self::Sales => SALES.talks(moment),
            Self::Rentals => RENTALS.talks(moment),
            Self::Lending => LENDING.talks(moment),
        }
    }
}

/// Part of a town: its name, postal code and usual price of a home in thousands of dollars.
pub type Area = (&'static str, &'static str, f64);

/// A home that is for sale, for rent, or to be financed.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Its id.
    pub listing_id: String,
    /// Its address.
    pub street: String,
    /// Price, or rent of a month, in dollars.
    pub price: i64,
    /// A low but reasonable bid, in dollars.
    pub low: i64,
    /// `house`, `condo`, `townhouse` or `apartment`.
    pub kind: &'static str,
}

/// What sentences are filled with.
#[derive(Clone, Debug)]
pub struct Words {
    /// What is dealt in.
    pub business: Business,
    /// First name of the lead.
    pub name: &'static str,
    /// Looks alone and speaks of itself as "I".
    pub alone: bool,
    /// The person with whom a lead that is not alone decides.
    pub partner: &'static str,
    /// Where the lead looks.
    pub area: Area,
    /// The home that the conversation is about.
    pub home: Home,
    /// Bedrooms wanted.
    pub bedrooms: usize,
    /// What the lead can pay, in dollars.
    pub budget: i64,
    /// Day and hour of the meeting that the conversation is about.
    pub meeting: (&'static str, &'static str),
    /// Percent, for example `6.25%`.
    rate: &'static str,
    lender: &'static str,
    weeks: &'static str,
    minutes: usize,
    days: usize,
    fee: i64,
}

impl Home {
    /// A home of this business near `dollars`.
    #[must_use]
    pub fn new(business: Business, dollars: f64, random: &mut Random) -> Self {
        let step = if business == Business::Rentals { 25.0 } else { 5_000.0 };
        let rounded = |dollars: f64| (dollars / step).round() as i64 * step as i64;
        let price = rounded(dollars);
        let number = 100 + random.below(4_800);
        let street = random.below(COMMON.streets.len());
        let kinds: &[&str] = if business == Business::Rentals {
            &["apartment", "apartment", "townhouse"]
        } else {
            &["house", "house", "condo", "townhouse"]
        };
        Self {
            listing_id: format!("mls-{street:02}{number:04}"),
            street: format!("{number} {}", COMMON.streets.get(street).expect("below its length")),
            price,
            low: rounded(price as f64 * random.between(0.94, 0.975)),
            kind: random.pick(kinds),
        }
    }
}

impl Words {
    /// The words of a lead that looks in `area`.
    #[must_use]
    pub fn new(business: Business, area: Area, random: &mut Random) -> Self {
        let alone = business == Business::Rentals && random.chance(0.5);
        let bedrooms = match business {
            Business::Rentals => 1 + random.below(if alone { 2 } else { 3 }),
            Business::Sales | Business::Lending => 2 + random.below(3),
        };
        let usual = match business {
            Business::Sales | Business::Lending => area.2 * 1_000.0 * (0.7 + 0.1 * bedrooms as f64),
            // A month's rent is about four thousandths of the price of a home nearby.
            Business::Rentals => area.2 * 4.2 * (0.55 + 0.25 * bedrooms as f64),
        };
        let home = Home::new(business, usual * random.between(0.9, 1.15), random);
        let step = if business == Business::Rentals { 50.0 } else { 10_000.0 };
        let budget =
            (home.price as f64 * random.between(0.93, 1.12) / step).round() as i64 * step as i64;
        Self {
            business,
            name: random.pick(&COMMON.names),
            alone,
            partner: random.pick(&COMMON.partners),
            area,
            home,
            bedrooms,
            budget,
            meeting: ("Saturday", "10:00"),
            rate: random.pick(&COMMON.rates),
            lender: random.pick(&COMMON.lenders),
            weeks: random.pick(&COMMON.weeks),
            minutes: 35 + 5 * random.below(6),
            days: 6 + random.below(60),
            fee: 180 + 10 * random.below(30) as i64,
        }
    }

    /// Continues with another home near the budget.
    pub fn next_home(&mut self, random: &mut Random) {
        self.home =
            Home::new(self.business, self.budget as f64 * random.between(0.88, 1.04), random);
        self.days = 6 + random.below(60);
    }

    /// Whether this lead would use the sentence.
    #[must_use]
    pub fn suits(&self, template: &str) -> bool {
        let ours = ["{partner}", "We ", "We'", " we ", " us", " our "]
            .iter()
            .any(|word| template.contains(word));
        let others = ["Just me", "roommate"].iter().any(|word| template.contains(word));
        if self.alone { !ours && !template.contains("two people") } else { !others }
    }

    /// What a slot is filled with; `None` where no slot has this name.
    fn slot(&self, name: &str, agent: &str) -> Option<String> {
        let price = self.home.price as f64;
        let text = match name {
            "name" => self.name.to_owned(),
            "agent" => agent.to_owned(),
            "partner" => self.partner.to_owned(),
            "area" => self.area.0.to_owned(),
            "street" => self.home.street.clone(),
            "beds" => self.bedrooms.to_string(),
            "price" => dollars(self.home.price),
            "budget" => dollars(self.budget),
            "low" => dollars(self.home.low),
            // 30 years at 6.5 % cost 0.63 % of the loan a month (annuity), with a tenth paid down.
            "payment" => dollars((price * 0.9 * 0.0063 / 10.0) as i64 * 10),
            "fee" => dollars(self.fee),
            "tax" => dollars((price * 0.019 / 100.0) as i64 * 100),
            "sqft" if self.business == Business::Rentals => {
                (420 + 230 * self.bedrooms + self.days).to_string()
            }
            "sqft" => (900 + 320 * self.bedrooms + 2 * self.days).to_string(),
            "day" => self.meeting.0.to_owned(),
            "hour" => self.meeting.1.to_owned(),
            "rate" => self.rate.to_owned(),
            "lender" => self.lender.to_owned(),
            "weeks" => self.weeks.to_owned(),
            "minutes" => self.minutes.to_string(),
            "days" => self.days.to_string(),
            _ => return None,
        };
        Some(text)
    }

    /// A sentence with its `{slots}` filled; `agent` is the first name of the agent that serves the
    /// lead now.
    ///
    /// # Panics
    /// When a slot is not closed or unknown.
    #[must_use]
    pub fn fill(&self, template: &str, agent: &str) -> String {
        let mut text = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').expect("a test looks at all slots");
            text.push_str(before);
            text.push_str(&self.slot(name, agent).expect("a test looks at all slots"));
            rest = tail;
        }
        text.push_str(rest);
        text
    }
}

/// `$415,000`.
fn dollars(amount: i64) -> String {
    let digits = amount.to_string();
    let mut text = String::from("$");
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::market::sentences::Common;
    use crate::dev::market::talk::Reason;
    use crate::domain::lexicon::ObjectionKind;

    /// What is wrong with a sentence.
    fn fault(words: &Words, template: &str) -> Option<String> {
        for part in template.split('{').skip(1) {
            let Some((slot, _)) = part.split_once('}') else { return Some("open slot".to_owned()) };
            if words.slot(slot, "Carla").is_none() {
                return Some(format!("unknown slot {{{slot}}}"));
            }
        }
        let text = words.fill(template, "Carla");
        let is_bad = text.trim() != text || text.is_empty() || text.contains(['{', '}', '\n']);
        (is_bad || text.len() >= 320).then(|| format!("empty, too long or malformed: {text:?}"))
    }

    #[test]
    fn names_and_common_sentences_are_there() {
        let Common { names, partners, streets, rates, lenders, weeks, excuses, hand_over } =
            &*COMMON;
        for list in [names, partners, streets, rates, lenders, weeks, excuses] {
            assert!(!list.is_empty() && list.iter().all(|text| !text.is_empty()), "{list:?}");
        }
        let mut random = Random::new(3, 0);
        let words = Words::new(Business::Rentals, ("Oak Park", "60302", 410.0), &mut random);
        assert_eq!(fault(&words, hand_over), None);
        assert_eq!(fault(&words, "Is {steet} free?").unwrap(), "unknown slot {steet}");
        assert!(fault(&words, "Is {street free?").is_some());
    }

    #[test]
    fn every_sentence_of_every_moment_can_be_filled_and_there_are_hundreds() {
        use Moment as M;
        let plain = [
            M::Opening,
            M::Welcome,
            M::Called,
            M::CallMissed,
            M::Knock,
            M::Needs,
            M::Question,
            M::SmallTalk,
            M::Warm,
            M::Urgent,
            M::Hesitant,
            M::Ready,
            M::Viewing,
            M::Reminder,
            M::Moved,
            M::Cancelled,
            M::Missed,
            M::Liked,
            M::Disliked,
            M::Offer,
            M::Contract,
            M::FellThrough,
            M::Won,
            M::Remind,
            M::TooSlow,
            M::FollowUp,
            M::Comeback,
            M::OptOut,
            M::Complaint,
            M::Settled,
            M::Unsettled,
        ];
        let reasons = [
            Reason::Competitor,
            Reason::Price,
            Reason::Postponed,
            Reason::NoFit,
            Reason::Financing,
            Reason::NoResponse,
            Reason::OptedOut,
            Reason::FellThrough,
        ];
        let moments = plain
            .into_iter()
            .chain(ObjectionKind::ALL.map(M::Objection))
            .chain(reasons.map(M::Lost));
        let moments: Vec<Moment> = moments.collect();
        let mut random = Random::new(3, 0);
        let mut all = std::collections::BTreeSet::new();
        for business in [Business::Sales, Business::Rentals, Business::Lending] {
            let words = Words::new(business, ("Oak Park", "60302", 410.0), &mut random);
            for moment in &moments {
                let talks = business.talks(*moment);
                assert!(!talks.is_empty(), "{business:?} {moment:?}");
                for talk in talks {
                    assert!(!talk.lead.is_empty() || !talk.agent.is_empty(), "{moment:?}");
                    for template in talk.lead.iter().chain(&talk.agent) {
                        let fault = fault(&words, template);
                        assert_eq!(fault, None, "{business:?} {moment:?}: {template:?}");
                        all.insert(*template);
                    }
                }
            }
        }
        assert!(all.len() >= 600, "{} sentences", all.len());
    }

    #[test]
    fn money_reads_as_money() {
        assert_eq!(
            [dollars(415_000), dollars(980), dollars(1_250_000)],
            ["$415,000", "$980", "$1,250,000"]
        );
    }
}
