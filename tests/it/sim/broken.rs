//! Ways in which a product over Kafka is wrong: the simulator has to notice each of them.

/// One thing that is done wrongly between the product and the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Offsets are not sent with the transaction.
    NoOffsets,
    /// The end of a changelog is what a committed reader sees.
    StableEnd,
    /// Rows reach the disk before they are committed.
    AppliedEarly,
    /// A restore reads what was aborted.
    AbortedRead,
    /// A worker hears too late that a partition is gone.
    NotOwned,
    /// After a doubt the same producer goes on, without a new epoch.
    SameProducer,
    /// A producer goes on after a commit that may have been sent twice.
    SpentProducer,
    /// A commit without an answer is taken for an aborted one.
    DoubtIsAbort,
    /// A transaction shows no member and no generation.
    Unfenced,
    /// A copy of a partition reads what is not committed.
    CopiedEarly,
}

impl Broken {
    pub const ALL: [Self; 10] = [
        Self::NoOffsets,
        Self::StableEnd,
        Self::AppliedEarly,
        Self::AbortedRead,
        Self::NotOwned,
        Self::SameProducer,
        Self::SpentProducer,
        Self::DoubtIsAbort,
        Self::Unfenced,
        Self::CopiedEarly,
    ];
}
