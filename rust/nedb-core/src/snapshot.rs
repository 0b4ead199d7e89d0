//! The state at one place in time: the only door to the views.
//!
//! In: a read lock on the state, a seq, a valid time, a `now` for expiry. Out: document handles in a
//! stated order, and their texts.
//!
//! Invariants:
//! * What a snapshot shows never changes, even when writers are let in between two looks.
//! * Handles stay valid across that; texts do not.
//! * Expiry hides documents at HEAD alone.

use crate::error::{Error, Result};
use crate::instant::Instant;
use crate::json::Path;
use crate::limits::SCAN_CHUNK_COUNT;
use crate::op::{Item, Op, OpKind, Seq};
use crate::read_budget::{HELD_WORK_MAX, LOOK_OVERHEAD, ReadBudget};
use crate::views::index::{At, CollectionIndexes, Range, SearchIndex, ValueIndex, intersect};
use crate::views::{DocumentId, LifeId, State, VersionId, wanted};
use parking_lot::RwLockReadGuard;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

pub use crate::views::index::IndexKind;
pub(crate) use crate::views::index::{for_each_string, tokenize, tokenize_until};
pub(crate) use crate::views::{CollectionId, FileVersion, TextRef};

/// One version of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DocRef {
    pub collection: CollectionId,
    document: DocumentId,
    version: VersionId,
}

/// What a posting that was found holds, in bytes.
const POSTING_BYTES: usize = 16;

/// A walk over an index that ends after some lives.
struct IndexWalk {
    left_count: usize,
    last: Option<LifeId>,
}

impl IndexWalk {
    fn visit(&mut self, life: LifeId) -> ControlFlow<()> {
        match self.left_count.checked_sub(1) {
            None => ControlFlow::Break(()),
            Some(left_count) => {
                (self.left_count, self.last) = (left_count, Some(life));
                ControlFlow::Continue(())
            }
        }
    }
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScanCursor {
    next_life: LifeId,
}

/// How far a walk over the edges of a node has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EdgeCursor {
    next_edge: u32,
}

/// What a snapshot is opened with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SnapshotOptions {
    /// The last seq that counts; None: the head.
    pub as_of: Option<Seq>,
    /// The valid time; None: any.
    pub valid_at: Option<Instant>,
    /// The time at which HEAD is seen, in seconds since 1970.
    pub now_seconds: f64,
}

/// Tells whether a read of HEAD has to know the time: whether anything it may see has an end. At a
/// valid time it may see versions that were replaced, whose ends nobody keeps count of.
pub(crate) fn may_expire(state: &State, valid_at: Option<Instant>) -> bool {
    valid_at.is_some() || !state.views.expiry.is_empty()
}

/// The state at one place in time.
pub(crate) struct Snapshot<'a> {
    state: RwLockReadGuard<'a, State>,
    seq: Seq,
    valid_at: Option<Instant>,
    /// None where expiry hides nothing.
    now_seconds: Option<f64>,
    budget: ReadBudget,
}

/// Where a walk over an index goes on: after the last life of the last key that was visited.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexCursor {
    after: Option<(Arc<[u8]>, LifeId)>,
}

/// What a full-text look-up found.
#[derive(Debug)]
pub(crate) struct SearchMatches {
    pub document_count: u64,
    /// The words of all documents in the searched fields.
    pub token_count: u64,
    /// How many documents have each term.
    pub document_frequency: Vec<u64>,
    /// Documents that have every term, in order of creation.
    pub matches: Vec<SearchMatch>,
    /// How often each of them has each term: the counts of one after those of the one before.
    pub frequencies: Vec<u32>,
}

/// One document that has every term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SearchMatch {
    pub document: DocRef,
    /// How many words its searched fields have.
    pub length: u32,
}

impl<'a> Snapshot<'a> {
    /// Opens a snapshot of what a lock guards.
    pub fn open(state: RwLockReadGuard<'a, State>, options: &SnapshotOptions) -> Self {
        let head = state.views.seq;
        // Reading at a seq, even the last, is reading the log, which knows no expiry.
        let sees_expiry = options.as_of.is_none() && may_expire(&state, options.valid_at);
        Snapshot {
            seq: options.as_of.map_or(head, |seq| seq.clamp(-1, head)),
            valid_at: options.valid_at,
            now_seconds: sees_expiry.then_some(options.now_seconds),
            budget: ReadBudget::default(),
            state,
        }
    }

