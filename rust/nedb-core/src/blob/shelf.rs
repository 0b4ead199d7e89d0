//! Which chunk stands where, and who relies on it.
//!
//! In: the heads of frames. Out: places. It touches no file.
//!
//! Invariants:
//! * Of two copies of a chunk the index knows one; those that were found besides are kept until somebody
//!   has looked which is right.
//! * A chunk that somebody who is writing a file relies on is pinned until that file's op stands or has
//!   failed: a compaction keeps it.

use super::frame::Head;
use super::pack::Pack;
use super::synced::PackPlace;
use crate::hash::Hash;
use crate::op::Tier;
use crate::store::StoredFile;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct FramePlace {
    pub offset: u64,
    pub pack: u32,
    pub record_bytes: u32,
    pub tier: Tier,
}

/// Where a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkPlace {
    /// The frame's number.
    pub frame: u32,
    /// Its first byte among the frame's.
    pub start: u32,
    pub bytes: u32,
    /// Whether this handle wrote it or has seen that its content is right.
    pub is_checked: bool,
}

/// Everything that is known of the packs.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub packs: BTreeMap<u32, Pack>,
    pub frames: Vec<FramePlace>,
    pub chunks: HashMap<Hash, ChunkPlace>,
    /// The pack that frames are appended to.
    pub current: Option<u32>,
    /// Copies that were found besides those that the index knows.
    copies: Vec<(Hash, ChunkPlace)>,
    /// What each put that is under way relies on.
    pins: HashMap<u64, Vec<Hash>>,
    next_put: u64,
    /// The highest number that a pack has or will have.
    last_number: u32,
    /// How many chunks the frames of each pack list.
    listed: BTreeMap<u32, u64>,
    /// What was pinned since a compaction began.
    kept: Option<HashSet<Hash>>,
    /// How often a sync has failed.
    pub failed_sync_count: u64,
    /// Packs that are not among `packs` and may not be on the disk: a compaction writes them, or has failed to
    /// write or to remove them.
    pub unlisted: BTreeSet<u32>,
}

impl Shelf {
    /// Takes in a frame; `replaces` says that its chunks stand for those that are known already.
    pub fn add_frame(&mut self, pack: u32, offset: u64, head: &Head, replaces: bool) {
        let frame = self.frames.len() as u32;
        let record_bytes = head.record_bytes() as u32;
        self.frames.push(FramePlace { offset, pack, record_bytes, tier: head.tier });
        *self.listed.entry(pack).or_default() += head.entries.len() as u64;
        let mut start = 0;
        for entry in &head.entries {
            let bytes = entry.bytes;
            let place = ChunkPlace { frame, start, bytes, is_checked: replaces };
            start += bytes;
            if replaces {
                self.chunks.insert(entry.address, place);
            } else if *self.chunks.entry(entry.address).or_insert(place) != place {
                self.copies.push((entry.address, place));
            }
        }
    }

    /// Returns where a chunk stands, its frame, and the file to read it from.
    pub fn find(&self, address: &Hash) -> Option<(ChunkPlace, FramePlace, Arc<dyn StoredFile>)> {
        let place = *self.chunks.get(address)?;
        let frame = *self.frames.get(place.frame as usize)?;
        let pack = self.packs.get(&frame.pack)?;
        Some((place, frame, Arc::clone(&pack.file)))
    }

    /// Returns those of some chunks that stand nowhere.
    pub fn missing_of(&self, wanted: &HashSet<Hash>) -> Vec<Hash> {
        wanted.iter().filter(|address| self.find(address).is_none()).copied().collect()
    }

    /// Takes out every chunk of which several copies were found, with all of them, in the order in which they
    /// stand.
    pub fn take_copies(&mut self) -> Vec<(Hash, ChunkPlace)> {
        let mut all = std::mem::take(&mut self.copies);
        let known: HashSet<Hash> = all.iter().map(|(address, _)| *address).collect();
        let first = |address: Hash| Some((address, *self.chunks.get(&address)?));
        all.extend(known.into_iter().filter_map(first));
        all.sort_unstable_by_key(|(_, place)| (place.frame, place.start));
        all
    }

    /// Lets the index know a copy whose content is right.
    pub fn prefer(&mut self, address: Hash, place: ChunkPlace) {
        self.chunks.insert(address, ChunkPlace { is_checked: true, ..place });
    }

