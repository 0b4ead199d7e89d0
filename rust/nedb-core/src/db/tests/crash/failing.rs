//! One call fails, the process goes on, and stops later.
//!
//! A call of the database that fails says whether anything may have been written: with `CommitUnknown` the
//! handle takes no more writes, with `StorageError` nothing has changed and it may be asked again.

use super::check::{Bounds, READ_SECONDS, answers, check, check_state, saying};
use super::course::{Course, Run, run, run_on};
use super::process::{check_images, go_on};
use super::scripts;
use super::seed;
use super::twice::look_at;
use crate::clock::Clock;
use crate::db::{Database, Durability, WriteOptions};
use crate::error::{Error, ErrorCode};
use crate::op::Seq;
use crate::store::{Call, Failure, FaultDisk};
use std::io::ErrorKind;

/// So many images of a crash right after the failure are looked at.
const IMAGES_MAX: usize = 4;

pub(super) const FAILURES: [Failure; 3] = [
    Failure::NoEffect(ErrorKind::StorageFull),
    Failure::Half(ErrorKind::StorageFull),
    Failure::AllDone(ErrorKind::Other),
];

/// Lets every call of a script fail in every way.
fn fail_everywhere(course: &Course) -> Result<usize, String> {
    let mut failure_count = 0;
    for nth in 0..course.call_count() {
        for failure in FAILURES {
            let disk = FaultDisk::new();
            disk.fail_at(nth, failure);
            let ran = run(&course.script, &disk);
            let Call { verb, .. } = &disk.calls()[nth];
            if matches!(failure, Failure::Half(_)) && !["append", "overwrite"].contains(verb) {
                continue;
            }
            failure_count += 1;
            let place = |found| format!("{}, {verb}: {failure:?}: {found}", course.place(nth));
            check_failure(course, ran).map_err(place)?;
            check_reopened(course, nth, failure).map_err(place)?;
        }
    }
    Ok(failure_count)
}

fn check_failure(course: &Course, mut ran: Run) -> Result<(), String> {
    let disk = ran.session.disk.clone();
    check_at_once(course, &ran)?;
    let error = ran.error.take();
    let Some(error) = error else { return check_unharmed(course, ran) };
    match error.code() {
        ErrorCode::CommitUnknown => {
            check_unknown(course, &ran)?;
            let bounds = Bounds::after_process(course, ran.done_count);
            ran.session.drop_handle();
            go_on(course, &disk, &bounds).map_err(|found| format!("reopened: {found}"))
        }
        ErrorCode::StorageError => {
            check_unchanged(course, &ran)?;
            // Asked again it succeeds, and what follows is as if nothing had been.
            let ran = run_on(&course.script, ran);
            match &ran.error {
                None => check_unharmed(course, ran),
                Some(again) => Err(format!("asked again after {error:?}: {again:?}")),
            }
        }
        _ => Err(format!("it is neither unknown nor unchanged: {error:?}")),
    }
}

/// Asks again after a failure that changed nothing, in a new process: the cache that it finds may be called
/// clean and not be on the disk.
fn check_reopened(course: &Course, nth: usize, failure: Failure) -> Result<(), String> {
    let disk = FaultDisk::new();
    disk.fail_at(nth, failure);
    let mut ran = run(&course.script, &disk);
    let is_unchanged =
        ran.error.as_ref().is_some_and(|error| error.code() == ErrorCode::StorageError);
    if !is_unchanged || ran.session.open_db().is_none() {
        return Ok(());
    }
    ran.session.drop_handle();
    ran.session.open().map_err(saying("it does not open after a failure"))?;
    let ran = run_on(&course.script, ran);
    match &ran.error {
        None => {
            check_unharmed(course, ran).map_err(|found| format!("asked in a new process, {found}"))
        }
        Some(again) => Err(format!("asked again in a new process: {again:?}")),
    }
}

/// Stops the machine where a script stands.
fn check_at_once(course: &Course, ran: &Run) -> Result<(), String> {
    let bounds = Bounds::after_machine(course, ran.done_count);
    let images = ran.session.disk.images(seed());
    let skipped = images.len().div_ceil(IMAGES_MAX).max(1);
    for image in images.iter().step_by(skipped) {
        check(course, &image.disk, &bounds)
            .map_err(|found| format!("the machine stops at once, {}: {found}", image.name))?;
    }
    Ok(())
}

/// Looks at a script that was carried out to its end.
pub(super) fn check_unharmed(course: &Course, mut ran: Run) -> Result<(), String> {
    check_at_once(course, &ran)?;
    let bounds = Bounds::after_process(course, ran.done_count);
    ran.session.drop_handle();
    go_on(course, &ran.session.disk, &bounds).map_err(|found| format!("at the end: {found}"))
}

