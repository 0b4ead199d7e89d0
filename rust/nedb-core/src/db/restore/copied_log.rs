//! A log that was written aside, checked before it takes another's place.

use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::log::verify;
use crate::store::StoredFile;

/// Reads a log that was written aside again, and compares it with what it was made of.
pub(in crate::db) fn check_copy(
    file: &dyn StoredFile,
    protection: &Protection,
    head: &str,
    op_count: u64,
) -> Result<()> {
    let len_bytes = file.len_bytes().map_err(reading)?;
    let found = verify(len_bytes, protection, &mut |offset, bytes_max, out| {
        let held = out.len();
        out.resize(held + bytes_max, 0);
        let fresh = out.get_mut(held..).unwrap_or_default();
        let count = file.read_at(offset, fresh).map_err(reading)?;
        out.truncate(held + count);
        Ok(())
    })?;
    if found.damage.is_some() || found.head != head || found.op_count != op_count {
        return Err(Error::integrity(
            "the log that was written aside does not hold the ops that it was made of",
        ));
    }
    Ok(())
}

fn reading(error: std::io::Error) -> Error {
    Error::storage("read the log that was written aside", error)
}
