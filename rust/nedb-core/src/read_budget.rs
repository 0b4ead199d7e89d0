//! What a read may take: how long it keeps writers out, how long it lasts, how much it holds in memory.
//!
//! In: work, as it is done, and bytes, as they are held. Out: when to let writers in, and when to end.
//!
//! Work is counted in bytes looked at, of which a processor does about one in a nanosecond; the clock is asked only
//! now and then.
//!
//! Invariants:
//! * Whoever counts its work is told to pause before it has kept writers out for a millisecond.
//! * A read that is to end is told so within a few tens of microseconds of counted work, and from then on at each
//!   count: what it has come to is worth nothing.

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorCode, Result};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Work after which the clock is asked.
const LOOK_WORK: usize = 32 << 10;
/// How long a read keeps writers out before it pauses, in microseconds, but for the work of one look.
const HOLD_US: u64 = 300;
/// Work that is done on one text while writers are kept out; more is done on a text that the reader owns.
pub(crate) const HELD_WORK_MAX: usize = 256 << 10;
/// What a look at a document costs beside its bytes.
pub(crate) const LOOK_OVERHEAD: usize = 128;

/// Ends calls before they are done: when it is told to, or after some time. Clones are the same one.
///
/// A call that was given one and is ended by it is `Cancelled` or `TimedOut`, and has changed nothing.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_cancelled: AtomicBool,
    /// Since when, and for how many microseconds at most.
    time: Option<(Stopwatch, u64)>,
}

impl Cancellation {
    /// Makes one that ends nothing until it is told to.
    pub fn new() -> Cancellation {
        Cancellation::default()
    }

    /// Makes one that ends calls once so many milliseconds from now are over.
    pub fn after_ms(timeout_ms: u64) -> Cancellation {
        let time = Some((Stopwatch::start(), timeout_ms.saturating_mul(1_000)));
        Cancellation { shared: Arc::new(Shared { is_cancelled: AtomicBool::new(false), time }) }
    }

    /// Ends the calls that were given it, and those that will be.
    pub fn cancel(&self) {
        self.shared.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Tells whether calls end: it was told to end them, or their time is over.
    pub fn is_cancelled(&self) -> bool {
        self.end().is_some()
    }

    fn end(&self) -> Option<End> {
        if self.shared.is_cancelled.load(Ordering::Relaxed) {
            return Some(End::Cancelled);
        }
        let (begun, timeout_us) = self.shared.time.as_ref()?;
        (begun.elapsed_us() >= *timeout_us).then_some(End::TimedOut)
    }
}

/// Why a read ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Cancelled,
    TimedOut,
    TooMuchMemory,
    AnswerTooLong,
    /// It must not wait, and would have to.
    Impatient,
}

/// What one read may take.
#[derive(Debug)]
pub(crate) struct ReadBudget {
    cancellation: Option<Cancellation>,
    memory_bytes_max: usize,
    answer_bytes_max: usize,
    memory_bytes: Cell<usize>,
    work_until_look: Cell<usize>,
    /// Since when writers are kept out; None until the clock was first asked.
    held_since: Cell<Option<Stopwatch>>,
    /// What is left of the work that may be done without waiting; None where it may be waited.
    patience: Cell<Option<usize>>,
    must_pause: Cell<bool>,
    end: Cell<Option<End>>,
}

impl Default for ReadBudget {
    /// Makes the budget of a read that nothing ends.
    fn default() -> Self {
        ReadBudget::new(None, usize::MAX)
    }
}

impl ReadBudget {
    /// Makes the budget of a read that something may end, and that holds so many bytes at most.
    pub fn new(cancellation: Option<Cancellation>, memory_bytes_max: usize) -> Self {
        ReadBudget {
            cancellation,
            memory_bytes_max,
            answer_bytes_max: usize::MAX,
            memory_bytes: Cell::new(0),
            work_until_look: Cell::new(LOOK_WORK),
            held_since: Cell::new(None),
            patience: Cell::new(None),
            must_pause: Cell::new(false),
            end: Cell::new(None),
        }
    }

    /// Bounds how long the answer may be, in bytes.
    pub fn with_answer_bytes_max(mut self, answer_bytes_max: usize) -> Self {
        self.answer_bytes_max = answer_bytes_max;
        self
    }

    /// Takes note of how long the answer is so far; false once it is longer than it may be.
    pub fn note_answer(&self, bytes: usize) -> bool {
        if bytes > self.answer_bytes_max && self.end.get().is_none() {
            self.end.set(Some(End::AnswerTooLong));
        }
        self.goes_on()
    }

    /// Counts work; false once the read is to end.
    #[inline]
    pub fn spend(&self, work: usize) -> bool {
        match self.work_until_look.get().checked_sub(work) {
            Some(left) => {
                self.work_until_look.set(left);
                true
            }
            None => self.look(work),
        }
    }

