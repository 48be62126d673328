//! The goal compared within kinds of leads that were known before, and put together by their sizes:
//! for one planned look.
//!
//! The sizes of the strata are random too, and the formula is one of a single look; what decides
//! stays the sequence.

use std::collections::BTreeSet;

use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::Group;
use crate::domain::experiment::versions::Groups;
use crate::stats::level::{Alpha, Error, Interval};
use crate::stats::moments::{Arms, Moments, Sums};
use crate::stats::strata::effect;
use crate::stats::welch::of_effect;

/// Units of an arm without which a stratum has no variance.
const UNITS_MIN: u64 = 2;

/// The difference over all strata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stratified {
    /// In ones of the metric.
    pub difference: f64,
    /// Its interval at one planned look.
    pub interval: Interval,
    /// Its two-sided p-value at one planned look.
    pub p_value: f64,
}

/// Compares control and treatment within each stratum of each version.
///
/// # Errors
/// With too few units or without variance.
pub(crate) fn stratified(
    groups: &Groups,
    arms: [&str; 2],
    alpha: Alpha,
) -> Result<Stratified, Error> {
    let mut strata: Vec<Arms<Moments>> = Vec::new();
    for version in groups.values() {
        if let (Some(control), Some(treatment)) = (version.get(arms[0]), version.get(arms[1])) {
            for stratum in large_enough(control, treatment)? {
                strata.push(stratum.try_map(Sums::moments)?);
            }
        }
    }
    let found = effect(&strata)?;
    let units: u64 = strata.iter().map(|stratum| stratum.control.n + stratum.treatment.n).sum();
    let test = of_effect(found, units as f64 - 2.0 * strata.len() as f64, alpha)?;
    Ok(Stratified { difference: found.estimate, interval: test.interval, p_value: test.p_value })
}

/// The strata of a version, in order; one in which an arm has too few units is put together with
/// the next, the last with the one before.
fn large_enough(control: &Group, treatment: &Group) -> Result<Vec<Arms<Sums>>, Error> {
    let (mut done, mut open): (Vec<Arms<Sums>>, Arms<Sums>) = (Vec::new(), none());
    let all: BTreeSet<u8> = control.strata.keys().chain(treatment.strata.keys()).copied().collect();
    let sums = |group: &Group, stratum: u8| {
        group.strata.get(&stratum).map(Stratum::sums).unwrap_or_default()
    };
    for stratum in all {
        open = both(
            &open,
            &Arms { control: sums(control, stratum), treatment: sums(treatment, stratum) },
        )?;
        if open.control.n.min(open.treatment.n) >= UNITS_MIN {
            done.push(std::mem::replace(&mut open, none()));
        }
    }
    if let Some(last) = done.last_mut() {
        *last = both(last, &open)?;
    }
    Ok(done)
}

fn none() -> Arms<Sums> {
    Arms { control: Sums::default(), treatment: Sums::default() }
}

fn both(one: &Arms<Sums>, other: &Arms<Sums>) -> Result<Arms<Sums>, Error> {
    Ok(Arms {
        control: one.control.merged(other.control)?,
        treatment: one.treatment.merged(other.treatment)?,
    })
}
