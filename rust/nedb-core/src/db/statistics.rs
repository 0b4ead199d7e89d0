//! What a database has done since it was opened, counted.
//!
//! In: batches, syncs. Out: numbers of one moment, for whoever watches a server.
//!
//! Invariants:
//! * Counting adds to atomics, relaxed, once for each batch and each sync, and reads the time twice for a sync:
//!   no write waits for it. The cache counts under the lock that a look-up takes anyway.
//! * The numbers of one answer may be some commits apart: each is right, together they are no snapshot.

use crate::db::database::Database;
use crate::engine::Distribution;
use crate::op::Seq;

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

impl Database {
    /// Returns what the database has done since it was opened, through this handle and its clones.
    ///
    /// Cost: some forty loads, and a short lock for each part of the cache. A closed database answers too.
    pub fn statistics(&self) -> Statistics {
        let engine = &self.inner.engine;
        let counters = engine.counters();
        let (cache_hit_count, cache_miss_count, cache_held_bytes) = engine.cache_counts();
        Statistics {
            seq: engine.seq(),
            durable_seq: engine.durable_seq(),
            batch_ops: counters.batch_ops(),
            written_bytes: counters.written_bytes(),
            sync_us: counters.sync_us(),
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
        assert_eq!(counted.written_bytes, database.inner.engine.read().unwrap().log.len_bytes());
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
