//! Rows of format 2: places that knew no agent, tallies that knew neither agents nor units in two arms nor times, and trials of tallies
//! of any format before the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::rows::fields::lead;
use crate::codec::rows::stored::Stored;
use crate::domain::experiment::known::Before;
use crate::domain::experiment::tally::{Arms, Cohort, Group};
use crate::domain::experiment::{Place, Places, Tally};
use crate::domain::lead::Lead;
use crate::domain::touches::Touches;
use crate::domain::units::EventTime;
use crate::pipeline::Trial;

/// A lead.
pub(crate) fn second_lead(input: &mut &[u8]) -> Option<Lead> {
    lead(input, places, |_| Some(Touches::default()))
}

fn places(input: &mut &[u8]) -> Option<Places> {
    let length = u64::get(input)?;
    let list = (0..length).map(|_| second_place(input)).collect::<Option<_>>()?;
    Some(Places { list, marks: Stored::get(input)? })
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
    let group = |input: &mut &[u8]| Some(Group { units: Stored::get(input)?, cells: Stored::get(input)?, ..Group::default() });
    Some(Tally { arms, cohorts: cohorts(input, group)?, ..Tally::default() })
}

/// Cohorts whose groups are read so.
pub(crate) fn cohorts(input: &mut &[u8], group: impl Fn(&mut &[u8]) -> Option<Group>) -> Option<BTreeMap<Cohort, Arc<Arms>>> {
    let groups = |input: &mut &[u8]| -> Option<Arms> {
        let arms = u64::get(input)?;
        (0..arms).map(|_| Some((Stored::get(input)?, group(input)?))).collect()
    };
    let cohorts = u64::get(input)?;
    (0..cohorts).map(|_| Some((Stored::get(input)?, Arc::new(groups(input)?)))).collect()
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
