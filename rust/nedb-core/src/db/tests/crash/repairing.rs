//! Crashes and failures during a repair.
//!
//! Until a repair is acknowledged the database is damaged or repaired; from then on it is repaired. A
//! database that is neither, cut and without an op that says so, is never found.

use super::check::{open, open_as, write_one_more};
use super::course::{PATH, key, key_path};
use super::failing::FAILURES;
use super::process::check_images;
use super::seed;
use super::twice::{PAIR_COUNT, Pair, Patience, look_at, open_patiently};
use crate::crypto::{ReplayedRandomness, Tmk, unwrap_key, wrap_key};
use crate::db::{Database, Durability, ReadOptions, RepairReport, WriteOptions};
use crate::error::ErrorCode;
use crate::store::{Failure, FaultDisk, Random};
use std::io::ErrorKind;
use std::path::Path;

/// How many ops stand before the damage.
const GOOD_COUNT: i64 = 2;

/// What is done to a line: op 2's.
const DAMAGES: [(&str, &str); 3] =
    [("\"n\":2", "\"n\":7"), ("\"n\":2", "\"n\"=2"), ("\"op\":\"put\"", "\"op\":\"get\"")];

/// Makes a disk with a log that is damaged in the middle.
fn damaged(damage: (&str, &str)) -> FaultDisk {
    damaged_among(damage, 6)
}

