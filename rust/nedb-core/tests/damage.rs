//! What becomes of a log whose bytes were changed, and of one that changes under an open database.
//!
//! Every byte is changed in every way. What may come of it: a typed error at open; a database that is
//! open for reading up to the first line that does not fit, and says which and why; unchanged ops; or,
//! where the crash rules allow it, a tail that was cut and kept. Never a panic, never other documents.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, Options, ReadOptions, Tmk, WriteOptions};
use std::path::Path;
use support::mutate::{Layout, Mutation, forged, of_byte, of_lines, rehashed, replaced_in_line};
use support::{code, contents, copy_of, files, lines, log_of, open, ops, sample};
use tempfile::TempDir;

/// What a log says before it is damaged.
struct Truth {
    log: Vec<u8>,
    /// `key.enc`, when the log is encrypted.
    key_file: Option<Vec<u8>>,
    ops: Vec<String>,
    /// What HEAD shows after each number of ops, and its hash.
    contents: Vec<Vec<String>>,
    heads: Vec<String>,
}

impl Truth {
    fn of(log: Vec<u8>) -> Truth {
        Truth::of_sealed(log, None)
    }

    fn of_sealed(log: Vec<u8>, key_file: Option<Vec<u8>>) -> Truth {
        let count = lines(&log).len();
        let after = |count: usize| {
            let folder = support::folder_with(&lines(&log)[..count].concat(), None);
            write_key_file(folder.path(), key_file.as_deref());
            let given = Options { read_only: true, ..options_of(key_file.is_some()) };
            let db = Database::open(folder.path(), given).unwrap();
            assert!(db.verify().unwrap());
            (ops(&db).unwrap(), contents(&db).unwrap(), db.head())
        };
        let (ops, _, _) = after(count);
        assert_eq!(ops.len(), count);
        let (contents, heads) = (0..=count).map(|count| (after(count).1, after(count).2)).unzip();
        Truth { log, key_file, ops, contents, heads }
    }

    fn ours() -> Truth {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), sample::all_kinds);
        Truth::of(log_of(folder.path()))
    }

    /// The same ops as `ours`, encrypted.
    fn sealed() -> Truth {
        let folder = tempfile::tempdir().unwrap();
        sample::write_with(folder.path(), options_of(true), sample::all_kinds);
        let key_file = std::fs::read(folder.path().join("key.enc")).unwrap();
        Truth::of_sealed(log_of(folder.path()), Some(key_file))
    }

    fn sealed_by_1_2_2(fixture: &str) -> Truth {
        let folder = copy_of("1.2.2", fixture);
        let key_file = std::fs::read(folder.path().join("key.enc")).unwrap();
        Truth::of_sealed(log_of(folder.path()), Some(key_file))
    }

    fn of_1_2_2(fixture: &str) -> Truth {
        Truth::of(log_of(copy_of("1.2.2", fixture).path()))
    }

    fn len_bytes(&self) -> u64 {
        self.log.len() as u64
    }
}

fn write_key_file(folder: &Path, key_file: Option<&[u8]>) {
    if let Some(key_file) = key_file {
        std::fs::write(folder.join("key.enc"), key_file).unwrap();
    }
}

/// The key that the encrypted fixtures of 1.2.2 have as well.
fn options_of(is_encrypted: bool) -> Options {
    let tmk = is_encrypted.then(|| Tmk::new((0..32).collect::<Vec<u8>>()));
    Options { tmk, ..support::options(support::NOW) }
}

/// A folder whose log is written anew for every mutation.
struct Bench<'t> {
    truth: &'t Truth,
    folder: TempDir,
    /// What `LOCK` says.
    durable_bytes: Option<u64>,
}

