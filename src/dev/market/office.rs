//! The three offices of the market and the agents who work there.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::dev::market::words::{Area, Business};
use crate::domain::contact::zone;
use crate::stats::random::Random;

/// A step of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody has answered yet.
    New,
    /// We have answered.
    Contacted,
    /// We know what is wanted.
    Qualified,
    /// A meeting is arranged.
    Meeting,
    /// The lead is ready to act.
    Offer,
    /// It is being closed.
    Contract,
    /// Won.
    Won,
    /// Lost.
    Lost,
    /// A list that is no step of a deal.
    Odd,
}

/// Names that an office's CRM gives to the steps of a deal.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// In the order of [`Step`], without the last.
    pub names: [&'static str; 8],
    /// A list that the CRM keeps among its stages though it is none.
    pub odd: &'static str,
}

impl Steps {
    /// The CRM's name of a step.
    #[must_use]
    pub fn name(&self, step: Step) -> &'static str {
        self.names.get(step as usize).copied().unwrap_or(self.odd)
    }
}

/// An agent that serves leads.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// First name.
    pub name: &'static str,
    /// Median time to answer within working hours, minutes.
    pub answer_minutes: f64,
    /// How well the agent sells, 0..=1; .5 is ordinary.
    pub skill: f64,
    /// Probability that a message is forgotten for days.
    pub forgets: f64,
    /// Probability that a step is written into the CRM.
    pub diligence: f64,
    /// Works on Saturdays and Sundays.
    pub weekends: bool,
}

/// One tenant of the market.
#[derive(Clone, Debug)]
pub struct Office {
    /// The tenant's id.
    pub tenant: &'static str,
    /// The name under which it writes.
    pub brand: &'static str,
    /// What it deals in.
    pub business: Business,
    /// Share of all leads.
    pub share: f64,
    /// The CRM it uses.
    pub source_system: &'static str,
    /// Name of its timezone.
    pub zone_name: &'static str,
    /// Its timezone.
    pub zone: TimeZone,
    /// Where it works.
    pub areas: &'static [Area],
    /// Its steps.
    pub steps: Steps,
    /// 8 to 12.
    pub agents: Vec<Agent>,
}

const AGENTS: [&str; 12] = [
    "Carla", "Derek", "Monica", "Ray", "Tess", "Julian", "Brooke", "Hector", "Paige", "Owen",
    "Nadia", "Walt",
];
const CHICAGO: &[Area] = &[
    ("Oak Park", "60302", 410.0),
    ("Logan Square", "60647", 520.0),
    ("Naperville", "60540", 480.0),
    ("Evanston", "60201", 450.0),
    ("Beverly", "60643", 360.0),
];
const SEATTLE: &[Area] = &[
    ("Queen Anne", "98109", 760.0),
    ("Ballard", "98107", 720.0),
    ("Columbia City", "98118", 640.0),
    ("Greenwood", "98103", 690.0),
];
const DENVER: &[Area] = &[
    ("Lakewood", "80226", 510.0),
    ("Highlands", "80211", 690.0),
    ("Arvada", "80003", 490.0),
    ("Littleton", "80120", 560.0),
];

fn agents(seed: u64, place: usize) -> Vec<Agent> {
    let mut random = Random::new(seed, 0xa9e7_0000 + place as u64);
    let count = 8 + random.below(5);
    AGENTS
        .into_iter()
        .cycle()
        .skip(4 * place)
        .take(count)
        .enumerate()
        .map(|(number, name)| Agent {
            id: format!("agent-{:02}", number + 1),
            name,
            // Medians spread from minutes to most of a day, as in offices without a rule for it.
            answer_minutes: random.around(45.0, 1.2).clamp(3.0, 600.0),
            skill: random.between(0.1, 0.9),
            forgets: random.between(0.005, 0.06),
            diligence: random.between(0.75, 0.98),
            weekends: random.chance(0.5),
        })
        .collect()
}

/// The offices of the market.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a list of offices")]
pub fn offices(seed: u64) -> Vec<Arc<Office>> {
    let known =
        |name: &str| zone(name).expect("the bundled database knows the zones of the offices");
    [
        Office {
            tenant: "demo-realty",
            brand: "Alder & Main Realty",
            business: Business::Sales,
            share: 0.4,
            source_system: "followupboss",
            zone_name: "America/Chicago",
            zone: known("America/Chicago"),
            areas: CHICAGO,
            steps: Steps {
                names: [
                    "New",
                    "Contacted",
                    "Qualified",
                    "Showing",
                    "Offer Made",
                    "Under Contract",
                    "Closed Won",
                    "Closed Lost",
                ],
                odd: "Waiting on HOA docs",
            },
            agents: agents(seed, 0),
        },
        Office {
            tenant: "demo-rentals",
            brand: "Keyhole Apartments",
            business: Business::Rentals,
            share: 0.35,
            source_system: "gohighlevel",
            zone_name: "America/Los_Angeles",
            zone: known("America/Los_Angeles"),
            areas: SEATTLE,
            steps: Steps {
                names: [
                    "New Lead",
                    "Contacted",
                    "Active",
                    "Showing",
                    "Application",
                    "Contract Sent",
                    "Closed Won",
                    "Closed Lost",
                ],
                odd: "Summer promo list",
            },
            agents: agents(seed, 1),
        },
        Office {
            tenant: "demo-lending",
            brand: "Plain Rate Lending",
            business: Business::Lending,
            share: 0.25,
            source_system: "hubspot",
            zone_name: "America/Denver",
            zone: known("America/Denver"),
            areas: DENVER,
            steps: Steps {
                names: [
                    "New",
                    "Contacted",
                    "Qualified",
                    "Appointment Scheduled",
                    "Quote Sent",
                    "Closing",
                    "Funded",
                    "Closed Lost",
                ],
                odd: "In processing (docs)",
            },
            agents: agents(seed, 2),
        },
    ]
    .map(Arc::new)
    .into()
}
