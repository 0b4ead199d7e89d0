//! Backup: a whole copy of a good log.
//!
//! Invariants:
//! * A backup is checked, hash by hash, while it is copied; it opens with the head that it reports.
//! * Nothing is left out of a backup unless that was asked for, and then it is named.
//! * A backup holds no checkpoint: opening it reads every op.

use crate::blob::Uncopied;
use crate::db::database::Database;
use crate::db::files::{FileDamage, FileDamages};
use crate::db::restore::definitions_text;
use crate::error::{Error, ErrorCode, Result};
use crate::log::verify;
use crate::op::Seq;
use crate::store::{Directory, Disk, LEGACY_STATE_FILE_NAME, LogStore};
use std::path::Path;
use std::sync::Arc;

/// What a backup does where bytes of files are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// Leaves damaged and missing chunks out, and reports them, where otherwise there is no backup. The copy says
    /// the same of them as the original: whoever reads them gets an error, and what is sound is read.
    pub skip_damaged_files: bool,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The seq of its last op; -1 for an empty database.
    pub seq: Seq,
    /// The hash after that op.
    pub head: String,
    /// The length of its log.
    pub log_bytes: u64,
    /// What of the bytes of files was left out, since it is damaged or missing.
    pub damages: FileDamages,
}

impl BackupReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let BackupReport { seq, head, log_bytes, damages } = self;
        let damage = damages.to_members();
        format!("{{{damage},\"head\":\"{head}\",\"log_bytes\":{log_bytes},\"seq\":{seq}}}")
    }
}

impl Database {
    /// Copies the database as it is now into a new directory, while reads and writes go on.
    ///
    /// The copy is the log, the bytes of files and the index definitions, synced; every hash and link, and
    /// every chunk of a file, is checked on the way; those of NEDB 1.x are copied as they are.
    /// That of an encrypted database is encrypted, and opens with the same key.
    /// A database in memory may be copied to a disk in this way.
    ///
    /// Cost: one pass over the log, two after opening from a checkpoint; memory of one frame. Errors:
    /// `InvalidArgument` when the directory exists and is not empty; `IntegrityError` when the log is damaged,
    /// or a chunk of a file, which is named, and no copy is left then; `StorageError`, `DatabaseClosed`.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_with(path, &BackupOptions::default())
    }

    /// Does what `backup` does; the options say what becomes of damaged files.
    ///
    /// Errors: as `backup`.
    pub fn backup_with(
        &self,
        path: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport> {
        let known = self.known_log()?;
        let files = match &self.inner.directory {
            Some(directory) => Arc::clone(directory.file_system()),
            None => Arc::new(Disk),
        };
        let directory = Directory::open_empty(files, path.as_ref())?;
        // The bytes before the ops that name them, as when they were written.
        let copied = self.copy_files(&directory, known.seq, options).and_then(|damages| {
            self.copy_log(&directory, known.end_bytes).map(|found| (damages, found))
        });
        let copied =
            copied.and_then(|(damages, found)| match (found.damage, found.head == known.head) {
                (None, true) => self.copy_definitions(&directory).map(|()| damages),
                (damage, _) => Err(Error::integrity(format!(
                    "the log cannot be copied: {}; run verify_report()",
                    damage.map_or("it holds other ops than were read from it".to_owned(), |it| {
                        format!("op {} is damaged: {}", it.seq, it.reason)
                    })
                ))),
            });
        match copied {
            Ok(damages) => Ok(BackupReport {
                seq: known.seq,
                head: known.head,
                log_bytes: known.end_bytes,
                damages,
            }),
            Err(error) => Err(with_remains(error, &directory.remove_files())),
        }
    }

    /// Copies the index definitions; of an encrypted database sealed as they are, with the wrapped key.
    fn copy_definitions(&self, copy: &Directory) -> Result<()> {
        let Some(from) = self.inner.directory.as_ref().filter(|_| self.is_encrypted()) else {
            return copy.write_meta(definitions_text(&*self.inner.engine.read()?, None));
        };
        if let Some(meta) = from.read_meta()? {
            copy.write_meta(&meta)?;
        }
        // The key comes last: without it the copy is nothing yet.
        let key = from.read_key_file()?.ok_or_else(|| Error::integrity("key.enc is gone"))?;
        copy.write_key_file(&key)
    }

    /// Copies the bytes of the files that ops up to a seq put, each chunk checked; returns what is damaged.
    fn copy_files(
        &self,
        directory: &Directory,
        seq_max: Seq,
        options: &BackupOptions,
    ) -> Result<FileDamages> {
        let versions = self.inner.versions_in_log(seq_max)?;
        if !versions.is_empty() {
            self.inner.check_not_encrypted_since()?;
        }
        let live = self.inner.live_of(&versions)?;
        let uncopied = match live.leaves.is_empty() {
            true => Uncopied::default(),
            false => self.inner.packs.store()?.copy_to(directory, &live.leaves)?,
        };
        let damages = match live.unlisted_bytes.is_some() || !uncopied.reasons.is_empty() {
            true => self.inner.named_damages(&versions, &uncopied.reasons)?,
            false => FileDamages::default(),
        };
        if let (Some(first), false) = (damages.list.first(), options.skip_damaged_files) {
            return Err(refused(first, damages.count, &uncopied));
        }
        if let (Some(own), true) = (&self.inner.directory, self.inner.has_legacy_files(seq_max)?)
            && let Some(snapshot) = own.read(LEGACY_STATE_FILE_NAME)?
        {
            directory.replace(LEGACY_STATE_FILE_NAME, &snapshot)?;
        }
        Ok(damages)
    }

    /// Copies the log's bytes while they are verified.
    fn copy_log(&self, directory: &Directory, end_bytes: u64) -> Result<crate::log::Verification> {
        let mut copy = directory.create_log()?;
        let writing = |error| Error::storage("write the copy of the log", error);
        let found = verify(end_bytes, &self.inner.protection, &mut |offset, bytes_max, out| {
            let held = out.len();
            self.inner.engine.read()?.log.read_bytes(offset, bytes_max, out)?;
            copy.append(out.get(held..).unwrap_or_default()).map_err(writing)
        })?;
        copy.sync().map_err(writing)?;
        Ok(found)
    }
}

/// How many of the files that a copy has left are named.
const REMAINS_NAMED_COUNT_MAX: usize = 5;

/// Makes the error of a backup say what is left of the copy.
fn with_remains(error: Error, remains: &[String]) -> Error {
    if remains.is_empty() {
        return error;
    }
    let named = remains.iter().take(REMAINS_NAMED_COUNT_MAX).cloned().collect::<Vec<_>>();
    let more = match remains.len() - named.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let message = format!(
        "the backup failed, and what it had copied could not be removed; remove {}{more}",
        named.join(", ")
    );
    Error::new(error.code(), message).with_source(error)
}

/// Says why a backup is refused, and how there is one all the same.
fn refused(first: &FileDamage, count: u64, uncopied: &Uncopied) -> Error {
    let is_storage = |error: &Arc<Error>| error.code() == ErrorCode::StorageError;
    let code = match uncopied.reasons.values().any(is_storage) {
        true => ErrorCode::StorageError,
        false => ErrorCode::IntegrityError,
    };
    let more = if count > 1 { format!(", and so are {} more", count - 1) } else { String::new() };
    Error::new(
        code,
        format!(
            "{first}{more}; verify_files() lists what is damaged, and with skip_damaged_files a backup copies \
             the rest"
        ),
    )
}
