//! Commit, in every order of steps: a few calls, and each way in which they, their syncs and one failure
//! can come one after the other.
//!
//! A schedule is run again from its beginning for each choice that could have been another, until all
//! were seen. After each step what was answered is held against what stands on the disk: nothing is
//! visible but what is synced, no answer rests on anything else, and nobody waits for ever.

use super::gate::{Answer, Stage, Step, Verdict};
use crate::db::{Database, Options, Update, WriteOptions};
use crate::error::{ErrorCode, Result};
use crate::snapshot::IndexKind;
use futures_executor::block_on;

/// Who calls.
#[derive(Clone, Copy, Debug)]
enum Callers {
    Threads,
    /// Tasks of an asynchronous host, but for what only threads can call.
    Tasks,
    /// A thread, then a task, and so on.
    Both,
}

impl Callers {
    fn are_tasks(self, number: usize) -> bool {
        match self {
            Callers::Threads => false,
            Callers::Tasks => true,
            Callers::Both => number % 2 == 1,
        }
    }
}

const ALL_CALLERS: [Callers; 3] = [Callers::Threads, Callers::Tasks, Callers::Both];

/// What is called. Documents are those of the collection `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Puts the document a.
    Put,
    /// Puts a, which must not be there.
    PutNew,
    /// Deletes a, which must be as op 0 wrote it.
    DeleteFirst,
    /// Puts a where it is absent, and leaves it as it is otherwise.
    Update,
    /// Puts a under the idempotency key k.
    Keyed,
    /// Puts b under the idempotency key k.
    KeyedOther,
    /// Puts b as the client n with the nonce 5.
    Numbered,
    Flush,
    CreateIndex,
    Close,
}

const CALLS: [Call; 10] = [
    Call::Put,
    Call::PutNew,
    Call::DeleteFirst,
    Call::Update,
    Call::Keyed,
    Call::KeyedOther,
    Call::Numbered,
    Call::Flush,
    Call::CreateIndex,
    Call::Close,
];

impl Call {
    fn is_barrier(self) -> bool {
        matches!(self, Call::Flush | Call::CreateIndex | Call::Close)
    }

    /// Tells whether a task can call it.
    fn is_for_tasks(self) -> bool {
        !self.is_barrier() && self != Call::Update
    }

    /// Returns the document that a write is about, and its options.
    fn write(self, client: &str) -> (&'static str, WriteOptions) {
        let own = WriteOptions { client: Some(client.to_owned()), ..WriteOptions::default() };
        let keyed = WriteOptions { idem: Some("k".to_owned()), ..own.clone() };
        match self {
            Call::PutNew => ("a", WriteOptions { if_seq: Some(-1), ..own }),
            Call::DeleteFirst => ("a", WriteOptions { if_seq: Some(0), ..own }),
            Call::Keyed => ("a", keyed),
            Call::KeyedOther => ("b", keyed),
            Call::Numbered => {
                ("b", WriteOptions { client: Some("n".to_owned()), nonce: Some(5), ..own })
            }
            _ => ("a", own),
        }
    }

    /// Makes the call as a task does.
    fn make_as_task(self, db: &Database, client: &str) -> Result<String> {
        let (id, options) = self.write(client);
        let seq = match self {
            Call::DeleteFirst => block_on(db.delete_later("c", id, &options))?.seq,
            _ => {
                let (stored, receipt) = block_on(db.put_later("c", id, "{}", &options))?;
                assert_eq!(seq_of(&stored) as i64, receipt.seq);
                let line = db.inner.engine.read_though_closed().unwrap().log.with_fields(
                    receipt.seq,
                    |fields| {
                        assert_eq!(fields.hash, receipt.hash);
                        Ok(())
                    },
                );
                assert!(line.is_ok() || db.is_closed(), "{line:?}");
                receipt.seq
            }
        };
        Ok(format!("{{\"_seq\":{seq}}}"))
    }

