//! Checkpoints from outside: what is saved, what opening makes of it, and what becomes of a file that is
//! gone, torn, old, of another log or changed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, Durability, FileAt, IndexKind, Options, Params, Tier, WriteOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{
    NOW, code, contents, files, get, log_of, open, open_read_only, ops, options, sample,
};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

fn put(db: &Database, id: &str, n: usize) {
    db.put("c", id, &format!("{{\"n\":{n}}}"), &WriteOptions::default()).unwrap();
}

/// Returns the checkpoint files of a directory, by name.
fn saved(folder: &Path) -> Vec<String> {
    // By name alone: a file that is being written may be gone before it is looked into.
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("checkpoint.")).collect();
    names.sort();
    names
}

fn only_saved(folder: &Path) -> PathBuf {
    let names = saved(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join(&names[0])
}

/// Makes a database with a checkpoint, and a few ops after it.
fn with_checkpoint() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), sample::all_kinds);
    assert_eq!(saved(folder.path()).len(), 1);
    folder
}

/// Opens a database, sees that it is what the log says, and returns what opening loaded and warned of.
fn open_and_compare(folder: &Path) -> (Database, Option<i64>, Vec<String>) {
    let without = tempfile::tempdir().unwrap();
    for name in ["log.aof", "meta.json"] {
        if folder.join(name).exists() {
            fs::copy(folder.join(name), without.path().join(name)).unwrap();
        }
    }
    let (folded, db) = (open(without.path()), open(folder));
    assert_eq!((db.seq(), db.head()), (folded.seq(), folded.head()));
    assert_eq!(contents(&db).unwrap(), contents(&folded).unwrap());
    assert_eq!(ops(&db).unwrap(), ops(&folded).unwrap());
    assert!(db.verify_determinism().unwrap());
    let report = db.open_report();
    assert_eq!(report.damage, None);
    (db, report.checkpoint_seq, report.warnings)
}

/// Puts the checksum that fits into a changed file.
fn fix_checksum(file: &mut [u8]) {
    let checksum = xxh3_64(&file[20..]);
    file[12..20].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn opening_goes_on_from_a_checkpoint_and_says_so() {
    let folder = with_checkpoint();
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(only_saved(folder.path()), folder.path().join("checkpoint.11"));
    assert_eq!((checkpoint_seq, warnings), (Some(11), vec![]));
    let report = db.open_report();
    assert_eq!(report.op_count as i64, db.seq() + 1);
    assert!(report.to_json().starts_with("{\"checkpoint_seq\":11,"), "{}", report.to_json());
    assert!(db.verify().unwrap());
}

#[test]
fn without_its_file_a_checkpoint_is_not_missed() {
    let folder = with_checkpoint();
    fs::remove_file(only_saved(folder.path())).unwrap();
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!((checkpoint_seq, warnings), (None, vec![]));
    assert!(db.verify().unwrap());
}

#[test]
fn a_checkpoint_op_seals_the_file_that_the_ops_before_it_were_saved_in() {
    let folder = with_checkpoint();
    let db = open(folder.path());
    let op: serde_json::Value = serde_json::from_str(&db.op(12).unwrap().unwrap()).unwrap();
    assert_eq!((&op["op"], &op["payload"]["note"]), (&"checkpoint".into(), &"a mark: é".into()));
    let hash = op["payload"]["views"].as_str().unwrap();
    let file = fs::read(only_saved(folder.path())).unwrap();
    use blake2::Digest;
    let computed = blake2::Blake2b256::digest(&file);
    let computed: String = computed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, computed);
    assert!(!file.windows(9).any(|text| text == b"likes tra"), "it holds no document");
}

#[test]
fn the_same_ops_are_saved_as_the_same_bytes() {
    let (one, other) = (with_checkpoint(), with_checkpoint());
    assert_eq!(files(one.path()), files(other.path()));
    // And so they are when they were loaded, and when they were folded.
    let save_again = |folder: &Path| {
        open(folder).checkpoint(None).unwrap();
        fs::read(only_saved(folder)).unwrap()
    };
    let loaded = save_again(one.path());
    fs::remove_file(only_saved(other.path())).unwrap();
    assert!(save_again(other.path()) == loaded);
}

