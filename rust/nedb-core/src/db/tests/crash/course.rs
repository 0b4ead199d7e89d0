//! Running a script, and what it does on a disk that works.

use super::check::{answers, open};
use super::scripts::Script;
use crate::clock::ManualClock;
use crate::crypto::{ReplayedRandomness, Tmk};
use crate::db::{BackupReport, Database, Durability, Options};
use crate::error::{Error, Result};
use crate::hash::ZERO_HASH;
use crate::op::Seq;
use crate::snapshot::IndexKind;
use crate::store::{FaultDisk, FileSystem};
use std::path::Path;
use std::sync::Arc;

/// Returns the key of every database that is encrypted.
pub(super) fn key() -> Tmk {
    Tmk::new([7; 32])
}

/// Returns where the wrapped key of a database is, if it is encrypted.
pub(super) fn key_path() -> String {
    format!("{PATH}/key.enc")
}

/// Where the database is.
pub(super) const PATH: &str = "/data/db";
/// The time when a script begins, in seconds since 1970.
const START_SECONDS: f64 = 1_000.0;

/// Index definitions, sorted.
pub(super) type Indexes = Vec<(String, String, IndexKind)>;

/// A process that does what a script says.
pub(super) struct Session {
    pub disk: FaultDisk,
    pub clock: Arc<ManualClock>,
    durability: Durability,
    tmk: Option<Tmk>,
    randomness: Arc<ReplayedRandomness>,
    db: Option<Database>,
    /// The copies that were made: where, and what was said of them.
    pub backups: Vec<(&'static str, BackupReport)>,
}

impl Session {
    /// Makes a process that has done nothing yet.
    pub fn new(disk: &FaultDisk, durability: Durability) -> Session {
        Session {
            disk: disk.clone(),
            clock: Arc::new(ManualClock::new(START_SECONDS)),
            durability,
            tmk: None,
            randomness: Arc::new(ReplayedRandomness::new(1)),
            db: None,
            backups: Vec::new(),
        }
    }

    /// Opens the database.
    pub fn open(&mut self) -> Result<()> {
        let options = Options {
            clock: Arc::clone(&self.clock) as _,
            durability: self.durability,
            tmk: self.tmk.clone(),
            randomness: Arc::clone(&self.randomness) as _,
            ..Options::default()
        };
        self.db = Some(Database::open_in(Arc::new(self.disk.clone()), Path::new(PATH), options)?);
        Ok(())
    }

    /// Opens the database with a key: it is encrypted from then on.
    pub fn open_with_key(&mut self) -> Result<()> {
        self.tmk = Some(key());
        self.open()
    }

    /// Returns the database, which is open.
    pub fn db(&self) -> &Database {
        self.db.as_ref().expect("a step before this one opens it")
    }

    /// Closes the database.
    pub fn close(&mut self) -> Result<()> {
        self.db.take().expect("a step before this one opens it").close()
    }

    /// Lets go of the database without closing it.
    pub fn drop_handle(&mut self) {
        self.db = None;
    }

    /// Copies the database into another directory.
    pub fn backup(&mut self, path: &'static str) -> Result<()> {
        let report = self.db().backup(path)?;
        self.backups.push((path, report));
        Ok(())
    }

