//! Options, nonces, preconditions and transactions that are refused, and that a refusal leaves no trace:
//! same seq, same head, same files, and the next write goes through, in memory and on a disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::ErrorCode::{InvalidArgument, LimitExceeded, PreconditionFailed, ReplayError};
use nedb_core::WriteOptions;
use support::refusal::{Databases, none};

#[test]
fn options_that_make_no_sense_are_refused() {
    let databases = Databases::new();
    let none_at_all =
        [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY].map(|ttl| (ttl, InvalidArgument));
    let too_long = [f64::INFINITY, f64::MAX, 1e12].map(|ttl| (ttl, LimitExceeded));
    for (ttl, expected) in none_at_all.into_iter().chain(too_long) {
        let options = WriteOptions { ttl_seconds: Some(ttl), ..none() };
        databases.refuse_options(&format!("ttl {ttl}"), expected, options);
        databases.refuse("expire", expected, |db| db.expire("c", "there", ttl, &none()));
    }
    for confidence in [-0.1, 1.000_000_1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let options = WriteOptions { confidence: Some(confidence), ..none() };
        databases.refuse_options(&format!("confidence {confidence}"), InvalidArgument, options);
    }
    for caused_by in [vec![-1], vec![0, 1_000_000], vec![i64::MAX], vec![i64::MIN]] {
        let name = format!("caused_by {caused_by:?}");
        databases.refuse_options(&name, InvalidArgument, WriteOptions { caused_by, ..none() });
    }
    let dates =
        [("banana", None), ("", None), ("2024-13-01", None), ("2024-02-30", None), ("2024", None)];
    for (from, to) in dates.into_iter().chain([("2025-01-01", Some("2024-01-01"))]) {
        let (valid_from, valid_to) = (Some(from.to_owned()), to.map(str::to_owned));
        databases.refuse_options(
            from,
            InvalidArgument,
            WriteOptions { valid_from, valid_to, ..none() },
        );
        let valid_to = Some(from.to_owned()).filter(|_| to.is_none());
        if valid_to.is_some() {
            databases.refuse_options(from, InvalidArgument, WriteOptions { valid_to, ..none() });
        }
    }
    databases.check_at_the_end();
}

#[test]
fn options_that_are_too_long_are_refused() {
    let databases = Databases::new();
    let long = || Some("x".repeat(4_097));
    let too_long = [
        WriteOptions { client: long(), ..none() },
        WriteOptions { idem: long(), ..none() },
        WriteOptions { evidence: Some("x".repeat((64 << 10) + 1)), ..none() },
        WriteOptions { caused_by: vec![0; 10_001], ..none() },
    ];
    for options in too_long {
        databases.refuse_options("too long", LimitExceeded, options);
    }
    for options in [
        WriteOptions { client: Some(String::new()), ..none() },
        WriteOptions { idem: Some(String::new()), ..none() },
    ] {
        databases.refuse_options("empty", InvalidArgument, options);
    }
    databases.check_at_the_end();
}

#[test]
fn nonces_are_from_1_to_the_largest_and_rise() {
    let databases = Databases::new();
    let with = |client: &str, nonce| WriteOptions { client: Some(client.into()), nonce, ..none() };
    for nonce in [0, -1, i64::MIN] {
        databases.refuse_options("nonce", InvalidArgument, with("n", Some(nonce)));
    }
    for db in &databases.all {
        db.put("c", "x", "{}", &with("n", Some(5))).unwrap();
        db.put("c", "x", "{}", &with("full", Some(i64::MAX))).unwrap();
    }
    for options in [
        with("n", Some(5)),
        with("n", Some(1)),
        with("full", Some(i64::MAX)),
        with("full", Some(1)),
        with("full", None),
    ] {
        databases.refuse_options("replayed", ReplayError, options.clone());
        databases.refuse("replayed", ReplayError, |db| db.delete("c", "x", &options));
        databases.refuse("replayed", ReplayError, |db| db.link("c:x", "r", "c:y", &options));
    }
    databases.check_at_the_end();
}

