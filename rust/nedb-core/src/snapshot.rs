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
use crate::op::{Item, OpKind, Seq};
use crate::views::index::{At, CollectionIndexes, Range, ValueIndex};
use crate::views::{DocumentId, LifeId, State, VersionId};
use parking_lot::RwLockReadGuard;
use std::cell::Cell;
use std::ops::{Bound, ControlFlow};

pub use crate::views::index::IndexKind;
pub(crate) use crate::views::index::{for_each_string, tokenize};
pub(crate) use crate::views::{CollectionId, FileVersion, TextRef};

/// One version of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DocRef {
    pub collection: CollectionId,
    document: DocumentId,
    version: VersionId,
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScanCursor {
    next_life: LifeId,
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
    /// None where texts may be waited for.
    patience: Option<Patience>,
}

/// What a reader who must not wait may still look at.
#[derive(Debug)]
struct Patience {
    left_bytes: Cell<usize>,
    has_ended: Cell<bool>,
}

/// What a look at a text costs beside its bytes, in bytes.
const LOOK_OVERHEAD_BYTES: usize = 128;

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

impl Patience {
    /// Lets a text pass that is there, while there is patience.
    fn take<'t>(&self, text: Option<TextRef<'t>>) -> Result<TextRef<'t>> {
        let left = |text: &TextRef<'_>| {
            self.left_bytes.get().checked_sub(text.len() + LOOK_OVERHEAD_BYTES)
        };
        match text.and_then(|text| Some((left(&text)?, text))) {
            Some((left_bytes, text)) => {
                self.left_bytes.set(left_bytes);
                Ok(text)
            }
            None => {
                self.has_ended.set(true);
                // It ends the walk, and nobody sees it.
                Err(Error::integrity("a reader has lost patience"))
            }
        }
    }
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
            patience: None,
            state,
        }
    }

    /// From here on only texts in memory are handed out, and about so many bytes of them: what comes of it is
    /// worth something only where `has_lost_patience` says no.
    pub fn lose_patience_after(&mut self, bytes: usize) {
        let (left_bytes, has_ended) = (Cell::new(bytes), Cell::new(false));
        self.patience = Some(Patience { left_bytes, has_ended });
    }

    /// Tells whether a text was refused for want of patience.
    pub fn has_lost_patience(&self) -> bool {
        self.patience.as_ref().is_some_and(|patience| patience.has_ended.get())
    }

    /// Lets a waiting writer in. Handles stay valid.
    pub fn yield_to_writers(&mut self) {
        RwLockReadGuard::bump(&mut self.state);
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
            .ok_or_else(|| Error::integrity("a handle of another database was used"))?;
        let collection = documents.collection_name(document.collection);
        let id = documents.id(document.collection, document.document);
        match &self.patience {
            None => self.state.version_text(collection, id, version),
            Some(patience) => patience.take(self.state.held_version_text(collection, id, version)),
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

    /// Visits the visible documents with a value at a field, in order of creation; false without an
    /// index. Under a valid time more are visited: the caller looks at their texts.
    pub fn visit_equal(
        &self,
        collection: CollectionId,
        path: &Path,
        key: &[u8],
        visit: &mut dyn FnMut(DocRef) -> ControlFlow<()>,
    ) -> bool {
        let Some(index) = self.equality(collection, path) else { return false };
        let mut visit_life = |life| self.visit_life(collection, life, visit);
        let _stopped_or_not = if self.valid_at.is_some() {
            index.visit_ever_equal(key, self.at(), &mut visit_life)
        } else {
            index.visit_equal(key, self.at(), &mut visit_life)
        };
        true
    }

    /// Returns at most how many documents `visit_equal` would visit.
    pub fn count_equal_estimate(
        &self,
        collection: CollectionId,
        path: &Path,
        key: &[u8],
    ) -> Option<usize> {
        Some(self.equality(collection, path)?.count_equal_max(key, self.at()))
    }

    /// Visits the visible documents whose value is in a range, in the order of the values, ties in
    /// order of creation; false without an ordered index, and under a valid time.
    pub fn visit_range(
        &self,
        collection: CollectionId,
        path: &Path,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        is_descending: bool,
        visit: &mut dyn FnMut(DocRef) -> ControlFlow<()>,
    ) -> bool {
        let index = self.indexes(collection).and_then(|indexes| indexes.ordered(path));
        let Some(index) = index.filter(|_| self.valid_at.is_none()) else { return false };
        let range = Range { low, high, is_descending };
        let mut visit_life = |life| self.visit_life(collection, life, visit);
        let _stopped_or_not = index.visit_range(&range, self.at(), &mut visit_life);
        true
    }

    /// Looks up the documents that have every term in the searched fields; None without an index over
    /// exactly these fields (`fields` empty: all that have one), and under a valid time.
    pub fn search(
        &self,
        collection: CollectionId,
        fields: &[Path],
        terms: &[String],
    ) -> Option<SearchMatches> {
        let search = self.indexes(collection)?.search.as_ref()?;
        let is_over_these = fields.is_empty()
            || (fields.len() == search.fields().len()
                && fields.iter().all(|field| search.fields().contains(field)));
        if !is_over_these || self.valid_at.is_some() {
            return None;
        }
        let found = search.search(terms, self.at());
        let mut matches = Vec::with_capacity(found.hits.len());
        let mut frequencies = Vec::with_capacity(found.counts.len());
        for (hit, counts) in found.hits.iter().zip(found.counts.chunks_exact(terms.len().max(1))) {
            if let Some(document) = self.visible_in_life(collection, hit.life) {
                matches.push(SearchMatch { document, length: hit.length });
                frequencies.extend_from_slice(counts);
            }
        }
        Some(SearchMatches {
            document_count: found.document_count,
            token_count: found.token_count,
            document_frequency: found.document_frequencies,
            matches,
            frequencies,
        })
    }

    /// Returns the names of the files, in order of their first version.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.state.views.files.names(self.seq)
    }

    /// Returns the versions of a file, oldest first.
    pub fn file_versions(&self, name: &str) -> &[FileVersion] {
        self.state.views.files.versions(name, self.seq)
    }

    /// Returns the nodes that a node links to, in the order linked.
    pub fn neighbors(&self, node: &str, relation: &str) -> impl Iterator<Item = &str> {
        let At { seq, is_head } = self.at();
        self.state.views.relations.neighbors(node, relation, seq, is_head)
    }

    /// Returns the nodes that link to a node, in the order linked.
    pub fn inbound(&self, node: &str, relation: &str) -> impl Iterator<Item = &str> {
        let At { seq, is_head } = self.at();
        self.state.views.relations.inbound(node, relation, seq, is_head)
    }

    /// Returns what an item of an op names as its causes.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn causes_of(&self, seq: Seq, item: u32) -> Result<Vec<Seq>> {
        self.with_items(seq, |items| {
            items.get(item as usize).map(|item| item.caused_by.to_vec()).unwrap_or_default()
        })
    }

    /// Returns the causes of every item of an op, and the versions that it wrote, in item order.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn written_by(&self, seq: Seq) -> Result<Vec<(Option<DocRef>, Vec<Seq>)>> {
        self.with_items(seq, |items| {
            let with_version =
                |item: &Item<'_>| (self.version_written(seq, &item.kind), item.caused_by.to_vec());
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

    fn visit_life(
        &self,
        collection: CollectionId,
        life: LifeId,
        visit: &mut dyn FnMut(DocRef) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.visible_in_life(collection, life) {
            Some(document) => visit(document),
            None => ControlFlow::Continue(()),
        }
    }

    /// Hands the items of an op to `look`; none for an op that does not count here.
    fn with_items<T>(&self, seq: Seq, look: impl FnOnce(&[Item<'_>]) -> T) -> Result<T> {
        if seq < 0 || seq > self.seq {
            return Ok(look(&[]));
        }
        self.state.with_op(seq, |op| look(op.items.as_slice()))
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
