//! How the files of a plain database give way to encrypted ones.
//!
//! In: encrypted files, written beside the plain ones. Out: the encrypted ones in their place.
//!
//! Every file that is needed is written to `<name>.sealing`, the wrapped key to `key.enc.sealing`, and all
//! are synced. Then `key.enc.sealing` is renamed to `key.enc`: that decides. Before it the database is the
//! plain one, and what was written aside is dropped at the next opening; after it the database is the
//! encrypted one, and the next opening finishes what is left. A note, sealed with the new key, is there from before
//! that until whoever has opened the database was told: it says what is removed, and whose the files are.
//!
//! Invariants:
//! * As long as there is a `log.aof.sealing` beside a `key.enc` and a plain log, encrypting is not finished;
//!   the log is the last to be renamed, once nothing else in plain text is left.

use super::directory::{
    BLOBS_NAME, Directory, KEY_FILE_NAME, LEGACY_STATE_FILE_NAME, LOG_FILE_NAME, META_FILE_NAME,
    SYNCED_NAME,
};
use super::filesystem::{OpenHow, StoredFile};
use super::lock::FILE_NAME as LOCK_FILE_NAME;
use crate::error::{Error, ErrorCode, Result};
use std::sync::Arc;

/// How much of a log tells of which form its first line is.
const FRONT_BYTES: usize = 64;
/// What follows the name of a file that is to take another's place.
const SUFFIX: &str = ".sealing";
/// Says that the database was plain, as long as nobody may have been told.
const NOTE_FILE_NAME: &str = "encryption.note";
/// Files that are encrypted as one text.
const TEXT_FILE_NAMES: [&str; 2] = [META_FILE_NAME, LEGACY_STATE_FILE_NAME];
/// How the names of files begin that hold plain text and are not needed: derived from the log, cut off it,
/// or left by a crash, also one of NEDB 1.x.
const REMAINS: [&str; 9] = [
    "log.aof.cut-",
    "log.aof.damaged-",
    "log.aof.repaired",
    "log.aof.enc_tmp",
    "log.aof.heal_tmp",
    "checkpoint.",
    "meta.json.new",
    "key.enc.new",
    "encryption.note.new",
];
/// The files of an encrypted database.
const OWN_NAMES: [&str; 8] = [
    LOG_FILE_NAME,
    META_FILE_NAME,
    KEY_FILE_NAME,
    LOCK_FILE_NAME,
    NOTE_FILE_NAME,
    LEGACY_STATE_FILE_NAME,
    BLOBS_NAME,
    SYNCED_NAME,
];

impl Directory {
    /// Reads the wrapped data key, or None where the database is plain.
    ///
    /// Errors: `StorageError`.
    pub fn read_key_file(&self) -> Result<Option<Vec<u8>>> {
        self.read(KEY_FILE_NAME)
    }

    /// Replaces the wrapped data key.
    ///
    /// Errors: `StorageError`; the old one is whole then.
    pub fn write_key_file(&self, text: &[u8]) -> Result<()> {
        self.replace(KEY_FILE_NAME, text)
    }

    /// Reads the first bytes of the log, at most as many as a line's form shows in; None where nothing was
    /// ever written.
    ///
    /// Errors: `StorageError`.
    pub fn read_log_front(&self) -> Result<Option<Vec<u8>>> {
        let mut front = vec![0; FRONT_BYTES];
        let count = match self.exists(LOG_FILE_NAME) {
            false => 0,
            true => self
                .open_file(LOG_FILE_NAME, OpenHow::Read)?
                .read_at(0, &mut front)
                .map_err(|error| Error::storage("read the log at byte 0", error))?,
        };
        front.truncate(count);
        let is_new = front.is_empty() && !TEXT_FILE_NAMES.iter().any(|name| self.exists(name));
        Ok((!is_new).then_some(front))
    }

    /// Reads the files that are encrypted as one text: their names, and what stands in them.
    ///
    /// Errors: `StorageError`.
    pub fn read_texts(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let read = |name: &&'static str| Ok(self.read(name)?.map(|bytes| (*name, bytes)));
        TEXT_FILE_NAMES.iter().filter_map(|name| read(name).transpose()).collect()
    }

    /// Creates the log that is to take the place of the plain one.
    ///
    /// Errors: `StorageError`.
    pub fn create_sealing_log(&self) -> Result<Arc<dyn StoredFile>> {
        self.create_sealing(LOG_FILE_NAME)
    }

    /// Creates a file that is to take the place of a plain one.
    ///
    /// Errors: `StorageError`.
    pub fn create_sealing(&self, name: &str) -> Result<Arc<dyn StoredFile>> {
        self.open_file(&format!("{name}{SUFFIX}"), OpenHow::CreateNew)
    }

    /// Writes a text that is to take the place of a plain one, synced.
    ///
    /// Errors: `StorageError`.
    pub fn write_sealing_text(&self, name: &str, text: &[u8]) -> Result<()> {
        let file = self.create_sealing(name)?;
        file.append(text)
            .and_then(|()| file.sync())
            .map_err(|error| Error::storage(format!("write {name}{SUFFIX}"), error))
    }

