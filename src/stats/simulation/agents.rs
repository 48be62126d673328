//! An experiment in which whole agents get an arm, and each agent's leads resemble each other.

use crate::stats::cluster::{self, Cluster, Part};
use crate::stats::level::{Alpha, Error};
use crate::stats::random::Random;

/// Deviation between agents, where that between the leads of one is 1: an intraclass correlation of
/// .14.
const AGENT_SD: f64 = 0.4;
/// Fewest leads of an agent, and how many more there are at most.
const LEADS_MIN: usize = 10;
const LEADS_MORE: usize = 51;

/// Whether CR2 with Satterthwaite's degrees of freedom rejects, and whether a regression that
/// treats leads as independent does.
///
/// # Errors
/// As the statistics.
pub fn run(agents: usize, random: &mut Random, level: Alpha) -> Result<[bool; 2], Error> {
    let mut treated: Vec<bool> = (0..agents).map(|place| place < agents / 2).collect();
    for place in (1..agents).rev() {
        treated.swap(place, random.below(place + 1));
    }
    let clusters: Vec<Cluster> =
        treated.into_iter().map(|treated| agent(treated, random)).collect();
    let robust = cluster::effect(&clusters, level)?;
    Ok([robust.p_cr2 < level.value(), robust.p_independent < level.value()])
}

fn agent(treated: bool, random: &mut Random) -> Cluster {
    let own = AGENT_SD * random.normal();
    let leads = LEADS_MIN + random.below(LEADS_MORE);
    let part = (0..leads).fold(Part::default(), |sum, _| sum.plus(Part::of(own + random.normal())));
    if treated {
        Cluster { control: Part::default(), treatment: part }
    } else {
        Cluster { control: part, treatment: Part::default() }
    }
}
