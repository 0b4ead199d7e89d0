//! What changes packs fails, once or for good: what is acknowledged is readable, what is refused leaves no op.
//!
//! Files of several chunks that share most of them, and compactions among them. The scripts ask the rest of the
//! disk; here the log stays whole, and so the handle goes on after every failure.

use super::check::open;
use super::failing::FAILURES;
use super::twice::look_at;
use crate::db::{Database, FileAt};
use crate::error::ErrorCode;
use crate::op::Tier;
use crate::store::{Call, Failure, FaultDisk, Image};
use std::io::ErrorKind;
use std::sync::OnceLock;

/// What the paths of packs, and of their directory, hold; and that of what says how much of them is synced.
const PACKS: [&str; 2] = ["/blobs", "/SYNCED"];

/// Returns bytes of several chunks; those of all numbers share most of them.
fn content(number: u64) -> &'static [u8] {
    static CONTENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    &CONTENTS.get_or_init(|| (0..10).map(make_content).collect())[number as usize]
}

fn make_content(number: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> = (0..60_000).map(|_| next()).collect();
    bytes.splice(30_000..30_000, number.to_string().into_bytes());
    bytes
}

fn put(db: &Database, number: u64) -> crate::Result<u64> {
    db.put_file("a", content(number), Tier::Warm, &Default::default())
}

fn assert_holds(db: &Database, versions: &[u64]) {
    for (version, number) in versions.iter().enumerate() {
        let at = FileAt { version: Some(version as i64), ..FileAt::default() };
        assert!(db.get_file("a", &at).unwrap() == content(*number), "version {version}");
    }
    assert_eq!(db.file_versions("a", None).unwrap().len(), versions.len());
    assert_eq!(db.seq() + 1, versions.len() as i64);
}

/// Puts and compacts on a disk that fails; returns what stands.
fn run(disk: &FaultDisk) -> Vec<u64> {
    let mut standing = Vec::new();
    let db = open(disk).unwrap();
    for number in 0..6 {
        let outcome = match number {
            2 | 5 => db.compact_blobs().map(|_| None),
            _ => put(&db, number).map(Some),
        };
        match outcome {
            Ok(Some(version)) => {
                assert_eq!(version, standing.len() as u64);
                standing.push(number);
            }
            Ok(None) => {}
            Err(error) => assert_eq!(error.code(), ErrorCode::StorageError, "{error}"),
        }
        assert_holds(&db, &standing);
    }
    standing
}

/// Looks at what the process and the machine leave, and goes on with it.
fn check(disk: &FaultDisk, standing: Vec<u64>) {
    check_images(disk, &standing);
    go_on(disk, standing.clone(), &[None]);
    // What was being put when the process ended is found in the cache, and may be nowhere else.
    let interrupted = (0..5).find(|number| *number != 2 && !standing.contains(number));
    go_on(disk, standing, &[interrupted, None, Some(9)]);
}

/// Puts, or compacts, in the next process, and looks at what the machine leaves of that.
fn go_on(disk: &FaultDisk, mut standing: Vec<u64>, steps: &[Option<u64>]) {
    let disk = disk.for_next_process();
    let db = open(&disk).unwrap();
    assert_holds(&db, &standing);
    for step in steps {
        match step {
            Some(number) => {
                assert_eq!(put(&db, *number).unwrap(), standing.len() as u64);
                standing.push(*number);
            }
            None => drop(db.compact_blobs().unwrap()),
        }
        assert_holds(&db, &standing);
    }
    check_images(&disk, &standing);
}

fn check_images(disk: &FaultDisk, standing: &[u64]) {
    let look = |image: &Image| {
        assert_holds(&open(&image.disk).unwrap(), standing);
        Ok(())
    };
    look_at(disk, look).unwrap();
}

/// Returns the numbers of the calls that change packs.
fn pack_calls() -> Vec<usize> {
    let disk = FaultDisk::new();
    assert_eq!(run(&disk), [0, 1, 3, 4]);
    let is_pack = |(_, call): &(usize, Call)| {
        PACKS.iter().any(|part| call.path.to_string_lossy().contains(part))
    };
    let calls = disk.calls().into_iter().enumerate().filter(is_pack).map(|(number, _)| number);
    calls.collect()
}

/// Lets everything fail that changes packs, from a call on.
fn fail_for_good(disk: &FaultDisk, nth: usize, failure: Failure) {
    PACKS.iter().for_each(|part| disk.fail_from(nth, part, failure));
}

#[test]
fn one_failure_anywhere_leaves_every_acknowledged_version_readable() {
    let calls = pack_calls();
    assert!(calls.len() > 10, "only {calls:?}");
    for nth in calls {
        for failure in FAILURES {
            let disk = FaultDisk::new();
            disk.fail_at(nth, failure);
            let standing = run(&disk);
            assert_eq!(disk.failure_count(), 1);
            check(&disk, standing);
        }
    }
}

#[test]
fn packs_that_fail_for_good_leave_every_acknowledged_version_readable() {
    for nth in pack_calls() {
        let disk = FaultDisk::new();
        fail_for_good(&disk, nth, Failure::Half(ErrorKind::StorageFull));
        let standing = run(&disk);
        disk.mend();
        check(&disk, standing);
    }
}

#[test]
fn a_process_that_ends_among_packs_leaves_nothing_that_the_next_wrongly_relies_on() {
    for nth in pack_calls() {
        for failure in FAILURES {
            let disk = FaultDisk::new();
            // Nothing that it does to packs after this call has an effect.
            disk.fail_at(nth, failure);
            fail_for_good(&disk, nth + 1, Failure::NoEffect(ErrorKind::Other));
            let standing = run(&disk);
            check(&disk, standing);
        }
    }
}
