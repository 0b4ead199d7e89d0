//! A directory, or memory, as a database.
//!
//! In: a path. Out: a database whose views are those of its log.
//!
//! Invariants:
//! * Only a crash tail is ever cut, and what is cut is kept beside the log.
//! * A line that no crash leaves is damage: the database opens for reading, up to that line.

use crate::blob::ChunkStore;
use crate::crypto::Protection;
use crate::db::check;
use crate::db::checkpoint::{AutoCheckpoint, auto_checkpoint_of};
use crate::db::database::{Database, Inner};
use crate::db::encryption::{self, key_required};
use crate::db::files::Packs;
use crate::db::open_report::OpenReport;
use crate::db::options::Options;
use crate::db::restore::{Folded, LogSource, Opening, fold_log, read_definitions};
use crate::engine::{Durability, Engine, Log, Setup, sync_periodically};
use crate::error::{Error, Result};
use crate::log::{Fault, LogReader};
use crate::store::{Directory, Disk, FileSystem, LogFile, LogStore, MemoryFiles};
use crate::views::State;
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Database {
    /// Makes an empty database in memory, which is gone when the last handle is.
    ///
    /// Errors: `InvalidArgument` when the options ask for reading only, or with a key that is too short for a
    /// new database.
    pub fn in_memory(options: Options) -> Result<Database> {
        check::open_options(&options)?;
        if options.read_only {
            return Err(Error::invalid("a database in memory cannot be opened read-only"));
        }
        if let Some(tmk) = &options.tmk {
            tmk.check_long_enough()?;
        }
        let state = State::new(LogReader::memory());
        let log = Log::Memory;
        let keeper = auto_checkpoint_of(None, None, false);
        let files = Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true)?;
        let plain = Arc::new(Protection::Plain);
        let packs = Packs::new(ChunkStore::new(files, Arc::clone(&plain), true));
        let place = (None, packs, plain);
        Ok(Database::assemble(state, log, options, place, OpenReport::default(), keeper))
    }

    /// Opens the database in a directory; a writer creates it if need be.
    ///
    /// After a crash what had not been acknowledged may be cut from the end of the log; it is kept in
    /// `log.aof.cut-<seq>`, and `open_report` says so. A damaged log opens for reading, up to the
    /// damage. A directory of NEDB 1.x opens as it is.
    ///
    /// Where the views were saved, by `checkpoint()` or by closing after many ops, only what came after is
    /// read. A checkpoint that does not fit the log is ignored, and `open_report` warns.
    ///
    /// With `Options::tmk` what is on the disk is encrypted: a new database from its first byte on, and a
    /// plain one in place, which the report warns of.
    ///
    /// Cost: one pass over the log, or over what came after the checkpoint. Errors: `DatabaseLocked`,
    /// `StorageError`, `IntegrityError` when `meta.json` is no index definition; `KeyRequired`, `WrongKey`,
    /// `PlainDatabase`, and `InvalidArgument` for a key that is too short, before anything is written.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Database> {
        Database::open_in(Arc::new(Disk), path.as_ref(), options)
    }

    /// Opens the database in a directory of a file system.
    ///
    /// Errors: as `open`.
    pub(in crate::db) fn open_in(
        files: Arc<dyn FileSystem>,
        path: &Path,
        mut options: Options,
    ) -> Result<Database> {
        check::open_options(&options)?;
        let for_writing = !options.read_only;
        check_no_file(&*files, path)?;
        encryption::check(&files, path, &options)?;
        let directory = Directory::open(files, path, for_writing)?;
        let lock = if for_writing { Some(directory.lock()?) } else { None };
        let mut report = OpenReport::default();
        let protection = Arc::new(encryption::unlock(&directory, &options, &mut report)?);
        // The key was needed for that alone.
        options.tmk = None;
        // A writer that is about to stop may still say more until the lock is ours.
        let durable_bytes = directory.durable_bytes();
        let file = directory.open_log(for_writing)?;
        if for_writing {
            encryption::seal_plain_meta(&directory, &protection, &mut report.warnings)?;
        }
        let definitions = read_definitions(&directory, &protection, &mut report.warnings)?;
        let len_bytes = file.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let end_bytes = match options.read_only {
            true => readable_bytes(&directory, durable_bytes, len_bytes),
            false => len_bytes,
        };
        let source = LogSource {
            directory: &directory,
            protection: &protection,
            file: &file,
            definitions: &definitions,
            end_bytes,
            cache_bytes: options.cache_bytes,
            may_be_ahead: options.read_only && directory.is_locked(),
        };
        let folded = fold_log(&source, &mut |_| Ok(()))?;
        let Folded { state, end, checkpoint_seq, is_sealed, warnings } = folded;
        report.warnings.extend(warnings);
        report.checkpoint_seq = checkpoint_seq;
        if matches!(end.fault, Some(Fault::Encrypted)) && end.next_seq == 0 {
            return Err(key_required(&directory));
        }
        let mut opening = Opening { directory, file, report, durable_bytes, len_bytes };
        opening.settle(&end, &state, for_writing)?;
        let Opening { directory, file, mut report, .. } = opening;
        report.op_count = state.log.op_count() as u64;
        let log = match (lock, &report.damage) {
            (None, _) => Log::Refusing(check::opened_read_only()),
            (Some(_), Some(damage)) => Log::Refusing(check::damaged(damage)),
            (Some(lock), None) => {
                let mut store = LogFile::new(&directory, file, lock, state.log.len_bytes());
                store.sync().map_err(|error| Error::storage("sync the log", error))?;
                Log::Disk(Box::new(store))
            }
        };
        let keeper = auto_checkpoint_of(options.checkpoint_every_ops, checkpoint_seq, is_sealed);
        if for_writing {
            let must_sync = options.durability != Durability::Always;
            keeper.start(directory.clone(), Arc::clone(&protection), must_sync)?;
        }
        let packs = Packs::of_directory(&directory, &protection, for_writing)?;
        let place = (Some(directory), packs, protection);
        let database = Database::assemble(state, log, options, place, report, keeper);
        if let Durability::Interval { milliseconds } = database.inner.options.durability {
            sync_periodically(&database.inner.engine, milliseconds)
                .map_err(|error| Error::storage("start the thread that syncs", error))?;
        }
        Ok(database)
    }

    fn assemble(
        state: State,
        log: Log,
        options: Options,
        (directory, packs, protection): (Option<Directory>, Arc<Packs>, Arc<Protection>),
        report: OpenReport,
        checkpoints: Arc<AutoCheckpoint>,
    ) -> Database {
        let has_encryption_note =
            !options.read_only && directory.as_ref().is_some_and(Directory::has_encryption_note);
        let setup = Setup {
            clock: Arc::clone(&options.clock),
            durability: options.durability,
            is_read_only: options.read_only,
            directory: directory.clone(),
            protection: Arc::clone(&protection),
        };
        let engine = Engine::new(setup, state, log);
        let asks = checkpoints.asks_after_commits(&engine);
        Database::new(Inner {
            engine,
            options,
            directory,
            protection,
            packs,
            legacy: Mutex::new(None),
            has_encryption_note: AtomicBool::new(has_encryption_note),
            report: Mutex::new(report),
            checkpoints,
            _asks_for_checkpoints: asks,
        })
    }
}

/// Checks that a database's path is not that of a file.
///
/// Errors: `StorageError`.
fn check_no_file(files: &dyn FileSystem, path: &Path) -> Result<()> {
    if !files.exists(path) || files.is_directory(path) {
        return Ok(());
    }
    let reason = "a file stands there, and a database is a directory";
    let error = io::Error::new(io::ErrorKind::NotADirectory, reason);
    Err(Error::storage(format!("open {}", path.display()), error))
}

/// Returns how far a reader may read: beside a writer what is synced, else all there is.
///
/// `len_bytes` must have been looked up before: a writer that begins later appends after it.
pub(in crate::db) fn readable_bytes(
    directory: &Directory,
    synced_bytes: Option<u64>,
    len_bytes: u64,
) -> u64 {
    match synced_bytes {
        Some(synced_bytes) if directory.is_locked() => synced_bytes.min(len_bytes),
        _ => len_bytes,
    }
}
