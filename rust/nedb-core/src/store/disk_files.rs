//! Files of the machine, open.
//!
//! Invariants:
//! * A file is a regular one.

use super::LogBytes;
use super::filesystem::{FileIdentity, LockFile, StoredFile};
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};

/// Who may read and write a new file: its owner.
pub(super) const FILE_MODE: u32 = 0o600;
/// The same of a directory.
pub(super) const DIRECTORY_MODE: u32 = 0o700;

/// Hands a file on that is a regular one.
pub(super) fn check_regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file("no regular file")),
    }
}

/// Says in words what a system calls too many levels of links.
pub(super) fn explain_link(error: io::Error) -> io::Error {
    match error.kind() {
        #[cfg(unix)]
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            no_file("a symbolic link")
        }
        _ => error,
    }
}

/// Says what a file is that it must not be.
pub(super) fn no_file(what: &str) -> io::Error {
    let message =
        format!("it is {what}; a database consists of regular files in its own directory");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(unix)]
pub(super) fn identity_of(found: &fs::Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    Some(FileIdentity { device: found.dev(), number: found.ino() })
}

#[cfg(not(unix))]
pub(super) fn identity_of(_found: &fs::Metadata) -> Option<FileIdentity> {
    None
}

/// An open file on the disk.
#[derive(Debug)]
pub(super) struct DiskFile {
    pub file: File,
}

impl StoredFile for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(offset_bytes))?;
        (&self.file).write_all(bytes)
    }

    fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl LogBytes for DiskFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read_once(&self.file, rest, offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn identity(&self) -> io::Result<Option<FileIdentity>> {
        self.file.metadata().map(|found| identity_of(&found))
    }
}

#[cfg(unix)]
fn read_once(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset_bytes)
}

#[cfg(windows)]
fn read_once(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset_bytes)
}

/// A file on the disk that is there to be held.
#[derive(Debug)]
pub(super) struct DiskLock {
    file: File,
}

impl DiskLock {
    /// Makes the lock of an open file. One that is going to be written to must have no other name: under that it may
    /// be a file of somebody else's.
    pub fn of(file: File, is_written: bool) -> io::Result<Box<dyn LockFile>> {
        #[cfg(unix)]
        if is_written && std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 1 {
            return Err(no_file("a hard link to another file"));
        }
        let _has_one_name = is_written;
        Ok(Box::new(DiskLock { file }))
    }
}

impl LockFile for DiskLock {
    fn try_lock(&self) -> io::Result<bool> {
        was_free(self.file.try_lock())
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        was_free(self.file.try_lock_shared())
    }

    fn overwrite(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(0))?;
        (&self.file).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn was_free(taken: Result<(), TryLockError>) -> io::Result<bool> {
    match taken {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
