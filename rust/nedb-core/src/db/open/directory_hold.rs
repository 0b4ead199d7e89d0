//! A directory, held against everyone who would write to it, without opening what is in it.

use crate::error::Result;
use crate::store::{Directory, DirectoryLock, Disk};
use std::path::Path;
use std::sync::Arc;

/// A directory that no process opens for writing, until this is dropped.
#[derive(Debug)]
pub struct DirectoryHold {
    _lock: DirectoryLock,
}

/// Holds a directory, which must be there, against every process that would write to it: for whoever moves or removes
/// it. Whether what is in it could be opened does not matter; readers are not kept out.
///
/// Errors: `DatabaseLocked` while a process has it open for writing; `StorageError`.
pub fn hold_directory(path: impl AsRef<Path>) -> Result<DirectoryHold> {
    let directory = Directory::at(Arc::new(Disk), path.as_ref())?;
    Ok(DirectoryHold { _lock: directory.lock()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Database, Options};
    use crate::error::ErrorCode;

    #[test]
    fn what_is_held_is_not_opened_for_writing_and_what_is_open_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path(), Options::default()).unwrap();
        assert_eq!(hold_directory(folder.path()).unwrap_err().code(), ErrorCode::DatabaseLocked);
        db.close().unwrap();
        let held = hold_directory(folder.path()).unwrap();
        let refused = Database::open(folder.path(), Options::default()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::DatabaseLocked);
        Database::open(folder.path(), Options { read_only: true, ..Options::default() }).unwrap();
        drop(held);
        Database::open(folder.path(), Options::default()).unwrap();
        let missing = hold_directory(folder.path().join("none")).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::StorageError);
    }
}
