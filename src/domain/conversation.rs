//! What the lead said: intensities per topic, sentiment, facts and objections that stand open.

use crate::domain::activity::{blend, decay};
use crate::domain::event::{EventType, Interaction};
use crate::domain::lexicon::{Fact, ObjectionKind, Signals, Topic};
use crate::domain::units::EventTime;

/// Half-life of the decayed intensities, hours.
const HALF_LIFE_HOURS: f64 = 24.0;
/// Facts kept per lead; a newer one of a kind replaces the older, beyond that the oldest goes.
const FACTS_MAX: usize = 8;
/// Open objections kept per lead.
const OBJECTIONS_MAX: usize = 4;

/// The rolling conversation of one lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Intensities of the newest message of the lead, 0..=1, by [`Topic`].
    pub said: [f32; Topic::COUNT],
    /// Sums of intensities of the lead's messages, decayed to `at`.
    pub decayed: [f32; Topic::COUNT],
    /// Time of the newest message of the lead with text.
    pub at: Option<EventTime>,
    /// Intensity of a proposed visit in our newest message.
    pub asked_viewing: f32,
    /// Exponentially weighted sentiment of the lead, -1..=1.
    pub sentiment: Option<f32>,
    /// What the lead told about its wishes, oldest first.
    pub facts: Vec<Fact>,
    /// Objections raised and not resolved, oldest first.
    pub open: Vec<ObjectionKind>,
    /// `objection.raised` minus `objection.resolved` events, not below 0.
    pub open_count: u32,
}

impl Conversation {
    /// Takes what an event said; `signals` are those of its text.
    pub fn apply(&mut self, event: &Interaction, signals: Option<&Signals>) {
        match (&event.kind, signals) {
            (EventType::MessageReceived, Some(signals)) => self.hear(event.occurred_at, signals),
            (EventType::MessageSent, Some(signals)) => {
                self.asked_viewing = signals.intensity[Topic::Viewing as usize]
            }
            (EventType::ObjectionRaised, _) => {
                self.open_count = self.open_count.saturating_add(1);
                let kind = event
                    .attributes
                    .get("objection")
                    .map_or(ObjectionKind::Other, |word| ObjectionKind::parse(word));
                self.open(kind);
            }
            (EventType::ObjectionResolved, _) => self.resolve(event),
            (EventType::LeadConverted, _) => self.open.clear(),
            _ => {}
        }
    }

    fn hear(&mut self, at: EventTime, signals: &Signals) {
        let newest = self.at.map_or(at, |newest| newest.max(at));
        let aged = decay(self.at.map_or(0, |last| newest.since(last)), HALF_LIFE_HOURS);
        let late = decay(newest.since(at), HALF_LIFE_HOURS);
        for (sum, intensity) in self.decayed.iter_mut().zip(signals.intensity) {
            *sum = (f64::from(*sum) * aged + f64::from(intensity) * late) as f32;
        }
        blend(&mut self.sentiment, f64::from(signals.sentiment));
        signals.objections.iter().for_each(|kind| self.open(*kind));
        if newest == at {
            self.said = signals.intensity;
            self.at = Some(at);
            signals.facts.iter().for_each(|fact| self.learn(fact));
        }
    }

    fn learn(&mut self, fact: &Fact) {
        self.facts.retain(|known| known.kind != fact.kind);
        if self.facts.len() >= FACTS_MAX {
            self.facts.remove(0);
        }
        self.facts.push(fact.clone());
    }

    fn open(&mut self, kind: ObjectionKind) {
        self.open.retain(|known| *known != kind);
        if self.open.len() >= OBJECTIONS_MAX {
            self.open.remove(0);
        }
        self.open.push(kind);
    }

    fn resolve(&mut self, event: &Interaction) {
        self.open_count = self.open_count.saturating_sub(1);
        match event.attributes.get("objection") {
            Some(word) => {
                let kind = ObjectionKind::parse(word);
                self.open.retain(|known| *known != kind);
            }
            None => self.open.clear(),
        }
    }

    /// Decayed sum of a topic's intensities at `now`.
    #[must_use]
    pub fn topic(&self, topic: Topic, now: EventTime) -> f64 {
        let age = self.at.map_or(0, |at| now.since(at).max(0));
        let sum = f64::from(self.decayed[topic as usize]);
        if sum == 0.0 { 0.0 } else { sum * decay(age, HALF_LIFE_HOURS) }
    }
}
