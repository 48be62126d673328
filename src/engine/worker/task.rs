//! One partition of the worker: its rules, rows and positions, and the batch it has in hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::codec::avro;
use crate::codec::internal::{InboxEntry, Switch, switch_bytes};
use crate::codec::model::starting_rules;
use crate::codec::record::{Batches, Record};
use crate::codec::records::{self};
use crate::codec::topics::{DEAD_LETTERS, DEFINITIONS, INBOX, INTERACTIONS, ORDER};
use crate::domain::experiment::{ExperimentKey, Tally};
use crate::domain::hash::partition_of;
use crate::domain::rules::Rules;
use crate::domain::units::{AppendTime, EventTime, Offset, Partition};
use crate::engine::store::{Error, Store, Trees};
use crate::engine::worker::dead_letter_breaker::DeadLetterBreaker;
use crate::engine::worker::{Options, put};
use crate::log::{Log, Reader};
use crate::pipeline::{
    Counters, Effect, Input, InputTopic, Key, Outcome, PartitionReport, Positions, Row, StateStore,
    Taken, last_report, take,
};
use crate::telemetry::metrics::{Alarm, Metrics, Stage};
use crate::telemetry::restore_progress::Watch;

/// One partition.
pub(crate) struct Task {
    pub(crate) partition: Partition,
    partitions: u32,
    pub(crate) positions: Positions,
    pub(crate) store: Store,
    /// When the last tick was written.
    pub(crate) ticked: Option<Instant>,
    /// When counts were last reported.
    pub(crate) reported: Option<Instant>,
    /// The schema that the next interaction was written with, while the registry has not answered.
    waits_for: Option<avro::Key>,
    /// When each interaction of the batch in hand was appended, and when it happened where it could
    /// be read, milliseconds.
    pub(crate) times: Vec<(i64, Option<i64>)>,
    rules: Arc<Rules>,
    /// Positions and rules of the last commit.
    committed: (Positions, Arc<Rules>),
    /// Experiments with counts that were here when it was taken over: whether these were reported
    /// is not looked at yet.
    restored: BTreeSet<ExperimentKey>,
    /// Experiments whose counts changed since they were reported.
    tallied: BTreeSet<ExperimentKey>,
    /// Experiments with counts here, and the day of the tenant's clock when they were last
    /// reported.
    reported_day: BTreeMap<ExperimentKey, i64>,
    counted: BTreeMap<u32, Counters>,
    /// Outcomes of the batch in hand: metrics count them once it is committed.
    outcomes: Counters,
    /// Results of the batch in hand that alarm.
    alarms: Vec<Alarm>,
    pub(crate) breaker: DeadLetterBreaker,
}

