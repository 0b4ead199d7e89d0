//! Files on a disk that fails: what is acknowledged is readable, what is refused leaves no op.

use super::{Database, FileAt, Options};
use crate::error::ErrorCode;
use crate::op::Tier;
use crate::store::{Disk, FileSystem, LogBytes, OpenHow, StoredFile};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A disk on which the operations that change packs fail from one on, for so many.
#[derive(Debug)]
struct FailingPacks {
    disk: Disk,
    left: Arc<AtomicI64>,
    failing_count: i64,
}

#[derive(Debug)]
struct FailingPack {
    file: Arc<dyn StoredFile>,
    left: Arc<AtomicI64>,
    failing_count: i64,
}

fn step(left: &AtomicI64, failing_count: i64) -> io::Result<()> {
    let before = left.fetch_sub(1, Ordering::SeqCst);
    if before <= 0 && before > -failing_count {
        return Err(io::Error::other("the disk is full"));
    }
    Ok(())
}

impl FailingPacks {
    fn step(&self, path: &Path) -> io::Result<()> {
        let is_pack = path.components().any(|part| part.as_os_str() == "blobs");
        if is_pack { step(&self.left, self.failing_count) } else { Ok(()) }
    }
}

impl FileSystem for FailingPacks {
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        if how == OpenHow::CreateNew {
            self.step(path)?;
        }
        let file = self.disk.open(path, how)?;
        if path.extension().is_none_or(|extension| extension != "pack") {
            return Ok(file);
        }
        let (left, failing_count) = (Arc::clone(&self.left), self.failing_count);
        Ok(Arc::new(FailingPack { file, left, failing_count }))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn crate::store::LockFile>> {
        self.disk.open_lock(path, creates)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step(path)?;
        self.disk.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_directory(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.step(path)?;
        self.disk.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(path)?;
        self.disk.sync_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.disk.is_directory(path)
    }
}

impl StoredFile for FailingPack {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        step(&self.left, self.failing_count).inspect_err(|_| {
            // As a full disk does, it takes a part.
            let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
            let _as_much_as_went = self.file.append(part);
        })?;
        self.file.append(bytes)
    }

    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.overwrite(offset_bytes, bytes)
    }

    fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.file.cut(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        step(&self.left, self.failing_count)?;
        self.file.sync()
    }
}

impl LogBytes for FailingPack {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset_bytes, buffer)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }
}

/// Bytes of several chunks; those of neighbouring numbers share most of them.
fn content(number: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> = (0..120_000).map(|_| next()).collect();
    bytes.splice(50_000..50_000, number.to_string().into_bytes());
    bytes
}

fn put(db: &Database, number: u64) -> crate::Result<u64> {
    db.put_file("a", &content(number), Tier::Warm, &Default::default())
}

fn assert_holds(db: &Database, versions: &[u64]) {
    for (version, number) in versions.iter().enumerate() {
        let at = FileAt { version: Some(version as i64), ..FileAt::default() };
        assert!(db.get_file("a", &at).unwrap() == content(*number), "version {version}");
    }
    assert_eq!(db.file_versions("a", None).unwrap().len(), versions.len());
    assert_eq!(db.seq() + 1, versions.len() as i64);
}

/// Puts and compacts on a failing disk; returns whether anything failed.
fn run(first: i64, failing_count: i64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let left = Arc::new(AtomicI64::new(first));
    let files = FailingPacks { disk: Disk, left: Arc::clone(&left), failing_count };
    let mut standing = Vec::new();
    {
        let db = Database::open_in(Arc::new(files), folder.path(), Options::default()).unwrap();
        for number in 0..6 {
            let outcome = match number {
                2 | 5 => db.compact_blobs().map(|_| None),
                _ => put(&db, number).map(Some),
            };
            match outcome {
                Ok(Some(version)) => {
                    assert_eq!(version, standing.len() as u64);
                    standing.push(number);
                }
                Ok(None) => {}
                Err(error) => assert_eq!(error.code(), ErrorCode::StorageError, "{error}"),
            }
            assert_holds(&db, &standing);
        }
    }
    let has_failed = left.load(Ordering::SeqCst) < 0;
    // What a crash of the process leaves is what is there now.
    let db = Database::open(folder.path(), Options::default()).unwrap();
    assert_holds(&db, &standing);
    db.compact_blobs().unwrap();
    assert_holds(&db, &standing);
    assert_eq!(put(&db, 9).unwrap(), standing.len() as u64);
    standing.push(9);
    assert_holds(&db, &standing);
    has_failed
}

#[test]
fn one_failure_anywhere_leaves_every_acknowledged_version_readable() {
    let count = (0..).take_while(|first| run(*first, 1)).count();
    assert!(count > 10, "only {count} operations were tried");
}

#[test]
fn a_disk_that_fails_for_good_leaves_every_acknowledged_version_readable() {
    let count = (0..).take_while(|first| run(*first, i64::MAX)).count();
    assert!(count > 10, "only {count} operations were tried");
}
