//! Files: every version comes back as it was put, whatever happens in between, and what is damaged is named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, ErrorCode, FileAt, FileProof, Options, Tier, WriteOptions};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::bytes::some_text as bytes;
use support::{code, copy_of, open, open_read_only};

const LAST: FileAt = FileAt { version: None, tier: None, as_of: None };

fn at(version: i64) -> FileAt {
    FileAt { version: Some(version), ..LAST }
}

fn put(db: &Database, name: &str, data: &[u8]) -> u64 {
    db.put_file(name, data, Tier::Warm, &WriteOptions::default()).unwrap()
}

fn in_memory() -> Database {
    Database::in_memory(Options::default()).unwrap()
}

#[test]
fn every_version_comes_back_in_memory_on_a_disk_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    for db in [in_memory(), open(folder.path())] {
        let versions: Vec<Vec<u8>> =
            [0, 1, 40_000, 900_000].iter().map(|count| bytes(*count, *count as u64)).collect();
        for (number, data) in versions.iter().enumerate() {
            let tier = [Tier::Warm, Tier::Cold][number % 2];
            let put = db.put_file("a/b ü", data, tier, &WriteOptions::default()).unwrap();
            assert_eq!(put, number as u64);
        }
        let check = |db: &Database| {
            for (number, data) in versions.iter().enumerate() {
                assert!(db.get_file("a/b ü", &at(number as i64)).unwrap() == *data);
                let then = FileAt { as_of: Some(number as i64), ..LAST };
                assert!(db.get_file("a/b ü", &then).unwrap() == *data);
                let from_end = number as i64 - versions.len() as i64;
                assert!(db.get_file("a/b ü", &at(from_end)).unwrap() == *data);
            }
            let infos = db.file_versions("a/b ü", None).unwrap();
            assert_eq!(infos.iter().map(|it| it.size_bytes.unwrap()).sum::<u64>(), 940_001);
            assert_eq!(infos.iter().map(|it| it.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
            assert_eq!(db.files(None).unwrap(), ["a/b ü"]);
            assert!(db.files(Some(-1)).unwrap().is_empty());
        };
        check(&db);
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
        if let Some(path) = db.path().map(Path::to_owned) {
            db.close().unwrap();
            check(&open_read_only(&path).unwrap());
            check(&open(&path));
        }
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let db = in_memory();
    put(&db, "a", b"1");
    let cold = FileAt { tier: Some(Tier::Cold), ..LAST };
    for (name, at) in [("b", LAST), ("a", at(1)), ("a", at(-2)), ("a", at(i64::MIN)), ("a", cold)] {
        assert_eq!(code(db.get_file(name, &at)), ErrorCode::NotFound, "{name} {at:?}");
        assert_eq!(code(db.file_root(name, &at)), ErrorCode::NotFound);
    }
    let before = FileAt { as_of: Some(-1), ..LAST };
    assert_eq!(code(db.get_file("a", &before)), ErrorCode::NotFound);
    assert_eq!(code(db.file_proof("a", 1, &LAST)), ErrorCode::NotFound);
    assert!(db.file_versions("b", None).unwrap().is_empty());
}

#[test]
fn a_put_that_is_refused_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for db in [in_memory(), open(folder.path())] {
        put(&db, "a", b"1");
        let refused = [
            ("", WriteOptions::default()),
            ("a", WriteOptions { confidence: Some(2.0), ..WriteOptions::default() }),
            ("a", WriteOptions { ttl_seconds: Some(1.0), ..WriteOptions::default() }),
            ("a", WriteOptions { if_seq: Some(0), ..WriteOptions::default() }),
            ("a", WriteOptions { caused_by: vec![1], ..WriteOptions::default() }),
            ("a", WriteOptions { valid_from: Some("x".to_owned()), ..WriteOptions::default() }),
        ];
        for (name, options) in refused {
            let outcome = db.put_file(name, b"2", Tier::Warm, &options);
            assert_eq!(code(outcome), ErrorCode::InvalidArgument, "{name:?} {options:?}");
        }
        let replayed = WriteOptions { nonce: Some(1), ..WriteOptions::default() };
        let outcome = db.put_file("a", b"2", Tier::Warm, &replayed);
        assert_eq!(code(outcome), ErrorCode::ReplayError);
        let mut failing = |_: u64| Err(nedb_core::Error::invalid("enough"));
        let outcome = db.put_file_from(
            "a",
            &mut &b"22"[..],
            Tier::Warm,
            &WriteOptions::default(),
            &mut failing,
        );
        assert_eq!(code(outcome), ErrorCode::InvalidArgument);
        assert_eq!((db.seq(), db.file_versions("a", None).unwrap().len()), (0, 1));
    }
    assert_eq!(
        code(open_read_only(folder.path()).unwrap().put_file(
            "a",
            b"",
            Tier::Warm,
            &WriteOptions::default()
        )),
        ErrorCode::ReadOnly
    );
}

#[test]
fn an_idem_returns_the_version_that_it_put() {
    let folder = tempfile::tempdir().unwrap();
    for db in [in_memory(), open(folder.path())] {
        let idem = WriteOptions { idem: Some("k".to_owned()), ..WriteOptions::default() };
        put(&db, "a", b"0");
        assert_eq!(db.put_file("a", b"1", Tier::Warm, &idem).unwrap(), 1);
        assert_eq!(put(&db, "a", b"2"), 2);
        assert_eq!(db.put_file("a", b"1", Tier::Warm, &idem).unwrap(), 1);
        let other = db.put_file("b", b"1", Tier::Warm, &idem);
        assert_eq!(code(other), ErrorCode::IdempotencyConflict);
        assert_eq!(db.seq(), 2);
    }
}

#[test]
fn a_stream_is_read_from_any_place() {
    let db = in_memory();
    let data = bytes(500_000, 1);
    let mut told = Vec::new();
    let mut progress = |count| {
        told.push(count);
        Ok(())
    };
    let none = WriteOptions::default();
    let version = db.put_file_from("a", &mut &data[..], Tier::Cold, &none, &mut progress).unwrap();
    assert_eq!((version, told.last()), (0, Some(&500_000)));
    assert!(told.is_sorted());
    let mut reader = db.open_file("a", &LAST).unwrap();
    put(&db, "a", b"a newer version does not matter");
    let mut whole = Vec::new();
    reader.read_to_end(&mut whole).unwrap();
    assert!(whole == data);
    for start in [0, 1, 16_383, 250_000, 499_999, 500_000, 700_000] {
        reader.seek(SeekFrom::Start(start)).unwrap();
        let mut part = vec![0; 70_000];
        let mut count = 0;
        while let Ok(read @ 1..) = reader.read(&mut part[count..]) {
            count += read;
        }
        let start = (start as usize).min(data.len());
        assert!(part[..count] == data[start..(start + 70_000).min(data.len())], "from {start}");
    }
    assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), 499_999);
    assert!(reader.seek(SeekFrom::Current(-500_000)).is_err());
}

