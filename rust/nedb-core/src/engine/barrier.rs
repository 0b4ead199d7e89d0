//! Barriers: the writer, held while nothing is pending. Syncs on demand stand behind one.
//!
//! In: calls that must see all or change what no op changes. Out: the writer, with all that was admitted folded.
//!
//! Invariants:
//! * Nobody is admitted while a barrier is up or held; what was gathered before it is written first.

use super::durability::Durability;
use super::engine::Engine;
use super::group::Group;
use super::group_commit::{same_error, unknown};
use super::writer::{Log, Writer, tail_of};
use crate::error::{ErrorCode, Result};
use crate::op::Seq;
use crate::views::State;
use parking_lot::MutexGuard;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

/// The writer, held while nothing is pending: nothing is admitted until it is dropped.
pub(crate) struct Barrier<'e> {
    engine: &'e Engine,
    writer: MutexGuard<'e, Writer>,
}

/// What is to go on in the place of what is there.
pub(crate) struct Next {
    /// The state; None: the one that is there stays.
    pub state: Option<State>,
    /// What takes writes after its last op; None: what has taken them so far, where the last op is the same.
    pub log: Option<Log>,
    /// Whether everything in that log is on the disk.
    pub is_durable: bool,
}

impl<'e> Barrier<'e> {
    /// Checks that the database is open and takes writes.
    ///
    /// Errors: `DatabaseClosed`, `ReadOnly`, `CommitUnknown`.
    pub fn check_takes_writes(&self) -> Result<()> {
        self.engine.check_open()?;
        self.engine.check_takes_writes(&self.writer)
    }

    /// Returns the seq of the last op.
    pub fn seq(&self) -> Seq {
        self.writer.tail.seq
    }

    /// Begins a group of ops that come right after what the barrier sees.
    ///
    /// Errors: as `check_takes_writes`.
    pub fn into_group<'a>(self) -> Result<Group<'e, 'a>> {
        self.engine.begin_group_with(self.writer)
    }

    /// Puts another state, and another log to write to, in the place of those that are there: everything at once.
    /// The log before is let go of. Who waits to be admitted goes on with the new one.
    ///
    /// The state comes last: until it is there readers see the one before, and nobody is admitted.
    pub fn install(&mut self, next: Next) {
        let Next { state, log, is_durable } = next;
        let tail = match &state {
            Some(state) => tail_of(state),
            None => tail_of(&self.engine.state.read()),
        };
        if is_durable {
            self.engine.durable_seq.store(tail.seq, Ordering::Release);
        }
        if let Some(log) = log {
            self.writer.go_on_with(log, tail);
        }
        if let Some(state) = state {
            *self.engine.state.write() = state;
        }
    }

    /// Changes what no op changes: readers see all of it or nothing.
    pub fn amend<T>(&mut self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.engine.state.write())
    }

    /// Returns where the calls are that write.
    #[cfg(test)]
    pub fn places(&self) -> super::writer::Places {
        self.writer.places()
    }

    /// Lets go of the log, and of the lock on the directory.
    pub fn close_log(&mut self) {
        self.writer.close();
    }
}

