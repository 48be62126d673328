//! What an arm would be worth in money, in the tenant's own values, once the recorded costs are
//! taken off.
//!
//! Shown beside the decision and asked by no rule. Costs are taken as they are, so bounds are as
//! wide as those of what the arm earns.

use std::collections::BTreeMap;

use crate::domain::experiment::analysis::decision::Report;
use crate::domain::experiment::analysis::inference::{Bounded, Comparison};
use crate::domain::experiment::plan::Metric;
use crate::domain::experiment::tally::{Counts, Tally};

/// Weeks in a year of 365.25 days.
pub const WEEKS_PER_YEAR: f64 = 365.25 / 7.0;
/// Minor units in one of the currency, as revenue is read.
const MINOR: f64 = 100.0;

/// What it costs to give an arm, minor units of the tenant's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Once, when it is taken over.
    pub once_minor: u64,
    /// For each unit that gets it.
    pub per_unit_minor: u64,
    /// Each week.
    pub per_week_minor: u64,
}

/// Costs by arm; an arm that is not there costs nothing.
pub type Costs = BTreeMap<String, Cost>;

/// What an arm earns more than the control, less what it costs more, if every unit got it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetBenefit {
    /// What it is earned in: conversions or revenue.
    pub metric: Metric,
    /// The arm.
    pub arm: String,
    /// By which conversions are valued: the mean of those in this experiment so far, taken as
    /// exact, minor units. `None` of revenue, and while none had a value.
    pub value_minor: Option<f64>,
    /// What it costs once, minor units.
    pub once_minor: u64,
    /// What it costs a week more than the control at the pace of units, minor units; `None` before
    /// a full day.
    pub cost_weekly_minor: Option<f64>,
    /// Minor units a week, costs a week taken off; `None`: not yet known.
    pub weekly: Option<Bounded>,
}

/// Weeks until a cost that is paid once has come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Payback {
    /// As seen; `None`: never.
    pub estimate: Option<f64>,
    /// By the upper bound; `None`: never.
    pub soonest: Option<f64>,
    /// By the lower bound; `None`: it may be never.
    pub latest: Option<f64>,
}

impl NetBenefit {
    /// Minor units in the first year, what it costs once taken off.
    #[must_use]
    pub fn first_year(&self) -> Option<Bounded> {
        let year = |weekly: f64| weekly * WEEKS_PER_YEAR - self.once_minor as f64;
        self.weekly.map(|reported| reported.map(year))
    }

    /// When it would have paid back; `None`: not yet known.
    #[must_use]
    pub fn payback(&self) -> Option<Payback> {
        let weeks = |weekly: f64| (weekly > 0.0).then(|| self.once_minor as f64 / weekly);
        let Bounded { estimate, interval } = self.weekly?;
        Some(Payback {
            estimate: weeks(estimate),
            soonest: weeks(interval.upper),
            latest: weeks(interval.lower),
        })
    }
}

/// Every arm's worth in money, for each metric that is money or is won; empty where no costs are
/// recorded.
#[must_use]
pub fn net_benefits(
    report: &Report,
    tally: &Tally,
    (control, costs): (&str, &Costs),
) -> Vec<NetBenefit> {
    if costs.is_empty() {
        return Vec::new();
    }
    let value = value_minor(tally.arms.values());
    let reported = report.comparisons.iter().map(|(comparison, _)| comparison);
    let reported = reported
        .filter(|comparison| matches!(comparison.metric, Metric::ConversionRate | Metric::Revenue));
    reported.map(|comparison| net(report, comparison, (control, costs), value)).collect()
}

/// Mean value of what was won so far, in all arms; `None` while nothing with a value was.
fn value_minor<'a>(arms: impl Iterator<Item = &'a Counts>) -> Option<f64> {
    let (won, value) = arms.fold((0_u64, 0_i128), |(won, value), arm| {
        (won + arm.conversions, value + i128::from(arm.revenue_minor))
    });
    (won > 0 && value > 0).then(|| value as f64 / won as f64)
}

fn net(
    report: &Report,
    comparison: &Comparison,
    (control, costs): (&str, &Costs),
    value: Option<f64>,
) -> NetBenefit {
    let cost = |arm: &str| costs.get(arm).copied().unwrap_or_default();
    let (own, other) = (cost(&comparison.arm), cost(control));
    let weekly =
        |cost: Cost, pace: f64| cost.per_unit_minor as f64 * pace + cost.per_week_minor as f64;
    let cost_weekly = report.units_per_week().map(|pace| weekly(own, pace) - weekly(other, pace));
    let is_won = comparison.metric == Metric::ConversionRate;
    let each = if is_won { value } else { Some(MINOR) };
    let earned = report
        .worth(comparison)
        .zip(each)
        .zip(cost_weekly)
        .map(|((worth, each), cost)| worth.map(|worth| worth * each - cost));
    NetBenefit {
        metric: comparison.metric,
        arm: comparison.arm.clone(),
        value_minor: value.filter(|_| is_won),
        once_minor: own.once_minor,
        cost_weekly_minor: cost_weekly,
        weekly: earned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::level::Interval;

    fn net(once_minor: u64, [estimate, lower, upper]: [f64; 3]) -> NetBenefit {
        let weekly = Some(Bounded { estimate, interval: Interval { lower, upper } });
        NetBenefit {
            metric: Metric::Revenue,
            arm: "a".into(),
            value_minor: None,
            once_minor,
            cost_weekly_minor: Some(0.0),
            weekly,
        }
    }

    #[test]
    fn what_is_paid_once_comes_back_as_soon_as_the_weeks_have_earned_it() {
        let reported = net(1_200, [100.0, 40.0, 300.0]).payback().unwrap();
        assert_eq!(
            (reported.estimate, reported.soonest, reported.latest),
            (Some(12.0), Some(4.0), Some(30.0))
        );
        let reported = net(1_200, [100.0, -40.0, 300.0]).payback().unwrap();
        assert_eq!(
            (reported.estimate, reported.latest),
            (Some(12.0), None),
            "by its lower bound it may never come back"
        );
        let reported = net(1_200, [-5.0, -40.0, 0.0]).payback().unwrap();
        assert_eq!((reported.estimate, reported.soonest, reported.latest), (None, None, None));
        let year = net(1_200, [100.0, -40.0, 300.0]).first_year().unwrap();
        assert!(
            (year.estimate - (365.25 / 7.0 * 100.0 - 1_200.0)).abs() < 1e-9
                && year.interval.lower < -1_200.0
        );
    }

    #[test]
    fn a_conversion_is_worth_what_this_tenants_were() {
        let counts =
            |conversions, revenue_minor| Counts { conversions, revenue_minor, ..Counts::default() };
        assert_eq!(value_minor([counts(3, 700), counts(1, 100)].iter()), Some(200.0));
        assert_eq!(value_minor([counts(3, 0)].iter()), None);
        assert_eq!(value_minor([counts(0, 0)].iter()), None);
    }
}