#[test]
fn preconditions_that_do_not_hold_are_refused() {
    let databases = Databases::new();
    for (id, if_seq) in
        [("there", 0), ("there", -1), ("there", 99), ("missing", 0), ("missing", -2)]
    {
        let options = WriteOptions { if_seq: Some(if_seq), ..none() };
        databases.refuse(id, PreconditionFailed, |db| db.put("c", id, "{}", &options));
        databases.refuse(id, PreconditionFailed, |db| db.delete("c", id, &options));
    }
    databases.check_at_the_end();
}

#[test]
fn verbs_refuse_the_options_that_they_do_not_take() {
    let databases = Databases::new();
    let one = [("a".to_owned(), "{}".to_owned())];
    let given = [
        WriteOptions { ttl_seconds: Some(1.0), ..none() },
        WriteOptions { valid_from: Some("2024-01-01".into()), ..none() },
        WriteOptions { valid_to: Some("2024-01-01".into()), ..none() },
    ];
    for options in given {
        databases.refuse("delete", InvalidArgument, |db| db.delete("c", "there", &options));
        databases.refuse("link", InvalidArgument, |db| db.link("c:x", "r", "c:y", &options));
        databases.refuse("batch", InvalidArgument, |db| {
            db.batch(r#"[{"op":"delete","coll":"c","id":"there"}]"#, &options)
        });
    }
    for options in [
        WriteOptions { nonce: Some(1_000), ..none() },
        WriteOptions { idem: Some("k".into()), ..none() },
        WriteOptions { if_seq: Some(-1), ..none() },
    ] {
        databases.refuse("put_many", InvalidArgument, |db| db.put_many("c", &one, &options));
    }
    let no_documents = ["", "5", "null", "[1]", "[{}]", "[{},]", "{} {}", r#"[{"_id":1}]"#];
    for documents in no_documents {
        databases
            .refuse(documents, InvalidArgument, |db| db.put_many_json("c", documents, &none()));
    }
    let if_seq = WriteOptions { if_seq: Some(-1), ..none() };
    databases.refuse("link", InvalidArgument, |db| db.link("c:x", "r", "c:y", &if_seq));
    databases.check_at_the_end();
}

#[test]
fn a_transaction_with_one_bad_item_is_refused_whole() {
    let databases = Databases::new();
    let bad = [
        r#"{"op":"put","coll":"c","id":"x"}"#,
        r#"{"op":"put","coll":"c","doc":{}}"#,
        r#"{"op":"put","id":"x","doc":{}}"#,
        r#"{"op":"put","coll":"","id":"x","doc":{}}"#,
        r#"{"op":"put","coll":"a:b","id":"x","doc":{}}"#,
        r#"{"op":"put","coll":"c","id":"","doc":{}}"#,
        r#"{"op":"put","coll":"c","id":5,"doc":{}}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":[]}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{"_id":"y"}}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"ttl_s":0}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"ttl_s":"1"}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"confidence":2}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"caused_by":[99999]}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"caused_by":3}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"caused_by":[1.0]}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"evidence":[]}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"valid_from":"no"}"#,
        r#"{"op":"put","coll":"c","id":"x","doc":{},"unknown":1}"#,
        r#"{"op":"put","coll":"c","id":"fine","doc":{}}"#,
        r#"{"op":"delete","coll":"c","id":"fine"}"#,
        r#"{"op":"delete","coll":"c","id":"x","ttl_s":1}"#,
        r#"{"op":"link","frm":"c:x","rel":"r"}"#,
        r#"{"op":"link","frm":"plain","rel":"r","to":"c:x"}"#,
        r#"{"op":"link","frm":"c:x","rel":"r","to":"c:y","if_seq":1}"#,
        r#"{"op":"frobnicate"}"#,
        r#"{"coll":"c","id":"x","doc":{}}"#,
        "{}",
        "1",
        "null",
    ];
    for item in bad {
        let fine = r#"{"op":"put","coll":"c","id":"fine","doc":{}}"#;
        databases.refuse_batch(InvalidArgument, &format!("[{fine},{item}]"));
    }
    for items in ["[]", "{}", "null", "", "[", "[{}"] {
        databases.refuse_batch(InvalidArgument, items);
    }
    let stale = r#"[{"op":"put","coll":"c","id":"x","doc":{}},{"op":"delete","coll":"c","id":"there","if_seq":0}]"#;
    databases.refuse_batch(PreconditionFailed, stale);
    databases.check_at_the_end();
}
