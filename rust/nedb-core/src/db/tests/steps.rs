//! Commit, one step after the other: each test forces one order of admissions, syncs and failures, and
//! looks at what is visible, durable, answered and waiting after every step.

use super::gate::{Answer, Stage, Step, Verdict};
use crate::clock::ManualClock;
use crate::db::{Database, Durability, Options, ReadOptions, Update, WriteOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::op::{Seq, Tier};
use crate::snapshot::IndexKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const BOTH: &[Step] = &[Step::Append, Step::Sync];
const AT_SYNC: &[Step] = &[Step::Sync];

fn stage() -> Stage {
    Stage::open(Options::default(), AT_SYNC)
}

fn put(id: &'static str) -> impl FnOnce(&Database) -> Result<String> + Send + 'static {
    put_with(id, WriteOptions::default())
}

fn put_with(
    id: &'static str,
    options: WriteOptions,
) -> impl FnOnce(&Database) -> Result<String> + Send + 'static {
    move |db| db.put("c", id, "{}", &options)
}

fn if_seq(seq: Seq) -> WriteOptions {
    WriteOptions { if_seq: Some(seq), ..WriteOptions::default() }
}

fn idem(key: &str) -> WriteOptions {
    WriteOptions { idem: Some(key.to_owned()), ..WriteOptions::default() }
}

fn nonce(nonce: Option<i64>) -> WriteOptions {
    WriteOptions { client: Some("n".to_owned()), nonce, ..WriteOptions::default() }
}

fn create_index(db: &Database) -> Result<()> {
    db.create_index("c", "n", IndexKind::Eq)
}

fn read(db: &Database, id: &str) -> Option<String> {
    db.get("c", id, &ReadOptions::default()).unwrap()
}

fn code(answer: Option<&Answer>) -> ErrorCode {
    *answer.expect("it has answered").as_ref().expect_err("it was refused")
}

/// Checks that a call wrote a document at a seq.
fn assert_wrote(stage: &Stage, call: usize, seq: Seq) {
    let answer = stage.answer(call).expect("it has answered").as_ref().expect("it was written");
    assert!(answer.contains(&format!("\"_seq\":{seq}")), "{answer}");
}

/// Checks what is seen of the log, and that all of it is durable.
fn assert_stands(stage: &Stage, op_count: usize) {
    assert_eq!(stage.db.seq() + 1, op_count as Seq, "visible");
    assert_eq!(stage.db.durable_seq() + 1, op_count as Seq, "durable");
    assert_eq!(stage.on_disk().1, op_count, "synced");
}

/// Checks that whoever waited was told that nothing is known, and that nothing more is written.
fn assert_failed(stage: &mut Stage, calls: &[usize], op_count: usize) {
    for call in calls {
        assert_eq!(code(stage.answer(*call)), ErrorCode::CommitUnknown, "call {call}");
    }
    let appended = stage.on_disk().0;
    let later = stage.write(put("later"));
    let flush = stage.barrier(Database::flush);
    let index = stage.barrier(create_index);
    for call in [later, index] {
        assert_eq!(code(stage.answer(call)), ErrorCode::CommitUnknown, "call {call}");
    }
    assert_eq!(stage.answer(flush), Some(&Ok(String::new())), "what stands was synced");
    assert_stands(stage, op_count);
    assert_eq!((stage.on_disk().0, stage.at_gate()), (appended, None));
    assert!(stage.db.verify().unwrap() && stage.db.verify_determinism().unwrap());
}

#[test]
fn a_write_is_seen_and_answered_after_its_sync_and_not_before() {
    let mut stage = Stage::open(Options::default(), BOTH);
    let call = stage.write(put("a"));
    for (step, appended) in [(Step::Append, 0), (Step::Sync, 1)] {
        assert_eq!((stage.at_gate(), stage.on_disk()), (Some(step), (appended, 0)));
        assert_eq!((stage.answer(call), read(&stage.db, "a")), (None, None), "{step:?}");
        assert_stands(&stage, 0);
        stage.let_go(Verdict::Succeeds);
    }
    assert_wrote(&stage, call, 0);
    assert!(read(&stage.db, "a").is_some());
    assert_stands(&stage, 1);
    assert_eq!(stage.at_gate(), None);
}

#[test]
fn what_is_admitted_while_a_batch_syncs_is_written_after_it_and_shares_a_sync() {
    let mut stage = Stage::open(Options::default(), BOTH);
    let first = stage.write(put("a"));
    stage.let_go(Verdict::Succeeds);
    let gathered = ["b", "c", "d"].map(|id| stage.write(put(id)));
    assert_eq!((stage.places().gathered, stage.on_disk()), (3, (1, 0)));
    assert_stands(&stage, 0);
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, first, 0);
    assert_stands(&stage, 1);
    // One of the three was called to lead: it appends all of them at once.
    assert_eq!((stage.at_gate(), stage.on_disk()), (Some(Step::Append), (1, 1)));
    stage.let_go(Verdict::Succeeds);
    assert_eq!((stage.at_gate(), stage.on_disk()), (Some(Step::Sync), (4, 1)));
    assert!(gathered.iter().all(|call| stage.answer(*call).is_none()));
    stage.let_go(Verdict::Succeeds);
    for (call, seq) in gathered.into_iter().zip(1..) {
        assert_wrote(&stage, call, seq);
    }
    assert_stands(&stage, 4);
    assert!(stage.db.verify().unwrap() && stage.db.verify_determinism().unwrap());
}

