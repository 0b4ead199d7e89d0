//! What encryption costs: the same work on a plain database and on an encrypted one, in turns.
//!
//! ```sh
//! cargo run --release -p nedb-core --example encryption -- 200000 9 /path/on/the/disk
//! ```
//!
//! Arguments: documents in the log that is opened, rounds, a directory on the disk that is to be measured (a
//! temporary one when left out). Prints medians of the rounds, the median of the rounds' ratios, and what it
//! may be.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use nedb_core::{Database, Options, ReadOptions, Tmk, WriteOptions};
use std::path::Path;
use std::time::Instant;

const PUT_COUNT: usize = 300;
const GET_COUNT: usize = 100_000;
/// Lines of about 430 bytes, as those of the other benchmarks.
const TEXT_BYTES: usize = 150;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(200_000, |text| text.parse().unwrap());
    let rounds: usize = arguments.next().map_or(9, |text| text.parse().unwrap());
    let folder = match arguments.next() {
        Some(path) => tempfile::tempdir_in(path).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let paths = ["plain", "encrypted"].map(|name| folder.path().join(name));
    for (path, is_encrypted) in paths.iter().zip([false, true]) {
        fill(&open(path, is_encrypted), count);
        let bytes = std::fs::metadata(path.join("log.aof")).unwrap().len();
        println!("{}: {count} ops, log of {bytes} bytes", path.display());
    }
    let mut open_times = Times::new("open", 1.6);
    let mut get_times = Times::new("get, warm cache", 1.05);
    let mut verify_times = Times::new("verify", f64::INFINITY);
    let mut put_times = Times::new("durable put", 1.1);
    let mut bulk_times = Times::new("put_many of 1,000, one sync", f64::INFINITY);
    for _ in 0..rounds {
        let both = [0, 1].map(|side| measure(&paths[side], side == 1));
        open_times.note(both.map(|it| it[0]));
        verify_times.note(both.map(|it| it[1]));
        get_times.note(both.map(|it| it[2]));
        put_times.note(both.map(|it| it[3]));
        bulk_times.note(both.map(|it| it[4]));
    }
    for times in [open_times, get_times, put_times, bulk_times, verify_times] {
        times.print();
    }
}

fn open(path: &Path, is_encrypted: bool) -> Database {
    let tmk = is_encrypted.then(|| Tmk::new([7; 32]));
    Database::open(path, Options { tmk, ..Options::default() }).unwrap()
}

fn document(number: usize) -> String {
    let text: String =
        (0..TEXT_BYTES).map(|at| char::from(b'a' + ((number * 31 + at * at) % 26) as u8)).collect();
    format!("{{\"n\":{number},\"text\":\"{text}\"}}")
}

fn fill(db: &Database, count: usize) {
    for start in (0..count).step_by(1_000) {
        let documents: Vec<_> =
            (start..count.min(start + 1_000)).map(|n| (n.to_string(), document(n))).collect();
        db.put_many("c", &documents, &WriteOptions::default()).unwrap();
    }
}

/// Returns seconds: to open, to verify, for a get, for a put, for a document of a put_many.
fn measure(path: &Path, is_encrypted: bool) -> [f64; 5] {
    let none = WriteOptions::default();
    let (db, open_seconds) = timed(|| open(path, is_encrypted));
    let (_, verify_seconds) = timed(|| assert!(db.verify().unwrap()));
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let mut out = String::new();
    let mut get = |count: usize| {
        for id in ids.iter().cycle().take(count) {
            out.clear();
            assert!(db.get_into("c", id, &ReadOptions::default(), &mut out).unwrap());
        }
    };
    get(ids.len());
    let (_, get_seconds) = timed(|| get(GET_COUNT));
    let (_, put_seconds) = timed(|| {
        for n in 0..PUT_COUNT {
            db.put("put", &n.to_string(), &document(n), &none).unwrap();
        }
    });
    let documents: Vec<_> = (0..1_000).map(|n| (n.to_string(), document(n))).collect();
    let (_, bulk_seconds) = timed(|| db.put_many("many", &documents, &none).unwrap());
    db.close().unwrap();
    [
        open_seconds,
        verify_seconds,
        get_seconds / GET_COUNT as f64,
        put_seconds / PUT_COUNT as f64,
        bulk_seconds / 1_000.0,
    ]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

/// The times of one task on both sides.
struct Times {
    task: &'static str,
    ratio_max: f64,
    rounds: Vec<[f64; 2]>,
}

impl Times {
    fn new(task: &'static str, ratio_max: f64) -> Self {
        Times { task, ratio_max, rounds: Vec::new() }
    }

    fn note(&mut self, round: [f64; 2]) {
        self.rounds.push(round);
    }

    fn print(&self) {
        let of = |value: fn(&[f64; 2]) -> f64| median(self.rounds.iter().map(value).collect());
        let (plain, encrypted) = (of(|it| it[0]), of(|it| it[1]));
        let ratio = of(|it| it[1] / it[0]);
        let verdict = match (self.ratio_max.is_finite(), ratio <= self.ratio_max) {
            (false, _) => String::new(),
            (true, true) => format!("  (at most {})", self.ratio_max),
            (true, false) => format!("  MISSED: at most {}", self.ratio_max),
        };
        println!(
            "{:28} plain {:10.2} µs  encrypted {:10.2} µs  ratio {ratio:.3}{verdict}",
            self.task,
            plain * 1e6,
            encrypted * 1e6
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
