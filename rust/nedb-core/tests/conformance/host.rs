//! A database under test, with its clock and its directory.
//!
//! In: the steps of a case, in order. Out: nothing, or what is wrong. It owns the steps of the suite
//! itself (`reopen`, `open_again`, `damage`, `set_clock`, `expect_state`), and those that need a directory; the
//! other verbs of a database are in `verbs.rs`.

use crate::case::{Arguments, Place, Step};
use crate::expect::{self, Answer};
use crate::verbs;
use nedb_core::{BackupOptions, Clock, Database, Error, ManualClock, Options, Tmk};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

/// What a step did: an answer, an error of the engine, or, outside, a mistake of the case.
pub type Outcome = Result<Result<Answer, Error>, String>;

/// A database under test.
pub struct Host {
    database: Database,
    clock: Arc<ManualClock>,
    directory: Option<TempDir>,
    place: Place,
    closed: bool,
    read_only: bool,
    key: Key,
}

/// What a case opens its directory with.
#[derive(Clone, Default)]
struct Key {
    tmk: Option<Tmk>,
    encrypt_existing: Option<bool>,
}

impl Host {
    /// Opens an empty database.
    pub fn open(now_seconds: f64, place: Place, tmk: Option<&str>) -> Result<Self, String> {
        let clock = Arc::new(ManualClock::new(now_seconds));
        let directory = match place {
            Place::Memory => None,
            Place::Disk | Place::DiskWithCheckpoints => {
                Some(tempfile::tempdir().map_err(|error| error.to_string())?)
            }
        };
        let tmk = tmk.map(Tmk::from_hex).transpose().map_err(engine)?;
        let key = Key { tmk, encrypt_existing: None };
        let database =
            open_database(&clock, directory.as_ref(), (place, &key), false).map_err(engine)?;
        Ok(Host { database, clock, directory, place, closed: false, read_only: false, key })
    }

    /// Runs a step and checks its answer, and, after an error, that nothing changed.
    pub fn run(&mut self, step: &Step) -> Result<(), String> {
        let before = self.state();
        let outcome = self.perform(&step.verb, &step.args)?;
        expect::check(step.expect.as_ref(), &outcome)?;
        if outcome.is_err() && !self.closed && self.state() != before {
            return Err(format!("a refused call changed {before:?} to {:?}", self.state()));
        }
        Ok(())
    }