#[test]
fn a_file_that_does_not_hold_is_ignored_with_a_warning_and_replaced_by_the_next() {
    let original = with_checkpoint();
    let good = fs::read(only_saved(original.path())).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut newer = good.clone();
    newer[8] = 2;
    let mut misshapen = good[..good.len() - 3].to_vec();
    fix_checksum(&mut misshapen);
    for (name, bytes, reason) in [
        ("empty", Vec::new(), "no checkpoint"),
        ("cut in its prefix", good[..15].to_vec(), "no checkpoint"),
        ("something else", b"{\"indexes\":[]}".to_vec(), "no checkpoint"),
        ("torn", good[..good.len() - 40].to_vec(), "checksum"),
        ("flipped", flipped, "checksum"),
        ("of a later version", newer, "version 2"),
        ("misshapen", misshapen, "well-formed"),
    ] {
        let folder = with_checkpoint();
        fs::write(only_saved(folder.path()), &bytes).unwrap();
        let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert_eq!((checkpoint_seq, warnings.len()), (None, 1), "{name}: {warnings:?}");
        assert!(warnings[0].contains("checkpoint.11 is ignored"), "{name}: {warnings:?}");
        assert!(warnings[0].contains(reason), "{name}: {warnings:?}");
        put(&db, "more", 1);
        db.checkpoint(None).unwrap();
        drop(db);
        let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert_eq!((checkpoint_seq, warnings), (Some(15), vec![]), "{name}");
        assert_eq!(saved(folder.path()).len(), 1, "{name}");
    }
}

#[test]
fn of_two_files_the_newest_that_holds_is_loaded() {
    let folder = with_checkpoint();
    let older = fs::read(only_saved(folder.path())).unwrap();
    let db = open(folder.path());
    db.checkpoint(None).unwrap();
    drop(db);
    fs::write(folder.path().join("checkpoint.11"), &older).unwrap();
    fs::write(folder.path().join("checkpoint.11.new"), "left by a crash").unwrap();
    for odd in ["checkpoint.x", "checkpoint.-1", "checkpoint.007", "checkpoint."] {
        fs::write(folder.path().join(odd), "of somebody else").unwrap();
    }
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!((checkpoint_seq, warnings), (Some(14), vec![]));
    drop(db);
    fs::write(folder.path().join("checkpoint.14"), "broken").unwrap();
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!((checkpoint_seq, warnings.len()), (Some(11), 1), "{warnings:?}");
    db.checkpoint(None).unwrap();
    let left = saved(folder.path());
    let expected =
        ["checkpoint.", "checkpoint.-1", "checkpoint.007", "checkpoint.15", "checkpoint.x"];
    assert_eq!(left, expected, "what is not ours is left alone");
}

#[test]
fn a_checkpoint_of_another_log_or_beyond_the_end_of_this_one_is_ignored_with_a_warning() {
    let folder = with_checkpoint();
    let other = tempfile::tempdir().unwrap();
    let db = open(other.path());
    (0..20).for_each(|n| put(&db, &n.to_string(), n));
    drop(db);
    fs::copy(only_saved(folder.path()), other.path().join("checkpoint.11")).unwrap();
    fs::write(other.path().join("meta.json"), fs::read(folder.path().join("meta.json")).unwrap())
        .unwrap();
    let (_, checkpoint_seq, warnings) = open_and_compare(other.path());
    assert_eq!(checkpoint_seq, None);
    assert!(warnings[0].contains("of another log"), "{warnings:?}");
    // An older copy of the log, put in its place.
    let lines = log_of(folder.path());
    let older = support::lines(&lines)[..10].concat();
    fs::write(folder.path().join("log.aof"), older).unwrap();
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, None);
    assert!(warnings[0].contains("bytes long"), "{warnings:?}");
}

#[test]
fn a_file_under_the_name_of_another_seq_is_ignored() {
    let folder = with_checkpoint();
    fs::rename(only_saved(folder.path()), folder.path().join("checkpoint.10")).unwrap();
    let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, None);
    assert!(warnings[0].contains("saved at op 11"), "{warnings:?}");
}

#[test]
fn a_sealed_file_that_was_changed_is_ignored_at_opening_and_verify_names_its_op() {
    let folder = with_checkpoint();
    let path = only_saved(folder.path());
    let good = fs::read(&path).unwrap();
    let mut changed = good.clone();
    // The id of a document, so that everything but the seal holds.
    let at = good.windows(5).position(|text| text == b"alice").unwrap();
    changed[at..at + 5].copy_from_slice(b"alica");
    fix_checksum(&mut changed);
    fs::write(&path, &changed).unwrap();
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, None);
    assert!(warnings[0].contains("not the file that op 12"), "{warnings:?}");
    let report = db.verify_report().unwrap();
    let damage = report.derived_damage.unwrap();
    assert_eq!((report.ok, report.damage, damage.seq), (false, None, 11));
    assert_eq!(damage.file, "checkpoint.11");
    for said in ["the log is right", "op 12", "repair()"] {
        assert!(damage.reason.contains(said), "{}", damage.reason);
    }
    // What is read was folded from the log, so writes go on, and another checkpoint makes all good.
    assert!(!db.is_read_only());
    db.checkpoint(None).unwrap();
    assert!(db.verify().unwrap());
    // Changed while the database is open.
    let path = only_saved(folder.path());
    fs::write(&path, &good).unwrap();
    assert!(!db.verify().unwrap());
    fs::remove_file(&path).unwrap();
    assert!(db.verify().unwrap());
}

