//! A directory of the machine, held open: names below its path lead into it, whatever becomes of the path.
//!
//! In: paths. Out: files, as `disk` gives them.
//!
//! A database works in the directory that it has opened, also once the process has another working directory,
//! the directory another name, or another directory the old one.
//!
//! Invariants:
//! * No link is followed below the directory, in any part of a name.
//! * A path that is not below the directory means what it says.

use super::disk_files::{
    DIRECTORY_MODE, DiskFile, DiskLock, FILE_MODE, check_regular, explain_link,
};
use super::filesystem::{FileIdentity, FileSystem, LockFile, OpenHow, StoredFile};
use parking_lot::RwLock;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A directory, held open, and the path that it was opened by.
#[derive(Debug)]
pub(super) struct HeldDisk {
    /// None once it was let go of.
    directory: RwLock<Option<Arc<File>>>,
    path: PathBuf,
    /// Where paths lead that are not below it.
    elsewhere: Arc<dyn FileSystem>,
}

/// A place below the directory: the directory that a name stands in, and the name.
struct Place<'p> {
    parent: Arc<File>,
    name: &'p Path,
}

impl HeldDisk {
    /// Opens a directory, which may be reached through links.
    pub fn open(path: &Path, elsewhere: Arc<dyn FileSystem>) -> io::Result<HeldDisk> {
        let directory = open_directory(rustix::fs::CWD, path, OFlags::empty())?;
        let directory = RwLock::new(Some(Arc::new(directory)));
        Ok(HeldDisk { directory, path: path.to_owned(), elsewhere })
    }

    /// Returns where a path leads below the directory; None for one that does not.
    fn place<'p>(&self, path: &'p Path) -> io::Result<Option<Place<'p>>> {
        let Ok(relative) = path.strip_prefix(&self.path) else { return Ok(None) };
        if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Ok(None);
        }
        let closed = || io::Error::new(io::ErrorKind::NotConnected, "the directory was closed");
        let mut parent = self.directory.read().clone().ok_or_else(closed)?;
        for part in relative.parent().into_iter().flat_map(Path::components) {
            parent = Arc::new(open_directory(parent.as_fd(), part.as_ref(), OFlags::NOFOLLOW)?);
        }
        let name = relative.file_name().map_or(Path::new("."), Path::new);
        Ok(Some(Place { parent, name }))
    }

    /// Does something below the directory, or, where a path leads elsewhere, on the disk.
    fn at<T>(
        &self,
        path: &Path,
        here: impl FnOnce(BorrowedFd<'_>, &Path) -> io::Result<T>,
        elsewhere: impl FnOnce(&dyn FileSystem) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.place(path)? {
            Some(Place { parent, name }) => here(parent.as_fd(), name),
            None => elsewhere(&*self.elsewhere),
        }
    }
}

fn open_directory(from: BorrowedFd<'_>, path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    let opened = openat(from, path, flags, Mode::empty());
    opened.map(File::from).map_err(|error| explain_link(error.into()))
}

fn open_file(from: BorrowedFd<'_>, name: &Path, how: OFlags) -> io::Result<File> {
    let flags = how | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = openat(from, name, flags, Mode::from_raw_mode(FILE_MODE));
    check_regular(opened.map_err(|error| explain_link(error.into()))?.into())
}

impl FileSystem for HeldDisk {
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.elsewhere.absolute(path)
    }

    fn hold(&self, directory: &Path) -> io::Result<Option<Arc<dyn FileSystem>>> {
        self.elsewhere.hold(directory)
    }

    fn let_go(&self) {
        *self.directory.write() = None;
    }

    fn identity(&self, path: &Path) -> io::Result<Option<FileIdentity>> {
        let here = |from: BorrowedFd<'_>, name: &Path| {
            let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            // The width of a device's number is not the same on every system.
            #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
            Ok(Some(FileIdentity { device: found.st_dev as u64, number: found.st_ino as u64 }))
        };
        self.at(path, here, |disk| disk.identity(path))
    }

    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        let flags = match how {
            OpenHow::Read => OFlags::RDONLY,
            OpenHow::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            OpenHow::CreateNew => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
            OpenHow::Overwrite => OFlags::RDWR,
        };
        let here = |from: BorrowedFd<'_>, name: &Path| {
            let file = open_file(from, name, flags)?;
            Ok(Arc::new(DiskFile { file }) as Arc<dyn StoredFile>)
        };
        self.at(path, here, |disk| disk.open(path, how))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>> {
        let flags = if creates { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDONLY };
        let here = |from: BorrowedFd<'_>, name: &Path| {
            DiskLock::of(open_file(from, name, flags)?, creates)
        };
        self.at(path, here, |disk| disk.open_lock(path, creates))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (self.place(from)?, self.place(to)?) {
            (Some(from), Some(to)) => Ok(renameat(&from.parent, from.name, &to.parent, to.name)?),
            _ => self.elsewhere.rename(from, to),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let here = |from: BorrowedFd<'_>, name: &Path| Ok(unlinkat(from, name, AtFlags::empty())?);
        self.at(path, here, |disk| disk.remove_file(path))
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        if path == self.path {
            return self.elsewhere.remove_directory(path);
        }
        let here =
            |from: BorrowedFd<'_>, name: &Path| Ok(unlinkat(from, name, AtFlags::REMOVEDIR)?);
        self.at(path, here, |disk| disk.remove_directory(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let here = |from: BorrowedFd<'_>, name: &Path| {
            Ok(mkdirat(from, name, Mode::from_raw_mode(DIRECTORY_MODE))?)
        };
        self.at(path, here, |disk| disk.create_directory(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let here = |from: BorrowedFd<'_>, name: &Path| {
            open_directory(from, name, OFlags::NOFOLLOW)?.sync_all()
        };
        self.at(path, here, |disk| disk.sync_directory(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let here = |from: BorrowedFd<'_>, name: &Path| {
            let directory = Dir::read_from(open_directory(from, name, OFlags::NOFOLLOW)?)?;
            let mut names = Vec::new();
            for entry in directory {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "." && name != ".." {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        self.at(path, here, |disk| disk.list(path))
    }

    fn exists(&self, path: &Path) -> bool {
        // Whether the directory still has its name is a question about that name.
        if path == self.path { self.elsewhere.exists(path) } else { self.identity(path).is_ok() }
    }

    fn is_directory(&self, path: &Path) -> bool {
        let here = |from: BorrowedFd<'_>, name: &Path| {
            open_directory(from, name, OFlags::NOFOLLOW).map(|_| true)
        };
        self.at(path, here, |disk| Ok(disk.is_directory(path))).unwrap_or(false)
    }
}