    /// Sets what the read may take.
    pub fn set_budget(&mut self, budget: ReadBudget) {
        self.budget = budget;
    }

    /// Returns what the read may take.
    pub fn budget(&self) -> &ReadBudget {
        &self.budget
    }

    /// Lets waiting writers in where that is due, and checks that the read goes on. Handles stay valid.
    ///
    /// Errors: `Cancelled`, `TimedOut`, `LimitExceeded`.
    #[inline]
    pub fn go_on(&mut self) -> Result<()> {
        if self.budget.is_due() { self.pause() } else { Ok(()) }
    }

    /// Counts work, and goes on as `go_on` does.
    pub fn go_on_after(&mut self, work: usize) -> Result<()> {
        self.budget.spend(work);
        self.go_on()
    }

    #[cold]
    fn pause(&mut self) -> Result<()> {
        RwLockReadGuard::bump(&mut self.state);
        self.budget.begin_hold();
        self.budget.check()
    }

    /// Does work that needs nothing of the state while writers are let in.
    ///
    /// Errors: `Cancelled`, `TimedOut`, `LimitExceeded`.
    pub fn apart<T>(&mut self, work: impl FnOnce(&ReadBudget) -> T) -> Result<T> {
        let Snapshot { state, budget, .. } = self;
        if budget.is_impatient() {
            return Ok(work(budget));
        }
        let done = RwLockReadGuard::unlocked_fair(state, || work(budget));
        self.budget.begin_hold();
        self.budget.check()?;
        Ok(done)
    }

    /// Reads a text of a long line while writers are let in.
    #[cold]
    fn long_text(&mut self, document: DocRef, seq: Seq) -> Result<Arc<str>> {
        let Some(reader) = self.state.log.detached(seq) else {
            return self.text(document).map(TextRef::into_shared);
        };
        let version = *self.version(document).ok_or_else(foreign_handle)?;
        let collection = self.collection_name(document.collection).to_owned();
        let id = self.id_of(document).to_owned();
        self.apart(|_| {
            let wanted = wanted(&collection, &id, &version);
            reader.text(&wanted).map(TextRef::into_shared)
        })?
    }

    /// Hands a version's stored text, canonical and without `_seq`, to `look`, which does so much work for each byte
    /// of it. Where that is much writers are let in meanwhile.
    ///
    /// Errors: `StorageError`, `IntegrityError`, `Cancelled`, `TimedOut`, `LimitExceeded`.
    #[inline]
    pub fn with_text<T>(
        &mut self,
        document: DocRef,
        work_per_byte: usize,
        look: impl FnOnce(&str, &ReadBudget) -> T,
    ) -> Result<T> {
        let seq = self.seq_of(document);
        if self.state.log.is_long_on_disk(seq) && !self.budget.is_impatient() {
            let text = self.long_text(document, seq)?;
            return self.apart(|budget| look(&text, budget));
        }
        let text = self.text(document)?;
        let work = text.len().saturating_mul(work_per_byte);
        if work <= HELD_WORK_MAX || self.budget.is_impatient() {
            self.budget.spend(work + LOOK_OVERHEAD);
            let found = look(&text, &self.budget);
            drop(text);
            self.go_on()?;
            return Ok(found);
        }
        let text = text.into_shared();
        self.apart(|budget| look(&text, budget))
    }

    /// Returns a collection's number, or None when nobody ever wrote to it.
    pub fn collection(&self, name: &str) -> Option<CollectionId> {
        self.state.views.documents.collection(name)
    }

    /// Returns a collection's name.
    pub fn collection_name(&self, collection: CollectionId) -> &str {
        self.state.views.documents.collection_name(collection)
    }

    /// Returns the collections that hold a visible document, in order of their first one's creation.
    pub fn collections(&self) -> Vec<&str> {
        let documents = &self.state.views.documents;
        let first = |collection: CollectionId| {
            let life = documents.lives(collection).first()?;
            documents.versions(collection, life.document).first()
        };
        let mut found: Vec<(Seq, u32, CollectionId)> = (0..documents.collection_count())
            .filter(|collection| self.has_document(*collection))
            .filter_map(|it| first(it).map(|version| (version.seq, version.item, it)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, it)| documents.collection_name(it)).collect()
    }

    fn has_document(&self, collection: CollectionId) -> bool {
        let mut cursor = ScanCursor::default();
        let mut found = Vec::new();
        while found.is_empty()
            && self.scan_chunk(collection, &mut cursor, SCAN_CHUNK_COUNT, &mut found)
        {}
        !found.is_empty()
    }

