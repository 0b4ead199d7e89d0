//! A process that is killed while it writes loses nothing that it was told is written.
//!
//! The test starts itself as the writer, in which threads do all kinds of writes and print what was
//! acknowledged, and kills it at some moment: while it opens and recovers, in its first writes, or in the
//! middle. That is a process crash, not a power cut: what it tests are torn lines, the lock of a dead
//! process and what `LOCK` says. What each thread does is a function of the round, so that the test
//! knows every op that may be found, and in which order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::infinite_iter,
    reason = "it is test code"
)]

mod support;

use nedb_core::{Database, FileAt, IndexKind, Options, Seq, Tier, Update, WriteOptions};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "NEDB_TEST_KILLED_WRITER";
const ROUND: &str = "NEDB_TEST_KILLED_WRITER_ROUND";
const THREADS: usize = 4;
/// Rounds that go on with one directory: each opens what the one before left.
const ROUNDS_A_DIRECTORY: u64 = 10;
const ROUNDS: u64 = 200;
/// How many directories are written, and killed, at the same time.
const LANES: u64 = 2;

/// What a thread does at a step.
#[derive(Debug)]
enum Step {
    Put,
    PutMany,
    PutForAMoment,
    Transaction,
    Update,
    Delete,
    Link,
    Unlink,
    Sweep,
    PutFile,
    Checkpoint,
    Flush,
    CreateIndex,
}

/// Ops that a step appended in another client's name.
#[derive(Clone, Copy, Debug, Default)]
struct Apart {
    swept: u64,
    checkpoints: u64,
}

/// One step of one thread in one round.
#[derive(Clone, Copy)]
struct At {
    round: u64,
    thread: usize,
    n: u64,
}

impl At {
    fn step(&self) -> Step {
        match (self.n + self.thread as u64 * 5) % 17 {
            2 => Step::PutMany,
            4 => Step::Transaction,
            5 => Step::PutForAMoment,
            7 => Step::Update,
            8 => Step::Delete,
            10 => Step::Link,
            11 => Step::Unlink,
            13 => Step::Sweep,
            14 => Step::Flush,
            15 => Step::CreateIndex,
            16 => Step::PutFile,
            0 if self.n % 2 == 1 => Step::Checkpoint,
            _ => Step::Put,
        }
    }

    fn client(&self) -> String {
        format!("thread {}", self.thread)
    }

    fn id(&self, item: u64) -> String {
        format!("{}-{}-{item}", self.thread, self.n % 13)
    }

    /// The members of a document, which no other step of any round writes; large enough that a kill
    /// tears a line now and then.
    fn members(&self, item: u64) -> String {
        let At { round, thread, n } = self;
        let characters = match self.step() {
            Step::PutMany => 20_000,
            _ if n % 5 == 0 => (n % 37) as usize * 200,
            _ => 3,
        };
        let filler = "é".repeat(characters);
        format!(
            "\"filler\":\"{filler}\",\"item\":{item},\"n\":{n},\"round\":{round},\"thread\":{thread}}}"
        )
    }

    fn document(&self, item: u64) -> String {
        format!("{{{}", self.members(item))
    }

    fn edge(&self) -> (String, String) {
        (format!("c:{}", self.id(0)), format!("c:{}", (self.n / 17) % 5))
    }

    /// Returns what each op of this step has in its line.
    fn expected(&self) -> Vec<Vec<String>> {
        let op = |name: &str| format!("\"op\":\"{name}\"");
        let (from, to) = self.edge();
        match self.step() {
            Step::Put | Step::PutForAMoment | Step::Update => {
                vec![vec![op("put"), self.members(0)]]
            }
            Step::PutMany => (0..5).map(|item| vec![op("put"), self.members(item)]).collect(),
            Step::Transaction => {
                vec![vec![op("tx"), self.members(0), self.members(1), format!("\"{to}\"")]]
            }
            Step::Delete => vec![vec![op("delete"), format!("\"{}\"", self.id(0))]],
            Step::Link => vec![vec![op("link"), format!("\"{from}\""), format!("\"{to}\"")]],
            Step::Unlink => vec![vec![op("unlink"), format!("\"{from}\""), format!("\"{to}\"")]],
            Step::PutFile => vec![vec![op("put_file"), format!("\"{}\"", self.id(0))]],
            Step::Sweep | Step::Checkpoint | Step::Flush | Step::CreateIndex => vec![],
        }
    }

