//! The documents of one collection, fetched the way that was chosen.
//!
//! In: a planned source. Out: document rows that pass its predicate, in the order that was planned,
//! and no more of them than are wanted.
//!
//! Invariants:
//! * Every document is asked the whole predicate, however it was reached.
//! * Between documents, and while much is done with one, writers are let in.

use super::access::{Access, as_slice};
use super::plan::Source;
use super::rows::{DocumentRow, RowView};
use crate::error::{Error, Result};
use crate::limits::SCAN_CHUNK_COUNT;
use crate::read_budget::LOOK_OVERHEAD;
use crate::snapshot::{CollectionId, DocRef, IndexCursor, ScanCursor, Snapshot};

/// How much more of an index is read each time that what was read held too few rows.
const GROWTH_FACTOR: usize = 8;
/// How much of an index is read first at the least, where a predicate may drop some.
const READ_COUNT_MIN: usize = 16;
/// How much of an index is read at once at the most.
const READ_COUNT: usize = 4_096;
/// What finding a document takes, beside what its text does.
const HANDLE_WORK: usize = 32;

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
                let found = self.find(snapshot, ids)?;
                self.retain_in_order(snapshot, found, &mut rows)?;
            }
            // Several values come one after the other; at a valid time the index tells no order.
            Access::Equal(keys) if keys.len() == 1 && !self.at_valid_time => {
                self.walk_index(snapshot, collection, &mut rows)?;
            }
            Access::Range { descending: Some(_), .. } => {
                self.walk_index(snapshot, collection, &mut rows)?;
            }
            Access::Equal(_) | Access::Range { descending: None, .. } => {
                let mut handles = Vec::new();
                let mut walk = IndexWalk::new(&self.choice.access);
                while walk.read(snapshot, collection, READ_COUNT, &mut handles)? {}
                self.retain_in_order(snapshot, handles, &mut rows)?;
            }
        }
        Ok(rows)
    }

    fn find(&self, snapshot: &mut Snapshot<'_>, ids: &[String]) -> Result<Vec<DocRef>> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(snapshot.find(self.name, id));
            snapshot.go_on_after(LOOK_OVERHEAD)?;
        }
        Ok(found)
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
            snapshot.budget().spend(chunk_count * HANDLE_WORK);
            let enough = self.retain(snapshot, &handles, rows)?;
            if enough || !more {
                return Ok(());
            }
            snapshot.go_on()?;
        }
    }

    /// Reads the index in its own order until there are enough rows: a little, then more and more.
    fn walk_index(
        &self,
        snapshot: &mut Snapshot<'_>,
        collection: CollectionId,
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        let mut wanted = match (self.keep, &self.predicate) {
            (None, _) => READ_COUNT,
            (Some(keep), None) => keep,
            // Where the index answers the whole predicate, all that is read is wanted.
            (Some(keep), Some(_)) => keep.saturating_mul(2).max(READ_COUNT_MIN),
        };
        let mut walk = IndexWalk::new(&self.choice.access);
        let mut handles = Vec::new();
        loop {
            handles.clear();
            let more = walk.read(snapshot, collection, wanted.min(READ_COUNT), &mut handles)?;
            let enough = self.retain(snapshot, &handles, rows)?;
            if enough || !more {
                return Ok(());
            }
            wanted = wanted.saturating_mul(GROWTH_FACTOR);
        }
    }

    /// Puts documents into order of creation, each once, and keeps those that pass.
    fn retain_in_order(
        &self,
        snapshot: &mut Snapshot<'_>,
        handles: Vec<DocRef>,
        rows: &mut Vec<DocumentRow>,
    ) -> Result<()> {
        let mut placed = Vec::with_capacity(handles.len());
        for chunk in handles.chunks(SCAN_CHUNK_COUNT) {
            placed.extend(chunk.iter().map(|it| (snapshot.creation_order(*it), *it)));
            snapshot.go_on_after(chunk.len() * HANDLE_WORK)?;
        }
        let handles = snapshot.apart(|_| {
            placed.sort_by_key(|(place, _)| *place);
            placed.dedup();
            placed.into_iter().map(|(_, document)| document).collect::<Vec<_>>()
        })?;
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
            snapshot.budget().hold(handles.len().min(room) * size_of::<DocumentRow>());
            rows.extend(handles.iter().take(room).map(|&document| unscored(document)));
            return Ok(rows.len() >= keep);
        };
        let work_per_byte = predicate.work_per_byte();
        for &document in handles {
            let seq = Some(snapshot.seq_of(document));
            let passes = snapshot.with_text(document, work_per_byte, |text, budget| {
                predicate.holds(&RowView { text, seq, score: None, budget: Some(budget) })
            })?;
            if passes {
                snapshot.budget().hold(size_of::<DocumentRow>());
                rows.push(unscored(document));
                if rows.len() >= keep {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A walk over an index, some documents at a time.
struct IndexWalk<'c> {
    access: &'c Access,
    /// Which of several values comes next.
    key_number: usize,
    cursor: IndexCursor,
    read_count_max: usize,
}

impl<'c> IndexWalk<'c> {
    fn new(access: &'c Access) -> Self {
        let cursor = IndexCursor::default();
        IndexWalk { access, key_number: 0, cursor, read_count_max: READ_COUNT }
    }

    /// Appends documents, and looks at `count` at most, where the present is read; tells whether there are more.
    fn read(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        collection: CollectionId,
        count: usize,
        out: &mut Vec<DocRef>,
    ) -> Result<bool> {
        snapshot.go_on()?;
        // In the past each part costs a look at all of a value's: the more parts there were, the longer is the next.
        let count = if snapshot.is_at_head() || count < READ_COUNT { count } else { self.grow() };
        let held_count = out.len();
        let has_more = match self.access {
            Access::Equal(keys) => match keys.get(self.key_number) {
                None => Some(false),
                Some((path, key)) => snapshot
                    .read_equal(collection, (path, key), &mut self.cursor, count, out)
                    .map(|has_more| has_more || self.next_key(keys.len())),
            },
            Access::Range { path, range, descending } => snapshot.read_range(
                (collection, path),
                (as_slice(&range.low), as_slice(&range.high)),
                descending.unwrap_or(false),
                &mut self.cursor,
                count,
                out,
            ),
            Access::Nothing | Access::Scan | Access::Find(_) => Some(false),
        };
        let read_count = out.len() - held_count;
        snapshot.budget().spend(read_count * HANDLE_WORK + LOOK_OVERHEAD);
        snapshot.budget().hold(read_count * size_of::<DocRef>());
        has_more.ok_or_else(|| Error::integrity("an index vanished while a query was reading it"))
    }

    fn next_key(&mut self, key_count: usize) -> bool {
        self.key_number += 1;
        self.cursor = IndexCursor::default();
        self.key_number < key_count
    }

    fn grow(&mut self) -> usize {
        let count = self.read_count_max;
        self.read_count_max = count.saturating_mul(GROWTH_FACTOR);
        count
    }
}

fn unscored(document: DocRef) -> DocumentRow {
    DocumentRow { document, score: None }
}