#[test]
fn a_torn_checkpoint_beside_a_whole_log_is_no_damage_of_it_and_repair_removes_it() {
    for is_sealed in [true, false] {
        let folder = if is_sealed { with_checkpoint() } else { with_unsealed() };
        let path = only_saved(folder.path());
        let file = fs::read(&path).unwrap();
        fs::write(&path, &file[..file.len() - 40]).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert_eq!((checkpoint_seq, warnings.len()), (None, 1), "{warnings:?}");
        let (seq, head) = (db.seq(), db.head());
        let report = db.verify_report().unwrap();
        assert_eq!((report.ok, report.damage), (!is_sealed, None));
        assert_eq!(report.derived_damage.is_some(), is_sealed);
        assert_eq!(report.warnings, warnings, "{name}");
        put(&db, "writes go on", 1);
        let repaired = db.repair().unwrap();
        assert_eq!((repaired.damage, repaired.cut_bytes), (None, 0));
        assert_eq!(repaired.removed_checkpoints, [name]);
        assert_eq!((db.seq(), saved(folder.path()).len()), (seq + 1, 0), "no op says so");
        let report = db.verify_report().unwrap();
        assert!(report.ok && report.warnings.is_empty(), "{report:?}");
        assert!(db.open_report().warnings.is_empty());
        assert!(db.repair().unwrap().removed_checkpoints.is_empty(), "there is nothing left");
        drop(db);
        let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert_eq!((checkpoint_seq, warnings), (None, vec![]));
        assert!(db.verify().unwrap() && db.head() != head);
    }
}

#[test]
fn repair_leaves_a_checkpoint_that_holds() {
    for folder in [with_checkpoint(), with_unsealed()] {
        let path = only_saved(folder.path());
        let db = open(folder.path());
        let repaired = db.repair().unwrap();
        assert_eq!((repaired.damage, repaired.removed_checkpoints), (None, vec![]));
        assert!(path.exists() && db.verify().unwrap());
    }
}

/// Makes a database with a checkpoint that no op seals.
fn with_unsealed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let automatic = Options { checkpoint_every_ops: Some(1_000), ..options(NOW) };
    let db = Database::open(folder.path(), automatic).unwrap();
    db.create_index("c", "n", IndexKind::Ordered).unwrap();
    let caused = WriteOptions {
        caused_by: vec![0],
        idem: Some("key".to_owned()),
        ttl_seconds: Some(1e9),
        ..WriteOptions::default()
    };
    put(&db, "alice", 1);
    db.put("c", "bob", r#"{"n":2,"t":"x"}"#, &caused).unwrap();
    put(&db, "alice", 3);
    db.link("c:alice", "knows", "c:bob", &WriteOptions::default()).unwrap();
    db.delete("c", "nobody", &WriteOptions::default()).unwrap();
    db.close().unwrap();
    folder
}

/// Gives a document another id in the only checkpoint file of a directory, under a checksum that fits.
fn forge(folder: &Path) {
    let path = only_saved(folder);
    let mut changed = fs::read(&path).unwrap();
    let at = changed.windows(5).position(|text| text == b"alice").unwrap();
    changed[at..at + 5].copy_from_slice(b"alica");
    fix_checksum(&mut changed);
    fs::write(&path, &changed).unwrap();
}

