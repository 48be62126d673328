//! Produce-to-committed latency in an open loop: counted from the moment an event was due, so a
//! stall counts for all behind it.
//!
//! The predictions of a partition come in the order of its events, one for each, so the n-th
//! answers the n-th.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::BaseProducer;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::dev::bench::load::{Load, Spread};
use crate::dev::bench::{Bench, Error, INTERACTIONS, Job, Mode, PREDICTIONS, Plan, Script, TAKES};
use crate::domain::hash::partition_of;
use crate::domain::units::{Offset, Partition};
use crate::log::kafka::{self, Topics};
use crate::log::{self, TimeSource};
use crate::telemetry::metrics::HANDLED;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);

/// Quantiles of one run, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Half are faster.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
}

impl Latency {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |share: f64| {
            let place = (all.len().saturating_sub(1) as f64 * share) as usize;
            all.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
        };
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
    }

    /// The middle of each quantile over several runs.
    #[must_use]
    pub fn median(runs: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> f64| {
            crate::dev::bench::median(&mut runs.iter().map(of).collect::<Vec<_>>())
        };
        Self { p50: middle(|run| run.p50), p90: middle(|run| run.p90), p99: middle(|run| run.p99) }
    }
}

/// Milliseconds below which a share of a Prometheus histogram lies, even within a bucket; `None`
/// where nothing was counted.
#[must_use]
pub fn quantile(metrics: &str, name: &str, share: f64) -> Option<f64> {
    let prefix = format!("{name}_bucket{{le=\"");
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix(&prefix)?.split_once("\"} ")?;
        Some((bound.parse::<f64>().ok()?, count.parse::<f64>().ok()?))
    };
    let buckets: Vec<(f64, f64)> = metrics.lines().filter_map(bucket).collect();
    let wanted = buckets.last().filter(|(_, all)| *all > 0.0)?.1 * share;
    let place = buckets.partition_point(|(_, count)| *count < wanted);
    let (low, before) = if place == 0 { (0.0, 0.0) } else { buckets[place - 1] };
    let (high, count) = *buckets.get(place)?;
    // Beyond the last bound nothing is known but that.
    let seconds = if high.is_finite() {
        low + (high - low) * (wanted - before) / (count - before).max(1.0)
    } else {
        low
    };
    Some(seconds * 1_000.0)
}

/// One run of an open loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// From an event's due time until a committed reader has its prediction.
    pub latency: Latency,
    /// Of an exactly-once job: from the fetch of an event to the begin of its transaction.
    pub inside: Option<Latency>,
}

impl Bench {
    /// One run with one rate of a whole job, of the raw loop, or (`None`) of nothing but the
    /// broker: events are read where they were sent.
    ///
    /// # Errors
    /// When a job fails.
    pub fn latency(
        &mut self,
        mode: Option<Mode>,
        script: &Script,
        (plan, rate): (&Plan, u64),
    ) -> Result<Run, Error> {
        let job = self.job_of(mode.unwrap_or(Mode::Raw))?;
        let mut subject = match mode {
            Some(Mode::Raw) => Some(job.start(Some(script))?),
            Some(_) => Some(job.start(None)?),
            None => None,
        };
        if let Some(subject) = &mut subject {
            job.await_taken(subject)?;
        }
        let watched = watch(job, if mode.is_some() { PREDICTIONS } else { INTERACTIONS })?;
        let load =
            Load::new(rate ^ TimeSource::World.now().0.unsigned_abs(), plan.leads, Spread::Zipf);
        let (all, sent) = open_loop(job, &self.producer, &watched, (load, rate, plan.seconds))?;
        let mut inside = None;
        if let Some(subject) = subject.filter(|_| mode == Some(Mode::ExactlyOnce)) {
            let metrics = subject.metrics()?;
            let at = |share| quantile(&metrics, HANDLED, share);
            inside = at(0.5).zip(at(0.9)).zip(at(0.99)).map(|((p50, p90), p99)| Latency {
                p50,
                p90,
                p99,
            });
            subject.end()?;
        }
        let job = self.jobs.get_mut(&mode.unwrap_or(Mode::Raw));
        for (known, sent) in job.into_iter().flat_map(|job| job.sent.iter_mut()).zip(sent) {
            *known += sent;
        }
        Ok(Run { latency: Latency::of(all), inside })
    }
}

/// A committed reader that has met the end of a topic: how long it takes to begin is nobody's
/// latency.
pub(super) fn watch(job: &Job, topic: &str) -> Result<BaseConsumer, Error> {
    let consumer = reader(job, topic, Topics::end)?;
    read_to_ends(job, &consumer)?;
    Ok(consumer)
}