    fn make(self, db: &Database, client: &str) -> Result<String> {
        let (id, own) = self.write(client);
        match self {
            Call::Put | Call::PutNew | Call::Keyed | Call::KeyedOther | Call::Numbered => {
                db.put("c", id, "{}", &own)
            }
            Call::DeleteFirst => {
                let seq = db.delete("c", id, &own)?;
                Ok(format!("{{\"_seq\":{seq}}}"))
            }
            Call::Update => {
                let put_if_absent = |current: Option<&str>| {
                    Ok(current.map_or(Update::Put("{}".to_owned()), |_| Update::Keep))
                };
                db.update("c", "a", &own, put_if_absent).map(Option::unwrap_or_default)
            }
            Call::Flush => db.flush().map(|()| String::new()),
            Call::CreateIndex => db.create_index("c", "n", IndexKind::Eq).map(|()| String::new()),
            Call::Close => db.close().map(|()| String::new()),
        }
    }
}

/// An op that stands, as its line says.
#[derive(Clone, Debug)]
struct Standing {
    client: String,
    is_delete: bool,
    id: String,
    is_keyed: bool,
}

/// What a reader knows once the first ops stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// The op that wrote the document a that is there.
    a: Option<usize>,
    /// The op that has the key k.
    key: Option<usize>,
    is_numbered: bool,
}

/// Makes the choices of a schedule: those it is told, and then the first of each.
#[derive(Debug, Default)]
struct Choices {
    /// What was chosen, out of how many.
    taken: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    fn choose(&mut self, count: usize) -> usize {
        if self.next == self.taken.len() {
            self.taken.push((0, count));
        }
        self.next += 1;
        self.taken[self.next - 1].0
    }

    /// Turns to the next schedule; false when all were seen.
    fn turn(&mut self) -> bool {
        self.next = 0;
        while let Some((chosen, count)) = self.taken.pop() {
            if chosen + 1 < count {
                self.taken.push((chosen + 1, count));
                return true;
            }
        }
        false
    }
}

/// One run of one schedule.
struct Run<'c> {
    calls: &'c [Call],
    callers: Callers,
    stage: Stage,
    standing: Vec<Standing>,
    /// For each call that was made: how many ops stood, and how many were admitted, before it.
    before: Vec<(usize, usize)>,
    has_failed: bool,
    checked: Vec<usize>,
    /// What was done, to be told when something is wrong.
    steps: Vec<String>,
}

