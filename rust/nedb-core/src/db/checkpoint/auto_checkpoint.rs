//! The thread that saves the views every so many ops, beside the writes.
//!
//! In: how far the log is written. Out: a new checkpoint file.
//!
//! The thread makes views of its own, from the last checkpoint file and what the log holds beyond it: no
//! lock of the database is held while it folds and writes, and no writer waits for it.
//!
//! Invariants:
//! * A checkpoint covers only ops that are on the disk.
//! * The thread holds nothing that keeps the database open, and whoever closes it waits until the
//!   thread is gone: nothing is written once another process may have the directory.
//! * What goes wrong is told in the open report, and tried again after as many ops as before.

use crate::crypto::Protection;
use crate::db::restore::{self, Folded, LogSource, fold_log, read_definitions};
use crate::engine::{Engine, Subscription};
use crate::error::{Error, Result};
use crate::op::Seq;
use crate::store::{Directory, StoredFile};
use crate::views::{Checkpoint, State};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;

/// What is known of checkpoints while a database is open.
#[derive(Default)]
pub(in crate::db) struct AutoCheckpoint {
    every_ops: Option<u64>,
    /// Up to here nothing is worth saving: the last op that a usable file covers, or that seals it.
    covered_seq: AtomicI64,
    /// The last op for which the thread was asked.
    asked_seq: AtomicI64,
    /// Held while checkpoint files or `meta.json` are replaced.
    files: Mutex<()>,
    job: Mutex<Option<Job>>,
    job_changed: Condvar,
    is_stopping: AtomicBool,
    /// Why the last attempt failed, if it did.
    failure: Mutex<Option<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A part of a log that is to be covered.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct Job {
    pub seq: Seq,
    pub log_bytes: u64,
}

impl AutoCheckpoint {
    /// Makes the checkpoints of a database that is covered up to a seq, -1 for not at all.
    pub fn new(every_ops: Option<u64>, covered_seq: Seq) -> Arc<AutoCheckpoint> {
        Arc::new(AutoCheckpoint {
            every_ops,
            covered_seq: AtomicI64::new(covered_seq),
            asked_seq: AtomicI64::new(covered_seq),
            ..AutoCheckpoint::default()
        })
    }

    /// Starts the thread, if there is ever to be something to do for it. `must_sync` says that what was
    /// written may not be on the disk yet.
    ///
    /// Errors: `StorageError`.
    pub fn start(
        self: &Arc<AutoCheckpoint>,
        directory: Directory,
        protection: Arc<Protection>,
        must_sync: bool,
    ) -> Result<()> {
        if self.every_ops.is_none() {
            return Ok(());
        }
        let checkpoints = Arc::clone(self);
        let work = move || checkpoints.run(&directory, &protection, must_sync);
        let thread = std::thread::Builder::new().name("nedb-checkpoint".to_owned()).spawn(work);
        let starting = |error| Error::storage("start the thread that saves checkpoints", error);
        *self.thread.lock() = Some(thread.map_err(starting)?);
        Ok(())
    }

    /// Has a checkpoint asked for after each commit of an engine that makes it due; None where none ever is.
    pub fn asks_after_commits(self: &Arc<Self>, engine: &Engine) -> Option<Subscription> {
        let every_ops = self.every_ops?;
        let checkpoints = Arc::clone(self);
        Some(engine.subscribe(move |last| {
            let job = Job { seq: last.seq, log_bytes: last.log_bytes };
            checkpoints.ask_when_due(job, every_ops);
        }))
    }

    /// Asks for a checkpoint when so many ops came since the last was asked for.
    ///
    /// Cost: a load when it is not due.
    fn ask_when_due(&self, last: Job, every_ops: u64) {
        let seq = last.seq;
        let count = seq.saturating_sub(self.asked_seq.load(Ordering::Relaxed));
        if u64::try_from(count).is_ok_and(|count| count >= every_ops) {
            self.asked_seq.store(seq, Ordering::Relaxed);
            *self.job.lock() = Some(last);
            self.job_changed.notify_one();
        }
    }

