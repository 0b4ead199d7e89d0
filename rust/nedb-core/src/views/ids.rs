//! The numbers by which views speak of the same things without looking into each other.

/// A collection's number.
pub(crate) type CollectionId = u32;
/// A document's number within its collection.
pub(crate) type DocumentId = u32;
/// A version's number within its document.
pub(crate) type VersionId = u32;
/// A life's number within its collection: the order of creation.
pub(crate) type LifeId = u32;
