//! Queries that take all they can: nobody else waits for them, they end when they are told to, and what they may hold
//! is bounded.
//!
//! No test is about how long something takes: a put or a get is asked for while a query runs that takes seconds, and the
//! query must still be running when it is answered.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{
    Cancellation, Database, Durability, ErrorCode, IndexKind, Options, Params, QueryOptions,
    ReadOptions, Result, Rows, Tmk, WriteOptions,
};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

fn in_memory() -> (Option<TempDir>, Database) {
    (None, Database::in_memory(Options::default()).unwrap())
}

fn on_disk(is_encrypted: bool, cache_bytes: usize) -> (Option<TempDir>, Database) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        cache_bytes,
        durability: Durability::Never,
        tmk: is_encrypted.then(|| Tmk::new([7; 32])),
        ..Options::default()
    };
    let db = Database::open(folder.path(), options).unwrap();
    (Some(folder), db)
}

/// Databases in memory, on a disk with all texts at hand, with none, and encrypted.
fn everywhere() -> Vec<(Option<TempDir>, Database)> {
    vec![in_memory(), on_disk(false, 256 << 20), on_disk(false, 0), on_disk(true, 0)]
}

fn put(db: &Database, collection: &str, id: &str, document: &str) {
    db.put(collection, id, document, &WriteOptions::default()).unwrap();
}

fn ask(db: &Database, nql: &str, params: &[&str], cancellation: &Cancellation) -> Result<Rows> {
    let params = Params::from_json(&serde_json::to_string(params).unwrap()).unwrap();
    let cancellation = Some(cancellation.clone());
    db.query_with(nql, &params, &QueryOptions { cancellation, ..QueryOptions::default() })
}

/// Writes and reads while a query runs that takes far longer; then ends it.
fn check_others_go_on(db: &Database, nql: &str, params: &[&str]) {
    let cancellation = Cancellation::new();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let answer = ask(db, nql, params, &cancellation);
            tell.send(answer.map(|rows| rows.len())).unwrap();
        });
        // It has begun, and goes on for seconds.
        thread::sleep(Duration::from_millis(100));
        for n in 0..20 {
            put(db, "other", &n.to_string(), "{}");
            assert!(db.get("other", &n.to_string(), &ReadOptions::default()).unwrap().is_some());
        }
        if let Ok(ended) = told.try_recv() {
            panic!("the query {nql} ended before what was asked for meanwhile: {ended:?}");
        }
        cancellation.cancel();
        let ended = told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(ended.unwrap_err().code(), ErrorCode::Cancelled, "{nql}");
    });
}

#[test]
fn a_pattern_of_many_characters_over_one_long_text_holds_up_nobody() {
    for (_folder, db) in everywhere() {
        put(&db, "c", "x", &format!("{{\"s\":\"{}\"}}", "a".repeat(8_000_000)));
        let pattern = format!("%{}b%", "_".repeat(500_000));
        check_others_go_on(&db, "FROM c WHERE s LIKE $1", &[&pattern]);
        check_others_go_on(&db, "FROM c WHERE s LIKE $1 OR NOT s LIKE $1", &[&pattern]);
    }
}

#[test]
fn many_conditions_over_large_documents_hold_up_nobody() {
    for (_folder, db) in everywhere() {
        let document = format!("{{\"a\":\"{}\",\"n\":1}}", "lorem ipsum ".repeat(40_000));
        for id in 0..60 {
            put(&db, "c", &id.to_string(), &document);
        }
        let conditions = vec!["n > -1"; 9_000].join(" AND ");
        check_others_go_on(&db, &format!("FROM c WHERE {conditions}"), &[]);
    }
}

#[test]
fn a_scan_of_large_documents_lets_a_put_in_between_two_of_them() {
    for (_folder, db) in everywhere() {
        let document = format!("{{\"a\":\"{}\"}}", "lorem ipsum dolor ".repeat(28_000));
        for id in 0..40 {
            put(&db, "c", &id.to_string(), &document);
        }
        let many = vec!["a LIKE '%x_y%z%'"; 300].join(" OR ");
        check_others_go_on(&db, &format!("FROM c WHERE {many}"), &[]);
    }
}

#[test]
fn ordering_and_grouping_many_rows_ends_when_it_is_told_to() {
    let (_, db) = in_memory();
    let documents: Vec<(String, String)> = (0..100_000)
        .map(|n| (n.to_string(), format!("{{\"g\":\"group {n}\",\"n\":{}}}", n * 7_919 % 100_000)))
        .collect();
    db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    let queries = [
        "FROM c ORDER BY n DESC, g",
        "FROM c GROUP BY g SUM n",
        "FROM c GROUP BY g HAVING count > 1 ORDER BY g DESC",
        "FROM c SEARCH \"group\"",
        "FROM c WHERE n IN (1, 2) OR n > 5",
    ];
    for nql in queries {
        let whole = ask(&db, nql, &[], &Cancellation::new()).unwrap();
        let cancelled = Cancellation::new();
        cancelled.cancel();
        let refused = ask(&db, nql, &[], &cancelled).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Cancelled, "{nql}");
        let refused = ask(&db, nql, &[], &Cancellation::after_ms(1)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TimedOut, "{nql}");
        assert_eq!(ask(&db, nql, &[], &Cancellation::after_ms(600_000)).unwrap(), whole, "{nql}");
    }
}

