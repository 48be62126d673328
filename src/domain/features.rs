//! The numbers a model sees, read from a lead's state at one time. Reading changes nothing.

use crate::domain::activity::{Activity, DAY, Family, WEEK};
use crate::domain::appointments::Appointments;
use crate::domain::contact::Contact;
use crate::domain::conversation::Conversation;
use crate::domain::journey::Journey;
use crate::domain::lexicon::Topic;
use crate::domain::units::{EventTime, HOUR_MS};

/// Declares the features with their names.
macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A number that a model may use; the unit is part of the name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $($(#[$doc])* $variant,)+ }

        impl Feature {
            /// All features.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in models and outputs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

features! {
    /// Index of the shown stage, 0..=5.
    Stage = "stage",
    /// Highest index of the shown stage so far.
    FurthestStage = "furthest_stage",
    /// Time in the shown stage.
    HoursInStage = "hours_in_stage",
    /// How long the stage before had lasted; missing before the first change.
    PreviousStageHours = "previous_stage_hours",
    /// Changes of the shown stage.
    StageMoves = "stage_moves",
    /// Changes to an earlier stage.
    Regressions = "regressions",
    /// Since the newest change to an earlier stage; missing before one.
    HoursSinceRegression = "hours_since_regression",
    /// Calls since the shown stage was entered.
    CallsInStage = "calls_in_stage",
    /// Since the oldest event.
    AgeHours = "age_hours",
    /// Since the newest event: 0 at an event, above 0 at a timer.
    IdleHours = "idle_hours",
    /// Between the two newest events; missing before the second.
    GapHours = "gap_hours",
    /// Exponentially weighted mean of the gaps; missing before the second event.
    GapMeanHours = "gap_mean_hours",
    /// Runs of events without a pause of 30 minutes.
    Sessions = "sessions",
    /// How often the owner changed.
    AgentChanges = "agent_changes",
    /// Since the lead's newest touch; missing before one.
    HoursSinceInbound = "hours_since_inbound",
    /// Since our newest touch; missing before one.
    HoursSinceOutbound = "hours_since_outbound",
    /// Since the newest call; missing before one.
    HoursSinceCall = "hours_since_call",
    /// Since the lead's newest message; missing before one.
    HoursSinceMessageIn = "hours_since_message_in",
    /// Since our newest message; missing before one.
    HoursSinceMessageOut = "hours_since_message_out",
    /// Our touches since the lead's newest.
    Unanswered = "unanswered",
    /// How long the lead has waited for an answer; missing when it does not.
    WaitingHours = "waiting_hours",
    /// How long the lead takes to answer, exponentially weighted; missing before an answer.
    LeadLatencyMinutes = "lead_latency_minutes",
    /// How long we take to answer, exponentially weighted; missing before an answer.
    AgentLatencyMinutes = "agent_latency_minutes",
    /// Length of calls, exponentially weighted; missing before one.
    CallSeconds = "call_seconds",
    /// Calls.
    CallsTotal = "calls_total",
    /// Calls, half-life a day.
    CallsDay = "calls_day",
    /// Calls, half-life a week.
    CallsWeek = "calls_week",
    /// Messages of the lead.
    MessagesInTotal = "messages_in_total",
    /// Messages of the lead, half-life a week.
    MessagesInWeek = "messages_in_week",
    /// Our messages.
    MessagesOutTotal = "messages_out_total",
    /// Our messages, half-life a week.
    MessagesOutWeek = "messages_out_week",
    /// Moves of the CRM deal, half-life a week.
    MovesWeek = "moves_week",
    /// Task events, half-life a week.
    TasksWeek = "tasks_week",
    /// Tasks scheduled and not completed.
    OpenTasks = "open_tasks",
    /// Page views and searches, half-life a week.
    WebWeek = "web_week",
    /// Listing views, saves and open houses, half-life a week.
    ListingsWeek = "listings_week",
    /// Listings saved.
    Saves = "saves",
    /// Email opens, clicks and bounces, half-life a week.
    EmailWeek = "email_week",
    /// Appointment events, half-life a week.
    AppointmentsWeek = "appointments_week",
    /// Appointments requested or booked.
    AppointmentsAsked = "appointments_asked",
    /// Appointments attended.
    AppointmentsKept = "appointments_kept",
    /// Appointments missed or cancelled.
    AppointmentsMissed = "appointments_missed",
    /// 1 while an appointment is requested or booked and has not taken place, else 0.
    AppointmentAhead = "appointment_ahead",
    /// Objections raised minus resolved.
    ObjectionsOpen = "objections_open",
    /// A visit in the lead's newest message.
    SaidViewing = "said_viewing",
    /// Commitment in the lead's newest message.
    SaidCommitment = "said_commitment",
    /// Hesitation in the lead's newest message.
    SaidHesitation = "said_hesitation",
    /// An objection in the lead's newest message.
    SaidObjection = "said_objection",
    /// A question in the lead's newest message.
    SaidQuestion = "said_question",
    /// Thanks in the lead's newest message.
    SaidThanks = "said_thanks",
    /// An opt-out in the lead's newest message.
    SaidStop = "said_stop",
    /// Visits talked about, half-life a day.
    ViewingDay = "viewing_day",
    /// Price talked about, half-life a day.
    PriceDay = "price_day",
    /// Financing talked about, half-life a day.
    FinancingDay = "financing_day",
    /// Timing talked about, half-life a day.
    TimelineDay = "timeline_day",
    /// Objections, half-life a day.
    ObjectionDay = "objection_day",
    /// Hesitation, half-life a day.
    HesitationDay = "hesitation_day",
    /// Commitment, half-life a day.
    CommitmentDay = "commitment_day",
    /// A proposed visit in our newest message.
    AskedViewing = "asked_viewing",
    /// Exponentially weighted sentiment of the lead, -1..=1; missing before a message.
    Sentiment = "sentiment",
}

impl Feature {
    /// The feature of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.as_str() == name)
    }
}

/// Values of all features at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// By feature; NaN where missing.
    values: [f32; Feature::ALL.len()],
}

impl Features {
    /// The value; `None` where missing.
    #[must_use]
    pub fn value(&self, feature: Feature) -> Option<f32> {
        let value = self.values[feature as usize];
        (!value.is_nan()).then_some(value)
    }

    fn set(&mut self, feature: Feature, value: f64) {
        self.values[feature as usize] = value as f32;
    }

    fn set_known(&mut self, feature: Feature, value: Option<f64>) {
        if let Some(value) = value {
            self.set(feature, value);
        }
    }
}

/// The parts of a lead's state that features come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Counts and rhythm.
    pub activity: &'a Activity,
    /// Stage.
    pub journey: &'a Journey,
    /// Owner.
    pub contact: &'a Contact,
    /// Words.
    pub conversation: &'a Conversation,
    /// Appointments.
    pub appointments: &'a Appointments,
}

