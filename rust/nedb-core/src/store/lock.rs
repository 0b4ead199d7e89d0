//! `LOCK`: held exclusively by the one process that writes.
//!
//! Its text is `{"durable_bytes":N,"pid":P}`, padded to one length, so that one write replaces it
//! whole, and stands there twice: where a crash tore that write, the two differ, and the smaller number is
//! one that was true. It is overwritten after each sync and not synced itself, but for the first time:
//! after a crash it may be older than the log, never newer. `durable_bytes` is left out by a holder that
//! found none and has not synced yet.

use super::filesystem::{FileSystem, LockFile, OpenHow};
use super::twice::{FILE_BYTES, texts, twice};
use crate::error::{Error, ErrorCode, Result};
use std::io;
use std::path::Path;
use std::time::Duration;

pub(super) const FILE_NAME: &str = "LOCK";
/// How often, and after how long a pause, a lock is tried again before it counts as held.
const TRY_COUNT: u32 = 10;
const TRY_INTERVAL: Duration = Duration::from_millis(2);
/// How often, and after how long a pause, a fork tries what a thread of its own may hold, or nobody ever gives back.
const FORK_TRY_COUNT: u32 = 50;
const FORK_TRY_INTERVAL: Duration = Duration::from_millis(2);

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
    ) -> io::Result<std::result::Result<DirectoryLock, Option<u32>>> {
        let file = files.open_lock(&directory.join(FILE_NAME), true)?;
        if !patiently(&*file)? {
            let pids = read_numbers(files, directory, "\"pid\":");
            return Ok(Err(pids.first().and_then(|pid| (*pid).try_into().ok())));
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
        file.overwrite(twice(&text).as_bytes())
    }

    /// Returns once the file is on the disk as it was last written.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync())
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

/// Takes a lock that only threads of this process hold, waiting for it if need be.
///
/// A fork copies locks that other threads of its parent held, and there nobody gives them back: it tries for a while,
/// and never waits otherwise. `opened_by` is the process that made the lock.
///
/// Cost: nothing beside the lock where it is free. Errors: `DatabaseLocked` in a fork.
#[inline]
pub(crate) fn take_or_refuse<T>(
    opened_by: u32,
    try_take: impl Fn() -> Option<T>,
    take: impl FnOnce() -> T,
) -> Result<T> {
    match try_take() {
        Some(taken) => Ok(taken),
        None => wait_or_refuse(opened_by, try_take, take),
    }
}

#[cold]
fn wait_or_refuse<T>(
    opened_by: u32,
    try_take: impl Fn() -> Option<T>,
    take: impl FnOnce() -> T,
) -> Result<T> {
    if opened_by == process_id() {
        return Ok(take());
    }
    let retry = |_| {
        std::thread::sleep(FORK_TRY_INTERVAL);
        try_take()
    };
    (0..FORK_TRY_COUNT).find_map(retry).ok_or_else(|| {
        Error::new(
            ErrorCode::DatabaseLocked,
            format!(
                "the database was opened by process {opened_by}, and this is a fork of it, taken while another \
                 thread was in the middle of something; open the database after the fork"
            ),
        )
    })
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
    read_numbers(files, directory, "\"durable_bytes\":").into_iter().min()
}

/// Reads what stands after a label, in each text that has it.
fn read_numbers(files: &dyn FileSystem, directory: &Path, label: &str) -> Vec<u64> {
    let mut bytes = [0; FILE_BYTES];
    let read = files
        .open(&directory.join(FILE_NAME), OpenHow::Read)
        .and_then(|file| file.read_at(0, &mut bytes));
    let count = read.unwrap_or(0);
    let texts = texts(bytes.get(..count).unwrap_or_default());
    texts.filter_map(|text| number_after(text, label)).collect()
}

fn number_after(text: &str, label: &str) -> Option<u64> {
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
            assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).unwrap().len(), FILE_BYTES);
        }
    }

    #[test]
    fn a_torn_text_says_no_more_than_was_true() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mut held = DirectoryLock::take(&Disk, folder.path()).unwrap().unwrap();
        let mut text_of = |bytes| {
            held.write_durable_bytes(bytes).unwrap();
            std::fs::read(&path).unwrap()
        };
        for (older, newer) in [(0, 9), (999, 1_000), (1_099, 1_100), (9_999, 10_001)] {
            let (old_text, new_text) = (text_of(older), text_of(newer));
            for torn_at in 0..=FILE_BYTES {
                for (first, second) in [(&old_text, &new_text), (&new_text, &old_text)] {
                    let torn = [&first[..torn_at], &second[torn_at..]].concat();
                    std::fs::write(&path, torn).unwrap();
                    let said = durable_bytes(&Disk, folder.path()).unwrap();
                    assert!(said <= newer, "{older}, {newer}, torn at {torn_at}: {said}");
                }
            }
        }
    }
}
