//! The queries that are asked: shapes, each with any of the conditions.

use super::query::Condition::{
    self, And, Between, Compare, Contains, Fields, In, IsNull, Like, Not, Or,
};
use super::query::Query;

/// Valid times that are asked about: inside, on and beside the bounds that scripts write.
pub const DATES: [&str; 6] = [
    "2023-06-15",
    "2024-02-29T22:00:00Z",
    "2024-03-01",
    "2024-06-30T12:00:00Z",
    "2024-07-01",
    "2026-01-01T00:00:00+02:00",
];

/// What is searched for.
pub const SEARCHES: [&str; 6] = ["fox", "RED fox", "dog red", "lazy", "cat", "\\\"red fox\\\""];

fn and(left: Condition, right: Condition) -> Condition {
    And(Box::new(left), Box::new(right))
}

fn or(left: Condition, right: Condition) -> Condition {
    Or(Box::new(left), Box::new(right))
}

fn not(inner: Condition) -> Condition {
    Not(Box::new(inner))
}

/// Returns every condition that is asked.
pub fn conditions() -> Vec<Condition> {
    let a = |sign, value| Compare("a", sign, value);
    let b = |sign, value| Compare("b", sign, value);
    vec![
        a("=", "1"),
        a("=", "\"x\""),
        a("=", "null"),
        a("=", "true"),
        a("!=", "1.0"),
        a("<", "2"),
        a(">=", "1"),
        a(">", "\"\""),
        a("<=", "null"),
        a(">", "false"),
        b("=", "2.5"),
        Compare("n.x", "=", "9007199254740992"),
        Compare("n.x", ">", "9007199254740992"),
        Compare("_seq", ">", "4"),
        Compare("_id", "=", "\"q\""),
        Compare("_confidence", ">=", "0.5"),
        Compare("tags.0", "=", "\"x\""),
        Fields("a", "=", "b"),
        Fields("a", "<=", "b"),
        Fields("a", "!=", "b"),
        In("a", &["1", "\"y\"", "null"]),
        In("_id", &["\"t\"", "\"nobody\"", "\"p\"", "\"p\""]),
        In("a", &[]),
        Between("a", "0", "2"),
        Between("b", "\"\"", "\"x\""),
        Between("a", "1", "\"x\""),
        Like("text", "%fox%"),
        Like("text", "_o_"),
        Like("text", "50\\%%"),
        Contains("tags", "1"),
        Contains("tags", "\"x\""),
        Contains("text", "\"fox\""),
        Contains("a", "\"\""),
        IsNull("a"),
        not(IsNull("n")),
        and(a(">=", "0"), b("<", "3")),
        and(a(">", "0"), and(a("<", "2"), not(Compare("_id", "=", "\"p\"")))),
        and(a(">", "1"), a("<", "\"z\"")),
        or(a("=", "1"), b("=", "\"x\"")),
        or(a("=", "1"), or(a("=", "2"), a("=", "\"x\""))),
        not(or(a(">", "1"), IsNull("b"))),
        and(or(a("=", "1"), a("=", "2")), not(In("b", &["1", "true"]))),
    ]
}

/// Returns every shape of query, with a condition or without.
pub fn shapes(condition: Option<&Condition>) -> Vec<Query> {
    let plain = Query { condition: condition.cloned(), ..Query::default() };
    let shaped = |shape: Query| Query { condition: condition.cloned(), ..shape };
    let ordered = |order: &'static [(&'static str, bool)]| Query { order, ..plain.clone() };
    let all = &[("sum", "n.x"), ("avg", "n.x"), ("min", "n.x"), ("max", "n.x")];
    vec![
        plain.clone(),
        Query { limit: Some(2), offset: 1, ..plain.clone() },
        ordered(&[("a", false)]),
        Query { limit: Some(2), ..ordered(&[("a", true)]) },
        ordered(&[("a", true), ("b", false)]),
        Query { limit: Some(3), offset: 1, ..ordered(&[("n.x", true), ("_id", true)]) },
        Query { limit: Some(1), ..ordered(&[("b", false)]) },
        Query { limit: Some(2), ..ordered(&[("_id", true)]) },
        shaped(Query { group: &["a"], aggregates: all, ..Query::default() }),
        shaped(Query {
            group: &["b", "tags.0"],
            aggregates: &[("sum", "a"), ("max", "a")],
            having: Some(or(Compare("count", ">", "1"), Compare("sum_a", ">=", "1"))),
            order: &[("sum_a", true), ("max_a", false)],
            limit: Some(3),
            ..Query::default()
        }),
        shaped(Query { aggregates: &[("count", "")], ..Query::default() }),
        shaped(Query { aggregates: &[("avg", "a"), ("min", "b")], ..Query::default() }),
        Query { traverse: Some("likes"), ..ordered(&[("b", true)]) },
        Query { traverse: Some("knows"), limit: Some(1), offset: 1, ..plain.clone() },
        Query { traverse: Some("likes"), group: &["_id"], ..plain.clone() },
        Query { trace: Some(false), ..plain.clone() },
        Query { trace: Some(false), limit: Some(2), ..ordered(&[("_seq", true)]) },
        Query { trace: Some(true), ..plain.clone() },
        Query { trace: Some(true), group: &["a"], ..plain.clone() },
        Query { traverse: Some("likes"), trace: Some(true), limit: Some(2), ..plain },
    ]
}
