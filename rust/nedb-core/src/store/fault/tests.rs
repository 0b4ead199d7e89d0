//! What the simulated disk may leave, held against what its model says.

use super::super::filesystem::{FileSystem, OpenHow};
use super::{Failure, FaultDisk};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

const FILE: &str = "/f";

/// Makes a disk with one file that holds bytes, synced with its name.
fn disk_with(bytes: &[u8]) -> FaultDisk {
    let disk = FaultDisk::new();
    disk.place(FILE, bytes).unwrap();
    disk
}

fn append(disk: &FaultDisk, bytes: &[u8]) -> io::Result<()> {
    disk.open(Path::new(FILE), OpenHow::Append).unwrap().append(bytes)
}

fn sync(disk: &FaultDisk) -> io::Result<()> {
    disk.open(Path::new(FILE), OpenHow::Append).unwrap().sync()
}

/// Returns what a crash may leave of the file; None: not even its name.
fn left(disk: &FaultDisk) -> BTreeSet<Option<Vec<u8>>> {
    disk.images(1).into_iter().map(|image| image.disk.read(FILE).ok()).collect()
}

fn some(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[test]
fn what_was_synced_is_all_that_a_crash_leaves() {
    let disk = disk_with(b"old ");
    append(&disk, b"new").unwrap();
    sync(&disk).unwrap();
    assert_eq!(left(&disk), [some("old new")].into());
}

#[test]
fn an_append_is_lost_torn_zero_or_there() {
    let disk = disk_with(b"old ");
    append(&disk, b"new").unwrap();
    let expected = ["old ", "old n", "old ne", "old new", "old \0\0\0"].map(some);
    assert_eq!(left(&disk), expected.into());
}

#[test]
fn a_late_append_may_be_there_without_an_early_one() {
    let disk = disk_with(b"");
    append(&disk, b"ab").unwrap();
    append(&disk, b"cd").unwrap();
    let left = left(&disk);
    for expected in ["", "a", "ab", "abc", "abcd", "\0\0cd", "ab\0\0", "\0\0\0\0"] {
        assert!(left.contains(&some(expected)), "{expected:?} of {left:?}");
    }
    assert!(!left.contains(&some("cd")), "bytes never move");
}

#[test]
fn sectors_of_one_write_are_kept_by_themselves() {
    let disk = disk_with(&[b'o'; 500]);
    append(&disk, &[b'n'; 1_000]).unwrap();
    let left = left(&disk);
    // Sectors end at 512 and at 1,024.
    for kept in [[true, false, true], [false, true, false], [false, false, true]] {
        let parts = [(12, kept[0]), (512, kept[1]), (476, kept[2])];
        let mut expected = vec![b'o'; 500];
        for (count, is_kept) in parts {
            expected.extend(vec![if is_kept { b'n' } else { 0 }; count]);
        }
        assert!(left.contains(&Some(expected)), "{kept:?}");
    }
}

#[test]
fn a_files_sync_says_nothing_of_its_name() {
    let disk = FaultDisk::new();
    append(&disk, b"all").unwrap();
    sync(&disk).unwrap();
    assert_eq!(left(&disk), [None, some("all")].into());
    disk.sync_directory(Path::new("/")).unwrap();
    assert_eq!(left(&disk), [some("all")].into());
}

#[test]
fn a_renaming_may_be_kept_without_what_was_not_synced() {
    let disk = disk_with(b"old");
    let aside = Path::new("/aside");
    disk.open(aside, OpenHow::CreateNew).unwrap().append(b"new").unwrap();
    disk.rename(aside, Path::new(FILE)).unwrap();
    let left = left(&disk);
    for expected in ["old", "", "n", "new"] {
        assert!(left.contains(&some(expected)), "{expected:?} of {left:?}");
    }
    assert!(!left.contains(&None), "a name that is replaced is never gone");
}

#[test]
fn a_sync_after_one_that_failed_proves_nothing() {
    let disk = disk_with(b"old ");
    append(&disk, b"new").unwrap();
    disk.fail_at(0, Failure::NoEffect(io::ErrorKind::Other));
    sync(&disk).unwrap_err();
    sync(&disk).unwrap();
    assert_eq!(disk.read(FILE).unwrap(), b"old new", "the cache has it");
    assert_eq!(left(&disk), [some("old \0\0\0"), some("old new")].into());
    append(&disk, b"er").unwrap();
    sync(&disk).unwrap();
    assert_eq!(left(&disk), [some("old \0\0\0er"), some("old newer")].into());
}

#[test]
fn a_short_write_is_in_the_cache_by_half() {
    let disk = disk_with(b"");
    disk.fail_at(0, Failure::Half(io::ErrorKind::StorageFull));
    let failed = append(&disk, b"abcd").unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read(FILE).unwrap(), b"ab");
    append(&disk, b"!").unwrap();
    assert_eq!(disk.read(FILE).unwrap(), b"ab!", "it fails once");
}

