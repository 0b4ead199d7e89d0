//! What many threads see could have happened one call after the other.
//!
//! Threads read, write, swap and write on conditions, on one handle, and every call and every return is
//! noted in one order. `stateright` then looks for an order of the calls in which each has its effect at
//! one moment between its call and its return and answers what a plain model answers (Herlihy and Wing,
//! "Linearizability: a correctness condition for concurrent objects", 1990). Since a write returns its
//! seq, that order must also be the order of the log.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{
    Database, Durability, ErrorCode, Options, Params, ReadOptions, Result, Update, WriteOptions,
};
use serde_json::{Value, json};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const IDS: [&str; 2] = ["a", "b"];

/// A document: what was written, and by which op.
type Document = Option<(u64, i64)>;

/// What a thread calls. Documents are numbered; an expected seq is a precondition on the one written, or
/// on the first.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Get(usize),
    GetBoth,
    LastSeq,
    Put { at: usize, value: u64, if_seq: Option<i64> },
    Delete { at: usize, if_seq: Option<i64> },
    PutBoth { value: u64, if_seq: Option<i64> },
    Swap { at: usize, value: u64 },
}

/// What it was told.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Found(Document),
    FoundBoth([Document; 2]),
    Seq(i64),
    Swapped { was: Document, seq: i64 },
    PreconditionFailed,
}

/// The model: two documents, one call after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Model {
    last_seq: i64,
    documents: [Document; 2],
}

impl Model {
    fn empty_after(last_seq: i64) -> Model {
        Model { last_seq, documents: [None; 2] }
    }

    fn write(&mut self, at: &[usize], value: Option<u64>, if_seq: Option<i64>) -> Told {
        let found = self.documents[at[0]].map_or(-1, |(_, seq)| seq);
        if if_seq.is_some_and(|expected| expected != found) {
            return Told::PreconditionFailed;
        }
        self.last_seq += 1;
        for at in at {
            self.documents[*at] = value.map(|value| (value, self.last_seq));
        }
        Told::Seq(self.last_seq)
    }
}

impl SequentialSpec for Model {
    type Op = Call;
    type Ret = Told;

    fn invoke(&mut self, call: &Call) -> Told {
        match call {
            Call::Get(at) => Told::Found(self.documents[*at]),
            Call::GetBoth => Told::FoundBoth(self.documents),
            Call::LastSeq => Told::Seq(self.last_seq),
            Call::Put { at, value, if_seq } => self.write(&[*at], Some(*value), *if_seq),
            Call::Delete { at, if_seq } => self.write(&[*at], None, *if_seq),
            Call::PutBoth { value, if_seq } => self.write(&[0, 1], Some(*value), *if_seq),
            Call::Swap { at, value } => {
                let was = self.documents[*at];
                self.write(&[*at], Some(*value), None);
                Told::Swapped { was, seq: self.last_seq }
            }
        }
    }
}

/// What can be called: a database, or something that only looks like one.
trait Register: Sync {
    fn call(&self, call: &Call) -> Told;
}

/// Two documents of a collection.
struct Collection<'d> {
    db: &'d Database,
    name: String,
}

impl Collection<'_> {
    fn options(if_seq: Option<i64>) -> WriteOptions {
        WriteOptions { if_seq, ..WriteOptions::default() }
    }

    fn get_both(&self) -> [Document; 2] {
        let nql = format!("FROM {} WHERE v >= 0", self.name);
        let rows = self.db.query(&nql, &Params::none()).unwrap();
        let mut both = [None; 2];
        for row in rows.iter() {
            let at = usize::from(row.contains("\"_id\":\"b\""));
            both[at] = document(Some(row));
        }
        both
    }

    fn put_both(&self, value: u64, if_seq: Option<i64>) -> Result<i64> {
        let mut items =
            IDS.map(|id| json!({"op": "put", "coll": self.name, "id": id, "doc": {"v": value}}));
        items[0]["if_seq"] = json!(if_seq);
        let written = self.db.batch(&json!(items).to_string(), &WriteOptions::default())?;
        Ok(document(written.first().map(String::as_str)).unwrap().1)
    }

    fn swap(&self, at: usize, value: u64) -> Told {
        let mut was = None;
        let swap = |current: Option<&str>| {
            was = document(current);
            Ok(Update::Put(format!("{{\"v\":{value}}}")))
        };
        let stored = self.db.update(&self.name, IDS[at], &WriteOptions::default(), swap).unwrap();
        Told::Swapped { was, seq: document(stored.as_deref()).unwrap().1 }
    }
}

