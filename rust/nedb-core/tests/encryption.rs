//! Encryption at rest, from the outside: what is on the disk, which key opens it, and that no key and
//! nonce are ever used twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nedb_core::{
    Database, IndexKind, Options, Randomness, ReadOptions, Tmk, WriteOptions, rewrap_key,
};
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::{code, copy_of, files, lines, log_of, sample};
use tempfile::TempDir;

const SECRET: &str = "likes trains and tea";

fn key(byte: u8) -> Tmk {
    Tmk::new([byte; 32])
}

fn with_key(tmk: Tmk) -> Options {
    Options { tmk: Some(tmk), ..support::options(support::NOW) }
}

fn open(path: &Path) -> Database {
    Database::open(path, with_key(key(1))).unwrap()
}

fn put(db: &Database, id: &str) {
    db.put("c", id, "{\"t\":\"é\",\"n\":1}", &WriteOptions::default()).unwrap();
}

/// A new encrypted database with every kind of op.
fn encrypted() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    sample::write_with(folder.path(), with_key(key(1)), sample::all_kinds);
    folder
}

fn assert_holds_nothing_plain(folder: &Path) {
    for (name, bytes) in files(folder) {
        for word in [SECRET, "alice", "users", "\"payload\"", "prev_hash", "indexes", "ordered"] {
            let is_found = bytes.windows(word.len()).any(|it| it == word.as_bytes());
            assert!(!is_found, "{name} holds {word:?}");
        }
    }
}

#[test]
fn nothing_that_a_user_wrote_is_readable_on_the_disk() {
    let folder = encrypted();
    assert_holds_nothing_plain(folder.path());
    let names: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(names, ["checkpoint.11", "key.enc", "log.aof", "meta.json"]);
    let db = open(folder.path());
    assert!(db.is_encrypted() && db.verify().unwrap() && db.verify_determinism().unwrap());
    assert_eq!(db.indexes().unwrap().len(), 2);
    assert_eq!(db.open_report().warnings, [""; 0]);
}

#[test]
fn without_the_key_or_with_another_nothing_opens_and_nothing_is_written() {
    let folder = encrypted();
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    let before = files(folder.path());
    for read_only in [false, true] {
        let none = Options { read_only, ..support::options(support::NOW) };
        assert_eq!(code(Database::open(folder.path(), none)).as_str(), "KEY_REQUIRED");
        for tmk in [key(2), Tmk::new([1; 31]), Tmk::new([]), Tmk::new(*b"short")] {
            let wrong = Options { read_only, ..with_key(tmk) };
            assert_eq!(code(Database::open(folder.path(), wrong)).as_str(), "WRONG_KEY");
        }
    }
    assert_eq!(files(folder.path()), before);
    assert!(!folder.path().join("LOCK").exists());
}

#[test]
fn a_key_that_is_too_short_encrypts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("new");
    for tmk in [Tmk::new([]), Tmk::new([1; 15])] {
        assert_eq!(
            code(Database::open(&place, with_key(tmk.clone()))).as_str(),
            "INVALID_ARGUMENT"
        );
        assert!(!place.exists());
        let plain = copy_of("2.0", "all_kinds");
        let before = files(plain.path());
        assert_eq!(code(Database::open(plain.path(), with_key(tmk))).as_str(), "INVALID_ARGUMENT");
        assert_eq!(files(plain.path()), before);
    }
    Database::open(&place, with_key(Tmk::new([1; 16]))).unwrap();
}

#[test]
fn an_encrypted_reader_follows_an_encrypted_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    put(&writer, "a");
    let reader =
        Database::open(folder.path(), Options { read_only: true, ..with_key(key(1)) }).unwrap();
    assert!(support::get(&reader, "c", "a").is_some());
    put(&writer, "b");
    assert_eq!(reader.refresh().unwrap(), 1);
    assert!(support::get(&reader, "c", "b").is_some());
    assert!(reader.verify().unwrap());
}

#[test]
fn a_backup_of_an_encrypted_database_is_encrypted_and_opens_with_the_same_key() {
    let folder = encrypted();
    let db = open(folder.path());
    let copy = folder.path().join("copy");
    let report = db.backup(&copy).unwrap();
    assert_holds_nothing_plain(&copy);
    assert_eq!(code(Database::open(&copy, support::options(0.0))).as_str(), "KEY_REQUIRED");
    let copied = open(&copy);
    assert_eq!((copied.seq(), copied.head()), (report.seq, report.head));
    assert_eq!(copied.indexes().unwrap(), db.indexes().unwrap());
    assert_eq!(support::contents(&copied).unwrap(), support::contents(&db).unwrap());
    put(&copied, "x");
    put(&db, "x");
    assert_eq!(copied.seq(), db.seq());
}

