//! A small invented market: leads with hidden intent, conversations, visits, wins, losses, silence and bad records.
//!
//! The generator knows how likely each lead was to convert, so that the predictions can be held against the truth.

use crate::domain::units::{DAY_MS, HOUR_MS, MINUTE_MS};

/// Deterministic numbers (SplitMix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 up to, not including, 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

const OPENINGS: &[&str] = &[
    "Hi, I saw the listing on Maple Street, is it still available?",
    "We are looking for a 3 bedroom house near the station.",
    "Hello, what is the asking price for the corner unit?",
    "Do you have anything under $450,000 with parking?",
];
const WARM: &[&str] = &[
    "That sounds great. Can we see it on Saturday?",
    "We got our pre-approval yesterday, what is the next step?",
    "I like it. Could you schedule a visit for Thursday evening?",
    "Our lease ends next month, so we need to move in soon.",
    "Let's do it, please send me the papers.",
];
const COOL: &[&str] = &[
    "Thanks, but that's above our budget.",
    "Not right now, we want to look around a bit.",
    "I need to talk to my husband before we decide.",
    "It is too far from my work, honestly.",
    "Rates are too high for us at the moment.",
    "Maybe later, we are not in a hurry.",
];
const ANSWERS: &[&str] = &[
    "Thanks for your message. What matters most to you in a home?",
    "I can arrange a visit this week. Which day suits you?",
    "I have put three homes together that fit what you told me.",
    "Just checking in: did the floor plan answer your question?",
];

/// A line for the log, and when it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// One line of NDJSON, or something broken.
    pub line: Vec<u8>,
}

/// What the generator knows of a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The lead.
    pub lead_id: String,
    /// Hidden probability to convert.
    pub p_convert: f64,
}

/// A finished market.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// In order of delivery.
    pub deliveries: Vec<Delivery>,
    /// Of every lead.
    pub truth: Vec<Truth>,
}

struct Story<'a> {
    random: &'a mut Random,
    lead: String,
    agent: usize,
    number: u32,
    at_ms: i64,
    until_ms: i64,
    out: &'a mut Vec<Delivery>,
}

impl Story<'_> {
    /// Adds an event after up to `wait_ms`; nothing once the market has ended.
    fn add(&mut self, wait_ms: i64, kind: &str, more: &str) {
        self.at_ms += 1_000 + (self.random.unit() * wait_ms as f64) as i64;
        if self.at_ms > self.until_ms {
            return;
        }
        self.number += 1;
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("demo/{}/{}", self.lead, self.number).as_bytes());
        let line = format!(
            r#"{{"event_id":"{id}","event_type":"{kind}","tenant_id":"demo-realty","lead_id":"{}","occurred_at":{at},"received_at":{at},"source_system":"demo","agent_id":"agent-{:02}"{more}}}"#,
            self.lead,
            self.agent,
            at = self.at_ms
        );
        self.out.push(Delivery { at_ms: self.at_ms, line: line.clone().into_bytes() });
        match self.random.below(100) {
            0 | 1 => self.out.push(Delivery { at_ms: self.at_ms + 5_000, line: line.into_bytes() }),
            2 => self.out.push(Delivery { at_ms: self.at_ms, line: line.as_bytes()[..line.len() / 2].to_vec() }),
            3 => self.out.push(Delivery {
                at_ms: self.at_ms + 3 * DAY_MS,
                line: line.replace(&id.to_string(), &uuid::Uuid::new_v5(&id, b"late").to_string()).into_bytes(),
            }),
            _ => {}
        }
    }

    fn say(&mut self, wait_ms: i64, inbound: bool, text: &str) {
        let (kind, direction) = if inbound { ("message.received", "inbound") } else { ("message.sent", "outbound") };
        self.add(
            wait_ms,
            kind,
            &format!(r#","channel":"sms","direction":"{direction}","conversation_id":"{}","content":{{"text":"{text}"}}"#, self.lead),
        );
    }

    /// One lead's life: contact, a conversation that its intent colours, perhaps a visit, and an end or silence.
    fn live(&mut self, p_convert: f64) {
        self.add(
            0,
            "contact.created",
            r#","channel":"web","consent":{"sms":true,"email":true},"attributes":{"timezone":"America/Chicago"}"#,
        );
        self.add(HOUR_MS, "form.submitted", r#","channel":"web""#);
        let opening = self.random.pick(OPENINGS);
        self.say(2 * HOUR_MS, true, opening);
        let turns = 1 + self.random.below(4) + (p_convert * 3.0) as usize;
        for _ in 0..turns {
            let answer = self.random.pick(ANSWERS);
            self.say(3 * HOUR_MS, false, answer);
            if self.random.unit() < p_convert {
                self.add(
                    DAY_MS,
                    "listing.viewed",
                    r#","channel":"web","listing":{"listing_id":"l-7","price_minor":42500000,"currency":"USD"}"#,
                );
            }
            let text = if self.random.unit() < p_convert { self.random.pick(WARM) } else { self.random.pick(COOL) };
            self.say(DAY_MS, true, text);
        }
        if self.random.unit() < p_convert {
            self.add(DAY_MS, "appointment.booked", r#","channel":"sms""#);
            let kept = self.random.unit() < 0.8;
            self.add(4 * DAY_MS, if kept { "appointment.attended" } else { "appointment.no_show" }, "");
        }
        match (self.random.unit() < p_convert, self.random.unit()) {
            (true, _) => self.add(6 * DAY_MS, "lead.converted", r#","pipeline":{"status":"won","value_minor":42500000,"currency":"USD"}"#),
            (false, draw) if draw < 0.6 => self.add(8 * DAY_MS, "lead.lost", r#","attributes":{"reason":"no_fit"}"#),
            _ => {}
        }
    }
}

/// A market of `leads` leads whose stories began within the `days` before `now_ms`.
#[must_use]
pub fn market(seed: u64, leads: usize, days: i64, now_ms: i64) -> Market {
    let mut random = Random(seed);
    let mut deliveries = Vec::new();
    let mut truth = Vec::with_capacity(leads);
    for number in 0..leads {
        let lead = format!("lead-{number:04}");
        let intent = random.unit();
        let p_convert = 0.05 + 0.7 * intent * intent;
        let at_ms = now_ms - (random.unit() * (days * DAY_MS) as f64) as i64 - MINUTE_MS;
        let agent = random.below(12);
        truth.push(Truth { lead_id: lead.clone(), p_convert });
        Story { random: &mut random, lead, agent, number: 0, at_ms, until_ms: now_ms, out: &mut deliveries }.live(p_convert);
    }
    deliveries.retain(|delivery| delivery.at_ms <= now_ms);
    deliveries.sort_by_key(|delivery| delivery.at_ms);
    Market { deliveries, truth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::interaction;

    #[test]
    fn a_market_is_repeatable_and_mostly_well_formed() {
        let one = market(7, 50, 30, 1_767_225_600_000);
        assert_eq!(one, market(7, 50, 30, 1_767_225_600_000));
        assert_ne!(one, market(8, 50, 30, 1_767_225_600_000));
        let good = one.deliveries.iter().filter(|delivery| interaction::from_json(&delivery.line).is_ok()).count();
        assert!(good * 100 > one.deliveries.len() * 95 && good < one.deliveries.len());
    }
}
