//! The file system of the machine.
//!
//! In: paths and bytes. Out: files that one writer appends to and anyone reads at any offset.
//!
//! Invariants:
//! * A file is a regular one: no link is followed to it, and no pipe or device is waited for.
//! * What is created is its owner's alone.

use super::LogBytes;
use super::filesystem::{FileIdentity, FileSystem, LockFile, OpenHow, StoredFile};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk, by path.
#[derive(Debug)]
pub(crate) struct Disk;

impl FileSystem for Disk {
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }

    #[cfg(unix)]
    fn hold(&self, directory: &Path) -> io::Result<Option<Arc<dyn FileSystem>>> {
        Ok(Some(Arc::new(super::held::HeldDisk::open(directory)?)))
    }

    fn identity(&self, path: &Path) -> io::Result<Option<FileIdentity>> {
        fs::symlink_metadata(path).map(|found| identity_of(&found))
    }

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
        Ok(Arc::new(DiskFile { file: open_regular(&mut options, path)? }))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(creates).create(creates).truncate(false);
        DiskLock::of(open_regular(&mut options, path)?, creates)
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
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIRECTORY_MODE);
        builder.create(path)
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
        // A link that leads nowhere is something too.
        path.symlink_metadata().is_ok()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// Who may read and write a new file: its owner.
pub(super) const FILE_MODE: u32 = 0o600;
/// The same of a directory.
pub(super) const DIRECTORY_MODE: u32 = 0o700;

/// Opens a file without following a link in its last name, and without waiting for the other end of a pipe.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed()).mode(FILE_MODE);
    }
    #[cfg(not(unix))]
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(no_file("a symbolic link"));
    }
    check_regular(options.open(path).map_err(explain_link)?)
}

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

fn no_file(what: &str) -> io::Error {
    let message =
        format!("it is {what}; a database consists of regular files in its own directory");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(unix)]
fn identity_of(found: &fs::Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    Some(FileIdentity { device: found.dev(), number: found.ino() })
}

#[cfg(not(unix))]
fn identity_of(_found: &fs::Metadata) -> Option<FileIdentity> {
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