#[test]
fn a_backup_of_a_damaged_encrypted_log_leaves_nothing() {
    let folder = encrypted();
    let db = open(folder.path());
    let mut log = log_of(folder.path());
    log[200] ^= 1;
    support::write_log(folder.path(), &log);
    let copy = folder.path().join("copy");
    assert_eq!(code(db.backup(&copy)).as_str(), "INTEGRITY_ERROR");
    assert!(!copy.exists());
}

#[test]
fn a_damaged_encrypted_log_is_repaired_and_stays_encrypted() {
    let folder = encrypted();
    // Opening from it would pass over what comes before.
    fs::remove_file(folder.path().join("checkpoint.11")).unwrap();
    let mut log = log_of(folder.path());
    let at = lines(&log)[..5].concat().len() + 100;
    log[at] ^= 1;
    support::write_log(folder.path(), &log);
    let db = open(folder.path());
    assert_eq!(db.open_report().damage.as_ref().unwrap().seq, 5);
    let repaired = db.repair().unwrap();
    assert_eq!(fs::read(repaired.damaged_file.unwrap()).unwrap(), log);
    put(&db, "after");
    drop(db);
    assert_holds_nothing_plain(folder.path());
    let db = open(folder.path());
    assert!(db.verify().unwrap() && support::get(&db, "c", "after").is_some());
    assert!(db.op(5).unwrap().unwrap().contains("\"op\":\"repair\""));
}

#[test]
fn a_torn_end_of_an_encrypted_log_is_cut_and_kept() {
    let folder = encrypted();
    let db = open(folder.path());
    let (head, whole) = (db.head(), log_of(folder.path()));
    put(&db, "torn");
    drop(db);
    let longer = log_of(folder.path());
    for torn in [whole.len() + 1, whole.len() + 60, longer.len() - 12, longer.len() - 2] {
        support::write_log(folder.path(), &longer[..torn]);
        support::write_lock(folder.path(), whole.len() as u64);
        let db = open(folder.path());
        assert_eq!(db.head(), head, "cut at {torn}");
        let report = db.open_report();
        assert_eq!(report.damage, None);
        assert_eq!(fs::read(report.cut_file.unwrap()).unwrap(), longer[whole.len()..torn]);
    }
    // All of it but the newline is a whole op; a whole envelope that was changed is no crash.
    support::write_log(folder.path(), &longer[..longer.len() - 1]);
    support::write_lock(folder.path(), whole.len() as u64);
    assert!(support::get(&open(folder.path()), "c", "torn").is_some());
    let mut changed = longer.clone();
    // Another character of base64: one that is none would make the envelope no envelope.
    let at = longer.len() - 40;
    changed[at] = if longer[at] == b'A' { b'B' } else { b'A' };
    support::write_log(folder.path(), &changed);
    support::write_lock(folder.path(), whole.len() as u64);
    let damage = open(folder.path()).open_report().damage.unwrap();
    assert!(damage.reason.contains("does not authenticate"), "{}", damage.reason);
}

#[test]
fn a_whole_plain_line_at_the_end_of_an_encrypted_log_is_no_crash() {
    for line in ["{\"seq\":1}\n", "{\"seq\": 15, \"op\": \"put\"}\n", "{}\n"] {
        let folder = encrypted();
        let whole = log_of(folder.path());
        support::write_log(folder.path(), &[&whole, line.as_bytes()].concat());
        support::write_lock(folder.path(), whole.len() as u64);
        let db = open(folder.path());
        let damage = db.open_report().damage.expect(line);
        assert!(damage.reason.contains("not encrypted, and the database is"), "{damage:?}");
        assert_eq!(damage.offset_bytes, whole.len() as u64);
        assert!(!db.verify().unwrap() && db.is_read_only(), "{line}");
    }
}

