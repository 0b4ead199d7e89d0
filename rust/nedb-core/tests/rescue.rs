//! Backup and repair: a copy that opens with the head it reports, and a damaged log made whole as far as
//! it can be proven.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{Database, ErrorCode, IndexKind, Options, Params, ReadOptions, WriteOptions};
use std::fs;
use std::path::Path;

fn open(path: &Path) -> Database {
    Database::open(path, Options::default()).unwrap()
}

fn put(db: &Database, id: &str) {
    db.put("c", id, "{\"t\":\"é\",\"n\":1}", &WriteOptions::default()).unwrap();
}

fn get(db: &Database, id: &str) -> Option<String> {
    db.get("c", id, &ReadOptions::default()).unwrap()
}

fn log(path: &Path) -> Vec<u8> {
    fs::read(path.join("log.aof")).unwrap()
}

/// Writes five documents and changes one character of the last line but two.
fn damage(path: &Path) -> Vec<u8> {
    let db = open(path);
    (0..5).for_each(|n| put(&db, &n.to_string()));
    db.close().unwrap();
    let text = String::from_utf8(log(path)).unwrap();
    let mut damaged: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let at = damaged.len() - 3;
    damaged[at] = damaged[at].replace("\"n\":1", "\"n\":2");
    fs::write(path.join("log.aof"), damaged.concat()).unwrap();
    damaged.concat().into_bytes()
}

#[test]
fn a_backup_opens_with_the_head_that_it_reports() {
    let folder = tempfile::tempdir().unwrap();
    for db in [open(&folder.path().join("db")), Database::in_memory(Options::default()).unwrap()] {
        (0..50).for_each(|n| put(&db, &n.to_string()));
        db.create_index("c", "n", IndexKind::Eq).unwrap();
        let copy = folder.path().join(format!("copy-{}", db.path().is_some()));
        let report = db.backup(&copy).unwrap();
        assert_eq!((report.seq, &report.head), (49, &db.head()));
        assert_eq!(report.log_bytes, log(&copy).len() as u64);
        put(&db, "later");
        let copied = open(&copy);
        assert_eq!((copied.seq(), copied.head()), (report.seq, report.head));
        assert_eq!((get(&copied, "7"), get(&copied, "later")), (get(&db, "7"), None));
        assert_eq!(copied.indexes().unwrap(), db.indexes().unwrap());
        assert!(copied.verify().unwrap());
    }
}

#[test]
fn a_backup_is_consistent_while_writes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("db"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..400).for_each(|n| put(&db, &n.to_string())));
        for round in 0..5 {
            let copy = folder.path().join(format!("copy-{round}"));
            let report = db.backup(&copy).unwrap();
            let copied = open(&copy);
            assert_eq!((copied.seq(), copied.head()), (report.seq, report.head));
            let rows = copied.query("FROM c", &Params::none()).unwrap();
            assert_eq!(rows.len() as i64, report.seq + 1);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_backup_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("db"));
    put(&db, "a");
    let refused = db.backup(folder.path().join("db")).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(db.backup(&file).unwrap_err().code(), ErrorCode::StorageError);
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn a_damaged_log_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let db = open(&path);
    (0..5).for_each(|n| put(&db, &n.to_string()));
    let mut bytes = log(&path);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path.join("log.aof"), bytes).unwrap();
    let copy = folder.path().join("copy");
    let refused = db.backup(&copy).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::IntegrityError, "{refused}");
    assert!(!copy.exists(), "nothing of it is left");
}

#[test]
fn a_repair_keeps_what_is_proven_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let damaged = damage(path);
    let db = open(path);
    let refused = db.put("c", "x", "{}", &WriteOptions::default()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ReadOnly);
    assert!(refused.message().contains("repair()"), "{refused}");
    let report = db.repair().unwrap();
    let found = report.damage.unwrap();
    assert_eq!(found.seq, 2);
    let kept = report.damaged_file.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), damaged, "the damaged log is kept, whole");
    assert_eq!(report.cut_bytes, damaged.len() as u64 - found.offset_bytes);
    assert_eq!(log(path)[..found.offset_bytes as usize], damaged[..found.offset_bytes as usize]);
    let op = db.op(2).unwrap().unwrap();
    let name = kept.file_name().unwrap().to_str().unwrap();
    assert!(op.contains("\"op\":\"repair\"") && op.contains(name), "{op}");
    assert!(!db.is_read_only() && db.verify().unwrap() && db.verify_determinism().unwrap());
    put(&db, "x");
    assert_eq!((get(&db, "1").is_some(), get(&db, "2")), (true, None));
    let head = db.head();
    db.close().unwrap();
    let db = open(path);
    assert_eq!((db.seq(), db.head()), (3, head));
    assert_eq!(db.open_report().damage, None);
}

#[test]
fn a_second_repair_keeps_the_first_damaged_log_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut kept = Vec::new();
    for _ in 0..2 {
        damage(path);
        kept.push(open(path).repair().unwrap().damaged_file.unwrap());
    }
    assert!(kept[0] != kept[1] && kept.iter().all(|file| file.exists()));
}

#[test]
fn nothing_is_repaired_where_nothing_is_damaged_or_only_reading_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, "a");
    assert_eq!(db.repair().unwrap().damage, None);
    assert_eq!(db.seq(), 0, "no op is appended");
    db.close().unwrap();
    let bytes = damage(folder.path());
    let options = Options { read_only: true, ..Options::default() };
    let db = Database::open(folder.path(), options).unwrap();
    assert_eq!(db.repair().unwrap_err().code(), ErrorCode::ReadOnly);
    assert_eq!(log(folder.path()), bytes);
}
