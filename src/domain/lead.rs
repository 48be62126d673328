//! One lead: its whole rolling state, and what one turn does to it.
//!
//! In: an event, or a time at which the lead is due. Out: what was decided, in the order it was
//! decided.

mod assignment;

use std::sync::Arc;

use crate::domain::activity::{Activity, Family};
use crate::domain::alerts::{self, Risk};
use crate::domain::appointments::Appointments;
use crate::domain::attribution::journeys::Journeys;
use crate::domain::attribution::touches::Touches;
use crate::domain::coaching::{self, Prompt};
use crate::domain::contact::Contact;
use crate::domain::conversation::Conversation;
use crate::domain::effect::{Effect, LeadPrediction};
use crate::domain::event::{EventType, Interaction};
use crate::domain::experiment::{Enrollments, ExperimentKey, Tally, Update};
use crate::domain::features::{self, Features};
use crate::domain::journey::{self, Journey};
use crate::domain::lexicon::{Signals, Topic};
use crate::domain::next_action::{self, NextAction};
use crate::domain::rules::InForce;
use crate::domain::scoring::{self, Score, Target};
use crate::domain::strategy::{Choice, Source};
use crate::domain::units::{EventId, EventTime, LeadKey};

/// The rolling state of one lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lead {
    /// Ids seen within the allowed lateness, ascending by time and id: the event id as eight bytes.
    pub seen: Vec<(EventTime, u64)>,
    /// Events at or before this are late, because ids from then were forgotten.
    pub floor: Option<EventTime>,
    /// The lead was erased at this time.
    pub erased_at: Option<EventTime>,
    /// Counts and rhythm.
    pub activity: Activity,
    /// Stage.
    pub journey: Journey,
    /// Consent, owner, timezone.
    pub contact: Contact,
    /// Words.
    pub conversation: Conversation,
    /// Appointments.
    pub appointments: Appointments,
    /// Warnings and the next due time.
    pub risk: Risk,
    /// Experiments.
    pub enrollments: Enrollments,
    /// What it was coached with before it ended.
    pub touches: Touches,
    /// Mark of the profile that was last emitted.
    pub profile_mark: u32,
}

/// Whether an event is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// New and in time.
    Fresh,
    /// Seen before.
    Duplicate,
    /// Older than the allowed lateness.
    Late,
}

