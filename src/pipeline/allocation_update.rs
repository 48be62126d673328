//! New weights of an experiment that goes on: what follows from its counts is written as a version
//! that continues it.

use crate::domain::effect::AllocationUpdate;
use crate::domain::experiment::analysis::allocation::{ArmProbability, arm_probabilities, epochs};
use crate::domain::experiment::analysis::decision::Report;
use crate::domain::experiment::analysis::verdicts::Verdict;
use crate::domain::experiment::plan::{Act, Plan, Setup};
use crate::domain::experiment::{Experiment, ExperimentKey, Metrics};
use crate::domain::rules::Rules;
use crate::domain::units::EventTime;
use crate::pipeline::{EmittedVersion, Key, Row, StateStore};

/// What an experiment is judged by: every version of it that is effective at a time.
pub(crate) fn setup<'a>(
    rules: &'a Rules,
    key: &ExperimentKey,
    at: EventTime,
    (plan, window_hours): (&'a Plan, i64),
) -> Setup<'a> {
    let versions =
        rules.versions(key, at).map(|version| (version.version, version.arms.as_slice())).collect();
    Setup { plan, window_hours, versions }
}

/// The weights that follow from the counts, where they are others than those in force.
///
/// What was written is noted in a row: until it was read again it is not written twice, and never
/// under a version that somebody else took. The weights of an epoch are worked out once.
///
/// # Errors
/// When a row cannot be loaded.
pub(crate) fn reweight<R: StateStore>(
    rules: &Rules,
    rows: &mut R,
    metrics: &Metrics,
) -> Result<Option<AllocationUpdate>, R::Error> {
    let key = &metrics.experiment;
    let in_force = rules.in_force(&key.tenant, metrics.at);
    let newest = in_force.experiments.iter().find(|experiment| experiment.key() == *key);
    let Some((newest, plan)) = newest.and_then(|newest| Some((*newest, newest.plan.as_deref()?)))
    else {
        return Ok(None);
    };
    let Some(report) =
        metrics.report.as_ref().filter(|report| report.decision.verdict == Verdict::Continue)
    else {
        return Ok(None);
    };
    if rules.is_concluded(key) {
        return Ok(None);
    }
    let row = Key::EmittedVersion(key.clone());
    let written = rows.load(&row)?.and_then(Row::into_emitted_version).unwrap_or_default();
    let known = rules.version_max(&key.tenant, &key.name);
    if written.version > known {
        return Ok(None);
    }
    let (arms, reasons, epoch) = weights(rules, metrics, (newest, plan, report), written.epoch);
    let version = if arms == newest.arms { written.version } else { known + 1 };
    if (EmittedVersion { version, epoch }) != written {
        rows.save(row, Some(Row::EmittedVersion(EmittedVersion { version, epoch })));
    }
    let reported = AllocationUpdate {
        experiment: key.clone(),
        source: newest.source.clone(),
        version,
        arms,
        reason: reasons.join("; "),
        at: metrics.at,
    };
    Ok(Some(reported).filter(|reported| reported.arms != newest.arms))
}

/// Arms with their weights, why they change, and the newest epoch that was looked at.
fn weights(
    rules: &Rules,
    metrics: &Metrics,
    (newest, plan, report): (&Experiment, &Plan, &Report),
    looked_at: i64,
) -> (Vec<(String, u32)>, Vec<String>, i64) {
    let (mut arms, mut reasons, mut epoch) = (newest.arms.clone(), Vec::new(), looked_at);
    for dropped in report
        .dropped
        .iter()
        .filter(|dropped| plan.act == Act::Automatic && newest.gives(&dropped.arm))
    {
        arms.iter_mut().filter(|(arm, _)| *arm == dropped.arm).for_each(|(_, weight)| *weight = 0);
        reasons.push(dropped.rule.clone());
    }
    let ended = plan
        .allocation
        .as_ref()
        .map_or(0, |allocation| epochs(allocation, &metrics.tally, metrics.at));
    if ended > looked_at {
        epoch = ended;
        let setup = setup(rules, &metrics.experiment, metrics.at, (plan, newest.window_hours));
        for ArmProbability { arm, best, weight } in
            arm_probabilities(&setup, &metrics.tally, &arms, epoch).unwrap_or_default()
        {
            reasons.push(format!("epoch {epoch}: {arm} is the best with probability {best:.4}"));
            arms.iter_mut().filter(|(own, _)| *own == arm).for_each(|(_, own)| *own = weight);
        }
    }
    (arms, reasons, epoch)
}