#[test]
fn verify_does_not_trust_a_checkpoint_that_no_op_seals_and_says_that_the_log_is_right() {
    let folder = with_unsealed();
    forge(folder.path());
    let log = log_of(folder.path());
    let db = open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(4), "nothing tells but the content");
    assert_eq!(get(&db, "c", "alice"), None, "which is wrong");
    assert!(!db.verify_determinism().unwrap() && !db.is_read_only());
    assert!(!db.verify().unwrap());
    let report = db.verify_report().unwrap();
    let damage = report.derived_damage.clone().unwrap();
    assert_eq!((report.ok, report.damage.as_ref(), report.op_count), (false, None, 5));
    assert_eq!((damage.file.as_str(), damage.seq), ("checkpoint.4", 4));
    for said in ["the log is right", "no op seals", "repair()", "reopening"] {
        assert!(damage.reason.contains(said), "{}", damage.reason);
    }
    assert!(report.to_json().starts_with(
        "{\"damage\":null,\"derived_damage\":{\"file\":\"checkpoint.4\",\"reason\":\"the log is right"
    ));
    // The text is not that of the document it is said to be; that does not change what is known.
    let read = db.get("c", "alica", &Default::default());
    assert_eq!(code(read).as_str(), "INTEGRITY_ERROR");
    let opened = db.open_report();
    assert_eq!((opened.damage, opened.derived_damage), (None, Some(damage.clone())));
    // Nothing is written on from such views, nor are they saved or sealed.
    assert!(db.is_read_only());
    let refused = db.put("c", "x", "{}", &WriteOptions::default()).unwrap_err();
    assert_eq!((refused.code().as_str(), refused.message()), ("READ_ONLY", &*damage.reason));
    assert_eq!(code(db.checkpoint(None)).as_str(), "READ_ONLY");
    assert!(!db.save_checkpoint().unwrap());
    let repaired = db.repair().unwrap();
    assert_eq!((repaired.damage, repaired.cut_bytes, repaired.damaged_file), (None, 0, None));
    assert_eq!(repaired.removed_checkpoints, ["checkpoint.4"]);
    assert!(log_of(folder.path()) == log && saved(folder.path()).is_empty());
    assert_eq!(get(&db, "c", "alice").unwrap(), r#"{"_id":"alice","_seq":2,"n":3}"#);
    let opened = db.open_report();
    assert_eq!((opened.derived_damage, opened.checkpoint_seq), (None, None));
    put(&db, "x", 1);
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    drop(db);
    let (db, _, warnings) = open_and_compare(folder.path());
    assert!(db.verify().unwrap() && warnings.is_empty());
}

#[test]
fn repair_finds_wrong_views_without_being_told_and_so_does_reopening_without_the_file() {
    let folder = with_unsealed();
    forge(folder.path());
    let repaired = open(folder.path()).repair().unwrap();
    assert_eq!(
        (repaired.damage, repaired.removed_checkpoints),
        (None, vec!["checkpoint.4".to_owned()])
    );
    assert!(open(folder.path()).verify().unwrap());
    let folder = with_unsealed();
    forge(folder.path());
    let reader = open_read_only(folder.path()).unwrap();
    assert!(!reader.verify().unwrap());
    assert!(reader.open_report().derived_damage.is_some());
    fs::remove_file(only_saved(folder.path())).unwrap();
    assert!(open(folder.path()).verify().unwrap());
}

#[test]
fn views_that_are_wrong_are_not_sealed_nor_saved_when_closing() {
    let folder = with_unsealed();
    forge(folder.path());
    let log = log_of(folder.path());
    let automatic = || Options { checkpoint_every_ops: Some(1_000), ..options(NOW) };
    let db = Database::open(folder.path(), automatic()).unwrap();
    assert_eq!(code(db.checkpoint(None)).as_str(), "READ_ONLY", "before anybody has verified");
    assert!(log_of(folder.path()) == log);
    drop(db);
    let db = Database::open(folder.path(), automatic()).unwrap();
    put(&db, "more", 1);
    assert!(!db.verify().unwrap());
    drop(db);
    assert_eq!(saved(folder.path()), ["checkpoint.4"], "what is wrong is not saved again");
}

#[test]
fn an_unsealed_checkpoint_that_holds_is_compared_once_and_can_be_sealed() {
    let folder = with_unsealed();
    let db = open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(4));
    for _ in 0..2 {
        let report = db.verify_report().unwrap();
        assert!(report.ok && report.warnings.is_empty() && report.derived_damage.is_none());
        put(&db, "more", 1);
    }
    db.checkpoint(None).unwrap();
    drop(db);
    let (db, checkpoint_seq, _) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, Some(6));
    assert!(db.verify().unwrap());
}

