//! The engine alone, in memory: writes, reads, verification, and the queries of `bench/compare.py` on a
//! plain, an indexed, a once overwritten and a very often overwritten collection.
//!
//! Each group's documents have 110 bytes unless its name says otherwise. `NEDB_BENCH_OVERWRITES` sets
//! how often the small collection is overwritten (default 1,000,000).

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{COLLECTION, COUNT, Random, database, documents, id, put_all, queries, query};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nedb_core::{Database, Options, Params, ReadOptions, WriteOptions};
use std::hint::black_box;

const SIZES: [usize; 3] = [110, 200, 4_096];
const CHURNED_COUNT: usize = 1_000;

fn put(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("put");
    for size in SIZES {
        let documents = documents(1_000, size, 0);
        let write = |db: Database| {
            let mut out = String::new();
            for (id, text) in &documents {
                out.clear();
                db.put_into(COLLECTION, id, text, &WriteOptions::default(), &mut out).unwrap();
            }
            db
        };
        let open = || Database::in_memory(Options::default()).unwrap();
        group.throughput(Throughput::Elements(documents.len() as u64));
        group.bench_function(BenchmarkId::new("plain", size), |bencher| {
            bencher.iter_batched(open, write, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("three_indexes", size), |bencher| {
            bencher.iter_batched(|| database(&[], true), write, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get");
    for size in SIZES {
        let db = database(&documents(COUNT, size, 0), false);
        let mut random = Random::new(1);
        let ids: Vec<String> = (0..4_096).map(|_| id(random.below(COUNT))).collect();
        let mut next = ids.iter().cycle();
        let mut out = String::new();
        group.bench_function(BenchmarkId::new("random", size), |bencher| {
            bencher.iter(|| {
                out.clear();
                let id = next.next().unwrap();
                db.get_into(COLLECTION, id, &ReadOptions::default(), &mut out).unwrap();
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn bench_queries(criterion: &mut Criterion, name: &str, db: &Database, at: &str) {
    let mut group = criterion.benchmark_group(name);
    for (task, nql) in queries(at) {
        group.bench_function(task, |bencher| bencher.iter(|| query(db, &nql)));
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    for size in SIZES {
        let documents = documents(COUNT, size, 0);
        bench_queries(criterion, &format!("plain_{size}"), &database(&documents, false), "");
        bench_queries(criterion, &format!("indexed_{size}"), &database(&documents, true), "");
    }
}

fn read_half_way(criterion: &mut Criterion) {
    let db = database(&documents(COUNT, 110, 0), true);
    put_all(&db, &documents(COUNT, 110, 1));
    bench_queries(criterion, "overwritten_once_head", &db, "");
    bench_queries(criterion, "overwritten_once_half_way", &db, &format!("AS OF {}", COUNT - 1));
}

fn read_overwritten(criterion: &mut Criterion) {
    let overwrites = std::env::var("NEDB_BENCH_OVERWRITES").ok().and_then(|text| text.parse().ok());
    let first = documents(CHURNED_COUNT, 110, 0);
    let db = database(&first, true);
    for turn in 1..overwrites.unwrap_or(1_000_000) / CHURNED_COUNT {
        put_all(&db, &documents(CHURNED_COUNT, 110, turn as u64));
    }
    put_all(&db, &first);
    bench_queries(criterion, "small_fresh", &database(&first, true), "");
    bench_queries(criterion, "small_overwritten", &db, "");
}

fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(20);
    for size in SIZES {
        let db = database(&documents(COUNT, size, 0), false);
        group.throughput(Throughput::Elements(COUNT as u64));
        group.bench_function(size.to_string(), |bencher| {
            bencher.iter(|| assert!(db.verify().unwrap()));
        });
    }
    group.finish();
}

/// Parsing is what a query of an unknown collection costs; making text canonical is most of what a put
/// of a long document costs, and both are inside the crate.
fn parse(criterion: &mut Criterion) {
    let db = Database::in_memory(Options::default()).unwrap();
    let params = Params::none();
    let mut group = criterion.benchmark_group("parse");
    let nested = "FROM t WHERE a = 1 AND (b > 2 OR NOT c LIKE \"x%\") GROUP BY d, e COUNT SUM f \
                  HAVING count > 3 ORDER BY sum_f DESC LIMIT 10 OFFSET 5";
    for (name, nql) in [("short", "FROM t WHERE age = 77 LIMIT 10"), ("long", nested)] {
        group.bench_function(name, |bencher| bencher.iter(|| db.query(nql, &params).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, put, get, read, read_half_way, read_overwritten, verify, parse);
criterion_main!(benches);
