//! Indexes: which documents have a value, at HEAD and at every seq before.
//!
//! In: for each document that changed, the life it is in and its new text. Out: lives.
//!
//! Invariants:
//! * A posting is (value, life, first_seq, last_seq); consecutive versions with one value extend it.
//! * Ended postings lie apart from live ones, so that history does not slow HEAD.
//! * An eq or ordered index never changes a result: it only says where to look.
//!
//! | file | what it owns |
//! |---|---|
//! | `postings` | live and ended postings, and the ended ones that cover a seq |
//! | `value` | eq and ordered indexes |
//! | `search` | the full-text index of a collection |
//! | `tokenizer` | text → folded words |

mod postings;
mod search;
mod tokenizer;
mod value;

use super::codec::{Malformed, Reader, Writer};
use super::ids::Life;
use super::pieces::{Compared, Comparison, numbered, numbered_in_parts};
use super::{CollectionId, LifeId};
use crate::error::{Error, Result};
use crate::json::Path;
use crate::op::Seq;

pub(crate) use search::{SearchIndex, intersect};
pub(crate) use tokenizer::{for_each_string, tokenize, tokenize_until};
pub(crate) use value::{Range, ValueIndex};

/// What an index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// Equality: `WHERE field = value`.
    Eq,
    /// Ranges and order: `WHERE field > value`, `ORDER BY field`.
    Ordered,
    /// Full text: `SEARCH "words"`.
    Search,
}

impl IndexKind {
    /// Reads the name of a kind.
    ///
    /// Errors: `InvalidArgument`.
    pub fn parse(name: &str) -> Result<IndexKind> {
        match name {
            "eq" => Ok(IndexKind::Eq),
            "ordered" => Ok(IndexKind::Ordered),
            "search" => Ok(IndexKind::Search),
            _ => Err(Error::invalid(format!(
                "there is no index kind {name:?}; the kinds are \"eq\", \"ordered\" and \"search\""
            ))),
        }
    }

    /// Returns the name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            IndexKind::Eq => "eq",
            IndexKind::Ordered => "ordered",
            IndexKind::Search => "search",
        }
    }
}

/// Where a read stands: at a seq, which may be the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub seq: Seq,
    pub is_head: bool,
}

/// A document that changed: the life it is in, and its text, or None when the life ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub life: LifeId,
    pub seq: Seq,
    pub text: Option<&'a str>,
}

/// The indexes of one collection.
#[derive(Debug, Default)]
pub(crate) struct CollectionIndexes {
    pub eq: Vec<ValueIndex>,
    pub ordered: Vec<ValueIndex>,
    pub search: Option<SearchIndex>,
}

impl CollectionIndexes {
    fn is_empty(&self) -> bool {
        self.eq.is_empty() && self.ordered.is_empty() && self.search.is_none()
    }

    /// Takes a change into every index.
    pub fn apply(&mut self, change: &Change<'_>) {
        for index in self.eq.iter_mut().chain(&mut self.ordered) {
            index.apply(change);
        }
        if let Some(search) = &mut self.search {
            search.apply(change);
        }
    }

    /// Adds an empty index; tells whether it was new. A search index with a new field begins anew.
    pub fn add(&mut self, kind: IndexKind, path: Path) -> bool {
        if self.has(kind, &path) {
            return false;
        }
        match kind {
            IndexKind::Eq => self.eq.push(ValueIndex::new(path, false)),
            IndexKind::Ordered => self.ordered.push(ValueIndex::new(path, true)),
            IndexKind::Search => {
                let mut fields =
                    self.search.as_ref().map_or(Vec::new(), |search| search.fields().to_vec());
                fields.push(path);
                self.search = Some(SearchIndex::new(fields));
            }
        }
        true
    }

    /// Returns the same indexes with nothing in them.
    pub fn emptied(&self) -> CollectionIndexes {
        let mut empty = CollectionIndexes::default();
        for (kind, path) in self.definitions() {
            empty.add(kind, path.clone());
        }
        empty
    }

    /// Tells whether there is an index of a kind on a field.
    pub fn has(&self, kind: IndexKind, path: &Path) -> bool {
        self.definitions().any(|definition| definition == (kind, path))
    }

