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
mod relations;
mod state;

use crate::op::Seq;

pub(crate) use causes::Causes;
pub(crate) use checkpoint::{Checkpoint, Unusable};
pub(crate) use clients::Clients;
pub(crate) use documents::{Documents, Put as DocumentPut, Version};
pub(crate) use expiry::Expiry;
pub(crate) use files::{FileVersion, Files, next_number};
pub(crate) use ids::{CollectionId, DocumentId, LifeId, VersionId};
pub(crate) use index::Indexes;
pub(crate) use relations::Relations;
pub(crate) use state::{State, TextRef};

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
    /// Names the first view that differs from another fold of the same ops, or None.
    pub fn difference(&self, other: &Views) -> Option<&'static str> {
        let checks = [
            ("seq", self.seq == other.seq),
            ("documents", self.documents == other.documents),
            ("relations", self.relations == other.relations),
            ("causes", self.causes == other.causes),
            ("clients", self.clients == other.clients),
            ("expiry", self.expiry == other.expiry),
            ("files", self.files == other.files),
            ("indexes", self.indexes.holds_the_same_as(&other.indexes)),
        ];
        checks.into_iter().find(|(_, is_same)| !is_same).map(|(name, _)| name)
    }
}