#[test]
fn index_definitions_of_another_database_or_in_plain_text_are_refused() {
    let folder = encrypted();
    let place = folder.path().join("meta.json");
    let own = fs::read(&place).unwrap();
    let other = fs::read(encrypted().path().join("meta.json")).unwrap();
    let plain = br#"{"indexes":[["users","name","eq"]]}"#.to_vec();
    let line = lines(&log_of(folder.path()))[0].to_vec();
    for wrong in [other, plain, line, own[..own.len() - 20].to_vec()] {
        fs::write(&place, &wrong).unwrap();
        for read_only in [false, true] {
            let given = Options { read_only, ..with_key(key(1)) };
            assert_eq!(code(Database::open(folder.path(), given)).as_str(), "INTEGRITY_ERROR");
        }
        assert_eq!(fs::read(&place).unwrap(), wrong);
    }
    fs::write(&place, own).unwrap();
    assert_eq!(open(folder.path()).indexes().unwrap().len(), 2);
}

#[test]
fn a_key_file_that_is_gone_is_not_replaced() {
    let folder = encrypted();
    fs::remove_file(folder.path().join("key.enc")).unwrap();
    let before = files(folder.path());
    assert_eq!(code(Database::open(folder.path(), support::options(0.0))).as_str(), "KEY_REQUIRED");
    let refused = Database::open(folder.path(), with_key(key(1))).unwrap_err();
    assert_eq!(refused.code().as_str(), "INTEGRITY_ERROR");
    assert!(refused.message().contains("key.enc"), "{refused}");
    assert_eq!(files(folder.path()), before);
}

// ── another key ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn after_another_key_was_set_it_alone_opens_the_database() {
    let folder = encrypted();
    let before = files(folder.path());
    rewrap_key(folder.path(), &key(1), &key(2)).unwrap();
    let mut after = files(folder.path());
    assert_ne!(after["key.enc"], before["key.enc"]);
    after.insert("key.enc".to_owned(), before["key.enc"].clone());
    assert_eq!(after, before, "nothing else has changed");
    assert_eq!(code(Database::open(folder.path(), with_key(key(1)))).as_str(), "WRONG_KEY");
    let db = Database::open(folder.path(), with_key(key(2))).unwrap();
    assert!(db.verify().unwrap());
    db.rewrap_key(&key(2), &key(3)).unwrap();
    // Asked again, as after a failure that came late, it is done again.
    db.rewrap_key(&key(2), &key(3)).unwrap();
    put(&db, "goes on");
    drop(db);
    assert_eq!(code(Database::open(folder.path(), with_key(key(2)))).as_str(), "WRONG_KEY");
    let db = Database::open(folder.path(), with_key(key(3))).unwrap();
    assert!(support::get(&db, "c", "goes on").is_some());
}

