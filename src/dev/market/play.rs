//! How a scene of a lead's life is played: the events it leaves behind and the time it takes.

use serde_json::{Value, json};

use crate::dev::market::calendar::{awake, slot, written};
use crate::dev::market::habits::{awaits_answer, reminded_of, tags, tasks};
use crate::dev::market::lead::{Lead, Line, Meeting, Scene, Settles};
use crate::dev::market::office::Step;
use crate::dev::market::sentences::COMMON;
use crate::dev::market::talk::{Moment, Reason};
use crate::dev::market::words::{Business, Home};
use crate::domain::event::EventType;
use crate::domain::journey::Outcome;
use crate::domain::lexicon::ObjectionKind;
use crate::domain::units::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

impl Lead {
    /// Plays one scene.
    pub fn play(&mut self, scene: Scene) {
        match scene {
            Scene::Arrive => self.arrive(),
            Scene::Say(moment) => self.exchange(moment),
            Scene::Doubt(kind, settles) => self.doubt(kind, settles),
            Scene::Browse => self.browse(),
            Scene::Call => {
                self.pass_about(4 * HOUR_MS);
                self.at_desk(MINUTE_MS);
                self.call("outbound", 0.2 + 0.5 * self.traits.p_answer);
            }
            Scene::Meet(meeting) => self.meet(meeting),
            Scene::Step(step) => self.step(step),
            Scene::Nudge { days } => {
                self.nudge(days, if self.known { Moment::FollowUp } else { Moment::Knock })
            }
            Scene::Pause { days } => {
                let wait_ms = self.days(days as f64);
                self.at_ms = awake(self.at_ms + wait_ms, &self.zone.1, &mut self.random);
            }
            Scene::Papers => self.papers(),
            Scene::HandOver => self.hand_over(),
            Scene::Win => self.win(),
            Scene::Lose(reason) => self.lose(reason),
            Scene::Reopen => self.reopen(),
            Scene::Erase => {
                self.pass(3 * DAY_MS);
                self.event(EventType::ContactErased, json!({}));
            }
        }
    }

    fn arrive(&mut self) {
        let by_phone = self.campaign == "yard_sign" && self.random.chance(0.6);
        let words = self.random.chance(0.75);
        let consent = json!({ "sms": self.line != Line::Email || self.random.chance(0.6), "email": self.line == Line::Email || self.random.chance(0.8) });
        if !by_phone && self.random.chance(0.6) {
            self.visit_site();
        }
        let mut attributes = json!({ "timezone": self.zone.0, "first_name": self.words.name });
        if self.random.chance(0.2) {
            attributes["external_tag"] = "imported".into();
        }
        let created = json!({ "channel": if by_phone { "phone" } else { "web" }, "campaign": self.campaign, "consent": consent, "attributes": attributes });
        let created = self.by_agent(created);
        self.event(EventType::ContactCreated, created);
        if self.random.chance(0.15) {
            let tag = self.random.pick(tags(self.words.business));
            self.event(EventType::ContactTagged, json!({ "attributes": { "tag": tag } }));
        }
        let deal = self.by_agent(json!({ "pipeline": self.deal(Step::New, "open") }));
        if by_phone {
            self.pass(MINUTE_MS);
            let talked = self.call("inbound", 0.5);
            self.event(EventType::OpportunityStageChanged, deal);
            return self.welcome(if talked { Moment::Called } else { Moment::CallMissed });
        }
        self.pass(20 * SECOND_MS);
        self.seen_by(
            "website",
            EventType::FormSubmitted,
            json!({ "channel": "web", "campaign": self.campaign }),
        );
        self.event(EventType::OpportunityStageChanged, deal);
        if !words {
            return self.welcome(Moment::Welcome);
        }
        let (asked, answer) = self.talk(Moment::Opening);
        if let Some(asked) = asked {
            self.pass(MINUTE_MS);
            self.hear(&self.words.fill(asked, self.agent().name));
        }
        self.answer(Moment::Opening, answer);
        self.step(Step::Contacted);
    }

