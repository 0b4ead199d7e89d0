//! Threads that want the same thing at the same moment.
//!
//! Writes that arrive together are admitted against each other before any of them is on the disk: one
//! wins, and the others are told so as if it had been there all along.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{Database, ErrorCode, Options, Params, Result, WriteOptions};
use serde_json::Value;
use std::sync::Barrier;
use std::thread;
use tempfile::TempDir;

const WRITERS: usize = 8;
const ROUNDS: usize = 40;

fn on_disk() -> (TempDir, Database) {
    let directory = tempfile::tempdir().expect("a folder");
    let db = Database::open(directory.path(), Options::default()).expect("a new database");
    (directory, db)
}

fn seq_of(row: &str) -> i64 {
    let row: Value = serde_json::from_str(row).expect("JSON");
    row["_seq"].as_i64().expect("_seq")
}

/// Lets all writers do one thing at the same moment, and returns what each was told.
fn at_once<T: Send>(write: impl Fn(usize) -> Result<T> + Sync) -> Vec<Result<T>> {
    let barrier = Barrier::new(WRITERS);
    thread::scope(|scope| {
        let (barrier, write) = (&barrier, &write);
        let spawn = |writer| {
            scope.spawn(move || {
                barrier.wait();
                write(writer)
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(spawn).collect();
        writers.into_iter().map(|it| it.join().expect("no writer panics")).collect()
    })
}

/// Checks that one of the outcomes is good, the others the expected refusal; returns the good one.
fn the_winner<T>(outcomes: Vec<Result<T>>, refusal: ErrorCode) -> T {
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, WRITERS - 1));
    for error in lost.into_iter().filter_map(Result::err) {
        assert_eq!(error.code(), refusal, "{error}");
    }
    won.into_iter().filter_map(Result::ok).next().expect("one won")
}

fn check(db: Database, directory: &TempDir, op_count: usize) {
    assert_eq!(db.seq(), op_count as i64 - 1);
    assert!(db.verify().expect("a log") && db.verify_determinism().expect("a log"));
    let head = db.head();
    db.close().expect("a clean stop");
    let db = Database::open(directory.path(), Options::default()).expect("it opens again");
    assert_eq!((db.seq(), db.head()), (op_count as i64 - 1, head));
}

#[test]
fn of_many_writers_that_replace_one_version_one_does() {
    let (directory, db) = on_disk();
    for current in -1..ROUNDS as i64 - 1 {
        let outcomes = at_once(|writer| {
            let options = WriteOptions { if_seq: Some(current), ..WriteOptions::default() };
            db.put("c", "p", &format!("{{\"writer\":{writer}}}"), &options)
        });
        let row = the_winner(outcomes, ErrorCode::PreconditionFailed);
        assert_eq!(seq_of(&row), current + 1);
        assert_eq!(db.query("FROM c", &Params::none()).expect("a read").into_texts(), [row]);
    }
    check(db, &directory, ROUNDS);
}

#[test]
fn of_many_writers_with_one_nonce_one_writes() {
    let (directory, db) = on_disk();
    for round in 0..ROUNDS {
        let options = WriteOptions { nonce: Some(round as i64 + 1), ..WriteOptions::default() };
        let outcomes = at_once(|writer| db.put("c", &format!("p{writer}"), "{}", &options));
        the_winner(outcomes, ErrorCode::ReplayError);
    }
    check(db, &directory, ROUNDS);
}

#[test]
fn many_writers_with_one_idempotency_key_write_once_and_are_all_told_the_same() {
    let (directory, db) = on_disk();
    for round in 0..ROUNDS {
        let options = WriteOptions { idem: Some(format!("k{round}")), ..WriteOptions::default() };
        let outcomes =
            at_once(|writer| db.put("c", "p", &format!("{{\"writer\":{writer}}}"), &options));
        let rows: Vec<String> = outcomes.into_iter().map(|it| it.expect("a good put")).collect();
        assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
        assert_eq!(seq_of(&rows[0]), round as i64);
    }
    check(db, &directory, ROUNDS);
}

#[test]
fn of_many_targets_of_one_idempotency_key_one_is_written() {
    let (directory, db) = on_disk();
    for round in 0..ROUNDS {
        let options = WriteOptions { idem: Some(format!("k{round}")), ..WriteOptions::default() };
        let outcomes = at_once(|writer| db.put("c", &format!("p{writer}"), "{}", &options));
        the_winner(outcomes, ErrorCode::IdempotencyConflict);
    }
    check(db, &directory, ROUNDS);
}

#[test]
fn an_op_may_be_caused_by_the_one_before_it_as_soon_as_that_is_acknowledged() {
    let (directory, db) = on_disk();
    let outcomes = at_once(|writer| {
        let mut last: Option<i64> = None;
        for _ in 0..ROUNDS {
            let caused_by = last.into_iter().collect();
            let options = WriteOptions { caused_by, ..WriteOptions::default() };
            let row = db.put("c", &format!("p{writer}"), "{}", &options)?;
            assert!(Some(seq_of(&row)) > last);
            last = Some(seq_of(&row));
        }
        Ok(())
    });
    outcomes.into_iter().for_each(|outcome| outcome.expect("good puts"));
    for writer in 0..WRITERS {
        let nql = format!("FROM c WHERE _id = \"p{writer}\" TRACE caused_by");
        let causes = db.query(&nql, &Params::none()).expect("a trace");
        assert_eq!(causes.len(), ROUNDS - 1, "{nql}");
    }
    check(db, &directory, ROUNDS * WRITERS);
}

#[test]
fn transactions_on_crossed_documents_are_all_or_nothing() {
    let (directory, db) = on_disk();
    for current in -1..ROUNDS as i64 - 1 {
        let outcomes = at_once(|writer| {
            let (first, second) = if writer % 2 == 0 { ("l", "r") } else { ("r", "l") };
            let item = |id: &str| {
                format!(
                    r#"{{"op":"put","coll":"c","id":"{id}","if_seq":{current},"doc":{{"w":{writer}}}}}"#
                )
            };
            let items = format!("[{},{}]", item(first), item(second));
            db.batch(&items, &WriteOptions::default())
        });
        let rows = the_winner(outcomes, ErrorCode::PreconditionFailed);
        assert!(rows.iter().all(|row| seq_of(row) == current + 1));
    }
    check(db, &directory, ROUNDS);
}