#[test]
fn another_key_is_refused_where_it_could_lock_somebody_out() {
    let folder = encrypted();
    let before = files(folder.path());
    let rewrap = |old: Tmk, new: Tmk| code(rewrap_key(folder.path(), &old, &new));
    assert_eq!(rewrap(key(2), key(3)).as_str(), "WRONG_KEY");
    assert_eq!(rewrap(key(1), Tmk::new(*b"short")).as_str(), "INVALID_ARGUMENT");
    let plain = copy_of("2.0", "all_kinds");
    assert_eq!(code(rewrap_key(plain.path(), &key(1), &key(2))).as_str(), "PLAIN_DATABASE");
    let missing = folder.path().join("missing");
    assert_eq!(code(rewrap_key(&missing, &key(1), &key(2))).as_str(), "STORAGE_ERROR");
    assert!(!missing.exists());
    let db = open(folder.path());
    assert_eq!(rewrap(key(1), key(2)).as_str(), "DATABASE_LOCKED");
    assert_eq!(code(db.rewrap_key(&key(2), &key(3))).as_str(), "WRONG_KEY");
    drop(db);
    let reader =
        Database::open(folder.path(), Options { read_only: true, ..with_key(key(1)) }).unwrap();
    assert_eq!(code(reader.rewrap_key(&key(1), &key(2))).as_str(), "READ_ONLY");
    let memory = Database::in_memory(with_key(key(1))).unwrap();
    assert_eq!(code(memory.rewrap_key(&key(1), &key(2))).as_str(), "PLAIN_DATABASE");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_key_that_the_server_of_1_2_2_derived_twice_can_be_replaced() {
    let folder = copy_of("1.2.2", "encrypted_nedbd");
    let master = Tmk::new((0..32).collect::<Vec<u8>>());
    rewrap_key(folder.path(), &master, &key(9)).unwrap();
    let db = Database::open(folder.path(), with_key(key(9))).unwrap();
    assert_eq!(support::get(&db, "u", "b").unwrap(), r#"{"_id":"b","_seq":1,"v":2}"#);
}

// ── a plain database with a key ──────────────────────────────────────────────────────────────────

#[test]
fn a_plain_database_is_encrypted_in_place_and_nothing_plain_is_left() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), sample::all_kinds);
    let plain = support::open(folder.path());
    let (head, seq, contents) = (plain.head(), plain.seq(), support::contents(&plain).unwrap());
    drop(plain);
    for name in ["log.aof.cut-3", "log.aof.damaged-1", "checkpoint.7", "meta.json.new"] {
        fs::write(folder.path().join(name), SECRET).unwrap();
    }
    fs::write(folder.path().join("snapshot.json"), format!("{{\"t\":\"{SECRET}\"}}")).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let progress = Arc::new(move |done, all| {
        teller.lock().unwrap().push((done, all));
        Ok(())
    });
    let given = Options { progress: Some(progress), ..with_key(key(1)) };
    let db = Database::open(folder.path(), given).unwrap();
    assert_holds_nothing_plain(folder.path());
    let names: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(names, ["encryption.note", "key.enc", "log.aof", "meta.json", "snapshot.json"]);
    assert!(told.lock().unwrap().last().is_some_and(|(done, all)| done == all && *done > 1_000));
    let warnings = db.open_report().warnings.join("\n");
    assert!(warnings.contains("was plain and was encrypted in place"), "{warnings}");
    assert!(warnings.contains("log.aof.cut-3, log.aof.damaged-1"), "{warnings}");
    assert_eq!(db.seq(), seq + 1);
    let note = db.op(seq + 1).unwrap().unwrap();
    assert!(note.contains("\"op\":\"encrypt\",\"payload\":{\"plain_op_count\":15}"), "{note}");
    assert!(note.contains(&format!("\"prev_hash\":\"{head}\"")), "{note}");
    assert_eq!(support::contents(&db).unwrap(), contents);
    assert_eq!(db.indexes().unwrap().len(), 2);
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    put(&db, "goes on");
    let head = db.head();
    drop(db);
    let db = open(folder.path());
    assert_eq!((db.head(), db.open_report().warnings), (head, vec![]));
}

#[test]
fn what_1x_left_of_a_whole_log_is_removed_and_what_nobody_knows_is_named() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), sample::all_kinds);
    for name in ["log.aof.heal_tmp", "log.aof.enc_tmp"] {
        fs::write(folder.path().join(name), SECRET).unwrap();
    }
    fs::write(folder.path().join("notes.bak"), "mine").unwrap();
    let db = open(folder.path());
    assert_holds_nothing_plain(folder.path());
    let warnings = db.open_report().warnings.join("\n");
    assert!(warnings.contains("log.aof.enc_tmp, log.aof.heal_tmp"), "{warnings}");
    assert!(warnings.contains("in plain text: notes.bak"), "{warnings}");
    assert_eq!(fs::read(folder.path().join("notes.bak")).unwrap(), b"mine");
}

#[test]
fn every_plain_fixture_is_encrypted_in_place_with_its_documents() {
    for (version, fixture) in
        [("1.2.2", "basic"), ("1.2.2", "unicode"), ("1.2.2", "checkpoint"), ("2.0", "all_kinds")]
    {
        let (plain, folder) = (copy_of(version, fixture), copy_of(version, fixture));
        let plain = support::open(plain.path());
        let db = open(folder.path());
        assert_eq!(support::contents(&db).unwrap(), support::contents(&plain).unwrap());
        assert_eq!(db.seq(), plain.seq() + 1);
        assert_eq!(
            support::ops(&db).unwrap()[..=plain.seq() as usize],
            support::ops(&plain).unwrap()
        );
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    }
}

#[test]
fn a_plain_database_is_refused_where_it_must_be_encrypted_already() {
    let folder = copy_of("2.0", "all_kinds");
    let before = files(folder.path());
    let refusing = Options { encrypt_existing: false, ..with_key(key(1)) };
    assert_eq!(code(Database::open(folder.path(), refusing.clone())).as_str(), "PLAIN_DATABASE");
    let reading = Options { read_only: true, ..with_key(key(1)) };
    assert_eq!(code(Database::open(folder.path(), reading)).as_str(), "PLAIN_DATABASE");
    assert_eq!(files(folder.path()), before);
    assert!(!folder.path().join("LOCK").exists());
    // What is new is not plain.
    let new = folder.path().join("new");
    assert!(Database::open(&new, refusing.clone()).unwrap().is_encrypted());
    assert!(Database::open(&new, refusing).unwrap().is_encrypted());
}

