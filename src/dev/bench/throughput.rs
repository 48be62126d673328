//! Events per CPU second: the same events to each job in turn, each stopped while its events are
//! sent.

use std::collections::BTreeMap;

use crate::codec::record::Record;
use crate::dev::bench::load::{Load, Spread};
use crate::dev::bench::subject::Subject;
use crate::dev::bench::{Bench, Error, Mode, Plan, Script, median};
use crate::log::TimeSource;

/// Events sent at once while leads are made.
const PIECE: usize = 100_000;

/// Events per CPU second and per second of each round of a job.
#[derive(Clone, Debug, Default)]
pub struct Throughput {
    /// Per CPU second of the process.
    pub per_cpu_second: Vec<f64>,
    /// Per second that passed.
    pub per_second: Vec<f64>,
}

impl Throughput {
    /// The middle round, per CPU second.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&mut self.per_cpu_second.clone())
    }
}

impl Bench {
    /// Makes the leads of a plan in both jobs that keep state.
    ///
    /// # Errors
    /// When a job fails.
    pub fn warm(&mut self, plan: &Plan, reported: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let mut load = Load::new(0, plan.leads, Spread::Uniform);
        let mut subjects = self.stateful()?;
        for first in (0..plan.leads).step_by(PIECE) {
            let now = TimeSource::World.now().0;
            let records: Vec<Record> =
                (first..(first + PIECE).min(plan.leads)).map(|lead| load.of(lead, now)).collect();
            for (mode, subject) in &mut subjects {
                self.send(*mode, &records)?;
                self.processed(*mode, subject)?;
            }
            reported(records.len() as u64);
        }
        subjects.into_values().try_for_each(Subject::end)
    }

    /// The rounds of a plan with one spread.
    ///
    /// # Errors
    /// When a job fails.
    pub fn throughput(
        &mut self,
        plan: &Plan,
        spread: Spread,
        reported: &mut dyn FnMut(u64),
    ) -> Result<(BTreeMap<Mode, Throughput>, Script), Error> {
        let mut results: BTreeMap<Mode, Throughput> = BTreeMap::new();
        let mut script = None;
        for round in 0..plan.rounds {
            let mut load = Load::new(1 + round as u64 + 1_000 * spread as u64, plan.leads, spread);
            let now = TimeSource::World.now().0;
            let records: Vec<Record> = (0..plan.events).map(|_| load.next(now)).collect();
            let from = self.job_of(Mode::ExactlyOnce)?.ends()?;
            let before = self.job_of(Mode::ExactlyOnce)?.sent.clone();
            let mut subjects = self.stateful()?;
            for (mode, subject) in &mut subjects {
                self.measure(*mode, subject, &records, results.entry(*mode).or_default())?;
                reported(records.len() as u64);
            }
            subjects.into_values().try_for_each(Subject::end)?;
            let exactly = self.job_of(Mode::ExactlyOnce)?;
            let events =
                exactly.sent.iter().zip(before).map(|(sent, before)| sent - before).collect();
            let created = Script {
                prefix: exactly.cluster.settings.topic_prefix.clone(),
                from,
                until: exactly.ends()?,
                events,
            };
            let mut raw = self.job_of(Mode::Raw)?.start(Some(&created))?;
            self.measure(Mode::Raw, &mut raw, &records, results.entry(Mode::Raw).or_default())?;
            reported(records.len() as u64);
            script = Some(created);
        }
        let script = script.ok_or_else(|| Error::Ended("there was no round".to_owned()))?;
        Ok((results, script))
    }

    /// Sends events to a stopped job, lets it take them and adds what that cost.
    fn measure(
        &mut self,
        mode: Mode,
        subject: &mut Subject,
        records: &[Record],
        result: &mut Throughput,
    ) -> Result<(), Error> {
        subject.pause()?;
        self.send(mode, records)?;
        let before = subject.cpu_seconds()?;
        subject.resume()?;
        let took = self.processed(mode, subject)?;
        let cpu = subject.cpu_seconds()? - before;
        result.per_cpu_second.push(records.len() as f64 / cpu.max(0.01));
        result.per_second.push(records.len() as f64 / took.as_secs_f64());
        Ok(())
    }

    fn processed(&self, mode: Mode, subject: &mut Subject) -> Result<std::time::Duration, Error> {
        self.job_of(mode)?.await_taken(subject)
    }

    fn stateful(&self) -> Result<BTreeMap<Mode, Subject>, Error> {
        [Mode::ExactlyOnce, Mode::AtLeastOnce]
            .into_iter()
            .map(|mode| Ok((mode, self.job_of(mode)?.start(None)?)))
            .collect()
    }
}
