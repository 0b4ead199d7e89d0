//! The writer's side of a log file: appends, syncs, and says in `LOCK` how much is on the disk.
//!
//! It looks whether the log is still in its place before each batch that is going to be synced, and now and then
//! before others: an op in a file that nobody finds again is not durable.
//!
//! `LOCK` is synced once, with the first sync of a writer: from then on a crash leaves one that is whole and
//! that says nothing more than the log holds, whatever an earlier writer or a repair has found there.

use super::directory::Directory;
use super::{DirectoryLock, LogStore, StoredFile};
use crate::clock::Stopwatch;
use std::io;
use std::sync::Arc;

/// How long what is not synced may be appended without looking whether the log is in its place.
const LOOK_INTERVAL_US: u64 = 20_000;

/// A log file, and the lock that lets one process append to it.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Arc<dyn StoredFile>,
    directory: Directory,
    lock: DirectoryLock,
    len_bytes: u64,
    looked_at: Option<Stopwatch>,
    /// Whether `LOCK` is on the disk as some sync of this writer has left it.
    is_lock_synced: bool,
}

impl LogFile {
    /// Makes the writer of a directory's log, which is `len_bytes` long.
    pub fn new(
        directory: &Directory,
        file: Arc<dyn StoredFile>,
        lock: DirectoryLock,
        len_bytes: u64,
    ) -> Self {
        let directory = directory.clone();
        LogFile { file, directory, lock, len_bytes, looked_at: None, is_lock_synced: false }
    }
}

impl LogStore for LogFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.lock.write_durable_bytes(self.len_bytes)?;
        if !self.is_lock_synced {
            self.lock.sync()?;
            self.is_lock_synced = true;
        }
        Ok(())
    }

    fn check_in_place(&mut self, is_now: bool) -> io::Result<()> {
        if !is_now {
            if self.looked_at.as_ref().is_some_and(|at| at.elapsed_us() < LOOK_INTERVAL_US) {
                return Ok(());
            }
            self.looked_at = Some(Stopwatch::start());
        }
        self.directory.check_log_in_place(&*self.file)
    }

    fn take_back(&mut self) -> io::Result<()> {
        // A log that somebody has shortened is not made longer: zeros would stand where ops were.
        if self.file.len_bytes()? < self.len_bytes {
            return Err(io::Error::other("the log is shorter than what was written"));
        }
        self.file.cut(self.len_bytes)?;
        self.file.sync()
    }

    fn release(&mut self) {
        self.lock.release();
    }
}