#[test]
fn each_batch_is_led_by_one_of_its_own_and_order_is_that_of_admission() {
    let mut stage = stage();
    let ids = ["a", "b", "c", "d", "e", "f"];
    let mut calls = vec![stage.write(put(ids[0]))];
    for pair in ids[1..5].chunks(2) {
        calls.extend(pair.iter().map(|id| stage.write(put(id))));
        stage.let_go(Verdict::Succeeds);
    }
    calls.push(stage.write(put(ids[5])));
    while stage.at_gate().is_some() {
        stage.let_go(Verdict::Succeeds);
    }
    for (seq, id) in ids.into_iter().enumerate() {
        assert_wrote(&stage, calls[seq], seq as Seq);
        let op = stage.db.op(seq as Seq).unwrap().unwrap();
        assert!(op.contains(&format!("\"id\":\"{id}\"")), "op {seq}: {op}");
    }
    assert_stands(&stage, ids.len());
}

#[test]
fn a_batch_that_fails_takes_the_one_that_was_gathered_with_it() {
    for step in BOTH {
        let mut stage = Stage::open(Options::default(), BOTH);
        let stands = stage.write(put("a"));
        stage.let_go(Verdict::Succeeds);
        stage.let_go(Verdict::Succeeds);
        let fails = stage.write(put("b"));
        let gathered = ["c", "d"].map(|id| stage.write(put(id)));
        if *step == Step::Sync {
            stage.let_go(Verdict::Succeeds);
        }
        stage.let_go(Verdict::Fails);
        assert_wrote(&stage, stands, 0);
        assert_failed(&mut stage, &[fails, gathered[0], gathered[1]], 1);
        // What is gathered after a batch that fails is never written.
        let folder = close_and_keep(stage);
        let db = Database::open(folder.path(), Options::default()).unwrap();
        let expected = if *step == Step::Sync { 1 } else { 0 };
        assert_eq!((db.seq(), read(&db, "c")), (expected, None), "{step:?}");
        assert!(db.open_report().damage.is_none() && db.verify().unwrap(), "{step:?}");
    }
}

fn close_and_keep(mut stage: Stage) -> tempfile::TempDir {
    let close = stage.barrier(Database::close);
    assert_eq!(stage.answer(close), Some(&Ok(String::new())));
    std::mem::replace(&mut stage.folder, tempfile::tempdir().unwrap())
}

#[test]
fn an_op_that_builds_on_one_that_is_not_synced_stands_or_fails_with_it() {
    for verdict in [Verdict::Succeeds, Verdict::Fails] {
        let mut stage = stage();
        let first = stage.write(put("a"));
        let second = stage.write(put_with("a", if_seq(0)));
        let third = stage.write(put_with("a", if_seq(1)));
        assert_eq!(stage.places().gathered, 2, "both are admitted against what is pending");
        stage.let_go(verdict);
        if verdict == Verdict::Fails {
            assert_failed(&mut stage, &[first, second, third], 0);
            continue;
        }
        stage.let_go(Verdict::Succeeds);
        for (call, seq) in [(first, 0), (second, 1), (third, 2)] {
            assert_wrote(&stage, call, seq);
        }
        assert_stands(&stage, 3);
    }
}

