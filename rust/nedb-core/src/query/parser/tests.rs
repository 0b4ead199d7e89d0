//! Whole queries: what they mean, and what is said about the wrong ones.

use proptest::prelude::*;

use super::parse;
use crate::error::{Error, ErrorCode};
use crate::json::{Path, Value};
use crate::limits;
use crate::query::algebra::{
    AggregateFunction, CompareOperator, Expression, Operator, Query, ReadPoint, SortKey,
    TraceDirection,
};
use crate::query::params::Params;

fn query(nql: &str) -> Query {
    parse(nql, &Params::none()).unwrap_or_else(|error| panic!("{nql}: {error}"))
}

fn error_with(nql: &str, params: &Params) -> Error {
    parse(nql, params).expect_err(nql)
}

/// The message of an `NqlError`, which always has a place.
fn message(nql: &str) -> String {
    let error = error_with(nql, &Params::none());
    assert_eq!(error.code(), ErrorCode::NqlError, "{nql}: {error}");
    assert!(error.position().is_some(), "{nql}");
    error.message().to_owned()
}

fn params(json: &str) -> Params {
    Params::from_json(json).unwrap()
}

/// A query's tree on one line, innermost operator first.
fn tree(nql: &str) -> String {
    show_operator(&query(nql).root)
}

/// A tree with parameters.
fn tree_with(nql: &str, json: &str) -> String {
    let query = parse(nql, &params(json)).unwrap_or_else(|error| panic!("{nql}: {error}"));
    show_operator(&query.root)
}

/// The condition of `FROM c WHERE …` as an S-expression.
fn condition(text: &str) -> String {
    match query(&format!("FROM c WHERE {text}")).root {
        Operator::Filter { predicate, .. } => show(&predicate),
        other => panic!("{text}: {other:?}"),
    }
}

fn show_path(path: &Path) -> String {
    path.segments().iter().map(|segment| segment.to_string()).collect::<Vec<_>>().join("/")
}

fn show_paths(paths: &[Path]) -> String {
    paths.iter().map(show_path).collect::<Vec<_>>().join(",")
}

fn show_sort(keys: &[SortKey]) -> String {
    let show_key = |key: &SortKey| {
        format!("{}{}", if key.descending { "-" } else { "+" }, show_path(&key.path))
    };
    keys.iter().map(show_key).collect::<Vec<_>>().join(",")
}

fn show_operator(operator: &Operator) -> String {
    match operator {
        Operator::Scan { collection } => format!("scan({collection})"),
        Operator::Filter { input, predicate } => {
            format!("{} filter{}", show_operator(input), show(predicate))
        }
        Operator::Search { input, text, fields } => {
            format!("{} search({text};{})", show_operator(input), show_paths(fields))
        }
        Operator::Sort { input, keys } => {
            format!("{} sort({})", show_operator(input), show_sort(keys))
        }
        Operator::Traverse { input, relation } => {
            format!("{} traverse({relation})", show_operator(input))
        }
        Operator::Trace { input, direction: TraceDirection::Causes } => {
            format!("{} causes", show_operator(input))
        }
        Operator::Trace { input, direction: TraceDirection::Effects } => {
            format!("{} effects", show_operator(input))
        }
        Operator::Group { input, keys, aggregates } => {
            let mut computed = String::new();
            for aggregate in aggregates {
                let function = match aggregate.function {
                    AggregateFunction::Sum => "sum",
                    AggregateFunction::Average => "avg",
                    AggregateFunction::Minimum => "min",
                    AggregateFunction::Maximum => "max",
                };
                computed += &format!(" {function}:{}", show_path(&aggregate.path));
            }
            format!("{} group({};{computed} )", show_operator(input), show_paths(keys))
        }
        Operator::Slice { input, offset, limit } => {
            format!("{} slice({offset},{limit:?})", show_operator(input))
        }
    }
}

