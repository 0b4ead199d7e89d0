//! Chunks copied from packs into new packs: for a compaction and for a backup.
//!
//! In: the chunks that are wanted. Out: new packs that hold them and nothing else, synced.
//!
//! Invariants:
//! * Every chunk is checked on its way; a damaged one ends the copy.
//! * A frame of which everything is wanted is copied as it is; another is compressed anew.

use super::chunks::{ChunkStore, FrameCache};
use super::frame::{self, Frame, FrameBuilder, FrameEntry, Head};
use super::pack::{Pack, read_record};
use super::shelf::{FramePlace, Shelf};
use super::tier::{Decoder, Encoder};
use crate::error::{Error, Result};
use crate::hash::{Hash, to_hex};
use crate::merkle::leaf_hash;
use crate::store::{Directory, StoredFile};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// Frames that are to be copied, in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct CopyPlan {
    frames: Vec<(FramePlace, Arc<dyn StoredFile>)>,
    /// The chunks that are wanted.
    wanted: HashSet<Hash>,
}

impl CopyPlan {
    /// Plans to copy the wanted chunks that stand in packs which `is_source` picks.
    ///
    /// Errors: `IntegrityError` for one that is not on the shelf.
    pub fn new(
        shelf: &Shelf,
        wanted: HashSet<Hash>,
        is_source: impl Fn(u32) -> bool,
    ) -> Result<CopyPlan> {
        let mut frames = HashMap::new();
        let mut chosen = HashSet::new();
        for address in wanted {
            let found = shelf.find(&address).ok_or_else(|| {
                Error::integrity(format!("chunk {} is missing from blobs/", to_hex(&address)))
            })?;
            let (place, frame, file) = found;
            if is_source(frame.pack) {
                frames.insert(place.frame, (frame, file));
                chosen.insert(address);
            }
        }
        let mut frames: Vec<_> = frames.into_values().collect();
        frames.sort_unstable_by_key(|(frame, _)| (frame.pack, frame.offset));
        Ok(CopyPlan { frames, wanted: chosen })
    }

    /// Tells whether there is nothing to copy.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Copies what is planned.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn run(mut self, from: &ChunkStore, to: &mut NewPacks<'_>) -> Result<()> {
        let mut decoder = Decoder::new()?;
        for (place, file) in std::mem::take(&mut self.frames) {
            let record = read_record(&*file, place.offset, place.record_bytes)?;
            let kept = record.clone();
            let (head, raw) = frame::decode(record, &mut decoder, from.protection())?;
            let builder = self.pick(from, &head, &raw)?;
            let is_whole = builder.entries.len() == head.entries.len();
            to.append(match is_whole {
                true => Frame { head, record: kept },
                false => rebuild(builder, &head, from)?,
            })?;
        }
        Ok(())
    }

    /// Gathers the wanted chunks of a frame, once each, and checks them.
    fn pick(&mut self, from: &ChunkStore, head: &Head, raw: &[u8]) -> Result<FrameBuilder> {
        let mut builder = FrameBuilder::default();
        let mut rest = raw;
        for FrameEntry { address, bytes } in &head.entries {
            let (chunk, after) = rest.split_at_checked(*bytes as usize).unwrap_or((rest, &[]));
            rest = after;
            if !self.wanted.remove(address) {
                continue;
            }
            if from.address(&leaf_hash(chunk)) != *address {
                return Err(Error::integrity(format!(
                    "chunk {} is damaged: its content is not what it was",
                    to_hex(address)
                )));
            }
            builder.push(*address, chunk);
        }
        Ok(builder)
    }
}

fn rebuild(mut builder: FrameBuilder, head: &Head, from: &ChunkStore) -> Result<Frame> {
    builder.finish(&mut Encoder::new(head.tier)?, from.protection())
}

/// The heads of a pack's frames, with their offsets.
type FramesAt = Vec<(u64, Head)>;

/// Packs that are being written, of which nobody knows yet.
pub(super) struct NewPacks<'n> {
    directory: Directory,
    next_number: &'n mut dyn FnMut() -> Result<u32>,
    /// Each pack, and where its frames are.
    pub packs: Vec<(u32, Pack, FramesAt)>,
}

impl<'n> NewPacks<'n> {
    /// Will write packs into a directory, with the numbers that it is given.
    pub fn new(
        directory: &Directory,
        next_number: &'n mut dyn FnMut() -> Result<u32>,
    ) -> NewPacks<'n> {
        NewPacks { directory: directory.clone(), next_number, packs: Vec::new() }
    }

    fn append(&mut self, frame: Frame) -> Result<()> {
        if !self.packs.last().is_some_and(|(_, pack, _)| pack.takes_more()) {
            let number = (self.next_number)()?;
            self.packs.push((number, Pack::create(&self.directory, number)?, Vec::new()));
        }
        if let Some((_, pack, frames)) = self.packs.last_mut() {
            let offset = pack.append(&frame.record)?;
            frames.push((offset, frame.head));
        }
        Ok(())
    }

    /// Returns once everything is on the disk.
    ///
    /// Errors: `StorageError`.
    pub fn sync(&mut self) -> Result<()> {
        for (_, pack, _) in &mut self.packs {
            pack.file.sync().map_err(|error| Error::storage("sync a pack", error))?;
            pack.synced_bytes = pack.end_bytes;
        }
        Ok(())
    }

    /// Returns how many bytes they have.
    pub fn len_bytes(&self) -> u64 {
        self.packs.iter().map(|(_, pack, _)| pack.end_bytes).sum()
    }

    /// Removes them again; what cannot be removed stays.
    pub fn remove(self) {
        for (number, ..) in self.packs {
            let _gone_or_not = self.directory.remove(&super::pack::name_of(number));
        }
    }
}

impl ChunkStore {
    /// Copies chunks into another directory, and returns how many bytes that are.
    ///
    /// Cost: every frame that holds one is read, decoded and hashed.
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn copy_to(&self, directory: &Directory, leaves: &[Hash]) -> Result<u64> {
        let wanted = leaves.iter().map(|leaf| self.address(leaf)).collect();
        let plan = CopyPlan::new(&*self.shelf()?, wanted, |_| true)?;
        let mut last_number = 0;
        let mut next_number = || {
            last_number += 1;
            Ok(last_number)
        };
        let mut packs = NewPacks::new(directory, &mut next_number);
        plan.run(self, &mut packs).and_then(|()| packs.sync())?;
        Ok(packs.len_bytes())
    }

    /// Reads a whole chunk.
    ///
    /// Errors: as `with_chunk`.
    pub fn chunk(&self, leaf: &Hash, cache: &mut FrameCache) -> Result<Vec<u8>> {
        self.with_chunk(leaf, cache, <[u8]>::to_vec)
    }
}
