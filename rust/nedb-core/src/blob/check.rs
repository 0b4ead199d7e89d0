//! What the packs hold, checked whole: which chunks can be read, and what nothing refers to.
//!
//! In: the packs; the chunks that ops refer to. Out: the names of the chunks that are right; counts.
//!
//! Invariants:
//! * A chunk is called right only where it stands as it would be read, authenticated and hashed.
//! * What was not found right here is for the caller to read once more, by itself: it is then named.

use super::chunks::ChunkStore;
use super::frame::{self, FrameEntry, Head};
use super::pack::read_record;
use super::shelf::{FramePlace, Shelf};
use super::tier::Decoder;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::store::StoredFile;
use hashbrown::HashSet;
use std::sync::Arc;

/// Is told how far a long task has come: bytes done, bytes in all. An error that it returns ends the task.
pub(crate) type Told<'t> = &'t mut dyn FnMut(u64, u64) -> Result<()>;

/// What nothing refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unreferenced {
    pub chunk_count: u64,
    /// Frames of which nothing is referred to.
    pub frame_count: u64,
    /// The length of those frames, and of what is no frame.
    pub bytes: u64,
}

impl ChunkStore {
    /// Reads every frame, and returns the names of the chunks that are right.
    ///
    /// Cost: every byte of the packs is read, decoded and hashed once, in the order in which it stands.
    /// Errors: `StorageError` where the packs cannot be listed, and what `told` returns.
    pub fn right_chunks(&self, told: Told<'_>) -> Result<HashSet<Hash>> {
        let frames = listed_frames(&*self.shelf()?);
        let all_bytes = frames.iter().map(|(_, frame, _)| u64::from(frame.record_bytes)).sum();
        let (mut right, mut done_bytes, mut decoder) = (HashSet::new(), 0, Decoder::new()?);
        for (number, frame, file) in frames {
            let record = read_record(&*file, frame.offset, frame.record_bytes);
            let read = record.and_then(|it| frame::decode(it, &mut decoder, self.protection()));
            if let Ok((head, raw)) = read {
                self.note_right(number, &head, &raw, &mut right)?;
            }
            done_bytes += u64::from(frame.record_bytes);
            told(done_bytes, all_bytes)?;
        }
        Ok(right)
    }

    /// Notes the chunks of a frame that are right and are read from there.
    fn note_right(
        &self,
        number: u32,
        head: &Head,
        raw: &[u8],
        right: &mut HashSet<Hash>,
    ) -> Result<()> {
        let found = head.right_chunks(raw, self.protection());
        let shelf = self.shelf()?;
        let is_read_there = |(entry, start): &(FrameEntry, u32)| {
            let place = shelf.chunks.get(&entry.address);
            place.is_some_and(|it| (it.frame, it.start) == (number, *start))
        };
        right.extend(found.into_iter().filter(is_read_there).map(|(entry, _)| entry.address));
        Ok(())
    }

    /// Counts what is stored and not among the names that are referred to.
    ///
    /// Errors: `StorageError`.
    pub fn unreferenced(&self, referenced: &HashSet<Hash>) -> Result<Unreferenced> {
        let shelf = self.shelf()?;
        let mut is_used = vec![false; shelf.frames.len()];
        let mut chunk_count = 0;
        for (address, place) in &shelf.chunks {
            match is_used.get_mut(place.frame as usize) {
                Some(is_used) if referenced.contains(address) => *is_used = true,
                _ => chunk_count += 1,
            }
        }
        let (mut frame_count, mut used_bytes) = (0, 0);
        for (number, frame, _) in listed_frames(&shelf) {
            match is_used.get(number as usize) {
                Some(true) => used_bytes += u64::from(frame.record_bytes),
                _ => frame_count += 1,
            }
        }
        let bytes = shelf.len_bytes()?.saturating_sub(used_bytes);
        Ok(Unreferenced { chunk_count, frame_count, bytes })
    }
}

/// Returns the frames that are there, in the order in which they stand, with their numbers and files.
fn listed_frames(shelf: &Shelf) -> Vec<(u32, FramePlace, Arc<dyn StoredFile>)> {
    let mut frames: Vec<_> = (0..shelf.frames.len() as u32)
        .filter_map(|number| shelf.frame(number).map(|(frame, file)| (number, frame, file)))
        // A failed sync has cut off those without a length.
        .filter(|(_, frame, _)| frame.record_bytes > 0)
        .collect();
    frames.sort_by_key(|(_, frame, _)| (frame.pack, frame.offset));
    frames
}

impl Shelf {
    /// Returns the length of all packs, torn ends included.
    ///
    /// Errors: `StorageError`.
    pub fn len_bytes(&self) -> Result<u64> {
        let reading = |error| Error::storage("read the length of a pack", error);
        self.packs.values().map(|pack| pack.file.len_bytes().map_err(reading)).sum()
    }
}
