//! Every version of every document.
//!
//! In: puts and deletes, in order. Out: the version that counts at a seq and a valid time.
//!
//! Invariants:
//! * A version holds positions, never text: 32 bytes beside its key.
//! * The versions of a document are in order of seq; a delete is a version without text.
//! * Lives are numbered in order of creation, within a collection; a life is never reused.

mod saved;

use super::ids::{CollectionId, DocumentId, Life, LifeId, NO_END, VersionId};
use super::live_list::LiveList;
use super::names::Names;
use super::pieces::{Compared, Comparison, cost, numbered, within};
use crate::instant::Instant;
use crate::op::{Seq, TextPlace};

const NO_EXTRA: u32 = u32::MAX;
const TOMBSTONE: LifeId = LifeId::MAX;

/// One value of a document, or its deletion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    pub seq: Seq,
    pub place: TextPlace,
    pub item: u32,
    life: LifeId,
    extra: u32,
}

impl Version {
    /// Tells whether this version is a deletion.
    pub fn is_tombstone(&self) -> bool {
        self.life == TOMBSTONE
    }

    /// Returns the life that this version is of.
    pub fn life(&self) -> LifeId {
        self.life
    }
}

/// What few versions have: a valid time, an end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extra {
    valid_from: Option<Instant>,
    valid_to: Option<Instant>,
    expires_at: Option<f64>,
}

/// The versions of one document: nearly always one.
#[derive(Clone, Debug, PartialEq)]
enum Versions {
    One(Version),
    Many(Vec<Version>),
}

impl Versions {
    fn as_slice(&self) -> &[Version] {
        match self {
            Versions::One(version) => std::slice::from_ref(version),
            Versions::Many(versions) => versions,
        }
    }

    fn push(&mut self, version: Version) {
        match self {
            Versions::One(first) => *self = Versions::Many(vec![*first, version]),
            Versions::Many(versions) => versions.push(version),
        }
    }
}

/// One collection.
#[derive(Debug, Default, PartialEq)]
struct Collection {
    ids: Names,
    versions: Vec<Versions>,
    lives: Vec<Life>,
    live: LiveList,
    extras: Vec<Extra>,
}

/// All collections.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Documents {
    names: Names,
    collections: Vec<Collection>,
}

/// A put, as this view needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<'a> {
    pub seq: Seq,
    pub item: u32,
    pub id: &'a str,
    pub place: TextPlace,
    pub valid_from: Option<Instant>,
    pub valid_to: Option<Instant>,
    pub expires_at: Option<f64>,
}

impl Documents {
    /// Adds a version; returns the document and the life it is of.
    pub fn put(&mut self, collection: CollectionId, put: &Put<'_>) -> (DocumentId, LifeId) {
        let Some(collection) = self.collections.get_mut(collection as usize) else { return (0, 0) };
        let extra = collection.add_extra(put);
        let document = collection.ids.add(put.id);
        let current =
            collection.versions.get(document as usize).and_then(|it| it.as_slice().last());
        let life = match current.filter(|current| !current.is_tombstone()) {
            Some(current) => current.life,
            None => collection.begin_life(document, put.seq),
        };
        let version = Version { seq: put.seq, place: put.place, item: put.item, life, extra };
        match collection.versions.get_mut(document as usize) {
            Some(versions) => versions.push(version),
            None => collection.versions.push(Versions::One(version)),
        }
        (document, life)
    }

    /// Ends a document; returns it and the life that ended, or None when it was absent.
    pub fn delete(
        &mut self,
        collection: CollectionId,
        id: &str,
        seq: Seq,
        item: u32,
    ) -> Option<(DocumentId, LifeId)> {
        let collection = self.collections.get_mut(collection as usize)?;
        let document = collection.ids.find(id)?;
        let versions = collection.versions.get_mut(document as usize)?;
        let life = versions.as_slice().last().filter(|last| !last.is_tombstone())?.life;
        let place = TextPlace::LEGACY;
        versions.push(Version { seq, place, item, life: TOMBSTONE, extra: NO_EXTRA });
        collection.end_life(life, seq);
        Some((document, life))
    }

    /// Returns a collection's number, and adds it if need be.
    pub fn add_collection(&mut self, name: &str) -> CollectionId {
        let number = self.names.add(name);
        if number as usize == self.collections.len() {
            self.collections.push(Collection::default());
        }
        number
    }

