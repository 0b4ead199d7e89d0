//! The file system of the machine.
//!
//! In: paths and bytes. Out: files that one writer appends to and anyone reads at any offset.

use super::LogBytes;
use super::filesystem::{FileSystem, LockFile, OpenHow, StoredFile};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk;

impl FileSystem for Disk {
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        // Append mode: no write can land anywhere but at the end, unless that is what is asked for.
        match how {
            OpenHow::Read => {}
            OpenHow::Append => drop(options.append(true).create(true)),
            OpenHow::CreateNew => drop(options.append(true).create_new(true)),
            OpenHow::Overwrite => drop(options.write(true)),
        }
        Ok(Arc::new(DiskFile { file: options.open(path)? }))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(creates).create(creates).truncate(false);
        Ok(Box::new(DiskLock { file: options.open(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>();
        names.map(|mut names| {
            names.sort();
            names
        })
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// An open file on the disk.
#[derive(Debug)]
struct DiskFile {
    file: File,
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
struct DiskLock {
    file: File,
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