impl Task {
    /// Brings a partition to what is committed: rows from its copy or the store, rules from the
    /// definitions that were taken.
    pub(crate) fn restore(
        (trees, kept): (&Trees, Option<Store>),
        reader: &impl Reader,
        (partition, partitions): (Partition, u32),
        options: &Options,
        (metrics, watch): (&Metrics, &mut Watch<'_>),
    ) -> Result<Self, Error> {
        let none = Arc::new(starting_rules());
        let restored = &mut |stretch| {
            metrics.restored(1);
            watch.read(stretch);
        };
        let store = match kept {
            Some(mut kept) => {
                kept.bound(options.bounds);
                kept.catch_up(reader, restored)?;
                kept
            }
            None => {
                Store::restore(trees, reader, (partition, options.bounds), none.clone(), restored)?
            }
        };
        let mut task = Self {
            partition,
            partitions,
            positions: Positions::default(),
            store,
            ticked: None,
            reported: None,
            waits_for: None,
            times: Vec::new(),
            committed: (Positions::default(), none.clone()),
            rules: none,
            restored: BTreeSet::new(),
            tallied: BTreeSet::new(),
            reported_day: BTreeMap::new(),
            counted: BTreeMap::new(),
            outcomes: Counters::default(),
            alarms: Vec::new(),
            breaker: DeadLetterBreaker::new(options.breaker),
        };
        task.find_positions(reader)?;
        Ok(task)
    }

    /// Positions, rules and changed counts as they are committed.
    fn find_positions(&mut self, reader: &impl Reader) -> Result<(), Error> {
        let row = self.store.load(&Key::Positions)?.and_then(Row::into_positions);
        self.positions = reader.positions(self.partition, row)?;
        let mut rules = starting_rules();
        let until = self.positions.next[InputTopic::Definitions as usize];
        reader.each::<Error>(
            (DEFINITIONS, Partition(0)),
            (Offset(0), until),
            &mut |_, record| {
                // What cannot be used was told of when it was taken.
                drop(records::define(&mut rules, &record));
                Ok(())
            },
        )?;
        self.rules = Arc::new(rules);
        self.committed = (self.positions, self.rules.clone());
        self.store.tell(self.positions, &self.rules);
        let restored = &mut self.restored;
        self.store.shared().scan("T", &mut |key, _| {
            if let Key::Tally(experiment) = key {
                restored.insert(experiment);
            }
        })?;
        Ok(())
    }

    /// Drops the batch in hand: its inputs are taken again.
    pub(crate) fn roll_back(&mut self) {
        self.store.roll_back();
        (self.positions, self.rules) = self.committed.clone();
        self.counted.clear();
        self.outcomes = Counters::default();
        self.alarms.clear();
        self.times.clear();
        self.waits_for = None;
        self.breaker.roll_back();
    }

    /// Drops the batch in hand, or takes it over where it was committed after all.
    pub(crate) fn settle(&mut self, reader: &impl Reader, metrics: &Metrics) -> Result<(), Error> {
        self.roll_back();
        self.store.catch_up(reader, &mut |_| metrics.restored(1))?;
        self.find_positions(reader)
    }

    /// Takes what is new into the overlay and the batches: what has begun, then definitions, then
    /// the inbox, then interactions.
    pub(crate) fn take_batch(
        &mut self,
        reader: &impl Reader,
        options: &Options,
        batches: &mut Batches,
        metrics: &Metrics,
    ) -> Result<u64, Error> {
        let before = self.positions;
        self.breaker.look();
        let mut budget = options.commit_timers;
        // What has begun ends under the rules with which it began: a replay knows nothing of the
        // commit in between.
        let begun = self.positions.has_begun.then_some(self.positions.current);
        if begun.is_none() {
            self.define(reader, batches)?;
        }
        // It may not have been fetched yet after a restart.
        if begun == Some(InputTopic::Interactions)
            || self.take_inbox(reader, &mut budget, batches)? && !self.positions.has_begun
        {
            self.take_interactions(reader, options, (&mut budget, batches), metrics)?;
        }
        for (source, counted) in std::mem::take(&mut self.counted) {
            let key = Key::Counters(source);
            let mut row = self.store.load(&key)?.and_then(Row::into_counters).unwrap_or_default();
            row.merge(&counted);
            self.outcomes.merge(&counted);
            self.store.save(key, Some(Row::Counters(row)));
        }
        let processed: u64 =
            (0..3).map(|source| self.positions.next[source].0 - before.next[source].0).sum();
        // A batch that ended at its timers alone moved no position, but has to be committed.
        Ok(processed + u64::from(processed == 0 && self.store.is_changed()))
    }

    fn position(&mut self, source: InputTopic) -> &mut Offset {
        &mut self.positions.next[source as usize]
    }

    /// Records that another input is read from here on.
    fn switch_to(&mut self, source: InputTopic, appended_ms: i64, batches: &mut Batches) {
        if self.positions.current == source {
            return;
        }
        self.positions.current = source;
        let switch = Switch {
            partition: self.partition,
            input: source.as_str().to_owned(),
            next: self.positions.next,
        };
        let record = Record {
            key: Some(self.partition.0.to_string().into()),
            value: Some(switch_bytes(&switch)),
            reason: None,
            appended_ms,
            ingest_run: 0,
            origin: None,
        };
        batches.entry((ORDER, self.partition.0)).or_default().push(record);
    }

    fn define(&mut self, reader: &impl Reader, batches: &mut Batches) -> Result<(), Error> {
        loop {
            let records =
                reader.read(DEFINITIONS, Partition(0), *self.position(InputTopic::Definitions))?;
            if records.is_empty() {
                return Ok(());
            }
            for (offset, record) in records {
                self.switch_to(InputTopic::Definitions, record.appended_ms, batches);
                match records::define(Arc::make_mut(&mut self.rules), &record) {
                    Ok(()) => {}
                    // Every partition reads every definition; one of them keeps what cannot be
                    // used.
                    Err(reason) if self.partition == Partition(0) => {
                        let letter = records::letter(
                            reason,
                            (InputTopic::Definitions, Partition(0), offset),
                            &record,
                        );
                        batches.entry((DEAD_LETTERS, 0)).or_default().push(letter);
                    }
                    Err(_) => {}
                }
                *self.position(InputTopic::Definitions) = Offset(offset.0 + 1);
            }
        }
    }

    /// `false` when the timer budget ended.
    fn take_inbox(
        &mut self,
        reader: &impl Reader,
        budget: &mut usize,
        batches: &mut Batches,
    ) -> Result<bool, Error> {
        let records = reader.read(INBOX, self.partition, *self.position(InputTopic::Inbox))?;
        for (offset, record) in records {
            let (input, after) = records::inbox(&record);
            if *self.position(InputTopic::Interactions) < after {
                break;
            }
            self.switch_to(InputTopic::Inbox, record.appended_ms, batches);
            if self
                .take(&input, (InputTopic::Inbox, offset, &record), (&mut *budget, &mut *batches))?
                .is_none()
            {
                return Ok(false);
            }
            *self.position(InputTopic::Inbox) = Offset(offset.0 + 1);
        }
        Ok(true)
    }

    fn take_interactions(
        &mut self,
        reader: &impl Reader,
        options: &Options,
        (budget, batches): (&mut usize, &mut Batches),
        metrics: &Metrics,
    ) -> Result<(), Error> {
        self.waits_for = self.waits_for.filter(|key| options.schemas.is_missing(*key));
        if self.is_waiting() {
            return Ok(());
        }
        let mut left = options.commit_records;
        while left > 0 {
            let mut records = reader.read(
                INTERACTIONS,
                self.partition,
                *self.position(InputTopic::Interactions),
            )?;
            records.truncate(left);
            left = if records.is_empty() { 0 } else { left - records.len() };
            let mut began = Instant::now();
            for (offset, record) in records {
                if !self.breaker.is_open() {
                    return Ok(());
                }
                let place = (self.partition, self.partitions);
                let input = match options.schemas.read(records::coded(&record), |writers| {
                    records::input(&record, place, writers)
                }) {
                    Ok(input) => input,
                    Err(key) => {
                        self.waits_for = Some(key);
                        return Ok(());
                    }
                };
                let decoded = Instant::now();
                metrics.stage(Stage::Decode, decoded - began);
                self.switch_to(InputTopic::Interactions, record.appended_ms, batches);
                let place = (InputTopic::Interactions, offset, &record);
                let Some(outcome) = self.take(&input, place, (&mut *budget, &mut *batches))? else {
                    return Ok(());
                };
                began = Instant::now();
                metrics.stage(Stage::Take, began - decoded);
                self.counted.entry(record.ingest_run).or_default().count(outcome);
                let occurred_ms = if let Input::Interaction { event, .. } = &input {
                    Some(event.occurred_at.0)
                } else {
                    None
                };
                self.times.push((record.appended_ms, occurred_ms));
                *self.position(InputTopic::Interactions) = Offset(offset.0 + 1);
            }
        }
        Ok(())
    }

    /// Whether the next interaction is not taken until the schema registry has answered.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits_for.is_some()
    }

