//! Writes for asynchronous hosts: a task waits for the sync, and no thread does.
//!
//! In: what the verbs of the same names take. Out: futures of what those return, each with its receipt.
//!
//! A write is checked, serialised and hashed on the thread that polls its future, as soon as nothing is in the
//! way; then the task sleeps until its batch is durable. Tasks share batches, and syncs, with threads. The futures
//! belong to no runtime.
//!
//! Dropped before it answered, a future leaves its write done or not done, as a connection does that breaks.

use super::put::{Target, delete_draft, edge_draft, put_draft, stage_put};
use super::transaction::{Steps, canonical_items};
use crate::db::check;
use crate::db::database::Database;
use crate::db::options::WriteOptions;
use crate::engine::Receipt;
use crate::error::Result;
use crate::op::kind;

impl Database {
    /// Writes a document as `put` does, and returns it as stored.
    ///
    /// Errors: as `put`, and `StorageError` when no thread can be started to wait for syncs.
    pub async fn put_later(
        &self,
        collection: &str,
        id: &str,
        document: &str,
        options: &WriteOptions,
    ) -> Result<(String, Receipt)> {
        let checked = check::options(options)?;
        let target = Target::checked(collection, id)?;
        self.inner
            .engine
            .admit_later(|group| {
                let draft = put_draft(&target, document, &checked, group.now_seconds())?;
                let mut stored = String::new();
                let admitted = stage_put(group, draft, &mut stored)?;
                Ok((stored, group.receipt(admitted)?))
            })
            .await
    }

    /// Deletes a document, or says that it is absent, as `delete` does.
    ///
    /// Errors: as `delete` and `put_later`.
    pub async fn delete_later(
        &self,
        collection: &str,
        id: &str,
        options: &WriteOptions,
    ) -> Result<Receipt> {
        check::takes_no(options, kind::DELETE, true)?;
        let checked = check::options(options)?;
        let target = Target::checked(collection, id)?;
        self.inner
            .engine
            .admit_later(|group| {
                let draft = delete_draft(&target, &checked);
                let admitted = group.stage(draft)?;
                group.receipt(admitted)
            })
            .await
    }

    /// Adds an edge as `link` does.
    ///
    /// Errors: as `link` and `put_later`.
    pub async fn link_later(
        &self,
        from: &str,
        relation: &str,
        to: &str,
        options: &WriteOptions,
    ) -> Result<Receipt> {
        self.write_edge_later(kind::LINK, (from, relation, to), options).await
    }

    /// Ends an edge, or says that it is absent, as `unlink` does.
    ///
    /// Errors: as `link` and `put_later`.
    pub async fn unlink_later(
        &self,
        from: &str,
        relation: &str,
        to: &str,
        options: &WriteOptions,
    ) -> Result<Receipt> {
        self.write_edge_later(kind::UNLINK, (from, relation, to), options).await
    }

    /// Does several things as one op, as `batch` does.
    ///
    /// Errors: as `batch` and `put_later`.
    pub async fn batch_later(
        &self,
        items: &str,
        options: &WriteOptions,
    ) -> Result<(Vec<String>, Receipt)> {
        let canonical = canonical_items(items)?;
        let steps = Steps::read(&canonical, options)?;
        let checked = steps.checked(options)?;
        self.inner
            .engine
            .admit_later(|group| {
                let (results, admitted) = checked.stage(group)?;
                Ok((results, group.receipt(admitted)?))
            })
            .await
    }

