//! Which instance keeps a copy of which partition, as every instance works it out for itself.

use std::collections::{BTreeMap, BTreeSet};

/// Partitions of which `own` keeps a copy: of each that somebody owns, so many of the others keep
/// one, those with the highest hash of name and partition (rendezvous hashing, Thaler and
/// Ravishankar 1998), so that one that comes or goes moves only its own copies.
pub(crate) fn kept_by(
    own: &str,
    candidates: &BTreeSet<&str>,
    owners: &BTreeMap<u32, &str>,
    copies: usize,
) -> BTreeSet<u32> {
    let keeps = |(partition, owner): (&u32, &&str)| {
        let mut ranked: Vec<&str> =
            candidates.iter().copied().filter(|name| name != owner).collect();
        ranked.sort_by_key(|name| std::cmp::Reverse(weight(name, *partition)));
        ranked.iter().take(copies).any(|name| *name == own).then_some(*partition)
    };
    owners.iter().filter_map(keeps).collect()
}

fn weight(name: &str, partition: u32) -> u128 {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{partition}/{name}").as_bytes())
        .as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who keeps each partition.
    fn keepers(
        names: &[&str],
        owners: &BTreeMap<u32, &str>,
        copies: usize,
    ) -> BTreeMap<u32, BTreeSet<String>> {
        let candidates: BTreeSet<&str> = names.iter().copied().collect();
        let mut found: BTreeMap<u32, BTreeSet<String>> =
            owners.keys().map(|partition| (*partition, BTreeSet::new())).collect();
        for name in names {
            for partition in kept_by(name, &candidates, owners, copies) {
                found.get_mut(&partition).unwrap().insert((*name).to_owned());
            }
        }
        found
    }

    #[test]
    fn each_partition_has_its_copies_and_none_beside_its_owner() {
        let names = ["a", "b", "c", "d"];
        let owners: BTreeMap<u32, &str> =
            (0..120).map(|partition| (partition, names[partition as usize % 3])).collect();
        for copies in 0..5 {
            for (partition, keepers) in keepers(&names, &owners, copies) {
                assert_eq!(keepers.len(), copies.min(3), "{partition}");
                assert!(!keepers.contains(owners[&partition]), "{partition}");
            }
        }
        let once = keepers(&names, &owners, 1);
        let of = |name: &str| once.values().filter(|keepers| keepers.contains(name)).count();
        assert!(names.iter().all(|name| (10..60).contains(&of(name))), "{:?}", names.map(of));
    }

    #[test]
    fn one_that_goes_moves_only_its_own_copies() {
        let owners: BTreeMap<u32, &str> = (0..120).map(|partition| (partition, "a")).collect();
        let (all, fewer) =
            (keepers(&["a", "b", "c", "d"], &owners, 1), keepers(&["a", "b", "c"], &owners, 1));
        for (partition, before) in all {
            assert!(before.contains("d") || before == fewer[&partition], "{partition}");
        }
    }

    #[test]
    fn who_is_no_candidate_keeps_nothing() {
        let owners = BTreeMap::from([(0, "a"), (1, "b")]);
        assert!(kept_by("c", &BTreeSet::from(["a", "b"]), &owners, 1).is_empty());
        assert!(kept_by("a", &BTreeSet::from(["a"]), &owners, 1).contains(&1));
    }
}