fn document(text: Option<&str>) -> Document {
    let document: Value = serde_json::from_str(text?).unwrap();
    Some((document["v"].as_u64().unwrap(), document["_seq"].as_i64().unwrap()))
}

fn told(written: Result<i64>) -> Told {
    match written {
        Ok(seq) => Told::Seq(seq),
        Err(error) if error.code() == ErrorCode::PreconditionFailed => Told::PreconditionFailed,
        Err(error) => panic!("{error}"),
    }
}

impl Register for Collection<'_> {
    fn call(&self, call: &Call) -> Told {
        match call {
            Call::Get(at) => {
                let text = self.db.get(&self.name, IDS[*at], &ReadOptions::default()).unwrap();
                Told::Found(document(text.as_deref()))
            }
            Call::GetBoth => Told::FoundBoth(self.get_both()),
            Call::LastSeq => Told::Seq(self.db.seq()),
            Call::Put { at, value, if_seq } => {
                let text = format!("{{\"v\":{value}}}");
                let options = Self::options(*if_seq);
                let stored = self.db.put(&self.name, IDS[*at], &text, &options);
                told(stored.map(|stored| document(Some(&stored)).unwrap().1))
            }
            Call::Delete { at, if_seq } => {
                told(self.db.delete(&self.name, IDS[*at], &Self::options(*if_seq)))
            }
            Call::PutBoth { value, if_seq } => told(self.put_both(*value, *if_seq)),
            Call::Swap { at, value } => self.swap(*at, *value),
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Called(usize, Call),
    Returned(usize, Told),
}

/// Tells whether the calls could have happened one after the other.
fn is_linearizable(start: Model, events: &[Event]) -> bool {
    let mut tester = LinearizabilityTester::new(start);
    for event in events {
        match event.clone() {
            Event::Called(thread, call) => tester.on_invoke(thread, call).map(drop),
            Event::Returned(thread, told) => tester.on_return(thread, told).map(drop),
        }
        .expect("a thread calls, and is told, in turn");
    }
    tester.is_consistent()
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % bound
    }
}

/// What a thread will call next, and what it has seen.
struct Script {
    random: Random,
    next_value: u64,
    seen: [i64; 2],
}

impl Script {
    fn next(&mut self) -> Call {
        let at = self.random.below(2) as usize;
        self.next_value += 1;
        let value = self.next_value;
        let if_seq = match self.random.below(4) {
            0 => None,
            1 => Some(-1),
            _ => Some(self.seen[at]),
        };
        match self.random.below(12) {
            0..3 => Call::Get(at),
            3 => Call::GetBoth,
            4 => Call::LastSeq,
            5..8 => Call::Put { at, value, if_seq },
            8 => Call::Delete { at, if_seq },
            9 | 10 => Call::PutBoth { value, if_seq: if_seq.map(|_| self.seen[0]) },
            _ => Call::Swap { at, value },
        }
    }

    /// Remembers what a condition of a later call may rest on.
    fn note(&mut self, call: &Call, told: &Told) {
        let seq = |document: &Document| document.map_or(-1, |(_, seq)| seq);
        match (call, told) {
            (Call::Get(at), Told::Found(found)) => self.seen[*at] = seq(found),
            (_, Told::FoundBoth(both)) => self.seen = [seq(&both[0]), seq(&both[1])],
            (Call::PutBoth { .. }, Told::Seq(seq)) => self.seen = [*seq; 2],
            (Call::Put { at, .. }, Told::Seq(seq)) => self.seen[*at] = *seq,
            (Call::Delete { at, .. }, Told::Seq(_)) => self.seen[*at] = -1,
            (Call::Swap { at, .. }, Told::Swapped { seq, .. }) => self.seen[*at] = *seq,
            _ => {}
        }
    }
}

