//! Warnings of slipping away against "idle for N hours" at the same number of alerts.

use serde::Serialize;

use crate::domain::journey::Outcome;
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS};
use crate::learn::backtest::Story;

/// A warning is right when the lead is lost within this time after it.
const HORIZON_MS: i64 = 14 * DAY_MS;
/// A lead that is lost sooner than this cannot be warned of by a daily look.
const AGE_MIN_MS: i64 = DAY_MS;
/// Longest silence tried for the baseline, hours.
const IDLE_HOURS_MAX: i64 = 60 * 24;

/// How one way to warn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Alerts raised for open leads.
    pub alerts: usize,
    /// Share of alerts whose lead was lost within 14 days.
    pub precision: f64,
    /// Share of lost leads that were at least a day old with an alert within the 14 days before.
    pub recall: f64,
}

/// The rule and its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Warnings {
    /// Leads looked at.
    pub leads: usize,
    /// Leads lost when they were at least a day old.
    pub lost: usize,
    /// `slipping_away`.
    pub rule: Quality,
    /// One alert per silence of [`Warnings::idle_hours`].
    pub idle: Quality,
    /// The silence whose number of alerts is nearest to the rule's, hours.
    pub idle_hours: i64,
}

/// Measures both on the same leads; `file_end` is the newest event time of the file.
pub(crate) fn measure(stories: &[&Story], file_end: EventTime) -> Option<Warnings> {
    let lost = stories
        .iter()
        .filter(|story| lost_at(story).is_some_and(|end| end.since(first(story)) >= AGE_MIN_MS))
        .count();
    if lost == 0 {
        return None;
    }
    let rule = quality(stories, lost, &|story| story.warned.clone());
    let after = |hours: i64| quality(stories, lost, &|story| silences(story, hours, file_end));
    // The number of alerts falls with the length of the silence: the first that is not above the
    // rule's, or the one before.
    let (mut low, mut high) = (1, IDLE_HOURS_MAX);
    while low < high {
        let middle = (low + high) / 2;
        if after(middle).alerts > rule.alerts { low = middle + 1 } else { high = middle }
    }
    let distance = |hours: i64| after(hours).alerts.abs_diff(rule.alerts);
    let idle_hours = if low > 1 && distance(low - 1) < distance(low) { low - 1 } else { low };
    Some(Warnings { leads: stories.len(), lost, rule, idle: after(idle_hours), idle_hours })
}

fn first(story: &Story) -> EventTime {
    story.rows.first().map_or_else(EventTime::default, |row| row.at)
}

fn lost_at(story: &Story) -> Option<EventTime> {
    story.end.filter(|(_, outcome)| *outcome == Outcome::Lost).map(|(end, _)| end)
}

fn quality(
    stories: &[&Story],
    lost: usize,
    alerts_of: &dyn Fn(&Story) -> Vec<EventTime>,
) -> Quality {
    let (mut alerts, mut right, mut found) = (0, 0, 0);
    for story in stories {
        let open = |at: &EventTime| story.end.is_none_or(|(end, _)| *at < end);
        let raised: Vec<_> = alerts_of(story).into_iter().filter(open).collect();
        let end = lost_at(story);
        let hits =
            raised.iter().filter(|at| end.is_some_and(|end| end.since(**at) <= HORIZON_MS)).count();
        alerts += raised.len();
        right += hits;
        found +=
            usize::from(hits > 0 && end.is_some_and(|end| end.since(first(story)) >= AGE_MIN_MS));
    }
    Quality {
        alerts,
        precision: right as f64 / alerts.max(1) as f64,
        recall: found as f64 / lost.max(1) as f64,
    }
}

/// When each silence of a lead had lasted so many hours.
fn silences(story: &Story, hours: i64, file_end: EventTime) -> Vec<EventTime> {
    let nexts = story.rows.iter().skip(1).map(|row| row.at).chain([file_end]);
    let alerts =
        story.rows.iter().zip(nexts).map(|(row, next)| (row.at.plus(hours * HOUR_MS), next));
    alerts.filter(|(alert, next)| alert < next).map(|(alert, _)| alert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::backtest::Row;

    fn story(days: &[i64], lost_day: Option<i64>, warned_days: &[i64]) -> Story {
        let at = |day: &i64| EventTime(day * DAY_MS);
        let row = |day| Row {
            at: at(day),
            kind: 0,
            probabilities: [0.0; 6],
            undecided: true,
            inbound: false,
            unanswered: false,
        };
        Story {
            rows: days.iter().map(row).collect(),
            end: lost_day.map(|day| (at(&day), Outcome::Lost)),
            warned: warned_days.iter().map(at).collect(),
        }
    }

    #[test]
    fn alerts_count_as_right_within_two_weeks_before_a_loss_and_volumes_are_made_equal() {
        let stories = [
            story(&[0, 1, 20], Some(20), &[10]), // right
            story(&[0, 30], Some(30), &[1]),     // too early
            story(&[0, 5, 6], None, &[4, 40]),   // never lost: two alerts
            story(&[0, 0], Some(0), &[]),        // lost at once: nobody can warn
            story(&[0, 2, 40], Some(40), &[41]), // after the loss: no alert
        ];
        let stories: Vec<_> = stories.iter().collect();
        let warnings = measure(&stories, EventTime(50 * DAY_MS)).unwrap();
        assert_eq!((warnings.leads, warnings.lost), (5, 3));
        assert_eq!(warnings.rule, Quality { alerts: 4, precision: 0.25, recall: 1.0 / 3.0 });
        // Silences of open leads: 19, 30, 44 and 38 days are longer than 5 days, which is the
        // longest of the rest.
        assert_eq!((warnings.idle.alerts, warnings.idle_hours), (4, 5 * 24));
        // Only that of the first lead, on day 6, comes within two weeks of its loss.
        assert_eq!((warnings.idle.precision, warnings.idle.recall), (0.25, 1.0 / 3.0));
    }
}
