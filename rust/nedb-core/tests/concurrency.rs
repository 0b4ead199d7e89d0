//! Many threads on one handle.
//!
//! What is promised: a read sees a prefix of the log and nothing else, whatever is written meanwhile;
//! what a read at a seq gave once it gives for ever; a put that was acknowledged is there, once; and a
//! long read does not keep writers out. Threads run for a number of rounds, not for a time, so that a
//! slow machine tests as much as a quick one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::{
    Database, Error, ErrorCode, IndexKind, Options, Params, ReadOptions, Update, WriteOptions,
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const READERS: usize = 4;

fn memory() -> Database {
    Database::in_memory(Options::default()).expect("memory opens")
}

fn plain() -> WriteOptions {
    WriteOptions::default()
}

fn rows(db: &Database, nql: &str) -> Vec<Value> {
    let rows = db.query(nql, &Params::none()).unwrap_or_else(|error| panic!("{nql}: {error}"));
    rows.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect()
}

fn put_item(collection: &str, id: &str, document: Value) -> Value {
    json!({"op": "put", "coll": collection, "id": id, "doc": document})
}

fn batch(db: &Database, items: &[Value]) {
    db.batch(&json!(items).to_string(), &plain()).expect("a good transaction");
}

/// Puts numbered documents, all at once.
fn put_numbered(db: &Database, collection: &str, count: usize, document: &str) {
    let documents: Vec<(String, String)> =
        (0..count).map(|number| (format!("d{number:06}"), document.to_owned())).collect();
    db.put_many(collection, &documents, &plain()).expect("good documents");
}

/// Runs `read` on several threads for as long as `write` runs on this one, and at least once each.
fn read_while(write: impl FnOnce(), read: impl Fn(usize) + Sync) {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (is_done, read) = (&is_done, &read);
            scope.spawn(move || {
                let mut is_last = false;
                while !is_last {
                    is_last = is_done.load(Ordering::SeqCst);
                    read(reader);
                }
            });
        }
        let _done = SetOnDrop(&is_done);
        write();
    });
}

/// Ends the readers also when the writer panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    const ROUNDS: i64 = 400;
    let db = memory();
    let questions = [
        "FROM pairs",
        "FROM pairs WHERE n >= 0 ORDER BY n DESC",
        "FROM pairs WHERE _id IN (\"left\", \"right\")",
        "FROM pairs WHERE _id = \"left\" TRAVERSE to",
    ];
    db.link("pairs:left", "to", "pairs:left", &plain()).expect("an edge");
    db.link("pairs:left", "to", "pairs:right", &plain()).expect("an edge");
    let write = || {
        for n in 0..ROUNDS {
            let document = json!({"n": n});
            batch(
                &db,
                &[
                    put_item("pairs", "left", document.clone()),
                    put_item("pairs", "right", document),
                ],
            );
            if n == ROUNDS / 2 {
                db.create_index("pairs", "n", IndexKind::Ordered).expect("an index");
            }
        }
    };
    read_while(write, |reader| {
        for nql in questions.iter().cycle().skip(reader).take(questions.len()) {
            let found = rows(&db, nql);
            match found.as_slice() {
                [] => {}
                [left, right] => {
                    assert_eq!((&left["n"], &left["_seq"]), (&right["n"], &right["_seq"]), "{nql}")
                }
                other => panic!("{nql}: half a transaction: {other:?}"),
            }
        }
    });
    assert!(db.verify().expect("a log") && db.verify_determinism().expect("a log"));
}