/// Lets threads call at random, and returns what happened in one order: a call is noted before it is
/// made and a return after it, so that no two calls look apart that were not.
fn record(register: &impl Register, seed: u64, threads: usize, calls: usize) -> Vec<Event> {
    let events = Mutex::new(Vec::new());
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (events, ready) = (&events, &ready);
            scope.spawn(move || {
                let random = Random::new(seed * 31 + thread as u64);
                let next_value = thread as u64 * 1_000;
                let mut script = Script { random, next_value, seen: [-1; 2] };
                ready.fetch_add(1, Ordering::SeqCst);
                while ready.load(Ordering::SeqCst) < threads {
                    thread::yield_now();
                }
                for _ in 0..calls {
                    let call = script.next();
                    events.lock().unwrap().push(Event::Called(thread, call.clone()));
                    // Calls in memory are over before another thread runs, unless it is let in.
                    if script.random.below(3) == 0 {
                        thread::yield_now();
                    }
                    let told = register.call(&call);
                    script.note(&call, &told);
                    events.lock().unwrap().push(Event::Returned(thread, told));
                }
            });
        }
    });
    events.into_inner().unwrap()
}

/// What many histories had in them: a test that sees nothing happen shows nothing.
#[derive(Debug, Default)]
struct Seen {
    overlapping: usize,
    refused: usize,
    conditional: usize,
}

impl Seen {
    fn note(&mut self, events: &[Event]) {
        let mut open = [false; 8];
        for event in events {
            match event {
                Event::Called(thread, call) => {
                    self.overlapping += usize::from(open.contains(&true));
                    self.conditional += usize::from(has_condition(call));
                    open[*thread] = true;
                }
                Event::Returned(thread, told) => {
                    self.refused += usize::from(*told == Told::PreconditionFailed);
                    open[*thread] = false;
                }
            }
        }
    }
}

fn has_condition(call: &Call) -> bool {
    match call {
        Call::Put { if_seq, .. } | Call::Delete { if_seq, .. } | Call::PutBoth { if_seq, .. } => {
            if_seq.is_some()
        }
        _ => false,
    }
}

/// Checks many short histories of one database, each on a collection of its own.
fn check_histories(db: &Database, rounds: u64, threads: usize, calls: usize) {
    let mut seen = Seen::default();
    for round in 0..rounds {
        let start = Model::empty_after(db.seq());
        let collection = Collection { db, name: format!("c{round}") };
        let events = record(&collection, round, threads, calls);
        assert!(is_linearizable(start, &events), "round {round}: {events:#?}");
        seen.note(&events);
    }
    let enough = rounds as usize / 4;
    assert!(seen.overlapping > enough, "threads hardly met: {seen:?}");
    assert!(seen.refused > enough && seen.conditional > seen.refused + enough, "{seen:?}");
    assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
}

#[test]
fn calls_in_memory_could_have_happened_one_after_the_other() {
    let db = Database::in_memory(Options::default()).unwrap();
    check_histories(&db, 400, 3, 12);
}

#[test]
fn calls_on_a_disk_could_have_happened_one_after_the_other() {
    for durability in
        [Durability::Always, Durability::Never, Durability::Interval { milliseconds: 1 }]
    {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { durability, ..Options::default() };
        let db = Database::open(folder.path(), options).unwrap();
        check_histories(&db, 120, 4, 8);
    }
}

/// Hands out what it found the last time, now and then: what a cache without invalidation would do.
struct Stale<'d> {
    inner: Collection<'d>,
    last: Mutex<Document>,
    is_stale: AtomicBool,
}