#[test]
fn what_a_query_may_hold_and_answer_is_bounded_in_bytes() {
    let (_, db) = in_memory();
    let text = "x".repeat(1_000);
    let documents: Vec<(String, String)> =
        (0..2_000).map(|n| (n.to_string(), format!("{{\"s\":\"{text}{n}\"}}"))).collect();
    db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    let with = |nql: &str, memory_bytes_max, answer_bytes_max| {
        let options =
            QueryOptions { memory_bytes_max, answer_bytes_max, ..QueryOptions::default() };
        db.query_with(nql, &Params::none(), &options).map(|rows| rows.len())
    };
    for nql in ["FROM c ORDER BY s", "FROM c GROUP BY s", "FROM c SEARCH \"x\" ORDER BY s"] {
        let rows = with(nql, 64 << 20, None).unwrap();
        if rows > 0 {
            assert_eq!(with(nql, 100 << 10, None).unwrap_err().code(), ErrorCode::LimitExceeded);
        }
    }
    // The best of many are few, and few are held.
    assert_eq!(with("FROM c ORDER BY s LIMIT 5", 4 << 20, None).unwrap(), 5);
    assert_eq!(
        with("FROM c", 64 << 20, Some(1 << 20)).unwrap_err().code(),
        ErrorCode::LimitExceeded
    );
    assert_eq!(with("FROM c LIMIT 900", 64 << 20, Some(1 << 20)).unwrap(), 900);
}

#[test]
fn the_terms_of_a_query_are_bounded() {
    let (_, db) = in_memory();
    put(&db, "c", "x", "{\"n\":1}");
    let many = |what: &str, count: usize, between: &str| vec![what; count].join(between);
    let numbered =
        |what: &str| (0..1_000).map(|n| format!("{what}{n}")).collect::<Vec<_>>().join(", ");
    let queries = [
        format!("FROM c WHERE {}", many("n > -1", 100_000, " AND ")),
        format!("FROM c ORDER BY {}", many("n", 1_000, ", ")),
        format!("FROM c GROUP BY {}", numbered("n")),
        format!("FROM c GROUP BY n {}", numbered("SUM n")),
        format!(
            "FROM c SEARCH \"{}\"",
            (0..5_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ")
        ),
    ];
    for nql in queries {
        let refused = db.query(&nql, &Params::none()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::LimitExceeded, "{}: {refused}", &nql[..40]);
    }
}

/// The rows of a query that pauses between rows, while others write, are those of its seq.
#[test]
fn what_is_read_in_many_parts_is_what_was_there_at_the_beginning() {
    let (_, db) = in_memory();
    for (field, kind) in [("n", IndexKind::Ordered), ("g", IndexKind::Eq), ("t", IndexKind::Search)]
    {
        db.create_index("c", field, kind).unwrap();
    }
    let documents: Vec<(String, String)> = (0..30_000)
        .map(|n| {
            (
                n.to_string(),
                format!("{{\"g\":{},\"n\":{},\"t\":\"word w{}\"}}", n % 3, n / 7, n % 5),
            )
        })
        .collect();
    db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    db.link_all_to("c:0", 5_000);
    let seq = db.seq();
    let queries = [
        "FROM c WHERE n >= 100 AND n < 4000",
        "FROM c WHERE n >= 100 ORDER BY n DESC",
        "FROM c WHERE g = 1",
        "FROM c WHERE g IN (0, 2)",
        "FROM c SEARCH \"word w3\"",
        "FROM c WHERE _id = '0' TRAVERSE to",
        "FROM c ORDER BY t, n DESC",
        "FROM c GROUP BY n AVG g",
    ];
    let before: Vec<Rows> =
        queries.iter().map(|nql| db.query(nql, &Params::none()).unwrap()).collect();
    let stop = Cancellation::new();
    thread::scope(|scope| {
        let _stops_also_when_a_check_fails = CancelAtEnd(stop.clone());
        let (writer, stopped) = (db.clone(), stop.clone());
        scope.spawn(move || {
            let mut n = 0;
            while !stopped.is_cancelled() {
                n = (n + 7_919) % 30_000;
                let id = n.to_string();
                put(
                    &writer,
                    "c",
                    &id,
                    &format!("{{\"g\":{},\"n\":{},\"t\":\"other w3\"}}", n % 2, n),
                );
                writer
                    .delete("c", &((n + 1) % 30_000).to_string(), &WriteOptions::default())
                    .unwrap();
            }
        });
        for _ in 0..3 {
            for (nql, expected) in queries.iter().zip(&before) {
                let nql = nql.replacen("FROM c", &format!("FROM c AS OF {seq}"), 1);
                assert!(db.query(&nql, &Params::none()).unwrap() == *expected, "{nql}");
            }
        }
        // At the head each query sees one seq: the rows of one are those of a query at that seq.
        for nql in queries {
            let first = db.seq();
            let rows = db.query(nql, &Params::none()).unwrap();
            let last = db.seq();
            let at = |seq| {
                let nql = nql.replacen("FROM c", &format!("FROM c AS OF {seq}"), 1);
                db.query(&nql, &Params::none()).unwrap()
            };
            assert!((first..=last).any(|seq| at(seq) == rows), "{nql} between {first} and {last}");
        }
    });
}

struct CancelAtEnd(Cancellation);

impl Drop for CancelAtEnd {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

trait LinkAll {
    fn link_all_to(&self, from: &str, count: usize);
}

impl LinkAll for Database {
    fn link_all_to(&self, from: &str, count: usize) {
        for n in 0..count {
            self.link(from, "to", &format!("c:{n}"), &WriteOptions::default()).unwrap();
        }
    }
}
