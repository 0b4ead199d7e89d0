//! A database five times its cache answers as one that is all in memory.
//!
//! The same ops go into both; everything that can be asked is asked of both, at HEAD and in the past,
//! while it is written and after it was opened again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, IndexKind, ManualClock, Options, Params, ReadOptions, WriteOptions};
use std::sync::Arc;
use support::NOW;

const CACHE_BYTES: usize = 64 << 10;
const DOCUMENTS: usize = 400;
const ROUNDS: usize = 4;
const WORDS: [&str; 8] =
    ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "heath"];

fn options(cache_bytes: usize) -> Options {
    Options { clock: Arc::new(ManualClock::new(NOW)), cache_bytes, ..Options::default() }
}

fn id(number: usize) -> String {
    format!("d{number:03}")
}

/// About 300 bytes, different in every round.
fn document(number: usize, round: usize) -> String {
    let word = |shift: usize| WORDS[(number * 7 + round * 3 + shift) % WORDS.len()];
    format!(
        "{{\"n\":{number},\"round\":{round},\"group\":\"g{}\",\"nested\":{{\"score\":{}.5}},\
         \"text\":\"{} {} {}\",\"padding\":\"{}\"}}",
        number % 9,
        (number * 31 + round * 17) % 100,
        word(0),
        word(2),
        word(5),
        "é".repeat(90)
    )
}

/// Writes every kind of op, each document several times.
fn write(db: &Database) {
    for (field, kind) in [
        ("group", IndexKind::Eq),
        ("nested.score", IndexKind::Ordered),
        ("text", IndexKind::Search),
    ] {
        db.create_index("c", field, kind).unwrap();
    }
    let none = WriteOptions::default();
    for round in 0..ROUNDS {
        let documents: Vec<_> = (0..DOCUMENTS).map(|n| (id(n), document(n, round))).collect();
        db.put_many("c", &documents, &none).unwrap();
    }
    for n in 0..DOCUMENTS / 4 {
        let caused_by = vec![n as i64, db.seq()];
        let options = WriteOptions {
            caused_by,
            evidence: Some(format!("note {n}")),
            confidence: Some(0.5),
            valid_from: Some(format!("20{:02}-01-01", n % 30)),
            idem: Some(format!("key {n}")),
            ..WriteOptions::default()
        };
        db.put("facts", &id(n), &document(n, 9), &options).unwrap();
        db.link(&format!("c:{}", id(n)), "next", &format!("c:{}", id(n + 1)), &none).unwrap();
    }
    for n in (0..DOCUMENTS).step_by(11) {
        db.delete("c", &id(n), &none).unwrap();
    }
}

fn queries() -> Vec<String> {
    let mut queries = vec![
        "FROM facts WHERE _id = \"d007\" TRACE caused_by".to_owned(),
        "FROM c WHERE _id = \"d007\" TRACE caused_by REVERSE".to_owned(),
        "FROM facts VALID AS OF \"2010-06-01\" ORDER BY n LIMIT 20".to_owned(),
        "FROM c WHERE n < 20 TRAVERSE next ORDER BY n".to_owned(),
    ];
    for seq in ["", " AS OF 399", " AS OF 900", " AS OF 1650"] {
        for rest in [
            "WHERE group = \"g4\" ORDER BY n",
            "WHERE nested.score >= 20 AND nested.score < 40 ORDER BY nested.score LIMIT 30",
            "WHERE padding LIKE \"%é\" AND n > 350",
            "SEARCH \"amber\" LIMIT 25",
            "SEARCH \"cedar ember\"",
            "GROUP BY group COUNT AVG n MAX nested.score",
            "ORDER BY text, n DESC LIMIT 15 OFFSET 100",
        ] {
            queries.push(format!("FROM c{seq} {rest}"));
        }
    }
    queries
}

fn answers(db: &Database, nql: &str) -> Vec<String> {
    let rows = db.query(nql, &Params::none()).unwrap_or_else(|error| panic!("{nql}: {error}"));
    rows.iter().map(str::to_owned).collect()
}

fn assert_same(small: &Database, whole: &Database) {
    assert_eq!((small.seq(), small.head()), (whole.seq(), whole.head()));
    for nql in queries() {
        let expected = answers(whole, &nql);
        assert!(!expected.is_empty(), "{nql} finds nothing, and so shows nothing");
        assert_eq!(answers(small, &nql), expected, "{nql}");
    }
    for n in 0..DOCUMENTS {
        for as_of in [None, Some(250), Some(1_000)] {
            let at = ReadOptions { as_of, ..ReadOptions::default() };
            assert_eq!(small.get("c", &id(n), &at).unwrap(), whole.get("c", &id(n), &at).unwrap());
        }
        let node = format!("c:{}", id(n));
        let neighbors = |db: &Database| db.neighbors(&node, "next", None).unwrap();
        assert_eq!(neighbors(small), neighbors(whole));
    }
    assert!(small.verify().unwrap() && small.verify_determinism().unwrap());
}

#[test]
fn a_database_five_times_its_cache_answers_as_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Database::in_memory(options(0)).unwrap();
    let small = Database::open(folder.path(), options(CACHE_BYTES)).unwrap();
    write(&whole);
    write(&small);
    let text_bytes: usize =
        (0..ROUNDS).flat_map(|round| (0..DOCUMENTS).map(move |n| document(n, round).len())).sum();
    assert!(text_bytes > 5 * CACHE_BYTES, "{text_bytes} bytes of documents");
    assert_same(&small, &whole);
    small.close().unwrap();
    let small = Database::open(folder.path(), options(CACHE_BYTES)).unwrap();
    assert_same(&small, &whole);
    let retried = WriteOptions { idem: Some("key 3".to_owned()), ..WriteOptions::default() };
    let (again, first) = (
        small.put("facts", &id(3), "{}", &retried).unwrap(),
        whole.put("facts", &id(3), "{}", &retried).unwrap(),
    );
    assert_eq!(again, first);
}

#[test]
fn a_database_five_times_its_cache_takes_new_indexes_copies_and_checks() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path().join("db"), options(CACHE_BYTES)).unwrap();
    write(&db);
    let nql = "FROM c AS OF 900 WHERE round = 1 ORDER BY n";
    let before = answers(&db, nql);
    db.create_index("c", "round", IndexKind::Ordered).unwrap();
    assert_eq!(answers(&db, nql), before);
    let report = db.backup(folder.path().join("copy")).unwrap();
    let copy = Database::open(folder.path().join("copy"), options(CACHE_BYTES)).unwrap();
    assert_eq!((copy.head(), report.head.clone()), (db.head(), report.head));
    assert_same(&copy, &db);
}
