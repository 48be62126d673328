//! Which strategy a lead is coached with, and its enrollment in experiments.

use std::borrow::Cow;

use crate::domain::effect::Effect;
use crate::domain::event::Interaction;
use crate::domain::experiment::pre_exposure::PreExposureInputs;
use crate::domain::experiment::{
    Enrollment, Experiment, ExperimentKey, Exposure, Unit, Update, is_held_out,
};
use crate::domain::features::Features;
use crate::domain::lead::{Lead, Moment, probabilities};
use crate::domain::rules::InForce;
use crate::domain::scoring::{Score, Target};
use crate::domain::strategy::{self, Choice, Source, Strategy};
use crate::domain::units::DAY_MS;

impl Lead {
    /// The experiment's arm where one applies (kept once given), else the default policy.
    pub(crate) fn choose(
        &self,
        rules: &InForce<'_>,
        moment: &Moment<'_>,
        features: &Features,
        scores: &[Score; 6],
    ) -> Choice {
        let Moment { event, signals, .. } = *moment;
        for experiment in &rules.experiments {
            if let Some(arm) = self.arm(rules, event, experiment, features) {
                let reason = format!("experiment {} gives {arm}", experiment.name);
                return Choice {
                    strategy: Strategy::parse(&arm),
                    source: Source::Experiment { experiment: experiment.name.clone(), arm },
                    reason,
                };
            }
        }
        if let Some((name, reason)) = rules.policy(self.journey.stage) {
            return Choice {
                strategy: Strategy::parse(name),
                source: Source::Policy,
                reason: reason.to_owned(),
            };
        }
        let age_ms = self.activity.first.map_or(0, |first| event.occurred_at.since(first));
        strategy::policy(&strategy::Situation {
            stage: self.journey.stage,
            churn_risk: scores[Target::ChurnRisk.index()].probability,
            buying_urgency: scores[Target::BuyingUrgency.index()].probability,
            appointment_readiness: scores[Target::AppointmentReadiness.index()].probability,
            sentiment: self.conversation.sentiment,
            signals,
            open_objections: &self.conversation.open,
            no_shows: self.appointments.no_shows,
            age_days: age_ms as f64 / DAY_MS as f64,
        })
    }

    /// The arm that the lead has in an experiment, or would be given.
    fn arm(
        &self,
        rules: &InForce<'_>,
        event: &Interaction,
        experiment: &Experiment,
        features: &Features,
    ) -> Option<String> {
        if let Some(enrollment) = self.enrollments.find(&experiment.name, experiment.base_version) {
            return Some(enrollment.arm.clone()).filter(|arm| experiment.gives(arm));
        }
        let unit = self.unit_id(experiment, event);
        let is_meant = !unit.is_empty()
            && experiment.lasts(event.occurred_at)
            && experiment.targets(self.journey.stage, features)
            && self.enrollments.has_room(event.occurred_at, &rules.experiments);
        // Of a team it is leads that are held out: blocks are all its time.
        let held = if experiment.unit == Unit::Team { event.key.lead_id() } else { &unit };
        if !is_meant || is_held_out(event.key.tenant(), held, rules.settings.holdout) {
            return None;
        }
        experiment.assign(&unit).map(|assignment| assignment.arm)
    }

    /// What is assigned as one with this lead: itself, its owner, or the team's block of time;
    /// empty where nobody owns it.
    fn unit_id<'a>(&'a self, experiment: &Experiment, event: &'a Interaction) -> Cow<'a, str> {
        match experiment.unit {
            Unit::Lead => Cow::Borrowed(event.key.lead_id()),
            Unit::Agent => Cow::Borrowed(self.contact.owner.as_deref().unwrap_or("")),
            Unit::Team => {
                let blocks = experiment.plan.as_ref().and_then(|plan| plan.blocks);
                Cow::Owned(blocks.map(|blocks| blocks.block(event.occurred_at)).unwrap_or_default())
            }
        }
    }

    pub(crate) fn expose(
        &mut self,
        rules: &InForce<'_>,
        event: &Interaction,
        (name, arm): (&str, &str),
        (features, scores): (&Features, &[Score; 6]),
    ) -> Vec<Effect> {
        let Some(experiment) = rules.experiments.iter().find(|experiment| experiment.name == name)
        else {
            return Vec::new();
        };
        let unit_id = self.unit_id(experiment, event).into_owned();
        let find = |experiment: &str, base_version: u32| rules.version(experiment, base_version);
        let before = self.enrollments.counted_as(name, &find);
        let first = self.enrollments.find(name, experiment.base_version).is_none();
        if let (true, Some(assignment)) = (first, experiment.assign(&unit_id)) {
            let seen = PreExposureInputs {
                channel: event.channel.as_ref(),
                features,
                probabilities: &probabilities(scores),
                agent: self.contact.owner.as_deref(),
            };
            let before =
                experiment.plan.as_ref().map(|plan| plan.before(&seen)).unwrap_or_default();
            self.enrollments.enroll(
                Enrollment::new(experiment, (&unit_id, assignment), event.occurred_at, before),
                &rules.experiments,
            );
        }
        let Some(enrollment) = self.enrollments.find(name, experiment.base_version) else {
            return Vec::new();
        };
        let newest = enrollment.stretch_told(event.occurred_at);
        let mut exposure = Exposure {
            exposure_id: event.event_id.derive(&format!("exposure/{name}")),
            event_id: event.event_id,
            key: event.key.clone(),
            at: event.occurred_at,
            experiment: name.to_owned(),
            version: enrollment.version,
            unit: experiment.unit,
            // A lead stays in the block in which it came.
            unit_id: enrollment
                .agent
                .clone()
                .filter(|_| experiment.unit == Unit::Team)
                .unwrap_or(unit_id),
            arm: arm.to_owned(),
            bucket: enrollment.bucket,
            propensity: enrollment.propensity,
            config_sha256: rules
                .version(name, enrollment.version)
                .unwrap_or(experiment)
                .config_sha256
                .clone(),
            reason: if first { "assigned" } else { "sticky" }.to_owned(),
            chain: [0; 16],
        };
        self.enrollments.expose(experiment, &mut exposure);
        let mut effects = vec![Effect::Exposure(Box::new(exposure))];
        // An arm that is not the one of an experiment of the same name before takes back what was
        // counted there.
        for (version, mut add) in self.enrollments.counted_as(name, &find) {
            // Also where the lead turns out to have been exposed before.
            add.by_agent.newest =
                add.by_agent.newest.max(newest.filter(|_| version == experiment.base_version));
            let retract = before.get(&version).cloned().unwrap_or_default();
            if retract != add {
                effects.push(Effect::Count(
                    ExperimentKey { version, ..experiment.key() },
                    Box::new(Update { retract, add }),
                ));
            }
        }
        effects
    }
}
