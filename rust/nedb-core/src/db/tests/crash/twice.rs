//! A call fails, and during what follows another one does, or the process ends and the machine stops.
//!
//! What follows is what the error asks for. After a `StorageError` the caller asks again, in the same process or
//! in a new one, and goes on; after `CommitUnknown` it reopens, and writes. The same with a disk that a crash has
//! left, where what fails is a call of the recovery.
//!
//! Pairs of calls are drawn from the seed. Nobody is told of an error that no call of the disk has had.

use super::check::{Bounds, Found, answers, check, check_state, open, open_as, saying};
use super::course::{Course, PATH, Run, key, run, run_on};
use super::failing::{FAILURES, check_unchanged, check_unharmed, check_unknown};
use super::process::{check_images, go_on};
use super::scripts;
use super::seed;
use crate::db::{Database, Durability, FileAt, Options, WriteOptions};
use crate::error::{Error, ErrorCode};
use crate::op::Tier;
use crate::snapshot::IndexKind;
use crate::store::{Call, Failure, FaultDisk, FileSystem, Image, Random};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// So many pairs are tried of a script, and of what recovers from its crashes.
pub(super) const PAIR_COUNT: usize = 60;
/// Of the disks that the second event leaves so many are looked at.
const IMAGES_MAX: usize = 4;

/// What is done to a disk: the numbers are those of calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    first: usize,
    second: usize,
    failures: [Failure; 2],
    is_crash: bool,
}

impl Pair {
    /// Draws the first call among so many.
    pub fn draw(call_count: usize, random: &mut Random) -> Pair {
        let failures = [FAILURES, FAILURES].map(|all| all[random.below(all.len())]);
        let first = random.below(call_count);
        Pair { first, second: usize::MAX, failures, is_crash: random.flip() }
    }

    /// Lets the first call fail.
    pub fn begin(&self, disk: &FaultDisk) {
        disk.fail_at(self.first, self.failures[0]);
    }

    /// Returns the pair with its second call drawn among those that follow the first, which are as many as a run
    /// has made in which the first alone has failed.
    pub fn drawn_from(self, call_count: usize, random: &mut Random) -> Pair {
        let followed = call_count.saturating_sub(self.first + 1).max(1);
        Pair { second: self.first + 1 + random.below(followed), ..self }
    }

    /// Lets both happen.
    pub fn begin_both(&self, disk: &FaultDisk) {
        self.begin(disk);
        match self.is_crash {
            true => disk.crash_at(self.second),
            false => disk.fail_at(self.second, self.failures[1]),
        }
    }
}

/// Who bears errors as long as calls of the disk fail.
pub(super) struct Patience<'a> {
    disk: &'a FaultDisk,
    error_count: usize,
}

impl Patience<'_> {
    /// Waits for what a disk does.
    pub fn with(disk: &FaultDisk) -> Patience<'_> {
        Patience { disk, error_count: 0 }
    }

    /// Takes an error, and returns its code: `CommitUnknown`, or `StorageError` where nothing has changed.
    pub fn bear(&mut self, error: &Error) -> Result<ErrorCode, String> {
        self.error_count += 1;
        if self.error_count > self.disk.failure_count() {
            return Err(format!("it fails, and no call of the disk has: {error:?}"));
        }
        match error.code() {
            code @ (ErrorCode::CommitUnknown | ErrorCode::StorageError) => Ok(code),
            _ => Err(format!("it is neither unknown nor unchanged: {error:?}")),
        }
    }
}

