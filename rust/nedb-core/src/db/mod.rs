//! The database: the only way to write, and what a host calls.
//!
//! In: names, JSON texts, options. Out: JSON texts, seqs, typed errors.
//!
//! Invariants:
//! * Every write goes through `commit`; every read through a snapshot.
//! * A call that returns an error other than `CommitUnknown` has appended nothing and changed nothing.
//! * Nothing is visible before it is as durable as it will be acknowledged.
//!
//! | file | what it owns |
//! |---|---|
//! | `options` | what a database, a write and a read are told |
//! | `check` | every check of an argument |
//! | `open` | a directory or memory as a database; crash tails |
//! | `restore` | a log as a state, from the newest checkpoint file that fits; index definitions |
//! | `hold` | a directory, held against everyone who would write to it |
//! | `settings` | what the environment says of keys |
//! | `protect` | which key opens a directory; what changes the key |
//! | `encrypt` | a plain database, encrypted in place |
//! | `group` | the ops that one call admits: all or none |
//! | `admit` | nonces, idempotency, preconditions |
//! | `overlay` | what was admitted and is not folded yet |
//! | `commit` | batches of groups: append, sync, fold |
//! | `signal` | what became of a batch, for threads and tasks that wait for it |
//! | `committer` | the threads that wait where tasks may not |
//! | `worker` | a thread that does what it is called for |
//! | `write` | put, delete, link and their kin |
//! | `put_many` | many documents, one op each |
//! | `transaction` | several things as one op |
//! | `write_later` | the same for asynchronous hosts |
//! | `read` | get, query, neighbours, ops |
//! | `refresh` | a reader, moved on to what a writer has done since |
//! | `file`, `file_read` | files, written and read |
//! | `packs` | the bytes of files, until the database is closed |
//! | `file_check` | every chunk of every file, checked |
//! | `file_upkeep` | what files cost, and what can be given back |
//! | `rescue` | backup and repair |
//! | `standing` | a repair that was not acknowledged, finished |
//! | `carry` | the repair of a log whose seqs alone are wrong |
//! | `checkpoint` | the views saved: when asked for, and when closing |
//! | `keeper` | the thread that saves them every so many ops |
//! | `maintain` | indexes, verification, sweeping, closing |
//! | `watch` | what a host that serves others asks: listeners, position, counts of documents |
//! | `statistics` | what was done since opening, counted |
//! | `crash` | tests with a disk that fails and crashes |
//! | `saved_views` | tests of saved views against folded ones |
//! | `gate` | what tests hold a batch at, between its append and its sync |
//! | `steps` | tests of commit, one step after the other |
//! | `schedules` | tests of commit, in every order of steps |

mod admit;
mod carry;
mod check;
mod checkpoint;
mod commit;
mod committer;
#[cfg(test)]
mod crash;
mod derived;
mod encrypt;
mod file;
mod file_check;
mod file_read;
mod file_upkeep;
#[cfg(test)]
mod gate;
mod group;
mod hold;
mod keeper;
mod maintain;
mod open;
mod options;
mod overlay;
mod packs;
mod protect;
mod put_many;
mod read;
mod refresh;
mod rescue;
mod restore;
#[cfg(test)]
mod saved_views;
#[cfg(test)]
mod schedules;
mod settings;
mod signal;
mod standing;
mod statistics;
#[cfg(test)]
mod steps;
mod transaction;
mod watch;
mod worker;
mod write;
mod write_later;

use crate::blob::LegacyFiles;
use crate::crypto::Protection;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{Directory, process_id, take_or_refuse};
use crate::views::State;
use commit::Writer;
use committer::Committer;
use keeper::Keeper;
use packs::Packs;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

pub use derived::DerivedDamage;
pub use file::FileWriter;
pub use file_check::{FileDamage, FileDamages, VerifyFilesReport};
pub use file_read::{FileAt, FileInfo, FileProof, FileReader};
pub use file_upkeep::{CompactReport, CompressionStats};
pub use group::Receipt;
pub use hold::{DirectoryHold, hold_directory};
pub use maintain::VerifyReport;
pub use open::OpenReport;
pub use options::{Durability, Options, Progress, QueryOptions, ReadOptions, WriteOptions};
pub use protect::rewrap_key;
pub use rescue::{BackupOptions, BackupReport, RepairReport};
pub use statistics::{Distribution, Statistics};
pub use watch::Subscription;
pub use write::Update;

/// A database, open. Clones share it; every method may be called from any thread.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    state: RwLock<State>,
    writer: Mutex<Writer>,
    /// Told whenever a batch is over.
    progress: Condvar,
    /// The last op that is known to be on the disk.
    durable_seq: AtomicI64,
    /// Why the last write did not come into the log, or may not have; None once one has.
    trouble: Mutex<Option<Arc<Error>>>,
    has_trouble: AtomicBool,
    options: Options,
    directory: Option<Directory>,
    /// The process that opened it, and holds the lock on the directory if it writes.
    process_id: u32,
    /// How what is on the disk is sealed.
    protection: Arc<Protection>,
    /// The bytes of files.
    packs: Arc<Packs>,
    /// Those of NEDB 1.x, once they were asked for.
    legacy: Mutex<Option<Arc<LegacyFiles>>>,
    is_closed: AtomicBool,
    /// Whether a file says that the database was plain, until whoever has opened it was told.
    has_encryption_note: AtomicBool,
    report: Mutex<OpenReport>,
    watch: watch::Watch,
    counters: statistics::Counters,
    checkpoints: Arc<Keeper>,
    committer: Committer,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.inner.directory.as_ref().map(Directory::path);
        formatter.debug_struct("Database").field("path", &path).field("seq", &self.seq()).finish()
    }
}

impl Drop for Inner {
    /// Leaves nothing unsynced that was acknowledged, so that readers see it too; and a checkpoint where
    /// one is due.
    fn drop(&mut self) {
        if self.check_process().is_err() {
            // The threads stayed with the parent.
            return;
        }
        self.checkpoints.stop();
        self.committer.stop();
        let (durable_seq, seq) = (*self.durable_seq.get_mut(), self.state.get_mut().views.seq);
        if self.writer.get_mut().sync_at_the_end(durable_seq, seq) {
            self.save_at_the_end();
        }
        self.drop_encryption_note();
    }
}

impl Inner {
    /// Returns the state to read; a closed database has none.
    ///
    /// Errors: `DatabaseClosed`; `DatabaseLocked` in a fork where it can be had no more.
    fn read_state(&self) -> Result<RwLockReadGuard<'_, State>> {
        self.check_open()?;
        self.wait_to_read()
    }

    /// Returns the state to read, of a closed database too.
    ///
    /// Errors: `DatabaseLocked` in a fork that was taken while another thread changed it.
    fn wait_to_read(&self) -> Result<RwLockReadGuard<'_, State>> {
        take_or_refuse(self.process_id, || self.state.try_read(), || self.state.read())
    }

    /// Removes the note that the database was plain: whoever had it open was told. The lock is held.
    fn drop_encryption_note(&self) {
        if let (true, Some(directory)) =
            (self.has_encryption_note.swap(false, Ordering::AcqRel), &self.directory)
        {
            directory.drop_encryption_note();
        }
    }

    /// Checks that this is the process that may write: a fork copies the handle, and two copies would write one
    /// log. It comes before any lock: a fork copies those too that other threads held, and nobody gives them back.
    ///
    /// Errors: `DatabaseLocked`.
    fn check_process(&self) -> Result<()> {
        let may_write = self.directory.is_some() && !self.options.read_only;
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

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        Ok(())
    }
}
