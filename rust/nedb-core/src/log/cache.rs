//! Hot document texts of a log on disk, within a byte budget.
//!
//! In: a text that was read or written. Out: the same text, as long as it stayed hot.
//!
//! Invariants:
//! * The texts held never exceed the budget by more than one text a shard.
//! * A text never changes, so an entry is never wrong, only gone.

use crate::op::Seq;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a text is called: the op that wrote it and its item there.
type Name = (Seq, u32);

/// Locks are held for one look-up; this many keep threads apart.
const SHARD_COUNT: usize = 16;
/// What an entry costs beside its text: two table slots and an allocation's header.
const ENTRY_OVERHEAD_BYTES: usize = 80;

/// A cache that gives each text a second chance before it goes (the CLOCK algorithm).
#[derive(Debug)]
pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    shard_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: FxHashMap<Name, Entry>,
    order: VecDeque<Name>,
    bytes: usize,
    hit_count: u64,
    miss_count: u64,
}

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    was_used: bool,
}

impl Cache {
    /// Makes a cache that holds at most `cache_bytes`; 0 holds nothing.
    pub fn new(cache_bytes: usize) -> Self {
        Cache {
            shards: (0..SHARD_COUNT).map(|_| Mutex::default()).collect(),
            shard_bytes_max: cache_bytes / SHARD_COUNT,
        }
    }

    /// Returns a text that is held.
    pub fn get(&self, seq: Seq, item: u32) -> Option<Arc<str>> {
        let mut shard = self.shard(seq)?.lock();
        let found = shard.entries.get_mut(&(seq, item)).map(|entry| {
            entry.was_used = true;
            Arc::clone(&entry.text)
        });
        match found {
            Some(_) => shard.hit_count += 1,
            None => shard.miss_count += 1,
        }
        found
    }

    /// Returns how many texts were asked for that were held, and how many that were not.
    pub fn counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(hits, misses), shard| {
            let shard = shard.lock();
            (hits + shard.hit_count, misses + shard.miss_count)
        })
    }

    /// Holds a text, and lets go of colder ones.
    pub fn insert(&self, seq: Seq, item: u32, text: Arc<str>) {
        let cost = text.len() + ENTRY_OVERHEAD_BYTES;
        let Some(shard) = self.shard(seq).filter(|_| cost <= self.shard_bytes_max) else { return };
        let mut shard = shard.lock();
        let entry = Entry { text, was_used: false };
        if shard.entries.insert((seq, item), entry).is_none() {
            shard.order.push_back((seq, item));
            shard.bytes += cost;
        }
        shard.evict(self.shard_bytes_max);
    }

    fn shard(&self, seq: Seq) -> Option<&Mutex<Shard>> {
        self.shards.get(seq.unsigned_abs() as usize % SHARD_COUNT)
    }
}

impl Shard {
    fn evict(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(name) = self.order.pop_front() else { return };
            match self.entries.get_mut(&name) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.order.push_back(name);
                }
                _ => {
                    if let Some(entry) = self.entries.remove(&name) {
                        self.bytes -= entry.text.len() + ENTRY_OVERHEAD_BYTES;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_a_used_text_outlives_an_unused_one() {
        let cache = Cache::new(SHARD_COUNT * 1_000);
        let text: Arc<str> = "x".repeat(100).into();
        // All of these fall into one shard.
        let seqs: Vec<Seq> = (0..20).map(|n| n * SHARD_COUNT as Seq).collect();
        cache.insert(0, 0, text.clone());
        for seq in &seqs[1..] {
            assert!(cache.get(0, 0).is_some(), "the used text is kept");
            cache.insert(*seq, 0, text.clone());
        }
        let held = seqs.iter().filter(|seq| cache.get(**seq, 0).is_some()).count();
        assert_eq!(held, 1_000 / 180);
        let (hit_count, miss_count) = cache.counts();
        assert_eq!((hit_count, miss_count), (19 + held as u64, 20 - held as u64));
    }

    #[test]
    fn a_cache_without_budget_holds_nothing() {
        let cache = Cache::new(0);
        cache.insert(1, 0, "x".into());
        assert!(cache.get(1, 0).is_none());
    }
}
