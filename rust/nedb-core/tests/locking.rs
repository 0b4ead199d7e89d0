//! One process writes; any number read beside it; and what a path may be that is no database.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "it is test code"
)]

mod support;

use nedb_core::{Database, ErrorCode, IndexKind, Options, ReadOptions, Update, WriteOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{fs, io};
use support::{code, files, get, lines, log_of, open, open_read_only, sample};

const DIRECTORY: &str = "NEDB_TEST_LOCK_HOLDER";

fn none() -> WriteOptions {
    WriteOptions::default()
}

#[test]
#[ignore = "the process that holds the lock for the tests below"]
fn holder_of_the_lock() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let db = Database::open(directory, Options::default()).unwrap();
    db.put("a", "held", "{}", &none()).unwrap();
    io::stdout().write_all(b"\nholds\n").unwrap();
    // Until the parent lets go of the pipe.
    io::stdin().read_line(&mut String::new()).unwrap();
}

fn start_holder(directory: &Path) -> Child {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder_of_the_lock", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line == "holds"));
    holder
}

fn assert_locked_by(directory: &Path, pid: u32) {
    let refused = Database::open(directory, Options::default()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::DatabaseLocked);
    assert!(refused.message().contains(&format!("process {pid};")), "{refused}");
}

#[test]
fn a_second_writer_in_the_same_process_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    assert_locked_by(folder.path(), std::process::id());
    db.put("a", "b", "{}", &none()).unwrap();
    let other = db.clone();
    drop(db);
    assert_locked_by(folder.path(), std::process::id());
    drop(other);
    open(folder.path()).close().unwrap();
}

#[test]
fn a_second_writer_in_another_process_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = start_holder(folder.path());
    assert_locked_by(folder.path(), holder.id());
    let reader = open_read_only(folder.path()).unwrap();
    assert!(get(&reader, "a", "held").is_some());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let db = open(folder.path());
    assert!(get(&db, "a", "held").is_some(), "the lock of a dead process is no obstacle");
}

#[test]
fn a_lock_file_left_by_a_dead_process_is_no_obstacle() {
    for text in ["", "{\"durable_bytes\":0,\"pid\":1}\n", "garbage"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LOCK"), text).unwrap();
        open(folder.path()).put("a", "b", "{}", &none()).unwrap();
    }
}

#[test]
fn closing_gives_the_lock_back_whatever_handles_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let (db, reader) = (open(folder.path()), open_read_only(folder.path()).unwrap());
    let clone = db.clone();
    db.close().unwrap();
    db.close().unwrap();
    assert!(clone.is_closed());
    assert_eq!(code(clone.put("a", "b", "{}", &none())), ErrorCode::DatabaseClosed);
    assert_eq!(code(clone.get("a", "b", &ReadOptions::default())), ErrorCode::DatabaseClosed);
    assert_eq!(code(clone.verify()), ErrorCode::DatabaseClosed);
    assert_eq!(code(clone.flush()), ErrorCode::DatabaseClosed);
    open(folder.path()).put("a", "b", "{}", &none()).unwrap();
    assert_eq!(reader.refresh().unwrap(), 0);
}

/// Returns which files of a directory this process holds open.
#[cfg(target_os = "linux")]
fn open_files(directory: &Path) -> Vec<String> {
    let links = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let targets = links.filter_map(|link| fs::read_link(link).ok());
    let ours = targets.filter(|target| target.starts_with(directory));
    let mut names: Vec<String> = ours
        .map(|path| path.strip_prefix(directory).unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(target_os = "linux")]
#[test]
fn closing_gives_every_file_back_whatever_handles_and_readers_are_left() {
    use nedb_core::{FileAt, Tier};
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    for checkpoint_every_ops in [None, Some(2)] {
        let options = Options { checkpoint_every_ops, ..support::options(support::NOW) };
        let db = Database::open(folder.path(), options).unwrap();
        db.put("a", "x", r#"{"n":1}"#, &none()).unwrap();
        db.put_file("f", &bytes, Tier::Warm, &none()).unwrap();
        let reader = open_read_only(folder.path()).unwrap();
        for handle in [db, reader] {
            let mut file = handle.open_file("f", &FileAt::default()).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(file.read_bytes(&mut buffer).unwrap(), 16);
            let clone = handle.clone();
            let left = open_files(folder.path()).len();
            assert!(left >= 2, "the log and a pack at least: {left}");
            let (seq, head) = (handle.seq(), handle.head());
            handle.close().unwrap();
            assert!(open_files(folder.path()).len() < left);
            assert_eq!((clone.seq(), clone.head()), (seq, head), "these need no file");
            file.set_position(bytes.len() as u64 - 16);
            let refusals = [
                code(clone.get("a", "x", &ReadOptions::default())),
                code(clone.query("FROM a", &nedb_core::Params::none())),
                code(clone.op(0)),
                code(clone.get_file("f", &FileAt::default())),
                code(file.read_bytes(&mut buffer)),
                code(clone.verify()),
                code(clone.verify_determinism()),
                code(clone.refresh()),
                code(clone.backup(folder.path().join("copy"))),
            ];
            assert_eq!(refusals, [ErrorCode::DatabaseClosed; 9]);
            handle.close().unwrap();
            std::mem::forget((handle, clone, file));
        }
        assert_eq!(open_files(folder.path()), [] as [&str; 0]);
    }
}

#[test]
fn closing_while_threads_read_gives_each_a_row_or_says_closed() {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<_> = (0..5_000).map(|n| (n.to_string(), "{\"n\":1}".to_owned())).collect();
    open(folder.path()).put_many("a", &documents, &none()).unwrap();
    for _ in 0..5 {
        let db = open(folder.path());
        let barrier = std::sync::Barrier::new(5);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    loop {
                        match db.query("FROM a WHERE n = 1", &nedb_core::Params::none()) {
                            Ok(rows) => assert_eq!(rows.len(), 5_000),
                            Err(error) => {
                                return assert_eq!(error.code(), ErrorCode::DatabaseClosed);
                            }
                        }
                    }
                });
            }
            barrier.wait();
            std::thread::sleep(std::time::Duration::from_millis(15));
            db.close().unwrap();
        });
    }
}