#[test]
fn a_damaged_plain_database_is_repaired_before_it_is_encrypted() {
    let folder = copy_of("2.0", "all_kinds");
    let mut log = log_of(folder.path());
    log[400] ^= 1;
    support::write_log(folder.path(), &log);
    let before = files(folder.path());
    let refused = Database::open(folder.path(), with_key(key(1))).unwrap_err();
    assert_eq!(refused.code().as_str(), "INTEGRITY_ERROR");
    assert!(refused.message().contains("repair()"), "{refused}");
    assert_eq!(files(folder.path()), before);
    support::open(folder.path()).repair().unwrap();
    assert!(open(folder.path()).verify().unwrap());
    assert!(!folder.path().join("log.aof.damaged-0").exists());
}

#[test]
fn the_torn_end_of_a_plain_log_does_not_survive_encrypting() {
    let folder = copy_of("2.0", "all_kinds");
    let log = log_of(folder.path());
    let torn = [&log[..], b"{\"client\":\"users alice"].concat();
    support::write_log(folder.path(), &torn);
    support::write_lock(folder.path(), log.len() as u64);
    let db = open(folder.path());
    assert_holds_nothing_plain(folder.path());
    let report = db.open_report();
    assert!(report.warnings.iter().any(|it| it.contains("left by a crash")), "{report:?}");
    assert_eq!((report.cut_file, db.seq()), (None, 15));
}

#[test]
fn a_database_without_ops_is_encrypted_without_a_word_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let plain = support::open(folder.path());
    plain.create_index("users", "ordered", IndexKind::Eq).unwrap();
    drop(plain);
    let db = open(folder.path());
    assert_eq!((db.seq(), db.indexes().unwrap().len()), (-1, 1));
    assert_holds_nothing_plain(folder.path());
}

#[test]
fn a_key_has_no_effect_in_memory() {
    let short = Database::in_memory(with_key(Tmk::new(*b"short")));
    assert_eq!(code(short).as_str(), "INVALID_ARGUMENT", "as for any new database");
    let db = Database::in_memory(with_key(key(1))).unwrap();
    put(&db, "a");
    assert!(!db.is_encrypted() && db.verify().unwrap());
}

// ── keys and nonces ──────────────────────────────────────────────────────────────────────────────

/// Returns session and counter of everything sealed in a directory.
fn nonces_in(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (name, bytes) in files(folder).into_iter().filter(|(name, _)| name != "key.enc") {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8(line.to_vec()).unwrap();
            let Some(sealed) = text.strip_prefix("{\"ct\":\"") else { continue };
            let Some(base64) = sealed.strip_suffix("\",\"enc\":2}") else { continue };
            let sealed = STANDARD.decode(base64).unwrap();
            // A text has a version before the session.
            let start = usize::from(name == "meta.json");
            found.push(sealed[start..start + 24].to_vec());
        }
    }
    found
}

/// What was sealed, by session and counter: two ciphertexts under one of them are one too many.
#[derive(Default)]
struct Seen {
    nonces: HashSet<Vec<u8>>,
    envelopes: HashSet<Vec<u8>>,
}

impl Seen {
    fn note(&mut self, folder: &Path) {
        for (_, bytes) in files(folder) {
            for line in bytes.split(|byte| *byte == b'\n').filter(|it| it.starts_with(b"{\"ct\"")) {
                self.envelopes.insert(line.to_vec());
            }
        }
        self.nonces.extend(nonces_in(folder));
    }

    fn check(&self) {
        let whole = self.envelopes.iter().filter(|it| it.ends_with(b"\"enc\":2}")).count();
        assert!(whole > 20, "{whole}");
        assert_eq!(self.nonces.len(), whole, "one nonce for each thing that was sealed");
    }
}

#[test]
fn no_nonce_comes_twice_under_one_key_whatever_becomes_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut seen = Seen::default();
    let write = |count: u32, seen: &mut Seen| {
        let db = open(path);
        db.create_index("c", &format!("f{}", db.seq()), IndexKind::Eq).unwrap();
        (0..count).for_each(|n| put(&db, &n.to_string()));
        drop(db);
        seen.note(path);
    };
    write(5, &mut seen);
    let old = files(path);
    write(5, &mut seen);
    // An old copy takes the database's place, and is written on.
    for (name, bytes) in &old {
        fs::write(path.join(name), bytes).unwrap();
    }
    fs::remove_file(path.join("LOCK")).unwrap();
    write(5, &mut seen);
    // A crash takes the last line, and others are written at its seq.
    let log = log_of(path);
    let kept = lines(&log)[..7].concat();
    support::write_log(path, &[&kept[..], &lines(&log)[7][..50]].concat());
    support::write_lock(path, kept.len() as u64);
    write(5, &mut seen);
    // The log goes on from the start.
    support::write_log(path, b"");
    fs::remove_file(path.join("LOCK")).unwrap();
    write(5, &mut seen);
    seen.check();
}

