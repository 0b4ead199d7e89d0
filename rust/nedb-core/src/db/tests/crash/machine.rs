//! The machine stops: at every call, and once more while what it left is being opened.

use super::check::{Bounds, check, open};
use super::course::{Course, run};
use super::scripts::{self, Script};
use super::seed;
use crate::op::Seq;
use crate::store::{FaultDisk, Image};
use std::collections::BTreeSet;

/// Of so many images one is crashed again while it is opened.
const SECOND_CRASH_EVERY: usize = 10;
/// So many images of a second crash are looked at.
const SECOND_IMAGES_MAX: usize = 8;

/// Stops the machine at every call of a script, and hands each disk that may be left to `look`.
pub(super) fn crash_everywhere(
    course: &Course,
    prepare: impl Fn(&FaultDisk),
    mut look: impl FnMut(&Image, &Bounds) -> Result<(), String>,
) -> Result<(), String> {
    for nth in 0..=course.call_count() {
        let disk = FaultDisk::new();
        prepare(&disk);
        disk.crash_at(nth);
        let ran = run(&course.script, &disk);
        let bounds = Bounds::after_machine(course, ran.done_count);
        for image in disk.images(seed() + nth as u64) {
            look(&image, &bounds)
                .map_err(|found| format!("{}, {}: {found}", course.place(nth), image.name))?;
        }
    }
    Ok(())
}

/// Disks that were looked at already.
#[derive(Default)]
struct Seen {
    disks: BTreeSet<(u64, Seq, Seq, usize)>,
}

impl Seen {
    /// Tells whether a disk is new, with what must be found on it.
    fn is_new(&mut self, image: &Image, bounds: &Bounds) -> bool {
        let Bounds { acknowledged_seq, submitted_seq, backups, .. } = bounds;
        self.disks.insert((image.fingerprint, *acknowledged_seq, *submitted_seq, backups.len()))
    }
}

/// Stops the machine at every call that opening a disk makes, and looks at what is left then.
fn crash_again(
    course: &Course,
    disk: &FaultDisk,
    bounds: &Bounds,
    seen: &mut Seen,
) -> Result<(), String> {
    let opened = disk.for_next_process();
    open(&opened).map_err(|error| format!("it does not open: {error:?}"))?;
    for nth in 0..opened.calls().len() {
        let again = disk.for_next_process();
        again.crash_at(nth);
        drop(open(&again));
        let mut images = again.images(seed() + nth as u64);
        let skipped = images.len().div_ceil(SECOND_IMAGES_MAX).max(1);
        let last = images.pop();
        for image in images.into_iter().step_by(skipped).chain(last) {
            if !seen.is_new(&image, bounds) {
                continue;
            }
            check(course, &image.disk, bounds).map_err(|found| {
                let call = &opened.calls()[nth];
                format!("a second crash at {call:?}, {}: {found}", image.name)
            })?;
        }
    }
    Ok(())
}

fn check_first_crash(script: Script) {
    let course = Course::of(script);
    let mut image_count = 0;
    let look = |image: &Image, bounds: &Bounds| {
        image_count += 1;
        check(&course, &image.disk, bounds).map(drop)
    };
    crash_everywhere(&course, |_| {}, look).unwrap();
    println!("{}: {} calls, {image_count} images", course.script.name, course.call_count());
    assert!(image_count > 5 * course.call_count(), "only {image_count} images");
}

fn check_second_crash(script: Script) {
    let course = Course::of(script);
    let mut seen = Seen::default();
    let mut image_count = 0;
    let look = |image: &Image, bounds: &Bounds| {
        image_count += 1;
        match image_count % SECOND_CRASH_EVERY {
            0 => crash_again(&course, &image.disk, bounds, &mut seen),
            _ => Ok(()),
        }
    };
    crash_everywhere(&course, |_| {}, look).unwrap();
    let second_count = seen.disks.len();
    println!("{}: {second_count} images of second crashes", course.script.name);
    assert!(second_count > 3 * course.call_count(), "only {second_count} images");
}

/// One test for each script, so that they run side by side.
macro_rules! for_each_script {
    ($($first:ident $second:ident $number:literal)*) => { $(
        #[test]
        fn $first() {
            check_first_crash(scripts::all().swap_remove($number));
        }

        #[test]
        fn $second() {
            check_second_crash(scripts::all().swap_remove($number));
        }
    )* };
}

for_each_script! {
    a_crash_among_documents_leaves_a_prefix a_second_crash_among_documents_leaves_a_prefix 0
    a_crash_among_groups_leaves_a_prefix a_second_crash_among_groups_leaves_a_prefix 1
    a_crash_among_indexes_leaves_a_prefix a_second_crash_among_indexes_leaves_a_prefix 2
    a_crash_around_reopening_leaves_a_prefix a_second_crash_around_reopening_leaves_a_prefix 3
    a_crash_among_files_leaves_a_prefix a_second_crash_among_files_leaves_a_prefix 4
    a_crash_among_unsynced_files_leaves_a_prefix a_second_crash_among_unsynced_files_leaves_a_prefix 5
    a_crash_among_checkpoints_leaves_a_prefix a_second_crash_among_checkpoints_leaves_a_prefix 6
    a_crash_among_unsynced_checkpoints_leaves_a_prefix
        a_second_crash_among_unsynced_checkpoints_leaves_a_prefix 7
    a_crash_of_what_is_encrypted_leaves_a_prefix
        a_second_crash_of_what_is_encrypted_leaves_a_prefix 8
    a_crash_while_encrypting_leaves_a_prefix a_second_crash_while_encrypting_leaves_a_prefix 9
    a_crash_without_syncs_leaves_a_prefix a_second_crash_without_syncs_leaves_a_prefix 10
    a_crash_between_intervals_leaves_a_prefix a_second_crash_between_intervals_leaves_a_prefix 11
}

#[test]
fn every_script_is_crashed() {
    assert_eq!(scripts::all().len(), 12, "name the new one above");
}
