//! An invented market: leads with hidden intent, conversations, visits, wins, losses, silence and bad records.
//!
//! The generator knows how likely each lead was to convert, so that the predictions can be held against the truth.

use std::collections::BTreeMap;

use crate::domain::units::{DAY_MS, HOUR_MS};
use crate::runtime::random::Random;

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

/// Simulated time for which the leads that arrive in it are drawn at once.
const PERIOD_MS: i64 = DAY_MS;
/// Leads are given per this many days.
const LEADS_PER_DAYS: f64 = 30.0;

/// A market without an end: leads arrive at random and live their stories.
pub struct Market {
    random: Random,
    leads_per_day: f64,
    drawn_until_ms: i64,
    pending: BTreeMap<(i64, u64), Vec<u8>>,
    scheduled: u64,
    truth: Vec<Truth>,
}

impl Market {
    /// A market that begins at `start_ms`, in which `leads` leads arrive per 30 days.
    #[must_use]
    pub fn new(seed: u64, leads: usize, start_ms: i64) -> Self {
        Self {
            random: Random::new(seed),
            leads_per_day: leads as f64 / LEADS_PER_DAYS,
            drawn_until_ms: start_ms,
            pending: BTreeMap::new(),
            scheduled: 0,
            truth: Vec::new(),
        }
    }

    /// The deliveries since the last call up to `until_ms`, in order. However time is cut, the deliveries are the same.
    pub fn until(&mut self, until_ms: i64) -> Vec<Delivery> {
        while self.drawn_until_ms <= until_ms {
            self.draw_period();
        }
        let rest = self.pending.split_off(&(until_ms + 1, 0));
        let due = std::mem::replace(&mut self.pending, rest);
        due.into_iter().map(|((at_ms, _), line)| Delivery { at_ms, line }).collect()
    }

    /// What is known of every lead that has arrived.
    #[must_use]
    pub fn truth(&self) -> &[Truth] {
        &self.truth
    }

    /// Draws the leads that arrive in the next period, with all that they will do.
    fn draw_period(&mut self) {
        // Gaps of a Poisson process are exponential.
        let mut at_ms = self.drawn_until_ms as f64;
        self.drawn_until_ms += PERIOD_MS;
        loop {
            at_ms += -libm::log(1.0 - self.random.unit()) * DAY_MS as f64 / self.leads_per_day;
            if at_ms >= self.drawn_until_ms as f64 {
                return;
            }
            let lead = format!("lead-{:04}", self.truth.len());
            let intent = self.random.unit();
            let p_convert = 0.05 + 0.7 * intent * intent;
            let agent = self.random.below(12);
            self.truth.push(Truth { lead_id: lead.clone(), p_convert });
            let mut out = Vec::new();
            Story { random: &mut self.random, lead, agent, number: 0, at_ms: at_ms as i64, out: &mut out }.live(p_convert);
            for Delivery { at_ms, line } in out {
                self.scheduled += 1;
                self.pending.insert((at_ms, self.scheduled), line);
            }
        }
    }
}

struct Story<'a> {
    random: &'a mut Random,
    lead: String,
    agent: usize,
    number: u32,
    at_ms: i64,
    out: &'a mut Vec<Delivery>,
}

impl Story<'_> {
    /// Adds an event after up to `wait_ms`.
    fn add(&mut self, wait_ms: i64, kind: &str, more: &str) {
        self.at_ms += 1_000 + (self.random.unit() * wait_ms as f64) as i64;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::interaction;

    const START_MS: i64 = 1_767_225_600_000;

    #[test]
    fn a_market_is_repeatable_however_time_is_cut_and_mostly_well_formed() {
        let end = START_MS + 40 * DAY_MS;
        let whole = Market::new(7, 50, START_MS).until(end);
        let mut cut = Market::new(7, 50, START_MS);
        let pieces: Vec<_> = (0..=40 * 7).flat_map(|piece| cut.until(START_MS + piece * DAY_MS / 7)).collect();
        assert_eq!(whole, pieces);
        assert_ne!(whole, Market::new(8, 50, START_MS).until(end));
        assert!(whole.is_sorted_by_key(|delivery| delivery.at_ms));
        let good = whole.iter().filter(|delivery| interaction::from_json(&delivery.line).is_ok()).count();
        assert!(good * 100 > whole.len() * 95 && good < whole.len());
    }
}
