//! What is derived from the log and does not hold: views that came from a checkpoint file, and such files.
//!
//! In: the log, the views in use, the checkpoint files beside it. Out: whether the views are those of the log; what of
//! the derived is wrong, apart from what is wrong with the log.
//!
//! Invariants:
//! * Views that came from a file that no op seals are trusted by nobody who verifies, and sealed by nobody: the log is
//!   folded anew, and the two are compared.
//! * Views that were found to be wrong are not written on from until they are made anew.

use super::known_log::KnownLog;
use crate::crypto::Protection;
use crate::db::database::{Database, Inner};
use crate::db::open_report::DerivedDamage;
use crate::db::restore::{self, LogSource, read_definitions, replay_into, seal_in};
use crate::error::{Error, ErrorCode, Result};
use crate::fold::fold;
use crate::hash::hash_of;
use crate::json::Path as FieldPath;
use crate::limits::REFOLDED_AT_ONCE_COUNT;
use crate::log::{Damage, LogReader};
use crate::op::Seq;
use crate::snapshot::IndexKind;
use crate::store::Directory;
use crate::views::{Checkpoint, Compared, State, Unusable};
use std::sync::Arc;

/// What came of folding a log anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refolded {
    /// The views are those of the log.
    Same,
    /// They are not.
    Differs,
    /// The log is no longer the one that was read.
    OtherLog,
}

impl Database {
    /// Folds the log anew and tells whether the state is what it says.
    ///
    /// It is about what was read: of a log that is damaged, the ops before the damage. That there is none
    /// `verify` says.
    ///
    /// Reads and writes go on meanwhile, and what is written is checked too.
    ///
    /// Cost: as opening without a checkpoint, and the memory of a second set of views.
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub fn verify_determinism(&self) -> Result<bool> {
        Ok(self.refold()? == Refolded::Same)
    }

