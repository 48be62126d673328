//! Rows of format 1: their places and tallies, lifted to what they are now.

use std::collections::BTreeMap;

use crate::codec::rows::fields::lead;
use crate::codec::rows::stored::{Stored, list};
use crate::domain::experiment::known::Before;
use crate::domain::experiment::outcome::Marks;
use crate::domain::experiment::{Counts, Place, Places, Tally};
use crate::domain::lead::Lead;
use crate::domain::touches::Touches;

/// A lead.
pub(crate) fn first_lead(input: &mut &[u8]) -> Option<Lead> {
    lead(input, places, |_| Some(Touches::default()))
}

/// What was counted then is kept as marks, so that it is not counted again.
fn places(input: &mut &[u8]) -> Option<Places> {
    let places: Vec<FirstPlace> = list(input, first_place)?;
    let mut marks: Vec<_> = places
        .iter()
        .flat_map(|FirstPlace(place, [appointment, ended])| {
            place.counted_before(*appointment, *ended)
        })
        .collect();
    marks.sort_unstable();
    Some(Places {
        list: places.into_iter().map(|FirstPlace(place, _)| place).collect(),
        marks: Marks(marks),
    })
}

/// A place, whether an appointment was counted, and whether its end was.
struct FirstPlace(Place, [bool; 2]);

fn first_place(input: &mut &[u8]) -> Option<FirstPlace> {
    let experiment = Stored::get(input)?;
    let version = Stored::get(input)?;
    let place = Place {
        experiment,
        began: version,
        version,
        arm: Stored::get(input)?,
        bucket: Stored::get(input)?,
        propensity: Stored::get(input)?,
        exposed_at: Stored::get(input)?,
        until: Stored::get(input)?,
        exposures: 0,
        chain: [0; 16],
        agent: None,
        before: Before::default(),
    };
    Some(FirstPlace(place, [Stored::get(input)?, Stored::get(input)?]))
}

/// A tally without cohorts.
pub(crate) fn first_tally(input: &mut &[u8]) -> Option<Tally> {
    let arms: BTreeMap<String, Counts> = Stored::get(input)?;
    Some(Tally { arms, ..Tally::default() })
}