/// Lets `first` be synced or fail while `second` asks; returns what `second` was told in either case.
///
/// Nothing is answered before that is known.
fn told_about_a_pending_write<F, S>(first: fn() -> F, second: fn() -> S) -> [Answer; 2]
where
    F: FnOnce(&Database) -> Result<String> + Send + 'static,
    S: FnOnce(&Database) -> Result<String> + Send + 'static,
{
    [Verdict::Succeeds, Verdict::Fails].map(|verdict| {
        let mut stage = stage();
        let pending = stage.write(first());
        let asks = stage.write(second());
        assert_eq!(stage.answer(asks), None, "it was answered before what it rests on stands");
        assert_eq!((stage.places().waiting, stage.places().gathered), (1, 0));
        stage.let_go(verdict);
        if verdict == Verdict::Succeeds {
            assert_wrote(&stage, pending, 0);
            assert_stands(&stage, 1);
        } else {
            assert_failed(&mut stage, &[pending], 0);
        }
        stage.answer(asks).expect("it has answered").clone()
    })
}

#[test]
fn a_precondition_that_fails_because_of_a_pending_write_is_told_once_that_stands() {
    let told = told_about_a_pending_write(|| put("a"), || put_with("a", if_seq(-1)));
    assert_eq!(told, [Err(ErrorCode::PreconditionFailed), Err(ErrorCode::CommitUnknown)]);
}

#[test]
fn a_retry_of_a_pending_write_is_answered_once_that_stands() {
    let told = told_about_a_pending_write(|| put_with("a", idem("k")), || put_with("a", idem("k")));
    let [Ok(again), Err(ErrorCode::CommitUnknown)] = &told else { panic!("{told:?}") };
    assert!(again.contains("\"_seq\":0"), "{again}");
}

#[test]
fn a_key_that_a_pending_write_uses_conflicts_once_that_stands() {
    let told = told_about_a_pending_write(|| put_with("a", idem("k")), || put_with("b", idem("k")));
    assert_eq!(told, [Err(ErrorCode::IdempotencyConflict), Err(ErrorCode::CommitUnknown)]);
}

#[test]
fn a_nonce_that_a_pending_write_used_is_refused_once_that_stands() {
    let five = || put_with("a", nonce(Some(5)));
    assert_eq!(
        told_about_a_pending_write(five, five),
        [Err(ErrorCode::ReplayError), Err(ErrorCode::CommitUnknown)]
    );
}

#[test]
fn that_a_pending_write_used_the_last_nonce_is_told_once_that_stands() {
    let told = told_about_a_pending_write(
        || put_with("a", nonce(Some(i64::MAX))),
        || put_with("b", nonce(None)),
    );
    assert_eq!(told, [Err(ErrorCode::ReplayError), Err(ErrorCode::CommitUnknown)]);
}

fn update(
    change: fn(Option<&str>) -> Result<Update>,
) -> impl FnOnce(&Database) -> Result<String> + Send + 'static {
    move |db| {
        let kept = db.update("c", "a", &WriteOptions::default(), change)?;
        Ok(kept.unwrap_or_default())
    }
}

#[test]
fn an_update_that_keeps_a_pending_document_answers_once_that_stands() {
    let told = told_about_a_pending_write(|| put("a"), || update(|_| Ok(Update::Keep)));
    let [Ok(kept), Err(ErrorCode::CommitUnknown)] = &told else { panic!("{told:?}") };
    assert!(kept.contains("\"_seq\":0"), "{kept}");
}

#[test]
fn what_an_update_refuses_because_of_a_pending_write_is_told_once_that_stands() {
    let told = told_about_a_pending_write(
        || put("a"),
        || {
            update(|current| match current {
                Some(_) => Err(Error::new(ErrorCode::InvalidArgument, "it is there already")),
                None => Ok(Update::Put("{}".to_owned())),
            })
        },
    );
    assert_eq!(told, [Err(ErrorCode::InvalidArgument), Err(ErrorCode::CommitUnknown)]);
}

