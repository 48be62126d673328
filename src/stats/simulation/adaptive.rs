//! A bandit with equal arms, and units that are assigned in another ratio than planned.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::bandit;
use crate::stats::counts::Shares;
use crate::stats::level::{Alpha, Error};
use crate::stats::random::Random;
use crate::stats::ranking::{Normal, normal_ranking};
use crate::stats::simulation::UNITS;
use crate::stats::weighted::{Augmented, CONVERSIONS_MIN, Draw, EFFECTIVE_SIZE_MIN};

const ARMS: usize = 5;
/// Conversion rate of every arm.
const RATE: f64 = 0.1;
/// Draws between two changes of the weights.
const EPOCH: u64 = 1_000;
/// Smallest weight of an arm.
const FLOOR: f64 = 0.05;

/// Draws and conversions of one arm.
#[derive(Clone, Copy, Default)]
struct Seen {
    draws: u64,
    conversions: u64,
}

impl Seen {
    /// The posterior from an even prior, as a normal distribution of its mean and deviation.
    fn posterior(&self) -> Normal {
        let (won, lost) =
            (1.0 + self.conversions as f64, 1.0 + (self.draws - self.conversions) as f64);
        let all = won + lost;
        Normal { mean: won / all, sd: (won * lost / (all * all * (all + 1.0))).sqrt() }
    }
}

/// Whether the sequence of any arm against the control ever rejects, while Thompson's weights
/// follow the data.
///
/// # Errors
/// As the statistics.
pub fn bandit(random: &mut Random, level: Alpha) -> Result<bool, Error> {
    let tuning = Tuning { alpha: level.split(ARMS as u32 - 1), planned: UNITS as f64 };
    let mut augmented = Augmented::new(ARMS)?;
    let mut seen = [Seen::default(); ARMS];
    let mut weights = vec![1.0 / ARMS as f64; ARMS];
    for unit in 0..UNITS {
        if unit > 0 && unit % EPOCH == 0 {
            let posteriors = seen.map(|seen| seen.posterior());
            weights = bandit::weights(&normal_ranking(&posteriors)?.best, FLOOR)?;
        }
        let arm = drawn(&weights, random.unit());
        let converted = random.chance(RATE);
        seen[arm].draws += 1;
        seen[arm].conversions += u64::from(converted);
        augmented.observe(Draw { arm, outcome: f64::from(u8::from(converted)) }, &weights)?;
        let width = half_width((unit + 1) as f64, tuning)?;
        let is_counted = |arm: usize| {
            seen[arm].conversions >= CONVERSIONS_MIN
                && augmented.effective_size(arm) >= EFFECTIVE_SIZE_MIN
        };
        if !is_counted(0) {
            continue;
        }
        for other in (1..ARMS).filter(|arm| is_counted(*arm)) {
            let effect = augmented.effect(other)?;
            if effect.estimate.abs() > width * effect.standard_error {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The arm whose part of 0 to 1 contains a number.
fn drawn(weights: &[f64], unit: f64) -> usize {
    let mut reached = 0.0;
    let found = weights.iter().position(|weight| {
        reached += weight;
        unit < reached
    });
    // The weights add up to 1 but for the last digit.
    found.unwrap_or(weights.len() - 1)
}

/// Whether the evidence against an even ratio ever reaches the alarm when the first arm gets this
/// share of the units.
///
/// # Errors
/// As the statistics.
pub fn sample_ratio(share: f64, random: &mut Random, level: Alpha) -> Result<bool, Error> {
    let planned = Shares::planned(&[1.0, 1.0])?;
    let alarm = -libm::log(level.value());
    let mut counts = [0; 2];
    for _ in 0..UNITS {
        counts[usize::from(!random.chance(share))] += 1;
        if planned.log_evidence(&counts)? >= alarm {
            return Ok(true);
        }
    }
    Ok(false)
}
