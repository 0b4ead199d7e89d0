//! A plain database, encrypted in place.
//!
//! In: a directory, locked, and what is to protect it. Out: the same ops in an encrypted log, and one more
//! that says so; no plain text is left.
//!
//! Invariants:
//! * A crash anywhere leaves the whole plain database or the whole encrypted one (`store/sealing`).
//! * Nothing is decided before the encrypted log was read again and found to have the head of the plain one.

use super::note::{NOTE_CONTEXT, report_encrypted};
use crate::blob::{ChunkStore, FrameCache, Manifest, encrypt_packs, packs_bytes};
use crate::crypto::{Protection, Sealed};
use crate::db::files::FileDamage;
use crate::db::open_report::OpenReport;
use crate::db::options::{Options, Progress};
use crate::db::restore::{Opening, check_copy, replay_into};
use crate::error::{Error, Result};
use crate::hash::ZERO_HASH;
use crate::log::{Header, LogReader, encode_line};
use crate::op::{Items, Nonce, OpKind, Seq};
use crate::store::{Directory, LogBytes, StoredFile};
use crate::views::State;
use memchr::memchr;
use std::sync::Arc;

/// Who encrypting in place writes as.
const ENCRYPT_CLIENT: &str = "__encrypt__";
/// How much is read and written at once.
const CHUNK_BYTES: usize = 4 << 20;

/// Encrypts a plain database, with `key_file` as its wrapped key.
///
/// Cost: what opening costs, and a second log and second packs on the disk meanwhile.
/// Errors: `IntegrityError` when the log is damaged, or a file of which encrypting would remove the rest;
/// `StorageError`; what `progress` returns. The database is the plain one then, or the encrypted one where the
/// error came after that was decided.
pub(in crate::db) fn encrypt_in_place(
    directory: &Directory,
    protection: &Protection,
    key_file: &str,
    options: &Options,
    report: &mut OpenReport,
) -> Result<()> {
    let Some(sealed) = protection.as_sealed() else { return Ok(()) };
    let state = read_plain(directory, report)?;
    if let Err(error) = write_aside(directory, protection, sealed, &state, options) {
        // Whoever has ended it wants what was written aside gone, and a full disk its room; else the next opening
        // drops it.
        let _dropped_or_not = directory.roll_back_sealing();
        return Err(error);
    }
    let removed = directory.kept_beside_log()?;
    let note = protection.seal_text(NOTE_CONTEXT, &removed.join("\n"))?;
    directory.write_encryption_note(note.as_bytes())?;
    directory.commit_sealing(key_file.as_bytes())?;
    directory.finish_sealing()?;
    report_encrypted(directory, report, &removed)
}

/// Writes everything that is needed aside, encrypted and synced, and checks it.
fn write_aside(
    directory: &Directory,
    protection: &Protection,
    sealed: &Sealed,
    state: &State,
    options: &Options,
) -> Result<()> {
    let all_bytes = state.log.len_bytes() + packs_bytes(directory)?;
    let mut told = Told { progress: options.progress.as_ref(), done_bytes: 0, all_bytes };
    let file = directory.create_sealing_log()?;
    let mut work = Work { state, sealed, file: &*file, lines: Lines::default() };
    work.copy_lines(&mut told)?;
    let (head, op_count) = work.append_note(options)?;
    file.sync().map_err(writing)?;
    check_copy(&*file, protection, &head, op_count)?;
    for (name, bytes) in directory.read_texts()? {
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::integrity(format!("{name} is damaged: it is not UTF-8")))?;
        let sealed = protection.seal_text(name.as_bytes(), &text)?;
        directory.write_sealing_text(name, sealed.as_bytes())?;
    }
    match encrypt_packs(directory, protection, &mut |bytes| told.add(bytes))? {
        true => check_files(directory, state),
        false => Ok(()),
    }
}

/// Who is told how far it has come: through the log, and then through the packs.
struct Told<'a> {
    progress: Option<&'a Progress>,
    done_bytes: u64,
    all_bytes: u64,
}

impl Told<'_> {
    /// Tells of bytes that are done.
    fn add(&mut self, bytes: u64) -> Result<()> {
        self.done_bytes += bytes;
        match self.progress {
            Some(progress) if bytes > 0 => progress(self.done_bytes, self.all_bytes),
            _ => Ok(()),
        }
    }
}

/// Checks that every file can be read, where a pack has bytes that will be gone: they may be what is left of
/// one, and somebody may mend it.
///
/// Cost: every chunk is read and hashed. Errors: `IntegrityError`, `StorageError`.
fn check_files(directory: &Directory, state: &State) -> Result<()> {
    let store = ChunkStore::new(directory.clone(), Arc::new(Protection::Plain), false);
    let mut cache = FrameCache::new()?;
    for (name, version) in state.views.files.all() {
        let Some(content) = &version.content else { continue };
        let refused = |chunk, error: Error| {
            let damage = FileDamage::new(name, version, chunk, &error);
            let way = "encrypting would remove what is left of it; mend its pack, or encrypt a backup that \
                       leaves it out (skip_damaged_files)";
            Error::new(error.code(), format!("{damage}; {way}"))
        };
        let listed = store.chunk(&content.manifest, &mut cache);
        let manifest = listed.and_then(|bytes| Manifest::decode(&bytes));
        let leaves = manifest.map_err(|error| refused(None, error))?.leaves;
        for (place, leaf) in leaves.iter().enumerate() {
            let read = store.with_chunk(leaf, &mut cache, |_| ());
            read.map_err(|error| refused(Some(place), error))?;
        }
    }
    Ok(())
}

