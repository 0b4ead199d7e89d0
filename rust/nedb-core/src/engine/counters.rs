//! Batches and syncs, counted.
//!
//! Invariants:
//! * Counting adds to atomics, relaxed, once for each batch and each sync, and reads the time twice for a sync:
//!   no write waits for it.

use crate::clock::Stopwatch;
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
pub(crate) struct Counters {
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
    /// Returns how many ops the batches had.
    pub fn batch_ops(&self) -> Distribution {
        self.batch_ops.read()
    }

    /// Returns how long the syncs took, in microseconds.
    pub fn sync_us(&self) -> Distribution {
        self.sync_us.read()
    }

    /// Returns how long the lines were.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