impl Bench<'_> {
    fn new(truth: &Truth, durable_bytes: Option<u64>) -> Bench<'_> {
        let folder = tempfile::tempdir().unwrap();
        write_key_file(folder.path(), truth.key_file.as_deref());
        Bench { truth, folder, durable_bytes }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Opens a mutation and sees to it that what comes of it is allowed.
    fn check(&self, mutation: &Mutation, read_only: bool) {
        support::write_log(self.path(), &mutation.log);
        match self.durable_bytes {
            Some(durable_bytes) => support::write_lock(self.path(), durable_bytes),
            None => drop(std::fs::remove_file(self.path().join("LOCK"))),
        }
        let is_encrypted = self.truth.key_file.is_some();
        let options = Options { read_only, ..options_of(is_encrypted) };
        match Database::open(self.path(), options) {
            Ok(db) => self.check_open(&db, mutation, read_only),
            Err(error) => {
                let code = error.code().as_str();
                let is_typed = code == "INTEGRITY_ERROR" || code == "KEY_REQUIRED" && !is_encrypted;
                assert!(is_typed, "{}: {error}", mutation.name);
                assert_eq!(log_of(self.path()), mutation.log, "{}", mutation.name);
            }
        }
    }

    fn check_open(&self, db: &Database, mutation: &Mutation, read_only: bool) {
        let name = &mutation.name;
        let count = (db.seq() + 1) as usize;
        // The head stands for all ops before it; now and then they are read as well.
        assert_eq!(db.head(), self.truth.heads[count], "{name}");
        if !read_only {
            assert_eq!(ops(db).unwrap()[..], self.truth.ops[..count], "{name}");
            assert_eq!(contents(db).unwrap(), self.truth.contents[count], "{name}");
        }
        let report = db.open_report();
        let verified = db.verify_report().unwrap();
        assert_eq!(verified.ok, report.damage.is_none(), "{name}");
        if let Some(damage) = &report.damage {
            assert_eq!(damage.seq, count as i64, "{name}");
            assert_eq!(verified.damage.as_ref(), Some(damage), "{name}");
            assert!(db.is_read_only(), "{name}");
            assert_eq!(code(db.delete("u", "a", &WriteOptions::default())).as_str(), "READ_ONLY");
            assert_eq!(log_of(self.path()), mutation.log, "{name}: a damaged log was touched");
        } else if count < self.truth.ops.len() {
            self.check_lost_tail(db, mutation, read_only);
        }
        db.close().unwrap();
    }

    /// Ops are missing at the end, and nothing is called damaged: only a crash may look like that.
    fn check_lost_tail(&self, db: &Database, mutation: &Mutation, read_only: bool) {
        let (name, report) = (&mutation.name, db.open_report());
        let kept_bytes = lines(&mutation.log)[..report.op_count as usize].concat().len() as u64;
        let is_whole = mutation.log.len() as u64 == kept_bytes;
        match self.durable_bytes {
            Some(durable_bytes) if is_whole => {
                assert!(mutation.log.len() < durable_bytes as usize, "{name}");
                assert!(report.warnings.iter().any(|it| it.contains("shorter")), "{name}");
            }
            Some(durable_bytes) => assert!(kept_bytes >= durable_bytes, "{name}"),
            None if is_whole => {}
            None => assert_eq!(lines(&mutation.log).len() as u64, report.op_count + 1, "{name}"),
        }
        if !is_whole && !read_only {
            let cut = std::fs::read(report.cut_file.unwrap()).unwrap();
            assert_eq!([log_of(self.path()), cut].concat(), mutation.log, "{name}");
            assert_eq!(report.cut_bytes, mutation.log.len() as u64 - kept_bytes, "{name}");
        }
    }
}

/// Opening for reading is tried for every `step`th byte; for writing, which syncs, for a few.
fn change_every_byte(truth: &Truth, durable_bytes: Option<u64>, step: usize) {
    let bench = Bench::new(truth, durable_bytes);
    for at in (0..truth.log.len()).step_by(step) {
        for mutation in of_byte(&truth.log, at) {
            bench.check(&mutation, true);
            if at % 257 == 0 {
                bench.check(&mutation, false);
            }
        }
    }
}

#[test]
fn no_changed_byte_of_ours_goes_unnoticed_after_a_sync() {
    let truth = Truth::ours();
    change_every_byte(&truth, Some(truth.len_bytes()), 1);
}

#[test]
fn no_changed_byte_of_ours_goes_unnoticed_without_a_lock_file() {
    let truth = Truth::ours();
    change_every_byte(&truth, None, 7);
}

#[test]
fn no_changed_byte_of_1_2_2_goes_unnoticed() {
    change_every_byte(&Truth::of_1_2_2("checkpoint"), None, 1);
}

#[test]
fn no_changed_byte_of_text_of_1_2_2_goes_unnoticed() {
    change_every_byte(&Truth::of_1_2_2("unicode"), None, 11);
}

#[test]
fn no_changed_byte_of_an_encrypted_log_goes_unnoticed() {
    let truth = Truth::sealed();
    change_every_byte(&truth, Some(truth.len_bytes()), 1);
    change_every_byte(&truth, None, 13);
}

#[test]
fn no_changed_byte_of_an_encrypted_log_of_1_2_2_goes_unnoticed() {
    change_every_byte(&Truth::sealed_by_1_2_2("encrypted"), None, 1);
}

#[test]
fn encrypting_changes_neither_ops_nor_heads_nor_what_is_read() {
    let (plain, sealed) = (Truth::ours(), Truth::sealed());
    // The hash of a checkpoint file is of the lengths of lines too, and stands in the op that seals it.
    let is_seal = |op: &String| op.contains("\"op\":\"checkpoint\"");
    let before = plain.ops.iter().position(is_seal).unwrap();
    assert!(before > 10);
    assert_eq!(plain.heads[..=before], sealed.heads[..=before]);
    assert_eq!(plain.ops[..before], sealed.ops[..before]);
    assert_eq!(plain.contents, sealed.contents);
    assert_ne!(plain.log, sealed.log);
}