/// The next record, if one comes so soon.
pub(super) fn next(
    consumer: &BaseConsumer,
    wait: Duration,
) -> Result<Option<BorrowedMessage<'_>>, Error> {
    match consumer.poll(wait) {
        Some(Ok(message)) => Ok(Some(message)),
        Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Reads until the end of every partition was met; gives how many records that were.
pub(super) fn read_to_ends(job: &Job, consumer: &BaseConsumer) -> Result<u64, Error> {
    let mut left: BTreeSet<i32> = (0..job.cluster.partitions.cast_signed()).collect();
    let (mut records, began) = (0, Instant::now());
    while !left.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(_)) => records += 1,
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(left.remove(&partition)),
            Some(Err(error)) => return Err(error.into()),
            None if began.elapsed() > TAKES => {
                return Err(Error::Ended(format!("the ends of partitions {left:?} are not met")));
            }
            None => {}
        }
    }
    Ok(records)
}

/// A committed reader of a topic that begins in each partition where `place` says.
pub(super) fn reader(
    job: &Job,
    topic: &str,
    place: impl Fn(&Topics, &str, Partition) -> Result<Offset, log::Error>,
) -> Result<BaseConsumer, Error> {
    let settings = &job.cluster.settings;
    let consumer: BaseConsumer =
        settings.consumer("bench-watch").set("enable.partition.eof", "true").create()?;
    let topics = Topics::new(settings)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..job.cluster.partitions {
        let offset = place(&topics, topic, Partition(partition))?;
        let offset = KafkaOffset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX));
        list.add_partition_offset(&settings.topic(topic), partition.cast_signed(), offset)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// Sends at a fixed rate whatever comes back; gives all latencies and how many were sent to each
/// partition.
fn open_loop(
    job: &Job,
    producer: &BaseProducer,
    watched: &BaseConsumer,
    (mut load, rate, seconds): (Load, u64, u64),
) -> Result<(Vec<Duration>, Vec<u64>), Error> {
    let partitions = job.cluster.partitions;
    let topic = job.cluster.settings.topic(INTERACTIONS);
    let total = rate * seconds;
    let waiting: Vec<Mutex<VecDeque<Instant>>> =
        (0..partitions).map(|_| Mutex::default()).collect();
    let began = Instant::now();
    let due = |number: u64| began + Duration::from_nanos(number * 1_000_000_000 / rate);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| -> Result<Vec<u64>, Error> {
            let mut sent = vec![0; partitions as usize];
            for number in 0..total {
                while let Some(wait) = due(number).checked_duration_since(Instant::now()) {
                    producer.poll(Duration::ZERO);
                    std::thread::sleep(wait.min(Duration::from_millis(1)));
                }
                let record = load.next(TimeSource::World.now().0);
                let place = partition_of(record.key.as_deref().unwrap_or_default(), partitions).0;
                if let (Some(queue), Some(count)) =
                    (waiting.get(place as usize), sent.get_mut(place as usize))
                {
                    lock(queue).push_back(due(number));
                    *count += 1;
                }
                kafka::send(producer, (&topic, place), &record)?;
            }
            kafka::drain(producer, Instant::now() + TAKES)?;
            Ok(sent)
        });
        let mut all = Vec::new();
        while (all.len() as u64) < total {
            match next(watched, POLL)? {
                Some(message) => {
                    let queue = usize::try_from(message.partition())
                        .ok()
                        .and_then(|place| waiting.get(place));
                    let due = queue.and_then(|queue| lock(queue).pop_front());
                    all.extend(due.map(|due| due.elapsed()));
                }
                // What was not sent is not answered.
                None if sending.is_finished()
                    && waiting.iter().all(|queue| lock(queue).is_empty()) =>
                {
                    break;
                }
                None if began.elapsed() > TAKES => {
                    return Err(Error::Ended("not every event is answered".to_owned()));
                }
                None => {}
            }
        }
        let sent = sending.join().map_err(|_| Error::Ended("the sender panicked".to_owned()))??;
        Ok((all, sent))
    })
}

fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_within_its_bucket_and_nothing_counted_has_none() {
        let text = "a_bucket{le=\"0.001\"} 10\na_bucket{le=\"0.002\"} 90\na_bucket{le=\"0.005\"} \
            99\na_bucket{le=\"+Inf\"} 100\nb_bucket{le=\"+Inf\"} 0\n";
        assert_eq!(quantile(text, "a", 0.5), Some(1.5));
        assert_eq!(quantile(text, "a", 0.05), Some(0.5));
        assert_eq!(quantile(text, "a", 1.0), Some(5.0));
        assert_eq!((quantile(text, "b", 0.5), quantile(text, "c", 0.5)), (None, None));
    }
}
