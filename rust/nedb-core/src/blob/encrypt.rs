//! Packs of a plain database, encrypted.
//!
//! In: the packs of a directory. Out: packs beside them, that hold the same chunks, sealed, under names that
//! are keyed.
//!
//! Invariants:
//! * The packs that are there are read and not changed: what takes their place is `store/sealing`'s matter.
//! * A chunk's leaf stays what it is, and so do manifests, roots and the ops that name them.

use super::frame::{Head, reseal};
use super::pack::{Pack, name_of, numbers, read_record};
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::store::{Directory, OpenHow};

/// Writes every pack of a plain database anew, sealed, to stand in its place once that is decided.
///
/// Bytes that no whole frame holds are left out, and returned is whether there were any: a crash leaves such,
/// and so does damage.
/// `done` is told of bytes as they are done, which are as many together as `packs_bytes` says.
///
/// Cost: every byte is read, sealed and written, and none decompressed; memory of one frame.
/// Errors: `StorageError`, `IntegrityError`, and what `done` returns.
pub(crate) fn encrypt_packs(
    directory: &Directory,
    protection: &Protection,
    done: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let mut leaves_bytes_out = false;
    for number in numbers(directory)? {
        leaves_bytes_out |= encrypt_pack(directory, number, protection, done)?;
    }
    Ok(leaves_bytes_out)
}

/// Returns how long the packs of a directory are together.
///
/// Errors: `StorageError`.
pub(crate) fn packs_bytes(directory: &Directory) -> Result<u64> {
    let mut all_bytes = 0;
    for number in numbers(directory)? {
        all_bytes += len_of(&Pack::open(directory, number, OpenHow::Read)?)?;
    }
    Ok(all_bytes)
}

fn len_of(pack: &Pack) -> Result<u64> {
    pack.file.len_bytes().map_err(|error| Error::storage("read a pack", error))
}

fn encrypt_pack(
    directory: &Directory,
    number: u32,
    protection: &Protection,
    done: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let writing = |error| Error::storage("write an encrypted pack", error);
    let mut pack = Pack::open(directory, number, OpenHow::Read)?;
    let mut frames = Vec::new();
    let mut take = |offset, head: Head| frames.push((offset, head.record_bytes() as u32));
    pack.list(&Protection::Plain, &mut take)?;
    let sealed = directory.create_sealing(&name_of(number))?;
    let mut left_bytes = len_of(&pack)?;
    for (offset, record_bytes) in frames {
        let record = read_record(&*pack.file, offset, record_bytes)?;
        sealed.append(&reseal(record, protection)?).map_err(writing)?;
        left_bytes = left_bytes.saturating_sub(u64::from(record_bytes));
        done(u64::from(record_bytes))?;
    }
    sealed.sync().map_err(writing)?;
    // What no whole frame holds.
    done(left_bytes)?;
    Ok(!pack.is_whole)
}
