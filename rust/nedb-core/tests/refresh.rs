//! A reader beside a writer that does more than append: makes indexes, compacts packs, repairs, encrypts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, ErrorCode, FileAt, IndexKind, Options, Params, Tier, Tmk, WriteOptions};
use std::fs;
use std::path::Path;
use support::{NOW, code, get, lines, log_of, open, open_read_only, options};

fn none() -> WriteOptions {
    WriteOptions::default()
}

fn put(db: &Database, n: usize) {
    db.put("c", &n.to_string(), &format!("{{\"n\":{n},\"t\":\"word {n}\"}}"), &none()).unwrap();
}

fn explained(db: &Database) -> String {
    found(db, "EXPLAIN FROM c WHERE n = 1").join("\n")
}

fn found(db: &Database, nql: &str) -> Vec<String> {
    db.query(nql, &Params::none()).unwrap().into_texts()
}

#[test]
fn indexes_that_the_writer_makes_and_drops_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    (0..3).for_each(|n| put(&writer, n));
    let reader = open_read_only(folder.path()).unwrap();
    let scans = |db: &Database| explained(db).contains("\"operator\":\"scan\"");
    writer.create_index("c", "n", IndexKind::Eq).unwrap();
    writer.create_index("c", "t", IndexKind::Search).unwrap();
    writer.create_index("later", "n", IndexKind::Ordered).unwrap();
    put(&writer, 3);
    writer.put("later", "x", "{\"n\":1}", &none()).unwrap();
    assert_eq!((reader.indexes().unwrap(), scans(&reader)), (vec![], true));
    assert_eq!(reader.refresh().unwrap(), 4);
    let sorted = |db: &Database| {
        let mut indexes = db.indexes().unwrap();
        indexes.sort_by_key(|(collection, field, _)| (collection.clone(), field.clone()));
        indexes
    };
    assert_eq!(sorted(&reader), sorted(&writer));
    assert!(explained(&reader) == explained(&writer) && !scans(&reader));
    for nql in ["FROM c WHERE n = 3", "FROM c AS OF 1 WHERE n = 1", "FROM c SEARCH \"word\""] {
        assert_eq!(found(&reader, nql), found(&writer, nql), "{nql}");
    }
    assert!(reader.verify_determinism().unwrap());
    put(&writer, 1);
    reader.refresh().unwrap();
    assert_eq!(found(&reader, "FROM c WHERE n = 1"), found(&writer, "FROM c WHERE n = 1"));
    fs::remove_file(folder.path().join("meta.json")).unwrap();
    reader.refresh().unwrap();
    assert_eq!((reader.indexes().unwrap(), scans(&reader)), (vec![], true));
    assert!(reader.verify_determinism().unwrap());
}

/// Changes a digit in a line of the log.
fn damage(path: &Path, line: usize) {
    let log = support::mutate::replaced_in_line(&log_of(path), line, "\"n\":", "\"m\":");
    support::write_log(path, &log);
}

#[test]
fn a_repair_of_what_was_not_read_yet_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    (0..3).for_each(|n| put(&writer, n));
    let reader = open_read_only(folder.path()).unwrap();
    (3..5).for_each(|n| put(&writer, n));
    writer.close().unwrap();
    damage(folder.path(), 3);
    assert_eq!(code(reader.refresh()), ErrorCode::IntegrityError);
    let late = open_read_only(folder.path()).unwrap();
    assert_eq!(late.open_report().damage.unwrap().seq, 3);
    let writer = open(folder.path());
    assert_eq!(writer.repair().unwrap().damage.unwrap().seq, 3);
    put(&writer, 9);
    for reader in [reader, late] {
        assert_eq!(reader.refresh().unwrap(), 4);
        assert_eq!((reader.head(), reader.open_report().damage), (writer.head(), None));
        assert!(get(&reader, "c", "9").is_some() && reader.verify().unwrap());
    }
}

#[test]
fn a_repair_that_took_back_what_was_read_says_to_open_again() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    (0..5).for_each(|n| put(&writer, n));
    let reader = open_read_only(folder.path()).unwrap();
    writer.close().unwrap();
    damage(folder.path(), 3);
    let writer = open(folder.path());
    writer.repair().unwrap();
    for round in 0..2 {
        // First the log is shorter than it was, then longer.
        let refused = reader.refresh().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::IntegrityError, "{round}: {refused}");
        assert!(refused.message().contains("open the database again"), "{round}: {refused}");
        assert_eq!(reader.seq(), 4, "{round}");
        assert!(get(&reader, "c", "1").is_some(), "{round}: what is there still can be read");
        (10..20).for_each(|n| put(&writer, n));
    }
    let again = open_read_only(folder.path()).unwrap();
    assert_eq!((again.seq(), again.refresh().unwrap()), (writer.seq(), writer.seq()));
}

