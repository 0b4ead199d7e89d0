//! What is done before, during and after a crash.

use super::course::Session;
use crate::db::{Durability, Update, WriteOptions};
use crate::error::{Error, Result};
use crate::op::{Seq, Tier};
use crate::snapshot::IndexKind;

/// One thing that a caller asks for; it is acknowledged, or it is not.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub name: &'static str,
    pub run: fn(&mut Session) -> Result<()>,
}

/// Steps, one after the other; the first opens the database.
#[derive(Clone)]
pub(super) struct Script {
    pub name: String,
    pub durability: Durability,
    pub steps: Vec<Step>,
}

/// An interval that does not end during a test: a thread would make the count of calls a matter of luck.
/// What it does is what `flush` does.
const INTERVAL: Durability = Durability::Interval { milliseconds: 1 << 32 };

impl Script {
    fn new(name: &str, durability: Durability, steps: Vec<Step>) -> Script {
        Script { name: format!("{name}, {durability:?}"), durability, steps }
    }
}

/// Returns every script.
pub(super) fn all() -> Vec<Script> {
    let synced = Durability::Always;
    vec![
        Script::new("documents", synced, documents()),
        Script::new("groups", synced, groups()),
        Script::new("indexes", synced, indexes()),
        Script::new("reopening", synced, reopening()),
        Script::new("files", synced, files()),
        Script::new("unsynced files", Durability::Never, unsynced_files()),
        Script::new("checkpoints", synced, checkpoints()),
        Script::new("unsynced checkpoints", Durability::Never, checkpoints()),
        Script::new("encrypted", synced, encrypted()),
        Script::new("encrypted in place", synced, encrypted_in_place()),
        Script::new("unsynced", Durability::Never, unsynced()),
        Script::new("unsynced", INTERVAL, unsynced()),
    ]
}

const OPEN: Step = Step { name: "open", run: Session::open };
const OPEN_WITH_KEY: Step = Step { name: "open with a key", run: Session::open_with_key };
const CLOSE: Step = Step { name: "close", run: Session::close };
const DROP: Step = Step {
    name: "drop without closing",
    run: |it| {
        it.drop_handle();
        Ok(())
    },
};
const FLUSH: Step = Step { name: "flush", run: |it| it.db().flush() };

fn step(name: &'static str, run: fn(&mut Session) -> Result<()>) -> Step {
    Step { name, run }
}

fn plain() -> WriteOptions {
    WriteOptions::default()
}

fn with_idem(key: &str) -> WriteOptions {
    WriteOptions { idem: Some(key.to_owned()), ..plain() }
}

fn with_cause(seq: Seq) -> WriteOptions {
    WriteOptions { caused_by: vec![seq], ..plain() }
}

fn put(session: &Session, collection: &str, id: &str, document: &str) -> Result<()> {
    session.db().put(collection, id, document, &plain()).map(drop)
}

fn many(count: usize, text: &str) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("m{n}"), format!(r#"{{"age":{n},"text":"{text} {n}"}}"#))).collect()
}

