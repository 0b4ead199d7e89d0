//! What a host that serves others asks: where the log stands, how many documents it holds, and when it moves.
//!
//! In: listeners. Out: a call to each of them after every commit; counts of documents.
//!
//! Invariants:
//! * A listener is told of a seq only when its op is visible, and after the locks that readers share are
//!   let go of; seqs come in order, each commit's last one once.
//! * A subscription that was dropped is told of nothing that is committed afterwards.

use crate::db::database::Database;
use crate::engine::{Receipt, Subscription};
use crate::error::{Error, Result};
use crate::op::Seq;
use std::sync::Arc;

impl Database {
    /// Calls `listener` with the seq of the last op after every commit, until the subscription is dropped.
    ///
    /// One commit may be of several ops: whoever wants each reads `op` from the last one it has seen. The
    /// listener runs in the thread that writes, so it must be quick, and it must not call the database,
    /// nor end a subscription.
    pub fn subscribe(&self, listener: impl Fn(Seq) + Send + Sync + 'static) -> Subscription {
        self.inner.engine.subscribe(move |committed| listener(committed.seq))
    }

    /// Returns the seq and the hash of the last op, of one moment; -1 and 64 zeros before the first.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn position(&self) -> Result<Receipt> {
        let state = self.inner.engine.read()?;
        Ok(Receipt { seq: state.views.seq, hash: state.head.clone() })
    }

    /// Returns why the last write did not come into the log, or may not have; None once one has.
    ///
    /// After a `StorageError` writes are tried again as they come. After `CommitUnknown` the database must be opened
    /// again.
    ///
    /// Cost: a load; it waits for nobody who writes.
    pub fn write_trouble(&self) -> Option<Arc<Error>> {
        self.inner.engine.write_trouble()
    }

    /// Tries whether writes would be taken again after one that was refused with `StorageError`, without one: then
    /// there is no trouble any more.
    ///
    /// Cost: a small file is written, synced and removed. Errors: `StorageError`, `DatabaseClosed`; `CommitUnknown`
    /// after a write of which nobody knows whether it is there: open the database again.
    pub fn probe_writes(&self) -> Result<()> {
        self.inner.engine.check_open()?;
        self.inner.engine.check_is_known()?;
        self.inner.engine.probe_writes()
    }

    /// Returns the collections that hold a document, each with how many, in order of creation.
    ///
    /// Cost: one step for each document that has expired and is not swept yet.
    /// Errors: `DatabaseClosed`.
    pub fn document_counts(&self) -> Result<Vec<(String, u64)>> {
        let names = self.collections()?;
        let now_seconds = self.inner.options.clock.now_seconds();
        let state = self.inner.engine.read()?;
        let documents = &state.views.documents;
        let mut expired_counts = vec![0_u64; documents.collection_count() as usize];
        for (collection, _) in state.views.expiry.due(now_seconds) {
            if let Some(count) = expired_counts.get_mut(collection as usize) {
                *count += 1;
            }
        }
        let counted = |name: String| {
            let collection = documents.collection(&name)?;
            let expired = expired_counts.get(collection as usize).copied().unwrap_or_default();
            let count = (documents.live_count(collection) as u64).saturating_sub(expired);
            (count > 0).then_some((name, count))
        };
        Ok(names.into_iter().filter_map(counted).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::db::{Options, WriteOptions};
    use parking_lot::Mutex;
    use std::sync::Barrier;

    fn put(database: &Database, id: &str) {
        database.put("c", id, "{}", &WriteOptions::default()).unwrap();
    }

    fn collect(database: &Database) -> (Arc<Mutex<Vec<Seq>>>, Subscription) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&seen);
        let subscription = database.subscribe(move |seq| listener.lock().push(seq));
        (seen, subscription)
    }

    #[test]
    fn a_listener_is_told_of_every_commit_until_it_leaves() {
        let database = Database::in_memory(Options::default()).unwrap();
        put(&database, "before");
        let (seen, subscription) = collect(&database);
        let (others, _kept) = collect(&database);
        put(&database, "a");
        database
            .put_many(
                "c",
                &[("b".into(), "{}".into()), ("c".into(), "{}".into())],
                &WriteOptions::default(),
            )
            .unwrap();
        assert_eq!(*seen.lock(), [1, 3]);
        drop(subscription);
        put(&database, "after");
        assert_eq!(*seen.lock(), [1, 3]);
        assert_eq!(*others.lock(), [1, 3, 4]);
    }

    #[test]
    fn a_refused_write_tells_nobody() {
        let database = Database::in_memory(Options::default()).unwrap();
        let (seen, _kept) = collect(&database);
        let if_absent = WriteOptions { if_seq: Some(5), ..WriteOptions::default() };
        database.put("c", "a", "{}", &if_absent).unwrap_err();
        assert!(seen.lock().is_empty());
        assert_eq!(database.statistics().batch_ops.count(), 0);
    }

    #[test]
    fn a_subscription_may_outlive_its_database() {
        let database = Database::in_memory(Options::default()).unwrap();
        let (seen, subscription) = collect(&database);
        drop(database);
        drop(subscription);
        assert!(seen.lock().is_empty());
    }

    #[test]
    fn on_a_disk_what_is_told_is_visible_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path(), Options::default()).unwrap();
        let (seen, _kept) = collect(&database);
        let (thread_count, put_count) = (4, 25);
        let barrier = Barrier::new(thread_count);
        std::thread::scope(|scope| {
            for thread in 0..thread_count {
                let (database, barrier, seen) = (&database, &barrier, &seen);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..put_count {
                        put(database, &format!("{thread}-{number}"));
                        let told = seen.lock().last().copied().unwrap_or(-1);
                        assert!(database.op(told).unwrap().is_some() || told == -1);
                    }
                });
            }
        });
        let seen = seen.lock();
        let op_count = thread_count * put_count;
        assert!(seen.is_sorted_by(|left, right| left < right), "{seen:?}");
        assert_eq!(seen.last(), Some(&(op_count as Seq - 1)));
        let counts = database.statistics();
        let batch_ops = &counts.batch_ops;
        assert_eq!((batch_ops.sum, batch_ops.count()), (op_count as u64, seen.len() as u64));
        let log_bytes = std::fs::metadata(directory.path().join("log.aof")).unwrap().len();
        assert_eq!(counts.written_bytes, log_bytes);
    }

    #[test]
    fn position_is_seq_and_head_of_one_moment() {
        let database = Database::in_memory(Options::default()).unwrap();
        assert_eq!(database.position().unwrap(), Receipt { seq: -1, hash: "0".repeat(64) });
        put(&database, "a");
        assert_eq!(database.position().unwrap(), Receipt { seq: 0, hash: database.head() });
        database.close().unwrap();
        assert!(database.position().is_err());
    }

    #[test]
    fn counts_leave_out_what_is_deleted_or_has_expired() {
        let clock = Arc::new(ManualClock::new(1000.0));
        let options = Options { clock: Arc::clone(&clock) as _, ..Options::default() };
        let database = Database::in_memory(options).unwrap();
        let plain = WriteOptions::default();
        let short = WriteOptions { ttl_seconds: Some(5.0), ..WriteOptions::default() };
        database.put("b", "1", "{}", &plain).unwrap();
        database.put("a", "1", "{}", &plain).unwrap();
        database.put("a", "2", "{}", &short).unwrap();
        database.put("short", "1", "{}", &short).unwrap();
        database.put("gone", "1", "{}", &plain).unwrap();
        database.delete("gone", "1", &plain).unwrap();
        let counts = |expected: &[(&str, u64)]| {
            let expected: Vec<_> =
                expected.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            assert_eq!(database.document_counts().unwrap(), expected);
        };
        counts(&[("b", 1), ("a", 2), ("short", 1)]);
        clock.set(1005.0);
        counts(&[("b", 1), ("a", 1)]);
        database.sweep().unwrap();
        counts(&[("b", 1), ("a", 1)]);
    }
}