fn show(expression: &Expression) -> String {
    let all = |parts: &[Expression]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
    let values = |values: &[Value]| values.iter().map(show_value).collect::<Vec<_>>().join(" ");
    match expression {
        Expression::Literal(value) => show_value(value),
        Expression::Field(path) => show_path(path),
        Expression::Compare { operator, left, right } => {
            let operator = match operator {
                CompareOperator::Equal => "=",
                CompareOperator::NotEqual => "!=",
                CompareOperator::Less => "<",
                CompareOperator::LessOrEqual => "<=",
                CompareOperator::Greater => ">",
                CompareOperator::GreaterOrEqual => ">=",
            };
            format!("({operator} {} {})", show(left), show(right))
        }
        Expression::And(parts) => format!("(and {})", all(parts)),
        Expression::Or(parts) => format!("(or {})", all(parts)),
        Expression::Not(part) => format!("(not {})", show(part)),
        Expression::In { operand, values: list } => {
            format!("(in {} [{}])", show(operand), values(list))
        }
        Expression::Like { operand, pattern } => format!("(like {} {pattern:?})", show(operand)),
        Expression::Between { operand, low, high } => {
            format!("(between {} {} {})", show(operand), show_value(low), show_value(high))
        }
        Expression::IsNull(operand) => format!("(null {})", show(operand)),
        Expression::Contains { operand, value } => {
            format!("(contains {} {})", show(operand), show_value(value))
        }
    }
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => format!("{value}u"),
        Value::Float(value) => format!("{value:?}f"),
        Value::String(text) => format!("{text:?}"),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(show_value).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

// ---- clauses ----

#[test]
fn from_alone_is_a_scan_at_the_head() {
    let scanned = query("FROM users");
    assert_eq!(scanned.root, Operator::Scan { collection: "users".into() });
    assert_eq!(scanned.at, ReadPoint::default());
    assert!(!scanned.explain);
    assert_eq!(tree("from\n`odd name` -- a comment"), "scan(odd name)");
}

#[test]
fn the_queries_that_the_documentation_of_1_x_promised_are_read() {
    for (nql, expected) in [
        (
            r#"FROM users WHERE status = "active" ORDER BY age ASC"#,
            r#"scan(users) filter(= status "active") sort(+age)"#,
        ),
        (
            r#"FROM users WHERE age >= 25 AND status = "active""#,
            r#"scan(users) filter(and (>= age 25) (= status "active"))"#,
        ),
        (r#"FROM users SEARCH "systems engineer""#, "scan(users) search(systems engineer;)"),
        (
            r#"FROM users WHERE _id = "alice" TRAVERSE follows"#,
            r#"scan(users) filter(= _id "alice") traverse(follows)"#,
        ),
        (
            r#"FROM inputs WHERE _id = "turn_1" TRACE caused_by REVERSE"#,
            r#"scan(inputs) filter(= _id "turn_1") effects"#,
        ),
        ("FROM beliefs TRACE caused_by", "scan(beliefs) causes"),
        ("FROM orders LIMIT 20", "scan(orders) slice(0,Some(20))"),
        ("FROM orders GROUP BY status COUNT", "scan(orders) group(status; )"),
        ("FROM sales GROUP BY region SUM revenue", "scan(sales) group(region; sum:revenue )"),
        ("FROM items GROUP BY category", "scan(items) group(category; )"),
        (r#"FROM beliefs WHERE _confidence > 0.9"#, "scan(beliefs) filter(> _confidence 0.9f)"),
    ] {
        assert_eq!(tree(nql), expected, "{nql}");
    }
}

#[test]
fn both_time_axes_are_read() {
    let at = |nql| query(nql).at;
    assert_eq!(at("FROM p AS OF 200").as_of, Some(200));
    assert_eq!(at("FROM p as of -1").as_of, Some(-1));
    assert_eq!(at("FROM p AS OF 18446744073709551615").as_of, Some(i64::MAX));
    let both = at(r#"FROM p AS OF 200 VALID AS OF "2024-02-15""#);
    assert_eq!(both.as_of, Some(200));
    assert_eq!(both.valid_as_of.as_deref(), Some("2024-02-15"));
    assert_eq!(at(r#"FROM p WHERE x = 1 VALID AS OF "2024-02-15" AS OF 3"#).as_of, Some(3));
    assert!(query("EXPLAIN FROM p AS OF 3").explain);
}

#[test]
fn clauses_act_in_one_order_however_they_are_written() {
    let clauses = [
        "WHERE a = 1",
        "SEARCH 'x' IN (b, c.d)",
        "ORDER BY e DESC, f",
        "TRAVERSE g",
        "TRACE caused_by",
        "LIMIT 5",
        "OFFSET 2",
    ];
    let expected =
        "scan(t) filter(= a 1) search(x;b,c/d) sort(-e,+f) traverse(g) causes slice(2,Some(5))";
    let reversed: Vec<&str> = clauses.iter().rev().copied().collect();
    assert_eq!(tree(&format!("FROM t {}", clauses.join(" "))), expected);
    assert_eq!(tree(&format!("FROM t {}", reversed.join(" "))), expected);
}

#[test]
fn with_groups_order_by_sorts_the_groups() {
    let clauses = [
        "ORDER BY count DESC",
        "GROUP BY a, b",
        "SUM c, AVG d MIN e",
        "HAVING count > 1",
        "TRAVERSE r",
    ];
    let expected =
        "scan(t) traverse(r) group(a,b; sum:c avg:d min:e ) filter(> count 1) sort(-count)";
    let reversed: Vec<&str> = clauses.iter().rev().copied().collect();
    assert_eq!(tree(&format!("FROM t {}", clauses.join(" "))), expected);
    assert_eq!(tree(&format!("FROM t {}", reversed.join(" "))), expected);
}

#[test]
fn aggregates_stand_with_commas_or_without_and_without_groups() {
    assert_eq!(tree("FROM t COUNT"), "scan(t) group(; )");
    assert_eq!(
        tree("FROM t WHERE a = 1 SUM b, AVG b"),
        "scan(t) filter(= a 1) group(; sum:b avg:b )"
    );
    let expected = "scan(t) group(s; sum:total avg:total max:x/y )";
    assert_eq!(tree("FROM t GROUP BY s COUNT, SUM total AVG total, MAX x.y"), expected);
    assert_eq!(tree("FROM t GROUP BY s, SUM total, COUNT AVG total MAX x.y"), expected);
    assert_eq!(tree("FROM t SUM b HAVING sum_b > 3"), "scan(t) group(; sum:b ) filter(> sum_b 3)");
}

#[test]
fn a_clause_that_does_nothing_leaves_no_operator() {
    assert_eq!(tree("FROM t OFFSET 0"), "scan(t)");
    assert_eq!(tree("FROM t LIMIT 0"), "scan(t) slice(0,Some(0))");
    assert_eq!(tree("FROM t OFFSET 3"), "scan(t) slice(3,None)");
}

// ---- names and keywords ----

#[test]
fn keywords_are_names_where_a_name_must_stand() {
    for (nql, expected) in [
        ("FROM order", "scan(order)"),
        ("FROM Where WHERE where = 1", "scan(Where) filter(= where 1)"),
        ("FROM t ORDER BY order", "scan(t) sort(+order)"),
        ("FROM t ORDER BY desc DESC, asc", "scan(t) sort(-desc,+asc)"),
        ("FROM t TRAVERSE limit LIMIT 1", "scan(t) traverse(limit) slice(0,Some(1))"),
        ("FROM t GROUP BY count COUNT", "scan(t) group(count; )"),
        ("FROM t GROUP BY a, `count`", "scan(t) group(a,count; )"),
        ("FROM t GROUP BY group SUM sum", "scan(t) group(group; sum:sum )"),
        (
            "FROM t WHERE count > 1 AND search = `limit`",
            "scan(t) filter(and (> count 1) (= search limit))",
        ),
        ("FROM t WHERE and = 1 AND or = 2", "scan(t) filter(and (= and 1) (= or 2))"),
        ("FROM t WHERE in IN (1)", "scan(t) filter(in in [1])"),
        ("FROM t WHERE like LIKE 'x'", "scan(t) filter(like like \"x\")"),
        ("FROM t WHERE is IS NOT NULL", "scan(t) filter(not (null is))"),
        ("FROM t WHERE not = 1 AND NOT not = 2", "scan(t) filter(and (= not 1) (not (= not 2)))"),
        ("FROM t WHERE `null` = null", "scan(t) filter(= null null)"),
        ("FROM t SEARCH 'x' IN (search, in)", "scan(t) search(x;search,in)"),
    ] {
        assert_eq!(tree(nql), expected, "{nql}");
    }
}

#[test]
fn paths_go_into_documents_and_arrays() {
    assert_eq!(condition("a.b.c = 1"), "(= a/b/c 1)");
    assert_eq!(condition("items.0.price > 1"), "(> items/0/price 1)");
    assert_eq!(condition("order.by.where = 1"), "(= order/by/where 1)");
    assert_eq!(condition("`odd name`.`x.y`.`a``b`.``.z = 1"), "(= odd name/x.y/a`b//z 1)");
    assert_eq!(condition("größe.名前 = 1"), "(= größe/名前 1)");
    assert!(message("FROM c WHERE a. = 1").contains("right after the dot of a path"));
    assert!(message("FROM c WHERE a .b = 1").contains("no blanks around its dots"));
}

// ---- conditions ----

#[test]
fn every_comparison_is_read() {
    for (text, expected) in [
        ("a = 1", "(= a 1)"),
        ("a == 1", "(= a 1)"),
        ("a != 1", "(!= a 1)"),
        ("a <> 1", "(!= a 1)"),
        ("a<1", "(< a 1)"),
        ("a<=-1", "(<= a -1)"),
        ("a>+1", "(> a 1)"),
        ("a>=1", "(>= a 1)"),
        ("5 < a", "(< 5 a)"),
        ("a = b.c", "(= a b/c)"),
        ("1 = 1", "(= 1 1)"),
        ("a IN (1, 'x', null)", "(in a [1 \"x\" null])"),
        ("a IN ()", "(in a [])"),
        ("a NOT IN (1)", "(not (in a [1]))"),
        ("a LIKE 'x%'", "(like a \"x%\")"),
        ("a NOT LIKE 'x%'", "(not (like a \"x%\"))"),
        ("a BETWEEN 1 AND 2 AND b = 3", "(and (between a 1 2) (= b 3))"),
        ("a NOT BETWEEN 'x' AND 'y'", "(not (between a \"x\" \"y\"))"),
        ("a IS NULL", "(null a)"),
        ("a IS NOT NULL", "(not (null a))"),
        ("a CONTAINS 'x'", "(contains a \"x\")"),
        ("a not contains 'x'", "(not (contains a \"x\"))"),
    ] {
        assert_eq!(condition(text), expected, "{text}");
    }
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    for (text, expected) in [
        ("a=1 OR b=2 AND c=3", "(or (= a 1) (and (= b 2) (= c 3)))"),
        ("a=1 AND b=2 OR c=3", "(or (and (= a 1) (= b 2)) (= c 3))"),
        ("(a=1 OR b=2) AND c=3", "(and (or (= a 1) (= b 2)) (= c 3))"),
        ("NOT a=1 AND b=2", "(and (not (= a 1)) (= b 2))"),
        ("NOT (a=1 AND b=2)", "(not (and (= a 1) (= b 2)))"),
        ("NOT NOT a=1", "(not (not (= a 1)))"),
        ("not a not in (1)", "(not (not (in a [1])))"),
        ("((a=1))", "(= a 1)"),
        ("a=1 AND b=2 AND c=3", "(and (= a 1) (= b 2) (= c 3))"),
        ("a=1 or b=2 Or c=3", "(or (= a 1) (= b 2) (= c 3))"),
    ] {
        assert_eq!(condition(text), expected, "{text}");
    }
}

#[test]
fn literals_keep_their_type_and_value() {
    for (text, expected) in [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854775808u"),
        ("1.50", "1.5f"),
        ("-2e3", "-2000.0f"),
        ("1E-2", "0.01f"),
        ("007", "7"),
        ("TRUE", "true"),
        ("False", "false"),
        ("NuLL", "null"),
        (r#""it's""#, r#""it's""#),
        (r#"'say \"hi\"'"#, r#""say \"hi\"""#),
        (r"'\u00e9\ud83d\ude00'", r#""é😀""#),
        ("''", r#""""#),
    ] {
        assert_eq!(condition(&format!("a = {text}")), format!("(= a {expected})"), "{text}");
    }
    for (text, place) in [
        ("18446744073709551616", "beyond the integers"),
        ("-9223372036854775809", "beyond the integers"),
        ("1e999", "beyond the range"),
        (r"'abc\x'", "unknown escape \\x"),
    ] {
        assert!(message(&format!("FROM c WHERE a = {text}")).contains(place), "{text}");
    }
    let escape = message(r"FROM c WHERE a = 'abc\x'");
    assert!(escape.ends_with("(line 1, column 22)"), "{escape}");
}

// ---- parameters ----

#[test]
fn parameters_stand_wherever_values_may() {
    let nql = "FROM t AS OF $1 VALID AS OF $2 WHERE a = $3 AND b IN ($3, $4) AND c LIKE $2 \
               AND d BETWEEN $1 AND $4 AND e CONTAINS $3 AND f IN $5 AND $1 < g SEARCH $2 LIMIT $1 OFFSET $4";
    let given = r#"[3, "2024-01-01", {"x":"' OR 1=1 --"}, 4, [1, "y"], "unused"]"#;
    let query = parse(nql, &params(given)).unwrap();
    assert_eq!(query.at.as_of, Some(3));
    assert_eq!(query.at.valid_as_of.as_deref(), Some("2024-01-01"));
    let object = r#"Object([("x", String("' OR 1=1 --"))])"#;
    let expected = format!(
        "scan(t) filter(and (= a {object}) (in b [{object} 4]) (like c \"2024-01-01\") \
         (between d 3 4) (contains e {object}) (in f [1 \"y\"]) (< 3 g)) search(2024-01-01;) \
         slice(4,Some(3))"
    );
    assert_eq!(show_operator(&query.root), expected);
}

#[test]
fn parameters_have_names_too() {
    assert_eq!(
        tree_with("FROM t WHERE a = $who AND b = $1 LIMIT $n", r#"{"who":"x","n":2,"1":true}"#),
        "scan(t) filter(and (= a \"x\") (= b true)) slice(0,Some(2))"
    );
}

/// Queries, parameters that do not fit them, and what is said about it.
const WRONG_PARAMETERS: &[(&str, &str, &str)] = &[
    ("FROM t WHERE a = $2", "[1]", "parameter $2 has no value: 1 given (line 1, column 18)"),
    ("FROM t WHERE a = $x", "{}", "parameter $x has no value under that name (line 1, column 18)"),
    (
        "FROM t WHERE a = $x",
        "[1]",
        "parameter $x has no value: parameters were given by position, not by name (line 1, column 18)",
    ),
    (
        "FROM t WHERE a = $1",
        "null",
        "parameter $1 has no value: no parameters were given (line 1, column 18)",
    ),
    (
        "FROM t LIMIT $1",
        "[\"5\"]",
        "expected a whole number of 0 or more, found the parameter $1, which is a string (line 1, column 14)",
    ),
    (
        "FROM t LIMIT $1",
        "[-5]",
        "expected a whole number of 0 or more, found the parameter $1, which is negative (line 1, column 14)",
    ),
    (
        "FROM t LIMIT $1",
        "[5.5]",
        "expected a whole number of 0 or more, found the parameter $1, which is no whole number (line 1, column 14)",
    ),
    (
        "FROM t WHERE a IN $1",
        "[5]",
        "expected an array or \"(\" after IN, found the parameter $1, which is a whole number (line 1, column 19)",
    ),
    (
        "FROM t WHERE a LIKE $1",
        "[null]",
        "expected a pattern in quotes, found the parameter $1, which is null (line 1, column 21)",
    ),
];

#[test]
fn a_parameter_without_value_or_of_the_wrong_type_is_an_error_at_its_place() {
    for &(nql, given, expected) in WRONG_PARAMETERS {
        let error = error_with(nql, &params(given));
        assert_eq!((error.code(), error.message()), (ErrorCode::NqlError, expected), "{nql}");
    }
}

// ---- errors ----

/// Wrong queries, and what is said about them.
const WRONG_QUERIES: &[(&str, &str)] = &[
    (
        "FROM users WHERE status = ",
        "expected a value after \"=\", found end of query (line 1, column 27)",
    ),
    ("", "expected FROM (or EXPLAIN FROM), found end of query (line 1, column 1)"),
    (
        "FORM users",
        "expected FROM (or EXPLAIN FROM), found \"FORM\"; did you mean FROM? (line 1, column 1)",
    ),
    ("FROM", "expected a collection after \"FROM\", found end of query (line 1, column 5)"),
    (
        "FROM 'users'",
        "expected a collection after \"FROM\", found the string 'users' (line 1, column 6)",
    ),
    (
        "FROM users WEHRE a = 1",
        "expected a clause (such as WHERE, ORDER BY or LIMIT) or the end after \"users\", found \"WEHRE\"; did you mean WHERE? (line 1, column 12)",
    ),
    (
        "FROM users\nWHERE a = 1\n  ADN b = 2",
        "expected AND, OR, another clause or the end after the number 1, found \"ADN\"; did you mean AND? (line 3, column 3)",
    ),
    ("FROM users ORDER age", "expected BY after \"ORDER\", found \"age\" (line 1, column 18)"),
    (
        "FROM users WHERE a LIEK 'x'",
        "expected a comparison (= != < <= > >= IN LIKE BETWEEN IS CONTAINS) after \"a\", found \"LIEK\"; did you mean LIKE? (line 1, column 20)",
    ),
    (
        "FROM users WHERE a NOT 5",
        "expected IN, LIKE, BETWEEN or CONTAINS after \"NOT\", found the number 5 (line 1, column 24)",
    ),
    (
        "FROM users WHERE a = LIMIT 5",
        "expected a value, found the bare word LIMIT; put a text in quotes, \"LIMIT\", or a field to compare with in backticks, `LIMIT` (line 1, column 22)",
    ),
    (
        "FROM users WHERE 1 < a < 5",
        "comparisons cannot be chained: join them with AND, or use BETWEEN (line 1, column 24)",
    ),
    (
        "FROM users WHERE (a = 1",
        "expected AND, OR or \")\" after the number 1, found end of query (line 1, column 24)",
    ),
    (
        "FROM users WHERE a = 1)",
        "expected AND, OR, another clause or the end after the number 1, found \")\" (line 1, column 23)",
    ),
    (
        "FROM users WHERE",
        "expected a condition after \"WHERE\", found end of query (line 1, column 17)",
    ),
    (
        "FROM users WHERE a IN (x)",
        "expected a value (a string is in quotes) after \"(\", found \"x\" (line 1, column 24)",
    ),
    ("FROM users WHERE a IN (1,)", "expected a value after \",\", found \")\" (line 1, column 26)"),
    (
        "FROM users WHERE a IN 1",
        "expected \"(\" or a parameter that is an array after \"IN\", found the number 1 (line 1, column 23)",
    ),
    (
        "FROM users WHERE a = 'it''s'",
        "expected AND, OR, another clause or the end after the string 'it', found the string 's'; inside a string, a quote is written \\\" or \\' (line 1, column 26)",
    ),
    (
        "FROM users LIMIT 5 WHERE a = 1 LIMIT 6",
        "LIMIT is here a second time; a query takes it once (line 1, column 32)",
    ),
    (
        "FROM users AS OF 1 AS OF 2",
        "AS OF is here a second time; a query takes it once (line 1, column 20)",
    ),
    (
        "FROM users COUNT GROUP BY a SUM b",
        "a list of aggregates is here a second time; a query takes it once (line 1, column 29)",
    ),
    (
        "FROM users HAVING a = 1",
        "HAVING needs GROUP BY or an aggregate; documents are filtered by WHERE (line 1, column 12)",
    ),
    (
        "FROM users LIMIT -1",
        "expected a whole number of 0 or more, found the number -1 (line 1, column 18)",
    ),
    (
        "FROM users LIMIT 1.5",
        "expected a whole number of 0 or more, found the number 1.5 (line 1, column 18)",
    ),
    (
        "FROM users OFFSET x",
        "expected a whole number of 0 or more after \"OFFSET\", found \"x\" (line 1, column 19)",
    ),
    (
        "FROM users AS OF 1.5",
        "expected a seq (a whole number), found the number 1.5 (line 1, column 18)",
    ),
    (
        "FROM users TRACE friends",
        "expected caused_by after \"TRACE\", found \"friends\" (line 1, column 18)",
    ),
    ("FROM users GROUP BY a, a", "\"a\" is in its list already (line 1, column 24)"),
    ("FROM users SUM a.b, SUM a.b", "\"SUM a.b\" is in its list already (line 1, column 21)"),
    ("FROM users COUNT, COUNT", "\"COUNT\" is in its list already (line 1, column 19)"),
    (
        "FROM users COUNT,",
        "expected COUNT, SUM, AVG, MIN or MAX after \",\", found end of query (line 1, column 18)",
    ),
    (
        "FROM users SEARCH 'x' IN ()",
        "expected a field after \"(\", found \")\" (line 1, column 27)",
    ),
    (
        "FROM users SEARCH rust",
        "expected a text in quotes after \"SEARCH\", found \"rust\" (line 1, column 19)",
    ),
    (
        "FROM users VALID AS OF 2024",
        "expected a date in quotes, found the number 2024 (line 1, column 24)",
    ),
    (
        "FROM users VALID AS OF 'soon'",
        "expected a date of ISO 8601, such as \"2024-02-15\" or \"2024-02-15T08:30:00Z\", found the string 'soon' (line 1, column 24)",
    ),
    (
        "FROM users VALID AS OF '2024-02-30'",
        "expected a date of ISO 8601, such as \"2024-02-15\" or \"2024-02-15T08:30:00Z\", found the string '2024-02-30' (line 1, column 24)",
    ),
    ("FROM é🦀 WHERE", "unexpected character '🦀' (line 1, column 7)"),
];

#[test]
fn errors_say_what_was_expected_and_what_was_found_where() {
    for &(nql, expected) in WRONG_QUERIES {
        assert_eq!(message(nql), expected, "{nql}");
    }
}

#[test]
fn a_position_has_bytes_lines_and_characters() {
    let error = error_with("FROM größe\nWHERE é = ,", &Params::none());
    let position = error.position().unwrap();
    assert_eq!((position.offset_bytes, position.line, position.column), (24, 2, 11));
}

#[test]
fn what_is_too_large_is_a_limit_and_never_a_crash() {
    let code = |nql: &str| error_with(nql, &Params::none()).code();
    for (open, close) in [("(", ")"), ("NOT ", ""), ("NOT(", ")"), ("(", "")] {
        let nql = |depth| format!("FROM t WHERE {}a=1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(code(&nql(100_000)), ErrorCode::LimitExceeded, "{open}");
    }
    let deepest = limits::EXPRESSION_DEPTH_MAX;
    let nested = |depth| format!("FROM t WHERE {}a=1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(deepest), &Params::none()).is_ok());
    assert_eq!(code(&nested(deepest + 1)), ErrorCode::LimitExceeded);
    let long = format!("FROM t WHERE a = '{}'", "x".repeat(limits::QUERY_BYTES_MAX));
    assert_eq!(code(&long), ErrorCode::LimitExceeded);
    let list = |count| format!("FROM t WHERE a IN ({}1)", "1,".repeat(count - 1));
    assert!(parse(&list(limits::LIST_VALUES_COUNT_MAX), &Params::none()).is_ok());
    assert_eq!(code(&list(limits::LIST_VALUES_COUNT_MAX + 1)), ErrorCode::LimitExceeded);
    let array = Value::Array(vec![Value::Null; limits::LIST_VALUES_COUNT_MAX + 1]);
    let error = error_with("FROM t WHERE a IN $1", &Params::positional(vec![array]));
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    let wide = format!("FROM t WHERE a=1{}", " AND a=1".repeat(100_000));
    assert!(parse(&wide, &Params::none()).is_ok());
}

// ---- the documentation ----

/// The reference that users read.
const REFERENCE: &str = include_str!("../../../../../docs/nql.md");

/// The texts of the reference's fenced blocks of one kind.
fn blocks(kind: &str) -> impl Iterator<Item = &'static str> {
    let fence = format!("```{kind}\n");
    let starts: Vec<usize> = REFERENCE.match_indices(&fence).map(|(start, _)| start).collect();
    starts.into_iter().filter_map(move |start| REFERENCE[start + fence.len()..].split("```").next())
}

#[test]
fn every_query_of_the_reference_is_read() {
    let named = params(r#"{"status": "x", "ids": [], "1": "x", "2": 1, "3": 1}"#);
    let queries: Vec<&str> = blocks("nql").flat_map(str::lines).collect();
    assert!(queries.len() > 30, "{}", queries.len());
    for nql in queries {
        parse(nql, &named).unwrap_or_else(|error| panic!("{nql}: {error}"));
    }
}

#[test]
fn every_error_of_the_reference_is_the_one_given() {
    let lines: Vec<&str> = blocks("text").flat_map(str::lines).filter(|l| !l.is_empty()).collect();
    assert_eq!(lines.len(), 8);
    for pair in lines.chunks(2) {
        assert_eq!(message(pair[0]), pair[1]);
    }
}

// ---- any text ----

/// Words, symbols and rubbish that queries are made of.
fn piece() -> impl Strategy<Value = String> {
    let words = "FROM EXPLAIN AS OF VALID WHERE SEARCH ORDER BY ASC DESC TRAVERSE TRACE caused_by \
                 REVERSE GROUP COUNT SUM AVG MIN MAX HAVING LIMIT OFFSET AND OR NOT IN LIKE BETWEEN \
                 IS NULL TRUE CONTAINS a b.c x.0 `q` 'x' \"y\" 1 -2 1.5 $1 $n ( ) , = != < >= . -- ` ' \\ é 名 🦀";
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    prop_oneof![8 => prop::sample::select(words), 1 => any::<char>().prop_map(String::from)]
}

/// Parses for the sake of not panicking, and checks what every error promises.
fn check(nql: &str) {
    let given = Params::positional(vec![Value::Int(1)]);
    if let Err(error) = parse(nql, &given) {
        match error.code() {
            ErrorCode::NqlError => {
                let position = error.position().expect("an NqlError has a place");
                assert!(nql.is_char_boundary(position.offset_bytes), "{nql:?}: {error}");
                let place = format!("(line {}, column {})", position.line, position.column);
                assert!(error.message().ends_with(&place), "{nql:?}: {error}");
            }
            other => assert_eq!(other, ErrorCode::LimitExceeded, "{nql:?}: {error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text);
        check(&format!("FROM c WHERE {text}"));
        check(&format!("FROM c WHERE a = \"{text}\""));
    }

    #[test]
    fn any_words_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..24)) {
        check(&pieces.join(" "));
        check(&pieces.concat());
        check(&format!("FROM c {}", pieces.join(" ")));
    }

    #[test]
    fn a_damaged_query_is_read_or_refused(at in 0usize..400, cut in 0usize..6, with in piece()) {
        let whole = "EXPLAIN FROM `a``b` AS OF 12 VALID AS OF '2024-02-15' WHERE NOT (a.0.b >= -1.5e3 OR \
                     é LIKE \"x\\u00e9%\") AND c IN (1, $1) AND d NOT BETWEEN 1 AND 2 AND e IS NOT NULL \
                     SEARCH 'two words' IN (f, g) ORDER BY h DESC, i TRAVERSE r TRACE caused_by REVERSE \
                     GROUP BY j, k COUNT, SUM l AVG m HAVING count > 1 LIMIT 5 OFFSET $1 -- done";
        check(whole);
        let characters: Vec<char> = whole.chars().collect();
        let at = at.min(characters.len());
        let end = (at + cut).min(characters.len());
        let (before, after) = (&characters[..at], &characters[end..]);
        check(&format!("{}{with}{}", String::from_iter(before), String::from_iter(after)));
    }

    #[test]
    fn any_string_comes_back_from_a_literal(text in any::<String>()) {
        let literal = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let parsed = parse(&format!("FROM c WHERE a = {literal}"), &Params::none()).unwrap();
        let Operator::Filter { predicate: Expression::Compare { right, .. }, .. } = parsed.root else {
            panic!("{literal}");
        };
        prop_assert_eq!(*right, Expression::Literal(Value::String(text)));
    }

    #[test]
    fn any_name_comes_back_from_backticks(name in any::<String>()) {
        let parsed = query(&format!("FROM `{}`", name.replace('`', "``")));
        prop_assert_eq!(parsed.root, Operator::Scan { collection: name });
    }

    #[test]
    fn any_number_comes_back_from_a_literal(number in any::<i64>(), double in -1e300f64..1e300) {
        prop_assert_eq!(condition(&format!("a={number}")), format!("(= a {number})"));
        prop_assert_eq!(condition(&format!("a={double:?}")), format!("(= a {double:?}f)"));
    }
}