    /// Returns the index that finds equal values.
    pub fn equality(&self, path: &Path) -> Option<&ValueIndex> {
        self.eq.iter().chain(&self.ordered).find(|index| index.path() == path)
    }

    /// Returns the index that finds ranges.
    pub fn ordered(&self, path: &Path) -> Option<&ValueIndex> {
        self.ordered.iter().find(|index| index.path() == path)
    }

    /// Returns the kind and the field of every index.
    pub fn definitions(&self) -> impl Iterator<Item = (IndexKind, &Path)> {
        let fields = self.search.iter().flat_map(|search| search.fields());
        self.eq
            .iter()
            .map(|index| (IndexKind::Eq, index.path()))
            .chain(self.ordered.iter().map(|index| (IndexKind::Ordered, index.path())))
            .chain(fields.map(|path| (IndexKind::Search, path)))
    }
}

impl CollectionIndexes {
    /// Returns what compares with another fold of the same ops, with the same definitions.
    fn comparisons(&self) -> Vec<Comparison<CollectionIndexes>> {
        let kinds: [fn(&CollectionIndexes) -> &[ValueIndex]; 2] = [|it| &it.eq, |it| &it.ordered];
        let mut all: Vec<Comparison<CollectionIndexes>> = Vec::new();
        for of in kinds {
            all.extend((0..of(self).len()).map(|at| {
                numbered_in_parts(
                    move |it| of(it).get(at).map_or(0, ValueIndex::key_count),
                    move |mine, theirs, key, cursor| {
                        of(mine).get(at)?.compare(of(theirs).get(at)?, key, cursor)
                    },
                )
            }));
        }
        let search = |it: &CollectionIndexes, count: fn(&SearchIndex) -> usize| {
            it.search.as_ref().map_or(0, count)
        };
        all.push(numbered_in_parts(
            move |it| search(it, SearchIndex::term_count),
            |mine, theirs, term, cursor| {
                mine.search.as_ref()?.compare_term(theirs.search.as_ref()?, term, cursor)
            },
        ));
        all.push(numbered(
            move |it| search(it, SearchIndex::size_count),
            |mine, theirs, at| mine.search.as_ref()?.compare_size(theirs.search.as_ref()?, at),
        ));
        all
    }

    /// Appends every index, those with an order and those over words after the others.
    pub fn encode(&self, lives: &[Life], out: &mut Writer) {
        for indexes in [&self.eq, &self.ordered] {
            out.count(indexes.len());
            for index in indexes {
                encode_path(index.path(), out);
                index.encode(lives, out);
            }
        }
        let fields = self.search.as_ref().map_or(&[][..], SearchIndex::fields);
        out.count(fields.len());
        fields.iter().for_each(|field| encode_path(field, out));
        if let Some(search) = &self.search {
            search.encode(lives, out);
        }
    }

    /// Reads what `encode` wrote, of a collection with these lives.
    pub fn decode(
        input: &mut Reader<'_>,
        lives: &[Life],
        last_seq: Seq,
    ) -> std::result::Result<CollectionIndexes, Malformed> {
        let mut loaded = CollectionIndexes::default();
        for is_ordered in [false, true] {
            for _ in 0..input.count(INDEX_BYTES_MIN)? {
                let kind = if is_ordered { IndexKind::Ordered } else { IndexKind::Eq };
                let path = decode_path(input)?;
                if loaded.has(kind, &path) {
                    return Err(Malformed("an index is there twice"));
                }
                let index = ValueIndex::decode(input, path, is_ordered, lives, last_seq)?;
                let indexes = if is_ordered { &mut loaded.ordered } else { &mut loaded.eq };
                indexes.push(index);
            }
        }
        let mut fields = Vec::new();
        for _ in 0..input.count(PATH_BYTES_MIN)? {
            let field = decode_path(input)?;
            if fields.contains(&field) {
                return Err(Malformed("an index is there twice"));
            }
            fields.push(field);
        }
        if !fields.is_empty() {
            loaded.search = Some(SearchIndex::decode(input, fields, lives, last_seq)?);
        }
        Ok(loaded)
    }
}