/// Runs a script and does what its errors ask for, up to its end or that of the process; returns how many calls
/// that has made.
fn live_through(course: &Course, disk: &FaultDisk, in_new_process: bool) -> Result<usize, String> {
    let mut patience = Patience::with(disk);
    let mut ran = run(&course.script, disk);
    loop {
        if disk.is_dead() {
            return check_stop(course, disk, &ran);
        }
        let Some(error) = ran.error.take() else {
            return at_the_end(disk, || check_unharmed(course, ran));
        };
        if is_in_the_way(&error) && disk.failure_count() == 2 {
            // A copy that failed, and what removes it too: the caller makes room.
            disk.in_peace(|| remove_copies(disk));
        } else if patience.bear(&error)? == ErrorCode::CommitUnknown {
            disk.in_peace(|| check_unknown(course, &ran))?;
            return reopen(course, ran, &mut patience);
        }
        disk.in_peace(|| check_unchanged(course, &ran))?;
        if in_new_process && ran.session.open_db().is_some() {
            ran.session.drop_handle();
            ran.error = ran.session.open().err();
            open_session(&mut ran, &mut patience)?;
        }
        if !disk.is_dead() {
            ran = run_on(&course.script, ran);
        }
    }
}

/// Tells whether a copy is refused for what another has left.
fn is_in_the_way(error: &Error) -> bool {
    error.code() == ErrorCode::InvalidArgument && error.message().contains("is not empty")
}

/// Removes the copies that a script has begun to make.
fn remove_copies(disk: &FaultDisk) {
    for (path, bytes) in disk.listing().iter().rev().filter(|(path, _)| path.starts_with("/copies"))
    {
        match bytes {
            Some(_) => disk.remove_file(Path::new(path)).unwrap(),
            None => disk.remove_directory(Path::new(path)).unwrap(),
        }
    }
}

/// Looks at a disk to which nothing happens any more; returns how many calls were made before.
fn at_the_end(
    disk: &FaultDisk,
    look: impl FnOnce() -> Result<(), String>,
) -> Result<usize, String> {
    let call_count = disk.calls().len();
    disk.in_peace(look).map(|()| call_count)
}

/// Opens the database for a script to go on, as often as the disk fails.
fn open_session(ran: &mut Run, patience: &mut Patience<'_>) -> Result<(), String> {
    while let Some(error) = ran.error.take() {
        if ran.session.disk.is_dead() {
            return Ok(());
        }
        patience.bear(&error)?;
        ran.error = ran.session.open().err();
    }
    Ok(())
}

/// Looks at what a process leaves that has ended, and at what the machine leaves that has stopped with it.
fn check_stop(course: &Course, disk: &FaultDisk, ran: &Run) -> Result<usize, String> {
    let bounds = Bounds::after_machine(course, ran.done_count);
    look_at(disk, |image| check(course, &image.disk, &bounds).map(drop))?;
    go_on(course, &disk.for_next_process(), &Bounds::after_process(course, ran.done_count))
        .map_err(|found| format!("the process ends: {found}"))?;
    Ok(disk.calls().len())
}

/// Looks at some of the disks that a crash may leave.
pub(super) fn look_at(
    disk: &FaultDisk,
    mut look: impl FnMut(&Image) -> Result<(), String>,
) -> Result<(), String> {
    let images = disk.images(seed());
    let skipped = images.len().div_ceil(IMAGES_MAX).max(1);
    // From the last on, which has everything in it. A disk is looked at once: looking writes.
    for image in images.iter().rev().step_by(skipped) {
        look(image).map_err(|found| format!("the machine stops, {}: {found}", image.name))?;
    }
    Ok(())
}

/// Opens what a write has left that is unknown, as often as the disk fails, and goes on.
fn reopen(course: &Course, mut ran: Run, patience: &mut Patience<'_>) -> Result<usize, String> {
    ran.session.drop_handle();
    let disk = ran.session.disk.clone();
    let bounds = Bounds::after_process(course, ran.done_count);
    match go_on_patiently(course, &disk, &bounds, patience)? {
        None => check_stop(course, &disk, &ran),
        Some(call_count) => Ok(call_count),
    }
}

