//! Damaged bytes of files: what is damaged is named by file, version and chunk, and what is sound is read,
//! copied and kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{
    BackupOptions, Database, Durability, Error, ErrorCode, FileAt, FileDamage, FileDamages,
    Options, Tier, Tmk, VerifyFilesReport, WriteOptions,
};
use std::fs;
use std::path::{Path, PathBuf};
use support::bytes::some_text as bytes;
use support::{code, copy_of, open};

fn put(db: &Database, name: &str, data: &[u8]) -> u64 {
    db.put_file(name, data, Tier::Warm, &WriteOptions::default()).unwrap()
}

fn verified(db: &Database) -> VerifyFilesReport {
    db.verify_files(&mut |_, _| Ok(())).unwrap()
}

/// Puts some bytes that no op refers to, of about so many frames.
fn leave_garbage(db: &Database, count: usize, seed: u64) {
    let mut aborted = db.file_writer("never", Tier::Warm, &WriteOptions::default()).unwrap();
    aborted.write(&bytes(count, seed)).unwrap();
}

fn pack(folder: &Path) -> PathBuf {
    folder.join("blobs/000001.pack")
}

/// Flips a bit of a pack.
fn flip(pack: &Path, place: usize) {
    let mut damaged = fs::read(pack).unwrap();
    damaged[place] ^= 0x10;
    fs::write(pack, damaged).unwrap();
}

/// The length of the head of the frame that begins a pack.
fn head_bytes(pack: &Path) -> usize {
    let count: [u8; 4] = fs::read(pack).unwrap()[8..12].try_into().unwrap();
    28 + 36 * u32::from_le_bytes(count) as usize
}

fn encrypted() -> Options {
    Options { tmk: Some(Tmk::new([7; 32])), ..support::options(support::NOW) }
}

/// What is damaged, without its reason.
fn named(damage: &[FileDamage]) -> Vec<(&str, u64, Option<u64>)> {
    damage.iter().map(|it| (it.name.as_str(), it.version, it.chunk)).collect()
}

#[test]
fn a_check_of_sound_files_counts_them_and_what_nothing_refers_to() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
    let data = [bytes(300_000, 1), bytes(1_200_000, 2)];
    let memory = Database::in_memory(Options::default()).unwrap();
    for db in [memory, open(plain), Database::open(sealed, encrypted()).unwrap()] {
        db.put_file("a", &data[0], Tier::Cold, &WriteOptions::default()).unwrap();
        put(&db, "b", &data[0]);
        put(&db, "a", &data[1]);
        let mut told = Vec::new();
        let mut progress = |done, all| {
            told.push((done, all));
            Ok(())
        };
        let report = db.verify_files(&mut progress).unwrap();
        assert!(report.ok && report.damages.list.is_empty(), "{report:?}");
        assert_eq!((report.version_count, report.logical_bytes), (3, 1_800_000));
        assert!(report.chunk_count > 60, "{report:?}");
        assert_eq!((report.unreferenced_frame_count, report.unreferenced_bytes), (0, 0));
        assert!(told.is_sorted() && told.len() > 2, "{told:?}");
        assert!(told.last().is_some_and(|(done, all)| done == all));
        leave_garbage(&db, 3_000_000, 9);
        let report = verified(&db);
        assert!(report.ok && report.unreferenced_frame_count >= 2, "{report:?}");
        assert!(report.unreferenced_bytes > 1_000_000 && report.unreferenced_chunk_count > 50);
        let enough = db.verify_files(&mut |_, _| Err(Error::invalid("enough")));
        assert_eq!(code(enough), ErrorCode::InvalidArgument);
        db.close().unwrap();
        assert_eq!(code(db.verify_files(&mut |_, _| Ok(()))), ErrorCode::DatabaseClosed);
    }
}

