//! Backup and repair: a copy that opens with the head it reports, and a damaged log made whole as far as
//! it can be proven.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, ErrorCode, IndexKind, Options, Params, ReadOptions, WriteOptions};
use std::fs;
use std::path::Path;
use support::code;
use tempfile::TempDir;

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
fn who_waits_to_write_comes_after_the_op_that_says_what_was_cut() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        damage(folder.path());
        let db = open(folder.path());
        std::thread::scope(|scope| {
            for id in ["x", "y", "z"] {
                let db = db.clone();
                scope.spawn(move || {
                    while db.put("c", id, "{}", &WriteOptions::default()).is_err() {
                        std::hint::spin_loop();
                    }
                });
            }
            db.repair().unwrap();
        });
        let op = db.op(2).unwrap().unwrap();
        assert!(op.contains("\"op\":\"repair\""), "{op}");
        assert_eq!(db.seq(), 5);
    }
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
    assert_eq!(code(support::open_read_only(folder.path()).unwrap().repair()), ErrorCode::ReadOnly);
    db.close().unwrap();
    let bytes = damage(folder.path());
    let db = support::open_read_only(folder.path()).unwrap();
    assert_eq!(code(db.repair()), ErrorCode::ReadOnly);
    assert_eq!(log(folder.path()), bytes);
}

/// Writes six documents, saves a checkpoint, changes the third, and opens it from the checkpoint, with
/// nothing in the cache. Returns where the line that was changed starts, too.
fn damaged_behind_a_checkpoint() -> (TempDir, Database, u64) {
    let folder = tempfile::tempdir().unwrap();
    let db = support::open(folder.path());
    (0..6).for_each(|n| put(&db, &n.to_string()));
    db.checkpoint(None).unwrap();
    db.close().unwrap();
    let start = change_third_line(folder.path());
    let db = support::open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(5));
    (folder, db, start)
}

fn change_third_line(path: &Path) -> u64 {
    let text = String::from_utf8(log(path)).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    lines[2] = lines[2].replace("\"n\":1", "\"n\":2");
    support::write_log(path, lines.concat().as_bytes());
    lines[..2].concat().len() as u64
}

type Find = fn(&Database);

/// Each way in which a handle meets the damage that it did not see when it opened.
const FINDS: [(&str, Find); 4] = [
    ("a read", |db| {
        let read = db.get("c", "2", &ReadOptions::default());
        assert_eq!(code(read), ErrorCode::IntegrityError);
    }),
    ("a query", |db| {
        let query = db.query("FROM c WHERE n = 1", &Params::none());
        assert_eq!(code(query), ErrorCode::IntegrityError);
    }),
    ("verify", |db| assert!(!db.verify().unwrap())),
    ("verify_determinism", |db| assert!(!db.verify_determinism().unwrap())),
];

#[test]
fn a_handle_that_meets_damage_refuses_writes_until_it_is_repaired() {
    for (name, find) in FINDS {
        let (folder, db, start) = damaged_behind_a_checkpoint();
        put(&db, "before");
        assert_eq!((db.open_report().damage, db.is_read_only()), (None, false), "{name}");
        find(&db);
        let written = log(folder.path());
        let refusals = [
            db.put("c", "x", "{}", &WriteOptions::default()).map(drop),
            db.delete("c", "1", &WriteOptions::default()).map(drop),
            db.sweep().map(drop),
            db.checkpoint(None).map(drop),
            db.create_index("c", "t", IndexKind::Eq),
            db.put_file("f", b"bytes", nedb_core::Tier::Warm, &WriteOptions::default()).map(drop),
            db.compact_blobs().map(drop),
        ];
        for refused in refusals.map(Result::unwrap_err) {
            assert_eq!(refused.code(), ErrorCode::ReadOnly, "{name}");
            let says = |text: &str| refused.message().contains(text);
            assert!(says("op 2") && says("the hash") && says("repair()"), "{name}: {refused}");
        }
        assert!(db.is_read_only() && log(folder.path()) == written, "{name}");
        let found = db.open_report().damage.unwrap();
        assert_eq!((found.seq, found.offset_bytes), (2, start), "{name}");
        assert!(found.reason.contains("the hash is not that of the op"), "{name}: {found:?}");
        assert_eq!(db.verify_report().unwrap().damage, Some(found), "{name}");
        assert!(get(&db, "1").is_some() && get(&db, "before").is_some(), "reads go on");

        let repaired = db.repair().unwrap();
        assert_eq!(repaired.damage.unwrap().seq, 2, "{name}");
        assert_eq!(fs::read(repaired.damaged_file.unwrap()).unwrap(), written, "{name}");
        assert_eq!((db.seq(), db.is_read_only(), db.open_report().damage), (2, false, None));
        put(&db, "x");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{name}");
    }
}

