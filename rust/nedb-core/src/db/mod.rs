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
//! | `open` | a directory or memory as a database; crash tails; index definitions |
//! | `commit` | admit, append, sync, fold |
//! | `admit` | nonces, idempotency, preconditions, and the overlay of what is not folded yet |
//! | `write` | put, delete, link and their kin |
//! | `transaction` | several things as one op |
//! | `read` | get, query, neighbours, ops |
//! | `maintain` | indexes, checkpoints, verification, sweeping, closing |
//! | `fault` | tests with a disk that fails |

mod admit;
mod check;
mod commit;
#[cfg(test)]
mod fault;
mod maintain;
mod open;
mod options;
mod read;
mod transaction;
mod write;

use crate::error::{Error, ErrorCode, Result};
use crate::store::Directory;
use crate::views::State;
use commit::Writer;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use maintain::VerifyReport;
pub use open::OpenReport;
pub use options::{Options, ReadOptions, WriteOptions};
pub use write::Update;

/// A database, open. Clones share it; every method may be called from any thread.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    state: RwLock<State>,
    writer: Mutex<Writer>,
    options: Options,
    directory: Option<Directory>,
    is_closed: AtomicBool,
    report: Mutex<OpenReport>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.inner.directory.as_ref().map(Directory::path);
        formatter.debug_struct("Database").field("path", &path).field("seq", &self.seq()).finish()
    }
}

impl Inner {
    /// Returns the state to read; a closed database has none.
    fn read_state(&self) -> Result<RwLockReadGuard<'_, State>> {
        self.check_open()?;
        Ok(self.state.read())
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorCode::DatabaseClosed,
                "the database is closed; open it again to use it",
            ));
        }
        Ok(())
    }
}
