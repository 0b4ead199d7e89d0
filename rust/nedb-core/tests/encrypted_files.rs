//! The bytes of files in an encrypted database: unreadable on the disk, the same to everyone else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use nedb_core::{Database, FileAt, Options, Tier, Tmk, WriteOptions};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::{code, copy_of, files};

const LAST: FileAt = FileAt { version: None, tier: None, as_of: None };
/// Words that a file holds, as they stand in it and as they are stored where nothing compresses them.
const SECRET: &[u8] = b"0123456789abcdef the quick brown fox";

fn with_key() -> Options {
    Options { tmk: Some(Tmk::new((0..32).collect::<Vec<u8>>())), ..support::options(support::NOW) }
}

fn open(path: &Path) -> Database {
    Database::open(path, with_key()).unwrap()
}

/// Bytes that nothing compresses, but for a few words in them.
fn data(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes: Vec<u8> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    bytes[100_000..100_000 + SECRET.len()].copy_from_slice(SECRET);
    bytes
}

/// Puts files in both tiers, twice the same bytes among them.
fn fill(db: &Database) {
    for (name, tier, seed) in
        [("a", Tier::Warm, 1), ("b", Tier::Cold, 2), ("again", Tier::Warm, 1), ("a", Tier::Warm, 3)]
    {
        db.put_file(name, &data(seed), tier, &WriteOptions::default()).unwrap();
    }
    db.put_file("small", SECRET, Tier::Warm, &WriteOptions::default()).unwrap();
}

fn check(db: &Database) {
    let first = FileAt { version: Some(0), ..LAST };
    assert!(db.get_file("a", &first).unwrap() == data(1));
    assert!(db.get_file("a", &LAST).unwrap() == data(3));
    assert!(db.get_file("b", &LAST).unwrap() == data(2));
    assert!(db.get_file("again", &LAST).unwrap() == data(1));
    assert_eq!(db.get_file("small", &LAST).unwrap(), SECRET);
    assert!(Database::verify_proof(&db.file_proof("b", 3, &LAST).unwrap()));
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

fn holds(folder: &Path, wanted: &[u8]) -> bool {
    files(folder).values().any(|bytes| bytes.windows(wanted.len()).any(|it| it == wanted))
}

/// The name of the first chunk in the first pack of a folder.
fn first_name(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("blobs/000001.pack")).unwrap()[20..52].to_vec()
}

#[test]
fn files_are_unreadable_on_the_disk_and_roots_and_heads_are_those_of_a_plain_database() {
    let (plain, sealed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut heads = Vec::new();
    for db in [support::open(plain.path()), open(sealed.path())] {
        fill(&db);
        check(&db);
        heads.push((db.head(), db.file_root("b", &LAST).unwrap()));
    }
    assert_eq!(heads[0], heads[1]);
    check(&open(sealed.path()));
    assert!(holds(plain.path(), SECRET) && !holds(sealed.path(), SECRET));
    let name = first_name(plain.path());
    assert!(holds(plain.path(), &name));
    assert!(!holds(sealed.path(), &name), "a known chunk cannot be recognised by its name");
}

#[test]
fn a_chunk_that_was_changed_or_moved_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    let place = folder.path().join("blobs/000001.pack");
    let pack = fs::read(&place).unwrap();
    for at in [pack.len() - 1, pack.len() / 2, pack.len() / 3, 1_000] {
        let mut changed = pack.clone();
        changed[at] ^= 1;
        fs::write(&place, changed).unwrap();
        let db = open(folder.path());
        let found: Vec<_> = ["a", "b", "again", "small"]
            .iter()
            .flat_map(|name| {
                db.file_versions(name, None).unwrap().into_iter().map(|it| (*name, it.version))
            })
            .filter_map(|(name, version)| {
                let at = FileAt { version: Some(version as i64), ..LAST };
                db.get_file(name, &at).err()
            })
            .map(|error| {
                // The head of a frame is what it is sealed under, and nothing to show to a person.
                assert!(!error.message().contains("NFr1"), "{error}");
                error.code().as_str()
            })
            .collect();
        assert!(!found.is_empty() && found.iter().all(|it| *it == "INTEGRITY_ERROR"), "{found:?}");
    }
}

#[test]
fn a_backup_of_files_is_sealed_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    fill(&db);
    let copy = folder.path().join("copy");
    db.backup(&copy).unwrap();
    assert!(!holds(&copy, SECRET));
    check(&open(&copy));
}

#[test]
fn files_of_a_plain_database_are_encrypted_in_place_and_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let plain = support::open(folder.path());
    fill(&plain);
    let root = plain.file_root("b", &LAST).unwrap();
    drop(plain);
    let name = first_name(folder.path());
    // What a crash left behind the last frame.
    let place = folder.path().join("blobs/000001.pack");
    let torn = [fs::read(&place).unwrap(), SECRET.to_vec()].concat();
    fs::write(&place, torn).unwrap();
    let db = open(folder.path());
    assert!(!holds(folder.path(), SECRET) && !holds(folder.path(), &name));
    check(&db);
    assert_eq!(db.file_root("b", &LAST).unwrap(), root);
    let before = db.compression_stats(Tier::Warm).unwrap();
    db.put_file("once more", &data(1), Tier::Warm, &WriteOptions::default()).unwrap();
    let after = db.compression_stats(Tier::Warm).unwrap();
    let grown_bytes = after.stored_bytes - before.stored_bytes;
    assert!(grown_bytes < 20_000, "chunks are found again: {grown_bytes}");
    db.compact_blobs().unwrap();
    check(&db);
    drop(db);
    check(&open(folder.path()));
}

