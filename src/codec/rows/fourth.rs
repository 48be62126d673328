//! Rows of format 4: places that knew nothing of the agent whose lead it was, and tallies that
//! neither told single leads apart by agent nor counted how many outcomes within a stratum are not
//! 0.

use crate::codec::rows::fields::lead;
use crate::codec::rows::second::{cohorts, places};
use crate::codec::rows::stored::{Stored, list};
use crate::codec::rows::third::{agents, third_place};
use crate::domain::experiment::by_agent::ByAgent;
use crate::domain::experiment::known::Before;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::Group;
use crate::domain::experiment::{Place, Tally};
use crate::domain::lead::Lead;

/// A lead.
pub(crate) fn fourth_lead(input: &mut &[u8]) -> Option<Lead> {
    lead(input, |input| places(input, place), Stored::get)
}

/// That of format 3, and what was known before it.
fn place(input: &mut &[u8]) -> Option<Place> {
    let place = third_place(input)?;
    Some(Place {
        before: Before {
            covariate: Stored::get(input)?,
            stratum: Stored::get(input)?,
            agent: None,
        },
        ..place
    })
}

/// A tally.
pub(crate) fn fourth_tally(input: &mut &[u8]) -> Option<Tally> {
    let (arms, crossed) = (Stored::get(input)?, Stored::get(input)?);
    let (cohorts, agents) = (cohorts(input, group)?, agents(input, group)?);
    Some(Tally {
        arms,
        crossed,
        cohorts,
        agents,
        by_agent: ByAgent::default(),
        journeys: Stored::get(input)?,
    })
}

fn group(input: &mut &[u8]) -> Option<Group> {
    let (units, cells, waits, covaried) =
        (Stored::get(input)?, Stored::get(input)?, Stored::get(input)?, Stored::get(input)?);
    let stratum = |input: &mut &[u8]| {
        Some(Stratum::uncounted(Stored::get(input)?, Stored::get(input)?, Stored::get(input)?))
    };
    let strata = list(input, |input| Some((Stored::get(input)?, stratum(input)?)))?;
    Some(Group { units, cells, waits, covaried, strata })
}
