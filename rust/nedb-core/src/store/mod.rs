//! Bytes: the only code that touches files.
//!
//! In: bytes to append, ranges to read. Out: bytes. A store knows nothing of lines, ops or hashes.
//!
//! Invariants:
//! * A log only grows, by `append`, but for a crash tail that recovery cuts, and for what an append left that failed
//!   for want of room.
//! * After `sync` returned, everything appended before it is on the disk.
//!
//! | file | what it owns |
//! |---|---|
//! | `filesystem` | what is asked of a file system: the seam between this crate and a disk |
//! | `disk` | the file system of the machine |
//! | `disk_files` | files of the machine, open |
//! | `held` | a directory of the machine, held open |
//! | `directory` | the names of a database's files, and how they are replaced |
//! | `sealing` | how the files of a plain database give way to encrypted ones |
//! | `lock` | `LOCK`: who writes, and how much of the log is on the disk |
//! | `twice` | a short text that survives being torn |
//! | `log_file` | the writer's side of a log file |
//! | `memory` | the log of a database in memory |
//! | `memory_files` | the file system of a database in memory |
//! | `fault` | a disk that fails and crashes on purpose, in tests |

mod directory;
mod disk;
mod disk_files;
#[cfg(test)]
mod fault;
mod filesystem;
#[cfg(unix)]
mod held;
mod lock;
mod log_file;
mod memory;
mod memory_files;
mod sealing;
mod twice;

use std::io;

pub(crate) use directory::{BLOBS_NAME, CutFile, Directory, LEGACY_STATE_FILE_NAME, SYNCED_NAME};
pub(crate) use disk::Disk;
#[cfg(test)]
pub(crate) use fault::{Call, Failure, FaultDisk, Image, Lie, Random};
pub(crate) use filesystem::{FileIdentity, FileSystem, OpenHow, StoredFile};
pub(crate) use lock::{DirectoryLock, process_id, take_or_refuse};
pub(crate) use log_file::LogFile;
pub(crate) use memory::MemoryText;
pub(crate) use memory_files::MemoryFiles;
pub(crate) use twice::{FILE_BYTES as TWICE_FILE_BYTES, texts, twice};

/// A log that can be appended to. One writer holds it.
pub(crate) trait LogStore: Send {
    /// Appends bytes at the end. On an error it is unknown how many of them are there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Checks that the log is still where it was opened: what is appended to another place is not found again.
    /// `is_now` says that it must be looked at now, and not only now and then.
    fn check_in_place(&mut self, is_now: bool) -> io::Result<()> {
        let _always_in_place = is_now;
        Ok(())
    }
    /// Takes back, for good, what an append that failed may have left. Where that is not possible, it is unknown
    /// what the log holds.
    fn take_back(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Gives back what the writer holds, so that another process may write.
    fn release(&mut self) {}
}

/// A log that can be read while it is appended to.
pub(crate) trait LogBytes: Send + Sync {
    /// Fills `buffer` from `offset_bytes` and returns how many bytes there were, fewer only at the end.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Returns the length in bytes.
    fn len_bytes(&self) -> io::Result<u64>;
    /// Returns which file it is, whatever its name; None where files have no identity.
    fn identity(&self) -> io::Result<Option<FileIdentity>> {
        Ok(None)
    }
}