    /// Returns about how many documents a scan would give.
    pub fn document_count_estimate(&self, collection: CollectionId) -> usize {
        self.state.views.documents.live_count(collection)
    }

    /// Adds up to `max` visible documents to `out`, in order of creation; false when there are no more.
    pub fn scan_chunk(
        &self,
        collection: CollectionId,
        cursor: &mut ScanCursor,
        max: usize,
        out: &mut Vec<DocRef>,
    ) -> bool {
        self.scan(collection, cursor, max, &mut |document| {
            out.extend(self.visible(collection, document));
        })
    }

    /// Adds documents as `scan_chunk` does, whatever their valid time and expiry.
    pub fn scan_chunk_all(
        &self,
        collection: CollectionId,
        cursor: &mut ScanCursor,
        max: usize,
        out: &mut Vec<DocRef>,
    ) -> bool {
        let documents = &self.state.views.documents;
        self.scan(collection, cursor, max, &mut |document| {
            let version = documents.version_at(collection, document, self.seq);
            out.extend(version.map(|version| DocRef { collection, document, version }));
        })
    }

    /// Returns the visible version of a document.
    pub fn find(&self, collection: &str, id: &str) -> Option<DocRef> {
        let collection = self.collection(collection)?;
        let document = self.state.views.documents.document(collection, id)?;
        self.visible(collection, document)
    }

