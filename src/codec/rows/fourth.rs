//! Rows of format 4: tallies that did not count how many outcomes within a stratum are not 0.

use crate::codec::rows::second::cohorts;
use crate::codec::rows::stored::{Stored, list};
use crate::codec::rows::third::agents;
use crate::domain::experiment::Tally;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::Group;

/// A tally.
pub(crate) fn fourth_tally(input: &mut &[u8]) -> Option<Tally> {
    let (arms, crossed) = (Stored::get(input)?, Stored::get(input)?);
    let (cohorts, agents) = (cohorts(input, group)?, agents(input, group)?);
    Some(Tally { arms, crossed, cohorts, agents, journeys: Stored::get(input)? })
}

fn group(input: &mut &[u8]) -> Option<Group> {
    let (units, cells, waits, covaried) = (Stored::get(input)?, Stored::get(input)?, Stored::get(input)?, Stored::get(input)?);
    let stratum = |input: &mut &[u8]| Some(Stratum::uncounted(Stored::get(input)?, Stored::get(input)?, Stored::get(input)?));
    let strata = list(input, |input| Some((Stored::get(input)?, stratum(input)?)))?;
    Some(Group { units, cells, waits, covaried, strata })
}
