//! TRACE: what caused the rows, or what the rows caused.
//!
//! In: document rows. Out: the versions that the causes (or effects) wrote, as written, also where
//! they were since replaced, deleted or have expired.
//!
//! Invariants:
//! * Breadth first; causes in list order, effects by ascending seq; each version once.
//! * The versions that the walk starts from are left out.
//! * An op that wrote no document gives no row and is walked through.
//! * A seq stands for every version that its op wrote.

use std::collections::{HashSet, VecDeque};

use super::algebra::TraceDirection;
use super::rows::{DocumentRow, RowSet};
use super::traverse::documents_of;
use crate::error::Result;
use crate::op::Seq;
use crate::snapshot::{DocRef, Snapshot};

/// What reading an op takes beside its bytes: its line is parsed, and on a disk read and hashed.
const READ_WORK: usize = 2_048;
/// What an op that was looked at holds, in bytes.
const LOOKED_AT_BYTES: usize = 160;

/// Returns the first `keep` versions (None: all) that a walk from the rows reaches.
pub(super) fn trace(
    rows: RowSet,
    snapshot: &mut Snapshot<'_>,
    direction: TraceDirection,
    keep: Option<usize>,
) -> Result<RowSet> {
    let starts = documents_of(rows, "TRACE")?;
    let mut walk = Walk { keep: keep.unwrap_or(usize::MAX), ..Walk::default() };
    match direction {
        TraceDirection::Causes => walk.back(snapshot, &starts)?,
        TraceDirection::Effects => walk.forward(snapshot, &starts)?,
    }
    walk.reached.truncate(walk.keep);
    Ok(RowSet::Documents(walk.reached))
}

/// A breadth-first walk over ops.
#[derive(Default)]
struct Walk {
    keep: usize,
    /// Ops that were looked at: none is twice, whatever the log says.
    seqs: HashSet<Seq>,
    /// Versions that are in the result, or were started from.
    seen: HashSet<DocRef>,
    reached: Vec<DocumentRow>,
}

impl Walk {
    fn reach(&mut self, version: DocRef) {
        if self.seen.insert(version) {
            self.reached.push(DocumentRow { document: version, score: None });
        }
    }

    fn is_done(&self) -> bool {
        self.reached.len() >= self.keep
    }

    /// Counts an op that was read, and lets writers in where that is due.
    fn pause(&mut self, snapshot: &mut Snapshot<'_>) -> Result<()> {
        snapshot.budget().spend(READ_WORK);
        snapshot.budget().hold(LOOKED_AT_BYTES);
        snapshot.go_on()
    }

    /// Walks towards causes. The queue holds lists of causes.
    fn back(&mut self, snapshot: &mut Snapshot<'_>, starts: &[DocumentRow]) -> Result<()> {
        let mut queue = VecDeque::new();
        self.seen.extend(starts.iter().map(|start| start.document));
        for start in starts {
            let (seq, item) = (snapshot.seq_of(start.document), snapshot.item_of(start.document));
            queue.push_back(snapshot.causes_of(seq, item)?);
            self.pause(snapshot)?;
        }
        while !self.is_done()
            && let Some(causes) = queue.pop_front()
        {
            for cause in causes {
                if !self.seqs.insert(cause) {
                    continue;
                }
                for (version, further) in snapshot.written_by(cause)? {
                    version.into_iter().for_each(|version| self.reach(version));
                    queue.push_back(further);
                }
                self.pause(snapshot)?;
            }
        }
        Ok(())
    }

    /// Walks towards effects. The queue holds seqs: who names a transaction as its cause means all
    /// that it wrote, so the item does not count.
    fn forward(&mut self, snapshot: &mut Snapshot<'_>, starts: &[DocumentRow]) -> Result<()> {
        let mut queue = VecDeque::new();
        for start in starts {
            for version in snapshot.versions_of_document(start.document) {
                self.seen.insert(version);
                self.enqueue(snapshot.seq_of(version), &mut queue);
            }
        }
        while !self.is_done()
            && let Some(seq) = queue.pop_front()
        {
            let effects = snapshot.effects_of(seq);
            for same_op in effects.chunk_by(|(left, _), (right, _)| left == right) {
                self.reach_items(snapshot, same_op, &mut queue)?;
                self.pause(snapshot)?;
            }
        }
        Ok(())
    }

    /// Takes in the items of one op that name the cause.
    fn reach_items(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        items: &[(Seq, u32)],
        queue: &mut VecDeque<Seq>,
    ) -> Result<()> {
        let Some(&(seq, _)) = items.first() else { return Ok(()) };
        let written = snapshot.written_by(seq)?;
        for &(_, item) in items {
            let version = written.get(item as usize).and_then(|(version, _)| *version);
            version.into_iter().for_each(|version| self.reach(version));
        }
        self.enqueue(seq, queue);
        Ok(())
    }

    fn enqueue(&mut self, seq: Seq, queue: &mut VecDeque<Seq>) {
        if self.seqs.insert(seq) {
            queue.push_back(seq);
        }
    }
}