    /// Checks what must hold after every case.
    pub fn check_end(&mut self, head: Option<&str>) -> Result<(), String> {
        if self.closed {
            return Ok(());
        }
        if let Some(head) = head
            && self.database.head() != head
        {
            return Err(format!("head is {}, expected {head}", self.database.head()));
        }
        for (name, verdict) in [
            ("verify", self.database.verify()),
            ("determinism", self.database.verify_determinism()),
        ] {
            match verdict {
                Ok(true) => {}
                Ok(false) => return Err(format!("{name} is false")),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
        match self.directory {
            Some(_) => self.reopen(self.read_only, false)?.map(|_| ()).map_err(engine),
            None => Ok(()),
        }
    }

    /// Does what a step says.
    fn perform(&mut self, verb: &str, args: &Arguments) -> Outcome {
        match verb {
            "reopen" => {
                let flag = |name| Ok::<_, String>(args.value(name)? == Some(Value::Bool(true)));
                self.take_key(args)?;
                if flag("encrypts")? {
                    return self.encrypt();
                }
                self.reopen(flag("read_only")?, flag("without_checkpoints")?)
            }
            "open_again" => {
                let opened = self.opened(false);
                Ok(opened.map(|_| Answer::nothing()))
            }
            "rewrap_key" => self.rewrap_key(args),
            "backup" => self.backup(args),
            "damage" => {
                if let Err(error) = self.database.close() {
                    return Ok(Err(error));
                }
                self.closed = true;
                self.change_file(args)?;
                self.reopen(false, false)
            }
            "set_clock" => {
                let now = args.value("now")?.and_then(|now| now.as_f64());
                self.clock.set(now.ok_or("set_clock needs now")?);
                Ok(Ok(Answer::nothing()))
            }
            "expect_state" => self.expect_state(args),
            "close" => {
                self.closed = true;
                Ok(self.database.close().map(|()| Answer::nothing()))
            }
            _ => verbs::call(&self.database, verb, args),
        }
    }

    /// Copies the database into a new directory, opens the copy, and holds it against what was reported.
    fn backup(&self, args: &Arguments) -> Outcome {
        let copies = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = copies.path().join("copy");
        let skip_damaged_files = args.value("skip_damaged_files")? == Some(Value::Bool(true));
        let report = self.database.backup_with(&path, &BackupOptions { skip_damaged_files });
        let Ok(report) = report else { return Ok(report.map(|_| Answer::nothing())) };
        let options = Options { read_only: true, tmk: self.key.tmk.clone(), ..Options::default() };
        let copy = Database::open(&path, options).map_err(engine)?;
        if (copy.seq(), copy.head()) != (report.seq, report.head.clone()) {
            return Err(format!(
                "the copy ends with {} {}, not {report:?}",
                copy.seq(),
                copy.head()
            ));
        }
        let indexes = |it: &Database| it.indexes().map_err(engine);
        if !copy.verify().map_err(engine)? || indexes(&copy)? != indexes(&self.database)? {
            return Err("the copy is not the database".to_owned());
        }
        Ok(Ok(Answer::One(report.to_json())))
    }

    /// Closes the database and opens its directory again; seq and head must stay.
    fn reopen(&mut self, read_only: bool, without_checkpoints: bool) -> Outcome {
        let before = self.state();
        if !self.closed
            && let Err(error) = self.database.close()
        {
            return Ok(Err(error));
        }
        if without_checkpoints {
            self.delete_checkpoints().map_err(|error| error.to_string())?;
        }
        match self.opened(read_only) {
            Ok(database) => self.database = database,
            Err(error) => {
                // A step that expects it goes on with another key.
                self.closed = true;
                return Ok(Err(error));
            }
        }
        (self.closed, self.read_only) = (false, read_only);
        if self.state() == before {
            Ok(Ok(Answer::nothing()))
        } else {
            Err(format!("reopening changed {before:?} to {:?}", self.state()))
        }
    }

    /// Takes the key that a step gives from now on; an empty one is none.
    fn take_key(&mut self, args: &Arguments) -> Result<(), String> {
        if let Some(hex) = args.value("tmk")? {
            let hex = hex.as_str().unwrap_or_default();
            self.key.tmk =
                (!hex.is_empty()).then(|| Tmk::from_hex(hex)).transpose().map_err(engine)?;
        }
        self.key.encrypt_existing = args.value("encrypt_existing")?.and_then(|it| it.as_bool());
        Ok(())
    }

    /// Reopens a plain database with a key: one op more says so.
    fn encrypt(&mut self) -> Outcome {
        let (seq, head) = self.state();
        if let Err(error) = self.database.close() {
            return Ok(Err(error));
        }
        match self.opened(false) {
            Ok(database) => self.database = database,
            Err(error) => {
                self.closed = true;
                return Ok(Err(error));
            }
        }
        let note = self.database.op(seq + 1).map_err(engine)?.unwrap_or_default();
        let is_next = note.contains(&format!("\"prev_hash\":\"{head}\""));
        if !self.database.is_encrypted() || self.database.seq() != seq + 1 || !is_next {
            return Err(format!("it was not encrypted after op {seq}: {note}"));
        }
        Ok(Ok(Answer::nothing()))
    }

    /// Changes the key, and opens with the new one from then on.
    fn rewrap_key(&mut self, args: &Arguments) -> Outcome {
        let key = |name| {
            let hex = args.value(name)?.and_then(|it| it.as_str().map(str::to_owned));
            Tmk::from_hex(&hex.unwrap_or_default()).map_err(engine)
        };
        let (old, new) = (key("old_tmk")?, key("new_tmk")?);
        if let Err(error) = self.database.rewrap_key(&old, &new) {
            return Ok(Err(error));
        }
        self.key.tmk = Some(new);
        Ok(Ok(Answer::nothing()))
    }

    fn opened(&self, read_only: bool) -> Result<Database, Error> {
        open_database(&self.clock, self.directory.as_ref(), (self.place, &self.key), read_only)
    }

    /// Puts a text in the place of another in a file of the directory, or makes a file of it.
    fn change_file(&self, args: &Arguments) -> Result<(), String> {
        let text = |name| {
            let value = args.value(name)?;
            Ok::<_, String>(value.and_then(|it| it.as_str().map(str::to_owned)))
        };
        let directory = self.directory.as_ref().ok_or("damage needs a directory")?;
        let path = directory.path().join(text("file")?.ok_or("damage needs file")?);
        let bytes = match (text("find")?, text("put")?, text("text")?) {
            (Some(find), Some(put), None) if find.len() == put.len() => {
                let mut bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
                let found = bytes.windows(find.len()).position(|it| it == find.as_bytes());
                let at = found.ok_or_else(|| format!("{} has no {find}", path.display()))?;
                bytes[at..at + find.len()].copy_from_slice(put.as_bytes());
                bytes
            }
            (None, None, Some(text)) => {
                let parent = path.parent().ok_or("damage needs a file in the directory")?;
                std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
                text.into_bytes()
            }
            _ => return Err("damage needs find and put of one length, or text".to_owned()),
        };
        std::fs::write(&path, bytes).map_err(|error| error.to_string())
    }

    /// Deletes every saved view.
    fn delete_checkpoints(&self) -> std::io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        for entry in std::fs::read_dir(directory.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("checkpoint.") {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Checks seq and head against those that a step gives.
    fn expect_state(&self, args: &Arguments) -> Outcome {
        let got = json!({"seq": self.database.seq(), "head": self.database.head()});
        for name in args.names() {
            let wanted = args.value(name)?;
            if wanted.as_ref() != got.get(name) {
                return Err(format!("{name}: expected {wanted:?}, got {got}"));
            }
        }
        Ok(Ok(Answer::nothing()))
    }

    /// Returns seq and head.
    fn state(&self) -> (i64, String) {
        (self.database.seq(), self.database.head())
    }
}

/// Opens a directory, or a database in memory without one.
fn open_database(
    clock: &Arc<ManualClock>,
    directory: Option<&TempDir>,
    (place, key): (Place, &Key),
    read_only: bool,
) -> Result<Database, Error> {
    let clock: Arc<dyn Clock> = clock.clone();
    let checkpoint_every_ops = (place == Place::DiskWithCheckpoints).then_some(1);
    let defaults = Options::default();
    let encrypt_existing = key.encrypt_existing.unwrap_or(defaults.encrypt_existing);
    let tmk = key.tmk.clone();
    let options =
        Options { clock, read_only, tmk, encrypt_existing, checkpoint_every_ops, ..defaults };
    match directory {
        Some(directory) => Database::open(directory.path(), options),
        None => Database::in_memory(options),
    }
}

/// Says an error of the engine where a case expects none.
fn engine(error: Error) -> String {
    format!("{} {error}", error.code())
}
