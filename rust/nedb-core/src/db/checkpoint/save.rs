//! Checkpoints: the views saved at a seq, so that opening folds only what came after.
//!
//! In: the state. Out: a file `checkpoint.<seq>`; and, when it was asked for, an op that seals its hash.
//!
//! Invariants:
//! * A checkpoint covers only ops that are on the disk.
//! * The op that seals a file is the next after those that it covers, and is appended only after the
//!   file is on the disk.
//! * A file that is lost, or is not what it should be, costs time at the next opening and nothing else.

use super::auto_checkpoint::Job;
use crate::db::check;
use crate::db::database::{Database, Inner};
use crate::db::options::WriteOptions;
use crate::db::restore;
use crate::engine::{Admitted, Barrier, Draft, Durability};
use crate::error::Result;
use crate::hash::hash_of;
use crate::op::{OpKind, Seq};
use crate::views::Checkpoint;
use std::borrow::Cow;

impl Database {
    /// Saves the views as they are now in a file, so that opening reads only what comes after, and
    /// appends an op that seals the file's hash. Returns the op's seq.
    ///
    /// In memory, and when there is no op yet, there is nothing to save: the op alone is appended, a mark. Views that
    /// came from a file that no op seals are compared with the log first.
    ///
    /// Cost: linear in what the views hold; readers go on meanwhile, writers wait. Where they are compared, that of
    /// `verify_determinism`, and nobody waits. Errors: `StorageError` when the file cannot be written, and nothing is appended then; `ReadOnly`,
    /// `DatabaseClosed`, `DatabaseLocked`, `CommitUnknown`, `LimitExceeded`.
    pub fn checkpoint(&self, note: Option<&str>) -> Result<Seq> {
        let note = note.unwrap_or("checkpoint");
        let inner = &*self.inner;
        inner.engine.check_process()?;
        if !inner.options.read_only {
            // What an op seals is trusted from then on; where they are wrong, writes are refused below.
            self.wrong_views()?;
        }
        let (barrier, synced) = inner.engine.synced_barrier();
        barrier.check_takes_writes()?;
        synced?;
        let Some(directory) = inner.directory.as_ref().filter(|_| barrier.seq() >= 0) else {
            return inner.append_checkpoint(barrier, note, None, || Ok(()));
        };
        let (seq, bytes) = {
            let state = inner.engine.read()?;
            (state.views.seq, Checkpoint::encode(&state))
        };
        let hash = hash_of(&bytes);
        let held = inner.checkpoints.hold_files();
        let appended = inner.append_checkpoint(barrier, note, Some(&hash), || {
            let saved = restore::save(directory, &inner.protection, seq, bytes);
            inner.checkpoints.note_outcome(&saved);
            saved.map(|()| inner.checkpoints.set_covered_seq(seq))
        });
        if let Ok(sealing_seq) = appended {
            inner.checkpoints.set_covered_seq(sealing_seq);
        }
        drop(held);
        appended
    }
}

impl Database {
    /// Saves the views in a file where something was written since they were saved last, and appends
    /// nothing. Tells whether it did.
    ///
    /// The file is made of the log, beside the writes, which wait for nothing: a host calls it every so often.
    /// In memory, and where the database only reads, there is nothing to save.
    ///
    /// Cost: as opening the database; the memory of a second set of views meanwhile.
    /// Errors: `StorageError`, `IntegrityError`, `DatabaseClosed`, `DatabaseLocked` in a fork.
    pub fn save_checkpoint(&self) -> Result<bool> {
        let inner = &*self.inner;
        inner.engine.check_process()?;
        let Some(directory) = inner.directory.as_ref().filter(|_| !inner.options.read_only) else {
            return Ok(false);
        };
        let job = {
            let state = inner.engine.read()?;
            if state.is_damaged() {
                return Ok(false);
            }
            Job { seq: state.views.seq, log_bytes: state.log.len_bytes() }
        };
        let before_seq = inner.checkpoints.covered_seq();
        if before_seq >= job.seq || inner.engine.check_writable().is_err() {
            return Ok(false);
        }
        let must_sync = inner.options.durability != Durability::Always;
        let saved = inner.checkpoints.save(directory, &inner.protection, job, must_sync);
        inner.checkpoints.note_outcome(&saved);
        saved.map(|()| inner.checkpoints.covered_seq() > before_seq)
    }
}

impl Inner {
    /// Appends a checkpoint op, after `save` has succeeded and before anything else is appended.
    fn append_checkpoint(
        &self,
        barrier: Barrier<'_>,
        note: &str,
        views: Option<&str>,
        save: impl FnOnce() -> Result<()>,
    ) -> Result<Seq> {
        let options = WriteOptions::default();
        let checked = check::options(&options)?;
        let mut group = barrier.into_group()?;
        let (note, views) = (Cow::Borrowed(note), views.map(Cow::Borrowed));
        let draft = Draft::one(&checked.origin, OpKind::Checkpoint { note, views });
        let (Admitted::New(seq) | Admitted::Replayed(seq)) = group.stage(draft)?;
        save()?;
        group.finish()?;
        Ok(seq)
    }
}
