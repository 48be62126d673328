//! What happens to a lead, phase by phase: its hidden traits, its service and chance decide whether
//! it passes a phase, and scenes are planned accordingly.

use crate::dev::market::lead::{Lead, Meeting, Phase, Scene, Settles};
use crate::dev::market::office::Step;
use crate::dev::market::talk::{Moment, Reason};
use crate::dev::market::words::Business;
use crate::domain::lexicon::ObjectionKind;

/// How strongly service moves the chances: at mood 1 a phase of weight w is passed with `p^(w
/// e^-.8)`.
const SERVICE: f64 = 0.8;
/// How strongly the agent's skill moves the chances.
const SKILL: f64 = 0.6;

impl Phase {
    /// Share of the log of `p_convert` that this phase bears; they sum to 1, so at mood 0 all are
    /// passed with `p_convert`.
    #[must_use]
    pub fn weight(self) -> f64 {
        match self {
            Self::Contact => 0.3,
            Self::Search => 0.27,
            Self::Meeting => 0.2,
            Self::Offer => 0.13,
            Self::Contract => 0.1,
            Self::Over => 0.0,
        }
    }
}

impl Lead {
    /// Plays what comes next; false when nothing more will happen.
    pub fn go_on(&mut self) -> bool {
        if self.plan.is_empty() && !self.plan_phase() {
            return false;
        }
        if let Some(scene) = self.plan.pop_front() {
            self.play(scene);
        }
        true
    }

    fn passes(&mut self) -> bool {
        let service = SERVICE * self.mood + SKILL * (self.agent().skill - 0.5);
        let exponent = self.phase.weight() * libm::exp(-service);
        self.random.chance(libm::pow(self.traits.p_convert, exponent))
    }

    /// Writes the script of the next phase; false when the lead's story is over.
    fn plan_phase(&mut self) -> bool {
        if self.phase == Phase::Over {
            return false;
        }
        if self.passes() {
            match self.phase {
                Phase::Contact => self.contact(),
                Phase::Search => self.search(),
                Phase::Meeting => self.meeting(),
                Phase::Offer => self.offer(),
                Phase::Contract | Phase::Over => self.contract(),
            }
        } else {
            let phase = self.phase;
            self.phase = Phase::Over;
            self.turn_away(phase);
        }
        true
    }

    fn then(&mut self, scene: Scene) {
        self.plan.push_back(scene);
    }

    fn maybe(&mut self, probability: f64, scene: Scene) {
        if self.random.chance(probability) {
            self.then(scene);
        }
    }

    /// What this lead is likely to object to.
    fn objection(&mut self) -> ObjectionKind {
        use ObjectionKind as K;
        let kinds: &[&K] = match self.words.business {
            Business::Sales => &[
                &K::Price,
                &K::Price,
                &K::Location,
                &K::Condition,
                &K::Timing,
                &K::Financing,
                &K::Trust,
                &K::Competitor,
                &K::Authority,
            ],
            Business::Rentals => &[
                &K::Price,
                &K::Price,
                &K::Location,
                &K::Condition,
                &K::Timing,
                &K::Financing,
                &K::Trust,
                &K::Authority,
            ],
            Business::Lending => &[
                &K::Price,
                &K::Financing,
                &K::Timing,
                &K::Trust,
                &K::Competitor,
                &K::Competitor,
                &K::Authority,
            ],
        };
        *self.random.pick(kinds)
    }

    fn contact(&mut self) {
        self.then(Scene::Say(Moment::Needs));
        self.maybe(0.15, Scene::Call);
        self.maybe(0.3 + 0.5 * self.traits.p_convert, Scene::Browse);
        self.maybe(0.45, Scene::Say(Moment::Question));
        self.then(Scene::Step(Step::Qualified));
        self.maybe(0.03, Scene::HandOver);
        self.phase = Phase::Search;
    }

    fn search(&mut self) {
        let keen = self.traits.p_convert;
        self.maybe(0.35 + 0.5 * keen, Scene::Browse);
        if self.words.business != Business::Lending {
            self.maybe(0.25 + 0.4 * keen, Scene::Say(Moment::Ready));
        }
        for _ in 0..1 + self.random.below(3) {
            let objection = self.objection();
            let draw = self.random.unit();
            let scene = match draw {
                _ if self.random.chance(self.traits.p_objection) => {
                    Scene::Doubt(objection, Settles::Yes)
                }
                ..0.45 => Scene::Say(Moment::Question),
                ..0.6 => Scene::Say(Moment::SmallTalk),
                ..0.8 => Scene::Say(Moment::Urgent),
                _ => Scene::Say(Moment::Hesitant),
            };
            // A lead is urgent or hesitant only once in a phase.
            if !self.plan.contains(&scene) || scene == Scene::Say(Moment::Question) {
                self.then(scene);
            }
            if scene == Scene::Say(Moment::Hesitant) {
                self.then(Scene::Pause { days: 4 });
            }
            self.maybe(0.15 + 0.5 * keen, Scene::Browse);
        }
        self.then(Scene::Say(Moment::Warm));
        self.phase = Phase::Meeting;
    }

    fn meeting(&mut self) {
        if self.random.chance(0.12) {
            self.then(Scene::Meet(Meeting::Missed));
            self.then(Scene::Nudge { days: 2 });
        }
        if self.words.business != Business::Lending && self.random.chance(0.25) {
            self.then(Scene::Meet(Meeting::Disliked));
            self.then(Scene::Browse);
        }
        self.then(Scene::Meet(Meeting::Liked));
        self.phase = Phase::Offer;
    }

