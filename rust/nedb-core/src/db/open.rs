//! A directory, or memory, as a database.
//!
//! In: a path. Out: a database whose views are those of its log.
//!
//! Invariants:
//! * Only a crash tail is ever cut, and what is cut is kept beside the log.
//! * A line that no crash leaves is damage: the database opens for reading, up to that line.

use super::checkpoint::keeper_of;
use super::commit::{Writer, sync_periodically, tail_of};
use super::committer::Committer;
use super::derived::{DerivedDamage, is_of_views, write_derived};
use super::keeper::Keeper;
use super::options::{Durability, Options};
use super::packs::Packs;
use super::protect::{self, key_required};
use super::restore::{Folded, LogSource, fold_log, read_definitions};
use super::standing::Standing;
use super::statistics::Counters;
use super::watch::Watch;
use super::{Database, Inner, check};
use crate::blob::ChunkStore;
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::json::write_string;
use crate::log::{Damage, Fault, LogReader, ReplayEnd};
use crate::op::Seq;
use crate::store::{
    CutFile, Directory, Disk, FileSystem, LogFile, LogStore, MemoryFiles, StoredFile, process_id,
};
use crate::views::State;
use parking_lot::{Condvar, Mutex, RwLock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

/// What opening a database found.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    /// How many ops the log holds.
    pub op_count: u64,
    /// The last op of the checkpoint that was loaded; None when the whole log was folded.
    pub checkpoint_seq: Option<Seq>,
    /// How many bytes of a crash tail were cut; 0 after a clean stop.
    pub cut_bytes: u64,
    /// Where they are kept.
    pub cut_file: Option<PathBuf>,
    /// Why the database opened for reading only, if it did; or the first line that was found not to hold
    /// since, by a read or by `verify`, behind a checkpoint or where something changed the log.
    pub damage: Option<Damage>,
    /// What `verify` has found to be wrong with the views that were loaded, while the log is right.
    pub derived_damage: Option<DerivedDamage>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl OpenReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"checkpoint_seq\":");
        match self.checkpoint_seq {
            Some(seq) => out.push_str(&seq.to_string()),
            None => out.push_str("null"),
        }
        out.push_str(&format!(",\"cut_bytes\":{},\"cut_file\":", self.cut_bytes));
        match &self.cut_file {
            Some(path) => write_string(&path.to_string_lossy(), &mut out),
            None => out.push_str("null"),
        }
        out.push_str(",\"damage\":");
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"derived_damage\":");
        write_derived(self.derived_damage.as_ref(), &mut out);
        out.push_str(&format!(",\"op_count\":{},\"warnings\":", self.op_count));
        write_texts(&self.warnings, &mut out);
        out.push('}');
        out
    }
}

/// Appends a damage as JSON, or null.
pub(super) fn write_damage(damage: Option<&Damage>, out: &mut String) {
    match damage {
        None => out.push_str("null"),
        Some(damage) => {
            out.push_str(&format!("{{\"offset_bytes\":{},\"reason\":", damage.offset_bytes));
            write_string(&damage.reason, out);
            out.push_str(&format!(",\"seq\":{}}}", damage.seq));
        }
    }
}

/// Appends a list of texts as JSON.
pub(super) fn write_texts(texts: &[String], out: &mut String) {
    out.push('[');
    for (place, text) in texts.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(text, out);
    }
    out.push(']');
}

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
        let writer = Writer::memory(tail_of(&state));
        let keeper = keeper_of(None, None, false);
        let files = Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true)?;
        let plain = Arc::new(Protection::Plain);
        let packs = Packs::new(ChunkStore::new(files, Arc::clone(&plain), true));
        let place = (None, packs, plain);
        Ok(Database::assemble(state, writer, options, place, OpenReport::default(), keeper))
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
    pub(super) fn open_in(
        files: Arc<dyn FileSystem>,
        path: &Path,
        mut options: Options,
    ) -> Result<Database> {
        check::open_options(&options)?;
        let for_writing = !options.read_only;
        check_no_file(&*files, path)?;
        protect::check(&files, path, &options)?;
        let directory = Directory::open(files, path, for_writing)?;
        let lock = if for_writing { Some(directory.lock()?) } else { None };
        let mut report = OpenReport::default();
        let protection = Arc::new(protect::unlock(&directory, &options, &mut report)?);
        // The key was needed for that alone.
        options.tmk = None;
        // A writer that is about to stop may still say more until the lock is ours.
        let durable_bytes = directory.durable_bytes();
        let file = directory.open_log(for_writing)?;
        if for_writing {
            protect::seal_plain_meta(&directory, &protection, &mut report.warnings)?;
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
        let writer = match (lock, &report.damage) {
            (None, _) => Writer::refusing(check::opened_read_only(), tail_of(&state)),
            (Some(_), Some(damage)) => Writer::refusing(check::damaged(damage), tail_of(&state)),
            (Some(lock), None) => {
                let mut store = LogFile::new(&directory, file, lock, state.log.len_bytes());
                store.sync().map_err(|error| Error::storage("sync the log", error))?;
                Writer::disk(Box::new(store), tail_of(&state))
            }
        };
        let keeper = keeper_of(options.checkpoint_every_ops, checkpoint_seq, is_sealed);
        if for_writing {
            let must_sync = options.durability != Durability::Always;
            keeper.start(directory.clone(), Arc::clone(&protection), must_sync)?;
        }
        let packs = Packs::of_directory(&directory, &protection, for_writing)?;
        let place = (Some(directory), packs, protection);
        let database = Database::assemble(state, writer, options, place, report, keeper);
        if let Durability::Interval { milliseconds } = database.inner.options.durability {
            sync_periodically(&database.inner, milliseconds)
                .map_err(|error| Error::storage("start the thread that syncs", error))?;
        }
        Ok(database)
    }

    /// Returns what opening found: how many ops, what was cut, what is damaged; also what was found to be
    /// damaged since.
    pub fn open_report(&self) -> OpenReport {
        let mut report = self.opening_report();
        if let (None, Ok(state)) = (&report.damage, self.inner.wait_to_read()) {
            report.damage = state.log.damage().filter(|damage| !is_of_views(damage)).cloned();
            report.derived_damage = DerivedDamage::noted_in(&state);
        }
        report
    }

    /// Returns what opening found, and nothing that was found since to be damaged.
    pub(super) fn opening_report(&self) -> OpenReport {
        let mut report = self.inner.report.lock().clone();
        report.warnings.extend(self.inner.checkpoints.failure());
        report
    }

    fn assemble(
        state: State,
        writer: Writer,
        options: Options,
        (directory, packs, protection): (Option<Directory>, Arc<Packs>, Arc<Protection>),
        report: OpenReport,
        checkpoints: Arc<Keeper>,
    ) -> Database {
        let seq = state.views.seq;
        let has_encryption_note =
            !options.read_only && directory.as_ref().is_some_and(Directory::has_encryption_note);
        Database {
            inner: Arc::new(Inner {
                state: RwLock::new(state),
                writer: Mutex::new(writer),
                progress: Condvar::new(),
                durable_seq: AtomicI64::new(seq),
                trouble: Mutex::default(),
                has_trouble: AtomicBool::new(false),
                options,
                directory,
                protection,
                process_id: process_id(),
                packs,
                legacy: Mutex::new(None),
                is_closed: AtomicBool::new(false),
                has_encryption_note: AtomicBool::new(has_encryption_note),
                report: Mutex::new(report),
                watch: Watch::default(),
                counters: Counters::default(),
                checkpoints,
                committer: Committer::default(),
            }),
        }
    }
}

