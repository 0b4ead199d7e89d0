//! What the tests of trust share: databases to open, and what may be asked of them.

#![allow(dead_code, clippy::type_complexity, reason = "each test file uses a part of this")]

pub mod bytes;
pub mod entries;
pub mod expected;
pub mod mutate;
pub mod refusal;
pub mod sample;

use nedb_core::{Database, Error, ErrorCode, ManualClock, Options, Params, ReadOptions};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// When tests happen, in seconds since 1970, unless they say otherwise.
pub const NOW: f64 = 1_800_000_000.5;

/// Returns the folder of fixtures of a released format.
pub fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/format").join(version)
}

/// Copies a fixture into a folder of its own, without `expected.json`.
pub fn copy_of(version: &str, name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_files(&fixtures(version).join(name), copy.path());
    copy
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&copied).unwrap();
            copy_files(&entry.path(), &copied);
        } else if entry.file_name() != "expected.json" {
            fs::copy(entry.path(), copied).unwrap();
        }
    }
}

/// Returns options with a clock that stands still and, so that reads are reads, no cache.
pub fn options(now_seconds: f64) -> Options {
    Options { clock: Arc::new(ManualClock::new(now_seconds)), cache_bytes: 0, ..Options::default() }
}

/// Opens a directory for writing.
pub fn open(path: impl AsRef<Path>) -> Database {
    Database::open(path, options(NOW)).unwrap()
}

/// Opens a directory for reading.
pub fn open_read_only(path: impl AsRef<Path>) -> nedb_core::Result<Database> {
    Database::open(path, Options { read_only: true, ..options(NOW) })
}

/// Returns the code of a refusal.
pub fn code<T: std::fmt::Debug>(result: nedb_core::Result<T>) -> ErrorCode {
    result.map_err(|error: Error| error.code()).expect_err("it should have been refused")
}

/// Returns the files of a directory, and of those in it, without `LOCK`, which says when it was last
/// written to.
pub fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            let inner = files(&entry.path()).into_iter();
            all.extend(inner.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name != "LOCK" {
            all.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// Returns the bytes of the log.
pub fn log_of(directory: &Path) -> Vec<u8> {
    fs::read(directory.join("log.aof")).unwrap()
}

/// Replaces the log, in place: file systems write a file that was truncated first to the disk at once.
pub fn write_log(directory: &Path, log: &[u8]) {
    let path = directory.join("log.aof");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    file.write_all(log).unwrap();
    file.set_len(log.len() as u64).unwrap();
}

/// Makes a folder that holds a log, and a `LOCK` that says how much of it was acknowledged.
pub fn folder_with(log: &[u8], durable_bytes: Option<u64>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path(), log);
    if let Some(durable_bytes) = durable_bytes {
        write_lock(folder.path(), durable_bytes);
    }
    folder
}

/// Writes `LOCK` as a process that is gone has left it.
pub fn write_lock(directory: &Path, durable_bytes: u64) {
    let path = directory.join("LOCK");
    let text = format!("{{\"durable_bytes\":{durable_bytes},\"pid\":4194399}}");
    let text = format!("{text:<63}\n");
    if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return;
    }
    fs::write(path, text).unwrap();
}

/// Splits a log into its lines, each with its newline.
pub fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns everything that HEAD shows: every collection's documents, in order.
pub fn contents(db: &Database) -> nedb_core::Result<Vec<String>> {
    let mut all = Vec::new();
    for collection in db.collections()? {
        let nql = format!("FROM {}", quoted(&collection));
        all.extend(db.query(&nql, &Params::none())?.into_texts());
    }
    Ok(all)
}

/// Returns every op as canonical text.
pub fn ops(db: &Database) -> nedb_core::Result<Vec<String>> {
    (0..=db.seq()).map(|seq| Ok(db.op(seq)?.unwrap())).collect()
}

/// Returns a document at HEAD.
pub fn get(db: &Database, collection: &str, id: &str) -> Option<String> {
    db.get(collection, id, &ReadOptions::default()).unwrap()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
