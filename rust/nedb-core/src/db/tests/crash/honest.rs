//! A disk that lies is found out: the tests beside this one can fail.

use super::check::check;
use super::course::Course;
use super::machine::crash_everywhere;
use super::scripts;
use crate::store::{Image, Lie};

/// A log may say itself that it has lost what was synced.
const FINDINGS: [&str; 3] =
    ["was acknowledged", "shorter than what was synced", "a reader does not open"];

fn found_of(lie: Lie, number: usize) -> String {
    let course = Course::of(scripts::all().swap_remove(number));
    // A log whose lock was not synced is found damaged too; here it is the loss that counts.
    let look = |image: &Image, bounds: &_| match check(&course, &image.disk, bounds) {
        Err(found) if FINDINGS.iter().any(|finding| found.contains(finding)) => Err(found),
        _ => Ok(()),
    };
    crash_everywhere(&course, |disk| disk.lie(lie), look)
        .expect_err("nobody notices that nothing is synced")
}

#[test]
fn a_disk_that_syncs_no_file_loses_an_acknowledged_op() {
    loses_an_acknowledged_op(Lie::FileSyncs);
}

#[test]
fn a_disk_that_syncs_no_directory_loses_an_acknowledged_op() {
    loses_an_acknowledged_op(Lie::DirectorySyncs);
}

fn loses_an_acknowledged_op(lie: Lie) {
    for number in 0..scripts::all().len() {
        println!("{}", found_of(lie, number));
    }
}