#[test]
fn a_scan_of_many_chunks_sees_one_state_while_money_moves() {
    const ACCOUNTS: usize = 5_000;
    const ROUNDS: usize = 600;
    let db = memory();
    put_numbered(&db, "accounts", ACCOUNTS, r#"{"balance":100}"#);
    let write = || {
        let mut balances = vec![100_i64; ACCOUNTS];
        for round in 0..ROUNDS {
            // From the end that a scan reaches last to the one that it has left, and back.
            let (from, to) = (ACCOUNTS - 1 - round * 7 % 900, round * 11 % 900);
            let (from, to) = if round % 2 == 0 { (from, to) } else { (to, from) };
            balances[from] -= 10;
            balances[to] += 10;
            let item = |at: usize| {
                put_item("accounts", &format!("d{at:06}"), json!({"balance": balances[at]}))
            };
            batch(&db, &[item(from), item(to)]);
            if round == ROUNDS / 3 {
                db.create_index("accounts", "balance", IndexKind::Ordered).expect("an index");
            }
        }
    };
    let expected = [json!({"count": ACCOUNTS, "sum_balance": ACCOUNTS * 100})];
    read_while(write, |reader| {
        let nql = match reader % 2 {
            0 => "FROM accounts COUNT SUM balance",
            _ => "FROM accounts WHERE balance > -1000000 COUNT SUM balance",
        };
        assert_eq!(rows(&db, nql), expected, "{nql}");
    });
}

#[test]
fn what_a_read_at_a_seq_gave_it_gives_for_ever() {
    const ROUNDS: i64 = 400;
    let db = memory();
    db.create_index("c", "n", IndexKind::Ordered).expect("an index");
    let write = || {
        for n in 0..ROUNDS {
            let id = format!("d{}", n % 13);
            match n % 5 {
                4 => drop(db.delete("c", &id, &plain()).expect("a deletion")),
                _ => drop(db.put("c", &id, &format!("{{\"n\":{}}}", n % 7), &plain())),
            }
        }
    };
    let first_answers = parking_lot::Mutex::new(Vec::<(String, Vec<Value>)>::new());
    read_while(write, |_| {
        let seq = db.seq();
        let asked =
            [format!("FROM c AS OF {seq}"), format!("FROM c AS OF {seq} WHERE n > 2 ORDER BY n")];
        for nql in asked {
            let answer = rows(&db, &nql);
            assert!(answer.iter().all(|row| row["_seq"].as_i64() <= Some(seq)), "{nql}");
            first_answers.lock().push((nql, answer));
        }
        let known = first_answers.lock().len();
        let (nql, answer) = first_answers.lock()[known / 2].clone();
        assert_eq!(rows(&db, &nql), answer, "{nql}");
    });
    for (nql, answer) in first_answers.into_inner() {
        assert_eq!(rows(&db, &nql), answer, "{nql}, at the end");
    }
}

#[test]
fn one_reader_never_goes_back_and_sees_every_acknowledged_put() {
    const ROUNDS: i64 = 2_000;
    let db = memory();
    let acknowledged = AtomicI64::new(-1);
    let last_seen: Vec<AtomicI64> = (0..READERS).map(|_| AtomicI64::new(-1)).collect();
    let write = || {
        for n in 0..ROUNDS {
            db.put("c", "p", &format!("{{\"n\":{n}}}"), &plain()).expect("a good document");
            acknowledged.store(n, Ordering::SeqCst);
        }
    };
    read_while(write, |reader| {
        let at_least = acknowledged.load(Ordering::SeqCst);
        let seq = db.seq();
        let row = db.get("c", "p", &ReadOptions::default()).expect("a read");
        let row = row
            .map_or(json!({"n": -1, "_seq": -1}), |row| serde_json::from_str(&row).expect("JSON"));
        let (n, found) = (row["n"].as_i64().expect("n"), row["_seq"].as_i64().expect("_seq"));
        let before = last_seen[reader].swap(found, Ordering::SeqCst);
        assert_eq!(n, found, "every put is one op");
        assert!(seq >= at_least, "seq {seq} is below {at_least}, which was acknowledged");
        assert!(found >= seq && found >= before, "{found} came after {seq} and {before}");
    });
}

#[test]
fn every_put_of_many_writers_is_acknowledged_once_and_seqs_are_dense() {
    const WRITERS: usize = 8;
    const PUTS: usize = 100;
    let directory = tempfile::tempdir().expect("a folder");
    let db = Database::open(directory.path(), Options::default()).expect("a new database");
    let write = |writer: usize| -> Vec<(i64, String)> {
        let options = WriteOptions { client: Some(format!("w{writer}")), ..plain() };
        let put = |n: usize| {
            let id = format!("w{writer}-{n}");
            let row =
                db.put("c", &id, &format!("{{\"n\":{n}}}"), &options).expect("a good document");
            let row: Value = serde_json::from_str(&row).expect("JSON");
            let add_one = |current: Option<&str>| {
                let current: Value =
                    current.map_or(json!({"n": 0}), |it| serde_json::from_str(it).expect("JSON"));
                Ok(Update::Put(json!({"n": current["n"].as_i64().expect("n") + 1}).to_string()))
            };
            db.update("counters", "all", &options, add_one).expect("an update");
            (row["_seq"].as_i64().expect("_seq"), id)
        };
        (0..PUTS).map(put).collect()
    };
    let acknowledged: Vec<(i64, String)> = thread::scope(|scope| {
        let write = &write;
        let threads: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().flat_map(|it| it.join().expect("no writer panics")).collect()
    });
    check_acknowledged(&db, &acknowledged, WRITERS * PUTS);
    db.close().expect("a clean stop");
    let db = Database::open(directory.path(), Options::default()).expect("it opens again");
    check_acknowledged(&db, &acknowledged, WRITERS * PUTS);
}

fn check_acknowledged(db: &Database, acknowledged: &[(i64, String)], count: usize) {
    assert_eq!(db.seq(), 2 * count as i64 - 1, "a put and an update each");
    let mut seqs: Vec<i64> = acknowledged.iter().map(|(seq, _)| *seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), count, "no seq is handed out twice");
    for (seq, id) in acknowledged {
        let op: Value =
            serde_json::from_str(&db.op(*seq).expect("a read").expect("an op")).expect("JSON");
        assert_eq!(op["payload"]["id"], json!(id));
    }
    let counter = rows(db, "FROM counters WHERE _id = \"all\"");
    assert_eq!(counter[0]["n"], json!(count), "no update was lost");
    assert_eq!(rows(db, "FROM c COUNT"), [json!({"count": count})]);
    assert!(db.verify().expect("a log") && db.verify_determinism().expect("a log"));
}

