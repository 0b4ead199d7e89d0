//! A tour of NEDB: 3,201 films, two dozen questions, a correction, a crash.
//!
//! `cargo run --package nedb-core --example tour -- [FILMS] [DIRECTORY]`
//!
//! Loads the films of vega-datasets into a database on disk, asks what stands in `examples/tour.json`,
//! and checks every answer. Ends with status 1 at the first thing that is not as it should be. The tours
//! in Python (`tour.py`) and Node (`tour.mjs`) do the same and end with the same head.

#![allow(clippy::print_stdout, clippy::print_stderr)]
// A member that is missing from a `Value` is null, not a panic.
#![allow(clippy::indexing_slicing)]

use nedb_core::{
    Database, ErrorCode, IndexKind, ManualClock, Options, Params, ReadOptions, Seq, WriteOptions,
};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

const WRITE_UNTIL_KILLED: &str = "--write-until-killed";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The tour ends here: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(WRITE_UNTIL_KILLED) {
        return write_until_killed(&arguments.next().ok_or("no directory")?);
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let films =
        first.map_or(examples.join("node_modules/vega-datasets/data/movies.json"), PathBuf::from);
    let scratch = tempfile::Builder::new().prefix("nedb-tour-").tempdir()?;
    let directory = arguments.next().map_or(scratch.path().join("films"), PathBuf::from);
    if directory.join("log.aof").exists() {
        return Err(format!("{} holds a database already", directory.display()).into());
    }
    let tour: Value = serde_json::from_str(&std::fs::read_to_string(examples.join("tour.json"))?)?;
    let head = load_and_ask(&tour, &films, &directory)?;
    damage_a_copy(&directory, &scratch.path().join("copy"))?;
    kill_a_writer(&directory)?;
    println!("\nEverything was as expected. Head before the crash test:\n{head}");
    Ok(())
}

/// Writes, asks, corrects, asks again; returns the head.
fn load_and_ask(tour: &Value, films: &Path, directory: &Path) -> Outcome<String> {
    // A clock that stands still makes the head the same on every run.
    let clock = Arc::new(ManualClock::new(tour["clock"].as_f64().ok_or("no clock")?));
    let db = Database::open(directory, Options { clock, ..Options::default() })?;
    heading("Loading");
    let mut known = Map::new();
    known.insert("loaded".to_owned(), json!(load_films(&db, films)?));
    load_directors(&db)?;
    for index in list(&tour["indexes"]) {
        let [collection, field, kind] = list(index) else { return Err("no index".into()) };
        db.create_index(text(collection), text(field), IndexKind::parse(text(kind))?)?;
    }
    say(&format!("{} ops in log.aof", db.seq() + 1));

    let [first, second, third] = list(&tour["chapters"]) else {
        return Err("three chapters were expected".into());
    };
    ask(&db, first, &known)?;
    known.insert("before".to_owned(), json!(db.seq()));
    correct_a_rating(&db, &tour["correction"])?;
    ask(&db, second, &known)?;
    let between = write_certificates(&db, &tour["certificates"])?;
    known.insert("one_certificate".to_owned(), json!(between));
    ask(&db, third, &known)?;

    heading("Checking");
    check("a retry with the same key appends nothing", retry_appends_nothing(&db)?)?;
    check("every hash and every link holds: verify()", db.verify()?)?;
    check("the state is what the log says: verify_determinism()", db.verify_determinism()?)?;
    check("the head is that of this tour in every language", db.head() == text(&tour["head"]))?;
    let head = db.head();
    db.close()?;
    let again = Database::open(directory, Options::default())?;
    check("reopened, the head is the same", again.head() == head)?;
    again.close()?;
    Ok(head)
}

// ------------------------------------------------------------------------------------------- writing

/// Writes all films, one op each, with one sync; returns the seq of the last.
fn load_films(db: &Database, films: &Path) -> Outcome<Seq> {
    let records: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(films)?)?;
    let documents: Vec<(String, String)> = records
        .iter()
        .enumerate()
        .map(|(n, record)| Ok((format!("film-{n:04}"), film(record)?.to_string())))
        .collect::<Outcome<_>>()?;
    let started = Instant::now();
    db.put_many("films", &documents, &WriteOptions::default())?;
    say(&format!("{} films in {:.2} s", documents.len(), started.elapsed().as_secs_f64()));
    Ok(db.seq())
}

/// A record of the data set as a document with two nested ones.
fn film(record: &Value) -> Outcome<Value> {
    let title = match &record["Title"] {
        Value::String(title) => title.clone(),
        Value::Null => "untitled".to_owned(),
        number => number.to_string(),
    };
    Ok(json!({
        "title": title,
        "released": iso_date(text(&record["Release Date"])).ok_or("a date that is none")?,
        "genre": record["Major Genre"],
        "rated": record["MPAA Rating"],
        "director": record["Director"],
        "money": {"budget": record["Production Budget"], "worldwide": record["Worldwide Gross"]},
        "ratings": {
            "imdb": record["IMDB Rating"],
            "votes": record["IMDB Votes"],
            "tomatoes": record["Rotten Tomatoes Rating"],
        },
    }))
}

