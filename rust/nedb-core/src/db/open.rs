//! A directory, or memory, as a database.
//!
//! In: a path. Out: a database whose views are folded from its log.
//!
//! Invariants:
//! * Only a crash tail is ever cut, and what is cut is kept beside the log.
//! * A line that no crash leaves is damage: the database opens for reading, up to that line.

use super::commit::{Writer, sync_periodically, tail_of};
use super::options::{Durability, Options};
use super::watch::Watch;
use super::{Database, Inner, check};
use crate::blob::ChunkStore;
use crate::crypto::Protection;
use crate::error::{Error, ErrorCode, Result};
use crate::fold::fold;
use crate::hash::ZERO_HASH;
use crate::json::{Path as FieldPath, elements, members, string_text, write_string};
use crate::log::{Damage, Fault, LogReader, ReplayEnd, ReplayStart, replay};
use crate::op::Seq;
use crate::snapshot::IndexKind;
use crate::store::{
    CutFile, Directory, Disk, FileSystem, LogBytes, LogFile, LogStore, MemoryFiles, StoredFile,
};
use crate::views::State;
use crate::views::index::CollectionIndexes;
use parking_lot::{Condvar, Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

/// What opening a database found.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    /// How many ops the log holds.
    pub op_count: u64,
    /// How many bytes of a crash tail were cut; 0 after a clean stop.
    pub cut_bytes: u64,
    /// Where they are kept.
    pub cut_file: Option<PathBuf>,
    /// Why the database opened for reading only, if it did.
    pub damage: Option<Damage>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl OpenReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"cut_bytes\":{},\"cut_file\":", self.cut_bytes);
        match &self.cut_file {
            Some(path) => write_string(&path.to_string_lossy(), &mut out),
            None => out.push_str("null"),
        }
        out.push_str(",\"damage\":");
        write_damage(self.damage.as_ref(), &mut out);
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
    /// Errors: `InvalidArgument` when the options ask for reading only.
    pub fn in_memory(options: Options) -> Result<Database> {
        if options.read_only {
            return Err(Error::invalid("a database in memory cannot be opened read-only"));
        }
        let state = State::new(LogReader::memory());
        let writer = Writer::memory(tail_of(&state));
        let files = Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true)?;
        let chunks = ChunkStore::new(files, Arc::new(Protection::Plain), true);
        Ok(Database::assemble(state, writer, options, (None, chunks), OpenReport::default()))
    }

    /// Opens the database in a directory; a writer creates it if need be.
    ///
    /// After a crash what had not been acknowledged may be cut from the end of the log; it is kept in
    /// `log.aof.cut-<seq>`, and `open_report` says so. A damaged log opens for reading, up to the
    /// damage. A directory of NEDB 1.x opens as it is.
    ///
    /// Cost: one pass over the log. Errors: `DatabaseLocked`, `KeyRequired`, `StorageError`,
    /// `IntegrityError` when `meta.json` is no index definition.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Database> {
        Database::open_in(Arc::new(Disk), path.as_ref(), options)
    }

    /// Opens the database in a directory of a file system.
    ///
    /// Errors: as `open`.
    pub(super) fn open_in(
        files: Arc<dyn FileSystem>,
        path: &Path,
        options: Options,
    ) -> Result<Database> {
        let for_writing = !options.read_only;
        let directory = Directory::open(files, path, for_writing)?;
        if directory.has_key_file() {
            return Err(key_required(&directory));
        }
        let lock = if for_writing { Some(directory.lock()?) } else { None };
        // A writer that is about to stop may still say more until the lock is ours.
        let durable_bytes = directory.durable_bytes();
        let file = directory.open_log(for_writing)?;
        let reader = LogReader::disk(Arc::clone(&file) as Arc<dyn LogBytes>, options.cache_bytes);
        let mut state = State::new(reader);
        let mut report = OpenReport::default();
        read_index_definitions(&directory, &mut state, &mut report)?;
        let len_bytes = file.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let end_bytes = match options.read_only {
            true => readable_bytes(&directory, durable_bytes, len_bytes),
            false => len_bytes,
        };
        let end = replay_into(&mut state, &*file, end_bytes)?;
        if matches!(end.fault, Some(Fault::Encrypted)) {
            return Err(key_required(&directory));
        }
        let mut opening = Opening { directory, file, report, durable_bytes, len_bytes };
        opening.settle_tail(&end, for_writing)?;
        let Opening { directory, file, mut report, .. } = opening;
        report.op_count = state.log.op_count() as u64;
        let writer = match (lock, &report.damage) {
            (None, _) => Writer::refusing(check::opened_read_only(), tail_of(&state)),
            (Some(_), Some(damage)) => Writer::refusing(check::damaged(damage), tail_of(&state)),
            (Some(lock), None) => {
                let mut store = LogFile::new(file, lock, state.log.len_bytes());
                store.sync().map_err(|error| Error::storage("sync the log", error))?;
                Writer::disk(Box::new(store), tail_of(&state))
            }
        };
        let chunks = ChunkStore::new(directory.clone(), Arc::new(Protection::Plain), for_writing);
        let place = (Some(directory), chunks);
        let database = Database::assemble(state, writer, options, place, report);
        if let Durability::Interval { milliseconds } = database.inner.options.durability {
            sync_periodically(&database.inner, milliseconds)
                .map_err(|error| Error::storage("start the thread that syncs", error))?;
        }
        Ok(database)
    }

    /// Returns what opening found: how many ops, what was cut, what is damaged.
    pub fn open_report(&self) -> OpenReport {
        self.inner.report.lock().clone()
    }

    /// Reads on in a database that was opened read-only: what a writer has synced since. Returns seq.
    ///
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError` when the log is damaged after what
    /// was read before.
    pub fn refresh(&self) -> Result<Seq> {
        let writer = self.inner.writer.lock();
        let mut state = self.inner.state.write();
        self.inner.check_open()?;
        let (Some(directory), true) = (&self.inner.directory, self.inner.options.read_only) else {
            return Ok(state.views.seq);
        };
        let Some(bytes) = state.log.disk_bytes().map(Arc::clone) else {
            return Ok(state.views.seq);
        };
        // In this order: a length seen first may end within a batch that is synced a moment later.
        let synced_bytes = directory.durable_bytes();
        let len_bytes = bytes.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let end_bytes = readable_bytes(directory, synced_bytes, len_bytes);
        let end = replay_into(&mut state, bytes.as_ref(), end_bytes)?;
        drop(writer);
        match end.fault {
            None => Ok(state.views.seq),
            // Without a `LOCK` to say so, the end of the file may be a line that is being written.
            Some(Fault::NotWellFormed(_)) if synced_bytes.is_none() && end.is_last_line => {
                Ok(state.views.seq)
            }
            Some(fault) => Err(Error::integrity(format!(
                "the log is damaged at op {}: {}",
                end.next_seq,
                fault.reason()
            ))),
        }
    }

    fn assemble(
        state: State,
        writer: Writer,
        options: Options,
        (directory, chunks): (Option<Directory>, ChunkStore),
        report: OpenReport,
    ) -> Database {
        let seq = state.views.seq;
        Database {
            inner: Arc::new(Inner {
                state: RwLock::new(state),
                writer: Mutex::new(writer),
                progress: Condvar::new(),
                durable_seq: AtomicI64::new(seq),
                options,
                directory,
                chunks: Arc::new(chunks),
                legacy: Mutex::new(None),
                is_closed: AtomicBool::new(false),
                report: Mutex::new(report),
                watch: Watch::default(),
            }),
        }
    }
}

/// What is known while a directory is being opened.
struct Opening {
    directory: Directory,
    file: Arc<dyn StoredFile>,
    report: OpenReport,
    durable_bytes: Option<u64>,
    len_bytes: u64,
}

impl Opening {
    /// Decides what the end of the replay was: the end of the log, a crash tail, or damage.
    fn settle_tail(&mut self, end: &ReplayEnd, for_writing: bool) -> Result<()> {
        if let Some((seq, key)) = &end.uncovered {
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

    /// A crash leaves lines that are not well-formed, and only where nothing was acknowledged.
    fn is_crash_tail(&self, end: &ReplayEnd, fault: &Fault) -> bool {
        let Fault::NotWellFormed(_) = fault else { return false };
        match self.durable_bytes {
            Some(durable_bytes) => end.offset_bytes >= durable_bytes,
            None => end.is_last_line,
        }
    }
}

/// Returns how far a reader may read: beside a writer what is synced, else all there is.
///
/// `len_bytes` must have been looked up before: a writer that begins later appends after it.
fn readable_bytes(directory: &Directory, synced_bytes: Option<u64>, len_bytes: u64) -> u64 {
    match synced_bytes {
        Some(synced_bytes) if directory.is_locked() => synced_bytes.min(len_bytes),
        _ => len_bytes,
    }
}

/// Folds the rest of a log into a state.
pub(super) fn replay_into(
    state: &mut State,
    bytes: &dyn LogBytes,
    end_bytes: u64,
) -> Result<ReplayEnd> {
    let start = ReplayStart {
        offset_bytes: state.log.len_bytes(),
        next_seq: state.views.seq + 1,
        head: if state.views.seq < 0 { ZERO_HASH.to_owned() } else { state.head.clone() },
    };
    let State { views, log, head } = state;
    let end = replay(bytes, start, end_bytes, &mut |step| {
        log.push_line_bytes(step.line_bytes);
        fold(views, &step.op);
        Ok(())
    })?;
    *head = end.head.clone();
    Ok(end)
}

/// Reads `meta.json`: `{"indexes": [[collection, field, kind], ...]}`.
fn read_index_definitions(
    directory: &Directory,
    state: &mut State,
    report: &mut OpenReport,
) -> Result<()> {
    let Some(text) = directory.read_meta()? else { return Ok(()) };
    let canonical = crate::json::canonicalize(&text)
        .map_err(|error| Error::integrity(format!("meta.json is damaged: {}", error.message())))?;
    let list = members(&canonical).find(|(key, _)| *key == "indexes").map_or("[]", |(_, it)| it);
    for definition in elements(list) {
        let parts: Vec<_> = elements(definition).filter_map(string_text).collect();
        let kind = parts.get(2).map(|kind| IndexKind::parse(kind));
        match (parts.as_slice(), kind) {
            ([collection, field, _], Some(Ok(kind))) => {
                add_index(state, collection, FieldPath::parse(field), kind);
            }
            _ => report.warnings.push(format!(
                "meta.json names an index that is none, {definition}; it is ignored"
            )),
        }
    }
    Ok(())
}

/// Adds an empty index to a state that nothing was folded into.
fn add_index(state: &mut State, collection: &str, path: FieldPath, kind: IndexKind) {
    let collection = state.views.documents.add_collection(collection);
    match state.views.indexes.of_mut(collection) {
        Some(indexes) => {
            indexes.add(kind, path);
        }
        None => {
            let mut indexes = CollectionIndexes::default();
            indexes.add(kind, path);
            state.views.indexes.replace(collection, indexes);
        }
    }
}

fn key_required(directory: &Directory) -> Error {
    Error::new(
        ErrorCode::KeyRequired,
        format!("{} is encrypted; this version opens plain databases", directory.path().display()),
    )
}
