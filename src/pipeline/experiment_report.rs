//! What each partition last reported of an experiment, kept in the experiment's own: a row for
//! each, so that a report writes no other one again.

use std::collections::BTreeSet;

use crate::domain::experiment::{ExperimentKey, Metrics, Tally};
use crate::domain::units::{EventTime, Partition};
use crate::pipeline::{Key, Row, StateStore};

/// Counts of an experiment in one partition, and how far the tenant's clock was there. Counts grow,
/// so the last report takes the place of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionReport {
    /// The clock.
    pub at: EventTime,
    /// The counts.
    pub tally: Tally,
}

/// Which partitions have reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExperimentReport {
    /// By number.
    pub sources: BTreeSet<u32>,
}

/// What a partition last reported.
///
/// # Errors
/// When the store fails.
pub fn last_report<R: StateStore>(
    rows: &mut R,
    experiment: &ExperimentKey,
    source: Partition,
) -> Result<Option<PartitionReport>, R::Error> {
    let row = rows.load(&Key::PartitionReport(experiment.clone(), source.0))?;
    Ok(row.and_then(Row::into_partition_report))
}

/// Takes a report; gives the counts of all partitions, unless it says nothing new: neither other
/// counts nor another day, on which more windows have passed.
pub(crate) fn take<R: StateStore>(
    rows: &mut R,
    experiment: &ExperimentKey,
    (source, report): (Partition, PartitionReport),
) -> Result<Option<Metrics>, R::Error> {
    let known = last_report(rows, experiment, source)?;
    if known.is_some_and(|known| known.tally == report.tally && report.at.day() <= known.at.day()) {
        return Ok(None);
    }
    let key = Key::ExperimentReport(experiment.clone());
    let mut trial = rows.load(&key)?.and_then(Row::into_experiment_report).unwrap_or_default();
    rows.save(
        Key::PartitionReport(experiment.clone(), source.0),
        Some(Row::PartitionReport(report)),
    );
    let is_new = trial.sources.insert(source.0);
    let mut whole = PartitionReport::default();
    for source in &trial.sources {
        let of = rows
            .load(&Key::PartitionReport(experiment.clone(), *source))?
            .and_then(Row::into_partition_report)
            .unwrap_or_default();
        whole.at = whole.at.max(of.at);
        whole.tally.merge(&of.tally);
    }
    if is_new {
        rows.save(key, Some(Row::ExperimentReport(trial)));
    }
    Ok(Some(Metrics {
        experiment: experiment.clone(),
        at: whole.at,
        tally: whole.tally,
        report: None,
        net_benefits: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::domain::experiment::Counts;
    use crate::domain::lead::Lead;
    use crate::domain::units::{DAY_MS, LeadKey, Tenant};
    use crate::pipeline::Memory;

    /// Rows in memory, and which were written.
    #[derive(Default)]
    struct Noted(Memory, BTreeSet<Key>);

    impl StateStore for Noted {
        type Error = Infallible;

        fn load(&mut self, key: &Key) -> Result<Option<Row>, Infallible> {
            self.0.load(key)
        }

        fn save(&mut self, key: Key, row: Option<Row>) {
            self.1.insert(key.clone());
            self.0.save(key, row);
        }

        fn update<T, E>(
            &mut self,
            key: &LeadKey,
            change: impl FnOnce(&mut Lead) -> Result<T, E>,
        ) -> Result<Result<T, E>, Infallible> {
            self.0.update(key, change)
        }

        fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)> {
            self.0.first_due(tenant, until)
        }

        fn tenants_due(&self, until: EventTime) -> Vec<Tenant> {
            self.0.tenants_due(until)
        }
    }

    #[test]
    fn a_report_writes_its_own_row_and_no_other() {
        let experiment =
            ExperimentKey { tenant: Tenant::new("acme").unwrap(), name: "tone".into(), version: 1 };
        let report = |day: i64, exposures| {
            let tally = Tally::of("assertive", Counts { exposures, ..Counts::default() });
            PartitionReport { at: EventTime(day * DAY_MS), tally }
        };
        let mut rows = Noted::default();
        for (source, report) in [(4, report(3, 10)), (7, report(9, 20))] {
            take(&mut rows, &experiment, (Partition(source), report)).unwrap();
        }
        assert_eq!(last_report(&mut rows, &experiment, Partition(7)), Ok(Some(report(9, 20))));
        let mut reported = |source, report| {
            rows.1.clear();
            let metrics = take(&mut rows, &experiment, (Partition(source), report)).unwrap();
            (
                metrics
                    .map(|metrics| (metrics.at.day(), metrics.tally.arms["assertive"].exposures)),
                rows.1.clone(),
            )
        };
        let (trial, own) = (Key::ExperimentReport(experiment.clone()), |source| {
            Key::PartitionReport(experiment.clone(), source)
        });
        let all = BTreeSet::from([trial.clone(), own(4), own(7), own(0)]);
        // A report replaces what was known of its partition; the first one of a partition also adds
        // the partition to the list.
        assert_eq!(reported(7, report(9, 20)), (None, BTreeSet::new()));
        assert_eq!(reported(7, report(9, 21)), (Some((9, 31)), BTreeSet::from([own(7)])));
        assert_eq!(reported(0, report(2, 5)), (Some((9, 36)), BTreeSet::from([trial, own(0)])));
        assert_eq!(reported(4, report(3, 10)), (None, BTreeSet::new()));
        assert_eq!(reported(4, report(10, 10)), (Some((10, 36)), BTreeSet::from([own(4)])));
        assert_eq!(reported(0, report(1, 6)), (Some((10, 37)), BTreeSet::from([own(0)])));
        assert!(all.into_iter().all(|key| rows.load(&key).unwrap().is_some()));
    }
}
