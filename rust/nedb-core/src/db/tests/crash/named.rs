//! Named behaviours of a write that fails: at the nth append or the nth sync, half an append, once.
//!
//! Whatever fails but for want of room, the write is `CommitUnknown`, nothing of it is visible, later writes are refused,
//! reads go on, and what opens afterwards is a prefix of what was submitted that holds everything that
//! was acknowledged. `failing` lets every call of every script fail; here the calls are chosen, and short
//! writes cut at chosen bytes.

use super::check::{open, open_as};
use super::course::PATH;
use crate::db::{Database, Durability, ReadOptions, WriteOptions};
use crate::error::{ErrorCode, Result};
use crate::store::{Failure, FaultDisk};
use std::io::ErrorKind;
use std::path::Path;

/// Where among the calls of one put its append and its sync are, and how many there are: `LOCK` is written
/// after them.
const APPEND: usize = 0;
const SYNC: usize = 1;
const CALLS_OF_A_PUT: usize = 3;

/// Opens a disk whose call of the given kind fails in the write after so many.
fn open_failing(failing: usize, failure: Failure, acknowledged: u32) -> (FaultDisk, Database) {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    disk.fail_at(acknowledged as usize * CALLS_OF_A_PUT + failing, failure);
    (disk, db)
}

fn log_of(disk: &FaultDisk) -> Vec<u8> {
    disk.read(Path::new(PATH).join("log.aof")).unwrap()
}

fn write(db: &Database, n: u32) -> Result<String> {
    let idem = Some(format!("key {n}"));
    let options = WriteOptions { idem, ..WriteOptions::default() };
    db.put("c", &n.to_string(), &format!("{{\"n\":{n},\"t\":\"é\"}}"), &options)
}

fn read(db: &Database, n: u32) -> Option<String> {
    db.get("c", &n.to_string(), &ReadOptions::default()).unwrap()
}

const FULL: ErrorKind = ErrorKind::StorageFull;
const BROKEN: ErrorKind = ErrorKind::Other;

const FAILURES: [(usize, Failure); 6] = [
    (APPEND, Failure::NoEffect(BROKEN)),
    (APPEND, Failure::First(0, BROKEN)),
    (APPEND, Failure::First(1, BROKEN)),
    (APPEND, Failure::First(150, BROKEN)),
    (APPEND, Failure::First(usize::MAX, BROKEN)),
    (SYNC, Failure::NoEffect(ErrorKind::Other)),
];