    /// We answer a lead that came without a message.
    fn welcome(&mut self, moment: Moment) {
        if moment == Moment::Called {
            self.judge(0);
        } else {
            self.agent_waits();
            if self.random.chance(0.3) {
                self.call("outbound", 0.5 * self.traits.p_answer);
                self.pass(2 * MINUTE_MS);
            }
        }
        let (_, text) = self.talk(moment);
        self.pass(MINUTE_MS);
        text.into_iter().for_each(|text| self.say_filled(text));
        self.step(Step::Contacted);
    }

    /// The lead says something, perhaps only after a reminder, and the agent answers.
    fn exchange(&mut self, moment: Moment) {
        let mut reminded = false;
        for _ in 0..2 {
            let patience = if self.mood < -0.3 { 0.75 } else { 1.0 };
            if moment == Moment::Comeback || self.random.chance(self.traits.p_answer * patience) {
                break;
            }
            if reminded_of(moment) {
                self.nudge(2, if self.known { Moment::Remind } else { Moment::Knock });
                reminded = true;
            } else {
                self.pass_about(18 * HOUR_MS);
            }
        }
        let (said, answer) = self.talk(moment);
        if let Some(said) = said {
            self.lead_waits();
            let excuse = reminded.then(|| self.random.pick(&COMMON.excuses));
            let said = self.words.fill(said, self.agent().name);
            self.hear(&match excuse {
                Some(excuse) => format!("{excuse} {said}"),
                None => said,
            });
        }
        self.known |= moment == Moment::Needs;
        self.answer(moment, answer);
    }

    /// The agent answers, by message or by phone, soon or after the lead has asked again.
    fn answer(&mut self, moment: Moment, template: Option<&'static str>) {
        let Some(template) = template else { return };
        if awaits_answer(moment) && self.random.chance(self.agent().forgets) {
            self.pass(2 * DAY_MS);
            self.pass_about(8 * HOUR_MS);
            self.judge(2 * DAY_MS);
            let (complaint, apology) = self.talk(Moment::Complaint);
            self.at_ms = awake(self.at_ms, &self.zone.1, &mut self.random);
            if self.random.chance(0.7) {
                complaint
                    .into_iter()
                    .for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
                self.at_desk(45 * MINUTE_MS);
                apology.into_iter().for_each(|text| self.say_filled(text));
                self.pass(3 * MINUTE_MS);
            }
            self.at_desk(MINUTE_MS);
        } else {
            self.agent_waits();
            if self.line != Line::Chat
                && self.random.chance(0.07)
                && self.call("outbound", 0.6 * self.traits.p_answer)
            {
                self.pass(5 * MINUTE_MS);
            }
        }
        self.say_filled(template);
    }

    fn doubt(&mut self, kind: ObjectionKind, settles: Settles) {
        self.lead_waits();
        let (said, answer) = self.talk(Moment::Objection(kind));
        said.into_iter().for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
        let noted = self.random.chance(0.7);
        let fields = self.by_agent(json!({ "attributes": { "objection": kind.as_str() } }));
        if noted {
            self.pass(MINUTE_MS);
            self.event(EventType::ObjectionRaised, fields.clone());
        }
        if self.random.chance(0.12) {
            self.coached();
        }
        self.answer(Moment::Objection(kind), answer);
        let after = if settles == Settles::Yes { Moment::Settled } else { Moment::Unsettled };
        self.exchange(after);
        if noted && settles == Settles::Yes {
            self.event(EventType::ObjectionResolved, fields);
        }
    }