/// Opens a database, reads and writes, all as often as the disk fails. Returns how many calls were made; None where
/// the process has ended before a write.
fn go_on_patiently(
    course: &Course,
    disk: &FaultDisk,
    bounds: &Bounds,
    patience: &mut Patience<'_>,
) -> Result<Option<usize>, String> {
    let Some(db) = open_patiently(disk, Durability::Always, patience)? else { return Ok(None) };
    while let Err(error) = answers(&db) {
        if disk.is_dead() {
            return Ok(None);
        }
        if patience.bear(&error)? != ErrorCode::StorageError {
            return Err(format!("a read writes nothing: {error:?}"));
        }
    }
    disk.in_peace(|| check_state(course, &db, bounds))
        .map_err(|found| format!("reopened: {found}"))?;
    write_on(disk, db, patience).map(Some)
}

/// Opens the database, as often as the disk fails; None where the process has ended.
pub(super) fn open_patiently(
    disk: &FaultDisk,
    durability: Durability,
    patience: &mut Patience<'_>,
) -> Result<Option<Database>, String> {
    loop {
        match open_as(disk, durability) {
            _ if disk.is_dead() => return Ok(None),
            Ok(db) => return Ok(Some(db)),
            Err(error) => match patience.bear(&error)? {
                ErrorCode::StorageError => {}
                _ => return Err(format!("opening writes nothing of a caller's: {error:?}")),
            },
        }
    }
}

