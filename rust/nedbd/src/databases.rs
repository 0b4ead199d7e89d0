//! The databases of one data directory, by name.
//!
//! In: names. Out: open databases, or why there is none.
//!
//! Invariants:
//! * A name is a directory's name and nothing else: no separator, no dot, so no path leaves the data
//!   directory.
//! * A database is made aside and moved into place, and moved aside before it is removed: after a crash it
//!   is there whole or not at all.
//! * While one is opened, made or dropped, the documents of the others are read and written; only who makes
//!   or drops another one waits.
//! * A server that only reads follows the process that writes: what that makes is found when it is asked for,
//!   and what it drops is let go of.
//! * Nothing is put under a key that is not known to open what is encrypted already: no database is made then, and
//!   no plain one is encrypted.
//! * What could not be opened is tried again: nobody needs to start the server anew for it.

use crate::directory::{
    self, ASIDE, FileId, LOG_FILE, check_name, is_database, is_encrypted, sync_directory,
};
use crate::init::Init;
use crate::logs::{DATABASE, OPERATION};
use crate::refusal::{Code, Refusal, Result};
use nedb_core::{Database, Durability, ErrorCode, Options, Seq, Subscription, hold_directory};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What to do where a database is under another key than the server has.
const KEY_ADVICE: &str = "start the server with its key, or move it out of the data directory: nothing is put \
    under another key beside it";

/// How long after a failed attempt a database is opened again, at the least, and in times of what the attempt took.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);
const TRY_AGAIN_SHARE: u32 = 20;

/// All databases of a data directory.
pub struct Databases {
    root: PathBuf,
    options: Options,
    slots: RwLock<BTreeMap<String, Slot>>,
    /// Held by whoever makes or drops a database.
    changing: Mutex<()>,
    is_ready: AtomicBool,
    next_aside: AtomicU64,
    is_closed: AtomicBool,
}

/// What is known of one name.
enum Slot {
    /// It waits to be opened.
    Opening {
        is_encrypted: bool,
    },
    Open(Arc<Served>),
    Failed(Failure),
}

/// Why a database could not be opened.
struct Failure {
    code: ErrorCode,
    why: String,
    is_encrypted: bool,
    /// When it is tried again: the longer that takes, the later.
    next_try: Instant,
}

/// A database that is served.
pub struct Served {
    pub name: String,
    pub database: Database,
    /// The seq of the last op, for those who wait for the next; closed when the database is.
    pub commits: watch::Sender<Seq>,
    /// What the last verification found.
    pub verified: Mutex<Option<Verified>>,
    /// Which log it is that was opened: another one under its name is another database.
    log_file: Option<FileId>,
    _subscription: Subscription,
}

/// What a verification found.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    pub ok: bool,
    pub seq: Seq,
}

impl Served {
    fn new(name: &str, database: Database, log_file: Option<FileId>) -> Arc<Served> {
        let commits = watch::Sender::new(database.seq());
        let told = commits.clone();
        let subscription = database.subscribe(move |seq| {
            told.send_replace(seq);
        });
        Arc::new(Served {
            name: name.to_owned(),
            database,
            commits,
            verified: Mutex::new(None),
            log_file,
            _subscription: subscription,
        })
    }

