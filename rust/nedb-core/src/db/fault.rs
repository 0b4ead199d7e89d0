//! A disk that fails: at the nth append or the nth sync, half an append, once or from then on.
//!
//! Whatever fails, the write is `CommitUnknown`, nothing of it is visible, later writes are refused,
//! reads go on, and what opens afterwards is a prefix of what was submitted that holds everything that
//! was acknowledged.

use super::{Database, Options, ReadOptions, WriteOptions};
use crate::error::{ErrorCode, Result};
use crate::store::LogStore;
use std::io;
use std::path::Path;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The nth append writes nothing.
    Append,
    /// The nth append writes this many bytes of what it should.
    ShortAppend(usize),
    /// The nth sync fails, once; the next would succeed.
    Sync,
}

/// A store that fails at the nth call.
struct FaultStore {
    inner: Box<dyn LogStore>,
    failure: Failure,
    calls_left: u32,
}

impl FaultStore {
    /// Counts a call, and tells whether it is the one that fails.
    fn fails(&mut self) -> bool {
        self.calls_left = self.calls_left.wrapping_sub(1);
        self.calls_left == u32::MAX
    }
}

impl LogStore for FaultStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.failure == Failure::Sync || !self.fails() {
            return self.inner.append(bytes);
        }
        if let Failure::ShortAppend(count) = self.failure {
            self.inner.append(&bytes[..count.min(bytes.len())])?;
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"))
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.failure == Failure::Sync && self.fails() {
            return Err(io::Error::other("the disk is gone"));
        }
        self.inner.sync()
    }

    fn release(&mut self) {
        self.inner.release();
    }
}

/// Opens a directory whose store fails after `calls` calls that do not.
fn open_failing(path: &Path, failure: Failure, calls: u32) -> Database {
    let db = Database::open(path, Options::default()).unwrap();
    db.inner
        .writer
        .lock()
        .wrap_store(|inner| Box::new(FaultStore { inner, failure, calls_left: calls }));
    db
}

fn write(db: &Database, n: u32) -> Result<String> {
    let idem = Some(format!("key {n}"));
    let options = WriteOptions { idem, ..WriteOptions::default() };
    db.put("c", &n.to_string(), &format!("{{\"n\":{n},\"t\":\"é\"}}"), &options)
}

fn read(db: &Database, n: u32) -> Option<String> {
    db.get("c", &n.to_string(), &ReadOptions::default()).unwrap()
}

const FAILURES: [Failure; 6] = [
    Failure::Append,
    Failure::ShortAppend(0),
    Failure::ShortAppend(1),
    Failure::ShortAppend(150),
    Failure::ShortAppend(usize::MAX),
    Failure::Sync,
];

/// Runs `check` with a database whose write number `acknowledged` has just failed.
fn for_each_failure(check: impl Fn(Failure, u32, Database, &Path)) {
    for failure in FAILURES {
        for acknowledged in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let db = open_failing(folder.path(), failure, acknowledged);
            (0..acknowledged).for_each(|n| drop(write(&db, n).unwrap()));
            let failed = write(&db, acknowledged).unwrap_err();
            assert_eq!(failed.code(), ErrorCode::CommitUnknown, "{failure:?}");
            check(failure, acknowledged, db, folder.path());
        }
    }
}

#[test]
fn a_failed_write_is_not_visible_and_reads_go_on() {
    for_each_failure(|failure, acknowledged, db, _| {
        assert_eq!(db.seq(), i64::from(acknowledged) - 1, "{failure:?}");
        assert_eq!(read(&db, acknowledged), None, "{failure:?}");
        assert!((0..acknowledged).all(|n| read(&db, n).is_some()), "{failure:?}");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{failure:?}");
    });
}

#[test]
fn after_a_failed_write_every_other_is_refused() {
    for_each_failure(|failure, acknowledged, db, path| {
        let before = std::fs::read(path.join("log.aof")).unwrap();
        let none = WriteOptions::default();
        let refusals = [
            write(&db, acknowledged).map(drop),
            db.delete("c", "0", &none).map(drop),
            db.link("a:b", "r", "c:d", &none).map(drop),
            db.checkpoint(None).map(drop),
            db.flush(),
        ];
        for refused in refusals {
            assert_eq!(refused.unwrap_err().code(), ErrorCode::CommitUnknown, "{failure:?}");
        }
        assert_eq!(std::fs::read(path.join("log.aof")).unwrap(), before, "{failure:?}");
        assert!(db.is_read_only(), "{failure:?}");
    });
}

