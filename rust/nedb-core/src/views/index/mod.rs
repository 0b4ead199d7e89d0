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

use super::{CollectionId, LifeId};
use crate::error::{Error, Result};
use crate::json::Path;
use crate::op::Seq;

pub(crate) use search::SearchIndex;
pub(crate) use tokenizer::{for_each_string, tokenize};
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

    /// Puts the indexes of a collection in place of those that it had.
    pub fn replace(&mut self, collection: CollectionId, indexes: CollectionIndexes) {
        let at = collection as usize;
        if self.collections.len() <= at {
            self.collections.resize_with(at + 1, CollectionIndexes::default);
        }
        if let Some(slot) = self.collections.get_mut(at) {
            *slot = indexes;
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

    /// Tells whether another fold of the same ops came to the same postings.
    pub fn holds_the_same_as(&self, other: &Indexes) -> bool {
        self.definitions() == other.definitions()
            && self.collections.iter().zip(&other.collections).all(|(mine, theirs)| {
                let pairs = |left: &[ValueIndex], right: &[ValueIndex]| {
                    left.iter().zip(right).all(|(left, right)| left.holds_the_same_as(right))
                };
                let search = match (&mine.search, &theirs.search) {
                    (Some(mine), Some(theirs)) => mine.holds_the_same_as(theirs),
                    (mine, theirs) => mine.is_none() && theirs.is_none(),
                };
                pairs(&mine.eq, &theirs.eq) && pairs(&mine.ordered, &theirs.ordered) && search
            })
    }
}