/// Folds the plain log; cuts what a crash left at its end, as every opening does.
fn read_plain(directory: &Directory, report: &mut OpenReport) -> Result<State> {
    let durable_bytes = directory.durable_bytes();
    let file = directory.open_log(true)?;
    let bytes = Arc::clone(&file) as Arc<dyn LogBytes>;
    let mut state = State::new(LogReader::disk(bytes, 0, Arc::new(Protection::Plain)));
    let len_bytes = file.len_bytes().map_err(|error| Error::storage("read the log", error))?;
    let end = replay_into(&mut state, &*file, len_bytes, &mut |_| Ok(()))?;
    let mut opening = Opening {
        directory: directory.clone(),
        file,
        report: std::mem::take(report),
        durable_bytes,
        len_bytes,
    };
    opening.settle_tail(&end, &state, true)?;
    *report = opening.report;
    // What was cut is removed with all other plain text, and no longer to be found.
    report.cut_file = None;
    match report.damage.take() {
        None => Ok(state),
        Some(damage) => Err(Error::integrity(format!(
            "the log is damaged at op {}: {}; open the database without a key and repair() it before it is \
             encrypted",
            damage.seq, damage.reason
        ))),
    }
}

/// Sealed lines that are not written yet.
#[derive(Default)]
struct Lines {
    next_seq: Seq,
    scratch: Vec<u8>,
    sealed: String,
}

struct Work<'a> {
    state: &'a State,
    sealed: &'a Sealed,
    file: &'a dyn StoredFile,
    lines: Lines,
}

impl Work<'_> {
    /// Writes every line of the plain log into the encrypted one.
    fn copy_lines(&mut self, told: &mut Told<'_>) -> Result<()> {
        let end_bytes = self.state.log.len_bytes();
        let mut buffer = Vec::new();
        let mut read_bytes = 0;
        while read_bytes < end_bytes {
            let wanted = (end_bytes - read_bytes).min(CHUNK_BYTES as u64) as usize;
            let held = buffer.len();
            self.state.log.read_bytes(read_bytes, wanted, &mut buffer)?;
            if buffer.len() == held {
                return Err(Error::integrity("the log became shorter while it was encrypted"));
            }
            let fresh_bytes = (buffer.len() - held) as u64;
            read_bytes += fresh_bytes;
            let whole = self.seal_lines(&buffer)?;
            buffer.drain(..whole);
            self.write()?;
            told.add(fresh_bytes)?;
        }
        Ok(())
    }

    /// Seals the whole lines of a piece; returns how long they are together.
    fn seal_lines(&mut self, piece: &[u8]) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = piece.get(done..) {
            let Some(line) = memchr(b'\n', rest).and_then(|at| rest.get(..at)) else { break };
            self.seal_line(line)?;
            done += line.len() + 1;
        }
        Ok(done)
    }

    fn seal_line(&mut self, line: &[u8]) -> Result<()> {
        let Lines { next_seq, scratch, sealed } = &mut self.lines;
        self.sealed.seal_line(*next_seq, line, scratch, sealed)?;
        sealed.push('\n');
        *next_seq += 1;
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.file.append(self.lines.sealed.as_bytes()).map_err(writing)?;
        self.lines.sealed.clear();
        Ok(())
    }

    /// Appends an op that says that those before it were plain; returns the head and how many ops there are.
    fn append_note(&mut self, options: &Options) -> Result<(String, u64)> {
        let op_count = self.state.log.op_count() as u64;
        if op_count == 0 {
            return Ok((ZERO_HASH.to_owned(), 0));
        }
        let last = self.state.views.clients.last_nonce(ENCRYPT_CLIENT).unwrap_or(Nonce::Integer(0));
        let header = Header {
            seq: self.state.views.seq + 1,
            client: ENCRYPT_CLIENT,
            nonce: i64::try_from(last.next()).unwrap_or(i64::MAX),
            ts: options.clock.now_seconds(),
            ..Header::default()
        };
        let mut items = Items::of(OpKind::Encrypt { plain_op_count: op_count });
        let mut line = String::new();
        let hash =
            encode_line(&header, &mut items, &self.state.head, &mut String::new(), &mut line)?;
        self.seal_line(line.trim_end_matches('\n').as_bytes())?;
        self.write()?;
        Ok((hash, op_count + 1))
    }
}

fn writing(error: std::io::Error) -> Error {
    Error::storage("write the encrypted log", error)
}
