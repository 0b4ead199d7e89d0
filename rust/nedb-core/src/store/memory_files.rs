//! A file system in memory: for the files of a database that has no directory.
//!
//! In: paths and bytes. Out: files that are gone when nobody holds them.
//!
//! Invariants:
//! * It answers as a disk does, but for locks, which it has none of: nobody else can open it.

use super::LogBytes;
use super::filesystem::{FileSystem, LockFile, OpenHow, StoredFile};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files and directories in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryFiles {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    files: BTreeMap<PathBuf, Arc<MemoryFile>>,
    directories: BTreeSet<PathBuf>,
}

impl FileSystem for MemoryFiles {
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        let mut entries = self.entries.lock();
        match (entries.files.get(path), how) {
            (Some(_), OpenHow::CreateNew) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(file), _) => Ok(Arc::clone(file) as Arc<dyn StoredFile>),
            (None, OpenHow::Read | OpenHow::Overwrite) => Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                let file = Arc::new(MemoryFile::default());
                entries.files.insert(path.to_path_buf(), Arc::clone(&file));
                Ok(file)
            }
        }
    }

    fn open_lock(&self, _path: &Path, _creates: bool) -> io::Result<Box<dyn LockFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut entries = self.entries.lock();
        let file = entries.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        entries.files.insert(to.to_path_buf(), file);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = self.entries.lock().files.remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        match self.entries.lock().directories.remove(path) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match self.entries.lock().directories.insert(path.to_path_buf()) {
            true => Ok(()),
            false => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = self.entries.lock();
        let inside = entries.files.keys().filter(|file| file.parent() == Some(path));
        let name = |file: &PathBuf| Some(file.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.is_directory(path) || self.entries.lock().files.contains_key(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.entries.lock().directories.contains(path)
    }
}

/// A file in memory.
#[derive(Debug, Default)]
struct MemoryFile {
    bytes: RwLock<Vec<u8>>,
}

impl StoredFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.write().extend_from_slice(bytes);
        Ok(())
    }

    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let mut held = self.bytes.write();
        let place = usize::try_from(offset_bytes).ok().and_then(|start| {
            let end = start.checked_add(bytes.len())?;
            held.get_mut(start..end)
        });
        place.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.bytes.write().truncate(usize::try_from(len_bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl LogBytes for MemoryFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bytes.read();
        let start = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.bytes.read().len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Directory;

    #[test]
    fn files_in_memory_are_created_listed_read_and_removed_as_on_a_disk() {
        let directory =
            Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true).unwrap();
        directory.create_subdirectory("blobs").unwrap();
        directory.create_subdirectory("blobs").unwrap();
        let file = directory.open_file("blobs/b", OpenHow::CreateNew).unwrap();
        file.append(b"hello").unwrap();
        file.append(b" there").unwrap();
        assert!(directory.open_file("blobs/b", OpenHow::CreateNew).is_err());
        assert!(directory.open_file("blobs/c", OpenHow::Read).is_err());
        assert_eq!(directory.list("blobs").unwrap(), ["b"]);
        let mut buffer = [0; 8];
        assert_eq!(file.read_at(6, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"there");
        file.overwrite(6, b"where").unwrap();
        file.overwrite(7, b"where").unwrap_err();
        file.read_at(6, &mut buffer).unwrap();
        assert_eq!(&buffer[..5], b"where");
        directory.replace("blobs/b", b"other").unwrap();
        assert_eq!(directory.read("blobs/b").unwrap().as_deref(), Some(&b"other"[..]));
        directory.remove("blobs/b").unwrap();
        assert!(directory.list("blobs").unwrap().is_empty());
        assert_eq!(file.len_bytes().unwrap(), 11, "who holds a file reads on");
    }
}
