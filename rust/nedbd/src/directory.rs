//! What the data directory holds: names, and what is found under them.
//!
//! In: paths and names. Out: whether a name is one, whether a database is there, which file it is.
//!
//! Invariants:
//! * A name is a directory's name and nothing else: no separator, no dot.

use crate::refusal::{Refusal, Result};
use nedb_core::{ErrorCode, hold_directory};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// What begins the name of a directory that is being made or removed.
pub const ASIDE: &str = ".aside-";
/// The file that makes a directory a database.
pub const LOG_FILE: &str = "log.aof";
/// The file that says that a database is encrypted.
const KEY_FILE: &str = "key.enc";

/// How lines begin that are encrypted.
const SEALED_BEGIN_BYTES_MAX: u64 = 9;
const SEALED_BEGINS: [&[u8]; 2] = [b"{\"ct\":", b"{\"enc\":1,"];

/// Checks a name: 1 to 64 letters, digits, `-` and `_` of ASCII, not beginning with `-`.
pub fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_named = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('-');
    if is_named && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "a name is 1 to {NAME_BYTES_MAX} letters, digits, - and _, and does not begin with -"
    )))
}

/// Tells whether a database is in a directory: whatever else is there is not ours to open.
pub fn is_database(root: &Path, name: &str) -> bool {
    check_name(name).is_ok() && root.join(name).join(LOG_FILE).is_file()
}

/// Tells whether the database of a name is encrypted, by its key or, where that is lost, by its log.
pub fn is_encrypted(root: &Path, name: &str) -> bool {
    let path = root.join(name);
    path.join(KEY_FILE).exists() || begins_sealed(&path.join(LOG_FILE)).unwrap_or(false)
}

/// Tells whether a log begins with a line that is encrypted, as NEDB or as NEDB 1.x spells it: a plain one begins with
/// other members.
fn begins_sealed(log: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    std::fs::File::open(log)?.take(SEALED_BEGIN_BYTES_MAX).read_to_end(&mut begin)?;
    Ok(SEALED_BEGINS.iter().any(|it| begin.starts_with(it)))
}

/// What tells a file from another one of the same name, where the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    number: u64,
    /// The number of a file that is gone may be that of a new one.
    created: Option<SystemTime>,
}

impl FileId {
    #[cfg(unix)]
    pub fn of(path: &Path) -> Option<FileId> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).ok()?;
        Some(FileId { device: found.dev(), number: found.ino(), created: found.created().ok() })
    }

    #[cfg(not(unix))]
    pub fn of(_path: &Path) -> Option<FileId> {
        None
    }
}

/// Removes what a crash left of databases that were being made or dropped; not what another server is making.
pub fn remove_leftovers(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let is_aside = entry.file_name().to_string_lossy().starts_with(ASIDE);
        if !is_aside || is_held(&entry.path()) {
            continue;
        }
        match std::fs::remove_dir_all(entry.path()) {
            // Whoever was dropping it has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

fn is_held(path: &Path) -> bool {
    hold_directory(path).is_err_and(|error| error.code() == ErrorCode::DatabaseLocked)
}

/// Makes a rename in a directory outlive a crash of the machine.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and the file system orders renames itself.
    if cfg!(unix) { std::fs::File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_names() {
        for name in ["shop", "a", "_x", "Shop-2_b", &"x".repeat(64)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".x",
            "-x",
            "a/b",
            "a\\b",
            "a.b",
            "é",
            "a b",
            "a\0",
            "../x",
            &"x".repeat(65),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
