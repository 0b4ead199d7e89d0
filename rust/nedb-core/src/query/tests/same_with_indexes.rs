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
    (0..6_u8, prop::option::weighted(0.85, document))
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
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rows_are_the_same_with_and_without_indexes(writes in prop::collection::vec(write(), 1..40)) {
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
