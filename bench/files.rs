//! Files beside plain zstd: how small they become, and how fast they are put and read.
//!
//!     cargo run --release -p nedb-core --example files -- [--films <movies.json>] [<directory>...]
//!
//! In: directories that are versions of one source tree, oldest first (say, of a crate in the cargo registry);
//! a JSON file that is edited in the middle ten times. Out: a table for each set. Plain `zstd` compresses
//! each version for itself, as files beside each other would be.
//!
//! The versions of a tree go in as one file each: its files one after another, each behind its path without
//! the first part (which names the version). MB is 10^6 bytes. Speeds are medians of five runs in one thread
//! over 256 MB that no file has yet, on a disk, syncs included; reading goes through the page cache, and every
//! chunk is hashed.

use nedb_core::{Database, FileAt, Options, Tier, WriteOptions};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

const SPEED_BYTES: usize = 256_000_000;
const RUN_COUNT: usize = 5;

fn main() {
    let mut films = None;
    let mut trees = Vec::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--films" {
            films = args.next().map(PathBuf::from);
        } else {
            trees.push(PathBuf::from(arg));
        }
    }
    let mut speed_source = None;
    if !trees.is_empty() {
        let versions: Vec<Vec<u8>> = trees.iter().map(|tree| archive(tree)).collect();
        report_sizes(&format!("{} versions of a source tree", versions.len()), &versions);
        speed_source = versions.into_iter().next();
    }
    if let Some(films) = films {
        let film_versions = edited(&fs::read(films).expect("the films can be read"));
        report_sizes("films as JSON, edited in the middle ten times", &film_versions);
        speed_source = speed_source.or_else(|| film_versions.into_iter().next());
    }
    report_speed(&speed_source.expect("directories or --films are given"));
}

/// Reads a directory as one file.
fn archive(root: &Path) -> Vec<u8> {
    let mut paths = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("the directory can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { directories.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let mut bytes = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).expect("it is inside").to_string_lossy().into_owned();
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'\n');
        fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a file");
    }
    bytes
}

/// Makes ten more versions, each with one film's worth of text more in the middle.
fn edited(first: &[u8]) -> Vec<Vec<u8>> {
    let mut versions = vec![first.to_vec()];
    for number in 1..=10 {
        let mut next = versions.last().expect("there is a first").clone();
        let middle = next.len() / 2 + number * 1_000;
        let film = format!("{{\"Title\":\"Another one, {number}\",\"Rating\":{number}}},");
        next.splice(middle..middle, film.into_bytes());
        versions.push(next);
    }
    versions
}

fn report_sizes(what: &str, versions: &[Vec<u8>]) {
    let total: usize = versions.iter().map(Vec::len).sum();
    println!("\n{what}: {:.1} MB", total as f64 / 1e6);
    println!("| stored as | MB | ratio | chunks found again |\n|---|---|---|---|");
    for level in [3, 19] {
        let compress = |version: &Vec<u8>| zstd::bulk::compress(version, level).map(|it| it.len());
        let stored: usize = versions.iter().map(|it| compress(it).expect("zstd works")).sum();
        row(&format!("zstd -{level}, each version"), stored as u64, total, String::new());
    }
    for tier in [Tier::Warm, Tier::Cold] {
        let db = Database::in_memory(Options::default()).expect("a database");
        for version in versions {
            db.put_file("tree", version, tier, &WriteOptions::default()).expect("a put");
        }
        let stats = db.compression_stats(tier).expect("statistics");
        let references = stats.dedup_hit_count + stats.unique_chunk_count;
        let found = format!("{} of {references}", stats.dedup_hit_count);
        row(&format!("NEDB, {}", tier.as_str()), stats.stored_bytes, total, found);
    }
}

fn row(name: &str, stored_bytes: u64, total_bytes: usize, found: String) {
    let ratio = total_bytes as f64 / stored_bytes as f64;
    println!("| {name} | {:.2} | {ratio:.2} | {found} |", stored_bytes as f64 / 1e6);
}

fn report_speed(source: &[u8]) {
    let data = without_repeats(source);
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for _ in 0..RUN_COUNT {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open(folder.path(), Options::default()).expect("a database");
        let start = Instant::now();
        db.put_file("large", &data, Tier::Warm, &WriteOptions::default()).expect("a put");
        puts.push(mb_per_second(data.len(), start));
        let start = Instant::now();
        let found = db.get_file("large", &FileAt::default()).expect("a get");
        gets.push(mb_per_second(found.len(), start));
        assert!(found == data);
    }
    println!("\n| warm, {} MB | MB/s |\n|---|---|", data.len() / 1_000_000);
    println!("| put | {:.0} |\n| get | {:.0} |", median(puts), median(gets));
}

/// Repeats a text with one character in sixty changed, so that no chunk is there twice.
fn without_repeats(source: &[u8]) -> Vec<u8> {
    let mut state = 1_u64;
    let mut data: Vec<u8> = source.iter().copied().cycle().take(SPEED_BYTES).collect();
    for place in (0..data.len()).step_by(60) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[place] = b'a' + (state % 26) as u8;
    }
    data
}

fn mb_per_second(bytes: usize, start: Instant) -> f64 {
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
