//! What a crash leaves, and what opening makes of it.
//!
//! A crash leaves a prefix of what was written, its end torn. What was acknowledged, which is what
//! `LOCK` says, is never cut; what is cut is kept beside the log; and what was never acknowledged may
//! stay when it is whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, WriteOptions};
use std::fs;
use std::path::Path;
use support::{files, get, lines, log_of, open, open_read_only, ops, sample};

fn sample_log() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), sample::all_kinds);
    log_of(folder.path())
}

/// Returns where each line ends.
fn ends(log: &[u8]) -> Vec<usize> {
    lines(log)
        .iter()
        .scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        })
        .collect()
}

/// Opens a torn log, and sees that exactly the whole lines stay and the rest is kept aside.
fn check_torn(folder: &Path, log: &[u8], torn_at: usize, lock: &str) {
    let name = format!("torn at {torn_at} of {}, {lock}", log.len());
    let ends = ends(log);
    // A line whose newline alone is missing is whole.
    let whole = ends.iter().filter(|end| **end <= torn_at + 1).count();
    let kept = ends[whole - 1].min(torn_at);
    let db = open(folder);
    let report = db.open_report();
    assert_eq!((report.damage, db.seq() + 1), (None, whole as i64), "{name}");
    assert_eq!(report.cut_bytes, (torn_at - kept) as u64, "{name}");
    assert!(db.verify().unwrap(), "{name}");
    assert_eq!(log_of(folder), log[..ends[whole - 1]], "{name}");
    match report.cut_file {
        None => assert_eq!(kept, torn_at, "{name}"),
        Some(path) => {
            assert_eq!(fs::read(&path).unwrap(), log[kept..torn_at], "{name}");
            let called = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(called.starts_with(&format!("log.aof.cut-{whole}")), "{name}: {called}");
        }
    }
    if torn_at.is_multiple_of(29) {
        check_goes_on(db, folder, &name);
    }
}