    /// Returns a collection's number.
    pub fn collection(&self, name: &str) -> Option<CollectionId> {
        self.names.find(name)
    }

    /// Returns a collection's name.
    pub fn collection_name(&self, collection: CollectionId) -> &str {
        self.names.text(collection)
    }

    /// Returns how many collections there are, or ever were.
    pub fn collection_count(&self) -> u32 {
        self.names.count()
    }

    /// Returns how many documents are alive now.
    pub fn live_count(&self, collection: CollectionId) -> usize {
        self.get(collection).map_or(0, |collection| collection.live.live_count())
    }

    /// Returns how many documents there are, or ever were.
    pub fn document_count(&self, collection: CollectionId) -> DocumentId {
        self.get(collection).map_or(0, |collection| collection.ids.count())
    }

    /// Returns a document's number.
    pub fn document(&self, collection: CollectionId, id: &str) -> Option<DocumentId> {
        self.get(collection)?.ids.find(id)
    }

    /// Returns a document's id.
    pub fn id(&self, collection: CollectionId, document: DocumentId) -> &str {
        self.get(collection).map_or("", |collection| collection.ids.text(document))
    }

    /// Returns all versions of a document, oldest first.
    pub fn versions(&self, collection: CollectionId, document: DocumentId) -> &[Version] {
        self.get(collection)
            .and_then(|collection| collection.versions.get(document as usize))
            .map_or(&[], Versions::as_slice)
    }

    /// Returns the lives of a collection in order of creation.
    pub fn lives(&self, collection: CollectionId) -> &[Life] {
        self.get(collection).map_or(&[], |collection| &collection.lives)
    }

    /// Returns the lives from `first` on that may not have ended yet.
    pub fn live_from(&self, collection: CollectionId, first: LifeId) -> &[LifeId] {
        self.get(collection).map_or(&[], |collection| collection.live.from(first))
    }

    /// Returns the last version up to a seq, if it is no deletion.
    pub fn version_at(
        &self,
        collection: CollectionId,
        document: DocumentId,
        seq: Seq,
    ) -> Option<VersionId> {
        let versions = self.versions(collection, document);
        let last = versions.last()?;
        // HEAD is asked for far more often than the past.
        let count = if last.seq <= seq {
            versions.len()
        } else {
            versions.partition_point(|version| version.seq <= seq)
        };
        let at = count.checked_sub(1)?;
        versions.get(at).filter(|version| !version.is_tombstone()).map(|_| at as VersionId)
    }

    /// Returns the newest version up to a seq whose valid time contains an instant, none older than
    /// the last deletion.
    pub fn version_valid_at(
        &self,
        collection: CollectionId,
        document: DocumentId,
        seq: Seq,
        valid_at: Instant,
    ) -> Option<VersionId> {
        let newest = self.version_at(collection, document, seq)?;
        let versions = self.versions(collection, document).get(..=newest as usize)?;
        let extras = &self.get(collection)?.extras;
        versions
            .iter()
            .enumerate()
            .rev()
            .take_while(|(_, version)| !version.is_tombstone())
            .find(|(_, version)| {
                extras.get(version.extra as usize).is_none_or(|extra| extra.contains(valid_at))
            })
            .map(|(at, _)| at as VersionId)
    }

    /// Returns the documents whose current version has an end, with that end, in seconds since 1970.
    pub fn ends(&self, collection: CollectionId) -> Vec<(DocumentId, f64)> {
        let Some(found) = self.get(collection).filter(|found| !found.extras.is_empty()) else {
            return Vec::new();
        };
        let end = |(number, versions): (usize, &Versions)| {
            let last = versions.as_slice().last().filter(|last| !last.is_tombstone())?;
            Some((number as DocumentId, self.expires_at(collection, last)?))
        };
        found.versions.iter().enumerate().filter_map(end).collect()
    }