impl Register for Stale<'_> {
    fn call(&self, call: &Call) -> Told {
        if !matches!(call, Call::Get(0)) {
            return self.inner.call(call);
        }
        let mut last = self.last.lock().unwrap();
        if !self.is_stale.fetch_xor(true, Ordering::SeqCst)
            && let Told::Found(found) = self.inner.call(call)
        {
            *last = found;
        }
        Told::Found(*last)
    }
}

#[test]
fn a_register_that_answers_from_yesterday_is_found_out() {
    let db = Database::in_memory(Options::default()).unwrap();
    let is_found_out = |round: u64| {
        let start = Model::empty_after(db.seq());
        let inner = Collection { db: &db, name: format!("c{round}") };
        let stale = Stale { inner, last: Mutex::default(), is_stale: AtomicBool::new(false) };
        !is_linearizable(start, &record(&stale, round, 2, 12))
    };
    assert!((0..50).any(is_found_out));
}

/// Tells whether calls on an empty database, each made and answered before the next, are accepted.
fn accepts(calls: &[(usize, Call, Told)]) -> bool {
    let events: Vec<Event> = calls
        .iter()
        .flat_map(|(thread, call, told)| {
            [Event::Called(*thread, call.clone()), Event::Returned(*thread, told.clone())]
        })
        .collect();
    is_linearizable(Model::empty_after(-1), &events)
}

fn put(if_seq: Option<i64>) -> Call {
    Call::Put { at: 0, value: 7, if_seq }
}

#[test]
fn a_history_that_no_order_explains_is_rejected() {
    let seq = Told::Seq;
    let first = (0, put(None), seq(0));
    let wrong: [(&str, Vec<(usize, Call, Told)>); 8] = [
        (
            "a read misses a put that was acknowledged",
            vec![first.clone(), (1, Call::Get(0), Told::Found(None))],
        ),
        ("a read sees what nobody wrote", vec![(1, Call::Get(0), Told::Found(Some((7, 0))))]),
        (
            "a read goes back",
            vec![
                first.clone(),
                (0, Call::Put { at: 0, value: 8, if_seq: None }, seq(1)),
                (1, Call::Get(0), Told::Found(Some((8, 1)))),
                (1, Call::Get(0), Told::Found(Some((7, 0)))),
            ],
        ),
        ("two create one document", vec![(0, put(Some(-1)), seq(0)), (1, put(Some(-1)), seq(1))]),
        (
            "a condition that holds is refused",
            vec![first.clone(), (1, put(Some(0)), Told::PreconditionFailed)],
        ),
        (
            "half a transaction is seen",
            vec![
                (0, Call::PutBoth { value: 7, if_seq: None }, seq(0)),
                (1, Call::GetBoth, Told::FoundBoth([Some((7, 0)), None])),
            ],
        ),
        (
            "a swap loses another",
            vec![
                (0, Call::Swap { at: 0, value: 7 }, Told::Swapped { was: None, seq: 0 }),
                (1, Call::Swap { at: 0, value: 8 }, Told::Swapped { was: None, seq: 1 }),
            ],
        ),
        ("one seq is handed out twice", vec![first.clone(), (1, put(None), seq(0))]),
    ];
    for (what, calls) in wrong {
        assert!(!accepts(&calls), "{what}");
    }
    assert!(accepts(&[first, (1, put(Some(0)), seq(1)), (0, Call::LastSeq, seq(1))]));
}

#[test]
fn a_read_beside_a_put_may_see_it_or_not_and_then_must() {
    let beside = |first: Document, second: Document| {
        let events = [
            Event::Called(0, put(None)),
            Event::Called(1, Call::Get(0)),
            Event::Returned(1, Told::Found(first)),
            Event::Called(1, Call::Get(0)),
            Event::Returned(1, Told::Found(second)),
            Event::Returned(0, Told::Seq(0)),
        ];
        is_linearizable(Model::empty_after(-1), &events)
    };
    let there = Some((7, 0));
    assert!(beside(None, None) && beside(None, there) && beside(there, there));
    assert!(!beside(there, None));
}
