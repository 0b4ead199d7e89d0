//! Many indexes: made at once, all or none, and no more than a database may have, whatever `meta.json` says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{
    Database, ErrorCode, INDEXES_COUNT_MAX, IndexKind, Options, Params, Rows, WriteOptions,
};
use std::fmt::Write;
use std::path::Path;

fn open(directory: &Path) -> Database {
    Database::open(directory, Options::default()).unwrap()
}

fn rows(database: &Database, nql: &str) -> Vec<String> {
    let rows: Rows = database.query(nql, &Params::none()).unwrap();
    rows.iter().map(|row| row.to_string()).collect()
}

#[test]
fn indexes_are_made_at_once_and_hold_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path());
    for (id, age) in [("a", 3), ("b", 1), ("c", 2)] {
        let text = format!(r#"{{"age":{age},"name":"n{age}","bio":"red fox {age}"}}"#);
        database.put("users", id, &text, &WriteOptions::default()).unwrap();
    }
    let queries = [
        "FROM users WHERE age > 1 ORDER BY age",
        "FROM users WHERE name = \"n2\"",
        "FROM users SEARCH \"fox\"",
        "FROM nobody WHERE x = 1",
    ];
    let before: Vec<_> = queries.iter().map(|nql| rows(&database, nql)).collect();
    let wanted = [
        ("users", "age", IndexKind::Ordered),
        ("users", "name", IndexKind::Eq),
        ("users", "bio", IndexKind::Search),
        ("users", "age", IndexKind::Ordered),
        ("nobody", "x", IndexKind::Eq),
    ];
    database.create_indexes(&wanted).unwrap();
    let seq = database.seq();
    for reopened in [false, true] {
        let database = if reopened {
            database.close().unwrap();
            open(directory.path())
        } else {
            database.clone()
        };
        assert_eq!((database.indexes().unwrap().len(), database.seq()), (4, seq));
        let after: Vec<_> = queries.iter().map(|nql| rows(&database, nql)).collect();
        assert_eq!(after, before);
        assert!(database.verify_determinism().unwrap());
        // What is there already is not written again.
        let meta = directory.path().join("meta.json");
        let written = std::fs::metadata(&meta).unwrap().modified().unwrap();
        database.create_indexes(&wanted).unwrap();
        assert_eq!(std::fs::metadata(&meta).unwrap().modified().unwrap(), written);
    }
}

#[test]
fn one_that_is_none_refuses_all() {
    let database = Database::in_memory(Options::default()).unwrap();
    let long = "x".repeat(4_097);
    for (collection, field, expected) in [
        ("a:b", "f", ErrorCode::InvalidArgument),
        ("c", "", ErrorCode::InvalidArgument),
        ("c", long.as_str(), ErrorCode::LimitExceeded),
    ] {
        let wanted = [("c", "fine", IndexKind::Eq), (collection, field, IndexKind::Eq)];
        assert_eq!(database.create_indexes(&wanted).unwrap_err().code(), expected);
        assert!(database.indexes().unwrap().is_empty());
    }
}

#[test]
fn a_database_has_so_many_indexes_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path());
    let fields: Vec<String> = (0..=INDEXES_COUNT_MAX).map(|number| format!("f{number}")).collect();
    let wanted: Vec<(&str, &str, IndexKind)> =
        fields.iter().map(|field| ("c", field.as_str(), IndexKind::Eq)).collect();
    assert_eq!(database.create_indexes(&wanted).unwrap_err().code(), ErrorCode::LimitExceeded);
    assert!(database.indexes().unwrap().is_empty());
    database.create_indexes(&wanted[1..]).unwrap();
    database.create_index("c", "f1", IndexKind::Eq).unwrap();
    let refused = database.create_index("d", "f0", IndexKind::Search).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::LimitExceeded);
    drop(database);
    assert_eq!(open(directory.path()).indexes().unwrap().len(), INDEXES_COUNT_MAX);
}

#[test]
fn a_meta_file_with_too_many_opens_with_as_many_as_there_may_be() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).put("c", "a", "{\"f5\":1}", &WriteOptions::default()).unwrap();
    let mut text = String::from("{\"indexes\":[");
    for number in 0..20_000 {
        write!(text, "{}[\"c\",\"f{number}\",\"eq\"]", if number == 0 { "" } else { "," }).unwrap();
    }
    text.push_str("]}\n");
    std::fs::write(directory.path().join("meta.json"), text).unwrap();
    let database = open(directory.path());
    assert_eq!(database.indexes().unwrap().len(), INDEXES_COUNT_MAX);
    let warnings = database.open_report().warnings;
    assert!(warnings.iter().any(|it| it.contains("more than 1000 indexes")), "{warnings:?}");
    assert_eq!(rows(&database, "FROM c WHERE f5 = 1").len(), 1);
    assert_eq!(rows(&database, "FROM c WHERE f15000 = 1").len(), 0);
}
