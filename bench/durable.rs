//! Durable writes from Rust, beside what the disk itself gives:
//!
//! ```sh
//! cargo run --release -p nedb-core --example durable -- FOLDER      # --json, --quick
//! ```
//!
//! 1, 16 and 64 threads, and 64 tasks of one thread, put documents whose lines are as long as what the floor
//! appends; `put_many` puts a thousand at a time. Each round runs all of them and the floor in turn; a figure is the median of the
//! rounds, a ratio the median of the rounds' ratios.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "floor.rs"]
mod floor;

use floor::{Arguments, Floor, LINE_BYTES, Row, median, quantile};
use futures_executor::block_on;
use futures_util::future::join_all;
use nedb_core::{Database, Options, WriteOptions};
use std::path::Path;
use std::time::Instant;

const WRITERS: [Writers; 4] =
    [Writers::Threads(1), Writers::Threads(16), Writers::Threads(64), Writers::Tasks(64)];
const BULK_COUNT: usize = 1_000;

fn main() {
    let arguments = Arguments::read();
    let (rounds, syncs, bulks) = if arguments.is_quick { (1, 20, 2) } else { (9, 400, 30) };
    let document = document_for_line(&arguments.fresh("probe"));
    let mut rows = Vec::new();
    for writers in WRITERS {
        let measured: Vec<Measured> =
            (0..rounds).map(|_| put(&arguments, &document, writers, syncs)).collect();
        rows.extend(rows_of(writers, &measured));
    }
    let measured: Vec<Bulk> = (0..rounds).map(|_| put_many(&arguments, &document, bulks)).collect();
    rows.extend(bulk_rows(&measured));
    arguments.print(&rows);
}

/// Returns a document whose line in the log is about `LINE_BYTES` long.
fn document_for_line(folder: &Path) -> String {
    let db = Database::open(folder, Options::default()).unwrap();
    let with_bio = |bytes: usize| format!("{{\"age\":41,\"bio\":\"{}\"}}", "x".repeat(bytes));
    db.put("docs", "doc000000", &with_bio(0), &WriteOptions::default()).unwrap();
    let bytes = std::fs::metadata(folder.join("log.aof")).unwrap().len() as usize;
    with_bio(LINE_BYTES.saturating_sub(bytes))
}

/// Who writes at the same time.
#[derive(Clone, Copy)]
enum Writers {
    Threads(usize),
    /// Tasks, all of one thread.
    Tasks(usize),
}

impl Writers {
    fn count(self) -> usize {
        match self {
            Writers::Threads(count) | Writers::Tasks(count) => count,
        }
    }

    fn name(self) -> String {
        match self {
            Writers::Threads(1) => "1 thread".to_owned(),
            Writers::Threads(count) => format!("{count} threads"),
            Writers::Tasks(count) => format!("{count} tasks of one thread"),
        }
    }

    /// Has each writer put so many documents.
    fn put(self, db: &Database, document: &str, each: usize) {
        let options = WriteOptions::default();
        let id = |writer: usize, n: usize| format!("doc{writer:02}{:04}", n % 1_000);
        let (id, options) = (&id, &options);
        match self {
            Writers::Threads(count) => std::thread::scope(|scope| {
                for writer in 0..count {
                    scope.spawn(move || {
                        for n in 0..each {
                            db.put("docs", &id(writer, n), document, options).unwrap();
                        }
                    });
                }
            }),
            Writers::Tasks(count) => {
                let write = |writer: usize| async move {
                    for n in 0..each {
                        db.put_later("docs", &id(writer, n), document, options).await.unwrap();
                    }
                };
                block_on(join_all((0..count).map(write)));
            }
        }
    }
}

/// What one round came to, in ops a second.
struct Measured {
    rate: f64,
    floor: f64,
    ops_a_sync: f64,
}

/// Puts from several writers, about as many syncs as the floor is given.
fn put(arguments: &Arguments, document: &str, writers: Writers, syncs: usize) -> Measured {
    let mut floor = Floor::new(&arguments.folder.join("floor"), LINE_BYTES);
    let before = floor.rate(syncs);
    let db = Database::open(arguments.fresh("durable"), Options::default()).unwrap();
    let start = Instant::now();
    writers.put(&db, document, syncs);
    let ops = (writers.count() * syncs) as f64;
    let rate = ops / start.elapsed().as_secs_f64();
    let floor = (before + floor.rate(syncs)) / 2.0;
    let batches: u64 = db.statistics().batch_ops.counts.iter().sum();
    Measured { rate, floor, ops_a_sync: ops / batches as f64 }
}

fn rows_of(writers: Writers, measured: &[Measured]) -> Vec<Row> {
    let middle = |of: fn(&Measured) -> f64| median(&measured.iter().map(of).collect::<Vec<_>>());
    let times = middle(|it| it.rate / it.floor);
    let bound = match writers.count() {
        1 => Some(0.9),
        64 => Some(16.0),
        _ => None,
    };
    let name = writers.name();
    vec![
        Row {
            work: format!("durable put, {name}"),
            figure: format!(
                "{:.0}/s, {times:.2}× its floor of {:.0}/s",
                middle(|it| it.rate),
                middle(|it| it.floor)
            ),
            bound: bound.map(|bound| (format!("≥ {bound}×"), times >= bound)),
        },
        Row {
            work: format!("ops a sync, {name}"),
            figure: format!(
                "{:.1}; {:.0} % of {} times the floor",
                middle(|it| it.ops_a_sync),
                times / writers.count() as f64 * 100.0,
                writers.count()
            ),
            bound: None,
        },
    ]
}

/// What one round of bulk loads came to, in documents a second.
struct Bulk {
    rate: f64,
    floor: f64,
}

/// Puts a thousand documents at a time, and appends and syncs the same number of bytes in turn with it.
fn put_many(arguments: &Arguments, document: &str, bulks: usize) -> Bulk {
    let folder = arguments.fresh("bulk");
    let db = Database::open(&folder, Options::default()).unwrap();
    let mut floor = Floor::new(&arguments.folder.join("floor"), LINE_BYTES * BULK_COUNT);
    let (mut mine, mut its) = (Vec::new(), Vec::new());
    for bulk in 0..bulks {
        let id = |n: usize| format!("doc{:06}", bulk * BULK_COUNT + n);
        let documents: Vec<(String, String)> =
            (0..BULK_COUNT).map(|n| (id(n), document.to_owned())).collect();
        let start = Instant::now();
        drop(db.put_many("docs", &documents, &WriteOptions::default()).unwrap());
        mine.push(start.elapsed().as_secs_f64());
        its.extend(floor.run(1));
    }
    let rate = |seconds: &mut [f64]| BULK_COUNT as f64 / quantile(seconds, 0.5);
    Bulk { rate: rate(&mut mine), floor: rate(&mut its) }
}

fn bulk_rows(measured: &[Bulk]) -> Vec<Row> {
    let middle = |of: fn(&Bulk) -> f64| median(&measured.iter().map(of).collect::<Vec<_>>());
    let (rate, times) = (middle(|it| it.rate), middle(|it| it.rate / it.floor));
    vec![
        Row {
            work: "put_many of 1,000".to_owned(),
            figure: format!("{rate:.0} documents/s"),
            bound: Some(("≥ 200,000/s".to_owned(), rate >= 200e3)),
        },
        Row {
            work: "put_many of 1,000, beside appending the same bytes and syncing".to_owned(),
            figure: format!("{times:.2}× its floor of {:.0}/s", middle(|it| it.floor)),
            bound: Some(("≥ 0.5×".to_owned(), times >= 0.5)),
        },
    ]
}