#[test]
fn a_log_that_is_damaged_beside_wrong_views_is_named_first_and_one_repair_mends_both() {
    let folder = with_unsealed();
    let db = open(folder.path());
    put(&db, "after the checkpoint", 1);
    put(&db, "and more", 2);
    drop(db);
    forge(folder.path());
    let log = String::from_utf8(log_of(folder.path())).unwrap();
    fs::write(
        folder.path().join("log.aof"),
        log.replace("after the checkpoint", "after the checkpoinT"),
    )
    .unwrap();
    let db = open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(4));
    let report = db.verify_report().unwrap();
    assert_eq!((report.damage.unwrap().seq, report.derived_damage), (5, None));
    let repaired = db.repair().unwrap();
    assert_eq!(
        (repaired.damage.unwrap().seq, repaired.removed_checkpoints),
        (5, vec!["checkpoint.4".to_owned()])
    );
    assert!(db.verify().unwrap() && get(&db, "c", "alice").is_some());
    put(&db, "x", 1);
    drop(db);
    assert!(open(folder.path()).verify().unwrap());
}

#[test]
fn whatever_an_unsealed_checkpoint_was_changed_to_what_verify_calls_right_is_right() {
    let folder = with_unsealed();
    let path = only_saved(folder.path());
    let good = fs::read(&path).unwrap();
    let truth = {
        let db = open_read_only(folder.path()).unwrap();
        (contents(&db).unwrap(), db.neighbors("c:alice", "knows", None).unwrap())
    };
    let (mut found_count, mut loaded_count) = (0, 0);
    for at in 20..good.len() {
        for bit in [0x01, 0x06, 0x80] {
            let mut changed = good.clone();
            changed[at] ^= bit;
            fix_checksum(&mut changed);
            fs::write(&path, &changed).unwrap();
            let db = open_read_only(folder.path()).unwrap();
            let name = format!("byte {at} ^ {bit}");
            loaded_count += usize::from(db.open_report().checkpoint_seq.is_some());
            let report = db.verify_report().unwrap();
            assert_eq!(report.damage, None, "{name}: the log is right");
            assert_eq!(report.ok, report.derived_damage.is_none(), "{name}");
            assert_eq!(report.ok, db.verify_determinism().unwrap(), "{name}");
            if report.ok {
                assert_eq!(contents(&db).unwrap(), truth.0, "{name}");
                assert_eq!(db.neighbors("c:alice", "knows", None).unwrap(), truth.1, "{name}");
            } else {
                found_count += 1;
            }
        }
    }
    assert!(found_count > 50 && loaded_count > found_count / 2, "{found_count} of {loaded_count}");
}

#[test]
fn an_index_made_after_a_checkpoint_removes_it_until_the_next() {
    let folder = with_checkpoint();
    let db = open(folder.path());
    db.create_index("users", "bio", IndexKind::Search).unwrap();
    drop(db);
    assert!(saved(folder.path()).is_empty(), "it is no use without the index");
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(
        (checkpoint_seq, warnings),
        (None, vec![]),
        "nobody is warned of what was asked for"
    );
    let search = "FROM users AS OF 2 SEARCH \"trains\"";
    let rows = |db: &Database| db.query(search, &Params::none()).unwrap().into_texts();
    let found = rows(&db);
    assert_eq!(found.len(), 1);
    db.checkpoint(None).unwrap();
    drop(db);
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!((checkpoint_seq, warnings), (Some(14), vec![]));
    assert_eq!(rows(&db), found, "scores and all");
    db.create_index("users", "age", IndexKind::Eq).unwrap();
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    db.checkpoint(None).unwrap();
    fs::remove_file(folder.path().join("meta.json")).unwrap();
    drop(db);
    let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, None);
    assert!(warnings[0].contains("other indexes than meta.json"), "{warnings:?}");
}

#[test]
fn closing_saves_the_views_after_many_ops_and_leaves_it_after_few() {
    let many: Vec<(String, String)> =
        (0..9_999).map(|n| (n.to_string(), format!("{{\"n\":{n}}}"))).collect();
    for (is_closed, extra) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path());
        db.put_many("c", &many, &WriteOptions::default()).unwrap();
        (0..extra).for_each(|n| put(&db, "one more", n));
        let (seq, head) = (db.seq(), db.head());
        if is_closed {
            db.close().unwrap();
        }
        drop(db);
        assert_eq!(saved(folder.path()).len(), extra, "closed: {is_closed}");
        let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert_eq!((checkpoint_seq, warnings), ((extra == 1).then_some(seq), vec![]));
        assert_eq!((db.seq(), db.head()), (seq, head), "nothing is appended");
    }
}

