//! `LOCK`: held exclusively by the one process that writes.
//!
//! Its text is `{"durable_bytes":N,"pid":P}`, padded to one length, so that one write replaces it
//! whole. It is overwritten after each sync and not synced itself: after a crash it may be older than
//! the log, never newer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const FILE_NAME: &str = "LOCK";

/// A held lock; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: Option<File>,
}

impl DirectoryLock {
    /// Takes the lock of a directory, or returns the holder's pid, where it is known.
    pub fn take(directory: &Path) -> io::Result<Result<DirectoryLock, Option<u32>>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(Ok(DirectoryLock { file: Some(file) })),
            Err(TryLockError::WouldBlock) => {
                Ok(Err(read_number(directory, "\"pid\":").and_then(|pid| pid.try_into().ok())))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Says how much of the log is on the disk.
    pub fn write_durable_bytes(&mut self, durable_bytes: u64) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let text = format!("{{\"durable_bytes\":{durable_bytes},\"pid\":{}}}", std::process::id());
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("{text:<63}\n").as_bytes())
    }

    /// Lets go of the lock; the file stays, with what it says.
    pub fn release(&mut self) {
        self.file = None;
    }
}

/// Reads how much of the log is known to be on the disk, or None without a (whole) `LOCK`.
pub(crate) fn durable_bytes(directory: &Path) -> Option<u64> {
    read_number(directory, "\"durable_bytes\":")
}

fn read_number(directory: &Path, label: &str) -> Option<u64> {
    let mut text = String::new();
    File::open(directory.join(FILE_NAME)).ok()?.take(4_096).read_to_string(&mut text).ok()?;
    let (_, rest) = text.split_once(label)?;
    let end = rest.find(|character: char| !character.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}