    /// Returns a frame, and the file to read it from.
    pub fn frame(&self, number: u32) -> Option<(FramePlace, Arc<dyn StoredFile>)> {
        let frame = *self.frames.get(number as usize)?;
        Some((frame, Arc::clone(&self.packs.get(&frame.pack)?.file)))
    }

    /// Notes that a chunk's content is right, where it stands as it stood.
    pub fn note_checked(&mut self, address: &Hash, seen: ChunkPlace) {
        if let Some(place) = self.chunks.get_mut(address).filter(|place| **place == seen) {
            place.is_checked = true;
        }
    }

    /// Begins a put, and returns its number.
    pub fn begin_put(&mut self) -> u64 {
        self.next_put += 1;
        self.pins.insert(self.next_put, Vec::new());
        self.next_put
    }

    /// Pins a chunk for a put.
    pub fn pin(&mut self, put: u64, address: Hash) {
        if let Some(pins) = self.pins.get_mut(&put) {
            pins.push(address);
        }
        if let Some(kept) = &mut self.kept {
            kept.insert(address);
        }
    }

    /// Ends a put: its op stands, or never will.
    pub fn end_put(&mut self, put: u64) {
        self.pins.remove(&put);
    }

    /// From now on keeps note of everything that is, or was since, pinned.
    pub fn begin_keeping(&mut self) {
        self.kept = Some(self.pins.values().flatten().copied().collect());
    }

    /// Returns what was pinned since keeping began.
    pub fn kept(&self) -> impl Iterator<Item = &Hash> {
        self.kept.iter().flatten()
    }

    /// Tells whether a chunk was pinned since keeping began.
    pub fn is_kept(&self, address: &Hash) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.contains(address))
    }

    /// Stops keeping note.
    pub fn end_keeping(&mut self) {
        self.kept = None;
    }

    /// Forgets packs, and the chunks that stand in them.
    pub fn forget(&mut self, packs: &[u32]) -> u64 {
        let before = self.chunks.len();
        let frames = &self.frames;
        let is_gone = |frame: u32| {
            frames.get(frame as usize).is_some_and(|frame| packs.contains(&frame.pack))
        };
        self.chunks.retain(|_, place| !is_gone(place.frame));
        for pack in packs {
            self.packs.remove(pack);
        }
        (before - self.chunks.len()) as u64
    }

    /// Forgets the frames of a pack from an offset on, and the chunks that stand in them.
    pub fn forget_from(&mut self, pack: u32, offset: u64) {
        let is_gone = |frame: &FramePlace| frame.pack == pack && frame.offset >= offset;
        let frames = &self.frames;
        self.chunks.retain(|_, place| !frames.get(place.frame as usize).is_some_and(is_gone));
        for frame in self.frames.iter_mut().filter(|frame| is_gone(frame)) {
            frame.record_bytes = 0;
        }
    }

    /// Takes in a pack.
    pub fn add_pack(&mut self, number: u32, pack: Pack) {
        self.last_number = self.last_number.max(number);
        self.packs.insert(number, pack);
    }

    /// Returns a number for a new pack, which nobody else gets.
    pub fn reserve_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    /// Returns the place from which on packs may not be on the disk; where all of them are, the place where the
    /// next frame goes.
    pub fn unsynced_from(&self) -> PackPlace {
        let place = |(number, pack): (&u32, &Pack)| {
            pack.unsynced_from().map(|offset_bytes| PackPlace { pack: *number, offset_bytes })
        };
        let listed = self.packs.iter().filter_map(place);
        let unlisted = self.unlisted.iter().map(|pack| PackPlace { pack: *pack, offset_bytes: 0 });
        let last = self.packs.last_key_value().filter(|(_, pack)| pack.takes_more());
        let end = match last {
            Some((pack, last)) => PackPlace { pack: *pack, offset_bytes: last.end_bytes },
            None => PackPlace { pack: self.last_number.saturating_add(1), offset_bytes: 0 },
        };
        listed.chain(unlisted).min().unwrap_or(end)
    }

    /// Returns how many chunks the frames of a pack list, those that the index knows elsewhere included.
    pub fn listed_chunk_count(&self, pack: u32) -> u64 {
        self.listed.get(&pack).copied().unwrap_or(0)
    }
}
