//! Rows of format 2: places that knew no agent, tallies that knew neither agents nor units in two arms nor times, and trials of tallies
//! of any format before this one.

use std::sync::Arc;

use crate::codec::rows::fields::{Stored, lead};
use crate::domain::experiment::tally::{Arms, Group, Waits};
use crate::domain::experiment::{Place, Places, Tally};
use crate::domain::lead::Lead;
use crate::domain::units::EventTime;
use crate::pipeline::Trial;

/// A lead.
pub(crate) fn second_lead(input: &mut &[u8]) -> Option<Lead> {
    lead(input, |input| {
        let length = u64::get(input)?;
        let list = (0..length).map(|_| place(input)).collect::<Option<_>>()?;
        Some(Places { list, marks: Stored::get(input)? })
    })
}

fn place(input: &mut &[u8]) -> Option<Place> {
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
    })
}

/// A tally.
pub(crate) fn second_tally(input: &mut &[u8]) -> Option<Tally> {
    let arms = Stored::get(input)?;
    let cohorts = u64::get(input)?;
    let cohorts = (0..cohorts).map(|_| Some((Stored::get(input)?, Arc::new(groups(input)?)))).collect::<Option<_>>()?;
    Some(Tally { arms, cohorts, ..Tally::default() })
}

fn groups(input: &mut &[u8]) -> Option<Arms> {
    let arms = u64::get(input)?;
    let group = |input: &mut &[u8]| Some(Group { units: Stored::get(input)?, cells: Stored::get(input)?, waits: Waits::new() });
    (0..arms).map(|_| Some((Stored::get(input)?, group(input)?))).collect()
}

/// A trial whose tallies are read so.
pub(crate) fn trial(input: &mut &[u8], tally: impl Fn(&mut &[u8]) -> Option<Tally>) -> Option<Trial> {
    let sources = u64::get(input)?;
    let mut trial = Trial::default();
    for _ in 0..sources {
        let source: u32 = Stored::get(input)?;
        let at: EventTime = Stored::get(input)?;
        trial.sources.insert(source, (at, tally(input)?));
    }
    Some(trial)
}