    /// Takes one input; `None` when it has to be taken again after a commit.
    fn take(
        &mut self,
        input: &Input,
        record: (InputTopic, Offset, &Record),
        (budget, batches): (&mut usize, &mut Batches),
    ) -> Result<Option<Outcome>, Error> {
        let mut effects = Vec::new();
        let before = *budget;
        let processed = take(&self.rules, &mut self.store, input, budget, &mut effects)?;
        self.positions.has_begun =
            processed == Taken::Paused && (self.positions.has_begun || *budget < before);
        if let (InputTopic::Interactions, Taken::Done(_)) = (record.0, processed) {
            self.breaker.took(effects.iter().find_map(Effect::refusal));
        }
        self.alarms.extend(effects.iter().flat_map(Alarm::of));
        records::emit(self.partition, record, &mut effects, batches);
        Ok(match processed {
            Taken::Done(outcome) => Some(outcome),
            Taken::Paused => None,
        })
    }

    /// Whether the batch in hand took anything.
    pub(crate) fn has_moved(&self) -> bool {
        self.positions != self.committed.0
    }

    /// Makes the batch visible once it is committed; `changelog_next` is the end of the changelog
    /// where the batch changed rows.
    pub(crate) fn publish(
        &mut self,
        changelog_next: Option<Offset>,
        metrics: &Metrics,
    ) -> Result<(), Error> {
        metrics.counted(&std::mem::take(&mut self.outcomes));
        metrics.alarmed(self.alarms.drain(..));
        self.tallied.extend(self.store.tallies_changed());
        self.committed = (self.positions, self.rules.clone());
        self.breaker.committed(self.partition);
        self.store.publish(changelog_next, self.positions, &self.rules)
    }

