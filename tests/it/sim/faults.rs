//! What may happen at each step of the way to the broker, and which of it a seed chooses.

use crate::sim::coverage::Random;
use crate::sim::producer::RESENT_MS;
use leadstream::log::kafka::TransactionErrorKind;

/// A step at which something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Turn,
    Init,
    Produce,
    DeadLetter,
    Offsets,
    Commit,
    Abort,
    Read,
    Committed,
    Append,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    CrashBefore,
    CrashAfter,
    /// The request has its effect so many milliseconds later, and the process is gone.
    CrashAndLate(u64),
    /// No effect.
    Refuse(TransactionErrorKind),
    /// The effect without its answer.
    Lose(TransactionErrorKind),
    /// An answer before the effect.
    Late(TransactionErrorKind, u64),
    /// The effect, and once more so many milliseconds later: it was sent again while the first was
    /// still under way.
    Repeated(u64),
    /// The thread takes so long before the call, milliseconds; the others of its process go on.
    Slow(u64),
    /// The same, and the group has removed the member before.
    Kick(u64),
    /// The whole process stands still before the call.
    Stop(u64),
    /// The whole process stands still after the request has left, which takes so long.
    StopAndLate(u64),
}

/// A fault at the n-th such call of a run.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub call: Call,
    pub after: u64,
    pub fault: Fault,
    /// Counted only while an open transaction holds back the end of a changelog.
    pub while_pinned: bool,
}

/// A few of the faults that there are, each at some call of its kind.
pub fn plan(random: &mut Random) -> Vec<Planned> {
    use Call::{Abort, Append, Commit, Committed, DeadLetter, Init, Offsets, Produce, Read, Turn};
    use Fault::{
        CrashAfter, CrashAndLate, CrashBefore, Kick, Late, Lose, Refuse, Repeated, Slow, Stop,
        StopAndLate,
    };
    let ms = random.below(3_000);
    let faults = [
        (Turn, 60, CrashAfter),
        (Produce, 80, CrashBefore),
        (Produce, 80, CrashAfter),
        (Produce, 80, Refuse(TransactionErrorKind::Abort)),
        (Produce, 80, Refuse(TransactionErrorKind::Fatal)),
        (Produce, 80, Lose(TransactionErrorKind::Abort)),
        (Produce, 80, Kick(1_500)),
        (Produce, 80, Kick(1_500)),
        (Produce, 80, Slow(11_000 + ms)),
        (Produce, 80, Stop(7_000 + ms)),
        (Produce, 80, Stop(16_000 + ms)),
        (DeadLetter, 3, Refuse(TransactionErrorKind::Abort)),
        (DeadLetter, 3, Refuse(TransactionErrorKind::Fatal)),
        (Offsets, 20, CrashBefore),
        (Offsets, 20, CrashAfter),
        (Offsets, 20, Refuse(TransactionErrorKind::Retriable)),
        (Offsets, 20, Refuse(TransactionErrorKind::Abort)),
        (Offsets, 20, Refuse(TransactionErrorKind::Fatal)),
        (Offsets, 20, Lose(TransactionErrorKind::Fatal)),
        (Offsets, 20, Lose(TransactionErrorKind::Retriable)),
        (Offsets, 20, Stop(7_000 + ms)),
        (Commit, 20, CrashBefore),
        (Commit, 20, CrashAfter),
        (Commit, 20, CrashAndLate(0)),
        (Commit, 20, CrashAndLate(1 + ms * 3)),
        (Commit, 20, Refuse(TransactionErrorKind::Retriable)),
        (Commit, 20, Refuse(TransactionErrorKind::Fatal)),
        (Commit, 20, Lose(TransactionErrorKind::Retriable)),
        (Commit, 20, Lose(TransactionErrorKind::Fatal)),
        (Commit, 20, Late(TransactionErrorKind::Fatal, 1 + ms)),
        (Commit, 20, Late(TransactionErrorKind::Retriable, 1 + ms)),
        (Commit, 20, Repeated(RESENT_MS + ms / 8)),
        (Commit, 20, Repeated(RESENT_MS + ms)),
        (Commit, 20, Repeated(RESENT_MS + ms)),
        (Commit, 20, Slow(16_000 + ms)),
        (Commit, 20, Stop(7_000 + ms)),
        (Commit, 20, StopAndLate(6_500 + ms)),
        (Commit, 20, StopAndLate(6_500 + ms)),
        (Abort, 1, CrashBefore),
        (Abort, 1, CrashAfter),
        (Abort, 1, Refuse(TransactionErrorKind::Fatal)),
        (Init, 4, CrashBefore),
        (Init, 4, CrashAfter),
        (Init, 4, Refuse(TransactionErrorKind::Fatal)),
        (Init, 4, Lose(TransactionErrorKind::Retriable)),
        (Read, 60, CrashBefore),
        (Read, 60, Refuse(TransactionErrorKind::Fatal)),
        (Committed, 8, CrashBefore),
        (Committed, 8, Refuse(TransactionErrorKind::Fatal)),
        (Append, 20, CrashAfter),
        (Append, 20, Refuse(TransactionErrorKind::Fatal)),
    ];
    let mut chosen: Vec<Planned> = (0..1 + random.below(4))
        .map(|_| {
            let (call, calls, fault) = random.pick(&faults);
            Planned { call, after: random.below(calls), fault, while_pinned: false }
        })
        .collect();
    if random.percent(30) {
        let call = random.pick(&[Read, Read, Committed]);
        chosen.push(Planned {
            call,
            after: random.below(6),
            fault: CrashBefore,
            while_pinned: true,
        });
    }
    chosen
}
