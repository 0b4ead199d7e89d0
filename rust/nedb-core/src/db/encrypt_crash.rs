//! A plain database that is encrypted in place on a disk that stops, at every call.
//!
//! Whatever was done when it stopped, what opens afterwards is the whole plain database or the whole
//! encrypted one; and once it has opened with the key, no plain text is left.

use super::{Database, Options, ReadOptions, WriteOptions};
use crate::crypto::Tmk;
use crate::error::ErrorCode;
use crate::op::Tier;
use crate::snapshot::IndexKind;
use crate::store::{Disk, FileSystem, LockFile, LogBytes, OpenHow, StoredFile};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SECRET: &str = "a secret that nobody may read";

/// A disk that does so many more things, and then nothing: of the append that it stops at it writes half.
#[derive(Clone, Debug)]
struct Stopping {
    calls_left: Arc<AtomicU64>,
}

impl Stopping {
    fn after(calls: u64) -> Self {
        Stopping { calls_left: Arc::new(AtomicU64::new(calls)) }
    }

    fn has_stopped(&self) -> bool {
        self.calls_left.load(Ordering::Relaxed) == 0
    }

    fn call(&self) -> io::Result<()> {
        let left = self.calls_left.load(Ordering::Relaxed);
        match left {
            0 => Err(io::Error::other("the power is off")),
            1 => {
                self.calls_left.store(0, Ordering::Relaxed);
                Err(io::Error::other("the power goes off"))
            }
            _ => {
                self.calls_left.store(left - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl FileSystem for Stopping {
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        if how != OpenHow::Read && !Disk.exists(path) {
            self.call()?;
        }
        let file = Disk.open(path, how)?;
        Ok(Arc::new(StoppingFile { file, disk: self.clone() }))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>> {
        Disk.open_lock(path, creates)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.remove_directory(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.sync_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Disk.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        Disk.exists(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        Disk.is_directory(path)
    }
}

#[derive(Debug)]
struct StoppingFile {
    file: Arc<dyn StoredFile>,
    disk: Stopping,
}

impl StoredFile for StoppingFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.disk.has_stopped() {
            return Err(io::Error::other("the power is off"));
        }
        self.disk.call().inspect_err(|_| {
            self.file.append(&bytes[..bytes.len() / 2]).unwrap();
        })?;
        self.file.append(bytes)
    }

    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.call()?;
        self.file.overwrite(offset_bytes, bytes)
    }

    fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.disk.call()?;
        self.file.cut(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call()?;
        self.file.sync()
    }
}

impl LogBytes for StoppingFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset_bytes, buffer)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }
}

fn key() -> Tmk {
    Tmk::new([3; 32])
}

fn options(tmk: Option<Tmk>) -> Options {
    Options { tmk, ..Options::default() }
}

/// A plain database with documents, an index, a file, a crash's end and the state of NEDB 1.x.
fn plain(path: &Path) -> String {
    let db = Database::open(path, options(None)).unwrap();
    db.create_index("c", "secret", IndexKind::Eq).unwrap();
    for n in 0..3 {
        let document = format!("{{\"secret\":\"{SECRET}\",\"n\":{n}}}");
        db.put("c", &n.to_string(), &document, &WriteOptions::default()).unwrap();
    }
    db.put_file("f", SECRET.as_bytes(), Tier::Warm, &WriteOptions::default()).unwrap();
    let head = db.head();
    db.close().unwrap();
    for name in ["log.aof.cut-9", "snapshot.json"] {
        std::fs::write(path.join(name), format!("{{\"t\":\"{SECRET}\"}}")).unwrap();
    }
    head
}

fn holds_plain_text(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().any(|path| match path.is_dir() {
        true => holds_plain_text(&path),
        false => {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(SECRET.len()).any(|it| it == SECRET.as_bytes())
        }
    })
}

/// Asks everything of a database that was plain, and says whether it is encrypted now.
fn check(db: &Database, head: &str, at: &str) {
    assert_eq!(db.open_report().damage, None, "{at}");
    for n in 0..3 {
        let row = db.get("c", &n.to_string(), &ReadOptions::default()).unwrap();
        assert!(row.is_some_and(|row| row.contains(SECRET)), "{at}");
    }
    let file = db.get_file("f", &super::FileAt::default()).unwrap();
    assert_eq!(file, SECRET.as_bytes(), "{at}");
    assert_eq!(db.indexes().unwrap().len(), 1, "{at}");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{at}");
    match db.is_encrypted() {
        false => assert_eq!((db.seq(), db.head().as_str()), (3, head), "{at}"),
        true => {
            assert_eq!(db.seq(), 4, "{at}");
            let note = db.op(4).unwrap().unwrap();
            assert!(note.contains(&format!("\"prev_hash\":\"{head}\"")), "{at}: {note}");
        }
    }
}

/// Opens with the key on a disk that stops; whether it stopped.
fn encrypt_until(path: &Path, calls: u64) -> bool {
    let disk = Stopping::after(calls);
    let opened = Database::open_in(Arc::new(disk.clone()), path, options(Some(key())));
    // Closing must not do what a process that is gone does not do.
    if let Ok(db) = opened {
        drop(db);
    }
    disk.has_stopped()
}

#[test]
fn a_crash_at_any_call_leaves_the_whole_plain_or_the_whole_encrypted_database() {
    let (mut plain_count, mut encrypted_count) = (0, 0);
    for calls in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let head = plain(folder.path());
        let has_stopped = encrypt_until(folder.path(), calls);
        let at = format!("stopped at call {calls}");
        match Database::open(folder.path(), options(None)) {
            Ok(db) => {
                plain_count += 1;
                assert!(!db.is_encrypted());
                check(&db, &head, &at);
                db.close().unwrap();
            }
            Err(error) => {
                encrypted_count += 1;
                assert_eq!(error.code(), ErrorCode::KeyRequired, "{at}: {error}");
            }
        }
        let db = Database::open(folder.path(), options(Some(key()))).unwrap();
        assert!(db.is_encrypted());
        check(&db, &head, &at);
        assert!(!holds_plain_text(folder.path()), "{at}");
        drop(db);
        let db = Database::open(folder.path(), options(Some(key()))).unwrap();
        assert_eq!(db.open_report().warnings, [""; 0], "{at}");
        check(&db, &head, &at);
        if !has_stopped {
            break;
        }
    }
    assert!(plain_count > 10 && encrypted_count > 5, "{plain_count} {encrypted_count}");
}

