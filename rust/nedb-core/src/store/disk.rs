//! A log file: appended to by one writer, read by anyone at any offset.

use super::{DirectoryLock, LogBytes, LogStore};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// An open log file.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: File,
}

impl DiskFile {
    /// Opens a log for reading, and for appending if asked; creates it then.
    pub fn open(path: &Path, for_writing: bool) -> io::Result<DiskFile> {
        let mut options = OpenOptions::new();
        options.read(true);
        if for_writing {
            // Append mode: no write can land anywhere but at the end.
            options.append(true).create(true);
        }
        Ok(DiskFile { file: options.open(path)? })
    }

    /// Cuts the file to a length and syncs it: what recovery does with a crash tail.
    pub fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)?;
        self.file.sync_all()
    }

    /// Appends bytes and syncs them: what recovery does with a missing last newline.
    pub fn append_and_sync(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        self.file.sync_data()
    }

    /// Makes the store through which one writer appends.
    pub fn into_store(self: &Arc<Self>, lock: DirectoryLock, len_bytes: u64) -> DiskStore {
        DiskStore { file: Arc::clone(self), lock, len_bytes }
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
}

#[cfg(unix)]
fn read_once(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset_bytes)
}

#[cfg(windows)]
fn read_once(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset_bytes)
}

/// The writer's side of a log file: appends, syncs, and says in `LOCK` how much is on the disk.
#[derive(Debug)]
pub(crate) struct DiskStore {
    file: Arc<DiskFile>,
    lock: DirectoryLock,
    len_bytes: u64,
}

impl LogStore for DiskStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&self.file.file).write_all(bytes)?;
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.file.sync_data()?;
        self.lock.write_durable_bytes(self.len_bytes)
    }

    fn release(&mut self) {
        self.lock.release();
    }
}
