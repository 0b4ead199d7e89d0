//! The file system as this crate needs it: one door to the disk, in which a test can stand.
//!
//! In: paths and bytes. Out: bytes, and `io::Error`s as the system gave them.
//!
//! Invariants:
//! * A file only grows, by `append`, or is cut; what is replaced is replaced whole, by `rename`.
//! * What was appended is on the disk once `sync` has returned; that a file is there, or under another
//!   name, once its directory's `sync_directory` has.

use super::LogBytes;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenHow {
    /// To read what is there.
    Read,
    /// To append and read; a missing file is created.
    Append,
    /// To append and read a file that must not be there yet.
    CreateNew,
    /// To write over bytes that are there.
    Overwrite,
}

/// An open file.
pub(crate) trait StoredFile: LogBytes + Debug {
    /// Appends bytes at the end. On an error it is unknown how many of them are there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Writes bytes over some that are there; the file was opened for that.
    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to a length.
    fn cut(&self, len_bytes: u64) -> io::Result<()>;
    /// Returns once the file's bytes and its length are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// Which file of the machine one is: two names lead to one file when these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub device: u64,
    pub number: u64,
}

/// A file that a process can hold: the operating system lets go of it when the process ends.
pub(crate) trait LockFile: Debug + Send {
    /// Takes the file exclusively; tells whether it was free.
    fn try_lock(&self) -> io::Result<bool>;
    /// Takes the file together with others who read; tells whether nobody held it exclusively.
    fn try_lock_shared(&self) -> io::Result<bool>;
    /// Writes bytes over the first ones of the file. They are not synced.
    fn overwrite(&self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once the file's bytes are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// Files and directories by path.
pub(crate) trait FileSystem: Debug + Send + Sync {
    /// Returns a path that means the same whatever the working directory of the process becomes.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }
    /// Returns a file system in which paths below a directory lead into that directory, wherever it is moved and
    /// whatever takes its place; None where names are all there is.
    fn hold(&self, directory: &Path) -> io::Result<Option<Arc<dyn FileSystem>>> {
        let _by_name = directory;
        Ok(None)
    }
    /// Lets go of a directory that is held: paths below it lead nowhere from then on.
    fn let_go(&self) {}
    /// Returns which file stands under a path; None where files have no identity.
    ///
    /// Errors: `NotFound` where there is nothing.
    fn identity(&self, path: &Path) -> io::Result<Option<FileIdentity>> {
        let _unknown = path;
        Ok(None)
    }
    /// Opens a file.
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>>;
    /// Opens a file to lock it; `creates` says that a missing one is made.
    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>>;
    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory; its parent must be there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Returns once the names in a directory are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Returns the names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Tells whether there is something under a path.
    fn exists(&self, path: &Path) -> bool;
    /// Tells whether there is a directory under a path.
    fn is_directory(&self, path: &Path) -> bool;
}
