//! Crashes and failures while a key is changed.
//!
//! Until the change is acknowledged one of the two keys opens the database, and the other does not; from then
//! on the new one does. What is in it is the same all the time.

use super::course::{PATH, key};
use super::seed;
use super::twice::{PAIR_COUNT, Pair, Patience, look_at};
use crate::crypto::Tmk;
use crate::db::{Database, Options, ReadOptions, WriteOptions};
use crate::error::{ErrorCode, Result};
use crate::store::{Failure, FaultDisk, Random};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

fn new_key() -> Tmk {
    Tmk::new([9; 32])
}

fn open(disk: &FaultDisk, tmk: Tmk) -> Result<Database> {
    let options = Options { tmk: Some(tmk), ..Options::default() };
    Database::open_in(Arc::new(disk.clone()), Path::new(PATH), options)
}

/// Makes a disk with an encrypted database.
fn encrypted() -> FaultDisk {
    let disk = FaultDisk::new();
    let db = open(&disk, key()).unwrap();
    db.put("c", "a", r#"{"n":1}"#, &WriteOptions::default()).unwrap();
    db.close().unwrap();
    disk.images(seed()).pop().unwrap().disk
}

/// Changes the key; tells whether that was acknowledged.
fn rewrap(disk: &FaultDisk) -> bool {
    open(disk, key()).is_ok_and(|db| db.rewrap_key(&key(), &new_key()).is_ok())
}

fn check(disk: &FaultDisk, must_be_new: bool) -> std::result::Result<(), String> {
    let codes = [key(), new_key()].map(|tmk| open(disk, tmk).err().map(|error| error.code()));
    let tmk = match codes {
        [Some(ErrorCode::WrongKey), None] => new_key(),
        [None, Some(ErrorCode::WrongKey)] if !must_be_new => key(),
        codes => return Err(format!("the old and the new key: {codes:?}")),
    };
    let db = open(disk, tmk).map_err(|error| format!("it does not open again: {error:?}"))?;
    let found = db.get("c", "a", &ReadOptions::default()).map_err(|error| format!("{error:?}"))?;
    if found.is_none() || db.seq() != 0 || !db.verify().unwrap() {
        return Err(format!("it holds {found:?} up to op {}", db.seq()));
    }
    Ok(())
}

/// Changes the key, and asks again as often as the disk fails; tells whether that was acknowledged before the
/// process ended.
fn rewrap_patiently(disk: &FaultDisk) -> std::result::Result<bool, String> {
    let mut patience = Patience::with(disk);
    loop {
        let opened = match open(disk, key()) {
            Err(error) if error.code() == ErrorCode::WrongKey => open(disk, new_key()),
            opened => opened,
        };
        let changed = opened.and_then(|db| db.rewrap_key(&key(), &new_key()));
        match changed {
            _ if disk.is_dead() => return Ok(false),
            Ok(()) => return Ok(true),
            Err(error) => patience.bear(&error)?,
        };
    }
}

#[test]
fn a_second_failure_while_a_key_is_changed_leaves_one_key_that_opens_everything() {
    let before = encrypted();
    let mut random = Random::new(seed());
    let mut happened_count = 0;
    let mut try_one = |pair: &Pair, begin: fn(&Pair, &FaultDisk)| {
        let disk = before.for_next_process();
        begin(pair, &disk);
        let is_acknowledged = rewrap_patiently(&disk)?;
        let call_count = disk.calls().len();
        look_at(&disk, |image| check(&image.disk, is_acknowledged))?;
        check(&disk.for_next_process(), is_acknowledged)?;
        happened_count += usize::from(disk.is_dead() || disk.failure_count() == 2);
        Ok::<usize, String>(call_count)
    };
    let whole = before.for_next_process();
    assert!(rewrap(&whole));
    for _ in 0..PAIR_COUNT {
        let pair = Pair::draw(whole.calls().len(), &mut random);
        let call_count =
            try_one(&pair, Pair::begin).unwrap_or_else(|found| panic!("{pair:?}: {found}"));
        let pair = pair.drawn_from(call_count, &mut random);
        try_one(&pair, Pair::begin_both).unwrap_or_else(|found| panic!("{pair:?}: {found}"));
    }
    assert!(happened_count > PAIR_COUNT / 2, "only {happened_count} pairs");
}

#[test]
fn a_crash_while_a_key_is_changed_leaves_one_key_that_opens_everything() {
    let before = encrypted();
    for nth in 0.. {
        let disk = before.for_next_process();
        disk.crash_at(nth);
        let is_acknowledged = rewrap(&disk);
        check(&disk.for_next_process(), is_acknowledged)
            .unwrap_or_else(|found| panic!("call {nth}, the process ends: {found}"));
        for image in disk.images(seed() + nth as u64) {
            check(&image.disk, is_acknowledged)
                .unwrap_or_else(|found| panic!("call {nth}, {}: {found}", image.name));
        }
        if is_acknowledged {
            assert!(nth > 4, "only {nth} calls");
            break;
        }
    }
}

#[test]
fn a_failure_while_a_key_is_changed_leaves_one_key_that_opens_everything() {
    for failure in [
        Failure::NoEffect(ErrorKind::StorageFull),
        Failure::Half(ErrorKind::StorageFull),
        Failure::AllDone(ErrorKind::Other),
    ] {
        let before = encrypted();
        for nth in 0.. {
            let disk = before.for_next_process();
            disk.fail_at(nth, failure);
            let is_acknowledged = rewrap(&disk);
            let is_over = disk.calls().len() <= nth;
            check(&disk.for_next_process(), is_acknowledged)
                .unwrap_or_else(|found| panic!("{failure:?}, call {nth}: {found}"));
            if is_over {
                assert!(is_acknowledged && nth > 4, "only {nth} calls");
                break;
            }
        }
    }
}
