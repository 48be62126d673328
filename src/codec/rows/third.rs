//! Rows of format 3: leads that knew no touches, places and tallies that kept nothing of what was
//! known of leads before their first exposure, and tallies that knew no journeys.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::rows::second::{cohorts, lead_of, second_place};
use crate::codec::rows::stored::{Stored, list};
use crate::domain::experiment::tally::{Agents, Group};
use crate::domain::experiment::{Place, Tally};
use crate::domain::lead::Lead;

/// A lead.
pub(crate) fn third_lead(input: &mut &[u8]) -> Option<Lead> {
    lead_of(input, third_place)
}

/// That of format 2, and the agent behind it.
pub(crate) fn third_place(input: &mut &[u8]) -> Option<Place> {
    let place = second_place(input)?;
    Some(Place { agent: Stored::get(input)?, ..place })
}

/// A tally.
pub(crate) fn third_tally(input: &mut &[u8]) -> Option<Tally> {
    let (arms, crossed) = (Stored::get(input)?, Stored::get(input)?);
    let cohorts = cohorts(input, group)?;
    Some(Tally { arms, crossed, cohorts, agents: agents(input, group)?, ..Tally::default() })
}

/// Leads by agent whose groups are read so.
pub(crate) fn agents(
    input: &mut &[u8],
    group: impl Fn(&mut &[u8]) -> Option<Group>,
) -> Option<Agents> {
    let own = |input: &mut &[u8]| -> Option<BTreeMap<String, Arc<Group>>> {
        list(input, |input| Some((Stored::get(input)?, Arc::new(group(input)?))))
    };
    let arms = list(input, |input| Some((Stored::get(input)?, own(input)?)))?;
    Some(Agents { arms, is_full: Stored::get(input)? })
}

fn group(input: &mut &[u8]) -> Option<Group> {
    Some(Group {
        units: Stored::get(input)?,
        cells: Stored::get(input)?,
        waits: Stored::get(input)?,
        ..Group::default()
    })
}
