//! How long an instance that was killed takes to its first committed output, and a new one to
//! restore everything from the changelog.

use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use crate::codec::record::Record;
use crate::codec::topics::STATE;
use crate::dev::bench::latency::{next, read_to_ends, reader, watch};
use crate::dev::bench::load::{Load, Spread};
use crate::dev::bench::subject::Subject;
use crate::dev::bench::{Bench, Error, Job, Mode, PREDICTIONS, Plan, TAKES};
use crate::log::TimeSource;
use crate::log::kafka::Topics;
use crate::telemetry::metrics::RESTORED;

/// Events that are taken before the kill, and that wait for whom comes after it.
const EVENTS: usize = 10_000;

/// How long one look for the first committed output waits.
const LOOK: Duration = Duration::from_millis(1);

/// What a restart took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restart {
    /// From the start after a kill to the first committed prediction, and records of the changelog
    /// that were read until then.
    pub killed: (Duration, u64),
    /// From the start without a state directory until it is ready, and records of the changelog
    /// that were read.
    pub restored: (Duration, u64),
    /// The same records read and thrown away by a plain consumer.
    pub read: (Duration, u64),
}

impl Bench {
    /// Kills the exactly-once job while it works, starts it again, then once more without its
    /// state.
    ///
    /// # Errors
    /// When the job fails.
    pub fn restart(&mut self, plan: &Plan) -> Result<Restart, Error> {
        let mut load = Load::new(2, plan.leads, Spread::Zipf);
        let now = TimeSource::World.now().0;
        let records: Vec<Record> = (0..2 * EVENTS).map(|_| load.next(now)).collect();
        let (before, after) = records.split_at(EVENTS);
        let mut subject = self.job_of(Mode::ExactlyOnce)?.start(None)?;
        self.send(Mode::ExactlyOnce, before)?;
        self.job_of(Mode::ExactlyOnce)?.await_taken(&mut subject)?;
        drop(subject);

        self.send(Mode::ExactlyOnce, after)?;
        let job = self.job_of(Mode::ExactlyOnce)?;
        let seen = watch(job, PREDICTIONS)?;
        let began = Instant::now();
        let mut subject = job.start_only(None)?;
        let first = first(&seen, &mut subject, began)?;
        job.await_taken(&mut subject)?;
        let killed = (first, restored(&subject)?);
        subject.end()?;

        std::fs::remove_dir_all(job.folder.join("state"))?;
        let began = Instant::now();
        let mut subject = job.start_only(None)?;
        subject.await_restored(TAKES)?;
        let restored = (began.elapsed(), restored(&subject)?);
        subject.end()?;
        Ok(Restart { killed, restored, read: read(job)? })
    }
}

fn first(seen: &BaseConsumer, subject: &mut Subject, began: Instant) -> Result<Duration, Error> {
    while began.elapsed() < TAKES {
        if next(seen, LOOK)?.is_some() {
            return Ok(began.elapsed());
        }
        subject.look()?;
    }
    Err(Error::Ended(format!("nothing is committed after {TAKES:?}")))
}

/// Records of the changelog that a process has read since its start.
fn restored(subject: &Subject) -> Result<u64, Error> {
    let text = subject.metrics()?;
    let count = text.lines().find_map(|line| line.strip_prefix(RESTORED)?.trim().parse().ok());
    count.ok_or_else(|| Error::Ended(format!("it has no metric {RESTORED}")))
}

/// Reads the changelog and throws it away.
fn read(job: &Job) -> Result<(Duration, u64), Error> {
    let began = Instant::now();
    let records = read_to_ends(job, &reader(job, STATE, Topics::start)?)?;
    Ok((began.elapsed(), records))
}
