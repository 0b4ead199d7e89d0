//! A process that is killed while it writes loses nothing that it was told is written.
//!
//! The test starts itself as the writer, in which two threads write and print what was acknowledged,
//! and kills it at some moment. That is a process crash, not a power cut: what it tests are torn lines,
//! the lock of a dead process and what `LOCK` says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::infinite_iter,
    reason = "it is test code"
)]

mod support;

use nedb_core::{Database, Options, WriteOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "NEDB_TEST_KILLED_WRITER";
const ROUNDS: u64 = 30;

/// What the writer writes at its nth step: large enough that a kill tears a line now and then.
fn document(thread: usize, n: u64) -> String {
    let filler = "é".repeat((n % 37) as usize * 300);
    format!("{{\"filler\":\"{filler}\",\"n\":{n},\"thread\":{thread}}}")
}

#[test]
#[ignore = "the writer that a_killed_writer_loses_nothing_acknowledged starts"]
fn writer_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let db = Database::open(directory, Options::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let db = &db;
            scope.spawn(move || {
                for n in 0.. {
                    write_one(db, thread, n);
                }
            });
        }
    });
}

fn write_one(db: &Database, thread: usize, n: u64) {
    let client = Some(format!("thread {thread}"));
    let options = WriteOptions { client, ..WriteOptions::default() };
    let (collection, id) = (format!("c{thread}"), format!("{}", n % 50));
    let stored = db.put(&collection, &id, &document(thread, n), &options).unwrap();
    let (_, seq) = stored.split_once("\"_seq\":").unwrap();
    let (seq, _) = seq.split_once(',').unwrap();
    // One write a line, so that a kill tears the last one at most.
    let told = format!("\nack {seq} {thread} {n} \n");
    std::io::stdout().write_all(told.as_bytes()).unwrap();
}

fn start_writer(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_that_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// One acknowledged put: its seq, its thread, its step.
type Acknowledged = (i64, usize, u64);

/// Lets a writer write for a while after its first acknowledgement, kills it, and returns what it said.
fn run_and_kill(directory: &Path, run_for: Duration) -> Vec<Acknowledged> {
    let mut writer = start_writer(directory);
    let mut told = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = told.by_ref().find_map(|line| acknowledged(&line));
    std::thread::sleep(run_for);
    writer.kill().unwrap();
    writer.wait().unwrap();
    first.into_iter().chain(told.filter_map(|line| acknowledged(&line))).collect()
}

fn acknowledged(line: &str) -> Option<Acknowledged> {
    let numbers = line.strip_prefix("ack ")?.strip_suffix(' ')?;
    let mut numbers = numbers.split(' ');
    let seq = numbers.next()?.parse().ok()?;
    Some((seq, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut seq_before = -1;
    for round in 0..ROUNDS {
        // Spread over 0 to 25 ms, the same on every run.
        let run_for = Duration::from_micros(round * 7_919 % 25_000);
        let told = run_and_kill(folder.path(), run_for);
        assert!(!told.is_empty(), "round {round}: the writer wrote nothing");
        let db = support::open(folder.path());
        let report = db.open_report();
        assert_eq!(report.damage, None, "round {round}");
        assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "round {round}");
        for (seq, thread, n) in told {
            assert!(seq > seq_before && seq <= db.seq(), "round {round}: op {seq} is lost");
            let op = db.op(seq).unwrap().unwrap();
            let (doc, id) = (document(thread, n), n % 50);
            let body = doc.replacen('{', &format!("{{\"_id\":\"{id}\","), 1);
            assert!(op.contains(&body), "round {round}: op {seq} is another");
        }
        seq_before = db.seq();
        db.close().unwrap();
    }
}