#[test]
fn closing_saves_the_views_after_any_op_where_checkpoints_are_automatic() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options { checkpoint_every_ops: Some(1_000), ..options(NOW) };
        Database::open(folder.path(), options).unwrap()
    };
    open().close().unwrap();
    assert!(saved(folder.path()).is_empty(), "there is nothing to save");
    let db = open();
    put(&db, "a", 1);
    drop(db);
    let path = only_saved(folder.path());
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    let db = open();
    assert_eq!(db.open_report().checkpoint_seq, Some(0));
    drop(db);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written, "nothing is new");
    let db = open();
    db.checkpoint(None).unwrap();
    put(&db, "b", 2);
    db.checkpoint(None).unwrap();
    db.close().unwrap();
    assert_eq!(saved(folder.path()), ["checkpoint.2"], "the sealed one is as good");
    let db = open();
    assert_eq!(db.open_report().checkpoint_seq, Some(2));
    drop(db);
    assert_eq!(saved(folder.path()), ["checkpoint.2"]);
}

/// Waits for the thread that saves; it is asked when writing, and takes a moment.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("after 10 seconds still not: {what}");
}

#[test]
fn automatic_checkpoints_are_saved_beside_the_writes_and_append_nothing() {
    for durability in
        [Durability::Always, Durability::Never, Durability::Interval { milliseconds: 5 }]
    {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { checkpoint_every_ops: Some(50), durability, ..options(NOW) };
        let db = Database::open(folder.path(), options).unwrap();
        db.create_index("c", "n", IndexKind::Ordered).unwrap();
        for round in 0..3 {
            (0..50).for_each(|n| put(&db, &format!("{round} {n}"), n));
            let name = format!("checkpoint.{}", 50 * (round + 1) - 1);
            wait_until(&name, || saved(folder.path()) == [name.as_str()]);
        }
        assert_eq!(db.seq(), 149, "{durability:?}");
        assert!(db.open_report().warnings.is_empty(), "{durability:?}");
        // Beside the writer, from what it saved.
        let reader = open_read_only(folder.path()).unwrap();
        if durability == Durability::Always {
            assert_eq!(reader.open_report().checkpoint_seq, Some(149));
            put(&db, "more", 1);
            assert_eq!(reader.refresh().unwrap(), 150);
            assert!(get(&reader, "c", "more").is_some());
        }
        db.create_index("c", "n", IndexKind::Eq).unwrap();
        (0..50).for_each(|n| put(&db, &format!("after {n}"), n));
        wait_until("one with the new index", || saved(folder.path()) != ["checkpoint.149"]);
        drop((db, reader));
        let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
        assert!(
            checkpoint_seq > Some(149) && warnings.is_empty(),
            "{checkpoint_seq:?} {warnings:?}"
        );
    }
}

#[test]
fn an_automatic_checkpoint_that_fails_is_a_warning_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_every_ops: Some(10), ..options(NOW) };
    let db = Database::open(folder.path(), options).unwrap();
    // A directory where a file is to be written.
    for seq in 0..15 {
        fs::create_dir(folder.path().join(format!("checkpoint.{seq}.new"))).unwrap();
    }
    (0..10).for_each(|n| put(&db, &n.to_string(), n));
    wait_until("a warning", || !db.open_report().warnings.is_empty());
    let warnings = db.open_report().warnings;
    assert!(warnings[0].contains("could not be saved"), "{warnings:?}");
    (10..20).for_each(|n| put(&db, &n.to_string(), n));
    wait_until("no warning", || db.open_report().warnings.is_empty());
    assert!(folder.path().join("checkpoint.19").exists());
}

#[test]
fn a_checkpoint_whose_file_cannot_be_written_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, "a", 1);
    let blocker = folder.path().join("checkpoint.0.new");
    fs::create_dir(&blocker).unwrap();
    let (head, log) = (db.head(), log_of(folder.path()));
    assert_eq!(code(db.checkpoint(None)).as_str(), "STORAGE_ERROR");
    assert_eq!((db.seq(), db.head(), log_of(folder.path())), (0, head, log));
    put(&db, "b", 2);
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(db.checkpoint(None).unwrap(), 2);
    assert!(db.verify().unwrap());
}

#[test]
fn before_the_first_op_and_in_memory_a_checkpoint_is_a_mark_alone() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Database::in_memory(options(NOW)).unwrap();
    put(&memory, "a", 1);
    for (db, seq) in [(open(folder.path()), 0), (memory, 1)] {
        assert_eq!(db.checkpoint(Some("mark")).unwrap(), seq);
        let op = db.op(seq).unwrap().unwrap();
        assert!(op.contains("\"payload\":{\"note\":\"mark\"}"), "{op}");
    }
    assert!(saved(folder.path()).is_empty());
}

