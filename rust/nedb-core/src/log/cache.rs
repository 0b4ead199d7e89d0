//! Hot document texts of a log on disk, within a byte budget.
//!
//! In: a text that was read or written; the texts of a transaction, whose line was checked whole. Out: the
//! same texts, as long as they stayed hot.
//!
//! A line is checked whole or not at all. Were the texts of a long transaction kept one by one, reading
//! them all would check its line once for each; so they are kept together too.
//!
//! Invariants:
//! * What is held never exceeds the budget by more than one text a shard, and the texts of one transaction.
//! * A text never changes, so an entry is never wrong, only gone.

use crate::op::Seq;
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a text is called: the op that wrote it and its item there.
type Name = (Seq, u32);

/// Locks are held for one look-up; this many keep threads apart.
const SHARD_COUNT: usize = 16;
/// How long somebody waits for a lock that is held for one look-up.
const TAKE_TIMEOUT: Duration = Duration::from_millis(100);
/// What an entry costs beside its text: two table slots and an allocation's header.
const ENTRY_OVERHEAD_BYTES: usize = 80;
/// Transactions take up to this part of the budget: 1 / 2.
const TRANSACTIONS_SHARE: usize = 2;

/// What a transaction wrote, from a line that was checked.
#[derive(Debug)]
pub(crate) struct CheckedTexts {
    /// By item; None for one that is no put.
    texts: Vec<Option<CheckedText>>,
    cost_bytes: usize,
}

/// One document's text, and whose it is.
#[derive(Debug)]
pub(crate) struct CheckedText {
    pub collection: Box<str>,
    pub id: Box<str>,
    pub text: Arc<str>,
}

impl CheckedTexts {
    /// Takes the texts of a transaction, by item.
    pub fn new(texts: Vec<Option<CheckedText>>) -> Self {
        let cost = |it: &CheckedText| it.collection.len() + it.id.len() + it.text.len();
        let cost_bytes = texts.iter().flatten().map(cost).sum::<usize>();
        let cost_bytes = cost_bytes + texts.len() * ENTRY_OVERHEAD_BYTES;
        CheckedTexts { texts, cost_bytes }
    }

    /// Returns what an item wrote.
    pub fn item(&self, item: u32) -> Option<&CheckedText> {
        self.texts.get(item as usize)?.as_ref()
    }
}

/// A cache that gives each entry a second chance before it goes.
#[derive(Debug)]
pub(crate) struct Cache {
    shards: Vec<Mutex<Clock<Name, Arc<str>>>>,
    transactions: Mutex<Clock<Seq, Arc<CheckedTexts>>>,
    /// What transactions take of the budget.
    transactions_bytes: AtomicUsize,
    cache_bytes: usize,
}

impl Cache {
    /// Makes a cache that holds at most `cache_bytes`; 0 holds nothing but the last transaction.
    pub fn new(cache_bytes: usize) -> Self {
        Cache {
            shards: (0..SHARD_COUNT).map(|_| Mutex::default()).collect(),
            transactions: Mutex::default(),
            transactions_bytes: AtomicUsize::new(0),
            cache_bytes,
        }
    }

    /// Returns a text that is held.
    pub fn get(&self, seq: Seq, item: u32) -> Option<Arc<str>> {
        take(self.shard(seq)?)?.get(&(seq, item))
    }

    /// Returns a text that is held, for who would not fetch it: one that is not is not counted.
    pub fn get_if_held(&self, seq: Seq, item: u32) -> Option<Arc<str>> {
        take(self.shard(seq)?)?.get_if_held(&(seq, item))
    }

