//! The documents of one collection, fetched the way that was chosen.
//!
//! In: a planned source. Out: document rows that pass its predicate, in the order that was planned,
//! and no more of them than are wanted.
//!
//! Invariants:
//! * Every document is asked the whole predicate, however it was reached.
//! * Texts are looked at chunk by chunk; between chunks writers are let in.

use std::ops::ControlFlow;

use super::access::{Access, as_slice};
use super::plan::Source;
use super::rows::{DocumentRow, RowView};
use crate::error::{Error, Result};
use crate::json::{Key, Path};
use crate::limits::SCAN_CHUNK_COUNT;
use crate::snapshot::{CollectionId, DocRef, ScanCursor, Snapshot};

/// How much more of an index is read each time that what was read held too few rows.
const GROWTH_FACTOR: usize = 8;
/// How much of an index is read first at the least, where a predicate may drop some.
const READ_COUNT_MIN: usize = 16;

impl Source<'_> {
    /// Returns the rows.
    pub(super) fn run(&self, snapshot: &mut Snapshot<'_>) -> Result<Vec<DocumentRow>> {
        let Some(collection) = self.collection.filter(|_| self.keep != Some(0)) else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        match &self.choice.access {
            Access::Nothing => {}
            Access::Scan => self.scan(snapshot, collection, &mut rows)?,
            Access::Find(ids) => {
                let found = ids.iter().filter_map(|id| snapshot.find(self.name, id)).collect();
                self.retain_in_order(snapshot, found, &mut rows)?;
            }
            Access::Equal(keys) => self.equal(snapshot, collection, keys, &mut rows)?,
            Access::Range { descending: Some(_), .. } => {
                self.walk_index(snapshot, collection, &mut rows)?;
            }
            Access::Range { descending: None, .. } => {
                let mut handles = Vec::new();
                self.read_index(snapshot, collection, 0, usize::MAX, &mut handles)?;
                self.retain_in_order(snapshot, handles, &mut rows)?;
            }
        }
        Ok(rows)
    }

    fn scan(
        &self,
        snapshot: &mut Snapshot<'_>,
        collection: CollectionId,
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        let chunk_count = match (self.keep, &self.predicate) {
            (Some(keep), None) => keep.min(SCAN_CHUNK_COUNT),
            _ => SCAN_CHUNK_COUNT,
        };
        let mut cursor = ScanCursor::default();
        let mut handles = Vec::with_capacity(chunk_count);
        loop {
            handles.clear();
            let more = snapshot.scan_chunk(collection, &mut cursor, chunk_count, &mut handles);
            let enough = self.retain(snapshot, &handles, rows)?;
            if enough || !more {
                return Ok(());
            }
            snapshot.yield_to_writers();
        }
    }

    fn equal(
        &self,
        snapshot: &mut Snapshot<'_>,
        collection: CollectionId,
        keys: &[(Path, Key)],
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        // Several values come one after the other; at a valid time the index tells no order.
        if keys.len() == 1 && !self.at_valid_time {
            return self.walk_index(snapshot, collection, rows);
        }
        let mut handles = Vec::new();
        self.read_index(snapshot, collection, 0, usize::MAX, &mut handles)?;
        self.retain_in_order(snapshot, handles, rows)
    }

    /// Reads the index in its own order until there are enough rows: a little, then more and more,
    /// each time from the start. A snapshot does not change, so what was read before comes again.
    fn walk_index(
        &self,
        snapshot: &mut Snapshot<'_>,
        collection: CollectionId,
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        let mut wanted = match (self.keep, &self.predicate) {
            (None, _) => usize::MAX,
            (Some(keep), None) => keep,
            // Where the index answers the whole predicate, all that is read is wanted.
            (Some(keep), Some(_)) => keep.saturating_mul(2).max(READ_COUNT_MIN),
        };
        let mut read_count = 0;
        let mut handles = Vec::new();
        loop {
            handles.clear();
            let complete =
                self.read_index(snapshot, collection, read_count, wanted, &mut handles)?;
            let enough = self.retain(snapshot, &handles, rows)?;
            if enough || complete {
                return Ok(());
            }
            read_count += handles.len();
            wanted = wanted.saturating_mul(GROWTH_FACTOR);
            snapshot.yield_to_writers();
        }
    }

    /// Appends up to `max` documents of the index after the first `skip`; tells whether that is all.
    fn read_index(
        &self,
        snapshot: &Snapshot<'_>,
        collection: CollectionId,
        skip: usize,
        max: usize,
        out: &mut Vec<DocRef>,
    ) -> Result<bool> {
        let mut skipped = 0;
        let mut complete = true;
        let mut visit = |document| {
            if skipped < skip {
                skipped += 1;
            } else if out.len() < max {
                out.push(document);
            } else {
                complete = false;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let is_there = match &self.choice.access {
            Access::Equal(keys) => keys
                .iter()
                .all(|(path, key)| snapshot.visit_equal(collection, path, key, &mut visit)),
            Access::Range { path, range, descending } => snapshot.visit_range(
                collection,
                path,
                as_slice(&range.low),
                as_slice(&range.high),
                descending.unwrap_or(false),
                &mut visit,
            ),
            Access::Nothing | Access::Scan | Access::Find(_) => true,
        };
        if !is_there {
            return Err(Error::integrity("an index vanished while a query was reading it"));
        }
        Ok(complete)
    }

    /// Puts documents into order of creation, each once, and keeps those that pass.
    fn retain_in_order(
        &self,
        snapshot: &mut Snapshot<'_>,
        mut handles: Vec<DocRef>,
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        handles.sort_by_cached_key(|&document| snapshot.creation_order(document));
        handles.dedup();
        self.retain(snapshot, &handles, rows).map(|_| ())
    }

    /// Appends the documents that pass, until there are enough; tells whether there are.
    fn retain(
        &self,
        snapshot: &mut Snapshot<'_>,
        handles: &[DocRef],
        rows: &mut Vec<DocumentRow>,
    ) -> Result<bool> {
        let keep = self.keep.unwrap_or(usize::MAX);
        let Some(predicate) = &self.predicate else {
            let room = keep.saturating_sub(rows.len());
            rows.extend(handles.iter().take(room).map(|&document| unscored(document)));
            return Ok(rows.len() >= keep);
        };
        for (index, chunk) in handles.chunks(SCAN_CHUNK_COUNT).enumerate() {
            if index > 0 {
                snapshot.yield_to_writers();
            }
            for &document in chunk {
                let text = snapshot.text(document)?;
                let seq = Some(snapshot.seq_of(document));
                if predicate.holds(&RowView { text: &text, seq, score: None }) {
                    rows.push(unscored(document));
                    if rows.len() >= keep {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

fn unscored(document: DocRef) -> DocumentRow {
    DocumentRow { document, score: None }
}