/// Looks at a handle whose write failed: it shows what was acknowledged, and takes no more writes.
pub(super) fn check_unknown(course: &Course, ran: &Run) -> Result<(), String> {
    let Some(db) = ran.session.open_db() else { return Ok(()) };
    check_unchanged(course, ran)?;
    let refused = [
        db.put("after", "it", "{}", &WriteOptions::default()).map(drop),
        db.delete("after", "it", &WriteOptions::default()).map(drop),
    ];
    let is_refused = |it: &Result<(), Error>| {
        it.as_ref().is_err_and(|error| error.code() == ErrorCode::CommitUnknown)
    };
    if !refused.iter().all(is_refused) || !db.is_read_only() {
        return Err(format!("after a failed write others are answered {refused:?}"));
    }
    match db.flush() {
        Ok(()) => check_flushed(course, ran),
        Err(error)
            if error.code() == ErrorCode::CommitUnknown
                && course.script.durability != Durability::Always =>
        {
            Ok(())
        }
        Err(error) => Err(format!("after a failed write flush() is answered {error:?}")),
    }
}

/// Stops the machine after a flush: everything acknowledged is there.
fn check_flushed(course: &Course, ran: &Run) -> Result<(), String> {
    let bounds = Bounds {
        acknowledged_seq: course.known[ran.done_count].seq,
        ..Bounds::after_machine(course, ran.done_count)
    };
    look_at(&ran.session.disk, |image| check(course, &image.disk, &bounds).map(drop))
        .map_err(|found| format!("after a flush {found}"))
}

/// Looks at a handle after a call that failed: what was acknowledged before it is there, and nothing else.
pub(super) fn check_unchanged(course: &Course, ran: &Run) -> Result<(), String> {
    let Some(db) = ran.session.open_db() else { return Ok(()) };
    let known = &course.known[ran.done_count];
    let now_seconds = ran.session.clock.now_seconds();
    ran.session.clock.set(READ_SECONDS);
    let bounds = Bounds {
        acknowledged_seq: known.seq,
        submitted_seq: known.seq,
        indexes: vec![known.indexes.clone()],
        backups: Vec::new(),
    };
    let found = check_state(course, db, &bounds);
    ran.session.clock.set(now_seconds);
    found.map(drop).map_err(|found| format!("the handle: {found}"))
}

/// Leaves no room from every call of a script on, for so long that what was refused is asked for again and refused
/// again; then there is room.
fn fill_everywhere(course: &Course) -> Result<usize, String> {
    let mut refused_count = 0;
    for nth in 0..course.call_count() {
        let disk = FaultDisk::new();
        disk.fill_at(nth);
        let mut ran = run(&course.script, &disk);
        let place = |found| format!("{}: a full disk: {found}", course.place(nth));
        let mut unknown = None;
        for _ in 0..3 {
            match ran.error.as_ref().map(Error::code) {
                None => break,
                Some(ErrorCode::StorageError) => {
                    refused_count += 1;
                    check_unchanged(course, &ran).map_err(place)?;
                    ran = run_on(&course.script, ran);
                }
                Some(ErrorCode::CommitUnknown) => {
                    unknown = ran.error.take();
                    break;
                }
                Some(_) => return Err(place(format!("{:?}", ran.error))),
            }
        }
        disk.mend();
        if unknown.is_some() {
            let bounds = Bounds::after_process(course, ran.done_count);
            ran.session.drop_handle();
            go_on(course, &disk, &bounds).map_err(place)?;
            continue;
        }
        let ran = if ran.error.is_some() { run_on(&course.script, ran) } else { ran };
        match &ran.error {
            None => check_unharmed(course, ran).map_err(place)?,
            Some(error) => return Err(place(format!("with room again: {error:?}"))),
        }
    }
    Ok(refused_count)
}

#[test]
fn a_disk_that_is_full_for_a_while_refuses_and_then_goes_on() {
    for (number, script) in scripts::all().into_iter().enumerate() {
        let course = Course::of(script);
        let refused_count = fill_everywhere(&course).unwrap();
        assert!(refused_count > course.call_count() / 2, "script {number}: {refused_count}");
    }
}

macro_rules! for_each_script {
    ($($name:ident $number:literal)*) => { $(
        #[test]
        fn $name() {
            let course = Course::of(scripts::all().swap_remove($number));
            let failure_count = fail_everywhere(&course).unwrap();
            assert!(failure_count > 2 * course.call_count(), "only {failure_count} failures");
        }
    )* };
}

