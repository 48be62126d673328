//! Every metric by its one name: `leadstream_<name>_<unit>`, `_total` for counters, labels from
//! closed sets.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::codec::record::Batches;
use crate::codec::topics;
use crate::domain::experiment::analysis::verdicts::Verdict;
use crate::domain::units::AppendTime;
use crate::pipeline::{Counters, Effect};
use crate::telemetry::restore_progress::PartitionRestore;

/// Bounds of short durations, seconds: from 10 microseconds to 10 seconds.
const SHORT: [f64; 15] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.25, 1.0, 10.0,
];
/// Name of the histogram of the time in this process.
pub const HANDLED: &str = "leadstream_processing_seconds";
/// Name of the counter of what was read from the changelog.
pub const RESTORED: &str = "leadstream_restored_rows_total";
/// Bounds of ages of events, seconds: from 10 milliseconds to 30 days.
const LONG: [f64; 10] =
    [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0];

/// A stage of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Bytes to an event.
    Decode,
    /// Everything that is decided, with the encoding of what comes of it.
    Take,
    /// The transaction and its publication.
    Commit,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Take => "take",
            Self::Commit => "commit",
        }
    }
}

/// What a schema registry answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A schema.
    Known,
    /// That it has no such schema.
    Unknown,
    /// Nothing that can be used.
    Unreachable,
}

impl Answer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why someone has to look at the results of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Units were seen in two arms.
    MultiExposed,
    /// Units are not shared out as planned.
    SampleRatio,
}