/// Writes an op that no script knows, as often as the disk fails: it is there once it is acknowledged, and until
/// then it may be; what was found at opening stays. Returns how many calls were made.
fn write_on(disk: &FaultDisk, db: Database, patience: &mut Patience<'_>) -> Result<usize, String> {
    let before = disk.in_peace(|| Found::of(&db))?;
    let once = WriteOptions { idem: Some("after".to_owned()), ..WriteOptions::default() };
    let mut opened = Some(db);
    while let Some(db) = opened {
        let written = db.put("after", "it", r#"{"goes":"on"}"#, &once);
        if disk.is_dead() {
            break;
        }
        let Err(error) = written else {
            return at_the_end(disk, || check_written(&db, &before, disk));
        };
        patience.bear(&error)?;
        drop(db);
        opened = open_patiently(disk, Durability::Always, patience)?;
    }
    look_at(disk, |image| check_goes_on(&image.disk, &before))?;
    check_goes_on(&disk.for_next_process(), &before)
        .map_err(|found| format!("the process ends: {found}"))?;
    Ok(disk.calls().len())
}

/// Looks at what was written after what was found, and at what the machine leaves of it.
fn check_written(db: &Database, before: &Found, disk: &FaultDisk) -> Result<(), String> {
    if db.seq() != before.seq + 1 {
        return Err(format!("one put after op {} has led to op {}", before.seq, db.seq()));
    }
    check_images(disk, &Found::of(db)?)
}

/// Looks for what was found before, and at most one op after it.
fn check_goes_on(disk: &FaultDisk, before: &Found) -> Result<(), String> {
    let db = open(disk).map_err(saying("it does not open"))?;
    let report = db.open_report();
    if report.damage.is_some() || !db.verify().map_err(saying("verify()"))? {
        return Err(format!("it is damaged: {report:?}"));
    }
    let next = db.op(before.seq + 1).map_err(saying("the op after"))?;
    let is_after = |op: &str| op.contains(&format!("\"prev_hash\":\"{}\"", before.head));
    match next {
        None if db.seq() == before.seq && db.head() == before.head => Ok(()),
        Some(op) if db.seq() == before.seq + 1 && is_after(&op) => Ok(()),
        _ => Err(format!("op {} was found and is not before op {}", before.seq, db.seq())),
    }
}

/// Tries pairs of a script; returns how many second events have happened.
fn try_pairs(course: &Course) -> Result<usize, String> {
    let mut random = Random::new(seed());
    let mut happened_count = 0;
    for _ in 0..PAIR_COUNT {
        let pair = Pair::draw(course.call_count(), &mut random);
        let in_new_process = random.flip();
        let disk = FaultDisk::new();
        pair.begin(&disk);
        let call_count = live_through(course, &disk, in_new_process)
            .map_err(|found| format!("{}, {pair:?}: {found}", course.place(pair.first)))?;
        let pair = pair.drawn_from(call_count, &mut random);
        let disk = FaultDisk::new();
        pair.begin_both(&disk);
        live_through(course, &disk, in_new_process).map_err(|found| {
            let (place, calls) = (course.place(pair.first), disk.calls());
            let calls: Vec<_> = [pair.first, pair.second].map(|nth| calls.get(nth)).into();
            format!("{place}, {pair:?}, {calls:?}, in a new process {in_new_process}: {found}")
        })?;
        happened_count += usize::from(disk.is_dead() || disk.failure_count() == 2);
    }
    Ok(happened_count)
}

/// Opens what a crash has left, as often as the disk fails, and goes on; returns how many calls that has made.
fn recover(course: &Course, disk: &FaultDisk, bounds: &Bounds) -> Result<usize, String> {
    if let Some(count) = go_on_patiently(course, disk, bounds, &mut Patience::with(disk))? {
        return Ok(count);
    }
    look_at(disk, |image| check(course, &image.disk, bounds).map(drop))?;
    go_on(course, &disk.for_next_process(), bounds)
        .map_err(|found| format!("the process ends: {found}"))?;
    Ok(disk.calls().len())
}

/// Tries pairs of what recovers from crashes of a script; returns how many second events have happened.
fn try_recoveries(course: &Course) -> Result<usize, String> {
    let mut random = Random::new(seed());
    let mut happened_count = 0;
    for number in 0..PAIR_COUNT {
        let disk = FaultDisk::new();
        let nth = random.below(course.call_count());
        disk.crash_at(nth);
        let ran = run(&course.script, &disk);
        let mut images = disk.images(seed() + number as u64);
        let Image { disk: left, name, .. } = images.swap_remove(random.below(images.len()));
        let bounds = Bounds::after_machine(course, ran.done_count);
        let opened = left.for_next_process();
        drop(open(&opened).map_err(saying("it does not open"))?);
        let pair = Pair::draw(opened.calls().len(), &mut random);
        let place =
            |found| format!("{}, {name}, then opening, {pair:?}: {found}", course.place(nth));
        let disk = left.for_next_process();
        pair.begin(&disk);
        let call_count = recover(course, &disk, &bounds).map_err(place)?;
        let pair = pair.drawn_from(call_count, &mut random);
        let disk = left.for_next_process();
        pair.begin_both(&disk);
        recover(course, &disk, &bounds)
            .map_err(|found| place(format!("and call {}: {found}", pair.second)))?;
        happened_count += usize::from(disk.is_dead() || disk.failure_count() == 2);
    }
    Ok(happened_count)
}

macro_rules! for_each_script {
    ($($pairs:ident $recoveries:ident $number:literal)*) => { $(
        #[test]
        fn $pairs() {
            let course = Course::of(scripts::all().swap_remove($number));
            let happened_count = try_pairs(&course).unwrap();
            assert!(happened_count > PAIR_COUNT / 2, "only {happened_count} pairs");
        }

        #[test]
        fn $recoveries() {
            let course = Course::of(scripts::all().swap_remove($number));
            let happened_count = try_recoveries(&course).unwrap();
            assert!(happened_count > PAIR_COUNT / 2, "only {happened_count} pairs");
        }
    )* };
}

for_each_script! {
    a_second_failure_among_documents_loses_nothing a_failing_recovery_of_documents_loses_nothing 0
    a_second_failure_among_groups_loses_nothing a_failing_recovery_of_groups_loses_nothing 1
    a_second_failure_among_indexes_loses_nothing a_failing_recovery_of_indexes_loses_nothing 2
    a_second_failure_around_reopening_loses_nothing a_failing_recovery_around_reopening_loses_nothing 3
    a_second_failure_among_files_loses_nothing a_failing_recovery_of_files_loses_nothing 4
    a_second_failure_among_unsynced_files_loses_nothing
        a_failing_recovery_of_unsynced_files_loses_nothing 5
    a_second_failure_among_checkpoints_loses_nothing a_failing_recovery_of_checkpoints_loses_nothing 6
    a_second_failure_among_unsynced_checkpoints_loses_nothing
        a_failing_recovery_of_unsynced_checkpoints_loses_nothing 7
    a_second_failure_of_what_is_encrypted_loses_nothing
        a_failing_recovery_of_what_is_encrypted_loses_nothing 8
    a_second_failure_while_encrypting_loses_nothing
        a_failing_recovery_while_encrypting_loses_nothing 9
    a_second_failure_without_syncs_loses_nothing a_failing_recovery_without_syncs_loses_nothing 10
    a_second_failure_between_intervals_loses_nothing
        a_failing_recovery_between_intervals_loses_nothing 11
}

/// Returns the number of the first call of a kind that does something to a path.
pub(super) fn first_call(disk: &FaultDisk, verb: &str, part: &str) -> usize {
    let is_it = |call: &Call| call.verb == verb && call.path.to_string_lossy().contains(part);
    disk.calls().iter().position(is_it).expect("such a call is made")
}

const NOTHING: Failure = Failure::NoEffect(ErrorKind::Other);

#[test]
fn the_name_that_makes_a_database_encrypted_is_synced_before_another_file_changes() {
    let before = FaultDisk::new();
    let db = open(&before).unwrap();
    db.create_index("c", "n", IndexKind::Eq).unwrap();
    db.put("c", "a", r#"{"n":1}"#, &WriteOptions::default()).unwrap();
    db.close().unwrap();
    let encrypt = |disk: &FaultDisk| {
        let options = Options { tmk: Some(key()), ..Options::default() };
        Database::open_in(Arc::new(disk.clone()), Path::new(PATH), options)
    };
    let whole = before.for_next_process();
    encrypt(&whole).unwrap();
    let decides = first_call(&whole, "rename", "key.enc.sealing");
    for nth in decides + 2.. {
        let disk = before.for_next_process();
        disk.fail_at(decides + 1, NOTHING);
        disk.crash_at(nth);
        assert_eq!(encrypt(&disk).unwrap_err().code(), ErrorCode::StorageError);
        drop(encrypt(&disk));
        for image in disk.images(seed()) {
            let db = open(&image.disk).unwrap();
            assert_eq!(db.indexes().unwrap().len(), 1, "call {nth}, {}", image.name);
        }
        if !disk.is_dead() {
            assert!(nth > decides + 4, "only {nth} calls");
            break;
        }
    }
}

#[test]
fn bytes_that_were_not_synced_and_could_not_be_cut_off_are_not_relied_on_by_the_next_process() {
    let put = |disk: &FaultDisk| {
        let db = open(disk).unwrap();
        db.put_file("f", b"few words", Tier::Warm, &WriteOptions::default())
    };
    let whole = FaultDisk::new();
    put(&whole).unwrap();
    let sync = first_call(&whole, "sync", "000001.pack");
    // What cuts them off fails once, or for good, as where the process ends.
    for failing_cut_count in [1, 9] {
        let disk = FaultDisk::new();
        (sync..=sync + failing_cut_count).for_each(|nth| disk.fail_at(nth, NOTHING));
        assert_eq!(put(&disk).unwrap_err().code(), ErrorCode::StorageError);
        let next = disk.for_next_process();
        put(&next).unwrap();
        for image in next.images(seed()) {
            let db = open(&image.disk).unwrap();
            let found = db.get_file("f", &FileAt::default());
            assert!(found.is_ok_and(|found| found == b"few words"), "{}", image.name);
        }
    }
}
