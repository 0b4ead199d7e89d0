//! The numbers by which views speak of the same things without looking into each other.

use crate::op::Seq;

/// A collection's number.
pub(crate) type CollectionId = u32;
/// A document's number within its collection.
pub(crate) type DocumentId = u32;
/// A version's number within its document.
pub(crate) type VersionId = u32;
/// A life's number within its collection: the order of creation.
pub(crate) type LifeId = u32;

/// The end of what has not ended.
pub(crate) const NO_END: Seq = Seq::MAX;

/// The time between a put of an absent document and its delete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Life {
    pub document: DocumentId,
    pub start_seq: Seq,
    pub end_seq: Seq,
}
