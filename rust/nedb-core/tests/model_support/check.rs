//! The comparison: a script is run on the model, on a plain database and on one with indexes and
//! reopenings, and all three are asked the same.

use super::admit::Answer;
use super::call::Call;
use super::engine::{Engine, START_SECONDS, parse};
use super::model::{Model, Point, Version};
use super::query::point_nql;
use super::questions::{DATES, SEARCHES, conditions, shapes};
use super::script::{COLLECTIONS, IDS, RELATIONS, Step};
use super::value::instant_ms;
use nedb_core::{Database, ErrorCode, Params, ReadOptions, Tmk};
use serde_json::Value;
use std::cell::Cell;

/// The first difference between two answers, with what led to it.
pub type Checked = Result<(), String>;

/// A question that failed: while its script is shrunk, it alone is asked, and everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    condition: usize,
    shape: usize,
}

/// The three databases, and what they were told.
struct Trial<'f> {
    model: Model,
    plain: Engine,
    indexed: Engine,
    transcript: Vec<String>,
    failed: &'f Cell<Option<Question>>,
    /// Which of the questions comes next, where not all are asked.
    turn: usize,
}

/// Runs a script and asks all questions, or the one that failed before.
pub fn check_script(script: &[Step], failed: &Cell<Option<Question>>) -> Checked {
    // Every other script runs on an encrypted disk, and must not notice.
    let tmk = (script.len() % 2 == 1).then(|| Tmk::new([7; 32]));
    let mut trial = Trial {
        model: Model { now: START_SECONDS, ..Model::default() },
        plain: Engine::plain(),
        indexed: Engine::on_disk(tmk),
        transcript: Vec::new(),
        failed,
        turn: script.len(),
    };
    let outcome = trial.run(script);
    outcome.map_err(|why| format!("{why}\n\nAfter:\n{}", trial.transcript.join("\n")))
}

