//! Bugs that the model found, each as the smallest script that shows it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{Database, IndexKind, ManualClock, Options, Params, ReadOptions, WriteOptions};
use std::sync::Arc;

/// Makes a database in memory whose clock stands at 1,000 seconds.
fn database() -> (Database, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_000.0));
    let options = Options { clock: Arc::clone(&clock) as Arc<_>, ..Options::default() };
    (Database::in_memory(options).expect("memory opens"), clock)
}

fn put(db: &Database, collection: &str, id: &str, options: &WriteOptions) {
    db.put(collection, id, "{}", options).expect("a good document");
}

fn rows(db: &Database, nql: &str) -> Vec<String> {
    db.query(nql, &Params::none()).expect("a good query").into_texts()
}

fn ttl(seconds: f64) -> WriteOptions {
    WriteOptions { ttl_seconds: Some(seconds), ..WriteOptions::default() }
}

#[test]
fn nothing_is_at_most_null_between_fields_either() {
    let (db, _) = database();
    put(&db, "c", "p", &WriteOptions::default());
    assert!(rows(&db, "FROM c WHERE a <= `b`").is_empty());
    assert_eq!(rows(&db, "FROM c WHERE a = `b`").len(), 1);
}

#[test]
fn collections_come_in_order_of_creation_also_when_an_index_came_first() {
    let (db, _) = database();
    db.create_index("d", "a", IndexKind::Eq).expect("an index");
    let items =
        r#"[{"op":"put","coll":"c","id":"p","doc":{}},{"op":"put","coll":"d","id":"p","doc":{}}]"#;
    db.batch(items, &WriteOptions::default()).expect("a good transaction");
    assert_eq!(db.collections().expect("an open database"), ["c", "d"]);
}

#[test]
fn a_collection_whose_documents_have_all_expired_is_not_listed() {
    let (db, clock) = database();
    put(&db, "c", "p", &WriteOptions::default());
    put(&db, "d", "p", &ttl(5.0));
    assert_eq!(db.collections().expect("an open database"), ["c", "d"]);
    clock.set(1_005.0);
    assert_eq!(db.collections().expect("an open database"), ["c"]);
    assert!(db.get("d", "p", &ReadOptions::default()).expect("a read").is_none());
}

#[test]
fn an_expired_document_is_absent_at_every_valid_time_as_it_is_once_swept() {
    let (db, clock) = database();
    put(&db, "c", "p", &WriteOptions::default());
    let from_2024 = Some("2024-01-01".to_owned());
    put(&db, "c", "p", &WriteOptions { valid_from: from_2024, ..ttl(5.0) });
    let nql = "FROM c VALID AS OF \"2023-06-15\"";
    assert_eq!(rows(&db, nql).len(), 1);
    clock.set(1_005.0);
    assert!(rows(&db, nql).is_empty());
    db.sweep().expect("a sweep");
    assert!(rows(&db, nql).is_empty());
}

#[test]
fn an_index_does_not_change_the_order_in_which_a_sweep_deletes() {
    let head = |has_index: bool| {
        let (db, clock) = database();
        if has_index {
            db.create_index("d", "a", IndexKind::Eq).expect("an index");
        }
        put(&db, "c", "p", &ttl(5.0));
        put(&db, "d", "p", &ttl(5.0));
        clock.set(1_005.0);
        assert_eq!(db.sweep().expect("a sweep"), 2);
        db.head()
    };
    assert_eq!(head(true), head(false));
}

#[test]
fn an_expired_version_stays_absent_when_another_replaces_it() {
    let (db, clock) = database();
    put(&db, "c", "p", &ttl(5.0));
    clock.set(1_010.0);
    let from_2024 = Some("2024-01-01".to_owned());
    put(&db, "c", "p", &WriteOptions { valid_from: from_2024, ..WriteOptions::default() });
    assert!(rows(&db, "FROM c VALID AS OF \"2023-06-15\"").is_empty());
    assert_eq!(rows(&db, "FROM c VALID AS OF \"2024-06-15\"").len(), 1);
}
