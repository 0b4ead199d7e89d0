//! What history must not cost: documents that were overwritten many times are found at HEAD by looking
//! at those that are there, not at those that were.
//!
//! No time is measured here; the benchmarks do that. The planner knows how many entries of an index it
//! would look at, `EXPLAIN` says so, and that number must not grow with the number of overwrites.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{Database, IndexKind, Options, Params, WriteOptions};
use serde_json::Value;

const DOCUMENTS: usize = 1_000;
const VALUES: usize = 10;

fn rows(db: &Database, nql: &str) -> Vec<Value> {
    let rows = db.query(nql, &Params::none()).unwrap_or_else(|error| panic!("{nql}: {error}"));
    rows.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect()
}

/// Returns how the documents of a query are reached, and how many entries that looks at.
fn access(db: &Database, nql: &str) -> (String, u64) {
    let first = rows(db, &format!("EXPLAIN {nql}")).remove(0);
    let operator = first["operator"].as_str().expect("an operator").to_owned();
    (operator, first["estimated_rows"].as_u64().expect("an estimate"))
}

/// Gives every document another value, one op each.
fn overwrite(db: &Database, round: usize) {
    let document = |number: usize| {
        (format!("d{number}"), format!("{{\"n\":{},\"m\":{}}}", (number + round) % VALUES, number))
    };
    let documents: Vec<(String, String)> = (0..DOCUMENTS).map(document).collect();
    db.put_many("c", &documents, &WriteOptions::default()).expect("good documents");
}

#[test]
fn reads_of_head_look_at_as_many_entries_after_many_overwrites_as_after_one() {
    let db = Database::in_memory(Options::default()).expect("memory opens");
    db.create_index("c", "n", IndexKind::Ordered).expect("an index");
    db.create_index("c", "m", IndexKind::Eq).expect("an index");
    let expected = [
        ("FROM c WHERE n = 3", "index equal", DOCUMENTS / VALUES),
        ("FROM c WHERE n >= 8", "index range", DOCUMENTS / VALUES * 2),
        ("FROM c WHERE m = 77", "index equal", 1),
        ("FROM c WHERE m IN (1, 2, 3)", "index union", 3),
        ("FROM c", "scan", DOCUMENTS),
    ];
    for round in 0..30 {
        overwrite(&db, round);
        for (nql, operator, count) in expected {
            let looked_at = (operator.to_owned(), count as u64);
            assert_eq!(access(&db, nql), looked_at, "{nql} after {round} overwrites");
            assert_eq!(rows(&db, nql).len(), count, "{nql}");
        }
    }
}

#[test]
fn documents_that_were_deleted_and_written_again_are_counted_once() {
    let db = Database::in_memory(Options::default()).expect("memory opens");
    db.create_index("c", "n", IndexKind::Ordered).expect("an index");
    for round in 0..10 {
        overwrite(&db, round);
        for number in (0..DOCUMENTS).step_by(2) {
            db.delete("c", &format!("d{number}"), &WriteOptions::default()).expect("a deletion");
        }
        assert_eq!(access(&db, "FROM c"), ("scan".to_owned(), DOCUMENTS as u64 / 2));
        assert_eq!(rows(&db, "FROM c COUNT")[0]["count"], DOCUMENTS / 2);
    }
    assert_eq!(access(&db, "FROM c WHERE n = 4").1, (DOCUMENTS / VALUES) as u64);
}
