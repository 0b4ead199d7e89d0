//! Crashes while a plain database is encrypted in place, and while an encrypted one is made.
//!
//! Whatever was done by then, what opens afterwards is the whole plain database or the whole encrypted one; and
//! once it has opened with the key, no plain text is left, of the ops or of what was kept beside them. The script
//! `encrypted in place` asks the rest, also of calls that fail.

use super::course::{PATH, key};
use super::seed;
use super::twice::{first_call, look_at};
use crate::crypto::Tmk;
use crate::db::{Database, FileAt, Options, ReadOptions, WriteOptions};
use crate::error::{ErrorCode, Result};
use crate::op::Tier;
use crate::snapshot::IndexKind;
use crate::store::{FaultDisk, FileSystem};
use std::path::Path;
use std::sync::Arc;

const SECRET: &str = "a secret that nobody may read";

fn open_as(disk: &FaultDisk, options: Options) -> Result<Database> {
    Database::open_in(Arc::new(disk.clone()), Path::new(PATH), options)
}

fn open_plain(disk: &FaultDisk) -> Result<Database> {
    open_as(disk, Options::default())
}

fn open_with_key(disk: &FaultDisk) -> Result<Database> {
    open_as(disk, Options { tmk: Some(key()), ..Options::default() })
}

/// Makes a plain database with documents, an index, a file, a crash's end and the state of NEDB 1.x; returns its
/// head too.
fn plain() -> (FaultDisk, String) {
    let disk = FaultDisk::new();
    let db = open_plain(&disk).unwrap();
    db.create_index("c", "secret", IndexKind::Eq).unwrap();
    for n in 0..3 {
        let document = format!("{{\"secret\":\"{SECRET}\",\"n\":{n}}}");
        db.put("c", &n.to_string(), &document, &WriteOptions::default()).unwrap();
    }
    db.put_file("f", SECRET.as_bytes(), Tier::Warm, &WriteOptions::default()).unwrap();
    let head = db.head();
    db.close().unwrap();
    for name in ["log.aof.cut-9", "snapshot.json"] {
        let text = format!("{{\"t\":\"{SECRET}\"}}");
        disk.place(Path::new(PATH).join(name), text.as_bytes()).unwrap();
    }
    (disk.images(seed()).pop().unwrap().disk, head)
}

fn holds_plain_text(disk: &FaultDisk) -> bool {
    let is_secret = |bytes: &[u8]| bytes == SECRET.as_bytes();
    let files = disk.listing().into_iter().filter_map(|(_, bytes)| bytes);
    files.into_iter().any(|bytes| bytes.windows(SECRET.len()).any(is_secret))
}

/// Asks everything of a database that was plain.
fn check(db: &Database, head: &str) -> std::result::Result<(), String> {
    let report = db.open_report();
    let rows = (0..3).map(|n| db.get("c", &n.to_string(), &ReadOptions::default()).unwrap());
    let has_rows = rows.into_iter().all(|row| row.is_some_and(|row| row.contains(SECRET)));
    let file = db.get_file("f", &FileAt::default()).map_err(|error| format!("{error:?}"))?;
    let is_true = db.verify().unwrap() && db.verify_determinism().unwrap();
    let indexes = db.indexes().unwrap();
    let is_it = match db.is_encrypted() {
        false => (db.seq(), db.head().as_str()) == (3, head),
        true => {
            let note = db.op(4).unwrap().unwrap_or_default();
            db.seq() == 4 && note.contains(&format!("\"prev_hash\":\"{head}\""))
        }
    };
    let is_whole = has_rows && file == SECRET.as_bytes() && indexes.len() == 1;
    match report.damage.is_none() && is_whole && is_true && is_it {
        true => Ok(()),
        false => Err(format!(
            "rows {has_rows}, file {file:?}, indexes {indexes:?}, verified {is_true}, up to op {}: {report:?}",
            db.seq()
        )),
    }
}

/// Opens with the key what was left, looks for plain text, and opens it once more. Where nobody was told before that
/// the database was plain, they are now.
fn check_encrypted(disk: &FaultDisk, head: &str) -> std::result::Result<(), String> {
    let db = open_with_key(disk).map_err(|error| format!("with its key: {error:?}"))?;
    check(&db, head)?;
    let warnings = db.open_report().warnings.join("\n");
    if !["was plain and was encrypted in place", "log.aof.cut-9"]
        .iter()
        .all(|it| warnings.contains(it))
    {
        return Err(format!("nobody is told: {warnings:?}"));
    }
    if !db.is_encrypted() || holds_plain_text(disk) {
        return Err("plain text is left".to_owned());
    }
    drop(db);
    let db = open_with_key(disk).map_err(|error| format!("once more: {error:?}"))?;
    match db.open_report().warnings {
        warnings if warnings.is_empty() => check(&db, head),
        warnings => Err(format!("opened once more, it warns: {warnings:?}")),
    }
}

/// Opens what was left without a key first; tells whether it is plain.
fn check_left(disk: &FaultDisk, head: &str) -> std::result::Result<bool, String> {
    check_encrypted(&disk.for_next_process(), head)?;
    let is_plain = match open_plain(disk) {
        Ok(db) => check(&db, head).map(|()| true)?,
        Err(error) if error.code() == ErrorCode::KeyRequired => false,
        Err(error) => return Err(format!("without a key: {error:?}")),
    };
    check_encrypted(disk, head)?;
    Ok(is_plain)
}