#[test]
fn a_put_finishes_while_a_long_scan_runs() {
    const DOCUMENTS: usize = 200_000;
    const TRIES: usize = 60;
    let db = memory();
    put_numbered(&db, "c", DOCUMENTS, r#"{"text":"quite a few words to look at"}"#);
    let within = (0..TRIES).filter(|_| is_put_within_a_scan(&db)).take(3).count();
    // On a busy machine many come too early or too late; were they kept out, none would be in time.
    assert!(within == 3, "only {within} of {TRIES} puts ended well before the scan beside them");
}

/// Scans on another thread, puts meanwhile, and tells whether the scan began before the put was there
/// and went on for long after it was acknowledged.
fn is_put_within_a_scan(db: &Database) -> bool {
    let begun = AtomicBool::new(false);
    thread::scope(|scope| {
        let scanner = scope.spawn(|| {
            let start = Instant::now();
            begun.store(true, Ordering::SeqCst);
            let found = rows(db, "FROM c WHERE text LIKE \"%needle%\"");
            (found.is_empty(), start, Instant::now())
        });
        while !begun.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(5));
        db.put("c", "new", r#"{"text":"needle"}"#, &plain()).expect("a good document");
        let put_end = Instant::now();
        let (saw_nothing, start, scan_end) = scanner.join().expect("a scan");
        db.delete("c", "new", &plain()).expect("a deletion");
        // A put that was kept out would end when the scan does.
        saw_nothing && scan_end.saturating_duration_since(put_end) > (scan_end - start) / 4
    })
}

#[test]
fn closing_while_others_write_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a folder");
    let db = Database::open(directory.path(), Options::default()).expect("a new database");
    let acknowledged = AtomicI64::new(-1);
    let write_and_read = || -> Result<(), Error> {
        loop {
            let row = db.put("c", "p", "{}", &plain())?;
            let row: Value = serde_json::from_str(&row).expect("JSON");
            acknowledged.fetch_max(row["_seq"].as_i64().expect("_seq"), Ordering::SeqCst);
            assert_eq!(db.query("FROM c", &Params::none())?.len(), 1);
        }
    };
    let is_closed = |outcome: Result<(), Error>| {
        let error = outcome.expect_err("the loop ends with an error alone");
        assert_eq!(error.code(), ErrorCode::DatabaseClosed);
    };
    thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| is_closed(write_and_read()));
        let writers: Vec<_> = (0..READERS).map(spawn).collect();
        while acknowledged.load(Ordering::SeqCst) < 50
            && writers.iter().all(|writer| !writer.is_finished())
        {
            thread::sleep(Duration::from_micros(100));
        }
        db.close().expect("a clean stop");
    });
    let db = Database::open(directory.path(), Options::default()).expect("it opens again");
    assert_eq!(db.seq(), acknowledged.load(Ordering::SeqCst), "what was acknowledged, and no more");
    assert!(db.open_report().damage.is_none() && db.verify().expect("a log"));
}

/// Changes something of every kind of view.
fn change_everything(db: &Database, number: i64) {
    let id = format!("d{:06}", number * 7 % 3_000);
    let document = json!({"n": number % 9, "text": format!("word {}", number % 50)}).to_string();
    let options = WriteOptions {
        idem: Some(format!("key {number}")),
        caused_by: vec![number % 100],
        ttl_seconds: (number % 3 == 0).then_some(1_000.0),
        ..plain()
    };
    db.put("c", &id, &document, &options).expect("a good put");
    db.link(&format!("c:{id}"), "after", "c:d000000", &plain()).expect("a good link");
    if number % 4 == 0 {
        db.unlink(&format!("c:{id}"), "after", "c:d000000", &plain()).expect("a good unlink");
        db.delete("c", &id, &plain()).expect("a good delete");
    }
}

#[test]
fn the_state_is_compared_with_its_log_while_others_write() {
    let db = memory();
    for (field, kind) in [("n", IndexKind::Ordered), ("text", IndexKind::Search)] {
        db.create_index("c", field, kind).expect("a good index");
    }
    put_numbered(&db, "c", 3_000, r#"{"n":1,"text":"some words"}"#);
    let (is_done, written_count) = (AtomicBool::new(false), AtomicI64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                change_everything(&db, written_count.fetch_add(1, Ordering::SeqCst));
                thread::sleep(Duration::from_micros(200));
            }
        });
        for round in 0..4 {
            let before = written_count.load(Ordering::SeqCst);
            assert!(db.verify_determinism().expect("a log"), "round {round}");
            let meanwhile = written_count.load(Ordering::SeqCst) - before;
            assert!(meanwhile > 1, "round {round}: only {meanwhile} were let in");
            db.create_index("c", &format!("f{round}"), IndexKind::Eq).expect("a good index");
        }
        is_done.store(true, Ordering::SeqCst);
    });
    assert!(db.verify_determinism().expect("a log"));
}