impl Alarm {
    /// What the results of an experiment alarm of.
    pub fn of(effect: &Effect) -> impl Iterator<Item = Self> {
        let metrics =
            if let Effect::ExperimentMetrics(metrics) = effect { Some(metrics) } else { None };
        let multi_exposed =
            metrics.filter(|metrics| metrics.tally.multi_exposed > 0).map(|_| Self::MultiExposed);
        let report = metrics.and_then(|metrics| metrics.report.as_ref());
        let uneven = report
            .filter(|report| report.decision.verdict == Verdict::SampleRatio)
            .map(|_| Self::SampleRatio);
        multi_exposed.into_iter().chain(uneven)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::MultiExposed => "multi_exposed",
            Self::SampleRatio => "sample_ratio",
        }
    }
}

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    interactions: IntCounterVec,
    outputs: IntCounterVec,
    alarms: IntCounterVec,
    stages: [Histogram; 3],
    handled: Histogram,
    latency: Histogram,
    age: Histogram,
    restored: IntCounter,
    restoring: [IntGaugeVec; 3],
    stood_by: IntCounter,
    behind: IntGaugeVec,
    lag: IntGaugeVec,
    paused: IntGaugeVec,
    state_bytes: IntGauge,
    log_bytes: IntGauge,
    waiting_rows: IntGauge,
    ready: IntGauge,
    conditions: IntGaugeVec,
    requests: HistogramVec,
    registry_requests: IntCounterVec,
    registry_waiting: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Panics
    /// Never: the names below are distinct and well formed, which every test that makes one sees.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a list of metrics")]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let counters = |(name, label): (&str, &str), help: &str, values: &[&str]| {
            let counters = register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]));
            // `increase()` sees the first event only of a series that was 0 before.
            values.iter().for_each(|value| counters.with_label_values(&[value]).reset());
            counters
        };
        let of_partitions = |name: &str, help: &str| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), &["partition"]))
        };
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        let histogram = |name: &str, help: &str, bounds: &[f64]| {
            register(
                &registry,
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec())),
            )
        };
        let stages = register(
            &registry,
            HistogramVec::new(
                HistogramOpts::new(
                    "leadstream_stage_duration_seconds",
                    "Time a stage of the worker took, per input or commit.",
                )
                .buckets(SHORT.to_vec()),
                &["stage"],
            ),
        );
        Self {
            interactions: counters(
                ("leadstream_interactions_total", "outcome"),
                "Interactions whose outcome is committed.",
                &["advanced", "duplicate", "late", "dead_lettered"],
            ),
            outputs: counters(
                ("leadstream_committed_records_total", "topic"),
                "Records committed, by topic.",
                &topics::ALL.map(|topic| topic.name),
            ),
            alarms: counters(
                ("leadstream_experiment_alerts_total", "alert"),
                "Results of experiments that need attention, by reason.",
                &[Alarm::MultiExposed, Alarm::SampleRatio].map(Alarm::as_str),
            ),
            stages: [Stage::Decode, Stage::Take, Stage::Commit]
                .map(|stage| stages.with_label_values(&[stage.as_str()])),
            handled: histogram(
                HANDLED,
                "From the fetch of an interaction to the begin of the transaction with what it led \
                    to.",
                &SHORT,
            ),
            latency: histogram(
                "leadstream_append_to_commit_seconds",
                "From the append of an interaction to its commit.",
                &SHORT,
            ),
            age: histogram(
                "leadstream_event_to_commit_seconds",
                "From the event time of an interaction to its commit.",
                &LONG,
            ),
            restored: counter(RESTORED, "Rows read from the changelog at start."),
            restoring: [
                (
                    "leadstream_restore_read_records",
                    "Of the changelog of a partition that is restored: offsets read.",
                ),
                (
                    "leadstream_restore_total_records",
                    "Of the changelog of a partition that is restored: offsets to read in all.",
                ),
                (
                    "leadstream_restore_remaining_seconds",
                    "Until a partition is restored if it goes on as it went so far.",
                ),
            ]
            .map(|(name, help)| of_partitions(name, help)),
            stood_by: counter(
                "leadstream_standby_read_rows_total",
                "Rows read from the changelog for copies of partitions that others have.",
            ),
            behind: of_partitions(
                "leadstream_standby_lag_records",
                "Committed records of the changelog that a copy has not read.",
            ),
            lag: of_partitions("leadstream_lag_records", "Interactions not yet taken."),
            paused: of_partitions(
                "leadstream_partition_paused",
                "1 while a partition pauses because of dead letters, else 0.",
            ),
            state_bytes: gauge("leadstream_state_size_bytes", "Size of the state directory."),
            log_bytes: gauge("leadstream_log_size_bytes", "Size of the log file."),
            waiting_rows: gauge(
                "leadstream_checkpoint_waiting_rows",
                "Committed rows that are not in the state directory yet.",
            ),
            conditions: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "leadstream_condition",
                        "1 while a condition holds that keeps the instance from taking events, or \
                            soon may; docs/how-to/respond-to-alerts.md has them.",
                    ),
                    &["condition"],
                ),
            ),
            ready: gauge(
                "leadstream_ready",
                "1 while all partitions are restored and taken, else 0.",
            ),
            requests: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "leadstream_http_request_duration_seconds",
                        "Time an HTTP request took.",
                    )
                    .buckets(SHORT.to_vec()),
                    &["route", "status"],
                ),
            ),
            registry_requests: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "leadstream_registry_requests_total",
                        "Schemas asked for, by what the schema registry answered.",
                    ),
                    &["answer"],
                ),
            ),
            registry_waiting: gauge(
                "leadstream_registry_waiting_partitions",
                "Partitions that wait for the schema registry.",
            ),
            registry,
        }
    }

    /// Adds the outcomes of a committed batch.
    pub fn counted(&self, counters: &Counters) {
        let Counters { advanced, duplicate, late, dead_lettered } = *counters;
        for (outcome, count) in [
            ("advanced", advanced),
            ("duplicate", duplicate),
            ("late", late),
            ("dead_lettered", dead_lettered),
        ] {
            self.interactions.with_label_values(&[outcome]).inc_by(count);
        }
    }

    /// Counts results of experiments that alarm.
    pub fn alarmed(&self, alarms: impl Iterator<Item = Alarm>) {
        alarms.for_each(|alarm| self.alarms.with_label_values(&[alarm.as_str()]).inc());
    }

    /// Tells how long a stage took.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].observe(took.as_secs_f64());
    }

    /// Tells what was committed and how long that took.
    pub fn committed(&self, batches: &Batches, took: Duration) {
        self.stage(Stage::Commit, took);
        for ((topic, _), records) in batches {
            self.outputs.with_label_values(&[topic]).inc_by(records.len() as u64);
        }
    }

    /// Tells how long interactions were in this process until their transaction began.
    pub fn handled(&self, ages: &[Duration]) {
        ages.iter().for_each(|age| self.handled.observe(age.as_secs_f64()));
    }

    /// Tells when interactions were appended, and when they happened where known, milliseconds;
    /// they are committed `now`.
    pub fn end_to_end(&self, now: AppendTime, times: impl Iterator<Item = (i64, Option<i64>)>) {
        let seconds = |then: i64| now.0.saturating_sub(then).max(0) as f64 / 1_000.0;
        for (appended, occurred) in times {
            self.latency.observe(seconds(appended));
            if let Some(occurred) = occurred {
                self.age.observe(seconds(occurred));
            }
        }
    }

    /// Counts rows read from the changelog.
    pub fn restored(&self, rows: u64) {
        self.restored.inc_by(rows);
    }

    /// Tells how many interactions wait, by partition; partitions that are not named have left.
    pub fn lag(&self, partitions: &BTreeMap<u32, u64>) {
        set_by_partition(
            &self.lag,
            partitions.iter().map(|(partition, records)| (*partition, *records)),
        );
    }

    /// Counts rows read from the changelog for copies.
    pub fn stood_by(&self, rows: u64) {
        self.stood_by.inc_by(rows);
    }

    /// Tells how far copies are behind, by partition; those that are not named are not kept any
    /// more.
    pub fn behind(&self, partitions: &BTreeMap<u32, u64>) {
        set_by_partition(
            &self.behind,
            partitions.iter().map(|(partition, records)| (*partition, *records)),
        );
    }

    /// Tells how far the restores under way are; those that are not named have ended.
    pub fn restoring(&self, restores: &[PartitionRestore]) {
        self.restoring.iter().for_each(IntGaugeVec::reset);
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for restoring in restores {
            let (stretch, seconds) =
                (restoring.stretch, restoring.seconds_left().map(|seconds| seconds.ceil() as i64));
            let reported = [Some(whole(stretch.read())), Some(whole(stretch.whole())), seconds];
            for (gauge, value) in self.restoring.iter().zip(reported) {
                value.into_iter().for_each(|value| {
                    gauge.with_label_values(&[&restoring.partition.0.to_string()]).set(value)
                });
            }
        }
    }

    /// Tells which of the partitions that are here pause.
    pub fn paused(&self, partitions: impl Iterator<Item = (u32, bool)>) {
        set_by_partition(
            &self.paused,
            partitions.map(|(partition, is_paused)| (partition, u64::from(is_paused))),
        );
    }

    /// Sets the size of the state directory, bytes.
    pub fn state_size(&self, bytes: u64) {
        self.state_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the size of the embedded log, bytes.
    pub fn log_size(&self, bytes: u64) {
        self.log_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets how many committed rows wait for the state directory.
    pub fn waiting_rows(&self, rows: usize) {
        self.waiting_rows.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Tells whether everything is restored and taken.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Sets which of the conditions that can keep the instance from taking events hold.
    pub fn conditions<const N: usize>(&self, conditions: [(&str, bool); N]) {
        for (name, holds) in conditions {
            self.conditions.with_label_values(&[name]).set(i64::from(holds));
        }
    }

    /// How many partitions wait for the schema registry.
    #[must_use]
    pub fn registry_waiting_partitions(&self) -> i64 {
        self.registry_waiting.get()
    }

    /// Tells how long a request took; `route` is a pattern, never a path.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, &status.to_string()]).observe(took.as_secs_f64());
    }

    /// Counts an answer of the schema registry.
    pub fn registry_answered(&self, answer: Answer) {
        self.registry_requests.with_label_values(&[answer.as_str()]).inc();
    }

    /// Tells how many partitions wait for the schema registry.
    pub fn registry_waiting(&self, partitions: usize) {
        self.registry_waiting.set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut bytes)
            .expect("metrics are written to memory");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sets a gauge for each partition, and forgets the others.
fn set_by_partition(gauge: &IntGaugeVec, partitions: impl Iterator<Item = (u32, u64)>) {
    gauge.reset();
    for (partition, value) in partitions {
        gauge
            .with_label_values(&[&partition.to_string()])
            .set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    created: prometheus::Result<C>,
) -> C {
    let collector = created.expect("metric names are well formed");
    registry.register(Box::new(collector.clone())).expect("metric names are distinct");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{Offset, Partition};
    use crate::telemetry::restore_progress::{RestoreProgress, Restores};

    #[test]
    fn names_follow_the_grammar_and_counters_end_in_total() {
        let metrics = Metrics::new();
        metrics.request("/livez", 200, Duration::from_millis(1));
        metrics.lag(&BTreeMap::from([(0, 1)]));
        metrics.behind(&BTreeMap::from([(0, 1)]));
        metrics.registry_answered(Answer::Known);
        metrics.paused([(0, true)].into_iter());
        metrics.conditions([("disk_low", true)]);
        metrics.alarmed([Alarm::MultiExposed, Alarm::SampleRatio].into_iter());
        let restores = Restores::default();
        let mut watch = restores.begin(Partition(0));
        watch.read(RestoreProgress { from: Offset(0), next: Offset(1), end: Offset(4) });
        metrics.restoring(&restores.all());
        assert!(metrics.text().contains("leadstream_restore_total_records{partition=\"0\"} 4"));
        metrics
            .committed(&Batches::from([(("lead.predictions.v1", 0), Vec::new())]), Duration::ZERO);
        let text = metrics.text();
        let units = [
            "interactions",
            "experiment_alerts",
            "records",
            "rows",
            "bytes",
            "seconds",
            "ready",
            "paused",
            "requests",
            "partitions",
            "condition",
        ];
        let mut names = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("leadstream_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} {kind}");
            let base = name.trim_end_matches("_total");
            assert!(units.iter().any(|unit| base.ends_with(unit)), "{name} has no unit");
            names += 1;
        }
        assert_eq!(names, 23);
        // What is drawn and alerted on exists.
        let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        for file in ["alerts.yml", "alerts.test.yml", "grafana/leadstream.json"] {
            let file = std::fs::read_to_string(deploy.join(file)).unwrap();
            let used: Vec<&str> = file
                .split(|c: char| c != '_' && !c.is_ascii_lowercase())
                .filter(|word| word.starts_with("leadstream_") && !word.ends_with("_"))
                .collect();
            assert!(!used.is_empty());
            for name in used {
                let is_there =
                    [name, name.trim_end_matches("_bucket"), name.trim_end_matches("_sum")]
                        .iter()
                        .any(|name| text.contains(&format!("# TYPE {name} ")));
                assert!(is_there, "{name}");
            }
        }
        metrics.restoring(&[]);
        assert!(!metrics.text().contains("leadstream_restore_"));
    }
}
