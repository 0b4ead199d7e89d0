//! A database, open: what its handles share.

use crate::blob::LegacyFiles;
use crate::crypto::Protection;
use crate::db::checkpoint::AutoCheckpoint;
use crate::db::files::Packs;
use crate::db::open_report::{DerivedDamage, OpenReport};
use crate::db::options::Options;
use crate::engine::{Barrier, Engine, Next, Subscription};
use crate::error::Result;
use crate::limits::CHECKPOINT_ON_CLOSE_OPS_MIN;
use crate::store::Directory;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A database, open. Clones share it; every method may be called from any thread.
#[derive(Clone)]
pub struct Database {
    pub(in crate::db) inner: Arc<Inner>,
}

pub(in crate::db) struct Inner {
    pub engine: Arc<Engine>,
    pub options: Options,
    pub directory: Option<Directory>,
    /// How what is on the disk is sealed.
    pub protection: Arc<Protection>,
    /// The bytes of files.
    pub packs: Arc<Packs>,
    /// Those of NEDB 1.x, once they were asked for.
    pub legacy: Mutex<Option<Arc<LegacyFiles>>>,
    /// Whether a file says that the database was plain, until whoever has opened it was told.
    pub has_encryption_note: AtomicBool,
    pub report: Mutex<OpenReport>,
    pub checkpoints: Arc<AutoCheckpoint>,
    pub _asks_for_checkpoints: Option<Subscription>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.inner.directory.as_ref().map(Directory::path);
        let seq = self.inner.engine.seq();
        formatter.debug_struct("Database").field("path", &path).field("seq", &seq).finish()
    }
}

impl Drop for Inner {
    /// Leaves nothing unsynced that was acknowledged, so that readers see it too; and a checkpoint where
    /// one is due. What a reader of a file still reads stays open.
    fn drop(&mut self) {
        // The threads stayed with the parent of a fork.
        if !self.engine.is_closed() && self.engine.check_process().is_ok() {
            // Nobody is left to tell.
            let _synced_or_not = self.stop();
        }
    }
}

impl Database {
    pub(in crate::db) fn new(inner: Inner) -> Database {
        Database { inner: Arc::new(inner) }
    }

    /// Returns what opening found: how many ops, what was cut, what is damaged; also what was found to be
    /// damaged since.
    pub fn open_report(&self) -> OpenReport {
        let mut report = self.opening_report();
        if let (None, Ok(state)) = (&report.damage, self.inner.engine.read_though_closed()) {
            report.damage = state.log_damage().cloned();
            report.derived_damage = DerivedDamage::noted_in(&state);
        }
        report
    }

    /// Returns what opening found, and nothing that was found since to be damaged.
    pub(in crate::db) fn opening_report(&self) -> OpenReport {
        let mut report = self.inner.report.lock().clone();
        report.warnings.extend(self.inner.checkpoints.failure());
        report
    }
}

impl Inner {
    /// Puts another state and another log in the place of those that are there, and says what is known of them: the
    /// one place where that is done. Checkpoint files that were loaded say nothing of the new ones any more.
    pub fn install(&self, barrier: &mut Barrier<'_>, next: Next, report: OpenReport) {
        self.checkpoints.set_covered_seq(-1);
        *self.report.lock() = report;
        barrier.install(next);
    }

    /// Takes no more writes, and leaves everything acknowledged on the disk, and a checkpoint where one is due.
    ///
    /// Errors: `CommitUnknown` when what was acknowledged may not be on the disk; `StorageError` when the log is no
    /// longer where it was opened. It is stopped all the same.
    pub fn stop(&self) -> Result<()> {
        self.checkpoints.stop();
        let (mut barrier, synced) = self.engine.synced_barrier();
        let synced = match self.options.read_only {
            false => synced.and_then(|()| self.engine.check_in_place()),
            true => synced,
        };
        let takes_writes = barrier.check_takes_writes().is_ok();
        if !self.engine.close() {
            return Ok(());
        }
        // What may not be on the disk is not to be saved.
        if synced.is_ok() && takes_writes {
            self.save_at_the_end();
        }
        self.drop_encryption_note();
        barrier.close_log();
        drop(barrier);
        // It may wait for the writer.
        self.engine.stop_threads();
        synced
    }

    /// Saves the views when many ops came since they were saved last. Nobody may write any more, and
    /// everything must be on the disk.
    fn save_at_the_end(&self) {
        let (Some(directory), Ok(state)) = (&self.directory, self.engine.read_though_closed())
        else {
            return;
        };
        // What was met may be of the log or of these very views.
        if !state.is_damaged() {
            self.checkpoints.save_at_the_end(
                directory,
                &self.protection,
                &state,
                CHECKPOINT_ON_CLOSE_OPS_MIN,
            );
        }
    }

    /// Removes the note that the database was plain: whoever had it open was told. The lock is held.
    fn drop_encryption_note(&self) {
        if let (true, Some(directory)) =
            (self.has_encryption_note.swap(false, Ordering::AcqRel), &self.directory)
        {
            directory.drop_encryption_note();
        }
    }

    /// Checks, of a database that only reads and was plain, that it was not encrypted since: its packs are others
    /// then.
    ///
    /// Errors: `KeyRequired`, `StorageError`.
    pub fn check_not_encrypted_since(&self) -> Result<()> {
        match &self.directory {
            Some(directory) if self.options.read_only && self.protection.as_sealed().is_none() => {
                directory.check_still_plain()
            }
            _ => Ok(()),
        }
    }
}
