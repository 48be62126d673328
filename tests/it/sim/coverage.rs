//! Which crash points a run really met, and the seeded numbers that lead there.

use std::collections::BTreeMap;
use std::fmt;

/// A crash or event that a commit has to survive, counted when broker, group or disk are in the
/// state that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
    L,
    M,
    N,
    O,
    O2,
    P,
    Q,
    Q2,
    R,
    S,
    T,
    U,
}

impl Point {
    pub const ALL: [(Self, &'static str); 23] = [
        (Self::A, "killed with no transaction open"),
        (Self::B, "killed after some of a transaction's records were written"),
        (Self::C, "killed with offsets pending, before the transaction was ended"),
        (Self::D, "killed with the end of the transaction under way or decided, and no answer"),
        (Self::E, "killed after the commit was acknowledged, before anything was applied"),
        (Self::F, "killed inside a checkpoint"),
        (Self::G, "power lost: what was not flushed is gone"),
        (Self::H, "the state directory damaged or lost"),
        (Self::I, "the state directory stands at an offset that the changelog does not have"),
        (Self::J, "a commit refused because a newer epoch is there"),
        (Self::K, "a commit of which nobody knows whether it happened"),
        (Self::L, "a transaction that has to be aborted: record not taken, generation not current"),
        (Self::M, "partitions given up in time when asked for"),
        (Self::N, "partitions lost with the membership"),
        (Self::O, "stopped past its session inside a transaction, then going on: refused"),
        (Self::O2, "stopped past its session with the commit under way, which then happens"),
        (
            Self::P,
            "killed during a restore while an open transaction holds the changelog's end back",
        ),
        (Self::Q, "taken over with an older prefix of another instance's partition on the disk"),
        (Self::Q2, "taken over with a copy that was kept beside its owner"),
        (Self::R, "a dead letter that is not taken: its transaction is aborted"),
        (Self::S, "the disk is full"),
        (Self::T, "the group's offset is missing beside a changelog"),
        (Self::U, "a commit that the broker would take although a partition has moved"),
    ];
}

/// How often each point was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<Point, u64>,
}

impl Coverage {
    pub fn hit(&mut self, point: Point) {
        *self.counts.entry(point).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (point, count) in &other.counts {
            *self.counts.entry(*point).or_default() += count;
        }
    }

    pub fn count(&self, point: Point) -> u64 {
        self.counts.get(&point).copied().unwrap_or(0)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Point::ALL.into_iter().try_for_each(|(point, what)| {
            let name = format!("{point:?}");
            writeln!(out, "{name:>3} {:>8}  {what}", self.count(point))
        })
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