#[test]
fn a_reader_of_a_file_goes_on_when_its_handle_is_dropped_and_not_closed() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    db.put_file("f", b"bytes", nedb_core::Tier::Warm, &none()).unwrap();
    let mut file = db.open_file("f", &nedb_core::FileAt::default()).unwrap();
    drop(db);
    let mut buffer = [0; 5];
    assert_eq!((file.read_bytes(&mut buffer).unwrap(), &buffer), (5, b"bytes"));
    open(folder.path());
}

#[test]
fn a_reader_beside_a_writer_sees_what_was_there_until_it_refreshes() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    writer.put("a", "x", r#"{"n":1}"#, &none()).unwrap();
    let reader = open_read_only(folder.path()).unwrap();
    writer.put("a", "x", r#"{"n":2}"#, &none()).unwrap();
    writer.link("a:x", "r", "a:y", &none()).unwrap();
    assert_eq!(get(&reader, "a", "x").as_deref(), Some(r#"{"_id":"x","_seq":0,"n":1}"#));
    assert!(reader.verify().unwrap() && reader.verify_determinism().unwrap());
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(get(&reader, "a", "x").as_deref(), Some(r#"{"_id":"x","_seq":1,"n":2}"#));
    assert_eq!(reader.neighbors("a:x", "r", None).unwrap(), ["a:y"]);
    assert_eq!((reader.head(), reader.refresh().unwrap()), (writer.head(), 2));
    assert!(reader.verify().unwrap() && reader.verify_determinism().unwrap());
}

#[test]
fn a_reader_that_refreshes_beside_a_busy_writer_is_never_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    let reader = open_read_only(folder.path()).unwrap();
    std::thread::scope(|scope| {
        let filler = "é".repeat(3_000);
        let documents: Vec<_> =
            (0..5).map(|n| (format!("{n}"), format!("{{\"f\":\"{filler}\"}}"))).collect();
        let writing = scope.spawn(move || {
            (0..100).for_each(|_| drop(writer.put_many("a", &documents, &none()).unwrap()));
        });
        while !writing.is_finished() {
            let seq = reader.refresh().unwrap();
            assert!(reader.verify().unwrap() && reader.seq() == seq);
        }
    });
    assert_eq!(reader.refresh().unwrap(), 499);
}

/// A log of which a writer, who holds its lock, has synced the first three lines, and a reader of it.
fn half_synced() -> (tempfile::TempDir, Vec<u8>, Database, fs::File) {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), sample::all_kinds);
    let log = log_of(folder.path());
    support::write_lock(folder.path(), lines(&log)[..3].concat().len() as u64);
    let held = fs::File::open(folder.path().join("LOCK")).unwrap();
    held.try_lock().unwrap();
    let reader = open_read_only(folder.path()).unwrap();
    (folder, log, reader, held)
}

#[test]
fn a_reader_sees_synced_ops_alone() {
    let (folder, log, reader, _held) = half_synced();
    assert_eq!((reader.seq(), reader.refresh().unwrap()), (2, 2));
    assert!(reader.verify().unwrap());
    for count in [4, 9, 15] {
        support::write_lock(folder.path(), lines(&log)[..count].concat().len() as u64);
        assert_eq!(reader.refresh().unwrap(), count as i64 - 1);
        assert!(reader.verify().unwrap() && reader.verify_determinism().unwrap());
    }
}

#[test]
fn a_reader_sees_all_there_is_where_nobody_writes() {
    let (folder, log, reader, held) = half_synced();
    assert_eq!(reader.refresh().unwrap(), 2);
    drop(held);
    // The writer is gone without a word, or a power cut left an old word behind.
    assert_eq!(reader.refresh().unwrap(), lines(&log).len() as i64 - 1);
    let reader = open_read_only(folder.path()).unwrap();
    assert_eq!(reader.seq(), lines(&log).len() as i64 - 1);
    assert!(reader.verify().unwrap());
}

#[test]
fn a_log_without_its_last_synced_ops_is_damaged_at_every_opening() {
    for kept in [0, 1, 7, 14] {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), sample::all_kinds);
        let log = log_of(folder.path());
        support::write_lock(folder.path(), log.len() as u64);
        support::write_log(folder.path(), &lines(&log)[..kept].concat());
        for _ in 0..2 {
            let db = open(folder.path());
            assert_eq!(db.open_report().damage.unwrap().seq, kept as i64);
            assert_eq!(code(db.put("a", "b", "{}", &none())), ErrorCode::ReadOnly);
            assert!(!db.verify().unwrap());
        }
        let db = open(folder.path());
        db.repair().unwrap();
        db.put("a", "b", "{}", &none()).unwrap();
        assert!(db.verify().unwrap());
    }
}

