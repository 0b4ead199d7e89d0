//! Pack files: `blobs/000001.pack` and those after it, each a run of frames.
//!
//! In: records to append; a file to list. Out: where each frame stands, and what its head says.
//!
//! Invariants:
//! * A pack only grows. What a crash tore at its end is never cut and never appended to: the next frame
//!   goes into a new pack. What a failed sync leaves in doubt, and no op refers to, is cut.
//! * A damaged head takes its frame along, and no other.
//! * A number is never used again while a pack with a higher one is there.

use super::frame::{self, Found, Head, MAGIC};
use super::tier::Decoder;
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::limits::PACK_BYTES_MAX;
use crate::store::{BLOBS_NAME, Directory, OpenHow, StoredFile};
use memchr::memmem;
use std::sync::Arc;

/// How much is read to find a head: that of a full warm frame, and then some.
const HEAD_READ_BYTES: usize = 4 << 10;
/// How much is read at once to find a frame behind damage.
const SCAN_BYTES: usize = 256 << 10;

/// A pack, open.
#[derive(Clone, Debug)]
pub(super) struct Pack {
    pub file: Arc<dyn StoredFile>,
    /// Where its last whole frame ends.
    pub end_bytes: u64,
    /// How much of it this handle has synced.
    pub synced_bytes: u64,
    /// How much of it was there when this handle first looked, of which nothing is in doubt once
    /// `ChunkStore::make_sure` has returned.
    pub found_bytes: u64,
    /// Whether it is frames and nothing else: only then may it be appended to.
    pub is_whole: bool,
    /// Whether something that is no frame was found before a frame.
    has_gap: bool,
    /// Whether an append has failed: there may be something behind its end.
    has_failed_append: bool,
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
            has_gap: false,
            has_failed_append: false,
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
    /// Where a head is damaged, the next frame is looked for behind it. Anything may look like a frame there: from
    /// then on a frame is one only if its body opens and its chunks have the names that it says.
    ///
    /// Cost: one small read a frame; behind damage every byte. Errors: `StorageError`.
    pub fn list(&mut self, protection: &Protection, take: &mut dyn FnMut(u64, Head)) -> Result<()> {
        let reading = |error| Error::storage("list the frames of a pack", error);
        let len_bytes = self.file.len_bytes().map_err(reading)?;
        while self.end_bytes < len_bytes {
            let at = self.end_bytes;
            let found = match self.head_at(at).map_err(reading)? {
                Found::Head(head) if !self.has_gap => Some((at, head)),
                _ => self.find_frame(at, len_bytes, protection)?,
            };
            let Some((offset, head)) = found else { break };
            let end_bytes = offset + head.record_bytes() as u64;
            if end_bytes > len_bytes {
                // It is being written, or was when a crash came.
                break;
            }
            self.has_gap |= offset > at;
            self.end_bytes = end_bytes;
            take(offset, head);
        }
        self.is_whole &= self.end_bytes == len_bytes && !self.has_gap;
        Ok(())
    }

    fn head_at(&self, offset_bytes: u64) -> std::io::Result<Found> {
        let mut wanted_bytes = HEAD_READ_BYTES;
        loop {
            let mut buffer = vec![0; wanted_bytes];
            let count = self.file.read_at(offset_bytes, &mut buffer)?;
            match Head::parse(buffer.get(..count).unwrap_or_default()) {
                Found::NeedsBytes(bytes) if bytes > wanted_bytes => wanted_bytes = bytes,
                found => return Ok(found),
            }
        }
    }

    /// Finds the first frame from an offset on that is right.
    fn find_frame(
        &self,
        from_bytes: u64,
        len_bytes: u64,
        protection: &Protection,
    ) -> Result<Option<(u64, Head)>> {
        let reading = |error| Error::storage("look for a frame of a pack", error);
        let mut decoder = Decoder::new()?;
        let mut block = vec![0; SCAN_BYTES];
        let mut at = from_bytes;
        while at < len_bytes {
            let count = self.file.read_at(at, &mut block).map_err(reading)?;
            let read = block.get(..count).unwrap_or_default();
            for place in memmem::find_iter(read, MAGIC) {
                if Head::parse(read.get(place..).unwrap_or_default()) == Found::Nothing {
                    continue;
                }
                let offset = at + place as u64;
                if let Found::Head(head) = self.head_at(offset).map_err(reading)?
                    && is_right(&*self.file, offset, &head, (&mut decoder, protection))
                {
                    return Ok(Some((offset, head)));
                }
            }
            // What begins with the last bytes may go on in the next block.
            at += count.saturating_sub(MAGIC.len() - 1).max(1) as u64;
        }
        Ok(None)
    }

    /// Appends a record and returns where it stands. After an error the pack is not whole.
    ///
    /// Errors: `StorageError`.
    pub fn append(&mut self, record: &[u8]) -> Result<u64> {
        let offset = self.end_bytes;
        if let Err(error) = self.file.append(record) {
            self.is_whole = false;
            self.has_failed_append = true;
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
        // On a disk that fails this may fail too, and once more; this process relies on nothing of it either way.
        let _cut_or_not = self.file.cut(self.end_bytes).or_else(|_| self.file.cut(self.end_bytes));
        self.end_bytes
    }

    /// Returns from where on it may not be on the disk; None where all of it is.
    pub fn unsynced_from(&self) -> Option<u64> {
        let sure_bytes = self.synced_bytes.max(self.found_bytes);
        let is_in_doubt = self.is_doubtful || self.has_failed_append;
        (is_in_doubt || sure_bytes < self.end_bytes).then_some(sure_bytes)
    }

    /// Tells whether a further record goes into it.
    pub fn takes_more(&self) -> bool {
        self.is_whole && !self.is_doubtful && self.end_bytes < PACK_BYTES_MAX
    }
}

/// Tells whether a record opens and holds the chunks that its head names.
fn is_right(
    file: &dyn StoredFile,
    offset: u64,
    head: &Head,
    (decoder, protection): (&mut Decoder, &Protection),
) -> bool {
    let read = read_record(file, offset, head.record_bytes() as u32);
    let decoded = read.and_then(|record| frame::decode(record, decoder, protection));
    decoded.is_ok_and(|(head, raw)| head.right_chunks(&raw, protection).len() == head.entries.len())
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

/// Returns the names beside the packs that are none of theirs, relative to the database's directory: nobody
/// knows what they hold.
///
/// Errors: `StorageError`.
pub(crate) fn foreign_names(directory: &Directory) -> Result<Vec<String>> {
    let names = directory.list(BLOBS_NAME)?.into_iter();
    let foreign = names.filter(|name| number_of(name).is_none());
    Ok(foreign.map(|name| format!("{BLOBS_NAME}/{name}")).collect())
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".pack")?;
    let is_number = digits.len() >= 6 && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}
