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

use super::options::Durability;
use super::overlay::Pending;
use super::signal::{Outcome, Signal, add_task};
use super::statistics::Counters;
use super::{Inner, check};
use crate::error::{Error, ErrorCode, Result, is_full};
use crate::fold::fold;
use crate::op::{Op, OpKind, Seq};
use crate::store::{Directory, LogStore};
use crate::views::State;
use parking_lot::{MutexGuard, RwLockWriteGuard};
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How many ops, and how many bytes of lines, are folded before readers are let in: about a millisecond's work.
const FOLDED_AT_ONCE_COUNT: usize = 256;
const FOLDED_AT_ONCE_BYTES: usize = 256 << 10;

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
    waiting_thread_count: usize,
    signal: Arc<Signal>,
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
    refusal: Option<(ErrorCode, String)>,
    /// Whether what was acknowledged could not be synced: a later sync that succeeds would prove nothing of it.
    has_sync_failed: bool,
    /// What is being gathered for the next append.
    pub batch: Batch,
    /// What the batch that is being written leaves behind.
    pub syncing: Pending,
    /// Whether a leader is at work, or has been called.
    is_led: bool,
    /// How many wait for there to be no leader, instead of the next one.
    barrier_count: usize,
    /// How many wait to be told that a batch or a barrier is over.
    waiting_count: usize,
    /// The tasks among them.
    waiting_tasks: Vec<Waker>,
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
    /// Makes the writer of a log in memory.
    pub fn memory(tail: Tail) -> Self {
        Writer::new(Sink::Memory, None, tail)
    }

    /// Makes the writer of a log on a disk.
    pub fn disk(store: Box<dyn LogStore>, tail: Tail) -> Self {
        Writer::new(Sink::Disk(Some(store)), None, tail)
    }

    /// Makes a writer that refuses every write.
    pub fn refusing(refusal: Error, tail: Tail) -> Self {
        let refusal = (refusal.code(), refusal.message().to_owned());
        Writer::new(Sink::Memory, Some(refusal), tail)
    }

    fn new(sink: Sink, refusal: Option<(ErrorCode, String)>, tail: Tail) -> Self {
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

    /// Goes on as another writer, for those too who wait: barriers that are up, and calls that wait to be told.
    /// Nothing may be pending.
    pub fn become_writer(&mut self, next: Writer) {
        let (barrier_count, waiting_count) = (self.barrier_count, self.waiting_count);
        let waiting_tasks = std::mem::take(&mut self.waiting_tasks);
        *self = Writer { barrier_count, waiting_count, waiting_tasks, ..next };
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

    /// Syncs what was acknowledged and is not synced yet, when nobody can write any more; tells whether the log is
    /// on the disk and nothing in it is unknown.
    pub fn sync_at_the_end(&mut self, durable_seq: Seq, acknowledged_seq: Seq) -> bool {
        if self.has_sync_failed {
            return false;
        }
        let synced = match &mut self.sink {
            Sink::Disk(Some(_)) if durable_seq >= acknowledged_seq => true,
            // Nobody is left to tell; what was acknowledged is with the operating system anyway.
            Sink::Disk(Some(store)) => store.sync().is_ok(),
            Sink::Disk(None) | Sink::Memory => false,
        };
        synced && self.refusal.is_none()
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
    pub fn places(&self) -> super::gate::Places {
        super::gate::Places {
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

    fn take_store(&mut self) -> Option<Box<dyn LogStore>> {
        match &mut self.sink {
            Sink::Disk(store) => store.take(),
            Sink::Memory => None,
        }
    }

    fn give_store_back(&mut self, given: Option<Box<dyn LogStore>>) {
        if let Sink::Disk(store) = &mut self.sink {
            *store = given;
        }
    }
}

impl Inner {
    /// Checks that writes are taken, and that no line of the log was found not to hold since it was opened:
    /// a repair would cut off what is written after it.
    ///
    /// Whoever has the writer has seen to `check_process` before. Errors: as `Writer::check_takes_writes`, `ReadOnly`.
    pub(super) fn check_takes_writes(&self, writer: &Writer) -> Result<()> {
        writer.check_takes_writes()?;
        match self.state.read().log.damage() {
            Some(damage) => Err(check::damaged_behind(damage)),
            None => Ok(()),
        }
    }

    /// Checks that no write has failed on its way to the disk: what such a one has left is known only once the
    /// log is read again.
    ///
    /// Errors: `CommitUnknown`.
    pub(super) fn check_is_known(&self) -> Result<()> {
        match self.writer.lock().check_takes_writes() {
            Err(error) if error.code() == ErrorCode::CommitUnknown => Err(error),
            _ => Ok(()),
        }
    }

    /// Folds ops that are as durable as was asked for, or of a log in memory; some at a time, so that readers are
    /// let in between.
    pub(super) fn publish(&self, staged: &mut [Staged<'_>], lines: &str) {
        let op_count = staged.len();
        let mut last_seq = None;
        let mut rest = staged;
        while !rest.is_empty() {
            let count = folded_at_once(rest);
            let (staged, others) = std::mem::take(&mut rest).split_at_mut(count);
            rest = others;
            let mut state = self.state.write();
            staged.iter_mut().for_each(|staged| fold_staged(&mut state, staged, lines));
            last_seq = Some(state.views.seq);
            RwLockWriteGuard::unlock_fair(state);
        }
        self.counters.committed(op_count, lines.len());
        if let Some(last_seq) = last_seq {
            self.watch.committed(last_seq);
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
            match self.options.durability {
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
    fn write_batch(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<()> {
        if writer.refusal.is_some() {
            return Err(unknown(None));
        }
        let mut batch = std::mem::take(&mut writer.batch);
        writer.syncing = std::mem::take(&mut batch.overlay);
        let mut store = writer.take_store();
        let syncs = self.options.durability == Durability::Always;
        let written = MutexGuard::unlocked(writer, || {
            let written =
                append(store.as_deref_mut(), &batch.lines, syncs.then_some(&self.counters));
            if written.is_ok() {
                self.publish(&mut batch.staged, &batch.lines);
                if let Some(last) = batch.staged.last() {
                    if syncs {
                        self.durable_seq.store(last.op.seq, Ordering::Release);
                    }
                    self.ask_for_checkpoint(last.op.seq);
                }
            }
            written
        });
        writer.give_store_back(store);
        writer.syncing.clear();
        match written {
            Ok(()) => {
                self.note_trouble(None);
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
                self.note_trouble(Some(unknown(Some(same_error(&error)))));
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
        self.note_trouble(Some(self.refused(reason)));
        gathered.signal.set(Outcome::Refused(Arc::clone(reason)));
        self.tell_progress(writer);
    }

    /// Checks that the log is still where it was opened; one in memory always is.
    ///
    /// Errors: `StorageError`.
    pub(super) fn check_in_place(&self) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let bytes = self.wait_to_read()?.log.disk_bytes().cloned();
        bytes.map_or(Ok(()), |bytes| directory.check_log_in_place(&*bytes)).map_err(|error| {
            Error::storage(format!("the log of {}", directory.path().display()), error)
        })
    }

    /// Makes the error of a write of which nothing is in the log.
    fn refused(&self, reason: &io::Error) -> Error {
        let path = self.directory.as_ref().map(Directory::path);
        let place = path.map_or(String::new(), |path| format!(" of {}", path.display()));
        Error::storage(format!("nothing was written to the log{place}"), same_error(reason))
    }

    /// Takes no more writes after one that must not be missing: what is in the log without it is not to be built on.
    pub(super) fn give_up(&self, error: Error) -> Error {
        let mut writer = self.writer.lock();
        self.refuse(&mut writer);
        unknown(None).with_source(error)
    }

    /// Notes why writes do not come into the log, or that they do.
    fn note_trouble(&self, trouble: Option<Error>) {
        let is_trouble = trouble.is_some();
        // Nobody waits for a lock to hear that all is well still.
        if is_trouble || self.has_trouble.load(Ordering::Relaxed) {
            let mut known = self.trouble.lock();
            *known = trouble.map(Arc::new);
            self.has_trouble.store(is_trouble, Ordering::Relaxed);
        }
    }

    /// Tries whether writes would be taken again after one that was refused: whether the log is in its place, and
    /// there is room beside it.
    pub(super) fn probe_writes(&self) -> Result<()> {
        self.check_in_place()?;
        if let Some(directory) = &self.directory {
            directory.probe_room()?;
        }
        // A write may have failed meanwhile: that trouble is another, and stays.
        let writer = self.writer.lock();
        writer.check_takes_writes()?;
        self.note_trouble(None);
        Ok(())
    }

    /// Refuses all writes after one that failed: those that wait, and those that come.
    fn refuse(&self, writer: &mut Writer) {
        let reason = "an earlier write failed, so what is on the disk is unknown; reopen the \
                      database and retry with the same idem";
        writer.refusal = Some((ErrorCode::CommitUnknown, reason.to_owned()));
        let batch = std::mem::take(&mut writer.batch);
        batch.signal.set(Outcome::Failed);
        self.tell_progress(writer);
    }

    fn call_next_leader(&self, writer: &mut Writer) {
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
    fn tell_progress(&self, writer: &mut Writer) {
        writer.waiting_count = 0;
        self.progress.notify_all();
        writer.waiting_tasks.drain(..).for_each(Waker::wake);
    }

    /// Takes the writer when nothing is pending: all that was admitted is folded, and nothing more is
    /// until the guard goes.
    pub(super) fn lock_when_idle(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.raise_barrier();
        self.lift_barrier(&mut writer);
        writer
    }

    /// Takes the writer when nothing is pending and everything acknowledged is on the disk.
    ///
    /// Beside it returns `CommitUnknown` where a sync has failed.
    pub(super) fn lock_when_synced(&self) -> (MutexGuard<'_, Writer>, Result<()>) {
        let mut writer = self.raise_barrier();
        // Behind a barrier: what is acknowledged during the sync would not be synced by it.
        let synced = self.sync_acknowledged(&mut writer);
        self.lift_barrier(&mut writer);
        (writer, synced)
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

    /// Tells whether a write has failed on its way to the disk.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.writer.lock().refusal, Some((ErrorCode::CommitUnknown, _)))
    }

    /// Syncs everything that was acknowledged.
    ///
    /// Errors: `CommitUnknown`.
    pub(super) fn sync_now(&self) -> Result<()> {
        if self.options.durability == Durability::Always && self.directory.is_some() {
            return self.wait_until_durable();
        }
        let mut writer = self.lock_when_idle();
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
                self.note_trouble(Some(unknown(Some(same_error(&error)))));
                self.refuse(writer);
                Err(unknown(Some(error)))
            }
        }
    }
}

/// Syncs a database every so often, as long as it is open.
pub(super) fn sync_periodically(inner: &Arc<Inner>, milliseconds: u64) -> io::Result<()> {
    let inner: Weak<Inner> = Arc::downgrade(inner);
    let interval = Duration::from_millis(milliseconds.max(1));
    let work = move || {
        loop {
            std::thread::sleep(interval);
            let Some(inner) = inner.upgrade().filter(|inner| inner.check_open().is_ok()) else {
                return;
            };
            // A sync that fails refuses all further writes, which tells everyone who asks.
            if inner.sync_now().is_err_and(|error| error.code() == ErrorCode::CommitUnknown) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("nedb-sync".to_owned()).spawn(work).map(|_| ())
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
fn same_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn unknown(error: Option<io::Error>) -> Error {
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

/// Returns the tail that a state ends with.
pub(super) fn tail_of(state: &State) -> Tail {
    Tail { seq: state.views.seq, hash: state.head.clone() }
}
