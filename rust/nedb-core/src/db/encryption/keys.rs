//! Which key opens a directory, and whether it is encrypted, will be, or must not be opened.
//!
//! In: a directory, the key and the wishes of the options. Out: its protection; or `KeyRequired`,
//! `WrongKey`, `PlainDatabase`, `InvalidArgument`, before anything is written.
//!
//! Invariants:
//! * A directory with a `key.enc` is encrypted, and one without is plain: nothing else decides.

use super::in_place::encrypt_in_place;
use super::note::{NOTE_CONTEXT, report_encrypted};
use crate::crypto::{
    DataKey, Protection, Randomness, SystemRandomness, Tmk, is_envelope, unwrap_key, wrap_key,
};
use crate::db::database::Database;
use crate::db::open_report::OpenReport;
use crate::db::options::Options;
use crate::db::restore::{META_CONTEXT, read_meta};
use crate::error::{Error, ErrorCode, Result};
use crate::store::{Directory, Disk, FileSystem, process_id};
use std::path::Path;
use std::sync::Arc;

/// What a directory is to whoever opens it.
enum Found {
    Plain,
    Encrypted(DataKey),
    /// Nothing was ever written, and it is to be encrypted.
    New,
    /// Plain, and to be encrypted in place.
    ToEncrypt,
}

/// Checks that a directory can be opened with a key or without one. Nothing is written.
///
/// Errors: `KeyRequired`, `WrongKey`, `PlainDatabase`; `InvalidArgument` for a key too short to encrypt
/// something; `IntegrityError` when `key.enc` is damaged; `StorageError`.
pub(in crate::db) fn check(
    files: &Arc<dyn FileSystem>,
    path: &Path,
    options: &Options,
) -> Result<()> {
    if options.read_only && !files.is_directory(path) {
        // Whoever opens it says so.
        return Ok(());
    }
    look(&Directory::at(Arc::clone(files), path)?, options).map(|_| ())
}

fn look(directory: &Directory, options: &Options) -> Result<Found> {
    let path = directory.path().display();
    match (directory.read_key_file()?, &options.tmk) {
        (Some(_), None) => Err(key_required(directory)),
        (Some(text), Some(tmk)) => unwrap_key(&text, tmk).map(Found::Encrypted),
        (None, None) => Ok(Found::Plain),
        (None, Some(_)) if options.read_only => Err(Error::new(
            ErrorCode::PlainDatabase,
            format!(
                "{path} is not encrypted, and read-only nothing is; open it for writing to encrypt it, \
                 or without a key"
            ),
        )),
        (None, Some(tmk)) => {
            tmk.check_long_enough()?;
            match directory.read_log_front()? {
                None => Ok(Found::New),
                // A new key.enc would be the end of it.
                Some(front) if is_envelope(&front) => Err(Error::integrity(format!(
                    "{path} is encrypted, and its key.enc is missing; without it nobody can read it"
                ))),
                Some(_) if options.encrypt_existing => Ok(Found::ToEncrypt),
                Some(_) => Err(Error::new(
                    ErrorCode::PlainDatabase,
                    format!(
                        "{path} is not encrypted; open it without a key, or let it be encrypted in place \
                         (encrypt_existing)"
                    ),
                )),
            }
        }
    }
}

/// Makes a directory what the options want it to be, and returns its protection; a writer holds its lock.
///
/// Errors: as `check`.
pub(in crate::db) fn unlock(
    directory: &Directory,
    options: &Options,
    report: &mut OpenReport,
) -> Result<Protection> {
    let sealed = |key| Protection::sealed(key, Arc::clone(&options.randomness), process_id);
    match look(directory, options)? {
        Found::Plain => {
            if !options.read_only {
                directory.roll_back_sealing()?;
            }
            Ok(Protection::Plain)
        }
        Found::Encrypted(key) => {
            let protection = sealed(key);
            finish_interrupted(directory, &protection, options, report)?;
            Ok(protection)
        }
        Found::New => {
            directory.roll_back_sealing()?;
            let key = DataKey::draw(&*options.randomness)?;
            directory.write_key_file(wrapped(&key, options)?.as_bytes())?;
            Ok(sealed(key))
        }
        Found::ToEncrypt => {
            directory.roll_back_sealing()?;
            let key = DataKey::draw(&*options.randomness)?;
            let protection = sealed(key.clone());
            let key_file = wrapped(&key, options)?;
            encrypt_in_place(directory, &protection, &key_file, options, report)?;
            Ok(protection)
        }
    }
}

fn wrapped(key: &DataKey, options: &Options) -> Result<String> {
    match &options.tmk {
        Some(tmk) => wrap_key(key, tmk, &*options.randomness),
        None => Err(Error::invalid("there is no key to encrypt with")),
    }
}

