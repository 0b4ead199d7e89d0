//! A database's directory in other hands: moved, emptied, with links, pipes and large files in it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, ErrorCode, FileAt, IndexKind, Options, Tier, Tmk, WriteOptions};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use support::code;

/// Longer than any opening takes, and shorter than a pipe is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn options(is_encrypted: bool) -> Options {
    Options { tmk: is_encrypted.then(|| Tmk::new([7; 32])), ..Options::default() }
}

fn open(path: &Path, is_encrypted: bool) -> Database {
    Database::open(path, options(is_encrypted)).unwrap()
}

fn put(db: &Database, id: &str) -> nedb_core::Result<String> {
    db.put("c", id, "{}", &WriteOptions::default())
}

/// Does something with a plain and with an encrypted database of one op, an index, a file and a checkpoint.
fn for_both(check: impl Fn(&Path, bool, Database)) {
    for is_encrypted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let db = open(&path, is_encrypted);
        put(&db, "a").unwrap();
        db.create_index("c", "f", IndexKind::Eq).unwrap();
        db.put_file("n", &[1; 50_000], Tier::Warm, &WriteOptions::default()).unwrap();
        db.checkpoint(None).unwrap();
        check(&path, is_encrypted, db);
    }
}

/// Expects that nothing is acknowledged any more, and that nobody is told that all is well.
fn assert_refused(db: &Database) {
    let seq = db.seq();
    let refused = put(db, "b").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageError, "{refused}");
    assert!(refused.to_string().contains("log.aof since it was opened"), "{refused}");
    assert_eq!(db.seq(), seq);
    assert!(!db.verify().unwrap());
    assert_eq!(code(db.flush()), ErrorCode::StorageError);
}

#[test]
fn nothing_is_acknowledged_as_durable_once_the_directory_is_gone() {
    for_both(|path, _, db| {
        fs::remove_dir_all(path).unwrap();
        assert_refused(&db);
        assert_eq!(code(db.close()), ErrorCode::StorageError);
        assert!(!path.exists());
    });
}

#[test]
fn nothing_is_acknowledged_as_durable_once_the_log_is_gone_or_another() {
    for_both(|path, is_encrypted, db| {
        let (log, aside) = (path.join("log.aof"), path.join("aside"));
        fs::rename(&log, &aside).unwrap();
        assert_refused(&db);
        fs::copy(&aside, &log).unwrap();
        assert_refused(&db);
        fs::rename(&aside, &log).unwrap();
        put(&db, "c").unwrap();
        assert!(db.verify().unwrap());
        db.close().unwrap();
        let db = open(path, is_encrypted);
        assert_eq!((db.seq(), db.verify().unwrap()), (3, true));
    });
}

#[test]
fn with_every_durability_a_sync_finds_that_the_directory_is_gone() {
    for durability in
        [nedb_core::Durability::Never, nedb_core::Durability::Interval { milliseconds: 1_000_000 }]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let db = Database::open(&path, Options { durability, ..Options::default() }).unwrap();
        put(&db, "a").unwrap();
        db.flush().unwrap();
        fs::remove_dir_all(&path).unwrap();
        // What is acknowledged before it is synced may be so for a moment more.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(code(put(&db, "b")), ErrorCode::StorageError);
        assert_eq!(code(db.flush()), ErrorCode::StorageError);
    }
}

#[test]
fn a_directory_that_is_renamed_is_still_the_database_s_and_another_in_its_place_is_not() {
    for_both(|path, is_encrypted, db| {
        let moved = path.with_file_name("moved");
        fs::rename(path, &moved).unwrap();
        let other = open(path, is_encrypted);
        db.put_file("m", &[2; 80_000], Tier::Warm, &WriteOptions::default()).unwrap();
        db.create_index("c", "g", IndexKind::Ordered).unwrap();
        put(&db, "b").unwrap();
        db.compact_blobs().unwrap();
        db.checkpoint(None).unwrap();
        assert!(db.verify().unwrap());
        db.close().unwrap();
        assert_eq!((other.seq(), other.indexes().unwrap().len()), (-1, 0));
        let db = open(&moved, is_encrypted);
        assert!(db.get_file("n", &FileAt::default()).unwrap() == [1; 50_000]);
        assert!(db.get_file("m", &FileAt::default()).unwrap() == [2; 80_000]);
        assert_eq!((db.indexes().unwrap().len(), db.verify().unwrap()), (2, true));
    });
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    for_both(|path, is_encrypted, db| {
        db.close().unwrap();
        let names = ["meta.json", "key.enc", "LOCK", "log.aof", "SYNCED", "checkpoint.2"];
        for name in names {
            let (file, aside) = (path.join(name), path.with_file_name("aside"));
            let was_there = fs::rename(&file, &aside).is_ok();
            assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
            for read_only in [false, true] {
                let (path, options) =
                    (path.to_owned(), Options { read_only, ..options(is_encrypted) });
                let (tell, told) = mpsc::channel();
                std::thread::spawn(move || tell.send(Database::open(path, options).map(drop)));
                // A checkpoint is not needed, and so it does not keep anybody from opening.
                let opened = told.recv_timeout(PATIENCE).expect(name);
                if let Err(error) = opened {
                    assert_eq!(error.code(), ErrorCode::StorageError, "{name}: {error}");
                }
            }
            fs::remove_file(&file).unwrap();
            if was_there {
                fs::rename(&aside, &file).unwrap();
            }
        }
        assert_eq!(open(path, is_encrypted).seq(), 2);
    });
}