for_each_script! {
    a_failure_among_documents_is_unknown_or_nothing 0
    a_failure_among_groups_is_unknown_or_nothing 1
    a_failure_among_indexes_is_unknown_or_nothing 2
    a_failure_around_reopening_is_unknown_or_nothing 3
    a_failure_among_files_is_unknown_or_nothing 4
    a_failure_among_unsynced_files_is_unknown_or_nothing 5
    a_failure_among_checkpoints_is_unknown_or_nothing 6
    a_failure_among_unsynced_checkpoints_is_unknown_or_nothing 7
    a_failure_of_what_is_encrypted_is_unknown_or_nothing 8
    a_failure_while_encrypting_is_unknown_or_nothing 9
    a_failure_without_syncs_is_unknown_or_nothing 10
    a_failure_between_intervals_is_unknown_or_nothing 11
}

#[test]
fn a_torn_copy_of_a_chunk_does_not_hide_the_one_that_was_acknowledged() {
    let disk = FaultDisk::new();
    let db = super::check::open(&disk).unwrap();
    let bytes: Vec<u8> = (0..1_000_u32).flat_map(|n| n.wrapping_mul(n).to_be_bytes()).collect();
    // Before it the pack's directory is created and synced, and the pack, their names, and `SYNCED`.
    let put = || db.put_file("f", &bytes, crate::op::Tier::Warm, &WriteOptions::default());
    disk.fail_at(7, Failure::AllDone(ErrorKind::Other));
    assert_eq!(put().unwrap_err().code(), ErrorCode::StorageError);
    assert_eq!(disk.calls().last().unwrap().verb, "append");
    put().unwrap();
    for image in disk.images(seed()) {
        let db = super::check::open(&image.disk).unwrap();
        let found = db.get_file("f", &crate::db::FileAt::default());
        assert!(found.is_ok_and(|found| found == bytes), "{}", image.name);
        db.backup("/copy").unwrap();
    }
}

#[test]
fn a_backup_whose_remains_cannot_be_removed_names_them() {
    let disk = FaultDisk::new();
    let db = super::check::open(&disk).unwrap();
    put_once(&db).unwrap();
    db.put_file("f", b"words", crate::op::Tier::Warm, &WriteOptions::default()).unwrap();
    let calls = disk.calls().len();
    db.backup("/whole").unwrap();
    let is_log = |call: &Call| call.path.ends_with("whole/log.aof");
    let log_at = disk.calls().iter().skip(calls).position(is_log).unwrap();
    // The log's bytes find no room, and then nothing can be removed.
    disk.fail_from(log_at + 1, "/copy", Failure::NoEffect(ErrorKind::StorageFull));
    let error = db.backup("/copy").unwrap_err();
    assert_eq!(error.code(), ErrorCode::StorageError);
    let message = error.to_string();
    for part in ["/copy, ", "/copy/log.aof", "/copy/blobs/000001.pack", "make room", "; remove "] {
        assert!(message.contains(part), "{part}: {message}");
    }
    disk.mend();
    assert_eq!(db.backup("/copy").unwrap_err().code(), ErrorCode::InvalidArgument);
}

/// Writes with a key, so that it may be tried again.
fn put_once(db: &Database) -> Result<Seq, Error> {
    let options = WriteOptions { idem: Some("once".to_owned()), ..WriteOptions::default() };
    db.put("c", "a", r#"{"n":1}"#, &options).map(|_| db.seq())
}

#[test]
fn a_retry_after_a_failed_sync_is_not_answered_from_a_cache_that_the_disk_does_not_have() {
    let disk = FaultDisk::new();
    let db = super::check::open(&disk).unwrap();
    // The append is call 0.
    disk.fail_at(1, Failure::NoEffect(ErrorKind::Other));
    assert_eq!(put_once(&db).unwrap_err().code(), ErrorCode::CommitUnknown);
    drop(db);
    let db = super::check::open(&disk).unwrap();
    assert_eq!(put_once(&db).unwrap(), 0, "it is there already, in the cache");
    for image in disk.images(seed()) {
        let db = super::check::open(&image.disk).map_err(saying("open")).unwrap();
        assert_eq!(db.seq(), 0, "{}", image.name);
    }
    check_images(&disk, &super::check::write_one_more(&db).unwrap()).unwrap();
    assert!(answers(&db).is_ok());
}

#[test]
fn a_backup_that_failed_leaves_nothing_in_the_way_of_the_next() {
    let disk = FaultDisk::new();
    let db = super::check::open(&disk).unwrap();
    put_once(&db).unwrap();
    for nth in 0..30 {
        disk.fail_at(nth, Failure::NoEffect(ErrorKind::StorageFull));
        let path = format!("/copy{nth}");
        match db.backup(&path) {
            Ok(_) => {
                assert!(nth > 8, "only {nth} calls");
                return;
            }
            Err(error) => assert_eq!(error.code(), ErrorCode::StorageError, "{nth}"),
        }
        assert_eq!(db.backup(&path).unwrap().head, db.head(), "{nth}: {:?}", disk.calls());
    }
    panic!("a backup makes more calls than that");
}