    /// Returns when a version goes, in seconds since 1970.
    pub fn expires_at(&self, collection: CollectionId, version: &Version) -> Option<f64> {
        if version.extra == NO_EXTRA {
            return None;
        }
        self.get(collection)?.extras.get(version.extra as usize)?.expires_at
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons(&self) -> Vec<Comparison<Documents>> {
        let mut all = within(|it: &Documents| &it.names, vec![Names::comparison()]);
        for collection in 0..self.collection_count() {
            all.extend(Collection::comparisons(collection));
        }
        all
    }

    fn get(&self, collection: CollectionId) -> Option<&Collection> {
        self.collections.get(collection as usize)
    }
}

impl Collection {
    /// Compares a collection of documents; ops may add others, which come in both.
    fn comparisons(number: CollectionId) -> Vec<Comparison<Documents>> {
        let of =
            move |it: &Documents, count: fn(&Collection) -> usize| it.get(number).map_or(0, count);
        let compare =
            move |count: fn(&Collection) -> usize,
                  same: fn(&Collection, &Collection, usize) -> Option<usize>| {
                numbered(
                    move |it: &Documents| of(it, count),
                    move |mine, theirs, at| same(mine.get(number)?, theirs.get(number)?, at),
                )
            };
        vec![
            compare(
                |it| it.ids.count() as usize,
                |mine, theirs, at| cost(mine.ids.text(at as u32) == theirs.ids.text(at as u32), 0),
            ),
            compare(
                |it| it.versions.len(),
                |mine, theirs, at| {
                    let versions = mine.versions.get(at)?;
                    cost(theirs.versions.get(at) == Some(versions), versions.as_slice().len())
                },
            ),
            compare(
                |it| it.lives.len(),
                |mine, theirs, at| cost(mine.lives.get(at) == theirs.lives.get(at), 0),
            ),
            Box::new(move |mine, theirs| {
                match mine.live_count(number) == theirs.live_count(number) {
                    true => Compared::Same,
                    false => Compared::Differs,
                }
            }),
            compare(
                |it| it.extras.len(),
                |mine, theirs, at| cost(mine.extras.get(at) == theirs.extras.get(at), 0),
            ),
        ]
    }

    fn add_extra(&mut self, put: &Put<'_>) -> u32 {
        let extra = Extra {
            valid_from: put.valid_from,
            valid_to: put.valid_to,
            expires_at: put.expires_at,
        };
        if extra == (Extra { valid_from: None, valid_to: None, expires_at: None }) {
            return NO_EXTRA;
        }
        self.push_extra(extra)
    }

    fn push_extra(&mut self, extra: Extra) -> u32 {
        self.extras.push(extra);
        self.extras.len() as u32 - 1
    }

    fn begin_life(&mut self, document: DocumentId, seq: Seq) -> LifeId {
        let life = self.lives.len() as LifeId;
        self.lives.push(Life { document, start_seq: seq, end_seq: NO_END });
        self.live.push(life);
        life
    }

    fn end_life(&mut self, life: LifeId, seq: Seq) {
        if let Some(life) = self.lives.get_mut(life as usize) {
            life.end_seq = seq;
        }
        let lives = &self.lives;
        self.live
            .bury_one(|life| lives.get(life as usize).is_some_and(|life| life.end_seq == NO_END));
    }
}

impl Extra {
    fn contains(&self, at: Instant) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_to.is_none_or(|to| at <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(documents: &mut Documents, id: &str, seq: Seq) -> (DocumentId, LifeId) {
        let collection = documents.add_collection("c");
        let place = TextPlace { start: 0, bytes: 1 };
        let (valid_from, valid_to, expires_at) = (None, None, None);
        documents
            .put(collection, &Put { seq, item: 0, id, place, valid_from, valid_to, expires_at })
    }

    #[test]
    fn a_version_costs_32_bytes() {
        assert_eq!(size_of::<Version>(), 32);
    }

    #[test]
    fn a_delete_ends_a_life_and_the_next_put_begins_another() {
        let mut documents = Documents::default();
        assert_eq!(put(&mut documents, "a", 0), (0, 0));
        assert_eq!(put(&mut documents, "a", 1), (0, 0));
        assert_eq!(documents.delete(0, "a", 2, 0), Some((0, 0)));
        assert_eq!(documents.delete(0, "a", 3, 0), None);
        assert_eq!(put(&mut documents, "a", 4), (0, 1));
        let at = |seq| documents.version_at(0, 0, seq);
        assert_eq!(
            [at(-1), at(0), at(1), at(2), at(3), at(4)],
            [None, Some(0), Some(1), None, None, Some(3)]
        );
    }

    #[test]
    fn many_dead_lives_do_not_stay_in_the_list_of_the_living() {
        let mut documents = Documents::default();
        for round in 0..1_000 {
            put(&mut documents, "a", 2 * round);
            documents.delete(0, "a", 2 * round + 1, 0);
        }
        put(&mut documents, "b", 2_000);
        assert_eq!(documents.live_count(0), 1);
        assert!(documents.live_from(0, 0).len() < 40);
    }
}