    /// The agent practises with the coach before answering.
    fn coached(&mut self) {
        self.at_desk(20 * MINUTE_MS);
        let seconds = self.random.around(400.0, 0.5).clamp(60.0, 1_800.0) as i64;
        let satisfaction = 1 + self.random.below(5).max(self.random.below(5));
        let measures = json!({ "coaching_seconds": seconds as f64, "coaching_satisfaction": satisfaction as f64 });
        self.pass(seconds * SECOND_MS);
        let ended = self.by_agent(json!({ "measures": measures }));
        self.event(EventType::CoachingSessionEnded, ended);
        if self.random.chance(0.5) {
            let word = if satisfaction >= 3 { "helpful" } else { "not_helpful" };
            let feedback = self.by_agent(json!({ "attributes": { "rating": word } }));
            self.event(EventType::CoachingFeedback, feedback);
        }
    }

    /// A first look at the site, before the lead is known by name.
    fn visit_site(&mut self) {
        self.sessions += 1;
        let session = self.session();
        let page = if self.words.business == Business::Lending { "/rates" } else { "/" };
        self.seen_by(
            "website",
            EventType::PageViewed,
            json!({ "channel": "web", "session_id": session, "campaign": self.campaign, "attributes": { "page": page } }),
        );
        self.pass(40 * SECOND_MS);
        if self.words.business != Business::Lending {
            let home = self.words.home.clone();
            self.view(EventType::ListingViewed, &home, &session);
        }
    }

    fn session(&self) -> String {
        format!("web-{}-{}", self.id, self.sessions)
    }

    fn view(&mut self, kind: EventType, home: &Home, session: &str) {
        let (_, postal_code, _) = self.words.area;
        let listing = json!({ "listing_id": home.listing_id, "price_minor": home.price * 100, "currency": "USD", "property_type": home.kind, "postal_code": postal_code });
        self.seen_by(
            "website",
            kind,
            json!({ "channel": "web", "session_id": session, "listing": listing }),
        );
    }

    /// Pages and homes viewed on the site: the likelier the lead converts, the more.
    fn browse(&mut self) {
        self.lead_waits();
        self.sessions += 1;
        let session = self.session();
        let keen = self.traits.p_convert;
        if self.words.business == Business::Lending {
            for page in ["/calculator", "/rates", "/first-time-buyers", "/documents"] {
                if self.random.chance(0.2 + keen) {
                    self.pass_about(90 * SECOND_MS);
                    self.seen_by(
                        "website",
                        EventType::PageViewed,
                        json!({ "channel": "web", "session_id": session, "attributes": { "page": page } }),
                    );
                }
            }
            return;
        }
        if self.random.chance(0.6) {
            let attributes = json!({ "area": self.words.area.0, "bedrooms_min": self.words.bedrooms.to_string(), "price_max": self.words.budget.to_string() });
            self.seen_by(
                "website",
                EventType::SearchPerformed,
                json!({ "channel": "web", "session_id": session, "attributes": attributes }),
            );
        }
        let homes = 1 + self.random.below(2 + (6.0 * keen) as usize);
        for number in 0..homes {
            let home = if number == 0 {
                self.words.home.clone()
            } else {
                Home::new(
                    self.words.business,
                    self.words.budget as f64 * self.random.between(0.8, 1.1),
                    &mut self.random,
                )
            };
            self.pass_about(80 * SECOND_MS);
            self.view(EventType::ListingViewed, &home, &session);
            if self.random.chance(0.05 + 0.45 * keen) {
                self.view(EventType::ListingSaved, &home, &session);
            }
        }
        if self.words.business == Business::Sales && self.random.chance(0.04 + 0.15 * keen) {
            self.pass(2 * DAY_MS);
            self.at_ms = slot(self.at_ms, 1, &self.zone.1, &mut self.random).0;
            self.event(
                EventType::OpenhouseVisited,
                json!({ "channel": "in_person", "listing": { "listing_id": self.words.home.listing_id } }),
            );
        }
    }

