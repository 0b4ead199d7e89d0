//! Pack files: `blobs/000001.pack` and those after it, each a run of frames.
//!
//! In: records to append; a file to list. Out: where each frame stands, and what its head says.
//!
//! Invariants:
//! * A pack only grows. What a crash tore at its end is never cut and never appended to: the next frame
//!   goes into a new pack. What a failed sync leaves in doubt, and no op refers to, is cut.
//! * A number is never used again while a pack with a higher one is there.

use super::frame::{Found, Head};
use crate::error::{Error, Result};
use crate::limits::PACK_BYTES_MAX;
use crate::store::{BLOBS_NAME, Directory, OpenHow, StoredFile};
use std::sync::Arc;

/// How much is read to find a head: that of a full warm frame, and then some.
const HEAD_READ_BYTES: usize = 4 << 10;

/// A pack, open.
#[derive(Clone, Debug)]
pub(super) struct Pack {
    pub file: Arc<dyn StoredFile>,
    /// Where its last whole frame ends.
    pub end_bytes: u64,
    /// How much of it this handle has synced.
    pub synced_bytes: u64,
    /// How much of it was there when this handle first looked.
    pub found_bytes: u64,
    /// Whether it ends with its last frame: only then may it be appended to.
    pub is_whole: bool,
    /// Whether a sync has failed: what the disk holds of it is unknown then, whatever a read says.
    pub is_doubtful: bool,
}

impl Pack {
    /// Opens a pack to read it; nothing in it is known yet.
    ///
    /// Errors: `StorageError`.
    pub fn open(directory: &Directory, number: u32, how: OpenHow) -> Result<Pack> {
        let file = directory.open_file(&name_of(number), how)?;
        Ok(Pack {
            file,
            end_bytes: 0,
            synced_bytes: 0,
            found_bytes: 0,
            is_whole: true,
            is_doubtful: false,
        })
    }

    /// Creates a pack, on the disk for good.
    ///
    /// Errors: `StorageError`.
    pub fn create(directory: &Directory, number: u32) -> Result<Pack> {
        directory.create_subdirectory(BLOBS_NAME)?;
        let pack = Pack::open(directory, number, OpenHow::CreateNew)?;
        directory.sync(BLOBS_NAME)?;
        Ok(pack)
    }

    /// Hands the frames after those that are known to `take`, with their offsets.
    ///
    /// Cost: one small read a frame. Errors: `StorageError`.
    pub fn list(&mut self, take: &mut dyn FnMut(u64, Head)) -> Result<()> {
        let reading = |error| Error::storage("list the frames of a pack", error);
        let len_bytes = self.file.len_bytes().map_err(reading)?;
        while self.end_bytes < len_bytes {
            let Some(head) = self.head_at(self.end_bytes).map_err(reading)? else { break };
            let end_bytes = self.end_bytes + head.record_bytes() as u64;
            if end_bytes > len_bytes {
                break;
            }
            take(self.end_bytes, head);
            self.end_bytes = end_bytes;
        }
        self.is_whole &= self.end_bytes == len_bytes;
        Ok(())
    }

    fn head_at(&self, offset_bytes: u64) -> std::io::Result<Option<Head>> {
        let mut wanted_bytes = HEAD_READ_BYTES;
        loop {
            let mut buffer = vec![0; wanted_bytes];
            let count = self.file.read_at(offset_bytes, &mut buffer)?;
            match Head::parse(buffer.get(..count).unwrap_or_default()) {
                Found::Head(head) => return Ok(Some(head)),
                Found::NeedsBytes(bytes) if bytes > wanted_bytes => wanted_bytes = bytes,
                Found::NeedsBytes(_) | Found::Nothing => return Ok(None),
            }
        }
    }

    /// Appends a record and returns where it stands. After an error the pack is not whole.
    ///
    /// Errors: `StorageError`.
    pub fn append(&mut self, record: &[u8]) -> Result<u64> {
        let offset = self.end_bytes;
        if let Err(error) = self.file.append(record) {
            self.is_whole = false;
            return Err(Error::storage("write to a pack", error));
        }
        self.end_bytes += record.len() as u64;
        Ok(offset)
    }

    /// Cuts off what a sync that failed has left in doubt, which no op refers to, and returns where.
    ///
    /// The system may call it clean: a process after this one would find it, and a sync of its own would
    /// prove nothing.
    pub fn cut_doubtful(&mut self) -> u64 {
        self.is_doubtful = true;
        self.end_bytes = self.synced_bytes.max(self.found_bytes);
        // On a disk that fails this may fail too; this process relies on nothing of it either way.
        let _cut_or_not = self.file.cut(self.end_bytes);
        self.end_bytes
    }

    /// Tells whether a further record goes into it.
    pub fn takes_more(&self) -> bool {
        self.is_whole && !self.is_doubtful && self.end_bytes < PACK_BYTES_MAX
    }
}

/// Reads a whole record.
///
/// Errors: `StorageError`, `IntegrityError` when the file ends before.
pub(super) fn read_record(file: &dyn StoredFile, offset: u64, bytes: u32) -> Result<Vec<u8>> {
    let mut record = vec![0; bytes as usize];
    let count = file
        .read_at(offset, &mut record)
        .map_err(|error| Error::storage("read a frame of a pack", error))?;
    if count < record.len() {
        return Err(Error::integrity("its pack ends before it"));
    }
    Ok(record)
}

/// Returns the numbers of the packs in a directory, in order.
///
/// Errors: `StorageError`.
pub(super) fn numbers(directory: &Directory) -> Result<Vec<u32>> {
    let names = directory.list(BLOBS_NAME)?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns a pack's name, relative to the database's directory.
pub(super) fn name_of(number: u32) -> String {
    format!("{BLOBS_NAME}/{number:06}.pack")
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".pack")?;
    let is_number = digits.len() >= 6 && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}
