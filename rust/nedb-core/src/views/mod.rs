//! What the log means, folded: derived structures that may be thrown away at any time.
//!
//! Only `fold` changes them, and only `snapshot` reads them. One view never looks into another.
//!
//! | file | what it owns |
//! |---|---|
//! | `documents` | every version of every document, and the lives between put and delete |
//! | `relations` | edges, with the ops that began and ended them |
//! | `causes` | which ops name an op as their cause |
//! | `clients` | the last nonce of each client; every idempotency key |
//! | `expiry` | which documents go when |
//! | `files` | every version of every file, without its bytes |
//! | `index/` | eq, ordered and full-text indexes, at HEAD and at every seq before |
//! | `state` | the views beside the log that they were folded from |
//! | `checkpoint` | all views as bytes, and back |
//! | `codec` | numbers and texts as bytes, and back |
//! | `ids` | the numbers by which views speak of the same things |
//! | `live_list` | an ordered list whose dead entries are dropped in bulk |
//! | `names` | strings as small numbers |
//! | `pieces` | two folds of the same ops, compared a piece at a time |

mod causes;
mod checkpoint;
mod clients;
mod codec;
mod documents;
mod expiry;
mod files;
mod ids;
pub(crate) mod index;
mod live_list;
mod names;
mod pieces;
mod relations;
mod state;

use crate::op::Seq;
use pieces::within;

pub(crate) use causes::Causes;
pub(crate) use checkpoint::{Checkpoint, Unusable};
pub(crate) use clients::Clients;
pub(crate) use documents::{Documents, Put as DocumentPut, Version};
pub(crate) use expiry::Expiry;
pub(crate) use files::{FileVersion, Files, next_number};
pub(crate) use ids::{CollectionId, DocumentId, LifeId, VersionId};
pub(crate) use index::Indexes;
pub(crate) use pieces::{Compared, Comparison};
pub(crate) use relations::Relations;
pub(crate) use state::{State, TextRef, wanted};

/// All views, at one seq.
#[derive(Debug)]
pub(crate) struct Views {
    /// The last op that was folded in; -1 for none.
    pub seq: Seq,
    pub documents: Documents,
    pub relations: Relations,
    pub causes: Causes,
    pub clients: Clients,
    pub expiry: Expiry,
    pub files: Files,
    pub indexes: Indexes,
}

impl Default for Views {
    fn default() -> Self {
        Views {
            seq: -1,
            documents: Documents::default(),
            relations: Relations::default(),
            causes: Causes::default(),
            clients: Clients::default(),
            expiry: Expiry::default(),
            files: Files::default(),
            indexes: Indexes::default(),
        }
    }
}

impl Views {
    /// Returns what compares these views with another fold of the same ops, each with the name of its view. Ops
    /// may be folded into both in between; the definitions of indexes must be the same, and stay so.
    pub fn comparisons(&self) -> Vec<(&'static str, Comparison<Views>)> {
        let Views { documents, relations, causes, clients, expiry, indexes, .. } = self;
        let views = [
            ("documents", within(|views: &Views| &views.documents, documents.comparisons())),
            ("relations", within(|views: &Views| &views.relations, relations.comparisons())),
            ("causes", within(|views: &Views| &views.causes, causes.comparisons())),
            ("clients", within(|views: &Views| &views.clients, clients.comparisons())),
            ("expiry", within(|views: &Views| &views.expiry, expiry.comparisons())),
            ("files", within(|views: &Views| &views.files, Files::comparisons())),
            ("indexes", within(|views: &Views| &views.indexes, indexes.comparisons())),
        ];
        let named = |(name, comparisons): (&'static str, Vec<Comparison<Views>>)| {
            comparisons.into_iter().map(move |it| (name, it))
        };
        views.into_iter().flat_map(named).collect()
    }

    /// Names the first view that differs from another fold of the same ops, or None.
    #[cfg(test)]
    pub fn difference(&self, other: &Views) -> Option<&'static str> {
        if self.seq != other.seq || self.indexes.definitions() != other.indexes.definitions() {
            return Some("seq, or the definitions of indexes");
        }
        let differs = |(_, comparison): &mut (_, Comparison<Views>)| {
            loop {
                match comparison(self, other) {
                    Compared::More => {}
                    found => return found == Compared::Differs,
                }
            }
        };
        self.comparisons().iter_mut().find_map(|it| differs(it).then_some(it.0))
    }
}