/// What is known while a directory is being opened.
pub(super) struct Opening {
    pub directory: Directory,
    pub file: Arc<dyn StoredFile>,
    pub report: OpenReport,
    pub durable_bytes: Option<u64>,
    pub len_bytes: u64,
}

impl Opening {
    /// Settles the tail, and makes sure for a writer that what is left is on the disk.
    fn settle(&mut self, end: &ReplayEnd, state: &State, for_writing: bool) -> Result<()> {
        self.settle_tail(end, state, for_writing)?;
        match for_writing && self.report.damage.is_none() {
            true => self.rewrite_unsure(state),
            false => Ok(()),
        }
    }

    /// Decides what the end of the replay was: the end of the log, a crash tail, or damage.
    pub fn settle_tail(&mut self, end: &ReplayEnd, state: &State, for_writing: bool) -> Result<()> {
        if let Some((seq, key)) = &state.uncovered {
            self.report.warnings.push(format!("op {seq} has a member {key:?} that no hash covers"));
        }
        let Some(fault) = &end.fault else {
            if let Some(durable_bytes) = self.durable_bytes.filter(|it| *it > self.len_bytes) {
                // No crash takes what was synced. To write on would fork the history.
                self.report.damage = Some(Damage {
                    seq: end.next_seq,
                    offset_bytes: end.offset_bytes,
                    reason: format!(
                        "the log is {} bytes shorter than what was synced: ops are missing at its \
                         end (if an older log was put in its place on purpose, delete LOCK)",
                        durable_bytes - self.len_bytes
                    ),
                });
                return Ok(());
            }
            if end.lacks_newline && for_writing {
                self.file
                    .append(b"\n")
                    .and_then(|()| self.file.sync())
                    .map_err(|error| Error::storage("end the log's last line", error))?;
            }
            return Ok(());
        };
        if !self.is_crash_tail(end, fault) {
            self.report.damage = Some(Damage {
                seq: end.next_seq,
                offset_bytes: end.offset_bytes,
                reason: fault.reason(),
            });
        } else if for_writing {
            let CutFile { path, bytes } =
                self.directory.cut_log(&*self.file, end.offset_bytes, end.next_seq)?;
            self.report.warnings.push(format!(
                "{bytes} bytes after op {} were left by a crash; they are kept in {}",
                end.next_seq - 1,
                path.display()
            ));
            (self.report.cut_bytes, self.report.cut_file) = (bytes, Some(path));
        }
        Ok(())
    }

    /// Writes what nobody has seen synced once more: a sync may have failed in a process before.
    fn rewrite_unsure(&self, state: &State) -> Result<()> {
        let end_bytes = state.log.len_bytes();
        // Without a `LOCK` only the last line may have been given its newline.
        let mut sure_bytes = self.durable_bytes.unwrap_or(end_bytes.saturating_sub(1));
        // What was synced before a repair that was not acknowledged is not what stands there now.
        if let Some(Standing { cut, .. }) = Standing::of(state)?
            && cut.synced_bytes == self.durable_bytes
        {
            sure_bytes = sure_bytes.min(cut.offset_bytes);
        }
        if sure_bytes < end_bytes { self.directory.rewrite_log(sure_bytes) } else { Ok(()) }
    }

    /// A crash leaves lines that are not well-formed, and only where nothing was acknowledged.
    fn is_crash_tail(&self, end: &ReplayEnd, fault: &Fault) -> bool {
        let Fault::NotWellFormed(_) = fault else { return false };
        match self.durable_bytes {
            Some(durable_bytes) => end.offset_bytes >= durable_bytes,
            None => end.is_last_line,
        }
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
pub(super) fn readable_bytes(
    directory: &Directory,
    synced_bytes: Option<u64>,
    len_bytes: u64,
) -> u64 {
    match synced_bytes {
        Some(synced_bytes) if directory.is_locked() => synced_bytes.min(len_bytes),
        _ => len_bytes,
    }
}
