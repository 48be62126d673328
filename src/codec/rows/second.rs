//! Rows of format 2: tallies that did not count units in two arms, and trials of tallies of any format before this one.

use crate::codec::rows::fields::Stored;
use crate::domain::experiment::Tally;
use crate::domain::units::EventTime;
use crate::pipeline::Trial;

/// A tally.
pub(crate) fn second_tally(input: &mut &[u8]) -> Option<Tally> {
    Some(Tally { arms: Stored::get(input)?, cohorts: Stored::get(input)?, ..Tally::default() })
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
