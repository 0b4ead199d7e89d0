//! When a write is acknowledged: synced, synced every so often, or left to the operating system.
//!
//! Whatever is chosen, what is acknowledged is visible, a clean stop loses nothing, and `durable_seq`
//! never says more than was synced.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{Database, Durability, ErrorCode, Options, WriteOptions};
use std::path::Path;
use std::time::{Duration, Instant};

fn open(path: &Path, durability: Durability) -> Database {
    Database::open(path, Options { durability, ..Options::default() }).unwrap()
}

fn put(db: &Database, id: &str) {
    db.put("c", id, "{}", &WriteOptions::default()).unwrap();
}

/// What `LOCK` says is on the disk.
fn durable_bytes(path: &Path) -> u64 {
    let lock = std::fs::read_to_string(path.join("LOCK")).unwrap();
    let digits = lock.split_once("\"durable_bytes\":").unwrap().1;
    digits.split(',').next().unwrap().parse().unwrap()
}

fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(path.join("log.aof")).unwrap().len()
}

#[test]
fn always_syncs_before_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), Durability::Always);
    for n in 0..5 {
        put(&db, &n.to_string());
        assert_eq!(db.durable_seq(), db.seq());
        assert_eq!(durable_bytes(folder.path()), log_bytes(folder.path()));
    }
}

#[test]
fn never_syncs_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), Durability::Never);
    (0..5).for_each(|n| put(&db, &n.to_string()));
    assert_eq!((db.seq(), db.durable_seq()), (4, -1));
    assert_eq!(durable_bytes(folder.path()), 0);
    db.flush().unwrap();
    assert_eq!(db.durable_seq(), 4);
    assert_eq!(durable_bytes(folder.path()), log_bytes(folder.path()));
    put(&db, "last");
    assert_eq!((db.seq(), db.durable_seq()), (5, 4));
    db.close().unwrap();
    assert_eq!(durable_bytes(folder.path()), log_bytes(folder.path()), "closing syncs");
    assert_eq!(open(folder.path(), Durability::Always).seq(), 5);
}

#[test]
fn an_interval_syncs_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), Durability::Interval { milliseconds: 5 });
    (0..5).for_each(|n| put(&db, &n.to_string()));
    // However slow the machine is, the disk catches up some time; a minute is no measurement.
    let patience = Instant::now() + Duration::from_secs(60);
    while db.durable_seq() < 4 {
        assert!(Instant::now() < patience, "nothing was synced");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(durable_bytes(folder.path()), log_bytes(folder.path()));
    db.close().unwrap();
    assert_eq!(open(folder.path(), Durability::Always).seq(), 4);
}

#[test]
fn a_process_that_ends_without_closing_loses_nothing_however_it_syncs() {
    for durability in [Durability::Never, Durability::Interval { milliseconds: 60_000 }] {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path(), durability);
        (0..20).for_each(|n| put(&db, &n.to_string()));
        drop(db);
        assert_eq!(durable_bytes(folder.path()), log_bytes(folder.path()), "the last handle syncs");
        let db = open(folder.path(), Durability::Always);
        assert_eq!(db.seq(), 19, "{durability:?}");
        assert_eq!(db.open_report().cut_bytes, 0, "{durability:?}");
        assert!(db.verify().unwrap(), "{durability:?}");
    }
}

#[test]
fn threads_that_write_at_once_share_syncs_whatever_the_durability() {
    for durability in
        [Durability::Always, Durability::Never, Durability::Interval { milliseconds: 1 }]
    {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path(), durability);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let db = &db;
                scope.spawn(move || (0..50).for_each(|n| put(db, &format!("{thread}-{n}"))));
            }
        });
        db.flush().unwrap();
        assert_eq!((db.seq(), db.durable_seq()), (399, 399), "{durability:?}");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{durability:?}");
    }
}

#[test]
fn a_barrier_waits_for_what_was_admitted_before_it_and_not_for_all_who_come_after() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), Durability::Always);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let (over, database) = (&is_over, &db);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut n = 0;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    put(database, &format!("{thread}-{n}"));
                    n += 1;
                }
            });
        }
        // Each of these ends although the writers never pause: that they end is the test.
        for round in 0..20 {
            let before = database.seq();
            database.flush().unwrap();
            assert!(database.durable_seq() >= before);
            database.create_index("c", &format!("f{round}"), nedb_core::IndexKind::Eq).unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn a_durability_is_read_from_its_name_or_its_milliseconds() {
    assert_eq!(Durability::parse("always").unwrap(), Durability::Always);
    assert_eq!(Durability::parse("never").unwrap(), Durability::Never);
    assert_eq!(Durability::parse("100").unwrap(), Durability::Interval { milliseconds: 100 });
    for wrong in ["", "0", "-1", "1.5", "sometimes", "ALWAYS"] {
        assert_eq!(
            Durability::parse(wrong).unwrap_err().code(),
            ErrorCode::InvalidArgument,
            "{wrong}"
        );
    }
}