#[test]
fn a_plain_line_among_encrypted_ones_is_damage_at_its_place() {
    let (plain, sealed) = (Truth::ours(), Truth::sealed());
    let (plain_lines, sealed_lines) = (lines(&plain.log), lines(&sealed.log));
    for at in 0..sealed_lines.len() {
        for durable_bytes in [Some(0), None] {
            let mut mixed = sealed_lines.clone();
            // The very op that belongs there, hash and all.
            mixed[at] = plain_lines[at];
            let log = mixed.concat();
            let bench = Bench::new(&sealed, durable_bytes);
            bench.check(&Mutation { name: format!("plain line {at}"), log: log.clone() }, false);
            support::write_log(bench.path(), &log);
            let db = Database::open(bench.path(), options_of(true)).unwrap();
            let damage = db.open_report().damage.unwrap();
            assert_eq!(damage.seq, at as i64);
            assert_eq!(damage.offset_bytes as usize, sealed_lines[..at].concat().len());
            assert_eq!(damage.reason, "the line is not encrypted, and the database is");
        }
    }
}

#[test]
fn an_encrypted_line_among_plain_ones_is_damage_at_its_place() {
    let (plain, sealed) = (Truth::ours(), Truth::sealed());
    let mut mixed = lines(&plain.log);
    mixed[3] = lines(&sealed.log)[3];
    let folder = support::folder_with(&mixed.concat(), Some(0));
    let damage = open(folder.path()).open_report().damage.unwrap();
    assert_eq!(damage.seq, 3);
    assert_eq!(damage.reason, "the line is encrypted, and the database is not");
}

#[test]
fn a_line_of_another_place_or_another_database_is_named() {
    let (sealed, other) = (Truth::sealed(), Truth::sealed());
    for (at, taken) in
        [(2, lines(&sealed.log)[4]), (2, lines(&sealed.log)[1]), (5, lines(&other.log)[5])]
    {
        let mut mixed = lines(&sealed.log);
        mixed[at] = taken;
        let bench = Bench::new(&sealed, None);
        support::write_log(bench.path(), &mixed.concat());
        let db = Database::open(bench.path(), options_of(true)).unwrap();
        let damage = db.open_report().damage.unwrap();
        assert_eq!(damage.seq, at as i64);
        assert!(damage.reason.contains("does not authenticate as op"), "{}", damage.reason);
        assert_eq!(db.verify_report().unwrap().damage, Some(damage));
    }
}

#[test]
fn an_encrypted_line_changed_under_an_open_database_is_never_served() {
    let truth = Truth::sealed();
    let bench = Bench::new(&truth, None);
    support::write_log(bench.path(), &truth.log);
    let db = Database::open(bench.path(), options_of(true)).unwrap();
    let bob = db.get("users", "bob", &ReadOptions { as_of: Some(1), ..Default::default() });
    assert!(bob.unwrap().is_some());
    let mut swapped = lines(&truth.log);
    swapped.swap(1, 2);
    support::write_log(bench.path(), &swapped.concat());
    assert_eq!(code(db.op(1)).as_str(), "INTEGRITY_ERROR");
    let at = ReadOptions { as_of: Some(1), ..Default::default() };
    assert_eq!(code(db.get("users", "bob", &at)).as_str(), "INTEGRITY_ERROR");
    assert_eq!(db.verify_report().unwrap().damage.unwrap().seq, 1);
    assert!(!db.verify_determinism().unwrap());
}

#[test]
fn lines_that_were_dropped_swapped_or_repeated_do_not_go_unnoticed() {
    let sealed = [Truth::sealed(), Truth::sealed_by_1_2_2("encrypted_files")];
    for truth in [Truth::ours(), Truth::of_1_2_2("checkpoint")].into_iter().chain(sealed) {
        for durable_bytes in [Some(truth.len_bytes()), None] {
            let bench = Bench::new(&truth, durable_bytes);
            for mutation in of_lines(&truth.log) {
                bench.check(&mutation, false);
            }
        }
    }
}

fn check_named(truth: &Truth, name: &str, log: Vec<u8>) {
    let bench = Bench::new(truth, Some(log.len() as u64));
    bench.check(&Mutation { name: name.to_owned(), log }, false);
}

#[test]
fn an_edited_value_under_the_old_hash_is_damage_at_that_op() {
    let truth = Truth::ours();
    let log = replaced_in_line(&truth.log, 1, "\"age\":27.5", "\"age\":28.5");
    check_named(&truth, "edit", log.clone());
    let folder = support::folder_with(&log, None);
    let damage = open(folder.path()).open_report().damage.unwrap();
    assert_eq!((damage.seq, damage.reason.as_str()), (1, "the hash is not that of the op"));
    assert_eq!(damage.offset_bytes as usize, lines(&log)[0].len());
}