/// Jun 12 1998 -> 1998-06-12.
fn iso_date(date: &str) -> Option<String> {
    let mut parts = date.split(' ');
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let day = parts.next()?;
    let year: i32 = parts.next()?.parse().ok()?;
    // The data set has the films of before 1928 a century late.
    let year = if year > 2012 { year - 100 } else { year };
    Some(format!("{year}-{month:02}-{day}"))
}

/// Writes each director, and the links from the films to them, in one transaction: all or nothing.
fn load_directors(db: &Database) -> Outcome<()> {
    let mut films_of: Vec<(String, Vec<String>)> = Vec::new();
    let mut place_of = std::collections::HashMap::new();
    for row in db.query("FROM films WHERE director IS NOT NULL", &Params::none())?.iter() {
        let row: Value = serde_json::from_str(row)?;
        let name = text(&row["director"]).to_owned();
        let place = *place_of.entry(name.clone()).or_insert(films_of.len());
        if place == films_of.len() {
            films_of.push((name, Vec::new()));
        }
        if let Some((_, films)) = films_of.get_mut(place) {
            films.push(text(&row["_id"]).to_owned());
        }
    }
    let started = Instant::now();
    for (done, (name, films)) in films_of.iter().enumerate() {
        let mut items = vec![json!({
            "op": "put", "coll": "directors", "id": name,
            "doc": {"name": name, "films": films.len()},
        })];
        items.extend(films.iter().map(|id| {
            json!({
                "op": "link", "frm": format!("films:{id}"), "rel": "directed_by",
                "to": format!("directors:{name}"),
            })
        }));
        db.batch(&Value::Array(items).to_string(), &WriteOptions::default())?;
        progress(done + 1, films_of.len(), "directors");
    }
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("{} directors and their links in {seconds:.2} s", films_of.len()));
    Ok(())
}

/// Puts a rating right, and says why.
fn correct_a_rating(db: &Database, correction: &Value) -> Outcome<()> {
    let id = text(&correction["film"]);
    let report = correction["report"].to_string();
    let reported = stored(&db.put("reports", "namesake", &report, &WriteOptions::default())?)?;
    let mut film = stored(&db.get("films", id, &ReadOptions::default())?.ok_or("no such film")?)?;
    for (name, value) in correction["ratings"].as_object().into_iter().flatten() {
        film["ratings"][name] = value.clone();
    }
    let options = WriteOptions {
        caused_by: vec![seq_of(&reported)?],
        evidence: Some("correction".to_owned()),
        confidence: Some(0.9),
        ..WriteOptions::default()
    };
    let corrected = stored(&db.put("films", id, &film.to_string(), &options)?)?;
    let options = WriteOptions {
        caused_by: vec![seq_of(&corrected)?],
        evidence: Some("inference".to_owned()),
        ..WriteOptions::default()
    };
    db.put("lists", "to_watch", &correction["list"].to_string(), &options)?;
    Ok(())
}

/// Writes what was true when; returns the seq between the two facts.
fn write_certificates(db: &Database, certificates: &Value) -> Outcome<Seq> {
    let mut first_seq = None;
    for certificate in list(certificates) {
        let date = |name: &str| certificate[name].as_str().map(str::to_owned);
        let options = WriteOptions {
            valid_from: date("from"),
            valid_to: date("to"),
            ..WriteOptions::default()
        };
        let id = text(&certificate["film"]);
        let one = stored(&db.put("certificates", id, &certificate.to_string(), &options)?)?;
        first_seq.get_or_insert(seq_of(&one)?);
    }
    Ok(first_seq.ok_or("no certificates")?)
}

/// A write that is repeated with its key answers what the first one did.
fn retry_appends_nothing(db: &Database) -> Outcome<bool> {
    let options = WriteOptions { idem: Some("report-1".to_owned()), ..WriteOptions::default() };
    let document = r#"{"text": "sent twice, kept once"}"#;
    let first = db.put("reports", "once", document, &options)?;
    let seq = db.seq();
    let again = db.put("reports", "once", document, &options)?;
    Ok(again == first && db.seq() == seq)
}

// -------------------------------------------------------------------------------------------- asking

/// Asks the questions of a chapter; `known` are the seqs that they may name as parameters.
fn ask(db: &Database, chapter: &Value, known: &Map<String, Value>) -> Outcome<()> {
    heading(text(&chapter["title"]));
    for question in list(&chapter["questions"]) {
        let mut params = known.clone();
        params.extend(question["params"].as_object().cloned().unwrap_or_default());
        let params = Params::from_json(&Value::Object(params).to_string())?;
        println!("\n  {}\n    {}", text(&question["ask"]), text(&question["nql"]));
        if question["params"].is_object() {
            println!("    with {}", question["params"]);
        }
        let mut answer = Vec::new();
        for row in db.query(text(&question["nql"]), &params)?.iter() {
            let row: Value = serde_json::from_str(row)?;
            let values: Vec<Value> =
                list(&question["show"]).iter().map(|path| at_path(&row, text(path))).collect();
            let shown: Vec<String> = values.iter().map(shown).collect();
            println!("      {}", shown.join(" · "));
            answer.push(Value::Array(values));
        }
        if answer.is_empty() {
            println!("      nothing");
        }
        if answer != list(&question["expect"]) {
            return Err(format!("expected {}", question["expect"]).into());
        }
    }
    Ok(())
}

