//! Indexes never change a result: random histories, many queries, each with and without indexes.

use proptest::prelude::*;

use super::fixture::Fixture;
use crate::snapshot::IndexKind;

/// Conditions over the fields that the histories write.
const CONDITIONS: &[&str] = &[
    "a = 1",
    "a = 1.0",
    "a = null",
    "a IS NULL",
    "a != 1",
    "a IN (1, \"x\", null)",
    "a = 1 OR a = 2",
    "a = 1 OR b = \"x\"",
    "a = 2 AND b = \"y\"",
    "a > 1",
    "a >= 1 AND a < 3",
    "a > \"w\"",
    "a < null",
    "a <= null",
    "a > 1 AND a < \"x\"",
    "a BETWEEN 1 AND 2",
    "a BETWEEN 1 AND \"x\"",
    "b > \"w\" AND a > 0",
    "NOT a > 1",
    "_id = \"d1\"",
    "_id IN (\"d3\", \"d0\", \"none\", \"d3\")",
    "_id = \"d1\" AND a = 1",
    "_seq > 3 AND a = 1",
    "n.x = 1",
    "n.x <= 2 AND n.x > 0",
    "a CONTAINS 1",
    "a = true",
    "a >= false",
];

const TAILS: &[&str] = &[
    "",
    "LIMIT 2",
    "LIMIT 1 OFFSET 1",
    "ORDER BY a",
    "ORDER BY a DESC",
    "ORDER BY a LIMIT 2",
    "ORDER BY a DESC LIMIT 2 OFFSET 1",
    "ORDER BY a DESC, b LIMIT 3",
    "ORDER BY b",
    "ORDER BY n.x DESC LIMIT 3",
    "ORDER BY _seq DESC",
    "GROUP BY a COUNT SUM n.x",
];

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &["null", "1", "1.0", "2", "3", "\"x\"", "\"y\"", "true", "false", "[1,2]", "{}"][..],
    )
}

/// One write: which document, deleted or with which values and valid from when.
fn write() -> impl Strategy<Value = (u8, Option<(String, u8)>)> {
    let document =
        (value(), value(), value(), any::<bool>(), 0..4_u8).prop_map(|(a, b, x, has_a, valid)| {
            let a = if has_a { format!("\"a\":{a},") } else { String::new() };
            (format!("{{{a}\"b\":{b},\"n\":{{\"x\":{x}}}}}"), valid)
        });
    (0..24_u8, prop::option::weighted(0.85, document))
}

fn apply(fixture: &Fixture, writes: &[(u8, Option<(String, u8)>)]) {
    for (number, document) in writes {
        let id = format!("d{number}");
        match document {
            None => fixture.delete("c", &id),
            Some((document, 0)) => fixture.put("c", &id, document),
            Some((document, valid)) => {
                let dated =
                    document.replacen('{', &format!("{{\"_valid_from\":\"202{valid}-01-01\","), 1);
                fixture.put("c", &id, &dated)
            }
        };
    }
}

fn points(op_count: usize) -> Vec<String> {
    let mut points = vec![String::new(), "VALID AS OF \"2021-06-01\"".to_owned()];
    points.extend([op_count / 2, op_count].map(|seq| format!("AS OF {seq}")));
    points.push(format!("AS OF {} VALID AS OF \"2022-06-01\"", op_count / 2));
    points
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rows_are_the_same_with_and_without_indexes(writes in prop::collection::vec(write(), 1..120)) {
        let plain = Fixture::new();
        let indexed = Fixture::new();
        let (early, late) = writes.split_at(writes.len() / 2);
        apply(&plain, &writes);
        apply(&indexed, early);
        indexed.index("c", IndexKind::Eq, "b");
        indexed.index("c", IndexKind::Ordered, "a");
        indexed.index("c", IndexKind::Ordered, "n.x");
        apply(&indexed, late);
        for point in points(writes.len()) {
            for tail in TAILS {
                let all = format!("FROM c {point} {tail}");
                prop_assert_eq!(plain.query(&all), indexed.query(&all), "{}", all);
                for condition in CONDITIONS {
                    let nql = format!("FROM c {point} WHERE {condition} {tail}");
                    prop_assert_eq!(plain.query(&nql), indexed.query(&nql), "{}", nql);
                }
            }
        }
    }

    #[test]
    fn limits_give_a_prefix_of_the_whole(writes in prop::collection::vec(write(), 1..40), limit in 0..8_usize) {
        let fixture = Fixture::new();
        apply(&fixture, &writes);
        fixture.index("c", IndexKind::Ordered, "a");
        for tail in ["", "ORDER BY a", "ORDER BY b DESC", "GROUP BY a COUNT", "GROUP BY a COUNT ORDER BY count"] {
            for condition in CONDITIONS {
                let nql = format!("FROM c WHERE {condition} {tail}");
                let whole = fixture.query(&nql);
                let some = fixture.query(&format!("{nql} LIMIT {limit}"));
                prop_assert_eq!(&whole[..limit.min(whole.len())], &some, "{}", nql);
            }
        }
    }
}

