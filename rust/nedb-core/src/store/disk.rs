//! The file system of the machine.
//!
//! In: paths and bytes. Out: files that one writer appends to and anyone reads at any offset.
//!
//! Invariants:
//! * A file is a regular one: no link is followed to it, and no pipe or device is waited for.
//! * What is created is its owner's alone.

#[cfg(not(unix))]
use super::disk_files::no_file;
#[cfg(unix)]
use super::disk_files::{DIRECTORY_MODE, FILE_MODE};
use super::disk_files::{DiskFile, DiskLock, check_regular, explain_link, identity_of};
use super::filesystem::{FileIdentity, FileSystem, LockFile, OpenHow, StoredFile};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
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
        Ok(Some(Arc::new(super::held::HeldDisk::open(directory, Arc::new(Disk))?)))
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
