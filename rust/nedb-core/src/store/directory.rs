//! One directory is one database: the names of its files, and how they are replaced.
//!
//! In: names relative to the directory, bytes. Out: bytes; errors that say what was being done.
//!
//! Invariants:
//! * A file is replaced whole or not at all: written aside, synced, renamed, its directory synced.
//! * What was kept aside (`log.aof.cut-…`, `log.aof.damaged-…`) is never overwritten.
//! * Names lead into the directory that was opened, whatever the process's working directory or the directory's
//!   own name become.

use super::filesystem::{FileSystem, OpenHow, StoredFile};
use super::{DirectoryLock, LogBytes, LogStore, lock};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{CHECKPOINT_BYTES_MAX, KEY_FILE_BYTES_MAX, META_FILE_BYTES_MAX};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const LOG_FILE_NAME: &str = "log.aof";
/// The log that a repair writes, until it takes the damaged one's place.
const REPAIRED_LOG_FILE_NAME: &str = "log.aof.repaired";
pub(super) const META_FILE_NAME: &str = "meta.json";
pub(super) const KEY_FILE_NAME: &str = "key.enc";
/// The subdirectory of the packs that hold the bytes of files.
pub(crate) const BLOBS_NAME: &str = "blobs";
/// Says from where on packs may not be on the disk.
pub(crate) const SYNCED_NAME: &str = "SYNCED";
/// Where NEDB 1.x kept its state, and the bytes of files.
pub(crate) const LEGACY_STATE_FILE_NAME: &str = "snapshot.json";
/// Written and removed again to see whether there is room.
const PROBE_FILE_NAME: &str = "room.probe";
/// More than one block of any file system.
const PROBE_BYTES: usize = 64 << 10;
/// How much is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// The directory of a database.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    files: Arc<dyn FileSystem>,
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
    pub fn open(files: Arc<dyn FileSystem>, path: &Path, for_writing: bool) -> Result<Directory> {
        let directory = Directory::at(files, path)?;
        let Directory { files, path } = &directory;
        if for_writing {
            create_synced(&**files, path)
                .map_err(|error| Error::storage(format!("create {}", path.display()), error))?;
        } else if !files.is_directory(path) {
            let missing = io::Error::new(io::ErrorKind::NotFound, "no such directory");
            return Err(Error::storage(format!("open {} for reading", path.display()), missing));
        }
        let held = files
            .hold(path)
            .map_err(|error| Error::storage(format!("open {}", path.display()), error))?;
        Ok(Directory { files: held.unwrap_or_else(|| Arc::clone(files)), path: path.clone() })
    }

    /// Names a directory, which may not be there.
    ///
    /// Errors: `StorageError` when the working directory, which a relative path begins with, is gone.
    pub fn at(files: Arc<dyn FileSystem>, path: &Path) -> Result<Directory> {
        let absolute = files.absolute(path);
        let path =
            absolute.map_err(|error| Error::storage(format!("find {}", path.display()), error))?;
        Ok(Directory { files, path })
    }

    /// Opens another directory for a copy: creates it, with its parents, or takes an empty one.
    ///
    /// Errors: `InvalidArgument` when there is something in it, `StorageError`.
    pub fn open_empty(files: Arc<dyn FileSystem>, path: &Path) -> Result<Directory> {
        let directory = Directory::open(files, path, true)?;
        if directory.list("")?.is_empty() {
            return Ok(directory);
        }
        Err(Error::invalid(format!(
            "{} is not empty; a backup goes into a directory of its own",
            path.display()
        )))
    }

    /// Returns the path by which it was opened, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file system that the directory stands in.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    /// Gives the directory back to the system: no name in it leads anywhere from then on, for every clone.
    pub fn close(&self) {
        self.files.let_go();
    }

    /// Takes the writer's lock.
    ///
    /// Errors: `DatabaseLocked` with the holder's pid, `StorageError`.
    pub fn lock(&self) -> Result<DirectoryLock> {
        let taken =
            DirectoryLock::take(&*self.files, &self.path).map_err(self.failed("lock", ""))?;
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

    /// Reads how much of the log is known to be on the disk, or None without a (whole) `LOCK`.
    pub fn durable_bytes(&self) -> Option<u64> {
        lock::durable_bytes(&*self.files, &self.path)
    }

    /// Tells whether some process holds the writer's lock.
    pub fn is_locked(&self) -> bool {
        lock::is_held(&*self.files, &self.path)
    }

    /// Opens the log; for a writer a missing one is created, and the directory synced.
    ///
    /// A log that is there may have been created by a process that came no further, so its name is
    /// synced too before anything in it is acknowledged.
    ///
    /// Errors: `StorageError`.
    pub fn open_log(&self, for_writing: bool) -> Result<Arc<dyn StoredFile>> {
        let how = if for_writing { OpenHow::Append } else { OpenHow::Read };
        let file = self.open_file(LOG_FILE_NAME, how)?;
        if for_writing {
            self.sync("")?;
        }
        Ok(file)
    }

    /// Checks that an open file is still the one that the directory names as its log.
    ///
    /// Cost: one call to the system. Errors: `NotFound` where the log is gone, or another one has its place.
    pub fn check_log_in_place(&self, log: &dyn LogBytes) -> io::Result<()> {
        let what = match self.files.identity(&self.path.join(LOG_FILE_NAME)) {
            Ok(named) if named == log.identity()? => return Ok(()),
            Ok(_) => "another file has taken the place of",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "somebody has removed",
            Err(error) => return Err(error),
        };
        let message = format!(
            "{what} {LOG_FILE_NAME} since it was opened; put it back, or close the database and open what is there"
        );
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }

    /// Writes the log from an offset to its end over itself, synced.
    ///
    /// Cost, errors: as `rewrite`.
    pub fn rewrite_log(&self, from_bytes: u64) -> Result<()> {
        self.rewrite(LOG_FILE_NAME, from_bytes)
    }

    /// Writes a file from an offset to its end over itself, synced.
    ///
    /// Where a sync failed before, the system may call bytes clean that are not on the disk, and a sync
    /// that succeeds later proves nothing of them. Written once more, they are dirty again.
    ///
    /// Cost: the bytes, read and written. Errors: `StorageError`.
    pub fn rewrite(&self, name: &str, from_bytes: u64) -> Result<()> {
        let rewrite = |file: &dyn StoredFile| {
            let len_bytes = file.len_bytes()?.saturating_sub(from_bytes);
            let mut buffer =
                vec![0; COPY_BYTES.min(usize::try_from(len_bytes).unwrap_or(COPY_BYTES))];
            let mut offset_bytes = from_bytes;
            loop {
                let count = file.read_at(offset_bytes, &mut buffer)?;
                if count == 0 {
                    return file.sync();
                }
                file.overwrite(offset_bytes, buffer.get(..count).unwrap_or_default())?;
                offset_bytes += count as u64;
            }
        };
        let file = self.open_file(name, OpenHow::Overwrite)?;
        rewrite(&*file).map_err(self.failed("write", name))
    }

    /// Copies the log from an offset on into `log.aof.cut-<seq>`, then cuts it there.
    ///
    /// Errors: `StorageError`; the log is whole then.
    pub fn cut_log(&self, log: &dyn StoredFile, at_bytes: u64, seq: i64) -> Result<CutFile> {
        let name = self.free_name(&format!("{LOG_FILE_NAME}.cut-{seq}"));
        let bytes = self.keep_aside(log, at_bytes, &name).map_err(|error| {
            let doing = format!(
                "keep what a crash left at the end of {} aside (make room, or open the database \
                 read-only)",
                self.path.display()
            );
            Error::storage(doing, error)
        })?;
        log.cut(at_bytes).and_then(|()| log.sync()).map_err(self.failed("cut", LOG_FILE_NAME))?;
        Ok(CutFile { path: self.path.join(name), bytes })
    }

    /// Copies the whole log to `log.aof.damaged-<seq>`, synced; returns where, and its length.
    ///
    /// Errors: `StorageError`; the log is untouched.
    pub fn keep_damaged_log(&self, seq: i64) -> Result<(PathBuf, u64)> {
        let name = self.free_name(&format!("{LOG_FILE_NAME}.damaged-{seq}"));
        let log = self.open_file(LOG_FILE_NAME, OpenHow::Read)?;
        let len_bytes =
            self.keep_aside(&*log, 0, &name).map_err(self.failed("copy", LOG_FILE_NAME))?;
        Ok((self.path.join(name), len_bytes))
    }

    /// Creates the log that is to take the damaged one's place, instead of one that a repair has left which did
    /// not come to its end.
    ///
    /// Errors: `StorageError`.
    pub fn create_repaired_log(&self) -> Result<Arc<dyn StoredFile>> {
        self.remove(REPAIRED_LOG_FILE_NAME)?;
        self.open_file(REPAIRED_LOG_FILE_NAME, OpenHow::CreateNew)
    }

    /// Removes what a repair that failed has written aside, and its copy of the damaged log, which is in its place;
    /// what cannot be removed stays.
    pub fn drop_repaired_log(&self, kept: &Path) {
        let _gone_or_not = self.remove(REPAIRED_LOG_FILE_NAME);
        let _gone_or_not = self.files.remove_file(kept);
    }

    /// Puts the log that was written aside, and synced, in the damaged one's place.
    ///
    /// Errors: `StorageError`; whether it is there is then seen at the next opening.
    pub fn take_repaired_log(&self) -> Result<()> {
        self.rename(REPAIRED_LOG_FILE_NAME, LOG_FILE_NAME)
    }

    /// Creates the log of a copy.
    ///
    /// Errors: `StorageError`.
    pub fn create_log(&self) -> Result<impl LogStore + use<>> {
        let file = self.open_file(LOG_FILE_NAME, OpenHow::CreateNew)?;
        Ok(CopiedLog { file, directory: self.clone() })
    }

    /// Removes what a copy that failed has left, and the directory; returns the names of what cannot be removed, and
    /// of the directory itself.
    pub fn remove_files(&self) -> Vec<String> {
        let subdirectory = self.path.join(BLOBS_NAME);
        for name in self.list(BLOBS_NAME).unwrap_or_default() {
            let _gone_or_not = self.files.remove_file(&subdirectory.join(name));
        }
        let _gone_or_not = self.files.remove_directory(&subdirectory);
        for name in self.list("").unwrap_or_default() {
            let _gone_or_not = self.files.remove_file(&self.path.join(name));
        }
        let removed = self.files.remove_directory(&self.path);
        if removed.is_ok() || !self.files.exists(&self.path) {
            return Vec::new();
        }
        let in_blobs = self.list(BLOBS_NAME).unwrap_or_default();
        let in_blobs = in_blobs.into_iter().map(|name| format!("{BLOBS_NAME}/{name}"));
        let names = self.list("").unwrap_or_default().into_iter().chain(in_blobs);
        let paths = names.map(|name| self.path.join(name));
        let all = std::iter::once(self.path.clone()).chain(paths);
        all.map(|path| path.display().to_string()).collect()
    }

    /// Reads `meta.json`, sealed as it is, or None when there is none.
    ///
    /// Errors: `StorageError`.
    pub fn read_meta(&self) -> Result<Option<Vec<u8>>> {
        self.read(META_FILE_NAME)
    }

    /// Replaces `meta.json`.
    ///
    /// Errors: `StorageError`; the old one is whole then.
    pub fn write_meta(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.replace(META_FILE_NAME, text.as_ref())
    }

    /// Tells whether there is something under a name.
    pub fn exists(&self, name: &str) -> bool {
        self.files.exists(&self.path.join(name))
    }

    /// Opens a file. A new one is on the disk for good once its directory was synced too.
    ///
    /// Errors: `StorageError`.
    pub fn open_file(&self, name: &str, how: OpenHow) -> Result<Arc<dyn StoredFile>> {
        self.files.open(&self.path.join(name), how).map_err(self.failed("open", name))
    }

    /// Reads a whole file, or None when there is none.
    ///
    /// Errors: `StorageError`; `IntegrityError` for one that is longer than any that was written.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = match self.files.open(&self.path.join(name), OpenHow::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", name)(error)),
        };
        let len_bytes = file.len_bytes().map_err(self.failed("read", name))?;
        let bytes_max = bytes_max_of(name);
        if len_bytes > bytes_max {
            let path = self.path.join(name);
            return Err(Error::integrity(format!(
                "{} is {len_bytes} bytes long, and at most {bytes_max} are ever written to it",
                path.display()
            )));
        }
        read_whole(&*file, len_bytes).map(Some).map_err(self.failed("read", name))
    }

    /// Replaces a file: written aside, synced, renamed, its directory synced.
    ///
    /// Errors: `StorageError`; the old one is whole then.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let aside = format!("{name}.new");
        self.write_synced(&aside, bytes)
            .and_then(|()| self.files.rename(&self.path.join(&aside), &self.path.join(name)))
            .map_err(self.failed("write", name))?;
        self.sync(parent_of(name))
    }

    /// Gives a file another name, in place of a file that has it, and syncs its directory.
    ///
    /// Errors: `StorageError`.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.files
            .rename(&self.path.join(from), &self.path.join(to))
            .map_err(self.failed("rename", from))?;
        self.sync(parent_of(to))
    }

    /// Removes a file; one that is not there is none.
    ///
    /// Errors: `StorageError`.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self.files.remove_file(&self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name)(error))
            }
            _ => Ok(()),
        }
    }

    /// Tries whether there is room for a small file.
    ///
    /// Errors: `StorageError`.
    pub fn probe_room(&self) -> Result<()> {
        let written = self.write_synced(PROBE_FILE_NAME, &[b' '; PROBE_BYTES]);
        let _gone_or_not = self.remove(PROBE_FILE_NAME);
        written.map_err(self.failed("write", PROBE_FILE_NAME))
    }

    /// Returns the names in a directory under this one, sorted; `""` is this one, and one that is not
    /// there is empty.
    ///
    /// Errors: `StorageError`.
    pub fn list(&self, subdirectory: &str) -> Result<Vec<String>> {
        match self.files.list(&self.path.join(subdirectory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(self.failed("list", subdirectory)),
        }
    }

    /// Creates a directory under this one, on the disk for good; one that is there stays.
    ///
    /// Errors: `StorageError`.
    pub fn create_subdirectory(&self, name: &str) -> Result<()> {
        match self.files.create_directory(&self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.failed("create", name)(error))
            }
            // One that is there may be there since an attempt whose sync failed.
            _ => self.sync(parent_of(name)),
        }
    }

    /// Returns once the names in a directory under this one are on the disk; `""` is this one.
    ///
    /// Errors: `StorageError`.
    pub fn sync(&self, subdirectory: &str) -> Result<()> {
        self.files
            .sync_directory(&self.path.join(subdirectory))
            .map_err(self.failed("sync", subdirectory))
    }

    fn free_name(&self, name: &str) -> String {
        // It may come twice at one seq: what was kept is never overwritten.
        let others = (1..).map(|n| format!("{name}.{n}"));
        let mut names = std::iter::once(name.to_owned()).chain(others);
        names.find(|name| !self.exists(name)).unwrap_or_else(|| name.to_owned())
    }

    /// Copies a log from an offset on, synced; returns how much that was. What fails leaves nothing.
    fn keep_aside(&self, log: &dyn StoredFile, from_bytes: u64, name: &str) -> io::Result<u64> {
        let copied = copy(log, from_bytes, &*self.files, &self.path.join(name))
            .and_then(|bytes| self.files.sync_directory(&self.path).map(|()| bytes));
        if copied.is_err() {
            let _gone_or_not = self.files.remove_file(&self.path.join(name));
        }
        copied
    }

    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let file = match self.files.open(&path, OpenHow::CreateNew) {
            // Left by a crash, whole or not.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.files.remove_file(&path)?;
                self.files.open(&path, OpenHow::CreateNew)?
            }
            opened => opened?,
        };
        file.append(bytes)?;
        file.sync()
    }

    /// Makes an error say what was being done with a file.
    fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.path.join(name);
        move |error| Error::storage(format!("{doing} {}", path.display()), error)
    }
}