/// Randomness that always says the same: what a source must not do, and what a test can see.
struct Stuck;

impl Randomness for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> nedb_core::Result<()> {
        bytes.fill(7);
        Ok(())
    }
}

#[test]
fn what_is_sealed_is_a_function_of_the_randomness_that_was_given() {
    let write = |randomness: Option<Arc<dyn Randomness>>| {
        let folder = tempfile::tempdir().unwrap();
        let mut given = with_key(key(1));
        given.randomness = randomness.unwrap_or(given.randomness);
        sample::write_with(folder.path(), given, sample::all_kinds);
        files(folder.path())
    };
    assert_eq!(write(Some(Arc::new(Stuck))), write(Some(Arc::new(Stuck))));
    assert_ne!(write(None), write(None));
}

#[test]
fn no_debug_output_holds_key_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let given = with_key(Tmk::new(*b"a secret of twenty-four."));
    let mut shown = format!("{given:?}");
    shown += &format!("{:?}", Database::open(folder.path(), given).unwrap());
    assert!(shown.contains("Tmk(***)") && !shown.contains("secret"), "{shown}");
    assert!(!shown.contains("97, 32, 115"), "{shown}");
}

#[test]
fn a_document_is_served_from_the_cache_in_plain_and_from_the_disk_opened() {
    let folder = tempfile::tempdir().unwrap();
    let given = Options { cache_bytes: 1 << 20, ..with_key(key(1)) };
    let db = Database::open(folder.path(), given).unwrap();
    put(&db, "warm");
    let whole = log_of(folder.path());
    let mut changed = whole.clone();
    changed[100] ^= 1;
    support::write_log(folder.path(), &changed);
    assert!(support::get(&db, "c", "warm").is_some(), "the cache holds what was written");
    support::write_log(folder.path(), &whole);
    drop(db);
    let db = open(folder.path());
    support::write_log(folder.path(), &changed);
    let read = db.get("c", "warm", &ReadOptions::default());
    assert_eq!(code(read).as_str(), "INTEGRITY_ERROR");
}

// ── checkpoints ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_checkpoint_of_an_encrypted_database_is_encrypted_and_opening_reads_it() {
    let folder = encrypted();
    let db = open(folder.path());
    db.checkpoint(Some("sealed")).unwrap();
    put(&db, "after");
    let (head, contents) = (db.head(), support::contents(&db).unwrap());
    drop(db);
    assert_holds_nothing_plain(folder.path());
    let db = open(folder.path());
    assert!(db.open_report().checkpoint_seq.is_some(), "{:?}", db.open_report());
    assert_eq!((db.head(), support::contents(&db).unwrap()), (head, contents));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn a_checkpoint_that_was_changed_or_is_plain_is_ignored_with_a_warning() {
    let folder = encrypted();
    open(folder.path()).checkpoint(None).unwrap();
    let (name, sealed) =
        files(folder.path()).into_iter().find(|(name, _)| name.starts_with("checkpoint.")).unwrap();
    let plain = copy_of("2.0", "all_kinds");
    support::open(plain.path()).checkpoint(None).unwrap();
    let plain = files(plain.path()).into_iter().find(|(name, _)| name.starts_with("checkpoint."));
    let mut changed = sealed.clone();
    changed[100] ^= 1;
    for wrong in [changed, plain.unwrap().1, Vec::new()] {
        fs::write(folder.path().join(&name), &wrong).unwrap();
        let db = open(folder.path());
        let report = db.open_report();
        assert_eq!((report.checkpoint_seq, report.damage), (None, None));
        assert!(report.warnings.iter().any(|it| it.contains("ignored")), "{:?}", report.warnings);
        assert!(!db.verify().unwrap(), "the op that seals it says another hash");
    }
    fs::write(folder.path().join(&name), &sealed).unwrap();
    assert!(open(folder.path()).open_report().checkpoint_seq.is_some());
}