impl Trial<'_> {
    fn run(&mut self, script: &[Step]) -> Checked {
        for step in script {
            let call = self.model.resolve(step);
            let expected = self.model.apply(&call);
            self.transcript.push(transcribe(self.model.head(), &call, &expected));
            let plain = self.plain.apply(&call);
            let indexed = self.indexed.apply(&call);
            same_answer(&expected, &plain).map_err(|why| format!("the write: {why}"))?;
            same_answer(&expected, &indexed).map_err(|why| format!("the write, indexed: {why}"))?;
            self.ask_some(Point::default(), 2)?;
        }
        // What is asked from here on is asked of folded views, of saved ones, and of both together.
        if script.len().is_multiple_of(2) {
            let call = Call::Reopen { without_checkpoints: script.len().is_multiple_of(4) };
            let answer = self.indexed.apply(&call);
            same_answer(&Ok(Value::Null), &answer).map_err(|why| format!("reopening: {why}"))?;
        }
        self.ask_at_head()?;
        for seq in -1..=self.model.head() {
            let point = Point { as_of: Some(seq), valid: None };
            self.ask_relations(point)?;
            self.ask_some(point, 20)?;
            for date in self.dates((seq + 1) as usize) {
                self.ask_some(Point { valid: Some(date), ..point }, 5)?;
            }
        }
        self.ask_searches()?;
        // In memory a checkpoint has no file to seal, so that its op is another.
        let is_sealed = script.iter().any(|step| matches!(step, Step::Checkpoint));
        if !is_sealed {
            same("head", &self.indexed.db.head(), &self.plain.db.head())?;
        }
        self.check_integrity()
    }

    /// Returns one of the dates, or all while a script is shrunk.
    fn dates(&self, turn: usize) -> Vec<&'static str> {
        match self.failed.get() {
            None => vec![DATES[turn % DATES.len()]],
            Some(_) => DATES.to_vec(),
        }
    }

    /// Compares what is there, and the next `count` questions.
    fn ask_some(&mut self, point: Point<'_>, count: usize) -> Checked {
        for collection in COLLECTIONS {
            let documents = self.model.documents(collection, point);
            self.compare_documents(collection, &documents, point)?;
            if let Some(question) = self.failed.get() {
                self.ask(question, collection, &documents, point)?;
                continue;
            }
            for _ in 0..count {
                self.turn += 1;
                let question = Question { condition: self.turn, shape: self.turn / 3 };
                self.ask(question, collection, &documents, point)?;
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        question: Question,
        collection: &str,
        documents: &[Version],
        point: Point<'_>,
    ) -> Checked {
        let conditions = conditions();
        let condition = conditions.get(question.condition % (conditions.len() + 1));
        let queries = shapes(condition);
        let query = &queries[question.shape % queries.len()];
        let expected = query.answer(&self.model, documents, point);
        let outcome = self.compare(&query.nql(collection, point), &expected);
        outcome.inspect_err(|_| self.failed.set(Some(question)))
    }

    /// Compares HEAD at some dates, and asks every question of one collection.
    fn ask_at_head(&mut self) -> Checked {
        self.ask_relations(Point::default())?;
        for date in DATES {
            self.ask_some(Point { as_of: None, valid: Some(date) }, 4)?;
        }
        if self.failed.get().is_some() {
            return Ok(());
        }
        let documents = self.model.documents(COLLECTIONS[0], Point::default());
        for condition in 0..=conditions().len() {
            for shape in 0..shapes(None).len() {
                let question = Question { condition, shape };
                self.ask(question, COLLECTIONS[0], &documents, Point::default())?;
            }
        }
        Ok(())
    }

    fn compare(&self, nql: &str, expected: &[Value]) -> Checked {
        for (name, engine) in [("plain", &self.plain), ("indexed", &self.indexed)] {
            let rows =
                engine.db.query(nql, &Params::none()).map_err(|error| format!("{nql}: {error}"))?;
            let found: Vec<Value> = rows.iter().map(parse).collect();
            if found != expected {
                let (found, expected) = (lines(&found), lines(expected));
                return Err(format!("{nql}\n{name} gave:\n{found}\nthe model:\n{expected}"));
            }
        }
        Ok(())
    }

    fn compare_documents(
        &self,
        collection: &str,
        documents: &[Version],
        point: Point<'_>,
    ) -> Checked {
        let rows: Vec<Value> = documents.iter().map(|version| version.row().into()).collect();
        self.compare(&format!("FROM {collection}{}", point_nql(point)), &rows)?;
        let read = ReadOptions { as_of: point.as_of, valid_as_of: point.valid.map(str::to_owned) };
        for id in IDS {
            let expected = documents.iter().find(|version| version.id == id);
            let expected = expected.map(|version| Value::Object(version.row()));
            for engine in [&self.plain, &self.indexed] {
                let found =
                    engine.db.get(collection, id, &read).map_err(|error| error.to_string())?;
                same(
                    &format!("get {collection} {id} {point:?}"),
                    &found.as_deref().map(parse),
                    &expected,
                )?;
            }
        }
        Ok(())
    }

    fn ask_relations(&self, point: Point<'_>) -> Checked {
        let nodes =
            COLLECTIONS.iter().flat_map(|it| IDS.iter().map(move |id| format!("{it}:{id}")));
        for node in nodes {
            for relation in RELATIONS {
                let seq = self.model.seq_of(point);
                let out = self.model.neighbors(&node, relation, seq);
                let into = self.model.inbound(&node, relation, seq);
                for db in [&self.plain.db, &self.indexed.db] {
                    let found = db.neighbors(&node, relation, point.as_of).expect("a good node");
                    same(&format!("neighbors {node} {relation} {point:?}"), &found, &out)?;
                    let found = db.inbound(&node, relation, point.as_of).expect("a good node");
                    same(&format!("inbound {node} {relation} {point:?}"), &found, &into)?;
                }
            }
        }
        Ok(())
    }

    /// Compares searches with and without an index over the same fields, scores and all.
    fn ask_searches(&self) -> Checked {
        let mut points = vec![String::new(), " VALID AS OF \"2024-03-01\"".to_owned()];
        points.extend((-1..=self.model.head()).step_by(3).map(|seq| format!(" AS OF {seq}")));
        let tails = ["", " LIMIT 2", " ORDER BY a DESC LIMIT 2", " GROUP BY a"];
        for collection in COLLECTIONS {
            let fields = search_fields(&self.indexed.db, collection);
            for (turn, point) in points.iter().enumerate() {
                for (place, search) in SEARCHES.iter().enumerate() {
                    let wheres = ["", " WHERE a >= 0"];
                    let (tail, condition) =
                        (tails[(turn + place) % tails.len()], wheres[(turn + place) % 2]);
                    let head = format!("FROM {collection}{point}{condition} SEARCH \"{search}\"");
                    self.compare_searches(&head, &fields, tail)?;
                }
            }
        }
        self.compare_searches_with_the_model()
    }

    fn compare_searches(&self, head: &str, fields: &str, tail: &str) -> Checked {
        let named = format!("{head}{fields}{tail}");
        let ask = |engine: &Engine, nql: &str| {
            let rows = engine.db.query(nql, &Params::none());
            rows.map(|rows| rows.into_texts()).map_err(|error| format!("{nql}: {error}"))
        };
        let without_index = ask(&self.plain, &named)?;
        same(&named, &ask(&self.indexed, &named)?, &without_index)?;
        let unnamed = format!("{head}{tail}");
        same(&format!("{unnamed} as {named}"), &ask(&self.indexed, &unnamed)?, &without_index)
    }

    /// Compares which documents have all words, by the simplest notion of a word.
    fn compare_searches_with_the_model(&self) -> Checked {
        for words in [&["fox"][..], &["red", "fox"], &["lazy"]] {
            let point = Point::default();
            let nql = format!("FROM c SEARCH \"{}\" IN (text) ORDER BY _id", words.join(" "));
            let has_all = |version: &&Version| {
                let text = version.stored.get("text").map(Value::to_string).unwrap_or_default();
                let text = text.to_lowercase();
                let found: Vec<&str> = text.split(|it: char| !it.is_alphanumeric()).collect();
                words.iter().all(|word| found.contains(word))
            };
            let documents = self.model.documents("c", point);
            let mut ids: Vec<&str> =
                documents.iter().filter(has_all).map(|version| version.id.as_str()).collect();
            ids.sort_unstable();
            for db in [&self.plain.db, &self.indexed.db] {
                let rows = db.query(&nql, &Params::none()).map_err(|error| error.to_string())?;
                let found: Vec<Value> = rows.iter().map(parse).collect();
                let found: Vec<&str> = found.iter().filter_map(|row| row["_id"].as_str()).collect();
                same(&nql, &found, &ids)?;
            }
        }
        Ok(())
    }

    fn check_integrity(&self) -> Checked {
        for db in [&self.plain.db, &self.indexed.db] {
            same("seq", &db.seq(), &self.model.head())?;
            let report = db.verify_report().map_err(|error| error.to_string())?;
            same("verify", &(report.ok, report.damage), &(true, None))?;
            same(
                "verify_determinism",
                &db.verify_determinism().map_err(|it| it.to_string())?,
                &true,
            )?;
            same(
                "collections",
                &db.collections().map_err(|it| it.to_string())?,
                &self.collections(),
            )?;
        }
        Ok(())
    }

    /// Returns the collections that have a document, in order of their first one's creation.
    fn collections(&self) -> Vec<String> {
        let first = |collection: &str| {
            let mut written = (0..=self.model.head()).flat_map(|seq| self.model.written_by(seq));
            written.find(|it| it.collection == collection).map(|it| (it.seq, it.item))
        };
        let has_any = |it: &&str| !self.model.documents(it, Point::default()).is_empty();
        let mut found: Vec<&str> = COLLECTIONS.into_iter().filter(|it| has_any(it)).collect();
        found.sort_by_key(|collection| first(collection));
        found.into_iter().map(str::to_owned).collect()
    }
}

/// Returns `IN (...)` with the fields that have a search index; nothing where none has.
fn search_fields(db: &Database, collection: &str) -> String {
    let indexes = db.indexes().expect("an open database");
    let fields =
        indexes.iter().filter(|(of, _, kind)| of == collection && kind.as_str() == "search");
    let fields: Vec<&str> = fields.map(|(_, field, _)| field.as_str()).collect();
    if fields.is_empty() { String::new() } else { format!(" IN ({})", fields.join(", ")) }
}

fn same_answer(expected: &Answer, found: &Result<Value, ErrorCode>) -> Checked {
    let is_same = match (expected, found) {
        (Ok(expected), Ok(found)) => expected == found,
        (Err(codes), Err(code)) => codes.contains(code),
        _ => false,
    };
    if is_same { Ok(()) } else { Err(format!("gave {found:?}\nthe model: {expected:?}")) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    let error = || format!("{what}\ngave: {found:?}\nexpected: {expected:?}");
    if found == expected { Ok(()) } else { Err(error()) }
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("  {row}\n")).collect()
}

/// Says what was called, without what was left out, and how it ended.
fn transcribe(head: i64, call: &Call, answer: &Answer) -> String {
    let mut text = format!("{call:?}");
    for (name, empty) in [
        ("client", "None"),
        ("nonce", "None"),
        ("idem", "None"),
        ("ttl_seconds", "None"),
        ("caused_by", "[]"),
        ("evidence", "None"),
        ("confidence", "None"),
        ("valid_from", "None"),
        ("valid_to", "None"),
        ("if_seq", "None"),
    ] {
        text = text
            .replace(&format!("{name}: {empty}, "), "")
            .replace(&format!("{name}: {empty} "), "");
    }
    let outcome =
        answer.as_ref().map_or_else(|codes| format!(" refused: {codes:?}"), |_| String::new());
    format!("  head {head}: {}{outcome}", text.replace("WriteOptions { }", "-").replace('\\', ""))
}

#[test]
fn the_dates_that_are_asked_about_are_dates() {
    assert!(DATES.iter().all(|date| instant_ms(date, false).is_some()));
}
