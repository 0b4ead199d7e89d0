//! Chunks copied from packs into new packs: for a compaction and for a backup.
//!
//! In: the chunks that are wanted. Out: new packs that hold them and nothing else, synced; and those that
//! cannot be copied, each with its reason.
//!
//! Invariants:
//! * Every chunk is checked on its way; a damaged one is not copied, and keeps no other from being copied.
//! * A frame of which everything is wanted is copied as it is; another is compressed anew.

use super::chunks::{ChunkStore, FrameCache, changed, missing};
use super::frame::{self, Frame, FrameBuilder, FrameEntry, Head};
use super::pack::{Pack, read_record};
use super::shelf::{FramePlace, Shelf};
use super::tier::{Decoder, Encoder};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::merkle::leaf_hash;
use crate::store::{Directory, StoredFile};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A frame: its number, where it stands, and in which file.
type Source = (u32, FramePlace, Arc<dyn StoredFile>);

/// Chunks that cannot be copied.
#[derive(Debug, Default)]
pub(crate) struct Uncopied {
    /// The names of the chunks, each with what is wrong.
    pub reasons: HashMap<Hash, Arc<Error>>,
    /// The packs that they stand in; one that is missing stands in none.
    pub packs: BTreeSet<u32>,
}

impl Uncopied {
    /// Notes chunks that are in no pack.
    pub fn note_missing(&mut self, addresses: impl IntoIterator<Item = Hash>) {
        let reason = Arc::new(missing());
        self.reasons.extend(addresses.into_iter().map(|it| (it, Arc::clone(&reason))));
    }

    /// Notes chunks that stand in a pack and are damaged.
    fn note(&mut self, pack: u32, addresses: impl IntoIterator<Item = Hash>, error: Error) {
        let reason = Arc::new(error);
        self.reasons.extend(addresses.into_iter().map(|it| (it, Arc::clone(&reason))));
        self.packs.insert(pack);
    }
}

/// Frames that are to be copied, in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct CopyPlan {
    frames: Vec<Source>,
    /// The chunks that are wanted, and the frame that each is taken from.
    wanted: HashMap<Hash, u32>,
}

impl CopyPlan {
    /// Plans to copy the wanted chunks that stand in packs which `is_source` picks. One that is on no shelf is
    /// passed over.
    pub fn new(shelf: &Shelf, wanted: HashSet<Hash>, is_source: impl Fn(u32) -> bool) -> CopyPlan {
        let (mut frames, mut chosen) = (HashMap::new(), HashMap::new());
        for address in wanted {
            let Some((place, frame, file)) = shelf.find(&address) else { continue };
            if is_source(frame.pack) {
                frames.insert(place.frame, (place.frame, frame, file));
                chosen.insert(address, place.frame);
            }
        }
        let mut frames: Vec<_> = frames.into_values().collect();
        frames.sort_unstable_by_key(|(_, frame, _)| (frame.pack, frame.offset));
        CopyPlan { frames, wanted: chosen }
    }

    /// Tells whether there is nothing to copy.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Copies what is planned, and returns what of it cannot be copied.
    ///
    /// Errors: `StorageError` when the new packs cannot be written.
    pub fn run(mut self, from: &ChunkStore, to: &mut NewPacks<'_>) -> Result<Uncopied> {
        let (mut decoder, mut uncopied) = (Decoder::new()?, Uncopied::default());
        for source in std::mem::take(&mut self.frames) {
            let (number, place, file) = &source;
            let read = read_record(&**file, place.offset, place.record_bytes).and_then(|record| {
                let kept = record.clone();
                Ok((kept, frame::decode(record, &mut decoder, from.protection())?))
            });
            match read {
                Ok((record, (head, raw))) => {
                    let builder = self.pick(from, &source, (&head, &raw), &mut uncopied);
                    if builder.entries.len() == head.entries.len() {
                        to.append(Frame { head, record })?;
                    } else if !builder.entries.is_empty() {
                        to.append(rebuild(builder, &head, from)?)?;
                    }
                }
                Err(error) => {
                    let lost = self.wanted.iter().filter(|(_, frame)| *frame == number);
                    uncopied.note(place.pack, lost.map(|(address, _)| *address), error);
                }
            }
        }
        Ok(uncopied)
    }

    /// Gathers the chunks that are wanted of a frame, and checks them.
    fn pick(
        &mut self,
        from: &ChunkStore,
        (number, place, _): &Source,
        (head, raw): (&Head, &[u8]),
        uncopied: &mut Uncopied,
    ) -> FrameBuilder {
        let mut builder = FrameBuilder::default();
        for (FrameEntry { address, .. }, _, chunk) in head.chunks(raw) {
            if self.wanted.get(address) != Some(number) {
                continue;
            }
            self.wanted.remove(address);
            match from.address(&leaf_hash(chunk)) == *address {
                true => builder.push(*address, chunk),
                false => uncopied.note(place.pack, [*address], changed()),
            }
        }
        builder
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
    /// Will write packs into a directory, with the numbers that it is given; when it asks for one, the packs
    /// before are synced.
    pub fn new(
        directory: &Directory,
        next_number: &'n mut dyn FnMut() -> Result<u32>,
    ) -> NewPacks<'n> {
        NewPacks { directory: directory.clone(), next_number, packs: Vec::new() }
    }

    fn append(&mut self, frame: Frame) -> Result<()> {
        if !self.packs.last().is_some_and(|(_, pack, _)| pack.takes_more()) {
            self.sync()?;
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
        let unsynced = |pack: &Pack| pack.synced_bytes < pack.end_bytes;
        for (_, pack, _) in self.packs.iter_mut().filter(|(_, pack, _)| unsynced(pack)) {
            pack.file.sync().map_err(|error| Error::storage("sync a pack", error))?;
            pack.synced_bytes = pack.end_bytes;
        }
        Ok(())
    }

    /// Removes them again; what cannot be removed stays.
    pub fn remove(self) {
        for (number, ..) in self.packs {
            let _gone_or_not = self.directory.remove(&super::pack::name_of(number));
        }
    }
}

impl ChunkStore {
    /// Copies chunks into another directory, and returns those that cannot be copied.
    ///
    /// Cost: every frame that holds one is read, decoded and hashed.
    /// Errors: `StorageError` when the copy cannot be written.
    pub fn copy_to(&self, directory: &Directory, leaves: &[Hash]) -> Result<Uncopied> {
        let wanted: HashSet<Hash> = leaves.iter().map(|leaf| self.address(leaf)).collect();
        let (plan, missing) = {
            let shelf = self.shelf()?;
            let missing = shelf.missing_of(&wanted);
            (CopyPlan::new(&shelf, wanted, |_| true), missing)
        };
        let mut last_number = 0;
        let mut next_number = || {
            last_number += 1;
            Ok(last_number)
        };
        let mut packs = NewPacks::new(directory, &mut next_number);
        let mut uncopied = plan.run(self, &mut packs)?;
        packs.sync()?;
        uncopied.note_missing(missing);
        Ok(uncopied)
    }

    /// Reads a whole chunk.
    ///
    /// Errors: as `with_chunk`.
    pub fn chunk(&self, leaf: &Hash, cache: &mut FrameCache) -> Result<Vec<u8>> {
        self.with_chunk(leaf, cache, <[u8]>::to_vec)
    }
}