/// Reads all features at `now`.
#[must_use]
pub fn extract(sources: &Sources<'_>, now: EventTime) -> Features {
    let mut features = Features { values: [f32::NAN; Feature::ALL.len()] };
    journey(&mut features, sources.journey, now);
    rhythm(&mut features, sources.activity, now);
    counts(&mut features, sources.activity, now);
    words(&mut features, sources.conversation, now);
    features.set(Feature::AgentChanges, f64::from(sources.contact.owner_changes));
    features.set(Feature::AppointmentsAsked, f64::from(sources.appointments.asked));
    features.set(Feature::AppointmentsKept, f64::from(sources.appointments.kept));
    features.set(Feature::AppointmentsMissed, f64::from(sources.appointments.missed));
    features.set(Feature::AppointmentAhead, if sources.appointments.ahead() { 1.0 } else { 0.0 });
    features
}

/// Hours from `then` to `now`, not below 0.
fn hours(then: EventTime, now: EventTime) -> f64 {
    now.since(then).max(0) as f64 / HOUR_MS as f64
}

fn journey(features: &mut Features, journey: &Journey, now: EventTime) {
    features.set(Feature::Stage, journey.stage.index() as f64);
    features.set(Feature::FurthestStage, journey.furthest.index() as f64);
    features
        .set(Feature::HoursInStage, journey.entered_at.map_or(0.0, |entered| hours(entered, now)));
    features.set_known(Feature::PreviousStageHours, journey.previous_hours.map(f64::from));
    features.set(Feature::StageMoves, f64::from(journey.moves));
    features.set(Feature::Regressions, f64::from(journey.regressions));
    features.set_known(
        Feature::HoursSinceRegression,
        journey.regressed_at.map(|then| hours(then, now)),
    );
    features.set(Feature::CallsInStage, f64::from(journey.calls));
}

