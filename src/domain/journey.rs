//! The journey of a lead: a belief over six stages that moves with evidence, forward and back.
//!
//! The state model is a hidden Markov filter. Each event that says something about the stage first
//! lets the belief drift a little (stages move on, sometimes back), then weighs it by how likely
//! that event is in each stage. A stage named by the CRM is strong evidence: [`CRM_TRUST`] of the
//! belief goes there. The shown stage changes only when another one leads by [`LEAD`], so that it
//! does not flicker. A lead moves back by a mapped earlier CRM stage, by a cancelled or missed
//! appointment, by an objection, or by a decline in words.

pub mod stage_map;

use crate::domain::event::{EventType, Interaction};
use crate::domain::journey::stage_map::{StageMap, normal_name};
use crate::domain::lexicon::{Signals, Topic};
use crate::domain::units::{EventTime, HOUR_MS};

/// Belief given to a stage that the CRM names (chosen: an agent's word, wrong about one time in
/// twenty).
const CRM_TRUST: f32 = 0.95;
/// A stage must lead the shown one by this much to replace it (chosen: a tenth avoids flicker).
const LEAD: f32 = 0.1;
/// Belief never falls below this, so that evidence can always bring a stage back.
const FLOOR: f32 = 0.002;

/// A stage of the journey, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Knows that we exist.
    #[default]
    Awareness,
    /// Looks around.
    Interest,
    /// Compares concrete options.
    Consideration,
    /// Wants to act: visit, pre-approval, application.
    Intent,
    /// Has an offer or a visit behind it and weighs it.
    Evaluation,
    /// Closing.
    Purchase,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 6] = [
        Self::Awareness,
        Self::Interest,
        Self::Consideration,
        Self::Intent,
        Self::Evaluation,
        Self::Purchase,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awareness => "awareness",
            Self::Interest => "interest",
            Self::Consideration => "consideration",
            Self::Intent => "intent",
            Self::Evaluation => "evaluation",
            Self::Purchase => "purchase",
        }
    }

    /// The stage of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }

    /// Place in [`Stage::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// How a lead ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Converted.
    Won,
    /// Lost, cancelled or disqualified.
    Lost,
}

impl Outcome {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// The rolling journey of one lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Journey {
    /// Belief per stage; sums to 1.
    pub belief: [f32; 6],
    /// The shown stage.
    pub stage: Stage,
    /// When the shown stage was entered; `None` before the first event.
    pub entered_at: Option<EventTime>,
    /// Changes of the shown stage.
    pub moves: u32,
    /// Changes of the shown stage to an earlier one.
    pub regressions: u32,
    /// The furthest stage shown so far.
    pub furthest: Stage,
    /// How long the stage before the shown one had lasted, hours; `None` before the first change.
    pub previous_hours: Option<f32>,
    /// The newest change to an earlier stage.
    pub regressed_at: Option<EventTime>,
    /// Calls since the shown stage was entered.
    pub calls: u32,
    /// How the lead ended, until it is reopened.
    pub outcome: Option<Outcome>,
}

impl Default for Journey {
    fn default() -> Self {
        Self {
            belief: [0.7, 0.2, 0.06, 0.025, 0.01, 0.005],
            stage: Stage::Awareness,
            entered_at: None,
            moves: 0,
            regressions: 0,
            furthest: Stage::Awareness,
            previous_hours: None,
            regressed_at: None,
            calls: 0,
            outcome: None,
        }
    }
}

/// The journey as a prediction shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The shown stage.
    pub stage: Stage,
    /// Belief in the order of [`Stage::ALL`]; sums to 1.
    pub probabilities: [f64; 6],
    /// The stage most likely to come next; `None` once won or lost.
    pub expected_next: Option<Stage>,
    /// When the shown stage was entered.
    pub entered_at: EventTime,
}

/// What a CRM's word for a stage or status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// One of the six stages.
    Stage(Stage),
    /// The lead is won.
    Won,
    /// The lead is lost.
    Lost,
    /// Says nothing about the stage; known and deliberately ignored.
    Neutral,
}