#[test]
fn a_damaged_chunk_is_named_for_every_version_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    // Bytes that nothing compresses stand in the pack as they are.
    let noise = support::bytes::noise(200_000, 1);
    put(&db, "first", &noise);
    put(&db, "good", &bytes(100_000, 2));
    put(&db, "second", &noise);
    drop(db);
    flip(&pack(folder.path()), head_bytes(&pack(folder.path())) + 10);
    let db = open(folder.path());
    assert!(db.verify().unwrap(), "the log is whole");
    let report = verified(&db);
    assert!(!report.ok && report.damages.count == 2, "{report:?}");
    assert_eq!(named(&report.damages.list), [("first", 0, Some(0)), ("second", 0, Some(0))]);
    let text = report.damages.list[0].to_string();
    assert!(text.starts_with("chunk 0 of version 0 of file \"first\" is damaged"), "{text}");
    assert!(report.to_json().contains(
        r#""damage":[{"chunk":0,"name":"first","reason":"its content is not what it was","seq":0,"tier":"warm","version":0}"#
    ));
}

#[test]
fn everything_that_is_gone_is_counted_and_the_first_of_it_listed() {
    let folder = tempfile::tempdir().unwrap();
    let quick = Options { durability: Durability::Never, ..support::options(support::NOW) };
    let db = Database::open(folder.path(), quick).unwrap();
    for _ in 0..1_100 {
        put(&db, "a", b"the same again");
    }
    drop(db);
    fs::remove_file(pack(folder.path())).unwrap();
    let FileDamages { count, list } = verified(&open(folder.path())).damages;
    assert_eq!((count, list.len()), (1_100, 1_000));
    // Without its list nobody knows which chunks a version had.
    assert!(list.iter().all(|it| it.chunk.is_none() && it.reason.contains("not in blobs/")));
}

#[test]
fn the_files_of_nedb_1_are_checked_in_its_snapshot() {
    let folder = copy_of("1.2.2", "files");
    let report = verified(&open(folder.path()));
    // What 1.x lost is lost, and all else is there.
    assert_eq!(named(&report.damages.list), [("text.txt", 3, None)], "{report:?}");
    assert!(report.damages.list[0].reason.contains("not in snapshot.json"));
    assert!(report.version_count > 5 && report.logical_bytes > 100);
    fs::remove_file(folder.path().join("snapshot.json")).unwrap();
    let report = verified(&open(folder.path()));
    assert_eq!(report.damages.count, report.version_count);
}

#[test]
fn a_check_goes_on_beside_puts_and_compactions() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, "f", &bytes(2_000_000, 1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seed in 2..8 {
                leave_garbage(&db, 1_200_000, seed);
                put(&db, "f", &bytes(300_000, seed));
                db.compact_blobs().unwrap();
            }
        });
        for _ in 0..10 {
            assert!(verified(&db).ok);
        }
    });
    let report = verified(&db);
    assert!(report.ok && report.version_count == 7 && report.unreferenced_chunk_count == 0);
}

const SKIPPING: BackupOptions = BackupOptions { skip_damaged_files: true };

fn get(db: &Database, name: &str) -> nedb_core::Result<Vec<u8>> {
    db.get_file(name, &FileAt::default())
}