#[test]
fn a_second_crash_while_the_first_is_mended_takes_nothing_either() {
    for first in (1..).step_by(3) {
        let folder = tempfile::tempdir().unwrap();
        let head = plain(folder.path());
        let has_stopped = encrypt_until(folder.path(), first);
        for second in 1.. {
            if !encrypt_until(folder.path(), second) {
                break;
            }
            let at = format!("stopped at call {first} and then at {second}");
            // Reading beside it writes nothing, and either reads the whole or says why not.
            for tmk in [None, Some(key())] {
                let reading = Options { read_only: true, ..options(tmk) };
                match Database::open(folder.path(), reading) {
                    Ok(db) => check(&db, &head, &at),
                    Err(error) => assert!(
                        [ErrorCode::KeyRequired, ErrorCode::PlainDatabase].contains(&error.code()),
                        "{at}: {error}"
                    ),
                }
            }
        }
        let at = format!("stopped at call {first} and mended");
        check(&Database::open(folder.path(), options(Some(key()))).unwrap(), &head, &at);
        assert!(!holds_plain_text(folder.path()), "{at}");
        if !has_stopped {
            break;
        }
    }
}

#[test]
fn a_crash_while_a_database_is_made_or_its_key_changed_locks_nobody_out() {
    let other = Tmk::new([4; 32]);
    for calls in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let made = !encrypt_until(&path, calls);
        let db = Database::open(&path, options(Some(key()))).unwrap();
        db.put("c", "a", "{}", &WriteOptions::default()).unwrap();
        drop(db);
        let disk = Stopping::after(calls);
        let changed = Database::open_in(Arc::new(disk.clone()), &path, options(Some(key())))
            .and_then(|db| db.rewrap_key(&key(), &other));
        let old = Database::open(&path, options(Some(key())));
        let new = Database::open(&path, options(Some(other.clone())));
        assert!(old.is_ok() != new.is_ok(), "one of them opens it, stopped at call {calls}");
        assert!(changed.is_err() || new.is_ok());
        let db = old.or(new).unwrap();
        assert!(db.get("c", "a", &ReadOptions::default()).unwrap().is_some());
        if made && changed.is_ok() {
            break;
        }
    }
}