#[test]
fn a_damage_that_was_met_is_not_hidden_by_a_checkpoint_when_closing() {
    let (folder, db, _) = damaged_behind_a_checkpoint();
    let options = Options { checkpoint_every_ops: Some(1_000), ..support::options(support::NOW) };
    db.close().unwrap();
    let db = Database::open(folder.path(), options).unwrap();
    put(&db, "before");
    assert!(!db.verify().unwrap());
    db.close().unwrap();
    assert!(folder.path().join("checkpoint.5").exists());
    // It opens as before, knows nothing, and finds it again.
    let db = support::open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(5));
    put(&db, "after");
    assert!(!db.verify().unwrap() && db.is_read_only());
}

#[test]
fn a_log_that_changes_while_it_is_open_is_met_without_a_checkpoint_too() {
    let folder = tempfile::tempdir().unwrap();
    let db = support::open(folder.path());
    (0..6).for_each(|n| put(&db, &n.to_string()));
    change_third_line(folder.path());
    assert_eq!(code(db.op(2)), ErrorCode::IntegrityError);
    assert_eq!(code(db.put("c", "x", "{}", &WriteOptions::default())), ErrorCode::ReadOnly);
    assert_eq!(db.repair().unwrap().damage.unwrap().seq, 2);
    put(&db, "x");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    // Cut short by somebody.
    support::write_log(folder.path(), &log(folder.path())[..700]);
    assert_eq!(code(db.op(3)), ErrorCode::IntegrityError);
    assert_eq!(code(db.put("c", "y", "{}", &WriteOptions::default())), ErrorCode::ReadOnly);
    assert!(db.repair().unwrap().damage.is_some());
    put(&db, "y");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn views_that_are_not_those_of_the_log_are_made_anew_and_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let automatic = Options { checkpoint_every_ops: Some(1_000), ..support::options(support::NOW) };
    let db = Database::open(folder.path(), automatic).unwrap();
    put(&db, "alice");
    db.close().unwrap();
    let path = folder.path().join("checkpoint.0");
    let mut changed = fs::read(&path).unwrap();
    let at = changed.windows(5).position(|text| text == b"alice").unwrap();
    changed[at..at + 5].copy_from_slice(b"alica");
    let checksum = xxhash_rust::xxh3::xxh3_64(&changed[20..]);
    changed[12..20].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, &changed).unwrap();

    let db = support::open(folder.path());
    let before = log(folder.path());
    assert_eq!(code(db.get("c", "alica", &ReadOptions::default())), ErrorCode::IntegrityError);
    assert_eq!(code(db.put("c", "x", "{}", &WriteOptions::default())), ErrorCode::ReadOnly);
    assert_eq!(db.verify_report().unwrap().damage, None, "the log is whole");
    let report = db.repair().unwrap();
    assert_eq!((report.cut_bytes, report.damaged_file, report.damage), (0, None, None));
    assert_eq!(report.removed_checkpoints, ["checkpoint.0"]);
    assert!(log(folder.path()) == before && !path.exists());
    assert_eq!((get(&db, "alica"), get(&db, "alice").is_some()), (None, true));
    put(&db, "x");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

/// Numbers the ops of a log anew, each linked to the one before: what no writer of ours leaves, and what the
/// chain proves all the same.
fn renumber(path: &Path, seqs: &[i64]) -> Vec<String> {
    let text = String::from_utf8(log(path)).unwrap();
    let mut prev_hash = "0".repeat(64);
    let mut lines = Vec::new();
    for (line, seq) in text.lines().zip(seqs) {
        let hash_at = line.find(",\"hash\":\"").unwrap();
        let prev_at = line.find(",\"prev_hash\":\"").unwrap();
        let rest = &line[prev_at + 80..];
        let rest = &rest[rest.find(",\"ts\"").unwrap()..];
        let middle = &line[hash_at + 74..prev_at];
        let body = format!("{}{middle},\"seq\":{seq}{rest}", &line[..hash_at]);
        let mut hasher = blake2b_simd::Params::new().hash_length(32).to_state();
        hasher.update(prev_hash.as_bytes()).update(body.replace('é', "\\u00e9").as_bytes());
        let hash = hasher.finalize().to_hex().to_string();
        lines.push(format!(
            "{},\"hash\":\"{hash}\"{middle},\"prev_hash\":\"{prev_hash}\",\"seq\":{seq}{rest}\n",
            &line[..hash_at]
        ));
        prev_hash = hash;
    }
    support::write_log(path, lines.concat().as_bytes());
    lines
}