fn parent_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Returns how long a file may be that is read whole.
fn bytes_max_of(name: &str) -> u64 {
    match name {
        META_FILE_NAME => META_FILE_BYTES_MAX,
        KEY_FILE_NAME | SYNCED_NAME => KEY_FILE_BYTES_MAX as u64,
        _ => CHECKPOINT_BYTES_MAX,
    }
}

fn read_whole(file: &dyn StoredFile, len_bytes: u64) -> io::Result<Vec<u8>> {
    let len_bytes = usize::try_from(len_bytes).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len_bytes];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn copy(
    from: &dyn StoredFile,
    mut offset_bytes: u64,
    files: &dyn FileSystem,
    to: &Path,
) -> io::Result<u64> {
    let to = files.open(to, OpenHow::CreateNew)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut copied_bytes = 0;
    loop {
        let count = from.read_at(offset_bytes, &mut buffer)?;
        if count == 0 {
            to.sync()?;
            return Ok(copied_bytes);
        }
        to.append(buffer.get(..count).unwrap_or_default())?;
        offset_bytes += count as u64;
        copied_bytes += count as u64;
    }
}

/// Creates a directory and its parents, and syncs each into the one that it stands in: an op that is
/// acknowledged must not be lost with the directory of its log. The last one that is there may have been
/// created by a process that came no further, so it is synced too.
fn create_synced(files: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let mut unsynced = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        unsynced.push(ancestor);
        if files.exists(ancestor) {
            break;
        }
    }
    for directory in unsynced.into_iter().rev() {
        if !files.exists(directory) {
            match files.create_directory(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        } else if !files.is_directory(directory) {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a file"));
        }
        sync_parent(files, directory)?;
    }
    Ok(())
}

fn sync_parent(files: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match files.sync_directory(parent) {
        // A directory may be one that we may write to and not read.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// The log of a copy, which nobody reads while it is written.
struct CopiedLog {
    file: Arc<dyn StoredFile>,
    directory: Directory,
}

impl LogStore for CopiedLog {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.directory.files.sync_directory(&self.directory.path)
    }
}