/// What the saved indexes of a collection are at least: how many there are of each kind.
const COLLECTION_BYTES_MIN: usize = 3;
/// What a saved path is at least: how many segments it has.
const PATH_BYTES_MIN: usize = 1;
/// What a saved index is at least: a path, and how many keys it has.
const INDEX_BYTES_MIN: usize = 2;

fn encode_path(path: &Path, out: &mut Writer) {
    out.count(path.segments().len());
    path.segments().iter().for_each(|segment| out.text(segment));
}

fn decode_path(input: &mut Reader<'_>) -> std::result::Result<Path, Malformed> {
    let count = input.count(1)?;
    let segments = (0..count).map(|_| input.text().map(str::to_owned));
    segments.collect::<std::result::Result<_, _>>().map(Path::from_segments)
}

/// The indexes of all collections.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    collections: Vec<CollectionIndexes>,
}

impl Indexes {
    /// Returns the indexes of a collection that has any.
    pub fn of(&self, collection: CollectionId) -> Option<&CollectionIndexes> {
        self.collections.get(collection as usize).filter(|indexes| !indexes.is_empty())
    }

    /// Returns the indexes of a collection that has any, to change them.
    pub fn of_mut(&mut self, collection: CollectionId) -> Option<&mut CollectionIndexes> {
        self.collections.get_mut(collection as usize).filter(|indexes| !indexes.is_empty())
    }

    /// Puts the indexes of a collection in place of those that it had, which are returned: to let go of large ones
    /// takes a while.
    pub fn replace(
        &mut self,
        collection: CollectionId,
        indexes: CollectionIndexes,
    ) -> CollectionIndexes {
        let at = collection as usize;
        if self.collections.len() <= at {
            self.collections.resize_with(at + 1, CollectionIndexes::default);
        }
        match self.collections.get_mut(at) {
            Some(slot) => std::mem::replace(slot, indexes),
            None => indexes,
        }
    }

    /// Returns every definition: collection, kind, field.
    pub fn definitions(&self) -> Vec<(CollectionId, IndexKind, Path)> {
        let with_number = self.collections.iter().enumerate();
        with_number
            .flat_map(|(at, indexes)| {
                indexes
                    .definitions()
                    .map(move |(kind, path)| (at as CollectionId, kind, path.clone()))
            })
            .collect()
    }

    /// Appends the indexes of every collection; `lives_of` returns its lives.
    pub fn encode<'l>(&self, lives_of: impl Fn(CollectionId) -> &'l [Life], out: &mut Writer) {
        out.count(self.collections.len());
        for (collection, indexes) in self.collections.iter().enumerate() {
            indexes.encode(lives_of(collection as CollectionId), out);
        }
    }

    /// Reads what `encode` wrote, of so many collections at the most.
    pub fn decode<'l>(
        input: &mut Reader<'_>,
        collection_count: u32,
        lives_of: impl Fn(CollectionId) -> &'l [Life],
        last_seq: Seq,
    ) -> std::result::Result<Indexes, Malformed> {
        let count = input.count(COLLECTION_BYTES_MIN)?;
        if count > collection_count as usize {
            return Err(Malformed("an index is of no collection"));
        }
        let decode = |collection| {
            CollectionIndexes::decode(input, lives_of(collection as CollectionId), last_seq)
        };
        let collections = (0..count).map(decode).collect::<std::result::Result<_, _>>()?;
        Ok(Indexes { collections })
    }

    /// Returns what compares with another fold of the same ops, with the same definitions.
    pub fn comparisons(&self) -> Vec<Comparison<Indexes>> {
        let of = |(number, indexes): (usize, &CollectionIndexes)| {
            indexes.comparisons().into_iter().map(move |mut comparison| {
                Box::new(move |mine: &Indexes, theirs: &Indexes| {
                    match (mine.collections.get(number), theirs.collections.get(number)) {
                        (Some(mine), Some(theirs)) => comparison(mine, theirs),
                        _ => Compared::Differs,
                    }
                }) as Comparison<Indexes>
            })
        };
        self.collections.iter().enumerate().flat_map(of).collect()
    }
}
