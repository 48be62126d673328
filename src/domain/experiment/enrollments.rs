//! The places of one lead in experiments: which arm it has, since when, and what it counts there.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::event::Interaction;
use crate::domain::experiment::by_agent::{ByAgent, Period};
use crate::domain::experiment::outcome::{
    Outcome as Goal, OutcomeEvents, OutcomeKind, revenue_minor,
};
use crate::domain::experiment::plan::{Plan, Shape};
use crate::domain::experiment::pre_exposure::PreExposure;
use crate::domain::experiment::stratum::Stratum;
use crate::domain::experiment::tally::{
    Agents, Cell, Cohort, Counts, Covaried, Group, Tally, Update, bucket,
};
use crate::domain::experiment::{Assignment, Experiment, Exposure, Unit};
use crate::domain::hash::murmur3;
use crate::domain::journey::Outcome;
use crate::domain::units::{EventTime, HOUR_MS};

/// Experiments that a lead may be in at once; while all of them run or their windows are open it is
/// let into no other one.
const PLACES_MAX: usize = 8;

/// A lead's place in an experiment, kept so that it stays in its arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrollment {
    /// The experiment.
    pub experiment: String,
    /// Version of the definition that began the experiment.
    pub base_version: u32,
    /// Version of the definition that assigned the arm.
    pub version: u32,
    /// The arm.
    pub arm: String,
    /// See [`Assignment::bucket`].
    pub bucket: u32,
    /// See [`Assignment::propensity`].
    pub propensity: f64,
    /// First exposure.
    pub exposed_at: EventTime,
    /// Outcomes after this no longer count.
    pub until: EventTime,
    /// Uses of the arm's strategy.
    pub exposures: u64,
    /// See [`Exposure::chain`]: that of the newest exposure.
    pub chain: [u8; 16],
    /// The agent, or the block of the team, whose arm the lead got; `None`: its own.
    pub agent: Option<String>,
    /// What was known of the lead when it was first exposed.
    pub before: PreExposure,
}

/// The places of one lead in experiments, and what it did lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrollments {
    /// The places, in the order in which they were entered.
    pub list: Vec<Enrollment>,
    /// What the windows of the places may still count.
    pub outcome_events: OutcomeEvents,
}

/// Finds an experiment by its name and the version that began it.
pub type Find<'a> = &'a dyn Fn(&str, u32) -> Option<&'a Experiment>;

impl Enrollments {
    /// Counts what an event brings to the experiments this lead was exposed to. `newest` is the
    /// lead's newest event time before it.
    pub fn outcomes(
        &mut self,
        (event, outcome): (&Interaction, Option<Outcome>),
        newest: EventTime,
        lateness_ms: i64,
        find: Find<'_>,
    ) -> Vec<(String, u32, Update)> {
        let open = |enrollment: &Enrollment| newest.since(enrollment.until) <= lateness_ms;
        let count = |enrollments: &Self| -> Vec<Option<Tally>> {
            enrollments
                .list
                .iter()
                .map(|enrollment| open(enrollment).then(|| enrollments.counted(enrollment, find)))
                .collect()
        };
        let before = count(self);
        let agent = event.agent_id.as_deref();
        let handed = self
            .list
            .iter()
            .filter(|enrollment| agent.is_some_and(|agent| enrollment.is_other(agent, find)));
        self.outcome_events.keep(event, outcome, handed.map(Enrollment::number));
        let after = count(self);
        let newest = newest.max(event.occurred_at);
        // A message may still come late and turn out to be the first exposure.
        let list = &self.list;
        self.outcome_events.forget(|at| {
            let in_window = |enrollment: &Enrollment| {
                newest.since(enrollment.until) <= lateness_ms
                    && at >= enrollment.exposed_at
                    && at <= enrollment.until
            };
            newest.since(at) <= lateness_ms || list.iter().any(in_window)
        });
        let changes = self.list.iter().zip(before.into_iter().zip(after));
        let changed = changes.filter_map(|(enrollment, (before, after))| {
            let (retract, add) = (before?, after?);
            (retract != add).then(|| {
                (enrollment.experiment.clone(), enrollment.base_version, Update { retract, add })
            })
        });
        changed.collect()
    }

    /// The place in an experiment.
    #[must_use]
    pub fn find(&self, experiment: &str, base_version: u32) -> Option<&Enrollment> {
        self.list.iter().find(|enrollment| {
            enrollment.experiment == experiment && enrollment.base_version == base_version
        })
    }

    /// Whether the lead may be let into another experiment at a time, while these give arms.
    #[must_use]
    pub fn has_room(&self, at: EventTime, giving: &[&Experiment]) -> bool {
        self.list.len() < PLACES_MAX || self.over(at, giving).is_some()
    }

