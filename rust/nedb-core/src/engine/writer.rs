//! What the one call holds that is admitted: the batch that is gathered, the log, and where the next op goes.

use super::overlay::Pending;
use super::signal::{Signal, add_task};
use crate::error::{Error, ErrorCode, Result};
use crate::op::{Op, Seq};
use crate::store::LogStore;
use crate::views::State;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Waker};

/// An op that was admitted, with its line.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    pub op: Op<'a>,
    /// Where its line stands among the lines beside it.
    pub line: Range<usize>,
    pub hash: String,
}

/// Ops of several threads that become durable together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub lines: String,
    pub staged: Vec<Staged<'static>>,
    pub overlay: Pending,
    /// How many threads wait for it, any of which can lead it.
    pub waiting_thread_count: usize,
    pub signal: Arc<Signal>,
}

/// What takes writes.
pub(crate) enum Log {
    /// Memory: the views' reader keeps the lines.
    Memory,
    /// A log on a disk.
    Disk(Box<dyn LogStore>),
    /// Nothing: every write is refused with this.
    Refusing(Error),
}

/// Where lines go.
enum Sink {
    /// Nowhere: the reader keeps them.
    Memory,
    /// To a log on a disk; None while a leader has it.
    Disk(Option<Box<dyn LogStore>>),
}

/// What whoever writes holds.
pub(super) struct Writer {
    sink: Sink,
    /// Why nothing may be written, if nothing may.
    pub refusal: Option<(ErrorCode, String)>,
    /// Whether what was acknowledged could not be synced: a later sync that succeeds would prove nothing of it.
    pub has_sync_failed: bool,
    /// What is being gathered for the next append.
    pub batch: Batch,
    /// What the batch that is being written leaves behind.
    pub syncing: Pending,
    /// Whether a leader is at work, or has been called.
    pub is_led: bool,
    /// How many wait for there to be no leader, instead of the next one.
    pub barrier_count: usize,
    /// How many wait to be told that a batch or a barrier is over.
    pub waiting_count: usize,
    /// The tasks among them.
    pub waiting_tasks: Vec<Waker>,
    /// The seq and the hash that the next op follows.
    pub tail: Tail,
    pub buffers: Buffers,
}

/// The last op that was admitted.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub seq: Seq,
    pub hash: String,
}

/// Working space that is kept from one write to the next.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub scratch: String,
    pub lines: String,
    /// In an encrypted database, what takes the place of `lines` on the way to the disk.
    pub sealed_lines: String,
    pub sealing: Vec<u8>,
    pub overlay: Pending,
}

impl Writer {
    /// Makes the writer of a log.
    pub fn new(log: Log, tail: Tail) -> Self {
        let (sink, refusal) = match log {
            Log::Memory => (Sink::Memory, None),
            Log::Disk(store) => (Sink::Disk(Some(store)), None),
            Log::Refusing(error) => {
                (Sink::Memory, Some((error.code(), error.message().to_owned())))
            }
        };
        Writer {
            sink,
            refusal,
            has_sync_failed: false,
            batch: Batch::default(),
            syncing: Pending::default(),
            is_led: false,
            barrier_count: 0,
            waiting_count: 0,
            waiting_tasks: Vec::new(),
            tail,
            buffers: Buffers::default(),
        }
    }

    /// Goes on as the writer of another log, for those too who wait: barriers that are up, and calls that wait to be
    /// told. Nothing may be pending. The log before is let go of.
    pub fn go_on_with(&mut self, log: Log, tail: Tail) {
        self.close();
        let (barrier_count, waiting_count) = (self.barrier_count, self.waiting_count);
        let waiting_tasks = std::mem::take(&mut self.waiting_tasks);
        *self = Writer { barrier_count, waiting_count, waiting_tasks, ..Writer::new(log, tail) };
    }

    /// Checks that writes are taken at all.
    ///
    /// Errors: `ReadOnly`, `CommitUnknown` after a failed write.
    pub fn check_takes_writes(&self) -> Result<()> {
        match &self.refusal {
            Some((code, reason)) => Err(Error::new(*code, reason.clone())),
            None => Ok(()),
        }
    }

    /// Tells whether whoever is to be admitted must wait for a barrier to be lifted.
    pub fn is_held_back(&self) -> bool {
        self.barrier_count > 0
    }

    /// Tells whether something was admitted that is neither folded nor has failed.
    pub fn has_pending(&self) -> bool {
        self.is_led || !self.batch.staged.is_empty()
    }

    /// Has a task woken when a batch or a barrier is over.
    pub fn wake_at_progress(&mut self, context: &Context<'_>) {
        add_task(&mut self.waiting_tasks, context);
    }

    /// Tells whether lines go to a disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.sink, Sink::Disk(_))
    }

    /// Gives the lock on the directory back.
    pub fn close(&mut self) {
        if let Sink::Disk(store) = &mut self.sink
            && let Some(mut store) = store.take()
        {
            store.release();
        }
    }

    /// Returns where the calls are that write: tests force one order of steps after the other with it.
    #[cfg(test)]
    pub fn places(&self) -> super::Places {
        super::Places {
            is_led: self.is_led,
            admitted: (self.tail.seq + 1) as usize,
            gathered: self.batch.staged.len(),
            barriers: self.barrier_count,
            waiting: self.waiting_count + self.waiting_tasks.len(),
        }
    }

    /// Puts another store between this writer and the disk.
    #[cfg(test)]
    pub fn wrap_store(&mut self, wrap: impl FnOnce(Box<dyn LogStore>) -> Box<dyn LogStore>) {
        let store = self.take_store().map(wrap);
        self.give_store_back(store);
    }

    /// Hands the log to a leader; None in memory, and once it was closed.
    pub fn take_store(&mut self) -> Option<Box<dyn LogStore>> {
        match &mut self.sink {
            Sink::Disk(store) => store.take(),
            Sink::Memory => None,
        }
    }

    /// Takes the log back from a leader.
    pub fn give_store_back(&mut self, given: Option<Box<dyn LogStore>>) {
        if let Sink::Disk(store) = &mut self.sink {
            *store = given;
        }
    }
}

/// Returns the tail that a state ends with.
pub(super) fn tail_of(state: &State) -> Tail {
    Tail { seq: state.views.seq, hash: state.head.clone() }
}

/// What the writer says of itself.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub is_led: bool,
    /// Ops that were admitted, whatever became of them.
    pub admitted: usize,
    /// Ops in the batch that is being gathered.
    pub gathered: usize,
    /// Barriers that wait, or lead.
    pub barriers: usize,
    /// Calls that wait for a batch or a barrier to be over.
    pub waiting: usize,
}