/// Every kind of op that concerns one document or one edge.
fn documents() -> Vec<Step> {
    vec![
        OPEN,
        step("put", |it| put(it, "users", "a", r#"{"age":1,"text":"one wörd"}"#)),
        step("put with every option", |it| {
            let options = WriteOptions {
                client: Some("app".to_owned()),
                nonce: Some(7),
                idem: Some("key b".to_owned()),
                ttl_seconds: Some(50.0),
                caused_by: vec![0],
                evidence: Some("said so".to_owned()),
                confidence: Some(0.5),
                valid_from: Some("2024-01-01".to_owned()),
                valid_to: Some("2024-12-31".to_owned()),
                if_seq: Some(-1),
            };
            it.db().put("users", "b", r#"{"age":2}"#, &options).map(drop)
        }),
        step("put again with the same key", |it| {
            it.db().put("users", "b", r#"{"age":2}"#, &with_idem("key b")).map(drop)
        }),
        step("link", |it| it.db().link("users:a", "knows", "users:b", &plain()).map(drop)),
        step("put more than a sector", |it| {
            put(it, "notes", "long", &format!(r#"{{"text":"{}"}}"#, "long wörd ".repeat(140)))
        }),
        step("replace", |it| put(it, "users", "a", r#"{"age":3,"text":"two words"}"#)),
        step("update", |it| {
            let change = |_: Option<&str>| Ok(Update::Put(r#"{"age":4}"#.to_owned()));
            it.db().update("users", "c", &plain(), change).map(drop)
        }),
        step("link again", |it| {
            it.db().link("users:a", "knows", "users:c", &with_idem("edge")).map(drop)
        }),
        step("unlink", |it| it.db().unlink("users:a", "knows", "users:b", &plain()).map(drop)),
        step("delete", |it| it.db().delete("users", "c", &with_idem("gone")).map(drop)),
        step("delete what is absent", |it| it.db().delete("users", "x", &plain()).map(drop)),
        step("expire", |it| it.db().expire("users", "a", 60.0, &plain()).map(drop)),
        step("checkpoint", |it| it.db().checkpoint(Some("so far")).map(drop)),
        CLOSE,
    ]
}

/// Every call that writes several things.
fn groups() -> Vec<Step> {
    vec![
        OPEN,
        step("put many", |it| it.db().put_many("users", &many(5, "wörd"), &plain()).map(drop)),
        step("transaction", |it| {
            let items = r#"[{"op":"put","coll":"users","id":"m0","doc":{"age":9},"if_seq":0},
                {"op":"put","coll":"notes","id":"n","doc":{"text":"word"},"caused_by":[1],"ttl_s":5},
                {"op":"delete","coll":"users","id":"m1"},
                {"op":"link","frm":"users:m0","rel":"knows","to":"notes:n"}]"#;
            it.db().batch(items, &with_idem("batch")).map(drop)
        }),
        step("transaction again", |it| {
            let items = r#"[{"op":"put","coll":"users","id":"m0","doc":{"age":9}},
                {"op":"put","coll":"notes","id":"n","doc":{"text":"word"}},
                {"op":"delete","coll":"users","id":"m1"},
                {"op":"link","frm":"users:m0","rel":"knows","to":"notes:n"}]"#;
            it.db().batch(items, &with_idem("batch")).map(drop)
        }),
        step("put many that expire", |it| {
            let options = WriteOptions { ttl_seconds: Some(20.0), ..plain() };
            it.db().put_many("notes", &many(3, "short-lived"), &options).map(drop)
        }),
        step("sweep", |it| {
            it.clock.set(1_100.0);
            it.db().sweep().map(drop)
        }),
        step("sweep nothing", |it| it.db().sweep().map(drop)),
        DROP,
    ]
}

/// Index definitions among writes.
fn indexes() -> Vec<Step> {
    vec![
        OPEN,
        step("eq index on nothing", |it| it.db().create_index("users", "age", IndexKind::Eq)),
        step("put many", |it| it.db().put_many("users", &many(3, "wörd"), &plain()).map(drop)),
        step("ordered index", |it| it.db().create_index("users", "age", IndexKind::Ordered)),
        step("the same index", |it| it.db().create_index("users", "age", IndexKind::Ordered)),
        step("put", |it| put(it, "notes", "n", r#"{"text":"some words"}"#)),
        step("search index", |it| it.db().create_index("notes", "text", IndexKind::Search)),
        CLOSE,
        OPEN,
        step("put", |it| put(it, "notes", "n2", r#"{"text":"more words"}"#)),
        step("search index", |it| it.db().create_index("users", "text", IndexKind::Search)),
        DROP,
        OPEN,
        step("put", |it| put(it, "users", "last", r#"{"age":5,"text":"word"}"#)),
        CLOSE,
    ]
}

/// Closing, opening, and copies.
fn reopening() -> Vec<Step> {
    vec![
        OPEN,
        CLOSE,
        OPEN,
        step("put", |it| put(it, "users", "a", r#"{"age":1}"#)),
        step("index", |it| it.db().create_index("users", "age", IndexKind::Eq)),
        step("backup", |it| it.backup("/copies/first")),
        DROP,
        OPEN,
        step("put many", |it| it.db().put_many("users", &many(4, "word"), &plain()).map(drop)),
        step("backup", |it| it.backup("/copies/second")),
        step("delete", |it| it.db().delete("users", "a", &plain()).map(drop)),
        CLOSE,
        OPEN,
        step("put", |it| put(it, "users", "b", r#"{"age":2}"#)),
    ]
}

/// Bytes that no compression makes less of, the same for the same number.
fn noise(number: u64, count: usize) -> Vec<u8> {
    let mut state = number;
    let next = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(next).collect()
}

fn put_file(session: &Session, name: &str, bytes: &[u8], tier: Tier) -> Result<()> {
    session.db().put_file(name, bytes, tier, &plain()).map(drop)
}

/// Puts a file whose stream breaks off, so that its bytes are stored and nothing refers to them.
fn break_off(session: &mut Session) -> Result<()> {
    let mut writer = session.db().file_writer("broken", Tier::Warm, &plain())?;
    writer.write(&noise(9, 90_000))?;
    drop(writer);
    let stop = |_| Err(Error::invalid("the host has changed its mind"));
    let bytes = noise(10, 3_000);
    match session.db().put_file_from("broken", &mut &bytes[..], Tier::Cold, &plain(), &mut { stop })
    {
        Err(error) if error.message().contains("changed its mind") => Ok(()),
        other => other.map(drop),
    }
}

/// Files, and what nothing refers to given back.
fn files() -> Vec<Step> {
    vec![
        OPEN,
        step("put", |it| put(it, "users", "a", r#"{"age":1}"#)),
        step("put a file", |it| put_file(it, "f", b"few words, few words", Tier::Warm)),
        step("put noise", |it| put_file(it, "g", &noise(1, 2_500), Tier::Cold)),
        step("put the same bytes", |it| put_file(it, "h", &noise(1, 2_500), Tier::Warm)),
        step("put a file with a key", |it| {
            let options = WriteOptions { caused_by: vec![0], ..with_idem("file") };
            it.db().put_file("f", &noise(2, 700), Tier::Warm, &options).map(drop)
        }),
        step("break off", break_off),
        step("compact", |it| it.db().compact_blobs().map(drop)),
        step("put a file", |it| put_file(it, "f", b"", Tier::Warm)),
        step("backup", |it| it.backup("/copies/first")),
        DROP,
        OPEN,
        step("put the same bytes", |it| put_file(it, "again", &noise(2, 700), Tier::Warm)),
        step("break off", break_off),
        step("put a document", |it| put(it, "notes", "n", r#"{"text":"some words"}"#)),
        step("compact", |it| it.db().compact_blobs().map(drop)),
        CLOSE,
    ]
}

/// Files whose bytes are synced although their ops are not.
fn unsynced_files() -> Vec<Step> {
    vec![
        OPEN,
        step("put a file", |it| put_file(it, "f", &noise(3, 900), Tier::Warm)),
        step("put", |it| put(it, "users", "a", r#"{"age":1}"#)),
        step("put a file", |it| put_file(it, "g", &noise(4, 900), Tier::Warm)),
        step("break off", break_off),
        step("compact", |it| it.db().compact_blobs().map(drop)),
        step("put the same bytes", |it| put_file(it, "h", &noise(3, 900), Tier::Warm)),
        DROP,
    ]
}

/// Saved views among writes, and what they were saved with changing.
fn checkpoints() -> Vec<Step> {
    vec![
        OPEN,
        step("checkpoint of nothing", |it| it.db().checkpoint(None).map(drop)),
        step("put many", |it| {
            it.db().put_many("users", &many(3, "wörd"), &with_cause(0)).map(drop)
        }),
        step("link", |it| {
            it.db().link("users:a", "knows", "users:m1", &with_idem("edge")).map(drop)
        }),
        step("checkpoint", |it| it.db().checkpoint(Some("first")).map(drop)),
        step("put", |it| put(it, "users", "a", r#"{"age":7}"#)),
        DROP,
        OPEN,
        step("index", |it| it.db().create_index("users", "age", IndexKind::Ordered)),
        step("checkpoint", |it| it.db().checkpoint(Some("second")).map(drop)),
        step("checkpoint again", |it| it.db().checkpoint(None).map(drop)),
        step("delete", |it| it.db().delete("users", "m1", &plain()).map(drop)),
        CLOSE,
        OPEN,
        step("put the same once more", |it| {
            it.db().link("users:a", "knows", "users:m1", &with_idem("edge")).map(drop)
        }),
        step("backup", |it| it.backup("/copies/first")),
        CLOSE,
    ]
}

/// A database that is encrypted from the first op on.
fn encrypted() -> Vec<Step> {
    vec![
        OPEN_WITH_KEY,
        step("put many", |it| it.db().put_many("users", &many(3, "wörd"), &plain()).map(drop)),
        step("put a file", |it| put_file(it, "f", &noise(5, 700), Tier::Warm)),
        step("index", |it| it.db().create_index("users", "age", IndexKind::Eq)),
        step("checkpoint", |it| it.db().checkpoint(None).map(drop)),
        DROP,
        OPEN_WITH_KEY,
        step("put", |it| put(it, "users", "a", r#"{"age":1}"#)),
        step("backup", |it| it.backup("/copies/first")),
        CLOSE,
    ]
}

/// A plain database that is opened with a key.
fn encrypted_in_place() -> Vec<Step> {
    vec![
        OPEN,
        step("put many", |it| it.db().put_many("users", &many(3, "wörd"), &plain()).map(drop)),
        step("put a file", |it| put_file(it, "f", &noise(6, 700), Tier::Warm)),
        step("index", |it| it.db().create_index("users", "age", IndexKind::Eq)),
        step("checkpoint", |it| it.db().checkpoint(None).map(drop)),
        CLOSE,
        OPEN_WITH_KEY,
        step("put", |it| put(it, "users", "a", r#"{"age":1}"#)),
        CLOSE,
    ]
}

/// Writes that are acknowledged before they are on the disk.
fn unsynced() -> Vec<Step> {
    vec![
        OPEN,
        step("put", |it| put(it, "users", "a", r#"{"age":1,"text":"wörd"}"#)),
        step("put many", |it| it.db().put_many("users", &many(4, "word"), &plain()).map(drop)),
        FLUSH,
        step("transaction", |it| {
            let items = r#"[{"op":"put","coll":"users","id":"m0","doc":{"age":9}},
                {"op":"link","frm":"users:a","rel":"knows","to":"users:m0"}]"#;
            it.db().batch(items, &with_idem("batch")).map(drop)
        }),
        step("put", |it| put(it, "notes", "n", r#"{"text":"some words"}"#)),
        step("delete", |it| it.db().delete("users", "m1", &plain()).map(drop)),
        step("index", |it| it.db().create_index("users", "age", IndexKind::Eq)),
        step("put more than a sector", |it| {
            put(it, "notes", "long", &format!(r#"{{"text":"{}"}}"#, "long wörd ".repeat(140)))
        }),
        step("checkpoint", |it| it.db().checkpoint(None).map(drop)),
        FLUSH,
        step("put", |it| put(it, "users", "b", r#"{"age":2}"#)),
        DROP,
        OPEN,
        step("backup", |it| it.backup("/copies/first")),
        step("put many", |it| it.db().put_many("notes", &many(3, "wörd"), &plain()).map(drop)),
        CLOSE,
    ]
}