#[test]
fn a_proof_leads_from_every_chunk_to_the_root_that_the_log_says() {
    let db = in_memory();
    put(&db, "a", &bytes(400_000, 1));
    let root = db.file_root("a", &LAST).unwrap();
    let op = db.op(0).unwrap().unwrap();
    assert!(op.contains(&root) && op.contains("\"tree\":1"));
    let mut count = 0;
    while let Ok(proof) = db.file_proof("a", count, &LAST) {
        assert_eq!(proof.root, root);
        assert!(Database::verify_proof(&proof));
        let other = FileProof { leaf: root.clone(), ..proof.clone() };
        assert!(proof.path.is_empty() || !Database::verify_proof(&other));
        let no_hash = FileProof { root: "x".to_owned(), ..proof };
        assert!(!Database::verify_proof(&no_hash));
        count += 1;
    }
    assert!(count > 10, "{count} chunks");
}

#[test]
fn threads_that_put_versions_of_one_file_get_numbers_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for db in [in_memory(), open(folder.path())] {
        let numbers: Vec<u64> = std::thread::scope(|scope| {
            let db = &db;
            let work = move |seed: u64| {
                let own = bytes(30_000, seed % 3);
                (0..10).map(|_| put(db, "a", &own)).collect::<Vec<u64>>()
            };
            let threads: Vec<_> = (0..6).map(|seed| scope.spawn(move || work(seed))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..60).collect::<Vec<u64>>());
        for number in 0..60 {
            let found = db.get_file("a", &at(number)).unwrap();
            assert!((0..3).any(|seed| found == bytes(30_000, seed)));
        }
        assert!(db.verify_determinism().unwrap());
    }
}

#[test]
fn a_compaction_goes_on_beside_puts_and_reads() {
    let folder = tempfile::tempdir().unwrap();
    for db in [in_memory(), open(folder.path())] {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..40 {
                    // What an aborted put leaves is garbage that the next one finds again.
                    let data = bytes(1_500_000, round / 2);
                    if round % 2 == 0 {
                        let none = WriteOptions::default();
                        let mut aborted = db.file_writer("x", Tier::Warm, &none).unwrap();
                        aborted.write(&data).unwrap();
                    } else {
                        put(&db, &format!("f{round}"), &data);
                    }
                }
                is_done.store(true, Ordering::Release);
            });
            while !is_done.load(Ordering::Acquire) {
                db.compact_blobs().unwrap();
                for name in db.files(None).unwrap() {
                    let round: u64 = name[1..].parse().unwrap();
                    assert!(db.get_file(&name, &LAST).unwrap() == bytes(1_500_000, round / 2));
                }
            }
        });
        assert_eq!(db.files(None).unwrap().len(), 20);
        assert_eq!(db.compact_blobs().unwrap().removed_chunk_count, 0);
    }
    let db = open(folder.path());
    assert!(db.get_file("f39", &LAST).unwrap() == bytes(1_500_000, 19));
}