/// Runs `check` with a database whose write number `acknowledged` has just failed.
fn for_each_failure(check: impl Fn((usize, Failure), u32, Database, &FaultDisk)) {
    for failure in FAILURES {
        for acknowledged in 0..4 {
            let (disk, db) = open_failing(failure.0, failure.1, acknowledged);
            (0..acknowledged).for_each(|n| drop(write(&db, n).unwrap()));
            let failed = write(&db, acknowledged).unwrap_err();
            assert_eq!(failed.code(), ErrorCode::CommitUnknown, "{failure:?}");
            check(failure, acknowledged, db, &disk);
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
    for_each_failure(|failure, acknowledged, db, disk| {
        let before = log_of(disk);
        let none = WriteOptions::default();
        let refusals = [
            write(&db, acknowledged).map(drop),
            db.delete("c", "0", &none).map(drop),
            db.link("a:b", "r", "c:d", &none).map(drop),
            db.checkpoint(None).map(drop),
        ];
        for refused in refusals {
            assert_eq!(refused.unwrap_err().code(), ErrorCode::CommitUnknown, "{failure:?}");
        }
        assert_eq!(log_of(disk), before, "{failure:?}");
        assert!(db.is_read_only(), "{failure:?}");
    });
}

#[test]
fn a_flush_after_a_failed_write_is_a_barrier_for_what_was_acknowledged() {
    for_each_failure(|failure, acknowledged, db, disk| {
        let call_count = disk.calls().len();
        db.flush().unwrap();
        assert_eq!(disk.calls().len(), call_count, "{failure:?}: all of it is on the disk");
        check_images(disk, i64::from(acknowledged) - 1);
        db.close().unwrap();
    });
}

/// Opens a disk, and writes what is acknowledged unsynced; then the call of the given kind fails in a write.
fn open_unsynced(failing: usize, failure: Failure) -> (FaultDisk, Database) {
    let disk = FaultDisk::new();
    let db = open_as(&disk, Durability::Never).unwrap();
    (0..3).for_each(|n| drop(write(&db, n).unwrap()));
    disk.fail_at(failing, failure);
    (disk, db)
}

/// Looks for everything up to an op on whatever a crash may leave.
fn check_images(disk: &FaultDisk, seq: i64) {
    for image in disk.images(1) {
        let db = open(&image.disk).unwrap();
        assert!(db.open_report().damage.is_none(), "{}", image.name);
        assert!(db.seq() >= seq && db.verify().unwrap(), "{}: op {}", image.name, db.seq());
    }
}

#[test]
fn what_was_acknowledged_unsynced_is_synced_after_a_failed_append_by_whoever_asks() {
    let failed_append = |failure| {
        let (disk, db) = open_unsynced(APPEND, failure);
        assert_eq!(write(&db, 3).unwrap_err().code(), ErrorCode::CommitUnknown);
        assert_eq!((db.seq(), db.durable_seq()), (2, -1));
        (disk, db)
    };
    for (_, failure) in FAILURES.into_iter().filter(|(failing, _)| *failing == APPEND) {
        let (disk, db) = failed_append(failure);
        db.flush().unwrap();
        assert_eq!(db.durable_seq(), 2, "{failure:?}");
        check_images(&disk, 2);
        assert_eq!(write(&db, 4).unwrap_err().code(), ErrorCode::CommitUnknown, "{failure:?}");
        let (disk, db) = failed_append(failure);
        db.close().unwrap();
        check_images(&disk, 2);
        let (disk, db) = failed_append(failure);
        drop(db);
        check_images(&disk, 2);
    }
}

#[test]
fn after_a_failed_sync_no_flush_and_no_closing_says_that_all_is_on_the_disk() {
    // The append is none of the calls: what fails is the sync that flushing asks for.
    let (_, db) = open_unsynced(0, Failure::NoEffect(ErrorKind::Other));
    for _ in 0..2 {
        assert_eq!(db.flush().unwrap_err().code(), ErrorCode::CommitUnknown);
    }
    assert_eq!((db.seq(), db.durable_seq()), (2, -1));
    assert_eq!(db.close().unwrap_err().code(), ErrorCode::CommitUnknown);
    assert!(db.is_closed());
}

#[test]
fn what_opens_after_a_failed_write_holds_everything_acknowledged() {
    for_each_failure(|failure, acknowledged, db, disk| {
        let head = db.head();
        drop(db);
        let db = open(disk).unwrap();
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
    for_each_failure(|failure, acknowledged, db, disk| {
        let acknowledged_bytes = lines_bytes(disk, acknowledged as usize);
        db.close().unwrap();
        let lock = disk.read(Path::new(PATH).join("LOCK")).unwrap();
        let lock = String::from_utf8(lock).unwrap();
        let expected = format!("{{\"durable_bytes\":{acknowledged_bytes},");
        assert!(lock.starts_with(&expected), "{failure:?}: {lock}, {expected}");
        open(disk).unwrap();
    });
}

fn lines_bytes(disk: &FaultDisk, count: usize) -> usize {
    log_of(disk).split_inclusive(|byte| *byte == b'\n').take(count).map(<[u8]>::len).sum()
}

#[test]
fn a_batch_that_fails_leaves_a_prefix_of_itself() {
    for count in [0, 1, 300, 450, 700, usize::MAX] {
        let (disk, db) = open_failing(APPEND, Failure::First(count, BROKEN), 0);
        let documents: Vec<_> =
            (0..3).map(|n| (format!("{n}"), format!("{{\"n\":{n}}}"))).collect();
        let failed = db.put_many("c", &documents, &WriteOptions::default()).unwrap_err();
        assert_eq!((failed.code(), db.seq()), (ErrorCode::CommitUnknown, -1), "{count}");
        drop(db);
        let db = open(&disk).unwrap();
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
        let (disk, db) = open_failing(APPEND, Failure::First(count, BROKEN), 0);
        let failed = db.batch(items, &WriteOptions::default()).unwrap_err();
        assert_eq!(failed.code(), ErrorCode::CommitUnknown, "{count}");
        assert_eq!((read(&db, 0), read(&db, 1)), (None, None), "{count}");
        drop(db);
        let db = open(&disk).unwrap();
        assert_eq!(read(&db, 0).is_some(), read(&db, 1).is_some(), "{count}");
        assert_eq!(read(&db, 0).is_some(), count == usize::MAX, "{count}");
    }
}

/// How an append fails on a disk that is full.
const FULL_APPENDS: [Failure; 5] = [
    Failure::NoEffect(FULL),
    Failure::First(0, FULL),
    Failure::First(1, FULL),
    Failure::First(150, FULL),
    Failure::First(usize::MAX, FULL),
];

#[test]
fn a_write_that_finds_no_room_is_refused_and_those_after_it_stand() {
    for durability in [Durability::Always, Durability::Never] {
        for failure in FULL_APPENDS {
            let disk = FaultDisk::new();
            let db = open_as(&disk, durability).unwrap();
            write(&db, 0).unwrap();
            let (head, log) = (db.head(), log_of(&disk));
            disk.fail_at(APPEND, failure);
            let refused = write(&db, 1).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::StorageError, "{failure:?}");
            assert!(refused.is_no_space() && refused.message().contains(PATH), "{refused}");
            assert!(db.write_trouble().unwrap().is_no_space(), "{failure:?}");
            assert_eq!((db.seq(), db.head(), log_of(&disk)), (0, head, log), "{failure:?}");
            assert_eq!((read(&db, 1), db.is_read_only()), (None, false), "{failure:?}");
            // A crash of the machine leaves nothing of what was refused either.
            for image in disk.images(1) {
                assert!(open(&image.disk).unwrap().seq() <= 0, "{failure:?}, {}", image.name);
            }
            db.probe_writes().unwrap();
            assert!(db.write_trouble().is_none());
            write(&db, 2).unwrap();
            assert!(db.write_trouble().is_none() && db.verify().unwrap(), "{failure:?}");
            assert!(db.verify_determinism().unwrap(), "{failure:?}");
            db.close().unwrap();
            let db = open(&disk).unwrap();
            assert_eq!((db.seq(), read(&db, 1)), (1, None), "{failure:?}");
            assert!(read(&db, 2).is_some(), "{failure:?}");
        }
    }
}

#[test]
fn what_cannot_be_taken_back_from_a_full_disk_is_unknown() {
    for nth in [1, 2] {
        let disk = FaultDisk::new();
        let db = open(&disk).unwrap();
        disk.fail_at(0, Failure::Half(FULL));
        disk.fail_at(nth, Failure::NoEffect(BROKEN));
        let failed = write(&db, 0).unwrap_err();
        assert_eq!(failed.code(), ErrorCode::CommitUnknown, "{nth}");
        assert_eq!(db.write_trouble().unwrap().code(), ErrorCode::CommitUnknown);
        assert_eq!(write(&db, 1).unwrap_err().code(), ErrorCode::CommitUnknown);
    }
}

#[test]
fn what_was_gathered_while_a_full_disk_refused_is_refused_too_and_tried_again_stands() {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    write(&db, 0).unwrap();
    disk.fill();
    let writers = |expected: Option<ErrorCode>| {
        std::thread::scope(|scope| {
            for n in 1..9 {
                let db = &db;
                scope.spawn(move || {
                    let code = write(db, n).err().map(|error| error.code());
                    assert_eq!(code, expected, "{n}");
                });
            }
        });
    };
    writers(Some(ErrorCode::StorageError));
    assert_eq!(db.seq(), 0);
    disk.mend();
    writers(None);
    assert_eq!(db.seq(), 8);
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn many_documents_that_find_no_room_half_way_say_how_many_are_written() {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    let documents: Vec<_> =
        (0..3_000).map(|n| (format!("{n}"), format!("{{\"n\":{n}}}"))).collect();
    disk.fill_at(CALLS_OF_A_PUT);
    let failed = db.put_many("c", &documents, &WriteOptions::default()).unwrap_err();
    assert_eq!((failed.code(), db.seq()), (ErrorCode::CommitUnknown, 1_023));
    assert!(failed.message().contains("first 1024 documents"), "{failed}");
    disk.mend();
    db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    assert_eq!(db.seq(), 4_023);
    // What is refused is refused before the first is written, wherever it stands.
    let mut wrong = documents;
    wrong.last_mut().unwrap().1 = "[]".to_owned();
    let refused = db.put_many("c", &wrong, &WriteOptions::default()).unwrap_err();
    assert_eq!((refused.code(), db.seq()), (ErrorCode::InvalidArgument, 4_023));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn what_was_acknowledged_unsynced_is_not_called_durable_after_a_sync_that_failed_while_taking_back()
{
    let disk = FaultDisk::new();
    let db = open_as(&disk, Durability::Never).unwrap();
    write(&db, 0).unwrap();
    // The append finds no room, the cut is done, its sync fails once: what was written before may be lost by it.
    disk.fail_at(0, Failure::Half(FULL));
    disk.fail_at(2, Failure::NoEffect(BROKEN));
    assert_eq!(write(&db, 1).unwrap_err().code(), ErrorCode::CommitUnknown);
    assert_eq!(db.flush().unwrap_err().code(), ErrorCode::CommitUnknown);
    assert!(db.durable_seq() < 0);
}
