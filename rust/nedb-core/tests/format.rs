//! Every format that was ever released still opens, with its head and its documents.
//!
//! A fixture is a database as a release wrote it, and what that release answered. What we answer may
//! differ only where semantics.md says so: `_id` is the key, `_seq` is the op's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]
#![expect(clippy::print_stderr, reason = "a skipped check says so")]

mod support;

use nedb_core::{Database, Options, ReadOptions, Tmk, Value, WriteOptions};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::expected::Expected;
use support::{copy_of, fixtures, log_of, open, options, sample};
use tempfile::TempDir;

/// The fixtures of 1.2.2 whose chain holds from the first line to the last.
const WHOLE: [&str; 10] = [
    "basic",
    "checkpoint",
    "files",
    "nested",
    "numbers",
    "provenance",
    "refused",
    "refused_unopenable",
    "unicode",
    "unknown",
];
/// Those that are encrypted: with a long key, a short one, one that the server derived twice.
const ENCRYPTED: [&str; 4] = ["encrypted", "encrypted_files", "encrypted_nedbd", "encrypted_short"];
/// Those whose chain does not hold, or whose seqs are not 0, 1, 2, and the line where that shows.
const BROKEN: [(&str, i64); 4] =
    [("coerced", 1), ("encrypted_healed", 1), ("gap", 1), ("healed", 1)];

fn open_fixture(version: &str, name: &str) -> (TempDir, Database, Expected) {
    let folder = copy_of(version, name);
    let expected = Expected::read(version, name);
    let given = Options { tmk: expected.tmk(), ..options(expected.clock()) };
    let db = Database::open(folder.path(), given).unwrap();
    (folder, db, expected)
}

/// Asks for a document as text, and as the value it is.
fn read(db: &Database, collection: &str, id: &str, as_of: Option<i64>) -> Value {
    let at = ReadOptions { as_of, ..ReadOptions::default() };
    let text = db.get(collection, id, &at).unwrap();
    text.map_or(Value::Null, |text| Value::parse(&text).unwrap())
}

/// Makes of what 1.x answered what we answer: `_id` is the key's.
fn as_we_say_it(document: Value, id: &str) -> Value {
    let Value::Object(members) = document else { return document };
    let own_id = |(key, value): (String, Value)| match key.as_str() {
        "_id" => (key, Value::String(id.to_owned())),
        _ => (key, value),
    };
    Value::Object(members.into_iter().map(own_id).collect())
}

fn assert_holds(db: &Database, expected: &Expected, fixture: &str) {
    assert_eq!(db.seq() + 1, expected.op_count(), "{fixture}");
    assert_eq!(db.head(), expected.head(), "{fixture}");
    assert_eq!(db.open_report().damage, None, "{fixture}");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{fixture}");
    for (collection, id, document) in expected.documents() {
        let found = read(db, &collection, &id, None);
        assert_eq!(found, as_we_say_it(document, &id), "{fixture} {collection}:{id}");
    }
    for (collection, id, text) in expected.texts() {
        let found = db.get(&collection, &id, &ReadOptions::default()).unwrap();
        assert_eq!(found.as_deref(), text.as_str(), "{fixture} {collection}:{id}");
    }
    for (collection, id) in expected.absent() {
        assert_eq!(read(db, &collection, &id, None), Value::Null, "{fixture} {collection}:{id}");
    }
    for (from, relation, to) in expected.neighbors() {
        if from.contains(':') {
            assert_eq!(db.neighbors(&from, &relation, None).unwrap(), to, "{fixture} {from}");
        }
    }
    for (seq, documents) in expected.as_of() {
        for (collection, id, document) in documents {
            let found = read(db, &collection, &id, Some(seq));
            let name = format!("{fixture} {collection}:{id} as of {seq}");
            assert_eq!(found, as_we_say_it(document, &id), "{name}");
        }
    }
}

