//! A gate between the writer and its log, at which each step waits until a test lets it go.
//!
//! In: calls, each on a thread of its own, and verdicts. Out: where all of them are.
//!
//! `Stage::settle` returns when nothing moves any more: each call has answered, or waits for another,
//! or stands at the gate. It finds out by looking at what the writer says of itself, so that no test
//! depends on how quick a thread is; only a test that fails waits for a time.

use crate::db::{Database, Options};
use crate::engine::Places;
use crate::error::{ErrorCode, Result};
use crate::store::LogStore;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a call may be on its way before it counts as stuck: far longer than any machine needs.
pub(in crate::db) const PATIENCE: Duration = Duration::from_secs(60);

/// What stands at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::db) enum Step {
    Append,
    Sync,
}

/// What becomes of what stands at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::db) enum Verdict {
    Succeeds,
    Fails,
}

#[derive(Debug, Default)]
struct Passage {
    /// What stands at the gate, and whose thread it is.
    at: Option<(Step, ThreadId)>,
    verdict: Option<Verdict>,
    /// Ops of the batch that is being written.
    in_flight: usize,
    appended: usize,
    synced: usize,
    is_released: bool,
    /// The test is over: nothing is held any more.
    is_open: bool,
}

/// A log that counts as written and as synced what it was let.
struct GatedStore {
    inner: Box<dyn LogStore>,
    gate: Arc<(Mutex<Passage>, Condvar)>,
    stops_at: &'static [Step],
    /// Whether a batch is over with its sync, or with its append already.
    syncs_each_batch: bool,
}

impl GatedStore {
    /// Stands at the gate until the test says what becomes of the step.
    fn pass(&self, step: Step) -> io::Result<()> {
        let (passage, changed) = &*self.gate;
        let mut passage = passage.lock();
        if self.stops_at.contains(&step) && !passage.is_open {
            passage.at = Some((step, thread::current().id()));
            while passage.verdict.is_none() {
                changed.wait(&mut passage);
            }
        }
        match passage.verdict.take() {
            Some(Verdict::Fails) => Err(io::Error::other("the disk is gone")),
            _ => Ok(()),
        }
    }
}

impl LogStore for GatedStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.gate.0.lock().in_flight = lines;
        let passed = self.pass(Step::Append).and_then(|()| self.inner.append(bytes));
        let mut passage = self.gate.0.lock();
        passage.appended += if passed.is_ok() { lines } else { 0 };
        if passed.is_err() || !self.syncs_each_batch {
            passage.in_flight = 0;
        }
        passed
    }

    fn sync(&mut self) -> io::Result<()> {
        let passed = self.pass(Step::Sync);
        let mut passage = self.gate.0.lock();
        passage.in_flight = 0;
        if passed.is_ok() {
            passage.synced = passage.appended;
        }
        passed
    }

    fn release(&mut self) {
        self.gate.0.lock().is_released = true;
        self.inner.release();
    }
}

/// What a call answered.
pub(in crate::db) type Answer = std::result::Result<String, ErrorCode>;

/// A database whose log is behind a gate, and the calls that were made.
pub(in crate::db) struct Stage {
    pub db: Database,
    pub folder: TempDir,
    gate: Arc<(Mutex<Passage>, Condvar)>,
    sender: mpsc::Sender<(usize, Answer)>,
    receiver: mpsc::Receiver<(usize, Answer)>,
    /// Each call's thread, and whether it writes ops itself.
    calls: Vec<(ThreadId, bool)>,
    pub answers: BTreeMap<usize, Answer>,
}

impl Stage {
    /// Opens a new database whose log stops at these steps.
    pub fn open(options: Options, stops_at: &'static [Step]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let syncs_each_batch = options.durability == crate::db::Durability::Always;
        let db = Database::open(folder.path(), options).unwrap();
        let gate = Arc::new((Mutex::new(Passage::default()), Condvar::new()));
        db.inner.engine.wrap_store(|inner| {
            Box::new(GatedStore { inner, gate: Arc::clone(&gate), stops_at, syncs_each_batch })
        });
        let (sender, receiver) = mpsc::channel();
        let (calls, answers) = (Vec::new(), BTreeMap::new());
        Stage { db, folder, gate, sender, receiver, calls, answers }
    }