    /// Returns how many texts were asked for that were held, and how many that were not.
    pub fn counts(&self) -> (u64, u64) {
        let (mut hits, mut misses) = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock();
            hits += shard.hit_count;
            misses += shard.miss_count;
        }
        // Who finds no text of an op looks for the transaction.
        let found_there = self.transactions.lock().hit_count;
        (hits + found_there, misses.saturating_sub(found_there))
    }

    /// Returns how many bytes the texts take that are held.
    pub fn held_bytes(&self) -> usize {
        let texts: usize = self.shards.iter().map(|shard| shard.lock().bytes).sum();
        texts + self.transactions_bytes.load(Ordering::Relaxed)
    }

    /// Holds a text, and lets go of colder ones.
    pub fn insert(&self, seq: Seq, item: u32, text: Arc<str>) {
        let taken_bytes = self.transactions_bytes.load(Ordering::Relaxed);
        let bytes_max = self.cache_bytes.saturating_sub(taken_bytes) / SHARD_COUNT;
        let cost_bytes = text.len() + ENTRY_OVERHEAD_BYTES;
        let Some(shard) = self.shard(seq).filter(|_| cost_bytes <= bytes_max) else { return };
        let Some(mut shard) = take(shard) else { return };
        shard.insert((seq, item), text, cost_bytes);
        shard.evict(bytes_max, 0);
    }

    /// Returns the texts of a transaction that are held.
    pub fn transaction(&self, seq: Seq) -> Option<Arc<CheckedTexts>> {
        take(&self.transactions)?.get(&seq)
    }

    /// Holds the texts of a transaction, and lets go of colder ones; of one at the least, however long.
    pub fn insert_transaction(&self, seq: Seq, texts: Arc<CheckedTexts>) {
        let Some(mut transactions) = take(&self.transactions) else { return };
        let cost_bytes = texts.cost_bytes;
        transactions.insert(seq, texts, cost_bytes);
        transactions.evict(self.cache_bytes / TRANSACTIONS_SHARE, 1);
        self.transactions_bytes.store(transactions.bytes, Ordering::Relaxed);
    }

    fn shard(&self, seq: Seq) -> Option<&Mutex<Clock<Name, Arc<str>>>> {
        self.shards.get(seq.unsigned_abs() as usize % SHARD_COUNT)
    }
}

/// Takes a lock that is held for a moment at the most; None where it is not given back, as in a fork that was taken in
/// that moment: then it is as if nothing were held.
fn take<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    lock.try_lock().or_else(|| lock.try_lock_for(TAKE_TIMEOUT))
}

/// Entries in the order in which they may go, those that were used since spared once (the CLOCK algorithm).
#[derive(Debug)]
struct Clock<K, V> {
    entries: FxHashMap<K, Entry<V>>,
    order: VecDeque<K>,
    bytes: usize,
    hit_count: u64,
    miss_count: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    cost_bytes: usize,
    was_used: bool,
}

impl<K, V> Default for Clock<K, V> {
    fn default() -> Self {
        let (entries, order) = (FxHashMap::default(), VecDeque::new());
        Clock { entries, order, bytes: 0, hit_count: 0, miss_count: 0 }
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Clock<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        let found = self.get_if_held(key);
        self.miss_count += u64::from(found.is_none());
        found
    }

    /// Returns an entry; one that is not held is no miss, since nobody will fetch it now.
    fn get_if_held(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        entry.was_used = true;
        self.hit_count += 1;
        Some(entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V, cost_bytes: usize) {
        let entry = Entry { value, cost_bytes, was_used: false };
        match self.entries.insert(key, entry) {
            Some(replaced) => self.bytes -= replaced.cost_bytes,
            None => self.order.push_back(key),
        }
        self.bytes += cost_bytes;
    }

    /// Lets go of entries, but for so many that stay, until what is left fits.
    fn evict(&mut self, bytes_max: usize, count_min: usize) {
        while self.bytes > bytes_max && self.entries.len() > count_min {
            let Some(key) = self.order.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.order.push_back(key);
                }
                _ => {
                    if let Some(entry) = self.entries.remove(&key) {
                        self.bytes -= entry.cost_bytes;
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
    fn a_cache_without_budget_holds_nothing_but_the_last_transaction() {
        let cache = Cache::new(0);
        cache.insert(1, 0, "x".into());
        assert!(cache.get(1, 0).is_none());
        cache.insert_transaction(2, transaction(10));
        cache.insert_transaction(3, transaction(10));
        assert!(cache.transaction(2).is_none() && cache.transaction(3).is_some());
    }

    fn transaction(bytes: usize) -> Arc<CheckedTexts> {
        let text = "x".repeat(bytes).into();
        let text = CheckedText { collection: "c".into(), id: "1".into(), text };
        Arc::new(CheckedTexts::new(vec![None, Some(text)]))
    }

    #[test]
    fn transactions_take_half_of_the_budget_from_single_texts_and_no_more() {
        let cache = Cache::new(SHARD_COUNT * 1_000);
        let cost_bytes = transaction(700).cost_bytes;
        (0..100).for_each(|seq| cache.insert_transaction(seq, transaction(700)));
        let held = (0..100).filter(|seq| cache.transaction(*seq).is_some()).count();
        assert_eq!(held, SHARD_COUNT * 500 / cost_bytes);
        assert_eq!(cache.transaction(99).unwrap().item(1).unwrap().text.len(), 700);
        assert!(cache.transaction(99).unwrap().item(0).is_none());
        cache.insert(0, 0, "x".repeat(700).into());
        assert!(cache.get(0, 0).is_none(), "half of a shard is taken");
        cache.insert(0, 0, "x".repeat(400).into());
        assert!(cache.get(0, 0).is_some());
    }
}