/// Goes on with an encryption in place that was interrupted after it had been decided; where only the answer did not
/// come any more, gives it.
fn finish_interrupted(
    directory: &Directory,
    protection: &Protection,
    options: &Options,
    report: &mut OpenReport,
) -> Result<()> {
    let is_unfinished = directory.is_sealing_unfinished();
    if !is_unfinished && (options.read_only || !directory.has_encryption_note()) {
        return Ok(());
    }
    let front = directory.read_log_front()?.unwrap_or_default();
    let note = directory.read_encryption_note()?;
    let told = match &note {
        Some(bytes) => protection.open_text(NOTE_CONTEXT, bytes).ok().flatten(),
        None => None,
    };
    let is_ours = if note.is_some() { told.is_some() } else { !front.is_empty() };
    if is_unfinished && (is_envelope(&front) || !is_ours) {
        // The plain log is the last to give way: an encrypted one was put in its place by somebody else, who
        // restored a backup here, say. What was written aside belongs to another key, or to another state.
        return if options.read_only { Ok(()) } else { directory.roll_back_sealing() };
    }
    if options.read_only {
        return Err(Error::new(
            ErrorCode::PlainDatabase,
            format!(
                "{} is being encrypted, or that was interrupted; open it for writing to finish it",
                directory.path().display()
            ),
        ));
    }
    let removed = match &told {
        Some(names) => names.lines().map(str::to_owned).collect(),
        None => directory.kept_beside_log()?,
    };
    if is_unfinished {
        // The name that decides may not be on the disk: the attempt before may have failed to sync it. Without it
        // no other file may change.
        directory.sync("")?;
        directory.finish_sealing()?;
    } else if told.is_none() {
        directory.drop_encryption_note();
        return Ok(());
    }
    report_encrypted(directory, report, &removed)
}

/// Seals a `meta.json` that NEDB 1.x left plain in an encrypted database.
///
/// Errors: as `read_meta`.
pub(in crate::db) fn seal_plain_meta(
    directory: &Directory,
    protection: &Protection,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let is_sealed = directory.read_meta()?.is_none_or(|bytes| is_envelope(&bytes));
    if is_sealed || protection.as_sealed().is_none() {
        return Ok(());
    }
    if let Some(text) = read_meta(directory, protection)? {
        directory.write_meta(protection.seal_text(META_CONTEXT, &text)?)?;
        warnings.push("NEDB 1.x had left meta.json plain; it is encrypted now".to_owned());
    }
    Ok(())
}

/// Makes the refusal of an encrypted database without a key.
pub(in crate::db) fn key_required(directory: &Directory) -> Error {
    Error::new(
        ErrorCode::KeyRequired,
        format!("{} is encrypted; open it with its key (tmk)", directory.path().display()),
    )
}

/// Wraps the data key of a database, which nobody has open for writing, with another key: from then on
/// only the new one opens it. Nothing else changes, whatever its size.
///
/// Who kept an old `key.enc` and has its key can still read the database.
///
/// Where `new` opens it already, as after a call that failed late, the key is wrapped once more.
///
/// Errors: `WrongKey` when neither opens it, `InvalidArgument` when `new` is shorter than 16 bytes,
/// `PlainDatabase` when it is not encrypted, `DatabaseLocked`; it is as it was then. `StorageError`: one of the two
/// keys opens it, and it may be called again.
pub fn rewrap_key(path: impl AsRef<Path>, old: &Tmk, new: &Tmk) -> Result<()> {
    let directory = Directory::open(Arc::new(Disk), path.as_ref(), false)?;
    check_rewrap(&directory, old, new)?;
    let _held = directory.lock()?;
    rewrap(&directory, old, new, &SystemRandomness)
}

fn check_rewrap(directory: &Directory, old: &Tmk, new: &Tmk) -> Result<DataKey> {
    new.check_long_enough()?;
    let Some(text) = directory.read_key_file()? else {
        return Err(Error::new(
            ErrorCode::PlainDatabase,
            format!("{} is not encrypted: it has no key to change", directory.path().display()),
        ));
    };
    match unwrap_key(&text, old) {
        // An attempt that failed late may have changed it: asked for again, it is done again, and synced.
        Err(error) if error.code() == ErrorCode::WrongKey => {
            unwrap_key(&text, new).map_err(|_| error)
        }
        unwrapped => unwrapped,
    }
}

fn rewrap(directory: &Directory, old: &Tmk, new: &Tmk, random: &dyn Randomness) -> Result<()> {
    let key = check_rewrap(directory, old, new)?;
    let text = wrap_key(&key, new, random)?;
    // A key that nothing unwraps any more would be the end of the database.
    unwrap_key(text.as_bytes(), new)?;
    directory.write_key_file(text.as_bytes())
}

impl Database {
    /// Wraps the data key with another key: from then on only the new one opens the database. Nothing else
    /// changes, whatever its size, and this handle goes on.
    ///
    /// Where `new` opens it already, as after a call that failed late, the key is wrapped once more.
    ///
    /// Errors: `WrongKey` when neither opens it, `InvalidArgument` when `new` is shorter than 16 bytes,
    /// `PlainDatabase` when it is not encrypted, `ReadOnly`, `DatabaseClosed`, `DatabaseLocked` in a fork; it is as
    /// it was then.
    /// `StorageError`: one of the two keys opens it, and it may be called again.
    pub fn rewrap_key(&self, old: &Tmk, new: &Tmk) -> Result<()> {
        self.inner.engine.check_process()?;
        let barrier = self.inner.engine.barrier();
        barrier.check_takes_writes()?;
        let Some(directory) = &self.inner.directory else {
            return Err(Error::new(
                ErrorCode::PlainDatabase,
                "a database in memory is not encrypted",
            ));
        };
        rewrap(directory, old, new, &*self.inner.options.randomness)
    }

    /// Tells whether what is on the disk is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.inner.protection.as_sealed().is_some()
    }
}