#[test]
fn a_rehashed_line_is_damage_at_the_line_after_it() {
    let truth = Truth::ours();
    let log = replaced_in_line(&truth.log, 1, "\"age\":27.5", "\"age\":28.5");
    let log = rehashed(&log, 1);
    let folder = support::folder_with(&log, Some(log.len() as u64));
    let db = open(folder.path());
    let damage = db.open_report().damage.unwrap();
    assert_eq!(damage.seq, 2);
    assert!(damage.reason.contains("prev_hash"), "{}", damage.reason);
    assert_eq!(db.verify_report().unwrap().damage, Some(damage));
}

#[test]
fn a_rehashed_last_line_differs_from_the_head_that_was_noted_elsewhere() {
    let truth = Truth::ours();
    let last = truth.ops.len() - 1;
    let log = rehashed(&replaced_in_line(&truth.log, last, "\"n\":2", "\"n\":3"), last);
    let folder = support::folder_with(&log, None);
    let db = open(folder.path());
    // Nothing inside the file can tell: that is what the head is for.
    assert!(db.verify().unwrap());
    assert!(!truth.ops[last].contains(&db.head()));
}

#[test]
fn a_member_that_no_hash_covers_is_reported() {
    let truth = Truth::ours();
    let log = replaced_in_line(&truth.log, 0, "{\"client\"", "{\"added\":1,\"client\"");
    let folder = support::folder_with(&log, None);
    let db = open(folder.path());
    let report = db.verify_report().unwrap();
    assert!(report.ok);
    assert_eq!(report.warnings, ["op 0 has a member \"added\" that no hash covers"]);
}

#[test]
fn an_op_that_cannot_be_understood_is_damage_even_behind_what_was_synced() {
    let truth = Truth::ours();
    let last = truth.ops.len() - 1;
    let log = rehashed(&replaced_in_line(&truth.log, last, "\"doc\":", "\"dox\":"), last);
    for durable_bytes in [None, Some(0)] {
        let folder = support::folder_with(&log[..log.len() - 1], durable_bytes);
        let db = open(folder.path());
        let damage = db.open_report().damage.unwrap();
        assert_eq!((damage.seq, damage.reason.contains("put without doc")), (last as i64, true));
        assert_eq!(db.verify_report().unwrap().damage, Some(damage));
        assert_eq!(log_of(folder.path()), log[..log.len() - 1]);
    }
}

