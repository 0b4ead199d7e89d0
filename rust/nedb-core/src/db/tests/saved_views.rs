//! Saved views against folded ones: at every op of a script they are the same, and whatever becomes of
//! the bytes, reading them fails or gives views that answer without a panic.

use crate::crypto::Protection;
use crate::db::restore::{LogSource, fold_from_start, replay_into};
use crate::db::{Database, Options, ReadOptions, WriteOptions};
use crate::error::ErrorCode;
use crate::op::Tier;
use crate::query::Params;
use crate::snapshot::IndexKind;
use crate::store::{Directory, Disk};
use crate::views::{Checkpoint, State};
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The magic, the version and the checksum.
const PREFIX_BYTES: usize = 20;

/// Writes something of every kind that a view holds.
fn write_everything(db: &Database) {
    let indexes = [
        ("users", "age", IndexKind::Ordered),
        ("users", "name", IndexKind::Eq),
        ("users", "bio", IndexKind::Search),
        ("users", "n.`a.b`", IndexKind::Eq),
        ("nobody", "x", IndexKind::Eq),
    ];
    for (collection, field, kind) in indexes {
        db.create_index(collection, field, kind).unwrap();
    }
    let none = WriteOptions::default();
    let put = |id: &str, document: &str, options: &WriteOptions| {
        db.put("users", id, document, options).unwrap();
    };
    put("a", r#"{"age":1,"name":"Á","bio":"red fox, red dog"}"#, &none);
    let with_all = WriteOptions {
        client: Some("agent".into()),
        nonce: Some(i64::MAX - 1),
        idem: Some("key".into()),
        ttl_seconds: Some(1e9),
        caused_by: vec![0, 0],
        valid_from: Some("2024-01-01".into()),
        valid_to: Some("2024-02-01T10:00:00.5Z".into()),
        ..none.clone()
    };
    put("b", r#"{"age":2.0,"bio":"fox"}"#, &with_all);
    put("a", r#"{"age":2,"name":null,"bio":""}"#, &none);
    db.delete("users", "a", &WriteOptions { caused_by: vec![1, 2], ..none.clone() }).unwrap();
    db.delete("users", "nobody", &none).unwrap();
    put("a", r#"{"n":{"a.b":[1]},"bio":"the red fox again"}"#, &none);
    db.link("users:a", "likes", "users:b", &none).unwrap();
    db.link("users:b", "likes", "users:b", &none).unwrap();
    db.unlink("users:a", "likes", "users:b", &none).unwrap();
    db.link(
        "users:a",
        "likes",
        "users:b",
        &WriteOptions { idem: Some("k2".into()), ..none.clone() },
    )
    .unwrap();
    let items = r#"[{"op":"put","coll":"users","id":"c","doc":{"age":7,"name":"c"}},
        {"op":"delete","coll":"users","id":"b"},
        {"op":"put","coll":"other","id":"c","doc":{"bio":"fox"},"ttl_s":10},
        {"op":"link","frm":"users:c","rel":"knows","to":"users:a"}]"#;
    db.batch(items, &none).unwrap();
    for n in 0..70 {
        put("c", &format!("{{\"age\":{},\"bio\":\"fox {n}\"}}", n % 5), &none);
    }
    for (name, tier) in [("f", Tier::Warm), ("g", Tier::Cold), ("f", Tier::Cold)] {
        db.put_file(name, name.as_bytes(), tier, &none).unwrap();
    }
    db.checkpoint(Some("a mark")).unwrap();
}

/// Asks everything that looks into a view; an answer may be an integrity error, for a text that is not
/// where it should be, and nothing else.
fn ask_everything(db: &Database) {
    let ask = |outcome: Result<(), crate::Error>| {
        if let Err(error) = outcome {
            assert_eq!(error.code(), ErrorCode::IntegrityError, "{error}");
        }
    };
    for tail in [
        "",
        " WHERE age = 2",
        " WHERE age > 1",
        " WHERE name = \"Á\"",
        " SEARCH \"red fox\"",
        " ORDER BY age DESC",
        " TRAVERSE likes",
        " TRACE caused_by",
        " TRACE caused_by REVERSE",
        " VALID AS OF \"2024-01-15\"",
        " GROUP BY age COUNT",
    ] {
        for point in ["", " AS OF 3", " AS OF 30"] {
            for collection in ["users", "other", "nobody"] {
                let nql = format!("FROM {collection}{point}{tail}");
                ask(db.query(&nql, &Params::none()).map(drop));
            }
        }
    }
    for id in ["a", "b", "c"] {
        let read = ReadOptions { as_of: Some(5), valid_as_of: None };
        ask(db.get("users", id, &read).map(drop));
        let node = format!("users:{id}");
        ask(db.neighbors(&node, "likes", None).map(drop));
        ask(db.inbound(&node, "likes", Some(9)).map(drop));
    }
    ask(db.collections().map(drop));
    ask(db.files(Some(200)).map(drop));
    ask(db.file_versions("f", None).map(drop));
    ask(db.indexes().map(drop));
    let state = db.inner.engine.read().unwrap();
    state.views.expiry.due(f64::MAX).for_each(drop);
    assert_ne!(state.views.clients.last_nonce("agent").map(|it| it.next()), Some(0));
    state.views.clients.idem_candidates("key");
    drop(Checkpoint::encode(&state));
}

fn written(path: &Path) -> Database {
    let db = Database::open(path, Options::default()).unwrap();
    write_everything(&db);
    db
}

/// Puts the checksum that fits in front of a body.
fn with_checksum(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let checksum = xxh3_64(&bytes[PREFIX_BYTES..]);
    bytes[PREFIX_BYTES - 8..PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Makes a state of the same log from a checkpoint.
fn restored(db: &Database, checkpoint: Checkpoint) -> State {
    let bytes = Arc::clone(db.inner.engine.read().unwrap().log.disk_bytes().unwrap());
    let mut state = State::new(crate::log::LogReader::disk(bytes, 0, Arc::new(Protection::Plain)));
    state.restore(checkpoint);
    state
}

#[test]
fn saved_views_are_those_that_were_saved_and_are_saved_as_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let db = written(folder.path());
    let bytes = Checkpoint::encode(&db.inner.engine.read().unwrap());
    let loaded = restored(&db, Checkpoint::decode(&bytes).unwrap());
    let state = db.inner.engine.read().unwrap();
    assert_eq!(loaded.views.difference(&state.views), None);
    assert_eq!(loaded.log.line_starts(), state.log.line_starts());
    assert_eq!((&loaded.head, loaded.log.len_bytes()), (&state.head, state.log.len_bytes()));
    assert!(Checkpoint::encode(&loaded) == bytes);
}

#[test]
fn views_saved_at_any_op_and_folded_on_are_those_of_the_whole_log() {
    let folder = tempfile::tempdir().unwrap();
    let db = written(folder.path());
    let directory = Directory::open(Arc::new(Disk), folder.path(), true).unwrap();
    let definitions =
        crate::db::restore::read_definitions(&directory, &Protection::Plain, &mut Vec::new())
            .unwrap();
    let file = directory.open_log(false).unwrap();
    let whole_bytes = file.len_bytes().unwrap();
    let protection = &Arc::new(Protection::Plain);
    let fold_to = |end_bytes| {
        let (definitions, cache_bytes) = (&definitions[..], 0);
        let (directory, file, may_be_ahead) = (&directory, &file, false);
        let source = LogSource {
            directory,
            protection,
            file,
            definitions,
            end_bytes,
            cache_bytes,
            may_be_ahead,
        };
        fold_from_start(&source, &mut |_| Ok(())).unwrap().0
    };
    let whole = fold_to(whole_bytes);
    for end_bytes in whole.log.line_starts().iter().skip(1) {
        let state = fold_to(*end_bytes);
        let mut loaded = restored(&db, Checkpoint::decode(&Checkpoint::encode(&state)).unwrap());
        assert_eq!(loaded.views.difference(&state.views), None, "at op {}", state.views.seq);
        replay_into(&mut loaded, &*file, whole_bytes, &mut |_| Ok(())).unwrap();
        let at = state.views.seq;
        assert_eq!(loaded.views.difference(&whole.views), None, "from op {at} on");
        assert_eq!(loaded.head, whole.head, "from op {at} on");
    }
}

#[test]
fn a_checkpoint_that_is_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Checkpoint::encode(&written(folder.path()).inner.engine.read().unwrap());
    for length in 0..bytes.len() {
        assert!(Checkpoint::decode(&bytes[..length]).is_err(), "{length} bytes");
        if length >= PREFIX_BYTES {
            let cut = with_checksum(&bytes[..length]);
            assert!(Checkpoint::decode(&cut).is_err(), "{length} bytes, checksum and all");
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Checkpoint::decode(&with_checksum(&longer)).is_err());
}

#[test]
fn a_changed_checkpoint_is_refused_for_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Checkpoint::encode(&written(folder.path()).inner.engine.read().unwrap());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(Checkpoint::decode(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn a_checkpoint_changed_with_its_checksum_is_refused_or_answers_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let db = written(folder.path());
    let bytes = Checkpoint::encode(&db.inner.engine.read().unwrap());
    let mut accepted_count = 0;
    for at in PREFIX_BYTES..bytes.len() {
        for change in [|byte: u8| byte ^ 1, |byte: u8| byte ^ 0x80, |_| 0xff, |byte: u8| byte ^ 6] {
            let mut changed = bytes.clone();
            changed[at] = change(changed[at]);
            let Ok(checkpoint) = Checkpoint::decode(&with_checksum(&changed)) else { continue };
            *db.inner.engine.hold_state() = restored(&db, checkpoint);
            // All that a view hands out is asked for; which answers are wrong is not the question here.
            ask_everything(&db);
            accepted_count += 1;
        }
    }
    assert!(accepted_count > 100, "only {accepted_count} changes got past the checks");
}

#[test]
fn comparing_views_a_piece_at_a_time_finds_every_change_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let db = written(folder.path());
    let state = db.inner.engine.read().unwrap();
    let bytes = Checkpoint::encode(&state);
    let (mut differing_count, mut same_count) = (0, 0);
    for at in PREFIX_BYTES..bytes.len() {
        for change in [|byte: u8| byte ^ 1, |byte: u8| byte ^ 6] {
            let mut changed = bytes.clone();
            changed[at] = change(changed[at]);
            let Ok(checkpoint) = Checkpoint::decode(&with_checksum(&changed)) else { continue };
            let mut other = restored(&db, checkpoint);
            // What it says of the log is not of the views.
            other.head.clone_from(&state.head);
            other.uncovered.clone_from(&state.uncovered);
            other.log.restore_lines(state.log.line_starts().to_vec(), state.log.len_bytes());
            let is_same = Checkpoint::encode(&other) == bytes;
            assert_eq!(state.views.difference(&other.views).is_none(), is_same, "byte {at}");
            assert_eq!(other.views.difference(&state.views).is_none(), is_same, "byte {at}");
            *if is_same { &mut same_count } else { &mut differing_count } += 1;
        }
    }
    assert!(differing_count > 100 && same_count < differing_count, "{differing_count}");
}

#[test]
fn what_an_edited_checkpoint_says_of_files_deletes_hides_and_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    // One that no op seals: whoever can write to the disk can write another.
    let options = || Options { checkpoint_every_ops: Some(1_000_000), ..Options::default() };
    let db = Database::open(&path, options()).unwrap();
    let data: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    db.put_file("kept", &data, Tier::Warm, &WriteOptions::default()).unwrap();
    db.put_file("kept", b"short", Tier::Warm, &WriteOptions::default()).unwrap();
    let mut views =
        Checkpoint::decode(&Checkpoint::encode(&db.inner.engine.read().unwrap())).unwrap();
    views.views.files = crate::views::Files::default();
    let edited = Checkpoint::encode(&restored(&db, views));
    db.close().unwrap();
    std::fs::write(path.join("checkpoint.1"), with_checksum(&edited)).unwrap();
    let db = Database::open(&path, options()).unwrap();
    assert_eq!(db.open_report().checkpoint_seq, Some(1), "it is taken");
    assert_eq!(db.files(None).unwrap(), [""; 0]);
    let report = db.verify_files(&mut |_, _| Ok(())).unwrap();
    assert_eq!((report.version_count, report.unreferenced_chunk_count), (2, 0), "{report:?}");
    assert_eq!(db.compact_blobs().unwrap().removed_chunk_count, 0);
    db.backup(&copy).unwrap();
    db.close().unwrap();
    std::fs::remove_file(path.join("checkpoint.1")).unwrap();
    for path in [path, copy] {
        let db = Database::open(&path, Options::default()).unwrap();
        let first = crate::db::FileAt { version: Some(0), ..crate::db::FileAt::default() };
        assert!(db.get_file("kept", &first).unwrap() == data, "{}", path.display());
    }
}