/// What an event says about the journey, read before the state moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The stage the CRM names.
    pub stage: Option<Stage>,
    /// The outcome the CRM names.
    pub outcome: Option<Outcome>,
    /// The lead is open again.
    pub reopened: bool,
    /// A CRM stage name that no map knows.
    pub unmapped: Option<String>,
}

/// Reads the CRM's words of an event.
#[must_use]
pub fn evidence(event: &Interaction, map: &StageMap) -> Evidence {
    let mut found = Evidence::default();
    let deal = event.opportunity.as_ref();
    let status = deal.and_then(|deal| deal.status.as_deref()).map(normal_name);
    if let Some(name) =
        deal.and_then(|deal| deal.stage_id.as_deref()).filter(|name| !name.is_empty())
    {
        match map.meaning(name) {
            Some(Meaning::Stage(stage)) => found.stage = Some(stage),
            Some(Meaning::Won) => found.outcome = Some(Outcome::Won),
            Some(Meaning::Lost) => found.outcome = Some(Outcome::Lost),
            Some(Meaning::Neutral) => {}
            None => found.unmapped = Some(name.to_owned()),
        }
    }
    match event.kind {
        EventType::LeadConverted => found.outcome = Some(Outcome::Won),
        EventType::LeadLost => found.outcome = Some(Outcome::Lost),
        EventType::OpportunityStatusChanged | EventType::OpportunityStageChanged => {
            match status.as_deref() {
                Some("open") => found.reopened = true,
                Some(word) => match map.meaning(word) {
                    Some(Meaning::Won) => found.outcome = Some(Outcome::Won),
                    Some(Meaning::Lost) => found.outcome = Some(Outcome::Lost),
                    _ => {}
                },
                None => {}
            }
        }
        _ => found.outcome = None,
    }
    if found.outcome.is_some() {
        found.reopened = false;
    }
    found
}

/// How likely an event is in each stage, relative to the others; `None` for events that say
/// nothing.
fn likelihood(event: &Interaction, signals: Option<&Signals>) -> Option<[f32; 6]> {
    use EventType as E;
    Some(match event.kind {
        E::PageViewed | E::SearchPerformed => [1.0, 1.4, 1.2, 0.9, 0.8, 0.6],
        E::ListingViewed => [0.7, 1.4, 1.5, 1.1, 0.9, 0.5],
        E::ListingSaved => [0.3, 1.2, 2.0, 1.5, 1.0, 0.5],
        E::OpenhouseVisited => [0.2, 0.8, 1.8, 2.0, 1.6, 0.6],
        E::AppointmentRequested | E::AppointmentBooked => [0.1, 0.4, 1.2, 4.0, 2.0, 0.8],
        E::AppointmentAttended => [0.05, 0.2, 0.8, 2.0, 5.0, 1.5],
        E::AppointmentCancelled | E::AppointmentNoShow => [1.0, 1.6, 1.6, 0.7, 0.7, 0.4],
        E::ObjectionRaised => [0.8, 1.2, 1.6, 1.3, 1.2, 0.5],
        E::MessageReceived => spoken(signals?)?,
        _ => return None,
    })
}

/// Likelihood of what the lead said; `None` for small talk.
fn spoken(signals: &Signals) -> Option<[f32; 6]> {
    let rows: [(Topic, [f32; 6]); 9] = [
        (Topic::Commitment, [0.1, 0.3, 0.8, 1.8, 2.6, 3.0]),
        (Topic::Viewing, [0.2, 0.7, 1.4, 3.0, 1.6, 0.7]),
        (Topic::PreApproval, [0.3, 0.7, 1.4, 2.4, 1.5, 1.0]),
        (Topic::Financing, [0.5, 1.0, 1.7, 1.6, 1.2, 0.8]),
        (Topic::Price, [0.6, 1.3, 1.7, 1.1, 1.3, 0.6]),
        (Topic::Availability, [0.7, 1.4, 1.6, 1.1, 0.8, 0.4]),
        (Topic::Hesitation, [1.2, 1.5, 1.3, 0.7, 0.9, 0.3]),
        (Topic::Interest, [0.6, 1.4, 1.5, 1.2, 1.0, 0.7]),
        (Topic::Question, [0.8, 1.3, 1.2, 1.0, 0.9, 0.7]),
    ];
    let wishes = (!signals.facts.is_empty()).then_some([0.5, 1.3, 1.7, 1.1, 0.8, 0.4]);
    rows.into_iter()
        .find(|(topic, _)| signals.intensity[*topic as usize] >= 0.5)
        .map(|(_, row)| row)
        .or(wishes)
}