    /// Returns what of the derived does not hold; the views are looked at only where the log does. What of the files
    /// is no use and was not used is added to `warnings`.
    ///
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError` where the log changed meanwhile.
    pub(in crate::db) fn derived_damage(
        &self,
        is_log_right: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Option<DerivedDamage>> {
        if is_log_right && let Some(wrong) = self.wrong_views()? {
            return Ok(Some(wrong));
        }
        self.inner.broken_file(is_log_right, warnings)
    }

    /// Compares views that came from a file that no op seals with the log, once. Where they differ writes are refused
    /// from then on, and it is said why.
    ///
    /// Cost: nothing where the views were folded from the log, or were compared; else as `verify_determinism`.
    /// Errors: as `derived_damage`.
    pub(in crate::db) fn wrong_views(&self) -> Result<Option<DerivedDamage>> {
        let (unsealed_seq, noted) = {
            let state = self.inner.engine.read()?;
            (state.unsealed_seq, DerivedDamage::noted_in(&state))
        };
        let Some(seq) = unsealed_seq.filter(|_| noted.is_none()) else { return Ok(noted) };
        match self.refold()? {
            Refolded::Same => self.inner.with_views_from(seq, |state| state.unsealed_seq = None)?,
            Refolded::Differs => self.inner.with_views_from(seq, |state| {
                // What was met through such views is no damage of the log.
                state.log.forget_damage();
                state.wrong_views = Some(wrong(seq));
            })?,
            Refolded::OtherLog => {
                return Err(Error::integrity(
                    "the log changed while it was verified; verify it again",
                ));
            }
        }
        Ok(DerivedDamage::noted_in(&*self.inner.engine.read()?))
    }

    fn refold(&self) -> Result<Refolded> {
        loop {
            let known = self.known_log()?;
            let mut replica = Replica::of(&*self.inner.engine.read()?, &known);
            if !replica.fold_file(&self.inner, &known)? {
                // A repair takes ops back; then it begins again without them.
                match self.known_log()?.seq < known.seq {
                    true => continue,
                    false => return Ok(Refolded::OtherLog),
                }
            }
            // An index that came in between is not in the replica: begin again with it.
            if let Some(found) = self.compare_with(&mut replica)? {
                return Ok(found);
            }
        }
    }

    /// Compares the state with a replica, a piece at a time; None where other indexes were defined meanwhile, or
    /// ops were taken back.
    ///
    /// Others are let in between pieces. What they write is folded into the replica too before the next: what was
    /// the same stays the same.
    fn compare_with(&self, replica: &mut Replica) -> Result<Option<Refolded>> {
        let mut comparisons = None;
        loop {
            let state = self.inner.engine.read()?;
            let seq = replica.state.views.seq;
            if state.views.indexes.definitions() != replica.definitions || seq > state.views.seq {
                return Ok(None);
            }
            // Before anything is read where the state says that it stands.
            if comparisons.is_none()
                && !state.log.line_starts().starts_with(replica.state.log.line_starts())
            {
                return Ok(Some(Refolded::Differs));
            }
            if seq < state.views.seq {
                match replica.fold_next(&state)? {
                    true => continue,
                    false => return Ok(Some(Refolded::OtherLog)),
                }
            }
            if replica.state.head != state.head {
                return Ok(Some(Refolded::OtherLog));
            }
            let Some(comparisons) = &mut comparisons else {
                drop(state);
                comparisons = Some(replica.state.views.comparisons().into_iter().peekable());
                continue;
            };
            let Some((_, comparison)) = comparisons.peek_mut() else {
                return Ok(Some(Refolded::Same));
            };
            match comparison(&replica.state.views, &state.views) {
                Compared::Differs => return Ok(Some(Refolded::Differs)),
                Compared::More => {}
                Compared::Same => drop(comparisons.next()),
            }
        }
    }
}

fn wrong(seq: Seq) -> String {
    format!(
        "the log is right, and the views that were loaded from the file {}, which no op seals, are not those of the \
         log: what was read from them cannot be relied on; repair() removes the file and makes them anew, and so \
         does reopening once the file is removed",
        Checkpoint::file_name(seq)
    )
}

impl Inner {
    /// Changes the state, unless its views were made anew since.
    ///
    /// Errors: `DatabaseLocked` in a fork where it can be had no more.
    fn with_views_from(&self, seq: Seq, change: impl FnOnce(&mut State)) -> Result<()> {
        self.engine.amend(|state| {
            if state.unsealed_seq == Some(seq) {
                change(state);
            }
        })
    }

    /// Compares the checkpoint files with the ops that seal them; returns the first that is another. One that no op
    /// seals and that is broken is a warning, the same as at opening.
    ///
    /// Cost: a read and one hash of each file. Errors: `StorageError`, `DatabaseClosed`.
    fn broken_file(
        &self,
        is_log_right: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Option<DerivedDamage>> {
        let Some(directory) = &self.directory else { return Ok(None) };
        for seq in restore::saved_seqs(directory).unwrap_or_default() {
            let sealed = self.seal_of(seq)?;
            match (broken(directory, &self.protection, seq, sealed.as_deref()), sealed) {
                (None, _) => {}
                (Some(reason), None) => {
                    warnings.push(restore::ignored(&Checkpoint::file_name(seq), &reason));
                }
                (Some(_), Some(_)) => return Ok(Some(other_file(seq, is_log_right))),
            }
        }
        Ok(None)
    }

    /// Returns the hash that the op after a checkpoint holds, if it seals one.
    fn seal_of(&self, seq: Seq) -> Result<Option<String>> {
        let state = self.engine.read()?;
        if seq >= state.views.seq {
            return Ok(None);
        }
        match state.log.with_fields(seq + 1, |fields| Ok(seal_in(&fields.to_op()?))) {
            // A bad line is named by whoever checks lines.
            Err(error) if error.code() == ErrorCode::IntegrityError => Ok(None),
            found => found,
        }
    }

    /// Removes the checkpoint files that opening would ignore; one that cannot be removed stays.
    ///
    /// Cost: two reads of each file, and its views in memory. Errors: `StorageError`, `IntegrityError`, `DatabaseClosed`.
    pub(in crate::db) fn remove_unusable_files(&self, directory: &Directory) -> Result<()> {
        let _held = self.checkpoints.hold_files();
        let definitions = read_definitions(directory, &self.protection, &mut Vec::new())?;
        let file = directory.open_log(false)?;
        let end_bytes = self.engine.read()?.log.len_bytes();
        let source = LogSource {
            directory,
            protection: &self.protection,
            file: &file,
            definitions: &definitions,
            end_bytes,
            cache_bytes: 0,
            may_be_ahead: false,
        };
        for seq in restore::saved_seqs(directory).unwrap_or_default() {
            let sealed = self.seal_of(seq)?;
            let is_broken = broken(directory, &self.protection, seq, sealed.as_deref()).is_some();
            if is_broken || !restore::is_usable(&source, seq) {
                let _gone_or_not = directory.remove(&Checkpoint::file_name(seq));
                self.checkpoints.set_covered_seq(-1);
            }
        }
        Ok(())
    }
}

fn other_file(seq: Seq, is_log_right: bool) -> DerivedDamage {
    let reason = format!(
        "{}the file {} is not the one that op {} was written for: it is torn or was changed, and opening ignores it; \
         repair() removes it, or remove it yourself",
        if is_log_right { "the log is right, and " } else { "" },
        Checkpoint::file_name(seq),
        seq + 1
    );
    DerivedDamage::new(seq, reason)
}

/// Tells why a checkpoint file is not the one that was sealed; of one that was not, why it is not whole. None where it
/// is, or is gone.
fn broken(
    directory: &Directory,
    protection: &Protection,
    seq: Seq,
    sealed: Option<&str>,
) -> Option<String> {
    match (restore::read_saved(directory, protection, seq), sealed) {
        // Replaced by a newer one meanwhile.
        (Ok(None), _) => None,
        (Ok(Some(bytes)), Some(sealed)) => {
            (hash_of(&bytes) != sealed).then(|| "it is another".to_owned())
        }
        (Ok(Some(bytes)), None) => Checkpoint::check(&bytes).err().map(|Unusable(reason)| reason),
        (Err(error), _) => Some(error.to_string()),
    }
}

/// A state that is folded anew, of the log of another.
struct Replica {
    state: State,
    /// The indexes that it has.
    definitions: Vec<(u32, IndexKind, FieldPath)>,
}

impl Replica {
    /// Makes an empty one with the collections and the empty indexes of another state, so that their numbers are
    /// the same.
    fn of(state: &State, known: &KnownLog) -> Replica {
        let log = match &known.bytes {
            Some(bytes) => LogReader::disk(Arc::clone(bytes), 0, state.log.protection()),
            None => LogReader::memory(),
        };
        let mut fresh = State::new(log);
        let documents = &state.views.documents;
        for collection in 0..documents.collection_count() {
            let number =
                fresh.views.documents.add_collection(documents.collection_name(collection));
            let Some(indexes) = state.views.indexes.of(collection) else { continue };
            fresh.views.indexes.replace(number, indexes.emptied());
        }
        Replica { state: fresh, definitions: state.views.indexes.definitions() }
    }

    /// Folds a log on a disk as far as it is known, without a look at the other state, which may be wrong about where
    /// lines stand; false where the file does not hold those ops. One in memory is left to `fold_next`.
    fn fold_file(&mut self, inner: &Inner, known: &KnownLog) -> Result<bool> {
        let Some(bytes) = &known.bytes else { return Ok(true) };
        let mut go_on = |_: &crate::op::Op<'_>| inner.engine.check_open();
        let end = replay_into(&mut self.state, &**bytes, known.end_bytes, &mut go_on)?;
        if let Some(fault) = &end.fault {
            // Nothing is to be written after it.
            inner.engine.read_though_closed()?.log.note_damage(&Damage {
                seq: end.next_seq,
                offset_bytes: end.offset_bytes,
                reason: fault.reason(),
            });
        }
        Ok(self.state.views.seq == known.seq && self.state.head == known.head)
    }

    /// Folds the next ops of the other's log; false when the log no longer holds them.
    fn fold_next(&mut self, other: &State) -> Result<bool> {
        let State { views, head, .. } = &mut self.state;
        let first = views.seq + 1;
        let last = other.views.seq.min(views.seq + REFOLDED_AT_ONCE_COUNT as Seq);
        for seq in first..=last {
            let folded = other.log.with_fields(seq, |fields| {
                fold(views, &fields.to_op()?);
                *head = fields.hash.to_owned();
                Ok(())
            });
            match folded {
                Err(error) if error.code() == ErrorCode::IntegrityError => return Ok(false),
                other => other?,
            }
        }
        Ok(true)
    }
}
