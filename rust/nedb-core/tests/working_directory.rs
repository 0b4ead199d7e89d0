//! A database works in the directory that it has opened, whatever the working directory of its process becomes.
//!
//! It is alone in its file: a working directory belongs to the whole process.

#![allow(clippy::unwrap_used, reason = "it is test code")]

use nedb_core::{Database, FileAt, IndexKind, Options, Tier, Tmk};
use std::path::Path;

fn options(is_encrypted: bool) -> Options {
    Options { tmk: is_encrypted.then(|| Tmk::new([7; 32])), ..Options::default() }
}

fn put_bytes(db: &Database, name: &str, bytes: &[u8]) {
    db.put_file(name, bytes, Tier::Warm, &Default::default()).unwrap();
}

fn check(base: &Path, is_encrypted: bool) {
    let (a, b) = (base.join("a"), base.join("b"));
    let enter = |path: &Path| std::env::set_current_dir(path).unwrap();
    let open = || Database::open("data", options(is_encrypted)).unwrap();
    for path in [&a, &b] {
        std::fs::create_dir(path).unwrap();
    }
    enter(&b);
    let theirs = open();
    theirs.create_index("c", "whose", IndexKind::Eq).unwrap();
    put_bytes(&theirs, "theirs", &[b'B'; 100_000]);
    theirs.close().unwrap();
    enter(&a);
    let mine = open();
    mine.put("c", "x", "{}", &Default::default()).unwrap();
    enter(&b);
    put_bytes(&mine, "mine", &[b'A'; 100_000]);
    mine.create_index("d", "f", IndexKind::Ordered).unwrap();
    mine.compact_blobs().unwrap();
    mine.checkpoint(None).unwrap();
    assert!(mine.verify().unwrap());
    assert_eq!(mine.path().unwrap(), a.join("data"));
    mine.close().unwrap();
    for (path, name, indexes) in [(&a, "mine", 1), (&b, "theirs", 1)] {
        let db = Database::open(path.join("data"), options(is_encrypted)).unwrap();
        assert_eq!(db.get_file(name, &FileAt::default()).unwrap().len(), 100_000, "{name}");
        assert_eq!(db.indexes().unwrap().len(), indexes, "{name}");
        assert!(db.verify().unwrap(), "{name}");
        db.close().unwrap();
    }
}

#[test]
fn a_relative_path_does_not_follow_the_process() {
    for is_encrypted in [false, true] {
        let base = tempfile::tempdir().unwrap();
        check(&base.path().canonicalize().unwrap(), is_encrypted);
        std::env::set_current_dir("/").unwrap();
    }
}
