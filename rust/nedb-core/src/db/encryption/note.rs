//! What is said of a database that was plain and was encrypted in place.

use crate::blob::foreign_names;
use crate::db::open_report::OpenReport;
use crate::error::Result;
use crate::store::Directory;

/// What the note is sealed as that says that the database was plain.
pub(in crate::db) const NOTE_CONTEXT: &[u8] = b"encryption.note";

/// Says in a report that a database was plain, what of it is gone, and what nobody knows of is there still.
pub(in crate::db) fn report_encrypted(
    directory: &Directory,
    report: &mut OpenReport,
    removed: &[String],
) -> Result<()> {
    let mut foreign = directory.foreign_names()?;
    foreign.extend(foreign_names(directory)?);
    if !foreign.is_empty() {
        report.warnings.push(format!(
            "these are not files of the database and were left as they are; remove those that hold copies \
             in plain text: {}",
            foreign.join(", ")
        ));
    }
    report.warnings.push(
        "the database was plain and was encrypted in place; disks and backups may still hold the plain \
         text"
            .to_owned(),
    );
    if !removed.is_empty() {
        let names = removed.join(", ");
        report.warnings.push(format!("what was kept beside the plain log was removed: {names}"));
    }
    Ok(())
}
