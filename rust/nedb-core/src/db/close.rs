//! Syncing, closing, and what a handle says of itself.

use crate::db::database::{Database, Inner};
use crate::error::Result;
use crate::op::Seq;
use crate::store::Directory;
use std::path::Path;

impl Database {
    /// Returns once everything acknowledged is on the disk, also after a write that failed: of that its own call
    /// was told, and it was not acknowledged.
    ///
    /// Errors: `DatabaseClosed`; `CommitUnknown` once a sync has failed of what was acknowledged before: it may be
    /// on the disk or not, and no later sync tells.
    pub fn flush(&self) -> Result<()> {
        self.inner.engine.check_open()?;
        self.inner.engine.check_process()?;
        self.inner.engine.sync()?;
        self.inner.engine.check_in_place()
    }

    /// Returns the seq of the last op that is known to be on the disk; in memory, of the last op.
    ///
    /// With `Durability::Always` it is the seq of the last op.
    pub fn durable_seq(&self) -> Seq {
        match self.inner.directory {
            Some(_) => self.inner.engine.durable_seq(),
            None => self.seq(),
        }
    }

    /// Closes the database for every handle and lets another process write. Closing twice is harmless.
    ///
    /// Its files are closed too, whoever holds a handle or a reader still; calls that are under way end first.
    ///
    /// Where many ops came since the last checkpoint, the views are saved first, so that the next opening
    /// is quick; that this failed is a warning in the open report.
    ///
    /// Errors: `CommitUnknown` when what was acknowledged may not be on the disk, since the last sync failed or one
    /// before it; `StorageError` when the log is no longer where it was opened. It is closed all the same.
    pub fn close(&self) -> Result<()> {
        let inner = &*self.inner;
        if inner.engine.is_closed() {
            return Ok(());
        }
        if inner.engine.check_process().is_err() {
            // The lock and the log are the parent's: this copy of the handle only stops being used.
            inner.engine.close();
            return Ok(());
        }
        let stopped = inner.stop();
        inner.let_go_of_files();
        stopped
    }

    /// Tells whether a call made now would wait for another thread: a hint for a host that holds a lock
    /// of its own and lets go of it before it waits.
    ///
    /// Cost: two loads at the most.
    pub fn would_wait(&self, writes: bool) -> bool {
        self.inner.engine.would_wait(writes)
    }

    /// Tells whether the handle was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.engine.is_closed()
    }

    /// Tells whether writes are refused: opened read-only, damaged as far as is known, or after a write that
    /// failed.
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
            || self.inner.report.lock().damage.is_some()
            || self.inner.engine.read_though_closed().is_ok_and(|state| state.is_damaged())
            || self.inner.engine.has_failed()
    }

    /// Returns the directory, or None in memory.
    pub fn path(&self) -> Option<&Path> {
        self.inner.directory.as_ref().map(Directory::path)
    }
}

impl Inner {
    /// Closes what is open of the log and of the packs, and gives back the memory of texts.
    fn let_go_of_files(&self) {
        self.engine.close_reader();
        self.packs.close();
        if let Some(directory) = &self.directory {
            directory.close();
        }
        *self.legacy.lock() = None;
    }
}