#[test]
fn a_log_that_was_put_in_the_place_of_another_is_followed_only_where_it_goes_on() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let writer = open(folder.path());
    (0..3).for_each(|n| put(&writer, n));
    writer.close().unwrap();
    let reader = open_read_only(folder.path()).unwrap();
    // A copy that was written on elsewhere.
    fs::write(other.path().join("log.aof"), log_of(folder.path())).unwrap();
    let elsewhere = open(other.path());
    put(&elsewhere, 3);
    elsewhere.close().unwrap();
    let install = |log: &[u8]| {
        fs::write(folder.path().join("log.aside"), log).unwrap();
        fs::rename(folder.path().join("log.aside"), folder.path().join("log.aof")).unwrap();
    };
    let longer = log_of(other.path());
    install(&longer);
    assert_eq!(reader.refresh().unwrap(), 3);
    assert!(get(&reader, "c", "3").is_some() && reader.verify().unwrap());
    let rewritten = support::mutate::replaced_in_line(&longer, 3, "\"n\":3", "\"n\":4");
    install(&support::mutate::rehashed(&rewritten, 3));
    assert_eq!(code(reader.refresh()), ErrorCode::IntegrityError);
    install(&lines(&longer)[..2].concat());
    assert_eq!(code(reader.refresh()), ErrorCode::IntegrityError);
}

const KEY: &[u8; 20] = b"a key of twenty byte";

fn with_key(read_only: bool, key: &[u8]) -> Options {
    Options { tmk: Some(Tmk::new(key)), read_only, ..options(NOW) }
}

#[test]
fn encryption_in_place_says_to_open_again_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    (0..2).for_each(|n| put(&writer, n));
    writer.put_file("f", b"few words", Tier::Warm, &none()).unwrap();
    let reader = open_read_only(folder.path()).unwrap();
    writer.close().unwrap();
    let writer = Database::open(folder.path(), with_key(false, KEY)).unwrap();
    // Its packs are others: it is not said that they are damaged.
    let copy = tempfile::tempdir().unwrap();
    let refusals = [
        reader.get_file("f", &FileAt::default()).map(drop),
        reader.file_proof("f", 0, &FileAt::default()).map(drop),
        reader.verify_files(&mut |_, _| Ok(())).map(drop),
        reader.backup(copy.path()).map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::KeyRequired, "{refused}");
        assert!(refused.message().contains("open it again, with its key"), "{refused}");
    }
    put(&writer, 3);
    for _ in 0..2 {
        let refused = reader.refresh().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::KeyRequired, "{refused}");
        assert!(refused.message().contains("open it again, with its key"), "{refused}");
    }
    assert_eq!(reader.seq(), 2);
    let again = Database::open(folder.path(), with_key(true, KEY)).unwrap();
    put(&writer, 4);
    writer.rewrap_key(&Tmk::new(KEY), &Tmk::new(b"another of twenty one")).unwrap();
    writer.create_index("c", "n", IndexKind::Eq).unwrap();
    assert_eq!(again.refresh().unwrap(), writer.seq(), "another key for the same data key");
    assert_eq!(again.indexes().unwrap(), writer.indexes().unwrap());
    assert!(get(&again, "c", "4").is_some());
}

#[test]
fn packs_that_were_compacted_are_followed_and_no_longer_held() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    let bytes = |seed: u64| -> Vec<u8> {
        (0..60_000_u64).flat_map(|n| (n * n + seed).to_le_bytes()).collect()
    };
    writer.put_file("f", &bytes(1), Tier::Cold, &none()).unwrap();
    // What a put that came no further left in the pack.
    let mut given_up = writer.file_writer("g", Tier::Warm, &none()).unwrap();
    (7..12).for_each(|seed| given_up.write(&bytes(seed * 1_000_003)).unwrap());
    drop(given_up);
    let reader = open_read_only(folder.path()).unwrap();
    let mut file = reader.open_file("f", &FileAt::default()).unwrap();
    let mut buffer = [0; 4_096];
    assert!(file.read_bytes(&mut buffer).unwrap() > 0);
    let report = writer.compact_blobs().unwrap();
    assert!(report.removed_chunk_count > 0, "{report:?}");
    writer.put_file("g", &bytes(2), Tier::Warm, &none()).unwrap();
    reader.refresh().unwrap();
    file.set_position(0);
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut read).unwrap();
    assert!(read == bytes(1));
    assert!(reader.get_file("g", &FileAt::default()).unwrap() == bytes(2));
    #[cfg(target_os = "linux")]
    {
        drop(writer);
        let links = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let targets = links.filter_map(|link| fs::read_link(link).ok());
        let gone: Vec<_> = targets
            .filter(|it| it.starts_with(folder.path()) && it.to_string_lossy().contains("deleted"))
            .collect();
        assert_eq!(gone, [] as [&Path; 0]);
    }
}