const SEARCHES: &[&str] = &[
    r#"SEARCH "red" IN (t)"#,
    r#"SEARCH "red fox" IN (t)"#,
    r#"SEARCH "\"big red\" fox" IN (t)"#,
    r#"SEARCH "red" IN (t) LIMIT 2"#,
    r#"SEARCH "red" IN (t) ORDER BY k LIMIT 2"#,
    r#"WHERE k = 1 SEARCH "fox" IN (t)"#,
    r#"SEARCH "fox" IN (t) GROUP BY k COUNT"#,
];

fn text_write() -> impl Strategy<Value = (u8, Option<(String, u8)>)> {
    let words = prop::sample::select(&["big", "red", "fox", "Red", "dog"][..]);
    let text = prop::collection::vec(words, 0..6).prop_map(|words| words.join(" "));
    let value = (text, any::<bool>()).prop_map(|(text, listed)| match listed {
        true => format!(r#"["{text}",{{"big":"red"}},7]"#),
        false => format!(r#""{text}""#),
    });
    let document = (value, 0..3_u8, 0..3_u8)
        .prop_map(|(text, k, valid)| (format!(r#"{{"k":{k},"t":{text}}}"#), valid));
    (0..12_u8, prop::option::weighted(0.9, document))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn searches_and_scores_are_the_same_with_and_without_an_index(
        writes in prop::collection::vec(text_write(), 1..60),
    ) {
        let plain = Fixture::new();
        let indexed = Fixture::new();
        let (early, late) = writes.split_at(writes.len() / 2);
        apply(&plain, &writes);
        apply(&indexed, early);
        indexed.index("c", IndexKind::Search, "t");
        apply(&indexed, late);
        for point in points(writes.len()) {
            for search in SEARCHES {
                let nql = format!("FROM c {point} {search}");
                let rows = indexed.query(&nql);
                prop_assert_eq!(&plain.query(&nql), &rows, "{}", nql);
                prop_assert_eq!(&indexed.query(&nql.replace(" IN (t)", "")), &rows, "{}", nql);
            }
        }
    }
}

/// Documents in more chunks than one, and a condition that few of them pass.
fn large() -> Fixture {
    let fixture = Fixture::new();
    for number in 0..5_000_u32 {
        let document =
            format!(r#"{{"a":{},"b":{},"n":{number}}}"#, number % 7, number * 31 % 4_999);
        fixture.put("c", &format!("d{number}"), &document);
    }
    fixture
}

const LARGE: &[&str] = &[
    "FROM c AS OF 4999 WHERE a = 3 AND n > 4990",
    "FROM c AS OF 4999 WHERE a = 3 AND n > 4000 LIMIT 5",
    "FROM c AS OF 4999 WHERE a = 3 LIMIT 3 OFFSET 700",
    "FROM c AS OF 4999 WHERE a >= 6 AND n >= 4900 ORDER BY a DESC LIMIT 4",
    "FROM c AS OF 4999 WHERE n >= 4990 ORDER BY b LIMIT 3",
    "FROM c AS OF 4999 WHERE n >= 4990 ORDER BY b DESC",
    "FROM c AS OF 4999 ORDER BY b DESC LIMIT 3 OFFSET 2000",
    "FROM c AS OF 4999 WHERE b BETWEEN 100 AND 1100",
    "FROM c AS OF 4999 GROUP BY a COUNT SUM b",
];

#[test]
fn long_walks_over_an_index_give_the_rows_of_a_scan() {
    let plain = large();
    let indexed = large();
    indexed.index("c", IndexKind::Eq, "a");
    indexed.index("c", IndexKind::Ordered, "b");
    for nql in LARGE {
        assert_eq!(plain.query(nql), indexed.query(nql), "{nql}");
    }
}

#[test]
fn what_is_written_during_a_query_does_not_change_it() {
    let fixture = large();
    fixture.index("c", IndexKind::Eq, "a");
    fixture.index("c", IndexKind::Ordered, "b");
    let expected: Vec<_> = LARGE.iter().map(|nql| fixture.query(nql)).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..3_000_u32 {
                let id = format!("d{}", number * 17 % 5_000);
                match number % 3 {
                    0 => fixture.delete("c", &id),
                    _ => {
                        fixture.put("c", &id, &format!(r#"{{"a":3,"b":{},"n":4999}}"#, number % 50))
                    }
                };
            }
        });
        while !writer.is_finished() {
            for (nql, expected) in LARGE.iter().zip(&expected) {
                assert_eq!(&fixture.query(nql), expected, "{nql}");
            }
        }
    });
}