/// The value at a dotted path; a member with dots in its name goes first.
fn at_path(row: &Value, path: &str) -> Value {
    match row.get(path) {
        Some(value) => value.clone(),
        None => row.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

// ------------------------------------------------------------------------------------------ damaging

/// Changes one rating in a copy of the log, as somebody might who wants to hide it.
fn damage_a_copy(directory: &Path, copy: &Path) -> Outcome<()> {
    heading("Damaging a copy");
    std::fs::create_dir(copy)?;
    let log = std::fs::read_to_string(directory.join("log.aof"))?;
    std::fs::write(
        copy.join("log.aof"),
        log.replacen("\"imdb\":5.7,\"tomatoes\":96,", "\"imdb\":9.7,\"tomatoes\":96,", 1),
    )?;
    let db = Database::open(copy, Options::default())?;
    let report = db.verify_report()?;
    check("verify() is false", !report.ok)?;
    let damage = report.damage.ok_or("no damage is told")?;
    say(&format!("op {}: {}", damage.seq, damage.reason));
    let first = db.get("films", "film-0000", &ReadOptions::default())?;
    check("what stands before the damage is readable", first.is_some())?;
    let refused = db.put("films", "x", "{}", &WriteOptions::default());
    check("nothing can be written", refused.is_err_and(|it| it.code() == ErrorCode::ReadOnly))
}

// ------------------------------------------------------------------------------------------- killing

/// What the child does: write, and say what was acknowledged.
fn write_until_killed(directory: &str) -> Outcome<()> {
    let db = Database::open(directory, Options::default())?;
    loop {
        let id = format!("note-{}", db.seq() + 1);
        let document = r#"{"text": "written before the crash"}"#;
        let note = stored(&db.put("notes", &id, document, &WriteOptions::default())?)?;
        println!("{} {}", seq_of(&note)?, db.head());
        std::io::stdout().flush()?;
    }
}

/// Kills a process while it writes; everything it was told is written must be there.
fn kill_a_writer(directory: &Path) -> Outcome<()> {
    heading("Killing a writer");
    let mut child = Command::new(std::env::current_exe()?)
        .arg(WRITE_UNTIL_KILLED)
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
    let mut acknowledged: Vec<(Seq, String)> = Vec::new();
    for line in said.lines() {
        let line = line?;
        let Some((seq, head)) = line.split_once(' ') else { break };
        // A line that was cut short by the end does not count.
        if head.len() == 64 {
            acknowledged.push((seq.parse()?, head.to_owned()));
        }
        if acknowledged.len() == 100 {
            let second = Database::open(directory, Options::default());
            check(
                "a second writer is refused",
                second.is_err_and(|it| it.code() == ErrorCode::DatabaseLocked),
            )?;
            child.kill()?;
        }
    }
    child.wait()?;
    let (seq, head) = acknowledged.last().ok_or("the child wrote nothing")?;
    say(&format!("killed after {} acknowledged notes", acknowledged.len()));
    let db = Database::open(directory, Options::default())?;
    let last = db.get("notes", &format!("note-{seq}"), &ReadOptions::default())?;
    check("every acknowledged note is there", last.is_some())?;
    let op: Value = serde_json::from_str(&db.op(*seq)?.ok_or("the op is gone")?)?;
    check("the head after the last of them is the same", text(&op["hash"]) == head)?;
    check("at most the one op in flight came after it", db.seq() - seq <= 1)?;
    check("verify()", db.verify()?)
}

// ------------------------------------------------------------------------------------------ speaking

fn heading(title: &str) {
    println!("\n{title}\n{}", "=".repeat(title.len()));
}

fn say(line: &str) {
    println!("  {line}");
}

fn check(what: &str, holds: bool) -> Outcome<()> {
    say(&format!("{}: {what}", if holds { "ok" } else { "NOT SO" }));
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(done: usize, total: usize, what: &str) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let filled = 30 * done / total;
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(30 - filled));
    let end = if done == total { format!("\r{}\r", " ".repeat(60)) } else { String::new() };
    eprint!("\r  [{bar}] {done}/{total} {what}{end}");
}

// -------------------------------------------------------------------------------------------- values

fn stored(document: &str) -> Outcome<Value> {
    Ok(serde_json::from_str(document)?)
}

fn seq_of(document: &Value) -> Outcome<Seq> {
    Ok(document["_seq"].as_i64().ok_or("the document has no _seq")?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
