//! Whether an experiment can answer its question in time, and what it would need otherwise.
//!
//! Leads are watched by the sequence on the log ratio, agents are compared once, by CR2. Leads of
//! one agent resemble each other, so waiting longer helps agents less and less: with few of them no
//! time is enough.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::distribution::{normal_critical, student_upper_quantile};
use crate::stats::level::{
    Alpha, Error, at_least, finite, fraction, not_negative, open_fraction, positive,
};
use crate::stats::log_ratio::{CONVERSIONS_MIN, OUTCOMES_MIN};
use crate::stats::power::{Change, Clustering, beyond};

/// Fewest agents that are compared at all: two in each arm.
const AGENTS_MIN: u64 = 4;
/// Largest number of agents and largest lift in the search for a feasible design.
const AGENTS_MAX: u64 = 1 << 20;
const LIFT_MAX: f64 = 10.0;

/// The goal's distribution without the experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The share of leads that do something, above 0 and below 1.
    Share(f64),
    /// A number of each lead, such as its revenue: mean above 0 and standard deviation, over all
    /// leads.
    Mean {
        /// The mean.
        mean: f64,
        /// The standard deviation, the same in both arms.
        sd: f64,
    },
}

/// The change to be detected, and the level of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// What is measured.
    pub metric: Metric,
    /// Effect relative to it, as a fraction.
    pub lift: f64,
    /// Two-sided level.
    pub alpha: Alpha,
}

impl Goal {
    fn change(&self) -> Result<Change, Error> {
        match self.metric {
            Metric::Share(baseline) => Change::of_proportions(baseline, self.lift),
            Metric::Mean { mean, sd } => {
                let difference = positive("the mean", mean)? * finite("the lift", self.lift)?;
                positive("the mean of the treatment", mean + difference)?;
                positive("the difference of the means", difference.abs())?;
                let sd = positive("the deviation", sd)?;
                Ok(Change { difference, variance: 2.0 * sd * sd })
            }
        }
    }

    /// Leads of an arm that bring the outcomes other than 0 which bounds wait for. Of a mean the
    /// share of leads that have one is at least
    /// `mean^2 / (mean^2 + sd^2)` (Cauchy and Schwarz), so that there may be more.
    fn waiting(&self) -> f64 {
        let least = 1.0_f64.min(1.0 + self.lift);
        match self.metric {
            Metric::Share(baseline) => CONVERSIONS_MIN as f64 / (baseline * least),
            Metric::Mean { mean, sd } => {
                OUTCOMES_MIN as f64 * (1.0 + sd * sd / (mean * mean * least * least))
            }
        }
    }

    /// The largest lift in the search.
    fn lift_max(&self) -> f64 {
        match self.metric {
            Metric::Share(baseline) => LIFT_MAX.min((1.0 - 1e-9) / baseline - 1.0),
            Metric::Mean { .. } => LIFT_MAX,
        }
    }
}

/// Agents that get an arm with all their leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agents {
    /// Number of agents in both arms.
    pub count: u64,
    /// Share of the variance of the outcome that lies between agents, 0 to 1.
    pub intraclass_correlation: f64,
    /// Standard deviation of leads per agent over its mean.
    pub size_variation: f64,
}

/// A proposed experiment with two equal arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The goal.
    pub goal: Goal,
    /// Wanted probability of finding the lift, above 0 and below 1.
    pub power: f64,
    /// New leads per week, in both arms.
    pub leads_per_week: f64,
    /// Maximum duration, weeks.
    pub weeks_max: f64,
    /// `None` when each lead has an arm of its own.
    pub agents: Option<Agents>,
}

/// The requirements of a plan and its power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    /// Independent leads per arm for a test at one look, rounded up.
    pub leads_per_arm_once: u64,
    /// Leads per arm for the comparison of this plan; `None` when no number is enough.
    pub leads_per_arm: Option<u64>,
    /// Weeks until that many leads have arrived; `None` when no time is enough.
    pub weeks: Option<f64>,
    /// Probability of finding the lift within the maximum duration.
    pub power_in_time: f64,
    /// The smallest lift that is found with the wanted power in that time; `None` when even tenfold
    /// is not.
    pub lift_in_time: Option<f64>,
    /// Agents needed to finish within that time, each with as many leads a week as now; `None` when
    /// leads are assigned, or when a million agents are too few.
    pub agents_needed: Option<u64>,
    /// Whether the experiment finishes within the maximum duration.
    pub is_feasible: bool,
}

