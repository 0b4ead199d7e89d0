//! Backup and repair: a whole copy of a good log, and what can be proven of a bad one.
//!
//! Invariants:
//! * A backup is checked, hash by hash, while it is copied; it opens with the head that it reports.
//! * Nothing is left out of a backup unless that was asked for, and then it is named.
//! * A backup holds no checkpoint: opening it reads every op.
//! * A repair keeps the damaged log beside, cuts what cannot be proven, and says so in an op of the log.
//!   What the chain proves under wrong seqs is `carry`'s.

use super::commit::{Writer, tail_of};
use super::file_check::{FileDamage, FileDamages};
use super::group::Draft;
use super::open::{OpenReport, write_damage, write_texts};
use super::options::WriteOptions;
use super::restore::{
    LogSource, fold_from_start, ignored, read_definitions, remove_saved_from, saved_names,
};
use super::standing::Cut;
use super::{Database, check};
use crate::blob::Uncopied;
use crate::error::{Error, ErrorCode, Result};
use crate::json::write_string;
use crate::log::{Damage, ReplayEnd, verify};
use crate::op::{OpKind, Repair, Seq};
use crate::store::{Directory, Disk, LEGACY_STATE_FILE_NAME, LogFile, LogStore};
use crate::views::State;
use parking_lot::MutexGuard;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who a repair writes as.
pub(super) const REPAIR_CLIENT: &str = "__repair__";

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

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// What was wrong with the log; None when it was right, and nothing was done to it.
    pub damage: Option<Damage>,
    /// How many bytes were taken off the log.
    pub cut_bytes: u64,
    /// How many ops from the damage on were kept, with new seqs, since the chain proves them.
    pub carried_op_count: u64,
    /// Where the damaged log is kept, whole.
    pub damaged_file: Option<PathBuf>,
    /// The checkpoint files that were removed, by name: they did not hold, or went beyond what was kept of the log.
    pub removed_checkpoints: Vec<String>,
}