#[test]
fn a_refusal_that_what_is_synced_justifies_waits_for_nothing() {
    let mut stage = stage();
    stage.write(put_with("a", idem("k")));
    stage.let_go(Verdict::Succeeds);
    let pending = stage.write(put("a"));
    let refused = stage.write(put_with("a", if_seq(-1)));
    assert_eq!(code(stage.answer(refused)), ErrorCode::PreconditionFailed);
    let conflict = stage.write(put_with("b", idem("k")));
    assert_eq!(code(stage.answer(conflict)), ErrorCode::IdempotencyConflict);
    let retried = stage.write(put_with("a", idem("k")));
    assert_wrote(&stage, retried, 0);
    assert_eq!((stage.answer(pending), stage.at_gate()), (None, Some(Step::Sync)));
    assert_stands(&stage, 1);
}

#[test]
fn a_pending_document_whose_end_has_come_is_absent_for_a_precondition() {
    let clock = Arc::new(ManualClock::new(1_000.0));
    let options = Options { clock: Arc::clone(&clock) as _, ..Options::default() };
    let mut stage = Stage::open(options, AT_SYNC);
    let mortal = WriteOptions { ttl_seconds: Some(5.0), ..WriteOptions::default() };
    stage.write(put_with("a", mortal));
    clock.set(1_010.0);
    let expects_it = stage.write(put_with("a", if_seq(0)));
    let expects_none = stage.write(put_with("a", if_seq(-1)));
    for _ in 0..2 {
        stage.let_go(Verdict::Succeeds);
    }
    assert_eq!(code(stage.answer(expects_it)), ErrorCode::PreconditionFailed);
    assert_wrote(&stage, expects_none, 1);
    assert_stands(&stage, 2);
}

#[test]
fn a_barrier_writes_what_was_gathered_before_it_and_holds_back_what_comes_after() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let barrier = stage.barrier(create_index);
    let behind = stage.write(put("c"));
    let places = stage.places();
    assert_eq!((places.gathered, places.barriers, places.waiting), (1, 1, 2));
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, first, 0);
    // Nobody was called to lead: the barrier itself writes what was gathered, and admits nothing.
    let places = stage.places();
    assert_eq!((places.gathered, places.barriers, places.waiting), (0, 1, 1));
    assert_eq!(stage.on_disk(), (2, 1));
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, gathered, 1);
    assert_eq!(stage.answer(barrier), Some(&Ok(String::new())));
    assert_eq!((stage.answer(behind), stage.on_disk()), (None, (3, 2)));
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, behind, 2);
    assert_stands(&stage, 3);
    assert_eq!(stage.db.indexes().unwrap().len(), 1);
    assert!(stage.db.verify_determinism().unwrap());
}

#[test]
fn several_barriers_and_those_behind_them_all_come_through() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let barriers = [
        stage.barrier(create_index),
        stage.barrier(|db| db.create_index("c", "m", IndexKind::Ordered)),
    ];
    let behind = ["d", "e"].map(|id| stage.write(put(id)));
    assert_eq!((stage.places().barriers, stage.places().waiting), (2, 4));
    for _ in 0..3 {
        stage.let_go(Verdict::Succeeds);
    }
    while stage.at_gate().is_some() {
        stage.let_go(Verdict::Succeeds);
    }
    for call in [first, gathered, barriers[0], barriers[1], behind[0], behind[1]] {
        assert!(matches!(stage.answer(call), Some(Ok(_))), "call {call}");
    }
    assert_stands(&stage, 4);
    assert_eq!(stage.db.indexes().unwrap().len(), 2);
}

#[test]
fn a_flush_waits_for_what_was_admitted_before_it_and_for_nothing_more() {
    let mut stage = stage();
    stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let flush = stage.barrier(Database::flush);
    let after = stage.write(put("c"));
    stage.let_go(Verdict::Succeeds);
    assert_eq!((stage.answer(gathered), stage.answer(flush)), (None, None));
    let last = stage.write(put("d"));
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, gathered, 1);
    assert_wrote(&stage, after, 2);
    assert_eq!(stage.answer(flush), Some(&Ok(String::new())));
    assert_eq!((stage.answer(last), stage.at_gate()), (None, Some(Step::Sync)));
    assert_stands(&stage, 3);
}

