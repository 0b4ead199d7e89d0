//! One directory is one database: the names of its files, and how they are replaced.

use super::{DirectoryLock, DiskFile, LogBytes, LogStore};
use crate::error::{Error, ErrorCode, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOG_FILE_NAME: &str = "log.aof";
const META_FILE_NAME: &str = "meta.json";
const KEY_FILE_NAME: &str = "key.enc";

/// The directory of a database.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// A crash tail that was taken off the log and kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutFile {
    pub path: PathBuf,
    pub bytes: u64,
}

impl Directory {
    /// Opens a directory; creates it, with its parents, for a writer.
    ///
    /// Errors: `StorageError`.
    pub fn open(path: &Path, for_writing: bool) -> Result<Directory> {
        if for_writing {
            create_synced(path)
                .map_err(|error| Error::storage(format!("create {}", path.display()), error))?;
        } else if !path.is_dir() {
            let missing = io::Error::new(io::ErrorKind::NotFound, "no such directory");
            return Err(Error::storage(format!("open {} for reading", path.display()), missing));
        }
        Ok(Directory { path: path.to_path_buf() })
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether the database has a wrapped data key, and so is encrypted.
    pub fn has_key_file(&self) -> bool {
        self.path.join(KEY_FILE_NAME).exists()
    }

    /// Takes the writer's lock.
    ///
    /// Errors: `DatabaseLocked` with the holder's pid, `StorageError`.
    pub fn lock(&self) -> Result<DirectoryLock> {
        let taken = DirectoryLock::take(&self.path)
            .map_err(|error| Error::storage(format!("lock {}", self.path.display()), error))?;
        taken.map_err(|pid| {
            let holder = pid.map_or("another process".into(), |pid| format!("process {pid}"));
            Error::new(
                ErrorCode::DatabaseLocked,
                format!(
                    "{} is open for writing in {holder}; close it there, or open it read-only",
                    self.path.display()
                ),
            )
        })
    }

    /// Opens the log; for a writer a missing one is created and its directory synced.
    ///
    /// Errors: `StorageError`.
    pub fn open_log(&self, for_writing: bool) -> Result<Arc<DiskFile>> {
        let path = self.path.join(LOG_FILE_NAME);
        let is_new = !path.exists();
        let opened = DiskFile::open(&path, for_writing)
            .and_then(|file| if is_new { self.sync().map(|()| file) } else { Ok(file) });
        Ok(Arc::new(
            opened.map_err(|error| Error::storage(format!("open {}", path.display()), error))?,
        ))
    }

    /// Copies the log from an offset on into `log.aof.cut-<seq>`, then cuts it there.
    ///
    /// Errors: `StorageError`; the log is whole then.
    pub fn cut_log(&self, log: &DiskFile, at_bytes: u64, seq: i64) -> Result<CutFile> {
        let doing = || format!("keep the tail of {} aside", self.path.display());
        let storage = |error| Error::storage(doing(), error);
        let len = log.len_bytes().map_err(storage)?;
        let mut tail = vec![0; usize::try_from(len.saturating_sub(at_bytes)).unwrap_or(usize::MAX)];
        let count = log.read_at(at_bytes, &mut tail).map_err(storage)?;
        tail.truncate(count);
        let path = self.free_name(&format!("{LOG_FILE_NAME}.cut-{seq}"));
        if let Err(error) = write_synced(&path, &tail).and_then(|()| self.sync()) {
            let _gone_or_not = fs::remove_file(&path);
            return Err(Error::storage(
                format!(
                    "keep the {} bytes that a crash left at the end of {} aside (make room, or open \
                     the database read-only)",
                    tail.len(),
                    self.path.display()
                ),
                error,
            ));
        }
        log.cut(at_bytes).map_err(storage)?;
        Ok(CutFile { path, bytes: tail.len() as u64 })
    }

    /// Opens a directory for a copy: creates it, with its parents, or takes an empty one.
    ///
    /// Errors: `InvalidArgument` when there is something in it, `StorageError`.
    pub fn open_empty(path: &Path) -> Result<Directory> {
        let directory = Directory::open(path, true)?;
        let mut entries = fs::read_dir(path)
            .map_err(|error| Error::storage(format!("read {}", path.display()), error))?;
        match entries.next() {
            None => Ok(directory),
            Some(_) => Err(Error::invalid(format!(
                "{} is not empty; a backup goes into a directory of its own",
                path.display()
            ))),
        }
    }

    /// Creates the log of a copy.
    ///
    /// Errors: `StorageError`.
    pub fn create_log(&self) -> Result<PlainFile> {
        let path = self.path.join(LOG_FILE_NAME);
        let file = File::create_new(&path)
            .map_err(|error| Error::storage(format!("create {}", path.display()), error))?;
        Ok(PlainFile { file, directory: self.path.clone() })
    }

    /// Removes what a copy that failed has left; what cannot be removed stays.
    pub fn remove_files(&self) {
        for name in [LOG_FILE_NAME, META_FILE_NAME] {
            let _gone_or_not = fs::remove_file(self.path.join(name));
        }
        let _gone_or_not = fs::remove_dir(&self.path);
    }

    /// Copies the whole log to `log.aof.damaged-<seq>`, synced; returns where, and its length.
    ///
    /// Errors: `StorageError`; the log is untouched.
    pub fn keep_damaged_log(&self, seq: i64) -> Result<(PathBuf, u64)> {
        let from = self.path.join(LOG_FILE_NAME);
        let to = self.free_name(&format!("{LOG_FILE_NAME}.damaged-{seq}"));
        let copied = fs::copy(&from, &to).and_then(|len_bytes| {
            File::open(&to)?.sync_all()?;
            self.sync().map(|()| len_bytes)
        });
        match copied {
            Ok(len_bytes) => Ok((to, len_bytes)),
            Err(error) => Err(Error::storage(format!("copy {}", from.display()), error)),
        }
    }

    /// Reads `meta.json`, or None when there is none.
    ///
    /// Errors: `StorageError`.
    pub fn read_meta(&self) -> Result<Option<String>> {
        let path = self.path.join(META_FILE_NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::storage(format!("read {}", path.display()), error)),
        }
    }