impl Engine {
    /// Holds the writer when nothing is pending: all that was admitted is folded, and nothing more is until the
    /// barrier is dropped.
    ///
    /// Whoever calls it has seen to `check_process` before.
    pub fn barrier(&self) -> Barrier<'_> {
        let mut writer = self.raise_barrier();
        self.lift_barrier(&mut writer);
        Barrier { engine: self, writer }
    }

    /// Holds the writer as `barrier` does, once everything acknowledged is on the disk.
    ///
    /// Beside it returns `CommitUnknown` where a sync has failed, `StorageError` where the log is gone.
    pub fn synced_barrier(&self) -> (Barrier<'_>, Result<()>) {
        let mut writer = self.raise_barrier();
        // Behind a barrier: what is acknowledged during the sync would not be synced by it.
        let synced = self.sync_acknowledged(&mut writer);
        self.lift_barrier(&mut writer);
        (Barrier { engine: self, writer }, synced)
    }

    /// Holds the writer as it is, to change what a writer's commits do not touch: a reader's state.
    pub fn hold_writer(&self) -> Barrier<'_> {
        Barrier { engine: self, writer: self.writer.lock() }
    }

    /// Waits until everything admitted so far is durable or has failed.
    pub(super) fn wait_for_pending(&self, writer: &mut MutexGuard<'_, Writer>) {
        if writer.has_pending() {
            self.wait_for_progress(writer);
        }
    }

    /// Waits to be told that a batch or a barrier is over.
    fn wait_for_progress(&self, writer: &mut MutexGuard<'_, Writer>) {
        writer.waiting_count += 1;
        self.progress.wait(writer);
    }

    /// Wakes all who wait for a batch or a barrier to be over; they look again, and may wait again.
    pub(super) fn tell_progress(&self, writer: &mut Writer) {
        writer.waiting_count = 0;
        self.progress.notify_all();
        writer.waiting_tasks.drain(..).for_each(Waker::wake);
    }

    /// Holds back whoever would be admitted, and takes the writer when nothing is pending.
    fn raise_barrier(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer.lock();
        writer.barrier_count += 1;
        while writer.is_led {
            self.wait_for_progress(&mut writer);
        }
        // Nothing is admitted behind a barrier, so what was gathered before it is one batch.
        if !writer.batch.staged.is_empty() && writer.refusal.is_none() {
            writer.is_led = true;
            // Whoever waits for this batch is told by its signal.
            let _told_to_those_who_wait = self.write_batch(&mut writer);
            writer.is_led = false;
        }
        writer
    }

    fn lift_barrier(&self, writer: &mut Writer) {
        writer.barrier_count -= 1;
        self.tell_progress(writer);
    }

    /// Takes the writer to admit something, after those who wait for it to be idle.
    pub(super) fn lock_to_admit(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer.lock();
        while writer.barrier_count > 0 {
            self.wait_for_progress(&mut writer);
        }
        writer
    }

    /// Waits until everything admitted so far is on the disk or has failed, where every batch is synced.
    fn wait_until_durable(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        let mut target = writer.tail.seq;
        loop {
            // What was refused meanwhile is waited for no longer.
            target = target.min(writer.tail.seq);
            match &writer.refusal {
                // What was acknowledged was synced before, and what failed was not acknowledged.
                Some(_) => return Ok(()),
                None if self.durable_seq.load(Ordering::Acquire) >= target => return Ok(()),
                None => self.wait_for_progress(&mut writer),
            }
        }
    }

    /// Syncs everything that was acknowledged.
    ///
    /// Errors: `CommitUnknown`.
    pub fn sync(&self) -> Result<()> {
        if self.setup.durability == Durability::Always && self.setup.directory.is_some() {
            return self.wait_until_durable();
        }
        let mut writer = self.raise_barrier();
        self.lift_barrier(&mut writer);
        let outcome = self.sync_acknowledged(&mut writer);
        self.call_next_leader(&mut writer);
        outcome
    }

    /// Syncs what was acknowledged and is not synced yet; nothing may be pending. Where no barrier holds
    /// them back, others gather the next batch meanwhile.
    ///
    /// Also after an append that failed: what was acknowledged before it is in the log, and what it left behind that
    /// is beyond what `LOCK` calls synced.
    fn sync_acknowledged(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<()> {
        let seq = self.state.read().views.seq;
        if writer.has_sync_failed {
            return Err(unknown(None));
        }
        if self.durable_seq.load(Ordering::Acquire) == seq {
            return Ok(());
        }
        self.check_in_place()?;
        let Some(mut store) = writer.take_store() else { return Ok(()) };
        writer.is_led = true;
        let synced = MutexGuard::unlocked(writer, || self.counters.sync(&mut *store));
        writer.give_store_back(Some(store));
        writer.is_led = false;
        match synced {
            Ok(()) => {
                self.durable_seq.store(seq, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                writer.has_sync_failed = true;
                self.trouble.note(Some(unknown(Some(same_error(&error)))));
                self.refuse(writer);
                Err(unknown(Some(error)))
            }
        }
    }
}

/// Syncs a database every so often, as long as it is open.
pub(crate) fn sync_periodically(engine: &Arc<Engine>, milliseconds: u64) -> io::Result<()> {
    let engine: Weak<Engine> = Arc::downgrade(engine);
    let interval = Duration::from_millis(milliseconds.max(1));
    let work = move || {
        loop {
            std::thread::sleep(interval);
            let Some(engine) = engine.upgrade().filter(|engine| engine.check_open().is_ok()) else {
                return;
            };
            // A sync that fails refuses all further writes, which tells everyone who asks.
            if engine.sync().is_err_and(|error| error.code() == ErrorCode::CommitUnknown) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("nedb-sync".to_owned()).spawn(work).map(|_| ())
}