    /// Makes the encrypted files that were written aside the database, once all of them are synced.
    ///
    /// Errors: `StorageError`; whether the database is encrypted is then decided at the next opening.
    pub fn commit_sealing(&self, key_file: &[u8]) -> Result<()> {
        self.write_sealing_text(KEY_FILE_NAME, key_file)?;
        // All names must be there before the one that decides.
        if self.exists(BLOBS_NAME) {
            self.sync(BLOBS_NAME)?;
        }
        self.sync("")?;
        self.rename(&format!("{KEY_FILE_NAME}{SUFFIX}"), KEY_FILE_NAME)
    }

    /// Tells whether the database is encrypted and a log still waits to take the plain one's place; where the
    /// log is encrypted already, that one is another database's.
    pub fn is_sealing_unfinished(&self) -> bool {
        self.exists(KEY_FILE_NAME) && self.exists(&format!("{LOG_FILE_NAME}{SUFFIX}"))
    }

    /// Puts the encrypted files in the place of the plain ones and removes every other plain text.
    ///
    /// It may be interrupted anywhere and called again. Errors: `StorageError`.
    pub fn finish_sealing(&self) -> Result<()> {
        for name in self.sealing_names()?.iter().filter(|name| *name != LOG_FILE_NAME) {
            self.rename(&format!("{name}{SUFFIX}"), name)?;
        }
        for name in self.remains()? {
            self.remove(&name)?;
        }
        // Names that an interrupted attempt has renamed are none of those above, and may not be synced.
        if self.exists(BLOBS_NAME) {
            self.sync(BLOBS_NAME)?;
        }
        self.sync("")?;
        self.rename(&format!("{LOG_FILE_NAME}{SUFFIX}"), LOG_FILE_NAME)
    }

    /// Returns the names of files that are removed with the plain log.
    fn remains(&self) -> Result<Vec<String>> {
        let is_one = |name: &String| REMAINS.iter().any(|front| name.starts_with(front));
        Ok(self.list("")?.into_iter().filter(is_one).collect())
    }

    /// Returns the names of files that are removed with the plain log and were not derived from it.
    ///
    /// Errors: `StorageError`.
    pub fn kept_beside_log(&self) -> Result<Vec<String>> {
        let is_one = |name: &String| name.starts_with(LOG_FILE_NAME);
        Ok(self.remains()?.into_iter().filter(is_one).collect())
    }

    /// Writes the note that says that the database was plain, synced.
    ///
    /// Errors: `StorageError`.
    pub fn write_encryption_note(&self, text: &[u8]) -> Result<()> {
        self.replace(NOTE_FILE_NAME, text)
    }

    /// Reads the note, or None where there is none.
    ///
    /// Errors: `StorageError`.
    pub fn read_encryption_note(&self) -> Result<Option<Vec<u8>>> {
        self.read(NOTE_FILE_NAME)
    }

    /// Tells whether there is a note.
    pub fn has_encryption_note(&self) -> bool {
        self.exists(NOTE_FILE_NAME)
    }

    /// Removes the note: whoever it concerned was told. Where it stays they are told once more.
    pub fn drop_encryption_note(&self) {
        let _gone_or_not = self.remove(NOTE_FILE_NAME);
    }

    /// Checks that a database that was opened as a plain one has not been encrypted since.
    ///
    /// Errors: `KeyRequired`, `StorageError`.
    pub fn check_still_plain(&self) -> Result<()> {
        match self.read_key_file()? {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorCode::KeyRequired,
                format!(
                    "{} was encrypted since it was opened; open it again, with its key (tmk)",
                    self.path().display()
                ),
            )),
        }
    }

    /// Returns the names in the directory that are none of the database's: nobody knows what they hold.
    ///
    /// Errors: `StorageError`.
    pub fn foreign_names(&self) -> Result<Vec<String>> {
        let is_own = |name: &String| OWN_NAMES.contains(&name.as_str());
        Ok(self.list("")?.into_iter().filter(|name| !is_own(name)).collect())
    }

    /// Drops what was written aside for a database that stayed plain.
    ///
    /// Errors: `StorageError`.
    pub fn roll_back_sealing(&self) -> Result<()> {
        for name in self.sealing_names()? {
            self.remove(&format!("{name}{SUFFIX}"))?;
        }
        self.remove(NOTE_FILE_NAME)
    }

    /// Returns the names of files that others were written to take the place of.
    fn sealing_names(&self) -> Result<Vec<String>> {
        let in_blobs =
            self.list(BLOBS_NAME)?.into_iter().map(|name| format!("{BLOBS_NAME}/{name}"));
        let all = self.list("")?.into_iter().chain(in_blobs);
        Ok(all.filter_map(|name| name.strip_suffix(SUFFIX).map(str::to_owned)).collect())
    }
}
