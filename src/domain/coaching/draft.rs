//! Drafts of the message that goes with the lead's next action.

use crate::domain::coaching::words::fact_words;
use crate::domain::journey::{Outcome, Stage};
use crate::domain::lexicon::{Fact, ObjectionKind};
use crate::domain::next_action::Action;

/// Longest draft, bytes.
const DRAFT_BYTES_MAX: usize = 480;

/// What a draft may use about a lead.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Stage of the journey.
    pub stage: Stage,
    /// How the journey ended; `None` while it is open.
    pub outcome: Option<Outcome>,
    /// The lead's requirements.
    pub facts: &'a [Fact],
    /// The objection that is still open.
    pub objection: Option<ObjectionKind>,
}

/// A message that the agent can edit and send for this action; empty for [`Action::Wait`]. It
/// states only facts that the lead gave.
#[must_use]
pub fn draft(action: Action, known: &Known<'_>) -> String {
    let wishes: Vec<_> = known.facts.iter().rev().filter_map(fact_words).take(2).collect();
    let wishes = if wishes.is_empty() {
        "what you're looking for".to_owned()
    } else {
        format!("what you're looking for ({})", wishes.join(", "))
    };
    let text = match action {
        Action::Wait => String::new(),
        Action::Answer => {
            "Thanks for your message, and sorry for the wait! [Your answer here]".to_owned()
        }
        Action::ResolveObjection => objection(known.objection).to_owned(),
        Action::ProposeViewing => {
            "I think the next step is seeing it in person. What are two times this week that \
                work for you?"
                .to_owned()
        }
        Action::ConfirmAppointment => {
            "Quick check before our appointment: does the time still work for you, and is there \
                anything I should have ready?"
                .to_owned()
        }
        Action::FollowUp => follow_up(known.stage, &wishes),
        Action::SendListings => {
            format!("I checked for {wishes}. Want me to send you the two closest matches?")
        }
        Action::Qualify => {
            "Thanks for your interest! What are you looking for, so I only send you what fits?"
                .to_owned()
        }
        Action::ReEngage => {
            format!(
                "Just checking in, since I haven't heard from you. Should I keep an eye out for \
                    {wishes}, or has something changed?"
            )
        }
        Action::Nurture if known.outcome == Some(Outcome::Won) => {
            "I hope everything turned out well! If you have a question, or someone you know \
                could use a hand, I'm here."
                .to_owned()
        }
        Action::Nurture => {
            "I won't crowd your inbox. If this comes up again, just send me a quick message and \
                we'll pick it up from there."
                .to_owned()
        }
        Action::Close => {
            "We're almost there! Want me to send you a list of what's left, with who does what \
                and by when?"
                .to_owned()
        }
    };
    debug_assert!(text.len() <= DRAFT_BYTES_MAX);
    text
}

fn follow_up(stage: Stage, wishes: &str) -> String {
    match stage {
        Stage::Awareness | Stage::Interest => {
            format!(
                "I still have {wishes} in mind. Should I keep looking, or has something changed?"
            )
        }
        Stage::Consideration => {
            format!("Based on {wishes}, want me to put your top two side by side?")
        }
        Stage::Intent => {
            "It looked like you were close to the next step. Is anything in the way that I can \
                help with?"
                .to_owned()
        }
        Stage::Evaluation | Stage::Purchase => {
            "What's still open for you? I'd like to clear that up before anything else.".to_owned()
        }
    }
}

fn objection(kind: Option<ObjectionKind>) -> &'static str {
    match kind {
        Some(ObjectionKind::Price) => {
            "I've been thinking about what you said about the price. What would make it feel \
                fair to you?"
        }
        Some(ObjectionKind::Financing) => {
            "About paying for it: want to go over what's possible, step by step, with no \
                obligation?"
        }
        Some(ObjectionKind::Timing) => {
            "You mentioned the timing isn't right. What has to happen first, and when should I \
                check back in?"
        }
        Some(ObjectionKind::Trust) => {
            "You wanted to be sure who you're dealing with. What can I send you that you can \
                check on your own?"
        }
        Some(ObjectionKind::Location) => {
            "You weren't sure about the location. Which distances matter most, so I can check \
                them for you?"
        }
        Some(ObjectionKind::Condition) => {
            "You had doubts about the condition. Which point matters most to you? I'll look into \
                that one first."
        }
        Some(ObjectionKind::Competitor) => {
            "You mentioned you have another option, which is great. If you're still deciding, \
                I'm happy to compare the two with you."
        }
        Some(ObjectionKind::Authority) => {
            "You wanted to decide together. Would a quick call help, so everyone can ask their \
                questions?"
        }
        Some(ObjectionKind::NoNeed) => {
            "You mentioned you don't need this right now, so I'll leave it there. Just send me a \
                message if that changes."
        }
        Some(ObjectionKind::Other) | None => {
            "You brought up a concern I haven't answered yet. What would settle it for you?"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lexicon::FactKind;

    #[test]
    fn drafts_differ_by_action_fit_the_limit_and_use_the_facts_of_the_lead() {
        let facts = [
            Fact { kind: FactKind::Bedrooms, value: "2".into() },
            Fact { kind: FactKind::Area, value: "San Jose".into() },
        ];
        let actions = [
            Action::Answer,
            Action::ResolveObjection,
            Action::ProposeViewing,
            Action::ConfirmAppointment,
            Action::FollowUp,
            Action::SendListings,
            Action::Qualify,
            Action::ReEngage,
            Action::Nurture,
            Action::Close,
        ];
        for stage in Stage::ALL {
            let known = Known {
                stage,
                outcome: None,
                facts: &facts,
                objection: Some(ObjectionKind::Price),
            };
            let mut drafts: Vec<_> = actions.iter().map(|action| draft(*action, &known)).collect();
            assert!(drafts.iter().all(|text| !text.is_empty()
                && text.len() <= DRAFT_BYTES_MAX
                && text.matches('?').count() <= 1));
            drafts.sort();
            drafts.dedup();
            assert_eq!(drafts.len(), actions.len());
            assert_eq!(draft(Action::Wait, &known), "");
        }
        let known = Known { stage: Stage::Interest, outcome: None, facts: &facts, objection: None };
        assert!(draft(Action::SendListings, &known).contains("San Jose, 2 bedrooms"));
    }
}
