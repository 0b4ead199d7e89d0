//! Bytes: the only code that touches files.
//!
//! In: bytes to append, ranges to read. Out: bytes. A store knows nothing of lines, ops or hashes.
//!
//! Invariants:
//! * A log only grows, by `append`, but for a crash tail that recovery cuts.
//! * After `sync` returned, everything appended before it is on the disk.

mod directory;
mod disk;
mod lock;
mod memory;

use std::io;

pub(crate) use directory::{CutFile, Directory};
pub(crate) use disk::DiskFile;
pub(crate) use lock::{DirectoryLock, durable_bytes, is_held, process_id};
pub(crate) use memory::MemoryText;

/// A log that can be appended to. One writer holds it.
pub(crate) trait LogStore: Send {
    /// Appends bytes at the end. On an error it is unknown how many of them are there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives back what the writer holds, so that another process may write.
    fn release(&mut self) {}
}

/// A log that can be read while it is appended to.
pub(crate) trait LogBytes: Send + Sync {
    /// Fills `buffer` from `offset_bytes` and returns how many bytes there were, fewer only at the end.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Returns the length in bytes.
    fn len_bytes(&self) -> io::Result<u64>;
}
