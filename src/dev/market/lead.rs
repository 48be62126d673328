//! One lead of the market: its hidden traits, its state, and the actions of which scenes consist.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::dev::market::calendar::{at_work, awake};
use crate::dev::market::event::Event;
use crate::dev::market::office::{Agent, Office, Step};
use crate::dev::market::talk::{Moment, Reason, Talk};
use crate::dev::market::words::{Business, Words};
use crate::domain::event::EventType;
use crate::domain::journey::Outcome;
use crate::domain::lexicon::ObjectionKind;
use crate::domain::units::{HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::stats::random::Random;

/// How far a lead has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Has asked something.
    Contact,
    /// Compares.
    Search,
    /// Meets us.
    Meeting,
    /// Decides.
    Offer,
    /// Closes.
    Contract,
    /// Nothing more is planned.
    Over,
}

/// What becomes of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// It takes place and goes well.
    Liked,
    /// It takes place and does not.
    Disliked,
    /// The lead does not come.
    Missed,
    /// The lead calls it off.
    Cancelled,
}

/// A part of a lead's life that is played in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// It appears, and is answered.
    Arrive,
    /// The lead says something, the agent answers.
    Say(Moment),
    /// An objection, the answer, and whether that settles it.
    Doubt(ObjectionKind, Settles),
    /// A while on the site.
    Browse,
    /// The agent calls.
    Call,
    /// A meeting from the request to the messages after it.
    Meet(Meeting),
    /// The CRM moves the deal.
    Step(Step),
    /// The agent writes without having been asked, after some days.
    Nudge {
        /// After how many.
        days: i64,
    },
    /// Some days pass, drawn around a median.
    Pause {
        /// The median.
        days: i64,
    },
    /// Papers are collected while a deal closes.
    Papers,
    /// Another agent takes over.
    HandOver,
    /// The lead is won.
    Win,
    /// The lead is lost.
    Lose(Reason),
    /// A lost lead is open again.
    Reopen,
    /// The lead has its data erased.
    Erase,
}

/// Whether an answer settles an objection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// The objection is settled.
    Yes,
    /// The objection stands.
    No,
}

/// Traits of a lead that only the generator knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traits {
    /// Probability to convert when served as leads of this market usually are.
    pub p_convert: f64,
    /// Probability to answer a message of ours without being reminded.
    pub p_answer: f64,
    /// Probability that a message is an objection.
    pub p_objection: f64,
    /// Median time to answer while awake, minutes.
    pub answer_minutes: f64,
    /// Writes without capitals and full stops.
    pub casual: bool,
}

/// How a lead is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Text message.
    Sms,
    /// Mail.
    Email,
    /// Messenger.
    Whatsapp,
    /// The site's chat.
    Chat,
}

impl Line {
    /// The channel's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Whatsapp => "whatsapp",
            Self::Chat => "chat",
        }
    }
}

/// A living lead.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Its chances.
    pub random: Random,
    /// The office that serves it.
    pub office: Arc<Office>,
    /// Index of its agent in the office.
    pub agent_place: usize,
    /// Its hidden traits.
    pub traits: Traits,
    /// What its sentences are filled with.
    pub words: Words,
    /// Its own id.
    pub id: String,
    /// Where it lives.
    pub zone: (&'static str, jiff::tz::TimeZone),
    /// How it writes.
    pub line: Line,
    /// How far it has come.
    pub phase: Phase,
    /// What comes next.
    pub plan: VecDeque<Scene>,
    /// How it has been served so far, -1..=1; 0 is usual.
    pub mood: f64,
    /// Its own time, milliseconds since 1970.
    pub at_ms: i64,
    /// When its newest event was; its own time never falls behind it.
    pub newest_ms: i64,
    /// What happened since it was last asked, in order.
    pub events: Vec<Event>,
    /// Sentences already used.
    pub said: Vec<&'static str>,
    /// How it ended last, and when.
    pub end: Option<(Outcome, i64)>,
    /// Has come back after a silence.
    pub returned: bool,
    /// Its needs are known.
    pub known: bool,
    /// The step that the CRM last named.
    pub stands: Option<Step>,
    /// Begun web sessions.
    pub sessions: u32,
    /// Campaign that brought it.
    pub campaign: &'static str,
}

