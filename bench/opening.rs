//! What opening takes, in time and in memory, from a checkpoint and from the log:
//!
//! ```sh
//! cargo run --release -p nedb-core --example opening -- 1000000
//! ```
//!
//! Arguments: how many documents (1,000,000), how many openings of each kind (5), and a folder to keep the
//! database in for the next run. Lines of the log are about 400 bytes long. Memory is that of the
//! process, on Linux; a process that did something before holds on to some of that, so that the first
//! figure of a run with a folder that is there is the one to look at.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use nedb_core::{Database, Options, WriteOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (count, rounds) = (number(0, 1_000_000), number(1, 5));
    let temporary = tempfile::tempdir().unwrap();
    let folder = arguments.get(2).map_or(temporary.path().to_owned(), PathBuf::from);
    if !folder.join("log.aof").exists() {
        write(&folder, count);
    }
    let saved = || std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = saved().find(|path| path.to_string_lossy().contains("checkpoint.")).unwrap();
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!("checkpoint: {bytes} bytes, {:.1} an op", bytes as f64 / count as f64);
    open("from the checkpoint", &folder, rounds, count);
    let aside = folder.join("aside");
    std::fs::rename(&file, &aside).unwrap();
    open("from the log", &folder, rounds.min(2), count);
    std::fs::rename(&aside, &file).unwrap();
}

fn write(folder: &Path, count: usize) {
    let db = Database::open(folder, Options::default()).unwrap();
    let filler = "x".repeat(110);
    for first in (0..count).step_by(10_000) {
        let document = |n| (format!("d{n:07}"), format!("{{\"n\":{n},\"t\":\"{filler}\"}}"));
        let documents: Vec<(String, String)> =
            (first..count.min(first + 10_000)).map(document).collect();
        db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    }
    let start = Instant::now();
    db.checkpoint(None).unwrap();
    println!("saved in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
}

fn open(name: &str, folder: &Path, rounds: usize, count: usize) {
    for round in 0..rounds {
        let before = resident_bytes();
        let start = Instant::now();
        let db = Database::open(folder, Options { read_only: true, ..Options::default() }).unwrap();
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let bytes = resident_bytes().saturating_sub(before) as f64 / count as f64;
        println!("{name}, {round}: {milliseconds:.0} ms, {bytes:.0} bytes of memory an op");
        assert_eq!(db.open_report().warnings, Vec::<String>::new());
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = status.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4_096
}
