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
//! * What cannot be judged is kept: a pack in which a chunk that is referred to is damaged; where such a chunk
//!   is missing, packs that hold something that is no frame; where a file's list of chunks cannot be read,
//!   every chunk that may be on it.

use super::chunks::ChunkStore;
use super::copy::{CopyPlan, NewPacks, Uncopied};
use super::pack::name_of;
use super::shelf::Shelf;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::store::BLOBS_NAME;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;

/// What is referred to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub leaves: Vec<Hash>,
    /// The length of the longest file whose list of chunks cannot be read: a chunk that is no longer than it may
    /// be one of its own.
    pub unlisted_bytes: Option<u64>,
}

/// What a compaction did.
#[derive(Debug, Default)]
pub(crate) struct Compaction {
    pub kept_chunk_count: u64,
    pub removed_chunk_count: u64,
    pub rewritten_pack_count: u64,
    /// The length of all packs before, in bytes.
    pub before_bytes: u64,
    /// The length of all packs now.
    pub after_bytes: u64,
    /// What is referred to and missing, or damaged where it would have been copied.
    pub uncopied: Uncopied,
}

impl ChunkStore {
    /// Removes the chunks that are not among the leaves that `live` returns.
    ///
    /// `live` is called after the store has begun to note what puts rely on, so that what becomes
    /// referred to meanwhile is in one of both.
    ///
    /// Cost: the packs that hold something to remove are read and written.
    /// Errors: what `live` returns; `StorageError`.
    pub fn compact(&self, live: impl FnOnce() -> Result<Live>) -> Result<Compaction> {
        self.make_sure()?;
        let _one_at_a_time = self.compacting.lock();
        self.shelf()?.begin_keeping();
        let outcome = live().and_then(|live| self.compact_to(live));
        self.shelf()?.end_keeping();
        outcome
    }

    fn compact_to(&self, live: Live) -> Result<Compaction> {
        let mut live_chunks: HashSet<Hash> =
            live.leaves.iter().map(|leaf| self.address(leaf)).collect();
        let mut report = Compaction::default();
        {
            let shelf = self.shelf()?;
            report.uncopied.note_missing(shelf.missing_of(&live_chunks));
            let may_be_listed = |bytes: u32| live.unlisted_bytes >= Some(u64::from(bytes));
            let doubtful = shelf.chunks.iter().filter(|(_, place)| may_be_listed(place.bytes));
            live_chunks.extend(doubtful.map(|(address, _)| *address));
            report.before_bytes = shelf.len_bytes()?;
        }
        report.kept_chunk_count = (live_chunks.len() - report.uncopied.reasons.len()) as u64;
        let condemned = self.copy_live(live_chunks, &mut report.uncopied)?;
        report.removed_chunk_count = self.remove_once_copied(&condemned)?;
        report.rewritten_pack_count = condemned.len() as u64;
        report.after_bytes = self.shelf()?.len_bytes()?;
        Ok(report)
    }

    /// Copies what is live in condemned packs, and returns those of which all of it was copied.
    fn copy_live(&self, live: HashSet<Hash>, uncopied: &mut Uncopied) -> Result<Vec<u32>> {
        let mut spared = BTreeSet::new();
        loop {
            let (condemned, plan) = {
                let mut shelf = self.shelf()?;
                // What is missing may stand behind something that is no frame.
                let is_judged = |number: &u32| {
                    let is_whole = shelf.packs.get(number).is_some_and(|pack| pack.is_whole);
                    !spared.contains(number) && (is_whole || uncopied.reasons.is_empty())
                };
                let mut condemned = condemned(&shelf, &live);
                condemned.retain(is_judged);
                let is_condemned = |pack: u32| condemned.contains(&pack);
                shelf.current = shelf.current.filter(|pack| !is_condemned(*pack));
                let plan = CopyPlan::new(&shelf, live.clone(), is_condemned);
                (condemned, plan)
            };
            let found = self.copy(plan)?;
            if found.packs.is_empty() {
                return Ok(condemned);
            }
            spared.extend(found.packs);
            uncopied.reasons.extend(found.reasons);
        }
    }

    /// Copies into new packs, which are known from then on; unless something is damaged, which is returned.
    fn copy(&self, plan: CopyPlan) -> Result<Uncopied> {
        let mut written = None;
        let mut next_number = || {
            let mut shelf = self.shelf()?;
            // The one before is synced when a number for the next is asked for.
            written.take().map(|synced| shelf.unlisted.remove(&synced));
            let number = shelf.reserve_number();
            shelf.unlisted.insert(number);
            written = Some(number);
            self.doubt_from(number, 0).map(|()| number)
        };
        let mut packs = NewPacks::new(&self.directory, &mut next_number);
        let copied = plan.run(self, &mut packs);
        match copied.and_then(|uncopied| packs.sync().map(|()| uncopied)) {
            Ok(uncopied) if uncopied.packs.is_empty() => {
                let mut shelf = self.shelf()?;
                take_in(&mut shelf, packs);
                self.note_sure(&shelf);
                Ok(uncopied)
            }
            other => {
                packs.remove();
                other
            }
        }
    }

    /// Copies what was pinned in condemned packs since, and removes them once there is nothing left.
    fn remove_once_copied(&self, condemned: &[u32]) -> Result<u64> {
        loop {
            let mut shelf = self.shelf()?;
            let plan = CopyPlan::new(&shelf, stragglers(&shelf, condemned), |_| true);
            if plan.is_empty() {
                return self.remove(&mut shelf, condemned);
            }
            drop(shelf);
            let damaged = self.copy(plan)?.reasons.into_values().next();
            if let Some(reason) = damaged {
                return Err(Error::new(
                    reason.code(),
                    format!("a chunk that a put has just found cannot be copied: {reason}"),
                ));
            }
        }
    }

    /// Removes packs that hold nothing any more that is referred to; nobody can find a chunk meanwhile.
    fn remove(&self, shelf: &mut Shelf, condemned: &[u32]) -> Result<u64> {
        let may_be_unsynced = |number: &&u32| {
            shelf.packs.get(*number).is_some_and(|pack| pack.unsynced_from().is_some())
        };
        let unsynced: Vec<u32> = condemned.iter().filter(may_be_unsynced).copied().collect();
        shelf.unlisted.extend(unsynced);
        let removed_chunk_count = shelf.forget(condemned);
        for number in condemned {
            self.directory.remove(&name_of(*number))?;
            shelf.unlisted.remove(number);
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
        shelf.unlisted.remove(&number);
        shelf.add_pack(number, pack);
        for (offset, head) in frames {
            shelf.add_frame(number, offset, &head, true);
        }
    }
}