    /// A place that may be forgotten. That of an experiment which still gives arms stays: entered
    /// again, perhaps after a change of weights, the lead would be a second unit. So does one that
    /// crosses another.
    fn over(&self, at: EventTime, giving: &[&Experiment]) -> Option<usize> {
        let gives =
            |enrollment: &Enrollment| giving.iter().any(|experiment| enrollment.is_of(experiment));
        self.list.iter().position(|enrollment| {
            at > enrollment.until && !gives(enrollment) && !self.meets_another(enrollment)
        })
    }

    /// Notes the first exposure to an arm; without room for it nothing is noted.
    pub fn enroll(&mut self, enrollment: Enrollment, giving: &[&Experiment]) {
        if self.list.len() >= PLACES_MAX {
            let Some(over) = self.over(enrollment.exposed_at, giving) else { return };
            self.list.remove(over);
        }
        self.list.push(enrollment);
    }

    /// Counts a use of the arm's strategy and seals its record; the first use by time begins the
    /// window.
    pub fn expose(&mut self, experiment: &Experiment, exposure: &mut Exposure) {
        if let Some(enrollment) =
            self.list.iter_mut().find(|enrollment| enrollment.is_of(experiment))
        {
            if exposure.at < enrollment.exposed_at {
                enrollment.until = enrollment.until.plus(exposure.at.since(enrollment.exposed_at));
                enrollment.exposed_at = exposure.at;
            }
            enrollment.exposures += 1;
            enrollment.chain = exposure.sealed(enrollment.chain);
            exposure.chain = enrollment.chain;
        }
    }

    /// What this unit comes to now in every experiment of a name, by the version that began it.
    #[must_use]
    pub fn counted_as(&self, experiment: &str, find: Find<'_>) -> BTreeMap<u32, Tally> {
        let own = self.list.iter().filter(|enrollment| enrollment.experiment == experiment);
        own.map(|enrollment| (enrollment.base_version, self.counted(enrollment, find))).collect()
    }

    fn counted(&self, enrollment: &Enrollment, find: Find<'_>) -> Tally {
        let plan = find(&enrollment.experiment, enrollment.base_version)
            .and_then(|experiment| experiment.plan.as_deref());
        let is_crossed = self.is_crossed(enrollment);
        if is_crossed || plan.is_some_and(|plan| enrollment.is_washed_out(plan)) {
            let counts = Counts { exposures: enrollment.exposures, ..Counts::default() };
            return Tally {
                multi_exposed: u64::from(is_crossed),
                by_agent: enrollment.by_agent(None),
                ..Tally::of(&enrollment.arm, counts)
            };
        }
        enrollment.counted(&self.outcome_events, plan)
    }

    /// Whether the unit was in another arm within its window: an experiment of this name began anew
    /// and gave it that, or an agent of that arm had the lead.
    fn is_crossed(&self, enrollment: &Enrollment) -> bool {
        let number = enrollment.number();
        self.meets_another(enrollment)
            || self
                .outcome_events
                .within(enrollment.exposed_at, enrollment.hours())
                .any(|kind| kind == OutcomeKind::Handed(number))
    }

    fn meets_another(&self, enrollment: &Enrollment) -> bool {
        let differs = |other: &Enrollment| {
            other.experiment == enrollment.experiment && other.arm != enrollment.arm
        };
        let meets = |other: &Enrollment| {
            other.exposed_at <= enrollment.until && enrollment.exposed_at <= other.until
        };
        self.list.iter().any(|other| differs(other) && meets(other))
    }
}

impl Enrollment {
    /// A place that a lead entered at a time, with the arm of a unit.
    #[must_use]
    pub fn new(
        experiment: &Experiment,
        (unit, assignment): (&str, Assignment),
        at: EventTime,
        before: PreExposure,
    ) -> Self {
        Self {
            experiment: experiment.name.clone(),
            base_version: experiment.base_version,
            version: experiment.version,
            arm: assignment.arm,
            bucket: assignment.bucket,
            propensity: assignment.propensity,
            exposed_at: at,
            until: at.plus(experiment.window_hours.saturating_mul(HOUR_MS)),
            exposures: 0,
            chain: [0; 16],
            agent: (experiment.unit != Unit::Lead).then(|| unit.to_owned()),
            before,
        }
    }

    /// Tells experiments apart in the marks of one lead.
    #[must_use]
    pub fn number(&self) -> u32 {
        murmur3(self.experiment.as_bytes(), self.base_version)
    }

    fn is_of(&self, experiment: &Experiment) -> bool {
        self.experiment == experiment.name && self.base_version == experiment.base_version
    }

