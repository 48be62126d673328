//! The message that an agent could send now, by what is to be done next.

use crate::domain::coaching::words::fact_words;
use crate::domain::journey::{Outcome, Stage};
use crate::domain::lexicon::{Fact, ObjectionKind};
use crate::domain::next_action::Action;

/// Longest draft, bytes.
const DRAFT_BYTES_MAX: usize = 480;

/// What is known of a lead that a draft may use.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Stage of the journey.
    pub stage: Stage,
    /// How the lead ended.
    pub outcome: Option<Outcome>,
    /// What the lead told of its wishes.
    pub facts: &'a [Fact],
    /// The objection that stands open.
    pub objection: Option<ObjectionKind>,
}

/// A message ready to be edited and sent; empty when nothing is to be done. It states nothing but
/// what the lead said.
#[must_use]
pub fn draft(action: Action, known: &Known<'_>) -> String {
    let wishes: Vec<_> = known.facts.iter().rev().filter_map(fact_words).take(2).collect();
    let wishes = if wishes.is_empty() {
        "what you told me".to_owned()
    } else {
        format!("your wishes ({})", wishes.join(", "))
    };
    let text = match action {
        Action::Wait => String::new(),
        Action::Answer => {
            "Thank you for your message, and sorry to have kept you waiting. Here is \
            my answer: "
                .to_owned()
        }
        Action::ResolveObjection => objection(known.objection).to_owned(),
        Action::ProposeViewing => {
            "I think the next step is worth it: seeing it for yourself. Which two times would suit \
                you this week?"
                .to_owned()
        }
        Action::ConfirmAppointment => {
            "A short word before our appointment: does the time still suit you, and is there \
                anything I should prepare?"
                .to_owned()
        }
        Action::FollowUp => follow_up(known.stage, &wishes),
        Action::SendListings => format!(
            "I have looked for what fits {wishes}. May I send you the \
            two that come closest?"
        ),
        Action::Qualify => "Thank you for your interest. What would it have to be, so that it is \
            worth your time?"
            .to_owned(),
        Action::ReEngage => {
            format!(
                "I have not heard from you for a while and wanted to ask once: shall I go on with \
                    {wishes} in mind, or has something changed?"
            )
        }
        Action::Nurture if known.outcome == Some(Outcome::Won) => {
            "I hope everything turned out as it should. If a question comes up, or somebody you \
                know could use help, I am here."
                .to_owned()
        }
        Action::Nurture => {
            "I will not crowd your inbox. Should it become current again, a short word is enough, \
                and I pick it up from there."
                .to_owned()
        }
        Action::Close => {
            "We are nearly there. Shall I send you the list of what is left, with who \
            does what and by when?"
                .to_owned()
        }
    };
    debug_assert!(text.len() <= DRAFT_BYTES_MAX);
    text
}

fn follow_up(stage: Stage, wishes: &str) -> String {
    match stage {
        Stage::Awareness | Stage::Interest => {
            format!("I have {wishes} in mind. Shall I go on looking, or has something changed?")
        }
        Stage::Consideration => format!(
            "You are comparing, with {wishes} in mind. Shall I set your top two side by side?"
        ),
        Stage::Intent => {
            "You were close to the next step. Is there anything in the way that I can take care of?"
                .to_owned()
        }
        Stage::Evaluation | Stage::Purchase => {
            "Which point is still open for you? I would like to clear it before anything else."
                .to_owned()
        }
    }
}

fn objection(kind: Option<ObjectionKind>) -> &'static str {
    match kind {
        Some(ObjectionKind::Price) => {
            "I have thought about what you said on the price. What would it have to be measured \
                against to be fair?"
        }
        Some(ObjectionKind::Financing) => {
            "On paying for it: shall we go through what is possible, step by step and without any \
                obligation?"
        }
        Some(ObjectionKind::Timing) => {
            "You said that the timing is not right. What has to happen first, and when shall I ask \
                again?"
        }
        Some(ObjectionKind::Trust) => {
            "You wanted to be sure whom you deal with. Which proof may I send you, that you can \
                check without me?"
        }
        Some(ObjectionKind::Location) => {
            "You had doubts about the place. Which distances matter most, so that I can check them \
                for you?"
        }
        Some(ObjectionKind::Condition) => {
            "You had doubts about the condition. Which point decides, so that I can find out about \
                it?"
        }
        Some(ObjectionKind::Competitor) => {
            "You have another option, which is good to have. If it helps, I compare both with you \
                honestly."
        }
        Some(ObjectionKind::Authority) => {
            "You wanted to decide together. May I answer questions of everyone who has a say, in \
                one short call?"
        }
        Some(ObjectionKind::NoNeed) => {
            "You said that you see no need. I leave it there; a short word is enough if that \
                changes."
        }
        Some(ObjectionKind::Other) | None => {
            "You raised a concern that I have not answered yet. Did I get it right, and what would \
                settle it for you?"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lexicon::FactKind;

    #[test]
    fn drafts_differ_by_action_fit_a_message_and_use_what_the_lead_said() {
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