    /// Makes a call that writes one op, or none, on a thread of its own; returns its number.
    pub fn write(
        &mut self,
        call: impl FnOnce(&Database) -> Result<String> + Send + 'static,
    ) -> usize {
        self.call(true, call)
    }

    /// Makes a call that writes no op, on a thread of its own; returns its number.
    pub fn barrier(
        &mut self,
        call: impl FnOnce(&Database) -> Result<()> + Send + 'static,
    ) -> usize {
        self.call(false, move |db| call(db).map(|()| String::new()))
    }

    fn call(
        &mut self,
        writes: bool,
        call: impl FnOnce(&Database) -> Result<String> + Send + 'static,
    ) -> usize {
        let (number, db, sender) = (self.calls.len(), self.db.clone(), self.sender.clone());
        let thread = thread::spawn(move || {
            let answer = call(&db).map_err(|error| error.code());
            // A handle that is dropped after it answered would close the database at any time.
            drop(db);
            // Nobody listens any more where the test has failed.
            let _test_is_over = sender.send((number, answer));
        });
        self.calls.push((thread.thread().id(), writes));
        self.settle();
        number
    }

    /// Lets what stands at the gate go.
    pub fn let_go(&mut self, verdict: Verdict) {
        let (passage, changed) = &*self.gate;
        let mut passage = passage.lock();
        assert!(passage.at.take().is_some(), "nothing stands at the gate");
        passage.verdict = Some(verdict);
        changed.notify_all();
        drop(passage);
        self.settle();
    }

    /// Lets what stands at the gate go, and everything that comes after it.
    pub fn let_all_go(&self, verdict: Verdict) {
        let (passage, changed) = &*self.gate;
        let mut passage = passage.lock();
        passage.is_open = true;
        if passage.at.take().is_some() {
            passage.verdict = Some(verdict);
            changed.notify_all();
        }
    }

    /// Returns when nothing moves any more.
    pub fn settle(&mut self) {
        let start = Instant::now();
        while !self.is_settled() {
            assert!(start.elapsed() < PATIENCE, "stuck: {}", self.describe());
            thread::yield_now();
        }
    }

    fn is_settled(&mut self) -> bool {
        self.answers.extend(self.receiver.try_iter());
        let writer = self.db.inner.engine.hold_writer();
        let (places, passage) = (writer.places(), self.gate.0.lock());
        let leader = passage.at.map(|(_, thread)| thread);
        let is_led_by_barrier = self.calls.iter().any(|call| Some(call.0) == leader && !call.1);
        let known = self.answers.len() + places.waiting + places.gathered + passage.in_flight;
        // Without a leader somebody must be about to lead what was gathered, or to be told.
        let is_still = match leader {
            Some(_) => places.is_led,
            None => !places.is_led && places.gathered + places.waiting == 0,
        };
        is_still && known + usize::from(is_led_by_barrier) == self.calls.len()
    }

    fn describe(&self) -> String {
        let (places, passage) = (self.db.inner.engine.places(), self.gate.0.lock());
        format!("{places:?} {passage:?}, {} calls, answers {:?}", self.calls.len(), self.answers)
    }

    /// Returns what stands at the gate.
    pub fn at_gate(&self) -> Option<Step> {
        self.gate.0.lock().at.map(|(step, _)| step)
    }

    /// Returns where the calls are that have not answered.
    pub fn places(&self) -> Places {
        self.db.inner.engine.places()
    }

    /// Returns how many ops were appended and how many of them are synced.
    pub fn on_disk(&self) -> (usize, usize) {
        let passage = self.gate.0.lock();
        (passage.appended, passage.synced)
    }

    /// Tells whether the lock on the directory was given back.
    pub fn is_released(&self) -> bool {
        self.gate.0.lock().is_released
    }

    /// Returns what a call answered; it must not have done so yet where this is None.
    pub fn answer(&self, call: usize) -> Option<&Answer> {
        self.answers.get(&call)
    }
}

impl Drop for Stage {
    /// Lets everything through, so that no thread of a test that failed is left standing.
    fn drop(&mut self) {
        self.let_all_go(Verdict::Fails);
    }
}
