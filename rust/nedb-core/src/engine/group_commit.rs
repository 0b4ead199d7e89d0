//! How what was admitted becomes durable: batches, one append and one sync each.
//!
//! In: groups of admitted ops. Out: an acknowledgement to everyone in a batch, or to nobody.
//!
//! Threads that write at the same time gather in one batch. One of them, its leader, appends the batch,
//! syncs once, folds it and wakes the rest. While it syncs, the next batch is admitted, serialised and
//! hashed; it is written only after. Whoever finds no leader at work leads at once, so that a lone
//! writer waits for nobody; in memory there is nothing to wait for, and no batch. A batch in which no
//! thread waits, but tasks do, is led by the committer.
//!
//! Invariants:
//! * At most one batch is being written; its ops come right after those that are folded.
//! * Nothing is folded, and so nothing visible, before it is as durable as was asked for.
//! * When a batch fails, so do all after it, and the handle writes no more: what is on the disk is
//!   unknown.
//! * A batch that is known not to be in the log, for want of room or because the log is gone, is refused with the
//!   one gathered after it; the handle goes on from the last op that stands.

use super::counters::Counters;
use super::durability::Durability;
use super::engine::Engine;
use super::listeners::Committed;
use super::signal::{Outcome, Signal};
use super::writer::{Staged, Writer, tail_of};
use crate::error::{Error, ErrorCode, Result, is_full};
use crate::fold::fold;
use crate::op::OpKind;
use crate::store::{Directory, LogStore};
use crate::views::State;
use parking_lot::{MutexGuard, RwLockWriteGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// How many ops, and how many bytes of lines, are folded before readers are let in: about a millisecond's work.
const FOLDED_AT_ONCE_COUNT: usize = 256;
const FOLDED_AT_ONCE_BYTES: usize = 256 << 10;

impl Engine {
    /// Folds ops that are as durable as was asked for, or of a log in memory; some at a time, so that readers are
    /// let in between.
    pub(super) fn publish(&self, staged: &mut [Staged<'_>], lines: &str) {
        let op_count = staged.len();
        let mut last = None;
        let mut rest = staged;
        while !rest.is_empty() {
            let count = folded_at_once(rest);
            let (staged, others) = std::mem::take(&mut rest).split_at_mut(count);
            rest = others;
            let mut state = self.state.write();
            staged.iter_mut().for_each(|staged| fold_staged(&mut state, staged, lines));
            last = Some(Committed { seq: state.views.seq, log_bytes: state.log.len_bytes() });
            RwLockWriteGuard::unlock_fair(state);
        }
        self.counters.committed(op_count, lines.len());
        if let Some(last) = last {
            self.listeners.committed(last);
        }
    }

    /// Waits until the batch that is being gathered is durable, and leads it if nobody does.
    ///
    /// Errors: `CommitUnknown`.
    pub(super) fn commit(&self, mut writer: MutexGuard<'_, Writer>) -> Result<()> {
        if !writer.is_led && writer.barrier_count == 0 {
            writer.is_led = true;
            return self.lead(writer);
        }
        writer.batch.waiting_thread_count += 1;
        let signal = Arc::clone(&writer.batch.signal);
        drop(writer);
        match signal.wait() {
            Outcome::Durable => Ok(()),
            Outcome::NeedsLeader => self.lead(self.writer.lock()),
            Outcome::Refused(reason) => Err(self.refused(&reason)),
            Outcome::Waiting | Outcome::Failed => Err(unknown(None)),
        }
    }

    /// Has the batch that is being gathered made durable without waiting for it; what is returned tells when it
    /// is, with `poll_commit`.
    ///
    /// The committer must have been started. Cost: where nobody waits for syncs, an append.
    pub(super) fn commit_later(&self, mut writer: MutexGuard<'_, Writer>) -> Arc<Signal> {
        let signal = Arc::clone(&writer.batch.signal);
        if !writer.is_led && writer.barrier_count == 0 {
            writer.is_led = true;
            match self.setup.durability {
                Durability::Always => {
                    drop(writer);
                    self.committer.lead();
                }
                Durability::Interval { .. } | Durability::Never => {
                    // Whoever polls the signal is told the outcome.
                    let _told_by_the_signal = self.lead(writer);
                }
            }
        }
        signal
    }

    /// Answers once a batch is durable.
    ///
    /// Errors: `CommitUnknown`.
    pub(super) fn poll_commit(&self, signal: &Signal, context: &Context<'_>) -> Poll<Result<()>> {
        signal.poll(context).map(|outcome| match outcome {
            Outcome::Durable => Ok(()),
            Outcome::Refused(reason) => Err(self.refused(&reason)),
            _ => Err(unknown(None)),
        })
    }

    /// Leads the batch that was gathered, in the place of the tasks that wait for it.
    pub(super) fn lead_for_tasks(&self) {
        // Whoever polls the signal is told the outcome.
        let _told_by_the_signal = self.lead(self.writer.lock());
    }

    /// Writes the batch that was gathered, and calls the leader of the next.
    fn lead(&self, mut writer: MutexGuard<'_, Writer>) -> Result<()> {
        let outcome = self.write_batch(&mut writer);
        self.call_next_leader(&mut writer);
        outcome
    }

    /// Writes the batch that was gathered; others gather the next one meanwhile.
    pub(super) fn write_batch(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<()> {
        if writer.refusal.is_some() {
            return Err(unknown(None));
        }
        let mut batch = std::mem::take(&mut writer.batch);
        writer.syncing = std::mem::take(&mut batch.overlay);
        let mut store = writer.take_store();
        let syncs = self.setup.durability == Durability::Always;
        let written = MutexGuard::unlocked(writer, || {
            let written =
                append(store.as_deref_mut(), &batch.lines, syncs.then_some(&self.counters));
            if written.is_ok() {
                self.publish(&mut batch.staged, &batch.lines);
                if let Some(last) = batch.staged.last().filter(|_| syncs) {
                    self.durable_seq.store(last.op.seq, Ordering::Release);
                }
            }
            written
        });
        writer.give_store_back(store);
        writer.syncing.clear();
        match written {
            Ok(()) => {
                self.trouble.note(None);
                batch.signal.set(Outcome::Durable);
                self.tell_progress(writer);
                Ok(())
            }
            Err(NotWritten::Nothing(error)) => {
                let reason = Arc::new(error);
                batch.signal.set(Outcome::Refused(Arc::clone(&reason)));
                self.take_back(writer, &reason);
                Err(self.refused(&reason))
            }
            Err(failed @ (NotWritten::Unknown(_) | NotWritten::NotSynced(_))) => {
                let (error, is_synced) = match failed {
                    NotWritten::NotSynced(error) => (error, false),
                    NotWritten::Unknown(error) | NotWritten::Nothing(error) => (error, true),
                };
                // With every batch synced, what was acknowledged is on the disk whatever became of this one.
                writer.has_sync_failed |= !is_synced && !syncs;
                self.trouble.note(Some(unknown(Some(same_error(&error)))));
                self.refuse(writer);
                batch.signal.set(Outcome::Failed);
                Err(unknown(Some(error)))
            }
        }
    }

    /// Goes on from the last op that stands: what was admitted after it is not in the log, and what was gathered
    /// meanwhile follows what is not there.
    fn take_back(&self, writer: &mut Writer, reason: &Arc<io::Error>) {
        let gathered = std::mem::take(&mut writer.batch);
        writer.tail = tail_of(&self.state.read());
        self.trouble.note(Some(self.refused(reason)));
        gathered.signal.set(Outcome::Refused(Arc::clone(reason)));
        self.tell_progress(writer);
    }

    /// Makes the error of a write of which nothing is in the log.
    fn refused(&self, reason: &io::Error) -> Error {
        let path = self.setup.directory.as_ref().map(Directory::path);
        let place = path.map_or(String::new(), |path| format!(" of {}", path.display()));
        Error::storage(format!("nothing was written to the log{place}"), same_error(reason))
    }

    /// Takes no more writes after one that must not be missing: what is in the log without it is not to be built on.
    pub fn give_up(&self, error: Error) -> Error {
        let mut writer = self.writer.lock();
        self.refuse(&mut writer);
        unknown(None).with_source(error)
    }

    /// Refuses all writes after one that failed: those that wait, and those that come.
    pub(super) fn refuse(&self, writer: &mut Writer) {
        let reason = "an earlier write failed, so what is on the disk is unknown; reopen the \
                      database and retry with the same idem";
        writer.refusal = Some((ErrorCode::CommitUnknown, reason.to_owned()));
        let batch = std::mem::take(&mut writer.batch);
        batch.signal.set(Outcome::Failed);
        self.tell_progress(writer);
    }

    pub(super) fn call_next_leader(&self, writer: &mut Writer) {
        let must_wait = writer.barrier_count > 0 || writer.batch.staged.is_empty();
        writer.is_led = !must_wait;
        if must_wait {
            self.tell_progress(writer);
        } else if writer.batch.waiting_thread_count > 0 {
            writer.batch.signal.set(Outcome::NeedsLeader);
        } else {
            self.committer.lead();
        }
    }
}

/// Returns how many of the ops that come next are folded before readers are let in.
fn folded_at_once(staged: &[Staged<'_>]) -> usize {
    let start = staged.first().map_or(0, |first| first.line.start);
    let is_within = |staged: &&Staged<'_>| staged.line.end - start <= FOLDED_AT_ONCE_BYTES;
    staged.iter().take(FOLDED_AT_ONCE_COUNT).take_while(is_within).count().max(1)
}

fn fold_staged(state: &mut State, staged: &mut Staged<'_>, lines: &str) {
    state.log.push_line(lines.get(staged.line.clone()).unwrap_or_default());
    for (number, item) in staged.op.items.as_slice().iter().enumerate() {
        if let OpKind::Put(put) = &item.kind {
            state.log.remember(staged.op.seq, number as u32, &put.text);
        }
    }
    fold(&mut state.views, &staged.op);
    state.head = std::mem::take(&mut staged.hash);
}

/// Why a batch was not written.
enum NotWritten {
    /// Nothing of it is in the log.
    Nothing(io::Error),
    /// It may be in the log, or a part of it.
    Unknown(io::Error),
    /// The same, and what was acknowledged before it may not be on the disk: a sync has failed, or was not reached.
    NotSynced(io::Error),
}

fn append(
    store: Option<&mut (dyn LogStore + 'static)>,
    lines: &str,
    syncs: Option<&Counters>,
) -> std::result::Result<(), NotWritten> {
    let closed = || NotWritten::Unknown(io::Error::other("the log was closed"));
    let store = store.ok_or_else(closed)?;
    store.check_in_place(syncs.is_some()).map_err(NotWritten::Nothing)?;
    if let Err(error) = store.append(lines.as_bytes()) {
        // Cutting what was written needs no room, and leaves the log as it was. A disk that fails otherwise may
        // have done anything.
        return Err(match is_full(&error).then(|| store.take_back()) {
            None => NotWritten::Unknown(error),
            Some(Ok(())) => NotWritten::Nothing(error),
            Some(Err(_)) => NotWritten::NotSynced(error),
        });
    }
    syncs.map_or(Ok(()), |counters| counters.sync(store)).map_err(NotWritten::NotSynced)
}

/// Returns an error like one that several are told of.
pub(super) fn same_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

pub(super) fn unknown(error: Option<io::Error>) -> Error {
    let unknown = Error::new(
        ErrorCode::CommitUnknown,
        "the write failed on its way to the disk and may or may not be there after reopening; \
         reopen the database and retry with the same idem",
    );
    match error {
        Some(error) => unknown.with_source(error),
        None => unknown,
    }
}
