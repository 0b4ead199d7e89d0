//! A repair that was not acknowledged and whose op stands all the same.
//!
//! In: a log that ends with the op of a repair. Out: whether that repair came to its end; the repair, finished.
//!
//! The sync of a repair's op may fail, and so may the process. `LOCK` then says what it said before: more, mostly, than
//! the log is long, so that the database counts as damaged. The op says what `LOCK` said, and where the log was cut:
//! one that stands at that place, under that `LOCK`, is of such a repair.
//!
//! Invariants:
//! * One repair is one op, however often it is asked for.
//! * A log that has lost what was acknowledged after a repair is not taken for one: `LOCK` has moved on since.

use super::Database;
use super::commit::{Writer, tail_of};
use super::rescue::{REPAIR_CLIENT, RepairReport};
use super::restore::remove_saved_from;
use crate::error::{Error, Result};
use crate::log::Damage;
use crate::op::{OpKind, Repair, Seq};
use crate::store::{Directory, LogFile, LogStore};
use crate::views::State;
use std::sync::atomic::Ordering;

/// Where a repair has cut a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Where the first op stood that did not hold; from then on the repair's op.
    pub offset_bytes: u64,
    /// What `LOCK` said was synced.
    pub synced_bytes: Option<u64>,
    /// How much was taken off.
    pub cut_bytes: u64,
}

/// The op of a repair, the last of a log, at the place where that has cut it.
pub(super) struct Standing {
    pub cut: Cut,
    seq: Seq,
    reason: String,
    damaged_file: String,
}

impl Standing {
    /// Returns the repair that a log ends with, if it ends with one.
    ///
    /// Cost: a read of the last line. Errors: `StorageError`, `IntegrityError`.
    pub fn of(state: &State) -> Result<Option<Standing>> {
        let seq = state.views.seq;
        let Some(start) = state.log.line_starts().last().filter(|_| seq >= 0) else {
            return Ok(None);
        };
        let standing = state.with_op(seq, |op| {
            let item = op.items.as_slice().first().filter(|_| op.client == REPAIR_CLIENT)?;
            match &item.kind {
                OpKind::Repair(repair) => Some(Standing::read(seq, repair)),
                _ => None,
            }
        })?;
        Ok(standing.filter(|it| it.cut.offset_bytes == *start))
    }

    fn read(seq: Seq, repair: &Repair<'_>) -> Standing {
        let Repair { cut_bytes, offset_bytes, synced_bytes, .. } = *repair;
        let cut = Cut { offset_bytes, synced_bytes, cut_bytes };
        let (reason, damaged_file) = (repair.reason.to_string(), repair.damaged_file.to_string());
        Standing { cut, seq, reason, damaged_file }
    }
}

impl Database {
    /// Finishes a repair that an attempt before has carried out and that was not acknowledged; None where there is
    /// none.
    ///
    /// Cost: the log, read and written. Errors: `DatabaseLocked`, `StorageError`, and it may be called again.
    pub(super) fn finish_repair(
        &self,
        directory: &Directory,
        damage: &Damage,
    ) -> Result<Option<RepairReport>> {
        let mut writer = self.inner.lock_when_idle();
        let (standing, end_bytes, tail) = {
            let state = self.inner.state.read();
            (Standing::of(&state)?, state.log.len_bytes(), tail_of(&state))
        };
        let log = directory.open_log(false)?;
        let len_bytes = log.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let synced_bytes = directory.durable_bytes();
        // An attempt to finish it may have come as far as `LOCK`.
        let is_its_own =
            |it: &Standing| synced_bytes == it.cut.synced_bytes || synced_bytes == Some(end_bytes);
        let is_at_the_end = damage.offset_bytes == end_bytes && len_bytes <= end_bytes;
        let Some(standing) = standing.filter(|it| is_at_the_end && is_its_own(it)) else {
            return Ok(None);
        };
        let lock = directory.lock()?;
        let log = directory.open_log(true)?;
        if len_bytes < end_bytes {
            log.append(b"\n").map_err(|error| Error::storage("end the log's last line", error))?;
        }
        directory.rewrite_log(0)?;
        let mut store = LogFile::new(directory, log, lock, end_bytes);
        store.sync().map_err(|error| Error::storage("sync the repaired log", error))?;
        remove_saved_from(directory, standing.seq);
        self.inner.checkpoints.set_covered_seq(-1);
        self.inner.durable_seq.store(tail.seq, Ordering::Release);
        writer.become_writer(Writer::disk(Box::new(store), tail));
        drop(writer);
        let Standing { cut, seq, reason, damaged_file } = standing;
        let first = Damage { seq, offset_bytes: cut.offset_bytes, reason };
        let kept = directory.path().join(damaged_file);
        Ok(Some(self.note_repair(first, cut.cut_bytes, kept)))
    }
}
