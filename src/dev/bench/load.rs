//! Events for a benchmark: leads by Zipf's law or all alike, kinds in the proportions of a sales
//! day, one message in four.

use crate::codec::interaction;
use crate::codec::record::Record;
use crate::stats::random::Random;

/// How events spread over leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The n-th lead has a share proportional to 1/n.
    Zipf,
    /// All leads alike.
    Uniform,
}

impl Spread {
    /// The name in a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zipf => "zipf 1.0",
            Self::Uniform => "uniform",
        }
    }
}

/// Kinds of events, each equally likely, with what they carry.
const KINDS: [(&str, &str); 8] = [
    ("page.viewed", r#","channel":"web""#),
    ("page.viewed", r#","channel":"web""#),
    ("listing.viewed", r#","channel":"web","listing":{"price_minor":42500000,"currency":"USD"}"#),
    (
        "call.completed",
        r#","channel":"phone","direction":"outbound","measures":{"call_seconds":95}"#,
    ),
    (
        "message.sent",
        r#","channel":"sms","direction":"outbound","content":{"text":"I can arrange a visit this week."}"#,
    ),
    (
        "message.received",
        r#","channel":"sms","direction":"inbound","content":{"text":"What is the monthly payment?"}"#,
    ),
    ("email.opened", r#","channel":"email""#),
    ("opportunity.stage_changed", r#","pipeline":{"stage_id":"Contacted"}"#),
];

/// A stream of events that its seed decides.
pub struct Load {
    random: Random,
    /// Sum of shares up to and with each lead; empty where all are alike.
    reached: Vec<f64>,
    leads: usize,
    created: u64,
    /// Makes ids of this stream its own.
    stream: u64,
}

impl Load {
    /// A stream over so many leads, at least one.
    #[must_use]
    pub fn new(stream: u64, leads: usize, spread: Spread) -> Self {
        let shares = (1..=leads).scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        });
        let reached = if spread == Spread::Zipf { shares.collect() } else { Vec::new() };
        Self { random: Random::new(stream, 0), reached, leads: leads.max(1), created: 0, stream }
    }

    fn lead(&mut self) -> usize {
        match self.reached.last() {
            Some(total) => {
                let draw = self.random.unit() * total;
                self.reached.partition_point(|sum| *sum < draw)
            }
            None => self.random.below(self.leads),
        }
    }

    /// The next event, which happens `now_ms`.
    pub fn next(&mut self, now_ms: i64) -> Record {
        let lead = self.lead();
        self.of(lead, now_ms)
    }

    /// An event of a lead.
    ///
    /// # Panics
    /// Never: the lines below are well formed, which every bench sees.
    pub fn of(&mut self, lead: usize, now_ms: i64) -> Record {
        let (kind, more) =
            KINDS.get(self.random.below(KINDS.len())).expect("a draw is below its bound");
        self.created += 1;
        let line = format!(
            r#"{{"event_id":"{:08x}-{:04x}-5000-8000-{:012x}","event_type":"{kind}","tenant_id":"bench","lead_id":"lead-{lead}","occurred_at":{now_ms},"received_at":{now_ms},"source_system":"bench","agent_id":"agent-{}"{more}}}"#,
            (self.stream >> 16) & 0xffff_ffff,
            self.stream & 0xffff,
            self.created,
            lead % 40
        );
        let event = interaction::from_json(line.as_bytes()).expect("the events are well formed");
        let key = Some(event.key.as_str().as_bytes().to_vec());
        Record {
            key,
            value: Some(interaction::into_avro(event)),
            reason: None,
            appended_ms: now_ms,
            ingest_run: 0,
            origin: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn events_are_well_formed_and_of_their_own_whatever_the_stream() {
        let streams = [0, 1, 0xffff_ffff, 1_795_659_649_983, u64::MAX];
        let values = streams.into_iter().flat_map(|stream| {
            let mut load = Load::new(stream, 10, Spread::Zipf);
            (0..20).map(move |_| load.next(1_795_659_649_983).value)
        });
        assert_eq!(values.collect::<BTreeSet<_>>().len(), 100);
    }
}