fn caused(db: &Database, id: &str, causes: &[i64]) {
    let options = WriteOptions {
        caused_by: causes.to_vec(),
        idem: Some(format!("key {id}")),
        client: Some("app".to_owned()),
        ..WriteOptions::default()
    };
    db.put("c", id, "{\"n\":1}", &options).unwrap();
}

#[test]
fn ops_that_the_chain_proves_under_wrong_seqs_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let db = support::open(path);
    caused(&db, "0", &[]);
    caused(&db, "1", &[0]);
    caused(&db, "2", &[0]);
    caused(&db, "3", &[2]);
    db.batch(
        r#"[{"op":"put","coll":"c","id":"4","doc":{},"caused_by":[2,3]}]"#,
        &Default::default(),
    )
    .unwrap();
    caused(&db, "5", &[3]);
    db.close().unwrap();
    // Causes name seqs that ops have now: 2 is op "1", 3 is the transaction and "5", and nothing else.
    renumber(path, &[0, 2, 5, 6, 3, 3]);
    let db = support::open(path);
    assert_eq!((db.seq(), db.open_report().damage.unwrap().seq), (0, 1));
    let report = db.repair().unwrap();
    assert_eq!((report.carried_op_count, report.cut_bytes, db.seq()), (5, 0, 6));
    let note = db.op(6).unwrap().unwrap();
    let says = |text: &str| assert!(note.contains(text), "{text}: {note}");
    says(r#""carried_op_count":5,"carried_seqs":[[2,2],[5,6],[3,3],[3,3]],"cut_bytes":0"#);
    says(r#""lost_cause_count":2"#);
    let causes = |id: &str| {
        let text = get(&db, id).unwrap();
        let at = text.find("\"_caused_by\":").map(|at| at + 13);
        at.map(|at| text[at..=at + text[at..].find(']').unwrap()].to_owned())
    };
    let found: Vec<Option<String>> = ["1", "2", "3", "4", "5"].map(causes).into();
    let expected = [Some("[0]"), Some("[0]"), Some("[1]"), Some("[1]"), None];
    assert_eq!(found, expected.map(|it| it.map(str::to_owned)));
    let trace = db.query("FROM c WHERE _id = \"4\" TRACE caused_by", &Params::none()).unwrap();
    assert!(trace.iter().next().unwrap().contains("\"_id\":\"1\""));
    // A key still answers with what it wrote, and nonces go on.
    let again = WriteOptions { idem: Some("key 2".to_owned()), ..WriteOptions::default() };
    assert_eq!(Some(db.put("c", "2", "{}", &again).unwrap()), get(&db, "2"));
    caused(&db, "6", &[]);
    assert!(db.op(7).unwrap().unwrap().contains("\"nonce\":6"));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    let head = db.head();
    db.close().unwrap();
    let db = support::open(path);
    assert_eq!((db.head(), db.open_report().damage), (head, None));
}

#[test]
fn what_comes_after_the_end_of_the_chain_is_cut_from_what_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let db = support::open(folder.path());
    (0..5).for_each(|n| put(&db, &n.to_string()));
    db.close().unwrap();
    let mut lines = renumber(folder.path(), &[0, 1, 3, 4, 5]);
    lines[4] = lines[4].replace("\"n\":1", "\"n\":2");
    support::write_log(folder.path(), lines.concat().as_bytes());
    let db = support::open(folder.path());
    let report = db.repair().unwrap();
    assert_eq!((report.carried_op_count, report.cut_bytes), (2, lines[4].len() as u64));
    assert_eq!((get(&db, "3").is_some(), get(&db, "4"), db.seq()), (true, None, 4));
    assert!(db.verify().unwrap());
}