#[test]
fn a_batch_that_fails_fails_the_barriers_that_wait_for_it_and_those_behind_them() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let flush = stage.barrier(Database::flush);
    let index = stage.barrier(create_index);
    let behind = stage.write(put("c"));
    stage.let_go(Verdict::Fails);
    assert_failed(&mut stage, &[first, gathered, index, behind], 0);
    let nothing_was_acknowledged = Some(&Ok(String::new()));
    assert_eq!(stage.answer(flush), nothing_was_acknowledged);
    assert_eq!(stage.db.indexes().unwrap(), []);
}

#[test]
fn a_batch_that_a_barrier_writes_and_that_fails_fails_all_who_wait() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let index = stage.barrier(create_index);
    let behind = stage.write(put("c"));
    stage.let_go(Verdict::Succeeds);
    stage.let_go(Verdict::Fails);
    assert_wrote(&stage, first, 0);
    assert_failed(&mut stage, &[gathered, index, behind], 1);
}

#[test]
fn closing_writes_what_was_admitted_and_refuses_what_comes_after() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let gathered = stage.write(put("b"));
    let close = stage.barrier(Database::close);
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, first, 0);
    assert_eq!((stage.answer(close), stage.is_released()), (None, false));
    while stage.at_gate().is_some() {
        assert!(!stage.is_released(), "the lock is held while a batch is written");
        stage.let_go(Verdict::Succeeds);
    }
    assert_wrote(&stage, gathered, 1);
    assert_eq!(stage.answer(close), Some(&Ok(String::new())));
    assert_eq!((stage.on_disk(), stage.is_released()), ((2, 2), true));
    let late = stage.write(put("c"));
    assert_eq!(code(stage.answer(late)), ErrorCode::DatabaseClosed);
    let db = Database::open(stage.folder.path(), Options::default()).unwrap();
    assert_eq!((db.seq(), db.verify().unwrap()), (1, true));
}

#[test]
fn closing_beside_a_batch_that_fails_gives_the_lock_back_all_the_same() {
    let mut stage = stage();
    let first = stage.write(put("a"));
    let close = stage.barrier(Database::close);
    stage.let_go(Verdict::Fails);
    assert_eq!(code(stage.answer(first)), ErrorCode::CommitUnknown);
    assert!(stage.answer(close).is_some() && stage.db.is_closed() && stage.is_released());
    let db = Database::open(stage.folder.path(), Options::default()).unwrap();
    assert!(db.open_report().damage.is_none() && db.verify().unwrap());
}

fn never() -> Options {
    Options { durability: Durability::Never, ..Options::default() }
}

#[test]
fn a_write_that_need_not_be_synced_is_seen_after_its_append_and_durable_after_a_flush() {
    let mut stage = Stage::open(never(), BOTH);
    let call = stage.write(put("a"));
    assert_eq!((stage.at_gate(), read(&stage.db, "a")), (Some(Step::Append), None));
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, call, 0);
    assert_eq!((stage.at_gate(), stage.db.seq(), stage.db.durable_seq()), (None, 0, -1));
    let flush = stage.barrier(Database::flush);
    let gathered = stage.write(put("b"));
    assert_eq!((stage.at_gate(), stage.places().gathered), (Some(Step::Sync), 1));
    stage.let_go(Verdict::Succeeds);
    assert_eq!(stage.answer(flush), Some(&Ok(String::new())));
    assert_eq!((stage.answer(gathered), stage.db.durable_seq()), (None, 0));
    assert_eq!(
        stage.at_gate(),
        Some(Step::Append),
        "what came during the sync is written after it"
    );
    stage.let_go(Verdict::Succeeds);
    assert_wrote(&stage, gathered, 1);
    assert_eq!((stage.db.seq(), stage.db.durable_seq()), (1, 0));
}

#[test]
fn a_flush_that_fails_refuses_what_was_gathered_meanwhile() {
    let mut stage = Stage::open(never(), AT_SYNC);
    let acknowledged = stage.write(put("a"));
    assert_wrote(&stage, acknowledged, 0);
    let flush = stage.barrier(Database::flush);
    let gathered = stage.write(put("b"));
    stage.let_go(Verdict::Fails);
    for call in [flush, gathered] {
        assert_eq!(code(stage.answer(call)), ErrorCode::CommitUnknown);
    }
    assert_eq!((stage.db.seq(), stage.db.durable_seq(), stage.on_disk()), (0, -1, (1, 0)));
}