    /// Ends the thread, and returns once it is gone.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        // With the lock, so that the thread is not just about to wait.
        drop(self.job.lock());
        self.job_changed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _whatever_became_of_it = thread.join();
        }
        // Another thread may be about to save what it was asked to; from here on none does.
        drop(self.files.lock());
    }

    /// Holds back everyone who replaces checkpoint files or `meta.json`.
    pub fn hold_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock()
    }

    /// Returns the last op that need not be saved again.
    pub fn covered_seq(&self) -> Seq {
        self.covered_seq.load(Ordering::Acquire)
    }

    /// Notes up to which op nothing need be saved again; the files must be held.
    pub fn set_covered_seq(&self, seq: Seq) {
        self.covered_seq.store(seq, Ordering::Release);
    }

    /// Saves the views of a database that is being closed, where at least so many ops came since they were saved.
    pub fn save_at_the_end(
        &self,
        directory: &Directory,
        protection: &Protection,
        state: &State,
        ops_min: u64,
    ) {
        let seq = state.views.seq;
        if self.is_due_at_the_end(seq, ops_min) {
            let _held = self.hold_files();
            let saved = restore::save(directory, protection, seq, Checkpoint::encode(state));
            self.note_outcome(&saved);
            if saved.is_ok() {
                self.set_covered_seq(seq);
            }
        }
    }

    /// Tells whether closing should save the views at a seq.
    fn is_due_at_the_end(&self, seq: Seq, ops_min: u64) -> bool {
        let least = if self.every_ops.is_some() { 1 } else { ops_min };
        u64::try_from(seq - self.covered_seq()).is_ok_and(|count| count >= least)
    }

    /// Notes that saving failed, or that it did not.
    pub fn note_outcome(&self, outcome: &Result<()>) {
        let reason = |error: &Error| format!("a checkpoint could not be saved: {error}");
        *self.failure.lock() = outcome.as_ref().err().map(reason);
    }

    /// Returns why the last checkpoint was not saved, if it was not.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    fn run(&self, directory: &Directory, protection: &Arc<Protection>, must_sync: bool) {
        while let Some(job) = self.next_job() {
            let outcome = self.save(directory, protection, job, must_sync);
            if !self.is_stopping() {
                self.note_outcome(&outcome);
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut job = self.job.lock();
        loop {
            if self.is_stopping() {
                return None;
            }
            if let Some(job) = job.take() {
                return Some(job);
            }
            self.job_changed.wait(&mut job);
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Makes a checkpoint file of a part of the log, unless one covers it; the caller's thread folds it.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn save(
        &self,
        directory: &Directory,
        protection: &Arc<Protection>,
        job: Job,
        must_sync: bool,
    ) -> Result<()> {
        // A handle of its own: a sync that fails is told to each handle once, and the writer's must hear
        // of it too.
        let file = directory.open_log(must_sync)?;
        if must_sync {
            file.sync().map_err(|error| Error::storage("sync the log", error))?;
        }
        let read = || read_definitions(directory, protection, &mut Vec::new());
        let definitions = read()?;
        let bytes = self.fold_and_encode((directory, protection), &file, &definitions, job)?;
        let _held = self.files.lock();
        let is_outdated = || Ok(read()? != definitions);
        if self.is_stopping() || self.covered_seq() >= job.seq || is_outdated()? {
            return Ok(());
        }
        restore::save(directory, protection, job.seq, bytes)?;
        self.set_covered_seq(job.seq);
        Ok(())
    }

    fn fold_and_encode(
        &self,
        (directory, protection): (&Directory, &Arc<Protection>),
        file: &Arc<dyn StoredFile>,
        definitions: &[restore::Definition],
        job: Job,
    ) -> Result<Vec<u8>> {
        let source = LogSource {
            directory,
            protection,
            file,
            definitions,
            end_bytes: job.log_bytes,
            cache_bytes: 0,
            may_be_ahead: true,
        };
        let stopped = || Error::storage("save a checkpoint", io::ErrorKind::Interrupted.into());
        let go_on = || if self.is_stopping() { Err(stopped()) } else { Ok(()) };
        let Folded { state, end, .. } = fold_log(&source, &mut |_| go_on())?;
        go_on()?;
        match end.fault {
            None if state.views.seq == job.seq => Ok(Checkpoint::encode(&state)),
            fault => Err(Error::integrity(format!(
                "the log is damaged at op {}: {}; run verify_report()",
                end.next_seq,
                fault.map_or("it holds other ops than were written".to_owned(), |it| it.reason())
            ))),
        }
    }
}

/// Makes the checkpoints of a database: how far it need not be saved again.
pub(in crate::db) fn auto_checkpoint_of(
    every_ops: Option<u64>,
    checkpoint_seq: Option<Seq>,
    is_sealed: bool,
) -> Arc<AutoCheckpoint> {
    let covered_seq = checkpoint_seq.map_or(-1, |seq| seq + Seq::from(is_sealed));
    AutoCheckpoint::new(every_ops, covered_seq)
}
