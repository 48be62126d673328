//! Rows of format 3: leads that knew no touches, places and tallies that kept nothing of what was known of leads before their first
//! exposure, and tallies that knew no journeys.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::rows::fields::lead;
use crate::codec::rows::second::{cohorts, second_place};
use crate::codec::rows::stored::Stored;
use crate::domain::experiment::tally::{Agents, Group};
use crate::domain::experiment::{Place, Places, Tally};
use crate::domain::lead::Lead;
use crate::domain::touches::Touches;

/// A lead.
pub(crate) fn third_lead(input: &mut &[u8]) -> Option<Lead> {
    lead(input, places, |_| Some(Touches::default()))
}

fn places(input: &mut &[u8]) -> Option<Places> {
    let length = u64::get(input)?;
    let list = (0..length).map(|_| place(input)).collect::<Option<_>>()?;
    Some(Places { list, marks: Stored::get(input)? })
}

/// That of format 2, and the agent behind it.
fn place(input: &mut &[u8]) -> Option<Place> {
    let place = second_place(input)?;
    Some(Place { agent: Stored::get(input)?, ..place })
}

/// A tally.
pub(crate) fn third_tally(input: &mut &[u8]) -> Option<Tally> {
    let (arms, crossed) = (Stored::get(input)?, Stored::get(input)?);
    let cohorts = cohorts(input, group)?;
    let length = u64::get(input)?;
    let agents = (0..length).map(|_| Some((Stored::get(input)?, own(input)?))).collect::<Option<_>>()?;
    Some(Tally { arms, crossed, cohorts, agents: Agents { arms: agents, is_full: Stored::get(input)? }, ..Tally::default() })
}

fn own(input: &mut &[u8]) -> Option<BTreeMap<String, Arc<Group>>> {
    let agents = u64::get(input)?;
    (0..agents).map(|_| Some((Stored::get(input)?, Arc::new(group(input)?)))).collect()
}

fn group(input: &mut &[u8]) -> Option<Group> {
    Some(Group { units: Stored::get(input)?, cells: Stored::get(input)?, waits: Stored::get(input)?, ..Group::default() })
}