fn rhythm(features: &mut Features, activity: &Activity, now: EventTime) {
    let since = |then: Option<EventTime>| then.map(|then| hours(then, now));
    let family = |family: Family| since(activity.family(family).last);
    features.set(Feature::AgeHours, since(activity.first).unwrap_or(0.0));
    features.set(Feature::IdleHours, since(activity.last).unwrap_or(0.0));
    features.set_known(Feature::GapHours, activity.gap_hours.map(f64::from));
    features.set_known(Feature::GapMeanHours, activity.gap_mean_hours.map(f64::from));
    features.set(Feature::Sessions, f64::from(activity.sessions));
    features.set_known(Feature::HoursSinceInbound, since(activity.last_inbound));
    features.set_known(Feature::HoursSinceOutbound, since(activity.last_outbound));
    features.set_known(Feature::HoursSinceCall, family(Family::Call));
    features.set_known(Feature::HoursSinceMessageIn, family(Family::MessageIn));
    features.set_known(Feature::HoursSinceMessageOut, family(Family::MessageOut));
    features.set(Feature::Unanswered, f64::from(activity.unanswered));
    features.set_known(Feature::WaitingHours, since(activity.waiting_since));
    features.set_known(Feature::LeadLatencyMinutes, activity.lead_latency_minutes.map(f64::from));
    features.set_known(Feature::AgentLatencyMinutes, activity.agent_latency_minutes.map(f64::from));
    features.set_known(Feature::CallSeconds, activity.call_seconds.map(f64::from));
}

fn counts(features: &mut Features, activity: &Activity, now: EventTime) {
    let total = |family: Family| f64::from(activity.family(family).total);
    let decayed = |family: Family, half_life: usize| activity.family(family).at(now, half_life);
    features.set(Feature::CallsTotal, total(Family::Call));
    features.set(Feature::CallsDay, decayed(Family::Call, DAY));
    features.set(Feature::CallsWeek, decayed(Family::Call, WEEK));
    features.set(Feature::MessagesInTotal, total(Family::MessageIn));
    features.set(Feature::MessagesInWeek, decayed(Family::MessageIn, WEEK));
    features.set(Feature::MessagesOutTotal, total(Family::MessageOut));
    features.set(Feature::MessagesOutWeek, decayed(Family::MessageOut, WEEK));
    features.set(Feature::MovesWeek, decayed(Family::Opportunity, WEEK));
    features.set(Feature::TasksWeek, decayed(Family::Task, WEEK));
    features.set(Feature::OpenTasks, f64::from(activity.open_tasks));
    features.set(Feature::WebWeek, decayed(Family::Web, WEEK));
    features.set(Feature::ListingsWeek, decayed(Family::Listing, WEEK));
    features.set(Feature::Saves, f64::from(activity.saves));
    features.set(Feature::EmailWeek, decayed(Family::Email, WEEK));
    features.set(Feature::AppointmentsWeek, decayed(Family::Appointment, WEEK));
}

fn words(features: &mut Features, conversation: &Conversation, now: EventTime) {
    let said = |topic: Topic| f64::from(conversation.said[topic as usize]);
    features.set(Feature::SaidViewing, said(Topic::Viewing));
    features.set(Feature::SaidCommitment, said(Topic::Commitment));
    features.set(Feature::SaidHesitation, said(Topic::Hesitation));
    features.set(Feature::SaidObjection, said(Topic::Objection));
    features.set(Feature::SaidQuestion, said(Topic::Question));
    features.set(Feature::SaidThanks, said(Topic::Thanks));
    features.set(Feature::SaidStop, said(Topic::Stop));
    features.set(Feature::ViewingDay, conversation.topic(Topic::Viewing, now));
    features.set(Feature::PriceDay, conversation.topic(Topic::Price, now));
    features.set(Feature::FinancingDay, conversation.topic(Topic::Financing, now));
    features.set(Feature::TimelineDay, conversation.topic(Topic::Timeline, now));
    features.set(Feature::ObjectionDay, conversation.topic(Topic::Objection, now));
    features.set(Feature::HesitationDay, conversation.topic(Topic::Hesitation, now));
    features.set(Feature::CommitmentDay, conversation.topic(Topic::Commitment, now));
    features.set(Feature::ObjectionsOpen, f64::from(conversation.open_count));
    features.set(Feature::AskedViewing, f64::from(conversation.asked_viewing));
    features.set_known(Feature::Sentiment, conversation.sentiment.map(f64::from));
}