impl Lead {
    /// The agent that serves it.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        self.office.agents.get(self.agent_place).expect("a lead's agent works in its office")
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: i64) {
        self.at_ms += millis.max(SECOND_MS);
    }

    /// Takes back time that passed in waiting, where the wait reached beyond `at_ms`.
    pub fn no_later_than(&mut self, at_ms: i64) {
        self.at_ms = self.at_ms.min(at_ms).max(self.newest_ms);
    }

    /// Adds an event that happens now, seen by the CRM.
    pub fn event(&mut self, kind: EventType, fields: Value) {
        let source_system = self.office.source_system;
        self.seen_by(source_system, kind, fields);
    }

    /// Adds an event that happens now, seen by another system.
    pub fn seen_by(&mut self, source_system: &'static str, kind: EventType, fields: Value) {
        let Value::Object(fields) = fields else { unreachable!("fields are written as an object") };
        // Two events never share a moment, so that their order is unambiguous.
        self.at_ms += SECOND_MS;
        self.newest_ms = self.at_ms;
        self.events.push(Event { kind, at_ms: self.at_ms, source_system, fields });
    }

    /// The fields of an event with the agent's id.
    #[must_use]
    pub fn by_agent(&self, mut fields: Value) -> Value {
        if let Value::Object(fields) = &mut fields {
            fields.insert("agent_id".to_owned(), self.agent().id.as_str().into());
        }
        fields
    }

    /// The lead's and the agent's sentence of one talk; an unused talk where there is one.
    pub fn talk(&mut self, moment: Moment) -> (Option<&'static str>, Option<&'static str>) {
        let talks = self.words.business.talks(moment);
        // A lead that has asked a question does not ask it again in other words.
        let open = |talk: &&Talk| {
            let suits = talk.lead.is_empty() || talk.lead.iter().any(|text| self.words.suits(text));
            suits && !talk.lead.iter().any(|text| self.said.contains(text))
        };
        let unused: Vec<&Talk> = talks.iter().filter(open).collect();
        let talk: &Talk = if unused.is_empty() {
            self.random.pick(&talks.iter().collect::<Vec<_>>())
        } else {
            self.random.pick(&unused)
        };
        let lead: Vec<&'static str> =
            talk.lead.iter().copied().filter(|text| self.words.suits(text)).collect();
        let said = self.sentence(if lead.is_empty() { &talk.lead } else { &lead });
        (said, self.sentence(&talk.agent))
    }

    /// A sentence that fits the channel and was not used before, where there is one.
    fn sentence(&mut self, texts: &[&'static str]) -> Option<&'static str> {
        let fits =
            |text: &&'static str| self.line != Line::Email || !text.to_lowercase().contains("text");
        let fitting: Vec<&'static str> = texts.iter().copied().filter(fits).collect();
        let unused: Vec<&'static str> =
            fitting.iter().copied().filter(|text| !self.said.contains(text)).collect();
        let choices =
            [unused.as_slice(), &fitting, texts].into_iter().find(|choices| !choices.is_empty());
        let text = choices.map(|choices| self.random.pick(choices));
        self.said.extend(text);
        text
    }

    /// Waits until the lead would write.
    pub fn lead_waits(&mut self) {
        let minutes = self.random.around(self.traits.answer_minutes, 1.0).min(60.0 * 60.0);
        self.at_ms =
            awake(self.at_ms + (minutes * MINUTE_MS as f64) as i64, &self.zone.1, &mut self.random);
    }

    /// Waits until the agent acts, at the agent's own pace, and lets the lead judge the wait.
    pub fn agent_waits(&mut self) {
        let from_ms = self.at_ms;
        let minutes = self.random.around(self.agent().answer_minutes, 0.8);
        self.at_desk((minutes * MINUTE_MS as f64) as i64);
        self.judge(self.at_ms - from_ms);
    }

    /// Passes time, and ends in working hours.
    pub fn at_desk(&mut self, millis: i64) {
        let office = self.office.clone();
        let weekends = self.agent().weekends;
        self.at_ms =
            at_work(self.at_ms + millis.max(SECOND_MS), &office.zone, weekends, &mut self.random);
    }

    /// What a wait does to the mood; the steps were chosen so that usual service leaves it near 0.
    pub fn judge(&mut self, wait_ms: i64) {
        let step = match wait_ms / MINUTE_MS {
            minutes if minutes < 15 => 0.17,
            minutes if minutes < 60 => 0.08,
            minutes if minutes < 4 * 60 => -0.02,
            minutes if minutes < 18 * 60 => -0.08,
            _ => -0.22,
        };
        // The first answer counts double.
        let weight = if self.phase == Phase::Contact { 2.0 } else { 1.0 };
        self.mood = (self.mood + weight * step).clamp(-1.0, 1.0);
    }

    /// The lead writes.
    pub fn hear(&mut self, text: &str) {
        let text = if self.line == Line::Email { self.mail(text) } else { self.styled(text) };
        let fields = self.message("inbound", text);
        self.event(EventType::MessageReceived, fields);
    }

    /// The agent writes.
    pub fn say(&mut self, text: &str) {
        let text = if self.line == Line::Email {
            let Agent { name, .. } = self.agent();
            let greeted = ["Hi", "Hey", "Hello"].iter().any(|word| text.starts_with(word))
                || text.contains(self.words.name);
            let greeting =
                if greeted { String::new() } else { format!("Hi {},\n\n", self.words.name) };
            format!("{greeting}{text}\n\nBest,\n{name}\n{}", self.office.brand)
        } else {
            text.to_owned()
        };
        let fields = self.message("outbound", text);
        self.event(EventType::MessageSent, fields);
        if self.line == Line::Email {
            self.open_mail();
        }
    }

    /// The agent writes a template.
    pub fn say_filled(&mut self, template: &str) {
        let text = self.words.fill(template, self.agent().name);
        self.say(&text);
    }

    /// The lead opens a mail of ours, or not.
    pub fn open_mail(&mut self) {
        if self.random.chance(0.004) {
            self.pass(20 * SECOND_MS);
            self.seen_by(
                "mailer",
                EventType::EmailBounced,
                json!({ "channel": "email", "attributes": { "bounce": "mailbox_full" } }),
            );
            return;
        }
        if self.random.chance(0.35 + 0.5 * self.traits.p_answer) {
            let minutes = self.random.around(20.0, 1.0).min(300.0);
            self.at_ms = awake(
                self.at_ms + (minutes * MINUTE_MS as f64) as i64,
                &self.zone.1,
                &mut self.random,
            );
            self.seen_by("mailer", EventType::EmailOpened, json!({ "channel": "email" }));
            if self.random.chance(0.1 + 0.4 * self.traits.p_convert) {
                self.pass(30 * SECOND_MS);
                self.seen_by("mailer", EventType::EmailClicked, json!({ "channel": "email" }));
            }
        }
    }

    fn message(&self, direction: &str, text: String) -> Value {
        let Self { id, line, .. } = self;
        let conversation = format!("{}-{id}-{}", self.office.tenant, line.as_str());
        self.by_agent(json!({
            "channel": line.as_str(),
            "direction": direction,
            "conversation_id": conversation,
            "content": { "text": text, "language": "en" },
        }))
    }

    /// As this lead types.
    fn styled(&self, text: &str) -> String {
        if !self.traits.casual || text.chars().all(|letter| !letter.is_lowercase()) {
            return text.to_owned();
        }
        let mut letters =
            text.strip_suffix('.').filter(|rest| !rest.ends_with('.')).unwrap_or(text).chars();
        let first = letters
            .next()
            .map(|letter| letter.to_lowercase().collect::<String>())
            .unwrap_or_default();
        first + letters.as_str()
    }

    fn mail(&self, text: &str) -> String {
        // An opt-out has no signature.
        if text.len() < 16 {
            return text.to_owned();
        }
        let greeted =
            ["Hi", "Hello", "Hey", "Good morning"].iter().any(|word| text.starts_with(word));
        let greeting =
            if greeted { String::new() } else { format!("Hi {},\n\n", self.agent().name) };
        format!("{greeting}{text}\n\n{}", self.words.name)
    }

    /// A call: completed, or missed with or without a voicemail. Returns whether it was completed.
    pub fn call(&mut self, direction: &str, answered: f64) -> bool {
        let fields = self.by_agent(json!({ "channel": "phone", "direction": direction }));
        if self.random.chance(answered) {
            let seconds = (self.random.around(150.0 + 300.0 * self.traits.p_convert, 0.7) as i64)
                .clamp(15, 2_400);
            self.pass(seconds * SECOND_MS);
            let mut fields = fields;
            if let Value::Object(fields) = &mut fields {
                let mut measures = Map::new();
                measures.insert("call_seconds".to_owned(), (seconds as f64).into());
                fields.insert("measures".to_owned(), measures.into());
            }
            self.seen_by("dialer", EventType::CallCompleted, fields);
            return true;
        }
        self.seen_by("dialer", EventType::CallMissed, fields.clone());
        if direction == "outbound" && self.random.chance(0.5) {
            self.pass(40 * SECOND_MS);
            self.seen_by("dialer", EventType::VoicemailLeft, fields);
        }
        false
    }

    /// The deal as the CRM shows it at one of its steps.
    pub fn deal(&self, step: Step, status: &str) -> Value {
        let value = self.value();
        json!({
            "opportunity_id": format!("opp-{}", self.id),
            "pipeline_id": self.office.brand,
            "stage_id": self.office.steps.name(step),
            "status": status,
            "value_minor": value * 100,
            "currency": "USD",
        })
    }

    /// What the deal is worth, dollars: the price, a year's rent, or the loan.
    #[must_use]
    pub fn value(&self) -> i64 {
        match self.words.business {
            Business::Sales => self.words.home.price,
            Business::Rentals => self.words.home.price * 12,
            Business::Lending => self.words.home.price * 9 / 10,
        }
    }

    /// The CRM moves the deal to a step, if the agent records it.
    pub fn step(&mut self, step: Step) {
        if self.stands != Some(step) && self.random.chance(self.agent().diligence) {
            self.stands = Some(step);
            self.pass_about(15 * MINUTE_MS);
            let fields = self.by_agent(json!({ "pipeline": self.deal(step, "open") }));
            self.event(EventType::OpportunityStageChanged, fields);
        }
    }

    /// Lets a time pass that is drawn with this mean, at most four times it.
    pub fn pass_about(&mut self, mean_ms: i64) {
        let wait_ms = self.random.wait_ms(mean_ms as f64).min(4 * mean_ms);
        self.pass(wait_ms);
    }

    /// Days to milliseconds, drawn around a median.
    pub fn days(&mut self, median: f64) -> i64 {
        (self.random.around(median, 0.4) * 24.0 * HOUR_MS as f64) as i64
    }
}