    /// Whether a lead of a tenant whose events come live is due.
    pub(crate) fn is_somebody_due(&mut self, now: AppendTime) -> Result<bool, Error> {
        let now = EventTime(now.0);
        for tenant in self.store.tenants_due(now) {
            if let Some(Row::Clock(clock)) = self.store.load(&Key::Clock(tenant))?
                && clock.live
                && clock.at < now
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tenant's clock here.
    fn clock_at(&mut self, experiment: &ExperimentKey) -> Result<EventTime, Error> {
        let clock =
            self.store.load(&Key::Clock(experiment.tenant.clone()))?.and_then(Row::into_clock);
        Ok(clock.map_or(EventTime(0), |clock| clock.at))
    }

    /// Experiments whose counts were here when the partition was taken over, each once.
    pub(crate) fn take_restored(&mut self) -> Vec<(Partition, ExperimentKey)> {
        std::mem::take(&mut self.restored)
            .into_iter()
            .map(|experiment| (self.partition, experiment))
            .collect()
    }

    /// The report that this partition has of an experiment from another one.
    pub(crate) fn last_report(
        &mut self,
        experiment: &ExperimentKey,
        source: Partition,
    ) -> Result<Option<PartitionReport>, Error> {
        last_report(&mut self.store, experiment, source)
    }

    /// Goes on with the reports of an experiment, of which the newest that is known came to this.
    pub(crate) fn go_on(
        &mut self,
        experiment: ExperimentKey,
        last_report: Option<PartitionReport>,
    ) -> Result<(), Error> {
        let tally = self.tally(&experiment)?;
        if let Some(last_report) = last_report.filter(|last_report| last_report.tally == tally) {
            self.reported_day.insert(experiment, last_report.at.day());
        } else {
            self.tallied.insert(experiment);
        }
        Ok(())
    }

    fn tally(&mut self, experiment: &ExperimentKey) -> Result<Tally, Error> {
        Ok(self
            .store
            .load(&Key::Tally(experiment.clone()))?
            .and_then(Row::into_tally)
            .unwrap_or_default())
    }

    /// Sends counts that changed, or whose day did, to the partitions of their experiments.
    pub(crate) fn report(&mut self, log: &impl Log, batches: &mut Batches) -> Result<(), Error> {
        let mut changed = std::mem::take(&mut self.tallied);
        // On another day more windows have passed, although nothing was counted.
        for (experiment, day) in self.reported_day.clone() {
            let first =
                self.rules.experiment(&experiment.tenant, &experiment.name, experiment.version);
            let meets_minimum_sample = first.is_some_and(|first| first.plan.is_some())
                && !self.rules.is_concluded(&experiment);
            if meets_minimum_sample && self.clock_at(&experiment)?.day() > day {
                changed.insert(experiment);
            }
        }
        for experiment in changed {
            self.reported = Some(Instant::now());
            let at = self.clock_at(&experiment)?;
            self.reported_day.insert(experiment.clone(), at.day());
            let tally = self.tally(&experiment)?;
            let target = home(&experiment, log.partitions());
            put(
                batches,
                target,
                &InboxEntry::PartitionReport { experiment, source: self.partition, at, tally },
                log.now().0,
            );
        }
        Ok(())
    }
}

/// The partition that hears the reports of an experiment.
pub(crate) fn home(experiment: &ExperimentKey, partitions: u32) -> Partition {
    partition_of(format!("{}:{}", experiment.tenant, experiment.name).as_bytes(), partitions)
}
