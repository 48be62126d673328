//! An experiment with a covariate of each lead, looked at after every lead, adjusted and not.

use crate::stats::asymptotic::{Tuning, half_width};
use crate::stats::cuped;
use crate::stats::level::{Alpha, Error};
use crate::stats::log_ratio::{CONVERSIONS_MIN, OUTCOMES_MIN, log_ratio};
use crate::stats::moments::{Arms, Moments, PairMoments};
use crate::stats::random::Random;
use crate::stats::simulation::UNITS;
use crate::stats::welch::Effect;

/// The first unit after which the experiment is looked at.
const FIRST_LOOK: u64 = 100;
/// Mean and deviation of the score; the covariate explains half of its variance.
const SCORE_MEAN: f64 = 10.0;
const SCORE_SD: f64 = 4.0;
/// Conversion rates of the two kinds of leads, which are equally frequent.
const RATES: [f64; 2] = [0.02, 0.18];

/// The outcome and its covariate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// A normal score; the covariate explains half of its variance.
    Half,
    /// A conversion; the covariate is its probability.
    Chance,
}

impl Known {
    /// The outcome and the covariate of one lead.
    fn draw(self, random: &mut Random, lift: f64) -> (f64, f64) {
        match self {
            Self::Half => {
                let (known, noise) = (random.normal(), random.normal());
                (SCORE_MEAN * (1.0 + lift) + SCORE_SD * (known + noise) * 0.5_f64.sqrt(), known)
            }
            Self::Chance => {
                let rate = RATES[usize::from(random.chance(0.5))];
                (f64::from(u8::from(random.chance(rate * (1.0 + lift)))), rate)
            }
        }
    }

    /// Outcomes other than 0 that each arm needs before the sequence may reject.
    fn outcomes_min(self) -> u64 {
        match self {
            Self::Half => OUTCOMES_MIN,
            Self::Chance => CONVERSIONS_MIN,
        }
    }
}

/// Two arms, each lead in either with the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjusted {
    /// The outcome and its covariate.
    pub known: Known,
    /// Effect of the treatment relative to the control.
    pub lift: f64,
}

impl Adjusted {
    /// Whether the adjusted sequence ever rejects, and whether the plain one does.
    ///
    /// # Errors
    /// As the statistics.
    pub fn run(self, random: &mut Random, level: Alpha) -> Result<[bool; 2], Error> {
        let tuning = Tuning { alpha: level, planned: UNITS as f64 };
        let (mut arms, mut other_than_zero) = ([Running::default(); 2], [0_u64; 2]);
        let (mut adjusted, mut plain) = (false, false);
        for unit in 1..=UNITS {
            let treated = usize::from(random.chance(0.5));
            let (outcome, known) =
                self.known.draw(random, if treated == 1 { self.lift } else { 0.0 });
            arms[treated].add(outcome, known);
            other_than_zero[treated] += u64::from(outcome != 0.0);
            if unit < FIRST_LOOK
                || other_than_zero.iter().any(|count| *count < self.known.outcomes_min())
            {
                continue;
            }
            let pairs = Arms { control: arms[0], treatment: arms[1] }.try_map(Running::moments)?;
            let width = half_width(unit as f64, tuning)?;
            let leaves_out_0 = |Effect { estimate, standard_error }: Effect| {
                estimate.abs() > standard_error * width
            };
            adjusted = adjusted || leaves_out_0(cuped::log_ratio(&pairs, cuped::theta(&pairs))?);
            plain = plain || leaves_out_0(log_ratio(&pairs.try_map(|pair| Ok(pair.first))?)?);
            if adjusted && plain {
                break;
            }
        }
        Ok([adjusted, plain])
    }
}

/// Sums of one arm.
#[derive(Clone, Copy, Default)]
struct Running {
    n: u64,
    outcomes: [f64; 2],
    known: [f64; 2],
    products: f64,
}

impl Running {
    fn add(&mut self, outcome: f64, known: f64) {
        self.n += 1;
        self.outcomes = [self.outcomes[0] + outcome, self.outcomes[1] + outcome * outcome];
        self.known = [self.known[0] + known, self.known[1] + known * known];
        self.products += outcome * known;
    }

    fn moments(&self) -> Result<PairMoments, Error> {
        let of = |[sum, squares]: [f64; 2]| Moments::of_sums(self.n, sum, squares);
        PairMoments::of_sum_products(of(self.outcomes)?, of(self.known)?, self.products)
    }
}
