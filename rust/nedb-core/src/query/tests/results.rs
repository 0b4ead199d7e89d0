//! What whole queries give.

use super::fixture::Fixture;
use crate::ErrorCode;
use crate::snapshot::IndexKind;

fn users() -> Fixture {
    let fixture = Fixture::new();
    fixture.put("users", "a", r#"{"age":31,"status":"on","bio":"rust and go"}"#);
    fixture.put("users", "b", r#"{"age":25,"status":"off","bio":"rust"}"#);
    fixture.put("users", "c", r#"{"age":31.0,"status":"on","bio":"zig"}"#);
    fixture.put("users", "d", r#"{"status":"off","bio":"rust rust rust go"}"#);
    fixture
}

#[test]
fn a_document_row_is_its_text_with_the_seq() {
    let fixture = users();
    assert_eq!(
        fixture.query(r#"FROM users WHERE _id = "b""#),
        [r#"{"_id":"b","_seq":1,"age":25,"bio":"rust","status":"off"}"#]
    );
    assert_eq!(fixture.ids("FROM users WHERE _seq >= 2"), ["c", "d"]);
    assert_eq!(fixture.ids("FROM users ORDER BY _seq DESC LIMIT 2"), ["d", "c"]);
    assert!(fixture.query("FROM nobody").is_empty());
}

#[test]
fn as_of_gives_the_older_version_with_its_seq() {
    let fixture = users();
    fixture.put("users", "a", r#"{"age":32}"#);
    fixture.delete("users", "b");
    assert_eq!(fixture.ids("FROM users"), ["a", "c", "d"]);
    assert_eq!(fixture.ids("FROM users AS OF 4 WHERE age = 32"), ["a"]);
    assert_eq!(fixture.ids("FROM users AS OF 3 WHERE age < 32"), ["a", "b", "c"]);
    assert!(fixture.query("FROM users AS OF -1").is_empty());
}

#[test]
fn order_offset_and_limit_cut_the_final_rows() {
    let fixture = users();
    assert_eq!(fixture.ids("FROM users ORDER BY age"), ["d", "b", "a", "c"]);
    assert_eq!(fixture.ids("FROM users ORDER BY age DESC, _id DESC"), ["c", "a", "b", "d"]);
    assert_eq!(fixture.ids("FROM users ORDER BY age DESC LIMIT 2 OFFSET 1"), ["c", "b"]);
    assert_eq!(fixture.ids("FROM users LIMIT 2 OFFSET 1"), ["b", "c"]);
    assert!(fixture.ids("FROM users LIMIT 0").is_empty());
}

#[test]
fn groups_have_counts_and_aggregates_and_may_be_filtered_and_sorted() {
    let fixture = users();
    assert_eq!(
        fixture.query("FROM users GROUP BY status COUNT AVG age"),
        [
            r#"{"avg_age":31.0,"count":2,"status":"on"}"#,
            r#"{"avg_age":25.0,"count":2,"status":"off"}"#
        ]
    );
    assert_eq!(
        fixture.query("FROM users GROUP BY age COUNT HAVING count > 1 ORDER BY age"),
        [r#"{"age":31,"count":2}"#]
    );
    assert_eq!(
        fixture.query("FROM users GROUP BY age COUNT ORDER BY count DESC, age DESC LIMIT 2"),
        [r#"{"age":31,"count":2}"#, r#"{"age":25,"count":1}"#]
    );
}

#[test]
fn a_search_is_ranked_unless_it_is_ordered() {
    let fixture = users();
    assert_eq!(fixture.ids(r#"FROM users SEARCH "rust go""#), ["d", "a"]);
    assert_eq!(fixture.ids(r#"FROM users SEARCH "rust" ORDER BY status"#), ["b", "d", "a"]);
    assert_eq!(fixture.ids(r#"FROM users SEARCH "rust" ORDER BY _score DESC LIMIT 1"#), ["d"]);
    assert_eq!(fixture.ids(r#"FROM users WHERE status = "on" SEARCH "rust""#), ["a"]);
    assert_eq!(fixture.ids(r#"FROM users SEARCH "\"and go\"""#), ["a"]);
    assert_eq!(fixture.ids(r#"FROM users SEARCH "on" IN (bio)"#), Vec::<String>::new());
    assert!(fixture.ids(r#"FROM users SEARCH "...""#).is_empty());
    let row = &fixture.query(r#"FROM users SEARCH "zig""#)[0];
    assert!(row.starts_with(r#"{"_id":"c","_score":"#), "{row}");
    assert!(row.contains(r#","_seq":2,"age":31.0"#), "{row}");
}

#[test]
fn a_search_gives_the_same_rows_and_scores_with_and_without_an_index() {
    let queries = [
        r#"FROM users SEARCH "rust" IN (bio)"#,
        r#"FROM users SEARCH "rust go" IN (bio)"#,
        r#"FROM users SEARCH "\"rust rust\" go" IN (bio)"#,
        r#"FROM users AS OF 2 SEARCH "rust" IN (bio)"#,
        r#"FROM users WHERE age > 20 SEARCH "rust" IN (bio) ORDER BY age"#,
        r#"FROM users SEARCH "rust" IN (bio) LIMIT 1"#,
    ];
    let fixture = users();
    let scanned: Vec<_> = queries.iter().map(|nql| fixture.query(nql)).collect();
    assert_eq!(fixture.operators(queries[0]), ["search scan", "rank"]);
    fixture.index("users", IndexKind::Search, "bio");
    assert_eq!(fixture.operators(queries[0]), ["search index", "rank"]);
    let indexed: Vec<_> = queries.iter().map(|nql| fixture.query(nql)).collect();
    assert_eq!(scanned, indexed);
    assert_eq!(fixture.query(r#"FROM users SEARCH "rust""#), indexed[0]);
}

#[test]
fn expired_documents_are_hidden_but_still_counted_by_scores() {
    let mut late = users();
    let before = late.query(r#"FROM users SEARCH "zig" IN (bio)"#);
    late.put("users", "e", r#"{"bio":"rust zig","_expires_at":5000.0}"#);
    assert_eq!(late.ids(r#"FROM users SEARCH "zig" IN (bio)"#), ["c", "e"]);
    late.now_seconds = 9_000.0;
    let scanned = late.query(r#"FROM users SEARCH "zig" IN (bio)"#);
    assert_eq!(scanned.len(), 1);
    assert_ne!(scanned, before);
    late.index("users", IndexKind::Search, "bio");
    assert_eq!(late.query(r#"FROM users SEARCH "zig" IN (bio)"#), scanned);
}

#[test]
fn traverse_reaches_each_existing_target_once_in_the_order_first_reached() {
    let fixture = users();
    fixture.put("orders", "o:1", r#"{"n":1}"#);
    fixture.put("orders", "o2", r#"{"n":2}"#);
    fixture.link("users:b", "placed", "orders:o2");
    fixture.link("users:a", "placed", "orders:gone");
    fixture.link("users:a", "placed", "orders:o:1");
    fixture.link("users:a", "placed", "orders:o2");
    assert_eq!(fixture.ids("FROM users TRAVERSE placed"), ["o:1", "o2"]);
    assert_eq!(fixture.ids("FROM users ORDER BY _id DESC TRAVERSE placed"), ["o2", "o:1"]);
    assert_eq!(fixture.ids("FROM users TRAVERSE placed LIMIT 1"), ["o:1"]);
    assert_eq!(fixture.query("FROM users TRAVERSE placed GROUP BY n COUNT").len(), 2);
    assert_eq!(fixture.ids("FROM users AS OF 7 TRAVERSE placed"), ["o2"]);
}

#[test]
fn trace_gives_the_versions_that_the_causes_wrote() {
    let fixture = Fixture::new();
    let first = fixture.put("m", "a", r#"{"v":1}"#);
    let other = fixture.put("m", "x", "{}");
    let link = fixture.link_caused("m:a", "r", "m:x", &[first]);
    let second = fixture.put_caused("m", "b", "{}", &[link, other]);
    fixture.put_caused("m", "c", "{}", &[second, first]);
    fixture.put("m", "a", r#"{"v":2}"#);
    fixture.delete("m", "x");
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "c" TRACE caused_by"#), ["b", "a", "x"]);
    let rows = fixture.query(r#"FROM m WHERE _id = "b" TRACE caused_by"#);
    assert_eq!(rows, [r#"{"_id":"x","_seq":1}"#, r#"{"_id":"a","_seq":0,"v":1}"#]);
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "a" TRACE caused_by REVERSE"#), ["c", "b"]);
    assert_eq!(fixture.ids(r#"FROM m AS OF 3 WHERE _id = "a" TRACE caused_by REVERSE"#), ["b"]);
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "c" TRACE caused_by LIMIT 1"#), ["b"]);
}

#[test]
fn a_transaction_as_a_cause_stands_for_all_that_it_wrote() {
    let fixture = Fixture::new();
    let root = fixture.put("m", "root", "{}");
    let both = fixture.transaction(&[("m", "p", &[root]), ("m", "q", &[])]);
    fixture.put_caused("m", "end", "{}", &[both]);
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "end" TRACE caused_by"#), ["p", "q", "root"]);
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "root" TRACE caused_by REVERSE"#), ["p", "end"]);
    assert_eq!(fixture.ids(r#"FROM m WHERE _id = "q" TRACE caused_by REVERSE"#), ["end"]);
    assert!(fixture.ids(r#"FROM m WHERE _id = "q" TRACE caused_by"#).is_empty());
}

#[test]
fn explain_names_the_access_path_and_runs_nothing() {
    let fixture = users();
    assert_eq!(fixture.operators("FROM users WHERE age > 3"), ["scan", "filter"]);
    assert_eq!(fixture.operators("FROM users ORDER BY age LIMIT 1"), ["scan", "top", "slice"]);
    fixture.index("users", IndexKind::Eq, "status");
    fixture.index("users", IndexKind::Ordered, "age");
    assert_eq!(
        fixture.query(r#"EXPLAIN FROM users WHERE status = "on" AND age > 3"#)[0],
        r#"{"detail":"users: status = \"on\"","estimated_rows":2,"operator":"index equal","step":1}"#
    );
    assert_eq!(fixture.operators("FROM users ORDER BY age LIMIT 1"), ["index order", "slice"]);
    assert_eq!(fixture.operators(r#"FROM users WHERE _id = "a""#), ["find by id", "filter"]);
    assert_eq!(fixture.operators("FROM users WHERE age > 3 AND age < 2"), ["nothing", "filter"]);
    assert_eq!(
        fixture.operators("FROM users WHERE age = 25 OR status = \"on\""),
        ["index union", "filter"]
    );
}

#[test]
fn a_clause_that_needs_documents_says_so() {
    use crate::query::algebra::{Operator, Query, ReadPoint};
    let group = Operator::Group {
        input: Box::new(Operator::Scan { collection: "users".to_owned() }),
        keys: Vec::new(),
        aggregates: Vec::new(),
    };
    let root = Operator::Traverse { input: Box::new(group), relation: "r".to_owned() };
    let query = Query { at: ReadPoint::default(), root, explain: false };
    let error = users().run(&query).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NqlError);
}