#[test]
fn what_opens_after_a_failed_write_holds_everything_acknowledged() {
    for_each_failure(|failure, acknowledged, db, path| {
        let head = db.head();
        drop(db);
        let db = Database::open(path, Options::default()).unwrap();
        assert_eq!(db.open_report().damage, None, "{failure:?}");
        assert!((0..acknowledged).all(|n| read(&db, n).is_some()), "{failure:?}");
        assert!([acknowledged, acknowledged + 1].contains(&((db.seq() + 1) as u32)), "{failure:?}");
        if db.seq() + 1 == i64::from(acknowledged) {
            assert_eq!(db.head(), head, "{failure:?}");
        }
        // The retry that the error asks for writes it once, whatever became of it.
        let stored = write(&db, acknowledged).unwrap();
        assert_eq!(read(&db, acknowledged), Some(stored), "{failure:?}");
        assert_eq!(db.seq(), i64::from(acknowledged), "{failure:?}");
        assert!(db.verify().unwrap(), "{failure:?}");
    });
}

#[test]
fn closing_after_a_failed_sync_does_not_call_the_rest_synced() {
    for_each_failure(|failure, acknowledged, db, path| {
        let acknowledged_bytes = match acknowledged {
            0 => 0,
            _ => lines_bytes(path, acknowledged as usize),
        };
        db.close().unwrap();
        let lock = std::fs::read_to_string(path.join("LOCK")).unwrap();
        let expected = format!("{{\"durable_bytes\":{acknowledged_bytes},");
        assert!(lock.starts_with(&expected), "{failure:?}: {lock}, {expected}");
        Database::open(path, Options::default()).unwrap();
    });
}

fn lines_bytes(path: &Path, count: usize) -> usize {
    let log = std::fs::read(path.join("log.aof")).unwrap();
    log.split_inclusive(|byte| *byte == b'\n').take(count).map(<[u8]>::len).sum()
}

#[test]
fn a_batch_that_fails_leaves_a_prefix_of_itself() {
    for count in [0, 1, 300, 450, 700, usize::MAX] {
        let folder = tempfile::tempdir().unwrap();
        let db = open_failing(folder.path(), Failure::ShortAppend(count), 0);
        let documents: Vec<_> =
            (0..3).map(|n| (format!("{n}"), format!("{{\"n\":{n}}}"))).collect();
        let failed = db.put_many("c", &documents, &WriteOptions::default()).unwrap_err();
        assert_eq!((failed.code(), db.seq()), (ErrorCode::CommitUnknown, -1), "{count}");
        drop(db);
        let db = Database::open(folder.path(), Options::default()).unwrap();
        assert_eq!(db.open_report().damage, None, "{count}");
        for n in 0..3 {
            assert_eq!(read(&db, n).is_some(), i64::from(n) <= db.seq(), "{count}");
        }
        assert!(db.verify().unwrap(), "{count}");
    }
}

#[test]
fn a_transaction_that_fails_is_there_whole_or_not_at_all() {
    let items =
        r#"[{"op":"put","coll":"c","id":"0","doc":{}},{"op":"put","coll":"c","id":"1","doc":{}}]"#;
    for count in [0, 1, 100, 200, 300, usize::MAX] {
        let folder = tempfile::tempdir().unwrap();
        let db = open_failing(folder.path(), Failure::ShortAppend(count), 0);
        let failed = db.batch(items, &WriteOptions::default()).unwrap_err();
        assert_eq!(failed.code(), ErrorCode::CommitUnknown, "{count}");
        assert_eq!((read(&db, 0), read(&db, 1)), (None, None), "{count}");
        drop(db);
        let db = Database::open(folder.path(), Options::default()).unwrap();
        assert_eq!(read(&db, 0).is_some(), read(&db, 1).is_some(), "{count}");
        assert_eq!(read(&db, 0).is_some(), count == usize::MAX, "{count}");
    }
}
