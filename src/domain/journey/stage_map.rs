//! Names of stages in CRMs, mapped to the six stages of the journey.

use crate::domain::journey::{Meaning, Stage};

/// The CRM's words and what they mean: defaults for common names, extended by definitions of a
/// tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageMap {
    /// Names of the tenant in normal form, sorted by name.
    pub own: std::collections::BTreeMap<String, Meaning>,
}

/// Normal form of a CRM word: lower case, runs of other characters become one `_`.
#[must_use]
pub fn normal_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            normal.push(letter);
        } else if !normal.is_empty() && !normal.ends_with('_') {
            normal.push('_');
        }
    }
    normal.truncate(normal.trim_end_matches('_').len());
    normal
}

impl StageMap {
    /// What a CRM word means; `None` when it is not mapped.
    #[must_use]
    pub fn meaning(&self, name: &str) -> Option<Meaning> {
        let normal = normal_name(name);
        if let Some(own) = self.own.get(&normal) {
            return Some(*own);
        }
        if let Some(stage) = Stage::parse(&normal) {
            return Some(Meaning::Stage(stage));
        }
        COMMON
            .iter()
            .find(|(_, names)| names.contains(&normal.as_str()))
            .map(|(meaning, _)| *meaning)
    }
}

/// Names that CRMs ship with or teams commonly use, in normal form.
const COMMON: &[(Meaning, &[&str])] = &[
    (
        Meaning::Stage(Stage::Awareness),
        &[
            "new",
            "new_lead",
            "lead",
            "submitted",
            "created",
            "uncontacted",
            "subscriber",
            "attempted_contact",
            "incoming",
        ],
    ),
    (
        Meaning::Stage(Stage::Interest),
        &[
            "contacted",
            "preaccepted",
            "engaged",
            "connected",
            "nurture",
            "nurturing",
            "responded",
            "marketing_qualified",
            "mql",
            "warm",
        ],
    ),
    (
        Meaning::Stage(Stage::Consideration),
        &[
            "qualified",
            "accepted",
            "sales_qualified",
            "sql",
            "opportunity",
            "discovery",
            "needs_analysis",
            "hot",
            "active",
            "offer_cancelled",
            "searching",
        ],
    ),
    (
        Meaning::Stage(Stage::Intent),
        &[
            "appointment_scheduled",
            "appointment_set",
            "showing",
            "showings",
            "viewing",
            "demo_scheduled",
            "finalized",
            "pre_approved",
            "preapproved",
            "application",
            "applied",
        ],
    ),
    (
        Meaning::Stage(Stage::Evaluation),
        &[
            "offer",
            "offer_sent",
            "offer_made",
            "proposal",
            "proposal_sent",
            "quote_sent",
            "negotiation",
            "evaluation",
            "decision",
            "decision_maker_bought_in",
            "showed",
        ],
    ),
    (
        Meaning::Stage(Stage::Purchase),
        &[
            "offer_returned",
            "offer_accepted",
            "under_contract",
            "contract",
            "contract_sent",
            "pending",
            "closing",
            "escrow",
            "verbal_commitment",
            "purchase",
        ],
    ),
    (
        Meaning::Won,
        &[
            "approved",
            "won",
            "closed_won",
            "closedwon",
            "sold",
            "closed",
            "converted",
            "customer",
            "funded",
        ],
    ),
    (
        Meaning::Lost,
        &[
            "lost",
            "closed_lost",
            "closedlost",
            "a_declined",
            "a_cancelled",
            "o_declined",
            "declined",
            "cancelled",
            "abandoned",
            "unqualified",
            "disqualified",
            "dead",
            "archived",
        ],
    ),
    (Meaning::Neutral, &["open"]),
];
