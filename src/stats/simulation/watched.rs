//! An experiment that is looked at after every lead.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::distribution::{normal_critical, student_beyond};
use crate::stats::level::{Alpha, Error};
use crate::stats::log_ratio::{CONVERSIONS_MIN, OUTCOMES_MIN, log_ratio};
use crate::stats::moments::{Arms, Moments};
use crate::stats::random::Random;
use crate::stats::simulation::UNITS;
use crate::stats::welch::{self, Effect};

/// The first unit after which the experiment is looked at.
const FIRST_LOOK: u64 = 100;
/// Share of leads that bring any revenue.
const PAYING: f64 = 0.1;
/// Spread of revenue on the log scale: the mean is 1.65 times the median.
const REVENUE_SPREAD: f64 = 1.0;
/// Mean of the score; its deviation is 4.
const SCORE_MEAN: f64 = 10.0;
const SCORE_SD: f64 = 4.0;

/// The metric of a lead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// 1 with a probability, else 0.
    Conversion {
        /// The probability in the control.
        rate: f64,
    },
    /// Normal.
    Score,
    /// 0 for most, log-normal for the others.
    Revenue,
}

impl Metric {
    fn draw(self, random: &mut Random, lift: f64) -> f64 {
        match self {
            Self::Conversion { rate } => f64::from(u8::from(random.chance(rate * (1.0 + lift)))),
            Self::Score => SCORE_MEAN * (1.0 + lift) + SCORE_SD * random.normal(),
            Self::Revenue if random.chance(PAYING) => {
                (1.0 + lift) * random.around(1.0, REVENUE_SPREAD)
            }
            Self::Revenue => 0.0,
        }
    }

    /// Outcomes other than 0 that each arm needs before the sequence may reject.
    fn outcomes_min(self) -> u64 {
        match self {
            Self::Conversion { .. } => CONVERSIONS_MIN,
            Self::Score | Self::Revenue => OUTCOMES_MIN,
        }
    }
}

/// Two arms of one metric, each lead in either with the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watched {
    /// The metric.
    pub metric: Metric,
    /// Effect of the treatment relative to the control.
    pub lift: f64,
}

impl Watched {
    /// Whether the sequence on the log ratio ever rejects, and whether a t-test made for one look
    /// ever does.
    ///
    /// # Errors
    /// As the statistics.
    pub fn run(self, random: &mut Random, level: Alpha) -> Result<[bool; 2], Error> {
        let tuning = Tuning { alpha: level, planned: UNITS as f64 };
        let critical = normal_critical(level.value());
        let mut arms = [Running::default(); 2];
        let (mut sequence, mut fixed) = (false, false);
        for unit in 1..=UNITS {
            let treated = random.chance(0.5);
            let lift = if treated { self.lift } else { 0.0 };
            arms[usize::from(treated)].add(self.metric.draw(random, lift));
            if unit < FIRST_LOOK {
                continue;
            }
            let [control, treatment] = &arms;
            let moments = Arms { control, treatment }.try_map(|arm| arm.moments())?;
            let counted = control.other_than_zero.min(treatment.other_than_zero)
                >= self.metric.outcomes_min();
            sequence = sequence || counted && shows(&moments, unit, tuning)?;
            fixed = fixed || rejects(&moments, critical, level)?;
            if sequence && fixed {
                break;
            }
        }
        Ok([sequence, fixed])
    }
}

/// Sums of one arm; exact for counts.
#[derive(Clone, Copy, Default)]
struct Running {
    n: u64,
    sum: f64,
    sum_squares: f64,
    other_than_zero: u64,
}

impl Running {
    fn add(&mut self, outcome: f64) {
        self.n += 1;
        self.sum += outcome;
        self.sum_squares += outcome * outcome;
        self.other_than_zero += u64::from(outcome != 0.0);
    }

    fn moments(&self) -> Result<Moments, Error> {
        Moments::of_sums(self.n, self.sum, self.sum_squares)
    }
}

/// Whether the interval of the log ratio leaves 0 out.
fn shows(moments: &Arms<Moments>, units: u64, tuning: Tuning) -> Result<bool, Error> {
    let Effect { estimate, standard_error } = log_ratio(moments)?;
    Ok(estimate.abs() > standard_error * half_width(units as f64, tuning)?)
}

/// Whether Welch's test rejects; `critical` is the normal critical value of the level.
fn rejects(moments: &Arms<Moments>, critical: f64, level: Alpha) -> Result<bool, Error> {
    let Effect { estimate, standard_error } = Effect::between(moments);
    let t = estimate / standard_error;
    // Student's critical value is above the normal one, which is quicker to compare with; before
    // any outcome there is no t.
    Ok(t.abs() > critical && student_beyond(t, welch::dof(moments)?) < level.value())
}