#[test]
fn a_backup_names_what_is_damaged_and_copies_the_rest_when_it_is_told_to() {
    for options in [|| support::options(support::NOW), encrypted] {
        let folder = tempfile::tempdir().unwrap();
        let (path, noise) = (folder.path().join("db"), support::bytes::noise(200_000, 1));
        let opened = |path: &Path| Database::open(path, options()).unwrap();
        let db = opened(&path);
        put(&db, "bad", &noise);
        put(&db, "good", &bytes(1_500_000, 2));
        put(&db, "bad", &[&noise[..], &bytes(900, 3)].concat());
        drop(db);
        flip(&pack(&path), head_bytes(&pack(&path)) + 100);
        let db = opened(&path);
        let refused = db.backup(folder.path().join("refused")).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::IntegrityError);
        let message = refused.to_string();
        assert!(
            message.starts_with("chunk 0 of version 0 of file \"bad\" is damaged"),
            "{message}"
        );
        assert!(message.contains("more;") && message.contains("skip_damaged_files"), "{message}");
        assert!(!folder.path().join("refused/log.aof").exists());
        let report = db.backup_with(folder.path().join("copy"), &SKIPPING).unwrap();
        let found = verified(&db).damages;
        assert!(found.count > 1 && named(&report.damages.list) == named(&found.list), "{found:?}");
        let copy = opened(&folder.path().join("copy"));
        assert_eq!((copy.seq(), copy.head()), (report.seq, report.head));
        assert!(copy.verify().unwrap() && get(&copy, "good").unwrap() == bytes(1_500_000, 2));
        assert_eq!(named(&verified(&copy).damages.list), named(&found.list));
        let error = get(&copy, "bad").unwrap_err();
        assert!(error.message().starts_with("chunk 0 of version 1 of file \"bad\""), "{error}");
        assert_eq!(verified(&copy).unreferenced_chunk_count, 0);
    }
}

#[test]
fn a_backup_of_files_without_damage_reports_none() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path().join("db"));
    put(&db, "a", &bytes(50_000, 1));
    let report = db.backup_with(folder.path().join("copy"), &SKIPPING).unwrap();
    assert!(report.damages.count == 0 && verified(&open(folder.path().join("copy"))).ok);
    assert!(report.to_json().starts_with("{\"damage\":[],\"damage_count\":0,\"head\":"));
}

#[test]
fn a_version_whose_list_of_chunks_is_damaged_is_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    put(&open(&path), "good", &bytes(60_000, 1));
    put(&open(&path), "lost", &bytes(60_000, 2));
    let length = fs::metadata(pack(&path)).unwrap().len() as usize;
    flip(&pack(&path), length - 20);
    let db = open(&path);
    let message = db.backup(folder.path().join("refused")).unwrap_err().to_string();
    assert!(message.starts_with("the list of chunks of version 0 of file \"lost\""), "{message}");
    let report = db.backup_with(folder.path().join("copy"), &SKIPPING).unwrap();
    assert_eq!(named(&report.damages.list), [("lost", 0, None)]);
    let copy = open(folder.path().join("copy"));
    assert_eq!(named(&verified(&copy).damages.list), [("lost", 0, None)]);
    assert!(get(&copy, "good").unwrap() == bytes(60_000, 1));
}

/// Leaves a few bytes at the end of the last pack, as a crash does: what comes next goes into another.
fn end_pack(folder: &Path) {
    let last = fs::read_dir(folder.join("blobs")).unwrap().map(|it| it.unwrap().path()).max();
    let last = last.unwrap();
    fs::write(&last, [&fs::read(&last).unwrap()[..], b"torn"].concat()).unwrap();
}

#[test]
fn a_compaction_keeps_a_damaged_chunk_where_it_is_names_it_and_collects_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path()), "bad", &support::bytes::noise(200_000, 1));
    flip(&pack(folder.path()), head_bytes(&pack(folder.path())) + 100);
    end_pack(folder.path());
    let before = fs::read(pack(folder.path())).unwrap();
    let db = open(folder.path());
    put(&db, "good", &bytes(300_000, 2));
    leave_garbage(&db, 3_000_000, 3);
    let report = db.compact_blobs().unwrap();
    assert!(report.removed_chunk_count > 50 && report.rewritten_pack_count == 1, "{report:?}");
    assert_eq!(named(&report.damages.list), [("bad", 0, Some(0))]);
    assert!(fs::read(pack(folder.path())).unwrap() == before);
    let again = db.compact_blobs().unwrap();
    assert_eq!((again.removed_chunk_count, again.rewritten_pack_count), (0, 0));
    assert_eq!(again.after_bytes, report.after_bytes, "it does not grow");
    for db in [&db, &support::open_read_only(folder.path()).unwrap()] {
        assert!(get(db, "good").unwrap() == bytes(300_000, 2));
        assert_eq!(named(&verified(db).damages.list), [("bad", 0, Some(0))]);
    }
    flip(&pack(folder.path()), head_bytes(&pack(folder.path())) + 100);
    drop(db);
    assert!(get(&open(folder.path()), "bad").unwrap() == support::bytes::noise(200_000, 1));
}