const GOOD_PUT: (&str, &str) =
    ("put", r#"{"coll":"u","doc":{"_id":"a","n":1},"id":"a","key":"u:a"}"#);

/// Ops whose hash is right and whose payload has not the shape of their kind, and what is said of them.
const MISSHAPEN: [(&str, &str, &str); 46] = [
    ("put", r#"{"coll":"u","doc":-1,"id":"a","key":"u:a"}"#, "put whose doc is no object"),
    ("put", r#"{"coll":"u","doc":"x","id":"a","key":"u:a"}"#, "put whose doc is no object"),
    ("put", r#"{"coll":"u","doc":[1],"id":"a","key":"u:a"}"#, "put whose doc is no object"),
    ("put", r#"{"coll":"u","doc":[],"id":"a","key":"u:a"}"#, "put whose doc is no object"),
    ("put", r#"{"coll":"u","doc":null,"id":"a","key":"u:a"}"#, "put whose doc is no object"),
    ("put", r#"{"coll":"u","id":"a","key":"u:a"}"#, "put without doc"),
    ("put", r#"{"doc":{"_id":"a"},"id":"a","key":"u:a"}"#, "put without coll"),
    ("put", r#"{"coll":"u","doc":{"_id":"a"},"key":"u:a"}"#, "put without id"),
    ("put", r#"{"coll":"u","doc":{"_id":"a"},"id":"a"}"#, "put without key"),
    ("put", r#"{"coll":"u","doc":{"_id":"a"},"id":"a","key":"u:b"}"#, "key is not coll:id"),
    ("put", r#"{"coll":"u","doc":{"_id":"a"},"id":"a","key":"ua"}"#, "key is not coll:id"),
    ("put", "[]", "put whose payload is no object"),
    ("put", "5", "put whose payload is no object"),
    ("delete", r#"{"coll":"u","key":"u:a"}"#, "delete without id"),
    ("delete", r#"{"coll":"u","id":"a","key":"u:b"}"#, "key is not coll:id"),
    ("delete", "null", "delete whose payload is no object"),
    ("link", r#"{"frm":"u:a","to":"u:b"}"#, "link without rel"),
    ("link", r#"{"rel":"r","to":"u:b"}"#, "link without frm"),
    ("unlink", r#"{"frm":"u:a","rel":"r"}"#, "unlink without to"),
    ("put_file", r#"{"name":"f","tier":"warm","version":0}"#, "put_file without root"),
    ("put_file", r#"{"name":"f","root":"x","tier":"warm","version":0}"#, "root is no hash"),
    ("put_file", r#"{"name":"f","root":5,"tier":"warm","version":0}"#, "root is no string"),
    ("put_file", r#"{"name":"f","root":"ROOT","tier":"hot","version":0}"#, "neither warm nor cold"),
    ("put_file", r#"{"name":"f","root":"ROOT","tier":"warm","version":-1}"#, "version is no count"),
    ("put_file", r#"{"name":"f","root":"ROOT","tier":"warm","version":"0"}"#, "is no count"),
    ("put_file", r#"{"root":"ROOT","tier":"warm","version":0}"#, "put_file without name"),
    (
        "put_file",
        r#"{"name":"f","root":"ROOT","tier":"warm","tree":1,"version":0}"#,
        "put_file without size",
    ),
    (
        "put_file",
        r#"{"manifest":"x","name":"f","root":"ROOT","size":1,"tier":"warm","tree":1,"version":0}"#,
        "manifest is no hash",
    ),
    (
        "put_file",
        r#"{"name":"f","root":"ROOT","tier":"warm","tree":2,"version":0}"#,
        "tree is not 1",
    ),
    ("checkpoint", r#"{}"#, "checkpoint without note"),
    ("checkpoint", r#"{"note":5}"#, "note is no string"),
    ("checkpoint", r#"{"note":"n","views":"x"}"#, "views is no hash"),
    ("checkpoint", r#"{"note":"n","views":null}"#, "views is no string"),
    ("repair", r#"{"cut_bytes":1,"damaged_file":"f","offset_bytes":0}"#, "repair without reason"),
    (
        "repair",
        r#"{"cut_bytes":1,"damaged_file":"f","offset_bytes":"0","reason":"r"}"#,
        "offset_bytes is no count",
    ),
    ("encrypt", r#"{}"#, "encrypt without plain_op_count"),
    ("tx", r#"{}"#, "tx without items"),
    ("tx", r#"{"items":{}}"#, "tx whose items are no list"),
    ("tx", r#"{"items":[5]}"#, "item 0 of the tx: without op"),
    ("tx", r#"{"items":[{"op":7,"payload":{}}]}"#, "item 0 of the tx: without op"),
    ("tx", r#"{"items":[{"op":"put"}]}"#, "item 0 of the tx: without payload"),
    ("tx", r#"{"items":[{"op":"put","payload":[]}]}"#, "put whose payload is no object"),
    ("tx", r#"{"items":[{"op":"tx","payload":{"items":[]}}]}"#, "item 0 of the tx: a tx"),
    (
        "tx",
        r#"{"items":[{"op":"link","payload":{"frm":"a:b","rel":"r","to":"a:c"}},{"op":"put","payload":{"coll":"u","doc":-1,"id":"a","key":"u:a"}}]}"#,
        "item 1 of the tx: put whose doc is no object",
    ),
    (
        "tx",
        r#"{"items":[{"op":"delete","payload":{"coll":"u","key":"u:a"}}]}"#,
        "delete without id",
    ),
    ("tx", "[]", "tx without items"),
];

/// What NEDB 1.x wrote, since it checked no types, and no line of ours may be.
const MISSHAPEN_IN_OURS: [(&str, &str, &str); 7] = [
    ("put", r#"{"coll":7,"doc":{"_id":"a"},"id":"a","key":"7:a"}"#, "coll is no string"),
    ("put", r#"{"coll":"u","doc":{"_id":5},"id":5,"key":"u:5"}"#, "id is no string"),
    ("put", r#"{"coll":"u","doc":{"_id":"b"},"id":"a","key":"u:a"}"#, "doc is one of another _id"),
    ("put", r#"{"coll":"u","doc":{"n":1},"id":"a","key":"u:a"}"#, "or of none"),
    ("delete", r#"{"coll":"u","id":null,"key":"u:None"}"#, "id is no string"),
    ("link", r#"{"frm":1,"rel":2,"to":3}"#, "frm is no string"),
    (
        "put_file",
        r#"{"name":null,"root":"ROOT","tier":"warm","version":0}"#,
        "put_file whose name is no string",
    ),
];

/// A chain in which everything holds but the payload of the second of three ops.
fn with_misshapen(layout: Layout, op: &str, payload: &str) -> Vec<u8> {
    let payload = payload.replace("ROOT", &"ab".repeat(32));
    forged(layout, &[GOOD_PUT, (op, &payload), GOOD_PUT])
}

#[test]
fn an_op_whose_payload_has_not_the_shape_of_its_kind_is_damage_and_named() {
    let legacy = MISSHAPEN.iter().map(|it| (Layout::Legacy, it));
    let ours = MISSHAPEN.iter().chain(&MISSHAPEN_IN_OURS).map(|it| (Layout::Ours, it));
    for (layout, (op, payload, reason)) in legacy.chain(ours) {
        let log = with_misshapen(layout, op, payload);
        let name = format!("{layout:?} {op} {payload}");
        let folder = support::folder_with(&log, Some(log.len() as u64));
        let db = open(folder.path());
        let damage = db.open_report().damage.expect(&name);
        assert_eq!((damage.seq, db.seq(), db.is_read_only()), (1, 0, true), "{name}");
        assert_eq!(damage.offset_bytes as usize, lines(&log)[0].len(), "{name}");
        assert!(damage.reason.contains(reason), "{name}: {}", damage.reason);
        assert_eq!(code(db.delete("u", "a", &WriteOptions::default())).as_str(), "READ_ONLY");
        assert!(!db.verify().unwrap(), "{name}");
        assert_eq!(db.verify_report().unwrap().damage, Some(damage), "{name}");
        assert_eq!(log_of(folder.path()), log, "{name}");
    }
}

#[test]
fn a_misshapen_op_that_comes_under_an_open_database_is_found_by_verify_and_not_served() {
    let good = forged(Layout::Ours, &[GOOD_PUT, GOOD_PUT, GOOD_PUT]);
    for (op, payload, reason) in MISSHAPEN.iter().chain(&MISSHAPEN_IN_OURS) {
        let folder = support::folder_with(&good, Some(good.len() as u64));
        let db = open(folder.path());
        support::write_log(folder.path(), &with_misshapen(Layout::Ours, op, payload));
        let report = db.verify_report().unwrap();
        let damage = report.damage.unwrap();
        assert_eq!((report.ok, report.op_count, damage.seq), (false, 1, 1), "{op} {payload}");
        assert!(damage.reason.contains(reason), "{op} {payload}: {}", damage.reason);
        let copy = tempfile::tempdir().unwrap();
        assert_eq!(code(db.backup(copy.path())).as_str(), "INTEGRITY_ERROR", "{op} {payload}");
    }
}

#[test]
fn what_nedb_1_wrote_without_a_check_of_types_opens_as_it_did() {
    let ops: Vec<(&str, String)> = [
        ("put", r#"{"coll":"u","doc":{"_id":"other","n":1},"id":"a","key":"u:a"}"#),
        ("put", r#"{"coll":null,"doc":{"_id":"a"},"id":"a","key":"None:a"}"#),
        ("put", r#"{"coll":"u","doc":{"_id":{"a":1}},"id":{"a":1},"key":"u:{'a': 1}"}"#),
        ("put", r#"{"coll":"u","doc":{},"id":true,"key":"u:True"}"#),
        ("delete", r#"{"coll":"u","id":1.5,"key":"u:1.5"}"#),
        ("link", r#"{"frm":null,"rel":[1],"to":"u:b"}"#),
        ("put_file", r#"{"name":5,"root":"ROOT","tier":"cold","version":0}"#),
        ("checkpoint", r#"{"note":"snapshot captured"}"#),
    ]
    .map(|(op, payload)| (op, payload.replace("ROOT", &"ab".repeat(32))))
    .to_vec();
    let ops: Vec<(&str, &str)> = ops.iter().map(|(op, payload)| (*op, payload.as_str())).collect();
    let log = forged(Layout::Legacy, &ops);
    let folder = support::folder_with(&log, None);
    let db = open(folder.path());
    assert_eq!((db.open_report().damage, db.seq()), (None, 7));
    assert!(db.verify().unwrap());
    let a = support::get(&db, "u", "a").unwrap();
    assert_eq!(a, r#"{"_id":"a","_seq":0,"n":1}"#);
    assert_eq!(support::get(&db, "u", "true").unwrap(), r#"{"_id":"true","_seq":3}"#);
}

#[test]
fn unknown_kinds_and_unknown_members_of_payloads_are_accepted() {
    let more = r#"{"coll":"u","doc":{"_id":"a"},"id":"a","key":"u:a","sealed":{"x":[1]}}"#;
    let items = r#"{"erase":5,"items":[{"op":"frob","payload":7},{"more":1,"op":"unlink","payload":{"frm":"a","rel":"r","to":"b","x":null}}]}"#;
    let ops = [
        ("put", more),
        ("frobnicate", "[1]"),
        ("frobnicate", "{}"),
        ("redis", r#"{"do":1}"#),
        ("tx", items),
        ("checkpoint", r#"{"note":"n","state":5,"views":"ROOT"}"#),
    ]
    .map(|(op, payload)| (op, payload.replace("ROOT", &"ab".repeat(32))));
    let ops: Vec<(&str, &str)> = ops.iter().map(|(op, payload)| (*op, payload.as_str())).collect();
    for layout in [Layout::Ours, Layout::Legacy] {
        let folder = support::folder_with(&forged(layout, &ops), None);
        let db = open(folder.path());
        assert_eq!((db.open_report().damage, db.seq()), (None, 5), "{layout:?}");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{layout:?}");
    }
}

#[test]
fn members_of_a_document_that_the_engine_sets_may_have_any_type_and_texts_stay_json_objects() {
    // NEDB 1.x stored each of them, and so they are read as absent.
    let values = ["\"x\"", "5", "-1", "null", "true", "[]", "[\"x\",null]", "{\"a\":1}", "1e+300"];
    let names = [
        "_caused_by",
        "_confidence",
        "_evidence",
        "_expires_at",
        "_score",
        "_seq",
        "_valid_from",
        "_valid_to",
    ];
    for (layout, name) in [Layout::Ours, Layout::Legacy]
        .into_iter()
        .flat_map(|layout| names.map(|name| (layout, name)))
    {
        for value in values {
            let mut members = ["\"_id\":\"a\"".to_owned(), format!("\"{name}\":{value}")];
            members.sort();
            let [first, second] = members;
            let payload =
                format!(r#"{{"coll":"u","doc":{{{first},{second},"n":1}},"id":"a","key":"u:a"}}"#);
            let folder =
                support::folder_with(&forged(layout, &[("put", &payload), GOOD_PUT]), None);
            let db = open(folder.path());
            assert_eq!(db.open_report().damage, None, "{layout:?} {payload}");
            check_served(&db, &payload);
        }
    }
}

/// Reads what the first op of a database says of a document, in every way, and writes it again.
fn check_served(db: &Database, name: &str) {
    let object = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).expect(name);
        assert!(value.is_object(), "{name}: {text}");
    };
    let first = ReadOptions { as_of: Some(0), ..ReadOptions::default() };
    db.get("u", "a", &first).unwrap().iter().for_each(|text| object(text));
    for tail in [
        "",
        " ORDER BY _confidence DESC",
        " TRACE caused_by",
        " VALID AS OF \"2024-01-01\"",
        " WHERE _seq = 0",
    ] {
        let rows = db.query(&format!("FROM u AS OF 0{tail}"), &nedb_core::Params::none()).unwrap();
        rows.iter().for_each(object);
    }
    object(&db.op(0).unwrap().unwrap());
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{name}");
    let none = WriteOptions::default();
    db.delete("u", "a", &none).unwrap();
    db.sweep().unwrap();
    let document = db.get("u", "a", &first).unwrap();
    if let Some(document) = document {
        object(&db.put("u", "a", &document, &none).unwrap());
    }
    db.expire("u", "a", 5.0, &none).unwrap();
    support::get(db, "u", "a").iter().for_each(|text| object(text));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "{name}");
}

#[test]
fn a_damaged_index_definition_is_a_typed_error() {
    for meta in [
        "",
        "{",
        "\u{0}",
        "{\"indexes\":1}",
        "[]",
        "{\"indexes\":[[1,2,3],[\"a\"],[\"u\",\"f\",\"x\"]]}",
    ] {
        let folder = copy_of("2.0", "all_kinds");
        std::fs::write(folder.path().join("meta.json"), meta).unwrap();
        match Database::open(folder.path(), support::options(support::NOW)) {
            Ok(db) => assert!(db.verify().unwrap() && db.indexes().unwrap().is_empty(), "{meta}"),
            Err(error) => {
                assert_eq!(error.code().as_str(), "INTEGRITY_ERROR", "{meta}: {error}");
                assert!(error.message().contains("move it away"), "{error}");
                std::fs::remove_file(folder.path().join("meta.json")).unwrap();
                let db = Database::open(folder.path(), support::options(support::NOW)).unwrap();
                assert!(db.verify().unwrap() && db.indexes().unwrap().is_empty(), "{meta}");
            }
        }
    }
}

/// Changes one byte in a document of a line on the disk, under an open database.
fn damage_under(folder: &Path, text: &str, other: &str) {
    let log = String::from_utf8(log_of(folder)).unwrap();
    assert!(log.contains(text) && text.len() == other.len());
    let at = log.find(text).unwrap();
    use std::io::{Seek, SeekFrom, Write};
    let mut file = std::fs::OpenOptions::new().write(true).open(folder.join("log.aof")).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(other.as_bytes()).unwrap();
}

#[test]
fn a_document_damaged_under_an_open_database_is_an_error_to_whoever_reads_it() {
    let none = WriteOptions::default();
    let query = |db: &Database, nql: &str| code(db.query(nql, &nedb_core::Params::none()));
    let at = |as_of| ReadOptions { as_of, ..ReadOptions::default() };
    let keep = |_: Option<&str>| Ok(nedb_core::Update::Keep);
    let reads: [&dyn Fn(&Database) -> nedb_core::ErrorCode; 6] = [
        &|db| code(db.get("orders", "1", &at(None))),
        &|db| query(db, "FROM orders"),
        &|db| query(db, "FROM users WHERE age = 32"),
        &|db| code(db.op(5)),
        &|db| code(db.expire("orders", "1", 5.0, &none)),
        &|db| code(db.update("orders", "1", &none, keep)),
    ];
    for read in reads {
        let folder = copy_of("2.0", "all_kinds");
        let db = open(folder.path());
        let older = db.get("users", "alice", &at(Some(0))).unwrap();
        damage_under(folder.path(), "\"total\":12.5", "\"total\":99.5");
        assert_eq!(read(&db).as_str(), "INTEGRITY_ERROR");
        assert_eq!(code(db.expire("orders", "1", 5.0, &none)).as_str(), "READ_ONLY");
        assert_eq!(db.get("users", "alice", &at(Some(0))).unwrap(), older, "the rest can be read");
        let damage = db.verify_report().unwrap().damage.unwrap();
        assert_eq!((damage.seq, damage.reason.as_str()), (5, "the hash is not that of the op"));
        assert!(!db.verify_determinism().unwrap());
    }
}

#[test]
fn a_retry_is_not_answered_from_a_damaged_op() {
    let folder = copy_of("2.0", "all_kinds");
    let db = open(folder.path());
    let with = |idem: &str| WriteOptions { idem: Some(idem.to_owned()), ..WriteOptions::default() };
    let same = db.put("facts", "a:b", "{}", &with("ключ-🔑")).unwrap();
    assert!(same.contains("\"v\":true"), "{same}");
    damage_under(folder.path(), "\"v\":true", "\"v\":null");
    assert_eq!(code(db.put("facts", "a:b", "{}", &with("ключ-🔑"))).as_str(), "INTEGRITY_ERROR");
    assert_eq!(db.seq(), 14);
    let folder = copy_of("2.0", "all_kinds");
    let db = open(folder.path());
    damage_under(folder.path(), "\"total\":12.5", "\"total\":99.5");
    let items = r#"[{"op":"put","coll":"users","id":"alice","doc":{}},{"op":"put","coll":"orders","id":"1","doc":{}},
        {"op":"delete","coll":"users","id":"nobody"},{"op":"link","frm":"users:alice","rel":"placed","to":"orders:1"},
        {"op":"unlink","frm":"users:alice","rel":"knows","to":"facts:a:b"}]"#;
    assert_eq!(code(db.batch(items, &with("tx-1"))).as_str(), "INTEGRITY_ERROR");
    assert_eq!(db.seq(), 14);
}

#[test]
fn a_trace_does_not_walk_over_a_damaged_op() {
    let folder = copy_of("2.0", "all_kinds");
    let db = open(folder.path());
    let trace = "FROM facts AS OF 2 TRACE caused_by";
    assert_eq!(db.query(trace, &nedb_core::Params::none()).unwrap().len(), 2);
    damage_under(folder.path(), "\"caused_by\":[1,0]", "\"caused_by\":[1,1]");
    assert_eq!(code(db.query(trace, &nedb_core::Params::none())).as_str(), "INTEGRITY_ERROR");
}

#[test]
fn a_rehashed_line_under_an_open_database_fails_verification() {
    let folder = copy_of("2.0", "all_kinds");
    let db = open(folder.path());
    let last = lines(&log_of(folder.path())).len() - 1;
    let log = replaced_in_line(&log_of(folder.path()), last, "\"n\":2", "\"n\":3");
    support::write_log(folder.path(), &rehashed(&log, last));
    let damage = db.verify_report().unwrap().damage.unwrap();
    assert!(damage.reason.contains("no longer the one that was opened"), "{}", damage.reason);
    assert!(!db.verify_determinism().unwrap());
}

#[test]
fn a_log_that_is_cut_or_gone_under_an_open_database_is_an_error() {
    for keep in [0, 100] {
        let folder = copy_of("2.0", "all_kinds");
        let db = open(folder.path());
        let file =
            std::fs::OpenOptions::new().write(true).open(folder.path().join("log.aof")).unwrap();
        file.set_len(keep).unwrap();
        assert_eq!(code(db.get("many", "m2", &ReadOptions::default())).as_str(), "INTEGRITY_ERROR");
        assert_eq!(code(db.op(3)).as_str(), "INTEGRITY_ERROR");
        let report = db.verify_report().unwrap();
        assert_eq!((report.ok, report.damage.unwrap().seq), (false, 0));
        assert!(!db.verify_determinism().unwrap());
    }
}

#[test]
fn reading_a_damaged_database_changes_no_file() {
    let truth = Truth::ours();
    let log = replaced_in_line(&truth.log, 1, "\"age\":27.5", "\"age\":28.5");
    let folder = support::folder_with(&log, Some(log.len() as u64));
    let before = files(folder.path());
    let db = open(folder.path());
    assert_eq!(code(db.sweep()).as_str(), "READ_ONLY");
    assert_eq!(code(db.create_index("users", "x", nedb_core::IndexKind::Eq)).as_str(), "READ_ONLY");
    assert_eq!(code(db.checkpoint(None)).as_str(), "READ_ONLY");
    db.flush().unwrap();
    db.close().unwrap();
    assert_eq!(files(folder.path()), before);
    assert_eq!(open(folder.path()).open_report().damage.unwrap().seq, 1, "and it stays damaged");
}
