//! A reader through a cold cache, and one beside sixteen durable writers with a sync on the same disk in the same
//! run:
//!
//! ```sh
//! cargo run --release -p nedb-core --example readers -- FOLDER      # --json, --quick
//! ```
//!
//! The reader gets random documents, those that the writers overwrite, without a pause. A read that
//! waited for a sync would take as long as one. Each round measures syncs alone, and then the reader;
//! figures are medians of the rounds, the ratio the median of the rounds' ratios.
//!
//! A cold cache is one that holds nothing: each get reads its line from the file, which the system has in memory,
//! checks its hash and hands out the document.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../rust/nedb-core/benches/common/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of this")]
mod common;
#[path = "floor.rs"]
#[allow(dead_code, reason = "each bench uses a part of this")]
mod floor;

use common::{COLLECTION, COUNT, Random, documents, id, put_all};
use floor::{Arguments, Floor, LINE_BYTES, Row, median, quantile};
use nedb_core::{Database, Options, ReadOptions, WriteOptions};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const WRITERS: usize = 16;

fn main() {
    let arguments = Arguments::read();
    let (rounds, syncs, gets_for) = match arguments.is_quick {
        true => (1, 20, Duration::from_millis(100)),
        false => (5, 400, Duration::from_secs(3)),
    };
    let texts = documents(COUNT, 110, 0);
    let cold = Options { cache_bytes: 0, ..Options::default() };
    let cold = Database::open(arguments.fresh("cold"), cold).unwrap();
    put_all(&cold, &texts);
    let cold_gets: Vec<f64> =
        (0..rounds).map(|round| median(&get_for(&cold, round, gets_for / 3))).collect();
    let db = Database::open(arguments.fresh("readers"), Options::default()).unwrap();
    put_all(&db, &texts);
    let mut floor = Floor::new(&arguments.folder.join("floor"), LINE_BYTES);
    let measured: Vec<Measured> = (0..rounds)
        .map(|round| {
            let sync = median(&floor.run(syncs));
            let (mut gets, writes) = read_beside_writers(&db, round, gets_for);
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| quantile(&mut gets, share));
            Measured { sync, p50, p99, p999, writes_a_second: writes / gets_for.as_secs_f64() }
        })
        .collect();
    arguments.print(&rows(median(&cold_gets), &measured));
}

/// What one round came to, in seconds.
struct Measured {
    sync: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    writes_a_second: f64,
}

/// Returns the seconds that each get took, and how many puts were acknowledged meanwhile.
fn read_beside_writers(db: &Database, round: u64, gets_for: Duration) -> (Vec<f64>, f64) {
    let (is_over, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let gets = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (is_over, writes) = (&is_over, &writes);
            scope.spawn(move || {
                let mut random = Random::new(round * 100 + writer as u64 + 1);
                let texts = documents(100, 110, writer as u64);
                while !is_over.load(Ordering::Relaxed) {
                    let (id, text) = (id(random.below(COUNT)), &texts[random.below(100)].1);
                    db.put(COLLECTION, &id, text, &WriteOptions::default()).unwrap();
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let gets = get_for(db, round, gets_for);
        is_over.store(true, Ordering::Relaxed);
        gets
    });
    (gets, writes.into_inner() as f64)
}

fn get_for(db: &Database, round: u64, gets_for: Duration) -> Vec<f64> {
    let mut random = Random::new(round * 100);
    let mut seconds = Vec::with_capacity(1 << 22);
    let mut out = String::new();
    let begin = Instant::now();
    while begin.elapsed() < gets_for {
        let id = id(random.below(COUNT));
        out.clear();
        let start = Instant::now();
        let found = db.get_into(COLLECTION, &id, &ReadOptions::default(), &mut out).unwrap();
        seconds.push(start.elapsed().as_secs_f64());
        assert!(found);
    }
    seconds
}

fn rows(cold: f64, measured: &[Measured]) -> Vec<Row> {
    let middle = |of: fn(&Measured) -> f64| median(&measured.iter().map(of).collect::<Vec<_>>());
    let share = middle(|it| it.p99 / it.sync);
    let micros = |of: fn(&Measured) -> f64| format!("{:.1} µs", middle(of) * 1e6);
    let row = |work: &str, figure: String| Row { work: work.to_owned(), figure, bound: None };
    vec![
        Row {
            work: "get through a cold cache, median".to_owned(),
            figure: format!("{:.2} µs", cold * 1e6),
            bound: Some(("≤ 4 µs".to_owned(), cold <= 4e-6)),
        },
        row("a sync of the same disk, median", micros(|it| it.sync)),
        row("get beside 16 durable writers, median", micros(|it| it.p50)),
        row("get beside 16 durable writers, p99", micros(|it| it.p99)),
        row("get beside 16 durable writers, p99.9", micros(|it| it.p999)),
        row("puts acknowledged meanwhile", format!("{:.0}/s", middle(|it| it.writes_a_second))),
        Row {
            work: "p99 of that get beside the median of a sync".to_owned(),
            figure: format!("{share:.3}×"),
            bound: Some(("< 0.5×".to_owned(), share < 0.5)),
        },
    ]
}