#[test]
fn what_is_written_without_a_sync_is_synced_before_it_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Never, ..options(NOW) };
    let db = Database::open(folder.path(), options).unwrap();
    put(&db, "a", 1);
    assert_eq!(db.durable_seq(), -1);
    db.checkpoint(None).unwrap();
    assert_eq!(db.durable_seq(), 0, "the op that seals it is a write like others");
    assert_eq!(saved(folder.path()), ["checkpoint.0"]);
}

/// Changes a byte of a document in the log, so that its hash is wrong.
fn damage(folder: &Path, line: usize) -> u64 {
    let mut log = log_of(folder);
    let start: usize = support::lines(&log)[..line].iter().map(|line| line.len()).sum();
    let at = start + log[start..].windows(5).position(|text| text == b"\"doc\"").unwrap() + 10;
    log[at] ^= 1;
    support::write_log(folder, &log);
    start as u64
}

#[test]
fn damage_before_a_checkpoint_is_found_by_verify_and_by_reading_and_repaired() {
    let folder = with_checkpoint();
    let start = damage(folder.path(), 1);
    let db = open(folder.path());
    let report = db.open_report();
    assert_eq!((report.damage, report.checkpoint_seq), (None, Some(11)));
    let as_of = nedb_core::ReadOptions { as_of: Some(1), valid_as_of: None };
    assert_eq!(code(db.get("users", "bob", &as_of)).as_str(), "INTEGRITY_ERROR");
    assert!(get(&db, "users", "alice").is_some(), "what is not damaged is read");
    let found = db.verify_report().unwrap();
    let (ok, damage) = (found.ok, found.damage.unwrap());
    assert_eq!((ok, damage.seq, damage.offset_bytes), (false, 1, start));
    assert!(!db.verify_determinism().unwrap());
    let repaired = db.repair().unwrap();
    assert_eq!(repaired.damage.unwrap().seq, 1);
    assert!(repaired.damaged_file.unwrap().exists() && repaired.cut_bytes > 0);
    assert_eq!((db.seq(), get(&db, "users", "bob")), (1, None));
    assert!(get(&db, "users", "alice").is_some());
    put(&db, "after", 1);
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    assert!(saved(folder.path()).is_empty(), "what it covered is no longer in the log");
    db.checkpoint(None).unwrap();
    drop(db);
    let (_, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert_eq!((checkpoint_seq, warnings), (Some(2), vec![]));
}

#[test]
fn damage_after_a_checkpoint_is_found_at_opening_and_repaired() {
    let folder = with_checkpoint();
    damage(folder.path(), 13);
    let db = open(folder.path());
    let report = db.open_report();
    assert_eq!((report.damage.unwrap().seq, report.checkpoint_seq), (13, Some(11)));
    assert!(db.is_read_only() && !db.verify().unwrap());
    assert_eq!(db.repair().unwrap().damage.unwrap().seq, 13);
    assert_eq!(saved(folder.path()), ["checkpoint.11"], "what it covers is still there");
    drop(db);
    let (db, checkpoint_seq, _) = open_and_compare(folder.path());
    assert_eq!(checkpoint_seq, Some(11));
    assert!(db.verify().unwrap());
}

#[test]
fn of_damage_on_both_sides_of_a_checkpoint_the_first_that_is_known_is_repaired() {
    let folder = with_checkpoint();
    damage(folder.path(), 1);
    damage(folder.path(), 13);
    let db = open(folder.path());
    assert_eq!(db.open_report().damage.unwrap().seq, 13);
    assert_eq!(db.verify_report().unwrap().damage.unwrap().seq, 1);
    assert_eq!(db.repair().unwrap().damage.unwrap().seq, 1);
    put(&db, "after", 1);
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn a_repair_of_a_reader_is_refused_where_a_checkpoint_hides_the_damage_too() {
    let folder = with_checkpoint();
    damage(folder.path(), 1);
    let reader = open_read_only(folder.path()).unwrap();
    assert_eq!(reader.open_report().checkpoint_seq, Some(11));
    assert_eq!(code(reader.repair()).as_str(), "READ_ONLY");
}

#[test]
fn a_member_that_no_hash_covers_is_reported_after_a_checkpoint_too() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, "a", 1);
    drop(db);
    let log = String::from_utf8(log_of(folder.path())).unwrap();
    let added = log.replacen(",\"ts\":", ",\"tz\":7,\"ts\":", 1);
    let added = added.replacen(",\"tz\":7,\"ts\":1800000000.5", ",\"ts\":1800000000.5,\"tz\":7", 1);
    support::write_log(folder.path(), added.as_bytes());
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    let warned = |db: &Database| db.open_report().warnings;
    let db = open(folder.path());
    let first = warned(&db);
    assert!(first.len() == 1 && first[0].contains("\"tz\""), "{first:?}");
    db.checkpoint(None).unwrap();
    drop(db);
    let db = open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(0));
    assert_eq!(warned(&db), first);
}

