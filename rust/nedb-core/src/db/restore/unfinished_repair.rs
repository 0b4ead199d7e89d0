//! A repair that was not acknowledged and whose op stands all the same.
//!
//! In: a log that ends with the op of a repair. Out: what that repair did. `repair/finish` finishes it.
//!
//! The sync of a repair's op may fail, and so may the process. `LOCK` then says what it said before: more, mostly, than
//! the log is long, so that the database counts as damaged. The op says what `LOCK` said, and where the log was cut:
//! one that stands at that place, under that `LOCK`, is of such a repair.
//!
//! Invariants:
//! * One repair is one op, however often it is asked for.
//! * A log that has lost what was acknowledged after a repair is not taken for one: `LOCK` has moved on since.

use crate::error::Result;
use crate::op::{OpKind, Repair, Seq};
use crate::views::State;

/// Who a repair writes as.
pub(in crate::db) const REPAIR_CLIENT: &str = "__repair__";

/// Where a repair has cut a log.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct Cut {
    /// Where the first op stood that did not hold; from then on the repair's op.
    pub offset_bytes: u64,
    /// What `LOCK` said was synced.
    pub synced_bytes: Option<u64>,
    /// How much was taken off.
    pub cut_bytes: u64,
}

/// The op of a repair, the last of a log, at the place where that has cut it.
pub(in crate::db) struct UnfinishedRepair {
    pub cut: Cut,
    pub seq: Seq,
    pub reason: String,
    pub damaged_file: String,
}

impl UnfinishedRepair {
    /// Returns the repair that a log ends with, if it ends with one.
    ///
    /// Cost: a read of the last line. Errors: `StorageError`, `IntegrityError`.
    pub fn of(state: &State) -> Result<Option<UnfinishedRepair>> {
        let seq = state.views.seq;
        let Some(start) = state.log.line_starts().last().filter(|_| seq >= 0) else {
            return Ok(None);
        };
        let standing = state.with_op(seq, |op| {
            let item = op.items.as_slice().first().filter(|_| op.client == REPAIR_CLIENT)?;
            match &item.kind {
                OpKind::Repair(repair) => Some(UnfinishedRepair::read(seq, repair)),
                _ => None,
            }
        })?;
        Ok(standing.filter(|it| it.cut.offset_bytes == *start))
    }

    fn read(seq: Seq, repair: &Repair<'_>) -> UnfinishedRepair {
        let Repair { cut_bytes, offset_bytes, synced_bytes, .. } = *repair;
        let cut = Cut { offset_bytes, synced_bytes, cut_bytes };
        let (reason, damaged_file) = (repair.reason.to_string(), repair.damaged_file.to_string());
        UnfinishedRepair { cut, seq, reason, damaged_file }
    }
}