    /// The agent writes without having been asked; sometimes calls before, and may note it as a
    /// task.
    fn nudge(&mut self, days: i64, moment: Moment) {
        let noted = self.random.chance(0.25);
        if noted {
            let task = self.by_agent(json!({ "attributes": { "task": "follow_up" } }));
            self.event(EventType::TaskScheduled, task);
        }
        let wait_ms = self.days(days as f64);
        self.at_desk(wait_ms);
        let (_, text) = self.talk(moment);
        let tried = text.is_some_and(|text| text.contains("by phone"));
        if tried || self.random.chance(0.15) {
            self.call("outbound", if tried { 0.0 } else { 0.3 * self.traits.p_answer });
            self.pass(10 * MINUTE_MS);
        }
        text.into_iter().for_each(|text| self.say_filled(text));
        if noted {
            self.pass(MINUTE_MS);
            let task = self.by_agent(json!({ "attributes": { "task": "follow_up" } }));
            self.event(EventType::TaskCompleted, task);
        }
    }

    /// A meeting: requested, booked, perhaps moved, then held, missed or cancelled.
    fn meet(&mut self, meeting: Meeting) {
        self.lead_waits();
        let days = 2 + self.random.below(4) as i64;
        let mut start_ms = self.appoint(days);
        let (said, answer) = self.talk(Moment::Viewing);
        said.into_iter().for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
        if self.random.chance(0.3) {
            self.appointment(EventType::AppointmentRequested, start_ms);
        }
        self.agent_waits();
        // However slow the agent is, the answer comes before the meeting.
        self.no_later_than(start_ms - 3 * HOUR_MS);
        answer.into_iter().for_each(|text| self.say_filled(text));
        self.appointment(EventType::AppointmentBooked, start_ms);
        self.step(Step::Meeting);
        if self.random.chance(0.15) && start_ms - self.at_ms > 20 * HOUR_MS {
            self.pass_about(2 * HOUR_MS);
            start_ms = self.appoint(days.max(3));
            let (said, answer) = self.talk(Moment::Moved);
            said.into_iter().for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
            self.at_desk(25 * MINUTE_MS);
            self.no_later_than(start_ms - 2 * HOUR_MS);
            answer.into_iter().for_each(|text| self.say_filled(text));
            self.appointment(EventType::AppointmentChanged, start_ms);
        }
        if meeting == Meeting::Cancelled {
            self.pass((start_ms - self.at_ms) / 3);
            self.at_ms = awake(self.at_ms, &self.zone.1, &mut self.random);
            self.no_later_than(start_ms - HOUR_MS);
            let (said, answer) = self.talk(Moment::Cancelled);
            said.into_iter().for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
            self.appointment(EventType::AppointmentCancelled, start_ms);
            return self.answer(Moment::Cancelled, answer);
        }
        self.held(meeting, start_ms);
    }

    /// The meeting itself and the messages after it.
    fn held(&mut self, meeting: Meeting, start_ms: i64) {
        let before_ms = start_ms - 4 * HOUR_MS;
        if before_ms > self.at_ms && self.random.chance(0.35) {
            self.at_ms = before_ms;
            let (_, text) = self.talk(Moment::Reminder);
            text.into_iter().for_each(|text| self.say_filled(text));
        }
        self.at_ms = self.at_ms.max(start_ms + 25 * MINUTE_MS);
        let after = match meeting {
            Meeting::Missed => {
                self.appointment(EventType::AppointmentNoShow, start_ms);
                Moment::Missed
            }
            Meeting::Liked | Meeting::Disliked | Meeting::Cancelled => {
                if self.words.business == Business::Lending {
                    self.call("outbound", 1.0);
                }
                self.appointment(EventType::AppointmentAttended, start_ms);
                if meeting == Meeting::Liked { Moment::Liked } else { Moment::Disliked }
            }
        };
        let silent = meeting == Meeting::Missed && !self.random.chance(self.traits.p_answer);
        if !silent {
            self.exchange(after);
        }
        if meeting == Meeting::Disliked {
            self.words.next_home(&mut self.random);
        }
    }