#[test]
fn a_backup_holds_the_log_and_no_checkpoint() {
    let folder = with_checkpoint();
    let copy = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let report = db.backup(copy.path().join("copy")).unwrap();
    assert!(saved(&copy.path().join("copy")).is_empty());
    let (copied, checkpoint_seq, warnings) = open_and_compare(&copy.path().join("copy"));
    assert_eq!((copied.head(), checkpoint_seq, warnings), (report.head, None, vec![]));
    assert!(copied.verify().unwrap());
}

#[test]
fn files_and_their_versions_are_there_after_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let none = WriteOptions::default();
    for (name, bytes, tier) in [("f", "one", Tier::Warm), ("f", "two", Tier::Cold)] {
        db.put_file(name, bytes.as_bytes(), tier, &none).unwrap();
    }
    db.checkpoint(None).unwrap();
    let versions = db.file_versions("f", None).unwrap();
    drop(db);
    let db = open(folder.path());
    assert_eq!(db.open_report().checkpoint_seq, Some(1));
    assert_eq!(db.files(None).unwrap(), ["f"]);
    assert_eq!(
        format!("{:?}", db.file_versions("f", None).unwrap()),
        format!("{versions:?}"),
        "number, tier, root, size and seq"
    );
    assert_eq!(db.get_file("f", &FileAt::default()).unwrap(), b"two");
    assert_eq!(db.put_file("f", b"three", Tier::Warm, &none).unwrap(), 2);
    assert!(db.verify_determinism().unwrap());
}

#[test]
fn checkpoints_after_no_ops_are_refused() {
    let none = Options { checkpoint_every_ops: Some(0), ..Options::default() };
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(Database::open(folder.path(), none.clone())).as_str(), "INVALID_ARGUMENT");
    assert_eq!(code(Database::in_memory(none)).as_str(), "INVALID_ARGUMENT");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn checkpoints_made_while_threads_write_and_close_never_spoil_anything() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let options = Options { checkpoint_every_ops: Some(3), ..options(NOW) };
        let db = Database::open(folder.path(), options).unwrap();
        assert!(db.open_report().warnings.is_empty(), "{:?}", db.open_report());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..25 {
                        put(db, &format!("{round} {thread} {n}"), n);
                        if n % 10 == thread {
                            db.checkpoint(None).unwrap();
                        }
                    }
                });
            }
            scope.spawn(|| db.create_index("c", &format!("f{round}"), IndexKind::Eq).unwrap());
        });
        if round % 2 == 0 {
            db.close().unwrap();
        }
    }
    let (db, checkpoint_seq, warnings) = open_and_compare(folder.path());
    assert!(checkpoint_seq.is_some() && warnings.is_empty(), "{checkpoint_seq:?} {warnings:?}");
    assert!(db.verify().unwrap());
}

#[test]
fn a_checkpoint_is_saved_when_asked_where_something_was_written_since_and_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for durability in [Durability::Always, Durability::Never] {
        let db = Database::open(folder.path(), Options { durability, ..options(NOW) }).unwrap();
        if durability == Durability::Always {
            assert!(!db.save_checkpoint().unwrap(), "there is no op yet");
        }
        put(&db, "a", 1);
        let (seq, head) = (db.seq(), db.head());
        assert!(db.save_checkpoint().unwrap());
        assert!(!db.save_checkpoint().unwrap(), "nothing was written since");
        assert_eq!((db.seq(), db.head()), (seq, head));
        assert_eq!(db.open_report().warnings, Vec::<String>::new());
        drop(db);
        let (reopened, loaded, warnings) = open_and_compare(folder.path());
        assert_eq!((loaded, warnings), (Some(seq), Vec::new()));
        reopened.close().unwrap();
        assert!(reopened.save_checkpoint().is_err(), "it is closed");
    }
    assert!(!open_read_only(folder.path()).unwrap().save_checkpoint().unwrap());
    assert!(!Database::in_memory(options(NOW)).unwrap().save_checkpoint().unwrap());
}