/// Where leads usually go next: rows from, columns to, in the order of [`Stage::ALL`]; each row
/// sums to 1.
const NEXT: [[f32; 6]; 6] = [
    [0.90, 0.08, 0.02, 0.00, 0.00, 0.00],
    [0.02, 0.88, 0.08, 0.02, 0.00, 0.00],
    [0.00, 0.03, 0.87, 0.07, 0.03, 0.00],
    [0.00, 0.02, 0.03, 0.85, 0.09, 0.01],
    [0.00, 0.01, 0.04, 0.02, 0.86, 0.07],
    [0.00, 0.00, 0.02, 0.01, 0.04, 0.93],
];

impl Journey {
    /// Moves with one event; `evidence` is what [`evidence`] read from it.
    pub fn apply(&mut self, event: &Interaction, evidence: &Evidence, signals: Option<&Signals>) {
        let at = event.occurred_at;
        self.entered_at.get_or_insert(at);
        if event.kind == EventType::CallCompleted {
            self.calls = self.calls.saturating_add(1);
        }
        if let Some(stage) = evidence.stage {
            self.belief = [(1.0 - CRM_TRUST) / 5.0; 6];
            self.belief[stage.index()] = CRM_TRUST;
        } else if let Some(likelihood) = likelihood(event, signals) {
            self.weigh(&likelihood);
        }
        if evidence.reopened {
            self.outcome = None;
        }
        self.outcome = evidence.outcome.or(self.outcome);
        if evidence.outcome == Some(Outcome::Won) {
            self.belief = [(1.0 - CRM_TRUST) / 5.0; 6];
            self.belief[Stage::Purchase.index()] = CRM_TRUST;
        }
        self.settle(at);
    }

    fn weigh(&mut self, likelihood: &[f32; 6]) {
        let mut next = [0.0_f32; 6];
        for (from, row) in NEXT.iter().enumerate() {
            for (to, share) in row.iter().enumerate() {
                next[to] += self.belief[from] * share;
            }
        }
        next.iter_mut()
            .zip(likelihood)
            .for_each(|(belief, weight)| *belief = (*belief * weight).max(FLOOR));
        let sum: f32 = next.iter().sum();
        self.belief = next.map(|belief| belief / sum);
    }

    fn settle(&mut self, at: EventTime) {
        let (best, belief) = Stage::ALL
            .into_iter()
            .map(|stage| (stage, self.belief[stage.index()]))
            .fold((self.stage, f32::MIN), |best, next| if next.1 > best.1 { next } else { best });
        if best != self.stage && belief >= self.belief[self.stage.index()] + LEAD {
            self.moves = self.moves.saturating_add(1);
            if best < self.stage {
                self.regressions = self.regressions.saturating_add(1);
                self.regressed_at = Some(at);
            }
            self.previous_hours =
                self.entered_at.map(|entered| (at.since(entered) as f64 / HOUR_MS as f64) as f32);
            self.stage = best;
            self.furthest = self.furthest.max(best);
            self.entered_at = Some(at);
            self.calls = 0;
        }
    }

    /// The journey as a prediction shows it at `now`.
    #[must_use]
    pub fn view(&self, now: EventTime) -> View {
        View {
            stage: self.stage,
            probabilities: self.belief.map(f64::from),
            expected_next: self.outcome.is_none().then(|| self.expected_next()),
            entered_at: self.entered_at.unwrap_or(now),
        }
    }

    /// The most likely other stage after one move from the present belief.
    fn expected_next(&self) -> Stage {
        let reach = |to: Stage| -> f32 {
            (0..6).map(|from| self.belief[from] * NEXT[from][to.index()]).sum()
        };
        let others = Stage::ALL.into_iter().filter(|stage| *stage != self.stage);
        others
            .fold((Stage::Purchase, f32::MIN), |best, stage| {
                if reach(stage) > best.1 { (stage, reach(stage)) } else { best }
            })
            .0
    }
}
