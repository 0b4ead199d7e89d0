//! What nothing refers to any more, given back.
//!
//! In: the leaves that ops refer to. Out: packs without anything else, and a report.
//!
//! A crash between the bytes of a file and its op, or a put that failed, leaves chunks that no op refers to.
//! Packs that hold any are *condemned*: what is referred to in them is copied into new packs, which are
//! synced, and only then are they removed.
//!
//! Invariants:
//! * Whenever a crash comes, every chunk that is referred to is in a pack: twice, maybe, and never not at
//!   all.
//! * What a put under way relies on is kept, also where it begins to after the compaction did.
//! * Readers go on: who has found a chunk holds its file open.
//! * If a chunk that is referred to is missing or damaged, nothing is removed.

use super::chunks::ChunkStore;
use super::copy::{CopyPlan, NewPacks};
use super::pack::name_of;
use super::shelf::Shelf;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::store::BLOBS_NAME;
use hashbrown::{HashMap, HashSet};

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// How many chunks are referred to, those that list other chunks included.
    pub kept_chunk_count: u64,
    /// How many were not, and are gone.
    pub removed_chunk_count: u64,
    /// How many packs were replaced.
    pub rewritten_pack_count: u64,
    /// The length of all packs before, in bytes.
    pub before_bytes: u64,
    /// The length of all packs now.
    pub after_bytes: u64,
}

impl CompactReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let CompactReport { kept_chunk_count, removed_chunk_count, rewritten_pack_count, .. } =
            self;
        format!(
            "{{\"after_bytes\":{},\"before_bytes\":{},\"kept_chunk_count\":{kept_chunk_count},\
             \"removed_chunk_count\":{removed_chunk_count},\
             \"rewritten_pack_count\":{rewritten_pack_count}}}",
            self.after_bytes, self.before_bytes
        )
    }
}

impl ChunkStore {
    /// Removes the chunks that are not among the leaves that `live` returns.
    ///
    /// `live` is called after the store has begun to note what puts rely on, so that what becomes
    /// referred to meanwhile is in one of both.
    ///
    /// Cost: the packs that hold something to remove are read and written.
    /// Errors: what `live` returns; `StorageError`; `IntegrityError` when a chunk that is referred to is
    /// missing or damaged, and nothing is removed then.
    pub fn compact(&self, live: impl FnOnce() -> Result<Vec<Hash>>) -> Result<CompactReport> {
        let _one_at_a_time = self.compacting.lock();
        self.shelf()?.begin_keeping();
        let outcome = live().and_then(|live| {
            let live = live.iter().map(|leaf| self.address(leaf)).collect();
            self.compact_to(live)
        });
        self.shelf()?.end_keeping();
        outcome
    }

    fn compact_to(&self, live: HashSet<Hash>) -> Result<CompactReport> {
        let (condemned, first, before_bytes) = {
            let mut shelf = self.shelf()?;
            let condemned = condemned(&shelf, &live);
            let is_condemned = |pack: u32| condemned.contains(&pack);
            shelf.current = shelf.current.filter(|pack| !is_condemned(*pack));
            let plan = CopyPlan::new(&shelf, live.clone(), is_condemned)?;
            (condemned, plan, len_bytes(&shelf)?)
        };
        let mut to_copy = first;
        loop {
            let mut next_number = || Ok(self.shelf()?.reserve_number());
            let mut packs = NewPacks::new(&self.directory, &mut next_number);
            if let Err(error) = to_copy.run(self, &mut packs).and_then(|()| packs.sync()) {
                packs.remove();
                return Err(error);
            }
            let mut shelf = self.shelf()?;
            take_in(&mut shelf, packs);
            let stragglers = stragglers(&shelf, &condemned);
            to_copy = CopyPlan::new(&shelf, stragglers, |_| true)?;
            if to_copy.is_empty() {
                let removed_chunk_count = self.remove(&mut shelf, &condemned)?;
                return Ok(CompactReport {
                    kept_chunk_count: live.len() as u64,
                    removed_chunk_count,
                    rewritten_pack_count: condemned.len() as u64,
                    before_bytes,
                    after_bytes: len_bytes(&shelf)?,
                });
            }
        }
    }

    /// Removes packs that hold nothing any more that is referred to; nobody can find a chunk meanwhile.
    fn remove(&self, shelf: &mut Shelf, condemned: &[u32]) -> Result<u64> {
        let removed_chunk_count = shelf.forget(condemned);
        for number in condemned {
            self.directory.remove(&name_of(*number))?;
        }
        if !condemned.is_empty() {
            self.directory.sync(BLOBS_NAME)?;
        }
        Ok(removed_chunk_count)
    }
}

/// Returns the packs that hold something nobody refers to, or end with something that is no frame.
fn condemned(shelf: &Shelf, live: &HashSet<Hash>) -> Vec<u32> {
    let mut held_counts = HashMap::<u32, u64>::new();
    for (address, place) in &shelf.chunks {
        if let Some(frame) = shelf.frames.get(place.frame as usize)
            && (live.contains(address) || shelf.is_kept(address))
        {
            *held_counts.entry(frame.pack).or_default() += 1;
        }
    }
    let is_condemned = |number: u32| {
        let held = held_counts.get(&number).copied().unwrap_or(0);
        let is_sound =
            shelf.packs.get(&number).is_some_and(|pack| pack.is_whole && !pack.is_doubtful);
        !is_sound || held != shelf.listed_chunk_count(number)
    };
    shelf.packs.keys().copied().filter(|number| is_condemned(*number)).collect()
}

/// Returns what stands in condemned packs and was pinned since.
fn stragglers(shelf: &Shelf, condemned: &[u32]) -> HashSet<Hash> {
    let stands_there = |address: &&Hash| {
        shelf.find(address).is_some_and(|(_, frame, _)| condemned.contains(&frame.pack))
    };
    shelf.kept().filter(stands_there).copied().collect()
}

fn take_in(shelf: &mut Shelf, packs: NewPacks<'_>) {
    for (number, pack, frames) in packs.packs {
        shelf.add_pack(number, pack);
        for (offset, head) in frames {
            shelf.add_frame(number, offset, &head, true);
        }
    }
}

/// The length of all packs, torn ends included.
fn len_bytes(shelf: &Shelf) -> Result<u64> {
    let reading = |error| Error::storage("read the length of a pack", error);
    shelf.packs.values().map(|pack| pack.file.len_bytes().map_err(reading)).sum()
}