#[test]
fn a_damaged_chunk_is_named_and_other_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    {
        let db = open(folder.path());
        put(&db, "good", &bytes(100_000, 1));
        put(&db, "bad", &bytes(100_000, 2));
        db.close().unwrap();
    }
    let pack = folder.path().join("blobs/000001.pack");
    let mut damaged = fs::read(&pack).unwrap();
    let place = damaged.len() - 5_000;
    damaged[place] ^= 0xff;
    fs::write(&pack, &damaged).unwrap();
    let db = open(folder.path());
    assert!(db.get_file("good", &LAST).unwrap() == bytes(100_000, 1));
    let error = db.get_file("bad", &LAST).unwrap_err();
    assert_eq!(error.code(), ErrorCode::IntegrityError);
    assert!(error.message().contains("of version 0 of file \"bad\""), "{error}");
    assert_eq!(db.compact_blobs().unwrap().rewritten_pack_count, 0);
    fs::remove_file(&pack).unwrap();
    let db = {
        drop(db);
        open(folder.path())
    };
    let error = db.get_file("good", &LAST).unwrap_err();
    assert_eq!(error.code(), ErrorCode::IntegrityError);
    // Put again, its bytes are there again, for both versions.
    assert_eq!(put(&db, "good", &bytes(100_000, 1)), 1);
    assert!(db.get_file("good", &at(0)).unwrap() == bytes(100_000, 1));
}

#[test]
fn a_backup_holds_the_bytes_of_its_files_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for (name, db) in [("disk", open(folder.path().join("db"))), ("memory", in_memory())] {
        put(&db, "a", &bytes(300_000, 1));
        let mut aborted = db.file_writer("x", Tier::Warm, &WriteOptions::default()).unwrap();
        aborted.write(&bytes(3_000_000, 7)).unwrap();
        drop(aborted);
        let path = folder.path().join(name).join("copy");
        let report = db.backup(&path).unwrap();
        put(&db, "a", b"later");
        let copy = open(&path);
        assert_eq!((copy.seq(), copy.head()), (report.seq, report.head));
        assert!(copy.get_file("a", &LAST).unwrap() == bytes(300_000, 1));
        let blob_bytes = fs::metadata(path.join("blobs/000001.pack")).unwrap().len();
        assert!(blob_bytes < 400_000, "{blob_bytes}");
        assert_eq!(copy.compact_blobs().unwrap().rewritten_pack_count, 0);
    }
}

#[test]
fn files_of_nedb_1_are_read_backed_up_and_go_on() {
    let folder = copy_of("1.2.2", "files");
    let expected = fs::read_to_string(support::fixtures("1.2.2").join("files/expected.json"));
    let expected: serde_json::Value = serde_json::from_str(&expected.unwrap()).unwrap();
    let snapshot = fs::read(folder.path().join("snapshot.json")).unwrap();
    let db = open(folder.path());
    let copy = folder.path().join("copy");
    db.backup(&copy).unwrap();
    let copied = open(&copy);
    for db in [&db, &copied] {
        for file in expected["files"].as_array().unwrap() {
            let name = file[0].as_str().unwrap();
            let tier = Tier::parse(file[1].as_str().unwrap()).unwrap();
            let at = FileAt { version: file[2].as_i64(), tier: Some(tier), as_of: None };
            let data = db.get_file(name, &at).unwrap();
            assert_eq!(data.len() as u64, file[3].as_u64().unwrap(), "{file}");
            assert_eq!(db.file_root(name, &at).unwrap(), file[5].as_str().unwrap());
            for chunk in 0.. {
                let Ok(proof) = db.file_proof(name, chunk, &at) else { break };
                assert!(Database::verify_proof(&proof), "{file}");
            }
        }
        let lost = FileAt { version: Some(3), tier: Some(Tier::Warm), as_of: None };
        let error = db.get_file("text.txt", &lost).unwrap_err();
        assert_eq!(error.code(), ErrorCode::IntegrityError);
        assert!(error.message().contains("not in snapshot.json"), "{error}");
        assert_eq!(put(db, "text.txt", b"ours"), 4);
        assert_eq!(db.get_file("text.txt", &LAST).unwrap(), b"ours");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
    }
    assert_eq!(fs::read(folder.path().join("snapshot.json")).unwrap(), snapshot);
    // Without a tier the warm one of two versions with one number is meant, as in 1.x.
    assert_eq!(db.get_file("text.txt", &at(0)).unwrap().len(), 60);
}