#[test]
fn no_link_is_followed_to_a_file_of_somebody_else() {
    for_both(|path, is_encrypted, db| {
        db.close().unwrap();
        let victim = path.with_file_name("victim");
        let text = "somebody's own text\n".repeat(50);
        for name in ["LOCK", "log.aof", "meta.json", "SYNCED", "checkpoint.2", "blobs/000001.pack"]
        {
            fs::write(&victim, &text).unwrap();
            let (file, aside) = (path.join(name), path.with_file_name("aside"));
            let was_there = fs::rename(&file, &aside).is_ok();
            symlink(&victim, &file).unwrap();
            if let Ok(db) = Database::open(path, options(is_encrypted)) {
                let _refused_or_done = put(&db, "x");
                let _refused_or_done =
                    db.put_file("y", &[3; 9_000], Tier::Warm, &WriteOptions::default());
            }
            assert_eq!(fs::read_to_string(&victim).unwrap(), text, "{name}");
            fs::remove_file(&file).unwrap();
            if was_there {
                fs::rename(&aside, &file).unwrap();
            }
        }
    });
}

#[test]
fn a_directory_of_packs_that_is_a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("db"), folder.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    open(&path, false).close().unwrap();
    symlink(&elsewhere, path.join("blobs")).unwrap();
    if let Ok(db) = Database::open(&path, Options::default()) {
        let put = db.put_file("y", &[3; 9_000], Tier::Warm, &WriteOptions::default());
        assert_eq!(code(put), ErrorCode::StorageError);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_lock_that_is_another_name_of_a_log_leaves_that_log_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (victim, path) = (folder.path().join("victim"), folder.path().join("db"));
    let db = open(&victim, false);
    put(&db, "a").unwrap();
    db.close().unwrap();
    let log = fs::read(victim.join("log.aof")).unwrap();
    fs::create_dir(&path).unwrap();
    fs::hard_link(victim.join("log.aof"), path.join("LOCK")).unwrap();
    let refused = Database::open(&path, Options::default()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageError, "{refused}");
    assert_eq!(fs::read(victim.join("log.aof")).unwrap(), log);
}

#[test]
fn a_file_that_is_far_too_long_is_not_read_into_memory() {
    for_both(|path, is_encrypted, db| {
        db.close().unwrap();
        for name in ["meta.json", "key.enc", "SYNCED"] {
            let (file, aside) = (path.join(name), path.with_file_name("aside"));
            let was_there = fs::rename(&file, &aside).is_ok();
            fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
            let opened = Database::open(path, options(is_encrypted));
            let found = opened.and_then(|db| {
                db.put_file("y", &[3; 9_000], Tier::Warm, &WriteOptions::default()).map(drop)
            });
            assert_eq!(code(found), ErrorCode::IntegrityError, "{name}");
            fs::remove_file(&file).unwrap();
            if was_there {
                fs::rename(&aside, &file).unwrap();
            }
        }
    });
}

#[test]
fn what_is_created_is_its_owner_s_alone() {
    for_both(|path, _, db| {
        db.backup(path.with_file_name("copy")).unwrap();
        let mut found = vec![path.to_owned(), path.with_file_name("copy")];
        while let Some(path) = found.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let (expected, is_directory) =
                if metadata.is_dir() { (0o700, true) } else { (0o600, false) };
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{} of {}", path.display(), metadata.uid());
            if is_directory {
                found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    });
}