/// What was recovered is written to, and opens again without a word.
fn check_goes_on(db: Database, folder: &Path, name: &str) {
    db.put("after", "crash", "{}", &WriteOptions::default()).unwrap();
    let (head, seq) = (db.head(), db.seq());
    db.close().unwrap();
    let db = open(folder);
    assert_eq!((db.head(), db.seq()), (head, seq), "{name}");
    assert_eq!(db.open_report().warnings, Vec::<String>::new(), "{name}");
    assert!(db.verify().unwrap(), "{name}");
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_line_wherever_the_sync_was() {
    let log = sample_log();
    let ends = ends(&log);
    let borders = &ends[ends.len() - 4..];
    for torn_at in borders[0]..log.len() {
        for durable in borders.iter().filter(|border| **border <= torn_at) {
            let folder = support::folder_with(&log[..torn_at], Some(*durable as u64));
            check_torn(folder.path(), &log, torn_at, &format!("synced to {durable}"));
        }
    }
}

#[test]
fn without_a_lock_file_only_a_torn_last_line_is_cut() {
    let log = sample_log();
    let from = ends(&log)[ends(&log).len() - 4];
    for torn_at in from..log.len() {
        let folder = support::folder_with(&log[..torn_at], None);
        check_torn(folder.path(), &log, torn_at, "no LOCK");
    }
}

#[test]
fn a_lock_file_that_says_nothing_is_as_good_as_none() {
    let log = sample_log();
    let garbage: [&[u8]; 9] = [
        b"",
        b"\n",
        b"\xff\xfe\x00",
        b"{\"durable_bytes\":",
        b"{\"durable_bytes\":12",
        b"{\"durable_bytes\":-1,\"pid\":1}",
        b"{\"durable_bytes\":99999999999999999999999,\"pid\":1}",
        b"{\"pid\":1}",
        &[0; 64],
    ];
    for lock in garbage {
        for torn_at in [log.len() - 1, log.len() - 2, log.len() - 100] {
            let folder = support::folder_with(&log[..torn_at], None);
            fs::write(folder.path().join("LOCK"), lock).unwrap();
            check_torn(folder.path(), &log, torn_at, &String::from_utf8_lossy(lock));
        }
    }
}

#[test]
fn a_batch_of_which_a_middle_page_never_reached_the_disk_is_cut_from_there() {
    let log = sample_log();
    let ends = ends(&log);
    let synced = ends[ends.len() - 4];
    for hole in [b'\0', b'\n', b'x'] {
        let mut torn = log.clone();
        let middle = ends[ends.len() - 3] + 20;
        torn[middle..middle + 40].fill(hole);
        let folder = support::folder_with(&torn, Some(synced as u64));
        let db = open(folder.path());
        let report = db.open_report();
        let kept = ends[ends.len() - 3];
        assert_eq!((report.op_count as usize, report.damage), (ends.len() - 2, None), "{hole}");
        assert_eq!(fs::read(report.cut_file.unwrap()).unwrap(), torn[kept..], "{hole}");
        assert_eq!(log_of(folder.path()), torn[..kept], "{hole}");
    }
}

#[test]
fn what_was_synced_is_never_cut_even_if_it_is_unreadable() {
    let log = sample_log();
    let ends = ends(&log);
    let before_last = ends[ends.len() - 2];
    for synced in [before_last + 1, log.len() - 1, log.len()] {
        let torn = &log[..log.len() - 10];
        let folder = support::folder_with(torn, Some(synced as u64));
        let db = open(folder.path());
        let damage = db.open_report().damage.unwrap();
        assert_eq!((damage.seq, damage.offset_bytes), (ends.len() as i64 - 1, before_last as u64));
        assert!(db.is_read_only() && !db.verify().unwrap());
        assert_eq!(log_of(folder.path()), torn);
    }
}

#[test]
fn a_whole_line_with_a_wrong_hash_is_no_crash_tail() {
    let log = sample_log();
    let ends = ends(&log);
    let wrong = support::mutate::replaced_in_line(&log, ends.len() - 1, "\"n\":2", "\"n\":3");
    for (synced, with_newline) in [(Some(0), 1), (Some(0), 0), (None, 1), (None, 0)] {
        let left = &wrong[..wrong.len() - 1 + with_newline];
        let folder = support::folder_with(left, synced);
        let db = open(folder.path());
        assert_eq!(db.open_report().damage.unwrap().seq, ends.len() as i64 - 1);
        assert_eq!(log_of(folder.path()), left);
    }
}

#[test]
fn a_torn_first_line_leaves_an_empty_database() {
    let log = sample_log();
    for (torn_at, durable) in [(0, None), (1, None), (50, Some(0)), (ends(&log)[0] - 2, None)] {
        let folder = support::folder_with(&log[..torn_at], durable);
        let db = open(folder.path());
        assert_eq!((db.seq(), db.head().as_str()), (-1, nedb_core::ZERO_HASH));
        assert!(db.verify().unwrap() && log_of(folder.path()).is_empty());
        db.put("a", "b", "{}", &WriteOptions::default()).unwrap();
        assert_eq!(db.seq(), 0);
    }
}

#[test]
fn a_last_line_without_its_newline_is_kept_and_gets_it() {
    for log in [sample_log(), log_of(support::copy_of("1.2.2", "basic").path())] {
        let count = lines(&log).len() as i64;
        let folder = support::folder_with(&log[..log.len() - 1], None);
        let db = open(folder.path());
        assert_eq!((db.seq() + 1, db.open_report().cut_bytes), (count, 0));
        assert_eq!(log_of(folder.path()), log);
        assert_eq!(ops(&db).unwrap().len() as i64, count);
        db.put("a", "b", "{}", &WriteOptions::default()).unwrap();
        assert!(db.verify().unwrap());
    }
}

#[test]
fn a_last_line_without_its_newline_can_be_read_by_a_reader() {
    let log = sample_log();
    let folder = support::folder_with(&log[..log.len() - 1], None);
    let db = open_read_only(folder.path()).unwrap();
    assert_eq!(get(&db, "many", "m2").as_deref(), Some(r#"{"_id":"m2","_seq":14,"n":2}"#));
    assert!(db.verify().unwrap());
    assert_eq!(log_of(folder.path()), log[..log.len() - 1], "a reader writes nothing");
    let writer = open(folder.path());
    writer.put("many", "m3", "{}", &WriteOptions::default()).unwrap();
    assert_eq!(db.refresh().unwrap(), 15);
    assert_eq!(get(&db, "many", "m3").as_deref(), Some(r#"{"_id":"m3","_seq":15}"#));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn a_reader_leaves_a_torn_tail_where_it_is() {
    let log = sample_log();
    let torn = &log[..log.len() - 10];
    let synced = ends(&log)[3] as u64;
    for durable in [None, Some(synced)] {
        let folder = support::folder_with(torn, durable);
        let before = files(folder.path());
        let db = open_read_only(folder.path()).unwrap();
        assert!(db.verify().unwrap() && db.open_report().damage.is_none());
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_second_crash_during_recovery_loses_nothing() {
    let log = sample_log();
    let end = *ends(&log).get(ends(&log).len() - 2).unwrap();
    let torn = &log[..log.len() - 10];
    let seq = lines(&log).len() - 1;
    // The tail was kept aside, whole or in part, and then the machine stopped again.
    for kept in [torn.len() - end, 5, 0] {
        let folder = support::folder_with(torn, Some(end as u64));
        let first = folder.path().join(format!("log.aof.cut-{seq}"));
        fs::write(&first, &torn[end..end + kept]).unwrap();
        let db = open(folder.path());
        assert_eq!((db.seq(), db.verify().unwrap()), (seq as i64 - 1, true));
        assert_eq!(fs::read(&first).unwrap(), torn[end..end + kept], "what was kept stays");
        let second = db.open_report().cut_file.unwrap();
        assert_ne!(second, first);
        assert_eq!(fs::read(second).unwrap(), torn[end..]);
        assert_eq!(log_of(folder.path()), log[..end]);
    }
}

#[test]
fn the_report_of_a_cut_tail_says_how_much_and_where_it_is() {
    let log = sample_log();
    let folder = support::folder_with(&log[..log.len() - 10], None);
    let report = open(folder.path()).open_report();
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("left by a crash"), "{:?}", report.warnings);
    assert!(report.warnings[0].contains("log.aof.cut-14"), "{:?}", report.warnings);
    assert!(report.to_json().contains(&format!("\"cut_bytes\":{}", report.cut_bytes)));
}
