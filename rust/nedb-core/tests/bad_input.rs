//! Names, documents and queries that are refused, and that a refusal leaves no trace: same seq, same
//! head, same files, and the next write goes through. Every case runs in memory and on a disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::ErrorCode::{InvalidArgument, LimitExceeded, PreconditionFailed};
use nedb_core::{ErrorCode, IndexKind, Params, ReadOptions, Update};
use support::refusal::{Databases, none};

fn nested(depth: usize) -> String {
    format!("{{\"v\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn names_that_are_none_are_refused_everywhere() {
    let databases = Databases::new();
    let long = "é".repeat(2_049);
    let bad_collections = [
        ("", InvalidArgument),
        ("a:b", InvalidArgument),
        (":", InvalidArgument),
        (&long, LimitExceeded),
    ];
    for (name, expected) in bad_collections {
        databases.refuse(name, expected, |db| db.put(name, "x", "{}", &none()));
        databases.refuse(name, expected, |db| db.delete(name, "x", &none()));
        databases.refuse(name, expected, |db| db.expire(name, "x", 1.0, &none()));
        databases.refuse(name, expected, |db| db.create_index(name, "f", IndexKind::Eq));
        databases.refuse(name, expected, |db| db.update(name, "x", &none(), |_| Ok(Update::Keep)));
    }
    for (id, expected) in [("", InvalidArgument), (&long, LimitExceeded)] {
        databases.refuse(id, expected, |db| db.put("c", id, "{}", &none()));
        databases.refuse(id, expected, |db| db.delete("c", id, &none()));
        databases.refuse(id, expected, |db| {
            let documents =
                [("fine".to_owned(), "{}".to_owned()), (id.to_owned(), "{}".to_owned())];
            db.put_many("c", &documents, &none())
        });
    }
    databases.refuse("index", InvalidArgument, |db| db.create_index("c", "", IndexKind::Eq));
    databases.check_at_the_end();
}

#[test]
fn names_of_the_largest_size_and_of_any_text_are_taken() {
    let databases = Databases::new();
    let long = "é".repeat(2_048);
    for db in &databases.all {
        for id in [&long, "a:b:c", ":", " ", "\0", "\"\\\u{7f}", "😀", "../x", "_id"] {
            db.put("c", id, "{}", &none()).unwrap();
            db.put(&id.replace(':', "."), "x", "{}", &none()).unwrap();
            let found = db.get("c", id, &ReadOptions::default()).unwrap();
            assert!(found.is_some(), "{id}");
        }
    }
    databases.check_at_the_end();
}

#[test]
fn nodes_and_relations_that_are_none_are_refused() {
    let databases = Databases::new();
    let long = format!("c:{}", "x".repeat(4_097));
    let bad = [
        ("plain", "r", "c:x", InvalidArgument),
        ("c:x", "r", "plain", InvalidArgument),
        ("c:", "r", "c:x", InvalidArgument),
        (":x", "r", "c:x", InvalidArgument),
        ("", "r", "c:x", InvalidArgument),
        ("c:x", "", "c:x", InvalidArgument),
        (&long, "r", "c:x", LimitExceeded),
        ("c:x", &long, "c:x", LimitExceeded),
    ];
    for (from, relation, to, expected) in bad {
        databases.refuse(from, expected, |db| db.link(from, relation, to, &none()));
        databases.refuse(from, expected, |db| db.unlink(from, relation, to, &none()));
    }
    for node in ["plain", "", ":", "c:"] {
        databases.refuse(node, InvalidArgument, |db| db.neighbors(node, "r", None));
        databases.refuse(node, InvalidArgument, |db| db.inbound(node, "r", None));
    }
    databases.check_at_the_end();
}

#[test]
fn what_is_no_document_is_refused() {
    let databases = Databases::new();
    let bad = [
        "",
        " ",
        "null",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{}x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":1e999}",
        "{\"a\":-1e999}",
        "{\"a\":18446744073709551616}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"\\u0062\":2}}",
        "{\"a\":\"\\ud800\"}",
        "{\"\\udc00\":1}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "\u{feff}{}",
        "{\"a\":tru}",
        "{\"_id\":\"other\"}",
        "{\"_id\":1}",
        "{\"_id\":null}",
        "// {}\n{}",
        "{\"a\":1}\0",
    ];
    for text in bad {
        databases.refuse(text, InvalidArgument, |db| db.put("c", "x", text, &none()));
        databases.refuse(text, InvalidArgument, |db| {
            db.put_many("c", &[("a".into(), "{}".into()), ("x".into(), text.into())], &none())
        });
        databases.refuse(text, InvalidArgument, |db| {
            db.update("c", "x", &none(), |_| Ok(Update::Put(text.to_owned())))
        });
    }
    databases.check_at_the_end();
}

#[test]
fn documents_nest_to_128_and_no_deeper() {
    let databases = Databases::new();
    let item = |depth| {
        format!("[{{\"op\":\"put\",\"coll\":\"c\",\"id\":\"x\",\"doc\":{}}}]", nested(depth))
    };
    for db in &databases.all {
        db.put("c", "x", &nested(128), &none()).unwrap();
        db.batch(&item(128), &none()).unwrap();
        assert!(
            db.get("c", "x", &ReadOptions::default()).unwrap().unwrap().contains(&"[".repeat(127))
        );
    }
    for depth in [129, 1_000, 100_000] {
        let (document, item) = (nested(depth), item(depth));
        databases.refuse("too deep", LimitExceeded, |db| db.put("c", "x", &document, &none()));
        databases.refuse("too deep", LimitExceeded, |db| db.batch(&item, &none()));
    }
    databases.check_at_the_end();
}

#[test]
fn documents_are_as_large_as_the_limit_and_no_larger() {
    let databases = Databases::new();
    let of_bytes = |bytes: usize| format!("{{\"v\":\"{}\"}}", "x".repeat(bytes - 8));
    let largest = of_bytes(16 << 20);
    for db in &databases.all {
        db.put("c", "large", &largest, &none()).unwrap();
        db.delete("c", "large", &none()).unwrap();
    }
    let larger = of_bytes((16 << 20) + 1);
    databases.refuse("too large", LimitExceeded, |db| db.put("c", "large", &larger, &none()));
    databases.refuse("too large", LimitExceeded, |db| {
        db.put_many("c", &[("a".into(), "{}".into()), ("large".into(), larger.clone())], &none())
    });
    let item = format!("[{{\"op\":\"put\",\"coll\":\"c\",\"id\":\"x\",\"doc\":{larger}}}]");
    databases.refuse("too large", LimitExceeded, |db| db.batch(&item, &none()));
    databases.check_at_the_end();
}

#[test]
fn a_transaction_larger_than_a_line_is_refused() {
    let databases = Databases::new();
    let text = "x".repeat(15 << 20);
    let item = |n| {
        format!("{{\"op\":\"put\",\"coll\":\"c\",\"id\":\"{n}\",\"doc\":{{\"v\":\"{text}\"}}}}")
    };
    let items = format!("[{}]", (0..5).map(item).collect::<Vec<_>>().join(","));
    databases.refuse("too long a line", LimitExceeded, |db| db.batch(&items, &none()));
    databases.check_at_the_end();
}

#[test]
fn an_error_of_an_update_is_handed_through_and_leaves_no_trace() {
    let databases = Databases::new();
    databases.refuse("update", PreconditionFailed, |db| {
        db.update("c", "there", &none(), |current| {
            assert_eq!(current, Some(r#"{"_id":"there","_seq":1,"n":2}"#));
            Err(nedb_core::Error::new(PreconditionFailed, "not now"))
        })
    });
    databases.check_at_the_end();
}

#[test]
fn a_wrong_query_leaves_no_trace() {
    let databases = Databases::new();
    for nql in
        ["", "FROM", "SELECT 1", "FROM c WHERE", "FROM c LIMIT -1", "FROM c WHERE n = $1", "\0"]
    {
        databases.refuse(nql, ErrorCode::NqlError, |db| db.query(nql, &Params::none()));
    }
    databases.refuse("valid_as_of", InvalidArgument, |db| {
        let at = ReadOptions { valid_as_of: Some("banana".into()), ..ReadOptions::default() };
        db.get("c", "there", &at)
    });
    databases.check_at_the_end();
}

#[test]
fn any_seq_may_be_asked_for() {
    let databases = Databases::new();
    for db in &databases.all {
        for (as_of, expected) in
            [(-1, None), (i64::MIN, None), (0, Some(1)), (1, Some(2)), (i64::MAX, Some(2))]
        {
            let at = ReadOptions { as_of: Some(as_of), ..ReadOptions::default() };
            let found = db.get("c", "there", &at).unwrap();
            let expected =
                expected.map(|n| format!("{{\"_id\":\"there\",\"_seq\":{},\"n\":{n}}}", n - 1));
            assert_eq!(found, expected, "{as_of}");
            assert_eq!(db.op(as_of).unwrap().is_some(), (0..2).contains(&as_of), "{as_of}");
        }
    }
}
