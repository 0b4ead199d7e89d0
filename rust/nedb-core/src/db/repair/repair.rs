//! Repair: what can be proven of a damaged log, made writable again.
//!
//! Invariants:
//! * A repair keeps the damaged log beside, cuts what cannot be proven, and says so in an op of the log.
//!   What the chain proves under wrong seqs is carried over.

use super::report::RepairReport;
use crate::db::check;
use crate::db::database::Database;
use crate::db::open_report::OpenReport;
use crate::db::options::WriteOptions;
use crate::db::restore::{
    Cut, LogSource, REPAIR_CLIENT, fold_from_start, ignored, read_definitions, remove_saved_from,
    saved_names,
};
use crate::engine::{Barrier, Draft, Log, Next};
use crate::error::{Error, Result};
use crate::log::{Damage, ReplayEnd};
use crate::op::{OpKind, Repair};
use crate::store::{Directory, LogFile};
use crate::views::State;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What is known to be wrong before a repair looks.
enum Known {
    /// A line of the log.
    Log(Damage),
    /// The views, for this reason, while nothing is known of the log.
    Views(String),
}

impl Database {
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
        self.inner.engine.check_open()?;
        if self.inner.options.read_only {
            return Err(check::opened_read_only());
        }
        self.inner.engine.check_process()?;
        self.inner.engine.check_is_known()?;
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
        let Some(damage) = self.read_up_to(directory, known)? else {
            return Ok(RepairReport::of_a_right_log());
        };
        if let Some(report) = self.finish_repair(directory, &damage)? {
            return Ok(report);
        }
        if let Some(report) = self.carry_over(directory, &damage)? {
            return Ok(report);
        }
        let synced_bytes = directory.durable_bytes();
        let (barrier, cut_bytes, damaged_file) = self.cut_damage(directory, &damage)?;
        let done = Cut { offset_bytes: damage.offset_bytes, synced_bytes, cut_bytes };
        // Nobody else writes in between: a cut without the op that says so is not to be seen.
        self.append_repair(barrier, &damage.reason, &done, &damaged_file)
            .map_err(|error| self.inner.engine.give_up(error))?;
        // Whatever the durability: until then the log is shorter than what `LOCK` says was synced.
        self.inner.engine.sync()?;
        let report = self.repaired(&damage, cut_bytes, damaged_file.clone())?;
        *self.inner.report.lock() = report;
        Ok(RepairReport::of_a_cut(damage, cut_bytes, damaged_file))
    }

    /// Returns what there is to say of the log once it was cut and says so.
    ///
    /// Errors: `DatabaseClosed`.
    pub(in crate::db) fn repaired(
        &self,
        damage: &Damage,
        cut_bytes: u64,
        damaged_file: PathBuf,
    ) -> Result<OpenReport> {
        Ok(OpenReport {
            op_count: self.inner.engine.read()?.log.op_count() as u64,
            cut_bytes,
            cut_file: Some(damaged_file),
            warnings: vec![format!("op {} was damaged and the log was repaired", damage.seq)],
            ..OpenReport::default()
        })
    }

    /// Returns the damage that opening or a read has found; after opening from a checkpoint, which passes
    /// over what comes before it, the log is checked, and the views where no op seals them.
    fn known_damage(&self) -> Result<Option<Known>> {
        let found_at_opening = self.inner.report.lock().damage.clone();
        let met = self.inner.engine.read()?.log_damage().cloned();
        let known = found_at_opening.into_iter().chain(met).min_by_key(|damage| damage.seq);
        let report = self.opening_report();
        if known.is_some() || report.checkpoint_seq.is_none() {
            return Ok(known.map(Known::Log));
        }
        let (_, _, damage) = self.verify_log(&report)?;
        if damage.is_none() {
            self.wrong_views()?;
        }
        let state = self.inner.engine.read()?;
        let damage = damage.or_else(|| state.log_damage().cloned()).map(Known::Log);
        Ok(damage.or_else(|| state.wrong_views.clone().map(Known::Views)))
    }

    /// Takes back what was read beyond a damage that opening has passed over: from here on the database is
    /// as if opening had found it. Returns the first damage that reading finds; None where the log is whole,
    /// and the views alone were not those of it, which they are now. Views that nobody has compared with the log are
    /// made anew on the way.
    fn read_up_to(&self, directory: &Directory, known: Known) -> Result<Option<Damage>> {
        let engine = &self.inner.engine;
        let found_at_opening = self.inner.report.lock().damage.clone();
        let from_opening = match &known {
            Known::Log(damage) => found_at_opening.filter(|found| found.seq <= damage.seq),
            Known::Views(_) => None,
        };
        if let (Known::Log(damage), Some(_)) = (&known, &from_opening)
            && engine.read()?.unsealed_seq.is_none()
        {
            engine.amend(|state| state.log.forget_damage())?;
            return Ok(Some(damage.clone()));
        }
        let mut barrier = engine.barrier();
        let (end_bytes, head) = {
            let state = engine.read()?;
            (state.log.len_bytes(), state.head.clone())
        };
        let (state, end) = self.fold_anew(directory, end_bytes)?;
        let reason = match (end.fault, known) {
            (Some(fault), _) => fault.reason(),
            (None, known) if state.head == head => {
                self.take_views(&mut barrier, directory, state);
                return Ok(match known {
                    Known::Log(damage) => from_opening.map(|_| damage),
                    Known::Views(_) => None,
                });
            }
            // The log is another one than was read.
            (None, Known::Log(Damage { reason, .. }) | Known::Views(reason)) => reason,
        };
        let damage = Damage { seq: end.next_seq, offset_bytes: end.offset_bytes, reason };
        let log = Some(Log::Refusing(check::damaged(&damage)));
        let report =
            OpenReport { damage: Some(damage.clone()), ..self.inner.report.lock().clone() };
        let next = Next { state: Some(state), log, is_durable: true };
        self.inner.install(&mut barrier, next, report);
        Ok(Some(damage))
    }

    /// Folds the log up to a length, without a look at checkpoints; the writer must be held.
    pub(in crate::db) fn fold_anew(
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
    fn take_views(&self, barrier: &mut Barrier<'_>, directory: &Directory, state: State) {
        let _held = self.inner.checkpoints.hold_files();
        remove_saved_from(directory, 0);
        let mut report = self.inner.report.lock().clone();
        report.checkpoint_seq = None;
        report.warnings.push(
            "the views were not those of the log, which is whole: they were made anew".to_owned(),
        );
        let next = Next { state: Some(state), log: None, is_durable: false };
        self.inner.install(barrier, next, report);
    }

    /// Keeps the damaged log aside, cuts it, and takes the writer's place, which it holds.
    fn cut_damage(
        &self,
        directory: &Directory,
        damage: &Damage,
    ) -> Result<(Barrier<'_>, u64, PathBuf)> {
        let mut barrier = self.inner.engine.barrier();
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
        let log = Some(Log::Disk(Box::new(store)));
        barrier.install(Next { state: None, log, is_durable: false });
        Ok((barrier, len_bytes.saturating_sub(damage.offset_bytes), damaged_file))
    }

    fn append_repair(
        &self,
        barrier: Barrier<'_>,
        reason: &str,
        done: &Cut,
        damaged_file: &Path,
    ) -> Result<()> {
        let options =
            WriteOptions { client: Some(REPAIR_CLIENT.to_owned()), ..WriteOptions::default() };
        let checked = check::options(&options)?;
        let file_name = damaged_file.file_name().unwrap_or_default().to_string_lossy();
        let mut group = barrier.into_group()?;
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