#[test]
fn a_pack_of_which_encrypting_would_remove_what_somebody_may_mend_is_not_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    fill(&support::open(folder.path()));
    let place = folder.path().join("blobs/000001.pack");
    let whole = fs::read(&place).unwrap();
    let second = whole.windows(4).enumerate().filter(|(_, it)| *it == b"NFr1").nth(1).unwrap().0;
    let mut damaged = whole.clone();
    // A bit of the head: the address of the frame's first chunk.
    damaged[second + 20] ^= 1;
    fs::write(&place, &damaged).unwrap();
    let refused = Database::open(folder.path(), with_key()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code().as_str(), "INTEGRITY_ERROR", "{refused}");
    assert!(refused.message().contains("skip_damaged_files"), "{refused}");
    assert_eq!(fs::read(&place).unwrap(), damaged, "it is as it was");
    assert!(!folder.path().join("log.aof.sealing").exists());
    fs::write(&place, whole).unwrap();
    check(&open(folder.path()));
}

#[test]
fn progress_counts_the_log_and_the_packs_and_ends_the_opening_in_either() {
    let folder = tempfile::tempdir().unwrap();
    fill(&support::open(folder.path()));
    let bytes_of = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    let (log_bytes, packs_bytes) = (bytes_of("log.aof"), bytes_of("blobs/000001.pack"));
    assert!(packs_bytes > 10 * log_bytes, "{log_bytes}, {packs_bytes}");
    let told = Arc::new(Mutex::new(Vec::new()));
    let given = |stops_at: u64| {
        let teller = Arc::clone(&told);
        let progress = Arc::new(move |done: u64, all: u64| {
            teller.lock().unwrap().push((done, all));
            match done >= stops_at {
                true => Err(nedb_core::Error::invalid("the host has changed its mind")),
                false => Ok(()),
            }
        });
        Options { progress: Some(progress), ..with_key() }
    };
    for stops_at in [1, log_bytes + 1, log_bytes + packs_bytes] {
        let ended = Database::open(folder.path(), given(stops_at)).map(drop).unwrap_err();
        assert_eq!(ended.code().as_str(), "INVALID_ARGUMENT", "{stops_at}: {ended}");
        for name in ["log.aof.sealing", "blobs/000001.pack.sealing", "key.enc"] {
            assert!(!folder.path().join(name).exists(), "{stops_at}: {name}");
        }
        check(&support::open(folder.path()));
    }
    told.lock().unwrap().clear();
    check(&Database::open(folder.path(), given(u64::MAX)).unwrap());
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && told.iter().all(|(_, all)| *all == log_bytes + packs_bytes));
    assert_eq!(told.first().unwrap().0, log_bytes);
    assert_eq!(told.last().unwrap().0, log_bytes + packs_bytes);
    assert!(told.len() > 3, "{told:?}");
}

#[test]
fn what_an_interrupted_encryption_left_never_takes_the_place_of_an_encrypted_log() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    for stale in ["log.aof.sealing", "meta.json.sealing", "blobs/000001.pack.sealing"] {
        fs::write(folder.path().join(stale), b"").unwrap();
    }
    check(&open(folder.path()));
    assert!(!folder.path().join("log.aof.sealing").exists());
    check(&open(folder.path()));
}

#[test]
fn copies_of_packs_that_stay_in_plain_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(&support::open(folder.path()));
    fs::copy(folder.path().join("blobs/000001.pack"), folder.path().join("blobs/old.pack.bak"))
        .unwrap();
    let warnings = open(folder.path()).open_report().warnings.join("\n");
    assert!(warnings.contains("blobs/old.pack.bak") && !warnings.contains("000001"), "{warnings}");
}

/// Reads every file that 1.2.2 read back.
fn check_expected(db: &Database, fixture: &str) {
    let expected = support::fixtures("1.2.2").join(fixture).join("expected.json");
    let expected: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap();
    let list = expected["files"].as_array().unwrap();
    assert!(list.len() > 5);
    for file in list {
        let tier = Tier::parse(file[1].as_str().unwrap()).unwrap();
        let at = FileAt { version: file[2].as_i64(), tier: Some(tier), as_of: None };
        let name = file[0].as_str().unwrap();
        let data = db.get_file(name, &at).unwrap();
        assert_eq!(data.len() as u64, file[3].as_u64().unwrap(), "{file}");
        assert_eq!(db.file_root(name, &at).unwrap(), file[5].as_str().unwrap());
    }
}

#[test]
fn files_in_an_encrypted_database_of_1_2_2_are_read_and_backed_up() {
    let folder = copy_of("1.2.2", "encrypted_files");
    let db = open(folder.path());
    check_expected(&db, "encrypted_files");
    let copy = folder.path().join("copy");
    db.backup(&copy).unwrap();
    check_expected(&open(&copy), "encrypted_files");
    db.put_file("ours", SECRET, Tier::Warm, &WriteOptions::default()).unwrap();
    assert_eq!(db.get_file("ours", &LAST).unwrap(), SECRET);
}

#[test]
fn files_of_a_plain_database_of_1_2_2_survive_encrypting_in_place() {
    let folder = copy_of("1.2.2", "files");
    let snapshot = fs::read(folder.path().join("snapshot.json")).unwrap();
    let db = open(folder.path());
    check_expected(&db, "files");
    drop(db);
    // A plain snapshot put in its place is refused.
    fs::write(folder.path().join("snapshot.json"), snapshot).unwrap();
    let refused = open(folder.path()).get_file("empty", &LAST);
    assert_eq!(code(refused).as_str(), "INTEGRITY_ERROR");
}