    /// Asks the clock, and whoever may end the read.
    #[cold]
    fn look(&self, work: usize) -> bool {
        if self.end.get().is_some() {
            return false;
        }
        self.end.set(self.cancellation.as_ref().and_then(Cancellation::end));
        match self.held_since.get() {
            None => self.held_since.set(Some(Stopwatch::start())),
            Some(since) if since.elapsed_us() < HOLD_US => {}
            Some(_) => self.must_pause.set(true),
        }
        // More work than one look is worth comes from a text that the reader owns, or of a long list.
        if work > HELD_WORK_MAX {
            self.must_pause.set(true);
        }
        self.work_until_look.set(LOOK_WORK);
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        if self.end.get().is_some() {
            // Every further count comes to the end again.
            self.work_until_look.set(0);
            self.must_pause.set(true);
            return false;
        }
        true
    }

    /// Counts bytes that the read holds from here on; false once they are more than it may hold.
    pub fn hold(&self, bytes: usize) -> bool {
        let held = self.memory_bytes.get().saturating_add(bytes);
        self.memory_bytes.set(held);
        if held > self.memory_bytes_max && self.end.get().is_none() {
            self.end.set(Some(End::TooMuchMemory));
        }
        self.goes_on()
    }

    /// Counts bytes that the read holds no longer.
    pub fn release(&self, bytes: usize) {
        self.memory_bytes.set(self.memory_bytes.get().saturating_sub(bytes));
    }

    /// Lets the read end once it has done so much work, or would have to wait.
    pub fn lose_patience_after(&self, work: usize) {
        self.patience.set(Some(work));
    }

    /// Tells whether the read must not wait.
    pub fn is_impatient(&self) -> bool {
        self.patience.get().is_some()
    }

    /// Tells whether the read came to its end for want of patience.
    pub fn has_lost_patience(&self) -> bool {
        self.end.get() == Some(End::Impatient)
    }

    /// Takes a look at a text out of what patience is left.
    pub fn take_patience(&self, work: usize) -> bool {
        let Some(left) = self.patience.get() else { return true };
        match left.checked_sub(work) {
            Some(left) => self.patience.set(Some(left)),
            None => self.end_impatiently(),
        }
        self.goes_on()
    }

    /// Ends a read that would have to wait.
    pub fn end_impatiently(&self) {
        if self.end.get().is_none() {
            self.end.set(Some(End::Impatient));
        }
        let _ended = self.goes_on();
    }

    /// Tells whether writers are to be let in, or the read is to end: then `check` says which.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.must_pause.get()
    }

    /// Begins to count anew how long writers are kept out: they were let in.
    pub fn begin_hold(&self) {
        self.must_pause.set(self.end.get().is_some());
        self.held_since.set(None);
    }

    /// Checks that the read goes on.
    ///
    /// Errors: `Cancelled`, `TimedOut`, `LimitExceeded`.
    pub fn check(&self) -> Result<()> {
        let Some(end) = self.end.get() else { return Ok(()) };
        Err(match end {
            End::Cancelled => Error::new(ErrorCode::Cancelled, "the call was cancelled"),
            End::TimedOut => Error::new(
                ErrorCode::TimedOut,
                "the call took longer than it may; give it more time, or ask for less",
            ),
            End::TooMuchMemory => Error::limit(format!(
                "the query would hold more than {} MiB in memory; narrow it down, or use LIMIT",
                self.memory_bytes_max >> 20
            )),
            End::AnswerTooLong => Error::limit(format!(
                "the answer would be longer than {} KiB; use LIMIT and OFFSET",
                self.answer_bytes_max >> 10
            )),
            // It ends the walk, and nobody sees it.
            End::Impatient => Error::integrity("a reader has lost patience"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_is_cancelled_is_told_so_at_each_count_from_then_on() {
        let cancellation = Cancellation::new();
        let budget = ReadBudget::new(Some(cancellation.clone()), 10);
        assert!(budget.spend(LOOK_WORK + 1) && budget.check().is_ok());
        cancellation.cancel();
        let counts = (0..LOOK_WORK).take_while(|_| budget.spend(64)).count();
        assert!(counts <= LOOK_WORK / 64, "{counts}");
        assert!(!budget.spend(1) && !budget.spend(1) && budget.is_due());
        assert_eq!(budget.check().unwrap_err().code(), ErrorCode::Cancelled);
        budget.begin_hold();
        assert!(budget.is_due());
    }

    #[test]
    fn a_read_whose_time_is_over_has_timed_out() {
        let budget = ReadBudget::new(Some(Cancellation::after_ms(0)), 10);
        assert!(!budget.spend(LOOK_WORK + 1));
        assert_eq!(budget.check().unwrap_err().code(), ErrorCode::TimedOut);
        assert!(Cancellation::after_ms(0).is_cancelled());
        assert!(!Cancellation::after_ms(1_000_000).is_cancelled());
    }

    #[test]
    fn a_read_holds_no_more_than_it_may() {
        let budget = ReadBudget::new(None, 100);
        assert!(budget.hold(60) && budget.hold(40));
        budget.release(50);
        assert!(budget.hold(50) && !budget.hold(1));
        assert_eq!(budget.check().unwrap_err().code(), ErrorCode::LimitExceeded);
    }

    #[test]
    fn a_pause_is_due_after_a_while_and_not_again_at_once() {
        let budget = ReadBudget::default();
        let begun = Stopwatch::start();
        while !budget.is_due() {
            assert!(budget.spend(LOOK_WORK));
        }
        assert!(begun.elapsed_us() >= HOLD_US);
        budget.begin_hold();
        assert!(!budget.is_due());
    }
}