/// An id as eight bytes: its first half is stirred before the last half is laid over it, so that
/// ids of one origin, which share their first half, never meet, and others by chance alone (the
/// finaliser of SplitMix64: Steele, Lea and Flood, 2014).
fn short(id: EventId) -> u64 {
    let whole = u128::from_be_bytes(id.0);
    let mut high = (whole >> 64) as u64;
    high = (high ^ high >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    high = (high ^ high >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    high ^ high >> 31 ^ whole as u64
}

/// One event being applied: what it says, and how things stood before it.
pub(crate) struct Moment<'a> {
    event: &'a Interaction,
    signals: Option<&'a Signals>,
    last_inbound: Option<EventTime>,
    unanswered: u32,
    declined: bool,
}

fn probabilities(scores: &[Score; 6]) -> [f64; 6] {
    std::array::from_fn(|target| scores[target].probability)
}

impl Lead {
    /// Whether an event is new and in time. Duplicate is checked before late, so nothing is applied
    /// twice.
    #[must_use]
    pub fn admit(&self, event: &Interaction, lateness_ms: i64) -> Admission {
        let at = event.occurred_at;
        let id = short(event.event_id);
        if self.seen.iter().any(|(_, known)| *known == id) {
            return Admission::Duplicate;
        }
        let behind = self.activity.last.is_some_and(|newest| newest.since(at) > lateness_ms);
        if behind || self.floor.is_some_and(|floor| at <= floor) {
            Admission::Late
        } else {
            Admission::Fresh
        }
    }

    fn remember(&mut self, event: &Interaction, rules: &InForce<'_>) {
        let entry = (event.occurred_at, short(event.event_id));
        let index = self.seen.partition_point(|other| *other < entry);
        self.seen.insert(index, entry);
        let newest = self.activity.last.map_or(entry.0, |last| last.max(entry.0));
        // What is older than the allowed lateness is late by itself: its ids need not be kept.
        let expired =
            self.seen.partition_point(|(at, _)| newest.since(*at) > rules.thresholds.lateness_ms);
        self.seen.drain(..expired);
        while self.seen.len() > rules.thresholds.dedupe_ids {
            // Whatever else comes from that moment is late as well, known or not.
            let (oldest, _) = self.seen[0];
            self.seen.drain(..self.seen.partition_point(|(at, _)| *at == oldest));
            self.floor = Some(self.floor.map_or(oldest, |floor| floor.max(oldest)));
        }
    }

    /// Applies a fresh event.
    pub fn apply(&mut self, rules: &InForce<'_>, event: &Interaction, effects: &mut Vec<Effect>) {
        self.remember(event, rules);
        if event.kind == EventType::ContactErased {
            self.erase(event);
            effects.push(Effect::Profile(event.key.clone(), None));
        }
        let signals = event.text().map(|text| rules.lexicon.read(text));
        let evidence = journey::evidence(event, rules.stages);
        let moment = Moment {
            event,
            signals: signals.as_ref(),
            last_inbound: self.activity.last_inbound,
            unanswered: self.activity.unanswered,
            declined: self.conversation.said[Topic::Hesitation as usize] >= 0.5,
        };
        let newest = self.activity.last.unwrap_or(event.occurred_at);
        self.activity.apply(event);
        self.contact.apply(event, signals.as_ref(), &rules.settings.timezone);
        self.conversation.apply(event, signals.as_ref());
        self.appointments.apply(event);
        self.journey.apply(event, &evidence, signals.as_ref());
        if let Some(name) = evidence.unmapped {
            effects.push(Effect::Unmapped(name));
        }
        if !(rules.experiments.is_empty() && self.enrollments.list.is_empty()) {
            let find =
                |experiment: &str, base_version: u32| rules.version(experiment, base_version);
            let counted = self.enrollments.outcomes(
                (event, evidence.outcome),
                newest,
                rules.thresholds.lateness_ms,
                &find,
            );
            for (name, version, change) in counted {
                let key = ExperimentKey { tenant: event.key.tenant().clone(), name, version };
                effects.push(Effect::Count(key, Box::new(change)));
            }
        }
        let counted = self.touches.journeys();
        if let Some(outcome) = evidence.outcome {
            self.touches.end(event.occurred_at, outcome);
        }
        self.decide(rules, &moment, effects);
        effects.extend(self.attribute(event, counted));
        self.touches.forget(newest.max(event.occurred_at), rules.thresholds.lateness_ms);
    }

    /// What the journeys of the lead count otherwise than before.
    fn attribute(&self, event: &Interaction, counted: Journeys) -> Option<Effect> {
        let now = self.touches.journeys();
        let tally = |journeys: Journeys| Tally { journeys: Arc::new(journeys), ..Tally::default() };
        (now != counted).then(|| {
            let change = Update { retract: tally(counted), add: tally(now) };
            Effect::Count(ExperimentKey::attribution(event.key.tenant()), Box::new(change))
        })
    }

    /// Looks at a lead that is due although no event arrived.
    pub fn due(
        &mut self,
        rules: &InForce<'_>,
        key: &LeadKey,
        now: EventTime,
        effects: &mut Vec<Effect>,
    ) {
        let scores = self.scores(rules, now);
        effects.extend(self.warn(rules, key, &scores, now));
    }

    /// Keeps nothing but that the lead was erased.
    fn erase(&mut self, event: &Interaction) {
        let at = event.occurred_at;
        *self = Self {
            seen: std::mem::take(&mut self.seen),
            floor: Some(at),
            erased_at: Some(at),
            ..Self::default()
        };
    }

    /// All features at `now`.
    #[must_use]
    pub fn features(&self, now: EventTime) -> Features {
        let sources = features::Sources {
            activity: &self.activity,
            journey: &self.journey,
            contact: &self.contact,
            conversation: &self.conversation,
            appointments: &self.appointments,
        };
        features::extract(&sources, now)
    }

    /// The six scores at `now`.
    #[must_use]
    pub fn scores(&self, rules: &InForce<'_>, now: EventTime) -> [Score; 6] {
        scoring::predict(rules.model, &self.features(now), self.activity.events)
    }

    fn decide(&mut self, rules: &InForce<'_>, moment: &Moment<'_>, effects: &mut Vec<Effect>) {
        let Moment { event, signals, .. } = *moment;
        // An event that comes late is decided on as of the lead's newest one: nothing is
        // recommended for the past.
        let now = self.activity.last.unwrap_or(event.occurred_at);
        let features = self.features(now);
        let scores = scoring::predict(rules.model, &features, self.activity.events);
        let choice = self.choose(rules, moment, &features, &scores);
        let next = self.next(rules, &scores, now);
        let index = effects.len();
        effects.extend(self.warn(rules, &event.key, &scores, now));
        if let (EventType::MessageReceived, Some(signals)) = (&event.kind, signals) {
            effects.extend(self.coach(rules, (moment, signals), (&features, &scores, &choice)));
        }
        effects.extend(self.show(rules, &event.key, &scores, &next));
        let prediction = LeadPrediction {
            event_id: event.event_id,
            key: event.key.clone(),
            at: event.occurred_at,
            kind: event.kind.clone(),
            agent_id: self.contact.owner.clone(),
            model: rules.model.id.clone(),
            journey: self.journey.view(now),
            outcome: self.journey.outcome,
            scores,
            choice,
            next,
        };
        effects.insert(index, Effect::Prediction(Box::new(prediction)));
    }

    fn warn(
        &mut self,
        rules: &InForce<'_>,
        key: &LeadKey,
        scores: &[Score; 6],
        now: EventTime,
    ) -> Vec<Effect> {
        let sources = alerts::Sources {
            key,
            activity: &self.activity,
            journey: &self.journey,
            appointments: &self.appointments,
            owner: self.contact.owner.as_deref(),
            churn: &scores[Target::ChurnRisk.index()],
            levels: (rules.thresholds.churn_alert_threshold, rules.thresholds.churn_alert_clear),
            answer_minutes: rules.thresholds.answer_minutes,
        };
        self.risk
            .look(&sources, now)
            .into_iter()
            .map(|alert| Effect::Alert(Box::new(alert)))
            .collect()
    }

    fn engagement<'a>(
        &'a self,
        rules: &'a InForce<'_>,
        probabilities: &'a [f64; 6],
    ) -> next_action::Sources<'a> {
        next_action::Sources {
            activity: &self.activity,
            journey: &self.journey,
            contact: &self.contact,
            conversation: &self.conversation,
            appointments: &self.appointments,
            probabilities,
            zone: &rules.settings.timezone,
            quiet: rules.settings.quiet,
        }
    }

    /// What to do next, at `now`.
    #[must_use]
    pub fn next(&self, rules: &InForce<'_>, scores: &[Score; 6], now: EventTime) -> NextAction {
        let probabilities = probabilities(scores);
        next_action::next_action(&self.engagement(rules, &probabilities), now)
    }

    /// A message that an agent could send now to do that.
    #[must_use]
    pub fn draft(&self, next: &NextAction) -> String {
        let objection = self.conversation.open.last().copied();
        let (stage, outcome, facts) =
            (self.journey.stage, self.journey.outcome, &self.conversation.facts);
        coaching::draft(next.action, &coaching::Known { stage, outcome, facts, objection })
    }

    fn show(
        &mut self,
        rules: &InForce<'_>,
        key: &LeadKey,
        scores: &[Score; 6],
        next: &NextAction,
    ) -> Option<Effect> {
        if self.erased_at.is_some() {
            return None;
        }
        let probabilities = probabilities(scores);
        let sources = self.engagement(rules, &probabilities);
        let mark = next_action::profile_mark(&sources, next);
        if mark == self.profile_mark {
            return None;
        }
        let profile = next_action::profile(
            key,
            &sources,
            next.clone(),
            self.activity.last.unwrap_or_default(),
        );
        self.profile_mark = mark;
        Some(Effect::Profile(key.clone(), Some(Box::new(profile))))
    }

    fn coach(
        &mut self,
        rules: &InForce<'_>,
        (moment, signals): (&Moment<'_>, &Signals),
        (features, scores, choice): (&Features, &[Score; 6], &Choice),
    ) -> Vec<Effect> {
        let event = moment.event;
        let advice = coaching::advise(&coaching::Context {
            event_id: event.event_id,
            at: event.occurred_at,
            text: event.text().unwrap_or(""),
            signals,
            stage: self.journey.stage,
            outcome: self.journey.outcome,
            strategy: &choice.strategy,
            probabilities: probabilities(scores),
            facts: &self.conversation.facts,
            open_objections: &self.conversation.open,
            appointments: &self.appointments,
            timezone: &self.contact.zone(&rules.settings.timezone),
            declined: moment.declined || signals.of(Topic::Hesitation) >= 0.5,
            quiet_ms: moment.last_inbound.map(|last| event.occurred_at.since(last)),
            unanswered: moment.unanswered,
            first: self.activity.family(Family::MessageIn).total == 1,
            asked_visit: self.conversation.asked_viewing >= 0.5,
            property: self.activity.family(Family::Listing).total > 0,
        });
        let mut effects = vec![Effect::Prompt(Box::new(Prompt {
            prompt_id: event.event_id.derive("coach"),
            event_id: event.event_id,
            key: event.key.clone(),
            at: event.occurred_at,
            agent_id: self.contact.owner.clone(),
            conversation_id: event.conversation_id.clone(),
            seq: 0,
            stage: self.journey.stage,
            strategy: choice.strategy.clone(),
            headline: advice.headline,
            guidance: advice.guidance,
            reply: advice.reply,
            quote: advice.quote,
        }))];
        self.touches.touch(event.occurred_at, rules.attribution_label(&choice.strategy));
        if let Source::Experiment { experiment, arm } = &choice.source {
            effects.extend(self.expose(rules, event, (experiment, arm), (features, scores)));
        }
        effects
    }
}