impl RepairReport {
    /// Makes the report of a repair that had nothing to do to the log.
    fn of_a_right_log() -> Self {
        RepairReport {
            damage: None,
            cut_bytes: 0,
            carried_op_count: 0,
            damaged_file: None,
            removed_checkpoints: Vec::new(),
        }
    }

    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"carried_op_count\":{},\"cut_bytes\":{},\"damage\":",
            self.carried_op_count, self.cut_bytes
        );
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"damaged_file\":");
        match &self.damaged_file {
            Some(path) => write_string(&path.to_string_lossy(), &mut out),
            None => out.push_str("null"),
        }
        out.push_str(",\"removed_checkpoints\":");
        write_texts(&self.removed_checkpoints, &mut out);
        out.push('}');
        out
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

    /// Makes a damaged database writable again: keeps its log beside as `log.aof.damaged-<seq>`, cuts the
    /// log before the first op that does not hold, and appends an op that says what was done.
    ///
    /// What comes after the damage cannot be proven and is no longer read; it stays in the file that is
    /// kept. Where the chain goes on and the seqs alone are wrong, as in a log that NEDB 1.x linked anew, every op
    /// that it proves is kept, with a new seq; causes keep pointing to their ops, and those of which that cannot
    /// be told are left out. One repair is one op: where it was not acknowledged and stands all the same, asking for it
    /// again finishes it.
    ///
    /// What is derived is put right without an op, and nothing is cut for it: checkpoint files that opening would
    /// ignore are removed, and views that came from one that no op seals and are not those of the log are made anew,
    /// without the file. A database without damage is left as it is.
    ///
    /// Cost: a copy of the log; where damage may lie behind a checkpoint, a pass over the log to look for it, and that
    /// of `verify_determinism` where no op seals the checkpoint; a read of each checkpoint file.
    /// Errors: `ReadOnly` when it was opened read-only; `DatabaseLocked`; `StorageError`, and it may be called
    /// again; `CommitUnknown` when it may be repaired or not, also by an earlier call: reopening tells;
    /// `DatabaseClosed`.
    pub fn repair(&self) -> Result<RepairReport> {
        self.inner.check_open()?;
        if self.inner.options.read_only {
            return Err(check::opened_read_only());
        }
        self.inner.check_process()?;
        self.inner.check_is_known()?;
        let Some(directory) = &self.inner.directory else {
            return Ok(RepairReport::of_a_right_log());
        };
        let before = saved_names(directory);
        let mut report = self.repair_log(directory)?;
        self.inner.remove_unusable_files(directory)?;
        let after = saved_names(directory);
        report.removed_checkpoints = before.into_iter().filter(|it| !after.contains(it)).collect();
        // Nobody is to be warned of what is gone.
        let is_of_removed = |warning: &String| {
            report.removed_checkpoints.iter().any(|name| warning.starts_with(&ignored(name, "")))
        };
        self.inner.report.lock().warnings.retain(|warning| !is_of_removed(warning));
        Ok(report)
    }

    /// Cuts what does not hold of the log, or carries it over; makes views anew that are not those of the log.
    fn repair_log(&self, directory: &Directory) -> Result<RepairReport> {
        let Some(known) = self.known_damage()? else {
            return Ok(RepairReport::of_a_right_log());
        };
        let Some(damage) = self.read_up_to(directory, &known)? else {
            return Ok(RepairReport::of_a_right_log());
        };
        if let Some(report) = self.finish_repair(directory, &damage)? {
            return Ok(report);
        }
        if let Some(report) = self.carry_over(directory, &damage)? {
            return Ok(report);
        }
        let synced_bytes = directory.durable_bytes();
        let (writer, cut_bytes, damaged_file) = self.cut_damage(directory, &damage)?;
        let done = Cut { offset_bytes: damage.offset_bytes, synced_bytes, cut_bytes };
        // Nobody else writes in between: a cut without the op that says so is not to be seen.
        self.append_repair(writer, &damage.reason, &done, &damaged_file)
            .map_err(|error| self.inner.give_up(error))?;
        // Whatever the durability: until then the log is shorter than what `LOCK` says was synced.
        self.inner.sync_now()?;
        Ok(self.note_repair(damage, cut_bytes, damaged_file))
    }

    /// Says in the open report what a repair has done, and returns it.
    pub(super) fn note_repair(
        &self,
        damage: Damage,
        cut_bytes: u64,
        damaged_file: PathBuf,
    ) -> RepairReport {
        let op_count = self.inner.state.read().log.op_count() as u64;
        *self.inner.report.lock() = OpenReport {
            op_count,
            checkpoint_seq: None,
            cut_bytes,
            cut_file: Some(damaged_file.clone()),
            damage: None,
            derived_damage: None,
            warnings: vec![format!("op {} was damaged and the log was repaired", damage.seq)],
        };
        RepairReport {
            damage: Some(damage),
            cut_bytes,
            carried_op_count: 0,
            damaged_file: Some(damaged_file),
            removed_checkpoints: Vec::new(),
        }
    }

    /// Copies the index definitions; of an encrypted database sealed as they are, with the wrapped key.
    fn copy_definitions(&self, copy: &Directory) -> Result<()> {
        let Some(from) = self.inner.directory.as_ref().filter(|_| self.is_encrypted()) else {
            return copy.write_meta(self.inner.meta_text(None));
        };
        if let Some(meta) = from.read_meta()? {
            copy.write_meta(&meta)?;
        }
        // The key comes last: without it the copy is nothing yet.
        let key = from.read_key_file()?.ok_or_else(|| Error::integrity("key.enc is gone"))?;
        copy.write_key_file(&key)
    }

    /// Returns the damage that opening or a read has found; after opening from a checkpoint, which passes
    /// over what comes before it, the log is checked, and the views where no op seals them.
    fn known_damage(&self) -> Result<Option<Damage>> {
        let found_at_opening = self.inner.report.lock().damage.clone();
        let met = self.inner.state.read().log.damage().cloned();
        let known = found_at_opening.into_iter().chain(met).min_by_key(|damage| damage.seq);
        let report = self.opening_report();
        if known.is_some() || report.checkpoint_seq.is_none() {
            return Ok(known);
        }
        let (_, _, damage) = self.verify_log(&report)?;
        if damage.is_none() {
            self.wrong_views()?;
        }
        Ok(damage.or_else(|| self.inner.state.read().log.damage().cloned()))
    }

    /// Takes back what was read beyond a damage that opening has passed over: from here on the database is
    /// as if opening had found it. Returns the first damage that reading finds; None where the log is whole,
    /// and the views alone were not those of it, which they are now. Views that nobody has compared with the log are
    /// made anew on the way.
    fn read_up_to(&self, directory: &Directory, known: &Damage) -> Result<Option<Damage>> {
        let found_at_opening = self.inner.report.lock().damage.clone();
        let is_from_opening = found_at_opening.is_some_and(|damage| damage.seq <= known.seq);
        if is_from_opening && self.inner.state.read().unsealed_seq.is_none() {
            self.inner.state.write().log.forget_damage();
            return Ok(Some(known.clone()));
        }
        let mut writer = self.inner.lock_when_idle();
        let end_bytes = self.inner.state.read().log.len_bytes();
        let (state, end) = self.fold_anew(directory, end_bytes)?;
        let reason = match end.fault {
            Some(fault) => fault.reason(),
            None if state.head == self.inner.state.read().head => {
                self.take_views(directory, state);
                return Ok(is_from_opening.then(|| known.clone()));
            }
            // The log is another one than was read.
            None => known.reason.clone(),
        };
        let damage = Damage { seq: end.next_seq, offset_bytes: end.offset_bytes, reason };
        writer.close();
        writer.become_writer(Writer::refusing(check::damaged(&damage), tail_of(&state)));
        self.inner.durable_seq.store(state.views.seq, Ordering::Release);
        *self.inner.state.write() = state;
        self.inner.report.lock().damage = Some(damage.clone());
        Ok(Some(damage))
    }

    /// Folds the log up to a length, without a look at checkpoints; the writer must be held.
    pub(super) fn fold_anew(
        &self,
        directory: &Directory,
        end_bytes: u64,
    ) -> Result<(State, ReplayEnd)> {
        let definitions = read_definitions(directory, &self.inner.protection, &mut Vec::new())?;
        let source = LogSource {
            directory,
            protection: &self.inner.protection,
            file: &directory.open_log(false)?,
            definitions: &definitions,
            end_bytes,
            cache_bytes: self.inner.options.cache_bytes,
            may_be_ahead: false,
        };
        fold_from_start(&source, &mut |_| Ok(()))
    }

    /// Puts views that were folded from the log in the place of those that came from a checkpoint file, and
    /// removes the file.
    fn take_views(&self, directory: &Directory, state: State) {
        let _held = self.inner.checkpoints.hold_files();
        remove_saved_from(directory, 0);
        self.inner.checkpoints.set_covered_seq(-1);
        *self.inner.state.write() = state;
        let mut report = self.inner.report.lock();
        report.checkpoint_seq = None;
        report.warnings.push(
            "the views were not those of the log, which is whole: they were made anew".to_owned(),
        );
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
            self.inner.read_state()?.log.read_bytes(offset, bytes_max, out)?;
            copy.append(out.get(held..).unwrap_or_default()).map_err(writing)
        })?;
        copy.sync().map_err(writing)?;
        Ok(found)
    }

    /// Keeps the damaged log aside, cuts it, and takes the writer's place, which it holds.
    fn cut_damage(
        &self,
        directory: &Directory,
        damage: &Damage,
    ) -> Result<(MutexGuard<'_, Writer>, u64, PathBuf)> {
        let mut writer = self.inner.lock_when_idle();
        let lock = directory.lock()?;
        let log = directory.open_log(true)?;
        let (damaged_file, len_bytes) = directory.keep_damaged_log(damage.seq)?;
        // What is missing may begin with the last line's newline.
        let lacks_newline = damage.offset_bytes > len_bytes;
        let ended = if lacks_newline { log.append(b"\n") } else { log.cut(damage.offset_bytes) };
        ended.map_err(|error| Error::storage("cut the damaged log", error))?;
        // Nothing tells how much of a damaged log is on the disk, after a repair that failed least of all.
        directory.rewrite_log(0)?;
        // `LOCK` says what it said until the op that says what was done is on the disk: a crash before that
        // leaves a log that is shorter than what was synced, and so still damaged.
        let store = LogFile::new(directory, log, lock, damage.offset_bytes);
        // What they were saved with is no longer in the log.
        remove_saved_from(directory, damage.seq);
        self.inner.checkpoints.set_covered_seq(-1);
        writer.become_writer(Writer::disk(Box::new(store), tail_of(&self.inner.state.read())));
        Ok((writer, len_bytes.saturating_sub(damage.offset_bytes), damaged_file))
    }

    fn append_repair(
        &self,
        writer: MutexGuard<'_, Writer>,
        reason: &str,
        done: &Cut,
        damaged_file: &Path,
    ) -> Result<()> {
        let options =
            WriteOptions { client: Some(REPAIR_CLIENT.to_owned()), ..WriteOptions::default() };
        let checked = check::options(&options)?;
        let file_name = damaged_file.file_name().unwrap_or_default().to_string_lossy();
        let mut group = self.inner.begin_group_with(writer)?;
        let repair = Repair {
            cut_bytes: done.cut_bytes,
            damaged_file: file_name,
            offset_bytes: done.offset_bytes,
            reason: Cow::Borrowed(reason),
            synced_bytes: done.synced_bytes,
            carried: None,
        };
        let draft = Draft::one(&checked.origin, OpKind::Repair(repair));
        group.stage(draft)?;
        group.finish()
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
