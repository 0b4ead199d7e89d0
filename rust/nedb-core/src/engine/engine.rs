//! The state and the writer, and what everyone who works on them shares.

use super::committer::Committer;
use super::counters::Counters;
use super::durability::Durability;
use super::listeners::{Committed, Listeners, Subscription};
use super::trouble::Trouble;
use super::writer::{Log, Writer, tail_of};
use crate::clock::Clock;
use crate::crypto::Protection;
use crate::error::{Error, ErrorCode, Result};
use crate::op::Seq;
use crate::store::{Directory, process_id, take_or_refuse};
use crate::views::State;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// What an engine is set up with.
pub(crate) struct Setup {
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
    pub is_read_only: bool,
    /// Where the log is; None in memory.
    pub directory: Option<Directory>,
    /// How lines are sealed on their way to the disk.
    pub protection: Arc<Protection>,
}

/// The state that all read, and the writer that one call at a time holds.
pub(crate) struct Engine {
    pub(super) setup: Setup,
    pub(super) state: RwLock<State>,
    pub(super) writer: Mutex<Writer>,
    /// Told whenever a batch is over.
    pub(super) progress: Condvar,
    /// The last op that is known to be on the disk.
    pub(super) durable_seq: AtomicI64,
    pub(super) trouble: Trouble,
    pub(super) listeners: Arc<Listeners>,
    pub(super) counters: Counters,
    pub(super) committer: Committer,
    /// The process that opened it, and holds the lock on the directory if it writes.
    process_id: u32,
    is_closed: AtomicBool,
}

impl Engine {
    /// Makes an engine that goes on from a state, which is on the disk as it is.
    pub fn new(setup: Setup, state: State, log: Log) -> Arc<Engine> {
        let tail = tail_of(&state);
        Arc::new(Engine {
            setup,
            durable_seq: AtomicI64::new(tail.seq),
            state: RwLock::new(state),
            writer: Mutex::new(Writer::new(log, tail)),
            progress: Condvar::new(),
            trouble: Trouble::default(),
            listeners: Arc::default(),
            counters: Counters::default(),
            committer: Committer::default(),
            process_id: process_id(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Returns the state to read; a closed database has none.
    ///
    /// Errors: `DatabaseClosed`; `DatabaseLocked` in a fork where it can be had no more.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, State>> {
        self.check_open()?;
        self.read_though_closed()
    }

    /// Returns the state to read, of a closed database too.
    ///
    /// Errors: `DatabaseLocked` in a fork that was taken while another thread changed it.
    pub fn read_though_closed(&self) -> Result<RwLockReadGuard<'_, State>> {
        take_or_refuse(self.process_id, || self.state.try_read(), || self.state.read())
    }

    /// Returns the state to read, where nobody is waited for; None where somebody would be.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, State>> {
        self.state.try_read()
    }

    /// Changes what no op changes, where no barrier is needed: what is known of the state.
    ///
    /// Errors: `DatabaseLocked` in a fork where it can be had no more.
    pub fn amend<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T> {
        let state =
            take_or_refuse(self.process_id, || self.state.try_write(), || self.state.write());
        state.map(|mut state| change(&mut state))
    }

    /// Returns the seq and the head of the last op, of one moment, of a closed database too.
    pub fn position(&self) -> (Seq, String) {
        let state = self.state.read();
        (state.views.seq, state.head.clone())
    }

    /// Returns the seq of the last op; -1 before the first.
    pub fn seq(&self) -> Seq {
        self.state.read().views.seq
    }

    /// Returns the last op that is known to be on the disk; in memory there is none.
    pub fn durable_seq(&self) -> Seq {
        self.durable_seq.load(Ordering::Acquire)
    }

    /// Tells whether a call made now would wait for another thread. Cost: at most two loads.
    pub fn would_wait(&self, writes: bool) -> bool {
        match writes {
            // A writer that waits keeps readers out too.
            false => self.state.try_read().is_none(),
            true => self.state.is_locked() || self.writer.is_locked(),
        }
    }

    /// Checks that this is the process that may write: a fork copies the handle, and two copies would write one
    /// log. It comes before any lock: a fork copies those too that other threads held, and nobody gives them back.
    ///
    /// Errors: `DatabaseLocked`.
    pub fn check_process(&self) -> Result<()> {
        let may_write = self.setup.directory.is_some() && !self.setup.is_read_only;
        if !may_write || self.process_id == process_id() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::DatabaseLocked,
            format!(
                "the database was opened by process {} and this is a fork of it; open it after the \
                 fork, in the one process that is to write",
                self.process_id
            ),
        ))
    }

    /// Checks that it was not closed.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(Error::closed()) } else { Ok(()) }
    }

    /// Tells whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Closes it, but for what waits and what is open; tells whether it was open.
    pub fn close(&self) -> bool {
        !self.is_closed.swap(true, Ordering::AcqRel)
    }

    /// Ends the threads that lead and wait for tasks. Nothing may wait for a batch to be led.
    pub fn stop_threads(&self) {
        self.committer.stop();
    }

    /// Closes the file that texts are read from, and gives back their memory.
    pub fn close_reader(&self) {
        self.state.write().log.close();
    }

    /// Calls `listener` after every commit, in the thread that commits, until the subscription is dropped.
    pub fn subscribe(&self, listener: impl Fn(Committed) + Send + Sync + 'static) -> Subscription {
        self.listeners.add(listener)
    }

    /// Tells those who listen that the log stands elsewhere, though nothing was committed.
    pub fn tell_position(&self) {
        let last = {
            let state = self.state.read();
            Committed { seq: state.views.seq, log_bytes: state.log.len_bytes() }
        };
        self.listeners.committed(last);
    }

    /// Returns how many texts were found in the cache, how many were read from the disk, and how many bytes are held.
    pub fn cache_counts(&self) -> (u64, u64, u64) {
        let state = self.state.read();
        let (hit_count, miss_count) = state.log.cache_counts();
        (hit_count, miss_count, state.log.cache_held_bytes() as u64)
    }

    /// Returns what was done since it was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
impl Engine {
    /// Returns where the calls are that write.
    pub fn places(&self) -> super::writer::Places {
        self.writer.lock().places()
    }

    /// Puts another store between the writer and the disk.
    pub fn wrap_store(
        &self,
        wrap: impl FnOnce(Box<dyn crate::store::LogStore>) -> Box<dyn crate::store::LogStore>,
    ) {
        self.writer.lock().wrap_store(wrap);
    }

    /// Holds the lock on the state, as folding does.
    pub fn hold_state(&self) -> parking_lot::RwLockWriteGuard<'_, State> {
        self.state.write()
    }

    /// Makes it one that another process has opened, as in a fork.
    pub fn pretend_fork(&mut self) {
        self.process_id = self.process_id.wrapping_add(1);
    }
}