/// Makes a disk with a log of so many ops of which one is damaged.
fn damaged_among(damage: (&str, &str), op_count: i64) -> FaultDisk {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    for n in 0..op_count {
        db.put("c", &n.to_string(), &format!(r#"{{"n":{n}}}"#), &WriteOptions::default()).unwrap();
    }
    db.close().unwrap();
    let path = Path::new(PATH).join("log.aof");
    let log = String::from_utf8(disk.read(&path).unwrap()).unwrap();
    let mut lines: Vec<String> = log.split_inclusive('\n').map(str::to_owned).collect();
    let line = &mut lines[GOOD_COUNT as usize];
    *line = line.replacen(damage.0, damage.1, 1);
    assert_ne!(lines.concat(), log);
    disk.place(&path, lines.concat().as_bytes()).unwrap();
    disk.images(seed()).pop().unwrap().disk
}

/// Tells whether the op that says what was done is there.
fn is_repaired(db: &Database) -> bool {
    let op = db.op(GOOD_COUNT).unwrap();
    op.is_some_and(|op| op.contains("\"op\":\"repair\""))
}

/// Looks at a disk on which a repair may have been carried out; carries it out where it was not.
fn check(disk: &FaultDisk, must_be_repaired: bool) -> Result<(), String> {
    let db = open(disk).map_err(|error| format!("it does not open: {error:?}"))?;
    let damage = db.open_report().damage;
    if let Some(damage) = &damage {
        if must_be_repaired {
            return Err(format!("an acknowledged repair is undone: {damage:?}"));
        }
        // An attempt that was not acknowledged may have left its op, and `LOCK` as it was.
        if damage.seq < GOOD_COUNT || damage.seq > GOOD_COUNT + 1 {
            return Err(format!("the damage moved: {damage:?}"));
        }
        let repaired = db.repair().map_err(|error| format!("it is not repaired: {error:?}"))?;
        check_report(&db, &repaired)?;
    }
    if db.seq() != GOOD_COUNT {
        return Err(format!("one repair has left {} ops", db.seq() + 1 - GOOD_COUNT));
    }
    if !is_repaired(&db) {
        return Err(format!("the log is cut and no op says so: {:?}", db.op(GOOD_COUNT)));
    }
    if !db.verify().unwrap() || !db.verify_determinism().unwrap() {
        return Err("it does not verify".to_owned());
    }
    let is_kept = |(path, bytes): &(String, Option<Vec<u8>>)| {
        path.contains("log.aof.damaged-2") && bytes.as_ref().is_some_and(|it| it.len() > 600)
    };
    if !disk.listing().iter().any(is_kept) {
        return Err("the damaged log is not kept".to_owned());
    }
    let last = write_one_more(&db)?;
    check_images(disk, &last)
}

/// Looks at what is said of a repair: it is what its op says, whoever has appended that.
fn check_report(db: &Database, repaired: &RepairReport) -> Result<(), String> {
    let op = db.op(GOOD_COUNT).unwrap().unwrap_or_default();
    let file = repaired.damaged_file.as_ref().and_then(|it| it.file_name()).unwrap_or_default();
    let damage = repaired.damage.as_ref().ok_or("nothing was repaired")?;
    let says = [
        format!("\"cut_bytes\":{}", repaired.cut_bytes),
        format!("\"damaged_file\":{:?}", file.to_string_lossy()),
        format!("\"offset_bytes\":{}", damage.offset_bytes),
    ];
    let report = db.open_report();
    match says.iter().all(|it| op.contains(it)) && report.damage.is_none() && report.op_count == 3 {
        true => Ok(()),
        false => Err(format!("{repaired:?} and {report:?} are not what {op} says")),
    }
}

/// Makes disks with a log of NEDB 1.2.2 that it has linked anew, seqs 0, 2, 4, 3, 4: a plain one and an encrypted
/// one.
fn linked_anew() -> [FaultDisk; 2] {
    let log = include_bytes!("../../../../../../tests/fixtures/format/1.2.2/healed/log.aof");
    let sealed =
        include_bytes!("../../../../../../tests/fixtures/format/1.2.2/encrypted_healed/log.aof");
    let key_file =
        include_bytes!("../../../../../../tests/fixtures/format/1.2.2/encrypted_healed/key.enc");
    [(&log[..], None), (&sealed[..], Some(key_of(key_file)))].map(|(log, key_file)| {
        let disk = FaultDisk::new();
        drop(open(&disk).unwrap());
        disk.place(Path::new(PATH).join("log.aof"), log).unwrap();
        if let Some(text) = key_file {
            disk.place(key_path(), text.as_bytes()).unwrap();
        }
        disk.images(seed()).pop().unwrap().disk
    })
}

/// Wraps the data key that NEDB 1.2.2 drew with the key of these tests.
fn key_of(key_file: &[u8]) -> String {
    let master: Vec<u8> = (0..32).collect();
    let data_key = unwrap_key(key_file, &Tmk::new(master)).unwrap();
    wrap_key(&data_key, &key(), &ReplayedRandomness::new(1)).unwrap()
}

/// Looks at a disk on which ops may have been carried over; has it done where they were not.
fn check_carried(disk: &FaultDisk, must_be_repaired: bool) -> Result<(), String> {
    let db = open(disk).map_err(|error| format!("it does not open: {error:?}"))?;
    if let Some(damage) = db.open_report().damage {
        if must_be_repaired || damage.seq != 1 {
            return Err(format!("an acknowledged repair is undone, or half done: {damage:?}"));
        }
        let repaired = db.repair().map_err(|error| format!("it is not repaired: {error:?}"))?;
        if repaired.carried_op_count != 4 {
            return Err(format!("ops are lost: {repaired:?}"));
        }
    }
    let last = db.op(5).unwrap();
    if db.seq() != 5 || !last.is_some_and(|op| op.contains("\"op\":\"repair\"")) {
        return Err(format!("it ends with op {}", db.seq()));
    }
    for id in ["a", "c", "e", "f", "g"] {
        let found = db.get("u", id, &ReadOptions::default()).unwrap();
        found.ok_or_else(|| format!("{id} is lost"))?;
    }
    if !db.verify().unwrap() || !db.verify_determinism().unwrap() {
        return Err("it does not verify".to_owned());
    }
    let last = write_one_more(&db)?;
    check_images(disk, &last)
}

#[test]
fn a_crash_while_ops_are_carried_over_leaves_the_damage_or_all_of_them() {
    for before in linked_anew() {
        for nth in 0.. {
            let disk = before.for_next_process();
            disk.crash_at(nth);
            let is_acknowledged = repair(&disk, Durability::Always);
            check_carried(&disk.for_next_process(), is_acknowledged)
                .unwrap_or_else(|found| panic!("call {nth}, the process ends: {found}"));
            for image in disk.images(seed() + nth as u64) {
                check_carried(&image.disk, is_acknowledged)
                    .unwrap_or_else(|found| panic!("call {nth}, {}: {found}", image.name));
            }
            if is_acknowledged {
                assert!(nth > 12, "only {nth} calls");
                break;
            }
        }
    }
}

#[test]
fn a_failure_while_ops_are_carried_over_leaves_the_damage_or_all_of_them() {
    for (before, durability) in
        linked_anew().iter().flat_map(|disk| DURABILITIES.map(|it| (disk, it)))
    {
        let call_count = {
            let disk = before.for_next_process();
            assert!(repair(&disk, durability));
            disk.calls().len()
        };
        for (nth, failure) in (0..call_count).flat_map(|nth| FAILURES.map(|it| (nth, it))) {
            let disk = before.for_next_process();
            disk.fail_at(nth, failure);
            repair_patiently(&disk, durability, false)
                .and_then(|is_acknowledged| {
                    assert!(is_acknowledged, "it is asked for until it is");
                    look_at(&disk, |image| check_carried(&image.disk, true))?;
                    check_carried(&disk.for_next_process(), true)
                })
                .unwrap_or_else(|found| panic!("{durability:?}, {failure:?}, {nth}: {found}"));
        }
    }
}

#[test]
fn a_repair_for_which_there_is_no_room_leaves_nothing_in_the_way_of_the_next() {
    for disk in linked_anew() {
        let before = disk.listing();
        let db = open(&disk).unwrap();
        let lock = |(path, _): &(String, Option<Vec<u8>>)| path.ends_with("LOCK");
        for nth in 0..3 {
            // The copy of the damaged log is made, and then there is no room for what comes next.
            disk.fail_at(nth + 4, Failure::Half(ErrorKind::StorageFull));
            assert_eq!(db.repair().unwrap_err().code(), ErrorCode::StorageError, "{nth}");
            let mut after = disk.listing();
            after.retain(|it| !lock(it));
            assert!(before.iter().filter(|it| !lock(it)).eq(after.iter()), "{nth}");
        }
        assert_eq!(db.repair().unwrap().carried_op_count, 4);
    }
}

#[test]
fn a_second_failure_while_ops_are_carried_over_leaves_the_damage_or_all_of_them() {
    for before in linked_anew() {
        let happened_count = try_pairs(&before, Durability::Always, check_carried).unwrap();
        assert!(happened_count > PAIR_COUNT / 2, "only {happened_count} pairs");
    }
}

fn repair(disk: &FaultDisk, durability: Durability) -> bool {
    let opened = open_as(disk, durability);
    opened.is_ok_and(|db| db.repair().is_ok())
}

/// Repairs, and does what errors ask for, as often as the disk fails; tells whether that was acknowledged before
/// the process ended.
fn repair_patiently(
    disk: &FaultDisk,
    durability: Durability,
    in_new_process: bool,
) -> Result<bool, String> {
    let mut patience = Patience::with(disk);
    while let Some(db) = open_patiently(disk, durability, &mut patience)? {
        // What could not be acknowledged may stand all the same.
        if db.open_report().damage.is_none() {
            return Ok(true);
        }
        while let Err(error) = db.repair() {
            if disk.is_dead() {
                return Ok(false);
            }
            if patience.bear(&error)? == ErrorCode::CommitUnknown {
                check_refuses(&db)?;
                break;
            }
            if in_new_process {
                break;
            }
        }
        if db.open_report().damage.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks at a handle whose repair may stand or not: it neither writes nor repairs before it is reopened.
fn check_refuses(db: &Database) -> Result<(), String> {
    let put = db.put("c", "a", "{}", &WriteOptions::default()).map(drop);
    let again = db.repair().map(drop);
    let is_unknown = |it: &crate::Result<()>| {
        it.as_ref().is_err_and(|error| error.code() == ErrorCode::CommitUnknown)
    };
    match is_unknown(&put) && is_unknown(&again) && db.is_read_only() {
        true => Ok(()),
        false => Err(format!("after a repair that is unknown: {put:?}, {again:?}")),
    }
}

/// Tries pairs of calls of a repair that fail, or of which the second is the last; returns how many second ones
/// have happened.
fn try_pairs(
    before: &FaultDisk,
    durability: Durability,
    check: fn(&FaultDisk, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let whole = before.for_next_process();
    assert!(repair_patiently(&whole, durability, false)?);
    let mut random = Random::new(seed());
    let mut happened_count = 0;
    for _ in 0..PAIR_COUNT {
        let pair = Pair::draw(whole.calls().len(), &mut random);
        let in_new_process = random.flip();
        let mut try_one = |pair: &Pair, begin: fn(&Pair, &FaultDisk)| {
            let disk = before.for_next_process();
            begin(pair, &disk);
            let is_acknowledged = repair_patiently(&disk, durability, in_new_process)?;
            let call_count = disk.calls().len();
            look_at(&disk, |image| check(&image.disk, is_acknowledged))?;
            check(&disk.for_next_process(), is_acknowledged)?;
            happened_count += usize::from(disk.is_dead() || disk.failure_count() == 2);
            Ok::<usize, String>(call_count)
        };
        let call_count =
            try_one(&pair, Pair::begin).map_err(|found| format!("{pair:?}: {found}"))?;
        let pair = pair.drawn_from(call_count, &mut random);
        try_one(&pair, Pair::begin_both).map_err(|found| format!("{pair:?}: {found}"))?;
    }
    Ok(happened_count)
}

#[test]
fn a_second_failure_during_a_repair_leaves_the_damage_or_the_repair() {
    for durability in DURABILITIES {
        let happened_count = try_pairs(&damaged(DAMAGES[0]), durability, check).unwrap();
        assert!(happened_count > PAIR_COUNT / 2, "only {happened_count} pairs");
    }
}

const DURABILITIES: [Durability; 2] = [Durability::Always, Durability::Never];

#[test]
fn a_crash_during_a_repair_leaves_the_damage_or_the_repair() {
    for (damage, durability) in
        DAMAGES.iter().flat_map(|damage| DURABILITIES.map(|it| (*damage, it)))
    {
        let before = damaged(damage);
        for nth in 0.. {
            let disk = before.for_next_process();
            disk.crash_at(nth);
            let is_acknowledged = repair(&disk, durability);
            let place = format!("{damage:?}, {durability:?}, call {nth}");
            check(&disk.for_next_process(), is_acknowledged)
                .unwrap_or_else(|found| panic!("{place}, the process ends: {found}"));
            for image in disk.images(seed() + nth as u64) {
                check(&image.disk, is_acknowledged)
                    .unwrap_or_else(|found| panic!("{place}, {}: {found}", image.name));
            }
            if is_acknowledged {
                assert!(nth > 12, "only {nth} calls");
                break;
            }
        }
    }
}

#[test]
fn a_failure_during_a_repair_leaves_the_damage_or_the_repair() {
    // Where the last op is damaged the repair's op makes the log longer than what was synced.
    for (failure, op_count) in [
        (Failure::NoEffect(ErrorKind::StorageFull), 6),
        (Failure::NoEffect(ErrorKind::StorageFull), GOOD_COUNT + 1),
        (Failure::Half(ErrorKind::StorageFull), 6),
        (Failure::AllDone(ErrorKind::Other), 6),
        (Failure::AllDone(ErrorKind::Other), GOOD_COUNT + 1),
    ] {
        let before = damaged_among(DAMAGES[0], op_count);
        for nth in 0.. {
            let disk = before.for_next_process();
            disk.fail_at(nth, failure);
            let is_acknowledged = repair(&disk, Durability::Always);
            let is_over = disk.calls().len() <= nth;
            for image in disk.images(seed()) {
                check(&image.disk, is_acknowledged)
                    .unwrap_or_else(|found| panic!("{failure:?}, {nth}, {}: {found}", image.name));
            }
            check(&disk.for_next_process(), is_acknowledged)
                .unwrap_or_else(|found| panic!("{failure:?}, call {nth}: {found}"));
            if is_over {
                assert!(is_acknowledged && nth > 12, "only {nth} calls");
                break;
            }
        }
    }
}

#[test]
fn a_log_that_ends_early_and_without_a_newline_is_repaired_with_one() {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    for n in 0..3 {
        db.put("c", &n.to_string(), "{}", &WriteOptions::default()).unwrap();
    }
    db.close().unwrap();
    let path = Path::new(PATH).join("log.aof");
    let log = disk.read(&path).unwrap();
    let second_ends = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
    disk.place(&path, &log[..second_ends]).unwrap();
    let db = open(&disk).unwrap();
    assert_eq!(db.open_report().damage.unwrap().seq, 2);
    db.repair().unwrap();
    assert!(is_repaired(&db) && db.verify().unwrap());
    drop(db);
    let db = open(&disk).unwrap();
    assert!(db.open_report().damage.is_none() && is_repaired(&db));
    let repaired = disk.read(&path).unwrap();
    assert!(repaired.starts_with(&log[..=second_ends]) && !repaired.contains(&0));
}