#[test]
fn every_database_of_1_2_2_opens_with_its_head_and_its_documents() {
    for fixture in WHOLE.into_iter().chain(ENCRYPTED) {
        let (folder, db, expected) = open_fixture("1.2.2", fixture);
        let before = log_of(folder.path());
        assert!(expected.verifies());
        assert_eq!(db.is_encrypted(), ENCRYPTED.contains(&fixture));
        assert_holds(&db, &expected, fixture);
        db.close().unwrap();
        assert_eq!(log_of(folder.path()), before, "{fixture}: opening changed the log");
    }
}

#[test]
fn every_fixture_is_in_a_list_of_this_test() {
    let mut named: Vec<&str> = WHOLE.into_iter().chain(BROKEN.map(|(name, _)| name)).collect();
    named.extend(ENCRYPTED);
    named.sort_unstable();
    let mut found: Vec<_> = fs::read_dir(fixtures("1.2.2"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, named);
}

#[test]
fn a_broken_chain_of_1_2_2_opens_for_reading_up_to_the_break() {
    for (fixture, bad_seq) in BROKEN {
        let (folder, db, _) = open_fixture("1.2.2", fixture);
        let before = log_of(folder.path());
        let damage = db.open_report().damage.unwrap();
        assert_eq!((damage.seq, db.seq()), (bad_seq, bad_seq - 1), "{fixture}");
        assert_eq!(read(&db, "u", "a", None).get("_seq"), Some(&Value::Int(0)), "{fixture}");
        let report = db.verify_report().unwrap();
        assert_eq!((report.ok, report.damage), (false, Some(damage)), "{fixture}");
        let refused = db.put("u", "z", "{}", &WriteOptions::default()).unwrap_err();
        assert_eq!(refused.code().as_str(), "READ_ONLY", "{fixture}");
        assert!(refused.message().contains(&format!("op {bad_seq}")), "{fixture}: {refused}");
        assert!(db.is_read_only(), "{fixture}");
        db.close().unwrap();
        assert_eq!(log_of(folder.path()), before, "{fixture}: opening changed the log");
    }
}

#[test]
fn a_log_that_1_2_2_linked_anew_is_repaired_and_loses_nothing() {
    for fixture in ["healed", "encrypted_healed"] {
        check_carried_over(fixture);
    }
}

fn check_carried_over(fixture: &str) {
    let (folder, db, expected) = open_fixture("1.2.2", fixture);
    assert!(expected.verifies(), "1.2.2 saw nothing wrong with it");
    let old = log_of(folder.path());
    assert_eq!((db.seq(), db.open_report().damage.unwrap().seq), (0, 1));
    let report = db.repair().unwrap();
    assert_eq!((report.carried_op_count, report.cut_bytes), (4, 0));
    assert_eq!(fs::read(report.damaged_file.unwrap()).unwrap(), old);
    let assert_whole = |db: &Database| {
        for (seq, (collection, id, document)) in expected.documents().into_iter().enumerate() {
            let found = read(db, &collection, &id, None);
            let Value::Object(members) = document else { panic!("{document:?}") };
            for (key, value) in members.iter().filter(|(key, _)| key != "_seq") {
                assert_eq!(found.get(key), Some(value), "{id}");
            }
            assert_eq!(found.get("_seq"), Some(&Value::Int(seq as i64)), "{id}");
        }
        let note = db.op(5).unwrap().unwrap();
        for said in [r#""op":"repair""#, r#""carried_seqs":[[2,2],[4,4],[3,4]]"#] {
            assert!(note.contains(said), "{note}");
        }
        assert_eq!(db.open_report().damage, None);
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    };
    assert_eq!(db.seq(), 5);
    assert_whole(&db);
    let head = db.head();
    db.close().unwrap();
    let given = || Options { tmk: expected.tmk(), ..options(expected.clock()) };
    let db = Database::open(folder.path(), given()).unwrap();
    assert_eq!((db.seq(), db.head(), db.open_report().cut_bytes), (5, head, 0));
    assert_whole(&db);
    assert_eq!(db.is_encrypted(), expected.tmk().is_some());
    if db.is_encrypted() {
        let log = String::from_utf8(log_of(folder.path())).unwrap();
        assert!(log.lines().all(|line| line.contains("\"ct\":") && !line.contains("\"op\"")));
    }
    assert_eq!(db.repair().unwrap().damage, None);
    db.put("u", "h", "{}", &WriteOptions::default()).unwrap();
    assert!(db.verify().unwrap());
}

#[test]
fn a_repair_keeps_nothing_of_1_2_2_that_its_chain_does_not_prove() {
    for fixture in ["coerced", "gap"] {
        let (folder, db, _) = open_fixture("1.2.2", fixture);
        let report = db.repair().unwrap();
        assert_eq!((report.carried_op_count, db.seq()), (0, 1), "{fixture}");
        assert!(report.cut_bytes > 0 && db.verify().unwrap(), "{fixture}");
        assert!(!folder.path().join("log.aof.repaired").exists(), "{fixture}");
    }
}

#[test]
fn an_encrypted_database_of_1_2_2_asks_for_its_key() {
    let folder = copy_of("1.2.2", "encrypted");
    let before = support::files(folder.path());
    for read_only in [false, true] {
        let given = Options { read_only, ..options(support::NOW) };
        let refused = support::code(Database::open(folder.path(), given));
        assert_eq!(refused.as_str(), "KEY_REQUIRED");
    }
    assert_eq!(support::files(folder.path()), before);
}

#[test]
fn the_wrong_key_of_an_encrypted_database_of_1_2_2_changes_no_file() {
    for fixture in ENCRYPTED {
        let folder = copy_of("1.2.2", fixture);
        let before = support::files(folder.path());
        for read_only in [false, true] {
            let tmk = Some(Tmk::new(*b"another key of 24 bytes.."));
            let given = Options { read_only, tmk, ..options(support::NOW) };
            let refused = support::code(Database::open(folder.path(), given));
            assert_eq!(refused.as_str(), "WRONG_KEY", "{fixture}");
        }
        assert_eq!(support::files(folder.path()), before, "{fixture}");
        assert!(!folder.path().join("LOCK").exists(), "{fixture}");
    }
}

#[test]
fn index_definitions_that_1_2_2_left_plain_are_taken_and_sealed() {
    let folder = copy_of("1.2.2", "encrypted_files");
    let expected = Expected::read("1.2.2", "encrypted_files");
    let meta = || fs::read(folder.path().join("meta.json")).unwrap();
    let plain = meta();
    let open = |read_only| {
        let given = Options { tmk: expected.tmk(), read_only, ..options(support::NOW) };
        Database::open(folder.path(), given)
    };
    assert_eq!(open(true).unwrap().indexes().unwrap().len(), 2);
    assert_eq!(meta(), plain, "reading writes nothing");
    assert_eq!(open(false).unwrap().indexes().unwrap().len(), 2);
    assert!(meta().starts_with(b"{\"ct\":\""));
    let db = open(false).unwrap();
    assert_eq!(db.indexes().unwrap().len(), 2);
    assert_eq!(db.open_report().warnings, [""; 0]);
}

#[test]
fn an_encrypted_log_without_its_key_file_asks_for_its_key_all_the_same() {
    let folder = copy_of("1.2.2", "encrypted");
    fs::remove_file(folder.path().join("key.enc")).unwrap();
    let before = support::files(folder.path());
    assert_eq!(support::code(Database::open(folder.path(), options(0.0))).as_str(), "KEY_REQUIRED");
    assert_eq!(support::files(folder.path()), before);
}

#[test]
fn nonces_of_1_2_2_continue_from_the_highest_seen() {
    let (_folder, db, _) = open_fixture("1.2.2", "provenance");
    let nonce_of = |client: &str| {
        let given = WriteOptions { client: Some(client.to_owned()), ..WriteOptions::default() };
        db.put("n", "x", "{}", &given).map(|_| {
            let op = Value::parse(&db.op(db.seq()).unwrap().unwrap()).unwrap();
            op.get("nonce").cloned().unwrap()
        })
    };
    assert_eq!(nonce_of("app").unwrap(), Value::Int(1_000_001));
    assert_eq!(nonce_of("linker").unwrap(), Value::Int(6));
    assert_eq!(support::code(nonce_of("other")).as_str(), "REPLAY_ERROR");
}

#[test]
fn odd_nonces_of_1_2_2_are_honoured_and_never_written() {
    let (_folder, db, _) = open_fixture("1.2.2", "refused");
    let write = |client: &str, nonce| {
        let given = WriteOptions { client: Some(client.to_owned()), nonce, ..Default::default() };
        db.put("n", "x", "{}", &given)
    };
    assert_eq!(support::code(write("f", Some(1))).as_str(), "REPLAY_ERROR", "1 is not above 1.5");
    write("f", Some(2)).unwrap();
    assert_eq!(support::code(write("g", Some(i64::MAX))).as_str(), "REPLAY_ERROR");
    assert_eq!(support::code(write("g", None)).as_str(), "REPLAY_ERROR", "2^70 leaves none");
}

#[test]
fn a_document_of_1_2_2_can_expire_whatever_it_says_of_itself() {
    for fixture in ["refused", "provenance", "basic"] {
        let (_folder, db, expected) = open_fixture("1.2.2", fixture);
        for (collection, id, document) in expected.documents() {
            if collection.is_empty() || collection.contains(':') || id.is_empty() {
                continue;
            }
            let name = format!("{fixture} {collection}:{id}");
            let expired = db.expire(&collection, &id, 1e6, &WriteOptions::default());
            assert!(expired.unwrap_or_else(|error| panic!("{name}: {error}")), "{name}");
            let now = read(&db, &collection, &id, None);
            for key in ["v", "m", "_confidence", "_valid_from", "_valid_to", "_evidence"] {
                let was = document.get(key);
                let is_number = was.and_then(Value::as_f64).is_some();
                let is_same = now.get(key).and_then(Value::as_f64) == was.and_then(Value::as_f64);
                let is_kept = now.get(key) == was || is_number && is_same || fixture == "refused";
                assert!(is_kept, "{name}: {key} was {was:?} and is {:?}", now.get(key));
            }
        }
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{fixture}");
    }
}

#[test]
fn idempotency_keys_of_1_2_2_still_stand() {
    let (_folder, db, _) = open_fixture("1.2.2", "provenance");
    let seq = db.seq();
    let with = |idem: &str| WriteOptions { idem: Some(idem.to_owned()), ..WriteOptions::default() };
    let first = db.put("facts", "k", r#"{"v":8}"#, &with("order-1")).unwrap();
    assert_eq!(first, r#"{"_id":"k","_seq":6,"v":7}"#);
    let other = support::code(db.put("facts", "other", "{}", &with("order-1")));
    assert_eq!(other.as_str(), "IDEMPOTENCY_CONFLICT");
    assert_eq!(db.delete("facts", "n", &with("order-3")).unwrap(), 11);
    assert_eq!(db.seq(), seq);
}

#[test]
fn a_trace_over_ops_of_1_2_2_finds_the_versions_that_were_causes() {
    let (_folder, db, _) = open_fixture("1.2.2", "provenance");
    let rows = db
        .query(r#"FROM facts WHERE _id = "c" TRACE caused_by"#, &nedb_core::Params::none())
        .unwrap();
    let seqs: Vec<_> =
        rows.iter().map(|row| Value::parse(row).unwrap().get("_seq").cloned()).collect();
    assert_eq!(seqs, [Some(Value::Int(1)), Some(Value::Int(0))]);
}

/// Writes on top of a log of 1.2.2 everything that we can write.
fn write_on_top(db: &Database) {
    let none = WriteOptions::default();
    db.put("new", "a", r#"{"v":"é😀"}"#, &none).unwrap();
    db.put("new", "b", "{}", &WriteOptions { idem: Some("on-top".to_owned()), ..none.clone() })
        .unwrap();
    db.delete("new", "b", &none).unwrap();
    db.link("new:a", "over", "users:alice", &none).unwrap();
    let batch = r#"[{"op":"put","coll":"new","id":"c","doc":{"n":1.5}},{"op":"delete","coll":"new","id":"a"}]"#;
    db.batch(batch, &none).unwrap();
    db.checkpoint(None).unwrap();
}

#[test]
fn a_log_of_1_2_2_is_written_on_and_reopens_whole() {
    for fixture in WHOLE.into_iter().chain(ENCRYPTED) {
        let (folder, db, expected) = open_fixture("1.2.2", fixture);
        let old = log_of(folder.path());
        write_on_top(&db);
        let head = db.head();
        db.close().unwrap();
        assert!(log_of(folder.path()).starts_with(&old), "{fixture}");
        let given = Options { tmk: expected.tmk(), ..options(expected.clock()) };
        let db = Database::open(folder.path(), given).unwrap();
        assert_eq!((db.head(), db.seq() + 1), (head, expected.op_count() + 6), "{fixture}");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{fixture}");
        assert_eq!(read(&db, "new", "c", None).get("n"), Some(&Value::Float(1.5)), "{fixture}");
        for (collection, id, document) in expected.documents() {
            let found = read(&db, &collection, &id, None);
            assert_eq!(found, as_we_say_it(document, &id), "{fixture} {collection}:{id}");
        }
    }
}

#[test]
fn every_database_of_our_format_opens_with_its_head_and_its_documents() {
    for (fixture, _, _) in sample::FIXTURES {
        let (_folder, db, expected) = open_fixture("2.0", fixture);
        assert!(expected.verifies());
        assert_holds(&db, &expected, fixture);
    }
}

#[test]
fn the_same_writes_still_write_the_same_bytes() {
    for (fixture, _, fill) in sample::FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), fill);
        let released = support::files(copy_of("2.0", fixture).path());
        assert_eq!(support::files(folder.path()), released, "{fixture}");
    }
}

/// The check of log-format.md: a standard library and no NEDB.
const STANDARD_LIBRARY_CHECK: &str = r#"
import hashlib, json, sys
for path in sys.argv[1:]:
    prev = "0" * 64
    for line in open(path, encoding="utf-8"):
        op = json.loads(line)
        body = {k: op[k] for k in ("seq", "client", "nonce", "op", "payload", "ts", "idem")}
        body.update({k: op[k] for k in ("caused_by", "evidence", "confidence", "valid_from", "valid_to") if op.get(k) is not None})
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        assert op["prev_hash"] == prev and op["hash"] == hashlib.blake2b(prev.encode() + text.encode(), digest_size=32).hexdigest(), (path, op["seq"])
        prev = op["hash"]
    print(prev)
"#;

/// Returns the heads that the check finds, or None without a Python.
fn heads_by_standard_library(folders: &[&Path]) -> Option<Vec<String>> {
    let logs = folders.iter().map(|folder| folder.join("log.aof"));
    let ran = Command::new("python3")
        .args(["-c", STANDARD_LIBRARY_CHECK])
        .args(logs)
        .stderr(Stdio::inherit())
        .output();
    let Ok(ran) = ran else {
        eprintln!("skipped: there is no python3 to run the check of log-format.md with");
        return None;
    };
    assert!(ran.status.success(), "the check of log-format.md refuses a log");
    Some(String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn the_check_of_the_format_document_accepts_what_we_write() {
    let mut folders = Vec::new();
    let mut heads = Vec::new();
    for (fixture, _, fill) in sample::FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), fill);
        heads.push(Expected::read("2.0", fixture).head().to_owned());
        folders.push(folder);
    }
    for fixture in WHOLE {
        let folder = copy_of("1.2.2", fixture);
        let db = open(folder.path());
        write_on_top(&db);
        heads.push(db.head());
        db.close().unwrap();
        folders.push(folder);
    }
    let paths: Vec<&Path> = folders.iter().map(TempDir::path).collect();
    if let Some(found) = heads_by_standard_library(&paths) {
        assert_eq!(found, heads);
    }
}
