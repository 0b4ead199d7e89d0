//! What must be found on a disk that a crash has left.
//!
//! A finding is a sentence, and no panic, so that a test can ask whether there is one.

use super::course::{Course, Indexes, PATH, indexes_of, key};
use crate::clock::ManualClock;
use crate::db::{BackupReport, Database, Durability, FileAt, Options, ReadOptions, WriteOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::hash::hash_of;
use crate::op::Seq;
use crate::query::Params;
use crate::store::{FaultDisk, FileSystem};
use std::fmt::{Debug, Write};
use std::path::Path;
use std::sync::Arc;

/// The time of every read, in seconds since 1970: some documents have expired by then.
pub(super) const READ_SECONDS: f64 = 1_055.0;

/// What may be found.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The last op that must be there.
    pub acknowledged_seq: Seq,
    /// The last op that may be there.
    pub submitted_seq: Seq,
    /// The index definitions that may be there.
    pub indexes: Vec<Indexes>,
    /// The copies that must be whole.
    pub backups: Vec<(&'static str, BackupReport)>,
}

impl Bounds {
    /// Returns what the machine may leave when it stops after so many acknowledged steps, during the next.
    pub fn after_machine(course: &Course, done_count: usize) -> Bounds {
        let before = &course.known[done_count];
        let after = course.known.get(done_count + 1).unwrap_or(before);
        Bounds {
            acknowledged_seq: before.durable_seq,
            submitted_seq: before.seq.max(after.seq),
            indexes: vec![before.indexes.clone(), after.indexes.clone()],
            backups: before.backups.clone(),
        }
    }

    /// Returns what a process may leave in the cache: all that was acknowledged.
    pub fn after_process(course: &Course, done_count: usize) -> Bounds {
        let acknowledged_seq = course.known[done_count].seq;
        Bounds { acknowledged_seq, ..Bounds::after_machine(course, done_count) }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub seq: Seq,
    pub head: String,
    pub indexes: Indexes,
    pub answers: String,
}

impl Found {
    pub fn of(db: &Database) -> std::result::Result<Found, String> {
        let answers = answers(db).map_err(saying("a read fails"))?;
        Ok(Found { seq: db.seq(), head: db.head(), indexes: indexes_of(db), answers })
    }
}

/// Opens the database on a disk.
pub(super) fn open(disk: &FaultDisk) -> Result<Database> {
    open_as(disk, Durability::Always)
}

/// Opens the database on a disk, with a durability.
pub(super) fn open_as(disk: &FaultDisk, durability: Durability) -> Result<Database> {
    open_at(disk, PATH, Options { durability, ..Options::default() })
}

fn open_at(disk: &FaultDisk, path: &str, options: Options) -> Result<Database> {
    let is_encrypted = disk.exists(&Path::new(path).join("key.enc"));
    let tmk = is_encrypted.then(key);
    let options = Options { clock: Arc::new(ManualClock::new(READ_SECONDS)), tmk, ..options };
    Database::open_in(Arc::new(disk.clone()), Path::new(path), options)
}

/// Opens a disk that was left, looks, writes one op more and looks again; returns the disk's last state.
pub(super) fn check(
    course: &Course,
    disk: &FaultDisk,
    bounds: &Bounds,
) -> std::result::Result<Found, String> {
    check_reader(course, disk, bounds)?;
    let db = open(disk).map_err(saying("it does not open"))?;
    check_state(course, &db, bounds)?;
    let last = write_one_more(&db)?;
    drop(db);
    check_found(disk, &last)?;
    for (path, report) in &bounds.backups {
        check_backup(disk, path, report)?;
    }
    Ok(last)
}

/// Looks at a database that was opened after a crash: a prefix, with everything acknowledged in it.
pub(super) fn check_state(
    course: &Course,
    db: &Database,
    bounds: &Bounds,
) -> std::result::Result<Found, String> {
    let found = check_prefix(course, db, bounds)?;
    if !bounds.indexes.contains(&found.indexes) {
        return Err(format!("indexes are {:?}, not one of {:?}", found.indexes, bounds.indexes));
    }
    is_true("verify()", db.verify())?;
    is_true("verify_determinism()", db.verify_determinism())?;
    Ok(found)
}

fn check_prefix(
    course: &Course,
    db: &Database,
    bounds: &Bounds,
) -> std::result::Result<Found, String> {
    let report = db.open_report();
    if let Some(damage) = report.damage {
        return Err(format!("a crash looks like damage: {damage:?}"));
    }
    let found = Found::of(db)?;
    if found.seq < bounds.acknowledged_seq {
        let Bounds { acknowledged_seq, .. } = bounds;
        return Err(format!(
            "op {acknowledged_seq} was acknowledged, and {} is the last",
            found.seq
        ));
    }
    if found.seq > bounds.submitted_seq {
        return Err(format!("op {} was never submitted", found.seq));
    }
    let count = (found.seq + 1) as usize;
    if course.heads[count] != found.head {
        return Err(format!("the {count} ops are no prefix of those submitted"));
    }
    if course.answers[count] != found.answers {
        let (answers, expected) = (&found.answers, &course.answers[count]);
        return Err(format!("after {count} ops reads answer\n{answers}not\n{expected}"));
    }
    Ok(found)
}

/// Looks at what a reader finds before anybody has dealt with what the crash left.
fn check_reader(
    course: &Course,
    disk: &FaultDisk,
    bounds: &Bounds,
) -> std::result::Result<(), String> {
    let db = match open_at(disk, PATH, Options { read_only: true, ..Options::default() }) {
        Ok(db) => db,
        // There may be no log yet, and a reader makes none.
        Err(_) if bounds.acknowledged_seq < 0 => return Ok(()),
        // A writer finishes what encrypting has begun, before anybody reads.
        Err(error) if error.code() == ErrorCode::PlainDatabase => return Ok(()),
        Err(error) => return Err(saying("a reader does not open it")(error)),
    };
    let (seq, damage) = (db.seq(), db.open_report().damage);
    if damage.is_some() {
        return Err(format!("to a reader a crash looks like damage: {damage:?}"));
    }
    let Bounds { acknowledged_seq, submitted_seq, .. } = bounds;
    if seq < *acknowledged_seq {
        return Err(format!(
            "op {acknowledged_seq} was acknowledged, and a reader finds {seq} last"
        ));
    }
    match seq <= *submitted_seq && course.heads[(seq + 1) as usize] == db.head() {
        true => Ok(()),
        false => Err(format!("a reader finds {seq} ops that are no prefix of those submitted")),
    }
}

/// Writes an op that no script knows, and returns what must be found from then on.
pub(super) fn write_one_more(db: &Database) -> std::result::Result<Found, String> {
    let before = db.seq();
    db.put("after", "it", r#"{"goes":"on"}"#, &WriteOptions::default())
        .map_err(saying("it takes no more writes"))?;
    match db.seq() - before {
        1 => Found::of(db),
        more => Err(format!("one put appended {more} ops")),
    }
}

/// Opens a disk on which exactly this must be found.
pub(super) fn check_found(disk: &FaultDisk, expected: &Found) -> std::result::Result<(), String> {
    let db = open(disk).map_err(saying("it does not open again"))?;
    let report = db.open_report();
    if report.damage.is_some() {
        return Err(format!("opened again, it is damaged: {report:?}"));
    }
    let found = Found::of(&db)?;
    if found != *expected {
        return Err(format!(
            "op {} was acknowledged after opening; opened again, {} is the last ({expected:?}, \
             {found:?})",
            expected.seq, found.seq
        ));
    }
    is_true("verify() opened again", db.verify())
}

fn check_backup(
    disk: &FaultDisk,
    path: &str,
    expected: &BackupReport,
) -> std::result::Result<(), String> {
    let db = open_at(disk, path, Options::default()).map_err(saying("a copy does not open"))?;
    if db.head() != expected.head || db.open_report().damage.is_some() {
        return Err(format!(
            "the copy {path} has lost what was said of it: {:?}",
            db.open_report()
        ));
    }
    is_true("verify() of a copy", db.verify())
}

/// Asks reads of every kind, and returns what they answer; the same with and without indexes.
pub(super) fn answers(db: &Database) -> Result<String> {
    let mut out = String::new();
    let mut say = |what: &str, answer: &dyn Debug| writeln!(out, "{what}: {answer:?}").unwrap();
    say("collections", &db.collections()?);
    for nql in [
        "FROM users",
        "FROM notes",
        "FROM users WHERE age = 2",
        "FROM users WHERE age > 0 ORDER BY age DESC",
        "FROM users WHERE age >= 0 VALID AS OF \"2024-06-01\"",
        "FROM users SEARCH \"wörd\" IN (text)",
        "FROM notes SEARCH \"words\" IN (text)",
        "FROM users TRACE caused_by",
        "FROM users TRAVERSE knows",
    ] {
        say(nql, &db.query(nql, &Params::none())?.into_texts());
    }
    let middle = format!("FROM users AS OF {}", db.seq() / 2);
    say(&middle, &db.query(&middle, &Params::none())?.into_texts());
    say("knows", &db.neighbors("users:a", "knows", None)?);
    say("is known", &db.inbound("notes:n", "knows", None)?);
    let first = ReadOptions { as_of: Some(0), ..ReadOptions::default() };
    say("at first", &db.get("users", "a", &first)?);
    say("last op", &db.op(db.seq())?);
    for name in db.files(None)? {
        for info in db.file_versions(&name, None)? {
            let at = FileAt { version: Some(info.version as i64), ..FileAt::default() };
            say(&name, &(info.to_json(), hash_of(&db.get_file(&name, &at)?)));
        }
    }
    Ok(out)
}

fn is_true(what: &str, answer: Result<bool>) -> std::result::Result<(), String> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{what} is false")),
        Err(error) => Err(saying(what)(error)),
    }
}

/// Makes a finding of an error.
pub(super) fn saying(what: &str) -> impl Fn(Error) -> String + use<> {
    let what = what.to_owned();
    move |error| format!("{what}: {error:?}")
}