impl Plan {
    /// Computes the design.
    ///
    /// # Errors
    /// When a number is outside of its range.
    pub fn design(&self) -> Result<Design, Error> {
        self.check()?;
        let weeks = self.weeks()?;
        let once =
            self.goal.change()?.units(normal_critical(self.goal.alpha.value()), self.power)?.ceil()
                as u64;
        Ok(Design {
            leads_per_arm_once: once,
            leads_per_arm: weeks.map(|weeks| (weeks * self.leads_per_week / 2.0).ceil() as u64),
            weeks,
            power_in_time: self.power_in_time()?,
            lift_in_time: self.lift_in_time()?,
            agents_needed: self.agents_needed()?,
            is_feasible: self.is_in_time()?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        open_fraction("the power", self.power)?;
        positive("the leads per week", self.leads_per_week)?;
        positive("the weeks", self.weeks_max)?;
        let Some(agents) = self.agents else { return Ok(()) };
        at_least("agents", agents.count, AGENTS_MIN)?;
        fraction("the intraclass correlation", agents.intraclass_correlation)?;
        not_negative("the variation of cluster sizes", agents.size_variation).map(|_| ())
    }

    /// Standard errors from the estimate to the bound of its interval.
    fn critical(&self) -> Result<f64, Error> {
        let alpha = self.goal.alpha;
        match self.agents {
            // At the planned number the width in standard errors does not depend on that number.
            None => half_width(1.0, Tuning { alpha, planned: 1.0 }),
            Some(agents) => {
                Ok(student_upper_quantile(0.5 * alpha.value(), agents.count as f64 - 2.0))
            }
        }
    }

    /// Independent leads per arm: for the power, and for the outcomes that bounds wait for.
    fn independent(&self) -> Result<f64, Error> {
        Ok(self.goal.change()?.units(self.critical()?, self.power)?.max(self.goal.waiting()))
    }

    /// Weeks until the leads are worth as many independent ones as the plan needs.
    fn weeks(&self) -> Result<Option<f64>, Error> {
        let needed = self.independent()?;
        let per_arm = 0.5 * self.leads_per_week;
        let Some(agents) = self.agents else { return Ok(Some(needed / per_arm)) };
        let icc = agents.intraclass_correlation;
        // n = needed (1 - icc + (1 + cv^2) icc m) for n leads of an arm, of which each agent has m:
        // linear in the weeks.
        let gained =
            per_arm - needed * spread(agents) * icc * self.leads_per_week / agents.count as f64;
        Ok((gained > 0.0).then(|| needed * (1.0 - icc).max(0.0) / gained))
    }

    fn is_in_time(&self) -> Result<bool, Error> {
        // An agent without a lead is none, so at least one each.
        let each = |agents: Agents| self.leads_per_week * self.weeks_max >= agents.count as f64;
        Ok(self.agents.is_none_or(each)
            && self.weeks()?.is_some_and(|weeks| weeks <= self.weeks_max))
    }

    fn power_in_time(&self) -> Result<f64, Error> {
        let leads = 0.5 * self.leads_per_week * self.weeks_max;
        let worth = match self.agents {
            None => leads,
            Some(agents) => {
                let size_mean = (2.0 * leads / agents.count as f64).max(1.0);
                let (intraclass_correlation, size_variation) =
                    (agents.intraclass_correlation, agents.size_variation);
                leads
                    / Clustering { intraclass_correlation, size_mean, size_variation }
                        .design_effect()?
            }
        };
        Ok(beyond(self.goal.change()?.z(worth)?, self.critical()?))
    }

    fn lift_in_time(&self) -> Result<Option<f64>, Error> {
        let in_time = |lift: f64| {
            Self { goal: Goal { lift, ..self.goal }, ..*self }.is_in_time().unwrap_or(false)
        };
        let highest = self.goal.lift_max();
        if !in_time(highest) {
            return Ok(None);
        }
        let (mut low, mut high) = (0.0, highest);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if in_time(middle) { high = middle } else { low = middle }
        }
        Ok(Some(high))
    }

    fn agents_needed(&self) -> Result<Option<u64>, Error> {
        let Some(agents) = self.agents else { return Ok(None) };
        let per_agent = self.leads_per_week / agents.count as f64;
        let enough = |count: u64| {
            let agents = Some(Agents { count, ..agents });
            Self { agents, leads_per_week: per_agent * count as f64, ..*self }
                .is_in_time()
                .unwrap_or(false)
        };
        let mut high = AGENTS_MIN;
        while !enough(high) {
            high *= 2;
            if high > AGENTS_MAX {
                return Ok(None);
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if enough(middle) { high = middle } else { low = middle }
        }
        // As many in each arm.
        Ok(Some(high.max(AGENTS_MIN).next_multiple_of(2)))
    }
}

/// The factor by which unequal numbers of leads raise the design effect.
fn spread(agents: Agents) -> f64 {
    1.0 + agents.size_variation * agents.size_variation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(baseline: f64, lift: f64, leads_per_week: f64) -> Plan {
        of(Metric::Share(baseline), lift, leads_per_week)
    }

    fn of(metric: Metric, lift: f64, leads_per_week: f64) -> Plan {
        let goal = Goal { metric, lift, alpha: Alpha::new(0.05).unwrap() };
        Plan { goal, power: 0.8, leads_per_week, weeks_max: 26.0, agents: None }
    }

    fn agents(count: u64, intraclass_correlation: f64) -> Option<Agents> {
        Some(Agents { count, intraclass_correlation, size_variation: 0.3 })
    }

    #[test]
    fn a_small_office_cannot_prove_a_tenth_more_sales_but_may_see_more_replies() {
        let sales = plan(0.02, 0.1, 40.0).design().unwrap();
        assert!(
            !sales.is_feasible && sales.weeks.unwrap() > 5_000.0 && sales.power_in_time < 0.05,
            "{sales:?}"
        );
        let replies = plan(0.4, 0.3, 40.0).design().unwrap();
        assert!(replies.is_feasible && replies.power_in_time > 0.8, "{replies:?}");
        assert!(replies.lift_in_time.unwrap() < 0.3, "{replies:?}");
        assert_eq!(sales.lift_in_time, None, "520 leads per arm bring no 30 sales");
    }

    #[test]
    fn the_time_it_takes_gives_the_power_asked_for() {
        for agents in [None, agents(200, 0.02)] {
            let plan = Plan { agents, ..plan(0.1, 0.3, 200.0) };
            let weeks = plan.design().unwrap().weeks.unwrap();
            let there = Plan { weeks_max: weeks, ..plan }.design().unwrap();
            assert!((there.power_in_time - 0.8).abs() < 1e-3, "{there:?}");
            assert!((there.lift_in_time.unwrap() - 0.3).abs() < 1e-3, "{there:?}");
        }
    }

    #[test]
    fn with_few_agents_no_time_is_enough_and_what_is_needed_is_enough() {
        let few = Plan { agents: agents(8, 0.1), ..plan(0.1, 0.3, 100.0) };
        let design = few.design().unwrap();
        assert_eq!((design.weeks, design.leads_per_arm, design.is_feasible), (None, None, false));
        let needed = design.agents_needed.unwrap();
        let per_agent = 100.0 / 8.0;
        let of = |count: u64| {
            Plan { agents: agents(count, 0.1), leads_per_week: per_agent * count as f64, ..few }
                .design()
                .unwrap()
        };
        assert!(
            needed > 8
                && needed.is_multiple_of(2)
                && of(needed).is_feasible
                && !of(needed - 2).is_feasible,
            "{needed}"
        );
    }

    #[test]
    fn agents_that_do_not_differ_are_compared_once_as_their_leads_would_be() {
        let alike = Plan {
            agents: Some(Agents { count: 1_000, intraclass_correlation: 0.0, size_variation: 0.0 }),
            ..plan(0.1, 0.2, 2_000.0)
        };
        let design = alike.design().unwrap();
        let (clustered, once) =
            (design.leads_per_arm.unwrap() as f64, design.leads_per_arm_once as f64);
        assert!((clustered / once - 1.0).abs() < 0.01, "{design:?}");
        let watched = plan(0.1, 0.2, 2_000.0).design().unwrap();
        assert!(watched.leads_per_arm.unwrap() as f64 > 1.5 * once);
    }

    #[test]
    fn rare_conversions_are_waited_for_however_large_the_lift() {
        // A lift of nine needs few leads, but 30 conversions of the control at .01 need 3,000.
        assert_eq!(plan(0.01, 9.0, 100.0).design().unwrap().leads_per_arm, Some(3_000));
    }

    #[test]
    fn a_mean_is_planned_by_its_deviation() {
        let score = Metric::Mean { mean: 2.0, sd: 1.0 };
        // (1.96 + 0.84)^2 * 2 sd^2 / difference^2 leads per arm, at one look.
        let once = of(score, 0.1, 100.0).design().unwrap().leads_per_arm_once;
        assert_eq!(once, 393);
        // Twice the deviation needs four times the leads, watched or by agent.
        for agents in [None, agents(2_000, 0.0)] {
            let weeks = |sd: f64| {
                Plan { agents, ..of(Metric::Mean { mean: 2.0, sd }, 0.1, 100.0) }
                    .design()
                    .unwrap()
                    .weeks
                    .unwrap()
            };
            assert!((weeks(2.0) / weeks(1.0) - 4.0).abs() < 1e-9);
        }
        let watched = of(score, 0.1, 100.0);
        let there = Plan { weeks_max: watched.design().unwrap().weeks.unwrap(), ..watched }
            .design()
            .unwrap();
        assert!(
            (there.power_in_time - 0.8).abs() < 1e-3
                && (there.lift_in_time.unwrap() - 0.1).abs() < 1e-3,
            "{there:?}"
        );
        // A share is a mean with the deviation of a share, as far as the lift leaves that alone.
        let share = plan(0.3, 0.01, 1e6).design().unwrap().leads_per_arm.unwrap() as f64;
        let mean = of(Metric::Mean { mean: 0.3, sd: 0.21_f64.sqrt() }, 0.01, 1e6)
            .design()
            .unwrap()
            .leads_per_arm
            .unwrap() as f64;
        assert!((share / mean - 1.0).abs() < 0.01, "{share} {mean}");
    }

    #[test]
    fn outcomes_other_than_0_are_waited_for_however_large_the_lift() {
        // One lead in fifty brings 10,000: a mean of 200 and a deviation of 1,400. A hundred of
        // them need 5,000 leads of the control.
        let revenue = Metric::Mean { mean: 200.0, sd: 1_400.0 };
        assert_eq!(of(revenue, 9.0, 100.0).design().unwrap().leads_per_arm, Some(5_000));
        assert!(of(revenue, 0.1, 100.0).design().unwrap().leads_per_arm.unwrap() > 5_000);
    }

    #[test]
    fn numbers_outside_of_their_range_are_refused() {
        for (mean, sd, lift) in [
            (0.0, 1.0, 0.1),
            (-1.0, 1.0, 0.1),
            (1.0, 0.0, 0.1),
            (1.0, f64::NAN, 0.1),
            (1.0, 1.0, 0.0),
            (1.0, 1.0, -1.0),
        ] {
            assert!(
                of(Metric::Mean { mean, sd }, lift, 40.0).design().is_err(),
                "{mean} {sd} {lift}"
            );
        }
        for wrong in [
            plan(0.0, 0.1, 40.0),
            plan(0.5, 1.5, 40.0),
            plan(0.1, 0.0, 40.0),
            plan(0.1, 0.1, 0.0),
            plan(f64::NAN, 0.1, 40.0),
        ] {
            assert!(wrong.design().is_err(), "{wrong:?}");
        }
        assert!(
            Plan { power: 1.0, ..plan(0.1, 0.1, 40.0) }.design().is_err()
                && Plan { weeks_max: f64::NAN, ..plan(0.1, 0.1, 4.0) }.design().is_err()
        );
        assert!(Plan { agents: agents(3, 0.1), ..plan(0.1, 0.1, 40.0) }.design().is_err());
        assert!(Plan { agents: agents(8, 1.1), ..plan(0.1, 0.1, 40.0) }.design().is_err());
    }
}