#[test]
fn several_calls_fail_in_one_run_and_a_later_one_is_the_last() {
    let disk = disk_with(b"");
    disk.fail_at(1, Failure::NoEffect(io::ErrorKind::StorageFull));
    disk.fail_at(3, Failure::AllDone(io::ErrorKind::Other));
    disk.crash_at(5);
    let file = disk.open(Path::new(FILE), OpenHow::Append).unwrap();
    let done: Vec<bool> = (b'a'..=b'g').map(|byte| file.append(&[byte]).is_ok()).collect();
    assert_eq!(done, [true, false, true, false, true, false, false]);
    assert_eq!((disk.failure_count(), disk.is_dead()), (2, true));
    assert_eq!(disk.for_next_process().read(FILE).unwrap(), b"acdef");
}

#[test]
fn what_was_planned_does_not_happen_to_a_disk_that_was_mended() {
    let disk = disk_with(b"");
    disk.fail_from(1, "", Failure::NoEffect(io::ErrorKind::Other));
    disk.crash_at(9);
    append(&disk, b"a").unwrap();
    append(&disk, b"b").unwrap_err();
    append(&disk, b"c").unwrap_err();
    disk.mend();
    (0..9).for_each(|_| append(&disk, b"d").unwrap());
    assert_eq!((disk.failure_count(), disk.is_dead()), (2, false));
}

#[test]
fn nothing_happens_to_what_is_done_in_peace_and_its_calls_are_counted() {
    let disk = disk_with(b"");
    disk.fail_at(1, Failure::NoEffect(io::ErrorKind::Other));
    disk.fail_at(2, Failure::NoEffect(io::ErrorKind::Other));
    disk.in_peace(|| (0..2).for_each(|_| append(&disk, b"a").unwrap()));
    append(&disk, b"b").unwrap_err();
}

#[test]
fn a_place_on_a_disk_fails_for_good_and_others_do_not() {
    let disk = disk_with(b"");
    disk.fail_from(1, "/bad", Failure::NoEffect(io::ErrorKind::StorageFull));
    let create = |path: &str| disk.open(Path::new(path), OpenHow::CreateNew).is_ok();
    assert!(create("/bad 1"), "it fails from call 1 on");
    assert!(create("/good") && !create("/bad 2") && create("/good 2") && !create("/bad 3"));
    append(&disk, b"ab").unwrap();
}

#[test]
fn a_dead_process_does_nothing_more() {
    let disk = disk_with(b"");
    disk.crash_at(1);
    append(&disk, b"ab").unwrap();
    append(&disk, b"cd").unwrap_err();
    let file = Path::new(FILE);
    assert!(disk.open(file, OpenHow::Read).is_err());
    assert!(disk.remove_file(file).is_err());
    let next = disk.for_next_process();
    assert_eq!(next.read(FILE).unwrap(), b"abcd", "the last call may have been carried out");
    assert!(left(&next).contains(&some("")), "and is not synced");
}

#[test]
fn a_lock_is_free_when_its_holder_lets_go_or_dies() {
    let disk = disk_with(b"");
    let take = |disk: &FaultDisk| disk.open_lock(Path::new(FILE), false).unwrap();
    let first = take(&disk);
    assert!(first.try_lock().unwrap());
    assert!(!take(&disk).try_lock_shared().unwrap());
    assert!(take(&disk.for_next_process()).try_lock().unwrap());
    drop(first);
    assert!(take(&disk).try_lock().unwrap());
}

#[test]
fn one_seed_gives_the_same_images_again() {
    let disk = disk_with(b"");
    (0..9).for_each(|n| append(&disk, &[b'a' + n; 700]).unwrap());
    let listings =
        |seed| disk.images(seed).iter().map(|image| image.disk.listing()).collect::<Vec<_>>();
    assert_eq!(listings(7), listings(7));
    assert_ne!(listings(7), listings(8));
}
