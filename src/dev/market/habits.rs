//! What an office does by habit: tags, tasks, reminders, answers that it waits for.

use crate::dev::market::talk::Moment;
use crate::dev::market::words::Business;

pub(crate) fn tags(business: Business) -> &'static [&'static str] {
    match business {
        Business::Sales => &["first_time_buyer", "relocation", "investor"],
        Business::Rentals => &["student", "relocation", "pet_owner"],
        Business::Lending => &["first_time_buyer", "refinance", "self_employed"],
    }
}

/// What has to be done before a deal closes.
pub(crate) fn tasks(business: Business) -> [&'static str; 3] {
    match business {
        Business::Sales => ["inspection", "appraisal", "title"],
        Business::Rentals => ["lease_documents", "deposit", "move_in_inspection"],
        Business::Lending => ["appraisal", "insurance_binder", "underwriting"],
    }
}

/// Whether an agent reminds a lead of this; otherwise the lead only answers later.
pub(crate) fn reminded_of(moment: Moment) -> bool {
    use Moment as M;
    matches!(moment, M::Needs | M::Question | M::SmallTalk | M::Urgent | M::Ready | M::Warm)
}

/// Whether a lead may complain when this is not answered.
pub(crate) fn awaits_answer(moment: Moment) -> bool {
    use Moment as M;
    matches!(
        moment,
        M::Opening
            | M::Needs
            | M::Question
            | M::Urgent
            | M::Ready
            | M::Warm
            | M::Offer
            | M::Contract
            | M::Objection(_)
    )
}
