//! Units of an experiment by the version that set their weights, and what all versions come to
//! together.

use std::collections::BTreeMap;

use crate::domain::experiment::tally::Group;
use crate::stats::level::Error;
use crate::stats::moments::Moments;

/// Outcomes of the units of each arm, by the version that set the weights under which they came in.
pub type Groups = BTreeMap<u32, BTreeMap<String, Group>>;

/// What both arms have in each version in which both have two units, with the share of the version:
/// each weighs as many units as both arms have in it, so that a change of weights between good and
/// bad weeks moves no mean.
pub(crate) fn by_version<T>(
    groups: &Groups,
    arms: [&str; 2],
    of: impl Fn(&Group) -> Result<T, Error>,
) -> Result<Vec<(f64, [T; 2])>, Error> {
    let mut parts = Vec::new();
    for version in groups.values() {
        if let (Some(control), Some(treatment)) = (version.get(arms[0]), version.get(arms[1]))
            && control.units > 1
            && treatment.units > 1
        {
            parts.push(((control.units + treatment.units) as f64, [of(control)?, of(treatment)?]));
        }
    }
    if parts.is_empty() {
        return Err(Error::TooFew { name: "units", count: 0, least: 2 });
    }
    let total: f64 = parts.iter().map(|(units, _)| units).sum();
    Ok(parts.into_iter().map(|(units, both)| (units / total, both)).collect())
}

/// Mean and variance of one arm over versions with their shares. With one version they are the
/// plain ones.
pub(crate) fn together(parts: impl Iterator<Item = (f64, Moments)> + Clone) -> Moments {
    let n: u64 = parts.clone().map(|(_, moments)| moments.n).sum();
    let mean = parts.clone().map(|(share, moments)| share * moments.mean).sum();
    let variance: f64 =
        parts.map(|(share, moments)| share * share * moments.variance_of_mean()).sum();
    Moments { n, mean, variance: variance * n as f64 }
}

/// A count of one arm over all versions.
pub(crate) fn count(groups: &Groups, arm: &str, of: impl Fn(&Group) -> u64) -> u64 {
    groups.values().filter_map(|version| version.get(arm)).map(of).sum()
}
