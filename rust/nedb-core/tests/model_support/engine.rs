//! The same calls on the real database.

use super::admit::with_a;
use super::call::Call;
use super::script::{COLLECTIONS, Change, INDEXES};
use nedb_core::{
    Database, ErrorCode, IndexKind, ManualClock, Options, Result, Tmk, Update, WriteOptions,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Where a clock of a script begins.
pub const START_SECONDS: f64 = 1_000.5;

/// A real database that scripts are run against.
pub struct Engine {
    pub db: Database,
    clock: Arc<ManualClock>,
    now: f64,
    directory: Option<TempDir>,
    tmk: Option<Tmk>,
}

impl Engine {
    /// Makes a database in memory, which will have no index and is never reopened.
    pub fn plain() -> Engine {
        let clock = Arc::new(ManualClock::new(START_SECONDS));
        let db = Database::in_memory(options(&clock)).expect("memory opens");
        Engine { db, clock, now: START_SECONDS, directory: None, tmk: None }
    }

    /// Makes a database on a disk, with what indexes and reopenings a script asks for; with a key an
    /// encrypted one.
    pub fn on_disk(tmk: Option<Tmk>) -> Engine {
        let directory = tempfile::tempdir_in(quick_folder()).expect("a folder for the database");
        let clock = Arc::new(ManualClock::new(START_SECONDS));
        let given = Options { tmk: tmk.clone(), ..options_on_disk(&clock) };
        let db = Database::open(directory.path(), given).expect("a new database opens");
        assert_eq!(db.is_encrypted(), tmk.is_some());
        Engine { db, clock, now: START_SECONDS, directory: Some(directory), tmk }
    }

    /// Does what a call says.
    pub fn apply(&mut self, call: &Call) -> std::result::Result<Value, ErrorCode> {
        self.call(call).map_err(|error| error.code())
    }

    fn call(&mut self, call: &Call) -> Result<Value> {
        let db = &self.db;
        match call {
            Call::Put { target, document, options } => {
                db.put(&target.0, &target.1, document, options).map(|row| parse(&row))
            }
            Call::PutMany { collection, documents, options } => {
                let rows = db.put_many(collection, documents, options)?;
                Ok(rows.iter().map(|row| parse(row)).collect())
            }
            Call::Delete { target, options } => {
                db.delete(&target.0, &target.1, options).map(|seq| json!(seq))
            }
            Call::Link { edge: [from, relation, to], options } => {
                db.link(from, relation, to, options).map(|seq| json!(seq))
            }
            Call::Unlink { edge: [from, relation, to], options } => {
                db.unlink(from, relation, to, options).map(|seq| json!(seq))
            }
            Call::Batch { items, options } => {
                let items: Value = items.iter().map(|(item, it)| batch_item(item, it)).collect();
                let rows = db.batch(&items.to_string(), options)?;
                Ok(rows.iter().map(|row| parse(row)).collect())
            }
            Call::Expire { target, ttl_s } => db
                .expire(&target.0, &target.1, *ttl_s, &WriteOptions::default())
                .map(|is_there| json!(is_there)),
            Call::Update { target, change, options } => self.update(target, *change, options),
            Call::Sweep => db.sweep().map(|count| json!(count)),
            Call::Checkpoint => db.checkpoint(None).map(|seq| json!(seq)),
            Call::Tick(seconds) => {
                self.now += seconds;
                self.clock.set(self.now);
                Ok(Value::Null)
            }
            Call::CreateIndex { collection, index } => self.create_index(*collection, *index),
            Call::Reopen { without_checkpoints } => self.reopen(*without_checkpoints),
        }
    }

    fn update(
        &self,
        target: &(String, String),
        change: Change,
        options: &WriteOptions,
    ) -> Result<Value> {
        let row = self.db.update(&target.0, &target.1, options, |current| {
            let current = current.map(|row| match parse(row) {
                Value::Object(row) => row,
                other => panic!("a document is an object, not {other}"),
            });
            Ok(match change {
                Change::Keep => Update::Keep,
                Change::Delete => Update::Delete,
                Change::SetA(text) => Update::Put(with_a(current, text)),
            })
        })?;
        Ok(row.map_or(Value::Null, |row| parse(&row)))
    }

    fn create_index(&self, collection: usize, index: usize) -> Result<Value> {
        if self.directory.is_some() {
            let (field, kind) = INDEXES[index];
            self.db.create_index(COLLECTIONS[collection], field, IndexKind::parse(kind)?)?;
        }
        Ok(Value::Null)
    }

    fn reopen(&mut self, without_checkpoints: bool) -> Result<Value> {
        if let Some(directory) = &self.directory {
            self.db.close()?;
            if without_checkpoints {
                delete_checkpoints(directory.path());
            }
            let given = Options { tmk: self.tmk.clone(), ..options_on_disk(&self.clock) };
            self.db = Database::open(directory.path(), given)?;
            let report = self.db.open_report();
            assert_eq!(report.cut_bytes, 0, "a clean stop leaves nothing to cut");
            assert_eq!(report.warnings, Vec::<String>::new());
            // Closing has saved everything, or it was deleted.
            let is_loaded = !without_checkpoints && self.db.seq() >= 0;
            assert_eq!(report.checkpoint_seq.is_some(), is_loaded, "{report:?}");
        }
        Ok(Value::Null)
    }
}

fn options(clock: &Arc<ManualClock>) -> Options {
    // A small cache, so that texts are read from the disk too.
    Options { clock: Arc::clone(clock) as Arc<_>, cache_bytes: 2_000, ..Options::default() }
}

/// On a disk a thread saves the views now and then, and closing always does.
fn options_on_disk(clock: &Arc<ManualClock>) -> Options {
    Options { checkpoint_every_ops: Some(7), ..options(clock) }
}

fn delete_checkpoints(directory: &Path) {
    for file in std::fs::read_dir(directory).expect("the folder is there") {
        let path = file.expect("it has files").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint.")) {
            std::fs::remove_file(path).expect("a checkpoint can be deleted");
        }
    }
}

/// A folder in memory where there is one: thousands of syncs are not what is tested here.
fn quick_folder() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

/// Parses a JSON text that the database handed out.
pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Returns an item of a transaction with its options as members.
fn batch_item(item: &Value, options: &WriteOptions) -> Value {
    let mut item = item.clone();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            item[name] = value;
        }
    };
    set("if_seq", json!(options.if_seq));
    set("ttl_s", json!(options.ttl_seconds));
    set("evidence", json!(options.evidence));
    set("confidence", json!(options.confidence));
    set("valid_from", json!(options.valid_from));
    set("valid_to", json!(options.valid_to));
    if !options.caused_by.is_empty() {
        set("caused_by", json!(options.caused_by));
    }
    item
}
