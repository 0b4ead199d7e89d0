//! `LOCK`: held exclusively by the one process that writes.
//!
//! Its text is `{"durable_bytes":N,"pid":P}`, padded to one length, so that one write replaces it
//! whole. It is overwritten after each sync and not synced itself: after a crash it may be older than
//! the log, never newer. `durable_bytes` is left out by a holder that found none and has not synced yet.

use super::filesystem::{FileSystem, LockFile, OpenHow};
use std::io;
use std::path::Path;
use std::time::Duration;

const FILE_NAME: &str = "LOCK";
/// The length of the text; more of the file is never read.
const TEXT_BYTES: usize = 64;
/// How often, and after how long a pause, a lock is tried again before it counts as held.
const TRY_COUNT: u32 = 10;
const TRY_INTERVAL: Duration = Duration::from_millis(2);

/// A held lock; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: Option<Box<dyn LockFile>>,
}

impl DirectoryLock {
    /// Takes the lock of a directory and says whose it is, or returns the holder's pid, where it is
    /// known.
    pub fn take(
        files: &dyn FileSystem,
        directory: &Path,
    ) -> io::Result<Result<DirectoryLock, Option<u32>>> {
        let file = files.open_lock(&directory.join(FILE_NAME), true)?;
        if !patiently(&*file)? {
            let pid = read_number(files, directory, "\"pid\":");
            return Ok(Err(pid.and_then(|pid| pid.try_into().ok())));
        }
        let mut lock = DirectoryLock { file: Some(file) };
        // Folding a long log takes a while: whoever is refused meanwhile asks who holds it.
        lock.write(durable_bytes(files, directory))?;
        Ok(Ok(lock))
    }

    /// Says how much of the log is on the disk.
    pub fn write_durable_bytes(&mut self, durable_bytes: u64) -> io::Result<()> {
        self.write(Some(durable_bytes))
    }

    fn write(&mut self, durable_bytes: Option<u64>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let durable = durable_bytes.map_or(String::new(), |it| format!("\"durable_bytes\":{it},"));
        let text = format!("{{{durable}\"pid\":{}}}", process_id());
        file.overwrite(format!("{text:<width$}\n", width = TEXT_BYTES - 1).as_bytes())
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
pub(super) fn is_held(files: &dyn FileSystem, directory: &Path) -> bool {
    let Ok(file) = files.open_lock(&directory.join(FILE_NAME), false) else { return false };
    // A shared lock is let go of with the file, in a moment: whoever takes the lock is patient.
    matches!(file.try_lock_shared(), Ok(false))
}

/// Takes a lock that readers may hold for a moment; tells whether nobody else has it.
fn patiently(file: &dyn LockFile) -> io::Result<bool> {
    for _ in 0..TRY_COUNT {
        if file.try_lock()? {
            return Ok(true);
        }
        std::thread::sleep(TRY_INTERVAL);
    }
    file.try_lock()
}

/// Reads how much of the log is known to be on the disk, or None without a (whole) `LOCK`.
pub(super) fn durable_bytes(files: &dyn FileSystem, directory: &Path) -> Option<u64> {
    read_number(files, directory, "\"durable_bytes\":")
}

fn read_number(files: &dyn FileSystem, directory: &Path, label: &str) -> Option<u64> {
    let mut text = [0; TEXT_BYTES];
    let file = files.open(&directory.join(FILE_NAME), OpenHow::Read).ok()?;
    let count = file.read_at(0, &mut text).ok()?;
    let text = std::str::from_utf8(text.get(..count)?).ok()?;
    let (_, rest) = text.split_once(label)?;
    let end = rest.find(|character: char| !character.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Disk;

    #[test]
    fn the_pid_that_a_refusal_names_is_not_that_of_an_earlier_holder() {
        let folder = tempfile::tempdir().unwrap();
        for (left, durable) in [(r#"{"durable_bytes":7,"pid":4194399}"#, Some(7)), ("", None)] {
            std::fs::write(folder.path().join(FILE_NAME), left).unwrap();
            let held = DirectoryLock::take(&Disk, folder.path()).unwrap().unwrap();
            let refused = DirectoryLock::take(&Disk, folder.path()).unwrap().unwrap_err();
            assert_eq!(refused, Some(std::process::id()));
            assert_eq!(durable_bytes(&Disk, folder.path()), durable, "{left}");
            drop(held);
        }
    }

    #[test]
    fn a_new_text_replaces_the_old_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "x".repeat(64)).unwrap();
        let mut held = DirectoryLock::take(&Disk, folder.path()).unwrap().unwrap();
        for bytes in [u64::MAX, 0] {
            held.write_durable_bytes(bytes).unwrap();
            assert_eq!(durable_bytes(&Disk, folder.path()), Some(bytes));
            assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).unwrap().len(), 64);
        }
    }
}