    /// Returns the database, if it is open.
    pub fn open_db(&self) -> Option<&Database> {
        self.db.as_ref()
    }
}

/// How far a run of a script came.
pub(super) struct Run {
    pub session: Session,
    /// How many steps were acknowledged.
    pub done_count: usize,
    /// What the step after those returned.
    pub error: Option<Error>,
}

/// Runs a script up to the first step that fails.
pub(super) fn run(script: &Script, disk: &FaultDisk) -> Run {
    let session = Session::new(disk, script.durability);
    run_on(script, Run { session, done_count: 0, error: None })
}

/// Runs the rest of a script, from the step that failed on, up to the first that fails.
pub(super) fn run_on(script: &Script, ran: Run) -> Run {
    let Run { mut session, mut done_count, .. } = ran;
    for step in &script.steps[done_count..] {
        if let Err(error) = (step.run)(&mut session) {
            return Run { session, done_count, error: Some(error) };
        }
        done_count += 1;
    }
    Run { session, done_count, error: None }
}

/// What is known after a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The last op that was acknowledged.
    pub seq: Seq,
    /// The last op that is on the disk, as the engine says.
    pub durable_seq: Seq,
    pub indexes: Indexes,
    pub backups: Vec<(&'static str, BackupReport)>,
    /// How many calls have changed the disk.
    pub call_count: usize,
}

/// What a script does on a disk that works.
pub(super) struct Course {
    pub script: Script,
    /// What is known before each step, and at the end.
    pub known: Vec<Known>,
    /// The head after each number of ops.
    pub heads: Vec<String>,
    /// What reads answer after each number of ops.
    pub answers: Vec<String>,
}

impl Course {
    /// Runs a script on a disk that works.
    pub fn of(script: Script) -> Course {
        let disk = FaultDisk::new();
        let mut session = Session::new(&disk, script.durability);
        let mut known = vec![Known { seq: -1, durable_seq: -1, ..Known::default() }];
        for step in &script.steps {
            (step.run)(&mut session)
                .unwrap_or_else(|error| panic!("{}, {}: {error:?}", script.name, step.name));
            let next = known_after(known.last().unwrap(), step.name, &session);
            known.push(next);
        }
        session.drop_handle();
        let log = disk.read(Path::new(PATH).join("log.aof")).unwrap();
        let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
        let replay = |count| replayed(&lines[..count], &disk);
        let (heads, answers) = (0..=lines.len()).map(replay).unzip();
        Course { script, known, heads, answers }
    }

    /// Returns how many calls change the disk.
    pub fn call_count(&self) -> usize {
        self.known.last().unwrap().call_count
    }

    /// Names the call at which a run of the script was disturbed, and the step that made it.
    pub fn place(&self, nth: usize) -> String {
        let step = self.known.iter().skip(1).position(|known| known.call_count > nth);
        let step = step.map_or("the end", |at| self.script.steps[at].name);
        format!("{}: call {nth}, in {step:?}", self.script.name)
    }
}

fn known_after(before: &Known, step: &str, session: &Session) -> Known {
    let call_count = session.disk.calls().len();
    let backups = session.backups.clone();
    match session.open_db() {
        Some(db) => Known {
            seq: db.seq(),
            durable_seq: db.durable_seq(),
            indexes: indexes_of(db),
            backups,
            call_count,
        },
        // Closing syncs, or says that it could not; a handle that is dropped has nobody to tell.
        None => Known {
            durable_seq: if step == "close" { before.seq } else { before.durable_seq },
            backups,
            call_count,
            ..before.clone()
        },
    }
}

/// Returns the index definitions of a database, sorted.
pub(super) fn indexes_of(db: &Database) -> Indexes {
    let mut indexes = db.indexes().unwrap();
    indexes.sort_by_key(|(collection, field, kind)| {
        (collection.clone(), field.clone(), kind.as_str())
    });
    indexes
}

/// Opens a log as if it had always been there, beside the bytes that it refers to, and returns its head and
/// what reads answer.
fn replayed(lines: &[&[u8]], last: &FaultDisk) -> (String, String) {
    let disk = FaultDisk::new();
    let blobs = format!("{PATH}/blobs");
    for directory in ["/data", PATH, &blobs] {
        disk.create_directory(Path::new(directory)).unwrap();
    }
    for (path, bytes) in last.listing() {
        let is_needed = path.starts_with(&blobs) || path == key_path();
        if let (true, Some(bytes)) = (is_needed, bytes) {
            disk.place(path, &bytes).unwrap();
        }
    }
    disk.place(Path::new(PATH).join("log.aof"), &lines.concat()).unwrap();
    let db = open(&disk).unwrap();
    assert_eq!(db.seq() + 1, lines.len() as Seq);
    assert_eq!(db.head() == ZERO_HASH, lines.is_empty());
    (db.head(), answers(&db).unwrap())
}
