//! Rows of format 2: places that knew no agent, tallies that knew neither agents nor units in two
//! arms nor times, and trials of tallies of any format before the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::rows::fields::lead;
use crate::codec::rows::stored::{Stored, list};
use crate::domain::experiment::known::Before;
use crate::domain::experiment::tally::{Arms, Cohort, Group};
use crate::domain::experiment::{Place, Places, Tally};
use crate::domain::lead::Lead;
use crate::domain::touches::Touches;
use crate::pipeline::{Partial, Trial};

/// A lead.
pub(crate) fn second_lead(input: &mut &[u8]) -> Option<Lead> {
    lead_of(input, second_place)
}

/// A lead that knew no touches, whose places are read so.
pub(crate) fn lead_of(
    input: &mut &[u8],
    place: impl Fn(&mut &[u8]) -> Option<Place>,
) -> Option<Lead> {
    lead(input, |input| places(input, &place), |_| Some(Touches::default()))
}

/// Places that are read so, and the marks.
pub(crate) fn places(
    input: &mut &[u8],
    place: impl Fn(&mut &[u8]) -> Option<Place>,
) -> Option<Places> {
    Some(Places { list: list(input, place)?, marks: Stored::get(input)? })
}

/// A place.
pub(crate) fn second_place(input: &mut &[u8]) -> Option<Place> {
    Some(Place {
        experiment: Stored::get(input)?,
        began: Stored::get(input)?,
        version: Stored::get(input)?,
        arm: Stored::get(input)?,
        bucket: Stored::get(input)?,
        propensity: Stored::get(input)?,
        exposed_at: Stored::get(input)?,
        until: Stored::get(input)?,
        exposures: Stored::get(input)?,
        chain: Stored::get(input)?,
        agent: None,
        before: Before::default(),
    })
}

/// A tally.
pub(crate) fn second_tally(input: &mut &[u8]) -> Option<Tally> {
    let arms = Stored::get(input)?;
    let group = |input: &mut &[u8]| {
        Some(Group { units: Stored::get(input)?, cells: Stored::get(input)?, ..Group::default() })
    };
    Some(Tally { arms, cohorts: cohorts(input, group)?, ..Tally::default() })
}

/// Cohorts whose groups are read so.
pub(crate) fn cohorts(
    input: &mut &[u8],
    group: impl Fn(&mut &[u8]) -> Option<Group>,
) -> Option<BTreeMap<Cohort, Arc<Arms>>> {
    let groups = |input: &mut &[u8]| -> Option<Arms> {
        list(input, |input| Some((Stored::get(input)?, group(input)?)))
    };
    list(input, |input| Some((Stored::get(input)?, Arc::new(groups(input)?))))
}

/// A trial whose tallies are read so.
pub(crate) fn trial(
    input: &mut &[u8],
    tally: impl Fn(&mut &[u8]) -> Option<Tally>,
) -> Option<Trial> {
    let source = |input: &mut &[u8]| {
        Some((Stored::get(input)?, Some(Partial { at: Stored::get(input)?, tally: tally(input)? })))
    };
    Some(Trial { sources: list(input, source)? })
}
