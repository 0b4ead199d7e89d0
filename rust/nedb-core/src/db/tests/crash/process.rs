//! The process ends at every call; the next one goes on with what is in the cache, and then the machine
//! stops.

use super::check::{Bounds, Found, check_found, check_state, open, write_one_more};
use super::course::{Course, PATH, run};
use super::scripts::{self, Script};
use super::seed;
use crate::db::WriteOptions;
use crate::store::{FaultDisk, FileSystem, OpenHow};
use std::path::Path;

/// So many images of the machine's crash are looked at.
const IMAGES_MAX: usize = 6;

/// Opens what a process has left, writes, and looks at what the machine leaves of that when it stops.
pub(super) fn go_on(course: &Course, disk: &FaultDisk, bounds: &Bounds) -> Result<(), String> {
    let db = open(disk).map_err(|error| format!("it does not open: {error:?}"))?;
    check_state(course, &db, bounds)?;
    let last = write_one_more(&db)?;
    // The handle is still open: what was acknowledged does not wait for its end.
    check_images(disk, &last)
}

/// Stops the machine, and looks for everything that was acknowledged.
pub(super) fn check_images(disk: &FaultDisk, last: &Found) -> Result<(), String> {
    let images = disk.images(seed());
    let skipped = images.len().div_ceil(IMAGES_MAX).max(1);
    for image in images.iter().step_by(skipped) {
        check_found(&image.disk, last)
            .map_err(|found| format!("then the machine stops, {}: {found}", image.name))?;
    }
    Ok(())
}

/// Ends the process at every call of a script, and the next one at every call that opening makes.
fn end_everywhere(course: &Course) -> Result<usize, String> {
    let mut end_count = 0;
    for nth in 0..=course.call_count() {
        let disk = FaultDisk::new();
        disk.crash_at(nth);
        let ran = run(&course.script, &disk);
        let bounds = Bounds::after_process(course, ran.done_count);
        let place = |found| format!("{}, the process ends: {found}", course.place(nth));
        let left = disk.for_next_process();
        go_on(course, &left, &bounds).map_err(place)?;
        for second in 0.. {
            let again = disk.for_next_process();
            again.crash_at(second);
            end_count += 1;
            if open(&again).is_ok() {
                break;
            }
            let left = again.for_next_process();
            go_on(course, &left, &bounds)
                .map_err(|found| place(format!("call {second} of opening, again: {found}")))?;
        }
    }
    Ok(end_count)
}

fn check_script(number: usize) {
    let script: Script = scripts::all().swap_remove(number);
    let course = Course::of(script);
    let end_count = end_everywhere(&course).unwrap();
    assert!(end_count > 4 * course.call_count(), "only {end_count} ends");
}

macro_rules! for_each_script {
    ($($name:ident $number:literal)*) => { $(
        #[test]
        fn $name() {
            check_script($number);
        }
    )* };
}

for_each_script! {
    a_process_that_ends_among_documents_loses_nothing 0
    a_process_that_ends_among_groups_loses_nothing 1
    a_process_that_ends_among_indexes_loses_nothing 2
    a_process_that_ends_around_reopening_loses_nothing 3
    a_process_that_ends_among_files_loses_nothing 4
    a_process_that_ends_among_unsynced_files_loses_nothing 5
    a_process_that_ends_among_checkpoints_loses_nothing 6
    a_process_that_ends_among_unsynced_checkpoints_loses_nothing 7
    a_process_that_ends_with_encrypted_ops_loses_nothing 8
    a_process_that_ends_while_encrypting_loses_nothing 9
    a_process_that_ends_without_syncs_loses_nothing 10
    a_process_that_ends_between_intervals_loses_nothing 11
}

#[test]
fn a_log_and_a_directory_whose_names_nobody_synced_are_synced_by_the_next_writer() {
    let disk = FaultDisk::new();
    for directory in ["/data", PATH] {
        disk.create_directory(Path::new(directory)).unwrap();
    }
    disk.sync_directory(Path::new("/")).unwrap();
    drop(disk.open(&Path::new(PATH).join("log.aof"), OpenHow::Append).unwrap());
    let db = open(&disk).unwrap();
    let last = write_one_more(&db).unwrap();
    check_images(&disk, &last).unwrap();
}

#[test]
fn an_index_that_a_process_before_has_defined_is_on_the_disk_before_it_is_called_there() {
    let disk = FaultDisk::new();
    let db = open(&disk).unwrap();
    let put = |id: &str| db.put("c", id, "{}", &WriteOptions::default()).unwrap();
    put("a");
    // The definition's file is renamed, and its directory is not synced.
    let rename_at = 3;
    disk.crash_at(rename_at + 1);
    db.create_index("c", "n", crate::snapshot::IndexKind::Eq).unwrap_err();
    drop(db);
    let next = disk.for_next_process();
    let renamed = disk.calls().iter().any(|call| call.verb == "rename");
    assert!(renamed, "{:?}", disk.calls());
    let db = open(&next).unwrap();
    assert_eq!(db.indexes().unwrap().len(), 1);
    db.create_index("c", "n", crate::snapshot::IndexKind::Eq).unwrap();
    for image in next.images(seed()) {
        assert_eq!(open(&image.disk).unwrap().indexes().unwrap().len(), 1, "{}", image.name);
    }
}
