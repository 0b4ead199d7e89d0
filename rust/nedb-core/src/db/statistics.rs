//! What a database has done since it was opened, counted.
//!
//! In: batches, syncs. Out: numbers of one moment, for whoever watches a server.
//!
//! Invariants:
//! * Counting adds to atomics, relaxed, once for each batch and each sync, and reads the time twice for a sync:
//!   no write waits for it. The cache counts under the lock that a look-up takes anyway.
//! * The numbers of one answer may be some commits apart: each is right, together they are no snapshot.

use super::{Database, Inner};
use crate::clock::Stopwatch;
use crate::op::Seq;
use crate::store::LogStore;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the classes of syncs, in microseconds.
const SYNC_BOUNDS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 10_000_000,
];
/// Upper bounds of the classes of batches, in ops.
const BATCH_BOUNDS_OPS: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024, 4_096, 65_536];

/// What a database has done since it was opened; of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The seq of the last op; -1 for an empty database.
    pub seq: Seq,
    /// The last op that is known to be on the disk.
    pub durable_seq: Seq,
    /// How many ops the batches had that were committed; the count is that of batches, the sum that of ops.
    pub batch_ops: Distribution,
    /// How long the lines of those ops were, in bytes.
    pub written_bytes: u64,
    /// How long each sync of the log took, in microseconds; in memory there are none.
    pub sync_us: Distribution,
    /// How many texts were found in the cache; those of a database in memory are in none.
    pub cache_hit_count: u64,
    /// How many were read from the disk.
    pub cache_miss_count: u64,
    /// How many bytes the texts take that the cache holds.
    pub cache_held_bytes: u64,
}

/// How often values fell into classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The upper bound of each class, which belongs to it; ascending.
    pub bounds: &'static [u64],
    /// How many values fell into each class, and, last, how many above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// Returns how many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The counts behind `Statistics`.
pub(super) struct Counters {
    batch_ops: Classes<{ BATCH_BOUNDS_OPS.len() }>,
    sync_us: Classes<{ SYNC_BOUNDS_US.len() }>,
    written_bytes: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            batch_ops: Classes::new(&BATCH_BOUNDS_OPS),
            sync_us: Classes::new(&SYNC_BOUNDS_US),
            written_bytes: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Counts a batch.
    pub fn committed(&self, op_count: usize, written_bytes: usize) {
        self.batch_ops.add(op_count as u64);
        self.written_bytes.fetch_add(written_bytes as u64, Ordering::Relaxed);
    }

    /// Syncs a log, and counts how long it took, unless it failed.
    pub fn sync(&self, store: &mut dyn LogStore) -> io::Result<()> {
        let watch = Stopwatch::start();
        store.sync()?;
        self.sync_us.add(watch.elapsed_us());
        Ok(())
    }
}

/// Counts of values by class; one more than bounds, for what is above all.
struct Classes<const N: usize> {
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    above_count: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Classes<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Classes { bounds, counts, above_count: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn add(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        let count = self.counts.get(place).unwrap_or(&self.above_count);
        count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self) -> Distribution {
        let all = self.counts.iter().chain([&self.above_count]);
        Distribution {
            bounds: self.bounds,
            counts: all.map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl Database {
    /// Returns what the database has done since it was opened, through this handle and its clones.
    ///
    /// Cost: some forty loads, and a short lock for each part of the cache. A closed database answers too.
    pub fn statistics(&self) -> Statistics {
        let Inner { state, counters, durable_seq, .. } = &*self.inner;
        let (seq, (cache_hit_count, cache_miss_count), cache_held_bytes) = {
            let state = state.read();
            (state.views.seq, state.log.cache_counts(), state.log.cache_held_bytes() as u64)
        };
        Statistics {
            seq,
            durable_seq: durable_seq.load(Ordering::Acquire),
            batch_ops: counters.batch_ops.read(),
            written_bytes: counters.written_bytes.load(Ordering::Relaxed),
            sync_us: counters.sync_us.read(),
            cache_hit_count,
            cache_miss_count,
            cache_held_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Durability, Options, ReadOptions, WriteOptions};

    #[test]
    fn a_value_falls_into_the_class_of_the_first_bound_that_it_does_not_exceed() {
        let classes = Classes::new(&[1, 4, 16]);
        for value in [0, 1, 2, 4, 5, 16, 17, 1_000] {
            classes.add(value);
        }
        let read = classes.read();
        assert_eq!((read.counts.clone(), read.sum), (vec![2, 2, 2, 2], 1_045));
        assert_eq!((read.count(), read.bounds), (8, &[1, 4, 16][..]));
    }

    #[test]
    fn bounds_ascend() {
        assert!(SYNC_BOUNDS_US.is_sorted_by(|left, right| left < right));
        assert!(BATCH_BOUNDS_OPS.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn batches_syncs_and_texts_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Database::open(directory.path(), Options::default()).unwrap();
        let (plain, now) = (WriteOptions::default(), ReadOptions::default());
        let database = open();
        database.put("c", "a", "{}", &plain).unwrap();
        let three: Vec<_> = ["b", "c", "d"].map(|id| (id.to_owned(), "{}".to_owned())).into();
        database.put_many("c", &three, &plain).unwrap();
        let counted = database.statistics();
        assert_eq!((counted.seq, counted.durable_seq), (3, 3));
        assert_eq!((counted.batch_ops.count(), counted.batch_ops.sum), (2, 4));
        assert_eq!(counted.sync_us.count(), 2);
        assert_eq!(counted.written_bytes, database.inner.state.read().log.len_bytes());
        drop(database);
        let database = open();
        assert_eq!(database.statistics().batch_ops.count(), 0);
        for _ in 0..3 {
            database.get("c", "a", &now).unwrap();
        }
        let counted = database.statistics();
        assert_eq!((counted.cache_hit_count, counted.cache_miss_count), (2, 1));
        assert!(counted.cache_held_bytes > 0);
    }

    #[test]
    fn a_sync_is_counted_when_it_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { durability: Durability::Never, ..Options::default() };
        let database = Database::open(directory.path(), options).unwrap();
        database.put("c", "a", "{}", &WriteOptions::default()).unwrap();
        assert_eq!(
            (database.statistics().sync_us.count(), database.statistics().durable_seq),
            (0, -1)
        );
        database.flush().unwrap();
        assert_eq!(
            (database.statistics().sync_us.count(), database.statistics().durable_seq),
            (1, 0)
        );
        let memory = Database::in_memory(Options::default()).unwrap();
        memory.put("c", "a", "{}", &WriteOptions::default()).unwrap();
        assert_eq!(
            (memory.statistics().sync_us.count(), memory.statistics().batch_ops.sum),
            (0, 1)
        );
    }
}