#[test]
fn a_reader_that_finds_damage_in_what_was_synced_says_so() {
    for (text, other) in [("\"nonce\":6", "\"nonce\":7"), ("\"nonce\":6", "\"nonce\"+6")] {
        let (folder, log, reader, _held) = half_synced();
        let damaged = support::mutate::replaced_in_line(&log, 6, text, other);
        support::write_log(folder.path(), &damaged);
        support::write_lock(folder.path(), log.len() as u64);
        let refused = reader.refresh().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::IntegrityError, "{other}");
        assert!(refused.message().contains("op 6"), "{refused}");
        assert_eq!(reader.seq(), 5, "what comes before can be read");
        assert!(get(&reader, "orders", "1").is_some());
    }
}

#[test]
fn no_write_is_taken_from_a_reader() {
    let folder = support::copy_of("2.0", "all_kinds");
    let before = files(folder.path());
    let db = open_read_only(folder.path()).unwrap();
    let refusals = [
        code(db.put("a", "b", "{}", &none())),
        code(db.put_many("a", &[("b".to_owned(), "{}".to_owned())], &none())),
        code(db.delete("a", "b", &none())),
        code(db.link("a:b", "r", "c:d", &none())),
        code(db.unlink("a:b", "r", "c:d", &none())),
        code(db.batch(r#"[{"op":"delete","coll":"a","id":"b"}]"#, &none())),
        code(db.update("a", "b", &none(), |_| Ok(Update::Keep))),
        code(db.expire("users", "alice", 1.0, &none())),
        code(db.sweep()),
        code(db.checkpoint(None)),
        code(db.create_index("users", "x", IndexKind::Eq)),
    ];
    assert_eq!(refusals, [ErrorCode::ReadOnly; 11]);
    assert!(db.is_read_only());
    db.flush().unwrap();
    db.close().unwrap();
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_database_that_is_not_there_is_not_made_by_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let refused = open_read_only(&missing).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageError);
    assert!(refused.to_string().contains("missing") && !missing.exists(), "{refused}");
    let refused = open_read_only(folder.path()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageError);
    assert!(refused.to_string().contains("log.aof"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_writer_makes_the_directory_and_its_parents() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a").join("b").join("ключ é");
    open(&deep).put("a", "b", "{}", &none()).unwrap();
    assert_eq!(open(&deep).seq(), 0);
}

#[test]
fn a_path_that_is_a_file_is_a_storage_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("below")] {
        assert_eq!(code(Database::open(&path, Options::default())), ErrorCode::StorageError);
        assert_eq!(code(open_read_only(&path)), ErrorCode::StorageError);
    }
    for options in [Options::default(), Options { read_only: true, ..Options::default() }] {
        let refused = Database::open(&file, options).unwrap_err().to_string();
        let says = "a file stands there, and a database is a directory";
        assert!(refused.contains(says) && refused.contains("/file"), "{refused}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::create_dir(folder.path().join("log.aof")).unwrap();
    assert_eq!(code(Database::open(folder.path(), Options::default())), ErrorCode::StorageError);
    assert_eq!(code(open_read_only(folder.path())), ErrorCode::StorageError);
}

#[cfg(unix)]
#[test]
fn a_directory_that_may_not_be_written_is_a_storage_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(closed.join("probe"), "").is_ok() {
        eprintln!("skipped: this user, root, may write everywhere");
        return;
    }
    assert_eq!(code(Database::open(&closed, Options::default())), ErrorCode::StorageError);
    assert_eq!(
        code(Database::open(closed.join("new"), Options::default())),
        ErrorCode::StorageError
    );
}

#[test]
fn memory_cannot_be_opened_for_reading_alone() {
    let options = Options { read_only: true, ..Options::default() };
    assert_eq!(code(Database::in_memory(options)), ErrorCode::InvalidArgument);
}