    /// Replaces `meta.json`: written aside, synced, renamed, directory synced.
    ///
    /// Errors: `StorageError`; the old one is whole then.
    pub fn write_meta(&self, text: &str) -> Result<()> {
        let aside = self.path.join(format!("{META_FILE_NAME}.new"));
        write_synced(&aside, text.as_bytes())
            .and_then(|()| fs::rename(&aside, self.path.join(META_FILE_NAME)))
            .and_then(|()| self.sync())
            .map_err(|error| Error::storage(format!("write {}", aside.display()), error))
    }

    fn free_name(&self, name: &str) -> PathBuf {
        let first = self.path.join(name);
        let others = (1..).map(|n| self.path.join(format!("{name}.{n}")));
        // It may come twice at one seq: what was kept is never overwritten.
        std::iter::once(first.clone()).chain(others).find(|path| !path.exists()).unwrap_or(first)
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }
}

/// Creates a directory and its parents, and syncs each into the one that it stands in: an op that is
/// acknowledged must not be lost with the directory of its log.
fn create_synced(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if ancestor.exists() {
            break;
        }
        missing.push(ancestor);
    }
    fs::create_dir_all(path)?;
    for created in missing.into_iter().rev() {
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        match sync_directory(parent.unwrap_or(Path::new("."))) {
            // A directory may be one that we may write to and not read.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The log of a copy, which nobody reads while it is written.
#[derive(Debug)]
pub(crate) struct PlainFile {
    file: File,
    directory: PathBuf,
}

impl LogStore for PlainFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        sync_directory(&self.directory)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
