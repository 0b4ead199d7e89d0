//! The writer's side of a log file: appends, syncs, and says in `LOCK` how much is on the disk.
//!
//! `LOCK` is synced once, with the first sync of a writer: from then on a crash leaves one that is whole and
//! that says nothing more than the log holds, whatever an earlier writer or a repair has found there.

use super::{DirectoryLock, LogStore, StoredFile};
use std::io;
use std::sync::Arc;

/// A log file, and the lock that lets one process append to it.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Arc<dyn StoredFile>,
    lock: DirectoryLock,
    len_bytes: u64,
    /// Whether `LOCK` is on the disk as some sync of this writer has left it.
    is_lock_synced: bool,
}

impl LogFile {
    /// Makes the writer of a log that is `len_bytes` long.
    pub fn new(file: Arc<dyn StoredFile>, lock: DirectoryLock, len_bytes: u64) -> Self {
        LogFile { file, lock, len_bytes, is_lock_synced: false }
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

    fn release(&mut self) {
        self.lock.release();
    }
}