    /// Returns a version's stored text: canonical, without `_seq`.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn text(&self, document: DocRef) -> Result<TextRef<'_>> {
        let documents = &self.state.views.documents;
        let version = documents
            .versions(document.collection, document.document)
            .get(document.version as usize)
            .ok_or_else(foreign_handle)?;
        let collection = documents.collection_name(document.collection);
        let id = documents.id(document.collection, document.document);
        if !self.budget.is_impatient() {
            return self.state.version_text(collection, id, version);
        }
        match self.state.held_version_text(collection, id, version) {
            Some(text) if self.budget.take_patience(text.len() + LOOK_OVERHEAD) => Ok(text),
            _ => {
                self.budget.end_impatiently();
                Err(Error::integrity("a reader has lost patience"))
            }
        }
    }

    /// Returns the seq of the op that wrote a version.
    pub fn seq_of(&self, document: DocRef) -> Seq {
        self.version(document).map_or(-1, |version| version.seq)
    }

    /// Returns the item of that op, where it is a transaction.
    pub fn item_of(&self, document: DocRef) -> u32 {
        self.version(document).map_or(0, |version| version.item)
    }

    /// Returns a document's id.
    pub fn id_of(&self, document: DocRef) -> &str {
        self.state.views.documents.id(document.collection, document.document)
    }

    /// Returns a document's place in the order of creation of its collection.
    pub fn creation_order(&self, document: DocRef) -> u32 {
        self.version(document).map_or(0, |version| version.life())
    }

    /// Tells whether there is an index of a kind on a field.
    pub fn has_index(&self, collection: CollectionId, kind: IndexKind, path: &Path) -> bool {
        self.indexes(collection).is_some_and(|indexes| indexes.has(kind, path))
    }

    /// Returns the fields that have a search index.
    pub fn search_fields(&self, collection: CollectionId) -> &[Path] {
        let search = self.indexes(collection).and_then(|indexes| indexes.search.as_ref());
        search.map_or(&[], |search| search.fields())
    }

    /// Adds the visible documents with a value at a field to `out`, in order of creation, from where the cursor stands;
    /// up to `max` are looked at. Tells whether there are more, or returns None without an index. Under a valid time
    /// more are added: the caller looks at their texts.
    pub fn read_equal(
        &self,
        collection: CollectionId,
        (path, key): (&Path, &[u8]),
        cursor: &mut IndexCursor,
        max: usize,
        out: &mut Vec<DocRef>,
    ) -> Option<bool> {
        let index = self.equality(collection, path)?;
        let mut walk = IndexWalk { left_count: max, last: None };
        let first = cursor.after.as_ref().map_or(0, |(_, life)| life.saturating_add(1));
        let mut visit = |life| {
            walk.visit(life)?;
            out.extend(self.visible_in_life(collection, life));
            ControlFlow::Continue(())
        };
        let stopped = if self.valid_at.is_some() {
            index.visit_ever_equal(key, self.at(), first, &mut visit)
        } else {
            index.visit_equal(key, self.at(), first, &mut visit)
        };
        if let Some(life) = walk.last {
            cursor.after = Some((Arc::from([]), life));
        }
        Some(stopped.is_break())
    }

    /// Returns at most how many documents `read_equal` would give.
    pub fn count_equal_estimate(
        &self,
        collection: CollectionId,
        path: &Path,
        key: &[u8],
    ) -> Option<usize> {
        Some(self.equality(collection, path)?.count_equal_max(key, self.at()))
    }

    /// Counts about how many documents `read_range` would give, up to `most`.
    pub fn count_range_estimate(
        &self,
        (collection, path): (CollectionId, &Path),
        (low, high): (Bound<&[u8]>, Bound<&[u8]>),
        most: usize,
    ) -> Option<usize> {
        let index = self.ordered(collection, path)?;
        let mut count = 0;
        let mut visit = |_: &Arc<[u8]>, _| {
            count += 1;
            if count >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let range = Range { low, high, is_descending: false };
        let _stopped_or_not = index.visit_range(&range, None, self.at(), &mut visit);
        Some(count)
    }

    /// Tells whether nothing came after what is read, so that the present's part of an index is all of it.
    pub fn is_at_head(&self) -> bool {
        self.at().is_head
    }

    /// Adds the visible documents whose value is in a range to `out`, in the order of the values, ties in order of
    /// creation, from where the cursor stands; up to `max` are looked at. Tells whether there are more, or returns None
    /// without an ordered index, and under a valid time.
    pub fn read_range(
        &self,
        (collection, path): (CollectionId, &Path),
        (low, high): (Bound<&[u8]>, Bound<&[u8]>),
        is_descending: bool,
        cursor: &mut IndexCursor,
        max: usize,
        out: &mut Vec<DocRef>,
    ) -> Option<bool> {
        let index = self.ordered(collection, path)?;
        let after = cursor.after.take();
        // The last key may have more lives.
        let (low, high) = match (&after, is_descending) {
            (None, _) => (low, high),
            (Some((key, _)), false) => (Bound::Included(&**key), high),
            (Some((key, _)), true) => (low, Bound::Included(&**key)),
        };
        let mut walk = IndexWalk { left_count: max, last: None };
        let mut last_key = None;
        let mut visit = |key: &Arc<[u8]>, life| {
            walk.visit(life)?;
            if last_key.as_ref().is_none_or(|last| !Arc::ptr_eq(last, key)) {
                last_key = Some(Arc::clone(key));
            }
            out.extend(self.visible_in_life(collection, life));
            ControlFlow::Continue(())
        };
        let range = Range { low, high, is_descending };
        let resumed = after.as_ref().map(|(key, life)| (&**key, life.saturating_add(1)));
        let stopped = index.visit_range(&range, resumed, self.at(), &mut visit);
        cursor.after = last_key.zip(walk.last).or(after);
        Some(stopped.is_break())
    }

    /// Looks up the documents that have every term in the searched fields; None without an index over
    /// exactly these fields (`fields` empty: all that have one), and under a valid time.
    ///
    /// Errors: `Cancelled`, `TimedOut`, `LimitExceeded`.
    pub fn search(
        &mut self,
        collection: CollectionId,
        fields: &[Path],
        terms: &[String],
    ) -> Result<Option<SearchMatches>> {
        let mut lists = Vec::with_capacity(terms.len());
        for term in terms {
            let mut list = Vec::new();
            let mut first = Some(0);
            while let Some(from) = first {
                let Some(search) = self.search_index(collection, fields) else { return Ok(None) };
                first = search.read_term(term, self.at(), from, SCAN_CHUNK_COUNT, &mut list);
                self.budget.spend(SCAN_CHUNK_COUNT * POSTING_BYTES);
                self.budget.hold(SCAN_CHUNK_COUNT.min(list.len()) * POSTING_BYTES);
                self.go_on()?;
            }
            lists.push(list);
        }
        let Some(search) = self.search_index(collection, fields) else { return Ok(None) };
        let (document_count, token_count) = search.size_at_seq(self.seq);
        let (hits, counts) = self.apart(|_| intersect(&lists))?;
        let mut matches = Vec::with_capacity(hits.len());
        let mut frequencies = Vec::with_capacity(counts.len());
        for (hit, counts) in hits.iter().zip(counts.chunks_exact(terms.len().max(1))) {
            if let Some(document) = self.visible_in_life(collection, hit.life) {
                matches.push(SearchMatch { document, length: hit.length });
                frequencies.extend_from_slice(counts);
            }
            self.go_on_after(LOOK_OVERHEAD)?;
        }
        let document_frequency = lists.iter().map(|list| list.len() as u64).collect();
        Ok(Some(SearchMatches {
            document_count,
            token_count,
            document_frequency,
            matches,
            frequencies,
        }))
    }

    /// Returns the search index over exactly these fields (none: all that have one), where it may be used.
    fn search_index(&self, collection: CollectionId, fields: &[Path]) -> Option<&SearchIndex> {
        let search = self.indexes(collection)?.search.as_ref()?;
        let is_over_these = fields.is_empty()
            || (fields.len() == search.fields().len()
                && fields.iter().all(|field| search.fields().contains(field)));
        (is_over_these && self.valid_at.is_none()).then_some(search)
    }

    /// Returns the names of the files, in order of their first version.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.state.views.files.names(self.seq)
    }

    /// Returns the versions of a file, oldest first.
    pub fn file_versions(&self, name: &str) -> &[FileVersion] {
        self.state.views.files.versions(name, self.seq)
    }

    /// Returns the nodes that a node links to, in the order linked, from a place on; each with the place after it.
    pub fn neighbors(
        &self,
        node: &str,
        relation: &str,
        cursor: EdgeCursor,
    ) -> impl Iterator<Item = (EdgeCursor, &str)> {
        let At { seq, is_head } = self.at();
        let relations = &self.state.views.relations;
        let found = relations.neighbors((node, relation), (seq, is_head), cursor.next_edge);
        found.map(|(edge, node)| (EdgeCursor { next_edge: edge + 1 }, node))
    }

    /// Returns the nodes that link to a node, as `neighbors` does.
    pub fn inbound(
        &self,
        node: &str,
        relation: &str,
        cursor: EdgeCursor,
    ) -> impl Iterator<Item = (EdgeCursor, &str)> {
        let At { seq, is_head } = self.at();
        let relations = &self.state.views.relations;
        let found = relations.inbound((node, relation), (seq, is_head), cursor.next_edge);
        found.map(|(edge, node)| (EdgeCursor { next_edge: edge + 1 }, node))
    }

    /// Returns what an item of an op names as its causes.
    ///
    /// Errors: `StorageError`, `IntegrityError`, `Cancelled`, `TimedOut`, `LimitExceeded`.
    pub fn causes_of(&mut self, seq: Seq, item: u32) -> Result<Vec<Seq>> {
        self.with_items(seq, |_, items| {
            items.get(item as usize).map(|item| item.caused_by.to_vec()).unwrap_or_default()
        })
    }

    /// Returns the causes of every item of an op, and the versions that it wrote, in item order.
    ///
    /// Errors: as `causes_of`.
    pub fn written_by(&mut self, seq: Seq) -> Result<Vec<(Option<DocRef>, Vec<Seq>)>> {
        self.with_items(seq, |snapshot, items| {
            let with_version = |item: &Item<'_>| {
                (snapshot.version_written(seq, &item.kind), item.caused_by.to_vec())
            };
            items.iter().map(with_version).collect()
        })
    }

    /// Returns the ops, with their items, that name `seq` as a cause, in order.
    pub fn effects_of(&self, seq: Seq) -> Vec<(Seq, u32)> {
        self.state.views.causes.effects(seq, self.seq).to_vec()
    }

    /// Returns every version of a handle's document up to the seq that is read at, oldest first.
    pub fn versions_of_document(&self, document: DocRef) -> Vec<DocRef> {
        let versions = self.state.views.documents.versions(document.collection, document.document);
        versions
            .iter()
            .enumerate()
            .take_while(|(_, version)| version.seq <= self.seq)
            .filter(|(_, version)| !version.is_tombstone())
            .map(|(at, _)| DocRef { version: at as VersionId, ..document })
            .collect()
    }

    fn scan(
        &self,
        collection: CollectionId,
        cursor: &mut ScanCursor,
        max: usize,
        visit: &mut dyn FnMut(DocumentId),
    ) -> bool {
        let documents = &self.state.views.documents;
        let lives = documents.lives(collection);
        let first = cursor.next_life;
        let mut next_life = first;
        let mut examine = |life: LifeId| {
            let Some(found) = lives.get(life as usize).filter(|life| life.start_seq <= self.seq)
            else {
                return false;
            };
            if self.seq < found.end_seq {
                visit(found.document);
            }
            next_life = life + 1;
            true
        };
        let has_more = if self.at().is_head {
            let live = documents.live_from(collection, first);
            live.iter().take(max).all(|life| examine(*life)) && live.len() > max
        } else {
            let end = first.saturating_add(max as LifeId);
            (first..end).all(&mut examine) && (end as usize) < lives.len()
        };
        cursor.next_life = next_life;
        has_more
    }

    fn at(&self) -> At {
        At { seq: self.seq, is_head: self.seq == self.state.views.seq }
    }

    fn indexes(&self, collection: CollectionId) -> Option<&CollectionIndexes> {
        self.state.views.indexes.of(collection)
    }

    /// Returns the ordered index of a field, where it may be used: at a valid time it tells no order.
    fn ordered(&self, collection: CollectionId, path: &Path) -> Option<&ValueIndex> {
        let index = self.indexes(collection)?.ordered(path)?;
        self.valid_at.is_none().then_some(index)
    }

    fn equality(&self, collection: CollectionId, path: &Path) -> Option<&ValueIndex> {
        self.indexes(collection)?.equality(path)
    }

    fn version(&self, document: DocRef) -> Option<&crate::views::Version> {
        let documents = &self.state.views.documents;
        documents.versions(document.collection, document.document).get(document.version as usize)
    }

    fn visible(&self, collection: CollectionId, document: DocumentId) -> Option<DocRef> {
        let documents = &self.state.views.documents;
        let version = match self.valid_at {
            None => documents.version_at(collection, document, self.seq),
            Some(at) => documents.version_valid_at(collection, document, self.seq, at),
        }?;
        let found = DocRef { collection, document, version };
        if let Some(now) = self.now_seconds {
            // At a valid time an older version may be seen. It goes with its document, as it will
            // when the sweep deletes that.
            let current = match self.valid_at {
                None => version,
                Some(_) => documents.version_at(collection, document, self.seq)?,
            };
            let has_expired = |version| {
                let version = self.version(DocRef { version, ..found });
                let expires_at = version.and_then(|it| documents.expires_at(collection, it));
                expires_at.is_some_and(|expires_at| expires_at <= now)
            };
            if has_expired(version) || has_expired(current) {
                return None;
            }
        }
        Some(found)
    }

    /// A document may have had several lives: only the one that is looked at counts.
    fn visible_in_life(&self, collection: CollectionId, life: LifeId) -> Option<DocRef> {
        let looked_at = self.state.views.documents.lives(collection).get(life as usize)?;
        if self.valid_at.is_none() && !(looked_at.start_seq..looked_at.end_seq).contains(&self.seq)
        {
            return None;
        }
        let found = self.visible(collection, looked_at.document)?;
        // A valid time may lead to an older version, and so to another life.
        (self.valid_at.is_none() || self.creation_order(found) == life).then_some(found)
    }

    /// Hands the items of an op to `look`; none for an op that does not count here.
    fn with_items<T>(
        &mut self,
        seq: Seq,
        look: impl FnOnce(&Snapshot<'_>, &[Item<'_>]) -> T,
    ) -> Result<T> {
        if seq < 0 || seq > self.seq {
            return Ok(look(self, &[]));
        }
        match self.state.log.detached(seq) {
            None => self.state.with_op(seq, |op| look(self, op.items.as_slice())),
            // Reading and parsing a long line takes a while, and needs nothing of the state.
            Some(reader) => {
                let own = move |_: &ReadBudget| {
                    reader.with_fields(seq, |fields| fields.to_op().map(Op::into_owned))
                };
                let op = self.apart(own)??;
                Ok(look(self, op.items.as_slice()))
            }
        }
    }

    fn version_written(&self, seq: Seq, kind: &OpKind<'_>) -> Option<DocRef> {
        let OpKind::Put(put) = kind else { return None };
        let documents = &self.state.views.documents;
        let collection = documents.collection(&put.collection)?;
        let document = documents.document(collection, &put.id)?;
        let versions = documents.versions(collection, document);
        let version = versions.binary_search_by_key(&seq, |version| version.seq).ok()?;
        Some(DocRef { collection, document, version: version as VersionId })
    }
}

fn foreign_handle() -> Error {
    Error::integrity("a handle of another database was used")
}