    /// Does it, and returns what it wrote in the name of others.
    fn run(&self, db: &Database) -> Apart {
        let options = WriteOptions { client: Some(self.client()), ..WriteOptions::default() };
        let (from, to) = self.edge();
        match self.step() {
            Step::Put => drop(db.put("c", &self.id(0), &self.document(0), &options).unwrap()),
            Step::PutMany => {
                let documents: Vec<_> =
                    (0..5).map(|item| (self.id(item), self.document(item))).collect();
                drop(db.put_many("c", &documents, &options).unwrap());
            }
            Step::PutForAMoment => {
                let mortal = WriteOptions { ttl_seconds: Some(0.001), ..options };
                drop(db.put("mortal", &self.id(0), &self.document(0), &mortal).unwrap());
            }
            Step::Transaction => drop(db.batch(&self.transaction(), &options).unwrap()),
            Step::Update => {
                let change = |_: Option<&str>| Ok(Update::Put(self.document(0)));
                drop(db.update("c", &self.id(0), &options, change).unwrap());
            }
            Step::Delete => drop(db.delete("c", &self.id(0), &options).unwrap()),
            Step::Link => drop(db.link(&from, "r", &to, &options).unwrap()),
            Step::Unlink => drop(db.unlink(&from, "r", &to, &options).unwrap()),
            Step::PutFile => {
                let bytes = self.members(0).repeat(200);
                db.put_file(&self.id(0), bytes.as_bytes(), Tier::Warm, &options).unwrap();
            }
            Step::Sweep => return Apart { swept: db.sweep().unwrap(), checkpoints: 0 },
            Step::Checkpoint => {
                db.checkpoint(None).unwrap();
                return Apart { swept: 0, checkpoints: 1 };
            }
            Step::Flush => db.flush().unwrap(),
            Step::CreateIndex => {
                db.create_index("c", ["n", "round"][self.n as usize % 2], IndexKind::Eq).unwrap();
            }
        }
        Apart::default()
    }

    fn transaction(&self) -> String {
        let put = |item: u64| {
            let (id, document) = (self.id(item), self.document(item));
            format!("{{\"op\":\"put\",\"coll\":\"c\",\"id\":\"{id}\",\"doc\":{document}}}")
        };
        let (from, to) = self.edge();
        let link = format!("{{\"op\":\"link\",\"frm\":\"{from}\",\"rel\":\"t\",\"to\":\"{to}\"}}");
        format!("[{},{},{link}]", put(0), put(1))
    }
}

#[test]
#[ignore = "the writer that a_killed_writer_loses_nothing_acknowledged starts"]
fn writer_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    tell("opening");
    let db = Database::open(directory, Options::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || {
                for n in 0.. {
                    let Apart { swept, checkpoints } = At { round, thread, n }.run(db);
                    tell(&format!("ack {thread} {n} {swept} {checkpoints}"));
                }
            });
        }
    });
}

fn tell(what: &str) {
    // One write a line, so that a kill tears the last one at most.
    std::io::stdout().write_all(format!("\n{what} \n").as_bytes()).unwrap();
}

fn start_writer(directory: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_that_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a writer said before it was killed.
#[derive(Debug, Default)]
struct Acknowledged {
    /// How many steps each thread was told are done.
    steps: [u64; THREADS],
    apart: Apart,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may be torn: a whole one ends with a blank.
        if let ["ack", thread, n, swept, checkpoints, ""] = words.as_slice() {
            self.steps[thread.parse::<usize>().unwrap()] = n.parse::<u64>().unwrap() + 1;
            self.apart.swept += swept.parse::<u64>().unwrap();
            self.apart.checkpoints += checkpoints.parse::<u64>().unwrap();
        }
    }
}

/// Lets a writer run until some moment, kills it, and returns what it said.
fn run_and_kill(directory: &Path, round: u64) -> Acknowledged {
    let mut writer = start_writer(directory, round);
    let mut told = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    // Spread over the time that each phase takes, the same on every run.
    let share = Duration::from_micros(round * 7_919 % 1_000);
    let mut acknowledged = Acknowledged::default();
    let (waits_for, runs_for) = match round / LANES % 4 {
        0 => ("ack", share * 40),
        1 => ("opening", share * 8),
        2 => ("opening", share * 40),
        _ => ("", share * 40),
    };
    if !waits_for.is_empty() {
        let first = told.by_ref().find(|line| line.starts_with(waits_for));
        acknowledged.note(&first.expect("the writer begins"));
    }
    std::thread::sleep(runs_for);
    writer.kill().unwrap();
    let status = writer.wait().unwrap();
    told.for_each(|line| acknowledged.note(&line));
    assert!(
        !status.success() && status.code().is_none(),
        "round {round}: it ended by itself: {status}"
    );
    acknowledged
}