    fn offer(&mut self) {
        let objection =
            if self.random.chance(0.6) { ObjectionKind::Price } else { ObjectionKind::Authority };
        self.maybe(1.5 * self.traits.p_objection, Scene::Doubt(objection, Settles::Yes));
        self.maybe(0.3, Scene::Say(Moment::Question));
        if self.words.business == Business::Lending {
            self.maybe(0.7, Scene::Say(Moment::Ready));
        }
        self.then(Scene::Pause { days: 1 });
        self.then(Scene::Say(Moment::Offer));
        self.then(Scene::Step(Step::Offer));
        self.phase = Phase::Contract;
    }

    fn contract(&mut self) {
        let closing_days = match self.words.business {
            Business::Sales => 18,
            Business::Rentals => 3,
            Business::Lending => 12,
        };
        self.then(Scene::Pause { days: 1 });
        self.then(Scene::Step(Step::Contract));
        self.then(Scene::Say(Moment::Contract));
        self.then(Scene::Papers);
        self.maybe(0.3, Scene::Say(Moment::SmallTalk));
        self.then(Scene::Pause { days: closing_days });
        self.then(Scene::Win);
        self.phase = Phase::Over;
    }

    /// Plans the end of a lead that does not convert.
    fn turn_away(&mut self, phase: Phase) {
        // Only a lead that was answered several times complains of slow answers.
        if self.mood < -0.4 && phase > Phase::Contact && self.random.chance(0.3) {
            self.then(Scene::Say(Moment::TooSlow));
            return self.then(Scene::Lose(Reason::Competitor));
        }
        let draw = self.random.unit();
        match phase {
            Phase::Contact => match draw {
                ..0.12 => self.end_with(Scene::Say(Moment::Hesitant)),
                ..0.19 => self.then(Scene::Lose(Reason::OptedOut)),
                ..0.26 => self.then(Scene::Lose(Reason::Competitor)),
                ..0.33 => self.then(Scene::Lose(Reason::Postponed)),
                _ => self.fall_silent(),
            },
            Phase::Search => {
                self.maybe(0.4, Scene::Say(Moment::Question));
                self.maybe(0.3, Scene::Browse);
                match draw {
                    ..0.5 => self.end_with_doubt(),
                    ..0.75 => self.end_with(Scene::Say(Moment::Hesitant)),
                    ..0.8 => self.then(Scene::Lose(Reason::OptedOut)),
                    ..0.88 => self.then(Scene::Lose(Reason::NoFit)),
                    _ => self.fall_silent(),
                }
            }
            Phase::Meeting => match draw {
                ..0.3 => self.end_with(Scene::Meet(Meeting::Cancelled)),
                ..0.55 => self.end_with(Scene::Meet(Meeting::Missed)),
                _ => {
                    self.then(Scene::Meet(Meeting::Disliked));
                    self.end_with_doubt();
                }
            },
            Phase::Offer => match draw {
                ..0.6 => self.end_with_doubt(),
                ..0.75 => self.then(Scene::Lose(Reason::Competitor)),
                _ => self.end_with(Scene::Say(Moment::Hesitant)),
            },
            Phase::Contract | Phase::Over => {
                self.then(Scene::Say(Moment::FellThrough));
                self.then(Scene::Step(Step::Qualified));
                self.then(Scene::Lose(Reason::FellThrough));
            }
        }
        self.maybe(0.012, Scene::Erase);
    }

    fn end_with(&mut self, scene: Scene) {
        self.then(scene);
        self.fall_silent();
    }

    /// An objection that stands, and the farewell that fits it.
    fn end_with_doubt(&mut self) {
        let kind = self.objection();
        self.then(Scene::Doubt(kind, Settles::No));
        if self.random.chance(0.45) {
            return self.fall_silent();
        }
        let reason = match kind {
            ObjectionKind::Price => Reason::Price,
            ObjectionKind::Financing => Reason::Financing,
            ObjectionKind::Timing | ObjectionKind::Authority => Reason::Postponed,
            ObjectionKind::Competitor | ObjectionKind::Trust => Reason::Competitor,
            ObjectionKind::Location
            | ObjectionKind::Condition
            | ObjectionKind::NoNeed
            | ObjectionKind::Other => Reason::NoFit,
        };
        self.then(Scene::Lose(reason));
        self.come_back(0.05);
    }

    /// The lead stops answering; the agent tries for a while, then closes the file or leaves it
    /// open.
    fn fall_silent(&mut self) {
        let tries = 1 + self.random.below(4);
        for days in [2, 4, 7, 14].into_iter().take(tries) {
            self.then(Scene::Nudge { days });
            self.maybe(0.1 + 0.3 * self.traits.p_convert, Scene::Browse);
        }
        if self.random.chance(0.45) {
            self.then(Scene::Lose(Reason::NoResponse));
        }
        self.come_back(0.15);
    }

    fn come_back(&mut self, probability: f64) {
        if !self.returned && self.random.chance(probability) {
            self.returned = true;
            self.then(Scene::Pause { days: 16 });
            self.then(Scene::Say(Moment::Comeback));
            self.then(Scene::Reopen);
            self.phase = if self.known { Phase::Search } else { Phase::Contact };
            self.mood = 0.0;
        }
    }
}
