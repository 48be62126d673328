//! Stops a partition whose newest interactions are mostly dead letters, before more of them are
//! committed.
//!
//! Only when interactions are taken depends on it, never what is decided about them. It is known to
//! the running instance alone: after a restart a partition takes as many interactions as the window
//! holds before it can pause again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::record::reason_word;
use crate::domain::units::Partition;

/// When a partition pauses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerLimit {
    /// Share of dead letters beyond which it does, 0 to 1; 1: never.
    pub ratio_max: f64,
    /// Newest interactions that are looked at, 1 or more.
    pub window: usize,
}

impl Default for BreakerLimit {
    fn default() -> Self {
        Self { ratio_max: 0.5, window: 1_000 }
    }
}

/// Why a partition pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPause {
    /// The partition.
    pub partition: Partition,
    /// Dead letters among the newest interactions.
    pub dead_lettered: usize,
    /// How many interactions that were.
    pub of: usize,
    /// The most frequent reason.
    pub reason: String,
}

impl fmt::Display for PartitionPause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, dead_lettered, of, reason } = self;
        let percent = dead_lettered * 100 / of.max(&1);
        write!(
            out,
            "partition {0} is paused: {percent} % of its newest {of} interactions were \
                dead-lettered, most of them as {reason}; nothing \
             is lost. Look with `leadstream dlq list --reason {reason}` and `leadstream dlq show`, \
             mend the producer, then go on with \
             `leadstream partition resume --partition {0}`",
            partition.0
        )
    }
}

/// Where the worker tells that a partition pauses, and is told to go on.
#[derive(Debug, Default)]
pub struct BreakerSwitch {
    pause: Mutex<Option<PartitionPause>>,
}

impl BreakerSwitch {
    fn lock(&self) -> MutexGuard<'_, Option<PartitionPause>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the partition pauses, if it does.
    #[must_use]
    pub fn pause(&self) -> Option<PartitionPause> {
        self.lock().clone()
    }

    /// Lets it go on; whether it was paused.
    pub fn open(&self) -> bool {
        self.lock().take().is_some()
    }
}

/// The newest interactions of one partition.
pub(crate) struct DeadLetterBreaker {
    limit: BreakerLimit,
    /// Reason where one was dead-lettered, oldest first: those of the window, and behind them those
    /// of the batch in hand.
    newest: VecDeque<Option<Box<str>>>,
    /// How many of `newest` belong to the batch in hand.
    in_hand: usize,
    /// Dead letters in the window.
    dead: usize,
    gate: Arc<BreakerSwitch>,
    /// Whether the gate was told to be shut.
    is_told: bool,
}

impl DeadLetterBreaker {
    pub(crate) fn new(limit: BreakerLimit) -> Self {
        Self {
            limit,
            newest: VecDeque::new(),
            in_hand: 0,
            dead: 0,
            gate: Arc::default(),
            is_told: false,
        }
    }

    pub(crate) fn gate(&self) -> &Arc<BreakerSwitch> {
        &self.gate
    }

    /// Whether another interaction may be taken.
    pub(crate) fn is_open(&self) -> bool {
        self.newest.len() < self.limit.window
            || self.dead as f64 <= self.limit.ratio_max * self.limit.window as f64
    }

    /// An interaction was taken; `reason` is that of its dead letter.
    pub(crate) fn took(&mut self, reason: Option<&str>) {
        self.newest.push_back(reason.map(|reason| reason_word(reason).into()));
        self.in_hand += 1;
        self.dead += usize::from(reason.is_some());
        if let Some(left) = self.newest.len().checked_sub(self.limit.window + 1) {
            self.dead -= usize::from(self.newest[left].is_some());
        }
    }

    /// The batch in hand is dropped.
    pub(crate) fn roll_back(&mut self) {
        self.newest.truncate(self.newest.len() - std::mem::take(&mut self.in_hand));
        self.dead = self.window().filter(|reason| reason.is_some()).count();
    }

    /// The batch in hand is committed: shuts the gate where it was a flood.
    pub(crate) fn committed(&mut self, partition: Partition) {
        self.in_hand = 0;
        self.newest.drain(..self.newest.len().saturating_sub(self.limit.window));
        if !self.is_open() && !self.is_told {
            let pause = PartitionPause {
                partition,
                dead_lettered: self.dead,
                of: self.limit.window,
                reason: self.reason(),
            };
            tracing::error!(partition = partition.0, reason = pause.reason, "{pause}");
            *self.gate.lock() = Some(pause);
            self.is_told = true;
        }
    }

    /// Counts anew where somebody opened the gate.
    pub(crate) fn look(&mut self) {
        if self.is_told && self.gate.pause().is_none() {
            *self = Self { gate: self.gate.clone(), ..Self::new(self.limit) };
        }
    }

    fn window(&self) -> impl Iterator<Item = &Option<Box<str>>> {
        self.newest.iter().rev().take(self.limit.window)
    }

    /// The most frequent reason, the first by name among equals.
    fn reason(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.window().flatten().for_each(|reason| *counts.entry(reason).or_default() += 1);
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map_or_else(String::new, |(reason, _)| reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(window: usize) -> DeadLetterBreaker {
        DeadLetterBreaker::new(BreakerLimit { ratio_max: 0.5, window })
    }

    #[test]
    fn a_partition_pauses_when_more_than_the_share_of_a_full_window_was_dead_lettered() {
        let mut breaker = breaker(4);
        [Some("bad_json: x"), Some("bad_json: y"), None]
            .into_iter()
            .for_each(|reason| breaker.took(reason));
        assert!(breaker.is_open());
        breaker.took(None);
        assert!(breaker.is_open(), "half is not more than half");
        breaker.took(Some("misrouted: z"));
        assert!(breaker.is_open(), "the oldest left the window");
        breaker.took(Some("misrouted: z"));
        breaker.took(Some("misrouted: z"));
        assert!(!breaker.is_open());
        assert_eq!(breaker.gate().pause(), None, "nothing is told before the commit");
        breaker.committed(Partition(3));
        let pause = breaker.gate().pause().unwrap();
        assert_eq!(
            pause,
            PartitionPause {
                partition: Partition(3),
                dead_lettered: 3,
                of: 4,
                reason: "misrouted".into()
            }
        );
        assert!(
            pause.to_string().contains("partition 3 is paused: 75 %")
                && pause.to_string().contains("resume --partition 3")
        );
    }

    #[test]
    fn a_batch_that_is_dropped_does_not_count_and_an_opened_gate_counts_anew() {
        let mut breaker = breaker(2);
        breaker.took(None);
        breaker.took(Some("a"));
        breaker.committed(Partition(0));
        (0..5).for_each(|_| breaker.took(Some("a")));
        assert!(!breaker.is_open());
        breaker.roll_back();
        assert!(breaker.is_open());
        breaker.took(Some("a"));
        breaker.committed(Partition(0));
        breaker.look();
        assert!(!breaker.is_open(), "nobody opened it");
        assert!(breaker.gate().open() && !breaker.gate().open());
        breaker.look();
        assert!(breaker.is_open());
        breaker.took(Some("a"));
        assert!(breaker.is_open());
        breaker.took(Some("b"));
        breaker.committed(Partition(0));
        assert_eq!(breaker.gate().pause().unwrap().reason, "a");
    }
}