/// Returns the lines of the ops after a seq, by the client that wrote them.
fn ops_of(db: &Database, after: Seq, client: &str) -> Vec<String> {
    let all = (after + 1..=db.seq()).map(|seq| db.op(seq).unwrap().unwrap());
    all.filter(|op| op.contains(&format!("\"client\":\"{client}\""))).collect()
}

/// Checks that what a thread wrote is what it was told is done, and at most one call more, in order.
fn check_thread(ops: &[String], at: At, acknowledged: u64) {
    let mut ops = ops.iter();
    for n in 0.. {
        let at = At { n, ..at };
        let context = || format!("round {}, thread {}, step {n}", at.round, at.thread);
        if ops.len() == 0 && n >= acknowledged {
            return;
        }
        assert!(n <= acknowledged, "{}: it was never called", context());
        for expected in at.expected() {
            let Some(op) = ops.next() else {
                // Of many puts at once a prefix may stand.
                assert!(n >= acknowledged, "{}: it was acknowledged and is lost", context());
                return;
            };
            let has_all = expected.iter().all(|part| op.contains(part.as_str()));
            assert!(has_all, "{}: {op} is not {expected:?}", context());
        }
    }
}

/// Checks that every client's nonces follow each other: a gap would be an op that is missing.
fn check_nonces(db: &Database) {
    let mut last = std::collections::HashMap::<String, i64>::new();
    for seq in 0..=db.seq() {
        let op: Value = serde_json::from_str(&db.op(seq).unwrap().unwrap()).unwrap();
        let nonce = op["nonce"].as_i64().unwrap();
        let before = last.insert(op["client"].as_str().unwrap().to_owned(), nonce).unwrap_or(0);
        assert_eq!(nonce, before + 1, "op {seq}");
    }
}

/// Checks that every version of every file is there, whole: what its op says of its bytes is checked as
/// they are read.
fn check_files(db: &Database) {
    for name in db.files(None).unwrap() {
        for version in db.file_versions(&name, None).unwrap() {
            let at = FileAt { version: Some(version.version as i64), ..FileAt::default() };
            let bytes = db.get_file(&name, &at).unwrap();
            assert!(bytes.starts_with(b"\"filler\":"), "{name}, version {}", version.version);
        }
    }
}

/// Opens what a killed writer left, checks it, and returns its last seq.
fn check(directory: &Path, round: u64, before: Seq, told: &Acknowledged) -> Seq {
    let db = support::open(directory);
    assert_eq!(db.open_report().damage, None, "round {round}");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap(), "round {round}");
    for thread in 0..THREADS {
        let at = At { round, thread, n: 0 };
        check_thread(&ops_of(&db, before, &at.client()), at, told.steps[thread]);
    }
    for (client, op, count) in [
        ("__ttl__", "\"coll\":\"mortal\"", told.apart.swept),
        ("local", "\"op\":\"checkpoint\"", told.apart.checkpoints),
    ] {
        let found = ops_of(&db, before, client);
        assert!(found.len() as u64 >= count, "round {round}: an op of {client} is lost");
        assert!(found.iter().all(|it| it.contains(op)), "round {round}: {found:?}");
    }
    check_nonces(&db);
    check_files(&db);
    let seq = db.seq();
    db.close().unwrap();
    seq
}

/// Kills writers of a few directories, one after the other; returns how many steps were acknowledged.
fn kill_many(rounds: impl Iterator<Item = u64>) -> u64 {
    let mut step_count = 0;
    let mut folder = tempfile::tempdir().unwrap();
    let mut seq = -1;
    for (done, round) in rounds.enumerate() {
        if (done as u64).is_multiple_of(ROUNDS_A_DIRECTORY) {
            (folder, seq) = (tempfile::tempdir().unwrap(), -1);
        }
        let told = run_and_kill(folder.path(), round);
        step_count += told.steps.iter().sum::<u64>();
        seq = check(folder.path(), round, seq, &told);
    }
    step_count
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged() {
    let step_count: u64 = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                scope.spawn(move || kill_many((0..ROUNDS / LANES).map(|it| it * LANES + lane)))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    assert!(step_count > ROUNDS, "the writers hardly wrote: {step_count} steps");
}