    /// Remembers what a verification found.
    pub fn note_verified(&self, verified: Verified) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(verified);
    }

    /// Returns what the last verification found.
    pub fn last_verified(&self) -> Option<Verified> {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Databases {
    /// Looks for databases in a directory, which is made if need be; none is opened yet.
    pub fn find(root: &Path, options: Options) -> std::io::Result<Databases> {
        if !options.read_only {
            std::fs::create_dir_all(root)?;
            directory::remove_leftovers(root)?;
        }
        let mut slots = BTreeMap::new();
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Whatever else is in the directory is not ours to open.
            if is_database(root, &name) {
                let is_encrypted = is_encrypted(root, &name);
                slots.insert(name, Slot::Opening { is_encrypted });
            }
        }
        Ok(Databases {
            root: root.to_owned(),
            options,
            slots: RwLock::new(slots),
            changing: Mutex::new(()),
            is_ready: AtomicBool::new(false),
            next_aside: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Opens everything that was found, one after another, and says so in the log.
    pub fn open_all(&self) {
        // Those that are encrypted first: a key that is not theirs must not become that of the others.
        let waits = |is_so: bool| {
            self.names_where(
                |slot| matches!(slot, Slot::Opening { is_encrypted } if *is_encrypted == is_so),
            )
        };
        let names = [waits(true), waits(false)].concat();
        let count = names.len();
        for (place, name) in names.into_iter().enumerate() {
            let _changing = self.hold_changes();
            // It may have been dropped meanwhile.
            if !matches!(self.read_slots().get(&name), Some(Slot::Opening { .. })) {
                continue;
            }
            let begun = Instant::now();
            let done = if self.open_one(&name) { "opened" } else { "left closed" };
            let (number, opened_ms) = (place + 1, begun.elapsed().as_millis() as u64);
            tracing::info!(target: OPERATION, database = name, number, count, opened_ms, "{done}");
        }
        self.is_ready.store(true, Ordering::Release);
        if let Err(refusal) = self.check_key() {
            let (code, why) = (refusal.code.as_str(), refusal.message);
            tracing::error!(target: OPERATION, code, why, "no database is made");
        }
        tracing::info!(target: OPERATION, count, "ready");
    }

    /// Tells whether everything that was found has been opened, or has failed to.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Returns every name, sorted.
    pub fn names(&self) -> Vec<String> {
        self.read_slots().keys().cloned().collect()
    }

    /// Returns the names of what is known to be so, sorted.
    fn names_where(&self, is_so: impl Fn(&Slot) -> bool) -> Vec<String> {
        let slots = self.read_slots();
        slots.iter().filter(|(_, slot)| is_so(slot)).map(|(name, _)| name.clone()).collect()
    }

    /// Returns every database that is open.
    pub fn open(&self) -> Vec<Arc<Served>> {
        let open = |slot: &Slot| match slot {
            Slot::Open(served) => Some(Arc::clone(served)),
            _ => None,
        };
        self.read_slots().values().filter_map(open).collect()
    }

    /// Returns a database by name.
    ///
    /// Errors: `DATABASE_NOT_FOUND`; `NOT_READY` while it is being opened, and when all were closed; whatever
    /// opening it said.
    pub fn get(&self, name: &str) -> Result<Arc<Served>> {
        match self.read_slots().get(name) {
            None if self.is_closed.load(Ordering::Acquire) => {
                Err(Refusal::new(Code::NotReady, "the server is stopping"))
            }
            None => Err(not_found(name)),
            Some(Slot::Open(served)) => Ok(Arc::clone(served)),
            Some(Slot::Opening { .. }) => Err(Refusal::new(
                Code::NotReady,
                format!("the database {name:?} is being opened; ask again in a moment"),
            )),
            Some(Slot::Failed(it)) => Err(Refusal::new(Code::Engine(it.code), it.why.clone())),
        }
    }

    /// Opens what another process has made under a name since; for a server that only reads.
    ///
    /// Errors: as `get`.
    pub fn look_for(&self, name: &str) -> Result<Arc<Served>> {
        if is_database(&self.root, name) {
            let _changing = self.hold_changes();
            // Somebody else may have been quicker.
            if !self.read_slots().contains_key(name) && !self.is_closed.load(Ordering::Acquire) {
                self.open_found(name);
                tracing::info!(target: DATABASE, database = name, "found");
            }
        }
        self.get(name)
    }

    /// Opens everything that another process has made since; for a server that only reads.
    pub fn look_around(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for name in names {
            if !self.read_slots().contains_key(&name) {
                // The list says why where it was not opened.
                let _open_or_not = self.look_for(&name);
            }
        }
    }

    /// Lets go of a database that another process has dropped, and opens the one that took its place, if one did: a
    /// log that was repaired or encrypted is another one too. Tells whether it was so.
    pub fn follow_drop(&self, served: &Served) -> bool {
        let name = &served.name;
        let is_there = is_database(&self.root, name);
        if is_there && FileId::of(&self.log_of(name)) == served.log_file {
            return false;
        }
        let _changing = self.hold_changes();
        if is_there {
            tracing::info!(target: DATABASE, database = name, "another one took its place");
            self.open_found(name);
        } else {
            tracing::info!(target: DATABASE, database = name, "dropped by another process");
            self.write_slots().remove(name);
        }
        // Whoever still reads in it is told that it is gone.
        let _nobody_reads_it_again = served.database.close();
        true
    }

    /// Tries once more what could not be opened, and forgets what is gone: the key, the file or the process that stood
    /// in the way may not do so any more.
    ///
    /// Cost: an attempt for each takes a twentieth of the time at the most.
    pub fn try_again(&self) {
        if !self.is_ready() {
            return;
        }
        let now = Instant::now();
        let is_due = |slot: &Slot| matches!(slot, Slot::Failed(failure) if failure.next_try <= now);
        for name in self.names_where(is_due) {
            let _changing = self.hold_changes();
            if !self.read_slots().get(&name).is_some_and(is_due) {
                // Somebody has dropped it, or opened it, meanwhile.
                continue;
            }
            if !self.root.join(&name).exists() {
                self.write_slots().remove(&name);
                tracing::info!(target: OPERATION, database = name, "gone");
            } else if self.open_one(&name) {
                tracing::info!(target: OPERATION, database = name, "opened");
            }
        }
    }

    /// Makes a database with what `init` says is in it.
    ///
    /// Errors: `INVALID_ARGUMENT` for the name; `LIMIT_EXCEEDED`; `DATABASE_EXISTS`; `READ_ONLY`; `WRONG_KEY` and `KEY_REQUIRED`
    /// where that was said of another database, and `NOT_READY` until it is known; those of the engine for what
    /// is in `init`. No database is there then.
    pub fn create(&self, name: &str, init: &Init<'_>) -> Result<Arc<Served>> {
        check_name(name)?;
        init.check()?;
        self.check_writes()?;
        let _changing = self.hold_changes();
        if self.read_slots().contains_key(name) || self.root.join(name).exists() {
            let message = format!("there is a database {name:?} already");
            return Err(Refusal::new(Code::DatabaseExists, message));
        }
        self.check_key()?;
        let aside = self.aside();
        if let Err(refusal) = self.fill(&aside, init) {
            let _left_for_the_next_start = std::fs::remove_dir_all(&aside);
            return Err(refusal);
        }
        self.put_in_place(&aside, name)?;
        let served = self.open_engine(name)?;
        self.write_slots().insert(name.to_owned(), Slot::Open(Arc::clone(&served)));
        tracing::info!(target: DATABASE, database = name, "created");
        Ok(served)
    }

    /// Closes a database and removes its files; one that could not be opened only by force, since nobody has seen
    /// what is in it: it may be whole, and the key or the disk at fault.
    ///
    /// Errors: `DATABASE_NOT_FOUND`, `NOT_READY`, `READ_ONLY`, `STORAGE_ERROR`; without force what opening it
    /// said; with it too `DATABASE_LOCKED` while another process writes to it.
    pub fn remove(&self, name: &str, by_force: bool) -> Result<()> {
        self.check_writes()?;
        let _changing = self.hold_changes();
        match self.get(name) {
            // Its writes are answered; nobody will read what the last sync says.
            Ok(served) => {
                let _nobody_reads_it_again = served.database.close();
            }
            Err(Refusal { code: Code::Engine(code), message, .. }) if !by_force => {
                let message = format!("{message}; with force it is dropped all the same");
                return Err(Refusal::new(Code::Engine(code), message));
            }
            Err(Refusal { code: Code::Engine(_), .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        if !self.root.join(name).exists() {
            // Somebody moved it away: opening it again would make an empty one.
            self.write_slots().remove(name);
            return Err(not_found(name));
        }
        let aside = self.aside();
        if let Err(refusal) = self.move_away(name, &aside) {
            // It was closed, or somebody else has it now.
            self.open_one(name);
            return Err(refusal);
        }
        self.write_slots().remove(name);
        tracing::info!(target: DATABASE, database = name, "dropped");
        std::fs::remove_dir_all(&aside)
            .map_err(|error| Refusal::storage("remove the database's files", &error))
    }

    /// Closes all databases, each with what closing it says.
    pub fn close(&self) -> Vec<(String, nedb_core::Result<()>)> {
        let _changing = self.hold_changes();
        let open = self.open();
        self.is_closed.store(true, Ordering::Release);
        self.write_slots().clear();
        open.into_iter().map(|it| (it.name.clone(), it.database.close())).collect()
    }

    /// Moves a database out of its place, held against everyone who would write to it.
    fn move_away(&self, name: &str, aside: &Path) -> Result<()> {
        let path = self.root.join(name);
        // What another process writes to is its own, whatever opening it said before.
        let held = hold_directory(&path)?;
        if cfg!(windows) {
            // There nothing moves in which a file is open.
            drop(held);
        }
        std::fs::rename(&path, aside)
            .and_then(|()| sync_directory(&self.root))
            .map_err(|error| Refusal::storage("move the database away", &error))
    }

    /// Tells whether no database refuses writes that a disk did not take.
    pub fn take_writes(&self) -> bool {
        self.open().iter().all(|served| served.database.write_trouble().is_none())
    }

    /// Closes a database and opens it, so that the log tells what a write has left that failed; tells whether it is
    /// open.
    pub fn open_again(&self, served: &Arc<Served>) -> bool {
        let _changing = self.hold_changes();
        let is_ours = |slot: &Slot| matches!(slot, Slot::Open(it) if Arc::ptr_eq(it, served));
        if !self.read_slots().get(&served.name).is_some_and(is_ours) {
            // Somebody has dropped it meanwhile.
            return false;
        }
        // What it says is known: that what was not acknowledged may not be on the disk.
        let _known = served.database.close();
        self.open_found(&served.name);
        matches!(self.read_slots().get(&served.name), Some(Slot::Open(_)))
    }

    /// Moves a database that was made aside into its place.
    fn put_in_place(&self, aside: &Path, name: &str) -> Result<()> {
        std::fs::rename(aside, self.root.join(name))
            .and_then(|()| sync_directory(&self.root))
            .map_err(|error| Refusal::storage("move the new database into place", &error))
    }

    /// Opens what another process has put under a name; whoever asks for it meanwhile is told to ask again.
    fn open_found(&self, name: &str) {
        let is_encrypted = is_encrypted(&self.root, name);
        self.write_slots().insert(name.to_owned(), Slot::Opening { is_encrypted });
        self.open_one(name);
    }

    /// Opens a database, or notes why it cannot be opened; tells which.
    fn open_one(&self, name: &str) -> bool {
        let begun = Instant::now();
        let slot = match self.open_engine(name) {
            Ok(served) => Slot::Open(served),
            Err(error) => {
                let (code, why) = (error.code(), self.reason(name, &error));
                if !self.is_known(name, code, &why) {
                    let code = code.as_str();
                    tracing::error!(target: OPERATION, database = name, code, why, "not opened");
                }
                let pause = TRY_AGAIN_AFTER.max(begun.elapsed() * TRY_AGAIN_SHARE);
                let (is_encrypted, next_try) =
                    (is_encrypted(&self.root, name), Instant::now() + pause);
                Slot::Failed(Failure { code, why, is_encrypted, next_try })
            }
        };
        let is_open = matches!(slot, Slot::Open(_));
        self.write_slots().insert(name.to_owned(), slot);
        is_open
    }

    /// Tells whether a database could not be opened before for the same reason.
    fn is_known(&self, name: &str, code: ErrorCode, why: &str) -> bool {
        match self.read_slots().get(name) {
            Some(Slot::Failed(before)) => before.code == code && before.why == why,
            _ => false,
        }
    }

    /// Says why a database was not opened.
    fn reason(&self, name: &str, error: &nedb_core::Error) -> String {
        let would_be_encrypted = self.options.encrypt_existing && !self.options.read_only;
        match self.check_key() {
            Err(refusal) if error.code() == ErrorCode::PlainDatabase && would_be_encrypted => {
                format!("the database {name:?} is not encrypted, and stays so: {}", refusal.message)
            }
            _ => error.to_string(),
        }
    }

    fn open_engine(&self, name: &str) -> nedb_core::Result<Arc<Served>> {
        // Before it is opened: another one that takes its place in between is noticed later.
        let found = FileId::of(&self.log_of(name));
        let encrypt_existing = self.options.encrypt_existing && self.check_key().is_ok();
        let options = Options { encrypt_existing, ..self.options.clone() };
        let database = Database::open(self.root.join(name), options)?;
        let report = database.open_report();
        if report.damage.is_some() || report.cut_bytes > 0 {
            let report = report.to_json();
            tracing::error!(target: OPERATION, database = name, report, "needs a look");
        }
        let log_file = found.or_else(|| FileId::of(&self.log_of(name)));
        Ok(Served::new(name, database, log_file))
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.root.join(name).join(LOG_FILE)
    }

    fn fill(&self, aside: &Path, init: &Init<'_>) -> Result<()> {
        // One sync at the end is enough for what is moved into place after it.
        let options = Options { durability: Durability::Never, ..self.options.clone() };
        let database = Database::open(aside, options)?;
        let filled = init.apply(&database);
        let closed = database.close();
        filled?;
        Ok(closed?)
    }

    fn aside(&self) -> PathBuf {
        let number = self.next_aside.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!("{ASIDE}{}-{number}", std::process::id()))
    }

    fn check_writes(&self) -> Result<()> {
        if self.options.read_only {
            let message = "the server was started to read only";
            return Err(Refusal::new(Code::Engine(ErrorCode::ReadOnly), message));
        }
        Ok(())
    }

    /// Checks that the key, or that there is none, is what the databases that are there were made with: a new one
    /// would be under another key than those, and whoever has the right key could not read it.
    fn check_key(&self) -> Result<()> {
        let slots = self.read_slots();
        // One that is open shows that the key is right, whatever is wrong with another.
        let is_proven = slots.values().any(|slot| match slot {
            Slot::Open(served) => served.database.is_encrypted(),
            _ => false,
        });
        let objection = slots.iter().find_map(|(name, slot)| match slot {
            Slot::Failed(Failure { code: code @ ErrorCode::WrongKey, .. }) => {
                Some((Code::Engine(*code), name, format!("has another key; {KEY_ADVICE}")))
            }
            Slot::Failed(Failure { code: code @ ErrorCode::KeyRequired, .. }) => {
                Some((Code::Engine(*code), name, format!("is encrypted; {KEY_ADVICE}")))
            }
            Slot::Failed(failure) if !is_proven && failure.is_encrypted => Some((
                Code::Engine(failure.code),
                name,
                format!(
                    "is encrypted and could not be opened, so that nobody knows whether this is its key: \
                     {}; mend it, or move it out of the data directory",
                    failure.why
                ),
            )),
            Slot::Opening { is_encrypted: true } => Some((
                Code::NotReady,
                name,
                "tells whether the key is right once it is open".into(),
            )),
            _ => None,
        });
        match objection {
            None => Ok(()),
            Some((code, name, why)) => {
                Err(Refusal::new(code, format!("the database {name:?} {why}")))
            }
        }
    }

    fn hold_changes(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_slots(&self) -> RwLockReadGuard<'_, BTreeMap<String, Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_slots(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(Code::DatabaseNotFound, format!("there is no database {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nedb_core::Tmk;

    fn databases(root: &Path) -> Databases {
        Databases::find(root, Options::default()).unwrap()
    }

    #[test]
    fn what_a_crash_left_aside_is_removed_and_what_is_foreign_is_kept() {
        let root = tempfile::tempdir().unwrap();
        for name in [".aside-0", "notes", "shop"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(root.path().join("shop/log.aof"), "").unwrap();
        std::fs::write(root.path().join(".aside-0/log.aof"), "").unwrap();
        let databases = databases(root.path());
        assert_eq!(databases.names(), ["shop"]);
        assert!(!root.path().join(".aside-0").exists());
        assert!(root.path().join("notes").exists());
    }

    #[test]
    fn a_database_is_not_ready_until_it_is_opened() {
        let root = tempfile::tempdir().unwrap();
        databases(root.path()).create("shop", &Init::default()).unwrap();
        let databases = databases(root.path());
        assert!(!databases.is_ready());
        assert_eq!(databases.get("shop").err().unwrap().code, Code::NotReady);
        assert_eq!(databases.get("nope").err().unwrap().code, Code::DatabaseNotFound);
        databases.open_all();
        assert!(databases.is_ready());
        assert_eq!(databases.get("shop").unwrap().database.seq(), -1);
    }

    #[test]
    fn one_that_cannot_be_opened_says_why_and_the_rest_is_served() {
        let root = tempfile::tempdir().unwrap();
        let first = databases(root.path());
        first.create("good", &Init::default()).unwrap();
        first.create("bad", &Init::default()).unwrap();
        first.close();
        std::fs::write(root.path().join("bad/meta.json"), "{").unwrap();
        let databases = databases(root.path());
        databases.open_all();
        let refusal = databases.get("bad").err().unwrap();
        assert_eq!(refusal.code, Code::Engine(ErrorCode::IntegrityError));
        assert!(databases.get("good").is_ok());
        let refused = databases.remove("bad", false).unwrap_err();
        assert_eq!(refused.code, Code::Engine(ErrorCode::IntegrityError));
        assert!(root.path().join("bad/log.aof").exists());
        databases.remove("bad", true).unwrap();
        assert_eq!(databases.names(), ["good"]);
    }

    #[test]
    fn what_another_process_writes_to_is_not_dropped() {
        let root = tempfile::tempdir().unwrap();
        let first = databases(root.path());
        first.create("shop", &Init::default()).unwrap();
        let second = databases(root.path());
        second.open_all();
        let locked = Code::Engine(ErrorCode::DatabaseLocked);
        for by_force in [false, true] {
            assert_eq!(second.remove("shop", by_force).unwrap_err().code, locked);
        }
        assert!(root.path().join("shop/log.aof").exists());
        first.close();
        second.remove("shop", true).unwrap();
    }

    #[test]
    fn what_another_process_writes_to_by_now_is_not_dropped_whatever_opening_it_said() {
        let root = tempfile::tempdir().unwrap();
        databases(root.path()).create("shop", &Init::default()).unwrap();
        std::fs::write(root.path().join("shop/meta.json"), "{").unwrap();
        let second = databases(root.path());
        second.open_all();
        std::fs::remove_file(root.path().join("shop/meta.json")).unwrap();
        let first = databases(root.path());
        first.open_all();
        let refused = second.remove("shop", true).unwrap_err();
        assert_eq!(refused.code, Code::Engine(ErrorCode::DatabaseLocked));
        assert!(root.path().join("shop/log.aof").exists() && first.get("shop").is_ok());
    }

    #[test]
    fn what_could_not_be_opened_is_tried_again_and_what_is_gone_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let first = databases(root.path());
        for name in ["mended", "moved", "damaged"] {
            first.create(name, &Init::default()).unwrap();
        }
        first.close();
        for name in ["mended", "moved", "damaged"] {
            std::fs::write(root.path().join(name).join("meta.json"), "{").unwrap();
        }
        let databases = databases(root.path());
        databases.open_all();
        assert!(databases.open().is_empty());
        std::fs::remove_file(root.path().join("mended/meta.json")).unwrap();
        std::fs::remove_dir_all(root.path().join("moved")).unwrap();
        databases.try_again();
        assert!(databases.open().is_empty(), "it is not tried again at once");
        std::thread::sleep(TRY_AGAIN_AFTER * 2);
        databases.try_again();
        assert_eq!(databases.names(), ["damaged", "mended"]);
        assert!(databases.get("mended").is_ok() && databases.get("damaged").is_err());
        assert!(!root.path().join("moved").exists());
        std::fs::remove_dir_all(root.path().join("damaged")).unwrap();
        let gone = databases.remove("damaged", true).unwrap_err();
        assert_eq!(gone.code, Code::DatabaseNotFound);
        assert!(!root.path().join("damaged").exists());
    }

    #[test]
    fn a_key_is_not_proven_by_a_database_that_cannot_be_opened() {
        let root = tempfile::tempdir().unwrap();
        let with = |byte: u8| Options { tmk: Some(Tmk::new([byte; 32])), ..Options::default() };
        let sealed = Databases::find(root.path(), with(1)).unwrap();
        sealed.open_all();
        let served = sealed.create("sealed", &Init::default()).unwrap();
        served.database.put("c", "a", "{}", &Default::default()).unwrap();
        sealed.close();
        drop(served);
        let key_file = root.path().join("sealed/key.enc");
        let key = std::fs::read(&key_file).unwrap();
        let plain = root.path().join("plain");
        Database::open(&plain, Options::default())
            .unwrap()
            .put("c", "a", "{}", &Default::default())
            .unwrap();
        for damaged in [Some(&b""[..]), Some(b"{\"v\":1}"), None] {
            match damaged {
                Some(bytes) => std::fs::write(&key_file, bytes).unwrap(),
                None => std::fs::remove_file(&key_file).unwrap(),
            }
            let other = Databases::find(root.path(), with(2)).unwrap();
            other.open_all();
            assert!(other.create("new", &Init::default()).is_err(), "{damaged:?}");
            let plain = other.get("plain").err().unwrap();
            assert_eq!(plain.code, Code::Engine(ErrorCode::PlainDatabase), "{damaged:?}");
            other.close();
        }
        assert!(!is_encrypted(root.path(), "plain") && is_encrypted(root.path(), "sealed"));
        std::fs::write(&key_file, key).unwrap();
        let right = Databases::find(root.path(), with(1)).unwrap();
        right.open_all();
        right.create("new", &Init::default()).unwrap();
        assert!(right.get("plain").unwrap().database.is_encrypted());
    }

    #[test]
    fn what_another_server_is_making_is_not_removed_as_a_leftover() {
        let root = tempfile::tempdir().unwrap();
        let aside = root.path().join(format!("{ASIDE}1-0"));
        let database = Database::open(&aside, Options::default()).unwrap();
        databases(root.path());
        assert!(aside.join(LOG_FILE).exists());
        database.close().unwrap();
        databases(root.path());
        assert!(!aside.exists());
    }

    #[test]
    fn a_name_is_taken_once_and_free_after_a_drop() {
        let root = tempfile::tempdir().unwrap();
        let databases = databases(root.path());
        databases.create("shop", &Init::default()).unwrap();
        let taken = databases.create("shop", &Init::default()).err().unwrap();
        assert_eq!(taken.code, Code::DatabaseExists);
        databases.remove("shop", false).unwrap();
        assert_eq!(databases.remove("shop", true).unwrap_err().code, Code::DatabaseNotFound);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        databases.create("shop", &Init::default()).unwrap();
    }
}