    /// Chooses a time to meet, which the sentences that follow name.
    fn appoint(&mut self, days: i64) -> i64 {
        let (start_ms, day, hour) =
            slot(self.at_ms, days, &self.office.clone().zone, &mut self.random);
        self.words.meeting = (day, hour);
        start_ms
    }

    fn appointment(&mut self, kind: EventType, start_ms: i64) {
        let channel = if self.words.business == Business::Lending { "phone" } else { "in_person" };
        let fields = self.by_agent(
            json!({ "channel": channel, "attributes": { "starts_at": written(start_ms) } }),
        );
        self.pass(MINUTE_MS);
        self.event(kind, fields);
    }

    fn papers(&mut self) {
        for task in tasks(self.words.business) {
            if self.random.chance(0.6) {
                let fields = self.by_agent(json!({ "attributes": { "task": task } }));
                self.event(EventType::TaskScheduled, fields.clone());
                self.at_desk(DAY_MS);
                self.event(EventType::TaskCompleted, fields);
            }
        }
        if self.random.chance(0.1) {
            let fields = self.by_agent(json!({ "pipeline": self.deal(Step::Odd, "open") }));
            self.event(EventType::OpportunityStageChanged, fields);
        }
        if self.random.chance(0.2) {
            self.event(
                EventType::ContactUpdated,
                json!({ "attributes": { "timezone": self.office.zone_name } }),
            );
        }
    }

    fn hand_over(&mut self) {
        let count = self.office.agents.len();
        self.at_desk(HOUR_MS);
        self.agent_place = (self.agent_place + 1 + self.random.below(count - 1)) % count;
        let fields = self.by_agent(json!({ "attributes": { "owner_changed": "true" } }));
        self.event(EventType::ContactUpdated, fields);
        self.pass(10 * MINUTE_MS);
        self.say_filled(COMMON.hand_over);
    }

    fn win(&mut self) {
        self.at_desk(HOUR_MS);
        let won = self.by_agent(json!({ "pipeline": self.deal(Step::Won, "won") }));
        self.event(EventType::OpportunityStageChanged, won.clone());
        self.end = Some((Outcome::Won, self.at_ms));
        self.event(EventType::LeadConverted, won);
        self.exchange(Moment::Won);
    }

    fn lose(&mut self, reason: Reason) {
        let stop = reason == Reason::OptedOut;
        if stop {
            self.lead_waits();
            let (said, _) = self.talk(Moment::OptOut);
            said.into_iter().for_each(|text| self.hear(&self.words.fill(text, self.agent().name)));
            let channel = self.line.as_str();
            self.event(
                EventType::ConsentChanged,
                json!({ "channel": channel, "consent": { channel: false } }),
            );
            self.event(EventType::ContactDndChanged, json!({ "attributes": { "dnd": "true" } }));
        } else if reason == Reason::NoResponse {
            let (_, text) = self.talk(Moment::Lost(reason));
            self.at_desk(4 * DAY_MS);
            text.into_iter().for_each(|text| self.say_filled(text));
        } else if reason != Reason::FellThrough {
            self.exchange(Moment::Lost(reason));
        }
        self.at_desk(2 * HOUR_MS);
        let lost: Value = self.by_agent(json!({ "pipeline": self.deal(Step::Lost, "lost"), "attributes": { "reason": reason.as_str() } }));
        self.event(EventType::OpportunityStatusChanged, lost.clone());
        self.end = Some((Outcome::Lost, self.at_ms));
        self.event(EventType::LeadLost, lost);
    }

    fn reopen(&mut self) {
        let Some((Outcome::Lost, _)) = self.end else { return };
        self.end = None;
        let open = self.by_agent(json!({ "pipeline": self.deal(Step::Contacted, "open") }));
        self.event(EventType::OpportunityStatusChanged, open);
    }
}