impl<'c> Run<'c> {
    fn new(calls: &'c [Call], callers: Callers) -> Run<'c> {
        let stage = Stage::open(Options::default(), &[Step::Sync]);
        let (standing, before, checked, steps) = (vec![], vec![], vec![], vec![]);
        Run { calls, callers, stage, standing, before, has_failed: false, checked, steps }
    }

    /// Runs to the end; `choose` is told how many things could be done next.
    fn run(mut self, mut choose: impl FnMut(usize) -> usize) {
        loop {
            let can_call = usize::from(self.before.len() < self.calls.len());
            let verdicts = match (self.stage.at_gate(), self.has_failed) {
                (None, _) => 0,
                (Some(_), true) => 1,
                (Some(_), false) => 2,
            };
            if can_call + verdicts == 0 {
                break;
            }
            match choose(can_call + verdicts) {
                0 if can_call == 1 => self.make_next_call(),
                chosen if chosen == can_call => self.let_go(Verdict::Succeeds),
                _ => self.let_go(Verdict::Fails),
            }
            self.check();
        }
        assert_eq!(self.stage.answers.len(), self.calls.len(), "{:?}", self.steps);
        if !self.stage.db.is_closed() {
            assert!(self.stage.db.verify_determinism().unwrap(), "{:?}", self.steps);
        }
    }

    fn make_next_call(&mut self) {
        let number = self.before.len();
        let call = self.calls[number];
        self.steps.push(format!("{call:?}"));
        self.before.push((self.standing.len(), self.stage.places().admitted));
        let client = format!("call {number}");
        if call.is_barrier() {
            self.stage.barrier(move |db| call.make(db, &client).map(drop));
        } else if self.callers.are_tasks(number) && call.is_for_tasks() {
            self.stage.write(move |db| call.make_as_task(db, &client));
        } else {
            self.stage.write(move |db| call.make(db, &client));
        }
    }

    fn let_go(&mut self, verdict: Verdict) {
        self.steps.push(format!("{verdict:?}"));
        self.has_failed |= verdict == Verdict::Fails;
        self.stage.let_go(verdict);
    }

    /// Checks what is visible, and what was answered since.
    fn check(&mut self) {
        self.read_what_stands();
        let (stage, steps) = (&self.stage, &self.steps);
        let synced = stage.on_disk().1;
        assert_eq!(self.standing.len(), synced, "visible is what is synced: {steps:?}");
        assert_eq!(stage.db.durable_seq() + 1, synced as i64, "{steps:?}");
        if self.has_failed {
            assert_eq!((stage.at_gate(), stage.answers.len()), (None, self.before.len()));
        }
        for (number, answer) in &stage.answers {
            if !self.checked.contains(number) {
                let known = self.is_justified(*number, answer);
                assert!(known, "{:?} was told {answer:?}: {steps:?}", self.calls[*number]);
            }
        }
        self.checked = stage.answers.keys().copied().collect();
    }

    fn read_what_stands(&mut self) {
        let db = &self.stage.db;
        let state = db.inner.engine.read_though_closed().unwrap();
        for seq in self.standing.len() as i64..=state.views.seq {
            let line = match db.is_closed() {
                // A closed database has no log to read any more; what stands in its file stands.
                true => {
                    let log = std::fs::read_to_string(db.path().unwrap().join("log.aof")).unwrap();
                    log.lines().nth(seq as usize).unwrap().to_owned()
                }
                false => state.log.with_fields(seq, |fields| fields.to_canonical()).unwrap(),
            };
            let text = |key: &str| {
                let rest = line.split_once(&format!("\"{key}\":\"")).map(|(_, rest)| rest);
                rest.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
            };
            self.standing.push(Standing {
                client: text("client"),
                is_delete: text("op") == "delete",
                id: text("id"),
                is_keyed: text("idem") == "k",
            });
        }
    }

    /// Returns what a reader knows when this many ops stand.
    fn known(&self, op_count: usize) -> Known {
        let mut known = Known::default();
        for (seq, op) in self.standing[..op_count].iter().enumerate() {
            if op.id == "a" {
                known.a = (!op.is_delete).then_some(seq);
            }
            if op.is_keyed {
                known.key = Some(seq);
            }
            known.is_numbered |= op.client == "n";
        }
        known
    }

    /// Tells whether an answer follows from what stood at some time between the call and now.
    fn is_justified(&self, number: usize, answer: &Answer) -> bool {
        let (call, (stood, admitted)) = (self.calls[number], self.before[number]);
        let stands = self.standing.len();
        let ever = |is_so: &dyn Fn(Known) -> bool| {
            (stood..=stands).any(|op_count| is_so(self.known(op_count)))
        };
        match (call, answer) {
            // It is a barrier for what was acknowledged, and every batch is synced before that.
            (Call::Flush, Err(ErrorCode::CommitUnknown)) => false,
            (Call::Flush, Ok(_)) => self.has_failed || admitted <= stands,
            (_, Err(ErrorCode::CommitUnknown)) => self.has_failed,
            (_, Err(ErrorCode::DatabaseClosed)) => {
                self.calls[..self.before.len()].contains(&Call::Close)
            }
            (Call::Close, Ok(_)) => {
                self.stage.is_released() && (self.has_failed || admitted <= stands)
            }
            (Call::CreateIndex, Ok(_)) => admitted <= stands,
            (Call::PutNew, Err(ErrorCode::PreconditionFailed)) => ever(&|known| known.a.is_some()),
            (Call::DeleteFirst, Err(ErrorCode::PreconditionFailed)) => {
                ever(&|known| known.a != Some(0))
            }
            (Call::Keyed | Call::KeyedOther, Err(ErrorCode::IdempotencyConflict)) => {
                ever(&|known| {
                    known.key.is_some_and(|seq| self.target(call) != self.standing[seq].id)
                })
            }
            (Call::Numbered, Err(ErrorCode::ReplayError)) => ever(&|known| known.is_numbered),
            (_, Err(_)) => false,
            (_, Ok(text)) => self.has_written(number, seq_of(text)),
        }
    }

    /// Tells whether a call wrote this op at its place, or was told what another had written.
    fn has_written(&self, number: usize, seq: usize) -> bool {
        let (call, stands) = (self.calls[number], self.standing.len());
        let Some(op) = self.standing.get(seq) else { return false };
        let before = self.known(seq);
        let is_own = op.client == format!("call {number}") || call == Call::Numbered;
        let (stood, _) = self.before[number];
        match call {
            Call::Update if !is_own => {
                (stood..=stands).any(|op_count| self.known(op_count).a == Some(seq))
            }
            Call::Keyed | Call::KeyedOther if !is_own => {
                self.known(stands).key == Some(seq) && op.id == self.target(call)
            }
            _ if !is_own || seq < stood => false,
            Call::PutNew | Call::Update => before.a.is_none(),
            Call::DeleteFirst => before.a == Some(0),
            Call::Keyed | Call::KeyedOther => before.key.is_none(),
            Call::Numbered => op.client == "n" && !before.is_numbered,
            _ => true,
        }
    }

    fn target(&self, call: Call) -> &'static str {
        if matches!(call, Call::KeyedOther | Call::Numbered) { "b" } else { "a" }
    }
}

