//! Writes the databases of our own format into `tests/fixtures/format/2.0`, with what they hold.
//!
//!     cargo run -p nedb-core --example make_fixtures -- tests/fixtures/format/2.0
//!
//! In: a folder to fill; each database's folder in it is replaced. Out: per database a folder with its
//! files and `expected.json`, whose members are those of `make_1_2_2.py`. The clock is told, so a second
//! run writes the same bytes. A released fixture is never written anew: a change of the format gets a
//! folder of its own.

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/support/sample.rs"]
mod sample;

use nedb_core::{Clock, Database, ManualClock, Options, ReadOptions, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn main() {
    let out: PathBuf = std::env::args_os().nth(1).expect("the folder to fill").into();
    for (name, what, fill) in sample::FIXTURES {
        let folder = out.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the old fixture can be removed");
        }
        let clock = sample::write(&folder, fill);
        let expected = expectations(&folder, what, clock);
        // It names this process, and says nothing that a reader of the fixture needs.
        fs::remove_file(folder.join("LOCK")).expect("the lock can be removed");
        fs::write(folder.join("expected.json"), expected).expect("expected.json can be written");
    }
}

/// Reads a database back and says what it answers, one member a line, one document a line.
fn expectations(folder: &Path, what: &str, now_seconds: f64) -> String {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now_seconds));
    let options = Options { clock, read_only: true, ..Options::default() };
    let db = Database::open(folder, options).expect("what was written opens");
    let names = names(&db);
    let members = [
        ("what", Value::String(what.to_owned()).to_text()),
        ("written_by", format!("\"nedb-core {}\"", env!("CARGO_PKG_VERSION"))),
        ("clock", Value::Float(now_seconds).to_text()),
        ("ops", (db.seq() + 1).to_string()),
        ("head", format!("\"{}\"", db.head())),
        ("verify", db.verify().expect("the log can be read").to_string()),
        ("as_of", as_of(&db, &names)),
        ("docs", documents(&db, &names, None, false)),
        ("absent", absent(&db, &names)),
        ("neighbors", neighbors(&db)),
    ];
    let members = members.map(|(key, value)| format!("\"{key}\": {value}"));
    format!("{{\n {}\n}}\n", members.join(",\n "))
}

type Name = (String, String);

/// Returns every document that the log names, once, in order.
fn names(db: &Database) -> Vec<Name> {
    let mut names = Vec::new();
    let mut take = |payload: &Value| {
        let text = |key| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(name) = text("coll").zip(text("id")) else { return };
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for op in payloads(db) {
        match op.get("items") {
            Some(Value::Array(items)) => {
                items.iter().filter_map(|item| item.get("payload")).for_each(&mut take);
            }
            _ => take(&op),
        }
    }
    names
}

fn payloads(db: &Database) -> impl Iterator<Item = Value> {
    (0..=db.seq()).filter_map(|seq| {
        let op = db.op(seq).expect("the log can be read")?;
        Value::parse(&op).expect("an op is JSON").get("payload").cloned()
    })
}

fn read(db: &Database, (collection, id): &Name, as_of: Option<i64>) -> Option<String> {
    let at = ReadOptions { as_of, ..ReadOptions::default() };
    db.get(collection, id, &at).expect("the document can be read")
}

fn documents(db: &Database, names: &[Name], as_of: Option<i64>, with_absent: bool) -> String {
    let lines = names.iter().filter_map(|name| {
        let found = read(db, name, as_of);
        let text = if with_absent { Some(found.unwrap_or("null".to_owned())) } else { found };
        text.map(|text| format!("{}: {text}", quoted(name)))
    });
    format!("{{\n  {}\n }}", lines.collect::<Vec<_>>().join(",\n  "))
}

fn as_of(db: &Database, names: &[Name]) -> String {
    let middle = (db.seq() + 1) / 2;
    let at = [0, middle, db.seq() - 1];
    let lines = at.map(|seq| format!("\"{seq}\": {}", documents(db, names, Some(seq), true)));
    format!("{{\n {}\n }}", lines.join(",\n "))
}

fn absent(db: &Database, names: &[Name]) -> String {
    let absent = names.iter().filter(|name| read(db, name, None).is_none()).map(quoted);
    format!("[{}]", absent.collect::<Vec<_>>().join(", "))
}

fn neighbors(db: &Database) -> String {
    let mut edges: Vec<Name> = Vec::new();
    for payload in payloads(db) {
        let text = |key| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        edges.extend(text("frm").zip(text("rel")));
    }
    edges.sort();
    edges.dedup();
    let lines = edges.iter().map(|(from, relation)| {
        let found = db.neighbors(from, relation, None).expect("the node is one");
        let to = Value::Array(found.into_iter().map(Value::String).collect()).to_text();
        format!("[{}, {}, {to}]", text(from), text(relation))
    });
    format!("[{}]", lines.collect::<Vec<_>>().join(", "))
}

fn quoted((collection, id): &Name) -> String {
    text(&format!("{collection}:{id}"))
}

fn text(text: &str) -> String {
    Value::String(text.to_owned()).to_text()
}
