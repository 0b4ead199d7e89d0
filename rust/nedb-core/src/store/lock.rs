//! `LOCK`: held exclusively by the one process that writes.
//!
//! Its text is `{"durable_bytes":N,"pid":P}`, padded to one length, so that one write replaces it
//! whole. It is overwritten after each sync and not synced itself: after a crash it may be older than
//! the log, never newer. `durable_bytes` is left out by a holder that found none and has not synced yet.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

const FILE_NAME: &str = "LOCK";
/// How often, and after how long a pause, a lock is tried again before it counts as held.
const TRY_COUNT: u32 = 10;
const TRY_INTERVAL: Duration = Duration::from_millis(2);

/// A held lock; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: Option<File>,
}

impl DirectoryLock {
    /// Takes the lock of a directory and says whose it is, or returns the holder's pid, where it is
    /// known.
    pub fn take(directory: &Path) -> io::Result<Result<DirectoryLock, Option<u32>>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE_NAME))?;
        match patiently(&file) {
            Ok(()) => {
                let mut lock = DirectoryLock { file: Some(file) };
                // Folding a long log takes a while: whoever is refused meanwhile asks who holds it.
                lock.write(durable_bytes(directory))?;
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => {
                Ok(Err(read_number(directory, "\"pid\":").and_then(|pid| pid.try_into().ok())))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Says how much of the log is on the disk.
    pub fn write_durable_bytes(&mut self, durable_bytes: u64) -> io::Result<()> {
        self.write(Some(durable_bytes))
    }

    fn write(&mut self, durable_bytes: Option<u64>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let durable = durable_bytes.map_or(String::new(), |it| format!("\"durable_bytes\":{it},"));
        let text = format!("{{{durable}\"pid\":{}}}", process_id());
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("{text:<63}\n").as_bytes())
    }

    /// Lets go of the lock; the file stays, with what it says.
    pub fn release(&mut self) {
        self.file = None;
    }
}

/// Returns the number of this process.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Tells whether some process holds the lock of a directory.
pub(crate) fn is_held(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join(FILE_NAME)) else { return false };
    // A shared lock is let go of with the file, in a moment: whoever takes the lock is patient.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Takes a lock that readers may hold for a moment, to see whether anybody has it.
fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..TRY_COUNT {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_INTERVAL),
            outcome => return outcome,
        }
    }
    file.try_lock()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_that_a_refusal_names_is_not_that_of_an_earlier_holder() {
        let folder = tempfile::tempdir().unwrap();
        for (left, durable) in [(r#"{"durable_bytes":7,"pid":4194399}"#, Some(7)), ("", None)] {
            std::fs::write(folder.path().join(FILE_NAME), left).unwrap();
            let held = DirectoryLock::take(folder.path()).unwrap().unwrap();
            let refused = DirectoryLock::take(folder.path()).unwrap().unwrap_err();
            assert_eq!(refused, Some(std::process::id()));
            assert_eq!(durable_bytes(folder.path()), durable, "{left}");
            drop(held);
        }
    }

    #[test]
    fn a_new_text_replaces_the_old_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "x".repeat(64)).unwrap();
        let mut held = DirectoryLock::take(folder.path()).unwrap().unwrap();
        for bytes in [u64::MAX, 0] {
            held.write_durable_bytes(bytes).unwrap();
            assert_eq!(durable_bytes(folder.path()), Some(bytes));
            assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).unwrap().len(), 64);
        }
    }
}
