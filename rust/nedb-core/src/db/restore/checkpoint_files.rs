//! Checkpoint files: their names, and how they are written, read and removed.
//!
//! Invariants:
//! * A file is complete before it has its name, and older ones are removed only after.

use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::op::{Op, OpKind, Seq};
use crate::store::{Directory, OpenHow};
use crate::views::Checkpoint;

/// Returns the hash of the checkpoint file that an op seals.
pub(in crate::db) fn seal_in(op: &Op<'_>) -> Option<String> {
    match op.items.as_slice() {
        [item] => match &item.kind {
            OpKind::Checkpoint { views, .. } => views.as_deref().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

/// Says that a checkpoint file is not used.
pub(in crate::db) fn ignored(name: &str, reason: &str) -> String {
    format!("the file {name} is ignored: {reason}")
}

/// Returns the seqs of the checkpoint files in a directory, ascending.
///
/// Errors: `StorageError`.
pub(in crate::db) fn saved_seqs(directory: &Directory) -> Result<Vec<Seq>> {
    let names = directory.list("")?;
    let mut seqs: Vec<Seq> = names.iter().filter_map(|name| seq_of(name)).collect();
    seqs.sort_unstable();
    Ok(seqs)
}

/// Returns the names of the checkpoint files in a directory; none where it cannot be listed.
pub(in crate::db) fn saved_names(directory: &Directory) -> Vec<String> {
    saved_seqs(directory).unwrap_or_default().into_iter().map(Checkpoint::file_name).collect()
}

fn seq_of(name: &str) -> Option<Seq> {
    let seq = name.strip_prefix(Checkpoint::FILE_NAME_PREFIX)?.parse().ok()?;
    // One seq has one name.
    (seq >= 0 && Checkpoint::file_name(seq) == name).then_some(seq)
}

/// Reads a checkpoint file whole, or None when there is none.
///
/// Errors: `StorageError`, `LimitExceeded`, `IntegrityError` when it was sealed and does not authenticate.
pub(in crate::db) fn read_saved(
    directory: &Directory,
    protection: &Protection,
    seq: Seq,
) -> Result<Option<Vec<u8>>> {
    let name = Checkpoint::file_name(seq);
    let file = match directory.open_file(&name, OpenHow::Read) {
        // Beside a writer it may have gone since it was listed.
        Err(_) if !directory.exists(&name) => return Ok(None),
        opened => opened?,
    };
    let len_bytes = file.len_bytes();
    let len_bytes = len_bytes.map_err(|error| Error::storage(format!("read {name}"), error))?;
    if len_bytes > CHECKPOINT_BYTES_MAX {
        return Err(Error::limit(format!("a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes")));
    }
    let sealed = directory.read(&name)?;
    sealed.map(|sealed| protection.open(name.as_bytes(), sealed)).transpose()
}

/// Writes a checkpoint file, and then removes all others.
///
/// Errors: `StorageError`, `LimitExceeded`; the others are there still.
pub(in crate::db) fn save(
    directory: &Directory,
    protection: &Protection,
    seq: Seq,
    bytes: Vec<u8>,
) -> Result<()> {
    if bytes.len() as u64 > CHECKPOINT_BYTES_MAX {
        return Err(Error::limit(format!("a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes")));
    }
    let own = Checkpoint::file_name(seq);
    directory.replace(&own, &protection.seal(own.as_bytes(), bytes)?)?;
    remove_saved(directory, |name| name != own);
    Ok(())
}

/// Removes the checkpoint files of which `is_old` is true, and what a crash left of one that was being
/// written; what cannot be removed stays, and is ignored or replaced later.
pub(in crate::db) fn remove_saved(directory: &Directory, is_old: impl Fn(&str) -> bool) {
    let names = directory.list("").unwrap_or_default();
    let is_ours = |name: &&String| seq_of(name.strip_suffix(".new").unwrap_or(name)).is_some();
    for name in names.iter().filter(is_ours).filter(|name| is_old(name)) {
        let _gone_or_not = directory.remove(name);
    }
}

/// Removes the checkpoint files at a seq and beyond.
pub(in crate::db) fn remove_saved_from(directory: &Directory, first_seq: Seq) {
    remove_saved(directory, |name| seq_of(name).is_none_or(|seq| seq >= first_seq));
}