#[test]
fn a_crash_at_any_call_leaves_the_whole_plain_or_the_whole_encrypted_database() {
    let (before, head) = plain();
    let (mut plain_count, mut encrypted_count) = (0, 0);
    for nth in 0.. {
        let disk = before.for_next_process();
        disk.crash_at(nth);
        // The report of one that comes to its end is not looked at: the process is gone with it.
        let _ends_here = std::mem::ManuallyDrop::new(open_with_key(&disk));
        let mut look = |disk: &FaultDisk| {
            let is_plain = check_left(disk, &head)?;
            plain_count += usize::from(is_plain);
            encrypted_count += usize::from(!is_plain);
            Ok(())
        };
        look_at(&disk, |image| look(&image.disk))
            .and_then(|()| look(&disk.for_next_process()))
            .unwrap_or_else(|found: String| panic!("call {nth}: {found}"));
        if !disk.is_dead() {
            break;
        }
    }
    assert!(plain_count > 30 && encrypted_count > 15, "{plain_count} {encrypted_count}");
}

#[test]
fn a_reader_beside_what_was_interrupted_reads_the_whole_or_is_told_why_not() {
    let (before, head) = plain();
    for first in (0..).step_by(3) {
        let disk = before.for_next_process();
        disk.crash_at(first);
        let _ends_here = std::mem::ManuallyDrop::new(open_with_key(&disk));
        // What is left is mended up to a call, from there on up to the next one, and so on.
        let mut left = disk.for_next_process();
        for second in 0.. {
            let place = format!("the process ends at call {first}, the next one at {second}");
            for tmk in [None, Some(key())] {
                let reading = Options { read_only: true, tmk, ..Options::default() };
                match open_as(&left, reading) {
                    Ok(db) => check(&db, &head).unwrap_or_else(|it| panic!("{place}: {it}")),
                    Err(error) => assert!(
                        [ErrorCode::KeyRequired, ErrorCode::PlainDatabase].contains(&error.code()),
                        "{place}: {error}"
                    ),
                }
            }
            left.crash_at(second);
            let _ends_here = std::mem::ManuallyDrop::new(open_with_key(&left));
            let is_mended = !left.is_dead();
            left = left.for_next_process();
            if is_mended {
                break;
            }
        }
        check_encrypted(&left, &head).unwrap_or_else(|it| panic!("call {first}: {it}"));
        if !disk.is_dead() {
            break;
        }
    }
}

#[test]
fn what_was_written_aside_for_one_key_takes_the_place_of_nothing_under_another() {
    let (before, _) = plain();
    let whole = before.for_next_process();
    open_with_key(&whole).unwrap();
    let disk = before.for_next_process();
    disk.crash_at(first_call(&whole, "rename", "key.enc.sealing") + 2);
    open_with_key(&disk).unwrap_err();
    let left = disk.for_next_process();
    // An empty database of another key is restored there.
    let with_other = |read_only| {
        let tmk = Some(Tmk::new([9; 32]));
        Options { tmk, read_only, ..Options::default() }
    };
    let empty = FaultDisk::new();
    open_as(&empty, with_other(false)).unwrap().close().unwrap();
    for name in ["key.enc", "log.aof"] {
        let path = Path::new(PATH).join(name);
        left.place(&path, &empty.read(&path).unwrap()).unwrap();
    }
    for name in ["LOCK", "meta.json"] {
        left.remove_file(&Path::new(PATH).join(name)).unwrap();
    }
    assert!(left.listing().iter().any(|(path, _)| path.ends_with("log.aof.sealing")));
    assert_eq!(open_as(&left, with_other(true)).unwrap().seq(), -1);
    let db = open_as(&left, with_other(false)).unwrap();
    assert_eq!((db.seq(), db.open_report().damage), (-1, None));
    db.put("c", "a", "{}", &WriteOptions::default()).unwrap();
    drop(db);
    let db = open_as(&left, with_other(false)).unwrap();
    assert!(db.seq() == 0 && db.verify().unwrap());
    let is_stale = |path: &str| path.ends_with(".sealing") || path.ends_with("encryption.note");
    assert!(!left.listing().iter().any(|(path, _)| is_stale(path)), "{:?}", left.listing());
}

#[test]
fn a_crash_while_an_encrypted_database_is_made_locks_nobody_out() {
    for nth in 0.. {
        let disk = FaultDisk::new();
        disk.crash_at(nth);
        drop(open_with_key(&disk));
        let look = |disk: &FaultDisk| {
            let db = open_with_key(disk).map_err(|error| format!("{error:?}"))?;
            let put = db.put("c", "a", "{}", &WriteOptions::default());
            put.map(drop).map_err(|error| format!("it takes no write: {error:?}"))
        };
        look_at(&disk, |image| look(&image.disk))
            .and_then(|()| look(&disk.for_next_process()))
            .unwrap_or_else(|found| panic!("call {nth}: {found}"));
        if !disk.is_dead() {
            assert!(nth > 8, "only {nth} calls");
            break;
        }
    }
}
