//! Teams that change between the arms in blocks of time: which events count, and the clusters that
//! they form.
//!
//! What a block's first minutes show is still the effect of the block before, so events within the
//! washout are dropped. A team within one block is a cluster of
//! [`crate::stats::cluster`] (Bojinov, Simchi-Levi and Zhao, "Design and analysis of
//! switchback experiments", Management Science 2023, for the design).

use std::collections::BTreeMap;

use crate::stats::cluster::{Cluster, Part};
use crate::stats::level::{Error, finite};

/// When which team has which arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Length of a block, seconds, above 0.
    pub block_seconds: u64,
    /// How long after the start of a block events are dropped, seconds.
    pub washout_seconds: u64,
    /// By team, by block: whether it is treated.
    pub treated: Vec<Vec<bool>>,
}

/// One outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The team's place in the schedule.
    pub team: usize,
    /// Seconds since the start of the first block.
    pub at_seconds: u64,
    /// What was measured.
    pub outcome: f64,
}

/// What is left after the washout.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    /// One per team and block that has events, in their order.
    pub clusters: Vec<Cluster>,
    /// Events within them.
    pub events: u64,
}

impl Schedule {
    /// The clusters that events form.
    ///
    /// # Errors
    /// When blocks have no length left after the washout, an event is of an unknown team or block,
    /// or an outcome is not finite.
    pub fn blocks(&self, events: &[Event]) -> Result<Blocks, Error> {
        if self.washout_seconds >= self.block_seconds {
            return Err(Error::Outside {
                name: "the washout",
                value: self.washout_seconds as f64,
                expected: "below the length of a block",
            });
        }
        let mut clusters: BTreeMap<(usize, u64), Cluster> = BTreeMap::new();
        let mut kept = 0;
        for event in events {
            if event.at_seconds % self.block_seconds < self.washout_seconds {
                continue;
            }
            kept += 1;
            let block = event.at_seconds / self.block_seconds;
            let outside = Error::Outside {
                name: "a block",
                value: block as f64,
                expected: "one of the schedule",
            };
            let place = usize::try_from(block).map_err(|_| outside)?;
            let treated = *self
                .treated
                .get(event.team)
                .and_then(|blocks| blocks.get(place))
                .ok_or(outside)?;
            let empty = Cluster { control: Part::default(), treatment: Part::default() };
            let cluster = clusters.entry((event.team, block)).or_insert(empty);
            let part = if treated { &mut cluster.treatment } else { &mut cluster.control };
            *part = part.plus(Part::of(finite("an outcome", event.outcome)?, 0.0));
        }
        Ok(Blocks { clusters: clusters.into_values().collect(), events: kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            block_seconds: 100,
            washout_seconds: 10,
            treated: vec![vec![true, false], vec![false, true]],
        }
    }

    fn event(team: usize, at_seconds: u64, outcome: f64) -> Event {
        Event { team, at_seconds, outcome }
    }

    #[test]
    fn the_washout_is_dropped_and_a_team_in_a_block_is_a_cluster() {
        let events = [
            event(0, 9, 100.0),
            event(0, 10, 1.0),
            event(0, 99, 2.0),
            event(0, 100, 100.0),
            event(0, 150, 4.0),
            event(1, 50, 8.0),
        ];
        let blocks = schedule().blocks(&events).unwrap();
        let sums: Vec<_> = blocks
            .clusters
            .iter()
            .map(|cluster| (cluster.control.y, cluster.treatment.y))
            .collect();
        assert_eq!((blocks.events, sums), (4, vec![(0.0, 3.0), (4.0, 0.0), (8.0, 0.0)]));
    }

    #[test]
    fn what_is_not_scheduled_is_refused() {
        assert!(
            schedule().blocks(&[event(2, 50, 1.0)]).is_err()
                && schedule().blocks(&[event(0, 250, 1.0)]).is_err()
        );
        assert!(schedule().blocks(&[event(0, 50, f64::NAN)]).is_err());
        assert!(Schedule { washout_seconds: 100, ..schedule() }.blocks(&[]).is_err());
    }
}
