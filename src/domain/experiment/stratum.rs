//! Sums of the goal over the leads of one kind, and how sums are added and taken back.

use crate::domain::experiment::outcome::Outcome;
use crate::stats::moments::Sums;

/// Sums that can be added and taken back, field by field; a field that the list lacks does not
/// compile. A billion squares of the largest outcome fit; beyond that the sums wrap around, the
/// same in any order.
macro_rules! sums {
    ($($name:ident { $($field:ident),+ })+) => {
        $(impl $name {
            pub(crate) fn merge(&mut self, other: &Self) {
                let Self { $($field),+ } = *other;
                $(self.$field = self.$field.wrapping_add($field);)+
            }

            pub(crate) fn retract(&mut self, other: &Self) {
                let Self { $($field),+ } = *other;
                $(self.$field = self.$field.wrapping_sub($field);)+
            }
        })+
    };
}

pub(crate) use sums;

sums! {
    Stratum { units, nonzero, sum, squares }
}

/// Sums of the goal over the units of one stratum. Merging adds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stratum {
    /// How many.
    pub units: u64,
    /// Those whose outcome is not 0.
    pub nonzero: u64,
    /// Sum of the outcomes, millionths.
    pub sum: i128,
    /// Sum of their squares, millionths of millionths.
    pub squares: i128,
}

impl Stratum {
    /// One unit.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        let value = i128::from(outcome.value);
        Self { units: 1, nonzero: u64::from(value != 0), sum: value, squares: value * value }
    }

    /// The sums as statistics take them.
    #[must_use]
    pub fn sums(&self) -> Sums {
        Sums { n: self.units, sum: self.sum, sum_squares: self.squares }
    }
}
