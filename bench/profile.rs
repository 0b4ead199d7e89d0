//! One task over and over, to be looked at with a profiler:
//!
//! ```sh
//! cargo build --release -p nedb-core --example profile
//! perf record -g target/release/examples/profile scan 2 && perf report
//! ```
//!
//! Arguments: a task (`put`, `put_many` in a folder that is made for it, `get`, `verify`, `all`, or a query's name, after `head/` or `half_way/` for a
//! collection that was overwritten once),
//! seconds (or a number of times, as `x100`, for `valgrind --tool=callgrind`), bytes of a document. Prints what one of it took.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../rust/nedb-core/benches/common/mod.rs"]
mod common;

use common::{COLLECTION, COUNT, Random, database, documents, id, put_all, queries, query};
use nedb_core::{Database, Options, ReadOptions, WriteOptions};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = arguments.first().map_or("scan", String::as_str);
    let budget = arguments.get(1).map_or(Budget::Seconds(1.0), |text| Budget::parse(text));
    let size: usize = arguments.get(2).map_or(110, |text| text.parse().unwrap());
    let documents = documents(COUNT, size, 0);
    match task {
        "put" => repeat(task, budget, COUNT, || put(&documents)),
        "put_many" => repeat(task, budget, COUNT, || put_many(&documents)),
        "get" => get(&database(&documents, false), budget),
        "verify" => {
            let db = database(&documents, false);
            repeat(task, budget, COUNT, || assert!(db.verify().unwrap()));
        }
        _ => read(task, budget, &documents, size),
    }
}

/// How long a task is repeated.
#[derive(Clone, Copy)]
enum Budget {
    Seconds(f64),
    Times(usize),
}

impl Budget {
    fn parse(text: &str) -> Budget {
        match text.strip_prefix('x') {
            Some(times) => Budget::Times(times.parse().unwrap()),
            None => Budget::Seconds(text.parse().unwrap()),
        }
    }
}

fn repeat(task: &str, budget: Budget, op_count: usize, mut run: impl FnMut()) {
    let start = Instant::now();
    let mut times = 0;
    while match budget {
        Budget::Seconds(seconds) => start.elapsed().as_secs_f64() < seconds,
        Budget::Times(most) => times < most,
    } {
        run();
        times += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{task}: {:.3} us", seconds * 1e6 / (times * op_count) as f64);
}

fn put(documents: &[(String, String)]) {
    let db = Database::in_memory(Options::default()).unwrap();
    let mut out = String::new();
    for (id, text) in documents {
        out.clear();
        db.put_into(COLLECTION, id, text, &WriteOptions::default(), &mut out).unwrap();
    }
}

fn put_many(documents: &[(String, String)]) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let db = Database::open(folder.path(), Options::default()).unwrap();
    for thousand in documents.chunks(1_000) {
        drop(db.put_many(COLLECTION, thousand, &WriteOptions::default()).unwrap());
    }
}

fn get(db: &Database, budget: Budget) {
    let mut random = Random::new(1);
    let ids: Vec<String> = (0..100_000).map(|_| id(random.below(COUNT))).collect();
    let mut out = String::new();
    repeat("get", budget, ids.len(), || {
        for id in &ids {
            out.clear();
            db.get_into(COLLECTION, id, &ReadOptions::default(), &mut out).unwrap();
        }
    });
}

fn read(task: &str, budget: Budget, first: &[(String, String)], size: usize) {
    let (place, name) = task.split_once('/').unwrap_or(("", task));
    let indexed = !matches!(name, "scan" | "group") || !place.is_empty();
    let db = database(first, indexed);
    let mut at = String::new();
    if !place.is_empty() {
        put_all(&db, &documents(COUNT, size, 1));
    }
    if place == "half_way" {
        at = format!("AS OF {}", COUNT - 1);
    }
    for (known, nql) in queries(&at) {
        if known == name || name == "all" {
            println!("{nql}: {} rows", query(&db, &nql));
            repeat(known, budget, 1, || assert!(query(&db, &nql) > 0));
        }
    }
}
