//! An experiment whose goal is looked at within each stage or each agent's leads after every lead,
//! with the level divided among the strata.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::level::{Alpha, Error};
use crate::stats::log_ratio::{CONVERSIONS_MIN, log_ratio};
use crate::stats::moments::{Arms, Moments};
use crate::stats::random::Random;
use crate::stats::simulation::UNITS;

/// The stratum in which the treatment may differ.
const DIFFERS: usize = 4;

/// Two arms, each lead in either with the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segments {
    /// Stages or agents, above [`DIFFERS`], with as many leads in each.
    pub strata: u32,
    /// Rate of the goal.
    pub rate: f64,
    /// Effect of the treatment in one stratum relative to the control.
    pub lift: f64,
}

impl Segments {
    /// Whether an effect is ever reported for a stratum without one, and for the stratum that may
    /// have one.
    ///
    /// # Errors
    /// As the statistics.
    pub fn run(self, random: &mut Random, level: Alpha) -> Result<[bool; 2], Error> {
        let tuning = Tuning {
            alpha: level.split(self.strata),
            planned: UNITS as f64 / f64::from(self.strata),
        };
        let mut strata =
            vec![Arms { control: (0_u64, 0_u64), treatment: (0, 0) }; self.strata as usize];
        let (mut wrong, mut found) = (false, false);
        for _ in 0..UNITS {
            let place = random.below(strata.len());
            let differs = place == DIFFERS && self.lift != 0.0;
            let is_treated = random.chance(0.5);
            let converts = random.chance(if differs && is_treated {
                self.rate * (1.0 + self.lift)
            } else {
                self.rate
            });
            let own = &mut strata[place];
            let arm = if is_treated { &mut own.treatment } else { &mut own.control };
            *arm = (arm.0 + 1, arm.1 + u64::from(converts));
            if own.control.1.min(own.treatment.1) < CONVERSIONS_MIN
                || (if differs { found } else { wrong })
            {
                continue;
            }
            let effect = log_ratio(
                &own.try_map(|(units, sum)| Moments::of_sums(*units, *sum as f64, *sum as f64))?,
            )?;
            let width = half_width((own.control.0 + own.treatment.0) as f64, tuning)?;
            if effect.estimate.abs() > effect.standard_error * width {
                *(if differs { &mut found } else { &mut wrong }) = true;
            }
        }
        Ok([wrong, found])
    }
}