    /// Whether an agent's own arm is another one. The weights of agents never change, so any
    /// version says it.
    fn is_other(&self, agent: &str, find: Find<'_>) -> bool {
        let experiment = find(&self.experiment, self.base_version)
            .filter(|experiment| experiment.unit == Unit::Agent);
        experiment
            .and_then(|experiment| experiment.arm_of(agent))
            .is_some_and(|own| own.arm != self.arm)
    }

    /// Whether the lead came in while its block still showed what the block before did, or turned
    /// out to have come in another one.
    fn is_washed_out(&self, plan: &Plan) -> bool {
        let block = plan.blocks.zip(self.agent.as_deref());
        block.is_some_and(|(blocks, own)| !blocks.counts(own, self.exposed_at))
    }

    fn hours(&self) -> i64 {
        self.until.since(self.exposed_at) / HOUR_MS
    }

    /// The number of the stretch in which an exposure is; `None` where the lead counts for no
    /// agent.
    #[must_use]
    pub fn stretch_told(&self, at: EventTime) -> Option<i64> {
        self.before.agent.as_ref().map(|_| self.stretch(at).number)
    }

    fn stretch(&self, at: EventTime) -> Period {
        Period::of(at, self.version, self.hours())
    }

    /// What the lead counts for its agent. Of one that does not count it stays known that its agent
    /// had one: otherwise how many agents there were would depend on what was heard first.
    fn by_agent(&self, goal: Option<Goal>) -> ByAgent {
        let lead = goal.map(|goal| (self.arm.as_str(), Stratum::of(goal)));
        self.before.agent.as_ref().map_or_else(ByAgent::default, |agent| {
            ByAgent::of(agent, self.stretch(self.exposed_at), lead)
        })
    }

    /// What this unit comes to now.
    #[must_use]
    pub fn counted(&self, outcome_events: &OutcomeEvents, plan: Option<&Plan>) -> Tally {
        let kind = || outcome_events.within(self.exposed_at, self.hours());
        let has = |is: fn(&OutcomeKind) -> bool| u64::from(kind().any(|kind| is(&kind)));
        let mut tally = Tally::of(
            &self.arm,
            Counts {
                exposed_units: 1,
                exposures: self.exposures,
                replies: kind().filter(|kind| *kind == OutcomeKind::Received).count() as u64,
                appointments: has(|kind| *kind == OutcomeKind::Appointment),
                conversions: has(|kind| matches!(kind, OutcomeKind::Won(_))),
                losses: has(|kind| *kind == OutcomeKind::Lost),
                revenue_minor: revenue_minor(kind()),
            },
        );
        if let Some(plan) = plan {
            let outcomes: Vec<_> = plan
                .measures
                .iter()
                .map(|measure| outcome_events.outcome(self.exposed_at, measure))
                .collect();
            let cells = outcomes.iter().copied().map(Cell::of).collect();
            let goal = outcomes.first().copied().unwrap_or_default();
            let covaried = self
                .before
                .covariate
                .map(|covariate| Covaried::of(covariate, goal))
                .unwrap_or_default();
            let cohort = Cohort { day: self.exposed_at.day(), version: self.version };
            let timed =
                plan.measures.iter().filter(|measure| measure.metric.shape() == Shape::Median);
            let waits = timed
                .map(|measure| {
                    (bucket(outcome_events.wait_ms(self.exposed_at, measure.window_hours)), 1)
                })
                .collect();
            let strata = self
                .before
                .stratum
                .map(|stratum| (stratum, Stratum::of(goal)))
                .into_iter()
                .collect();
            let group = Group { units: 1, cells, waits, covaried, strata };
            if let Some(agent) = &self.agent {
                tally.agents = Agents::of(&self.arm, agent, group.clone());
            }
            tally.by_agent = self.by_agent(Some(goal));
            tally.cohorts.insert(cohort, Arc::new(BTreeMap::from([(self.arm.clone(), group)])));
        }
        tally
    }
}

impl Exposure {
    /// SHA-256 over the seal of the unit's exposure before and every field of this one, its first
    /// 16 bytes.
    #[must_use]
    pub fn sealed(&self, before: [u8; 16]) -> [u8; 16] {
        let mut digest = Sha256::new();
        digest.update(before);
        let numbers = [
            i64::from(self.version),
            i64::from(self.bucket),
            self.propensity.to_bits().cast_signed(),
            self.at.0,
        ];
        numbers.iter().for_each(|number| digest.update(number.to_le_bytes()));
        digest.update(self.exposure_id.0);
        digest.update(self.event_id.0);
        let texts = [
            self.key.as_str(),
            &self.experiment,
            self.unit.as_str(),
            &self.unit_id,
            &self.arm,
            &self.config_sha256,
            &self.reason,
        ];
        for text in texts {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        }
        let mut seal = [0; 16];
        seal.copy_from_slice(&digest.finalize()[..16]);
        seal
    }
}