fn seq_of(text: &str) -> usize {
    let (_, rest) = text.split_once("\"_seq\":").expect("what was written has a seq");
    let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().unwrap()
}

/// Runs every schedule of some calls, and returns how many there are.
fn run_all(calls: &[Call], callers: Callers) -> usize {
    let mut choices = Choices::default();
    let mut count = 0;
    loop {
        Run::new(calls, callers).run(|options| choices.choose(options));
        count += 1;
        if !choices.turn() {
            return count;
        }
    }
}

#[test]
fn every_order_of_two_calls_is_right() {
    let mut count = 0;
    for first in CALLS {
        for second in CALLS {
            for callers in ALL_CALLERS {
                count += run_all(&[first, second], callers);
            }
        }
    }
    assert!(count > 900, "only {count} schedules were run");
}

#[test]
fn every_order_of_three_calls_behind_a_put_that_syncs_is_right() {
    let mut count = 0;
    for second in CALLS {
        for third in [Call::PutNew, Call::KeyedOther, Call::CreateIndex, Call::Close] {
            for callers in ALL_CALLERS {
                count += run_all(&[Call::Keyed, second, third], callers);
            }
        }
    }
    assert!(count > 900, "only {count} schedules were run");
}

#[test]
fn random_orders_of_seven_calls_are_right() {
    for seed in 1..=200_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |count: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 33) as usize % count
        };
        // Closing ends most of what there is to see: it comes seldom, and last.
        let mut calls: Vec<Call> = (0..6).map(|_| CALLS[below(CALLS.len() - 1)]).collect();
        calls.push(CALLS[below(CALLS.len())]);
        // So does a failure, which is the last of what can be done.
        let callers = ALL_CALLERS[seed as usize % ALL_CALLERS.len()];
        Run::new(&calls, callers).run(|options| {
            let likely = if below(16) == 0 { options } else { (options - 1).max(1) };
            below(likely)
        });
    }
}