#[test]
fn closing_syncs_what_was_acknowledged_while_it_synced() {
    let mut stage = Stage::open(never(), AT_SYNC);
    stage.write(put("a"));
    let close = stage.barrier(Database::close);
    assert_eq!(stage.at_gate(), Some(Step::Sync));
    let meanwhile = stage.write(put("b"));
    while stage.at_gate().is_some() {
        stage.let_go(Verdict::Succeeds);
    }
    assert_eq!(stage.answer(close), Some(&Ok(String::new())));
    match stage.answer(meanwhile).expect("it has answered") {
        Ok(_) => assert_eq!(stage.on_disk(), (2, 2), "it was acknowledged and is not synced"),
        Err(code) => assert_eq!((*code, stage.on_disk()), (ErrorCode::DatabaseClosed, (1, 1))),
    }
    assert!(stage.is_released());
}

#[test]
fn a_last_sync_that_fails_is_told_by_closing() {
    let mut stage = Stage::open(never(), AT_SYNC);
    stage.write(put("a"));
    let close = stage.barrier(Database::close);
    stage.let_go(Verdict::Fails);
    assert_eq!(code(stage.answer(close)), ErrorCode::CommitUnknown);
    assert!(stage.is_released() && stage.db.is_closed());
}

#[test]
fn versions_of_a_file_are_numbered_also_while_none_of_them_is_synced() {
    let mut stage = stage();
    let calls = [0, 1, 2].map(|_| {
        stage.write(|db| {
            let version = db.put_file("f", b"bytes", Tier::Warm, &WriteOptions::default())?;
            Ok(version.to_string())
        })
    });
    assert_eq!((stage.places().gathered, stage.db.files(None).unwrap().len()), (2, 0));
    stage.let_go(Verdict::Succeeds);
    assert_eq!(stage.db.file_versions("f", None).unwrap().len(), 1);
    stage.let_go(Verdict::Succeeds);
    let versions = calls.map(|call| stage.answer(call).unwrap().clone().unwrap());
    let known = stage.db.file_versions("f", None).unwrap();
    assert_eq!(known.iter().map(|it| it.version.to_string()).collect::<Vec<_>>(), versions);
    assert_eq!(known.windows(2).filter(|pair| pair[1].version == pair[0].version + 1).count(), 2);
}

#[test]
fn a_change_that_runs_again_sees_what_stands_by_then() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let mut stage = stage();
    stage.write(put("a"));
    let kept = stage.write(update(|current| {
        RUNS.fetch_add(1, Ordering::SeqCst);
        assert!(current.is_some_and(|text| text.contains("\"_seq\":0")));
        Ok(Update::Keep)
    }));
    assert_eq!((RUNS.load(Ordering::SeqCst), stage.answer(kept)), (1, None));
    stage.let_go(Verdict::Succeeds);
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    assert_wrote(&stage, kept, 0);
}

/// Changes the first line of a log while it is open, and has a read meet that.
fn damage(stage: &Stage) {
    let path = stage.folder.path().join("log.aof");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"id\":\"a\"", "\"id\":\"x\"", 1)).unwrap();
    assert!(stage.db.get("c", "a", &ReadOptions::default()).is_err());
}

#[test]
fn a_barrier_that_waits_beside_a_repair_holds_nobody_back_for_ever() {
    // Which of the two comes first is for the system to say.
    for _ in 0..20 {
        let options =
            Options { durability: Durability::Never, cache_bytes: 0, ..Options::default() };
        let mut stage = Stage::open(options, AT_SYNC);
        stage.write(put("a"));
        stage.write(put("b"));
        damage(&stage);
        let flush = stage.barrier(Database::flush);
        let index = stage.barrier(create_index);
        let repair = stage.barrier(|db| db.repair().map(drop));
        assert_eq!(stage.at_gate(), Some(Step::Sync));
        stage.let_go(Verdict::Succeeds);
        assert!(stage.answer(flush).is_some() && stage.answer(index).is_some());
        assert!(stage.answer(repair).is_some_and(Answer::is_ok), "{:?}", stage.answers);
        let later = stage.write(put("later"));
        assert!(stage.answer(later).is_some_and(Answer::is_ok), "{:?}", stage.answers);
        assert_eq!(stage.places().barriers, 0);
    }
}