#[test]
fn a_compaction_keeps_what_a_list_that_cannot_be_read_may_name() {
    // A chunk of a file is no longer than the file: of a short one longer chunks are none.
    for (lost_bytes, gives_back) in [(3_000, true), (300_000, false)] {
        let folder = tempfile::tempdir().unwrap();
        put(&open(folder.path()), "lost", &support::bytes::noise(lost_bytes, 1));
        let length = fs::metadata(pack(folder.path())).unwrap().len() as usize;
        flip(&pack(folder.path()), length - 20);
        end_pack(folder.path());
        let db = open(folder.path());
        put(&db, "good", &bytes(300_000, 2));
        leave_garbage(&db, 3_000_000, 3);
        let report = db.compact_blobs().unwrap();
        assert_eq!(named(&report.damages.list), [("lost", 0, None)]);
        assert_eq!(report.removed_chunk_count > 50, gives_back, "{report:?}");
        assert!(get(&db, "good").unwrap() == bytes(300_000, 2));
        drop(db);
        flip(&pack(folder.path()), length - 20);
        let db = open(folder.path());
        assert!(get(&db, "lost").unwrap() == support::bytes::noise(lost_bytes, 1));
        // Now everything can be judged.
        db.compact_blobs().unwrap();
        assert_eq!(verified(&db).unreferenced_chunk_count, 0);
        assert!(verified(&db).ok);
    }
}

#[test]
fn a_compaction_keeps_a_pack_that_may_hide_a_chunk_behind_damage() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, "hidden", &bytes(60_000, 1));
    put(&db, "good", &bytes(60_000, 2));
    leave_garbage(&db, 2_000_000, 3);
    drop(db);
    flip(&pack(folder.path()), 0);
    let before = fs::read(pack(folder.path())).unwrap();
    let db = open(folder.path());
    assert!(get(&db, "good").unwrap() == bytes(60_000, 2), "it stands behind the damage");
    let report = db.compact_blobs().unwrap();
    assert!(report.damages.count >= 1 && report.damages.list[0].name == "hidden", "{report:?}");
    assert!(fs::read(pack(folder.path())).unwrap() == before);
    drop(db);
    flip(&pack(folder.path()), 0);
    let db = open(folder.path());
    assert!(db.compact_blobs().unwrap().removed_chunk_count > 10);
    assert!(get(&db, "hidden").unwrap() == bytes(60_000, 1));
}

#[test]
fn an_idempotency_key_stands_for_the_bytes_that_it_was_used_for() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let idem = WriteOptions { idem: Some("k".to_owned()), ..WriteOptions::default() };
    assert_eq!(db.put_file("a", b"first", Tier::Warm, &idem).unwrap(), 0);
    put(&db, "a", b"between");
    let (seq, head) = (db.seq(), db.head());
    // As for a document: the first version, whatever the second call holds, and nothing is appended.
    assert_eq!(db.put_file("a", &bytes(99_000, 1), Tier::Cold, &idem).unwrap(), 0);
    assert_eq!((db.seq(), db.head()), (seq, head));
    let first = FileAt { version: Some(0), ..FileAt::default() };
    assert_eq!(db.get_file("a", &first).unwrap(), b"first");
    assert_eq!(get(&db, "a").unwrap(), b"between");
    assert!(verified(&db).unreferenced_chunk_count > 1, "what was not needed is given back");
    assert!(db.compact_blobs().unwrap().removed_chunk_count > 1);
    assert_eq!(db.put_file("a", b"", Tier::Warm, &idem).unwrap(), 0);
}