    async fn write_edge_later(
        &self,
        op: &'static str,
        edge: (&str, &str, &str),
        options: &WriteOptions,
    ) -> Result<Receipt> {
        check::takes_no(options, op, false)?;
        let checked = check::options(options)?;
        check::edge(edge)?;
        self.inner
            .engine
            .admit_later(|group| {
                let draft = edge_draft(op, edge, &checked);
                let admitted = group.stage(draft)?;
                group.receipt(admitted)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::gate::{PATIENCE, Stage, Step, Verdict};
    use crate::db::{Durability, Options, ReadOptions};
    use crate::error::ErrorCode;
    use futures_executor::block_on;
    use futures_util::future::join_all;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Instant;

    type Task<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

    fn put<'t>(db: &'t Database, id: &'t str) -> Task<'t, (String, Receipt)> {
        static NOTHING: std::sync::LazyLock<WriteOptions> =
            std::sync::LazyLock::new(WriteOptions::default);
        Box::pin(db.put_later("c", id, "{}", &NOTHING))
    }

    fn poll_once<T>(task: &mut Task<'_, T>) -> Poll<Result<T>> {
        task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    const ITEMS: &str = r#"[{"op":"put","coll":"c","id":"b","doc":{"n":1}},
        {"op":"delete","coll":"c","id":"a"},{"op":"link","frm":"c:b","rel":"r","to":"c:x"}]"#;

    /// Makes each kind of write, and one that is refused; returns what was answered.
    fn write_as_thread(db: &Database) -> Vec<String> {
        let keyed = WriteOptions { idem: Some("k".to_owned()), ..WriteOptions::default() };
        let nothing = WriteOptions::default();
        let mut answers = vec![db.put("c", "a", r#"{"n":1.50}"#, &keyed).unwrap()];
        answers.push(db.put("c", "a", r#"{"n":2}"#, &keyed).unwrap());
        answers.push(db.link("c:a", "r", "c:x", &nothing).unwrap().to_string());
        answers.push(db.unlink("c:a", "r", "c:x", &nothing).unwrap().to_string());
        answers.extend(db.batch(ITEMS, &keyed.clone_for("k2")).unwrap());
        answers.extend(db.batch(ITEMS, &keyed.clone_for("k2")).unwrap());
        answers.push(db.delete("c", "gone", &nothing).unwrap().to_string());
        answers.push(db.put("c", "a", "[]", &nothing).unwrap_err().to_string());
        answers
    }

    fn write_as_task(db: &Database) -> Vec<String> {
        let keyed = WriteOptions { idem: Some("k".to_owned()), ..WriteOptions::default() };
        let nothing = WriteOptions::default();
        block_on(async {
            let (first, receipt) = db.put_later("c", "a", r#"{"n":1.50}"#, &keyed).await.unwrap();
            let (again, replayed) = db.put_later("c", "a", r#"{"n":2}"#, &keyed).await.unwrap();
            assert_eq!(receipt, replayed, "a key stands for the first op");
            let linked = db.link_later("c:a", "r", "c:x", &nothing).await.unwrap();
            let unlinked = db.unlink_later("c:a", "r", "c:x", &nothing).await.unwrap();
            assert_eq!(unlinked, db.position().unwrap());
            let mut answers = vec![first, again, linked.seq.to_string(), unlinked.seq.to_string()];
            for _ in 0..2 {
                let (results, receipt) =
                    db.batch_later(ITEMS, &keyed.clone_for("k2")).await.unwrap();
                assert_eq!(receipt, db.position().unwrap());
                answers.extend(results);
            }
            answers.push(db.delete_later("c", "gone", &nothing).await.unwrap().seq.to_string());
            answers.push(db.put_later("c", "a", "[]", &nothing).await.unwrap_err().to_string());
            answers
        })
    }

    impl WriteOptions {
        fn clone_for(&self, idem: &str) -> WriteOptions {
            WriteOptions { idem: Some(idem.to_owned()), ..self.clone() }
        }
    }

    #[test]
    fn a_task_writes_what_a_thread_writes() {
        let clock = || Arc::new(crate::clock::ManualClock::new(1.5));
        let options = |durability| Options { clock: clock(), durability, ..Options::default() };
        let by_thread = Database::in_memory(options(Durability::Always)).unwrap();
        let answers = write_as_thread(&by_thread);
        let memory = Database::in_memory(options(Durability::Always)).unwrap();
        assert_eq!(write_as_task(&memory), answers);
        assert_eq!(memory.head(), by_thread.head());
        let interval = Durability::Interval { milliseconds: 1 };
        for durability in [Durability::Always, interval, Durability::Never] {
            let folder = tempfile::tempdir().unwrap();
            let db = Database::open(folder.path(), options(durability)).unwrap();
            assert_eq!(write_as_task(&db), answers);
            assert_eq!(db.head(), by_thread.head());
        }
    }

    #[test]
    fn tasks_of_one_thread_share_syncs() {
        let mut stage = Stage::open(Options::default(), &[Step::Sync]);
        stage.write(|db| block_on(put(db, "first")).map(|(stored, _)| stored));
        let db = stage.db.clone();
        let ids: Vec<String> = (1..1_000).map(|number| format!("d{number}")).collect();
        let mut tasks: Vec<_> = ids.iter().map(|id| put(&db, id)).collect();
        assert!(tasks.iter_mut().all(|task| poll_once(task).is_pending()));
        assert_eq!(stage.places().gathered, 999);
        stage.let_all_go(Verdict::Succeeds);
        let answers = block_on(join_all(tasks));
        let seqs: Vec<i64> = answers.into_iter().map(|answer| answer.unwrap().1.seq).collect();
        assert_eq!(seqs, (1..1_000).collect::<Vec<_>>(), "nothing was in the way of any");
        assert_eq!(db.statistics().batch_ops.counts.iter().sum::<u64>(), 2);
        assert_eq!(db.durable_seq(), 999);
    }

    #[test]
    fn a_thousand_tasks_on_a_thread_are_all_admitted() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path(), Options::default()).unwrap();
        let ids: Vec<String> = (0..1_000).map(|number| format!("d{number}")).collect();
        let answers = block_on(join_all(ids.iter().map(|id| put(&db, id))));
        let mut seqs: Vec<i64> = answers.into_iter().map(|answer| answer.unwrap().1.seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..1_000).collect::<Vec<_>>());
        assert_eq!(db.durable_seq(), 999);
    }

    #[test]
    fn a_task_that_finds_the_writer_held_holds_no_thread() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path(), Options::default()).unwrap();
        let mut waits = put(&db, "a");
        let held = db.inner.engine.hold_writer();
        // This thread holds the writer itself: it would wait for ever.
        assert!(poll_once(&mut waits).is_pending());
        drop(held);
        block_on(waits).unwrap();
        let mut waits = put(&db, "b");
        let held = db.inner.engine.hold_state();
        assert!(poll_once(&mut waits).is_pending());
        drop(held);
        block_on(waits).unwrap();
        assert_eq!(db.seq(), 1);
    }

    /// Notes that a task was woken.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Polls a task while this thread holds the writer, lets the writer go, and waits for the task to be woken.
    fn poll_while_held<T>(db: &Database, task: &mut Task<'_, T>) {
        let woken = Arc::new(Woken::default());
        let held = db.inner.engine.hold_writer();
        let waker = Waker::from(Arc::clone(&woken));
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(held);
        let start = Instant::now();
        while !woken.0.load(Ordering::Acquire) {
            assert!(start.elapsed() < PATIENCE, "nobody waits for the writer");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_task_that_finds_the_writer_of_a_log_in_memory_held_is_woken() {
        let db = Database::in_memory(Options::default()).unwrap();
        let mut waits = put(&db, "a");
        poll_while_held(&db, &mut waits);
        assert!(poll_once(&mut waits).is_ready());
    }

    #[test]
    fn a_task_that_finds_the_writer_held_is_admitted_while_a_batch_of_tasks_syncs() {
        let mut stage = Stage::open(Options::default(), &[Step::Sync]);
        stage.write(|db| block_on(put(db, "a")).map(|(stored, _)| stored));
        assert_eq!(stage.at_gate(), Some(Step::Sync));
        let db = stage.db.clone();
        let mut waits = put(&db, "b");
        poll_while_held(&db, &mut waits);
        assert!(poll_once(&mut waits).is_pending());
        assert_eq!((stage.at_gate(), stage.places().gathered), (Some(Step::Sync), 1));
    }

    #[test]
    fn a_task_that_is_given_up_leaves_its_write_done_or_not_and_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path(), Options::default()).unwrap();
        drop(put(&db, "never polled"));
        let mut given_up = put(&db, "admitted");
        assert!(poll_once(&mut given_up).is_pending());
        drop(given_up);
        block_on(put(&db, "kept")).unwrap();
        let there = |id: &str| db.get("c", id, &ReadOptions::default()).unwrap().is_some();
        assert_eq!([there("never polled"), there("admitted"), there("kept")], [false, true, true]);
    }

    #[test]
    fn closing_waits_for_what_tasks_were_admitted_for_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path(), Options::default()).unwrap();
        let mut admitted = put(&db, "a");
        assert!(poll_once(&mut admitted).is_pending());
        db.close().unwrap();
        block_on(admitted).unwrap();
        let refused = block_on(put(&db, "b")).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::DatabaseClosed);
        drop(db);
        let db = Database::open(folder.path(), Options::default()).unwrap();
        assert_eq!(db.seq(), 0);
    }

    #[test]
    fn the_last_handle_may_go_while_a_task_is_admitted() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let db = Database::open(folder.path(), Options::default()).unwrap();
            let mut given_up = put(&db, "a");
            let _admitted = poll_once(&mut given_up);
            drop(given_up);
            drop(db);
            // The thread may hold it for as long as its sync takes.
            let opened = (0..10_000).find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                Database::open(folder.path(), Options::default()).ok()
            });
            assert!(opened.is_some_and(|db| db.seq() <= 0), "the lock was given back");
        }
    }
}