/// What `tests/fixtures/format/2.0/files` holds: name, tier, bytes.
fn released_files() -> Vec<(&'static str, Tier, Vec<u8>)> {
    vec![
        ("text.txt", Tier::Warm, b"hello there, ".repeat(30)),
        ("empty", Tier::Warm, Vec::new()),
        ("dir/large", Tier::Cold, bytes(100_000, 1)),
        ("dir/large", Tier::Warm, [bytes(60_000, 1), bytes(40_000, 2)].concat()),
        ("text.txt", Tier::Cold, vec![0, 159, 146, 150]),
    ]
}

const RELEASED_HEAD: &str = "881af74041b507bb367c5822acea20b513191e18e82a7fae5c77692373f676fa";

fn write_released(path: &Path) -> Database {
    let db = open(path);
    for (name, tier, data) in released_files() {
        db.put_file(name, &data, tier, &WriteOptions::default()).unwrap();
    }
    db
}

/// Once written it is never written anew: `cargo test --test files -- --ignored released`.
#[test]
#[ignore = "it writes a fixture"]
fn the_released_files_are_written() {
    let folder = support::fixtures("2.0").join("files");
    fs::create_dir(&folder).unwrap();
    write_released(&folder).close().unwrap();
    fs::remove_file(folder.join("LOCK")).unwrap();
}

#[test]
fn files_of_a_released_format_are_read_and_go_on() {
    let folder = copy_of("2.0", "files");
    let written = tempfile::tempdir().unwrap();
    assert_eq!(write_released(written.path()).head(), RELEASED_HEAD, "cut as ever");
    let db = open(folder.path());
    assert_eq!(db.head(), RELEASED_HEAD);
    let mut seq = -1;
    for (name, _, data) in released_files() {
        seq += 1;
        let then = FileAt { as_of: Some(seq), ..LAST };
        assert!(db.get_file(name, &then).unwrap() == data, "{name} at {seq}");
    }
    assert_eq!(db.compact_blobs().unwrap().rewritten_pack_count, 0);
    put(&db, "text.txt", b"more");
    assert_eq!(db.file_versions("text.txt", None).unwrap().len(), 3);
}

#[test]
fn what_files_cost_is_told_by_tier() {
    let db = in_memory();
    let data = bytes(200_000, 1);
    put(&db, "a", &data);
    put(&db, "b", &data);
    db.put_file("c", &bytes(200_000, 2), Tier::Cold, &WriteOptions::default()).unwrap();
    let warm = db.compression_stats(Tier::Warm).unwrap();
    assert_eq!((warm.logical_bytes, warm.unique_chunk_count), (400_000, warm.dedup_hit_count));
    assert!(warm.ratio() > 3.0, "{warm:?}");
    let cold = db.compression_stats(Tier::Cold).unwrap();
    assert_eq!((cold.logical_bytes, cold.dedup_hit_count), (200_000, 0));
    assert!(cold.stored_bytes > 0 && cold.to_json().contains("\"tier\":\"cold\""));
}

/// A stream that is never in memory whole.
struct Generated {
    left: u64,
    state: u64,
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.left).unwrap());
        for byte in &mut buffer[..count] {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            *byte = b"etaoin shrdlucm "[(self.state >> 60) as usize];
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// `NEDB_LARGE_FILE_BYTES` makes it larger; 1 GiB takes half a minute.
#[cfg(target_os = "linux")]
#[test]
fn a_large_file_is_put_and_read_in_the_memory_of_a_few_chunks() {
    let given = std::env::var("NEDB_LARGE_FILE_BYTES").ok().and_then(|bytes| bytes.parse().ok());
    let size_bytes: u64 = given.unwrap_or(96 << 20);
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let before = peak_memory_bytes();
    let mut source = Generated { left: size_bytes, state: 1 };
    let none = WriteOptions::default();
    db.put_file_from("large", &mut source, Tier::Warm, &none, &mut |_| Ok(())).unwrap();
    let mut reader = db.open_file("large", &LAST).unwrap();
    let mut again = Generated { left: size_bytes, state: 1 };
    let (mut read, mut expected) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut total = 0;
    loop {
        let count = reader.read(&mut read).unwrap();
        if count == 0 {
            break;
        }
        again.read_exact(&mut expected[..count]).unwrap();
        assert!(read[..count] == expected[..count]);
        total += count as u64;
    }
    assert_eq!(total, size_bytes);
    let grown = peak_memory_bytes() - before;
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
}

#[cfg(target_os = "linux")]
fn peak_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
